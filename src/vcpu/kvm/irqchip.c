/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KVM's interrupt controllers: their creation and reset, interrupt lines, message-signalled interrupts and irqfds.
 *
 * Setting a line and sending a message are single ioctls and take no lock of ours. Only the routing table has one (of
 * INTC rank, so legal under device locks): KVM takes the table whole, and changes must not overtake each other.
 *
 * Routes 0..23 are the fixed wiring of a PC; those behind are given out to messages. When the machine has the I/O APIC,
 * 0..23 are the messages of its level-triggered pins: nobody sends them by these routes, but KVM finds in them the
 * vectors whose end of interrupt it has to report.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "vcpu/kvm/kvm_vm.h"

#define PIC_PINS 16

/* --- routing table ---------------------------------------------------------------------------------------------- */

static void routes_append(struct kvm_irq_routing *table, struct kvm_irq_routing_entry entry)
{
    table->entries[table->nr++] = entry;
}

static void routes_append_pin(struct kvm_irq_routing *table, unsigned gsi, unsigned chip, unsigned pin)
{
    routes_append(table, (struct kvm_irq_routing_entry){
                             .gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = {.irqchip = chip, .pin = pin}});
}

/* A PC's wires. ISA interrupt 0 is on the IOAPIC's pin 2, where the PIC's cascade has no use for one. */
static void routes_append_fixed(struct kvm_irq_routing *table)
{
    for (unsigned gsi = 0; gsi < PIC_PINS; gsi++) {
        if (gsi != 2) {
            routes_append_pin(table, gsi, gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, gsi % 8);
        }
    }
    for (unsigned gsi = 0; gsi < KVM_GSI_PINS; gsi++) {
        if (gsi != 2) {
            routes_append_pin(table, gsi, KVM_IRQCHIP_IOAPIC, gsi == 0 ? 2 : gsi);
        }
    }
}

static bool routes_is_used_locked(struct kvm_vm *kvm, unsigned route) HDL_REQUIRES(&kvm->routes.lock)
{
    return kvm->routes.used[route / 32] >> (route % 32) & 1;
}

static int routes_commit_locked(struct kvm_vm *kvm) HDL_REQUIRES(&kvm->routes.lock)
{
    struct kvm_irq_routing *table = kvm->routes.table;

    table->nr = 0;
    table->flags = 0;
    if (kvm->common.config.irqchip == VM_IRQCHIP_KERNEL) {
        routes_append_fixed(table);
    }
    /* The first ones are in use only where the machine has the I/O APIC. */
    for (unsigned route = 0; route < kvm->routes.max; route++) {
        const struct msi_message *message = &kvm->routes.messages[route];

        if (routes_is_used_locked(kvm, route)) {
            routes_append(table, (struct kvm_irq_routing_entry){.gsi = route,
                                                                .type = KVM_IRQ_ROUTING_MSI,
                                                                .u.msi = {.address_lo = (uint32_t)message->address,
                                                                          .address_hi = message->address >> 32,
                                                                          .data = message->data}});
        }
    }
    return kvm_ioctl(kvm->fd, KVM_SET_GSI_ROUTING, table);
}

static void routes_set_used_locked(struct kvm_vm *kvm, unsigned route, bool used) HDL_REQUIRES(&kvm->routes.lock)
{
    uint32_t *word = &kvm->routes.used[route / 32];

    if (used) {
        *word |= UINT32_C(1) << (route % 32);
    } else {
        *word &= ~(UINT32_C(1) << (route % 32));
    }
}

/* --- messages --------------------------------------------------------------------------------------------------- */

static struct kvm_vm *msi_kvm(struct msi_target *target)
{
    return container_of(target, struct kvm_vm, msi);
}

static int kvm_msi_send(struct msi_target *target, struct msi_message message)
{
    struct kvm_msi msi = {
        .address_lo = (uint32_t)message.address, .address_hi = message.address >> 32, .data = message.data};
    int ret = kvm_ioctl(msi_kvm(target)->fd, KVM_SIGNAL_MSI, &msi);

    /* 0: the guest blocked it, which is the guest's business. */
    return ret < 0 ? ret : 0;
}

static int kvm_msi_route_add_locked(struct kvm_vm *kvm, struct msi_message message) HDL_REQUIRES(&kvm->routes.lock)
{
    for (unsigned route = KVM_GSI_PINS; route < kvm->routes.max; route++) {
        if (!routes_is_used_locked(kvm, route)) {
            int ret;

            routes_set_used_locked(kvm, route, true);
            kvm->routes.messages[route] = message;
            ret = routes_commit_locked(kvm);
            if (ret < 0) {
                routes_set_used_locked(kvm, route, false);
                return ret;
            }
            return (int)route;
        }
    }
    return -ENOSPC;
}

static int kvm_msi_route_add(struct msi_target *target, struct msi_message message)
{
    struct kvm_vm *kvm = msi_kvm(target);
    int ret;

    hdl_mutex_lock(&kvm->routes.lock);
    ret = kvm_msi_route_add_locked(kvm, message);
    hdl_mutex_unlock(&kvm->routes.lock);
    trace(IRQ_ROUTE, "route %d: %#llx %#x", ret, (unsigned long long)message.address, message.data);
    return ret;
}

static int kvm_msi_route_update(struct msi_target *target, int route, struct msi_message message)
{
    struct kvm_vm *kvm = msi_kvm(target);
    struct msi_message *stored;
    int ret = 0;

    hdl_mutex_lock(&kvm->routes.lock);
    stored = &kvm->routes.messages[route];
    if (stored->address != message.address || stored->data != message.data) {
        struct msi_message old = *stored;

        *stored = message;
        ret = routes_commit_locked(kvm);
        if (ret < 0) {
            *stored = old;
        }
    }
    hdl_mutex_unlock(&kvm->routes.lock);
    return ret;
}

static void kvm_msi_route_remove(struct msi_target *target, int route)
{
    struct kvm_vm *kvm = msi_kvm(target);

    hdl_mutex_lock(&kvm->routes.lock);
    routes_set_used_locked(kvm, route, false);
    routes_commit_locked(kvm);
    hdl_mutex_unlock(&kvm->routes.lock);
}

static int kvm_msi_pin_set_locked(struct kvm_vm *kvm, unsigned pin, const struct msi_message *message)
    HDL_REQUIRES(&kvm->routes.lock)
{
    struct msi_message *stored = &kvm->routes.messages[pin];
    bool was_used = routes_is_used_locked(kvm, pin);

    if (message ? was_used && stored->address == message->address && stored->data == message->data : !was_used) {
        return 0;
    }
    if (message) {
        *stored = *message;
    }
    routes_set_used_locked(kvm, pin, message);
    return routes_commit_locked(kvm);
}

static int kvm_msi_pin_set(struct msi_target *target, unsigned pin, const struct msi_message *message)
{
    struct kvm_vm *kvm = msi_kvm(target);
    int ret;

    if (kvm->common.config.irqchip != VM_IRQCHIP_SPLIT || pin >= MIN(kvm->routes.max, (unsigned)KVM_GSI_PINS)) {
        return -ENOTSUP;
    }
    hdl_mutex_lock(&kvm->routes.lock);
    ret = kvm_msi_pin_set_locked(kvm, pin, message);
    hdl_mutex_unlock(&kvm->routes.lock);
    trace(IRQ_ROUTE, "pin %u: %d", pin, ret);
    return ret;
}

static int kvm_irqfd(struct kvm_vm *kvm, unsigned gsi, int event_fd, int resample_fd, bool on)
{
    struct kvm_irqfd argument = {.fd = event_fd, .gsi = gsi, .flags = on ? 0 : KVM_IRQFD_FLAG_DEASSIGN};

    if (on && resample_fd >= 0) {
        argument.flags |= KVM_IRQFD_FLAG_RESAMPLE;
        argument.resamplefd = resample_fd;
    }
    return kvm_ioctl(kvm->fd, KVM_IRQFD, &argument);
}

static int kvm_msi_irqfd_attach(struct msi_target *target, int route, int event_fd)
{
    return kvm_irqfd(msi_kvm(target), route, event_fd, -1, true);
}

static void kvm_msi_irqfd_detach(struct msi_target *target, int route, int event_fd)
{
    kvm_irqfd(msi_kvm(target), route, event_fd, -1, false);
}

static const struct msi_target_ops kvm_msi_ops = {
    .send = kvm_msi_send,
    .route_add = kvm_msi_route_add,
    .route_update = kvm_msi_route_update,
    .route_remove = kvm_msi_route_remove,
    .irqfd_attach = kvm_msi_irqfd_attach,
    .irqfd_detach = kvm_msi_irqfd_detach,
    .pin_set = kvm_msi_pin_set,
};

struct msi_target *kvm_msi_target(struct vm *vm)
{
    return vm->config.irqchip == VM_IRQCHIP_USER ? NULL : &kvm_vm_of(vm)->msi;
}

/* --- lines ------------------------------------------------------------------------------------------------------ */

static void kvm_irq_set(void *opaque, unsigned pin, bool level)
{
    struct kvm_vm *kvm = opaque;
    struct kvm_irq_level argument = {.irq = pin, .level = level};

    kvm_ioctl(kvm->fd, KVM_IRQ_LINE, &argument);
}

struct irq_line kvm_irq_line(struct vm *vm, unsigned gsi)
{
    if (vm->config.irqchip != VM_IRQCHIP_KERNEL || gsi >= KVM_GSI_PINS) {
        return (struct irq_line){0};
    }
    return (struct irq_line){.set = kvm_irq_set, .opaque = kvm_vm_of(vm), .pin = gsi};
}

int kvm_irqfd_attach(struct vm *vm, unsigned gsi, int event_fd, int resample_fd)
{
    if (vm->config.irqchip != VM_IRQCHIP_KERNEL || gsi >= KVM_GSI_PINS) {
        return -ENOTSUP;
    }
    return kvm_irqfd(kvm_vm_of(vm), gsi, event_fd, resample_fd, true);
}

void kvm_irqfd_detach(struct vm *vm, unsigned gsi, int event_fd)
{
    if (vm->config.irqchip == VM_IRQCHIP_KERNEL && gsi < KVM_GSI_PINS) {
        kvm_irqfd(kvm_vm_of(vm), gsi, event_fd, -1, false);
    }
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static int kvm_irqchip_create_kernel(struct kvm_vm *kvm)
{
    struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
    int ret = kvm_ioctl_value(kvm->fd, KVM_CREATE_IRQCHIP, 0);

    if (ret == 0 && kvm->common.config.pit) {
        ret = kvm_ioctl(kvm->fd, KVM_CREATE_PIT2, &pit);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(kvm->initial_chips) && ret == 0; i++) {
        kvm->initial_chips[i].chip_id = i;
        ret = kvm_ioctl(kvm->fd, KVM_GET_IRQCHIP, &kvm->initial_chips[i]);
    }
    if (ret == 0 && kvm->common.config.pit) {
        ret = kvm_ioctl(kvm->fd, KVM_GET_PIT2, &kvm->initial_pit);
    }
    return ret;
}

static int kvm_irqchip_create(struct kvm_vm *kvm)
{
    struct kvm_enable_cap split = {.cap = KVM_CAP_SPLIT_IRQCHIP, .args = {KVM_GSI_PINS}};

    switch (kvm->common.config.irqchip) {
    case VM_IRQCHIP_KERNEL:
        return kvm_irqchip_create_kernel(kvm);
    case VM_IRQCHIP_SPLIT:
        return kvm_ioctl(kvm->fd, KVM_ENABLE_CAP, &split);
    case VM_IRQCHIP_USER:
        break;
    }
    return 0;
}

static HDL_UNSHARED int kvm_routes_init(struct kvm_vm *kvm)
{
    struct kvm_routes *routes = &kvm->routes;
    int host_max = kvm_capability(kvm->fd, KVM_CAP_IRQ_ROUTING);
    size_t entries;

    routes->max = MIN(host_max > 0 ? (unsigned)host_max : 0u, (unsigned)KVM_ROUTES_MAX);
    entries = routes->max + PIC_PINS + KVM_GSI_PINS;
    routes->table = calloc(1, sizeof(*routes->table) + entries * sizeof(routes->table->entries[0]));
    return routes->table ? 0 : -ENOMEM;
}

int kvm_irqchip_init(struct kvm_vm *kvm, struct error **err)
{
    static const char *const names[] = {"on", "split", "off"};
    int ret = kvm_irqchip_create(kvm);

    if (ret < 0) {
        return error_set(err, ret, "accelerator 'kvm': this host's KVM can't do kernel-irqchip=%s: %s",
                         names[kvm->common.config.irqchip], strerror(-ret));
    }
    kvm->msi.ops = &kvm_msi_ops;
    hdl_mutex_init(&kvm->routes.lock, "kvm routes", LOCK_RANK_INTC);
    ret = kvm_routes_init(kvm);
    if (ret == 0 && kvm->common.config.irqchip != VM_IRQCHIP_USER) {
        hdl_mutex_lock(&kvm->routes.lock);
        ret = routes_commit_locked(kvm);
        hdl_mutex_unlock(&kvm->routes.lock);
    }
    if (ret < 0) {
        kvm_irqchip_exit(kvm);
        return error_set(err, ret, "accelerator 'kvm': can't route interrupts: %s", strerror(-ret));
    }
    return 0;
}

HDL_UNSHARED void kvm_irqchip_exit(struct kvm_vm *kvm)
{
    free(kvm->routes.table);
    kvm->routes.table = NULL;
    hdl_mutex_destroy(&kvm->routes.lock);
}

int kvm_irqchip_reset(struct vm *vm, struct error **err)
{
    struct kvm_vm *kvm = kvm_vm_of(vm);
    int ret = 0;

    if (vm->config.irqchip != VM_IRQCHIP_KERNEL) {
        return 0;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(kvm->initial_chips) && ret == 0; i++) {
        ret = kvm_ioctl(kvm->fd, KVM_SET_IRQCHIP, &kvm->initial_chips[i]);
    }
    if (ret == 0 && vm->config.pit) {
        ret = kvm_ioctl(kvm->fd, KVM_SET_PIT2, &kvm->initial_pit);
    }
    return ret < 0 ? error_set(err, ret, "accelerator 'kvm': can't reset interrupt controllers: %s", strerror(-ret))
                   : 0;
}
