/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packed virtqueues (virtio 1.2, 2.8): one ring of descriptors {u64 addr, u32 len, u16 id, u16 flags} that driver and
 * device both write, and two event suppression areas {u16 position and wrap counter, u16 flags}.
 *
 * A descriptor is available when its AVAIL bit equals the device's wrap counter and its USED bit doesn't. The second
 * half of a descriptor (len, id, flags) is read, and written, as one 64-bit word.
 *
 * The device walks the ring by its own positions: chains are consecutive descriptors, so they can't loop, and never
 * more than one ring's worth is between what was popped and what was used, whatever the guest's flags say.
 */
#include "hw/virtio/vring.h"

enum { PACKED_AVAIL = 1u << 7, PACKED_USED = 1u << 15 };
enum { EVENT_POSITION = 0, EVENT_FLAGS = 2, EVENT_ENABLE = 0, EVENT_DISABLE = 1, EVENT_DESC = 2 };

/* The second half of a descriptor, taken apart. */
struct packed_word {
    uint32_t len_bytes;
    uint16_t id, flags;
};

static struct packed_word packed_word_from(uint64_t word)
{
    return (struct packed_word){
        .len_bytes = (uint32_t)word, .id = (uint16_t)(word >> 32), .flags = (uint16_t)(word >> 48)};
}

static bool packed_layout(const struct virtqueue *queue, uint64_t *desc_bytes, uint64_t *driver_bytes,
                          uint64_t *device_bytes)
{
    *desc_bytes = 16 * (uint64_t)queue->size;
    *driver_bytes = 4;
    *device_bytes = 4;
    return queue->size > 0 && queue->desc_gpa % 16 == 0 && queue->driver_gpa % 4 == 0 && queue->device_gpa % 4 == 0;
}

static bool packed_is_available(struct virtqueue *queue)
{
    /* Acquire: pairs with the driver's barrier before it writes the first descriptor's flags, which it does last. */
    uint64_t word = vring_load64_acquire(queue->desc_map.host, 16 * (size_t)queue->avail_index + 8);
    uint16_t flags = packed_word_from(word).flags;

    return (bool)(flags & PACKED_AVAIL) == queue->avail_wrap && (bool)(flags & PACKED_USED) != queue->avail_wrap;
}

/* Buffers follow one another in an indirect table of a packed ring; only WRITE means something (2.8.8). */
static bool packed_walk_table(struct virtqueue *queue, struct virtqueue_element *element, uint64_t address,
                              uint32_t len_bytes)
{
    unsigned count = virtqueue_table_copy(queue, address, len_bytes);

    for (unsigned i = 0; i < count; i++) {
        const struct vring_desc *entry = &queue->table[i];
        /* The packed layout has the id where the split one has flags, and flags where that has next. */
        uint16_t flags = entry->next;

        if (flags & VRING_DESC_INDIRECT) {
            virtio_fail(queue->virtio, "queue %u: indirect table inside an indirect table", queue->index);
            return false;
        }
        if (!virtqueue_element_add(queue, element, entry->address, entry->len_bytes, flags & VRING_DESC_WRITE)) {
            return false;
        }
    }
    return count > 0;
}

/* One descriptor of the ring. *more: the chain goes on. */
static bool packed_walk_one(struct virtqueue *queue, struct virtqueue_element *element, unsigned index, bool *more)
{
    size_t offset = 16 * (size_t)index;
    /* Relaxed: ordered by the acquire in packed_is_available, as the driver makes a chain's first one available last.
     */
    struct packed_word word = packed_word_from(vring_load64(queue->desc_map.host, offset + 8));
    uint64_t address = vring_load64(queue->desc_map.host, offset);

    *more = word.flags & VRING_DESC_NEXT;
    element->id = word.id;
    if (!(word.flags & VRING_DESC_INDIRECT)) {
        return virtqueue_element_add(queue, element, address, word.len_bytes, word.flags & VRING_DESC_WRITE);
    }
    if (!queue->indirect || *more) {
        virtio_fail(queue->virtio, "queue %u: indirect descriptor %s", queue->index,
                    queue->indirect ? "with a next one" : "without the feature");
        return false;
    }
    return packed_walk_table(queue, element, address, word.len_bytes);
}

static void packed_advance(const struct virtqueue *queue, uint16_t *index, bool *wrap, unsigned count)
{
    unsigned next = *index + count;

    if (next >= queue->size) {
        next -= queue->size;
        *wrap = !*wrap;
    }
    *index = (uint16_t)next;
}

static bool packed_pop(struct virtqueue *queue, struct virtqueue_element *element)
{
    unsigned room = queue->size - queue->slots_in_use;
    unsigned index = queue->avail_index;
    unsigned count = 0;
    bool more = true;

    while (more) {
        if (count == room) {
            virtio_fail(queue->virtio, "queue %u: descriptors %u to %u are available before they were used",
                        queue->index, queue->avail_index, index);
            return false;
        }
        if (!packed_walk_one(queue, element, index, &more)) {
            return false;
        }
        count++;
        index = index + 1u == queue->size ? 0 : index + 1;
    }
    element->descriptor_count = (uint16_t)count;
    queue->slots_in_use = (uint16_t)(queue->slots_in_use + count);
    packed_advance(queue, &queue->avail_index, &queue->avail_wrap, count);
    return true;
}

static void packed_push(struct virtqueue *queue, const struct virtqueue_element *element, uint32_t written_bytes)
{
    uint16_t flags =
        (uint16_t)((queue->used_wrap ? PACKED_AVAIL | PACKED_USED : 0) | (written_bytes ? VRING_DESC_WRITE : 0));
    uint64_t word = written_bytes | (uint64_t)element->id << 32 | (uint64_t)flags << 48;

    /* Release: pairs with the driver's barrier between reading flags and reading the rest and the data. */
    vring_store64_release(queue->desc_map.host, 16 * (size_t)queue->used_index + 8, word);
    packed_advance(queue, &queue->used_index, &queue->used_wrap, element->descriptor_count);
    queue->slots_in_use = (uint16_t)(queue->slots_in_use - element->descriptor_count);
    queue->pushed += element->descriptor_count;
}

/* Whether a position of the driver's is among the last queue->pushed ones: distances back from used_index. */
static bool packed_position_passed(const struct virtqueue *queue, uint16_t position_and_wrap)
{
    unsigned position = position_and_wrap & 0x7fff;
    bool wrap = position_and_wrap >> 15;
    unsigned next = queue->used_index + (wrap == queue->used_wrap ? 0u : queue->size);

    return queue->pushed >= queue->size || (position < next && next - position <= queue->pushed);
}

static bool packed_wants_interrupt(struct virtqueue *queue)
{
    uint16_t flags = vring_load16_acquire(queue->driver_map.host, EVENT_FLAGS) & 3;

    if (flags == EVENT_DESC && queue->event_idx) {
        return packed_position_passed(queue, vring_load16(queue->driver_map.host, EVENT_POSITION));
    }
    return flags != EVENT_DISABLE;
}

static void packed_arm(struct virtqueue *queue)
{
    vring_store16(queue->device_map.host, EVENT_FLAGS, EVENT_ENABLE);
}

static void packed_disarm(struct virtqueue *queue)
{
    vring_store16(queue->device_map.host, EVENT_FLAGS, EVENT_DISABLE);
}

const struct vring_ops vring_packed_ops = {
    .layout = packed_layout,
    .is_available = packed_is_available,
    .pop = packed_pop,
    .push = packed_push,
    .wants_interrupt = packed_wants_interrupt,
    .arm = packed_arm,
    .disarm = packed_disarm,
};
