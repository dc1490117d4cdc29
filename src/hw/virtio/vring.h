/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to hw/virtio: what a kind of ring does for a queue, and how ring memory is accessed.
 *
 * Ring memory is the guest's and changes at any moment: every field is read once, by an atomic load, into a variable
 * of ours. All functions: device lock.
 *
 * Orders, and what they pair with in the driver (virtio 1.2, 2.7.13 and 2.8.21):
 *   vring_load_acquire    of avail idx or descriptor flags: the driver wrote entries before it made them available
 *   vring_store_release   of used idx or descriptor flags: data and used entries are seen before the driver sees them
 *   vring_fence           between publishing something and looking at the other side's wish or progress: the driver has
 *                         a full barrier at the same place, so that at least one of the two sees the other
 */
#ifndef HDL_HW_VIRTIO_VRING_H
#define HDL_HW_VIRTIO_VRING_H

#include <stdatomic.h>

#include "base/rcu.h"
#include "hw/virtio/virtio.h"

enum vring_desc_flags { VRING_DESC_NEXT = 1, VRING_DESC_WRITE = 2, VRING_DESC_INDIRECT = 4 };

struct vring_ops {
    /* Whether the registers make a ring of this kind; then the lengths of its three parts in bytes. */
    bool (*layout)(const struct virtqueue *queue, uint64_t *desc_bytes, uint64_t *driver_bytes, uint64_t *device_bytes);
    /* Whether a chain is there; a driver that claims the impossible fails the device. */
    bool (*is_available)(struct virtqueue *queue);
    /* Takes the chain that is_available saw: adds its buffers to the element. False: the device has failed. */
    bool (*pop)(struct virtqueue *queue, struct virtqueue_element *element);
    void (*push)(struct virtqueue *queue, const struct virtqueue_element *element, uint32_t written_bytes);
    /* After a fence: whether the driver wants an interrupt for the last queue->pushed positions. */
    bool (*wants_interrupt)(struct virtqueue *queue);
    /* Asks the driver to notify from now on, or says that it needn't (a hint). */
    void (*arm)(struct virtqueue *queue);
    void (*disarm)(struct virtqueue *queue);
};

extern const struct vring_ops vring_split_ops;
extern const struct vring_ops vring_packed_ops;

/* Adds one buffer to an element under construction. False: the device has failed, and the reason was told. */
bool virtqueue_element_add(struct virtqueue *queue, struct virtqueue_element *element, uint64_t gpa, uint32_t len_bytes,
                           bool writable);
/*
 * Copies the indirect table that a descriptor names to queue->table, once. Number of entries, 1 to
 * VIRTQUEUE_SEGMENTS_MAX; 0: the device has failed.
 */
unsigned virtqueue_table_copy(struct virtqueue *queue, uint64_t gpa, uint32_t len_bytes);

/* Life, by the core (virtio.c). */
int virtqueue_pool_create(struct virtqueue *queue);
void virtqueue_pool_destroy(struct virtqueue *queue);
/* Maps the rings that the registers name. False: they are no rings. */
bool virtqueue_map(struct virtqueue *queue);
/* As before the driver touched it. No element is in flight. */
void virtqueue_reset(struct virtqueue *queue);
/* An element is gone: it may have been the last that a reset waits for. */
void virtio_element_completed(struct virtio_device *virtio);

static inline uint16_t vring_load16(void *host, size_t offset)
{
    return atomic_load_explicit((_Atomic uint16_t *)((char *)host + offset), memory_order_relaxed);
}

static inline uint16_t vring_load16_acquire(void *host, size_t offset)
{
    return atomic_load_explicit((_Atomic uint16_t *)((char *)host + offset), memory_order_acquire);
}

static inline void vring_store16(void *host, size_t offset, uint16_t value)
{
    atomic_store_explicit((_Atomic uint16_t *)((char *)host + offset), value, memory_order_relaxed);
}

static inline void vring_store16_release(void *host, size_t offset, uint16_t value)
{
    atomic_store_explicit((_Atomic uint16_t *)((char *)host + offset), value, memory_order_release);
}

static inline uint64_t vring_load64(void *host, size_t offset)
{
    return atomic_load_explicit((_Atomic uint64_t *)((char *)host + offset), memory_order_relaxed);
}

static inline uint64_t vring_load64_acquire(void *host, size_t offset)
{
    return atomic_load_explicit((_Atomic uint64_t *)((char *)host + offset), memory_order_acquire);
}

static inline void vring_store64(void *host, size_t offset, uint64_t value)
{
    atomic_store_explicit((_Atomic uint64_t *)((char *)host + offset), value, memory_order_relaxed);
}

static inline void vring_store64_release(void *host, size_t offset, uint64_t value)
{
    atomic_store_explicit((_Atomic uint64_t *)((char *)host + offset), value, memory_order_release);
}

/* A full barrier. gcc's ThreadSanitizer has no fences; a read-modify-write is one on this architecture. */
static inline void vring_fence(void)
{
#ifdef HDL_TSAN
    _Atomic int dummy = 0;

    atomic_fetch_add_explicit(&dummy, 1, memory_order_seq_cst);
#else
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

/*
 * Event index rule of both rings (virtio 1.2, 2.7.10.1): whether position `event` is among the `count` positions that
 * end before `next`. All count modulo 2^16.
 */
static inline bool vring_event_passed(uint16_t event, uint16_t next, uint32_t count)
{
    return count > UINT16_MAX || (uint16_t)(next - event - 1) < (uint16_t)count;
}

#endif
