/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Short words for building JSON objects. `value` passes to the object. Without memory a member is null. */
#ifndef HDL_MONITOR_JSON_MAKE_H
#define HDL_MONITOR_JSON_MAKE_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

static inline void json_put(struct json_object *object, const char *name, struct json_object *value)
{
    json_object_object_add(object, name, value);
}

static inline void json_put_string(struct json_object *object, const char *name, const char *text)
{
    json_put(object, name, json_object_new_string(text));
}

static inline void json_put_bool(struct json_object *object, const char *name, bool value)
{
    json_put(object, name, json_object_new_boolean(value));
}

static inline void json_put_uint(struct json_object *object, const char *name, uint64_t value)
{
    json_put(object, name, json_object_new_uint64(value));
}

/* A new object at the end of an array, borrowed. */
static inline struct json_object *json_append_object(struct json_object *array)
{
    struct json_object *object = json_object_new_object();

    json_object_array_add(array, object);
    return object;
}

/* A new object as a member, borrowed. */
static inline struct json_object *json_put_object(struct json_object *object, const char *name)
{
    struct json_object *member = json_object_new_object();

    json_put(object, name, member);
    return member;
}

static inline struct json_object *json_put_array(struct json_object *object, const char *name)
{
    struct json_object *member = json_object_new_array();

    json_put(object, name, member);
    return member;
}

#endif
