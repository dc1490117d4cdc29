/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What connects the local APICs: who a message is for (SDM 3, 11.6.2), and the device that they are parts of. Messages
 * come from CPUs (inter-processor interrupts), from devices (MSI) and from the I/O APIC, on any thread, under any lock.
 *
 * No lock is taken here. Finding the destination reads what each APIC has published (mode, ids, whether it is enabled,
 * its priority), word by word: a CPU that changes its logical id while a message is looking for it is found by the old
 * one or by the new one, as it would be by a message a moment earlier or later.
 *
 * A hostile guest can send to anybody, itself included, at most one request each a message. Messages to nobody are
 * lost.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hw/intc/lapic_internal.h"

#define BROADCAST      UINT32_C(0xff)
#define BROADCAST_WIDE UINT32_MAX

#define MSI_ADDRESS      UINT64_C(0xfee00000)
#define MSI_ADDRESS_MASK UINT64_C(0xfffffffffff00000)
#define MSI_HINT         UINT64_C(0x8)
#define MSI_LOGICAL      UINT64_C(0x4)
#define MSI_ASSERT       UINT32_C(0x4000)
#define MSI_LEVEL        UINT32_C(0x8000)

/* --- destinations ----------------------------------------------------------------------------------------------- */

uint32_t lapic_logical_id(const struct lapic *lapic)
{
    return lapic->id >> 4 << 16 | UINT32_C(1) << (lapic->id & 0xf);
}

static bool lapic_is_enabled(const struct lapic *lapic)
{
    return lapic_base(lapic) & LAPIC_BASE_ENABLED;
}

static bool lapic_takes_interrupts(const struct lapic *lapic)
{
    return lapic_load(&lapic->svr) & LAPIC_SVR_ENABLED;
}

/* SDM 3, 11.6.2.2: flat or cluster model, by the upper four bits of DFR; 11.12.10.1 for x2APIC. */
static bool lapic_matches_logical(const struct lapic *lapic, uint32_t destination)
{
    uint32_t model = lapic_load(&lapic->dfr) >> 28, ldr = lapic_load(&lapic->ldr) >> 24;

    if (lapic_is_x2apic(lapic)) {
        uint32_t id = lapic_logical_id(lapic);

        return destination >> 16 == id >> 16 && (destination & id & 0xffff);
    }
    if (destination > 0xff) {
        return false;
    }
    if (model == 0xf) {
        return destination & ldr;
    }
    return model == 0 && destination >> 4 == ldr >> 4 && (destination & ldr & 0xf);
}

static bool lapic_matches(const struct lapic *lapic, const struct lapic_message *message)
{
    if (!lapic_is_enabled(lapic)) {
        return false;
    }
    switch (message->shorthand) {
    case LAPIC_TO_SELF:
        return lapic == message->source;
    case LAPIC_TO_ALL:
        return true;
    case LAPIC_TO_OTHERS:
        return lapic != message->source;
    case LAPIC_TO_DESTINATION:
        break;
    }
    if (message->destination == (message->wide ? BROADCAST_WIDE : BROADCAST)) {
        return true;
    }
    return message->logical ? lapic_matches_logical(lapic, message->destination) : lapic->id == message->destination;
}

/* --- delivery --------------------------------------------------------------------------------------------------- */

static void lapic_deliver(struct lapic *lapic, const struct lapic_message *message)
{
    const struct lapic_bus *bus = lapic->bus;

    switch (message->mode) {
    case LAPIC_FIXED:
    case LAPIC_LOWEST:
        if (lapic_takes_interrupts(lapic)) {
            lapic_accept(lapic, message->vector, message->level);
        }
        break;
    case LAPIC_NMI:
        bus->cpus->nmi(bus->cpus_opaque, lapic->index);
        break;
    case LAPIC_INIT:
        bus->cpus->init(bus->cpus_opaque, lapic->index);
        break;
    case LAPIC_SIPI:
        bus->cpus->sipi(bus->cpus_opaque, lapic->index, message->vector);
        break;
    case LAPIC_SMI:    /* there is no system-management mode */
    case LAPIC_EXTINT: /* the 8259s' vectors come by their own wire */
        break;
    }
}

/* One of those that match: that with the lowest priority; of equals, the first from a place that moves on each time. */
static void lapic_bus_send_lowest(struct lapic_bus *bus, const struct lapic_message *message)
{
    unsigned start = atomic_fetch_add_explicit(&bus->arbiter, 1, memory_order_relaxed) % bus->count;
    struct lapic *best = NULL;
    unsigned best_priority = UINT32_MAX;

    for (unsigned i = 0; i < bus->count; i++) {
        struct lapic *lapic = &bus->apics[(start + i) % bus->count];
        unsigned priority = atomic_load_explicit(&lapic->priority, memory_order_relaxed);

        if (priority < best_priority && lapic_matches(lapic, message) && lapic_takes_interrupts(lapic)) {
            best = lapic;
            best_priority = priority;
        }
    }
    if (best) {
        lapic_deliver(best, message);
    }
}

void lapic_bus_send(struct lapic_bus *bus, const struct lapic_message *message)
{
    if (message->level && !message->assert_level) {
        return; /* a de-assertion: of an INIT, which once set arbitration ids, or of a level, which means nothing */
    }
    if (message->mode == LAPIC_LOWEST) {
        lapic_bus_send_lowest(bus, message);
        return;
    }
    for (unsigned i = 0; i < bus->count; i++) {
        if (lapic_matches(&bus->apics[i], message)) {
            lapic_deliver(&bus->apics[i], message);
        }
    }
}

int lapic_bus_send_msi(struct lapic_bus *bus, struct msi_message msi)
{
    struct lapic_message message = {
        .destination = msi.address >> 12 & 0xff,
        .logical = msi.address & MSI_LOGICAL,
        .level = msi.data & MSI_LEVEL,
        .assert_level = msi.data & MSI_ASSERT,
        .mode = (enum lapic_mode)(msi.data >> 8 & 7),
        .vector = (uint8_t)msi.data,
    };

    if ((msi.address & MSI_ADDRESS_MASK) != MSI_ADDRESS) {
        return -EINVAL;
    }
    if (message.mode == LAPIC_FIXED && message.logical && (msi.address & MSI_HINT)) {
        message.mode = LAPIC_LOWEST;
    }
    lapic_bus_send(bus, &message);
    return 0;
}

/* --- life: configuration thread, the CPUs stand still ----------------------------------------------------------- */

static struct lapic_bus *lapic_bus_of(struct device *device)
{
    return container_of(device, struct lapic_bus, isa.device);
}

static void lapic_bus_reset(struct device *device)
{
    struct lapic_bus *bus = lapic_bus_of(device);

    for (unsigned i = 0; i < bus->count; i++) {
        lapic_set_base(&bus->apics[i], LAPIC_BASE | LAPIC_BASE_ENABLED | (i == 0 ? LAPIC_BASE_BSP : 0));
        lapic_clear(&bus->apics[i]);
    }
}

static void lapic_bus_init_page(struct lapic_bus *bus, struct lapic_page *page)
{
    page->bus = bus;
    atomic_init(&page->address, LAPIC_BASE);
    region_init_io(&page->region, "apic", &bus->isa.device, &lapic_region_ops, page, LAPIC_BYTES, REGION_LOCKLESS,
                   NULL);
}

static int lapic_bus_init_apic(struct lapic_bus *bus, unsigned index)
{
    struct lapic *lapic = &bus->apics[index];

    *lapic = (struct lapic){.bus = bus, .index = index, .id = bus->cpus->apic_id(bus->cpus_opaque, index)};
    lapic_bus_init_page(bus, &lapic->moved);
    return lapic_timer_init(lapic);
}

static void lapic_bus_free(struct lapic_bus *bus)
{
    for (unsigned i = 0; i < bus->count && bus->apics; i++) {
        lapic_timer_destroy(&bus->apics[i]);
        isa_region_destroy(&bus->apics[i].moved.region);
    }
    free(bus->apics);
    bus->apics = NULL;
}

static int lapic_bus_realize(struct device *device, struct error **err)
{
    struct lapic_bus *bus = lapic_bus_of(device);
    size_t len_bytes = bus->count * sizeof(struct lapic);
    int ret = 0;

    bus->apics = aligned_alloc(HDL_CACHE_LINE, len_bytes);
    if (!bus->apics) {
        return error_set(err, -ENOMEM, "out of memory for local APICs");
    }
    memset(bus->apics, 0, len_bytes);
    for (unsigned i = 0; i < bus->count && ret == 0; i++) {
        ret = lapic_bus_init_apic(bus, i);
    }
    if (ret < 0) {
        lapic_bus_free(bus);
        return error_set(err, ret, "no timers for local APICs: %s", strerror(-ret));
    }
    lapic_bus_init_page(bus, &bus->page);
    lapic_bus_reset(device);
    region_add(bus->isa.isa->map, bus->isa.isa->mem_root, LAPIC_BASE, &bus->page.region, 0);
    return 0;
}

static void lapic_bus_quiesce(struct device *device)
{
    struct lapic_bus *bus = lapic_bus_of(device);

    isa_region_hide(bus->isa.isa, &bus->page.region);
    for (unsigned i = 0; i < bus->count; i++) {
        timer_cancel(&bus->apics[i].timer.timer);
        isa_region_hide(bus->isa.isa, &bus->apics[i].moved.region);
    }
    device_quiesced(device);
}

static void lapic_bus_destroy(struct device *device)
{
    struct lapic_bus *bus = lapic_bus_of(device);

    lapic_bus_free(bus);
    isa_region_destroy(&bus->page.region);
}

const struct device_type lapic_bus_device_type = {
    .name = "apic",
    .description = "local APICs",
    .category = "Misc",
    .bus = "ISA",
    .size_bytes = sizeof(struct lapic_bus),
    .realize = lapic_bus_realize,
    .reset = lapic_bus_reset,
    .quiesce = lapic_bus_quiesce,
    .destroy = lapic_bus_destroy,
};
