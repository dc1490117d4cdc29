/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The standard items of the firmware configuration device. No state. */
#include "machine/pc_fw_cfg.h"

#include "base/bytes.h"

enum { E820_ENTRY_BYTES = 20 };

/* "etc/e820": start, length, type, packed. */
static int pc_fw_cfg_add_e820(struct fw_cfg *fw_cfg, const struct guest_memory_map *map, struct error **err)
{
    uint8_t table[MEMORY_MAP_MAX * E820_ENTRY_BYTES];

    for (unsigned i = 0; i < map->count; i++) {
        store_le64(table + i * E820_ENTRY_BYTES, map->entries[i].start);
        store_le64(table + i * E820_ENTRY_BYTES + 8, map->entries[i].size_bytes);
        store_le32(table + i * E820_ENTRY_BYTES + 16, map->entries[i].type);
    }
    return fw_cfg_add_file(fw_cfg, "etc/e820", table, map->count * E820_ENTRY_BYTES, false, err);
}

int pc_fw_cfg_fill(struct fw_cfg *fw_cfg, const struct machine_config *config, const struct guest_memory_map *map,
                   struct error **err)
{
    int ret;

    ret = fw_cfg_add_bytes(fw_cfg, FW_CFG_UUID, config->uuid, sizeof(config->uuid));
    ret = ret < 0 ? ret : fw_cfg_add_u64(fw_cfg, FW_CFG_RAM_SIZE, config->ram_bytes);
    ret = ret < 0 ? ret : fw_cfg_add_u16(fw_cfg, FW_CFG_NOGRAPHIC, 1);
    ret = ret < 0 ? ret : fw_cfg_add_u16(fw_cfg, FW_CFG_NB_CPUS, (uint16_t)config->cpus);
    ret = ret < 0 ? ret : fw_cfg_add_u16(fw_cfg, FW_CFG_MAX_CPUS, (uint16_t)config->cpus);
    ret = ret < 0 ? ret : fw_cfg_add_u16(fw_cfg, FW_CFG_BOOT_MENU, 0);
    if (ret < 0) {
        return error_set(err, ret, "fw_cfg: out of memory");
    }
    for (size_t i = 0; i < config->fw_cfg_count; i++) {
        const struct config_fw_cfg *item = &config->fw_cfgs[i];

        ret = fw_cfg_add_file(fw_cfg, item->name, item->bytes, item->len_bytes, false, err);
        if (ret < 0) {
            return ret;
        }
    }
    return pc_fw_cfg_add_e820(fw_cfg, map, err);
}
