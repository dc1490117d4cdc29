/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of hw/pci know of each other. Locks as in pci.h. */
#ifndef HDL_HW_PCI_PCI_INTERNAL_H
#define HDL_HW_PCI_PCI_INTERNAL_H

#include "hw/pci/pci_bridge.h"

/* Acts on a change of the shadow at [offset, offset + len): as if the guest had written it. Device lock. */
void pci_config_changed(struct pci_device *pci, unsigned offset, unsigned len_bytes);

/* Maps, moves and unmaps BARs as the shadow says. Device lock. */
void pci_bars_update(struct pci_device *pci);
/* In a memory transaction; nobody dispatches to the function any more. */
void pci_bars_unmap(struct pci_device *pci);
/* The address in the shadow; 0 if none was given. Device lock. */
uint64_t pci_bar_address(const struct pci_device *pci, unsigned index);
void pci_bar_set_address(struct pci_device *pci, unsigned index, uint64_t address);

/*
 * Puts the function where `addr` says, or in the lowest free slot: devfn, has_devfn. Errors as pci_device_init's.
 * Configuration thread.
 */
int pci_bus_take_slot(struct pci_bus *bus, struct pci_device *pci, struct error **err);
/* Takes it out again, if it is there. Any thread. */
void pci_bus_leave_slot(struct pci_bus *bus, struct pci_device *pci);
/* What both kinds of bus have. The caller sets the rest. */
void pci_bus_init_table(struct pci_bus *bus) HDL_UNSHARED;
/* Whether the slot has more than one function. Any thread. */
bool pci_bus_slot_is_shared(struct pci_bus *bus, unsigned slot);
/* One function more, or one fewer, holds the line up. Any thread, under device locks. */
void pci_pirq_set(struct pci_pirq *pirq, bool level);

/* The header that a bridge adds to a function's, windows closed. Before expose. */
void pci_bridge_header_fill(struct pci_device *pci);
/* Opens, moves and closes windows as the shadow says. Device lock. */
void pci_bridge_update(struct pci_bridge *bridge);
/* After pci_bridge_update: acts on the rest of what the guest wrote. Device lock. */
void pci_bridge_control_changed(struct pci_bridge *bridge);
/* Closes all. In a memory transaction; device lock. */
void pci_bridge_close(struct pci_bridge *bridge);
/* The access that changed the control register waits: no lock. */
void pci_bridge_wait(struct pci_bridge *bridge);
/* What the window's registers say, whatever the command register does; false: closed. Not for CONFIG. Device lock. */
bool pci_bridge_window_get(const struct pci_device *pci, enum pci_bridge_window_kind kind, struct pci_window *range);
/* Sets them; closed if range has first > last. Without effect until pci_config_changed. Device lock. */
void pci_bridge_window_set(struct pci_device *pci, enum pci_bridge_window_kind kind, struct pci_window range);
/* Whether the bridge can have an I/O window at all: its registers are zero if not. Device lock. */
void pci_bridge_allow_io(struct pci_device *pci, bool allow);

/* The PCI Express capability, without a slot. Its offset, or -ENOSPC. Before expose. */
int pcie_capability_add(struct pci_device *pci, enum pcie_type type);

/* Device lock; pci->msix may be NULL. */
void msix_config_changed(struct pci_device *pci);
void msix_reset(struct pci_device *pci);
/* Nobody notifies any more. */
void msix_destroy(struct pci_device *pci);

#endif
