/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Multiboot 1 kernels, as flat test kernels are (Multiboot Specification 0.6.96). */
#ifndef HDL_MACHINE_BOOT_MULTIBOOT_H
#define HDL_MACHINE_BOOT_MULTIBOOT_H

#include "machine/boot/loader.h"

extern const struct boot_loader multiboot_loader;

#endif
