/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Threads that RCU and the logs know: every thread of heddle is made here. */
#ifndef HDL_BASE_THREAD_H
#define HDL_BASE_THREAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "base/error.h"

struct hdl_thread {
    pthread_t thread;
    _Atomic pid_t id; /* as ps -L and sched_setaffinity(2) know it; 0: it hasn't begun. Any thread */
    char name[16];
    void (*run)(void *opaque);
    void *opaque;
};

/*
 * Starts run(opaque) on a new thread, named (at most 15 bytes are kept) and registered with RCU, with all signals
 * blocked. *thread must outlive it. 0 or a negative errno.
 */
int hdl_thread_start(struct hdl_thread *thread, const char *name, void (*run)(void *opaque), void *opaque,
                     struct error **err);
/* Waits for the thread's end. No lock may be held. */
void hdl_thread_join(struct hdl_thread *thread);

/* The main thread, which nobody starts, registers itself at the beginning of main() and unregisters at its end. */
void hdl_thread_register_main(void);
void hdl_thread_unregister_main(void);

#endif
