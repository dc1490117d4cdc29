/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What boot loaders share: what they are asked to load, and how the boot processor starts afterwards. One loader a
 * format: linux_bzimage.h, pvh.h, multiboot.h.
 */
#ifndef HDL_MACHINE_BOOT_LOADER_H
#define HDL_MACHINE_BOOT_LOADER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "machine/boot/boot_file.h"
#include "machine/boot/boot_ram.h"
#include "machine/boot/memory_map.h"

/* With its terminating zero, what fits between PC_BOOT_CMDLINE and PC_BOOT_END. */
#define BOOT_CMDLINE_MAX_BYTES 0x10000

/* Who unpacks the compressed kernel of a Linux bzImage. */
enum boot_unpack {
    BOOT_UNPACK_GUEST,   /* the bzImage's own code */
    BOOT_UNPACK_PREFER,  /* heddle, and then it is entered by PVH; where that can't be, the guest */
    BOOT_UNPACK_REQUIRE, /* heddle, or the kernel isn't booted */
};

/* One boot. Everything belongs to the caller and stays as it is during the call. */
struct boot_request {
    const char *kernel_path; /* for messages */
    const uint8_t *kernel;   /* the whole file; hostile */
    uint64_t kernel_bytes;
    enum boot_unpack unpack;
    const struct boot_file *initrd; /* NULL: none */
    const char *cmdline;            /* "" if none */
    const struct boot_ram *ram;
    const struct guest_memory_map *map;
    uint64_t rsdp_gpa; /* 0: no ACPI */
};

enum boot_mode {
    BOOT_PROTECTED, /* 32-bit, paging off */
    BOOT_LONG,      /* 64-bit, paging on: PC_BOOT_TABLES */
};

/* How the boot processor starts. Flat segments from the table at PC_BOOT_GDT, interrupts off, all else zero. */
struct boot_entry {
    enum boot_mode mode;
    uint64_t rip, rsp, rax, rbx, rsi;
};

/* What a loader says of a file that it was shown. */
enum boot_probe {
    BOOT_NOT_MINE,
    BOOT_MINE,
};

/*
 * A loader. load: 0 and *entry; or a negative errno and an error that begins with "-kernel" or "-initrd", *entry
 * untouched (guest RAM may have been written). Configuration thread, vCPUs standing still; may block on the initrd.
 */
struct boot_loader {
    const char *name;         /* "Linux bzImage" */
    bool is_operating_system; /* rather than a test kernel of some instructions */
    enum boot_probe (*probe)(const uint8_t *image, uint64_t len_bytes);
    int (*load)(const struct boot_request *request, struct boot_entry *entry, struct error **err);
};

/* "-kernel 'path': " and the text. Returns code. */
int boot_error(const struct boot_request *request, struct error **err, int code, const char *format, ...)
    HDL_PRINTF(4, 5);

/* Writes the command line to PC_BOOT_CMDLINE. limit_bytes: what the kernel takes, without the zero. */
int boot_load_cmdline(const struct boot_request *request, const char *cmdline, uint64_t limit_bytes,
                      struct error **err);

/*
 * Loads the initrd as high as it may be: page-aligned, in low RAM, after `above`, not beyond `last`. *gpa and
 * *len_bytes are 0 if there is no initrd.
 */
int boot_load_initrd(const struct boot_request *request, uint64_t above, uint64_t last, uint64_t *gpa,
                     uint64_t *len_bytes, struct error **err);

#endif
