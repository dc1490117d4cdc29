/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host bridge: function 00:00.0, the ports CONFIG_ADDRESS (0xCF8) and CONFIG_DATA (0xCFC), and ECAM.
 *
 * Neither port has a lock: CONFIG_ADDRESS is one atomic word, CONFIG_DATA redirects the access into the bus's config
 * space, to the function's own lock. A byte at 0xCF9 is the reset control register, which shares the dword: a region
 * of its own over it would split a guest's 4-byte access to 0xCF8.
 */
#ifndef HDL_HW_PCI_PCI_HOST_H
#define HDL_HW_PCI_PCI_HOST_H

#include <stdatomic.h>

#include "hw/pci/pci.h"

#define PCI_HOST_PORT      0xcf8 /* where the machine puts pci_host.address_port */
#define PCI_HOST_DATA_PORT 0xcfc
#define PCI_ECAM_SIZE      (UINT64_C(256) << 20)

/*
 * The bits of port 0xCF9 (reset control). write: any thread, in an RCU read section, no lock: it must only note the
 * request (wake a loop), not wait.
 */
struct pci_reset_control {
    void (*write)(void *opaque, uint8_t value);
    void *opaque;
};

/* latch, reset_value: any thread, atomically. The rest is immutable after init. */
struct pci_host {
    struct pci_bus bus;
    _Atomic uint32_t latch; /* CONFIG_ADDRESS */
    _Atomic uint8_t reset_value;
    struct pci_reset_control reset_control;
    struct region address_port; /* 4 bytes: add to ports at PCI_HOST_PORT */
    struct region data_port;    /* 4 bytes: add to ports at PCI_HOST_DATA_PORT */
    struct region ecam;         /* PCI_ECAM_SIZE: add to memory where MCFG says */
};

/*
 * The bus, and the regions for the machine to place. Then create the bridge function: device_create(&pci_host_bridge
 * type, ...), pci_device_attach, device_realize. Arguments as pci_bus_init's. Configuration thread.
 */
void pci_host_init(struct pci_host *host, struct memory_map *map, struct region *memory, struct region *io,
                   const struct irq_line pirq[PCI_PIRQ_COUNT], struct msi_target *msi,
                   struct pci_reset_control reset_control);
/* The regions are out of their trees, all functions are released. */
void pci_host_destroy(struct pci_host *host);
/* Power-on state of the two latches. vCPUs stopped. */
void pci_host_reset(struct pci_host *host);

/* "pci-host-bridge": the function that a guest sees at 00:00.0. Create it first, before other functions take slots. */
extern const struct device_type pci_host_bridge_type;
/* "pci-testdev", for flat test kernels (hw/pci/pci_testdev.c). */
extern const struct device_type pci_testdev_type;

#endif
