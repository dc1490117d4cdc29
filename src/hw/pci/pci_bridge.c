/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI-to-PCI bridges: registers to windows, and the reset of the bus behind. Everything runs under the bridge's device
 * lock; children are touched only by a bus reset, from the accessing thread while it holds no lock.
 *
 * The guest may number buses and place windows as it likes, over each other and over anything: in config space a
 * bridge's own bus hides one of the same number further down, elsewhere the newest wins, RAM is above all of PCI. It
 * can't nest what isn't nested, so rendering has a bound.
 */
#include "hw/pci/pci_bridge.h"

#include <errno.h>

#include "base/log.h"
#include "hw/pci/pci_internal.h"

#define BUS_BYTES      (UINT64_C(1) << 20) /* of config space */
#define CONFIG_BYTES   (UINT64_C(256) << 20)
#define IO_GRANULE     UINT64_C(0x1000)
#define MEMORY_GRANULE UINT64_C(0x100000)

/* --- registers --------------------------------------------------------------------------------------------------- */

void pci_bridge_header_fill(struct pci_device *pci)
{
    static const struct {
        uint8_t offset, len_bytes;
        uint32_t mask;
    } writable[] = {
        {PCI_PRIMARY_BUS, 3, 0xffffff},
        {PCI_IO_BASE, 2, 0xf0f0},
        {PCI_MEMORY_BASE, 4, 0xfff0fff0},
        {PCI_PREFETCH_BASE, 4, 0xfff0fff0},
        {PCI_PREFETCH_BASE_HIGH, 4, UINT32_MAX},
        {PCI_PREFETCH_LIMIT_HIGH, 4, UINT32_MAX},
        {PCI_BRIDGE_CONTROL, 1, PCI_BRIDGE_CONTROL_PARITY | PCI_BRIDGE_CONTROL_SERR | PCI_BRIDGE_CONTROL_BUS_RESET},
    };
    static const struct pci_window closed = {.first = 1, .last = 0};

    pci->config[PCI_HEADER_TYPE] = PCI_HEADER_BRIDGE;
    for (unsigned i = 0; i < ARRAY_SIZE(writable); i++) {
        for (unsigned byte = 0; byte < writable[i].len_bytes; byte++) {
            pci->wmask[writable[i].offset + byte] = (uint8_t)(writable[i].mask >> (8 * byte));
        }
    }
    for (unsigned kind = PCI_BRIDGE_IO; kind < PCI_BRIDGE_WINDOWS; kind++) {
        pci_bridge_window_set(pci, kind, closed);
    }
}

void pci_bridge_allow_io(struct pci_device *pci, bool allow)
{
    pci->wmask[PCI_IO_BASE] = allow ? 0xf0 : 0;
    pci->wmask[PCI_IO_LIMIT] = allow ? 0xf0 : 0;
    if (!allow) {
        pci_config_set16(pci, PCI_IO_BASE, 0);
    }
}

/* 3.2.5.6 to 3.2.5.10 */
bool pci_bridge_window_get(const struct pci_device *pci, enum pci_bridge_window_kind kind, struct pci_window *range)
{
    switch (kind) {
    case PCI_BRIDGE_IO:
        range->first = (uint64_t)(pci->config[PCI_IO_BASE] & 0xf0) << 8;
        range->last = (uint64_t)(pci->config[PCI_IO_LIMIT] & 0xf0) << 8 | (IO_GRANULE - 1);
        return pci->wmask[PCI_IO_BASE] && range->first <= range->last;
    case PCI_BRIDGE_MEMORY:
        range->first = (uint64_t)(pci_config_get16(pci, PCI_MEMORY_BASE) & 0xfff0) << 16;
        range->last = (uint64_t)(pci_config_get16(pci, PCI_MEMORY_LIMIT) & 0xfff0) << 16 | (MEMORY_GRANULE - 1);
        break;
    default:
        range->first = (uint64_t)(pci_config_get16(pci, PCI_PREFETCH_BASE) & 0xfff0) << 16;
        range->last = (uint64_t)(pci_config_get16(pci, PCI_PREFETCH_LIMIT) & 0xfff0) << 16 | (MEMORY_GRANULE - 1);
        range->first |= (uint64_t)pci_config_get32(pci, PCI_PREFETCH_BASE_HIGH) << 32;
        range->last |= (uint64_t)pci_config_get32(pci, PCI_PREFETCH_LIMIT_HIGH) << 32;
    }
    return range->first <= range->last;
}

void pci_bridge_window_set(struct pci_device *pci, enum pci_bridge_window_kind kind, struct pci_window range)
{
    bool is_closed = range.first > range.last;

    switch (kind) {
    case PCI_BRIDGE_IO:
        pci->config[PCI_IO_BASE] = is_closed ? 0xf0 : (uint8_t)(range.first >> 8 & 0xf0);
        pci->config[PCI_IO_LIMIT] = is_closed ? 0 : (uint8_t)(range.last >> 8 & 0xf0);
        break;
    case PCI_BRIDGE_MEMORY:
        pci_config_set16(pci, PCI_MEMORY_BASE, is_closed ? 0xfff0 : (uint16_t)(range.first >> 16 & 0xfff0));
        pci_config_set16(pci, PCI_MEMORY_LIMIT, is_closed ? 0 : (uint16_t)(range.last >> 16 & 0xfff0));
        break;
    default:
        if (is_closed) {
            range = (struct pci_window){.first = 0xfff00000, .last = 0};
        }
        pci_config_set16(pci, PCI_PREFETCH_BASE, (uint16_t)(range.first >> 16 & 0xfff0) | PCI_PREFETCH_64BIT);
        pci_config_set16(pci, PCI_PREFETCH_LIMIT, (uint16_t)(range.last >> 16 & 0xfff0) | PCI_PREFETCH_64BIT);
        pci_config_set32(pci, PCI_PREFETCH_BASE_HIGH, (uint32_t)(range.first >> 32));
        pci_config_set32(pci, PCI_PREFETCH_LIMIT_HIGH, (uint32_t)(range.last >> 32));
    }
}

/* --- windows ----------------------------------------------------------------------------------------------------- */

/* The part of the secondary side's container that is to be seen on the primary side; false: none. */
static bool pci_bridge_wants(const struct pci_bridge *bridge, enum pci_bridge_window_kind kind,
                             struct pci_window *range)
{
    const struct pci_device *pci = &bridge->pci;
    uint16_t command = pci_config_get16(pci, PCI_COMMAND);
    unsigned secondary = pci->config[PCI_SECONDARY_BUS];
    unsigned subordinate = pci->config[PCI_SUBORDINATE_BUS];

    if (bridge->is_cut) {
        return false;
    }
    if (kind == PCI_BRIDGE_CONFIG) {
        *range = (struct pci_window){.first = secondary * BUS_BYTES,
                                     .last = (MAX(secondary, subordinate) + 1) * BUS_BYTES - 1};
        return secondary != 0;
    }
    return (command & (kind == PCI_BRIDGE_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)) &&
           pci_bridge_window_get(pci, kind, range);
}

static bool pci_bridge_window_changes(const struct pci_bridge *bridge, enum pci_bridge_window_kind kind, bool *is_open,
                                      struct pci_window *range)
{
    const struct pci_bridge_window *window = &bridge->windows[kind];

    *is_open = pci_bridge_wants(bridge, kind, range);
    return *is_open != window->is_open ||
           (*is_open && (range->first != window->range.first || range->last != window->range.last));
}

static void pci_bridge_window_close(struct pci_bridge *bridge, enum pci_bridge_window_kind kind)
{
    struct pci_bridge_window *window = &bridge->windows[kind];

    if (window->is_open) {
        region_remove(bridge->pci.bus->map, &window->alias);
        region_destroy(&window->alias);
        window->is_open = false;
    }
}

/* In a memory transaction. No view shows aliases themselves, so they can be made anew at once. */
static void pci_bridge_window_open(struct pci_bridge *bridge, enum pci_bridge_window_kind kind, struct pci_window range)
{
    struct pci_bridge_window *window = &bridge->windows[kind];
    struct pci_bus *primary = bridge->pci.bus;
    const struct {
        const char *name;
        struct region *parent, *target;
    } sides[] = {
        [PCI_BRIDGE_CONFIG] = {"pci-bridge-config", primary->config_by_bus, &bridge->config_by_bus},
        [PCI_BRIDGE_IO] = {"pci-bridge-io", primary->io, &bridge->io},
        [PCI_BRIDGE_MEMORY] = {"pci-bridge-memory", primary->memory, &bridge->memory},
        [PCI_BRIDGE_PREFETCH] = {"pci-bridge-prefetch", primary->memory, &bridge->memory},
    };

    pci_bridge_window_close(bridge, kind);
    window->is_open = true;
    window->range = range;
    if (kind == PCI_BRIDGE_CONFIG) {
        region_set_address(primary->map, &bridge->config, range.first);
    }
    region_init_alias(&window->alias, sides[kind].name, sides[kind].target, range.first, range.last - range.first + 1);
    region_add(primary->map, sides[kind].parent, range.first, &window->alias, 0);
}

void pci_bridge_update(struct pci_bridge *bridge)
{
    struct pci_window range;
    unsigned changes = 0;
    bool is_open;

    for (unsigned kind = 0; kind < PCI_BRIDGE_WINDOWS; kind++) {
        changes |= (unsigned)pci_bridge_window_changes(bridge, kind, &is_open, &range) << kind;
    }
    if (!changes || !bridge->pci.exposed) {
        return;
    }
    memory_transaction_begin(bridge->pci.bus->map);
    for (unsigned kind = 0; kind < PCI_BRIDGE_WINDOWS; kind++) {
        if (!(changes >> kind & 1)) {
            continue;
        }
        if (pci_bridge_wants(bridge, kind, &range)) {
            trace(PCI_BAR, "%s: window %u: %#llx to %#llx", bridge->pci.device.id, kind,
                  (unsigned long long)range.first, (unsigned long long)range.last);
            pci_bridge_window_open(bridge, kind, range);
        } else {
            pci_bridge_window_close(bridge, kind);
        }
    }
    memory_transaction_commit(bridge->pci.bus->map);
}

void pci_bridge_close(struct pci_bridge *bridge)
{
    for (unsigned kind = 0; kind < PCI_BRIDGE_WINDOWS; kind++) {
        pci_bridge_window_close(bridge, kind);
    }
}

void pci_bridge_set_cut(struct pci_bridge *bridge, bool is_cut)
{
    device_assert_locked(&bridge->pci.device);
    bridge->is_cut = is_cut;
    pci_bridge_update(bridge);
}

/* --- reset of the secondary bus ---------------------------------------------------------------------------------- */

/* The bit's rise resets what is behind. That takes the children's locks: the access does it when it has left ours. */
void pci_bridge_control_changed(struct pci_bridge *bridge)
{
    bool bus_reset = bridge->pci.config[PCI_BRIDGE_CONTROL] & PCI_BRIDGE_CONTROL_BUS_RESET;

    if (bus_reset && !bridge->bus_reset) {
        bridge->resets_below = true;
        bridge->pci.wants_wait = true;
    }
    bridge->bus_reset = bus_reset;
}

void pci_bridge_wait(struct pci_bridge *bridge)
{
    bool due;

    device_lock(&bridge->pci.device);
    due = bridge->resets_below;
    bridge->resets_below = false;
    device_unlock(&bridge->pci.device);
    if (due) {
        pci_bus_reset(&bridge->bus);
    }
}

/* One that isn't exposed may be half realized, or hidden: it has nothing to reset. */
static void pci_function_reset(struct pci_device *pci)
{
    device_lock(&pci->device);
    if (pci->exposed && pci->device.type->reset) {
        pci->device.type->reset(&pci->device);
    }
    device_unlock(&pci->device);
}

void pci_bus_reset(struct pci_bus *bus)
{
    for (unsigned devfn = 0; devfn < PCI_FUNCTION_COUNT; devfn++) {
        struct pci_device *pci;

        hdl_mutex_lock(&bus->lock);
        pci = bus->functions[devfn];
        if (pci && !device_tryget(&pci->device)) {
            pci = NULL;
        }
        hdl_mutex_unlock(&bus->lock);
        if (pci) {
            pci_function_reset(pci);
            if (pci->secondary) {
                pci_bus_reset(pci->secondary);
            }
            device_release_access(&pci->device);
        }
    }
}

/* --- life -------------------------------------------------------------------------------------------------------- */

static void pci_bridge_init_bus(struct pci_bridge *bridge, bool express)
{
    struct pci_bus *primary = bridge->pci.bus;

    region_init_container(&bridge->config, "pci-bus-config", BUS_BYTES);
    region_init_container(&bridge->config_by_bus, "pci-buses-config", CONFIG_BYTES);
    region_init_container(&bridge->memory, "pci-bus-memory", 0);
    region_init_container(&bridge->io, "pci-bus-io", 0x10000);
    bridge->bus = (struct pci_bus){
        .map = primary->map,
        .root = primary->root,
        .bridge = bridge,
        .memory = &bridge->memory,
        .io = &bridge->io,
        .config = &bridge->config,
        .config_by_bus = &bridge->config_by_bus,
        .msi = primary->msi,
        .slot_count = express ? 1 : 32,
        .is_express = express,
        .depth = primary->depth + 1,
    };
    pci_bus_init_table(&bridge->bus);
    /* A bus wins over one of the same number below it. */
    region_add(primary->map, &bridge->config_by_bus, 0, &bridge->config, 1);
    bridge->pci.secondary = &bridge->bus;
}

int pci_bridge_init(struct pci_bridge *bridge, const struct pci_identity *identity, bool express, struct error **err)
{
    struct pci_device *pci = &bridge->pci;
    int ret;

    if (pci->bus && pci->bus->depth >= PCI_BUS_DEPTH_MAX) {
        return error_set(err, -EINVAL, "device '%s': more than %d bridges behind each other", pci->device.id,
                         PCI_BUS_DEPTH_MAX);
    }
    ret = pci_device_init(pci, identity, err);
    if (ret == 0) {
        pci_bridge_init_bus(bridge, express);
    }
    return ret;
}

void pci_bridge_release(struct pci_bridge *bridge)
{
    struct pci_bus *bus = &bridge->bus;

    /* The reference on the primary side's bridge goes with the release. */
    pci_device_hide(&bridge->pci);
    if (bridge->pci.secondary) {
        bridge->pci.secondary = NULL;
        region_remove(bus->map, &bridge->config);
        region_destroy(&bridge->config);
        region_destroy(&bridge->config_by_bus);
        region_destroy(&bridge->memory);
        region_destroy(&bridge->io);
        hdl_mutex_destroy(&bus->lock);
    }
    pci_device_release(&bridge->pci);
}
