/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What machine.c and machine_devices.c share. Private. */
#ifndef HDL_MACHINE_MACHINE_INTERNAL_H
#define HDL_MACHINE_MACHINE_INTERNAL_H

#include <stdatomic.h>

#include "hw/pci/pci_hotplug.h"
#include "machine/boot/boot.h"
#include "machine/machine.h"

/*
 * wanted, exit_status, quit_reason, is_coalescing, refused: any thread; the flush timer guards itself. requests,
 * config, loops, hotplug_listener: immutable after creation. The rest: configuration thread.
 */
struct machine {
    const struct machine_config *config;
    struct event_loop *loop;        /* the configuration thread's */
    struct event_loop *device_loop; /* the devices' common one, with a thread of its own */
    struct clock host_clock, guest_clock;
    struct machine_requests requests;
    struct pci_hotplug_listener hotplug_listener;
    struct machine_listener listener;
    _Atomic uint32_t wanted;
    _Atomic int exit_status;
    const char *_Atomic quit_reason;
    struct bh serve, finish_reset;
    struct timer flush; /* armed while is_coalescing; on the guest's clock, so not while it is paused */
    _Atomic bool is_coalescing;
    struct boot_images images;
    struct backends backends;
    struct pc pc;
    bool has_images, has_backends, has_pc, has_device_thread;
    enum machine_state state;
    bool is_resetting, resume_after_reset;
};

/* event->reason NULL is allowed where the kind has none. */
void machine_tell(struct machine *machine, const struct machine_event *event);

/* --- machine_devices.c ------------------------------------------------------------------------------------------ */

/* For pc_env.device_listener; opaque: the machine. */
void machine_device_gone(void *opaque, const struct machine_device *entry);
void machine_device_removed(void *opaque, const struct machine_device *entry);
/* For the hot-plug listener: any thread, under the controller's lock. */
void machine_device_refused(void *opaque, struct device *device);
/* Configuration thread: passes on what machine_device_refused noted. */
void machine_tell_refusals(struct machine *machine);

#endif
