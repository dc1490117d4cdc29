/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A chardev's front end, and which client is at the other end. The chardev's callbacks note what has changed and wake
 * the monitor's thread, which does everything else.
 *
 * Clients come and go faster than that thread may look. What one had sent and nobody had read when it went is taken out
 * of the chardev at that moment, before the next one's bytes can follow it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/qmp_internal.h"

/* --- the chardev's loop ----------------------------------------------------------------------------------------- */

static void session_opened(struct qmp_session *session)
{
    hdl_mutex_lock(&session->lock);
    session->connected = true;
    hdl_mutex_unlock(&session->lock);
}

/* Of clients that came and went before the monitor's thread looked once, only the first is heard. */
static void session_closed(struct qmp_session *session)
{
    uint8_t unread[BYTE_RING_BYTES];
    size_t count;

    hdl_mutex_lock(&session->lock);
    if (session->connected) {
        count = chardev_read(session->chardev, unread, sizeof(unread));
        if (session->leftover_bytes == 0) {
            memcpy(session->leftover, unread, count);
            session->leftover_bytes = count;
            session->leftover_generation = session->generation;
        }
        session->connected = false;
        session->generation++;
    }
    hdl_mutex_unlock(&session->lock);
}

static void session_cb_event(struct chardev_frontend *frontend, enum chardev_event event)
{
    struct qmp_session *session = container_of(frontend, struct qmp_session, frontend);

    if (event == CHARDEV_OPENED) {
        session_opened(session);
    } else if (event == CHARDEV_CLOSED) {
        session_closed(session);
    }
    bh_schedule(&session->bh);
}

static void session_cb_ready(struct chardev_frontend *frontend)
{
    bh_schedule(&container_of(frontend, struct qmp_session, frontend)->bh);
}

/* --- the monitor's thread: bytes -------------------------------------------------------------------------------- */

size_t qmp_session_write(struct qmp_session *session, uint64_t generation, const char *bytes, size_t len_bytes)
{
    size_t taken = len_bytes;

    hdl_mutex_lock(&session->lock);
    if (session->connected && session->generation == generation) {
        taken = chardev_write(session->chardev, bytes, len_bytes);
    }
    hdl_mutex_unlock(&session->lock);
    return taken;
}

/* Fills the current connection's empty input. False: there is nothing. */
static bool session_read(struct qmp_session *session)
{
    struct qmp_connection *connection = session->current;
    size_t count = 0;

    hdl_mutex_lock(&session->lock);
    if (session->connected && session->generation == connection->generation) {
        count = chardev_read(session->chardev, connection->input, BYTE_RING_BYTES);
    }
    hdl_mutex_unlock(&session->lock);
    connection->input_end = count;
    return count > 0;
}

/* --- the monitor's thread: who is there ------------------------------------------------------------------------- */

/* What the callbacks noted. */
struct session_news {
    bool connected;
    uint64_t generation;
    size_t leftover_bytes;
    uint64_t leftover_generation;
    uint8_t leftover[BYTE_RING_BYTES];
};

static void session_take_news(struct qmp_session *session, struct session_news *news)
{
    hdl_mutex_lock(&session->lock);
    news->connected = session->connected;
    news->generation = session->generation;
    news->leftover_bytes = session->leftover_bytes;
    news->leftover_generation = session->leftover_generation;
    memcpy(news->leftover, session->leftover, session->leftover_bytes);
    session->leftover_bytes = 0;
    hdl_mutex_unlock(&session->lock);
}

static void session_free_done(struct qmp_session *session)
{
    struct qmp_connection **at = &session->lingering;

    while (*at) {
        struct qmp_connection *connection = *at;

        if (qmp_connection_is_done(connection)) {
            *at = connection->next;
            qmp_connection_destroy(connection);
        } else {
            at = &connection->next;
        }
    }
}

/* Drops the waiting commands of the oldest closed connection if there are too many of those. */
static void session_limit_lingering(struct qmp_session *session)
{
    struct qmp_connection *victim = NULL;
    unsigned count = 0;

    for (struct qmp_connection *connection = session->lingering; connection; connection = connection->next) {
        count++;
        victim = victim || connection->running ? victim : connection;
    }
    if (count > QMP_LINGERING_MAX && victim) {
        struct qmp_connection **at = &session->lingering;

        while (*at != victim) {
            at = &(*at)->next;
        }
        *at = victim->next;
        qmp_connection_destroy(victim);
    }
}

static void session_close_current(struct qmp_session *session, const uint8_t *rest, size_t rest_bytes)
{
    struct qmp_connection *connection = session->current;
    struct qmp_connection **last = &session->lingering;

    session->current = NULL;
    memcpy(connection->input + connection->input_end, rest, rest_bytes);
    connection->input_end += rest_bytes;
    qmp_connection_close(connection);
    while (*last) {
        last = &(*last)->next;
    }
    *last = connection;
    session_limit_lingering(session);
}

/* Makes the connections what the news say. */
static void session_update(struct qmp_session *session, const struct session_news *news)
{
    bool has_rest = news->leftover_bytes > 0;

    if (session->current && session->current->generation != news->generation) {
        bool is_its = has_rest && news->leftover_generation == session->current->generation;

        session_close_current(session, news->leftover, is_its ? news->leftover_bytes : 0);
        has_rest = has_rest && !is_its;
    }
    if (has_rest) {
        session->current = qmp_connection_create(session, news->leftover_generation);
        if (session->current) {
            session_close_current(session, news->leftover, news->leftover_bytes);
        }
    }
    if (news->connected && !session->current) {
        session->current = qmp_connection_create(session, news->generation);
    }
}

static void session_work(void *opaque)
{
    struct qmp_session *session = opaque;
    struct session_news news;
    bool again = false;

    session_take_news(session, &news);
    session_update(session, &news);
    for (struct qmp_connection *connection = session->lingering; connection; connection = connection->next) {
        again |= qmp_connection_work(connection);
    }
    if (session->current) {
        again |= qmp_connection_work(session->current);
        if (!again && session->current->input_at == session->current->input_end &&
            qmp_connection_is_hungry(session->current)) {
            again = session_read(session);
        }
    }
    session_free_done(session);
    if (again) {
        bh_schedule(&session->bh);
    }
}

void qmp_session_wake(struct qmp_session *session)
{
    bh_schedule(&session->bh);
}

void qmp_session_event(struct qmp_session *session, struct json_object *event)
{
    if (session->current) {
        qmp_connection_event(session->current, event);
    }
}

/* --- life ------------------------------------------------------------------------------------------------------- */

struct qmp_session *qmp_session_create(struct qmp_server *server, struct chardev *chardev, bool pretty,
                                       struct error **err)
{
    struct qmp_session *session = calloc(1, sizeof(*session));

    if (!session) {
        error_set(err, -ENOMEM, "out of memory");
        return NULL;
    }
    session->frontend = (struct chardev_frontend){
        .readable = session_cb_ready, .writable = session_cb_ready, .event = session_cb_event};
    session->server = server;
    session->chardev = chardev;
    session->pretty = pretty;
    hdl_mutex_init(&session->lock, "monitor session", LOCK_RANK_DEVICE);
    bh_init(&session->bh, server->loop, session_work, session);
    if (chardev_attach(chardev, &session->frontend, err) < 0) {
        bh_destroy(&session->bh);
        hdl_mutex_destroy(&session->lock);
        free(session);
        return NULL;
    }
    return session;
}

void qmp_session_destroy(struct qmp_session *session)
{
    struct qmp_connection *connection = session->lingering;

    chardev_detach(session->chardev, &session->frontend);
    bh_destroy(&session->bh);
    while (connection) {
        struct qmp_connection *next = connection->next;

        qmp_connection_destroy(connection);
        connection = next;
    }
    if (session->current) {
        qmp_connection_destroy(session->current);
    }
    hdl_mutex_destroy(&session->lock);
    free(session);
}
