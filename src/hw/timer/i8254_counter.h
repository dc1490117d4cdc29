/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One counter of an 8254 (Intel 82C54 data sheet), as a function of the time that it is given: no clock, bus or lock.
 * The caller serialises. Times are ns of one clock and never go back.
 */
#ifndef HDL_HW_TIMER_I8254_COUNTER_H
#define HDL_HW_TIMER_I8254_COUNTER_H

#include <stdbool.h>
#include <stdint.h>

#define I8254_HZ UINT64_C(1193182)

struct i8254_counter {
    uint8_t mode;   /* 0..5 */
    uint8_t access; /* the control word's two bits: 1 low byte, 2 high byte, 3 both */
    bool bcd, gate;
    bool loaded;     /* it has a count: before that it doesn't count */
    bool triggered;  /* modes 1 and 5: the gate rose since */
    bool write_high; /* access 3: the next byte written is the high one */
    bool read_high;  /* access 3: the next byte read is the high one */
    uint8_t write_low;
    bool latched, status_latched;
    uint8_t latched_status;
    uint16_t latched_count;
    uint32_t initial;    /* 1..65536 (10000 in BCD) */
    uint64_t start_ns;   /* while counting: when it had held_ticks behind it */
    uint64_t held_ticks; /* gone by at start_ns, or when counting was stopped */
};

/* Power-on state: silent, until a control word and a count come. */
void i8254_counter_reset(struct i8254_counter *counter, bool gate);
/* A control word for this counter, that isn't the read-back command. */
void i8254_counter_control(struct i8254_counter *counter, uint8_t control, uint64_t now_ns);
/* The read-back command chose this counter. */
void i8254_counter_read_back(struct i8254_counter *counter, bool count, bool status, uint64_t now_ns);
void i8254_counter_write(struct i8254_counter *counter, uint8_t value, uint64_t now_ns);
uint8_t i8254_counter_read(struct i8254_counter *counter, uint64_t now_ns);
void i8254_counter_set_gate(struct i8254_counter *counter, bool gate, uint64_t now_ns);
/* The level of OUT. */
bool i8254_counter_out(const struct i8254_counter *counter, uint64_t now_ns);
/* The first time after `after_ns` at which OUT rises by itself; UINT64_MAX if it doesn't. */
uint64_t i8254_counter_next_rise_ns(const struct i8254_counter *counter, uint64_t after_ns);

#endif
