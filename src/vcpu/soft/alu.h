/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Arithmetic and logic with lazy flags, inline: with a constant kind and size what is left is an addition and three
 * stores. Shared by micro-operations and exec functions. The vCPU's thread.
 */
#ifndef HDL_VCPU_SOFT_ALU_H
#define HDL_VCPU_SOFT_ALU_H

#include "vcpu/soft/flags.h"
#include "vcpu/soft/insn.h"
#include "vcpu/soft/operand.h"

static inline void soft_cc_set(struct soft_cpu *cpu, unsigned cc, uint64_t result, uint64_t source)
{
    cpu->cc_op = cc;
    cpu->cc_dst = result;
    cpu->cc_src = source;
}

static inline __attribute__((always_inline)) uint64_t soft_alu_inline(struct soft_cpu *cpu, unsigned kind,
                                                                      unsigned log2_bytes, uint64_t a, uint64_t b)
{
    uint64_t mask = soft_mask(1u << log2_bytes), result;
    uint64_t carry;

    switch (kind) {
    case SOFT_KIND_ADD:
        result = (a + b) & mask;
        soft_cc_set(cpu, SOFT_CC(CC_ADD, log2_bytes), result, b);
        return result;
    case SOFT_KIND_ADC:
        carry = soft_carry(cpu);
        result = (a + b + carry) & mask;
        soft_cc_set(cpu, SOFT_CC(CC_ADC, log2_bytes), result, b);
        cpu->cc_aux = carry;
        return result;
    case SOFT_KIND_SUB:
    case SOFT_KIND_CMP:
        result = (a - b) & mask;
        soft_cc_set(cpu, SOFT_CC(CC_SUB, log2_bytes), result, b);
        return result;
    case SOFT_KIND_SBB:
        carry = soft_carry(cpu);
        result = (a - b - carry) & mask;
        soft_cc_set(cpu, SOFT_CC(CC_SBB, log2_bytes), result, b);
        cpu->cc_aux = carry;
        return result;
    case SOFT_KIND_OR:
        result = a | b;
        break;
    case SOFT_KIND_XOR:
        result = a ^ b;
        break;
    default: /* AND, TEST */
        result = a & b;
    }
    soft_cc_set(cpu, SOFT_CC(CC_LOGIC, log2_bytes), result, 0);
    return result;
}

#endif
