/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The monitor's thread and its sessions; events; and a careful end. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "monitor/qmp_internal.h"

#define END_WAIT_NS 500000000l

/* --- events ----------------------------------------------------------------------------------------------------- */

struct qmp_event {
    struct errand errand;
    struct qmp_server *server;
    struct json_object *object;
};

/* Monitor thread. */
static void event_send(struct errand *errand)
{
    struct qmp_event *event = container_of(errand, struct qmp_event, errand);

    for (struct qmp_session *session = event->server->sessions; session; session = session->next) {
        qmp_session_event(session, event->object);
    }
    json_object_put(event->object);
    free(event);
}

static struct json_object *event_timestamp(void)
{
    struct json_object *timestamp = json_object_new_object();
    struct timeval now;

    gettimeofday(&now, NULL);
    json_object_object_add(timestamp, "seconds", json_object_new_int64(now.tv_sec));
    json_object_object_add(timestamp, "microseconds", json_object_new_int64(now.tv_usec));
    return timestamp;
}

void qmp_server_event(struct qmp_server *server, const char *name, struct json_object *data)
{
    struct qmp_event *event = calloc(1, sizeof(*event));

    if (!event) {
        json_object_put(data);
        return;
    }
    event->errand.fn = event_send;
    event->server = server;
    event->object = json_object_new_object();
    json_object_object_add(event->object, "timestamp", event_timestamp());
    json_object_object_add(event->object, "event", json_object_new_string(name));
    if (data) {
        json_object_object_add(event->object, "data", data);
    }
    errand_post(&server->to_monitor, &event->errand);
}

uint64_t qmp_server_dropped(const struct qmp_server *server)
{
    return atomic_load_explicit(&server->dropped, memory_order_relaxed);
}

/* --- the end ---------------------------------------------------------------------------------------------------- */

static bool server_has_output(const struct qmp_server *server)
{
    for (struct qmp_session *session = server->sessions; session; session = session->next) {
        if (session->current && qmp_connection_has_output(session->current)) {
            return true;
        }
    }
    return false;
}

static void end_time_is_up(void *opaque, uint32_t events)
{
    *(bool *)opaque = true;
}

/*
 * The monitor's loop is this thread's now, as the configuration's is. Each client takes what is for it, or time is up.
 * Chardevs are served by a thread of their own, or by the configuration's loop.
 */
static void server_drain(struct qmp_server *server)
{
    struct itimerspec wait = {.it_value = {.tv_nsec = END_WAIT_NS}};
    bool time_is_up = false;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    struct fd_watch *watch =
        fd >= 0 ? event_loop_add_fd(server->loop, fd, EPOLLIN, end_time_is_up, &time_is_up, NULL) : NULL;

    time_is_up = !watch || timerfd_settime(fd, 0, &wait, NULL) != 0;
    for (;;) {
        for (struct qmp_session *session = server->sessions; session; session = session->next) {
            if (session->current) {
                qmp_connection_flush(session->current);
            }
        }
        if (time_is_up || !server_has_output(server)) {
            break;
        }
        event_loop_poll(server->config_loop, false);
        event_loop_poll(server->loop, true);
    }
    fd_watch_remove(watch);
    if (fd >= 0) {
        close(fd);
    }
}

void qmp_server_destroy(struct qmp_server *server)
{
    struct errand *errand;

    if (!server) {
        return;
    }
    if (server->has_thread) {
        event_loop_stop_thread(server->loop);
    }
    server->is_ending = true;
    while (errand_take(&server->to_config)) {
        /* its connection still owns it */
    }
    while ((errand = errand_take(&server->to_monitor)) != NULL) {
        errand->fn(errand);
    }
    while (event_loop_poll(server->loop, false)) {
        /* the replies that have just come */
    }
    server_drain(server);
    while (server->sessions) {
        struct qmp_session *session = server->sessions;

        server->sessions = session->next;
        qmp_session_destroy(session);
    }
    errand_queue_destroy(&server->to_config);
    errand_queue_destroy(&server->to_monitor);
    event_loop_destroy(server->loop);
    free(server);
}

/* --- the beginning ---------------------------------------------------------------------------------------------- */

struct qmp_server *qmp_server_create(struct event_loop *config_loop, const struct qmp_command *commands,
                                     struct monitor *monitor, struct error **err)
{
    struct qmp_server *server = calloc(1, sizeof(*server));

    if (!server) {
        error_set(err, -ENOMEM, "out of memory");
        return NULL;
    }
    server->loop = event_loop_create("monitor", err);
    if (!server->loop) {
        free(server);
        return NULL;
    }
    server->config_loop = config_loop;
    server->commands = commands;
    server->monitor = monitor;
    errand_queue_init(&server->to_config, config_loop, true);
    errand_queue_init(&server->to_monitor, server->loop, false);
    return server;
}

int qmp_server_add(struct qmp_server *server, struct chardev *chardev, bool pretty, struct error **err)
{
    struct qmp_session *session = qmp_session_create(server, chardev, pretty, err);
    struct qmp_session **last = &server->sessions;

    if (!session) {
        return -EBUSY;
    }
    while (*last) {
        last = &(*last)->next;
    }
    *last = session;
    return 0;
}

int qmp_server_start(struct qmp_server *server, struct error **err)
{
    int ret = event_loop_start_thread(server->loop, err);

    server->has_thread = ret == 0;
    return ret;
}

struct event_loop *qmp_server_loop(struct qmp_server *server)
{
    return server->loop;
}
