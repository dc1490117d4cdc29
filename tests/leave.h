/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Seeing devices off that a test keeps by itself; a machine has its device set for that. */
#ifndef HDL_TESTS_LEAVE_H
#define HDL_TESTS_LEAVE_H

#include "device/device.h"

/*
 * Unplugs them all at once, so that they share grace periods, and returns when each is GONE and unplugging holds no
 * reference any more. `loop` is polled meanwhile; devices on other loops need those to be running.
 * Thread of `loop` (or its owner, while it isn't run), no lock held.
 */
void devices_unplug(struct event_loop *loop, struct device *const *devices, size_t count);
/* As it, for references: gives up one of each, the last device's first, and returns when those without any are freed.
 */
void devices_put(struct event_loop *loop, struct device *const *devices, size_t count);

#endif
