/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A PCI function for tests, `toy`: all kinds of BARs, one register each, and four vectors. It counts its handlers'
 * calls; its type's properties are those of any PCI function. And `toy-bridge`, a bridge that is nothing else.
 */
#ifndef HDL_TESTS_DEVICE_PCI_TOY_H
#define HDL_TESTS_DEVICE_PCI_TOY_H

#include "hw/pci/pci_bridge.h"
#include "hw/pci/pci_hotplug.h"
#include "pci_machine.h"

/* value, writes: device lock. calls: atomically; those of BARs and of config writes. */
struct toy {
    struct pci_device pci;
    struct region mem64, io;
    uint32_t value[2];
    unsigned writes; /* to config space */
    unsigned resets;
    _Atomic unsigned calls;
    void (*in_handler)(void *opaque); /* called from BAR 0's handlers; set before use */
    void *in_handler_opaque;
};

extern const struct device_type toy_type, toy_bridge_type;

/* Creates, puts on the bus and realizes. addr NULL: any slot. `loop`: the machine's if NULL. Asserts success. */
struct toy *toy_plug(struct pci_machine *machine, struct pci_bus *bus, const char *addr, struct event_loop *loop);
struct pci_bridge *toy_bridge_plug(struct pci_machine *machine, struct pci_bus *bus, const char *addr);
/* Takes the device's lock. */
void toy_intx(struct device *device, bool level);

#endif
