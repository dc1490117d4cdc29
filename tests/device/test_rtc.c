/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MC146818A: time in all its forms, what freezes it, each interrupt, and the memory behind it. */
#include "rig.h"

#include "hw/timer/rtc.h"
#include "hw/timer/rtc_time.h"

/* 2006-06-17 16:01:21 UTC, a Saturday. */
#define START INT64_C(1150560081)

static struct rtc *rtc_plug(struct rig *rig, int64_t start)
{
    struct rtc *rtc = rig_create(rig, &rtc_device_type);

    rtc->start_seconds = start;
    rig_realize(&rtc->isa.device);
    return rtc;
}

static uint8_t get(struct rig *rig, uint8_t index)
{
    rig_outb(rig, 0x70, index);
    return rig_inb(rig, 0x71);
}

static void put(struct rig *rig, uint8_t index, uint8_t value)
{
    rig_outb(rig, 0x70, index);
    rig_outb(rig, 0x71, value);
}

static void test_time(void **state)
{
    struct rig *rig = *state;
    struct rtc *rtc = rtc_plug(rig, START);

    assert_int_equal(get(rig, RTC_SECONDS), 0x21);
    assert_int_equal(get(rig, RTC_MINUTES), 0x01);
    assert_int_equal(get(rig, RTC_HOURS), 0x16);
    assert_int_equal(get(rig, RTC_DAY_OF_WEEK), 7);
    assert_int_equal(get(rig, RTC_DAY_OF_MONTH), 0x17);
    assert_int_equal(get(rig, RTC_MONTH), 0x06);
    assert_int_equal(get(rig, RTC_YEAR), 0x06);
    assert_int_equal(get(rig, RTC_CENTURY), 0x20);
    assert_int_equal(get(rig, RTC_REG_D), 0x80);
    assert_int_equal(get(rig, 0x80 | RTC_MINUTES), 0x01); /* the NMI bit isn't part of the index */
    rig_advance_ns(rig, 39 * NS_PER_SEC);
    assert_int_equal(get(rig, RTC_SECONDS), 0x00);
    assert_int_equal(get(rig, RTC_MINUTES), 0x02);
    put(rig, RTC_REG_B, RTC_B_BINARY); /* binary, 12 hours */
    assert_int_equal(get(rig, RTC_HOURS), 0x84);
    assert_int_equal(get(rig, RTC_YEAR), 6);
    assert_int_equal(get(rig, RTC_CENTURY), 20);
    rig_remove(rig, &rtc->isa.device);
}

static void test_uip(void **state)
{
    struct rig *rig = *state;
    struct rtc *rtc = rtc_plug(rig, START);

    assert_int_equal(get(rig, RTC_REG_A), 0x26);
    rig_advance_ns(rig, NS_PER_SEC - 300000);
    assert_int_equal(get(rig, RTC_REG_A), 0x26);
    rig_advance_ns(rig, 100000);
    assert_int_equal(get(rig, RTC_REG_A), 0xa6);
    assert_int_equal(get(rig, RTC_SECONDS), 0x21);
    rig_advance_ns(rig, 200000);
    assert_int_equal(get(rig, RTC_REG_A), 0x26);
    assert_int_equal(get(rig, RTC_SECONDS), 0x22);
    rig_remove(rig, &rtc->isa.device);
}

static void set_time(struct rig *rig, const uint8_t *hms, const uint8_t *dmy)
{
    put(rig, RTC_HOURS, hms[0]);
    put(rig, RTC_MINUTES, hms[1]);
    put(rig, RTC_SECONDS, hms[2]);
    put(rig, RTC_DAY_OF_MONTH, dmy[0]);
    put(rig, RTC_MONTH, dmy[1]);
    put(rig, RTC_YEAR, dmy[2]);
}

static void test_set(void **state)
{
    struct rig *rig = *state;
    struct rtc *rtc = rtc_plug(rig, START);

    rig_advance_ns(rig, NS_PER_SEC / 4);
    put(rig, RTC_REG_B, 0x82);
    set_time(rig, (const uint8_t[]){0x23, 0x59, 0x58}, (const uint8_t[]){0x28, 0x02, 0x24}); /* a leap year */
    rig_advance_ns(rig, 10 * NS_PER_SEC);
    assert_int_equal(get(rig, RTC_SECONDS), 0x58); /* SET holds it */
    put(rig, RTC_REG_B, 0x02);
    rig_advance_ns(rig, NS_PER_SEC / 2);
    assert_int_equal(get(rig, RTC_SECONDS), 0x58);
    rig_advance_ns(rig, NS_PER_SEC / 4 + 1); /* the phase was kept */
    assert_int_equal(get(rig, RTC_SECONDS), 0x59);
    rig_advance_ns(rig, NS_PER_SEC);
    assert_int_equal(get(rig, RTC_HOURS), 0x00);
    assert_int_equal(get(rig, RTC_DAY_OF_MONTH), 0x29);
    assert_int_equal(get(rig, RTC_DAY_OF_WEEK), 5); /* Thursday: ours, not what was written */
    rig_advance_ns(rig, 86400 * NS_PER_SEC);
    assert_int_equal(get(rig, RTC_DAY_OF_MONTH), 0x01);
    assert_int_equal(get(rig, RTC_MONTH), 0x03);
    rig_remove(rig, &rtc->isa.device);
}

static void test_divider_reset(void **state)
{
    struct rig *rig = *state;
    struct rtc *rtc = rtc_plug(rig, START);

    put(rig, RTC_REG_A, 0x76);
    rig_advance_ns(rig, 3 * NS_PER_SEC);
    assert_int_equal(get(rig, RTC_SECONDS), 0x21);
    put(rig, RTC_REG_A, 0x26); /* the next update comes half a second later */
    rig_advance_ns(rig, NS_PER_SEC / 2 - 1000);
    assert_int_equal(get(rig, RTC_SECONDS), 0x21);
    rig_advance_ns(rig, 2000);
    assert_int_equal(get(rig, RTC_SECONDS), 0x22);
    rig_remove(rig, &rtc->isa.device);
}

static void test_update_interrupt(void **state)
{
    struct rig *rig = *state;
    struct rtc *rtc = rtc_plug(rig, START);

    rig_advance_ns(rig, NS_PER_SEC);
    assert_int_equal(get(rig, RTC_REG_C) & 0x90, 0x10); /* the flag comes without being enabled */
    assert_int_equal(get(rig, RTC_REG_C) & 0x90, 0);
    put(rig, RTC_REG_B, 0x12);
    rig_advance_ns(rig, NS_PER_SEC - 1);
    assert_false(rig->irqs[8].level);
    rig_advance_ns(rig, 1);
    assert_true(rig->irqs[8].level);
    rig_advance_ns(rig, 5 * NS_PER_SEC);
    assert_int_equal(rig->irqs[8].rises, 1); /* not again before it is served */
    assert_int_equal(get(rig, RTC_REG_C) & 0x90, 0x90);
    assert_false(rig->irqs[8].level);
    rig_advance_ns(rig, NS_PER_SEC);
    assert_int_equal(rig->irqs[8].rises, 2);
    put(rig, RTC_REG_B, 0x02);
    assert_false(rig->irqs[8].level);
    get(rig, RTC_REG_C);
    rig_advance_ns(rig, 2 * NS_PER_SEC);
    assert_int_equal(rig->irqs[8].rises, 2);
    rig_remove(rig, &rtc->isa.device);
}

static void test_periodic_interrupt(void **state)
{
    struct rig *rig = *state;
    struct rtc *rtc = rtc_plug(rig, START);
    unsigned ticks = 0;

    put(rig, RTC_REG_A, 0x26); /* 1024 Hz */
    put(rig, RTC_REG_B, 0x42);
    for (unsigned i = 0; i < 4096; i++) {
        rig_advance_ns(rig, NS_PER_SEC / 4096);
        if (rig->irqs[8].level) {
            assert_int_equal(get(rig, RTC_REG_C) & 0xc0, 0xc0);
            ticks++;
        }
    }
    assert_in_range(ticks, 1022, 1025);
    put(rig, RTC_REG_A, 0x20); /* rate 0: none */
    rig_advance_ns(rig, NS_PER_SEC);
    assert_false(rig->irqs[8].level);
    put(rig, RTC_REG_A, 0x23);
    device_reset(&rtc->isa.device);
    rig_advance_ns(rig, NS_PER_SEC);
    assert_false(rig->irqs[8].level);
    rig_remove(rig, &rtc->isa.device);
}

static void test_alarm(void **state)
{
    struct rig *rig = *state;
    struct rtc *rtc = rtc_plug(rig, START);

    put(rig, RTC_HOURS_ALARM, 0x16);
    put(rig, RTC_MINUTES_ALARM, 0x03);
    put(rig, RTC_SECONDS_ALARM, 0x05);
    put(rig, RTC_REG_B, 0x22);
    rig_advance_ns(rig, 103 * NS_PER_SEC);
    assert_false(rig->irqs[8].level);
    rig_advance_ns(rig, NS_PER_SEC);
    assert_true(rig->irqs[8].level);
    assert_int_equal(get(rig, RTC_REG_C), 0xf0); /* the 1024 Hz tap's flag and the update's are up as well */
    rig_advance_ns(rig, 86399 * NS_PER_SEC);
    assert_false(rig->irqs[8].level);
    rig_advance_ns(rig, NS_PER_SEC);
    assert_true(rig->irqs[8].level);
    get(rig, RTC_REG_C);
    put(rig, RTC_HOURS_ALARM, 0xff);
    put(rig, RTC_MINUTES_ALARM, 0xc0);
    rig_advance_ns(rig, 60 * NS_PER_SEC);
    assert_true(rig->irqs[8].level); /* once a minute */
    rig_remove(rig, &rtc->isa.device);
}

/* The alarm's arithmetic against the obvious way to do it. */
static bool field_matches(uint8_t alarm, int64_t now)
{
    return alarm >= 0xc0 || alarm == (now / 10 << 4 | now % 10);
}

static int64_t alarm_search(const uint8_t *cmos, int64_t after)
{
    do {
        after++;
    } while (!field_matches(cmos[RTC_HOURS_ALARM], after / 3600 % 24) ||
             !field_matches(cmos[RTC_MINUTES_ALARM], after / 60 % 60) ||
             !field_matches(cmos[RTC_SECONDS_ALARM], after % 60));
    return after;
}

static void test_alarm_against_search(void **state)
{
    static const uint8_t choices[] = {0x00, 0x29, 0x59, 0xff};
    static const uint8_t hours[] = {0x00, 0x12, 0x23, 0xff};
    uint8_t cmos[RTC_CMOS_BYTES] = {0};

    for (unsigned i = 0; i < 4 * 4 * 4; i++) {
        cmos[RTC_HOURS_ALARM] = hours[i % 4];
        cmos[RTC_MINUTES_ALARM] = choices[i / 4 % 4];
        cmos[RTC_SECONDS_ALARM] = choices[i / 16];
        for (int64_t after = START; after < START + 90000; after += 15619) {
            assert_int_equal(rtc_alarm_next(cmos, RTC_B_24_HOURS, after), alarm_search(cmos, after));
        }
        /* Just before and just at a match. */
        int64_t match = rtc_alarm_next(cmos, RTC_B_24_HOURS, START);
        assert_int_equal(rtc_alarm_next(cmos, RTC_B_24_HOURS, match - 1), match);
        assert_int_equal(rtc_alarm_next(cmos, RTC_B_24_HOURS, match), alarm_search(cmos, match));
    }
}

static void test_memory(void **state)
{
    struct rig *rig = *state;
    struct rtc *rtc = rtc_plug(rig, START);

    rtc_set_memory(rtc, UINT64_C(3) << 30, UINT64_C(5) << 30, 4);
    assert_int_equal(get(rig, 0x15) | get(rig, 0x16) << 8, 640);
    assert_int_equal(get(rig, 0x17) | get(rig, 0x18) << 8, 0xffff);
    assert_int_equal(get(rig, 0x30) | get(rig, 0x31) << 8, 0xffff);
    assert_int_equal(get(rig, 0x34) | get(rig, 0x35) << 8, (3072 - 16) * 16);
    assert_int_equal(get(rig, 0x5b) | get(rig, 0x5c) << 8 | get(rig, 0x5d) << 16, 5 * 1024 * 16);
    assert_int_equal(get(rig, 0x5f), 3);
    put(rig, 0x7f, 0xa5);
    device_reset(&rtc->isa.device);
    assert_int_equal(get(rig, 0x7f), 0xa5);
    assert_int_equal(get(rig, 0x5f), 3);
    rig_remove(rig, &rtc->isa.device);
}

/* Any byte in any register, with time going by: nothing but garbage may come of it. */
static void test_hostile_registers(void **state)
{
    struct rig *rig = *state;
    struct rtc *rtc = rtc_plug(rig, START);
    uint32_t seed = 1;

    for (unsigned i = 0; i < 20000; i++) {
        seed = seed * 1664525 + 1013904223;
        put(rig, (uint8_t)(seed >> 8) % 16, (uint8_t)(seed >> 16));
        put(rig, RTC_CENTURY, (uint8_t)(seed >> 20));
        rig_advance_ns(rig, seed >> 4);
        get(rig, (uint8_t)(seed >> 24));
    }
    rig_remove(rig, &rtc->isa.device);
}

static void test_masked_irq(void **state)
{
    struct rig *rig = *state;
    struct rtc *rtc = rtc_plug(rig, START);

    rtc_mask_irq(rtc, true);
    put(rig, RTC_REG_B, 0x12);
    rig_advance_ns(rig, NS_PER_SEC);
    assert_false(rig->irqs[8].level);
    assert_int_equal(get(rig, RTC_REG_C) & 0x90, 0x90);
    rtc_mask_irq(rtc, false);
    rig_advance_ns(rig, NS_PER_SEC);
    assert_true(rig->irqs[8].level);
    rig_remove(rig, &rtc->isa.device);
}

#define RIG_TEST(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_time),
        RIG_TEST(test_uip),
        RIG_TEST(test_set),
        RIG_TEST(test_divider_reset),
        RIG_TEST(test_update_interrupt),
        RIG_TEST(test_periodic_interrupt),
        RIG_TEST(test_alarm),
        cmocka_unit_test(test_alarm_against_search),
        RIG_TEST(test_memory),
        RIG_TEST(test_hostile_registers),
        RIG_TEST(test_masked_irq),
    };

    return rig_main(tests, ARRAY_SIZE(tests));
}
