/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The write side of RCU over liburcu. Callbacks run on liburcu's call_rcu thread with no lock held. The trampoline
 * exists only so that the sanitizer learns of the grace period; other builds haven't got it.
 */
#include "base/rcu.h"

#include "base/lock.h"

#ifdef HDL_TSAN
char hdl_rcu_grace_period;
#define RCU_GRACE_PERIOD_PASSED() __tsan_acquire(&hdl_rcu_grace_period)
#define RCU_CALLBACK_QUEUED(p)    __tsan_release(p)
#define RCU_CALLBACK_RUNS(p)      __tsan_acquire(p)
#else
#define RCU_GRACE_PERIOD_PASSED() ((void)0)
#endif

void hdl_rcu_synchronize(void)
{
    hdl_assert_unlocked();
    synchronize_rcu();
    RCU_GRACE_PERIOD_PASSED();
}

#ifdef HDL_TSAN
/* What to run after the grace period: queued on the heap, because rcu_head has room for one function only. */
struct rcu_call {
    struct rcu_head head;
    struct rcu_head *target;
    void (*fn)(struct rcu_head *head);
};

static void rcu_call_run(struct rcu_head *head)
{
    struct rcu_call *call = container_of(head, struct rcu_call, head);
    struct rcu_head *target;
    void (*fn)(struct rcu_head *);

    RCU_CALLBACK_RUNS(call);
    RCU_GRACE_PERIOD_PASSED();
    target = call->target;
    fn = call->fn;
    free(call);
    fn(target);
}

void hdl_rcu_call(struct rcu_head *head, void (*fn)(struct rcu_head *head))
{
    struct rcu_call *call = malloc(sizeof(*call));

    if (!call) {
        abort();
    }
    call->target = head;
    call->fn = fn;
    RCU_CALLBACK_QUEUED(call);
    call_rcu(&call->head, rcu_call_run);
}
#else
void hdl_rcu_call(struct rcu_head *head, void (*fn)(struct rcu_head *head))
{
    call_rcu(head, fn);
}
#endif

/* Queued behind all callbacks so far, which liburcu's one callback thread runs in order. On the waiter's stack. */
struct rcu_barrier {
    struct rcu_head head;
    struct hdl_mutex lock; /* leaf */
    struct hdl_cond cond;
    bool passed HDL_GUARDED_BY(&lock);
};

static void rcu_barrier_pass(struct rcu_head *head)
{
    struct rcu_barrier *barrier = container_of(head, struct rcu_barrier, head);

    hdl_mutex_lock(&barrier->lock);
    barrier->passed = true;
    hdl_cond_signal(&barrier->cond);
    hdl_mutex_unlock(&barrier->lock);
}

void hdl_rcu_barrier(void)
{
    struct rcu_barrier barrier = {.passed = false};

    hdl_assert_unlocked();
    hdl_mutex_init(&barrier.lock, "RCU barrier", LOCK_RANK_LEAF);
    hdl_cond_init(&barrier.cond);
    hdl_rcu_call(&barrier.head, rcu_barrier_pass);
    hdl_mutex_lock(&barrier.lock);
    while (!barrier.passed) {
        hdl_cond_wait(&barrier.cond, &barrier.lock);
    }
    hdl_mutex_unlock(&barrier.lock);
    hdl_cond_destroy(&barrier.cond);
    hdl_mutex_destroy(&barrier.lock);
}
