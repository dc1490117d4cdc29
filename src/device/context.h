/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the calling thread is inside of: the re-entrancy guard's memory. A thread is inside a device from the start of
 * a handler (locked or lockless) or of deferred work to its end, and while it holds any device lock. While it is, an
 * access of its own that reaches an I/O region is refused with a bus error (architecture, invariant 7), and work for
 * other devices is left to their loops.
 *
 * The guard is a property of one transaction on one thread, not of a device: another thread that dispatches to the same
 * device meanwhile just waits for the lock, as it should.
 */
#ifndef HDL_DEVICE_CONTEXT_H
#define HDL_DEVICE_CONTEXT_H

#include <stdbool.h>

/* How often the thread has entered: a dispatch counts once for the lock and once for the handler. */
extern _Thread_local unsigned device_context_depth;

static inline bool device_context_is_inside(void)
{
    return device_context_depth != 0;
}

static inline void device_context_enter(void)
{
    device_context_depth++;
}

static inline void device_context_leave(void)
{
    device_context_depth--;
}

#endif
