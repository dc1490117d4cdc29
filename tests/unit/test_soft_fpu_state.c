/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What test_soft_fpu.c can't compare with the host: pending x87 exceptions, environments in all their formats, XSAVE
 * with parts of the state, and who raises what when control registers or alignment forbid an instruction.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "soft_fpu_fixture.h"
#include "soft_operands.h"

#include "base/compiler.h"
#include "vcpu/soft/flags.h"
#include "vcpu/soft/fpu_area.h"
#include "vcpu/soft/sse_state.h"
#include "vcpu/soft/system.h"
#include "vcpu/soft/x87.h"

static struct soft_cpu *const cpu = &fixture_cpu;

static int run(const char *name)
{
    struct soft_insn insn = fixture_insn(name);

    return fixture_execute(&insn);
}

static int run_at(const char *name, unsigned offset)
{
    cpu->gpr[CPU_RSI] = (uintptr_t)fixture_memory + offset;
    return run(name);
}

static void set_double(double value)
{
    memcpy(fixture_memory, &value, sizeof(value));
    cpu->gpr[CPU_RSI] = (uintptr_t)fixture_memory;
}

/* 1 / 0 with the exception unmasked. */
static void make_pending(void)
{
    fixture_reset(true);
    cpu->fpu.fcw &= (uint16_t)~X87_ZE;
    set_double(0);
    assert_int_equal(run("fld1"), FIXTURE_NO_FAULT);
    assert_int_equal(run("fdiv"), FIXTURE_NO_FAULT);
    assert_int_equal(cpu->fpu.fsw & (X87_ZE | X87_ES | X87_BUSY), X87_ZE | X87_ES | X87_BUSY);
}

/* --- pending exceptions ------------------------------------------------------------------------------------------- */

static void test_pending_exception_waits_for_a_waiting_instruction(void **state)
{
    static const char *const waiting[] = {"fwait", "fnop", "fld1", "fincstp", "fchs", "fldpi", "emms"};
    static const char *const others[] = {"fnstsw", "fnstcw", "fnstenv", "fnsave", "fnclex", "fninit", "fxsave"};

    for (size_t i = 0; i < ARRAY_SIZE(waiting); i++) {
        make_pending();
        assert_int_equal(run(waiting[i]), VECTOR_MF);
        assert_int_equal(run(waiting[i]), VECTOR_MF); /* it isn't cleared by being delivered */
    }
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        make_pending();
        assert_int_equal(run_at(others[i], 0), FIXTURE_NO_FAULT);
    }
}

static void test_clearing_ends_a_pending_exception(void **state)
{
    make_pending();
    run("fnclex");
    assert_int_equal(run("fwait"), FIXTURE_NO_FAULT);
    make_pending();
    run_at("fnstenv", 0); /* masks all exceptions, the flag stays */
    assert_int_equal(run("fwait"), FIXTURE_NO_FAULT);
    assert_int_equal(cpu->fpu.fsw & (X87_ZE | X87_ES), X87_ZE);
}

static void test_unmasking_a_flagged_exception_makes_it_pending(void **state)
{
    const uint16_t fcw = X87_FCW_INIT & ~X87_ZE;

    fixture_reset(true);
    cpu->fpu.fsw = X87_ZE;
    memcpy(fixture_memory, &fcw, sizeof(fcw));
    assert_int_equal(run_at("fldcw", 0), FIXTURE_NO_FAULT);
    assert_int_equal(run("fwait"), VECTOR_MF);
}

static void test_without_numeric_errors_nothing_is_delivered(void **state)
{
    make_pending();
    cpu->cr0 &= ~CR0_NE;
    assert_int_equal(run("fwait"), FIXTURE_NO_FAULT);
    assert_true(cpu->fpu.fsw & X87_ES);
}

static void test_fwait_minds_task_switched_only_when_told_to(void **state)
{
    fixture_reset(true);
    cpu->cr0 |= CR0_TS;
    assert_int_equal(run("fwait"), VECTOR_NM);
    cpu->cr0 &= ~CR0_MP;
    assert_int_equal(run("fwait"), FIXTURE_NO_FAULT);
}

static void test_unmasked_exception_leaves_the_stack(void **state)
{
    fixture_reset(true);
    cpu->fpu.fcw &= (uint16_t)~X87_IE;
    assert_int_equal(run("fchs"), FIXTURE_NO_FAULT); /* of an empty register */
    assert_int_equal(cpu->fpu.fsw & (X87_IE | X87_SF | X87_ES | X87_C1), X87_IE | X87_SF | X87_ES);
    assert_int_equal(cpu->fpu.valid, 0);
    assert_int_equal(cpu->fpu.top, 0);
}

/* The host's sticky flags aren't the guest's: clearing has to reach both. In one stay in guest code. */
static void test_cleared_flags_stay_cleared(void **state)
{
    struct soft_insn store = fixture_insn("fst"), clear = fixture_insn("fnclex"), root = fixture_insn("fsqrt");

    fixture_reset(true);
    run("fld1");
    cpu->gpr[CPU_RSI] = (uintptr_t)fixture_memory;
    soft_fpu_enter(cpu);
    for (int i = 0; i < 2; i++) {
        cpu->fpu.st[7].mantissa |= 1;
        store.def->exec(cpu, &store); /* in 32 bits: inexact */
        assert_int_equal(cpu->fpu.fsw & X87_EXCEPTIONS, X87_PE);
        cpu->fpu.st[7].mantissa &= ~UINT64_C(1);
        clear.def->exec(cpu, &clear);
        root.def->exec(cpu, &root); /* of 1: exact */
        assert_int_equal(cpu->fpu.fsw & X87_EXCEPTIONS, 0);
    }
    soft_fpu_leave(cpu);
}

/* --- environments ------------------------------------------------------------------------------------------------- */

static void set_pointers(void)
{
    fixture_reset(true);
    cpu->fpu.fip = 0x12345678;
    cpu->fpu.fdp = 0x9abcdef0;
    cpu->fpu.fcs = 0x1111;
    cpu->fpu.fds = 0x2222;
    cpu->fpu.fop = 0x555;
    cpu->fpu.valid = 0x81;
    cpu->fpu.top = 7;
    cpu->fpu.st[0].mantissa = 0;
    cpu->fpu.st[0].exponent = 0;
    cpu->fpu.st[7].mantissa = 1;
    cpu->fpu.st[7].exponent = 0x7fff;
}

/* The words of an environment stored with that operand size. */
static void store_environment(unsigned op_bytes, bool is_protected, uint32_t words[7])
{
    struct soft_insn insn = fixture_insn("fnstenv");

    insn.op_bytes = (uint8_t)op_bytes;
    cpu->mode = is_protected ? SOFT_MODE_32 | SOFT_MODE_PROTECTED : 0;
    cpu->gpr[CPU_RSI] = (uintptr_t)fixture_memory;
    memset(fixture_memory, 0xee, FIXTURE_MEMORY_BYTES);
    assert_int_equal(fixture_execute(&insn), FIXTURE_NO_FAULT);
    for (unsigned i = 0; i < 7; i++) {
        words[i] = 0;
        memcpy(&words[i], fixture_memory + i * op_bytes, op_bytes);
    }
    assert_int_equal(fixture_memory[7 * op_bytes], 0xee);
}

static void assert_words(const uint32_t words[7], const uint32_t expected[7])
{
    for (unsigned i = 0; i < 7; i++) {
        assert_int_equal(words[i], expected[i]);
    }
}

static void test_environment_has_four_formats(void **state)
{
    uint32_t words[7];

    set_pointers();
    store_environment(4, true, words);
    assert_words(
        words, (const uint32_t[]){0xffff037f, 0xffff3800, 0xffffbffd, 0x12345678, 0x05551111, 0x9abcdef0, 0xffff2222});
    set_pointers();
    store_environment(2, true, words);
    assert_words(words, (const uint32_t[]){0x037f, 0x3800, 0xbffd, 0x5678, 0x1111, 0xdef0, 0x2222});
    /* linear: 12345678 + 11110 = 12356788, 9abcdef0 + 22220 = 9abf0110 */
    set_pointers();
    store_environment(4, false, words);
    assert_words(
        words, (const uint32_t[]){0xffff037f, 0xffff3800, 0xffffbffd, 0xffff6788, 0x01235555, 0xffff0110, 0x09abf000});
    set_pointers();
    store_environment(2, false, words);
    assert_words(words, (const uint32_t[]){0x037f, 0x3800, 0xbffd, 0x6788, 0x5555, 0x0110, 0xf000});
}

static void test_environment_comes_back(void **state)
{
    for (unsigned format = 0; format < 4; format++) {
        struct soft_insn load = fixture_insn("fldenv");
        uint32_t before[7], after[7];
        unsigned op_bytes = format & 1 ? 2 : 4;

        set_pointers();
        load.op_bytes = (uint8_t)op_bytes;
        store_environment(op_bytes, format & 2, before);
        fixture_reset(true);
        cpu->mode = format & 2 ? SOFT_MODE_32 | SOFT_MODE_PROTECTED : 0;
        cpu->gpr[CPU_RSI] = (uintptr_t)fixture_memory;
        assert_int_equal(fixture_execute(&load), FIXTURE_NO_FAULT);
        cpu->fpu.st[7].exponent = 0x7fff; /* so that its tag is the same */
        store_environment(op_bytes, format & 2, after);
        assert_words(after, before);
    }
}

static void test_saving_initialises_and_restoring_brings_all_back(void **state)
{
    struct soft_fpu before;

    for (unsigned op_bytes = 2; op_bytes <= 4; op_bytes += 2) {
        struct soft_insn save = fixture_insn("fnsave"), restore = fixture_insn("frstor");

        set_pointers();
        cpu->fpu.fip = cpu->fpu.fdp = cpu->fpu.fop = 0;
        cpu->gpr[CPU_RSI] = (uintptr_t)fixture_memory;
        for (unsigned i = 0; i < 8; i++) {
            random_st(cpu->fpu.st[i].bytes);
        }
        before = cpu->fpu;
        save.op_bytes = restore.op_bytes = (uint8_t)op_bytes;
        assert_int_equal(fixture_execute(&save), FIXTURE_NO_FAULT);
        assert_int_equal(cpu->fpu.valid, 0);
        assert_int_equal(cpu->fpu.top, 0);
        memset(cpu->fpu.st, 0x55, sizeof(cpu->fpu.st));
        assert_int_equal(fixture_execute(&restore), FIXTURE_NO_FAULT);
        assert_int_equal(cpu->fpu.top, before.top);
        assert_int_equal(cpu->fpu.valid, before.valid);
        for (unsigned i = 0; i < 8; i++) {
            assert_memory_equal(cpu->fpu.st[i].bytes, before.st[i].bytes, 10);
        }
    }
}

static void test_pointers_are_those_of_the_last_operation(void **state)
{
    fixture_reset(true);
    cpu->segment[CPU_CS].selector = 0x33;
    set_double(1);
    cpu->rip = 0x7000;
    run("fld"); /* m32 */
    assert_int_equal(cpu->fpu.fip, 0x7000);
    assert_int_equal(cpu->fpu.fcs, 0x33);
    assert_int_equal(cpu->fpu.fdp, (uintptr_t)fixture_memory);
    assert_int_equal(cpu->fpu.fop, 0x106);
    cpu->rip = 0x8000;
    run("fnstsw");
    assert_int_equal(cpu->fpu.fip, 0x7000); /* a control instruction isn't one */
}

/* --- FXSAVE, XSAVE ------------------------------------------------------------------------------------------------ */

static void fill_fpu(void)
{
    fixture_reset(true);
    for (unsigned i = 0; i < 16; i++) {
        random_vector(cpu->fpu.xmm[i].u8);
    }
    for (unsigned i = 0; i < 8; i++) {
        random_st(cpu->fpu.st[i].bytes);
    }
    cpu->fpu.top = 3;
    cpu->fpu.valid = 0x5a;
    cpu->fpu.mxcsr = 0x5fa1;
    cpu->fpu.fip = UINT64_C(0xffffffff81000000);
    cpu->gpr[CPU_RAX] = 3;
}

static void assert_same_fpu(const struct soft_fpu *a, const struct soft_fpu *b)
{
    assert_memory_equal(a->xmm, b->xmm, sizeof(a->xmm));
    for (unsigned i = 0; i < 8; i++) {
        assert_memory_equal(a->st[i].bytes, b->st[i].bytes, 10);
    }
    assert_int_equal(a->top, b->top);
    assert_int_equal(a->valid, b->valid);
    assert_int_equal(a->fcw, b->fcw);
    assert_int_equal(a->fsw, b->fsw);
    assert_int_equal(a->mxcsr, b->mxcsr);
    assert_int_equal(a->fip, b->fip);
}

static void test_state_survives_its_area(void **state)
{
    uint8_t area[CPU_XSAVE_BYTES];
    struct soft_fpu fpu = {0};
    uint32_t len_bytes;

    fill_fpu();
    soft_fpu_to_xsave(&cpu->fpu, area, &len_bytes);
    assert_int_equal(len_bytes, 576);
    soft_fpu_from_xsave(&fpu, area, len_bytes);
    assert_same_fpu(&fpu, &cpu->fpu);
}

static void test_xsave_and_xrstor_bring_all_back(void **state)
{
    struct soft_insn save = fixture_insn("xsave"), restore = fixture_insn("xrstor");
    struct soft_fpu before;

    fill_fpu();
    before = cpu->fpu;
    memset(fixture_memory, 0, FIXTURE_MEMORY_BYTES);
    cpu->gpr[CPU_RSI] = (uintptr_t)fixture_memory;
    save.rex = restore.rex = 0x48;
    assert_int_equal(fixture_execute(&save), FIXTURE_NO_FAULT);
    fixture_reset(false);
    cpu->gpr[CPU_RAX] = 3;
    cpu->gpr[CPU_RSI] = (uintptr_t)fixture_memory;
    assert_int_equal(fixture_execute(&restore), FIXTURE_NO_FAULT);
    assert_same_fpu(&cpu->fpu, &before);
}

static void test_xsave_writes_what_it_is_asked_for(void **state)
{
    struct soft_area *area = (struct soft_area *)fixture_memory;

    fill_fpu();
    memset(fixture_memory, 0xee, FIXTURE_MEMORY_BYTES);
    area->xstate_bv = 0xf0;
    cpu->gpr[CPU_RAX] = 1;
    assert_int_equal(run_at("xsave", 0), FIXTURE_NO_FAULT);
    assert_int_equal(area->xstate_bv, 0xf1);
    assert_int_equal(area->ftw, 0x5a);
    assert_int_equal(area->mxcsr, 0xeeeeeeee);
    assert_int_equal(area->xmm[0][0], 0xee);
    assert_int_equal(area->xcomp_bv & 0xff, 0xee);
    cpu->gpr[CPU_RAX] = 2;
    assert_int_equal(run_at("xsave", 0), FIXTURE_NO_FAULT);
    assert_int_equal(area->xstate_bv, 0xf3);
    assert_int_equal(area->mxcsr, 0x5fa1);
    assert_memory_equal(area->xmm[15], cpu->fpu.xmm[15].u8, 16);
    assert_int_equal(area->unused[0], 0xee);
}

static void test_xsave_tells_of_initial_state(void **state)
{
    struct soft_area *area = (struct soft_area *)fixture_memory;

    fixture_reset(true);
    memset(fixture_memory, 0, FIXTURE_MEMORY_BYTES);
    cpu->gpr[CPU_RAX] = 3;
    assert_int_equal(run_at("xsave", 0), FIXTURE_NO_FAULT);
    assert_int_equal(area->xstate_bv, 0);
    cpu->fpu.xmm[9].u8[3] = 1;
    assert_int_equal(run_at("xsaveopt", 0), FIXTURE_NO_FAULT);
    assert_int_equal(area->xstate_bv, XSTATE_SSE);
}

static void test_xrstor_initialises_what_is_not_there(void **state)
{
    struct soft_area *area = (struct soft_area *)fixture_memory;

    fill_fpu();
    memset(fixture_memory, 0, FIXTURE_MEMORY_BYTES);
    area->mxcsr = 0x1fc0; /* loaded all the same */
    assert_int_equal(run_at("xrstor", 0), FIXTURE_NO_FAULT);
    assert_int_equal(cpu->fpu.fcw, X87_FCW_INIT);
    assert_int_equal(cpu->fpu.valid, 0);
    assert_int_equal(cpu->fpu.mxcsr, 0x1fc0);
    assert_int_equal(cpu->fpu.xmm[7].u64[0], 0);
}

static void test_xrstor_refuses_what_it_does_not_know(void **state)
{
    struct soft_area *area = (struct soft_area *)fixture_memory;

    fill_fpu();
    memset(fixture_memory, 0, FIXTURE_MEMORY_BYTES);
    area->xstate_bv = 4;
    assert_int_equal(run_at("xrstor", 0), VECTOR_GP);
    area->xstate_bv = 0;
    area->xcomp_bv = UINT64_C(1) << 63;
    assert_int_equal(run_at("xrstor", 0), VECTOR_GP);
    area->xcomp_bv = 0;
    area->header_reserved[0] = 1;
    assert_int_equal(run_at("xrstor", 0), VECTOR_GP);
    area->header_reserved[0] = 0;
    area->mxcsr = 0x10000;
    assert_int_equal(run_at("xrstor", 0), VECTOR_GP);
    assert_int_equal(run_at("fxrstor", 0), VECTOR_GP);
    assert_int_equal(run_at("ldmxcsr", 24), VECTOR_GP);
    assert_int_equal(cpu->fpu.mxcsr, 0x5fa1);
}

static void test_areas_are_aligned(void **state)
{
    fill_fpu();
    assert_int_equal(run_at("fxsave", 8), VECTOR_GP);
    assert_int_equal(run_at("fxrstor", 8), VECTOR_GP);
    assert_int_equal(run_at("xsave", 32), VECTOR_GP);
    assert_int_equal(run_at("xrstor", 16), VECTOR_GP);
}

static void test_xsave_depends_on_control_registers(void **state)
{
    fill_fpu();
    cpu->cr4 &= ~CR4_OSXSAVE;
    assert_int_equal(run_at("xsave", 0), VECTOR_UD);
    assert_int_equal(run_at("xrstor", 0), VECTOR_UD);
    fill_fpu();
    cpu->cr0 |= CR0_TS;
    assert_int_equal(run_at("xsave", 0), VECTOR_NM);
    cpu->cr0 ^= CR0_TS | CR0_EM; /* which doesn't matter */
    assert_int_equal(run_at("xsave", 0), FIXTURE_NO_FAULT);
}

static void test_without_os_support_sse_exceptions_are_undefined(void **state)
{
    struct soft_insn divide = fixture_insn("divss");

    fixture_reset(true);
    cpu->fpu.mxcsr &= ~(uint32_t)(MXCSR_ZE << 7);
    cpu->fpu.xmm[0].u32[0] = 0x3f800000;
    memset(fixture_memory, 0, 16);
    cpu->cr4 &= ~CR4_OSXMMEXCPT;
    divide.is_memory = true;
    cpu->gpr[CPU_RSI] = (uintptr_t)fixture_memory;
    assert_int_equal(fixture_execute(&divide), VECTOR_UD);
    cpu->cr4 |= CR4_OSXMMEXCPT;
    assert_int_equal(fixture_execute(&divide), VECTOR_XM);
    assert_int_equal(cpu->fpu.mxcsr & MXCSR_FLAGS, MXCSR_ZE);
    assert_int_equal(cpu->fpu.xmm[0].u32[0], 0x3f800000);
}

static void test_old_mode_has_eight_registers(void **state)
{
    fill_fpu();
    cpu->mode = SOFT_MODE_32 | SOFT_MODE_PROTECTED;
    memset(fixture_memory, 0xee, FIXTURE_MEMORY_BYTES);
    assert_int_equal(run_at("fxsave", 0), FIXTURE_NO_FAULT);
    assert_int_equal(fixture_memory[offsetof(struct soft_area, xmm) + 8 * 16], 0xee);
    assert_memory_equal(fixture_memory + offsetof(struct soft_area, xmm) + 7 * 16, cpu->fpu.xmm[7].u8, 16);
}

static void test_host_has_its_own_modes_back(void **state)
{
    uint16_t fcw = 0;

    fixture_reset(true);
    cpu->fpu.fcw = 0x0c7f;
    cpu->fpu.mxcsr = 0xffff;
    soft_fpu_enter(cpu);
    assert_int_equal(soft_host_mxcsr(), 0xffff);
    soft_fpu_leave(cpu);
    __asm__ volatile("fnstcw %0" : "=m"(fcw));
    assert_int_equal(fcw, X87_FCW_INIT);
    assert_int_equal(soft_host_mxcsr(), MXCSR_INIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pending_exception_waits_for_a_waiting_instruction),
        cmocka_unit_test(test_clearing_ends_a_pending_exception),
        cmocka_unit_test(test_unmasking_a_flagged_exception_makes_it_pending),
        cmocka_unit_test(test_without_numeric_errors_nothing_is_delivered),
        cmocka_unit_test(test_fwait_minds_task_switched_only_when_told_to),
        cmocka_unit_test(test_unmasked_exception_leaves_the_stack),
        cmocka_unit_test(test_cleared_flags_stay_cleared),
        cmocka_unit_test(test_environment_has_four_formats),
        cmocka_unit_test(test_environment_comes_back),
        cmocka_unit_test(test_saving_initialises_and_restoring_brings_all_back),
        cmocka_unit_test(test_pointers_are_those_of_the_last_operation),
        cmocka_unit_test(test_state_survives_its_area),
        cmocka_unit_test(test_xsave_and_xrstor_bring_all_back),
        cmocka_unit_test(test_xsave_writes_what_it_is_asked_for),
        cmocka_unit_test(test_xsave_tells_of_initial_state),
        cmocka_unit_test(test_xrstor_initialises_what_is_not_there),
        cmocka_unit_test(test_xrstor_refuses_what_it_does_not_know),
        cmocka_unit_test(test_areas_are_aligned),
        cmocka_unit_test(test_xsave_depends_on_control_registers),
        cmocka_unit_test(test_without_os_support_sse_exceptions_are_undefined),
        cmocka_unit_test(test_old_mode_has_eight_registers),
        cmocka_unit_test(test_host_has_its_own_modes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
