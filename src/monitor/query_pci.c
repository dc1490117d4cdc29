/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PCI functions, bus by bus, from their registers. A bridge's functions are within the bridge. */
#include <stdio.h>
#include <string.h>

#include "hw/pci/pci.h"
#include "monitor/commands.h"
#include "monitor/json_make.h"
#include "monitor/monitor_internal.h"

static void pci_put_class(struct json_object *entry, unsigned class_code)
{
    struct json_object *info = json_put_object(entry, "class_info");
    const char *name = pci_class_name(class_code);

    json_put_uint(info, "class", class_code >> 8);
    if (name) {
        json_put_string(info, "desc", name);
    }
}

static void pci_put_id(struct json_object *entry, const struct pci_identity *identity)
{
    struct json_object *id = json_put_object(entry, "id");

    json_put_uint(id, "device", identity->device);
    json_put_uint(id, "vendor", identity->vendor);
    if (!identity->is_bridge) {
        json_put_uint(id, "subsystem", identity->subsystem);
        json_put_uint(id, "subsystem-vendor", identity->subsystem_vendor);
    }
}

static void pci_put_regions(struct json_object *entry, const struct pci_function_info *info)
{
    struct json_object *regions = json_put_array(entry, "regions");

    for (unsigned i = 0; i < PCI_BAR_COUNT; i++) {
        const struct pci_bar_info *bar = &info->bars[i];
        struct json_object *region;

        if (bar->kind == PCI_BAR_NONE) {
            continue;
        }
        region = json_append_object(regions);
        json_put_uint(region, "bar", i);
        json_put_string(region, "type", bar->kind == PCI_BAR_IO ? "io" : "memory");
        json_put_uint(region, "size", bar->size_bytes);
        json_put(region, "address", bar->mapped ? json_object_new_uint64(bar->address) : json_object_new_int(-1));
        if (bar->kind != PCI_BAR_IO) {
            json_put_bool(region, "prefetch", bar->prefetchable);
            json_put_bool(region, "mem_type_64", bar->kind == PCI_BAR_MEM64);
        }
    }
}

static void pci_put_window(struct json_object *bus, const char *name, struct pci_window window)
{
    struct json_object *range = json_put_object(bus, name);

    json_put_uint(range, "base", window.first);
    json_put_uint(range, "limit", window.last);
}

static struct json_object *pci_bus_devices(struct pci_bus *bus);

static void pci_put_bridge(struct json_object *entry, const struct pci_bridge_info *info, struct pci_bus *secondary)
{
    struct json_object *bridge = json_put_object(entry, "pci_bridge");
    struct json_object *bus = json_put_object(bridge, "bus");

    json_put_uint(bus, "number", info->primary);
    json_put_uint(bus, "secondary", info->secondary);
    json_put_uint(bus, "subordinate", info->subordinate);
    pci_put_window(bus, "io_range", info->io);
    pci_put_window(bus, "memory_range", info->memory);
    pci_put_window(bus, "prefetchable_range", info->prefetch_memory);
    json_put(bridge, "devices", pci_bus_devices(secondary)); /* depth is bounded: PCI_BUS_DEPTH_MAX */
}

static struct json_object *pci_describe(struct pci_device *pci, unsigned bus, unsigned devfn)
{
    struct json_object *entry = json_object_new_object();
    struct pci_function_info info;

    pci_device_get_info(pci, &info);
    json_put_uint(entry, "bus", bus);
    json_put_uint(entry, "slot", pci_slot(devfn));
    json_put_uint(entry, "function", pci_function(devfn));
    pci_put_class(entry, info.identity.class_code);
    pci_put_id(entry, &info.identity);
    if (info.identity.interrupt_pin) {
        json_put_uint(entry, "irq", info.interrupt_line);
    }
    json_put_uint(entry, "irq_pin", info.identity.interrupt_pin);
    json_put_string(entry, "qdev_id", pci->device.id);
    if (info.identity.is_bridge) {
        pci_put_bridge(entry, &info.bridge, pci->secondary);
    }
    pci_put_regions(entry, &info);
    return entry;
}

static struct json_object *pci_bus_devices(struct pci_bus *bus)
{
    struct json_object *devices = json_object_new_array();
    unsigned number = pci_bus_number(bus);

    for (unsigned devfn = 0; devfn < PCI_FUNCTION_COUNT; devfn++) {
        struct pci_device *pci = pci_bus_function(bus, devfn);

        if (pci) {
            json_object_array_add(devices, pci_describe(pci, number, devfn));
        }
    }
    return devices;
}

int qmp_run_query_pci(struct qmp_call *call)
{
    struct pc *pc = machine_pc(call->monitor->machine);

    call->result = json_object_new_array();
    if (pc) {
        struct json_object *bus = json_append_object(call->result);

        json_put_uint(bus, "bus", 0);
        json_put(bus, "devices", pci_bus_devices(&pc->pci.bus));
    }
    return 0;
}
