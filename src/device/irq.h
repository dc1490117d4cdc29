/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts, as devices see them. They go down, never up (architecture, invariant 10): raising one is legal under a
 * device lock, takes at most the controller's own lock, and calls no device.
 */
#ifndef HDL_DEVICE_IRQ_H
#define HDL_DEVICE_IRQ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/lock.h"

/* A wire. A copy is as good as the original; all zero means connected to nothing. */
struct irq_line {
    void (*set)(void *opaque, unsigned pin, bool level);
    void *opaque;
    unsigned pin;
};

static inline void irq_set(const struct irq_line *line, bool level)
{
    if (line->set) {
        line->set(line->opaque, line->pin, level);
    }
}

static inline void irq_raise(const struct irq_line *line)
{
    irq_set(line, true);
}

static inline void irq_lower(const struct irq_line *line)
{
    irq_set(line, false);
}

/* Up and down at once, for edge-triggered inputs. */
static inline void irq_pulse(const struct irq_line *line)
{
    irq_set(line, true);
    irq_set(line, false);
}

/*
 * Several devices on one level-triggered wire (wired-OR): the output is high while any input is. Each input keeps its
 * own level, so setting the same level twice counts once.
 */
struct irq_or {
    struct hdl_mutex lock; /* LOCK_RANK_IRQ_LINE: held around the output's set, so edges can't overtake each other */
    struct irq_line output;
    uint64_t levels HDL_GUARDED_BY(&lock);
};

void irq_or_init(struct irq_or * or, struct irq_line output) HDL_UNSHARED;
/* The line of input n (0..63). */
struct irq_line irq_or_input(struct irq_or * or, unsigned n);

/* A message-signalled interrupt (PCI 3.0, 6.8; Intel SDM 3, 11.11). */
struct msi_message {
    uint64_t address;
    uint32_t data;
};

/*
 * Where messages go: implemented by the accelerator's interrupt controller. A *route* is a slot of its table that
 * stands for one message, so that an eventfd can send it with no thread of ours (KVM's irqfd).
 * Any thread, under device locks.
 */
struct msi_target;
struct msi_target_ops {
    /* Delivers now. 0 or a negative errno. */
    int (*send)(struct msi_target *target, struct msi_message message);
    /*
     * A route for the message, >= 0, or -ENOSPC / -ENOTSUP (the caller then uses send). NULL, as the next four are
     * then: there are no routes.
     */
    int (*route_add)(struct msi_target *target, struct msi_message message);
    int (*route_update)(struct msi_target *target, int route, struct msi_message message);
    void (*route_remove)(struct msi_target *target, int route);
    /* Each write to event_fd sends the route's message, until detached. -ENOTSUP when only send works. */
    int (*irqfd_attach)(struct msi_target *target, int route, int event_fd);
    void (*irqfd_detach)(struct msi_target *target, int route, int event_fd);
    /*
     * For an I/O APIC in the machine: its pin (0..23) sends this level-triggered message, so the end of such interrupts
     * has to be reported (vm_interrupt_source.end_of_interrupt); NULL: no more. In force when it returns: a message
     * sent afterwards is reported. Not under a lock of INTC rank. 0 or a negative errno. May be NULL: nobody asks.
     */
    int (*pin_set)(struct msi_target *target, unsigned pin, const struct msi_message *message);
};

struct msi_target {
    const struct msi_target_ops *ops;
};

#endif
