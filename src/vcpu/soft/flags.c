/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What lazy flags stand for (flags.h; SDM 1, appendix A). Pure but for soft_set_rflags. Slow paths: micro-operations
 * that read a condition after a comparison compute it themselves.
 */
#include "vcpu/soft/flags.h"

/* Inline with a constant kind: a rotate needs all flags, each time that those before it may be looked at. */
#define CC_INLINE static inline __attribute__((always_inline))

static unsigned cc_kind(const struct soft_cpu *cpu)
{
    return cpu->cc_op >> 2;
}

static unsigned cc_bits(const struct soft_cpu *cpu)
{
    return 8u << (cpu->cc_op & 3);
}

static uint64_t cc_top(const struct soft_cpu *cpu)
{
    return UINT64_C(1) << (cc_bits(cpu) - 1);
}

/* The first operand of what made the result. */
CC_INLINE uint64_t cc_first_operand(const struct soft_cpu *cpu, unsigned kind)
{
    uint64_t mask = cc_top(cpu) << 1;

    mask -= 1;
    switch (kind) {
    case CC_ADD:
        return (cpu->cc_dst - cpu->cc_src) & mask;
    case CC_ADC:
        return (cpu->cc_dst - cpu->cc_src - cpu->cc_aux) & mask;
    case CC_SUB:
        return (cpu->cc_dst + cpu->cc_src) & mask;
    case CC_SBB:
        return (cpu->cc_dst + cpu->cc_src + cpu->cc_aux) & mask;
    default:
        return 0;
    }
}

CC_INLINE bool cc_carry(const struct soft_cpu *cpu, unsigned kind)
{
    switch (kind) {
    case CC_FLAGS:
        return cpu->cc_src & RFLAGS_CF;
    case CC_ADD:
        return cpu->cc_dst < cpu->cc_src;
    case CC_ADC:
        return cpu->cc_aux ? cpu->cc_dst <= cpu->cc_src : cpu->cc_dst < cpu->cc_src;
    case CC_SUB:
        return cc_first_operand(cpu, kind) < cpu->cc_src;
    case CC_SBB:
        return cpu->cc_aux ? cc_first_operand(cpu, kind) <= cpu->cc_src : cc_first_operand(cpu, kind) < cpu->cc_src;
    case CC_INC:
    case CC_DEC:
        return cpu->cc_src;
    case CC_SHL:
        return cpu->cc_src & cc_top(cpu);
    case CC_SHR:
        return cpu->cc_src & 1;
    case CC_MUL:
        return cpu->cc_src != 0;
    default:
        return false;
    }
}

bool soft_carry(const struct soft_cpu *cpu)
{
    return cc_carry(cpu, cc_kind(cpu));
}

CC_INLINE bool cc_overflow(const struct soft_cpu *cpu, unsigned kind)
{
    uint64_t top = cc_top(cpu);
    uint64_t first = cc_first_operand(cpu, kind);

    switch (kind) {
    case CC_ADD:
    case CC_ADC:
        return (cpu->cc_dst ^ first) & (cpu->cc_dst ^ cpu->cc_src) & top;
    case CC_SUB:
    case CC_SBB:
        return (first ^ cpu->cc_src) & (first ^ cpu->cc_dst) & top;
    case CC_INC:
        return cpu->cc_dst == top;
    case CC_DEC:
        return cpu->cc_dst == top - 1;
    case CC_SHL:
        return (cpu->cc_src ^ cpu->cc_dst) & top;
    case CC_SHR:
        return cpu->cc_aux;
    case CC_MUL:
        return cpu->cc_src != 0;
    default:
        return false;
    }
}

CC_INLINE bool cc_adjust(const struct soft_cpu *cpu, unsigned kind)
{
    switch (kind) {
    case CC_ADD:
    case CC_ADC:
    case CC_SUB:
    case CC_SBB:
        return (cc_first_operand(cpu, kind) ^ cpu->cc_src ^ cpu->cc_dst) & 0x10;
    case CC_INC:
        return (cpu->cc_dst & 0xf) == 0;
    case CC_DEC:
        return (cpu->cc_dst & 0xf) == 0xf;
    default:
        return false;
    }
}

CC_INLINE uint32_t cc_flags(const struct soft_cpu *cpu, unsigned kind)
{
    return (cc_carry(cpu, kind) ? RFLAGS_CF : 0) | (__builtin_parity((uint8_t)cpu->cc_dst) ? 0 : RFLAGS_PF) |
           (cc_adjust(cpu, kind) ? RFLAGS_AF : 0) | (cpu->cc_dst == 0 ? RFLAGS_ZF : 0) |
           (cpu->cc_dst & cc_top(cpu) ? RFLAGS_SF : 0) | (cc_overflow(cpu, kind) ? RFLAGS_OF : 0);
}

uint32_t soft_arithmetic_flags(const struct soft_cpu *cpu)
{
    switch (cc_kind(cpu)) {
    case CC_FLAGS:
        return (uint32_t)cpu->cc_src;
    case CC_ADD:
        return cc_flags(cpu, CC_ADD);
    case CC_SUB:
        return cc_flags(cpu, CC_SUB);
    case CC_LOGIC:
        return cc_flags(cpu, CC_LOGIC);
    default:
        return cc_flags(cpu, cc_kind(cpu));
    }
}

static bool condition_of_flags(uint32_t flags, unsigned condition)
{
    bool sign_differs = !(flags & RFLAGS_SF) != !(flags & RFLAGS_OF);

    switch (condition & 14) {
    case 0:
        return flags & RFLAGS_OF;
    case 2:
        return flags & RFLAGS_CF;
    case 4:
        return flags & RFLAGS_ZF;
    case 6:
        return flags & (RFLAGS_CF | RFLAGS_ZF);
    case 8:
        return flags & RFLAGS_SF;
    case 10:
        return flags & RFLAGS_PF;
    case 12:
        return sign_differs;
    default:
        return (flags & RFLAGS_ZF) || sign_differs;
    }
}

bool soft_condition(const struct soft_cpu *cpu, unsigned condition)
{
    return condition_of_flags(soft_arithmetic_flags(cpu), condition) != (condition & 1);
}

void soft_set_rflags(struct soft_cpu *cpu, uint64_t value, uint64_t mask)
{
    if (mask & RFLAGS_ARITHMETIC) {
        uint32_t kept = soft_arithmetic_flags(cpu) & ~(uint32_t)mask;

        soft_set_arithmetic_flags(cpu, kept | (uint32_t)(value & mask));
    }
    mask &= ~(uint64_t)RFLAGS_ARITHMETIC;
    cpu->rflags = (cpu->rflags & ~mask) | (value & mask);
}
