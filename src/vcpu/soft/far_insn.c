/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Instructions that go elsewhere than near: far jumps, calls and returns, interrupts, system calls; and ENTER and
 * BOUND, which came with them. Their operands are fetched here; far.c, iret.c, fast_call.c and event.c do the rest.
 */
#include "vcpu/soft/descriptor.h"
#include "vcpu/soft/event.h"
#include "vcpu/soft/far.h"
#include "vcpu/soft/flags.h"
#include "vcpu/soft/mem.h"
#include "vcpu/soft/system_insn.h"

/* --- jumps, calls, returns ---------------------------------------------------------------------------------------- */

static void far_transfer(struct soft_cpu *cpu, bool is_call, uint16_t selector, uint64_t offset, unsigned size_bytes)
{
    if (is_call) {
        soft_far_call(cpu, selector, offset, size_bytes);
    } else {
        soft_far_jump(cpu, selector, offset);
    }
}

/* 9A: call, EA: jump. */
void soft_exec_far_direct(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t offset = insn->op_bytes == 2 ? (uint16_t)insn->imm : (uint32_t)insn->imm;

    far_transfer(cpu, insn->opcode == 0x9a, insn->imm2, offset, insn->op_bytes);
}

/* FF /3: call, FF /5: jump. */
void soft_exec_far_indirect(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t linear = soft_ea(cpu, insn, insn->op_bytes + 2u, SOFT_READ);
    uint64_t offset = soft_load(cpu, linear, insn->op_bytes);
    uint16_t selector = (uint16_t)soft_load(cpu, linear + insn->op_bytes, 2);

    far_transfer(cpu, (insn->modrm >> 3 & 7) == 3, selector, offset, insn->op_bytes);
}

/* CA: with an immediate, CB: without. */
void soft_exec_retf(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    soft_far_return(cpu, insn->op_bytes, insn->opcode == 0xca ? insn->imm & 0xffff : 0);
}

void soft_exec_iret(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    soft_iret(cpu, insn->op_bytes);
}

/* --- interrupts --------------------------------------------------------------------------------------------------- */

void soft_exec_int(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    if (soft_is_vm86(cpu)) {
        soft_event_software_vm86(cpu, insn->imm & 0xff);
    } else {
        soft_software_interrupt(cpu, insn->imm & 0xff);
    }
}

void soft_exec_int3(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    soft_software_interrupt(cpu, VECTOR_BP);
}

void soft_exec_into(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    if (soft_arithmetic_flags(cpu) & RFLAGS_OF) {
        soft_software_interrupt(cpu, VECTOR_OF);
    }
}

void soft_exec_int1(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    soft_int1(cpu);
}

void soft_exec_bound(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned bytes = insn->op_bytes;
    uint64_t linear = soft_ea(cpu, insn, 2 * bytes, SOFT_READ);
    unsigned shift = 64 - 8 * bytes;
    int64_t index = (int64_t)(cpu->gpr[insn->reg] << shift) >> shift;
    int64_t low = (int64_t)(soft_load(cpu, linear, bytes) << shift) >> shift;
    int64_t high = (int64_t)(soft_load(cpu, linear + bytes, bytes) << shift) >> shift;

    if (index < low || index > high) {
        soft_raise(cpu, VECTOR_BR);
    }
}

/* --- ENTER -------------------------------------------------------------------------------------------------------- */

/* Pushes the frame pointers of the enclosing procedures, as the caller's frame has them. */
static void enter_push_display(struct soft_cpu *cpu, struct soft_stack *stack, unsigned levels, unsigned bytes)
{
    struct soft_stack outer = *stack;

    outer.pointer = (outer.pointer & ~outer.mask) | (cpu->gpr[CPU_RBP] & outer.mask);
    for (unsigned i = 1; i < levels; i++) {
        struct soft_stack at;

        soft_stack_skip(&outer, -(uint64_t)bytes);
        at = outer;
        soft_stack_push(cpu, stack, bytes, soft_stack_pop(cpu, &at, bytes));
    }
}

void soft_exec_enter(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    unsigned levels = insn->imm2 & 31, bytes = insn->op_bytes;
    struct soft_stack stack;
    uint64_t frame, end;

    soft_stack_begin(cpu, &stack, 0);
    soft_stack_push(cpu, &stack, bytes, cpu->gpr[CPU_RBP]);
    frame = stack.pointer;
    if (levels) {
        enter_push_display(cpu, &stack, levels, bytes);
        soft_stack_push(cpu, &stack, bytes, frame);
    }
    soft_stack_skip(&stack, -(insn->imm & 0xffff));
    /* The new top has to be writable, though nothing is written. */
    end = soft_linear(cpu, CPU_SS, stack.pointer & stack.mask, bytes, SOFT_WRITE);
    soft_probe_write(cpu, end, bytes);
    soft_set_gpr(cpu, CPU_RBP, bytes, frame);
    soft_stack_commit(cpu, &stack);
}

/* --- system calls ------------------------------------------------------------------------------------------------- */

void soft_exec_syscall(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    soft_syscall(cpu);
}

void soft_exec_sysret(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    soft_sysret(cpu, insn->op_bytes);
}

void soft_exec_sysenter(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    soft_sysenter(cpu);
}

void soft_exec_sysexit(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    soft_sysexit(cpu, insn->op_bytes);
}
