/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events into the guest: the real-mode vector table, the IDT in protected and long mode, and virtual-8086 mode's
 * redirection (SDM 3, 6.10 to 6.14, 20.1, 20.3).
 *
 * Each way reads its gate, checks the handler's code segment and finds a stack; then pushes; then commits. What is
 * pushed before a later push faults lies below the stack pointer that stays, as on hardware.
 */
#include "vcpu/soft/event.h"

#include "vcpu/soft/descriptor.h"
#include "vcpu/soft/flags.h"
#include "vcpu/soft/mem.h"
#include "vcpu/soft/task.h"

/* Bit 0 of an error code: the fault's cause isn't the program (SDM 3, 6.13). */
static uint32_t event_ext(const struct soft_event *event)
{
    return event->is_software ? 0 : 1;
}

/* An error code that names the event's own gate. */
static uint32_t event_gate_error(const struct soft_event *event)
{
    return (uint32_t)event->vector << 3 | 2 | event_ext(event);
}

/* Flags that every handler starts without. */
static void event_clear_flags(struct soft_cpu *cpu, uint64_t mask)
{
    cpu->rflags &= ~mask;
    cpu->shadow = 0;
}

/* --- real mode ---------------------------------------------------------------------------------------------------- */

static void event_push_real(struct soft_cpu *cpu, uint64_t flags, uint64_t rip, uint32_t entry)
{
    struct soft_stack stack;

    soft_stack_begin(cpu, &stack, 0);
    soft_stack_push(cpu, &stack, 2, flags);
    soft_stack_push(cpu, &stack, 2, cpu->segment[CPU_CS].selector);
    soft_stack_push(cpu, &stack, 2, rip);
    soft_stack_commit(cpu, &stack);
    soft_enter_code_real(cpu, entry >> 16, entry & 0xffff);
}

static void event_deliver_real(struct soft_cpu *cpu, const struct soft_event *event)
{
    uint32_t at = event->vector * 4u;
    uint32_t entry;

    if (at + 3 > cpu->idt.limit) {
        soft_raise_error(cpu, VECTOR_GP, event_gate_error(event));
    }
    entry = (uint32_t)soft_load_system(cpu, cpu->idt.base + at, 4);
    event_push_real(cpu, event->rflags, event->rip, entry);
    event_clear_flags(cpu, RFLAGS_IF | RFLAGS_TF | RFLAGS_AC | RFLAGS_RF);
    soft_update_mode(cpu);
}

/* --- gates -------------------------------------------------------------------------------------------------------- */

static bool gate_type_is_known(const struct soft_cpu *cpu, unsigned type)
{
    switch (type) {
    case SYSTEM_INTERRUPT_GATE:
    case SYSTEM_TRAP_GATE:
        return true;
    case SYSTEM_TASK_GATE:
    case SYSTEM_INTERRUPT_GATE16:
    case SYSTEM_TRAP_GATE16:
        return !soft_is_long(cpu);
    default:
        return false;
    }
}

static struct soft_gate event_gate(struct soft_cpu *cpu, const struct soft_event *event)
{
    unsigned bytes = soft_is_long(cpu) ? 16 : 8;
    uint32_t at = event->vector * bytes;
    struct soft_descriptor descriptor = {.address = cpu->idt.base + at};
    struct soft_gate gate;

    if (at + bytes - 1 > cpu->idt.limit) {
        soft_raise_error(cpu, VECTOR_GP, event_gate_error(event));
    }
    descriptor.low = soft_load_system(cpu, descriptor.address, 8);
    if (soft_is_long(cpu)) {
        descriptor.high = (uint32_t)soft_load_system(cpu, descriptor.address + 8, 4);
    }
    gate = soft_descriptor_gate(&descriptor);
    if (!gate_type_is_known(cpu, gate.type) || (event->is_software && gate.dpl < cpu->cpl)) {
        soft_raise_error(cpu, VECTOR_GP, event_gate_error(event));
    }
    if (!gate.present) {
        soft_raise_error(cpu, VECTOR_NP, event_gate_error(event));
    }
    /* A 16-bit gate has no upper half of the offset; what stands there isn't looked at. */
    if (!(gate.type & SYSTEM_IS_32)) {
        gate.offset &= 0xffff;
    }
    return gate;
}

/* The handler's code segment, accessed bit not yet set. */
static struct cpu_segment event_handler(struct soft_cpu *cpu, const struct soft_gate *gate, uint32_t ext,
                                        struct soft_descriptor *descriptor)
{
    uint32_t error = soft_selector_error(gate->selector) | ext;
    struct cpu_segment code;

    soft_descriptor_need(cpu, gate->selector, ext, descriptor);
    code = soft_descriptor_segment(descriptor);
    if (!soft_segment_is_code(&code) || code.dpl > cpu->cpl) {
        soft_raise_error(cpu, VECTOR_GP, error);
    }
    /* Out of virtual-8086 mode there is only the way to level 0. */
    if (soft_is_vm86(cpu) && (soft_segment_is_conforming(&code) || code.dpl != 0)) {
        soft_raise_error(cpu, VECTOR_GP, error);
    }
    if (soft_is_long(cpu) && (!code.l || code.db)) {
        soft_raise_error(cpu, VECTOR_GP, error);
    }
    soft_need_present(cpu, &code, ext);
    soft_need_rip(cpu, &code, gate->offset, ext);
    return code;
}

/* --- frames ------------------------------------------------------------------------------------------------------- */

static void event_push_frame(struct soft_cpu *cpu, const struct soft_event *event, struct soft_stack *stack,
                             unsigned size_bytes, bool with_stack)
{
    static const uint8_t vm86[] = {CPU_GS, CPU_FS, CPU_DS, CPU_ES};

    for (size_t i = 0; i < ARRAY_SIZE(vm86) && soft_is_vm86(cpu); i++) {
        soft_stack_push(cpu, stack, size_bytes, cpu->segment[vm86[i]].selector);
    }
    if (with_stack) {
        soft_stack_push(cpu, stack, size_bytes, cpu->segment[CPU_SS].selector);
        soft_stack_push(cpu, stack, size_bytes, cpu->gpr[CPU_RSP]);
    }
    soft_stack_push(cpu, stack, size_bytes, event->rflags);
    soft_stack_push(cpu, stack, size_bytes, cpu->segment[CPU_CS].selector);
    soft_stack_push(cpu, stack, size_bytes, event->rip);
    if (event->has_error) {
        soft_stack_push(cpu, stack, size_bytes, event->error);
    }
}

/* Everything has been pushed: from here on nothing fails. */
static void event_commit(struct soft_cpu *cpu, const struct soft_gate *gate, const struct cpu_segment *code,
                         const struct soft_stack *stack, uint8_t level)
{
    uint64_t clear = RFLAGS_TF | RFLAGS_VM | RFLAGS_RF | RFLAGS_NT;

    if (soft_is_vm86(cpu)) {
        cpu->segment[CPU_GS] = cpu->segment[CPU_FS] = soft_null_segment(0, 0);
        cpu->segment[CPU_DS] = cpu->segment[CPU_ES] = soft_null_segment(0, 0);
    }
    if (level != cpu->cpl) {
        cpu->segment[CPU_SS] = stack->segment;
    }
    if (!(gate->type & 1)) {
        clear |= RFLAGS_IF;
    }
    event_clear_flags(cpu, clear);
    soft_stack_commit(cpu, stack);
    soft_enter_code(cpu, code, level, gate->offset);
}

static void event_through_gate(struct soft_cpu *cpu, const struct soft_event *event, const struct soft_gate *gate)
{
    uint32_t ext = event_ext(event);
    struct soft_descriptor descriptor;
    struct cpu_segment code = event_handler(cpu, gate, ext, &descriptor);
    uint8_t level = soft_segment_is_conforming(&code) ? cpu->cpl : code.dpl;
    struct soft_stack stack;

    if (level != cpu->cpl) {
        soft_inner_stack(cpu, level, ext, &stack);
    } else {
        soft_stack_begin(cpu, &stack, ext);
    }
    event_push_frame(cpu, event, &stack, gate->type & SYSTEM_IS_32 ? 4 : 2, level != cpu->cpl);
    soft_descriptor_access(cpu, &descriptor, &code);
    event_commit(cpu, gate, &code, &stack, level);
}

/* SDM 3, 6.14: always 64 bits, SS and RSP always pushed, at a multiple of 16. */
static void event_through_long_gate(struct soft_cpu *cpu, const struct soft_event *event, const struct soft_gate *gate)
{
    uint32_t ext = event_ext(event);
    struct soft_descriptor descriptor;
    struct cpu_segment code = event_handler(cpu, gate, ext, &descriptor);
    uint8_t level = soft_segment_is_conforming(&code) ? cpu->cpl : code.dpl;
    struct soft_stack stack;

    if (gate->count & 7) {
        soft_interrupt_stack(cpu, gate->count & 7, level, ext, &stack);
    } else if (level != cpu->cpl) {
        soft_inner_stack(cpu, level, ext, &stack);
    } else {
        soft_stack_begin_new(cpu, &stack, &cpu->segment[CPU_SS], cpu->gpr[CPU_RSP], true, ext);
        stack.error = ext;
    }
    stack.pointer &= ~UINT64_C(15);
    event_push_frame(cpu, event, &stack, 8, true);
    soft_descriptor_access(cpu, &descriptor, &code);
    event_commit(cpu, gate, &code, &stack, level);
}

static void event_through_task_gate(struct soft_cpu *cpu, const struct soft_event *event, const struct soft_gate *gate)
{
    uint32_t ext = event_ext(event);
    struct soft_task_switch change = {.how = SOFT_TASK_CALL, .ext = ext, .rip = event->rip, .rflags = event->rflags};

    soft_task_check_available(cpu, gate->selector, ext, &change.descriptor);
    change.has_error = event->has_error;
    change.error = event->error;
    cpu->shadow = 0;
    soft_task_switch(cpu, &change);
}

void soft_event_deliver(struct soft_cpu *cpu, const struct soft_event *event)
{
    struct soft_gate gate;

    if (!(cpu->cr0 & CR0_PE)) {
        event_deliver_real(cpu, event);
        return;
    }
    gate = event_gate(cpu, event);
    if (gate.type == SYSTEM_TASK_GATE) {
        event_through_task_gate(cpu, event, &gate);
    } else if (soft_is_long(cpu)) {
        event_through_long_gate(cpu, event, &gate);
    } else {
        event_through_gate(cpu, event, &gate);
    }
}

/* --- INT n in virtual-8086 mode ----------------------------------------------------------------------------------- */

/* With VME: the 32 bytes under the I/O permission bitmap have a bit for each vector that protected mode handles. */
static bool vm86_is_redirected(struct soft_cpu *cpu, uint8_t vector)
{
    const struct cpu_segment *tr = &cpu->segment[CPU_TR];
    uint32_t at;

    if (!(cpu->cr4 & CR4_VME)) {
        return false;
    }
    if (!(tr->type & SYSTEM_IS_32) || tr->limit < TSS_IO_BASE + 1) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
    at = (uint32_t)soft_load_system(cpu, tr->base + TSS_IO_BASE, 2) - 32 + vector / 8;
    if (at > tr->limit) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
    return !(soft_load_system(cpu, tr->base + at, 1) >> vector % 8 & 1);
}

void soft_event_software_vm86(struct soft_cpu *cpu, uint8_t vector)
{
    bool virtual_if = soft_iopl(cpu) < 3;
    uint64_t flags = soft_rflags(cpu);
    uint32_t entry;

    if (!vm86_is_redirected(cpu, vector)) {
        if (virtual_if) {
            soft_raise_error(cpu, VECTOR_GP, 0);
        }
        soft_software_interrupt(cpu, vector);
        return;
    }
    if (virtual_if) {
        flags = (flags & ~(uint64_t)RFLAGS_IF) | RFLAGS_IOPL | (flags & RFLAGS_VIF ? RFLAGS_IF : 0);
    }
    /* The program's own table at linear 0: an access of the program's. */
    entry = (uint32_t)soft_load(cpu, vector * 4u, 4);
    event_push_real(cpu, flags, cpu->next_rip, entry);
    event_clear_flags(cpu, RFLAGS_TF | (virtual_if ? RFLAGS_VIF : RFLAGS_IF));
    soft_update_mode(cpu);
    cpu->no_step = true;
}
