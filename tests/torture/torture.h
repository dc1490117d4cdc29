/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Torture: a whole machine, and everybody who may reach into it does so at once. What the parts share.
 *
 *   4 drivers      threads that dispatch as vCPUs do: accesses.c, bars.c, queues.c, ejects.c
 *   the guest      2 vCPUs that run a loop, so that pausing has somebody to stop
 *   the manager   the configuration thread, which runs the machine's loop: plug.c, backends.c, pause.c, storms.c
 *   the clients    a thread at the other end of the chardevs' sockets: clients.c
 *   the storms     2 threads that talk QMP with the machine's monitors: storms.c
 *   the watchdog   a thread that looks at all of these: watchdog.c
 *
 * An actor takes one step after another. What it does in a step comes from a generator that is made from the run's
 * seed, the actor's number and the step's number alone: a seed gives each actor the same steps again. What they do to
 * each other is the scheduler's choice.
 *
 * Drivers stand still while the machine's vCPUs do (turnstile.c).
 */
#ifndef HDL_TESTS_TORTURE_TORTURE_H
#define HDL_TESTS_TORTURE_TORTURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/thread.h"
#include "event/event_loop.h"
#include "machine/machine.h"

#define TORTURE_DRIVERS 4
/*
 * Of RAM: what is below the arenas is anybody's. An arena is a driver's, and in it each function has a cell for the
 * rings and buffers that this driver gives it: two devices don't write one buffer at a time, which would be a race of
 * the guest's own making.
 */
#define TORTURE_ARENA       (UINT64_C(16) << 20)
#define TORTURE_ARENA_BYTES (UINT64_C(64) << 20)
#define TORTURE_RAM_BYTES   (TORTURE_ARENA + TORTURE_DRIVERS * TORTURE_ARENA_BYTES)
#define TORTURE_TYPES_MAX   64

struct torture;

/* --- actors ------------------------------------------------------------------------------------------------------ */

/*
 * name: immutable. random: the actor's thread. doing, step, is_waiting: written by the actor's thread, read by the
 * watchdog.
 */
struct actor {
    const char *name;
    uint64_t seed;
    uint64_t random;
    const char *_Atomic doing;
    _Atomic uint64_t step;
    _Atomic bool is_waiting; /* for somebody who may take his time: a paused machine, an ended run */
};

/* From the run's seed and a number that no other actor has. */
void actor_init(struct actor *actor, const char *name, uint64_t seed, unsigned number);
/* Begins the next step: the generator is what seed and step make it. */
void actor_step(struct actor *actor);
void actor_does(struct actor *actor, const char *what);
uint64_t actor_random(struct actor *actor);
/* 0 .. below - 1; below > 0. */
uint64_t actor_below(struct actor *actor, uint64_t below);
static inline bool actor_chance(struct actor *actor, unsigned in)
{
    return actor_below(actor, in) == 0;
}

/* A thing to be done, and how often compared with others. Tables of them end with a NULL name. */
struct torture_act {
    const char *name;
    unsigned weight;
    void (*fn)(void *who);
};
/* Does one of the table that --only allows. */
void torture_act_any(struct torture *torture, struct actor *actor, const struct torture_act *acts, void *who);

/* --- drivers ----------------------------------------------------------------------------------------------------- */

#define TORTURE_QUEUES     6
#define TORTURE_QUEUE_SIZE 64

/* A ring that a driver set up. Somebody else may have set it up anew meanwhile: that is his business and the device's.
 */
struct driver_ring {
    unsigned index, size;
    uint64_t desc, avail, used, notify;
    uint16_t next, next_desc; /* of the available ring; split: of the descriptors */
    bool wrap;
};

/* A virtio function that a driver has found. */
struct driver_virtio {
    bool is_open, packed;
    uint64_t config; /* address of its configuration space */
    unsigned id;     /* virtio's */
    uint64_t common, notify;
    uint32_t multiplier;
    unsigned ring_count;
    struct driver_ring rings[TORTURE_QUEUES];
};

/* Its thread's own, but for the actor and `inside`, which the turnstile's threads share. */
struct driver {
    struct actor actor;
    struct hdl_thread thread;
    struct torture *torture;
    unsigned index;
    struct flat_cache memory_cache, io_cache;
    struct driver_virtio virtio;
    uint64_t next_meta, next_data; /* in the cell of its virtio function */
    _Atomic uint32_t inside;
};

void driver_run(void *opaque);

/* Memory, ports. What was reached is counted. */
uint64_t driver_read(struct driver *driver, uint64_t address, unsigned size_bytes);
void driver_write(struct driver *driver, uint64_t address, unsigned size_bytes, uint64_t value);
uint64_t driver_in(struct driver *driver, uint64_t port, unsigned size_bytes);
void driver_out(struct driver *driver, uint64_t port, unsigned size_bytes, uint64_t value);
/* The address of the configuration space of some function that is there, of any bus; 0 if none was found. */
uint64_t driver_find_function(struct driver *driver);

/* accesses.c */
void driver_act_access(void *who);
void driver_act_config(void *who);
/* bars.c */
void driver_act_bars(void *who);
void driver_act_decode(void *who);
/* queues.c */
void driver_act_queue_open(void *who);
void driver_act_queue_kick(void *who);
void driver_act_queue_reset(void *who);
void driver_act_queue_spoil(void *who);
/* ejects.c */
void driver_act_eject(void *who);
void driver_act_ask(void *who);

/* --- turnstile.c: drivers stand still while vCPUs do
 * --------------------------------------------------------------------
 */

/* False: the run is over, and the caller isn't inside. */
bool turnstile_enter(struct driver *driver);
void turnstile_leave(struct driver *driver);
/* Before a machine is created, which is paused then. Whose drivers are to stand still. */
void turnstile_init(struct torture *torture);
/* The run is over: those who sleep at the turnstile are to look. */
void turnstile_wake_all(void);

/* --- the manager -------------------------------------------------------------------------------------------------- */

/* On the configuration thread, all of it. */
struct manager {
    struct actor actor;
    struct torture *torture;
    struct clock clock;
    struct timer timer;
    _Atomic unsigned next_name;       /* storms read it */
    struct machine_listener monitors; /* who heard of events before */
    uint64_t added, deleted, refused; /* devices; `deleted` by their events */
    uint64_t storms_deleted;          /* of those that the storms added */
    uint64_t adds_failed;
    uint64_t bytes_out; /* that came out of chardevs */
    uint64_t end_ns;    /* of its clock; later, up to late_ns, if a type hasn't been reached by then */
    uint64_t late_ns;
    bool is_ended; /* no more steps */
};

/* The machine exists; it has no listener yet. */
bool manager_init(struct manager *manager, struct torture *torture);
void manager_start(struct manager *manager);
/* Before the machine goes, and after: a loop keeps the clocks of its timers. */
void manager_stop(struct manager *manager);
void manager_destroy(struct manager *manager);

void manager_act_plug(void *who);
void manager_act_unplug(void *who);
void manager_act_plug_wrong(void *who);
void manager_act_backend(void *who);
void manager_act_feed(void *who);
void manager_act_pause(void *who);
void manager_act_reset(void *who);
void manager_act_query(void *who);

/*
 * Adds a device of the type with options of the manager's choice, where the board can have it. 0 or a negative errno.
 * plain: nothing by chance.
 */
int plug_device(struct manager *manager, const struct device_type *type, bool plain);
/* The first devices: one of each type that can be created. False, and says so, if one can't. */
bool plug_first_devices(struct manager *manager);
/* Takes away all that a person can add, and waits until nothing of it is left. False after too long. */
bool unplug_everything(struct manager *manager);
/* Makes a backend of a new name, into name. */
bool backend_make_node(struct manager *manager, char *name, size_t len_bytes);
/* type: one whose output is to be seen (a ring that is drained); NULL: any kind. */
bool backend_make_chardev(struct manager *manager, const struct device_type *type, char *name, size_t len_bytes);
bool backend_make_object(struct manager *manager, const char *type, char *name, size_t len_bytes);

/* --- the clients -----------------------------------------------------------------------------------------------------
 */

struct clients {
    struct actor actor;
    struct torture *torture;
    struct hdl_thread thread;
};
void clients_run(void *opaque);
#define TORTURE_SOCKETS 4
/* The path of the nth socket. */
void torture_socket_path(const struct torture *torture, unsigned n, char *path, size_t len_bytes);

/* Calls a socket. -1 if nobody listens. */
int torture_call(const struct torture *torture, const char *path);

/* --- the storms: storms.c
 * ---------------------------------------------------------------------------------------------- */

#define TORTURE_STORMS 2

/* Its thread's own, but for torture and path, which are immutable, and the actor. */
struct storm {
    struct actor actor;
    struct torture *torture;
    struct hdl_thread thread;
    char path[80];
    int fd; /* -1: not connected */
    char line[512];
    size_t line_len;
    uint64_t answers, adds_sent, adds_answered, adds_done;
};
void storm_run(void *opaque);

/* --- the watchdog ----------------------------------------------------------------------------------------------------
 */

struct watchdog {
    pthread_t thread;
    struct torture *torture;
    unsigned limit_s;
    _Atomic bool stop;
};
void watchdog_start(struct watchdog *watchdog, struct torture *torture, unsigned limit_s);
void watchdog_stop(struct watchdog *watchdog);

/* --- which types of device were reached, how often --------------------------------------------------------
 */

struct reached {
    const struct device_type *_Atomic types[TORTURE_TYPES_MAX];
    _Atomic uint64_t counts[TORTURE_TYPES_MAX];
};
/* Any thread. */
void reached_count(struct reached *reached, const struct device_type *type, uint64_t times);
uint64_t reached_times(struct reached *reached, const struct device_type *type);
/* A type of the machine's table that never was; NULL if all were. */
const struct device_type *reached_missing(struct reached *reached);

/* --- the run
 * ----------------------------------------------------------------------------------------------------------- */

struct torture {
    uint64_t seed;
    unsigned seconds;
    const char *only; /* a part of the names of acts, or NULL: all */
    bool verbose;
    char folder[32]; /* of sockets and files */
    char kernel[64], disk[64];
    struct machine_config config;
    struct machine *machine;
    _Atomic bool over; /* drivers and clients are to end */
    struct driver drivers[TORTURE_DRIVERS];
    struct manager manager;
    struct clients clients;
    struct storm storms[TORTURE_STORMS];
    struct config_chardev chardevs[TORTURE_STORMS];
    struct config_monitor monitors[TORTURE_STORMS];
    struct monitor *monitor;
    struct watchdog watchdog;
    struct reached reached;
    _Atomic uint64_t accesses, answered;
};

#endif
