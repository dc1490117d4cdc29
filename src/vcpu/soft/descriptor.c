/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Descriptors and temporary stacks: descriptor.h. Nothing here is kept between instructions.
 *
 * A guest owns its tables: every field may hold anything, and may change between two looks of ours. So a descriptor is
 * read once, and what was checked is the copy.
 */
#include "vcpu/soft/descriptor.h"

#include "vcpu/soft/mem.h"

/* --- reading ------------------------------------------------------------------------------------------------------ */

bool soft_descriptor_read(struct soft_cpu *cpu, uint16_t selector, struct soft_descriptor *descriptor)
{
    const struct cpu_segment *ldt = &cpu->segment[CPU_LDTR];
    bool local = selector & 4;
    uint32_t limit = local ? ldt->limit : cpu->gdt.limit;
    uint64_t base = local ? ldt->base : cpu->gdt.base;

    if (soft_selector_is_null(selector) || (local && ldt->unusable) || (selector | 7u) > limit) {
        return false;
    }
    *descriptor = (struct soft_descriptor){.selector = selector, .address = base + (selector & 0xfff8)};
    descriptor->low = soft_load_system(cpu, descriptor->address, 8);
    return true;
}

bool soft_descriptor_read_high(struct soft_cpu *cpu, struct soft_descriptor *descriptor)
{
    uint32_t limit = descriptor->selector & 4 ? cpu->segment[CPU_LDTR].limit : cpu->gdt.limit;

    if ((descriptor->selector | 7u) + 8 > limit) {
        return false;
    }
    descriptor->high = soft_load_system(cpu, descriptor->address + 8, 8);
    return true;
}

struct cpu_segment soft_descriptor_segment(const struct soft_descriptor *descriptor)
{
    uint64_t low = descriptor->low;
    struct cpu_segment segment = {
        .base = (low >> 16 & 0xffffff) | (low >> 56) << 24,
        .limit = (uint32_t)((low & 0xffff) | (low >> 32 & 0xf0000)),
        .selector = descriptor->selector,
        .type = low >> 40 & 0xf,
        .s = low >> 44 & 1,
        .dpl = low >> 45 & 3,
        .present = low >> 47 & 1,
        .avl = low >> 52 & 1,
        .l = low >> 53 & 1,
        .db = low >> 54 & 1,
        .g = low >> 55 & 1,
    };

    if (segment.g) {
        segment.limit = segment.limit << 12 | 0xfff;
    }
    if (!segment.s) {
        segment.base |= descriptor->high << 32;
    }
    return segment;
}

struct soft_gate soft_descriptor_gate(const struct soft_descriptor *descriptor)
{
    uint64_t low = descriptor->low;
    struct soft_gate gate = {
        .selector = low >> 16 & 0xffff,
        .offset = (low & 0xffff) | (low >> 48) << 16 | descriptor->high << 32,
        .count = low >> 32 & 0x1f,
        .type = low >> 40 & 0x1f, /* with s: a gate has it clear */
        .dpl = low >> 45 & 3,
        .present = low >> 47 & 1,
    };

    return gate;
}

void soft_descriptor_access(struct soft_cpu *cpu, const struct soft_descriptor *descriptor, struct cpu_segment *segment)
{
    if (!(segment->type & SEGMENT_ACCESSED)) {
        soft_or_system32(cpu, descriptor->address + 4, SEGMENT_ACCESSED << 8, 0);
        segment->type |= SEGMENT_ACCESSED;
    }
}

void soft_descriptor_set_busy(struct soft_cpu *cpu, uint64_t address, bool busy)
{
    soft_or_system32(cpu, address + 4, busy ? SYSTEM_BUSY << 8 : 0, busy ? 0 : SYSTEM_BUSY << 8);
}

/* --- checks ------------------------------------------------------------------------------------------------------- */

struct cpu_segment soft_null_segment(uint16_t selector, uint8_t level)
{
    return (struct cpu_segment){.selector = selector, .dpl = level, .unusable = true};
}

void soft_descriptor_need(struct soft_cpu *cpu, uint16_t selector, uint32_t ext, struct soft_descriptor *descriptor)
{
    if (!soft_descriptor_read(cpu, selector, descriptor)) {
        soft_raise_error(cpu, VECTOR_GP, soft_selector_error(selector) | ext);
    }
}

void soft_need_present(struct soft_cpu *cpu, const struct cpu_segment *segment, uint32_t ext)
{
    if (!segment->present) {
        soft_raise_error(cpu, VECTOR_NP, soft_selector_error(segment->selector) | ext);
    }
}

void soft_need_sane_code(struct soft_cpu *cpu, const struct cpu_segment *segment, uint32_t ext)
{
    if (soft_is_long(cpu) && segment->l && segment->db) {
        soft_raise_error(cpu, VECTOR_GP, soft_selector_error(segment->selector) | ext);
    }
}

void soft_need_rip(struct soft_cpu *cpu, const struct cpu_segment *code, uint64_t rip, uint32_t ext)
{
    bool is_64 = soft_is_long(cpu) && code->l;

    if (is_64 ? !soft_is_canonical(rip) : rip > code->limit) {
        soft_raise_error(cpu, VECTOR_GP, ext);
    }
}

struct cpu_segment soft_check_stack_segment(struct soft_cpu *cpu, uint16_t selector, uint8_t level,
                                            enum soft_vector vector, uint32_t ext)
{
    uint32_t error = soft_selector_error(selector) | ext;
    struct soft_descriptor descriptor;
    struct cpu_segment segment;

    if (!soft_descriptor_read(cpu, selector, &descriptor)) {
        soft_raise_error(cpu, vector, error);
    }
    segment = soft_descriptor_segment(&descriptor);
    if ((selector & 3) != level || segment.dpl != level || !soft_segment_is_writable(&segment)) {
        soft_raise_error(cpu, vector, error);
    }
    if (!segment.present) {
        soft_raise_error(cpu, VECTOR_SS, error);
    }
    soft_descriptor_access(cpu, &descriptor, &segment);
    return segment;
}

struct cpu_segment soft_check_data_segment(struct soft_cpu *cpu, uint16_t selector, uint8_t level,
                                           enum soft_vector vector)
{
    struct soft_descriptor descriptor;
    struct cpu_segment segment;

    if (soft_selector_is_null(selector)) {
        return soft_null_segment(selector, 0);
    }
    if (!soft_descriptor_read(cpu, selector, &descriptor)) {
        soft_raise_error(cpu, vector, soft_selector_error(selector));
    }
    segment = soft_descriptor_segment(&descriptor);
    if (!soft_segment_is_readable(&segment) ||
        (!soft_segment_is_conforming(&segment) && (level > segment.dpl || (selector & 3) > segment.dpl))) {
        soft_raise_error(cpu, vector, soft_selector_error(selector));
    }
    soft_need_present(cpu, &segment, 0);
    soft_descriptor_access(cpu, &descriptor, &segment);
    return segment;
}

/* --- commits ------------------------------------------------------------------------------------------------------ */

void soft_enter_code(struct soft_cpu *cpu, const struct cpu_segment *code, uint8_t level, uint64_t rip)
{
    cpu->segment[CPU_CS] = *code;
    cpu->segment[CPU_CS].selector = (code->selector & ~3) | level;
    cpu->next_rip = rip;
    cpu->cpl = level;
    soft_update_mode(cpu);
}

void soft_load_segment_real(struct soft_cpu *cpu, unsigned index, uint16_t selector)
{
    struct cpu_segment *segment = &cpu->segment[index];
    uint32_t limit = segment->limit;
    bool db = segment->db, g = segment->g;
    bool was_null = segment->unusable;

    *segment = cpu_segment_real(selector, index == CPU_CS);
    if (soft_is_vm86(cpu)) {
        segment->dpl = 3;
        segment->type = cpu_segment_real(selector, false).type;
    } else if (!was_null) {
        /* Real mode leaves what protected mode set. */
        segment->limit = limit;
        segment->db = db;
        segment->g = g;
    }
}

void soft_enter_code_real(struct soft_cpu *cpu, uint16_t selector, uint64_t rip)
{
    soft_load_segment_real(cpu, CPU_CS, selector);
    cpu->next_rip = rip;
    soft_update_mode(cpu);
}

void soft_drop_inner_segments(struct soft_cpu *cpu, uint8_t level)
{
    static const uint8_t indices[] = {CPU_ES, CPU_DS, CPU_FS, CPU_GS};

    for (size_t i = 0; i < ARRAY_SIZE(indices); i++) {
        struct cpu_segment *segment = &cpu->segment[indices[i]];

        if (!segment->unusable && segment->dpl < level && !soft_segment_is_conforming(segment)) {
            segment->selector = 0;
            segment->unusable = true;
        }
    }
}

/* --- stacks ------------------------------------------------------------------------------------------------------- */

void soft_stack_begin(const struct soft_cpu *cpu, struct soft_stack *stack, uint32_t ext)
{
    const struct cpu_segment *ss = &cpu->segment[CPU_SS];

    *stack = (struct soft_stack){.segment = *ss, .pointer = cpu->gpr[CPU_RSP], .error = ext};
    stack->mask = soft_is_64(cpu) ? UINT64_MAX : ss->db ? UINT32_MAX : UINT16_MAX;
}

void soft_stack_begin_new(const struct soft_cpu *cpu, struct soft_stack *stack, const struct cpu_segment *segment,
                          uint64_t pointer, bool is_64, uint32_t ext)
{
    *stack = (struct soft_stack){.segment = *segment, .pointer = pointer};
    stack->mask = is_64 ? UINT64_MAX : segment->db ? UINT32_MAX : UINT16_MAX;
    stack->error = soft_selector_error(segment->selector) | ext;
}

static uint64_t stack_linear(struct soft_cpu *cpu, const struct soft_stack *stack, uint64_t offset, unsigned size_bytes,
                             enum soft_access access)
{
    if (stack->mask == UINT64_MAX) {
        if (!soft_is_canonical(offset) || !soft_is_canonical(offset + size_bytes - 1)) {
            soft_raise_error(cpu, VECTOR_SS, stack->error);
        }
        return offset;
    }
    if (!soft_segment_allows(&stack->segment, offset, size_bytes, access, soft_is_protected(cpu))) {
        soft_raise_error(cpu, VECTOR_SS, stack->error);
    }
    return (uint32_t)(stack->segment.base + offset);
}

void soft_stack_skip(struct soft_stack *stack, uint64_t len_bytes)
{
    stack->pointer = (stack->pointer & ~stack->mask) | ((stack->pointer + len_bytes) & stack->mask);
}

void soft_stack_push(struct soft_cpu *cpu, struct soft_stack *stack, unsigned size_bytes, uint64_t value)
{
    struct soft_stack next = *stack;
    uint64_t linear;

    soft_stack_skip(&next, -(uint64_t)size_bytes);
    linear = stack_linear(cpu, stack, next.pointer & stack->mask, size_bytes, SOFT_WRITE);
    if (stack->supervisor) {
        soft_store_system(cpu, linear, size_bytes, value);
    } else {
        soft_store(cpu, linear, size_bytes, value);
    }
    stack->pointer = next.pointer;
}

uint64_t soft_stack_pop(struct soft_cpu *cpu, struct soft_stack *stack, unsigned size_bytes)
{
    uint64_t linear = stack_linear(cpu, stack, stack->pointer & stack->mask, size_bytes, SOFT_READ);
    uint64_t value = soft_load(cpu, linear, size_bytes);

    soft_stack_skip(stack, size_bytes);
    return value;
}

void soft_stack_commit(struct soft_cpu *cpu, const struct soft_stack *stack)
{
    cpu->gpr[CPU_RSP] = stack->mask == UINT64_MAX ? stack->pointer : (uint32_t)stack->pointer;
}
