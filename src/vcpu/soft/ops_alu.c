/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Micro-operations of arithmetic, logic and shifts, each for its operands and size (ops.h). The vCPU's thread. They are
 * made by macros: the inline functions of alu.h with constant kinds and sizes.
 */
#include "vcpu/soft/alu.h"
#include "vcpu/soft/exec.h"
#include "vcpu/soft/mem.h"
#include "vcpu/soft/ops.h"
#include "vcpu/soft/ops_internal.h"

/* --- ADD..TEST ---------------------------------------------------------------------------------------------------- */

#define STORES(kind) ((kind) != SOFT_KIND_CMP && (kind) != SOFT_KIND_TEST)

/* Memory that isn't written in one go: a device, a page crossing, code, or a fault to come. */
static void alu_modify_slow(struct soft_cpu *cpu, const struct soft_op *op, unsigned kind, unsigned log2_bytes,
                            uint64_t source)
{
    uint64_t linear = AT(op), value;

    cpu->rip = soft_op_rip(cpu, op);
    soft_probe_write(cpu, linear, 1u << log2_bytes);
    value = soft_load_slow(cpu, linear, 1u << log2_bytes);
    soft_store_slow(cpu, linear, 1u << log2_bytes, soft_alu(cpu, kind, log2_bytes, value, source));
}

#define ALU_PUT(kind, bits, result)                                                                                    \
    if (STORES(kind)) {                                                                                                \
        PUT##bits(op->dst, result);                                                                                    \
    }

/* Memory and `source`: compared or tested, or changed. */
#define ALU_MEMORY(name, kind, bits, log2, source)                                                                     \
    LOADING_OP(name##_look, bits, AT(op), soft_alu_inline(cpu, kind, log2, value, source), NEXT)                       \
    MODIFYING_OP(name##_change, bits, AT(op), soft_alu_inline(cpu, kind, log2, value, source),                         \
                 alu_modify_slow(cpu, op, kind, log2, source))                                                         \
    static const struct soft_op *name(struct soft_cpu *cpu, const struct soft_op *op)                                  \
    {                                                                                                                  \
        return STORES(kind) ? name##_change(cpu, op) : name##_look(cpu, op);                                           \
    }

#define ALU(name, kind, bits, log2)                                                                                    \
    OP(name##_rr##bits)                                                                                                \
    {                                                                                                                  \
        uint64_t result = soft_alu_inline(cpu, kind, log2, GET(bits, op->dst), GET(bits, op->src));                    \
        ALU_PUT(kind, bits, result)                                                                                    \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    OP(name##_ri##bits)                                                                                                \
    {                                                                                                                  \
        uint64_t result = soft_alu_inline(cpu, kind, log2, GET(bits, op->dst), op->imm);                               \
        ALU_PUT(kind, bits, result)                                                                                    \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    LOADING_OP(name##_rm##bits, bits, AT(op),                                                                          \
               uint64_t result = soft_alu_inline(cpu, kind, log2, GET(bits, op->dst), value);                          \
               ALU_PUT(kind, bits, result), NEXT)                                                                      \
    ALU_MEMORY(name##_mr##bits, kind, bits, log2, GET(bits, op->src))                                                  \
    ALU_MEMORY(name##_mi##bits, kind, bits, log2, op->imm)

#define ALU_SIZES(name, kind) ALU(name, kind, 8, 0) ALU(name, kind, 16, 1) ALU(name, kind, 32, 2) ALU(name, kind, 64, 3)

ALU_SIZES(add, SOFT_KIND_ADD)
ALU_SIZES(or, SOFT_KIND_OR)
ALU_SIZES(adc, SOFT_KIND_ADC)
ALU_SIZES(sbb, SOFT_KIND_SBB)
ALU_SIZES(and, SOFT_KIND_AND)
ALU_SIZES(sub, SOFT_KIND_SUB)
ALU_SIZES(xor, SOFT_KIND_XOR)
ALU_SIZES(cmp, SOFT_KIND_CMP)
ALU_SIZES(test, SOFT_KIND_TEST)

#define ROW(name, form)                                                                                                \
    {                                                                                                                  \
        name##_##form##8, name##_##form##16, name##_##form##32, name##_##form##64                                      \
    }
#define TABLE(form)                                                                                                    \
    soft_op_fn *const soft_op_alu_##form[SOFT_ALU_KINDS][4] = {ROW(add, form), ROW(or, form),  ROW(adc, form),         \
                                                               ROW(sbb, form), ROW(and, form), ROW(sub, form),         \
                                                               ROW(xor, form), ROW(cmp, form), ROW(test, form)}

TABLE(rr);
TABLE(ri);
TABLE(rm);
TABLE(mr);
TABLE(mi);

/*
 * The same for flags that nobody will see: the next instruction to look at them comes after one that sets them all, and
 * nothing in between can leave the block.
 */
#define QUIET(name, bits, expression)                                                                                  \
    OP(name##_quiet_rr##bits)                                                                                          \
    {                                                                                                                  \
        uint64_t a = GET(bits, op->dst), b = GET(bits, op->src);                                                       \
        PUT##bits(op->dst, expression);                                                                                \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    OP(name##_quiet_ri##bits)                                                                                          \
    {                                                                                                                  \
        uint64_t a = GET(bits, op->dst), b = op->imm;                                                                  \
        PUT##bits(op->dst, expression);                                                                                \
        NEXT;                                                                                                          \
    }
#define QUIET_SIZES(name, expression) QUIET(name, 32, expression) QUIET(name, 64, expression)

QUIET_SIZES(add, a + b)
QUIET_SIZES(or, a | b)
QUIET_SIZES(and, a &b)
QUIET_SIZES(sub, a - b)
QUIET_SIZES(xor, a ^ b)

#define QUIET_ROW(name, form)                                                                                          \
    {                                                                                                                  \
        NULL, NULL, name##_quiet_##form##32, name##_quiet_##form##64                                                   \
    }
#define QUIET_TABLE(form)                                                                                              \
    soft_op_fn *const soft_op_alu_quiet_##form[SOFT_ALU_KINDS][4] = {                                                  \
        [SOFT_KIND_ADD - SOFT_KIND_ADD] = QUIET_ROW(add, form),                                                        \
        [SOFT_KIND_OR - SOFT_KIND_ADD] = QUIET_ROW(or, form),                                                          \
        [SOFT_KIND_AND - SOFT_KIND_ADD] = QUIET_ROW(and, form),                                                        \
        [SOFT_KIND_SUB - SOFT_KIND_ADD] = QUIET_ROW(sub, form),                                                        \
        [SOFT_KIND_XOR - SOFT_KIND_ADD] = QUIET_ROW(xor, form)}

QUIET_TABLE(rr);
QUIET_TABLE(ri);

/* --- INC, DEC, NEG, NOT ------------------------------------------------------------------------------------------- */

static inline __attribute__((always_inline)) uint64_t unary(struct soft_cpu *cpu, unsigned kind, unsigned log2_bytes,
                                                            uint64_t value)
{
    uint64_t mask = soft_mask(1u << log2_bytes), result;

    switch (kind) {
    case SOFT_KIND_INC:
    case SOFT_KIND_DEC: {
        bool carry = soft_carry(cpu);

        result = (kind == SOFT_KIND_INC ? value + 1 : value - 1) & mask;
        soft_cc_set(cpu, SOFT_CC(kind == SOFT_KIND_INC ? CC_INC : CC_DEC, log2_bytes), result, carry);
        return result;
    }
    case SOFT_KIND_NEG:
        result = -value & mask;
        soft_cc_set(cpu, SOFT_CC(CC_SUB, log2_bytes), result, value);
        return result;
    default:
        return ~value & mask;
    }
}

static void unary_modify_slow(struct soft_cpu *cpu, const struct soft_op *op, unsigned kind, unsigned log2_bytes)
{
    uint64_t linear = AT(op), value;

    cpu->rip = soft_op_rip(cpu, op);
    soft_probe_write(cpu, linear, 1u << log2_bytes);
    value = soft_load_slow(cpu, linear, 1u << log2_bytes);
    soft_store_slow(cpu, linear, 1u << log2_bytes, unary(cpu, kind, log2_bytes, value));
}

#define UNARY(name, kind, bits, log2)                                                                                  \
    OP(name##_r##bits)                                                                                                 \
    {                                                                                                                  \
        uint64_t result = unary(cpu, kind, log2, GET(bits, op->dst));                                                  \
        PUT##bits(op->dst, result);                                                                                    \
        NEXT;                                                                                                          \
    }                                                                                                                  \
    MODIFYING_OP(name##_m##bits, bits, AT(op), unary(cpu, kind, log2, value), unary_modify_slow(cpu, op, kind, log2))
#define UNARY_SIZES(name, kind)                                                                                        \
    UNARY(name, kind, 8, 0) UNARY(name, kind, 16, 1) UNARY(name, kind, 32, 2) UNARY(name, kind, 64, 3)

UNARY_SIZES(inc, SOFT_KIND_INC)
UNARY_SIZES(dec, SOFT_KIND_DEC)
UNARY_SIZES(neg, SOFT_KIND_NEG)
UNARY_SIZES(not, SOFT_KIND_NOT)

soft_op_fn *const soft_op_unary_r[4][4] = {ROW(inc, r), ROW(dec, r), ROW(neg, r), ROW(not, r)};
soft_op_fn *const soft_op_unary_m[4][4] = {ROW(inc, m), ROW(dec, m), ROW(neg, m), ROW(not, m)};

#define QUIET_UNARY(name, bits, expression)                                                                            \
    OP(name##_quiet_r##bits)                                                                                           \
    {                                                                                                                  \
        uint64_t a = GET(bits, op->dst);                                                                               \
        PUT##bits(op->dst, expression);                                                                                \
        NEXT;                                                                                                          \
    }
QUIET_UNARY(inc, 32, a + 1)
QUIET_UNARY(inc, 64, a + 1)
QUIET_UNARY(dec, 32, a - 1)
QUIET_UNARY(dec, 64, a - 1)
QUIET_UNARY(neg, 32, -a)
QUIET_UNARY(neg, 64, -a)

soft_op_fn *const soft_op_unary_quiet_r[4][4] = {QUIET_ROW(inc, r), QUIET_ROW(dec, r), QUIET_ROW(neg, r)};

/* --- shifts ------------------------------------------------------------------------------------------------------- */

/* count is neither 0 nor more than the mask. */
static inline __attribute__((always_inline)) uint64_t shift(struct soft_cpu *cpu, unsigned kind, unsigned log2_bytes,
                                                            uint64_t value, unsigned count)
{
    uint64_t before, result;

    if (log2_bytes < 2 || kind == SOFT_KIND_ROL || kind == SOFT_KIND_ROR) {
        return soft_shift(cpu, kind, log2_bytes, value, count);
    }
    switch (kind) {
    case SOFT_KIND_SHL:
        before = (value << (count - 1)) & soft_mask(1u << log2_bytes);
        result = (before << 1) & soft_mask(1u << log2_bytes);
        soft_cc_set(cpu, SOFT_CC(CC_SHL, log2_bytes), result, before);
        return result;
    case SOFT_KIND_SHR:
        before = value >> (count - 1);
        result = before >> 1;
        soft_cc_set(cpu, SOFT_CC(CC_SHR, log2_bytes), result, before);
        cpu->cc_aux = value >> ((8u << log2_bytes) - 1);
        return result;
    default: /* SAR */
        before = (uint64_t)(soft_sign_extend(value, 1u << log2_bytes) >> (count - 1));
        result = (uint64_t)((int64_t)before >> 1) & soft_mask(1u << log2_bytes);
        soft_cc_set(cpu, SOFT_CC(CC_SHR, log2_bytes), result, before & soft_mask(1u << log2_bytes));
        cpu->cc_aux = 0;
        return result;
    }
}

#define SHIFT(name, kind, bits, log2)                                                                                  \
    static const struct soft_op *name##_ri##bits(struct soft_cpu *cpu, const struct soft_op *op)                       \
    {                                                                                                                  \
        uint64_t result = shift(cpu, kind, log2, GET(bits, op->dst), (unsigned)op->imm);                               \
        PUT##bits(op->dst, result);                                                                                    \
        SOFT_NEXT(cpu, op);                                                                                            \
    }                                                                                                                  \
    static const struct soft_op *name##_rc##bits(struct soft_cpu *cpu, const struct soft_op *op)                       \
    {                                                                                                                  \
        unsigned count = cpu->gpr[CPU_RCX] & ((bits) == 64 ? 63 : 31);                                                 \
        uint64_t result = GET(bits, op->dst);                                                                          \
        if (count) {                                                                                                   \
            result = shift(cpu, kind, log2, result, count);                                                            \
        }                                                                                                              \
        PUT##bits(op->dst, result);                                                                                    \
        SOFT_NEXT(cpu, op);                                                                                            \
    }
#define SHIFT_SIZES(name, kind)                                                                                        \
    SHIFT(name, kind, 8, 0) SHIFT(name, kind, 16, 1) SHIFT(name, kind, 32, 2) SHIFT(name, kind, 64, 3)

SHIFT_SIZES(rol, SOFT_KIND_ROL)
SHIFT_SIZES(ror, SOFT_KIND_ROR)
SHIFT_SIZES(shl, SOFT_KIND_SHL)
SHIFT_SIZES(shr, SOFT_KIND_SHR)
SHIFT_SIZES(sar, SOFT_KIND_SAR)

soft_op_fn *const soft_op_shift_ri[5][4] = {ROW(rol, ri), ROW(ror, ri), ROW(shl, ri), ROW(shr, ri), ROW(sar, ri)};
soft_op_fn *const soft_op_shift_rc[5][4] = {ROW(rol, rc), ROW(ror, rc), ROW(shl, rc), ROW(shr, rc), ROW(sar, rc)};

#define QUIET_SHIFT(name, bits, expression)                                                                            \
    OP(name##_quiet_ri##bits)                                                                                          \
    {                                                                                                                  \
        uint64_t a = GET(bits, op->dst);                                                                               \
        PUT##bits(op->dst, expression);                                                                                \
        NEXT;                                                                                                          \
    }
QUIET_SHIFT(rol, 32, a << op->imm | a >> (32 - op->imm))
QUIET_SHIFT(rol, 64, a << op->imm | a >> (64 - op->imm))
QUIET_SHIFT(ror, 32, a >> op->imm | a << (32 - op->imm))
QUIET_SHIFT(ror, 64, a >> op->imm | a << (64 - op->imm))
QUIET_SHIFT(shl, 32, a << op->imm)
QUIET_SHIFT(shl, 64, a << op->imm)
QUIET_SHIFT(shr, 32, a >> op->imm)
QUIET_SHIFT(shr, 64, a >> op->imm)
QUIET_SHIFT(sar, 32, (uint64_t)((int32_t)a >> op->imm))
QUIET_SHIFT(sar, 64, (uint64_t)((int64_t)a >> op->imm))

soft_op_fn *const soft_op_shift_quiet_ri[5][4] = {
    [SOFT_KIND_ROL - SOFT_KIND_ROL] = QUIET_ROW(rol, ri), [SOFT_KIND_ROR - SOFT_KIND_ROL] = QUIET_ROW(ror, ri),
    [SOFT_KIND_SHL - SOFT_KIND_ROL] = QUIET_ROW(shl, ri), [SOFT_KIND_SHR - SOFT_KIND_ROL] = QUIET_ROW(shr, ri),
    [SOFT_KIND_SAR - SOFT_KIND_ROL] = QUIET_ROW(sar, ri),
};

/* --- IMUL --------------------------------------------------------------------------------------------------------- */

#define IMUL(bits, log2)                                                                                               \
    static inline void imul##bits(struct soft_cpu *cpu, const struct soft_op *op, uint64_t a, uint64_t b)              \
    {                                                                                                                  \
        int##bits##_t product;                                                                                         \
        bool wide = __builtin_mul_overflow((int##bits##_t)a, (int##bits##_t)b, &product);                              \
        soft_cc_set(cpu, SOFT_CC(CC_MUL, log2), (uint##bits##_t)product, wide);                                        \
        PUT##bits(op->dst, (uint##bits##_t)product);                                                                   \
    }                                                                                                                  \
    static const struct soft_op *imul_rr##bits(struct soft_cpu *cpu, const struct soft_op *op)                         \
    {                                                                                                                  \
        imul##bits(cpu, op, GET(bits, op->dst), GET(bits, op->src));                                                   \
        SOFT_NEXT(cpu, op);                                                                                            \
    }                                                                                                                  \
    static const struct soft_op *imul_rri##bits(struct soft_cpu *cpu, const struct soft_op *op)                        \
    {                                                                                                                  \
        imul##bits(cpu, op, GET(bits, op->src), op->imm);                                                              \
        SOFT_NEXT(cpu, op);                                                                                            \
    }                                                                                                                  \
    LOADING_OP(imul_rm##bits, bits, AT(op), imul##bits(cpu, op, GET(bits, op->dst), value), NEXT)

IMUL(16, 1)
IMUL(32, 2)
IMUL(64, 3)

soft_op_fn *const soft_op_imul_rr[4] = {NULL, imul_rr16, imul_rr32, imul_rr64};
soft_op_fn *const soft_op_imul_rri[4] = {NULL, imul_rri16, imul_rri32, imul_rri64};
soft_op_fn *const soft_op_imul_rm[4] = {NULL, imul_rm16, imul_rm32, imul_rm64};
