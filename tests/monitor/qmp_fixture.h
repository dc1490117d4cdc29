/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A QMP server with no machine, on chardevs that the test is the other end of. One thread: the test polls both loops,
 * so what happens when is its own to say.
 *
 * Commands: noop; echo (value: any, text: string, flag?: boolean, list?: words, word?: a|b) gives its arguments; take
 * (name: string, and whatever else); fail (DeviceNotFound); now (monitor thread, out of band); big (64 KiB of text);
 * later (deferred, until fixture_finish_later).
 */
#ifndef HDL_TESTS_MONITOR_QMP_FIXTURE_H
#define HDL_TESTS_MONITOR_QMP_FIXTURE_H

#include "chardev/chardev_internal.h"
#include "monitor/qmp_server.h"

#define CLIENTS_MAX 3

struct client {
    struct chardev *chardev;
    char *said; /* what the server wrote, NUL-terminated; owned */
    size_t len_bytes;
    bool reads; /* takes everything; else nothing */
};

struct fixture {
    struct event_loop *loop; /* the configuration thread's, and the chardevs' */
    struct clock clock;
    struct chardev_env env;
    struct qmp_server *server;
    struct client clients[CLIENTS_MAX];
    unsigned runs; /* commands that ran on the configuration thread */
    struct qmp_call *later;
};

extern const struct qmp_command fixture_commands[];

/* false: out of memory. */
bool fixture_init(struct fixture *fixture);
void fixture_destroy(struct fixture *fixture);
/* Both loops, until neither has anything to do. */
void fixture_settle(struct fixture *fixture);
/* The monitor's loop only. */
void fixture_settle_monitor(struct fixture *fixture);
void fixture_finish_later(struct fixture *fixture);

void client_connect(struct client *client);
void client_disconnect(struct client *client);
/* As fast as the server takes it. */
void client_send(struct fixture *fixture, struct client *client, const char *bytes, size_t len_bytes);
/* What was said since the last call; valid until the next. */
const char *client_heard(struct client *client);

#endif
