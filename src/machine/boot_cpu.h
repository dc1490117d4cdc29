/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A boot loader's entry as a CPU's registers. */
#ifndef HDL_MACHINE_BOOT_CPU_H
#define HDL_MACHINE_BOOT_CPU_H

#include "machine/boot/loader.h"
#include "vcpu/cpu_state.h"

/* state: as at power-on; becomes what the kernel's boot protocol wants. Pure. */
void boot_cpu_state_set(struct cpu_state *state, const struct boot_entry *entry);

#endif
