/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The software CPU against the host's: random cases run on both, and everything that the manuals define must agree.
 *
 *   diff_cpu [--count INSTRUCTIONS] [--seed N] [--first CASE] [--only NAME] [--progress SECONDS]
 *
 * A case that differs is made smaller, as long as it differs, and printed with its number, so that `--first` finds it
 * again. Of several that come down to the same instruction only one is printed. The status is 1 if any differs, 77 if
 * the host isn't one that this can run on.
 *
 * Three threads of control: this one, which makes cases and compares; the child that runs them natively; and the vCPU.
 * The latter two work on one batch at the same time.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/compiler.h"
#include "base/thread.h"
#include "compare.h"
#include "generate.h"
#include "native.h"
#include "regressions.h"
#include "soft_side.h"
#include "vcpu/soft/system.h"

#define REPORTS_MAX    40
#define DIFFERING_MAX  400
#define COUNT_DEFAULT  1000000
#define PROGRESS_NEVER UINT64_MAX

struct options {
    uint64_t count, seed, first, progress_seconds;
    const char *only;
};

/* Differences that came down to one instruction. */
struct kind {
    const struct soft_insn_def *def;
    unsigned cases;
};

struct run {
    struct options options;
    struct native *native;
    struct soft_side *soft;
    struct soft_features features; /* the guest's */
    struct generator generator;
    struct case_program programs[SLOT_COUNT];
    uint64_t next_case, insns, cases;
    uint64_t vectors[32]; /* how cases ended */
    unsigned differing;
    struct kind kinds[REPORTS_MAX];
    unsigned kind_count;
};

/* --- batches ------------------------------------------------------------------------------------------------------ */

static void run_load(struct run *run, const struct case_program *program)
{
    case_fill_data(program, native_backing(run->native, program->slot));
    case_fill_data(program, soft_side_backing(run->soft, program->slot));
    case_fill_code(program, native_backing(run->native, program->slot));
    soft_side_load(run->soft, program);
    *native_start(run->native, program->slot) = program->start;
}

static void report_code(const struct run *run, const struct case_program *program);

static HDL_NORETURN void run_is_lost(const struct run *run, bool native)
{
    int slot = native ? native_running(run->native) : -1;

    printf("%s didn't come back: --seed %" PRIu64 " --first %" PRIu64 "\n", native ? "the host" : "the software CPU",
           run->options.seed, run->next_case - SLOT_COUNT);
    if (slot >= 0) {
        report_code(run, &run->programs[slot]);
    }
    native_destroy(run->native);
    exit(1);
}

/* All slots, on both CPUs. */
static void run_batch(struct run *run)
{
    for (unsigned i = 0; i < SLOT_COUNT; i++) {
        run_load(run, &run->programs[i]);
    }
    native_begin(run->native, SLOT_COUNT);
    soft_side_begin(run->soft, SLOT_COUNT);
    if (!native_finish(run->native)) {
        run_is_lost(run, true);
    }
    if (!soft_side_finish(run->soft)) {
        run_is_lost(run, false);
    }
}

static bool run_agrees(struct run *run, unsigned slot, FILE *out)
{
    struct outcome host = {native_end(run->native, slot), native_backing(run->native, slot)};
    struct outcome soft = {soft_side_end(run->soft, slot), soft_side_backing(run->soft, slot)};

    return compare_outcomes(&run->programs[slot], &host, &soft, out);
}

/* --- making it smaller -------------------------------------------------------------------------------------------- */

/*
 * Run once more, in the same batch: if both CPUs agree now, what differed hung on what was run before (code that lay at
 * the same place, say), and there is nothing to make smaller.
 */
static bool differs_again(struct run *run, unsigned slot)
{
    run_batch(run);
    return !run_agrees(run, slot, NULL);
}

/* NOPs instead of one instruction; taken back if both CPUs then agree, or nobody can know whether they should. */
static void minimise_one(struct run *run, struct case_program *program, unsigned index)
{
    struct case_program before = *program;
    const struct case_insn *insn = &program->insns[index];

    memset(program->code + insn->offset, 0x90, insn->length);
    program->insns[index].def = NULL;
    if (!flow_run(generator_oracle(&run->generator, program->bits), program)) {
        *program = before;
        return;
    }
    run_batch(run);
    if (run_agrees(run, program->slot, NULL)) {
        *program = before;
    }
}

static bool insn_is_nop(const struct case_program *program, const struct case_insn *insn)
{
    return program->code[insn->offset] == 0x90 && !insn->def;
}

static void minimise(struct run *run, struct case_program *program)
{
    for (unsigned turn = 0; turn < 2; turn++) {
        for (unsigned i = program->insn_count - 1; i-- > 0;) {
            if (!insn_is_nop(program, &program->insns[i])) {
                minimise_one(run, program, i);
            }
        }
    }
    run_batch(run);
}

/* --- reports ------------------------------------------------------------------------------------------------------ */

/* The last instruction that couldn't be left out; NULL: none of a definition. */
static const struct soft_insn_def *case_culprit(const struct case_program *program)
{
    const struct soft_insn_def *def = NULL;

    for (unsigned i = 0; i < program->insn_count; i++) {
        if (program->insns[i].def) {
            def = program->insns[i].def;
        }
    }
    return def;
}

static void report_code(const struct run *run, const struct case_program *program)
{
    const struct oracle *oracle = generator_oracle(&run->generator, program->bits);
    char text[128];

    for (unsigned i = 0; i < program->insn_count; i++) {
        const struct case_insn *insn = &program->insns[i];
        uint64_t address = case_code_base(program) + insn->offset;

        if (insn_is_nop(program, insn)) {
            continue;
        }
        oracle_format(oracle, program->code + insn->offset, insn->length, address, text, sizeof(text));
        printf("  %8" PRIx64 "  ", address);
        for (unsigned j = 0; j < insn->length; j++) {
            printf("%02x", program->code[insn->offset + j]);
        }
        printf("%*s  %s\n", 2 * (SOFT_INSN_BYTES_MAX - (int)insn->length), "", text);
    }
}

static void report_start(const struct case_program *program)
{
    const struct case_state *start = &program->start;
    uint32_t mxcsr;

    memcpy(&mxcsr, start->fx + 24, sizeof(mxcsr));
    for (unsigned i = 0; i < (program->bits == 64 ? 16u : 8u); i++) {
        printf("%s%016" PRIx64, i % 4 ? " " : "\n    ", start->gpr[i]);
    }
    printf("\n    rflags %" PRIx64 " fcw %02x%02x fsw %02x%02x ftw %02x mxcsr %x\n", start->rflags, start->fx[1],
           start->fx[0], start->fx[3], start->fx[2], start->fx[4], mxcsr);
}

/* Whether it is the first of its kind. */
static bool kind_count(struct run *run, const struct soft_insn_def *def)
{
    for (unsigned i = 0; i < run->kind_count; i++) {
        if (run->kinds[i].def == def) {
            run->kinds[i].cases++;
            return false;
        }
    }
    if (run->kind_count == REPORTS_MAX) {
        return false;
    }
    run->kinds[run->kind_count++] = (struct kind){def, 1};
    return true;
}

static void report_case(const struct run *run, const struct case_program *program)
{
    printf("case %" PRIu64 " differs (--seed %" PRIu64 " --first %" PRIu64 " --count 1), %u bits:",
           run->next_case - SLOT_COUNT + program->slot, run->options.seed, run->next_case - SLOT_COUNT, program->bits);
    report_start(program);
    report_code(run, program);
}

static void report(struct run *run, unsigned slot)
{
    struct case_program *program = &run->programs[slot], whole = *program;
    char *seen = NULL;
    size_t seen_bytes = 0;
    FILE *out = open_memstream(&seen, &seen_bytes);

    run->differing++;
    run_agrees(run, slot, out);
    fclose(out);
    if (!differs_again(run, slot)) {
        report_case(run, program);
        printf("    (once only)\n%s", seen);
    } else {
        minimise(run, program);
        if (kind_count(run, case_culprit(program))) {
            report_case(run, program);
            run_agrees(run, slot, stdout);
        }
        *program = whole;
        run_batch(run); /* the others' outcomes are looked at next */
    }
    free(seen);
    fflush(stdout);
}

/* --- the run ------------------------------------------------------------------------------------------------------ */

static void run_count(struct run *run, unsigned slot)
{
    const struct case_state *end = native_end(run->native, slot);
    unsigned stop = compare_stop(&run->programs[slot], end);

    run->cases++;
    run->vectors[end->vector % ARRAY_SIZE(run->vectors)]++;
    run->insns += stop < run->programs[slot].insn_count ? stop : 0;
}

static void run_next_batch(struct run *run)
{
    for (unsigned i = 0; i < SLOT_COUNT; i++, run->next_case++) {
        struct random random = {run->options.seed * UINT64_C(0x100000001b3) + run->next_case};

        run->programs[i].slot = i;
        generator_make(&run->generator, random_next(&random), &run->programs[i]);
    }
    run_batch(run);
    for (unsigned i = 0; i < SLOT_COUNT && run->differing < DIFFERING_MAX; i++) {
        run_count(run, i);
        if (!run_agrees(run, i, NULL)) {
            report(run, i);
        }
    }
}

/* What differed once: one batch. */
static void run_regressions(struct run *run)
{
    struct soft_decoder *decoder = soft_decoder_create();

    if (!decoder) {
        exit(1);
    }
    for (unsigned i = 0; i < SLOT_COUNT; i++) {
        run->programs[i].slot = i;
        regression_make(decoder, &run->features, i % regression_count(), &run->programs[i]);
        flow_run(generator_oracle(&run->generator, run->programs[i].bits), &run->programs[i]);
    }
    run_batch(run);
    for (unsigned i = 0; i < regression_count(); i++) {
        run_count(run, i);
        if (!run_agrees(run, i, NULL)) {
            run->differing++;
            printf("differs again: %s\n", regression_name(i));
            report_code(run, &run->programs[i]);
            run_agrees(run, i, stdout);
        }
    }
    soft_decoder_destroy(decoder);
}

static void run_summary(const struct run *run)
{
    printf("%" PRIu64 " instructions in %" PRIu64 " cases, %u differ; ended by", run->insns, run->cases,
           run->differing);
    for (unsigned i = 0; i < ARRAY_SIZE(run->vectors); i++) {
        if (run->vectors[i]) {
            printf(" %u:%" PRIu64, i, run->vectors[i]);
        }
    }
    printf("\n");
    for (unsigned i = 0; i < run->kind_count; i++) {
        printf("    %u with %s\n", run->kinds[i].cases, run->kinds[i].def ? run->kinds[i].def->name : "no instruction");
    }
    fflush(stdout);
}

static void run_all(struct run *run)
{
    uint64_t said = (uint64_t)time(NULL);

    run_regressions(run);
    do {
        run_next_batch(run);
        if ((uint64_t)time(NULL) - said >= run->options.progress_seconds) {
            said = (uint64_t)time(NULL);
            run_summary(run);
        }
    } while (run->insns < run->options.count && run->differing < DIFFERING_MAX);
}

static void options_parse(struct options *options, int argc, char **argv)
{
    *options = (struct options){.count = COUNT_DEFAULT, .seed = 1, .progress_seconds = PROGRESS_NEVER};
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t number = strtoull(argv[i + 1], NULL, 0);

        if (strcmp(argv[i], "--count") == 0) {
            options->count = number;
        } else if (strcmp(argv[i], "--seed") == 0) {
            options->seed = number;
        } else if (strcmp(argv[i], "--first") == 0) {
            options->first = number / SLOT_COUNT * SLOT_COUNT;
        } else if (strcmp(argv[i], "--progress") == 0) {
            options->progress_seconds = number;
        } else if (strcmp(argv[i], "--only") == 0) {
            options->only = argv[i + 1];
        }
    }
}

static bool run_init_generator(struct run *run)
{
    struct cpu_model model;

    if (cpu_model_init(&model, "max", NULL) < 0 || soft_features_init(&run->features, &model, NULL) < 0) {
        return false;
    }
    generator_init(&run->generator, &run->features, run->options.only);
    return run->generator.defs[0].count > 0 && run->generator.defs[1].count > 0;
}

int main(int argc, char **argv)
{
    static struct run run;

    options_parse(&run.options, argc, argv);
    run.next_case = run.options.first;
    run.native = native_create();
    if (!run.native) {
        return 77;
    }
    hdl_thread_register_main();
    if (!run_init_generator(&run)) {
        fprintf(stderr, "no instruction to try\n");
        return 1;
    }
    case_pool_make(run.options.seed);
    run.soft = soft_side_create(native_fs_base(run.native));
    if (!run.soft) {
        return 1;
    }
    run_all(&run);
    soft_side_destroy(run.soft);
    native_destroy(run.native);
    run_summary(&run);
    hdl_thread_unregister_main();
    return run.differing != 0;
}
