/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory in 16 and 10 bytes at once, for SSE and x87: as mem.h's soft_load and soft_store, whose rules hold. The
 * hit path is inline; the rest goes through soft_read_bytes and soft_write_bytes, which check all of it first.
 */
#ifndef HDL_VCPU_SOFT_VECTOR_MEM_H
#define HDL_VCPU_SOFT_VECTOR_MEM_H

#include <emmintrin.h>

#include "vcpu/soft/insn.h"
#include "vcpu/soft/mem.h"
#include "vcpu/soft/segment.h"

/*
 * soft_ea for a memory operand, inline for the common case: 64-bit mode, no segment base. Everything else, faults too,
 * is soft_ea's.
 */
static inline uint64_t soft_vector_ea(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned size_bytes,
                                      enum soft_access access)
{
    unsigned base = insn->base != SOFT_NO_REG ? insn->base : SOFT_REG_ZERO;
    unsigned index = insn->index != SOFT_NO_REG ? insn->index : SOFT_REG_ZERO;
    uint64_t linear = (uint64_t)(int64_t)insn->disp + cpu->gpr[base] + (cpu->gpr[index] << insn->scale);

    linear += insn->rip_relative ? cpu->next_rip : 0;
    if (likely((cpu->mode & SOFT_MODE_64) && insn->segment < CPU_FS && insn->addr_bytes == 8 &&
               soft_is_canonical(linear) && soft_is_canonical(linear + size_bytes - 1))) {
        return linear;
    }
    return soft_ea(cpu, insn, size_bytes, access);
}

static inline SOFT_GUEST_ACCESS __m128i soft_load128(struct soft_cpu *cpu, uint64_t linear)
{
    const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, linear);
    __m128i value;

    if (likely(entry->read == soft_tlb_want(cpu, linear, 16))) {
        return _mm_loadu_si128((const __m128i *)(linear + entry->addend));
    }
    soft_read_bytes(cpu, linear, &value, 16);
    return value;
}

static inline SOFT_GUEST_ACCESS void soft_store128(struct soft_cpu *cpu, uint64_t linear, __m128i value)
{
    const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, linear);

    if (likely(entry->write == soft_tlb_want(cpu, linear, 16))) {
        _mm_storeu_si128((__m128i *)(linear + entry->addend), value);
        return;
    }
    soft_write_bytes(cpu, linear, &value, 16);
}

/* An 80-bit value; the rest of *value is left alone. */
static inline SOFT_GUEST_ACCESS void soft_load80(struct soft_cpu *cpu, uint64_t linear, union soft_st *value)
{
    const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, linear);

    if (likely(entry->read == soft_tlb_want(cpu, linear, 10))) {
        const uint8_t *host = (const uint8_t *)(linear + entry->addend);

        value->mantissa = *(const soft_guest_u64 *)host;
        value->exponent = *(const soft_guest_u16 *)(host + 8);
        return;
    }
    soft_read_bytes(cpu, linear, value, 10);
}

static inline SOFT_GUEST_ACCESS void soft_store80(struct soft_cpu *cpu, uint64_t linear, const union soft_st *value)
{
    const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, linear);

    if (likely(entry->write == soft_tlb_want(cpu, linear, 10))) {
        uint8_t *host = (uint8_t *)(linear + entry->addend);

        *(soft_guest_u64 *)host = value->mantissa;
        *(soft_guest_u16 *)(host + 8) = value->exponent;
        return;
    }
    soft_write_bytes(cpu, linear, value, 10);
}

#endif
