/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device lock's hand-over protocol (src/device/device_lock.h), step by step.
 *
 * Processes: two lockers (vCPUs that dispatch: lock, handler, unlock; the first submits work from inside its handler),
 * an event loop that submits two works, a thread inside another device that submits one, and the lock's own loop,
 * which continues what was left to it. BUDGET is 1, so that there are left-overs at once.
 *
 * Checked:
 *   - at most one process is inside the lock, and only it takes from the queue (assertions)
 *   - no work is run twice or out of the order of pushes (assertion in run_one)
 *   - none is lost: when everybody has ended, all works have run and the lock is free (assertion in the loop)
 *   - no sleeper is forgotten and nobody is stuck (no invalid end state)
 *
 * Each atomic instruction of the C code is one atomic or d_step here; everything between may interleave.
 */
#define WORKS  4
#define OTHERS 4 /* processes beside the loop */
#define BUDGET 1

/* The word. */
bool held, waiters, work;

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
byte ended;

inline enter() {
    inside++;
    assert(inside == 1)
}

/* device_lock_acquire, then device_lock_slow: waiters is kept set by those who have slept. */
inline lock() {
    do
    :: atomic { (!held && !slept) -> held = true; enter() };
       break
    :: atomic { (!held && slept) -> held = true; waiters = true; enter() };
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

/* device_unlock_slow */
inline unlock() {
    budget = BUDGET;
    do
    :: work ->
        d_step { work = false; dry = false };
        do
        :: (budget > 0 && !dry) -> run_one()
        :: else -> break
        od;
        if
        :: (budget == 0 && (ready_head < ready_tail || incoming_count > 0)) -> scheduled = true
        :: else -> skip
        fi
    :: !work ->
        saw_waiters = waiters;
        /* the compare-and-swap of the whole word */
        if
        :: atomic { (!work && waiters == saw_waiters) -> held = false; waiters = false; inside-- };
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
           break
        :: atomic { (work || waiters != saw_waiters) -> skip }
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
    :: !was_held -> unlock()
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
    bool dry, saw_waiters, slept;

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
    bool dry, saw_waiters, was_held;

    push();
    kick();
    push();
    kick();
    ended++
}

proctype submitter_inside_another() {
    push();
    kick_from_inside();
    ended++
}

proctype loop() {
    byte budget, taken;
    bool dry, saw_waiters, was_held;

    do
    :: atomic { scheduled -> scheduled = false };
       kick()
    :: atomic { (ended == OTHERS && !scheduled) -> skip };
       break
    od;
    assert(ran == WORKS);
    assert(!held && !work && sleepers == 0)
}

init {
    atomic {
        run locker(true);
        run locker(false);
        run submitter();
        run submitter_inside_another();
        run loop()
    }
}
