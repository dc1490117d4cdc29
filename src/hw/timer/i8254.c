/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 8254 on a PC's board: its ports, port 0x61, and interrupt 0 on the guest's clock. What a counter does is in
 * i8254_counter.c.
 *
 * Everything is under the device lock. The timer fires on the device's loop, which submits work; the work raises the
 * interrupt if OUT of counter 0 rose, and arms the timer for the next rise. Ticks that the loop was too late for are
 * lost, as they are for a guest that had its interrupts disabled. The wire is high but for the edge in modes 2 and 3
 * (OUT's falls aren't timed).
 *
 * A hostile guest can ask for a million interrupts a second; it gets one in TIMER_MIN_NS at most.
 */
#include "hw/timer/i8254.h"

#define PORT_COUNTERS 0x40
#define PORT_61       0x61

#define REG_CONTROL         3
#define CONTROL_READ_BACK   3
#define READ_BACK_NO_COUNT  0x20
#define READ_BACK_NO_STATUS 0x10

#define PORT61_GATE2    0x01
#define PORT61_SPEAKER  0x02
#define PORT61_WRITABLE 0x0f
#define PORT61_REFRESH  0x10
#define PORT61_OUT2     0x20
#define REFRESH_NS      15085 /* between two changes of the memory refresh bit */

#define TIMER_MIN_NS (100 * NS_PER_US)

static uint64_t pit_now_ns(const struct i8254 *pit)
{
    return clock_now_ns(pit->isa.isa->clock);
}

static void pit_set_line(struct i8254 *pit, bool level)
{
    if (!atomic_load_explicit(&pit->irq_masked, memory_order_relaxed)) {
        irq_set(&pit->irq, level);
    }
}

static void pit_arm(struct i8254 *pit)
{
    uint64_t rise_ns = i8254_counter_next_rise_ns(&pit->counters[0], pit->seen_ns);

    if (rise_ns == UINT64_MAX) {
        timer_cancel(&pit->timer);
    } else {
        timer_arm(&pit->timer, MAX(rise_ns, pit->seen_ns + TIMER_MIN_NS));
    }
}

/* Raises what has come due until now. */
static void pit_catch_up(struct i8254 *pit, uint64_t now_ns)
{
    if (i8254_counter_next_rise_ns(&pit->counters[0], pit->seen_ns) <= now_ns) {
        pit_set_line(pit, false);
        pit_set_line(pit, true);
    }
    pit->seen_ns = now_ns;
}

/* Counter 0 was given something new: its OUT may be at another level. */
static void pit_changed(struct i8254 *pit, uint64_t now_ns)
{
    pit->seen_ns = now_ns;
    pit_set_line(pit, i8254_counter_out(&pit->counters[0], now_ns));
    pit_arm(pit);
}

static void pit_timer_fired(void *opaque)
{
    struct i8254 *pit = opaque;

    device_submit(&pit->isa.device, &pit->timer_work);
}

static void pit_timer_work(struct device *device, struct device_work *work)
{
    struct i8254 *pit = container_of(device, struct i8254, isa.device);

    pit_catch_up(pit, pit_now_ns(pit));
    pit_arm(pit);
}

void i8254_mask_irq(struct i8254 *pit, bool masked)
{
    atomic_store_explicit(&pit->irq_masked, masked, memory_order_relaxed);
    if (masked) {
        irq_lower(&pit->irq); /* so that the next rise of whoever has the line now is one */
    }
}

/* --- ports ------------------------------------------------------------------------------------------------------ */

static void pit_read_back(struct i8254 *pit, uint8_t value, uint64_t now_ns)
{
    for (unsigned i = 0; i < ARRAY_SIZE(pit->counters); i++) {
        if (value >> (i + 1) & 1) {
            i8254_counter_read_back(&pit->counters[i], !(value & READ_BACK_NO_COUNT), !(value & READ_BACK_NO_STATUS),
                                    now_ns);
        }
    }
}

static enum access_result pit_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct i8254 *pit = opaque;
    uint64_t now_ns = pit_now_ns(pit);
    unsigned number = (unsigned)(offset == REG_CONTROL ? value >> 6 & 3 : offset);
    bool latches = offset == REG_CONTROL && (number == CONTROL_READ_BACK || (value & 0x30) == 0);

    pit_catch_up(pit, now_ns);
    if (number == CONTROL_READ_BACK) {
        pit_read_back(pit, (uint8_t)value, now_ns);
    } else if (offset == REG_CONTROL) {
        i8254_counter_control(&pit->counters[number], (uint8_t)value, now_ns);
    } else {
        i8254_counter_write(&pit->counters[number], (uint8_t)value, now_ns);
    }
    if (number == 0 && !latches) {
        pit_changed(pit, now_ns);
    } else {
        pit_arm(pit);
    }
    return ACCESS_OK;
}

static enum access_result pit_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct i8254 *pit = opaque;

    *value = offset == REG_CONTROL ? 0xff : i8254_counter_read(&pit->counters[offset], pit_now_ns(pit));
    return ACCESS_OK;
}

static enum access_result port61_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct i8254 *pit = opaque;
    uint64_t now_ns = pit_now_ns(pit);

    *value = pit->port61;
    *value |= now_ns / REFRESH_NS & 1 ? PORT61_REFRESH : 0;
    *value |= i8254_counter_out(&pit->counters[2], now_ns) ? PORT61_OUT2 : 0;
    return ACCESS_OK;
}

static enum access_result port61_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct i8254 *pit = opaque;

    pit->port61 = value & PORT61_WRITABLE;
    i8254_counter_set_gate(&pit->counters[2], value & PORT61_GATE2, pit_now_ns(pit));
    return ACCESS_OK;
}

static const struct region_ops pit_ops = {
    .read = pit_read,
    .write = pit_write,
    .valid = {.min = 1, .max = 1},
    .impl = {.min = 1, .max = 1},
};

static const struct region_ops port61_ops = {
    .read = port61_read,
    .write = port61_write,
    .valid = {.min = 1, .max = 1},
    .impl = {.min = 1, .max = 1},
};

/* --- life ------------------------------------------------------------------------------------------------------- */

static void pit_reset(struct device *device)
{
    struct i8254 *pit = container_of(device, struct i8254, isa.device);

    for (unsigned i = 0; i < ARRAY_SIZE(pit->counters); i++) {
        i8254_counter_reset(&pit->counters[i], i != 2);
    }
    pit->port61 = 0;
    i8254_mask_irq(pit, false);
    pit_changed(pit, pit_now_ns(pit));
}

static int pit_realize(struct device *device, struct error **err)
{
    struct i8254 *pit = container_of(device, struct i8254, isa.device);
    const struct isa_bus *isa = pit->isa.isa;
    int ret = timer_init(&pit->timer, device->loop, isa->clock, pit_timer_fired, pit);

    if (ret != 0) {
        return error_set(err, ret, "the event loop watches too many clocks");
    }
    pit->timer_ready = true;
    pit->irq = isa_irq(isa, 0);
    device_work_init(&pit->timer_work, device, pit_timer_work);
    for (unsigned i = 0; i < ARRAY_SIZE(pit->counters); i++) {
        i8254_counter_reset(&pit->counters[i], i != 2);
    }
    region_init_io(&pit->region, "pit", device, &pit_ops, pit, 4, 0, NULL);
    region_init_io(&pit->port61_region, "port61", device, &port61_ops, pit, 1, 0, NULL);
    region_add(isa->map, isa->io_root, PORT_COUNTERS, &pit->region, 0);
    region_add(isa->map, isa->io_root, PORT_61, &pit->port61_region, 0);
    return 0;
}

static void pit_quiesce(struct device *device)
{
    struct i8254 *pit = container_of(device, struct i8254, isa.device);

    isa_region_hide(pit->isa.isa, &pit->region);
    isa_region_hide(pit->isa.isa, &pit->port61_region);
    timer_cancel(&pit->timer);
    device_quiesced(device);
}

static void pit_destroy(struct device *device)
{
    struct i8254 *pit = container_of(device, struct i8254, isa.device);

    if (pit->timer_ready) {
        timer_destroy(&pit->timer);
    }
    isa_region_destroy(&pit->region);
    isa_region_destroy(&pit->port61_region);
}

const struct device_type i8254_device_type = {
    .name = "isa-pit",
    .description = "8254 interval timer",
    .category = "Misc",
    .bus = "ISA",
    .size_bytes = sizeof(struct i8254),
    .realize = pit_realize,
    .reset = pit_reset,
    .quiesce = pit_quiesce,
    .destroy = pit_destroy,
};
