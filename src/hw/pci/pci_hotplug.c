/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What controllers of hot-plug have in common: which functions they keep, and the eject. All but the wait runs under
 * the controller's lock.
 *
 * A function is kept from `plugged` to `unplugged`. Between eject and `unplugged` another one may come to its place, so
 * they are a list and not a table.
 */
#include "hw/pci/pci_hotplug.h"

void pci_hotplug_init(struct pci_hotplug *hotplug, const struct pci_hotplug_ops *ops, struct device *controller)
{
    hotplug->ops = ops;
    hotplug->controller = controller;
}

/* Where the pointer to the function is, or the list's end. */
static struct pci_device **pci_hotplug_find(struct pci_hotplug *hotplug, const struct pci_device *pci)
{
    struct pci_device **at = &hotplug->functions;

    while (*at && *at != pci) {
        at = &(*at)->hotplug.next;
    }
    return at;
}

void pci_hotplug_keep(struct pci_hotplug *hotplug, struct pci_device *pci)
{
    device_get(&pci->device);
    pci->hotplug.next = NULL;
    pci->hotplug.asked = false;
    pci->hotplug.ejected = false;
    *pci_hotplug_find(hotplug, NULL) = pci;
}

void pci_hotplug_forget(struct pci_hotplug *hotplug, struct pci_device *pci)
{
    struct pci_device **at = pci_hotplug_find(hotplug, pci);

    if (*at) {
        *at = pci->hotplug.next;
        device_put(&pci->device);
    }
}

void pci_hotplug_forget_all(struct pci_hotplug *hotplug)
{
    while (hotplug->functions) {
        pci_hotplug_forget(hotplug, hotplug->functions);
    }
}

bool pci_hotplug_is_present(const struct pci_hotplug *hotplug, unsigned devfn)
{
    const struct pci_device *pci;

    for (pci = hotplug->functions; pci; pci = pci->hotplug.next) {
        if (pci->devfn == devfn && !pci->hotplug.ejected) {
            return true;
        }
    }
    return false;
}

void pci_hotplug_ask(struct pci_hotplug *hotplug, struct pci_device *pci)
{
    pci->hotplug.asked = *pci_hotplug_find(hotplug, pci) != NULL;
}

bool pci_hotplug_is_asked(const struct pci_hotplug *hotplug, unsigned slot)
{
    const struct pci_device *pci;

    for (pci = hotplug->functions; pci; pci = pci->hotplug.next) {
        if (pci_slot(pci->devfn) == slot && pci->hotplug.asked && !pci->hotplug.ejected) {
            return true;
        }
    }
    return false;
}

void pci_hotplug_refuse(struct pci_hotplug *hotplug, unsigned slot)
{
    struct pci_device *pci;

    for (pci = hotplug->functions; pci; pci = pci->hotplug.next) {
        if (pci_slot(pci->devfn) == slot && pci->hotplug.asked && !pci->hotplug.ejected) {
            pci->hotplug.asked = false;
            if (hotplug->listener) {
                hotplug->listener->refused(hotplug->listener->opaque, &pci->device);
            }
        }
    }
}

void pci_hotplug_eject(struct pci_hotplug *hotplug, unsigned slot)
{
    struct pci_device *pci;

    for (pci = hotplug->functions; pci; pci = pci->hotplug.next) {
        if (pci_slot(pci->devfn) == slot && !pci->hotplug.ejected) {
            pci->hotplug.ejected = true;
            device_unplug(&pci->device);
        }
    }
}

bool pci_hotplug_is_ejecting(const struct pci_hotplug *hotplug)
{
    const struct pci_device *pci;

    for (pci = hotplug->functions; pci; pci = pci->hotplug.next) {
        if (pci->hotplug.ejected) {
            return true;
        }
    }
    return false;
}

/* Those that the guest has ejected, with references. More than a bus's worth are never kept at once for long. */
static unsigned pci_hotplug_get_ejected(const struct pci_hotplug *hotplug, struct pci_device **ejected, unsigned room)
{
    struct pci_device *pci;
    unsigned count = 0;

    for (pci = hotplug->functions; pci; pci = pci->hotplug.next) {
        if (pci->hotplug.ejected && count < room) {
            device_get(&pci->device);
            ejected[count++] = pci;
        }
    }
    return count;
}

/* The newest are last. One that has left already takes no time. */
void pci_hotplug_wait(struct pci_hotplug *hotplug)
{
    struct pci_device *ejected[PCI_FUNCTION_COUNT];
    unsigned count = 0;

    device_lock(hotplug->controller);
    count = pci_hotplug_get_ejected(hotplug, ejected, ARRAY_SIZE(ejected));
    device_unlock(hotplug->controller);
    for (unsigned i = 0; i < count; i++) {
        device_wait_left(&ejected[i]->device);
        device_put(&ejected[i]->device);
    }
}
