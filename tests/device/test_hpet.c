/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HPET and ACPI PM timer on a fake clock, and both counters read by many threads while another one stops and starts. */
#include "rig.h"

#include "base/thread.h"
#include "hw/timer/hpet.h"
#include "hw/timer/pmtimer.h"

#define CFG           (HPET_BASE + 0x10)
#define STATUS        (HPET_BASE + 0x20)
#define COUNTER       (HPET_BASE + 0xf0)
#define TN(n)         (HPET_BASE + 0x100 + 0x20 * (n))
#define TN_CMP(n)     (TN(n) + 8)
#define TN_FSB_REG(n) (TN(n) + 16)

#define LEVEL    0x002
#define ENABLE   0x004
#define PERIODIC 0x008
#define VAL_SET  0x040
#define BITS32   0x100
#define ROUTE(n) ((n) << 9)
#define FSB      0x4000

static struct hpet *hpet_plug(struct rig *rig)
{
    struct hpet *hpet = rig_create(rig, &hpet_device_type);

    property_set(hpet, hpet_device_type.properties, "msi", "on", NULL);
    rig_realize(&hpet->isa.device);
    return hpet;
}

static void test_capabilities(void **state)
{
    struct rig *rig = *state;
    struct hpet *hpet = hpet_plug(rig);

    assert_int_equal(rig_mmio_read(rig, HPET_BASE, 8), UINT64_C(0x009896808086a201));
    assert_int_equal(rig_mmio_read(rig, HPET_BASE + 4, 4), HPET_PERIOD_FS);
    assert_int_equal(rig_mmio_read(rig, HPET_BASE, 4), hpet_block_id(hpet));
    assert_int_equal(rig_mmio_read(rig, TN(0), 8), UINT64_C(0x00ff010400008030));
    assert_int_equal(rig_mmio_read(rig, TN(3), 8), 0);            /* there are three */
    assert_int_equal(rig_mmio_read(rig, HPET_BASE + 1, 1), 0xff); /* not a size it has */
    rig_remove(rig, &hpet->isa.device);
}

static void test_counter(void **state)
{
    struct rig *rig = *state;
    struct hpet *hpet = hpet_plug(rig);

    rig_advance_ns(rig, 1000);
    assert_int_equal(rig_mmio_read(rig, COUNTER, 8), 0);
    rig_mmio_write(rig, COUNTER, 8, UINT64_C(0xfffffffe));
    rig_mmio_write(rig, CFG, 4, 1);
    rig_advance_ns(rig, 35);
    assert_int_equal(rig_mmio_read(rig, COUNTER, 8), UINT64_C(0x100000001));
    assert_int_equal(rig_mmio_read(rig, COUNTER, 4), 1);
    assert_int_equal(rig_mmio_read(rig, COUNTER + 4, 4), 1);
    rig_mmio_write(rig, COUNTER, 8, 0); /* ignored while it runs */
    assert_int_equal(rig_mmio_read(rig, COUNTER + 4, 4), 1);
    rig_mmio_write(rig, CFG, 4, 0);
    rig_advance_ns(rig, 1000);
    assert_int_equal(rig_mmio_read(rig, COUNTER, 8), UINT64_C(0x100000001));
    rig_mmio_write(rig, COUNTER, 4, 7);
    assert_int_equal(rig_mmio_read(rig, COUNTER, 8), UINT64_C(0x100000007));
    device_reset(&hpet->isa.device);
    assert_int_equal(rig_mmio_read(rig, COUNTER, 8), 0);
    rig_remove(rig, &hpet->isa.device);
}

static void test_one_shot(void **state)
{
    struct rig *rig = *state;
    struct hpet *hpet = hpet_plug(rig);

    rig_mmio_write(rig, CFG, 4, 1);
    rig_mmio_write(rig, TN(2), 4, ENABLE | ROUTE(16));
    rig_advance_ns(rig, 100);
    assert_int_equal(rig->irqs[16].rises, 0); /* enabling alone does nothing */
    rig_mmio_write(rig, TN_CMP(2), 8, 1000);
    rig_advance_ns(rig, 9000);
    assert_int_equal(rig->irqs[16].rises, 0);
    rig_advance_ns(rig, 1000);
    assert_int_equal(rig->irqs[16].rises, 1);
    assert_false(rig->irqs[16].level); /* an edge */
    rig_advance_ns(rig, NS_PER_SEC);
    assert_int_equal(rig->irqs[16].rises, 1);
    rig_mmio_write(rig, TN_CMP(2), 8, 5); /* in the past: at once, not never */
    rig_settle(rig);
    assert_int_equal(rig->irqs[16].rises, 2);
    rig_mmio_write(rig, TN(2), 4, ENABLE | ROUTE(17)); /* but not again */
    rig_settle(rig);
    assert_int_equal(rig->irqs[17].rises, 0);
    rig_mmio_write(rig, TN(2), 4, ROUTE(17));
    rig_mmio_write(rig, TN_CMP(2), 8, 5);
    rig_settle(rig);
    assert_int_equal(rig->irqs[17].rises, 0); /* disabled */
    rig_remove(rig, &hpet->isa.device);
}

static void test_level(void **state)
{
    struct rig *rig = *state;
    struct hpet *hpet = hpet_plug(rig);

    rig_mmio_write(rig, CFG, 4, 1);
    rig_mmio_write(rig, TN(1), 4, ENABLE | LEVEL | BITS32 | ROUTE(18));
    rig_mmio_write(rig, TN_CMP(1), 4, 100);
    rig_advance_ns(rig, 1000);
    assert_true(rig->irqs[18].level);
    assert_int_equal(rig_mmio_read(rig, STATUS, 4), 2);
    rig_mmio_write(rig, STATUS, 4, 1);
    assert_true(rig->irqs[18].level);
    rig_mmio_write(rig, TN(1), 4, ENABLE | LEVEL | BITS32 | ROUTE(19)); /* the line moves with the route */
    assert_false(rig->irqs[18].level);
    assert_true(rig->irqs[19].level);
    rig_mmio_write(rig, STATUS, 4, 2);
    assert_false(rig->irqs[19].level);
    assert_int_equal(rig_mmio_read(rig, STATUS, 4), 0);
    rig_advance_ns(rig, UINT64_C(42949672960)); /* 2^32 ticks: a 32-bit timer comes round */
    assert_true(rig->irqs[19].level);
    rig_mmio_write(rig, TN(1), 4, LEVEL | ROUTE(19));
    assert_false(rig->irqs[19].level);
    rig_remove(rig, &hpet->isa.device);
}

static void test_periodic(void **state)
{
    struct rig *rig = *state;
    struct hpet *hpet = hpet_plug(rig);

    rig_mmio_write(rig, CFG, 4, 1);
    rig_mmio_write(rig, TN(0), 4, ENABLE | PERIODIC | VAL_SET | BITS32 | ROUTE(16));
    rig_mmio_write(rig, TN_CMP(0), 4, 200000); /* first match at 2 ms */
    assert_int_equal(rig_mmio_read(rig, TN(0), 4) & VAL_SET, 0);
    rig_mmio_write(rig, TN_CMP(0), 4, 100000); /* period 1 ms */
    assert_int_equal(rig_mmio_read(rig, TN_CMP(0), 4), 200000);
    rig_advance_ns(rig, 1900000);
    assert_int_equal(rig->irqs[16].rises, 0);
    rig_advance_ns(rig, 100000);
    assert_int_equal(rig->irqs[16].rises, 1);
    assert_int_equal(rig_mmio_read(rig, TN_CMP(0), 4), 300000);
    for (unsigned i = 0; i < 10; i++) {
        rig_advance_ns(rig, NS_PER_MS);
    }
    assert_int_equal(rig->irqs[16].rises, 11);
    rig_advance_ns(rig, 5 * NS_PER_MS + 500000); /* missed ticks become one, and the phase is kept */
    assert_int_equal(rig->irqs[16].rises, 12);
    assert_int_equal(rig_mmio_read(rig, TN_CMP(0), 4), 1800000);
    rig_advance_ns(rig, 500000);
    assert_int_equal(rig->irqs[16].rises, 13);
    rig_remove(rig, &hpet->isa.device);
}

/* A period of one tick asks the host for 100 million timers a second; it gets some thousands. */
static void test_hostile_period(void **state)
{
    struct rig *rig = *state;
    struct hpet *hpet = hpet_plug(rig);

    rig_mmio_write(rig, CFG, 4, 1);
    rig_mmio_write(rig, TN(0), 4, ENABLE | PERIODIC | VAL_SET | ROUTE(16));
    rig_mmio_write(rig, TN_CMP(0), 8, 1);
    for (unsigned i = 0; i < 1000; i++) {
        rig_advance_ns(rig, 1000);
    }
    assert_in_range(rig->irqs[16].rises, 5, 40);
    rig_mmio_write(rig, TN(0), 4, ENABLE | PERIODIC | VAL_SET | ROUTE(16));
    rig_mmio_write(rig, TN_CMP(0), 8, 0); /* no period at all */
    rig_advance_ns(rig, NS_PER_SEC);
    rig_mmio_write(rig, TN_CMP(0), 8, UINT64_MAX);
    rig_advance_ns(rig, NS_PER_SEC);
    rig_remove(rig, &hpet->isa.device);
}

static void test_legacy_told(void *opaque, bool legacy)
{
    *(int *)opaque = legacy;
}

static void test_legacy_and_fsb(void **state)
{
    struct rig *rig = *state;
    struct hpet *hpet = rig_create(rig, &hpet_device_type);
    int legacy = -1;

    property_set(hpet, hpet_device_type.properties, "msi", "on", NULL);
    hpet->legacy_changed = test_legacy_told;
    hpet->legacy_changed_opaque = &legacy;
    rig_realize(&hpet->isa.device);
    rig_mmio_write(rig, CFG, 4, 3);
    assert_int_equal(legacy, 1);
    rig_mmio_write(rig, TN(0), 4, ENABLE | ROUTE(20));
    rig_mmio_write(rig, TN(1), 4, ENABLE | ROUTE(20));
    rig_mmio_write(rig, TN_CMP(0), 8, 10);
    rig_mmio_write(rig, TN_CMP(1), 8, 10);
    rig_mmio_write(rig, TN(2), 4, ENABLE | FSB);
    rig_mmio_write(rig, TN_FSB_REG(2), 8, UINT64_C(0xfee0100000004041));
    rig_mmio_write(rig, TN_CMP(2), 8, 10);
    rig_advance_ns(rig, 100);
    assert_int_equal(rig->irqs[0].rises, 1);
    assert_int_equal(rig->irqs[8].rises, 1);
    assert_int_equal(rig->irqs[20].rises, 0);
    assert_int_equal(rig->msi.count, 1);
    assert_int_equal(rig->msi.last.address, 0xfee01000);
    assert_int_equal(rig->msi.last.data, 0x4041);
    device_reset(&hpet->isa.device);
    assert_int_equal(legacy, 0);
    rig_remove(rig, &hpet->isa.device);
}

#define READERS 3

struct reader {
    struct hdl_thread thread;
    struct rig *rig;
    uint64_t address;
    _Atomic bool *stop;
    bool went_back;
    _Atomic uint64_t reads;
};

static void reader_run(void *opaque)
{
    struct reader *reader = opaque;
    struct flat_cache cache = {0};
    uint64_t last = 0;

    do {
        uint64_t now = 0;

        address_space_read(reader->address == 8 ? &reader->rig->io : &reader->rig->mem, &cache, reader->address, 4,
                           &now);
        reader->went_back |= now < last;
        last = now;
        atomic_fetch_add(&reader->reads, 1);
    } while (!atomic_load(reader->stop));
}

/*
 * Readers see a counter that never goes back, while this thread stops and starts it and moves the clock, and even while
 * it holds the device's lock: a locked read would hang there.
 */
static void test_concurrent_reads(void **state)
{
    struct rig *rig = *state;
    struct hpet *hpet = hpet_plug(rig);
    struct pmtimer *pmtimer = rig_create(rig, &pmtimer_device_type);
    struct reader readers[READERS + 1];
    _Atomic bool stop = false;

    pmtimer->port = 8;
    rig_realize(&pmtimer->isa.device);
    rig_mmio_write(rig, CFG, 4, 1);
    for (unsigned i = 0; i <= READERS; i++) {
        readers[i] = (struct reader){.rig = rig, .address = i == READERS ? 8 : COUNTER, .stop = &stop};
        assert_int_equal(hdl_thread_start(&readers[i].thread, "reader", reader_run, &readers[i], NULL), 0);
    }
    for (unsigned i = 0; i < 20000; i++) {
        clock_advance_ns(&rig->clock, 15);
        rig_mmio_write(rig, CFG, 4, i & 1);
    }
    device_lock(&hpet->isa.device);
    for (unsigned i = 0; i <= READERS; i++) {
        uint64_t seen = atomic_load(&readers[i].reads);

        while (atomic_load(&readers[i].reads) < seen + 2) {
            hdl_cpu_relax();
        }
    }
    device_unlock(&hpet->isa.device);
    atomic_store(&stop, true);
    for (unsigned i = 0; i <= READERS; i++) {
        hdl_thread_join(&readers[i].thread);
        assert_false(readers[i].went_back);
    }
    rig_remove(rig, &hpet->isa.device);
    rig_remove(rig, &pmtimer->isa.device);
}

static void test_pmtimer(void **state)
{
    struct rig *rig = *state;
    struct pmtimer *pmtimer = rig_create(rig, &pmtimer_device_type);
    uint64_t before;

    pmtimer->port = 0x608;
    rig_realize(&pmtimer->isa.device);
    before = rig_in(rig, 0x608, 4);
    assert_int_equal(before, PMTIMER_HZ); /* the clock starts at one second */
    rig_advance_ns(rig, 2 * NS_PER_SEC);
    assert_int_equal(rig_in(rig, 0x608, 4), 3 * PMTIMER_HZ);
    rig_out(rig, 0x608, 4, 0);
    assert_int_equal(rig_in(rig, 0x608, 4), 3 * PMTIMER_HZ);
    assert_int_equal(rig_in(rig, 0x609, 1), (3 * PMTIMER_HZ) >> 8 & 0xff);
    rig_advance_ns(rig, 1200 * NS_PER_SEC); /* past 2^32 */
    assert_int_equal(rig_in(rig, 0x608, 4), (uint32_t)(1203 * PMTIMER_HZ));
    rig_remove(rig, &pmtimer->isa.device);
}

#define RIG_TEST(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_capabilities),   RIG_TEST(test_counter),          RIG_TEST(test_one_shot),
        RIG_TEST(test_level),          RIG_TEST(test_periodic),         RIG_TEST(test_hostile_period),
        RIG_TEST(test_legacy_and_fsb), RIG_TEST(test_concurrent_reads), RIG_TEST(test_pmtimer),
    };

    return rig_main(tests, ARRAY_SIZE(tests));
}
