/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bottom halves: functions that any thread asks a loop's thread to run.
 *
 * The queue is a stack that any thread pushes to; the loop thread takes the whole of it with one exchange and turns it
 * round, so that they run in the order in which they were scheduled. Nobody pops single elements, so there is no ABA.
 *
 * State of one bottom half, in one word:
 *
 *   QUEUED     it is in the stack or in one of the loop's lists. Whoever sets it pushes it, nobody else
 *   SCHEDULED  fn is to be called when its turn comes. Cleared by a cancel, which leaves it queued
 *
 *               | schedule                | cancel (loop)            | run (loop)
 *   schedule    | one pushes, both count  | either order is legal    | it runs after this schedule: now, or once more
 *   cancel      |                         | same thread              | same thread
 *
 * Guests reach this only by making devices schedule; that allocates nothing, and coalesces.
 */
#include "event/loop_internal.h"

#define BH_QUEUED    1u
#define BH_SCHEDULED 2u

void bh_init(struct bh *bh, struct event_loop *loop, void (*fn)(void *opaque), void *opaque)
{
    bh->loop = loop;
    bh->fn = fn;
    bh->opaque = opaque;
    bh->next = NULL;
    atomic_init(&bh->state, 0);
}

static void bh_push(struct event_loop *loop, struct bh *bh)
{
    struct bh *head = atomic_load_explicit(&loop->bh_incoming, memory_order_relaxed);

    do {
        bh->next = head;
        /* Release: pairs with the acquire in bh_collect, for `next`. */
    } while (!atomic_compare_exchange_weak_explicit(&loop->bh_incoming, &head, bh, memory_order_release,
                                                    memory_order_relaxed));
}

void bh_schedule(struct bh *bh)
{
    /* The loop may have run fn, and fn freed the structure, as soon as it is pushed. */
    struct event_loop *loop = bh->loop;
    /* Release: what the caller wrote is seen by fn; pairs with the acquire in bh_run. */
    uint32_t old = atomic_fetch_or_explicit(&bh->state, BH_QUEUED | BH_SCHEDULED, memory_order_acq_rel);

    if (!(old & BH_QUEUED)) {
        bh_push(loop, bh);
        event_loop_wake(loop);
    } else if (!(old & BH_SCHEDULED)) {
        event_loop_wake(loop); /* cancelled meanwhile, and still queued */
    }
}

static void bh_list_init(struct bh_list *list)
{
    list->head = NULL;
    list->tail = &list->head;
}

void loop_bh_init(struct event_loop *loop)
{
    atomic_init(&loop->bh_incoming, NULL);
    bh_list_init(&loop->bh_running);
    bh_list_init(&loop->bh_pending);
}

/* Takes the stack and appends it, oldest first, to the list of the next round. */
static void bh_collect(struct event_loop *loop)
{
    /* Acquire: pairs with the release in bh_push. */
    struct bh *newest = atomic_exchange_explicit(&loop->bh_incoming, NULL, memory_order_acquire);
    struct bh *oldest = NULL;
    struct bh **tail = newest ? &newest->next : NULL;

    while (newest) {
        struct bh *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    if (oldest) {
        *loop->bh_pending.tail = oldest;
        loop->bh_pending.tail = tail;
    }
}

void loop_bh_begin_round(struct event_loop *loop)
{
    bh_collect(loop);
    if (loop->bh_pending.head) {
        *loop->bh_running.tail = loop->bh_pending.head;
        loop->bh_running.tail = loop->bh_pending.tail;
        bh_list_init(&loop->bh_pending);
    }
}

static struct bh *bh_list_take(struct bh_list *list)
{
    struct bh *bh = list->head;

    if (bh) {
        list->head = bh->next;
        if (!list->head) {
            list->tail = &list->head;
        }
    }
    return bh;
}

bool loop_bh_run(struct event_loop *loop)
{
    struct bh *bh;
    bool ran = false;

    while ((bh = bh_list_take(&loop->bh_running))) {
        /* Acquire: pairs with the release in bh_schedule. From here another thread may push it again. */
        uint32_t old =
            atomic_fetch_and_explicit(&bh->state, ~(uint32_t)(BH_QUEUED | BH_SCHEDULED), memory_order_acq_rel);

        if (old & BH_SCHEDULED) {
            bh->fn(bh->opaque);
            ran = true;
        }
    }
    return ran;
}

void bh_cancel(struct bh *bh)
{
    atomic_fetch_and_explicit(&bh->state, ~(uint32_t)BH_SCHEDULED, memory_order_acq_rel);
}

static void bh_list_remove(struct bh_list *list, struct bh *bh)
{
    for (struct bh **link = &list->head; *link; link = &(*link)->next) {
        if (*link == bh) {
            *link = bh->next;
            if (list->tail == &bh->next) {
                list->tail = link;
            }
            return;
        }
    }
}

void bh_destroy(struct bh *bh)
{
    struct event_loop *loop = bh->loop;

    if (atomic_load_explicit(&bh->state, memory_order_acquire) & BH_QUEUED) {
        bh_collect(loop);
        bh_list_remove(&loop->bh_pending, bh);
        bh_list_remove(&loop->bh_running, bh);
    }
    atomic_store_explicit(&bh->state, 0, memory_order_relaxed);
}
