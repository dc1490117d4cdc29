/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which exception an address outside its segment raises. Exec functions ask soft_linear, which has the instruction at
 * hand; micro-operations have only an address, and for them the instruction is decoded once more, as this is rare. The
 * vCPU's thread.
 */
#include "vcpu/soft/outside.h"

#include "vcpu/soft/exception.h"
#include "vcpu/soft/insn.h"
#include "vcpu/soft/mmu.h"
#include "vcpu/soft/soft_vm.h"

/* The instruction at cpu->rip, which has been decoded before: byte by byte, so that no page too many is touched. */
static bool outside_decode(struct soft_cpu *cpu, struct soft_insn *insn)
{
    const struct soft_decoder *decoder = soft_vm_of_cpu(cpu)->decoder;
    enum soft_decode_result result = SOFT_DECODE_SHORT;
    uint8_t bytes[SOFT_INSN_BYTES_MAX];

    for (size_t len_bytes = 0; result == SOFT_DECODE_SHORT && len_bytes < sizeof(bytes);) {
        uint64_t gpa;
        const uint8_t *host = soft_code_at(cpu, cpu->rip + len_bytes, &gpa);

        if (!host) {
            return false; /* code outside RAM; whoever puts a stack pointer there gets the wrong vector */
        }
        bytes[len_bytes++] = __atomic_load_n(host, __ATOMIC_RELAXED); /* the guest may be writing it */
        result = soft_decode(decoder, bytes, len_bytes, cpu->mode, &cpu->features, insn);
    }
    return result == SOFT_DECODED;
}

/* Whether it was the stack that the instruction uses by itself. */
static bool outside_is_implicit(const struct soft_cpu *cpu, const struct soft_insn *insn, uint64_t linear)
{
    uint64_t mask = soft_is_64(cpu) ? UINT64_MAX : UINT32_MAX, sp = cpu->gpr[CPU_RSP] & mask;

    switch (insn->def->kind) {
    case SOFT_KIND_PUSH:
    case SOFT_KIND_CALL:
    case SOFT_KIND_CALL_INDIRECT:
        return linear == ((sp - insn->op_bytes) & mask);
    case SOFT_KIND_POP:
    case SOFT_KIND_RET:
        return linear == sp;
    case SOFT_KIND_LEAVE:
        return true;
    case SOFT_KIND_EXEC:
        if (insn->def->flags & SOFT_REP) {
            return insn->segment == CPU_SS && linear == (cpu->gpr[CPU_RSI] & mask); /* by an override */
        }
        return !insn->is_memory; /* ENTER's frames; others have asked soft_linear */
    default:
        return false;
    }
}

void soft_raise_outside(struct soft_cpu *cpu, uint64_t linear)
{
    struct soft_insn insn;
    bool stack = outside_decode(cpu, &insn) &&
                 (outside_is_implicit(cpu, &insn, linear) || (insn.is_memory && insn.segment == CPU_SS));

    soft_raise_error(cpu, stack ? VECTOR_SS : VECTOR_GP, 0);
}
