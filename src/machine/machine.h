/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine's life, from a configuration to an exit status.
 *
 *              create               run                     pause
 *    (config) --------> PAUSED ------------> RUNNING <----------------> PAUSED
 *                                               |         resume
 *                    reset: pause, devices and  |  power-off, quit, failure
 *                    memory anew, resume        v
 *                                             ENDED ----> destroy
 *
 * One thread, the main thread, creates, runs and destroys it: it is the configuration thread. It also runs the main
 * event loop, on which every request below is served.
 */
#ifndef HDL_MACHINE_MACHINE_H
#define HDL_MACHINE_MACHINE_H

#include "base/error.h"
#include "machine/config.h"

struct machine;

/*
 * Builds everything: memory, accelerator, vCPUs, backends, devices; opens the boot files; starts I/O threads. The vCPUs
 * don't run yet. config must outlive the machine. NULL and a one-line error; nothing is left behind.
 */
struct machine *machine_create(const struct machine_config *config, struct error **err);
/* Loads the boot images, runs the guest (unless start_paused) until the end; returns the process's exit status. */
int machine_run(struct machine *machine);
/* Ends all threads and frees. After machine_run has returned, or instead of it. NULL is allowed. */
void machine_destroy(struct machine *machine);

/*
 * Requests. Any thread, under any lock but a leaf; also from signal handlers. They note what is wanted and wake the
 * main loop, which serves them in this order of precedence: quit, power-off, reset, pause, resume, power button.
 */
void machine_ask_quit(struct machine *machine);
void machine_ask_reset(struct machine *machine);
void machine_ask_pause(struct machine *machine);
void machine_ask_resume(struct machine *machine);
void machine_ask_power_button(struct machine *machine);

#endif
