/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Micro-operations of the system instructions that every system call and interrupt of a 64-bit kernel runs (ops.h): the
 * common case only; anything else is the exec function's. The vCPU's thread.
 */
#include "vcpu/soft/flags.h"
#include "vcpu/soft/mem.h"
#include "vcpu/soft/ops.h"
#include "vcpu/soft/ops_internal.h"

const struct soft_op *soft_op_cli(struct soft_cpu *cpu, const struct soft_op *op)
{
    if (unlikely(cpu->cpl != 0)) {
        return soft_op_exec(cpu, op);
    }
    cpu->rflags &= ~(uint64_t)RFLAGS_IF;
    SOFT_NEXT(cpu, op);
}

/*
 * Interrupts are taken between blocks only, and this isn't a block's last instruction (soft_lower_end sees to it): so
 * the one behind it is run before any interrupt, and that is all that STI's shadow means. Only if one may wait already
 * is there more to do: it has to be taken right behind that instruction, as the next could close the window again.
 */
const struct soft_op *soft_op_sti(struct soft_cpu *cpu, const struct soft_op *op)
{
    if (unlikely(cpu->cpl != 0 || cpu->window_wanted || soft_is_wanted(cpu))) {
        return soft_op_exec_end(cpu, op);
    }
    cpu->rflags |= RFLAGS_IF;
    SOFT_NEXT(cpu, op);
}

const struct soft_op *soft_op_swapgs(struct soft_cpu *cpu, const struct soft_op *op)
{
    uint64_t base = cpu->segment[CPU_GS].base;

    if (unlikely(cpu->cpl != 0)) {
        return soft_op_exec(cpu, op);
    }
    cpu->segment[CPU_GS].base = cpu->msr.kernel_gs_base;
    cpu->msr.kernel_gs_base = base;
    SOFT_NEXT(cpu, op);
}

STORING_OP(pushf64, 64, cpu->gpr[CPU_RSP] - 8, soft_rflags(cpu) & ~(uint64_t)(RFLAGS_VM | RFLAGS_RF),
           cpu->gpr[CPU_RSP] -= 8, NEXT)
soft_op_fn *const soft_op_pushf64 = pushf64;
