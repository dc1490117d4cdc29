/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Backends: nodes that complete at once, fail, or are files; chardevs that somebody feeds and drains, or nobody;
 * objects. They are made for a device and stay when it goes, until chance deletes them, used or not.
 */
#include <stdlib.h>
#include <string.h>

#include "chardev/ringbuf.h"
#include "machine/device_types.h"
#include "torture.h"

#define BACKENDS_MAX 24 /* of each kind; more are deleted before others are made */

static void backend_say(struct manager *manager, const char *what, struct error *err)
{
    if (err && manager->torture->verbose) {
        fprintf(stderr, "torture: %s: %s\n", what, err->message);
    }
    error_free(err);
}

/* --- nodes
 * -------------------------------------------------------------------------------------------------------------- */

static unsigned backend_count_nodes(struct manager *manager)
{
    unsigned count = 0;

    while (block_graph_node(machine_backends(manager->torture->machine)->graph, count)) {
        count++;
    }
    return count;
}

static void backend_delete_node(struct manager *manager)
{
    unsigned count = backend_count_nodes(manager);
    struct block_graph *graph = machine_backends(manager->torture->machine)->graph;
    struct error *err = NULL;
    char name[64];

    if (count > 0) {
        snprintf(name, sizeof(name), "%s",
                 block_node_info(block_graph_node(graph, (unsigned)actor_below(&manager->actor, count)))->node_name);
        (void)machine_blockdev_del(manager->torture->machine, name, &err);
        backend_say(manager, "blockdev_del", err);
    }
}

static void node_options_debug(struct manager *manager, struct options *options)
{
    static const char *const words[] = {"read", "write", "flush", "discard", "write-zeroes"};

    options_set(options, "driver", "blkdebug");
    options_set(options, "image.driver", "null-co");
    options_set(options, "image.size", "1M");
    options_set(options, "inject-error.0.iotype", words[actor_below(&manager->actor, ARRAY_SIZE(words))]);
    options_set(options, "inject-error.0.once", actor_chance(&manager->actor, 2) ? "on" : "off");
}

static void node_options_file(struct manager *manager, struct options *options)
{
    options_set(options, "driver", "raw");
    options_set(options, "file.driver", "file");
    options_set(options, "file.filename", manager->torture->disk);
    options_set(options, "file.locking", "off");
    options_set(options, "discard", actor_chance(&manager->actor, 2) ? "unmap" : "ignore");
}

bool backend_make_node(struct manager *manager, char *name, size_t len_bytes)
{
    struct config_node config = {.name = name};
    struct error *err = NULL;
    int ret;

    for (unsigned i = 0; i < 4 && backend_count_nodes(manager) > BACKENDS_MAX; i++) {
        backend_delete_node(manager);
    }
    snprintf(name, len_bytes, "n%u", manager->next_name++);
    switch (actor_below(&manager->actor, 3)) {
    case 0:
        options_set(&config.options, "driver", "null-co");
        options_set(&config.options, "size", "1M");
        options_set(&config.options, "read-zeroes", actor_chance(&manager->actor, 2) ? "on" : "off");
        break;
    case 1:
        node_options_debug(manager, &config.options);
        break;
    default:
        node_options_file(manager, &config.options);
        break;
    }
    ret = machine_blockdev_add(manager->torture->machine, &config, &err);
    backend_say(manager, "blockdev_add", err);
    options_release(&config.options);
    return ret == 0;
}

/* --- chardevs
 * ------------------------------------------------------------------------------------------------------------ */

/* All that an act wants to know of one chardev of those there are. */
struct chardev_search {
    struct manager *manager;
    uint64_t skip;
    unsigned count;
    char id[64];
};

static void chardev_search_visit(struct chardev *chardev, void *opaque)
{
    struct chardev_search *search = opaque;

    if (search->skip-- == 0) {
        snprintf(search->id, sizeof(search->id), "%s", chardev_id(chardev));
    }
    search->count++;
}

static unsigned backend_count_chardevs(struct manager *manager)
{
    struct chardev_search search = {.manager = manager};

    chardev_table_foreach(machine_backends(manager->torture->machine)->chardevs, chardev_search_visit, &search);
    return search.count;
}

static void backend_delete_chardev(struct manager *manager)
{
    struct chardev_search search = {.manager = manager};
    unsigned count = backend_count_chardevs(manager);
    struct error *err = NULL;

    if (count > 0) {
        search.skip = actor_below(&manager->actor, count);
        chardev_table_foreach(machine_backends(manager->torture->machine)->chardevs, chardev_search_visit, &search);
        (void)machine_chardev_remove(manager->torture->machine, search.id, &err);
        backend_say(manager, "chardev-remove", err);
    }
}

static void chardev_choose(struct manager *manager, struct config_chardev *config)
{
    char path[80];

    switch (actor_below(&manager->actor, 5)) {
    case 0:
        config->backend = (char *)"null";
        break;
    case 1:
        config->backend = (char *)"file";
        snprintf(path, sizeof(path), "%s/out%u", manager->torture->folder, (unsigned)actor_below(&manager->actor, 4));
        options_set(&config->options, "path", path);
        break;
    case 2:
        config->backend = (char *)"pty";
        break;
    default:
        config->backend = (char *)"socket";
        torture_socket_path(manager->torture, (unsigned)actor_below(&manager->actor, TORTURE_SOCKETS), path,
                            sizeof(path));
        options_set(&config->options, "path", path);
        options_set(&config->options, "server", "on");
        options_set(&config->options, "wait", "off");
        options_set(&config->options, "telnet", actor_chance(&manager->actor, 4) ? "on" : "off");
        break;
    }
    options_set(&config->options, "mux", actor_chance(&manager->actor, 6) ? "on" : "off");
}

bool backend_make_chardev(struct manager *manager, const struct device_type *type, char *name, size_t len_bytes)
{
    struct config_chardev config = {.id = name, .backend = (char *)"ringbuf"};
    struct error *err = NULL;
    int ret;

    for (unsigned i = 0; i < 4 && backend_count_chardevs(manager) > BACKENDS_MAX; i++) {
        backend_delete_chardev(manager);
    }
    snprintf(name, len_bytes, "%u-%s", manager->next_name++, type ? type->name : "");
    if (type) {
        options_set(&config.options, "size", "4096");
    } else {
        chardev_choose(manager, &config);
    }
    ret = machine_chardev_add(manager->torture->machine, &config, &err);
    backend_say(manager, "chardev-add", err);
    options_release(&config.options);
    return ret == 0;
}

/* --- feeding and draining
 * ------------------------------------------------------------------------------------------------- */

/* What came out of a device of a type that has no registers of its own shows that it was reached. */
static void feed_drain(struct chardev *chardev, void *opaque)
{
    struct manager *manager = opaque;
    const char *name = strchr(chardev_id(chardev), '-');
    const struct device_type *type = name ? device_type_find(name + 1) : NULL;
    uint8_t bytes[512];
    size_t taken = chardev_ringbuf_take(chardev, bytes, sizeof(bytes));

    manager->bytes_out += taken;
    if (taken > 0 && type) {
        reached_count(&manager->torture->reached, type, 1);
    }
}

static void feed_put(struct chardev *chardev, void *opaque)
{
    struct manager *manager = opaque;
    uint8_t bytes[64];

    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)actor_random(&manager->actor);
    }
    if (strcmp(chardev_type_of(chardev)->name, "ringbuf") == 0 && actor_chance(&manager->actor, 2)) {
        chardev_ringbuf_put(chardev, bytes, actor_below(&manager->actor, sizeof(bytes)));
    }
}

/* The chardevs' loop; the configuration thread waits. */
static void feed_put_all(void *opaque)
{
    struct manager *manager = opaque;

    chardev_table_foreach(machine_backends(manager->torture->machine)->chardevs, feed_put, manager);
}

void manager_act_feed(void *who)
{
    struct manager *manager = who;

    chardev_table_foreach(machine_backends(manager->torture->machine)->chardevs, feed_drain, manager);
    event_loop_call(machine_pc(manager->torture->machine)->env.device_loop, feed_put_all, manager);
}

/* --- objects
 * --------------------------------------------------------------------------------------------------------------- */

static struct backend_object *backend_any_object(struct manager *manager)
{
    struct backends *backends = machine_backends(manager->torture->machine);
    struct backend_object *object = backends->objects;

    for (uint64_t skip = actor_below(&manager->actor, backends->object_count + 1); object && skip > 0; skip--) {
        object = object->next;
    }
    return object;
}

static void backend_delete_object(struct manager *manager)
{
    struct backend_object *object = backend_any_object(manager);
    struct error *err = NULL;
    char id[64];

    if (object && object->id) {
        snprintf(id, sizeof(id), "%s", object->id);
        (void)machine_object_del(manager->torture->machine, id, &err);
        backend_say(manager, "object-del", err);
    }
}

bool backend_make_object(struct manager *manager, const char *type, char *name, size_t len_bytes)
{
    struct config_object config = {.type = (char *)type, .id = name};
    struct error *err = NULL;
    int ret;

    for (unsigned i = 0; i < 4 && machine_backends(manager->torture->machine)->object_count > BACKENDS_MAX; i++) {
        backend_delete_object(manager);
    }
    snprintf(name, len_bytes, "o%u", manager->next_name++);
    ret = machine_object_add(manager->torture->machine, &config, &err);
    backend_say(manager, "object-add", err);
    return ret == 0;
}

/* Some that no device has, names that are taken, and deletions of what is in use. */
void manager_act_backend(void *who)
{
    struct manager *manager = who;
    char name[32];

    switch (actor_below(&manager->actor, 7)) {
    case 0:
        (void)backend_make_node(manager, name, sizeof(name));
        break;
    case 1:
        (void)backend_make_chardev(manager, NULL, name, sizeof(name));
        break;
    case 2:
        (void)backend_make_object(manager, actor_chance(&manager->actor, 2) ? "iothread" : "secret", name,
                                  sizeof(name));
        break;
    case 3:
        manager->next_name -= manager->next_name > 0; /* the name of the last one, again */
        (void)backend_make_object(manager, "rng-builtin", name, sizeof(name));
        break;
    case 4:
        backend_delete_node(manager);
        break;
    case 5:
        backend_delete_chardev(manager);
        break;
    default:
        backend_delete_object(manager);
        break;
    }
}
