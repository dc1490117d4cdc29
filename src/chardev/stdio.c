/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `stdio`: standard input and output. A terminal is made raw and always put back (terminal.c); a pipe or a file is used
 * as it is. The end of the input ends nothing: the guest's output still has somewhere to go.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "chardev/stream.h"
#include "chardev/terminal.h"

/* options: immutable after open. raw: configuration thread. stream: loop thread. */
struct chardev_stdio {
    struct chardev chardev; /* first */
    bool signals;
    bool raw;
    struct stream stream;
};

static const struct property stdio_properties[] = {
    {.name = "signal",
     .type = PROPERTY_BOOL,
     .offset = offsetof(struct chardev_stdio, signals),
     .default_value = "on",
     .description = "Ctrl-C ends heddle; off: the guest gets it"},
    {0},
};

static void stdio_release_terminal(struct chardev_stdio *stdio)
{
    if (stdio->raw) {
        stdio->raw = false;
        terminal_release();
    }
}

static int stdio_open(struct chardev *chardev, struct error **err)
{
    struct chardev_stdio *stdio = container_of(chardev, struct chardev_stdio, chardev);
    struct stream_end in, out;
    int ret;

    chardev->interactive = isatty(STDIN_FILENO);
    if (chardev->interactive) {
        ret = terminal_set_raw(STDIN_FILENO, stdio->signals, err);
        if (ret != 0) {
            return ret;
        }
        stdio->raw = true;
    }
    ret = stream_end_from_shared(STDIN_FILENO, true, &in, err);
    if (ret != 0) {
        goto fail;
    }
    ret = stream_end_from_shared(STDOUT_FILENO, false, &out, err);
    if (ret != 0) {
        close(in.fd);
        goto fail;
    }
    signal(SIGPIPE, SIG_IGN); /* a reader that has gone is a write error like any other */
    stream_init(&stdio->stream, chardev, NULL);
    ret = stream_start(&stdio->stream, in, out, err);
    if (ret != 0) {
        goto fail;
    }
    chardev_set_connected(chardev, true);
    return 0;

fail:
    stdio_release_terminal(stdio);
    return ret;
}

static void stdio_close(struct chardev *chardev)
{
    struct chardev_stdio *stdio = container_of(chardev, struct chardev_stdio, chardev);

    stream_destroy(&stdio->stream);
    stdio_release_terminal(stdio);
}

static void stdio_flush(struct chardev *chardev)
{
    stream_flush(&container_of(chardev, struct chardev_stdio, chardev)->stream);
}

static void stdio_resume(struct chardev *chardev)
{
    stream_resume(&container_of(chardev, struct chardev_stdio, chardev)->stream);
}

const struct chardev_type chardev_stdio_type = {
    .name = "stdio",
    .description = "this process's terminal, or whatever its standard input and output are",
    .size_bytes = sizeof(struct chardev_stdio),
    .properties = stdio_properties,
    .open = stdio_open,
    .close = stdio_close,
    .flush = stdio_flush,
    .resume = stdio_resume,
};
