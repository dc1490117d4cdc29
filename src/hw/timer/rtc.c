/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MC146818A real-time clock with 128 bytes of CMOS memory. Time isn't counted but computed from a clock when somebody
 * looks, so an idle RTC costs nothing; event-loop timers exist only for interrupts that the guest enabled.
 *
 *     running ---- SET, or divider reset ----> frozen (the registers are the time) ---- released ----> running
 *
 * Flags in register C are brought up to date whenever it is read, the time changes or a timer fires; an interrupt is
 * armed again only after register C was read, so a guest can't make the host tick faster than it serves.
 * A guest can set any time and any byte; fields are brought into range (rtc_time.c).
 */
#include "hw/timer/rtc.h"

#include <errno.h>
#include <time.h>

#include "base/log.h"
#include "hw/timer/rtc_time.h"

#define RTC_PORT 0x70
#define RTC_IRQ  8

#define A_UIP           0x80
#define A_DIVIDER       0x70
#define A_DIVIDER_RESET 0x60 /* 11x */
#define A_RATE          0x0f
#define B_SET           0x80
#define B_PERIODIC      0x40
#define B_ALARM         0x20
#define B_UPDATE        0x10
#define B_SQUARE_WAVE   0x08
#define C_IRQ           0x80
#define C_PERIODIC      0x40
#define C_ALARM         0x20
#define C_UPDATE        0x10
#define D_VALID         0x80

#define UIP_NS    INT64_C(244000)
#define SECOND_NS ((int64_t)NS_PER_SEC)
#define BASE_HZ   32768
#define DEFAULT_A 0x26 /* 32768 Hz, 1024 Hz tap */

static struct rtc *rtc_from(struct device *device)
{
    return container_of(device, struct rtc, isa.device);
}

/* --- time ------------------------------------------------------------------------------------------------------- */

static int64_t rtc_clock_ns(struct rtc *rtc)
{
    return (int64_t)clock_now_ns(rtc->clock);
}

static int64_t rtc_seconds(struct rtc *rtc)
{
    return rtc->base_seconds + (rtc_clock_ns(rtc) - rtc->base_clock_ns) / SECOND_NS;
}

/* How far into the present second it is. */
static int64_t rtc_subsecond_ns(struct rtc *rtc)
{
    return (rtc_clock_ns(rtc) - rtc->base_clock_ns) % SECOND_NS;
}

static int64_t rtc_clock_at(struct rtc *rtc, int64_t seconds)
{
    return rtc->base_clock_ns + (seconds - rtc->base_seconds) * SECOND_NS;
}

/* Makes the registers show the present. */
static void rtc_show(struct rtc *rtc)
{
    if (!rtc->frozen) {
        rtc_time_encode(rtc->cmos, rtc->cmos[RTC_REG_B], rtc_seconds(rtc));
    }
}

/* Makes the registers the present, into_second_ns after the last update. */
static void rtc_adopt(struct rtc *rtc, int64_t into_second_ns)
{
    rtc->base_seconds = rtc_time_decode(rtc->cmos, rtc->cmos[RTC_REG_B]);
    rtc->base_clock_ns = rtc_clock_ns(rtc) - into_second_ns;
    rtc->seen_second = rtc->base_seconds;
}

/* --- interrupts ------------------------------------------------------------------------------------------------- */

static int64_t rtc_period_ns(const struct rtc *rtc)
{
    unsigned rate = rtc->cmos[RTC_REG_A] & A_RATE;

    if (rate == 0 || (rtc->cmos[RTC_REG_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET) {
        return 0;
    }
    rate = rate <= 2 ? rate + 7 : rate; /* table 5: rates 1 and 2 are those of 8 and 9 */
    return (INT64_C(1) << (rate - 1)) * SECOND_NS / BASE_HZ;
}

static void rtc_set_line(struct rtc *rtc, bool level)
{
    if (!atomic_load_explicit(&rtc->irq_masked, memory_order_relaxed)) {
        irq_set(&rtc->irq, level);
    }
}

/* Brings register C and the line up to date. */
static void rtc_catch_up(struct rtc *rtc)
{
    uint8_t *reg_c = &rtc->cmos[RTC_REG_C];
    uint8_t reg_b = rtc->cmos[RTC_REG_B];
    int64_t period_ns = rtc_period_ns(rtc);
    int64_t now_ns = rtc_clock_ns(rtc);

    if (!rtc->frozen && rtc_seconds(rtc) > rtc->seen_second) {
        *reg_c |= C_UPDATE;
        if (rtc_alarm_next(rtc->cmos, reg_b, rtc->seen_second) <= rtc_seconds(rtc)) {
            *reg_c |= C_ALARM;
        }
        rtc->seen_second = rtc_seconds(rtc);
    }
    if (period_ns > 0 && now_ns >= rtc->periodic_next_ns) {
        *reg_c |= C_PERIODIC;
        rtc->periodic_next_ns += ((now_ns - rtc->periodic_next_ns) / period_ns + 1) * period_ns;
    }
    if ((*reg_c & reg_b & (C_PERIODIC | C_ALARM | C_UPDATE)) && !(*reg_c & C_IRQ)) {
        *reg_c |= C_IRQ;
        rtc_set_line(rtc, true);
    }
}

/* Timers for the enabled interrupts whose flag isn't up yet. */
static void rtc_rearm(struct rtc *rtc)
{
    uint8_t wanted = rtc->cmos[RTC_REG_B] & (uint8_t)~rtc->cmos[RTC_REG_C];
    int64_t second = INT64_MAX;

    if ((wanted & B_PERIODIC) && rtc->periodic_next_ns != INT64_MAX) {
        timer_arm(&rtc->periodic_timer, (uint64_t)rtc->periodic_next_ns);
    } else {
        timer_cancel(&rtc->periodic_timer);
    }
    if (!rtc->frozen && (wanted & B_UPDATE)) {
        second = rtc->seen_second + 1;
    } else if (!rtc->frozen && (wanted & B_ALARM)) {
        second = rtc_alarm_next(rtc->cmos, rtc->cmos[RTC_REG_B], rtc->seen_second);
    }
    if (second != INT64_MAX) {
        timer_arm(&rtc->update_timer, (uint64_t)rtc_clock_at(rtc, second));
    } else {
        timer_cancel(&rtc->update_timer);
    }
}

static void rtc_refresh(struct rtc *rtc)
{
    rtc_catch_up(rtc);
    rtc_rearm(rtc);
}

static void rtc_timer_work(struct device *device, struct device_work *work)
{
    rtc_refresh(rtc_from(device));
}

static void rtc_timer_fired(void *opaque)
{
    struct rtc *rtc = opaque;

    device_submit(&rtc->isa.device, &rtc->timer_work);
}

void rtc_mask_irq(struct rtc *rtc, bool masked)
{
    atomic_store_explicit(&rtc->irq_masked, masked, memory_order_relaxed);
}

/* --- registers -------------------------------------------------------------------------------------------------- */

static bool rtc_is_time_register(unsigned index)
{
    switch (index) {
    case RTC_SECONDS:
    case RTC_MINUTES:
    case RTC_HOURS:
    case RTC_DAY_OF_WEEK:
    case RTC_DAY_OF_MONTH:
    case RTC_MONTH:
    case RTC_YEAR:
    case RTC_CENTURY:
        return true;
    default:
        return false;
    }
}

static void rtc_restart_periodic(struct rtc *rtc)
{
    int64_t period_ns = rtc_period_ns(rtc);

    rtc->periodic_next_ns = period_ns > 0 ? (rtc_clock_ns(rtc) / period_ns + 1) * period_ns : INT64_MAX;
}

/* Registers A and B together say whether time goes on. The divider's release makes the next update half a second off.
 */
static void rtc_update_frozen(struct rtc *rtc, uint8_t old_a)
{
    bool divider_reset = (rtc->cmos[RTC_REG_A] & A_DIVIDER_RESET) == A_DIVIDER_RESET;
    bool was_divider_reset = (old_a & A_DIVIDER_RESET) == A_DIVIDER_RESET;
    bool frozen = divider_reset || (rtc->cmos[RTC_REG_B] & B_SET);

    if (frozen && !rtc->frozen) {
        rtc_show(rtc);
    }
    if (!frozen && rtc->frozen) {
        rtc_adopt(rtc, was_divider_reset ? SECOND_NS / 2 : rtc_subsecond_ns(rtc));
    }
    rtc->frozen = frozen;
}

static void rtc_write_a(struct rtc *rtc, uint8_t value)
{
    uint8_t old = rtc->cmos[RTC_REG_A];

    rtc->cmos[RTC_REG_A] = value & (uint8_t)~A_UIP;
    rtc_update_frozen(rtc, old);
    rtc_restart_periodic(rtc);
}

static void rtc_write_b(struct rtc *rtc, uint8_t value)
{
    rtc_show(rtc);
    if (value & B_SET) {
        value &= (uint8_t)~B_UPDATE; /* SET takes UIE back */
    }
    rtc->cmos[RTC_REG_B] = value;
    rtc_update_frozen(rtc, rtc->cmos[RTC_REG_A]);
    if (!(rtc->cmos[RTC_REG_C] & value & (C_PERIODIC | C_ALARM | C_UPDATE)) && (rtc->cmos[RTC_REG_C] & C_IRQ)) {
        rtc->cmos[RTC_REG_C] &= (uint8_t)~C_IRQ;
        rtc_set_line(rtc, false);
    }
}

static void rtc_write_register(struct rtc *rtc, unsigned index, uint8_t value)
{
    rtc_catch_up(rtc);
    if (rtc_is_time_register(index)) {
        rtc_show(rtc);
        rtc->cmos[index] = value;
        if (!rtc->frozen) {
            rtc_adopt(rtc, rtc_subsecond_ns(rtc));
        }
    } else if (index == RTC_REG_A) {
        rtc_write_a(rtc, value);
    } else if (index == RTC_REG_B) {
        rtc_write_b(rtc, value);
    } else if (index != RTC_REG_C && index != RTC_REG_D) {
        rtc->cmos[index] = value;
    }
    rtc_refresh(rtc);
}

static uint8_t rtc_read_c(struct rtc *rtc)
{
    uint8_t flags;

    rtc_catch_up(rtc);
    flags = rtc->cmos[RTC_REG_C];
    rtc->cmos[RTC_REG_C] = 0;
    if (flags & C_IRQ) {
        rtc_set_line(rtc, false);
    }
    rtc_rearm(rtc);
    return flags;
}

static uint8_t rtc_read_register(struct rtc *rtc, unsigned index)
{
    if (rtc_is_time_register(index)) {
        rtc_show(rtc);
    } else if (index == RTC_REG_A) {
        bool updating = !rtc->frozen && rtc_subsecond_ns(rtc) >= SECOND_NS - UIP_NS;

        return rtc->cmos[RTC_REG_A] | (updating ? A_UIP : 0);
    } else if (index == RTC_REG_C) {
        return rtc_read_c(rtc);
    } else if (index == RTC_REG_D) {
        return D_VALID;
    }
    return rtc->cmos[index];
}

static enum access_result rtc_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct rtc *rtc = opaque;

    *value = offset == 0 ? 0xff : rtc_read_register(rtc, rtc->index);
    return ACCESS_OK;
}

static enum access_result rtc_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct rtc *rtc = opaque;

    if (offset == 0) {
        rtc->index = (uint8_t)(value & (RTC_CMOS_BYTES - 1)); /* bit 7 masks NMIs, which this board can't */
    } else {
        rtc_write_register(rtc, rtc->index, (uint8_t)value);
    }
    return ACCESS_OK;
}

static const struct region_ops rtc_ops = {
    .read = rtc_read,
    .write = rtc_write,
    .valid = {.min = 1, .max = 2, .unaligned = true},
    .impl = {.min = 1, .max = 1},
};

/* --- for the machine -------------------------------------------------------------------------------------------- */

int64_t rtc_host_seconds(bool local)
{
    time_t now = time(NULL);
    struct tm tm;

    if (local && localtime_r(&now, &tm)) {
        return timegm(&tm);
    }
    return now;
}

void rtc_set_cmos(struct rtc *rtc, unsigned index, uint8_t value)
{
    if (index > RTC_REG_D && index < RTC_CMOS_BYTES && index != RTC_CENTURY) {
        rtc->cmos[index] = value;
    }
}

static void rtc_set_cmos_le(struct rtc *rtc, unsigned index, unsigned count, uint64_t value, uint64_t max)
{
    value = MIN(value, max);
    for (unsigned i = 0; i < count; i++) {
        rtc_set_cmos(rtc, index + i, (uint8_t)(value >> 8 * i));
    }
}

void rtc_set_memory(struct rtc *rtc, uint64_t below_4g_bytes, uint64_t above_4g_bytes, unsigned cpus)
{
    const uint64_t kib = 1024, mib = 1024 * kib;
    uint64_t extended = below_4g_bytes > mib ? below_4g_bytes - mib : 0;
    uint64_t above_16m = below_4g_bytes > 16 * mib ? below_4g_bytes - 16 * mib : 0;

    rtc_set_cmos_le(rtc, 0x15, 2, 640, UINT16_MAX);
    rtc_set_cmos_le(rtc, 0x17, 2, extended / kib, UINT16_MAX);
    rtc_set_cmos_le(rtc, 0x30, 2, extended / kib, UINT16_MAX);
    rtc_set_cmos_le(rtc, 0x34, 2, above_16m / (64 * kib), UINT16_MAX);
    rtc_set_cmos_le(rtc, 0x5b, 3, above_4g_bytes / (64 * kib), 0xffffff);
    rtc_set_cmos(rtc, 0x5f, (uint8_t)(cpus > 0 && cpus <= 256 ? cpus - 1 : 255));
}

/* --- life ------------------------------------------------------------------------------------------------------- */

/* The chip's own time and memory live on a battery; a reset only takes interrupts away. */
static void rtc_reset(struct device *device)
{
    struct rtc *rtc = rtc_from(device);

    rtc->cmos[RTC_REG_B] &= (uint8_t) ~(B_PERIODIC | B_ALARM | B_UPDATE | B_SQUARE_WAVE);
    rtc->cmos[RTC_REG_C] = 0;
    rtc->index = 0;
    rtc_mask_irq(rtc, false);
    rtc_set_line(rtc, false);
    rtc_rearm(rtc);
}

static void rtc_power_on(struct rtc *rtc)
{
    rtc->cmos[RTC_REG_A] = DEFAULT_A;
    rtc->cmos[RTC_REG_B] = RTC_B_24_HOURS;
    rtc->cmos[RTC_REG_D] = D_VALID;
    rtc->base_seconds = rtc->seen_second = rtc->start_seconds;
    rtc->base_clock_ns = rtc_clock_ns(rtc);
    rtc_restart_periodic(rtc);
}

static int rtc_realize(struct device *device, struct error **err)
{
    struct rtc *rtc = rtc_from(device);
    const struct isa_bus *isa = rtc->isa.isa;
    struct timer *timers[] = {&rtc->periodic_timer, &rtc->update_timer};

    if (!rtc->clock) {
        rtc->clock = isa->clock;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(timers); i++) {
        int ret = timer_init(timers[i], device->loop, rtc->clock, rtc_timer_fired, rtc);

        if (ret != 0) {
            while (rtc->timers_ready > 0) {
                timer_destroy(timers[--rtc->timers_ready]);
            }
            return error_set(err, ret, "the event loop watches too many clocks");
        }
        rtc->timers_ready++;
    }
    rtc->irq = isa_irq(isa, RTC_IRQ);
    device_work_init(&rtc->timer_work, device, rtc_timer_work);
    rtc_power_on(rtc);
    region_init_io(&rtc->region, "rtc", device, &rtc_ops, rtc, 2, 0, NULL);
    region_add(isa->map, isa->io_root, RTC_PORT, &rtc->region, 0);
    return 0;
}

static void rtc_quiesce(struct device *device)
{
    struct rtc *rtc = rtc_from(device);

    isa_region_hide(rtc->isa.isa, &rtc->region);
    timer_cancel(&rtc->periodic_timer);
    timer_cancel(&rtc->update_timer);
    device_quiesced(device);
}

static void rtc_destroy(struct device *device)
{
    struct rtc *rtc = rtc_from(device);

    if (rtc->timers_ready > 0) {
        timer_destroy(&rtc->periodic_timer);
        timer_destroy(&rtc->update_timer);
    }
    isa_region_destroy(&rtc->region);
}

const struct device_type rtc_device_type = {
    .name = "mc146818rtc",
    .description = "real-time clock and CMOS memory",
    .category = "Misc",
    .bus = "ISA",
    .size_bytes = sizeof(struct rtc),
    .realize = rtc_realize,
    .reset = rtc_reset,
    .quiesce = rtc_quiesce,
    .destroy = rtc_destroy,
};
