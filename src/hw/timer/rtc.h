/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Real-time clock and CMOS memory (Motorola MC146818A), `mc146818rtc`: ports 0x70/0x71, interrupt 8.
 *
 * Wiring: isa.isa before realize; `clock` is what makes its time go on (NULL: isa->clock, so it stands still with the
 * machine; -rtc clock=host: the host's clock). start_seconds is what it shows at realize, from rtc_base_parse.
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
    int64_t base_ns; /* guest time in ns when the clock read base_clock_ns */
    uint64_t base_clock_ns;
    int64_t frozen_ns; /* the time that is shown while SET or the divider reset holds updates */
    bool frozen;
    int64_t seen_second;       /* updates and alarms up to this second are in register C */
    uint64_t periodic_next_ns; /* 0: none */
};

extern const struct device_type rtc_device_type;

/*
 * -rtc base=: "utc", "localtime", or a date "2006-06-17T16:01:21" or "2006-06-17". Seconds since 1970 that the RTC is
 * to show now. -EINVAL and an error that says what would be right.
 */
int rtc_base_parse(const char *base, int64_t *seconds, struct error **err);

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
