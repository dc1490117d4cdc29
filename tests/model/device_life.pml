/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The end of a device's life, and its deferred work (src/device/device.c, src/base/gate.h, src/memory/dispatch.c).
 *
 * Processes: three vCPUs that access the device once each, by a locked or by a lockless region; a backend that submits one
 * piece of work twice; whoever unplugs; the device's loop; RCU's thread. The lock is a plain one that carries work:
 * device_lock.pml shows how.
 *
 * Checked:
 *   - a device that is quiescing has nobody in a handler, one that is GONE runs no work, and one that is freed isn't
 *     touched at all, not even its gates (assertions)
 *   - what was told to the device before a submit that succeeded has been seen by the work's function: nothing is lost,
 *     although work that is queued isn't queued again (assertion at the end)
 *   - each gate is drained once; the device is freed, once, and nobody is stuck (assertions, no invalid end state)
 *
 * 4.5 million states.
 */
#define VCPUS 3
#define ENDED (VCPUS + 2)

mtype = { NOTHING, ACCESSES_ENDED, IS_GONE };

bool access_shut, work_shut;
byte access_users, work_users;
byte refs = 2;           /* the backend's, the unplugger's */
bool visible = true;     /* some flat view shows the region */
bool reading[VCPUS];     /* in an RCU read section */
bool awaited[VCPUS];     /* that one is waited for by the grace period under way */
mtype callback = NOTHING;
bool leave_scheduled, release_scheduled;

bool locked;             /* the device lock */
bool in_queue;           /* the work */
bool queued;             /* work->queued */
bool told;               /* what the work's function is to see */

byte inside;             /* in handlers */
bool quiescing, gone, freed;
bool access_drained, work_drained;
byte ended;

#define ALIVE          assert(!freed)
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

inline put() {
    d_step {
        assert(refs > 0);
        refs--;
        if
        :: refs == 0 -> release_scheduled = true
        :: else -> skip
        fi
    }
}

/* Whoever holds the lock runs the work when it unlocks. */
inline unlock() {
    do
    :: atomic { in_queue -> in_queue = false };
       run_work()
    :: atomic { !in_queue -> locked = false };
       break
    od
}

/* device_work_run */
inline run_work() {
    ALIVE;
    queued = false;
    assert(!gone);
    told = false;            /* fn */
    leave_work()
}

inline leave_work() {
    ALIVE;
    atomic { work_users--; last = (work_users == 0 && work_shut) };
    if
    :: last -> last = false; drained_work()
    :: else -> skip
    fi
}

inline drained_work() {
    d_step { assert(!work_drained); work_drained = true };
    call_rcu(IS_GONE)
}

inline drained_access() {
    d_step { assert(!access_drained); access_drained = true };
    call_rcu(ACCESSES_ENDED)
}

inline read_unlock() { d_step { reading[me] = false; awaited[me] = false } }

inline handler() {
    d_step { ALIVE; assert(!quiescing && !gone); inside++ };
    d_step { ALIVE; assert(!quiescing && !gone); inside-- }
}

proctype vcpu(byte me) {
    bool last;

    reading[me] = true;
    if
    :: !visible -> read_unlock()
    :: visible ->
       if
       :: /* locked */
          ALIVE;
          if
          :: atomic { access_shut -> read_unlock() }
          :: atomic { !access_shut -> access_users++ };
             read_unlock();
             atomic { !locked -> locked = true };
             handler();
             unlock();
             ALIVE;
             atomic { access_users--; last = (access_users == 0 && access_shut) };
             if
             :: last -> last = false; drained_access()
             :: else -> skip
             fi
          fi
       :: /* lockless */
          ALIVE;
          if
          :: access_shut -> skip
          :: !access_shut -> handler()
          fi;
          read_unlock()
       fi
    fi;
    ended++
}

/* device_submit */
inline submit() {
    told = true;
    ALIVE;
    if
    :: atomic { work_shut -> told = false /* -ENODEV: never mind */ }
    :: atomic { !work_shut -> work_users++ };
       atomic { was_queued = queued; queued = true };
       if
       :: was_queued -> leave_work()
       :: !was_queued ->
          atomic {
              assert(!in_queue);
              in_queue = true;
              mine = !locked;
              locked = true
          };
          if
          :: mine -> mine = false; unlock()
          :: else -> skip
          fi
       fi
    fi
}

proctype backend() {
    bool last, was_queued, mine;

    submit();
    submit();
    put();
    ended++
}

proctype unplugger() {
    bool last;

    refs++;
    atomic { access_shut = true; last = (access_users == 0) };
    if
    :: last -> last = false; drained_access()
    :: else -> skip
    fi;
    put();
    ended++
}

active proctype rcu() {
    do
    :: atomic { (callback == ACCESSES_ENDED && period_is_over) -> callback = NOTHING };
       ALIVE;
       leave_scheduled = true
    :: atomic { (callback == IS_GONE && period_is_over) -> callback = NOTHING };
       gone = true;
       put();
       break
    od
}

active proctype loop() {
    bool last;

    leave_scheduled;
    d_step { assert(access_drained && inside == 0); quiescing = true };
    visible = false;         /* quiesce */
    /* device_quiesced */
    atomic { work_shut = true; last = (work_users == 0) };
    if
    :: last -> last = false; drained_work()
    :: else -> skip
    fi;
    release_scheduled;
    d_step { assert(gone && refs == 0 && !locked && !in_queue); freed = true };
    ended == ENDED;
    assert(!told)
}

init {
    atomic {
        run vcpu(0);
        run vcpu(1);
        run vcpu(2);
        run backend();
        run unplugger()
    }
}
