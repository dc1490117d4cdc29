/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The run-time rank checker: a small stack of held locks a thread, kept in thread-local storage, so that it needs no
 * synchronisation of its own and can't deadlock. It only observes; a violated order ends the process at once, since a
 * thread that took locks in the wrong order once can deadlock any other day. A guest can't reach it with data: which
 * locks a path takes is fixed by the code.
 */
#include "base/rank.h"

#ifdef HDL_LOCK_DEBUG

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"

/* A thread holds at most one lock a rank, so this is more than enough. */
#define HELD_MAX 16

struct held_lock {
    const struct lock_debug *lock;
    const char *where;
};

static _Thread_local struct held_lock held[HELD_MAX];
static _Thread_local unsigned held_count;

/* One line, written whole. */
static HDL_NORETURN void rank_die(const char *what, const struct lock_debug *lock, const char *where,
                                  const struct held_lock *other)
{
    char thread[16] = "?";
    char held_text[256] = "";

    pthread_getname_np(pthread_self(), thread, sizeof(thread));
    if (other) {
        snprintf(held_text, sizeof(held_text), "; it holds '%s' (rank %d), taken at %s", other->lock->name,
                 (int)other->lock->rank, other->where);
    }
    fprintf(stderr, "heddle: lock order: %s: thread '%s' at %s: lock '%s' (rank %d)%s\n", what, thread, where,
            lock ? lock->name : "-", lock ? (int)lock->rank : 0, held_text);
    abort();
}

void lock_debug_init(struct lock_debug *lock, const char *name, enum lock_rank rank)
{
    lock->name = name;
    lock->rank = rank;
}

void lock_debug_before(const struct lock_debug *lock, const char *where)
{
    for (unsigned i = 0; i < held_count; i++) {
        if (held[i].lock == lock) {
            rank_die("taken twice", lock, where, &held[i]);
        }
        if (held[i].lock->rank >= lock->rank) {
            rank_die("taken inside a lock of equal or inner rank", lock, where, &held[i]);
        }
    }
}

void lock_debug_took(const struct lock_debug *lock, const char *where)
{
    lock_debug_before(lock, where);
    if (held_count == HELD_MAX) {
        rank_die("too many locks held", lock, where, &held[HELD_MAX - 1]);
    }
    held[held_count++] = (struct held_lock){.lock = lock, .where = where};
}

void lock_debug_release(const struct lock_debug *lock)
{
    for (unsigned i = held_count; i-- > 0;) {
        if (held[i].lock == lock) {
            for (; i + 1 < held_count; i++) {
                held[i] = held[i + 1];
            }
            held_count--;
            return;
        }
    }
    rank_die("released but not held", lock, "release", NULL);
}

bool lock_debug_is_held(const struct lock_debug *lock)
{
    for (unsigned i = 0; i < held_count; i++) {
        if (held[i].lock == lock) {
            return true;
        }
    }
    return false;
}

void lock_debug_assert(const struct lock_debug *lock, bool want_held, const char *where)
{
    if (lock_debug_is_held(lock) != want_held) {
        rank_die(want_held ? "must be held here" : "must not be held here", lock, where, NULL);
    }
}

void lock_debug_assert_none(const char *where)
{
    if (held_count > 0) {
        rank_die("no lock may be held here", NULL, where, &held[held_count - 1]);
    }
}

#endif
