/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Running guest code: blocks one after the other, and between them whatever wants the CPU: faults, interrupts, requests
 * of other threads. The vCPU's thread; it holds nothing.
 *
 * Who wants something sets a request bit (vcpu.h). Every way out of a block looks at the word, so a kick needs nothing
 * more: a request is seen after one block at most, and that is also how long others wait who need this CPU at a quiet
 * point.
 *
 * A fault abandons the instruction by a jump to soft_run's frame; everything that lives across it is in the soft_cpu.
 */
#include "vcpu/soft/run.h"

#include "base/log.h"
#include "vcpu/soft/block.h"
#include "vcpu/soft/code_map.h"
#include "vcpu/soft/exception.h"
#include "vcpu/soft/op.h"
#include "vcpu/soft/segment.h"
#include "vcpu/soft/system.h"

static void run_leave(struct soft_cpu *cpu, enum vcpu_exit_kind kind)
{
    cpu->exit->kind = kind;
    cpu->leave = true;
}

/* --- between blocks ----------------------------------------------------------------------------------------------- */

/* What others asked for. The accelerator's own part is done here; for the rest the run ends. */
static void run_serve(struct soft_cpu *cpu)
{
    _Atomic uint32_t *requests = &soft_common(cpu)->requests;

    if (atomic_load_explicit(requests, memory_order_relaxed) & VCPU_REQUEST_ACCEL) {
        soft_serve_accel(cpu);
    }
    /* Pairs with vcpu_request: place was set before, see soft_run. */
    if (atomic_load_explicit(requests, memory_order_seq_cst) & ~(uint32_t)VCPU_REQUEST_ACCEL) {
        run_leave(cpu, VCPU_EXIT_INTERRUPTED);
    }
}

/* Interrupts and NMIs between two instructions. May raise. */
static void run_deliver(struct soft_cpu *cpu)
{
    if (cpu->interrupt_injected) {
        cpu->interrupt_injected = false;
        soft_deliver_interrupt(cpu, cpu->interrupt_vector);
    } else if (cpu->nmi_pending && !cpu->nmi_masked && !cpu->shadow) {
        cpu->nmi_pending = false;
        soft_deliver_nmi(cpu);
    } else if (cpu->window_wanted && soft_can_interrupt(cpu)) {
        cpu->window_wanted = false;
        run_leave(cpu, VCPU_EXIT_IRQ_WINDOW);
    }
}

static void run_chain(struct soft_cpu *cpu)
{
    const struct soft_op *op = soft_block_find(cpu);

    while (op) {
        op = op->fn(cpu, op);
    }
}

/* One instruction: in an interrupt shadow, single-stepped, or watched by breakpoints. May raise. */
static void run_one(struct soft_cpu *cpu)
{
    if (soft_breakpoint_hit(cpu)) {
        if (!soft_deliver_fault(cpu)) {
            run_leave(cpu, VCPU_EXIT_TRIPLE_FAULT);
        }
        return;
    }
    run_chain(cpu);
    soft_one_done(cpu);
}

static void run_blocks(struct soft_cpu *cpu)
{
    while (!cpu->leave) {
        if (soft_is_wanted(cpu)) {
            run_serve(cpu);
        }
        if (!cpu->leave) {
            run_deliver(cpu);
        }
        if (cpu->leave) {
            break;
        }
        if (cpu->shadow && !(cpu->mode & SOFT_MODE_ONE)) {
            soft_update_mode(cpu);
        }
        if (cpu->mode & SOFT_MODE_ONE) {
            run_one(cpu);
        } else {
            run_chain(cpu);
        }
    }
}

/* --- a run -------------------------------------------------------------------------------------------------------- */

/* Faults come back to here, any number of times. */
static void run_with_faults(struct soft_cpu *cpu)
{
    if (_setjmp(cpu->fault_target) != 0 && !soft_deliver_fault(cpu)) {
        run_leave(cpu, VCPU_EXIT_TRIPLE_FAULT);
        return;
    }
    run_blocks(cpu);
}

void soft_run(struct vcpu *common, struct vcpu_exit *exit)
{
    struct soft_cpu *cpu = &soft_vcpu_of(common)->cpu;

    cpu->exit = exit;
    cpu->leave = false;
    soft_guest_enter(cpu);
    soft_fpu_enter(cpu);
    run_with_faults(cpu);
    soft_fpu_leave(cpu);
    soft_guest_leave(cpu);
    if (exit->kind == VCPU_EXIT_HLT && cpu->nmi_pending && !cpu->nmi_masked) {
        exit->kind = VCPU_EXIT_AGAIN; /* it came in the shadow before HLT, and ends the halt at once */
    }
    trace(VCPU_EXIT, "vcpu %u: exit %d", common->index, exit->kind);
}

/* --- for other threads' requests, served on this one -------------------------------------------------------------- */

void soft_kick(struct vcpu *common)
{
    /* The request bit is enough: it is looked at after every block. */
}

int soft_inject_nmi(struct vcpu *common)
{
    soft_vcpu_of(common)->cpu.nmi_pending = true;
    return 0;
}

bool soft_interrupt_window(struct vcpu *common)
{
    struct soft_cpu *cpu = &soft_vcpu_of(common)->cpu;
    bool open = soft_can_interrupt(cpu);

    cpu->window_wanted = !open;
    return open;
}

int soft_inject_interrupt(struct vcpu *common, uint8_t vector)
{
    struct soft_cpu *cpu = &soft_vcpu_of(common)->cpu;

    cpu->interrupt_injected = true;
    cpu->interrupt_vector = vector;
    return 0;
}
