/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the server, its sessions and their connections know of each other, and nobody else does. */
#ifndef HDL_MONITOR_QMP_INTERNAL_H
#define HDL_MONITOR_QMP_INTERNAL_H

#include <stdatomic.h>

#include "base/lock.h"
#include "chardev/byte_ring.h"
#include "monitor/errand.h"
#include "monitor/json_frame.h"
#include "monitor/json_text.h"
#include "monitor/qmp_dispatch.h"
#include "monitor/qmp_server.h"

/* commands, monitor, loops, sessions: immutable once started. dropped: any thread. */
struct qmp_server {
    struct event_loop *loop, *config_loop;
    const struct qmp_command *commands;
    struct monitor *monitor;
    struct errand_queue to_config, to_monitor;
    struct qmp_session *sessions;
    bool has_thread;
    bool is_ending; /* monitor thread, or once that has ended: no command is begun */
    _Atomic uint64_t dropped;
};

/* --- a connection: one client's conversation (qmp_connection.c), the monitor's thread only ---------------------- */

/*
 * A command, or a message that was wrong. The connection's; while `running`, errand, call and command are the
 * configuration thread's.
 */
struct qmp_request {
    struct errand errand;
    struct qmp_connection *connection;
    struct json_object *message; /* NULL: it couldn't be read, as call.err says */
    size_t message_bytes;
    const struct qmp_command *command;
    struct qmp_call call;
    struct qmp_request *next;
};

/*
 *    OPEN ---- the client goes ----> closed: what it has sent is still done ----> freed when nothing is left
 */
struct qmp_connection {
    struct qmp_session *session;
    struct qmp_connection *next; /* of the session's that are closed */
    uint64_t generation;         /* the session's, while this client is connected */
    bool is_closed;
    struct qmp_capabilities capabilities;
    struct json_frame frame;
    uint8_t input[2 * BYTE_RING_BYTES]; /* what was read and not looked at: a read, and what was left at the end */
    size_t input_at, input_end;
    struct qmp_request *first, **last; /* the queue; its head may be running */
    unsigned queued;
    size_t queued_bytes;
    bool running; /* the head is on the configuration thread */
    struct json_out out;
    size_t out_at; /* what was written */
    uint64_t dropped;
};

/* NULL when out of memory. Greets. */
struct qmp_connection *qmp_connection_create(struct qmp_session *session, uint64_t generation);
/* Not running. Drops what is queued. */
void qmp_connection_destroy(struct qmp_connection *connection);
/* Whether it would look at more input. */
bool qmp_connection_is_hungry(const struct qmp_connection *connection);
/* Looks at input, begins commands, writes. Bounded; true: there is more to do, call again. */
bool qmp_connection_work(struct qmp_connection *connection);
/* The client has gone: its output goes nowhere. */
void qmp_connection_close(struct qmp_connection *connection);
/* Whether a closed connection has nothing left to do. */
bool qmp_connection_is_done(const struct qmp_connection *connection);
/* If the client has negotiated; dropped if it doesn't read. */
void qmp_connection_event(struct qmp_connection *connection, struct json_object *event);
bool qmp_connection_has_output(const struct qmp_connection *connection);
/* Hands the chardev what it takes. */
void qmp_connection_flush(struct qmp_connection *connection);

/* --- a session: one chardev, and whoever is at its other end (qmp_session.c) ------------------------------------ */

/* Closed connections at most that still have something to do. Beyond, the oldest one's waiting commands are dropped. */
#define QMP_LINGERING_MAX 8u

/*
 * frontend .. pretty, bh: immutable. The fields under `lock` are the chardev's callbacks' (the chardev's loop) and the
 * monitor thread's; the rest is the monitor thread's. Holding `lock` while it reads or writes, the monitor thread knows
 * whose bytes they are: a client can't go, and another come, meanwhile.
 */
struct qmp_session {
    struct chardev_frontend frontend; /* first */
    struct qmp_server *server;
    struct chardev *chardev;
    bool pretty;
    struct qmp_session *next;
    struct hdl_mutex lock;                       /* LOCK_RANK_DEVICE, as any front end's */
    uint64_t generation HDL_GUARDED_BY(&lock);   /* of the client that is connected, or comes next */
    bool connected HDL_GUARDED_BY(&lock);        /* a client of `generation` is there */
    size_t leftover_bytes HDL_GUARDED_BY(&lock); /* what a client that has gone had sent: of leftover_generation */
    uint64_t leftover_generation HDL_GUARDED_BY(&lock);
    uint8_t leftover[BYTE_RING_BYTES] HDL_GUARDED_BY(&lock);
    struct bh bh;
    struct qmp_connection *current;   /* NULL: nobody is connected */
    struct qmp_connection *lingering; /* closed, oldest first */
};

struct qmp_session *qmp_session_create(struct qmp_server *server, struct chardev *chardev, bool pretty,
                                       struct error **err);
/* The loops don't run. */
void qmp_session_destroy(struct qmp_session *session);
/* Monitor thread: something may be done. */
void qmp_session_wake(struct qmp_session *session);
void qmp_session_event(struct qmp_session *session, struct json_object *event);
/* Writes to the chardev if the client of that generation is still there; how much it took. Else takes all. */
size_t qmp_session_write(struct qmp_session *session, uint64_t generation, const char *bytes, size_t len_bytes);

/* What every client is told first: a new value. */
struct json_object *qmp_greeting(void);

#endif
