/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device lock's hand-over protocol (src/device/device_lock.h), step by step.
 *
 * Processes: two lockers (vCPUs that dispatch: lock, handler, unlock; the first submits work from inside its handler),
 * an event loop that submits one, a thread inside another device that submits one, the lock's own loop, which continues
 * what was left to it, and one that switches statistics off and on again. BUDGET is 1, so that there are left-overs at
 * once. That one thread's works keep their order follows from the order of pushes. 14.2 million states.
 *
 * Checked:
 *   - at most one process is inside the lock, and only it takes from the queue (assertions)
 *   - no work is run twice or out of the order of pushes (assertion in run_one)
 *   - none is lost: when everybody has ended, all works have run and the lock is free (assertion in the loop)
 *   - no sleeper is forgotten and nobody is stuck (no invalid end state)
 *   - a hold whose begin was counted is counted at its end, and no other; TRACED stays as it was last set (assertions)
 *
 * Each atomic instruction of the C code is one atomic or d_step here; everything between may interleave.
 */
#define WORKS  3
#define OTHERS 5 /* processes beside the loop */
#define BUDGET 1

/* The word. */
bool held, waiters, work, timed;
bool traced = true;

/* The queue: `incoming` in the order of pushes, then the holder's own `ready`. */
byte incoming[WORKS];
byte incoming_count;
byte ready[WORKS];
byte ready_head, ready_tail;

byte pushed;    /* the next work's number */
byte ran;       /* the number of works that have run: they must run in the order of their numbers */
byte inside;    /* holders of the lock */
byte sleepers;  /* in futex_wait */
byte woken;     /* wake-ups on their way to a sleeper */
bool scheduled; /* the continuation, on the loop */
bool counted;   /* lock_stats_took was called for the present hold */
byte ended;

inline enter() {
    inside++;
    assert(inside == 1)
}

/* lock_count, by the holder */
inline count() {
    if
    :: atomic { traced -> assert(!counted); counted = true; timed = true }
    :: atomic { !traced -> skip }
    fi
}

/* device_lock_acquire, then device_lock_slow: waiters is kept set by those who have slept. */
inline lock() {
    do
    :: atomic { (!held && !waiters && !traced && !slept) -> held = true; enter() };
       break
    :: atomic { (!held && !slept) -> held = true; enter() };
       count();
       break
    :: atomic { (!held && slept) -> held = true; waiters = true; enter() };
       count();
       break
    :: atomic { held -> waiters = true };
       slept = true;
       /* futex_wait: the kernel compares the word and goes to sleep in one step. */
       if
       :: atomic { (held && waiters && !work) -> sleepers++ };
          d_step { (woken > 0) -> woken-- }
       :: atomic { !(held && waiters && !work) -> skip }
       fi
    od
}

inline run_one() {
    d_step {
        assert(inside == 1);
        if
        :: (ready_head == ready_tail) ->
            /* work_collect: one exchange; the reversal is the holder's private business */
            do
            :: (taken < incoming_count) -> ready[ready_tail] = incoming[taken]; ready_tail++; taken++
            :: else -> break
            od;
            incoming_count = 0;
            taken = 0
        :: else -> skip
        fi;
        if
        :: (ready_head < ready_tail) ->
            assert(ready[ready_head] == ran);
            ready_head++;
            ran++;
            budget--
        :: else -> dry = true
        fi
    }
}

/* device_lock_release, then device_unlock_slow */
inline unlock() {
    if
    :: atomic { (!waiters && !work && !traced && !timed) -> assert(!counted); held = false; inside-- }
    :: atomic { !(!waiters && !work && !traced && !timed) -> budget = BUDGET }; unlock_slow()
    fi
}

inline unlock_slow() {
    do
    :: work ->
        work = false;
        do
        :: (budget > 0 && !dry) -> run_one()
        :: else -> break
        od;
        if
        :: (budget == 0 && (ready_head < ready_tail || incoming_count > 0)) -> scheduled = true
        :: else -> skip
        fi;
        dry = false
    :: !work ->
        d_step { saw_waiters = waiters; saw_traced = traced };
        assert(timed == counted);
        /* the compare-and-swap of the whole word */
        if
        :: atomic { (!work && waiters == saw_waiters && traced == saw_traced) ->
               held = false; waiters = false; timed = false; counted = false; inside-- };
           if
           :: saw_waiters ->
               d_step {
                   if
                   :: (sleepers > 0) -> sleepers--; woken++
                   :: else -> skip
                   fi
               }
           :: else -> skip
           fi;
           d_step { budget = 0; saw_waiters = false; saw_traced = false };
           break
        :: atomic { (work || waiters != saw_waiters || traced != saw_traced) -> skip }
        fi
    od
}

inline push() {
    d_step {
        incoming[incoming_count] = pushed;
        incoming_count++;
        pushed++
    }
}

/* lock_kick */
inline kick() {
    atomic {
        was_held = held;
        held = true;
        work = true;
        if
        :: !was_held -> enter()
        :: else -> skip
        fi
    };
    if
    :: !was_held -> count(); budget = BUDGET; unlock_slow()
    :: else -> skip
    fi
}

/* lock_kick_from_inside */
inline kick_from_inside() {
    if
    :: atomic { held -> work = true }
    :: !held -> scheduled = true
    fi
}

proctype locker(bool submits) {
    byte budget, taken;
    bool dry, saw_waiters, saw_traced, slept;

    lock();
    if
    :: submits -> push(); kick_from_inside()
    :: else -> skip
    fi;
    unlock();
    ended++
}

proctype submitter() {
    byte budget, taken;
    bool dry, saw_waiters, saw_traced, was_held;

    push();
    kick();
    ended++
}

proctype submitter_inside_another() {
    push();
    kick_from_inside();
    ended++
}

/* device_lock_stats_disable, then device_lock_stats_enable */
proctype switcher() {
    traced = false;
    traced = true;
    ended++
}

proctype loop() {
    byte budget, taken;
    bool dry, saw_waiters, saw_traced, was_held;

    do
    :: atomic { scheduled -> scheduled = false };
       kick()
    :: atomic { (ended == OTHERS && !scheduled) -> skip };
       break
    od;
    assert(ran == WORKS);
    assert(!held && !work && sleepers == 0);
    assert(traced && !timed && !counted)
}

init {
    atomic {
        run locker(true);
        run locker(false);
        run submitter();
        run submitter_inside_another();
        run switcher();
        run loop()
    }
}
