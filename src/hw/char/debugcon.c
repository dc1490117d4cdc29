/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Debug console: one port, no state. What the chardev has no room for is lost, since the port has no way to say "wait".
 * A guest can write to the chardev and read a constant.
 *
 * Firmware writes long logs here, a byte at a time, and waits for nothing; so the accelerator may coalesce the writes.
 * They come out in order: before the next read of the port, when the machine stands still, and soon at any rate.
 */
#include "hw/char/debugcon.h"

#include <errno.h>

static enum access_result debugcon_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct debugcon *debugcon = opaque;

    *value = debugcon->readback;
    return ACCESS_OK;
}

static enum access_result debugcon_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct debugcon *debugcon = opaque;
    uint8_t byte = (uint8_t)value;

    if (debugcon->chardev) {
        chardev_write(debugcon->chardev, &byte, 1);
    }
    return ACCESS_OK;
}

static const struct region_ops debugcon_ops = {
    .read = debugcon_read,
    .write = debugcon_write,
    .valid = {.min = 1, .max = 1},
    .impl = {.min = 1, .max = 1},
};

static int debugcon_realize(struct device *device, struct error **err)
{
    struct debugcon *debugcon = container_of(device, struct debugcon, isa.device);
    const struct isa_bus *isa = debugcon->isa.isa;

    if (!debugcon->chardev && debugcon->chardev_id) {
        debugcon->chardev = chardev_table_claim(isa->chardevs, debugcon->chardev_id, err);
        if (!debugcon->chardev) {
            return -ENOENT;
        }
    }
    if (debugcon->chardev) {
        int ret = chardev_attach(debugcon->chardev, &debugcon->frontend, err);

        if (ret != 0) {
            return ret;
        }
    }
    region_init_io(&debugcon->region, "debugcon", device, &debugcon_ops, debugcon, 1, REGION_COALESCED, NULL);
    region_add(isa->map, isa->io_root, debugcon->iobase, &debugcon->region, 0);
    return 0;
}

static void debugcon_quiesce(struct device *device)
{
    struct debugcon *debugcon = container_of(device, struct debugcon, isa.device);

    isa_region_hide(debugcon->isa.isa, &debugcon->region);
    if (debugcon->chardev) {
        chardev_detach(debugcon->chardev, &debugcon->frontend);
    }
    device_quiesced(device);
}

static void debugcon_destroy(struct device *device)
{
    isa_region_destroy(&container_of(device, struct debugcon, isa.device)->region);
}

static const struct property debugcon_properties[] = {
    {.name = "chardev",
     .type = PROPERTY_STRING,
     .offset = offsetof(struct debugcon, chardev_id),
     .description = "id of the character backend"},
    {.name = "iobase",
     .type = PROPERTY_U32,
     .offset = offsetof(struct debugcon, iobase),
     .default_value = "0xe9",
     .min = 0,
     .max = 0xffff,
     .description = "the port"},
    {.name = "readback",
     .type = PROPERTY_U32,
     .offset = offsetof(struct debugcon, readback),
     .default_value = "0xe9",
     .min = 0,
     .max = 0xff,
     .description = "what the port reads as"},
    {0},
};

const struct device_type debugcon_device_type = {
    .name = "isa-debugcon",
    .description = "debug console port",
    .category = "Misc",
    .bus = "ISA",
    .size_bytes = sizeof(struct debugcon),
    .properties = debugcon_properties,
    .user_creatable = true,
    .realize = debugcon_realize,
    .quiesce = debugcon_quiesce,
    .destroy = debugcon_destroy,
};
