/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the x87 instructions (x87_*.c) share: the register stack, its faults, and how the host's own x87 unit computes
 * for them. The vCPU's thread, between soft_fpu_enter and soft_fpu_leave.
 *
 * Operands are loaded onto the host's empty register stack, the host's instruction runs, and the result is stored: all
 * in one piece of assembly. The host has the guest's precision and rounding control but masks all exceptions, so that
 * nothing ever faults here; its sticky flags are always among the guest's own. When the guest unmasks an exception,
 * soft_x87_begin_op gives the host the guest's masks and clears its flags: what the instruction did is then exactly
 * what the guest's would have (a destination left alone, an exponent wrapped), and the assembly clears the pending
 * exception before any instruction that would deliver it.
 */
#ifndef HDL_VCPU_SOFT_X87_H
#define HDL_VCPU_SOFT_X87_H

#include "vcpu/soft/cpu.h"
#include "vcpu/soft/insn.h"
#include "vcpu/soft/mem.h"
#include "vcpu/soft/segment.h"
#include "vcpu/soft/vector_mem.h"

/* The status word's bits (SDM 1, 8.1.3). */
enum {
    X87_IE = 1 << 0,
    X87_DE = 1 << 1,
    X87_ZE = 1 << 2,
    X87_OE = 1 << 3,
    X87_UE = 1 << 4,
    X87_PE = 1 << 5,
    X87_SF = 1 << 6,
    X87_ES = 1 << 7,
    X87_C0 = 1 << 8,
    X87_C1 = 1 << 9,
    X87_C2 = 1 << 10,
    X87_TOP = 7 << 11,
    X87_C3 = 1 << 14,
    X87_BUSY = 1 << 15,
    X87_EXCEPTIONS = 0x3f,
    X87_BEFORE = X87_IE | X87_DE | X87_ZE, /* found before there is a result: unmasked, nothing is stored */
    X87_CONDITION = X87_C0 | X87_C1 | X87_C2 | X87_C3,
};

/* The control word: exception masks in the low six bits, bit 6 always set, precision, rounding, infinity. */
#define X87_FCW_INIT     0x037f
#define X87_FCW_WRITABLE 0x1f3f
#define X87_FCW_FIXED    0x0040

/* Declares the exec functions, soft_x87_<exec>. */
#define X87(name, exec, opcode, ext, rm, mod, bytes, feature, flags) soft_exec_fn soft_x87_##exec;
#include "vcpu/soft/table_x87.def"
#undef X87

/* --- state -------------------------------------------------------------------------------------------------------- */

static inline union soft_st *soft_x87_st(struct soft_fpu *fpu, unsigned i)
{
    return &fpu->st[(fpu->top + i) & 7];
}

static inline bool soft_x87_is_empty(const struct soft_fpu *fpu, unsigned i)
{
    return !(fpu->valid >> ((fpu->top + i) & 7) & 1);
}

static inline void soft_x87_pop(struct soft_fpu *fpu)
{
    fpu->valid &= (uint8_t) ~(1u << fpu->top);
    fpu->top = (fpu->top + 1) & 7;
}

/* The new ST(0), its contents undefined. */
static inline union soft_st *soft_x87_push(struct soft_fpu *fpu)
{
    fpu->top = (fpu->top - 1) & 7;
    fpu->valid |= (uint8_t)(1u << fpu->top);
    return &fpu->st[fpu->top];
}

/* In the two parts that the host stores it in: one load over both would wait for them. */
static inline void soft_x87_copy(union soft_st *dst, const union soft_st *src)
{
    dst->mantissa = src->mantissa;
    dst->exponent = src->exponent;
}

/* The quiet NaN that stands for "no result" (SDM 1, table 8-3). */
static inline void soft_x87_set_indefinite(union soft_st *st)
{
    st->mantissa = UINT64_C(0xc000000000000000);
    st->exponent = 0xffff;
}

/* Sets the exception summary from flags and masks: after either was loaded. */
static inline void soft_x87_update_summary(struct soft_fpu *fpu)
{
    bool pending = fpu->fsw & ~fpu->fcw & X87_EXCEPTIONS;

    fpu->fsw = (uint16_t)((fpu->fsw & ~(X87_ES | X87_BUSY)) | (pending ? X87_ES | X87_BUSY : 0));
}

/* The status word with TOP, and setting all of it. */
static inline uint16_t soft_x87_status(const struct soft_fpu *fpu)
{
    return (uint16_t)(fpu->fsw | fpu->top << 11);
}

static inline void soft_x87_set_status(struct soft_fpu *fpu, uint16_t status)
{
    fpu->top = (status >> 11) & 7;
    fpu->fsw = status & (uint16_t)~X87_TOP;
    soft_x87_update_summary(fpu);
}

static inline void soft_x87_set_control(struct soft_fpu *fpu, uint16_t fcw)
{
    fpu->fcw = (fcw & X87_FCW_WRITABLE) | X87_FCW_FIXED;
}

/*
 * The stack's over- or underflow: flags are set. True if the exception is masked: the caller then stores indefinite
 * values; else the instruction ends without effect. x87_control.c.
 */
bool soft_x87_stack_fault(struct soft_fpu *fpu, bool overflow);

/* FNINIT's state; registers keep their contents, but are empty. */
void soft_x87_init(struct soft_fpu *fpu);

/* --- how an instruction begins ------------------------------------------------------------------------------------ */

/* x87_control.c: #MF, unless CR0.NE is clear: then the exception stays pending, as no interrupt line is modelled. */
void soft_x87_deliver_pending(struct soft_cpu *cpu);

/* What all but the non-waiting instructions, and MMX ones, do first. */
static inline void soft_x87_wait(struct soft_cpu *cpu)
{
    if (unlikely(cpu->fpu.fsw & X87_ES)) {
        soft_x87_deliver_pending(cpu);
    }
}

/* A memory operand, found before anything changes. */
struct soft_x87_memory {
    uint64_t offset, linear;
};

static inline struct soft_x87_memory soft_x87_memory(struct soft_cpu *cpu, const struct soft_insn *insn,
                                                     unsigned size_bytes, enum soft_access access)
{
    uint64_t offset;

    if (likely((cpu->mode & SOFT_MODE_64) && insn->segment < CPU_FS)) {
        offset = soft_vector_ea(cpu, insn, size_bytes, access);
        return (struct soft_x87_memory){offset, offset};
    }
    offset = soft_offset(cpu, insn);
    return (struct soft_x87_memory){offset, soft_linear(cpu, insn->segment, offset, size_bytes, access)};
}

/* Pointers to the last instruction that wasn't a control instruction. After its last fault. */
static inline void soft_x87_set_pointers(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    cpu->fpu.fip = cpu->rip;
    cpu->fpu.fcs = cpu->segment[CPU_CS].selector;
    cpu->fpu.fop = (uint16_t)((insn->opcode & 7) << 8 | insn->modrm);
}

static inline void soft_x87_set_memory_pointers(struct soft_cpu *cpu, const struct soft_insn *insn,
                                                const struct soft_x87_memory *memory)
{
    soft_x87_set_pointers(cpu, insn);
    cpu->fpu.fdp = memory->offset;
    cpu->fpu.fds = cpu->segment[insn->segment].selector;
}

/* For instructions without a memory operand. */
static inline void soft_x87_begin(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    soft_x87_wait(cpu);
    soft_x87_set_pointers(cpu, insn);
}

/* Raises what a store would: for whoever has to compute before storing, when computing leaves traces. */
static inline void soft_x87_probe(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes)
{
    if (unlikely(soft_tlb_entry(cpu, linear)->write != soft_tlb_want(cpu, linear, size_bytes))) {
        soft_probe_write(cpu, linear, size_bytes);
    }
}

/* --- the host's unit ---------------------------------------------------------------------------------------------- */

static inline void soft_x87_host_control(uint16_t fcw)
{
    __asm__ volatile("fldcw %0" : : "m"(fcw));
}

static inline void soft_x87_host_clear(void)
{
    __asm__ volatile("fnclex");
}

/* After the guest's control word or flags were replaced. */
static inline void soft_x87_host_load(const struct soft_fpu *fpu)
{
    soft_x87_host_clear();
    soft_x87_host_control(fpu->fcw | X87_EXCEPTIONS);
}

static inline bool soft_x87_all_masked(const struct soft_fpu *fpu)
{
    return likely((fpu->fcw & X87_EXCEPTIONS) == X87_EXCEPTIONS);
}

/* Around the host's instruction. No fault in between. */
static inline void soft_x87_begin_op(const struct soft_fpu *fpu)
{
    if (!soft_x87_all_masked(fpu)) {
        soft_x87_host_clear();
        soft_x87_host_control(fpu->fcw);
    }
}

/*
 * Takes over exceptions and the condition bits of `condition` from the host's status. stops: the exceptions that,
 * unmasked, keep this instruction from having a result. False: that is so; nothing may be stored or popped.
 */
static inline bool soft_x87_end_op(struct soft_fpu *fpu, uint16_t status, uint16_t condition, uint16_t stops)
{
    uint16_t unmasked;

    fpu->fsw = (uint16_t)((fpu->fsw & ~condition) | (status & (condition | X87_EXCEPTIONS)));
    if (soft_x87_all_masked(fpu)) {
        return true;
    }
    soft_x87_host_clear();
    soft_x87_host_control(fpu->fcw | X87_EXCEPTIONS);
    unmasked = status & ~fpu->fcw & X87_EXCEPTIONS;
    if (unmasked) {
        fpu->fsw |= X87_ES | X87_BUSY;
    }
    return !(unmasked & stops);
}

/*
 * Pieces of assembly. X87_STATUS: the host's status into operand [status] (AX); a pending exception is cleared, so that
 * the instructions that follow don't deliver it. Uses label 1.
 */
#define X87_STATUS                                                                                                     \
    "fnstsw %w[status]\n\t"                                                                                            \
    "testb $0x80, %b[status]\n\t"                                                                                      \
    "jz 1f\n\t"                                                                                                        \
    "fnclex\n"                                                                                                         \
    "1:\n\t"
#define X87_CLOBBERS "cc", "memory", "st", "st(1)", "st(2)"

#endif
