/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Task state segments (task.h, and the stacks of descriptor.h that stand in them).
 *
 * A switch: read the new TSS; store into the old one; commit; load the new segments, whose faults the new task gets.
 * What is stored into the old TSS before a fault is only what a later switch would store again.
 */
#include "vcpu/soft/task.h"

#include "vcpu/soft/flags.h"
#include "vcpu/soft/mem.h"
#include "vcpu/soft/mmu.h"

#define TASK_GPRS     8
#define TASK_SEGMENTS 6

/* Where things stand in a TSS (SDM 3, figures 7-2 and 7-10). Registers and selectors follow each other. */
struct task_layout {
    uint8_t bytes; /* of a register */
    uint8_t ip, flags, gpr, selectors, selector_count, selector_step, ldt, limit;
};
static const struct task_layout task_layout16 = {2, 0x0e, 0x10, 0x12, 0x22, 4, 2, 0x2a, 0x2b};
static const struct task_layout task_layout32 = {4, 0x20, 0x24, 0x28, 0x48, 6, 4, 0x60, 0x67};
enum { TSS_LINK = 0, TSS32_CR3 = 0x1c, TSS32_TRAP = 0x64 };

/* A task's registers out of its TSS. */
struct task_image {
    uint32_t cr3, eip, eflags, gpr[TASK_GPRS];
    uint16_t selector[TASK_SEGMENTS]; /* in the order of enum cpu_segment_index */
    uint16_t ldt;
    bool trap;
};

static const struct task_layout *task_layout(unsigned type)
{
    return type & SYSTEM_IS_32 ? &task_layout32 : &task_layout16;
}

/* --- stacks ------------------------------------------------------------------------------------------------------- */

/* The address of len_bytes in the present TSS. */
static uint64_t tss_at(struct soft_cpu *cpu, uint32_t offset, unsigned len_bytes, uint32_t ext)
{
    const struct cpu_segment *tr = &cpu->segment[CPU_TR];

    if (tr->unusable || offset + len_bytes - 1 > tr->limit) {
        soft_raise_error(cpu, VECTOR_TS, soft_selector_error(tr->selector) | ext);
    }
    return tr->base + offset;
}

static void tss_stack64(struct soft_cpu *cpu, uint32_t offset, uint8_t level, uint32_t ext, struct soft_stack *stack)
{
    uint64_t pointer = soft_load_system(cpu, tss_at(cpu, offset, 8, ext), 8);
    struct cpu_segment ss = soft_null_segment(level, level);

    soft_stack_begin_new(cpu, stack, &ss, pointer, true, ext);
    stack->supervisor = level != cpu->cpl;
}

void soft_interrupt_stack(struct soft_cpu *cpu, unsigned number, uint8_t level, uint32_t ext, struct soft_stack *stack)
{
    tss_stack64(cpu, 0x24 + (number - 1) * 8, level, ext, stack);
}

void soft_inner_stack(struct soft_cpu *cpu, uint8_t level, uint32_t ext, struct soft_stack *stack)
{
    bool is_32 = cpu->segment[CPU_TR].type & SYSTEM_IS_32;
    unsigned bytes = is_32 ? 4 : 2;
    struct cpu_segment ss;
    uint64_t at, pointer;

    if (soft_is_long(cpu)) {
        tss_stack64(cpu, 4 + level * 8u, level, ext, stack);
        return;
    }
    at = tss_at(cpu, bytes + level * 2u * bytes, bytes + 2, ext);
    pointer = soft_load_system(cpu, at, bytes);
    ss = soft_check_stack_segment(cpu, (uint16_t)soft_load_system(cpu, at + bytes, 2), level, VECTOR_TS, ext);
    soft_stack_begin_new(cpu, stack, &ss, pointer, false, ext);
    stack->supervisor = true;
}

/* --- reading and storing ------------------------------------------------------------------------------------------ */

void soft_task_check_available(struct soft_cpu *cpu, uint16_t selector, uint32_t ext,
                               struct soft_descriptor *descriptor)
{
    struct cpu_segment tss;

    if ((selector & 4) || !soft_descriptor_read(cpu, selector, descriptor)) {
        soft_raise_error(cpu, VECTOR_GP, soft_selector_error(selector) | ext);
    }
    tss = soft_descriptor_segment(descriptor);
    if (tss.s || (tss.type != SYSTEM_TSS && tss.type != SYSTEM_TSS16)) {
        soft_raise_error(cpu, VECTOR_GP, soft_selector_error(selector) | ext);
    }
    soft_need_present(cpu, &tss, ext);
}

static void task_read(struct soft_cpu *cpu, const struct cpu_segment *tss, uint32_t ext, struct task_image *image)
{
    const struct task_layout *layout = task_layout(tss->type);
    uint64_t base = tss->base;

    if (tss->limit < layout->limit) {
        soft_raise_error(cpu, VECTOR_TS, soft_selector_error(tss->selector) | ext);
    }
    *image = (struct task_image){.eip = (uint32_t)soft_load_system(cpu, base + layout->ip, layout->bytes),
                                 .eflags = (uint32_t)soft_load_system(cpu, base + layout->flags, layout->bytes)};
    for (unsigned i = 0; i < TASK_GPRS; i++) {
        image->gpr[i] = (uint32_t)soft_load_system(cpu, base + layout->gpr + i * layout->bytes, layout->bytes);
    }
    for (unsigned i = 0; i < layout->selector_count; i++) {
        image->selector[i] = (uint16_t)soft_load_system(cpu, base + layout->selectors + i * layout->selector_step, 2);
    }
    image->ldt = (uint16_t)soft_load_system(cpu, base + layout->ldt, 2);
    if (tss->type & SYSTEM_IS_32) {
        image->cr3 = (uint32_t)soft_load_system(cpu, base + TSS32_CR3, 4);
        image->trap = soft_load_system(cpu, base + TSS32_TRAP, 2) & 1;
    }
}

static void task_store_old(struct soft_cpu *cpu, const struct soft_task_switch *change)
{
    const struct cpu_segment *tr = &cpu->segment[CPU_TR];
    const struct task_layout *layout = task_layout(tr->type);
    uint64_t flags = change->rflags;

    if (tr->unusable || tr->limit < layout->limit) {
        soft_raise_error(cpu, VECTOR_TS, soft_selector_error(tr->selector) | change->ext);
    }
    if (change->how == SOFT_TASK_RETURN) {
        flags &= ~(uint64_t)RFLAGS_NT;
    }
    soft_store_system(cpu, tr->base + layout->ip, layout->bytes, change->rip);
    soft_store_system(cpu, tr->base + layout->flags, layout->bytes, flags);
    for (unsigned i = 0; i < TASK_GPRS; i++) {
        soft_store_system(cpu, tr->base + layout->gpr + i * layout->bytes, layout->bytes, cpu->gpr[i]);
    }
    for (unsigned i = 0; i < layout->selector_count; i++) {
        soft_store_system(cpu, tr->base + layout->selectors + i * layout->selector_step, 2, cpu->segment[i].selector);
    }
}

/* Busy bits and the link: the last accesses that can fault for the old task. */
static void task_store_links(struct soft_cpu *cpu, const struct soft_task_switch *change, const struct cpu_segment *tss)
{
    const struct cpu_segment *old = &cpu->segment[CPU_TR];

    if (change->how == SOFT_TASK_CALL) {
        soft_store_system(cpu, tss->base + TSS_LINK, 2, old->selector);
    }
    if (change->how != SOFT_TASK_RETURN) {
        soft_descriptor_set_busy(cpu, change->descriptor.address, true);
    }
    if (change->how != SOFT_TASK_CALL) {
        soft_descriptor_set_busy(cpu, cpu->gdt.base + (old->selector & 0xfff8), false);
    }
}

/* --- the new task ------------------------------------------------------------------------------------------------- */

static void task_load_cr3(struct soft_cpu *cpu, uint32_t cr3)
{
    if (!(cpu->cr0 & CR0_PG)) {
        return;
    }
    /* A PAE table that can't be loaded: there is no right answer any more, and the old entries stay. */
    if (!(cpu->cr4 & CR4_PAE) || soft_load_pdptes(cpu, cr3)) {
        cpu->cr3 = cr3;
        soft_tlb_load_cr3(cpu, false);
    }
}

static void task_commit(struct soft_cpu *cpu, const struct soft_task_switch *change, const struct cpu_segment *tss,
                        const struct task_image *image)
{
    uint64_t eflags = image->eflags;

    cpu->segment[CPU_TR] = *tss;
    cpu->segment[CPU_TR].type |= SYSTEM_BUSY;
    cpu->cr0 |= CR0_TS;
    cpu->dr7 &= ~DR7_LOCAL;
    if (tss->type & SYSTEM_IS_32) {
        task_load_cr3(cpu, image->cr3);
    }
    for (unsigned i = 0; i < TASK_GPRS; i++) {
        cpu->gpr[i] = tss->type & SYSTEM_IS_32 ? image->gpr[i] : image->gpr[i] | (cpu->gpr[i] & 0xffff0000);
    }
    if (change->how == SOFT_TASK_CALL) {
        eflags |= RFLAGS_NT;
    }
    soft_set_rflags(cpu, eflags,
                    RFLAGS_ARITHMETIC | RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF |
                        RFLAGS_VM | RFLAGS_AC | RFLAGS_VIF | RFLAGS_VIP | RFLAGS_ID);
    cpu->segment[CPU_LDTR] = soft_null_segment(image->ldt, 0);
    cpu->cpl = soft_is_vm86(cpu) ? 3 : image->selector[CPU_CS] & 3;
    for (unsigned i = 0; i < TASK_SEGMENTS; i++) {
        cpu->segment[i] = soft_null_segment(image->selector[i], i == CPU_SS ? cpu->cpl : 0);
    }
    cpu->shadow = 0;
    cpu->rip = cpu->next_rip = image->eip;
    soft_update_mode(cpu);
}

static void task_load_ldt(struct soft_cpu *cpu, uint16_t selector)
{
    struct soft_descriptor descriptor;
    struct cpu_segment ldt;

    if (soft_selector_is_null(selector)) {
        return;
    }
    if ((selector & 4) || !soft_descriptor_read(cpu, selector, &descriptor)) {
        soft_raise_error(cpu, VECTOR_TS, soft_selector_error(selector));
    }
    ldt = soft_descriptor_segment(&descriptor);
    if (ldt.s || ldt.type != SYSTEM_LDT || !ldt.present) {
        soft_raise_error(cpu, VECTOR_TS, soft_selector_error(selector));
    }
    cpu->segment[CPU_LDTR] = ldt;
}

static void task_load_code(struct soft_cpu *cpu, uint16_t selector)
{
    struct soft_descriptor descriptor;
    struct cpu_segment code = {0};
    bool ok = soft_descriptor_read(cpu, selector, &descriptor);

    if (ok) {
        code = soft_descriptor_segment(&descriptor);
        ok = soft_segment_is_conforming(&code) ? code.dpl <= cpu->cpl
                                               : soft_segment_is_code(&code) && code.dpl == cpu->cpl;
    }
    if (!ok) {
        soft_raise_error(cpu, VECTOR_TS, soft_selector_error(selector));
    }
    soft_need_present(cpu, &code, 0);
    soft_descriptor_access(cpu, &descriptor, &code);
    cpu->segment[CPU_CS] = code;
}

static void task_load_segments(struct soft_cpu *cpu, const struct task_image *image)
{
    static const uint8_t data[] = {CPU_DS, CPU_ES, CPU_FS, CPU_GS};

    if (soft_is_vm86(cpu)) {
        for (unsigned i = 0; i < TASK_SEGMENTS; i++) {
            soft_load_segment_real(cpu, i, image->selector[i]);
            cpu->segment[i].limit = 0xffff;
        }
        soft_update_mode(cpu);
        return;
    }
    task_load_code(cpu, image->selector[CPU_CS]);
    cpu->segment[CPU_SS] = soft_check_stack_segment(cpu, image->selector[CPU_SS], cpu->cpl, VECTOR_TS, 0);
    for (size_t i = 0; i < ARRAY_SIZE(data); i++) {
        cpu->segment[data[i]] = soft_check_data_segment(cpu, image->selector[data[i]], cpu->cpl, VECTOR_TS);
    }
    soft_update_mode(cpu);
}

void soft_task_switch(struct soft_cpu *cpu, const struct soft_task_switch *change)
{
    struct cpu_segment tss = soft_descriptor_segment(&change->descriptor);
    struct task_image image;

    task_read(cpu, &tss, change->ext, &image);
    task_store_old(cpu, change);
    task_store_links(cpu, change, &tss);
    task_commit(cpu, change, &tss, &image);
    task_load_ldt(cpu, image.ldt);
    task_load_segments(cpu, &image);
    if (change->has_error) {
        soft_push(cpu, tss.type & SYSTEM_IS_32 ? 4 : 2, change->error);
    }
    soft_need_rip(cpu, &cpu->segment[CPU_CS], image.eip, 0);
    if (image.trap) {
        soft_deliver_debug_trap(cpu, DR6_BT);
    }
}

void soft_task_return(struct soft_cpu *cpu)
{
    struct soft_task_switch change = {.how = SOFT_TASK_RETURN, .rip = cpu->next_rip, .rflags = soft_rflags(cpu)};
    uint16_t link = (uint16_t)soft_load_system(cpu, tss_at(cpu, TSS_LINK, 2, 0), 2);
    struct cpu_segment tss;

    if ((link & 4) || !soft_descriptor_read(cpu, link, &change.descriptor)) {
        soft_raise_error(cpu, VECTOR_TS, soft_selector_error(link));
    }
    tss = soft_descriptor_segment(&change.descriptor);
    if (tss.s || (tss.type != SYSTEM_TSS_BUSY && tss.type != SYSTEM_TSS16_BUSY)) {
        soft_raise_error(cpu, VECTOR_TS, soft_selector_error(link));
    }
    soft_need_present(cpu, &tss, 0);
    soft_task_switch(cpu, &change);
}
