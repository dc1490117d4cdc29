/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest RAM as KVM's memory slots: a listener that turns RAM ranges of the memory space into slots, and passes
 * coalesced ranges and ioeventfds of both spaces on.
 *
 * Everything here runs under the memory map's lock, on whatever thread commits a change: a vCPU that moves a BAR, too.
 * So nothing waits for a vCPU. Instead a vCPU that trips over a slot which isn't there for a moment tries again
 * (run.c); data accesses find the RAM through dispatch meanwhile.
 *
 * Parts of a RAM range that don't fill a host page get no slot; dispatch serves them.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/log.h"
#include "vcpu/kvm/kvm_vm.h"

#define SLOT_PAGE UINT64_C(4096)

/* The whole pages of a RAM range. False if there are none. */
static bool slot_from_range(const struct flat_range *range, struct kvm_slot *slot)
{
    uint64_t start = ALIGN_UP(range->start, SLOT_PAGE);
    uint64_t end = ALIGN_DOWN(range->last + 1, SLOT_PAGE); /* a RAM range doesn't end at 2^64 */
    uint64_t offset = range->ram_offset + (start - range->start);

    if (start < range->start || end <= start || offset % SLOT_PAGE) {
        return false;
    }
    *slot = (struct kvm_slot){.used = true,
                              .read_only = range->read_only,
                              .start = start,
                              .len_bytes = end - start,
                              .host = range->ram->host + offset};
    return true;
}

static int slot_tell_kvm(struct kvm_vm *kvm, unsigned index, const struct kvm_slot *slot, uint64_t len_bytes)
{
    struct kvm_userspace_memory_region memory = {.slot = index,
                                                 .flags = slot->read_only ? KVM_MEM_READONLY : 0,
                                                 .guest_phys_addr = slot->start,
                                                 .memory_size = len_bytes,
                                                 .userspace_addr = (uintptr_t)slot->host};

    return kvm_ioctl(kvm->fd, KVM_SET_USER_MEMORY_REGION, &memory);
}

/* See kvm_failed_for_slots in run.c. */
static void slots_begin_change(struct kvm_vm *kvm)
{
    if (!kvm->slots_changing) {
        kvm->slots_changing = true;
        atomic_fetch_add_explicit(&kvm->slots_begun, 1, memory_order_release);
    }
}

static void slot_add(struct kvm_vm *kvm, const struct flat_range *range)
{
    struct kvm_slot slot;
    int ret;

    if (!slot_from_range(range, &slot)) {
        return;
    }
    slots_begin_change(kvm);
    for (unsigned i = 0; i < kvm->slot_count; i++) {
        if (!kvm->slots[i].used) {
            ret = slot_tell_kvm(kvm, i, &slot, slot.len_bytes);
            if (ret < 0) {
                log_warn("KVM refuses %" PRIu64 " bytes of '%s' at %#" PRIx64 ": %s", slot.len_bytes,
                         range->region->name, slot.start, strerror(-ret));
                return;
            }
            kvm->slots[i] = slot;
            return;
        }
    }
    log_warn("KVM has no memory slot left for '%s' at %#" PRIx64, range->region->name, slot.start);
}

static void slot_del(struct kvm_vm *kvm, const struct flat_range *range)
{
    struct kvm_slot slot;

    if (!slot_from_range(range, &slot)) {
        return;
    }
    slots_begin_change(kvm);
    for (unsigned i = 0; i < kvm->slot_count; i++) {
        if (kvm->slots[i].used && kvm->slots[i].start == slot.start) {
            slot_tell_kvm(kvm, i, &kvm->slots[i], 0);
            kvm->slots[i].used = false;
            return;
        }
    }
}

/* --- listeners -------------------------------------------------------------------------------------------------- */

static struct kvm_vm *memory_kvm(struct memory_listener *listener)
{
    return container_of(listener, struct kvm_vm, memory_listener);
}

static struct kvm_vm *io_kvm(struct memory_listener *listener)
{
    return container_of(listener, struct kvm_vm, io_listener);
}

static void memory_range_add(struct memory_listener *listener, const struct flat_range *range)
{
    if (range->ram) {
        slot_add(memory_kvm(listener), range);
    } else {
        kvm_coalesced_add(memory_kvm(listener), range, false);
    }
}

static void memory_range_del(struct memory_listener *listener, const struct flat_range *range)
{
    if (range->ram) {
        slot_del(memory_kvm(listener), range);
    } else {
        kvm_coalesced_del(memory_kvm(listener), range, false);
    }
}

static void memory_committed(struct memory_listener *listener)
{
    struct kvm_vm *kvm = memory_kvm(listener);

    if (kvm->slots_changing) {
        kvm->slots_changing = false;
        atomic_fetch_add_explicit(&kvm->slots_done, 1, memory_order_release);
    }
}

static void memory_ioeventfd_add(struct memory_listener *listener, const struct ioeventfd *event)
{
    kvm_ioeventfd_set(memory_kvm(listener), event, false, true);
}

static void memory_ioeventfd_del(struct memory_listener *listener, const struct ioeventfd *event)
{
    kvm_ioeventfd_set(memory_kvm(listener), event, false, false);
}

static void io_range_add(struct memory_listener *listener, const struct flat_range *range)
{
    kvm_coalesced_add(io_kvm(listener), range, true);
}

static void io_range_del(struct memory_listener *listener, const struct flat_range *range)
{
    kvm_coalesced_del(io_kvm(listener), range, true);
}

static void io_ioeventfd_add(struct memory_listener *listener, const struct ioeventfd *event)
{
    kvm_ioeventfd_set(io_kvm(listener), event, true, true);
}

static void io_ioeventfd_del(struct memory_listener *listener, const struct ioeventfd *event)
{
    kvm_ioeventfd_set(io_kvm(listener), event, true, false);
}

int kvm_memory_init(struct kvm_vm *kvm, struct error **err)
{
    const struct vm_config *config = &kvm->common.config;

    kvm->slot_count = kvm_capability(kvm->fd, KVM_CAP_NR_MEMSLOTS);
    kvm->slot_count = kvm->slot_count ? MIN(kvm->slot_count, 512u) : 32;
    kvm->slots = calloc(kvm->slot_count, sizeof(*kvm->slots));
    if (!kvm->slots) {
        return error_set(err, -ENOMEM, "out of memory for memory slots");
    }
    kvm->memory_listener = (struct memory_listener){.range_add = memory_range_add,
                                                    .range_del = memory_range_del,
                                                    .committed = memory_committed,
                                                    .ioeventfd_add = memory_ioeventfd_add,
                                                    .ioeventfd_del = memory_ioeventfd_del};
    kvm->io_listener = (struct memory_listener){.range_add = io_range_add,
                                                .range_del = io_range_del,
                                                .ioeventfd_add = io_ioeventfd_add,
                                                .ioeventfd_del = io_ioeventfd_del};
    address_space_add_listener(config->memory, &kvm->memory_listener);
    address_space_add_listener(config->io, &kvm->io_listener);
    return 0;
}

void kvm_memory_exit(struct kvm_vm *kvm)
{
    address_space_remove_listener(kvm->common.config.io, &kvm->io_listener);
    address_space_remove_listener(kvm->common.config.memory, &kvm->memory_listener);
    free(kvm->slots);
}
