/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a device on the ISA bus (or soldered to the board beside it) is wired to. There is no bus logic: ports and
 * interrupts are where the board put them.
 *
 * The machine fills one struct isa_bus, and points each struct isa_device's `isa` at it between device_create and
 * device_realize. Types whose bus is "ISA" begin with a struct isa_device, so that can be done without knowing them.
 */
#ifndef HDL_HW_ISA_H
#define HDL_HW_ISA_H

#include "chardev/chardev.h"
#include "device/device.h"
#include "device/irq.h"
#include "device/requests.h"
#include "event/clock.h"
#include "memory/address_space.h"
#include "memory/region.h"

/*
 * Indexed by ISA interrupt number 0..15 and, above that, by I/O APIC input 16..23. irqs[0] and irqs[2] are the same
 * I/O APIC input 2 on a PC (the timer); irqs[2] isn't connected to the PICs (that is their cascade).
 */
#define ISA_IRQ_COUNT 24

/* Immutable once the first device is realized, and outlives all of them. */
struct isa_bus {
    struct memory_map *map;
    struct region *io_root;  /* 64 KiB port space */
    struct region *mem_root; /* physical addresses */
    struct irq_line irqs[ISA_IRQ_COUNT];
    struct clock *clock;                     /* the guest's (virtual) clock */
    struct msi_target *msi;                  /* NULL: no message-signalled interrupts (HPET) */
    struct device_lock *legacy_lock;         /* for devices and regions that ask for it */
    const struct machine_requests *requests; /* may be NULL */
    struct chardev_table *chardevs;          /* where `chardev=ID` properties are looked up; may be NULL */
};

struct isa_device {
    struct device device; /* first */
    const struct isa_bus *isa;
};

static inline struct isa_device *isa_device_from(struct device *device)
{
    return (struct isa_device *)device;
}

/* The line of an interrupt number; one connected to nothing if there is no such number. */
static inline struct irq_line isa_irq(const struct isa_bus *isa, unsigned number)
{
    struct irq_line none = {0};

    return number < ISA_IRQ_COUNT ? isa->irqs[number] : none;
}

/* Takes a region of the device out of its tree (quiesce), if it is in one. */
static inline void isa_region_hide(const struct isa_bus *isa, struct region *region)
{
    if (region->parent) {
        region_remove(isa->map, region);
    }
}

/* Ends a region (destroy), if it was ever begun. */
static inline void isa_region_destroy(struct region *region)
{
    if (region->name) {
        region_destroy(region);
    }
}

#endif
