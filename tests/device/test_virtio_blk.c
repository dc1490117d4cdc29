/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtio-blk-pci, driven by the test: every kind of request, hostile ones, resets with requests under way, threads. */
#include "disk_machine.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/thread.h"

#define BLK_FEATURES                                                                                                   \
    (VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_RO | VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_TOPOLOGY |     \
     VIRTIO_BLK_F_CONFIG_WCE | VIRTIO_BLK_F_MQ | VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES)

/* variant: bit 0 packed, bit 1 event index, bit 2 indirect. */
static uint64_t ring_features(unsigned variant)
{
    return (variant & 1 ? VIRTIO_F_RING_PACKED : 0) | (variant & 2 ? VIRTIO_F_EVENT_IDX : 0) |
           (variant & 4 ? VIRTIO_F_INDIRECT_DESC : 0);
}

static void start(struct disk_machine *m, uint64_t features)
{
    virtio_driver_start(&m->driver, features, 1, 64);
}

/* --- what it does ----------------------------------------------------------------------------------------------------
 */

static void run_all_requests(unsigned variant)
{
    struct disk_machine m;
    struct disk_request request;
    bool indirect = variant & 4;

    disk_open(&m, "serial=heddle-disk-1", "discard=unmap", NULL);
    start(&m, BLK_FEATURES | ring_features(variant));

    disk_request_init(&m, &request, VIRTIO_BLK_T_OUT, 8, 8192, false);
    for (unsigned i = 0; i < 8192; i++) {
        ((uint8_t *)disk_request_data(&m, &request))[i] = (uint8_t)(i * 7 + variant);
    }
    assert_int_equal(disk_run(&m, &request, indirect), VIRTIO_BLK_S_OK);
    assert_memory_equal(m.disk->data + 4096, disk_request_data(&m, &request), 8192);

    disk_request_init(&m, &request, VIRTIO_BLK_T_IN, 9, 4096, true);
    assert_int_equal(disk_run(&m, &request, indirect), VIRTIO_BLK_S_OK);
    assert_memory_equal(m.disk->data + 4608, disk_request_data(&m, &request), 4096);

    disk_request_init(&m, &request, VIRTIO_BLK_T_FLUSH, 0, 0, false);
    assert_int_equal(disk_run(&m, &request, indirect), VIRTIO_BLK_S_OK);
    assert_int_equal(m.disk->flushes, 1);

    disk_request_init(&m, &request, VIRTIO_BLK_T_GET_ID, 0, VIRTIO_BLK_ID_BYTES, true);
    assert_int_equal(disk_run(&m, &request, indirect), VIRTIO_BLK_S_OK);
    assert_string_equal(disk_request_data(&m, &request), "heddle-disk-1");

    disk_range_init(&m, &request, VIRTIO_BLK_T_DISCARD, 8, 8, 0);
    assert_int_equal(disk_run(&m, &request, indirect), VIRTIO_BLK_S_OK);
    assert_int_equal(m.disk->data[4096], 0xdd);
    assert_int_equal(m.disk->data[8191], 0xdd);
    assert_int_not_equal(m.disk->data[8195], 0xdd);

    disk_range_init(&m, &request, VIRTIO_BLK_T_WRITE_ZEROES, 15, 1, VIRTIO_BLK_RANGE_FLAG_UNMAP);
    assert_int_equal(disk_run(&m, &request, indirect), VIRTIO_BLK_S_OK);
    assert_int_equal(m.disk->data[7679], 0xdd);
    assert_int_equal(m.disk->data[7680], 0);
    assert_int_equal(m.disk->data[8191], 0);
    assert_true(test_msi_count(&m.machine.msi) > 0);
    disk_close(&m);
}

static void test_all_requests(void **state)
{
    for (unsigned variant = 0; variant < 8; variant++) {
        run_all_requests(variant);
    }
}

/* More pieces than seg_max says, to be served all the same. */
static void test_many_pieces(void **state)
{
    struct disk_machine m;
    struct disk_request request;
    static struct driver_buffer buffers[202];
    struct driver_queue *queue;
    uint32_t len_bytes;
    uint16_t id;

    disk_open(&m, "", NULL, NULL);
    start(&m, BLK_FEATURES | VIRTIO_F_INDIRECT_DESC);
    memset(m.disk->data, 0x5c, DISK_BYTES);
    queue = &m.driver.queues[0];
    disk_request_init(&m, &request, VIRTIO_BLK_T_IN, 0, 200 * 512, true);
    buffers[0] = (struct driver_buffer){request.header_gpa, VIRTIO_BLK_HEADER_BYTES, false};
    for (unsigned i = 0; i < 200; i++) {
        buffers[1 + i] = (struct driver_buffer){request.data_gpa + i * 512, 512, true};
    }
    buffers[201] = (struct driver_buffer){request.status_gpa, 1, true};
    driver_queue_add(queue, buffers, 202, true);
    driver_queue_kick(queue, true);
    pci_machine_poll(&m.machine);
    assert_true(driver_queue_get(queue, &id, &len_bytes));
    assert_int_equal(disk_request_status(&m, &request), VIRTIO_BLK_S_OK);
    assert_memory_equal(disk_request_data(&m, &request), m.disk->data, 200 * 512);
    disk_close(&m);
}

static uint32_t config(struct disk_machine *m, unsigned offset, unsigned size_bytes)
{
    return (uint32_t)machine_read(&m->machine, m->driver.config + offset, size_bytes);
}

static void test_config_space(void **state)
{
    struct disk_machine m;

    disk_open(&m, "num-queues=3,logical_block_size=1024,physical_block_size=4096,opt_io_size=65536", NULL, NULL);
    start(&m, BLK_FEATURES);
    assert_int_equal(pci_machine_ioeventfds(&m.machine), 3);
    assert_int_equal(config(&m, VIRTIO_BLK_CONFIG_CAPACITY, 4), DISK_BYTES / 512);
    assert_int_equal(config(&m, VIRTIO_BLK_CONFIG_CAPACITY + 4, 4), 0);
    assert_int_equal(config(&m, VIRTIO_BLK_CONFIG_SEG_MAX, 4), 126);
    assert_int_equal(config(&m, VIRTIO_BLK_CONFIG_BLK_SIZE, 4), 1024);
    assert_int_equal(config(&m, VIRTIO_BLK_CONFIG_PHYSICAL_BLOCK_EXP, 1), 2);
    assert_int_equal(config(&m, VIRTIO_BLK_CONFIG_OPT_IO_SIZE, 4), 64);
    assert_int_equal(config(&m, VIRTIO_BLK_CONFIG_NUM_QUEUES, 2), 3);
    assert_int_equal(config(&m, VIRTIO_BLK_CONFIG_WRITEBACK, 1), 1);
    assert_int_equal(config(&m, VIRTIO_BLK_CONFIG_MAX_DISCARD_SEG, 4), 1);
    disk_close(&m);
}

static void write_one(struct disk_machine *m)
{
    struct disk_request request;

    disk_request_init(m, &request, VIRTIO_BLK_T_OUT, 0, 512, false);
    assert_int_equal(disk_run(m, &request, false), VIRTIO_BLK_S_OK);
}

/* Who can't flush, or switched the cache off, gets each write flushed before it is answered. */
static void test_write_through(void **state)
{
    struct disk_machine m;

    disk_open(&m, "", NULL, NULL);
    start(&m, BLK_FEATURES);
    write_one(&m);
    assert_int_equal(m.disk->flushes, 0);
    machine_write(&m.machine, m.driver.config + VIRTIO_BLK_CONFIG_WRITEBACK, 1, 0);
    assert_int_equal(config(&m, VIRTIO_BLK_CONFIG_WRITEBACK, 1), 0);
    write_one(&m);
    assert_int_equal(m.disk->flushes, 1);
    start(&m, BLK_FEATURES); /* a reset switches it on again */
    write_one(&m);
    assert_int_equal(m.disk->flushes, 1);
    start(&m, 0);
    write_one(&m);
    assert_int_equal(m.disk->flushes, 2);
    disk_close(&m);
}

static void test_errors_become_statuses(void **state)
{
    struct disk_machine m;
    struct disk_request request;

    disk_open(&m, "", NULL, NULL);
    start(&m, BLK_FEATURES);
    m.disk->error = -EIO;
    disk_request_init(&m, &request, VIRTIO_BLK_T_IN, 0, 512, true);
    assert_int_equal(disk_run(&m, &request, false), VIRTIO_BLK_S_IOERR);
    m.disk->error = -ENOSPC;
    disk_request_init(&m, &request, VIRTIO_BLK_T_OUT, 0, 512, false);
    assert_int_equal(disk_run(&m, &request, false), VIRTIO_BLK_S_IOERR);
    m.disk->error = -ENOTSUP;
    disk_range_init(&m, &request, VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 0);
    assert_int_equal(disk_run(&m, &request, false), VIRTIO_BLK_S_UNSUPP);
    m.disk->error = 0;
    write_one(&m);
    disk_close(&m);
}

/* --- what it refuses
 * --------------------------------------------------------------------------------------------------- */

static uint8_t run_bad(struct disk_machine *m, uint32_t type, uint64_t sector, uint32_t data_bytes, bool device_writes)
{
    struct disk_request request;
    unsigned before = m->disk->started;
    uint8_t status;

    disk_request_init(m, &request, type, sector, data_bytes, device_writes);
    status = disk_run(m, &request, false);
    assert_int_equal(m->disk->started, before);
    return status;
}

static uint8_t run_bad_range(struct disk_machine *m, uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
    struct disk_request request;
    unsigned before = m->disk->started;
    uint8_t status;

    disk_range_init(m, &request, type, sector, sectors, flags);
    status = disk_run(m, &request, false);
    assert_int_equal(m->disk->started, before);
    return status;
}

static void test_bad_requests(void **state)
{
    const uint64_t end = DISK_BYTES / 512;
    struct disk_machine m;

    disk_open(&m, "logical_block_size=1024", "discard=unmap", NULL);
    start(&m, BLK_FEATURES);
    assert_int_equal(run_bad(&m, VIRTIO_BLK_T_IN, end, 1024, true), VIRTIO_BLK_S_IOERR);
    assert_int_equal(run_bad(&m, VIRTIO_BLK_T_IN, end - 2, 2048, true), VIRTIO_BLK_S_IOERR);
    assert_int_equal(run_bad(&m, VIRTIO_BLK_T_OUT, UINT64_MAX, 1024, false), VIRTIO_BLK_S_IOERR);
    assert_int_equal(run_bad(&m, VIRTIO_BLK_T_OUT, UINT64_MAX / 512, 1024, false), VIRTIO_BLK_S_IOERR);
    assert_int_equal(run_bad(&m, VIRTIO_BLK_T_IN, UINT64_C(1) << 55, 1024, true), VIRTIO_BLK_S_IOERR);
    assert_int_equal(run_bad(&m, VIRTIO_BLK_T_IN, 0, 1000, true), VIRTIO_BLK_S_IOERR);
    assert_int_equal(run_bad(&m, VIRTIO_BLK_T_IN, 1, 1024, true), VIRTIO_BLK_S_IOERR); /* half a logical block */
    assert_int_equal(run_bad(&m, VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_IOERR);
    assert_int_equal(run_bad(&m, 2, 0, 512, false), VIRTIO_BLK_S_UNSUPP);
    assert_int_equal(run_bad(&m, 0xffffffff, 0, 0, false), VIRTIO_BLK_S_UNSUPP);
    assert_int_equal(run_bad(&m, VIRTIO_BLK_T_DISCARD, 0, 8, false), VIRTIO_BLK_S_IOERR);
    assert_int_equal(run_bad(&m, VIRTIO_BLK_T_DISCARD, 0, 32, false), VIRTIO_BLK_S_UNSUPP);
    assert_int_equal(run_bad_range(&m, VIRTIO_BLK_T_DISCARD, 0, 8, 1), VIRTIO_BLK_S_UNSUPP);
    assert_int_equal(run_bad_range(&m, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 2), VIRTIO_BLK_S_UNSUPP);
    assert_int_equal(run_bad_range(&m, VIRTIO_BLK_T_WRITE_ZEROES, end, 2, 0), VIRTIO_BLK_S_IOERR);
    assert_int_equal(run_bad_range(&m, VIRTIO_BLK_T_WRITE_ZEROES, UINT64_MAX, 2, 0), VIRTIO_BLK_S_IOERR);
    assert_int_equal(run_bad_range(&m, VIRTIO_BLK_T_DISCARD, 0, UINT32_MAX, 0), VIRTIO_BLK_S_IOERR);
    assert_int_equal(virtio_driver_status(&m.driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
    disk_close(&m);
}

static void test_read_only(void **state)
{
    struct disk_machine m;

    disk_open(&m, "", "read-only=on,discard=unmap", NULL);
    start(&m, BLK_FEATURES);
    assert_true(m.driver.features & VIRTIO_BLK_F_RO);
    assert_false(m.driver.features & (VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES));
    assert_int_equal(run_bad(&m, VIRTIO_BLK_T_OUT, 0, 512, false), VIRTIO_BLK_S_IOERR);
    assert_int_equal(run_bad_range(&m, VIRTIO_BLK_T_DISCARD, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
    disk_close(&m);
}

/* What can't even be answered: the device needs a reset, and works again after one. */
static void test_unanswerable_requests(void **state)
{
    for (unsigned kind = 0; kind < 3; kind++) {
        struct disk_machine m;
        struct disk_request request;
        struct driver_buffer buffers[2];

        disk_open(&m, "", NULL, NULL);
        start(&m, BLK_FEATURES);
        disk_request_init(&m, &request, VIRTIO_BLK_T_FLUSH, 0, 0, false);
        buffers[0] = (struct driver_buffer){request.header_gpa, kind == 1 ? 15 : 16, false};
        buffers[1] = (struct driver_buffer){request.status_gpa, 1, true};
        driver_queue_add(&m.driver.queues[0], kind == 2 ? &buffers[1] : buffers, kind == 1 ? 2 : 1, false);
        driver_queue_kick(&m.driver.queues[0], true);
        pci_machine_poll(&m.machine);
        assert_true(virtio_driver_status(&m.driver) & VIRTIO_STATUS_NEEDS_RESET);
        assert_int_equal(m.disk->started, 0);
        start(&m, BLK_FEATURES);
        write_one(&m);
        disk_close(&m);
    }
}

/* --- reset and removal with requests under way
 * --------------------------------------------------------------------------- */

static void hold_some(struct disk_machine *m, struct disk_request *requests, unsigned count)
{
    m->disk->hold = true;
    for (unsigned i = 0; i < count; i++) {
        disk_request_init(m, &requests[i], VIRTIO_BLK_T_IN, i, 512, true);
        disk_request_add(&m->driver.queues[0], &requests[i], false);
    }
    driver_queue_kick(&m->driver.queues[0], true);
    pci_machine_poll(&m->machine);
    assert_int_equal(m->disk->held_count, count);
}

/* Until the last request has ended the reset isn't over; nothing reaches the rings or the interrupt controller. */
static void test_reset_waits_for_what_is_under_way(void **state)
{
    for (unsigned variant = 0; variant < 2; variant++) {
        struct disk_machine m;
        struct disk_request requests[5];
        uint16_t id;
        uint32_t len_bytes;
        unsigned messages;

        disk_open(&m, "", NULL, NULL);
        start(&m, BLK_FEATURES | ring_features(variant));
        hold_some(&m, requests, 5);
        messages = test_msi_count(&m.machine.msi);
        virtio_driver_reset(&m.driver);
        pci_machine_poll(&m.machine);
        assert_int_not_equal(virtio_driver_status(&m.driver), 0);
        disk_release(&m);
        pci_machine_poll(&m.machine);
        assert_int_equal(virtio_driver_status(&m.driver), 0);
        assert_false(driver_queue_get(&m.driver.queues[0], &id, &len_bytes));
        assert_int_equal(test_msi_count(&m.machine.msi), messages);
        m.disk->hold = false;
        start(&m, BLK_FEATURES | ring_features(variant));
        write_one(&m);
        disk_close(&m);
    }
}

static void on_gone(struct device *device, void *opaque)
{
    atomic_store((_Atomic bool *)opaque, true);
}

static void test_removal_waits_for_what_is_under_way(void **state)
{
    struct disk_machine m;
    struct disk_request requests[3];
    _Atomic bool gone = false;
    struct device_owner owner = {.gone = on_gone, .opaque = (void *)&gone};

    disk_open(&m, "", NULL, NULL);
    start(&m, BLK_FEATURES);
    hold_some(&m, requests, 3);
    m.device->owner = &owner;
    device_unplug(m.device);
    hdl_rcu_barrier();
    pci_machine_poll(&m.machine);
    hdl_rcu_barrier();
    assert_false(gone);
    assert_int_equal(block_close(m.graph, "d", NULL), -EBUSY);
    disk_release(&m);
    pci_machine_poll(&m.machine);
    hdl_rcu_barrier();
    assert_true(gone);
    device_put(m.device);
    m.device = NULL;
    pci_machine_poll(&m.machine);
    assert_int_equal(block_close(m.graph, "d", NULL), 0);
    disk_close(&m);
}

/* A drained node makes the device wait, not fail. */
static void on_drained(struct block_drain *drain)
{
}

static void test_drain_holds_the_guest_off(void **state)
{
    struct disk_machine m;
    struct disk_request request;
    struct block_drain drain;
    uint16_t id;
    uint32_t len_bytes;

    disk_open(&m, "", NULL, NULL);
    start(&m, BLK_FEATURES);
    block_drain_begin(&drain, m.node, on_drained);
    disk_request_init(&m, &request, VIRTIO_BLK_T_IN, 0, 512, true);
    disk_request_add(&m.driver.queues[0], &request, false);
    driver_queue_kick(&m.driver.queues[0], true);
    pci_machine_poll(&m.machine);
    assert_int_equal(m.disk->started, 0);
    block_drain_end(&drain);
    pci_machine_poll(&m.machine);
    assert_true(driver_queue_get(&m.driver.queues[0], &id, &len_bytes));
    disk_close(&m);
}

/* --- properties
 * ---------------------------------------------------------------------------------------------------------- */

static void assert_refused(struct disk_machine *m, const char *options, int code, const char *part)
{
    struct error *err = NULL;
    struct device *device = NULL;

    assert_int_equal(disk_try_device(m, options, NULL, &device, &err), code);
    if (!strstr(err->message, part) || !strstr(err->message, "disk")) {
        print_message("%s: '%s' lacks '%s'\n", options, err->message, part);
        fail();
    }
    error_free(err);
}

static void test_bad_properties(void **state)
{
    struct disk_machine m;

    disk_open(&m, "", NULL, NULL);
    assert_refused(&m, "", -ENOENT, "'drive' is missing");
    assert_refused(&m, "drive=nowhere", -ENOENT, "nowhere");
    assert_refused(&m, "drive=d", -EBUSY, "already used");
    assert_refused(&m, "drive=d,queue-size=100", -EINVAL, "power of 2");
    assert_refused(&m, "drive=d,logical_block_size=1000", -EINVAL, "power of 2");
    assert_refused(&m, "drive=d,logical_block_size=4096,physical_block_size=512", -EINVAL, "physical_block_size");
    assert_refused(&m, "drive=d,serial=012345678901234567890", -EINVAL, "serial");
    pci_machine_remove(&m.machine, m.device);
    m.device = NULL;
    assert_int_equal(disk_try_device(&m, "drive=d", NULL, &m.device, NULL), 0);
    disk_close(&m);
}

/* --- an I/O thread, and processors that get in its way
 * --------------------------------------------------------------------- */

struct prodder {
    struct hdl_thread thread;
    struct disk_machine *m;
    _Atomic bool stop;
};

/* Holds the device's lock often, so that work is handed over to a thread that isn't the loop's. */
static void prod(void *opaque)
{
    struct prodder *prodder = opaque;

    while (!atomic_load(&prodder->stop)) {
        (void)config(prodder->m, VIRTIO_BLK_CONFIG_CAPACITY, 4);
    }
}

#define MQ_QUEUES   4
#define MQ_REQUESTS 16

static void run_round(struct disk_machine *m, struct disk_request requests[MQ_QUEUES][MQ_REQUESTS], unsigned round)
{
    unsigned left = MQ_QUEUES * MQ_REQUESTS;
    uint16_t id;
    uint32_t len_bytes;

    for (unsigned q = 0; q < MQ_QUEUES; q++) {
        for (unsigned i = 0; i < MQ_REQUESTS; i++) {
            memset(disk_request_data(m, &requests[q][i]), (int)(round + i), 512);
            disk_request_add(&m->driver.queues[q], &requests[q][i], false);
            driver_queue_kick(&m->driver.queues[q], false);
        }
    }
    while (left > 0) {
        for (unsigned q = 0; q < MQ_QUEUES; q++) {
            while (driver_queue_get(&m->driver.queues[q], &id, &len_bytes)) {
                left--;
            }
        }
    }
    for (unsigned q = 0; q < MQ_QUEUES; q++) {
        for (unsigned i = 0; i < MQ_REQUESTS; i++) {
            assert_int_equal(disk_request_status(m, &requests[q][i]), VIRTIO_BLK_S_OK);
        }
    }
}

static void run_iothread(unsigned variant)
{
    static struct disk_request requests[MQ_QUEUES][MQ_REQUESTS];
    struct event_loop *loop = event_loop_create("iothread", NULL);
    struct disk_machine m;
    struct prodder prodder = {.m = &m};

    assert_int_equal(event_loop_start_thread(loop, NULL), 0);
    disk_open(&m, "num-queues=4", NULL, loop);
    virtio_driver_start(&m.driver, BLK_FEATURES | ring_features(variant), MQ_QUEUES, 128);
    for (unsigned q = 0; q < MQ_QUEUES; q++) {
        for (unsigned i = 0; i < MQ_REQUESTS; i++) {
            disk_request_init(&m, &requests[q][i], VIRTIO_BLK_T_OUT, q * MQ_REQUESTS + i, 512, false);
        }
    }
    assert_int_equal(hdl_thread_start(&prodder.thread, "prodder", prod, &prodder, NULL), 0);
    for (unsigned round = 0; round < 50; round++) {
        run_round(&m, requests, round);
    }
    atomic_store(&prodder.stop, true);
    hdl_thread_join(&prodder.thread);
    assert_int_equal(m.disk->started, 50 * MQ_QUEUES * MQ_REQUESTS);
    pci_machine_remove(&m.machine, m.device);
    m.device = NULL;
    event_loop_stop_thread(loop);
    while (event_loop_poll(loop, false)) {
    }
    disk_close(&m);
    event_loop_destroy(loop);
}

static void test_iothread(void **state)
{
    for (unsigned variant = 0; variant < 4; variant++) {
        run_iothread(variant);
    }
}

/* Resets at any moment, with the I/O thread at work. */
static void test_resets_with_an_iothread(void **state)
{
    static struct disk_request requests[32];
    struct event_loop *loop = event_loop_create("iothread", NULL);
    struct disk_machine m;
    uint64_t allocated;

    assert_int_equal(event_loop_start_thread(loop, NULL), 0);
    disk_open(&m, "", NULL, loop);
    allocated = m.machine.next_gpa;
    for (unsigned round = 0; round < 200; round++) {
        m.machine.next_gpa = allocated;
        start(&m, BLK_FEATURES | ring_features(round));
        for (unsigned i = 0; i < 8; i++) {
            disk_request_init(&m, &requests[i], VIRTIO_BLK_T_IN, i, 4096, true);
            disk_request_add(&m.driver.queues[0], &requests[i], false);
        }
        driver_queue_kick(&m.driver.queues[0], true);
        virtio_driver_reset(&m.driver);
        while (virtio_driver_status(&m.driver) != 0) {
        }
    }
    pci_machine_remove(&m.machine, m.device);
    m.device = NULL;
    event_loop_stop_thread(loop);
    while (event_loop_poll(loop, false)) {
    }
    disk_close(&m);
    event_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_requests),
        cmocka_unit_test(test_many_pieces),
        cmocka_unit_test(test_config_space),
        cmocka_unit_test(test_write_through),
        cmocka_unit_test(test_errors_become_statuses),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_unanswerable_requests),
        cmocka_unit_test(test_reset_waits_for_what_is_under_way),
        cmocka_unit_test(test_removal_waits_for_what_is_under_way),
        cmocka_unit_test(test_drain_holds_the_guest_off),
        cmocka_unit_test(test_bad_properties),
        cmocka_unit_test(test_iothread),
        cmocka_unit_test(test_resets_with_an_iothread),
    };
    int failed;

    hdl_thread_register_main();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return failed;
}
