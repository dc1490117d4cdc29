/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What split and packed queues have in common: elements and their pool, the mapping of buffers, when the driver is to
 * notify and when it is interrupted. Not the rings themselves (vring_split.c, vring_packed.c), not when a model runs
 * (virtio.c). Device lock throughout.
 *
 * Notifications. While a model works through a queue the driver needn't notify. Each time that pop or is_empty is about
 * to say "empty" it first asks for notifications, then looks again: a chain that comes in between is either seen by
 * that look or notified. So a model that was told "empty" is called again, and one that stopped earlier pops later of
 * its own accord.
 *
 * A hostile driver can make at most queue->size elements be in flight, each of at most VIRTQUEUE_SEGMENTS_MAX segments
 * and 2^32 bytes; what it does to a ring after a descriptor was copied has no effect on the element.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "hw/virtio/vring.h"
#include "memory/guest_copy.h"

/* --- the pool --------------------------------------------------------------------------------------------------- */

/* An element is the model's request, its iovecs, its mappings; untouched until it is first used. */
int virtqueue_pool_create(struct virtqueue *queue)
{
    size_t request = ALIGN_UP(queue->request_bytes, 16);

    queue->stride_bytes = request + queue->segments * (sizeof(struct iovec) + sizeof(struct dma_mapping));
    queue->stride_bytes = ALIGN_UP(queue->stride_bytes, HDL_CACHE_LINE);
    queue->pool = calloc(queue->size_max, queue->stride_bytes);
    queue->free = calloc(queue->size_max, sizeof(*queue->free));
    queue->table = calloc(VIRTQUEUE_SEGMENTS_MAX, sizeof(*queue->table));
    if (!queue->pool || !queue->free || !queue->table) {
        virtqueue_pool_destroy(queue);
        return -ENOMEM;
    }
    for (unsigned i = 0; i < queue->size_max; i++) {
        queue->free[i] = (uint16_t)(queue->size_max - 1 - i);
    }
    queue->free_count = queue->size_max;
    return 0;
}

void virtqueue_pool_destroy(struct virtqueue *queue)
{
    assert(queue->in_flight == 0);
    free(queue->pool);
    free(queue->free);
    free(queue->table);
    queue->pool = NULL;
    queue->free = NULL;
    queue->table = NULL;
}

static struct virtqueue_element *virtqueue_element_take(struct virtqueue *queue)
{
    uint16_t index = queue->free[--queue->free_count];
    uint8_t *base = queue->pool + index * queue->stride_bytes;
    struct virtqueue_element *element = (struct virtqueue_element *)base;
    uint8_t *segments = base + ALIGN_UP(queue->request_bytes, 16);

    assert(!element->in_use);
    *element = (struct virtqueue_element){
        .queue = queue,
        .in_use = true,
        .pool_index = index,
        .iov = (struct iovec *)segments,
        .mappings = (struct dma_mapping *)(segments + queue->segments * sizeof(struct iovec)),
    };
    return element;
}

/* Unmaps what it holds; the model has it no more. */
static void virtqueue_element_give(struct virtqueue_element *element)
{
    struct virtqueue *queue = element->queue;

    for (unsigned i = 0; i < element->out_count + element->in_count; i++) {
        dma_unmap(&element->mappings[i], i < element->out_count ? 0 : element->iov[i].iov_len);
    }
    free(element->overflow);
    element->overflow = NULL;
    element->in_use = false;
    queue->free[queue->free_count++] = element->pool_index;
}

/* --- building an element ---------------------------------------------------------------------------------------- */

/* More segments than the pool has: the full number, allocated. Only long chains come here. */
static bool virtqueue_element_grow(struct virtqueue *queue, struct virtqueue_element *element)
{
    unsigned count = element->out_count + element->in_count;
    struct dma_mapping *mappings;
    struct iovec *iov;

    if (element->overflow || queue->segments >= VIRTQUEUE_SEGMENTS_MAX) {
        virtio_fail(queue->virtio, "queue %u: more than %d segments in a chain", queue->index, VIRTQUEUE_SEGMENTS_MAX);
        return false;
    }
    mappings = malloc(VIRTQUEUE_SEGMENTS_MAX * (sizeof(*mappings) + sizeof(*iov)));
    if (!mappings) {
        virtio_fail(queue->virtio, "queue %u: out of memory", queue->index);
        return false;
    }
    iov = (struct iovec *)(mappings + VIRTQUEUE_SEGMENTS_MAX);
    memcpy(mappings, element->mappings, count * sizeof(*mappings));
    memcpy(iov, element->iov, count * sizeof(*iov));
    element->overflow = mappings;
    element->mappings = mappings;
    element->iov = iov;
    return true;
}

static bool virtqueue_element_check(struct virtqueue *queue, const struct virtqueue_element *element,
                                    uint32_t len_bytes, bool writable)
{
    const char *fault = NULL;

    if (len_bytes == 0) {
        fault = "a buffer of no bytes";
    } else if (!writable && element->in_count > 0) {
        fault = "a readable buffer behind a writable one";
    } else if (element->out_bytes + element->in_bytes + len_bytes > UINT64_C(1) << 32) {
        fault = "a chain of more than 4 GiB";
    }
    if (fault) {
        virtio_fail(queue->virtio, "queue %u: %s", queue->index, fault);
    }
    return !fault;
}

/* Maps [gpa, gpa + len): one segment, or more where it crosses from one range of RAM to the next. */
bool virtqueue_element_add(struct virtqueue *queue, struct virtqueue_element *element, uint64_t gpa, uint32_t len_bytes,
                           bool writable)
{
    struct address_space *space = queue->virtio->device->dma_space;
    enum dma_direction direction = writable ? DMA_TO_GUEST : DMA_FROM_GUEST;
    uint64_t left = len_bytes;

    if (!virtqueue_element_check(queue, element, len_bytes, writable)) {
        return false;
    }
    while (left > 0) {
        unsigned index = element->out_count + element->in_count;
        unsigned capacity = element->overflow ? VIRTQUEUE_SEGMENTS_MAX : queue->segments;
        struct dma_mapping mapping;

        if (index >= capacity && !virtqueue_element_grow(queue, element)) {
            return false;
        }
        if (dma_map(space, gpa, left, direction, &mapping) != ACCESS_OK) {
            virtio_fail(queue->virtio, "queue %u: no %s RAM at %#llx", queue->index, writable ? "writable" : "readable",
                        (unsigned long long)gpa);
            return false;
        }
        element->mappings[index] = mapping;
        element->iov[index] = (struct iovec){.iov_base = mapping.host, .iov_len = mapping.len_bytes};
        element->out_count += !writable;
        element->in_count += writable;
        *(writable ? &element->in_bytes : &element->out_bytes) += mapping.len_bytes;
        gpa += mapping.len_bytes;
        left -= mapping.len_bytes;
    }
    return true;
}

unsigned virtqueue_table_copy(struct virtqueue *queue, uint64_t gpa, uint32_t len_bytes)
{
    if (len_bytes == 0 || len_bytes % sizeof(struct vring_desc) != 0 ||
        len_bytes > VIRTQUEUE_SEGMENTS_MAX * sizeof(struct vring_desc)) {
        virtio_fail(queue->virtio, "queue %u: indirect table of %u bytes", queue->index, len_bytes);
        return 0;
    }
    if (dma_read(queue->virtio->device->dma_space, gpa, queue->table, len_bytes) != ACCESS_OK) {
        virtio_fail(queue->virtio, "queue %u: indirect table at %#llx isn't in RAM", queue->index,
                    (unsigned long long)gpa);
        return 0;
    }
    return len_bytes / (unsigned)sizeof(struct vring_desc);
}

/* --- popping and pushing ---------------------------------------------------------------------------------------- */

static bool virtqueue_is_usable(const struct virtqueue *queue)
{
    return queue->enabled && queue->virtio->dma_allowed && virtio_is_running(queue->virtio);
}

bool virtqueue_is_empty(struct virtqueue *queue)
{
    device_assert_locked(queue->virtio->device);
    if (!virtqueue_is_usable(queue)) {
        return true;
    }
    if (queue->in_handler && queue->budget == 0) {
        queue->over_budget = true;
        return true;
    }
    if (queue->ops->is_available(queue)) {
        return false;
    }
    if (!virtqueue_is_usable(queue)) {
        return true;
    }
    queue->ops->arm(queue);
    queue->armed = true;
    /* Pairs with the driver's barrier between making a chain available and looking whether to notify. */
    vring_fence();
    return !queue->ops->is_available(queue);
}

struct virtqueue_element *virtqueue_pop(struct virtqueue *queue)
{
    struct virtqueue_element *element;

    if (virtqueue_is_empty(queue)) {
        return NULL;
    }
    if (queue->in_flight >= queue->size) {
        virtio_fail(queue->virtio, "queue %u: more than %u requests at a time", queue->index, queue->size);
        return NULL;
    }
    element = virtqueue_element_take(queue);
    if (!queue->ops->pop(queue, element)) {
        virtqueue_element_give(element);
        return NULL;
    }
    element->out = element->iov;
    element->in = element->iov + element->out_count;
    queue->in_flight++;
    queue->virtio->in_flight++;
    queue->budget -= queue->in_handler;
    return element;
}

static void virtqueue_complete(struct virtqueue_element *element)
{
    struct virtqueue *queue = element->queue;

    virtqueue_element_give(element);
    queue->in_flight--;
    virtio_element_completed(queue->virtio);
}

void virtqueue_push(struct virtqueue_element *element, uint32_t written_bytes)
{
    struct virtqueue *queue = element->queue;

    device_assert_locked(queue->virtio->device);
    assert(element->in_use);
    /* A failed device's rings aren't to be touched; the driver finds out by its status. */
    if (virtqueue_is_usable(queue)) {
        queue->ops->push(queue, element, (uint32_t)MIN((uint64_t)written_bytes, element->in_bytes));
    }
    virtqueue_complete(element);
}

void virtqueue_drop(struct virtqueue_element *element)
{
    device_assert_locked(element->queue->virtio->device);
    assert(element->in_use);
    virtqueue_complete(element);
}

void virtqueue_notify(struct virtqueue *queue)
{
    struct virtio_device *virtio = queue->virtio;

    device_assert_locked(virtio->device);
    if (queue->pushed == 0 || !virtqueue_is_usable(queue)) {
        return;
    }
    /* Pairs with the driver's barrier between asking for interrupts and looking at the used ring once more. */
    vring_fence();
    if (queue->ops->wants_interrupt(queue)) {
        virtio->transport->notify(virtio, queue);
    }
    queue->pushed = 0;
}

/* --- the rings' memory ------------------------------------------------------------------------------------------ */

/* A part of the ring as one piece of RAM, with the alignment that the guest's address has. */
static bool virtqueue_map_part(struct virtqueue *queue, uint64_t gpa, uint64_t len_bytes, enum dma_direction direction,
                               struct dma_mapping *mapping)
{
    if (dma_map(queue->virtio->device->dma_space, gpa, len_bytes, direction, mapping) != ACCESS_OK) {
        return false;
    }
    return mapping->len_bytes == len_bytes && (((uintptr_t)mapping->host ^ gpa) & 15) == 0;
}

static void virtqueue_unmap(struct virtqueue *queue)
{
    dma_unmap(&queue->desc_map, queue->desc_map.len_bytes);
    dma_unmap(&queue->driver_map, 0);
    dma_unmap(&queue->device_map, queue->device_map.len_bytes);
}

bool virtqueue_map(struct virtqueue *queue)
{
    bool packed = virtio_has_feature(queue->virtio, VIRTIO_F_RING_PACKED);
    const struct vring_ops *ops = packed ? &vring_packed_ops : &vring_split_ops;
    uint64_t desc_bytes;
    uint64_t driver_bytes;
    uint64_t device_bytes;

    queue->event_idx = virtio_has_feature(queue->virtio, VIRTIO_F_EVENT_IDX);
    queue->indirect = virtio_has_feature(queue->virtio, VIRTIO_F_INDIRECT_DESC);
    if (!ops->layout(queue, &desc_bytes, &driver_bytes, &device_bytes)) {
        return false;
    }
    /* A packed ring's descriptors are written by the device, a split one's only read. */
    if (!virtqueue_map_part(queue, queue->desc_gpa, desc_bytes, packed ? DMA_TO_GUEST : DMA_FROM_GUEST,
                            &queue->desc_map) ||
        !virtqueue_map_part(queue, queue->driver_gpa, driver_bytes, DMA_FROM_GUEST, &queue->driver_map) ||
        !virtqueue_map_part(queue, queue->device_gpa, device_bytes, DMA_TO_GUEST, &queue->device_map)) {
        virtqueue_unmap(queue);
        return false;
    }
    queue->ops = ops;
    queue->avail_wrap = true;
    queue->used_wrap = true;
    queue->armed = true;
    return true;
}

void virtqueue_reset(struct virtqueue *queue)
{
    assert(queue->in_flight == 0);
    virtqueue_unmap(queue);
    queue->size = (uint16_t)queue->size_max;
    queue->vector = VIRTIO_NO_VECTOR;
    queue->enabled = false;
    queue->desc_gpa = 0;
    queue->driver_gpa = 0;
    queue->device_gpa = 0;
    queue->ops = NULL;
    queue->avail_index = 0;
    queue->used_index = 0;
    queue->slots_in_use = 0;
    queue->pushed = 0;
}

/* --- buffers ---------------------------------------------------------------------------------------------------- */

/*
 * Copies between a buffer and [offset, ...) of iovecs, which the guest may change meanwhile. to_guest: buffer is the
 * source.
 */
static size_t virtqueue_copy(const struct iovec *iov, unsigned count, uint64_t offset, void *buffer, size_t len_bytes,
                             bool to_guest)
{
    size_t done = 0;

    for (unsigned i = 0; i < count && done < len_bytes; i++) {
        size_t part;
        uint8_t *host;

        if (offset >= iov[i].iov_len) {
            offset -= iov[i].iov_len;
            continue;
        }
        part = MIN(iov[i].iov_len - (size_t)offset, len_bytes - done);
        host = (uint8_t *)iov[i].iov_base + offset;
        if (to_guest) {
            guest_copy_to(host, (uint8_t *)buffer + done, part);
        } else {
            guest_copy_from((uint8_t *)buffer + done, host, part);
        }
        done += part;
        offset = 0;
    }
    return done;
}

size_t virtqueue_element_read(const struct virtqueue_element *element, uint64_t offset, void *buffer, size_t len_bytes)
{
    return virtqueue_copy(element->out, element->out_count, offset, buffer, len_bytes, false);
}

size_t virtqueue_element_write(const struct virtqueue_element *element, uint64_t offset, const void *buffer,
                               size_t len_bytes)
{
    return virtqueue_copy(element->in, element->in_count, offset, (void *)(uintptr_t)buffer, len_bytes, true);
}

int virtqueue_iov_slice(const struct iovec *from, unsigned from_count, uint64_t offset, uint64_t len_bytes,
                        struct iovec *to, unsigned room)
{
    unsigned used = 0;

    for (unsigned i = 0; i < from_count && len_bytes > 0; i++) {
        uint64_t part;

        if (offset >= from[i].iov_len) {
            offset -= from[i].iov_len;
            continue;
        }
        if (used == room) {
            return -E2BIG;
        }
        part = MIN(from[i].iov_len - offset, len_bytes);
        to[used++] = (struct iovec){.iov_base = (char *)from[i].iov_base + offset, .iov_len = (size_t)part};
        len_bytes -= part;
        offset = 0;
    }
    return len_bytes == 0 ? (int)used : -EINVAL;
}
