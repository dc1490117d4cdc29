/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The run-time rank checker: a small stack of held locks a thread, kept in thread-local storage, so that it needs no
 * synchronisation of its own and can't deadlock. It only observes; a violated order ends the process at once, since a
 * thread that took locks in the wrong order once can deadlock any other day. A guest can't reach it with data: which
 * locks a path takes is fixed by the code.
 *
 * Beside its stack each thread keeps a copy for others to read: atomics under a sequence count, which the thread alone
 * writes. Locks' names are copied, because a lock may be gone when somebody reads. The list of threads has a mutex of
 * its own, taken when a thread starts and ends and by rank_dump_all, which keeps threads' storage from going meanwhile.
 */
#include "base/rank.h"

#ifdef HDL_LOCK_DEBUG

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <urcu/list.h>

#include "base/compiler.h"

/* A thread holds at most one lock a rank, so this is more than enough. */
#define HELD_MAX 16

struct held_lock {
    const struct lock_debug *lock;
    const char *where;
};

#define NAME_WORDS 4
#define NAME_BYTES (NAME_WORDS * sizeof(uint64_t))
/* A thread that takes locks all the time may change what is read on every try: then it certainly isn't stuck. */
#define DUMP_TRIES 1000

/* A lock as others see it. */
struct shown_lock {
    _Atomic uint64_t name[NAME_WORDS];
    const char *_Atomic where; /* NULL: none */
    _Atomic int rank;
};

/* sequence, count, held, wanted: written by the thread, read by any. link: threads_mutex. name: immutable. */
struct shown_thread {
    _Atomic uint32_t sequence; /* odd while the rest changes */
    _Atomic unsigned count;
    struct shown_lock held[HELD_MAX];
    struct shown_lock wanted;
    char name[16];
    struct cds_list_head link;
};

static _Thread_local struct held_lock held[HELD_MAX];
static _Thread_local unsigned held_count;
static _Thread_local struct shown_thread shown;

static pthread_mutex_t threads_mutex = PTHREAD_MUTEX_INITIALIZER;
static CDS_LIST_HEAD(threads); /* threads_mutex */

/* --- what others see ---------------------------------------------------------------------------------------------- */

static void show_begin(void)
{
    atomic_store_explicit(&shown.sequence, atomic_load_explicit(&shown.sequence, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

static void show_end(void)
{
    /* Release: pairs with the first acquire in thread_read. */
    atomic_store_explicit(&shown.sequence, atomic_load_explicit(&shown.sequence, memory_order_relaxed) + 1,
                          memory_order_release);
}

/* Releases: whoever sees one of these sees the odd sequence too; pair with the acquires in shown_read. */
static void show_lock(struct shown_lock *place, const struct lock_debug *lock, const char *where)
{
    char text[NAME_BYTES] = "";
    uint64_t words[NAME_WORDS];

    if (lock) {
        strncpy(text, lock->name, sizeof(text) - 1);
    }
    memcpy(words, text, sizeof(words));
    for (unsigned i = 0; i < NAME_WORDS; i++) {
        atomic_store_explicit(&place->name[i], words[i], memory_order_release);
    }
    atomic_store_explicit(&place->where, where, memory_order_release);
    atomic_store_explicit(&place->rank, lock ? (int)lock->rank : 0, memory_order_release);
}

static void show_wanted(const struct lock_debug *lock, const char *where)
{
    show_begin();
    show_lock(&shown.wanted, lock, where);
    show_end();
}

/* The stack has changed from its entry `first` on. What was wanted has been got, or never mind. */
static void show_held(unsigned first)
{
    show_begin();
    for (unsigned i = first; i < held_count; i++) {
        show_lock(&shown.held[i], held[i].lock, held[i].where);
    }
    atomic_store_explicit(&shown.count, held_count, memory_order_release);
    atomic_store_explicit(&shown.wanted.where, NULL, memory_order_release);
    show_end();
}

void rank_thread_register(const char *name)
{
    strncpy(shown.name, name, sizeof(shown.name) - 1);
    pthread_mutex_lock(&threads_mutex);
    cds_list_add_tail(&shown.link, &threads);
    pthread_mutex_unlock(&threads_mutex);
}

void rank_thread_unregister(void)
{
    pthread_mutex_lock(&threads_mutex);
    cds_list_del(&shown.link);
    pthread_mutex_unlock(&threads_mutex);
}

/* A copy of what a thread shows. */
struct seen_lock {
    char name[NAME_BYTES];
    const char *where;
    int rank;
};

struct seen_thread {
    unsigned count;
    struct seen_lock held[HELD_MAX];
    struct seen_lock wanted;
};

static void shown_read(struct shown_lock *place, struct seen_lock *seen)
{
    uint64_t words[NAME_WORDS];

    for (unsigned i = 0; i < NAME_WORDS; i++) {
        words[i] = atomic_load_explicit(&place->name[i], memory_order_acquire);
    }
    memcpy(seen->name, words, sizeof(words));
    seen->where = atomic_load_explicit(&place->where, memory_order_acquire);
    seen->rank = atomic_load_explicit(&place->rank, memory_order_acquire);
}

/* False if it changed meanwhile. */
static bool thread_read(struct shown_thread *thread, struct seen_thread *seen)
{
    /* Acquire: pairs with the release in show_end. */
    uint32_t before = atomic_load_explicit(&thread->sequence, memory_order_acquire);

    seen->count = atomic_load_explicit(&thread->count, memory_order_acquire);
    for (unsigned i = 0; i < seen->count; i++) {
        shown_read(&thread->held[i], &seen->held[i]);
    }
    shown_read(&thread->wanted, &seen->wanted);
    return !(before & 1) && atomic_load_explicit(&thread->sequence, memory_order_relaxed) == before;
}

static void seen_print(FILE *file, const char *intro, const struct seen_lock *lock)
{
    fprintf(file, "%s'%s' (rank %d) at %s", intro, lock->name, lock->rank, lock->where);
}

static void thread_print(FILE *file, struct shown_thread *thread)
{
    struct seen_thread seen;
    unsigned tries = 0;

    while (!thread_read(thread, &seen)) {
        if (++tries == DUMP_TRIES) {
            fprintf(file, "thread '%s': takes and releases locks\n", thread->name);
            return;
        }
        hdl_cpu_relax();
    }
    fprintf(file, "thread '%s': holds ", thread->name);
    for (unsigned i = 0; i < seen.count; i++) {
        seen_print(file, i == 0 ? "" : ", ", &seen.held[i]);
    }
    fputs(seen.count == 0 ? "nothing" : "", file);
    if (seen.wanted.where) {
        seen_print(file, "; wants ", &seen.wanted);
    }
    fputc('\n', file);
}

void rank_dump_all(FILE *file)
{
    struct shown_thread *thread;

    pthread_mutex_lock(&threads_mutex);
    cds_list_for_each_entry(thread, &threads, link)
    {
        thread_print(file, thread);
    }
    pthread_mutex_unlock(&threads_mutex);
}

/* --- the checker -------------------------------------------------------------------------------------------------- */

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

static void check_order(const struct lock_debug *lock, const char *where)
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

void lock_debug_before(const struct lock_debug *lock, const char *where)
{
    check_order(lock, where);
    show_wanted(lock, where);
}

void lock_debug_took(const struct lock_debug *lock, const char *where)
{
    check_order(lock, where);
    if (held_count == HELD_MAX) {
        rank_die("too many locks held", lock, where, &held[HELD_MAX - 1]);
    }
    held[held_count++] = (struct held_lock){.lock = lock, .where = where};
    show_held(held_count - 1);
}

void lock_debug_release(const struct lock_debug *lock)
{
    for (unsigned i = held_count; i-- > 0;) {
        if (held[i].lock == lock) {
            held_count--;
            memmove(&held[i], &held[i + 1], (held_count - i) * sizeof(held[0]));
            show_held(i);
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
