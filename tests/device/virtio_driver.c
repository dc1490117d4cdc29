/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The driver of virtio_driver.h. */
#include "virtio_driver.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4, PACKED_AVAIL = 1 << 7, PACKED_USED = 1 << 15 };

/* --- registers -------------------------------------------------------------------------------------------------- */

static uint64_t driver_bar(const struct virtio_driver *driver, unsigned bar)
{
    uint32_t low = machine_config_read(driver->machine, driver->devfn, PCI_BAR0 + 4 * bar, 4);
    uint64_t high = (low & 6) == 4 ? machine_config_read(driver->machine, driver->devfn, PCI_BAR0 + 4 * bar + 4, 4) : 0;

    return (low & ~15u) | high << 32;
}

static void driver_capability(struct virtio_driver *driver, unsigned cap)
{
    struct pci_machine *machine = driver->machine;
    unsigned type = machine_config_read(machine, driver->devfn, cap + 3, 1);
    unsigned bar = machine_config_read(machine, driver->devfn, cap + 4, 1);
    uint64_t gpa = driver_bar(driver, bar) + machine_config_read(machine, driver->devfn, cap + 8, 4);

    switch (type) {
    case 1:
        driver->common = gpa;
        break;
    case 2:
        driver->notify = gpa;
        driver->notify_multiplier = machine_config_read(machine, driver->devfn, cap + 16, 4);
        break;
    case 3:
        driver->isr = gpa;
        break;
    case 4:
        driver->config = gpa;
        break;
    default:
        break;
    }
}

void virtio_driver_open(struct virtio_driver *driver, struct pci_machine *machine, unsigned devfn)
{
    unsigned cap = 0;

    memset(driver, 0, sizeof(*driver));
    driver->machine = machine;
    driver->devfn = devfn;
    assert_int_equal(machine_config_read(machine, devfn, PCI_VENDOR, 2), 0x1af4);
    while ((cap = machine_capability(machine, devfn, PCI_CAPABILITY_VENDOR, cap))) {
        driver_capability(driver, cap);
    }
    cap = machine_capability(machine, devfn, PCI_CAPABILITY_MSIX, 0);
    if (cap) {
        driver->msix = driver_bar(driver, machine_config_read(machine, devfn, cap + MSIX_TABLE, 4) & 7);
    }
    assert_true(driver->common && driver->notify && driver->isr);
}

static uint64_t common_read(struct virtio_driver *driver, unsigned offset, unsigned size_bytes)
{
    return machine_read(driver->machine, driver->common + offset, size_bytes);
}

static void common_write(struct virtio_driver *driver, unsigned offset, unsigned size_bytes, uint64_t value)
{
    machine_write(driver->machine, driver->common + offset, size_bytes, value);
}

uint8_t virtio_driver_status(struct virtio_driver *driver)
{
    return (uint8_t)common_read(driver, 0x14, 1);
}

void virtio_driver_reset(struct virtio_driver *driver)
{
    common_write(driver, 0x14, 1, 0);
}

static void driver_status_add(struct virtio_driver *driver, uint8_t bits)
{
    common_write(driver, 0x14, 1, virtio_driver_status(driver) | bits);
}

uint64_t virtio_driver_offered(struct virtio_driver *driver)
{
    uint64_t features;

    common_write(driver, 0x00, 4, 0);
    features = common_read(driver, 0x04, 4);
    common_write(driver, 0x00, 4, 1);
    return features | common_read(driver, 0x04, 4) << 32;
}

uint8_t virtio_driver_negotiate(struct virtio_driver *driver, uint64_t wanted)
{
    virtio_driver_reset(driver);
    assert_int_equal(virtio_driver_status(driver), 0);
    driver_status_add(driver, VIRTIO_STATUS_ACKNOWLEDGE);
    driver_status_add(driver, VIRTIO_STATUS_DRIVER);
    driver->features = (virtio_driver_offered(driver) & wanted) | VIRTIO_F_VERSION_1;
    common_write(driver, 0x08, 4, 0);
    common_write(driver, 0x0c, 4, (uint32_t)driver->features);
    common_write(driver, 0x08, 4, 1);
    common_write(driver, 0x0c, 4, driver->features >> 32);
    driver_status_add(driver, VIRTIO_STATUS_FEATURES_OK);
    return virtio_driver_status(driver);
}

void virtio_driver_enable_msix(struct virtio_driver *driver, unsigned vectors)
{
    unsigned cap = machine_capability(driver->machine, driver->devfn, PCI_CAPABILITY_MSIX, 0);

    for (unsigned i = 0; i < vectors; i++) {
        machine_write(driver->machine, driver->msix + 16 * i, 4, 0xfee00000);
        machine_write(driver->machine, driver->msix + 16 * i + 4, 4, 0);
        machine_write(driver->machine, driver->msix + 16 * i + 8, 4, 0x100 + i);
        machine_write(driver->machine, driver->msix + 16 * i + 12, 4, 0);
    }
    machine_config_write(driver->machine, driver->devfn, cap + MSIX_CONTROL, 2, MSIX_CONTROL_ENABLE);
}

void virtio_driver_ok(struct virtio_driver *driver)
{
    driver_status_add(driver, VIRTIO_STATUS_DRIVER_OK);
}

/* --- setting up a queue ----------------------------------------------------------------------------------------- */

static void driver_queue_alloc(struct driver_queue *queue)
{
    struct pci_machine *machine = queue->driver->machine;
    unsigned size = queue->size;

    queue->desc_gpa = machine_alloc(machine, 16 * size, 16);
    queue->driver_gpa = machine_alloc(machine, queue->packed ? 4 : 6 + 2 * size, 16);
    queue->device_gpa = machine_alloc(machine, queue->packed ? 4 : 6 + 8 * size, 16);
    queue->desc = machine_host(machine, queue->desc_gpa);
    queue->avail = machine_host(machine, queue->driver_gpa);
    queue->used = machine_host(machine, queue->device_gpa);
    queue->avail_wrap = true;
    queue->used_wrap = true;
    queue->free_count = size;
    queue->free_ids = size;
    for (unsigned i = 0; i < size; i++) {
        queue->free[i] = (uint16_t)(size - 1 - i);
    }
}

struct driver_queue *virtio_driver_queue(struct virtio_driver *driver, unsigned index, unsigned size, unsigned vector)
{
    struct driver_queue *queue = &driver->queues[index];

    memset(queue, 0, sizeof(*queue));
    queue->driver = driver;
    queue->index = index;
    queue->packed = driver->features & VIRTIO_F_RING_PACKED;
    queue->event_idx = driver->features & VIRTIO_F_EVENT_IDX;
    common_write(driver, 0x16, 2, index);
    queue->size = size ? size : (unsigned)common_read(driver, 0x18, 2);
    common_write(driver, 0x18, 2, queue->size);
    driver_queue_alloc(queue);
    common_write(driver, 0x1a, 2, vector);
    assert_int_equal(common_read(driver, 0x1a, 2), vector);
    common_write(driver, 0x20, 8, queue->desc_gpa);
    common_write(driver, 0x28, 4, (uint32_t)queue->driver_gpa);
    common_write(driver, 0x2c, 4, queue->driver_gpa >> 32);
    common_write(driver, 0x30, 8, queue->device_gpa);
    queue->notify_gpa = driver->notify + common_read(driver, 0x1e, 2) * driver->notify_multiplier;
    common_write(driver, 0x1c, 2, 1);
    return queue;
}

void virtio_driver_start(struct virtio_driver *driver, uint64_t wanted, unsigned queues, unsigned size)
{
    assert_true(virtio_driver_negotiate(driver, wanted) & VIRTIO_STATUS_FEATURES_OK);
    virtio_driver_enable_msix(driver, queues + 1);
    common_write(driver, 0x10, 2, 0);
    for (unsigned i = 0; i < queues; i++) {
        virtio_driver_queue(driver, i, size, i + 1);
    }
    virtio_driver_ok(driver);
}

/* --- making available ------------------------------------------------------------------------------------------- */

static uint64_t desc_word(const struct driver_queue *queue, uint32_t len_bytes, uint16_t flags, uint16_t id_or_next)
{
    uint16_t third = queue->packed ? id_or_next : flags;
    uint16_t fourth = queue->packed ? flags : id_or_next;

    return len_bytes | (uint64_t)third << 32 | (uint64_t)fourth << 48;
}

void driver_desc_set(struct driver_queue *queue, unsigned index, uint64_t gpa, uint32_t len_bytes, uint16_t flags,
                     uint16_t id_or_next)
{
    atomic_store_explicit(&queue->desc[index].address, gpa, memory_order_relaxed);
    atomic_store_explicit(&queue->desc[index].word, desc_word(queue, len_bytes, flags, id_or_next),
                          memory_order_release);
}

void driver_avail_raw(struct driver_queue *queue, uint16_t head)
{
    atomic_store_explicit(&queue->avail[2 + queue->avail_index % queue->size], head, memory_order_relaxed);
    queue->avail_index++;
    queue->added++;
    /* Release: entries before idx; pairs with the device's acquire. */
    atomic_store_explicit(&queue->avail[1], queue->avail_index, memory_order_release);
}

static uint64_t driver_table(struct driver_queue *queue, const struct driver_buffer *buffers, unsigned count)
{
    uint64_t gpa = machine_alloc(queue->driver->machine, 16 * count, 16);
    struct driver_desc *table = machine_host(queue->driver->machine, gpa);

    for (unsigned i = 0; i < count; i++) {
        uint16_t flags = buffers[i].writable ? DESC_WRITE : 0;

        if (!queue->packed && i + 1 < count) {
            flags |= DESC_NEXT;
        }
        atomic_store_explicit(&table[i].address, buffers[i].gpa, memory_order_relaxed);
        atomic_store_explicit(&table[i].word,
                              desc_word(queue, buffers[i].len_bytes, flags, queue->packed ? 0 : (uint16_t)(i + 1)),
                              memory_order_relaxed);
    }
    return gpa;
}

static int split_add(struct driver_queue *queue, const struct driver_buffer *buffers, unsigned count, uint16_t extra)
{
    uint16_t head = queue->free[queue->free_count - 1];

    for (unsigned i = 0; i < count; i++) {
        uint16_t index = queue->free[--queue->free_count];
        bool last = i + 1 == count;
        uint16_t flags = (uint16_t)((buffers[i].writable ? DESC_WRITE : 0) | (last ? 0 : DESC_NEXT) | extra);

        driver_desc_set(queue, index, buffers[i].gpa, buffers[i].len_bytes, flags,
                        last ? 0 : queue->free[queue->free_count - 1]);
    }
    queue->slots[head] = (uint16_t)count;
    driver_avail_raw(queue, head);
    return head;
}

/* The first descriptor is made available last. */
static int packed_add(struct driver_queue *queue, const struct driver_buffer *buffers, unsigned count, uint16_t extra)
{
    uint16_t id = queue->free[--queue->free_ids];
    uint16_t head = queue->avail_index;
    uint16_t head_flags = 0;

    for (unsigned i = 0; i < count; i++) {
        uint16_t flags = (uint16_t)((buffers[i].writable ? DESC_WRITE : 0) | (i + 1 < count ? DESC_NEXT : 0) | extra |
                                    (queue->avail_wrap ? PACKED_AVAIL : PACKED_USED));

        if (i == 0) {
            head_flags = flags;
        } else {
            driver_desc_set(queue, queue->avail_index, buffers[i].gpa, buffers[i].len_bytes, flags, id);
        }
        if (++queue->avail_index == queue->size) {
            queue->avail_index = 0;
            queue->avail_wrap = !queue->avail_wrap;
        }
    }
    driver_desc_set(queue, head, buffers[0].gpa, buffers[0].len_bytes, head_flags, id);
    queue->slots[id] = (uint16_t)count;
    queue->free_count -= count;
    queue->added = (uint16_t)(queue->added + count);
    return id;
}

int driver_queue_add(struct driver_queue *queue, const struct driver_buffer *buffers, unsigned count, bool indirect)
{
    struct driver_buffer table;

    if (queue->free_count < (indirect ? 1 : count)) {
        return -1;
    }
    if (indirect) {
        table = (struct driver_buffer){.gpa = driver_table(queue, buffers, count), .len_bytes = 16 * count};
        buffers = &table;
        count = 1;
    }
    return (queue->packed ? packed_add : split_add)(queue, buffers, count, indirect ? DESC_INDIRECT : 0);
}

/* A full barrier that ThreadSanitizer of every compiler accepts. */
static void driver_fence(void)
{
    _Atomic int dummy = 0;

    atomic_fetch_add(&dummy, 1);
}

static bool driver_device_wants_kick(const struct driver_queue *queue)
{
    if (queue->packed) {
        return atomic_load(&queue->used[1]) != 1;
    }
    if (queue->event_idx) {
        uint16_t event = atomic_load(&queue->used[2 + 4 * queue->size]);

        return (uint16_t)(queue->avail_index - event - 1) < queue->added;
    }
    return !(atomic_load(&queue->used[0]) & 1);
}

bool driver_queue_kick(struct driver_queue *queue, bool always)
{
    bool kick;

    driver_fence();
    kick = always || driver_device_wants_kick(queue);
    queue->added = 0;
    if (kick) {
        machine_write(queue->driver->machine, queue->notify_gpa, 2, queue->index);
    }
    return kick;
}

/* --- getting back ----------------------------------------------------------------------------------------------- */

/* Split: gives back the chain's descriptors by walking it. */
static void split_free(struct driver_queue *queue, uint16_t head)
{
    unsigned count = queue->slots[head];

    assert_true(head < queue->size && count > 0);
    queue->slots[head] = 0;
    for (unsigned i = 0; i < count; i++) {
        queue->free[queue->free_count++] = head;
        head = (uint16_t)(atomic_load_explicit(&queue->desc[head].word, memory_order_relaxed) >> 48);
    }
}

static bool split_get(struct driver_queue *queue, uint16_t *id, uint32_t *len_bytes)
{
    size_t slot = queue->used_index % queue->size;
    _Atomic uint32_t *entry = (_Atomic uint32_t *)(queue->used + 2 + 4 * slot);

    /* Acquire: pairs with the device's release of idx. */
    if (atomic_load_explicit(&queue->used[1], memory_order_acquire) == queue->used_index) {
        return false;
    }
    *id = (uint16_t)atomic_load_explicit(&entry[0], memory_order_relaxed);
    *len_bytes = atomic_load_explicit(&entry[1], memory_order_relaxed);
    queue->used_index++;
    split_free(queue, *id);
    return true;
}

static bool packed_get(struct driver_queue *queue, uint16_t *id, uint32_t *len_bytes)
{
    /* Acquire: pairs with the device's release of the used descriptor. */
    uint64_t word = atomic_load_explicit(&queue->desc[queue->used_index].word, memory_order_acquire);
    bool avail = word >> 48 & PACKED_AVAIL;
    bool used = word >> 48 & PACKED_USED;
    unsigned slots;

    if (avail != used || used != queue->used_wrap) {
        return false;
    }
    *id = (uint16_t)(word >> 32);
    *len_bytes = (uint32_t)word;
    slots = queue->slots[*id];
    assert_true(*id < queue->size && slots > 0);
    queue->slots[*id] = 0;
    queue->free[queue->free_ids++] = *id;
    queue->free_count += slots;
    queue->used_index = (uint16_t)(queue->used_index + slots);
    if (queue->used_index >= queue->size) {
        queue->used_index = (uint16_t)(queue->used_index - queue->size);
        queue->used_wrap = !queue->used_wrap;
    }
    return true;
}

bool driver_queue_get(struct driver_queue *queue, uint16_t *id, uint32_t *len_bytes)
{
    return (queue->packed ? packed_get : split_get)(queue, id, len_bytes);
}

void driver_queue_want_interrupt(struct driver_queue *queue, unsigned after)
{
    unsigned position = queue->used_index + after;

    if (queue->packed && queue->event_idx) {
        bool wrap = queue->used_wrap ^ (position >= queue->size);

        atomic_store(&queue->avail[0], (uint16_t)(position % queue->size | (unsigned)wrap << 15));
        atomic_store(&queue->avail[1], 2);
    } else if (queue->packed) {
        atomic_store(&queue->avail[1], 0);
    } else if (queue->event_idx) {
        atomic_store(&queue->avail[2 + queue->size], (uint16_t)position);
    } else {
        atomic_store(&queue->avail[0], 0);
    }
    driver_fence();
}

void driver_queue_want_no_interrupt(struct driver_queue *queue)
{
    if (queue->packed) {
        atomic_store(&queue->avail[1], 1);
    } else if (queue->event_idx) {
        atomic_store(&queue->avail[2 + queue->size], (uint16_t)(queue->used_index - 1));
    } else {
        atomic_store(&queue->avail[0], 1);
    }
}
