/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The core of a virtio device: features, status, reset, failure, config space, and when a model works on its queues
 * (virtio 1.2, chapters 2 and 3). Neither rings (virtqueue.c) nor registers (the transport). The states are drawn in
 * virtio.h. Device lock throughout, but for virtio_queue_kick.
 *
 * The guest may write status, features and queue registers in any order and at any time: what isn't legal in the phase
 * is ignored, and a device that was made to fail comes back by a reset only. A reset waits for elements, never a
 * thread: until the last one is completed, status just doesn't read 0 yet.
 */
#include "hw/virtio/virtio.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "hw/virtio/vring.h"

#define VIRTIO_STATUS_DRIVER_BITS                                                                                      \
    (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK |          \
     VIRTIO_STATUS_FAILED)

/* --- life ------------------------------------------------------------------------------------------------------- */

void virtio_device_init(struct virtio_device *virtio, struct device *device, const struct virtio_class *class,
                        const struct virtio_options *options)
{
    *virtio = (struct virtio_device){.device = device, .class = class};
    virtio->host_features = class->features | VIRTIO_F_VERSION_1;
    if (!options || options->indirect_desc) {
        virtio->host_features |= VIRTIO_F_INDIRECT_DESC;
    }
    if (!options || options->event_idx) {
        virtio->host_features |= VIRTIO_F_EVENT_IDX;
    }
    if (!options || options->packed) {
        virtio->host_features |= VIRTIO_F_RING_PACKED;
    }
}

void virtio_device_destroy(struct virtio_device *virtio)
{
    for (unsigned i = 0; i < virtio->queue_count; i++) {
        struct virtqueue *queue = virtio->queues[i];

        virtqueue_reset(queue);
        virtqueue_pool_destroy(queue);
        free(queue);
    }
    virtio->queue_count = 0;
}

static void virtio_queue_run(struct device *device, struct device_work *work);

struct virtqueue *virtio_queue_add(struct virtio_device *virtio, unsigned size_max, unsigned segments,
                                   size_t request_bytes, struct event_loop *loop)
{
    struct virtqueue *queue;

    assert(size_max > 0 && size_max <= VIRTQUEUE_SIZE_MAX && (size_max & (size_max - 1)) == 0);
    assert(segments > 0 && segments <= VIRTQUEUE_SEGMENTS_MAX && request_bytes >= sizeof(struct virtqueue_element));
    if (virtio->queue_count == VIRTIO_QUEUE_MAX) {
        return NULL;
    }
    queue = calloc(1, sizeof(*queue));
    if (!queue) {
        return NULL;
    }
    queue->virtio = virtio;
    queue->index = virtio->queue_count;
    queue->size_max = size_max;
    queue->segments = segments;
    queue->request_bytes = request_bytes;
    queue->loop = loop ? loop : virtio->device->loop;
    queue->event_fd = -1;
    device_work_init(&queue->work, virtio->device, virtio_queue_run);
    if (virtqueue_pool_create(queue) < 0) {
        free(queue);
        return NULL;
    }
    virtqueue_reset(queue);
    virtio->queues[virtio->queue_count++] = queue;
    return queue;
}

/* --- failure and change ------------------------------------------------------------------------------------------ */

void virtio_config_changed(struct virtio_device *virtio)
{
    device_assert_locked(virtio->device);
    virtio->config_generation++;
    if (virtio->status & VIRTIO_STATUS_DRIVER_OK) {
        virtio->transport->notify(virtio, NULL);
    }
}

void virtio_fail(struct virtio_device *virtio, const char *format, ...)
{
    device_assert_locked(virtio->device);
    if (virtio->phase == VIRTIO_BROKEN || virtio->phase == VIRTIO_RESETTING) {
        return;
    }
    if (trace_is_enabled(TRACE_VIRTIO_BROKEN)) {
        char reason[160];
        va_list args;

        va_start(args, format);
        vsnprintf(reason, sizeof(reason), format, args);
        va_end(args);
        trace(VIRTIO_BROKEN, "%s: %s", virtio->device->id, reason);
    }
    virtio->phase = VIRTIO_BROKEN;
    virtio->status |= VIRTIO_STATUS_NEEDS_RESET;
    /* Only after DRIVER_OK (2.1.2): before, the driver finds out by reading status. */
    virtio_config_changed(virtio);
}

/* --- reset ------------------------------------------------------------------------------------------------------ */

static void virtio_reset_finish(struct virtio_device *virtio)
{
    for (unsigned i = 0; i < virtio->queue_count; i++) {
        virtqueue_reset(virtio->queues[i]);
    }
    virtio->guest_features = 0;
    virtio->status = 0;
    trace(VIRTIO_STATUS, "%s: reset done", virtio->device->id);
    virtio->transport->reset_done(virtio);
    if (!virtio->stopping) {
        virtio->phase = VIRTIO_IDLE;
    } else if (virtio->stopped) {
        void (*stopped)(struct virtio_device * virtio) = virtio->stopped;

        virtio->stopped = NULL;
        stopped(virtio);
    }
}

void virtio_element_completed(struct virtio_device *virtio)
{
    assert(virtio->in_flight > 0);
    if (--virtio->in_flight == 0 && virtio->phase == VIRTIO_RESETTING) {
        virtio_reset_finish(virtio);
    }
}

void virtio_reset(struct virtio_device *virtio)
{
    device_assert_locked(virtio->device);
    if (virtio->phase == VIRTIO_RESETTING) {
        return;
    }
    trace(VIRTIO_STATUS, "%s: reset with %u elements in flight", virtio->device->id, virtio->in_flight);
    virtio->phase = VIRTIO_RESETTING;
    /* Counts like an element, so that elements that the model completes at once don't finish under its feet. */
    virtio->in_flight++;
    if (virtio->class->reset) {
        virtio->class->reset(virtio);
    }
    virtio_element_completed(virtio);
}

void virtio_stop(struct virtio_device *virtio)
{
    bool idle = virtio->phase == VIRTIO_RESETTING && virtio->in_flight == 0;

    assert(!virtio->stopping);
    virtio->stopping = true;
    virtio_reset(virtio);
    if (idle) {
        virtio_reset_finish(virtio);
    }
}

/* --- status and features ---------------------------------------------------------------------------------------- */

uint64_t virtio_features_offered(const struct virtio_device *virtio)
{
    return virtio->host_features;
}

void virtio_features_accept(struct virtio_device *virtio, unsigned half, uint32_t bits)
{
    if (half > 1 || virtio->phase == VIRTIO_RESETTING || (virtio->status & VIRTIO_STATUS_FEATURES_OK)) {
        return;
    }
    virtio->guest_features &= ~(UINT64_C(0xffffffff) << (32 * half));
    virtio->guest_features |= (uint64_t)bits << (32 * half);
}

/* 2.2.1 and 6.1: only what was offered, and never the legacy interface. */
static bool virtio_features_are_ok(struct virtio_device *virtio)
{
    uint64_t features = virtio->guest_features;

    return (features & ~virtio->host_features) == 0 && (features & VIRTIO_F_VERSION_1) &&
           (!virtio->class->features_ok || virtio->class->features_ok(virtio, features));
}

static void virtio_start(struct virtio_device *virtio)
{
    if (virtio->phase != VIRTIO_IDLE) {
        /* It failed while it was being set up: the driver is there to be told now. */
        virtio_config_changed(virtio);
        return;
    }
    virtio->phase = VIRTIO_RUNNING;
    if (virtio->class->started) {
        virtio->class->started(virtio);
    }
    /* What is in the rings already needs no notification. */
    for (unsigned i = 0; i < virtio->queue_count; i++) {
        virtio_queue_kick(virtio->queues[i]);
    }
}

void virtio_status_write(struct virtio_device *virtio, uint8_t status)
{
    uint8_t added = status & VIRTIO_STATUS_DRIVER_BITS & ~virtio->status;

    device_assert_locked(virtio->device);
    if (status == 0) {
        virtio_reset(virtio);
        return;
    }
    if (virtio->phase == VIRTIO_RESETTING) {
        return;
    }
    if ((added & VIRTIO_STATUS_FEATURES_OK) && !virtio_features_are_ok(virtio)) {
        added &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
    }
    if ((added & VIRTIO_STATUS_DRIVER_OK) && !((virtio->status | added) & VIRTIO_STATUS_FEATURES_OK)) {
        added &= (uint8_t)~VIRTIO_STATUS_DRIVER_OK;
    }
    virtio->status |= added;
    trace(VIRTIO_STATUS, "%s: status %#x, features %#llx", virtio->device->id, virtio->status,
          (unsigned long long)virtio->guest_features);
    if (added & VIRTIO_STATUS_DRIVER_OK) {
        virtio_start(virtio);
    }
}

/* --- config space ----------------------------------------------------------------------------------------------- */

#define VIRTIO_CONFIG_MAX 256

uint32_t virtio_config_read(struct virtio_device *virtio, unsigned offset, unsigned len_bytes)
{
    uint8_t config[VIRTIO_CONFIG_MAX] = {0};
    uint32_t value = 0;

    assert(virtio->class->config_size_bytes <= sizeof(config) - 4);
    if (offset >= virtio->class->config_size_bytes || !virtio->class->config_read) {
        return 0;
    }
    virtio->class->config_read(virtio, config);
    for (unsigned i = 0; i < len_bytes; i++) {
        value |= (uint32_t)config[offset + i] << (8 * i);
    }
    return value;
}

void virtio_config_write(struct virtio_device *virtio, unsigned offset, unsigned len_bytes, uint32_t value)
{
    uint8_t config[VIRTIO_CONFIG_MAX] = {0};
    unsigned size = virtio->class->config_size_bytes;

    if (offset >= size || len_bytes > size - offset || !virtio->class->config_write ||
        virtio->phase == VIRTIO_RESETTING) {
        return;
    }
    virtio->class->config_read(virtio, config);
    for (unsigned i = 0; i < len_bytes; i++) {
        config[offset + i] = (uint8_t)(value >> (8 * i));
    }
    virtio->class->config_write(virtio, config, offset, len_bytes);
}

/* --- queues ----------------------------------------------------------------------------------------------------- */

bool virtio_queue_is_configurable(const struct virtqueue *queue)
{
    return !queue->enabled && queue->virtio->phase != VIRTIO_RESETTING;
}

void virtio_queue_enable(struct virtqueue *queue)
{
    struct virtio_device *virtio = queue->virtio;

    device_assert_locked(virtio->device);
    if (!virtio_queue_is_configurable(queue)) {
        return;
    }
    if (!(virtio->status & VIRTIO_STATUS_FEATURES_OK)) {
        virtio_fail(virtio, "queue %u is enabled before FEATURES_OK", queue->index);
        return;
    }
    if (queue->size > queue->size_max || !virtqueue_map(queue)) {
        virtio_fail(virtio, "queue %u: no ring of %u entries at %#llx, %#llx, %#llx", queue->index, queue->size,
                    (unsigned long long)queue->desc_gpa, (unsigned long long)queue->driver_gpa,
                    (unsigned long long)queue->device_gpa);
        return;
    }
    queue->enabled = true;
}

static bool virtio_queue_may_run(const struct virtqueue *queue)
{
    const struct virtio_device *virtio = queue->virtio;

    return queue->enabled && virtio->dma_allowed && virtio_is_running(virtio) && virtio->class->queue_notify;
}

static void virtio_queue_run(struct device *device, struct device_work *work)
{
    struct virtqueue *queue = container_of(work, struct virtqueue, work);

    if (!virtio_queue_may_run(queue)) {
        return;
    }
    trace(VIRTIO_NOTIFY, "%s: queue %u", device->id, queue->index);
    if (queue->armed) {
        queue->armed = false;
        queue->ops->disarm(queue);
    }
    queue->in_handler = true;
    queue->over_budget = false;
    queue->budget = queue->size;
    queue->virtio->class->queue_notify(queue->virtio, queue);
    queue->in_handler = false;
    if (queue->over_budget) {
        virtio_queue_kick(queue);
    }
}

void virtio_queue_kick(struct virtqueue *queue)
{
    /* Fails only while the device goes away: the work isn't wanted then. */
    (void)device_submit(queue->virtio->device, &queue->work);
}

void virtio_set_dma_allowed(struct virtio_device *virtio, bool allowed)
{
    bool before = virtio->dma_allowed;

    virtio->dma_allowed = allowed;
    for (unsigned i = 0; allowed && !before && i < virtio->queue_count; i++) {
        virtio_queue_kick(virtio->queues[i]);
    }
}
