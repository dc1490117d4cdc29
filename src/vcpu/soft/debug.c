/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Debug registers, breakpoints and single steps (SDM 3, chapter 17). While any breakpoint is enabled, or TF set, blocks
 * have one instruction each (SOFT_MODE_ONE), and the run loop asks here before and after it.
 *
 * RF is cleared here, before the one instruction that it protects; without breakpoints nobody looks at it, so IRET then
 * doesn't set it.
 */
#include "vcpu/soft/exception.h"
#include "vcpu/soft/mmu.h"
#include "vcpu/soft/segment.h"

enum { BREAK_EXECUTE, BREAK_WRITE, BREAK_IO, BREAK_ACCESS };

bool soft_breakpoints_enabled(const struct soft_cpu *cpu)
{
    return cpu->dr7 & 0xff;
}

static bool breakpoint_is_enabled(const struct soft_cpu *cpu, unsigned i)
{
    return cpu->dr7 >> 2 * i & 3;
}

static unsigned breakpoint_kind(const struct soft_cpu *cpu, unsigned i)
{
    return cpu->dr7 >> (16 + 4 * i) & 3;
}

static unsigned breakpoint_bytes(const struct soft_cpu *cpu, unsigned i)
{
    static const uint8_t bytes[] = {1, 2, 8, 4};

    return bytes[cpu->dr7 >> (18 + 4 * i) & 3];
}

/* Breakpoints are aligned to their length, whatever the register says. */
static bool breakpoint_meets(const struct soft_cpu *cpu, unsigned i, uint64_t linear, unsigned size_bytes)
{
    uint64_t bytes = breakpoint_bytes(cpu, i);
    uint64_t start = ALIGN_DOWN(cpu->dr[i], bytes);

    return linear < start + bytes && start < linear + size_bytes;
}

/* --- instructions ------------------------------------------------------------------------------------------------- */

static uint64_t breakpoints_at(const struct soft_cpu *cpu, uint64_t linear)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < 4; i++) {
        if (breakpoint_is_enabled(cpu, i) && breakpoint_kind(cpu, i) == BREAK_EXECUTE && cpu->dr[i] == linear) {
            bits |= UINT64_C(1) << i;
        }
    }
    return bits;
}

bool soft_breakpoint_hit(struct soft_cpu *cpu)
{
    uint64_t linear = soft_is_64(cpu) ? cpu->rip : (uint32_t)(cpu->segment[CPU_CS].base + cpu->rip);
    bool resumed = cpu->rflags & RFLAGS_RF;
    uint64_t bits;

    cpu->one_stepping = cpu->rflags & RFLAGS_TF;
    cpu->one_shadow = cpu->shadow;
    cpu->no_step = false;
    cpu->rflags &= ~(uint64_t)RFLAGS_RF;
    /* MOV SS holds off the next instruction's breakpoint as well (SDM 3, 6.8.3). */
    if (resumed || cpu->shadow == 2) {
        return false;
    }
    bits = breakpoints_at(cpu, linear);
    if (!bits) {
        return false;
    }
    cpu->dr6 = (cpu->dr6 & ~(UINT64_C(0xf) | DR6_BD)) | bits | DR6_FIXED;
    cpu->fault = (struct soft_fault){.vector = VECTOR_DB};
    return true;
}

void soft_one_done(struct soft_cpu *cpu)
{
    uint64_t bits = cpu->debug_hits;
    bool began_shadow = cpu->shadow && !cpu->one_shadow;

    if (cpu->one_stepping && !cpu->no_step) {
        bits |= DR6_BS;
    }
    cpu->no_step = false;
    if (began_shadow && cpu->shadow == 2) {
        /* Traps wait for the instruction behind MOV SS, but for its own single step, which is lost. */
        return;
    }
    if (!began_shadow) {
        cpu->shadow = 0;
    }
    cpu->debug_hits = 0;
    soft_update_mode(cpu);
    if (bits) {
        soft_deliver_debug_trap(cpu, bits);
    }
}

/* --- data and ports ----------------------------------------------------------------------------------------------- */

bool soft_data_breakpoints_enabled(const struct soft_cpu *cpu)
{
    for (unsigned i = 0; i < 4; i++) {
        if (breakpoint_is_enabled(cpu, i) && (breakpoint_kind(cpu, i) & BREAK_WRITE)) {
            return true;
        }
    }
    return false;
}

bool soft_data_breakpoint_page(const struct soft_cpu *cpu, uint64_t linear)
{
    for (unsigned i = 0; i < 4; i++) {
        if (breakpoint_is_enabled(cpu, i) && (breakpoint_kind(cpu, i) & BREAK_WRITE) &&
            ((cpu->dr[i] ^ linear) & SOFT_PAGE_MASK) == 0) {
            return true;
        }
    }
    return false;
}

void soft_data_breakpoint(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes, bool is_write)
{
    for (unsigned i = 0; i < 4; i++) {
        unsigned kind = breakpoint_kind(cpu, i);

        /* DR6's bits tell of disabled breakpoints as well, on hardware; ours don't. */
        if (breakpoint_is_enabled(cpu, i) && (kind == BREAK_ACCESS || (kind == BREAK_WRITE && is_write)) &&
            breakpoint_meets(cpu, i, linear, size_bytes)) {
            cpu->debug_hits |= UINT64_C(1) << i;
        }
    }
}

void soft_io_breakpoint(struct soft_cpu *cpu, uint16_t port, unsigned size_bytes)
{
    for (unsigned i = 0; i < 4 && (cpu->cr4 & CR4_DE); i++) {
        if (breakpoint_is_enabled(cpu, i) && breakpoint_kind(cpu, i) == BREAK_IO &&
            breakpoint_meets(cpu, i, port, size_bytes)) {
            cpu->debug_hits |= UINT64_C(1) << i;
        }
    }
}

/* --- the registers ------------------------------------------------------------------------------------------------ */

/* DR4 and DR5 are DR6 and DR7, unless CR4.DE. */
static unsigned dr_check(struct soft_cpu *cpu, unsigned n)
{
    if (n == 4 || n == 5) {
        if (cpu->cr4 & CR4_DE) {
            soft_raise(cpu, VECTOR_UD);
        }
        n += 2;
    }
    if (cpu->dr7 & DR7_GD) {
        cpu->dr6 |= DR6_BD;
        soft_raise(cpu, VECTOR_DB);
    }
    return n;
}

uint64_t soft_read_dr(struct soft_cpu *cpu, unsigned n)
{
    n = dr_check(cpu, n);
    return n == 6 ? cpu->dr6 : n == 7 ? cpu->dr7 : cpu->dr[n];
}

void soft_write_dr(struct soft_cpu *cpu, unsigned n, uint64_t value)
{
    n = dr_check(cpu, n);
    if (n >= 6 && value >> 32) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
    if (n == 6) {
        cpu->dr6 = (value & (UINT64_C(0xf) | DR6_BD | DR6_BS | DR6_BT)) | DR6_FIXED;
    } else if (n == 7) {
        cpu->dr7 = (value & UINT64_C(0xffff23ff)) | DR7_FIXED;
    } else {
        cpu->dr[n] = value;
    }
    soft_tlb_flush_all(cpu); /* pages that data breakpoints are in may be others now */
    soft_update_mode(cpu);
}
