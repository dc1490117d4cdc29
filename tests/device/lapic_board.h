/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Local APICs on the rig, and CPUs that only remember what is asked of them. The test plays guest and CPUs. */
#ifndef HDL_TESTS_DEVICE_LAPIC_BOARD_H
#define HDL_TESTS_DEVICE_LAPIC_BOARD_H

#include <semaphore.h>

#include "rig.h"

#include "hw/intc/lapic.h"

#define BOARD_CPUS_MAX 20

/* Registers' offsets in the page. */
enum {
    ID = 0x20,
    VERSION = 0x30,
    TPR = 0x80,
    PPR = 0xa0,
    EOI = 0xb0,
    LDR = 0xd0,
    DFR = 0xe0,
    SVR = 0xf0,
    ISR = 0x100,
    TMR = 0x180,
    IRR = 0x200,
    ESR = 0x280,
    ICR_LOW = 0x300,
    ICR_HIGH = 0x310,
    TIMER = 0x320,
    LINT0 = 0x350,
    LINT1 = 0x360,
    ERROR = 0x370,
    INITIAL = 0x380,
    CURRENT = 0x390,
    DIVIDE = 0x3e0,
};

struct board_cpu {
    _Atomic unsigned interrupts, nmis, inits, sipis;
    _Atomic uint8_t sipi_vector;
    sem_t woken; /* posted at each interrupt */
};

struct board {
    struct rig *rig;
    struct lapic_bus *bus;
    struct board_cpu cpus[BOARD_CPUS_MAX];
    uint64_t tsc;
};

/* APICs of CPUs 0..count-1, whose ids are their numbers, enabled by software; as seen by CPU 0 from this thread. */
struct board *board_create(struct rig *rig, unsigned count);
/* The same, with no APIC enabled by software and before realize, to be wired. */
struct board *board_create_bare(struct rig *rig, unsigned count);
void board_destroy(struct board *board);

/* The calling thread is this CPU from now on; -1: none. */
void board_be_cpu(int index);
uint32_t board_get(struct board *board, unsigned cpu, unsigned offset);
void board_put(struct board *board, unsigned cpu, unsigned offset, uint32_t value);
/* The command register, whose destination is written before it. */
void board_command(struct board *board, unsigned cpu, uint32_t high, uint32_t low);
/* The vector that the CPU takes now; -1: none. */
int board_take(struct board *board, unsigned cpu);

#endif
