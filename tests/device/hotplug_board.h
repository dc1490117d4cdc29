/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine with PCI whose root bus has ACPI hot-plug, and a root port: for tests of functions that come and go. It
 * plays the machine's part; the test plays the guest.
 */
#ifndef HDL_TESTS_DEVICE_HOTPLUG_BOARD_H
#define HDL_TESTS_DEVICE_HOTPLUG_BOARD_H

#include "hw/acpi/pci_hotplug.h"
#include "hw/pci/pcie_port.h"
#include "pci_toy.h"

enum {
    BOARD_PM = 0x600,
    BOARD_GPE = 0x620,
    BOARD_HOTPLUG = 0xae00,
    BOARD_UP = BOARD_HOTPLUG,
    BOARD_DOWN = BOARD_HOTPLUG + 4,
    BOARD_EJECT = BOARD_HOTPLUG + 8,
    BOARD_REMOVABLE = BOARD_HOTPLUG + 0xc,
    BOARD_SELECT = BOARD_HOTPLUG + 0x10,
    BOARD_REFUSE = BOARD_HOTPLUG + 0x18,
    BOARD_PORT_DEVFN = 1 << 3,
};

/* refused, sci: any thread. The rest: the test's thread, immutable while others run. */
struct hotplug_board {
    struct pci_machine machine;
    struct isa_bus isa;
    struct clock clock;
    struct acpi_pm *pm;
    struct acpi_pci_hotplug *acpi;
    struct pcie_port *port; /* 01.0 */
    unsigned express;       /* its capability */
    struct pci_hotplug_listener listener;
    _Atomic unsigned refused;
    struct device *_Atomic who;
    _Atomic bool sci;
};

void hotplug_board_init(struct hotplug_board *board, bool msi_routes);
/* What was plugged is forgotten. */
void hotplug_board_destroy(struct hotplug_board *board);
static inline struct pci_bus *hotplug_board_root(struct hotplug_board *board)
{
    return &board->machine.host.bus;
}
static inline struct pci_bus *hotplug_board_behind(struct hotplug_board *board)
{
    return board->port->bridge.pci.secondary;
}

/* A realized function, with what the machine does for it. */
void hotplug_board_plug(struct pci_device *pci, bool announce);
int hotplug_board_request(struct pci_device *pci);
/* Waits until it is GONE; unplugs it if nobody has. Then its memory is freed. The loops of others must be running. */
void hotplug_board_forget(struct hotplug_board *board, struct pci_device *pci);

/* The guest listens to the event. */
void hotplug_board_enable(struct hotplug_board *board);
/* Whether there was an event; then there is none. */
bool hotplug_board_event(struct hotplug_board *board);
/* The port's registers */
uint32_t hotplug_board_port_read(struct hotplug_board *board, unsigned offset, unsigned size_bytes);
void hotplug_board_port_write(struct hotplug_board *board, unsigned offset, unsigned size_bytes, uint32_t value);

#endif
