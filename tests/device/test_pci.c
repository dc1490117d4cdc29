/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI functions, the host bridge and MSI-X, with the test as the processor: config space through ports and ECAM, BARs
 * that are sized and moved, slots, interrupt lines, vectors that are masked and pending, and many threads at once.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/thread.h"
#include "leave.h"
#include "pci_toy.h"

struct pci_test {
    struct pci_machine machine;
    struct toy *toy;
    unsigned devfn;
    unsigned msix;  /* capability */
    uint64_t table; /* where the vectors are, once assigned */
};

static void pci_open(struct pci_test *test, bool routes)
{
    pci_machine_init(&test->machine, routes);
    test->toy = (struct toy *)pci_machine_add(&test->machine, &toy_type, NULL);
    test->devfn = test->toy->pci.devfn;
    test->msix = machine_capability(&test->machine, test->devfn, PCI_CAPABILITY_MSIX, 0);
}

static void pci_assign(struct pci_test *test)
{
    pci_machine_assign(&test->machine);
    test->table = test->toy->pci.bars[3].address;
}

static void pci_close(struct pci_test *test)
{
    pci_machine_remove(&test->machine, &test->toy->pci.device);
    pci_machine_destroy(&test->machine);
}

static uint32_t config_read(struct pci_test *test, unsigned offset, unsigned size)
{
    return machine_config_read(&test->machine, test->devfn, offset, size);
}

static void config_write(struct pci_test *test, unsigned offset, unsigned size, uint32_t value)
{
    machine_config_write(&test->machine, test->devfn, offset, size, value);
}

/* --- config space ----------------------------------------------------------------------------------------------- */

static void test_header(void **state)
{
    struct pci_test test;

    pci_open(&test, false);
    assert_int_equal(config_read(&test, 0, 4), 0x56781234);
    assert_int_equal(config_read(&test, PCI_REVISION, 4), 0xff000007);
    assert_int_equal(config_read(&test, PCI_INTERRUPT_PIN, 1), 1);
    config_write(&test, 0, 4, 0);
    assert_int_equal(config_read(&test, 0, 4), 0x56781234);
    config_write(&test, PCI_INTERRUPT_LINE, 1, 0x55);
    assert_int_equal(config_read(&test, PCI_INTERRUPT_LINE, 2), 0x155);
    /* Unaligned, wide, and beyond what has contents. */
    assert_int_equal(config_read(&test, 1, 2), 0x7812);
    assert_int_equal(machine_read(&test.machine, MACHINE_ECAM + (test.devfn << 12), 8) & 0xffffffff, 0x56781234);
    assert_int_equal(config_read(&test, 0x100, 4), 0);
    config_write(&test, 0xffc, 4, 0xffffffff);
    /* Nobody there: another slot, another function, another bus. */
    assert_int_equal(machine_config_read(&test.machine, pci_devfn(9, 0), 0, 4), 0xffffffff);
    assert_int_equal(machine_config_read(&test.machine, test.devfn + 1, 0, 2), 0xffff);
    assert_int_equal(machine_read(&test.machine, MACHINE_ECAM + (1 << 20), 4), 0xffffffff);
    machine_config_write(&test.machine, pci_devfn(9, 0), 4, 2, 7);
    assert_int_equal(machine_config_read(&test.machine, 0, 0, 4), 0x00081b36);
    assert_int_equal(machine_config_read(&test.machine, 0, PCI_CLASS, 1), 0);
    assert_int_equal(machine_config_read(&test.machine, 0, PCI_CLASS + 1, 2), 0x0600);
    pci_close(&test);
}

static void test_ports(void **state)
{
    struct pci_test test;
    uint32_t address;

    pci_open(&test, false);
    address = 0x80000000 | test.devfn << 8;
    assert_int_equal(machine_in(&test.machine, 0xcfc, 4), 0xffffffff);
    machine_out(&test.machine, 0xcf8, 4, address);
    assert_int_equal(machine_in(&test.machine, 0xcf8, 4), address);
    assert_int_equal(machine_in(&test.machine, 0xcfc, 4), 0x56781234);
    assert_int_equal(machine_in(&test.machine, 0xcfe, 2), 0x5678);
    assert_int_equal(machine_in(&test.machine, 0xcfd, 1), 0x12);
    machine_out(&test.machine, 0xcf8, 4, address | PCI_INTERRUPT_LINE);
    machine_out(&test.machine, 0xcfc, 1, 0x77);
    assert_int_equal(config_read(&test, PCI_INTERRUPT_LINE, 1), 0x77);
    /* Not enabled. */
    machine_out(&test.machine, 0xcf8, 4, address & 0x7fffffff);
    assert_int_equal(machine_in(&test.machine, 0xcfc, 4), 0xffffffff);
    /* Narrow accesses aren't CONFIG_ADDRESS; the byte at 0xcf9 is reset control. */
    machine_out(&test.machine, 0xcf8, 1, 0xaa);
    machine_out(&test.machine, 0xcf8, 2, 0xaaaa);
    assert_int_equal(machine_in(&test.machine, 0xcf8, 4), address & 0x7fffffff);
    assert_int_equal(atomic_load(&test.machine.reset_writes), 0);
    machine_out(&test.machine, 0xcf9, 1, 6);
    assert_int_equal(atomic_load(&test.machine.reset_writes), 1);
    assert_int_equal(machine_in(&test.machine, 0xcf9, 1), 2);
    pci_host_reset(&test.machine.host);
    assert_int_equal(machine_in(&test.machine, 0xcf8, 4), 0);
    pci_close(&test);
}

/* --- BARs ------------------------------------------------------------------------------------------------------- */

static void test_bar_sizing(void **state)
{
    struct pci_test test;

    pci_open(&test, false);
    assert_int_equal(config_read(&test, PCI_BAR0, 4), PCI_BAR_64BIT | PCI_BAR_PREFETCH);
    config_write(&test, PCI_BAR0, 4, 0xffffffff);
    config_write(&test, PCI_BAR0 + 4, 4, 0xffffffff);
    assert_int_equal(config_read(&test, PCI_BAR0, 4), 0xffffc000 | PCI_BAR_64BIT | PCI_BAR_PREFETCH);
    assert_int_equal(config_read(&test, PCI_BAR0 + 4, 4), 0xffffffff);
    config_write(&test, PCI_BAR0 + 8, 4, 0xffffffff);
    assert_int_equal(config_read(&test, PCI_BAR0 + 8, 4), 0xffffffe0 | PCI_BAR_IO_SPACE);
    config_write(&test, PCI_BAR0 + 20, 4, 0xffffffff);
    assert_int_equal(config_read(&test, PCI_BAR0 + 20, 4), 0);
    pci_close(&test);
}

static void test_bar_moves(void **state)
{
    const uint64_t high = UINT64_C(0x123456780000);
    struct pci_test test;

    pci_open(&test, false);
    config_write(&test, PCI_BAR0, 4, 0xe0004000);
    assert_int_equal(machine_read(&test.machine, 0xe0004000, 4), 0xffffffff);
    config_write(&test, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
    machine_write(&test.machine, 0xe0004000, 4, 0xabcd);
    assert_int_equal(test.toy->value[0], 0xabcd);
    config_write(&test, PCI_BAR0, 4, 0xe0010000);
    assert_int_equal(machine_read(&test.machine, 0xe0004000, 4), 0xffffffff);
    assert_int_equal(machine_read(&test.machine, 0xe0010000, 4), 0xabcd);
    config_write(&test, PCI_BAR0, 4, (uint32_t)high);
    config_write(&test, PCI_BAR0 + 4, 4, high >> 32);
    assert_int_equal(machine_read(&test.machine, high, 4), 0xabcd);
    config_write(&test, PCI_BAR0 + 8, 4, 0xc020);
    machine_out(&test.machine, 0xc020, 4, 0x99);
    assert_int_equal(test.toy->value[1], 0x99);
    config_write(&test, PCI_COMMAND, 2, PCI_COMMAND_IO);
    assert_int_equal(machine_read(&test.machine, high, 4), 0xffffffff);
    assert_int_equal(machine_in(&test.machine, 0xc020, 4), 0x99);
    /* Reset takes all away. */
    device_reset(&test.toy->pci.device);
    assert_int_equal(machine_in(&test.machine, 0xc020, 4), 0xffffffff);
    assert_int_equal(config_read(&test, PCI_BAR0 + 8, 4), PCI_BAR_IO_SPACE);
    assert_int_equal(config_read(&test, PCI_COMMAND, 2), 0);
    pci_close(&test);
}

/* Anywhere a guest may put one: over RAM it hides none, past an end it isn't there. */
static void test_bar_anywhere(void **state)
{
    static const uint64_t places[] = {
        0, 0x100000, 0xfffffffffffffff0, 0xffffc000, 0xfffffffffffff000, 0xb0000000, 0xffffffff00000000, 0x100004000};
    struct pci_test test;

    pci_open(&test, false);
    memset(machine_host(&test.machine, 0x100000), 0x11, 4096);
    config_write(&test, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        config_write(&test, PCI_BAR0, 4, (uint32_t)places[i]);
        config_write(&test, PCI_BAR0 + 4, 4, places[i] >> 32);
        assert_int_equal(machine_read(&test.machine, 0x100000, 4), 0x11111111);
        assert_int_equal(config_read(&test, 0, 4), 0x56781234);
    }
    config_write(&test, PCI_BAR0 + 8, 4, 0xffffffff);
    config_write(&test, PCI_BAR0 + 8, 4, 0x10000);
    config_write(&test, PCI_BAR0 + 8, 4, 0xffe0);
    assert_int_equal(machine_in(&test.machine, 0xffe0, 4), 0);
    pci_close(&test);
}

static void test_assign(void **state)
{
    struct pci_test test;
    struct device *others[5];
    uint64_t seen[6];

    pci_open(&test, false);
    for (unsigned i = 0; i < 5; i++) {
        others[i] = pci_machine_add(&test.machine, &toy_type, NULL);
    }
    pci_machine_assign(&test.machine);
    seen[5] = test.toy->pci.bars[0].address;
    assert_int_equal(config_read(&test, PCI_COMMAND, 2), 7);
    assert_int_equal(config_read(&test, PCI_INTERRUPT_LINE, 1), pci_pirq_gsi(pci_slot(test.devfn), 0));
    for (unsigned i = 0; i < 5; i++) {
        struct toy *toy = (struct toy *)others[i];

        seen[i] = toy->pci.bars[0].address;
        assert_true(toy->pci.bars[0].mapped && toy->pci.bars[2].mapped && toy->pci.bars[3].mapped);
        assert_true(seen[i] >= MACHINE_PCI_FIRST && seen[i] + 0x3fff <= MACHINE_PCI_LAST && seen[i] % 0x4000 == 0);
        for (unsigned j = 0; j < i; j++) {
            assert_int_not_equal(seen[i], seen[j]);
        }
        machine_write(&test.machine, seen[i], 4, 100 + i);
        assert_int_equal(toy->value[0], 100 + i);
    }
    /* A second time changes nothing. */
    pci_machine_assign(&test.machine);
    assert_int_equal(test.toy->pci.bars[0].address, seen[5]);
    for (unsigned i = 0; i < 5; i++) {
        pci_machine_remove(&test.machine, others[i]);
        assert_int_equal(machine_read(&test.machine, seen[i], 4), 0xffffffff);
    }
    pci_close(&test);
}

static void test_assign_full(void **state)
{
    struct pci_window small = {.first = 0xe0000000, .last = 0xe0000fff};
    struct pci_window none = {.first = 1, .last = 0};
    struct pci_window high = {.first = UINT64_C(0x800000000), .last = UINT64_C(0x800003fff)};
    struct pci_window top = {.first = UINT64_MAX - 0x3fff, .last = UINT64_MAX};
    struct pci_test test;

    pci_open(&test, false);
    assert_int_equal(pci_bus_assign(&test.machine.host.bus, small, high, none), -ENOSPC);
    assert_int_equal(test.toy->pci.bars[0].address, high.first);
    assert_int_equal(test.toy->pci.bars[3].address, small.first);
    assert_false(test.toy->pci.bars[2].mapped);
    device_reset(&test.toy->pci.device);
    (void)pci_bus_assign(&test.machine.host.bus, none, top, none);
    pci_close(&test);
}

/* --- slots and lines --------------------------------------------------------------------------------------------- */

static struct device *toy_at(struct pci_machine *machine, const char *addr, int expected)
{
    struct device *device = device_create(&toy_type, addr, machine->loop, &machine->memory, NULL);
    struct error *err = NULL;

    if (addr) {
        assert_int_equal(property_set(device, toy_type.properties, "addr", addr, NULL), 0);
    }
    pci_device_attach(pci_device_of(device), &machine->host.bus);
    assert_int_equal(device_realize(device, &err), expected);
    assert_int_equal(err != NULL, expected < 0);
    error_free(err);
    if (expected < 0) {
        device_put(device);
        pci_machine_poll(machine);
        return NULL;
    }
    return device;
}

static void test_slots(void **state)
{
    struct device *devices[31];
    struct pci_machine machine;

    pci_machine_init(&machine, false);
    devices[0] = toy_at(&machine, "5.1", 0);
    assert_int_equal(machine_config_read(&machine, pci_devfn(5, 1), PCI_HEADER_TYPE, 1), 0);
    devices[1] = toy_at(&machine, "5", 0);
    assert_int_equal(machine_config_read(&machine, pci_devfn(5, 0), PCI_HEADER_TYPE, 1), 0x80);
    assert_int_equal(machine_config_read(&machine, pci_devfn(5, 1), PCI_HEADER_TYPE, 1), 0x80);
    (void)toy_at(&machine, "0", -EBUSY);
    (void)toy_at(&machine, "05.0", -EBUSY);
    for (unsigned i = 2; i < 31; i++) {
        devices[i] = toy_at(&machine, NULL, 0);
        assert_int_equal(pci_device_of(devices[i])->devfn, pci_devfn(i < 6 ? i - 1 : i, 0));
    }
    pci_machine_remove(&machine, devices[0]);
    pci_machine_remove(&machine, devices[1]);
    devices[0] = toy_at(&machine, NULL, 0);
    assert_int_equal(pci_device_of(devices[0])->devfn, pci_devfn(5, 0));
    for (unsigned i = 0; i < 31; i++) {
        if (i != 1) {
            pci_machine_remove(&machine, devices[i]);
        }
    }
    pci_machine_destroy(&machine);
}

/* Two functions on one line; masked by INTX_DISABLE and by MSI-X; low again when the device goes. */
static void test_intx(void **state)
{
    struct pci_test test;
    struct device *other;
    unsigned pirq;

    pci_open(&test, false);
    pirq = pci_pirq(pci_slot(test.devfn), 0);
    assert_int_equal(pci_pirq_gsi(1, 0), 17);
    assert_int_equal(pci_pirq_gsi(3, 3), 18);
    other = toy_at(&test.machine, "5", 0);
    assert_int_equal(pci_pirq(5, 0), pirq);
    toy_intx(other, true);
    toy_intx(&test.toy->pci.device, true);
    toy_intx(other, false);
    assert_true(test.machine.pirq[pirq]);
    config_write(&test, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
    assert_false(test.machine.pirq[pirq]);
    assert_true(config_read(&test, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
    config_write(&test, PCI_COMMAND, 2, 0);
    assert_true(test.machine.pirq[pirq]);
    config_write(&test, test.msix + MSIX_CONTROL, 2, MSIX_CONTROL_ENABLE);
    assert_false(test.machine.pirq[pirq]);
    config_write(&test, test.msix + MSIX_CONTROL, 2, 0);
    assert_true(test.machine.pirq[pirq]);
    toy_intx(other, true);
    pci_machine_remove(&test.machine, other);
    assert_true(test.machine.pirq[pirq]);
    device_reset(&test.toy->pci.device);
    assert_false(test.machine.pirq[pirq]);
    pci_close(&test);
}

/* --- MSI-X ------------------------------------------------------------------------------------------------------ */

static void vector_program(struct pci_test *test, unsigned vector, uint32_t data, bool masked)
{
    uint64_t entry = test->table + 16 * vector;

    machine_write(&test->machine, entry, 8, UINT64_C(0x1fee01000) + vector * 4);
    machine_write(&test->machine, entry + 8, 4, data);
    machine_write(&test->machine, entry + 12, 4, masked);
}

static void vector_mask(struct pci_test *test, unsigned vector, bool masked)
{
    machine_write(&test->machine, test->table + 16 * vector + 12, 4, masked);
}

static uint64_t pending(struct pci_test *test)
{
    uint64_t pba = config_read(test, test->msix + MSIX_PBA, 4) & ~7u;

    return machine_read(&test->machine, test->table + pba, 8);
}

static void run_msix(bool routes)
{
    struct pci_test test;
    struct test_msi *msi = &test.machine.msi;

    pci_open(&test, routes);
    pci_assign(&test);
    assert_int_equal(config_read(&test, test.msix + MSIX_CONTROL, 2), 3);
    vector_program(&test, 2, 0x42, false);
    msix_notify(&test.toy->pci, 2);
    assert_int_equal(test_msi_count(msi), 0);

    config_write(&test, test.msix + MSIX_CONTROL, 2, MSIX_CONTROL_ENABLE | MSIX_CONTROL_FUNCTION_MASK | 0x7ff);
    assert_int_equal(config_read(&test, test.msix + MSIX_CONTROL, 2), 0xc003);
    msix_notify(&test.toy->pci, 2);
    msix_notify(&test.toy->pci, 2);
    msix_notify(&test.toy->pci, 1);
    assert_int_equal(test_msi_count(msi), 0);
    assert_int_equal(pending(&test), 6);

    /* The function mask goes: what isn't masked itself is sent, once. */
    config_write(&test, test.msix + MSIX_CONTROL, 2, MSIX_CONTROL_ENABLE);
    assert_int_equal(test_msi_count(msi), 1);
    assert_true(msi->last.address == UINT64_C(0x1fee01008) && msi->last.data == 0x42);
    assert_int_equal(pending(&test), 2);
    vector_program(&test, 1, 0x43, true);
    assert_int_equal(test_msi_count(msi), 1);
    vector_mask(&test, 1, false);
    assert_int_equal(test_msi_count(msi), 2);
    assert_int_equal(msi->last.data, 0x43);
    assert_int_equal(pending(&test), 0);

    /* A new message takes effect, masked or not. */
    vector_mask(&test, 1, true);
    msix_notify(&test.toy->pci, 1);
    vector_program(&test, 1, 0x44, false);
    assert_int_equal(test_msi_count(msi), 3);
    assert_int_equal(msi->last.data, 0x44);

    /* Without bus mastering nothing leaves the device. */
    config_write(&test, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    msix_notify(&test.toy->pci, 2);
    assert_int_equal(test_msi_count(msi), 3);
    config_write(&test, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    assert_int_equal(test_msi_count(msi), 4);

    msix_notify(&test.toy->pci, 4);
    msix_notify(&test.toy->pci, 0xffff);
    assert_int_equal(test_msi_count(msi), 4);
    /* Each vector has its route and eventfd where there are any. */
    assert_int_equal(msi->calls, routes ? 0 : 4);
    device_reset(&test.toy->pci.device);
    msix_notify(&test.toy->pci, 2);
    assert_int_equal(test_msi_count(msi), 4);
    for (unsigned i = 0; i < MACHINE_ROUTES; i++) {
        assert_false(msi->route_used[i]);
    }
    pci_close(&test);
}

static void test_msix(void **state)
{
    run_msix(false);
    run_msix(true);
}

static void test_msix_table(void **state)
{
    struct pci_test test;
    uint64_t table;

    pci_open(&test, false);
    pci_assign(&test);
    table = test.table;
    assert_int_equal(machine_read(&test.machine, table + 12, 4), 1);
    machine_write(&test.machine, table, 4, 0xffffffff);
    assert_int_equal(machine_read(&test.machine, table, 4), 0xfffffffc);
    machine_write(&test.machine, table + 12, 4, 0xfffffffe);
    assert_int_equal(machine_read(&test.machine, table + 12, 4), 0);
    /* Beyond the table, narrow, and into the pending bits. */
    machine_write(&test.machine, table + 64, 4, 0xffffffff);
    assert_int_equal(machine_read(&test.machine, table + 64, 4), 0);
    machine_write(&test.machine, table + 1, 1, 0);
    assert_int_equal(machine_read(&test.machine, table, 4), 0xfffffffc);
    machine_write(&test.machine, table + 0x800, 8, UINT64_MAX);
    assert_int_equal(machine_read(&test.machine, table + 0x800, 8), 0);
    pci_close(&test);
}

/* --- pci-testdev ------------------------------------------------------------------------------------------------- */

static void test_testdev(void **state)
{
    struct pci_machine machine;
    struct device *device;
    uint64_t base;
    char name[20] = {0};

    pci_machine_init(&machine, false);
    device = pci_machine_add(&machine, &pci_testdev_type, NULL);
    pci_machine_assign(&machine);
    base = machine_config_read(&machine, pci_device_of(device)->devfn, PCI_BAR0, 4);
    for (unsigned test = 0; test < 3; test++) {
        uint64_t where;

        machine_write(&machine, base, 1, test);
        assert_int_equal(machine_read(&machine, base + 12, 4), 0);
        assert_int_equal(machine_read(&machine, base + 1, 1), 1);
        where = base + machine_read(&machine, base + 4, 4);
        for (unsigned i = 0; i < 16; i++) {
            machine_write(&machine, where, 1, machine_read(&machine, base + 8, 4));
        }
        assert_int_equal(machine_read(&machine, base + 12, 4), 16);
        machine_write(&machine, where, 1, 0);
        assert_int_equal(machine_read(&machine, base + 12, 4), test == 2 ? 16 : 17);
    }
    for (unsigned i = 0; i < sizeof(name) - 1; i++) {
        name[i] = (char)machine_read(&machine, base + 16 + i, 1);
    }
    assert_string_equal(name, "pci-mem:datamatch-e");
    machine_write(&machine, base, 1, 3);
    assert_int_equal(machine_read(&machine, base + 1, 1), 0);
    pci_machine_remove(&machine, device);
    pci_machine_destroy(&machine);
}

/* --- threads ---------------------------------------------------------------------------------------------------- */

#define THREADS 4
#define ROUNDS  400

struct racer {
    struct pci_test *test;
    unsigned index;
    struct hdl_thread thread;
};

/* One moves the BAR, one masks and unmasks, one notifies, one reads all functions through the ports and ECAM. */
static void racer_run(void *opaque)
{
    struct racer *racer = opaque;
    struct pci_test *test = racer->test;

    for (unsigned i = 0; i < ROUNDS; i++) {
        switch (racer->index) {
        case 0:
            config_write(test, PCI_BAR0, 4, 0xe1000000 + (i % 4) * 0x4000);
            config_write(test, PCI_COMMAND, 2, i % 8 ? 6 : 4);
            break;
        case 1:
            vector_mask(test, i % 4, i & 4);
            (void)pending(test);
            break;
        case 2:
            msix_notify(&test->toy->pci, i % 5);
            break;
        default:
            machine_out(&test->machine, 0xcf8, 4, 0x80000000 | (i % 4) << 11);
            (void)machine_in(&test->machine, 0xcfc, 4);
            assert_int_equal(config_read(test, 0, 4), 0x56781234);
            (void)machine_read(&test->machine, 0xe1000000, 4);
        }
    }
}

static void run_race(bool routes)
{
    struct racer racers[THREADS];
    struct pci_test test;

    pci_open(&test, routes);
    pci_assign(&test);
    config_write(&test, test.msix + MSIX_CONTROL, 2, MSIX_CONTROL_ENABLE);
    for (unsigned i = 0; i < THREADS; i++) {
        racers[i] = (struct racer){.test = &test, .index = i};
        assert_int_equal(hdl_thread_start(&racers[i].thread, "racer", racer_run, &racers[i], NULL), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        hdl_thread_join(&racers[i].thread);
    }
    config_write(&test, PCI_COMMAND, 2, 6);
    for (unsigned i = 0; i < 4; i++) {
        vector_mask(&test, i, false);
    }
    assert_int_equal(pending(&test), 0);
    pci_close(&test);
}

static void test_race(void **state)
{
    run_race(false);
    run_race(true);
}

/*
 * Functions leave by themselves, on a loop of their own, while the configuration thread walks the bus as it would at a
 * reboot, and a processor moves BARs, reads headers and raises interrupts. Each slot is free again afterwards.
 */
static void leaving_guest(void *opaque)
{
    struct pci_test *test = opaque;

    for (unsigned i = 0; i < 8 * ROUNDS; i++) {
        for (unsigned function = 0; function < 2; function++) {
            unsigned devfn = pci_devfn(5, function);

            machine_config_write(&test->machine, devfn, PCI_BAR0, 4, 0xe1000000 + (i % 4) * 0x4000);
            machine_config_write(&test->machine, devfn, PCI_COMMAND, 2, i % 3 ? 7 : 0);
            (void)machine_config_read(&test->machine, devfn, PCI_HEADER_TYPE, 1);
            (void)machine_read(&test->machine, 0xe1000000, 4);
        }
    }
}

static void test_leaving(void **state)
{
    struct hdl_thread guest;
    struct event_loop *loop;
    struct pci_test test;

    pci_open(&test, false);
    loop = event_loop_create("leaving", NULL);
    assert_int_equal(event_loop_start_thread(loop, NULL), 0);
    assert_int_equal(hdl_thread_start(&guest, "guest", leaving_guest, &test, NULL), 0);
    for (unsigned i = 0; i < ROUNDS / 8; i++) {
        struct device *devices[] = {&toy_plug(&test.machine, &test.machine.host.bus, "5.0", loop)->pci.device,
                                    &toy_plug(&test.machine, &test.machine.host.bus, "5.1", loop)->pci.device};

        (void)pci_bus_function(&test.machine.host.bus, pci_devfn(5, 0));
        toy_intx(devices[0], true);
        machine_config_write(&test.machine, pci_devfn(5, 0), test.msix + MSIX_CONTROL, 2, MSIX_CONTROL_ENABLE);
        assert_true(msix_is_enabled(pci_device_of(devices[0])));
        device_unplug(devices[1]);
        pci_machine_assign(&test.machine);
        device_unplug(devices[0]);
        pci_machine_assign(&test.machine);
        for (unsigned j = 0; j < 2; j++) {
            while (pci_bus_function(&test.machine.host.bus, pci_devfn(5, j))) {
            }
            assert_false(pci_device_of(devices[j])->exposed);
        }
        /* What still runs of it can't be heard any more, and a reset that comes late brings nothing back. */
        toy_intx(devices[0], true);
        assert_false(msix_is_enabled(pci_device_of(devices[0])));
        device_reset(devices[0]);
        assert_false(test.machine.pirq[pci_pirq(5, 0)]);
        while (atomic_load(&devices[0]->state) != DEVICE_GONE || atomic_load(&devices[1]->state) != DEVICE_GONE) {
            hdl_rcu_barrier();
        }
        hdl_rcu_barrier();
        devices_put(test.machine.loop, devices, 2);
    }
    hdl_thread_join(&guest);
    event_loop_stop_thread(loop);
    event_loop_destroy(loop);
    pci_close(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),      cmocka_unit_test(test_ports),   cmocka_unit_test(test_bar_sizing),
        cmocka_unit_test(test_bar_moves),   cmocka_unit_test(test_assign),  cmocka_unit_test(test_bar_anywhere),
        cmocka_unit_test(test_assign_full), cmocka_unit_test(test_slots),   cmocka_unit_test(test_intx),
        cmocka_unit_test(test_msix),        cmocka_unit_test(test_testdev), cmocka_unit_test(test_msix_table),
        cmocka_unit_test(test_race),        cmocka_unit_test(test_leaving),
    };
    int ret;

    hdl_thread_register_main();
    ret = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return ret;
}
