/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The RTC's registers as a time, and its alarm: pure functions of register bytes. */
#ifndef HDL_HW_TIMER_RTC_TIME_H
#define HDL_HW_TIMER_RTC_TIME_H

#include <stdbool.h>
#include <stdint.h>

/* Register numbers (MC146818A, figure 2; the century is the PC's). */
enum rtc_register {
    RTC_SECONDS = 0x00,
    RTC_SECONDS_ALARM = 0x01,
    RTC_MINUTES = 0x02,
    RTC_MINUTES_ALARM = 0x03,
    RTC_HOURS = 0x04,
    RTC_HOURS_ALARM = 0x05,
    RTC_DAY_OF_WEEK = 0x06,
    RTC_DAY_OF_MONTH = 0x07,
    RTC_MONTH = 0x08,
    RTC_YEAR = 0x09,
    RTC_REG_A = 0x0a,
    RTC_REG_B = 0x0b,
    RTC_REG_C = 0x0c,
    RTC_REG_D = 0x0d,
    RTC_CENTURY = 0x32,
};

#define RTC_B_24_HOURS 0x02
#define RTC_B_BINARY   0x04

/* Fills the time registers of cmos[] from seconds since 1970, in the form that reg_b asks for. */
void rtc_time_encode(uint8_t *cmos, uint8_t reg_b, int64_t seconds);
/* The time that the registers show; nonsense in a field (a guest wrote it) is brought into its range. */
int64_t rtc_time_decode(const uint8_t *cmos, uint8_t reg_b);
/*
 * The first second after `after` at which the alarm registers match; bytes of 0xc0 and above match anything.
 * INT64_MAX if they never do.
 */
int64_t rtc_alarm_next(const uint8_t *cmos, uint8_t reg_b, int64_t after);

#endif
