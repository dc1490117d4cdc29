/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Far jumps, calls and returns: to code segments, through call gates, and to tasks (SDM 2, JMP, CALL, RET; SDM 3, 5.8).
 */
#include "vcpu/soft/far.h"

#include "vcpu/soft/descriptor.h"
#include "vcpu/soft/flags.h"
#include "vcpu/soft/mem.h"
#include "vcpu/soft/task.h"

static HDL_NORETURN void far_refuse(struct soft_cpu *cpu, uint16_t selector)
{
    soft_raise_error(cpu, VECTOR_GP, soft_selector_error(selector));
}

/* --- real and virtual-8086 mode ----------------------------------------------------------------------------------- */

static void far_jump_real(struct soft_cpu *cpu, uint16_t selector, uint64_t offset)
{
    if (offset > cpu->segment[CPU_CS].limit) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
    soft_enter_code_real(cpu, selector, offset);
}

/* --- code segments ------------------------------------------------------------------------------------------------ */

static void far_push_return(struct soft_cpu *cpu, struct soft_stack *stack, unsigned size_bytes)
{
    soft_stack_push(cpu, stack, size_bytes, cpu->segment[CPU_CS].selector);
    soft_stack_push(cpu, stack, size_bytes, cpu->next_rip);
}

/* A direct transfer keeps the level. is_call: size_bytes counts. */
static void far_to_code(struct soft_cpu *cpu, const struct soft_descriptor *descriptor, uint64_t offset, bool is_call,
                        unsigned size_bytes)
{
    struct cpu_segment code = soft_descriptor_segment(descriptor);
    struct soft_stack stack;
    bool allowed = soft_segment_is_conforming(&code) ? code.dpl <= cpu->cpl
                                                     : code.dpl == cpu->cpl && (code.selector & 3) <= cpu->cpl;

    if (!allowed) {
        far_refuse(cpu, code.selector);
    }
    soft_need_present(cpu, &code, 0);
    soft_need_sane_code(cpu, &code, 0);
    soft_stack_begin(cpu, &stack, 0);
    if (is_call) {
        far_push_return(cpu, &stack, size_bytes);
    }
    soft_need_rip(cpu, &code, offset, 0);
    soft_descriptor_access(cpu, descriptor, &code);
    if (is_call) {
        soft_stack_commit(cpu, &stack);
    }
    soft_enter_code(cpu, &code, cpu->cpl, offset);
}

/* --- call gates --------------------------------------------------------------------------------------------------- */

/* The gate's target, as far as it is the same for jumps and calls. */
static struct cpu_segment far_gate_target(struct soft_cpu *cpu, const struct soft_gate *gate,
                                          struct soft_descriptor *descriptor)
{
    struct cpu_segment code;

    soft_descriptor_need(cpu, gate->selector, 0, descriptor);
    code = soft_descriptor_segment(descriptor);
    if (!soft_segment_is_code(&code) || code.dpl > cpu->cpl || (soft_is_long(cpu) && (!code.l || code.db))) {
        far_refuse(cpu, gate->selector);
    }
    soft_need_present(cpu, &code, 0);
    soft_need_rip(cpu, &code, gate->offset, 0);
    return code;
}

/* SDM 3, 5.8.5: the old stack's address, and parameters copied from it. */
static void far_push_parameters(struct soft_cpu *cpu, struct soft_stack *stack, const struct soft_gate *gate,
                                unsigned size_bytes)
{
    uint32_t parameters[31];
    struct soft_stack old;

    soft_stack_push(cpu, stack, size_bytes, cpu->segment[CPU_SS].selector);
    soft_stack_push(cpu, stack, size_bytes, cpu->gpr[CPU_RSP]);
    if (size_bytes == 8) {
        return;
    }
    soft_stack_begin(cpu, &old, 0);
    for (unsigned i = 0; i < gate->count; i++) {
        parameters[i] = (uint32_t)soft_stack_pop(cpu, &old, size_bytes);
    }
    for (unsigned i = gate->count; i-- > 0;) {
        soft_stack_push(cpu, stack, size_bytes, parameters[i]);
    }
}

static void far_call_through_gate(struct soft_cpu *cpu, const struct soft_gate *gate)
{
    unsigned size_bytes = soft_is_long(cpu) ? 8 : gate->type & SYSTEM_IS_32 ? 4 : 2;
    struct soft_descriptor descriptor;
    struct cpu_segment code = far_gate_target(cpu, gate, &descriptor);
    uint8_t level = soft_segment_is_conforming(&code) ? cpu->cpl : code.dpl;
    struct soft_stack stack;

    if (level != cpu->cpl) {
        soft_inner_stack(cpu, level, 0, &stack);
        far_push_parameters(cpu, &stack, gate, size_bytes);
    } else {
        soft_stack_begin(cpu, &stack, 0);
    }
    far_push_return(cpu, &stack, size_bytes);
    soft_descriptor_access(cpu, &descriptor, &code);
    if (level != cpu->cpl) {
        cpu->segment[CPU_SS] = stack.segment;
    }
    soft_stack_commit(cpu, &stack);
    soft_enter_code(cpu, &code, level, gate->offset);
}

static void far_jump_through_gate(struct soft_cpu *cpu, const struct soft_gate *gate)
{
    struct soft_descriptor descriptor;
    struct cpu_segment code = far_gate_target(cpu, gate, &descriptor);

    if (!soft_segment_is_conforming(&code) && code.dpl != cpu->cpl) {
        far_refuse(cpu, gate->selector);
    }
    soft_descriptor_access(cpu, &descriptor, &code);
    soft_enter_code(cpu, &code, cpu->cpl, gate->offset);
}

static void far_through_gate(struct soft_cpu *cpu, struct soft_descriptor *descriptor, bool is_call)
{
    struct soft_gate gate;

    /* In long mode the upper half has a type of its own, which must be zero. */
    if (soft_is_long(cpu) && (!soft_descriptor_read_high(cpu, descriptor) || (descriptor->high >> 40 & 0x1f))) {
        far_refuse(cpu, descriptor->selector);
    }
    gate = soft_descriptor_gate(descriptor);
    if (!(gate.type & SYSTEM_IS_32)) {
        gate.offset &= 0xffff;
    }
    if (!gate.present) {
        soft_raise_error(cpu, VECTOR_NP, soft_selector_error(descriptor->selector));
    }
    if (is_call) {
        far_call_through_gate(cpu, &gate);
    } else {
        far_jump_through_gate(cpu, &gate);
    }
}

/* --- tasks -------------------------------------------------------------------------------------------------------- */

static void far_to_task(struct soft_cpu *cpu, uint16_t selector, bool is_call)
{
    struct soft_task_switch change = {
        .how = is_call ? SOFT_TASK_CALL : SOFT_TASK_JUMP, .rip = cpu->next_rip, .rflags = soft_rflags(cpu)};

    soft_task_check_available(cpu, selector, 0, &change.descriptor);
    soft_task_switch(cpu, &change);
}

static void far_through_task_gate(struct soft_cpu *cpu, const struct soft_descriptor *descriptor, bool is_call)
{
    struct soft_gate gate = soft_descriptor_gate(descriptor);

    if (!gate.present) {
        soft_raise_error(cpu, VECTOR_NP, soft_selector_error(descriptor->selector));
    }
    far_to_task(cpu, gate.selector, is_call);
}

/* --- which of them ------------------------------------------------------------------------------------------------ */

static void far_to_system(struct soft_cpu *cpu, struct soft_descriptor *descriptor, bool is_call)
{
    struct cpu_segment system = soft_descriptor_segment(descriptor);

    /* All of them may be used from their own level inwards only. */
    if (system.dpl < cpu->cpl || system.dpl < (descriptor->selector & 3)) {
        far_refuse(cpu, descriptor->selector);
    }
    if (system.type == SYSTEM_CALL_GATE || (system.type == SYSTEM_CALL_GATE16 && !soft_is_long(cpu))) {
        far_through_gate(cpu, descriptor, is_call);
    } else if (system.type == SYSTEM_TASK_GATE && !soft_is_long(cpu)) {
        far_through_task_gate(cpu, descriptor, is_call);
    } else if ((system.type == SYSTEM_TSS || system.type == SYSTEM_TSS16) && !soft_is_long(cpu)) {
        far_to_task(cpu, descriptor->selector, is_call);
    } else {
        far_refuse(cpu, descriptor->selector);
    }
}

static void far_protected(struct soft_cpu *cpu, uint16_t selector, uint64_t offset, bool is_call, unsigned size_bytes)
{
    struct soft_descriptor descriptor;
    struct cpu_segment segment;

    soft_descriptor_need(cpu, selector, 0, &descriptor);
    segment = soft_descriptor_segment(&descriptor);
    if (!segment.s) {
        far_to_system(cpu, &descriptor, is_call);
    } else if (soft_segment_is_code(&segment)) {
        far_to_code(cpu, &descriptor, offset, is_call, size_bytes);
    } else {
        far_refuse(cpu, selector);
    }
}

void soft_far_jump(struct soft_cpu *cpu, uint16_t selector, uint64_t offset)
{
    if (soft_is_protected(cpu)) {
        far_protected(cpu, selector, offset, false, 0);
    } else {
        far_jump_real(cpu, selector, offset);
    }
}

void soft_far_call(struct soft_cpu *cpu, uint16_t selector, uint64_t offset, unsigned size_bytes)
{
    struct soft_stack stack;

    if (soft_is_protected(cpu)) {
        far_protected(cpu, selector, offset, true, size_bytes);
        return;
    }
    soft_stack_begin(cpu, &stack, 0);
    far_push_return(cpu, &stack, size_bytes);
    far_jump_real(cpu, selector, offset);
    soft_stack_commit(cpu, &stack);
}

/* --- returns ------------------------------------------------------------------------------------------------------ */

static void far_return_outer(struct soft_cpu *cpu, struct soft_stack *stack, const struct cpu_segment *code,
                             uint64_t rip, unsigned size_bytes, unsigned skip_bytes)
{
    uint8_t level = code->selector & 3;
    struct soft_stack outer;
    struct cpu_segment ss;
    uint64_t pointer;

    soft_stack_skip(stack, skip_bytes);
    pointer = soft_stack_pop(cpu, stack, size_bytes);
    ss = soft_return_stack(cpu, (uint16_t)soft_stack_pop(cpu, stack, size_bytes), level, code);
    soft_stack_begin_new(cpu, &outer, &ss, pointer, soft_is_long(cpu) && code->l, 0);
    soft_stack_skip(&outer, skip_bytes);
    cpu->segment[CPU_SS] = ss;
    soft_stack_commit(cpu, &outer);
    soft_drop_inner_segments(cpu, level);
    soft_enter_code(cpu, code, level, rip);
}

void soft_far_return(struct soft_cpu *cpu, unsigned size_bytes, unsigned skip_bytes)
{
    struct soft_descriptor descriptor;
    struct cpu_segment code;
    struct soft_stack stack;
    uint64_t rip;
    uint16_t selector;

    soft_stack_begin(cpu, &stack, 0);
    rip = soft_stack_pop(cpu, &stack, size_bytes);
    selector = (uint16_t)soft_stack_pop(cpu, &stack, size_bytes);
    if (!soft_is_protected(cpu)) {
        far_jump_real(cpu, selector, rip);
        soft_stack_skip(&stack, skip_bytes);
        soft_stack_commit(cpu, &stack);
        return;
    }
    code = soft_return_code(cpu, selector, &descriptor);
    soft_need_rip(cpu, &code, rip, 0);
    soft_descriptor_access(cpu, &descriptor, &code);
    if ((selector & 3) > cpu->cpl) {
        far_return_outer(cpu, &stack, &code, rip, size_bytes, skip_bytes);
        return;
    }
    soft_stack_skip(&stack, skip_bytes);
    soft_stack_commit(cpu, &stack);
    soft_enter_code(cpu, &code, cpu->cpl, rip);
}
