/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes devices from their options and hands them to the board. `bus`, which names one of the board's buses, is
 * understood here; every other key is a property of the type. Configuration thread only.
 */
#include "machine/user_devices.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hw/char/serial.h"
#include "hw/virtio/virtio_blk.h"
#include "hw/virtio/virtio_rng.h"
#include "hw/virtio/virtio_serial.h"
#include "machine/device_types.h"

/* Whether -device's bus= may name the bus of that type: its only one. */
static bool user_device_bus_is_known(const struct device_type *type, const char *bus)
{
    /* Ports name theirs by the device that makes it: see user_device_find_serial. */
    if (type == &virtconsole_type || type == &virtserialport_type) {
        return true;
    }
    static const char *const names[][2] = {{"PCI", "pci.0"}, {"PCI", "pcie.0"}, {"ISA", "isa.0"}};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (type->bus && strcmp(type->bus, names[i][0]) == 0 && strcmp(bus, names[i][1]) == 0) {
            return true;
        }
    }
    return false;
}

static int user_device_set_options(struct device *device, const struct options *options, struct error **err)
{
    for (size_t i = 0; i < options->count; i++) {
        const struct option *option = &options->items[i];
        int ret;

        if (strcmp(option->key, "bus") == 0) {
            if (!user_device_bus_is_known(device->type, option->value)) {
                return error_set(err, -EINVAL, "bus='%s': there is no such bus for it", option->value);
            }
            continue;
        }
        ret = property_set(device, device->type->properties, option->key, option->value, err);
        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}

static int user_device_wire_rng(struct device *device, const struct pc *pc, const struct backends *backends,
                                struct error **err)
{
    const char *id = virtio_rng_source_id(device);
    const struct rng_source *source = NULL;

    if (id) {
        source = backends_find_rng(backends, id, err);
        if (!source) {
            return -ENOENT;
        }
    }
    virtio_rng_wire(device, source, pc->env.guest_clock);
    return 0;
}

/* The virtio-serial device whose bus that is: "ID.0"; the first one if nobody named any. */
static struct device *user_device_find_serial(const struct pc *pc, const char *bus)
{
    for (unsigned i = 0; i < pc->device_count; i++) {
        struct device *device = pc->devices[i];
        size_t id_bytes = strlen(device->id);

        if (device->type == &virtio_serial_pci_type &&
            (!bus || (strncmp(bus, device->id, id_bytes) == 0 && strcmp(bus + id_bytes, ".0") == 0))) {
            return device;
        }
    }
    return NULL;
}

static int user_device_wire_port(struct device *port, const struct pc *pc, const struct backends *backends,
                                 const char *bus, struct error **err)
{
    struct device *serial = user_device_find_serial(pc, bus);

    if (!serial) {
        return error_set(err, -ENOENT, "there is no -device virtio-serial-pci before it%s%s",
                         bus ? " with the bus " : "", bus ? bus : "");
    }
    virtio_serial_port_wire(port, serial, backends->chardevs);
    return 0;
}

/* What a type needs to be told beside its properties, which are set, and its bus. */
static int user_device_wire(struct device *device, const struct pc *pc, const struct backends *backends,
                            const char *bus, struct error **err)
{
    if (device->type == &virtio_blk_pci_type) {
        virtio_blk_wire(device, backends->graph);
    } else if (device->type == &virtio_rng_pci_type) {
        return user_device_wire_rng(device, pc, backends, err);
    } else if (device->type == &virtconsole_type || device->type == &virtserialport_type) {
        return user_device_wire_port(device, pc, backends, bus, err);
    }
    return 0;
}

/* Where the device's events are handled: the I/O thread that its options name, one of its own for a disk, else the main
 * loop. NULL and an error. */
static struct event_loop *user_device_loop(const struct pc *pc, const struct device_type *type,
                                           const struct options *options, struct backends *backends, struct error **err)
{
    const char *iothread = options_get(options, "iothread");

    if (iothread) {
        return backends_find_iothread(backends, iothread, err);
    }
    return type == &virtio_blk_pci_type ? backends_make_iothread(backends, err) : pc->env.loop;
}

static int user_device_make(struct pc *pc, const struct config_device *config, struct backends *backends,
                            struct error **err)
{
    const struct device_type *type = device_type_find(config->type);
    struct event_loop *loop;
    struct device *device;
    int ret;

    if (!type || !type->user_creatable) {
        return error_set(err, -ENOENT, "there is no such device");
    }
    loop = user_device_loop(pc, type, &config->options, backends, err);
    if (!loop) {
        return -ENOENT;
    }
    device = device_create(type, config->id, loop, &pc->memory, NULL);
    if (!device) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    ret = user_device_set_options(device, &config->options, err);
    ret = ret < 0 ? ret : user_device_wire(device, pc, backends, options_get(&config->options, "bus"), err);
    if (ret < 0) {
        device_put(device);
        return ret;
    }
    return pc_add_device(pc, device, err);
}

static int user_device_add_serial(struct pc *pc, unsigned index, const char *chardev_id, struct error **err)
{
    struct device *device = device_create(&serial_device_type, NULL, pc->env.loop, NULL, NULL);
    struct serial *serial = (struct serial *)device;

    if (!device) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    serial->index = index;
    if (property_set(device, device->type->properties, "chardev", chardev_id, err) < 0) {
        device_put(device);
        return -ENOMEM;
    }
    return pc_add_device(pc, device, err);
}

int user_devices_add(struct pc *pc, const struct machine_config *config, struct backends *backends, struct error **err)
{
    int ret;

    for (unsigned i = 0; i < MACHINE_SERIALS_MAX; i++) {
        if (config->serials[i]) {
            ret = user_device_add_serial(pc, i, config->serials[i], err);
            if (ret < 0) {
                error_prefix(err, "-serial");
                return ret;
            }
        }
    }
    for (size_t i = 0; i < config->device_count; i++) {
        ret = user_device_make(pc, &config->devices[i], backends, err);
        if (ret < 0) {
            error_prefix(err, "-device %s", config->devices[i].type);
            return ret;
        }
    }
    return 0;
}
