/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Micro-operations that move: registers, loads and stores, addresses, the stack, conditional moves (ops.h). The vCPU's
 * thread.
 */
#include "vcpu/soft/condition.h"
#include "vcpu/soft/mem.h"
#include "vcpu/soft/operand.h"
#include "vcpu/soft/ops.h"
#include "vcpu/soft/ops_internal.h"

#define SIZES(name)                                                                                                    \
    {                                                                                                                  \
        name##8, name##16, name##32, name##64                                                                          \
    }

/* --- registers, loads, stores ------------------------------------------------------------------------------------- */

#define MOVES(bits)                                                                                                    \
    OP(mov_rr##bits)                                                                                                   \
    {                                                                                                                  \
        PUT##bits(op->dst, GET(bits, op->src));                                                                        \
        SOFT_NEXT(cpu, op);                                                                                            \
    }                                                                                                                  \
    OP(mov_ri##bits)                                                                                                   \
    {                                                                                                                  \
        PUT##bits(op->dst, op->imm);                                                                                   \
        SOFT_NEXT(cpu, op);                                                                                            \
    }                                                                                                                  \
    LOADING_OP(load##bits, bits, AT(op), PUT##bits(op->dst, value), NEXT)                                              \
    LOADING_OP(load_x##bits, bits, AT_X(op), PUT##bits(op->dst, value), NEXT)                                          \
    STORING_OP(store##bits, bits, AT(op), GET(bits, op->src), , NEXT)                                                  \
    STORING_OP(store_x##bits, bits, AT_X(op), GET(bits, op->src), , NEXT)                                              \
    STORING_OP(store_imm##bits, bits, AT(op), op->imm, , NEXT)                                                         \
    OP(lea##bits)                                                                                                      \
    {                                                                                                                  \
        PUT##bits(op->dst, AT(op));                                                                                    \
        SOFT_NEXT(cpu, op);                                                                                            \
    }                                                                                                                  \
    OP(lea_x##bits)                                                                                                    \
    {                                                                                                                  \
        PUT##bits(op->dst, AT_X(op));                                                                                  \
        SOFT_NEXT(cpu, op);                                                                                            \
    }                                                                                                                  \
    OP(xchg_rr##bits)                                                                                                  \
    {                                                                                                                  \
        uint64_t dst = GET(bits, op->dst), src = GET(bits, op->src);                                                   \
        PUT##bits(op->dst, src);                                                                                       \
        PUT##bits(op->src, dst);                                                                                       \
        SOFT_NEXT(cpu, op);                                                                                            \
    }

MOVES(8)
MOVES(16)
MOVES(32)
MOVES(64)

soft_op_fn *const soft_op_mov_rr[4] = SIZES(mov_rr);
soft_op_fn *const soft_op_mov_ri[4] = SIZES(mov_ri);
soft_op_fn *const soft_op_load[4] = SIZES(load);
soft_op_fn *const soft_op_load_x[4] = SIZES(load_x);
soft_op_fn *const soft_op_store[4] = SIZES(store);
soft_op_fn *const soft_op_store_x[4] = SIZES(store_x);
soft_op_fn *const soft_op_store_imm[4] = SIZES(store_imm);
soft_op_fn *const soft_op_lea[4] = SIZES(lea);
soft_op_fn *const soft_op_lea_x[4] = SIZES(lea_x);
soft_op_fn *const soft_op_xchg_rr[4] = SIZES(xchg_rr);

/* --- extensions --------------------------------------------------------------------------------------------------- */

/* `type` is what the source is read as; the conversion to 64 bits extends it. */
#define EXTEND(name, type, from, to)                                                                                   \
    OP(name##_rr##to)                                                                                                  \
    {                                                                                                                  \
        PUT##to(op->dst, (uint64_t)(type)GET(from, op->src));                                                          \
        SOFT_NEXT(cpu, op);                                                                                            \
    }                                                                                                                  \
    LOADING_OP(name##_rm##to, from, AT(op), PUT##to(op->dst, (uint64_t)(type)value), NEXT)                             \
    LOADING_OP(name##_rx##to, from, AT_X(op), PUT##to(op->dst, (uint64_t)(type)value), NEXT)
#define EXTENDS(name, type, from) EXTEND(name, type, from, 16) EXTEND(name, type, from, 32) EXTEND(name, type, from, 64)

EXTENDS(zero8, uint8_t, 8)
EXTENDS(zero16, uint16_t, 16)
EXTENDS(sign8, int8_t, 8)
EXTENDS(sign16, int16_t, 16)
EXTEND(sign32, int32_t, 32, 32)
EXTEND(sign32, int32_t, 32, 64)

#define EXTEND_ROW(name, form)                                                                                         \
    {                                                                                                                  \
        NULL, name##_##form##16, name##_##form##32, name##_##form##64                                                  \
    }
#define EXTEND_TABLE(form)                                                                                             \
    soft_op_fn *const soft_op_extend_##form[5][4] = {EXTEND_ROW(zero8, form),                                          \
                                                     EXTEND_ROW(zero16, form),                                         \
                                                     EXTEND_ROW(sign8, form),                                          \
                                                     EXTEND_ROW(sign16, form),                                         \
                                                     {NULL, NULL, sign32_##form##32, sign32_##form##64}}
EXTEND_TABLE(rr);
EXTEND_TABLE(rm);
EXTEND_TABLE(rx);

#define WIDEN(bits, half)                                                                                              \
    OP(cwde##bits)                                                                                                     \
    {                                                                                                                  \
        PUT##bits(8 * CPU_RAX, (uint64_t)(int##half##_t)GET(half, 8 * CPU_RAX));                                       \
        SOFT_NEXT(cpu, op);                                                                                            \
    }                                                                                                                  \
    OP(cdq##bits)                                                                                                      \
    {                                                                                                                  \
        PUT##bits(8 * CPU_RDX, (uint64_t)((int##bits##_t)GET(bits, 8 * CPU_RAX) < 0 ? -1 : 0));                        \
        SOFT_NEXT(cpu, op);                                                                                            \
    }

WIDEN(16, 8)
WIDEN(32, 16)
WIDEN(64, 32)

soft_op_fn *const soft_op_cdq[4] = {NULL, cdq16, cdq32, cdq64};
soft_op_fn *const soft_op_cwde[4] = {NULL, cwde16, cwde32, cwde64};

/* --- addresses ---------------------------------------------------------------------------------------------------- */

const struct soft_op *soft_op_ea(struct soft_cpu *cpu, const struct soft_op *op)
{
    cpu->gpr[SOFT_REG_EA] = AT_X(op);
    SOFT_NEXT(cpu, op);
}

const struct soft_op *soft_op_ea_segment(struct soft_cpu *cpu, const struct soft_op *op)
{
    cpu->gpr[SOFT_REG_EA] = AT_X(op) + cpu->segment[op->src].base;
    SOFT_NEXT(cpu, op);
}

const struct soft_op *soft_op_ea32(struct soft_cpu *cpu, const struct soft_op *op)
{
    cpu->gpr[SOFT_REG_EA] = (uint32_t)AT_X(op);
    SOFT_NEXT(cpu, op);
}

const struct soft_op *soft_op_ea32_segment(struct soft_cpu *cpu, const struct soft_op *op)
{
    cpu->gpr[SOFT_REG_EA] = (uint32_t)AT_X(op) + cpu->segment[op->src].base;
    SOFT_NEXT(cpu, op);
}

/* --- the stack ---------------------------------------------------------------------------------------------------- */

#define TOP64 (cpu->gpr[CPU_RSP] - 8)
#define TOP32 ((uint32_t)(cpu->gpr[CPU_RSP] - 4))

STORING_OP(push64, 64, TOP64, GET(64, op->dst), cpu->gpr[CPU_RSP] -= 8, NEXT)
STORING_OP(push64_imm, 64, TOP64, op->imm, cpu->gpr[CPU_RSP] -= 8, NEXT)
LOADING_OP(pop64, 64, cpu->gpr[CPU_RSP], cpu->gpr[CPU_RSP] += 8; PUT64(op->dst, value), NEXT)
LOADING_OP(leave64, 64, cpu->gpr[CPU_RBP], cpu->gpr[CPU_RSP] = cpu->gpr[CPU_RBP] + 8; cpu->gpr[CPU_RBP] = value, NEXT)
STORING_OP(push32, 32, TOP32, GET(32, op->dst), cpu->gpr[CPU_RSP] = TOP32, NEXT)
STORING_OP(push32_imm, 32, TOP32, op->imm, cpu->gpr[CPU_RSP] = TOP32, NEXT)
LOADING_OP(pop32, 32, (uint32_t)cpu->gpr[CPU_RSP], cpu->gpr[CPU_RSP] = (uint32_t)cpu->gpr[CPU_RSP] + 4;
           PUT32(op->dst, value), NEXT)

OP(push64_mem)
{
    uint64_t value = soft_load64(cpu, op, AT(op));

    soft_store64(cpu, op, TOP64, value);
    cpu->gpr[CPU_RSP] -= 8;
    NEXT;
}

/*
 * Several at once, if all of it lies in one page that needs nothing else: then the micro-operations behind this one,
 * which are the others', are passed over. Otherwise this is the first alone. `order` keeps the compiler from changing
 * what other CPUs see.
 */
#define ORDER __asm__ volatile("" ::: "memory")
#define PUSH_ONE(i)                                                                                                    \
    host[COUNT - 1 - (i)] = GET(64, op[i].dst);                                                                        \
    ORDER
#define PUSH_RUN(count, each)                                                                                          \
    OP(push64_run##count)                                                                                              \
    {                                                                                                                  \
        enum { COUNT = count };                                                                                        \
        uint64_t linear = cpu->gpr[CPU_RSP] - 8 * COUNT;                                                               \
        soft_guest_u64 *host = soft_reach_write_run(cpu, linear, COUNT);                                               \
        if (unlikely(!host)) {                                                                                         \
            return push64_slow(cpu, op);                                                                               \
        }                                                                                                              \
        each;                                                                                                          \
        cpu->gpr[CPU_RSP] = linear;                                                                                    \
        SOFT_NEXT(cpu, op + COUNT - 1);                                                                                \
    }
#define POP_ONE(i)                                                                                                     \
    PUT64(op[i].dst, host[i]);                                                                                         \
    ORDER
#define POP_RUN(count, each)                                                                                           \
    OP(pop64_run##count)                                                                                               \
    {                                                                                                                  \
        uint64_t linear = cpu->gpr[CPU_RSP];                                                                           \
        const soft_guest_u64 *host = soft_reach_read_run(cpu, linear, count);                                          \
        if (unlikely(!host)) {                                                                                         \
            return pop64_slow(cpu, op);                                                                                \
        }                                                                                                              \
        each;                                                                                                          \
        cpu->gpr[CPU_RSP] = linear + 8 * (count);                                                                      \
        SOFT_NEXT(cpu, op + (count)-1);                                                                                \
    }
#define RUNS(RUN, ONE)                                                                                                 \
    RUN(2, ONE(0); ONE(1))                                                                                             \
    RUN(3, ONE(0); ONE(1); ONE(2))                                                                                     \
    RUN(4, ONE(0); ONE(1); ONE(2); ONE(3))                                                                             \
    RUN(5, ONE(0); ONE(1); ONE(2); ONE(3); ONE(4))                                                                     \
    RUN(6, ONE(0); ONE(1); ONE(2); ONE(3); ONE(4); ONE(5))

RUNS(PUSH_RUN, PUSH_ONE)
RUNS(POP_RUN, POP_ONE)

soft_op_fn *const soft_op_push64_run[SOFT_RUN_MAX + 1] = {NULL,        push64,      push64_run2, push64_run3,
                                                          push64_run4, push64_run5, push64_run6};
soft_op_fn *const soft_op_pop64_run[SOFT_RUN_MAX + 1] = {NULL,       pop64,      pop64_run2, pop64_run3,
                                                         pop64_run4, pop64_run5, pop64_run6};
soft_op_fn *const soft_op_push[2] = {push32, push64};
soft_op_fn *const soft_op_push_imm[2] = {push32_imm, push64_imm};
soft_op_fn *const soft_op_pop[2] = {pop32, pop64};
soft_op_fn *const soft_op_push64_mem = push64_mem;
soft_op_fn *const soft_op_leave64 = leave64;

/* --- by condition ------------------------------------------------------------------------------------------------- */

/* The source is read whatever the condition; a 32-bit destination's upper half is cleared whatever the condition. */
#define CMOV(cc, bits)                                                                                                 \
    OP(cmov##cc##_rr##bits)                                                                                            \
    {                                                                                                                  \
        uint64_t value = soft_condition_lazy(cpu, cc) ? GET(bits, op->src) : GET(bits, op->dst);                       \
        PUT##bits(op->dst, value);                                                                                     \
        SOFT_NEXT(cpu, op);                                                                                            \
    }                                                                                                                  \
    LOADING_OP(cmov##cc##_rm##bits, bits, AT(op), value = soft_condition_lazy(cpu, cc) ? value : GET(bits, op->dst);   \
               PUT##bits(op->dst, value), NEXT)
#define CONDITION(cc)                                                                                                  \
    CMOV(cc, 16)                                                                                                       \
    CMOV(cc, 32)                                                                                                       \
    CMOV(cc, 64)                                                                                                       \
    OP(setcc##cc)                                                                                                      \
    {                                                                                                                  \
        PUT8(op->dst, soft_condition_lazy(cpu, cc));                                                                   \
        SOFT_NEXT(cpu, op);                                                                                            \
    }

CONDITION(0)
CONDITION(1)
CONDITION(2)
CONDITION(3)
CONDITION(4)
CONDITION(5)
CONDITION(6)
CONDITION(7)
CONDITION(8)
CONDITION(9)
CONDITION(10)
CONDITION(11)
CONDITION(12)
CONDITION(13)
CONDITION(14)
CONDITION(15)

#define CMOV_ROW(cc, form)                                                                                             \
    {                                                                                                                  \
        NULL, cmov##cc##_##form##16, cmov##cc##_##form##32, cmov##cc##_##form##64                                      \
    }
#define CMOV_TABLE(form)                                                                                               \
    soft_op_fn *const soft_op_cmov_##form[16][4] = {                                                                   \
        CMOV_ROW(0, form),  CMOV_ROW(1, form),  CMOV_ROW(2, form),  CMOV_ROW(3, form),                                 \
        CMOV_ROW(4, form),  CMOV_ROW(5, form),  CMOV_ROW(6, form),  CMOV_ROW(7, form),                                 \
        CMOV_ROW(8, form),  CMOV_ROW(9, form),  CMOV_ROW(10, form), CMOV_ROW(11, form),                                \
        CMOV_ROW(12, form), CMOV_ROW(13, form), CMOV_ROW(14, form), CMOV_ROW(15, form)}
CMOV_TABLE(rr);
CMOV_TABLE(rm);

soft_op_fn *const soft_op_setcc_r[16] = {setcc0, setcc1, setcc2,  setcc3,  setcc4,  setcc5,  setcc6,  setcc7,
                                         setcc8, setcc9, setcc10, setcc11, setcc12, setcc13, setcc14, setcc15};
