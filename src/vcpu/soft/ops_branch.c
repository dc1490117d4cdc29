/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Micro-operations that go elsewhere, and those that call exec functions (ops.h). The vCPU's thread.
 *
 * A direct jump knows its target block: within the page for good, since a block that goes stale leaves by itself; to
 * another page for one code generation, as long as the linear address shows the same code. An instruction that crosses
 * a page is looked up each time.
 *
 * Everything that leaves a block passes a look at the request bits, so no loop of the guest's can hold its vCPU.
 */
#include "vcpu/soft/block.h"
#include "vcpu/soft/condition.h"
#include "vcpu/soft/exception.h"
#include "vcpu/soft/mem.h"
#include "vcpu/soft/ops.h"
#include "vcpu/soft/ops_internal.h"

/* --- direct ------------------------------------------------------------------------------------------------------- */

const struct soft_op *soft_op_jump(struct soft_cpu *cpu, const struct soft_op *op)
{
    SOFT_JUMP(cpu, op);
}

/* Goes by a link to another page: its target is true for its generation. No generation is 0: there is none yet. */
#define FOLLOW_FAR(link_op)                                                                                            \
    do {                                                                                                               \
        const struct soft_op *link_ = (link_op), *target_ = link_ + link_->link;                                       \
        if (likely(link_->generation == (uint32_t)cpu->code_generation)) {                                             \
            SOFT_GO(cpu, target_);                                                                                     \
        }                                                                                                              \
        return soft_op_link(cpu, link_);                                                                               \
    } while (0)

OP(link_far)
{
    FOLLOW_FAR(op);
}

/* A jump whose link is behind it and goes to another page: the two in one. */
#define JUMP_FAR(jump)                                                                                                 \
    do {                                                                                                               \
        cpu->gpr[SOFT_REG_PC] += (jump)->disp;                                                                         \
        if (soft_is_wanted(cpu)) {                                                                                     \
            return soft_leave(cpu);                                                                                    \
        }                                                                                                              \
        FOLLOW_FAR((jump) + 1);                                                                                        \
    } while (0)

const struct soft_op *soft_op_jump_far(struct soft_cpu *cpu, const struct soft_op *op)
{
    JUMP_FAR(op);
}

/* Finds the target and remembers it, in the link's jump or in itself. */
const struct soft_op *soft_op_link(struct soft_cpu *cpu, const struct soft_op *op)
{
    struct soft_op *link = (struct soft_op *)op; /* the block is this vCPU's own */
    uint64_t generation = soft_cache_generation(cpu);
    const struct soft_op *target = soft_jump_find(cpu);

    /* Emptying the cache in there has taken this link away, too. */
    if (generation == soft_cache_generation(cpu) && soft_block_is_lasting(cpu)) {
        if (op->near) {
            link[-1].target = target;
        } else {
            link->link = (int32_t)(target - op);
            link->generation = (uint32_t)cpu->code_generation;
            link->fn = link_far;
        }
    }
    SOFT_GO(cpu, target);
}

const struct soft_op *soft_jump_find(struct soft_cpu *cpu)
{
    const struct soft_op *target;

    cpu->rip = cpu->gpr[SOFT_REG_PC];
    target = soft_block_find(cpu);
    if (soft_block_is_lasting(cpu)) {
        *soft_jump_entry(cpu, cpu->rip) = (struct soft_jump_entry){
            .rip = cpu->rip, .op = target, .generation = (uint32_t)cpu->code_generation, .mode = cpu->mode};
    }
    return target;
}

const struct soft_op *soft_op_find(struct soft_cpu *cpu, const struct soft_op *op)
{
    const struct soft_op *target = soft_jump_find(cpu);

    SOFT_GO(cpu, target);
}

#define JCC(cc)                                                                                                        \
    OP(jcc##cc)                                                                                                        \
    {                                                                                                                  \
        BRANCH(soft_condition_lazy(cpu, cc));                                                                          \
    }
JCC(0)
JCC(1)
JCC(2)
JCC(3)
JCC(4)
JCC(5)
JCC(6)
JCC(7)
JCC(8)
JCC(9)
JCC(10)
JCC(11)
JCC(12)
JCC(13)
JCC(14)
JCC(15)
soft_op_fn *const soft_op_jcc[16] = {jcc0, jcc1, jcc2,  jcc3,  jcc4,  jcc5,  jcc6,  jcc7,
                                     jcc8, jcc9, jcc10, jcc11, jcc12, jcc13, jcc14, jcc15};

#define TOP64              (cpu->gpr[CPU_RSP] - 8)
#define TOP32              ((uint32_t)(cpu->gpr[CPU_RSP] - 4))
#define RETURN_ADDRESS     (cpu->gpr[SOFT_REG_PC] + op->imm)
#define FOLLOWING_JUMP(op) SOFT_JUMP(cpu, (op) + 1)

STORING_OP(call32, 32, TOP32, RETURN_ADDRESS, cpu->gpr[CPU_RSP] = TOP32, FOLLOWING_JUMP(op))
STORING_OP(call64, 64, TOP64, RETURN_ADDRESS, cpu->gpr[CPU_RSP] -= 8, FOLLOWING_JUMP(op))
STORING_OP(call64_far, 64, TOP64, RETURN_ADDRESS, cpu->gpr[CPU_RSP] -= 8, JUMP_FAR(op + 1))
soft_op_fn *const soft_op_call[2] = {call32, call64};
soft_op_fn *const soft_op_call64_far = call64_far;

/* --- indirect ----------------------------------------------------------------------------------------------------- */

/* #GP(0) unless a 64-bit branch target is canonical; the instruction has changed nothing yet. */
static inline void branch_check(struct soft_cpu *cpu, const struct soft_op *op, uint64_t target)
{
    if (unlikely((uint64_t)((int64_t)(target << 16) >> 16) != target)) {
        cpu->rip = soft_op_rip(cpu, op);
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
}

LOADING_OP(ret32, 32, (uint32_t)cpu->gpr[CPU_RSP],
           cpu->gpr[CPU_RSP] = (uint32_t)((uint32_t)cpu->gpr[CPU_RSP] + 4 + op->imm), SOFT_JUMP_TO(cpu, value))
LOADING_OP(ret64, 64, cpu->gpr[CPU_RSP], branch_check(cpu, op, value);
           cpu->gpr[CPU_RSP] += 8 + op->imm, SOFT_JUMP_TO(cpu, value))
soft_op_fn *const soft_op_ret[2] = {ret32, ret64};

OP(jump_reg)
{
    uint64_t target = GET(64, op->dst);

    branch_check(cpu, op, target);
    SOFT_JUMP_TO(cpu, target);
}

OP(jump_mem)
{
    uint64_t target = soft_load64(cpu, op, AT(op));

    branch_check(cpu, op, target);
    SOFT_JUMP_TO(cpu, target);
}

static inline void push_return(struct soft_cpu *cpu, const struct soft_op *op)
{
    soft_store64(cpu, op, TOP64, RETURN_ADDRESS);
    cpu->gpr[CPU_RSP] -= 8;
}

OP(call_reg)
{
    uint64_t target = GET(64, op->dst);

    branch_check(cpu, op, target);
    push_return(cpu, op);
    SOFT_JUMP_TO(cpu, target);
}

OP(call_mem)
{
    uint64_t target = soft_load64(cpu, op, AT(op));

    branch_check(cpu, op, target);
    push_return(cpu, op);
    SOFT_JUMP_TO(cpu, target);
}

soft_op_fn *const soft_op_jump_reg = jump_reg;
soft_op_fn *const soft_op_jump_mem = jump_mem;
soft_op_fn *const soft_op_call_reg = call_reg;
soft_op_fn *const soft_op_call_mem = call_mem;

/* --- exec functions ----------------------------------------------------------------------------------------------- */

/* What has to hold before an instruction of its kind runs (SDM 3, 2.5 and 13.1; SDM 2, "exceptions"). */
static void exec_check(struct soft_cpu *cpu, uint32_t flags)
{
    if ((flags & SOFT_CPL0) && cpu->cpl != 0) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
    if ((flags & SOFT_SSE) && ((cpu->cr0 & CR0_EM) || !(cpu->cr4 & CR4_OSFXSR))) {
        soft_raise(cpu, VECTOR_UD);
    }
    if ((flags & SOFT_MMX) && (cpu->cr0 & CR0_EM)) {
        soft_raise(cpu, VECTOR_UD);
    }
    if ((flags & SOFT_X87) && (cpu->cr0 & (CR0_EM | CR0_TS))) {
        soft_raise(cpu, VECTOR_NM);
    }
    if ((flags & (SOFT_SSE | SOFT_MMX)) && (cpu->cr0 & CR0_TS)) {
        soft_raise(cpu, VECTOR_NM);
    }
}

#define EXEC_CHECKED (SOFT_CPL0 | SOFT_SSE | SOFT_MMX | SOFT_X87)

static inline void exec_call(struct soft_cpu *cpu, const struct soft_op *op)
{
    const struct soft_insn *insn = op->insn;
    uint32_t flags = insn->def->flags;

    cpu->rip = soft_op_rip(cpu, op);
    cpu->next_rip = cpu->rip + op->length;
    if ((flags & EXEC_CHECKED) && unlikely((flags & SOFT_CPL0) || !soft_has_fpu(cpu))) {
        exec_check(cpu, flags);
    }
    insn->def->exec(cpu, insn);
}

const struct soft_op *soft_op_exec(struct soft_cpu *cpu, const struct soft_op *op)
{
    exec_call(cpu, op);
    SOFT_NEXT(cpu, op);
}

/* A string instruction that isn't done asks to come again, from between two elements. */
const struct soft_op *soft_op_exec_repeat(struct soft_cpu *cpu, const struct soft_op *op)
{
    do {
        exec_call(cpu, op);
        if (cpu->next_rip != cpu->rip) {
            SOFT_NEXT(cpu, op);
        }
    } while (!soft_is_wanted(cpu) && op->fn == soft_op_exec_repeat && !(cpu->mode & SOFT_MODE_ONE));
    return NULL;
}

const struct soft_op *soft_op_exec_end(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint32_t mode = cpu->mode; /* POPF may end single-stepping, but behind itself only */

    exec_call(cpu, op);
    cpu->rip = cpu->next_rip;
    if (cpu->leave || cpu->shadow || cpu->window_wanted || ((mode | cpu->mode) & SOFT_MODE_ONE)) {
        return NULL;
    }
    SOFT_JUMP_TO(cpu, cpu->rip);
}

const struct soft_op *soft_op_raise(struct soft_cpu *cpu, const struct soft_op *op)
{
    cpu->rip = soft_op_rip(cpu, op);
    if (op->disp) {
        soft_raise_error(cpu, (enum soft_vector)op->imm, 0);
    }
    soft_raise(cpu, (enum soft_vector)op->imm);
}

const struct soft_op *soft_op_one_done(struct soft_cpu *cpu, const struct soft_op *op)
{
    cpu->rip = cpu->gpr[SOFT_REG_PC] + op->imm;
    return NULL;
}

const struct soft_op *soft_op_stale(struct soft_cpu *cpu, const struct soft_op *op)
{
    const struct soft_op *target;

    cpu->gpr[SOFT_REG_PC] = soft_op_rip(cpu, op) - op->elided;
    if (soft_is_wanted(cpu)) {
        return soft_leave(cpu);
    }
    target = soft_jump_find(cpu); /* not from the table: it may still know this block */
    SOFT_GO(cpu, target);
}
