/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who dispatches stands still while the machine is paused: devices are reset, and memory is written anew, on that
 * condition. vCPUs do by themselves; the drivers do here. The linker puts these functions in front of vm_pause and
 * vm_resume (--wrap).
 *
 *   driver   inside = 1, then reads pauses: not 0: inside = 0, sleeps on pauses
 *   pauser   pauses++, then reads inside of each: not 0: sleeps on it
 *
 * Both sides write one word and then read the other's, sequentially consistent, so at least one sees the other. A
 * driver shares no word with another driver: the turnstile orders nothing between them, which a race detector would
 * otherwise take for a lock.
 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "torture.h"

static struct torture *turnstile_torture;
static _Atomic uint32_t turnstile_pauses;

void __real_vm_pause(struct vm *vm);
void __real_vm_resume(struct vm *vm);
void __wrap_vm_pause(struct vm *vm);
void __wrap_vm_resume(struct vm *vm);

static void turnstile_sleep(_Atomic uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void turnstile_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

void turnstile_init(struct torture *torture)
{
    turnstile_torture = torture;
    atomic_store(&turnstile_pauses, 1);
}

void turnstile_wake_all(void)
{
    turnstile_wake(&turnstile_pauses);
}

void turnstile_leave(struct driver *driver)
{
    atomic_store(&driver->inside, 0);
    if (atomic_load(&turnstile_pauses) > 0) {
        turnstile_wake(&driver->inside);
    }
}

bool turnstile_enter(struct driver *driver)
{
    uint32_t pauses;

    atomic_store(&driver->inside, 1);
    while ((pauses = atomic_load(&turnstile_pauses)) > 0) {
        atomic_store(&driver->actor.is_waiting, true);
        turnstile_leave(driver);
        if (atomic_load(&driver->torture->over)) {
            return false;
        }
        turnstile_sleep(&turnstile_pauses, pauses);
        atomic_store(&driver->inside, 1);
    }
    atomic_store(&driver->actor.is_waiting, false);
    return true;
}

void __wrap_vm_pause(struct vm *vm)
{
    __real_vm_pause(vm);
    atomic_fetch_add(&turnstile_pauses, 1);
    for (unsigned i = 0; turnstile_torture && i < TORTURE_DRIVERS; i++) {
        while (atomic_load(&turnstile_torture->drivers[i].inside)) {
            turnstile_sleep(&turnstile_torture->drivers[i].inside, 1);
        }
    }
}

void __wrap_vm_resume(struct vm *vm)
{
    atomic_fetch_sub(&turnstile_pauses, 1);
    turnstile_wake(&turnstile_pauses);
    __real_vm_resume(vm);
}
