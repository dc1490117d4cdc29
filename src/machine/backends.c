/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes and ends backends, in an order in which none outlives what it stands on. Configuration thread only. */
#include "machine/backends.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* id: the configuration's, or NULL for a thread that nobody can name. */
static struct event_loop *backends_start_iothread(struct backends *backends, const char *id, const char *thread_name,
                                                  struct error **err)
{
    struct backends_iothread *iothread = &backends->iothreads[backends->iothread_count];

    if (backends->iothread_count == BACKENDS_IOTHREADS_MAX) {
        error_set(err, -ENOSPC, "more than %d I/O threads", BACKENDS_IOTHREADS_MAX);
        return NULL;
    }
    iothread->loop = event_loop_create(thread_name, err);
    if (iothread->loop && event_loop_start_thread(iothread->loop, err) < 0) {
        event_loop_destroy(iothread->loop);
        iothread->loop = NULL;
    }
    if (!iothread->loop) {
        return NULL;
    }
    iothread->id = id;
    backends->iothread_count++;
    return iothread->loop;
}

static int backends_add_iothread(struct backends *backends, const struct config_object *object, struct error **err)
{
    return backends_start_iothread(backends, object->id, object->id, err) ? 0 : -EAGAIN;
}

struct event_loop *backends_make_iothread(struct backends *backends, struct error **err)
{
    char name[16];

    snprintf(name, sizeof(name), "io%u", backends->iothread_count);
    return backends_start_iothread(backends, NULL, name, err);
}

static int backends_add_rng(struct backends *backends, const struct config_object *object, struct error **err)
{
    struct backends_rng *rng = &backends->rngs[backends->rng_count];
    int ret;

    if (backends->rng_count == BACKENDS_RNGS_MAX) {
        return error_set(err, -ENOSPC, "-object %s: more than %d", object->type, BACKENDS_RNGS_MAX);
    }
    ret = rng_source_open(&rng->source, object->type, object->id, &object->options, err);
    if (ret < 0) {
        return ret;
    }
    rng->id = object->id;
    backends->rng_count++;
    return 0;
}

static int backends_add_object(struct backends *backends, const struct config_object *object, struct error **err)
{
    if (strcmp(object->type, "iothread") == 0) {
        return backends_add_iothread(backends, object, err);
    }
    if (rng_source_is_type(object->type)) {
        return backends_add_rng(backends, object, err);
    }
    return error_set(err, -ENOENT, "-object %s: there is no such type", object->type);
}

static int backends_add_chardev(struct backends *backends, const struct config_chardev *config,
                                const struct chardev_env *env, struct error **err)
{
    const struct chardev_type *type = chardev_type_find(config->backend, err);
    struct chardev *chardev;
    int ret = 0;

    if (!type) {
        return -EINVAL;
    }
    chardev = chardev_create(type, config->id, env);
    if (!chardev) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    for (size_t i = 0; ret == 0 && i < config->options.count; i++) {
        ret = chardev_set_option(chardev, config->options.items[i].key, config->options.items[i].value, err);
    }
    ret = ret < 0 ? ret : chardev_open(chardev, err);
    if (ret < 0) {
        chardev_destroy(chardev);
        return ret;
    }
    return chardev_table_add(backends->chardevs, chardev, err);
}

static int backends_add_all(struct backends *backends, const struct machine_config *config,
                            const struct chardev_env *env, struct error **err)
{
    int ret = 0;

    for (size_t i = 0; ret == 0 && i < config->object_count; i++) {
        ret = backends_add_object(backends, &config->objects[i], err);
    }
    for (size_t i = 0; ret == 0 && i < config->node_count; i++) {
        ret = block_open(backends->graph, config->nodes[i].name, &config->nodes[i].options, env->loop, NULL, err);
    }
    for (size_t i = 0; ret == 0 && i < config->chardev_count; i++) {
        ret = backends_add_chardev(backends, &config->chardevs[i], env, err);
    }
    return ret;
}

int backends_init(struct backends *backends, const struct machine_config *config, const struct chardev_env *env,
                  struct error **err)
{
    int ret;

    *backends = (struct backends){.chardevs = chardev_table_create(), .graph = block_graph_create()};
    if (!backends->chardevs || !backends->graph) {
        backends_destroy(backends);
        return error_set(err, -ENOMEM, "out of memory");
    }
    ret = backends_add_all(backends, config, env, err);
    if (ret < 0) {
        backends_destroy(backends);
    }
    return ret;
}

void backends_destroy(struct backends *backends)
{
    chardev_table_destroy(backends->chardevs);
    for (unsigned i = 0; i < backends->iothread_count; i++) {
        event_loop_stop_thread(backends->iothreads[i].loop);
    }
    block_graph_destroy(backends->graph);
    while (backends->iothread_count > 0) {
        event_loop_destroy(backends->iothreads[--backends->iothread_count].loop);
    }
    while (backends->rng_count > 0) {
        rng_source_close(&backends->rngs[--backends->rng_count].source);
    }
    *backends = (struct backends){0};
}

struct event_loop *backends_find_iothread(const struct backends *backends, const char *id, struct error **err)
{
    for (unsigned i = 0; i < backends->iothread_count; i++) {
        if (backends->iothreads[i].id && strcmp(backends->iothreads[i].id, id) == 0) {
            return backends->iothreads[i].loop;
        }
    }
    error_set(err, -ENOENT, "iothread='%s': there is no such -object iothread", id);
    return NULL;
}

const struct rng_source *backends_find_rng(const struct backends *backends, const char *id, struct error **err)
{
    for (unsigned i = 0; i < backends->rng_count; i++) {
        if (strcmp(backends->rngs[i].id, id) == 0) {
            return &backends->rngs[i].source;
        }
    }
    error_set(err, -ENOENT, "rng='%s': there is no such -object rng-builtin or rng-random", id);
    return NULL;
}
