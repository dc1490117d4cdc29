/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Control registers, model-specific registers, CPUID and time of a software CPU. The vCPU's thread. */
#ifndef HDL_VCPU_SOFT_SYSTEM_H
#define HDL_VCPU_SOFT_SYSTEM_H

#include "vcpu/soft/cpu.h"

struct soft_vm;

/* MOV to CRn with all its checks (#GP(0)) and effects on paging and mode. n: 0, 3, 4, 8. */
void soft_write_cr(struct soft_cpu *cpu, unsigned n, uint64_t value);

/* False: #GP(0). */
bool soft_msr_read(struct soft_cpu *cpu, uint32_t msr, uint64_t *value);
bool soft_msr_write(struct soft_cpu *cpu, uint32_t msr, uint64_t value);

/* registers: EAX, EBX, ECX, EDX. */
void soft_cpuid(struct soft_cpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t registers[4]);
/* What this accelerator can do on this host, as masks of CPUID bits. Pure. */
void soft_supported_features(uint32_t words[CPU_WORD_COUNT]);
/* From the VM's model: fills cpu->features. 0 or a negative errno and an error. */
int soft_features_init(struct soft_features *features, const struct cpu_model *model, struct error **err);

/* The guest's time-stamp counter: the VM's (clock.h) and what the guest added to it on this CPU. */
uint64_t soft_tsc(struct soft_cpu *cpu);

/* Power-on values (SDM 3, table 10-1). */
void soft_cpu_reset(struct soft_cpu *cpu, bool bootstrap);
int soft_get_state(struct vcpu *vcpu, struct cpu_state *state, struct error **err);
int soft_set_state(struct vcpu *vcpu, const struct cpu_state *state, struct error **err);

/* FXSAVE's and XSAVE's areas, for cpu_state too: fpu_state.c. 512 bytes, and the XSAVE standard form. */
void soft_fpu_reset(struct soft_fpu *fpu);
void soft_fpu_to_xsave(const struct soft_fpu *fpu, uint8_t *area, uint32_t *len_bytes);
void soft_fpu_from_xsave(struct soft_fpu *fpu, const uint8_t *area, uint32_t len_bytes);
/* The host's MXCSR and x87 control word are the guest's, with exceptions masked, while guest code runs. */
void soft_fpu_enter(struct soft_cpu *cpu);
void soft_fpu_leave(struct soft_cpu *cpu);

#endif
