/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What firmware leaves in every CPU's registers, and a boot loader's entry as the boot processor's. */
#ifndef HDL_MACHINE_BOOT_CPU_H
#define HDL_MACHINE_BOOT_CPU_H

#include "machine/boot/loader.h"
#include "vcpu/cpu_state.h"

/*
 * What firmware sets up the same in all CPUs, those too that wait to be started: the memory types (Intel SDM
 * 3A, 12.11.8), which INIT leaves alone (table 10-1). The time-stamp counter goes on. Pure.
 */
void boot_cpu_firmware_set(struct cpu_state *state);

/* state: as at power-on; becomes what the kernel's boot protocol wants of the boot processor. Pure. */
void boot_cpu_entry_set(struct cpu_state *state, const struct boot_entry *entry);

#endif
