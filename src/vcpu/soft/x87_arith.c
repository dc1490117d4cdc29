/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x87 arithmetic: add, subtract, multiply, divide in all their forms, and what works on ST(0) alone or on ST(0) and
 * ST(1) without moving the stack. The host computes: x87.h.
 *
 * The destination is always the first operand too. An instruction that an unmasked exception stops leaves the host's
 * ST(0) alone, so storing it back is right even then.
 */
#include "vcpu/soft/x87.h"

/* Of a register destination: an empty operand makes the result indefinite. */
static void x87_operand_missing(struct soft_fpu *fpu, unsigned dst, bool pop)
{
    if (soft_x87_stack_fault(fpu, false)) {
        soft_x87_set_indefinite(soft_x87_st(fpu, dst));
        fpu->valid |= (uint8_t)(1u << ((fpu->top + dst) & 7));
        if (pop) {
            soft_x87_pop(fpu);
        }
    }
}

/* --- two registers ------------------------------------------------------------------------------------------------ */

/* *a = *a op *b. Returns the host's status. */
typedef uint16_t x87_binary_fn(union soft_st *a, const union soft_st *b);

#define X87_BINARY(name, text)                                                                                         \
    static inline uint16_t x87_##name(union soft_st *a, const union soft_st *b)                                        \
    {                                                                                                                  \
        uint16_t status;                                                                                               \
                                                                                                                       \
        __asm__ volatile("fldt %[b]\n\tfldt %[a]\n\t" text "\n\t" X87_STATUS "fstpt %[a]\n\tfstp %%st(0)"              \
                         : [a] "+m"(a->value), [status] "=&a"(status)                                                  \
                         : [b] "m"(b->value)                                                                           \
                         : X87_CLOBBERS);                                                                              \
        return status;                                                                                                 \
    }

static inline void x87_registers(struct soft_cpu *cpu, const struct soft_insn *insn, x87_binary_fn *fn, unsigned dst,
                                 unsigned src, bool pop)
{
    struct soft_fpu *fpu = &cpu->fpu;
    uint16_t status;

    soft_x87_begin(cpu, insn);
    if (unlikely(soft_x87_is_empty(fpu, dst) || soft_x87_is_empty(fpu, src))) {
        x87_operand_missing(fpu, dst, pop);
        return;
    }
    soft_x87_begin_op(fpu);
    status = fn(soft_x87_st(fpu, dst), soft_x87_st(fpu, src));
    if (soft_x87_end_op(fpu, status, X87_C1, X87_BEFORE) && pop) {
        soft_x87_pop(fpu);
    }
}

/* --- ST(0) and memory --------------------------------------------------------------------------------------------- */

#define X87_BINARY_MEMORY(name, type, text)                                                                            \
    static inline uint16_t x87_##name(union soft_st *a, uint64_t memory)                                               \
    {                                                                                                                  \
        uint16_t status;                                                                                               \
        type b = (type)memory;                                                                                         \
                                                                                                                       \
        __asm__ volatile("fldt %[a]\n\t" text " %[b]\n\t" X87_STATUS "fstpt %[a]"                                      \
                         : [a] "+m"(a->value), [status] "=&a"(status)                                                  \
                         : [b] "m"(b)                                                                                  \
                         : X87_CLOBBERS);                                                                              \
        return status;                                                                                                 \
    }

typedef uint16_t x87_memory_fn(union soft_st *a, uint64_t memory);

static inline void x87_with_memory(struct soft_cpu *cpu, const struct soft_insn *insn, x87_memory_fn *fn,
                                   unsigned size_bytes)
{
    struct soft_fpu *fpu = &cpu->fpu;
    struct soft_x87_memory memory;
    uint64_t value;
    uint16_t status;

    soft_x87_wait(cpu);
    memory = soft_x87_memory(cpu, insn, size_bytes, SOFT_READ);
    value = soft_load(cpu, memory.linear, size_bytes);
    soft_x87_set_memory_pointers(cpu, insn, &memory);
    if (unlikely(soft_x87_is_empty(fpu, 0))) {
        x87_operand_missing(fpu, 0, false);
        return;
    }
    soft_x87_begin_op(fpu);
    status = fn(soft_x87_st(fpu, 0), value);
    soft_x87_end_op(fpu, status, X87_C1, X87_BEFORE);
}

#define X87_WITH_MEMORY(name, type, text)                                                                              \
    X87_BINARY_MEMORY(name, type, text)                                                                                \
    void soft_x87_##name(struct soft_cpu *cpu, const struct soft_insn *insn)                                           \
    {                                                                                                                  \
        x87_with_memory(cpu, insn, x87_##name, sizeof(type));                                                          \
    }

/* --- the six operations in their seven forms ---------------------------------------------------------------------- */

/* text: the mnemonic behind its F. With ST(0) as destination, assemblers agree on which way round it subtracts. */
#define X87_ARITHMETIC(name, text)                                                                                     \
    X87_BINARY(name, "f" text " %%st(1), %%st")                                                                        \
    X87_WITH_MEMORY(name##_m32, uint32_t, "f" text "s")                                                                \
    X87_WITH_MEMORY(name##_m64, uint64_t, "f" text "l")                                                                \
    X87_WITH_MEMORY(name##_i16, uint16_t, "fi" text "s")                                                               \
    X87_WITH_MEMORY(name##_i32, uint32_t, "fi" text "l")                                                               \
    void soft_x87_##name##_st0(struct soft_cpu *cpu, const struct soft_insn *insn)                                     \
    {                                                                                                                  \
        x87_registers(cpu, insn, x87_##name, 0, insn->modrm & 7, false);                                               \
    }                                                                                                                  \
    void soft_x87_##name##_sti(struct soft_cpu *cpu, const struct soft_insn *insn)                                     \
    {                                                                                                                  \
        x87_registers(cpu, insn, x87_##name, insn->modrm & 7, 0, false);                                               \
    }                                                                                                                  \
    void soft_x87_##name##p(struct soft_cpu *cpu, const struct soft_insn *insn)                                        \
    {                                                                                                                  \
        x87_registers(cpu, insn, x87_##name, insn->modrm & 7, 0, true);                                                \
    }

X87_ARITHMETIC(add, "add")
X87_ARITHMETIC(mul, "mul")
X87_ARITHMETIC(sub, "sub")
X87_ARITHMETIC(subr, "subr")
X87_ARITHMETIC(div, "div")
X87_ARITHMETIC(divr, "divr")

/* --- ST(0) alone, or with ST(1) ----------------------------------------------------------------------------------- */

typedef uint16_t x87_unary_fn(union soft_st *a);

static inline void x87_top(struct soft_cpu *cpu, const struct soft_insn *insn, x87_unary_fn *fn, uint16_t condition)
{
    struct soft_fpu *fpu = &cpu->fpu;
    uint16_t status;

    soft_x87_begin(cpu, insn);
    if (unlikely(soft_x87_is_empty(fpu, 0))) {
        fpu->fsw &= (uint16_t)~condition;
        x87_operand_missing(fpu, 0, false);
        return;
    }
    soft_x87_begin_op(fpu);
    status = fn(soft_x87_st(fpu, 0));
    soft_x87_end_op(fpu, status, condition, X87_BEFORE);
}

/* condition: the condition bits that the manual defines after it. */
#define X87_TOP_ONLY(name, condition)                                                                                  \
    static inline uint16_t x87_##name(union soft_st *a)                                                                \
    {                                                                                                                  \
        uint16_t status;                                                                                               \
                                                                                                                       \
        __asm__ volatile("fldt %[a]\n\t" #name "\n\t" X87_STATUS "fstpt %[a]"                                          \
                         : [a] "+m"(a->value), [status] "=&a"(status)                                                  \
                         :                                                                                             \
                         : X87_CLOBBERS);                                                                              \
        return status;                                                                                                 \
    }                                                                                                                  \
    void soft_x87_##name(struct soft_cpu *cpu, const struct soft_insn *insn)                                           \
    {                                                                                                                  \
        x87_top(cpu, insn, x87_##name, condition);                                                                     \
    }

X87_TOP_ONLY(fsqrt, X87_C1)
X87_TOP_ONLY(frndint, X87_C1)
X87_TOP_ONLY(f2xm1, X87_C1)
X87_TOP_ONLY(fsin, X87_C1 | X87_C2)
X87_TOP_ONLY(fcos, X87_C1 | X87_C2)

X87_BINARY(fscale, "fscale")
X87_BINARY(fprem, "fprem")
X87_BINARY(fprem1, "fprem1")

static inline bool x87_top_two_present(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct soft_fpu *fpu = &cpu->fpu;

    soft_x87_begin(cpu, insn);
    if (unlikely(soft_x87_is_empty(fpu, 0) || soft_x87_is_empty(fpu, 1))) {
        x87_operand_missing(fpu, 0, false);
        return false;
    }
    return true;
}

void soft_x87_fscale(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct soft_fpu *fpu = &cpu->fpu;
    uint16_t status;

    if (x87_top_two_present(cpu, insn)) {
        soft_x87_begin_op(fpu);
        status = x87_fscale(soft_x87_st(fpu, 0), soft_x87_st(fpu, 1));
        soft_x87_end_op(fpu, status, X87_C1, X87_BEFORE);
    }
}

/* C0, C3 and C1 are the quotient's low bits, C2 tells that the reduction isn't complete. A NaN has no quotient. */
static inline void x87_remainder(struct soft_cpu *cpu, const struct soft_insn *insn, x87_binary_fn *fn)
{
    struct soft_fpu *fpu = &cpu->fpu;
    union soft_st *st = soft_x87_st(fpu, 0);
    bool has_quotient;
    uint16_t status;

    if (!x87_top_two_present(cpu, insn)) {
        fpu->fsw &= (uint16_t)~X87_C2;
        return;
    }
    soft_x87_begin_op(fpu);
    status = fn(st, soft_x87_st(fpu, 1));
    has_quotient = (st->exponent & 0x7fff) != 0x7fff && !(status & ~fpu->fcw & X87_BEFORE);
    soft_x87_end_op(fpu, status, has_quotient ? X87_CONDITION : X87_C1 | X87_C2, X87_BEFORE);
}

void soft_x87_fprem(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    x87_remainder(cpu, insn, x87_fprem);
}

void soft_x87_fprem1(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    x87_remainder(cpu, insn, x87_fprem1);
}

/* --- the sign ----------------------------------------------------------------------------------------------------- */

static inline union soft_st *x87_sign_operand(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct soft_fpu *fpu = &cpu->fpu;

    soft_x87_begin(cpu, insn);
    if (unlikely(soft_x87_is_empty(fpu, 0))) {
        x87_operand_missing(fpu, 0, false);
        return NULL;
    }
    fpu->fsw &= (uint16_t)~X87_C1;
    return soft_x87_st(fpu, 0);
}

void soft_x87_fchs(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    union soft_st *st = x87_sign_operand(cpu, insn);

    if (st) {
        st->exponent ^= 0x8000;
    }
}

void soft_x87_fabs(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    union soft_st *st = x87_sign_operand(cpu, insn);

    if (st) {
        st->exponent &= 0x7fff;
    }
}
