/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI's controller of hot-plug on the root bus. Everything runs under its device lock; the event is raised after that,
 * on the power management device, which has one of its own. An eject only begins to take functions away: the access
 * waits for them after its handler, with no lock.
 *
 * A hostile guest can eject what may be ejected, unasked; that is its own loss.
 */
#include "hw/acpi/pci_hotplug.h"

#include <errno.h>

enum { REG_UP = 0x00, REG_DOWN = 0x04, REG_EJECT = 0x08, REG_REMOVABLE = 0x0c, REG_SELECT = 0x10, REG_REFUSE = 0x18 };

#define SLOTS 32

static struct acpi_pci_hotplug *acpi_pci_hotplug_of(struct pci_hotplug *hotplug)
{
    return container_of(hotplug, struct acpi_pci_hotplug, hotplug);
}

static bool acpi_pci_hotplug_stays(const struct pci_device *pci)
{
    return pci->secondary || !pci->device.type->user_creatable;
}

/* Slot 0 is the host bridge's. */
static uint32_t acpi_pci_hotplug_removable(const struct acpi_pci_hotplug *acpi)
{
    uint32_t slots = ~UINT32_C(1);
    const struct pci_device *pci;

    for (pci = acpi->hotplug.functions; pci; pci = pci->hotplug.next) {
        if (acpi_pci_hotplug_stays(pci)) {
            slots &= ~(UINT32_C(1) << pci_slot(pci->devfn));
        }
    }
    return slots;
}

/* --- the guest's side -------------------------------------------------------------------------------------------- */

static enum access_result acpi_pci_hotplug_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct acpi_pci_hotplug *acpi = opaque;

    *value = 0;
    if (offset == REG_SELECT) {
        *value = acpi->select;
    } else if (acpi->select != 0) {
        return ACCESS_OK;
    } else if (offset == REG_UP) {
        *value = acpi->up;
        acpi->up = 0;
    } else if (offset == REG_DOWN) {
        *value = acpi->down;
    } else if (offset == REG_REMOVABLE) {
        *value = acpi_pci_hotplug_removable(acpi);
    }
    return ACCESS_OK;
}

static void acpi_pci_hotplug_eject(struct acpi_pci_hotplug *acpi, uint32_t slots)
{
    slots &= acpi_pci_hotplug_removable(acpi);
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (slots >> slot & 1) {
            pci_hotplug_eject(&acpi->hotplug, slot);
        }
    }
    acpi->up &= ~slots;
    acpi->down &= ~slots;
}

static void acpi_pci_hotplug_refuse(struct acpi_pci_hotplug *acpi, uint32_t slots)
{
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if ((slots & acpi->down) >> slot & 1) {
            pci_hotplug_refuse(&acpi->hotplug, slot);
        }
    }
    acpi->down &= ~slots;
}

static enum access_result acpi_pci_hotplug_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct acpi_pci_hotplug *acpi = opaque;

    if (offset == REG_SELECT) {
        acpi->select = (uint32_t)value;
    } else if (offset == REG_EJECT && acpi->select == 0) {
        acpi_pci_hotplug_eject(acpi, (uint32_t)value);
        return pci_hotplug_is_ejecting(&acpi->hotplug) ? ACCESS_WAIT : ACCESS_OK;
    } else if (offset == REG_REFUSE && acpi->select == 0) {
        acpi_pci_hotplug_refuse(acpi, (uint32_t)value);
    }
    return ACCESS_OK;
}

static void acpi_pci_hotplug_wait(void *opaque)
{
    struct acpi_pci_hotplug *acpi = opaque;

    pci_hotplug_wait(&acpi->hotplug);
}

static const struct region_ops acpi_pci_hotplug_ops = {
    .read = acpi_pci_hotplug_read,
    .write = acpi_pci_hotplug_write,
    .wait = acpi_pci_hotplug_wait,
    .valid = {.min = 4, .max = 4},
    .impl = {.min = 4, .max = 4},
};

/* --- the machine's side ------------------------------------------------------------------------------------------ */

static void acpi_pci_hotplug_plugged(struct pci_hotplug *hotplug, struct pci_device *pci, bool announce)
{
    struct acpi_pci_hotplug *acpi = acpi_pci_hotplug_of(hotplug);

    device_lock(hotplug->controller);
    pci_hotplug_keep(hotplug, pci);
    /* Guests look for the others when function 0 comes, so that one is plugged last. */
    announce = announce && pci_function(pci->devfn) == 0;
    if (announce) {
        acpi->up |= UINT32_C(1) << pci_slot(pci->devfn);
    }
    device_unlock(hotplug->controller);
    if (announce) {
        acpi_pm_raise_gpe(acpi->pm, ACPI_PCI_HOTPLUG_EVENT);
    }
}

static int acpi_pci_hotplug_request_unplug(struct pci_hotplug *hotplug, struct pci_device *pci)
{
    struct acpi_pci_hotplug *acpi = acpi_pci_hotplug_of(hotplug);
    uint32_t slot = UINT32_C(1) << pci_slot(pci->devfn);
    bool may_go;

    if (!acpi_pm_gpe_is_enabled(acpi->pm, ACPI_PCI_HOTPLUG_EVENT)) {
        return -ENOTCONN;
    }
    device_lock(hotplug->controller);
    may_go = acpi_pci_hotplug_removable(acpi) & slot;
    if (may_go) {
        pci_hotplug_ask(hotplug, pci);
        acpi->down |= slot;
    }
    device_unlock(hotplug->controller);
    if (!may_go) {
        return -EBUSY;
    }
    acpi_pm_raise_gpe(acpi->pm, ACPI_PCI_HOTPLUG_EVENT);
    return 0;
}

static void acpi_pci_hotplug_unplugged(struct pci_hotplug *hotplug, struct pci_device *pci)
{
    struct acpi_pci_hotplug *acpi = acpi_pci_hotplug_of(hotplug);
    unsigned slot = pci_slot(pci->devfn);

    device_lock(hotplug->controller);
    pci_hotplug_forget(hotplug, pci);
    /* Another function may have come to the slot, and be asked for, meanwhile. */
    if (!pci_hotplug_is_asked(hotplug, slot)) {
        acpi->down &= ~(UINT32_C(1) << slot);
    }
    device_unlock(hotplug->controller);
}

static const struct pci_hotplug_ops acpi_pci_hotplug_hotplug_ops = {
    .plugged = acpi_pci_hotplug_plugged,
    .request_unplug = acpi_pci_hotplug_request_unplug,
    .unplugged = acpi_pci_hotplug_unplugged,
};

/* --- life -------------------------------------------------------------------------------------------------------- */

static int acpi_pci_hotplug_realize(struct device *device, struct error **err)
{
    struct acpi_pci_hotplug *acpi = (struct acpi_pci_hotplug *)device;

    pci_hotplug_init(&acpi->hotplug, &acpi_pci_hotplug_hotplug_ops, device);
    region_init_io(&acpi->region, "acpi-pci-hotplug", device, &acpi_pci_hotplug_ops, acpi, ACPI_PCI_HOTPLUG_PORTS, 0,
                   NULL);
    region_add(acpi->isa.isa->map, acpi->isa.isa->io_root, acpi->base, &acpi->region, 0);
    return 0;
}

/* Removals that the guest didn't get to are carried out. */
static void acpi_pci_hotplug_reset(struct device *device)
{
    struct acpi_pci_hotplug *acpi = (struct acpi_pci_hotplug *)device;

    device_assert_locked(device);
    acpi_pci_hotplug_eject(acpi, acpi->down);
    acpi->up = 0;
    acpi->down = 0;
    acpi->select = 0;
}

static void acpi_pci_hotplug_quiesce(struct device *device)
{
    struct acpi_pci_hotplug *acpi = (struct acpi_pci_hotplug *)device;

    isa_region_hide(acpi->isa.isa, &acpi->region);
    device_lock(device);
    pci_hotplug_forget_all(&acpi->hotplug);
    device_unlock(device);
    device_quiesced(device);
}

static void acpi_pci_hotplug_destroy(struct device *device)
{
    struct acpi_pci_hotplug *acpi = (struct acpi_pci_hotplug *)device;

    isa_region_destroy(&acpi->region);
}

const struct device_type acpi_pci_hotplug_type = {
    .name = "acpi-pci-hotplug",
    .description = "ACPI hot-plug of PCI slots",
    .category = "Misc",
    .bus = "ISA",
    .size_bytes = sizeof(struct acpi_pci_hotplug),
    .realize = acpi_pci_hotplug_realize,
    .reset = acpi_pci_hotplug_reset,
    .quiesce = acpi_pci_hotplug_quiesce,
    .destroy = acpi_pci_hotplug_destroy,
};
