/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a client gives as JSON, as the options that the command line would have made of it. Pure. */
#ifndef HDL_MONITOR_JSON_OPTIONS_H
#define HDL_MONITOR_JSON_OPTIONS_H

#include <json-c/json.h>

#include "base/options.h"

/*
 * Adds all members of an object (option_json_add), but those named in `skip` (NULL-terminated). On failure what was
 * added stays. -EINVAL and an error for a fraction; -ENOMEM.
 */
int json_options_add(struct json_object *object, const char *const *skip, struct options *options, struct error **err);
/* Whether an id has the form that all may have: a letter, then letters, digits, '-', '.' and '_'. Else an error. */
int json_options_check_id(const char *name, const char *id, struct error **err);

#endif
