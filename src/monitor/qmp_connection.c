/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One client's conversation. Commands are run in the order in which they came, one at a time, and answered in that
 * order; an out-of-band one is run and answered at once. Everything here is the monitor thread's, but for request_run
 * and what it is given.
 *
 * A client may send anything: what is wrong becomes an error reply in its place among the others. See qmp_server.h for
 * the bounds.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "monitor/qmp_internal.h"

/* Messages looked at before others have their turn. */
#define WORK_MESSAGES 32
/* An output buffer that is empty keeps no more than this. */
#define OUT_KEPT_BYTES 65536u

static struct qmp_server *connection_server(const struct qmp_connection *connection)
{
    return connection->session->server;
}

/* --- output ----------------------------------------------------------------------------------------------------- */

static size_t out_pending(const struct qmp_connection *connection)
{
    return connection->out.len_bytes - connection->out_at;
}

bool qmp_connection_has_output(const struct qmp_connection *connection)
{
    return out_pending(connection) > 0;
}

static void out_forget(struct qmp_connection *connection)
{
    connection->out_at = 0;
    connection->out.len_bytes = 0;
    if (connection->out.capacity > OUT_KEPT_BYTES) {
        free(connection->out.bytes);
        connection->out = (struct json_out){0};
    }
}

static void out_write(struct qmp_connection *connection, struct json_object *value)
{
    size_t before = connection->out.len_bytes;

    if (connection->is_closed) {
        return;
    }
    json_text_write(&connection->out, value, connection->session->pretty);
    json_out_add(&connection->out, "\r\n", 2);
    if (connection->out.failed) {
        log_warn("monitor '%s': no memory for a reply", chardev_id(connection->session->chardev));
        connection->out.len_bytes = before;
        connection->out.failed = false;
    }
}

void qmp_connection_flush(struct qmp_connection *connection)
{
    size_t taken = 1;

    while (taken > 0 && out_pending(connection) > 0) {
        taken = qmp_session_write(connection->session, connection->generation,
                                  connection->out.bytes + connection->out_at, out_pending(connection));
        connection->out_at += taken;
    }
    if (out_pending(connection) == 0) {
        out_forget(connection);
    } else if (connection->out_at >= OUT_KEPT_BYTES) {
        memmove(connection->out.bytes, connection->out.bytes + connection->out_at, out_pending(connection));
        connection->out.len_bytes -= connection->out_at;
        connection->out_at = 0;
    }
}

void qmp_connection_event(struct qmp_connection *connection, struct json_object *event)
{
    if (!connection->capabilities.negotiated || connection->is_closed) {
        return;
    }
    if (out_pending(connection) > QMP_OUT_BYTES) {
        if (connection->dropped++ == 0) {
            log_warn("monitor '%s': its client doesn't read, so events are dropped",
                     chardev_id(connection->session->chardev));
        }
        atomic_fetch_add_explicit(&connection_server(connection)->dropped, 1, memory_order_relaxed);
        return;
    }
    out_write(connection, event);
    qmp_connection_flush(connection);
}

/* --- requests --------------------------------------------------------------------------------------------------- */

static void request_free(struct qmp_request *request)
{
    json_object_put(request->message);
    qmp_call_release(&request->call);
    free(request);
}

static void request_reply(struct qmp_request *request)
{
    struct json_object *reply = qmp_reply(request->message, &request->call);

    out_write(request->connection, reply);
    json_object_put(reply);
}

/* Whatever thread the command is for. */
static void request_call(struct qmp_request *request)
{
    int ret = request->command->run(&request->call);

    if (ret < 0 && !request->call.err) {
        error_set(&request->call.err, ret, "%s", strerror(-ret));
    }
}

/* Checks it, and runs it if it is for this thread. False: it is for the other one. */
static bool request_run_here(struct qmp_request *request)
{
    struct qmp_connection *connection = request->connection;
    struct qmp_call *call = &request->call;

    if (call->err) {
        return true; /* no message */
    }
    request->command =
        qmp_message_check(request->message, connection_server(connection)->commands, connection->capabilities, call);
    if (request->command && !request->command->run) {
        qmp_negotiate(call, &connection->capabilities);
    } else if (request->command && request->command->where == QMP_MONITOR_THREAD) {
        request_call(request);
    } else if (request->command) {
        return false;
    } else if (!call->err) {
        error_set(&call->err, -ENOMEM, "out of memory");
    }
    return true;
}

static void queue_answer(struct qmp_connection *connection);

static void request_done(struct errand *errand)
{
    struct qmp_connection *connection = container_of(errand, struct qmp_request, errand)->connection;

    connection->running = false;
    queue_answer(connection); /* which this is the head of */
    qmp_session_wake(connection->session);
}

void qmp_call_finish(struct qmp_call *call)
{
    struct qmp_request *request = container_of(call, struct qmp_request, call);

    request->errand.fn = request_done;
    errand_post(&connection_server(request->connection)->to_monitor, &request->errand);
}

/* Configuration thread. */
static void request_run(struct errand *errand)
{
    struct qmp_request *request = container_of(errand, struct qmp_request, errand);

    request_call(request);
    if (!request->call.is_deferred || request->call.err) {
        qmp_call_finish(&request->call);
    }
}

/* --- the queue -------------------------------------------------------------------------------------------------- */

static void queue_pop(struct qmp_connection *connection)
{
    struct qmp_request *request = connection->first;

    connection->first = request->next;
    if (!connection->first) {
        connection->last = &connection->first;
    }
    connection->queued--;
    connection->queued_bytes -= request->message_bytes;
    request_free(request);
}

static void queue_answer(struct qmp_connection *connection)
{
    request_reply(connection->first);
    queue_pop(connection);
    qmp_connection_flush(connection);
}

static bool queue_can_go_on(const struct qmp_connection *connection)
{
    return connection->first && !connection->running && out_pending(connection) <= QMP_OUT_BYTES &&
           !connection_server(connection)->is_ending;
}

/* Begins, and ends, commands from the head on until one runs elsewhere. */
static void queue_work(struct qmp_connection *connection)
{
    while (queue_can_go_on(connection)) {
        struct qmp_request *request = connection->first;

        if (!request->command && !request_run_here(request)) {
            connection->running = true;
            request->errand.fn = request_run;
            errand_post(&connection_server(connection)->to_config, &request->errand);
            return;
        }
        queue_answer(connection);
    }
}

static void queue_add(struct qmp_connection *connection, struct qmp_request *request)
{
    if (qmp_message_is_oob(request->message) && connection->capabilities.oob) {
        if (!request_run_here(request)) {
            error_set(&request->call.err, -EINVAL, "The command %s does not support OOB", request->command->name);
        }
        request_reply(request);
        request_free(request);
        return;
    }
    *connection->last = request;
    connection->last = &request->next;
    connection->queued++;
    connection->queued_bytes += request->message_bytes;
}

/* --- input ------------------------------------------------------------------------------------------------------ */

bool qmp_connection_is_hungry(const struct qmp_connection *connection)
{
    return connection->queued < QMP_QUEUE_MAX && connection->queued_bytes <= QMP_QUEUE_BYTES &&
           out_pending(connection) <= QMP_OUT_BYTES;
}

/* A message of the frame, or, with an error, none. */
static void message_arrived(struct qmp_connection *connection, const char *error)
{
    struct qmp_request *request = calloc(1, sizeof(*request));

    if (!request) {
        log_warn("monitor '%s': no memory for a command", chardev_id(connection->session->chardev));
        return;
    }
    request->connection = connection;
    request->call.monitor = connection_server(connection)->monitor;
    if (!error) {
        request->message_bytes = connection->frame.len_bytes;
        json_text_read(connection->frame.text, connection->frame.len_bytes, connection->frame.colons, &request->message,
                       &error);
    }
    if (error) {
        error_set(&request->call.err, -EINVAL, "%s", error);
    }
    queue_add(connection, request);
}

/* Looks at input up to the end of a message. */
static void input_work(struct qmp_connection *connection)
{
    const char *error = NULL;
    size_t used = 0;
    enum json_frame_event event = json_frame_feed(&connection->frame, connection->input + connection->input_at,
                                                  connection->input_end - connection->input_at, &used, &error);

    connection->input_at += used;
    if (connection->input_at == connection->input_end) {
        connection->input_at = connection->input_end = 0;
    }
    if (event != JSON_FRAME_MORE) {
        message_arrived(connection, error);
    }
}

static bool input_is_welcome(const struct qmp_connection *connection)
{
    return connection->input_at < connection->input_end && qmp_connection_is_hungry(connection);
}

bool qmp_connection_work(struct qmp_connection *connection)
{
    qmp_connection_flush(connection);
    queue_work(connection);
    for (unsigned turns = WORK_MESSAGES; turns > 0 && input_is_welcome(connection); turns--) {
        input_work(connection);
        queue_work(connection);
    }
    qmp_connection_flush(connection);
    return input_is_welcome(connection) || queue_can_go_on(connection);
}

/* --- life ------------------------------------------------------------------------------------------------------- */

struct qmp_connection *qmp_connection_create(struct qmp_session *session, uint64_t generation)
{
    struct qmp_connection *connection = calloc(1, sizeof(*connection));
    struct json_object *greeting;

    if (!connection) {
        return NULL;
    }
    connection->session = session;
    connection->generation = generation;
    connection->last = &connection->first;
    greeting = qmp_greeting();
    out_write(connection, greeting);
    json_object_put(greeting);
    return connection;
}

void qmp_connection_close(struct qmp_connection *connection)
{
    connection->is_closed = true;
    out_forget(connection);
    if (connection->dropped > 0) {
        log_info("monitor '%s': %llu events were dropped for a client", chardev_id(connection->session->chardev),
                 (unsigned long long)connection->dropped);
    }
}

bool qmp_connection_is_done(const struct qmp_connection *connection)
{
    return connection->is_closed && !connection->first && connection->input_at == connection->input_end;
}

void qmp_connection_destroy(struct qmp_connection *connection)
{
    while (connection->first) {
        queue_pop(connection);
    }
    json_frame_release(&connection->frame);
    free(connection->out.bytes);
    free(connection);
}
