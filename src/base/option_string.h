/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Option strings, in either of the two forms in which people and scripts write them. */
#ifndef HDL_BASE_OPTION_STRING_H
#define HDL_BASE_OPTION_STRING_H

#include "base/error.h"
#include "base/options.h"

/*
 * Adds what text says to options.
 *   key=value,key=value,flag    a comma in a value is written twice; "flag" is flag=on; if implied_key isn't NULL, a
 *                               first piece without "=" is its value
 *   {"key": value, ...}         JSON; nested objects and arrays make dotted keys; null is an empty text
 * what: the option's name, for messages. 0 or a negative errno; on failure options may hold a part.
 */
int option_string_parse(const char *text, const char *implied_key, const char *what, struct options *options,
                        struct error **err);

struct json_object; /* json-c's */

/* Adds a JSON object that was read already, as option_string_parse does. It isn't nested without bound. */
int option_json_add(struct json_object *object, const char *what, struct options *options, struct error **err);

#endif
