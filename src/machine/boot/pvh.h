/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ELF kernels with a PVH entry: uncompressed Linux (vmlinux) and others (Xen, docs/misc/pvh.pandoc). */
#ifndef HDL_MACHINE_BOOT_PVH_H
#define HDL_MACHINE_BOOT_PVH_H

#include "machine/boot/loader.h"

extern const struct boot_loader pvh_loader;

#endif
