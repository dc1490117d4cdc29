/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IRET in all modes, and the checks that it shares with RETF (SDM 2, IRET; SDM 3, 20.2.4, 20.3.3).
 *
 * Everything is popped from a copy of the stack and checked; the commit comes last.
 */
#include "vcpu/soft/descriptor.h"
#include "vcpu/soft/far.h"
#include "vcpu/soft/flags.h"
#include "vcpu/soft/mem.h"
#include "vcpu/soft/task.h"

#define FLAGS_ANY  (RFLAGS_ARITHMETIC | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT)
#define FLAGS_HIGH (RFLAGS_RF | RFLAGS_AC | RFLAGS_ID)

struct iret_frame {
    struct soft_stack stack; /* behind what was popped */
    uint64_t rip, flags;
    uint16_t selector;
    unsigned size_bytes;
};

/* --- shared with RETF --------------------------------------------------------------------------------------------- */

struct cpu_segment soft_return_code(struct soft_cpu *cpu, uint16_t selector, struct soft_descriptor *descriptor)
{
    uint8_t level = selector & 3;
    struct cpu_segment code;

    soft_descriptor_need(cpu, selector, 0, descriptor);
    code = soft_descriptor_segment(descriptor);
    if (!soft_segment_is_code(&code) || level < cpu->cpl ||
        (soft_segment_is_conforming(&code) ? code.dpl > level : code.dpl != level)) {
        soft_raise_error(cpu, VECTOR_GP, soft_selector_error(selector));
    }
    soft_need_present(cpu, &code, 0);
    soft_need_sane_code(cpu, &code, 0);
    return code;
}

struct cpu_segment soft_return_stack(struct soft_cpu *cpu, uint16_t selector, uint8_t level,
                                     const struct cpu_segment *code)
{
    if (!soft_selector_is_null(selector)) {
        return soft_check_stack_segment(cpu, selector, level, VECTOR_GP, 0);
    }
    /* 64-bit code needs no stack segment, but at level 3. */
    if (!soft_is_long(cpu) || !code->l || level == 3 || (selector & 3) != level) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
    return soft_null_segment(selector, level);
}

/* --- flags -------------------------------------------------------------------------------------------------------- */

/* Nobody looks at RF while no breakpoint is enabled (debug.c). */
static void iret_set_flags(struct soft_cpu *cpu, uint64_t flags, uint64_t mask)
{
    if (!soft_breakpoints_enabled(cpu)) {
        flags &= ~(uint64_t)RFLAGS_RF;
    }
    soft_set_rflags(cpu, flags, mask);
}

/* Which flags a return may change at the level that it comes from. */
static uint64_t iret_mask(const struct soft_cpu *cpu, unsigned size_bytes)
{
    uint64_t mask = FLAGS_ANY;

    if (size_bytes > 2) {
        mask |= FLAGS_HIGH;
    }
    if (cpu->cpl <= soft_iopl(cpu)) {
        mask |= RFLAGS_IF;
    }
    if (cpu->cpl == 0) {
        mask |= RFLAGS_IOPL;
        mask |= size_bytes > 2 ? RFLAGS_VIF | RFLAGS_VIP : 0;
    }
    return mask;
}

/* --- real and virtual-8086 mode ----------------------------------------------------------------------------------- */

static void iret_jump_real(struct soft_cpu *cpu, const struct iret_frame *frame)
{
    if (frame->rip > cpu->segment[CPU_CS].limit) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
    soft_stack_commit(cpu, &frame->stack);
    soft_enter_code_real(cpu, frame->selector, frame->rip);
}

static void iret_real(struct soft_cpu *cpu, const struct iret_frame *frame)
{
    uint64_t mask = FLAGS_ANY | RFLAGS_IF | RFLAGS_IOPL | (frame->size_bytes > 2 ? FLAGS_HIGH : 0);

    iret_jump_real(cpu, frame);
    iret_set_flags(cpu, frame->flags, mask);
    soft_update_mode(cpu);
}

/* With VME and a low IOPL the program's IF is VIF; the 32-bit form has no such help. */
static void iret_vm86_virtual(struct soft_cpu *cpu, const struct iret_frame *frame)
{
    bool wants_if = frame->flags & RFLAGS_IF;

    if (!(cpu->cr4 & CR4_VME) || frame->size_bytes != 2 || (frame->flags & RFLAGS_TF) ||
        (wants_if && (cpu->rflags & RFLAGS_VIP))) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
    iret_jump_real(cpu, frame);
    iret_set_flags(cpu, frame->flags | (wants_if ? RFLAGS_VIF : 0), FLAGS_ANY | RFLAGS_VIF);
    soft_update_mode(cpu);
}

static void iret_vm86(struct soft_cpu *cpu, const struct iret_frame *frame)
{
    if (soft_iopl(cpu) < 3) {
        iret_vm86_virtual(cpu, frame);
        return;
    }
    iret_jump_real(cpu, frame);
    iret_set_flags(cpu, frame->flags, FLAGS_ANY | RFLAGS_IF | (frame->size_bytes > 2 ? FLAGS_HIGH : 0));
    soft_update_mode(cpu);
}

/* From level 0 of protected mode into a virtual-8086 program. */
static void iret_to_vm86(struct soft_cpu *cpu, struct iret_frame *frame)
{
    static const uint8_t order[] = {CPU_ES, CPU_DS, CPU_FS, CPU_GS};
    uint16_t selectors[ARRAY_SIZE(order)];
    uint32_t esp = (uint32_t)soft_stack_pop(cpu, &frame->stack, 4);
    uint16_t ss = (uint16_t)soft_stack_pop(cpu, &frame->stack, 4);

    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        selectors[i] = (uint16_t)soft_stack_pop(cpu, &frame->stack, 4);
    }
    if (frame->rip > 0xffff) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
    iret_set_flags(cpu, frame->flags,
                   FLAGS_ANY | FLAGS_HIGH | RFLAGS_IF | RFLAGS_IOPL | RFLAGS_VM | RFLAGS_VIF | RFLAGS_VIP);
    cpu->cpl = 3;
    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        soft_load_segment_real(cpu, order[i], selectors[i]);
    }
    soft_load_segment_real(cpu, CPU_SS, ss);
    cpu->gpr[CPU_RSP] = esp;
    soft_enter_code_real(cpu, frame->selector, frame->rip);
}

/* --- protected and long mode -------------------------------------------------------------------------------------- */

static void iret_protected(struct soft_cpu *cpu, struct iret_frame *frame)
{
    uint8_t level = frame->selector & 3;
    struct soft_descriptor descriptor;
    struct cpu_segment code = soft_return_code(cpu, frame->selector, &descriptor);
    /* 64-bit mode always pops the stack, too. */
    bool with_stack = level > cpu->cpl || soft_is_64(cpu);
    uint64_t mask = iret_mask(cpu, frame->size_bytes);
    struct soft_stack next = frame->stack;

    soft_need_rip(cpu, &code, frame->rip, 0);
    if (with_stack) {
        uint64_t pointer = soft_stack_pop(cpu, &frame->stack, frame->size_bytes);
        uint16_t selector = (uint16_t)soft_stack_pop(cpu, &frame->stack, frame->size_bytes);
        struct cpu_segment ss = soft_return_stack(cpu, selector, level, &code);

        soft_stack_begin_new(cpu, &next, &ss, pointer, soft_is_long(cpu) && code.l, 0);
    }
    soft_descriptor_access(cpu, &descriptor, &code);
    cpu->segment[CPU_SS] = next.segment;
    soft_stack_commit(cpu, &next);
    iret_set_flags(cpu, frame->flags, mask);
    if (level > cpu->cpl) {
        soft_drop_inner_segments(cpu, level);
    }
    soft_enter_code(cpu, &code, level, frame->rip);
}

void soft_iret(struct soft_cpu *cpu, unsigned size_bytes)
{
    struct iret_frame frame = {.size_bytes = size_bytes};

    /* Even an IRET that faults lets NMIs in again (SDM 3, 6.7.1). */
    cpu->nmi_masked = false;
    if (soft_is_protected(cpu) && (cpu->rflags & RFLAGS_NT)) {
        if (soft_is_long(cpu)) {
            soft_raise_error(cpu, VECTOR_GP, 0);
        }
        soft_task_return(cpu);
        return;
    }
    soft_stack_begin(cpu, &frame.stack, 0);
    frame.rip = soft_stack_pop(cpu, &frame.stack, size_bytes);
    frame.selector = (uint16_t)soft_stack_pop(cpu, &frame.stack, size_bytes);
    frame.flags = soft_stack_pop(cpu, &frame.stack, size_bytes);
    if (soft_is_vm86(cpu)) {
        iret_vm86(cpu, &frame);
    } else if (!soft_is_protected(cpu)) {
        iret_real(cpu, &frame);
    } else if (size_bytes == 4 && (frame.flags & RFLAGS_VM) && cpu->cpl == 0 && !soft_is_long(cpu)) {
        iret_to_vm86(cpu, &frame);
    } else {
        iret_protected(cpu, &frame);
    }
}
