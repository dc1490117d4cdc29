/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An 8254 counter. It has no tick of its own: what it would show follows from the ticks that went by since its count
 * was loaded. A count takes effect when its last byte is written, also in modes 2 and 3, where the chip would end the
 * period under way first.
 *
 * A hostile guest can load any count in any mode; all arithmetic is on 64-bit ticks, which last longer than the clock.
 */
#include "hw/timer/i8254_counter.h"

#define CONTROL_ACCESS(control) ((control) >> 4 & 3)
#define CONTROL_MODE(control)   ((control) >> 1 & 7)
#define CONTROL_BCD             0x01

#define ACCESS_LATCH 0
#define ACCESS_LOW   1
#define ACCESS_HIGH  2
#define ACCESS_BOTH  3

#define STATUS_OUT  0x80
#define STATUS_NULL 0x40

#define SECOND_NS UINT64_C(1000000000)

static uint64_t ticks_from_ns(uint64_t ns)
{
    return (uint64_t)((unsigned __int128)ns * I8254_HZ / SECOND_NS);
}

/* When that many ticks have gone by: rounded up. */
static uint64_t ticks_to_ns(uint64_t ticks)
{
    return (uint64_t)(((unsigned __int128)ticks * SECOND_NS + I8254_HZ - 1) / I8254_HZ);
}

/* --- counting --------------------------------------------------------------------------------------------------- */

static bool counter_is_triggered_mode(const struct i8254_counter *counter)
{
    return counter->mode == 1 || counter->mode == 5;
}

static bool counter_is_periodic(const struct i8254_counter *counter)
{
    return counter->mode == 2 || counter->mode == 3;
}

static bool counter_is_counting(const struct i8254_counter *counter)
{
    if (!counter->loaded) {
        return false;
    }
    return counter_is_triggered_mode(counter) ? counter->triggered : counter->gate;
}

/* Ticks since the count was loaded, or the gate triggered it. */
static uint64_t counter_ticks(const struct i8254_counter *counter, uint64_t now_ns)
{
    if (!counter_is_counting(counter) || now_ns < counter->start_ns) {
        return counter->held_ticks;
    }
    return counter->held_ticks + ticks_from_ns(now_ns - counter->start_ns);
}

static void counter_restart(struct i8254_counter *counter, uint64_t now_ns)
{
    counter->held_ticks = 0;
    counter->start_ns = now_ns;
}

static uint32_t counter_modulus(const struct i8254_counter *counter)
{
    return counter->bcd ? 10000 : 0x10000;
}

bool i8254_counter_out(const struct i8254_counter *counter, uint64_t now_ns)
{
    uint64_t ticks = counter_ticks(counter, now_ns);

    if (!counter->loaded) {
        return counter->mode != 0;
    }
    switch (counter->mode) {
    case 0:
        return ticks >= counter->initial;
    case 1:
        return !counter->triggered || ticks >= counter->initial;
    case 2:
        return !counter->gate || ticks % counter->initial != counter->initial - 1;
    case 3:
        return !counter->gate || ticks % counter->initial < (counter->initial + 1) / 2;
    default: /* a strobe of one tick */
        return !(counter_is_counting(counter) && ticks == counter->initial);
    }
}

uint64_t i8254_counter_next_rise_ns(const struct i8254_counter *counter, uint64_t after_ns)
{
    uint64_t ticks = counter_ticks(counter, after_ns), target;

    if (!counter_is_counting(counter)) {
        return UINT64_MAX;
    }
    if (counter_is_periodic(counter)) {
        target = (ticks / counter->initial + 1) * counter->initial;
    } else {
        target = counter->initial + (counter->mode >= 4 ? 1u : 0u);
    }
    return ticks < target ? counter->start_ns + ticks_to_ns(target - counter->held_ticks) : UINT64_MAX;
}

/* What is in the counting element: modes 2 and 3 begin anew, the others go on below zero. */
static uint16_t counter_value(const struct i8254_counter *counter, uint64_t now_ns)
{
    uint64_t ticks = counter_ticks(counter, now_ns);
    uint32_t modulus = counter_modulus(counter), value;

    if (!counter->loaded) {
        return 0;
    }
    if (counter->mode == 3) {
        value = counter->initial - (uint32_t)(2 * ticks % counter->initial);
    } else if (counter->mode == 2) {
        value = counter->initial - (uint32_t)(ticks % counter->initial);
    } else {
        value = (counter->initial + modulus - (uint32_t)(ticks % modulus)) % modulus;
    }
    value %= modulus;
    if (counter->bcd) {
        value = value / 1000 << 12 | value / 100 % 10 << 8 | value / 10 % 10 << 4 | value % 10;
    }
    return (uint16_t)value;
}

/* --- what is written -------------------------------------------------------------------------------------------- */

/* A guest may write digits that BCD doesn't have: they count as what they are. */
static uint32_t counter_initial(const struct i8254_counter *counter, uint16_t value)
{
    uint32_t count = value;

    if (counter->bcd) {
        count = (value >> 12) * 1000u + (value >> 8 & 15) * 100u + (value >> 4 & 15) * 10u + (value & 15);
        count %= counter_modulus(counter);
    }
    return count ? count : counter_modulus(counter);
}

static void counter_load(struct i8254_counter *counter, uint16_t value, uint64_t now_ns)
{
    counter->initial = counter_initial(counter, value);
    /* A triggered counter takes it at the next trigger; one that hasn't begun has nothing to be disturbed. */
    if (!counter_is_triggered_mode(counter) || !counter->loaded) {
        counter_restart(counter, now_ns);
    }
    counter->loaded = true;
}

void i8254_counter_control(struct i8254_counter *counter, uint8_t control, uint64_t now_ns)
{
    unsigned mode = CONTROL_MODE(control);

    if (CONTROL_ACCESS(control) == ACCESS_LATCH) {
        i8254_counter_read_back(counter, true, false, now_ns);
        return;
    }
    counter->access = CONTROL_ACCESS(control);
    counter->mode = (uint8_t)(mode > 5 ? mode - 4 : mode);
    counter->bcd = control & CONTROL_BCD;
    counter->loaded = counter->triggered = false;
    counter->write_high = counter->read_high = false;
    counter->latched = counter->status_latched = false;
    counter_restart(counter, now_ns);
}

void i8254_counter_write(struct i8254_counter *counter, uint8_t value, uint64_t now_ns)
{
    switch (counter->access) {
    case ACCESS_LOW:
        counter_load(counter, value, now_ns);
        break;
    case ACCESS_HIGH:
        counter_load(counter, (uint16_t)(value << 8), now_ns);
        break;
    case ACCESS_BOTH:
        if (counter->write_high) {
            counter_load(counter, (uint16_t)(value << 8 | counter->write_low), now_ns);
        } else {
            counter->write_low = value;
            if (counter->mode == 0) { /* the first byte of a new count stops it */
                counter->loaded = false;
            }
        }
        counter->write_high = !counter->write_high;
        break;
    }
}

void i8254_counter_set_gate(struct i8254_counter *counter, bool gate, uint64_t now_ns)
{
    bool rises = gate && !counter->gate;

    if (gate == counter->gate) {
        return;
    }
    if (counter_is_triggered_mode(counter)) {
        if (rises && counter->loaded) {
            counter->triggered = true;
            counter_restart(counter, now_ns);
        }
    } else if (rises && counter_is_periodic(counter)) {
        counter_restart(counter, now_ns);
    } else {
        counter->held_ticks = counter_ticks(counter, now_ns);
        counter->start_ns = now_ns;
    }
    counter->gate = gate;
}

/* --- what is read ----------------------------------------------------------------------------------------------- */

void i8254_counter_read_back(struct i8254_counter *counter, bool count, bool status, uint64_t now_ns)
{
    /* What is latched stays until it is read. */
    if (count && !counter->latched) {
        counter->latched = true;
        counter->latched_count = counter_value(counter, now_ns);
    }
    if (status && !counter->status_latched) {
        counter->status_latched = true;
        counter->latched_status =
            (uint8_t)((i8254_counter_out(counter, now_ns) ? STATUS_OUT : 0) | (counter->loaded ? 0 : STATUS_NULL) |
                      counter->access << 4 | counter->mode << 1 | (counter->bcd ? CONTROL_BCD : 0));
    }
}

uint8_t i8254_counter_read(struct i8254_counter *counter, uint64_t now_ns)
{
    uint16_t value;
    bool high = counter->access == ACCESS_HIGH || (counter->access == ACCESS_BOTH && counter->read_high);

    if (counter->status_latched) {
        counter->status_latched = false;
        return counter->latched_status;
    }
    value = counter->latched ? counter->latched_count : counter_value(counter, now_ns);
    if (counter->access == ACCESS_BOTH) {
        counter->read_high = !counter->read_high;
    }
    if (counter->access != ACCESS_BOTH || high) {
        counter->latched = false;
    }
    return (uint8_t)(high ? value >> 8 : value);
}

void i8254_counter_reset(struct i8254_counter *counter, bool gate)
{
    *counter = (struct i8254_counter){.gate = gate, .access = ACCESS_BOTH, .initial = 0x10000};
}
