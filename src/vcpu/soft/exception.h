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

/* INT n, INT3, INTO as instructions: cpu->next_rip becomes the handler's. May raise. */
void soft_software_interrupt(struct soft_cpu *cpu, uint8_t vector);
/* INT1: no gate's DPL counts, as with a #DB that hardware raises. */
void soft_int1(struct soft_cpu *cpu);

/* --- debug.c: breakpoints and single steps (SDM 3, 17.3) ---------------------------------------------------------- */

/*
 * The run loop calls the first before each instruction of SOFT_MODE_ONE, and the second after it if it didn't fault.
 *
 * True: an instruction breakpoint stops it; cpu->fault is the #DB, for soft_deliver_fault.
 */
bool soft_breakpoint_hit(struct soft_cpu *cpu);
/*
 * cpu->rip is the next instruction's. Ends an interrupt shadow that was there before the instruction, delivers traps
 * that are due (may raise), and lets soft_update_mode follow.
 */
void soft_one_done(struct soft_cpu *cpu);
/*
 * Whether accesses have to be looked at: then mem.c's slow paths call soft_data_breakpoint before they succeed, and
 * keep the pages that soft_data_breakpoint_page names out of the TLB.
 */
bool soft_data_breakpoints_enabled(const struct soft_cpu *cpu);
bool soft_data_breakpoint_page(const struct soft_cpu *cpu, uint64_t linear);
/* Notes a trap that soft_one_done will deliver if the access meets a breakpoint. */
void soft_data_breakpoint(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes, bool is_write);
void soft_io_breakpoint(struct soft_cpu *cpu, uint16_t port, unsigned size_bytes);
/* Any breakpoint is enabled. */
bool soft_breakpoints_enabled(const struct soft_cpu *cpu);
/* MOV to and from DRn, n 0..7. #GP, #UD and general detect's #DB. */
uint64_t soft_read_dr(struct soft_cpu *cpu, unsigned n);
void soft_write_dr(struct soft_cpu *cpu, unsigned n, uint64_t value);

#define DR6_FIXED UINT64_C(0xffff0ff0)
#define DR6_BD    UINT64_C(0x2000)
#define DR6_BS    UINT64_C(0x4000)
#define DR6_BT    UINT64_C(0x8000)
#define DR7_FIXED UINT64_C(0x400)
#define DR7_LOCAL UINT64_C(0x155) /* L0..L3, LE */
#define DR7_GD    UINT64_C(0x2000)

#endif
