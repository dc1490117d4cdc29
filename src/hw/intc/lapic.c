/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A local APIC's interrupts: how they are requested, which one the CPU gets, and how they end. Not the registers
 * (lapic_regs.c), not the timer (lapic_timer.c), not who a message is for (lapic_bus.c).
 *
 *             accept: any thread           acknowledge: own thread          EOI: own thread
 *   (nothing) -------------------> IRR --------------------------> ISR --------------------> (nothing)
 *                                   ^ again while in service: both bits            level: the I/O APIC is told
 *
 * Delivery takes no lock. A thread that has an interrupt for another CPU sets its bit of IRR, then makes that CPU ask;
 * everything that depends on more than that bit (priorities, what is in service, the local vector table's timer) is the
 * CPU's own thread's to decide. What others have to leave behind besides (a timer's time has come, an error was seen)
 * are bits of `events`, which that thread takes in before it looks. So nothing is ever decided twice, and a register
 * write needs to exclude nobody.
 *
 *   which may meet     accept        acknowledge        reset (CPUs stand still)
 *   accept             yes: RMW      yes: RMW           yes: the request survives or is dropped
 *   acknowledge                      never: one thread  never
 *
 * A hostile guest's requests are bits, so any number of them costs nothing; vectors are 8 bits wide by type.
 */
#include "hw/intc/lapic_internal.h"

#define LVT_MODE(lvt) ((enum lapic_mode)((lvt) >> 8 & 7))

/* --- requests: any thread --------------------------------------------------------------------------------------- */

static void lapic_wake(const struct lapic *lapic)
{
    lapic->bus->cpus->interrupt(lapic->bus->cpus_opaque, lapic->index);
}

static void lapic_note(struct lapic *lapic, uint32_t event)
{
    /* Release: pairs with the exchange in lapic_poll, for what `event` is about. */
    atomic_fetch_or_explicit(&lapic->events, event, memory_order_release);
    lapic_wake(lapic);
}

void lapic_error(struct lapic *lapic, uint32_t bits)
{
    atomic_fetch_or_explicit(&lapic->errors, bits, memory_order_relaxed);
    lapic_note(lapic, LAPIC_EVENT_ERROR);
}

static void lapic_set_trigger(struct lapic *lapic, uint8_t vector, bool level)
{
    _Atomic uint32_t *word = &lapic->tmr[vector / 32];
    uint32_t bit = UINT32_C(1) << vector % 32;
    bool is_level = lapic_load(word) & bit;

    if (level && !is_level) {
        atomic_fetch_or_explicit(word, bit, memory_order_relaxed);
    } else if (!level && is_level) {
        atomic_fetch_and_explicit(word, ~bit, memory_order_relaxed);
    }
}

void lapic_accept(struct lapic *lapic, uint8_t vector, bool level)
{
    uint32_t bit = UINT32_C(1) << vector % 32;
    uint32_t before;

    if (vector < LAPIC_VECTOR_FIRST) {
        lapic_error(lapic, LAPIC_ERROR_RECEIVE_VECTOR);
        return;
    }
    lapic_set_trigger(lapic, vector, level);
    /* Release: pairs with the fetch_and in lapic_take, for the trigger and for whatever the interrupt announces. */
    before = atomic_fetch_or_explicit(&lapic->irr[vector / 32], bit, memory_order_release);
    if (!(before & bit)) { /* else whoever set it wakes the CPU */
        lapic_wake(lapic);
    }
}

/* --- priorities: own thread ------------------------------------------------------------------------------------- */

static int word_highest(unsigned index, uint32_t word)
{
    return (int)(index * 32 + 31) - __builtin_clz(word);
}

static int lapic_highest_requested(const struct lapic *lapic)
{
    for (unsigned i = LAPIC_VECTOR_WORDS; i-- > 0;) {
        uint32_t word = lapic_load(&lapic->irr[i]);

        if (word) {
            return word_highest(i, word);
        }
    }
    return -1;
}

static int lapic_highest_in_service(const struct lapic *lapic)
{
    for (unsigned i = LAPIC_VECTOR_WORDS; i-- > 0;) {
        if (lapic->isr[i]) {
            return word_highest(i, lapic->isr[i]);
        }
    }
    return -1;
}

/* SDM 3, 11.8.3.1: the processor priority is the higher class of the task's and of what is in service. */
static void lapic_update_priority(struct lapic *lapic)
{
    int in_service = lapic_highest_in_service(lapic);
    uint8_t class = in_service < 0 ? 0 : (uint8_t)(in_service & 0xf0);
    uint8_t priority = class > (lapic->tpr & 0xf0) ? class : lapic->tpr;

    atomic_store_explicit(&lapic->priority, priority, memory_order_relaxed);
}

/* The vector that the CPU would get now; -1: none that the priority lets through. */
static int lapic_deliverable(const struct lapic *lapic)
{
    int vector = lapic_highest_requested(lapic);
    uint8_t priority = atomic_load_explicit(&lapic->priority, memory_order_relaxed);

    return vector >= 0 && (vector & 0xf0) > (priority & 0xf0) ? vector : -1;
}

/* The 8259s' INTR goes through LINT0, or past a disabled APIC (SDM 3, 11.4.3). */
static bool lapic_has_extint(const struct lapic *lapic)
{
    uint32_t lint0 = lapic_load(&lapic->lvt[LVT_LINT0]);

    if (lapic->index != 0 || !lapic->bus->pic) {
        return false;
    }
    if ((lapic_base(lapic) & LAPIC_BASE_ENABLED) && (lint0 & LAPIC_LVT_MASKED || LVT_MODE(lint0) != LAPIC_EXTINT)) {
        return false;
    }
    return i8259_is_pending(lapic->bus->pic);
}

/* --- the CPU's questions ---------------------------------------------------------------------------------------- */

void lapic_poll(struct lapic *lapic)
{
    uint32_t events;

    if (likely(lapic_load(&lapic->events) == 0)) {
        return; /* who sets a bit wakes us afterwards, and we come again */
    }
    events = atomic_exchange_explicit(&lapic->events, 0, memory_order_acquire); /* pairs with lapic_note */
    if (events & LAPIC_EVENT_TIMER) {
        lapic_timer_update(lapic);
    }
    if (events & LAPIC_EVENT_ERROR) {
        lapic_fire_lvt(lapic, LVT_ERROR);
    }
}

bool lapic_is_pending(struct lapic_bus *bus, unsigned index)
{
    struct lapic *lapic = &bus->apics[index];

    lapic_poll(lapic);
    return lapic_deliverable(lapic) >= 0 || lapic_has_extint(lapic);
}

/* From requested to in service. */
static void lapic_take(struct lapic *lapic, uint8_t vector)
{
    uint32_t bit = UINT32_C(1) << vector % 32;

    atomic_fetch_and_explicit(&lapic->irr[vector / 32], ~bit, memory_order_acquire); /* pairs with lapic_accept */
    lapic->isr[vector / 32] |= bit;
    lapic_update_priority(lapic);
}

/*
 * The spurious vector is for an interrupt that went away between the CPU's being told and its asking. Here both are one
 * step on one thread, so only the 8259s, whose lines others lower, can answer with less than they promised.
 */
int lapic_acknowledge(struct lapic_bus *bus, unsigned index)
{
    struct lapic *lapic = &bus->apics[index];
    int vector = lapic_has_extint(lapic) ? i8259_acknowledge(bus->pic) : -1;

    if (vector >= 0) {
        return vector;
    }
    vector = lapic_deliverable(lapic);
    if (vector >= 0) {
        lapic_take(lapic, (uint8_t)vector);
    }
    return vector;
}

void lapic_recheck(struct lapic *lapic)
{
    if (lapic_deliverable(lapic) >= 0 || lapic_has_extint(lapic)) {
        lapic_wake(lapic);
    }
}

void lapic_end_of_interrupt(struct lapic *lapic)
{
    int vector = lapic_highest_in_service(lapic);
    uint32_t bit;

    if (vector < 0) {
        return;
    }
    bit = UINT32_C(1) << vector % 32;
    lapic->isr[vector / 32] &= ~bit;
    lapic_update_priority(lapic);
    if (lapic->bus->ioapic && (lapic_load(&lapic->tmr[vector / 32]) & bit)) {
        ioapic_end_of_interrupt(lapic->bus->ioapic, (uint8_t)vector);
    }
    lapic_recheck(lapic);
}

void lapic_write_tpr(struct lapic *lapic, uint8_t tpr)
{
    bool lower = tpr < lapic->tpr;

    lapic->tpr = tpr;
    lapic_update_priority(lapic);
    if (lower) {
        lapic_recheck(lapic);
    }
}

uint8_t lapic_get_tpr(struct lapic_bus *bus, unsigned index)
{
    return bus->apics[index].tpr;
}

void lapic_set_tpr(struct lapic_bus *bus, unsigned index, uint8_t tpr)
{
    lapic_write_tpr(&bus->apics[index], tpr);
}

/* --- the local vector table ------------------------------------------------------------------------------------- */

void lapic_fire_lvt(struct lapic *lapic, enum lapic_lvt which)
{
    uint32_t lvt = lapic_load(&lapic->lvt[which]);

    if (lvt & LAPIC_LVT_MASKED) {
        return;
    }
    switch (LVT_MODE(lvt)) { /* timer and error have no such field: it is 0 */
    case LAPIC_FIXED:
        lapic_accept(lapic, (uint8_t)lvt, false);
        break;
    case LAPIC_NMI:
        lapic->bus->cpus->nmi(lapic->bus->cpus_opaque, lapic->index);
        break;
    case LAPIC_INIT:
        lapic->bus->cpus->init(lapic->bus->cpus_opaque, lapic->index);
        break;
    case LAPIC_EXTINT:
        lapic_wake(lapic); /* it asks the 8259s itself */
        break;
    default: /* there is no system-management mode */
        break;
    }
}

void lapic_bus_lint0_rise(struct lapic_bus *bus)
{
    struct lapic *lapic = &bus->apics[0];

    if (lapic_base(lapic) & LAPIC_BASE_ENABLED) {
        lapic_fire_lvt(lapic, LVT_LINT0);
    } else {
        lapic_wake(lapic);
    }
}

void lapic_bus_lint1_pulse(struct lapic_bus *bus)
{
    for (unsigned i = 0; i < bus->count; i++) {
        struct lapic *lapic = &bus->apics[i];

        if (lapic_base(lapic) & LAPIC_BASE_ENABLED) {
            lapic_fire_lvt(lapic, LVT_LINT1);
        } else {
            bus->cpus->nmi(bus->cpus_opaque, i); /* the pin is the CPU's own NMI then */
        }
    }
}

/* --- power-on and INIT ------------------------------------------------------------------------------------------ */

/*
 * SDM 3, 11.4.7.1. CPU 0's LINT0 is as firmware leaves it, so that a guest that knows only the 8259s gets their
 * interrupts: there is no firmware here.
 */
void lapic_clear(struct lapic *lapic)
{
    lapic_timer_reset(lapic);
    for (unsigned i = 0; i < LAPIC_VECTOR_WORDS; i++) {
        lapic_store(&lapic->irr[i], 0);
        lapic_store(&lapic->tmr[i], 0);
        lapic->isr[i] = 0;
    }
    for (unsigned i = 0; i < LVT_COUNT; i++) {
        lapic_store(&lapic->lvt[i], LAPIC_LVT_MASKED);
    }
    if (lapic->index == 0) {
        lapic_store(&lapic->lvt[LVT_LINT0], LAPIC_EXTINT << 8);
    }
    lapic_store(&lapic->events, 0);
    lapic_store(&lapic->errors, 0);
    lapic_store(&lapic->svr, 0xff);
    lapic_store(&lapic->ldr, 0);
    lapic_store(&lapic->dfr, UINT32_MAX);
    lapic->tpr = 0;
    lapic->esr = lapic->icr_low = lapic->icr_high = 0;
    lapic_update_priority(lapic);
}

void lapic_init_signal(struct lapic_bus *bus, unsigned index)
{
    lapic_clear(&bus->apics[index]);
}
