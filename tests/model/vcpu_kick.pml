/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kick (src/vcpu/kvm/run.c, src/vcpu/vcpu.c): two kickers that ask twice each, and one vCPU whose guest leaves by
 * itself a few times and then runs for ever.
 *
 * Checked: every request is served. If a kick were lost, the vCPU would stay in the guest with nobody to interrupt it,
 * which is an invalid end state.
 *
 * KVM_RUN looks at immediate_exit once, when it starts, and at pending signals as long as it runs. A signal that comes
 * outside KVM_RUN is swallowed by its handler, which does nothing: the environment below does that at any time.
 */
#define KICKERS 2
#define KICKS   2
#define EXITS   2

byte requests;       /* bits, one a kicker */
byte asked, served;  /* how many requests were made, and how many of them the vCPU has looked at */
bool in_guest;       /* place */
bool immediate_exit;
bool signalled;      /* a signal is pending */
bool in_kernel;      /* within KVM_RUN */
byte exits = EXITS;
byte ended;

proctype kicker(byte mine)
{
    byte n = 0;

    do
    :: n < KICKS ->
       n++;
       atomic { requests = requests | mine; asked++ };
       if
       :: in_guest ->
          immediate_exit = true;
          signalled = true
       :: !in_guest -> skip
       fi
    :: n == KICKS -> break
    od;
    ended++
}

/* The signal's handler, outside KVM_RUN. */
active proctype handler()
{
end_handler:
    do
    :: atomic { (signalled && !in_kernel) -> signalled = false }
    od
}

active proctype vcpu()
{
    bool interrupted;

    do
    :: (ended == KICKERS && served == asked) -> break
    :: else ->
       in_guest = true;
       if
       :: requests != 0 -> immediate_exit = true
       :: requests == 0 -> skip
       fi;
       in_kernel = true;
       if
       :: immediate_exit -> interrupted = true
       :: !immediate_exit ->
          if
          :: signalled -> interrupted = true
          :: exits > 0 -> exits--; interrupted = false
          :: (ended == KICKERS && served == asked) -> interrupted = false /* nothing to wait for: the test ends */
          fi
       fi;
       d_step { in_kernel = false; signalled = false };
       in_guest = false;
       immediate_exit = false;
       if
       :: interrupted -> d_step { requests = 0; served = asked }
       :: !interrupted -> skip
       fi
    od
}

init {
    atomic {
        run kicker(1);
        run kicker(2)
    }
}
