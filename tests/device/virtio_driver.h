/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver's side of virtio over PCI, played by a test: finds the capabilities, negotiates, and runs split or packed
 * queues with or without indirect tables and event indices (virtio 1.2, 2.7 and 2.8).
 *
 * A well-behaved driver by itself; a hostile test writes to ring memory through the pointers in driver_queue. One
 * thread uses a driver; ring fields that the device touches too are accessed atomically.
 */
#ifndef HDL_TESTS_DEVICE_VIRTIO_DRIVER_H
#define HDL_TESTS_DEVICE_VIRTIO_DRIVER_H

#include "hw/virtio/virtio_pci.h"
#include "pci_machine.h"

#define DRIVER_QUEUES     8
#define DRIVER_QUEUE_SIZE 1024

struct driver_buffer {
    uint64_t gpa;
    uint32_t len_bytes;
    bool writable;
};

/* A descriptor as in memory, either kind. */
struct driver_desc {
    _Atomic uint64_t address;
    _Atomic uint64_t word;
};

struct driver_queue {
    struct virtio_driver *driver;
    unsigned index, size;
    bool packed, event_idx;
    uint64_t desc_gpa, driver_gpa, device_gpa, notify_gpa;
    struct driver_desc *desc;
    _Atomic uint16_t *avail; /* split: flags, idx, ring, used_event; packed: driver's event suppression */
    _Atomic uint16_t *used;  /* split: as 16-bit words; packed: device's event suppression */
    uint16_t avail_index, used_index;
    bool avail_wrap, used_wrap;
    unsigned free_count; /* descriptors */
    uint16_t free[DRIVER_QUEUE_SIZE];
    unsigned free_ids;
    uint16_t slots[DRIVER_QUEUE_SIZE]; /* descriptors that the chain of an id takes */
    uint16_t added;                    /* ring positions since the last kick */
};

struct virtio_driver {
    struct pci_machine *machine;
    unsigned devfn;
    uint64_t common, isr, config, notify; /* addresses */
    uint32_t notify_multiplier;
    uint64_t msix; /* address of the table, 0: none */
    uint64_t features;
    struct driver_queue queues[DRIVER_QUEUES];
};

/* BARs must have been assigned. */
void virtio_driver_open(struct virtio_driver *driver, struct pci_machine *machine, unsigned devfn);
/* Resets, and negotiates `wanted` out of what is offered. Returns status. */
uint8_t virtio_driver_negotiate(struct virtio_driver *driver, uint64_t wanted);
uint64_t virtio_driver_offered(struct virtio_driver *driver);
/* MSI-X on; vector v sends data 0x100 + v. */
void virtio_driver_enable_msix(struct virtio_driver *driver, unsigned vectors);
/* Allocates, programs and enables a queue; vector VIRTIO_NO_VECTOR: none. size 0: as offered. */
struct driver_queue *virtio_driver_queue(struct virtio_driver *driver, unsigned index, unsigned size, unsigned vector);
void virtio_driver_ok(struct virtio_driver *driver);
uint8_t virtio_driver_status(struct virtio_driver *driver);
void virtio_driver_reset(struct virtio_driver *driver);
/* Everything at once: negotiate, MSI-X, `queues` queues of `size`, DRIVER_OK. */
void virtio_driver_start(struct virtio_driver *driver, uint64_t wanted, unsigned queues, unsigned size);

/* Makes a chain available. Its id, or -1 when the ring is full. */
int driver_queue_add(struct driver_queue *queue, const struct driver_buffer *buffers, unsigned count, bool indirect);
/* Notifies if the device wants it, or in any case. Returns whether it did. */
bool driver_queue_kick(struct driver_queue *queue, bool always);
/* One used chain, if there is one. */
bool driver_queue_get(struct driver_queue *queue, uint16_t *id, uint32_t *len_bytes);
/* Wants an interrupt for the next used chain, or (event index) for the `after`th from now. */
void driver_queue_want_interrupt(struct driver_queue *queue, unsigned after);
void driver_queue_want_no_interrupt(struct driver_queue *queue);

/* A descriptor, raw. flags and id/next as in the queue's kind. */
void driver_desc_set(struct driver_queue *queue, unsigned index, uint64_t gpa, uint32_t len_bytes, uint16_t flags,
                     uint16_t id_or_next);
/* Split: makes a head available and moves idx. Packed: nothing to do but set the flags. */
void driver_avail_raw(struct driver_queue *queue, uint16_t head);

#endif
