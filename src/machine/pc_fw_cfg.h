/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the PC says about itself through the firmware configuration device. */
#ifndef HDL_MACHINE_PC_FW_CFG_H
#define HDL_MACHINE_PC_FW_CFG_H

#include "hw/misc/fw_cfg.h"
#include "machine/boot/memory_map.h"
#include "machine/config.h"

/* Adds the standard items. fw_cfg: created, not yet realized. Configuration thread. */
int pc_fw_cfg_fill(struct fw_cfg *fw_cfg, const struct machine_config *config, const struct guest_memory_map *map,
                   struct error **err);

#endif
