/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "info qtree": devices, where they are plugged in, and what was asked of them. Properties don't change once a device
 * is realized, and the configuration thread, which prints, is also the one that frees; so nothing is locked.
 */
#include <string.h>

#include "hw/pci/pci.h"
#include "machine/machine.h"
#include "machine/user_devices.h"
#include "monitor/hmp_command.h"

static void qtree_indent(struct hmp_call *call, unsigned depth)
{
    fprintf(call->out, "%*s", (int)(2 * depth), "");
}

static void qtree_property(struct hmp_call *call, struct device *device, const struct property *property)
{
    const struct pci_device *pci = pci_device_try(device);
    HDL_AUTO_FREE char *value = property_get(device, property);

    fprintf(call->out, "%s = ", property->name);
    if (pci && property->type == PROPERTY_PCI_ADDR) {
        fprintf(call->out, "%02x.%x\n", pci_slot(pci->devfn), pci_function(pci->devfn)); /* what it got */
    } else if (property->type == PROPERTY_STRING) {
        fprintf(call->out, "\"%s\"\n", value ? value : "");
    } else {
        fprintf(call->out, "%s\n", value ? value : "?");
    }
}

static void qtree_bus(struct hmp_call *call, const char *id, const char *suffix, const char *type, unsigned depth)
{
    qtree_indent(call, depth);
    fprintf(call->out, "bus: %s%s\n", id, suffix);
    qtree_indent(call, depth + 1);
    fprintf(call->out, "type %s\n", type);
}

static void qtree_device(struct hmp_call *call, struct device *device, unsigned depth);

/* Which devices are where: a place is a bus type, and for those that a device makes, that device. */
static bool qtree_is_at(struct device *device, const char *bus, const struct device *parent,
                        const struct pci_bus *pci_bus)
{
    const struct pci_device *pci = pci_device_try(device);
    const char *own = device->type->bus;

    if (user_device_parent(device) != parent || (pci ? pci->bus : NULL) != pci_bus) {
        return false;
    }
    return own == bus || (own && bus && strcmp(own, bus) == 0) || parent || pci_bus;
}

static bool qtree_devices(struct hmp_call *call, const char *bus, const struct device *parent,
                          const struct pci_bus *pci_bus, unsigned depth, bool count_only)
{
    const struct machine_device *entry;
    bool any = false;

    for (size_t i = 0; (entry = machine_device_nth(call->machine, i)); i++) {
        if (!entry->is_leaving && qtree_is_at(entry->device, bus, parent, pci_bus)) {
            any = true;
            if (!count_only) {
                qtree_device(call, entry->device, depth);
            }
        }
    }
    return any;
}

/* The buses that a device makes. */
static void qtree_buses_of(struct hmp_call *call, struct device *device, unsigned depth)
{
    struct pci_device *pci = pci_device_try(device);

    if (pci && pci->secondary) {
        qtree_bus(call, device->id, "", "PCIE", depth);
        qtree_devices(call, NULL, NULL, pci->secondary, depth + 1, false);
    }
    if (qtree_devices(call, NULL, device, NULL, 0, true)) {
        qtree_bus(call, device->id, ".0", "virtio-serial-bus", depth);
        qtree_devices(call, NULL, device, NULL, depth + 1, false);
    }
}

static void qtree_device(struct hmp_call *call, struct device *device, unsigned depth)
{
    bool has_own_id = strcmp(device->id, device->type->name) != 0;

    qtree_indent(call, depth);
    fprintf(call->out, "dev: %s, id \"%s\"\n", device->type->name, has_own_id ? device->id : "");
    for (const struct property *property = device->type->properties; property && property->name; property++) {
        qtree_indent(call, depth + 1);
        qtree_property(call, device, property);
    }
    qtree_buses_of(call, device, depth + 1);
}

void info_qtree(struct hmp_call *call)
{
    qtree_bus(call, "main-system-bus", "", "System", 0);
    qtree_devices(call, NULL, NULL, NULL, 1, false);
    qtree_bus(call, "pcie.0", "", "PCIE", 1);
    qtree_devices(call, NULL, NULL, &machine_pc(call->machine)->pci.bus, 2, false);
    qtree_bus(call, "isa.0", "", "ISA", 1);
    qtree_devices(call, "ISA", NULL, NULL, 2, false);
}
