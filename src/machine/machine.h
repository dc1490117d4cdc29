/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine's life, from a configuration to an exit status.
 *
 *              create               run / cont              stop, failure, shutdown that pauses
 *    (config) --------> PRELAUNCH -----------> RUNNING <----------------------------> PAUSED, ...
 *                                               |         cont
 *                    reset: pause, devices and  |  power-off, quit, failure
 *                    memory anew, resume        v
 *                                             ENDED ----> destroy
 *
 * Threads. The main thread creates, runs and destroys it: it is the *configuration thread*, and its loop serves
 * requests and monitors' commands, one after the other. Devices, timers and character backends have another loop with a
 * thread of its own, so that no command makes a guest's timer late; disks have theirs. No vCPU waits for any of these.
 */
#ifndef HDL_MACHINE_MACHINE_H
#define HDL_MACHINE_MACHINE_H

#include "base/error.h"
#include "machine/backends.h"
#include "machine/config.h"
#include "machine/device_set.h"
#include "machine/pc.h"

struct machine;

/*
 * Builds everything: memory, accelerator, vCPUs, backends, devices; opens the boot files; starts I/O threads. The vCPUs
 * don't run yet. config must outlive the machine. NULL and a one-line error; nothing is left behind.
 */
struct machine *machine_create(const struct machine_config *config, struct error **err);
/* Runs the guest (unless start_paused) until the end; returns the process's exit status. */
int machine_run(struct machine *machine);
/* Ends all threads and frees. After machine_run has returned, or instead of it. NULL is allowed. */
void machine_destroy(struct machine *machine);

/* --- requests: any thread, under any lock but a leaf; also from signal handlers -------------------------------- */

/*
 * They note what is wanted and wake the configuration thread, which serves them in this order of precedence: quit,
 * power-off, reset, pause, resume, power button. why: as machine_event's reason; a string constant.
 */
void machine_ask_quit(struct machine *machine, const char *why);
void machine_ask_reset(struct machine *machine);
void machine_ask_pause(struct machine *machine);
void machine_ask_resume(struct machine *machine);
void machine_ask_power_button(struct machine *machine);

/* --- commands: configuration thread, no lock held -------------------------------------------------------------- */

enum machine_state {
    MACHINE_PRELAUNCH, /* never ran */
    MACHINE_RUNNING,
    MACHINE_PAUSED,
    MACHINE_SHUTDOWN,       /* the guest switched itself off, and the machine stays */
    MACHINE_INTERNAL_ERROR, /* the accelerator couldn't go on, and the machine stays */
    MACHINE_GUEST_PANICKED,
};

enum machine_state machine_state(const struct machine *machine);
/* QMP's word for it. Pure. */
const char *machine_state_name(enum machine_state state);
/* Returns when all vCPUs stand still: as long as their present handlers take. */
void machine_stop(struct machine *machine);
/* -EPERM and an error if a reset is needed first. */
int machine_cont(struct machine *machine, struct error **err);
/* An NMI to every vCPU. -ENODEV without vCPUs. */
int machine_inject_nmi(struct machine *machine, struct error **err);

/*
 * Adds a device, as -device would (its options are completed by -global's). What it names must be there. The guest can
 * see it when this returns, and has been told if it runs. Errors: -ENOENT (no such type, bus or backend), -EEXIST (the
 * id), -EINVAL (a property), -EOPNOTSUPP (it can't be added to a running machine), or what the device's realize says.
 */
int machine_device_add(struct machine *machine, struct config_device *config, struct error **err);
/*
 * Asks the guest to let go of a device, by id or path; MACHINE_EVENT_DEVICE_DELETED tells when it is gone. Asked again,
 * it asks again. At once, without asking: if `force`, if the guest never ran, or if it has no operating system that
 * listens. -ENODEV if there is none, -EINPROGRESS if it is leaving, -EOPNOTSUPP if it can't be taken away.
 */
int machine_device_del(struct machine *machine, const char *id_or_path, bool force, struct error **err);
/* Borrowed until the next call of any of these. NULL if there is none. */
const struct machine_device *machine_device_find(struct machine *machine, const char *id_or_path);
const struct machine_device *machine_device_nth(struct machine *machine, size_t n);

int machine_object_add(struct machine *machine, const struct config_object *config, struct error **err);
/* -ENOENT; -EBUSY while a device uses it. */
int machine_object_del(struct machine *machine, const char *id, struct error **err);
int machine_chardev_add(struct machine *machine, const struct config_chardev *config, struct error **err);
/* -ENOENT; -EBUSY while a device or a monitor uses it. */
int machine_chardev_remove(struct machine *machine, const char *id, struct error **err);
int machine_blockdev_add(struct machine *machine, const struct config_node *config, struct error **err);
/* -ENOENT; -EBUSY while a device or another node uses it. */
int machine_blockdev_del(struct machine *machine, const char *node_name, struct error **err);

/* For queries. machine_pc: NULL if the machine is "none". */
const struct machine_config *machine_config_of(const struct machine *machine);
struct pc *machine_pc(struct machine *machine);
struct backends *machine_backends(struct machine *machine);
/* The configuration thread's loop: where others have their functions run there. */
struct event_loop *machine_loop(struct machine *machine);

/* --- events ----------------------------------------------------------------------------------------------------- */

enum machine_event_kind {
    MACHINE_EVENT_STOP,
    MACHINE_EVENT_RESUME,
    MACHINE_EVENT_RESET,     /* by_guest, reason */
    MACHINE_EVENT_SHUTDOWN,  /* by_guest, reason */
    MACHINE_EVENT_POWERDOWN, /* the power button */
    MACHINE_EVENT_GUEST_PANICKED,
    MACHINE_EVENT_DEVICE_DELETED,            /* device */
    MACHINE_EVENT_DEVICE_UNPLUG_GUEST_ERROR, /* device */
};

/* Valid during the call. reason: QMP's word for it ("guest-reset", "host-qmp-quit", ...). */
struct machine_event {
    enum machine_event_kind kind;
    bool by_guest;
    const char *reason;
    const struct machine_device *device;
};

/* Configuration thread, no lock held, in order; it adds or removes no device. At most one listener; NULL: none. */
struct machine_listener {
    void (*event)(void *opaque, const struct machine_event *event);
    void *opaque;
};
void machine_set_listener(struct machine *machine, const struct machine_listener *listener);

#endif
