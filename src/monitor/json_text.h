/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON as text: reading one complete message strictly, and writing in the form that QMP clients know, ASCII only.
 * Pure functions on their arguments.
 */
#ifndef HDL_MONITOR_JSON_TEXT_H
#define HDL_MONITOR_JSON_TEXT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

/* Bytes that grow. All zero is empty. */
struct json_out {
    char *bytes; /* owned; not NUL-terminated */
    size_t len_bytes, capacity;
    bool failed; /* no memory: what is there isn't complete */
};

/*
 * Reads a message of a frame (json_frame.h: NUL-terminated), whose number of colons tells whether a member stands there
 * twice. Refused beyond bad grammar: bytes that aren't UTF-8 (RFC 3629), NUL characters, integers beyond 64 bits,
 * numbers too large for a double. 0 and a new value (NULL is JSON's null); or -EINVAL and a static text in *error.
 */
int json_text_read(const char *text, size_t len_bytes, unsigned colons, struct json_object **value, const char **error);
/*
 * Appends a value: {"a": [1, 2]}; pretty: on several lines, four spaces a level. Everything beyond ASCII is escaped,
 * and what isn't UTF-8 becomes U+FFFD, so that what comes out is valid whatever a file name or a message holds.
 */
void json_text_write(struct json_out *out, struct json_object *value, bool pretty);
void json_out_add(struct json_out *out, const char *bytes, size_t len_bytes);

#endif
