/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PM1 and GPE0 registers. There is no SMI command port: the machine is always in ACPI mode (SCI_EN reads as one). Sleep
 * states other than S5 don't exist, and asking for one does nothing.
 *
 * Everything runs under the device lock; button, timer and events come as deferred work. A hostile guest can switch its
 * machine off and interrupt itself.
 */
#include "hw/acpi/pm.h"

#include "hw/timer/pmtimer.h"

enum {
    PM1_TIMER = 1 << 0,
    PM1_GLOBAL = 1 << 5,
    PM1_POWER_BUTTON = 1 << 8,
    PM1_SLEEP_BUTTON = 1 << 9,
    PM1_RTC = 1 << 10,
    PM1_WAKE = 1 << 15,
    PM1_ENABLES = PM1_TIMER | PM1_GLOBAL | PM1_POWER_BUTTON | PM1_SLEEP_BUTTON | PM1_RTC,
    CONTROL_SCI_ENABLE = 1 << 0,
    CONTROL_BUS_MASTER_RELOAD = 1 << 1,
    CONTROL_SLEEP_SHIFT = 10,
    CONTROL_SLEEP_TYPE = 7 << CONTROL_SLEEP_SHIFT,
    CONTROL_SLEEP_ENABLE = 1 << 13,
    TIMER_HALF_SHIFT = 31, /* TMR_STS is set whenever this bit of the 32-bit counter changes */
};

static struct acpi_pm *acpi_pm_of(struct device *device)
{
    return container_of(device, struct acpi_pm, isa.device);
}

static uint64_t acpi_pm_half(const struct acpi_pm *pm)
{
    return pmtimer_ticks(pm->isa.isa->clock) >> TIMER_HALF_SHIFT;
}

static uint16_t acpi_pm_status(const struct acpi_pm *pm)
{
    return pm->pm1_status | (acpi_pm_half(pm) != pm->half_seen ? PM1_TIMER : 0);
}

static void acpi_pm_arm(struct acpi_pm *pm)
{
    if ((pm->pm1_enable & PM1_TIMER) && !(acpi_pm_status(pm) & PM1_TIMER)) {
        uint64_t ticks = (pm->half_seen + 1) << TIMER_HALF_SHIFT;

        /* Rounded up, and split so that the product stays within 64 bits for the clock's first 160 years. */
        timer_arm(&pm->overflow_timer,
                  ticks / PMTIMER_HZ * NS_PER_SEC + (ticks % PMTIMER_HZ * NS_PER_SEC + PMTIMER_HZ - 1) / PMTIMER_HZ);
    } else {
        timer_cancel(&pm->overflow_timer);
    }
}

static void acpi_pm_update(struct acpi_pm *pm)
{
    bool level = (acpi_pm_status(pm) & pm->pm1_enable & PM1_ENABLES) || (pm->gpe_status & pm->gpe_enable);

    acpi_pm_arm(pm);
    irq_set(&pm->sci, level);
}

static enum access_result acpi_pm_event_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct acpi_pm *pm = opaque;

    *value = offset == 0 ? acpi_pm_status(pm) : pm->pm1_enable;
    return ACCESS_OK;
}

static enum access_result acpi_pm_event_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct acpi_pm *pm = opaque;

    if (offset == 0) {
        pm->pm1_status &= (uint16_t)~value;
        if (value & PM1_TIMER) {
            pm->half_seen = acpi_pm_half(pm);
        }
    } else {
        pm->pm1_enable = (uint16_t)value & PM1_ENABLES;
    }
    acpi_pm_update(pm);
    return ACCESS_OK;
}

static enum access_result acpi_pm_control_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct acpi_pm *pm = opaque;

    *value = pm->pm1_control | CONTROL_SCI_ENABLE;
    return ACCESS_OK;
}

static enum access_result acpi_pm_control_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct acpi_pm *pm = opaque;

    pm->pm1_control = (uint16_t)value & (CONTROL_SLEEP_TYPE | CONTROL_BUS_MASTER_RELOAD);
    if ((value & CONTROL_SLEEP_ENABLE) &&
        (value & CONTROL_SLEEP_TYPE) >> CONTROL_SLEEP_SHIFT == ACPI_PM_SLEEP_TYPE_S5) {
        machine_request_shutdown(pm->isa.isa->requests);
    }
    return ACCESS_OK;
}

static enum access_result acpi_pm_gpe_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct acpi_pm *pm = opaque;

    *value = offset == 0 ? pm->gpe_status : pm->gpe_enable;
    return ACCESS_OK;
}

static enum access_result acpi_pm_gpe_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct acpi_pm *pm = opaque;

    if (offset == 0) {
        pm->gpe_status &= (uint16_t)~value;
    } else {
        pm->gpe_enable = (uint16_t)value;
    }
    acpi_pm_update(pm);
    return ACCESS_OK;
}

/*
 * Registers are 16 bits wide. Byte writes are for them alone (ACPI 6.4, 4.8.3.1): a byte is widened by the core, which
 * would clear status bits that the guest didn't name, so valid sizes begin at two.
 */
static const struct region_ops acpi_pm_event_ops = {
    .read = acpi_pm_event_read,
    .write = acpi_pm_event_write,
    .valid = {.min = 2, .max = 4},
    .impl = {.min = 2, .max = 2},
};

static const struct region_ops acpi_pm_control_ops = {
    .read = acpi_pm_control_read,
    .write = acpi_pm_control_write,
    .valid = {.min = 1, .max = 2},
    .impl = {.min = 2, .max = 2},
};

static enum access_result acpi_pm_gpe_byte_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    (void)acpi_pm_gpe_read(opaque, offset & 2, size_bytes, value);
    *value = *value >> (8 * (offset & 1)) & 0xFF;
    return ACCESS_OK;
}

/* GPE registers are byte-wide (ACPI 6.4, 4.8.4.1): the byte that isn't written keeps its enables and its status. */
static enum access_result acpi_pm_gpe_byte_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct acpi_pm *pm = opaque;
    unsigned shift = 8 * (offset & 1);
    uint64_t wide = (value & 0xFF) << shift;

    if (offset >= 2) {
        wide |= pm->gpe_enable & ~(UINT64_C(0xFF) << shift);
    }
    return acpi_pm_gpe_write(opaque, offset & 2, 2, wide);
}

static const struct region_ops acpi_pm_gpe_ops = {
    .read = acpi_pm_gpe_byte_read,
    .write = acpi_pm_gpe_byte_write,
    .valid = {.min = 1, .max = 4},
    .impl = {.min = 1, .max = 1},
};

static void acpi_pm_button(struct device *device, struct device_work *work)
{
    struct acpi_pm *pm = acpi_pm_of(device);

    pm->pm1_status |= PM1_POWER_BUTTON;
    acpi_pm_update(pm);
}

static void acpi_pm_gpe_happened(struct device *device, struct device_work *work)
{
    struct acpi_pm *pm = acpi_pm_of(device);

    pm->gpe_status |= atomic_exchange_explicit(&pm->gpe_raised, 0, memory_order_relaxed);
    acpi_pm_update(pm);
}

static void acpi_pm_timer_expired(struct device *device, struct device_work *work)
{
    acpi_pm_update(acpi_pm_of(device));
}

/* Loop thread. */
static void acpi_pm_timer_fired(void *opaque)
{
    struct acpi_pm *pm = opaque;

    (void)device_submit(&pm->isa.device, &pm->timer_work);
}

void acpi_pm_press_power_button(struct acpi_pm *pm)
{
    (void)device_submit(&pm->isa.device, &pm->button_work);
}

void acpi_pm_raise_gpe(struct acpi_pm *pm, unsigned bit)
{
    /* Relaxed: submitting the work orders it. */
    atomic_fetch_or_explicit(&pm->gpe_raised, (uint16_t)(1u << bit), memory_order_relaxed);
    (void)device_submit(&pm->isa.device, &pm->gpe_work);
}

bool acpi_pm_gpe_is_enabled(struct acpi_pm *pm, unsigned bit)
{
    bool is_enabled;

    device_lock(&pm->isa.device);
    is_enabled = pm->gpe_enable >> bit & 1;
    device_unlock(&pm->isa.device);
    return is_enabled;
}

static int acpi_pm_realize(struct device *device, struct error **err)
{
    struct acpi_pm *pm = acpi_pm_of(device);
    const struct isa_bus *isa = pm->isa.isa;
    int ret;

    ret = timer_init(&pm->overflow_timer, device->loop, isa->clock, acpi_pm_timer_fired, pm);
    if (ret < 0) {
        return error_set(err, ret, "acpi-pm: the event loop has too many clocks");
    }
    pm->timer_ready = true;
    device_work_init(&pm->button_work, device, acpi_pm_button);
    device_work_init(&pm->timer_work, device, acpi_pm_timer_expired);
    device_work_init(&pm->gpe_work, device, acpi_pm_gpe_happened);
    pm->sci = isa_irq(isa, 9);
    region_init_io(&pm->event_region, "acpi-pm1-event", device, &acpi_pm_event_ops, pm, 4, 0, NULL);
    region_init_io(&pm->control_region, "acpi-pm1-control", device, &acpi_pm_control_ops, pm, 2, 0, NULL);
    region_init_io(&pm->gpe_region, "acpi-gpe0", device, &acpi_pm_gpe_ops, pm, 4, 0, NULL);
    region_add(isa->map, isa->io_root, pm->base, &pm->event_region, 0);
    region_add(isa->map, isa->io_root, pm->base + 4u, &pm->control_region, 0);
    region_add(isa->map, isa->io_root, pm->gpe_base, &pm->gpe_region, 0);
    return 0;
}

static void acpi_pm_reset(struct device *device)
{
    struct acpi_pm *pm = acpi_pm_of(device);

    pm->pm1_status = 0;
    pm->pm1_enable = 0;
    pm->pm1_control = 0;
    pm->gpe_status = 0;
    pm->gpe_enable = 0;
    pm->half_seen = acpi_pm_half(pm);
    acpi_pm_update(pm);
}

static void acpi_pm_quiesce(struct device *device)
{
    struct acpi_pm *pm = acpi_pm_of(device);
    const struct isa_bus *isa = pm->isa.isa;

    region_remove(isa->map, &pm->event_region);
    region_remove(isa->map, &pm->control_region);
    region_remove(isa->map, &pm->gpe_region);
    timer_cancel(&pm->overflow_timer);
    device_quiesced(device);
}

static void acpi_pm_destroy(struct device *device)
{
    struct acpi_pm *pm = acpi_pm_of(device);

    if (pm->timer_ready) {
        timer_destroy(&pm->overflow_timer);
        region_destroy(&pm->event_region);
        region_destroy(&pm->control_region);
        region_destroy(&pm->gpe_region);
    }
}

const struct device_type acpi_pm_device_type = {
    .name = "acpi-pm",
    .description = "ACPI fixed hardware",
    .category = "Misc",
    .bus = "ISA",
    .size_bytes = sizeof(struct acpi_pm),
    .realize = acpi_pm_realize,
    .reset = acpi_pm_reset,
    .quiesce = acpi_pm_quiesce,
    .destroy = acpi_pm_destroy,
};
