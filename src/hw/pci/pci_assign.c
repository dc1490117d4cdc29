/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What firmware would do: BARs, bus numbers, bridge windows. Addresses are dealt from the start of each range upwards.
 * A bridge's windows begin where its bus's ranges have got to, its children are dealt from there, and the windows end
 * where they end. Functions come before bridges on each bus, so that room kept for hot-plug is what is left over.
 *
 * Configuration thread, while no vCPU runs; each function is written under its own lock.
 */
#include <errno.h>

#include "base/log.h"
#include "hw/pci/pci_internal.h"

#define IO_GRANULE     UINT64_C(0x1000)
#define MEMORY_GRANULE UINT64_C(0x100000)

/*
 * What a bridge with hot-plug gets at least, if there is room: what Linux would give it; and 64-bit memory for a large
 * BAR, of which a slot count's worth fits the PC's window.
 */
#define HOTPLUG_MEMORY_BYTES   (UINT64_C(2) << 20)
#define HOTPLUG_PREFETCH_BYTES (UINT64_C(128) << 20)

static const struct pci_window empty_window = {.first = 1, .last = 0};

/* What is left of a bus's ranges. */
struct pci_room {
    struct pci_window memory, memory64, io;
    bool is_root; /* memory64 takes any 64-bit BAR; behind a bridge only those that are prefetchable */
};

struct pci_assignment {
    unsigned last_bus; /* given so far */
    int ret;
};

static bool pci_window_is_empty(const struct pci_window *window)
{
    return window->first > window->last;
}

/* Takes size_bytes, aligned to itself, from the window's start. 0 when it doesn't fit. */
static uint64_t pci_window_take(struct pci_window *window, uint64_t size_bytes)
{
    uint64_t address = ALIGN_UP(window->first, size_bytes);

    if (pci_window_is_empty(window) || address < window->first || address > window->last ||
        window->last - address < size_bytes - 1) {
        return 0;
    }
    window->first = address + size_bytes;
    if (window->first == 0) {
        *window = empty_window;
    }
    return address;
}

/* A page of its own for each memory BAR, so that guests can map them one by one. */
static uint64_t pci_bar_room(const struct pci_bar *bar)
{
    return bar->kind == PCI_BAR_IO ? bar->region->size_bytes : MAX(bar->region->size_bytes, UINT64_C(4096));
}

static uint64_t pci_bar_place(struct pci_room *room, const struct pci_bar *bar)
{
    uint64_t address = pci_window_take(bar->kind == PCI_BAR_IO ? &room->io : &room->memory, pci_bar_room(bar));

    if (address == 0 && bar->kind == PCI_BAR_MEM64 && (room->is_root || bar->prefetchable)) {
        address = pci_window_take(&room->memory64, pci_bar_room(bar));
    }
    return address;
}

static int pci_bars_assign(struct pci_device *pci, struct pci_room *room)
{
    int ret = 0;

    for (unsigned i = 0; i < PCI_BAR_COUNT; i++) {
        const struct pci_bar *bar = &pci->bars[i];
        uint64_t address;

        if (bar->kind == PCI_BAR_NONE || pci_bar_address(pci, i) != 0) {
            continue;
        }
        address = pci_bar_place(room, bar);
        if (address == 0) {
            log_warn("device '%s': no room for its BAR %u (%llu bytes)", pci->device.id, i,
                     (unsigned long long)bar->region->size_bytes);
            ret = -ENOSPC;
            continue;
        }
        pci_bar_set_address(pci, i, address);
    }
    return ret;
}

static int pci_function_assign(struct pci_device *pci, struct pci_room *room)
{
    int ret = pci_bars_assign(pci, room);

    pci_config_set16(pci, PCI_COMMAND,
                     pci_config_get16(pci, PCI_COMMAND) | PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    if (pci->config[PCI_INTERRUPT_PIN]) {
        pci->config[PCI_INTERRUPT_LINE] = (uint8_t)(PCI_PIRQ_FIRST_GSI + pci_device_pirq(pci, 0));
    }
    pci_config_changed(pci, PCI_COMMAND, 2);
    return ret;
}

/* --- bridges ----------------------------------------------------------------------------------------------------- */

/* The whole granules of what is left. */
static struct pci_window pci_window_begin(const struct pci_window *window, uint64_t granule)
{
    struct pci_window inner = {.first = ALIGN_UP(window->first, granule),
                               .last = ALIGN_DOWN(window->last + 1, granule) - 1};

    if (pci_window_is_empty(window) || inner.first < window->first || inner.last > window->last) {
        return empty_window;
    }
    return inner;
}

/*
 * What the bridge gets of `whole`, of which the children left `rest`: what they took, at least least_bytes if there is
 * room for that. The outer window goes on behind it.
 */
static struct pci_window pci_window_end(struct pci_window *outer, struct pci_window whole, struct pci_window rest,
                                        uint64_t granule, uint64_t least_bytes)
{
    struct pci_window got = {.first = whole.first};
    uint64_t room_bytes = whole.last - whole.first + 1;
    uint64_t used_bytes;

    if (pci_window_is_empty(&whole)) {
        return empty_window;
    }
    used_bytes = pci_window_is_empty(&rest) ? room_bytes : ALIGN_UP(rest.first - whole.first, granule);
    if (used_bytes < least_bytes && least_bytes <= room_bytes) {
        used_bytes = least_bytes;
    }
    if (used_bytes == 0) {
        return empty_window;
    }
    got.last = whole.first + (used_bytes - 1);
    outer->first = got.last + 1;
    if (outer->first == 0) {
        *outer = empty_window;
    }
    return got;
}

static void pci_bus_assign_below(struct pci_bus *bus, struct pci_room *room, struct pci_assignment *assignment);

/* Opens the windows. Device lock. */
static void pci_bridge_open(struct pci_device *pci, struct pci_room *room, const struct pci_room *whole,
                            const struct pci_room *rest)
{
    bool hotplug = pci->secondary->hotplug != NULL;
    struct pci_window io = pci_window_end(&room->io, whole->io, rest->io, IO_GRANULE, hotplug ? IO_GRANULE : 0);

    pci_bridge_window_set(
        pci, PCI_BRIDGE_MEMORY,
        pci_window_end(&room->memory, whole->memory, rest->memory, MEMORY_GRANULE, hotplug ? HOTPLUG_MEMORY_BYTES : 0));
    pci_bridge_window_set(pci, PCI_BRIDGE_PREFETCH,
                          pci_window_end(&room->memory64, whole->memory64, rest->memory64, MEMORY_GRANULE,
                                         hotplug ? HOTPLUG_PREFETCH_BYTES : 0));
    /* A guest that finds the registers would look for I/O space in vain, and say so. */
    pci_bridge_allow_io(pci, !hotplug || !pci_window_is_empty(&io));
    if (!hotplug || !pci_window_is_empty(&io)) {
        pci_bridge_window_set(pci, PCI_BRIDGE_IO, io);
    }
    pci_config_changed(pci, PCI_COMMAND, 2);
}

/* Numbers the bridge's bus. False if it has a number, or there is none. Device lock. */
static bool pci_bridge_number(struct pci_device *pci, unsigned primary, struct pci_assignment *assignment)
{
    if (pci->config[PCI_SECONDARY_BUS] != 0) {
        assignment->last_bus = MAX(assignment->last_bus, (unsigned)pci->config[PCI_SUBORDINATE_BUS]);
        return false;
    }
    if (assignment->last_bus == 255) {
        log_warn("device '%s': no bus number is left for what is behind it", pci->device.id);
        assignment->ret = -ENOSPC;
        return false;
    }
    assignment->last_bus++;
    pci->config[PCI_PRIMARY_BUS] = (uint8_t)primary;
    pci->config[PCI_SECONDARY_BUS] = (uint8_t)assignment->last_bus;
    pci->config[PCI_SUBORDINATE_BUS] = (uint8_t)assignment->last_bus;
    return true;
}

static void pci_bridge_assign(struct pci_device *pci, struct pci_room *room, struct pci_assignment *assignment)
{
    const struct pci_room whole = {
        .memory = pci_window_begin(&room->memory, MEMORY_GRANULE),
        .memory64 = pci_window_begin(&room->memory64, MEMORY_GRANULE),
        .io = pci_window_begin(&room->io, IO_GRANULE),
    };
    struct pci_room rest = whole;
    unsigned primary = pci_bus_number(pci->bus);
    bool is_new;

    device_lock(&pci->device);
    is_new = pci->exposed && pci_bridge_number(pci, primary, assignment);
    device_unlock(&pci->device);
    if (!is_new) {
        return;
    }
    pci_bus_assign_below(pci->secondary, &rest, assignment);
    device_lock(&pci->device);
    pci->config[PCI_SUBORDINATE_BUS] = (uint8_t)assignment->last_bus;
    pci_bridge_open(pci, room, &whole, &rest);
    device_unlock(&pci->device);
}

/* As firmware finds them: the others of a slot only if there is a function 0. */
static struct pci_device *pci_assign_find(struct pci_bus *bus, unsigned devfn)
{
    return pci_bus_function(bus, devfn & ~7u) ? pci_bus_function(bus, devfn) : NULL;
}

static void pci_bus_assign_below(struct pci_bus *bus, struct pci_room *room, struct pci_assignment *assignment)
{
    for (unsigned devfn = 0; devfn < PCI_FUNCTION_COUNT; devfn++) {
        struct pci_device *pci = pci_assign_find(bus, devfn);

        if (pci) {
            int ret;

            device_lock(&pci->device);
            ret = pci->exposed ? pci_function_assign(pci, room) : 0;
            device_unlock(&pci->device);
            assignment->ret = ret < 0 ? ret : assignment->ret;
        }
    }
    for (unsigned devfn = 0; devfn < PCI_FUNCTION_COUNT; devfn++) {
        struct pci_device *pci = pci_assign_find(bus, devfn);

        if (pci && pci->secondary) {
            pci_bridge_assign(pci, room, assignment);
        }
    }
}

int pci_bus_assign(struct pci_bus *bus, struct pci_window memory, struct pci_window memory64, struct pci_window io)
{
    struct pci_room room = {.memory = memory, .memory64 = memory64, .io = io, .is_root = true};
    struct pci_assignment assignment = {0};

    pci_bus_assign_below(bus, &room, &assignment);
    return assignment.ret;
}
