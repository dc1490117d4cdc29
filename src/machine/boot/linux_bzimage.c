/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads a Linux bzImage by the 64-bit boot protocol (Linux, Documentation/x86/boot.rst): the protected-mode part goes
 * to the kernel's preferred address (or, if it may move, to the lowest that fits), the zero page is made from the
 * file's setup header, and the kernel is entered 0x200 bytes in. The real-mode code isn't run.
 *
 * There, code unpacks the real kernel, which is an ELF file. If asked to (enum boot_unpack), heddle unpacks that itself
 * (payload.c) and enters it by PVH (pvh.c): at the address that it was linked for, without address randomisation.
 *
 * No state. The file is hostile: every offset, size and address in its header is checked against the file and against
 * RAM before use.
 */
#include "machine/boot/linux_bzimage.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "machine/boot/cpu_tables.h"
#include "machine/boot/payload.h"
#include "machine/boot/pvh.h"
#include "machine/pc_layout.h"

/* The setup header: offsets in the file and in the zero page (struct boot_params) alike. */
enum {
    SETUP_SECTS = 0x1F1,
    SETUP_BOOT_FLAG = 0x1FE,
    SETUP_JUMP_LENGTH = 0x201,
    SETUP_MAGIC = 0x202,
    SETUP_VERSION = 0x206,
    SETUP_LOADER = 0x210,
    SETUP_LOADFLAGS = 0x211,
    SETUP_RAMDISK = 0x218,
    SETUP_RAMDISK_SIZE = 0x21C,
    SETUP_CMDLINE = 0x228,
    SETUP_INITRD_MAX = 0x22C,
    SETUP_ALIGNMENT = 0x230,
    SETUP_RELOCATABLE = 0x234,
    SETUP_XLOADFLAGS = 0x236,
    SETUP_CMDLINE_SIZE = 0x238,
    SETUP_PAYLOAD = 0x248, /* since protocol 2.08 */
    SETUP_PAYLOAD_LENGTH = 0x24C,
    SETUP_PREF_ADDRESS = 0x258,
    SETUP_INIT_SIZE = 0x260,
    SETUP_END_MIN = 0x264, /* protocol 2.12's header ends no earlier */
    SETUP_END_MAX = 0x290, /* the zero page has other things from here on */
    ZERO_VIDEO_MODE = 0x1FA,
    ZERO_RSDP = 0x070,
    ZERO_E820_COUNT = 0x1E8,
    ZERO_E820 = 0x2D0,
    ZERO_E820_ENTRY_BYTES = 20,
    ZERO_PAGE_BYTES = 4096,
};

enum {
    BOOT_FLAG = 0xAA55,
    VERSION_MIN = 0x020C,
    XLOADFLAG_64 = 1,
    LOADED_HIGH = 1,
    LOADER_UNDEFINED = 0xFF,
    VIDEO_NORMAL = 0xFFFF,
    ENTRY_64 = 0x200,
};
#define SETUP_MAGIC_HDRS 0x53726448u

/* What the header says, checked. */
struct bzimage {
    uint64_t code_offset, code_bytes; /* the protected-mode part, in the file */
    uint64_t header_end;              /* of the setup header */
    uint64_t init_bytes;              /* memory that the kernel needs from its load address on */
    uint64_t preferred, alignment;
    uint64_t initrd_last;
    uint64_t cmdline_max_bytes;
    bool relocatable;
};

static enum boot_probe bzimage_probe(const uint8_t *image, uint64_t len_bytes)
{
    if (len_bytes < SETUP_END_MIN || load_le16(image + SETUP_BOOT_FLAG) != BOOT_FLAG ||
        load_le32(image + SETUP_MAGIC) != SETUP_MAGIC_HDRS) {
        return BOOT_NOT_MINE;
    }
    return BOOT_MINE;
}

static int bzimage_parse(const struct boot_request *request, struct bzimage *info, struct error **err)
{
    const uint8_t *image = request->kernel;
    unsigned version = load_le16(image + SETUP_VERSION);
    unsigned setup_sects = image[SETUP_SECTS] ? image[SETUP_SECTS] : 4;

    if (version < VERSION_MIN) {
        return boot_error(request, err, -ENOEXEC, "Linux boot protocol %u.%02u is too old, 2.12 is needed",
                          version >> 8, version & 0xFF);
    }
    if (!(load_le16(image + SETUP_XLOADFLAGS) & XLOADFLAG_64) || !(image[SETUP_LOADFLAGS] & LOADED_HIGH)) {
        return boot_error(request, err, -ENOEXEC, "this Linux kernel has no 64-bit entry point");
    }
    info->code_offset = (setup_sects + 1) * 512;
    if (info->code_offset >= request->kernel_bytes || request->kernel_bytes - info->code_offset <= ENTRY_64) {
        return boot_error(request, err, -ENOEXEC, "the Linux kernel is truncated");
    }
    info->code_bytes = request->kernel_bytes - info->code_offset;
    info->header_end = SETUP_MAGIC + image[SETUP_JUMP_LENGTH];
    if (info->header_end < SETUP_END_MIN || info->header_end > SETUP_END_MAX || info->header_end > info->code_offset) {
        return boot_error(request, err, -ENOEXEC, "the Linux setup header has an impossible length");
    }
    info->init_bytes = MAX((uint64_t)load_le32(image + SETUP_INIT_SIZE), info->code_bytes);
    info->preferred = load_le64(image + SETUP_PREF_ADDRESS);
    info->alignment = load_le32(image + SETUP_ALIGNMENT);
    info->initrd_last = load_le32(image + SETUP_INITRD_MAX);
    info->cmdline_max_bytes = load_le32(image + SETUP_CMDLINE_SIZE);
    info->relocatable = image[SETUP_RELOCATABLE];
    if (info->relocatable && (info->alignment < 4096 || (info->alignment & (info->alignment - 1)))) {
        return boot_error(request, err, -ENOEXEC, "the Linux setup header has an impossible alignment");
    }
    return 0;
}

/* syssize, in 16-byte units, says how long the file must be; a shorter one was cut off. */
static int bzimage_check_length(const struct boot_request *request, const struct bzimage *info, struct error **err)
{
    uint64_t expected = (uint64_t)load_le32(request->kernel + 0x1F4) * 16;

    /* The last unit needn't be whole. */
    if (expected > info->code_bytes + 15) {
        return boot_error(request, err, -ENOEXEC, "the Linux kernel is truncated");
    }
    return 0;
}

static bool bzimage_fits(const struct boot_ram *ram, uint64_t gpa, uint64_t len_bytes)
{
    /* The page tables that it starts on reach to 4 GiB: low RAM only. */
    return gpa >= PC_RAM_EXTENDED && gpa < ram->low_bytes && boot_ram_is_loadable(ram, gpa, len_bytes);
}

static int bzimage_place(const struct boot_request *request, const struct bzimage *info, uint64_t *gpa,
                         struct error **err)
{
    uint64_t lowest;

    if (bzimage_fits(request->ram, info->preferred, info->init_bytes)) {
        *gpa = info->preferred;
        return 0;
    }
    lowest = info->relocatable ? ALIGN_UP((uint64_t)PC_RAM_EXTENDED, info->alignment) : PC_RAM_EXTENDED;
    if (info->relocatable && bzimage_fits(request->ram, lowest, info->init_bytes)) {
        *gpa = lowest;
        return 0;
    }
    return boot_error(request, err, -ENOSPC, "the kernel needs %llu MiB and does not fit into guest memory (-m)",
                      (unsigned long long)(info->init_bytes >> 20) + 1);
}

static void bzimage_write_e820(uint8_t *zero_page, const struct guest_memory_map *map)
{
    for (unsigned i = 0; i < map->count; i++) {
        uint8_t *entry = zero_page + ZERO_E820 + i * ZERO_E820_ENTRY_BYTES;

        store_le64(entry, map->entries[i].start);
        store_le64(entry + 8, map->entries[i].size_bytes);
        store_le32(entry + 16, map->entries[i].type);
    }
    zero_page[ZERO_E820_COUNT] = (uint8_t)map->count;
}

static void bzimage_fill_zero_page(uint8_t *zero_page, const struct boot_request *request, const struct bzimage *info,
                                   uint64_t initrd_gpa, uint64_t initrd_bytes)
{
    memset(zero_page, 0, ZERO_PAGE_BYTES);
    memcpy(zero_page + SETUP_SECTS, request->kernel + SETUP_SECTS, info->header_end - SETUP_SECTS);
    zero_page[SETUP_LOADER] = LOADER_UNDEFINED;
    store_le16(zero_page + ZERO_VIDEO_MODE, VIDEO_NORMAL);
    store_le32(zero_page + SETUP_RAMDISK, (uint32_t)initrd_gpa);
    store_le32(zero_page + SETUP_RAMDISK_SIZE, (uint32_t)initrd_bytes);
    store_le32(zero_page + SETUP_CMDLINE, PC_BOOT_CMDLINE);
    store_le64(zero_page + ZERO_RSDP, request->rsdp_gpa);
    bzimage_write_e820(zero_page, request->map);
}

/* The bzImage as it is, which unpacks itself. */
static int bzimage_load_code(const struct boot_request *request, const struct bzimage *info, struct boot_entry *entry,
                             struct error **err)
{
    uint64_t code_gpa = 0, initrd_gpa = 0, initrd_bytes = 0;
    int ret;

    ret = bzimage_place(request, info, &code_gpa, err);
    if (ret == 0) {
        ret = boot_load_cmdline(request, request->cmdline, info->cmdline_max_bytes, err);
    }
    if (ret == 0) {
        ret =
            boot_load_initrd(request, code_gpa + info->init_bytes, info->initrd_last, &initrd_gpa, &initrd_bytes, err);
    }
    if (ret < 0) {
        return ret;
    }
    boot_ram_write(request->ram, code_gpa, request->kernel + info->code_offset, info->code_bytes);
    bzimage_fill_zero_page(boot_ram_at(request->ram, PC_BOOT_PARAMS, ZERO_PAGE_BYTES), request, info, initrd_gpa,
                           initrd_bytes);
    boot_cpu_tables_write(request->ram);
    *entry =
        (struct boot_entry){.mode = BOOT_LONG, .rip = code_gpa + ENTRY_64, .rsp = PC_BOOT_STACK, .rsi = PC_BOOT_PARAMS};
    return 0;
}

/* Where the compressed kernel is in the file. -ENOTSUP: there is none. */
static int bzimage_find_payload(const struct boot_request *request, const struct bzimage *info, const uint8_t **payload,
                                uint64_t *len_bytes, struct error **err)
{
    uint64_t offset = load_le32(request->kernel + SETUP_PAYLOAD);
    uint64_t length = load_le32(request->kernel + SETUP_PAYLOAD_LENGTH);

    if (length == 0) {
        return boot_error(request, err, -ENOTSUP, "there is no compressed kernel in it to unpack");
    }
    if (offset > info->code_bytes || length > info->code_bytes - offset) {
        return boot_error(request, err, -ENOEXEC, "the compressed kernel in it reaches beyond the end of the file");
    }
    *payload = request->kernel + info->code_offset + offset;
    *len_bytes = length;
    return 0;
}

/*
 * The kernel in it, unpacked. -ENOTSUP or -ENOSPC: this bzImage or guest isn't made for that, but the guest may yet be
 * able to unpack it.
 */
static int bzimage_load_payload(const struct boot_request *request, const struct bzimage *info,
                                struct boot_entry *entry, struct error **err)
{
    uint8_t *kernel HDL_AUTO_FREE = NULL;
    struct boot_request unpacked = *request;
    const uint8_t *payload = NULL;
    uint64_t len_bytes = 0;
    int ret;

    ret = bzimage_find_payload(request, info, &payload, &len_bytes, err);
    if (ret == 0) {
        ret = payload_unpack(request, payload, len_bytes, &kernel, &unpacked.kernel_bytes, err);
    }
    if (ret < 0) {
        return ret;
    }
    unpacked.kernel = kernel;
    if (pvh_loader.probe(unpacked.kernel, unpacked.kernel_bytes) != BOOT_MINE) {
        return boot_error(request, err, -ENOTSUP, "the compressed kernel in it has no PVH entry point");
    }
    /* PVH has no word for the length that the kernel takes; the setup header has. */
    ret = boot_load_cmdline(request, request->cmdline, info->cmdline_max_bytes, err);
    return ret < 0 ? ret : pvh_loader.load(&unpacked, entry, err);
}

static int bzimage_load(const struct boot_request *request, struct boot_entry *entry, struct error **err)
{
    struct bzimage info = {0};
    struct error *reason = NULL;
    int ret;

    ret = bzimage_parse(request, &info, err);
    if (ret == 0) {
        ret = bzimage_check_length(request, &info, err);
    }
    if (ret < 0) {
        return ret;
    }
    if (request->unpack == BOOT_UNPACK_GUEST) {
        return bzimage_load_code(request, &info, entry, err);
    }
    ret = bzimage_load_payload(request, &info, entry, &reason);
    if (request->unpack == BOOT_UNPACK_PREFER && (ret == -ENOTSUP || ret == -ENOSPC)) {
        log_info("%s; the guest unpacks the kernel", reason->message);
        error_free(reason);
        return bzimage_load_code(request, &info, entry, err);
    }
    error_propagate(err, reason);
    return ret;
}

const struct boot_loader linux_bzimage_loader = {
    .name = "Linux bzImage",
    .is_operating_system = true,
    .probe = bzimage_probe,
    .load = bzimage_load,
};
