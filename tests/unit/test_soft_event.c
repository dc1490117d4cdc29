/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The software CPU's interrupts, exceptions and IRET: every check's error code, and what is stored. */
#include "soft_system_fixture.h"

#include "vcpu/soft/event.h"
#include "vcpu/soft/flags.h"
#include "vcpu/soft/mmu.h"

#define HANDLER 0x20000

static const struct soft_insn no_operands = {.base = SOFT_NO_REG, .index = SOFT_NO_REG, .op_bytes = 4};

/* --- interrupts in protected mode --------------------------------------------------------------------------------- */

static void test_int_inwards_and_back(void **state)
{
    struct soft_insn insn = {.imm = 0x80, .op_bytes = 4};
    struct fixture_registers before;

    fixture_protected(3);
    put_gate(0x80, SEL_CODE0, HANDLER, SYSTEM_INTERRUPT_GATE, 3, 0);
    CPU->rflags |= RFLAGS_IF;
    soft_set_arithmetic_flags(CPU, RFLAGS_CF | RFLAGS_ZF);
    before = fixture_registers();
    OK(fixture_exec(soft_exec_int, &insn));
    assert_int_equal(CPU->next_rip, HANDLER);
    assert_int_equal(CPU->cpl, 0);
    assert_int_equal(CPU->segment[CPU_CS].selector, SEL_CODE0);
    assert_int_equal(CPU->segment[CPU_SS].selector, SEL_DATA0);
    assert_int_equal(CPU->gpr[CPU_RSP], STACK0 - 20);
    assert_false(CPU->rflags & RFLAGS_IF);
    assert_int_equal(peek(STACK0 - 4, 4), SEL_DATA3 | 3);
    assert_int_equal(peek(STACK0 - 8, 4), STACK3 - 0x100);
    assert_int_equal(peek(STACK0 - 12, 4), RFLAGS_IF | RFLAGS_CF | RFLAGS_ZF | RFLAGS_FIXED);
    assert_int_equal(peek(STACK0 - 16, 4), SEL_CODE3 | 3);
    assert_int_equal(peek(STACK0 - 20, 4), CODE + 2);
    assert_int_equal(fix.system_stores, 5); /* with the inner level's rights */

    CPU->rip = CPU->next_rip;
    OK(fixture_exec(soft_exec_iret, &no_operands));
    assert_int_equal(CPU->next_rip, CODE + 2);
    CPU->rip = CODE;
    assert_int_equal(CPU->cpl, 3);
    assert_int_equal(soft_rflags(CPU), before.rflags);
    assert_memory_equal(CPU->gpr, before.gpr, sizeof(before.gpr));
    /* Data segments of level 3 stay. */
    assert_int_equal(CPU->segment[CPU_DS].selector, SEL_DATA3 | 3);
}

static void test_int_checks(void **state)
{
    struct soft_insn insn = {.imm = 0x81, .op_bytes = 4};

    fixture_protected(3);
    put_gate(0x81, SEL_CODE0, HANDLER, SYSTEM_TRAP_GATE, 0, 0);
    REFUSES(VECTOR_GP, 0x81 << 3 | 2, fixture_exec(soft_exec_int, &insn)); /* the gate's DPL */
    OK(soft_deliver_interrupt(CPU, 0x81));                                 /* doesn't count outside */
    assert_int_equal(CPU->rip, HANDLER);

    fixture_protected(3);
    CPU->idt.limit = 0x40f - 1;
    REFUSES(VECTOR_GP, 0x81 << 3 | 3, soft_deliver_interrupt(CPU, 0x81));
    CPU->idt.limit = 0xfff;
    put_gate(0x81, SEL_CODE0, HANDLER, 2, 3, 0); /* not a gate */
    REFUSES(VECTOR_GP, 0x81 << 3 | 3, soft_deliver_interrupt(CPU, 0x81));
    put_gate(0x81, SEL_CODE0, HANDLER, SYSTEM_TRAP_GATE, 3, 0);
    poke(IDT + 0x81 * 8 + 5, 1, 0x6f); /* not present */
    REFUSES(VECTOR_NP, 0x81 << 3 | 2, fixture_exec(soft_exec_int, &insn));
    put_gate(0x81, 0, HANDLER, SYSTEM_TRAP_GATE, 3, 0);
    REFUSES(VECTOR_GP, 1, soft_deliver_interrupt(CPU, 0x81));
    put_gate(0x81, SEL_DATA0, HANDLER, SYSTEM_TRAP_GATE, 3, 0);
    REFUSES(VECTOR_GP, SEL_DATA0 | 1, soft_deliver_interrupt(CPU, 0x81));
    put_gate(0x81, SEL_CODE0, HANDLER, SYSTEM_TRAP_GATE, 3, 0);
    poke(GDT + SEL_CODE0 + 5, 1, 0x1a);
    REFUSES(VECTOR_NP, SEL_CODE0, fixture_exec(soft_exec_int, &insn));
}

static void test_int_stack_checks(void **state)
{
    fixture_protected(3);
    put_gate(0x81, SEL_CODE0, HANDLER, SYSTEM_TRAP_GATE, 3, 0);
    CPU->segment[CPU_TR].limit = 8;
    REFUSES(VECTOR_TS, SEL_TSS | 1, soft_deliver_interrupt(CPU, 0x81));
    CPU->segment[CPU_TR].limit = 0xfff;
    poke(TSS + 8, 4, 0);
    REFUSES(VECTOR_TS, 1, soft_deliver_interrupt(CPU, 0x81));
    poke(TSS + 8, 4, SEL_DATA3 | 3);
    REFUSES(VECTOR_TS, SEL_DATA3 | 1, soft_deliver_interrupt(CPU, 0x81));
    poke(TSS + 8, 4, SEL_READ_ONLY);
    REFUSES(VECTOR_TS, SEL_READ_ONLY | 1, soft_deliver_interrupt(CPU, 0x81));
    poke(TSS + 8, 4, SEL_ABSENT);
    REFUSES(VECTOR_SS, SEL_ABSENT | 1, soft_deliver_interrupt(CPU, 0x81));
}

static void test_int_stack_faults(void **state)
{
    fixture_protected(3);
    put_gate(0x81, SEL_CODE0, HANDLER, SYSTEM_TRAP_GATE, 3, 0);
    poke(TSS + 4, 4, 0x10); /* room for four pushes in a segment that ends at 0 */
    poke(TSS + 8, 4, SEL_SMALL);
    REFUSES(VECTOR_SS, SEL_SMALL | 1, soft_deliver_interrupt(CPU, 0x81));
    poke(TSS + 8, 4, SEL_DATA0);
    poke(TSS + 4, 4, MISSING + SOFT_PAGE_BYTES);
    REFUSES(VECTOR_PF, PF_WRITE | PF_USER, soft_deliver_interrupt(CPU, 0x81));
    fixture_protected(0);
    put_gate(0x81, SEL_CODE0, HANDLER, SYSTEM_TRAP_GATE, 3, 0);
    OK(soft_load_segment(CPU, CPU_SS, SEL_SMALL));
    CPU->gpr[CPU_RSP] = 8;
    REFUSES(VECTOR_SS, 1, soft_deliver_interrupt(CPU, 0x81)); /* the present stack has no name */
    /* 16-bit gates push 16-bit words. */
    put_gate(0x82, SEL_CODE0, HANDLER | 0x1234, SYSTEM_TRAP_GATE16, 3, 0);
    CPU->gpr[CPU_RSP] = 0x800;
    CPU->rflags |= RFLAGS_IF;
    OK(soft_deliver_interrupt(CPU, 0x82));
    assert_int_equal(CPU->rip, 0x1234);
    assert_int_equal(CPU->gpr[CPU_RSP], 0x800 - 6);
    assert_true(CPU->rflags & RFLAGS_IF);
    assert_int_equal(peek(0x100 + 0x800 - 4, 2), SEL_CODE0);
}

static void test_conforming_handler(void **state)
{
    fixture_protected(3);
    put_gate(0x81, SEL_CONFORMING, HANDLER, SYSTEM_TRAP_GATE, 3, 0);
    OK(soft_deliver_interrupt(CPU, 0x81));
    assert_int_equal(CPU->cpl, 3);
    assert_int_equal(CPU->segment[CPU_CS].selector, SEL_CONFORMING | 3);
    assert_int_equal(CPU->gpr[CPU_RSP], STACK3 - 0x100 - 12);
    assert_int_equal(fix.system_stores, 0);
}

/* --- interrupts in long mode -------------------------------------------------------------------------------------- */

static void test_long_interrupt(void **state)
{
    struct soft_insn iretq = {.op_bytes = 8};

    fixture_long(3);
    put_gate(0x30, SEL_CODE64_0, UINT64_C(0xffffffff80001000), SYSTEM_INTERRUPT_GATE, 0, 0);
    CPU->rflags |= RFLAGS_IF;
    CPU->gpr[CPU_RSP] = STACK3 - 0x123;
    OK(soft_deliver_interrupt(CPU, 0x30));
    assert_int_equal(CPU->rip, UINT64_C(0xffffffff80001000));
    assert_int_equal(CPU->segment[CPU_SS].selector, 0);
    assert_true(CPU->segment[CPU_SS].unusable);
    assert_int_equal(CPU->gpr[CPU_RSP], STACK0 - 40);
    assert_int_equal(peek(STACK0 - 8, 8), SEL_DATA64_3 | 3);
    assert_int_equal(peek(STACK0 - 16, 8), STACK3 - 0x123);
    assert_int_equal(peek(STACK0 - 32, 8), SEL_CODE64_3 | 3);
    assert_int_equal(peek(STACK0 - 40, 8), CODE);
    assert_true(CPU->mode & SOFT_MODE_64);
    CPU->rip = CPU->next_rip;
    OK(fixture_exec(soft_exec_iret, &iretq));
    assert_int_equal(CPU->cpl, 3);
    assert_int_equal(CPU->gpr[CPU_RSP], STACK3 - 0x123);
    assert_int_equal(CPU->next_rip, CODE);
    assert_true(CPU->rflags & RFLAGS_IF);
    assert_int_equal(CPU->segment[CPU_SS].selector, SEL_DATA64_3 | 3);
}

static void test_long_same_level(void **state)
{
    struct soft_insn iretq = {.op_bytes = 8};

    fixture_long(0);
    OK(soft_load_segment(CPU, CPU_SS, 0)); /* as behind an interrupt from level 3 */
    put_gate(VECTOR_GP, SEL_CODE64_0, HANDLER, SYSTEM_INTERRUPT_GATE, 0, 0);
    CPU->gpr[CPU_RSP] = STACK0 - 0x18; /* not at a multiple of 16 */
    CPU->fault = (struct soft_fault){VECTOR_GP, true, 0x1234};
    assert_true(fixture_deliver());
    assert_int_equal(CPU->gpr[CPU_RSP], STACK0 - 0x20 - 48);
    assert_int_equal(peek(STACK0 - 0x20 - 48, 8), 0x1234);
    assert_true(peek(STACK0 - 0x20 - 24, 8) & RFLAGS_RF); /* a fault's */
    assert_int_equal(peek(STACK0 - 0x20 - 40, 8), CODE);
    CPU->gpr[CPU_RSP] += 8;
    OK(fixture_exec(soft_exec_iret, &iretq));
    assert_int_equal(CPU->gpr[CPU_RSP], STACK0 - 0x18);
    assert_true(CPU->segment[CPU_SS].unusable);
    assert_false(CPU->rflags & RFLAGS_RF); /* nobody needs it without breakpoints */
}

static void test_long_ist_and_checks(void **state)
{
    fixture_long(0);
    put_gate(VECTOR_NMI, SEL_CODE64_0, HANDLER, SYSTEM_INTERRUPT_GATE, 0, 1);
    CPU->nmi_pending = true;
    OK(soft_deliver_nmi(CPU));
    assert_int_equal(CPU->gpr[CPU_RSP], IST1 - 40);
    assert_int_equal(CPU->segment[CPU_SS].selector, SEL_DATA0); /* the level is the same */
    assert_true(CPU->nmi_masked);
    assert_false(CPU->nmi_pending);
    OK(fixture_exec(soft_exec_iret, &(struct soft_insn){.op_bytes = 8}));
    assert_false(CPU->nmi_masked);

    put_gate(0x40, SEL_CODE64_0, HANDLER, SYSTEM_INTERRUPT_GATE, 0, 7);
    CPU->segment[CPU_TR].limit = 0x5a;
    REFUSES(VECTOR_TS, SEL_TSS | 1, soft_deliver_interrupt(CPU, 0x40));
    CPU->segment[CPU_TR].limit = 0xfff;
    poke(TSS + 0x54, 8, UINT64_C(0x8000000000000));
    REFUSES(VECTOR_SS, 1, soft_deliver_interrupt(CPU, 0x40));
    put_gate(0x40, SEL_CODE0, HANDLER, SYSTEM_INTERRUPT_GATE, 0, 0); /* not 64-bit code */
    REFUSES(VECTOR_GP, SEL_CODE0 | 1, soft_deliver_interrupt(CPU, 0x40));
    put_gate(0x40, SEL_CODE64_0, UINT64_C(1) << 48, SYSTEM_INTERRUPT_GATE, 0, 0);
    REFUSES(VECTOR_GP, 1, soft_deliver_interrupt(CPU, 0x40));
    put_gate(0x40, SEL_CODE64_0, HANDLER, SYSTEM_TASK_GATE, 0, 0);
    REFUSES(VECTOR_GP, 0x40 << 3 | 3, soft_deliver_interrupt(CPU, 0x40));
}

/* --- double and triple faults ------------------------------------------------------------------------------------- */

static void check_double(uint8_t first, uint8_t expected)
{
    fixture_long(0);
    put_gate(VECTOR_DF, SEL_CODE64_0, HANDLER + VECTOR_DF, SYSTEM_INTERRUPT_GATE, 0, 1);
    put_gate(VECTOR_NP, SEL_CODE64_0, HANDLER + VECTOR_NP, SYSTEM_INTERRUPT_GATE, 0, 1);
    put_gate(first, SEL_CODE64_0, HANDLER, SYSTEM_INTERRUPT_GATE, 0, 0);
    poke(IDT + first * 16 + 5, 1, 0xe); /* not present: #NP */
    CPU->fault = (struct soft_fault){first, false, 0};
    assert_true(fixture_deliver());
    assert_int_equal(CPU->rip, HANDLER + expected);
    if (expected == VECTOR_DF) {
        assert_int_equal(peek(CPU->gpr[CPU_RSP], 8), 0);
        assert_false(peek(CPU->gpr[CPU_RSP] + 24, 8) & RFLAGS_RF);
    } else {
        assert_int_equal(peek(CPU->gpr[CPU_RSP], 8), first << 3 | 3);
    }
    assert_false(CPU->delivering);
}

static void test_double_fault(void **state)
{
    check_double(VECTOR_GP, VECTOR_DF);
    check_double(VECTOR_DE, VECTOR_DF);
    check_double(VECTOR_PF, VECTOR_DF);
    check_double(VECTOR_UD, VECTOR_NP);
    check_double(VECTOR_DB, VECTOR_NP);
    check_double(VECTOR_MF, VECTOR_NP);
    fixture_long(0);
    CPU->fault = (struct soft_fault){VECTOR_GP, true, 0};
    assert_false(fixture_deliver()); /* an empty table: triple fault */
    /* A contributory fault, then a page fault: one after the other. */
    fixture_long(0);
    put_gate(VECTOR_PF, SEL_CODE64_0, HANDLER, SYSTEM_INTERRUPT_GATE, 0, 1);
    put_gate(VECTOR_GP, SEL_CODE64_0, HANDLER, SYSTEM_INTERRUPT_GATE, 0, 0);
    CPU->gpr[CPU_RSP] = MISSING + 0x20;
    CPU->fault = (struct soft_fault){VECTOR_GP, true, 0};
    assert_true(fixture_deliver());
    assert_int_equal(CPU->rip, HANDLER);
    assert_int_equal(CPU->cr2, MISSING + 0x18);
    assert_int_equal(peek(IST1 - 16, 8), MISSING + 0x20);
}

/* --- real and virtual-8086 mode ----------------------------------------------------------------------------------- */

static void test_real_mode(void **state)
{
    struct soft_insn insn = {.imm = 0x10, .op_bytes = 2};

    fixture_real();
    poke(IDT + 0x40, 4, 0x20000123);
    CPU->rflags |= RFLAGS_IF | RFLAGS_TF;
    OK(fixture_exec(soft_exec_int, &insn));
    assert_int_equal(CPU->segment[CPU_CS].selector, 0x2000);
    assert_int_equal(CPU->segment[CPU_CS].base, 0x20000);
    assert_int_equal(CPU->next_rip, 0x123);
    assert_int_equal(CPU->gpr[CPU_RSP], 0x8000 - 6);
    assert_false(CPU->rflags & (RFLAGS_IF | RFLAGS_TF));
    assert_int_equal(peek(0x8000 - 6, 2), 0x22);
    assert_int_equal(peek(0x8000 - 4, 2), 0x1000);
    OK(fixture_exec(soft_exec_iret, &insn));
    assert_int_equal(CPU->next_rip, 0x22);
    assert_int_equal(CPU->segment[CPU_CS].base, 0x10000);
    assert_true((CPU->rflags & RFLAGS_IF) && (CPU->rflags & RFLAGS_TF));
    CPU->idt.limit = 0x42;
    REFUSES(VECTOR_GP, 0x10 << 3 | 2, fixture_exec(soft_exec_int, &insn));
    /* No error codes on a real-mode stack. */
    poke(IDT + VECTOR_GP * 4, 4, 0x20000456);
    CPU->gpr[CPU_RSP] = 0x8000;
    assert_true(fixture_deliver());
    assert_int_equal(CPU->rip, 0x456);
    assert_int_equal(CPU->gpr[CPU_RSP], 0x8000 - 6);
}

static void test_vm86(void **state)
{
    struct soft_insn insn = {.imm = 0x21, .op_bytes = 4};

    fixture_vm86(3);
    put_gate(0x21, SEL_CODE0, HANDLER, SYSTEM_INTERRUPT_GATE, 3, 0);
    OK(fixture_exec(soft_exec_int, &insn));
    assert_int_equal(CPU->cpl, 0);
    assert_false(CPU->rflags & RFLAGS_VM);
    assert_true(CPU->mode & SOFT_MODE_PROTECTED);
    assert_int_equal(CPU->gpr[CPU_RSP], STACK0 - 36);
    assert_int_equal(peek(STACK0 - 4, 4), 0x600); /* GS, FS, DS, ES, SS, ESP, EFLAGS, CS, EIP */
    assert_int_equal(peek(STACK0 - 12, 4), 0x400);
    assert_int_equal(peek(STACK0 - 16, 4), 0x100);
    assert_int_equal(peek(STACK0 - 20, 4), 0x300);
    assert_true(peek(STACK0 - 28, 4) & RFLAGS_VM);
    assert_int_equal(peek(STACK0 - 36, 4), 0x22);
    assert_true(CPU->segment[CPU_DS].unusable);
    OK(fixture_exec(soft_exec_iret, &insn));
    assert_true(CPU->rflags & RFLAGS_VM);
    assert_int_equal(CPU->cpl, 3);
    assert_int_equal(CPU->segment[CPU_GS].base, 0x6000);
    assert_int_equal(CPU->segment[CPU_SS].base, 0x3000);
    assert_int_equal(CPU->segment[CPU_SS].dpl, 3);
    assert_int_equal(CPU->gpr[CPU_RSP], 0x8000);
    assert_int_equal(CPU->next_rip, 0x22);
    /* The handler must be at level 0. */
    put_gate(0x21, SEL_CONFORMING, HANDLER, SYSTEM_INTERRUPT_GATE, 3, 0);
    CPU->rip = 0x20;
    REFUSES(VECTOR_GP, SEL_CONFORMING, fixture_exec(soft_exec_int, &insn));
    CPU->rflags &= ~(uint64_t)RFLAGS_IOPL;
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_int, &insn));
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_iret, &insn));
}

static void test_vm86_extensions(void **state)
{
    struct soft_insn insn = {.imm = 0x21, .op_bytes = 2};

    fixture_vm86(0);
    CPU->cr4 |= CR4_VME;
    CPU->rflags |= RFLAGS_VIF | RFLAGS_IF;
    poke(0x21 * 4, 4, 0x20000123);
    OK(fixture_exec(soft_exec_int, &insn));
    assert_int_equal(CPU->next_rip, 0x123);
    assert_int_equal(CPU->segment[CPU_CS].base, 0x20000);
    assert_true(CPU->rflags & RFLAGS_IF); /* the real one */
    assert_false(CPU->rflags & RFLAGS_VIF);
    assert_int_equal(peek(0x3000 + 0x8000 - 2, 2) & (RFLAGS_IF | RFLAGS_IOPL), RFLAGS_IF | RFLAGS_IOPL);
    OK(fixture_exec(soft_exec_iret, &insn));
    assert_true(CPU->rflags & RFLAGS_VIF);
    assert_int_equal(soft_iopl(CPU), 0);
    /* STI with an interrupt pending is the monitor's business. */
    OK(fixture_exec(soft_exec_cli, &insn));
    CPU->rflags |= RFLAGS_VIP;
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_sti, &insn));
    CPU->rflags &= ~(uint64_t)RFLAGS_VIP;
    OK(fixture_exec(soft_exec_sti, &insn));
    assert_true(CPU->rflags & RFLAGS_VIF);
    /* Its bit set: to protected mode, for which the IOPL is too low. */
    poke(TSS + 0x100 - 32 + 0x21 / 8, 1, 1 << 0x21 % 8);
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_int, &insn));
}

/* --- IRET --------------------------------------------------------------------------------------------------------- */

static void put_frame(uint64_t rip, uint16_t cs, uint32_t flags, uint64_t rsp, uint16_t ss, unsigned bytes)
{
    const uint64_t words[] = {rip, cs, flags, rsp, ss};

    for (unsigned i = 0; i < 5; i++) {
        poke(CPU->gpr[CPU_RSP] + i * bytes, bytes, words[i]);
    }
}

static void test_iret_checks(void **state)
{
    struct soft_insn iretq = {.op_bytes = 8};

    fixture_protected(0);
    put_frame(CODE, 0, 2, 0, 0, 4);
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_iret, &no_operands));
    put_frame(CODE, SEL_DATA0, 2, 0, 0, 4);
    REFUSES(VECTOR_GP, SEL_DATA0, fixture_exec(soft_exec_iret, &no_operands));
    put_frame(CODE, SEL_CODE3, 2, 0, 0, 4); /* DPL isn't RPL */
    REFUSES(VECTOR_GP, SEL_CODE3, fixture_exec(soft_exec_iret, &no_operands));
    put_frame(CODE, SEL_CODE3 | 3, 2, STACK3, 0, 4);
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_iret, &no_operands));
    put_frame(CODE, SEL_CODE3 | 3, 2, STACK3, SEL_DATA3, 4);
    REFUSES(VECTOR_GP, SEL_DATA3, fixture_exec(soft_exec_iret, &no_operands));
    put_frame(CODE, SEL_CODE3 | 3, 2, STACK3, SEL_DATA3 | 3, 4);
    OK(fixture_exec(soft_exec_iret, &no_operands));
    assert_true(CPU->segment[CPU_DS].unusable); /* it was level 0's */

    fixture_long(3);
    put_frame(CODE, SEL_CODE64_0, 2, STACK0, SEL_DATA0, 8);
    REFUSES(VECTOR_GP, SEL_CODE64_0, fixture_exec(soft_exec_iret, &iretq)); /* inwards */
    put_frame(CODE, SEL_CODE64_3 | 3, 2, STACK3, 3, 8);                     /* level 3 needs a stack segment */
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_iret, &iretq));
    put_frame(UINT64_C(1) << 60, SEL_CODE64_3 | 3, 2, STACK3, SEL_DATA64_3 | 3, 8);
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_iret, &iretq));
    put_frame(CODE, SEL_CODE64_3 | 3, RFLAGS_IF | RFLAGS_IOPL | RFLAGS_ID | 2, STACK3, SEL_DATA64_3 | 3, 8);
    OK(fixture_exec(soft_exec_iret, &iretq));
    assert_int_equal(CPU->rflags & (RFLAGS_IF | RFLAGS_IOPL | RFLAGS_ID), RFLAGS_ID); /* IOPL 0 protects them */
    CPU->rflags |= RFLAGS_NT;
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_iret, &iretq));
}

static void test_iret_to_compatibility(void **state)
{
    fixture_long(0);
    put_frame(CODE, SEL_CODE3 | 3, 2 | RFLAGS_IF, STACK3, SEL_DATA3 | 3, 8);
    OK(fixture_exec(soft_exec_iret, &(struct soft_insn){.op_bytes = 8}));
    assert_int_equal(CPU->mode & (SOFT_MODE_64 | SOFT_MODE_32 | SOFT_MODE_STACK32), SOFT_MODE_32 | SOFT_MODE_STACK32);
    assert_int_equal(CPU->gpr[CPU_RSP], STACK3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_int_inwards_and_back),
        cmocka_unit_test(test_int_checks),
        cmocka_unit_test(test_int_stack_checks),
        cmocka_unit_test(test_int_stack_faults),
        cmocka_unit_test(test_conforming_handler),
        cmocka_unit_test(test_long_interrupt),
        cmocka_unit_test(test_long_same_level),
        cmocka_unit_test(test_long_ist_and_checks),
        cmocka_unit_test(test_double_fault),
        cmocka_unit_test(test_real_mode),
        cmocka_unit_test(test_vm86),
        cmocka_unit_test(test_vm86_extensions),
        cmocka_unit_test(test_iret_checks),
        cmocka_unit_test(test_iret_to_compatibility),
    };

    return cmocka_run_group_tests_name("soft_event", tests, NULL, NULL);
}
