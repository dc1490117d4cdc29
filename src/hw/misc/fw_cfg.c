/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fw_cfg's ports and DMA (QEMU's docs/specs/fw_cfg).
 *
 *     idle ---- descriptor address written ----> busy: one piece a work item ---- all done, or an error ----> idle
 *                                                      (control field written back: 0, or the error bit)
 *
 * The guest chooses the length, up to 4 GiB, so a transfer is cut into pieces of FW_CFG_PIECE_BYTES. Each is a piece of
 * deferred work: the vCPU that asked does a bounded number of them when it leaves the device, the rest are the event
 * loop's, and the guest polls the control field as the interface allows. The descriptor is copied once; lengths are
 * checked against our items; an address that isn't RAM ends the transfer with the error bit. While one is under way
 * another is refused: its descriptor gets the error bit.
 */
#include "hw/misc/fw_cfg.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "memory/dma.h"

#define PORT_SELECT        0x510 /* and the data port beside it */
#define PORT_DMA           0x514
#define FW_CFG_PIECE_BYTES (256u << 10)
#define ZERO_BYTES         4096

#define DMA_ERROR  0x01u
#define DMA_READ   0x02u
#define DMA_SKIP   0x04u
#define DMA_SELECT 0x08u
#define DMA_WRITE  0x10u

#define DMA_SIGNATURE UINT64_C(0x51454d5520434647) /* "QEMU CFG" */

struct dma_descriptor {
    uint32_t control_be;
    uint32_t length_be;
    uint64_t address_be;
};

static const uint8_t zeros[ZERO_BYTES];

static struct fw_cfg *fw_cfg_from(struct device *device)
{
    return container_of(device, struct fw_cfg, isa.device);
}

static void fw_cfg_select(struct fw_cfg *fw_cfg, uint16_t selector)
{
    fw_cfg->selected = selector;
    fw_cfg->offset = 0;
}

/* What is left of the selected item from the present offset on. */
static uint32_t fw_cfg_available(struct fw_cfg *fw_cfg, const struct fw_cfg_item *item)
{
    return item && fw_cfg->offset < item->len_bytes ? item->len_bytes - fw_cfg->offset : 0;
}

static void fw_cfg_advance(struct fw_cfg *fw_cfg, uint32_t len_bytes)
{
    if (__builtin_add_overflow(fw_cfg->offset, len_bytes, &fw_cfg->offset)) {
        fw_cfg->offset = UINT32_MAX; /* past every item, where it stays */
    }
}

/* --- DMA -------------------------------------------------------------------------------------------------------- */

static void fw_cfg_write_control(struct fw_cfg *fw_cfg, uint64_t descriptor, uint32_t control)
{
    uint32_t control_be = htobe32(control);

    if (dma_write(fw_cfg->isa.device.dma_space, descriptor, &control_be, sizeof(control_be)) != ACCESS_OK) {
        trace(GUEST_ERROR, "fw_cfg: descriptor at 0x%llx can't be written", (unsigned long long)descriptor);
    }
}

/* At most len_bytes of the item, or zeros behind its end; returns how many went, 0 on failure. */
static uint32_t fw_cfg_dma_read_some(struct fw_cfg *fw_cfg, uint64_t address, uint32_t len_bytes)
{
    const struct fw_cfg_item *item = fw_cfg_find(fw_cfg, fw_cfg->selected);
    uint32_t available = fw_cfg_available(fw_cfg, item);
    const uint8_t *from = available ? item->bytes + fw_cfg->offset : zeros;
    uint32_t count = MIN(len_bytes, available ? available : (uint32_t)ZERO_BYTES);

    return dma_write(fw_cfg->isa.device.dma_space, address, from, count) == ACCESS_OK ? count : 0;
}

static uint32_t fw_cfg_dma_write_some(struct fw_cfg *fw_cfg, uint64_t address, uint32_t len_bytes)
{
    struct fw_cfg_item *item = fw_cfg_find(fw_cfg, fw_cfg->selected);
    uint32_t count = MIN(len_bytes, fw_cfg_available(fw_cfg, item));

    if (count == 0 || !item->writable) {
        return 0;
    }
    return dma_read(fw_cfg->isa.device.dma_space, address, item->owned + fw_cfg->offset, count) == ACCESS_OK ? count
                                                                                                             : 0;
}

static void fw_cfg_dma_finish(struct fw_cfg *fw_cfg)
{
    fw_cfg->transfer.busy = false;
    fw_cfg_write_control(fw_cfg, fw_cfg->transfer.descriptor, fw_cfg->transfer.failed ? DMA_ERROR : 0);
}

/* One step of the transfer, at most budget bytes; returns how many, 0 when it failed. */
static uint32_t fw_cfg_dma_step(struct fw_cfg *fw_cfg, uint32_t budget)
{
    struct fw_cfg_transfer *transfer = &fw_cfg->transfer;
    uint32_t want = MIN(budget, transfer->left_bytes);
    uint32_t count = want;

    if (transfer->address + want < transfer->address) {
        count = 0; /* wraps */
    } else if (transfer->operation == DMA_READ) {
        count = fw_cfg_dma_read_some(fw_cfg, transfer->address, want);
    } else {
        count = fw_cfg_dma_write_some(fw_cfg, transfer->address, want);
    }
    fw_cfg_advance(fw_cfg, count);
    transfer->address += count;
    transfer->left_bytes -= count;
    return count;
}

static void fw_cfg_dma_work(struct device *device, struct device_work *work)
{
    struct fw_cfg *fw_cfg = fw_cfg_from(device);
    struct fw_cfg_transfer *transfer = &fw_cfg->transfer;
    uint32_t budget = FW_CFG_PIECE_BYTES;

    while (transfer->busy && transfer->left_bytes > 0 && !transfer->failed && budget > 0) {
        uint32_t count = fw_cfg_dma_step(fw_cfg, budget);

        transfer->failed = count == 0;
        budget -= count;
    }
    if (!transfer->busy) {
        return; /* reset meanwhile */
    }
    if (transfer->left_bytes == 0 || transfer->failed) {
        fw_cfg_dma_finish(fw_cfg);
    } else {
        device_submit(device, work);
    }
}

/* A write must lie within a writable item as a whole (the interface drops truncated writes). */
static bool fw_cfg_dma_write_fits(struct fw_cfg *fw_cfg, uint32_t len_bytes)
{
    const struct fw_cfg_item *item = fw_cfg_find(fw_cfg, fw_cfg->selected);

    return item && item->writable && len_bytes <= fw_cfg_available(fw_cfg, item);
}

static void fw_cfg_dma_begin(struct fw_cfg *fw_cfg, uint64_t descriptor_address)
{
    struct dma_descriptor descriptor;
    struct fw_cfg_transfer *transfer = &fw_cfg->transfer;
    uint32_t control, length;

    if (dma_read(fw_cfg->isa.device.dma_space, descriptor_address, &descriptor, sizeof(descriptor)) != ACCESS_OK ||
        transfer->busy) {
        fw_cfg_write_control(fw_cfg, descriptor_address, DMA_ERROR);
        return;
    }
    control = be32toh(descriptor.control_be);
    length = be32toh(descriptor.length_be);
    *transfer = (struct fw_cfg_transfer){
        .busy = true,
        .left_bytes = length,
        .address = be64toh(descriptor.address_be),
        .descriptor = descriptor_address,
    };
    if (control & DMA_SELECT) {
        fw_cfg_select(fw_cfg, (uint16_t)(control >> 16));
    }
    if (control & DMA_READ) {
        transfer->operation = DMA_READ;
    } else if (control & DMA_WRITE) {
        transfer->operation = DMA_WRITE;
        transfer->failed = !fw_cfg_dma_write_fits(fw_cfg, length);
    } else {
        if (control & DMA_SKIP) {
            fw_cfg_advance(fw_cfg, length);
        }
        transfer->left_bytes = 0;
    }
    if (transfer->left_bytes == 0 || transfer->failed) {
        fw_cfg_dma_finish(fw_cfg);
    } else {
        device_submit(&fw_cfg->isa.device, &fw_cfg->dma_work);
    }
}

/* The register is big-endian and our values are little-endian numbers: offset 0 holds the most significant byte. */
static enum access_result dma_region_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    uint64_t signature_le = htobe64(DMA_SIGNATURE);

    *value = signature_le >> offset * 8;
    if (size_bytes < 8) {
        *value &= (UINT64_C(1) << size_bytes * 8) - 1;
    }
    return ACCESS_OK;
}

static enum access_result dma_region_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct fw_cfg *fw_cfg = opaque;
    uint64_t address;

    if (size_bytes == 8) {
        fw_cfg_dma_begin(fw_cfg, be64toh(value));
    } else if (offset == 0) {
        fw_cfg->dma_address_high = be32toh((uint32_t)value);
    } else {
        address = (uint64_t)fw_cfg->dma_address_high << 32 | be32toh((uint32_t)value);
        fw_cfg->dma_address_high = 0;
        fw_cfg_dma_begin(fw_cfg, address);
    }
    return ACCESS_OK;
}

/* --- ports ------------------------------------------------------------------------------------------------------ */

static enum access_result port_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct fw_cfg *fw_cfg = opaque;
    const struct fw_cfg_item *item = fw_cfg_find(fw_cfg, fw_cfg->selected);

    *value = 0;
    if (offset == 1 && size_bytes == 1) {
        if (fw_cfg_available(fw_cfg, item) > 0) {
            *value = item->bytes[fw_cfg->offset];
        }
        fw_cfg_advance(fw_cfg, 1);
    }
    return ACCESS_OK;
}

static enum access_result port_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    if (offset == 0 && size_bytes == 2) {
        fw_cfg_select(opaque, (uint16_t)value);
    }
    return ACCESS_OK; /* the data port is read-only */
}

static const struct region_ops port_ops = {
    .read = port_read,
    .write = port_write,
    .valid = {.min = 1, .max = 2},
    .impl = {.min = 1, .max = 2},
};

static const struct region_ops dma_region_ops = {
    .read = dma_region_read,
    .write = dma_region_write,
    .valid = {.min = 1, .max = 8},
    .impl = {.min = 4, .max = 8},
};

/* --- life ------------------------------------------------------------------------------------------------------- */

static void fw_cfg_reset(struct device *device)
{
    struct fw_cfg *fw_cfg = fw_cfg_from(device);

    fw_cfg_select(fw_cfg, 0);
    fw_cfg->dma_address_high = 0;
    fw_cfg->transfer.busy = false;
}

static int fw_cfg_realize(struct device *device, struct error **err)
{
    struct fw_cfg *fw_cfg = fw_cfg_from(device);
    const struct isa_bus *isa = fw_cfg->isa.isa;

    if (fw_cfg_add_standard(fw_cfg) != 0) {
        return error_set(err, -ENOMEM, "no memory for fw_cfg");
    }
    device_work_init(&fw_cfg->dma_work, device, fw_cfg_dma_work);
    fw_cfg_reset(device);
    region_init_io(&fw_cfg->port_region, "fw_cfg", device, &port_ops, fw_cfg, 2, 0, NULL);
    region_add(isa->map, isa->io_root, PORT_SELECT, &fw_cfg->port_region, 0);
    if (device->dma_space) {
        region_init_io(&fw_cfg->dma_region, "fw_cfg-dma", device, &dma_region_ops, fw_cfg, 8, 0, NULL);
        region_add(isa->map, isa->io_root, PORT_DMA, &fw_cfg->dma_region, 0);
    }
    return 0;
}

static void fw_cfg_quiesce(struct device *device)
{
    struct fw_cfg *fw_cfg = fw_cfg_from(device);

    isa_region_hide(fw_cfg->isa.isa, &fw_cfg->port_region);
    isa_region_hide(fw_cfg->isa.isa, &fw_cfg->dma_region);
    device_quiesced(device);
}

static void fw_cfg_destroy(struct device *device)
{
    struct fw_cfg *fw_cfg = fw_cfg_from(device);

    fw_cfg_free_items(fw_cfg);
    isa_region_destroy(&fw_cfg->port_region);
    isa_region_destroy(&fw_cfg->dma_region);
}

const struct device_type fw_cfg_device_type = {
    .name = "fw_cfg",
    .description = "firmware configuration",
    .category = "Misc",
    .bus = "ISA",
    .size_bytes = sizeof(struct fw_cfg),
    .realize = fw_cfg_realize,
    .reset = fw_cfg_reset,
    .quiesce = fw_cfg_quiesce,
    .destroy = fw_cfg_destroy,
};
