/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI-to-PCI bridges (PCI-to-PCI Bridge Architecture 1.2): a function with a bus behind it.
 *
 * What is behind a bridge lives in containers of its own, complete and always there. The bridge shows parts of them on
 * its primary side, through aliases: the buses from its secondary to its subordinate number in config space, and what
 * its I/O, memory and prefetchable memory windows cover. Registers that the guest writes move, open and close those
 * aliases, in one memory transaction under the bridge's lock; no child is involved.
 *
 *   parent's config_by_bus            parent's memory                     parent's io
 *     alias [secondary..subordinate]    alias [base..limit], twice          alias [base..limit]
 *        -> config_by_bus                  -> memory                          -> io
 *             +- config: own bus                +- children's BARs               +- children's BARs
 *             +- child bridges' aliases         +- child bridges' aliases        +- child bridges' aliases
 *
 * DMA and messages aren't filtered: bus mastering is each function's own. VGA and ISA decoding don't exist.
 *
 * A model's structure starts with a struct pci_bridge. realize: pci_bridge_init (instead of pci_device_init), then as
 * any function; destroy: pci_bridge_release. The rest are pci_device's functions.
 */
#ifndef HDL_HW_PCI_PCI_BRIDGE_H
#define HDL_HW_PCI_PCI_BRIDGE_H

#include "hw/pci/pci.h"

enum pci_bridge_window_kind {
    PCI_BRIDGE_CONFIG,
    PCI_BRIDGE_IO,
    PCI_BRIDGE_MEMORY,
    PCI_BRIDGE_PREFETCH,
    PCI_BRIDGE_WINDOWS
};

/* Device lock of the bridge; alias also the memory map's. */
struct pci_bridge_window {
    struct region alias;
    bool is_open; /* alias is in the primary side's container */
    struct pci_window range;
};

/* bus and containers: immutable after init. The rest: device lock. */
struct pci_bridge {
    struct pci_device pci; /* first */
    struct pci_bus bus;
    struct region config, config_by_bus, memory, io;
    struct pci_bridge_window windows[PCI_BRIDGE_WINDOWS];
    bool is_cut;       /* nothing behind it can be reached: a slot without power */
    bool bus_reset;    /* the control bit, as last seen */
    bool resets_below; /* a reset of the secondary bus is to be carried out when the access waits */
};

static inline struct pci_bridge *pci_bridge_of(struct pci_device *pci)
{
    return (struct pci_bridge *)pci;
}

/* From realize: as pci_device_init, and makes the secondary bus. express: there is a PCI Express link behind it. */
int pci_bridge_init(struct pci_bridge *bridge, const struct pci_identity *identity, bool express, struct error **err);
/* From destroy or failed realize, instead of pci_device_release. Functions on its bus are released already. */
void pci_bridge_release(struct pci_bridge *bridge);
/* Cuts off, or connects, what is behind it. Device lock. */
void pci_bridge_set_cut(struct pci_bridge *bridge, bool is_cut);
/*
 * Resets all functions on the bus and below, as far as the guest can reach them. No lock held; other threads may be
 * inside of them.
 */
void pci_bus_reset(struct pci_bus *bus);

#endif
