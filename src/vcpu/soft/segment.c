/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Segmentation (segment.h): effective and linear addresses, data segment loads, the stack, and the mode bits that
 * decoding depends on. Far transfers are in far.c and iret.c, reading descriptors in descriptor.c.
 *
 * Flat code never comes here for an address: SOFT_MODE_FLAT says that it needn't.
 */
#include "vcpu/soft/segment.h"

#include "vcpu/soft/descriptor.h"
#include "vcpu/soft/mem.h"
#include "vcpu/soft/mmu.h"

/* --- addresses ---------------------------------------------------------------------------------------------------- */

static uint64_t segment_cut(uint64_t value, unsigned size_bytes)
{
    switch (size_bytes) {
    case 2:
        return (uint16_t)value;
    case 4:
        return (uint32_t)value;
    default:
        return value;
    }
}

uint64_t soft_offset(const struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t offset = (uint64_t)(int64_t)insn->disp;

    if (insn->rip_relative) {
        offset += cpu->next_rip;
    }
    if (insn->base != SOFT_NO_REG) {
        offset += cpu->gpr[insn->base];
    }
    if (insn->index != SOFT_NO_REG) {
        offset += cpu->gpr[insn->index] << insn->scale;
    }
    return segment_cut(offset, insn->addr_bytes);
}

bool soft_segment_allows(const struct cpu_segment *segment, uint64_t offset, unsigned size_bytes,
                         enum soft_access access, bool typed)
{
    uint64_t last = offset + size_bytes - 1;
    bool is_code = segment->type & SEGMENT_CODE;

    if (segment->unusable) {
        return false;
    }
    if (typed && (((access & SOFT_WRITE) && (is_code || !(segment->type & SEGMENT_RW))) ||
                  ((access & SOFT_READ) && is_code && !(segment->type & SEGMENT_RW)))) {
        return false;
    }
    if (!is_code && (segment->type & SEGMENT_DOWN_OR_CONFORMING)) {
        return offset > segment->limit && last <= (segment->db ? UINT32_MAX : UINT16_MAX);
    }
    /* Whether an access across 4 GiB faults is the implementation's choice (SDM 3, 5.3): flat code doesn't look. */
    return last <= segment->limit || segment->limit == UINT32_MAX;
}

static HDL_NORETURN void segment_raise(struct soft_cpu *cpu, unsigned segment)
{
    soft_raise_error(cpu, segment == CPU_SS ? VECTOR_SS : VECTOR_GP, 0);
}

uint64_t soft_linear(struct soft_cpu *cpu, unsigned segment, uint64_t offset, unsigned size_bytes,
                     enum soft_access access)
{
    const struct cpu_segment *at = &cpu->segment[segment];

    if (soft_is_64(cpu)) {
        uint64_t linear = segment == CPU_FS || segment == CPU_GS ? at->base + offset : offset;

        if (unlikely(!soft_is_canonical(linear) || !soft_is_canonical(linear + size_bytes - 1))) {
            segment_raise(cpu, segment);
        }
        return linear;
    }
    if (unlikely(!soft_segment_allows(at, offset, size_bytes, access, soft_is_protected(cpu)))) {
        segment_raise(cpu, segment);
    }
    return (uint32_t)(at->base + offset);
}

uint64_t soft_ea(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned size_bytes, enum soft_access access)
{
    return soft_linear(cpu, insn->segment, soft_offset(cpu, insn), size_bytes, access);
}

/* --- mode --------------------------------------------------------------------------------------------------------- */

static bool segment_is_flat(const struct cpu_segment *segment)
{
    return segment->base == 0 && segment->limit == UINT32_MAX && segment->present && !segment->unusable;
}

static bool segments_are_flat(const struct soft_cpu *cpu)
{
    static const uint8_t data[] = {CPU_DS, CPU_ES, CPU_SS};
    const struct cpu_segment *cs = &cpu->segment[CPU_CS];

    for (size_t i = 0; i < ARRAY_SIZE(data); i++) {
        const struct cpu_segment *segment = &cpu->segment[data[i]];

        if (!segment_is_flat(segment) || !soft_segment_is_writable(segment) ||
            (segment->type & SEGMENT_DOWN_OR_CONFORMING)) {
            return false;
        }
    }
    return segment_is_flat(cs) && soft_segment_is_readable(cs);
}

void soft_update_mode(struct soft_cpu *cpu)
{
    const struct cpu_segment *cs = &cpu->segment[CPU_CS];
    uint32_t mode = 0;

    if (soft_is_long(cpu) && cs->l) {
        mode = SOFT_MODE_64 | SOFT_MODE_FLAT;
    } else {
        mode |= cs->db ? SOFT_MODE_32 : 0;
        mode |= cpu->segment[CPU_SS].db ? SOFT_MODE_STACK32 : 0;
        mode |= segments_are_flat(cpu) ? SOFT_MODE_FLAT : 0;
    }
    if ((cpu->cr0 & CR0_PE) && !soft_is_vm86(cpu)) {
        mode |= SOFT_MODE_PROTECTED;
    }
    if ((cpu->rflags & RFLAGS_TF) || cpu->shadow || soft_breakpoints_enabled(cpu)) {
        mode |= SOFT_MODE_ONE;
    }
    cpu->mode = mode | (cpu->cpl == 3 ? SOFT_MODE_USER : 0);
    soft_tlb_select(cpu);
}

void soft_set_cpl(struct soft_cpu *cpu, uint8_t cpl)
{
    cpu->cpl = cpl;
    cpu->mode = (cpu->mode & ~(uint32_t)SOFT_MODE_USER) | (cpl == 3 ? SOFT_MODE_USER : 0);
    soft_tlb_select(cpu);
}

/* --- loading a data segment --------------------------------------------------------------------------------------- */

/* In 64-bit mode the inner levels may have no stack segment (SDM 2, MOV). */
static bool segment_may_null_stack(const struct soft_cpu *cpu, uint16_t selector)
{
    return soft_is_64(cpu) && cpu->cpl < 3 && (selector & 3) == cpu->cpl;
}

static struct cpu_segment segment_check(struct soft_cpu *cpu, unsigned index, uint16_t selector)
{
    if (index != CPU_SS) {
        return soft_check_data_segment(cpu, selector, cpu->cpl, VECTOR_GP);
    }
    if (soft_selector_is_null(selector)) {
        if (!segment_may_null_stack(cpu, selector)) {
            soft_raise_error(cpu, VECTOR_GP, 0);
        }
        return soft_null_segment(selector, cpu->cpl);
    }
    return soft_check_stack_segment(cpu, selector, cpu->cpl, VECTOR_GP, 0);
}

void soft_load_segment(struct soft_cpu *cpu, unsigned index, uint16_t selector)
{
    if (soft_is_protected(cpu)) {
        cpu->segment[index] = segment_check(cpu, index, selector);
    } else {
        soft_load_segment_real(cpu, index, selector);
    }
    if (index != CPU_FS && index != CPU_GS) {
        soft_update_mode(cpu);
    }
}

/* --- the stack ---------------------------------------------------------------------------------------------------- */

static unsigned stack_bytes(const struct soft_cpu *cpu)
{
    return soft_is_64(cpu) ? 8 : cpu->segment[CPU_SS].db ? 4 : 2;
}

uint64_t soft_stack_pointer(const struct soft_cpu *cpu)
{
    return segment_cut(cpu->gpr[CPU_RSP], stack_bytes(cpu));
}

void soft_set_stack_pointer(struct soft_cpu *cpu, uint64_t value)
{
    uint64_t *rsp = &cpu->gpr[CPU_RSP];
    unsigned bytes = stack_bytes(cpu);

    *rsp = bytes == 2 ? (*rsp & ~UINT64_C(0xffff)) | (uint16_t)value : segment_cut(value, bytes);
}

void soft_push(struct soft_cpu *cpu, unsigned size_bytes, uint64_t value)
{
    uint64_t pointer = segment_cut(cpu->gpr[CPU_RSP] - size_bytes, stack_bytes(cpu));

    soft_store(cpu, soft_linear(cpu, CPU_SS, pointer, size_bytes, SOFT_WRITE), size_bytes, value);
    soft_set_stack_pointer(cpu, pointer);
}

uint64_t soft_pop(struct soft_cpu *cpu, unsigned size_bytes)
{
    uint64_t pointer = soft_stack_pointer(cpu);
    uint64_t value = soft_load(cpu, soft_linear(cpu, CPU_SS, pointer, size_bytes, SOFT_READ), size_bytes);

    soft_set_stack_pointer(cpu, pointer + size_bytes);
    return value;
}
