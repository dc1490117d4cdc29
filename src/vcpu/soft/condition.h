/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Conditions, inline: after a comparison or a logical operation, with a constant condition, and from lazy flags
 * whatever made them. The vCPU's thread.
 */
#ifndef HDL_VCPU_SOFT_CONDITION_H
#define HDL_VCPU_SOFT_CONDITION_H

#include "vcpu/soft/flags.h"

/* The condition after comparing a with b, both sign-extended from their size in `sa`, `sb` and zero-extended in `a`,
 * `b`. */
static inline __attribute__((always_inline)) bool soft_condition_compare(const struct soft_cpu *cpu, unsigned condition,
                                                                         uint64_t a, uint64_t b, int64_t sa, int64_t sb)
{
    switch (condition) {
    case 2:
        return a < b;
    case 3:
        return a >= b;
    case 4:
        return a == b;
    case 5:
        return a != b;
    case 6:
        return a <= b;
    case 7:
        return a > b;
    case 12:
        return sa < sb;
    case 13:
        return sa >= sb;
    case 14:
        return sa <= sb;
    case 15:
        return sa > sb;
    default: /* overflow, sign and parity, from the flags that the comparison has set */
        return soft_condition(cpu, condition);
    }
}

/* The condition after a logical operation: no carry, no overflow. result: sign-extended. */
static inline __attribute__((always_inline)) bool soft_condition_logic(unsigned condition, int64_t result)
{
    switch (condition) {
    case 0:
    case 2:
        return false;
    case 1:
    case 3:
        return true;
    case 4:
    case 6:
        return result == 0;
    case 5:
    case 7:
        return result != 0;
    case 8:
    case 12:
        return result < 0;
    case 9:
    case 13:
        return result >= 0;
    case 10:
        return !__builtin_parity((uint8_t)result);
    case 11:
        return __builtin_parity((uint8_t)result);
    case 14:
        return result <= 0;
    default:
        return result > 0;
    }
}

/*
 * From the flags as they are: the zero flag needs no more than the result, and what follows a comparison compares. Both
 * are moved to the top of 64 bits, where they compare as they did in their size.
 */
static inline __attribute__((always_inline)) bool soft_condition_lazy(const struct soft_cpu *cpu, unsigned condition)
{
    if ((condition & 14) == 4 && likely(cpu->cc_op >> 2 != CC_FLAGS)) {
        return (cpu->cc_dst == 0) == !(condition & 1);
    }
    if (cpu->cc_op >> 2 == CC_SUB && (condition & 14) != 0 && (condition & 12) != 8) {
        unsigned shift = 64 - (8u << (cpu->cc_op & 3));
        uint64_t b = cpu->cc_src << shift, a = (cpu->cc_dst << shift) + b;

        return soft_condition_compare(cpu, condition, a, b, (int64_t)a, (int64_t)b);
    }
    return soft_condition(cpu, condition);
}

#endif
