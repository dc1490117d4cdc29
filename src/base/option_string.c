/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parser of option strings. It only splits; what keys and values mean is for those who asked. No state. Its input
 * is an operator's or a program's, and may be malformed in any way.
 */
#include "base/option_string.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

/* --- key=value -------------------------------------------------------------------------------------------------- */

/* Copies a value up to a single comma or the end; two commas make one. Returns where it stopped; NULL: no memory. */
static const char *value_copy(const char *text, char **copy)
{
    char *out = malloc(strlen(text) + 1);
    size_t used = 0;

    if (!out) {
        return NULL;
    }
    while (*text && !(text[0] == ',' && text[1] != ',')) {
        text += text[0] == ',';
        out[used++] = *text++;
    }
    out[used] = '\0';
    *copy = out;
    return text;
}

/* One piece: key=value, a flag, or the implied key's value. Returns where it stopped; NULL: *ret says why. */
static const char *piece_parse(const char *text, const char *implied_key, const char *what, struct options *options,
                               int *ret, struct error **err)
{
    size_t key_len = strcspn(text, "=,");
    HDL_AUTO_FREE char *key = NULL;
    HDL_AUTO_FREE char *value = NULL;
    bool has_value = text[key_len] == '=';

    if (has_value || !implied_key) {
        key = strndup(text, key_len);
        text += key_len + (has_value ? 1 : 0);
    } else {
        key = strdup(implied_key);
    }
    if (key && !has_value && !implied_key) {
        value = strdup("on");
    } else if (key) {
        text = value_copy(text, &value);
    }
    if (!key || !value) {
        *ret = error_set(err, -ENOMEM, "out of memory");
        return NULL;
    }
    if (key[0] == '\0') {
        *ret = error_set(err, -EINVAL, "%s: there is an option without a name", what);
        return NULL;
    }
    *ret = options_set(options, key, value);
    return *ret < 0 ? NULL : text;
}

static int pieces_parse(const char *text, const char *implied_key, const char *what, struct options *options,
                        struct error **err)
{
    int ret = 0;

    if (*text == '\0') {
        return error_set(err, -EINVAL, "%s: the argument is empty", what);
    }
    while (*text) {
        text = piece_parse(text, implied_key, what, options, &ret, err);
        if (!text) {
            return ret;
        }
        implied_key = NULL;
        text += *text == ',';
    }
    return 0;
}

/* --- JSON ------------------------------------------------------------------------------------------------------- */

static int json_add(struct json_object *value, const char *key, const char *what, struct options *options,
                    struct error **err);

static int json_add_child(struct json_object *value, const char *prefix, const char *name, const char *what,
                          struct options *options, struct error **err)
{
    HDL_AUTO_FREE char *key = NULL;

    if (asprintf(&key, "%s%s%s", prefix, prefix[0] ? "." : "", name) < 0) {
        key = NULL;
        return error_set(err, -ENOMEM, "out of memory");
    }
    return json_add(value, key, what, options, err);
}

static int json_add_object(struct json_object *value, const char *key, const char *what, struct options *options,
                           struct error **err)
{
    int ret = 0;

    json_object_object_foreach(value, name, member)
    {
        ret = json_add_child(member, key, name, what, options, err);
        if (ret < 0) {
            break;
        }
    }
    return ret;
}

static int json_add_array(struct json_object *value, const char *key, const char *what, struct options *options,
                          struct error **err)
{
    int ret = 0;

    for (size_t i = 0; ret == 0 && i < json_object_array_length(value); i++) {
        char index[24];

        snprintf(index, sizeof(index), "%zu", i);
        ret = json_add_child(json_object_array_get_idx(value, i), key, index, what, options, err);
    }
    return ret;
}

/* Depth is bounded by the limits of whoever read the text. */
static int json_add(struct json_object *value, const char *key, const char *what, struct options *options,
                    struct error **err)
{
    switch (json_object_get_type(value)) {
    case json_type_object:
        return json_add_object(value, key, what, options, err);
    case json_type_array:
        return json_add_array(value, key, what, options, err);
    case json_type_boolean:
        return options_set(options, key, json_object_get_boolean(value) ? "on" : "off");
    case json_type_null: /* "backing": null is a node without one */
        return options_set(options, key, "");
    case json_type_int:
    case json_type_string:
        return options_set(options, key, json_object_get_string(value));
    default:
        return error_set(err, -EINVAL, "%s: '%s' must be a string, a whole number, true, false, null or an object",
                         what, key);
    }
}

int option_json_add(struct json_object *object, const char *what, struct options *options, struct error **err)
{
    return json_add_object(object, "", what, options, err);
}

static int json_parse(const char *text, const char *what, struct options *options, struct error **err)
{
    struct json_tokener *tokener = json_tokener_new();
    struct json_object *root = NULL;
    size_t len = strlen(text);
    int ret;

    if (!tokener) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    root = json_tokener_parse_ex(tokener, text, (int)len);
    if (json_tokener_get_error(tokener) != json_tokener_success) {
        enum json_tokener_error problem = json_tokener_get_error(tokener);

        ret =
            error_set(err, -EINVAL, "%s: bad JSON at character %zu: %s", what, json_tokener_get_parse_end(tokener) + 1,
                      problem == json_tokener_continue ? "it isn't complete" : json_tokener_error_desc(problem));
    } else if (json_tokener_get_parse_end(tokener) + strspn(text + json_tokener_get_parse_end(tokener), " \t\r\n") !=
               len) {
        ret = error_set(err, -EINVAL, "%s: something follows the JSON object", what);
    } else {
        ret = json_add(root, "", what, options, err);
    }
    json_object_put(root);
    json_tokener_free(tokener);
    return ret;
}

int option_string_parse(const char *text, const char *implied_key, const char *what, struct options *options,
                        struct error **err)
{
    if (text[0] == '{') {
        return json_parse(text, what, options, err);
    }
    return pieces_parse(text, implied_key, what, options, err);
}
