/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What check.c shares with the others: finding types by name, and trying properties. */
#ifndef HDL_CLI_CHECK_H
#define HDL_CLI_CHECK_H

#include "base/error.h"
#include "base/options.h"
#include "device/device.h"

/* A kind of -object, and the keys it takes beside "id". */
struct object_type {
    const char *name;
    const char *description;
    const char *const *keys;
};

/* Ends with a NULL name. */
extern const struct object_type object_types[];

/* A type that -device may name; NULL and an error with the nearest name. what: the option, for the message. */
const struct device_type *check_device_type(const char *what, const char *name, struct error **err);
/* Tries all options but those in `skip` (NULL-terminated) on a scratch object. table: NULL if it has no properties. */
int check_properties(const struct property *table, size_t object_bytes, const struct options *options,
                     const char *const *skip, struct error **err);

#endif
