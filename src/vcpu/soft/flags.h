/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lazy flags: an instruction that sets the arithmetic flags stores what they can be computed from, and whoever reads
 * them computes. The vCPU's thread.
 *
 *   kind    cc_dst       cc_src                             cc_aux
 *   FLAGS   -            the flags themselves               -
 *   ADD     result       second operand                     -
 *   ADC     result       second operand                     carry in
 *   SUB     result       second operand (CMP, NEG too)      -
 *   SBB     result       second operand                     borrow in
 *   LOGIC   result       -                                  -
 *   INC,DEC result       CF as it was                       -
 *   SHL     result       the operand shifted by one less    -
 *   SHR     result       the same: SHR and SAR              bit of OF (the operand's top bit), for counts of 1
 *   MUL     low result   nonzero: CF and OF                 -
 *
 * Values are kept to their size: cc_dst and cc_src are zero-extended.
 */
#ifndef HDL_VCPU_SOFT_FLAGS_H
#define HDL_VCPU_SOFT_FLAGS_H

#include "vcpu/soft/cpu.h"

enum soft_cc_kind {
    CC_FLAGS,
    CC_ADD,
    CC_ADC,
    CC_SUB,
    CC_SBB,
    CC_LOGIC,
    CC_INC,
    CC_DEC,
    CC_SHL,
    CC_SHR,
    CC_MUL,
    CC_KINDS
};

/* cc_op: a kind and the size's logarithm (0..3: 1, 2, 4, 8 bytes). */
#define SOFT_CC(kind, log2_bytes) ((kind) << 2 | (log2_bytes))

/* The arithmetic flags now. */
uint32_t soft_arithmetic_flags(const struct soft_cpu *cpu);
/* One of the sixteen conditions, as encoded in Jcc's low four bits. */
bool soft_condition(const struct soft_cpu *cpu, unsigned condition);
bool soft_carry(const struct soft_cpu *cpu);

/* flags: RFLAGS_ARITHMETIC bits. */
static inline void soft_set_arithmetic_flags(struct soft_cpu *cpu, uint32_t flags)
{
    cpu->cc_op = SOFT_CC(CC_FLAGS, 0);
    cpu->cc_src = flags & RFLAGS_ARITHMETIC;
}

/* All of RFLAGS. */
static inline uint64_t soft_rflags(const struct soft_cpu *cpu)
{
    return cpu->rflags | soft_arithmetic_flags(cpu) | RFLAGS_FIXED;
}

/*
 * Replaces the bits of mask, arithmetic and others, in both places. Whoever changes IF, TF, VM or AC with it, outside
 * an instruction that ends its block, has soft_update_mode (VM, TF) or soft_tlb_select (AC) follow.
 */
void soft_set_rflags(struct soft_cpu *cpu, uint64_t value, uint64_t mask);

#endif
