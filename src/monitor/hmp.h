/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The monitor for people: command lines in QEMU's human monitor language, and text that comes back.
 *
 *     chardev's loop        monitor's loop                            configuration thread
 *
 *     front end --- bh ---> session: keys -> line editor -> line --- bh ---> hmp_run
 *     out ring  <-- bytes -- what is shown               <- text <-- bh ---
 *
 * A session has at most one line on the configuration thread and reads no further keys until its text came back and was
 * taken by the other side. So it holds one line and one text, whatever is typed at it, and sessions take turns.
 */
#ifndef HDL_MONITOR_HMP_H
#define HDL_MONITOR_HMP_H

#include "base/error.h"
#include "chardev/chardev.h"
#include "event/event_loop.h"

struct monitor;
struct machine;
struct hmp_session;

/* The machine that a monitor is of. Any thread; immutable. */
struct machine *monitor_machine(struct monitor *monitor);

/*
 * Runs a line and returns all that it says: lines that end in "\n", errors among them, "" if there is nothing to say.
 * The caller frees; NULL when out of memory. Configuration thread, no lock held; blocks as long as the command does.
 */
char *hmp_run(struct monitor *monitor, const char *command_line);

/*
 * Speaks with whoever is at the other end of the chardev, as its front end, until destroyed. monitor_loop: any loop; it
 * and the chardev outlive the session. Configuration thread, no lock held. NULL and an error.
 */
struct hmp_session *hmp_session_create(struct monitor *monitor, struct chardev *chardev,
                                       struct event_loop *monitor_loop, struct error **err);
/* Configuration thread, no lock held; waits for rounds of both loops. NULL is allowed. */
void hmp_session_destroy(struct hmp_session *session);

#endif
