/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checked access to guest RAM for boot loaders. Not for devices or for a machine that runs: those use memory/dma.h.
 * Used by the configuration thread, or by the main loop at reset, while the vCPUs stand still.
 */
#include "machine/boot/boot_ram.h"

#include <string.h>

#include "machine/pc_layout.h"

uint8_t *boot_ram_at(const struct boot_ram *ram, uint64_t gpa, uint64_t len_bytes)
{
    if (gpa <= ram->low_bytes && len_bytes <= ram->low_bytes - gpa) {
        return ram->low + gpa;
    }
    if (ram->high && gpa >= ram->high_base && gpa - ram->high_base <= ram->high_bytes &&
        len_bytes <= ram->high_bytes - (gpa - ram->high_base)) {
        return ram->high + (gpa - ram->high_base);
    }
    return NULL;
}

bool boot_ram_write(const struct boot_ram *ram, uint64_t gpa, const void *data, uint64_t len_bytes)
{
    uint8_t *host = boot_ram_at(ram, gpa, len_bytes);

    if (!host) {
        return false;
    }
    if (len_bytes > 0) {
        memcpy(host, data, len_bytes);
    }
    return true;
}

bool boot_ram_zero(const struct boot_ram *ram, uint64_t gpa, uint64_t len_bytes)
{
    uint8_t *host = boot_ram_at(ram, gpa, len_bytes);

    if (!host) {
        return false;
    }
    memset(host, 0, len_bytes);
    return true;
}

bool boot_ram_is_loadable(const struct boot_ram *ram, uint64_t gpa, uint64_t len_bytes)
{
    if (!boot_ram_at(ram, gpa, len_bytes)) {
        return false;
    }
    if (gpa >= PC_RAM_EXTENDED) {
        return true;
    }
    return gpa >= PC_BOOT_END && gpa <= PC_EBDA && len_bytes <= PC_EBDA - gpa;
}
