/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where code was translated from, who hears of its changes, and how vCPUs wait for each other. tests/model/
 * soft_code_mark.pml is the part that has to be right.
 *
 * A page's word has a mask of marked chunks, a bit that says that the page is guarded (no vCPU has it writable in its
 * TLB), and two counts: of marks made, and of guards or marks taken away. Every change is one compare-and-swap.
 *
 *             mark                         all others have forgotten it
 *   (data) ---------> marked, not guarded ------------------------------> marked, guarded
 *     ^                                                                      |
 *     |  a vCPU makes it writable                                            | written to again and again
 *     +-------------------------------- no marks, guarded <------------------+
 *
 * News is what others must hear: "this page isn't writable any more" and "code in these bytes has changed". It stands
 * in a ring that every vCPU reads up to its head at the end of a block (news_seen). Who finds that the ring has gone
 * round, or that a cell's writer was interrupted, forgets its whole TLB and all blocks instead. Posting never waits, so
 * devices can, under any lock.
 *
 * Order. All accesses named here are sequentially consistent; each rule is two threads that store, then load:
 *
 *   asker: news_head (or map_generation, or stopper); then place of the vCPU        -- sees it in the guest and sets
 *   vCPU:  place = IN_GUEST; then news_head, map_generation, stopper                   its request; or the vCPU sees it
 *
 *   marker: mask; then reads the code                                               -- reads the new code, or is told
 *   writer: stores; fence; then mask                                                   of it
 *
 *   marker: mask; then guarded (one word); asks; waits; guarded                     -- waits until the entry is gone,
 *   filler: guarded away; then mask (one word), makes the page writable                or it isn't made
 *
 *   waiter: waiters; then news_seen and place                                       -- is woken, or need not wait
 *   vCPU:   news_seen or place; then waiters
 *
 * A mark that is taken away is one whose blocks everybody was told to drop before: the swap fails if a mark was made
 * since the word was read, and a mark is made anew if its maker hears of a change before it has a block.
 *
 * Waiting. Only a vCPU that is quiet itself waits, for one that isn't, so no two wait for each other: each wait ends
 * after one block of the other. The stopper (soft_world_stop) is one at a time, claimed while quiet; who is about to
 * enter the guest meanwhile waits, quiet, until it is done, which takes one instruction.
 *
 * A hostile guest that writes its own code for ever costs the others a look-up of blocks a write. A page that has been
 * written to so often since its last mark loses its marks; each time that happens it has to be written twice as often.
 */
#include "vcpu/soft/code_map.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include "vcpu/soft/block.h"
#include "vcpu/soft/memory.h"
#include "vcpu/soft/mmu.h"

/* --- a page's word ------------------------------------------------------------------------------------------------ */

#define PAGE_MASK_BITS UINT64_C(0x00000000ffffffff)
#define PAGE_GUARDED   UINT64_C(0x0000000100000000)
#define PAGE_TAKEN     UINT64_C(0x0001fffe00000000) /* count: guards and marks taken away */
#define PAGE_TAKEN_ONE UINT64_C(0x0000000200000000)
#define PAGE_MARKS     UINT64_C(0xfffe000000000000) /* count: marks made */
#define PAGE_MARKS_ONE UINT64_C(0x0002000000000000)

_Static_assert(SOFT_PAGE_BYTES / SOFT_CODE_CHUNK_BYTES == 32, "a bit of the mask for each chunk");

/* A page's writes to code: how many since the last unmark, and how often it was unmarked. */
#define HITS_COUNT     0x0fffu
#define HITS_SHIFT     12
#define HITS_FIRST     16u
#define HITS_SHIFT_MAX 7u

static uint64_t page_count_taken(uint64_t word)
{
    return (word & ~PAGE_TAKEN) | ((word + PAGE_TAKEN_ONE) & PAGE_TAKEN);
}

static uint64_t page_count_mark(uint64_t word)
{
    return (word & ~PAGE_MARKS) | ((word + PAGE_MARKS_ONE) & PAGE_MARKS);
}

/* The chunks that len_bytes > 0 from host on touch, up to the page's end. */
static uint64_t page_chunks(const uint8_t *host, uint64_t len_bytes)
{
    unsigned offset = (unsigned)((uintptr_t)host % SOFT_PAGE_BYTES);
    unsigned first = offset / SOFT_CODE_CHUNK_BYTES;
    unsigned last = (unsigned)(MIN(offset + len_bytes, SOFT_PAGE_BYTES) - 1) / SOFT_CODE_CHUNK_BYTES;

    return (UINT64_C(2) << last) - (UINT64_C(1) << first);
}

static const uint8_t *page_of(const uint8_t *host)
{
    return (const uint8_t *)((uintptr_t)host & SOFT_PAGE_MASK);
}

/* --- futexes ------------------------------------------------------------------------------------------------------ */

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    hdl_assert_unlocked();
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake_all(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* --- news --------------------------------------------------------------------------------------------------------- */

/*
 * A cell: which time round the ring it was written (16 bits, the first is 1), the page by the host's address (35), what
 * happened (1), and the first and last unit of 64 bytes that it happened to (6 each).
 */
#define NEWS_PROTECT    (UINT64_C(1) << 12)
#define NEWS_UNIT_BYTES 64

struct news {
    const uint8_t *host;
    unsigned len_bytes;
    bool protect; /* the page isn't writable any more; else: code changed there */
};

static uint64_t news_lap(uint64_t position)
{
    return (position / SOFT_NEWS_CELLS + 1) << 48;
}

static uint64_t news_encode(const struct news *news)
{
    uint64_t page = (uintptr_t)news->host / SOFT_PAGE_BYTES;
    uint64_t first = (uintptr_t)news->host % SOFT_PAGE_BYTES / NEWS_UNIT_BYTES;
    uint64_t last = ((uintptr_t)news->host % SOFT_PAGE_BYTES + news->len_bytes - 1) / NEWS_UNIT_BYTES;

    return (page & ((UINT64_C(1) << 35) - 1)) << 13 | (news->protect ? NEWS_PROTECT : 0) | first << 6 | last;
}

static struct news news_decode(uint64_t cell)
{
    uint64_t page = cell >> 13 & ((UINT64_C(1) << 35) - 1);
    unsigned first = cell >> 6 & 63, last = cell & 63;

    return (struct news){.host = (const uint8_t *)(page * SOFT_PAGE_BYTES + first * NEWS_UNIT_BYTES),
                         .len_bytes = (last - first + 1) * NEWS_UNIT_BYTES,
                         .protect = cell & NEWS_PROTECT};
}

/* Sets the request of a vCPU that is in the guest. In a read section. */
static void member_ask(struct soft_member *member)
{
    struct vcpu *vcpu = hdl_rcu_dereference(&member->vcpu);

    if (vcpu && atomic_load_explicit(&vcpu->place, memory_order_seq_cst) == VCPU_IN_GUEST) {
        atomic_fetch_or_explicit(&vcpu->requests, VCPU_REQUEST_ACCEL, memory_order_seq_cst);
    }
}

static void members_ask_others(struct soft_memory *memory, const struct soft_member *self)
{
    hdl_rcu_read_lock();
    for (unsigned i = 0; i < memory->member_count; i++) {
        if (&memory->members[i] != self) {
            member_ask(&memory->members[i]);
        }
    }
    hdl_rcu_read_unlock();
}

void soft_members_ask(struct soft_memory *memory)
{
    members_ask_others(memory, NULL);
}

/* Returns its position. self: who needn't hear of it; may be NULL. Any thread; never waits. */
static uint64_t news_post(struct soft_memory *memory, const struct soft_member *self, const struct news *news)
{
    uint64_t position = atomic_fetch_add_explicit(&memory->news_head, 1, memory_order_seq_cst);

    /* Pairs with news_read. */
    atomic_store_explicit(&memory->news[position % SOFT_NEWS_CELLS], news_lap(position) | news_encode(news),
                          memory_order_release);
    members_ask_others(memory, self);
    return position;
}

static bool memory_has_others(const struct soft_memory *memory, const struct soft_member *self)
{
    for (unsigned i = 0; i < memory->member_count; i++) {
        if (&memory->members[i] != self && atomic_load_explicit(&memory->members[i].vcpu, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

/* False: the cell isn't written yet, or has been written over. */
static bool news_read(const struct soft_memory *memory, uint64_t position, struct news *news)
{
    for (unsigned tries = 0; tries < 100; tries++) {
        uint64_t cell = atomic_load_explicit(&memory->news[position % SOFT_NEWS_CELLS], memory_order_acquire);

        if (likely((cell >> 48) == (news_lap(position) >> 48))) {
            *news = news_decode(cell);
            return true;
        }
        hdl_cpu_relax();
    }
    return false;
}

/* More pages at once than are worth a search of the TLB each. */
#define NEWS_PROTECT_MAX 8

/* False: something was missed. */
static bool news_act(struct soft_cpu *cpu, uint64_t from, uint64_t to)
{
    const struct soft_memory *memory = soft_vm_of_cpu(cpu)->memory;
    unsigned protects = 0;

    if (to - from > SOFT_NEWS_CELLS) {
        return false;
    }
    for (; from < to; from++) {
        struct news news;

        if (!news_read(memory, from, &news)) {
            return false;
        }
        if (!news.protect) {
            cpu->member->changes++;
            soft_blocks_invalidate(cpu, news.host, news.len_bytes);
        } else if (++protects <= NEWS_PROTECT_MAX) {
            soft_tlb_protect(cpu, page_of(news.host));
        }
    }
    if (protects > NEWS_PROTECT_MAX) {
        soft_tlb_flush_all(cpu);
    }
    return true;
}

/* --- a vCPU's place ----------------------------------------------------------------------------------------------- */

/* What others may wait for has changed. */
static void member_announce(struct soft_member *member)
{
    if (unlikely(atomic_load_explicit(&member->waiters, memory_order_seq_cst))) {
        atomic_fetch_add_explicit(&member->event, 1, memory_order_seq_cst);
        futex_wake_all(&member->event);
    }
}

static void member_go_out(struct soft_cpu *cpu)
{
    atomic_store_explicit(&soft_common(cpu)->place, VCPU_IN_HOST, memory_order_seq_cst);
    member_announce(cpu->member);
}

/* Until the stopper isn't `value` any more. */
static void stopper_wait(struct soft_memory *memory, uint32_t value)
{
    atomic_fetch_add_explicit(&memory->stop_waiters, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&memory->stopper, memory_order_seq_cst) == value) {
        futex_wait(&memory->stopper, value);
    }
    atomic_fetch_sub_explicit(&memory->stop_waiters, 1, memory_order_seq_cst);
}

/* Into the guest, unless the world stands still for another. */
static void member_go_in(struct soft_cpu *cpu)
{
    struct soft_memory *memory = soft_vm_of_cpu(cpu)->memory;
    struct vcpu *vcpu = soft_common(cpu);
    uint32_t stopper;

    for (;;) {
        atomic_store_explicit(&vcpu->place, VCPU_IN_GUEST, memory_order_seq_cst);
        stopper = atomic_load_explicit(&memory->stopper, memory_order_seq_cst);
        if (likely(stopper == 0 || stopper == vcpu->index + 1)) {
            return;
        }
        member_go_out(cpu);
        stopper_wait(memory, stopper);
    }
}

/* Acts on all news and on a changed map. In the guest's place. */
static void member_catch_up(struct soft_cpu *cpu)
{
    struct soft_memory *memory = soft_vm_of_cpu(cpu)->memory;
    struct soft_member *member = cpu->member;
    uint64_t head = atomic_load_explicit(&memory->news_head, memory_order_seq_cst);
    uint64_t seen = atomic_load_explicit(&member->news_seen, memory_order_relaxed);
    uint64_t map = atomic_load_explicit(&memory->map_generation, memory_order_seq_cst);

    if (unlikely(map != member->map_flushed)) {
        member->map_flushed = map;
        soft_ram_forget(member);
        soft_tlb_flush_all(cpu);
    }
    if (unlikely(head != seen)) {
        if (!news_act(cpu, seen, head)) {
            member->changes++;
            soft_tlb_flush_all(cpu);
            soft_cache_clear(cpu);
        }
        atomic_store_explicit(&member->news_seen, head, memory_order_seq_cst);
        member_announce(member);
    }
}

/* Nothing that was found before a generation of the map is in use. */
static void member_let_go(struct soft_cpu *cpu, uint64_t seen)
{
    struct soft_memory *memory = soft_vm_of_cpu(cpu)->memory;

    cpu->member->slot = NULL;
    soft_ram_forget(cpu->member);
    atomic_store_explicit(&cpu->member->map_seen, seen, memory_order_seq_cst);
    /* Pairs with memory_committed. */
    if (unlikely(atomic_load_explicit(&memory->retired, memory_order_seq_cst))) {
        soft_memory_reap(memory);
    }
}

/* Between blocks: what was asked for, and then letting go of the map as it was. */
static void member_serve(struct soft_cpu *cpu)
{
    struct soft_member *member = cpu->member;

    member_catch_up(cpu);
    if (unlikely(member->map_flushed != member->map_let_go)) {
        /* If RAM has gone for good, its addresses can come back as other RAM: blocks must not survive it. */
        if (atomic_load_explicit(&soft_vm_of_cpu(cpu)->memory->last_retired, memory_order_seq_cst) >
            member->map_let_go) {
            soft_cache_clear(cpu);
        }
        member->map_let_go = member->map_flushed;
        member_let_go(cpu, member->map_flushed);
    }
}

void soft_guest_enter(struct soft_cpu *cpu)
{
    /* From here on, what this vCPU finds stays. It knows no later map than this one. */
    atomic_store_explicit(&cpu->member->map_seen, cpu->member->map_let_go, memory_order_seq_cst);
    member_go_in(cpu);
    member_serve(cpu);
}

void soft_guest_leave(struct soft_cpu *cpu)
{
    member_go_out(cpu);
    member_let_go(cpu, SOFT_MAP_OUTSIDE);
    atomic_fetch_and_explicit(&soft_common(cpu)->requests, ~(uint32_t)VCPU_REQUEST_ACCEL, memory_order_seq_cst);
}

void soft_quiet_begin(struct soft_cpu *cpu)
{
    member_go_out(cpu);
}

void soft_quiet_end(struct soft_cpu *cpu)
{
    const struct soft_member *member = cpu->member;

    member_go_in(cpu);
    member_catch_up(cpu);
    /* The rest can't be done within an instruction. */
    if (unlikely(member->map_flushed != member->map_let_go)) {
        atomic_fetch_or_explicit(&soft_common(cpu)->requests, VCPU_REQUEST_ACCEL, memory_order_relaxed);
    }
}

void soft_serve_accel(struct soft_cpu *cpu)
{
    /* Before the looks: who asks later sets it again. */
    atomic_fetch_and_explicit(&soft_common(cpu)->requests, ~(uint32_t)VCPU_REQUEST_ACCEL, memory_order_seq_cst);
    member_go_in(cpu);
    member_serve(cpu);
}

/* --- waiting for others ------------------------------------------------------------------------------------------- */

/* What a quiet vCPU waits for. */
#define WAIT_OUTSIDE UINT64_MAX /* that the other is outside guest code */

/* Whether the other is outside guest code, or (position isn't WAIT_OUTSIDE) has acted on that piece of news. */
static bool member_has(const struct soft_member *member, uint64_t position)
{
    const struct vcpu *vcpu;
    bool outside;

    if (position != WAIT_OUTSIDE && atomic_load_explicit(&member->news_seen, memory_order_seq_cst) > position) {
        return true;
    }
    hdl_rcu_read_lock();
    vcpu = hdl_rcu_dereference(&member->vcpu);
    outside = !vcpu || atomic_load_explicit(&vcpu->place, memory_order_seq_cst) != VCPU_IN_GUEST;
    hdl_rcu_read_unlock();
    return outside;
}

static void member_wait(struct soft_member *member, uint64_t position)
{
    for (unsigned tries = 0; tries < 50; tries++) {
        if (member_has(member, position)) {
            return;
        }
        hdl_cpu_relax();
    }
    atomic_fetch_add_explicit(&member->waiters, 1, memory_order_seq_cst);
    for (;;) {
        uint32_t event = atomic_load_explicit(&member->event, memory_order_seq_cst);

        if (member_has(member, position)) {
            break;
        }
        futex_wait(&member->event, event);
    }
    atomic_fetch_sub_explicit(&member->waiters, 1, memory_order_seq_cst);
}

static void members_wait(struct soft_memory *memory, const struct soft_member *self, uint64_t position)
{
    for (unsigned i = 0; i < memory->member_count; i++) {
        if (&memory->members[i] != self) {
            member_wait(&memory->members[i], position);
        }
    }
}

void soft_world_stop(struct soft_cpu *cpu)
{
    struct soft_memory *memory = soft_vm_of_cpu(cpu)->memory;
    uint32_t mine = soft_common(cpu)->index + 1, stopper = 0;

    member_go_out(cpu);
    while (!atomic_compare_exchange_strong(&memory->stopper, &stopper, mine)) {
        stopper_wait(memory, stopper);
        stopper = 0;
    }
    members_ask_others(memory, cpu->member);
    members_wait(memory, cpu->member, WAIT_OUTSIDE);
    soft_quiet_end(cpu);
}

void soft_world_go(struct soft_cpu *cpu)
{
    struct soft_memory *memory = soft_vm_of_cpu(cpu)->memory;

    atomic_store_explicit(&memory->stopper, 0, memory_order_seq_cst);
    if (atomic_load_explicit(&memory->stop_waiters, memory_order_seq_cst)) {
        futex_wake_all(&memory->stopper);
    }
}

/* --- marking ------------------------------------------------------------------------------------------------------ */

/* Sets the marks, and counts. Returns the word as it is then. */
static uint64_t page_mark(_Atomic uint64_t *page, uint64_t chunks)
{
    uint64_t old = atomic_load_explicit(page, memory_order_relaxed), new;

    do {
        new = page_count_mark(old) | chunks;
    } while (!atomic_compare_exchange_weak(page, &old, new));
    return new;
}

/* Nobody has it writable: to be remembered. False: marks were taken since it was `marked`. */
static bool page_guard(_Atomic uint64_t *page, uint64_t marked)
{
    uint64_t old = atomic_load_explicit(page, memory_order_relaxed);

    do {
        if ((old ^ marked) & PAGE_TAKEN) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(page, &old, old | PAGE_GUARDED));
    return true;
}

/* Asks the others to forget that the page is writable, and waits until they have. */
static void page_protect(struct soft_cpu *cpu, const uint8_t *host_page)
{
    struct soft_memory *memory = soft_vm_of_cpu(cpu)->memory;
    struct news news = {.host = host_page, .len_bytes = SOFT_PAGE_BYTES, .protect = true};

    soft_tlb_protect(cpu, host_page);
    if (memory_has_others(memory, cpu->member)) {
        uint64_t position = news_post(memory, cpu->member, &news);

        soft_quiet_begin(cpu);
        members_wait(memory, cpu->member, position);
        soft_quiet_end(cpu);
    }
}

void soft_code_mark(struct soft_cpu *cpu, const uint8_t *host, unsigned len_bytes)
{
    struct soft_slot *slot = soft_slot_find(cpu, host);
    _Atomic uint64_t *page;
    uint64_t marked, changes;

    if (!slot) {
        return;
    }
    page = soft_slot_page(slot, host);
    do {
        changes = cpu->member->changes;
        marked = page_mark(page, page_chunks(host, len_bytes));
        if (likely(marked & PAGE_GUARDED)) {
            return;
        }
        page_protect(cpu, page_of(host));
        /*
         * Who has posted that code changed may be about to take the mark away. If that news has been acted upon here
         * already, nobody will hear of the block that is about to be made: a new mark makes the swap fail.
         */
    } while (!page_guard(page, marked) || cpu->member->changes != changes);
}

bool soft_code_page_is_marked(struct soft_cpu *cpu, const uint8_t *host)
{
    struct soft_slot *slot = soft_slot_find(cpu, host);

    return slot && atomic_load_explicit(soft_slot_page(slot, host), memory_order_seq_cst) & PAGE_MASK_BITS;
}

bool soft_code_let_write(struct soft_slot *slot, const uint8_t *host)
{
    _Atomic uint64_t *page = soft_slot_page(slot, host);
    uint64_t old = atomic_load_explicit(page, memory_order_seq_cst);

    while (!(old & PAGE_MASK_BITS)) {
        if (likely(!(old & PAGE_GUARDED)) ||
            atomic_compare_exchange_weak(page, &old, page_count_taken(old & ~PAGE_GUARDED))) {
            return true;
        }
    }
    return false;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

/* Counts a write to code. True: there have been so many that the page should lose its marks. */
static bool page_count_hit(_Atomic uint16_t *hits)
{
    /* Racing writers may lose a count, which is no matter. */
    uint16_t value = atomic_load_explicit(hits, memory_order_relaxed);
    unsigned shift = (unsigned)value >> HITS_SHIFT;
    bool many = (value & HITS_COUNT) >= HITS_FIRST << shift;

    if (many) {
        value = (uint16_t)(MIN(shift + 1, HITS_SHIFT_MAX) << HITS_SHIFT);
    } else {
        value++;
    }
    atomic_store_explicit(hits, value, memory_order_relaxed);
    return many;
}

/*
 * Marked code was written, by this vCPU or (NULL) by a device: blocks go, here and elsewhere. old: the page's word
 * after the write.
 */
static void page_was_hit(struct soft_slot *slot, struct soft_cpu *cpu, const uint8_t *host, unsigned len_bytes,
                         uint64_t old)
{
    uint64_t index = (uint64_t)(host - slot->host) / SOFT_PAGE_BYTES;
    bool unmark = page_count_hit(&slot->hits[index]) || len_bytes == SOFT_PAGE_BYTES;
    const struct soft_member *self = cpu ? cpu->member : NULL;
    struct news news = {.host = host, .len_bytes = len_bytes};

    if (unmark) {
        news = (struct news){.host = page_of(host), .len_bytes = SOFT_PAGE_BYTES};
    }
    if (cpu) {
        soft_blocks_invalidate(cpu, news.host, news.len_bytes);
    }
    if (memory_has_others(slot->memory, self)) {
        news_post(slot->memory, self, &news);
    }
    if (unmark) {
        /* All were told before; a mark made since, for a block that nobody has been told of, makes it fail. */
        atomic_compare_exchange_strong(&slot->pages[index], &old, page_count_taken(old & ~PAGE_MASK_BITS));
    }
}

void soft_code_stored(struct soft_cpu *cpu, struct soft_slot *slot, const uint8_t *host, unsigned len_bytes)
{
    uint64_t word;

    /* Pairs with page_mark. */
    atomic_thread_fence(memory_order_seq_cst);
    word = atomic_load_explicit(soft_slot_page(slot, host), memory_order_seq_cst);
    if (unlikely(word & page_chunks(host, len_bytes))) {
        page_was_hit(slot, cpu, host, len_bytes, word);
    }
}

void soft_code_written(struct soft_cpu *cpu, const uint8_t *host, unsigned len_bytes)
{
    struct soft_slot *slot = soft_slot_find(cpu, host);

    if (slot) {
        soft_code_stored(cpu, slot, host, len_bytes);
    }
}

void soft_code_watch(struct ram_write_watch *watch, const uint8_t *host, uint64_t len_bytes)
{
    struct soft_slot *slot = container_of(watch, struct soft_slot, watch);

    /* Pairs with page_mark. */
    atomic_thread_fence(memory_order_seq_cst);
    while (len_bytes > 0) {
        uint64_t piece = MIN(len_bytes, SOFT_PAGE_BYTES - (uintptr_t)host % SOFT_PAGE_BYTES);
        uint64_t word = atomic_load_explicit(soft_slot_page(slot, host), memory_order_seq_cst);

        if (unlikely(word & page_chunks(host, piece))) {
            page_was_hit(slot, NULL, host, (unsigned)piece, word);
        }
        host += piece;
        len_bytes -= piece;
    }
}
