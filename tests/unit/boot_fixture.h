/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fabricated kernels and guest RAM for the boot loaders' tests. */
#ifndef HDL_TESTS_UNIT_BOOT_FIXTURE_H
#define HDL_TESTS_UNIT_BOOT_FIXTURE_H

#include "machine/boot/boot.h"

#define BOOT_FIXTURE_RAM_BYTES (UINT64_C(32) << 20)

/* One test's own. */
struct boot_fixture {
    struct boot_ram ram;
    struct guest_memory_map map;
    struct boot_request request;
    struct boot_entry entry;
    struct boot_file initrd;
    uint8_t image[0x8000];
};

void boot_fixture_init(struct boot_fixture *fixture);
void boot_fixture_destroy(struct boot_fixture *fixture);
/* Gives the fixture an initrd of that many bytes, each the low byte of its offset. */
void boot_fixture_add_initrd(struct boot_fixture *fixture, uint64_t len_bytes);
/* Puts an image into the fixture; returns its length. */
uint64_t boot_fixture_make_bzimage(struct boot_fixture *fixture);
uint64_t boot_fixture_make_pvh(struct boot_fixture *fixture);
uint64_t boot_fixture_make_multiboot_elf32(struct boot_fixture *fixture);
uint64_t boot_fixture_make_multiboot_elf64(struct boot_fixture *fixture);
uint64_t boot_fixture_make_multiboot_flat(struct boot_fixture *fixture);
/* boot_load of the fixture's request; the error's text, if any, goes to `message` (256 bytes; may be NULL). */
int boot_fixture_load(struct boot_fixture *fixture, char *message);

#endif
