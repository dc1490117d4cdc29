/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices and backends that come and go by command. Adding is a call that returns when the guest can see the device.
 * Removing is a request: the guest answers whenever it likes, or never; what then happens is begun by the vCPU that
 * ejects (hw/pci/pci_hotplug.h) and comes back here through the device set, step by step, without anybody waiting.
 *
 * Configuration thread, but for machine_device_refused.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "hw/pci/pci.h"
#include "machine/device_types.h"
#include "machine/machine_internal.h"
#include "machine/user_devices.h"

static int machine_need_pc(const struct machine *machine, struct error **err)
{
    return machine->has_pc ? 0 : error_set(err, -EOPNOTSUPP, "this machine has no devices");
}

static struct pci_hotplug *machine_hotplug_of(struct device *device)
{
    struct pci_device *pci = pci_device_try(device);

    return pci ? pci->bus->hotplug : NULL;
}

/* --- coming ----------------------------------------------------------------------------------------------------- */

/* What can't be added to a machine that exists is said before anything of it is made. */
static int machine_check_hot_add(struct machine *machine, const struct config_device *config, struct error **err)
{
    const struct device_type *type = device_type_find(config->type);
    const char *bus_name = options_get(&config->options, "bus");
    struct pci_bus *bus;

    if (!type || !type->user_creatable || (type->bus && strcmp(type->bus, "virtio-serial-bus") == 0)) {
        return 0; /* user_device_add's to say, or nothing to check */
    }
    if (!type->bus || strcmp(type->bus, "PCI") != 0) {
        return error_set(err, -EOPNOTSUPP, "Device '%s' can not be hotplugged on this machine", type->name);
    }
    bus = pc_find_pci_bus(&machine->pc, bus_name, err);
    if (!bus) {
        return -ENOENT;
    }
    if (!bus->hotplug) {
        return error_set(err, -EOPNOTSUPP, "Bus '%s' does not support hotplugging", bus_name ? bus_name : "pcie.0");
    }
    return 0;
}

int machine_device_add(struct machine *machine, struct config_device *config, struct error **err)
{
    bool announce = machine->state != MACHINE_PRELAUNCH;
    int ret = machine_need_pc(machine, err);

    ret = ret < 0 ? ret : machine_check_hot_add(machine, config, err);
    ret = ret < 0 ? ret : user_device_apply_globals(machine->config, config, err);
    return ret < 0 ? ret : user_device_add(&machine->pc, config, &machine->backends, announce, err);
}

/* --- going ------------------------------------------------------------------------------------------------------ */

static int machine_request_unplug(struct machine *machine, const struct machine_device *entry, bool force,
                                  struct error **err)
{
    struct device *device = entry->device;
    struct pci_hotplug *hotplug = machine_hotplug_of(device);
    int ret = -ENOTCONN;

    if (!entry->is_user || (!hotplug && !user_device_parent(device))) {
        return error_set(err, -EOPNOTSUPP, "Device '%s' does not support hotplugging", device->id);
    }
    if (hotplug && !force && machine->state != MACHINE_PRELAUNCH) {
        ret = hotplug->ops->request_unplug(hotplug, pci_device_try(device));
    }
    if (ret == -ENOTCONN) {
        ret = 0;
        device_unplug(device);
    }
    return ret < 0 ? error_set(err, ret, "Device '%s' can't be taken away", device->id) : 0;
}

int machine_device_del(struct machine *machine, const char *id_or_path, bool force, struct error **err)
{
    const struct machine_device *entry = machine_device_find(machine, id_or_path);

    if (!entry) {
        return error_set(err, -ENODEV, "Device '%s' not found", id_or_path);
    }
    if (!device_is_realized(entry->device)) {
        return error_set(err, -EINPROGRESS, "Device %s is already in the process of unplug", entry->device->id);
    }
    return machine_request_unplug(machine, entry, force, err);
}

/* What is plugged into a device that has gone goes, too. */
static void machine_unplug_children(struct machine *machine, const struct device *parent)
{
    const struct machine_device *entry;

    for (size_t i = 0; (entry = device_set_nth(&machine->pc.devices, i)); i++) {
        if (user_device_parent(entry->device) == parent) {
            device_unplug(entry->device);
        }
    }
}

void machine_device_gone(void *opaque, const struct machine_device *entry)
{
    struct machine *machine = opaque;
    struct pci_hotplug *hotplug = machine_hotplug_of(entry->device);

    if (hotplug) {
        hotplug->ops->unplugged(hotplug, pci_device_try(entry->device));
    }
    machine_unplug_children(machine, entry->device);
}

static void machine_give_back_loop(struct machine *machine, const struct event_loop *loop)
{
    for (struct backend_object *object = machine->backends.objects; object; object = object->next) {
        if (object->loop == loop) {
            backends_remove_object(&machine->backends, object);
            return;
        }
    }
}

void machine_device_removed(void *opaque, const struct machine_device *entry)
{
    struct machine *machine = opaque;

    if (entry->own_loop) {
        machine_give_back_loop(machine, entry->own_loop);
    }
    if (entry->is_user) {
        machine_tell(machine, &(struct machine_event){.kind = MACHINE_EVENT_DEVICE_DELETED, .device = entry});
    }
}

void machine_device_refused(void *opaque, struct device *device)
{
    struct machine *machine = opaque;

    /* The configuration thread looks up whom it was: a flag on the device would outlive its meaning. */
    atomic_store_explicit(&device->has_refused, true, memory_order_release);
    bh_schedule(&machine->serve);
}

void machine_tell_refusals(struct machine *machine)
{
    const struct machine_device *entry;

    for (size_t i = 0; machine->has_pc && (entry = device_set_nth(&machine->pc.devices, i)); i++) {
        if (atomic_exchange_explicit(&entry->device->has_refused, false, memory_order_acquire)) {
            machine_tell(machine,
                         &(struct machine_event){.kind = MACHINE_EVENT_DEVICE_UNPLUG_GUEST_ERROR, .device = entry});
        }
    }
}

/* --- looking ---------------------------------------------------------------------------------------------------- */

const struct machine_device *machine_device_find(struct machine *machine, const char *id_or_path)
{
    return machine->has_pc ? device_set_find(&machine->pc.devices, id_or_path) : NULL;
}

const struct machine_device *machine_device_nth(struct machine *machine, size_t n)
{
    return machine->has_pc ? device_set_nth(&machine->pc.devices, n) : NULL;
}

/* --- backends --------------------------------------------------------------------------------------------------- */

int machine_object_add(struct machine *machine, const struct config_object *config, struct error **err)
{
    return backends_add_object(&machine->backends, config, err);
}

int machine_object_del(struct machine *machine, const char *id, struct error **err)
{
    struct backend_object *object = backends_find_object(&machine->backends, id);
    const struct machine_device *entry;

    if (!object) {
        return error_set(err, -ENOENT, "object '%s' not found", id);
    }
    for (size_t i = 0; (entry = machine_device_nth(machine, i)); i++) {
        if (user_device_uses_object(entry->device, object)) {
            return error_set(err, -EBUSY, "object '%s' is in use, can not be deleted: device '%s' has it", id,
                             entry->device->id);
        }
    }
    backends_remove_object(&machine->backends, object);
    return 0;
}

int machine_chardev_add(struct machine *machine, const struct config_chardev *config, struct error **err)
{
    if (chardev_table_find(machine->backends.chardevs, config->id)) {
        return error_set(err, -EEXIST, "Chardev with id '%s' already exists", config->id);
    }
    return backends_add_chardev(&machine->backends, config, err);
}

int machine_chardev_remove(struct machine *machine, const char *id, struct error **err)
{
    return chardev_table_remove(machine->backends.chardevs, id, err);
}

int machine_blockdev_add(struct machine *machine, const struct config_node *config, struct error **err)
{
    return backends_add_node(&machine->backends, config, err);
}

int machine_blockdev_del(struct machine *machine, const char *node_name, struct error **err)
{
    return block_close(machine->backends.graph, node_name, err);
}
