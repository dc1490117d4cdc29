/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sessions of the monitor for people, on a chardev whose other side is the test, with one loop for everything. What
 * runs commands is a double: "echo TEXT" says TEXT, "big N" says N lines, "history" says what is remembered.
 */
#include "device/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chardev/chardev_internal.h"
#include "machine/machine.h"
#include "monitor/hmp.h"
#include "monitor/hmp_command.h"

#define GREETING "heddle 0 monitor - type 'help' for more information\r\n"
#define PROMPT   "(heddle) "

/* --- doubles ---------------------------------------------------------------------------------------------------- */

static struct event_loop *double_loop;
static unsigned double_runs;
static char double_last[64]; /* line that was run */

struct machine *monitor_machine(struct monitor *monitor)
{
    return NULL;
}

struct event_loop *machine_loop(struct machine *machine)
{
    return double_loop;
}

char *hmp_run_for(struct monitor *monitor, const char *command_line, const struct line_editor *editor)
{
    char *text = NULL;
    size_t len_bytes;
    FILE *out = open_memstream(&text, &len_bytes);

    double_runs++;
    snprintf(double_last, sizeof(double_last), "%s", command_line);
    if (strncmp(command_line, "echo ", 5) == 0) {
        fprintf(out, "%s\n", command_line + 5);
    } else if (strncmp(command_line, "big ", 4) == 0) {
        for (long i = strtol(command_line + 4, NULL, 10); i > 0; i--) {
            fprintf(out, "line %ld\n", i);
        }
    } else if (strcmp(command_line, "history") == 0) {
        for (size_t i = 0; line_editor_history(editor, i); i++) {
            fprintf(out, "%s;", line_editor_history(editor, i));
        }
        fputc('\n', out);
    }
    fclose(out);
    return text;
}

void hmp_complete(struct monitor *monitor, const char *before_cursor, struct completion *completion)
{
    *completion = (struct completion){.typed_bytes = strlen(before_cursor), .after = " "};
    completion_offer(completion, before_cursor, "echo");
    completion_offer(completion, before_cursor, "history");
}

/* --- the other side --------------------------------------------------------------------------------------------- */

static char *take(struct rig *rig, struct chardev *chardev)
{
    char *text = NULL;
    size_t len_bytes;
    FILE *out = open_memstream(&text, &len_bytes);
    char bytes[512];
    size_t count;

    do {
        rig_settle(rig);
        count = chardev_ringbuf_take(chardev, bytes, sizeof(bytes));
        fwrite(bytes, 1, count, out);
    } while (count > 0);
    fclose(out);
    return text;
}

static void assert_says(struct rig *rig, struct chardev *chardev, const char *expected)
{
    char *text = take(rig, chardev);

    assert_string_equal(text, expected);
    free(text);
}

static void type(struct chardev *chardev, const char *keys)
{
    chardev_ringbuf_put(chardev, keys, strlen(keys));
}

static struct hmp_session *session_start(struct rig *rig, struct chardev *chardev)
{
    struct hmp_session *session;

    double_loop = rig->loop;
    double_runs = 0;
    session = hmp_session_create(NULL, chardev, rig->loop, NULL);
    assert_non_null(session);
    return session;
}

/* --- tests ------------------------------------------------------------------------------------------------------ */

static void test_a_line_is_run(void **state)
{
    struct rig *rig = *state;
    struct chardev *chardev = rig_ringbuf(rig, "mon");
    struct hmp_session *session = session_start(rig, chardev);

    assert_says(rig, chardev, GREETING PROMPT);
    type(chardev, "echo one\r\n");
    assert_says(rig, chardev, "echo one\r\none\r\n" PROMPT);
    type(chardev, "echo two\necho three\necho fo");
    assert_says(rig, chardev, "echo two\r\ntwo\r\n" PROMPT "echo three\r\nthree\r\n" PROMPT "echo fo");
    type(chardev, "ur\nhistory\n");
    assert_says(rig, chardev,
                "ur\r\nfour\r\n" PROMPT "history\r\necho one;echo two;echo three;echo four;history;\r\n" PROMPT);
    hmp_session_destroy(session);
}

static void test_words_are_completed(void **state)
{
    struct rig *rig = *state;
    struct chardev *chardev = rig_ringbuf(rig, "mon");
    struct hmp_session *session = session_start(rig, chardev);

    assert_says(rig, chardev, GREETING PROMPT);
    type(chardev, "ec\tx\n");
    assert_says(rig, chardev, "echo x\r\nx\r\n" PROMPT);
    hmp_session_destroy(session);
}

/* A chardev of which somebody takes as much as the test lets them. */
static size_t narrow_room, narrow_taken;

static size_t narrow_write(struct chardev *chardev, const void *buffer, size_t len_bytes)
{
    size_t taken = MIN(len_bytes, narrow_room);

    narrow_room -= taken;
    narrow_taken += taken;
    return taken;
}

static const struct chardev_type narrow_type = {
    .name = "narrow", .description = "a test's", .size_bytes = sizeof(struct chardev), .write = narrow_write};

static void narrow_take(struct rig *rig, struct chardev *chardev, size_t len_bytes)
{
    narrow_room += len_bytes;
    chardev_tell_writable(chardev);
    rig_settle(rig);
}

static void test_who_does_not_read_is_not_heard(void **state)
{
    struct rig *rig = *state;
    struct chardev *chardev = chardev_create(&narrow_type, "mon", &rig->env);
    struct hmp_session *session;

    narrow_room = narrow_taken = 0;
    assert_int_equal(chardev_open(chardev, NULL), 0);
    chardev_set_connected(chardev, true);
    session = session_start(rig, chardev);
    chardev_feed(chardev, "big 1000\nbig 1000\necho end\n", 27);
    rig_settle(rig);
    assert_int_equal(double_runs, 0); /* not even the greeting is read */
    narrow_take(rig, chardev, 200);
    assert_int_equal(double_runs, 1);
    narrow_take(rig, chardev, 5000);
    assert_int_equal(double_runs, 1);
    narrow_take(rig, chardev, 10000);
    assert_int_equal(double_runs, 2);
    narrow_take(rig, chardev, 100000);
    assert_int_equal(double_runs, 3);
    hmp_session_destroy(session);
    chardev_destroy(chardev);
}

/* Somebody who says what is to be done and doesn't stay to hear. */
static void test_what_was_said_is_done(void **state)
{
    struct rig *rig = *state;
    struct chardev *chardev = chardev_create(&narrow_type, "mon", &rig->env);
    struct hmp_session *session;

    narrow_room = SIZE_MAX; /* nobody is there: it is dropped */
    assert_int_equal(chardev_open(chardev, NULL), 0);
    session = session_start(rig, chardev);
    chardev_set_connected(chardev, true);
    chardev_feed(chardev, "echo x\necho y\n", 14);
    chardev_set_connected(chardev, false);
    rig_settle(rig);
    assert_int_equal(double_runs, 2);
    chardev_set_connected(chardev, true);
    chardev_feed(chardev, "big 1\necho w\nhalf a li", 22);
    chardev_set_connected(chardev, false);
    chardev_set_connected(chardev, true); /* somebody else: not their line */
    chardev_feed(chardev, "echo z\n", 7);
    chardev_set_connected(chardev, false);
    rig_settle(rig);
    assert_int_equal(double_runs, 5);
    assert_string_equal(double_last, "echo z");
    hmp_session_destroy(session);
    chardev_destroy(chardev);
}

static void test_behind_a_mux_it_waits_to_be_looked_at(void **state)
{
    struct rig *rig = *state;
    struct chardev *lower = chardev_create(chardev_type_find("ringbuf", NULL), "con", &rig->env);
    struct chardev *first, *second;
    struct chardev_frontend other = {0};
    struct hmp_session *session;

    assert_int_equal(chardev_set_option(lower, "mux", "on", NULL), 0);
    assert_int_equal(chardev_open(lower, NULL), 0);
    assert_int_equal(chardev_table_add(rig->isa.chardevs, lower, NULL), 0);
    first = chardev_table_claim(rig->isa.chardevs, "con", NULL);
    assert_int_equal(chardev_attach(first, &other, NULL), 0);
    second = chardev_table_claim(rig->isa.chardevs, "con", NULL);
    session = session_start(rig, second);
    assert_says(rig, lower, "");
    type(lower, "\1c");
    assert_says(rig, lower, GREETING PROMPT);
    type(lower, "echo a");
    assert_says(rig, lower, "echo a");
    type(lower, "\1cserial\1c");
    assert_says(rig, lower, "\r\n\r" PROMPT "echo a\033[K");
    type(lower, "b\n");
    assert_says(rig, lower, "b\r\nab\r\n" PROMPT);
    hmp_session_destroy(session);
    chardev_detach(first, &other);
}

static void test_it_ends_at_any_moment(void **state)
{
    struct rig *rig = *state;
    struct chardev *chardev = rig_ringbuf(rig, "mon");

    for (unsigned rounds = 0; rounds < 8; rounds++) {
        struct hmp_session *session = session_start(rig, chardev);

        type(chardev, "echo x\nbig 5000\nec\t");
        for (unsigned i = 0; i < rounds; i++) {
            event_loop_poll(rig->loop, false);
        }
        hmp_session_destroy(session);
        free(take(rig, chardev));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_line_is_run, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_words_are_completed, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_who_does_not_read_is_not_heard, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_what_was_said_is_done, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_behind_a_mux_it_waits_to_be_looked_at, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_it_ends_at_any_moment, rig_setup, rig_teardown),
    };

    return rig_main(tests, ARRAY_SIZE(tests));
}
