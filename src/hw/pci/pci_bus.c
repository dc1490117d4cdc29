/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A root bus: the config address space, who sits where, the four interrupt lines, and what firmware would assign. What
 * dispatch uses is immutable. Who sits where has a lock of its own, because functions leave by themselves: it is held
 * for a look at the table.
 */
#include <errno.h>

#include "base/log.h"
#include "hw/pci/pci_internal.h"

/* Nobody answers: the bus floats high. Any number of threads. */
static enum access_result pci_absent_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    *value = UINT64_MAX >> (64 - 8 * size_bytes);
    return ACCESS_OK;
}

static enum access_result pci_absent_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    return ACCESS_OK;
}

static const struct region_ops pci_absent_ops = {
    .read = pci_absent_read,
    .write = pci_absent_write,
    .valid = {.min = 1, .max = 8, .unaligned = true},
    .impl = {.min = 1, .max = 8, .unaligned = true},
};

#define PCI_CONFIG_SPACE_SIZE (UINT64_C(256) << 20)

void pci_bus_init(struct pci_bus *bus, struct memory_map *map, struct region *memory, struct region *io,
                  const struct irq_line pirq[PCI_PIRQ_COUNT], struct msi_target *msi)
{
    *bus = (struct pci_bus){.map = map, .memory = memory, .io = io, .msi = msi};
    hdl_mutex_init(&bus->lock, "pci-bus", LOCK_RANK_LEAF);
    for (unsigned i = 0; i < PCI_PIRQ_COUNT; i++) {
        hdl_mutex_init(&bus->pirq[i].lock, "pci-pirq", LOCK_RANK_IRQ_LINE);
        bus->pirq[i].output = pirq[i];
    }
    region_init_container(&bus->config_root, "pci-config", PCI_CONFIG_SPACE_SIZE);
    region_init_io(&bus->config_absent, "pci-absent", NULL, &pci_absent_ops, bus, PCI_CONFIG_SPACE_SIZE,
                   REGION_LOCKLESS, NULL);
    address_space_init(&bus->config_space, map, &bus->config_root, "pci-config");
    region_add(map, &bus->config_root, 0, &bus->config_absent, -1);
}

void pci_bus_destroy(struct pci_bus *bus)
{
    region_remove(bus->map, &bus->config_absent);
    address_space_destroy(&bus->config_space);
    region_destroy(&bus->config_absent);
    region_destroy(&bus->config_root);
    for (unsigned i = 0; i < PCI_PIRQ_COUNT; i++) {
        hdl_mutex_destroy(&bus->pirq[i].lock);
    }
    hdl_mutex_destroy(&bus->lock);
}

void pci_pirq_set(struct pci_pirq *pirq, bool level)
{
    bool before;

    hdl_mutex_lock(&pirq->lock);
    before = pirq->raised > 0;
    pirq->raised += level ? 1u : -1u;
    if ((pirq->raised > 0) != before) {
        irq_set(&pirq->output, level);
    }
    hdl_mutex_unlock(&pirq->lock);
}

/* --- who sits where ---------------------------------------------------------------------------------------------- */

struct pci_device *pci_bus_function(struct pci_bus *bus, unsigned devfn)
{
    struct pci_device *pci;

    if (devfn >= PCI_FUNCTION_COUNT) {
        return NULL;
    }
    hdl_mutex_lock(&bus->lock);
    pci = bus->functions[devfn];
    hdl_mutex_unlock(&bus->lock);
    return pci;
}

static unsigned pci_slot_count_locked(const struct pci_bus *bus, unsigned slot) HDL_REQUIRES(&bus->lock)
{
    unsigned count = 0;

    for (unsigned function = 0; function < 8; function++) {
        count += bus->functions[pci_devfn(slot, function)] != NULL;
    }
    return count;
}

bool pci_bus_slot_is_shared(struct pci_bus *bus, unsigned slot)
{
    bool is_shared;

    hdl_mutex_lock(&bus->lock);
    is_shared = pci_slot_count_locked(bus, slot) > 1;
    hdl_mutex_unlock(&bus->lock);
    return is_shared;
}

/* The lowest free slot's function 0, or PCI_FUNCTION_COUNT. */
static unsigned pci_bus_free_slot_locked(const struct pci_bus *bus) HDL_REQUIRES(&bus->lock)
{
    unsigned slot = 0;

    while (slot < 32 && pci_slot_count_locked(bus, slot) > 0) {
        slot++;
    }
    return slot << 3;
}

static int pci_bus_take_slot_locked(struct pci_bus *bus, struct pci_device *pci, struct error **err)
    HDL_REQUIRES(&bus->lock)
{
    unsigned devfn = pci->addr < 0 ? pci_bus_free_slot_locked(bus) : (unsigned)pci->addr;

    if (devfn >= PCI_FUNCTION_COUNT && pci->addr < 0) {
        return error_set(err, -ENOSPC, "device '%s': no free PCI slot: 32 are in use", pci->device.id);
    }
    if (devfn >= PCI_FUNCTION_COUNT) {
        return error_set(err, -EINVAL, "device '%s': PCI address %#x is out of range", pci->device.id, devfn);
    }
    if (bus->functions[devfn]) {
        return error_set(err, -EBUSY, "device '%s': PCI address %02x.%x is taken by '%s'", pci->device.id,
                         pci_slot(devfn), pci_function(devfn), bus->functions[devfn]->device.id);
    }
    pci->devfn = devfn;
    pci->has_devfn = true;
    bus->functions[devfn] = pci;
    return 0;
}

int pci_bus_take_slot(struct pci_bus *bus, struct pci_device *pci, struct error **err)
{
    int ret;

    hdl_mutex_lock(&bus->lock);
    ret = pci_bus_take_slot_locked(bus, pci, err);
    hdl_mutex_unlock(&bus->lock);
    return ret;
}

void pci_bus_leave_slot(struct pci_bus *bus, struct pci_device *pci)
{
    hdl_mutex_lock(&bus->lock);
    if (pci->has_devfn) {
        bus->functions[pci->devfn] = NULL;
        pci->has_devfn = false;
    }
    hdl_mutex_unlock(&bus->lock);
}

/* --- what firmware would do ------------------------------------------------------------------------------------- */

/* Takes size_bytes, aligned to itself, from the window's start. 0 when it doesn't fit. */
static uint64_t pci_window_take(struct pci_window *window, uint64_t size_bytes)
{
    uint64_t address = ALIGN_UP(window->first, size_bytes);

    if (window->first > window->last || address < window->first || address > window->last ||
        window->last - address < size_bytes - 1) {
        return 0;
    }
    if (address + size_bytes == 0) {
        window->last = window->first - 1;
    }
    window->first = address + size_bytes;
    return address;
}

/* A page of its own for each memory BAR, so that guests can map them one by one. */
static uint64_t pci_bar_room(const struct pci_bar *bar)
{
    return bar->kind == PCI_BAR_IO ? bar->region->size_bytes : MAX(bar->region->size_bytes, UINT64_C(4096));
}

static int pci_function_assign(struct pci_device *pci, struct pci_window *memory, struct pci_window *memory64,
                               struct pci_window *io)
{
    int ret = 0;

    for (unsigned i = 0; i < PCI_BAR_COUNT; i++) {
        const struct pci_bar *bar = &pci->bars[i];
        uint64_t address;

        if (bar->kind == PCI_BAR_NONE || pci_bar_address(pci, i) != 0) {
            continue;
        }
        address = pci_window_take(bar->kind == PCI_BAR_IO ? io : memory, pci_bar_room(bar));
        if (address == 0 && bar->kind == PCI_BAR_MEM64) {
            address = pci_window_take(memory64, pci_bar_room(bar));
        }
        if (address == 0) {
            log_warn("device '%s': no room for its BAR %u (%llu bytes)", pci->device.id, i,
                     (unsigned long long)bar->region->size_bytes);
            ret = -ENOSPC;
            continue;
        }
        pci_bar_set_address(pci, i, address);
    }
    pci_config_set16(pci, PCI_COMMAND,
                     pci_config_get16(pci, PCI_COMMAND) | PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    if (pci->config[PCI_INTERRUPT_PIN]) {
        pci->config[PCI_INTERRUPT_LINE] = (uint8_t)pci_pirq_gsi(pci_slot(pci->devfn), 0);
    }
    pci_config_changed(pci, PCI_COMMAND, 2);
    return ret;
}

int pci_bus_assign(struct pci_bus *bus, struct pci_window memory, struct pci_window memory64, struct pci_window io)
{
    int ret = 0;

    for (unsigned devfn = 0; devfn < PCI_FUNCTION_COUNT; devfn++) {
        struct pci_device *pci = pci_bus_function(bus, devfn);

        if (pci) {
            int one;

            device_lock(&pci->device);
            one = pci->exposed ? pci_function_assign(pci, &memory, &memory64, &io) : 0;
            device_unlock(&pci->device);
            ret = one < 0 ? one : ret;
        }
    }
    return ret;
}
