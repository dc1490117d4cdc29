/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The small ones: i8042, port 0xCF9, debug exit, debug console, pc-testdev, and the legacy lock's proof. */
#include "rig.h"

#include <string.h>

#include "base/thread.h"
#include "hw/char/debugcon.h"
#include "hw/misc/i8042.h"
#include "hw/misc/isa_debug_exit.h"
#include "hw/misc/pc_testdev.h"
#include "hw/misc/reset_cf9.h"
#include "hw/misc/test_legacy.h"

static struct device *plug(struct rig *rig, const struct device_type *type)
{
    struct device *device = rig_create(rig, type);

    rig_realize(device);
    return device;
}

static void test_i8042_reset(void **state)
{
    struct rig *rig = *state;
    struct device *device = plug(rig, &i8042_device_type);

    rig_outb(rig, 0x64, 0xff); /* pulses no line */
    assert_int_equal(rig->resets, 0);
    rig_outb(rig, 0x64, 0xfe);
    assert_int_equal(rig->resets, 1);
    rig_outb(rig, 0x64, 0xd1);
    rig_outb(rig, 0x60, 0xfe);
    assert_int_equal(rig->resets, 2);
    rig_outb(rig, 0x92, 0x03);
    rig_outb(rig, 0x92, 0x03); /* only the edge */
    assert_int_equal(rig->resets, 3);
    rig_remove(rig, device);
}

static void test_i8042_a20(void **state)
{
    struct rig *rig = *state;
    struct device *device = plug(rig, &i8042_device_type);

    assert_int_equal(rig_inb(rig, 0x92) & 2, 2);
    rig_outb(rig, 0x64, 0xdd);
    assert_int_equal(rig_inb(rig, 0x92) & 2, 0);
    rig_outb(rig, 0x92, 0x02);
    rig_outb(rig, 0x64, 0xd0);
    assert_int_equal(rig_inb(rig, 0x60), 0x03);
    assert_int_equal(rig->resets, 0);
    rig_remove(rig, device);
}

/* What Linux's driver does first; each answer must be there at once. */
static void test_i8042_probe(void **state)
{
    struct rig *rig = *state;
    struct device *device = plug(rig, &i8042_device_type);

    assert_int_equal(rig_inb(rig, 0x64) & 0x03, 0);
    rig_outb(rig, 0x64, 0x20);
    assert_int_equal(rig_inb(rig, 0x64) & 0x01, 0x01);
    assert_int_equal(rig_inb(rig, 0x60), 0x30);
    assert_int_equal(rig_inb(rig, 0x64) & 0x01, 0);
    rig_outb(rig, 0x64, 0xaa);
    assert_int_equal(rig_inb(rig, 0x60), 0x55);
    rig_outb(rig, 0x64, 0xd3); /* mouse loop: comes back, but not as a mouse's byte */
    rig_outb(rig, 0x60, 0x5a);
    assert_int_not_equal(rig_inb(rig, 0x60), 0x5a);
    rig_outb(rig, 0x64, 0xa9);
    assert_int_equal(rig_inb(rig, 0x60), 0x01);
    rig_outb(rig, 0x64, 0x60);
    rig_outb(rig, 0x60, 0x45); /* keyboard interrupt on */
    rig_outb(rig, 0x60, 0xf2); /* get id: nobody answers, and says so */
    assert_true(rig->irqs[1].level);
    assert_int_equal(rig_inb(rig, 0x64) & 0x41, 0x41);
    assert_int_equal(rig_inb(rig, 0x60), 0xfe);
    assert_false(rig->irqs[1].level);
    rig_remove(rig, device);
}

static void test_cf9(void **state)
{
    struct rig *rig = *state;
    struct reset_cf9 cf9;

    reset_cf9_init(&cf9, &rig->requests);
    reset_cf9_write(&cf9, 0x02);
    assert_int_equal(rig->resets, 0);
    reset_cf9_write(&cf9, 0x06);
    reset_cf9_write(&cf9, 0x06);
    assert_int_equal(rig->resets, 1);
    reset_cf9_write(&cf9, 0x00);
    reset_cf9_write(&cf9, 0x0e);
    assert_int_equal(rig->resets, 2);
}

static void test_debug_exit(void **state)
{
    struct rig *rig = *state;
    struct device *device = rig_create(rig, &isa_debug_exit_device_type);

    assert_int_equal(property_set(device, device->type->properties, "iobase", "0xf4", NULL), 0);
    assert_int_equal(property_set(device, device->type->properties, "iosize", "0x4", NULL), 0);
    rig_realize(device);
    rig_out(rig, 0xf4, 4, 0x10);
    assert_int_equal(rig->exit_status, 0x21);
    rig_outb(rig, 0xf4, 0);
    assert_int_equal(rig->exit_status, 1);
    assert_int_equal(rig->exits, 2);
    assert_int_not_equal(property_set(device, device->type->properties, "iosize", "5", NULL), 0);
    rig_remove(rig, device);
}

static void test_debugcon(void **state)
{
    struct rig *rig = *state;
    struct chardev *chardev = rig_ringbuf(rig, "dbg");
    struct device *device = rig_create(rig, &debugcon_device_type);
    char text[8] = "";

    assert_int_equal(property_set(device, device->type->properties, "chardev", "dbg", NULL), 0);
    rig_realize(device);
    assert_int_equal(rig_inb(rig, 0xe9), 0xe9);
    rig_outb(rig, 0xe9, 'h');
    rig_outb(rig, 0xe9, 'i');
    assert_int_equal(chardev_ringbuf_take(chardev, text, sizeof(text)), 2);
    assert_string_equal(text, "hi");
    rig_remove(rig, device);
}

static void test_pc_testdev(void **state)
{
    struct rig *rig = *state;
    struct device *device = plug(rig, &pc_testdev_device_type);

    rig_out(rig, 0xe0, 4, 0x12345678);
    assert_int_equal(rig_in(rig, 0xe0, 4), 0x12345678);
    assert_int_equal(rig_inb(rig, 0xe1), 0x56);
    assert_int_equal(rig_in(rig, 0xe8, 4), 0x12345678);
    rig_out(rig, 0xe2, 2, 0xabcd);
    assert_int_equal(rig_in(rig, 0xe8, 4), 0xabcd5678);
    rig_outb(rig, 0x2000 + 11, 1);
    assert_true(rig->irqs[11].level);
    rig_outb(rig, 0x2000 + 11, 0);
    assert_false(rig->irqs[11].level);
    rig_mmio_write(rig, 0xff000010, 8, UINT64_C(0x1122334455667788));
    assert_int_equal(rig_mmio_read(rig, 0xff000014, 4), 0x11223344);
    rig_mmio_write(rig, 0xff00fff8, 8, 1);
    rig->ram->host[0x3000] = 0x77;
    rig_out(rig, 0xe4, 4, 0x3123);
    assert_int_equal(rig->ram->host[0x3000], 0x77);
    rig_out(rig, 0xe4, 4, 0xfffff000); /* no RAM there */
    rig_remove(rig, device);
}

struct page_reader {
    struct hdl_thread thread;
    struct rig *rig;
    _Atomic bool stop;
    uint64_t wrong;
};

static void page_reader_run(void *opaque)
{
    struct page_reader *reader = opaque;

    while (!atomic_load(&reader->stop)) {
        reader->wrong += rig_mmio_read(reader->rig, 0x3000, 8) != UINT64_C(0x7766554433221100);
    }
}

/* Others use the page that is flushed: a device's DMA, or another CPU that runs in this process. */
static void test_pc_testdev_flushes_a_page_in_use(void **state)
{
    struct rig *rig = *state;
    struct device *device = plug(rig, &pc_testdev_device_type);
    struct page_reader reader = {.rig = rig};

    rig_mmio_write(rig, 0x3000, 8, UINT64_C(0x7766554433221100));
    assert_int_equal(hdl_thread_start(&reader.thread, "reader", page_reader_run, &reader, NULL), 0);
    for (unsigned i = 0; i < 5000; i++) {
        rig_out(rig, 0xe4, 4, 0x3000);
    }
    atomic_store(&reader.stop, true);
    hdl_thread_join(&reader.thread);
    assert_int_equal(reader.wrong, 0);
    rig_remove(rig, device);
}

/* --- the legacy lock -------------------------------------------------------------------------------------------- */

#define COUNTS 20000

struct counting {
    struct hdl_thread thread;
    struct rig *rig;
    uint16_t port;
    _Atomic bool done;
};

static void counting_run(void *opaque)
{
    struct counting *counting = opaque;

    for (unsigned i = 0; i < COUNTS; i++) {
        rig_in(counting->rig, counting->port, 4);
    }
    atomic_store(&counting->done, true);
}

static struct test_legacy *legacy_plug(struct rig *rig, const char *iobase, uint64_t *shared, bool is_legacy)
{
    struct device *device =
        device_create(&test_legacy_device_type, iobase, rig->loop, NULL, is_legacy ? &rig->legacy : NULL);
    struct test_legacy *test = container_of(device, struct test_legacy, isa.device);

    test->isa.isa = &rig->isa;
    test->shared_counter = shared;
    assert_int_equal(property_set(test, test_legacy_device_type.properties, "iobase", iobase, NULL), 0);
    rig_realize(device);
    return test;
}

/*
 * Two devices that share the legacy lock, and one of its own lock whose second region is legacy: three threads count on
 * the shared counter, which nothing but the legacy lock guards, and no count is lost.
 */
static void test_legacy_lock(void **state)
{
    struct rig *rig = *state;
    uint64_t shared = 0;
    struct test_legacy *tests[] = {
        legacy_plug(rig, "0x3000", &shared, true),
        legacy_plug(rig, "0x3010", &shared, true),
        legacy_plug(rig, "0x3020", &shared, false),
    };
    struct counting threads[] = {
        {.rig = rig, .port = 0x3004}, {.rig = rig, .port = 0x3014}, {.rig = rig, .port = 0x3024}};

    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
        assert_int_equal(hdl_thread_start(&threads[i].thread, "count", counting_run, &threads[i], NULL), 0);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
        hdl_thread_join(&threads[i].thread);
    }
    assert_int_equal(shared, COUNTS * ARRAY_SIZE(threads));
    assert_int_equal(rig_in(rig, 0x3000, 4), 0);
    assert_int_equal(rig_in(rig, 0x3000, 4), 1);
    /* Held by this thread, the legacy lock doesn't keep others out of a device of its own lock. */
    device_lock_acquire(&rig->legacy);
    threads[0].port = 0x3020;
    atomic_store(&threads[0].done, false);
    assert_int_equal(hdl_thread_start(&threads[0].thread, "count", counting_run, &threads[0], NULL), 0);
    while (!atomic_load(&threads[0].done)) {
        hdl_cpu_relax();
    }
    device_lock_release(&rig->legacy);
    hdl_thread_join(&threads[0].thread);
    assert_int_equal(tests[2]->counter, COUNTS);
    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++) {
        rig_remove(rig, &tests[i]->isa.device);
    }
}

#define RIG_TEST(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_i8042_reset), RIG_TEST(test_i8042_a20),
        RIG_TEST(test_i8042_probe), RIG_TEST(test_cf9),
        RIG_TEST(test_debug_exit),  RIG_TEST(test_debugcon),
        RIG_TEST(test_pc_testdev),  RIG_TEST(test_pc_testdev_flushes_a_page_in_use),
        RIG_TEST(test_legacy_lock),
    };

    return rig_main(tests, ARRAY_SIZE(tests));
}
