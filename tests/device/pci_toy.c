/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The function and the bridge of pci_toy.h. All under their device locks. */
#include "pci_toy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void toy_called(struct toy *toy)
{
    atomic_fetch_add(&toy->calls, 1);
    if (toy->in_handler) {
        toy->in_handler(toy->in_handler_opaque);
    }
}

static enum access_result toy_mem_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct toy *toy = opaque;

    toy_called(toy);
    *value = toy->value[0];
    return ACCESS_OK;
}

static enum access_result toy_mem_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct toy *toy = opaque;

    toy_called(toy);
    toy->value[0] = (uint32_t)value;
    return ACCESS_OK;
}

static enum access_result toy_io_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct toy *toy = opaque;

    atomic_fetch_add(&toy->calls, 1);
    *value = toy->value[1];
    return ACCESS_OK;
}

static enum access_result toy_io_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct toy *toy = opaque;

    atomic_fetch_add(&toy->calls, 1);
    toy->value[1] = (uint32_t)value;
    return ACCESS_OK;
}

static const struct region_ops toy_mem_ops = {
    .read = toy_mem_read, .write = toy_mem_write, .valid = {.min = 1, .max = 8}, .impl = {.min = 4, .max = 4}};

static const struct region_ops toy_io_ops = {
    .read = toy_io_read, .write = toy_io_write, .valid = {.min = 1, .max = 8}, .impl = {.min = 4, .max = 4}};

static void toy_config_write(struct pci_device *pci, unsigned offset, unsigned len_bytes)
{
    struct toy *toy = (struct toy *)pci;

    toy->writes++;
    atomic_fetch_add(&toy->calls, 1);
}

static int toy_realize(struct device *device, struct error **err)
{
    static const struct pci_identity identity = {
        .vendor = 0x1234, .device = 0x5678, .class_code = 0xff0000, .revision = 7, .interrupt_pin = true};
    struct toy *toy = (struct toy *)device;
    int ret = pci_device_init(&toy->pci, &identity, err);

    if (ret < 0) {
        return ret;
    }
    region_init_io(&toy->mem64, "toy-mem", device, &toy_mem_ops, toy, 0x4000, 0, NULL);
    region_init_io(&toy->io, "toy-io", device, &toy_io_ops, toy, 0x20, 0, NULL);
    pci_bar_register(&toy->pci, 0, PCI_BAR_MEM64, true, &toy->mem64);
    pci_bar_register(&toy->pci, 2, PCI_BAR_IO, false, &toy->io);
    ret = msix_init(&toy->pci, 3, 4, err);
    if (ret < 0) {
        pci_device_release(&toy->pci);
        return ret;
    }
    toy->pci.config_write = toy_config_write;
    pci_device_expose(&toy->pci);
    return 0;
}

static void toy_reset(struct device *device)
{
    device_assert_locked(device);
    ((struct toy *)device)->resets++;
    pci_device_reset(pci_device_of(device));
}

static void toy_quiesce(struct device *device)
{
    pci_device_hide(pci_device_of(device));
    device_quiesced(device);
}

static void toy_destroy(struct device *device)
{
    pci_device_release(pci_device_of(device));
}

static const struct property toy_properties[] = {PCI_DEVICE_PROPERTIES(struct toy, pci), {0}};

const struct device_type toy_type = {
    .name = "toy",
    .user_creatable = true,
    .bus = "PCI",
    .size_bytes = sizeof(struct toy),
    .properties = toy_properties,
    .realize = toy_realize,
    .reset = toy_reset,
    .quiesce = toy_quiesce,
    .destroy = toy_destroy,
};

/* --- bridge ------------------------------------------------------------------------------------------------------ */

static int toy_bridge_realize(struct device *device, struct error **err)
{
    static const struct pci_identity identity = {
        .vendor = 0x1234, .device = 0x5679, .class_code = 0x060400, .is_bridge = true};
    struct pci_bridge *bridge = (struct pci_bridge *)device;
    int ret = pci_bridge_init(bridge, &identity, false, err);

    if (ret == 0) {
        pci_device_expose(&bridge->pci);
    }
    return ret;
}

static void toy_bridge_reset(struct device *device)
{
    device_assert_locked(device);
    pci_device_reset(pci_device_of(device));
}

static void toy_bridge_destroy(struct device *device)
{
    pci_bridge_release((struct pci_bridge *)device);
}

static const struct property toy_bridge_properties[] = {PCI_DEVICE_PROPERTIES(struct pci_bridge, pci), {0}};

const struct device_type toy_bridge_type = {
    .name = "toy-bridge",
    .bus = "PCI",
    .size_bytes = sizeof(struct pci_bridge),
    .properties = toy_bridge_properties,
    .realize = toy_bridge_realize,
    .reset = toy_bridge_reset,
    .quiesce = toy_quiesce,
    .destroy = toy_bridge_destroy,
};

/* --- for tests --------------------------------------------------------------------------------------------------- */

static struct device *toy_make(struct pci_machine *machine, const struct device_type *type, struct pci_bus *bus,
                               const char *addr, struct event_loop *loop)
{
    struct device *device = device_create(type, addr, loop ? loop : machine->loop, &machine->memory, NULL);

    assert_non_null(device);
    if (addr) {
        assert_int_equal(property_set(device, type->properties, "addr", addr, NULL), 0);
    }
    pci_device_attach(pci_device_of(device), bus);
    assert_int_equal(device_realize(device, NULL), 0);
    return device;
}

struct toy *toy_plug(struct pci_machine *machine, struct pci_bus *bus, const char *addr, struct event_loop *loop)
{
    return (struct toy *)toy_make(machine, &toy_type, bus, addr, loop);
}

struct pci_bridge *toy_bridge_plug(struct pci_machine *machine, struct pci_bus *bus, const char *addr)
{
    return (struct pci_bridge *)toy_make(machine, &toy_bridge_type, bus, addr, NULL);
}

void toy_intx(struct device *device, bool level)
{
    device_lock(device);
    pci_intx_set(pci_device_of(device), level);
    device_unlock(device);
}
