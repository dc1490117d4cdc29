/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Debug exit: a guest that was given this device may end the process with an odd status. It does nothing else. */
#include "hw/misc/isa_debug_exit.h"

static enum access_result debug_exit_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    *value = 0;
    return ACCESS_OK;
}

static enum access_result debug_exit_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct isa_debug_exit *exit_device = opaque;

    machine_request_exit(exit_device->isa.isa->requests, (int)((uint32_t)value << 1 | 1));
    return ACCESS_OK;
}

static const struct region_ops debug_exit_ops = {
    .read = debug_exit_read,
    .write = debug_exit_write,
    .valid = {.min = 1, .max = 4, .unaligned = true},
    .impl = {.min = 1, .max = 4, .unaligned = true},
};

static int debug_exit_realize(struct device *device, struct error **err)
{
    struct isa_debug_exit *exit_device = container_of(device, struct isa_debug_exit, isa.device);
    const struct isa_bus *isa = exit_device->isa.isa;

    region_init_io(&exit_device->region, "isa-debug-exit", device, &debug_exit_ops, exit_device, exit_device->iosize, 0,
                   NULL);
    region_add(isa->map, isa->io_root, exit_device->iobase, &exit_device->region, 1);
    return 0;
}

static void debug_exit_quiesce(struct device *device)
{
    struct isa_debug_exit *exit_device = container_of(device, struct isa_debug_exit, isa.device);

    isa_region_hide(exit_device->isa.isa, &exit_device->region);
    device_quiesced(device);
}

static void debug_exit_destroy(struct device *device)
{
    isa_region_destroy(&container_of(device, struct isa_debug_exit, isa.device)->region);
}

static const struct property debug_exit_properties[] = {
    {.name = "iobase",
     .type = PROPERTY_U32,
     .offset = offsetof(struct isa_debug_exit, iobase),
     .default_value = "0x501",
     .min = 0,
     .max = 0xfffc,
     .description = "first port"},
    {.name = "iosize",
     .type = PROPERTY_U32,
     .offset = offsetof(struct isa_debug_exit, iosize),
     .default_value = "2",
     .min = 1,
     .max = 4,
     .description = "how many ports"},
    {0},
};

const struct device_type isa_debug_exit_device_type = {
    .name = "isa-debug-exit",
    .description = "lets a test guest end heddle with a status",
    .category = "Misc",
    .bus = "ISA",
    .size_bytes = sizeof(struct isa_debug_exit),
    .properties = debug_exit_properties,
    .user_creatable = true,
    .realize = debug_exit_realize,
    .quiesce = debug_exit_quiesce,
    .destroy = debug_exit_destroy,
};
