/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs that talk QMP, several at a time: any command of the monitor's table, with arguments made up from what the
 * table says about them and names that may exist. They send some commands at a time, read the answers or don't, send
 * nonsense, and hang up in the middle.
 *
 * Devices that they add have ids of their own. How many came is known from the answers; where somebody hung up before
 * his, it isn't.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "machine/device_types.h"
#include "monitor/monitor_internal.h"
#include "torture.h"

#define STORM_COMMAND_BYTES 2048
/* Out of how many times that chance finds one of these commands it is sent. */
#define STORM_RARE 50

static bool storm_is_rare(const char *name)
{
    return strcmp(name, "quit") == 0 || strcmp(name, "system_reset") == 0 || strcmp(name, "stop") == 0;
}

/* --- arguments ---------------------------------------------------------------------------------------------------- */

/* Some text under construction. What doesn't fit is left out: a broken command is one, too. */
struct storm_text {
    char bytes[STORM_COMMAND_BYTES];
    size_t len;
};

static void HDL_PRINTF(2, 3) storm_put(struct storm_text *text, const char *format, ...)
{
    size_t room = sizeof(text->bytes) - text->len;
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(text->bytes + text->len, room, format, args);
    va_end(args);
    text->len += len < 0 ? 0 : MIN((size_t)len, room - 1);
}

static const char *storm_any_type(struct storm *storm)
{
    size_t count = 0;

    while (device_types[count]) {
        count++;
    }
    return device_types[actor_below(&storm->actor, count)]->name;
}

static void storm_put_name(struct storm *storm, struct storm_text *text)
{
    unsigned number = (unsigned)actor_below(&storm->actor, atomic_load(&storm->torture->manager.next_name) + 1);

    switch (actor_below(&storm->actor, 7)) {
    case 0:
        storm_put(text, "d%u", number);
        break;
    case 1:
        storm_put(text, "q%u", (unsigned)actor_below(&storm->actor, 16));
        break;
    case 2:
        storm_put(text, "n%u", number);
        break;
    case 3:
        storm_put(text, "o%u", number);
        break;
    case 4:
        storm_put(text, "%u-", number);
        break;
    case 5:
        storm_put(text, "/machine/peripheral/d%u", number);
        break;
    default:
        storm_put(text, "/machine/unattached/device[%u]", (unsigned)actor_below(&storm->actor, 20));
        break;
    }
}

static const char *storm_any_of(struct storm *storm, const char *const *words)
{
    size_t count = 0;

    while (words[count]) {
        count++;
    }
    return words[actor_below(&storm->actor, count)];
}

static void storm_put_string(struct storm *storm, struct storm_text *text, const struct qmp_argument *argument)
{
    static const char *const lines[] = {"info pci",    "info block",   "info qtree", "info chardev", "help",
                                        "info status", "info network", "cont",       "nonsense",     NULL};
    static const char *const drivers[] = {"null-co", "raw", "blkdebug", "file", NULL};
    static const char *const paths[] = {"/machine", "/machine/peripheral", "/machine/unattached", "/", NULL};

    storm_put(text, "\"");
    if (argument->words) {
        storm_put(text, "%s", storm_any_of(storm, argument->words));
    } else if (strcmp(argument->name, "command-line") == 0) {
        storm_put(text, "%s", storm_any_of(storm, lines));
    } else if (strcmp(argument->name, "driver") == 0 && actor_chance(&storm->actor, 2)) {
        storm_put(text, "%s", storm_any_of(storm, drivers));
    } else if (strcmp(argument->name, "driver") == 0 || strcmp(argument->name, "typename") == 0) {
        storm_put(text, "%s", storm_any_type(storm));
    } else if (strcmp(argument->name, "path") == 0 && actor_chance(&storm->actor, 2)) {
        storm_put(text, "%s", storm_any_of(storm, paths));
    } else {
        storm_put_name(storm, text);
    }
    storm_put(text, "\"");
}

static void storm_put_value(struct storm *storm, struct storm_text *text, const struct qmp_argument *argument)
{
    switch (argument->type) {
    case QMP_STRING:
        storm_put_string(storm, text, argument);
        break;
    case QMP_INTEGER:
        storm_put(text, "%u", (unsigned)actor_below(&storm->actor, 4));
        break;
    case QMP_BOOLEAN:
        storm_put(text, "%s", actor_chance(&storm->actor, 2) ? "true" : "false");
        break;
    case QMP_OBJECT:
        storm_put(text, "{\"type\": \"ringbuf\", \"data\": {\"size\": 4096}}");
        break;
    case QMP_STRINGS:
    case QMP_ANY:
        storm_put(text, "[]");
        break;
    }
}

static void storm_put_arguments(struct storm *storm, struct storm_text *text, const struct qmp_argument *arguments)
{
    const char *separator = "";

    for (const struct qmp_argument *argument = arguments; argument && argument->name; argument++) {
        if (argument->optional ? actor_chance(&storm->actor, 3) : !actor_chance(&storm->actor, 50)) {
            storm_put(text, "%s\"%s\": ", separator, argument->name);
            storm_put_value(storm, text, argument);
            separator = ", ";
        }
    }
}

/* --- commands -------------------------------------------------------------------------------------------------------
 */

static const struct qmp_command *storm_choose(struct storm *storm)
{
    const struct qmp_command *command;
    size_t count = 0;

    while (qmp_commands[count].name) {
        count++;
    }
    do {
        command = &qmp_commands[actor_below(&storm->actor, count)];
    } while (storm_is_rare(command->name) && !actor_chance(&storm->actor, STORM_RARE));
    return command;
}

/* A device_add that has a chance, of an id that tells whose it is. */
static void storm_put_device(struct storm *storm, struct storm_text *text)
{
    storm_put(text,
              "{\"execute\": \"device_add\", \"id\": \"add\", \"arguments\": {\"driver\": \"%s\", \"id\": \"q%u\"",
              storm_any_type(storm), (unsigned)actor_below(&storm->actor, 16));
    if (actor_chance(&storm->actor, 3)) {
        storm_put(text, ", \"bus\": \"");
        storm_put_name(storm, text);
        storm_put(text, "\"");
    }
    storm_put(text, "}}\n");
    storm->adds_sent++;
}

static void storm_put_command(struct storm *storm, struct storm_text *text)
{
    const struct qmp_command *command = storm_choose(storm);

    if (strcmp(command->name, "device_add") == 0) {
        storm_put_device(storm, text);
        return;
    }
    storm_put(text, "{\"execute\": \"%s\", \"id\": \"other\"", command->name);
    if (command->arguments) {
        storm_put(text, ", \"arguments\": {");
        storm_put_arguments(storm, text, command->arguments);
        storm_put(text, "}");
    }
    storm_put(text, "}\n");
}

/* --- the conversation ------------------------------------------------------------------------------------------------
 */

static bool storm_is_over(struct storm *storm)
{
    return atomic_load(&storm->torture->over);
}

static void storm_hang_up(struct storm *storm)
{
    close(storm->fd);
    storm->fd = -1;
    storm->line_len = 0;
}

static void storm_hears(struct storm *storm)
{
    storm->line[storm->line_len] = '\0';
    if (strstr(storm->line, "\"id\": \"")) {
        storm->answers++;
    }
    if (strstr(storm->line, "\"id\": \"add\"")) {
        storm->adds_answered++;
        storm->adds_done += strstr(storm->line, "\"return\"") != NULL;
    }
    storm->line_len = 0;
}

/* The end of a line is enough: an answer's id is there. */
static void storm_hears_byte(struct storm *storm, char byte)
{
    const size_t keep = sizeof(storm->line) / 2;

    if (byte == '\n') {
        storm_hears(storm);
        return;
    }
    if (storm->line_len == sizeof(storm->line) - 1) {
        memmove(storm->line, storm->line + storm->line_len - keep, keep);
        storm->line_len = keep;
    }
    storm->line[storm->line_len++] = byte;
}

/* What has come, or comes within wait_ms. */
static void storm_read(struct storm *storm, int wait_ms)
{
    struct pollfd poll_fd = {.fd = storm->fd, .events = POLLIN};
    char bytes[4096];
    ssize_t got;

    if (poll(&poll_fd, 1, wait_ms) <= 0) {
        return;
    }
    got = recv(storm->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        storm_hang_up(storm);
    }
    for (ssize_t i = 0; i < got; i++) {
        storm_hears_byte(storm, bytes[i]);
    }
}

static void storm_send(struct storm *storm, const struct storm_text *text)
{
    size_t sent = 0;

    /* Full: the monitor waits for us to read. */
    while (storm->fd >= 0 && sent < text->len && !storm_is_over(storm)) {
        ssize_t got = send(storm->fd, text->bytes + sent, text->len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (got > 0) {
            sent += (size_t)got;
        } else if (errno == EAGAIN) {
            storm_read(storm, 10);
        } else {
            storm_hang_up(storm);
        }
    }
}

static void storm_begin(struct storm *storm)
{
    struct storm_text text = {.len = 0};

    storm->fd = torture_call(storm->torture, storm->path);
    if (storm->fd >= 0) {
        storm_put(&text, "{\"execute\": \"qmp_capabilities\"}\n");
        storm_send(storm, &text);
    } else {
        poll(NULL, 0, 10);
    }
}

static void storm_speak(struct storm *storm)
{
    unsigned count = 1 + (unsigned)actor_below(&storm->actor, 6);
    uint64_t expected = storm->answers + count;

    for (unsigned i = 0; i < count; i++) {
        struct storm_text text = {.len = 0};

        storm_put_command(storm, &text);
        storm_send(storm, &text);
    }
    if (actor_chance(&storm->actor, 8)) {
        return; /* reads later */
    }
    /* What has lost its id to nonsense isn't waited for longer. */
    for (unsigned i = 0; i < 40 && storm->fd >= 0 && storm->answers < expected && !storm_is_over(storm); i++) {
        storm_read(storm, 100);
    }
}

/* Bytes that are no JSON; the monitor says so and goes on, or hangs up. */
static void storm_talk_nonsense(struct storm *storm)
{
    struct storm_text text = {.len = 1 + actor_below(&storm->actor, 300)};

    for (size_t i = 0; i < text.len; i++) {
        text.bytes[i] = (char)actor_random(&storm->actor);
    }
    storm_send(storm, &text);
    if (storm->fd >= 0) {
        storm_hang_up(storm);
    }
}

void storm_run(void *opaque)
{
    struct storm *storm = opaque;

    storm->fd = -1;
    while (!storm_is_over(storm)) {
        actor_step(&storm->actor);
        actor_does(&storm->actor, "QMP");
        if (storm->fd < 0) {
            storm_begin(storm);
        } else if (actor_chance(&storm->actor, 100)) {
            storm_talk_nonsense(storm);
        } else if (actor_chance(&storm->actor, 100)) {
            storm_hang_up(storm);
        } else {
            storm_speak(storm);
        }
    }
    if (storm->fd >= 0) {
        storm_hang_up(storm);
    }
    atomic_store(&storm->actor.is_waiting, true);
}
