/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-rng-pci: random numbers for the guest, from the host kernel's generator or a file of the host, at most
 * max-bytes a period.
 *
 *              buffers, quota left
 *     IDLE ------------------------> getrandom, answered at once (no file)
 *      ^ |
 *      | +---> READING a file: loop thread -----> filled, answered (deferred work)
 *      |                |
 *      +----------------+  a reset drops the guest's buffer; what the read brings is thrown away
 *
 * Numbers go through a buffer of the device's own, so a read under way never touches guest memory, and a reset waits
 * for no slow file. Everything is the device lock's, but for the read itself, which is the loop thread's.
 * A guest can ask for as much as it likes: a request gets at most one buffer of bytes, and the quota bounds the rest.
 */
#include "hw/virtio/virtio_rng.h"

#include <errno.h>
#include <sys/random.h>

#include "hw/virtio/rng_source.h"
#include "hw/virtio/virtio_pci.h"

#define RNG_QUEUE_SIZE   8
#define RNG_SEGMENTS     8
#define RNG_BUFFER_BYTES 4096u

/*
 * Properties, source, clock, is_set_up: immutable after realize. read, read_iov: loop thread. buffer, read_bytes: the
 * loop thread while is_reading, else device lock. The rest: device lock.
 */
struct virtio_rng {
    struct virtio_pci proxy; /* first */
    char *rng;
    uint64_t max_bytes;
    uint32_t period_ms;

    const struct rng_source *source;
    struct clock *clock;
    struct virtqueue *queue;
    struct virtqueue_element *waiting; /* for the read under way; NULL if a reset dropped it */
    bool is_reading;
    uint64_t quota_bytes, quota_until_ns;
    struct timer quota_timer;
    struct device_work serve_work, filled_work;

    bool is_set_up; /* realized */
    struct bh read_bh;
    struct io_request read;
    struct iovec read_iov;
    int read_result;
    uint8_t buffer[RNG_BUFFER_BYTES];
};

static struct virtio_rng *rng_of(struct virtio_device *virtio)
{
    return container_of(virtio, struct virtio_rng, proxy.virtio);
}

static bool is_limited(const struct virtio_rng *rng)
{
    return rng->max_bytes != UINT64_MAX;
}

/* Bytes that may be given out now. None: the timer will have us look again. */
static uint64_t quota_left(struct virtio_rng *rng)
{
    uint64_t now_ns;

    if (!is_limited(rng)) {
        return UINT64_MAX;
    }
    now_ns = clock_now_ns(rng->clock);
    if (now_ns >= rng->quota_until_ns) {
        rng->quota_bytes = rng->max_bytes;
        rng->quota_until_ns = now_ns + rng->period_ms * NS_PER_MS;
    }
    if (rng->quota_bytes == 0) {
        timer_arm(&rng->quota_timer, rng->quota_until_ns);
    }
    return rng->quota_bytes;
}

static void answer(struct virtio_rng *rng, struct virtqueue_element *element, size_t len_bytes)
{
    size_t written = virtqueue_element_write(element, 0, rng->buffer, len_bytes);

    if (is_limited(rng)) {
        rng->quota_bytes -= MIN(rng->quota_bytes, (uint64_t)written);
    }
    virtqueue_push(element, (uint32_t)written);
}

static void begin_read(struct virtio_rng *rng, struct virtqueue_element *element, size_t len_bytes)
{
    rng->waiting = element;
    rng->is_reading = true;
    rng->read_iov = (struct iovec){rng->buffer, len_bytes};
    device_get(&rng->proxy.pci.device); /* the buffer stays until the read has ended */
    bh_schedule(&rng->read_bh);
}

static void serve_one(struct virtio_rng *rng, struct virtqueue_element *element, uint64_t quota_bytes)
{
    uint64_t wanted_bytes = MIN(element->in_bytes, quota_bytes);
    size_t len_bytes = (size_t)MIN(wanted_bytes, (uint64_t)RNG_BUFFER_BYTES);
    ssize_t got;

    if (len_bytes > 0 && rng->source && rng->source->fd >= 0) {
        begin_read(rng, element, len_bytes);
        return;
    }
    /* Doesn't block once the host has booted; short only for signals, which our threads block. */
    got = len_bytes > 0 ? getrandom(rng->buffer, len_bytes, GRND_NONBLOCK) : 0;
    answer(rng, element, got > 0 ? (size_t)got : 0);
}

static void serve(struct virtio_rng *rng)
{
    struct virtqueue_element *element;
    uint64_t quota_bytes;

    while (!rng->is_reading && !virtqueue_is_empty(rng->queue) && (quota_bytes = quota_left(rng)) > 0 &&
           (element = virtqueue_pop(rng->queue)) != NULL) {
        serve_one(rng, element, quota_bytes);
    }
    virtqueue_notify(rng->queue);
}

static void rng_queue_notify(struct virtio_device *virtio, struct virtqueue *queue)
{
    serve(rng_of(virtio));
}

static void rng_serve_work(struct device *device, struct device_work *work)
{
    serve(container_of(work, struct virtio_rng, serve_work));
}

/* --- reading a file ----------------------------------------------------------------------------------------------- */

static void rng_filled_work(struct device *device, struct device_work *work)
{
    struct virtio_rng *rng = container_of(work, struct virtio_rng, filled_work);

    rng->is_reading = false;
    if (rng->waiting) {
        struct virtqueue_element *element = rng->waiting;

        rng->waiting = NULL;
        answer(rng, element, rng->read_result > 0 ? (size_t)rng->read_result : 0);
    }
    serve(rng);
}

/* Loop thread. */
static void rng_read_done(struct io_request *request, int result)
{
    struct virtio_rng *rng = container_of(request, struct virtio_rng, read);
    struct device *device = &rng->proxy.pci.device;

    rng->read_result = result;
    /* Refused when the device is gone: nobody waits then. */
    (void)device_submit(device, &rng->filled_work);
    device_put(device);
}

static void rng_read(void *opaque)
{
    struct virtio_rng *rng = opaque;

    rng->read.done = rng_read_done;
    event_loop_readv(rng->proxy.pci.device.loop, &rng->read, rng->source->fd, &rng->read_iov, 1, 0);
}

/* Loop thread: a new period. */
static void rng_new_period(void *opaque)
{
    struct virtio_rng *rng = opaque;

    (void)device_submit(&rng->proxy.pci.device, &rng->serve_work);
}

static void rng_reset(struct virtio_device *virtio)
{
    struct virtio_rng *rng = rng_of(virtio);

    if (rng->waiting) {
        virtqueue_drop(rng->waiting);
        rng->waiting = NULL;
    }
}

static const struct virtio_class rng_class = {
    .name = "virtio-rng",
    .id = VIRTIO_ID_RNG,
    .queue_notify = rng_queue_notify,
    .reset = rng_reset,
};

/* --- life --------------------------------------------------------------------------------------------------------- */

struct rng_setup {
    struct virtio_rng *rng;
    int result;
};

/* Loop thread. */
static void rng_set_up(void *opaque)
{
    struct rng_setup *setup = opaque;
    struct virtio_rng *rng = setup->rng;
    struct event_loop *loop = rng->proxy.pci.device.loop;

    bh_init(&rng->read_bh, loop, rng_read, rng);
    setup->result = is_limited(rng) ? timer_init(&rng->quota_timer, loop, rng->clock, rng_new_period, rng) : 0;
    rng->is_set_up = setup->result == 0;
}

static void rng_tear_down(void *opaque)
{
    struct virtio_rng *rng = opaque;

    if (!rng->is_set_up) {
        return;
    }
    rng->is_set_up = false;
    if (is_limited(rng)) {
        timer_destroy(&rng->quota_timer);
    }
    bh_destroy(&rng->read_bh);
}

static int rng_realize(struct device *device, struct error **err)
{
    struct virtio_rng *rng = (struct virtio_rng *)device;
    struct rng_setup setup = {rng, 0};
    int result;

    event_loop_call(device->loop, rng_set_up, &setup);
    if (setup.result < 0) {
        return error_set(err, setup.result, "device '%s': no timer left on its loop", device->id);
    }
    device_work_init(&rng->serve_work, device, rng_serve_work);
    device_work_init(&rng->filled_work, device, rng_filled_work);
    virtio_pci_init(&rng->proxy, &rng_class);
    rng->queue =
        virtio_queue_add(&rng->proxy.virtio, RNG_QUEUE_SIZE, RNG_SEGMENTS, sizeof(struct virtqueue_element), NULL);
    result = rng->queue ? virtio_pci_realize(&rng->proxy, VIRTIO_PCI_CLASS_OTHER, err) : -ENOMEM;
    if (result < 0) {
        virtio_pci_destroy(device);
        event_loop_call(device->loop, rng_tear_down, rng);
    }
    return result;
}

static void rng_destroy(struct device *device)
{
    virtio_pci_destroy(device);
    rng_tear_down(device);
}

const char *virtio_rng_source_id(struct device *device)
{
    const struct virtio_rng *rng = (struct virtio_rng *)device;

    return rng->rng && *rng->rng ? rng->rng : NULL;
}

const struct rng_source *virtio_rng_source(const struct device *device)
{
    return ((const struct virtio_rng *)device)->source;
}

void virtio_rng_wire(struct device *device, const struct rng_source *source, struct clock *clock)
{
    struct virtio_rng *rng = (struct virtio_rng *)device;

    rng->source = source;
    rng->clock = clock;
}

static const struct property rng_properties[] = {
    {.name = "rng",
     .type = PROPERTY_STRING,
     .offset = offsetof(struct virtio_rng, rng),
     .description = "Object that numbers come from (rng-random, rng-builtin)"},
    {.name = "max-bytes",
     .type = PROPERTY_U64,
     .offset = offsetof(struct virtio_rng, max_bytes),
     .default_value = "0xffffffffffffffff",
     .min = 1,
     .max = UINT64_MAX,
     .description = "Bytes that the guest gets in a period at most"},
    {.name = "period",
     .type = PROPERTY_U32,
     .offset = offsetof(struct virtio_rng, period_ms),
     .default_value = "65536",
     .min = 1,
     .max = UINT32_MAX,
     .description = "Length of a period in ms"},
    VIRTIO_PCI_PROPERTIES(struct virtio_rng, proxy),
    {0},
};

const struct device_type virtio_rng_pci_type = {
    .name = "virtio-rng-pci",
    .alias = "virtio-rng",
    .description = "Virtio random number generator",
    .category = "Misc",
    .bus = "PCI",
    .size_bytes = sizeof(struct virtio_rng),
    .properties = rng_properties,
    .user_creatable = true,
    .realize = rng_realize,
    .reset = virtio_pci_reset,
    .is_idle = virtio_pci_is_idle,
    .quiesce = virtio_pci_quiesce,
    .destroy = rng_destroy,
};
