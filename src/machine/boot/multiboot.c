/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads Multiboot 1 kernels (Multiboot Specification 0.6.96): ELF32, ELF64 (entered in 32-bit mode as well) and flat
 * images whose header gives the addresses. The command line begins with the kernel's path, and the initrd is the only
 * module, its string being its path. No state.
 *
 * The file is hostile: the header is searched for only in the file's first 8 KiB, and every address in it is checked
 * against the file and against loadable guest RAM.
 */
#include "machine/boot/multiboot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "machine/boot/cpu_tables.h"
#include "machine/boot/elf.h"
#include "machine/pc_layout.h"

enum {
    HEADER_SEARCH_BYTES = 8192,
    HEADER_BYTES = 12,
    HEADER_ADDRESSES_BYTES = 32,
    FLAG_ADDRESSES = 1 << 16,
    FLAGS_REQUIRED = 0xFFFF,
    FLAGS_KNOWN = 0x7, /* page-aligned modules, memory information, video mode */
    INFO_BYTES = 88,
    INFO_MEMORY = 1 << 0,
    INFO_CMDLINE = 1 << 2,
    INFO_MODULES = 1 << 3,
    INFO_MMAP = 1 << 6,
    INFO_LOADER_NAME = 1 << 9,
    MMAP_ENTRY_BYTES = 24,
    MODULE_BYTES = 16,
    MODULE_STRING = PC_BOOT_MODULES + 0x100,
    LOADER_NAME = PC_BOOT_MODULES + 0x80,
    MODULE_STRING_MAX_BYTES = 4096,
};
#define MULTIBOOT_MAGIC   0x1BADB002u
#define MULTIBOOT_STARTED 0x2BADB002u

/* Where the header is in the file; false if there is none. */
static bool multiboot_find(const uint8_t *image, uint64_t len_bytes, uint64_t *offset)
{
    uint64_t search_bytes = MIN(len_bytes, (uint64_t)HEADER_SEARCH_BYTES);

    for (uint64_t at = 0; at + HEADER_BYTES <= search_bytes; at += 4) {
        uint32_t flags = load_le32(image + at + 4), checksum = load_le32(image + at + 8);

        if (load_le32(image + at) == MULTIBOOT_MAGIC && MULTIBOOT_MAGIC + flags + checksum == 0) {
            *offset = at;
            return true;
        }
    }
    return false;
}

static enum boot_probe multiboot_probe(const uint8_t *image, uint64_t len_bytes)
{
    uint64_t offset;

    return multiboot_find(image, len_bytes, &offset) ? BOOT_MINE : BOOT_NOT_MINE;
}

/* A flat image: the header says which part of the file goes where. */
static int multiboot_load_flat(const struct boot_request *request, uint64_t header, uint64_t *entry, uint64_t *end,
                               struct error **err)
{
    const uint8_t *at = request->kernel + header;
    uint64_t header_gpa, load, load_end, bss_end, offset, load_bytes;

    if (request->kernel_bytes - header < HEADER_ADDRESSES_BYTES) {
        return boot_error(request, err, -ENOEXEC, "the Multiboot header is truncated");
    }
    header_gpa = load_le32(at + 12);
    load = load_le32(at + 16);
    load_end = load_le32(at + 20);
    bss_end = load_le32(at + 24);
    if (header_gpa < load || header_gpa - load > header) {
        return boot_error(request, err, -ENOEXEC, "the Multiboot header has impossible addresses");
    }
    offset = header - (header_gpa - load);
    load_bytes = request->kernel_bytes - offset;
    if (load_end != 0) {
        if (load_end < load || load_end - load > load_bytes) {
            return boot_error(request, err, -ENOEXEC, "the Multiboot kernel is truncated");
        }
        load_bytes = load_end - load;
    }
    *end = MAX(load + load_bytes, bss_end);
    if (!boot_ram_is_loadable(request->ram, load, *end - load)) {
        return boot_error(request, err, -ENOSPC, "does not lie in free guest memory (-m)");
    }
    boot_ram_write(request->ram, load, request->kernel + offset, load_bytes);
    boot_ram_zero(request->ram, load + load_bytes, *end - load - load_bytes);
    *entry = load_le32(at + 28);
    return 0;
}

static int multiboot_load_kernel(const struct boot_request *request, uint64_t *entry, uint64_t *end, struct error **err)
{
    struct elf_file elf;
    const char *reason;
    uint64_t header;
    uint32_t flags;

    if (!multiboot_find(request->kernel, request->kernel_bytes, &header)) {
        return boot_error(request, err, -ENOEXEC, "has no Multiboot header");
    }
    flags = load_le32(request->kernel + header + 4);
    if (flags & FLAGS_REQUIRED & ~FLAGS_KNOWN) {
        return boot_error(request, err, -ENOEXEC, "the Multiboot header requires features 0x%x that do not exist",
                          flags & FLAGS_REQUIRED & ~FLAGS_KNOWN);
    }
    if (flags & FLAG_ADDRESSES) {
        return multiboot_load_flat(request, header, entry, end, err);
    }
    if (!elf_is_elf(request->kernel, request->kernel_bytes)) {
        return boot_error(request, err, -ENOEXEC, "the Multiboot kernel is neither ELF nor says where it belongs");
    }
    if (elf_open(&elf, request->kernel, request->kernel_bytes, &reason) < 0) {
        return boot_error(request, err, -ENOEXEC, "%s", reason);
    }
    *entry = elf_entry_physical(&elf);
    return elf_load(&elf, request, end, err);
}

/* Each entry is preceded by its size, which doesn't count itself. */
static void multiboot_write_mmap(uint8_t *at, const struct guest_memory_map *map)
{
    for (unsigned i = 0; i < map->count; i++, at += MMAP_ENTRY_BYTES) {
        store_le32(at, MMAP_ENTRY_BYTES - 4);
        store_le64(at + 4, map->entries[i].start);
        store_le64(at + 12, map->entries[i].size_bytes);
        store_le32(at + 20, map->entries[i].type);
    }
}

static void multiboot_write_module(uint8_t *low, const struct boot_request *request, uint64_t gpa, uint64_t len_bytes)
{
    uint8_t *module = low + PC_BOOT_MODULES, *info = low + PC_BOOT_INFO;

    snprintf((char *)low + MODULE_STRING, MODULE_STRING_MAX_BYTES, "%s", request->initrd->path);
    store_le32(module, (uint32_t)gpa);
    store_le32(module + 4, (uint32_t)(gpa + len_bytes));
    store_le32(module + 8, MODULE_STRING);
    store_le32(module + 12, 0);
    store_le32(info + 20, 1);
    store_le32(info + 24, PC_BOOT_MODULES);
}

static void multiboot_write_info(uint8_t *low, const struct boot_request *request, uint64_t initrd_gpa,
                                 uint64_t initrd_bytes)
{
    uint8_t *info = low + PC_BOOT_INFO;

    memset(info, 0, INFO_BYTES);
    store_le32(info, INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MMAP | INFO_LOADER_NAME);
    store_le32(info + 4, PC_EBDA / 1024);
    store_le32(info + 8, (uint32_t)((request->ram->low_bytes - PC_RAM_EXTENDED) / 1024));
    store_le32(info + 16, PC_BOOT_CMDLINE);
    if (request->initrd) {
        multiboot_write_module(low, request, initrd_gpa, initrd_bytes);
    }
    store_le32(info + 44, request->map->count * MMAP_ENTRY_BYTES);
    store_le32(info + 48, PC_BOOT_MEMMAP);
    store_le32(info + 64, LOADER_NAME);
    memcpy(low + LOADER_NAME, "heddle", sizeof("heddle"));
    multiboot_write_mmap(low + PC_BOOT_MEMMAP, request->map);
}

/* "kernel arguments", as the specification wants it and test kernels' argument parsers rely on. */
static int multiboot_load_cmdline(const struct boot_request *request, struct error **err)
{
    char *text HDL_AUTO_FREE = NULL;

    if (asprintf(&text, "%s %s", request->kernel_path, request->cmdline) < 0) {
        text = NULL;
        return boot_error(request, err, -ENOMEM, "out of memory");
    }
    return boot_load_cmdline(request, text, BOOT_CMDLINE_MAX_BYTES, err);
}

static int multiboot_load(const struct boot_request *request, struct boot_entry *entry, struct error **err)
{
    uint64_t entry_gpa = 0, end = 0, initrd_gpa = 0, initrd_bytes = 0;
    int ret;

    ret = multiboot_load_kernel(request, &entry_gpa, &end, err);
    if (ret == 0 && entry_gpa >= request->ram->low_bytes) {
        ret = boot_error(request, err, -ENOEXEC, "the Multiboot entry point is outside guest memory");
    }
    if (ret == 0) {
        ret = multiboot_load_cmdline(request, err);
    }
    if (ret == 0) {
        ret = boot_load_initrd(request, MIN(end, request->ram->low_bytes), UINT32_MAX, &initrd_gpa, &initrd_bytes, err);
    }
    if (ret < 0) {
        return ret;
    }
    multiboot_write_info(boot_ram_at(request->ram, 0, PC_BOOT_END), request, initrd_gpa, initrd_bytes);
    boot_cpu_tables_write(request->ram);
    *entry = (struct boot_entry){
        .mode = BOOT_PROTECTED, .rip = entry_gpa, .rsp = PC_BOOT_STACK, .rax = MULTIBOOT_STARTED, .rbx = PC_BOOT_INFO};
    return 0;
}

const struct boot_loader multiboot_loader = {
    .name = "Multiboot",
    .probe = multiboot_probe,
    .load = multiboot_load,
};
