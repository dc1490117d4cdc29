/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * I/O APIC (Intel 82093AA data sheet; version 0x20 with the EOI register of later ones), `ioapic`: 24 inputs, each of
 * which sends the message that its redirection entry describes.
 *
 * Wiring: isa.isa (with its msi target) and base before realize.
 */
#ifndef HDL_HW_INTC_IOAPIC_H
#define HDL_HW_INTC_IOAPIC_H

#include "hw/isa.h"

#define IOAPIC_PINS  24
#define IOAPIC_BYTES 0x1000

/*
 * isa, base, region: immutable after realize. select, routed: device lock. The rest: `lock`, which is taken inside the
 * device lock by register accesses, and alone by whoever sets a line or ends an interrupt.
 */
struct ioapic {
    struct isa_device isa; /* first */
    uint64_t base;
    struct region region;

    uint8_t select;  /* IOREGSEL */
    uint32_t routed; /* pins that the accelerator knows as level-triggered */
    uint8_t id;      /* device lock; a register that says nothing to us */

    struct hdl_mutex lock;                               /* LOCK_RANK_INTC: held while messages are sent */
    uint32_t levels HDL_GUARDED_BY(&lock);               /* a bit a pin: the wires, which a reset doesn't change */
    uint64_t entries[IOAPIC_PINS] HDL_GUARDED_BY(&lock); /* redirection table */
};

extern const struct device_type ioapic_device_type;

/* The line of a pin below IOAPIC_PINS. Setting it takes only the controller's lock. High means asserted. */
struct irq_line ioapic_input(struct ioapic *ioapic, unsigned pin);
/*
 * A CPU ended a level-triggered interrupt of this vector: pins that are still high send again. Any thread that holds
 * no lock of INTC rank or inner.
 */
void ioapic_end_of_interrupt(struct ioapic *ioapic, uint8_t vector);

#endif
