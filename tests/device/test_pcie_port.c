/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A root port's slot, with the test as the guest's hot-plug driver and as the machine: plugging and asking, power and
 * indicators, interrupts, refusal, reset, and what is left of a function after its eject.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/thread.h"
#include "hw/pci/pcie_port.h"
#include "leave.h"
#include "pci_toy.h"

enum { PORT = 1 << 3, CHILD = 1 << 8 };

#define NOBODY UINT32_MAX

enum {
    POWER_ON = PCIE_INDICATOR_ON << 8,
    POWER_BLINK = PCIE_INDICATOR_BLINK << 8,
    POWER_OFF = PCIE_INDICATOR_OFF << 8 | PCIE_SLOT_CONTROL_POWER_OFF,
    /* What Linux enables: no presence interrupt where there is a button. */
    ENABLED =
        PCIE_SLOT_BUTTON | PCIE_SLOT_COMMAND_COMPLETED | PCIE_SLOT_CONTROL_INTERRUPT | PCIE_SLOT_CONTROL_LINK_CHANGED,
};

struct port_test {
    struct pci_machine machine;
    struct pcie_port *port;
    struct pci_bus *bus;
    struct toy *toy;
    unsigned express; /* capability */
    struct pci_hotplug_listener listener;
    unsigned refused;
    struct device *who;
};

static void note_refused(void *opaque, struct device *device)
{
    struct port_test *test = opaque;

    test->refused++;
    test->who = device;
}

static void port_open(struct port_test *test)
{
    struct device *device;

    *test = (struct port_test){0};
    pci_machine_init(&test->machine, false);
    device = device_create(&pcie_root_port_type, "p1", test->machine.loop, &test->machine.memory, NULL);
    assert_int_equal(property_set(device, device->type->properties, "addr", "1", NULL), 0);
    assert_int_equal(property_set(device, device->type->properties, "chassis", "3", NULL), 0);
    assert_int_equal(property_set(device, device->type->properties, "port", "9", NULL), 0);
    test->port = (struct pcie_port *)device;
    test->listener = (struct pci_hotplug_listener){.refused = note_refused, .opaque = test};
    test->port->hotplug.listener = &test->listener;
    pci_device_attach(pci_device_of(device), &test->machine.host.bus);
    assert_int_equal(device_realize(device, NULL), 0);
    test->bus = pcie_port_bus(device);
    assert_non_null(test->bus);
    test->express = machine_capability(&test->machine, PORT, PCI_CAPABILITY_EXPRESS, 0);
}

static void port_close(struct port_test *test)
{
    pci_machine_remove(&test->machine, &test->port->bridge.pci.device);
    pci_machine_destroy(&test->machine);
}

static struct toy *plug(struct port_test *test, bool announce)
{
    struct toy *toy = toy_plug(&test->machine, test->bus, "0", NULL);

    test->bus->hotplug->ops->plugged(test->bus->hotplug, &toy->pci, announce);
    return toy;
}

/* What the machine does when it hears that the device is GONE. */
static void forget(struct port_test *test, struct toy *toy)
{
    devices_unplug(test->machine.loop, &(struct device *){&toy->pci.device}, 1);
    test->bus->hotplug->ops->unplugged(test->bus->hotplug, &toy->pci);
    devices_put(test->machine.loop, &(struct device *){&toy->pci.device}, 1);
}

static int request(struct port_test *test, struct toy *toy)
{
    return test->bus->hotplug->ops->request_unplug(test->bus->hotplug, &toy->pci);
}

static uint32_t port_read(struct port_test *test, unsigned offset, unsigned size)
{
    return machine_config_read(&test->machine, PORT, test->express + offset, size);
}

static void port_write(struct port_test *test, unsigned offset, unsigned size, uint32_t value)
{
    machine_config_write(&test->machine, PORT, test->express + offset, size, value);
}

/* Writes slot control, and takes the completion away. */
static void command(struct port_test *test, uint32_t control)
{
    port_write(test, PCIE_SLOT_CONTROL, 2, control);
    assert_true(port_read(test, PCIE_SLOT_STATUS, 2) & PCIE_SLOT_COMMAND_COMPLETED);
    port_write(test, PCIE_SLOT_STATUS, 2, PCIE_SLOT_COMMAND_COMPLETED);
}

/* Status, whose events are cleared. */
static uint32_t events(struct port_test *test)
{
    uint32_t status = port_read(test, PCIE_SLOT_STATUS, 2);

    port_write(test, PCIE_SLOT_STATUS, 2, status);
    return status;
}

static bool is_linked(struct port_test *test)
{
    return port_read(test, PCIE_LINK_STATUS, 2) & PCIE_LINK_STATUS_ACTIVE;
}

static void test_registers(void **state)
{
    struct port_test test;
    uint32_t slot;

    port_open(&test);
    assert_int_equal(machine_config_read(&test.machine, PORT, 0, 4), 0x000c1b36);
    assert_int_equal(machine_config_read(&test.machine, PORT, PCI_HEADER_TYPE, 1), PCI_HEADER_BRIDGE);
    assert_int_equal(port_read(&test, PCIE_CAPABILITIES, 2), 0x142);
    slot = port_read(&test, PCIE_SLOT_CAPABILITIES, 4);
    assert_int_equal(slot, 0x7b | 3 << PCIE_SLOT_NUMBER_SHIFT);
    assert_int_equal(port_read(&test, PCIE_LINK_CAPABILITIES, 4) >> 24, 9);
    assert_int_equal(port_read(&test, PCIE_SLOT_CONTROL, 2) & POWER_OFF, POWER_OFF);
    assert_int_equal(events(&test), 0);
    assert_false(is_linked(&test));
    port_write(&test, PCIE_SLOT_CONTROL, 2, 0xffff);
    assert_int_equal(port_read(&test, PCIE_SLOT_CONTROL, 2), 0x17ff);
    assert_ptr_equal(pcie_port_bus(test.machine.bridge), NULL);
    port_close(&test);
}

/* Plugged before the guest runs: it is there, and an endpoint. */
static void test_cold(void **state)
{
    struct port_test test;
    unsigned express;

    port_open(&test);
    test.toy = plug(&test, false);
    pci_machine_assign(&test.machine);
    assert_int_equal(port_read(&test, PCIE_SLOT_CONTROL, 2) & POWER_OFF, POWER_ON);
    assert_int_equal(events(&test), PCIE_SLOT_STATUS_PRESENT);
    assert_true(is_linked(&test));
    assert_int_equal(machine_config_read(&test.machine, CHILD, 0, 4), 0x56781234);
    assert_int_equal(machine_config_read(&test.machine, CHILD | 1 << 3, 0, 4), NOBODY);
    express = machine_capability(&test.machine, CHILD, PCI_CAPABILITY_EXPRESS, 0);
    assert_int_equal(machine_config_read(&test.machine, CHILD, express + PCIE_CAPABILITIES, 2), 2);
    machine_write(&test.machine, test.toy->pci.bars[0].address, 4, 3);
    assert_int_equal(test.toy->value[0], 3);
    device_reset(&test.port->bridge.pci.device);
    assert_int_equal(events(&test), PCIE_SLOT_STATUS_PRESENT);
    /* Nobody drives it. */
    assert_int_equal(request(&test, test.toy), -ENOTCONN);
    forget(&test, test.toy);
    assert_int_equal(events(&test) & PCIE_SLOT_STATUS_PRESENT, 0);
    port_close(&test);
}

static void test_slot_is_one(void **state)
{
    struct port_test test;
    struct device *device;
    struct error *err = NULL;

    port_open(&test);
    device = device_create(&toy_type, NULL, test.machine.loop, &test.machine.memory, NULL);
    assert_int_equal(property_set(device, toy_type.properties, "addr", "1", NULL), 0);
    pci_device_attach(pci_device_of(device), test.bus);
    assert_int_equal(device_realize(device, &err), -EINVAL);
    error_free(err);
    device_put(device);
    /* A port isn't plugged into a port. */
    err = NULL;
    device = device_create(&pcie_root_port_type, NULL, test.machine.loop, &test.machine.memory, NULL);
    pci_device_attach(pci_device_of(device), test.bus);
    assert_int_equal(device_realize(device, &err), -EINVAL);
    error_free(err);
    device_put(device);
    pci_machine_poll(&test.machine);
    port_close(&test);
}

/* The whole way, as Linux goes it. */
static void plug_hot(struct port_test *test)
{
    test->toy = plug(test, true);
    assert_int_equal(events(test), PCIE_SLOT_STATUS_PRESENT | PCIE_SLOT_PRESENCE_CHANGED | PCIE_SLOT_BUTTON);
    assert_false(is_linked(test));
    assert_int_equal(machine_config_read(&test->machine, CHILD, 0, 4), NOBODY);
    command(test, ENABLED | POWER_BLINK);
    assert_true(is_linked(test));
    assert_int_equal(events(test), PCIE_SLOT_STATUS_PRESENT | PCIE_SLOT_STATUS_LINK_CHANGED);
    assert_int_equal(machine_config_read(&test->machine, CHILD, 0, 4), 0x56781234);
    command(test, ENABLED | POWER_ON);
    assert_int_equal(test->refused, 0);
    machine_config_write(&test->machine, CHILD, PCI_BAR0, 4, 0xe0100000);
    machine_config_write(&test->machine, CHILD, PCI_COMMAND, 2, 6);
    machine_write(&test->machine, 0xe0100000, 4, 0x33);
    assert_int_equal(test->toy->value[0], 0x33);
}

static void unplug_hot(struct port_test *test)
{
    unsigned calls;

    assert_int_equal(request(test, test->toy), 0);
    assert_int_equal(events(test), PCIE_SLOT_STATUS_PRESENT | PCIE_SLOT_BUTTON);
    command(test, ENABLED | POWER_BLINK);
    assert_int_equal(request(test, test->toy), 0);
    assert_int_equal(events(test), PCIE_SLOT_STATUS_PRESENT);
    command(test, ENABLED | POWER_BLINK | PCIE_SLOT_CONTROL_POWER_OFF);
    assert_int_equal(events(test), PCIE_SLOT_STATUS_PRESENT | PCIE_SLOT_STATUS_LINK_CHANGED);
    assert_int_equal(atomic_load(&test->toy->pci.device.state), DEVICE_REALIZED);
    calls = atomic_load(&test->toy->calls);
    command(test, ENABLED | POWER_OFF);
    assert_true(atomic_load(&test->toy->pci.device.state) >= DEVICE_LEAVING);
    assert_int_equal(events(test), PCIE_SLOT_PRESENCE_CHANGED);
    assert_int_equal(machine_read(&test->machine, 0xe0100000, 4), NOBODY);
    assert_int_equal(machine_config_read(&test->machine, CHILD, 0, 4), NOBODY);
    command(test, ENABLED | POWER_OFF);
    assert_int_equal(atomic_load(&test->toy->calls), calls);
    forget(test, test->toy);
    assert_int_equal(events(test), 0);
}

static void test_hot(void **state)
{
    struct port_test test;

    port_open(&test);
    pci_machine_assign(&test.machine);
    command(&test, ENABLED | POWER_OFF);
    for (unsigned i = 0; i < 3; i++) {
        plug_hot(&test);
        unplug_hot(&test);
    }
    port_close(&test);
}

static void test_refused(void **state)
{
    struct port_test test;

    port_open(&test);
    pci_machine_assign(&test.machine);
    command(&test, ENABLED | POWER_OFF);
    plug_hot(&test);
    assert_int_equal(request(&test, test.toy), 0);
    command(&test, ENABLED | POWER_BLINK);
    command(&test, ENABLED | POWER_ON);
    assert_int_equal(test.refused, 1);
    assert_ptr_equal(test.who, &test.toy->pci.device);
    /* Blinking for itself refuses nothing. */
    command(&test, ENABLED | POWER_BLINK);
    command(&test, ENABLED | POWER_ON);
    assert_int_equal(test.refused, 1);
    (void)events(&test);
    unplug_hot(&test);
    assert_int_equal(test.refused, 1);
    port_close(&test);
}

/* A driver may use a function while its slot still blinks: a removal asked for then has its turn afterwards. */
static void test_asked_while_it_comes(void **state)
{
    struct port_test test;

    port_open(&test);
    pci_machine_assign(&test.machine);
    command(&test, ENABLED | POWER_OFF);
    test.toy = plug(&test, true);
    command(&test, ENABLED | POWER_BLINK);
    (void)events(&test);
    assert_int_equal(request(&test, test.toy), 0);
    assert_int_equal(request(&test, test.toy), 0);
    assert_int_equal(events(&test), PCIE_SLOT_STATUS_PRESENT);
    command(&test, ENABLED | POWER_ON);
    assert_int_equal(test.refused, 0);
    assert_int_equal(events(&test), PCIE_SLOT_STATUS_PRESENT | PCIE_SLOT_BUTTON);
    /* From here on it is as any other: a no is a no. */
    command(&test, ENABLED | POWER_BLINK);
    command(&test, ENABLED | POWER_ON);
    assert_int_equal(test.refused, 1);
    assert_int_equal(events(&test), PCIE_SLOT_STATUS_PRESENT);
    forget(&test, test.toy);

    /* Taken away by force meanwhile: nobody presses for what isn't there. */
    command(&test, ENABLED | POWER_OFF);
    test.toy = plug(&test, true);
    command(&test, ENABLED | POWER_BLINK);
    assert_int_equal(request(&test, test.toy), 0);
    forget(&test, test.toy);
    (void)events(&test);
    command(&test, ENABLED | POWER_ON);
    assert_int_equal(events(&test), 0);
    port_close(&test);
}

/* What wasn't answered is carried out at a reset; power off without the indicator takes nothing away. */
static void test_reset_and_power(void **state)
{
    struct port_test test;

    port_open(&test);
    pci_machine_assign(&test.machine);
    command(&test, ENABLED | POWER_OFF);
    plug_hot(&test);
    command(&test, ENABLED | POWER_ON | PCIE_SLOT_CONTROL_POWER_OFF);
    assert_int_equal(machine_config_read(&test.machine, CHILD, 0, 4), NOBODY);
    assert_int_equal(test.toy->resets, 1);
    command(&test, ENABLED | POWER_ON);
    assert_int_equal(machine_config_read(&test.machine, CHILD, PCI_COMMAND, 2), 0);
    (void)events(&test);
    assert_int_equal(request(&test, test.toy), 0);
    device_reset(&test.port->bridge.pci.device);
    assert_true(atomic_load(&test.toy->pci.device.state) >= DEVICE_LEAVING);
    assert_int_equal(port_read(&test, PCIE_SLOT_CONTROL, 2) & POWER_OFF, POWER_OFF);
    assert_int_equal(events(&test), 0);
    forget(&test, test.toy);
    /* Plugged, and taken away before the guest gave it power: nobody is asked. */
    pci_machine_assign(&test.machine);
    test.toy = plug(&test, true);
    assert_int_equal(request(&test, test.toy), 0);
    assert_true(atomic_load(&test.toy->pci.device.state) >= DEVICE_LEAVING);
    forget(&test, test.toy);
    port_close(&test);
}

/* The link can be switched off; functions other than 0 are only seen with it. */
static void test_functions(void **state)
{
    struct port_test test;
    struct toy *second;

    port_open(&test);
    pci_machine_assign(&test.machine);
    command(&test, ENABLED | POWER_OFF);
    second = toy_plug(&test.machine, test.bus, "0.3", NULL);
    test.bus->hotplug->ops->plugged(test.bus->hotplug, &second->pci, true);
    assert_int_equal(events(&test), 0);
    plug_hot(&test);
    assert_int_equal(machine_config_read(&test.machine, CHILD, PCI_HEADER_TYPE, 1), PCI_HEADER_MULTIFUNCTION);
    assert_int_equal(machine_config_read(&test.machine, CHILD | 3, 0, 4), 0x56781234);
    port_write(&test, PCIE_LINK_CONTROL, 2, PCIE_LINK_CONTROL_DISABLE);
    assert_false(is_linked(&test));
    port_write(&test, PCIE_LINK_CONTROL, 2, 0);
    assert_true(is_linked(&test));
    (void)events(&test);
    unplug_hot(&test);
    assert_true(atomic_load(&second->pci.device.state) >= DEVICE_LEAVING);
    forget(&test, second);
    port_close(&test);
}

static void test_interrupts(void **state)
{
    struct port_test test;
    unsigned pirq = pci_pirq(1, 0), msix, sent;
    uint64_t table;

    port_open(&test);
    pci_machine_assign(&test.machine);
    port_write(&test, PCIE_SLOT_CONTROL, 2, PCIE_SLOT_CONTROL_INTERRUPT | PCIE_SLOT_BUTTON | POWER_OFF);
    assert_false(test.machine.pirq[pirq]);
    port_write(&test, PCIE_SLOT_CONTROL, 2, ENABLED | POWER_OFF);
    assert_true(test.machine.pirq[pirq]);
    (void)events(&test);
    assert_false(test.machine.pirq[pirq]);
    test.toy = plug(&test, true);
    assert_true(test.machine.pirq[pirq]);
    port_write(&test, PCIE_SLOT_STATUS, 2, PCIE_SLOT_BUTTON);
    assert_false(test.machine.pirq[pirq]);
    /* By message: one for each time that there begins to be something. */
    msix = machine_capability(&test.machine, PORT, PCI_CAPABILITY_MSIX, 0);
    assert_int_equal(machine_config_read(&test.machine, PORT, msix + MSIX_CONTROL, 2), 0);
    table = machine_config_read(&test.machine, PORT, PCI_BAR0, 4);
    machine_write(&test.machine, table, 8, 0xfee01000);
    machine_write(&test.machine, table + 8, 8, 0x41);
    machine_config_write(&test.machine, PORT, msix + MSIX_CONTROL, 2, MSIX_CONTROL_ENABLE);
    sent = test_msi_count(&test.machine.msi);
    port_write(&test, PCIE_SLOT_CONTROL, 2, ENABLED | POWER_BLINK);
    assert_int_equal(test_msi_count(&test.machine.msi), sent + 1);
    port_write(&test, PCIE_SLOT_CONTROL, 2, ENABLED | POWER_ON);
    assert_int_equal(test_msi_count(&test.machine.msi), sent + 1);
    (void)events(&test);
    assert_int_equal(request(&test, test.toy), 0);
    assert_int_equal(test_msi_count(&test.machine.msi), sent + 2);
    assert_int_equal(test.machine.msi.last.data, 0x41);
    assert_false(test.machine.pirq[pirq]);
    forget(&test, test.toy);
    port_close(&test);
}

/* hotplug=off: no slot; a bridge whose device stays. */
static void test_no_hotplug(void **state)
{
    struct pci_machine machine;
    struct device *device;
    struct toy *toy;

    pci_machine_init(&machine, false);
    device = device_create(&pcie_root_port_type, NULL, machine.loop, &machine.memory, NULL);
    assert_int_equal(property_set(device, device->type->properties, "hotplug", "off", NULL), 0);
    pci_device_attach(pci_device_of(device), &machine.host.bus);
    assert_int_equal(device_realize(device, NULL), 0);
    assert_ptr_equal(pcie_port_bus(device)->hotplug, NULL);
    toy = toy_plug(&machine, pcie_port_bus(device), NULL, NULL);
    pci_machine_assign(&machine);
    assert_int_equal(machine_config_read(&machine, CHILD, 0, 4), 0x56781234);
    /* All at once, as at the machine's end. */
    pci_machine_remove(&machine, device);
    pci_machine_remove(&machine, &toy->pci.device);
    pci_machine_destroy(&machine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers),       cmocka_unit_test(test_cold),
        cmocka_unit_test(test_slot_is_one),     cmocka_unit_test(test_hot),
        cmocka_unit_test(test_refused),         cmocka_unit_test(test_asked_while_it_comes),
        cmocka_unit_test(test_reset_and_power), cmocka_unit_test(test_functions),
        cmocka_unit_test(test_interrupts),      cmocka_unit_test(test_no_hotplug),
    };
    int ret;

    hdl_thread_register_main();
    ret = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return ret;
}
