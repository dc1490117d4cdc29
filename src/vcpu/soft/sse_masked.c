/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MASKMOVDQU and MASKMOVQ: stores to DS:rDI (or another segment's) of the bytes that a mask selects. */
#include "vcpu/soft/mmx.h"
#include "vcpu/soft/sse.h"

/* All that can fault does so before the first byte is stored. An empty mask touches nothing. */
static void masked_store(struct soft_cpu *cpu, const struct soft_insn *insn, const uint8_t *data, const uint8_t *mask,
                         unsigned len_bytes)
{
    uint64_t offset = cpu->gpr[CPU_RDI];
    uint64_t linear;
    unsigned selected = 0;

    if (insn->addr_bytes != 8) {
        offset &= (UINT64_C(1) << (8 * insn->addr_bytes)) - 1;
    }
    for (unsigned i = 0; i < len_bytes; i++) {
        selected |= (unsigned)(mask[i] >> 7) << i;
    }
    if (!selected) {
        return;
    }
    linear = soft_linear(cpu, insn->segment, offset, len_bytes, SOFT_WRITE);
    for (unsigned i = 0; i < len_bytes; i++) {
        if (selected >> i & 1) {
            soft_x87_probe(cpu, linear + i, 1);
        }
    }
    for (unsigned i = 0; i < len_bytes; i++) {
        if (selected >> i & 1) {
            soft_store(cpu, linear + i, 1, data[i]);
        }
    }
}

SSE_EXEC(maskmovdqu)
{
    masked_store(cpu, insn, cpu->fpu.xmm[insn->reg].u8, cpu->fpu.xmm[insn->rm].u8, 16);
}

void soft_mmx_maskmovq(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct soft_fpu *fpu = &cpu->fpu;

    soft_x87_wait(cpu);
    masked_store(cpu, insn, fpu->st[insn->reg & 7].bytes, fpu->st[insn->rm & 7].bytes, 8);
    soft_mmx_transition(fpu);
}
