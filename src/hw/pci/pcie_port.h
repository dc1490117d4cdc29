/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `pcie-root-port`: a PCI Express root port with one slot behind it, into which functions are plugged while the guest
 * runs (PCI Express Base 3.0: 6.7 for hot-plug, 7.5.3 and 7.8 for the registers). The identity is QEMU's, which guests
 * know. It sits on the root bus.
 */
#ifndef HDL_HW_PCI_PCIE_PORT_H
#define HDL_HW_PCI_PCIE_PORT_H

#include "hw/pci/pci_bridge.h"
#include "hw/pci/pci_hotplug.h"

/* Properties and capability: immutable after realize. The rest: device lock. */
struct pcie_port {
    struct pci_bridge bridge;   /* first */
    struct pci_hotplug hotplug; /* listener: before realize */
    uint8_t port, chassis;      /* properties: numbers of the port and of its slot, for people */
    bool has_hotplug;           /* property */
    unsigned capability;        /* PCI Express; offset in config space */
    uint16_t control;           /* slot control, as last seen */
    bool press_later;           /* asked to let go while it was at something else: the button waits for the indicator */
    bool interrupt;             /* there is something to say, and the guest wants to hear it */
};

extern const struct device_type pcie_root_port_type;

/* The bus behind a realized port; NULL: the device is none. */
struct pci_bus *pcie_port_bus(struct device *device);

#endif
