/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The line editor against a terminal of one row: after each key, the row shows the prompt and the part of the line
 * around the cursor, and the terminal's cursor stands where the editor's is. Keys come from tables and from chance.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "monitor/line_editor.h"
#include "base/utf8.h"
#include "monitor/utf8_columns.h"

#define COLUMNS 80
#define PROMPT  "(test) "

/* A VT100's bottom row. cells: the character of each column, -1 in the second column of a wide one. */
struct terminal {
    int32_t cells[COLUMNS];
    size_t column;
    char input[64]; /* an escape sequence that isn't complete, or a character */
    size_t input_len;
    unsigned bells, rows;
};

static void terminal_clear(struct terminal *terminal, size_t from)
{
    for (size_t i = from; i < COLUMNS; i++) {
        terminal->cells[i] = ' ';
    }
}

static void terminal_print(struct terminal *terminal, int32_t character)
{
    unsigned columns = utf8_columns(character);

    assert_true(terminal->column + columns < COLUMNS); /* never the last one */
    for (unsigned i = 0; i < columns; i++) {
        terminal->cells[terminal->column++] = i == 0 ? character : -1;
    }
}

static void terminal_control(struct terminal *terminal, char byte)
{
    switch (byte) {
    case '\r':
        terminal->column = 0;
        break;
    case '\n':
        terminal->rows++;
        terminal_clear(terminal, 0);
        break;
    case '\a':
        terminal->bells++;
        break;
    case '\033':
        terminal->input[terminal->input_len++] = byte;
        break;
    default:
        fail_msg("control character %d", byte);
    }
}

static void terminal_sequence(struct terminal *terminal)
{
    unsigned number = 0;
    char final = 0;

    if (strcmp(terminal->input, "\033[K") == 0) {
        terminal_clear(terminal, terminal->column);
    } else if (strcmp(terminal->input, "\033[H") == 0) {
        terminal->column = 0;
    } else if (strcmp(terminal->input, "\033[2J") == 0) {
        terminal_clear(terminal, 0);
    } else if (sscanf(terminal->input, "\033[%u%c", &number, &final) == 2 && final == 'C' && number > 0) {
        terminal->column += number;
        assert_true(terminal->column < COLUMNS);
    } else {
        fail_msg("sequence %s", terminal->input + 1);
    }
}

static void terminal_byte(struct terminal *terminal, char byte)
{
    unsigned count;

    if (terminal->input_len == 0 && (unsigned char)byte < 0x20) {
        terminal_control(terminal, byte);
        return;
    }
    terminal->input[terminal->input_len++] = byte;
    assert_true(terminal->input_len < sizeof(terminal->input));
    terminal->input[terminal->input_len] = '\0';
    if (terminal->input[0] == '\033') {
        if (terminal->input_len > 2 && byte >= 0x40) {
            terminal_sequence(terminal);
            terminal->input_len = 0;
        }
    } else if (terminal->input_len == utf8_sequence_bytes((uint8_t)terminal->input[0])) {
        int32_t character = utf8_decode_printable(terminal->input, terminal->input_len, &count);

        assert_true(character >= 0);
        terminal_print(terminal, character);
        terminal->input_len = 0;
    }
}

/* --- an editor on it -------------------------------------------------------------------------------------------- */

struct desk {
    struct terminal terminal;
    struct line_editor *editor;
    char *out;
    size_t out_len;
    FILE *record; /* all that was shown */
    bool watch;   /* the terminal is one row: not for lines that end when they are longer */
    enum line_editor_event event;
};

static void desk_write(void *opaque, const char *bytes, size_t len_bytes)
{
    struct desk *desk = opaque;

    assert_true(len_bytes > 0);
    fwrite(bytes, 1, len_bytes, desk->record);
    for (size_t i = 0; desk->watch && i < len_bytes; i++) {
        terminal_byte(&desk->terminal, bytes[i]);
    }
}

static int desk_setup(void **state)
{
    struct desk *desk = calloc(1, sizeof(*desk));

    terminal_clear(&desk->terminal, 0);
    desk->record = open_memstream(&desk->out, &desk->out_len);
    desk->watch = true;
    desk->editor = line_editor_create(PROMPT, desk_write, desk);
    assert_non_null(desk->editor);
    line_editor_begin(desk->editor);
    *state = desk;
    return 0;
}

static int desk_teardown(void **state)
{
    struct desk *desk = *state;

    line_editor_destroy(desk->editor);
    fclose(desk->record);
    free(desk->out);
    free(desk);
    return 0;
}

static enum line_editor_event type_bytes(struct desk *desk, const char *keys, size_t count)
{
    desk->event = LINE_EDITOR_NOTHING;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(desk->event, LINE_EDITOR_NOTHING);
        desk->event = line_editor_feed(desk->editor, (uint8_t)keys[i]);
    }
    return desk->event;
}

static enum line_editor_event type(struct desk *desk, const char *keys)
{
    return type_bytes(desk, keys, strlen(keys));
}

/* What the row shows, and (from_cursor) only from the cursor on; the caller frees. Trailing blanks are left out. */
static char *row(struct desk *desk, bool from_cursor)
{
    size_t from = from_cursor ? desk->terminal.column : 0;
    size_t end = COLUMNS;
    char *text = calloc(COLUMNS - from + 1, 1);

    while (end > from && desk->terminal.cells[end - 1] == ' ') {
        end--;
    }
    for (size_t i = from; i < end; i++) {
        int32_t cell = desk->terminal.cells[i];

        text[i - from] = cell < 0 ? '_' : cell < 0x80 ? (char)cell : '?';
    }
    return text;
}

static void assert_row(struct desk *desk, const char *expected, size_t column)
{
    char *shown = row(desk, false);

    assert_string_equal(shown, expected);
    assert_int_equal(desk->terminal.column, column);
    free(shown);
}

/* Types keys and Enter on a fresh line; the line that comes of it. */
static void assert_line(struct desk *desk, const char *keys, const char *expected)
{
    type(desk, keys);
    assert_int_equal(type(desk, "\r"), LINE_EDITOR_LINE);
    assert_string_equal(line_editor_line(desk->editor), expected);
    line_editor_begin(desk->editor);
}

/* --- tests ------------------------------------------------------------------------------------------------------ */

static void test_typing_shows_what_was_typed(void **state)
{
    struct desk *desk = *state;

    type(desk, "info status");
    fflush(desk->record);
    assert_string_equal(desk->out, PROMPT "info status");
    assert_row(desk, PROMPT "info status", 18);
    assert_int_equal(type(desk, "\n"), LINE_EDITOR_LINE);
    assert_string_equal(line_editor_line(desk->editor), "info status");
    fflush(desk->record);
    assert_string_equal(desk->out, PROMPT "info status\r\n");
}

static void test_return_and_line_feed_are_one_enter(void **state)
{
    struct desk *desk = *state;

    assert_line(desk, "a", "a");
    assert_int_equal(type(desk, "\n"), LINE_EDITOR_NOTHING);
    assert_int_equal(type(desk, "\n"), LINE_EDITOR_LINE);
    line_editor_begin(desk->editor);
    assert_int_equal(type(desk, "\r"), LINE_EDITOR_LINE);
    line_editor_begin(desk->editor);
    assert_int_equal(type(desk, "x\n"), LINE_EDITOR_LINE);
}

static void test_keys(void **state)
{
    static const struct {
        const char *keys, *line;
    } cases[] = {
        {"ac\033[Db", "abc"},                  /* left */
        {"bc\033[H\033[Ca\001x", "xbac"},      /* home, right, Ctrl-A */
        {"bc\033[1~a\033[4~d", "abcd"},        /* home, end: Linux's console */
        {"bc\033[7~a\033[8~d", "abcd"},        /* rxvt's */
        {"bc\033OHa\033OFd", "abcd"},          /* application mode */
        {"ab\002\002x\006y\005z", "xaybz"},    /* Ctrl-B, F, E */
        {"abc\010\177d", "ad"},                /* backspace, both of them */
        {"abc\001\004", "bc"},                 /* Ctrl-D */
        {"abc\001\033[3~", "bc"},              /* delete */
        {"abc def\001\013", ""},               /* Ctrl-K */
        {"abc def\002\002\025x", "xef"},       /* Ctrl-U */
        {"one two  \027x", "one x"},           /* Ctrl-W */
        {"one two\027\031\031", "one twotwo"}, /* Ctrl-Y */
        {"abc\024", "acb"},                    /* Ctrl-T */
        {"abc\002\002\024", "bac"},
        {"a\024", "a"},
        {"\024", ""},
        {"one two three\033[1;5D\033[1;5Dx", "one xtwo three"}, /* Ctrl-left */
        {"one two\001\033[1;5Cx", "onex two"},                  /* Ctrl-right */
        {"one two\033b\033bx\033fy\001\033d", " two"},          /* Alt-b, f, d */
        {"abc\003de", "de"},                                    /* Ctrl-C */
        {"a\033[[Ab\033[15~c\033[<1;2Md", "abcd"},              /* keys that mean nothing */
        {"a\033[12\rb", "a"},                                   /* Enter ends a sequence (and the line) */
        {"\033[D\010\004\027\013x", "x"},                       /* at the beginning there is nothing before */
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct desk *desk = *state;

        for (const char *key = cases[i].keys; *key; key++) {
            if (type_bytes(desk, key, 1) == LINE_EDITOR_LINE) {
                break;
            }
        }
        if (desk->event != LINE_EDITOR_LINE) {
            type(desk, "\r");
        }
        if (strcmp(line_editor_line(desk->editor), cases[i].line) != 0) {
            fail_msg("case %zu: '%s' instead of '%s'", i, line_editor_line(desk->editor), cases[i].line);
        }
        line_editor_begin(desk->editor);
    }
}

static void test_characters_are_whole(void **state)
{
    struct desk *desk = *state;

    assert_line(desk, "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z\033[D\010\010\010", "az");
    assert_line(desk, "\xc3\xa4\xc3\xb6\024", "\xc3\xb6\xc3\xa4");
    assert_line(desk, "e\xcc\x81x\002\002y", "ye\xcc\x81x"); /* a combining accent goes with its letter */
    assert_line(desk, "e\xcc\x81\010", "");
    type(desk, "\xe4\xbd\xa0\xe5\xa5\xbd!\033[D");
    assert_row(desk, PROMPT "?_?_!", 7 + 4);
}

static void test_what_is_no_text_is_dropped(void **state)
{
    struct desk *desk = *state;

    assert_line(desk,
                "a\x80\xbf"
                "b",
                "ab"); /* continuations of nothing */
    assert_line(desk,
                "a\xc3"
                "b",
                "ab"); /* cut short */
    assert_line(desk,
                "a\xc0\xaf\xe0\x80\xaf"
                "b",
                "ab"); /* overlong */
    assert_line(desk,
                "a\xed\xa0\x80\xf4\x90\x80\x80"
                "b",
                "ab"); /* surrogate, beyond the last */
    assert_line(desk,
                "a\xc2\x9b"
                "2Jb",
                "a2Jb"); /* C1: CSI */
    assert_line(desk,
                "a\xff\xfe\x01\x02\x05"
                "b",
                "ab");
    type_bytes(desk, "a\0b", 3);
    assert_int_equal(type(desk, "\r"), LINE_EDITOR_LINE);
    assert_string_equal(line_editor_line(desk->editor), "ab");
}

static void test_history(void **state)
{
    struct desk *desk = *state;

    assert_line(desk, "first", "first");
    assert_line(desk, "second", "second");
    assert_line(desk, "second", "second"); /* once */
    assert_line(desk, "  ", "  ");         /* not at all */
    assert_string_equal(line_editor_history(desk->editor, 0), "first");
    assert_string_equal(line_editor_history(desk->editor, 1), "second");
    assert_null(line_editor_history(desk->editor, 2));
    type(desk, "thi\033[A");
    assert_row(desk, PROMPT "second", 7 + 6);
    type(desk, "\033[A\033[A\020");
    assert_row(desk, PROMPT "first", 7 + 5);
    type(desk, "\016\033[B\033[B\033OB");
    assert_row(desk, PROMPT "thi", 7 + 3);
    assert_line(desk, "rd", "third");
    assert_line(desk, "\033[A\033[A\033[Ax", "firstx");
    for (unsigned i = 0; i < 3 * LINE_EDITOR_HISTORY_MAX; i++) {
        char text[16];

        snprintf(text, sizeof(text), "line %u", i);
        assert_line(desk, text, text);
    }
    assert_string_equal(line_editor_history(desk->editor, 0), "line 128");
    assert_null(line_editor_history(desk->editor, LINE_EDITOR_HISTORY_MAX));
}

static void offer(struct desk *desk, const char *after, const char *const *words)
{
    struct completion completion = {.after = after};
    char *before = line_editor_before_cursor(desk->editor);
    const char *space = strrchr(before, ' ');
    const char *typed = space ? space + 1 : before;

    for (; *words; words++) {
        completion_offer(&completion, typed, *words);
    }
    completion.typed_bytes = strlen(typed);
    line_editor_complete(desk->editor, &completion);
    completion_release(&completion);
    free(before);
}

static void test_completion(void **state)
{
    struct desk *desk = *state;
    static const char *const words[] = {"status", "stop", "status", "cont", NULL};

    assert_int_equal(type(desk, "info s\t"), LINE_EDITOR_COMPLETE);
    assert_int_equal(line_editor_feed(desk->editor, 'x'), LINE_EDITOR_NOTHING); /* not now */
    offer(desk, " ", words);
    assert_row(desk, PROMPT "info st", 14);
    type(desk, "\t");
    offer(desk, " ", words); /* shows both, below */
    assert_int_equal(desk->terminal.rows, 2);
    fflush(desk->record);
    assert_non_null(strstr(desk->out, "\r\nstatus  stop"));
    assert_row(desk, PROMPT "info st", 14);
    type(desk, "a\t");
    offer(desk, " ", words);
    assert_row(desk, PROMPT "info status", 19); /* and a blank */
    type(desk, "x\t");
    offer(desk, " ", words);
    assert_int_equal(desk->terminal.bells, 1);
    assert_line(desk, "\001\013c\033[Dxnever", "xneverc");
}

static void test_completion_in_the_middle(void **state)
{
    struct desk *desk = *state;
    static const char *const words[] = {"status", NULL};
    static const char *const umlauts[] = {"\xc3\xa4", "\xc3\xb6", NULL};

    type(desk, "info sta x\002\002\t");
    offer(desk, NULL, words);
    assert_row(desk, PROMPT "info status x", 7 + 11);
    type(desk, "\003\t");
    offer(desk, NULL, umlauts); /* they share their first byte, and no character */
    type(desk, "z");
    assert_int_equal(type(desk, "\r"), LINE_EDITOR_LINE);
    assert_string_equal(line_editor_line(desk->editor), "z");
}

static void test_a_long_line_has_a_window(void **state)
{
    struct desk *desk = *state;
    char text[201] = {0};
    char *shown;

    for (size_t i = 0; i < 200; i++) {
        text[i] = (char)('a' + i % 26);
    }
    type(desk, text);
    shown = row(desk, false);
    assert_string_equal(shown + strlen(shown) - 10, text + 190);
    free(shown);
    type(desk, "\001");
    shown = row(desk, false);
    assert_int_equal(strlen(shown), COLUMNS - 1);
    assert_int_equal(strncmp(shown, PROMPT "abcdefgh", 15), 0);
    assert_int_equal(desk->terminal.column, 7);
    free(shown);
    for (unsigned i = 0; i < 200; i++) {
        shown = row(desk, true);
        assert_int_equal(strncmp(shown, text + i, strlen(shown)), 0);
        assert_true(strlen(shown) > 0);
        free(shown);
        type(desk, "\033[C");
    }
    desk->watch = false;
    type(desk, "\r"); /* shows it whole */
    fflush(desk->record);
    assert_string_equal(line_editor_line(desk->editor), text);
    assert_int_equal(strncmp(desk->out + desk->out_len - 202, text, 200), 0);
}

static void test_a_line_is_bounded(void **state)
{
    struct desk *desk = *state;

    for (unsigned i = 0; i < 3 * LINE_EDITOR_MAX_BYTES; i++) {
        line_editor_feed(desk->editor, i % 3 == 0 ? 0xe2 : i % 3 == 1 ? 0x82 : 0xac);
    }
    assert_true(desk->terminal.bells > 0);
    type(desk, "\001\013\031\031\031"); /* kills all of it and wants it three times */
    desk->watch = false;
    type(desk, "\r");
    assert_int_equal(strlen(line_editor_line(desk->editor)), LINE_EDITOR_MAX_BYTES - 1);
}

/* The line's text from the cursor on, as the editor has it, must be what the terminal has there. */
static void check_cursor(struct desk *desk)
{
    char *before = line_editor_before_cursor(desk->editor);
    size_t len = strlen(before);
    size_t at = desk->terminal.column;

    while (len > 0 && at > strlen(PROMPT)) {
        size_t previous = utf8_previous(before, len);
        unsigned count;
        int32_t character = utf8_decode_printable(before + previous, len - previous, &count);

        at -= utf8_columns(character);
        assert_int_equal(desk->terminal.cells[at], character);
        len = previous;
    }
    assert_int_equal(at, strlen(PROMPT));
    free(before);
}

static void test_hostile_bytes(void **state)
{
    static const char *const pieces[] = {
        "\033[A", "\033[B", "\033[C", "\033[D", "\033[", "\033O", "\xe4\xbd\xa0", "\xc3", "abc ", "\xf0\x9f\x98\x80",
        "\001",   "\005",   "\013",   "\025",   "\027",  "\031",  "\024",         "\010", "e",    "\014"};
    static const char *const words[] = {"abc", "abd", "\xc3\xa4", "\033[2J", "\xff", NULL};
    struct desk *desk = *state;
    uint32_t random = 1;

    for (unsigned i = 0; i < 60000; i++) {
        char one[2] = {0};
        const char *keys = one;

        random = random * 1664525 + 1013904223;
        if (random >> 28 == 0) {
            one[0] = (char)(random >> 8 | 1);
        } else {
            keys = pieces[(random >> 16) % ARRAY_SIZE(pieces)];
        }
        for (; *keys; keys++) {
            enum line_editor_event event;

            desk->watch = *keys != '\r' && *keys != '\n' && *keys != '\t';
            event = line_editor_feed(desk->editor, (uint8_t)*keys);
            if (event == LINE_EDITOR_COMPLETE) {
                offer(desk, " ", words);
            } else if (event == LINE_EDITOR_LINE) {
                line_editor_begin(desk->editor);
            }
            if (!desk->watch) {
                desk->watch = true;
                desk->terminal.input_len = 0;
                type(desk, "\014"); /* draws it anew */
            }
        }
        check_cursor(desk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_typing_shows_what_was_typed, desk_setup, desk_teardown),
        cmocka_unit_test_setup_teardown(test_return_and_line_feed_are_one_enter, desk_setup, desk_teardown),
        cmocka_unit_test_setup_teardown(test_keys, desk_setup, desk_teardown),
        cmocka_unit_test_setup_teardown(test_characters_are_whole, desk_setup, desk_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_text_is_dropped, desk_setup, desk_teardown),
        cmocka_unit_test_setup_teardown(test_history, desk_setup, desk_teardown),
        cmocka_unit_test_setup_teardown(test_completion, desk_setup, desk_teardown),
        cmocka_unit_test_setup_teardown(test_completion_in_the_middle, desk_setup, desk_teardown),
        cmocka_unit_test_setup_teardown(test_a_long_line_has_a_window, desk_setup, desk_teardown),
        cmocka_unit_test_setup_teardown(test_a_line_is_bounded, desk_setup, desk_teardown),
        cmocka_unit_test_setup_teardown(test_hostile_bytes, desk_setup, desk_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
