/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Direct boot: finds out what a kernel file is and has the right loader put it into guest RAM. */
#ifndef HDL_MACHINE_BOOT_BOOT_H
#define HDL_MACHINE_BOOT_BOOT_H

#include "machine/boot/loader.h"

/* The least RAM in which anything is booted. */
#define BOOT_RAM_MIN_BYTES (UINT64_C(1) << 20)

/* The files of one machine. Configuration thread; immutable between open and close. */
struct boot_images {
    struct boot_file kernel, initrd;
    const struct boot_loader *loader; /* the kernel's kind */
    bool has_initrd;
    const char *cmdline; /* the caller's */
};

/* Opens both (initrd may be NULL) and checks that the kernel is of a known kind. cmdline must outlive *images. */
int boot_images_open(struct boot_images *images, const char *kernel, const char *initrd, const char *cmdline,
                     struct error **err);
/* Idempotent after a successful open. */
void boot_images_close(struct boot_images *images);

/*
 * Loads everything, at power-on and again at each reset. Writes only to *ram, whose low part is at least
 * BOOT_RAM_MIN_BYTES. 0 and *entry, or a negative errno and an error. vCPUs stand still; may block on files.
 */
int boot_images_load(const struct boot_images *images, enum boot_unpack unpack, const struct boot_ram *ram,
                     const struct guest_memory_map *map, uint64_t rsdp_gpa, struct boot_entry *entry,
                     struct error **err);

/* The same for an image in memory: what boot_images_load and the tests are made of. */
int boot_load(const struct boot_request *request, struct boot_entry *entry, struct error **err);

#endif
