/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dispatch (architecture, invariant 2). An access takes one of two ways:
 *
 *   direct  the address lies in an I/O region and the handler is written for that size: one look-up, one call
 *   pieces  everything else: RAM, holes, redirects, accesses that cross ranges, sizes to be split or widened
 *
 * Both end in the same steps for an I/O region. Those that say "ends the read section" are entered inside one:
 *
 *   locked    reference on the owner -> rcu_read_unlock -> owner's lock -> handler -> unlock -> (wait) -> drop the
 *             reference
 *   lockless  handler -> rcu_read_unlock
 *
 * The reference is what keeps the region's memory after the read section: an owner can't be GONE while anybody is
 * inside. A lockless region's memory is kept by the read section itself.
 *
 * A hostile guest chooses address, size and value freely. It gets all-ones or a dropped write, and a count; it is never
 * asserted against, and what is logged because of it is limited to a line a second.
 */
#include "memory/dispatch.h"

#include <assert.h>
#include <inttypes.h>

#include "device/context.h"
#include "device/device.h"
#include "memory/guest_copy.h"

/* What an address leads to, in a read section. length: how many bytes of the access belong to it. */
struct dispatch_target {
    const struct flat_range *range; /* NULL: nothing */
    uint64_t offset;                /* in the range */
    unsigned length;
};

static inline uint64_t value_mask(unsigned size_bytes)
{
    return UINT64_MAX >> (64 - 8 * size_bytes);
}

/* --- failures --------------------------------------------------------------------------------------------------- */

static __attribute__((noinline, cold)) void dispatch_account(struct address_space *space, uint64_t address,
                                                             unsigned size_bytes, bool is_write,
                                                             enum access_result result)
{
    struct memory_map *map = space->map;

    switch (result) {
    case ACCESS_OK:
    case ACCESS_WAIT:
        return;
    case ACCESS_UNASSIGNED:
        atomic_fetch_add_explicit(&map->unassigned_accesses, 1, memory_order_relaxed);
        break;
    case ACCESS_REFUSED:
        atomic_fetch_add_explicit(&map->refused_accesses, 1, memory_order_relaxed);
        break;
    case ACCESS_REENTRANT:
        atomic_fetch_add_explicit(&map->reentrant_accesses, 1, memory_order_relaxed);
        trace(MEMORY_REENTRY, "%s: %s of %u at 0x%" PRIx64, space->name, is_write ? "write" : "read", size_bytes,
              address);
        log_warn_limited(&map->reentrant_limit,
                         "%s: a device's handler reached an I/O region at 0x%" PRIx64 "; refused", space->name,
                         address);
        return;
    }
    trace(MEMORY_UNASSIGNED, "%s: %s of %u at 0x%" PRIx64 ": %s", space->name, is_write ? "write" : "read", size_bytes,
          address, result == ACCESS_REFUSED ? "refused" : "nothing there");
}

/* --- handlers --------------------------------------------------------------------------------------------------- */

/*
 * One call of a handler, of a size that it is written for. The only place where the ops table is called: its handlers
 * run under the owner's lock, which the analysis can't see through function pointers.
 */
static inline __attribute__((always_inline)) enum access_result
region_call(const struct region *region, uint64_t offset, unsigned size_bytes, uint64_t *value, bool is_write)
{
    const struct region_ops *ops = region->ops;
    enum access_result result = ACCESS_REFUSED;

    if (is_write) {
        return likely(ops->write) ? ops->write(region->opaque, offset, size_bytes, *value) : ACCESS_REFUSED;
    }
    if (likely(ops->read)) {
        *value = 0;
        result = ops->read(region->opaque, offset, size_bytes, value);
    }
    *value = (likely(result == ACCESS_OK || result == ACCESS_WAIT) ? *value : UINT64_MAX) & value_mask(size_bytes);
    return result;
}

/* What several handlers of one region said: the first failure; but none makes a wait unnecessary. */
static inline enum access_result access_combine(enum access_result before, enum access_result result)
{
    return before == ACCESS_OK || result == ACCESS_WAIT ? result : before;
}

static inline unsigned size_or(unsigned size_bytes, unsigned default_bytes)
{
    return size_bytes ? size_bytes : default_bytes;
}

/* The largest power of two that fits into len_bytes, from 1 up to max_bytes, and divides address if `aligned`. */
static unsigned largest_size(uint64_t address, unsigned len_bytes, unsigned max_bytes, bool aligned)
{
    unsigned size_bytes = max_bytes;

    while (size_bytes > len_bytes || (aligned && address % size_bytes != 0)) {
        size_bytes /= 2;
    }
    return size_bytes;
}

static bool region_allows(const struct region *region, uint64_t offset, unsigned size_bytes)
{
    const struct access_sizes *valid = &region->ops->valid;

    return size_bytes >= size_or(valid->min, 1) && size_bytes <= size_or(valid->max, 8) &&
           (valid->unaligned || offset % size_bytes == 0);
}

/*
 * A unit that the handler can be called with, and which of its bytes are the access's: `used` bytes from `skip` on.
 */
struct impl_unit {
    uint64_t offset;
    unsigned size, skip, used;
};

/* The first unit for len_bytes at offset. */
static struct impl_unit impl_unit_next(const struct access_sizes *impl, uint64_t offset, unsigned len_bytes)
{
    unsigned min = size_or(impl->min, 1);
    struct impl_unit unit = {.offset = offset};

    unit.size = largest_size(offset, len_bytes, size_or(impl->max, 4), !impl->unaligned);
    unit.used = unit.size;
    if (unit.size < min) {
        unit.offset = ALIGN_DOWN(offset, (uint64_t)min);
        unit.size = min;
        unit.skip = (unsigned)(offset - unit.offset);
        unit.used = MIN(len_bytes, min - unit.skip);
    }
    return unit;
}

static enum access_result impl_unit_read(const struct region *region, const struct impl_unit *unit, uint64_t *value)
{
    uint64_t whole;
    enum access_result result = region_call(region, unit->offset, unit->size, &whole, false);

    *value = whole >> (8 * unit->skip) & value_mask(unit->used);
    return result;
}

static enum access_result impl_unit_write(const struct region *region, const struct impl_unit *unit, uint64_t value)
{
    uint64_t mask = value_mask(unit->used) << (8 * unit->skip);
    uint64_t whole = 0;

    if (unit->used < unit->size && region_call(region, unit->offset, unit->size, &whole, false) == ACCESS_REFUSED) {
        return ACCESS_REFUSED;
    }
    whole = (whole & ~mask) | (value << (8 * unit->skip) & mask);
    return region_call(region, unit->offset, unit->size, &whole, true);
}

/* An access that the guest may make, in units that the handler is written for. */
static enum access_result region_adapt(const struct region *region, uint64_t offset, unsigned len_bytes,
                                       uint64_t *value, bool is_write)
{
    enum access_result first_failure = ACCESS_OK;
    uint64_t whole = 0;

    for (unsigned done = 0; done < len_bytes;) {
        struct impl_unit unit = impl_unit_next(&region->ops->impl, offset + done, len_bytes - done);
        enum access_result result;
        uint64_t part;

        if (is_write) {
            result = impl_unit_write(region, &unit, *value >> (8 * done));
        } else {
            result = impl_unit_read(region, &unit, &part);
            whole |= part << (8 * done);
        }
        first_failure = access_combine(first_failure, result);
        done += unit.used;
    }
    if (!is_write) {
        *value = whole;
    }
    return first_failure;
}

/* Any access inside a region: 3, 5, 6 and 7 bytes are taken as aligned powers of two, each of which must be valid. */
static enum access_result region_access(const struct region *region, uint64_t offset, unsigned len_bytes,
                                        uint64_t *value, bool is_write)
{
    enum access_result first_failure = ACCESS_OK;
    bool is_power = (len_bytes & (len_bytes - 1)) == 0;
    uint64_t whole = 0;

    for (unsigned done = 0; done < len_bytes;) {
        unsigned size = is_power ? len_bytes : largest_size(offset + done, len_bytes - done, 8, true);
        uint64_t part = is_write ? *value >> (8 * done) & value_mask(size) : value_mask(size);
        enum access_result result = ACCESS_REFUSED;

        if (region_allows(region, offset + done, size)) {
            result = region_adapt(region, offset + done, size, &part, is_write);
        }
        first_failure = access_combine(first_failure, result);
        whole |= part << (8 * done);
        done += size;
    }
    if (!is_write) {
        *value = whole;
    }
    return first_failure;
}

/* direct: the size is one of region->direct_sizes and aligned. */
static inline __attribute__((always_inline)) enum access_result region_run(const struct region *region, uint64_t offset,
                                                                           unsigned len_bytes, uint64_t *value,
                                                                           bool is_write, bool direct)
{
    return direct ? region_call(region, offset, len_bytes, value, is_write)
                  : region_access(region, offset, len_bytes, value, is_write);
}

/* Ends the read section. On a failure before the handler, *value is left alone. */
static inline __attribute__((always_inline)) enum access_result dispatch_io(const struct region *region,
                                                                            uint64_t offset, unsigned len_bytes,
                                                                            uint64_t *value, bool is_write, bool direct)
{
    struct device_lock *lock = region->lock;
    struct device *owner = region->owner;
    enum access_result result;

    if (unlikely(device_context_is_inside())) {
        hdl_rcu_read_unlock();
        return ACCESS_REENTRANT;
    }
    if (!lock) {
        /* An owner that leaves gets no new accesses; a grace period later none is inside. */
        if (owner && unlikely(gate_is_shut(&owner->access))) {
            hdl_rcu_read_unlock();
            return ACCESS_UNASSIGNED;
        }
        device_context_enter();
        result = region_run(region, offset, len_bytes, value, is_write, direct);
        device_context_leave();
        hdl_rcu_read_unlock();
        return result;
    }
    if (unlikely(!device_tryget(owner))) {
        hdl_rcu_read_unlock();
        return ACCESS_UNASSIGNED;
    }
    hdl_rcu_read_unlock();
    device_lock_acquire_for(lock, &region->name);
    if (unlikely(atomic_load_explicit(&owner->write_buffer, memory_order_relaxed)) && lock == owner->lock) {
        device_flush_writes(owner);
    }
    result = region_run(region, offset, len_bytes, value, is_write, direct);
    device_lock_release(lock);
    if (unlikely(result == ACCESS_WAIT)) {
        region->ops->wait(region->opaque);
        result = ACCESS_OK;
    }
    device_release_access(owner);
    return result;
}

/* --- pieces ----------------------------------------------------------------------------------------------------- */

static struct dispatch_target target_find(struct address_space *space, struct flat_cache *cache, uint64_t address,
                                          unsigned len_bytes)
{
    const struct flat_view *view = hdl_rcu_dereference(&space->view);
    const struct flat_range *range = flat_view_find(view, cache, address);
    struct dispatch_target target = {.range = range};

    if (range) {
        target.offset = address - range->start;
        target.length = (unsigned)MIN(range->last - address, (uint64_t)len_bytes - 1) + 1;
    } else {
        /* The whole hole at once: if it were looked at again, half an access could find what came meanwhile. */
        target.length = (unsigned)flat_view_hole_bytes(view, address, len_bytes);
    }
    return target;
}

/* As target_find, through at most one redirect. */
static struct dispatch_target target_resolve(struct address_space *space, struct flat_cache *cache, uint64_t address,
                                             unsigned len_bytes)
{
    struct dispatch_target target = target_find(space, cache, address, len_bytes);
    struct region *region;

    if (!target.range || target.range->region->kind != REGION_REDIRECT) {
        return target;
    }
    region = target.range->region;
    if (!region->redirect(region->opaque, target.range->region_offset + target.offset, &space, &address)) {
        target.range = NULL;
        return target;
    }
    target = target_find(space, NULL, address, target.length);
    if (target.range && target.range->region->kind == REGION_REDIRECT) {
        target.range = NULL;
    }
    return target;
}

static enum access_result dispatch_ram(const struct dispatch_target *target, uint64_t *value, bool is_write)
{
    const struct flat_range *range = target->range;
    uint8_t *guest = range->ram->host + range->ram_offset + target->offset;

    if (!is_write) {
        *value = 0;
        guest_copy_from(value, guest, target->length);
        return ACCESS_OK;
    }
    if (range->read_only) {
        return ACCESS_REFUSED;
    }
    guest_copy_to(guest, value, target->length);
    ram_block_written(range->ram, guest, target->length);
    return ACCESS_OK;
}

/*
 * The first piece of an access: all bytes that lead to the same place. *length tells how many. A read leaves *value
 * alone if it fails before any handler.
 */
static enum access_result dispatch_piece(struct address_space *space, struct flat_cache *cache, uint64_t address,
                                         unsigned len_bytes, uint64_t *value, bool is_write, unsigned *length)
{
    struct dispatch_target target;
    enum access_result result;

    hdl_rcu_read_lock();
    target = target_resolve(space, cache, address, len_bytes);
    *length = target.length;
    if (!target.range) {
        hdl_rcu_read_unlock();
        return ACCESS_UNASSIGNED;
    }
    if (!target.range->ram) {
        return dispatch_io(target.range->region, target.range->region_offset + target.offset, target.length, value,
                           is_write, false);
    }
    result = dispatch_ram(&target, value, is_write);
    hdl_rcu_read_unlock();
    return result;
}

static __attribute__((noinline)) enum access_result dispatch_pieces(struct address_space *space,
                                                                    struct flat_cache *cache, uint64_t address,
                                                                    unsigned size_bytes, uint64_t *value, bool is_write)
{
    enum access_result first_failure = ACCESS_OK;
    uint64_t whole = UINT64_MAX;
    unsigned length;

    for (unsigned done = 0; done < size_bytes; done += length) {
        uint64_t part = is_write ? *value >> (8 * done) : UINT64_MAX;
        enum access_result result = ACCESS_UNASSIGNED;
        uint64_t mask;

        length = 1;
        /* What lies past 2^64 isn't there. */
        if (address + done >= address) {
            result = dispatch_piece(space, cache, address + done, size_bytes - done, &part, is_write, &length);
        }
        if (first_failure == ACCESS_OK) {
            first_failure = result;
        }
        mask = value_mask(length) << (8 * done);
        whole = (whole & ~mask) | (part << (8 * done) & mask);
    }
    if (!is_write) {
        *value = whole & value_mask(size_bytes);
    }
    dispatch_account(space, address, size_bytes, is_write, first_failure);
    return first_failure;
}

/* --- accesses --------------------------------------------------------------------------------------------------- */

static inline bool range_is_direct(const struct flat_range *range, uint64_t address, unsigned size_bytes)
{
    const struct region *region = range->region;

    /* 3, 5, 6 and 7 have more than one bit, of which alignment (a power of two) alone can't tell. */
    return (region->direct_sizes & size_bytes) && (size_bytes & (size_bytes - 1)) == 0 &&
           range->last - address >= size_bytes - 1 &&
           ((range->region_offset + (address - range->start)) & (size_bytes - 1)) == 0;
}

static inline __attribute__((always_inline)) enum access_result dispatch_access(struct address_space *space,
                                                                                struct flat_cache *cache,
                                                                                uint64_t address, unsigned size_bytes,
                                                                                uint64_t *value, bool is_write)
{
    const struct flat_range *range;
    enum access_result result;

    assert(size_bytes >= 1 && size_bytes <= 8);
    hdl_rcu_read_lock();
    range = flat_view_find(hdl_rcu_dereference(&space->view), cache, address);
    if (unlikely(!range || !range_is_direct(range, address, size_bytes))) {
        hdl_rcu_read_unlock();
        return dispatch_pieces(space, cache, address, size_bytes, value, is_write);
    }
    result =
        dispatch_io(range->region, range->region_offset + (address - range->start), size_bytes, value, is_write, true);
    if (unlikely(result != ACCESS_OK)) {
        dispatch_account(space, address, size_bytes, is_write, result);
    }
    return result;
}

enum access_result address_space_read(struct address_space *space, struct flat_cache *cache, uint64_t address,
                                      unsigned size_bytes, uint64_t *value)
{
    uint64_t got = value_mask(size_bytes);
    enum access_result result = dispatch_access(space, cache, address, size_bytes, &got, false);

    *value = got;
    return result;
}

enum access_result address_space_write(struct address_space *space, struct flat_cache *cache, uint64_t address,
                                       unsigned size_bytes, uint64_t value)
{
    value &= value_mask(size_bytes);
    return dispatch_access(space, cache, address, size_bytes, &value, true);
}

enum access_result region_write_locked(const struct region *region, uint64_t offset, unsigned size_bytes,
                                       uint64_t value)
{
    return region_access(region, offset, size_bytes, &value, true);
}
