/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest RAM as boot loaders see it: two host buffers, written only while no vCPU runs. Every access is checked against
 * them, so that a hostile image can't make a loader write elsewhere.
 */
#ifndef HDL_MACHINE_BOOT_BOOT_RAM_H
#define HDL_MACHINE_BOOT_BOOT_RAM_H

#include <stdbool.h>
#include <stdint.h>

/* Immutable; points to memory of the machine's RAM blocks. */
struct boot_ram {
    uint8_t *low; /* guest address 0 */
    uint64_t low_bytes;
    uint8_t *high; /* guest address high_base; NULL if there is none */
    uint64_t high_base;
    uint64_t high_bytes;
};

/* The host address of a guest range, or NULL if any part of it isn't RAM. len_bytes may be 0. */
uint8_t *boot_ram_at(const struct boot_ram *ram, uint64_t gpa, uint64_t len_bytes);
/* False, with nothing written, if any part of the range isn't RAM. */
bool boot_ram_write(const struct boot_ram *ram, uint64_t gpa, const void *data, uint64_t len_bytes);
bool boot_ram_zero(const struct boot_ram *ram, uint64_t gpa, uint64_t len_bytes);
/*
 * Whether an image may be loaded there: RAM, and clear of the boot structures and of what the memory map reserves
 * below 1 MiB.
 */
bool boot_ram_is_loadable(const struct boot_ram *ram, uint64_t gpa, uint64_t len_bytes);

#endif
