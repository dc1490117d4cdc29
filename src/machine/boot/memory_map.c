/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes the guest's memory map from the PC's layout. Pure: no state, no thread, no guest input. */
#include "machine/boot/memory_map.h"

#include "machine/pc_layout.h"

static void memory_map_append(struct guest_memory_map *map, uint64_t start, uint64_t end, enum memory_type type)
{
    if (end > start && map->count < MEMORY_MAP_MAX) {
        map->entries[map->count++] = (struct memory_map_entry){start, end - start, type};
    }
}

void guest_memory_map_build(struct guest_memory_map *map, uint64_t low_bytes, uint64_t high_bytes)
{
    map->count = 0;
    memory_map_append(map, 0, PC_EBDA, MEMORY_RAM);
    memory_map_append(map, PC_EBDA, PC_EBDA_END, MEMORY_RESERVED);
    memory_map_append(map, PC_ACPI, PC_ACPI_END, MEMORY_RESERVED);
    memory_map_append(map, PC_RAM_EXTENDED, low_bytes, MEMORY_RAM);
    memory_map_append(map, PC_ECAM, (uint64_t)PC_ECAM + PC_ECAM_SIZE, MEMORY_RESERVED);
    memory_map_append(map, PC_ACCEL, (uint64_t)PC_ACCEL + PC_ACCEL_SIZE, MEMORY_RESERVED);
    memory_map_append(map, PC_RAM_HIGH, PC_RAM_HIGH + high_bytes, MEMORY_RAM);
}
