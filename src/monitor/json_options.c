/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON to options, by the command line's rules. What a handler has read by itself isn't an option. */
#include "monitor/json_options.h"

#include <errno.h>
#include <stdlib.h>

#include "base/option_string.h"

int json_options_add(struct json_object *object, const char *const *skip, struct options *options, struct error **err)
{
    int ret = option_json_add(object, "arguments", options, err);

    for (; *skip; skip++) {
        free(options_take(options, *skip));
    }
    return ret;
}

int json_options_check_id(const char *name, const char *id, struct error **err)
{
    return option_id_is_valid(id) ? 0 : error_set(err, -EINVAL, "Parameter '%s' expects an identifier", name);
}
