/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host sides of a machine's devices, by id: character backends, block nodes, and objects (I/O threads, sources of
 * randomness, secrets). They come with the configuration, and come and go by command. Configuration thread only, no
 * lock held; what it points to locks itself.
 */
#ifndef HDL_MACHINE_BACKENDS_H
#define HDL_MACHINE_BACKENDS_H

#include "block/block.h"
#include "chardev/chardev.h"
#include "hw/virtio/rng_source.h"
#include "machine/config.h"

/* How many objects there may be: each I/O thread is a thread of the process. */
#define BACKENDS_OBJECTS_MAX 256

/* type, id: owned; id NULL: an I/O thread that was made for one device, which nobody can name. */
struct backend_object {
    char *type;
    char *id;
    struct event_loop *loop;   /* "iothread" */
    struct rng_source *source; /* "rng-builtin", "rng-random" */
    struct backend_object *next;
};

struct backends {
    struct chardev_env chardev_env;
    struct event_loop *loop; /* the configuration thread's: where nodes are that no device has attached */
    struct chardev_table *chardevs;
    struct block_graph *graph;
    struct backend_object *objects; /* in order of creation */
    unsigned object_count;
};

/*
 * Makes all that the configuration names. chardev_env->loop is the chardevs' loop, `loop` the configuration thread's.
 * May block on files. On failure nothing is left behind.
 */
int backends_init(struct backends *backends, const struct machine_config *config, const struct chardev_env *chardev_env,
                  struct event_loop *loop, struct error **err);
/* All devices are gone. Stops the threads. Safe on zeroed and on destroyed backends. */
void backends_destroy(struct backends *backends);

/* -EEXIST and an error if the id is taken; -ENOENT for an unknown type. config is copied. */
int backends_add_object(struct backends *backends, const struct config_object *config, struct error **err);
int backends_add_chardev(struct backends *backends, const struct config_chardev *config, struct error **err);
int backends_add_node(struct backends *backends, const struct config_node *config, struct error **err);
/* Nobody uses it any more. An I/O thread's nodes move to the configuration thread's loop. */
void backends_remove_object(struct backends *backends, struct backend_object *object);

/* NULL if there is none of that id. */
struct backend_object *backends_find_object(const struct backends *backends, const char *id);
/* The loop of an I/O thread; NULL and an error that names the option's value if there is none of that id. */
struct event_loop *backends_find_iothread(const struct backends *backends, const char *id, struct error **err);
/* A new I/O thread for a device of whose options none names one. NULL and an error. */
struct backend_object *backends_make_iothread(struct backends *backends, struct error **err);
/* As backends_find_iothread, for an rng object. */
const struct rng_source *backends_find_rng(const struct backends *backends, const char *id, struct error **err);

#endif
