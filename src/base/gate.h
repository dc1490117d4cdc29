/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A gate: a count of users that can be shut. While it is open anybody may enter; once shut nobody may, and when the
 * last user inside has left, the `drained` callback runs, exactly once. Nothing here blocks, so closing is legal under
 * any lock, and the one who closes finds out by callback instead of waiting.
 *
 * The word is (users << 1) | SHUT. All operations meet in it by compare-and-swap or add:
 *
 *   enter, enter   both count
 *   enter, leave   both count
 *   leave, leave   one of them sees 0 and SHUT, if it is shut: runs drained
 *   enter, shut    either it entered before, and shut sees it, or fails
 *   leave, shut    exactly one of them sees (0, SHUT): runs drained
 *   shut, shut     forbidden: one shut a gate
 */
#ifndef HDL_BASE_GATE_H
#define HDL_BASE_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gate {
    _Atomic uint64_t word;              /* any thread */
    void (*drained)(struct gate *gate); /* written before shut, read by the last to leave */
};

#define GATE_SHUT 1u
#define GATE_USER 2u

static inline void gate_init(struct gate *gate)
{
    atomic_init(&gate->word, 0);
    gate->drained = NULL;
}

/* Any thread. False once the gate is shut. Whoever entered must leave. */
static inline bool gate_enter(struct gate *gate)
{
    uint64_t word = atomic_load_explicit(&gate->word, memory_order_relaxed);

    do {
        if (word & GATE_SHUT) {
            return false;
        }
        /* Acquire: pairs with the release of whoever opened the object behind the gate. */
    } while (!atomic_compare_exchange_weak_explicit(&gate->word, &word, word + GATE_USER, memory_order_acquire,
                                                    memory_order_relaxed));
    return true;
}

/* Any thread that entered. The object behind the gate may be gone when this returns. */
static inline void gate_leave(struct gate *gate)
{
    /* Release: what was done inside is seen by whoever drains. Acquire: the last one sees what all others did. */
    uint64_t old = atomic_fetch_sub_explicit(&gate->word, GATE_USER, memory_order_acq_rel);

    if (old == (GATE_USER | GATE_SHUT) && gate->drained) {
        gate->drained(gate);
    }
}

/* Any thread, once. `drained` (may be NULL) runs on the last thread inside, or here if nobody is. */
static inline void gate_shut(struct gate *gate, void (*drained)(struct gate *gate))
{
    uint64_t old;

    gate->drained = drained;
    old = atomic_fetch_or_explicit(&gate->word, GATE_SHUT, memory_order_acq_rel);
    if (old == 0 && drained) {
        drained(gate);
    }
}

static inline bool gate_is_shut(struct gate *gate)
{
    return atomic_load_explicit(&gate->word, memory_order_acquire) & GATE_SHUT;
}

#endif
