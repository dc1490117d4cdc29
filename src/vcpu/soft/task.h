/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Task state segments: hardware task switches (SDM 3, 7.2, 7.3). The vCPU's thread, in a run. Never in long mode. */
#ifndef HDL_VCPU_SOFT_TASK_H
#define HDL_VCPU_SOFT_TASK_H

#include "vcpu/soft/descriptor.h"

/* Of a 32-bit or 64-bit TSS: where the I/O permission bitmap's offset stands. */
#define TSS_IO_BASE 0x66

enum soft_task_how {
    SOFT_TASK_JUMP,
    SOFT_TASK_CALL,   /* CALL, or an event through a task gate: the new task is nested */
    SOFT_TASK_RETURN, /* IRET from a nested task */
};

struct soft_task_switch {
    struct soft_descriptor descriptor; /* of the new TSS, checked */
    enum soft_task_how how;
    uint32_t ext;         /* of error codes */
    uint64_t rip, rflags; /* that the old task will go on with */
    bool has_error;       /* an event's error code, for the new task's stack */
    uint32_t error;
};

/* The TSS that a gate or a far pointer names: in the GDT, available, present; raises #GP or #NP otherwise. */
void soft_task_check_available(struct soft_cpu *cpu, uint16_t selector, uint32_t ext,
                               struct soft_descriptor *descriptor);
/*
 * Until the old state is stored and the new one read, faults are the old task's; from then on cpu->rip and next_rip are
 * the new task's, and so are faults in loading its segments.
 */
void soft_task_switch(struct soft_cpu *cpu, const struct soft_task_switch *change);
/* IRET with NT set. */
void soft_task_return(struct soft_cpu *cpu);

#endif
