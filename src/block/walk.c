/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walks over the block graph. A walk marks the nodes it has seen, so that each is visited once however many ways lead
 * to it, and takes the marks off again: nothing is left behind, and nothing is allocated. Loop thread. The depth of the
 * recursion is the graph's, which is what somebody typed.
 */
#include "block/internal.h"

/* A node may be met both on the way down and on the way up, and must then be followed both ways. */
enum { SEEN_DOWN = 1, SEEN_UP = 2 };

struct walk {
    enum block_walk set;
    void (*fn)(struct block_node *node, void *opaque);
    void *opaque;
};

/* True if this mark is new. The first mark of a node is its visit. */
static bool see(struct block_node *node, unsigned mark, const struct walk *walk)
{
    unsigned before = node->visit;

    if (before & mark) {
        return false;
    }
    node->visit |= mark;
    if (!before) {
        walk->fn(node, walk->opaque);
    }
    return true;
}

static void go_up(struct block_node *node, const struct walk *walk)
{
    if (see(node, SEEN_UP, walk)) {
        for (struct block_parent *p = node->parents; p; p = p->next) {
            go_up(p->node, walk);
        }
    }
}

static void go_down(struct block_node *node, const struct walk *walk)
{
    if (!see(node, SEEN_DOWN, walk)) {
        return;
    }
    for (unsigned i = 0; i < node->child_count; i++) {
        go_down(node->children[i].node, walk);
    }
    for (struct block_parent *p = node->parents; p; p = p->next) {
        if (walk->set == BLOCK_WALK_DRAIN) {
            go_up(p->node, walk);
        } else if (walk->set == BLOCK_WALK_ALL) {
            go_down(p->node, walk);
        }
    }
}

static void unmark(struct block_node *node)
{
    if (!node->visit) {
        return;
    }
    node->visit = 0;
    for (unsigned i = 0; i < node->child_count; i++) {
        unmark(node->children[i].node);
    }
    for (struct block_parent *p = node->parents; p; p = p->next) {
        unmark(p->node);
    }
}

void block_walk(struct block_node *node, enum block_walk set, void (*fn)(struct block_node *node, void *opaque),
                void *opaque)
{
    struct walk walk = {set, fn, opaque};

    go_down(node, &walk);
    unmark(node);
}
