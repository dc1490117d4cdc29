/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory map's lock, its transactions, and publishing.
 *
 *      begin                      changes                commit
 *   lock map ---> trees change, nobody sees it ---> render each space ---> same as before? keep the old view
 *                                                          |
 *                             removals told, new view published, additions told, old view freed after a grace period
 *
 * A transaction belongs to the thread that began it: changes by that thread join it, those of other threads wait for
 * the lock. So a BAR that a vCPU moves from within a handler and one that another vCPU moves meanwhile are published
 * one after the other, each whole. Look-ups never wait: they use the view that they found.
 *
 * A guest that moves BARs for ever makes views as fast as it can trap; each is freed after a grace period, which waits
 * for nothing but short read sections.
 */
#include "memory/address_space.h"

#include <assert.h>
#include <inttypes.h>

#include "memory/render.h"
#include "memory/transaction.h"

void memory_map_init(struct memory_map *map)
{
    *map = (struct memory_map){0};
    hdl_mutex_init(&map->lock, "memory map", LOCK_RANK_MAP);
    hdl_mutex_lock(&map->lock);
    map->next_generation = 1;
    CDS_INIT_LIST_HEAD(&map->spaces);
    CDS_INIT_LIST_HEAD(&map->ioeventfds);
    hdl_mutex_unlock(&map->lock);
}

void memory_map_destroy(struct memory_map *map)
{
    hdl_mutex_lock(&map->lock);
    assert(cds_list_empty(&map->spaces) && cds_list_empty(&map->ioeventfds));
    hdl_mutex_unlock(&map->lock);
    hdl_rcu_barrier();
    hdl_mutex_destroy(&map->lock);
}

static void address_space_free_view(struct rcu_head *head)
{
    flat_view_free(container_of(head, struct flat_view, rcu));
}

/* The space's view, for a thread that holds the map's lock and thereby keeps it from being replaced. */
static struct flat_view *address_space_view_locked(struct address_space *space) HDL_REQUIRES(&space->map->lock)
{
    return atomic_load_explicit(&space->view, memory_order_relaxed);
}

/* Publishes what the tree has become, if the space shows anything else than before. */
static void address_space_update_locked(struct address_space *space) HDL_REQUIRES(&space->map->lock)
{
    struct flat_view *new_view = flat_view_render(space->root, &space->map->ioeventfds);
    struct flat_view *old_view = address_space_view_locked(space);
    struct memory_listener *listener;

    if (flat_view_equal(old_view, new_view)) {
        flat_view_free(new_view);
        return;
    }
    new_view->generation = space->map->next_generation++;
    trace(MEMORY_COMMIT, "%s: generation %" PRIu64 ", %u ranges, %u ioeventfds", space->name, new_view->generation,
          new_view->count, new_view->ioeventfd_count);
    cds_list_for_each_entry(listener, &space->listeners, link)
    {
        listener_tell_removals(listener, old_view, new_view);
    }
    hdl_rcu_publish(&space->view, new_view);
    cds_list_for_each_entry(listener, &space->listeners, link)
    {
        listener_tell_additions(listener, old_view, new_view);
    }
    hdl_rcu_call(&old_view->rcu, address_space_free_view);
}

void memory_transaction_begin(struct memory_map *map)
{
    hdl_mutex_lock(&map->lock);
    atomic_store_explicit(&map->transaction_owner, pthread_self(), memory_order_relaxed);
}

void memory_transaction_commit(struct memory_map *map)
{
    struct address_space *space;

    cds_list_for_each_entry(space, &map->spaces, link)
    {
        hdl_assert_held(&space->map->lock); /* the same, for the analysis */
        address_space_update_locked(space);
    }
    atomic_store_explicit(&map->transaction_owner, 0, memory_order_relaxed);
    hdl_mutex_unlock(&map->lock);
}

/* Relaxed is enough: a thread compares with itself, and only it writes its own identity. */
bool memory_transaction_join(struct memory_map *map) HDL_LOCK_PRIMITIVE
{
    if (pthread_equal(atomic_load_explicit(&map->transaction_owner, memory_order_relaxed), pthread_self())) {
        return false;
    }
    memory_transaction_begin(map);
    return true;
}

void memory_transaction_leave(struct memory_map *map, bool own) HDL_LOCK_PRIMITIVE
{
    if (own) {
        memory_transaction_commit(map);
    }
}

void address_space_init(struct address_space *space, struct memory_map *map, struct region *root, const char *name)
{
    struct flat_view *view;

    assert(root->kind == REGION_CONTAINER);
    *space = (struct address_space){.name = name, .map = map, .root = root};
    hdl_mutex_lock(&space->map->lock);
    CDS_INIT_LIST_HEAD(&space->listeners);
    view = flat_view_render(root, &space->map->ioeventfds);
    view->generation = space->map->next_generation++;
    hdl_rcu_publish(&space->view, view);
    cds_list_add_tail(&space->link, &space->map->spaces);
    hdl_mutex_unlock(&space->map->lock);
}

void address_space_destroy(struct address_space *space)
{
    hdl_mutex_lock(&space->map->lock);
    assert(cds_list_empty(&space->listeners));
    cds_list_del(&space->link);
    hdl_mutex_unlock(&space->map->lock);
    hdl_rcu_synchronize();
    flat_view_free(atomic_load_explicit(&space->view, memory_order_relaxed));
    atomic_store_explicit(&space->view, NULL, memory_order_relaxed);
}

void address_space_add_listener(struct address_space *space, struct memory_listener *listener)
{
    hdl_mutex_lock(&space->map->lock);
    listener_tell_additions(listener, NULL, address_space_view_locked(space));
    cds_list_add_tail(&listener->link, &space->listeners);
    hdl_mutex_unlock(&space->map->lock);
}

void address_space_remove_listener(struct address_space *space, struct memory_listener *listener)
{
    hdl_mutex_lock(&space->map->lock);
    cds_list_del(&listener->link);
    hdl_mutex_unlock(&space->map->lock);
}
