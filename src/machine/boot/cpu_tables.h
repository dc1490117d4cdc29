/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The descriptor table and the page tables that a directly booted kernel starts on. */
#ifndef HDL_MACHINE_BOOT_CPU_TABLES_H
#define HDL_MACHINE_BOOT_CPU_TABLES_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/boot/boot_ram.h"

/* Selectors of the table (Linux's __BOOT_CS and __BOOT_DS; Documentation/x86/boot.rst). */
enum { BOOT_CS32 = 0x08, BOOT_CS64 = 0x10, BOOT_DS = 0x18, BOOT_TSS = 0x20 };
/* Descriptors, as in the table. */
#define BOOT_GDT_CODE32 UINT64_C(0x00CF9B000000FFFF)
#define BOOT_GDT_CODE64 UINT64_C(0x00AF9B000000FFFF)
#define BOOT_GDT_DATA   UINT64_C(0x00CF93000000FFFF)
#define BOOT_GDT_TSS    UINT64_C(0x00008B0000000067)
#define BOOT_GDT_COUNT  6 /* the TSS takes two in long mode */

/* Writes both: 4 GiB mapped one to one, in 2 MiB pages. False if guest RAM doesn't reach PC_BOOT_END. */
bool boot_cpu_tables_write(const struct boot_ram *ram);

#endif
