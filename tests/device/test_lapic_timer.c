/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The local APIC's timer in its three modes, on the fake clock: never early, never lost, never twice. */
#include "lapic_board.h"

#define PERIODIC 0x20000
#define BY_TSC   0x40000
#define MASKED   0x10000
#define DIVIDE_1 0xb

static void advance(struct board *board, uint64_t ns)
{
    board->tsc += ns * 2;
    rig_advance_ns(board->rig, ns);
}

/* Whether the timer's interrupt is there; it is taken and ended. */
static bool fired(struct board *board)
{
    int vector = board_take(board, 0);

    if (vector >= 0) {
        assert_int_equal(vector, 0x50);
        board_put(board, 0, EOI, 0);
    }
    return vector >= 0;
}

static struct board *timer_board(void **state, uint32_t lvt)
{
    struct board *board = board_create(*state, 1);

    board_put(board, 0, DIVIDE, DIVIDE_1);
    board_put(board, 0, TIMER, lvt | 0x50);
    return board;
}

static void test_one_shot(void **state)
{
    struct board *board = timer_board(state, 0);
    unsigned before;

    board_put(board, 0, INITIAL, 1000000);
    assert_int_equal(board_get(board, 0, INITIAL), 1000000);
    assert_int_equal(board_get(board, 0, CURRENT), 1000000);
    before = board->cpus[0].interrupts;
    advance(board, 999999);
    assert_int_equal(board_get(board, 0, CURRENT), 1);
    assert_int_equal(board->cpus[0].interrupts, before);
    assert_false(fired(board));
    advance(board, 1);
    assert_true(board->cpus[0].interrupts > before); /* a CPU asleep was woken */
    assert_true(fired(board));
    assert_int_equal(board_get(board, 0, CURRENT), 0);
    advance(board, 5000000);
    assert_false(fired(board));
    board_put(board, 0, INITIAL, 1000);
    board_put(board, 0, INITIAL, 0); /* stopped */
    advance(board, 5000);
    assert_false(fired(board));
    board_put(board, 0, INITIAL, 1000);
    advance(board, 500);
    board_put(board, 0, INITIAL, 1000); /* begins anew */
    advance(board, 999);
    assert_false(fired(board));
    advance(board, 1);
    assert_true(fired(board));
    board_destroy(board);
}

static void test_divide(void **state)
{
    static const uint8_t codes[] = {0, 1, 2, 3, 8, 9, 10, 11};
    static const unsigned divisors[] = {2, 4, 8, 16, 32, 64, 128, 1};
    struct board *board = timer_board(state, 0);

    for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
        board_put(board, 0, DIVIDE, codes[i]);
        board_put(board, 0, INITIAL, 100);
        advance(board, 100 * divisors[i] - 1);
        assert_false(fired(board));
        advance(board, 1);
        assert_true(fired(board));
    }
    board_put(board, 0, DIVIDE, DIVIDE_1);
    board_put(board, 0, INITIAL, 1000);
    advance(board, 400);
    board_put(board, 0, DIVIDE, 0); /* the 600 that are left, at half the pace */
    assert_int_equal(board_get(board, 0, CURRENT), 600);
    advance(board, 1199);
    assert_false(fired(board));
    advance(board, 1);
    assert_true(fired(board));
    board_destroy(board);
}

static void test_periodic(void **state)
{
    struct board *board = timer_board(state, PERIODIC);

    board_put(board, 0, INITIAL, 1000000);
    for (unsigned i = 0; i < 10; i++) {
        advance(board, 999999);
        assert_false(fired(board));
        advance(board, 1);
        assert_true(fired(board));
        assert_false(fired(board));
    }
    advance(board, 3500000); /* three at once are one; the phase stays */
    assert_true(fired(board));
    assert_false(fired(board));
    assert_int_equal(board_get(board, 0, CURRENT), 500000);
    advance(board, 499999);
    assert_false(fired(board));
    advance(board, 1);
    assert_true(fired(board));
    board_put(board, 0, TIMER, PERIODIC | MASKED | 0x50);
    advance(board, 2500000);
    assert_false(fired(board));
    assert_int_equal(board_get(board, 0, CURRENT), 500000);
    board_put(board, 0, TIMER, PERIODIC | 0x50); /* what went by while masked is gone */
    assert_false(fired(board));
    advance(board, 500000);
    assert_true(fired(board));
    board_destroy(board);
}

/* A period of a nanosecond: the loop and the CPU are woken now and then, not for ever. */
static void test_hostile_period(void **state)
{
    struct board *board = timer_board(state, PERIODIC);
    unsigned before = board->cpus[0].interrupts;

    board_put(board, 0, INITIAL, 1);
    for (unsigned i = 0; i < 10000; i++) {
        advance(board, 100);
        fired(board);
    }
    assert_true(board->cpus[0].interrupts - before < 50);
    board_put(board, 0, INITIAL, UINT32_MAX);
    board_put(board, 0, DIVIDE, 10);
    assert_int_equal(board_get(board, 0, CURRENT), UINT32_MAX);
    board_destroy(board);
}

static void test_masked_one_shot(void **state)
{
    struct board *board = timer_board(state, MASKED);

    board_put(board, 0, INITIAL, 1000);
    advance(board, 500);
    board_put(board, 0, TIMER, 0x50);
    advance(board, 500);
    assert_true(fired(board));
    board_put(board, 0, TIMER, MASKED | 0x50);
    board_put(board, 0, INITIAL, 1000);
    advance(board, 2000);
    board_put(board, 0, TIMER, 0x50); /* too late */
    advance(board, 2000);
    assert_false(fired(board));
    /* Masked after it expired and before anybody looked: it had fired. */
    board_put(board, 0, INITIAL, 1000);
    clock_advance_ns(&board->rig->clock, 1000);
    board_put(board, 0, TIMER, MASKED | 0x50);
    rig_settle(board->rig);
    assert_true(fired(board));
    assert_false(fired(board));
    board_destroy(board);
}

static void deadline_put(struct board *board, uint64_t value)
{
    assert_true(lapic_msr_write(board->bus, 0, 0x6e0, value));
}

static uint64_t deadline_get(struct board *board)
{
    uint64_t value;

    assert_true(lapic_msr_read(board->bus, 0, 0x6e0, &value));
    return value;
}

static void test_tsc_deadline(void **state)
{
    struct board *board = timer_board(state, BY_TSC);

    board->tsc = 1000;
    deadline_put(board, 3001); /* 2001 ticks are 1000.5 ns */
    assert_int_equal(deadline_get(board), 3001);
    board_put(board, 0, INITIAL, 5); /* means nothing now */
    assert_int_equal(board_get(board, 0, INITIAL), 0);
    assert_int_equal(board_get(board, 0, CURRENT), 0);
    advance(board, 1000);
    assert_int_equal(deadline_get(board), 3001); /* who looks in between changes nothing */
    assert_false(fired(board));
    advance(board, 1);
    assert_true(fired(board));
    assert_int_equal(deadline_get(board), 0);
    deadline_put(board, 5); /* past: at once */
    assert_true(fired(board));
    deadline_put(board, board->tsc + 2000);
    deadline_put(board, 0);
    advance(board, 2000);
    assert_false(fired(board));
    /* The clock runs ahead of the counter: not early. */
    deadline_put(board, board->tsc + 2000);
    rig_advance_ns(board->rig, 1000);
    assert_false(fired(board));
    advance(board, 999);
    assert_false(fired(board));
    advance(board, 1);
    assert_true(fired(board));
    deadline_put(board, UINT64_MAX); /* hundreds of years */
    advance(board, UINT64_C(1) << 40);
    assert_false(fired(board));
    board_destroy(board);
}

static void test_mode_changes(void **state)
{
    struct board *board = timer_board(state, 0);

    deadline_put(board, 1000); /* not in this mode */
    assert_int_equal(deadline_get(board), 0);
    board_put(board, 0, INITIAL, 1000);
    board_put(board, 0, TIMER, BY_TSC | 0x50); /* stops the count */
    assert_int_equal(board_get(board, 0, CURRENT), 0);
    advance(board, 2000);
    assert_false(fired(board));
    deadline_put(board, board->tsc + 2000);
    board_put(board, 0, TIMER, 0x50); /* and disarms */
    advance(board, 2000);
    assert_false(fired(board));
    board_put(board, 0, INITIAL, 1000);
    lapic_init_signal(board->bus, 0);
    board_put(board, 0, SVR, 0x1ff);
    board_put(board, 0, TIMER, 0x50);
    advance(board, 2000);
    assert_false(fired(board));
    board_destroy(board);
}

/* Without a frequency there is no such mode. */
static void test_no_tsc(void **state)
{
    struct board *board = board_create_bare(*state, 1);
    uint64_t value;

    board->bus->tsc_khz = 0;
    rig_realize(&board->bus->isa.device);
    board_put(board, 0, SVR, 0x1ff);
    board_put(board, 0, TIMER, BY_TSC | 0x50);
    assert_int_equal(board_get(board, 0, TIMER), 0x50);
    assert_false(lapic_msr_read(board->bus, 0, 0x6e0, &value));
    assert_false(lapic_msr_write(board->bus, 0, 0x6e0, 1));
    board_destroy(board);
}

/* A machine that stands still doesn't count. */
static void test_stopped_clock(void **state)
{
    struct rig *rig = *state;
    struct clock guest;
    struct board *board;

    clock_init_virtual(&guest, &rig->clock);
    rig->isa.clock = &guest;
    board = board_create(rig, 1);
    board_put(board, 0, DIVIDE, DIVIDE_1);
    board_put(board, 0, TIMER, 0x50);
    clock_start(&guest);
    board_put(board, 0, INITIAL, 1000);
    advance(board, 400);
    clock_stop(&guest);
    advance(board, 5000);
    assert_false(fired(board));
    assert_int_equal(board_get(board, 0, CURRENT), 600);
    clock_start(&guest);
    advance(board, 599);
    assert_false(fired(board));
    advance(board, 1);
    assert_true(fired(board));
    board_destroy(board);
    event_loop_destroy(rig->loop); /* it watches the clock */
    clock_destroy(&guest);
    rig->loop = event_loop_create("rig", NULL);
    assert_non_null(rig->loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_shot, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_divide, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_periodic, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_hostile_period, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_masked_one_shot, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_tsc_deadline, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_mode_changes, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_no_tsc, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_stopped_clock, rig_setup, rig_teardown),
    };

    return rig_main(tests, ARRAY_SIZE(tests));
}
