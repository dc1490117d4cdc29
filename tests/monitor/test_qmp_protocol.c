/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QMP's protocol with no machine: framing, negotiation, errors, order, and clients that are hostile, slow or gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "qmp_fixture.h"

#define CAPABILITIES "{'execute':'qmp_capabilities'}\n"
#define DONE         "{\"return\": {}}\r\n"

static int setup(void **state)
{
    *state = malloc(sizeof(struct fixture));
    return *state && fixture_init(*state) ? 0 : -1;
}

static int teardown(void **state)
{
    fixture_destroy(*state);
    free(*state);
    return 0;
}

static void say(struct fixture *fixture, unsigned n, const char *text)
{
    client_send(fixture, &fixture->clients[n], text, strlen(text));
}

/* What the answer to a text is; client 0. */
static const char *answer(struct fixture *fixture, const char *text)
{
    client_heard(&fixture->clients[0]);
    say(fixture, 0, text);
    return fixture->clients[0].len_bytes ? client_heard(&fixture->clients[0]) : "";
}

static void begin(struct fixture *fixture, unsigned n)
{
    client_connect(&fixture->clients[n]);
    fixture_settle(fixture);
    say(fixture, n, CAPABILITIES);
    client_heard(&fixture->clients[n]);
}

#define assert_answer(fixture, text, expected) assert_string_equal(answer(fixture, text), expected)

static char *error_text(char *buffer, size_t size, const char *class, const char *text)
{
    snprintf(buffer, size, "{\"error\": {\"class\": \"%s\", \"desc\": \"%s\"}}\r\n", class, text);
    return buffer;
}

static void assert_error(struct fixture *fixture, const char *text, const char *class, const char *expected)
{
    char buffer[512];

    assert_answer(fixture, text, error_text(buffer, sizeof(buffer), class, expected));
}

static unsigned count_of(const char *text, const char *piece)
{
    unsigned count = 0;

    for (; (text = strstr(text, piece)) != NULL; text += strlen(piece)) {
        count++;
    }
    return count;
}

/* --- negotiation ------------------------------------------------------------------------------------------------ */

static void test_negotiation(void **state)
{
    struct fixture *fixture = *state;
    const char *greeting;

    client_connect(&fixture->clients[0]);
    fixture_settle(fixture);
    greeting = client_heard(&fixture->clients[0]);
    assert_non_null(strstr(greeting, "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": "));
    assert_non_null(strstr(greeting, "\"package\": \"heddle "));
    assert_non_null(strstr(greeting, "\"capabilities\": [\"oob\"]}}\r\n"));
    assert_error(fixture, "{'execute':'noop'}", "CommandNotFound",
                 "Expecting capabilities negotiation with 'qmp_capabilities'");
    assert_error(fixture, "{'execute':'qmp_capabilities','arguments':{'enable':['x']}}", "GenericError",
                 "Parameter 'enable' does not accept value 'x'");
    assert_error(fixture, "{'execute':'qmp_capabilities','arguments':{'enable':'oob'}}", "GenericError",
                 "Invalid parameter type for 'enable', expected: array");
    qmp_server_event(fixture->server, "TOO_EARLY", NULL);
    assert_answer(fixture, CAPABILITIES, DONE);
    assert_error(fixture, CAPABILITIES, "CommandNotFound",
                 "Capabilities negotiation is already complete, command ignored");
    assert_answer(fixture, "{'execute':'noop'}", DONE);
    assert_error(fixture, "{'execute':'none'}", "CommandNotFound", "The command none has not been found");
    /* the next client starts anew */
    client_disconnect(&fixture->clients[0]);
    client_connect(&fixture->clients[0]);
    fixture_settle(fixture);
    assert_non_null(strstr(client_heard(&fixture->clients[0]), "\"QMP\""));
    assert_error(fixture, "{'execute':'noop'}", "CommandNotFound",
                 "Expecting capabilities negotiation with 'qmp_capabilities'");
}

static void test_ids(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture, 0);
    assert_answer(fixture, "{'execute':'noop','id':{'a':[1,null,18446744073709551615]}}",
                  "{\"return\": {}, \"id\": {\"a\": [1, null, 18446744073709551615]}}\r\n");
    assert_answer(fixture, "{'execute':'noop','id':null}", "{\"return\": {}, \"id\": null}\r\n");
    assert_answer(fixture, "{'execute':'noop','id':1.50}", "{\"return\": {}, \"id\": 1.50}\r\n");
    assert_answer(fixture, "{'id':\"\\u00e9'\xc3\xa9\\ud83d\\ude00\\n\",'execute':'noop'}",
                  "{\"return\": {}, \"id\": \"\\u00e9'\\u00e9\\ud83d\\ude00\\n\"}\r\n");
    assert_answer(fixture, "{'execute':'none','id':7}",
                  "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command none has not been found\"}, "
                  "\"id\": 7}\r\n");
    assert_answer(fixture, "{'execute':'noop','id':-9223372036854775808}{'execute':'noop','id':2}",
                  "{\"return\": {}, \"id\": -9223372036854775808}\r\n{\"return\": {}, \"id\": 2}\r\n");
}

/* --- messages that are wrong ------------------------------------------------------------------------------------ */

static void test_members(void **state)
{
    struct fixture *fixture = *state;
    static const char *const wrong[][2] = {
        {"null ", "QMP input must be a JSON object"},
        {"[]", "QMP input must be a JSON object"},
        {"'text'", "QMP input must be a JSON object"},
        {"17\n", "QMP input must be a JSON object"},
        {"{}", "QMP input lacks member 'execute'"},
        {"{'execute':true}", "QMP input member 'execute' must be a string"},
        {"{'execute':'noop','arguments':[]}", "QMP input member 'arguments' must be an object"},
        {"{'execute':'noop','extra':1}", "QMP input member 'extra' is unexpected"},
        {"{'exec-oob':'now'}", "QMP input member 'exec-oob' is unexpected"},
        {"{'execute':'noop','arguments':{'x':1}}", "Parameter 'x' is unexpected"},
        {"{'execute':'echo','arguments':{'value':1}}", "Parameter 'text' is missing"},
        {"{'execute':'echo','arguments':{'value':1,'text':1}}", "Invalid parameter type for 'text', expected: string"},
        {"{'execute':'echo','arguments':{'value':1,'text':'','flag':'on'}}",
         "Invalid parameter type for 'flag', expected: boolean"},
        {"{'execute':'echo','arguments':{'value':1,'text':'','list':[1]}}",
         "Invalid parameter type for 'list', expected: string"},
        {"{'execute':'echo','arguments':{'value':1,'text':'','word':'c'}}",
         "Parameter 'word' does not accept value 'c'"},
        {"{'execute':'take'}", "Parameter 'name' is missing"},
    };

    begin(fixture, 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_error(fixture, wrong[i][0], "GenericError", wrong[i][1]);
    }
    assert_int_equal(fixture->runs, 0);
    assert_answer(fixture, "{'execute':'take','arguments':{'name':'n','more':[{}]}}",
                  "{\"return\": {\"name\": \"n\", \"more\": [{}]}}\r\n");
    assert_error(fixture, "{'execute':'fail'}", "DeviceNotFound", "there is no 'thing'");
}

static void test_recovery(void **state)
{
    struct fixture *fixture = *state;
    static const char *const wrong[] = {
        "{]\n",
        "{\xff",
        "{\x01",
        "{'bad \xff",
        "{'execute': 'noop', 'id':'\n",
        "{'execute': 'noop', 'id':'\t", /* the rest is a message's own */
        "%%p",
        "}\n",
        "]]]]\n",
        "{'execute':'noop',}",
        "{'execute':noop}",
        "{'execute':'noop' /* words */}",
        "{'execute':'noop','id':NaN}",
        "{'execute':'noop','id':Infinity}",
        "{'execute':'noop','id':1e999}",
        "{'execute':'noop','id':18446744073709551616}",
        "{'execute':'noop','execute':'noop'}",
        "{'execute':'noop','id':'\\u0000'}",
        "{'execute\\u0000':'noop'}",
        "{'execute':'noop','id':'\xc0\x80'}",
        "{'execute':'noop','id':'\xed\xa0\x80'}",
        "{'execute':'noop','id':'\xf4\x90\x80\x80'}",
        "{'execute':'noop','id':'\xe2\x82'}",
        "{'execute':'noop','id':01}",
        "{'execute':'noop','id':+1}",
        "{'execute':'noop','id':'\\x'}",
        "{'execute' 'noop'}",
        "{'a':1 'execute':'noop'}",
        "[1 2]",
        "tru ",
        "\"a\\\"",
        "{\x01\x02\x03\xff\xff",
    };

    begin(fixture, 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const char *said;

        client_heard(&fixture->clients[0]);
        say(fixture, 0, wrong[i]);
        if (strcmp(wrong[i], "\"a\\\"") == 0) {
            say(fixture, 0, "\n");
        }
        said = answer(fixture, "{ 'execute': 'none', 'id': 1 }");
        /* What was wrong may be found by what follows it. */
        if (!strstr(said, "has not been found")) {
            fail_msg("after '%s': %s", wrong[i], said);
        }
        assert_true(count_of(said, "\"error\"") <= 2);
        if (fixture->runs > 0) {
            fail_msg("'%s' was run", wrong[i]);
        }
    }
}

static void test_errors_are_told_once(void **state)
{
    struct fixture *fixture = *state;
    char *text = malloc(100 << 20);

    begin(fixture, 0);
    memset(text, '[', 100 << 20);
    text[(100 << 20) - 1] = '\0';
    client_heard(&fixture->clients[0]);
    assert_error(fixture, text, "GenericError", "JSON parse error, the message is nested more than 64 deep");
    assert_answer(fixture, "\n{'execute':'noop'}", DONE);
    /* nonsense of any length, nothing but breaks, and one string without an end */
    memset(text, 'x', 3 << 20);
    text[3 << 20] = '\0';
    assert_error(fixture, text, "GenericError", "JSON parse error, the message is longer than 1 MiB");
    assert_answer(fixture, " {'execute':'noop'}", DONE);
    memset(text, '\x07', 1 << 20);
    text[1 << 20] = '\0';
    assert_error(fixture, text, "GenericError", "JSON parse error, stray control character");
    assert_answer(fixture, "{'execute':'noop'}", DONE);
    memset(text, ' ', 2 << 20);
    memcpy(text, "{'execute':'noop','id':[", 24);
    text[2 << 20] = '\0';
    assert_error(fixture, text, "GenericError", "JSON parse error, the message is longer than 1 MiB");
    assert_answer(fixture, "{'a':[{}]}]}{'execute':'noop'}", DONE);
    free(text);
}

static void test_nul_bytes(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture, 0);
    client_send(fixture, &fixture->clients[0], "{'execute':\0'noop'}\n", 20);
    assert_int_equal(count_of(client_heard(&fixture->clients[0]), "\"error\""), 3); /* the NUL; a text; a bracket */
    assert_answer(fixture, "{'execute':'noop'}", DONE);
}

static void test_depth(void **state)
{
    struct fixture *fixture = *state;
    char text[256] = "{'execute':'noop','id':";
    size_t at = strlen(text);

    begin(fixture, 0);
    memset(text + at, '[', 63);
    memset(text + at + 63, ']', 63);
    memcpy(text + at + 126, "}", 2);
    assert_int_equal(count_of(answer(fixture, text), "\"return\""), 1);
    memset(text + at, '[', 64);
    memset(text + at + 64, ']', 64);
    memcpy(text + at + 128, "}\n", 3);
    assert_error(fixture, text, "GenericError", "JSON parse error, the message is nested more than 64 deep");
    assert_answer(fixture, "{'execute':'noop'}", DONE);
}

/* A byte at a time, with every kind of quote. */
static void test_pieces(void **state)
{
    struct fixture *fixture = *state;
    const char *text =
        " {\r\n \"execute\":'echo', 'arguments':{'value':[-0.5e+3,true,null,'it\\'s \"x\"'],\"text\":\"'\\\\\"}}";

    begin(fixture, 0);
    client_heard(&fixture->clients[0]);
    for (const char *at = text; *at; at++) {
        client_send(fixture, &fixture->clients[0], at, 1);
    }
    assert_string_equal(
        client_heard(&fixture->clients[0]),
        "{\"return\": {\"value\": [-0.5e+3, true, null, \"it's \\\"x\\\"\"], \"text\": \"'\\\\\"}}\r\n");
}

/* --- order ------------------------------------------------------------------------------------------------------ */

static void test_events_and_order(void **state)
{
    struct fixture *fixture = *state;
    struct json_object *data = json_object_new_object();
    const char *said;

    begin(fixture, 0);
    begin(fixture, 1);
    say(fixture, 0, "{'execute':'later','id':1}");
    say(fixture, 0, "{'execute':'now','id':2}{'execute':'noop','id':3}");
    fixture_settle(fixture);
    assert_string_equal(client_heard(&fixture->clients[0]) + 0, fixture->clients[0].said);
    assert_int_equal(fixture->runs, 0); /* in order, so also the one that could be answered at once */
    say(fixture, 1, "{'execute':'noop'}");
    assert_string_equal(client_heard(&fixture->clients[1]), DONE); /* another session isn't held up */
    json_object_object_add(data, "guest", json_object_new_boolean(0));
    qmp_server_event(fixture->server, "SHUTDOWN", data);
    fixture->clients[0].said[0] = '\0';
    fixture_finish_later(fixture);
    fixture_settle(fixture);
    said = client_heard(&fixture->clients[0]);
    assert_non_null(strstr(said,
                           "\"event\": \"SHUTDOWN\", \"data\": {\"guest\": false}}\r\n{\"return\": {}, \"id\": 1}\r\n"
                           "{\"return\": \"now\", \"id\": 2}\r\n{\"return\": {}, \"id\": 3}\r\n"));
    assert_int_equal(strncmp(said, "{\"timestamp\": {\"seconds\": ", 26), 0);
    assert_non_null(strstr(client_heard(&fixture->clients[1]), "SHUTDOWN"));
}

static void test_out_of_band(void **state)
{
    struct fixture *fixture = *state;

    client_connect(&fixture->clients[0]);
    fixture_settle(fixture);
    say(fixture, 0, "{'execute':'qmp_capabilities','arguments':{'enable':['oob']}}");
    say(fixture, 0, "{'execute':'later','id':1}");
    assert_answer(fixture, "{'exec-oob':'now','id':2}", "{\"return\": \"now\", \"id\": 2}\r\n");
    assert_error(fixture, "{'exec-oob':'noop'}", "GenericError", "The command noop does not support OOB");
    assert_error(fixture, "{'exec-oob':'none'}", "CommandNotFound", "The command none has not been found");
    client_heard(&fixture->clients[0]);
    fixture_finish_later(fixture);
    fixture_settle(fixture);
    assert_string_equal(client_heard(&fixture->clients[0]), "{\"return\": {}, \"id\": 1}\r\n");
    assert_error(fixture, "{'execute':'noop','exec-oob':'now'}", "GenericError",
                 "QMP input member 'exec-oob' clashes with 'execute'");
}

/* --- clients that are slow, or gone ----------------------------------------------------------------------------- */

static void test_queue_is_bounded(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture, 0);
    say(fixture, 0, "{'execute':'later'}");
    for (unsigned i = 0; i < 1000; i++) {
        say(fixture, 0, "{'execute':'noop'}");
    }
    assert_int_equal(chardev_in_room(fixture->clients[0].chardev), 0); /* its input isn't read */
    client_heard(&fixture->clients[0]);
    fixture_finish_later(fixture);
    fixture_settle(fixture);
    assert_true(fixture->runs >= BYTE_RING_BYTES / 18);
    assert_true(fixture->runs < 1000);
}

static void test_silent_client(void **state)
{
    struct fixture *fixture = *state;
    struct client *silent = &fixture->clients[0];
    struct json_object *data;
    char *text = calloc(1, 40000);
    unsigned replies;

    begin(fixture, 0);
    begin(fixture, 1);
    memset(text, 'x', 39999);
    silent->reads = false;
    for (unsigned i = 0; i < 60; i++) {
        say(fixture, 0, "{'execute':'big'}\n");
    }
    fixture_settle(fixture);
    for (unsigned i = 0; i < 100; i++) {
        data = json_object_new_object();
        json_object_object_add(data, "text", json_object_new_string(text));
        qmp_server_event(fixture->server, "WORDS", data);
        fixture_settle(fixture);
    }
    assert_true(qmp_server_dropped(fixture->server) >= 90);
    assert_true(qmp_server_dropped(fixture->server) <= 100);
    assert_int_equal(count_of(client_heard(&fixture->clients[1]), "WORDS"), 100);
    say(fixture, 1, "{'execute':'noop'}");
    assert_string_equal(client_heard(&fixture->clients[1]), DONE);
    /* it reads after all, and gets every reply */
    silent->reads = true;
    bh_schedule(&silent->chardev->flush_bh);
    fixture_settle(fixture);
    replies = count_of(silent->said, "\"return\"");
    assert_int_equal(replies, 60);
    free(text);
}

static void test_client_that_has_gone(void **state)
{
    struct fixture *fixture = *state;
    struct client *client = &fixture->clients[0];

    /* a script that says what it wants and leaves, before the monitor has looked even once */
    client_connect(client);
    chardev_feed(client->chardev, "{'execute':'qmp_capabilities'}{'execute':'noop'}", 49 - 1);
    client_disconnect(client);
    client_connect(client);
    fixture_settle(fixture);
    assert_int_equal(fixture->runs, 1);
    assert_int_equal(count_of(client_heard(client), "return"), 0); /* the next one isn't told */
    /* with a command under way */
    say(fixture, 0, CAPABILITIES "{'execute':'later'}{'execute':'noop'}");
    client_disconnect(client);
    client_connect(client);
    fixture_settle(fixture);
    client_heard(client);
    fixture_finish_later(fixture);
    fixture_settle(fixture);
    assert_int_equal(fixture->runs, 2);
    assert_int_equal(client->len_bytes, 0);
    /* half a message isn't continued by the next client */
    say(fixture, 0, "{'execute':");
    client_disconnect(client);
    client_connect(client);
    fixture_settle(fixture);
    client_heard(client);
    assert_answer(fixture, CAPABILITIES, DONE);
}

static void test_many_that_have_gone(void **state)
{
    struct fixture *fixture = *state;
    struct client *client = &fixture->clients[0];

    begin(fixture, 0);
    say(fixture, 0, "{'execute':'later'}");
    for (unsigned i = 0; i < 50; i++) {
        client_disconnect(client);
        client_connect(client);
        fixture_settle_monitor(fixture);
        chardev_feed(client->chardev, "{'execute':'qmp_capabilities'}{'execute':'noop'}", 49 - 1);
        fixture_settle_monitor(fixture);
    }
    client_disconnect(client);
    fixture_settle_monitor(fixture);
    fixture_finish_later(fixture);
    fixture_settle(fixture);
    assert_true(fixture->runs > 0 && fixture->runs <= 50);
}

static void test_end(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture, 0);
    begin(fixture, 1);
    fixture->clients[1].reads = false;
    for (unsigned i = 0; i < 3; i++) {
        say(fixture, 1, "{'execute':'big'}");
    }
    say(fixture, 0, "{'execute':'later'}{'execute':'noop'}");
    client_heard(&fixture->clients[0]);
    qmp_server_event(fixture->server, "SHUTDOWN", NULL);
    fixture_finish_later(fixture);
    qmp_server_destroy(fixture->server); /* the silent one makes it wait, but not for ever */
    fixture->server = NULL;
    assert_non_null(strstr(client_heard(&fixture->clients[0]), "\"event\": \"SHUTDOWN\"}\r\n" DONE));
    assert_int_equal(fixture->runs, 0); /* what wasn't begun isn't any more */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_negotiation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(test_members, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recovery, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors_are_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nul_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_depth, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_events_and_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_band, setup, teardown),
        cmocka_unit_test_setup_teardown(test_queue_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silent_client, setup, teardown),
        cmocka_unit_test_setup_teardown(test_client_that_has_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_that_have_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
