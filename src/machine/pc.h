/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The PC's board: address spaces, RAM, the accelerator's VM, the ISA wiring, PCI, and the devices soldered to it. */
#ifndef HDL_MACHINE_PC_H
#define HDL_MACHINE_PC_H

#include "device/device.h"
#include "machine/device_set.h"
#include "hw/acpi/pci_hotplug.h"
#include "hw/acpi/pm.h"
#include "hw/isa.h"
#include "hw/misc/fw_cfg.h"
#include "hw/pci/pci_host.h"
#include "hw/pci/pci_hotplug.h"
#include "hw/timer/hpet.h"
#include "hw/timer/rtc.h"
#include "machine/boot/boot.h"
#include "machine/config.h"
#include "machine/pc_intc.h"
#include "memory/address_space.h"
#include "vcpu/vm.h"

/* What the board gets from the machine. Everything outlives it. */
struct pc_env {
    const struct machine_config *config;
    struct event_loop *loop;        /* the configuration thread's */
    struct event_loop *device_loop; /* of all devices that have none of their own; its thread runs */
    struct device_set_listener device_listener;
    const struct pci_hotplug_listener *hotplug_listener;
    struct clock *host_clock, *guest_clock;
    const struct machine_requests *requests;
    struct chardev_table *chardevs;
    struct pci_reset_control reset_control;
    /* Any thread, under device locks: a device may have finished its reset. */
    void (*device_idle)(void *opaque);
    void *device_idle_opaque;
    /* See vm.h. */
    void (*vm_event)(void *opaque, const struct vm_event *event);
    void *vm_event_opaque;
    void (*coalescing)(void *opaque, bool on);
    void *coalescing_opaque;
};

/* Everything: configuration thread; immutable between init and destroy, but for devices, which lock themselves. */
struct pc {
    struct pc_env env;
    struct memory_map map;
    struct region memory_root, io_root, pci_memory;
    struct address_space memory, io;
    struct ram_block *ram;
    struct region ram_low, ram_high;
    uint64_t low_bytes, high_bytes;
    uint64_t window64_start;
    struct vm *vm;
    bool has_pci;
    struct device_lock legacy_lock; /* synchronises itself; of regions only, so no work is ever left over on it */
    struct isa_bus isa;
    struct pc_intc intc;
    struct pci_host pci;
    struct acpi_pm *pm;
    struct acpi_pci_hotplug *hotplug; /* of the root bus */
    struct rtc *rtc;
    struct device_set devices;
};

/* Builds the board, with vCPUs and fixed devices. On failure nothing is left behind. No lock held. */
int pc_init(struct pc *pc, const struct pc_env *env, struct error **err);
/* Unplugs every device, ends the vCPUs, frees. The VM is paused; the configuration thread's loop is polled meanwhile.
 */
void pc_destroy(struct pc *pc);

/*
 * Realizes a created device and keeps it (its reference passes to the board, also on failure, when it is dropped). An
 * ISA device is on the board's ISA bus; a PCI device on the root bus, unless it was attached to another.
 */
int pc_add_device(struct pc *pc, struct device *device, struct error **err);
/* The bus of that name ("pcie.0", "pci.0", or a port's id), the root bus if it is NULL. NULL and an error if none is.
 */
struct pci_bus *pc_find_pci_bus(struct pc *pc, const char *name, struct error **err);
/* As it, for a device that somebody asked for: see device_set_add. */
int pc_add_user_device(struct pc *pc, const struct machine_device *entry, struct error **err);

/*
 * Power-on: ACPI tables, boot images, PCI addresses, and the boot processor's registers. The VM is paused, reset, and
 * so are the devices.
 */
int pc_boot(struct pc *pc, const struct boot_images *images, struct error **err);
/*
 * Devices, buses, vCPUs and interrupt controllers as at power-on. The VM is paused. Boot once pc_is_idle: until then a
 * device may still write what the guest had asked for into memory; env.device_idle tells when to look again.
 */
int pc_reset(struct pc *pc, struct error **err);
bool pc_is_idle(struct pc *pc);

#endif
