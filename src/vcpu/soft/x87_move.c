/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x87 loads, stores and moves between registers, with the conversions that they imply. The host converts: x87.h.
 *
 * A store computes first, makes sure that the memory can be written, writes it, and only then changes the state; as
 * computing leaves flags in the host, the memory is probed before.
 */
#include "vcpu/soft/flags.h"
#include "vcpu/soft/vector_mem.h"
#include "vcpu/soft/x87.h"

/* The new ST(0) for a push, or NULL after an overflow, with the masked response done. */
static inline union soft_st *x87_push_checked(struct soft_fpu *fpu)
{
    if (unlikely(!soft_x87_is_empty(fpu, 7))) {
        if (soft_x87_stack_fault(fpu, true)) {
            soft_x87_set_indefinite(soft_x87_push(fpu));
        }
        return NULL;
    }
    return soft_x87_push(fpu);
}

/* --- loads from memory -------------------------------------------------------------------------------------------- */

/*
 * Returns the host's status. *pushed: whether there is a result. Processors differ in what an unmasked denormal operand
 * does; so after an unmasked exception, FXAM tells whether the host's register is empty.
 */
typedef uint16_t x87_load_fn(union soft_st *result, uint64_t memory, bool *pushed);

#define X87_LOAD(name, type, text)                                                                                     \
    static inline uint16_t x87_##name(union soft_st *result, uint64_t memory, bool *pushed)                            \
    {                                                                                                                  \
        uint32_t status, class = 0;                                                                                    \
        type value = (type)memory;                                                                                     \
                                                                                                                       \
        __asm__ volatile(text " %[value]\n\t"                                                                          \
                              "fnstsw %w[status]\n\t"                                                                  \
                              "testb $0x80, %b[status]\n\t"                                                            \
                              "jz 1f\n\t"                                                                              \
                              "fnclex\n\t"                                                                             \
                              "fxam\n\t"                                                                               \
                              "movl %k[status], %k[class]\n\t"                                                         \
                              "fnstsw %w[status]\n\t"                                                                  \
                              "xchgl %k[status], %k[class]\n\t"                                                        \
                              "andl $0x4500, %k[class]\n\t"                                                            \
                              "cmpl $0x4100, %k[class]\n\t"                                                            \
                              "je 2f\n"                                                                                \
                              "1:\n\t"                                                                                 \
                              "fstpt %[result]\n"                                                                      \
                              "2:"                                                                                     \
                         : [result] "=m"(result->value), [status] "=&a"(status), [class] "+&r"(class)                  \
                         : [value] "m"(value)                                                                          \
                         : X87_CLOBBERS);                                                                              \
        *pushed = class != (X87_C3 | X87_C0);                                                                          \
        return (uint16_t)status;                                                                                       \
    }                                                                                                                  \
    void soft_x87_##name(struct soft_cpu *cpu, const struct soft_insn *insn)                                           \
    {                                                                                                                  \
        x87_load(cpu, insn, x87_##name, sizeof(type));                                                                 \
    }

static inline void x87_load(struct soft_cpu *cpu, const struct soft_insn *insn, x87_load_fn *fn, unsigned size_bytes)
{
    struct soft_fpu *fpu = &cpu->fpu;
    struct soft_x87_memory memory;
    union soft_st result;
    uint64_t value;
    bool pushed;

    soft_x87_wait(cpu);
    memory = soft_x87_memory(cpu, insn, size_bytes, SOFT_READ);
    value = soft_load(cpu, memory.linear, size_bytes);
    soft_x87_set_memory_pointers(cpu, insn, &memory);
    if (unlikely(!soft_x87_is_empty(fpu, 7))) {
        x87_push_checked(fpu);
        return;
    }
    soft_x87_begin_op(fpu);
    soft_x87_end_op(fpu, fn(&result, value, &pushed), X87_C1, 0);
    if (likely(pushed)) {
        *soft_x87_push(fpu) = result;
    }
}

X87_LOAD(fld_m32, uint32_t, "flds")
X87_LOAD(fld_m64, uint64_t, "fldl")
X87_LOAD(fild_m16, uint16_t, "filds")
X87_LOAD(fild_m32, uint32_t, "fildl")
X87_LOAD(fild_m64, uint64_t, "fildll")

/* 80 bits are moved as they are. */
void soft_x87_fld_m80(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct soft_x87_memory memory;
    union soft_st value = {0};
    union soft_st *st;

    soft_x87_wait(cpu);
    memory = soft_x87_memory(cpu, insn, 10, SOFT_READ);
    soft_load80(cpu, memory.linear, &value);
    soft_x87_set_memory_pointers(cpu, insn, &memory);
    st = x87_push_checked(&cpu->fpu);
    if (st) {
        *st = value;
        cpu->fpu.fsw &= (uint16_t)~X87_C1;
    }
}

void soft_x87_fbld(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct soft_x87_memory memory;
    union soft_st value = {0};
    union soft_st *st;

    soft_x87_wait(cpu);
    memory = soft_x87_memory(cpu, insn, 10, SOFT_READ);
    soft_load80(cpu, memory.linear, &value);
    soft_x87_set_memory_pointers(cpu, insn, &memory);
    st = x87_push_checked(&cpu->fpu);
    if (st) {
        __asm__ volatile("fbld %1\n\tfstpt %0" : "=m"(st->value) : "m"(value.bytes) : X87_CLOBBERS);
        cpu->fpu.fsw &= (uint16_t)~X87_C1;
    }
}

#define X87_CONSTANT(name)                                                                                             \
    void soft_x87_##name(struct soft_cpu *cpu, const struct soft_insn *insn)                                           \
    {                                                                                                                  \
        union soft_st *st;                                                                                             \
                                                                                                                       \
        soft_x87_begin(cpu, insn);                                                                                     \
        st = x87_push_checked(&cpu->fpu);                                                                              \
        if (st) {                                                                                                      \
            __asm__ volatile(#name "\n\tfstpt %0" : "=m"(st->value) : : X87_CLOBBERS);                                 \
            cpu->fpu.fsw &= (uint16_t)~X87_C1;                                                                         \
        }                                                                                                              \
    }

X87_CONSTANT(fld1)
X87_CONSTANT(fldl2t)
X87_CONSTANT(fldl2e)
X87_CONSTANT(fldpi)
X87_CONSTANT(fldlg2)
X87_CONSTANT(fldln2)
X87_CONSTANT(fldz)

/* --- stores to memory --------------------------------------------------------------------------------------------- */

/* Returns the host's status, and what to store in *memory. */
typedef uint16_t x87_store_fn(const union soft_st *st, uint64_t *memory);

/* stops: the exceptions that, unmasked, keep the instruction from storing (SDM 1, 8.5). */
static inline void x87_store(struct soft_cpu *cpu, const struct soft_insn *insn, x87_store_fn *fn, unsigned size_bytes,
                             uint16_t stops, bool pop)
{
    struct soft_fpu *fpu = &cpu->fpu;
    const union soft_st *st = soft_x87_st(fpu, 0);
    struct soft_x87_memory memory;
    union soft_st indefinite;
    uint64_t value = 0;
    uint16_t status;

    soft_x87_wait(cpu);
    memory = soft_x87_memory(cpu, insn, size_bytes, SOFT_WRITE);
    soft_x87_probe(cpu, memory.linear, size_bytes);
    soft_x87_set_memory_pointers(cpu, insn, &memory);
    if (unlikely(soft_x87_is_empty(fpu, 0))) {
        if (!soft_x87_stack_fault(fpu, false)) {
            return;
        }
        soft_x87_set_indefinite(&indefinite);
        st = &indefinite;
    }
    soft_x87_begin_op(fpu);
    status = fn(st, &value);
    if (!soft_x87_end_op(fpu, status, X87_C1, stops)) {
        return;
    }
    soft_store(cpu, memory.linear, size_bytes, value);
    if (pop) {
        soft_x87_pop(fpu);
    }
}

/* The host's register is emptied by EMMS, as a popping instruction that was stopped has left it there. */
#define X87_STORE(name, type, text, stops, pop)                                                                        \
    static inline uint16_t x87_##name(const union soft_st *st, uint64_t *memory)                                       \
    {                                                                                                                  \
        uint16_t status;                                                                                               \
        type value = 0;                                                                                                \
                                                                                                                       \
        __asm__ volatile("fldt %[st]\n\t" text " %[value]\n\t" X87_STATUS "emms"                                       \
                         : [value] "+m"(value), [status] "=&a"(status)                                                 \
                         : [st] "m"(st->value)                                                                         \
                         : X87_CLOBBERS);                                                                              \
        *memory = value;                                                                                               \
        return status;                                                                                                 \
    }                                                                                                                  \
    void soft_x87_##name(struct soft_cpu *cpu, const struct soft_insn *insn)                                           \
    {                                                                                                                  \
        x87_store(cpu, insn, x87_##name, sizeof(type), stops, pop);                                                    \
    }

#define X87_STOPS_FLOAT (X87_IE | X87_DE | X87_OE | X87_UE)

X87_STORE(fst_m32, uint32_t, "fsts", X87_STOPS_FLOAT, false)
X87_STORE(fst_m64, uint64_t, "fstl", X87_STOPS_FLOAT, false)
X87_STORE(fstp_m32, uint32_t, "fsts", X87_STOPS_FLOAT, true)
X87_STORE(fstp_m64, uint64_t, "fstl", X87_STOPS_FLOAT, true)
X87_STORE(fist_m16, uint16_t, "fists", X87_IE, false)
X87_STORE(fist_m32, uint32_t, "fistl", X87_IE, false)
X87_STORE(fistp_m16, uint16_t, "fistps", X87_IE, true)
X87_STORE(fistp_m32, uint32_t, "fistpl", X87_IE, true)
X87_STORE(fistp_m64, uint64_t, "fistpll", X87_IE, true)
X87_STORE(fisttp_m16, uint16_t, "fisttps", X87_IE, true)
X87_STORE(fisttp_m32, uint32_t, "fisttpl", X87_IE, true)
X87_STORE(fisttp_m64, uint64_t, "fisttpll", X87_IE, true)

void soft_x87_fstp_m80(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct soft_fpu *fpu = &cpu->fpu;
    struct soft_x87_memory memory;
    union soft_st value;

    soft_x87_wait(cpu);
    memory = soft_x87_memory(cpu, insn, 10, SOFT_WRITE);
    if (unlikely(soft_x87_is_empty(fpu, 0))) {
        soft_x87_probe(cpu, memory.linear, 10);
        if (!soft_x87_stack_fault(fpu, false)) {
            soft_x87_set_memory_pointers(cpu, insn, &memory);
            return;
        }
        soft_x87_set_indefinite(&value);
    } else {
        value = *soft_x87_st(fpu, 0);
    }
    soft_store80(cpu, memory.linear, &value);
    soft_x87_set_memory_pointers(cpu, insn, &memory);
    fpu->fsw &= (uint16_t)~X87_C1;
    soft_x87_pop(fpu);
}

static inline uint16_t x87_to_bcd(const union soft_st *st, union soft_st *bcd)
{
    uint16_t status;

    __asm__ volatile("fldt %[st]\n\tfbstp %[bcd]\n\t" X87_STATUS "emms"
                     : [bcd] "+m"(bcd->bytes), [status] "=&a"(status)
                     : [st] "m"(st->value)
                     : X87_CLOBBERS);
    return status;
}

void soft_x87_fbstp(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct soft_fpu *fpu = &cpu->fpu;
    const union soft_st *st = soft_x87_st(fpu, 0);
    struct soft_x87_memory memory;
    union soft_st indefinite, bcd = {0};

    soft_x87_wait(cpu);
    memory = soft_x87_memory(cpu, insn, 10, SOFT_WRITE);
    soft_x87_probe(cpu, memory.linear, 10);
    soft_x87_set_memory_pointers(cpu, insn, &memory);
    if (soft_x87_is_empty(fpu, 0)) {
        if (!soft_x87_stack_fault(fpu, false)) {
            return;
        }
        soft_x87_set_indefinite(&indefinite);
        st = &indefinite;
    }
    soft_x87_begin_op(fpu);
    if (!soft_x87_end_op(fpu, x87_to_bcd(st, &bcd), X87_C1, X87_IE)) {
        return;
    }
    soft_store80(cpu, memory.linear, &bcd);
    soft_x87_pop(fpu);
}

/* --- between registers -------------------------------------------------------------------------------------------- */

void soft_x87_fld(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct soft_fpu *fpu = &cpu->fpu;
    union soft_st value, *st;

    soft_x87_begin(cpu, insn);
    if (unlikely(soft_x87_is_empty(fpu, insn->modrm & 7))) {
        if (soft_x87_stack_fault(fpu, false)) {
            soft_x87_set_indefinite(soft_x87_push(fpu));
        }
        return;
    }
    value = *soft_x87_st(fpu, insn->modrm & 7);
    st = x87_push_checked(fpu);
    if (st) {
        *st = value;
        fpu->fsw &= (uint16_t)~X87_C1;
    }
}

/* FST and FSTP to a register. */
static inline void x87_copy(struct soft_cpu *cpu, const struct soft_insn *insn, bool pop)
{
    struct soft_fpu *fpu = &cpu->fpu;
    unsigned dst = insn->modrm & 7;

    soft_x87_begin(cpu, insn);
    if (unlikely(soft_x87_is_empty(fpu, 0))) {
        if (!soft_x87_stack_fault(fpu, false)) {
            return;
        }
        soft_x87_set_indefinite(soft_x87_st(fpu, dst));
    } else {
        *soft_x87_st(fpu, dst) = *soft_x87_st(fpu, 0);
        fpu->fsw &= (uint16_t)~X87_C1;
    }
    fpu->valid |= (uint8_t)(1u << ((fpu->top + dst) & 7));
    if (pop) {
        soft_x87_pop(fpu);
    }
}

void soft_x87_fst(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    x87_copy(cpu, insn, false);
}

void soft_x87_fstp(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    x87_copy(cpu, insn, true);
}

/* D9 D8: pops an empty register without complaint. */
void soft_x87_fstpnce(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct soft_fpu *fpu = &cpu->fpu;

    if (likely(!soft_x87_is_empty(fpu, 0))) {
        x87_copy(cpu, insn, true);
        return;
    }
    soft_x87_begin(cpu, insn);
    fpu->fsw &= (uint16_t)~X87_C1;
    soft_x87_pop(fpu);
}

void soft_x87_fxch(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct soft_fpu *fpu = &cpu->fpu;
    unsigned i = insn->modrm & 7;
    union soft_st *a = soft_x87_st(fpu, 0), *b = soft_x87_st(fpu, i), was;

    soft_x87_begin(cpu, insn);
    fpu->fsw &= (uint16_t)~X87_C1;
    if (unlikely(soft_x87_is_empty(fpu, 0) || soft_x87_is_empty(fpu, i))) {
        if (!soft_x87_stack_fault(fpu, false)) {
            return;
        }
        if (soft_x87_is_empty(fpu, 0)) {
            soft_x87_set_indefinite(a);
        }
        if (soft_x87_is_empty(fpu, i)) {
            soft_x87_set_indefinite(b);
        }
        fpu->valid |= (uint8_t)(1u << fpu->top | 1u << ((fpu->top + i) & 7));
    }
    was = *a;
    *a = *b;
    *b = was;
}

/* DA: below, equal, below or equal, unordered; DB: the opposite. */
static bool x87_condition(const struct soft_cpu *cpu, const struct soft_insn *insn)
{
    static const uint32_t flags[4] = {RFLAGS_CF, RFLAGS_ZF, RFLAGS_CF | RFLAGS_ZF, RFLAGS_PF};

    return !!(soft_arithmetic_flags(cpu) & flags[(insn->modrm >> 3) & 3]) == !(insn->opcode & 1);
}

void soft_x87_fcmov(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct soft_fpu *fpu = &cpu->fpu;
    unsigned i = insn->modrm & 7;

    soft_x87_begin(cpu, insn);
    if (unlikely(soft_x87_is_empty(fpu, 0) || soft_x87_is_empty(fpu, i))) {
        if (soft_x87_stack_fault(fpu, false)) {
            soft_x87_set_indefinite(soft_x87_st(fpu, 0));
            fpu->valid |= (uint8_t)(1u << fpu->top);
        }
        return;
    }
    if (x87_condition(cpu, insn)) {
        *soft_x87_st(fpu, 0) = *soft_x87_st(fpu, i);
    }
}
