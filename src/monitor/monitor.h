/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine's monitors: QMP for programs, HMP for people, one on each chardev that the configuration names for it. They
 * have a thread of their own; commands run on the configuration thread, by the machine's loop.
 */
#ifndef HDL_MONITOR_MONITOR_H
#define HDL_MONITOR_MONITOR_H

#include "base/error.h"
#include "machine/machine.h"

struct monitor;

/*
 * Configuration thread, before machine_run. Becomes the front end of the monitors' chardevs and the machine's listener.
 * Without any monitors it has no thread. NULL and an error.
 */
struct monitor *monitor_create(struct machine *machine, struct error **err);
/*
 * After machine_run, before machine_destroy. Waits up to half a second for clients that haven't taken all yet. NULL is
 * allowed.
 */
void monitor_destroy(struct monitor *monitor);

#endif
