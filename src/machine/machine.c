/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine's life: see the states in machine.h. Devices, the accelerator, people and signals leave requests in one
 * atomic word; the main loop takes them out and does what they say. Requests of one kind that come before the first is
 * served are one request, so a guest that asks a million times costs no memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/thread.h"
#include "machine/machine_internal.h"
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
    WANT_HOST_RESET = 1 << 6,
};

/* How long a write that the accelerator holds back may wait for its device, when nothing else brings it there. */
#define COALESCED_WAIT_NS (20 * NS_PER_MS)

enum { RESET_CONTROL_RESET_CPU = 1 << 2 };

/* --- requests, from anywhere ------------------------------------------------------------------------------------ */

static void machine_want(struct machine *machine, enum machine_want want)
{
    /* Release: pairs with the exchange in machine_serve, for exit_status. */
    atomic_fetch_or_explicit(&machine->wanted, want, memory_order_release);
    bh_schedule(&machine->serve);
}

void machine_ask_quit(struct machine *machine, const char *why)
{
    atomic_store_explicit(&machine->quit_reason, why, memory_order_relaxed);
    machine_want(machine, WANT_QUIT);
}

void machine_ask_reset(struct machine *machine)
{
    machine_want(machine, WANT_HOST_RESET);
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
    machine_want(opaque, WANT_RESET);
}

static void machine_request_cb_shutdown(void *opaque)
{
    machine_want(opaque, WANT_POWER_OFF);
}

static void machine_request_cb_quit(void *opaque)
{
    machine_ask_quit(opaque, "host-ui");
}

static void machine_request_cb_exit(void *opaque, int status)
{
    struct machine *machine = opaque;

    atomic_store_explicit(&machine->exit_status, status, memory_order_relaxed);
    machine_ask_quit(machine, "guest-shutdown");
}

/* Port 0xCF9: any thread, in an RCU read section. */
static void machine_reset_control_write(void *opaque, uint8_t value)
{
    if (value & RESET_CONTROL_RESET_CPU) {
        machine_want(opaque, WANT_RESET);
    }
}

/* --- writes that the accelerator holds back ---------------------------------------------------------------------- */

static void machine_arm_flush(struct machine *machine)
{
    timer_arm(&machine->flush, clock_now_ns(&machine->guest_clock) + COALESCED_WAIT_NS);
}

/* The devices' loop, no lock. It isn't cancelled when the last range goes; it fires once more for nothing. */
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

/* --- serving them, on the configuration thread ------------------------------------------------------------------ */

void machine_tell(struct machine *machine, const struct machine_event *event)
{
    if (machine->listener.event) {
        machine->listener.event(machine->listener.opaque, event);
    }
}

static void machine_tell_simply(struct machine *machine, enum machine_event_kind kind)
{
    machine_tell(machine, &(struct machine_event){.kind = kind});
}

static void machine_tell_why(struct machine *machine, enum machine_event_kind kind, bool by_guest, const char *reason)
{
    machine_tell(machine, &(struct machine_event){.kind = kind, .by_guest = by_guest, .reason = reason});
}

/* Stands still afterwards; nobody hears of it. */
static void machine_halt(struct machine *machine)
{
    vm_pause(machine->pc.vm);
    vm_flush_coalesced(machine->pc.vm);
    clock_stop(&machine->guest_clock);
}

static void machine_go(struct machine *machine)
{
    clock_start(&machine->guest_clock);
    vm_resume(machine->pc.vm);
}

static void machine_set_state(struct machine *machine, enum machine_state state)
{
    machine->state = state;
    trace(MACHINE_STATE, "%s", machine_state_name(state));
}

/* Stands still in `state`, which isn't RUNNING. */
static void machine_stop_in(struct machine *machine, enum machine_state state)
{
    bool was_running = machine->state == MACHINE_RUNNING;

    machine->resume_after_reset = false;
    if (was_running) {
        machine_halt(machine);
    }
    if (was_running || state != MACHINE_PAUSED) {
        machine_set_state(machine, state);
    }
    if (was_running) {
        machine_tell_simply(machine, MACHINE_EVENT_STOP);
    }
}

void machine_stop(struct machine *machine)
{
    machine_stop_in(machine, MACHINE_PAUSED);
}

int machine_cont(struct machine *machine, struct error **err)
{
    if (!machine->has_pc) {
        return error_set(err, -EOPNOTSUPP, "this machine has no CPU");
    }
    if (machine->is_resetting) {
        machine->resume_after_reset = true;
        return 0;
    }
    if (machine->state == MACHINE_SHUTDOWN || machine->state == MACHINE_INTERNAL_ERROR ||
        machine->state == MACHINE_GUEST_PANICKED) {
        return error_set(err, -EPERM, "Resetting the Virtual Machine is required");
    }
    if (machine->state != MACHINE_RUNNING) {
        machine_set_state(machine, MACHINE_RUNNING);
        machine_tell_simply(machine, MACHINE_EVENT_RESUME);
        machine_go(machine);
    }
    return 0;
}

static void machine_end(struct machine *machine, int status)
{
    if (machine->state == MACHINE_RUNNING) {
        machine_halt(machine);
        machine->state = MACHINE_SHUTDOWN;
    }
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
        return;
    }
    if (machine->resume_after_reset) {
        machine_go(machine);
        machine_set_state(machine, MACHINE_RUNNING);
    }
}

/* What ran goes on afterwards; what had ended is as if it had never run. */
static void machine_reset(struct machine *machine, bool by_guest, const char *reason)
{
    bool resume = machine->state == MACHINE_RUNNING || machine->resume_after_reset;
    struct error *err = NULL;

    trace(MACHINE_STATE, "reset");
    if (machine->state == MACHINE_RUNNING) {
        machine_halt(machine);
    }
    machine->state = machine->state == MACHINE_PRELAUNCH ? MACHINE_PRELAUNCH : MACHINE_PAUSED;
    if (pc_reset(&machine->pc, &err) < 0) {
        error_report(err);
        machine_end(machine, EXIT_FAILURE);
        return;
    }
    machine_tell_why(machine, MACHINE_EVENT_RESET, by_guest, reason);
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

static void machine_serve_quit(struct machine *machine)
{
    const char *reason = atomic_load_explicit(&machine->quit_reason, memory_order_relaxed);

    machine_tell_why(machine, MACHINE_EVENT_SHUTDOWN, strncmp(reason, "guest", 5) == 0, reason);
    machine_end(machine, atomic_load_explicit(&machine->exit_status, memory_order_relaxed));
}

/* Whether the machine goes on existing. */
static bool machine_serve_power_off(struct machine *machine)
{
    machine_tell_why(machine, MACHINE_EVENT_SHUTDOWN, true, "guest-shutdown");
    if (machine->config->on_shutdown != CONFIG_ACTION_PAUSE) {
        machine_end(machine, EXIT_SUCCESS);
        return false;
    }
    machine_stop_in(machine, MACHINE_SHUTDOWN);
    return true;
}

/* The same. */
static bool machine_serve_reset(struct machine *machine, bool by_guest)
{
    const char *reason = by_guest ? "guest-reset" : "host-qmp-system-reset";

    if (machine->config->on_reboot != CONFIG_ACTION_EXIT) {
        machine_reset(machine, by_guest, reason);
        return true;
    }
    machine_tell_why(machine, MACHINE_EVENT_SHUTDOWN, by_guest, reason);
    if (machine->config->on_shutdown == CONFIG_ACTION_PAUSE) {
        machine_stop_in(machine, MACHINE_SHUTDOWN);
        return true;
    }
    machine_end(machine, EXIT_SUCCESS);
    return false;
}

static void machine_serve(void *opaque)
{
    struct machine *machine = opaque;
    uint32_t wanted = atomic_exchange_explicit(&machine->wanted, 0, memory_order_acquire);

    machine_tell_refusals(machine);
    if (wanted & WANT_QUIT) {
        machine_serve_quit(machine);
        return;
    }
    if (!machine->has_pc) {
        return;
    }
    if ((wanted & WANT_POWER_OFF) && !machine_serve_power_off(machine)) {
        return;
    }
    if ((wanted & (WANT_RESET | WANT_HOST_RESET)) && !machine_serve_reset(machine, wanted & WANT_RESET)) {
        return;
    }
    if (wanted & WANT_PAUSE) {
        machine_stop(machine);
    }
    if (wanted & WANT_RESUME) {
        (void)machine_cont(machine, NULL);
    }
    if (wanted & WANT_POWER_BUTTON) {
        machine_tell_simply(machine, MACHINE_EVENT_POWERDOWN);
        acpi_pm_press_power_button(machine->pc.pm);
    }
}

/* The accelerator can't go on: says why, and ends or stays as asked. */
static void machine_failed(struct machine *machine, const struct vm_event *event)
{
    log_info("CPU %u: %s%s%s", event->vcpu_index, event->what, event->report ? "\n" : "",
             event->report ? event->report : "");
    if (event->kind == VM_EVENT_GUEST_CRASH) {
        machine_tell_why(machine, MACHINE_EVENT_GUEST_PANICKED, true,
                         machine->config->on_panic == CONFIG_ACTION_PAUSE ? "pause" : "poweroff");
    }
    if (machine->config->on_panic == CONFIG_ACTION_PAUSE) {
        machine_stop_in(machine, event->kind == VM_EVENT_GUEST_CRASH ? MACHINE_GUEST_PANICKED : MACHINE_INTERNAL_ERROR);
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
        machine_want(machine, WANT_RESET);
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
        .loop = machine->device_loop, .clock = &machine->host_clock, .requests = &machine->requests};
    struct pc_env pc_env = {
        .config = machine->config,
        .loop = machine->loop,
        .device_loop = machine->device_loop,
        .device_listener = {.gone = machine_device_gone, .removed = machine_device_removed, .opaque = machine},
        .hotplug_listener = &machine->hotplug_listener,
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

    ret = machine->config->machine_none ? 0 : machine_open_images(machine, err);
    if (ret < 0) {
        return ret;
    }
    ret = backends_init(&machine->backends, machine->config, &chardev_env, machine->loop, err);
    if (ret < 0) {
        return ret;
    }
    machine->has_backends = true;
    if (machine->config->machine_none) {
        return 0;
    }
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

/* Whatever of it there is. */
static void machine_destroy_time(struct machine *machine)
{
    if (machine->has_device_thread) {
        event_loop_stop_thread(machine->device_loop);
    }
    timer_destroy(&machine->flush);
    event_loop_destroy(machine->device_loop);
    event_loop_destroy(machine->loop);
    clock_destroy(&machine->guest_clock);
    clock_destroy(&machine->host_clock);
}

/* The loops, the devices' thread, the clocks and the timer. */
static int machine_init_time(struct machine *machine, struct error **err)
{
    int ret = -ENOMEM;

    clock_init_host(&machine->host_clock);
    clock_init_virtual(&machine->guest_clock, &machine->host_clock);
    machine->loop = event_loop_create("main", err);
    machine->device_loop = machine->loop ? event_loop_create("devices", err) : NULL;
    if (machine->device_loop) {
        ret = timer_init(&machine->flush, machine->device_loop, &machine->guest_clock, machine_flush, machine);
        ret = ret < 0 ? error_set(err, ret, "out of memory") : event_loop_start_thread(machine->device_loop, err);
    }
    machine->has_device_thread = ret == 0;
    if (ret < 0) {
        machine_destroy_time(machine);
    }
    return ret;
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
    machine->quit_reason = "host-signal";
    machine->hotplug_listener = (struct pci_hotplug_listener){.refused = machine_device_refused, .opaque = machine};
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
    if (!machine->config->start_paused && machine->has_pc) {
        (void)machine_cont(machine, NULL);
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
        machine_stop(machine);
        pc_destroy(&machine->pc);
    }
    if (machine->has_backends) {
        backends_destroy(&machine->backends);
    }
    if (machine->has_images) {
        boot_images_close(&machine->images);
    }
    bh_destroy(&machine->finish_reset);
    bh_destroy(&machine->serve);
    machine_destroy_time(machine);
    free(machine);
}

/* --- for monitors ----------------------------------------------------------------------------------------------- */

enum machine_state machine_state(const struct machine *machine)
{
    return machine->state;
}

const char *machine_state_name(enum machine_state state)
{
    static const char *const names[] = {
        [MACHINE_PRELAUNCH] = "prelaunch",
        [MACHINE_RUNNING] = "running",
        [MACHINE_PAUSED] = "paused",
        [MACHINE_SHUTDOWN] = "shutdown",
        [MACHINE_INTERNAL_ERROR] = "internal-error",
        [MACHINE_GUEST_PANICKED] = "guest-panicked",
    };

    return names[state];
}

int machine_inject_nmi(struct machine *machine, struct error **err)
{
    if (!machine->has_pc) {
        return error_set(err, -ENODEV, "this machine has no CPU");
    }
    for (unsigned i = 0; i < machine->config->cpus; i++) {
        vcpu_nmi(machine->pc.vm->vcpus[i]);
    }
    return 0;
}

const struct machine_config *machine_config_of(const struct machine *machine)
{
    return machine->config;
}

struct pc *machine_pc(struct machine *machine)
{
    return machine->has_pc ? &machine->pc : NULL;
}

struct backends *machine_backends(struct machine *machine)
{
    return &machine->backends;
}

struct event_loop *machine_loop(struct machine *machine)
{
    return machine->loop;
}

void machine_set_listener(struct machine *machine, const struct machine_listener *listener)
{
    machine->listener = listener ? *listener : (struct machine_listener){0};
}
