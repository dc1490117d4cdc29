/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A scanner of brackets and quotes. It doesn't know JSON's grammar: it finds a message's end, refuses what no JSON text
 * has outside a string, and bounds length and depth before anything is parsed.
 *
 * Each byte goes through json_frame_step once. A byte that ends a word without belonging to it is looked at again as
 * the first of the next message.
 */
#include "monitor/json_frame.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

#define TEXT_FIRST_BYTES 512u
/* What is kept between messages: a client that sends one long message doesn't hold its memory for ever. */
#define TEXT_KEPT_BYTES 65536u

enum step {
    STEP_MORE,
    STEP_ERROR,
    STEP_MESSAGE,
    STEP_MESSAGE_BEFORE, /* and the byte isn't part of it */
    STEP_AGAIN,          /* what was bad ended before the byte */
};

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* Never part of a message: whoever sends it wants to start anew, or has gone astray. */
static bool is_break(uint8_t byte, bool in_string)
{
    return byte == 0xff || (byte < 0x20 && (in_string || !is_blank(byte)));
}

/* Outside strings: what numbers, true, false and null are made of. No others, so that no parser finds NaN there. */
static bool is_word(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '+' || byte == '-' || byte == '.' ||
           byte == 'E';
}

static void frame_begin(struct json_frame *frame)
{
    if (frame->capacity > TEXT_KEPT_BYTES) {
        free(frame->text);
        frame->text = NULL;
        frame->capacity = 0;
    }
    frame->len_bytes = 0;
    frame->colons = 0;
    frame->depth = 0;
    frame->brackets = 0;
    frame->is_bad = false;
    frame->state = JSON_FRAME_BETWEEN;
}

/* Room for one more byte and a NUL. */
static bool frame_grow(struct json_frame *frame)
{
    size_t capacity = MAX(frame->capacity * 2, (size_t)TEXT_FIRST_BYTES);
    char *text;

    if (frame->len_bytes + 2 <= frame->capacity) {
        return true;
    }
    text = realloc(frame->text, capacity);
    if (text) {
        frame->text = text;
        frame->capacity = capacity;
    }
    return text != NULL;
}

/* Tells an error of the message that is being read, unless one was told already. */
static enum step frame_fail(struct json_frame *frame, const char *why, const char **error)
{
    if (frame->is_bad) {
        return STEP_MORE;
    }
    frame->is_bad = true;
    *error = why;
    return STEP_ERROR;
}

static enum step frame_keep(struct json_frame *frame, uint8_t byte, const char **error)
{
    if (frame->is_bad) {
        return STEP_MORE;
    }
    if (frame->len_bytes >= JSON_FRAME_MAX_BYTES) {
        return frame_fail(frame, "JSON parse error, the message is longer than 1 MiB", error);
    }
    if (!frame_grow(frame)) {
        return frame_fail(frame, "out of memory", error);
    }
    frame->text[frame->len_bytes++] = (char)byte;
    return STEP_MORE;
}

/* The message's last byte is kept: it is complete, or was bad and is over. */
static enum step frame_end(struct json_frame *frame, enum step complete)
{
    bool is_bad = frame->is_bad;

    frame->state = JSON_FRAME_BETWEEN;
    frame->is_bad = false;
    if (is_bad) {
        return complete == STEP_MESSAGE_BEFORE ? STEP_AGAIN : STEP_MORE;
    }
    frame->text[frame->len_bytes] = '\0';
    return complete;
}

/* As it; keeping the last byte may have been what failed. */
static enum step frame_end_with(struct json_frame *frame, enum step kept)
{
    enum step step = frame_end(frame, STEP_MESSAGE);

    return kept == STEP_ERROR ? kept : step;
}

static enum step frame_skip_line(struct json_frame *frame, const char *why, const char **error)
{
    enum step step = frame_fail(frame, why, error);

    frame->state = JSON_FRAME_SKIP_LINE;
    return step;
}

static enum step frame_open(struct json_frame *frame, uint8_t byte, const char **error)
{
    if (frame->depth == JSON_FRAME_MAX_DEPTH) {
        return frame_skip_line(frame, "JSON parse error, the message is nested more than 64 deep", error);
    }
    frame->depth++;
    frame->brackets = frame->brackets << 1 | (byte == '{');
    frame->state = JSON_FRAME_INSIDE;
    return frame_keep(frame, byte, error);
}

static enum step frame_close(struct json_frame *frame, uint8_t byte, const char **error)
{
    enum step step;

    if ((frame->brackets & 1) != (byte == '}')) {
        return frame_skip_line(frame, "JSON parse error, brackets don't match", error);
    }
    frame->depth--;
    frame->brackets >>= 1;
    step = frame_keep(frame, byte, error);
    return frame->depth > 0 ? step : frame_end_with(frame, step);
}

static enum step frame_open_quote(struct json_frame *frame, uint8_t byte, const char **error)
{
    frame->quote = (char)byte;
    frame->state = JSON_FRAME_STRING;
    return frame_keep(frame, '"', error);
}

static enum step frame_between(struct json_frame *frame, uint8_t byte, const char **error)
{
    if (is_blank(byte)) {
        return STEP_MORE;
    }
    frame_begin(frame);
    switch (byte) {
    case '{':
    case '[':
        return frame_open(frame, byte, error);
    case '"':
    case '\'':
        return frame_open_quote(frame, byte, error);
    case '}':
    case ']':
        return frame_skip_line(frame, "JSON parse error, a bracket is closed that wasn't opened", error);
    default:
        frame->state = JSON_FRAME_WORD;
        return frame_keep(frame, byte, error);
    }
}

static bool is_structural(uint8_t byte)
{
    return byte == '{' || byte == '}' || byte == '[' || byte == ']' || byte == '"' || byte == '\'';
}

static enum step frame_word(struct json_frame *frame, uint8_t byte, const char **error)
{
    if (is_blank(byte) || is_structural(byte)) {
        return frame_end(frame, STEP_MESSAGE_BEFORE);
    }
    return frame_keep(frame, byte, error);
}

static enum step frame_inside(struct json_frame *frame, uint8_t byte, const char **error)
{
    switch (byte) {
    case '{':
    case '[':
        return frame_open(frame, byte, error);
    case '}':
    case ']':
        return frame_close(frame, byte, error);
    case '"':
    case '\'':
        return frame_open_quote(frame, byte, error);
    case ':':
        frame->colons++;
        return frame_keep(frame, byte, error);
    default:
        if (byte != ',' && !is_blank(byte) && !is_word(byte)) {
            return frame_fail(frame, "JSON parse error, stray character", error);
        }
        return frame_keep(frame, byte, error);
    }
}

static enum step frame_string(struct json_frame *frame, uint8_t byte, const char **error)
{
    enum step step;

    if (byte == '\\') {
        frame->state = JSON_FRAME_ESCAPE;
        return STEP_MORE; /* kept with what follows */
    }
    if (byte == (uint8_t)frame->quote) {
        step = frame_keep(frame, '"', error);
        frame->state = JSON_FRAME_INSIDE;
        return frame->depth > 0 ? step : frame_end_with(frame, step);
    }
    if (byte == '"' && frame_keep(frame, '\\', error) == STEP_ERROR) {
        return STEP_ERROR;
    }
    return frame_keep(frame, byte, error);
}

static enum step frame_escape(struct json_frame *frame, uint8_t byte, const char **error)
{
    frame->state = JSON_FRAME_STRING;
    if (byte != '\'' && frame_keep(frame, '\\', error) == STEP_ERROR) {
        return STEP_ERROR;
    }
    return frame_keep(frame, byte, error);
}

/* Ends whatever there is. Many in a row are one error. */
static enum step frame_break(struct json_frame *frame, bool in_string, const char **error)
{
    frame->state = JSON_FRAME_BETWEEN;
    return frame_fail(frame,
                      in_string ? "JSON parse error, control character in a string"
                                : "JSON parse error, stray control character",
                      error);
}

static enum step json_frame_step(struct json_frame *frame, uint8_t byte, const char **error)
{
    bool in_string = frame->state == JSON_FRAME_STRING || frame->state == JSON_FRAME_ESCAPE;

    if (is_break(byte, in_string)) {
        return frame_break(frame, in_string, error);
    }
    switch (frame->state) {
    case JSON_FRAME_BETWEEN:
        return frame_between(frame, byte, error);
    case JSON_FRAME_WORD:
        return frame_word(frame, byte, error);
    case JSON_FRAME_INSIDE:
        return frame_inside(frame, byte, error);
    case JSON_FRAME_STRING:
        return frame_string(frame, byte, error);
    case JSON_FRAME_ESCAPE:
        return frame_escape(frame, byte, error);
    case JSON_FRAME_SKIP_LINE:
        return byte == '\n' ? frame_end(frame, STEP_MESSAGE) : STEP_MORE; /* it is bad, so this is none */
    }
    return STEP_MORE;
}

enum json_frame_event json_frame_feed(struct json_frame *frame, const uint8_t *bytes, size_t len_bytes, size_t *used,
                                      const char **error)
{
    size_t at = 0;

    while (at < len_bytes) {
        enum step step = json_frame_step(frame, bytes[at], error);

        at += step != STEP_MESSAGE_BEFORE && step != STEP_AGAIN;
        *used = at;
        if (step == STEP_ERROR) {
            return JSON_FRAME_ERROR;
        }
        if (step == STEP_MESSAGE || step == STEP_MESSAGE_BEFORE) {
            return JSON_FRAME_MESSAGE;
        }
    }
    *used = at;
    return JSON_FRAME_MORE;
}

void json_frame_release(struct json_frame *frame)
{
    free(frame->text);
    *frame = (struct json_frame){0};
}
