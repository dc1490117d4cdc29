/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest writes that signal an eventfd inside KVM, with no exit. Called by the listeners, under the memory map's lock.
 * If KVM refuses one, the write reaches the region's handler instead, which does the same by hand.
 */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "vcpu/kvm/kvm_vm.h"

void kvm_ioeventfd_set(struct kvm_vm *kvm, const struct ioeventfd *event, bool pio, bool on)
{
    struct kvm_ioeventfd argument = {.datamatch = event->data,
                                     .addr = event->address,
                                     .len = event->size_bytes,
                                     .fd = event->event_fd,
                                     .flags = (on ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN) |
                                              (pio ? KVM_IOEVENTFD_FLAG_PIO : 0) |
                                              (event->match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0)};
    int ret;

    if (event->size_bytes == 0 && !kvm->has_any_length_ioeventfd) {
        return;
    }
    ret = kvm_ioctl(kvm->fd, KVM_IOEVENTFD, &argument);
    if (ret < 0 && on) {
        log_warn("KVM refuses an ioeventfd at %#" PRIx64 " (%s); its writes will exit", event->address, strerror(-ret));
    }
}
