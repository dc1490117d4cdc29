/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts between CPUs with no lock (src/hw/intc/lapic.c, src/vcpu/vcpu.c): two senders with the same vector, twice
 * each, and a CPU that takes what it finds and sleeps when it finds nothing.
 *
 * A sender sets the bit of IRR and makes the CPU ask, unless the bit was set before: then whoever set it does. The CPU
 * takes the request away first and looks at IRR then; and it sleeps only if there is no new request, which the kernel
 * compares under its own lock.
 *
 * Checked: when all have sent and the CPU sleeps, no request is left in IRR; and no more are taken than were sent.
 */
#define SENDERS 2
#define SENDS   2

bool irr, request;
bool sleeps;
byte ended, sent, taken;

proctype sender()
{
    byte n = 0;
    bool before;

    do
    :: n < SENDS ->
       n++;
       atomic { before = irr; irr = true; sent++ };
       if
       :: !before -> request = true
       :: before -> skip
       fi
    :: n == SENDS -> break
    od;
    ended++
}

active proctype cpu()
{
end_cpu:
    do
    :: true ->
       request = false;
       if
       :: irr ->
          d_step { irr = false; taken++ };
          assert(taken <= sent)
       :: !irr ->
          sleeps = true;
end_asleep:
          request;
          sleeps = false
       fi
    od
}

active proctype monitor()
{
end_monitor:
    atomic { (ended == SENDERS && sleeps && !request) -> assert(!irr) }
}

init {
    atomic {
        run sender();
        run sender()
    }
}
