/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Micro-operations of LOCKed instructions, XCHG with memory, and CMPXCHG without LOCK (ops.h): one instruction of the
 * host's when the operand lies in a page that can be read and written at once. All else is the exec function's, which
 * begins anew: nothing has happened yet. The vCPU's thread.
 */
#include "vcpu/soft/alu.h"
#include "vcpu/soft/host_lock.h"
#include "vcpu/soft/ops.h"
#include "vcpu/soft/ops_internal.h"

#define LOCKED_OP(name, bits, body)                                                                                    \
    OP(name)                                                                                                           \
    {                                                                                                                  \
        soft_guest_u##bits *host = soft_reach_modify(cpu, AT(op), bits / 8);                                           \
        if (unlikely(!host)) {                                                                                         \
            return soft_op_exec(cpu, op);                                                                              \
        }                                                                                                              \
        body;                                                                                                          \
        NEXT;                                                                                                          \
    }

/* --- arithmetic and logic ----------------------------------------------------------------------------------------- */

/* Flags are those of the old value and the operand. */
#define ADDING(name, kind, bits, log2, sign, source)                                                                   \
    LOCKED_OP(name, bits, uint64_t b = (source); soft_alu_inline(cpu, kind, log2, soft_host_add##bits(host, sign b), b))
#define LOOPING(name, bits, log2, kind, operator, source)                                                              \
    LOCKED_OP(                                                                                                         \
        name, bits, uint64_t b = (source); uint64_t a = *host;                                                         \
        while (!soft_host_exchange##bits(host, &a, a operator b)) {} soft_alu_inline(cpu, kind, log2, a, b))
#define STEPPING(name, kind, bits, log2, step)                                                                         \
    LOCKED_OP(name, bits, bool carry = soft_carry(cpu); uint64_t a = soft_host_add##bits(host, step);                  \
              soft_cc_set(cpu, SOFT_CC(kind, log2), (uint##bits##_t)(a + (step)), carry))

#define SOURCES(bits, log2, form, source)                                                                              \
    ADDING(add_##form##bits, SOFT_KIND_ADD, bits, log2, , source)                                                      \
    ADDING(sub_##form##bits, SOFT_KIND_SUB, bits, log2, -, source)                                                     \
    LOOPING(or_##form##bits, bits, log2, SOFT_KIND_OR, |, source)                                                      \
    LOOPING(and_##form##bits, bits, log2, SOFT_KIND_AND, &, source)                                                    \
    LOOPING(xor_##form##bits, bits, log2, SOFT_KIND_XOR, ^, source)

/* --- exchanges ---------------------------------------------------------------------------------------------------- */

#define COMPARED(bits, log2, old)                                                                                      \
    soft_alu_inline(cpu, SOFT_KIND_CMP, log2, GET(bits, 8 * CPU_RAX), old);                                            \
    if (!equal) {                                                                                                      \
        PUT##bits(8 * CPU_RAX, old);                                                                                   \
    }
#define EXCHANGES(bits, log2)                                                                                          \
    LOCKED_OP(xchg##bits, bits, uint64_t old = soft_host_swap##bits(host, GET(bits, op->src));                         \
              PUT##bits(op->src, old))                                                                                 \
    LOCKED_OP(xadd##bits, bits, uint64_t b = GET(bits, op->src); uint64_t old = soft_host_add##bits(host, b);          \
              soft_alu_inline(cpu, SOFT_KIND_ADD, log2, old, b); PUT##bits(op->src, old))                              \
    LOCKED_OP(cmpxchg_locked##bits, bits, uint64_t old = GET(bits, 8 * CPU_RAX);                                       \
              bool equal = soft_host_exchange##bits(host, &old, GET(bits, op->src)); COMPARED(bits, log2, old))        \
    LOCKED_OP(cmpxchg##bits, bits, uint64_t old = *host; bool equal = old == GET(bits, 8 * CPU_RAX);                   \
              *host = (uint##bits##_t)(equal ? GET(bits, op->src) : old); COMPARED(bits, log2, old))

#define SIZE(bits, log2)                                                                                               \
    SOURCES(bits, log2, mr, GET(bits, op->src))                                                                        \
    SOURCES(bits, log2, mi, (uint##bits##_t)op->insn->imm)                                                             \
    STEPPING(inc##bits, CC_INC, bits, log2, UINT64_C(1))                                                               \
    STEPPING(dec##bits, CC_DEC, bits, log2, UINT64_MAX)                                                                \
    EXCHANGES(bits, log2)

SIZE(8, 0)
SIZE(16, 1)
SIZE(32, 2)
SIZE(64, 3)

#define SIZES(name)                                                                                                    \
    {                                                                                                                  \
        name##8, name##16, name##32, name##64                                                                          \
    }
#define TABLE(form)                                                                                                    \
    soft_op_fn *const soft_op_lock_##form[SOFT_ALU_KINDS][4] = {[SOFT_KIND_ADD - SOFT_KIND_ADD] = SIZES(add_##form),   \
                                                                [SOFT_KIND_OR - SOFT_KIND_ADD] = SIZES(or_##form),     \
                                                                [SOFT_KIND_AND - SOFT_KIND_ADD] = SIZES(and_##form),   \
                                                                [SOFT_KIND_SUB - SOFT_KIND_ADD] = SIZES(sub_##form),   \
                                                                [SOFT_KIND_XOR - SOFT_KIND_ADD] = SIZES(xor_##form)}
TABLE(mr);
TABLE(mi);
soft_op_fn *const soft_op_lock_unary[4][4] = {SIZES(inc), SIZES(dec)};
soft_op_fn *const soft_op_lock_xadd[4] = SIZES(xadd);
soft_op_fn *const soft_op_xchg_m[4] = SIZES(xchg);
soft_op_fn *const soft_op_cmpxchg_m[2][4] = {SIZES(cmpxchg), SIZES(cmpxchg_locked)};
