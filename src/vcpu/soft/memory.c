/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The RAM that software CPUs may reach by host addresses: a listener of the memory space that keeps a slot for each RAM
 * block shown in it.
 *
 *   (block) --first range--> shown --last range gone, committed--> retired --every vCPU has let go--> (freed)
 *                              ^                                      |
 *                              +------------- shown again ------------+
 *
 * Changes come under the memory map's lock on any thread, a vCPU's in the middle of an instruction too, so nothing
 * waits here. The listener raises the map's generation and asks the vCPUs to look. Each flushes its TLB before it
 * touches memory again, and acknowledges between two blocks, where it holds no host address; one that is in no run
 * holds none, and flushes when it enters. Whoever sees the last acknowledgement frees.
 *
 * Matrix: look-ups (vCPUs, under RCU) meet changes by way of an immutable array. A vCPU may find a range in a view
 * whose slot isn't there yet (views are published before additions are told): then it uses dispatch, and flushes later.
 * An acknowledgement and a commit meet so: the vCPU stores map_seen, then looks at `retired`; who retires stores
 * `retired`, then looks at map_seen. All sequentially consistent, so at least one of them frees.
 *
 * A hostile guest can make commits, each of which costs every vCPU its TLB, and nothing else.
 */
#include "vcpu/soft/memory.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "vcpu/soft/code_map.h"

/* --- slots -------------------------------------------------------------------------------------------------------- */

static struct soft_slot *slot_create(struct soft_memory *memory, struct ram_block *block)
{
    uint64_t pages = block->size_bytes / SOFT_PAGE_BYTES;
    struct soft_slot *slot = calloc(1, sizeof(*slot));

    if (!slot) {
        return NULL;
    }
    *slot = (struct soft_slot){.watch = {.fn = soft_code_watch},
                               .memory = memory,
                               .block = ram_block_get(block),
                               .host = block->host,
                               .len_bytes = block->size_bytes};
    slot->pages = calloc(pages, sizeof(*slot->pages));
    slot->hits = calloc(pages, sizeof(*slot->hits));
    if (!slot->pages || !slot->hits) {
        free(slot->pages);
        free(slot->hits);
        ram_block_put(block);
        free(slot);
        return NULL;
    }
    return slot;
}

static void slot_free(struct soft_slot *slot)
{
    ram_block_put(slot->block);
    free(slot->pages);
    free(slot->hits);
    free(slot);
}

static void slot_free_rcu(struct rcu_head *head)
{
    slot_free(container_of(head, struct soft_slot, rcu));
}

static void slots_free_rcu(struct rcu_head *head)
{
    free(container_of(head, struct soft_slots, rcu));
}

static struct soft_slots *memory_slots_locked(struct soft_memory *memory) HDL_REQUIRES(&memory->lock)
{
    return atomic_load_explicit(&memory->slots, memory_order_relaxed);
}

/* A copy without `without`, and with `with`; either may be NULL. False: out of memory, and all is as before. */
static bool memory_publish_locked(struct soft_memory *memory, const struct soft_slot *without, struct soft_slot *with)
    HDL_REQUIRES(&memory->lock)
{
    struct soft_slots *old = memory_slots_locked(memory);
    struct soft_slots *new = malloc(sizeof(*new) + (old->count + 1) * sizeof(struct soft_slot *));

    if (!new) {
        return false;
    }
    *new = (struct soft_slots){0};
    for (unsigned i = 0; i < old->count; i++) {
        if (old->slot[i] != without) {
            new->slot[new->count++] = old->slot[i];
        }
    }
    if (with) {
        new->slot[new->count++] = with;
    }
    hdl_rcu_publish(&memory->slots, new);
    hdl_rcu_call(&old->rcu, slots_free_rcu);
    return true;
}

static struct soft_slot *memory_slot_of_locked(struct soft_memory *memory, const struct ram_block *block)
    HDL_REQUIRES(&memory->lock)
{
    struct soft_slots *slots = memory_slots_locked(memory);

    for (unsigned i = 0; i < slots->count; i++) {
        if (slots->slot[i]->block == block) {
            return slots->slot[i];
        }
    }
    return NULL;
}

/* --- the listener ------------------------------------------------------------------------------------------------- */

static struct soft_memory *memory_of(struct memory_listener *listener)
{
    return container_of(listener, struct soft_memory, listener);
}

static void memory_add_locked(struct soft_memory *memory, const struct flat_range *range) HDL_REQUIRES(&memory->lock)
{
    struct soft_slot *slot = memory_slot_of_locked(memory, range->ram);

    if (slot) {
        slot->shown++;
        return;
    }
    slot = slot_create(memory, range->ram);
    if (!slot || !memory_publish_locked(memory, NULL, slot)) {
        if (slot) {
            slot_free(slot);
        }
        log_warn("out of memory for the map of '%s': software CPUs will reach it slowly", range->region->name);
        return;
    }
    slot->shown = 1;
    ram_block_set_write_watch(slot->block, &slot->watch);
}

static void memory_range_add(struct memory_listener *listener, const struct flat_range *range)
{
    struct soft_memory *memory = memory_of(listener);

    if (range->ram) {
        hdl_mutex_lock(&memory->lock);
        memory_add_locked(memory, range);
        hdl_mutex_unlock(&memory->lock);
        memory->changed = true;
    }
}

static void memory_range_del(struct memory_listener *listener, const struct flat_range *range)
{
    struct soft_memory *memory = memory_of(listener);
    struct soft_slot *slot;

    if (range->ram) {
        hdl_mutex_lock(&memory->lock);
        slot = memory_slot_of_locked(memory, range->ram);
        if (slot) {
            slot->shown--;
        }
        hdl_mutex_unlock(&memory->lock);
        memory->changed = true;
    }
}

/* Slots that nothing shows any more are retired as of the next generation; shown ones aren't. */
static void memory_retire_locked(struct soft_memory *memory) HDL_REQUIRES(&memory->lock)
{
    uint64_t next = atomic_load_explicit(&memory->map_generation, memory_order_relaxed) + 1;
    struct soft_slots *slots = memory_slots_locked(memory);
    uint32_t retired = 0;

    for (unsigned i = 0; i < slots->count; i++) {
        struct soft_slot *slot = slots->slot[i];

        if (slot->shown) {
            slot->retired_at = 0;
        } else {
            retired++;
            if (!slot->retired_at) {
                slot->retired_at = next;
                atomic_store_explicit(&memory->last_retired, next, memory_order_seq_cst);
            }
        }
    }
    atomic_store_explicit(&memory->retired, retired, memory_order_seq_cst);
}

static void memory_committed(struct memory_listener *listener)
{
    struct soft_memory *memory = memory_of(listener);

    if (!memory->changed) {
        return;
    }
    memory->changed = false;
    hdl_mutex_lock(&memory->lock);
    memory_retire_locked(memory);
    hdl_mutex_unlock(&memory->lock);
    /* After the view was published: who sees the generation sees the view. Pairs with members' loads (code_map.c). */
    atomic_fetch_add_explicit(&memory->map_generation, 1, memory_order_seq_cst);
    soft_members_ask(memory);
    soft_memory_reap(memory);
}

/* --- letting go --------------------------------------------------------------------------------------------------- */

/* A vCPU in no run counts as one that has seen the present generation: when it enters, it will. */
static uint64_t memory_seen_by_all(const struct soft_memory *memory)
{
    uint64_t seen = atomic_load_explicit(&memory->map_generation, memory_order_seq_cst);

    for (unsigned i = 0; i < memory->member_count; i++) {
        seen = MIN(seen, atomic_load_explicit(&memory->members[i].map_seen, memory_order_seq_cst));
    }
    return seen;
}

/* One slot that nobody needs, taken out; or NULL. */
static struct soft_slot *memory_take_locked(struct soft_memory *memory, uint64_t seen) HDL_REQUIRES(&memory->lock)
{
    struct soft_slots *slots = memory_slots_locked(memory);

    for (unsigned i = 0; i < slots->count; i++) {
        struct soft_slot *slot = slots->slot[i];

        if (slot->retired_at && slot->retired_at <= seen) {
            if (!memory_publish_locked(memory, slot, NULL)) {
                return NULL; /* the next acknowledgement tries again */
            }
            ram_block_set_write_watch(slot->block, NULL);
            atomic_fetch_sub_explicit(&memory->retired, 1, memory_order_seq_cst);
            return slot;
        }
    }
    return NULL;
}

void soft_memory_reap(struct soft_memory *memory)
{
    uint64_t seen = memory_seen_by_all(memory);
    struct soft_slot *slot;

    do {
        hdl_mutex_lock(&memory->lock);
        slot = memory_take_locked(memory, seen);
        hdl_mutex_unlock(&memory->lock);
        if (slot) {
            /* Those who read the array or the watch under RCU may still be in it. */
            hdl_rcu_call(&slot->rcu, slot_free_rcu);
        }
    } while (slot);
}

/* --- finding ------------------------------------------------------------------------------------------------------ */

static bool slot_has(const struct soft_slot *slot, const uint8_t *host)
{
    return (uintptr_t)host - (uintptr_t)slot->host < slot->len_bytes;
}

/* In a read section. */
static struct soft_slot *slot_find_slow(struct soft_member *member, const struct soft_memory *memory,
                                        const uint8_t *host)
{
    const struct soft_slots *slots = hdl_rcu_dereference(&memory->slots);

    for (unsigned i = 0; i < slots->count; i++) {
        if (slot_has(slots->slot[i], host)) {
            member->slot = slots->slot[i];
            return slots->slot[i];
        }
    }
    return NULL;
}

/* In a read section. */
static struct soft_slot *slot_find(struct soft_member *member, const struct soft_memory *memory, const uint8_t *host)
{
    return likely(member->slot && slot_has(member->slot, host)) ? member->slot : slot_find_slow(member, memory, host);
}

struct soft_slot *soft_slot_find(struct soft_cpu *cpu, const uint8_t *host)
{
    struct soft_member *member = cpu->member;
    struct soft_slot *slot;

    if (likely(member->slot && slot_has(member->slot, host))) {
        return member->slot;
    }
    hdl_rcu_read_lock();
    slot = slot_find_slow(member, soft_vm_of_cpu(cpu)->memory, host);
    hdl_rcu_read_unlock();
    return slot;
}

void soft_ram_forget(struct soft_member *member)
{
    memset(member->window, 0, sizeof(member->window));
}

/* The whole pages of a range. False: there are none, or they don't lie on pages of the host. In a read section. */
static bool window_of_range(struct soft_member *member, const struct soft_memory *memory,
                            const struct flat_range *range, struct soft_window *window)
{
    uint64_t start, skip;

    if (!range || !range->ram) {
        return false;
    }
    start = ALIGN_UP(range->start, SOFT_PAGE_BYTES);
    skip = start - range->start;
    if (start < range->start || range->last - range->start < skip + (SOFT_PAGE_BYTES - 1)) {
        return false;
    }
    *window = (struct soft_window){.start = start,
                                   .len_bytes = ALIGN_DOWN(range->last - start + 1, SOFT_PAGE_BYTES),
                                   .host = range->ram->host + range->ram_offset + skip,
                                   .read_only = range->read_only};
    window->slot = slot_find(member, memory, window->host);
    return window->slot && (uintptr_t)window->host % SOFT_PAGE_BYTES == 0;
}

const struct soft_window *soft_ram_find_slow(struct soft_cpu *cpu, uint64_t gpa)
{
    const struct soft_memory *memory = soft_vm_of_cpu(cpu)->memory;
    struct soft_window *window = &cpu->member->window[gpa >> 32 ? 1 : 0];
    struct soft_window found;
    bool done;

    hdl_rcu_read_lock();
    done = window_of_range(cpu->member, memory,
                           flat_view_find(hdl_rcu_dereference(&memory->space->view), &cpu->tlb_state.walk_cache, gpa),
                           &found);
    hdl_rcu_read_unlock();
    if (!done || gpa - found.start >= found.len_bytes) {
        return NULL;
    }
    *window = found;
    return window;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static HDL_UNSHARED struct soft_memory *memory_alloc(unsigned member_count)
{
    /* Both have lines of their own in them. */
    struct soft_memory *memory = aligned_alloc(HDL_CACHE_LINE, sizeof(*memory));
    struct soft_member *members = aligned_alloc(HDL_CACHE_LINE, member_count * sizeof(*members));
    struct soft_slots *slots = calloc(1, sizeof(*slots));

    if (!memory || !members || !slots) {
        free(memory);
        free(members);
        free(slots);
        return NULL;
    }
    memset(memory, 0, sizeof(*memory));
    memset(members, 0, member_count * sizeof(*members));
    for (unsigned i = 0; i < member_count; i++) {
        members[i].index = i;
        atomic_store_explicit(&members[i].map_seen, SOFT_MAP_OUTSIDE, memory_order_relaxed);
    }
    hdl_mutex_init(&memory->lock, "software CPUs' memory", LOCK_RANK_LEAF);
    atomic_store_explicit(&memory->slots, slots, memory_order_relaxed);
    atomic_store_explicit(&memory->map_generation, 1, memory_order_relaxed);
    memory->members = members;
    memory->member_count = member_count;
    return memory;
}

int soft_memory_init(struct soft_vm *vm, struct error **err)
{
    struct soft_memory *memory = memory_alloc(vm->common.vcpu_max);

    if (!memory) {
        return error_set(err, -ENOMEM, "out of memory for %u software CPUs", vm->common.vcpu_max);
    }
    memory->space = vm->common.config.memory;
    memory->listener = (struct memory_listener){
        .range_add = memory_range_add, .range_del = memory_range_del, .committed = memory_committed};
    vm->memory = memory;
    address_space_add_listener(memory->space, &memory->listener);
    return 0;
}

HDL_UNSHARED void soft_memory_exit(struct soft_vm *vm)
{
    struct soft_memory *memory = vm->memory;
    struct soft_slots *slots;

    address_space_remove_listener(memory->space, &memory->listener);
    slots = atomic_load_explicit(&memory->slots, memory_order_relaxed);
    for (unsigned i = 0; i < slots->count; i++) {
        ram_block_set_write_watch(slots->slot[i]->block, NULL);
    }
    /* Devices may be in a watch; it leads here. */
    hdl_rcu_synchronize();
    for (unsigned i = 0; i < slots->count; i++) {
        slot_free(slots->slot[i]);
    }
    free(slots);
    hdl_mutex_destroy(&memory->lock);
    free(memory->members);
    free(memory);
    vm->memory = NULL;
}

void soft_memory_attach(struct soft_cpu *cpu)
{
    struct vcpu *vcpu = soft_common(cpu);
    struct soft_memory *memory = soft_vm_of_cpu(cpu)->memory;
    struct soft_member *member = &memory->members[vcpu->index];

    cpu->member = member;
    member->slot = NULL;
    soft_ram_forget(member);
    member->map_flushed = 0;
    /* It has nothing that older news could be about. */
    atomic_store_explicit(&member->news_seen, atomic_load_explicit(&memory->news_head, memory_order_seq_cst),
                          memory_order_seq_cst);
    hdl_rcu_publish(&member->vcpu, vcpu);
}

void soft_memory_detach(struct soft_cpu *cpu)
{
    hdl_rcu_publish(&cpu->member->vcpu, NULL);
    hdl_rcu_synchronize();
    cpu->member = NULL;
}
