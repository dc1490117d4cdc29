/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `virtio-blk-pci`: a disk (virtio 1.2, 5.2). virtio_blk.c says what it models.
 *
 * Wiring, between device_create and device_realize: virtio_blk_wire. The property drive= names the node. The device's
 * loop (what iothread= says, which the machine looks up) becomes the node's: requests are made there.
 */
#ifndef HDL_HW_VIRTIO_VIRTIO_BLK_H
#define HDL_HW_VIRTIO_VIRTIO_BLK_H

#include "device/device.h"

struct block_graph;

extern const struct device_type virtio_blk_pci_type;

/* Where drive= is looked up. Configuration thread; the graph outlives the device. */
void virtio_blk_wire(struct device *device, struct block_graph *graph);

#endif
