/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which kinds of device exist: the one visible table. */
#ifndef HDL_MACHINE_DEVICE_TYPES_H
#define HDL_MACHINE_DEVICE_TYPES_H

#include "device/device.h"

/* All of them, in the order of -device help; ends with NULL. */
extern const struct device_type *const device_types[];

/* By name or alias; NULL if there is none. */
const struct device_type *device_type_find(const char *name);

#endif
