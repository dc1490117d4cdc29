/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ranked mutexes and condition variables, known to clang's analysis and to the rank checker.
 *
 * Devices don't use these for their own state: they have a device lock (device/device_lock.h), which also carries
 * deferred work.
 */
#ifndef HDL_BASE_LOCK_H
#define HDL_BASE_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/annotations.h"
#include "base/compiler.h"
#include "base/rank.h"

struct HDL_CAPABILITY("mutex") hdl_mutex {
    pthread_mutex_t mutex;
    struct lock_debug debug;
};

/* name must outlive the lock. */
void hdl_mutex_init(struct hdl_mutex *lock, const char *name, enum lock_rank rank);
/* Nobody may hold the lock or wait for it. */
void hdl_mutex_destroy(struct hdl_mutex *lock);

static inline void hdl_mutex_lock_at(struct hdl_mutex *lock, const char *where) HDL_ACQUIRE(lock) HDL_LOCK_PRIMITIVE
{
    lock_debug_before(&lock->debug, where);
    pthread_mutex_lock(&lock->mutex);
    lock_debug_took(&lock->debug, where);
}

static inline bool hdl_mutex_trylock_at(struct hdl_mutex *lock, const char *where)
    HDL_TRY_ACQUIRE(true, lock) HDL_LOCK_PRIMITIVE
{
    if (pthread_mutex_trylock(&lock->mutex) != 0) {
        return false;
    }
    lock_debug_took(&lock->debug, where);
    return true;
}

static inline void hdl_mutex_unlock(struct hdl_mutex *lock) HDL_RELEASE(lock) HDL_LOCK_PRIMITIVE
{
    lock_debug_release(&lock->debug);
    pthread_mutex_unlock(&lock->mutex);
}

static inline void hdl_assert_held_at(const struct hdl_mutex *lock, const char *where) HDL_ASSERT_CAPABILITY(lock)
{
    lock_debug_assert(&lock->debug, true, where);
}

#define hdl_mutex_lock(lock)    hdl_mutex_lock_at((lock), HDL_WHERE)
#define hdl_mutex_trylock(lock) hdl_mutex_trylock_at((lock), HDL_WHERE)
/* Aborts unless the calling thread holds the lock (with HDL_LOCK_DEBUG), and tells clang that it does. */
#define hdl_assert_held(lock) hdl_assert_held_at((lock), HDL_WHERE)

/* A condition variable on the monotonic clock. */
struct hdl_cond {
    pthread_cond_t cond;
};

void hdl_cond_init(struct hdl_cond *cond);
void hdl_cond_destroy(struct hdl_cond *cond);
void hdl_cond_signal(struct hdl_cond *cond);
void hdl_cond_broadcast(struct hdl_cond *cond);
/* Releases the lock while waiting. No other ranked lock may be held. */
void hdl_cond_wait_at(struct hdl_cond *cond, struct hdl_mutex *lock, const char *where) HDL_REQUIRES(lock);
/* As hdl_cond_wait, until an absolute CLOCK_MONOTONIC time in ns; false when it has passed. */
bool hdl_cond_wait_until_at(struct hdl_cond *cond, struct hdl_mutex *lock, uint64_t deadline_ns, const char *where)
    HDL_REQUIRES(lock);

#define hdl_cond_wait(cond, lock)                 hdl_cond_wait_at((cond), (lock), HDL_WHERE)
#define hdl_cond_wait_until(cond, lock, deadline) hdl_cond_wait_until_at((cond), (lock), (deadline), HDL_WHERE)

#endif
