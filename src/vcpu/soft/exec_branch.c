/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Near branches (SDM 2): they change cpu->next_rip. A target outside the code segment, or not canonical, raises #GP(0)
 * before anything changes. Far ones are in far.c. The vCPU's thread.
 */
#include "vcpu/soft/exception.h"
#include "vcpu/soft/exec.h"
#include "vcpu/soft/flags.h"
#include "vcpu/soft/operand.h"

/* The target cut to the operand size, and allowed. */
static uint64_t branch_check(struct soft_cpu *cpu, const struct soft_insn *insn, uint64_t target)
{
    target &= soft_mask(insn->op_bytes);
    if (soft_is_64(cpu) ? !soft_is_canonical(target) : target > cpu->segment[CPU_CS].limit) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
    return target;
}

static uint64_t branch_relative(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    return branch_check(cpu, insn, cpu->next_rip + insn->imm);
}

void soft_exec_jcc(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    if (soft_condition(cpu, insn->opcode & 15)) {
        cpu->next_rip = branch_relative(cpu, insn);
    }
}

void soft_exec_jmp(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    cpu->next_rip = branch_relative(cpu, insn);
}

void soft_exec_jmp_indirect(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    cpu->next_rip = branch_check(cpu, insn, soft_rm_read(cpu, insn, insn->op_bytes));
}

void soft_exec_call(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t target = branch_relative(cpu, insn);

    soft_push(cpu, insn->op_bytes, cpu->next_rip);
    cpu->next_rip = target;
}

void soft_exec_call_indirect(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t target = branch_check(cpu, insn, soft_rm_read(cpu, insn, insn->op_bytes));

    soft_push(cpu, insn->op_bytes, cpu->next_rip);
    cpu->next_rip = target;
}

/* RET (C3), RET imm16 (C2): the immediate is zero without one. */
void soft_exec_ret(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t top = soft_stack_pointer(cpu);
    uint64_t target = soft_load(cpu, soft_linear(cpu, CPU_SS, top, insn->op_bytes, SOFT_READ), insn->op_bytes);

    cpu->next_rip = branch_check(cpu, insn, target);
    soft_set_stack_pointer(cpu, top + insn->op_bytes + insn->imm);
}

/* LOOPNE (E0), LOOPE (E1), LOOP (E2): the counter is of the address size. */
void soft_exec_loop(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint64_t count = (cpu->gpr[CPU_RCX] - 1) & soft_mask(insn->addr_bytes);
    bool zero = soft_condition(cpu, 4);
    bool taken = count != 0 && (insn->opcode == 0xe2 || zero == (insn->opcode == 0xe1));

    if (taken) {
        cpu->next_rip = branch_relative(cpu, insn);
    }
    soft_reg_write(cpu, insn, CPU_RCX, insn->addr_bytes, count);
}

void soft_exec_jcxz(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    if ((cpu->gpr[CPU_RCX] & soft_mask(insn->addr_bytes)) == 0) {
        cpu->next_rip = branch_relative(cpu, insn);
    }
}
