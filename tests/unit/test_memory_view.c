/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rendering and look-ups, against an oracle that asks the tree about one byte at a time; listeners, against a replay of
 * what they were told. Trees are random, from seeds that a failure prints.
 */
#include "memory_fixture.h"

#define REGIONS    14
#define WINDOW     320 /* bytes looked at, in each of three places */
#define SEEDS      150
#define MUTATIONS  12
#define HEARD_MAX  512
#define EVENTS_MAX 32

static enum access_result null_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    return ACCESS_OK;
}

static enum access_result null_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    return ACCESS_OK;
}

static const struct region_ops null_ops = {.read = null_read, .write = null_write};

/* --- a listener that keeps books -------------------------------------------------------------------------------- */

struct book {
    struct memory_listener listener;
    struct flat_range ranges[HEARD_MAX];
    unsigned count;
    struct ioeventfd events[EVENTS_MAX];
    unsigned event_count;
    bool adding;    /* an addition was heard since the last commit */
    unsigned heard; /* calls, ever */
    unsigned commits;
};

static bool same_range(const struct flat_range *a, const struct flat_range *b)
{
    return a->start == b->start && a->last == b->last && a->region == b->region &&
           a->region_offset == b->region_offset && a->read_only == b->read_only && a->ram == b->ram &&
           a->ram_offset == b->ram_offset;
}

static bool same_event(const struct ioeventfd *a, const struct ioeventfd *b)
{
    return a->address == b->address && a->size_bytes == b->size_bytes && a->match == b->match && a->data == b->data &&
           a->event_fd == b->event_fd;
}

static void book_add(struct memory_listener *listener, const struct flat_range *range)
{
    struct book *book = container_of(listener, struct book, listener);

    for (unsigned i = 0; i < book->count; i++) {
        /* Two things are never at one place, not even during a commit. */
        assert_false(book->ranges[i].start <= range->last && range->start <= book->ranges[i].last);
    }
    assert_true(book->count < HEARD_MAX);
    book->ranges[book->count++] = *range;
    book->adding = true;
    book->heard++;
}

static void book_del(struct memory_listener *listener, const struct flat_range *range)
{
    struct book *book = container_of(listener, struct book, listener);

    assert_false(book->adding); /* removals come first */
    for (unsigned i = 0; i < book->count; i++) {
        if (same_range(&book->ranges[i], range)) {
            book->ranges[i] = book->ranges[--book->count];
            book->heard++;
            return;
        }
    }
    fail_msg("removal of a range that isn't there");
}

static void book_event_add(struct memory_listener *listener, const struct ioeventfd *event)
{
    struct book *book = container_of(listener, struct book, listener);

    assert_true(book->event_count < EVENTS_MAX);
    book->events[book->event_count++] = *event;
    book->adding = true;
    book->heard++;
}

static void book_event_del(struct memory_listener *listener, const struct ioeventfd *event)
{
    struct book *book = container_of(listener, struct book, listener);

    assert_false(book->adding);
    for (unsigned i = 0; i < book->event_count; i++) {
        if (same_event(&book->events[i], event)) {
            book->events[i] = book->events[--book->event_count];
            book->heard++;
            return;
        }
    }
    fail_msg("removal of an ioeventfd that isn't there");
}

static void book_committed(struct memory_listener *listener)
{
    struct book *book = container_of(listener, struct book, listener);

    book->adding = false;
    book->commits++;
}

static void book_open(struct book *book, struct address_space *space)
{
    memset(book, 0, sizeof(*book));
    book->listener = (struct memory_listener){.range_add = book_add,
                                              .range_del = book_del,
                                              .committed = book_committed,
                                              .ioeventfd_add = book_event_add,
                                              .ioeventfd_del = book_event_del};
    address_space_add_listener(space, &book->listener);
}

/* What the listener was told, played back, is what the view shows. */
static void book_check(const struct book *book, const struct flat_view *view)
{
    assert_int_equal(book->count, view->count);
    assert_int_equal(book->event_count, view->ioeventfd_count);
    for (unsigned i = 0; i < view->count; i++) {
        unsigned found = 0;

        for (unsigned k = 0; k < book->count; k++) {
            found += same_range(&book->ranges[k], &view->ranges[i]);
        }
        assert_int_equal(found, 1);
    }
    for (unsigned i = 0; i < view->ioeventfd_count; i++) {
        unsigned found = 0;

        for (unsigned k = 0; k < book->event_count; k++) {
            found += same_event(&book->events[k], &view->ioeventfds[i]);
        }
        assert_int_equal(found, 1);
    }
}

/* --- random trees and their oracle ------------------------------------------------------------------------------ */

/* The test's own record of the tree: the oracle reads nothing of what region.c keeps. */
struct node {
    struct region region;
    enum region_kind kind;
    uint64_t size, address, alias_offset;
    int parent; /* -1: none */
    int target;
    int priority;
    unsigned age; /* higher: added later */
    bool enabled, read_only;
};

struct tree {
    struct memory_fixture fixture;
    struct ram_block *block;
    struct node nodes[REGIONS]; /* 0 stands for the root; a parent or target has a lower resp. higher index */
    unsigned clock;
    uint64_t random;
};

struct answer {
    int node; /* -1: nothing */
    uint64_t offset;
    bool read_only;
};

static bool node_covers(const struct node *node, uint64_t offset)
{
    return node->enabled && (node->size == 0 || offset < node->size);
}

static struct answer oracle(const struct tree *tree, int index, uint64_t offset)
{
    const struct node *node = &tree->nodes[index];
    struct answer best = {.node = -1};
    int best_child = -1;

    if (!node_covers(node, offset)) {
        return best;
    }
    if (node->kind == REGION_ALIAS) {
        return offset + node->alias_offset < offset ? best : oracle(tree, node->target, offset + node->alias_offset);
    }
    if (node->kind != REGION_CONTAINER) {
        return (struct answer){.node = index, .offset = offset, .read_only = node->read_only};
    }
    for (int i = 1; i < REGIONS; i++) {
        const struct node *child = &tree->nodes[i];
        struct answer answer;

        if (child->parent != index || offset < child->address) {
            continue;
        }
        answer = oracle(tree, i, offset - child->address);
        if (answer.node >= 0 &&
            (best_child < 0 || child->priority > tree->nodes[best_child].priority ||
             (child->priority == tree->nodes[best_child].priority && child->age > tree->nodes[best_child].age))) {
            best = answer;
            best_child = i;
        }
    }
    return best;
}

/* Near the bottom, the middle or the top of 2^64. */
static uint64_t random_address(struct tree *tree)
{
    static const uint64_t bases[] = {0, 0, 0, UINT64_C(1) << 40, UINT64_MAX - WINDOW + 1};

    return bases[test_random_below(&tree->random, ARRAY_SIZE(bases))] + test_random_below(&tree->random, WINDOW);
}

static uint64_t random_size(struct tree *tree)
{
    return test_random_below(&tree->random, 6) == 0 ? 0 : 1 + test_random_below(&tree->random, WINDOW);
}

static void node_make(struct tree *tree, int index)
{
    struct node *node = &tree->nodes[index];
    uint64_t dice = test_random_below(&tree->random, 10);

    *node = (struct node){.parent = -1, .enabled = true, .size = random_size(tree)};
    if (index + 1 < REGIONS && dice < 3) {
        node->kind = REGION_CONTAINER;
        region_init_container(&node->region, "container", node->size);
    } else if (index + 1 < REGIONS && dice < 6) {
        node->kind = REGION_ALIAS;
        node->target = index + 1 + (int)test_random_below(&tree->random, (uint64_t)(REGIONS - index - 1));
        node->alias_offset =
            test_random_below(&tree->random, 4) ? test_random_below(&tree->random, 64) : random_address(tree);
        region_init_alias(&node->region, "alias", &tree->nodes[node->target].region, node->alias_offset, node->size);
    } else if (dice < 8) {
        node->kind = REGION_IO;
        region_init_io(&node->region, "io", NULL, &null_ops, NULL, node->size, REGION_LOCKLESS, NULL);
    } else {
        node->kind = REGION_RAM;
        node->size = 1 + test_random_below(&tree->random, WINDOW);
        node->read_only = dice == 9;
        region_init_ram(&node->region, "ram", tree->block, (unsigned)index * 8u, node->size, node->read_only);
    }
}

static void node_add(struct tree *tree, int index)
{
    struct node *node = &tree->nodes[index];

    do {
        node->parent = (int)test_random_below(&tree->random, (uint64_t)index);
    } while (tree->nodes[node->parent].kind != REGION_CONTAINER);
    node->address = random_address(tree);
    node->priority = (int)test_random_below(&tree->random, 4) - 1;
    node->age = ++tree->clock;
    node->enabled = true;
    region_add(&tree->fixture.map, node->parent ? &tree->nodes[node->parent].region : &tree->fixture.root,
               node->address, &node->region, node->priority);
}

static void tree_make(struct tree *tree, uint64_t seed)
{
    memset(tree, 0, sizeof(*tree));
    tree->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    memory_fixture_init(&tree->fixture);
    tree->block = ram_block_create("oracle", 4096, 0, NULL);
    assert_non_null(tree->block);
    tree->nodes[0] = (struct node){.kind = REGION_CONTAINER, .parent = -1, .enabled = true};
    for (int i = 1; i < REGIONS; i++) {
        node_make(tree, i);
    }
    for (int i = 1; i < REGIONS; i++) {
        node_add(tree, i);
    }
}

static void tree_mutate(struct tree *tree)
{
    int index = 1 + (int)test_random_below(&tree->random, REGIONS - 1);
    struct node *node = &tree->nodes[index];

    switch (test_random_below(&tree->random, 3)) {
    case 0:
        if (node->parent >= 0) {
            region_remove(&tree->fixture.map, &node->region);
            node->parent = -1;
        } else {
            node_add(tree, index);
        }
        break;
    case 1:
        node->enabled = !node->enabled;
        region_set_enabled(&tree->fixture.map, &node->region, node->enabled);
        break;
    default:
        node->address = random_address(tree);
        region_set_address(&tree->fixture.map, &node->region, node->address);
        break;
    }
}

static void tree_destroy(struct tree *tree)
{
    for (int i = REGIONS - 1; i > 0; i--) {
        if (tree->nodes[i].parent >= 0) {
            region_remove(&tree->fixture.map, &tree->nodes[i].region);
        }
    }
    for (int i = 1; i < REGIONS; i++) {
        region_destroy(&tree->nodes[i].region);
    }
    ram_block_put(tree->block);
    memory_fixture_destroy(&tree->fixture);
}

static void check_byte(const struct tree *tree, const struct flat_view *view, struct flat_cache *cache,
                       uint64_t address, uint64_t seed)
{
    const struct flat_range *range = flat_view_find(view, NULL, address);
    struct answer answer = oracle(tree, 0, address);

    if (flat_view_find(view, cache, address) != range) {
        fail_msg("seed %" PRIu64 ": the cache is wrong at 0x%" PRIx64, seed, address);
    }
    if ((range != NULL) != (answer.node >= 0) ||
        (range && (range->region != &tree->nodes[answer.node].region || range->read_only != answer.read_only ||
                   range->region_offset + (address - range->start) != answer.offset))) {
        fail_msg("seed %" PRIu64 ": wrong at 0x%" PRIx64 ": got %s, want node %d", seed, address,
                 range ? range->region->name : "nothing", answer.node);
    }
    if (range && range->ram) {
        assert_true(range->ram_offset + (address - range->start) == (unsigned)answer.node * 8u + answer.offset);
    }
}

static void check_tree(const struct tree *tree, struct flat_cache *cache, uint64_t seed)
{
    const struct flat_view *view = hdl_rcu_dereference(&tree->fixture.space.view);

    for (unsigned i = 0; i < view->count; i++) {
        assert_true(view->ranges[i].start <= view->ranges[i].last);
        assert_true(i == 0 || view->ranges[i - 1].last < view->ranges[i].start);
    }
    for (uint64_t i = 0; i < 2 * WINDOW; i += 1 + i % 2) {
        check_byte(tree, view, cache, i, seed);
        check_byte(tree, view, cache, (UINT64_C(1) << 40) + i, seed);
        check_byte(tree, view, cache, UINT64_MAX - i, seed);
    }
}

/* Views are used outside read sections in this file: only its own thread publishes. */
static void test_random_trees(void **state)
{
    static struct tree tree;
    static struct book book;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct flat_cache cache = {0};

        tree_make(&tree, seed);
        check_tree(&tree, &cache, seed);
        book_open(&book, &tree.fixture.space);
        for (unsigned i = 0; i < MUTATIONS; i++) {
            tree_mutate(&tree);
            check_tree(&tree, &cache, seed);
            book_check(&book, hdl_rcu_dereference(&tree.fixture.space.view));
        }
        address_space_remove_listener(&tree.fixture.space, &book.listener);
        tree_destroy(&tree);
    }
}

/* --- listeners -------------------------------------------------------------------------------------------------- */

static void test_listener_hears_only_changes(void **state)
{
    struct memory_fixture fixture;
    struct region a, b, c;
    static struct book book;

    memory_fixture_init(&fixture);
    region_init_io(&a, "a", NULL, &null_ops, NULL, 16, REGION_LOCKLESS, NULL);
    region_init_io(&b, "b", NULL, &null_ops, NULL, 16, REGION_LOCKLESS | REGION_COALESCED, NULL);
    region_init_io(&c, "c", NULL, &null_ops, NULL, 16, REGION_LOCKLESS, NULL);
    region_add(&fixture.map, &fixture.root, 0, &a, 0);
    book_open(&book, &fixture.space);
    assert_int_equal(book.heard, 1);
    assert_int_equal(book.commits, 1);

    /* Several changes, one commit; a isn't mentioned. */
    memory_transaction_begin(&fixture.map);
    region_add(&fixture.map, &fixture.root, 0x100, &b, 0);
    region_add(&fixture.map, &fixture.root, 0x200, &c, 0);
    assert_int_equal(book.heard, 1);
    memory_transaction_commit(&fixture.map);
    assert_int_equal(book.heard, 3);
    assert_int_equal(book.commits, 2);
    assert_true(book.ranges[1].region->flags & REGION_COALESCED);

    /* A change that changes nothing is no commit, and keeps the view. */
    memory_transaction_begin(&fixture.map);
    region_set_address(&fixture.map, &b, 0x300);
    region_set_address(&fixture.map, &b, 0x100);
    memory_transaction_commit(&fixture.map);
    assert_int_equal(book.heard, 3);
    assert_int_equal(book.commits, 2);

    /* A move is a removal and an addition. */
    region_set_address(&fixture.map, &b, 0x300);
    assert_int_equal(book.heard, 5);

    address_space_remove_listener(&fixture.space, &book.listener);
    region_remove(&fixture.map, &a);
    assert_int_equal(book.heard, 5);
    region_remove(&fixture.map, &b);
    region_remove(&fixture.map, &c);
    memory_fixture_destroy(&fixture);
}

static void test_ioeventfds(void **state)
{
    struct memory_fixture fixture;
    struct region bar, window, cover;
    static struct book book;

    memory_fixture_init(&fixture);
    region_init_io(&bar, "bar", NULL, &null_ops, NULL, 0x1000, REGION_LOCKLESS, NULL);
    region_init_alias(&window, "window", &bar, 0x800, 0x100);
    region_init_io(&cover, "cover", NULL, &null_ops, NULL, 2, REGION_LOCKLESS, NULL);
    book_open(&book, &fixture.space);

    /* Asked for before the region is anywhere. */
    region_add_ioeventfd(&fixture.map, &bar, 0x10, 2, true, 3, 7);
    region_add_ioeventfd(&fixture.map, &bar, 0x810, 4, false, 0, 8);
    region_add_ioeventfd(&fixture.map, &bar, 0xffe, 4, false, 0, 9); /* reaches past the end: never */
    assert_int_equal(book.event_count, 0);
    region_add(&fixture.map, &fixture.root, 0x10000, &bar, 0);
    assert_int_equal(book.event_count, 2);
    assert_int_equal(book.events[0].address, 0x10010);
    assert_int_equal(book.events[0].event_fd, 7);
    assert_int_equal(book.events[0].data, 3);
    assert_int_equal(book.events[1].address, 0x10810);

    /* Seen twice through an alias. */
    region_add(&fixture.map, &fixture.root, 0x500, &window, 0);
    assert_int_equal(book.event_count, 3);
    assert_int_equal(book.events[2].address, 0x510);
    assert_int_equal(book.events[2].event_fd, 8);

    /* Half covered: the write would reach two things. */
    region_add(&fixture.map, &fixture.root, 0x10812, &cover, 1);
    assert_int_equal(book.event_count, 2);
    region_remove(&fixture.map, &cover);
    assert_int_equal(book.event_count, 3);

    region_set_address(&fixture.map, &bar, 0x20000);
    book_check(&book, hdl_rcu_dereference(&fixture.space.view));
    region_remove_ioeventfd(&fixture.map, &bar, 0x810, 4, false, 0, 8);
    assert_int_equal(book.event_count, 1);
    assert_int_equal(book.events[0].address, 0x20010);
    region_remove(&fixture.map, &bar);
    assert_int_equal(book.event_count, 0);
    region_remove_ioeventfd(&fixture.map, &bar, 0x10, 2, true, 3, 7);
    region_remove_ioeventfd(&fixture.map, &bar, 0xffe, 4, false, 0, 9);

    region_remove(&fixture.map, &window);
    address_space_remove_listener(&fixture.space, &book.listener);
    memory_fixture_destroy(&fixture);
}

/* A cached index must not be used with the next view, even if it fits. */
static void test_cache_after_republish(void **state)
{
    struct memory_fixture fixture;
    struct flat_cache cache = {0};
    struct region a, b;
    const struct flat_range *range;

    memory_fixture_init(&fixture);
    region_init_io(&a, "a", NULL, &null_ops, NULL, 16, REGION_LOCKLESS, NULL);
    region_init_io(&b, "b", NULL, &null_ops, NULL, 16, REGION_LOCKLESS, NULL);
    assert_null(flat_view_find(hdl_rcu_dereference(&fixture.space.view), &cache, 0x10));
    region_add(&fixture.map, &fixture.root, 0x10, &a, 0);
    range = flat_view_find(hdl_rcu_dereference(&fixture.space.view), &cache, 0x1f);
    assert_ptr_equal(range->region, &a);
    region_add(&fixture.map, &fixture.root, 0x10, &b, 1);
    range = flat_view_find(hdl_rcu_dereference(&fixture.space.view), &cache, 0x1f);
    assert_ptr_equal(range->region, &b);
    region_remove(&fixture.map, &a);
    region_remove(&fixture.map, &b);
    assert_null(flat_view_find(hdl_rcu_dereference(&fixture.space.view), &cache, 0x1f));
    memory_fixture_destroy(&fixture);
}

/* Two windows onto neighbouring parts of one block are one range: one KVM slot. */
static void test_neighbours_merge(void **state)
{
    struct ram_block *block = ram_block_create("ram", 8192, 0, NULL);
    struct memory_fixture fixture;
    struct region ram, low, high;

    memory_fixture_init(&fixture);
    region_init_ram(&ram, "ram", block, 0, 8192, false);
    region_init_alias(&low, "low", &ram, 0, 4096);
    region_init_alias(&high, "high", &ram, 4096, 4096);
    region_add(&fixture.map, &fixture.root, 0x1000, &low, 0);
    region_add(&fixture.map, &fixture.root, 0x2000, &high, 0);
    assert_int_equal(hdl_rcu_dereference(&fixture.space.view)->count, 1);
    region_remove(&fixture.map, &low);
    region_remove(&fixture.map, &high);
    region_destroy(&ram);
    ram_block_put(block);
    memory_fixture_destroy(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_trees),     cmocka_unit_test(test_listener_hears_only_changes),
        cmocka_unit_test(test_ioeventfds),       cmocka_unit_test(test_cache_after_republish),
        cmocka_unit_test(test_neighbours_merge),
    };
    int failed;

    hdl_thread_register_main();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return failed;
}
