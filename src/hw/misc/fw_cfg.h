/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Firmware configuration (QEMU's docs/specs/fw_cfg), `fw_cfg`: named and numbered items that firmware reads by ports
 * 0x510/0x511 or by DMA (0x514). Signature, ID and the file directory are made here; everything else is added by the
 * machine between device_create and device_realize, after which the set of items is fixed.
 *
 * Wiring: isa.isa, and device.dma_space at device_create.
 */
#ifndef HDL_HW_MISC_FW_CFG_H
#define HDL_HW_MISC_FW_CFG_H

#include "hw/isa.h"

/* Item numbers, as firmware knows them. */
enum fw_cfg_key {
    FW_CFG_SIGNATURE = 0x00,
    FW_CFG_ID = 0x01,
    FW_CFG_UUID = 0x02,
    FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_NOGRAPHIC = 0x04,
    FW_CFG_NB_CPUS = 0x05,
    FW_CFG_KERNEL_ADDR = 0x07,
    FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_KERNEL_CMDLINE = 0x09,
    FW_CFG_INITRD_ADDR = 0x0a,
    FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_BOOT_DEVICE = 0x0c,
    FW_CFG_NUMA = 0x0d,
    FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_KERNEL_ENTRY = 0x10,
    FW_CFG_KERNEL_DATA = 0x11,
    FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_CMDLINE_ADDR = 0x13,
    FW_CFG_CMDLINE_SIZE = 0x14,
    FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_SETUP_ADDR = 0x16,
    FW_CFG_SETUP_SIZE = 0x17,
    FW_CFG_SETUP_DATA = 0x18,
    FW_CFG_FILE_DIR = 0x19,
    FW_CFG_FILE_FIRST = 0x20,
    FW_CFG_ACPI_TABLES = 0x8000,
    FW_CFG_SMBIOS_ENTRIES = 0x8001,
    FW_CFG_IRQ0_OVERRIDE = 0x8002,
    FW_CFG_E820_TABLE = 0x8003,
};

#define FW_CFG_NAME_BYTES 56 /* with the final NUL */
#define FW_CFG_MAX_FILES  64
#define FW_CFG_MAX_KEYS   0x20 /* numbered items, in each of the generic and the architecture's ranges */

struct fw_cfg_item {
    const uint8_t *bytes;
    uint8_t *owned; /* what to free; NULL when borrowed */
    uint32_t len_bytes;
    bool writable; /* by DMA; owned is then what is written to, under the device's lock */
};

/* items, files: immutable after realize, but for the bytes of writable ones. The rest: device lock. */
struct fw_cfg {
    struct isa_device isa; /* first */
    struct fw_cfg_item generic[FW_CFG_FILE_FIRST + FW_CFG_MAX_FILES];
    struct fw_cfg_item arch[FW_CFG_MAX_KEYS];
    char file_names[FW_CFG_MAX_FILES][FW_CFG_NAME_BYTES];
    unsigned file_count;
    struct region port_region, dma_region;

    uint16_t selected;
    uint32_t offset;
    uint32_t dma_address_high;
    struct device_work dma_work; /* does what the guest asked for, piece by piece */
    struct fw_cfg_transfer {
        bool busy;
        bool failed;
        uint16_t operation; /* read, write or skip */
        uint32_t left_bytes;
        uint64_t address;    /* guest memory, where it goes on */
        uint64_t descriptor; /* guest address of the request, whose control field is written at the end */
    } transfer;
};

extern const struct device_type fw_cfg_device_type;

/* For fw_cfg.c and fw_cfg_items.c. The item that a selector names, or NULL. Device lock (or before realize). */
struct fw_cfg_item *fw_cfg_find(struct fw_cfg *fw_cfg, uint16_t selector);
/* Makes the signature, the id and the directory. Configuration thread, at realize. 0 or -ENOMEM. */
int fw_cfg_add_standard(struct fw_cfg *fw_cfg);
void fw_cfg_free_items(struct fw_cfg *fw_cfg);

/*
 * Before realize. Each replaces an earlier item of the same key. add_bytes copies; add_borrowed doesn't: the bytes must
 * outlive the device. 0, -ENOMEM, or -EINVAL for a key outside the ranges above, or for a file key or one made here.
 */
int fw_cfg_add_bytes(struct fw_cfg *fw_cfg, uint16_t key, const void *bytes, uint32_t len_bytes);
int fw_cfg_add_borrowed(struct fw_cfg *fw_cfg, uint16_t key, const void *bytes, uint32_t len_bytes);
int fw_cfg_add_u16(struct fw_cfg *fw_cfg, uint16_t key, uint16_t value);
int fw_cfg_add_u32(struct fw_cfg *fw_cfg, uint16_t key, uint32_t value);
int fw_cfg_add_u64(struct fw_cfg *fw_cfg, uint16_t key, uint64_t value);
/* With the final NUL. */
int fw_cfg_add_string(struct fw_cfg *fw_cfg, uint16_t key, const char *text);

/*
 * A named file ("etc/e820", "bootorder", "opt/..."); copied. -EINVAL and an error for a name that is empty, too long or
 * taken; -ENOSPC when there are FW_CFG_MAX_FILES. The guest may write a writable one by DMA, never resize it.
 */
int fw_cfg_add_file(struct fw_cfg *fw_cfg, const char *name, const void *bytes, uint32_t len_bytes, bool writable,
                    struct error **err);

#endif
