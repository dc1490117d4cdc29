/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of named nodes: who exists, in the order of opening. Configuration thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/internal.h"

struct block_graph *block_graph_create(void)
{
    return calloc(1, sizeof(struct block_graph));
}

void block_graph_destroy(struct block_graph *graph)
{
    if (!graph) {
        return;
    }
    while (graph->count > 0) {
        block_node_put(graph->nodes[--graph->count]);
    }
    free(graph->nodes);
    free(graph);
}

int block_graph_add(struct block_graph *graph, struct block_node *node)
{
    if (graph->count == graph->capacity) {
        unsigned capacity = graph->capacity ? 2 * graph->capacity : 8;
        struct block_node **nodes = realloc(graph->nodes, capacity * sizeof(struct block_node *));

        if (!nodes) {
            return -ENOMEM;
        }
        graph->nodes = nodes;
        graph->capacity = capacity;
    }
    graph->nodes[graph->count++] = node;
    return 0;
}

static int index_of(const struct block_graph *graph, const char *node_name)
{
    for (unsigned i = 0; i < graph->count; i++) {
        if (strcmp(graph->nodes[i]->name, node_name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

struct block_node *block_graph_find(struct block_graph *graph, const char *node_name)
{
    int index = index_of(graph, node_name);

    return index < 0 ? NULL : graph->nodes[index];
}

struct block_node *block_graph_node(struct block_graph *graph, unsigned n)
{
    return n < graph->count ? graph->nodes[n] : NULL;
}

static void forget(struct block_graph *graph, unsigned index)
{
    graph->count--;
    memmove(&graph->nodes[index], &graph->nodes[index + 1], (graph->count - index) * sizeof(struct block_node *));
}

/* Made-up names belong to nested nodes: they go when nothing stands above them any more. */
static bool is_orphan(const struct block_node *node)
{
    return node->name[0] == '#' && !node->parents && !block_node_is_owned(node);
}

int block_close(struct block_graph *graph, const char *node_name, struct error **err)
{
    int index = index_of(graph, node_name);
    struct block_node *node;
    bool is_owned;

    if (index < 0) {
        return error_set(err, -ENOENT, "there is no block node '%s'", node_name);
    }
    node = graph->nodes[index];
    is_owned = block_node_is_owned(node);
    if (is_owned || node->parents) {
        return error_set(err, -EBUSY, "block node '%s' is used by %s '%s'", node_name, is_owned ? "device" : "node",
                         is_owned ? node->owner : node->parents->node->name);
    }
    forget(graph, (unsigned)index);
    block_node_put(node);
    block_graph_drop_orphans(graph);
    return 0;
}

void block_graph_drop_orphans(struct block_graph *graph)
{
    for (unsigned i = graph->count; i-- > 0;) {
        if (is_orphan(graph->nodes[i])) {
            struct block_node *node = graph->nodes[i];

            forget(graph, i);
            block_node_put(node);
        }
    }
}
