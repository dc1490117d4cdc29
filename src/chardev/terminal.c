/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The controlling terminal's modes.
 *
 *      cooked ---- set_raw ----> raw ---- restore (exit, fatal signal, TSTP) ----> cooked
 *                                 ^------------- resume (CONT) -----------------------+
 *
 * The state is per process because the terminal is, and because exit handlers and signal handlers have no argument. It
 * is published with one atomic pointer to an immutable record, so that a handler that interrupts anything sees all of
 * it or nothing. A guest can't reach any of this.
 */
#include "chardev/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/compiler.h"

/* Immutable once `terminal_current` points at it; rewritten by the main thread only while it doesn't. */
struct terminal_state {
    int fd;
    struct termios cooked, raw;
};

static struct terminal_state terminal_record;
static struct terminal_state *_Atomic terminal_current;
static bool terminal_at_exit; /* main thread */

/* A background process that sets modes is stopped by SIGTTOU unless it blocks it. */
static void terminal_apply(const struct terminal_state *state, const struct termios *modes)
{
    sigset_t ttou, saved;

    sigemptyset(&ttou);
    sigaddset(&ttou, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &ttou, &saved);
    tcsetattr(state->fd, TCSANOW, modes);
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
}

void terminal_restore(void)
{
    int saved_errno = errno;
    struct terminal_state *state = atomic_load_explicit(&terminal_current, memory_order_acquire);

    if (state) {
        terminal_apply(state, &state->cooked);
    }
    errno = saved_errno;
}

void terminal_resume(void)
{
    int saved_errno = errno;
    struct terminal_state *state = atomic_load_explicit(&terminal_current, memory_order_acquire);

    if (state) {
        terminal_apply(state, &state->raw);
    }
    errno = saved_errno;
}

void terminal_release(void)
{
    terminal_restore();
    atomic_store_explicit(&terminal_current, NULL, memory_order_release);
}

int terminal_set_raw(int fd, bool signals, struct error **err)
{
    struct terminal_state *state = &terminal_record;

    if (atomic_load_explicit(&terminal_current, memory_order_relaxed)) {
        return error_set(err, -EBUSY, "the terminal is in use already: only one chardev can be stdio");
    }
    if (tcgetattr(fd, &state->cooked) != 0) {
        return error_set(err, -errno, "not a terminal");
    }
    state->fd = fd;
    state->raw = state->cooked;
    cfmakeraw(&state->raw);
    state->raw.c_oflag |= OPOST; /* our own messages share the screen; the guest sends \r\n anyway */
    if (signals) {
        state->raw.c_lflag |= ISIG;
    }
    state->raw.c_cc[VMIN] = 1;
    state->raw.c_cc[VTIME] = 0;
    if (!terminal_at_exit) {
        terminal_at_exit = atexit(terminal_restore) == 0;
    }
    atomic_store_explicit(&terminal_current, state, memory_order_release);
    terminal_resume();
    return 0;
}

/* SA_RESETHAND: the second time it does what it always did. */
static void fatal_signal(int number)
{
    terminal_restore();
    raise(number);
}

static void stop_signal(int number)
{
    int saved_errno = errno;

    terminal_restore();
    raise(SIGSTOP);
    errno = saved_errno;
}

static void continue_signal(int number)
{
    terminal_resume();
}

static void terminal_catch(int number, void (*handler)(int number), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    struct sigaction old;

    /* What somebody handles or ignores already (a sanitizer, nohup) is left alone. */
    if (sigaction(number, NULL, &old) != 0 || old.sa_handler != SIG_DFL) {
        return;
    }
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void terminal_catch_signals(void)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGQUIT, SIGSYS, SIGXCPU, SIGXFSZ};

    for (size_t i = 0; i < ARRAY_SIZE(fatal); i++) {
        terminal_catch(fatal[i], fatal_signal, (int)SA_RESETHAND);
    }
    terminal_catch(SIGTSTP, stop_signal, SA_RESTART);
    terminal_catch(SIGCONT, continue_signal, SA_RESTART);
}
