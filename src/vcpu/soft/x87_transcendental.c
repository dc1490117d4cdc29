/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x87 functions that move the stack: FYL2X, FYL2XP1 and FPATAN take two operands and leave one; FPTAN, FSINCOS and
 * FXTRACT take one and leave two. The host computes: x87.h. Whether it moved its stack, which it doesn't when an
 * unmasked exception or an operand out of range stops it, is seen in its TOP.
 */
#include "vcpu/soft/x87.h"

/* Compares the host's TOP with the one before: zero if it has not moved. */
#define X87_IF_TOP_MOVED                                                                                               \
    "xorl %k[status], %k[before]\n\t"                                                                                  \
    "testl $0x3800, %k[before]\n\t"

/* --- two to one --------------------------------------------------------------------------------------------------- */

/* *b = f(*b, *a), ST(0) being a and ST(1) b. */
typedef uint16_t x87_two_fn(const union soft_st *a, union soft_st *b);

#define X87_TWO_TO_ONE(name)                                                                                           \
    static inline uint16_t x87_##name(const union soft_st *a, union soft_st *b)                                        \
    {                                                                                                                  \
        uint32_t status, before;                                                                                       \
                                                                                                                       \
        __asm__ volatile("fldt %[b]\n\tfldt %[a]\n\tfnstsw %w[status]\n\tmovl %k[status], %k[before]\n\t" #name        \
                         "\n\t" X87_STATUS X87_IF_TOP_MOVED "jnz 2f\n\tfstp %%st(0)\n2:\n\tfstpt %[b]"                 \
                         : [b] "+m"(b->value), [status] "=&a"(status), [before] "=&r"(before)                          \
                         : [a] "m"(a->value)                                                                           \
                         : X87_CLOBBERS);                                                                              \
        return (uint16_t)status;                                                                                       \
    }                                                                                                                  \
    void soft_x87_##name(struct soft_cpu *cpu, const struct soft_insn *insn)                                           \
    {                                                                                                                  \
        x87_two_to_one(cpu, insn, x87_##name);                                                                         \
    }

static inline void x87_two_to_one(struct soft_cpu *cpu, const struct soft_insn *insn, x87_two_fn *fn)
{
    struct soft_fpu *fpu = &cpu->fpu;
    uint16_t status;

    soft_x87_begin(cpu, insn);
    if (soft_x87_is_empty(fpu, 0) || soft_x87_is_empty(fpu, 1)) {
        if (soft_x87_stack_fault(fpu, false)) {
            soft_x87_set_indefinite(soft_x87_st(fpu, 1));
            fpu->valid |= (uint8_t)(1u << ((fpu->top + 1) & 7));
            soft_x87_pop(fpu);
        }
        return;
    }
    soft_x87_begin_op(fpu);
    status = fn(soft_x87_st(fpu, 0), soft_x87_st(fpu, 1));
    if (soft_x87_end_op(fpu, status, X87_C1, X87_BEFORE)) {
        soft_x87_pop(fpu);
    }
}

X87_TWO_TO_ONE(fyl2x)
X87_TWO_TO_ONE(fyl2xp1)
X87_TWO_TO_ONE(fpatan)

/* --- one to two --------------------------------------------------------------------------------------------------- */

/* *a becomes the new ST(1), *pushed the new ST(0); *moved: zero if nothing was pushed. */
typedef uint16_t x87_one_fn(union soft_st *a, union soft_st *pushed, uint32_t *moved);

#define X87_ONE_TO_TWO(name, condition)                                                                                \
    static inline uint16_t x87_##name(union soft_st *a, union soft_st *pushed, uint32_t *moved)                        \
    {                                                                                                                  \
        uint32_t status, before;                                                                                       \
                                                                                                                       \
        __asm__ volatile(                                                                                              \
            "fldt %[a]\n\tfnstsw %w[status]\n\tmovl %k[status], %k[before]\n\t" #name                                  \
            "\n\t" X87_STATUS X87_IF_TOP_MOVED "jz 2f\n\tfstpt %[pushed]\n2:\n\tfstpt %[a]"                            \
            : [a] "+m"(a->value), [pushed] "+m"(pushed->value), [status] "=&a"(status), [before] "=&r"(before)         \
            :                                                                                                          \
            : X87_CLOBBERS);                                                                                           \
        *moved = before & X87_TOP;                                                                                     \
        return (uint16_t)status;                                                                                       \
    }                                                                                                                  \
    void soft_x87_##name(struct soft_cpu *cpu, const struct soft_insn *insn)                                           \
    {                                                                                                                  \
        x87_one_to_two(cpu, insn, x87_##name, condition);                                                              \
    }

/* Both results are indefinite after a stack fault. */
static void x87_one_to_two_fault(struct soft_fpu *fpu, bool overflow)
{
    if (soft_x87_stack_fault(fpu, overflow)) {
        soft_x87_set_indefinite(soft_x87_st(fpu, 0));
        fpu->valid |= (uint8_t)(1u << fpu->top);
        soft_x87_set_indefinite(soft_x87_push(fpu));
    }
}

static inline void x87_one_to_two(struct soft_cpu *cpu, const struct soft_insn *insn, x87_one_fn *fn,
                                  uint16_t condition)
{
    struct soft_fpu *fpu = &cpu->fpu;
    union soft_st pushed = {0};
    uint32_t moved;
    uint16_t status;

    soft_x87_begin(cpu, insn);
    if (soft_x87_is_empty(fpu, 0) || !soft_x87_is_empty(fpu, 7)) {
        fpu->fsw &= (uint16_t)~condition;
        x87_one_to_two_fault(fpu, !soft_x87_is_empty(fpu, 0));
        return;
    }
    soft_x87_begin_op(fpu);
    status = fn(soft_x87_st(fpu, 0), &pushed, &moved);
    soft_x87_end_op(fpu, status, condition, X87_BEFORE);
    if (moved) {
        soft_x87_copy(soft_x87_push(fpu), &pushed);
    }
}

X87_ONE_TO_TWO(fptan, X87_C1 | X87_C2)
X87_ONE_TO_TWO(fsincos, X87_C1 | X87_C2)
X87_ONE_TO_TWO(fxtract, X87_C1)
