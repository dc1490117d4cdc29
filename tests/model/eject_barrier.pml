/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Eject is a barrier (architecture, invariant 8): a guest's write to the hot-plug controller that takes a device away.
 *
 * Processes: two vCPUs that access the device, by a locked or by a lockless region, or eject it, twice each in any
 * order, so that both may eject at once; a third that accesses it only; the host's side of I/O that accesses begin, which
 * hands the completion over; the device's loop; RCU's thread. The controller's handler only shuts the device's gate, or
 * finds it shut; its vCPU waits after it has dropped the controller's lock, still inside the controller's gate.
 *
 * An eject may come at any time, so also from the device's own interrupt. The lock is a plain one that carries work
 * (device_lock.pml), and what happens to gates and references is in device_life.pml.
 *
 * Checked:
 *   - when an eject returns, the first or the second, nobody is in a handler of the device, and no access that starts
 *     later gets there (assertions)
 *   - I/O in flight is drained, then DEVICE_DELETED is sent, then memory is freed (assertions)
 *   - nobody waits for ever: vCPUs, the loop, the last step (no invalid end state); a waiter holds no lock and is in no
 *     read section (assertion)
 *
 * 1.0 million states.
 */
#define VCPUS    3
#define EJECTORS 2
#define ACTIONS  2

mtype = { NOTHING, ACCESSES_ENDED, IS_GONE };

bool device_locked, controller_locked;
bool access_shut;
byte access_users;
bool reading[VCPUS], awaited[VCPUS];
mtype callback = NOTHING;
bool left;               /* the last access has left, and a grace period is over: what ejecting vCPUs wait for */

byte inside;             /* in handlers of the device */
bool returned;           /* to the guest, from an eject */

bool in_flight;          /* I/O */
bool completed;          /* its completion is on its way to the device */
bool work_queued;        /* under the device's lock, the completion */
bool work_shut;
bool quiescing, deleted, freed;
byte ended;

#define period_is_over (!awaited[0] && !awaited[1] && !awaited[2])

inline call_rcu(which) {
    d_step {
        assert(callback == NOTHING);
        awaited[0] = reading[0];
        awaited[1] = reading[1];
        awaited[2] = reading[2];
        callback = which
    }
}

inline read_unlock() { d_step { reading[me] = false; awaited[me] = false } }

inline unlock_device() {
    do
    :: atomic { work_queued -> work_queued = false };
       d_step { assert(!freed && !deleted && in_flight); in_flight = false; completed = false }
    :: atomic { !work_queued -> device_locked = false };
       break
    od
}

inline handler_begins() { d_step { assert(!late && !freed && !quiescing && !deleted); inside++ } }
inline handler_ends()   { d_step { assert(!freed && !quiescing); inside-- } }

inline access_leave() {
    atomic { access_users--; last = (access_users == 0 && access_shut) };
    if
    :: last -> last = false; call_rcu(ACCESSES_ENDED)
    :: else -> skip
    fi
}

/* late: it starts after an eject has returned. Views go on to show the region until the loop hides it. */
inline access() {
    atomic { late = returned; reading[me] = true };
    if
    :: quiescing -> read_unlock()
    :: !quiescing ->
       if
       :: atomic { access_shut -> read_unlock() }
       :: atomic { !access_shut -> access_users++ };
          read_unlock();
          atomic { !device_locked -> device_locked = true };
          handler_begins();
          if
          :: !in_flight -> in_flight = true
          :: skip
          fi;
          handler_ends();
          unlock_device();
          access_leave()
       :: !access_shut ->    /* lockless */
          handler_begins();
          handler_ends();
          read_unlock()
       fi
    fi;
    late = false
}

/* The controller's handler, and what its vCPU does then. */
inline eject() {
    atomic { !controller_locked -> controller_locked = true; mine = true };
    if
    :: access_shut -> skip   /* it is leaving */
    :: !access_shut ->
       atomic { access_shut = true; last = (access_users == 0) };
       if
       :: last -> last = false; call_rcu(ACCESSES_ENDED)
       :: else -> skip
       fi
    fi;
    d_step { controller_locked = false; mine = false };
    wait();
    d_step { assert(inside == 0); returned = true }
}

inline wait() {
    assert(!mine && !reading[me]);
    left
}

proctype vcpu(byte me) {
    bool late, last, mine;
    byte actions = 0;

    do
    :: actions < ACTIONS -> actions++; access()
    :: actions < ACTIONS && me < EJECTORS -> actions++; eject()
    :: actions == ACTIONS -> break
    od;
    ended++
}

/* The host ends I/O, and submits the completion to the device. */
active proctype backend() {
    bool mine;

end_idle:
    do
    :: atomic { (in_flight && !completed) -> completed = true };
       assert(!work_shut && !freed);
       atomic {
           work_queued = true;
           mine = !device_locked;
           device_locked = true
       };
       if
       :: mine -> mine = false; unlock_device()
       :: else -> skip
       fi
    od
}

active proctype rcu() {
end_idle:
    do
    :: atomic { (callback == ACCESSES_ENDED && period_is_over) -> callback = NOTHING };
       left = true
    :: atomic { (callback == IS_GONE && period_is_over) -> callback = NOTHING };
       d_step { assert(!in_flight && !work_queued && left && !deleted); deleted = true };
       d_step { assert(deleted && !device_locked); freed = true }
    od
}

/* Quiesces: no request is started any more (there are no accesses), those in flight are waited for. */
active proctype loop() {
end_idle:
    left;
    d_step { assert(inside == 0); quiescing = true };
    atomic { (!in_flight && !work_queued && !device_locked) -> work_shut = true };
    call_rcu(IS_GONE);
    freed
}

init {
    atomic {
        run vcpu(0);
        run vcpu(1);
        run vcpu(2)
    };
    /* If anybody ejected, it comes to its end. */
    ended == VCPUS;
    (!access_shut || freed)
}
