/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The out-of-line parts of ranked mutexes and condition variables, over POSIX threads. Waiting on a condition while
 * holding any other ranked lock is a violation: it would make that lock wait for another thread.
 */
#include "base/lock.h"

#include <time.h>

void hdl_mutex_init(struct hdl_mutex *lock, const char *name, enum lock_rank rank)
{
    pthread_mutex_init(&lock->mutex, NULL);
    lock_debug_init(&lock->debug, name, rank);
}

void hdl_mutex_destroy(struct hdl_mutex *lock)
{
    pthread_mutex_destroy(&lock->mutex);
}

void hdl_cond_init(struct hdl_cond *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&cond->cond, &attr);
    pthread_condattr_destroy(&attr);
}

void hdl_cond_destroy(struct hdl_cond *cond)
{
    pthread_cond_destroy(&cond->cond);
}

void hdl_cond_signal(struct hdl_cond *cond)
{
    pthread_cond_signal(&cond->cond);
}

void hdl_cond_broadcast(struct hdl_cond *cond)
{
    pthread_cond_broadcast(&cond->cond);
}

void hdl_cond_wait_at(struct hdl_cond *cond, struct hdl_mutex *lock, const char *where)
{
    lock_debug_release(&lock->debug);
    lock_debug_assert_none(where);
    pthread_cond_wait(&cond->cond, &lock->mutex);
    lock_debug_took(&lock->debug, where);
}

bool hdl_cond_wait_until_at(struct hdl_cond *cond, struct hdl_mutex *lock, uint64_t deadline_ns, const char *where)
{
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
                                .tv_nsec = (long)(deadline_ns % 1000000000u)};
    int ret;

    lock_debug_release(&lock->debug);
    lock_debug_assert_none(where);
    ret = pthread_cond_timedwait(&cond->cond, &lock->mutex, &deadline);
    lock_debug_took(&lock->debug, where);
    return ret == 0;
}
