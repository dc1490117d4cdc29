/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One 8259A, without bus or lock: the caller serialises (struct i8259 does, by its lock) and carries the output to
 * where it goes.
 */
#ifndef HDL_HW_INTC_I8259_CHIP_H
#define HDL_HW_INTC_I8259_CHIP_H

#include <stdbool.h>
#include <stdint.h>

/* What the next write to the odd port is. */
enum i8259_step { I8259_READY, I8259_WANTS_ICW2, I8259_WANTS_ICW3, I8259_WANTS_ICW4 };

struct i8259_chip {
    uint8_t cascade_mask; /* inputs that other chips are on (bit 2 of the first): they count as level-triggered */
    uint8_t elcr_mask;    /* inputs that the guest may make level-triggered */
    uint8_t levels;       /* the wires */
    uint8_t elcr;
    uint8_t irr, isr, imr;
    uint8_t lowest; /* the input of lowest priority: the one after it is the highest */
    uint8_t vector_base;
    enum i8259_step step;
    bool single, wants_icw4; /* from ICW1 */
    bool auto_eoi, rotate_on_auto_eoi, special_mask, special_fully_nested;
    bool reads_isr, poll;
};

/* Power-on state; the wires and the two masks stay. */
void i8259_chip_reset(struct i8259_chip *chip);
void i8259_chip_set(struct i8259_chip *chip, unsigned pin, bool level);
/* The input that the chip asks to be served, or -1: its output is high unless that. */
int i8259_chip_request(const struct i8259_chip *chip);
/* The input is being served now. */
void i8259_chip_acknowledge(struct i8259_chip *chip, unsigned pin);
/* port: 0 or 1. */
uint8_t i8259_chip_read(struct i8259_chip *chip, unsigned port);
void i8259_chip_write(struct i8259_chip *chip, unsigned port, uint8_t value);
void i8259_chip_write_elcr(struct i8259_chip *chip, uint8_t value);

#endif
