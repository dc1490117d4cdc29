/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Builds the ACPI tables at run time, around the DSDT that iasl made from dsdt.asl. Layout of the area: RSDP, tables
 * one after another, and at its end the parameters that the DSDT reads.
 *
 * No state; takes no guest input. Written anew at each reset, because the guest may have overwritten them.
 */
#include "machine/acpi/tables.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "dsdt.hex"
#include "machine/pc_layout.h"

enum {
    HEADER_BYTES = 36,
    RSDP_BYTES = 36,
    FADT_BYTES = 276,
    FACS_BYTES = 64,
    XSDT_ENTRIES_MAX = 8,
    AREA_BYTES = PC_ACPI_END - PC_ACPI,
    TABLES_END = PC_ACPI_PARAMS - PC_ACPI,
};

/* The area while it is being filled. */
struct acpi_builder {
    uint8_t *area;
    uint32_t used; /* where the next table goes */
    bool full;
    uint64_t entries[XSDT_ENTRIES_MAX];
    unsigned entry_count;
};

static uint8_t acpi_checksum(const uint8_t *bytes, uint32_t len_bytes)
{
    uint8_t sum = 0;

    for (uint32_t i = 0; i < len_bytes; i++) {
        sum += bytes[i];
    }
    return (uint8_t)-sum;
}

static uint64_t acpi_gpa(const struct acpi_builder *builder, const uint8_t *at)
{
    return PC_ACPI + (uint64_t)(at - builder->area);
}

/* Zeroed room, aligned; NULL, and builder->full, when there is none. */
static uint8_t *acpi_reserve(struct acpi_builder *builder, uint32_t len_bytes, uint32_t align)
{
    uint32_t start = ALIGN_UP(builder->used, align);

    if (start > TABLES_END || len_bytes > TABLES_END - start) {
        builder->full = true;
        return NULL;
    }
    builder->used = start + len_bytes;
    memset(builder->area + start, 0, len_bytes);
    return builder->area + start;
}

/* A table with its header but for the checksum. */
static uint8_t *acpi_table_begin(struct acpi_builder *builder, const char *signature, uint8_t revision,
                                 uint32_t len_bytes)
{
    uint8_t *table = acpi_reserve(builder, len_bytes, 16);

    if (!table) {
        return NULL;
    }
    memcpy(table, signature, 4);
    store_le32(table + 4, len_bytes);
    table[8] = revision;
    memcpy(table + 10, "HEDDLE", 6);
    memcpy(table + 16, "HEDDLEPC", 8);
    store_le32(table + 24, 1);
    memcpy(table + 28, "HDL ", 4);
    store_le32(table + 32, 1);
    return table;
}

static void acpi_table_end(uint8_t *table)
{
    table[9] = 0;
    table[9] = acpi_checksum(table, load_le32(table + 4));
}

/* As above, and makes the XSDT point to it. */
static void acpi_table_publish(struct acpi_builder *builder, uint8_t *table)
{
    acpi_table_end(table);
    builder->entries[builder->entry_count++] = acpi_gpa(builder, table);
}

/* Generic address structure (5.2.3.2). space: 0 memory, 1 I/O. */
static void acpi_write_gas(uint8_t *at, uint8_t space, uint8_t bits, uint8_t access, uint64_t address)
{
    at[0] = space;
    at[1] = bits;
    at[2] = 0;
    at[3] = access;
    store_le64(at + 4, address);
}

static uint64_t acpi_add_dsdt(struct acpi_builder *builder)
{
    uint8_t *table = acpi_reserve(builder, sizeof(dsdt_aml_code), 16);

    if (!table) {
        return 0;
    }
    memcpy(table, dsdt_aml_code, sizeof(dsdt_aml_code));
    return acpi_gpa(builder, table);
}

static uint64_t acpi_add_facs(struct acpi_builder *builder)
{
    uint8_t *table = acpi_reserve(builder, FACS_BYTES, 64);

    if (!table) {
        return 0;
    }
    memcpy(table, "FACS", 4);
    store_le32(table + 4, FACS_BYTES);
    table[32] = 2;
    return acpi_gpa(builder, table);
}

/* Fixed hardware (5.2.9): PM1, timer, GPE0, reset register. No SMI command: the machine is always in ACPI mode. */
static void acpi_add_fadt(struct acpi_builder *builder, uint64_t facs_gpa, uint64_t dsdt_gpa)
{
    enum {
        FLAG_WBINVD = 1 << 0,
        FLAG_C1 = 1 << 2,
        FLAG_NO_SLEEP_BUTTON = 1 << 5,
        FLAG_NO_RTC_WAKE = 1 << 6,
        FLAG_TIMER_32BIT = 1 << 8,
        FLAG_RESET = 1 << 10,
        FLAG_CLUSTER_NONE = 0,
        BOOT_LEGACY_DEVICES = 1 << 0,
        BOOT_NO_VGA = 1 << 2,
    };
    uint8_t *table = acpi_table_begin(builder, "FACP", 6, FADT_BYTES);

    if (!table) {
        return;
    }
    store_le32(table + 36, (uint32_t)facs_gpa);
    store_le32(table + 40, (uint32_t)dsdt_gpa);
    store_le16(table + 46, PC_GSI_SCI);
    store_le32(table + 56, PC_PORT_PM);
    store_le32(table + 64, PC_PORT_PM + 4);
    store_le32(table + 76, PC_PORT_PM_TIMER);
    store_le32(table + 80, PC_PORT_GPE0);
    table[88] = 4;
    table[89] = 2;
    table[91] = 4;
    table[92] = 4;
    store_le16(table + 96, 0xFFF);  /* no C2 */
    store_le16(table + 98, 0xFFFF); /* no C3 */
    table[108] = 0x32;              /* the RTC's century byte */
    store_le16(table + 109, BOOT_LEGACY_DEVICES | BOOT_NO_VGA);
    store_le32(table + 112, FLAG_WBINVD | FLAG_C1 | FLAG_NO_SLEEP_BUTTON | FLAG_NO_RTC_WAKE | FLAG_TIMER_32BIT |
                                FLAG_RESET | FLAG_CLUSTER_NONE);
    acpi_write_gas(table + 116, 1, 8, 1, PC_PORT_RESET);
    table[128] = PC_RESET_VALUE;
    table[131] = 0; /* 6.0 */
    store_le64(table + 140, dsdt_gpa);
    acpi_write_gas(table + 148, 1, 32, 2, PC_PORT_PM);
    acpi_write_gas(table + 172, 1, 16, 2, PC_PORT_PM + 4);
    acpi_write_gas(table + 208, 1, 32, 3, PC_PORT_PM_TIMER);
    acpi_write_gas(table + 220, 1, 32, 1, PC_PORT_GPE0);
    acpi_table_publish(builder, table);
}

static uint8_t *madt_add_cpu(uint8_t *at, uint32_t index, uint32_t apic_id)
{
    if (apic_id < 255 && index < 255) {
        at[0] = 0; /* processor local APIC: 5.2.12.2 */
        at[1] = 8;
        at[2] = (uint8_t)index;
        at[3] = (uint8_t)apic_id;
        store_le32(at + 4, 1);
        return at + 8;
    }
    at[0] = 9; /* processor local x2APIC: 5.2.12.12 */
    at[1] = 16;
    store_le32(at + 4, apic_id);
    store_le32(at + 8, 1);
    store_le32(at + 12, index);
    return at + 16;
}

/* An ISA interrupt that isn't at the input of its own number, or isn't edge-triggered (5.2.12.5). */
static uint8_t *madt_add_override(uint8_t *at, uint8_t source, uint32_t gsi, uint16_t flags)
{
    at[0] = 2;
    at[1] = 10;
    at[3] = source;
    store_le32(at + 4, gsi);
    store_le16(at + 8, flags);
    return at + 10;
}

/* The local APICs' LINT1 is the NMI input on all processors (5.2.12.7 and .13). */
static uint8_t *madt_add_nmi(uint8_t *at, bool x2apic)
{
    if (x2apic) {
        at[0] = 0x0A;
        at[1] = 12;
        store_le32(at + 4, UINT32_MAX);
        at[8] = 1;
        return at + 12;
    }
    at[0] = 4;
    at[1] = 6;
    at[2] = 0xFF;
    at[5] = 1;
    return at + 6;
}

static void acpi_add_madt(struct acpi_builder *builder, const struct acpi_config *config)
{
    enum { PC_AT_COMPATIBLE = 1, LEVEL_ACTIVE_HIGH = 0xD };
    uint32_t room = HEADER_BYTES + 8 + config->cpu_count * 16 + 12 + 2 * 10 + 6 + 12;
    uint8_t *table = acpi_table_begin(builder, "APIC", 5, room);
    uint8_t *at;
    bool x2apic = false;

    if (!table) {
        return;
    }
    store_le32(table + 36, PC_LAPIC);
    store_le32(table + 40, PC_AT_COMPATIBLE);
    at = table + HEADER_BYTES + 8;
    for (unsigned i = 0; i < config->cpu_count; i++) {
        x2apic |= config->apic_ids[i] >= 255 || i >= 255;
        at = madt_add_cpu(at, i, config->apic_ids[i]);
    }
    at[0] = 1; /* I/O APIC: 5.2.12.3 */
    at[1] = 12;
    store_le32(at + 4, PC_IOAPIC);
    at += 12;
    at = madt_add_override(at, 0, 2, 0);
    at = madt_add_override(at, PC_GSI_SCI, PC_GSI_SCI, LEVEL_ACTIVE_HIGH);
    at = madt_add_nmi(at, false);
    if (x2apic) {
        at = madt_add_nmi(at, true);
    }
    store_le32(table + 4, (uint32_t)(at - table));
    builder->used = (uint32_t)(at - builder->area);
    acpi_table_publish(builder, table);
}

/* Memory-mapped configuration space (PCI Firmware 3.3, 4.1.2): one segment. */
static void acpi_add_mcfg(struct acpi_builder *builder)
{
    uint8_t *table = acpi_table_begin(builder, "MCFG", 1, HEADER_BYTES + 8 + 16);

    if (table) {
        store_le64(table + 44, PC_ECAM);
        table[55] = PC_ECAM_SIZE / 0x100000 - 1;
        acpi_table_publish(builder, table);
    }
}

/* IA-PC HPET Specification 1.0a, 3.2.4. */
static void acpi_add_hpet(struct acpi_builder *builder)
{
    uint8_t *table = acpi_table_begin(builder, "HPET", 1, HEADER_BYTES + 20);

    if (table) {
        store_le32(table + 36, PC_HPET_ID);
        acpi_write_gas(table + 40, 0, 0, 0, PC_HPET);
        acpi_table_publish(builder, table);
    }
}

static uint64_t acpi_add_xsdt(struct acpi_builder *builder)
{
    uint8_t *table = acpi_table_begin(builder, "XSDT", 1, HEADER_BYTES + 8 * builder->entry_count);

    if (!table) {
        return 0;
    }
    for (unsigned i = 0; i < builder->entry_count; i++) {
        store_le64(table + HEADER_BYTES + 8 * i, builder->entries[i]);
    }
    acpi_table_end(table);
    return acpi_gpa(builder, table);
}

static void acpi_write_rsdp(uint8_t *rsdp, uint64_t xsdt_gpa)
{
    memset(rsdp, 0, RSDP_BYTES);
    memcpy(rsdp, "RSD PTR ", 8);
    memcpy(rsdp + 9, "HEDDLE", 6);
    rsdp[15] = 2;
    store_le32(rsdp + 20, RSDP_BYTES);
    store_le64(rsdp + 24, xsdt_gpa);
    rsdp[8] = acpi_checksum(rsdp, 20);
    rsdp[32] = acpi_checksum(rsdp, RSDP_BYTES);
}

/* What dsdt.asl reads through its field PARM. */
static void acpi_write_params(uint8_t *params, const struct acpi_config *config)
{
    memset(params, 0, PC_ACPI_PARAMS_SIZE);
    store_le64(params, config->window64_start);
    store_le64(params + 8, config->window64_start + config->window64_size_bytes - 1);
    store_le64(params + 16, config->window64_size_bytes);
    params[24] = config->serial_mask;
}

int acpi_tables_write(uint8_t *area, const struct acpi_config *config, uint64_t *rsdp_gpa, struct error **err)
{
    struct acpi_builder builder = {.area = area};
    uint64_t dsdt_gpa, facs_gpa, xsdt_gpa;
    uint8_t *rsdp;

    if (config->cpu_count > AREA_BYTES / 16) {
        return error_set(err, -ENOSPC, "-smp: ACPI tables for %u CPUs do not fit", config->cpu_count);
    }
    rsdp = acpi_reserve(&builder, RSDP_BYTES, 16);
    dsdt_gpa = acpi_add_dsdt(&builder);
    facs_gpa = acpi_add_facs(&builder);
    acpi_add_fadt(&builder, facs_gpa, dsdt_gpa);
    acpi_add_madt(&builder, config);
    acpi_add_mcfg(&builder);
    if (config->has_hpet) {
        acpi_add_hpet(&builder);
    }
    xsdt_gpa = acpi_add_xsdt(&builder);
    if (builder.full) {
        return error_set(err, -ENOSPC, "-smp: ACPI tables for %u CPUs do not fit", config->cpu_count);
    }
    acpi_write_rsdp(rsdp, xsdt_gpa);
    acpi_write_params(area + (PC_ACPI_PARAMS - PC_ACPI), config);
    *rsdp_gpa = acpi_gpa(&builder, rsdp);
    return 0;
}
