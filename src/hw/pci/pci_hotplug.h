/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Functions that come and go while the guest runs. A controller is a device that the guest talks to about them: ACPI's,
 * for the slots of the root bus, or a PCIe port, for the one slot behind it. A bus has one, or none: then what is on it
 * stays.
 *
 *   machine (configuration thread)          controller                       guest
 *
 *   function realized: plugged  --------->  keeps a reference  ----------->  finds the function
 *   device_del: request_unplug  --------->  a bit and an interrupt  ------>  lets go of the function
 *                                           device_unplug, ACCESS_WAIT  <--  eject (_EJ0, or slot power off)
 *                                           wait: device_wait_left  ------>  eject has returned: nobody is inside
 *   device is GONE: unplugged  ---------->  forgets it                       (in-flight I/O was drained meanwhile)
 *   listener: refused  <------------------  still there  <-----------------  couldn't, or wouldn't
 *
 * The eject takes nothing of the machine's: the vCPU that ejects waits for other accesses to this one device, and for
 * no command.
 */
#ifndef HDL_HW_PCI_PCI_HOTPLUG_H
#define HDL_HW_PCI_PCI_HOTPLUG_H

#include <stdbool.h>

#include "hw/pci/pci.h"

struct pci_hotplug;

/* What a controller does. Configuration thread, no lock held. */
struct pci_hotplug_ops {
    /*
     * The function is exposed. Keeps a reference until `unplugged`. announce: the guest runs already and is to be told;
     * otherwise it finds the function by itself.
     */
    void (*plugged)(struct pci_hotplug *hotplug, struct pci_device *pci, bool announce);
    /*
     * Asks the guest to let go of it; again if it was asked before. 0. -ENOTCONN: the guest's operating system doesn't
     * drive this controller (yet), so nobody would answer. -EBUSY: it is one that stays (a bridge). What hasn't been
     * answered at the next reset is carried out then.
     */
    int (*request_unplug)(struct pci_hotplug *hotplug, struct pci_device *pci);
    /* The device is GONE, by the guest's eject or by force: the slot is empty. */
    void (*unplugged)(struct pci_hotplug *hotplug, struct pci_device *pci);
};

/* Who hears from controllers. Any thread, under the controller's lock: notes it and wakes the configuration thread. */
struct pci_hotplug_listener {
    /* The guest said that it won't let go of the device, which is borrowed. */
    void (*refused)(void *opaque, struct device *device);
    void *opaque;
};

/* Embedded in the controller. functions: its device lock. The rest: immutable after its realize. */
struct pci_hotplug {
    const struct pci_hotplug_ops *ops;
    /* Set by the machine before realize, or NULL: then a port has that of the bus on which it is. */
    const struct pci_hotplug_listener *listener;
    struct device *controller;
    struct pci_device *functions; /* a list by pci_device.hotplug.next, the oldest first; a reference each */
};

/*
 * --- for controllers ----------------------------------------------------------------------------------------------
 *
 * The functions that a controller keeps. Those in one slot (0 to 31) come and go together. "Present": neither ejected
 * nor forgotten. All but init and wait: controller's lock held.
 */

/* From realize. */
void pci_hotplug_init(struct pci_hotplug *hotplug, const struct pci_hotplug_ops *ops, struct device *controller);
void pci_hotplug_keep(struct pci_hotplug *hotplug, struct pci_device *pci);
/* Does nothing if it isn't kept. */
void pci_hotplug_forget(struct pci_hotplug *hotplug, struct pci_device *pci);
/* From quiesce: functions have references on a bridge above them, so a port must give up its own. */
void pci_hotplug_forget_all(struct pci_hotplug *hotplug);
bool pci_hotplug_is_present(const struct pci_hotplug *hotplug, unsigned devfn);
/* Notes that the guest was asked for it; whether any present function of a slot was. */
void pci_hotplug_ask(struct pci_hotplug *hotplug, struct pci_device *pci);
bool pci_hotplug_is_asked(const struct pci_hotplug *hotplug, unsigned slot);
/* The guest said no: tells the listener, for the functions of the slot that it was asked for. */
void pci_hotplug_refuse(struct pci_hotplug *hotplug, unsigned slot);
/* Unplugs what is present in the slot. */
void pci_hotplug_eject(struct pci_hotplug *hotplug, unsigned slot);
/* Whether pci_hotplug_wait has anything to wait for. */
bool pci_hotplug_is_ejecting(const struct pci_hotplug *hotplug);
/* Returns when nobody is inside a function that was ejected before. For region_ops.wait: no lock held. */
void pci_hotplug_wait(struct pci_hotplug *hotplug);

#endif
