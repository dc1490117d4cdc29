/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "info pci": what a guest's lspci would find, and which of our devices it is. A function's registers are copied under
 * its own lock, one function after the other, and printed afterwards.
 */
#include <inttypes.h>
#include <string.h>

#include "machine/machine.h"
#include "machine/user_devices.h"
#include "monitor/hmp_command.h"

static void info_pci_bar(struct hmp_call *call, const struct pci_function_info *info, unsigned index)
{
    const struct pci_bar_info *bar = &info->bars[index];
    uint64_t last = bar->address + (bar->size_bytes - 1);

    fprintf(call->out, "      BAR%u: ", index);
    if (bar->kind == PCI_BAR_IO) {
        fprintf(call->out, "I/O at 0x%04" PRIx64 " [0x%04" PRIx64 "]", bar->address, last);
    } else {
        fprintf(call->out, "%d bit%s memory at 0x%08" PRIx64 " [0x%08" PRIx64 "]", bar->kind == PCI_BAR_MEM64 ? 64 : 32,
                bar->prefetchable ? " prefetchable" : "", bar->address, last);
    }
    fprintf(call->out, "%s\n", bar->mapped ? "." : ", not decoded.");
}

static void info_pci_window(struct hmp_call *call, const char *what, struct pci_window window)
{
    if (window.first <= window.last) {
        fprintf(call->out, "      %s range [0x%08" PRIx64 ", 0x%08" PRIx64 "]\n", what, window.first, window.last);
    }
}

static void info_pci_bridge(struct hmp_call *call, const struct pci_bridge_info *bridge)
{
    fprintf(call->out, "      BUS %u.\n      secondary bus %u.\n      subordinate bus %u.\n", bridge->primary,
            bridge->secondary, bridge->subordinate);
    info_pci_window(call, "IO", bridge->io);
    info_pci_window(call, "memory", bridge->memory);
    info_pci_window(call, "prefetchable memory", bridge->prefetch_memory);
}

static void info_pci_function(struct hmp_call *call, struct pci_device *pci, unsigned bus_number)
{
    struct pci_function_info info;
    const struct pci_identity *identity = &info.identity;
    const char *name;

    pci_device_get_info(pci, &info);
    name = pci_class_name(identity->class_code);
    fprintf(call->out, "  Bus %2u, device %3u, function %u:\n", bus_number, pci_slot(pci->devfn),
            pci_function(pci->devfn));
    if (name) {
        fprintf(call->out, "    %s", name);
    } else {
        fprintf(call->out, "    Class %04x", identity->class_code >> 8);
    }
    fprintf(call->out, ": PCI device %04x:%04x\n", identity->vendor, identity->device);
    if (identity->subsystem_vendor || identity->subsystem) {
        fprintf(call->out, "      PCI subsystem %04x:%04x\n", identity->subsystem_vendor, identity->subsystem);
    }
    if (identity->interrupt_pin) {
        fprintf(call->out, "      IRQ %u, pin A\n", info.interrupt_line);
    }
    if (identity->is_bridge) {
        info_pci_bridge(call, &info.bridge);
    }
    for (unsigned i = 0; i < PCI_BAR_COUNT; i++) {
        if (info.bars[i].kind != PCI_BAR_NONE) {
            info_pci_bar(call, &info, i);
        }
    }
    fprintf(call->out, "      id \"%s\"\n", pci->device.id);
}

/* Depth is bounded by the 256 bus numbers. */
static void info_pci_bus(struct hmp_call *call, struct pci_bus *bus)
{
    unsigned number = pci_bus_number(bus);

    for (unsigned devfn = 0; devfn < PCI_FUNCTION_COUNT; devfn++) {
        struct pci_device *pci = pci_bus_function(bus, devfn);

        if (pci) {
            info_pci_function(call, pci, number);
        }
    }
    for (unsigned devfn = 0; devfn < PCI_FUNCTION_COUNT; devfn++) {
        struct pci_device *pci = pci_bus_function(bus, devfn);

        if (pci && pci->secondary) {
            info_pci_bus(call, pci->secondary);
        }
    }
}

void info_pci(struct hmp_call *call)
{
    info_pci_bus(call, &machine_pc(call->machine)->pci.bus);
}
