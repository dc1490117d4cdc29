/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI-to-PCI bridges, with the test as the processor: bus numbers, windows, interrupt pins, bus reset, what firmware
 * would do, and a guest that moves everything from many threads.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/thread.h"
#include "pci_toy.h"

/* root: 02.0 outer -> 03.0 toy, 04.0 inner -> 01.0 deep */
struct bridge_test {
    struct pci_machine machine;
    struct pci_bridge *outer, *inner;
    struct toy *toy, *deep;
};

static void bridge_open(struct bridge_test *test)
{
    pci_machine_init(&test->machine, false);
    test->outer = toy_bridge_plug(&test->machine, &test->machine.host.bus, "2");
    test->toy = toy_plug(&test->machine, &test->outer->bus, "3", NULL);
    test->inner = toy_bridge_plug(&test->machine, &test->outer->bus, "4");
    test->deep = toy_plug(&test->machine, &test->inner->bus, "1", NULL);
}

/* In an order that no sane machine would use: bridges before what is behind them. */
static void bridge_close(struct bridge_test *test)
{
    pci_machine_remove(&test->machine, &test->outer->pci.device);
    pci_machine_remove(&test->machine, &test->deep->pci.device);
    pci_machine_remove(&test->machine, &test->inner->pci.device);
    pci_machine_remove(&test->machine, &test->toy->pci.device);
    pci_machine_destroy(&test->machine);
}

static uint32_t bus_read(struct bridge_test *test, unsigned bus, unsigned slot, unsigned offset, unsigned size)
{
    return machine_config_read(&test->machine, bus << 8 | slot << 3, offset, size);
}

static void bus_write(struct bridge_test *test, unsigned bus, unsigned slot, unsigned offset, unsigned size,
                      uint32_t value)
{
    machine_config_write(&test->machine, bus << 8 | slot << 3, offset, size, value);
}

enum { TOY_ID = 0x56781234, BRIDGE_ID = 0x56791234 };
#define NOBODY UINT32_MAX

static void test_bridge_header(void **state)
{
    struct bridge_test test;

    bridge_open(&test);
    assert_int_equal(bus_read(&test, 0, 2, 0, 4), BRIDGE_ID);
    assert_int_equal(bus_read(&test, 0, 2, PCI_HEADER_TYPE, 1), PCI_HEADER_BRIDGE);
    bus_write(&test, 0, 2, PCI_BAR0, 4, 0xffffffff);
    assert_int_equal(bus_read(&test, 0, 2, PCI_BAR0, 4), 0);
    bus_write(&test, 0, 2, PCI_PRIMARY_BUS, 4, 0xffffffff);
    assert_int_equal(bus_read(&test, 0, 2, PCI_PRIMARY_BUS, 4), 0x00ffffff);
    bus_write(&test, 0, 2, PCI_IO_BASE, 4, 0xffffffff);
    assert_int_equal(bus_read(&test, 0, 2, PCI_IO_BASE, 4), 0x0000f0f0);
    bus_write(&test, 0, 2, PCI_MEMORY_BASE, 4, 0xffffffff);
    assert_int_equal(bus_read(&test, 0, 2, PCI_MEMORY_BASE, 4), 0xfff0fff0);
    bus_write(&test, 0, 2, PCI_PREFETCH_BASE, 4, 0xffffffff);
    assert_int_equal(bus_read(&test, 0, 2, PCI_PREFETCH_BASE, 4), 0xfff1fff1);
    device_reset(&test.outer->pci.device);
    assert_int_equal(bus_read(&test, 0, 2, PCI_PRIMARY_BUS, 4), 0);
    assert_true(bus_read(&test, 0, 2, PCI_MEMORY_BASE, 2) > bus_read(&test, 0, 2, PCI_MEMORY_LIMIT, 2));
    bridge_close(&test);
}

static void test_bus_numbers(void **state)
{
    struct bridge_test test;

    bridge_open(&test);
    for (unsigned bus = 1; bus < 256; bus++) {
        assert_int_equal(bus_read(&test, bus, 3, 0, 4), NOBODY);
    }
    bus_write(&test, 0, 2, PCI_PRIMARY_BUS, 4, 0x00070500);
    assert_int_equal(bus_read(&test, 5, 3, 0, 4), TOY_ID);
    assert_int_equal(bus_read(&test, 5, 4, 0, 4), BRIDGE_ID);
    assert_int_equal(bus_read(&test, 5, 2, 0, 4), NOBODY);
    assert_int_equal(bus_read(&test, 6, 1, 0, 4), NOBODY);
    bus_write(&test, 5, 4, PCI_PRIMARY_BUS, 4, 0x00070705);
    assert_int_equal(bus_read(&test, 7, 1, 0, 4), TOY_ID);
    /* The outer bridge forwards only so far. */
    bus_write(&test, 0, 2, PCI_SUBORDINATE_BUS, 1, 6);
    assert_int_equal(bus_read(&test, 7, 1, 0, 4), NOBODY);
    bus_write(&test, 5, 4, PCI_PRIMARY_BUS, 4, 0x00060605);
    assert_int_equal(bus_read(&test, 6, 1, 0, 4), TOY_ID);
    /* The same number twice: the outer bus answers. */
    bus_write(&test, 5, 4, PCI_PRIMARY_BUS, 4, 0x00050505);
    assert_int_equal(bus_read(&test, 5, 3, 0, 4), TOY_ID);
    assert_int_equal(bus_read(&test, 6, 1, 0, 4), NOBODY);
    bus_write(&test, 5, 4, PCI_PRIMARY_BUS, 4, 0x00060605);
    /* All moves with the outer one's secondary bus number; CONFIG_ADDRESS finds it too. */
    bus_write(&test, 0, 2, PCI_PRIMARY_BUS, 4, 0x00ff0400);
    assert_int_equal(bus_read(&test, 4, 3, 0, 4), TOY_ID);
    assert_int_equal(bus_read(&test, 5, 3, 0, 4), NOBODY);
    assert_int_equal(bus_read(&test, 6, 1, 0, 4), TOY_ID);
    machine_out(&test.machine, 0xcf8, 4, 0x80000000 | 4 << 16 | 3 << 11);
    assert_int_equal(machine_in(&test.machine, 0xcfc, 4), TOY_ID);
    assert_int_equal(pci_bus_number(&test.outer->bus), 4);
    assert_int_equal(pci_bus_number(&test.machine.host.bus), 0);
    bus_write(&test, 0, 2, PCI_PRIMARY_BUS, 4, 0);
    assert_int_equal(bus_read(&test, 4, 3, 0, 4), NOBODY);
    assert_int_equal(bus_read(&test, 0, 2, 0, 4), BRIDGE_ID);
    bridge_close(&test);
}

static void test_windows(void **state)
{
    const uint64_t high = UINT64_C(0x1234500000);
    struct bridge_test test;

    bridge_open(&test);
    bus_write(&test, 0, 2, PCI_PRIMARY_BUS, 4, 0x00010100);
    bus_write(&test, 1, 3, PCI_BAR0, 4, 0xe0108000);
    bus_write(&test, 1, 3, PCI_BAR0 + 8, 4, 0x3020);
    bus_write(&test, 1, 3, PCI_COMMAND, 2, 7);
    machine_write(&test.machine, 0xe0108000, 4, 0x77);
    assert_int_equal(machine_read(&test.machine, 0xe0108000, 4), 0xffffffff);
    bus_write(&test, 0, 2, PCI_MEMORY_BASE, 4, 0xe010e010);
    assert_int_equal(machine_read(&test.machine, 0xe0108000, 4), 0xffffffff);
    bus_write(&test, 0, 2, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    machine_write(&test.machine, 0xe0108000, 4, 0x77);
    assert_int_equal(machine_read(&test.machine, 0xe0108000, 4), 0x77);
    assert_int_equal(test.toy->value[0], 0x77);
    /* Half of the BAR's alignment unit out of the window. */
    bus_write(&test, 1, 3, PCI_BAR0, 4, 0xe0200000);
    assert_int_equal(machine_read(&test.machine, 0xe0200000, 4), 0xffffffff);
    bus_write(&test, 0, 2, PCI_MEMORY_LIMIT, 2, 0xe020);
    assert_int_equal(machine_read(&test.machine, 0xe0200000, 4), 0x77);
    bus_write(&test, 0, 2, PCI_MEMORY_BASE, 4, 0x0000fff0);
    assert_int_equal(machine_read(&test.machine, 0xe0200000, 4), 0xffffffff);
    /* 64 bits, by the prefetchable window. */
    bus_write(&test, 1, 3, PCI_BAR0, 4, (uint32_t)high);
    bus_write(&test, 1, 3, PCI_BAR0 + 4, 4, high >> 32);
    bus_write(&test, 0, 2, PCI_PREFETCH_BASE, 4, 0x34503450);
    bus_write(&test, 0, 2, PCI_PREFETCH_BASE_HIGH, 4, 0x12);
    bus_write(&test, 0, 2, PCI_PREFETCH_LIMIT_HIGH, 4, 0x12);
    assert_int_equal(machine_read(&test.machine, high, 4), 0x77);
    assert_int_equal(machine_read(&test.machine, 0x34500000, 4), 0xffffffff);
    /* Ports */
    assert_int_equal(machine_in(&test.machine, 0x3020, 4), 0xffffffff);
    bus_write(&test, 0, 2, PCI_IO_BASE, 2, 0x3030);
    assert_int_equal(machine_in(&test.machine, 0x3020, 4), 0xffffffff);
    bus_write(&test, 0, 2, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
    machine_out(&test.machine, 0x3020, 4, 0x99);
    assert_int_equal(test.toy->value[1], 0x99);
    /* Cut off, and back. */
    device_lock(&test.outer->pci.device);
    pci_bridge_set_cut(test.outer, true);
    device_unlock(&test.outer->pci.device);
    assert_int_equal(machine_in(&test.machine, 0x3020, 4), 0xffffffff);
    assert_int_equal(machine_read(&test.machine, high, 4), 0xffffffff);
    assert_int_equal(bus_read(&test, 1, 3, 0, 4), NOBODY);
    device_lock(&test.outer->pci.device);
    pci_bridge_set_cut(test.outer, false);
    device_unlock(&test.outer->pci.device);
    assert_int_equal(machine_read(&test.machine, high, 4), 0x77);
    /* A window over everything hides no RAM. */
    memset(machine_host(&test.machine, 0x100000), 0x11, 4096);
    bus_write(&test, 0, 2, PCI_PREFETCH_BASE, 4, 0xfff00000);
    bus_write(&test, 0, 2, PCI_PREFETCH_BASE_HIGH, 4, 0);
    bus_write(&test, 0, 2, PCI_PREFETCH_LIMIT_HIGH, 4, 0xffffffff);
    assert_int_equal(machine_read(&test.machine, 0x100000, 4), 0x11111111);
    assert_int_equal(machine_read(&test.machine, high, 4), 0x77);
    bridge_close(&test);
}

static void test_swizzle(void **state)
{
    struct bridge_test test;
    /* toy: INTA# of slot 3 is INTD# of outer, slot 2. deep: slot 1: INTB# of inner, slot 4: INTB# of outer. */
    unsigned toy = pci_pirq(2, 3), deep = pci_pirq(2, 1);

    bridge_open(&test);
    assert_int_equal(pci_device_pirq(&test.toy->pci, 0), toy);
    assert_int_equal(pci_device_pirq(&test.deep->pci, 0), deep);
    toy_intx(&test.toy->pci.device, true);
    assert_true(test.machine.pirq[toy] && !test.machine.pirq[deep]);
    toy_intx(&test.deep->pci.device, true);
    assert_true(test.machine.pirq[deep]);
    toy_intx(&test.deep->pci.device, false);
    assert_false(test.machine.pirq[deep]);
    bridge_close(&test);
}

static void test_bus_reset(void **state)
{
    struct bridge_test test;

    bridge_open(&test);
    pci_machine_assign(&test.machine);
    assert_int_equal(bus_read(&test, 1, 3, PCI_COMMAND, 2), 7);
    bus_write(&test, 0, 2, PCI_BRIDGE_CONTROL, 2, PCI_BRIDGE_CONTROL_BUS_RESET);
    assert_true(test.toy->resets == 1 && test.deep->resets == 1);
    assert_int_equal(bus_read(&test, 1, 3, PCI_COMMAND, 2), 0);
    assert_int_equal(bus_read(&test, 1, 4, PCI_SECONDARY_BUS, 1), 0);
    bus_write(&test, 0, 2, PCI_BRIDGE_CONTROL, 2, PCI_BRIDGE_CONTROL_BUS_RESET);
    bus_write(&test, 0, 2, PCI_BRIDGE_CONTROL, 2, 0);
    assert_int_equal(test.toy->resets, 1);
    bus_write(&test, 0, 2, PCI_BRIDGE_CONTROL, 2, PCI_BRIDGE_CONTROL_BUS_RESET);
    assert_int_equal(test.toy->resets, 2);
    bridge_close(&test);
}

static void test_bridge_assign(void **state)
{
    struct pci_hotplug hotplug = {0};
    struct pci_function_info info;
    struct bridge_test test;
    struct pci_bridge *port;
    uint64_t where;

    bridge_open(&test);
    port = toy_bridge_plug(&test.machine, &test.machine.host.bus, "1");
    port->bus.hotplug = &hotplug;
    pci_machine_assign(&test.machine);
    /* Depth first: 1 behind 01.0, 2 behind 02.0, 3 behind that. */
    assert_int_equal(bus_read(&test, 0, 1, PCI_PRIMARY_BUS, 4), 0x00010100);
    assert_int_equal(bus_read(&test, 0, 2, PCI_PRIMARY_BUS, 4), 0x00030200);
    assert_int_equal(bus_read(&test, 2, 4, PCI_PRIMARY_BUS, 4), 0x00030302);
    where = test.deep->pci.bars[0].address;
    assert_true(where >= MACHINE_PCI_FIRST && where < MACHINE_PCI_LAST);
    machine_write(&test.machine, where, 4, 0x1357);
    assert_int_equal(test.deep->value[0], 0x1357);
    machine_out(&test.machine, (uint16_t)test.deep->pci.bars[2].address, 4, 0x2468);
    assert_int_equal(test.deep->value[1], 0x2468);
    pci_device_get_info(&test.outer->pci, &info);
    assert_true(info.identity.is_bridge && info.identity.class_code == 0x060400);
    assert_true(info.bridge.secondary == 2 && info.bridge.subordinate == 3);
    assert_true(info.bridge.memory.first <= where && where < info.bridge.memory.last);
    assert_int_equal(info.bridge.memory.last - info.bridge.memory.first, 0x1fffff);
    assert_true(info.bridge.prefetch_memory.first > info.bridge.prefetch_memory.last);
    /* Where something may come there is room. The ports are all taken: then it has none of those registers. */
    pci_device_get_info(&port->pci, &info);
    assert_int_equal(info.bridge.memory.last - info.bridge.memory.first, 0x1fffff);
    assert_true(info.bridge.memory.last < test.outer->windows[PCI_BRIDGE_MEMORY].range.first);
    pci_device_get_info(&test.deep->pci, &info);
    assert_true(!info.identity.is_bridge && info.bars[0].mapped && info.bars[0].address == where);
    assert_int_equal(info.bars[0].size_bytes, 0x4000);
    assert_ptr_equal(pci_bus_function(test.inner->pci.secondary, pci_devfn(1, 0)), &test.deep->pci);
    /* Once more changes nothing. */
    pci_machine_assign(&test.machine);
    assert_int_equal(test.deep->pci.bars[0].address, where);
    port->bus.hotplug = NULL;
    pci_machine_remove(&test.machine, &port->pci.device);
    bridge_close(&test);
}

static void test_depth(void **state)
{
    struct pci_bridge *bridges[PCI_BUS_DEPTH_MAX];
    struct pci_machine machine;
    struct pci_bus *bus;
    struct device *device;
    struct error *err = NULL;
    struct toy *toy;

    pci_machine_init(&machine, false);
    bus = &machine.host.bus;
    for (unsigned i = 0; i < PCI_BUS_DEPTH_MAX; i++) {
        bridges[i] = toy_bridge_plug(&machine, bus, "1");
        bus = &bridges[i]->bus;
    }
    device = device_create(&toy_bridge_type, NULL, machine.loop, &machine.memory, NULL);
    pci_device_attach(pci_device_of(device), bus);
    assert_int_equal(device_realize(device, &err), -EINVAL);
    error_free(err);
    device_put(device);
    toy = toy_plug(&machine, bus, NULL, NULL);
    pci_machine_assign(&machine);
    assert_int_equal(machine_config_read(&machine, PCI_BUS_DEPTH_MAX << 8, 0, 4), TOY_ID);
    machine_write(&machine, toy->pci.bars[0].address, 4, 5);
    assert_int_equal(toy->value[0], 5);
    pci_machine_remove(&machine, &toy->pci.device);
    for (unsigned i = PCI_BUS_DEPTH_MAX; i-- > 0;) {
        pci_machine_remove(&machine, &bridges[i]->pci.device);
    }
    pci_machine_destroy(&machine);
}

/* --- threads ----------------------------------------------------------------------------------------------------- */

#define THREADS 4
#define ROUNDS  300

struct mover {
    struct bridge_test *test;
    unsigned index;
    struct hdl_thread thread;
};

static void mover_run(void *opaque)
{
    struct mover *mover = opaque;
    struct bridge_test *test = mover->test;

    for (unsigned i = 0; i < ROUNDS; i++) {
        switch (mover->index) {
        case 0:
            bus_write(test, 0, 2, PCI_MEMORY_BASE, 4, 0xe010e000 + i % 3 * 0x10);
            bus_write(test, 0, 2, PCI_SUBORDINATE_BUS, 1, 1 + i % 3);
            break;
        case 1:
            bus_write(test, 1, 3, PCI_BAR0, 4, 0xe0100000 + i % 4 * 0x4000);
            bus_write(test, 1, 3, PCI_COMMAND, 2, i % 5 ? 7 : 0);
            break;
        case 2:
            bus_write(test, 0, 2, PCI_BRIDGE_CONTROL, 2, i % 2 ? PCI_BRIDGE_CONTROL_BUS_RESET : 0);
            bus_write(test, 1, 4, PCI_PRIMARY_BUS, 4, 0x00020201);
            break;
        default:
            (void)machine_read(&test->machine, 0xe0100000, 4);
            (void)bus_read(test, 2, 1, 0, 4);
            assert_int_equal(bus_read(test, 1, 3, 0, 4), TOY_ID);
        }
    }
}

static void test_movers(void **state)
{
    struct mover movers[THREADS];
    struct bridge_test test;

    bridge_open(&test);
    pci_machine_assign(&test.machine);
    for (unsigned i = 0; i < THREADS; i++) {
        movers[i] = (struct mover){.test = &test, .index = i};
        assert_int_equal(hdl_thread_start(&movers[i].thread, "mover", mover_run, &movers[i], NULL), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        hdl_thread_join(&movers[i].thread);
    }
    bridge_close(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bridge_header), cmocka_unit_test(test_bus_numbers), cmocka_unit_test(test_windows),
        cmocka_unit_test(test_swizzle),       cmocka_unit_test(test_bus_reset),   cmocka_unit_test(test_bridge_assign),
        cmocka_unit_test(test_depth),         cmocka_unit_test(test_movers),
    };
    int ret;

    hdl_thread_register_main();
    ret = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return ret;
}
