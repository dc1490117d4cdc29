/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Real-time clock and CMOS memory (Motorola MC146818A), `mc146818rtc`: ports 0x70/0x71, interrupt 8.
 *
 * Wiring: isa.isa before realize; `clock` is what makes its time go on (NULL: isa->clock, so it stands still with the
 * machine; -rtc clock=host: the host's clock). start_seconds is what it shows at realize: rtc_host_seconds,
 * or the date that -rtc base= gave.
 */
#ifndef HDL_HW_TIMER_RTC_H
#define HDL_HW_TIMER_RTC_H

#include "hw/isa.h"

#define RTC_CMOS_BYTES 128

struct rtc {
    struct isa_device isa; /* first */

    /* wiring: immutable after realize */
    struct clock *clock;
    int64_t start_seconds; /* since 1970-01-01 00:00:00 in the guest's idea of local time */
    struct region region;
    struct irq_line irq;
    struct device_work timer_work;
    struct timer periodic_timer, update_timer;
    unsigned timers_ready;

    _Atomic bool irq_masked; /* HPET legacy replacement has taken the line */

    /* device lock */
    uint8_t cmos[RTC_CMOS_BYTES];
    uint8_t index;
    int64_t base_seconds; /* the time, in seconds since 1970, that began when the clock read base_clock_ns */
    int64_t base_clock_ns;
    bool frozen;              /* SET or the divider reset holds updates: the time registers in cmos[] are the time */
    int64_t seen_second;      /* updates and alarms up to this second are in register C */
    int64_t periodic_next_ns; /* clock ns of the next tick of the divider tap; INT64_MAX: none is selected */
};

extern const struct device_type rtc_device_type;

/* -rtc base=utc and base=localtime: what time it is on the host, as seconds since 1970 that the RTC is to show. */
int64_t rtc_host_seconds(bool local);

/* Presets a byte of CMOS memory (index 0x0e..0x7f) that survives resets. Before the guest runs, or device lock. */
void rtc_set_cmos(struct rtc *rtc, unsigned index, uint8_t value);
/*
 * The memory sizes that PC firmware reads: 0x15-0x18, 0x30-0x31 (KiB below 1 MiB and above), 0x34-0x35 (64 KiB units
 * above 16 MiB), 0x5b-0x5d (64 KiB units above 4 GiB), and the number of CPUs less one in 0x5f. Before the guest runs.
 */
void rtc_set_memory(struct rtc *rtc, uint64_t below_4g_bytes, uint64_t above_4g_bytes, unsigned cpus);

/* Disconnects its interrupt (HPET legacy replacement). Any thread, under any lock. */
void rtc_mask_irq(struct rtc *rtc, bool masked);

#endif
