/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio devices, as their models see them (virtio 1.2, chapter 2). A transport (virtio_pci.h) connects one to a bus;
 * rings are behind virtqueue.h, which this includes.
 *
 *               status writes                    bad ring, model's virtio_fail
 *     RESET ------------------> RUNNING (DRIVER_OK) ------------------> BROKEN (NEEDS_RESET)
 *       ^                          | status = 0                            | status = 0
 *       |                          v                                       v
 *       +---- last element completed ---- RESETTING (status still reads as before) <---
 *
 * A reset is complete, and status reads 0, only when the model has completed every element that it had popped: the
 * guest may reuse its buffers then. The core counts elements; a model only has to complete each one exactly once. While
 * resetting, completing an element writes nothing to rings and sends no interrupt.
 *
 * Everything here is called with the device lock held unless it says otherwise.
 */
#ifndef HDL_HW_VIRTIO_VIRTIO_H
#define HDL_HW_VIRTIO_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "device/device.h"
#include "hw/virtio/virtqueue.h"

struct virtio_device;

/* Device types (virtio 1.2, chapter 5). */
enum virtio_id { VIRTIO_ID_NET = 1, VIRTIO_ID_BLOCK = 2, VIRTIO_ID_CONSOLE = 3, VIRTIO_ID_RNG = 4 };

/* Feature bits of every device (virtio 1.2, chapter 6), as masks. */
#define VIRTIO_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define VIRTIO_F_EVENT_IDX     (UINT64_C(1) << 29)
#define VIRTIO_F_VERSION_1     (UINT64_C(1) << 32)
#define VIRTIO_F_RING_PACKED   (UINT64_C(1) << 34)

enum virtio_status {
    VIRTIO_STATUS_ACKNOWLEDGE = 1,
    VIRTIO_STATUS_DRIVER = 2,
    VIRTIO_STATUS_DRIVER_OK = 4,
    VIRTIO_STATUS_FEATURES_OK = 8,
    VIRTIO_STATUS_NEEDS_RESET = 64,
    VIRTIO_STATUS_FAILED = 128,
};

#define VIRTIO_NO_VECTOR 0xffffu
#define VIRTIO_QUEUE_MAX 64 /* queues of one device */

/*
 * A kind of virtio device. Constant. All functions are called with the device lock held, on any thread (an event loop,
 * or a vCPU that held the lock when the loop submitted the work): a model that needs its event loop's thread, say for
 * io_uring, hands over by a bottom half.
 */
struct virtio_class {
    const char *name;
    enum virtio_id id;
    uint64_t features; /* device-specific bits (0..23) that it knows; a device may offer fewer: virtio.host_features */
    uint32_t config_size_bytes;

    /*
     * The driver has put buffers into the queue. Pops until empty, or until it can't go on for its own reasons (it then
     * pops later, from its own deferred work). Bounded: after one ring's worth virtqueue_pop says empty and the core
     * calls again later, so that other work of the thread runs in between. NULL: never.
     */
    void (*queue_notify)(struct virtio_device *virtio, struct virtqueue *queue);
    /* Device config space, little-endian. read fills all config_size_bytes. write (NULL: read-only) is told after
     * bytes [offset, offset + len) of `config`, a fresh copy, were changed by the driver. */
    void (*config_read)(struct virtio_device *virtio, void *config);
    void (*config_write)(struct virtio_device *virtio, const void *config, unsigned offset, unsigned len_bytes);
    /* Whether the model can work with the features that the driver chose. NULL: with all. */
    bool (*features_ok)(struct virtio_device *virtio, uint64_t features);
    /* DRIVER_OK was set: queues may be popped from now on. NULL: nothing to do. */
    void (*started)(struct virtio_device *virtio);
    /*
     * A reset begins: pops nothing more, and sees to it that elements it holds are completed soon (cancels, or waits
     * for I/O under way without blocking). Also before unplug. NULL: nothing to do.
     */
    void (*reset)(struct virtio_device *virtio);
};

/* How the core reaches the transport. Device lock held. */
struct virtio_transport_ops {
    /* A used-buffer notification for a queue, or (NULL) a configuration change. */
    void (*notify)(struct virtio_device *virtio, struct virtqueue *queue);
    /* Elements are gone and the core's registers are at power-on values: the transport resets its own. */
    void (*reset_done)(struct virtio_device *virtio);
};

enum virtio_phase { VIRTIO_IDLE /* status 0 or being negotiated */, VIRTIO_RUNNING, VIRTIO_BROKEN, VIRTIO_RESETTING };

/*
 * device, class, transport, host_features, queues, queue_count: immutable after realize. The rest: device lock.
 * in_flight counts elements that are popped and not completed, over all queues.
 */
struct virtio_device {
    struct device *device;
    const struct virtio_class *class;
    const struct virtio_transport_ops *transport;
    uint64_t host_features; /* what is offered; the model clears bits before the transport is realized */
    uint64_t guest_features;
    uint8_t status;
    uint8_t config_generation;
    bool dma_allowed; /* the transport: the guest lets the device reach memory */
    bool stopping;    /* being unplugged: stays in RESETTING */
    enum virtio_phase phase;
    unsigned in_flight;
    unsigned queue_count;
    struct virtqueue *queues[VIRTIO_QUEUE_MAX];
    void (*stopped)(struct virtio_device *virtio); /* told once when a stop has no element left */
};

/* Properties of every virtio device; in the model's structure by VIRTIO_PROPERTIES. */
struct virtio_options {
    bool packed, indirect_desc, event_idx;
};

/* Configuration thread, in realize, before queues are added. options may be NULL: all features. */
void virtio_device_init(struct virtio_device *virtio, struct device *device, const struct virtio_class *class,
                        const struct virtio_options *options);
/* From destroy or failed realize: frees the queues. No element is in flight. Idempotent. */
void virtio_device_destroy(struct virtio_device *virtio);

/*
 * Configuration thread, between init and the transport's realize: the next queue.
 * size_max        ring size offered to the driver, a power of two up to VIRTQUEUE_SIZE_MAX
 * segments        iovec entries that an element holds without allocating; a longer chain (up to
 *                 VIRTQUEUE_SEGMENTS_MAX) allocates
 * request_bytes   size of the model's request, whose first member is a struct virtqueue_element
 * loop            where notifications are heard; NULL: the device's
 * NULL when out of memory or queues.
 */
struct virtqueue *virtio_queue_add(struct virtio_device *virtio, unsigned size_max, unsigned segments,
                                   size_t request_bytes, struct event_loop *loop);

static inline bool virtio_has_feature(const struct virtio_device *virtio, uint64_t mask)
{
    return (virtio->guest_features & mask) == mask;
}
/* Whether the queues may be popped: DRIVER_OK, not broken, not resetting. */
static inline bool virtio_is_running(const struct virtio_device *virtio)
{
    return virtio->phase == VIRTIO_RUNNING;
}

/* The device's config space changed by itself: tells the driver. */
void virtio_config_changed(struct virtio_device *virtio);
/*
 * The driver did something that can't be carried on from: DEVICE_NEEDS_RESET, a configuration interrupt, and every
 * queue says empty until it resets the device. The reason goes to the trace point virtio_broken. Elements in flight
 * still must be completed. Idempotent.
 */
void virtio_fail(struct virtio_device *virtio, const char *format, ...) HDL_PRINTF(2, 3);

/* --- for transports --------------------------------------------------------------------------------------------- */

/* Each implements one field of the common configuration structure (virtio 1.2, 4.1.4.3). */
uint64_t virtio_features_offered(const struct virtio_device *virtio);
/* Replaces 32 bits of what the driver accepts: half 0 or 1; others are ignored. Not after FEATURES_OK. */
void virtio_features_accept(struct virtio_device *virtio, unsigned half, uint32_t bits);
/* The driver writes status; 0 begins a reset. */
void virtio_status_write(struct virtio_device *virtio, uint8_t status);
/* Power-on reset by the machine: like the driver's. */
void virtio_reset(struct virtio_device *virtio);
/* For good: as a reset from which it never comes back; calls virtio->stopped when no element is left. */
void virtio_stop(struct virtio_device *virtio);
/* Bytes of config space; beyond its end reads are zero and writes dropped. len 1, 2 or 4. */
uint32_t virtio_config_read(struct virtio_device *virtio, unsigned offset, unsigned len_bytes);
void virtio_config_write(struct virtio_device *virtio, unsigned offset, unsigned len_bytes, uint32_t value);
/* The driver sets queue_enable. Fails the device if its rings aren't valid. */
void virtio_queue_enable(struct virtqueue *queue);
/* Whether queue registers may be written: not while running or resetting, nor once enabled. */
bool virtio_queue_is_configurable(const struct virtqueue *queue);
/*
 * The driver notified a queue: has it processed soon. Any thread that may call device_submit; no lock needed.
 */
void virtio_queue_kick(struct virtqueue *queue);
/* DMA was allowed or forbidden. */
void virtio_set_dma_allowed(struct virtio_device *virtio, bool allowed);

#endif
