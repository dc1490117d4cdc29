/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programmable interval timer (Intel 82C54 data sheet) and port 0x61 (system control port B of the PC/AT), `isa-pit`:
 * ports 0x40-0x43. Counter 0 is interrupt 0; counter 2 can be heard by port 0x61 only.
 *
 * Wiring: isa.isa before realize.
 */
#ifndef HDL_HW_TIMER_I8254_H
#define HDL_HW_TIMER_I8254_H

#include "hw/isa.h"
#include "hw/timer/i8254_counter.h"

/* isa, regions, irq: immutable after realize. irq_masked: any thread. The rest: device lock; timer locks itself. */
struct i8254 {
    struct isa_device isa; /* first */
    struct region region, port61_region;
    struct irq_line irq;
    struct timer timer;
    struct device_work timer_work;
    bool timer_ready;
    _Atomic bool irq_masked; /* HPET legacy replacement has taken the line */

    struct i8254_counter counters[3];
    uint64_t seen_ns; /* interrupts up to this time of the clock have been raised */
    uint8_t port61;   /* the bits that a guest can write */
};

extern const struct device_type i8254_device_type;

/*
 * Disconnects its interrupt (HPET legacy replacement), low. A rise under way on another thread may still come. Any
 * thread, under device locks.
 */
void i8254_mask_irq(struct i8254 *pit, bool masked);

#endif
