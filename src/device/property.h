/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a person may set on a device, as data: the option parser sets properties from "-device X,name=value" or JSON,
 * and "-device X,help" prints them, with no code of the device's own.
 */
#ifndef HDL_DEVICE_PROPERTY_H
#define HDL_DEVICE_PROPERTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum property_type {
    PROPERTY_BOOL,        /* bool: on/off, yes/no, true/false */
    PROPERTY_U8,          /* uint8_t  */
    PROPERTY_U16,         /* uint16_t */
    PROPERTY_U32,         /* uint32_t: decimal or 0x hex, within min..max */
    PROPERTY_U64,         /* uint64_t */
    PROPERTY_SIZE,        /* uint64_t bytes, with k, M, G, T suffixes */
    PROPERTY_STRING,      /* char *, owned by the object */
    PROPERTY_ON_OFF_AUTO, /* enum on_off_auto */
    PROPERTY_PCI_ADDR,    /* int32_t devfn, "slot[.function]" in hex; -1: any */
};

enum on_off_auto { OPT_AUTO, OPT_ON, OPT_OFF };

/* One property. A table of them ends with a NULL name. */
struct property {
    const char *name;
    enum property_type type;
    size_t offset;             /* in the device's structure */
    const char *default_value; /* as somebody would type it; NULL: zero / empty */
    uint64_t min, max;         /* integers; both 0: the type's own range */
    const char *description;
};

/* Sets every property of the table to its default. */
void property_set_defaults(void *object, const struct property *table);
/* Sets one from text. An unknown name is reported with the nearest valid one. */
int property_set(void *object, const struct property *table, const char *name, const char *value, struct error **err);
/*
 * What property_set would have to be given for the value that is there: "on", "4096", "06.0", "" for no string. Returns
 * a new text, which the caller frees; NULL when out of memory. Nobody may be setting it.
 */
char *property_get(const void *object, const struct property *property);
/* Frees what strings own. */
void property_release(void *object, const struct property *table);
/* "bool", "uint32", "size", "str", ... as -device X,help prints them. */
const char *property_type_name(enum property_type type);

#endif
