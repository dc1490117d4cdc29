/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 16550A UART, `isa-serial` (National Semiconductor PC16550D data sheet). serial.c says what it models.
 *
 * Wiring: isa.isa before realize; `chardev` either set directly (the board's COM ports) or by the property chardev=ID,
 * which is looked up in isa->chardevs. Neither: the port exists and nothing is connected to it. The device attaches to
 * the chardev at realize and detaches when it is quiesced; it doesn't own it.
 */
#ifndef HDL_HW_CHAR_SERIAL_H
#define HDL_HW_CHAR_SERIAL_H

#include "hw/isa.h"

#define SERIAL_FIFO_BYTES 16

struct serial_fifo {
    uint8_t bytes[SERIAL_FIFO_BYTES];
    uint8_t errors[SERIAL_FIFO_BYTES]; /* LSR_BI for a break that was received as this byte */
    unsigned head, count;
};

/* isa, chardev and properties: immutable after realize. All registers and FIFOs: device lock. */
struct serial {
    struct isa_device isa; /* first */

    /* properties: index 0..3 gives COM1..COM4's usual port and interrupt where those two are left open */
    char *chardev_id;
    uint32_t index, iobase, irq_number; /* iobase, irq_number: 0 is open */

    struct chardev *chardev; /* NULL: nothing connected */
    struct chardev_frontend frontend;
    struct region region;
    struct irq_line irq;
    struct device_work receive_work, transmit_work, break_work, timeout_work;
    struct timer timeout_timer; /* four character times without a read while bytes lie below the trigger level */
    bool timeout_timer_ready;

    uint8_t ier, lcr, mcr, lsr, msr, scr, fcr;
    uint16_t divisor;
    bool transmit_irq_pending; /* THRE is an event: reading IIR or writing THR takes it back */
    bool timeout_irq_pending;
    bool irq_level;
    struct serial_fifo receive, transmit;
};

extern const struct device_type serial_device_type; /* "isa-serial" */

#endif
