/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a device or a console key may ask of the whole machine. The machine implements it and hands a pointer down, so
 * that nothing below it knows what a machine is.
 *
 * Every function only notes the request and wakes the main loop: any thread, under any lock but a leaf, never blocks,
 * may be called again before the first request is served (the machine merges them). What the caller does afterwards
 * still happens: a vCPU goes on running until the machine stops it.
 */
#ifndef HDL_DEVICE_REQUESTS_H
#define HDL_DEVICE_REQUESTS_H

#include <stddef.h>

/* Immutable once handed down. Any function may be NULL: the request is then ignored. */
struct machine_requests {
    void (*reset)(void *opaque);            /* the guest asked for a reset of everything */
    void (*shutdown)(void *opaque);         /* the guest switched itself off */
    void (*quit)(void *opaque);             /* a person asked to end the process (Ctrl-A x) */
    void (*exit)(void *opaque, int status); /* the guest ends the process with this exit status */
    void *opaque;
};

/* requests may be NULL in each of these. */
static inline void machine_request_reset(const struct machine_requests *requests)
{
    if (requests && requests->reset) {
        requests->reset(requests->opaque);
    }
}

static inline void machine_request_shutdown(const struct machine_requests *requests)
{
    if (requests && requests->shutdown) {
        requests->shutdown(requests->opaque);
    }
}

static inline void machine_request_quit(const struct machine_requests *requests)
{
    if (requests && requests->quit) {
        requests->quit(requests->opaque);
    }
}

static inline void machine_request_exit(const struct machine_requests *requests, int status)
{
    if (requests && requests->exit) {
        requests->exit(requests->opaque, status);
    }
}

#endif
