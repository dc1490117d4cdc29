/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An x86 CPU's architectural state, the same for every accelerator: what booting, resetting, dumping and saving a
 * guest need. Names and layouts are those of the Intel SDM; nothing here is KVM's.
 */
#ifndef HDL_VCPU_CPU_STATE_H
#define HDL_VCPU_CPU_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Indices into cpu_state.gpr: the encoding of the instruction set. */
enum cpu_gpr {
    CPU_RAX,
    CPU_RCX,
    CPU_RDX,
    CPU_RBX,
    CPU_RSP,
    CPU_RBP,
    CPU_RSI,
    CPU_RDI,
    CPU_R8,
    CPU_R9,
    CPU_R10,
    CPU_R11,
    CPU_R12,
    CPU_R13,
    CPU_R14,
    CPU_R15,
    CPU_GPR_COUNT
};

/* Indices into cpu_state.segment: the encoding of the instruction set, then the two system segments. */
enum cpu_segment_index { CPU_ES, CPU_CS, CPU_SS, CPU_DS, CPU_FS, CPU_GS, CPU_LDTR, CPU_TR, CPU_SEGMENT_COUNT };

/* A segment register with its hidden part (SDM 3, 3.4.3). limit is in bytes, granularity already applied. */
struct cpu_segment {
    uint64_t base;
    uint32_t limit;
    uint16_t selector;
    uint8_t type; /* 4 bits */
    uint8_t dpl;  /* 2 bits */
    bool s, present, avl, l, db, g;
    bool unusable; /* null selector loaded in protected or long mode */
};

struct cpu_table {
    uint64_t base;
    uint16_t limit;
};

/* What the CPU does besides running (INIT, SIPI and HLT). */
enum cpu_activity { CPU_RUNNABLE, CPU_HALTED, CPU_WAIT_FOR_INIT, CPU_WAIT_FOR_SIPI, CPU_SIPI_RECEIVED };

/* Model-specific registers that a guest may hold a value in. */
struct cpu_msrs {
    uint64_t star, lstar, cstar, fmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pat, misc_enable, tsc, tsc_aux, tsc_adjust, tsc_deadline;
    uint64_t mtrr_def_type;
    uint64_t kvm_wall_clock, kvm_system_time, kvm_async_pf, kvm_steal_time, kvm_pv_eoi; /* hypervisor leaf 0x40000001 */
};

/* What is on its way into the CPU. Vectors are valid only with their flag. */
struct cpu_events {
    bool exception_injected, exception_pending, exception_has_error;
    uint8_t exception_vector;
    uint32_t exception_error;
    bool interrupt_injected, interrupt_is_soft;
    uint8_t interrupt_vector;
    bool nmi_pending, nmi_injected, nmi_masked;
    uint8_t interrupt_shadow; /* 1: after STI, 2: after MOV SS */
    uint32_t sipi_vector;
};

#define CPU_XSAVE_BYTES 4096

struct cpu_state {
    uint64_t gpr[CPU_GPR_COUNT];
    uint64_t rip, rflags;
    struct cpu_segment segment[CPU_SEGMENT_COUNT];
    struct cpu_table gdt, idt;
    uint64_t cr0, cr2, cr3, cr4, cr8;
    uint64_t efer, xcr0;
    uint64_t dr[4], dr6, dr7;
    uint64_t apic_base; /* IA32_APIC_BASE */
    struct cpu_msrs msr;
    struct cpu_events events;
    enum cpu_activity activity;
    bool keep_tsc; /* when a state is set: the counter goes on, whatever msr.tsc says */
    /* x87, SSE and what XCR0 adds, as XSAVE stores it in its standard form (SDM 1, 13.4). */
    uint32_t xsave_len_bytes;
    uint8_t xsave[CPU_XSAVE_BYTES];
};

/*
 * Power-on state (SDM 3, table 10-1): real mode, next instruction at F000:FFF0. The bootstrap processor is runnable,
 * the others wait for INIT. Pure.
 */
void cpu_state_reset(struct cpu_state *state, bool bootstrap);

/*
 * What INIT makes of a state (the same table): caching, x87 and SSE registers, MSRs, XCR0 and the time-stamp counter
 * stay as they were. The bootstrap processor is runnable, the others wait for a start-up message. Pure.
 */
void cpu_state_init(struct cpu_state *state, bool bootstrap, uint32_t signature);
/* A start-up message's: real mode at vector << 12. Pure. */
void cpu_state_start_up(struct cpu_state *state, uint8_t vector);

/* Segments of a flat address space, for entering a kernel directly: base 0, limit 4 GiB. Pure. */
enum cpu_flat_mode { CPU_FLAT_32, CPU_FLAT_64 };
struct cpu_segment cpu_segment_flat_code(uint16_t selector, enum cpu_flat_mode mode);
struct cpu_segment cpu_segment_flat_data(uint16_t selector);
/* A segment as real mode loads it: base is 16 times the selector. */
struct cpu_segment cpu_segment_real(uint16_t selector, bool code);
/* An available-and-busy task register that satisfies entry checks: 32-bit or 64-bit busy TSS. */
struct cpu_segment cpu_segment_tss(void);

/*
 * Text for people: registers, segments, control registers, one per line group, "\n"-separated. Returns the length that
 * the whole text has, as snprintf does. Pure.
 */
int cpu_state_format(const struct cpu_state *state, char *buffer, size_t len_bytes);

#endif
