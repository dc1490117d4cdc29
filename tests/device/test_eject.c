/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ejects at the worst times, with the test as a guest of several processors and no sense: while a handler is inside,
 * from an interrupt of the device that is ejected, the same slot and different ones on several processors at once,
 * under BAR moves, under virtio resets, and while another thread completes requests. What must hold each time:
 *
 *   - once the write that ejects has ended, no handler of the function runs, and none will
 *   - all that is left of it reads all-ones
 *   - an empty slot can be ejected for ever, and the next function comes to it
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/thread.h"
#include "hotplug_board.h"
#include "leave.h"
#include "virtio_driver.h"
#include "virtio_echo.h"

#define NOBODY UINT32_MAX

enum {
    ROUNDS = 24,
    SLOTS = 4, /* of the root bus, from 4 on; and the port's is one more */
    FIRST_SLOT = 4,
    ALL_SLOTS = 0xf0,
    BEHIND_DEVFN = 1 << 8,
    POWER_ON = PCIE_INDICATOR_ON << 8,
    POWER_OFF = PCIE_INDICATOR_OFF << 8 | PCIE_SLOT_CONTROL_POWER_OFF,
};

/* A place where threads are let go together, and a flag that ends them. */
struct eject_test {
    struct hotplug_board board;
    struct event_loop *loop; /* functions' own, on a thread */
    struct toy *toys[SLOTS + 1];
    _Atomic unsigned waiting;
    _Atomic bool go, over;
    _Atomic unsigned inside; /* handlers that were entered and wait */
    _Atomic bool leave;
};

struct processor {
    struct eject_test *test;
    unsigned index;
    struct hdl_thread thread;
    unsigned calls[SLOTS + 1]; /* of each toy, when the eject had ended */
    bool ejected[SLOTS + 1];
};

static void test_open(struct eject_test *test)
{
    memset(test, 0, sizeof(*test));
    hotplug_board_init(&test->board, false);
    test->loop = event_loop_create("functions", NULL);
    assert_non_null(test->loop);
    assert_int_equal(event_loop_start_thread(test->loop, NULL), 0);
    pci_machine_assign(&test->board.machine);
    hotplug_board_port_write(&test->board, PCIE_SLOT_CONTROL, 2, POWER_OFF);
}

static void test_close(struct eject_test *test)
{
    event_loop_stop_thread(test->loop);
    hotplug_board_destroy(&test->board);
    event_loop_destroy(test->loop);
}

static unsigned toy_devfn(unsigned index)
{
    return index < SLOTS ? (FIRST_SLOT + index) << 3 : BEHIND_DEVFN;
}

static uint64_t toy_bar(unsigned index, unsigned turn)
{
    return 0xe8000000 + index * UINT64_C(0x100000) + turn * UINT64_C(0x4000);
}

/* As the guest's driver would begin. The port's windows are moved to where its function will be. */
static void guest_finds(struct eject_test *test, unsigned index)
{
    struct pci_machine *machine = &test->board.machine;
    unsigned devfn = toy_devfn(index);

    if (index == SLOTS) {
        hotplug_board_port_write(&test->board, PCIE_SLOT_CONTROL, 2, POWER_ON);
        machine_config_write(machine, BOARD_PORT_DEVFN, PCI_MEMORY_BASE, 4, 0xe840e840);
    }
    assert_int_equal(machine_config_read(machine, devfn, 0, 4), 0x56781234);
    machine_config_write(machine, devfn, PCI_BAR0, 4, (uint32_t)toy_bar(index, 0));
    machine_config_write(machine, devfn, PCI_COMMAND, 2, 6);
    machine_write(machine, toy_bar(index, 0), 4, index);
    assert_int_equal(machine_read(machine, toy_bar(index, 0), 4), index);
}

static void plug_one(struct eject_test *test, unsigned index)
{
    struct pci_bus *bus = index < SLOTS ? hotplug_board_root(&test->board) : hotplug_board_behind(&test->board);
    char addr[] = {(char)(index < SLOTS ? '0' + FIRST_SLOT + index : '0'), 0};

    test->toys[index] = toy_plug(&test->board.machine, bus, addr, test->loop);
    hotplug_board_plug(&test->toys[index]->pci, true);
    guest_finds(test, index);
}

static void eject_one(struct eject_test *test, unsigned index)
{
    if (index < SLOTS) {
        machine_out(&test->board.machine, BOARD_EJECT, 4, UINT32_C(1) << (FIRST_SLOT + index));
    } else {
        hotplug_board_port_write(&test->board, PCIE_SLOT_CONTROL, 2, POWER_OFF);
    }
}

static void assert_gone(struct eject_test *test, unsigned index)
{
    struct pci_machine *machine = &test->board.machine;

    assert_int_equal(machine_config_read(machine, toy_devfn(index), 0, 4), NOBODY);
    for (unsigned turn = 0; turn < 4; turn++) {
        assert_int_equal(machine_read(machine, toy_bar(index, turn), 4), NOBODY);
    }
}

/* --- while a handler is inside ------------------------------------------------------------------------------------ */

static void stay_inside(void *opaque)
{
    struct eject_test *test = opaque;

    atomic_fetch_add(&test->inside, 1);
    while (!atomic_load(&test->leave)) {
    }
}

static void reader_run(void *opaque)
{
    struct processor *processor = opaque;

    (void)machine_read(&processor->test->board.machine, toy_bar(processor->index, 0), 4);
}

static void ejector_run(void *opaque)
{
    struct processor *processor = opaque;

    eject_one(processor->test, processor->index);
    /* The handler must have been let go before. */
    assert_true(atomic_load(&processor->test->leave));
    processor->ejected[processor->index] = true;
}

static void run_barrier(struct eject_test *test, unsigned index)
{
    struct processor reader = {.test = test, .index = index};
    struct processor ejectors[2] = {{.test = test, .index = index}, {.test = test, .index = index}};

    atomic_store(&test->leave, false);
    atomic_store(&test->inside, 0);
    plug_one(test, index);
    test->toys[index]->in_handler_opaque = test;
    test->toys[index]->in_handler = stay_inside;
    assert_int_equal(hdl_thread_start(&reader.thread, "reader", reader_run, &reader, NULL), 0);
    while (!atomic_load(&test->inside)) {
    }
    /* On two processors: neither may go on before the handler has left. */
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(hdl_thread_start(&ejectors[i].thread, "ejector", ejector_run, &ejectors[i], NULL), 0);
    }
    while (atomic_load(&test->toys[index]->pci.device.state) < DEVICE_LEAVING) {
    }
    /* Others find nothing already, and don't wait. */
    assert_gone(test, index);
    assert_int_equal(machine_in(&test->board.machine, BOARD_UP, 4) & 1, 0);
    atomic_store(&test->leave, true);
    for (unsigned i = 0; i < 2; i++) {
        hdl_thread_join(&ejectors[i].thread);
        assert_true(ejectors[i].ejected[index]);
    }
    hdl_thread_join(&reader.thread);
    assert_int_equal(atomic_load(&test->inside), 1);
    assert_gone(test, index);
    hotplug_board_forget(&test->board, &test->toys[index]->pci);
}

static void test_barrier(void **state)
{
    struct eject_test test;

    test_open(&test);
    for (unsigned i = 0; i < 3; i++) {
        run_barrier(&test, 0);
        run_barrier(&test, SLOTS);
    }
    test_close(&test);
}

/* --- everybody at once -------------------------------------------------------------------------------------------- */

/* One slot of each processor's own; then all of them, which others eject as well. */
static void storm_eject(struct processor *processor)
{
    struct eject_test *test = processor->test;

    eject_one(test, processor->index);
    processor->calls[processor->index] = atomic_load(&test->toys[processor->index]->calls);
    processor->ejected[processor->index] = true;
    assert_gone(test, processor->index);
    machine_out(&test->board.machine, BOARD_EJECT, 4, ALL_SLOTS);
    for (unsigned i = 0; i < SLOTS; i++) {
        if (!processor->ejected[i]) {
            processor->calls[i] = atomic_load(&test->toys[i]->calls);
            processor->ejected[i] = true;
        }
        assert_gone(test, i);
    }
    eject_one(test, SLOTS);
    if (!processor->ejected[SLOTS]) {
        processor->calls[SLOTS] = atomic_load(&test->toys[SLOTS]->calls);
        processor->ejected[SLOTS] = true;
    }
    assert_gone(test, SLOTS);
}

/* Moves BARs and windows, reads and writes, until all is over; also what isn't there any more. */
static void storm_move(struct processor *processor)
{
    struct eject_test *test = processor->test;
    struct pci_machine *machine = &test->board.machine;

    for (unsigned i = 0; !atomic_load(&test->over); i++) {
        unsigned index = (i + processor->index) % (SLOTS + 1);

        machine_config_write(machine, toy_devfn(index), PCI_BAR0, 4, (uint32_t)toy_bar(index, i % 4));
        machine_config_write(machine, toy_devfn(index), PCI_COMMAND, 2, i % 5 ? 6 : 0);
        machine_write(machine, toy_bar(index, i % 4), 4, i);
        (void)machine_read(machine, toy_bar(index, (i + 1) % 4), 4);
        (void)machine_config_read(machine, toy_devfn(index), PCI_HEADER_TYPE, 1);
        if (i % 7 == 0) {
            machine_config_write(machine, BOARD_PORT_DEVFN, PCI_BRIDGE_CONTROL, 2,
                                 i % 2 ? PCI_BRIDGE_CONTROL_BUS_RESET : 0);
            machine_config_write(machine, BOARD_PORT_DEVFN, PCI_MEMORY_LIMIT, 2, i % 3 ? 0xe840 : 0xe850);
        }
    }
}

enum { EJECTORS = 3, MOVERS = 2 };

static void storm_run(void *opaque)
{
    struct processor *processor = opaque;
    struct eject_test *test = processor->test;

    atomic_fetch_add(&test->waiting, 1);
    while (!atomic_load(&test->go)) {
    }
    if (processor->index < EJECTORS) {
        storm_eject(processor);
    } else {
        storm_move(processor);
    }
}

static void storm_round(struct eject_test *test)
{
    struct processor processors[EJECTORS + MOVERS];

    atomic_store(&test->waiting, 0);
    atomic_store(&test->go, false);
    atomic_store(&test->over, false);
    for (unsigned i = 0; i <= SLOTS; i++) {
        plug_one(test, i);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(processors); i++) {
        processors[i] = (struct processor){.test = test, .index = i};
        assert_int_equal(hdl_thread_start(&processors[i].thread, "processor", storm_run, &processors[i], NULL), 0);
    }
    while (atomic_load(&test->waiting) < ARRAY_SIZE(processors)) {
    }
    atomic_store(&test->go, true);
    for (unsigned i = 0; i < EJECTORS; i++) {
        hdl_thread_join(&processors[i].thread);
    }
    atomic_store(&test->over, true);
    for (unsigned i = EJECTORS; i < ARRAY_SIZE(processors); i++) {
        hdl_thread_join(&processors[i].thread);
    }
    for (unsigned i = 0; i <= SLOTS; i++) {
        /* The movers went on until now. */
        for (unsigned j = 0; j < EJECTORS; j++) {
            assert_int_equal(atomic_load(&test->toys[i]->calls), processors[j].calls[i]);
        }
        assert_gone(test, i);
        hotplug_board_forget(&test->board, &test->toys[i]->pci);
        eject_one(test, i);
    }
}

static void test_storm(void **state)
{
    struct eject_test test;

    test_open(&test);
    for (unsigned i = 0; i < ROUNDS; i++) {
        storm_round(&test);
    }
    test_close(&test);
}

/* --- from the device's own interrupt, with requests in flight ----------------------------------------------------- */

/*
 * A virtio function, in slot 5 or behind the port. One processor makes requests; one resets the device and starts it
 * again; a thread of a backend's completes; one waits for the function's interrupt, and ejects it in its handler.
 */
struct flight {
    struct eject_test *test;
    struct virtio_echo *echo;
    struct virtio_driver driver;
    bool behind;
    unsigned delay; /* accesses between interrupt and eject */
    uint64_t common;
    _Atomic bool over;
    struct device_work completion;
    struct hdl_thread processors[4];
};

static void flight_complete(struct device *device, struct device_work *work)
{
    virtio_echo_release((struct virtio_echo *)device, true);
}

static void flight_backend(void *opaque)
{
    struct flight *flight = opaque;

    /* Until it takes no more work: what is in flight is drained after the eject. */
    while (device_submit(&flight->echo->proxy.pci.device, &flight->completion) == 0) {
    }
}

/* The same chains again and again, used or not: after a reset, nobody knows which are. */
static void flight_requests(void *opaque)
{
    struct flight *flight = opaque;
    struct pci_machine *machine = &flight->test->board.machine;
    struct driver_queue *queue = &flight->driver.queues[0];
    uint64_t gpa = machine_alloc(machine, 4096, 4096);
    const struct driver_buffer buffers[2] = {{gpa, 256, false}, {gpa + 2048, 256, true}};
    int heads[8];

    for (unsigned i = 0; i < ARRAY_SIZE(heads); i++) {
        heads[i] = driver_queue_add(queue, buffers, 2, false);
    }
    for (unsigned i = 0; !atomic_load(&flight->over); i++) {
        driver_avail_raw(queue, (uint16_t)heads[i % ARRAY_SIZE(heads)]);
        machine_write(machine, queue->notify_gpa, 2, queue->index);
    }
}

/* As a driver that starts again; the rings are as they were, which may be too much for the device. */
static void flight_restart(struct flight *flight)
{
    struct pci_machine *machine = &flight->test->board.machine;
    uint64_t common = flight->common;

    for (unsigned i = 0; i < 3; i++) {
        machine_write(machine, common + 0x14, 1, i == 2 ? 3 : i);
    }
    machine_write(machine, common + 0x08, 4, 1);
    machine_write(machine, common + 0x0c, 4, VIRTIO_F_VERSION_1 >> 32);
    machine_write(machine, common + 0x14, 1, 0xb);
    for (unsigned i = 0; i < ECHO_QUEUES; i++) {
        const struct driver_queue *queue = &flight->driver.queues[i];

        machine_write(machine, common + 0x16, 2, i);
        machine_write(machine, common + 0x18, 2, queue->size);
        machine_write(machine, common + 0x1a, 2, i + 1);
        machine_write(machine, common + 0x20, 8, queue->desc_gpa);
        machine_write(machine, common + 0x28, 8, queue->driver_gpa);
        machine_write(machine, common + 0x30, 8, queue->device_gpa);
        machine_write(machine, common + 0x1c, 2, 1);
    }
    machine_write(machine, common + 0x14, 1, 0xf);
}

static void flight_resets(void *opaque)
{
    struct flight *flight = opaque;
    struct pci_machine *machine = &flight->test->board.machine;

    while (test_msi_count(&machine->msi) == 0) {
    }
    for (unsigned i = 0; !atomic_load(&flight->over); i++) {
        flight_restart(flight);
        machine_config_write(machine, flight->driver.devfn, PCI_COMMAND, 2, i % 16 ? 6 : 2);
    }
}

static void flight_eject(void *opaque)
{
    struct flight *flight = opaque;
    struct eject_test *test = flight->test;
    struct pci_machine *machine = &test->board.machine;

    while (test_msi_count(&machine->msi) == 0) {
    }
    for (unsigned i = 0; i < flight->delay; i++) {
        (void)machine_read(machine, flight->common + 0x14, 1);
    }
    if (flight->behind) {
        hotplug_board_port_write(&test->board, PCIE_SLOT_CONTROL, 2, POWER_OFF);
    } else {
        machine_out(machine, BOARD_EJECT, 4, 1 << 5);
    }
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(machine_config_read(machine, flight->driver.devfn, 0, 4), NOBODY);
        assert_int_equal(machine_read(machine, flight->common + 0x14, 1), 0xff);
    }
}

/* Finds the function: its BARs were placed by "firmware" before it was plugged, as nobody here is an operating system.
 */
static void flight_begin(struct flight *flight)
{
    struct eject_test *test = flight->test;
    struct pci_machine *machine = &test->board.machine;
    struct pci_bus *bus = flight->behind ? hotplug_board_behind(&test->board) : hotplug_board_root(&test->board);
    unsigned devfn = flight->behind ? BEHIND_DEVFN : 5 << 3;
    struct device *device = device_create(&virtio_echo_type, NULL, test->loop, &machine->memory, NULL);

    assert_int_equal(property_set(device, device->type->properties, "addr", flight->behind ? "0" : "5", NULL), 0);
    pci_device_attach(pci_device_of(device), bus);
    assert_int_equal(device_realize(device, NULL), 0);
    flight->echo = (struct virtio_echo *)device;
    flight->echo->hold = true;
    device_work_init(&flight->completion, device, flight_complete);
    hotplug_board_plug(pci_device_of(device), true);
    if (flight->behind) {
        hotplug_board_port_write(&test->board, PCIE_SLOT_CONTROL, 2, POWER_ON);
        machine_config_write(machine, BOARD_PORT_DEVFN, PCI_MEMORY_BASE, 4, 0xe840e840);
    }
    machine_config_write(machine, devfn, PCI_BAR0 + 4, 4, 0xe8400000);
    machine_config_write(machine, devfn, PCI_BAR0 + 16, 4, 0xe8410000);
    machine_config_write(machine, devfn, PCI_COMMAND, 2, 6);
    virtio_driver_open(&flight->driver, machine, devfn);
    virtio_driver_start(&flight->driver, 0, ECHO_QUEUES, 64);
    flight->common = flight->driver.common;
}

static void flight_round(struct eject_test *test, bool behind, unsigned delay)
{
    static void (*const run[])(void *opaque) = {flight_backend, flight_requests, flight_resets, flight_eject};
    struct pci_machine *machine = &test->board.machine;
    struct flight *flight = calloc(1, sizeof(*flight));
    uint64_t next_gpa = machine->next_gpa;

    flight->test = test;
    flight->behind = behind;
    flight->delay = delay;
    hdl_mutex_lock(&machine->msi.lock);
    machine->msi.sent = 0;
    hdl_mutex_unlock(&machine->msi.lock);
    flight_begin(flight);
    for (unsigned i = 0; i < ARRAY_SIZE(run); i++) {
        assert_int_equal(hdl_thread_start(&flight->processors[i], "processor", run[i], flight, NULL), 0);
    }
    hdl_thread_join(&flight->processors[3]);
    atomic_store(&flight->over, true);
    for (unsigned i = 0; i < 3; i++) {
        hdl_thread_join(&flight->processors[i]);
    }
    devices_unplug(machine->loop, &(struct device *){&flight->echo->proxy.pci.device}, 1);
    /* GONE: nothing is in flight any more. */
    assert_int_equal(flight->echo->held_count, 0);
    hotplug_board_forget(&test->board, &flight->echo->proxy.pci);
    machine->next_gpa = next_gpa;
    free(flight);
}

static void test_in_flight(void **state)
{
    struct eject_test test;

    test_open(&test);
    for (unsigned i = 0; i < ROUNDS; i++) {
        flight_round(&test, i % 2, i * i);
    }
    test_close(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_barrier),
        cmocka_unit_test(test_storm),
        cmocka_unit_test(test_in_flight),
    };
    int ret;

    hdl_thread_register_main();
    ret = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return ret;
}
