/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * i8042 keyboard controller, `i8042`: ports 0x60, 0x64, and port 0x92. It resets the machine, keeps the A20 bit (which
 * gates nothing), and answers probes so that a guest finds out at once that no keyboard or mouse is plugged in.
 *
 * Wiring: isa.isa before realize (interrupt 1; requests->reset).
 */
#ifndef HDL_HW_MISC_I8042_H
#define HDL_HW_MISC_I8042_H

#include "hw/isa.h"

/* Regions: immutable after realize. The rest: device lock. */
struct i8042 {
    struct isa_device isa; /* first */
    struct region data_region, command_region, port92_region;
    struct irq_line keyboard_irq;

    uint8_t command_byte; /* "mode" */
    uint8_t output_port;
    uint8_t port92;
    uint8_t status;
    uint8_t output;
    uint8_t pending_command; /* one that waits for its byte at port 0x60; 0: none */
};

extern const struct device_type i8042_device_type;

#endif
