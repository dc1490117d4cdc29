/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading: json-c's strict parser, and what it would let through. A client may send anything; depth and length were
 * bounded before. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "monitor/json_frame.h"
#include "monitor/json_text.h"

static bool text_is_utf8(const char *text, size_t len_bytes)
{
    for (size_t at = 0; at < len_bytes;) {
        unsigned length;

        if (utf8_decode(text + at, len_bytes - at, &length) < 0) {
            return false;
        }
        at += length;
    }
    return true;
}

/* An integer that 64 bits, signed or not, can hold; or no integer. The parser would give the nearest that they can. */
static bool number_fits(const char *number, size_t len_bytes)
{
    for (size_t i = 0; i < len_bytes; i++) {
        if (strchr(".eE", number[i])) {
            return true;
        }
    }
    errno = 0;
    if (number[0] == '-') {
        strtoll(number, NULL, 10);
    } else {
        strtoull(number, NULL, 10);
    }
    return errno != ERANGE;
}

/*
 * What the parser would let through. C strings end at a NUL, so a name or a path with one in it would mean something
 * else later.
 */
static const char *text_problem(const char *text, size_t len_bytes)
{
    bool in_string = false;

    for (size_t at = 0; at < len_bytes; at++) {
        if (text[at] == '"') {
            in_string = !in_string;
        } else if (in_string && text[at] == '\\') {
            if (strncmp(text + at, "\\u0000", 6) == 0) {
                return "JSON parse error, NUL character in a string";
            }
            at++; /* what is escaped may be a quote */
        } else if (!in_string && (text[at] == '-' || (text[at] >= '0' && text[at] <= '9'))) {
            size_t number_bytes = strspn(text + at, "+-.0123456789eE");

            if (!number_fits(text + at, number_bytes)) {
                return "JSON parse error, number out of range";
            }
            at += number_bytes - 1;
        }
    }
    return NULL;
}

/* Counts members. False: a number that JSON can't express. Depth is bounded by the parser. */
static bool value_check(struct json_object *value, unsigned *members)
{
    if (json_object_is_type(value, json_type_double)) {
        return isfinite(json_object_get_double(value));
    }
    if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++) {
            if (!value_check(json_object_array_get_idx(value, i), members)) {
                return false;
            }
        }
    } else if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, name, member)
        {
            (void)name;
            (*members)++;
            if (!value_check(member, members)) {
                return false;
            }
        }
    }
    return true;
}

static const char *value_problem(struct json_object *value, unsigned colons)
{
    unsigned members = 0;

    if (!value_check(value, &members)) {
        return "JSON parse error, number out of range";
    }
    return members != colons ? "JSON parse error, duplicate key" : NULL;
}

static const char *tokener_problem(enum json_tokener_error problem)
{
    switch (problem) {
    case json_tokener_continue:
        return "JSON parse error, incomplete value";
    case json_tokener_error_parse_number:
        return "JSON parse error, invalid number";
    case json_tokener_error_parse_string:
        return "JSON parse error, invalid string";
    case json_tokener_error_parse_object_key_name:
        return "JSON parse error, key is not a string in object";
    case json_tokener_error_parse_object_key_sep:
        return "JSON parse error, missing : in object pair";
    default:
        return "JSON parse error, expecting value";
    }
}

static int text_parse(const char *text, size_t len_bytes, unsigned colons, struct json_object **value,
                      const char **error)
{
    struct json_tokener *tokener = json_tokener_new_ex(JSON_FRAME_MAX_DEPTH + 2);
    struct json_object *root;

    if (!tokener) {
        *error = "out of memory";
        return -EINVAL;
    }
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
    root = json_tokener_parse_ex(tokener, text, (int)len_bytes + 1); /* with the NUL: a number may end there */
    if (json_tokener_get_error(tokener) != json_tokener_success) {
        *error = tokener_problem(json_tokener_get_error(tokener));
    } else {
        *error = value_problem(root, colons);
    }
    json_tokener_free(tokener);
    if (*error) {
        json_object_put(root);
        return -EINVAL;
    }
    *value = root;
    return 0;
}

int json_text_read(const char *text, size_t len_bytes, unsigned colons, struct json_object **value, const char **error)
{
    *error = len_bytes >= INT_MAX             ? "JSON parse error, the message is too long"
             : !text_is_utf8(text, len_bytes) ? "JSON parse error, invalid UTF-8"
                                              : text_problem(text, len_bytes);
    return *error ? -EINVAL : text_parse(text, len_bytes, colons, value, error);
}
