/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI power-management timer (ACPI 6.5, 4.8.3.3), `acpi-pm-timer`: a 32-bit counter at 3.579545 MHz on one 4-byte
 * port, read without any lock. It raises no interrupt: TMR_STS, which PM1 shows, can be computed with pmtimer_ticks.
 *
 * Wiring: isa.isa and port before realize.
 */
#ifndef HDL_HW_TIMER_PMTIMER_H
#define HDL_HW_TIMER_PMTIMER_H

#include "hw/isa.h"

#define PMTIMER_HZ UINT64_C(3579545)

/* All immutable after realize. */
struct pmtimer {
    struct isa_device isa; /* first */
    uint16_t port;         /* PM_TMR_BLK: the PM base + 8 */
    struct region region;
};

extern const struct device_type pmtimer_device_type;

/* The counter before it is cut to 32 bits. Any thread, lockless. */
uint64_t pmtimer_ticks(struct clock *clock);

#endif
