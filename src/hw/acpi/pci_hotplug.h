/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hot-plug of the root bus's slots by ACPI, `acpi-pci-hotplug`: which functions came and which are to go, behind a few
 * ports and a general-purpose event. The ports are those of QEMU's docs/specs/acpi_pci_hotplug.rst, each 32 bits, bit n
 * standing for slot n:
 *
 *   0x00  read   slots into which something came; reading clears them
 *   0x04  read   slots whose functions are to go
 *   0x08  write  ejects what is in these slots; the write ends once nobody is inside of it any more
 *   0x0c  read   slots that may be ejected: not those of the board's own functions and of bridges
 *   0x10  both   which bus the others are about: 0, the root; others have no such slots
 *
 * and one that isn't:
 *
 *   0x18  write  the guest won't eject these slots' functions
 *
 * The guest's side is in the DSDT. Wiring: isa.isa, base, pm and hotplug.listener before realize; then the machine sets
 * it as the root bus's hotplug.
 */
#ifndef HDL_HW_ACPI_PCI_HOTPLUG_H
#define HDL_HW_ACPI_PCI_HOTPLUG_H

#include "hw/acpi/pm.h"
#include "hw/pci/pci_hotplug.h"

#define ACPI_PCI_HOTPLUG_EVENT 1 /* the general-purpose event */
#define ACPI_PCI_HOTPLUG_PORTS 0x1c

/* Wiring: immutable after realize. The rest: device lock. */
struct acpi_pci_hotplug {
    struct isa_device isa; /* first */
    struct pci_hotplug hotplug;
    struct acpi_pm *pm; /* outlives it */
    uint16_t base;
    struct region region;
    uint32_t up, down; /* slots that the guest hasn't looked at, or not answered for */
    uint32_t select;
};

extern const struct device_type acpi_pci_hotplug_type;

#endif
