/* SPDX-License-Identifier: GPL-2.0-or-later */
/* heddle as a process: going to the background, the pid file, the signals that end it. Main thread. */
#ifndef HDL_CLI_PROCESS_H
#define HDL_CLI_PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/thread.h"

struct machine;

/*
 * Forks before any other thread exists. Returns in the child, with *ready_fd for process_detach; the parent waits for
 * that and exits: 0 after process_detach, 1 if the child ended before it. -1 in *ready_fd means that nobody waits.
 */
int process_daemonize(int *ready_fd, struct error **err);
/* Leaves the terminal and the directory, and lets the parent go. */
int process_detach(int ready_fd, struct error **err);

/* Keeps all memory, also what is yet to come, out of the host's swap. */
int process_lock_memory(struct error **err);
/* The guest's memory, which is shared memory, stays out of the core files that the kernel may write. Warns if not. */
void process_dump_no_guest(void);

/* An open, locked pid file. fd -1: none. */
struct pidfile {
    const char *path; /* absolute, owned */
    int fd;
};
/* Writes the process id. -EWOULDBLOCK and an error if another process holds the file. */
int pidfile_create(struct pidfile *pidfile, const char *path, struct error **err);
/* Removes it, if it was created. */
void pidfile_remove(struct pidfile *pidfile);

/*
 * A thread that takes SIGINT, SIGTERM and SIGHUP, which are blocked everywhere else. machine NULL: none exists yet, and
 * a signal ends the process at once. machine, ending: any thread, atomically. thread: the main thread.
 */
struct signal_watch {
    struct machine *_Atomic machine;
    _Atomic bool ending;
    struct hdl_thread thread;
};
/* Before any other thread exists. */
int signal_watch_start(struct signal_watch *watch, struct error **err);
/* From here on signals ask the machine to quit. Before there is a pid file, so that it can't be left behind. */
void signal_watch_set_machine(struct signal_watch *watch, struct machine *machine);
/* Ends the thread. The machine may go afterwards. */
void signal_watch_stop(struct signal_watch *watch);

#endif
