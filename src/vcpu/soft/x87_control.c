/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * x87 control: pending exceptions, the control and status words, the stack pointer and tags. Environments are in
 * x87_environment.c.
 *
 * An unmasked exception stays pending until the next waiting instruction, which raises #MF. With CR0.NE clear, hardware
 * would assert FERR# and freeze until an interrupt controller answers; no such line is modelled, so the exception stays
 * visible in the status word and nothing happens.
 */
#include "vcpu/soft/exception.h"
#include "vcpu/soft/system.h"
#include "vcpu/soft/x87.h"

void soft_x87_deliver_pending(struct soft_cpu *cpu)
{
    if (cpu->cr0 & CR0_NE) {
        soft_raise(cpu, VECTOR_MF);
    }
}

bool soft_x87_stack_fault(struct soft_fpu *fpu, bool overflow)
{
    fpu->fsw = (uint16_t)((fpu->fsw & ~X87_C1) | X87_IE | X87_SF | (overflow ? X87_C1 : 0));
    soft_x87_update_summary(fpu);
    return fpu->fcw & X87_IE;
}

/* Minds CR0.TS only if CR0.MP says so (SDM 3, 2.5). */
void soft_x87_fwait(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    if ((cpu->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS)) {
        soft_raise(cpu, VECTOR_NM);
    }
    soft_x87_wait(cpu);
}

void soft_x87_fnop(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    soft_x87_wait(cpu);
}

/* What coprocessors of old had of their own, and doesn't wait (FENI, FDISI, FSETPM). */
void soft_x87_fnnop(struct soft_cpu *cpu, const struct soft_insn *insn)
{
}

/* --- control and status words ------------------------------------------------------------------------------------- */

void soft_x87_fldcw(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    soft_x87_wait(cpu);
    soft_x87_set_control(&cpu->fpu, (uint16_t)soft_load(cpu, soft_ea(cpu, insn, 2, SOFT_READ), 2));
    soft_x87_update_summary(&cpu->fpu);
    soft_x87_host_control(cpu->fpu.fcw | X87_EXCEPTIONS);
}

void soft_x87_fnstcw(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    soft_store(cpu, soft_ea(cpu, insn, 2, SOFT_WRITE), 2, cpu->fpu.fcw);
}

void soft_x87_fnstsw(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    soft_store(cpu, soft_ea(cpu, insn, 2, SOFT_WRITE), 2, soft_x87_status(&cpu->fpu));
}

void soft_x87_fnstsw_ax(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    cpu->gpr[CPU_RAX] = (cpu->gpr[CPU_RAX] & ~UINT64_C(0xffff)) | soft_x87_status(&cpu->fpu);
}

void soft_x87_fnclex(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    cpu->fpu.fsw &= (uint16_t) ~(X87_EXCEPTIONS | X87_SF | X87_ES | X87_BUSY);
    soft_x87_host_clear();
}

void soft_x87_init(struct soft_fpu *fpu)
{
    fpu->fcw = X87_FCW_INIT;
    fpu->fsw = 0;
    fpu->top = 0;
    fpu->valid = 0;
    fpu->fop = fpu->fcs = fpu->fds = 0;
    fpu->fip = fpu->fdp = 0;
}

void soft_x87_fninit(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    soft_x87_init(&cpu->fpu);
    soft_x87_host_load(&cpu->fpu);
}

/* --- the stack ---------------------------------------------------------------------------------------------------- */

void soft_x87_ffree(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    soft_x87_begin(cpu, insn);
    cpu->fpu.valid &= (uint8_t) ~(1u << ((cpu->fpu.top + insn->modrm) & 7));
    cpu->fpu.fsw &= (uint16_t)~X87_C1;
}

void soft_x87_ffreep(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    soft_x87_ffree(cpu, insn);
    soft_x87_pop(&cpu->fpu);
}

static void x87_rotate(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned by)
{
    soft_x87_begin(cpu, insn);
    cpu->fpu.top = (cpu->fpu.top + by) & 7;
    cpu->fpu.fsw &= (uint16_t)~X87_C1;
}

void soft_x87_fincstp(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    x87_rotate(cpu, insn, 1);
}

void soft_x87_fdecstp(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    x87_rotate(cpu, insn, 7);
}
