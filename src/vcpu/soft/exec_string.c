/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * String instructions (SDM 2; SDM 1, 7.3.9). The vCPU's thread. Repetitions are done natively, as far as one page of
 * the source and of the destination reaches, in batches that leave the CPU between two elements: then the instruction
 * comes again (next_rip = rip), so that interrupts get in. A fault in an element leaves registers as of the elements
 * before.
 */
#include <string.h>

#include "vcpu/soft/exec.h"
#include "vcpu/soft/flags.h"
#include "vcpu/soft/operand.h"

/* Elements before interrupts get a chance: in blocks, and one by one. */
#define STRING_BATCH  65536u
#define STRING_SINGLE 64u

/* What one string instruction works on. Offsets are within segments, cut to the address size. */
struct string_state {
    unsigned bytes;
    uint64_t mask;  /* of the address size */
    int64_t step;   /* +-bytes */
    uint64_t count; /* elements left; 1 without a prefix */
    bool repeated;
};

static struct string_state string_begin(const struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct string_state state = {.bytes = insn->op_bytes, .mask = soft_mask(insn->addr_bytes), .count = 1};

    state.step = cpu->rflags & RFLAGS_DF ? -(int64_t)state.bytes : (int64_t)state.bytes;
    state.repeated = insn->rep;
    if (state.repeated) {
        state.count = cpu->gpr[CPU_RCX] & state.mask;
    }
    return state;
}

static void string_advance(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned reg, int64_t by)
{
    soft_reg_write_at(cpu, 8 * reg, insn->addr_bytes, cpu->gpr[reg] + (uint64_t)by);
}

static void string_count_down(struct soft_cpu *cpu, const struct soft_insn *insn, struct string_state *state,
                              uint64_t by)
{
    state->count -= by;
    if (state->repeated) {
        soft_reg_write_at(cpu, 8 * CPU_RCX, insn->addr_bytes, state->count);
    }
}

static uint64_t string_source(struct soft_cpu *cpu, const struct soft_insn *insn, const struct string_state *state)
{
    return soft_linear(cpu, insn->segment, cpu->gpr[CPU_RSI] & state->mask, state->bytes, SOFT_READ);
}

static uint64_t string_destination(struct soft_cpu *cpu, const struct string_state *state, enum soft_access access)
{
    return soft_linear(cpu, CPU_ES, cpu->gpr[CPU_RDI] & state->mask, state->bytes, access);
}

/* More to do: the instruction comes again. */
static void string_again(struct soft_cpu *cpu, const struct string_state *state)
{
    if (state->count) {
        cpu->next_rip = cpu->rip;
    }
}

/* The same; single-stepped, each element is a step (SDM 2, REP). */
static unsigned string_limit(const struct soft_cpu *cpu, unsigned usual)
{
    return cpu->mode & SOFT_MODE_ONE ? 1 : usual;
}

/*
 * How many elements a block operation may take at once: upwards, in 64-bit mode or flat segments (no limits to check),
 * with addresses that don't wrap. 0: one by one.
 */
static uint64_t string_block(const struct soft_cpu *cpu, const struct soft_insn *insn, const struct string_state *state)
{
    bool flat = (cpu->mode & SOFT_MODE_FLAT) && !(cpu->mode & SOFT_MODE_ONE) && insn->addr_bytes >= 4;

    return flat && state->step > 0 && state->count > 1 ? MIN(state->count, (uint64_t)STRING_BATCH) : 0;
}

/* --- MOVS, STOS, LODS --------------------------------------------------------------------------------------------- */

/* Source and destination may overlap: the bytes go up one element after the other, and so do these. */
static SOFT_GUEST_ACCESS void copy_elements(uint8_t *to, const uint8_t *from, uint64_t len_bytes,
                                            unsigned element_bytes)
{
    for (uint64_t i = 0; i < len_bytes; i += element_bytes) {
        switch (element_bytes) {
        case 1:
            __atomic_store_n(to + i, __atomic_load_n(from + i, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
            break;
        case 2:
            *(soft_guest_u16 *)(to + i) = *(const soft_guest_u16 *)(from + i);
            break;
        case 4:
            *(soft_guest_u32 *)(to + i) = *(const soft_guest_u32 *)(from + i);
            break;
        default:
            *(soft_guest_u64 *)(to + i) = *(const soft_guest_u64 *)(from + i);
        }
    }
}

static void copy_up(uint8_t *to, const uint8_t *from, uint64_t len_bytes, unsigned element_bytes)
{
#ifndef HDL_TSAN /* it would judge the guest's accesses in there (mem.h) */
    if (to <= from || to >= from + len_bytes) {
        memmove(to, from, len_bytes);
        return;
    }
#endif
    copy_elements(to, from, len_bytes, element_bytes);
}

/* Copies what both pages have; false if nothing. */
static bool movs_block(struct soft_cpu *cpu, const struct soft_insn *insn, struct string_state *state)
{
    uint64_t len_bytes = string_block(cpu, insn, state) * state->bytes, to_bytes;
    uint8_t *from, *to;

    if (len_bytes == 0) {
        return false;
    }
    from = soft_host_range(cpu, string_source(cpu, insn, state), &len_bytes, false);
    to_bytes = len_bytes;
    to = from ? soft_host_range(cpu, string_destination(cpu, state, SOFT_WRITE), &to_bytes, true) : NULL;
    len_bytes = ALIGN_DOWN(MIN(len_bytes, to_bytes), (uint64_t)state->bytes);
    if (!to || len_bytes == 0) {
        return false;
    }
    copy_up(to, from, len_bytes, state->bytes);
    string_advance(cpu, insn, CPU_RSI, (int64_t)len_bytes);
    string_advance(cpu, insn, CPU_RDI, (int64_t)len_bytes);
    string_count_down(cpu, insn, state, len_bytes / state->bytes);
    return true;
}

void soft_exec_movs(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct string_state state = string_begin(cpu, insn);
    unsigned limit = string_limit(cpu, STRING_SINGLE);

    for (unsigned done = 0; state.count && done < limit; done++) {
        if (movs_block(cpu, insn, &state)) {
            continue;
        }
        soft_store(cpu, string_destination(cpu, &state, SOFT_WRITE), state.bytes,
                   soft_load(cpu, string_source(cpu, insn, &state), state.bytes));
        string_advance(cpu, insn, CPU_RSI, state.step);
        string_advance(cpu, insn, CPU_RDI, state.step);
        string_count_down(cpu, insn, &state, 1);
    }
    string_again(cpu, &state);
}

static SOFT_GUEST_ACCESS void fill_elements(uint8_t *to, uint64_t value, uint64_t len_bytes, unsigned element_bytes)
{
    for (uint64_t i = 0; i < len_bytes; i += element_bytes) {
        switch (element_bytes) {
        case 1:
            __atomic_store_n(to + i, (uint8_t)value, __ATOMIC_RELAXED);
            break;
        case 2:
            *(soft_guest_u16 *)(to + i) = (uint16_t)value;
            break;
        case 4:
            *(soft_guest_u32 *)(to + i) = (uint32_t)value;
            break;
        default:
            *(soft_guest_u64 *)(to + i) = value;
        }
    }
}

static void fill(uint8_t *to, uint64_t value, uint64_t len_bytes, unsigned element_bytes)
{
#ifndef HDL_TSAN
    if (element_bytes == 1 || value == 0) {
        memset(to, (uint8_t)value, len_bytes);
        return;
    }
#endif
    fill_elements(to, value, len_bytes, element_bytes);
}

static bool stos_block(struct soft_cpu *cpu, const struct soft_insn *insn, struct string_state *state)
{
    uint64_t len_bytes = string_block(cpu, insn, state) * state->bytes;
    uint8_t *to;

    if (len_bytes == 0) {
        return false;
    }
    to = soft_host_range(cpu, string_destination(cpu, state, SOFT_WRITE), &len_bytes, true);
    len_bytes = ALIGN_DOWN(len_bytes, (uint64_t)state->bytes);
    if (!to || len_bytes == 0) {
        return false;
    }
    fill(to, cpu->gpr[CPU_RAX] & soft_mask(state->bytes), len_bytes, state->bytes);
    string_advance(cpu, insn, CPU_RDI, (int64_t)len_bytes);
    string_count_down(cpu, insn, state, len_bytes / state->bytes);
    return true;
}

void soft_exec_stos(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct string_state state = string_begin(cpu, insn);
    unsigned limit = string_limit(cpu, STRING_SINGLE);

    for (unsigned done = 0; state.count && done < limit; done++) {
        if (stos_block(cpu, insn, &state)) {
            continue;
        }
        soft_store(cpu, string_destination(cpu, &state, SOFT_WRITE), state.bytes, cpu->gpr[CPU_RAX]);
        string_advance(cpu, insn, CPU_RDI, state.step);
        string_count_down(cpu, insn, &state, 1);
    }
    string_again(cpu, &state);
}

void soft_exec_lods(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct string_state state = string_begin(cpu, insn);
    unsigned limit = string_limit(cpu, STRING_SINGLE);

    for (unsigned done = 0; state.count && done < limit; done++) {
        soft_reg_write(cpu, insn, CPU_RAX, state.bytes, soft_load(cpu, string_source(cpu, insn, &state), state.bytes));
        string_advance(cpu, insn, CPU_RSI, state.step);
        string_count_down(cpu, insn, &state, 1);
    }
    string_again(cpu, &state);
}

/* --- CMPS, SCAS --------------------------------------------------------------------------------------------------- */

/* F3 goes on while equal, F2 while not. */
static bool compare_goes_on(const struct soft_cpu *cpu, const struct soft_insn *insn)
{
    return (cpu->cc_dst == 0) == (insn->rep == 0xf3);
}

/* The flags of the last comparison are set when all accesses of its element are done. */
void soft_exec_cmps(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct string_state state = string_begin(cpu, insn);
    unsigned limit = string_limit(cpu, STRING_BATCH);
    bool goes_on = true;

    for (unsigned done = 0; state.count && goes_on && done < limit; done++) {
        uint64_t a = soft_load(cpu, string_source(cpu, insn, &state), state.bytes);
        uint64_t b = soft_load(cpu, string_destination(cpu, &state, SOFT_READ), state.bytes);

        soft_alu(cpu, SOFT_KIND_CMP, soft_log2(state.bytes), a, b);
        string_advance(cpu, insn, CPU_RSI, state.step);
        string_advance(cpu, insn, CPU_RDI, state.step);
        string_count_down(cpu, insn, &state, 1);
        goes_on = compare_goes_on(cpu, insn);
    }
    if (goes_on) {
        string_again(cpu, &state);
    }
}

void soft_exec_scas(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    struct string_state state = string_begin(cpu, insn);
    unsigned limit = string_limit(cpu, STRING_BATCH);
    uint64_t value = cpu->gpr[CPU_RAX] & soft_mask(state.bytes);
    bool goes_on = true;

    for (unsigned done = 0; state.count && goes_on && done < limit; done++) {
        uint64_t b = soft_load(cpu, string_destination(cpu, &state, SOFT_READ), state.bytes);

        soft_alu(cpu, SOFT_KIND_CMP, soft_log2(state.bytes), value, b);
        string_advance(cpu, insn, CPU_RDI, state.step);
        string_count_down(cpu, insn, &state, 1);
        goes_on = compare_goes_on(cpu, insn);
    }
    if (goes_on) {
        string_again(cpu, &state);
    }
}
