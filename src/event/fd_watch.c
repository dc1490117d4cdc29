/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watches of file descriptors, level-triggered. All of it belongs to the loop thread.
 *
 *   HEARING (events != 0)  in the epoll set, or, if epoll refuses the descriptor, counted as always ready
 *   DEAF    (events == 0)  out of the epoll set, because epoll reports errors and hang-ups even when asked for nothing
 *   DEAD                   removed; kept until the round ends, because epoll's answer may still point to it
 *
 * What a guest does with its devices changes what is watched, never how many watches there are.
 */
#include "event/loop_internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

struct fd_watch {
    struct event_loop *loop;
    int fd;
    uint32_t events;
    bool always_ready;
    bool dead;
    uint64_t round; /* always ready: the last one in which it was called */
    fd_watch_fn *fn;
    void *opaque;
    struct fd_watch *next;
    struct fd_watch **link; /* whatever points to this */
};

/* Takes the watch from `events` to `wanted`. 0 or a negative errno. */
static int fd_watch_control(struct fd_watch *watch, uint32_t wanted)
{
    struct epoll_event event = {.events = wanted, .data.ptr = watch};
    int op = !watch->events ? EPOLL_CTL_ADD : wanted ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;

    if (watch->events == wanted) {
        return 0;
    }
    if (watch->always_ready) {
        watch->loop->always_ready_count += (wanted != 0) - (watch->events != 0);
    } else if (epoll_ctl(watch->loop->epoll_fd, op, watch->fd, &event) < 0) {
        return -errno;
    }
    watch->events = wanted;
    return 0;
}

/* Finds out, once, whether epoll takes the descriptor. */
static int fd_watch_probe(struct fd_watch *watch)
{
    int ret = fd_watch_control(watch, EPOLLIN);

    if (ret == -EPERM) {
        watch->always_ready = true;
        return 0;
    }
    return ret < 0 ? ret : fd_watch_control(watch, 0);
}

struct fd_watch *event_loop_add_fd(struct event_loop *loop, int fd, uint32_t events, fd_watch_fn *fn, void *opaque,
                                   struct error **err)
{
    struct fd_watch *watch = calloc(1, sizeof(*watch));
    int ret;

    if (!watch) {
        error_set(err, -ENOMEM, "out of memory");
        return NULL;
    }
    watch->loop = loop;
    watch->fd = fd;
    watch->fn = fn;
    watch->opaque = opaque;
    ret = fd_watch_probe(watch);
    if (ret == 0) {
        ret = fd_watch_control(watch, events);
    }
    if (ret < 0) {
        error_set(err, ret, "can't watch file descriptor %d: %s", fd, strerror(-ret));
        free(watch);
        return NULL;
    }
    watch->next = loop->watches;
    watch->link = &loop->watches;
    if (watch->next) {
        watch->next->link = &watch->next;
    }
    loop->watches = watch;
    return watch;
}

void fd_watch_set_events(struct fd_watch *watch, uint32_t events)
{
    int ret = fd_watch_control(watch, events);

    /* The descriptor was in the set before, and its owner keeps it open: only memory can be missing. */
    if (ret < 0) {
        log_warn("can't watch file descriptor %d: %s", watch->fd, strerror(-ret));
    }
}

void fd_watch_remove(struct fd_watch *watch)
{
    struct event_loop *loop;

    if (!watch) {
        return;
    }
    assert(!watch->dead);
    loop = watch->loop;
    fd_watch_control(watch, 0);
    *watch->link = watch->next;
    if (watch->next) {
        watch->next->link = watch->link;
    }
    watch->dead = true;
    if (loop->in_round) {
        watch->next = loop->dead_watches;
        loop->dead_watches = watch;
    } else {
        free(watch);
    }
}

/* An earlier handler of the round may have removed or silenced the watch, or paused the loop. */
static bool fd_watch_fire(struct fd_watch *watch, uint32_t events)
{
    events &= watch->events | EPOLLERR | EPOLLHUP;
    if (watch->dead || !watch->events || !events || watch->loop->paused) {
        return false;
    }
    watch->fn(watch->opaque, events);
    return true;
}

/* Each once a round. From the start after every call, because a handler may change the list at will; it is short. */
static bool loop_always_ready_dispatch(struct event_loop *loop)
{
    struct fd_watch *watch = loop->watches;
    bool ran = false;

    while (watch) {
        if (watch->always_ready && watch->round != loop->round) {
            watch->round = loop->round;
            ran |= fd_watch_fire(watch, EPOLLIN | EPOLLOUT);
            watch = loop->watches;
        } else {
            watch = watch->next;
        }
    }
    return ran;
}

bool loop_watches_dispatch(struct event_loop *loop, const struct epoll_event *events, int count)
{
    bool ran = false;

    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr) {
            ran |= fd_watch_fire(events[i].data.ptr, events[i].events);
        }
    }
    if (loop->always_ready_count > 0) {
        ran |= loop_always_ready_dispatch(loop);
    }
    return ran;
}

void loop_watches_reap(struct event_loop *loop)
{
    while (loop->dead_watches) {
        struct fd_watch *watch = loop->dead_watches;

        loop->dead_watches = watch->next;
        free(watch);
    }
}

void loop_watches_destroy(struct event_loop *loop)
{
    while (loop->watches) {
        fd_watch_remove(loop->watches);
    }
    loop_watches_reap(loop);
}
