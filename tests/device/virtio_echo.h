/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtio device for tests: copies what the driver sends back to it. It may hold requests until told, and works on
 * them from any thread that the core calls it on.
 */
#ifndef HDL_TESTS_DEVICE_VIRTIO_ECHO_H
#define HDL_TESTS_DEVICE_VIRTIO_ECHO_H

#include "hw/virtio/virtio_pci.h"

#define ECHO_QUEUES   2
#define ECHO_QUEUE    256
#define ECHO_SEGMENTS 4
#define ECHO_HELD     512

struct echo_request {
    struct virtqueue_element element;
    uint64_t cookie;
};

/* hold, reset_completes: set by the test before use or under the device lock. The rest: device lock. */
struct virtio_echo {
    struct virtio_pci proxy;
    bool hold;            /* keep what was popped */
    bool reset_completes; /* class reset gives back what is held */
    bool drained;         /* class reset was called */
    unsigned popped, handler_calls;
    unsigned started;
    struct virtqueue_element *held[ECHO_HELD];
    unsigned held_count;
    uint8_t config[8];
};

extern const struct device_type virtio_echo_type;

/* Device lock: completes what is held, the newest first if `backwards`. */
void virtio_echo_release(struct virtio_echo *echo, bool backwards);

#endif
