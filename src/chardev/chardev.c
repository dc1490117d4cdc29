/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all chardevs have in common: two rings, one lock, one front end, and who tells whom. It knows no host
 * descriptor; the kinds do (stdio.c, pty.c, ...).
 *
 * The loop thread produces into `in` and consumes from `out`; devices do the opposite, from any thread. The lock is
 * held for the length of a memcpy. A front end is told with no lock held, and only on the loop thread, where it is also
 * changed: so a detached front end is never called.
 *
 * A guest controls how fast it writes and reads. It can fill a ring, which is bounded, and then waits for `writable`.
 */
#include "chardev/chardev_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static const struct property common_properties[] = {
    {.name = "mux",
     .type = PROPERTY_BOOL,
     .offset = offsetof(struct chardev, mux),
     .description = "several devices share it, with keys after an escape"},
    {.name = "escape",
     .type = PROPERTY_U8,
     .offset = offsetof(struct chardev, escape),
     .default_value = "1",
     .min = 1,
     .max = 255,
     .description = "the mux's escape character (1: Ctrl-A)"},
    {.name = "logfile",
     .type = PROPERTY_STRING,
     .offset = offsetof(struct chardev, log_path),
     .description = "a file that gets a copy of all output"},
    {.name = "logfd",
     .type = PROPERTY_STRING,
     .offset = offsetof(struct chardev, log_fd),
     .description = "the same, as the number of a file that heddle was started with"},
    {.name = "logappend",
     .type = PROPERTY_BOOL,
     .offset = offsetof(struct chardev, log_append),
     .description = "keep what is in that file already"},
    {0},
};

const struct chardev_type *const chardev_types[] = {
    &chardev_stdio_type,
    &chardev_file_type,
    &chardev_null_type,
    &chardev_pty_type,
    &chardev_socket_type,
    &chardev_ringbuf_type,
    NULL,
};

const struct chardev_type *chardev_type_find(const char *name, struct error **err)
{
    for (const struct chardev_type *const *type = chardev_types; *type; type++) {
        if (strcmp((*type)->name, name) == 0 || ((*type)->alias && strcmp((*type)->alias, name) == 0)) {
            return *type;
        }
    }
    error_set(err, -ENOENT, "there is no character backend '%s'; there are stdio, file, null, pty, socket and ringbuf",
              name);
    return NULL;
}

/* --- telling the front end -------------------------------------------------------------------------------------- */

void chardev_send_event(struct chardev *chardev, enum chardev_event event)
{
    struct chardev_frontend *frontend = chardev->frontend;

    if (frontend && frontend->event) {
        frontend->event(frontend, event);
    }
}

static void tell_readable(struct chardev *chardev)
{
    struct chardev_frontend *frontend = chardev->frontend;

    if (frontend && frontend->readable) {
        frontend->readable(frontend);
    }
}

void chardev_tell_writable(struct chardev *chardev)
{
    struct chardev_frontend *frontend = chardev->frontend;

    if (frontend && frontend->writable) {
        frontend->writable(frontend);
    }
}

/* --- descriptors that come with the bytes ----------------------------------------------------------------------- */

int chardev_take_fd(struct chardev *chardev)
{
    int fd = -1;

    hdl_mutex_lock(&chardev->lock);
    if (chardev->fd_count > 0) {
        fd = chardev->fds[0];
        chardev->fd_count--;
        memmove(chardev->fds, chardev->fds + 1, chardev->fd_count * sizeof(chardev->fds[0]));
    }
    hdl_mutex_unlock(&chardev->lock);
    return fd;
}

void chardev_feed_fds(struct chardev *chardev, const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int oldest = -1;

        hdl_mutex_lock(&chardev->lock);
        if (chardev->fd_count == CHARDEV_FDS_MAX) {
            oldest = chardev->fds[0];
            chardev->fd_count--;
            memmove(chardev->fds, chardev->fds + 1, chardev->fd_count * sizeof(chardev->fds[0]));
        }
        chardev->fds[chardev->fd_count++] = fds[i];
        hdl_mutex_unlock(&chardev->lock);
        if (oldest >= 0) {
            close(oldest);
        }
    }
}

static void chardev_close_fds(struct chardev *chardev)
{
    int fd;

    while ((fd = chardev_take_fd(chardev)) >= 0) {
        close(fd);
    }
}

/* --- the loop's side of the rings ------------------------------------------------------------------------------- */

void chardev_set_connected(struct chardev *chardev, bool connected)
{
    bool changed, wanted;

    hdl_mutex_lock(&chardev->lock);
    changed = chardev->connected != connected;
    chardev->connected = connected;
    wanted = chardev->want_writable && !connected;
    if (!connected) {
        byte_ring_clear(&chardev->out);
        chardev->want_writable = false;
    }
    hdl_mutex_unlock(&chardev->lock);
    if (!connected) {
        chardev_close_fds(chardev);
    }
    if (changed) {
        trace(CHARDEV_IO, "%s: %s", chardev->id, connected ? "connected" : "disconnected");
        chardev_send_event(chardev, connected ? CHARDEV_OPENED : CHARDEV_CLOSED);
    }
    if (wanted) {
        chardev_tell_writable(chardev);
    }
}

size_t chardev_in_room(struct chardev *chardev)
{
    size_t room;

    hdl_mutex_lock(&chardev->lock);
    room = byte_ring_room(&chardev->in);
    chardev->want_resume = room == 0;
    hdl_mutex_unlock(&chardev->lock);
    return room;
}

void chardev_feed(struct chardev *chardev, const void *bytes, size_t len_bytes)
{
    hdl_mutex_lock(&chardev->lock);
    byte_ring_push(&chardev->in, bytes, len_bytes);
    hdl_mutex_unlock(&chardev->lock);
    trace(CHARDEV_IO, "%s: %zu bytes in", chardev->id, len_bytes);
    tell_readable(chardev);
}

size_t chardev_out_peek(struct chardev *chardev, const uint8_t **bytes)
{
    size_t count;

    hdl_mutex_lock(&chardev->lock);
    count = byte_ring_peek(&chardev->out, bytes);
    hdl_mutex_unlock(&chardev->lock);
    return count;
}

void chardev_out_consume(struct chardev *chardev, size_t len_bytes)
{
    bool wanted;

    hdl_mutex_lock(&chardev->lock);
    chardev->out.head += (uint32_t)len_bytes;
    wanted = chardev->want_writable;
    chardev->want_writable = false;
    hdl_mutex_unlock(&chardev->lock);
    trace(CHARDEV_IO, "%s: %zu bytes out", chardev->id, len_bytes);
    if (wanted) {
        chardev_tell_writable(chardev);
    }
}

static void chardev_flush(void *opaque)
{
    struct chardev *chardev = opaque;

    if (chardev->type->flush) {
        chardev->type->flush(chardev);
    }
}

static void chardev_resume(void *opaque)
{
    struct chardev *chardev = opaque;

    if (chardev->type->resume) {
        chardev->type->resume(chardev);
    }
}

/* --- the device's side ------------------------------------------------------------------------------------------ */

size_t chardev_read(struct chardev *chardev, void *buffer, size_t len_bytes)
{
    size_t taken;
    bool resume;

    hdl_mutex_lock(&chardev->lock);
    taken = byte_ring_pop(&chardev->in, buffer, len_bytes);
    resume = taken > 0 && chardev->want_resume;
    if (resume) {
        chardev->want_resume = false;
    }
    hdl_mutex_unlock(&chardev->lock);
    if (resume) {
        bh_schedule(&chardev->resume_bh);
    }
    return taken;
}

bool chardev_is_readable(struct chardev *chardev)
{
    bool readable;

    hdl_mutex_lock(&chardev->lock);
    readable = byte_ring_count(&chardev->in) > 0;
    hdl_mutex_unlock(&chardev->lock);
    return readable;
}

/* To the host's side, without the log. */
static size_t chardev_put(struct chardev *chardev, const void *buffer, size_t len_bytes)
{
    size_t taken = len_bytes;
    bool flush = false;

    if (chardev->type->write) {
        return chardev->type->write(chardev, buffer, len_bytes);
    }
    hdl_mutex_lock(&chardev->lock);
    if (chardev->connected) {
        flush = byte_ring_count(&chardev->out) == 0;
        taken = byte_ring_push(&chardev->out, buffer, len_bytes);
        chardev->want_writable |= taken < len_bytes; /* another writer's wish stays */
    }
    hdl_mutex_unlock(&chardev->lock);
    if (flush) {
        bh_schedule(&chardev->flush_bh);
    }
    return taken;
}

size_t chardev_write(struct chardev *chardev, const void *buffer, size_t len_bytes)
{
    size_t taken;

    if (!chardev->log) {
        return chardev_put(chardev, buffer, len_bytes);
    }
    taken = chardev_put(chardev, buffer, chardev_log_room(chardev->log, len_bytes));
    chardev_log_write(chardev->log, buffer, taken);
    return taken;
}

/* --- front ends ------------------------------------------------------------------------------------------------- */

struct attach_call {
    struct chardev *chardev;
    struct chardev_frontend *frontend;
    int ret;
};

static void attach_on_loop(void *opaque)
{
    struct attach_call *call = opaque;
    struct chardev *chardev = call->chardev;
    bool connected, readable;

    if (chardev->frontend) {
        call->ret = -EBUSY;
        return;
    }
    hdl_mutex_lock(&chardev->lock);
    chardev->frontend = call->frontend;
    connected = chardev->connected;
    readable = byte_ring_count(&chardev->in) > 0;
    hdl_mutex_unlock(&chardev->lock);
    if (connected) {
        chardev_send_event(chardev, CHARDEV_OPENED);
    }
    if (readable) {
        tell_readable(chardev);
    }
}

int chardev_attach(struct chardev *chardev, struct chardev_frontend *frontend, struct error **err)
{
    struct attach_call call = {.chardev = chardev, .frontend = frontend};

    event_loop_call(chardev->env.loop, attach_on_loop, &call);
    if (call.ret != 0) {
        return error_set(err, call.ret, "chardev '%s' is used by another device (mux=on lets several share it)",
                         chardev->id);
    }
    return 0;
}

bool chardev_has_frontend(struct chardev *chardev)
{
    bool has;

    hdl_mutex_lock(&chardev->lock);
    has = chardev->frontend != NULL;
    hdl_mutex_unlock(&chardev->lock);
    return has;
}

static void detach_on_loop(void *opaque)
{
    struct attach_call *call = opaque;
    struct chardev *chardev = call->chardev;

    hdl_mutex_lock(&chardev->lock);
    if (chardev->frontend == call->frontend) {
        chardev->frontend = NULL;
    }
    hdl_mutex_unlock(&chardev->lock);
}

void chardev_detach(struct chardev *chardev, struct chardev_frontend *frontend)
{
    struct attach_call call = {.chardev = chardev, .frontend = frontend};

    event_loop_call(chardev->env.loop, detach_on_loop, &call);
}

/* --- life ------------------------------------------------------------------------------------------------------- */

int chardev_init(struct chardev *chardev, const struct chardev_type *type, const char *id,
                 const struct chardev_env *env)
{
    chardev->id = strdup(id);
    if (!chardev->id) {
        return -ENOMEM;
    }
    chardev->type = type;
    chardev->env = *env;
    hdl_mutex_init(&chardev->lock, "chardev", LOCK_RANK_BACKEND);
    bh_init(&chardev->flush_bh, env->loop, chardev_flush, chardev);
    bh_init(&chardev->resume_bh, env->loop, chardev_resume, chardev);
    property_set_defaults(chardev, common_properties);
    if (type->properties) {
        property_set_defaults(chardev, type->properties);
    }
    return 0;
}

struct chardev *chardev_create(const struct chardev_type *type, const char *id, const struct chardev_env *env)
{
    struct chardev *chardev = calloc(1, type->size_bytes);

    if (chardev && chardev_init(chardev, type, id, env) != 0) {
        free(chardev);
        return NULL;
    }
    return chardev;
}

static bool is_property(const struct property *table, const char *name)
{
    for (const struct property *property = table; property->name; property++) {
        if (strcmp(property->name, name) == 0) {
            return true;
        }
    }
    return false;
}

int chardev_set_option(struct chardev *chardev, const char *name, const char *value, struct error **err)
{
    const struct property *own = chardev->type->properties;
    const struct property *table = own && !is_property(common_properties, name) ? own : common_properties;
    int ret = property_set(chardev, table, name, value, err);

    if (ret != 0) {
        error_prefix(err, "chardev '%s' (%s)", chardev->id, chardev->type->name);
    }
    return ret;
}

struct open_call {
    struct chardev *chardev;
    struct error **err;
    int ret;
};

static void open_on_loop(void *opaque)
{
    struct open_call *call = opaque;
    struct chardev *chardev = call->chardev;

    call->ret = chardev_log_open(chardev, call->err);
    if (call->ret == 0 && chardev->type->open) {
        call->ret = chardev->type->open(chardev, call->err);
    }
    chardev->opened = call->ret == 0;
}

int chardev_open(struct chardev *chardev, struct error **err)
{
    struct open_call call = {.chardev = chardev, .err = err};

    event_loop_call(chardev->env.loop, open_on_loop, &call);
    if (call.ret != 0) {
        error_prefix(err, "chardev '%s'", chardev->id);
    }
    return call.ret;
}

static void close_on_loop(void *opaque)
{
    struct chardev *chardev = opaque;

    if (chardev->opened && chardev->type->close) {
        chardev->type->close(chardev);
    }
    bh_destroy(&chardev->flush_bh);
    bh_destroy(&chardev->resume_bh);
}

void chardev_destroy(struct chardev *chardev)
{
    if (!chardev) {
        return;
    }
    event_loop_call(chardev->env.loop, close_on_loop, chardev);
    chardev_log_close(chardev);
    chardev_close_fds(chardev);
    property_release(chardev, common_properties);
    if (chardev->type->properties) {
        property_release(chardev, chardev->type->properties);
    }
    hdl_mutex_destroy(&chardev->lock);
    free(chardev->where);
    free(chardev->id);
    free(chardev);
}

const char *chardev_id(const struct chardev *chardev)
{
    return chardev->id;
}

const struct chardev_type *chardev_type_of(const struct chardev *chardev)
{
    return chardev->type;
}

const char *chardev_where(const struct chardev *chardev)
{
    return chardev->where ? chardev->where : "";
}
