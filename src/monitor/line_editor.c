/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The line editor: keys to edits, edits to the few escape sequences that every terminal since the VT100 knows.
 *
 * Why not a library: readline, libedit and linenoise want a terminal's descriptor, change its settings, ask it for its
 * size, and wait in read(2). Here the terminal is behind a chardev (a socket, a mux, a pseudo-terminal), on an event
 * loop that must not wait.
 *
 * Nobody tells how wide the terminal is, so it is taken to be 80 columns wide or more, and a longer line is shown
 * through a window that follows the cursor. The last column stays empty: terminals don't agree on what comes after it.
 * Typing at the end of a line writes just what was typed, so the other end may as well be a program.
 *
 *            ESC            [                    0-9 ; and others
 *   GROUND ------> ESCAPED ------> CSI ----------.
 *      ^               | O          ^------------'
 *      |               '----> SS3   |
 *      '--- any other  <-------'----'  a final byte: the key. A control character ends a sequence and counts itself.
 *
 * The terminal's input is hostile: sequences are read through, not stored; a line is bounded, and holds only whole
 * characters that aren't control characters, so neither it nor anything shown from it can steer a terminal.
 */
#include "monitor/line_editor.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/utf8.h"
#include "monitor/utf8_columns.h"

#define COLUMNS 80

#define CTRL(letter) ((letter)&0x1f)
#define KEY_ESCAPE   0x1b
#define KEY_DELETE   0x7f

enum editor_state { EDITOR_IDLE, EDITOR_EDITING, EDITOR_COMPLETING };
enum input_state { INPUT_GROUND, INPUT_ESCAPED, INPUT_CSI, INPUT_SS3 };

/*
 * Offsets are in bytes and at the beginning of a character. line isn't terminated while it is edited; there is room
 * for its NUL. history: oldest first. recalled: which of them is shown; history_count: the line that is new, which
 * `typed` keeps meanwhile.
 */
struct line_editor {
    char *prompt;
    line_editor_write_fn *write;
    void *opaque;
    enum editor_state state;

    enum input_state input;
    unsigned parameters[2], parameter; /* of a CSI sequence: the first two numbers, and which is being read */
    char sequence[UTF8_MAX_BYTES];     /* the bytes of a character that isn't complete */
    unsigned sequence_bytes, sequence_wanted;
    bool after_return; /* a line feed that follows belongs to it */

    char line[LINE_EDITOR_MAX_BYTES];
    size_t len, cursor;
    size_t shown; /* where the window begins */
    char killed[LINE_EDITOR_MAX_BYTES];
    size_t killed_len;

    char *history[LINE_EDITOR_HISTORY_MAX];
    size_t history_count, recalled;
    char *typed;
};

/* --- showing ---------------------------------------------------------------------------------------------------- */

static void editor_show(struct line_editor *editor, const char *bytes, size_t len_bytes)
{
    if (len_bytes > 0) {
        editor->write(editor->opaque, bytes, len_bytes);
    }
}

static void editor_show_text(struct line_editor *editor, const char *text)
{
    editor_show(editor, text, strlen(text));
}

static void editor_bell(struct line_editor *editor)
{
    editor_show_text(editor, "\a");
}

/* How many columns of the line fit behind the prompt. */
static size_t editor_room(const struct line_editor *editor)
{
    return COLUMNS - 1 - strlen(editor->prompt);
}

/* Where a window that begins at `from` ends. */
static size_t editor_window_end(const struct line_editor *editor, size_t from)
{
    size_t columns = 0;
    size_t end = from;

    while (end < editor->len) {
        size_t next = utf8_next(editor->line, editor->len, end);

        columns += utf8_text_columns(editor->line + end, next - end);
        if (columns > editor_room(editor)) {
            break;
        }
        end = next;
    }
    return end;
}

/* Whether a window that begins at `from` holds the cursor and the character under it. */
static bool editor_window_holds_cursor(const struct line_editor *editor, size_t from)
{
    size_t under = utf8_next(editor->line, editor->len, editor->cursor);

    return from <= editor->cursor && utf8_text_columns(editor->line + from, under - from) <= editor_room(editor);
}

/* Moves the window so that it holds the cursor, a part of its width at once. False if it held it already. */
static bool editor_scroll(struct line_editor *editor)
{
    size_t wanted = editor->cursor < editor->shown ? editor_room(editor) / 3 : editor_room(editor) * 2 / 3;

    if (editor_window_holds_cursor(editor, editor->shown)) {
        return false;
    }
    editor->shown = editor->cursor;
    while (editor->shown > 0 &&
           utf8_text_columns(editor->line + editor->shown, editor->cursor - editor->shown) < wanted) {
        editor->shown = utf8_previous(editor->line, editor->shown);
    }
    return true;
}

/* Puts the terminal's cursor where ours is, which the window holds. */
static void editor_place_cursor(struct line_editor *editor)
{
    size_t column =
        strlen(editor->prompt) + utf8_text_columns(editor->line + editor->shown, editor->cursor - editor->shown);
    char text[32];

    snprintf(text, sizeof(text), "\r\033[%zuC", column);
    editor_show_text(editor, column > 0 ? text : "\r");
}

static void editor_draw(struct line_editor *editor)
{
    size_t end;

    editor_scroll(editor);
    end = editor_window_end(editor, editor->shown);
    editor_show_text(editor, "\r");
    editor_show_text(editor, editor->prompt);
    editor_show(editor, editor->line + editor->shown, end - editor->shown);
    editor_show_text(editor, "\033[K");
    if (editor->cursor != end) {
        editor_place_cursor(editor);
    }
}

/* --- editing ---------------------------------------------------------------------------------------------------- */

static void editor_move(struct line_editor *editor, size_t to)
{
    if (to == editor->cursor) {
        return;
    }
    editor->cursor = to;
    if (editor_scroll(editor)) {
        editor_draw(editor);
    } else {
        editor_place_cursor(editor);
    }
}

/* Puts valid text before the cursor, all of it or (with a bell) nothing. */
static bool editor_insert(struct line_editor *editor, const char *text, size_t len_bytes)
{
    bool at_end = editor->cursor == editor->len;

    if (len_bytes >= sizeof(editor->line) - editor->len) {
        editor_bell(editor);
        return false;
    }
    memmove(editor->line + editor->cursor + len_bytes, editor->line + editor->cursor, editor->len - editor->cursor);
    memcpy(editor->line + editor->cursor, text, len_bytes);
    editor->len += len_bytes;
    editor->cursor += len_bytes;
    if (editor_scroll(editor) || !at_end) {
        editor_draw(editor);
    } else {
        editor_show(editor, text, len_bytes);
    }
    return true;
}

static void editor_remove(struct line_editor *editor, size_t from, size_t to)
{
    if (from == to) {
        return;
    }
    memmove(editor->line + from, editor->line + to, editor->len - to);
    editor->len -= to - from;
    editor->cursor = from;
    editor_draw(editor);
}

/* As remove, for what may be wanted back. */
static void editor_kill(struct line_editor *editor, size_t from, size_t to)
{
    if (from != to) {
        memcpy(editor->killed, editor->line + from, to - from);
        editor->killed_len = to - from;
        editor_remove(editor, from, to);
    }
}

static void editor_replace(struct line_editor *editor, const char *text)
{
    editor->len = strnlen(text, sizeof(editor->line) - 1);
    memcpy(editor->line, text, editor->len);
    editor->cursor = editor->len;
    editor->shown = 0;
    editor_draw(editor);
}

static size_t editor_word_before(const struct line_editor *editor)
{
    size_t at = editor->cursor;

    while (at > 0 && editor->line[at - 1] == ' ') {
        at--;
    }
    while (at > 0 && editor->line[at - 1] != ' ') {
        at--;
    }
    return at;
}

static size_t editor_word_after(const struct line_editor *editor)
{
    size_t at = editor->cursor;

    while (at < editor->len && editor->line[at] == ' ') {
        at++;
    }
    while (at < editor->len && editor->line[at] != ' ') {
        at++;
    }
    return at;
}

/* Swaps the characters on both sides of the cursor, or the last two, and goes on. */
static void editor_transpose(struct line_editor *editor)
{
    size_t second = editor->cursor == editor->len ? utf8_previous(editor->line, editor->cursor) : editor->cursor;
    size_t first = utf8_previous(editor->line, second);
    size_t end = utf8_next(editor->line, editor->len, second);
    char copy[LINE_EDITOR_MAX_BYTES];

    if (first == second || second == end) {
        return;
    }
    memcpy(copy, editor->line + first, second - first);
    memmove(editor->line + first, editor->line + second, end - second);
    memcpy(editor->line + first + (end - second), copy, second - first);
    editor->cursor = end;
    editor_draw(editor);
}

/* --- history ---------------------------------------------------------------------------------------------------- */

static void editor_remember(struct line_editor *editor)
{
    char *copy;

    if (strspn(editor->line, " ") == editor->len ||
        (editor->history_count > 0 && strcmp(editor->history[editor->history_count - 1], editor->line) == 0)) {
        return;
    }
    copy = strdup(editor->line);
    if (!copy) {
        return;
    }
    if (editor->history_count == LINE_EDITOR_HISTORY_MAX) {
        free(editor->history[0]);
        memmove(editor->history, editor->history + 1, (LINE_EDITOR_HISTORY_MAX - 1) * sizeof(editor->history[0]));
        editor->history_count--;
    }
    editor->history[editor->history_count++] = copy;
}

static void editor_recall(struct line_editor *editor, size_t n)
{
    if (n > editor->history_count) {
        return;
    }
    if (editor->recalled == editor->history_count) {
        free(editor->typed);
        editor->typed = strndup(editor->line, editor->len);
    }
    editor->recalled = n;
    if (n < editor->history_count) {
        editor_replace(editor, editor->history[n]);
    } else {
        editor_replace(editor, editor->typed ? editor->typed : "");
    }
}

static void editor_recall_older(struct line_editor *editor)
{
    if (editor->recalled > 0) {
        editor_recall(editor, editor->recalled - 1);
    }
}

static void editor_recall_newer(struct line_editor *editor)
{
    if (editor->recalled < editor->history_count) {
        editor_recall(editor, editor->recalled + 1);
    }
}

/* --- keys ------------------------------------------------------------------------------------------------------- */

static enum line_editor_event editor_enter(struct line_editor *editor)
{
    if (editor->shown > 0 || editor_window_end(editor, 0) < editor->len) {
        editor_show_text(editor, "\r");
        editor_show_text(editor, editor->prompt);
        editor_show(editor, editor->line, editor->len);
    }
    editor_show_text(editor, "\r\n");
    editor->line[editor->len] = '\0';
    editor->state = EDITOR_IDLE;
    editor_remember(editor);
    return LINE_EDITOR_LINE;
}

static void editor_clear_screen(struct line_editor *editor)
{
    editor_show_text(editor, "\033[H\033[2J");
    editor_draw(editor);
}

static void editor_give_up(struct line_editor *editor)
{
    editor_show_text(editor, "^C\r\n");
    line_editor_begin(editor);
}

static enum line_editor_event editor_control(struct line_editor *editor, uint8_t byte)
{
    bool is_second = byte == '\n' && editor->after_return;

    editor->after_return = byte == '\r';
    switch (byte) {
    case '\n':
        return is_second ? LINE_EDITOR_NOTHING : editor_enter(editor);
    case '\r':
        return editor_enter(editor);
    case '\t':
        editor->state = EDITOR_COMPLETING;
        return LINE_EDITOR_COMPLETE;
    case KEY_ESCAPE:
        editor->input = INPUT_ESCAPED;
        break;
    case CTRL('A'):
        editor_move(editor, 0);
        break;
    case CTRL('B'):
        editor_move(editor, utf8_previous(editor->line, editor->cursor));
        break;
    case CTRL('C'):
        editor_give_up(editor);
        break;
    case CTRL('D'):
        editor_remove(editor, editor->cursor, utf8_next(editor->line, editor->len, editor->cursor));
        break;
    case CTRL('E'):
        editor_move(editor, editor->len);
        break;
    case CTRL('F'):
        editor_move(editor, utf8_next(editor->line, editor->len, editor->cursor));
        break;
    case CTRL('H'):
    case KEY_DELETE:
        editor_remove(editor, utf8_previous(editor->line, editor->cursor), editor->cursor);
        break;
    case CTRL('K'):
        editor_kill(editor, editor->cursor, editor->len);
        break;
    case CTRL('L'):
        editor_clear_screen(editor);
        break;
    case CTRL('N'):
        editor_recall_newer(editor);
        break;
    case CTRL('P'):
        editor_recall_older(editor);
        break;
    case CTRL('T'):
        editor_transpose(editor);
        break;
    case CTRL('U'):
        editor_kill(editor, 0, editor->cursor);
        break;
    case CTRL('W'):
        editor_kill(editor, editor_word_before(editor), editor->cursor);
        break;
    case CTRL('Y'):
        editor_insert(editor, editor->killed, editor->killed_len);
        break;
    default:
        break;
    }
    return LINE_EDITOR_NOTHING;
}

/* Keys that send ESC and a letter: Alt. */
static void editor_alt(struct line_editor *editor, uint8_t byte)
{
    switch (byte) {
    case 'b':
        editor_move(editor, editor_word_before(editor));
        break;
    case 'f':
        editor_move(editor, editor_word_after(editor));
        break;
    case 'd':
        editor_kill(editor, editor->cursor, editor_word_after(editor));
        break;
    default:
        break;
    }
}

/* The last byte of a CSI or SS3 sequence. xterm adds ";5" for Ctrl and ";3" for Alt. */
static void editor_function_key(struct line_editor *editor, uint8_t final)
{
    static const char by_number[] = {[1] = 'H', [3] = 'X', [4] = 'F', [7] = 'H', [8] = 'F'};
    bool by_word = editor->parameters[1] == 5 || editor->parameters[1] == 3;

    if (final == '~') {
        final = editor->parameters[0] < sizeof(by_number) ? (uint8_t)by_number[editor->parameters[0]] : 0;
    }
    switch (final) {
    case 'A':
        editor_recall_older(editor);
        break;
    case 'B':
        editor_recall_newer(editor);
        break;
    case 'C':
        editor_move(editor, by_word ? editor_word_after(editor) : utf8_next(editor->line, editor->len, editor->cursor));
        break;
    case 'D':
        editor_move(editor, by_word ? editor_word_before(editor) : utf8_previous(editor->line, editor->cursor));
        break;
    case 'H':
        editor_move(editor, 0);
        break;
    case 'F':
        editor_move(editor, editor->len);
        break;
    case 'X':
        editor_remove(editor, editor->cursor, utf8_next(editor->line, editor->len, editor->cursor));
        break;
    default:
        break;
    }
}

/* --- bytes ------------------------------------------------------------------------------------------------------ */

static void editor_csi_byte(struct line_editor *editor, uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        if (editor->parameter < ARRAY_SIZE(editor->parameters) && editor->parameters[editor->parameter] < 1000) {
            editor->parameters[editor->parameter] = editor->parameters[editor->parameter] * 10 + (byte - '0');
        }
    } else if (byte == ';') {
        editor->parameter += editor->parameter < ARRAY_SIZE(editor->parameters);
    } else if (byte == '[') {
        editor->input = INPUT_ESCAPED; /* Linux's console sends ESC [ [ A for F1, which means no more than Alt-A */
    } else if (byte >= 0x40) {
        editor->input = INPUT_GROUND;
        editor_function_key(editor, byte);
    }
}

static void editor_escaped_byte(struct line_editor *editor, uint8_t byte)
{
    editor->parameter = editor->parameters[0] = editor->parameters[1] = 0;
    editor->input = byte == '[' ? INPUT_CSI : byte == 'O' ? INPUT_SS3 : INPUT_GROUND;
    if (editor->input == INPUT_GROUND) {
        editor_alt(editor, byte);
    }
}

/* A byte of a character. What never becomes one is dropped. */
static void editor_text_byte(struct line_editor *editor, uint8_t byte)
{
    bool is_continuation = (byte & 0xc0) == 0x80;
    unsigned count;

    editor->after_return = false;
    if (!is_continuation) {
        editor->sequence_bytes = 0;
        editor->sequence_wanted = utf8_sequence_bytes(byte);
    }
    if (editor->sequence_bytes >= editor->sequence_wanted) {
        return;
    }
    editor->sequence[editor->sequence_bytes++] = (char)byte;
    if (editor->sequence_bytes == editor->sequence_wanted) {
        if (utf8_decode_printable(editor->sequence, editor->sequence_bytes, &count) >= 0) {
            editor_insert(editor, editor->sequence, editor->sequence_bytes);
        }
        editor->sequence_bytes = editor->sequence_wanted = 0;
    }
}

enum line_editor_event line_editor_feed(struct line_editor *editor, uint8_t byte)
{
    if (editor->state != EDITOR_EDITING) {
        return LINE_EDITOR_NOTHING;
    }
    if (byte < 0x20 || byte == KEY_DELETE) {
        editor->input = INPUT_GROUND;
        editor->sequence_bytes = editor->sequence_wanted = 0;
        return editor_control(editor, byte);
    }
    switch (editor->input) {
    case INPUT_GROUND:
        editor_text_byte(editor, byte);
        break;
    case INPUT_ESCAPED:
        editor_escaped_byte(editor, byte);
        break;
    case INPUT_CSI:
        editor_csi_byte(editor, byte);
        break;
    case INPUT_SS3:
        editor->input = INPUT_GROUND;
        editor_function_key(editor, byte);
        break;
    }
    return LINE_EDITOR_NOTHING;
}

/* --- completion ------------------------------------------------------------------------------------------------- */

static bool editor_is_valid(const char *text, size_t len_bytes)
{
    unsigned count;

    for (size_t i = 0; i < len_bytes; i += count) {
        if (utf8_decode_printable(text + i, len_bytes - i, &count) < 0) {
            return false;
        }
    }
    return true;
}

/* The words in columns, below the line. */
static void editor_show_words(struct line_editor *editor, const struct completion *completion)
{
    size_t widest = 0;
    size_t column = 0;

    for (size_t i = 0; i < completion->count; i++) {
        widest = MAX(widest, utf8_text_columns(completion->words[i], strlen(completion->words[i])));
    }
    editor_show_text(editor, "\r\n");
    for (size_t i = 0; i < completion->count; i++) {
        size_t columns = utf8_text_columns(completion->words[i], strlen(completion->words[i]));

        if (!editor_is_valid(completion->words[i], strlen(completion->words[i]))) {
            continue;
        }
        if (column > 0 && column + widest >= COLUMNS) {
            editor_show_text(editor, "\r\n");
            column = 0;
        }
        editor_show_text(editor, completion->words[i]);
        column += widest + 2;
        for (; column < COLUMNS && columns < widest + 2; columns++) {
            editor_show_text(editor, " ");
        }
    }
    editor_show_text(editor, "\r\n");
    editor_draw(editor);
}

void line_editor_complete(struct line_editor *editor, const struct completion *completion)
{
    size_t common = completion_common_bytes(completion);
    size_t typed = completion->typed_bytes;

    if (editor->state != EDITOR_COMPLETING) {
        return;
    }
    editor->state = EDITOR_EDITING;
    assert(typed <= editor->cursor);
    if (common > 0) {
        /* Words may differ within a character. */
        while (common > typed && !editor_is_valid(completion->words[0], common)) {
            common--;
        }
    }
    if (common > typed) {
        editor_insert(editor, completion->words[0] + typed, common - typed);
    } else if (completion->count > 1) {
        editor_show_words(editor, completion);
    }
    if (completion->count == 1 && completion->after) {
        editor_insert(editor, completion->after, strlen(completion->after));
    }
    if (completion->count == 0) {
        editor_bell(editor);
    }
}

/* --- life ------------------------------------------------------------------------------------------------------- */

struct line_editor *line_editor_create(const char *prompt, line_editor_write_fn *write, void *opaque)
{
    struct line_editor *editor = calloc(1, sizeof(*editor));

    assert(strlen(prompt) < COLUMNS / 2);
    if (!editor) {
        return NULL;
    }
    editor->write = write;
    editor->opaque = opaque;
    editor->prompt = strdup(prompt);
    if (!editor->prompt) {
        free(editor);
        return NULL;
    }
    return editor;
}

void line_editor_destroy(struct line_editor *editor)
{
    if (!editor) {
        return;
    }
    for (size_t i = 0; i < editor->history_count; i++) {
        free(editor->history[i]);
    }
    free(editor->typed);
    free(editor->prompt);
    free(editor);
}

void line_editor_begin(struct line_editor *editor)
{
    editor->state = EDITOR_EDITING;
    editor->input = INPUT_GROUND;
    editor->sequence_bytes = editor->sequence_wanted = 0;
    editor->len = editor->cursor = editor->shown = 0;
    editor->recalled = editor->history_count;
    editor_show_text(editor, editor->prompt);
}

void line_editor_redraw(struct line_editor *editor)
{
    if (editor->state == EDITOR_EDITING) {
        editor_show_text(editor, "\r\n");
        editor_draw(editor);
    }
}

const char *line_editor_line(const struct line_editor *editor)
{
    return editor->line;
}

char *line_editor_before_cursor(const struct line_editor *editor)
{
    return strndup(editor->line, editor->cursor);
}

const char *line_editor_history(const struct line_editor *editor, size_t n)
{
    return n < editor->history_count ? editor->history[n] : NULL;
}
