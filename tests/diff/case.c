/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state that a case starts from: registers and memory full of edges. See case.h. Single-threaded. */
#include "case.h"

#include <string.h>

#include "base/compiler.h"
#include "random.h"
#include "vcpu/soft/cpu.h"

/* The pool, and once more what a case may read past its end. */
static uint8_t case_pool[POOL_BYTES + SLOT_BACKING_BYTES];

unsigned case_insn_at(const struct case_program *program, uint64_t rip)
{
    uint64_t offset = rip - case_code_base(program);
    unsigned i = 0;

    while (i < program->insn_count && program->insns[i].offset != offset) {
        i++;
    }
    return i;
}

/* --- numbers ------------------------------------------------------------------------------------------------------ */

uint64_t case_value(struct random *random, const struct case_program *program)
{
    static const uint64_t edges[] = {
        0,      1,       2,          0x7f,   0x80,       0xff,       0x100,      0x7fff,     0x8000,
        0xffff, 0x10000, 0x7fffffff, 0xfffe, 0x80000000, 0xffffffff, 0x10000000, 0xfffffffe, UINT64_C(0x100000000),
    };
    unsigned which = random_below(random, 20);

    if (which < 8) {
        uint64_t value = edges[random_below(random, ARRAY_SIZE(edges))];

        return which < 3 ? -value : which < 4 ? value ^ UINT64_C(0x8000000000000000) : value;
    }
    if (which < 10) {
        return random_below(random, 70);
    }
    if (which < 14) {
        return case_slot_base(program) + SLOT_DATA + random_below(random, SLOT_DATA_BYTES);
    }
    return random_next(random) >> (which < 17 ? 0 : random_below(random, 64));
}

/* Floating point: edges, which 64 random bits would hardly ever be. */
static uint64_t value_double(struct random *random)
{
    static const uint64_t edges[] = {
        0,
        UINT64_C(0x3ff0000000000000), /* 1 */
        UINT64_C(0x7ff0000000000000), /* infinity */
        UINT64_C(0x7ff8000000000000), /* quiet */
        UINT64_C(0x7ff0000000000001), /* signalling */
        1,                            /* denormal */
        UINT64_C(0x000fffffffffffff),
        UINT64_C(0x0010000000000000),
        UINT64_C(0x7fefffffffffffff), /* the largest */
        UINT64_C(0x43e0000000000000), /* 2^63 */
        UINT64_C(0x41e0000000000000), /* 2^31 */
        UINT64_C(0x3fdfffffffffffff), /* just under a half */
        UINT64_C(0x4008000000000000), /* 3 */
    };
    uint64_t sign = random_next(random) & UINT64_C(0x8000000000000000);

    if (random_percent(random, 60)) {
        return edges[random_below(random, ARRAY_SIZE(edges))] | sign;
    }
    /* Somewhere about 1, so that sums round. */
    return ((random_next(random) >> 12) | UINT64_C(0x3ff0000000000000)) + ((uint64_t)random_below(random, 128) << 52);
}

static uint64_t value_floats(struct random *random)
{
    static const uint32_t edges[] = {0,          0x3f800000, 0x7f800000, 0x7fc00000, 0x7f800001,
                                     1,          0x007fffff, 0x00800000, 0x7f7fffff, 0x5f000000,
                                     0x4f000000, 0x3effffff, 0x40400000, 0x42f6e979};
    uint64_t value = 0;

    for (unsigned i = 0; i < 2; i++) {
        uint32_t sign = (uint32_t)random_next(random) & 0x80000000;

        value = value << 32 | edges[random_below(random, ARRAY_SIZE(edges))] | sign;
    }
    return value;
}

static uint64_t value_any(struct random *random)
{
    switch (random_below(random, 6)) {
    case 0:
    case 1:
        return value_double(random);
    case 2:
    case 3:
        return value_floats(random);
    case 4:
        return random_below(random, 256) - UINT64_C(128);
    default:
        return random_next(random);
    }
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

void case_pool_make(uint64_t seed)
{
    struct random random = {seed};

    for (unsigned i = 0; i < sizeof(case_pool); i += 8) {
        uint64_t value = value_any(&random);

        memcpy(case_pool + i, &value, sizeof(value));
    }
}

void case_fill_data(const struct case_program *program, uint8_t *backing)
{
    memcpy(backing + BACKING_DATA, case_pool + program->pool_offset, SLOT_BACKING_BYTES - BACKING_DATA);
}

void case_fill_code(const struct case_program *program, uint8_t *backing)
{
    memcpy(backing + BACKING_CODE + program->code_offset, program->code, program->code_bytes);
}

/* --- registers ---------------------------------------------------------------------------------------------------- */

/* An 80-bit number: a double or an integer widened by hand, an edge, or any bits at all. */
static void state_make_st(struct random *random, uint8_t *st)
{
    static const struct {
        uint64_t mantissa;
        uint16_t exponent;
    } edges[] = {
        {0, 0},
        {UINT64_C(0x8000000000000000), 0x3fff}, /* 1 */
        {UINT64_C(0x8000000000000000), 0x7fff}, /* infinity */
        {UINT64_C(0xc000000000000000), 0x7fff}, /* quiet */
        {UINT64_C(0x8000000000000001), 0x7fff}, /* signalling */
        {1, 0},                                 /* denormal */
        {UINT64_C(0x8000000000000000), 0},      /* pseudo-denormal */
        {UINT64_C(0x4000000000000000), 0x3fff}, /* unnormal */
        {UINT64_C(0xffffffffffffffff), 0x7ffe}, /* the largest */
        {UINT64_C(0x8000000000000000), 1},      /* the smallest normal */
        {UINT64_C(0xc90fdaa22168c235), 0x4000}, /* pi */
        {UINT64_C(0x8000000000000000), 0x403e}, /* 2^63 */
        {UINT64_C(0xffffffffffffffff), 0x3ffd}, /* just under a half */
    };
    uint64_t mantissa = random_next(random) | UINT64_C(0x8000000000000000);
    uint16_t exponent = (uint16_t)(0x3fff + random_below(random, 64) - 32), sign = random_next(random) & 0x8000;

    if (random_percent(random, 50)) {
        unsigned which = random_below(random, ARRAY_SIZE(edges));

        mantissa = edges[which].mantissa;
        exponent = edges[which].exponent;
    } else if (random_percent(random, 10)) {
        mantissa = random_next(random);
        exponent = random_next(random) & 0x7fff;
    }
    exponent |= sign;
    memcpy(st, &mantissa, 8);
    memcpy(st + 8, &exponent, 2);
    memset(st + 10, 0, 6);
}

static void put16(uint8_t *at, uint16_t value)
{
    memcpy(at, &value, sizeof(value));
}

/* Offsets are those of SDM 1, table 10-2. */
static void state_make_fx(struct random *random, uint8_t *fx)
{
    uint16_t control = 0x40 | (random_percent(random, 85) ? 0x3f : random_below(random, 64));
    uint32_t mxcsr = random_percent(random, 85) ? 0x1f80 : random_below(random, 64) << 7;

    memset(fx, 0, 512);
    control |= random_percent(random, 60) ? 0x300 : random_below(random, 4) << 8;
    put16(fx, control | random_below(random, 4) << 10);
    /* Flags of exceptions that are masked: others would be pending. */
    put16(fx + 2,
          random_below(random, 8) << 11 | (random_next(random) & 0x4700) | (random_next(random) & control & 0x3f));
    fx[4] = random_percent(random, 30) ? 0xff : random_percent(random, 30) ? 0 : random_next(random);
    mxcsr |= random_below(random, 4) << 13 | random_below(random, 64);
    mxcsr |= random_percent(random, 15) ? 0x8000 : 0;
    mxcsr |= random_percent(random, 15) ? 0x40 : 0;
    memcpy(fx + 24, &mxcsr, sizeof(mxcsr));
    for (unsigned i = 0; i < 8; i++) {
        state_make_st(random, fx + 32 + i * 16);
    }
    for (unsigned i = 0; i < 32; i++) {
        uint64_t value = value_any(random);

        memcpy(fx + 160 + i * 8, &value, sizeof(value));
    }
}

void case_make_state(struct random *random, struct case_program *program)
{
    struct case_state *start = &program->start;

    *start = (struct case_state){.rip = case_code_base(program),
                                 .cs = program->bits == 64 ? SELECTOR_USER64 : SELECTOR_USER32,
                                 .ss = SELECTOR_DATA};
    for (unsigned i = 0; i < CPU_GPR_COUNT; i++) {
        uint64_t value = case_value(random, program);

        start->gpr[i] = program->bits == 64 ? value : i < 8 ? (uint32_t)value : 0;
    }
    start->gpr[CPU_RSP] = case_slot_base(program) + SLOT_STACK + 0x800 + 8 * random_below(random, 16);
    start->rflags = (random_next(random) & (RFLAGS_ARITHMETIC | (random_percent(random, 15) ? RFLAGS_DF : 0))) |
                    RFLAGS_FIXED | RFLAGS_IF | (random_percent(random, 4) ? RFLAGS_AC : 0);
    program->pool_offset = random_below(random, POOL_BYTES / 8) * 8;
    state_make_fx(random, start->fx);
}
