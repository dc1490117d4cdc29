/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Getting an exception or interrupt into the guest, by the table that its mode has. Private to exception.c, event.c. */
#ifndef HDL_VCPU_SOFT_EVENT_H
#define HDL_VCPU_SOFT_EVENT_H

#include "vcpu/soft/cpu.h"

struct soft_event {
    uint8_t vector;
    bool is_software; /* INT n, INT3, INTO: the gate's DPL counts, and faults aren't called external */
    bool has_error;
    uint32_t error;
    uint64_t rip, rflags; /* to be pushed */
};

/*
 * The vCPU's thread, in a run. CS, SS, RSP, RFLAGS, CPL and next_rip become the handler's, and an interrupt shadow
 * ends. Raises what the tables and the stack may raise, and nothing has changed then; but for a task gate, behind which
 * faults may be the new task's: rip and next_rip are its own then.
 */
void soft_event_deliver(struct soft_cpu *cpu, const struct soft_event *event);

/* INT n in virtual-8086 mode, by the six methods of SDM 3, table 20-2. May raise. */
void soft_event_software_vm86(struct soft_cpu *cpu, uint8_t vector);

#endif
