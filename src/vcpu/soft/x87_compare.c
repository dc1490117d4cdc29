/* SPDX-License-Identifier: GPL-2.0-or-later */
/* x87 comparisons: FCOM, FUCOM, FICOM, FTST, FCOMI, FUCOMI and FXAM. The host compares: x87.h. */
#include "vcpu/soft/flags.h"
#include "vcpu/soft/x87.h"

#define X87_UNORDERED (X87_C0 | X87_C2 | X87_C3)

static void x87_pop_times(struct soft_fpu *fpu, unsigned pops)
{
    while (pops--) {
        soft_x87_pop(fpu);
    }
}

/* An operand is missing: unordered, if the exception is masked. */
static void x87_compare_missing(struct soft_fpu *fpu, unsigned pops)
{
    if (soft_x87_stack_fault(fpu, false)) {
        fpu->fsw |= X87_UNORDERED;
        x87_pop_times(fpu, pops);
    }
}

/* What the host found. A comparison that an unmasked exception stops leaves the condition bits alone. */
static inline void x87_compare_end(struct soft_fpu *fpu, uint16_t status, unsigned pops)
{
    if (likely(soft_x87_end_op(fpu, status, X87_C1, X87_BEFORE))) {
        fpu->fsw = (uint16_t)((fpu->fsw & ~X87_CONDITION) | (status & X87_UNORDERED));
        x87_pop_times(fpu, pops);
    }
}

/* --- with a register ---------------------------------------------------------------------------------------------- */

typedef uint16_t x87_compare_fn(const union soft_st *a, const union soft_st *b);

#define X87_COMPARE(name, text)                                                                                        \
    static inline uint16_t x87_##name(const union soft_st *a, const union soft_st *b)                                  \
    {                                                                                                                  \
        uint16_t status;                                                                                               \
                                                                                                                       \
        __asm__ volatile("fldt %[b]\n\tfldt %[a]\n\t" text "\n\t" X87_STATUS "fstp %%st(0)\n\tfstp %%st(0)"            \
                         : [status] "=&a"(status)                                                                      \
                         : [a] "m"(a->value), [b] "m"(b->value)                                                        \
                         : X87_CLOBBERS);                                                                              \
        return status;                                                                                                 \
    }

X87_COMPARE(fcom, "fcom %%st(1)")
X87_COMPARE(fucom, "fucom %%st(1)")

static inline void x87_compare(struct soft_cpu *cpu, const struct soft_insn *insn, x87_compare_fn *fn, unsigned pops)
{
    struct soft_fpu *fpu = &cpu->fpu;
    unsigned i = insn->modrm & 7;

    soft_x87_begin(cpu, insn);
    if (unlikely(soft_x87_is_empty(fpu, 0) || soft_x87_is_empty(fpu, i))) {
        x87_compare_missing(fpu, pops);
        return;
    }
    soft_x87_begin_op(fpu);
    x87_compare_end(fpu, fn(soft_x87_st(fpu, 0), soft_x87_st(fpu, i)), pops);
}

#define X87_COMPARE_REGISTERS(name, fn, pops)                                                                          \
    void soft_x87_##name(struct soft_cpu *cpu, const struct soft_insn *insn)                                           \
    {                                                                                                                  \
        x87_compare(cpu, insn, fn, pops);                                                                              \
    }

X87_COMPARE_REGISTERS(com, x87_fcom, 0)
X87_COMPARE_REGISTERS(comp, x87_fcom, 1)
X87_COMPARE_REGISTERS(compp, x87_fcom, 2)
X87_COMPARE_REGISTERS(fucom, x87_fucom, 0)
X87_COMPARE_REGISTERS(fucomp, x87_fucom, 1)
X87_COMPARE_REGISTERS(fucompp, x87_fucom, 2)

/* --- with memory -------------------------------------------------------------------------------------------------- */

typedef uint16_t x87_compare_memory_fn(const union soft_st *a, uint64_t memory);

static inline void x87_compare_memory(struct soft_cpu *cpu, const struct soft_insn *insn, x87_compare_memory_fn *fn,
                                      unsigned size_bytes, unsigned pops)
{
    struct soft_fpu *fpu = &cpu->fpu;
    struct soft_x87_memory memory;
    uint64_t value;

    soft_x87_wait(cpu);
    memory = soft_x87_memory(cpu, insn, size_bytes, SOFT_READ);
    value = soft_load(cpu, memory.linear, size_bytes);
    soft_x87_set_memory_pointers(cpu, insn, &memory);
    if (unlikely(soft_x87_is_empty(fpu, 0))) {
        x87_compare_missing(fpu, pops);
        return;
    }
    soft_x87_begin_op(fpu);
    x87_compare_end(fpu, fn(soft_x87_st(fpu, 0), value), pops);
}

#define X87_COMPARE_MEMORY(suffix, type, text)                                                                         \
    static inline uint16_t x87_com_##suffix(const union soft_st *a, uint64_t memory)                                   \
    {                                                                                                                  \
        uint16_t status;                                                                                               \
        type b = (type)memory;                                                                                         \
                                                                                                                       \
        __asm__ volatile("fldt %[a]\n\t" text " %[b]\n\t" X87_STATUS "fstp %%st(0)"                                    \
                         : [status] "=&a"(status)                                                                      \
                         : [a] "m"(a->value), [b] "m"(b)                                                               \
                         : X87_CLOBBERS);                                                                              \
        return status;                                                                                                 \
    }                                                                                                                  \
    void soft_x87_com_##suffix(struct soft_cpu *cpu, const struct soft_insn *insn)                                     \
    {                                                                                                                  \
        x87_compare_memory(cpu, insn, x87_com_##suffix, sizeof(type), 0);                                              \
    }                                                                                                                  \
    void soft_x87_comp_##suffix(struct soft_cpu *cpu, const struct soft_insn *insn)                                    \
    {                                                                                                                  \
        x87_compare_memory(cpu, insn, x87_com_##suffix, sizeof(type), 1);                                              \
    }

X87_COMPARE_MEMORY(m32, uint32_t, "fcoms")
X87_COMPARE_MEMORY(m64, uint64_t, "fcoml")
X87_COMPARE_MEMORY(i16, uint16_t, "ficoms")
X87_COMPARE_MEMORY(i32, uint32_t, "ficoml")

/* --- ST(0) alone -------------------------------------------------------------------------------------------------- */

#define X87_EXAMINE(name)                                                                                              \
    static inline uint16_t x87_##name(const union soft_st *a)                                                          \
    {                                                                                                                  \
        uint16_t status;                                                                                               \
                                                                                                                       \
        __asm__ volatile("fldt %[a]\n\t" #name "\n\t" X87_STATUS "fstp %%st(0)"                                        \
                         : [status] "=&a"(status)                                                                      \
                         : [a] "m"(a->value)                                                                           \
                         : X87_CLOBBERS);                                                                              \
        return status;                                                                                                 \
    }

X87_EXAMINE(ftst)
X87_EXAMINE(fxam)

void soft_x87_ftst(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct soft_fpu *fpu = &cpu->fpu;

    soft_x87_begin(cpu, insn);
    if (soft_x87_is_empty(fpu, 0)) {
        x87_compare_missing(fpu, 0);
        return;
    }
    soft_x87_begin_op(fpu);
    x87_compare_end(fpu, x87_ftst(soft_x87_st(fpu, 0)), 0);
}

/* Raises nothing, and knows an empty register, whose sign it shows as well. */
void soft_x87_fxam(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct soft_fpu *fpu = &cpu->fpu;
    const union soft_st *st = soft_x87_st(fpu, 0);
    uint16_t condition;

    soft_x87_begin(cpu, insn);
    if (soft_x87_is_empty(fpu, 0)) {
        condition = X87_C3 | X87_C0 | (st->exponent & 0x8000 ? X87_C1 : 0);
    } else {
        condition = x87_fxam(st) & X87_CONDITION;
    }
    fpu->fsw = (uint16_t)((fpu->fsw & ~X87_CONDITION) | condition);
}

/* --- to EFLAGS ---------------------------------------------------------------------------------------------------- */

typedef uint16_t x87_compare_flags_fn(const union soft_st *a, const union soft_st *b, uint8_t *flags);

/* *flags: the low byte of EFLAGS. */
#define X87_COMPARE_FLAGS(name)                                                                                        \
    static inline uint16_t x87_##name(const union soft_st *a, const union soft_st *b, uint8_t *flags)                  \
    {                                                                                                                  \
        uint16_t status;                                                                                               \
        uint8_t low;                                                                                                   \
                                                                                                                       \
        __asm__ volatile("fldt %[b]\n\tfldt %[a]\n\t" #name " %%st(1), %%st\n\t"                                       \
                         "lahf\n\t"                                                                                    \
                         "movb %%ah, %[low]\n\t" X87_STATUS "fstp %%st(0)\n\tfstp %%st(0)"                             \
                         : [status] "=&a"(status), [low] "=&c"(low) /* not one that AH can't meet */                   \
                         : [a] "m"(a->value), [b] "m"(b->value)                                                        \
                         : X87_CLOBBERS);                                                                              \
        *flags = low;                                                                                                  \
        return status;                                                                                                 \
    }

X87_COMPARE_FLAGS(fcomi)
X87_COMPARE_FLAGS(fucomi)

static inline void x87_compare_flags(struct soft_cpu *cpu, const struct soft_insn *insn, x87_compare_flags_fn *fn,
                                     unsigned pops)
{
    struct soft_fpu *fpu = &cpu->fpu;
    unsigned i = insn->modrm & 7;
    uint8_t flags = RFLAGS_ZF | RFLAGS_PF | RFLAGS_CF;
    uint16_t status;

    soft_x87_begin(cpu, insn);
    if (unlikely(soft_x87_is_empty(fpu, 0) || soft_x87_is_empty(fpu, i))) {
        if (!soft_x87_stack_fault(fpu, false)) {
            return;
        }
    } else {
        soft_x87_begin_op(fpu);
        status = fn(soft_x87_st(fpu, 0), soft_x87_st(fpu, i), &flags);
        if (!soft_x87_end_op(fpu, status, X87_C1, X87_BEFORE)) {
            return;
        }
        fpu->fsw &= (uint16_t)~X87_C1;
    }
    soft_set_arithmetic_flags(cpu, flags & (RFLAGS_ZF | RFLAGS_PF | RFLAGS_CF));
    x87_pop_times(fpu, pops);
}

#define X87_COMPARE_EFLAGS(name, fn, pops)                                                                             \
    void soft_x87_##name(struct soft_cpu *cpu, const struct soft_insn *insn)                                           \
    {                                                                                                                  \
        x87_compare_flags(cpu, insn, fn, pops);                                                                        \
    }

X87_COMPARE_EFLAGS(fcomi, x87_fcomi, 0)
X87_COMPARE_EFLAGS(fcomip, x87_fcomi, 1)
X87_COMPARE_EFLAGS(fucomi, x87_fucomi, 0)
X87_COMPARE_EFLAGS(fucomip, x87_fucomi, 1)
