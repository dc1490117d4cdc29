/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What control registers may hold. Shared by those who write them, and by state.c. */
#ifndef HDL_VCPU_SOFT_SYSREG_H
#define HDL_VCPU_SOFT_SYSREG_H

#include "vcpu/soft/cpu.h"

/* Pure: by itself; what depends on other registers isn't looked at. */
bool soft_cr0_is_valid(uint64_t value);
/* The bits that these features allow. Pure. */
uint64_t soft_cr4_defined(const struct soft_features *features);
uint64_t soft_efer_defined(const struct soft_features *features);

/* The vCPU's thread. False: #GP(0), and nothing has changed. */
bool soft_write_efer(struct soft_cpu *cpu, uint64_t value);
uint64_t soft_read_cr8(struct soft_cpu *cpu);

/* XCR0's bits that XSAVE knows: x87 and SSE. */
#define SOFT_XCR0_DEFINED UINT64_C(3)

/* msr.c: what a register of that kind may hold. Pure. */
bool soft_pat_is_valid(uint64_t value);
bool soft_mtrr_def_type_is_valid(uint64_t value);

#endif
