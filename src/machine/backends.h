/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host sides of a machine's devices, by id: I/O threads, character backends, block nodes, sources of
 * randomness. */
#ifndef HDL_MACHINE_BACKENDS_H
#define HDL_MACHINE_BACKENDS_H

#include "block/block.h"
#include "chardev/chardev.h"
#include "hw/virtio/rng_source.h"
#include "machine/config.h"

#define BACKENDS_IOTHREADS_MAX 64
#define BACKENDS_RNGS_MAX      16

struct backends_iothread {
    const char *id; /* the configuration's; NULL: made for one device */
    struct event_loop *loop;
};

struct backends_rng {
    const char *id; /* the configuration's */
    struct rng_source source;
};

/* Configuration thread; what it points to locks itself. */
struct backends {
    struct chardev_table *chardevs;
    struct block_graph *graph;
    struct backends_iothread iothreads[BACKENDS_IOTHREADS_MAX];
    unsigned iothread_count;
    struct backends_rng rngs[BACKENDS_RNGS_MAX];
    unsigned rng_count;
};

/*
 * Makes all that the configuration names: starts I/O threads, opens chardevs and block nodes on env->loop. May block
 * on files. On failure nothing is left behind. No lock held.
 */
int backends_init(struct backends *backends, const struct machine_config *config, const struct chardev_env *env,
                  struct error **err);
/* All devices are gone. Stops the threads. Safe on zeroed and on destroyed backends. */
void backends_destroy(struct backends *backends);
/* The loop of an I/O thread; NULL and an error that names the option's value if there is none of that id. */
struct event_loop *backends_find_iothread(const struct backends *backends, const char *id, struct error **err);
/* A new I/O thread for a device of whose options none names one. NULL and an error. */
struct event_loop *backends_make_iothread(struct backends *backends, struct error **err);
/* As backends_find_iothread, for an rng object. */
const struct rng_source *backends_find_rng(const struct backends *backends, const char *id, struct error **err);

#endif
