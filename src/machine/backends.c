/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes and ends backends, in an order in which none outlives what it stands on. Configuration thread only. */
#include "machine/backends.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- objects ---------------------------------------------------------------------------------------------------- */

static void backend_object_free(struct backend_object *object)
{
    event_loop_destroy(object->loop);
    if (object->source) {
        rng_source_close(object->source);
        free(object->source);
    }
    free(object->type);
    free(object->id);
    free(object);
}

static int backend_object_start_thread(struct backend_object *object, const char *thread_name, struct error **err)
{
    int ret;

    object->loop = event_loop_create(thread_name, err);
    if (!object->loop) {
        return -ENOMEM;
    }
    ret = event_loop_start_thread(object->loop, err);
    if (ret < 0) {
        event_loop_destroy(object->loop);
        object->loop = NULL;
    }
    return ret;
}

static int backend_object_open_rng(struct backend_object *object, const struct options *options, struct error **err)
{
    int ret;

    object->source = calloc(1, sizeof(*object->source));
    if (!object->source) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    ret = rng_source_open(object->source, object->type, object->id, options, err);
    if (ret < 0) {
        free(object->source);
        object->source = NULL;
    }
    return ret;
}

/* What the type is for. */
static int backend_object_open(struct backend_object *object, const char *thread_name, const struct options *options,
                               struct error **err)
{
    if (strcmp(object->type, "iothread") == 0) {
        return backend_object_start_thread(object, thread_name, err);
    }
    if (rng_source_is_type(object->type)) {
        return backend_object_open_rng(object, options, err);
    }
    if (strcmp(object->type, "secret") == 0) {
        return 0; /* nothing asks for one: there is no encrypted disk and no TLS */
    }
    return error_set(err, -ENOENT, "-object %s: there is no such type", object->type);
}

/* id, options: NULL for a thread that belongs to one device. *created (may be NULL): borrowed. */
static int backends_create_object(struct backends *backends, const char *type, const char *id, const char *thread_name,
                                  const struct options *options, struct backend_object **created, struct error **err)
{
    struct backend_object **last = &backends->objects;
    struct backend_object *object;
    int ret;

    if (backends->object_count == BACKENDS_OBJECTS_MAX) {
        return error_set(err, -ENOSPC, "-object %s: more than %d", type, BACKENDS_OBJECTS_MAX);
    }
    object = calloc(1, sizeof(*object));
    if (!object || !(object->type = strdup(type)) || (id && !(object->id = strdup(id)))) {
        ret = error_set(err, -ENOMEM, "out of memory");
    } else {
        ret = backend_object_open(object, thread_name, options, err);
    }
    if (ret < 0) {
        if (object) {
            backend_object_free(object);
        }
        return ret;
    }
    while (*last) {
        last = &(*last)->next;
    }
    *last = object;
    backends->object_count++;
    if (created) {
        *created = object;
    }
    return 0;
}

int backends_add_object(struct backends *backends, const struct config_object *config, struct error **err)
{
    if (backends_find_object(backends, config->id)) {
        return error_set(err, -EEXIST, "attempt to add duplicate property '%s' to object (type 'container')",
                         config->id);
    }
    return backends_create_object(backends, config->type, config->id, config->id, &config->options, NULL, err);
}

struct backend_object *backends_make_iothread(struct backends *backends, struct error **err)
{
    struct backend_object *object = NULL;
    char name[16];

    snprintf(name, sizeof(name), "io%u", backends->object_count);
    (void)backends_create_object(backends, "iothread", NULL, name, NULL, &object, err);
    return object;
}

void backends_remove_object(struct backends *backends, struct backend_object *object)
{
    struct backend_object **link = &backends->objects;

    while (*link != object) {
        link = &(*link)->next;
    }
    *link = object->next;
    backends->object_count--;
    if (object->loop) {
        block_graph_leave_loop(backends->graph, object->loop, backends->loop);
        event_loop_stop_thread(object->loop);
    }
    backend_object_free(object);
}

struct backend_object *backends_find_object(const struct backends *backends, const char *id)
{
    struct backend_object *object = backends->objects;

    while (object && !(object->id && strcmp(object->id, id) == 0)) {
        object = object->next;
    }
    return object;
}

struct event_loop *backends_find_iothread(const struct backends *backends, const char *id, struct error **err)
{
    struct backend_object *object = backends_find_object(backends, id);

    if (!object || !object->loop) {
        error_set(err, -ENOENT, "iothread='%s': there is no such -object iothread", id);
        return NULL;
    }
    return object->loop;
}

const struct rng_source *backends_find_rng(const struct backends *backends, const char *id, struct error **err)
{
    struct backend_object *object = backends_find_object(backends, id);

    if (!object || !object->source) {
        error_set(err, -ENOENT, "rng='%s': there is no such -object rng-builtin or rng-random", id);
        return NULL;
    }
    return object->source;
}

/* --- the others ------------------------------------------------------------------------------------------------- */

int backends_add_chardev(struct backends *backends, const struct config_chardev *config, struct error **err)
{
    const struct chardev_type *type = chardev_type_find(config->backend, err);
    struct chardev *chardev;
    int ret = 0;

    if (!type) {
        return -EINVAL;
    }
    chardev = chardev_create(type, config->id, &backends->chardev_env);
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

int backends_add_node(struct backends *backends, const struct config_node *config, struct error **err)
{
    return block_open(backends->graph, config->name, &config->options, backends->loop, NULL, err);
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static int backends_add_all(struct backends *backends, const struct machine_config *config, struct error **err)
{
    int ret = 0;

    for (size_t i = 0; ret == 0 && i < config->object_count; i++) {
        ret = backends_add_object(backends, &config->objects[i], err);
    }
    for (size_t i = 0; ret == 0 && i < config->node_count; i++) {
        ret = backends_add_node(backends, &config->nodes[i], err);
    }
    for (size_t i = 0; ret == 0 && i < config->chardev_count; i++) {
        ret = backends_add_chardev(backends, &config->chardevs[i], err);
    }
    return ret;
}

int backends_init(struct backends *backends, const struct machine_config *config, const struct chardev_env *chardev_env,
                  struct event_loop *loop, struct error **err)
{
    int ret;

    *backends = (struct backends){
        .chardev_env = *chardev_env,
        .loop = loop,
        .chardevs = chardev_table_create(),
        .graph = block_graph_create(),
    };
    if (!backends->chardevs || !backends->graph) {
        backends_destroy(backends);
        return error_set(err, -ENOMEM, "out of memory");
    }
    ret = backends_add_all(backends, config, err);
    if (ret < 0) {
        backends_destroy(backends);
    }
    return ret;
}

void backends_destroy(struct backends *backends)
{
    chardev_table_destroy(backends->chardevs);
    for (struct backend_object *object = backends->objects; object; object = object->next) {
        if (object->loop) {
            event_loop_stop_thread(object->loop);
        }
    }
    block_graph_destroy(backends->graph);
    while (backends->objects) {
        struct backend_object *object = backends->objects;

        backends->objects = object->next;
        backend_object_free(object);
    }
    *backends = (struct backends){0};
}
