/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `file`: everything written goes to a file (path=, append=on keeps what is there), or to one that this process was
 * started with (fd=); nothing is ever read. A pipe or a device works too.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/options.h"
#include "chardev/stream.h"

/* options: immutable after open. stream: loop thread. */
struct chardev_file {
    struct chardev chardev; /* first */
    char *path, *fd;
    bool append;
    struct stream stream;
};

static const struct property file_properties[] = {
    {.name = "path",
     .type = PROPERTY_STRING,
     .offset = offsetof(struct chardev_file, path),
     .description = "the file's name"},
    {.name = "fd",
     .type = PROPERTY_STRING,
     .offset = offsetof(struct chardev_file, fd),
     .description = "the number of a file that heddle was started with"},
    {.name = "append",
     .type = PROPERTY_BOOL,
     .offset = offsetof(struct chardev_file, append),
     .description = "keep what is in the file already"},
    {0},
};

/* The descriptor stays as it is: others may write to the same file. */
static int file_inherit(const struct chardev_file *file, struct stream_end *out, struct error **err)
{
    uint64_t number;

    if (parse_uint(file->fd, &number) < 0 || number > INT_MAX || fcntl((int)number, F_GETFL) < 0) {
        return error_set(err, -EBADF, "fd='%s' isn't the number of an open descriptor", file->fd);
    }
    if ((fcntl((int)number, F_GETFL) & O_ACCMODE) == O_RDONLY) {
        return error_set(err, -EBADF, "fd=%s isn't open for writing", file->fd);
    }
    return stream_end_from_shared((int)number, false, out, err);
}

static int file_open(struct chardev *chardev, struct error **err)
{
    struct chardev_file *file = container_of(chardev, struct chardev_file, chardev);
    struct stream_end none = {.fd = -1};
    struct stream_end out = {.fd = -1};
    int ret;

    if (!file->path == !file->fd) {
        return error_set(err, -EINVAL, "backend 'file' needs path=");
    }
    if (file->fd) {
        ret = file_inherit(file, &out, err);
        if (ret != 0) {
            return ret;
        }
    } else {
        out.fd =
            open(file->path,
                 O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (file->append ? O_APPEND : O_TRUNC), 0666);
        if (out.fd < 0) {
            return error_set(err, -errno, "can't open '%s': %s", file->path, strerror(errno));
        }
    }
    stream_init(&file->stream, chardev, NULL);
    ret = stream_start(&file->stream, none, out, err);
    if (ret != 0) {
        return ret;
    }
    chardev->where = file->path ? strdup(file->path) : NULL;
    chardev_set_connected(chardev, true);
    return 0;
}

static void file_close(struct chardev *chardev)
{
    stream_destroy(&container_of(chardev, struct chardev_file, chardev)->stream);
}

static void file_flush(struct chardev *chardev)
{
    stream_flush(&container_of(chardev, struct chardev_file, chardev)->stream);
}

const struct chardev_type chardev_file_type = {
    .name = "file",
    .description = "a file that the output is written to",
    .size_bytes = sizeof(struct chardev_file),
    .properties = file_properties,
    .open = file_open,
    .close = file_close,
    .flush = file_flush,
};
