/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Instructions on segment registers and descriptor tables (SDM 2).
 */
#include "vcpu/soft/descriptor.h"
#include "vcpu/soft/flags.h"
#include "vcpu/soft/mem.h"
#include "vcpu/soft/system_insn.h"

static HDL_NORETURN void segment_refuse(struct soft_cpu *cpu, uint32_t error)
{
    soft_raise_error(cpu, VECTOR_GP, error);
}

/* Instructions that tell user code of the kernel's tables. */
static void segment_require_umip(struct soft_cpu *cpu)
{
    if ((cpu->cr4 & CR4_UMIP) && cpu->cpl != 0) {
        segment_refuse(cpu, 0);
    }
}

static uint16_t segment_operand(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    if (insn->is_memory) {
        return (uint16_t)soft_load(cpu, soft_ea(cpu, insn, 2, SOFT_READ), 2);
    }
    return (uint16_t)cpu->gpr[insn->rm];
}

/* Into memory always 16 bits; into a register as many as the operand has, zero-extended. */
static void segment_store_selector(struct soft_cpu *cpu, const struct soft_insn *insn, uint16_t selector)
{
    if (insn->is_memory) {
        soft_store(cpu, soft_ea(cpu, insn, 2, SOFT_WRITE), 2, selector);
    } else {
        soft_set_gpr(cpu, insn->rm, insn->op_bytes, selector);
    }
}

static void segment_set_zf(struct soft_cpu *cpu, bool on)
{
    soft_set_rflags(cpu, on ? RFLAGS_ZF : 0, RFLAGS_ZF);
}

/* MOV SS and POP SS hold off interrupts and debug traps for the instruction that loads the stack pointer. */
static void segment_load_register(struct soft_cpu *cpu, unsigned index, uint16_t selector)
{
    soft_load_segment(cpu, index, selector);
    if (index == CPU_SS) {
        cpu->shadow = 2;
        soft_update_mode(cpu);
    }
}

/* --- MOV, PUSH, POP, LDS ------------------------------------------------------------------------------------------ */

void soft_exec_mov_from_sreg(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned index = soft_insn_segment_reg(insn);

    if (index > CPU_GS) {
        soft_raise(cpu, VECTOR_UD);
    }
    segment_store_selector(cpu, insn, cpu->segment[index].selector);
}

void soft_exec_mov_to_sreg(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned index = soft_insn_segment_reg(insn);

    if (index > CPU_GS || index == CPU_CS) {
        soft_raise(cpu, VECTOR_UD);
    }
    segment_load_register(cpu, index, segment_operand(cpu, insn));
}

/* 06..1F and 0F A0..A9: bits 3..5 of the opcode are the register. */
static unsigned segment_of_opcode(const struct soft_insn *insn)
{
    return insn->opcode >> 3 & 7;
}

/* With 32-bit and 64-bit operands processors write only two bytes (SDM 2, PUSH); all of it is checked. */
void soft_exec_push_sreg(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint16_t selector = cpu->segment[segment_of_opcode(insn)].selector;
    struct soft_stack stack;

    if (insn->op_bytes == 8) {
        soft_push(cpu, 8, selector);
        return;
    }
    soft_stack_begin(cpu, &stack, 0);
    soft_stack_skip(&stack, -(uint64_t)insn->op_bytes);
    soft_store(cpu, soft_linear(cpu, CPU_SS, stack.pointer & stack.mask, insn->op_bytes, SOFT_WRITE), 2, selector);
    soft_stack_commit(cpu, &stack);
}

void soft_exec_pop_sreg(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct soft_stack stack;
    uint16_t selector;

    soft_stack_begin(cpu, &stack, 0);
    selector = (uint16_t)soft_stack_pop(cpu, &stack, insn->op_bytes);
    segment_load_register(cpu, segment_of_opcode(insn), selector);
    soft_stack_commit(cpu, &stack);
}

/* LDS, LES, LSS, LFS, LGS. */
static unsigned segment_of_far_pointer(const struct soft_insn *insn)
{
    switch (insn->opcode) {
    case 0xc4:
        return CPU_ES;
    case 0xc5:
        return CPU_DS;
    case 0xb2:
        return CPU_SS;
    case 0xb4:
        return CPU_FS;
    default:
        return CPU_GS;
    }
}

void soft_exec_load_far_pointer(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t linear = soft_ea(cpu, insn, insn->op_bytes + 2u, SOFT_READ);
    uint64_t offset = soft_load(cpu, linear, insn->op_bytes);
    uint16_t selector = (uint16_t)soft_load(cpu, linear + insn->op_bytes, 2);

    soft_load_segment(cpu, segment_of_far_pointer(insn), selector);
    soft_set_gpr(cpu, insn->reg, insn->op_bytes, offset);
}

/* --- GDTR and IDTR ------------------------------------------------------------------------------------------------ */

static unsigned table_base_bytes(const struct soft_cpu *cpu)
{
    return soft_is_64(cpu) ? 8 : 4;
}

/* With 16-bit operands the base has 24 bits. */
static void table_load(struct soft_cpu *cpu, const struct soft_insn *insn, struct cpu_table *table)
{
    unsigned bytes = table_base_bytes(cpu);
    uint64_t linear = soft_ea(cpu, insn, bytes + 2, SOFT_READ);
    struct cpu_table next = {.limit = (uint16_t)soft_load(cpu, linear, 2), .base = soft_load(cpu, linear + 2, bytes)};

    if (!soft_is_canonical(next.base)) {
        segment_refuse(cpu, 0);
    }
    if (insn->op_bytes == 2 && bytes == 4) {
        next.base &= 0xffffff;
    }
    *table = next;
}

static void table_store(struct soft_cpu *cpu, const struct soft_insn *insn, const struct cpu_table *table)
{
    unsigned bytes = table_base_bytes(cpu);
    uint8_t image[10];

    segment_require_umip(cpu);
    memcpy(image, &table->limit, 2);
    memcpy(image + 2, &table->base, 8);
    soft_write_bytes(cpu, soft_ea(cpu, insn, bytes + 2, SOFT_WRITE), image, bytes + 2);
}

void soft_exec_lgdt(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    table_load(cpu, insn, &cpu->gdt);
}

void soft_exec_lidt(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    table_load(cpu, insn, &cpu->idt);
}

void soft_exec_sgdt(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    table_store(cpu, insn, &cpu->gdt);
}

void soft_exec_sidt(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    table_store(cpu, insn, &cpu->idt);
}

/* --- LDTR and TR -------------------------------------------------------------------------------------------------- */

/* A system segment in the GDT, of a type that `types` has a bit for. */
static struct cpu_segment segment_read_system(struct soft_cpu *cpu, uint16_t selector, uint32_t types,
                                              struct soft_descriptor *descriptor)
{
    uint32_t error = soft_selector_error(selector);
    struct cpu_segment segment;

    if ((selector & 4) || !soft_descriptor_read(cpu, selector, descriptor) ||
        (soft_is_long(cpu) && !soft_descriptor_read_high(cpu, descriptor))) {
        segment_refuse(cpu, error);
    }
    segment = soft_descriptor_segment(descriptor);
    if (segment.s || !(types >> segment.type & 1) || !soft_is_canonical(segment.base)) {
        segment_refuse(cpu, error);
    }
    soft_need_present(cpu, &segment, 0);
    return segment;
}

void soft_exec_lldt(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint16_t selector = segment_operand(cpu, insn);
    struct soft_descriptor descriptor;

    if (soft_selector_is_null(selector)) {
        cpu->segment[CPU_LDTR] = soft_null_segment(selector, 0);
    } else {
        cpu->segment[CPU_LDTR] = segment_read_system(cpu, selector, 1 << SYSTEM_LDT, &descriptor);
    }
}

void soft_exec_ltr(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint32_t types = 1 << SYSTEM_TSS | (soft_is_long(cpu) ? 0 : 1 << SYSTEM_TSS16);
    uint16_t selector = segment_operand(cpu, insn);
    struct soft_descriptor descriptor;
    struct cpu_segment tss;

    if (soft_selector_is_null(selector)) {
        segment_refuse(cpu, 0);
    }
    tss = segment_read_system(cpu, selector, types, &descriptor);
    soft_descriptor_set_busy(cpu, descriptor.address, true);
    tss.type |= SYSTEM_BUSY;
    cpu->segment[CPU_TR] = tss;
}

void soft_exec_sldt(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    segment_require_umip(cpu);
    segment_store_selector(cpu, insn, cpu->segment[CPU_LDTR].selector);
}

void soft_exec_str(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    segment_require_umip(cpu);
    segment_store_selector(cpu, insn, cpu->segment[CPU_TR].selector);
}

/* --- asking about descriptors: ZF says whether there is an answer ------------------------------------------------- */

/* Types of system descriptors that LAR and LSL know, by mode. */
#define LAR_TYPES                                                                                                      \
    (1 << SYSTEM_TSS16 | 1 << SYSTEM_LDT | 1 << SYSTEM_TSS16_BUSY | 1 << SYSTEM_CALL_GATE16 | 1 << SYSTEM_TASK_GATE |  \
     1 << SYSTEM_TSS | 1 << SYSTEM_TSS_BUSY | 1 << SYSTEM_CALL_GATE)
#define LAR_TYPES_LONG (1 << SYSTEM_LDT | 1 << SYSTEM_TSS | 1 << SYSTEM_TSS_BUSY | 1 << SYSTEM_CALL_GATE)
#define LSL_TYPES                                                                                                      \
    (1 << SYSTEM_TSS16 | 1 << SYSTEM_LDT | 1 << SYSTEM_TSS16_BUSY | 1 << SYSTEM_TSS | 1 << SYSTEM_TSS_BUSY)
#define LSL_TYPES_LONG (1 << SYSTEM_LDT | 1 << SYSTEM_TSS | 1 << SYSTEM_TSS_BUSY)

/* Whether the program may know the descriptor; then it is read. */
static bool segment_is_visible(struct soft_cpu *cpu, uint16_t selector, uint32_t system_types,
                               struct soft_descriptor *descriptor, struct cpu_segment *segment)
{
    if (!soft_descriptor_read(cpu, selector, descriptor)) {
        return false;
    }
    *segment = soft_descriptor_segment(descriptor);
    if (!segment->s && !(system_types >> segment->type & 1)) {
        return false;
    }
    return soft_segment_is_conforming(segment) || (cpu->cpl <= segment->dpl && (selector & 3) <= segment->dpl);
}

void soft_exec_verr(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct soft_descriptor descriptor;
    struct cpu_segment segment;
    bool ok = segment_is_visible(cpu, segment_operand(cpu, insn), 0, &descriptor, &segment);

    segment_set_zf(cpu, ok && soft_segment_is_readable(&segment));
}

void soft_exec_verw(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct soft_descriptor descriptor;
    struct cpu_segment segment;
    bool ok = segment_is_visible(cpu, segment_operand(cpu, insn), 0, &descriptor, &segment);

    segment_set_zf(cpu, ok && soft_segment_is_writable(&segment));
}

void soft_exec_lar(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint32_t types = soft_is_long(cpu) ? LAR_TYPES_LONG : LAR_TYPES;
    struct soft_descriptor descriptor;
    struct cpu_segment segment;
    bool ok = segment_is_visible(cpu, segment_operand(cpu, insn), types, &descriptor, &segment);

    if (ok) {
        soft_set_gpr(cpu, insn->reg, insn->op_bytes, descriptor.low >> 32 & 0xf0ff00);
    }
    segment_set_zf(cpu, ok);
}

void soft_exec_lsl(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint32_t types = soft_is_long(cpu) ? LSL_TYPES_LONG : LSL_TYPES;
    struct soft_descriptor descriptor;
    struct cpu_segment segment;
    bool ok = segment_is_visible(cpu, segment_operand(cpu, insn), types, &descriptor, &segment);

    if (ok) {
        soft_set_gpr(cpu, insn->reg, insn->op_bytes, segment.limit);
    }
    segment_set_zf(cpu, ok);
}

/* Raises the RPL of a selector to that of another. */
void soft_exec_arpl(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint16_t rpl = cpu->gpr[insn->reg] & 3;
    uint64_t linear = insn->is_memory ? soft_ea(cpu, insn, 2, SOFT_READ_WRITE) : 0;
    uint16_t selector = insn->is_memory ? (uint16_t)soft_load(cpu, linear, 2) : (uint16_t)cpu->gpr[insn->rm];
    bool raise = (selector & 3) < rpl;

    if (raise) {
        selector = (selector & ~3) | rpl;
        if (insn->is_memory) {
            soft_store(cpu, linear, 2, selector);
        } else {
            soft_set_gpr(cpu, insn->rm, 2, selector);
        }
    }
    segment_set_zf(cpu, raise);
}

/* --- FS and GS bases ---------------------------------------------------------------------------------------------- */

void soft_exec_swapgs(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t base = cpu->segment[CPU_GS].base;

    cpu->segment[CPU_GS].base = cpu->msr.kernel_gs_base;
    cpu->msr.kernel_gs_base = base;
}

static void segment_require_fsgsbase(struct soft_cpu *cpu)
{
    if (!(cpu->cr4 & CR4_FSGSBASE)) {
        soft_raise(cpu, VECTOR_UD);
    }
}

static void segment_read_base(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned index)
{
    segment_require_fsgsbase(cpu);
    soft_set_gpr(cpu, insn->rm, insn->op_bytes, cpu->segment[index].base);
}

static void segment_write_base(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned index)
{
    uint64_t base = insn->op_bytes == 8 ? cpu->gpr[insn->rm] : (uint32_t)cpu->gpr[insn->rm];

    segment_require_fsgsbase(cpu);
    if (!soft_is_canonical(base)) {
        segment_refuse(cpu, 0);
    }
    cpu->segment[index].base = base;
}

void soft_exec_rdfsbase(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    segment_read_base(cpu, insn, CPU_FS);
}

void soft_exec_rdgsbase(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    segment_read_base(cpu, insn, CPU_GS);
}

void soft_exec_wrfsbase(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    segment_write_base(cpu, insn, CPU_FS);
}

void soft_exec_wrgsbase(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    segment_write_base(cpu, insn, CPU_GS);
}
