/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: guests that do anything to their local APICs. The input is a program of accesses to the page and to
 * model-specific registers by several CPUs, messages from devices, interrupts taken and ended, and time going by.
 *
 * What is checked, besides what sanitizers see: no vector below 16 is ever taken, none that the priority doesn't let
 * through, and a reset brings back APICs that work.
 */
#include "../device/lapic_board.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"

#define CPUS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* step_bytes: of the input, for each step. */
enum { STEP_BYTES = 11 };

static struct board *board;

static void fuzz_check(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "fuzz_lapic: %s\n", what);
        abort();
    }
}

static void fuzz_start(void)
{
    void *state;

    hdl_thread_register_main();
    rig_setup(&state);
    board = board_create(state, CPUS);
}

static void fuzz_take(unsigned cpu)
{
    uint64_t base;
    unsigned priority;
    int vector;

    fuzz_check(lapic_msr_read(board->bus, cpu, 0x1b, &base), "no base");
    priority = atomic_load(&board->bus->apics[cpu].priority);
    if (!lapic_is_pending(board->bus, cpu)) {
        fuzz_check(lapic_acknowledge(board->bus, cpu) == -1, "a vector that wasn't pending");
        return;
    }
    vector = lapic_acknowledge(board->bus, cpu);
    fuzz_check(vector >= 16 && vector <= 255, "an illegal vector");
    fuzz_check((vector & 0xf0) > (int)(priority & 0xf0), "a vector below the priority");
}

static uint32_t fuzz_msr(uint8_t which)
{
    return which < 0x20 ? 0x1b : which < 0x40 ? 0x6e0 : 0x800 + (which & 0x3f);
}

static void fuzz_step(const uint8_t *data)
{
    unsigned cpu = data[0] >> 4 & 3;
    uint8_t which = data[1];
    uint64_t value;

    memcpy(&value, data + 3, sizeof(value));
    cpu = cpu < CPUS ? cpu : 0;
    board_be_cpu(data[2] == 0xff ? -1 : (int)cpu);
    switch (data[0] & 0xf) {
    case 0:
    case 1:
        rig_mmio_write(board->rig, LAPIC_BASE + (data[2] & 1 ? which : (which & 0x3f) * 16), 4, (uint32_t)value);
        break;
    case 2:
        rig_mmio_read(board->rig, LAPIC_BASE + (data[2] & 1 ? which : (which & 0x3f) * 16), 1u << (data[2] >> 1 & 3));
        break;
    case 3:
        lapic_msr_write(board->bus, cpu, fuzz_msr(which), value);
        break;
    case 4: /* values that exist */
        lapic_msr_write(board->bus, cpu, fuzz_msr(which), which < 0x20 ? 0xfee00000 | (value & 0xd00) : value & 0xff);
        break;
    case 5:
        lapic_msr_read(board->bus, cpu, fuzz_msr(which), &value);
        break;
    case 6:
        board->tsc += value & 0xffffff;
        rig_advance_ns(board->rig, value >> 32 & 0xffffff);
        break;
    case 7:
        lapic_bus_send_msi(board->bus, (struct msi_message){.address = 0xfee00000 | (value & 0xfffff), .data = which});
        break;
    case 8:
        lapic_bus_send_msi(board->bus, (struct msi_message){.address = value, .data = (uint32_t)(value >> 32)});
        break;
    case 9:
        lapic_set_tpr(board->bus, cpu, which);
        break;
    case 10:
        lapic_bus_lint0_rise(board->bus);
        lapic_bus_lint1_pulse(board->bus);
        break;
    case 11:
        lapic_init_signal(board->bus, cpu);
        break;
    case 12:
        rig_mmio_write(board->rig, LAPIC_BASE + EOI, 4, 0);
        break;
    default:
        fuzz_take(cpu);
    }
}

/* After anything, a reset. */
static void fuzz_finish(void)
{
    device_reset(&board->bus->isa.device);
    rig_settle(board->rig);
    for (unsigned i = 0; i < CPUS; i++) {
        fuzz_check(board_take(board, i) == -1, "pending after a reset");
        board_put(board, i, SVR, 0x1ff);
        board_put(board, i, ICR_LOW, 0x44051);
        fuzz_check(board_take(board, i) == 0x51, "not working after a reset");
        while (sem_trywait(&board->cpus[i].woken) == 0) {
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!board) {
        fuzz_start();
    }
    for (; size >= STEP_BYTES; data += STEP_BYTES, size -= STEP_BYTES) {
        fuzz_step(data);
    }
    fuzz_finish();
    return 0;
}
