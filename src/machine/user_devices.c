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
#include "hw/misc/teach.h"
#include "hw/pci/pci_hotplug.h"
#include "hw/virtio/virtio_blk.h"
#include "hw/virtio/virtio_rng.h"
#include "hw/virtio/virtio_serial.h"
#include "machine/device_types.h"

static bool user_device_is_port(const struct device *device)
{
    return device->type == &virtconsole_type || device->type == &virtserialport_type;
}

/*
 * What bus= says. Ports name theirs by the device that makes it (user_device_find_serial); there is one ISA bus.
 */
static int user_device_set_bus(struct device *device, struct pc *pc, const char *bus, struct error **err)
{
    struct pci_device *pci = pci_device_try(device);
    struct pci_bus *pci_bus;

    if (pci) {
        pci_bus = pc_find_pci_bus(pc, bus, err);
        if (!pci_bus) {
            return -ENOENT;
        }
        pci_device_attach(pci, pci_bus);
        return 0;
    }
    if (user_device_is_port(device) ||
        (device->type->bus && strcmp(device->type->bus, "ISA") == 0 && strcmp(bus, "isa.0") == 0)) {
        return 0;
    }
    return error_set(err, -ENOENT, "Bus '%s' not found", bus);
}

static int user_device_set_options(struct device *device, struct pc *pc, const struct options *options,
                                   struct error **err)
{
    int result = 0;

    for (size_t i = 0; result == 0 && i < options->count; i++) {
        const struct option *option = &options->items[i];

        result = strcmp(option->key, "bus") == 0
                     ? user_device_set_bus(device, pc, option->value, err)
                     : property_set(device, device->type->properties, option->key, option->value, err);
    }
    return result;
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
    const struct machine_device *entry;

    for (size_t i = 0; (entry = device_set_nth(&pc->devices, i)); i++) {
        struct device *device = entry->device;
        size_t id_bytes = strlen(device->id);

        if (device->type == &virtio_serial_pci_type && device_is_realized(device) &&
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
    } else if (device->type == &teach_device_type) {
        teach_wire(device, pc->env.guest_clock);
    } else if (user_device_is_port(device)) {
        return user_device_wire_port(device, pc, backends, bus, err);
    }
    return 0;
}

/*
 * Where the device's events are handled: the I/O thread that its options name, one of its own for a disk (*own, to be
 * given back with the device), else the devices' common loop. NULL and an error.
 */
static struct event_loop *user_device_loop(const struct pc *pc, const struct device_type *type,
                                           const struct options *options, struct backends *backends,
                                           struct backend_object **own, struct error **err)
{
    const char *iothread = options_get(options, "iothread");

    *own = NULL;
    if (iothread) {
        return backends_find_iothread(backends, iothread, err);
    }
    if (type != &virtio_blk_pci_type) {
        return pc->env.device_loop;
    }
    *own = backends_make_iothread(backends, err);
    return *own ? (*own)->loop : NULL;
}

/* On failure the device is gone, but not its loop. */
static int user_device_make(struct pc *pc, const struct config_device *config, struct machine_device *entry,
                            struct event_loop *loop, const struct backends *backends, struct error **err)
{
    struct device *device = device_create(device_type_find(config->type), config->id, loop, &pc->memory, NULL);
    int ret;

    if (!device) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    entry->device = device;
    ret = user_device_set_options(device, pc, &config->options, err);
    ret = ret < 0 ? ret : user_device_wire(device, pc, backends, options_get(&config->options, "bus"), err);
    if (ret < 0) {
        device_drop(device);
        return ret;
    }
    return pc_add_user_device(pc, entry, err);
}

bool user_device_uses_object(const struct device *device, const struct backend_object *object)
{
    return (object->loop && device->loop == object->loop) ||
           (object->source && device->type == &virtio_rng_pci_type && virtio_rng_source(device) == object->source);
}

struct device *user_device_parent(struct device *device)
{
    return user_device_is_port(device) ? virtio_serial_port_bus(device) : NULL;
}

/* Whoever tells the guest about the device's bus knows it from now on. */
static void user_device_plug(struct device *device, bool announce)
{
    struct pci_device *pci = pci_device_try(device);

    if (pci && pci->bus->hotplug) {
        pci->bus->hotplug->ops->plugged(pci->bus->hotplug, pci, announce);
    }
}

int user_device_add(struct pc *pc, const struct config_device *config, struct backends *backends, bool announce,
                    struct error **err)
{
    const struct device_type *type = device_type_find(config->type);
    struct machine_device entry = {.is_user = true, .has_id = config->id != NULL};
    struct backend_object *own;
    struct event_loop *loop;
    int ret;

    if (!type || !type->user_creatable) {
        return error_set(err, -ENOENT, "'%s' is not a valid device model name", config->type);
    }
    if (config->id && device_set_find(&pc->devices, config->id)) {
        return error_set(err, -EEXIST, "Duplicate device ID '%s'", config->id);
    }
    loop = user_device_loop(pc, type, &config->options, backends, &own, err);
    if (!loop) {
        return -ENOENT;
    }
    entry.own_loop = own ? loop : NULL;
    ret = user_device_make(pc, config, &entry, loop, backends, err);
    if (ret < 0 && own) {
        backends_remove_object(backends, own);
    }
    if (ret == 0) {
        device_reset(entry.device);
        user_device_plug(entry.device, announce);
    }
    return ret;
}

static int user_device_add_serial(struct pc *pc, unsigned index, const char *chardev_id, struct error **err)
{
    struct device *device = device_create(&serial_device_type, NULL, pc->env.device_loop, NULL, NULL);
    struct serial *serial = (struct serial *)device;

    if (!device) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    serial->index = index;
    if (property_set(device, device->type->properties, "chardev", chardev_id, err) < 0) {
        device_drop(device);
        return -ENOMEM;
    }
    return pc_add_device(pc, device, err);
}

int user_device_apply_globals(const struct machine_config *config, struct config_device *device, struct error **err)
{
    const struct device_type *type = device_type_find(device->type);

    for (size_t i = config->global_count; type && i > 0; i--) {
        const struct config_global *global = &config->globals[i - 1];

        if (strcmp(type->name, global->driver) == 0 && !options_get(&device->options, global->property) &&
            options_set(&device->options, global->property, global->value) < 0) {
            return error_set(err, -ENOMEM, "out of memory");
        }
    }
    return 0;
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
        ret = user_device_add(pc, &config->devices[i], backends, false, err);
        if (ret < 0) {
            error_prefix(err, "-device %s", config->devices[i].type);
            return ret;
        }
    }
    return 0;
}
