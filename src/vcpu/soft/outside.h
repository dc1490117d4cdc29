/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses outside their segment, met by micro-operations, which don't know segments. The vCPU's thread. */
#ifndef HDL_VCPU_SOFT_OUTSIDE_H
#define HDL_VCPU_SOFT_OUTSIDE_H

#include "vcpu/soft/cpu.h"

/*
 * The instruction at cpu->rip has reached for `linear`, which isn't canonical in 64-bit mode, or whose last byte lies
 * past the end of a flat segment. Raises #SS(0) if that was the stack's segment, else #GP(0) (SDM 3, 6.15). In a run.
 */
HDL_NORETURN void soft_raise_outside(struct soft_cpu *cpu, uint64_t linear);

#endif
