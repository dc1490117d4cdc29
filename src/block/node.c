/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes' lives: opened from options, attached to a device and its loop, closed at the last reference.
 *
 * Opening is the configuration thread's. A node that is reachable from others' requests belongs to its loop thread, so
 * whatever touches a whole component (moving it to another loop, closing) goes there by event_loop_call.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/internal.h"

static const struct block_driver *const drivers[] = {
    &block_driver_raw, &block_driver_file, &block_driver_host_device, &block_driver_null, &block_driver_blkdebug,
};

void block_driver_list(void (*fn)(const char *name, const char *description, void *opaque), void *opaque)
{
    for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
        fn(drivers[i]->name, drivers[i]->description, opaque);
    }
}

static const struct block_driver *find_driver(const struct options *options, const char *what, struct error **err)
{
    const char *names[ARRAY_SIZE(drivers) + 1] = {NULL};
    unsigned index = 0;

    for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
        names[i] = drivers[i]->name;
    }
    if (!options_get(options, "driver")) {
        error_set(err, -EINVAL, "%s: 'driver' is missing", what);
        return NULL;
    }
    return options_get_choice(options, what, "driver", names, &index, err) < 0 ? NULL : drivers[index];
}

/* --- references --------------------------------------------------------------------------------------------------- */

const struct block_info *block_node_info(const struct block_node *node)
{
    return &node->info;
}

const char *block_node_owner(const struct block_node *node)
{
    return block_node_is_owned(node) ? node->owner : "";
}

bool block_node_is_direct(const struct block_node *node)
{
    return node->direct;
}

bool block_node_ignores_flush(const struct block_node *node)
{
    return node->no_flush;
}

struct block_node *block_node_child(const struct block_node *node, const char *role)
{
    for (unsigned i = 0; i < node->child_count; i++) {
        if (strcmp(node->children[i].role, role) == 0) {
            return node->children[i].node;
        }
    }
    return NULL;
}

const char *block_node_what(const struct block_node *node)
{
    return node->what;
}

struct block_node *block_node_get(struct block_node *node)
{
    refcount_get(&node->refs);
    return node;
}

static void remove_parent(struct block_node *child, struct block_node *parent)
{
    struct block_parent **link = &child->parents;
    struct block_parent *found;

    while ((*link)->node != parent) {
        link = &(*link)->next;
    }
    found = *link;
    *link = found->next;
    free(found);
}

static void drop_children(struct block_node *node)
{
    while (node->child_count > 0) {
        struct block_node *child = node->children[--node->child_count].node;

        remove_parent(child, node);
        block_node_put(child);
    }
}

static void node_free(struct block_node *node)
{
    block_requests_release(node);
    drop_children(node);
    free(node->state);
    free(node->owner);
    free(node->filename);
    free(node->what);
    free(node->name);
    free(node);
}

static void node_close(void *opaque)
{
    struct block_node *node = opaque;

    assert(!node->parents && !node->drains);
    if (node->driver->close) {
        node->driver->close(node);
    }
    node_free(node);
}

void block_node_put(struct block_node *node)
{
    if (node && refcount_put(&node->refs)) {
        event_loop_call(node->loop, node_close, node);
    }
}

/* --- devices ------------------------------------------------------------------------------------------------------ */

struct move {
    struct block_node *node;
    const char *owner;
    struct event_loop *loop;
    const char *busy; /* who keeps the component where it is */
    int result;
};

static void find_other_owner(struct block_node *node, void *opaque)
{
    struct move *move = opaque;

    assert(node->in_flight == 0 || node->loop == move->loop);
    if (block_node_is_owned(node) && node->loop != move->loop) {
        move->busy = node->owner;
    }
}

static void move_node(struct block_node *node, void *opaque)
{
    struct move *move = opaque;

    if (node->loop != move->loop) {
        bh_destroy(&node->completion);
        node->loop = move->loop;
        bh_init(&node->completion, node->loop, node->completion.fn, node);
    }
}

static void attach_on_old_loop(void *opaque)
{
    struct move *move = opaque;
    char *owner;

    if (block_node_is_owned(move->node)) {
        move->busy = move->node->owner;
    } else {
        block_walk(move->node, BLOCK_WALK_ALL, find_other_owner, move);
    }
    if (move->busy) {
        move->result = -EBUSY;
        return;
    }
    owner = strdup(move->owner);
    if (!owner) {
        move->result = -ENOMEM;
        return;
    }
    free(move->node->owner);
    move->node->owner = owner;
    atomic_store_explicit(&move->node->is_owned, true, memory_order_relaxed);
    block_walk(move->node, BLOCK_WALK_ALL, move_node, move);
}

int block_node_attach(struct block_node *node, const char *owner, struct event_loop *loop, bool writes,
                      struct error **err)
{
    struct move move = {node, owner, loop, NULL, 0};

    if (writes && node->info.is_read_only) {
        return error_set(err, -EROFS, "device '%s': drive '%s' is read-only", owner, node->name);
    }
    if (node->info.size_bytes % BLOCK_SECTOR_BYTES != 0) {
        return error_set(err, -EINVAL, "device '%s': the size of drive '%s' is %llu bytes, not a multiple of %u", owner,
                         node->name, (unsigned long long)node->info.size_bytes, BLOCK_SECTOR_BYTES);
    }
    event_loop_call(node->loop, attach_on_old_loop, &move);
    if (move.result == -EBUSY) {
        return error_set(err, move.result, "device '%s': drive '%s' is already used by device '%s'", owner, node->name,
                         move.busy);
    }
    return move.result == 0 ? 0 : error_set(err, move.result, "device '%s': out of memory", owner);
}

void block_node_detach(struct block_node *node)
{
    /* Release: pairs with block_node_is_owned. The name stays for who is reading it. */
    atomic_store_explicit(&node->is_owned, false, memory_order_release);
}

static void move_on_old_loop(void *opaque)
{
    struct move *move = opaque;

    block_walk(move->node, BLOCK_WALK_ALL, move_node, move);
}

void block_graph_leave_loop(struct block_graph *graph, struct event_loop *from, struct event_loop *to)
{
    for (unsigned i = 0; i < graph->count; i++) {
        struct move move = {.node = graph->nodes[i], .loop = to};

        if (move.node->loop == from) {
            assert(!block_node_is_owned(move.node));
            event_loop_call(from, move_on_old_loop, &move);
        }
    }
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

/* The options whose keys begin with "role.", without that prefix. */
static int child_options(const struct options *options, const char *role, struct options *out)
{
    size_t length = strlen(role);

    for (size_t i = 0; i < options->count; i++) {
        const char *key = options->items[i].key;
        int result;

        if (strncmp(key, role, length) != 0 || key[length] != '.') {
            continue;
        }
        result = options_set(out, key + length + 1, options->items[i].value);
        if (result < 0) {
            return result;
        }
    }
    return 0;
}

static int inherit(struct options *options, const char *key, bool value)
{
    return options_get(options, key) ? 0 : options_set(options, key, value ? "on" : "off");
}

static int inherit_all(const struct block_node *parent, struct options *options)
{
    int result = inherit(options, "read-only", parent->info.is_read_only);

    result = result ? result : inherit(options, "auto-read-only", parent->auto_read_only);
    result = result ? result : inherit(options, "cache.direct", parent->direct);
    result = result ? result : inherit(options, "cache.no-flush", parent->no_flush);
    /* What the parent lets through has been asked for. */
    return result || options_get(options, "discard") ? result : options_set(options, "discard", "unmap");
}

static int add_edge(struct block_node *node, const char *role, struct block_node *child)
{
    struct block_parent *parent = malloc(sizeof(*parent));

    assert(node->child_count < BLOCK_MAX_CHILDREN);
    if (!parent) {
        return -ENOMEM;
    }
    *parent = (struct block_parent){node, child->parents};
    child->parents = parent;
    node->children[node->child_count++] = (struct block_edge){role, block_node_get(child)};
    return 0;
}

static int open_nested_child(struct block_node *node, const struct options *options, const char *role,
                             struct block_node **child, struct error **err)
{
    struct options nested = {0};
    int result = child_options(options, role, &nested);

    if (result == 0 && nested.count == 0) {
        result = error_set(err, -EINVAL, "%s: driver '%s' needs '%s': a node's name or %s.driver=...", node->what,
                           node->driver->name, role, role);
    } else if (result == 0) {
        result = inherit_all(node, &nested);
    }
    if (result == 0) {
        result = block_open(node->graph, NULL, &nested, node->loop, child, err);
    }
    options_release(&nested);
    return result;
}

static int find_named_child(struct block_node *node, const char *role, const char *name, struct block_node **child,
                            struct error **err)
{
    struct block_node *found = block_graph_find(node->graph, name);
    bool is_owned = found && block_node_is_owned(found);

    if (!found) {
        return error_set(err, -ENOENT, "%s: there is no node '%s' to use as '%s'", node->what, name, role);
    }
    if (is_owned || found->loop != node->loop) {
        return error_set(err, -EBUSY, "%s: node '%s' is already used by device '%s'", node->what, name,
                         is_owned ? found->owner : "(another one)");
    }
    *child = found;
    return 0;
}

int block_open_child(struct block_node *node, const struct options *options, const char *role,
                     struct block_node **child, struct error **err)
{
    const char *name = options_get(options, role);
    struct block_node *found = NULL;
    int result;

    if (name) {
        result = find_named_child(node, role, name, &found, err);
    } else {
        result = open_nested_child(node, options, role, &found, err);
    }
    if (result == 0 && found->info.is_read_only && !node->info.is_read_only) {
        if (!node->auto_read_only) {
            result = error_set(err, -EROFS, "%s: node '%s' is read-only; add read-only=on", node->what, found->name);
        }
        node->info.is_read_only = node->auto_read_only;
    }
    if (result == 0) {
        result = add_edge(node, role, found);
    }
    if (result == 0) {
        *child = found;
    }
    return result;
}

static int check_keys(struct block_node *node, const struct options *options, struct error **err)
{
    static const char *const common[] = {"driver",       "node-name",      "read-only",     "discard",
                                         "cache.direct", "cache.no-flush", "detect-zeroes", "auto-read-only"};
    const char *keys[32];
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_SIZE(common); i++) {
        keys[count++] = common[i];
    }
    for (size_t i = 0; node->driver->keys && node->driver->keys[i]; i++) {
        assert(count < ARRAY_SIZE(keys) - 1);
        keys[count++] = node->driver->keys[i];
    }
    keys[count] = NULL;
    return options_check_keys(options, node->what, keys, err);
}

static int read_common(struct block_node *node, const struct options *options, struct error **err)
{
    static const char *const discard_words[] = {"ignore", "unmap", "off", "on", NULL};
    const char *zeroes = options_get(options, "detect-zeroes");
    unsigned discard = 0;
    int result = options_get_bool(options, node->what, "read-only", &node->info.is_read_only, err);

    result = result ? result : options_get_bool(options, node->what, "auto-read-only", &node->auto_read_only, err);
    result = result ? result : options_get_bool(options, node->what, "cache.direct", &node->direct, err);
    result = result ? result : options_get_bool(options, node->what, "cache.no-flush", &node->no_flush, err);
    result = result ? result : options_get_choice(options, node->what, "discard", discard_words, &discard, err);
    if (result == 0 && zeroes && strcmp(zeroes, "off") != 0) {
        result =
            error_set(err, -EINVAL, "%s: detect-zeroes=%s isn't supported, only detect-zeroes=off", node->what, zeroes);
    }
    node->discard_unmap = discard & 1;
    return result;
}

static int choose_name(struct block_graph *graph, struct block_node *node, const char *name, struct error **err)
{
    int length = name ? asprintf(&node->name, "%s", name) : asprintf(&node->name, "#block%u", graph->next_auto_name++);

    if (length < 0) {
        node->name = NULL;
        return -ENOMEM;
    }
    length = name ? asprintf(&node->what, "block node '%s'", name)
                  : asprintf(&node->what, "block driver '%s'", node->driver->name);
    if (length < 0) {
        node->what = NULL;
        return -ENOMEM;
    }
    node->info.node_name = node->name;
    if (name && block_graph_find(graph, name)) {
        return error_set(err, -EEXIST, "%s: there is already a node of this name", node->what);
    }
    return 0;
}

static void set_default_limits(struct block_node *node)
{
    struct block_limits *limits = &node->info.limits;

    limits->request_alignment = MAX(limits->request_alignment, 1u);
    limits->discard_alignment = MAX(limits->discard_alignment, limits->request_alignment);
    limits->physical_bytes = MAX(limits->physical_bytes, BLOCK_SECTOR_BYTES);
    node->info.can_discard = node->discard_unmap && node->driver->start[BLOCK_DISCARD] && !node->info.is_read_only;
}

static int keep_filename(struct block_node *node, const char *filename)
{
    if (filename) {
        node->filename = strdup(filename);
        node->info.filename = node->filename;
        return node->filename ? 0 : -ENOMEM;
    }
    node->info.filename = node->child_count > 0 ? node->children[0].node->info.filename : "";
    return 0;
}

static int open_into(struct block_node *node, const char *name, const struct options *options, struct error **err)
{
    int result = choose_name(node->graph, node, name, err);

    result = result ? result : check_keys(node, options, err);
    result = result ? result : read_common(node, options, err);
    result = result ? result : node->driver->open(node, options, err);
    if (result == 0) {
        set_default_limits(node);
        result = keep_filename(node, options_get(options, "filename"));
        if (result < 0 && node->driver->close) {
            node->driver->close(node);
        }
    }
    return result;
}

int block_open_driver(struct block_graph *graph, const struct block_driver *driver, const char *node_name,
                      const struct options *options, struct event_loop *loop, struct block_node **out,
                      struct error **err)
{
    struct block_node *node = calloc(1, sizeof(*node));
    int result;

    if (!node) {
        return -ENOMEM;
    }
    node->driver = driver;
    node->info.driver_name = driver->name;
    node->graph = graph;
    node->loop = loop;
    refcount_init(&node->refs);
    block_requests_init(node);
    node->state = calloc(1, MAX(driver->node_bytes, (size_t)1));
    result = node->state ? open_into(node, node_name, options, err) : -ENOMEM;
    if (result == 0) {
        result = block_graph_add(graph, node);
        if (result < 0 && driver->close) {
            driver->close(node);
        }
    }
    if (result < 0) {
        node_free(node);
        block_graph_drop_orphans(graph);
        return result;
    }
    node->graph = NULL;
    if (out) {
        *out = node;
    }
    return 0;
}

void block_options_tidy(struct options *options)
{
    const char *driver = options_get(options, "driver");
    const char *backing = options_get(options, "backing");

    if (driver && strcmp(driver, "raw") == 0 && backing && !*backing) {
        free(options_take(options, "backing"));
    }
}

int block_open(struct block_graph *graph, const char *node_name, const struct options *options, struct event_loop *loop,
               struct block_node **node, struct error **err)
{
    const char *name = node_name ? node_name : options_get(options, "node-name");
    const struct block_driver *driver = find_driver(options, name ? name : "blockdev", err);

    return driver ? block_open_driver(graph, driver, name, options, loop, node, err) : -EINVAL;
}
