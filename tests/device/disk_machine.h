/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine with a virtio disk over a block node of the test's own: memory that can hold requests back, counts flushes
 * and fails on demand. And the disk driver's side: requests, made and looked at.
 */
#ifndef HDL_TESTS_DEVICE_DISK_MACHINE_H
#define HDL_TESTS_DEVICE_DISK_MACHINE_H

#include "block/driver.h"
#include "hw/virtio/virtio_blk.h"
#include "hw/virtio/virtio_blk_regs.h"
#include "virtio_driver.h"

#define DISK_BYTES    (1u << 20)
#define DISK_HELD_MAX 256

/* State of a "memory" node. Loop thread; hold, error: set by the test while nothing is under way. */
struct memory_disk {
    uint8_t data[DISK_BYTES];
    bool hold;
    int error; /* what data requests end with */
    struct block_request *held[DISK_HELD_MAX];
    unsigned held_count;
    _Atomic unsigned started, flushes;
};

extern const struct block_driver memory_disk_driver;

struct disk_machine {
    struct pci_machine machine;
    struct block_graph *graph;
    struct block_node *node;
    struct memory_disk *disk;
    struct device *device;
    struct virtio_driver driver;
};

/*
 * options: "num-queues=4,serial=x" for the device; node_options the same for the node, or NULL. loop: the device's, or
 * NULL for the machine's.
 */
void disk_open(struct disk_machine *m, const char *options, const char *node_options, struct event_loop *loop);
void disk_close(struct disk_machine *m);
/* Only creates, wires and realizes a device; -errno and the message on failure (the device is gone then). */
int disk_try_device(struct disk_machine *m, const char *options, struct event_loop *loop, struct device **device,
                    struct error **err);
/* Lets go of all that is held, in order. Loop thread. */
void disk_release(struct disk_machine *m);

/* A request of the driver's: header, data, status. */
struct disk_request {
    uint64_t header_gpa, data_gpa, status_gpa;
    uint32_t data_bytes;
    bool device_writes;
    int id; /* of the chain */
};

void disk_request_init(struct disk_machine *m, struct disk_request *request, uint32_t type, uint64_t sector,
                       uint32_t data_bytes, bool device_writes);
/* Makes it available, data in up to three pieces. */
void disk_request_add(struct driver_queue *queue, struct disk_request *request, bool indirect);
uint8_t disk_request_status(struct disk_machine *m, const struct disk_request *request);
void *disk_request_data(struct disk_machine *m, const struct disk_request *request);
/* Adds, kicks, polls and returns the status; checks the used length. */
uint8_t disk_run(struct disk_machine *m, struct disk_request *request, bool indirect);
/* A discard or write-zeroes request of one range. */
void disk_range_init(struct disk_machine *m, struct disk_request *request, uint32_t type, uint64_t sector,
                     uint32_t sectors, uint32_t flags);

#endif
