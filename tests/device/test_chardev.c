/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Chardevs: rings and who is told, files, sockets, pseudo-terminals, the mux's keys, and a terminal that is put back.
 */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/thread.h"
#include "chardev/terminal.h"

struct front {
    struct chardev_frontend frontend; /* first */
    unsigned readable, writable, opened, closed, breaks, focused;
};

static void front_readable(struct chardev_frontend *frontend)
{
    ((struct front *)frontend)->readable++;
}

static void front_writable(struct chardev_frontend *frontend)
{
    ((struct front *)frontend)->writable++;
}

static void front_event(struct chardev_frontend *frontend, enum chardev_event event)
{
    struct front *front = (struct front *)frontend;

    front->opened += event == CHARDEV_OPENED;
    front->closed += event == CHARDEV_CLOSED;
    front->breaks += event == CHARDEV_BREAK;
    front->focused += event == CHARDEV_FOCUSED;
}

static struct front front_make(void)
{
    return (struct front){.frontend = {.readable = front_readable, .writable = front_writable, .event = front_event}};
}

static struct chardev *make(struct rig *rig, const char *type, const char *id, const char *const *options)
{
    struct chardev *chardev = chardev_create(chardev_type_find(type, NULL), id, &rig->env);
    struct error *err = NULL;

    assert_non_null(chardev);
    for (; options && options[0]; options += 2) {
        assert_int_equal(chardev_set_option(chardev, options[0], options[1], NULL), 0);
    }
    if (chardev_open(chardev, &err) != 0) {
        fail_msg("%s", err->message);
    }
    return chardev;
}

static void test_null(void **state)
{
    struct rig *rig = *state;
    struct chardev *chardev = make(rig, "null", "n", NULL);
    struct front front = front_make();
    struct front other = front_make();
    struct error *err = NULL;
    char byte;

    assert_int_equal(chardev_attach(chardev, &front.frontend, NULL), 0);
    assert_int_equal(chardev_attach(chardev, &other.frontend, &err), -EBUSY);
    error_free(err);
    assert_int_equal(chardev_write(chardev, "swallowed", 9), 9);
    assert_int_equal(chardev_read(chardev, &byte, 1), 0);
    assert_false(chardev_is_readable(chardev));
    assert_int_equal(front.opened, 0);
    chardev_detach(chardev, &front.frontend);
    assert_int_equal(chardev_attach(chardev, &other.frontend, NULL), 0);
    chardev_detach(chardev, &other.frontend);
    chardev_destroy(chardev);
}

static void test_options(void **state)
{
    struct rig *rig = *state;
    struct chardev *chardev = chardev_create(chardev_type_find("file", NULL), "f", &rig->env);
    struct error *err = NULL;

    assert_null(chardev_type_find("flie", &err));
    assert_non_null(strstr(err->message, "flie"));
    error_free(err);
    err = NULL;
    assert_int_not_equal(chardev_set_option(chardev, "pth", "x", &err), 0);
    assert_non_null(strstr(err->message, "pth"));
    error_free(err);
    err = NULL;
    assert_int_equal(chardev_open(chardev, &err), -EINVAL);
    error_free(err);
    err = NULL;
    assert_int_equal(chardev_set_option(chardev, "path", "/nonexistent/x", NULL), 0);
    assert_int_equal(chardev_open(chardev, &err), -ENOENT);
    assert_non_null(strstr(err->message, "/nonexistent/x"));
    error_free(err);
    chardev_destroy(chardev);
}

static void test_file(void **state)
{
    struct rig *rig = *state;
    char path[] = "/tmp/heddle-chardev-XXXXXX";
    int fd = mkstemp(path);
    struct chardev *chardev = make(rig, "file", "f", (const char *[]){"path", path, NULL});
    char text[16] = "";

    assert_int_equal(chardev_write(chardev, "one\n", 4), 4);
    rig_settle(rig);
    assert_int_equal(read(fd, text, sizeof(text)), 4);
    chardev_write(chardev, "two\n", 4);
    chardev_destroy(chardev); /* with no turn of the loop: what was written isn't lost */
    assert_int_equal(read(fd, text, sizeof(text)), 4);
    assert_memory_equal(text, "two\n", 4);
    chardev = make(rig, "file", "f", (const char *[]){"path", path, "append", "on", NULL});
    chardev_write(chardev, "three", 5);
    chardev_destroy(chardev);
    assert_int_equal(lseek(fd, 0, SEEK_END), 13);
    close(fd);
    unlink(path);
}

/* The in ring is bounded: the producer stops, and goes on when the device has taken something. */
static void test_socket_flow(void **state)
{
    struct rig *rig = *state;
    char path[64];
    struct chardev *chardev;
    struct front front = front_make();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    uint8_t bytes[1000];
    size_t sent = 0, got = 0, count;
    int client;

    snprintf(path, sizeof(path), "/tmp/heddle-chardev-%d.sock", getpid());
    chardev = make(rig, "socket", "s", (const char *[]){"path", path, "server", "on", "wait", "off", NULL});
    assert_int_equal(chardev_attach(chardev, &front.frontend, NULL), 0);
    assert_int_equal(chardev_write(chardev, "nobody", 6), 6);
    assert_int_equal(front.opened, 0);
    memcpy(address.sun_path, path, strlen(path) + 1);
    client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
    rig_settle(rig);
    assert_int_equal(front.opened, 1);
    for (unsigned i = 0; i < 20; i++) {
        for (size_t j = 0; j < sizeof(bytes); j++) {
            bytes[j] = (uint8_t)((sent + j) * 3);
        }
        assert_int_equal(write(client, bytes, sizeof(bytes)), sizeof(bytes));
        sent += sizeof(bytes);
    }
    rig_settle(rig);
    assert_true(front.readable > 0);
    while (got < sent) {
        count = chardev_read(chardev, bytes, 777);
        for (size_t j = 0; j < count; j++) {
            assert_int_equal(bytes[j], (uint8_t)((got + j) * 3));
        }
        got += count;
        rig_settle(rig);
    }
    /* The other way: a client that doesn't read fills the socket and then the ring; nothing is lost. */
    sent = got = 0;
    do {
        memset(bytes, (int)(sent / sizeof(bytes)), sizeof(bytes));
        count = chardev_write(chardev, bytes, sizeof(bytes));
        sent += count;
        rig_settle(rig);
    } while (count == sizeof(bytes) && sent < 10000000);
    assert_true(sent < 10000000);
    assert_int_equal(front.writable, 0);
    while (got < sent) {
        ssize_t now = read(client, bytes, sizeof(bytes));

        if (now > 0) {
            got += (size_t)now;
        }
        rig_settle(rig);
    }
    assert_int_equal(front.writable, 1);
    close(client);
    rig_settle(rig);
    assert_int_equal(front.closed, 1);
    client = socket(AF_UNIX, SOCK_STREAM, 0); /* the next one may come */
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
    rig_settle(rig);
    assert_int_equal(front.opened, 2);
    chardev_write(chardev, "bye", 3);
    chardev_detach(chardev, &front.frontend);
    chardev_destroy(chardev);
    assert_int_equal(read(client, bytes, sizeof(bytes)), 3);
    assert_int_equal(access(path, F_OK), -1);
    close(client);
}

/* A Unix socket of the test's own that listens at path. */
static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    memcpy(address.sun_path, path, strlen(path) + 1);
    unlink(path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static int open_fails(struct rig *rig, const char *const *options, const char *says)
{
    struct chardev *chardev = chardev_create(chardev_type_find("socket", NULL), "s", &rig->env);
    struct error *err = NULL;
    int ret;

    for (; options[0]; options += 2) {
        assert_int_equal(chardev_set_option(chardev, options[0], options[1], NULL), 0);
    }
    ret = chardev_open(chardev, &err);
    assert_int_not_equal(ret, 0);
    if (!strstr(err->message, says)) {
        fail_msg("doesn't say '%s' but '%s'", says, err->message);
    }
    error_free(err);
    chardev_destroy(chardev);
    return ret;
}

/* A socket that whoever started us left open: one that listens already, and one that is connected already. */
static void test_socket_inherited(void **state)
{
    struct rig *rig = *state;
    char path[64], number[16], text[8] = "", expected[96];
    struct front front = front_make();
    struct chardev *chardev;
    int pair[2], listener, client, file;

    snprintf(path, sizeof(path), "/tmp/heddle-chardev-%d.sock", getpid());
    listener = listen_at(path);
    snprintf(number, sizeof(number), "%d", listener);
    client = connect_to(path); /* who comes before we do isn't lost */
    open_fails(rig, (const char *[]){"fd", number, NULL}, "server=on");
    chardev = make(rig, "socket", "s", (const char *[]){"fd", number, "server", "on", "wait", "off", NULL});
    assert_int_equal(fcntl(listener, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    snprintf(expected, sizeof(expected), "unix:%s,server=on", path);
    assert_string_equal(chardev_where(chardev), expected);
    assert_int_equal(chardev_attach(chardev, &front.frontend, NULL), 0);
    for (unsigned i = 1; i <= 2; i++) {
        rig_settle(rig);
        assert_int_equal(front.opened, i);
        chardev_write(chardev, "hi", 2);
        rig_settle(rig);
        assert_int_equal(read(client, text, sizeof(text)), 2);
        close(client);
        rig_settle(rig);
        assert_int_equal(front.closed, i);
        client = connect_to(path); /* and the next */
    }
    chardev_detach(chardev, &front.frontend);
    chardev_destroy(chardev);
    assert_int_equal(fcntl(listener, F_GETFD), -1); /* it was ours */
    assert_int_equal(access(path, F_OK), 0);        /* its name isn't */
    unlink(path);
    close(client);

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    snprintf(number, sizeof(number), "%d", pair[0]);
    chardev = make(rig, "socket", "s", (const char *[]){"fd", number, NULL});
    assert_int_equal(write(pair[1], "in", 2), 2);
    rig_settle(rig);
    assert_int_equal(chardev_read(chardev, text, sizeof(text)), 2);
    chardev_destroy(chardev);
    assert_int_equal(read(pair[1], text, 1), 0);
    close(pair[1]);

    file = open("/dev/null", O_RDWR);
    snprintf(number, sizeof(number), "%d", file);
    open_fails(rig, (const char *[]){"fd", number, "server", "on", NULL}, "stream socket");
    close(file);
    open_fails(rig, (const char *[]){"fd", number, NULL}, "stream socket");
    open_fails(rig, (const char *[]){"fd", "monitor", NULL}, "'monitor'");
    open_fails(rig, (const char *[]){"fd", "3", "path", "/x", NULL}, "one of");
    open_fails(rig, (const char *[]){"server", "on", NULL}, "one of");
}

/* Descriptors come with the bytes, are taken in order, and aren't leaked when nobody takes them. */
static void test_socket_fds(void **state)
{
    struct rig *rig = *state;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {0};
    struct iovec iov = {.iov_base = (char *)"x", .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    int pair[2], pipes[2], fds[2];
    char number[16], byte;
    struct chardev *chardev;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    snprintf(number, sizeof(number), "%d", pair[0]);
    chardev = make(rig, "socket", "s", (const char *[]){"fd", number, NULL});
    assert_int_equal(chardev_take_fd(chardev), -1);
    assert_int_equal(pipe(pipes), 0);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(2 * sizeof(int));
    memcpy(CMSG_DATA(header), pipes, sizeof(pipes));
    for (unsigned i = 0; i < 20; i++) { /* more than are kept */
        assert_int_equal(sendmsg(pair[1], &message, 0), 1);
        rig_settle(rig);
        chardev_read(chardev, &byte, 1);
    }
    fds[0] = chardev_take_fd(chardev);
    fds[1] = chardev_take_fd(chardev);
    assert_true(fds[0] >= 0 && fds[1] >= 0);
    assert_int_equal(fcntl(fds[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(write(fds[1], "p", 1), 1);
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    close(fds[0]);
    close(fds[1]);
    close(pipes[1]);
    close(pair[1]);
    rig_settle(rig);
    assert_int_equal(chardev_take_fd(chardev), -1);
    assert_int_equal(read(pipes[0], &byte, 1), 0); /* nobody has the other end any more */
    close(pipes[0]);
    chardev_destroy(chardev);
}

static void test_socket_telnet(void **state)
{
    static const uint8_t greeting[] = {255, 251, 1, 255, 251, 3, 255, 251, 0, 255, 253, 0};
    static const uint8_t in[] = {'a', 255, 253, 3, 'b', 255, 250, 24, 1, 255, 240, 255, 255, 'c', 255, 243, 'd', 255};
    static const uint8_t in_data[] = {'a', 'b', 255, 'c', 'd'};
    static const uint8_t out[] = {255, 'x', 255, 255, 'y'};
    static const uint8_t out_wire[] = {255, 255, 'x', 255, 255, 255, 255, 'y'};
    struct rig *rig = *state;
    struct front front = front_make();
    char number[16], where[64];
    uint8_t bytes[64];
    struct chardev *chardev;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    snprintf(number, sizeof(number), "%d", pair[0]);
    chardev = make(rig, "socket", "s", (const char *[]){"fd", number, "telnet", "on", NULL});
    assert_int_equal(chardev_attach(chardev, &front.frontend, NULL), 0);
    assert_int_equal(read(pair[1], bytes, sizeof(bytes)), sizeof(greeting));
    assert_memory_equal(bytes, greeting, sizeof(greeting));
    for (size_t i = 0; i < sizeof(in); i++) { /* commands may come in pieces */
        assert_int_equal(write(pair[1], in + i, 1), 1);
        rig_settle(rig);
    }
    assert_int_equal(chardev_read(chardev, bytes, sizeof(bytes)), sizeof(in_data));
    assert_memory_equal(bytes, in_data, sizeof(in_data));
    assert_int_equal(front.breaks, 1);
    assert_int_equal(chardev_write(chardev, out, sizeof(out)), sizeof(out));
    rig_settle(rig);
    assert_int_equal(read(pair[1], bytes, sizeof(bytes)), sizeof(out_wire));
    assert_memory_equal(bytes, out_wire, sizeof(out_wire));
    chardev_detach(chardev, &front.frontend);
    chardev_destroy(chardev);
    close(pair[1]);
    chardev =
        make(rig, "socket", "t",
             (const char *[]){"host", "127.0.0.1", "port", "0", "server", "on", "wait", "off", "telnet", "on", NULL});
    snprintf(where, sizeof(where), "%.17s", chardev_where(chardev));
    assert_string_equal(where, "telnet:127.0.0.1:");
    chardev_destroy(chardev);
}

/* A client that nobody listens to yet, that is left, and that comes back. */
static void test_socket_reconnect(void **state)
{
    struct rig *rig = *state;
    struct front front = front_make();
    char path[64], text[8];
    struct chardev *chardev;
    int listener, server;

    snprintf(path, sizeof(path), "/tmp/heddle-chardev-%d.sock", getpid());
    unlink(path);
    open_fails(rig, (const char *[]){"path", path, NULL}, path);
    open_fails(rig, (const char *[]){"path", path, "reconnect", "1", "server", "on", NULL}, "reconnect");
    chardev = make(rig, "socket", "s", (const char *[]){"path", path, "reconnect", "2", NULL});
    assert_int_equal(chardev_attach(chardev, &front.frontend, NULL), 0);
    assert_int_equal(chardev_write(chardev, "nobody", 6), 6);
    rig_settle(rig);
    assert_int_equal(front.opened, 0);
    listener = listen_at(path);
    rig_advance_ns(rig, NS_PER_SEC);
    assert_int_equal(front.opened, 0);
    rig_advance_ns(rig, NS_PER_SEC);
    assert_int_equal(front.opened, 1);
    server = accept(listener, NULL, NULL);
    assert_true(server >= 0);
    close(server);
    rig_settle(rig);
    assert_int_equal(front.closed, 1);
    rig_advance_ns(rig, 2 * NS_PER_SEC);
    assert_int_equal(front.opened, 2);
    server = accept(listener, NULL, NULL);
    chardev_write(chardev, "again", 5);
    rig_settle(rig);
    assert_int_equal(read(server, text, sizeof(text)), 5);
    chardev_detach(chardev, &front.frontend);
    chardev_destroy(chardev);
    close(server);
    close(listener);
    unlink(path);
}

/* TCP: the way through the kernel takes a moment, and refusals come later than the call. */
static void test_socket_reconnect_tcp(void **state)
{
    struct rig *rig = *state;
    struct front front = front_make();
    struct chardev *server, *client;
    char port[16];

    server = make(rig, "socket", "s",
                  (const char *[]){"host", "127.0.0.1", "port", "0", "server", "on", "wait", "off", NULL});
    snprintf(port, sizeof(port), "%d", atoi(strrchr(chardev_where(server), ':') + 1));
    client = make(rig, "socket", "c",
                  (const char *[]){"host", "localhost", "port", port, "ipv4", "on", "reconnect", "1", NULL});
    assert_int_equal(chardev_attach(client, &front.frontend, NULL), 0);
    while (front.opened == 0) {
        event_loop_poll(rig->loop, true);
    }
    chardev_destroy(server); /* its listening socket and the connection go together */
    while (front.closed == 0) {
        event_loop_poll(rig->loop, true);
    }
    for (unsigned i = 0; i < 3; i++) { /* refused */
        rig_advance_ns(rig, NS_PER_SEC);
    }
    assert_int_equal(front.opened, 1);
    chardev_detach(client, &front.frontend);
    chardev_destroy(client);
}

/* An abstract name leaves no file; a relative one is removed even if the directory was left. */
static void test_socket_names(void **state)
{
    struct rig *rig = *state;
    char name[64], folder[] = "/tmp/heddle-chardev-XXXXXX", file[64];
    char *cwd = getcwd(NULL, 0);
    struct chardev *chardev, *client;

    snprintf(name, sizeof(name), "heddle-chardev-%d", getpid());
    chardev =
        make(rig, "socket", "s", (const char *[]){"path", name, "abstract", "on", "server", "on", "wait", "off", NULL});
    client = make(rig, "socket", "c", (const char *[]){"path", name, "abstract", "on", NULL});
    assert_int_equal(access(name, F_OK), -1);
    chardev_destroy(client);
    chardev_destroy(chardev);
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    snprintf(file, sizeof(file), "%s/rel", folder);
    chardev = make(rig, "socket", "s", (const char *[]){"path", "rel", "server", "on", "wait", "off", NULL});
    assert_int_equal(access(file, F_OK), 0);
    assert_int_equal(chdir(cwd), 0);
    chardev_destroy(chardev);
    assert_int_equal(access(file, F_OK), -1);
    rmdir(folder);
    free(cwd);
}

static void test_pty(void **state)
{
    struct rig *rig = *state;
    struct chardev *chardev = make(rig, "pty", "p", NULL);
    struct front front = front_make();
    char text[8] = "";
    int slave;

    assert_int_equal(chardev_attach(chardev, &front.frontend, NULL), 0);
    assert_int_equal(chardev_write(chardev, "lost", 4), 4);
    slave = open(chardev_where(chardev), O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    rig_advance_ns(rig, NS_PER_SEC);
    assert_int_equal(front.opened, 1);
    chardev_write(chardev, "out", 3);
    rig_settle(rig);
    assert_int_equal(read(slave, text, sizeof(text)), 3);
    assert_memory_equal(text, "out", 3);
    assert_int_equal(write(slave, "in\3", 3), 3);
    while (front.readable == 0) { /* the kernel carries it over in its own time */
        event_loop_poll(rig->loop, true);
    }
    assert_int_equal(chardev_read(chardev, text, sizeof(text)), 3);
    assert_memory_equal(text, "in\3", 3); /* raw */
    close(slave);
    rig_settle(rig);
    assert_int_equal(front.closed, 1);
    slave = open(chardev_where(chardev), O_RDWR | O_NOCTTY | O_NONBLOCK);
    rig_advance_ns(rig, NS_PER_SEC);
    assert_int_equal(front.opened, 2);
    close(slave);
    chardev_detach(chardev, &front.frontend);
    chardev_destroy(chardev);
}

/* --- the log ---------------------------------------------------------------------------------------------------- */

/* Nothing is left out of it: not what nobody hears, nor what comes faster than it can be written. */
static void test_log_file(void **state)
{
    struct rig *rig = *state;
    struct front front = front_make();
    char path[] = "/tmp/heddle-chardev-XXXXXX";
    int fd = mkstemp(path);
    char number[16], text[16] = "";
    uint8_t bytes[3000];
    size_t sent = 0;
    struct chardev *chardev = make(rig, "null", "n", (const char *[]){"logfile", path, NULL});
    struct error *err = NULL;

    assert_int_equal(chardev_attach(chardev, &front.frontend, NULL), 0);
    assert_int_equal(chardev_write(chardev, "one\n", 4), 4);
    rig_settle(rig);
    assert_int_equal(read(fd, text, sizeof(text)), 4);
    memset(bytes, 'x', sizeof(bytes));
    for (unsigned i = 0; i < 10; i++) {
        sent += chardev_write(chardev, bytes, sizeof(bytes));
    }
    assert_int_equal(sent, 4096);
    assert_int_equal(front.writable, 0);
    rig_settle(rig);
    assert_int_equal(front.writable, 1);
    assert_int_equal(lseek(fd, 0, SEEK_END), 4 + sent);
    chardev_detach(chardev, &front.frontend);
    chardev_destroy(chardev);
    snprintf(number, sizeof(number), "%d", fd);
    chardev = make(rig, "ringbuf", "r", (const char *[]){"logfd", number, NULL});
    chardev_write(chardev, "end", 3);
    chardev_destroy(chardev); /* with no turn of the loop */
    assert_int_equal(lseek(fd, 0, SEEK_END), 4 + sent + 3);
    chardev = make(rig, "null", "n", (const char *[]){"logfile", path, "logappend", "on", NULL});
    chardev_write(chardev, "more", 4);
    chardev_destroy(chardev);
    assert_int_equal(lseek(fd, 0, SEEK_END), 4 + sent + 7);
    chardev = chardev_create(chardev_type_find("null", NULL), "n", &rig->env);
    assert_int_equal(chardev_set_option(chardev, "logfile", "/nonexistent/x", NULL), 0);
    assert_int_equal(chardev_open(chardev, &err), -ENOENT);
    assert_non_null(strstr(err->message, "logfile"));
    error_free(err);
    chardev_destroy(chardev);
    close(fd);
    unlink(path);
}

/* --- mux -------------------------------------------------------------------------------------------------------- */

struct mux_rig {
    struct chardev *lower, *port[2];
    struct front front[2];
};

static struct mux_rig mux_make(struct rig *rig)
{
    struct mux_rig mux = {.lower = make(rig, "ringbuf", "con", (const char *[]){"mux", "on", NULL})};

    assert_int_equal(chardev_table_add(rig->isa.chardevs, mux.lower, NULL), 0);
    return mux;
}

static void mux_attach(struct rig *rig, struct mux_rig *mux, unsigned port)
{
    mux->front[port] = front_make();
    mux->port[port] = chardev_table_claim(rig->isa.chardevs, "con", NULL);
    assert_non_null(mux->port[port]);
    assert_int_equal(chardev_attach(mux->port[port], &mux->front[port].frontend, NULL), 0);
}

static size_t drain(struct chardev *chardev, char *text, size_t size)
{
    size_t count = chardev_ringbuf_take(chardev, text, size - 1);

    text[count] = '\0';
    return count;
}

static void test_mux_keys(void **state)
{
    struct rig *rig = *state;
    struct mux_rig mux = mux_make(rig);
    char text[1024];

    mux_attach(rig, &mux, 0);
    chardev_ringbuf_put(mux.lower, "ab\1\1c\1zd", 8);
    assert_int_equal(chardev_read(mux.port[0], text, sizeof(text)), 5); /* an unknown key is swallowed */
    assert_memory_equal(text, "ab\1cd", 5);
    chardev_ringbuf_put(mux.lower, "\1", 1); /* the escape and its key may come apart */
    chardev_ringbuf_put(mux.lower, "h", 1);
    drain(mux.lower, text, sizeof(text));
    assert_non_null(strstr(text, "C-a x"));
    assert_non_null(strstr(text, "C-a C-a"));
    chardev_ringbuf_put(mux.lower, "\1c", 2);
    drain(mux.lower, text, sizeof(text));
    assert_non_null(strstr(text, "no monitor"));
    chardev_ringbuf_put(mux.lower, "\1b", 2);
    assert_int_equal(mux.front[0].breaks, 1);
    assert_int_equal(rig->quits, 0);
    chardev_ringbuf_put(mux.lower, "\1x", 2);
    assert_int_equal(rig->quits, 1);
    assert_false(chardev_is_readable(mux.port[0]));
    chardev_detach(mux.port[0], &mux.front[0].frontend);
}

static void test_mux_ports(void **state)
{
    struct rig *rig = *state;
    struct mux_rig mux = mux_make(rig);
    char text[64];

    mux_attach(rig, &mux, 0);
    mux_attach(rig, &mux, 1);
    assert_ptr_not_equal(mux.port[0], mux.port[1]);
    chardev_ringbuf_put(mux.lower, "one\1ctwo\1cthree", 15);
    assert_int_equal(chardev_read(mux.port[0], text, sizeof(text)), 8);
    assert_memory_equal(text, "onethree", 8);
    assert_int_equal(chardev_read(mux.port[1], text, sizeof(text)), 3);
    assert_memory_equal(text, "two", 3);
    assert_int_equal(mux.front[1].focused, 1);
    assert_int_equal(mux.front[0].focused, 1);
    assert_true(chardev_is_mux_port(mux.port[0]));
    assert_false(chardev_is_mux_port(mux.lower));
    chardev_write(mux.port[0], "A", 1);
    chardev_write(mux.port[1], "B", 1);
    assert_int_equal(drain(mux.lower, text, sizeof(text)), 2);
    assert_string_equal(text, "AB");
    chardev_detach(mux.port[0], &mux.front[0].frontend);
    chardev_detach(mux.port[1], &mux.front[1].frontend);
}

static void test_mux_stamps(void **state)
{
    struct rig *rig = *state;
    struct mux_rig mux = mux_make(rig);
    char text[128];

    mux_attach(rig, &mux, 0);
    chardev_ringbuf_put(mux.lower, "\1t", 2);
    clock_advance_ns(&rig->clock, 61 * NS_PER_SEC + 5 * NS_PER_MS);
    chardev_write(mux.port[0], "x\nab", 4);
    chardev_write(mux.port[0], "c\n", 2);
    drain(mux.lower, text, sizeof(text));
    assert_string_equal(text, "x\n[00:01:01.005] abc\n");
    chardev_ringbuf_put(mux.lower, "\1t", 2);
    chardev_write(mux.port[0], "y\n", 2);
    drain(mux.lower, text, sizeof(text));
    assert_string_equal(text, "y\n");
    chardev_detach(mux.port[0], &mux.front[0].frontend);
}

/* --- the terminal ----------------------------------------------------------------------------------------------- */

static void terminal_child(const char *name, int how, int ready)
{
    int slave = open(name, O_RDWR | O_NOCTTY);

    if (slave < 0 || terminal_set_raw(slave, false, NULL) != 0) {
        _exit(99);
    }
    if (write(ready, "r", 1) != 1) {
        _exit(98);
    }
    if (how == 0) {
        exit(0);
    }
    signal(how, SIG_DFL); /* a sanitizer may have taken it */
    terminal_catch_signals();
    raise(how);
    _exit(97);
}

/* Runs a child that makes the terminal raw and ends by exit(3) (how = 0) or a signal; what modes does it leave? */
static void check_terminal_restored(int how)
{
    char name[64], byte;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    int ready[2], status, slave;
    struct termios before, after;
    pid_t child;

    assert_true(master >= 0);
    assert_int_equal(grantpt(master) | unlockpt(master) | ptsname_r(master, name, sizeof(name)), 0);
    slave = open(name, O_RDWR | O_NOCTTY); /* keeps the terminal's modes */
    assert_int_equal(tcgetattr(slave, &before), 0);
    assert_true(before.c_lflag & ICANON);
    assert_int_equal(pipe(ready), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        terminal_child(name, how, ready[1]);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(how == 0 ? WIFEXITED(status) && WEXITSTATUS(status) == 0
                         : WIFSIGNALED(status) && WTERMSIG(status) == how);
    assert_int_equal(tcgetattr(slave, &after), 0);
    assert_int_equal(after.c_lflag, before.c_lflag);
    assert_int_equal(after.c_iflag, before.c_iflag);
    assert_int_equal(after.c_oflag, before.c_oflag);
    close(ready[0]);
    close(ready[1]);
    close(slave);
    close(master);
}

static void test_terminal_restored(void **state)
{
    check_terminal_restored(0);
    check_terminal_restored(SIGABRT);
    check_terminal_restored(SIGQUIT);
    check_terminal_restored(SIGXCPU);
}

static void test_terminal_modes(void **state)
{
    char name[64];
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    int slave, pipes[2];
    struct termios modes;
    struct error *err = NULL;

    assert_int_equal(grantpt(master) | unlockpt(master) | ptsname_r(master, name, sizeof(name)), 0);
    slave = open(name, O_RDWR | O_NOCTTY);
    assert_int_equal(terminal_set_raw(slave, true, NULL), 0);
    tcgetattr(slave, &modes);
    assert_int_equal(modes.c_lflag & (ICANON | ECHO | ISIG), ISIG);
    assert_int_equal(terminal_set_raw(slave, true, &err), -EBUSY);
    error_free(err);
    terminal_restore();
    tcgetattr(slave, &modes);
    assert_true(modes.c_lflag & ICANON);
    terminal_resume();
    tcgetattr(slave, &modes);
    assert_false(modes.c_lflag & ICANON);
    terminal_release();
    tcgetattr(slave, &modes);
    assert_true(modes.c_lflag & ICANON);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(terminal_set_raw(pipes[0], true, NULL), -ENOTTY);
    terminal_restore(); /* nothing to restore: harmless */
    close(pipes[0]);
    close(pipes[1]);
    close(slave);
    close(master);
}

/*
 * The `stdio` chardev with a terminal as standard input and output: keys arrive raw, output leaves, our descriptors'
 * flags are left alone, and destroying it puts the terminal back.
 */
static void test_stdio_terminal(void **state)
{
    struct rig *rig = *state;
    char name[64], text[8] = "";
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    int saved_in = dup(STDIN_FILENO), saved_out = dup(STDOUT_FILENO);
    int slave, flags, after_flags;
    size_t got, put;
    struct termios raw, after;
    struct chardev *chardev;

    assert_int_equal(grantpt(master) | unlockpt(master) | ptsname_r(master, name, sizeof(name)), 0);
    slave = open(name, O_RDWR | O_NOCTTY);
    assert_true(slave >= 0 && saved_in >= 0 && saved_out >= 0);
    flags = fcntl(slave, F_GETFL);
    dup2(slave, STDIN_FILENO);
    dup2(slave, STDOUT_FILENO);
    chardev = make(rig, "stdio", "s", (const char *[]){"signal", "off", NULL});
    tcgetattr(slave, &raw);
    chardev_write(chardev, "out", 3);
    rig_settle(rig);
    put = (size_t)read(master, text, 3);
    assert_int_equal(write(master, "\3x", 2), 2);
    while (!chardev_is_readable(chardev)) {
        event_loop_poll(rig->loop, true);
    }
    got = chardev_read(chardev, text + 3, 2);
    after_flags = fcntl(slave, F_GETFL);
    chardev_destroy(chardev);
    tcgetattr(slave, &after);
    dup2(saved_in, STDIN_FILENO);
    dup2(saved_out, STDOUT_FILENO);
    assert_int_equal(put, 3);
    assert_int_equal(got, 2);
    assert_memory_equal(text, "out\3x", 5);
    assert_int_equal(raw.c_lflag & (ICANON | ECHO | ISIG), 0);
    assert_true(after.c_lflag & ICANON);
    assert_int_equal(after_flags, flags);
    close(saved_in);
    close(saved_out);
    close(slave);
    close(master);
}

/* --- threads ---------------------------------------------------------------------------------------------------- */

#define PUSHES 3000

struct pusher {
    struct hdl_thread thread;
    struct chardev *chardev;
    _Atomic bool done;
};

static void pusher_run(void *opaque)
{
    struct pusher *pusher = opaque;
    unsigned sent = 0;

    while (sent < PUSHES) {
        uint8_t byte = (uint8_t)sent;

        sent += (unsigned)chardev_write(pusher->chardev, &byte, 1);
    }
    atomic_store(&pusher->done, true);
}

/* A "vCPU" writes and this thread turns the loop: every byte arrives, in order. */
static void test_write_from_thread(void **state)
{
    struct rig *rig = *state;
    int fds[2];
    char path[32];
    struct pusher pusher = {0};
    uint8_t bytes[512];
    unsigned got = 0;

    assert_int_equal(pipe(fds), 0);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[1]);
    pusher.chardev = make(rig, "file", "f", (const char *[]){"path", path, NULL});
    assert_int_equal(hdl_thread_start(&pusher.thread, "pusher", pusher_run, &pusher, NULL), 0);
    while (got < PUSHES) {
        ssize_t count = read(fds[0], bytes, sizeof(bytes));

        for (ssize_t i = 0; i < count; i++) {
            assert_int_equal(bytes[i], (uint8_t)got++);
        }
        event_loop_poll(rig->loop, false);
    }
    hdl_thread_join(&pusher.thread);
    chardev_destroy(pusher.chardev);
    close(fds[0]);
    close(fds[1]);
}

#define RIG_TEST(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_terminal_modes),
        cmocka_unit_test(test_terminal_restored),
        RIG_TEST(test_null),
        RIG_TEST(test_options),
        RIG_TEST(test_file),
        RIG_TEST(test_socket_flow),
        RIG_TEST(test_socket_inherited),
        RIG_TEST(test_socket_fds),
        RIG_TEST(test_socket_telnet),
        RIG_TEST(test_socket_reconnect),
        RIG_TEST(test_socket_reconnect_tcp),
        RIG_TEST(test_socket_names),
        RIG_TEST(test_pty),
        RIG_TEST(test_log_file),
        RIG_TEST(test_mux_keys),
        RIG_TEST(test_mux_ports),
        RIG_TEST(test_mux_stamps),
        RIG_TEST(test_stdio_terminal),
        RIG_TEST(test_write_from_thread),
    };

    return rig_main(tests, ARRAY_SIZE(tests));
}
