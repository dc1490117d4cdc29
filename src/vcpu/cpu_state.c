/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Power-on values of a CPU's registers, segments for entering kernels, and the text of a register dump. All pure. */
#include "vcpu/cpu_state.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CR0_RESET    UINT64_C(0x60000010) /* CD, NW, ET */
#define CR0_CACHING  UINT64_C(0x60000000) /* CD, NW */
#define RFLAGS_RESET UINT64_C(0x2)
#define DR6_RESET    UINT64_C(0xffff0ff0)
#define DR7_RESET    UINT64_C(0x400)
#define PAT_RESET    UINT64_C(0x0007040600070406)
#define APIC_BASE    UINT64_C(0xfee00000)
#define APIC_ENABLED UINT64_C(0x800)
#define APIC_BSP     UINT64_C(0x100)

enum segment_type { TYPE_DATA = 3 /* read/write, accessed */, TYPE_CODE = 11 /* execute/read, accessed */ };
enum { TYPE_LDT = 2, TYPE_TSS_BUSY = 11 };

/* Offsets in the legacy region of an XSAVE area (SDM 1, table 13-1), and the header behind it. */
enum { XSAVE_FCW = 0, XSAVE_MXCSR = 24, XSAVE_HEADER = 512, XSAVE_HEADER_BYTES = 64 };

struct cpu_segment cpu_segment_real(uint16_t selector, bool code)
{
    return (struct cpu_segment){.base = (uint64_t)selector << 4,
                                .limit = 0xffff,
                                .selector = selector,
                                .type = code ? TYPE_CODE : TYPE_DATA,
                                .s = true,
                                .present = true};
}

struct cpu_segment cpu_segment_flat_code(uint16_t selector, enum cpu_flat_mode mode)
{
    return (struct cpu_segment){.limit = 0xffffffff,
                                .selector = selector,
                                .type = TYPE_CODE,
                                .s = true,
                                .present = true,
                                .l = mode == CPU_FLAT_64,
                                .db = mode == CPU_FLAT_32,
                                .g = true};
}

struct cpu_segment cpu_segment_flat_data(uint16_t selector)
{
    return (struct cpu_segment){.limit = 0xffffffff,
                                .selector = selector,
                                .type = TYPE_DATA,
                                .s = true,
                                .present = true,
                                .db = true,
                                .g = true};
}

struct cpu_segment cpu_segment_tss(void)
{
    return (struct cpu_segment){.limit = 0xffff, .type = TYPE_TSS_BUSY, .present = true};
}

void cpu_state_reset(struct cpu_state *state, bool bootstrap)
{
    uint16_t fcw = 0x40;
    uint32_t mxcsr = 0x1f80;

    memset(state, 0, sizeof(*state));
    state->rip = 0xfff0;
    state->rflags = RFLAGS_RESET;
    for (int i = 0; i <= CPU_GS; i++) {
        state->segment[i] = cpu_segment_real(0, i == CPU_CS);
    }
    state->segment[CPU_CS].selector = 0xf000;
    state->segment[CPU_CS].base = 0xffff0000;
    state->segment[CPU_LDTR] = (struct cpu_segment){.limit = 0xffff, .type = TYPE_LDT, .present = true};
    state->segment[CPU_TR] = cpu_segment_tss();
    state->gdt.limit = 0xffff;
    state->idt.limit = 0xffff;
    state->cr0 = CR0_RESET;
    state->xcr0 = 1;
    state->dr6 = DR6_RESET;
    state->dr7 = DR7_RESET;
    state->apic_base = APIC_BASE | APIC_ENABLED | (bootstrap ? APIC_BSP : 0);
    state->msr.pat = PAT_RESET;
    state->msr.misc_enable = 1; /* fast string operations */
    state->activity = bootstrap ? CPU_RUNNABLE : CPU_WAIT_FOR_INIT;
    state->xsave_len_bytes = XSAVE_HEADER + XSAVE_HEADER_BYTES;
    memcpy(state->xsave + XSAVE_FCW, &fcw, sizeof(fcw));
    memcpy(state->xsave + XSAVE_MXCSR, &mxcsr, sizeof(mxcsr));
}

void cpu_state_init(struct cpu_state *state, bool bootstrap, uint32_t signature)
{
    struct cpu_state reset;

    cpu_state_reset(&reset, bootstrap);
    reset.cr0 = (reset.cr0 & ~CR0_CACHING) | (state->cr0 & CR0_CACHING);
    reset.gpr[CPU_RDX] = signature;
    reset.xcr0 = state->xcr0;
    reset.msr = state->msr;
    reset.apic_base = state->apic_base;
    reset.keep_tsc = true;
    reset.activity = bootstrap ? CPU_RUNNABLE : CPU_WAIT_FOR_SIPI;
    reset.xsave_len_bytes = state->xsave_len_bytes;
    memcpy(reset.xsave, state->xsave, sizeof(reset.xsave));
    *state = reset;
}

void cpu_state_start_up(struct cpu_state *state, uint8_t vector)
{
    state->segment[CPU_CS] = cpu_segment_real((uint16_t)(vector << 8), true);
    state->rip = 0;
    state->keep_tsc = true;
    state->activity = CPU_RUNNABLE;
}

/* --- text ------------------------------------------------------------------------------------------------------- */

struct text {
    char *buffer;
    size_t len_bytes;
    size_t used; /* what there would be with room enough */
};

static void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void text_add(struct text *text, const char *format, ...)
{
    size_t left = text->used < text->len_bytes ? text->len_bytes - text->used : 0;
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(left ? text->buffer + text->used : NULL, left, format, args);
    va_end(args);
    text->used += len > 0 ? (size_t)len : 0;
}

static void text_add_segment(struct text *text, const char *name, const struct cpu_segment *segment)
{
    text_add(text, "%-3s=%04x base=%016" PRIx64 " limit=%08x type=%x s=%d dpl=%d p=%d l=%d db=%d g=%d%s\n", name,
             segment->selector, segment->base, segment->limit, segment->type, segment->s, segment->dpl,
             segment->present, segment->l, segment->db, segment->g, segment->unusable ? " unusable" : "");
}

int cpu_state_format(const struct cpu_state *state, char *buffer, size_t len_bytes)
{
    static const char gpr_names[CPU_GPR_COUNT][4] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                                     "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};
    static const char segment_names[CPU_SEGMENT_COUNT][4] = {"ES", "CS", "SS", "DS", "FS", "GS", "LDT", "TR"};
    static const char *const activities[] = {"running", "halted", "waiting for INIT", "waiting for SIPI",
                                             "starting up"};
    struct text text = {.buffer = buffer, .len_bytes = len_bytes};

    for (int i = 0; i < CPU_GPR_COUNT; i++) {
        text_add(&text, "%-3s=%016" PRIx64 "%c", gpr_names[i], state->gpr[i], i % 4 == 3 ? '\n' : ' ');
    }
    text_add(&text, "RIP=%016" PRIx64 " RFLAGS=%08" PRIx64 " (%s)\n", state->rip, state->rflags,
             activities[state->activity]);
    for (int i = 0; i < CPU_SEGMENT_COUNT; i++) {
        text_add_segment(&text, segment_names[i], &state->segment[i]);
    }
    text_add(&text, "GDT=%016" PRIx64 " %04x IDT=%016" PRIx64 " %04x\n", state->gdt.base, state->gdt.limit,
             state->idt.base, state->idt.limit);
    text_add(&text, "CR0=%08" PRIx64 " CR2=%016" PRIx64 " CR3=%016" PRIx64 " CR4=%08" PRIx64 " EFER=%08" PRIx64 "\n",
             state->cr0, state->cr2, state->cr3, state->cr4, state->efer);
    return (int)text.used;
}
