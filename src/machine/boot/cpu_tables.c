/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes a flat descriptor table and identity page tables (Intel SDM 3, 3.4.5 and 4.5). Not what vCPU registers say of
 * them: that is the machine's affair. Runs while the vCPUs stand still; takes no guest input.
 */
#include "machine/boot/cpu_tables.h"

#include "base/bytes.h"
#include "machine/pc_layout.h"

enum {
    PAGE_BYTES = 4096,
    PAGE_PRESENT = 1,
    PAGE_WRITABLE = 2,
    PAGE_LARGE = 0x80,
    DIRECTORIES = 4, /* of 1 GiB each */
};

static void boot_gdt_write(uint8_t *gdt)
{
    store_le64(gdt, 0);
    store_le64(gdt + BOOT_CS32, BOOT_GDT_CODE32);
    store_le64(gdt + BOOT_CS64, BOOT_GDT_CODE64);
    store_le64(gdt + BOOT_DS, BOOT_GDT_DATA);
    store_le64(gdt + BOOT_TSS, BOOT_GDT_TSS);
    store_le64(gdt + BOOT_TSS + 8, 0);
}

static void boot_page_tables_write(uint8_t *tables)
{
    uint8_t *level3 = tables + PAGE_BYTES;
    uint8_t *level2 = level3 + PAGE_BYTES;

    memset(tables, 0, (2 + DIRECTORIES) * PAGE_BYTES);
    store_le64(tables, (PC_BOOT_TABLES + PAGE_BYTES) | PAGE_PRESENT | PAGE_WRITABLE);
    for (unsigned i = 0; i < DIRECTORIES; i++) {
        store_le64(level3 + 8 * i, (PC_BOOT_TABLES + (2 + i) * PAGE_BYTES) | PAGE_PRESENT | PAGE_WRITABLE);
    }
    for (uint64_t i = 0; i < DIRECTORIES * 512; i++) {
        store_le64(level2 + 8 * i, (i << 21) | PAGE_PRESENT | PAGE_WRITABLE | PAGE_LARGE);
    }
}

bool boot_cpu_tables_write(const struct boot_ram *ram)
{
    uint8_t *low = boot_ram_at(ram, 0, PC_BOOT_END);

    if (!low) {
        return false;
    }
    boot_gdt_write(low + PC_BOOT_GDT);
    boot_page_tables_write(low + PC_BOOT_TABLES);
    return true;
}
