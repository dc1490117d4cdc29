/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Waits for devices' ends by turns: grace periods, then their loop. */
#include "leave.h"

void devices_unplug(struct event_loop *loop, struct device *const *devices, size_t count)
{
    hdl_assert_unlocked();
    for (size_t i = count; i-- > 0;) {
        device_unplug(devices[i]);
    }
    for (size_t i = 0; i < count; i++) {
        while (atomic_load_explicit(&devices[i]->state, memory_order_acquire) != DEVICE_GONE) {
            hdl_rcu_barrier(); /* each step is taken by RCU's thread or by the loop, on which nobody waits meanwhile */
            event_loop_poll(loop, false);
        }
    }
    hdl_rcu_barrier(); /* unplug's own references are dropped after GONE */
}

static void leave_loop_has_turned(void *opaque)
{
}

void devices_put(struct event_loop *loop, struct device *const *devices, size_t count)
{
    hdl_assert_unlocked();
    for (size_t i = count; i-- > 0;) {
        struct event_loop *device_loop = devices[i]->loop;

        device_put(devices[i]);
        if (device_loop && device_loop != loop) {
            event_loop_call(device_loop, leave_loop_has_turned, NULL);
        }
    }
    while (event_loop_poll(loop, false)) {
    }
}
