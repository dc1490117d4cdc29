/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ACPI tables that a directly booted guest finds in memory (ACPI 6.4, chapter 5). */
#ifndef HDL_MACHINE_ACPI_TABLES_H
#define HDL_MACHINE_ACPI_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* What differs from machine to machine. */
struct acpi_config {
    const uint32_t *apic_ids; /* one a CPU */
    unsigned cpu_count;
    bool has_hpet;
    uint8_t serial_mask;     /* bit n: COM(n+1) exists */
    uint64_t window64_start; /* 64-bit PCI window */
    uint64_t window64_size_bytes;
};

/*
 * Writes all tables into the guest's memory from PC_ACPI on; area: its PC_ACPI_END - PC_ACPI bytes. The vCPUs stand
 * still. 0 and the guest address of the root pointer (RSDP); -ENOSPC and an error when there are too many CPUs.
 */
int acpi_tables_write(uint8_t *area, const struct acpi_config *config, uint64_t *rsdp_gpa, struct error **err);

#endif
