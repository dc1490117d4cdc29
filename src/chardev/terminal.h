/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The controlling terminal's modes: the only place that changes them, and that puts them back whatever happens.
 *
 * The process has one terminal, and a signal handler has no argument: this is the one thing that is kept per process.
 */
#ifndef HDL_CHARDEV_TERMINAL_H
#define HDL_CHARDEV_TERMINAL_H

#include <stdbool.h>

#include "base/error.h"

/*
 * Saves the modes of the terminal behind fd and makes it raw. signals: Ctrl-C, Ctrl-\ and Ctrl-Z still make signals.
 * From then on exit(3) restores it, and so do the fatal signals once terminal_catch_signals was called. fd must stay
 * open until terminal_restore. -ENOTTY if it isn't a terminal, -EBUSY if one is raw already. Main thread.
 */
int terminal_set_raw(int fd, bool signals, struct error **err);
/* Puts the saved modes back, if there are any. Any thread, any number of times, async-signal-safe. */
void terminal_restore(void);
/* Restores and forgets the terminal: fd may be closed afterwards. Main thread. */
void terminal_release(void);
/* Makes it raw again after the process was stopped and continued (SIGCONT). Async-signal-safe. */
void terminal_resume(void);
/*
 * Has the fatal signals that nobody handles otherwise (SEGV, BUS, ILL, FPE, ABRT, QUIT, SYS, XCPU, XFSZ) restore the
 * terminal and then do what they always do; TSTP restores and stops; CONT makes raw again. HUP, INT and TERM are left
 * to their owner, who ends by way of exit(3) or calls terminal_restore. Main thread, once, before other threads exist.
 */
void terminal_catch_signals(void);

#endif
