/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * heddle as a process. Signals that ask it to end are taken by a thread that waits for them, so that no handler runs in
 * the middle of anything: it asks the machine's main loop to quit, or, while there is no machine yet, ends the process
 * after putting the terminal back. Guests reach none of this.
 */
#include "cli/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/path.h"
#include "chardev/terminal.h"
#include "machine/machine.h"

/* --- background ------------------------------------------------------------------------------------------------- */

/* The parent's part: waits for the child's one byte, or for its end. */
static HDL_NORETURN void daemonize_wait(int fd)
{
    char byte;
    ssize_t got;

    do {
        got = read(fd, &byte, 1);
    } while (got < 0 && errno == EINTR);
    _exit(got == 1 ? 0 : 1);
}

int process_daemonize(int *ready_fd, struct error **err)
{
    int fds[2];
    pid_t child;

    if (pipe2(fds, O_CLOEXEC) < 0) {
        return error_set(err, -errno, "-daemonize: can't make a pipe: %s", strerror(errno));
    }
    child = fork();
    if (child < 0) {
        return error_set(err, -errno, "-daemonize: can't fork: %s", strerror(errno));
    }
    if (child > 0) {
        close(fds[1]);
        daemonize_wait(fds[0]);
    }
    close(fds[0]);
    setsid();
    *ready_fd = fds[1];
    return 0;
}

int process_detach(int ready_fd, struct error **err)
{
    int null_fd;

    if (ready_fd < 0) {
        return 0;
    }
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0 || chdir("/") < 0) {
        return error_set(err, -errno, "-daemonize: can't leave the terminal: %s", strerror(errno));
    }
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        dup2(null_fd, fd);
    }
    close(null_fd);
    if (write(ready_fd, "1", 1) != 1) {
        return -EPIPE; /* nobody is left to tell */
    }
    close(ready_fd);
    return 0;
}

/* --- memory ------------------------------------------------------------------------------------------------------ */

int process_lock_memory(struct error **err)
{
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        return error_set(err, -errno, "-overcommit mem-lock=on: can't lock memory: %s (see ulimit -l)",
                         strerror(errno));
    }
    return 0;
}

/* core(5): bit 1 of the filter is anonymous shared memory, bit 6 that of huge pages. */
void process_dump_no_guest(void)
{
    const unsigned shared = 1 << 1 | 1 << 6;
    FILE *file = fopen("/proc/self/coredump_filter", "r+e");
    unsigned filter;
    bool done = false;

    if (file) {
        done = fscanf(file, "%x", &filter) == 1 && fseek(file, 0, SEEK_SET) == 0 &&
               fprintf(file, "0x%x", filter & ~shared) > 0;
        done = fclose(file) == 0 && done;
    }
    if (!done) {
        log_warn("-machine dump-guest-core=off: core files will have the guest's memory: %s", strerror(errno));
    }
}

/* --- pid file --------------------------------------------------------------------------------------------------- */

int pidfile_create(struct pidfile *pidfile, const char *path, struct error **err)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    int code;

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && ftruncate(fd, 0) == 0 && write(fd, text, (size_t)len) == len) {
        pidfile->path = path_absolute(path);
        pidfile->fd = fd;
        return 0;
    }
    code = errno;
    if (fd >= 0) {
        close(fd);
    }
    return error_set(err, -code, "can't write pid file '%s': %s", path,
                     code == EWOULDBLOCK ? "a running process holds it" : strerror(code));
}

void pidfile_remove(struct pidfile *pidfile)
{
    if (pidfile->fd >= 0) {
        if (pidfile->path) {
            unlink(pidfile->path);
        }
        close(pidfile->fd);
        free((char *)pidfile->path);
        *pidfile = (struct pidfile){.fd = -1};
    }
}

/* --- signals ---------------------------------------------------------------------------------------------------- */

static void signal_set_make(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
}

static void signal_watch_run(void *opaque)
{
    struct signal_watch *watch = opaque;
    sigset_t set;
    int number;

    signal_set_make(&set);
    while (sigwait(&set, &number) == 0 && !atomic_load(&watch->ending)) {
        struct machine *machine = atomic_load(&watch->machine);

        if (machine) {
            machine_ask_quit(machine, "host-signal");
        } else {
            terminal_restore();
            _exit(128 + number);
        }
    }
}

int signal_watch_start(struct signal_watch *watch, struct error **err)
{
    sigset_t set;

    atomic_init(&watch->machine, NULL);
    atomic_init(&watch->ending, false);
    signal_set_make(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return hdl_thread_start(&watch->thread, "signals", signal_watch_run, watch, err);
}

void signal_watch_set_machine(struct signal_watch *watch, struct machine *machine)
{
    atomic_store(&watch->machine, machine);
}

void signal_watch_stop(struct signal_watch *watch)
{
    atomic_store(&watch->ending, true);
    pthread_kill(watch->thread.thread, SIGTERM);
    hdl_thread_join(&watch->thread);
}
