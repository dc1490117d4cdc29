/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Accesses that the inline functions of mem.h leave: TLB misses, page crossings, devices, ROM, pages with code, and the
 * CPU's own accesses. The vCPU's thread, in a run, holding nothing.
 *
 * An access within a page goes by its TLB entry. Any other becomes a span: first all of its pages are found, which may
 * raise, then all of it is done. RAM comes before devices, since whatever is found may be worth nothing after a quiet
 * time but for what memory.h promises.
 *
 * A device's access is dispatched right here, in aligned pieces of 1 to 8 bytes, in a quiet time: nobody waits for this
 * vCPU while it waits for a device.
 *
 * A hostile guest chooses addresses and lengths up to a page; what it reaches is its RAM, by pages that the TLB has
 * checked, or what dispatch gives it.
 */
#include "vcpu/soft/mem.h"

#include <assert.h>

#include "vcpu/soft/code_map.h"
#include "vcpu/soft/exception.h"
#include "vcpu/soft/memory.h"
#include "vcpu/soft/mmu.h"
#include "vcpu/soft/operand.h"
#include "vcpu/soft/outside.h"
#include "vcpu/soft/segment.h"

/* --- addresses ---------------------------------------------------------------------------------------------------- */

/* Where an access really goes: 4 GiB wrap without long mode; with it, #GP(0) or #SS(0) for what isn't canonical. */
static inline uint64_t linear_check(struct soft_cpu *cpu, uint64_t linear)
{
    if (!soft_is_long(cpu)) {
        return (uint32_t)linear;
    }
    if (unlikely(!soft_is_canonical(linear))) {
        soft_raise_outside(cpu, linear);
    }
    return linear;
}

/* Bytes from linear to its page's end. */
static inline unsigned page_bytes_left(uint64_t linear)
{
    return (unsigned)(SOFT_PAGE_BYTES - linear % SOFT_PAGE_BYTES);
}

/* Flat segments end at 4 GiB, where an access that began below must not go on. */
static inline void flat_end_check(struct soft_cpu *cpu, uint64_t linear, unsigned len_bytes)
{
    if (unlikely(linear <= UINT32_MAX && linear + len_bytes - 1 > UINT32_MAX) && (cpu->mode & SOFT_MODE_FLAT) &&
        !soft_is_64(cpu)) {
        soft_raise_outside(cpu, linear);
    }
}

/*
 * What an operand of that size is aligned to (SDM 3, table 6-7): 80 bits to 8 bytes, x87 environments and areas to 2 or
 * 4. For SSE's 16 bytes the manual leaves it to the CPU; here as on AMD's. Areas that check themselves, and what the
 * CPU moves for its own sake: any.
 */
static inline unsigned alignment_of(unsigned len_bytes)
{
    switch (len_bytes) {
    case 10:
        return 8;
    case 14:
    case 94:
        return 2;
    case 28:
    case 108:
        return 4;
    default:
        return len_bytes <= 16 && (len_bytes & (len_bytes - 1)) == 0 ? len_bytes : 1;
    }
}

/* What lies outside its segment is that first. */
static inline void alignment_check(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes)
{
    if (unlikely(cpu->tlb_state.current == SOFT_TLB_USER_ALIGNED && linear % alignment_of(size_bytes) != 0)) {
        linear = linear_check(cpu, linear);
        flat_end_check(cpu, linear, size_bytes);
        soft_raise_error(cpu, VECTOR_AC, 0);
    }
}

/* Implicit accesses have supervisor rights, and RFLAGS.AC doesn't help them. */
static unsigned system_bank(const struct soft_cpu *cpu)
{
    return cpu->cr4 & CR4_SMAP ? SOFT_TLB_SUPERVISOR : SOFT_TLB_SUPERVISOR_AC;
}

/* --- host memory -------------------------------------------------------------------------------------------------- */

/* The largest power of two up to 8 that fits. */
static unsigned piece_size(unsigned len_bytes)
{
    return len_bytes >= 8 ? 8 : len_bytes >= 4 ? 4 : len_bytes >= 2 ? 2 : 1;
}

static void host_read(const uint8_t *host, uint8_t *buffer, unsigned len_bytes)
{
    while (len_bytes > 0) {
        unsigned size_bytes = piece_size(len_bytes);
        uint64_t value = soft_host_load(host, size_bytes);

        memcpy(buffer, &value, size_bytes);
        host += size_bytes;
        buffer += size_bytes;
        len_bytes -= size_bytes;
    }
}

static void host_write(uint8_t *host, const uint8_t *buffer, unsigned len_bytes)
{
    while (len_bytes > 0) {
        unsigned size_bytes = piece_size(len_bytes);
        uint64_t value = 0;

        memcpy(&value, buffer, size_bytes);
        soft_host_store(host, size_bytes, value);
        host += size_bytes;
        buffer += size_bytes;
        len_bytes -= size_bytes;
    }
}

/* --- devices ------------------------------------------------------------------------------------------------------ */

static void device_access(struct soft_cpu *cpu, uint64_t gpa, uint8_t *buffer, unsigned len_bytes, bool write)
{
    struct vcpu *vcpu = soft_common(cpu);

    soft_quiet_begin(cpu);
    while (len_bytes > 0) {
        unsigned size_bytes = piece_size(len_bytes);
        struct vcpu_exit exit = {.kind = VCPU_EXIT_MMIO};

        while (gpa % size_bytes != 0) {
            size_bytes /= 2;
        }
        exit.mmio.gpa = gpa;
        exit.mmio.size_bytes = (uint8_t)size_bytes;
        exit.mmio.is_write = write;
        exit.mmio.data = buffer;
        atomic_fetch_add_explicit(&vcpu->exits, 1, memory_order_relaxed);
        vcpu_handle_exit(vcpu, &exit);
        gpa += size_bytes;
        buffer += size_bytes;
        len_bytes -= size_bytes;
    }
    soft_quiet_end(cpu);
}

static __attribute__((noinline)) uint64_t device_load(struct soft_cpu *cpu, uint64_t gpa, unsigned size_bytes)
{
    uint64_t value = 0;

    device_access(cpu, gpa, (uint8_t *)&value, size_bytes, false);
    return value;
}

static __attribute__((noinline)) void device_store(struct soft_cpu *cpu, uint64_t gpa, unsigned size_bytes,
                                                   uint64_t value)
{
    device_access(cpu, gpa, (uint8_t *)&value, size_bytes, true);
}

/* --- spans -------------------------------------------------------------------------------------------------------- */

static void place_find(struct soft_cpu *cpu, unsigned bank, uint64_t linear, unsigned len_bytes, bool write,
                       struct soft_place *place)
{
    const struct soft_tlb_entry *entry = soft_tlb_find(cpu, bank, linear, write);
    uint64_t want = (linear & SOFT_PAGE_MASK) | cpu->tlb_tag;
    bool dispatched = (entry->gpa & SOFT_TLB_DEVICE) || (write && (entry->gpa & SOFT_TLB_ROM));

    *place = (struct soft_place){.host = dispatched ? NULL : (uint8_t *)(linear + entry->addend),
                                 .gpa = (entry->gpa & SOFT_PAGE_MASK) | (linear & ~SOFT_PAGE_MASK),
                                 .len_bytes = len_bytes,
                                 .may_be_code = write && entry->write != want};
}

/* All of an access of up to a page. Raises what it would raise. */
static void span_find(struct soft_cpu *cpu, unsigned bank, uint64_t linear, unsigned len_bytes, bool write,
                      struct soft_span *span)
{
    unsigned first;

    linear = linear_check(cpu, linear);
    first = MIN(len_bytes, page_bytes_left(linear));
    flat_end_check(cpu, linear, len_bytes);
    place_find(cpu, bank, linear, first, write, &span->piece[0]);
    span->piece[1] = (struct soft_place){0};
    if (first < len_bytes) {
        place_find(cpu, bank, linear_check(cpu, linear + first), len_bytes - first, write, &span->piece[1]);
    }
}

static void place_write(struct soft_cpu *cpu, const struct soft_place *place, const uint8_t *buffer)
{
    host_write(place->host, buffer, place->len_bytes);
    if (place->may_be_code) {
        soft_code_written(cpu, place->host, place->len_bytes);
    }
}

/* Its pieces, those in RAM first. */
static void span_access(struct soft_cpu *cpu, const struct soft_span *span, uint8_t *buffer, bool write)
{
    uint8_t *part[2] = {buffer, buffer + span->piece[0].len_bytes};

    for (unsigned i = 0; i < 2; i++) {
        const struct soft_place *place = &span->piece[i];

        if (place->host && write) {
            place_write(cpu, place, part[i]);
        } else if (place->host) {
            host_read(place->host, part[i], place->len_bytes);
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        const struct soft_place *place = &span->piece[i];

        if (!place->host && place->len_bytes) {
            device_access(cpu, place->gpa, part[i], place->len_bytes, write);
        }
    }
}

static __attribute__((noinline)) uint64_t span_load(struct soft_cpu *cpu, unsigned bank, uint64_t linear,
                                                    unsigned size_bytes)
{
    struct soft_span span;
    uint64_t value = 0;

    span_find(cpu, bank, linear, size_bytes, false, &span);
    span_access(cpu, &span, (uint8_t *)&value, false);
    return value;
}

static __attribute__((noinline)) void span_store(struct soft_cpu *cpu, unsigned bank, uint64_t linear,
                                                 unsigned size_bytes, uint64_t value)
{
    struct soft_span span;

    span_find(cpu, bank, linear, size_bytes, true, &span);
    span_access(cpu, &span, (uint8_t *)&value, true);
}

/* --- within a page ------------------------------------------------------------------------------------------------ */

/* The page has lost its marks: the next store is a fast one. */
static void entry_unslow(struct soft_cpu *cpu, unsigned bank, struct soft_slot *slot, const uint8_t *host,
                         struct soft_tlb_entry *entry)
{
    if (bank != SOFT_TLB_USER_ALIGNED && !soft_data_breakpoints_enabled(cpu) && soft_code_let_write(slot, host)) {
        entry->write = ~entry->write;
    }
}

/* Stored through a slow word: there is code in the page, or there was. */
static __attribute__((noinline)) void entry_stored(struct soft_cpu *cpu, unsigned bank, uint8_t *host,
                                                   unsigned size_bytes, struct soft_tlb_entry *entry)
{
    struct soft_slot *slot = soft_slot_find(cpu, host);

    if (slot) {
        soft_code_stored(cpu, slot, host, size_bytes);
        entry_unslow(cpu, bank, slot, host, entry);
    }
}

static inline uint64_t bank_load(struct soft_cpu *cpu, unsigned bank, uint64_t linear, unsigned size_bytes)
{
    const struct soft_tlb_entry *entry;

    if (unlikely(page_bytes_left(linear) < size_bytes)) {
        return span_load(cpu, bank, linear, size_bytes);
    }
    linear = linear_check(cpu, linear);
    entry = soft_tlb_find(cpu, bank, linear, false);
    if (unlikely(entry->gpa & SOFT_TLB_DEVICE)) {
        return device_load(cpu, (entry->gpa & SOFT_PAGE_MASK) | (linear & ~SOFT_PAGE_MASK), size_bytes);
    }
    return soft_host_load((const uint8_t *)(linear + entry->addend), size_bytes);
}

static inline void bank_store(struct soft_cpu *cpu, unsigned bank, uint64_t linear, unsigned size_bytes, uint64_t value)
{
    struct soft_tlb_entry *entry;
    uint8_t *host;

    if (unlikely(page_bytes_left(linear) < size_bytes)) {
        span_store(cpu, bank, linear, size_bytes, value);
        return;
    }
    linear = linear_check(cpu, linear);
    entry = soft_tlb_find(cpu, bank, linear, true);
    if (unlikely(entry->gpa & (SOFT_TLB_DEVICE | SOFT_TLB_ROM))) {
        device_store(cpu, (entry->gpa & SOFT_PAGE_MASK) | (linear & ~SOFT_PAGE_MASK), size_bytes, value);
        return;
    }
    host = (uint8_t *)(linear + entry->addend);
    soft_host_store(host, size_bytes, value);
    if (entry->write != ((linear & SOFT_PAGE_MASK) | cpu->tlb_tag)) {
        entry_stored(cpu, bank, host, size_bytes, entry);
    }
}

/* --- while the world stands still --------------------------------------------------------------------------------- */

/* Part of the access that soft_lock_begin found: it can't fault any more. */
static void locked_access(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes, uint8_t *buffer, bool write)
{
    const struct soft_span *whole = &cpu->locked.span;
    uint64_t skip = linear - cpu->locked.linear;
    struct soft_span span = {0};

    assert(skip + size_bytes <= whole->piece[0].len_bytes + whole->piece[1].len_bytes);
    for (unsigned i = 0; i < 2; i++) {
        struct soft_place place = whole->piece[i];

        if (skip < place.len_bytes && size_bytes > 0) {
            place.host = place.host ? place.host + skip : NULL;
            place.gpa += skip;
            place.len_bytes = MIN(place.len_bytes - (unsigned)skip, size_bytes);
            size_bytes -= place.len_bytes;
            span.piece[span.piece[0].len_bytes ? 1 : 0] = place;
            skip = 0;
        } else {
            skip -= place.len_bytes;
        }
    }
    span_access(cpu, &span, buffer, write);
}

/* The instruction has accessed its operand: data breakpoints see it. */
static inline void breakpoint_check(struct soft_cpu *cpu, uint64_t linear, unsigned len_bytes, bool write)
{
    if (unlikely(soft_breakpoints_enabled(cpu))) {
        soft_data_breakpoint(cpu, linear, len_bytes, write);
    }
}

static void *lock_begin(struct soft_cpu *cpu, unsigned bank, uint64_t linear, unsigned size_bytes)
{
    struct soft_span span;

    span_find(cpu, bank, linear, size_bytes, true, &span);
    breakpoint_check(cpu, linear, size_bytes, true);
    /* What is written must be readable, too, which all writable memory is. */
    if (likely(span.piece[0].host && !span.piece[0].may_be_code && !span.piece[1].len_bytes)) {
        return span.piece[0].host;
    }
    /* No fault can come from here on, so the world moves on for sure. */
    soft_world_stop(cpu);
    for (unsigned i = 0; i < 2; i++) {
        /* Others were quiet since: pages found writable may have become code. */
        span.piece[i].may_be_code = true;
    }
    cpu->locked = (struct soft_locked){.active = true, .linear = linear, .span = span};
    return NULL;
}

void *soft_lock_begin(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes)
{
    const struct soft_tlb_entry *entry = soft_tlb_entry(cpu, linear);

    if (likely(entry->write == soft_tlb_want(cpu, linear, size_bytes))) {
        return (void *)(linear + entry->addend);
    }
    alignment_check(cpu, linear, size_bytes);
    return lock_begin(cpu, cpu->tlb_state.current, linear, size_bytes);
}

void soft_lock_end(struct soft_cpu *cpu)
{
    cpu->locked.active = false;
    soft_world_go(cpu);
}

/* --- operands ----------------------------------------------------------------------------------------------------- */

uint64_t soft_load_slow(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes)
{
    uint64_t value = 0;

    if (unlikely(cpu->locked.active)) {
        locked_access(cpu, linear, size_bytes, (uint8_t *)&value, false);
        return value;
    }
    alignment_check(cpu, linear, size_bytes);
    value = bank_load(cpu, cpu->tlb_state.current, linear, size_bytes);
    breakpoint_check(cpu, linear, size_bytes, false);
    return value;
}

void soft_store_slow(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes, uint64_t value)
{
    if (unlikely(cpu->locked.active)) {
        locked_access(cpu, linear, size_bytes, (uint8_t *)&value, true);
        return;
    }
    alignment_check(cpu, linear, size_bytes);
    bank_store(cpu, cpu->tlb_state.current, linear, size_bytes, value);
    breakpoint_check(cpu, linear, size_bytes, true);
}

void soft_read_bytes(struct soft_cpu *cpu, uint64_t linear, void *buffer, unsigned len_bytes)
{
    struct soft_span span;

    assert(len_bytes > 0 && len_bytes <= SOFT_PAGE_BYTES);
    alignment_check(cpu, linear, len_bytes);
    span_find(cpu, cpu->tlb_state.current, linear, len_bytes, false, &span);
    span_access(cpu, &span, buffer, false);
    breakpoint_check(cpu, linear, len_bytes, false);
}

void soft_write_bytes(struct soft_cpu *cpu, uint64_t linear, const void *buffer, unsigned len_bytes)
{
    struct soft_span span;

    assert(len_bytes > 0 && len_bytes <= SOFT_PAGE_BYTES);
    alignment_check(cpu, linear, len_bytes);
    span_find(cpu, cpu->tlb_state.current, linear, len_bytes, true, &span);
    span_access(cpu, &span, (uint8_t *)(uintptr_t)buffer, true);
    breakpoint_check(cpu, linear, len_bytes, true);
}

void soft_probe_read(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes)
{
    struct soft_span span;

    alignment_check(cpu, linear, size_bytes);
    span_find(cpu, cpu->tlb_state.current, linear, size_bytes, false, &span);
}

void soft_probe_write(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes)
{
    struct soft_span span;

    alignment_check(cpu, linear, size_bytes);
    span_find(cpu, cpu->tlb_state.current, linear, size_bytes, true, &span);
}

uint8_t *soft_host_range(struct soft_cpu *cpu, uint64_t linear, uint64_t *len_bytes, bool write)
{
    const struct soft_tlb_entry *entry;
    uint64_t want;

    if (!soft_is_long(cpu)) {
        linear = (uint32_t)linear;
    }
    want = (linear & SOFT_PAGE_MASK) | cpu->tlb_tag;
    entry = soft_tlb_peek(cpu, linear);
    if ((write ? entry->write : entry->read) != want) {
        return NULL;
    }
    *len_bytes = MIN(*len_bytes, (uint64_t)page_bytes_left(linear));
    return (uint8_t *)(linear + entry->addend);
}

/* --- the CPU's own ------------------------------------------------------------------------------------------------ */

uint64_t soft_load_system(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes)
{
    return bank_load(cpu, system_bank(cpu), linear, size_bytes);
}

void soft_store_system(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes, uint64_t value)
{
    bank_store(cpu, system_bank(cpu), linear, size_bytes, value);
}

static SOFT_GUEST_ACCESS void host_or32(void *host, uint32_t set, uint32_t clear)
{
    uint64_t value = *(const soft_guest_u32 *)host;

    while (!soft_host_exchange(host, sizeof(uint32_t), &value, ((uint32_t)value | set) & ~clear)) {
    }
}

void soft_or_system32(struct soft_cpu *cpu, uint64_t linear, uint32_t set, uint32_t clear)
{
    void *host = lock_begin(cpu, system_bank(cpu), linear, sizeof(uint32_t));
    uint32_t value;

    if (host) {
        host_or32(host, set, clear);
        return;
    }
    value = (uint32_t)soft_load_slow(cpu, linear, sizeof(value));
    soft_store_slow(cpu, linear, sizeof(value), (value | set) & ~clear);
    soft_lock_end(cpu);
}
