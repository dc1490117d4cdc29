/* SPDX-License-Identifier: GPL-2.0-or-later */
/* heddle-teach, as docs/device-author-guide.md shows how to test a device. The test is driver, board and guest. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/thread.h"
#include "hotplug_board.h"
#include "hw/misc/teach.h"

#define BAR0   UINT64_C(0xe8000000)
#define BAR1   UINT64_C(0xe8001000)
#define DEVFN  (4 << 3)
#define SLOT   (1 << 4)
#define GUEST  0x4000
#define NOBODY 0xffffffff

struct teach_test {
    struct hotplug_board board; /* first */
    struct clock clock;
    struct teach *teach;
    _Atomic unsigned idles;
};

static uint32_t get(struct teach_test *t, unsigned reg)
{
    return (uint32_t)machine_read(&t->board.machine, BAR0 + reg, 4);
}

static void put(struct teach_test *t, unsigned reg, uint32_t value)
{
    machine_write(&t->board.machine, BAR0 + reg, 4, value);
}

static void settle(struct teach_test *t)
{
    pci_machine_poll(&t->board.machine);
}

static void advance_ns(struct teach_test *t, uint64_t ns)
{
    clock_advance_ns(&t->clock, ns);
    settle(t);
}

/* INTA# of slot 4 */
static bool pin(struct teach_test *t)
{
    return atomic_load(&t->board.machine.pirq[pci_pirq(4, 0)]);
}

static uint8_t *ram(struct teach_test *t, uint64_t gpa)
{
    return machine_host(&t->board.machine, gpa);
}

static void count_idle(void *opaque)
{
    atomic_fetch_add(&((struct teach_test *)opaque)->idles, 1);
}

/* As machine_device_add, and then the guest's own search for what is new. */
static void plug(struct teach_test *t)
{
    struct pci_machine *machine = &t->board.machine;
    struct device *device = device_create(&teach_device_type, NULL, machine->loop, &machine->memory, NULL);

    t->teach = (struct teach *)device;
    assert_int_equal(property_set(device, device->type->properties, "addr", "4", NULL), 0);
    teach_wire(device, &t->clock);
    device->idle = count_idle;
    device->idle_opaque = t;
    pci_device_attach(pci_device_of(device), hotplug_board_root(&t->board));
    assert_int_equal(device_realize(device, NULL), 0);
    device_reset(device);
    hotplug_board_plug(pci_device_of(device), true);
    assert_int_equal(machine_in(machine, BOARD_UP, 4), SLOT);
    assert_int_equal(machine_config_read(machine, DEVFN, 0, 4), 0x74651234);
    machine_config_write(machine, DEVFN, PCI_BAR0, 4, BAR0);
    machine_config_write(machine, DEVFN, PCI_BAR0 + 4, 4, BAR1);
    machine_config_write(machine, DEVFN, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void forget(struct teach_test *t)
{
    hotplug_board_forget(&t->board, &t->teach->pci);
    t->teach = NULL;
}

static int setup(void **state)
{
    struct teach_test *t = aligned_alloc(HDL_CACHE_LINE, ALIGN_UP(sizeof(*t), (size_t)HDL_CACHE_LINE));

    memset(t, 0, sizeof(*t));
    hotplug_board_init(&t->board, false);
    hotplug_board_enable(&t->board);
    clock_init_fake(&t->clock, NS_PER_SEC);
    plug(t);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct teach_test *t = *state;

    if (t->teach) {
        forget(t);
    }
    hotplug_board_destroy(&t->board);
    clock_destroy(&t->clock);
    free(t);
    return 0;
}

static void test_registers(void **state)
{
    struct teach_test *t = *state;

    assert_int_equal(get(t, 0), TEACH_ID);
    put(t, 4, 0x12345678);
    assert_int_equal(get(t, 4), 0xedcba987);
    assert_int_equal(machine_read(&t->board.machine, BAR0, 2), 0xffff); /* words only */
    forget(t);
    assert_int_equal(get(t, 0), NOBODY);
}

static void test_factorial(void **state)
{
    struct teach_test *t = *state;

    put(t, 0x14, 1);
    put(t, 8, 10);
    settle(t);
    assert_int_equal(get(t, 8), 3628800);
    assert_true(pin(t));
    assert_int_equal(get(t, 0x10), 1);
    put(t, 0x10, 1);
    assert_false(pin(t));
    put(t, 8, 0xffffffff); /* not four billion steps */
    settle(t);
    assert_int_equal(get(t, 8), 0);
    put(t, 8, 0);
    settle(t);
    assert_int_equal(get(t, 8), 1);
}

static void dma(struct teach_test *t, uint32_t address, uint32_t len_bytes, uint32_t command)
{
    put(t, 0x18, address);
    put(t, 0x1c, len_bytes);
    put(t, 0x20, command);
}

static void test_dma(void **state)
{
    struct teach_test *t = *state;

    memset(ram(t, GUEST), 0x5a, 256);
    dma(t, GUEST, 256, 1);
    assert_int_equal(get(t, 0x0c), 0);
    assert_int_equal(get(t, 0x10), 2);
    dma(t, GUEST + 0x1000, 256, 2);
    assert_memory_equal(ram(t, GUEST), ram(t, GUEST + 0x1000), 256);
}

/* Each as a failure that the driver sees, and a right one works afterwards. */
static void test_dma_fails(void **state)
{
    static const struct {
        uint32_t address, len_bytes, command;
    } wrong[] = {
        {GUEST, 257, 1},                   /* too long */
        {GUEST, 0, 1},                     /* nothing */
        {GUEST, 4, 4},                     /* no such command */
        {0xfffffff0, 256, 2},              /* nothing there */
        {MACHINE_RAM_BYTES - 128, 256, 2}, /* in a hole after the first half */
        {MACHINE_RAM_BYTES - 128, 256, 3},
        {0xd0000000, 256, 3},
        {BAR0, 4, 1}, /* its own registers */
        {BAR0, 4, 3},
    };
    struct teach_test *t = *state;

    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        dma(t, wrong[i].address, wrong[i].len_bytes, wrong[i].command);
        assert_int_equal(get(t, 0x0c), 4);
        dma(t, GUEST, 256, 1);
        assert_int_equal(get(t, 0x0c), 0);
    }
    machine_config_write(&t->board.machine, DEVFN, PCI_COMMAND, 2, PCI_COMMAND_MEMORY); /* not a master */
    dma(t, GUEST, 256, 1);
    assert_int_equal(get(t, 0x0c), 4);
}

static void test_alarm(void **state)
{
    struct teach_test *t = *state;

    put(t, 0x14, 4);
    put(t, 0x24, 100);
    assert_int_equal(get(t, 0x0c), 8);
    advance_ns(t, 99 * NS_PER_US);
    assert_false(pin(t));
    advance_ns(t, NS_PER_US);
    assert_true(pin(t));
    assert_int_equal(get(t, 0x0c), 0);
    put(t, 0x10, 4);
    put(t, 0x24, 100);
    put(t, 0x24, 0); /* taken back */
    advance_ns(t, NS_PER_SEC);
    assert_false(pin(t));
    put(t, 0x24, 100);
    device_reset(&t->teach->pci.device);
    advance_ns(t, NS_PER_SEC);
    machine_config_write(&t->board.machine, DEVFN, PCI_BAR0, 4, BAR0);
    machine_config_write(&t->board.machine, DEVFN, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_int_equal(get(t, 0x10), 0);
}

struct reader {
    struct hdl_thread thread;
    struct teach_test *test;
    _Atomic bool stop;
    _Atomic unsigned reads;
};

static void reader_run(void *opaque)
{
    struct reader *reader = opaque;

    while (!atomic_load(&reader->stop)) {
        (void)machine_read(&reader->test->board.machine, BAR1, 4);
        atomic_fetch_add(&reader->reads, 1);
    }
}

/* Reading TICKS doesn't wait for a thread that holds the device, and goes on while the device leaves. */
static void test_lockless_ticks(void **state)
{
    struct teach_test *t = *state;
    struct reader reader = {.test = t};

    assert_int_equal(machine_read(&t->board.machine, BAR1, 4), 1000000);
    device_lock(&t->teach->pci.device);
    assert_int_equal(hdl_thread_start(&reader.thread, "reader", reader_run, &reader, NULL), 0);
    while (atomic_load(&reader.reads) < 10) {
        hdl_cpu_relax();
    }
    device_unlock(&t->teach->pci.device);
    forget(t);
    assert_int_equal(machine_read(&t->board.machine, BAR1, 4), NOBODY);
    atomic_store(&reader.stop, true);
    hdl_thread_join(&reader.thread);
}

/* --- with a read under way ---------------------------------------------------------------------------------------- */

/* It is until the loop turns, and the test turns it. */
static void begin_noise(struct teach_test *t)
{
    memset(ram(t, GUEST), 0, 256);
    dma(t, GUEST, 256, 3);
    assert_int_equal(get(t, 0x0c), 2);
}

static bool has_noise(struct teach_test *t)
{
    static const uint8_t zeroes[256];

    return memcmp(ram(t, GUEST), zeroes, 256) != 0;
}

static void end_noise(struct teach_test *t)
{
    while (!device_is_idle(&t->teach->pci.device)) {
        event_loop_poll(t->board.machine.loop, true);
    }
}

static void test_noise(void **state)
{
    struct teach_test *t = *state;

    begin_noise(t);
    put(t, 0x18, 0); /* in use */
    put(t, 0x20, 3);
    end_noise(t);
    assert_int_equal(get(t, 0x0c), 0);
    assert_int_equal(get(t, 0x10), 2);
    assert_int_equal(get(t, 0x18), GUEST);
    assert_true(has_noise(t));
    assert_int_equal(atomic_load(&t->idles), 0);
}

/* A reset takes the asker away at once, and is complete when the host has stopped writing. */
static void test_reset_while_reading(void **state)
{
    struct teach_test *t = *state;
    struct device *device = &t->teach->pci.device;

    begin_noise(t);
    device_reset(device);
    assert_false(device_is_idle(device));
    machine_config_write(&t->board.machine, DEVFN, PCI_BAR0, 4, BAR0);
    machine_config_write(&t->board.machine, DEVFN, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    assert_int_equal(get(t, 0x0c), 2); /* a driver that can't wait sees why nothing begins */
    put(t, 0x1c, 256);
    put(t, 0x20, 1);
    end_noise(t);
    assert_int_equal(atomic_load(&t->idles), 1);
    assert_int_equal(get(t, 0x0c), 0);
    assert_int_equal(get(t, 0x10), 0);
    begin_noise(t);
    end_noise(t);
    assert_int_equal(get(t, 0x10), 2);
}

/* The guest's eject has ended while the host still writes; the device is GONE when it doesn't. */
static void test_eject_while_reading(void **state)
{
    struct teach_test *t = *state;
    struct device *device = &t->teach->pci.device;

    assert_int_equal(hotplug_board_request(&t->teach->pci), 0);
    assert_true(hotplug_board_event(&t->board));
    assert_int_equal(machine_in(&t->board.machine, BOARD_DOWN, 4), SLOT);
    begin_noise(t);
    machine_out(&t->board.machine, BOARD_EJECT, 4, SLOT);
    assert_int_equal(get(t, 0), NOBODY);
    assert_int_equal(machine_config_read(&t->board.machine, DEVFN, 0, 4), NOBODY);
    hdl_rcu_barrier(); /* the loop has been told that the last access has left */
    assert_int_equal(atomic_load(&device->state), DEVICE_LEAVING);
    assert_true(event_loop_poll(t->board.machine.loop, false));
    assert_true(t->teach->is_leaving);
    assert_true(t->teach->is_reading);
    hdl_rcu_barrier();
    assert_int_equal(atomic_load(&device->state), DEVICE_LEAVING);
    forget(t);
    assert_true(has_noise(t));
    plug(t); /* the slot is free again */
    assert_int_equal(get(t, 0), TEACH_ID);
}

static void test_realize_fails(void **state)
{
    struct teach_test *t = *state;
    struct pci_machine *machine = &t->board.machine;
    struct device *device = device_create(&teach_device_type, "second", machine->loop, &machine->memory, NULL);
    struct error *err = NULL;

    assert_int_equal(property_set(device, device->type->properties, "buffer-bytes", "257", NULL), -ERANGE);
    assert_int_equal(property_set(device, device->type->properties, "addr", "4", NULL), 0);
    teach_wire(device, &t->clock);
    pci_device_attach(pci_device_of(device), hotplug_board_root(&t->board));
    assert_int_equal(device_realize(device, &err), -EBUSY);
    error_free(err);
    device_drop(device);
    settle(t);
    assert_int_equal(get(t, 0), TEACH_ID);
}

#define TEACH_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEACH_TEST(test_registers),
        TEACH_TEST(test_factorial),
        TEACH_TEST(test_dma),
        TEACH_TEST(test_dma_fails),
        TEACH_TEST(test_alarm),
        TEACH_TEST(test_lockless_ticks),
        TEACH_TEST(test_noise),
        TEACH_TEST(test_reset_while_reading),
        TEACH_TEST(test_eject_while_reading),
        TEACH_TEST(test_realize_fails),
    };
    int ret;

    hdl_thread_register_main();
    ret = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return ret;
}
