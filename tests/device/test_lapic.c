/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Local APICs: priorities, destinations, registers. Timers are in test_lapic_timer.c, many threads in ..._torture.c. */
#include <errno.h>

#include "lapic_board.h"

#define MASKED 0x10000
#define SELF   (1u << 18)
#define ALL    (2u << 18)
#define OTHERS (3u << 18)
#define ASSERT 0x4000

/* Sends a vector to the CPU itself. */
static void self_ipi(struct board *board, unsigned cpu, uint8_t vector)
{
    board_put(board, cpu, ICR_LOW, SELF | ASSERT | vector);
}

static bool requested(struct board *board, unsigned cpu, uint8_t vector)
{
    return board_get(board, cpu, IRR + vector / 32 * 16) >> vector % 32 & 1;
}

static bool in_service(struct board *board, unsigned cpu, uint8_t vector)
{
    return board_get(board, cpu, ISR + vector / 32 * 16) >> vector % 32 & 1;
}

static void msi(struct board *board, uint64_t address_bits, uint32_t data)
{
    struct msi_message message = {.address = 0xfee00000 | address_bits, .data = data};

    assert_int_equal(lapic_bus_send_msi(board->bus, message), 0);
}

/* --- state ------------------------------------------------------------------------------------------------------ */

static void test_power_on(void **state)
{
    struct board *board = board_create_bare(*state, 2);

    rig_realize(&board->bus->isa.device);
    assert_int_equal(board_get(board, 1, ID), 0x01000000);
    assert_int_equal(board_get(board, 1, VERSION), 0x50014);
    assert_int_equal(board_get(board, 1, SVR), 0xff);
    assert_int_equal(board_get(board, 1, DFR), 0xffffffff);
    assert_int_equal(board_get(board, 1, LINT0), MASKED);
    assert_int_equal(board_get(board, 0, LINT0), 0x700); /* as firmware leaves it */
    self_ipi(board, 1, 0x50);                            /* disabled by software: not taken */
    assert_false(requested(board, 1, 0x50));
    board_command(board, 1, 0, ASSERT | 0x400); /* but NMI, INIT and start-up messages are */
    assert_int_equal(board->cpus[0].nmis, 1);
    board_put(board, 1, TIMER, 0x31);
    assert_int_equal(board_get(board, 1, TIMER), MASKED | 0x31);
    board_put(board, 1, SVR, 0x1ff);
    board_put(board, 1, TIMER, 0x31);
    assert_int_equal(board_get(board, 1, TIMER), 0x31);
    board_put(board, 1, SVR, 0xff);
    assert_int_equal(board_get(board, 1, TIMER), MASKED | 0x31);
    board_destroy(board);
}

static void test_init_state(void **state)
{
    struct board *board = board_create(*state, 2);

    board_put(board, 1, TPR, 0x20);
    self_ipi(board, 1, 0x50);
    assert_int_equal(board_take(board, 1), 0x50);
    self_ipi(board, 1, 0x60);
    board_put(board, 1, LDR, 0x02000000);
    lapic_init_signal(board->bus, 1);
    assert_int_equal(board_take(board, 1), -1);
    assert_int_equal(board_get(board, 1, TPR), 0);
    assert_int_equal(board_get(board, 1, PPR), 0);
    assert_int_equal(board_get(board, 1, LDR), 0);
    assert_int_equal(board_get(board, 1, SVR), 0xff);
    assert_int_equal(board_get(board, 1, ID), 0x01000000);
    board_destroy(board);
}

/* Which page a CPU sees depends on who it is, and who isn't one sees nothing. */
static void test_page(void **state)
{
    struct board *board = board_create(*state, 2);
    uint64_t base;

    board_put(board, 0, TPR, 0x10);
    board_put(board, 1, TPR, 0x20);
    assert_int_equal(board_get(board, 0, TPR), 0x10);
    assert_int_equal(board_get(board, 1, TPR), 0x20);
    board_be_cpu(-1);
    assert_int_equal(rig_mmio_read(*state, LAPIC_BASE + TPR, 4), 0xffffffff);
    board_be_cpu(0);
    assert_int_equal(rig_mmio_read(*state, LAPIC_BASE + TPR, 1), 0xff);
    /* Moved, and back. */
    assert_true(lapic_msr_read(board->bus, 0, 0x1b, &base));
    assert_int_equal(base, 0xfee00900);
    assert_true(lapic_msr_write(board->bus, 0, 0x1b, 0xd0000900));
    assert_int_equal(board_get(board, 0, TPR), 0xffffffff);
    assert_int_equal(rig_mmio_read(*state, 0xd0000000 + TPR, 4), 0x10);
    assert_int_equal(board_get(board, 1, TPR), 0x20);
    assert_int_equal(rig_mmio_read(*state, 0xd0000000 + TPR, 4), 0xffffffff); /* CPU 1 */
    assert_true(lapic_msr_write(board->bus, 1, 0x1b, 0xd0000800));            /* both there */
    assert_int_equal(rig_mmio_read(*state, 0xd0000000 + TPR, 4), 0x20);
    board_be_cpu(0);
    assert_int_equal(rig_mmio_read(*state, 0xd0000000 + TPR, 4), 0x10);
    assert_true(lapic_msr_write(board->bus, 0, 0x1b, 0xd0001900));
    board_be_cpu(1);
    assert_int_equal(rig_mmio_read(*state, 0xd0000000 + TPR, 4), 0x20);
    board_be_cpu(0);
    assert_int_equal(rig_mmio_read(*state, 0xd0001000 + TPR, 4), 0x10);
    device_reset(&board->bus->isa.device);
    assert_int_equal(board_get(board, 0, TPR), 0);
    board_destroy(board);
}

/* --- priorities ------------------------------------------------------------------------------------------------- */

static void test_nesting(void **state)
{
    struct board *board = board_create(*state, 1);

    self_ipi(board, 0, 0x31);
    self_ipi(board, 0, 0x45);
    self_ipi(board, 0, 0x41);
    assert_int_equal(board_take(board, 0), 0x45);
    assert_int_equal(board_get(board, 0, PPR), 0x40);
    assert_int_equal(board_take(board, 0), -1); /* the same class waits */
    self_ipi(board, 0, 0x45);                   /* once more while in service */
    self_ipi(board, 0, 0xf0);
    assert_int_equal(board_take(board, 0), 0xf0);
    assert_true(in_service(board, 0, 0x45) && in_service(board, 0, 0xf0) && requested(board, 0, 0x45));
    board_put(board, 0, EOI, 0); /* the highest in service ends first */
    assert_false(in_service(board, 0, 0xf0));
    assert_true(in_service(board, 0, 0x45));
    assert_int_equal(board_take(board, 0), -1);
    board_put(board, 0, EOI, 0);
    assert_int_equal(board_take(board, 0), 0x45);
    board_put(board, 0, EOI, 0);
    assert_int_equal(board_take(board, 0), 0x41);
    board_put(board, 0, EOI, 0);
    assert_int_equal(board_take(board, 0), 0x31);
    board_put(board, 0, EOI, 0);
    assert_int_equal(board_get(board, 0, PPR), 0);
    board_put(board, 0, EOI, 0); /* nothing in service: nothing happens */
    assert_int_equal(board_take(board, 0), -1);
    board_destroy(board);
}

static void test_task_priority(void **state)
{
    struct board *board = board_create(*state, 1);
    unsigned before;

    board_put(board, 0, TPR, 0x4f);
    self_ipi(board, 0, 0x4e);
    assert_false(lapic_is_pending(board->bus, 0));
    assert_int_equal(lapic_acknowledge(board->bus, 0), -1);
    assert_int_equal(board_get(board, 0, PPR), 0x4f);
    before = board->cpus[0].interrupts;
    lapic_set_tpr(board->bus, 0, 0x30); /* CR8 */
    assert_int_equal(lapic_get_tpr(board->bus, 0), 0x30);
    assert_int_equal(board_get(board, 0, TPR), 0x30);
    assert_true(board->cpus[0].interrupts > before); /* the CPU is to ask again */
    assert_int_equal(board_take(board, 0), 0x4e);
    before = board->cpus[0].interrupts;
    board_put(board, 0, TPR, 0x50);
    assert_int_equal(board_get(board, 0, PPR), 0x50);
    self_ipi(board, 0, 0x51);
    self_ipi(board, 0, 0x51); /* already requested: nobody is woken again */
    assert_int_equal(board->cpus[0].interrupts, before + 1);
    board_put(board, 0, TPR, 0);
    assert_int_equal(board_get(board, 0, PPR), 0x40);
    assert_int_equal(board_take(board, 0), 0x51);
    board_put(board, 0, EOI, 0);
    board_put(board, 0, EOI, 0);
    board_put(board, 0, TPR, 0xff);
    self_ipi(board, 0, 0xff);
    assert_int_equal(board_take(board, 0), -1); /* class 15 masks all */
    board_destroy(board);
}

/* --- destinations ----------------------------------------------------------------------------------------------- */

/* The CPUs, as bits, that have the vector requested; it is taken from them. */
static unsigned who_got(struct board *board, uint8_t vector)
{
    unsigned got = 0;

    for (unsigned i = 0; i < board->bus->count; i++) {
        if (requested(board, i, vector)) {
            got |= 1u << i;
            assert_int_equal(board_take(board, i), vector);
            board_put(board, i, EOI, 0);
        }
    }
    return got;
}

static void test_physical(void **state)
{
    struct board *board = board_create(*state, 4);

    board_command(board, 0, 0x02000000, ASSERT | 0x40);
    assert_int_equal(who_got(board, 0x40), 4);
    board_command(board, 0, 0xff000000, ASSERT | 0x41);
    assert_int_equal(who_got(board, 0x41), 15);
    board_command(board, 0, 0x09000000, ASSERT | 0x42);
    assert_int_equal(who_got(board, 0x42), 0);
    board_command(board, 3, 0, SELF | ASSERT | 0x43);
    assert_int_equal(who_got(board, 0x43), 8);
    board_command(board, 3, 0, ALL | ASSERT | 0x44);
    assert_int_equal(who_got(board, 0x44), 15);
    board_command(board, 3, 0, OTHERS | ASSERT | 0x45);
    assert_int_equal(who_got(board, 0x45), 7);
    board_put(board, 1, SVR, 0xff); /* disabled by software */
    assert_true(lapic_msr_write(board->bus, 2, 0x1b, 0xfee00000));
    board_command(board, 3, 0, ALL | ASSERT | 0x46);
    board_command(board, 3, 0x02000000, ASSERT | 0x400);
    assert_int_equal(board->cpus[2].nmis, 0);
    assert_true(lapic_msr_write(board->bus, 2, 0x1b, 0xfee00800));
    assert_int_equal(who_got(board, 0x46), 9);
    board_destroy(board);
}

static void test_logical(void **state)
{
    struct board *board = board_create(*state, 4);

    for (unsigned i = 0; i < 4; i++) {
        board_put(board, i, LDR, 1u << (24 + i));
    }
    board_command(board, 0, 0x0a000000, 0x800 | ASSERT | 0x40);
    assert_int_equal(who_got(board, 0x40), 10);
    board_command(board, 0, 0xff000000, 0x800 | ASSERT | 0x41);
    assert_int_equal(who_got(board, 0x41), 15);
    msi(board, 0x5 << 12 | 4, ASSERT | 0x42);
    assert_int_equal(who_got(board, 0x42), 5);
    for (unsigned i = 0; i < 4; i++) { /* two clusters of two */
        board_put(board, i, DFR, 0);
        board_put(board, i, LDR, (i / 2) << 28 | 1u << (24 + i % 2));
    }
    assert_int_equal(board_get(board, 0, DFR), 0x0fffffff);
    board_command(board, 0, 0x13000000, 0x800 | ASSERT | 0x43);
    assert_int_equal(who_got(board, 0x43), 12);
    board_command(board, 0, 0x02000000, 0x800 | ASSERT | 0x44);
    assert_int_equal(who_got(board, 0x44), 2);
    board_command(board, 0, 0xff000000, 0x800 | ASSERT | 0x45);
    assert_int_equal(who_got(board, 0x45), 15);
    board_destroy(board);
}

static void test_lowest_priority(void **state)
{
    struct board *board = board_create(*state, 4);
    unsigned got = 0;

    for (unsigned i = 0; i < 4; i++) {
        board_put(board, i, LDR, 1u << (24 + i));
        board_put(board, i, TPR, i == 2 ? 0x10 : 0x20);
    }
    for (unsigned i = 0; i < 8; i++) {
        msi(board, 0xf << 12 | 4, ASSERT | 0x100 | 0x40);
        assert_int_equal(who_got(board, 0x40), 4);
    }
    board_put(board, 2, SVR, 0xff); /* not a candidate any more */
    for (unsigned i = 0; i < 4; i++) {
        unsigned one;

        msi(board, 0xf << 12 | 4 | 8, ASSERT | 0x41); /* redirection hint */
        one = who_got(board, 0x41);
        assert_int_equal(__builtin_popcount(one), 1);
        got |= one;
    }
    assert_int_equal(got, 11); /* of equals, everybody has a turn */
    board_destroy(board);
}

static void test_start_up(void **state)
{
    struct board *board = board_create(*state, 3);

    board_command(board, 0, 0x01000000, 0xc500); /* INIT, assert */
    assert_int_equal(board->cpus[1].inits, 1);
    board_command(board, 0, 0x01000000, 0x8500); /* de-assert */
    assert_int_equal(board->cpus[1].inits, 1);
    board_command(board, 0, 0x01000000, 0x4500); /* edge */
    assert_int_equal(board->cpus[1].inits, 2);
    board_command(board, 0, 0x01000000, 0x469a);
    assert_int_equal(board->cpus[1].sipis, 1);
    assert_int_equal(board->cpus[1].sipi_vector, 0x9a);
    board_command(board, 0, 0, OTHERS | 0x4400);
    assert_int_equal(board->cpus[0].nmis, 0);
    assert_int_equal(board->cpus[1].nmis + board->cpus[2].nmis, 2);
    board_command(board, 0, 0x01000000, 0x4200); /* SMI, reserved, ExtINT: nothing */
    board_command(board, 0, 0x01000000, 0x4350);
    board_command(board, 0, 0x01000000, 0x4750);
    assert_int_equal(who_got(board, 0x50), 0);
    board_destroy(board);
}

/* --- the other controllers -------------------------------------------------------------------------------------- */

static int target_send(struct msi_target *target, struct msi_message message);
static const struct msi_target_ops target_ops = {.send = target_send};

struct target {
    struct msi_target target; /* first */
    struct lapic_bus *bus;
};

static int target_send(struct msi_target *target, struct msi_message message)
{
    return lapic_bus_send_msi(((struct target *)target)->bus, message);
}

static void ioapic_put(struct rig *rig, unsigned pin, uint32_t high, uint32_t low)
{
    rig_mmio_write(rig, 0xfec00000, 4, 0x11 + 2 * pin);
    rig_mmio_write(rig, 0xfec00010, 4, high);
    rig_mmio_write(rig, 0xfec00000, 4, 0x10 + 2 * pin);
    rig_mmio_write(rig, 0xfec00010, 4, low);
}

static void test_level_triggered(void **state)
{
    struct rig *rig = *state;
    struct board *board = board_create_bare(rig, 2);
    struct target target = {.target.ops = &target_ops, .bus = board->bus};
    struct ioapic *ioapic = rig_create(rig, &ioapic_device_type);
    struct irq_line line = ioapic_input(ioapic, 17), edge = ioapic_input(ioapic, 5);

    rig->isa.msi = &target.target;
    ioapic->base = 0xfec00000;
    rig_realize(&ioapic->isa.device);
    board->bus->ioapic = ioapic;
    rig_realize(&board->bus->isa.device);
    board_put(board, 1, SVR, 0x1ff);
    ioapic_put(rig, 17, 0x01000000, 0x8000 | 0x61);
    ioapic_put(rig, 5, 0x01000000, 0x62);
    irq_raise(&line);
    assert_int_equal(board_get(board, 1, TMR + 3 * 16), 2);
    assert_int_equal(board_take(board, 1), 0x61);
    board_put(board, 1, EOI, 0); /* still high: again */
    assert_int_equal(board_take(board, 1), 0x61);
    irq_lower(&line);
    board_put(board, 1, EOI, 0);
    assert_int_equal(board_take(board, 1), -1);
    irq_pulse(&edge);
    assert_int_equal(board_get(board, 1, TMR + 3 * 16), 2); /* 0x61's bit stays, 0x62 is an edge */
    assert_int_equal(board_take(board, 1), 0x62);
    irq_raise(&line);
    board_put(board, 1, EOI, 0);
    assert_int_equal(board_take(board, 1), 0x61);
    rig_remove(rig, &board->bus->isa.device);
    rig_remove(rig, &ioapic->isa.device);
    free(board);
}

static void board_intr(void *opaque, unsigned pin, bool level)
{
    if (level) {
        lapic_bus_lint0_rise(opaque);
    }
}

static void pic_start(struct rig *rig)
{
    static const uint8_t words[] = {0x20, 4, 1}; /* the first vector, the cascade, 8086 mode */

    rig_outb(rig, 0x20, 0x11);
    for (unsigned i = 0; i < 3; i++) {
        rig_outb(rig, 0x21, words[i]);
    }
    rig_outb(rig, 0x21, 0);
}

static void test_extint(void **state)
{
    struct rig *rig = *state;
    struct board *board = board_create_bare(rig, 2);
    struct i8259 *pic = rig_create(rig, &i8259_device_type);
    struct irq_line line = i8259_input(pic, 3);
    unsigned before;

    pic->output = (struct irq_line){.set = board_intr, .opaque = board->bus};
    rig_realize(&pic->isa.device);
    board->bus->pic = pic;
    rig_realize(&board->bus->isa.device);
    pic_start(rig);
    /* As at power-on: the APIC isn't enabled by software, and lets it through. */
    irq_raise(&line);
    assert_int_equal(board->cpus[0].interrupts, 1);
    assert_false(lapic_is_pending(board->bus, 1));
    assert_int_equal(board_take(board, 0), 0x23);
    assert_false(in_service(board, 0, 0x23)); /* it is the 8259s' */
    rig_outb(rig, 0x20, 0x20);
    irq_lower(&line);
    /* Priority means nothing to it, the mask does. */
    board_put(board, 0, SVR, 0x1ff);
    board_put(board, 0, TPR, 0xff);
    board_put(board, 0, LINT0, 0x10700);
    irq_raise(&line);
    assert_int_equal(board_take(board, 0), -1);
    before = board->cpus[0].interrupts;
    board_put(board, 0, LINT0, 0x700);
    assert_int_equal(board->cpus[0].interrupts, before + 1);
    assert_int_equal(board_take(board, 0), 0x23);
    rig_outb(rig, 0x20, 0x20);
    irq_lower(&line);
    /* LINT0 as a plain interrupt, as an NMI, and past a disabled APIC. */
    board_put(board, 0, TPR, 0);
    board_put(board, 0, LINT0, 0x71);
    irq_raise(&line);
    assert_int_equal(board_take(board, 0), 0x71);
    board_put(board, 0, EOI, 0);
    board_put(board, 0, LINT0, 0x400);
    assert_int_equal(i8259_acknowledge(pic), 0x23);
    rig_outb(rig, 0x20, 0x20);
    irq_lower(&line);
    irq_raise(&line);
    assert_int_equal(board->cpus[0].nmis, 1);
    board_be_cpu(0);
    assert_true(lapic_msr_write(board->bus, 0, 0x1b, 0xfee00100));
    assert_int_equal(board_take(board, 0), 0x23);
    /* LINT1 */
    board_put(board, 1, SVR, 0x1ff);
    board_put(board, 1, LINT1, 0x400);
    lapic_bus_lint1_pulse(board->bus);
    assert_int_equal(board->cpus[1].nmis, 1);
    board_put(board, 1, LINT1, 0x10400);
    lapic_bus_lint1_pulse(board->bus);
    assert_int_equal(board->cpus[1].nmis, 1);
    rig_remove(rig, &board->bus->isa.device);
    rig_remove(rig, &pic->isa.device);
    free(board);
}

/* --- errors and hostile values ---------------------------------------------------------------------------------- */

static void test_errors(void **state)
{
    struct board *board = board_create(*state, 2);

    board_put(board, 0, ERROR, 0xe0);
    board_put(board, 1, ERROR, 0xe1);
    board_command(board, 0, 0x01000000, ASSERT | 0x0f); /* not sent at all */
    assert_int_equal(board_take(board, 0), 0xe0);
    board_put(board, 0, EOI, 0);
    assert_int_equal(board_take(board, 1), -1);
    assert_int_equal(board_get(board, 0, ESR), 0); /* it shows what there was when it was written */
    board_put(board, 0, ESR, 0);
    assert_int_equal(board_get(board, 0, ESR), 0x20);
    board_put(board, 0, ESR, 0);
    assert_int_equal(board_get(board, 0, ESR), 0);
    msi(board, 1 << 12, ASSERT | 0x0f); /* refused by who gets it */
    assert_int_equal(board_take(board, 1), 0xe1);
    board_put(board, 1, ESR, 0);
    assert_int_equal(board_get(board, 1, ESR), 0x40);
    board_get(board, 0, 0x40); /* no such register */
    board_put(board, 0, 0x3f4, 5);
    board_put(board, 0, ESR, 0);
    assert_int_equal(board_get(board, 0, ESR), 0x80);
    assert_int_equal(lapic_bus_send_msi(board->bus, (struct msi_message){.address = 0x1fee00000, .data = 0x40}),
                     -EINVAL);
    assert_int_equal(lapic_bus_send_msi(board->bus, (struct msi_message){.address = 0xfed00000, .data = 0x40}),
                     -EINVAL);
    board_destroy(board);
}

static void test_writable_bits(void **state)
{
    static const struct {
        unsigned offset;
        uint32_t value;
    } expected[] = {{ID, 0},           {VERSION, 0x50014},     {TPR, 0xff},      {LDR, 0xff000000},
                    {DFR, 0xffffffff}, {SVR, 0x3ff},           {ISR, 0},         {TMR, 0},
                    {IRR + 0x70, 0},   {ICR_HIGH, 0xff000000}, {0x330, 0x107ff}, {0x340, 0x107ff},
                    {LINT0, 0x1a7ff},  {LINT1, 0x1a7ff},       {ERROR, 0x100ff}, {DIVIDE, 0xb}};
    struct board *board = board_create(*state, 1);

    for (unsigned i = 0; i < ARRAY_SIZE(expected); i++) {
        board_put(board, 0, expected[i].offset, 0xffffffff);
        assert_int_equal(board_get(board, 0, expected[i].offset), expected[i].value);
    }
    board_destroy(board);
}

/* --- x2APIC ----------------------------------------------------------------------------------------------------- */

static uint64_t msr_get(struct board *board, unsigned cpu, uint32_t msr)
{
    uint64_t value = 0;

    assert_true(lapic_msr_read(board->bus, cpu, msr, &value));
    return value;
}

static bool msr_put(struct board *board, unsigned cpu, uint32_t msr, uint64_t value)
{
    return lapic_msr_write(board->bus, cpu, msr, value);
}

static bool msr_exists(struct board *board, uint32_t msr)
{
    uint64_t value;

    return lapic_msr_read(board->bus, 0, msr, &value);
}

static void test_base_changes(void **state)
{
    struct board *board = board_create(*state, 1);

    assert_false(msr_put(board, 0, 0x1b, 0xfee00500)); /* x2APIC and disabled */
    assert_false(msr_put(board, 0, 0x1b, 0xfee00901)); /* reserved */
    assert_false(msr_put(board, 0, 0x1b, UINT64_C(1) << 52 | 0xfee00900));
    assert_int_equal(msr_get(board, 0, 0x1b), 0xfee00900);
    assert_false(msr_exists(board, 0x802));
    assert_true(msr_put(board, 0, 0x1b, 0xfee00d00));
    assert_int_equal(msr_get(board, 0, 0x80f), 0x1ff);      /* what was set stays */
    assert_int_equal(board_get(board, 0, SVR), 0xffffffff); /* the page is gone */
    assert_false(msr_put(board, 0, 0x1b, 0xfee00900));      /* not straight back */
    assert_true(msr_put(board, 0, 0x1b, 0xfee00100));
    assert_false(msr_put(board, 0, 0x1b, 0xfee00d00)); /* not straight there */
    assert_true(msr_put(board, 0, 0x1b, 0xfee00900));
    assert_int_equal(board_get(board, 0, SVR), 0xff); /* as at power-on */
    board_destroy(board);
}

static void test_x2apic(void **state)
{
    struct board *board = board_create(*state, 20);

    for (unsigned i = 0; i < 20; i++) {
        assert_true(msr_put(board, i, 0x1b, 0xfee00c00));
    }
    assert_int_equal(msr_get(board, 18, 0x802), 18);
    assert_int_equal(msr_get(board, 18, 0x80d), 0x10004);
    assert_true(msr_put(board, 0, 0x830, UINT64_C(18) << 32 | 0x40));
    assert_int_equal(board_take(board, 18), 0x40);
    assert_int_equal(msr_get(board, 18, 0x810 + 2), 1);
    assert_true(msr_put(board, 18, 0x80b, 0));
    assert_int_equal(msr_get(board, 18, 0x810 + 2), 0);
    assert_true(msr_put(board, 0, 0x830, UINT64_C(0x1000c) << 32 | 0x841)); /* logical: CPUs 18 and 19 */
    assert_int_equal(board_take(board, 18), 0x41);
    assert_int_equal(board_take(board, 19), 0x41);
    assert_int_equal(board_take(board, 2), -1);
    assert_true(msr_put(board, 0, 0x830, UINT64_C(0xffffffff) << 32 | 0x60)); /* everybody */
    assert_int_equal(board_take(board, 5), 0x60);
    assert_true(msr_put(board, 1, 0x83f, 0x70)); /* self */
    assert_int_equal(board_take(board, 1), 0x70);
    assert_true(msr_put(board, 1, 0x808, 0x90));
    assert_int_equal(lapic_get_tpr(board->bus, 1), 0x90);
    assert_int_equal(msr_get(board, 0, 0x830), UINT64_C(0xffffffff) << 32 | 0x60);
    board_destroy(board);
}

static void test_x2apic_faults(void **state)
{
    static const uint32_t absent[] = {0x800, 0x801, 0x804, 0x809, 0x80b, 0x80c, 0x80e, 0x82f,
                                      0x831, 0x83a, 0x83f, 0x840, 0x8ff, 0x6e1, 0x1c};
    static const struct {
        uint32_t msr;
        uint64_t value;
    } refused[] = {{0x802, 0},
                   {0x803, 0},
                   {0x80a, 0},
                   {0x80d, 0},
                   {0x810, 0},
                   {0x820, 0},
                   {0x839, 0},
                   {0x808, 0x100},
                   {0x80b, 1},
                   {0x80f, 0x1000},
                   {0x828, 1},
                   {0x830, 0x100000},
                   {0x830, 0x2000},
                   {0x832, 0x80000},
                   {0x835, 0x800},
                   {0x837, 0x100},
                   {0x83e, 4},
                   {0x83f, 0x100},
                   {0x838, UINT64_C(1) << 32}};
    struct board *board = board_create(*state, 1);

    assert_true(msr_put(board, 0, 0x1b, 0xfee00d00));
    for (unsigned i = 0; i < ARRAY_SIZE(absent); i++) {
        assert_false(msr_exists(board, absent[i]));
    }
    for (unsigned i = 0; i < ARRAY_SIZE(refused); i++) {
        assert_false(msr_put(board, 0, refused[i].msr, refused[i].value));
    }
    board_destroy(board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_power_on, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_init_state, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_page, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_nesting, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_task_priority, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_physical, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_logical, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_lowest_priority, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_start_up, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_level_triggered, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_extint, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_errors, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_writable_bits, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_base_changes, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_x2apic, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_x2apic_faults, rig_setup, rig_teardown),
    };

    return rig_main(tests, ARRAY_SIZE(tests));
}
