/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * logfile=: a copy of all that a chardev's users write, also of what nobody on the other side would see. It is a `file`
 * chardev behind the other one, which is its front end. What it has no room for, its chardev doesn't take either, so
 * that nothing is left out of the log; two writers at once, behind a mux, may lose what one of them finds no room for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chardev/chardev_internal.h"

/* file: immutable while the chardev is open. */
struct chardev_log {
    struct chardev *file;
    struct chardev *of;
    struct chardev_frontend frontend;
};

static void log_file_writable(struct chardev_frontend *frontend)
{
    chardev_tell_writable(container_of(frontend, struct chardev_log, frontend)->of);
}

static int log_file_start(struct chardev_log *log, struct error **err)
{
    const struct chardev *of = log->of;
    int ret = of->log_path ? chardev_set_option(log->file, "path", of->log_path, err)
                           : chardev_set_option(log->file, "fd", of->log_fd, err);

    if (ret == 0 && of->log_append) {
        ret = chardev_set_option(log->file, "append", "on", err);
    }
    if (ret == 0) {
        ret = chardev_open(log->file, err);
    }
    return ret < 0 ? ret : chardev_attach(log->file, &log->frontend, err);
}

int chardev_log_open(struct chardev *chardev, struct error **err)
{
    struct chardev_log *log;
    int ret;

    if (!chardev->log_path && !chardev->log_fd) {
        return 0;
    }
    log = calloc(1, sizeof(*log));
    if (log) {
        log->of = chardev;
        log->frontend.writable = log_file_writable;
        log->file = chardev_create(&chardev_file_type, chardev->id, &chardev->env);
    }
    if (!log || !log->file) {
        free(log);
        return error_set(err, -ENOMEM, "no memory for its log");
    }
    ret = log_file_start(log, err);
    if (ret < 0) {
        error_prefix(err, "logfile");
        chardev_destroy(log->file);
        free(log);
        return ret;
    }
    chardev->log = log;
    return 0;
}

void chardev_log_close(struct chardev *chardev)
{
    if (chardev->log) {
        chardev_detach(chardev->log->file, &chardev->log->frontend);
        chardev_destroy(chardev->log->file);
        free(chardev->log);
        chardev->log = NULL;
    }
}

size_t chardev_log_room(struct chardev_log *log, size_t len_bytes)
{
    struct chardev *file = log->file;
    size_t room;

    hdl_mutex_lock(&file->lock);
    room = file->connected ? byte_ring_room(&file->out) : len_bytes;
    file->want_writable |= room < len_bytes;
    hdl_mutex_unlock(&file->lock);
    return MIN(room, len_bytes);
}

void chardev_log_write(struct chardev_log *log, const void *buffer, size_t len_bytes)
{
    chardev_write(log->file, buffer, len_bytes);
}
