/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a vCPU's thread does about each exit: dispatches accesses, halts, or posts an event and parks. Runs on the
 * vCPU's thread with no lock held.
 *
 * A hostile guest chooses ports, addresses, sizes and repeat counts; the accelerator's counts are bounded by its own
 * buffer, and dispatch checks the rest.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "memory/dispatch.h"
#include "memory/dma.h"
#include "vcpu/accel.h"

#define REPORT_BYTES      4096
#define REPORT_CODE_BYTES 48 /* a third of them before the instruction */

/* Guests and buffers are little-endian, and so are the hosts that run this. */
static uint64_t exit_load(const uint8_t *data, unsigned size_bytes)
{
    uint64_t value = 0;

    memcpy(&value, data, size_bytes);
    return value;
}

static void exit_pio(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    struct address_space *space = vcpu->vm->config.io;
    uint8_t *data = exit->pio.data;
    unsigned size_bytes = exit->pio.size_bytes;

    for (uint32_t i = 0; i < exit->pio.count; i++, data += size_bytes) {
        if (exit->pio.is_write) {
            address_space_write(space, &vcpu->io_cache, exit->pio.port, size_bytes, exit_load(data, size_bytes));
        } else {
            uint64_t value;

            address_space_read(space, &vcpu->io_cache, exit->pio.port, size_bytes, &value);
            memcpy(data, &value, size_bytes);
        }
    }
}

static void exit_mmio(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    struct address_space *space = vcpu->vm->config.memory;
    unsigned size_bytes = exit->mmio.size_bytes;
    uint64_t value;

    if (exit->mmio.is_write) {
        address_space_write(space, &vcpu->memory_cache, exit->mmio.gpa, size_bytes,
                            exit_load(exit->mmio.data, size_bytes));
        return;
    }
    address_space_read(space, &vcpu->memory_cache, exit->mmio.gpa, size_bytes, &value);
    memcpy(exit->mmio.data, &value, size_bytes);
}

/* --- reports ---------------------------------------------------------------------------------------------------- */

static bool report_code_byte(struct vcpu *vcpu, uint64_t linear, uint8_t *byte)
{
    uint64_t gpa;

    return vcpu->vm->ops->vcpu_translate(vcpu, linear, &gpa) &&
           dma_read(vcpu->vm->config.memory, gpa, byte, 1) == ACCESS_OK;
}

/* "Code=... <xx> ..." with the byte at the instruction pointer in brackets and "--" for what can't be read. */
static void report_code(struct vcpu *vcpu, const struct cpu_state *state, char *text, size_t len_bytes)
{
    uint64_t linear = state->segment[CPU_CS].base + state->rip;
    size_t used = snprintf(text, len_bytes, "Code=");

    for (unsigned i = 0; i < REPORT_CODE_BYTES && used + 8 < len_bytes; i++) {
        bool here = i == REPORT_CODE_BYTES / 3;
        uint8_t byte;

        if (report_code_byte(vcpu, linear - REPORT_CODE_BYTES / 3 + i, &byte)) {
            used += snprintf(text + used, len_bytes - used, here ? "<%02x> " : "%02x ", byte);
        } else {
            used += snprintf(text + used, len_bytes - used, here ? "<--> " : "-- ");
        }
    }
    snprintf(text + used, len_bytes - used, "\n");
}

/* NULL when the state can't be had. The caller frees it. */
static char *report_make(struct vcpu *vcpu)
{
    HDL_AUTO_FREE struct cpu_state *state = malloc(sizeof(*state));
    char *text = malloc(REPORT_BYTES);
    int used;

    if (!state || !text || vcpu->vm->ops->vcpu_get_state(vcpu, state, NULL) < 0) {
        free(text);
        return NULL;
    }
    used = cpu_state_format(state, text, REPORT_BYTES);
    if (used < REPORT_BYTES) {
        report_code(vcpu, state, text + used, REPORT_BYTES - used);
    }
    return text;
}

/* --- events ----------------------------------------------------------------------------------------------------- */

void vcpu_post_event(struct vcpu *vcpu, enum vm_event_kind kind, const char *what, bool with_report)
{
    struct vm *vm = vcpu->vm;
    char *report = with_report ? report_make(vcpu) : NULL;
    char *old_report;

    hdl_mutex_lock(&vm->lock);
    old_report = vcpu->posted_report;
    vcpu->posted_report = report;
    snprintf(vcpu->posted_what, sizeof(vcpu->posted_what), "%s", what);
    vcpu->posted = (struct vm_event){.kind = kind, .vcpu_index = vcpu->index};
    vcpu->has_posted = true;
    hdl_mutex_unlock(&vm->lock);
    free(old_report);
    vcpu_set_parked(vcpu, true);
    /* To ourselves: the next turn doesn't enter the guest but stands still. */
    vcpu_request(vcpu, VCPU_REQUEST_PAUSE);
    bh_schedule(&vcpu->post);
}

void vcpu_post_run(void *opaque)
{
    struct vcpu *vcpu = opaque;
    struct vm *vm = vcpu->vm;
    HDL_AUTO_FREE char *report = NULL;
    char what[sizeof(vcpu->posted_what)];
    struct vm_event event;
    bool has_posted;

    /*
     * Whoever resets the vCPU may have done so before this came to its turn: then the event is void, or already the
     * next one. The callback may set the vCPU going as well: from here on only the copy is ours.
     */
    hdl_mutex_lock(&vm->lock);
    has_posted = vcpu->has_posted;
    vcpu->has_posted = false;
    event = vcpu->posted;
    memcpy(what, vcpu->posted_what, sizeof(what));
    report = vcpu->posted_report;
    vcpu->posted_report = NULL;
    hdl_mutex_unlock(&vm->lock);
    if (has_posted) {
        event.what = what;
        event.report = report;
        vm->config.event(vm->config.event_opaque, &event);
    }
}

static const char *exit_system_event_name(enum vm_event_kind kind)
{
    switch (kind) {
    case VM_EVENT_GUEST_RESET:
        return "the guest asked to be reset";
    case VM_EVENT_GUEST_SHUTDOWN:
        return "the guest asked to be shut down";
    case VM_EVENT_GUEST_CRASH:
        return "the guest says that it crashed";
    default:
        return "system event";
    }
}

void vcpu_handle_exit(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    const struct vm_interrupt_source *source = &vcpu->vm->config.interrupts;

    switch (exit->kind) {
    case VCPU_EXIT_PIO:
        exit_pio(vcpu, exit);
        break;
    case VCPU_EXIT_MMIO:
        exit_mmio(vcpu, exit);
        break;
    case VCPU_EXIT_HLT:
        vcpu->halted = true;
        break;
    case VCPU_EXIT_EOI:
        if (source->end_of_interrupt) {
            source->end_of_interrupt(source->opaque, exit->eoi_vector);
        }
        break;
    case VCPU_EXIT_TRIPLE_FAULT:
        vcpu_post_event(vcpu, VM_EVENT_TRIPLE_FAULT, "triple fault", true);
        break;
    case VCPU_EXIT_SYSTEM_EVENT:
        vcpu_post_event(vcpu, exit->system_event, exit_system_event_name(exit->system_event), false);
        break;
    case VCPU_EXIT_FAILED:
        vm_fail(vcpu->vm);
        vcpu_post_event(vcpu, VM_EVENT_FAILED, exit->failure, true);
        break;
    case VCPU_EXIT_INTERRUPTED:
    case VCPU_EXIT_IRQ_WINDOW: /* the next turn offers the interrupt */
    case VCPU_EXIT_AGAIN:
        break;
    }
}
