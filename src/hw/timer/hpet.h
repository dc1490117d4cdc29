/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * High precision event timer (IA-PC HPET 1.0a), `hpet`: 1 KiB of registers at 0xfed00000, 100 MHz, 64-bit counter.
 * The main counter is read without any lock.
 *
 * Wiring: isa.isa before realize (irqs, msi, clock, mem_root). legacy_changed, if set before realize, is told when the
 * guest switches legacy replacement: while it is on, timer 0 drives isa irqs[0] and timer 1 irqs[8], so the machine
 * must disconnect the PIT's and the RTC's outputs (rtc_mask_irq). Called under the device's lock; must not block or
 * call another device's lock.
 */
#ifndef HDL_HW_TIMER_HPET_H
#define HDL_HW_TIMER_HPET_H

#include "hw/isa.h"
#include "hw/timer/hpet_counter.h"

#define HPET_BASE       UINT64_C(0xfed00000)
#define HPET_SIZE_BYTES 0x400
#define HPET_PERIOD_FS  10000000u /* 10 ns */
#define HPET_PERIOD_NS  10u
#define HPET_MAX_TIMERS 8
#define HPET_MIN_TIMERS 3

struct hpet;

/* Device lock. */
struct hpet_timer {
    struct hpet *hpet;
    unsigned index;
    uint64_t config;     /* Tn configuration: the guest's bits and the capabilities */
    uint64_t comparator; /* what the guest reads; for a periodic timer the next match */
    uint64_t period;     /* ticks, periodic */
    uint64_t fsb;        /* message: data low, address high */
    uint64_t due;        /* the full 64-bit counter value of the next match; valid while armed */
    bool armed;
    bool set_high;      /* the low half of the accumulator was written after VAL_SET; the high half follows */
    struct timer timer; /* event loop */
};

struct hpet {
    struct isa_device isa; /* first */

    /* properties and wiring: immutable after realize */
    uint32_t timer_count; /* 3..8 */
    uint32_t route_cap;   /* hpet-intcap: I/O APIC inputs that timers may use, a bit each */
    bool msi_enabled;     /* `msi`: front-side-bus delivery, if the machine has a target for it */
    uint64_t base;        /* physical address; set by the machine before realize; 0: HPET_BASE */
    void (*legacy_changed)(void *opaque, bool legacy);
    void *legacy_changed_opaque;

    struct region region, counter_region; /* counter_region: the 8 bytes of the main counter, lockless */
    struct hpet_counter counter;
    struct device_work expiry_work;

    /* device lock */
    uint64_t config;
    uint64_t interrupt_status; /* level-triggered timers that are active */
    struct hpet_timer timers[HPET_MAX_TIMERS];
    unsigned timers_ready; /* how many timers[].timer were initialised */
};

extern const struct device_type hpet_device_type; /* "hpet" */

/* For the ACPI HPET table: the low half of the capabilities register. Any thread after realize. */
uint32_t hpet_block_id(const struct hpet *hpet);

#endif
