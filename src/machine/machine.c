/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine's life: see the states in machine.h. Devices, the accelerator, people and signals leave requests in one
 * atomic word; the main loop takes them out and does what they say. Requests of one kind that come before the first is
 * served are one request, so a guest that asks a million times costs no memory.
 *
 * Everything but the request word belongs to the main thread.
 */
#include "machine/machine.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/thread.h"
#include "machine/backends.h"
#include "machine/pc.h"
#include "machine/user_devices.h"
#include "vcpu/vcpu.h"

/* Bits of machine->wanted. */
enum machine_want {
    WANT_QUIT = 1 << 0, /* with exit_status */
    WANT_POWER_OFF = 1 << 1,
    WANT_RESET = 1 << 2,
    WANT_PAUSE = 1 << 3,
    WANT_RESUME = 1 << 4,
    WANT_POWER_BUTTON = 1 << 5,
};

/* How long a write that the accelerator holds back may wait for its device, when nothing else brings it there. */
#define COALESCED_WAIT_NS (20 * NS_PER_MS)

enum { RESET_CONTROL_RESET_CPU = 1 << 2 };

/* wanted, exit_status, is_coalescing: any thread; the flush timer guards itself. The rest: main thread; requests,
 * config: immutable after creation. */
struct machine {
    const struct machine_config *config;
    struct event_loop *loop;
    struct clock host_clock, guest_clock;
    struct machine_requests requests;
    _Atomic uint32_t wanted;
    _Atomic int exit_status;
    struct bh serve, finish_reset;
    struct timer flush; /* armed while is_coalescing; on the guest's clock, so not while it is paused */
    _Atomic bool is_coalescing;
    struct boot_images images;
    struct backends backends;
    struct pc pc;
    bool has_images, has_backends, has_pc;
    bool is_running;
    bool is_resetting, resume_after_reset;
};

/* --- requests, from anywhere ------------------------------------------------------------------------------------ */

static void machine_want(struct machine *machine, enum machine_want want)
{
    /* Release: pairs with the exchange in machine_serve, for exit_status. */
    atomic_fetch_or_explicit(&machine->wanted, want, memory_order_release);
    bh_schedule(&machine->serve);
}

void machine_ask_quit(struct machine *machine)
{
    machine_want(machine, WANT_QUIT);
}

void machine_ask_reset(struct machine *machine)
{
    machine_want(machine, WANT_RESET);
}

void machine_ask_pause(struct machine *machine)
{
    machine_want(machine, WANT_PAUSE);
}

void machine_ask_resume(struct machine *machine)
{
    machine_want(machine, WANT_RESUME);
}

void machine_ask_power_button(struct machine *machine)
{
    machine_want(machine, WANT_POWER_BUTTON);
}

static void machine_request_cb_reset(void *opaque)
{
    machine_ask_reset(opaque);
}

static void machine_request_cb_shutdown(void *opaque)
{
    machine_want(opaque, WANT_POWER_OFF);
}

static void machine_request_cb_quit(void *opaque)
{
    machine_ask_quit(opaque);
}

static void machine_request_cb_exit(void *opaque, int status)
{
    struct machine *machine = opaque;

    atomic_store_explicit(&machine->exit_status, status, memory_order_relaxed);
    machine_want(machine, WANT_QUIT);
}

/* Port 0xCF9: any thread, in an RCU read section. */
static void machine_reset_control_write(void *opaque, uint8_t value)
{
    if (value & RESET_CONTROL_RESET_CPU) {
        machine_ask_reset(opaque);
    }
}

/* --- writes that the accelerator holds back ---------------------------------------------------------------------- */

static void machine_arm_flush(struct machine *machine)
{
    timer_arm(&machine->flush, clock_now_ns(&machine->guest_clock) + COALESCED_WAIT_NS);
}

/* Main loop, no lock. It isn't cancelled when the last range goes; it fires once more for nothing. */
static void machine_flush(void *opaque)
{
    struct machine *machine = opaque;

    vm_flush_coalesced(machine->pc.vm);
    if (atomic_load_explicit(&machine->is_coalescing, memory_order_relaxed)) {
        machine_arm_flush(machine);
    }
}

/* Any thread, under the map's lock. */
static void machine_coalescing(void *opaque, bool on)
{
    struct machine *machine = opaque;

    atomic_store_explicit(&machine->is_coalescing, on, memory_order_relaxed);
    trace(MACHINE_STATE, "writes are %scoalesced", on ? "" : "not ");
    if (on) {
        machine_arm_flush(machine);
    }
}

/* --- serving them, on the main loop ----------------------------------------------------------------------------- */

static void machine_pause(struct machine *machine)
{
    machine->resume_after_reset = false;
    if (machine->is_running) {
        machine->is_running = false;
        vm_pause(machine->pc.vm);
        vm_flush_coalesced(machine->pc.vm);
        clock_stop(&machine->guest_clock);
        trace(MACHINE_STATE, "paused");
    }
}

static void machine_resume(struct machine *machine)
{
    if (machine->is_resetting) {
        machine->resume_after_reset = true;
    } else if (!machine->is_running) {
        machine->is_running = true;
        clock_start(&machine->guest_clock);
        vm_resume(machine->pc.vm);
        trace(MACHINE_STATE, "running");
    }
}

static void machine_end(struct machine *machine, int status)
{
    machine_pause(machine);
    atomic_store_explicit(&machine->exit_status, status, memory_order_relaxed);
    trace(MACHINE_STATE, "ended with status %d", status);
    event_loop_stop(machine->loop);
}

/*
 * The second half of a reset, once no device has anything in flight that would land in the memory of the next boot.
 * Scheduled by the first half and by every device that finishes its reset.
 */
static void machine_finish_reset(void *opaque)
{
    struct machine *machine = opaque;
    struct error *err = NULL;

    if (!machine->is_resetting || !pc_is_idle(&machine->pc)) {
        return;
    }
    machine->is_resetting = false;
    if (pc_boot(&machine->pc, &machine->images, &err) < 0) {
        error_report(err);
        machine_end(machine, EXIT_FAILURE);
    } else if (machine->resume_after_reset) {
        machine_resume(machine);
    }
}

static void machine_reset(struct machine *machine)
{
    bool resume = machine->is_running || machine->resume_after_reset;
    struct error *err = NULL;

    trace(MACHINE_STATE, "reset");
    machine_pause(machine);
    if (pc_reset(&machine->pc, &err) < 0) {
        error_report(err);
        machine_end(machine, EXIT_FAILURE);
        return;
    }
    machine->is_resetting = true;
    machine->resume_after_reset = resume;
    bh_schedule(&machine->finish_reset);
}

/* Any thread, under a device lock. */
static void machine_device_idle(void *opaque)
{
    struct machine *machine = opaque;

    bh_schedule(&machine->finish_reset);
}

static void machine_serve(void *opaque)
{
    struct machine *machine = opaque;
    uint32_t wanted = atomic_exchange_explicit(&machine->wanted, 0, memory_order_acquire);
    const struct machine_config *config = machine->config;

    if (wanted & WANT_QUIT) {
        machine_end(machine, atomic_load_explicit(&machine->exit_status, memory_order_relaxed));
        return;
    }
    if (wanted & WANT_POWER_OFF) {
        if (config->on_shutdown != CONFIG_ACTION_PAUSE) {
            machine_end(machine, EXIT_SUCCESS);
            return;
        }
        machine_pause(machine);
    }
    if (wanted & WANT_RESET) {
        if (config->on_reboot == CONFIG_ACTION_EXIT) {
            machine_end(machine, EXIT_SUCCESS);
            return;
        }
        machine_reset(machine);
    }
    if (wanted & WANT_PAUSE) {
        machine_pause(machine);
    }
    if (wanted & WANT_RESUME) {
        machine_resume(machine);
    }
    if (wanted & WANT_POWER_BUTTON) {
        acpi_pm_press_power_button(machine->pc.pm);
    }
}

/* The accelerator can't go on: says why, and ends or stays as asked. */
static void machine_failed(struct machine *machine, const struct vm_event *event)
{
    log_info("CPU %u: %s%s%s", event->vcpu_index, event->what, event->report ? "\n" : "",
             event->report ? event->report : "");
    if (machine->config->on_panic == CONFIG_ACTION_PAUSE) {
        machine_pause(machine);
        log_info("the machine stays paused");
    } else {
        machine_end(machine, EXIT_FAILURE);
    }
}

static void machine_vm_event(void *opaque, const struct vm_event *event)
{
    struct machine *machine = opaque;

    trace(MACHINE_STATE, "CPU %u: %s", event->vcpu_index, event->what);
    switch (event->kind) {
    case VM_EVENT_TRIPLE_FAULT:
    case VM_EVENT_GUEST_RESET:
        machine_ask_reset(machine);
        break;
    case VM_EVENT_GUEST_SHUTDOWN:
        machine_want(machine, WANT_POWER_OFF);
        break;
    case VM_EVENT_GUEST_CRASH:
    case VM_EVENT_FAILED:
        machine_failed(machine, event);
        break;
    }
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static int machine_open_images(struct machine *machine, struct error **err)
{
    const struct machine_config *config = machine->config;
    int ret;

    if (!config->kernel) {
        return error_set(err, -EINVAL, "there is nothing to boot: -kernel FILE is needed, as there is no firmware");
    }
    ret = boot_images_open(&machine->images, config->kernel, config->initrd, config->append ? config->append : "", err);
    machine->has_images = ret == 0;
    return ret;
}

/* An accelerator without hardware behind it runs small guests, but gets nowhere with an operating system. */
static void machine_check_accelerator(const struct machine *machine)
{
    char summary[200];

    if (*vm_passed_over(machine->pc.vm)) {
        log_info("%s; using accelerator '%s'", vm_passed_over(machine->pc.vm), vm_accelerator_name(machine->pc.vm));
    }
    if (machine->images.loader->is_operating_system && !vm_is_full_speed(machine->pc.vm, summary, sizeof(summary))) {
        log_warn("%s", summary);
    }
}

static int machine_build(struct machine *machine, struct error **err)
{
    struct chardev_env chardev_env = {
        .loop = machine->loop, .clock = &machine->host_clock, .requests = &machine->requests};
    struct pc_env pc_env = {
        .config = machine->config,
        .loop = machine->loop,
        .host_clock = &machine->host_clock,
        .guest_clock = &machine->guest_clock,
        .requests = &machine->requests,
        .reset_control = {.write = machine_reset_control_write, .opaque = machine},
        .device_idle = machine_device_idle,
        .device_idle_opaque = machine,
        .vm_event = machine_vm_event,
        .vm_event_opaque = machine,
        .coalescing = machine_coalescing,
        .coalescing_opaque = machine,
    };
    int ret;

    ret = machine_open_images(machine, err);
    if (ret < 0) {
        return ret;
    }
    ret = backends_init(&machine->backends, machine->config, &chardev_env, err);
    if (ret < 0) {
        return ret;
    }
    machine->has_backends = true;
    pc_env.chardevs = machine->backends.chardevs;
    ret = pc_init(&machine->pc, &pc_env, err);
    if (ret < 0) {
        return ret;
    }
    machine->has_pc = true;
    ret = user_devices_add(&machine->pc, machine->config, &machine->backends, err);
    ret = ret < 0 ? ret : pc_reset(&machine->pc, err);
    ret = ret < 0 ? ret : pc_boot(&machine->pc, &machine->images, err);
    if (ret < 0) {
        return ret;
    }
    machine_check_accelerator(machine);
    return 0;
}

static void machine_destroy_time(struct machine *machine)
{
    event_loop_destroy(machine->loop);
    clock_destroy(&machine->guest_clock);
    clock_destroy(&machine->host_clock);
}

/* The main loop, the clocks and the timer. */
static int machine_init_time(struct machine *machine, struct error **err)
{
    int ret;

    machine->loop = event_loop_create("main", err);
    if (!machine->loop) {
        return -ENOMEM;
    }
    clock_init_host(&machine->host_clock);
    clock_init_virtual(&machine->guest_clock, &machine->host_clock);
    ret = timer_init(&machine->flush, machine->loop, &machine->guest_clock, machine_flush, machine);
    if (ret < 0) {
        machine_destroy_time(machine);
        return error_set(err, ret, "out of memory");
    }
    return 0;
}

struct machine *machine_create(const struct machine_config *config, struct error **err)
{
    struct machine *machine = calloc(1, sizeof(*machine));

    if (!machine) {
        error_set(err, -ENOMEM, "out of memory");
        return NULL;
    }
    machine->config = config;
    if (machine_init_time(machine, err) < 0) {
        free(machine);
        return NULL;
    }
    bh_init(&machine->serve, machine->loop, machine_serve, machine);
    bh_init(&machine->finish_reset, machine->loop, machine_finish_reset, machine);
    machine->requests = (struct machine_requests){.reset = machine_request_cb_reset,
                                                  .shutdown = machine_request_cb_shutdown,
                                                  .quit = machine_request_cb_quit,
                                                  .exit = machine_request_cb_exit,
                                                  .opaque = machine};
    if (machine_build(machine, err) < 0) {
        machine_destroy(machine);
        return NULL;
    }
    return machine;
}

int machine_run(struct machine *machine)
{
    if (!machine->config->start_paused) {
        machine_resume(machine);
    }
    event_loop_run(machine->loop);
    return atomic_load_explicit(&machine->exit_status, memory_order_relaxed);
}

void machine_destroy(struct machine *machine)
{
    if (!machine) {
        return;
    }
    if (machine->has_pc) {
        machine_pause(machine);
        pc_destroy(&machine->pc);
    }
    if (machine->has_backends) {
        backends_destroy(&machine->backends);
    }
    if (machine->has_images) {
        boot_images_close(&machine->images);
    }
    timer_destroy(&machine->flush);
    bh_destroy(&machine->finish_reset);
    bh_destroy(&machine->serve);
    machine_destroy_time(machine);
    free(machine);
}
