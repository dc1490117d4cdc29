/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The devices that somebody asks for: -device, -serial and device_add. Configuration thread, no lock held. */
#ifndef HDL_MACHINE_USER_DEVICES_H
#define HDL_MACHINE_USER_DEVICES_H

#include "machine/backends.h"
#include "machine/config.h"
#include "machine/pc.h"

/* Adds COM ports, then the devices in the configuration's order. On failure those that were added stay the board's. */
int user_devices_add(struct pc *pc, const struct machine_config *config, struct backends *backends, struct error **err);
/* Adds one; the guest can see it when this returns, and is told if `announce`. */
int user_device_add(struct pc *pc, const struct config_device *config, struct backends *backends, bool announce,
                    struct error **err);

/*
 * Completes a device's options by what -global says of its type. The last -global of a property counts; what the device
 * says itself counts more.
 */
int user_device_apply_globals(const struct machine_config *config, struct config_device *device, struct error **err);

bool user_device_uses_object(const struct device *device, const struct backend_object *object);
/* Who has to stay as long as the device does, because it is plugged into it: a port's virtio-serial-pci. Else NULL. */
struct device *user_device_parent(struct device *device);

#endif
