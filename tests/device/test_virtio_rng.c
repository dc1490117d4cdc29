/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtio-rng-pci, driven by the test: both sources, quotas, resets while a file is being read. */
#include "virtio_driver.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/thread.h"
#include "hw/virtio/rng_source.h"
#include "hw/virtio/virtio_rng.h"

struct rng_test {
    struct pci_machine machine;
    struct clock clock;
    struct rng_source source;
    struct device *device;
    struct virtio_driver driver;
};

static void rng_open(struct rng_test *t, const char *type, const char *max_bytes, const char *filename)
{
    struct options options = {0};

    memset(t, 0, sizeof(*t));
    pci_machine_init(&t->machine, true);
    clock_init_fake(&t->clock, NS_PER_SEC);
    if (filename) {
        options_set(&options, "filename", filename);
    }
    assert_int_equal(rng_source_open(&t->source, type, "rng0", &options, NULL), 0);
    options_release(&options);
    t->device = device_create(&virtio_rng_pci_type, "rng", t->machine.loop, &t->machine.memory, NULL);
    if (max_bytes) {
        assert_int_equal(property_set(t->device, t->device->type->properties, "max-bytes", max_bytes, NULL), 0);
        assert_int_equal(property_set(t->device, t->device->type->properties, "period", "1000", NULL), 0);
    }
    virtio_rng_wire(t->device, &t->source, &t->clock);
    pci_device_attach(pci_device_of(t->device), &t->machine.host.bus);
    assert_int_equal(device_realize(t->device, NULL), 0);
    pci_machine_assign(&t->machine);
    assert_int_equal(pci_machine_ioeventfds(&t->machine), 1);
    virtio_driver_open(&t->driver, &t->machine, pci_device_of(t->device)->devfn);
    virtio_driver_start(&t->driver, VIRTIO_F_EVENT_IDX, 1, 8);
}

static void rng_close(struct rng_test *t)
{
    pci_machine_remove(&t->machine, t->device);
    rng_source_close(&t->source);
    pci_machine_destroy(&t->machine);
    clock_destroy(&t->clock);
}

static uint64_t ask(struct rng_test *t, uint32_t len_bytes)
{
    struct driver_buffer buffer = {machine_alloc(&t->machine, len_bytes, 1), len_bytes, true};

    assert_true(driver_queue_add(&t->driver.queues[0], &buffer, 1, false) >= 0);
    driver_queue_kick(&t->driver.queues[0], true);
    return buffer.gpa;
}

/* How many bytes came; -1: no answer yet. */
static int64_t answer(struct rng_test *t)
{
    uint32_t len_bytes;
    uint16_t id;

    pci_machine_poll(&t->machine);
    return driver_queue_get(&t->driver.queues[0], &id, &len_bytes) ? (int64_t)len_bytes : -1;
}

/* A file's answer needs the loop to wait for the read. */
static int64_t wait_answer(struct rng_test *t)
{
    int64_t got = answer(t);

    while (got < 0) {
        event_loop_poll(t->machine.loop, true);
        got = answer(t);
    }
    return got;
}

static void test_builtin(void **state)
{
    static const uint8_t nothing[64];
    struct rng_test t;
    uint64_t first, second;

    rng_open(&t, "rng-builtin", NULL, NULL);
    first = ask(&t, 64);
    assert_int_equal(answer(&t), 64);
    second = ask(&t, 64);
    assert_int_equal(answer(&t), 64);
    assert_memory_not_equal(machine_host(&t.machine, first), nothing, 64);
    assert_memory_not_equal(machine_host(&t.machine, first), machine_host(&t.machine, second), 64);
    ask(&t, 100000); /* as much as the device's buffer holds */
    assert_int_equal(answer(&t), 4096);
    rng_close(&t);
}

static void test_file(void **state)
{
    static const uint8_t zeroes[256];
    struct rng_test t;
    uint64_t gpa;

    rng_open(&t, "rng-random", NULL, "/dev/zero");
    gpa = ask(&t, 256);
    memset(machine_host(&t.machine, gpa), 0xff, 256);
    assert_int_equal(wait_answer(&t), 256);
    assert_memory_equal(machine_host(&t.machine, gpa), zeroes, 256);
    ask(&t, 16);
    ask(&t, 16);
    assert_int_equal(wait_answer(&t), 16);
    assert_int_equal(wait_answer(&t), 16);
    rng_close(&t);
}

static void test_quota(void **state)
{
    struct rng_test t;

    rng_open(&t, "rng-builtin", "100", NULL);
    ask(&t, 60);
    assert_int_equal(answer(&t), 60);
    ask(&t, 60);
    assert_int_equal(answer(&t), 40);
    ask(&t, 60);
    assert_int_equal(answer(&t), -1);
    clock_advance_ns(&t.clock, 999 * NS_PER_MS);
    assert_int_equal(answer(&t), -1);
    clock_advance_ns(&t.clock, NS_PER_MS);
    assert_int_equal(answer(&t), 60);
    rng_close(&t);
}

/* The reset doesn't wait for the file, and what the read brings goes nowhere. */
static void test_reset_while_reading(void **state)
{
    struct rng_test t;

    rng_open(&t, "rng-random", NULL, "/dev/zero");
    ask(&t, 64);
    virtio_driver_reset(&t.driver);
    assert_int_equal(virtio_driver_status(&t.driver), 0);
    assert_int_equal(answer(&t), -1);
    virtio_driver_start(&t.driver, VIRTIO_F_EVENT_IDX, 1, 8);
    ask(&t, 64);
    assert_int_equal(wait_answer(&t), 64);
    assert_int_equal(answer(&t), -1);
    rng_close(&t);
}

static void test_removal_while_reading(void **state)
{
    struct rng_test t;

    rng_open(&t, "rng-random", NULL, "/dev/zero");
    ask(&t, 64);
    device_get(t.device);
    pci_machine_remove(&t.machine, t.device);
    while (atomic_load(&t.device->refs.count) > 1) { /* the read's own reference */
        event_loop_poll(t.machine.loop, true);
    }
    device_put(t.device);
    pci_machine_poll(&t.machine);
    rng_source_close(&t.source);
    pci_machine_destroy(&t.machine);
    clock_destroy(&t.clock);
}

/* Nothing to write into isn't an error of the device's. */
static void test_odd_buffers(void **state)
{
    struct rng_test t;
    struct driver_buffer out;

    rng_open(&t, "rng-builtin", NULL, NULL);
    out = (struct driver_buffer){machine_alloc(&t.machine, 16, 1), 16, false};
    driver_queue_add(&t.driver.queues[0], &out, 1, false);
    driver_queue_kick(&t.driver.queues[0], true);
    assert_int_equal(answer(&t), 0);
    assert_int_equal(virtio_driver_status(&t.driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
    rng_close(&t);
}

static void test_bad_sources(void **state)
{
    struct rng_source source;
    struct options options = {0};
    struct error *err = NULL;

    options_set(&options, "filename", "/nonexistent");
    assert_int_equal(rng_source_open(&source, "rng-random", "r", &options, &err), -ENOENT);
    assert_non_null(strstr(err->message, "/nonexistent"));
    error_free(err);
    err = NULL;
    assert_int_equal(rng_source_open(&source, "rng-builtin", "r", &options, &err), -EINVAL);
    error_free(err);
    options_release(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builtin),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_quota),
        cmocka_unit_test(test_reset_while_reading),
        cmocka_unit_test(test_removal_while_reading),
        cmocka_unit_test(test_odd_buffers),
        cmocka_unit_test(test_bad_sources),
    };
    int failed;

    hdl_thread_register_main();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return failed;
}
