/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `pty`: a pseudo-terminal that a person opens with screen or minicom. Its name is logged.
 *
 *     nobody (asks once a second whether the slave is open)  <---->  connected (a stream on the master)
 *
 * The kernel says that the slave side is closed (POLLHUP) but not that it was opened, hence the timer. While nobody has
 * it open, output is dropped: otherwise the guest would stop once the kernel's buffer is full.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/log.h"
#include "chardev/stream.h"

#define PTY_POLL_NS NS_PER_SEC

/* master: immutable after open. The rest: loop thread. */
struct chardev_pty {
    struct chardev chardev; /* first */
    int master;
    struct timer timer;
    struct stream stream;
};

static void pty_poll(void *opaque)
{
    struct chardev_pty *pty = opaque;
    struct pollfd state = {.fd = pty->master, .events = POLLIN};
    struct stream_end end = {.fd = -1};

    if (poll(&state, 1, 0) >= 0 && !(state.revents & POLLHUP)) {
        end.fd = fcntl(pty->master, F_DUPFD_CLOEXEC, 3);
        if (end.fd >= 0 && stream_start(&pty->stream, end, end, NULL) == 0) {
            chardev_set_connected(&pty->chardev, true);
            return;
        }
    }
    timer_arm(&pty->timer, clock_now_ns(pty->chardev.env.clock) + PTY_POLL_NS);
}

static void pty_ended(struct stream *stream)
{
    struct chardev_pty *pty = container_of(stream, struct chardev_pty, stream);

    stream_stop(stream, false);
    chardev_set_connected(&pty->chardev, false);
    timer_arm(&pty->timer, clock_now_ns(pty->chardev.env.clock) + PTY_POLL_NS);
}

/* A raw slave, opened once so that the kernel reports it as closed afterwards. */
static int pty_make(struct chardev_pty *pty, struct error **err)
{
    char name[64];
    struct termios modes;
    int slave;

    pty->master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (pty->master < 0 || grantpt(pty->master) != 0 || unlockpt(pty->master) != 0 ||
        ptsname_r(pty->master, name, sizeof(name)) != 0) {
        return error_set(err, -errno, "can't make a pseudo-terminal: %s", strerror(errno));
    }
    slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0) {
        return error_set(err, -errno, "can't open '%s': %s", name, strerror(errno));
    }
    if (tcgetattr(slave, &modes) == 0) {
        cfmakeraw(&modes);
        tcsetattr(slave, TCSANOW, &modes);
    }
    close(slave);
    pty->chardev.where = strdup(name);
    return 0;
}

static int pty_open(struct chardev *chardev, struct error **err)
{
    struct chardev_pty *pty = container_of(chardev, struct chardev_pty, chardev);
    int ret = pty_make(pty, err);

    if (ret != 0) {
        if (pty->master >= 0) {
            close(pty->master);
        }
        return ret;
    }
    ret = timer_init(&pty->timer, chardev->env.loop, chardev->env.clock, pty_poll, pty);
    if (ret != 0) {
        close(pty->master);
        return error_set(err, ret, "the event loop watches too many clocks");
    }
    stream_init(&pty->stream, chardev, pty_ended);
    log_info("char device redirected to %s (label %s)", chardev_where(chardev), chardev->id);
    pty_poll(pty);
    return 0;
}

static void pty_close(struct chardev *chardev)
{
    struct chardev_pty *pty = container_of(chardev, struct chardev_pty, chardev);

    timer_destroy(&pty->timer);
    stream_destroy(&pty->stream);
    close(pty->master);
}

static void pty_flush(struct chardev *chardev)
{
    stream_flush(&container_of(chardev, struct chardev_pty, chardev)->stream);
}

static void pty_resume(struct chardev *chardev)
{
    stream_resume(&container_of(chardev, struct chardev_pty, chardev)->stream);
}

const struct chardev_type chardev_pty_type = {
    .name = "pty",
    .description = "a new pseudo-terminal",
    .size_bytes = sizeof(struct chardev_pty),
    .open = pty_open,
    .close = pty_close,
    .flush = pty_flush,
    .resume = pty_resume,
};
