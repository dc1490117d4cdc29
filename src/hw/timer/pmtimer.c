/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI PM timer: a function of the clock, and no state. Any number of vCPUs read it at once; writes do nothing.
 */
#include "hw/timer/pmtimer.h"

uint64_t pmtimer_ticks(struct clock *clock)
{
    return (uint64_t)((unsigned __int128)clock_now_ns(clock) * PMTIMER_HZ / NS_PER_SEC);
}

static enum access_result pmtimer_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct pmtimer *pmtimer = opaque;

    *value = (uint32_t)pmtimer_ticks(pmtimer->isa.isa->clock);
    return ACCESS_OK;
}

static enum access_result pmtimer_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    return ACCESS_OK;
}

static const struct region_ops pmtimer_ops = {
    .read = pmtimer_read,
    .write = pmtimer_write,
    .valid = {.min = 1, .max = 4},
    .impl = {.min = 4, .max = 4},
};

static int pmtimer_realize(struct device *device, struct error **err)
{
    struct pmtimer *pmtimer = container_of(device, struct pmtimer, isa.device);
    const struct isa_bus *isa = pmtimer->isa.isa;

    region_init_io(&pmtimer->region, "acpi-pm-timer", device, &pmtimer_ops, pmtimer, 4, REGION_LOCKLESS, NULL);
    region_add(isa->map, isa->io_root, pmtimer->port, &pmtimer->region, 1);
    return 0;
}

static void pmtimer_quiesce(struct device *device)
{
    struct pmtimer *pmtimer = container_of(device, struct pmtimer, isa.device);

    isa_region_hide(pmtimer->isa.isa, &pmtimer->region);
    device_quiesced(device);
}

static void pmtimer_destroy(struct device *device)
{
    isa_region_destroy(&container_of(device, struct pmtimer, isa.device)->region);
}

const struct device_type pmtimer_device_type = {
    .name = "acpi-pm-timer",
    .description = "ACPI power-management timer",
    .category = "Misc",
    .bus = "ISA",
    .size_bytes = sizeof(struct pmtimer),
    .realize = pmtimer_realize,
    .quiesce = pmtimer_quiesce,
    .destroy = pmtimer_destroy,
};
