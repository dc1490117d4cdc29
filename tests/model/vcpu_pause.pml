/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pausing and resuming (src/vcpu/pause.c): two vCPUs that dispatch to one device, an event loop that holds the same
 * device now and then, two pausers.
 *
 * Checked:
 *   - while a pauser's pause lasts, no vCPU is in the guest or in dispatch (assertion)
 *   - a pause comes to its end whatever the vCPUs are at, and a resumed vCPU runs on (no invalid end state)
 *
 * A condition variable is a flag a waiter: waiting gives the lock up and blocks until a broadcast sets the flag.
 * That a request makes a vCPU leave the guest is what vcpu_kick.pml shows.
 */
#define VCPUS   2
#define PAUSERS 2
#define ROUNDS  2

bool locked;             /* vm->lock */
bool device;             /* the device's lock */
byte pause_count = 1;    /* a new VM is paused */
bool requested[VCPUS];
bool running[VCPUS];     /* state is VCPU_RUNNING */
bool busy[VCPUS];        /* in the guest or in dispatch */
bool resumed[VCPUS];     /* woken by a broadcast of vm->resumed */
bool changed[PAUSERS];   /* woken by a broadcast of vm->changed */
bool handled[VCPUS];     /* the one access that each guest makes of its own will */
byte ended;

inline lock()   { atomic { !locked -> locked = true } }
inline unlock() { locked = false }
inline broadcast_changed() { d_step { changed[0] = true; changed[1] = true } }
inline broadcast_resumed() { d_step { resumed[0] = true; resumed[1] = true } }

inline stand_still()
{
    lock();
    do
    :: pause_count == 0 -> break
    :: pause_count > 0 ->
       if
       :: running[me] -> running[me] = false; broadcast_changed()
       :: !running[me] -> skip
       fi;
       atomic { resumed[me] = false; locked = false };
end_paused:
       resumed[me];
       lock()
    od;
    running[me] = true;
    unlock()
}

proctype vcpu(byte me)
{
    stand_still();
    do
    :: busy[me] = true;
       /* In the guest: until it touches the device, or a request gets it out. */
end_guest:
       if
       :: !handled[me] ->
          handled[me] = true;
          atomic { !device -> device = true };
          device = false;
          busy[me] = false
       :: requested[me] ->
          busy[me] = false;
          requested[me] = false;
          stand_still()
       fi
    od
}

/* Takes the device's lock for its own work, with no regard for pauses. */
active proctype loop()
{
    atomic { !device -> device = true };
    device = false;
    atomic { !device -> device = true };
    device = false
}

proctype pauser(byte me)
{
    byte round = 0;

    do
    :: round < ROUNDS ->
       round++;
       lock();
       pause_count++;
       unlock();
       requested[0] = true;
       requested[1] = true;
       lock();
       do
       :: !(running[0] || running[1]) -> break
       :: running[0] || running[1] ->
          atomic { changed[me] = false; locked = false };
          changed[me];
          lock()
       od;
       unlock();
       assert(!busy[0] && !busy[1]);
       lock();
       pause_count--;
       broadcast_resumed();
       unlock()
    :: round == ROUNDS -> break
    od;
    ended++
}

/* The machine's start, and what must be true at the end: both run. */
active proctype machine()
{
    lock();
    pause_count--;
    broadcast_resumed();
    unlock();
    ended == PAUSERS;
    (running[0] && running[1] && pause_count == 0)
}

init {
    atomic {
        run vcpu(0);
        run vcpu(1);
        run pauser(0);
        run pauser(1)
    }
}
