/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `virtio-rng-pci`: an entropy device (virtio 1.2, 5.4). virtio_rng.c says what it models.
 *
 * Wiring, between device_create and device_realize: virtio_rng_wire. The property rng= is the id of an object, which
 * the machine looks up.
 */
#ifndef HDL_HW_VIRTIO_VIRTIO_RNG_H
#define HDL_HW_VIRTIO_VIRTIO_RNG_H

#include "device/device.h"
#include "event/clock.h"

struct rng_source;

extern const struct device_type virtio_rng_pci_type;

/* What rng= says, or NULL if it wasn't given. Configuration thread, before realize. */
const char *virtio_rng_source_id(struct device *device);
/* What it was wired to, or NULL. Configuration thread. */
const struct rng_source *virtio_rng_source(const struct device *device);
/*
 * source: NULL: the host kernel's generator. clock: the guest's, for the rate limit. Both outlive the device.
 * Configuration thread.
 */
void virtio_rng_wire(struct device *device, const struct rng_source *source, struct clock *clock);

#endif
