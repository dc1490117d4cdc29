/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A PCI Express root port with a slot: a bridge, plus what a guest's hot-plug driver sees of the slot.
 *
 *   function plugged      empty, off --------> present, off         presence and button: interrupt
 *   guest: power on       present, off ------> present, on          the bridge connects; link: interrupt
 *   request_unplug        present, on -------> the same             button: interrupt; the guest blinks, lets go ...
 *   the same, blinking    coming ------------> present, on          the button is pressed when the guest is done
 *   guest: power off      present, on -------> present, off         the bridge is cut, functions are reset
 *     and indicator off                -------> empty, off          functions are ejected; the write waits
 *   indicator on again    present, on, blinking -> present, on      the guest won't: refused
 *
 * A slot with a function in it when the machine starts or is reset is on. Everything runs under the port's lock, but
 * for the waits, which an access does after its handler. A hostile guest can eject what is in the slot, as often as
 * somebody plugs something.
 */
#include "hw/pci/pcie_port.h"

#include <errno.h>

#include "base/log.h"
#include "hw/pci/pci_internal.h"

static struct pcie_port *pcie_port_of(struct pci_device *pci)
{
    return container_of(pci, struct pcie_port, bridge.pci);
}

struct pci_bus *pcie_port_bus(struct device *device)
{
    return device->type == &pcie_root_port_type ? pci_device_of(device)->secondary : NULL;
}

static uint16_t pcie_port_get(const struct pcie_port *port, unsigned offset)
{
    return pci_config_get16(&port->bridge.pci, port->capability + offset);
}

static void pcie_port_set(struct pcie_port *port, unsigned offset, uint16_t value)
{
    pci_config_set16(&port->bridge.pci, port->capability + offset, value);
}

static unsigned pcie_port_indicator(uint16_t control)
{
    return (control & PCIE_SLOT_CONTROL_POWER_INDICATOR) >> 8;
}

static bool pcie_port_is_present(const struct pcie_port *port)
{
    return pcie_port_get(port, PCIE_SLOT_STATUS) & PCIE_SLOT_STATUS_PRESENT;
}

static bool pcie_port_has_power(const struct pcie_port *port)
{
    return !(port->control & PCIE_SLOT_CONTROL_POWER_OFF);
}

/* --- what the guest is told -------------------------------------------------------------------------------------- */

/* 6.7.3.4: a message when it begins, a level while it lasts. */
static void pcie_port_update_interrupt(struct pcie_port *port)
{
    struct pci_device *pci = &port->bridge.pci;
    uint16_t status = pcie_port_get(port, PCIE_SLOT_STATUS);
    bool link = (status & PCIE_SLOT_STATUS_LINK_CHANGED) && (port->control & PCIE_SLOT_CONTROL_LINK_CHANGED);
    bool interrupt =
        (port->control & PCIE_SLOT_CONTROL_INTERRUPT) && ((status & port->control & PCIE_SLOT_EVENTS) || link);

    if (interrupt && !port->interrupt) {
        msix_notify(pci, 0);
    }
    port->interrupt = interrupt;
    pci_intx_set(pci, interrupt && !msix_is_enabled(pci));
}

/* Presence, link and power, as they are; and which of them changed. events: those that happened beside that. */
static void pcie_port_update(struct pcie_port *port, uint16_t events)
{
    bool present = pci_hotplug_is_present(&port->hotplug, 0);
    bool link =
        present && pcie_port_has_power(port) && !(pcie_port_get(port, PCIE_LINK_CONTROL) & PCIE_LINK_CONTROL_DISABLE);
    uint16_t link_status = pcie_port_get(port, PCIE_LINK_STATUS);
    uint16_t status = pcie_port_get(port, PCIE_SLOT_STATUS);

    if (present != pcie_port_is_present(port)) {
        status ^= PCIE_SLOT_STATUS_PRESENT;
        events |= PCIE_SLOT_PRESENCE_CHANGED;
    }
    if (link != ((link_status & PCIE_LINK_STATUS_ACTIVE) != 0)) {
        pcie_port_set(port, PCIE_LINK_STATUS, link_status ^ PCIE_LINK_STATUS_ACTIVE);
        events |= PCIE_SLOT_STATUS_LINK_CHANGED;
    }
    pcie_port_set(port, PCIE_SLOT_STATUS, status | events);
    pci_bridge_set_cut(&port->bridge, !pcie_port_has_power(port));
    pcie_port_update_interrupt(port);
}

/* The slot as a machine finds it at power-on: with power if there is anything in it, and nothing to report. */
static void pcie_port_power_on(struct pcie_port *port)
{
    bool present = pci_hotplug_is_present(&port->hotplug, 0);
    uint16_t power = present ? PCIE_INDICATOR_ON << 8 : PCIE_INDICATOR_OFF << 8 | PCIE_SLOT_CONTROL_POWER_OFF;

    port->control = (uint16_t)((pcie_port_get(port, PCIE_SLOT_CONTROL) &
                                ~(PCIE_SLOT_CONTROL_POWER_INDICATOR | PCIE_SLOT_CONTROL_POWER_OFF)) |
                               power);
    pcie_port_set(port, PCIE_SLOT_CONTROL, port->control);
    pcie_port_update(port, 0);
    pcie_port_set(port, PCIE_SLOT_STATUS, present ? PCIE_SLOT_STATUS_PRESENT : 0);
    pcie_port_update_interrupt(port);
}

/* --- what the guest does ----------------------------------------------------------------------------------------- */

static bool pcie_port_is_off(uint16_t control)
{
    return (control & PCIE_SLOT_CONTROL_POWER_OFF) && pcie_port_indicator(control) == PCIE_INDICATOR_OFF;
}

/*
 * The guest has stopped blinking, and what is in the slot stays. Whether the button is pressed: a removal that was
 * asked for while the guest blinked because something came. Else it is the guest's no to one.
 */
static bool pcie_port_settled(struct pcie_port *port)
{
    if (port->press_later) {
        return pci_hotplug_is_asked(&port->hotplug, 0);
    }
    pci_hotplug_refuse(&port->hotplug, 0);
    return false;
}

static void pcie_port_control_written(struct pcie_port *port)
{
    uint16_t before = port->control;
    uint16_t control = pcie_port_get(port, PCIE_SLOT_CONTROL);
    uint16_t events = PCIE_SLOT_COMMAND_COMPLETED;

    port->control = control;
    if (pcie_port_is_off(control) && !pcie_port_is_off(before)) {
        pci_hotplug_eject(&port->hotplug, 0);
    } else if ((control & ~before) & PCIE_SLOT_CONTROL_POWER_OFF) {
        /* Functions that lost their power begin anew when they have it again. */
        port->bridge.resets_below = true;
        port->bridge.pci.wants_wait = true;
    }
    if (pcie_port_indicator(before) == PCIE_INDICATOR_BLINK && pcie_port_indicator(control) == PCIE_INDICATOR_ON) {
        events |= pcie_port_settled(port) ? PCIE_SLOT_BUTTON : 0;
    }
    port->press_later = port->press_later && pcie_port_indicator(control) == PCIE_INDICATOR_BLINK;
    port->bridge.pci.wants_wait |= pci_hotplug_is_ejecting(&port->hotplug);
    pcie_port_update(port, events);
}

static void pcie_port_config_write(struct pci_device *pci, unsigned offset, unsigned len_bytes)
{
    struct pcie_port *port = pcie_port_of(pci);
    unsigned control = port->capability + PCIE_SLOT_CONTROL;

    if (!port->has_hotplug) {
        return;
    }
    if (offset < control + 2 && control < offset + len_bytes) {
        pcie_port_control_written(port);
    } else {
        pcie_port_update(port, 0);
    }
}

static void pcie_port_config_wait(struct pci_device *pci)
{
    pci_hotplug_wait(&pcie_port_of(pci)->hotplug);
}

/* --- what the machine does --------------------------------------------------------------------------------------- */

static void pcie_port_plugged(struct pci_hotplug *hotplug, struct pci_device *pci, bool announce)
{
    struct pcie_port *port = container_of(hotplug, struct pcie_port, hotplug);

    device_lock(hotplug->controller);
    pci_hotplug_keep(hotplug, pci);
    /* Guests look for the others when function 0 comes, so that one is plugged last. */
    if (!announce) {
        pcie_port_power_on(port);
    } else if (pci_function(pci->devfn) == 0) {
        pcie_port_update(port, PCIE_SLOT_BUTTON);
    }
    device_unlock(hotplug->controller);
}

static int pcie_port_request_locked(struct pcie_port *port, struct pci_device *pci)
    HDL_REQUIRES_DEVICE(&port->bridge.pci.device)
{
    const uint16_t wanted = PCIE_SLOT_CONTROL_INTERRUPT | PCIE_SLOT_BUTTON;
    bool was_asked = pci_hotplug_is_asked(&port->hotplug, 0);

    if (!pcie_port_has_power(port)) {
        pci_hotplug_eject(&port->hotplug, 0);
        pcie_port_update(port, 0);
        return 0;
    }
    if ((port->control & wanted) != wanted) {
        return -ENOTCONN;
    }
    pci_hotplug_ask(&port->hotplug, pci);
    /* While it blinks, the guest is at it, and a second press would mean that it should leave it. */
    if (pcie_port_indicator(port->control) != PCIE_INDICATOR_BLINK) {
        pcie_port_update(port, PCIE_SLOT_BUTTON);
    } else if (!was_asked) {
        port->press_later = true;
    }
    return 0;
}

static int pcie_port_request_unplug(struct pci_hotplug *hotplug, struct pci_device *pci)
{
    struct pcie_port *port = container_of(hotplug, struct pcie_port, hotplug);
    int ret;

    device_lock(&port->bridge.pci.device);
    ret = pcie_port_request_locked(port, pci);
    device_unlock(&port->bridge.pci.device);
    return ret;
}

static void pcie_port_unplugged(struct pci_hotplug *hotplug, struct pci_device *pci)
{
    device_lock(hotplug->controller);
    pci_hotplug_forget(hotplug, pci);
    pcie_port_update(container_of(hotplug, struct pcie_port, hotplug), 0);
    device_unlock(hotplug->controller);
}

static const struct pci_hotplug_ops pcie_port_hotplug_ops = {
    .plugged = pcie_port_plugged,
    .request_unplug = pcie_port_request_unplug,
    .unplugged = pcie_port_unplugged,
};

/* --- life -------------------------------------------------------------------------------------------------------- */

/* 7.8.9 to 7.8.11 */
static void pcie_port_slot_init(struct pcie_port *port)
{
    struct pci_device *pci = &port->bridge.pci;
    unsigned at = port->capability;
    uint16_t writable = PCIE_SLOT_EVENTS | PCIE_SLOT_CONTROL_INTERRUPT | PCIE_SLOT_CONTROL_ATTENTION |
                        PCIE_SLOT_CONTROL_POWER_INDICATOR | PCIE_SLOT_CONTROL_POWER_OFF |
                        PCIE_SLOT_CONTROL_LINK_CHANGED;
    uint16_t cleared = PCIE_SLOT_EVENTS | PCIE_SLOT_STATUS_LINK_CHANGED;

    pci_config_set16(pci, at + PCIE_CAPABILITIES,
                     pci_config_get16(pci, at + PCIE_CAPABILITIES) | PCIE_CAPABILITIES_SLOT);
    pci_config_set32(pci, at + PCIE_LINK_CAPABILITIES,
                     pci_config_get32(pci, at + PCIE_LINK_CAPABILITIES) | PCIE_LINK_ACTIVE_REPORTING);
    pci->wmask[at + PCIE_LINK_CONTROL] |= PCIE_LINK_CONTROL_DISABLE;
    pci_config_set32(pci, at + PCIE_SLOT_CAPABILITIES,
                     PCIE_SLOT_HAS_BUTTON | PCIE_SLOT_HAS_POWER_CONTROLLER | PCIE_SLOT_HAS_ATTENTION_INDICATOR |
                         PCIE_SLOT_HAS_POWER_INDICATOR | PCIE_SLOT_HOTPLUG_SURPRISE | PCIE_SLOT_HOTPLUG |
                         (uint32_t)port->chassis << PCIE_SLOT_NUMBER_SHIFT);
    pci_config_set16(pci, at + PCIE_SLOT_CONTROL, PCIE_INDICATOR_OFF << 6);
    for (unsigned i = 0; i < 2; i++) {
        pci->wmask[at + PCIE_SLOT_CONTROL + i] = (uint8_t)(writable >> (8 * i));
        pci->w1c[at + PCIE_SLOT_STATUS + i] = (uint8_t)(cleared >> (8 * i));
    }
}

static int pcie_port_capability_init(struct pcie_port *port, struct error **err)
{
    struct pci_device *pci = &port->bridge.pci;
    int capability = pcie_capability_add(pci, PCIE_ROOT_PORT);

    if (capability < 0) {
        return error_set(err, capability, "device '%s': no room for its capabilities", pci->device.id);
    }
    port->capability = (unsigned)capability;
    pci_config_set32(pci, port->capability + PCIE_LINK_CAPABILITIES,
                     pci_config_get32(pci, port->capability + PCIE_LINK_CAPABILITIES) | (uint32_t)port->port
                                                                                            << PCIE_LINK_PORT_SHIFT);
    pci->wmask[port->capability + PCIE_ROOT_CONTROL] = 0x0f;
    if (port->has_hotplug) {
        pcie_port_slot_init(port);
    }
    return msix_init(pci, 0, 1, err);
}

static int pcie_port_realize(struct device *device, struct error **err)
{
    static const struct pci_identity identity = {
        .vendor = 0x1b36,
        .device = 0x000c,
        .class_code = 0x060400,
        .interrupt_pin = true,
        .is_bridge = true,
    };
    struct pci_device *pci = pci_device_of(device);
    struct pcie_port *port = pcie_port_of(pci);
    int ret;

    if (pci->bus && pci->bus->bridge) {
        return error_set(err, -EINVAL, "device '%s': a root port sits on the root bus, not behind '%s'", device->id,
                         pci->bus->bridge->pci.device.id);
    }
    pci_hotplug_init(&port->hotplug, &pcie_port_hotplug_ops, device);
    ret = pci_bridge_init(&port->bridge, &identity, true, err);
    ret = ret < 0 ? ret : pcie_port_capability_init(port, err);
    if (ret < 0) {
        pci_bridge_release(&port->bridge);
        return ret;
    }
    if (!port->hotplug.listener && pci->bus->hotplug) {
        port->hotplug.listener = pci->bus->hotplug->listener;
    }
    port->bridge.bus.hotplug = port->has_hotplug ? &port->hotplug : NULL;
    pci->config_write = pcie_port_config_write;
    pci->config_wait = pcie_port_config_wait;
    pci_device_expose(pci);
    device_lock(device);
    device->type->reset(device);
    device_unlock(device);
    return 0;
}

static void pcie_port_reset(struct device *device)
{
    struct pcie_port *port = (struct pcie_port *)device;

    device_assert_locked(device);
    pci_device_reset(&port->bridge.pci);
    port->interrupt = false;
    port->press_later = false;
    if (port->has_hotplug) {
        if (pci_hotplug_is_asked(&port->hotplug, 0)) {
            pci_hotplug_eject(&port->hotplug, 0);
        }
        pcie_port_power_on(port);
    }
}

static void pcie_port_quiesce(struct device *device)
{
    struct pcie_port *port = (struct pcie_port *)device;

    pci_device_hide(&port->bridge.pci);
    device_lock(device);
    pci_hotplug_forget_all(&port->hotplug);
    device_unlock(device);
    device_quiesced(device);
}

static void pcie_port_destroy(struct device *device)
{
    pci_bridge_release((struct pci_bridge *)device);
}

static const struct property pcie_port_properties[] = {PCI_DEVICE_PROPERTIES(struct pcie_port, bridge.pci),
                                                       {.name = "port",
                                                        .type = PROPERTY_U8,
                                                        .offset = offsetof(struct pcie_port, port),
                                                        .description = "The port's number"},
                                                       {.name = "chassis",
                                                        .type = PROPERTY_U8,
                                                        .offset = offsetof(struct pcie_port, chassis),
                                                        .description = "The slot's number"},
                                                       {.name = "hotplug",
                                                        .type = PROPERTY_BOOL,
                                                        .offset = offsetof(struct pcie_port, has_hotplug),
                                                        .default_value = "on",
                                                        .description = "Devices may come and go while the guest runs"},
                                                       {0}};

const struct device_type pcie_root_port_type = {
    .name = "pcie-root-port",
    .description = "PCI Express Root Port",
    .category = "Bridge",
    .bus = "PCI",
    .size_bytes = sizeof(struct pcie_port),
    .properties = pcie_port_properties,
    .user_creatable = true,
    .realize = pcie_port_realize,
    .reset = pcie_port_reset,
    .quiesce = pcie_port_quiesce,
    .destroy = pcie_port_destroy,
};
