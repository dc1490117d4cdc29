/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Split virtqueues (virtio 1.2, 2.7): a table of descriptors, a ring of chains that the driver made available, a ring
 * of chains that the device used.
 *
 *   avail (driver):  u16 flags, u16 idx, u16 ring[size], u16 used_event
 *   used (device):   u16 flags, u16 idx, {u32 id, u32 len} ring[size], u16 avail_event
 *
 * Used fields are only ever written, never read back: what the guest writes there harms only itself. A chain may have
 * at most as many descriptors as the table it is in, which ends loops.
 */
#include "hw/virtio/vring.h"

enum { AVAIL_FLAGS = 0, AVAIL_IDX = 2, AVAIL_RING = 4, AVAIL_NO_INTERRUPT = 1 };
enum { USED_FLAGS = 0, USED_IDX = 2, USED_RING = 4, USED_ENTRY_SIZE = 8, USED_NO_NOTIFY = 1 };

static bool split_layout(const struct virtqueue *queue, uint64_t *desc_bytes, uint64_t *driver_bytes,
                         uint64_t *device_bytes)
{
    unsigned event_bytes = queue->event_idx ? 2 : 0;
    unsigned size = queue->size;

    *desc_bytes = 16 * (uint64_t)size;
    *driver_bytes = AVAIL_RING + 2 * (uint64_t)size + event_bytes;
    *device_bytes = USED_RING + USED_ENTRY_SIZE * (uint64_t)size + event_bytes;
    return size > 0 && (size & (size - 1)) == 0 && queue->desc_gpa % 16 == 0 && queue->driver_gpa % 2 == 0 &&
           queue->device_gpa % 4 == 0;
}

static size_t split_used_event(const struct virtqueue *queue)
{
    return AVAIL_RING + 2 * (size_t)queue->size;
}

static size_t split_avail_event(const struct virtqueue *queue)
{
    return USED_RING + USED_ENTRY_SIZE * (size_t)queue->size;
}

static bool split_is_available(struct virtqueue *queue)
{
    /* Acquire: pairs with the driver's barrier between filling the ring and moving idx. */
    uint16_t index = vring_load16_acquire(queue->driver_map.host, AVAIL_IDX);
    uint16_t count = (uint16_t)(index - queue->avail_index);

    if (count > queue->size) {
        virtio_fail(queue->virtio, "queue %u: avail index %u jumps %u entries of %u", queue->index, index, count,
                    queue->size);
        return false;
    }
    return count > 0;
}

/* The one look at a descriptor of the ring's own table: two loads into a copy. */
static struct vring_desc split_desc_copy(const struct virtqueue *queue, unsigned index)
{
    size_t offset = 16 * (size_t)index;
    uint64_t second = vring_load64(queue->desc_map.host, offset + 8);

    return (struct vring_desc){
        .address = vring_load64(queue->desc_map.host, offset),
        .len_bytes = (uint32_t)second,
        .flags = (uint16_t)(second >> 32),
        .next = (uint16_t)(second >> 48),
    };
}

/* Follows a chain inside an indirect table, of which queue->table is the copy. */
static bool split_walk_table(struct virtqueue *queue, struct virtqueue_element *element, const struct vring_desc *desc)
{
    unsigned count = virtqueue_table_copy(queue, desc->address, desc->len_bytes);
    unsigned index = 0;

    for (unsigned left = count; left > 0; left--) {
        const struct vring_desc *entry = &queue->table[index];

        if (entry->flags & VRING_DESC_INDIRECT) {
            virtio_fail(queue->virtio, "queue %u: indirect table inside an indirect table", queue->index);
            return false;
        }
        if (!virtqueue_element_add(queue, element, entry->address, entry->len_bytes, entry->flags & VRING_DESC_WRITE)) {
            return false;
        }
        if (!(entry->flags & VRING_DESC_NEXT)) {
            return true;
        }
        index = entry->next;
        if (index >= count) {
            virtio_fail(queue->virtio, "queue %u: indirect descriptor %u of %u", queue->index, index, count);
            return false;
        }
    }
    if (count > 0) {
        virtio_fail(queue->virtio, "queue %u: indirect table loops", queue->index);
    }
    return false;
}

static bool split_desc_is_indirect(struct virtqueue *queue, const struct vring_desc *desc, bool *valid)
{
    *valid = true;
    if (!(desc->flags & VRING_DESC_INDIRECT)) {
        return false;
    }
    if (!queue->indirect || (desc->flags & VRING_DESC_NEXT)) {
        virtio_fail(queue->virtio, "queue %u: indirect descriptor %s", queue->index,
                    queue->indirect ? "with a next one" : "without the feature");
        *valid = false;
    }
    return true;
}

static bool split_walk(struct virtqueue *queue, struct virtqueue_element *element, unsigned index)
{
    for (unsigned left = queue->size; left > 0; left--) {
        struct vring_desc desc;
        bool valid;

        if (index >= queue->size) {
            virtio_fail(queue->virtio, "queue %u: descriptor %u of %u", queue->index, index, queue->size);
            return false;
        }
        desc = split_desc_copy(queue, index);
        if (split_desc_is_indirect(queue, &desc, &valid)) {
            return valid && split_walk_table(queue, element, &desc);
        }
        if (!virtqueue_element_add(queue, element, desc.address, desc.len_bytes, desc.flags & VRING_DESC_WRITE)) {
            return false;
        }
        if (!(desc.flags & VRING_DESC_NEXT)) {
            return true;
        }
        index = desc.next;
    }
    virtio_fail(queue->virtio, "queue %u: descriptor chain loops", queue->index);
    return false;
}

static bool split_pop(struct virtqueue *queue, struct virtqueue_element *element)
{
    size_t slot = queue->avail_index & (queue->size - 1u);
    /* Relaxed: ordered by the acquire in split_is_available. */
    uint16_t head = vring_load16(queue->driver_map.host, AVAIL_RING + 2 * slot);

    element->id = head;
    if (!split_walk(queue, element, head)) {
        return false;
    }
    queue->avail_index++;
    return true;
}

static void split_push(struct virtqueue *queue, const struct virtqueue_element *element, uint32_t written_bytes)
{
    size_t slot = queue->used_index & (queue->size - 1u);
    char *host = (char *)queue->device_map.host + USED_RING + USED_ENTRY_SIZE * slot;

    /* Two words: the ring is aligned to 4 bytes only. */
    atomic_store_explicit((_Atomic uint32_t *)host, element->id, memory_order_relaxed);
    atomic_store_explicit((_Atomic uint32_t *)(host + 4), written_bytes, memory_order_relaxed);
    queue->used_index++;
    queue->pushed++;
    /* Release: pairs with the driver's barrier between reading idx and reading the entry and the data. */
    vring_store16_release(queue->device_map.host, USED_IDX, queue->used_index);
}

static bool split_wants_interrupt(struct virtqueue *queue)
{
    if (queue->event_idx) {
        uint16_t event = vring_load16(queue->driver_map.host, split_used_event(queue));

        return vring_event_passed(event, queue->used_index, queue->pushed);
    }
    return !(vring_load16(queue->driver_map.host, AVAIL_FLAGS) & AVAIL_NO_INTERRUPT);
}

static void split_arm(struct virtqueue *queue)
{
    if (queue->event_idx) {
        vring_store16(queue->device_map.host, split_avail_event(queue), queue->avail_index);
    } else {
        vring_store16(queue->device_map.host, USED_FLAGS, 0);
    }
}

/* With event indices, an index that the driver has passed is as good as a flag. */
static void split_disarm(struct virtqueue *queue)
{
    if (!queue->event_idx) {
        vring_store16(queue->device_map.host, USED_FLAGS, USED_NO_NOTIFY);
    }
}

const struct vring_ops vring_split_ops = {
    .layout = split_layout,
    .is_available = split_is_available,
    .pop = split_pop,
    .push = split_push,
    .wants_interrupt = split_wants_interrupt,
    .arm = split_arm,
    .disarm = split_disarm,
};
