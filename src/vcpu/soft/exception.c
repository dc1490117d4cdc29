/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Raising faults and deciding what becomes of them: double and triple faults, return addresses, RF (SDM 3, 6.5, 6.15,
 * 17.3.1.1). How an event gets into the guest is in event.c.
 *
 *   soft_raise: the instruction is abandoned, cpu->fault set, control goes to the run loop
 *   run loop:   soft_deliver_fault
 *                  ok: the handler is next        a further fault: soft_raise, and so here again
 *
 * A hostile guest can have any fault in any delivery; each round either ends in a handler or comes closer to the triple
 * fault, so it always ends.
 */
#include "vcpu/soft/exception.h"

#include "vcpu/soft/event.h"
#include "vcpu/soft/flags.h"

/* --- raising ------------------------------------------------------------------------------------------------------ */

static bool vector_has_error(uint8_t vector)
{
    switch (vector) {
    case VECTOR_DF:
    case VECTOR_TS:
    case VECTOR_NP:
    case VECTOR_SS:
    case VECTOR_GP:
    case VECTOR_PF:
    case VECTOR_AC:
        return true;
    default:
        return false;
    }
}

HDL_NORETURN void soft_raise_error(struct soft_cpu *cpu, enum soft_vector vector, uint32_t error)
{
    cpu->fault = (struct soft_fault){.vector = vector, .has_error = true, .error = error};
    _longjmp(cpu->fault_target, 1);
}

HDL_NORETURN void soft_raise(struct soft_cpu *cpu, enum soft_vector vector)
{
    cpu->fault = (struct soft_fault){.vector = vector, .has_error = vector_has_error(vector)};
    _longjmp(cpu->fault_target, 1);
}

HDL_NORETURN void soft_raise_page_fault(struct soft_cpu *cpu, uint64_t linear, uint32_t error)
{
    cpu->cr2 = linear;
    soft_raise_error(cpu, VECTOR_PF, error);
}

/* --- faults ------------------------------------------------------------------------------------------------------- */

static bool vector_is_contributory(uint8_t vector)
{
    return vector == VECTOR_DE || (vector >= VECTOR_TS && vector <= VECTOR_GP);
}

/* Whether `second`, met while `first` was being delivered, makes a double fault (SDM 3, table 6-5). */
static bool vectors_make_double_fault(uint8_t first, uint8_t second)
{
    if (first == VECTOR_PF) {
        return second == VECTOR_PF || vector_is_contributory(second);
    }
    return vector_is_contributory(first) && vector_is_contributory(second);
}

/*
 * RF in the pushed flags keeps an instruction breakpoint from stopping the restarted instruction again. Aborts and the
 * #DB of such a breakpoint don't set it.
 */
static bool vector_sets_rf(const struct soft_cpu *cpu, uint8_t vector)
{
    if (vector == VECTOR_DB) {
        return cpu->dr6 & DR6_BD;
    }
    return vector != VECTOR_DF && vector != VECTOR_MC;
}

bool soft_deliver_fault(struct soft_cpu *cpu)
{
    struct soft_fault fault = cpu->fault;
    struct soft_event event;

    if (cpu->delivering && cpu->delivering_vector == VECTOR_DF) {
        cpu->delivering = false;
        return false;
    }
    if (cpu->delivering && vectors_make_double_fault(cpu->delivering_vector, fault.vector)) {
        fault = (struct soft_fault){.vector = VECTOR_DF, .has_error = true};
    }
    cpu->delivering = true;
    cpu->delivering_vector = fault.vector;
    event = (struct soft_event){.vector = fault.vector,
                                .has_error = fault.has_error,
                                .error = fault.error,
                                .rip = cpu->rip,
                                .rflags = soft_rflags(cpu)};
    if (vector_sets_rf(cpu, fault.vector)) {
        event.rflags |= RFLAGS_RF;
    }
    soft_event_deliver(cpu, &event);
    if (fault.vector == VECTOR_DB) {
        cpu->dr7 &= ~DR7_GD;
    }
    cpu->delivering = false;
    cpu->debug_hits = 0;
    cpu->rip = cpu->next_rip;
    return true;
}

/* --- traps and interrupts ----------------------------------------------------------------------------------------- */

static void exception_deliver_between(struct soft_cpu *cpu, uint8_t vector)
{
    const struct soft_event event = {.vector = vector, .rip = cpu->rip, .rflags = soft_rflags(cpu)};

    cpu->delivering = false;
    soft_event_deliver(cpu, &event);
    cpu->rip = cpu->next_rip;
}

void soft_deliver_interrupt(struct soft_cpu *cpu, uint8_t vector)
{
    exception_deliver_between(cpu, vector);
}

void soft_deliver_nmi(struct soft_cpu *cpu)
{
    /* If its delivery faults, the NMI is gone, as on hardware. */
    cpu->nmi_pending = false;
    cpu->nmi_masked = true;
    exception_deliver_between(cpu, VECTOR_NMI);
}

void soft_deliver_debug_trap(struct soft_cpu *cpu, uint64_t dr6_bits)
{
    cpu->dr6 = (cpu->dr6 & ~UINT64_C(0xf)) | dr6_bits | DR6_FIXED;
    cpu->dr7 &= ~DR7_GD;
    exception_deliver_between(cpu, VECTOR_DB);
}

void soft_software_interrupt(struct soft_cpu *cpu, uint8_t vector)
{
    const struct soft_event event = {
        .vector = vector, .is_software = true, .rip = cpu->next_rip, .rflags = soft_rflags(cpu)};

    soft_event_deliver(cpu, &event);
    cpu->no_step = true;
}

void soft_int1(struct soft_cpu *cpu)
{
    const struct soft_event event = {.vector = VECTOR_DB, .rip = cpu->next_rip, .rflags = soft_rflags(cpu)};

    soft_event_deliver(cpu, &event);
    cpu->dr7 &= ~DR7_GD;
    cpu->no_step = true;
}
