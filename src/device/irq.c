/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Wires with more than one source. The lock is held around setting the output, so that two inputs that change at once
 * can't deliver their edges to the controller in the wrong order; the controller's own lock is inner to it.
 */
#include "device/irq.h"

static void irq_or_set(void *opaque, unsigned pin, bool level)
{
    struct irq_or * or = opaque;
    bool before;

    hdl_mutex_lock(& or->lock);
    before = or->levels != 0;
    if (level) {
        or->levels |= UINT64_C(1) << pin;
    } else {
        or->levels &= ~(UINT64_C(1) << pin);
    }
    if ((or->levels != 0) != before) {
        irq_set(& or->output, level);
    }
    hdl_mutex_unlock(& or->lock);
}

void irq_or_init(struct irq_or * or, struct irq_line output)
{
    hdl_mutex_init(& or->lock, "irq-or", LOCK_RANK_IRQ_LINE);
    or->output = output;
    or->levels = 0;
}

struct irq_line irq_or_input(struct irq_or * or, unsigned n)
{
    return (struct irq_line){.set = irq_or_set, .opaque = or, .pin = n & 63};
}
