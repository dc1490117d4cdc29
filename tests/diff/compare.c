/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See compare.h. What isn't compared:
 *   - arithmetic flags that an instruction left undefined (flow.h), RF (whether a handler sees it depends on how it was
 *     called) and TF;
 *   - the last x87 instruction's opcode, address and operand: AMD's CPUs store them only while an exception is pending
 *     (APM 3, FXSAVE), Intel's always;
 *   - for an address that no user's can be, whether it was mapped: Linux says yes to everybody;
 *   - which of two faults an instruction with two memory accesses, or with an access and a bad target, raises: CMPS
 *     reads its operands in any order; CALL checks its target before it pushes on Intel's CPUs (SDM 2), behind it on
 *     AMD's; ten bytes and more may be unaligned, and outside their segment, and in several pages;
 *   - what PUSHA and ENTER have stored before one of their accesses faults: all, some or none, below the stack's top;
 *   - of an operand longer than sixteen bytes, where in the page the fault was;
 *   - with an unmasked SSE exception: whether PE is set beside OE and UE, and whether the transition from x87 to MMX
 *     state has been made; no manual says;
 *   - in 32-bit code what lies above 32 bits, which the manuals leave open (SDM 1, 3.4.1.1).
 */
#include "compare.h"

#include <inttypes.h>
#include <string.h>

#include "base/compiler.h"
#include "vcpu/soft/cpu.h"

#define COMPARED_FLAGS (RFLAGS_ARITHMETIC | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | RFLAGS_ID)
#define BYTES_SHOWN    16
#define USER_END       UINT64_C(0x7ffffffff000)

struct comparing {
    const struct case_program *program;
    const struct case_state *host, *soft;
    FILE *out;
    bool same;
};

static const char *const gpr_names[CPU_GPR_COUNT] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                                     "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

static void compare_number(struct comparing *c, const char *name, uint64_t host, uint64_t soft)
{
    if (host == soft) {
        return;
    }
    c->same = false;
    if (c->out) {
        fprintf(c->out, "    %-8s host %016" PRIx64 "  soft %016" PRIx64 "\n", name, host, soft);
    }
}

static void compare_bytes(struct comparing *c, const char *name, const uint8_t *host, const uint8_t *soft,
                          unsigned len_bytes)
{
    if (memcmp(host, soft, len_bytes) == 0) {
        return;
    }
    c->same = false;
    if (!c->out) {
        return;
    }
    fprintf(c->out, "    %-8s host ", name);
    for (unsigned i = len_bytes; i-- > 0;) {
        fprintf(c->out, "%02x", host[i]);
    }
    fprintf(c->out, "\n             soft ");
    for (unsigned i = len_bytes; i-- > 0;) {
        fprintf(c->out, "%02x", soft[i]);
    }
    fprintf(c->out, "\n");
}

unsigned compare_stop(const struct case_program *program, const struct case_state *host)
{
    return case_insn_at(program, host->rip - (host->vector == VECTOR_BP));
}

static uint32_t compared_flags(const struct comparing *c)
{
    unsigned stop = compare_stop(c->program, c->host);

    return COMPARED_FLAGS & ~(stop < c->program->insn_count ? c->program->insns[stop].undefined_before : 0);
}

static void compare_registers(struct comparing *c)
{
    uint64_t mask = c->program->bits == 64 ? UINT64_MAX : UINT32_MAX;

    for (unsigned i = 0; i < (c->program->bits == 64 ? 16u : 8u); i++) {
        compare_number(c, gpr_names[i], c->host->gpr[i] & mask, c->soft->gpr[i] & mask);
    }
    compare_number(c, "rip", c->host->rip & mask, c->soft->rip & mask);
    compare_number(c, "rflags", c->host->rflags & compared_flags(c), c->soft->rflags & compared_flags(c));
    compare_number(c, "cs", c->host->cs, c->soft->cs);
}

static bool vector_is_of_access(uint64_t vector)
{
    return vector == VECTOR_SS || vector == VECTOR_GP || vector == VECTOR_PF || vector == VECTOR_AC;
}

/* The definition of the instruction that both stopped at, or NULL. */
static const struct soft_insn_def *compared_def(const struct comparing *c)
{
    unsigned stop = compare_stop(c->program, c->host);

    return stop < c->program->insn_count ? c->program->insns[stop].def : NULL;
}

/* FLDENV, FRSTOR, FXRSTOR and the like. */
static bool stop_is_long(const struct comparing *c)
{
    const struct soft_insn_def *def = compared_def(c);

    return def && (((def->flags & SOFT_X87) && def->memory_bytes == 0) || def->memory_bytes > 16 ||
                   strncmp(def->name, "fx", 2) == 0);
}

/* Whether either fault would do. */
static bool fault_is_open(const struct comparing *c)
{
    const struct soft_insn_def *def = compared_def(c);

    return def && vector_is_of_access(c->host->vector) && vector_is_of_access(c->soft->vector) &&
           (strcmp(def->name, "cmps") == 0 || def->kind == SOFT_KIND_CALL_INDIRECT || def->memory_bytes >= 10 ||
            (stop_is_long(c) && c->host->vector != c->soft->vector));
}

static void compare_fault(struct comparing *c)
{
    uint64_t ignored = c->host->vector == VECTOR_PF && c->host->cr2 >= USER_END ? 1 : 0;

    if (fault_is_open(c)) {
        return;
    }
    compare_number(c, "vector", c->host->vector, c->soft->vector);
    compare_number(c, "error", c->host->error & ~ignored, c->soft->error & ~ignored);
    if (c->host->vector == VECTOR_PF && c->soft->vector == VECTOR_PF) {
        uint64_t mask = stop_is_long(c) ? ~(uint64_t)(PAGE_BYTES - 1) : UINT64_MAX;

        compare_number(c, "cr2", c->host->cr2 & mask, c->soft->cr2 & mask);
    }
}

static uint32_t fx_number(const struct case_state *state, unsigned offset, unsigned size_bytes)
{
    uint32_t value = 0;

    memcpy(&value, state->fx + offset, size_bytes);
    return value;
}

/* DPPS, DPPD: several operations, whose exceptions are reported one by one or together. */
static bool stop_is_dot_product(const struct comparing *c)
{
    const struct soft_insn_def *def = compared_def(c);

    return def && strncmp(def->name, "dpp", 3) == 0;
}

#define MXCSR_EXCEPTIONS UINT32_C(0x3f)
#define MXCSR_OE         UINT32_C(0x8)
#define MXCSR_UE         UINT32_C(0x10)
#define MXCSR_PE         UINT32_C(0x20)

/* Here and below, offsets are those of SDM 1, table 10-2. */
static void compare_mxcsr(struct comparing *c)
{
    uint32_t host = fx_number(c->host, 24, 4), soft = fx_number(c->soft, 24, 4);
    uint32_t unmasked = host & ~(host >> 7) & (MXCSR_OE | MXCSR_UE);
    uint32_t ignored = c->host->vector == VECTOR_XM && unmasked ? MXCSR_PE : 0;

    if (c->host->vector == VECTOR_XM && stop_is_dot_product(c)) {
        ignored = MXCSR_EXCEPTIONS;
    }

    compare_number(c, "mxcsr", host & ~ignored, soft & ~ignored);
}

/* CVTPS2PI and the like, that raise. */
static bool transition_is_open(const struct comparing *c)
{
    const struct soft_insn_def *def = compared_def(c);

    return c->host->vector == VECTOR_XM && def && strstr(def->name, "pi");
}

static void compare_x87(struct comparing *c)
{
    char name[8];

    compare_number(c, "fcw", fx_number(c->host, 0, 2), fx_number(c->soft, 0, 2));
    if (transition_is_open(c)) {
        return;
    }
    compare_number(c, "fsw", fx_number(c->host, 2, 2), fx_number(c->soft, 2, 2));
    compare_number(c, "ftw", fx_number(c->host, 4, 1), fx_number(c->soft, 4, 1));
    for (unsigned i = 0; i < 8; i++) {
        snprintf(name, sizeof(name), "st%u", i);
        compare_bytes(c, name, c->host->fx + 32 + 16 * i, c->soft->fx + 32 + 16 * i, 10);
    }
}

static void compare_sse(struct comparing *c)
{
    char name[8];

    compare_mxcsr(c);
    for (unsigned i = 0; i < (c->program->bits == 64 ? 16u : 8u); i++) {
        snprintf(name, sizeof(name), "xmm%u", i);
        compare_bytes(c, name, c->host->fx + 160 + 16 * i, c->soft->fx + 160 + 16 * i, 16);
    }
}

/* PUSHA or ENTER, which faulted. */
static bool stop_has_pushed(const struct comparing *c)
{
    const struct soft_insn_def *def = compared_def(c);

    return def && vector_is_of_access(c->host->vector) &&
           (strcmp(def->name, "pusha") == 0 || strcmp(def->name, "enter") == 0);
}

static void compare_memory(struct comparing *c, const uint8_t *host, const uint8_t *soft)
{
    unsigned shown = 0;

    if (memcmp(host, soft, SLOT_BACKING_BYTES) == 0 || stop_has_pushed(c)) {
        return;
    }
    c->same = false;
    for (unsigned i = 0; c->out && i < SLOT_BACKING_BYTES && shown < BYTES_SHOWN; i++) {
        if (host[i] != soft[i]) {
            fprintf(c->out, "    page %u + %03x: host %02x  soft %02x\n", i / PAGE_BYTES, i % PAGE_BYTES, host[i],
                    soft[i]);
            shown++;
        }
    }
}

bool compare_outcomes(const struct case_program *program, const struct outcome *host, const struct outcome *soft,
                      FILE *out)
{
    struct comparing c = {.program = program, .host = host->state, .soft = soft->state, .out = out, .same = true};

    compare_fault(&c);
    compare_registers(&c);
    compare_x87(&c);
    compare_sse(&c);
    compare_memory(&c, host->backing, soft->backing);
    return c.same;
}
