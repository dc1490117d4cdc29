/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtqueues with a driver that behaves: every kind of ring, descriptor and notification, over the PCI transport. What
 * drivers do wrong is in test_virtio_hostile.c.
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
#include "virtio_driver.h"
#include "virtio_echo.h"

#define RING_VARIANTS 8

struct ring_test {
    struct pci_machine machine;
    struct virtio_echo *echo;
    struct virtio_driver driver;
    uint64_t features;
    bool indirect;
    uint64_t random;
};

/* variant: bit 0 packed, bit 1 event index, bit 2 indirect. */
static void ring_open(struct ring_test *test, unsigned variant)
{
    pci_machine_init(&test->machine, variant & 1);
    test->echo = (struct virtio_echo *)pci_machine_add(&test->machine, &virtio_echo_type, NULL);
    pci_machine_assign(&test->machine);
    test->features = (variant & 1 ? VIRTIO_F_RING_PACKED : 0) | (variant & 2 ? VIRTIO_F_EVENT_IDX : 0) |
                     (variant & 4 ? VIRTIO_F_INDIRECT_DESC : 0);
    test->indirect = variant & 4;
    test->random = 88172645463325252ull + variant;
    virtio_driver_open(&test->driver, &test->machine, test->echo->proxy.pci.devfn);
}

static void ring_close(struct ring_test *test)
{
    pci_machine_remove(&test->machine, &test->echo->proxy.pci.device);
    pci_machine_destroy(&test->machine);
}

static unsigned ring_random(struct ring_test *test, unsigned limit)
{
    test->random ^= test->random << 13;
    test->random ^= test->random >> 7;
    test->random ^= test->random << 17;
    return (unsigned)(test->random >> 20) % limit;
}

/* --- data ------------------------------------------------------------------------------------------------------- */

struct sent {
    uint64_t out_gpa, in_gpa;
    uint32_t len_bytes;
    bool under_way;
};

/* Out and in buffers of the same length, cut into pieces. */
static int ring_send(struct ring_test *test, struct driver_queue *queue, struct sent *sent, uint8_t fill)
{
    struct driver_buffer buffers[8];
    unsigned pieces = 1 + ring_random(test, 4);
    uint32_t piece = 1 + ring_random(test, 64);
    bool indirect = test->indirect && ring_random(test, 3) > 0;

    memset(machine_host(&test->machine, sent->out_gpa), fill, (size_t)pieces * piece);
    memset(machine_host(&test->machine, sent->in_gpa), 0, (size_t)pieces * piece);
    for (unsigned i = 0; i < pieces; i++) {
        buffers[i] = (struct driver_buffer){sent->out_gpa + (uint64_t)i * piece, piece, false};
        buffers[pieces + i] = (struct driver_buffer){sent->in_gpa + (uint64_t)i * piece, piece, true};
    }
    sent->len_bytes = pieces * piece;
    return driver_queue_add(queue, buffers, 2 * pieces, indirect);
}

static void ring_check(struct ring_test *test, const struct sent *sent, uint32_t len_bytes, uint8_t fill)
{
    const uint8_t *in = machine_host(&test->machine, sent->in_gpa);

    assert_true(sent->under_way);
    assert_int_equal(len_bytes, sent->len_bytes);
    for (unsigned i = 0; i < len_bytes; i++) {
        assert_int_equal(in[i], fill);
    }
}

static void run_echo(unsigned variant)
{
    struct ring_test test;
    struct driver_queue *queue;
    struct sent sent[64] = {0};
    unsigned received = 0;
    unsigned total = 0;

    ring_open(&test, variant);
    virtio_driver_start(&test.driver, test.features, ECHO_QUEUES, 64);
    queue = &test.driver.queues[1];
    for (unsigned i = 0; i < 64; i++) {
        sent[i].out_gpa = machine_alloc(&test.machine, 256, 1);
        sent[i].in_gpa = machine_alloc(&test.machine, 256, 1);
    }
    for (unsigned round = 0; round < 300; round++) {
        uint64_t allocated = test.machine.next_gpa;
        unsigned batch = 1 + ring_random(&test, 12);
        struct sent by_id[64];
        uint32_t len_bytes;
        uint16_t id;

        for (unsigned i = 0; i < batch; i++) {
            int got = ring_send(&test, queue, &sent[i], (uint8_t)(1 + i));

            if (got < 0) {
                break;
            }
            by_id[got] = sent[i];
            by_id[got].under_way = true;
            total++;
        }
        driver_queue_kick(queue, false);
        while (driver_queue_get(queue, &id, &len_bytes)) {
            uint8_t fill = *(uint8_t *)machine_host(&test.machine, by_id[id].out_gpa);

            ring_check(&test, &by_id[id], len_bytes, fill);
            received++;
        }
        assert_int_equal(received, total);
        test.machine.next_gpa = allocated;
    }
    assert_int_equal(queue->free_count, 64);
    assert_int_equal(test.echo->popped, total);
    assert_int_equal(virtio_driver_status(&test.driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
    ring_close(&test);
}

static void test_echo(void **state)
{
    for (unsigned variant = 0; variant < RING_VARIANTS; variant++) {
        run_echo(variant);
    }
}

/* A packed ring may have any size (2.8.10.1), and a wrap in the middle of a chain. */
static void test_packed_odd_size(void **state)
{
    struct driver_buffer buffers[3] = {{0x8000, 4, false}, {0x8010, 4, false}, {0x8020, 8, true}};
    struct ring_test test;
    uint32_t len_bytes;
    uint16_t id;

    ring_open(&test, 3);
    virtio_driver_start(&test.driver, test.features, 1, 7);
    for (unsigned i = 0; i < 50; i++) {
        assert_true(driver_queue_add(&test.driver.queues[0], buffers, 3, false) >= 0);
        assert_true(driver_queue_add(&test.driver.queues[0], buffers, 3, false) >= 0);
        driver_queue_kick(&test.driver.queues[0], false);
        assert_true(driver_queue_get(&test.driver.queues[0], &id, &len_bytes));
        assert_int_equal(len_bytes, 8);
        assert_true(driver_queue_get(&test.driver.queues[0], &id, &len_bytes));
    }
    ring_close(&test);
}

/* The whole ring, completed from the end: ids and lengths find their requests. */
static void run_backwards(unsigned variant)
{
    struct ring_test test;
    struct driver_queue *queue;
    uint32_t expected[ECHO_QUEUE] = {0};
    uint64_t buffer;
    uint32_t len_bytes;
    uint16_t id;

    ring_open(&test, variant);
    test.echo->hold = true;
    virtio_driver_start(&test.driver, test.features, 1, ECHO_QUEUE);
    queue = &test.driver.queues[0];
    buffer = machine_alloc(&test.machine, 1024, 16);
    for (unsigned lap = 0; lap < 3; lap++) {
        for (unsigned i = 0; i < 100; i++) {
            struct driver_buffer pair[2] = {{buffer, 1 + i, false}, {buffer + 512, 1 + i, true}};
            int got = driver_queue_add(queue, pair, 2, test.indirect);

            assert_true(got >= 0);
            expected[got] = 1 + i;
        }
        driver_queue_kick(queue, false);
        assert_false(driver_queue_get(queue, &id, &len_bytes));
        assert_int_equal(test.echo->held_count, 100);
        device_lock(&test.echo->proxy.pci.device);
        virtio_echo_release(test.echo, true);
        device_unlock(&test.echo->proxy.pci.device);
        for (unsigned i = 0; i < 100; i++) {
            assert_true(driver_queue_get(queue, &id, &len_bytes));
            assert_int_equal(len_bytes, expected[id]);
            assert_int_equal(len_bytes, 100 - i);
        }
    }
    ring_close(&test);
}

static void test_backwards(void **state)
{
    for (unsigned variant = 0; variant < RING_VARIANTS; variant++) {
        run_backwards(variant);
    }
}

/* More segments than the pool's elements hold, up to the limit; and a buffer that crosses two blocks of RAM. */
static void test_long_chain(void **state)
{
    static struct driver_buffer buffers[VIRTQUEUE_SEGMENTS_MAX];

    for (unsigned variant = 4; variant < RING_VARIANTS; variant++) {
        struct ring_test test;
        uint32_t len_bytes;
        uint16_t id;
        uint64_t gpa;

        ring_open(&test, variant);
        virtio_driver_start(&test.driver, test.features, 1, 64);
        gpa = machine_alloc(&test.machine, 2 * VIRTQUEUE_SEGMENTS_MAX, 16);
        for (unsigned i = 0; i < VIRTQUEUE_SEGMENTS_MAX; i++) {
            buffers[i] = (struct driver_buffer){gpa + i, 1, i >= VIRTQUEUE_SEGMENTS_MAX / 2};
        }
        for (unsigned i = 0; i < 3; i++) {
            assert_true(driver_queue_add(&test.driver.queues[0], buffers, VIRTQUEUE_SEGMENTS_MAX, true) >= 0);
            driver_queue_kick(&test.driver.queues[0], false);
            assert_true(driver_queue_get(&test.driver.queues[0], &id, &len_bytes));
            assert_int_equal(len_bytes, VIRTQUEUE_SEGMENTS_MAX / 2);
        }
        ring_close(&test);
    }
}

/* --- notifications and interrupts ------------------------------------------------------------------------------- */

static void ring_send_one(struct ring_test *test)
{
    struct driver_buffer pair[2] = {{0x8000, 4, false}, {0x8010, 4, true}};

    assert_true(driver_queue_add(&test->driver.queues[0], pair, 2, test->indirect) >= 0);
    driver_queue_kick(&test->driver.queues[0], true);
}

static unsigned ring_drain(struct ring_test *test)
{
    unsigned count = 0;
    uint32_t len_bytes;
    uint16_t id;

    while (driver_queue_get(&test->driver.queues[0], &id, &len_bytes)) {
        count++;
    }
    return count;
}

static void run_interrupts(unsigned variant)
{
    struct ring_test test;
    unsigned before;

    ring_open(&test, variant);
    virtio_driver_start(&test.driver, test.features, 1, 16);
    for (unsigned lap = 0; lap < 40; lap++) {
        before = test_msi_count(&test.machine.msi);
        driver_queue_want_interrupt(&test.driver.queues[0], 0);
        ring_send_one(&test);
        assert_int_equal(test_msi_count(&test.machine.msi), before + 1);
        assert_int_equal(test.machine.msi.last.data, 0x101);
        assert_int_equal(ring_drain(&test), 1);

        driver_queue_want_no_interrupt(&test.driver.queues[0]);
        ring_send_one(&test);
        assert_int_equal(test_msi_count(&test.machine.msi), before + 1);
        assert_int_equal(ring_drain(&test), 1);
    }
    ring_close(&test);
}

static void test_interrupts(void **state)
{
    for (unsigned variant = 0; variant < RING_VARIANTS; variant++) {
        run_interrupts(variant);
    }
}

/* With event indices, only the position asked for interrupts, in every lap of the ring. */
static void test_event_index(void **state)
{
    for (unsigned variant = 6; variant < RING_VARIANTS; variant++) {
        struct ring_test test;

        ring_open(&test, variant);
        virtio_driver_start(&test.driver, test.features, 1, 16);
        for (unsigned lap = 0; lap < 40; lap++) {
            unsigned before = test_msi_count(&test.machine.msi);

            driver_queue_want_interrupt(&test.driver.queues[0], 3);
            for (unsigned i = 0; i < 6; i++) {
                assert_int_equal(test_msi_count(&test.machine.msi), before + (i > 3));
                ring_send_one(&test);
            }
            assert_int_equal(ring_drain(&test), 6);
        }
        ring_close(&test);
    }
}

/* Nothing is lost if the driver notifies only when it is asked to, here with a device that stops after each batch. */
static void test_kicks_suffice(void **state)
{
    for (unsigned variant = 0; variant < RING_VARIANTS; variant++) {
        struct driver_buffer pair[2] = {{0x8000, 4, false}, {0x8010, 4, true}};
        struct ring_test test;
        unsigned kicks = 0;

        ring_open(&test, variant);
        virtio_driver_start(&test.driver, test.features, 1, 16);
        for (unsigned i = 0; i < 200; i++) {
            assert_true(driver_queue_add(&test.driver.queues[0], pair, 2, test.indirect) >= 0);
            kicks += driver_queue_kick(&test.driver.queues[0], false);
            assert_int_equal(ring_drain(&test), 1);
        }
        assert_int_equal(kicks, 200);
        ring_close(&test);
    }
}

/* Through the eventfd, as an accelerator signals it. */
static void test_ioeventfd(void **state)
{
    static const uint64_t one = 1;
    struct driver_buffer pair[2] = {{0x8000, 4, false}, {0x8010, 4, true}};
    struct ring_test test;

    ring_open(&test, 2);
    virtio_driver_start(&test.driver, test.features, 1, 16);
    driver_queue_add(&test.driver.queues[0], pair, 2, false);
    assert_int_equal(ring_drain(&test), 0);
    assert_int_equal(write(test.echo->proxy.virtio.queues[0]->event_fd, &one, sizeof(one)), sizeof(one));
    pci_machine_poll(&test.machine);
    assert_int_equal(ring_drain(&test), 1);
    ring_close(&test);
}

/* INTx: the line is high until the ISR is read. */
static void test_intx(void **state)
{
    struct ring_test test;
    unsigned pirq;

    ring_open(&test, 0);
    pirq = pci_pirq(pci_slot(test.driver.devfn), 0);
    assert_true(virtio_driver_negotiate(&test.driver, 0) & VIRTIO_STATUS_FEATURES_OK);
    virtio_driver_queue(&test.driver, 0, 16, VIRTIO_NO_VECTOR);
    virtio_driver_ok(&test.driver);
    ring_send_one(&test);
    assert_true(test.machine.pirq[pirq]);
    assert_int_equal(machine_config_read(&test.machine, test.driver.devfn, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT,
                     PCI_STATUS_INTERRUPT);
    assert_int_equal(machine_read(&test.machine, test.driver.isr, 1), 1);
    assert_false(test.machine.pirq[pirq]);
    assert_int_equal(machine_read(&test.machine, test.driver.isr, 1), 0);
    assert_int_equal(test_msi_count(&test.machine.msi), 0);
    assert_int_equal(ring_drain(&test), 1);
    ring_close(&test);
}

/* --- life ------------------------------------------------------------------------------------------------------- */

/* A reset is done when the last request is, and what comes late doesn't touch the rings. */
static void run_reset_in_flight(unsigned variant, bool completes)
{
    struct ring_test test;
    unsigned before;

    ring_open(&test, variant);
    test.echo->hold = true;
    test.echo->reset_completes = completes;
    virtio_driver_start(&test.driver, test.features, 1, 16);
    ring_send_one(&test);
    ring_send_one(&test);
    before = test_msi_count(&test.machine.msi);
    virtio_driver_reset(&test.driver);
    assert_true(test.echo->drained);
    if (!completes) {
        assert_int_not_equal(virtio_driver_status(&test.driver), 0);
        ring_send_one(&test);
        assert_int_equal(test.echo->held_count, 2);
        device_lock(&test.echo->proxy.pci.device);
        virtio_echo_release(test.echo, false);
        device_unlock(&test.echo->proxy.pci.device);
    }
    assert_int_equal(virtio_driver_status(&test.driver), 0);
    assert_int_equal(ring_drain(&test), 0);
    assert_int_equal(test_msi_count(&test.machine.msi), before);
    test.echo->hold = false;
    virtio_driver_start(&test.driver, test.features, 1, 16);
    ring_send_one(&test);
    assert_int_equal(ring_drain(&test), 1);
    ring_close(&test);
}

static void test_reset_in_flight(void **state)
{
    for (unsigned variant = 0; variant < RING_VARIANTS; variant++) {
        run_reset_in_flight(variant, false);
        run_reset_in_flight(variant, true);
    }
}

/* Unplug waits for requests in flight as well. */
static void test_unplug_in_flight(void **state)
{
    struct ring_test test;
    struct device *device;

    ring_open(&test, 3);
    device = &test.echo->proxy.pci.device;
    test.echo->hold = true;
    virtio_driver_start(&test.driver, test.features, 1, 16);
    ring_send_one(&test);
    device_get(device);
    device_unplug(device);
    hdl_rcu_barrier();
    pci_machine_poll(&test.machine);
    hdl_rcu_barrier();
    assert_int_equal(atomic_load(&device->state), DEVICE_LEAVING);
    assert_int_equal(machine_config_read(&test.machine, test.driver.devfn, 0, 4), 0xffffffff);
    device_lock(device);
    virtio_echo_release(test.echo, false);
    device_unlock(device);
    pci_machine_poll(&test.machine);
    hdl_rcu_barrier();
    assert_int_equal(atomic_load(&device->state), DEVICE_GONE);
    device_put(device);
    device_put(device);
    pci_machine_poll(&test.machine);
    pci_machine_destroy(&test.machine);
}

static void test_negotiation(void **state)
{
    struct ring_test test;
    uint64_t offered;

    ring_open(&test, 0);
    offered = virtio_driver_offered(&test.driver);
    assert_true(offered & VIRTIO_F_VERSION_1);
    assert_true(offered & (1u << 3));
    /* Not offered: FEATURES_OK doesn't stick. */
    virtio_driver_reset(&test.driver);
    machine_write(&test.machine, test.driver.common + 0x14, 1, 3);
    machine_write(&test.machine, test.driver.common + 0x08, 4, 0);
    machine_write(&test.machine, test.driver.common + 0x0c, 4, 1);
    machine_write(&test.machine, test.driver.common + 0x14, 1, 11);
    assert_int_equal(virtio_driver_status(&test.driver), 3);
    /* The legacy interface: neither. */
    machine_write(&test.machine, test.driver.common + 0x0c, 4, 0);
    machine_write(&test.machine, test.driver.common + 0x14, 1, 11);
    assert_int_equal(virtio_driver_status(&test.driver), 3);
    /* Nor does DRIVER_OK without it. */
    machine_write(&test.machine, test.driver.common + 0x14, 1, 7);
    assert_int_equal(virtio_driver_status(&test.driver), 3);
    assert_int_equal(test.echo->started, 0);
    /* Features are fixed after FEATURES_OK. */
    assert_int_equal(virtio_driver_negotiate(&test.driver, 8), 11);
    machine_write(&test.machine, test.driver.common + 0x08, 4, 0);
    machine_write(&test.machine, test.driver.common + 0x0c, 4, 0);
    assert_int_equal(machine_read(&test.machine, test.driver.common + 0x0c, 4), 8);
    ring_close(&test);
}

static void test_config_space(void **state)
{
    struct ring_test test;
    unsigned generation;

    ring_open(&test, 0);
    machine_write(&test.machine, test.driver.config + 2, 2, 0xbeef);
    assert_int_equal(machine_read(&test.machine, test.driver.config, 4), 0xbeef0000);
    assert_int_equal(machine_read(&test.machine, test.driver.config + 6, 4), 0);
    assert_int_equal(machine_read(&test.machine, test.driver.config + 64, 4), 0);
    virtio_driver_start(&test.driver, 0, 1, 16);
    generation = (unsigned)machine_read(&test.machine, test.driver.common + 0x15, 1);
    device_lock(&test.echo->proxy.pci.device);
    virtio_config_changed(&test.echo->proxy.virtio);
    device_unlock(&test.echo->proxy.pci.device);
    assert_int_not_equal(machine_read(&test.machine, test.driver.common + 0x15, 1), generation);
    assert_int_equal(test_msi_count(&test.machine.msi), 1);
    assert_int_equal(test.machine.msi.last.data, 0x100);
    assert_int_equal(machine_read(&test.machine, test.driver.isr, 1), 2);
    ring_close(&test);
}

/* The same registers through config space (4.1.4.9). */
static void test_pci_window(void **state)
{
    struct ring_test test;
    unsigned devfn;
    unsigned cap = 0;

    ring_open(&test, 0);
    devfn = test.driver.devfn;
    do {
        cap = machine_capability(&test.machine, devfn, PCI_CAPABILITY_VENDOR, cap);
        assert_int_not_equal(cap, 0);
    } while (machine_config_read(&test.machine, devfn, cap + 3, 1) != 5);
    machine_config_write(&test.machine, devfn, cap + 4, 1, 4);
    machine_config_write(&test.machine, devfn, cap + 8, 4, 0x14);
    machine_config_write(&test.machine, devfn, cap + 12, 4, 1);
    machine_config_write(&test.machine, devfn, cap + 16, 4, 3);
    assert_int_equal(virtio_driver_status(&test.driver), 3);
    assert_int_equal(machine_config_read(&test.machine, devfn, cap + 16, 4), 3);
    /* A window onto nothing. */
    machine_config_write(&test.machine, devfn, cap + 8, 4, 0xfffffffc);
    machine_config_write(&test.machine, devfn, cap + 12, 4, 4);
    machine_config_write(&test.machine, devfn, cap + 16, 4, 0);
    machine_config_write(&test.machine, devfn, cap + 12, 4, 0x80000001);
    (void)machine_config_read(&test.machine, devfn, cap + 16, 4);
    assert_int_equal(virtio_driver_status(&test.driver), 3);
    ring_close(&test);
}

/* Nothing is popped while the guest forbids bus mastering, and everything is when it allows it. */
static void test_bus_master(void **state)
{
    struct ring_test test;

    ring_open(&test, 0);
    virtio_driver_start(&test.driver, 0, 1, 16);
    machine_config_write(&test.machine, test.driver.devfn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    ring_send_one(&test);
    assert_int_equal(ring_drain(&test), 0);
    machine_config_write(&test.machine, test.driver.devfn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    assert_int_equal(ring_drain(&test), 1);
    ring_close(&test);
}

/* --- threads ---------------------------------------------------------------------------------------------------- */

struct completer {
    struct ring_test *test;
    struct device_work work;
    _Atomic bool stop;
};

static void completer_work(struct device *device, struct device_work *work)
{
    virtio_echo_release((struct virtio_echo *)device, true);
}

static void completer_run(void *opaque)
{
    struct completer *completer = opaque;

    while (!atomic_load(&completer->stop)) {
        device_submit(&completer->test->echo->proxy.pci.device, &completer->work);
    }
}

/* A processor that sends, and a backend's thread that completes, both as fast as they can. */
static void run_two_threads(unsigned variant)
{
    struct driver_buffer pair[2] = {{0x8000, 4, false}, {0x8010, 4, true}};
    struct ring_test test;
    struct completer completer = {.test = &test};
    struct hdl_thread thread;
    unsigned sent = 0;
    unsigned received = 0;

    ring_open(&test, variant);
    test.echo->hold = true;
    virtio_driver_start(&test.driver, test.features, 1, 16);
    device_work_init(&completer.work, &test.echo->proxy.pci.device, completer_work);
    assert_int_equal(hdl_thread_start(&thread, "completer", completer_run, &completer, NULL), 0);
    while (received < 500) {
        if (sent < 500 && driver_queue_add(&test.driver.queues[0], pair, 2, false) >= 0) {
            sent++;
            driver_queue_kick(&test.driver.queues[0], false);
        }
        received += ring_drain(&test);
        pci_machine_poll(&test.machine);
    }
    atomic_store(&completer.stop, true);
    hdl_thread_join(&thread);
    assert_int_equal(sent, received);
    assert_int_equal(test.echo->held_count, 0);
    ring_close(&test);
}

static void test_two_threads(void **state)
{
    for (unsigned variant = 0; variant < 4; variant++) {
        run_two_threads(variant);
    }
}

static void test_slice(void **state)
{
    char bytes[100];
    struct iovec from[3] = {{bytes, 10}, {bytes + 20, 5}, {bytes + 40, 30}};
    struct iovec to[3];

    assert_int_equal(virtqueue_iov_slice(from, 3, 0, 45, to, 3), 3);
    assert_int_equal(virtqueue_iov_slice(from, 3, 12, 10, to, 3), 2);
    assert_ptr_equal(to[0].iov_base, bytes + 22);
    assert_int_equal(to[0].iov_len, 3);
    assert_int_equal(to[1].iov_len, 7);
    assert_int_equal(virtqueue_iov_slice(from, 3, 40, 6, to, 3), -EINVAL);
    assert_int_equal(virtqueue_iov_slice(from, 3, UINT64_MAX, 1, to, 3), -EINVAL);
    assert_int_equal(virtqueue_iov_slice(from, 3, 0, 45, to, 2), -E2BIG);
    assert_int_equal(virtqueue_iov_slice(from, 3, 45, 0, to, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_packed_odd_size),
        cmocka_unit_test(test_backwards),
        cmocka_unit_test(test_long_chain),
        cmocka_unit_test(test_interrupts),
        cmocka_unit_test(test_event_index),
        cmocka_unit_test(test_kicks_suffice),
        cmocka_unit_test(test_ioeventfd),
        cmocka_unit_test(test_intx),
        cmocka_unit_test(test_reset_in_flight),
        cmocka_unit_test(test_unplug_in_flight),
        cmocka_unit_test(test_negotiation),
        cmocka_unit_test(test_config_space),
        cmocka_unit_test(test_pci_window),
        cmocka_unit_test(test_bus_master),
        cmocka_unit_test(test_two_threads),
        cmocka_unit_test(test_slice),
    };
    int ret;

    hdl_thread_register_main();
    ret = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return ret;
}
