/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writing. Values are heddle's own, or a client's `id`, whose depth the parser bounded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/utf8.h"
#include "monitor/json_text.h"

#define INDENT_BYTES    4u
#define OUT_FIRST_BYTES 256u

void json_out_add(struct json_out *out, const char *bytes, size_t len_bytes)
{
    if (out->failed || len_bytes == 0) {
        return;
    }
    if (out->capacity - out->len_bytes < len_bytes) {
        size_t least = MAX(out->len_bytes + len_bytes, (size_t)OUT_FIRST_BYTES);
        size_t capacity = MAX(out->capacity * 2, least);
        char *grown = realloc(out->bytes, capacity);

        if (!grown) {
            out->failed = true;
            return;
        }
        out->bytes = grown;
        out->capacity = capacity;
    }
    memcpy(out->bytes + out->len_bytes, bytes, len_bytes);
    out->len_bytes += len_bytes;
}

static void out_text(struct json_out *out, const char *text)
{
    json_out_add(out, text, strlen(text));
}

static void out_utf16(struct json_out *out, unsigned unit)
{
    char text[16];

    snprintf(text, sizeof(text), "\\u%04x", unit);
    out_text(out, text);
}

static void out_character(struct json_out *out, int32_t character)
{
    static const char named[] = "\bb\ff\nn\rr\tt\"\"\\\\";
    const char *name = character != 0 && character < 0x80 ? strchr(named, (int)character) : NULL;
    char byte = (char)character;

    if (name && (name - named) % 2 == 0) {
        char text[2] = {'\\', name[1]};

        json_out_add(out, text, sizeof(text));
    } else if (character >= 0x20 && character < 0x7f) {
        json_out_add(out, &byte, 1);
    } else if (character < 0x10000) {
        out_utf16(out, character < 0 ? 0xfffd : (unsigned)character);
    } else {
        out_utf16(out, 0xd800 + (((unsigned)character - 0x10000) >> 10));
        out_utf16(out, 0xdc00 + ((unsigned)character & 0x3ff));
    }
}

static void out_string(struct json_out *out, const char *text, size_t len_bytes)
{
    json_out_add(out, "\"", 1);
    for (size_t at = 0; at < len_bytes;) {
        unsigned length;

        out_character(out, utf8_decode(text + at, len_bytes - at, &length));
        at += length;
    }
    json_out_add(out, "\"", 1);
}

/* What stands before an element: a comma behind another, and a line of its own if pretty. */
static void out_separator(struct json_out *out, bool is_first, bool pretty, unsigned level)
{
    out_text(out, is_first ? "" : pretty ? "," : ", ");
    if (pretty) {
        json_out_add(out, "\n", 1);
        for (unsigned i = 0; i < level * INDENT_BYTES; i++) {
            json_out_add(out, " ", 1);
        }
    }
}

static void out_value(struct json_out *out, struct json_object *value, bool pretty, unsigned level);

static void out_object(struct json_out *out, struct json_object *value, bool pretty, unsigned level)
{
    bool is_first = true;

    json_out_add(out, "{", 1);
    json_object_object_foreach(value, name, member)
    {
        out_separator(out, is_first, pretty, level + 1);
        is_first = false;
        out_string(out, name, strlen(name));
        out_text(out, ": ");
        out_value(out, member, pretty, level + 1);
    }
    if (!is_first && pretty) {
        out_separator(out, true, pretty, level);
    }
    json_out_add(out, "}", 1);
}

static void out_array(struct json_out *out, struct json_object *value, bool pretty, unsigned level)
{
    size_t count = json_object_array_length(value);

    json_out_add(out, "[", 1);
    for (size_t i = 0; i < count; i++) {
        out_separator(out, i == 0, pretty, level + 1);
        out_value(out, json_object_array_get_idx(value, i), pretty, level + 1);
    }
    if (count > 0 && pretty) {
        out_separator(out, true, pretty, level);
    }
    json_out_add(out, "]", 1);
}

static void out_value(struct json_out *out, struct json_object *value, bool pretty, unsigned level)
{
    switch (json_object_get_type(value)) {
    case json_type_object:
        out_object(out, value, pretty, level);
        break;
    case json_type_array:
        out_array(out, value, pretty, level);
        break;
    case json_type_string:
        out_string(out, json_object_get_string(value), (size_t)json_object_get_string_len(value));
        break;
    default:
        out_text(out, json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
    }
}

void json_text_write(struct json_out *out, struct json_object *value, bool pretty)
{
    out_value(out, value, pretty, 0);
}
