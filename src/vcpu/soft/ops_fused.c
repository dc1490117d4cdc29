/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Micro-operations for a comparison, or what is as good as one, and the conditional jump behind it: one of two
 * instructions, and of three jumps of the host's, saved on the commonest pair there is. Flags are set all the same. If
 * memory is compared, the load comes first, so a fault is the comparison's and nothing has happened yet. Two jumps
 * follow: the taken one, then the other. The vCPU's thread.
 */
#include "vcpu/soft/alu.h"
#include "vcpu/soft/condition.h"
#include "vcpu/soft/mem.h"
#include "vcpu/soft/ops.h"
#include "vcpu/soft/ops_internal.h"

#define CMP_THEN(cc, bits, log2, a, b)                                                                                 \
    do {                                                                                                               \
        uint64_t a_ = (a), b_ = (b);                                                                                   \
        soft_alu_inline(cpu, SOFT_KIND_CMP, log2, a_, b_);                                                             \
        BRANCH(soft_condition_compare(cpu, cc, a_, b_, (int##bits##_t)a_, (int##bits##_t)b_));                         \
    } while (0)
#define TEST_THEN(cc, bits, log2, a, b)                                                                                \
    do {                                                                                                               \
        uint64_t result_ = soft_alu_inline(cpu, SOFT_KIND_TEST, log2, a, b);                                           \
        BRANCH(soft_condition_logic(cc, (int##bits##_t)result_));                                                      \
    } while (0)
#define AND_THEN(cc, bits, log2, a, b)                                                                                 \
    do {                                                                                                               \
        uint64_t result_ = soft_alu_inline(cpu, SOFT_KIND_AND, log2, a, b);                                            \
        PUT##bits(op->dst, result_);                                                                                   \
        BRANCH(soft_condition_logic(cc, (int##bits##_t)result_));                                                      \
    } while (0)
#define SUB_THEN(cc, bits, log2, a, b)                                                                                 \
    do {                                                                                                               \
        uint64_t a_ = (a), b_ = (b);                                                                                   \
        PUT##bits(op->dst, soft_alu_inline(cpu, SOFT_KIND_SUB, log2, a_, b_));                                         \
        BRANCH(soft_condition_compare(cpu, cc, a_, b_, (int##bits##_t)a_, (int##bits##_t)b_));                         \
    } while (0)

#define REGISTERS(name, then, bits, log2, cc, a, b)                                                                    \
    OP(name##bits##_##cc)                                                                                              \
    {                                                                                                                  \
        then(cc, bits, log2, a, b);                                                                                    \
    }
#define MEMORY(name, then, bits, log2, cc, a, b)                                                                       \
    LOADING_OP(name##bits##_##cc, bits, AT(op), , then(cc, bits, log2, a, b))
#define CONDITION(bits, log2, cc)                                                                                      \
    REGISTERS(cmp_rr, CMP_THEN, bits, log2, cc, GET(bits, op->dst), GET(bits, op->src))                                \
    REGISTERS(cmp_ri, CMP_THEN, bits, log2, cc, GET(bits, op->dst), op->imm)                                           \
    MEMORY(cmp_rm, CMP_THEN, bits, log2, cc, GET(bits, op->dst), value)                                                \
    MEMORY(cmp_mr, CMP_THEN, bits, log2, cc, value, GET(bits, op->src))                                                \
    MEMORY(cmp_mi, CMP_THEN, bits, log2, cc, value, op->imm)                                                           \
    REGISTERS(test_rr, TEST_THEN, bits, log2, cc, GET(bits, op->dst), GET(bits, op->src))                              \
    REGISTERS(test_ri, TEST_THEN, bits, log2, cc, GET(bits, op->dst), op->imm)                                         \
    MEMORY(test_mi, TEST_THEN, bits, log2, cc, value, op->imm)                                                         \
    REGISTERS(and_ri, AND_THEN, bits, log2, cc, GET(bits, op->dst), op->imm)                                           \
    REGISTERS(sub_ri, SUB_THEN, bits, log2, cc, GET(bits, op->dst), op->imm)
#define SIZE(bits, log2)                                                                                               \
    CONDITION(bits, log2, 0)                                                                                           \
    CONDITION(bits, log2, 1)                                                                                           \
    CONDITION(bits, log2, 2)                                                                                           \
    CONDITION(bits, log2, 3)                                                                                           \
    CONDITION(bits, log2, 4)                                                                                           \
    CONDITION(bits, log2, 5)                                                                                           \
    CONDITION(bits, log2, 6)                                                                                           \
    CONDITION(bits, log2, 7)                                                                                           \
    CONDITION(bits, log2, 8)                                                                                           \
    CONDITION(bits, log2, 9)                                                                                           \
    CONDITION(bits, log2, 10)                                                                                          \
    CONDITION(bits, log2, 11)                                                                                          \
    CONDITION(bits, log2, 12)                                                                                          \
    CONDITION(bits, log2, 13)                                                                                          \
    CONDITION(bits, log2, 14)                                                                                          \
    CONDITION(bits, log2, 15)

SIZE(8, 0)
SIZE(32, 2)
SIZE(64, 3)

#define CONDITIONS(name)                                                                                               \
    {                                                                                                                  \
        name##_0, name##_1, name##_2, name##_3, name##_4, name##_5, name##_6, name##_7, name##_8, name##_9, name##_10, \
            name##_11, name##_12, name##_13, name##_14, name##_15                                                      \
    }
#define SIZES(name)                                                                                                    \
    {                                                                                                                  \
        CONDITIONS(name##8), {NULL}, CONDITIONS(name##32), CONDITIONS(name##64)                                        \
    }

soft_op_fn *const soft_op_fused[SOFT_FUSED_COUNT][4][16] = {
    [SOFT_FUSED_CMP_RR] = SIZES(cmp_rr),   [SOFT_FUSED_CMP_RI] = SIZES(cmp_ri),   [SOFT_FUSED_CMP_RM] = SIZES(cmp_rm),
    [SOFT_FUSED_CMP_MR] = SIZES(cmp_mr),   [SOFT_FUSED_CMP_MI] = SIZES(cmp_mi),   [SOFT_FUSED_TEST_RR] = SIZES(test_rr),
    [SOFT_FUSED_TEST_RI] = SIZES(test_ri), [SOFT_FUSED_TEST_MI] = SIZES(test_mi), [SOFT_FUSED_AND_RI] = SIZES(and_ri),
    [SOFT_FUSED_SUB_RI] = SIZES(sub_ri),
};
