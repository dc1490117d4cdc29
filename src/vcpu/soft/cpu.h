/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A software CPU's state. One thread owns all of it, the vCPU's: nothing here is shared, but for what says so. Other
 * threads talk to it through the request bits of struct vcpu, which it looks at between blocks.
 *
 * Names and layouts are those of the Intel SDM. What is hot stands first: micro-operations name registers by their
 * offset from the structure's start.
 */
#ifndef HDL_VCPU_SOFT_CPU_H
#define HDL_VCPU_SOFT_CPU_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "vcpu/accel.h"
#include "vcpu/cpu_state.h"
#include "vcpu/soft/feature.h"
#include "vcpu/soft/fpu.h"
#include "vcpu/soft/place.h"
#include "vcpu/soft/tlb.h"
#include "vcpu/vcpu.h"

struct soft_vm;
struct soft_op;
struct soft_cache;
struct soft_jump_entry;
struct soft_insn;
struct soft_member;

/* Behind the sixteen general registers. */
enum soft_reg {
    SOFT_REG_PC = CPU_GPR_COUNT, /* the instruction pointer at the start of the block that runs */
    SOFT_REG_ZERO,               /* always zero: no base, no index */
    SOFT_REG_EA,                 /* an address that a micro-operation computed for the next one */
    SOFT_REG_COUNT
};

/* Which code it is that runs: the part of the state that decoding depends on. Bits of soft_cpu.mode. */
enum soft_mode {
    SOFT_MODE_64 = 1 << 0,      /* long mode, CS.L */
    SOFT_MODE_32 = 1 << 1,      /* default operand and address size 32 (CS.D); neither: 16 */
    SOFT_MODE_STACK32 = 1 << 2, /* SS.B; ignored with SOFT_MODE_64 */
    SOFT_MODE_FLAT = 1 << 3,    /* CS, DS, ES and SS have base 0 and no limit, and can be read and written: no checks */
    SOFT_MODE_PROTECTED = 1 << 4, /* CR0.PE and not virtual-8086 */
    SOFT_MODE_ONE = 1 << 5,       /* one instruction a block: single step, breakpoints, or an interrupt shadow */
    SOFT_MODE_USER = 1 << 6,      /* CPL 3 */
};

/* Bits of RFLAGS (SDM 1, 3.4.3). */
enum {
    RFLAGS_CF = 1 << 0,
    RFLAGS_FIXED = 1 << 1,
    RFLAGS_PF = 1 << 2,
    RFLAGS_AF = 1 << 4,
    RFLAGS_ZF = 1 << 6,
    RFLAGS_SF = 1 << 7,
    RFLAGS_TF = 1 << 8,
    RFLAGS_IF = 1 << 9,
    RFLAGS_DF = 1 << 10,
    RFLAGS_OF = 1 << 11,
    RFLAGS_IOPL = 3 << 12,
    RFLAGS_NT = 1 << 14,
    RFLAGS_RF = 1 << 16,
    RFLAGS_VM = 1 << 17,
    RFLAGS_AC = 1 << 18,
    RFLAGS_VIF = 1 << 19,
    RFLAGS_VIP = 1 << 20,
    RFLAGS_ID = 1 << 21,
    RFLAGS_ARITHMETIC = RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF,
};

/* Control registers' bits (SDM 3, 2.5). */
#define CR0_PE         UINT64_C(0x1)
#define CR0_MP         UINT64_C(0x2)
#define CR0_EM         UINT64_C(0x4)
#define CR0_TS         UINT64_C(0x8)
#define CR0_ET         UINT64_C(0x10)
#define CR0_NE         UINT64_C(0x20)
#define CR0_WP         UINT64_C(0x10000)
#define CR0_AM         UINT64_C(0x40000)
#define CR0_NW         UINT64_C(0x20000000)
#define CR0_CD         UINT64_C(0x40000000)
#define CR0_PG         UINT64_C(0x80000000)
#define CR4_VME        UINT64_C(0x1)
#define CR4_PVI        UINT64_C(0x2)
#define CR4_TSD        UINT64_C(0x4)
#define CR4_DE         UINT64_C(0x8)
#define CR4_PSE        UINT64_C(0x10)
#define CR4_PAE        UINT64_C(0x20)
#define CR4_MCE        UINT64_C(0x40)
#define CR4_PGE        UINT64_C(0x80)
#define CR4_PCE        UINT64_C(0x100)
#define CR4_OSFXSR     UINT64_C(0x200)
#define CR4_OSXMMEXCPT UINT64_C(0x400)
#define CR4_UMIP       UINT64_C(0x800)
#define CR4_FSGSBASE   UINT64_C(0x10000)
#define CR4_PCIDE      UINT64_C(0x20000)
#define CR4_OSXSAVE    UINT64_C(0x40000)
#define CR4_SMEP       UINT64_C(0x100000)
#define CR4_SMAP       UINT64_C(0x200000)
#define EFER_SCE       UINT64_C(0x1)
#define EFER_LME       UINT64_C(0x100)
#define EFER_LMA       UINT64_C(0x400)
#define EFER_NXE       UINT64_C(0x800)

/* Exceptions (SDM 3, table 6-1). */
enum soft_vector {
    VECTOR_DE = 0,
    VECTOR_DB = 1,
    VECTOR_NMI = 2,
    VECTOR_BP = 3,
    VECTOR_OF = 4,
    VECTOR_BR = 5,
    VECTOR_UD = 6,
    VECTOR_NM = 7,
    VECTOR_DF = 8,
    VECTOR_TS = 10,
    VECTOR_NP = 11,
    VECTOR_SS = 12,
    VECTOR_GP = 13,
    VECTOR_PF = 14,
    VECTOR_MF = 16,
    VECTOR_AC = 17,
    VECTOR_MC = 18,
    VECTOR_XM = 19,
};

/* What soft_raise left for the run loop, which delivers it. */
struct soft_fault {
    uint8_t vector;
    bool has_error;
    uint32_t error;
};

struct soft_cpu {
    /* --- hot; offsets fit in a byte up to here --- */
    uint64_t gpr[SOFT_REG_COUNT];
    uint64_t cc_dst, cc_src, cc_aux; /* lazy flags: flags.h */
    uint32_t cc_op;
    uint32_t mode;                 /* enum soft_mode */
    struct soft_tlb_entry *tlb;    /* the bank of the present privilege: tlb.h */
    uint64_t tlb_tag;              /* the present address space's number, in the low 12 bits */
    uint64_t code_generation;      /* changes with every change of what code a linear address shows */
    uint64_t rip;                  /* of the instruction that runs: while an exec function or slow path runs */
    uint64_t next_rip;             /* of the following one; a branch in an exec function changes it */
    uint64_t rflags;               /* without RFLAGS_ARITHMETIC, which are lazy */
    struct soft_cache *cache;      /* translated code: block.h */
    struct soft_jump_entry *jumps; /* the cache's, by instruction pointer: op.h */

    /* --- system state --- */
    struct cpu_segment segment[CPU_SEGMENT_COUNT];
    uint8_t cpl;
    struct cpu_table gdt, idt;
    uint64_t cr0, cr2, cr3, cr4;
    uint64_t efer;
    uint64_t dr[4], dr6, dr7;
    struct cpu_msrs msr; /* msr.tsc, tsc_deadline: unused, see soft_tsc() */
    bool clock_runs;     /* this CPU has called soft_clock_resumed: clock.h */
    uint64_t mtrr[32];   /* variable and fixed MTRRs, in the order of msr.c */
    uint64_t apic_base;  /* without an interrupt source; else its */
    uint64_t pdpte[4];   /* PAE paging: loaded with CR3 */

    /* --- events --- */
    uint8_t shadow;  /* interrupts are held off for one more instruction: 1 after STI, 2 after MOV SS or POP SS */
    bool nmi_masked; /* until IRET */
    bool nmi_pending;
    bool window_wanted;      /* leave when an interrupt could be taken */
    bool interrupt_injected; /* interrupt_vector is to be delivered before anything else runs */
    uint8_t interrupt_vector;
    bool leave;              /* the run ends after this instruction: `exit` says why */
    struct vcpu_exit *exit;  /* the caller's, during a run */
    struct soft_fault fault; /* raised, on its way to delivery */
    bool delivering;         /* an event is being delivered: a further fault is a double fault's matter */
    uint8_t delivering_vector;
    uint64_t debug_hits;  /* DR6's bits of a debug trap that is due when this instruction has ended */
    bool no_step;         /* this instruction ends without a single-step trap: it has entered a handler */
    bool one_stepping;    /* TF, and... */
    uint8_t one_shadow;   /* ...shadow, as the instruction of SOFT_MODE_ONE that runs found them */
    jmp_buf fault_target; /* the run loop: soft_raise jumps there */

    struct soft_fpu fpu;
    struct soft_features features; /* what CPUID shows; immutable after init */
    struct soft_member *member;    /* among the VM's vCPUs: memory.h */
    struct soft_locked locked;     /* the world stands still for this access */
    struct soft_tlb tlb_state;     /* banks and their bookkeeping */
};

/* Own thread; but for common, see vcpu.h. */
struct soft_vcpu {
    struct vcpu common;
    struct soft_cpu cpu;
};

static inline struct soft_vcpu *soft_vcpu_of(struct vcpu *vcpu)
{
    return container_of(vcpu, struct soft_vcpu, common);
}

static inline struct soft_vcpu *soft_vcpu_of_cpu(struct soft_cpu *cpu)
{
    return container_of(cpu, struct soft_vcpu, cpu);
}

static inline struct vcpu *soft_common(struct soft_cpu *cpu)
{
    return &soft_vcpu_of_cpu(cpu)->common;
}

static inline bool soft_is_64(const struct soft_cpu *cpu)
{
    return cpu->mode & SOFT_MODE_64;
}

static inline bool soft_is_protected(const struct soft_cpu *cpu)
{
    return cpu->mode & SOFT_MODE_PROTECTED;
}

/* Long mode is active, in 64-bit or compatibility mode. */
static inline bool soft_is_long(const struct soft_cpu *cpu)
{
    return cpu->efer & EFER_LMA;
}

static inline bool soft_is_vm86(const struct soft_cpu *cpu)
{
    return cpu->rflags & RFLAGS_VM;
}

#endif
