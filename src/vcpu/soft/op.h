/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Micro-operations: what a block of instructions is decoded into. Each names the function that carries it out; that
 * one goes on to the next by itself.
 *
 * Where the compiler turns a call in tail position into a jump, the next one is called (threaded code). In builds
 * where it doesn't (no optimisation, sanitizers), it is returned to the run loop, which calls it: same code, same
 * meaning, slower.
 */
#ifndef HDL_VCPU_SOFT_OP_H
#define HDL_VCPU_SOFT_OP_H

#include "base/rcu.h" /* HDL_TSAN */
#include "vcpu/soft/cpu.h"

struct soft_op;

/* Returns the next micro-operation, or NULL to leave for the run loop, with cpu->rip set. */
typedef const struct soft_op *soft_op_fn(struct soft_cpu *cpu, const struct soft_op *op);

/* Private to its vCPU. Registers are byte offsets from the soft_cpu, so that AH and the like are just offsets, too. */
struct soft_op {
    soft_op_fn *fn;
    union {
        uint64_t imm;
        const struct soft_insn *insn; /* an exec function's */
        const struct soft_op *target; /* a link to another block: NULL while it isn't known */
    };
    int32_t disp;
    uint8_t dst, src, base, index;
    uint16_t pc;    /* of its instruction, from the block's start */
    uint8_t length; /* of its instruction */
    uint8_t shift;  /* of the index */
    uint8_t begins; /* 1: it is its instruction's first */
    uint8_t spare[3];
};
_Static_assert(sizeof(struct soft_op) == 32, "two micro-operations a cache line");

#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(HDL_TSAN)
#if defined(__has_feature)
#if !__has_feature(address_sanitizer) && !__has_feature(undefined_behavior_sanitizer)
#define SOFT_TAIL_CALLS 1
#endif
#else
#define SOFT_TAIL_CALLS 1
#endif
#endif

#ifdef SOFT_TAIL_CALLS
#if defined(__clang__)
#define SOFT_GO(cpu, next) __attribute__((musttail)) return (next)->fn(cpu, next)
#else
#define SOFT_GO(cpu, next) return (next)->fn(cpu, next)
#endif
#else
#define SOFT_GO(cpu, next) return (next)
#endif
#define SOFT_NEXT(cpu, op)                                                                                             \
    do {                                                                                                               \
        const struct soft_op *soft_next_ = (op) + 1;                                                                   \
        SOFT_GO(cpu, soft_next_);                                                                                      \
    } while (0)

static inline uint64_t soft_op_rip(const struct soft_cpu *cpu, const struct soft_op *op)
{
    return cpu->gpr[SOFT_REG_PC] + op->pc;
}

#endif
