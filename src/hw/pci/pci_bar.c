/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Base address registers: where a function's regions appear is decided by the guest, in config space.
 *
 * Sizing needs no code: the low bits of a BAR aren't in wmask, so after writing all ones the guest reads back the size.
 * A BAR is mapped while its kind of decoding is on and its address is a possible one. It moves in the device's own
 * handler, under its lock; the memory map's lock is inner to that.
 *
 * The guest may give any address: 0, or one past the end of the bus, counts as none. What a BAR covers is settled by
 * the priority of the bus's container, so it can't hide RAM.
 */
#include <assert.h>

#include "base/log.h"
#include "hw/pci/pci_internal.h"

static bool pci_bar_is_io(const struct pci_bar *bar)
{
    return bar->kind == PCI_BAR_IO;
}

static unsigned pci_bar_offset(unsigned index)
{
    return PCI_BAR0 + 4 * index;
}

void pci_bar_register(struct pci_device *pci, unsigned index, enum pci_bar_kind kind, bool prefetchable,
                      struct region *region)
{
    uint64_t size_bytes = region->size_bytes;
    uint64_t mask = ~(size_bytes - 1);
    unsigned offset = pci_bar_offset(index);

    assert(!pci->secondary || index + (kind == PCI_BAR_MEM64) < PCI_BRIDGE_BAR_COUNT);
    assert(index + (kind == PCI_BAR_MEM64) < PCI_BAR_COUNT && pci->bars[index].kind == PCI_BAR_NONE);
    assert((size_bytes & (size_bytes - 1)) == 0 && size_bytes >= (kind == PCI_BAR_IO ? 4 : 16));
    assert(kind == PCI_BAR_MEM64 || size_bytes <= UINT64_C(1) << 31);
    pci->bars[index] = (struct pci_bar){.kind = kind, .prefetchable = prefetchable, .region = region};
    for (unsigned i = 0; i < (kind == PCI_BAR_MEM64 ? 8 : 4); i++) {
        pci->wmask[offset + i] = (uint8_t)(mask >> (8 * i));
    }
    if (kind == PCI_BAR_IO) {
        pci->config[offset] = PCI_BAR_IO_SPACE;
    } else {
        pci->config[offset] =
            (uint8_t)((kind == PCI_BAR_MEM64 ? PCI_BAR_64BIT : 0) | (prefetchable ? PCI_BAR_PREFETCH : 0));
    }
}

uint64_t pci_bar_address(const struct pci_device *pci, unsigned index)
{
    const struct pci_bar *bar = &pci->bars[index];
    uint64_t address = pci_config_get32(pci, pci_bar_offset(index)) & (pci_bar_is_io(bar) ? ~3u : ~15u);

    if (bar->kind == PCI_BAR_MEM64) {
        address |= (uint64_t)pci_config_get32(pci, pci_bar_offset(index + 1)) << 32;
    }
    return address;
}

void pci_bar_set_address(struct pci_device *pci, unsigned index, uint64_t address)
{
    unsigned offset = pci_bar_offset(index);

    pci_config_set32(pci, offset,
                     (uint32_t)address | (pci->config[offset] & (pci_bar_is_io(&pci->bars[index]) ? 3u : 15u)));
    if (pci->bars[index].kind == PCI_BAR_MEM64) {
        pci_config_set32(pci, offset + 4, (uint32_t)(address >> 32));
    }
}

static bool pci_bar_is_decoded(const struct pci_device *pci, const struct pci_bar *bar, uint64_t address)
{
    uint16_t command = pci_config_get16(pci, PCI_COMMAND);
    uint64_t last = address + (bar->region->size_bytes - 1);
    uint64_t limit = bar->kind == PCI_BAR_IO ? 0xffff : bar->kind == PCI_BAR_MEM32 ? UINT32_MAX : UINT64_MAX;

    return (command & (pci_bar_is_io(bar) ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)) && address != 0 && last > address &&
           last <= limit && last != UINT64_MAX;
}

/* In a memory transaction. */
static void pci_bar_move(struct pci_device *pci, struct pci_bar *bar, bool mapped, uint64_t address)
{
    struct pci_bus *bus = pci->bus;

    trace(PCI_BAR, "%s: BAR %d at %#llx: %s", pci->device.id, (int)(bar - pci->bars), (unsigned long long)address,
          mapped ? "mapped" : "unmapped");
    if (mapped && bar->mapped) {
        region_set_address(bus->map, bar->region, address);
    } else if (mapped) {
        region_add(bus->map, pci_bar_is_io(bar) ? bus->io : bus->memory, address, bar->region, 0);
    } else {
        region_remove(bus->map, bar->region);
    }
    bar->mapped = mapped;
    bar->address = address;
}

/* Where a BAR should be, and whether that is a change. */
static bool pci_bar_wants_move(const struct pci_device *pci, unsigned index, bool *mapped, uint64_t *address)
{
    const struct pci_bar *bar = &pci->bars[index];

    if (bar->kind == PCI_BAR_NONE) {
        return false;
    }
    *address = pci_bar_address(pci, index);
    *mapped = pci_bar_is_decoded(pci, bar, *address);
    return *mapped != bar->mapped || (*mapped && *address != bar->address);
}

void pci_bars_update(struct pci_device *pci)
{
    uint64_t address;
    unsigned moving = 0;
    bool mapped;

    for (unsigned i = 0; i < PCI_BAR_COUNT; i++) {
        moving |= (unsigned)pci_bar_wants_move(pci, i, &mapped, &address) << i;
    }
    if (!moving || !pci->exposed) {
        return;
    }
    memory_transaction_begin(pci->bus->map);
    for (unsigned i = 0; i < PCI_BAR_COUNT; i++) {
        if (moving >> i & 1 && pci_bar_wants_move(pci, i, &mapped, &address)) {
            pci_bar_move(pci, &pci->bars[i], mapped, address);
        }
    }
    memory_transaction_commit(pci->bus->map);
}

void pci_bars_unmap(struct pci_device *pci)
{
    for (unsigned i = 0; i < PCI_BAR_COUNT; i++) {
        if (pci->bars[i].mapped) {
            pci_bar_move(pci, &pci->bars[i], false, 0);
        }
    }
}
