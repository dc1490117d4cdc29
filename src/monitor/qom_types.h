/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names and properties of types as QMP knows them: what qom_tree.c and qom_types.c share. Constant. */
#ifndef HDL_MONITOR_QOM_TYPES_H
#define HDL_MONITOR_QOM_TYPES_H

#include <json-c/json.h>

#include "device/device.h"
#include "device/property.h"

/* "bool", "uint32", "size", "str", ... */
const char *qom_property_type(const struct property *property);
/* The value that text is for a property of that type; a new one. */
struct json_object *qom_property_value(const struct property *property, const char *text);

#endif
