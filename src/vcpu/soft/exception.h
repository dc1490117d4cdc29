/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exceptions and interrupts: raising one, and delivering it through the IDT (SDM 3, chapter 6). The vCPU's thread, in a
 * run.
 */
#ifndef HDL_VCPU_SOFT_EXCEPTION_H
#define HDL_VCPU_SOFT_EXCEPTION_H

#include "vcpu/soft/cpu.h"

/* Abandons the instruction at cpu->rip, none of whose results may have been stored: the run loop delivers the fault. */
HDL_NORETURN void soft_raise(struct soft_cpu *cpu, enum soft_vector vector);
HDL_NORETURN void soft_raise_error(struct soft_cpu *cpu, enum soft_vector vector, uint32_t error);
/* Sets CR2 as well. */
HDL_NORETURN void soft_raise_page_fault(struct soft_cpu *cpu, uint64_t linear, uint32_t error);

/*
 * Delivers cpu->fault to the guest: cpu->rip is the faulting instruction's. May raise in turn: call it again then. It
 * knows about double faults (SDM 3, table 6-5). False: a triple fault, the CPU has shut itself down.
 */
bool soft_deliver_fault(struct soft_cpu *cpu);
/* An external interrupt or NMI between two instructions: cpu->rip is the next one's. May raise. */
void soft_deliver_interrupt(struct soft_cpu *cpu, uint8_t vector);
void soft_deliver_nmi(struct soft_cpu *cpu);
/* A trap after an instruction: single step, data breakpoints. cpu->rip is the next one's. May raise. */
void soft_deliver_debug_trap(struct soft_cpu *cpu, uint64_t dr6_bits);

/* INT n, INT3, INTO, INT1 as instructions: cpu->next_rip becomes the handler's. May raise. */
void soft_software_interrupt(struct soft_cpu *cpu, uint8_t vector);

#endif
