/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Buses: who sits where, and a root's config address space and four interrupt lines. What dispatch uses is immutable.
 * Who sits where has a lock of its own, because functions leave by themselves: it is held for a look at the table.
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

void pci_bus_init_table(struct pci_bus *bus)
{
    hdl_mutex_init(&bus->lock, "pci-bus", LOCK_RANK_LEAF);
}

void pci_bus_init(struct pci_bus *bus, struct memory_map *map, struct region *memory, struct region *io,
                  const struct irq_line pirq[PCI_PIRQ_COUNT], struct msi_target *msi)
{
    *bus = (struct pci_bus){
        .map = map,
        .root = bus,
        .memory = memory,
        .io = io,
        .config = &bus->config_root,
        .config_by_bus = &bus->config_root,
        .msi = msi,
        .slot_count = 32,
    };
    pci_bus_init_table(bus);
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

    while (slot < bus->slot_count && pci_slot_count_locked(bus, slot) > 0) {
        slot++;
    }
    return slot < bus->slot_count ? pci_devfn(slot, 0) : PCI_FUNCTION_COUNT;
}

static int pci_bus_take_slot_locked(struct pci_bus *bus, struct pci_device *pci, struct error **err)
    HDL_REQUIRES(&bus->lock)
{
    unsigned devfn = pci->addr < 0 ? pci_bus_free_slot_locked(bus) : (unsigned)pci->addr;

    if (devfn >= PCI_FUNCTION_COUNT && pci->addr < 0) {
        return error_set(err, -ENOSPC, "device '%s': no free PCI slot: %u %s in use", pci->device.id, bus->slot_count,
                         bus->slot_count == 1 ? "is" : "are");
    }
    if (devfn >= PCI_FUNCTION_COUNT) {
        return error_set(err, -EINVAL, "device '%s': PCI address %#x is out of range", pci->device.id, devfn);
    }
    if (pci_slot(devfn) >= bus->slot_count) {
        return error_set(err, -EINVAL, "device '%s': there is only slot 0 behind '%s', not %02x", pci->device.id,
                         bus->bridge->pci.device.id, pci_slot(devfn));
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
