/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of hw/pci know of each other. Locks as in pci.h. */
#ifndef HDL_HW_PCI_PCI_INTERNAL_H
#define HDL_HW_PCI_PCI_INTERNAL_H

#include "hw/pci/pci.h"

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
/* Whether the slot has more than one function. Any thread. */
bool pci_bus_slot_is_shared(struct pci_bus *bus, unsigned slot);
/* One function more, or one fewer, holds the line up. Any thread, under device locks. */
void pci_pirq_set(struct pci_pirq *pirq, bool level);

/* Device lock; pci->msix may be NULL. */
void msix_config_changed(struct pci_device *pci);
void msix_reset(struct pci_device *pci);
/* Nobody notifies any more. */
void msix_destroy(struct pci_device *pci);

#endif
