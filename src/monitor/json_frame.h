/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where one JSON message of a stream ends and the next begins, whatever the stream holds. A message is an object, an
 * array, a string, or a word (a number, true, or nonsense). Messages may follow each other with nothing in between.
 *
 * What is wrong is said once, and the stream goes on:
 *   a control character or a byte 0xff (no text has them)   ends what was begun; the next byte may begin a message. So
 *                                                           a client that has lost its place sends one, to start anew
 *   brackets that don't match, or too deep                  the rest of the line is skipped
 *   too long                                                skipped up to the message's own end
 *   a character that can't be there                         skipped up to the end of what was begun
 *
 * Strings in single quotes become strings in double quotes, so that a strict parser takes them. One thread; no lock.
 */
#ifndef HDL_MONITOR_JSON_FRAME_H
#define HDL_MONITOR_JSON_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A message at most. */
#define JSON_FRAME_MAX_BYTES (1u << 20)
/* Brackets within brackets at most: a bit each in json_frame.brackets. */
#define JSON_FRAME_MAX_DEPTH 64

enum json_frame_state {
    JSON_FRAME_BETWEEN,   /* before a message */
    JSON_FRAME_WORD,      /* in a number or a name that is a message by itself */
    JSON_FRAME_INSIDE,    /* within brackets */
    JSON_FRAME_STRING,    /* within quotes */
    JSON_FRAME_ESCAPE,    /* behind a backslash */
    JSON_FRAME_SKIP_LINE, /* until the end of the line */
};

/* All zero is the beginning of a stream. Private to json_frame.c but for text, len_bytes and colons. */
struct json_frame {
    char *text; /* the message, NUL-terminated once it is complete; owned */
    size_t len_bytes, capacity;
    unsigned colons; /* outside strings: as many as the message has members */
    enum json_frame_state state;
    uint64_t brackets; /* a bit a level, the innermost lowest: 1 for an object */
    unsigned depth;
    char quote;
    bool is_bad; /* an error was told: nothing is kept until the message ends */
};

enum json_frame_event {
    JSON_FRAME_MORE,    /* all bytes were taken, and no message is complete */
    JSON_FRAME_MESSAGE, /* text is one, until the next call */
    JSON_FRAME_ERROR,   /* *error says why (a static text) */
};

/* Takes bytes until something happens; *used is how many. Always makes progress unless len_bytes is 0. */
enum json_frame_event json_frame_feed(struct json_frame *frame, const uint8_t *bytes, size_t len_bytes, size_t *used,
                                      const char **error);
/* Forgets what was begun, and frees. The frame is then at the beginning of a stream. */
void json_frame_release(struct json_frame *frame);

#endif
