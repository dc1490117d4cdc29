/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The write side of RCU over liburcu. Callbacks run on liburcu's call_rcu thread with no lock held. The trampoline
 * exists only so that the sanitizer learns of the grace period; it costs nothing otherwise.
 */
#include "base/rcu.h"

#include "base/rank.h"

#ifdef HDL_TSAN
char hdl_rcu_grace_period;
#define RCU_GRACE_PERIOD_PASSED() __tsan_acquire(&hdl_rcu_grace_period)
#define RCU_CALLBACK_QUEUED(p)    __tsan_release(p)
#define RCU_CALLBACK_RUNS(p)      __tsan_acquire(p)
/* Stands for "callbacks have run": from their end to whoever passed a barrier. */
static char rcu_callbacks_ran;
#define RCU_CALLBACK_DONE()  __tsan_release(&rcu_callbacks_ran)
#define RCU_BARRIER_PASSED() __tsan_acquire(&rcu_callbacks_ran)
#else
#define RCU_GRACE_PERIOD_PASSED() ((void)0)
#define RCU_BARRIER_PASSED()      ((void)0)
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
    RCU_CALLBACK_DONE();
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

void hdl_rcu_barrier(void)
{
    hdl_assert_unlocked();
    rcu_barrier();
    RCU_BARRIER_PASSED();
}
