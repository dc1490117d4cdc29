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

/*
 * Private to its vCPU. Operands are byte offsets from the soft_cpu, so that AH and the like are just offsets, too; base
 * and index are counted in words of 8 bytes, so that they reach the segments' bases as well.
 *
 * A direct jump is two of them: the jump, whose `target` is where it goes, and behind it its link, which is that target
 * while the real one isn't known, or lies in another page and so holds only for one code generation (ops_branch.c).
 */
struct soft_op {
    soft_op_fn *fn;
    union {
        uint64_t imm;
        const struct soft_insn *insn; /* an exec function's */
        const struct soft_op *target; /* a jump's */
    };
    int32_t disp;
    union {
        struct {
            uint8_t dst, src, base, index;
        };
        int32_t link; /* a link's: the other page's block, counted in micro-operations from here */
    };
    uint16_t pc;        /* of its instruction, from the block's start */
    uint8_t length;     /* of its instruction */
    uint8_t shift : 2;  /* of the index */
    uint8_t begins : 1; /* it is its instruction's first */
    uint8_t near : 1;   /* a link's: within the page, true for good */
    union {
        uint32_t generation; /* a link's: the low half of cpu->code_generation when it was made */
        uint16_t elided; /* others': bytes before its instruction that became nothing, from where it stands for them */
    };
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

/* --- going elsewhere (ops_branch.c) ------------------------------------------------------------------------------- */

/* Entries of the table that finds a block by its instruction pointer alone; direct-mapped. */
#define SOFT_JUMP_ENTRIES 4096
struct soft_jump_entry {
    uint64_t rip;
    const struct soft_op *op;
    uint32_t generation; /* the low half of cpu->code_generation when it was made */
    uint32_t mode;
};

/* Somebody wants something of this vCPU: it looks between blocks. */
static inline bool soft_is_wanted(struct soft_cpu *cpu)
{
    return unlikely(atomic_load_explicit(&soft_common(cpu)->requests, memory_order_relaxed) != 0);
}

/* Leaves for the run loop; the next instruction is at gpr[SOFT_REG_PC]. */
static inline const struct soft_op *soft_leave(struct soft_cpu *cpu)
{
    cpu->rip = cpu->gpr[SOFT_REG_PC];
    return NULL;
}

/* Goes where a jump says. */
#define SOFT_JUMP(cpu, jump)                                                                                           \
    do {                                                                                                               \
        const struct soft_op *soft_target_ = (jump)->target;                                                           \
        (cpu)->gpr[SOFT_REG_PC] += (jump)->disp;                                                                       \
        if (soft_is_wanted(cpu)) {                                                                                     \
            return soft_leave(cpu);                                                                                    \
        }                                                                                                              \
        SOFT_GO(cpu, soft_target_);                                                                                    \
    } while (0)

/* The block at gpr[SOFT_REG_PC], by the slow way. May raise. */
const struct soft_op *soft_jump_find(struct soft_cpu *cpu);
/* Goes there; `op` isn't looked at. */
soft_op_fn soft_op_find;

/* Goes to an instruction pointer. */
#define SOFT_JUMP_TO(cpu, address)                                                                                     \
    do {                                                                                                               \
        uint64_t soft_rip_ = (address);                                                                                \
        const struct soft_jump_entry *soft_entry_ = soft_jump_entry(cpu, soft_rip_);                                   \
        (cpu)->gpr[SOFT_REG_PC] = soft_rip_;                                                                           \
        if (soft_is_wanted(cpu)) {                                                                                     \
            return soft_leave(cpu);                                                                                    \
        }                                                                                                              \
        if (unlikely(soft_entry_->rip != soft_rip_ || soft_entry_->generation != (uint32_t)(cpu)->code_generation ||   \
                     soft_entry_->mode != (cpu)->mode)) {                                                              \
            return soft_op_find(cpu, NULL);                                                                            \
        }                                                                                                              \
        SOFT_GO(cpu, soft_entry_->op);                                                                                 \
    } while (0)

static inline struct soft_jump_entry *soft_jump_entry(struct soft_cpu *cpu, uint64_t rip)
{
    return &cpu->jumps[(rip ^ rip >> 12) % SOFT_JUMP_ENTRIES];
}

#endif
