/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which kinds of device exist: the one visible table. */
#ifndef HDL_MACHINE_DEVICE_TYPES_H
#define HDL_MACHINE_DEVICE_TYPES_H

#include "device/device.h"

/* All of them, in the order of -device help; ends with NULL. */
extern const struct device_type *const device_types[];

/* What a virtio function's name may end in, to say that it is a modern one. There are no others. */
#define DEVICE_NON_TRANSITIONAL "-non-transitional"
bool device_type_has_non_transitional(const struct device_type *type);
/* By name or alias; NULL if there is none. */
const struct device_type *device_type_find(const char *name);

#endif
