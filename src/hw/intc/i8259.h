/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PC's pair of interrupt controllers (Intel 8259A data sheet) with the edge/level registers of PCI chipsets,
 * `isa-pic`: ports 0x20, 0x21, 0xA0, 0xA1, 0x4D0 and 0x4D1. The second chip's output is input 2 of the first.
 *
 * Wiring: isa.isa before realize. output: the INTR wire, set under the controller's lock each time that its level
 * changes (may call nothing that takes a lock of INTC rank or outer); may be connected to nothing.
 */
#ifndef HDL_HW_INTC_I8259_H
#define HDL_HW_INTC_I8259_H

#include "hw/intc/i8259_chip.h"
#include "hw/isa.h"

#define I8259_PINS 16

enum { I8259_PORT_MASTER = 0x20, I8259_PORT_SLAVE = 0xa0, I8259_PORT_ELCR = 0x4d0 };

/* isa, output, regions: immutable after realize. intr: written under `lock`, read by any thread. The rest: `lock`. */
struct i8259 {
    struct isa_device isa; /* first */
    struct irq_line output;
    struct region master_region, slave_region, elcr_region;
    struct hdl_mutex lock; /* LOCK_RANK_INTC */
    struct i8259_chip chips[2] HDL_GUARDED_BY(&lock);
    _Atomic bool intr;
};

extern const struct device_type i8259_device_type;

/* The line of an input below I8259_PINS; that of input 2, the cascade, is connected to nothing. */
struct irq_line i8259_input(struct i8259 *pic, unsigned pin);
/* Whether INTR is high. Any thread, lockless. */
bool i8259_is_pending(struct i8259 *pic);
/* The CPU's acknowledge cycle: the vector, or -1 if INTR isn't high. Any thread that holds no INTC lock. */
int i8259_acknowledge(struct i8259 *pic);

#endif
