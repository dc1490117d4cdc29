/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A line editor for somebody at the other end of a byte stream: keys come in one byte at a time, what the terminal is
 * to show goes out through a function. It owns no descriptor, asks for no terminal and never waits.
 *
 *              begin                  feed: Enter
 *    IDLE ----------------> EDITING ---------------> IDLE        (LINE_EDITOR_LINE)
 *                           |     ^
 *                 feed: Tab |     | complete                     (LINE_EDITOR_COMPLETE)
 *                           v     |
 *                          COMPLETING
 *
 * One thread at a time; no lock.
 */
#ifndef HDL_MONITOR_LINE_EDITOR_H
#define HDL_MONITOR_LINE_EDITOR_H

#include <stddef.h>
#include <stdint.h>

#include "monitor/completion.h"

/* A line at most, with its NUL. */
#define LINE_EDITOR_MAX_BYTES 4096
/* Lines that are remembered. */
#define LINE_EDITOR_HISTORY_MAX 64

enum line_editor_event {
    LINE_EDITOR_NOTHING,
    LINE_EDITOR_LINE,     /* line_editor_line is complete; line_editor_begin starts the next */
    LINE_EDITOR_COMPLETE, /* words are wanted for line_editor_before_cursor: line_editor_complete gives them */
};

/* Shows len_bytes (at least 1) on the terminal. Called from within the functions below. */
typedef void line_editor_write_fn(void *opaque, const char *bytes, size_t len_bytes);

struct line_editor;

/* IDLE. prompt: ASCII, less than half a line; copied. NULL when out of memory. */
struct line_editor *line_editor_create(const char *prompt, line_editor_write_fn *write, void *opaque);
/* NULL is allowed. */
void line_editor_destroy(struct line_editor *editor);

/* Shows the prompt and starts an empty line. In any state: what was being edited is given up. */
void line_editor_begin(struct line_editor *editor);
/*
 * One byte from the terminal, whatever it is. EDITING; in other states it is dropped, so a caller that wants to lose
 * nothing keeps it back until then.
 */
enum line_editor_event line_editor_feed(struct line_editor *editor, uint8_t byte);
/* Shows the line anew, below whatever else is on the terminal now. EDITING; else nothing. */
void line_editor_redraw(struct line_editor *editor);
/* The line, NUL-terminated valid UTF-8 without control characters; the editor's own until line_editor_begin. */
const char *line_editor_line(const struct line_editor *editor);
/* COMPLETING: a copy of the line up to the cursor. The caller frees; NULL when out of memory. */
char *line_editor_before_cursor(const struct line_editor *editor);
/* COMPLETING: types what all words agree on, or shows them if they agree on no more than is there. */
void line_editor_complete(struct line_editor *editor, const struct completion *completion);

/* The nth line that is remembered, oldest first; NULL beyond. The editor's own until the next LINE_EDITOR_LINE. */
const char *line_editor_history(const struct line_editor *editor, size_t n);

#endif
