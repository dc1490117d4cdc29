/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON to options. Depth was bounded by the parser. */
#include "monitor/json_options.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int options_add_value(struct json_object *value, const char *key, struct options *options, struct error **err);

static int options_add_child(struct json_object *value, const char *prefix, const char *name, struct options *options,
                             struct error **err)
{
    HDL_AUTO_FREE char *key = NULL;

    if (asprintf(&key, "%s.%s", prefix, name) < 0) {
        key = NULL;
        return error_set(err, -ENOMEM, "out of memory");
    }
    return options_add_value(value, key, options, err);
}

static int options_add_nested(struct json_object *value, const char *key, struct options *options, struct error **err)
{
    int ret = 0;

    json_object_object_foreach(value, name, member)
    {
        ret = ret < 0 ? ret : options_add_child(member, key, name, options, err);
    }
    return ret;
}

static int options_add_array(struct json_object *value, const char *key, struct options *options, struct error **err)
{
    int ret = 0;

    for (size_t i = 0; ret == 0 && i < json_object_array_length(value); i++) {
        char index[24];

        snprintf(index, sizeof(index), "%zu", i);
        ret = options_add_child(json_object_array_get_idx(value, i), key, index, options, err);
    }
    return ret;
}

static int options_add_value(struct json_object *value, const char *key, struct options *options, struct error **err)
{
    switch (json_object_get_type(value)) {
    case json_type_object:
        return options_add_nested(value, key, options, err);
    case json_type_array:
        return options_add_array(value, key, options, err);
    case json_type_boolean:
        return options_set(options, key, json_object_get_boolean(value) ? "on" : "off");
    case json_type_null:
        return options_set(options, key, "");
    case json_type_int:
    case json_type_string:
        return options_set(options, key, json_object_get_string(value));
    default:
        return error_set(err, -EINVAL, "Invalid parameter type for '%s', expected: integer", key);
    }
}

int json_options_add(struct json_object *object, const char *const *skip, struct options *options, struct error **err)
{
    int ret = 0;

    json_object_object_foreach(object, name, value)
    {
        const char *const *word = skip;

        while (*word && strcmp(*word, name) != 0) {
            word++;
        }
        if (ret == 0 && !*word) {
            ret = options_add_value(value, name, options, err);
        }
    }
    return ret;
}

int json_options_check_id(const char *name, const char *id, struct error **err)
{
    bool good = isalpha((unsigned char)id[0]);

    for (const char *at = id; good && *at; at++) {
        good = isalnum((unsigned char)*at) || strchr("-._", *at);
    }
    return good ? 0 : error_set(err, -EINVAL, "Parameter '%s' expects an identifier", name);
}
