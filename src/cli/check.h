/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What check.c shares with help.c: finding types by name. */
#ifndef HDL_CLI_CHECK_H
#define HDL_CLI_CHECK_H

#include "base/error.h"
#include "device/device.h"

/* A kind of -object, and the keys it takes beside "id". */
struct object_type {
    const char *name;
    const char *description;
    const char *const *keys;
};

/* Ends with a NULL name. */
extern const struct object_type object_types[];

/* A type that -device may name; NULL and an error with the nearest name. */
const struct device_type *check_device_type(const char *name, struct error **err);

#endif
