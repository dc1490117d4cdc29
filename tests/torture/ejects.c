/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest does to the machine as a whole: it ejects functions, by ACPI's ports and by slots' power, and presses
 * everything that asks the machine for something, on any thread.
 */
#include "hw/pci/pci.h"
#include "machine/pc_layout.h"
#include "torture.h"

enum { CAPABILITY_EXPRESS = 0x10, EXPRESS_SLOT_CONTROL = 0x18, EXPRESS_SLOT_STATUS = 0x1a };
enum { SLOT_BUTTON = 1 << 0, SLOT_POWER_OFF = 1 << 10, SLOT_INDICATOR_OFF = 3 << 8, SLOT_INTERRUPTS = 0x3f };
enum {
    ACPI_UP = 0x00,
    ACPI_DOWN = 0x04,
    ACPI_EJECT = 0x08,
    ACPI_REMOVABLE = 0x0c,
    ACPI_SELECT = 0x10,
    ACPI_REFUSE = 0x18
};

/* Out of how many looks at a slot that isn't asked for one ejects it nevertheless. */
#define EJECT_UNASKED 60

/* ACPI's ports: what the machine wants back is ejected or refused; now and then something else goes. */
static void eject_by_ports(struct driver *driver)
{
    uint64_t down;

    driver_out(driver, PC_PORT_GPE0 + 2, 2, 0xffff);
    driver_out(driver, PC_PORT_PCI_HOTPLUG + ACPI_SELECT, 4, actor_chance(&driver->actor, 50));
    (void)driver_in(driver, PC_PORT_PCI_HOTPLUG + ACPI_UP, 4);
    (void)driver_in(driver, PC_PORT_PCI_HOTPLUG + ACPI_REMOVABLE, 4);
    down = driver_in(driver, PC_PORT_PCI_HOTPLUG + ACPI_DOWN, 4);
    if (actor_chance(&driver->actor, 4)) {
        driver_out(driver, PC_PORT_PCI_HOTPLUG + ACPI_REFUSE, 4, down);
    } else if (down || actor_chance(&driver->actor, EJECT_UNASKED)) {
        driver_out(driver, PC_PORT_PCI_HOTPLUG + ACPI_EJECT, 4, down ? down : 1u << actor_below(&driver->actor, 32));
    }
}

/* A PCI Express port's slot: pressing the button is the machine's, taking the power away is the guest's. */
static void eject_by_power(struct driver *driver, uint64_t function, unsigned at)
{
    uint64_t status = driver_read(driver, function + at + EXPRESS_SLOT_STATUS, 2);
    uint64_t control = SLOT_INTERRUPTS;

    driver_write(driver, function + at + EXPRESS_SLOT_STATUS, 2, status);
    if (status & SLOT_BUTTON || actor_chance(&driver->actor, EJECT_UNASKED)) {
        control |= actor_chance(&driver->actor, 4) ? 0 : SLOT_POWER_OFF | SLOT_INDICATOR_OFF;
    }
    driver_write(driver, function + at + EXPRESS_SLOT_CONTROL, 2, control);
}

void driver_act_eject(void *who)
{
    struct driver *driver = who;
    uint64_t function;
    unsigned at;

    eject_by_ports(driver);
    function = driver_find_function(driver);
    at = function ? (unsigned)driver_read(driver, function + PCI_CAPABILITIES, 1) : 0;
    for (unsigned i = 0; i < 16 && at >= 0x40 && at < 0xff; i++) {
        if (driver_read(driver, function + at, 1) == CAPABILITY_EXPRESS) {
            eject_by_power(driver, function, at);
            break;
        }
        at = (unsigned)driver_read(driver, function + at + 1, 1);
    }
}

void driver_act_ask(void *who)
{
    struct driver *driver = who;
    struct machine *machine = driver->torture->machine;

    switch (actor_below(&driver->actor, 8)) {
    case 0:
        machine_ask_pause(machine);
        machine_ask_resume(machine);
        break;
    case 1:
    case 2:
        machine_ask_resume(machine);
        break;
    case 3:
        if (actor_chance(&driver->actor, 200)) {
            machine_ask_reset(machine);
        }
        break;
    default:
        machine_ask_power_button(machine);
        break;
    }
}
