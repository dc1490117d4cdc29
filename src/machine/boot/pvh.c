/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads an ELF whose Xen note XEN_ELFNOTE_PHYS32_ENTRY names a 32-bit entry point, which finds its start info in ebx
 * (Xen, docs/misc/pvh.pandoc and xen/include/public/arch-x86/hvm/start_info.h, version 1). No state. What elf.c says
 * about hostile files holds here; the note's address is checked against loaded RAM.
 */
#include "machine/boot/pvh.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "machine/boot/cpu_tables.h"
#include "machine/boot/elf.h"
#include "machine/pc_layout.h"

enum {
    XEN_ELFNOTE_PHYS32_ENTRY = 18,
    START_INFO_BYTES = 56,
    START_INFO_VERSION = 1,
    MODULE_BYTES = 32,
    MEMMAP_ENTRY_BYTES = 24,
};
#define START_INFO_MAGIC 0x336EC578u

static bool pvh_find_entry(const struct elf_file *elf, uint64_t *entry)
{
    const uint8_t *data;
    uint64_t len_bytes;

    if (!elf_find_note(elf, "Xen", XEN_ELFNOTE_PHYS32_ENTRY, &data, &len_bytes)) {
        return false;
    }
    if (len_bytes == 8) {
        *entry = load_le64(data);
    } else if (len_bytes == 4) {
        *entry = load_le32(data);
    } else {
        return false;
    }
    return true;
}

static enum boot_probe pvh_probe(const uint8_t *image, uint64_t len_bytes)
{
    struct elf_file elf;
    const char *reason;
    uint64_t entry;

    if (!elf_is_elf(image, len_bytes) || elf_open(&elf, image, len_bytes, &reason) < 0 ||
        !pvh_find_entry(&elf, &entry)) {
        return BOOT_NOT_MINE;
    }
    return BOOT_MINE;
}

static void pvh_write_memmap(uint8_t *at, const struct guest_memory_map *map)
{
    for (unsigned i = 0; i < map->count; i++, at += MEMMAP_ENTRY_BYTES) {
        store_le64(at, map->entries[i].start);
        store_le64(at + 8, map->entries[i].size_bytes);
        store_le32(at + 16, map->entries[i].type);
        store_le32(at + 20, 0);
    }
}

static void pvh_write_start_info(uint8_t *low, const struct boot_request *request, uint64_t initrd_gpa,
                                 uint64_t initrd_bytes)
{
    uint8_t *info = low + PC_BOOT_INFO, *module = low + PC_BOOT_MODULES;

    memset(info, 0, START_INFO_BYTES);
    memset(module, 0, MODULE_BYTES);
    store_le32(info, START_INFO_MAGIC);
    store_le32(info + 4, START_INFO_VERSION);
    if (initrd_bytes > 0) {
        store_le32(info + 12, 1);
        store_le64(info + 16, PC_BOOT_MODULES);
        store_le64(module, initrd_gpa);
        store_le64(module + 8, initrd_bytes);
    }
    store_le64(info + 24, PC_BOOT_CMDLINE);
    store_le64(info + 32, request->rsdp_gpa);
    store_le64(info + 40, PC_BOOT_MEMMAP);
    store_le32(info + 48, request->map->count);
    pvh_write_memmap(low + PC_BOOT_MEMMAP, request->map);
}

static int pvh_load(const struct boot_request *request, struct boot_entry *entry, struct error **err)
{
    uint64_t entry_gpa = 0, end = 0, initrd_gpa = 0, initrd_bytes = 0;
    struct elf_file elf;
    const char *reason;
    int ret;

    if (elf_open(&elf, request->kernel, request->kernel_bytes, &reason) < 0 || !pvh_find_entry(&elf, &entry_gpa)) {
        return boot_error(request, err, -ENOEXEC, "has no PVH entry point");
    }
    if (entry_gpa >= request->ram->low_bytes) {
        return boot_error(request, err, -ENOSPC, "the PVH entry point is outside guest memory (-m)");
    }
    ret = elf_load(&elf, request, &end, err);
    if (ret == 0) {
        ret = boot_load_cmdline(request, request->cmdline, BOOT_CMDLINE_MAX_BYTES, err);
    }
    if (ret == 0) {
        ret = boot_load_initrd(request, MIN(end, request->ram->low_bytes), UINT32_MAX, &initrd_gpa, &initrd_bytes, err);
    }
    if (ret < 0) {
        return ret;
    }
    pvh_write_start_info(boot_ram_at(request->ram, 0, PC_BOOT_END), request, initrd_gpa, initrd_bytes);
    boot_cpu_tables_write(request->ram);
    *entry = (struct boot_entry){.mode = BOOT_PROTECTED, .rip = entry_gpa, .rsp = PC_BOOT_STACK, .rbx = PC_BOOT_INFO};
    return 0;
}

const struct boot_loader pvh_loader = {
    .name = "ELF with PVH entry",
    .is_operating_system = true,
    .probe = pvh_probe,
    .load = pvh_load,
};
