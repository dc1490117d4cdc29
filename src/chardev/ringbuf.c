/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `ringbuf` (also `memory`): keeps the last size= bytes that were written, for somebody to look at later. The oldest
 * give way, so a write is never short.
 */
#include "chardev/ringbuf.h"

#include <errno.h>
#include <stdlib.h>

#include "chardev/chardev_internal.h"

#define RINGBUF_MAX_BYTES (UINT64_C(16) << 20)

/* size_bytes, bytes (the pointer): immutable after open. What it points to, head, tail: the chardev's lock. */
struct chardev_ringbuf {
    struct chardev chardev; /* first */
    uint64_t size_bytes;
    uint8_t *bytes;
    uint64_t head, tail; /* free-running */
};

static const struct property ringbuf_properties[] = {
    {.name = "size",
     .type = PROPERTY_SIZE,
     .offset = offsetof(struct chardev_ringbuf, size_bytes),
     .default_value = "65536",
     .min = 1,
     .max = RINGBUF_MAX_BYTES,
     .description = "how much is kept"},
    {0},
};

static int ringbuf_open(struct chardev *chardev, struct error **err)
{
    struct chardev_ringbuf *ringbuf = container_of(chardev, struct chardev_ringbuf, chardev);

    ringbuf->bytes = malloc(ringbuf->size_bytes);
    if (!ringbuf->bytes) {
        return error_set(err, -ENOMEM, "no memory for %llu bytes", (unsigned long long)ringbuf->size_bytes);
    }
    chardev_set_connected(chardev, true);
    return 0;
}

static void ringbuf_close(struct chardev *chardev)
{
    free(container_of(chardev, struct chardev_ringbuf, chardev)->bytes);
}

static size_t ringbuf_write(struct chardev *chardev, const void *buffer, size_t len_bytes)
{
    struct chardev_ringbuf *ringbuf = container_of(chardev, struct chardev_ringbuf, chardev);
    const uint8_t *bytes = buffer;

    hdl_mutex_lock(&ringbuf->chardev.lock);
    for (size_t i = 0; i < len_bytes; i++) {
        ringbuf->bytes[ringbuf->tail++ % ringbuf->size_bytes] = bytes[i];
    }
    if (ringbuf->tail - ringbuf->head > ringbuf->size_bytes) {
        ringbuf->head = ringbuf->tail - ringbuf->size_bytes;
    }
    hdl_mutex_unlock(&ringbuf->chardev.lock);
    return len_bytes;
}

size_t chardev_ringbuf_take(struct chardev *chardev, void *buffer, size_t len_bytes)
{
    struct chardev_ringbuf *ringbuf = container_of(chardev, struct chardev_ringbuf, chardev);
    uint8_t *bytes = buffer;
    size_t taken = 0;

    if (chardev->type != &chardev_ringbuf_type || !ringbuf->bytes) {
        return 0;
    }
    hdl_mutex_lock(&ringbuf->chardev.lock);
    while (taken < len_bytes && ringbuf->head != ringbuf->tail) {
        bytes[taken++] = ringbuf->bytes[ringbuf->head++ % ringbuf->size_bytes];
    }
    hdl_mutex_unlock(&ringbuf->chardev.lock);
    return taken;
}

void chardev_ringbuf_put(struct chardev *chardev, const void *buffer, size_t len_bytes)
{
    chardev_feed(chardev, buffer, MIN(len_bytes, chardev_in_room(chardev)));
}

const struct chardev_type chardev_ringbuf_type = {
    .name = "ringbuf",
    .alias = "memory",
    .description = "memory: the last bytes of output are kept",
    .size_bytes = sizeof(struct chardev_ringbuf),
    .properties = ringbuf_properties,
    .open = ringbuf_open,
    .close = ringbuf_close,
    .write = ringbuf_write,
};
