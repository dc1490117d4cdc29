/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See generate.h. A case is made of groups: an instruction, and before it those that prepare its registers. Jumps lead
 * to a group's start. A group whose instruction would read an undefined flag is taken back and made again behind a CMP,
 * which defines them all. Single-threaded.
 */
#include "generate.h"

#include <assert.h>
#include <string.h>

#include "base/compiler.h"
#include "draft.h"
#include "host_features.h"
#include "vcpu/soft/cpu.h"

#define GROUP_BYTES_MAX 64u
#define GROUP_INSNS_MAX 6u
#define GROUPS_MAX      20u

/* --- definitions -------------------------------------------------------------------------------------------------- */

/* What a case can't have, and why. */
static const char *const generator_skips[] = {
    /* not the same each time */
    "rdtsc",
    "rdtscp",
    "rdrand",
    "rdseed",
    "rdpmc",
    "cpuid",
    "rdpid",
    "xgetbv",
    /* the operating system's matter */
    "syscall",
    "sysenter",
    "sysexit",
    "sysret",
    "vmcall",
    "vmmcall",
    "int",
    "int1",
    "icebp",
    "int3",
    "swapgs",
    /* would change what the test stands on: segments and their bases */
    "rdfsbase",
    "rdgsbase",
    "wrfsbase",
    "wrgsbase",
    "lds",
    "les",
    "lss",
    "lfs",
    "lgs",
    "retf",
    "iret",
    "jmpf",
    "callf",
    "jmp far",
    "call far",
    "ret far",
    /* depend on the descriptor tables; SGDT and its like are emulated by Linux where the CPU refuses them (UMIP) */
    "lar",
    "lsl",
    "verr",
    "verw",
    "sgdt",
    "sidt",
    "sldt",
    "str",
    "smsw",
    "arpl",
    /* store where the last x87 instruction was, which AMD's CPUs don't keep */
    "fxsave",
    "fxsave64",
    "fnstenv",
    "fnsave",
    "fstenv",
    "fsave",
    "xsave",
    "xsavec",
    "xsaveopt",
    "xsaves",
    "xrstor",
    "xrstors",
};

static bool def_is(const struct soft_insn_def *def, const char *name)
{
    return strcmp(def->name, name) == 0;
}

static bool def_is_branch(const struct soft_insn_def *def)
{
    switch (def->kind) {
    case SOFT_KIND_JCC:
    case SOFT_KIND_JMP:
    case SOFT_KIND_JMP_INDIRECT:
    case SOFT_KIND_CALL:
    case SOFT_KIND_CALL_INDIRECT:
    case SOFT_KIND_RET:
        return true;
    default:
        return strncmp(def->name, "loop", 4) == 0 || strcmp(def->name, "jcxz") == 0;
    }
}

static bool def_is_relative(const struct soft_insn_def *def)
{
    return def_is_branch(def) && (def->imm == SOFT_IMM_8 || def->imm == SOFT_IMM_Z);
}

static bool def_may_be_used(const struct generator *generator, const struct soft_insn_def *def, unsigned bits)
{
    for (size_t i = 0; i < ARRAY_SIZE(generator_skips); i++) {
        if (strcmp(def->name, generator_skips[i]) == 0) {
            return false;
        }
    }
    if (def->imm == SOFT_IMM_FAR || (def->flags & (bits == 64 ? SOFT_NOT64 : SOFT_ONLY64))) {
        return false;
    }
    if (def->kind == SOFT_KIND_EXEC && (def_is(def, "jmp") || def_is(def, "call"))) {
        return false; /* far */
    }
    if (def_is(def, "mov") && def->opcode == 0x8e && def->map == SOFT_MAP_1) {
        return false; /* to a segment register */
    }
    if (def->kind == SOFT_KIND_EXEC && (def_is(def, "pop") || def_is(def, "push"))) {
        return false; /* a segment register: PUSH writes all of the stack's element, or (newer CPUs of Intel) 16 bits */
    }
    return !generator->only || strcmp(generator->only, def->name) == 0;
}

struct collector {
    struct generator *generator;
    const struct soft_features *features;
};

static void generator_collect(const struct soft_insn_def *def, void *opaque)
{
    struct collector *collector = opaque;

    if (!collector->features->has[def->feature] || !host_has_feature(def->feature)) {
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        struct generator_defs *defs = &collector->generator->defs[i];

        if (def_may_be_used(collector->generator, def, 32u << i)) {
            assert(defs->count < GENERATE_DEFS_MAX);
            defs->all[defs->count++] = def;
            if (def->kind != SOFT_KIND_EXEC) {
                defs->hot[defs->hot_count++] = def;
            }
            if (def->kind == SOFT_KIND_JCC && defs->jcc_count < ARRAY_SIZE(defs->jcc)) {
                defs->jcc[defs->jcc_count++] = def;
            }
        }
    }
}

void generator_init(struct generator *generator, const struct soft_features *features, const char *only)
{
    struct collector collector = {generator, features};

    memset(generator, 0, sizeof(*generator));
    generator->only = only;
    oracle_init(&generator->oracle[0], 32);
    oracle_init(&generator->oracle[1], 64);
    soft_insn_for_each(generator_collect, &collector);
}

const struct oracle *generator_oracle(const struct generator *generator, unsigned bits)
{
    return &generator->oracle[bits == 64];
}

static const struct soft_insn_def *generator_choose(const struct generator *generator, struct random *random,
                                                    unsigned bits)
{
    const struct generator_defs *defs = &generator->defs[bits == 64];

    if (defs->jcc_count > 0 && random_percent(random, 10)) {
        return defs->jcc[random_below(random, defs->jcc_count)]; /* behind anything: some pairs are one for us */
    }
    if (defs->hot_count > 0 && random_percent(random, 40)) {
        return defs->hot[random_below(random, defs->hot_count)];
    }
    return defs->all[random_below(random, defs->count)];
}

/* --- what prepares an instruction --------------------------------------------------------------------------------- */

/* A jump whose target isn't known yet: it is the start of a group to come. */
struct pending {
    unsigned at, size_bytes; /* where in the code its displacement or address goes */
    unsigned end;            /* of its instruction; 0: an address, not a displacement */
    unsigned groups;         /* to go */
    uint32_t undefined;      /* flags where it jumps */
};

struct making {
    struct draft draft;
    struct flow flow;
    struct pending pending[GROUPS_MAX * 2];
    unsigned pending_count;
};

static struct random *making_random(struct making *making)
{
    return making->draft.random;
}

static uint64_t making_data(struct making *making, unsigned size_bytes)
{
    return draft_data_address(&making->draft, size_bytes);
}

static void making_set(struct making *making, unsigned reg, uint64_t value)
{
    draft_set_register(&making->draft, reg, value);
}

/* The address of a group to come, as 4 bytes that end the instruction just made. */
static void making_pend(struct making *making, unsigned size_bytes, bool relative)
{
    struct case_program *program = making->draft.program;

    making->pending[making->pending_count++] = (struct pending){.at = program->code_bytes - size_bytes,
                                                                .size_bytes = size_bytes,
                                                                .end = relative ? program->code_bytes : 0,
                                                                .groups = 1 + random_below(making_random(making), 3)};
}

/* INS and OUTS with a count: the manual has the permission checked for each element, AMD's CPUs check it before. */
static void prepare_string(struct making *making, bool is_port)
{
    if (is_port || random_percent(making_random(making), 90)) {
        making_set(making, CPU_RDI, making_data(making, 8));
        making_set(making, CPU_RSI, making_data(making, 8));
        making_set(making, CPU_RCX, random_below(making_random(making), 40) + is_port);
    }
}

/* A division that fits, more often than not. */
static void prepare_division(struct making *making)
{
    if (random_percent(making_random(making), 60)) {
        making_set(making, CPU_RDX, random_below(making_random(making), 3));
    }
}

/* What a few instructions need that the others don't. Named, because definitions don't tell. */
static void prepare_special(struct making *making, const struct soft_insn_def *def)
{
    struct random *random = making_random(making);

    if (def->flags & SOFT_REP) {
        prepare_string(making, def_is(def, "ins") || def_is(def, "outs"));
    } else if (strcmp(def->name, "div") == 0 || strcmp(def->name, "idiv") == 0) {
        prepare_division(making);
    } else if (strcmp(def->name, "xlat") == 0 && random_percent(random, 80)) {
        making_set(making, CPU_RBX, making_data(making, 1));
    } else if (strncmp(def->name, "maskmov", 7) == 0) {
        /* Which byte faults, if any, and whether masked ones do, is open (SDM 2, MASKMOVDQU). */
        making_set(making, CPU_RDI,
                   case_slot_base(making->draft.program) + SLOT_DATA + 16 * random_below(random, SLOT_DATA_BYTES / 16));
    } else if ((strcmp(def->name, "leave") == 0 || strcmp(def->name, "enter") == 0) && random_percent(random, 70)) {
        making_set(making, CPU_RBP,
                   case_slot_base(making->draft.program) + SLOT_STACK + 0x200 + random_below(random, 0x100) * 8);
    }
}

/* Somewhere that isn't code: what registers hold may be an address of it, and lead back. */
static uint64_t making_nowhere(struct making *making)
{
    uint64_t value = case_value(making_random(making), making->draft.program);

    return value - case_slot_base(making->draft.program) - SLOT_CODE < SLOT_CODE_BYTES ? 0 : value;
}

/* RET's. */
static void prepare_return(struct making *making)
{
    if (random_percent(making_random(making), 5)) {
        draft_push(&making->draft, making_nowhere(making));
    } else {
        draft_push(&making->draft, 0);
        making_pend(making, 4, false);
    }
}

static void prepare_count(struct making *making, const struct draft_insn *insn)
{
    struct random *random = making_random(making);
    bool is_double = insn->def->map == SOFT_MAP_0F;
    unsigned count = random_percent(random, 50) ? random_below(random, 4) : random_below(random, 256);

    if (is_double && insn->op_bytes == 2) {
        count = random_below(random, 17); /* the result of more is undefined */
    } else if (random_percent(random, 15)) {
        return; /* whatever CL is */
    }
    draft_set_cl(&making->draft, count);
}

/* --- groups ------------------------------------------------------------------------------------------------------- */

/* JMP and CALL to what a register or memory holds. */
static void group_indirect(struct making *making, struct draft_insn *insn)
{
    unsigned reg = random_below(making_random(making), 3); /* RAX, RCX, RDX */

    if (random_percent(making_random(making), 8)) {
        making_set(making, reg, making_nowhere(making));
        draft_use_register(&making->draft, insn, reg);
    } else if (random_percent(making_random(making), 40)) {
        making_set(making, reg, 0);
        making_pend(making, 4, false);
        draft_use_register(&making->draft, insn, reg);
    } else {
        uint64_t address = case_slot_base(making->draft.program) + SLOT_DATA + 0x100 +
                           random_below(making_random(making), SLOT_DATA_BYTES - 0x200);

        draft_store(&making->draft, address, 0);
        making_pend(making, 4, false);
        draft_use_memory(&making->draft, insn, address);
    }
}

/*
 * LDMXCSR and FXRSTOR get an MXCSR with no reserved bits but 16: bit 17 is one on Intel's CPUs and misaligned SSE on
 * AMD's.
 */
static void group_mxcsr(struct making *making, struct draft_insn *insn)
{
    struct random *random = making_random(making);
    bool is_area = def_is(insn->def, "ldmxcsr") == false;
    uint64_t address = case_slot_base(making->draft.program) + SLOT_DATA + 16 * random_below(random, 0x100);
    uint64_t value = random_next(random) & (random_percent(random, 90) ? 0xffff : 0x1ffff);

    draft_store(&making->draft, address + (is_area ? 24 : 0), value);
    draft_use_memory(&making->draft, insn, address);
}

static void group_make(struct making *making, const struct soft_insn_def *def)
{
    struct draft_insn insn;

    making->draft.joining = false;
    draft_begin(&making->draft, def, &insn);
    prepare_special(making, def);
    if (def->kind == SOFT_KIND_JMP_INDIRECT || def->kind == SOFT_KIND_CALL_INDIRECT) {
        group_indirect(making, &insn);
    } else if (def_is(def, "ldmxcsr") || strncmp(def->name, "fxrstor", 7) == 0) {
        group_mxcsr(making, &insn);
    } else if (strncmp(def->name, "fcomi", 5) == 0 || strncmp(def->name, "fucomi", 6) == 0) {
        draft_clear_c1(&making->draft);
        draft_choose_operands(&making->draft, &insn);
    } else if (def->kind == SOFT_KIND_RET) {
        prepare_return(making);
    } else {
        draft_choose_operands(&making->draft, &insn);
    }
    if (def->form == SOFT_FORM_RM_CL) {
        prepare_count(making, &insn);
    }
    draft_emit(&making->draft, &insn);
    if (def_is_relative(def)) {
        making_pend(making, draft_immediate_bytes(&insn), true);
    }
}

/* Jumps that lead here: their targets, and the flags that they bring. */
static void group_arrive(struct making *making)
{
    struct case_program *program = making->draft.program;

    for (unsigned i = 0; i < making->pending_count; i++) {
        struct pending *pending = &making->pending[i];

        bool is_near = pending->size_bytes == 1 && program->code_bytes - pending->end > 127 - GROUP_BYTES_MAX;

        if (--pending->groups == 0 || is_near) {
            uint64_t value =
                pending->end ? program->code_bytes - pending->end : case_code_base(program) + program->code_bytes;

            memcpy(program->code + pending->at, &value, pending->size_bytes);
            making->flow.arriving[program->insn_count] |= pending->undefined;
            *pending-- = making->pending[--making->pending_count];
            i = (unsigned)(pending - making->pending);
        }
    }
}

/* Follows the flags through the instructions from `first` on. */
static bool group_flow(const struct generator *generator, struct making *making, unsigned first)
{
    struct case_program *program = making->draft.program;

    for (unsigned i = first; i < program->insn_count; i++) {
        if (!flow_step(&making->flow, generator_oracle(generator, program->bits), program, i)) {
            return false;
        }
    }
    return true;
}

/* CMP AL, imm8 defines all flags. */
static void group_define_flags(const struct generator *generator, struct making *making)
{
    unsigned first = making->draft.program->insn_count;

    making->draft.joining = false;
    draft_compare_al(&making->draft);
    group_flow(generator, making, first);
}

/* One group, or nothing if it didn't work out. */
static void group_add(const struct generator *generator, struct making *making, const struct soft_insn_def *def)
{
    struct case_program *program = making->draft.program;
    unsigned insn_count, code_bytes, pending_count;
    struct flow flow;

    group_arrive(making);
    if (def_is_branch(def) && !def_is_relative(def)) {
        group_define_flags(generator, making); /* nobody follows where it leads */
    }
    for (unsigned try = 0; try < 2; try++) {
        insn_count = program->insn_count;
        code_bytes = program->code_bytes;
        pending_count = making->pending_count;
        flow = making->flow;
        group_make(making, def);
        if (group_flow(generator, making, insn_count)) {
            for (unsigned i = pending_count; i < making->pending_count; i++) {
                making->pending[i].undefined = program->insns[program->insn_count - 1].undefined_before;
            }
            return;
        }
        program->insn_count = insn_count;
        program->code_bytes = code_bytes;
        making->pending_count = pending_count;
        making->flow = flow;
        group_define_flags(generator, making);
    }
}

/*
 * An x87 comparison with an exception that isn't masked sets the condition codes on AMD's CPUs, and by Intel's manual
 * doesn't (SDM 2, FCOM). So a case either compares, or may have exceptions that aren't masked.
 */
static bool case_allows(const struct case_program *program, const struct soft_insn_def *def)
{
    static const char *const compares[] = {"fcom", "fucom", "ficom", "ftst"};
    static const char *const loads[] = {"fldcw", "fldenv", "frstor", "fxrstor"};
    bool all_masked = (program->start.fx[0] & 0x3f) == 0x3f;

    for (size_t i = 0; i < ARRAY_SIZE(compares); i++) {
        if (strncmp(def->name, compares[i], strlen(compares[i])) == 0) {
            return all_masked;
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(loads); i++) {
        if (strncmp(def->name, loads[i], strlen(loads[i])) == 0) {
            return !all_masked;
        }
    }
    return true;
}

/* --- a case ------------------------------------------------------------------------------------------------------- */

void generator_make(const struct generator *generator, uint64_t seed, struct case_program *program)
{
    struct random random = {seed};
    struct making making = {.draft = {.random = &random, .program = program}};
    unsigned slot = program->slot, groups = 4 + random_below(&random, GROUPS_MAX - 4);

    *program = (struct case_program){.slot = slot, .seed = seed, .bits = random_percent(&random, 80) ? 64 : 32};
    program->code_offset =
        random_percent(&random, 20) ? PAGE_BYTES - 1 - random_below(&random, 100) : random_below(&random, 64);
    case_make_state(&random, program);
    for (unsigned i = 0; i < groups && program->insn_count + 2 * GROUP_INSNS_MAX < CASE_INSNS_MAX &&
                         program->code_bytes + 2 * GROUP_BYTES_MAX < CASE_CODE_MAX;
         i++) {
        const struct soft_insn_def *def = generator_choose(generator, &random, program->bits);

        if (case_allows(program, def)) {
            group_add(generator, &making, def);
        }
    }
    for (unsigned i = 0; i < making.pending_count; i++) {
        making.pending[i].groups = 1;
    }
    group_arrive(&making);
    making.draft.joining = false;
    draft_break(&making.draft);
    group_flow(generator, &making, program->insn_count - 1);
    while (program->code_bytes % 8 != 0) {
        program->code[program->code_bytes++] = 0xcc;
    }
}
