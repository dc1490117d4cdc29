/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translated code that others may write (src/vcpu/soft/code_map.c): three vCPUs and one page. Each does a few things, in
 * any order: translates code from the page, writes to it, accesses a device, stops the world.
 *
 * Checked: a write is never unnoticed: when it is done, every other vCPU that has a block of what was there before has
 * news of it that it hasn't acted on yet. No vCPU touches memory while the world stands still for another. Nobody waits
 * for ever: a vCPU that has nothing more to do stays in the guest and acts on requests only, so a request or a wake-up
 * that was lost is an invalid end state.
 *
 * What the ring of news and the word's counts are for is kept, not how: news is a bit a vCPU (and, where somebody waits
 * for an answer, a bit for each who asks); instead of counts, whoever has read the word is told if it has changed since.
 */
#define VCPUS  3
#define NOBODY 255
#define MINE   (1 << me)

/* The page's word. */
bool marked, guarded;
bool neighbour; /* another chunk of it is marked */
/* Who has read it since it last changed; since guards or marks were last taken away. */
byte word_same, none_taken;

/* Private to a vCPU. */
bool writable[VCPUS]; /* in its TLB */
bool has_block[VCPUS];
byte old[VCPUS];      /* ghost: who has written what its block was made of */

/* Shared. */
bool in_guest[VCPUS], requested[VCPUS];
byte protect[VCPUS];            /* news: who wants the page not to be writable */
bool changed[VCPUS];            /* news: code has changed */
byte waits_for[VCPUS] = NOBODY; /* the others see waiters */
bool woken[VCPUS];              /* the event that it waits on has changed since it looked */
byte stopper = NOBODY;
byte still_for = NOBODY; /* ghost: the world stands still */

/* --- place and news ----------------------------------------------------------------------------------------------- */

/* The vCPU touches memory. */
inline touch()
{
    assert(still_for == NOBODY || still_for == me)
}

/* Wakes those who wait for this vCPU to act or to be outside. */
inline announce()
{
    d_step {
        for (i : 0 .. VCPUS - 1) {
            if
            :: waits_for[i] == me -> woken[i] = true
            :: else
            fi
        }
        i = 0
    }
}

inline go_out()
{
    in_guest[me] = false;
    announce()
}

inline go_in()
{
    do
    :: in_guest[me] = true;
       if
       :: stopper == NOBODY || stopper == me -> break
       :: else ->
          go_out();
          (stopper == NOBODY)
       fi
    od
}

/* acted: code has changed. */
inline catch_up()
{
    d_step {
        if
        :: protect[me] -> writable[me] = false; protect[me] = 0
        :: else
        fi;
        if
        :: changed[me] -> has_block[me] = false; old[me] = 0; changed[me] = false; acted = true
        :: else
        fi
    };
    announce()
}

inline serve()
{
    requested[me] = false;
    go_in();
    catch_up();
    acted = false
}

inline ask(them)
{
    if
    :: in_guest[them] -> requested[them] = true
    :: else
    fi
}

inline ask_others()
{
    ask((me + 1) % VCPUS);
    ask((me + 2) % VCPUS)
}

inline post_protect()
{
    d_step {
        for (i : 0 .. VCPUS - 1) {
            if
            :: i != me -> protect[i] = protect[i] | MINE
            :: else
            fi
        }
        i = 0
    };
    ask_others()
}

inline post_changed()
{
    d_step {
        for (i : 0 .. VCPUS - 1) {
            if
            :: i != me -> changed[i] = true
            :: else
            fi
        }
        i = 0
    };
    ask_others()
}

/* Until the other is outside, or (not for the stopper) has acted on the news. */
inline wait_for(them, for_news)
{
    waits_for[me] = them;
    do
    :: woken[me] = false;
       if
       :: !in_guest[them] || (for_news && !(protect[them] & MINE)) -> break
       :: else -> (woken[me])
       fi
    od;
    atomic { waits_for[me] = NOBODY; woken[me] = false }
}

inline wait_for_others(for_news)
{
    wait_for((me + 1) % VCPUS, for_news);
    wait_for((me + 2) % VCPUS, for_news)
}

/* --- what a vCPU does --------------------------------------------------------------------------------------------- */

inline translate()
{
    do
    :: atomic { touch(); acted = false; was_guarded = guarded; marked = true; word_same = 0; none_taken = none_taken | MINE };
       if
       :: was_guarded -> break
       :: else -> writable[me] = false
       fi;
       post_protect();
       go_out();
       wait_for_others(true);
       go_in();
       catch_up();
       atomic {
           if
           :: none_taken & MINE -> guarded = true; word_same = 0
           :: else -> acted = true
           fi
       };
       if
       :: !acted -> break
       :: else /* the mark may be gone: again */
       fi
    od;
    atomic { touch(); has_block[me] = true; old[me] = 0; was_guarded = false; acted = false }
}

inline store()
{
    d_step {
        touch();
        for (i : 0 .. VCPUS - 1) {
            old[i] = (has_block[i] -> old[i] | MINE : 0)
        }
        i = 0
    }
}

/* The write is done: whose block is old because of it has unread news. */
inline check_noticed()
{
    d_step {
        for (i : 0 .. VCPUS - 1) {
            assert(i == me || changed[i] || !(old[i] & MINE));
            old[i] = old[i] & ~MINE
        }
        i = 0
    }
}

inline write_slowly()
{
    store();
    atomic { was_marked = marked; word_same = word_same | MINE };
    if
    :: was_marked ->
       d_step { has_block[me] = false; old[me] = 0; was_marked = false };
       post_changed();
       if
       :: skip
       :: /* it was written to again and again: it loses its marks */
          atomic {
              if
              :: word_same & MINE -> marked = false; neighbour = false; word_same = 0; none_taken = 0
              :: else
              fi
          }
       fi
    :: else
    fi
}

/* Makes the page writable in the TLB, if it may. */
inline fill()
{
    atomic {
        if
        :: !marked && !neighbour && guarded -> guarded = false; word_same = 0; none_taken = 0; may = true
        :: !marked && !neighbour && !guarded -> may = true
        :: marked || neighbour -> may = false
        fi
    };
    atomic { writable[me] = may; may = false }
}

inline write()
{
    if
    :: !writable[me] -> fill()
    :: else
    fi;
    if
    :: writable[me] -> store()
    :: else -> write_slowly()
    fi;
    check_noticed()
}

inline use_device()
{
    go_out();
    go_in();
    catch_up();
    acted = false
}

inline stop_world()
{
    go_out();
    atomic { stopper == NOBODY -> stopper = me };
    ask_others();
    wait_for_others(false);
    go_in();
    catch_up();
    atomic { still_for = me; acted = false };
    touch();
    atomic { still_for = NOBODY; stopper = NOBODY }
}

proctype vcpu(byte me; byte translations; byte writes; byte devices; byte stops)
{
    byte i;
    bool was_guarded, was_marked, may, acted;

    go_in();
    catch_up();
    do
    :: requested[me] -> serve()
    :: !requested[me] && translations > 0 -> translations--; translate()
    :: !requested[me] && writes > 0 -> writes--; write()
    :: !requested[me] && devices > 0 -> devices--; use_device()
    :: !requested[me] && stops > 0 -> stops--; stop_world()
    :: !requested[me] && translations + writes + devices + stops == 0 -> break
    od;
end_guest:
    do
    :: requested[me] -> serve()
    od
}

init {
    atomic {
        if
        :: /* one translates, two write */
           run vcpu(0, 1, 0, 0, 0);
           run vcpu(1, 0, 1, 0, 0);
           run vcpu(2, 0, 1, 0, 0)
        :: /* the same over and over */
           run vcpu(0, 2, 0, 0, 0);
           run vcpu(1, 0, 2, 0, 0);
           run vcpu(2, 0, 0, 0, 0)
        :: /* one is outside now and then */
           run vcpu(0, 1, 0, 0, 0);
           run vcpu(1, 0, 1, 1, 0);
           run vcpu(2, 0, 0, 0, 0)
        :: /* two stop the world, and one translates */
           run vcpu(0, 1, 0, 0, 0);
           run vcpu(1, 0, 0, 0, 1);
           run vcpu(2, 0, 0, 0, 1)
        :: /* the page is written by the slow path anyway */
           guarded = true;
           neighbour = true;
           run vcpu(0, 1, 0, 0, 0);
           run vcpu(1, 0, 2, 0, 0);
           run vcpu(2, 0, 0, 0, 0)
        :: /* all three translate at once */
           run vcpu(0, 1, 0, 0, 0);
           run vcpu(1, 1, 0, 0, 0);
           run vcpu(2, 1, 0, 0, 0)
        fi
    }
}
