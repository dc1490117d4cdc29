/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory map that a guest is told about: e820's ranges and type numbers, which PVH and Multiboot share. */
#ifndef HDL_MACHINE_BOOT_MEMORY_MAP_H
#define HDL_MACHINE_BOOT_MEMORY_MAP_H

#include <stdint.h>

#define MEMORY_MAP_MAX 16

/* ACPI 6.4, 15.3, table 15.2. */
enum memory_type { MEMORY_RAM = 1, MEMORY_RESERVED = 2 };

struct memory_map_entry {
    uint64_t start, size_bytes;
    enum memory_type type;
};

struct guest_memory_map {
    unsigned count;
    struct memory_map_entry entries[MEMORY_MAP_MAX]; /* ascending, disjoint */
};

/* The map of a PC with that much RAM below and above 4 GiB (pc_layout.h). low_bytes >= 1 MiB. */
void guest_memory_map_build(struct guest_memory_map *map, uint64_t low_bytes, uint64_t high_bytes);

#endif
