/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A software CPU whose memory, TLB and x87 are doubles: linear memory is a flat array of 1 MiB, but for pages that are
 * said to be missing. Descriptor tables and stacks are laid out below. For tests of the system side of src/vcpu/soft.
 */
#ifndef HDL_TESTS_SOFT_SYSTEM_FIXTURE_H
#define HDL_TESTS_SOFT_SYSTEM_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vcpu/soft/descriptor.h"
#include "vcpu/soft/insn.h"
#include "vcpu/soft/mem.h"
#include "vcpu/soft/soft_vm.h"
#include "vcpu/soft/system.h"
#include "vcpu/soft/system_insn.h"

#define MEMORY_BYTES 0x100000

/* Where things are. */
enum {
    GDT = 0x1000,
    IDT = 0x2000,
    TSS = 0x4000,
    TSS_OTHER = 0x5000,
    LDT = 0x6000,
    STACK0 = 0x9000, /* tops */
    STACK1 = 0xa000,
    STACK3 = 0xb000,
    IST1 = 0xc000,
    MISSING = 0xf000, /* a page that isn't there */
    CODE = 0x10000,
};

/* Selectors. Those of 16 bytes are so in every mode. */
enum {
    SEL_CODE0 = 0x08,
    SEL_DATA0 = 0x10,
    SEL_CODE3 = 0x18,
    SEL_DATA3 = 0x20,
    SEL_CODE64_0 = 0x28,
    SEL_DATA64_3 = 0x30,
    SEL_CODE64_3 = 0x38,
    SEL_TSS = 0x40,
    SEL_LDT = 0x50,
    SEL_GATE = 0x60,
    SEL_CONFORMING = 0x70,
    SEL_DOWN = 0x78,
    SEL_ABSENT = 0x80,
    SEL_READ_ONLY = 0x88,
    SEL_EXECUTE_ONLY = 0x90,
    SEL_CODE1 = 0x98,
    SEL_DATA1 = 0xa0,
    SEL_TSS_OTHER = 0xa8,
    SEL_TASK_GATE = 0xb0,
    SEL_CODE16 = 0xb8,
    SEL_SMALL = 0xc0, /* data, limit 0xfff */
    GDT_LIMIT = 0xc7,
};

struct fixture {
    struct soft_vm vm;
    struct soft_vcpu vcpu;
    uint8_t memory[MEMORY_BYTES];
    int raised; /* a vector, or -1 */
    unsigned system_stores, flushes_all, flushes_local;
    bool pdptes_bad;
    struct vcpu_exit exit;
    /* The double of vcpu_handle_exit: accesses to ports. */
    struct vcpu_exit pio;
    uint8_t pio_data[512];
    uint8_t pio_next; /* reads give rising bytes */
    unsigned pio_exits;
    /* The interrupt source. */
    uint64_t apic_base, deadline;
    unsigned deadline_writes;
    uint8_t tpr;
};
extern struct fixture fix;
#define CPU (&fix.vcpu.cpu)

/* Runs a statement; fix.raised is what it raised. */
#define ATTEMPT(statement)                                                                                             \
    do {                                                                                                               \
        fix.raised = -1;                                                                                               \
        if (_setjmp(CPU->fault_target) == 0) {                                                                         \
            statement;                                                                                                 \
        } else {                                                                                                       \
            fix.raised = CPU->fault.vector;                                                                            \
        }                                                                                                              \
    } while (0)
#define OK(statement)                                                                                                  \
    do {                                                                                                               \
        ATTEMPT(statement);                                                                                            \
        assert_int_equal(fix.raised, -1);                                                                              \
    } while (0)
#define RAISES(vector_, statement)                                                                                     \
    do {                                                                                                               \
        ATTEMPT(statement);                                                                                            \
        assert_int_equal(fix.raised, vector_);                                                                         \
    } while (0)
#define RAISES_ERROR(vector_, error_, statement)                                                                       \
    do {                                                                                                               \
        RAISES(vector_, statement);                                                                                    \
        assert_true(CPU->fault.has_error);                                                                             \
        assert_int_equal(CPU->fault.error, error_);                                                                    \
    } while (0)
/* The same, and nothing that a program could see has changed. */
#define REFUSES(vector_, error_, statement)                                                                            \
    do {                                                                                                               \
        struct fixture_registers before_ = fixture_registers();                                                        \
        struct fixture_registers after_;                                                                               \
        RAISES_ERROR(vector_, error_, statement);                                                                      \
        after_ = fixture_registers();                                                                                  \
        assert_memory_equal(&before_, &after_, sizeof(before_));                                                       \
    } while (0)

struct fixture_registers {
    uint64_t gpr[CPU_GPR_COUNT], rip, rflags, cr[4], efer;
    uint16_t selector[CPU_SEGMENT_COUNT];
    uint64_t base[CPU_SEGMENT_COUNT];
    uint64_t cpl;
};
struct fixture_registers fixture_registers(void);

/* Power-on, model `max` with changes (",-apic"), then tables in memory. */
void fixture_reset(const char *model);
/* Protected mode with 32-bit code, or long mode with 64-bit code, at a level; real and virtual-8086 mode. RIP: CODE. */
void fixture_real(void);
void fixture_protected(uint8_t cpl);
void fixture_long(uint8_t cpl);
void fixture_vm86(unsigned iopl);

/* An exec function on an instruction at CPU->rip, of two bytes. */
void fixture_exec(soft_exec_fn *fn, const struct soft_insn *insn);
/* The run loop's part: delivers CPU->fault. False: triple fault. */
bool fixture_deliver(void);

uint64_t peek(uint64_t linear, unsigned size_bytes);
void poke(uint64_t linear, unsigned size_bytes, uint64_t value);
void put_gate(unsigned vector, uint16_t selector, uint64_t offset, unsigned type, unsigned dpl, unsigned ist);
void put_call_gate(uint16_t selector, uint64_t offset, unsigned dpl, unsigned count);
/* A descriptor from its parts: access byte and flags nibble (G, D, L, AVL). */
uint64_t descriptor(uint32_t base, uint32_t limit, unsigned access, unsigned flags);

#endif
