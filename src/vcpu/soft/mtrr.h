/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory type registers (SDM 3, 12.11, 12.12). Guests see what they wrote; a software CPU caches nothing by them. */
#ifndef HDL_VCPU_SOFT_MTRR_H
#define HDL_VCPU_SOFT_MTRR_H

#include "vcpu/soft/cpu.h"

/* The vCPU's thread. False: not one of these, or not a value for it. */
bool soft_mtrr_read(struct soft_cpu *cpu, uint32_t msr, uint64_t *value);
bool soft_mtrr_write(struct soft_cpu *cpu, uint32_t msr, uint64_t value);

#endif
