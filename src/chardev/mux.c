/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The multiplexer: several devices on one chardev, and the keys that a person has on a console.
 *
 *     lower chardev ==readable==> pull ==> [escape?] ==> in ring of the port that has the input ==> its device
 *     lower chardev <=============================================================== port's chardev_write
 *
 * It is the lower chardev's front end and each port is a chardev, all on one loop. A port has no out ring: its writes
 * go straight to the lower one's, and when that was short every port is told that there is room again.
 *
 * A guest that doesn't read must not take the keys away from the person: while its ring is full, an interactive
 * chardev's further input is dropped, as a real UART would, but still looked at. Other chardevs are left unread.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chardev/chardev_internal.h"

#define MUX_PORTS_MAX   4
#define MUX_CHUNK_BYTES 128

/* at_line_start: the port's front end, under its device's lock. The rest: immutable after creation. */
struct mux_port {
    struct chardev chardev; /* first */
    struct chardev_mux *mux;
    bool at_line_start;
};

/*
 * lower, env, frontend: immutable after creation. ports, port_count: configuration thread, on the loop's behalf.
 * escaped, focus: loop thread. stamps_*: any thread.
 */
struct chardev_mux {
    struct chardev *lower;
    struct chardev_env env;
    struct chardev_frontend frontend;
    struct mux_port *ports[MUX_PORTS_MAX];
    unsigned port_count;
    unsigned focus;
    bool escaped;
    _Atomic bool stamps_on;
    _Atomic uint64_t stamps_start_ns;
};

static void mux_say(struct chardev_mux *mux, const char *text)
{
    chardev_write(mux->lower, text, strlen(text));
}

static void mux_help(struct chardev_mux *mux)
{
    char key[16] = "escape";
    char text[512];

    if (mux->lower->escape <= 26) {
        snprintf(key, sizeof(key), "C-%c", 'a' + mux->lower->escape - 1);
    }
    snprintf(text, sizeof(text),
             "\r\n%s h    print this help\r\n"
             "%s x    end heddle\r\n"
             "%s s    save disk data back to file (if -snapshot)\r\n"
             "%s t    toggle console timestamps\r\n"
             "%s b    send break (magic sysrq)\r\n"
             "%s c    switch between console and monitor\r\n"
             "%s %s  send %s\r\n",
             key, key, key, key, key, key, key, key, key);
    mux_say(mux, text);
}

static void mux_next_port(struct chardev_mux *mux)
{
    if (mux->port_count < 2) {
        mux_say(mux, "\r\nheddle: there is no monitor on this console\r\n");
        return;
    }
    mux->focus = (mux->focus + 1) % mux->port_count;
    chardev_send_event(&mux->ports[mux->focus]->chardev, CHARDEV_FOCUSED);
}

static void mux_toggle_stamps(struct chardev_mux *mux)
{
    atomic_store_explicit(&mux->stamps_start_ns, clock_now_ns(mux->env.clock), memory_order_relaxed);
    atomic_store_explicit(&mux->stamps_on, !atomic_load_explicit(&mux->stamps_on, memory_order_relaxed),
                          memory_order_release);
}

static void mux_key(struct chardev_mux *mux, uint8_t key)
{
    switch (key) {
    case 'h':
    case '?':
        mux_help(mux);
        break;
    case 'x':
        mux_say(mux, "\r\nheddle: terminated\r\n");
        machine_request_quit(mux->env.requests);
        break;
    case 's':
        mux_say(mux, "\r\nheddle: no disk is a snapshot, nothing to save\r\n");
        break;
    case 't':
        mux_toggle_stamps(mux);
        break;
    case 'b':
        if (mux->port_count > 0) {
            chardev_send_event(&mux->ports[mux->focus]->chardev, CHARDEV_BREAK);
        }
        break;
    case 'c':
        mux_next_port(mux);
        break;
    default:
        break;
    }
}

static void mux_deliver(struct chardev_mux *mux, const uint8_t *bytes, size_t count)
{
    if (count > 0 && mux->port_count > 0) {
        chardev_feed(&mux->ports[mux->focus]->chardev, bytes, count);
    }
}

static void mux_process(struct chardev_mux *mux, const uint8_t *bytes, size_t count)
{
    uint8_t data[MUX_CHUNK_BYTES];
    size_t data_count = 0;

    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == mux->lower->escape && !mux->escaped) {
            mux->escaped = true;
        } else if (!mux->escaped || bytes[i] == mux->lower->escape) {
            mux->escaped = false;
            data[data_count++] = bytes[i];
        } else {
            mux->escaped = false;
            mux_deliver(mux, data, data_count); /* what was typed before belongs to the port of before */
            data_count = 0;
            mux_key(mux, bytes[i]);
        }
    }
    mux_deliver(mux, data, data_count);
}

static void mux_pull(struct chardev_mux *mux)
{
    uint8_t bytes[MUX_CHUNK_BYTES];
    size_t room, count;

    if (mux->port_count == 0) {
        return;
    }
    do {
        room = chardev_in_room(&mux->ports[mux->focus]->chardev);
        if (mux->lower->interactive) {
            room = sizeof(bytes);
        }
        count = chardev_read(mux->lower, bytes, MIN(room, sizeof(bytes)));
        mux_process(mux, bytes, count);
    } while (count > 0);
}

static void mux_readable(struct chardev_frontend *frontend)
{
    mux_pull(container_of(frontend, struct chardev_mux, frontend));
}

static void mux_writable(struct chardev_frontend *frontend)
{
    struct chardev_mux *mux = container_of(frontend, struct chardev_mux, frontend);

    for (unsigned i = 0; i < mux->port_count; i++) {
        chardev_tell_writable(&mux->ports[i]->chardev);
    }
}

static void mux_event(struct chardev_frontend *frontend, enum chardev_event event)
{
    struct chardev_mux *mux = container_of(frontend, struct chardev_mux, frontend);

    for (unsigned i = 0; i < mux->port_count; i++) {
        chardev_set_connected(&mux->ports[i]->chardev, event != CHARDEV_CLOSED);
    }
}

/* --- ports ------------------------------------------------------------------------------------------------------ */

/* Best effort: a stamp that finds no room is left out. */
static void mux_stamp(struct chardev_mux *mux)
{
    uint64_t start_ns = atomic_load_explicit(&mux->stamps_start_ns, memory_order_relaxed);
    uint64_t ms = (clock_now_ns(mux->env.clock) - start_ns) / NS_PER_MS;
    char text[48];

    snprintf(text, sizeof(text), "[%02u:%02u:%02u.%03u] ", (unsigned)(ms / 3600000 % 100), (unsigned)(ms / 60000 % 60),
             (unsigned)(ms / 1000 % 60), (unsigned)(ms % 1000));
    mux_say(mux, text);
}

static size_t mux_port_write(struct chardev *chardev, const void *buffer, size_t len_bytes)
{
    struct mux_port *port = container_of(chardev, struct mux_port, chardev);
    const uint8_t *bytes = buffer;
    size_t done = 0;

    if (!atomic_load_explicit(&port->mux->stamps_on, memory_order_acquire)) {
        return chardev_write(port->mux->lower, buffer, len_bytes);
    }
    while (done < len_bytes) {
        const uint8_t *newline = memchr(bytes + done, '\n', len_bytes - done);
        size_t line = newline ? (size_t)(newline - (bytes + done)) + 1 : len_bytes - done;
        size_t put;

        if (port->at_line_start) {
            mux_stamp(port->mux);
        }
        put = chardev_write(port->mux->lower, bytes + done, line);
        done += put;
        port->at_line_start = put == line && newline;
        if (put < line) {
            break;
        }
    }
    return done;
}

static void mux_port_resume(struct chardev *chardev)
{
    mux_pull(container_of(chardev, struct mux_port, chardev)->mux);
}

static const struct chardev_type mux_port_type = {
    .name = "mux-port",
    .description = "a port of a multiplexer",
    .size_bytes = sizeof(struct mux_port),
    .resume = mux_port_resume,
    .write = mux_port_write,
};

bool chardev_is_mux_port(const struct chardev *chardev)
{
    return chardev->type == &mux_port_type;
}

/* --- life ------------------------------------------------------------------------------------------------------- */

struct chardev_mux *chardev_mux_create(struct chardev *lower, const struct chardev_env *env, struct error **err)
{
    struct chardev_mux *mux = calloc(1, sizeof(*mux));

    if (!mux) {
        error_set(err, -ENOMEM, "no memory for a multiplexer");
        return NULL;
    }
    mux->lower = lower;
    mux->env = *env;
    mux->frontend = (struct chardev_frontend){.readable = mux_readable, .writable = mux_writable, .event = mux_event};
    if (chardev_attach(lower, &mux->frontend, err) != 0) {
        free(mux);
        return NULL;
    }
    return mux;
}

struct mux_add_call {
    struct chardev_mux *mux;
    struct mux_port *port;
};

static void mux_add_on_loop(void *opaque)
{
    struct mux_add_call *call = opaque;
    struct chardev_mux *mux = call->mux;
    bool connected;

    hdl_mutex_lock(&mux->lower->lock);
    connected = mux->lower->connected;
    hdl_mutex_unlock(&mux->lower->lock);
    chardev_set_connected(&call->port->chardev, connected);
    mux->ports[mux->port_count++] = call->port;
    mux_pull(mux);
}

static struct chardev *mux_free_port(struct chardev_mux *mux)
{
    struct chardev *found = NULL;

    for (unsigned i = 0; i < mux->port_count && !found; i++) {
        struct chardev *chardev = &mux->ports[i]->chardev;

        found = chardev_has_frontend(chardev) ? NULL : chardev;
    }
    return found;
}

struct chardev *chardev_mux_add_port(struct chardev_mux *mux, const char *id, struct error **err)
{
    struct mux_add_call call = {.mux = mux};
    struct chardev *unused = mux_free_port(mux);

    if (unused) {
        return unused;
    }
    if (mux->port_count == MUX_PORTS_MAX) {
        error_set(err, -ENOSPC, "chardev '%s' is shared by %d devices already", mux->lower->id, MUX_PORTS_MAX);
        return NULL;
    }
    call.port = calloc(1, sizeof(*call.port));
    if (!call.port || chardev_init(&call.port->chardev, &mux_port_type, id, &mux->env) != 0) {
        free(call.port);
        error_set(err, -ENOMEM, "no memory for a port of chardev '%s'", mux->lower->id);
        return NULL;
    }
    call.port->mux = mux;
    event_loop_call(mux->env.loop, mux_add_on_loop, &call);
    return &call.port->chardev;
}

bool chardev_mux_is_used(struct chardev_mux *mux)
{
    bool used = false;

    for (unsigned i = 0; i < mux->port_count; i++) {
        used |= chardev_has_frontend(&mux->ports[i]->chardev);
    }
    return used;
}

void chardev_mux_destroy(struct chardev_mux *mux)
{
    if (!mux) {
        return;
    }
    chardev_detach(mux->lower, &mux->frontend);
    for (unsigned i = 0; i < mux->port_count; i++) {
        chardev_destroy(&mux->ports[i]->chardev);
    }
    chardev_destroy(mux->lower);
    free(mux);
}
