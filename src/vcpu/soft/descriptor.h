/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What segment loads, far transfers, interrupts and task switches share: descriptors taken apart, and stacks that are
 * pushed to and popped from before it is certain that the transfer happens (SDM 3, 3.4.5, 3.5, 5.8, 6.12). The vCPU's
 * thread, in a run; whatever reads memory may raise.
 *
 * None of these changes the CPU, but for those that say "commit". So a transfer checks and stores everything first, and
 * commits when nothing can fail any more.
 */
#ifndef HDL_VCPU_SOFT_DESCRIPTOR_H
#define HDL_VCPU_SOFT_DESCRIPTOR_H

#include "vcpu/soft/cpu.h"
#include "vcpu/soft/exception.h"
#include "vcpu/soft/segment.h"

/* Types of system descriptors (SDM 3, table 3-2). */
enum soft_system_type {
    SYSTEM_TSS16 = 1,
    SYSTEM_LDT = 2,
    SYSTEM_TSS16_BUSY = 3,
    SYSTEM_CALL_GATE16 = 4,
    SYSTEM_TASK_GATE = 5,
    SYSTEM_INTERRUPT_GATE16 = 6,
    SYSTEM_TRAP_GATE16 = 7,
    SYSTEM_TSS = 9,
    SYSTEM_TSS_BUSY = 11,
    SYSTEM_CALL_GATE = 12,
    SYSTEM_INTERRUPT_GATE = 14,
    SYSTEM_TRAP_GATE = 15,
};
/* Bits of a TSS's type. */
enum { SYSTEM_BUSY = 2, SYSTEM_IS_32 = 8 };

/* Bits of cpu_segment.type when s is set. */
enum { SEGMENT_ACCESSED = 1, SEGMENT_RW = 2, SEGMENT_DOWN_OR_CONFORMING = 4, SEGMENT_CODE = 8 };

struct soft_descriptor {
    uint16_t selector;
    uint64_t address; /* linear */
    uint64_t low;     /* its first eight bytes */
    uint64_t high;    /* the second eight, of system descriptors in long mode; else 0 */
};

struct soft_gate {
    uint16_t selector;
    uint64_t offset;
    uint8_t type, dpl;
    uint8_t count; /* a call gate's parameters; a long-mode interrupt gate's IST */
    bool present;
};

/* False: the selector is null or beyond its table. */
bool soft_descriptor_read(struct soft_cpu *cpu, uint16_t selector, struct soft_descriptor *descriptor);
/* The other half of a system descriptor, which long mode has. False: it lies beyond the table. */
bool soft_descriptor_read_high(struct soft_cpu *cpu, struct soft_descriptor *descriptor);
/* As a segment register holds it; base with its high half for system segments. */
struct cpu_segment soft_descriptor_segment(const struct soft_descriptor *descriptor);
struct soft_gate soft_descriptor_gate(const struct soft_descriptor *descriptor);
/* The accessed bit of a code or data segment, in the table and in *segment. */
void soft_descriptor_access(struct soft_cpu *cpu, const struct soft_descriptor *descriptor,
                            struct cpu_segment *segment);
/* A TSS descriptor's busy bit. */
void soft_descriptor_set_busy(struct soft_cpu *cpu, uint64_t address, bool busy);

static inline bool soft_selector_is_null(uint16_t selector)
{
    return !(selector & ~3);
}

static inline unsigned soft_iopl(const struct soft_cpu *cpu)
{
    return cpu->rflags >> 12 & 3;
}

/* Of a selector in an error code: without its RPL. */
static inline uint32_t soft_selector_error(uint16_t selector)
{
    return selector & 0xfffc;
}

static inline bool soft_segment_is_code(const struct cpu_segment *segment)
{
    return segment->s && (segment->type & SEGMENT_CODE);
}

static inline bool soft_segment_is_conforming(const struct cpu_segment *segment)
{
    return soft_segment_is_code(segment) && (segment->type & SEGMENT_DOWN_OR_CONFORMING);
}

static inline bool soft_segment_is_writable(const struct cpu_segment *segment)
{
    return segment->s && !(segment->type & SEGMENT_CODE) && (segment->type & SEGMENT_RW);
}

static inline bool soft_segment_is_readable(const struct cpu_segment *segment)
{
    return segment->s && (!(segment->type & SEGMENT_CODE) || (segment->type & SEGMENT_RW));
}

/* A null selector's register. level: SS keeps the CPL as its DPL. */
struct cpu_segment soft_null_segment(uint16_t selector, uint8_t level);
/* Whether an access keeps to the segment's limit and, if `typed` (protected mode), its rights. */
bool soft_segment_allows(const struct cpu_segment *segment, uint64_t offset, unsigned size_bytes,
                         enum soft_access access, bool typed);

/*
 * A stack segment for `level`, accessed bit set. Raises `vector` (#GP or #TS) with the selector, or #SS if it isn't
 * present; ext: bit 0 of error codes. Null is refused as well.
 */
struct cpu_segment soft_check_stack_segment(struct soft_cpu *cpu, uint16_t selector, uint8_t level,
                                            enum soft_vector vector, uint32_t ext);
/* The same for ES, DS, FS, GS, at CPL `level`; #NP if not present. Null is fine. */
struct cpu_segment soft_check_data_segment(struct soft_cpu *cpu, uint16_t selector, uint8_t level,
                                           enum soft_vector vector);
/* A descriptor that a far transfer or an interrupt goes to; raises #GP when there is none. */
void soft_descriptor_need(struct soft_cpu *cpu, uint16_t selector, uint32_t ext, struct soft_descriptor *descriptor);
/* #NP if it isn't present. */
void soft_need_present(struct soft_cpu *cpu, const struct cpu_segment *segment, uint32_t ext);
/* In long mode a code segment can't be both 64-bit and 32-bit: #GP. */
void soft_need_sane_code(struct soft_cpu *cpu, const struct cpu_segment *segment, uint32_t ext);
/* #GP(ext) unless rip is in the code segment: within its limit, or canonical. */
void soft_need_rip(struct soft_cpu *cpu, const struct cpu_segment *code, uint64_t rip, uint32_t ext);

/* Commit: CS with `level` as its RPL and CPL, then next_rip. Mode and TLB bank follow. */
void soft_enter_code(struct soft_cpu *cpu, const struct cpu_segment *code, uint8_t level, uint64_t rip);
/* Commit: CS as real and virtual-8086 mode load it. */
void soft_enter_code_real(struct soft_cpu *cpu, uint16_t selector, uint64_t rip);
/* As real and virtual-8086 mode load a segment register: the base moves. */
void soft_load_segment_real(struct soft_cpu *cpu, unsigned index, uint16_t selector);
/* Commit: after a return to `level`, data segments that it may not use become null. */
void soft_drop_inner_segments(struct soft_cpu *cpu, uint8_t level);

/* --- stacks ------------------------------------------------------------------------------------------------------- */

struct soft_stack {
    struct cpu_segment segment;
    uint64_t pointer;
    uint64_t mask;   /* of the pointer's bits that move */
    bool supervisor; /* of an inner level than the present one */
    uint32_t error;  /* #SS's */
};

/* The present stack. ext: of #SS's error code. */
void soft_stack_begin(const struct soft_cpu *cpu, struct soft_stack *stack, uint32_t ext);
/* A new one, of a 16-bit, 32-bit (by segment->db) or 64-bit (is_64) kind. */
void soft_stack_begin_new(const struct soft_cpu *cpu, struct soft_stack *stack, const struct cpu_segment *segment,
                          uint64_t pointer, bool is_64, uint32_t ext);
void soft_stack_push(struct soft_cpu *cpu, struct soft_stack *stack, unsigned size_bytes, uint64_t value);
uint64_t soft_stack_pop(struct soft_cpu *cpu, struct soft_stack *stack, unsigned size_bytes);
/* Moves the pointer up. */
void soft_stack_skip(struct soft_stack *stack, uint64_t len_bytes);
/* Commit: the stack pointer; SS is the caller's. */
void soft_stack_commit(struct soft_cpu *cpu, const struct soft_stack *stack);

/*
 * The stack that the task state segment has for an inner level, empty. Raises #TS. Its segment is checked, and is to
 * become SS.
 */
void soft_inner_stack(struct soft_cpu *cpu, uint8_t level, uint32_t ext, struct soft_stack *stack);
/* Long mode's interrupt stack, 1..7. */
void soft_interrupt_stack(struct soft_cpu *cpu, unsigned number, uint8_t level, uint32_t ext, struct soft_stack *stack);

#endif
