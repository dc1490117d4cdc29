/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Coalesced writes. KVM puts guest writes to some ranges into a ring instead of leaving the guest. There is one ring a
 * VM; but its entries are flushed at the device that they are for, before that device's next access, and nowhere else.
 *
 *   - Dispatch, and the device itself, call flush with the device's lock held (device_flush_writes). It takes *this
 *     device's* entries out of the ring, in order, wherever they stand, and runs its handler for each. Nobody else runs
 *     them, since that takes the device's lock: so one device's writes stay in order, and no other device is waited
 * for.
 *   - An entry that was taken stays as a gap (length 0). Gaps at the head are given back to KVM.
 *   - Entries of a device that nobody accesses fill the ring at most; then its writes exit as if there were no ring.
 *     A timer of the machine, which runs while there are zones, has them handed over as deferred work
 *     (vm_flush_coalesced).
 *   - When a range goes away (a BAR moves), writes to it that are still in the ring are lost, as posted writes are that
 *     arrive after the range was switched off.
 *
 * Why entries may be written to: KVM writes only at `last`, and entries between `first` and `last` are the reader's.
 * The lock (a leaf) is held while entries are looked at and copied; never around a handler.
 *
 * A hostile guest chooses addresses, lengths and data of entries only as far as its CPU allows: KVM wrote the entries.
 * The area isn't mapped into the guest. Still, lengths are checked.
 */
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "memory/dispatch.h"
#include "vcpu/kvm/kvm_vm.h"

#define COALESCED_BATCH 16

/* An entry taken out of the ring. */
struct coalesced_write {
    const struct region *region;
    uint64_t offset;
    uint64_t value;
    unsigned size_bytes;
};

static uint32_t ring_first(const struct kvm_coalesced_mmio_ring *ring)
{
    return __atomic_load_n(&ring->first, __ATOMIC_RELAXED);
}

/* Acquire: pairs with KVM's write barrier before it moves `last` behind a new entry. */
static uint32_t ring_last(const struct kvm_coalesced_mmio_ring *ring)
{
    return __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE);
}

static const struct kvm_zone *zone_find_locked(struct kvm_coalesced *coalesced, const struct kvm_coalesced_mmio *entry)
    HDL_REQUIRES(&coalesced->lock)
{
    for (unsigned i = 0; i < KVM_ZONES_MAX; i++) {
        const struct kvm_zone *zone = &coalesced->zones[i];

        if (zone->used && zone->pio == (entry->pio != 0) && entry->phys_addr >= zone->start &&
            entry->phys_addr <= zone->last) {
            return zone;
        }
    }
    return NULL;
}

/* Gives gaps at the head back to KVM. Release: what was read from them was read before. */
static void ring_advance_locked(struct kvm_coalesced *coalesced) HDL_REQUIRES(&coalesced->lock)
{
    struct kvm_coalesced_mmio_ring *ring = coalesced->ring;
    uint32_t first = ring_first(ring);
    uint32_t last = ring_last(ring);

    while (first != last && ring->coalesced_mmio[first].len == 0) {
        first = (first + 1) % coalesced->ring_entries;
    }
    __atomic_store_n(&ring->first, first, __ATOMIC_RELEASE);
}

/* Takes up to COALESCED_BATCH of the device's entries, oldest first. */
static unsigned ring_take(struct kvm_coalesced *coalesced, const struct device *device,
                          struct coalesced_write writes[COALESCED_BATCH])
{
    unsigned count = 0;

    hdl_mutex_lock(&coalesced->lock);
    if (coalesced->ring) {
        uint32_t last = ring_last(coalesced->ring);

        for (uint32_t i = ring_first(coalesced->ring); i != last && count < COALESCED_BATCH;
             i = (i + 1) % coalesced->ring_entries) {
            struct kvm_coalesced_mmio *entry = &coalesced->ring->coalesced_mmio[i];
            const struct kvm_zone *zone = entry->len ? zone_find_locked(coalesced, entry) : NULL;

            if (zone && zone->device == device) {
                struct coalesced_write *write = &writes[count++];

                write->region = zone->region;
                write->offset = zone->region_offset + (entry->phys_addr - zone->start);
                write->size_bytes = MIN(entry->len, (uint32_t)sizeof(entry->data));
                write->value = 0;
                memcpy(&write->value, entry->data, write->size_bytes);
                entry->len = 0;
            }
        }
        ring_advance_locked(coalesced);
    }
    hdl_mutex_unlock(&coalesced->lock);
    return count;
}

static void coalesced_flush(struct device_write_buffer *buffer, struct device *device)
{
    struct kvm_coalesced *coalesced = container_of(buffer, struct kvm_coalesced, buffer);
    struct coalesced_write writes[COALESCED_BATCH];
    unsigned batches = 0;
    unsigned count;

    /* Bounded by the ring's size: a guest that goes on writing meanwhile isn't waited for. */
    do {
        count = ring_take(coalesced, device, writes);
        for (unsigned i = 0; i < count; i++) {
            region_write_locked(writes[i].region, writes[i].offset, writes[i].size_bytes, writes[i].value);
        }
    } while (count == COALESCED_BATCH && ++batches <= 256 / COALESCED_BATCH);
}

/* --- zones ------------------------------------------------------------------------------------------------------ */

static int zone_tell_kvm(struct kvm_vm *kvm, const struct kvm_zone *zone, bool on)
{
    struct kvm_coalesced_mmio_zone argument = {
        .addr = zone->start, .size = (uint32_t)(zone->last - zone->start + 1), .pio = zone->pio};

    return kvm_ioctl(kvm->fd, on ? KVM_REGISTER_COALESCED_MMIO : KVM_UNREGISTER_COALESCED_MMIO, &argument);
}

static bool zone_is_possible(const struct kvm_vm *kvm, const struct flat_range *range, bool pio)
{
    const struct region *region = range->region;

    return region->kind == REGION_IO && (region->flags & REGION_COALESCED) && region->owner &&
           region->lock == region->owner->lock && range->last - range->start < UINT32_MAX &&
           (pio ? kvm->has_coalesced_pio : kvm->coalesced_page != 0);
}

static struct kvm_zone *zone_insert(struct kvm_coalesced *coalesced, const struct flat_range *range, bool pio)
{
    struct kvm_zone *zone = NULL;

    hdl_mutex_lock(&coalesced->lock);
    for (unsigned i = 0; i < KVM_ZONES_MAX && !zone; i++) {
        zone = coalesced->zones[i].used || atomic_load(&coalesced->zones[i].work.queued) ? NULL : &coalesced->zones[i];
    }
    if (zone) {
        zone->pio = pio;
        zone->start = range->start;
        zone->last = range->last;
        zone->region = range->region;
        zone->region_offset = range->region_offset;
        zone->device = range->region->owner;
        zone->used = true;
    }
    hdl_mutex_unlock(&coalesced->lock);
    return zone;
}

static void zone_work(struct device *device, struct device_work *work)
{
    device_flush_writes(device);
}

/* The map's lock keeps the machine's being told in order. */
static void zones_count(struct kvm_vm *kvm, int change)
{
    struct kvm_coalesced *coalesced = &kvm->coalesced;
    const struct vm_config *config = &kvm->common.config;
    bool on = change > 0;
    unsigned count;

    hdl_mutex_lock(&coalesced->lock);
    coalesced->zone_count += (unsigned)change;
    count = coalesced->zone_count;
    hdl_mutex_unlock(&coalesced->lock);
    if (config->coalescing && count == (on ? 1 : 0)) {
        config->coalescing(config->coalescing_opaque, on);
    }
}

void kvm_coalesced_add(struct kvm_vm *kvm, const struct flat_range *range, bool pio)
{
    struct kvm_coalesced *coalesced = &kvm->coalesced;
    struct kvm_zone *zone;

    if (!zone_is_possible(kvm, range, pio)) {
        return;
    }
    zone = zone_insert(coalesced, range, pio);
    if (!zone) {
        return; /* writes exit: slower, nothing else */
    }
    device_work_init(&zone->work, zone->device, zone_work);
    zones_count(kvm, 1);
    /* Release: pairs with device_flush_writes. Before KVM may put anything into the ring. */
    atomic_store_explicit(&zone->device->write_buffer, &coalesced->buffer, memory_order_release);
    if (zone_tell_kvm(kvm, zone, true) < 0) {
        kvm_coalesced_del(kvm, range, pio);
    }
}

/* Drops what is left in the ring for the zone. */
static void zone_drop_entries_locked(struct kvm_coalesced *coalesced, const struct kvm_zone *zone)
    HDL_REQUIRES(&coalesced->lock)
{
    uint32_t last;

    if (!coalesced->ring) {
        return;
    }
    last = ring_last(coalesced->ring);
    for (uint32_t i = ring_first(coalesced->ring); i != last; i = (i + 1) % coalesced->ring_entries) {
        if (zone_find_locked(coalesced, &coalesced->ring->coalesced_mmio[i]) == zone) {
            coalesced->ring->coalesced_mmio[i].len = 0;
        }
    }
    ring_advance_locked(coalesced);
}

static bool device_has_zone_locked(struct kvm_coalesced *coalesced, const struct device *device)
    HDL_REQUIRES(&coalesced->lock)
{
    for (unsigned i = 0; i < KVM_ZONES_MAX; i++) {
        if (coalesced->zones[i].used && coalesced->zones[i].device == device) {
            return true;
        }
    }
    return false;
}

static struct kvm_zone *zone_of_range(struct kvm_coalesced *coalesced, const struct flat_range *range, bool pio)
{
    struct kvm_zone *zone = NULL;

    hdl_mutex_lock(&coalesced->lock);
    for (unsigned i = 0; i < KVM_ZONES_MAX && !zone; i++) {
        struct kvm_zone *candidate = &coalesced->zones[i];

        if (candidate->used && candidate->pio == pio && candidate->start == range->start) {
            zone = candidate;
        }
    }
    hdl_mutex_unlock(&coalesced->lock);
    return zone;
}

void kvm_coalesced_del(struct kvm_vm *kvm, const struct flat_range *range, bool pio)
{
    struct kvm_coalesced *coalesced = &kvm->coalesced;
    struct kvm_zone *zone = zone_of_range(coalesced, range, pio);

    if (!zone) {
        return;
    }
    zone_tell_kvm(kvm, zone, false);
    hdl_mutex_lock(&coalesced->lock);
    zone_drop_entries_locked(coalesced, zone);
    zone->used = false;
    if (!device_has_zone_locked(coalesced, zone->device)) {
        atomic_store_explicit(&zone->device->write_buffer, NULL, memory_order_release);
    }
    hdl_mutex_unlock(&coalesced->lock);
    zones_count(kvm, -1);
}

/* --- for devices that nobody accesses --------------------------------------------------------------------------- */

/* The next zone from *index on that has an entry in the ring, its device held by a reference. NULL: none. */
static struct kvm_zone *zone_next_pending(struct kvm_coalesced *coalesced, unsigned *index)
{
    struct kvm_zone *found = NULL;

    hdl_mutex_lock(&coalesced->lock);
    for (; *index < KVM_ZONES_MAX && !found && coalesced->ring; ++*index) {
        struct kvm_zone *zone = &coalesced->zones[*index];
        uint32_t last = ring_last(coalesced->ring);

        for (uint32_t i = ring_first(coalesced->ring); zone->used && i != last && !found;
             i = (i + 1) % coalesced->ring_entries) {
            const struct kvm_coalesced_mmio *entry = &coalesced->ring->coalesced_mmio[i];

            if (entry->len && zone_find_locked(coalesced, entry) == zone && device_tryget(zone->device)) {
                found = zone;
            }
        }
    }
    hdl_mutex_unlock(&coalesced->lock);
    return found;
}

void kvm_coalesced_flush_all(struct vm *vm)
{
    struct kvm_coalesced *coalesced = &kvm_vm_of(vm)->coalesced;
    unsigned index = 0;
    struct kvm_zone *zone;

    while ((zone = zone_next_pending(coalesced, &index))) {
        struct device *device = zone->work.device;

        device_submit(device, &zone->work);
        device_release_access(device);
    }
}

/* --- life ------------------------------------------------------------------------------------------------------- */

void kvm_coalesced_init(struct kvm_vm *kvm)
{
    kvm->coalesced.buffer.flush = coalesced_flush;
    hdl_mutex_init(&kvm->coalesced.lock, "kvm coalesced ring", LOCK_RANK_LEAF);
}

HDL_UNSHARED void kvm_coalesced_exit(struct kvm_vm *kvm)
{
    if (kvm->coalesced.ring) {
        munmap(kvm->coalesced.ring, sysconf(_SC_PAGESIZE));
    }
    hdl_mutex_destroy(&kvm->coalesced.lock);
}

void kvm_coalesced_set_ring(struct kvm_vm *kvm, int vcpu_fd)
{
    struct kvm_coalesced *coalesced = &kvm->coalesced;
    long page = sysconf(_SC_PAGESIZE);
    void *ring;

    if (!kvm->coalesced_page) {
        return;
    }
    /* All vCPUs show the same page; a mapping of its own outlives the vCPU that it came from. */
    ring = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd, kvm->coalesced_page * page);
    if (ring == MAP_FAILED) {
        log_warn("can't map KVM's ring of coalesced writes");
        return;
    }
    hdl_mutex_lock(&coalesced->lock);
    if (coalesced->ring) {
        munmap(ring, page);
    } else {
        coalesced->ring = ring;
        coalesced->ring_entries = (page - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio);
    }
    hdl_mutex_unlock(&coalesced->lock);
}
