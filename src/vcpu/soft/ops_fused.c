/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Micro-operations for a comparison and the conditional jump behind it: one of two instructions, and of three jumps of
 * the host's, saved on the commonest pair there is. Flags are set all the same. If memory is compared, the load comes
 * first, so a fault is the comparison's and nothing has happened yet. Two jumps follow: the taken one, then the other.
 * The vCPU's thread.
 */
#include "vcpu/soft/alu.h"
#include "vcpu/soft/condition.h"
#include "vcpu/soft/mem.h"
#include "vcpu/soft/ops.h"
#include "vcpu/soft/ops_internal.h"

#define OP(name) static const struct soft_op *name(struct soft_cpu *cpu, const struct soft_op *op)

/* A jump has a link behind it, so the one that isn't taken is the third from here. */
#define BRANCH(taken)                                                                                                  \
    do {                                                                                                               \
        const struct soft_op *jump_ = (taken) ? op + 1 : op + 3;                                                       \
        SOFT_JUMP(cpu, jump_);                                                                                         \
    } while (0)

#define CMP(form, bits, log2, cc, first, second)                                                                       \
    OP(cmp_##form##bits##_##cc)                                                                                        \
    {                                                                                                                  \
        uint64_t a = first, b = second;                                                                                \
        soft_alu_inline(cpu, SOFT_KIND_CMP, log2, a, b);                                                               \
        BRANCH(soft_condition_compare(cpu, cc, a, b, (int##bits##_t)a, (int##bits##_t)b));                             \
    }
#define TEST(form, bits, log2, cc, first, second)                                                                      \
    OP(test_##form##bits##_##cc)                                                                                       \
    {                                                                                                                  \
        uint64_t result = soft_alu_inline(cpu, SOFT_KIND_TEST, log2, first, second);                                   \
        BRANCH(soft_condition_logic(cc, (int##bits##_t)result));                                                       \
    }
#define CONDITION(bits, log2, cc)                                                                                      \
    CMP(rr, bits, log2, cc, GET(bits, op->dst), GET(bits, op->src))                                                    \
    CMP(ri, bits, log2, cc, GET(bits, op->dst), op->imm)                                                               \
    CMP(rm, bits, log2, cc, GET(bits, op->dst), soft_load##bits(cpu, op, AT(op)))                                      \
    CMP(mr, bits, log2, cc, soft_load##bits(cpu, op, AT(op)), GET(bits, op->src))                                      \
    CMP(mi, bits, log2, cc, soft_load##bits(cpu, op, AT(op)), op->imm)                                                 \
    TEST(rr, bits, log2, cc, GET(bits, op->dst), GET(bits, op->src))                                                   \
    TEST(ri, bits, log2, cc, GET(bits, op->dst), op->imm)                                                              \
    TEST(mi, bits, log2, cc, soft_load##bits(cpu, op, AT(op)), op->imm)
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
    [SOFT_FUSED_TEST_RI] = SIZES(test_ri), [SOFT_FUSED_TEST_MI] = SIZES(test_mi),
};
