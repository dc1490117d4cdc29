/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bounded queue of bytes. Its user guards it with a lock; what peek and room show stays in place while only the other
 * side moves, so the one producer or the one consumer may use the memory outside that lock.
 */
#ifndef HDL_CHARDEV_BYTE_RING_H
#define HDL_CHARDEV_BYTE_RING_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

#define BYTE_RING_BYTES 4096u /* a power of two */

/* head, tail: free-running; tail - head bytes are queued. All zero is empty. */
struct byte_ring {
    uint32_t head, tail;
    uint8_t bytes[BYTE_RING_BYTES];
};

static inline size_t byte_ring_count(const struct byte_ring *ring)
{
    return ring->tail - ring->head;
}

static inline size_t byte_ring_room(const struct byte_ring *ring)
{
    return BYTE_RING_BYTES - byte_ring_count(ring);
}

static inline void byte_ring_clear(struct byte_ring *ring)
{
    ring->head = ring->tail;
}

/* The oldest bytes that lie together. */
static inline size_t byte_ring_peek(struct byte_ring *ring, const uint8_t **bytes)
{
    uint32_t at = ring->head % BYTE_RING_BYTES;

    *bytes = ring->bytes + at;
    return MIN(byte_ring_count(ring), (size_t)(BYTE_RING_BYTES - at));
}

static inline size_t byte_ring_push(struct byte_ring *ring, const uint8_t *bytes, size_t len_bytes)
{
    size_t todo = MIN(len_bytes, byte_ring_room(ring));
    size_t at = ring->tail % BYTE_RING_BYTES;
    size_t first = MIN(todo, BYTE_RING_BYTES - at);

    memcpy(ring->bytes + at, bytes, first);
    memcpy(ring->bytes, bytes + first, todo - first);
    ring->tail += (uint32_t)todo;
    return todo;
}

static inline size_t byte_ring_pop(struct byte_ring *ring, uint8_t *bytes, size_t len_bytes)
{
    size_t todo = MIN(len_bytes, byte_ring_count(ring));
    size_t at = ring->head % BYTE_RING_BYTES;
    size_t first = MIN(todo, BYTE_RING_BYTES - at);

    memcpy(bytes, ring->bytes + at, first);
    memcpy(bytes + first, ring->bytes, todo - first);
    ring->head += (uint32_t)todo;
    return todo;
}

#endif
