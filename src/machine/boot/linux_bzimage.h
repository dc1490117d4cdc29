/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Linux bzImage, entered in 64-bit mode (Linux, Documentation/x86/boot.rst, "64-bit Boot Protocol"). */
#ifndef HDL_MACHINE_BOOT_LINUX_BZIMAGE_H
#define HDL_MACHINE_BOOT_LINUX_BZIMAGE_H

#include "machine/boot/loader.h"

extern const struct boot_loader linux_bzimage_loader;

#endif
