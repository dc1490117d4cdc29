/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The software CPU's system instructions: flags, tables, ports, debug registers and what else there is. */
#include "soft_system_fixture.h"

#include "vcpu/soft/flags.h"
#include "vcpu/soft/mmu.h"
#include "vcpu/soft/task.h"

static struct soft_insn on_memory(uint64_t linear, unsigned op_bytes)
{
    return (struct soft_insn){.disp = (int32_t)linear,
                              .base = SOFT_NO_REG,
                              .index = SOFT_NO_REG,
                              .op_bytes = (uint8_t)op_bytes,
                              .addr_bytes = soft_is_64(CPU) ? 8 : 4,
                              .segment = CPU_DS,
                              .is_memory = true};
}

/* --- flags -------------------------------------------------------------------------------------------------------- */

static void test_cli_sti(void **state)
{
    const struct soft_insn insn = {.op_bytes = 4};

    fixture_protected(3);
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_cli, &insn));
    CPU->cr4 |= CR4_PVI;
    OK(fixture_exec(soft_exec_sti, &insn));
    assert_true(CPU->rflags & RFLAGS_VIF);
    CPU->rflags |= RFLAGS_IOPL;
    OK(fixture_exec(soft_exec_sti, &insn));
    assert_true(CPU->rflags & RFLAGS_IF);
    assert_int_equal(CPU->shadow, 1);
    assert_true(CPU->mode & SOFT_MODE_ONE);
    CPU->shadow = 0;
    OK(fixture_exec(soft_exec_sti, &insn)); /* nothing new */
    assert_int_equal(CPU->shadow, 0);
}

static void test_popf(void **state)
{
    struct soft_insn insn = {.op_bytes = 4};
    const uint32_t all = 0x3f7fd7;

    fixture_protected(3);
    CPU->rflags |= RFLAGS_VIP | RFLAGS_IF;
    OK(soft_push(CPU, 4, all & ~(uint32_t)RFLAGS_IF));
    OK(fixture_exec(soft_exec_popf, &insn));
    assert_int_equal(soft_rflags(CPU), (all | RFLAGS_IF) & ~(RFLAGS_IOPL | RFLAGS_VM | RFLAGS_RF | RFLAGS_VIF));
    OK(fixture_exec(soft_exec_pushf, &insn));
    assert_int_equal(peek(CPU->gpr[CPU_RSP], 4), soft_rflags(CPU));
    fixture_protected(0);
    OK(soft_push(CPU, 4, RFLAGS_IOPL | RFLAGS_TF));
    OK(fixture_exec(soft_exec_popf, &insn));
    assert_int_equal(soft_rflags(CPU), RFLAGS_IOPL | RFLAGS_TF | RFLAGS_FIXED);
    assert_true(CPU->mode & SOFT_MODE_ONE);
    fixture_vm86(2);
    insn.op_bytes = 2;
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_popf, &insn));
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_pushf, &insn));
    CPU->cr4 |= CR4_VME;
    CPU->rflags |= RFLAGS_VIP;
    OK(soft_push(CPU, 2, RFLAGS_IF));
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_popf, &insn));
}

static void test_ah(void **state)
{
    const struct soft_insn insn = {0};

    fixture_long(0);
    soft_set_arithmetic_flags(CPU, RFLAGS_CF | RFLAGS_OF | RFLAGS_ZF);
    CPU->gpr[CPU_RAX] = UINT64_C(0x1122334455667788);
    OK(fixture_exec(soft_exec_lahf, &insn));
    assert_int_equal(CPU->gpr[CPU_RAX], UINT64_C(0x1122334455664388));
    CPU->gpr[CPU_RAX] = 0xd500;
    OK(fixture_exec(soft_exec_sahf, &insn));
    assert_int_equal(soft_rflags(CPU), 0xd5 | RFLAGS_FIXED | RFLAGS_OF);
    CPU->features.has[SOFT_FEATURE_LAHF] = false;
    RAISES(VECTOR_UD, fixture_exec(soft_exec_lahf, &insn));
}

/* --- tables and selectors ----------------------------------------------------------------------------------------- */

static void test_tables(void **state)
{
    struct soft_insn insn;

    fixture_long(0);
    poke(0x7000, 2, 0x1ff);
    poke(0x7002, 8, UINT64_C(0xffff800000001000));
    insn = on_memory(0x7000, 4);
    OK(fixture_exec(soft_exec_lidt, &insn));
    assert_int_equal(CPU->idt.base, UINT64_C(0xffff800000001000));
    assert_int_equal(CPU->idt.limit, 0x1ff);
    poke(0x7008, 1, 0x01);
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_lgdt, &insn));
    insn = on_memory(0x7100, 4);
    OK(fixture_exec(soft_exec_sidt, &insn));
    assert_int_equal(peek(0x7102, 8), UINT64_C(0xffff800000001000));
    CPU->cr4 |= CR4_UMIP;
    CPU->cpl = 3;
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_sidt, &insn));
    fixture_protected(0);
    poke(0x7002, 4, 0x12345678);
    insn = on_memory(0x7000, 2);
    OK(fixture_exec(soft_exec_lgdt, &insn));
    assert_int_equal(CPU->gdt.base, 0x345678);
}

static void test_ltr_lldt(void **state)
{
    struct soft_insn insn = {.rm = CPU_RAX, .op_bytes = 2};

    fixture_long(0);
    poke(GDT + SEL_TSS + 5, 1, 0x89);
    poke(GDT + SEL_TSS + 8, 8, 0xffff8000);
    CPU->gpr[CPU_RAX] = SEL_TSS;
    OK(fixture_exec(soft_exec_ltr, &insn));
    assert_int_equal(CPU->segment[CPU_TR].base, UINT64_C(0xffff800000004000));
    assert_int_equal(CPU->segment[CPU_TR].type, SYSTEM_TSS_BUSY);
    assert_int_equal(peek(GDT + SEL_TSS + 5, 1), 0x8b);
    REFUSES(VECTOR_GP, SEL_TSS, fixture_exec(soft_exec_ltr, &insn)); /* busy */
    CPU->gpr[CPU_RAX] = 0;
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_ltr, &insn));
    OK(fixture_exec(soft_exec_lldt, &insn));
    assert_true(CPU->segment[CPU_LDTR].unusable);
    CPU->gpr[CPU_RAX] = SEL_DATA0;
    REFUSES(VECTOR_GP, SEL_DATA0, fixture_exec(soft_exec_lldt, &insn));
    poke(GDT + SEL_LDT + 5, 1, 0x02);
    CPU->gpr[CPU_RAX] = SEL_LDT;
    REFUSES(VECTOR_NP, SEL_LDT, fixture_exec(soft_exec_lldt, &insn));
}

static bool asks(soft_exec_fn *fn, uint16_t selector)
{
    struct soft_insn insn = {.rm = CPU_RAX, .reg = CPU_RBX, .op_bytes = 4};

    CPU->gpr[CPU_RAX] = selector;
    OK(fixture_exec(fn, &insn));
    return soft_arithmetic_flags(CPU) & RFLAGS_ZF;
}

static void test_questions(void **state)
{
    fixture_protected(3);
    assert_true(asks(soft_exec_verr, SEL_DATA3 | 3));
    assert_true(asks(soft_exec_verw, SEL_DATA3 | 3));
    assert_false(asks(soft_exec_verw, SEL_CODE3 | 3));
    assert_true(asks(soft_exec_verr, SEL_CONFORMING | 3));
    assert_false(asks(soft_exec_verr, SEL_DATA0));
    assert_false(asks(soft_exec_verr, 0));
    assert_false(asks(soft_exec_lar, SEL_TSS));
    CPU->cpl = 0;
    assert_true(asks(soft_exec_lar, SEL_TSS));
    assert_int_equal(CPU->gpr[CPU_RBX], 0x008b00);
    assert_true(asks(soft_exec_lar, SEL_DATA0));
    assert_int_equal(CPU->gpr[CPU_RBX], 0xc09200);
    assert_true(asks(soft_exec_lsl, SEL_DATA0));
    assert_int_equal(CPU->gpr[CPU_RBX], 0xffffffff);
    assert_false(asks(soft_exec_lsl, SEL_TASK_GATE));
    assert_true(asks(soft_exec_lar, SEL_TASK_GATE));
}

static void test_arpl(void **state)
{
    struct soft_insn insn = {.rm = CPU_RAX, .reg = CPU_RBX, .op_bytes = 2};

    fixture_protected(0);
    CPU->gpr[CPU_RAX] = 0x11110008;
    CPU->gpr[CPU_RBX] = 3;
    OK(fixture_exec(soft_exec_arpl, &insn));
    assert_int_equal(CPU->gpr[CPU_RAX], 0x1111000b);
    assert_true(soft_arithmetic_flags(CPU) & RFLAGS_ZF);
    OK(fixture_exec(soft_exec_arpl, &insn));
    assert_false(soft_arithmetic_flags(CPU) & RFLAGS_ZF);
}

static void test_push_and_pop_segments(void **state)
{
    struct soft_insn insn = {.opcode = 0x1e, .op_bytes = 4}; /* push ds */

    fixture_protected(0);
    poke(STACK0 - 0x104, 4, 0xffffffff);
    OK(fixture_exec(soft_exec_push_sreg, &insn));
    assert_int_equal(peek(STACK0 - 0x104, 4), 0xffff0000 | SEL_DATA0);
    insn.opcode = 0x07; /* pop es */
    OK(fixture_exec(soft_exec_pop_sreg, &insn));
    assert_int_equal(CPU->segment[CPU_ES].selector, SEL_DATA0);
    assert_int_equal(CPU->gpr[CPU_RSP], STACK0 - 0x100);
    poke(STACK0 - 0x100, 4, SEL_ABSENT);
    REFUSES(VECTOR_NP, SEL_ABSENT, fixture_exec(soft_exec_pop_sreg, &insn));
    insn = on_memory(0x7000, 4); /* lgs */
    insn.opcode = 0xb5;
    insn.reg = CPU_RDX;
    poke(0x7000, 4, 0x55555555);
    poke(0x7004, 2, SEL_SMALL);
    OK(fixture_exec(soft_exec_load_far_pointer, &insn));
    assert_int_equal(CPU->segment[CPU_GS].base, 0x100);
    assert_int_equal(CPU->gpr[CPU_RDX], 0x55555555);
}

static void test_enter_and_bound(void **state)
{
    struct soft_insn insn = {.imm = 0x20, .imm2 = 3, .op_bytes = 8};

    fixture_long(0);
    CPU->gpr[CPU_RBP] = 0x8100;
    poke(0x80f8, 8, 0x1111);
    poke(0x80f0, 8, 0x2222);
    OK(fixture_exec(soft_exec_enter, &insn));
    assert_int_equal(CPU->gpr[CPU_RBP], STACK0 - 0x108);
    assert_int_equal(CPU->gpr[CPU_RSP], STACK0 - 0x108 - 24 - 0x20);
    assert_int_equal(peek(STACK0 - 0x108, 8), 0x8100);
    assert_int_equal(peek(STACK0 - 0x110, 8), 0x1111);
    assert_int_equal(peek(STACK0 - 0x118, 8), 0x2222);
    assert_int_equal(peek(STACK0 - 0x120, 8), STACK0 - 0x108);
    CPU->gpr[CPU_RSP] = MISSING + SOFT_PAGE_BYTES + 0x10;
    REFUSES(VECTOR_PF, PF_WRITE, fixture_exec(soft_exec_enter, &insn));
    fixture_protected(0);
    insn = on_memory(0x7000, 2);
    poke(0x7000, 4, 0x0005fffe); /* -2..5 */
    CPU->gpr[CPU_RAX] = 0xfffe;
    OK(fixture_exec(soft_exec_bound, &insn));
    CPU->gpr[CPU_RAX] = 6;
    RAISES(VECTOR_BR, fixture_exec(soft_exec_bound, &insn));
}

/* --- ports -------------------------------------------------------------------------------------------------------- */

static void test_port_rights(void **state)
{
    struct soft_insn insn = {.opcode = 0xed, .op_bytes = 4};

    fixture_protected(3);
    CPU->gpr[CPU_RDX] = 0x3f6;
    poke(TSS + 0x100 + 0x3f8 / 8, 1, 0x04); /* 0x3fa is refused */
    OK(fixture_exec(soft_exec_in, &insn));
    CPU->gpr[CPU_RDX] = 0x3f7;
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_in, &insn));
    CPU->rflags |= RFLAGS_IOPL;
    OK(fixture_exec(soft_exec_in, &insn));
    CPU->rflags &= ~(uint64_t)RFLAGS_IOPL;
    /* The map ends at the segment's end, and every look takes two bytes. */
    CPU->gpr[CPU_RDX] = 0;
    CPU->segment[CPU_TR].limit = 0x101;
    OK(fixture_exec(soft_exec_in, &insn));
    CPU->segment[CPU_TR].limit = 0x100;
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_in, &insn));
    CPU->segment[CPU_TR].type = SYSTEM_TSS16_BUSY;
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_in, &insn));
    fixture_vm86(3);
    poke(TSS + 0x100, 1, 1);
    CPU->gpr[CPU_RDX] = 0;
    insn.op_bytes = 2;
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_in, &insn)); /* whatever the IOPL */
}

static void test_in_and_out(void **state)
{
    struct soft_insn insn = {.opcode = 0xe4, .op_bytes = 1, .imm = 0x60};

    fixture_protected(0);
    CPU->gpr[CPU_RAX] = UINT64_C(0x1122334455667788);
    fix.pio_next = 0x42;
    OK(fixture_exec(soft_exec_in, &insn));
    assert_int_equal(CPU->gpr[CPU_RAX], UINT64_C(0x1122334455667742));
    assert_int_equal(fix.pio.pio.port, 0x60);
    insn = (struct soft_insn){.opcode = 0xef, .op_bytes = 4};
    CPU->gpr[CPU_RDX] = 0xcf8;
    OK(fixture_exec(soft_exec_out, &insn));
    assert_true(fix.pio.pio.is_write && fix.pio.pio.size_bytes == 4 && fix.pio.pio.port == 0xcf8);
    assert_memory_equal(fix.pio_data, "\x42\x77\x66\x55", 4);
    insn.opcode = 0xed;
    OK(fixture_exec(soft_exec_in, &insn));
    assert_int_equal(CPU->gpr[CPU_RAX], 0x46454443); /* zero-extended */
}

static void test_ins(void **state)
{
    struct soft_insn insn = {.opcode = 0x6d, .op_bytes = 2, .addr_bytes = 4, .rep = 0xf3};

    fixture_protected(0);
    CPU->gpr[CPU_RDX] = 0x1f0;
    CPU->gpr[CPU_RDI] = 0x7f00;
    CPU->gpr[CPU_RCX] = 256;
    OK(fixture_exec(soft_exec_ins, &insn));
    assert_int_equal(CPU->next_rip, CODE); /* comes back */
    assert_int_equal(CPU->gpr[CPU_RCX], 256 - 64);
    assert_int_equal(CPU->gpr[CPU_RDI], 0x7f80);
    assert_int_equal(peek(0x7f00, 4), 0x03020100);
    OK(fixture_exec(soft_exec_ins, &insn)); /* to the page's end */
    OK(fixture_exec(soft_exec_ins, &insn));
    OK(fixture_exec(soft_exec_ins, &insn));
    assert_int_equal(CPU->gpr[CPU_RCX], 0);
    assert_int_equal(CPU->next_rip, CODE + 2);
    OK(fixture_exec(soft_exec_ins, &insn));
    assert_int_equal(fix.pio_exits, 4);
    CPU->gpr[CPU_RCX] = 4;
    CPU->gpr[CPU_RDI] = MISSING;
    REFUSES(VECTOR_PF, PF_WRITE, fixture_exec(soft_exec_ins, &insn)); /* before the port is read */
    assert_int_equal(fix.pio_exits, 4);
    CPU->gpr[CPU_RDI] = 0x7000;
    CPU->rflags |= RFLAGS_DF;
    OK(fixture_exec(soft_exec_ins, &insn));
    assert_int_equal(CPU->gpr[CPU_RDI], 0x6ffe);
    assert_int_equal(CPU->gpr[CPU_RCX], 3);
}

static void test_outs(void **state)
{
    struct soft_insn insn = {.opcode = 0x6e, .op_bytes = 1, .addr_bytes = 2, .rep = 0xf3, .segment = CPU_DS};

    fixture_real();
    memcpy(fix.memory + 0x7ffe, "abcdef", 6);
    CPU->gpr[CPU_RDX] = 0xe9;
    CPU->gpr[CPU_RSI] = UINT64_C(0xaaaa7ffe);
    CPU->gpr[CPU_RCX] = UINT64_C(0xbbbb0006);
    OK(fixture_exec(soft_exec_outs, &insn));
    assert_int_equal(fix.pio.pio.count, 2);
    OK(fixture_exec(soft_exec_outs, &insn));
    assert_memory_equal(fix.pio_data, "cdef", 4);
    assert_int_equal(CPU->gpr[CPU_RSI], 0xaaaa8004);
    assert_int_equal(CPU->gpr[CPU_RCX], 0xbbbb0000);
}

/* --- debugging ---------------------------------------------------------------------------------------------------- */

static void test_single_step(void **state)
{
    fixture_long(0);
    put_gate(VECTOR_DB, SEL_CODE64_0, 0x20000, SYSTEM_INTERRUPT_GATE, 0, 0);
    CPU->rflags |= RFLAGS_TF;
    soft_update_mode(CPU);
    assert_true(CPU->mode & SOFT_MODE_ONE);
    assert_false(soft_breakpoint_hit(CPU));
    CPU->rip = CODE + 2;
    OK(soft_one_done(CPU));
    assert_int_equal(CPU->rip, 0x20000);
    assert_int_equal(CPU->dr6, DR6_FIXED | DR6_BS);
    assert_int_equal(peek(CPU->gpr[CPU_RSP], 8), CODE + 2);
    assert_true(peek(CPU->gpr[CPU_RSP] + 16, 8) & RFLAGS_TF);
    assert_false(CPU->mode & SOFT_MODE_ONE);
    /* Behind INT n there is no step, and behind MOV SS none before the next instruction. */
    CPU->rflags |= RFLAGS_TF;
    assert_false(soft_breakpoint_hit(CPU));
    put_gate(0x80, SEL_CODE64_0, 0x30000, SYSTEM_INTERRUPT_GATE, 0, 0);
    OK(fixture_exec(soft_exec_int, &(struct soft_insn){.imm = 0x80}));
    CPU->rip = CPU->next_rip;
    OK(soft_one_done(CPU));
    assert_int_equal(CPU->rip, 0x30000);
    CPU->rflags |= RFLAGS_TF;
    assert_false(soft_breakpoint_hit(CPU));
    CPU->gpr[CPU_RAX] = SEL_DATA0;
    OK(fixture_exec(soft_exec_mov_to_sreg, &(struct soft_insn){.modrm = 0xd0}));
    OK(soft_one_done(CPU));
    assert_int_equal(CPU->rip, 0x30000);
    assert_int_equal(CPU->shadow, 2);
    assert_false(soft_breakpoint_hit(CPU));
    OK(soft_one_done(CPU));
    assert_int_equal(CPU->rip, 0x20000);
    assert_int_equal(CPU->shadow, 0);
}

static void test_shadow_ends(void **state)
{
    fixture_long(0);
    OK(fixture_exec(soft_exec_sti, &(struct soft_insn){0}));
    assert_int_equal(CPU->shadow, 1);
    assert_false(soft_breakpoint_hit(CPU));
    OK(soft_one_done(CPU));
    assert_int_equal(CPU->shadow, 0);
    assert_false(CPU->mode & SOFT_MODE_ONE);
}

static void test_breakpoints(void **state)
{
    fixture_long(0);
    put_gate(VECTOR_DB, SEL_CODE64_0, 0x20000, SYSTEM_INTERRUPT_GATE, 0, 0);
    CPU->dr[1] = CODE;
    OK(soft_write_dr(CPU, 7, 0x4));
    assert_true(CPU->mode & SOFT_MODE_ONE);
    assert_true(soft_breakpoint_hit(CPU));
    assert_true(fixture_deliver());
    assert_int_equal(CPU->dr6, DR6_FIXED | 2);
    assert_int_equal(peek(CPU->gpr[CPU_RSP], 8), CODE);
    assert_false(peek(CPU->gpr[CPU_RSP] + 16, 8) & RFLAGS_RF); /* the handler's to set */
    poke(CPU->gpr[CPU_RSP] + 16, 8, RFLAGS_RF | 2);
    OK(fixture_exec(soft_exec_iret, &(struct soft_insn){.op_bytes = 8}));
    CPU->rip = CPU->next_rip;
    assert_false(soft_breakpoint_hit(CPU));
    assert_true(soft_breakpoint_hit(CPU)); /* RF holds once */
    /* Data: four bytes at an address that isn't aligned. */
    OK(soft_write_dr(CPU, 0, 0x7003));
    OK(soft_write_dr(CPU, 7, 0x000d0001));
    assert_true(soft_data_breakpoints_enabled(CPU));
    assert_true(soft_data_breakpoint_page(CPU, 0x7fff));
    CPU->rip = CODE + 0x100;
    assert_false(soft_breakpoint_hit(CPU));
    soft_data_breakpoint(CPU, 0x7000, 1, false);
    soft_data_breakpoint(CPU, 0x6ffc, 4, true);
    assert_int_equal(CPU->debug_hits, 0);
    soft_data_breakpoint(CPU, 0x6ffd, 4, true);
    assert_int_equal(CPU->debug_hits, 1);
    OK(soft_one_done(CPU));
    assert_int_equal(CPU->rip, 0x20000);
    assert_int_equal(CPU->dr6 & 0xf, 1);
}

static void test_debug_registers(void **state)
{
    fixture_long(0);
    RAISES(VECTOR_GP, soft_write_dr(CPU, 7, UINT64_C(1) << 32));
    OK(soft_write_dr(CPU, 5, 0));
    assert_int_equal(CPU->dr7, DR7_FIXED);
    CPU->cr4 |= CR4_DE;
    RAISES(VECTOR_UD, soft_write_dr(CPU, 5, 0));
    OK(soft_write_dr(CPU, 6, 0));
    OK(soft_write_dr(CPU, 7, DR7_GD));
    RAISES(VECTOR_DB, soft_read_dr(CPU, 0));
    assert_true(CPU->dr6 & DR6_BD);
    put_gate(VECTOR_DB, SEL_CODE64_0, 0x20000, SYSTEM_INTERRUPT_GATE, 0, 0);
    assert_true(fixture_deliver());
    assert_false(CPU->dr7 & DR7_GD);
    assert_true(peek(CPU->gpr[CPU_RSP] + 16, 8) & RFLAGS_RF);
}

/* --- the rest ----------------------------------------------------------------------------------------------------- */

static void test_small_instructions(void **state)
{
    struct soft_insn insn = {.rm = CPU_RBX, .op_bytes = 8};

    fixture_long(0);
    OK(fixture_exec(soft_exec_hlt, &insn));
    assert_true(CPU->leave);
    assert_int_equal(fix.exit.kind, VCPU_EXIT_HLT);
    CPU->msr.kernel_gs_base = 0x1000;
    CPU->segment[CPU_GS].base = 0x2000;
    OK(fixture_exec(soft_exec_swapgs, &insn));
    assert_int_equal(CPU->segment[CPU_GS].base, 0x1000);
    assert_int_equal(CPU->msr.kernel_gs_base, 0x2000);
    RAISES(VECTOR_UD, fixture_exec(soft_exec_rdgsbase, &insn));
    CPU->cr4 |= CR4_FSGSBASE | CR4_OSXSAVE;
    OK(fixture_exec(soft_exec_rdgsbase, &insn));
    assert_int_equal(CPU->gpr[CPU_RBX], 0x1000);
    CPU->gpr[CPU_RBX] = UINT64_C(1) << 47;
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_wrfsbase, &insn));
    OK(fixture_exec(soft_exec_rdrand, &insn));
    assert_int_equal(soft_arithmetic_flags(CPU), RFLAGS_CF);
    OK(fixture_exec(soft_exec_hypercall, &insn));
    assert_int_equal(CPU->gpr[CPU_RAX], -UINT64_C(1000));
    CPU->gpr[CPU_RAX] = 3;
    CPU->gpr[CPU_RCX] = CPU->gpr[CPU_RDX] = 0;
    OK(fixture_exec(soft_exec_xsetbv, &insn));
    assert_int_equal(CPU->fpu.xcr0, 3);
    CPU->gpr[CPU_RAX] = 7;
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_xsetbv, &insn));
    OK(fixture_exec(soft_exec_stac, &insn));
    assert_true(CPU->rflags & RFLAGS_AC);
    CPU->cpl = 3;
    RAISES(VECTOR_UD, fixture_exec(soft_exec_clac, &insn));
}

static void test_invpcid(void **state)
{
    struct soft_insn insn;

    fixture_long(0);
    insn = on_memory(0x7000, 8);
    CPU->gpr[CPU_RAX] = 4;
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_invpcid, &insn));
    CPU->gpr[CPU_RAX] = 1;
    poke(0x7000, 8, 1);
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_invpcid, &insn)); /* without PCIDE there is only 0 */
    CPU->cr4 |= CR4_PCIDE;
    OK(fixture_exec(soft_exec_invpcid, &insn));
    poke(0x7000, 8, 0x1001);
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_invpcid, &insn));
    CPU->gpr[CPU_RAX] = 2;
    REFUSES(VECTOR_GP, 0, fixture_exec(soft_exec_invpcid, &insn));
}

/* The definitions don't contradict themselves or each other. */
static void test_table(void **state)
{
    const struct soft_insn_table *table = &soft_table_system;

    for (size_t i = 0; i < table->count; i++) {
        const struct soft_insn_def *def = &table->defs[i];

        assert_non_null(def->exec);
        assert_int_not_equal(def->flags & (SOFT_NOT64 | SOFT_ONLY64), SOFT_NOT64 | SOFT_ONLY64);
        assert_true((def->flags & SOFT_MODRM) || (def->ext == -1 && def->rm == -1 && def->mod == SOFT_MOD_ANY));
        assert_true(def->rm == -1 || def->mod == SOFT_MOD_REGISTER);
        for (size_t j = 0; j < i; j++) {
            const struct soft_insn_def *other = &table->defs[j];

            assert_false(other->map == def->map && other->opcode == def->opcode && other->prefix == def->prefix &&
                         other->ext == def->ext && other->rm == def->rm && other->mod == def->mod);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cli_sti),
        cmocka_unit_test(test_popf),
        cmocka_unit_test(test_ah),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_ltr_lldt),
        cmocka_unit_test(test_questions),
        cmocka_unit_test(test_arpl),
        cmocka_unit_test(test_push_and_pop_segments),
        cmocka_unit_test(test_enter_and_bound),
        cmocka_unit_test(test_port_rights),
        cmocka_unit_test(test_in_and_out),
        cmocka_unit_test(test_ins),
        cmocka_unit_test(test_outs),
        cmocka_unit_test(test_single_step),
        cmocka_unit_test(test_shadow_ends),
        cmocka_unit_test(test_breakpoints),
        cmocka_unit_test(test_debug_registers),
        cmocka_unit_test(test_small_instructions),
        cmocka_unit_test(test_invpcid),
        cmocka_unit_test(test_table),
    };

    return cmocka_run_group_tests_name("soft_system_insn", tests, NULL, NULL);
}
