/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The software CPU's segments, far transfers and tasks: every check's error code, and what is stored. */
#include "soft_system_fixture.h"

#include "vcpu/soft/far.h"
#include "vcpu/soft/flags.h"
#include "vcpu/soft/task.h"

#define HANDLER 0x20000

static const struct soft_insn no_operands = {.base = SOFT_NO_REG, .index = SOFT_NO_REG, .op_bytes = 4};

/* --- segments ----------------------------------------------------------------------------------------------------- */

static void test_load_segment(void **state)
{
    fixture_protected(0);
    OK(soft_load_segment(CPU, CPU_DS, SEL_SMALL));
    assert_int_equal(CPU->segment[CPU_DS].base, 0x100);
    assert_int_equal(CPU->segment[CPU_DS].limit, 0xfff);
    assert_int_equal(peek(GDT + SEL_SMALL + 5, 1), 0x93); /* accessed */
    assert_false(CPU->mode & SOFT_MODE_FLAT);
    OK(soft_load_segment(CPU, CPU_DS, 8 | 4 | 3)); /* the LDT's */
    assert_int_equal(CPU->segment[CPU_DS].base, 0x7000);
    OK(soft_load_segment(CPU, CPU_DS, 3));
    assert_true(CPU->segment[CPU_DS].unusable);
    OK(soft_load_segment(CPU, CPU_DS, SEL_DATA0));
    assert_true(CPU->mode & SOFT_MODE_FLAT);
    OK(soft_load_segment(CPU, CPU_ES, SEL_CONFORMING));
    OK(soft_load_segment(CPU, CPU_SS, SEL_DOWN));

    poke(GDT + GDT_LIMIT + 1, 8, peek(GDT + SEL_DATA0, 8)); /* beyond the table */
    REFUSES(VECTOR_GP, 0xc8, soft_load_segment(CPU, CPU_DS, 0xc8));
    REFUSES(VECTOR_GP, 0x24, soft_load_segment(CPU, CPU_DS, 0x24));
    REFUSES(VECTOR_GP, SEL_DATA0, soft_load_segment(CPU, CPU_DS, SEL_DATA0 | 1));
    REFUSES(VECTOR_GP, SEL_EXECUTE_ONLY, soft_load_segment(CPU, CPU_DS, SEL_EXECUTE_ONLY));
    REFUSES(VECTOR_GP, SEL_TSS, soft_load_segment(CPU, CPU_DS, SEL_TSS));
    REFUSES(VECTOR_NP, SEL_ABSENT, soft_load_segment(CPU, CPU_DS, SEL_ABSENT));
    REFUSES(VECTOR_GP, 0, soft_load_segment(CPU, CPU_SS, 0));
    REFUSES(VECTOR_GP, SEL_READ_ONLY, soft_load_segment(CPU, CPU_SS, SEL_READ_ONLY));
    REFUSES(VECTOR_GP, SEL_DATA3, soft_load_segment(CPU, CPU_SS, SEL_DATA3 | 3));
    REFUSES(VECTOR_GP, SEL_DATA3, soft_load_segment(CPU, CPU_SS, SEL_DATA3));
    REFUSES(VECTOR_GP, SEL_DATA0, soft_load_segment(CPU, CPU_SS, SEL_DATA0 | 3));
    REFUSES(VECTOR_SS, SEL_ABSENT, soft_load_segment(CPU, CPU_SS, SEL_ABSENT));
    CPU->gdt.base = MISSING;
    RAISES(VECTOR_PF, soft_load_segment(CPU, CPU_DS, SEL_DATA0));

    fixture_protected(3);
    REFUSES(VECTOR_GP, SEL_DATA0, soft_load_segment(CPU, CPU_DS, SEL_DATA0));
    OK(soft_load_segment(CPU, CPU_DS, SEL_CONFORMING | 3));
}

static void test_load_segment_elsewhere(void **state)
{
    fixture_long(0);
    OK(soft_load_segment(CPU, CPU_SS, 0));
    assert_true(CPU->segment[CPU_SS].unusable);
    assert_true(CPU->mode & SOFT_MODE_FLAT);
    REFUSES(VECTOR_GP, 0, soft_load_segment(CPU, CPU_SS, 3));
    fixture_long(3);
    REFUSES(VECTOR_GP, 0, soft_load_segment(CPU, CPU_SS, 3));

    fixture_real();
    CPU->segment[CPU_DS].limit = UINT32_MAX; /* as protected mode may leave it */
    OK(soft_load_segment(CPU, CPU_DS, 0x1234));
    assert_int_equal(CPU->segment[CPU_DS].base, 0x12340);
    assert_int_equal(CPU->segment[CPU_DS].limit, UINT32_MAX);
    assert_false(CPU->mode & SOFT_MODE_PROTECTED);
    CPU->segment[CPU_DS] = soft_null_segment(0, 0);
    OK(soft_load_segment(CPU, CPU_DS, 0x1234));
    assert_int_equal(CPU->segment[CPU_DS].limit, 0xffff);
}

static void test_linear(void **state)
{
    fixture_protected(0);
    OK(soft_load_segment(CPU, CPU_DS, SEL_SMALL));
    OK(assert_int_equal(soft_linear(CPU, CPU_DS, 0xffc, 4, SOFT_READ_WRITE), 0x10fc));
    REFUSES(VECTOR_GP, 0, soft_linear(CPU, CPU_DS, 0xffd, 4, SOFT_READ));
    OK(soft_load_segment(CPU, CPU_SS, SEL_DOWN));
    OK(soft_linear(CPU, CPU_SS, 0x1000, 4, SOFT_WRITE));
    OK(soft_linear(CPU, CPU_SS, 0xfffffffc, 4, SOFT_WRITE));
    REFUSES(VECTOR_SS, 0, soft_linear(CPU, CPU_SS, 0xfff, 4, SOFT_WRITE));
    REFUSES(VECTOR_SS, 0, soft_linear(CPU, CPU_SS, 0xfffffffd, 4, SOFT_WRITE));
    OK(soft_load_segment(CPU, CPU_ES, SEL_READ_ONLY));
    OK(soft_linear(CPU, CPU_ES, 0, 4, SOFT_READ));
    REFUSES(VECTOR_GP, 0, soft_linear(CPU, CPU_ES, 0, 4, SOFT_WRITE));
    REFUSES(VECTOR_GP, 0, soft_linear(CPU, CPU_CS, 0, 4, SOFT_WRITE));
    OK(soft_load_segment(CPU, CPU_FS, 0));
    REFUSES(VECTOR_GP, 0, soft_linear(CPU, CPU_FS, 0, 1, SOFT_READ));
    CPU->segment[CPU_GS].base = 0xfffffff0;
    OK(assert_int_equal(soft_linear(CPU, CPU_GS, 0x20, 4, SOFT_READ), 0x10));

    fixture_long(0);
    CPU->segment[CPU_FS].base = UINT64_C(0xffff800000000000);
    OK(assert_int_equal(soft_linear(CPU, CPU_FS, 8, 8, SOFT_READ), UINT64_C(0xffff800000000008)));
    CPU->segment[CPU_DS].base = 0x1000; /* doesn't count */
    OK(assert_int_equal(soft_linear(CPU, CPU_DS, 8, 8, SOFT_READ), 8));
    REFUSES(VECTOR_GP, 0, soft_linear(CPU, CPU_DS, UINT64_C(0x7ffffffffff9), 8, SOFT_READ));
    REFUSES(VECTOR_SS, 0, soft_linear(CPU, CPU_SS, UINT64_C(0x800000000000), 8, SOFT_READ));

    fixture_real();
    REFUSES(VECTOR_GP, 0, soft_linear(CPU, CPU_DS, 0xffff, 2, SOFT_READ));
    OK(soft_linear(CPU, CPU_CS, 0, 2, SOFT_WRITE)); /* real mode knows no rights */
}

static void test_offset(void **state)
{
    struct soft_insn insn = {.disp = -8, .base = CPU_RBX, .index = CPU_RSI, .scale = 2, .addr_bytes = 8};

    fixture_long(0);
    CPU->gpr[CPU_RBX] = UINT64_C(0x100000000);
    CPU->gpr[CPU_RSI] = 4;
    assert_int_equal(soft_offset(CPU, &insn), UINT64_C(0x100000008));
    insn.addr_bytes = 4;
    assert_int_equal(soft_offset(CPU, &insn), 8);
    insn = (struct soft_insn){
        .disp = -2, .base = SOFT_NO_REG, .index = SOFT_NO_REG, .addr_bytes = 8, .rip_relative = true};
    assert_int_equal(soft_offset(CPU, &insn), CODE);
    insn = (struct soft_insn){.disp = 0x7fff, .base = CPU_RBX, .index = SOFT_NO_REG, .addr_bytes = 2};
    CPU->gpr[CPU_RBX] = 0x9000;
    assert_int_equal(soft_offset(CPU, &insn), 0xfff);
}

static void test_stack(void **state)
{
    fixture_real();
    CPU->segment[CPU_SS].base = 0x20000;
    CPU->gpr[CPU_RSP] = UINT64_C(0x12340002);
    OK(soft_push(CPU, 2, 0xbeef));
    assert_int_equal(CPU->gpr[CPU_RSP], 0x12340000);
    OK(soft_push(CPU, 2, 0xcafe)); /* around */
    assert_int_equal(CPU->gpr[CPU_RSP], 0x1234fffe);
    OK(assert_int_equal(soft_pop(CPU, 2), 0xcafe));
    OK(assert_int_equal(soft_pop(CPU, 2), 0xbeef));
    CPU->gpr[CPU_RSP] = 1;
    REFUSES(VECTOR_SS, 0, soft_push(CPU, 2, 0));
    fixture_long(0);
    CPU->gpr[CPU_RSP] = MISSING + 8;
    RAISES(VECTOR_PF, soft_push(CPU, 8, 0));
    assert_int_equal(CPU->gpr[CPU_RSP], MISSING + 8);
}

static void test_mov_ss_shadow(void **state)
{
    struct soft_insn insn = {.modrm = 0xd0, .rm = CPU_RAX}; /* mov ss, ax */

    fixture_protected(0);
    CPU->gpr[CPU_RAX] = SEL_DATA0;
    OK(fixture_exec(soft_exec_mov_to_sreg, &insn));
    assert_int_equal(CPU->shadow, 2);
    assert_true(CPU->mode & SOFT_MODE_ONE);
    insn.modrm = 0xc8; /* mov cs, ax */
    RAISES(VECTOR_UD, fixture_exec(soft_exec_mov_to_sreg, &insn));
}

/* --- far transfers ------------------------------------------------------------------------------------------------ */

static void test_far_jump(void **state)
{
    fixture_protected(0);
    OK(soft_far_jump(CPU, SEL_CODE16, 0x1234));
    assert_int_equal(CPU->next_rip, 0x1234);
    assert_false(CPU->mode & SOFT_MODE_32);
    OK(soft_far_jump(CPU, SEL_CONFORMING, CODE));
    REFUSES(VECTOR_GP, 0, soft_far_jump(CPU, 0, CODE));
    REFUSES(VECTOR_GP, SEL_DATA0, soft_far_jump(CPU, SEL_DATA0, CODE));
    REFUSES(VECTOR_GP, SEL_CODE3, soft_far_jump(CPU, SEL_CODE3 | 3, CODE));
    poke(GDT + SEL_CODE16, 8, descriptor(0, 0xfff, 0x9a, 0));
    REFUSES(VECTOR_GP, 0, soft_far_jump(CPU, SEL_CODE16, 0x1000));

    fixture_long(0);
    REFUSES(VECTOR_GP, SEL_TSS_OTHER, soft_far_jump(CPU, SEL_TSS_OTHER, 0)); /* no tasks in long mode */
    poke(GDT + SEL_CODE64_0, 8, descriptor(0, 0xfffff, 0x9a, 0xe));
    REFUSES(VECTOR_GP, SEL_CODE64_0, soft_far_jump(CPU, SEL_CODE64_0, 0));
    OK(soft_far_jump(CPU, SEL_CODE0, CODE));
    assert_false(CPU->mode & SOFT_MODE_64);
}

static void test_far_call_and_return(void **state)
{
    fixture_protected(0);
    OK(soft_far_call(CPU, SEL_CODE0, HANDLER, 4));
    assert_int_equal(CPU->gpr[CPU_RSP], STACK0 - 0x108);
    assert_int_equal(peek(STACK0 - 0x108, 4), CODE + 2);
    assert_int_equal(peek(STACK0 - 0x104, 4), SEL_CODE0);
    OK(soft_far_return(CPU, 4, 8));
    assert_int_equal(CPU->next_rip, CODE + 2);
    assert_int_equal(CPU->gpr[CPU_RSP], STACK0 - 0x100 + 8);
    fixture_real();
    OK(soft_far_call(CPU, 0x2000, 0x10, 2));
    assert_int_equal(CPU->segment[CPU_CS].base, 0x20000);
    OK(soft_far_return(CPU, 2, 0));
    assert_int_equal(CPU->next_rip, 0x22);
    assert_int_equal(CPU->gpr[CPU_RSP], 0x8000);
}

static void test_call_gate(void **state)
{
    fixture_protected(3);
    put_call_gate(SEL_CODE1, HANDLER, 3, 2);
    poke(STACK3 - 0x100, 4, 0x11111111);
    poke(STACK3 - 0xfc, 4, 0x22222222);
    OK(soft_far_call(CPU, SEL_GATE | 3, 0xdead, 4));
    assert_int_equal(CPU->cpl, 1);
    assert_int_equal(CPU->next_rip, HANDLER);
    assert_int_equal(CPU->segment[CPU_SS].selector, SEL_DATA1 | 1);
    assert_int_equal(CPU->gpr[CPU_RSP], STACK1 - 24);
    assert_int_equal(peek(STACK1 - 4, 4), SEL_DATA3 | 3);
    assert_int_equal(peek(STACK1 - 8, 4), STACK3 - 0x100);
    assert_int_equal(peek(STACK1 - 12, 4), 0x22222222);
    assert_int_equal(peek(STACK1 - 16, 4), 0x11111111);
    assert_int_equal(peek(STACK1 - 24, 4), CODE + 2);
    OK(soft_far_return(CPU, 4, 8)); /* the parameters go on both stacks */
    assert_int_equal(CPU->cpl, 3);
    assert_int_equal(CPU->gpr[CPU_RSP], STACK3 - 0x100 + 8);
    put_call_gate(SEL_CODE1, HANDLER, 2, 0);
    REFUSES(VECTOR_GP, SEL_GATE, soft_far_call(CPU, SEL_GATE | 3, 0, 4));
    REFUSES(VECTOR_GP, SEL_GATE, soft_far_call(CPU, SEL_GATE, 0, 4));
    put_call_gate(SEL_CODE0, HANDLER, 3, 0);
    REFUSES(VECTOR_GP, SEL_CODE0, soft_far_jump(CPU, SEL_GATE | 3, 0)); /* a jump can't change the level */
    put_call_gate(0, HANDLER, 3, 0);
    REFUSES(VECTOR_GP, 0, soft_far_call(CPU, SEL_GATE | 3, 0, 4));
    poke(GDT + SEL_GATE + 5, 1, 0x6c);
    REFUSES(VECTOR_NP, SEL_GATE, soft_far_call(CPU, SEL_GATE | 3, 0, 4));

    fixture_long(3);
    put_call_gate(SEL_CODE64_0, UINT64_C(0xffff800000001000), 3, 0);
    OK(soft_far_call(CPU, SEL_GATE | 3, 0, 4));
    assert_int_equal(CPU->next_rip, UINT64_C(0xffff800000001000));
    assert_int_equal(CPU->gpr[CPU_RSP], STACK0 - 32);
    assert_true(CPU->segment[CPU_SS].unusable);
    OK(soft_far_return(CPU, 8, 0));
    assert_int_equal(CPU->gpr[CPU_RSP], STACK3 - 0x100);
    poke(GDT + SEL_GATE + 13, 1, 0x9a); /* the upper half looks like a segment */
    REFUSES(VECTOR_GP, SEL_GATE, soft_far_call(CPU, SEL_GATE | 3, 0, 4));
}

/* --- system calls ------------------------------------------------------------------------------------------------- */

static void test_syscall(void **state)
{
    fixture_long(3);
    CPU->msr.star = (uint64_t)(SEL_DATA64_3 - 8) << 48 | (uint64_t)SEL_CODE0 << 32;
    CPU->msr.lstar = UINT64_C(0xffffffff81000000);
    CPU->msr.fmask = RFLAGS_IF | RFLAGS_TF;
    CPU->rflags |= RFLAGS_IF | RFLAGS_RF;
    OK(soft_syscall(CPU));
    assert_int_equal(CPU->next_rip, UINT64_C(0xffffffff81000000));
    assert_int_equal(CPU->gpr[CPU_RCX], CODE + 2);
    assert_int_equal(CPU->gpr[CPU_R11], RFLAGS_IF | RFLAGS_FIXED);
    assert_int_equal(CPU->cpl, 0);
    assert_int_equal(CPU->segment[CPU_CS].selector, SEL_CODE0);
    assert_int_equal(CPU->segment[CPU_SS].selector, SEL_CODE0 + 8);
    assert_false(CPU->rflags & RFLAGS_IF);
    assert_true(CPU->mode & SOFT_MODE_64);
    OK(soft_sysret(CPU, 8));
    assert_int_equal(CPU->next_rip, CODE + 2);
    assert_int_equal(CPU->segment[CPU_CS].selector, (SEL_DATA64_3 + 8) | 3);
    assert_int_equal(CPU->segment[CPU_SS].selector, SEL_DATA64_3 | 3);
    assert_int_equal(CPU->segment[CPU_SS].dpl, 3);
    assert_int_equal(CPU->cpl, 3);
    assert_true(CPU->rflags & RFLAGS_IF);
    REFUSES(VECTOR_GP, 0, soft_sysret(CPU, 8));
    CPU->efer &= ~EFER_SCE;
    RAISES(VECTOR_UD, soft_syscall(CPU));

    fixture_long(0);
    CPU->gpr[CPU_RCX] = UINT64_C(1) << 60;
    OK(soft_sysret(CPU, 8)); /* AMD leaves it to the fetch */
    fixture_long(0);
    CPU->features.is_amd = false;
    CPU->gpr[CPU_RCX] = UINT64_C(1) << 60;
    REFUSES(VECTOR_GP, 0, soft_sysret(CPU, 8));
}

static void test_sysenter(void **state)
{
    fixture_protected(3);
    REFUSES(VECTOR_GP, 0, soft_sysenter(CPU));
    CPU->msr.sysenter_cs = SEL_CODE0;
    CPU->msr.sysenter_esp = STACK0;
    CPU->msr.sysenter_eip = HANDLER;
    OK(soft_sysenter(CPU));
    assert_int_equal(CPU->cpl, 0);
    assert_int_equal(CPU->gpr[CPU_RSP], STACK0);
    assert_int_equal(CPU->next_rip, HANDLER);
    CPU->gpr[CPU_RDX] = CODE;
    CPU->gpr[CPU_RCX] = STACK3;
    OK(soft_sysexit(CPU, 4));
    assert_int_equal(CPU->segment[CPU_CS].selector, (SEL_CODE0 + 16) | 3);
    assert_int_equal(CPU->segment[CPU_SS].selector, (SEL_CODE0 + 24) | 3);
    assert_int_equal(CPU->next_rip, CODE);
    fixture_long(3);
    RAISES(VECTOR_UD, soft_sysenter(CPU)); /* not on AMD */
}

/* --- tasks -------------------------------------------------------------------------------------------------------- */

static void put_task(void)
{
    poke(TSS_OTHER + 0x1c, 4, 0x3000);
    poke(TSS_OTHER + 0x20, 4, HANDLER);
    poke(TSS_OTHER + 0x24, 4, RFLAGS_FIXED | RFLAGS_CF);
    poke(TSS_OTHER + 0x28, 4, 0x12345678);
    poke(TSS_OTHER + 0x38, 4, STACK1);
    for (unsigned i = 0; i < 6; i++) {
        poke(TSS_OTHER + 0x48 + 4 * i, 2, SEL_DATA0);
    }
    poke(TSS_OTHER + 0x4c, 2, SEL_CODE0);
    poke(TSS_OTHER + 0x60, 2, SEL_LDT);
}

static void test_task_jump(void **state)
{
    fixture_protected(0);
    put_task();
    CPU->gpr[CPU_RBX] = 0xbbbb;
    OK(soft_far_jump(CPU, SEL_TSS_OTHER, 0));
    assert_int_equal(CPU->next_rip, HANDLER);
    assert_int_equal(CPU->rip, HANDLER);
    assert_int_equal(CPU->gpr[CPU_RAX], 0x12345678);
    assert_int_equal(CPU->gpr[CPU_RSP], STACK1);
    assert_int_equal(soft_rflags(CPU), RFLAGS_FIXED | RFLAGS_CF);
    assert_int_equal(CPU->segment[CPU_TR].selector, SEL_TSS_OTHER);
    assert_int_equal(CPU->segment[CPU_DS].base, 0);
    assert_true(CPU->mode & SOFT_MODE_FLAT);
    assert_true(CPU->cr0 & CR0_TS);
    assert_int_equal(peek(GDT + SEL_TSS + 5, 1), 0x89); /* busy no more */
    assert_int_equal(peek(GDT + SEL_TSS_OTHER + 5, 1), 0x8b);
    assert_int_equal(peek(TSS + 0x20, 4), CODE + 2);
    assert_int_equal(peek(TSS + 0x34, 4), 0xbbbb);
    assert_int_equal(peek(TSS + 0x4c, 2), SEL_CODE0);
    REFUSES(VECTOR_GP, SEL_TSS_OTHER, soft_far_jump(CPU, SEL_TSS_OTHER, 0)); /* busy */
}

static void test_task_call_and_return(void **state)
{
    fixture_protected(0);
    put_task();
    OK(soft_far_call(CPU, SEL_TASK_GATE, 0, 4));
    assert_true(CPU->rflags & RFLAGS_NT);
    assert_int_equal(peek(TSS_OTHER, 2), SEL_TSS);
    assert_int_equal(peek(GDT + SEL_TSS + 5, 1), 0x8b); /* still busy */
    OK(fixture_exec(soft_exec_iret, &no_operands));
    assert_int_equal(CPU->segment[CPU_TR].selector, SEL_TSS);
    assert_int_equal(CPU->next_rip, CODE + 2);
    assert_false(CPU->rflags & RFLAGS_NT);
    assert_int_equal(peek(GDT + SEL_TSS_OTHER + 5, 1), 0x89);
    assert_false(peek(TSS_OTHER + 0x24, 4) & RFLAGS_NT);
    /* A link that names no busy task. */
    CPU->rflags |= RFLAGS_NT;
    poke(TSS, 2, SEL_TSS_OTHER);
    REFUSES(VECTOR_TS, SEL_TSS_OTHER, fixture_exec(soft_exec_iret, &no_operands));
}

static void test_task_gate_in_idt(void **state)
{
    fixture_protected(3);
    put_task();
    put_gate(VECTOR_DF, SEL_TSS_OTHER, 0, SYSTEM_TASK_GATE, 0, 0);
    CPU->fault = (struct soft_fault){VECTOR_DF, true, 0x77};
    assert_true(fixture_deliver());
    assert_int_equal(CPU->rip, HANDLER);
    assert_int_equal(CPU->cpl, 0);
    assert_int_equal(CPU->gpr[CPU_RSP], STACK1 - 4);
    assert_int_equal(peek(STACK1 - 4, 4), 0x77);
    assert_int_equal(peek(TSS + 0x20, 4), CODE); /* the fault's address */
}

static void test_task_faults(void **state)
{
    fixture_protected(0);
    put_task();
    poke(GDT + SEL_TSS_OTHER, 8, descriptor(TSS_OTHER, 0x66, 0x89, 0));
    REFUSES(VECTOR_TS, SEL_TSS_OTHER, soft_far_jump(CPU, SEL_TSS_OTHER, 0));
    poke(GDT + SEL_TSS_OTHER, 8, descriptor(MISSING - 0x30, 0x67, 0x89, 0));
    REFUSES(VECTOR_PF, 0, soft_far_jump(CPU, SEL_TSS_OTHER, 0));
    assert_int_equal(peek(GDT + SEL_TSS + 5, 1), 0x8b);
    poke(GDT + SEL_TSS_OTHER, 8, descriptor(TSS_OTHER, 0x67, 0x09, 0));
    REFUSES(VECTOR_NP, SEL_TSS_OTHER, soft_far_jump(CPU, SEL_TSS_OTHER, 0));
    /* The new task's own faults. */
    poke(GDT + SEL_TSS_OTHER, 8, descriptor(TSS_OTHER, 0x67, 0x89, 0));
    poke(TSS_OTHER + 0x54, 2, SEL_EXECUTE_ONLY);
    RAISES_ERROR(VECTOR_TS, SEL_EXECUTE_ONLY, soft_far_jump(CPU, SEL_TSS_OTHER, 0));
    assert_int_equal(CPU->segment[CPU_TR].selector, SEL_TSS_OTHER);
    assert_int_equal(CPU->rip, HANDLER);
    fixture_protected(0);
    put_task();
    poke(TSS_OTHER + 0x60, 2, SEL_DATA0);
    RAISES_ERROR(VECTOR_TS, SEL_DATA0, soft_far_jump(CPU, SEL_TSS_OTHER, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_segment),
        cmocka_unit_test(test_load_segment_elsewhere),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_offset),
        cmocka_unit_test(test_stack),
        cmocka_unit_test(test_mov_ss_shadow),
        cmocka_unit_test(test_far_jump),
        cmocka_unit_test(test_far_call_and_return),
        cmocka_unit_test(test_call_gate),
        cmocka_unit_test(test_syscall),
        cmocka_unit_test(test_sysenter),
        cmocka_unit_test(test_task_jump),
        cmocka_unit_test(test_task_call_and_return),
        cmocka_unit_test(test_task_gate_in_idt),
        cmocka_unit_test(test_task_faults),
    };

    return cmocka_run_group_tests_name("soft_transfer", tests, NULL, NULL);
}
