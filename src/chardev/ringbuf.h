/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The other side of a `ringbuf` chardev: what a monitor, or a test, does with it. */
#ifndef HDL_CHARDEV_RINGBUF_H
#define HDL_CHARDEV_RINGBUF_H

#include "chardev/chardev.h"

/* Takes the oldest bytes that a device wrote; returns how many. 0 for another kind of chardev. Any thread. */
size_t chardev_ringbuf_take(struct chardev *chardev, void *buffer, size_t len_bytes);
/* Lets bytes arrive as if somebody had typed them; what doesn't fit is lost. The chardev's loop thread. */
void chardev_ringbuf_put(struct chardev *chardev, const void *buffer, size_t len_bytes);

#endif
