/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtqueues: split and packed rings behind one interface (virtio 1.2, 2.7 and 2.8), written against a hostile driver.
 *
 * A chain of descriptors is popped as an *element*: descriptors are copied once, the copy is checked, and the guest
 * memory that they name is mapped and stays valid until the element is completed, exactly once, by virtqueue_push or
 * virtqueue_drop. What a model reads from a buffer may change under its hands: it copies headers out once
 * (virtqueue_element_read) and checks the copy.
 *
 * A driver's fault (loop, index or length out of range, indirect table inside one, readable after writable, buffer
 * that isn't RAM, ...) fails the device (virtio_fail), never the process.
 *
 * All functions: device lock held.
 */
#ifndef HDL_HW_VIRTIO_VIRTQUEUE_H
#define HDL_HW_VIRTIO_VIRTQUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "device/device.h"
#include "memory/dma.h"

struct virtio_device;
struct virtqueue;

#define VIRTQUEUE_SIZE_MAX     1024
#define VIRTQUEUE_SEGMENTS_MAX 1024 /* iovec entries, and descriptors, of one element */

/*
 * One request of the driver. Embedded first in the model's request structure. Immutable between pop and completion;
 * the iovecs may be used by other threads in that time.
 */
struct virtqueue_element {
    struct virtqueue *queue;
    const struct iovec *out; /* device-readable: what the driver sends */
    const struct iovec *in;  /* device-writable */
    unsigned out_count, in_count;
    uint64_t out_bytes, in_bytes; /* each at most 2^32 */

    /* private */
    bool in_use;
    uint16_t id;               /* split: index of the chain's head; packed: buffer id */
    uint16_t descriptor_count; /* packed: ring slots that the chain takes */
    uint16_t pool_index;
    struct iovec *iov;            /* out, then in */
    struct dma_mapping *mappings; /* one an iovec */
    void *overflow;               /* allocated when the pool's segments don't suffice */
};

/*
 * The next element, a pointer to the model's request of request_bytes, of which the part behind the element is as the
 * last user left it (zero at first). NULL when the ring is empty, the device isn't running, or it just became broken.
 */
struct virtqueue_element *virtqueue_pop(struct virtqueue *queue);
/* Whether pop would find nothing now. */
bool virtqueue_is_empty(struct virtqueue *queue);
/*
 * Completes an element: the device wrote its first written_bytes in-bytes (virtio 1.2, 2.7.8.2), which the driver sees
 * before it sees the completion. Follow a batch of pushes with one virtqueue_notify.
 */
void virtqueue_push(struct virtqueue_element *element, uint32_t written_bytes);
/* Interrupts the driver if elements were pushed since the last call and it wants to hear. */
void virtqueue_notify(struct virtqueue *queue);
/* Completes an element without telling the driver, for a device that has failed or is being reset. */
void virtqueue_drop(struct virtqueue_element *element);

/* Copy from offset of the out-, or to offset of the in-part. Bytes copied: fewer than len if the part ends. */
size_t virtqueue_element_read(const struct virtqueue_element *element, uint64_t offset, void *buffer, size_t len_bytes);
size_t virtqueue_element_write(const struct virtqueue_element *element, uint64_t offset, const void *buffer,
                               size_t len_bytes);
/*
 * The iovecs of [offset, offset + len) of a part (counts as given by the element) into `to`, which has room for `room`.
 * How many; or -EINVAL when the range isn't inside the part, -E2BIG when there is no room (element's count suffices).
 */
int virtqueue_iov_slice(const struct iovec *from, unsigned from_count, uint64_t offset, uint64_t len_bytes,
                        struct iovec *to, unsigned room);

/* --- the structure: for the core, rings and transports ----------------------------------------------------------- */

/* Descriptor, same bytes in memory for both kinds of ring: split {addr, len, flags, next}, packed {addr, len, id,
 * flags} */
struct vring_desc {
    uint64_t address;
    uint32_t len_bytes;
    uint16_t flags; /* split */
    uint16_t next;  /* split */
};

struct vring_ops;
struct event_loop;
struct fd_watch;

/*
 * virtio, index, size_max, pool: immutable after creation. event_fd, watch, loop: the transport, configuration thread.
 * Registers: written by the driver through the transport before enable. Everything but work: device lock.
 */
struct virtqueue {
    struct virtio_device *virtio;
    unsigned index;
    unsigned size_max;
    struct event_loop *loop;
    int event_fd; /* ioeventfd of the driver's notifications, or -1 */
    struct fd_watch *watch;
    struct device_work work;

    /* Registers (virtio 1.2, 4.1.4.3). driver and device are the avail/used rings, or the event suppression areas. */
    uint16_t size;
    uint16_t vector;
    bool enabled;
    uint64_t desc_gpa, driver_gpa, device_gpa;

    /* The ring while enabled. */
    const struct vring_ops *ops;
    struct dma_mapping desc_map, driver_map, device_map;
    bool event_idx, indirect;
    uint16_t avail_index; /* split: next avail entry, free-running; packed: next descriptor */
    uint16_t used_index;  /* split: free-running; packed: next used descriptor */
    bool avail_wrap;      /* packed: wrap counters of the two */
    bool used_wrap;
    uint16_t slots_in_use; /* packed: from used_index to avail_index */
    uint32_t pushed;       /* ring positions used since the last virtqueue_notify */
    bool armed;            /* the driver was told to notify */
    bool in_handler;       /* the model's queue_notify runs: pops are counted */
    unsigned budget;       /* ... and this many are left */
    bool over_budget;      /* ... so that it was told "empty" without a look */

    /* The pool: size_max elements of stride bytes each. */
    unsigned in_flight;
    unsigned segments;
    size_t request_bytes, stride_bytes;
    uint8_t *pool;
    uint16_t *free; /* stack of indices */
    unsigned free_count;
    struct vring_desc *table; /* scratch: the copy of an indirect table */
};

#endif
