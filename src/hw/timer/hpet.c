/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HPET (IA-PC HPET specification 1.0a): registers, comparators and their interrupts. The counter itself, which alone is
 * hot, is hpet_counter.c, and lies in a lockless region of its own above this one's.
 *
 *     timer n:  idle ---- enabled, counter running ----> armed ---- due ----> interrupt, then armed again (periodic, or
 *               ^------- disabled, counter halted ---------+                  32 bits: a wrap later) or idle
 *
 * Event-loop timers only submit work; comparators are looked at under the device lock. A comparator that is set to a
 * time already past (by less than half its range) fires at once, so that a slow guest doesn't lose its tick. A guest
 * may ask for a period of 10 ns: the host is asked at most every HPET_MIN_REARM_NS, and what was missed becomes one
 * interrupt.
 */
#include "hw/timer/hpet.h"

#include <errno.h>

#include "base/log.h"

#define HPET_MIN_REARM_NS UINT64_C(50000)

#define REG_ID      0x000
#define REG_CONFIG  0x010
#define REG_STATUS  0x020
#define REG_COUNTER 0x0f0
#define REG_TIMERS  0x100
#define TIMER_BYTES 0x20

#define ID_REVISION 0x01u
#define ID_64BIT    (1u << 13)
#define ID_LEGACY   (1u << 15)
#define ID_VENDOR   (0x8086u << 16)

#define CONFIG_ENABLE 0x1u
#define CONFIG_LEGACY 0x2u

#define TN_LEVEL        (1u << 1)
#define TN_ENABLE       (1u << 2)
#define TN_PERIODIC     (1u << 3)
#define TN_PERIODIC_CAP (1u << 4)
#define TN_64BIT_CAP    (1u << 5)
#define TN_VAL_SET      (1u << 6)
#define TN_32BIT        (1u << 8)
#define TN_ROUTE_SHIFT  9
#define TN_ROUTE_MASK   (0x1fu << TN_ROUTE_SHIFT)
#define TN_FSB          (1u << 14)
#define TN_FSB_CAP      (1u << 15)
#define TN_WRITABLE     (TN_LEVEL | TN_ENABLE | TN_PERIODIC | TN_VAL_SET | TN_32BIT | TN_ROUTE_MASK)

static struct hpet *hpet_from(struct device *device)
{
    return container_of(device, struct hpet, isa.device);
}

uint32_t hpet_block_id(const struct hpet *hpet)
{
    return ID_VENDOR | ID_LEGACY | ID_64BIT | (hpet->timer_count - 1) << 8 | ID_REVISION;
}

/* --- interrupts ------------------------------------------------------------------------------------------------- */

static struct irq_line hpet_timer_line(const struct hpet_timer *timer)
{
    struct hpet *hpet = timer->hpet;
    unsigned number = timer->config >> TN_ROUTE_SHIFT & 0x1f;
    struct irq_line none = {0};

    if ((hpet->config & CONFIG_LEGACY) && timer->index < 2) {
        return isa_irq(hpet->isa.isa, timer->index == 0 ? 0 : 8);
    }
    return hpet->route_cap >> number & 1 ? isa_irq(hpet->isa.isa, number) : none;
}

static bool hpet_timer_is_active(const struct hpet_timer *timer)
{
    return timer->hpet->interrupt_status >> timer->index & 1;
}

/* Level-triggered: the line follows the status bit while the timer is enabled. */
static void hpet_timer_set_line(const struct hpet_timer *timer, bool level)
{
    struct irq_line line = hpet_timer_line(timer);

    irq_set(&line, level);
}

static void hpet_timer_interrupt(struct hpet_timer *timer)
{
    struct hpet *hpet = timer->hpet;
    struct irq_line line = hpet_timer_line(timer);
    struct msi_target *msi = hpet->isa.isa->msi;

    if (!(timer->config & TN_ENABLE)) {
        return;
    }
    if (timer->config & TN_FSB) {
        struct msi_message message = {.address = timer->fsb >> 32, .data = (uint32_t)timer->fsb};

        msi->ops->send(msi, message);
    } else if (timer->config & TN_LEVEL) {
        hpet->interrupt_status |= UINT64_C(1) << timer->index;
        irq_raise(&line);
    } else {
        irq_pulse(&line);
    }
}

/* --- comparators ------------------------------------------------------------------------------------------------ */

static bool hpet_timer_is_32bit(const struct hpet_timer *timer)
{
    return timer->config & TN_32BIT;
}

static uint64_t hpet_timer_mask(const struct hpet_timer *timer)
{
    return hpet_timer_is_32bit(timer) ? UINT32_MAX : UINT64_MAX;
}

/* How far the comparator is ahead of the counter; a 64-bit counter never wraps, a 32-bit one counts the nearer way. */
static int64_t hpet_timer_distance(const struct hpet_timer *timer, uint64_t now)
{
    if (hpet_timer_is_32bit(timer)) {
        return (int32_t)((uint32_t)timer->comparator - (uint32_t)now);
    }
    if (timer->comparator >= now) {
        return (int64_t)MIN(timer->comparator - now, (uint64_t)INT64_MAX);
    }
    return -(int64_t)MIN(now - timer->comparator, (uint64_t)INT64_MAX);
}

static void hpet_timer_disarm(struct hpet_timer *timer)
{
    timer->armed = false;
    timer_cancel(&timer->timer);
}

static void hpet_timer_arm_at(struct hpet_timer *timer, uint64_t due)
{
    struct hpet *hpet = timer->hpet;
    uint64_t deadline_ns = hpet_counter_deadline_ns(&hpet->counter, due);

    timer->due = due;
    timer->armed = deadline_ns != UINT64_MAX;
    if (timer->armed) {
        timer_arm(&timer->timer, deadline_ns);
    } else {
        timer_cancel(&timer->timer);
    }
}

static bool hpet_timer_is_periodic(const struct hpet_timer *timer)
{
    return (timer->config & TN_PERIODIC) && timer->period != 0;
}

/* Steps a periodic comparator past the counter, however many periods that is. */
static void hpet_timer_advance(struct hpet_timer *timer, uint64_t now)
{
    uint64_t behind = (uint64_t)-hpet_timer_distance(timer, now);
    uint64_t steps = behind / timer->period + 1;
    uint64_t min_due = now + HPET_MIN_REARM_NS / HPET_PERIOD_NS;
    uint64_t due = now - behind + steps * timer->period;

    timer->comparator = (timer->comparator + steps * timer->period) & hpet_timer_mask(timer);
    hpet_timer_arm_at(timer, MAX(due, min_due));
}

/* After anything that the next match depends on was changed. fresh: the comparator was set just now. */
static void hpet_timer_restart(struct hpet_timer *timer, bool fresh)
{
    struct hpet *hpet = timer->hpet;
    uint64_t now = hpet_counter_read(&hpet->counter);
    int64_t distance = hpet_timer_distance(timer, now);

    if (!hpet_counter_is_running(&hpet->counter) || !(timer->config & TN_ENABLE)) {
        hpet_timer_disarm(timer);
    } else if (distance >= 0) {
        hpet_timer_arm_at(timer, now + (uint64_t)distance);
    } else if (hpet_timer_is_periodic(timer)) {
        hpet_timer_advance(timer, now);
    } else if (fresh) {
        hpet_timer_arm_at(timer, now);
    } else if (hpet_timer_is_32bit(timer)) {
        hpet_timer_arm_at(timer, now + (UINT64_C(1) << 32) - (uint64_t)-distance);
    } else {
        hpet_timer_disarm(timer);
    }
}

static void hpet_timer_expire(struct hpet_timer *timer, uint64_t now)
{
    if (hpet_timer_is_periodic(timer) && hpet_timer_distance(timer, now) <= 0) {
        hpet_timer_advance(timer, now);
    } else if (hpet_timer_is_periodic(timer)) {
        hpet_timer_restart(timer, false); /* late by more than half a 32-bit range */
    } else if (hpet_timer_is_32bit(timer)) {
        hpet_timer_arm_at(timer, timer->due + (UINT64_C(1) << 32));
    } else {
        timer->armed = false;
    }
    hpet_timer_interrupt(timer);
}

static void hpet_expiry_work(struct device *device, struct device_work *work)
{
    struct hpet *hpet = hpet_from(device);
    uint64_t now = hpet_counter_read(&hpet->counter);

    if (!hpet_counter_is_running(&hpet->counter)) {
        return;
    }
    for (unsigned i = 0; i < hpet->timer_count; i++) {
        if (hpet->timers[i].armed && hpet->timers[i].due <= now) {
            hpet_timer_expire(&hpet->timers[i], now);
        }
    }
}

static void hpet_timer_fired(void *opaque)
{
    struct hpet_timer *timer = opaque;

    device_submit(&timer->hpet->isa.device, &timer->hpet->expiry_work);
}

/* --- registers. `mask` is which bits of the 64-bit register an access of 4 or 8 bytes covers -------------------- */

static void hpet_write_config(struct hpet *hpet, uint64_t value, uint64_t mask)
{
    uint64_t old = hpet->config;

    hpet->config = ((old & ~mask) | (value & mask)) & (CONFIG_ENABLE | CONFIG_LEGACY);
    if (((old ^ hpet->config) & CONFIG_LEGACY) && hpet->legacy_changed) {
        hpet->legacy_changed(hpet->legacy_changed_opaque, hpet->config & CONFIG_LEGACY);
    }
    if (hpet->config & CONFIG_ENABLE) {
        hpet_counter_start(&hpet->counter);
    } else {
        hpet_counter_stop(&hpet->counter);
    }
    if ((old ^ hpet->config) & CONFIG_ENABLE) {
        for (unsigned i = 0; i < hpet->timer_count; i++) {
            hpet_timer_restart(&hpet->timers[i], false);
        }
    }
}

static void hpet_write_status(struct hpet *hpet, uint64_t clear)
{
    for (unsigned i = 0; i < hpet->timer_count; i++) {
        if ((clear >> i & 1) && hpet_timer_is_active(&hpet->timers[i])) {
            hpet->interrupt_status &= ~(UINT64_C(1) << i);
            hpet_timer_set_line(&hpet->timers[i], false);
        }
    }
}

static void hpet_write_timer_config(struct hpet_timer *timer, uint64_t value, uint64_t mask)
{
    struct hpet *hpet = timer->hpet;
    uint64_t writable = (TN_WRITABLE | (timer->config & TN_FSB_CAP ? TN_FSB : 0)) & mask;
    bool active = hpet_timer_is_active(timer);

    if (active) {
        hpet_timer_set_line(timer, false);
    }
    timer->config = (timer->config & ~writable) | (value & writable);
    timer->set_high = false;
    timer->comparator &= hpet_timer_mask(timer);
    timer->period &= hpet_timer_mask(timer);
    if (active && (timer->config & TN_LEVEL) && (timer->config & TN_ENABLE)) {
        hpet_timer_set_line(timer, true);
    } else {
        hpet->interrupt_status &= ~(UINT64_C(1) << timer->index);
    }
    hpet_timer_restart(timer, false);
}

/*
 * 2.3.9.2.2: what is written is the period, and also the comparator itself unless the timer is periodic and VAL_SET is
 * clear. VAL_SET covers one write, of both halves if it is made in two.
 */
static void hpet_write_comparator(struct hpet_timer *timer, uint64_t value, uint64_t mask)
{
    bool low_only = mask == UINT32_MAX;
    bool direct = !(timer->config & TN_PERIODIC) || (timer->config & TN_VAL_SET) || (!low_only && timer->set_high);

    if (direct) {
        timer->comparator = ((timer->comparator & ~mask) | (value & mask)) & hpet_timer_mask(timer);
    }
    timer->period = ((timer->period & ~mask) | (value & mask)) & hpet_timer_mask(timer);
    timer->set_high = low_only && (timer->config & TN_VAL_SET) && !hpet_timer_is_32bit(timer);
    timer->config &= ~(uint64_t)TN_VAL_SET;
    hpet_timer_restart(timer, true);
}

static void hpet_write_timer(struct hpet *hpet, uint64_t offset, uint64_t value, uint64_t mask)
{
    struct hpet_timer *timer = &hpet->timers[(offset - REG_TIMERS) / TIMER_BYTES];

    if (timer->index >= hpet->timer_count) {
        return;
    }
    switch (offset % TIMER_BYTES) {
    case 0x00:
        hpet_write_timer_config(timer, value, mask);
        break;
    case 0x08:
        hpet_write_comparator(timer, value, mask);
        break;
    case 0x10:
        timer->fsb = (timer->fsb & ~mask) | (value & mask);
        break;
    default:
        break;
    }
}

static uint64_t hpet_read_timer(struct hpet *hpet, uint64_t offset)
{
    struct hpet_timer *timer = &hpet->timers[(offset - REG_TIMERS) / TIMER_BYTES];

    if (timer->index >= hpet->timer_count) {
        return 0;
    }
    switch (offset % TIMER_BYTES) {
    case 0x00:
        return (timer->config & ~(uint64_t)TN_VAL_SET) | (uint64_t)hpet->route_cap << 32;
    case 0x08:
        return timer->comparator;
    case 0x10:
        return timer->fsb;
    default:
        return 0;
    }
}

static uint64_t hpet_read_register(struct hpet *hpet, uint64_t offset)
{
    if (offset >= REG_TIMERS && offset < REG_TIMERS + HPET_MAX_TIMERS * TIMER_BYTES) {
        return hpet_read_timer(hpet, offset);
    }
    switch (offset) {
    case REG_ID:
        return (uint64_t)HPET_PERIOD_FS << 32 | hpet_block_id(hpet);
    case REG_CONFIG:
        return hpet->config;
    case REG_STATUS:
        return hpet->interrupt_status;
    default:
        return 0;
    }
}

static enum access_result hpet_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    uint64_t whole = hpet_read_register(opaque, offset & ~UINT64_C(7));

    *value = size_bytes == 8 ? whole : (uint32_t)(whole >> (offset & 4) * 8);
    return ACCESS_OK;
}

/* An access as a value and a mask of the 64-bit register that it lies in. */
static uint64_t access_mask(uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    if (size_bytes == 8) {
        return UINT64_MAX;
    }
    *value <<= (offset & 4) * 8;
    return (uint64_t)UINT32_MAX << (offset & 4) * 8;
}

static enum access_result hpet_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct hpet *hpet = opaque;
    uint64_t mask = access_mask(offset, size_bytes, &value);

    offset &= ~UINT64_C(7);
    if (offset >= REG_TIMERS && offset < REG_TIMERS + HPET_MAX_TIMERS * TIMER_BYTES) {
        hpet_write_timer(hpet, offset, value, mask);
    } else if (offset == REG_CONFIG) {
        hpet_write_config(hpet, value, mask);
    } else if (offset == REG_STATUS) {
        hpet_write_status(hpet, value & mask);
    }
    return ACCESS_OK;
}

/* The main counter's own eight bytes: lockless, any number of threads. */
static enum access_result hpet_counter_region_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct hpet *hpet = opaque;
    uint64_t ticks = hpet_counter_read(&hpet->counter);

    *value = size_bytes == 8 ? ticks : (uint32_t)(ticks >> (offset & 4) * 8);
    return ACCESS_OK;
}

static enum access_result hpet_counter_region_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct hpet *hpet = opaque;
    uint64_t mask = access_mask(offset, size_bytes, &value);

    hpet_counter_set(&hpet->counter, value, mask);
    return ACCESS_OK;
}

static const struct region_ops hpet_ops = {
    .read = hpet_read,
    .write = hpet_write,
    .valid = {.min = 4, .max = 8},
    .impl = {.min = 4, .max = 8},
};

static const struct region_ops hpet_counter_ops = {
    .read = hpet_counter_region_read,
    .write = hpet_counter_region_write,
    .valid = {.min = 4, .max = 8},
    .impl = {.min = 4, .max = 8},
};

/* --- life ------------------------------------------------------------------------------------------------------- */

static void hpet_reset(struct device *device)
{
    struct hpet *hpet = hpet_from(device);

    hpet_write_status(hpet, UINT64_MAX);
    hpet_write_config(hpet, 0, UINT64_MAX);
    hpet_counter_reset(&hpet->counter);
    for (unsigned i = 0; i < hpet->timer_count; i++) {
        struct hpet_timer *timer = &hpet->timers[i];

        hpet_timer_disarm(timer);
        timer->config = TN_PERIODIC_CAP | TN_64BIT_CAP;
        if (hpet->msi_enabled && hpet->isa.isa->msi) {
            timer->config |= TN_FSB_CAP;
        }
        timer->comparator = UINT64_MAX;
        timer->period = timer->fsb = timer->due = 0;
        timer->set_high = false;
    }
}

static void hpet_destroy_timers(struct hpet *hpet)
{
    while (hpet->timers_ready > 0) {
        timer_destroy(&hpet->timers[--hpet->timers_ready].timer);
    }
}

static int hpet_realize(struct device *device, struct error **err)
{
    struct hpet *hpet = hpet_from(device);
    const struct isa_bus *isa = hpet->isa.isa;

    if (hpet->base == 0) {
        hpet->base = HPET_BASE;
    }
    for (unsigned i = 0; i < HPET_MAX_TIMERS; i++) {
        int ret = timer_init(&hpet->timers[i].timer, device->loop, isa->clock, hpet_timer_fired, &hpet->timers[i]);

        if (ret != 0) {
            hpet_destroy_timers(hpet);
            return error_set(err, ret, "the event loop watches too many clocks");
        }
        hpet->timers[i].hpet = hpet;
        hpet->timers[i].index = i;
        hpet->timers_ready++;
    }
    device_work_init(&hpet->expiry_work, device, hpet_expiry_work);
    hpet_counter_init(&hpet->counter, isa->clock);
    hpet_reset(device);
    region_init_io(&hpet->region, "hpet", device, &hpet_ops, hpet, HPET_SIZE_BYTES, 0, NULL);
    region_init_io(&hpet->counter_region, "hpet-counter", device, &hpet_counter_ops, hpet, 8, REGION_LOCKLESS, NULL);
    region_add(isa->map, isa->mem_root, hpet->base, &hpet->region, 1);
    region_add(isa->map, isa->mem_root, hpet->base + REG_COUNTER, &hpet->counter_region, 2);
    return 0;
}

static void hpet_quiesce(struct device *device)
{
    struct hpet *hpet = hpet_from(device);

    isa_region_hide(hpet->isa.isa, &hpet->counter_region);
    isa_region_hide(hpet->isa.isa, &hpet->region);
    for (unsigned i = 0; i < HPET_MAX_TIMERS; i++) {
        timer_cancel(&hpet->timers[i].timer);
    }
    device_quiesced(device);
}

static void hpet_destroy(struct device *device)
{
    struct hpet *hpet = hpet_from(device);

    if (hpet->timers_ready > 0) {
        hpet_destroy_timers(hpet);
        hpet_counter_destroy(&hpet->counter);
    }
    isa_region_destroy(&hpet->counter_region);
    isa_region_destroy(&hpet->region);
}

static const struct property hpet_properties[] = {
    {.name = "timers",
     .type = PROPERTY_U32,
     .offset = offsetof(struct hpet, timer_count),
     .default_value = "3",
     .min = HPET_MIN_TIMERS,
     .max = HPET_MAX_TIMERS,
     .description = "how many comparators"},
    {.name = "hpet-intcap",
     .type = PROPERTY_U32,
     .offset = offsetof(struct hpet, route_cap),
     .default_value = "0xff0104",
     .description = "I/O APIC inputs that timers may use, a bit each"},
    {.name = "msi",
     .type = PROPERTY_BOOL,
     .offset = offsetof(struct hpet, msi_enabled),
     .description = "offer message-signalled interrupts"},
    {0},
};

const struct device_type hpet_device_type = {
    .name = "hpet",
    .description = "high precision event timer",
    .category = "Misc",
    .bus = "ISA",
    .size_bytes = sizeof(struct hpet),
    .properties = hpet_properties,
    .realize = hpet_realize,
    .reset = hpet_reset,
    .quiesce = hpet_quiesce,
    .destroy = hpet_destroy,
};
