/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registers as firmware leaves them, and as a kernel entered on boot/cpu_tables.c's tables wants them. Pure. */
#include "machine/boot_cpu.h"

#include "machine/boot/cpu_tables.h"
#include "machine/pc_layout.h"

enum {
    CR0_PROTECTED = 1u << 0,
    CR0_EXTENSION_TYPE = 1u << 4,
    CR0_PAGING = 1u << 31,
    CR4_PHYSICAL_EXTENSION = 1u << 5,
    EFER_LONG_ENABLE = 1u << 8,
    EFER_LONG_ACTIVE = 1u << 10,
    RFLAGS_ALWAYS_ONE = 1u << 1,
    MTRR_ENABLED_WRITE_BACK = 0x806, /* Intel SDM 3, 12.11.2.1: enabled, type 6 by default */
};

static void boot_cpu_segments_set(struct cpu_state *state, bool is_64)
{
    static const enum cpu_segment_index data[] = {CPU_ES, CPU_SS, CPU_DS, CPU_FS, CPU_GS};

    state->segment[CPU_CS] =
        is_64 ? cpu_segment_flat_code(BOOT_CS64, CPU_FLAT_64) : cpu_segment_flat_code(BOOT_CS32, CPU_FLAT_32);
    for (size_t i = 0; i < sizeof(data) / sizeof(data[0]); i++) {
        state->segment[data[i]] = cpu_segment_flat_data(BOOT_DS);
    }
    state->segment[CPU_TR] = cpu_segment_tss();
    state->segment[CPU_TR].selector = BOOT_TSS;
    state->gdt = (struct cpu_table){.base = PC_BOOT_GDT, .limit = BOOT_GDT_COUNT * 8 - 1};
    state->idt = (struct cpu_table){0};
}

void boot_cpu_firmware_set(struct cpu_state *state)
{
    state->msr.mtrr_def_type = MTRR_ENABLED_WRITE_BACK;
    state->keep_tsc = true;
}

void boot_cpu_entry_set(struct cpu_state *state, const struct boot_entry *entry)
{
    bool is_64 = entry->mode == BOOT_LONG;

    boot_cpu_segments_set(state, is_64);
    state->cr0 = CR0_PROTECTED | CR0_EXTENSION_TYPE | (is_64 ? CR0_PAGING : 0);
    state->cr3 = is_64 ? PC_BOOT_TABLES : 0;
    state->cr4 = is_64 ? CR4_PHYSICAL_EXTENSION : 0;
    state->efer = is_64 ? EFER_LONG_ENABLE | EFER_LONG_ACTIVE : 0;
    for (unsigned i = 0; i < CPU_GPR_COUNT; i++) {
        state->gpr[i] = 0;
    }
    state->gpr[CPU_RAX] = entry->rax;
    state->gpr[CPU_RBX] = entry->rbx;
    state->gpr[CPU_RSI] = entry->rsi;
    state->gpr[CPU_RSP] = entry->rsp;
    state->rip = entry->rip;
    state->rflags = RFLAGS_ALWAYS_ONE;
}
