/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device of virtio_echo.h. */
#include "virtio_echo.h"

#include <errno.h>
#include <string.h>

static void echo_complete(struct virtqueue_element *element)
{
    uint8_t bytes[512];
    uint64_t offset = 0;
    size_t len;

    while ((len = virtqueue_element_read(element, offset, bytes, sizeof(bytes))) > 0 && offset < element->in_bytes) {
        offset += virtqueue_element_write(element, offset, bytes, len);
    }
    virtqueue_push(element, (uint32_t)offset);
}

static void echo_queue_notify(struct virtio_device *virtio, struct virtqueue *queue)
{
    struct virtio_echo *echo = (struct virtio_echo *)virtio->device;
    struct virtqueue_element *element;

    echo->handler_calls++;
    while ((element = virtqueue_pop(queue))) {
        echo->popped++;
        ((struct echo_request *)element)->cookie++;
        if (echo->hold && echo->held_count < ECHO_HELD) {
            echo->held[echo->held_count++] = element;
        } else {
            echo_complete(element);
        }
    }
    virtqueue_notify(queue);
}

void virtio_echo_release(struct virtio_echo *echo, bool backwards)
{
    for (unsigned i = 0; i < echo->held_count; i++) {
        echo_complete(echo->held[backwards ? echo->held_count - 1 - i : i]);
    }
    echo->held_count = 0;
    for (unsigned i = 0; i < echo->proxy.virtio.queue_count; i++) {
        virtqueue_notify(echo->proxy.virtio.queues[i]);
    }
}

static void echo_config_read(struct virtio_device *virtio, void *config)
{
    memcpy(config, ((struct virtio_echo *)virtio->device)->config, sizeof(((struct virtio_echo *)0)->config));
}

static void echo_config_write(struct virtio_device *virtio, const void *config, unsigned offset, unsigned len_bytes)
{
    memcpy(((struct virtio_echo *)virtio->device)->config, config, sizeof(((struct virtio_echo *)0)->config));
}

static void echo_started(struct virtio_device *virtio)
{
    ((struct virtio_echo *)virtio->device)->started++;
}

static void echo_class_reset(struct virtio_device *virtio)
{
    struct virtio_echo *echo = (struct virtio_echo *)virtio->device;

    echo->drained = true;
    if (echo->reset_completes) {
        virtio_echo_release(echo, false);
    }
}

static const struct virtio_class echo_class = {
    .name = "echo",
    .id = 42,
    .features = 1u << 3,
    .config_size_bytes = sizeof(((struct virtio_echo *)0)->config),
    .queue_notify = echo_queue_notify,
    .config_read = echo_config_read,
    .config_write = echo_config_write,
    .started = echo_started,
    .reset = echo_class_reset,
};

static int echo_realize(struct device *device, struct error **err)
{
    struct virtio_echo *echo = (struct virtio_echo *)device;
    int ret;

    echo->proxy.options = (struct virtio_options){.packed = true, .indirect_desc = true, .event_idx = true};
    virtio_pci_init(&echo->proxy, &echo_class);
    for (unsigned i = 0; i < ECHO_QUEUES; i++) {
        if (!virtio_queue_add(&echo->proxy.virtio, ECHO_QUEUE, ECHO_SEGMENTS, sizeof(struct echo_request), NULL)) {
            virtio_pci_destroy(device);
            return error_set(err, -ENOMEM, "no queue");
        }
    }
    ret = virtio_pci_realize(&echo->proxy, VIRTIO_PCI_CLASS_OTHER, err);
    if (ret < 0) {
        virtio_pci_destroy(device);
    }
    return ret;
}

static const struct property echo_properties[] = {VIRTIO_PCI_PROPERTIES(struct virtio_echo, proxy), {0}};

const struct device_type virtio_echo_type = {
    .name = "virtio-echo-pci",
    .user_creatable = true,
    .bus = "PCI",
    .size_bytes = sizeof(struct virtio_echo),
    .properties = echo_properties,
    .realize = echo_realize,
    .reset = virtio_pci_reset,
    .quiesce = virtio_pci_quiesce,
    .destroy = virtio_pci_destroy,
};
