/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The software CPU's x87, MMX and SSE instructions against the host's: each definition of their tables, with registers
 * and memory full of edge cases, in all rounding modes, with and without unmasked exceptions. Registers, flags, memory
 * and the fault must agree. SOFT_FPU_ROUNDS and SOFT_FPU_SEED make a longer or another run.
 *
 * The decoder isn't here: instructions are assembled and decoded by hand from their definition.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "soft_fpu_fixture.h"
#include "soft_native.h"
#include "soft_operands.h"

#include "base/compiler.h"
#include "vcpu/soft/exception.h"
#include "vcpu/soft/flags.h"
#include "vcpu/soft/fpu_area.h"
#include "vcpu/soft/insn.h"
#include "vcpu/soft/mem.h"
#include "vcpu/soft/segment.h"
#include "vcpu/soft/sse_state.h"
#include "vcpu/soft/system.h"
#include "vcpu/soft/x87.h"

#define TEST_ROUNDS 150

/* --- a case ------------------------------------------------------------------------------------------------------- */

struct test_case {
    const struct soft_insn_def *def;
    struct soft_insn insn;
    uint8_t code[SOFT_INSN_BYTES_MAX];
    unsigned len_bytes;
    struct native_state before, native, soft;
    uint8_t memory_before[FIXTURE_MEMORY_BYTES], memory_native[FIXTURE_MEMORY_BYTES];
    int native_fault, soft_fault;
};

static bool case_is_x87(const struct test_case *test)
{
    return test->def->map == SOFT_MAP_1;
}

static bool case_is_memory_only(const struct soft_insn_def *def)
{
    return def->mod == SOFT_MOD_MEMORY;
}

static void case_emit(struct test_case *test, uint8_t byte)
{
    test->code[test->len_bytes++] = byte;
}

static void case_emit_prefixes(struct test_case *test)
{
    struct soft_insn *insn = &test->insn;

    switch (test->def->prefix) {
    case SOFT_PREFIX_66:
        insn->has_66 = true;
        break;
    case SOFT_PREFIX_F3:
        insn->rep = 0xf3;
        break;
    case SOFT_PREFIX_F2:
        insn->rep = 0xf2;
        insn->has_66 = strcmp(test->def->name, "crc32") == 0 && test->def->opcode == 0xf1 && random_below(4) == 0;
        break;
    default:
        break;
    }
    if (insn->has_66) {
        case_emit(test, 0x66);
    }
    if (insn->rep) {
        case_emit(test, insn->rep);
    }
    if (insn->rex) {
        case_emit(test, insn->rex);
    }
}

static void case_emit_opcode(struct test_case *test)
{
    static const uint8_t escapes[SOFT_MAP_COUNT] = {[SOFT_MAP_0F38] = 0x38, [SOFT_MAP_0F3A] = 0x3a};

    if (test->def->map != SOFT_MAP_1) {
        case_emit(test, 0x0f);
        if (test->def->map != SOFT_MAP_0F) {
            case_emit(test, escapes[test->def->map]);
        }
    }
    case_emit(test, test->def->opcode);
}

static uint8_t case_op_bytes(const struct test_case *test)
{
    if (test->def->flags & SOFT_BYTE) {
        return 1;
    }
    if (test->insn.rex & 8 && !(test->def->flags & SOFT_MODE_DEPENDS_NOT_ON_REXW)) {
        return 8;
    }
    return test->insn.has_66 && test->def->prefix != SOFT_PREFIX_66 ? 2 : 4;
}

/* Chooses registers or memory, and writes modrm; RSI is the memory's base. */
static void case_emit_modrm(struct test_case *test)
{
    const struct soft_insn_def *def = test->def;
    struct soft_insn *insn = &test->insn;
    unsigned reg = def->ext >= 0 ? (unsigned)def->ext : random_below(8);
    unsigned rm = def->rm >= 0 ? (unsigned)def->rm : random_below(8);

    insn->is_memory = case_is_memory_only(def) || (def->mod == SOFT_MOD_ANY && random_below(2));
    if (!case_is_x87(test)) { /* RSP isn't ours */
        reg = def->ext < 0 && reg == 4 && !(insn->rex & 4) ? 5 : reg;
        rm = rm == 4 && !(insn->rex & 1) && !(def->flags & SOFT_BYTE && !insn->rex) ? 5 : rm;
    }
    if (insn->is_memory) {
        rm = CPU_RSI;
        insn->base = CPU_RSI;
    }
    insn->index = SOFT_NO_REG;
    insn->segment = CPU_DS;
    insn->modrm = (uint8_t)((insn->is_memory ? 0 : 0xc0) | reg << 3 | rm);
    insn->reg = (uint8_t)(reg | (insn->rex & 4 ? 8 : 0));
    insn->rm = (uint8_t)(rm | (insn->rex & 1 ? 8 : 0));
    case_emit(test, insn->modrm);
}

static void case_assemble(struct test_case *test)
{
    struct soft_insn *insn = &test->insn;

    *insn = (struct soft_insn){.def = test->def, .opcode = test->def->opcode, .addr_bytes = 8, .segment = CPU_DS};
    test->len_bytes = 0;
    if (!case_is_x87(test) && random_below(2)) {
        insn->rex = (uint8_t)(0x40 | (random_below(16) & 0xd));
        if (test->def->ext >= 0) {
            insn->rex &= 0xfb;
        }
    }
    /* The base has to stay RSI: no REX.B with memory. */
    if (test->def->mod != SOFT_MOD_REGISTER && insn->rex) {
        insn->rex &= random_below(2) && test->def->mod == SOFT_MOD_ANY ? 0xff : 0xfe;
    }
    case_emit_prefixes(test);
    case_emit_opcode(test);
    insn->op_bytes = case_op_bytes(test);
    if (test->def->flags & SOFT_MODRM) {
        case_emit_modrm(test);
    }
    if (test->def->imm == SOFT_IMM_8U) {
        insn->imm = (uint8_t)random_u64();
        case_emit(test, (uint8_t)insn->imm);
    }
    insn->length = (uint8_t)test->len_bytes;
}

static void case_fill_fpu(struct test_case *test, bool unmasked)
{
    struct soft_area *area = (struct soft_area *)test->before.fx;
    unsigned depth = random_below(9), top = random_below(8);

    memset(area, 0, SOFT_FXSAVE_BYTES);
    area->fcw = (uint16_t)(0x40 | random_below(16) << 8 | (unmasked ? random_below(64) : 0x3f));
    area->fsw = (uint16_t)(top << 11 | (random_u64() & X87_CONDITION));
    if (random_below(4) == 0) {
        area->fsw |= (uint16_t)(random_u64() & area->fcw & X87_EXCEPTIONS);
    }
    for (unsigned i = 0; i < 8; i++) {
        area->ftw |= (uint8_t)((i < depth) << ((top + i) & 7));
        random_st(area->st[i]);
    }
    if (random_below(4) == 0) {
        area->ftw = (uint8_t)random_u64();
    }
    area->mxcsr = (uint32_t)((unmasked ? random_below(64) : 63) << 7 | random_below(4) << 13);
    area->mxcsr |= random_below(4) ? 0 : random_below(64);
    area->mxcsr |= (random_below(4) ? 0 : 1u << 15) | (random_below(4) ? 0 : 1u << 6);
    for (unsigned i = 0; i < 16; i++) {
        random_vector(area->xmm[i]);
    }
}

static void case_fill_memory(struct test_case *test)
{
    for (unsigned i = 0; i < FIXTURE_MEMORY_BYTES; i += 16) {
        random_vector(test->memory_before + i);
    }
    if (case_is_x87(test)) {
        random_st(test->memory_before);
        if (random_below(2)) {
            random_vector(test->memory_before);
        }
    }
    if (strcmp(test->def->name, "fbld") == 0) { /* of digits; others are undefined */
        for (unsigned i = 0; i < 9; i++) {
            test->memory_before[i] = (uint8_t)(random_below(10) << 4 | random_below(10));
        }
        test->memory_before[9] &= 0x80;
    }
    if (strcmp(test->def->name, "ldmxcsr") == 0) { /* some processors have a bit 17 */
        for (unsigned i = 0; i < FIXTURE_MEMORY_BYTES; i++) {
            test->memory_before[i] &= 0xfd;
        }
    }
    if (strcmp(test->def->name, "fxrstor") == 0) {
        struct native_state was = test->before;

        case_fill_fpu(test, random_below(4) == 0);
        memcpy(test->memory_before, test->before.fx, SOFT_FXSAVE_BYTES);
        test->before = was;
    }
}

static void case_fill(struct test_case *test)
{
    unsigned misaligned = random_below(16) == 0 ? 1 + random_below(15) : random_below(4) * 16;
    bool is_sha = test->def->feature == SOFT_FEATURE_SHA; /* some processors don't insist on its alignment */
    bool unmasked = random_below(3) == 0;

    for (unsigned i = 0; i < 16; i++) {
        test->before.gpr[i] = random_integer();
    }
    test->before.gpr[CPU_RSI] = (uintptr_t)fixture_memory + (is_sha ? 0 : misaligned);
    if (test->def->opcode == 0xf7 && test->def->map == SOFT_MAP_0F) {
        test->before.gpr[CPU_RDI] = (uintptr_t)fixture_memory + random_below(64);
    }
    test->before.rflags = RFLAGS_FIXED | (random_u64() & RFLAGS_ARITHMETIC);
    case_fill_fpu(test, unmasked);
    case_fill_memory(test);
}

/* --- running it --------------------------------------------------------------------------------------------------- */

static void run_native(struct test_case *test)
{
    memcpy(fixture_memory, test->memory_before, FIXTURE_MEMORY_BYTES);
    test->native = test->before;
    test->native_fault = native_run(&test->native, test->code, test->len_bytes);
    memcpy(test->memory_native, fixture_memory, FIXTURE_MEMORY_BYTES);
}

static void run_soft(struct test_case *test)
{
    uint8_t area[sizeof(struct soft_area)];
    struct soft_cpu *cpu = &fixture_cpu;
    uint32_t len_bytes;

    memcpy(fixture_memory, test->memory_before, FIXTURE_MEMORY_BYTES);
    fixture_reset(random_below(2));
    memcpy(cpu->gpr, test->before.gpr, sizeof(test->before.gpr));
    soft_set_arithmetic_flags(cpu, (uint32_t)test->before.rflags);
    soft_fpu_from_xsave(&cpu->fpu, test->before.fx, SOFT_FXSAVE_BYTES);
    test->soft_fault = fixture_execute(&test->insn);
    memcpy(test->soft.gpr, cpu->gpr, sizeof(test->soft.gpr));
    test->soft.rflags = RFLAGS_FIXED | soft_arithmetic_flags(cpu);
    soft_fpu_to_xsave(&cpu->fpu, area, &len_bytes);
    memcpy(test->soft.fx, area, SOFT_FXSAVE_BYTES);
}

/* --- comparing ---------------------------------------------------------------------------------------------------- */

static void print_bytes(const char *what, const uint8_t *bytes, unsigned len_bytes)
{
    fprintf(stderr, "#   %s", what);
    while (len_bytes > 0) {
        fprintf(stderr, " %02x", bytes[--len_bytes]);
    }
    fprintf(stderr, "\n");
}

static void print_area(const char *who, const struct native_state *state, int fault)
{
    const struct soft_area *area = (const struct soft_area *)state->fx;

    fprintf(stderr, "#  %s: fault %d flags %04x fcw %04x fsw %04x ftw %02x mxcsr %04x\n", who, fault,
            (unsigned)state->rflags, area->fcw, area->fsw, area->ftw, area->mxcsr);
}

static void print_difference(const struct test_case *test)
{
    const struct soft_area *before = (const struct soft_area *)test->before.fx;
    const struct soft_area *native = (const struct soft_area *)test->native.fx;
    const struct soft_area *soft = (const struct soft_area *)test->soft.fx;

    fprintf(stderr, "# %s: reg %u rm %u %s imm %#x rex %x\n", test->def->name, test->insn.reg, test->insn.rm,
            test->insn.is_memory ? "memory" : "register", (unsigned)test->insn.imm, test->insn.rex);
    print_bytes("code (reversed)", test->code, test->len_bytes);
    print_area("before", &test->before, NATIVE_NO_FAULT);
    print_area("native", &test->native, test->native_fault);
    print_area("soft  ", &test->soft, test->soft_fault);
    print_bytes("memory", test->memory_before + (test->before.gpr[CPU_RSI] & 63), 16);
    for (unsigned i = 0; i < 8; i++) {
        bool differs = memcmp(native->st[i], soft->st[i], 10) != 0;

        if (differs || i < 2) {
            fprintf(stderr, "#   st%u%s\n", i, differs ? " differs" : "");
            print_bytes("    before", before->st[i], 10);
            print_bytes("    native", native->st[i], 10);
            print_bytes("    soft  ", soft->st[i], 10);
        }
    }
    for (unsigned i = 0; i < 16; i++) {
        bool differs = memcmp(native->xmm[i], soft->xmm[i], 16) != 0;

        if (differs || i == test->insn.reg || i == test->insn.rm) {
            fprintf(stderr, "#   xmm%u%s\n", i, differs ? " differs" : "");
            print_bytes("    before", before->xmm[i], 16);
            print_bytes("    native", native->xmm[i], 16);
            print_bytes("    soft  ", soft->xmm[i], 16);
        }
        if (i != CPU_RSP && test->native.gpr[i] != test->soft.gpr[i]) {
            fprintf(stderr, "#   gpr%u %llx, native %llx, soft %llx\n", i, (unsigned long long)test->before.gpr[i],
                    (unsigned long long)test->native.gpr[i], (unsigned long long)test->soft.gpr[i]);
        }
    }
    for (unsigned i = 0; i < FIXTURE_MEMORY_BYTES; i++) {
        if (test->memory_native[i] != fixture_memory[i]) {
            fprintf(stderr, "#   memory %#x: native %02x, soft %02x\n", i, test->memory_native[i], fixture_memory[i]);
        }
    }
}

/* FCOM, FCOMI, FTST and their like. */
static bool def_is_x87_comparison(const struct soft_insn_def *def)
{
    return def->map == SOFT_MAP_1 && (strstr(def->name, "com") != NULL || strcmp(def->name, "ftst") == 0);
}

/* Padding of FXSAVE's registers in memory, which some processors write and some don't. */
static void forget_padding(const struct test_case *test, uint8_t *bytes)
{
    unsigned at = (unsigned)(test->before.gpr[CPU_RSI] - (uintptr_t)fixture_memory);

    memset(bytes + at + offsetof(struct soft_area, fop), 0, 2 + 8 + 8);
    memset(bytes + at + offsetof(struct soft_area, mxcsr_mask), 0, 4);
    for (unsigned i = 0; i < 8; i++) {
        memset(bytes + at + offsetof(struct soft_area, st) + 16 * i + 10, 0, 6);
    }
}

/*
 * What the two needn't agree on: pointers to instruction and operand, and bits that the manual leaves undefined. After
 * an unmasked exception a comparison doesn't set conditions (SDM 2, FCOM), but it does on other processors.
 */
static void forget_undefined(const struct test_case *test, struct native_state *state, uint8_t *bytes)
{
    struct soft_area *area = (struct soft_area *)state->fx;

    area->fop = 0;
    area->fip = area->fdp = 0;
    area->mxcsr_mask = 0;
    memset(area->unused, 0, sizeof(area->unused));
    if (strstr(test->def->name, "comi")) {
        area->fsw &= (uint16_t)~X87_C1; /* cleared (SDM 2, FCOMI), but not by other processors */
    }
    if (def_is_x87_comparison(test->def) && (area->fsw & X87_ES)) {
        area->fsw &= (uint16_t)~X87_CONDITION;
        state->rflags = 0;
    }
    if (strcmp(test->def->name, "fxsave") == 0 && test->native_fault == NATIVE_NO_FAULT) {
        forget_padding(test, bytes);
    }
    if (test->native_fault == VECTOR_XM) {
        /* What sse_careful.c doesn't tell apart. */
        area->mxcsr &= area->mxcsr & (MXCSR_OE | MXCSR_UE) ? ~(uint32_t)MXCSR_PE : ~0u;
        area->mxcsr &= strncmp(test->def->name, "dpp", 3) == 0 ? ~(uint32_t)MXCSR_FLAGS : ~0u;
        if (strstr(test->def->name, "2pi") || strstr(test->def->name, "pi2")) {
            area->fsw = area->ftw = 0; /* some processors have done the transition to MMX before */
            memset(area->st, 0, sizeof(area->st));
        }
    }
    state->gpr[CPU_RSP] = 0;
    state->rflags &= RFLAGS_ARITHMETIC & ~(uint64_t)test->def->undefined_flags;
}

static bool case_agrees(struct test_case *test)
{
    struct native_state native = test->native, soft = test->soft;

    forget_undefined(test, &native, test->memory_native);
    forget_undefined(test, &soft, fixture_memory);
    return test->native_fault == test->soft_fault && memcmp(native.gpr, soft.gpr, sizeof(soft.gpr)) == 0 &&
           native.rflags == soft.rflags && memcmp(native.fx, soft.fx, sizeof(soft.fx)) == 0 &&
           memcmp(test->memory_native, fixture_memory, FIXTURE_MEMORY_BYTES) == 0;
}

/* Has rules of its own, and tests below. */
static bool def_is_special(const struct soft_insn_def *def)
{
    return strncmp(def->name, "xsave", 5) == 0 || strcmp(def->name, "xrstor") == 0;
}

static unsigned test_rounds(void)
{
    const char *rounds = getenv("SOFT_FPU_ROUNDS");

    return rounds ? (unsigned)strtoul(rounds, NULL, 0) : TEST_ROUNDS;
}

/* Returns how many cases differ. */
static unsigned compare_def(const struct soft_insn_def *def, uint64_t seed)
{
    static struct test_case test;
    unsigned wrong = 0;

    test.def = def;
    random_seed(seed ^ (uint64_t)def->map << 32 ^ (uint64_t)def->opcode << 16 ^ def->prefix);
    for (unsigned round = test_rounds(); round > 0; round--) {
        case_assemble(&test);
        if (test.insn.is_memory && test.insn.rex & 1) {
            continue;
        }
        case_fill(&test);
        run_native(&test);
        if (test.native_fault == VECTOR_UD) {
            fprintf(stderr, "# %s: this host doesn't know it\n", def->name);
            return 0;
        }
        run_soft(&test);
        if (!case_agrees(&test) && wrong++ == 0) {
            print_difference(&test);
        }
    }
    return wrong;
}

static void compare_table(const struct soft_insn_table *table)
{
    const char *seed = getenv("SOFT_FPU_SEED");
    unsigned wrong = 0;

    native_init();
    for (size_t i = 0; i < table->count; i++) {
        if (!def_is_special(&table->defs[i])) {
            unsigned cases = compare_def(&table->defs[i], seed ? strtoull(seed, NULL, 0) : 1);

            if (cases) {
                fprintf(stderr, "# %s (%02x /%d): %u cases differ\n", table->defs[i].name, table->defs[i].opcode,
                        table->defs[i].ext, cases);
            }
            wrong += cases;
        }
    }
    assert_int_equal(wrong, 0);
}

static void test_x87_is_the_hosts(void **state)
{
    compare_table(&soft_table_x87);
}

static void test_sse_is_the_hosts(void **state)
{
    compare_table(&soft_table_sse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_x87_is_the_hosts),
        cmocka_unit_test(test_sse_is_the_hosts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
