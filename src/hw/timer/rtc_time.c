/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The RTC's registers as a time: BCD or binary, 12 or 24 hours, and the alarm's wild cards. No state. A guest writes
 * any byte into any register; each is brought into range before it is used.
 */
#include "hw/timer/rtc_time.h"

#include <time.h>

#include "base/compiler.h"

#define SECONDS_PER_DAY 86400
#define HOUR_PM         0x80
#define ALARM_ANY       0xc0

static uint8_t field_encode(uint8_t reg_b, int value)
{
    return (uint8_t)(reg_b & RTC_B_BINARY ? value : value / 10 << 4 | value % 10);
}

static int field_decode(uint8_t reg_b, uint8_t byte, int min, int max)
{
    int value = reg_b & RTC_B_BINARY ? byte : (byte >> 4) * 10 + (byte & 0x0f);

    return MAX(min, MIN(value, max));
}

static uint8_t hour_encode(uint8_t reg_b, int hour)
{
    if (reg_b & RTC_B_24_HOURS) {
        return field_encode(reg_b, hour);
    }
    return (uint8_t)(field_encode(reg_b, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0));
}

static int hour_decode(uint8_t reg_b, uint8_t byte)
{
    if (reg_b & RTC_B_24_HOURS) {
        return field_decode(reg_b, byte, 0, 23);
    }
    return field_decode(reg_b, byte & (uint8_t)~HOUR_PM, 1, 12) % 12 + (byte & HOUR_PM ? 12 : 0);
}

void rtc_time_encode(uint8_t *cmos, uint8_t reg_b, int64_t seconds)
{
    time_t time = (time_t)seconds;
    struct tm tm = {0};

    gmtime_r(&time, &tm);
    cmos[RTC_SECONDS] = field_encode(reg_b, tm.tm_sec);
    cmos[RTC_MINUTES] = field_encode(reg_b, tm.tm_min);
    cmos[RTC_HOURS] = hour_encode(reg_b, tm.tm_hour);
    cmos[RTC_DAY_OF_WEEK] = field_encode(reg_b, tm.tm_wday + 1);
    cmos[RTC_DAY_OF_MONTH] = field_encode(reg_b, tm.tm_mday);
    cmos[RTC_MONTH] = field_encode(reg_b, tm.tm_mon + 1);
    cmos[RTC_YEAR] = field_encode(reg_b, tm.tm_year % 100);
    cmos[RTC_CENTURY] = field_encode(reg_b, (tm.tm_year + 1900) / 100 % 100);
}

int64_t rtc_time_decode(const uint8_t *cmos, uint8_t reg_b)
{
    struct tm tm = {
        .tm_sec = field_decode(reg_b, cmos[RTC_SECONDS], 0, 59),
        .tm_min = field_decode(reg_b, cmos[RTC_MINUTES], 0, 59),
        .tm_hour = hour_decode(reg_b, cmos[RTC_HOURS]),
        .tm_mday = field_decode(reg_b, cmos[RTC_DAY_OF_MONTH], 1, 31),
        .tm_mon = field_decode(reg_b, cmos[RTC_MONTH], 1, 12) - 1,
        .tm_year =
            field_decode(reg_b, cmos[RTC_YEAR], 0, 99) + field_decode(reg_b, cmos[RTC_CENTURY], 19, 99) * 100 - 1900,
    };

    return timegm(&tm);
}

/* The first value >= from that the alarm field accepts; 0 of the next round, and *carry, if there is none in this one.
 */
static int alarm_field_next(bool any, int wanted, int from, int limit, bool *carry)
{
    *carry = any ? from >= limit : wanted < from;
    if (any) {
        return *carry ? 0 : from;
    }
    return wanted;
}

static int first_match(bool any, int wanted)
{
    return any ? 0 : wanted;
}

int64_t rtc_alarm_next(const uint8_t *cmos, uint8_t reg_b, int64_t after)
{
    bool any_s = cmos[RTC_SECONDS_ALARM] >= ALARM_ANY;
    bool any_m = cmos[RTC_MINUTES_ALARM] >= ALARM_ANY;
    bool any_h = cmos[RTC_HOURS_ALARM] >= ALARM_ANY;
    int s = field_decode(reg_b, cmos[RTC_SECONDS_ALARM], 0, 59);
    int m = field_decode(reg_b, cmos[RTC_MINUTES_ALARM], 0, 59);
    int h = hour_decode(reg_b, cmos[RTC_HOURS_ALARM]);
    int64_t start = after + 1;
    int64_t in_day = (start % SECONDS_PER_DAY + SECONDS_PER_DAY) % SECONDS_PER_DAY;
    int64_t day = start - in_day;
    int now_h = (int)(in_day / 3600), now_m = (int)(in_day / 60 % 60), now_s = (int)(in_day % 60);
    bool carry, day_carry;
    int at_s = alarm_field_next(any_s, s, now_s, 60, &carry);
    int at_m = alarm_field_next(any_m, m, now_m + carry, 60, &carry);
    int at_h = alarm_field_next(any_h, h, now_h + carry, 24, &day_carry);

    /* A greater outer field starts the inner ones from their first match. */
    if (day_carry || at_h != now_h) {
        at_m = first_match(any_m, m);
        at_s = first_match(any_s, s);
    } else if (at_m != now_m) {
        at_s = first_match(any_s, s);
    }
    return day + (day_carry ? SECONDS_PER_DAY : 0) + at_h * 3600 + at_m * 60 + at_s;
}
