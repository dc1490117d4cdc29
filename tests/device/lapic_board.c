/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The board of lapic_board.h. Any thread may play a CPU: it says which one it is. */
#include "lapic_board.h"

static _Thread_local int current = -1;

static uint32_t cpu_apic_id(void *opaque, unsigned index)
{
    return index;
}

static void cpu_interrupt(void *opaque, unsigned index)
{
    struct board_cpu *cpu = &((struct board *)opaque)->cpus[index];

    atomic_fetch_add(&cpu->interrupts, 1);
    sem_post(&cpu->woken);
}

static void cpu_nmi(void *opaque, unsigned index)
{
    atomic_fetch_add(&((struct board *)opaque)->cpus[index].nmis, 1);
}

static void cpu_init(void *opaque, unsigned index)
{
    atomic_fetch_add(&((struct board *)opaque)->cpus[index].inits, 1);
}

static void cpu_sipi(void *opaque, unsigned index, uint8_t vector)
{
    atomic_fetch_add(&((struct board *)opaque)->cpus[index].sipis, 1);
    atomic_store(&((struct board *)opaque)->cpus[index].sipi_vector, vector);
}

static uint64_t cpu_tsc(void *opaque, unsigned index)
{
    return ((struct board *)opaque)->tsc;
}

static int cpu_current(void *opaque)
{
    return current;
}

static const struct lapic_cpu_ops cpu_ops = {
    .apic_id = cpu_apic_id,
    .interrupt = cpu_interrupt,
    .nmi = cpu_nmi,
    .init = cpu_init,
    .sipi = cpu_sipi,
    .tsc = cpu_tsc,
    .current = cpu_current,
};

struct board *board_create_bare(struct rig *rig, unsigned count)
{
    struct board *board = calloc(1, sizeof(*board));

    assert_non_null(board);
    board->rig = rig;
    for (unsigned i = 0; i < count; i++) {
        sem_init(&board->cpus[i].woken, 0, 0);
    }
    board->bus = rig_create(rig, &lapic_bus_device_type);
    board->bus->cpus = &cpu_ops;
    board->bus->cpus_opaque = board;
    board->bus->count = count;
    board->bus->tsc_khz = 2000000;
    current = 0;
    return board;
}

struct board *board_create(struct rig *rig, unsigned count)
{
    struct board *board = board_create_bare(rig, count);

    rig_realize(&board->bus->isa.device);
    for (unsigned i = 0; i < count; i++) {
        board_put(board, i, SVR, 0x1ff);
        board_put(board, i, LINT0, 0x10000);
    }
    return board;
}

void board_destroy(struct board *board)
{
    rig_remove(board->rig, &board->bus->isa.device);
    free(board);
}

void board_be_cpu(int index)
{
    current = index;
}

uint32_t board_get(struct board *board, unsigned cpu, unsigned offset)
{
    board_be_cpu((int)cpu);
    return (uint32_t)rig_mmio_read(board->rig, LAPIC_BASE + offset, 4);
}

void board_put(struct board *board, unsigned cpu, unsigned offset, uint32_t value)
{
    board_be_cpu((int)cpu);
    rig_mmio_write(board->rig, LAPIC_BASE + offset, 4, value);
}

void board_command(struct board *board, unsigned cpu, uint32_t high, uint32_t low)
{
    board_put(board, cpu, ICR_HIGH, high);
    board_put(board, cpu, ICR_LOW, low);
}

int board_take(struct board *board, unsigned cpu)
{
    return lapic_is_pending(board->bus, cpu) ? lapic_acknowledge(board->bus, cpu) : -1;
}
