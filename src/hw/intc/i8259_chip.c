/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 8259A itself: requests, priorities, and its command words. Not wired to anything: see i8259.c.
 *
 * Edges are latched until they are served, also when the line falls again before (a short pulse isn't lost, unlike on
 * the chip, which would answer with a spurious interrupt). Level-triggered requests follow their lines. 8080 mode and
 * ICW1's LTIM aren't there: PC chipsets have edge/level registers in place of the latter.
 *
 * A hostile guest can write any sequence of command words; each leaves the chip in a state that the next ones get it
 * out of.
 */
#include "hw/intc/i8259_chip.h"

#define ICW1      0x10
#define ICW1_IC4  0x01
#define ICW1_SNGL 0x02
#define ICW4_AEOI 0x02
#define ICW4_SFNM 0x10

#define OCW3          0x08
#define OCW3_READ_ISR 0x01
#define OCW3_READ     0x02
#define OCW3_POLL     0x04
#define OCW3_SMM      0x20
#define OCW3_ESMM     0x40

#define POLL_PENDING 0x80

/* OCW2's three upper bits. */
enum ocw2 {
    OCW2_ROTATE_AUTO_CLEAR = 0,
    OCW2_EOI = 1,
    OCW2_NONE = 2,
    OCW2_EOI_SPECIFIC = 3,
    OCW2_ROTATE_AUTO_SET = 4,
    OCW2_ROTATE_EOI = 5,
    OCW2_SET_PRIORITY = 6,
    OCW2_ROTATE_EOI_SPECIFIC = 7,
};

static uint8_t pin_bit(unsigned pin)
{
    return (uint8_t)(1u << (pin & 7));
}

static uint8_t chip_level_mask(const struct i8259_chip *chip)
{
    return chip->elcr | chip->cascade_mask;
}

/* 0 (highest) to 7, of the most urgent input in bits; 8 if there is none. */
static unsigned chip_priority(const struct i8259_chip *chip, uint8_t bits)
{
    unsigned priority = 0;

    while (priority < 8 && !(bits & pin_bit(chip->lowest + 1u + priority))) {
        priority++;
    }
    return priority;
}

static unsigned chip_pin_of(const struct i8259_chip *chip, unsigned priority)
{
    return (chip->lowest + 1u + priority) & 7;
}

/* What is being served, as far as it holds back others. */
static uint8_t chip_blocking(const struct i8259_chip *chip)
{
    uint8_t blocking = chip->isr;

    if (chip->special_mask) {
        blocking &= (uint8_t)~chip->imr;
    }
    if (chip->special_fully_nested) {
        blocking &= (uint8_t)~chip->cascade_mask;
    }
    return blocking;
}

int i8259_chip_request(const struct i8259_chip *chip)
{
    unsigned wanted = chip_priority(chip, chip->irr & (uint8_t)~chip->imr);

    return wanted < chip_priority(chip, chip_blocking(chip)) ? (int)chip_pin_of(chip, wanted) : -1;
}

void i8259_chip_set(struct i8259_chip *chip, unsigned pin, bool level)
{
    uint8_t bit = pin_bit(pin);
    bool rises = level && !(chip->levels & bit);

    chip->levels = level ? chip->levels | bit : chip->levels & (uint8_t)~bit;
    if (rises) {
        chip->irr |= bit;
    } else if (!level && (chip_level_mask(chip) & bit)) {
        chip->irr &= (uint8_t)~bit;
    }
}

void i8259_chip_acknowledge(struct i8259_chip *chip, unsigned pin)
{
    uint8_t bit = pin_bit(pin);

    if (!chip->auto_eoi) {
        chip->isr |= bit;
    } else if (chip->rotate_on_auto_eoi) {
        chip->lowest = (uint8_t)pin;
    }
    if (!(chip_level_mask(chip) & bit)) {
        chip->irr &= (uint8_t)~bit;
    }
}

/* --- command words ---------------------------------------------------------------------------------------------- */

static void chip_initialize(struct i8259_chip *chip, uint8_t icw1)
{
    chip->irr = chip->levels & chip_level_mask(chip);
    chip->isr = 0;
    chip->imr = 0;
    chip->lowest = 7;
    chip->auto_eoi = chip->rotate_on_auto_eoi = false;
    chip->special_mask = chip->special_fully_nested = false;
    chip->reads_isr = chip->poll = false;
    chip->single = icw1 & ICW1_SNGL;
    chip->wants_icw4 = icw1 & ICW1_IC4;
    chip->step = I8259_WANTS_ICW2;
}

void i8259_chip_reset(struct i8259_chip *chip)
{
    chip->elcr = 0;
    chip_initialize(chip, 0);
    chip->vector_base = 0;
    chip->step = I8259_READY;
}

/* The input that an unspecific end of interrupt means, or -1. */
static int chip_served(const struct i8259_chip *chip)
{
    unsigned priority = chip_priority(chip, chip_blocking(chip));

    if (priority == 8) { /* only a cascade that special fully nested mode doesn't count, or nothing */
        priority = chip_priority(chip, chip->isr & chip->cascade_mask);
    }
    return priority < 8 ? (int)chip_pin_of(chip, priority) : -1;
}

static void chip_end(struct i8259_chip *chip, int pin, bool rotate)
{
    if (pin >= 0) {
        chip->isr &= (uint8_t)~pin_bit((unsigned)pin);
        chip->lowest = rotate ? (uint8_t)pin : chip->lowest;
    }
}

static void chip_write_ocw2(struct i8259_chip *chip, uint8_t value)
{
    int pin = value & 7;

    switch ((enum ocw2)(value >> 5)) {
    case OCW2_ROTATE_AUTO_CLEAR:
    case OCW2_ROTATE_AUTO_SET:
        chip->rotate_on_auto_eoi = value >> 5 == OCW2_ROTATE_AUTO_SET;
        break;
    case OCW2_EOI:
    case OCW2_ROTATE_EOI:
        chip_end(chip, chip_served(chip), value >> 5 == OCW2_ROTATE_EOI);
        break;
    case OCW2_EOI_SPECIFIC:
    case OCW2_ROTATE_EOI_SPECIFIC:
        chip_end(chip, pin, value >> 5 == OCW2_ROTATE_EOI_SPECIFIC);
        break;
    case OCW2_SET_PRIORITY:
        chip->lowest = (uint8_t)pin;
        break;
    case OCW2_NONE:
        break;
    }
}

static void chip_write_ocw3(struct i8259_chip *chip, uint8_t value)
{
    if (value & OCW3_POLL) {
        chip->poll = true;
    }
    if (value & OCW3_READ) {
        chip->reads_isr = value & OCW3_READ_ISR;
    }
    if (value & OCW3_ESMM) {
        chip->special_mask = value & OCW3_SMM;
    }
}

static void chip_write_data(struct i8259_chip *chip, uint8_t value)
{
    enum i8259_step last = chip->wants_icw4 ? I8259_WANTS_ICW4 : I8259_READY;

    switch (chip->step) {
    case I8259_READY:
        chip->imr = value;
        break;
    case I8259_WANTS_ICW2:
        chip->vector_base = value & 0xf8;
        chip->step = chip->single ? last : I8259_WANTS_ICW3;
        break;
    case I8259_WANTS_ICW3: /* where the chips are connected, which the board decides */
        chip->step = last;
        break;
    case I8259_WANTS_ICW4:
        chip->auto_eoi = value & ICW4_AEOI;
        chip->special_fully_nested = value & ICW4_SFNM;
        chip->step = I8259_READY;
        break;
    }
}

void i8259_chip_write(struct i8259_chip *chip, unsigned port, uint8_t value)
{
    if (port == 1) {
        chip_write_data(chip, value);
    } else if (value & ICW1) {
        chip_initialize(chip, value);
    } else if (value & OCW3) {
        chip_write_ocw3(chip, value);
    } else {
        chip_write_ocw2(chip, value);
    }
}

uint8_t i8259_chip_read(struct i8259_chip *chip, unsigned port)
{
    if (chip->poll) {
        int pin = i8259_chip_request(chip);

        chip->poll = false;
        if (pin < 0) {
            return 0;
        }
        i8259_chip_acknowledge(chip, (unsigned)pin);
        return (uint8_t)(POLL_PENDING | pin);
    }
    if (port == 1) {
        return chip->imr;
    }
    return chip->reads_isr ? chip->isr : chip->irr;
}

void i8259_chip_write_elcr(struct i8259_chip *chip, uint8_t value)
{
    uint8_t changed;

    value &= chip->elcr_mask;
    changed = chip->elcr ^ value;
    chip->elcr = value;
    /* A request of the other kind is none any more; a line that is high is one if levels count now. */
    chip->irr = (uint8_t)((chip->irr & ~changed) | (chip->levels & changed & value));
}
