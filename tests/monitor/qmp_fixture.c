/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fixture of the QMP protocol's tests: commands, and chardevs whose host side is memory. */
#include "qmp_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/qmp_dispatch.h"

/* --- a chardev in memory ---------------------------------------------------------------------------------------- */

struct memory_chardev {
    struct chardev chardev; /* first */
    struct client *client;
};

static void memory_flush(struct chardev *chardev)
{
    struct client *client = ((struct memory_chardev *)chardev)->client;
    const uint8_t *bytes;
    size_t count;

    while (client->reads && (count = chardev_out_peek(chardev, &bytes)) > 0) {
        client->said = realloc(client->said, client->len_bytes + count + 1);
        memcpy(client->said + client->len_bytes, bytes, count);
        client->len_bytes += count;
        client->said[client->len_bytes] = '\0';
        chardev_out_consume(chardev, count);
    }
}

static const struct chardev_type memory_type = {
    .name = "memory",
    .description = "a test's",
    .size_bytes = sizeof(struct memory_chardev),
    .flush = memory_flush,
};

void client_connect(struct client *client)
{
    chardev_set_connected(client->chardev, true);
}

void client_disconnect(struct client *client)
{
    chardev_set_connected(client->chardev, false);
}

void client_send(struct fixture *fixture, struct client *client, const char *bytes, size_t len_bytes)
{
    while (len_bytes > 0) {
        size_t count = MIN(len_bytes, chardev_in_room(client->chardev));

        if (count == 0) {
            return; /* it doesn't read */
        }
        chardev_feed(client->chardev, bytes, count);
        bytes += count;
        len_bytes -= count;
        fixture_settle(fixture);
    }
}

const char *client_heard(struct client *client)
{
    memory_flush(client->chardev);
    client->len_bytes = 0;
    return client->said ? client->said : "";
}

/* --- commands --------------------------------------------------------------------------------------------------- */

static struct fixture *fixture_of(struct qmp_call *call)
{
    return (struct fixture *)call->monitor;
}

static int run_noop(struct qmp_call *call)
{
    fixture_of(call)->runs++;
    return 0;
}

static int run_echo(struct qmp_call *call)
{
    fixture_of(call)->runs++;
    call->result = json_object_get(call->arguments);
    return 0;
}

static int run_fail(struct qmp_call *call)
{
    return qmp_call_not_found(call, "there is no '%s'", "thing");
}

static int run_now(struct qmp_call *call)
{
    call->result = json_object_new_string("now");
    return 0;
}

static int run_big(struct qmp_call *call)
{
    static char text[65536];

    memset(text, 'x', sizeof(text) - 1);
    call->result = json_object_new_string(text);
    return 0;
}

static int run_later(struct qmp_call *call)
{
    call->is_deferred = true;
    fixture_of(call)->later = call;
    return 0;
}

static const char *const letters[] = {"a", "b", NULL};
static const struct qmp_argument echo_arguments[] = {
    {.name = "value", .type = QMP_ANY},
    {.name = "text", .type = QMP_STRING},
    {.name = "flag", .type = QMP_BOOLEAN, .optional = true},
    {.name = "list", .type = QMP_STRINGS, .optional = true},
    {.name = "word", .type = QMP_STRING, .optional = true, .words = letters, .words_name = "Letter"},
    {0},
};
static const struct qmp_argument take_arguments[] = {{.name = "name", .type = QMP_STRING}, {0}};

const struct qmp_command fixture_commands[] = {
    {.name = "qmp_capabilities", .arguments = qmp_negotiate_arguments, .where = QMP_MONITOR_THREAD},
    {.name = "noop", .run = run_noop},
    {.name = "echo", .arguments = echo_arguments, .run = run_echo, .result = QMP_RESULT_ANY},
    {.name = "take", .arguments = take_arguments, .run = run_echo, .result = QMP_RESULT_ANY, .takes_more = true},
    {.name = "fail", .run = run_fail},
    {.name = "now", .run = run_now, .where = QMP_MONITOR_THREAD, .result = QMP_RESULT_TEXT, .allow_oob = true},
    {.name = "big", .run = run_big, .result = QMP_RESULT_TEXT},
    {.name = "later", .run = run_later},
    {.name = NULL},
};

void fixture_finish_later(struct fixture *fixture)
{
    qmp_call_finish(fixture->later);
    fixture->later = NULL;
}

/* --- loops ------------------------------------------------------------------------------------------------------ */

void fixture_settle_monitor(struct fixture *fixture)
{
    while (event_loop_poll(qmp_server_loop(fixture->server), false)) {
    }
}

void fixture_settle(struct fixture *fixture)
{
    bool busy = true;

    while (busy) {
        busy = event_loop_poll(qmp_server_loop(fixture->server), false);
        busy |= event_loop_poll(fixture->loop, false);
    }
}

bool fixture_init(struct fixture *fixture)
{
    *fixture = (struct fixture){0};
    fixture->loop = event_loop_create("test", NULL);
    if (!fixture->loop) {
        return false;
    }
    clock_init_host(&fixture->clock);
    fixture->env = (struct chardev_env){.loop = fixture->loop, .clock = &fixture->clock};
    fixture->server = qmp_server_create(fixture->loop, fixture_commands, (struct monitor *)fixture, NULL);
    for (unsigned i = 0; fixture->server && i < CLIENTS_MAX; i++) {
        struct client *client = &fixture->clients[i];

        client->reads = true;
        client->chardev = chardev_create(&memory_type, "test", &fixture->env);
        ((struct memory_chardev *)client->chardev)->client = client;
        qmp_server_add(fixture->server, client->chardev, false, NULL);
    }
    return fixture->server != NULL;
}

void fixture_destroy(struct fixture *fixture)
{
    if (fixture->later) {
        fixture_finish_later(fixture);
    }
    qmp_server_destroy(fixture->server);
    for (unsigned i = 0; i < CLIENTS_MAX; i++) {
        chardev_destroy(fixture->clients[i].chardev);
        free(fixture->clients[i].said);
    }
    event_loop_destroy(fixture->loop);
    clock_destroy(&fixture->clock);
}
