/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local APIC's timer (SDM 3, 11.5.4): one-shot, periodic, and by the time-stamp counter. It counts nanoseconds of
 * the guest's clock: a bus of 1 GHz, as KVM has.
 *
 *              initial count, or a TSC deadline            the time has come
 *   STOPPED ------------------------------------> COUNTING -----------------> STOPPED, fires
 *      ^                                            |  ^          |  periodic: fires and goes on
 *      +--- count 0, mode changed, reset -----------+  +----------+
 *
 * All of it belongs to the CPU's own thread. An event loop's timer only says that time has passed: it leaves a bit and
 * wakes the CPU, whose thread looks at the clock itself. So a timer that was stopped or set anew at the same moment
 * fires neither wrongly nor twice, nothing fires early however clocks are rounded or drift, and a machine that stands
 * still stops the timer by stopping the clock. While the timer's LVT is masked nobody is woken; reading the count works
 * it out.
 *
 * A hostile guest can ask for a period of a nanosecond. Expirations that nobody took are one, and a periodic timer
 * wakes its CPU at most each TIMER_WAKE_NS.
 */
#include "hw/intc/lapic_internal.h"

#define TIMER_WAKE_NS (100 * NS_PER_US)

static uint64_t timer_now_ns(const struct lapic *lapic)
{
    return clock_now_ns(lapic->timer.timer.clock);
}

static uint32_t timer_lvt(const struct lapic *lapic)
{
    return lapic_load(&lapic->lvt[LVT_TIMER]);
}

static bool timer_is_by_tsc(const struct lapic *lapic)
{
    return (timer_lvt(lapic) & LAPIC_TIMER_MODES) == LAPIC_TIMER_BY_TSC;
}

/* Bits 0, 1 and 3: 2, 4, ... 128, and 1. */
static uint64_t timer_tick_ns(const struct lapic *lapic)
{
    uint32_t divide = lapic->timer.divide;
    unsigned code = (divide & 3) | (divide >> 1 & 4);

    return UINT64_C(1) << ((code + 1) & 7);
}

/* --- the loop's thread ------------------------------------------------------------------------------------------ */

static void timer_fired(void *opaque)
{
    struct lapic *lapic = opaque;

    /* Release: pairs with the exchange in lapic_poll. */
    atomic_fetch_or_explicit(&lapic->events, LAPIC_EVENT_TIMER, memory_order_release);
    lapic->bus->cpus->interrupt(lapic->bus->cpus_opaque, lapic->index);
}

/* --- own thread: what comes next -------------------------------------------------------------------------------- */

/* When the counter reaches the deadline, by the guest's clock, rounded up; the clock and the counter may drift. */
static uint64_t timer_tsc_wake_ns(const struct lapic *lapic, uint64_t now_ns, uint64_t tsc)
{
    uint64_t khz = lapic->bus->tsc_khz;
    unsigned __int128 ns = ((unsigned __int128)(lapic->timer.tsc_deadline - tsc) * 1000000 + khz - 1) / khz;

    return ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + (uint64_t)ns;
}

static void timer_arm_or_cancel(struct lapic *lapic, bool wanted, uint64_t deadline_ns)
{
    struct lapic_timer *timer = &lapic->timer;

    if (wanted && !(timer_lvt(lapic) & LAPIC_LVT_MASKED)) {
        timer_arm(&timer->timer, deadline_ns);
    } else {
        timer_cancel(&timer->timer);
    }
}

static void timer_update_by_tsc(struct lapic *lapic)
{
    struct lapic_timer *timer = &lapic->timer;
    uint64_t now_ns, tsc;

    if (timer->tsc_deadline == 0) {
        timer_arm_or_cancel(lapic, false, 0);
        return;
    }
    now_ns = timer_now_ns(lapic);
    tsc = lapic->bus->cpus->tsc(lapic->bus->cpus_opaque, lapic->index);
    if (tsc >= timer->tsc_deadline) {
        timer->tsc_deadline = 0;
        timer_arm_or_cancel(lapic, false, 0);
        lapic_fire_lvt(lapic, LVT_TIMER);
    } else {
        timer_arm_or_cancel(lapic, true, timer_tsc_wake_ns(lapic, now_ns, tsc));
    }
}

static void timer_update_by_count(struct lapic *lapic)
{
    struct lapic_timer *timer = &lapic->timer;
    uint64_t now_ns = timer_now_ns(lapic);
    uint64_t wake_ns = timer->deadline_ns;

    if (timer->counting && now_ns >= timer->deadline_ns) {
        lapic_fire_lvt(lapic, LVT_TIMER);
        if (timer_lvt(lapic) & LAPIC_TIMER_PERIOD) {
            uint64_t period_ns = timer->initial * timer_tick_ns(lapic);

            timer->deadline_ns += ((now_ns - timer->deadline_ns) / period_ns + 1) * period_ns;
            wake_ns = MAX(timer->deadline_ns, now_ns + TIMER_WAKE_NS);
        } else {
            timer->counting = false;
        }
    }
    timer_arm_or_cancel(lapic, timer->counting, wake_ns);
}

void lapic_timer_update(struct lapic *lapic)
{
    if (timer_is_by_tsc(lapic)) {
        timer_update_by_tsc(lapic);
    } else {
        timer_update_by_count(lapic);
    }
}

static void timer_stop(struct lapic *lapic)
{
    lapic->timer.initial = 0;
    lapic->timer.counting = false;
    lapic->timer.tsc_deadline = 0;
    timer_cancel(&lapic->timer.timer);
}

/* --- registers -------------------------------------------------------------------------------------------------- */

void lapic_timer_write_lvt(struct lapic *lapic, uint32_t value)
{
    bool was_by_tsc = timer_is_by_tsc(lapic);

    lapic_timer_update(lapic); /* what expired before did so under the old entry */
    lapic_store(&lapic->lvt[LVT_TIMER], value);
    if (was_by_tsc != timer_is_by_tsc(lapic)) {
        timer_stop(lapic);
    }
    lapic_timer_update(lapic);
}

void lapic_timer_write_initial(struct lapic *lapic, uint32_t value)
{
    struct lapic_timer *timer = &lapic->timer;

    if (timer_is_by_tsc(lapic)) {
        return;
    }
    timer_update_by_count(lapic);
    timer->initial = value;
    timer->counting = value != 0;
    timer->deadline_ns = timer_now_ns(lapic) + value * timer_tick_ns(lapic);
    timer_update_by_count(lapic);
}

uint32_t lapic_timer_current(struct lapic *lapic)
{
    struct lapic_timer *timer = &lapic->timer;
    uint64_t tick_ns = timer_tick_ns(lapic);
    uint64_t now_ns;

    lapic_timer_update(lapic);
    now_ns = timer_now_ns(lapic);
    if (!timer->counting || now_ns >= timer->deadline_ns) {
        return 0;
    }
    return (uint32_t)((timer->deadline_ns - now_ns + tick_ns - 1) / tick_ns);
}

/* The count goes on from where it is, at the new pace. */
void lapic_timer_write_divide(struct lapic *lapic, uint32_t value)
{
    struct lapic_timer *timer = &lapic->timer;
    uint64_t count = lapic_timer_current(lapic);

    timer->divide = value & LAPIC_DIVIDE_WRITES;
    if (timer->counting) {
        timer->deadline_ns = timer_now_ns(lapic) + count * timer_tick_ns(lapic);
    }
    lapic_timer_update(lapic);
}

uint64_t lapic_timer_read_tsc_deadline(struct lapic *lapic)
{
    lapic_timer_update(lapic);
    return lapic->timer.tsc_deadline;
}

void lapic_timer_write_tsc_deadline(struct lapic *lapic, uint64_t value)
{
    if (timer_is_by_tsc(lapic)) {
        timer_update_by_tsc(lapic);
        lapic->timer.tsc_deadline = value;
        timer_update_by_tsc(lapic);
    }
}

/* --- life ------------------------------------------------------------------------------------------------------- */

int lapic_timer_init(struct lapic *lapic)
{
    struct isa_device *isa = &lapic->bus->isa;

    return timer_init(&lapic->timer.timer, isa->device.loop, isa->isa->clock, timer_fired, lapic);
}

void lapic_timer_destroy(struct lapic *lapic)
{
    timer_destroy(&lapic->timer.timer);
}

void lapic_timer_reset(struct lapic *lapic)
{
    timer_stop(lapic);
    lapic->timer.divide = 0;
}
