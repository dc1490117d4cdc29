/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The accelerator's operations on a vCPU that run, interrupt and kick it (accel.h says what they promise). */
#ifndef HDL_VCPU_SOFT_RUN_H
#define HDL_VCPU_SOFT_RUN_H

#include "vcpu/soft/cpu.h"

void soft_run(struct vcpu *common, struct vcpu_exit *exit);
void soft_kick(struct vcpu *common);
int soft_inject_nmi(struct vcpu *common);
bool soft_interrupt_window(struct vcpu *common);
int soft_inject_interrupt(struct vcpu *common, uint8_t vector);

/* Whether an external interrupt could be delivered before the next instruction. The vCPU's thread. */
static inline bool soft_can_interrupt(const struct soft_cpu *cpu)
{
    return (cpu->rflags & RFLAGS_IF) && !cpu->shadow && !cpu->interrupt_injected;
}

#endif
