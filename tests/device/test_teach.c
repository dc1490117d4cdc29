/* SPDX-License-Identifier: GPL-2.0-or-later */
/* heddle-teach, as docs/device-author-guide.md shows how to test a device. */
#include "rig.h"

#include <string.h>

#include "base/thread.h"
#include "hw/misc/teach.h"

#define BASE  0x3100
#define IRQ   10
#define GUEST 0x4000

static struct teach *teach_plug(struct rig *rig)
{
    struct teach *teach = rig_create(rig, &teach_device_type);

    rig_realize(&teach->isa.device);
    return teach;
}

static uint32_t get(struct rig *rig, unsigned reg)
{
    return (uint32_t)rig_in(rig, (uint16_t)(BASE + reg), 4);
}

static void put(struct rig *rig, unsigned reg, uint32_t value)
{
    rig_out(rig, (uint16_t)(BASE + reg), 4, value);
}

static void test_registers(void **state)
{
    struct rig *rig = *state;
    struct teach *teach = teach_plug(rig);

    assert_int_equal(get(rig, 0), TEACH_ID);
    put(rig, 4, 0x12345678);
    assert_int_equal(get(rig, 4), 0xedcba987);
    assert_int_equal(rig_in(rig, BASE, 2), 0xffff); /* words only */
    rig_remove(rig, &teach->isa.device);
    assert_int_equal(get(rig, 0), 0xffffffff);
}

static void test_factorial(void **state)
{
    struct rig *rig = *state;
    struct teach *teach = teach_plug(rig);

    put(rig, 0x14, 1);
    put(rig, 8, 10);
    rig_settle(rig);
    assert_int_equal(get(rig, 8), 3628800);
    assert_true(rig->irqs[IRQ].level);
    assert_int_equal(get(rig, 0x10), 1);
    put(rig, 0x10, 1);
    assert_false(rig->irqs[IRQ].level);
    put(rig, 8, 0xffffffff); /* not four billion steps */
    rig_settle(rig);
    assert_int_equal(get(rig, 8), 0);
    put(rig, 8, 0);
    rig_settle(rig);
    assert_int_equal(get(rig, 8), 1);
    rig_remove(rig, &teach->isa.device);
}

static void dma(struct rig *rig, uint32_t address, uint32_t len_bytes, uint32_t command)
{
    put(rig, 0x18, address);
    put(rig, 0x1c, len_bytes);
    put(rig, 0x20, command);
    rig_settle(rig);
}

static void test_dma(void **state)
{
    struct rig *rig = *state;
    struct teach *teach = teach_plug(rig);

    memset(rig->ram->host + GUEST, 0x5a, 256);
    dma(rig, GUEST, 256, 1);
    assert_int_equal(get(rig, 0x0c), 0);
    assert_int_equal(get(rig, 0x10), 2);
    dma(rig, GUEST + 0x1000, 256, 2);
    assert_memory_equal(rig->ram->host + GUEST, rig->ram->host + GUEST + 0x1000, 256);
    dma(rig, GUEST, 257, 1);
    assert_int_equal(get(rig, 0x0c), 4); /* too long */
    dma(rig, GUEST, 256, 1);
    assert_int_equal(get(rig, 0x0c), 0);
    dma(rig, GUEST, 0, 1);
    assert_int_equal(get(rig, 0x0c), 4);
    dma(rig, GUEST, 4, 3);
    assert_int_equal(get(rig, 0x0c), 4);
    dma(rig, 0xfffffff0, 256, 2); /* nothing there */
    assert_int_equal(get(rig, 0x0c), 4);
    rig_remove(rig, &teach->isa.device);
}

static void test_alarm(void **state)
{
    struct rig *rig = *state;
    struct teach *teach = teach_plug(rig);

    put(rig, 0x14, 4);
    put(rig, 0x24, 100);
    assert_int_equal(get(rig, 0x0c), 8);
    rig_advance_ns(rig, 99 * NS_PER_US);
    assert_false(rig->irqs[IRQ].level);
    rig_advance_ns(rig, NS_PER_US);
    assert_true(rig->irqs[IRQ].level);
    assert_int_equal(get(rig, 0x0c), 0);
    put(rig, 0x10, 4);
    put(rig, 0x24, 100);
    put(rig, 0x24, 0); /* taken back */
    rig_advance_ns(rig, NS_PER_SEC);
    assert_false(rig->irqs[IRQ].level);
    put(rig, 0x24, 100);
    device_reset(&teach->isa.device);
    rig_advance_ns(rig, NS_PER_SEC);
    assert_int_equal(get(rig, 0x10), 0);
    rig_remove(rig, &teach->isa.device);
}

struct reader {
    struct hdl_thread thread;
    struct rig *rig;
    _Atomic bool stop;
    _Atomic unsigned reads;
};

static void reader_run(void *opaque)
{
    struct reader *reader = opaque;

    while (!atomic_load(&reader->stop)) {
        get(reader->rig, 0x28);
        atomic_fetch_add(&reader->reads, 1);
    }
}

/* Reading TICKS doesn't wait for a thread that holds the device. */
static void test_lockless_ticks(void **state)
{
    struct rig *rig = *state;
    struct teach *teach = teach_plug(rig);
    struct reader reader = {.rig = rig};

    device_lock(&teach->isa.device);
    assert_int_equal(hdl_thread_start(&reader.thread, "reader", reader_run, &reader, NULL), 0);
    while (atomic_load(&reader.reads) < 10) {
        hdl_cpu_relax();
    }
    device_unlock(&teach->isa.device);
    atomic_store(&reader.stop, true);
    hdl_thread_join(&reader.thread);
    assert_int_equal(get(rig, 0x28), 1000000);
    rig_remove(rig, &teach->isa.device);
}

#define RIG_TEST(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_registers), RIG_TEST(test_factorial),      RIG_TEST(test_dma),
        RIG_TEST(test_alarm),     RIG_TEST(test_lockless_ticks),
    };

    return rig_main(tests, ARRAY_SIZE(tests));
}
