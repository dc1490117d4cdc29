/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where things are in the guest that runs cases, for soft_side.c and for the monitor itself (monitor.S). Guest-physical
 * addresses; all RAM is also at MONITOR_LINEAR, for privileged code only. Numbers only: assembly reads it, too.
 */
#ifndef HDL_TESTS_DIFF_MONITOR_H
#define HDL_TESTS_DIFF_MONITOR_H

#define MONITOR_RAM_BYTES 0x400000
#define MONITOR_LINEAR    0xffffffff80000000

#define MONITOR_TABLES 0x1000 /* page tables: a PML4, then two pages a level */
#define MONITOR_GDT    0x8000
#define MONITOR_IDT    0x9000
#define MONITOR_TSS    0xa000
#define MONITOR_CODE   0x10000
#define MONITOR_STACK  0x20000 /* its top */
#define MONITOR_COUNT  0x30000 /* 64 bits: cases to run */
#define MONITOR_INDEX  0x30008 /* the case that runs */
#define MONITOR_SAVED  0x30010
#define MONITOR_START  0x40000 /* struct case_state, a slot each */
#define MONITOR_END    0x60000
#define MONITOR_CASES  0x80000 /* code, MONITOR_CASE_BYTES each: offset and quadwords (32 bits each), then bytes */
#define MONITOR_SLOTS  0x200000

#define MONITOR_STATE_BYTES   704
#define MONITOR_CASE_BYTES    1024
#define MONITOR_CASE_CODE     8
#define MONITOR_BACKING_BYTES 0x6000

#define MONITOR_PORT 0x500

/* Of struct case_state. */
#define STATE_RIP    128
#define STATE_RFLAGS 136
#define STATE_CS     144
#define STATE_SS     152
#define STATE_VECTOR 160
#define STATE_ERROR  168
#define STATE_CR2    176
#define STATE_FX     192

/* Selectors; the user's are Linux's (case.h). */
#define MONITOR_CS 0x10
#define MONITOR_SS 0x18
#define MONITOR_TR 0x40

#endif
