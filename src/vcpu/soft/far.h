/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Far transfers: jumps, calls and returns through CS, IRET, and the fast system calls. The vCPU's thread, in an exec
 * function: cpu->next_rip becomes the target. Raise before anything changes. size_bytes: the operand size, 2, 4 or 8.
 */
#ifndef HDL_VCPU_SOFT_FAR_H
#define HDL_VCPU_SOFT_FAR_H

#include "vcpu/soft/cpu.h"

/* far.c */
void soft_far_jump(struct soft_cpu *cpu, uint16_t selector, uint64_t offset);
void soft_far_call(struct soft_cpu *cpu, uint16_t selector, uint64_t offset, unsigned size_bytes);
/* skip_bytes: that RETF imm16 takes off the stack. */
void soft_far_return(struct soft_cpu *cpu, unsigned size_bytes, unsigned skip_bytes);

/* iret.c */
void soft_iret(struct soft_cpu *cpu, unsigned size_bytes);
/* The code segment of a return, which raises the CPL to selector's RPL or leaves it. Shared by both. */
struct cpu_segment;
struct soft_descriptor;
struct cpu_segment soft_return_code(struct soft_cpu *cpu, uint16_t selector, struct soft_descriptor *descriptor);
/* The stack segment that goes with it. */
struct cpu_segment soft_return_stack(struct soft_cpu *cpu, uint16_t selector, uint8_t level,
                                     const struct cpu_segment *code);

/* fast_call.c */
void soft_syscall(struct soft_cpu *cpu);
void soft_sysret(struct soft_cpu *cpu, unsigned size_bytes);
void soft_sysenter(struct soft_cpu *cpu);
void soft_sysexit(struct soft_cpu *cpu, unsigned size_bytes);

#endif
