/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio over PCI, modern interface only (virtio 1.2, 4.1).
 *
 * A model's structure starts with a struct virtio_pci. In its realize: virtio_pci_init, then features and
 * virtio_queue_add, then virtio_pci_realize. Its device_type's reset, quiesce and destroy may be the functions below,
 * or call them.
 */
#ifndef HDL_HW_VIRTIO_VIRTIO_PCI_H
#define HDL_HW_VIRTIO_VIRTIO_PCI_H

#include "event/event_loop.h"
#include "hw/pci/pci.h"
#include "hw/virtio/virtio.h"

/* One queue's ear on its event loop. */
struct virtio_pci_ear {
    struct virtqueue *queue;
    struct bh leave; /* takes the watch away, on the loop's thread */
};

/*
 * pci locks itself as it says; virtio, and the registers (isr, vectors, selectors): device lock. leaving: counts what
 * quiesce still waits for, atomically.
 */
struct virtio_pci {
    struct pci_device pci;
    struct virtio_device virtio;
    struct virtio_options options; /* properties */
    uint32_t vectors;              /* property: 0: one a queue and one for configuration */
    struct region bar;             /* common, ISR, device, notify: 4 KiB each */
    unsigned window_capability;    /* offset of VIRTIO_PCI_CAP_PCI_CFG */
    uint32_t device_feature_select, driver_feature_select;
    uint16_t queue_select;
    uint16_t config_vector;
    uint8_t isr;
    struct virtio_pci_ear *ears; /* one a queue */
    unsigned ear_count;          /* that listen */
    struct device_work stop;     /* from quiesce */
    _Atomic unsigned leaving;
};

/* For a model's property table. type: its structure; proxy: path to its struct virtio_pci. */
#define VIRTIO_PCI_PROPERTIES(structure, proxy)                                                                        \
    PCI_DEVICE_PROPERTIES(structure, proxy.pci),                                                                       \
        {.name = "packed",                                                                                             \
         .type = PROPERTY_BOOL,                                                                                        \
         .offset = offsetof(structure, proxy.options.packed),                                                          \
         .default_value = "off",                                                                                       \
         .description = "Offer packed virtqueues"},                                                                    \
        {.name = "indirect_desc",                                                                                      \
         .type = PROPERTY_BOOL,                                                                                        \
         .offset = offsetof(structure, proxy.options.indirect_desc),                                                   \
         .default_value = "on",                                                                                        \
         .description = "Offer indirect descriptors"},                                                                 \
        {.name = "event_idx",                                                                                          \
         .type = PROPERTY_BOOL,                                                                                        \
         .offset = offsetof(structure, proxy.options.event_idx),                                                       \
         .default_value = "on",                                                                                        \
         .description = "Offer event indices"},                                                                        \
    {                                                                                                                  \
        .name = "vectors", .type = PROPERTY_U32, .offset = offsetof(structure, proxy.vectors), .default_value = "0",   \
        .max = 256, .description = "MSI-X vectors (0: one a queue and one more)"                                       \
    }

/* PCI class codes of models (24 bits). */
#define VIRTIO_PCI_CLASS_STORAGE 0x010000u /* SCSI storage, as other virtio block devices say */
#define VIRTIO_PCI_CLASS_SERIAL  0x078000u
#define VIRTIO_PCI_CLASS_OTHER   0x00ff00u

static inline struct virtio_pci *virtio_pci_of(struct device *device)
{
    return (struct virtio_pci *)device;
}

/* Configuration thread, first in realize. */
void virtio_pci_init(struct virtio_pci *proxy, const struct virtio_class *class);
/*
 * Configuration thread, last in realize (may block on the queues' loops). On failure nothing is left behind but what
 * virtio_pci_destroy frees: the model calls it then.
 */
int virtio_pci_realize(struct virtio_pci *proxy, uint32_t class_code, struct error **err);
/* device_type functions. */
void virtio_pci_reset(struct device *device);
bool virtio_pci_is_idle(struct device *device);
void virtio_pci_quiesce(struct device *device);
void virtio_pci_destroy(struct device *device);

#endif
