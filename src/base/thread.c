/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Thread start and end. Signals are blocked in every thread made here: those that heddle uses (the vCPU kick) are
 * unblocked by their users, and process-wide ones are taken by the main loop.
 */
#include "base/thread.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/rank.h"
#include "base/rcu.h"

static void *thread_entry(void *opaque)
{
    struct hdl_thread *thread = opaque;

    atomic_store_explicit(&thread->id, gettid(), memory_order_relaxed);
    pthread_setname_np(pthread_self(), thread->name);
    rcu_register_thread();
    rank_thread_register(thread->name);
    thread->run(thread->opaque);
    hdl_assert_unlocked();
    rank_thread_unregister();
    rcu_unregister_thread();
    return NULL;
}

int hdl_thread_start(struct hdl_thread *thread, const char *name, void (*run)(void *opaque), void *opaque,
                     struct error **err)
{
    sigset_t all;
    sigset_t old;
    int ret;

    strncpy(thread->name, name, sizeof(thread->name) - 1);
    thread->name[sizeof(thread->name) - 1] = '\0';
    atomic_store_explicit(&thread->id, 0, memory_order_relaxed);
    thread->run = run;
    thread->opaque = opaque;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    ret = pthread_create(&thread->thread, NULL, thread_entry, thread);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return ret ? error_set(err, -ret, "can't start thread '%s': %s", name, strerror(ret)) : 0;
}

void hdl_thread_join(struct hdl_thread *thread)
{
    hdl_assert_unlocked();
    pthread_join(thread->thread, NULL);
}

void hdl_thread_register_main(void)
{
    rcu_register_thread();
    rank_thread_register("main");
}

void hdl_thread_unregister_main(void)
{
    rank_thread_unregister();
    rcu_unregister_thread();
}
