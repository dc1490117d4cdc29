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

#define X87_LOAD_ON_HOST(name, type, text)                                                                             \
    static __attribute__((noinline)) uint16_t x87_##name(union soft_st *result, uint64_t memory, bool *pushed)         \
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
    }

X87_LOAD_ON_HOST(fld_m32, uint32_t, "flds")
X87_LOAD_ON_HOST(fld_m64, uint64_t, "fldl")

/* Fetches the operand. Returns the new ST(0), or NULL after an overflow. */
static inline union soft_st *x87_load_begin(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned size_bytes,
                                            uint64_t *value)
{
    struct soft_x87_memory memory;

    soft_x87_wait(cpu);
    memory = soft_x87_memory(cpu, insn, size_bytes, SOFT_READ);
    *value = soft_load(cpu, memory.linear, size_bytes);
    soft_x87_set_memory_pointers(cpu, insn, &memory);
    return x87_push_checked(&cpu->fpu);
}

/* Denormals, infinities and NaNs; the register was pushed already. */
static void x87_load_special(struct soft_fpu *fpu, union soft_st *st, x87_load_fn *fn, uint64_t value)
{
    bool pushed;

    soft_x87_begin_op(fpu);
    soft_x87_end_op(fpu, fn(st, value, &pushed), X87_C1, 0);
    if (!pushed) {
        soft_x87_pop(fpu);
    }
}

/* A number of the given format is normal or zero: then it is converted without the host, exactly and silently. */
static inline void x87_load_float(struct soft_cpu *cpu, const struct soft_insn *insn, x87_load_fn *fn,
                                  unsigned size_bytes, unsigned fraction_bits)
{
    unsigned exponent_bits = 8 * size_bytes - 1 - fraction_bits;
    unsigned exponent_max = (1u << exponent_bits) - 1;
    unsigned exponent;
    uint64_t value, fraction;
    uint16_t sign;
    union soft_st *st = x87_load_begin(cpu, insn, size_bytes, &value);

    if (unlikely(!st)) {
        return;
    }
    fraction = value & ((UINT64_C(1) << fraction_bits) - 1);
    exponent = (unsigned)(value >> fraction_bits) & exponent_max;
    sign = (uint16_t)(value >> (8 * size_bytes - 1)) << 15;
    if (likely(exponent - 1 < exponent_max - 1)) {
        st->mantissa = UINT64_C(1) << 63 | fraction << (63 - fraction_bits);
        st->exponent = (uint16_t)(sign | (exponent + 0x3fff - (exponent_max >> 1)));
    } else if (exponent == 0 && fraction == 0) {
        st->mantissa = 0;
        st->exponent = sign;
    } else {
        x87_load_special(&cpu->fpu, st, fn, value);
        return;
    }
    cpu->fpu.fsw &= (uint16_t)~X87_C1;
}

void soft_x87_fld_m32(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    x87_load_float(cpu, insn, x87_fld_m32, 4, 23);
}

void soft_x87_fld_m64(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    x87_load_float(cpu, insn, x87_fld_m64, 8, 52);
}

/* Every integer is exact. */
static inline void x87_load_integer(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned size_bytes)
{
    uint64_t value;
    union soft_st *st = x87_load_begin(cpu, insn, size_bytes, &value);
    unsigned unused = 64 - 8 * size_bytes, zeros;
    int64_t number;

    if (unlikely(!st)) {
        return;
    }
    number = (int64_t)(value << unused) >> unused;
    st->mantissa = 0;
    st->exponent = 0;
    if (number != 0) {
        value = number < 0 ? -(uint64_t)number : (uint64_t)number;
        zeros = (unsigned)__builtin_clzll(value);
        st->mantissa = value << zeros;
        st->exponent = (uint16_t)((number < 0 ? 0x8000 : 0) | (0x3fff + 63 - zeros));
    }
    cpu->fpu.fsw &= (uint16_t)~X87_C1;
}

void soft_x87_fild_m16(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    x87_load_integer(cpu, insn, 2);
}

void soft_x87_fild_m32(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    x87_load_integer(cpu, insn, 4);
}

void soft_x87_fild_m64(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    x87_load_integer(cpu, insn, 8);
}

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
        soft_x87_copy(st, &value);
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

/* An instruction that pops leaves the host's register where it is when it is stopped. */
#define X87_STATUS_POPPING                                                                                             \
    "fnstsw %w[status]\n\t"                                                                                            \
    "testb $0x80, %b[status]\n\t"                                                                                      \
    "jz 1f\n\t"                                                                                                        \
    "fnclex\n\t"                                                                                                       \
    "ffree %%st(0)\n"                                                                                                  \
    "1:"
#define X87_STATUS_LEAVING X87_STATUS "fstp %%st(0)"

#define X87_STORE(name, type, text, after, stops, pop)                                                                 \
    static inline uint16_t x87_##name(const union soft_st *st, uint64_t *memory)                                       \
    {                                                                                                                  \
        uint16_t status;                                                                                               \
        type value = 0;                                                                                                \
                                                                                                                       \
        __asm__ volatile("fldt %[st]\n\t" text " %[value]\n\t" after                                                   \
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

X87_STORE(fst_m32, uint32_t, "fsts", X87_STATUS_LEAVING, X87_STOPS_FLOAT, false)
X87_STORE(fst_m64, uint64_t, "fstl", X87_STATUS_LEAVING, X87_STOPS_FLOAT, false)
X87_STORE(fstp_m32, uint32_t, "fsts", X87_STATUS_LEAVING, X87_STOPS_FLOAT, true)
X87_STORE(fstp_m64, uint64_t, "fstl", X87_STATUS_LEAVING, X87_STOPS_FLOAT, true)
X87_STORE(fist_m16, uint16_t, "fists", X87_STATUS_LEAVING, X87_IE, false)
X87_STORE(fist_m32, uint32_t, "fistl", X87_STATUS_LEAVING, X87_IE, false)
X87_STORE(fistp_m16, uint16_t, "fists", X87_STATUS_LEAVING, X87_IE, true)
X87_STORE(fistp_m32, uint32_t, "fistl", X87_STATUS_LEAVING, X87_IE, true)
X87_STORE(fistp_m64, uint64_t, "fistpll", X87_STATUS_POPPING, X87_IE, true)
X87_STORE(fisttp_m16, uint16_t, "fisttps", X87_STATUS_POPPING, X87_IE, true)
X87_STORE(fisttp_m32, uint32_t, "fisttpl", X87_STATUS_POPPING, X87_IE, true)
X87_STORE(fisttp_m64, uint64_t, "fisttpll", X87_STATUS_POPPING, X87_IE, true)

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
        soft_x87_copy(&value, soft_x87_st(fpu, 0));
    }
    soft_store80(cpu, memory.linear, &value);
    soft_x87_set_memory_pointers(cpu, insn, &memory);
    fpu->fsw &= (uint16_t)~X87_C1;
    soft_x87_pop(fpu);
}

static inline uint16_t x87_to_bcd(const union soft_st *st, union soft_st *bcd)
{
    uint16_t status;

    __asm__ volatile("fldt %[st]\n\tfbstp %[bcd]\n\t" X87_STATUS_POPPING
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
    soft_x87_copy(&value, soft_x87_st(fpu, insn->modrm & 7));
    st = x87_push_checked(fpu);
    if (st) {
        soft_x87_copy(st, &value);
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
        soft_x87_copy(soft_x87_st(fpu, dst), soft_x87_st(fpu, 0));
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
    soft_x87_copy(&was, a);
    soft_x87_copy(a, b);
    soft_x87_copy(b, &was);
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
        soft_x87_copy(soft_x87_st(fpu, 0), soft_x87_st(fpu, i));
    }
}
