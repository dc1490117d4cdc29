/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUs on four threads that interrupt each other as fast as they can. Each sender has a vector of its own and doesn't
 * send it to a CPU again before that CPU has taken it, so no two requests may become one: as many must arrive as were
 * sent. A CPU with nothing to do sleeps until its APIC wakes it, so a wake-up that is lost hangs the test.
 */
#include "lapic_board.h"

#include "base/thread.h"

#define CPUS        4
#define ROUNDS      20000
#define FIRST       0x40 /* vector of CPU 0; all are in one word of IRR, and in two priority classes */
#define STEP        8
#define ALL_SENT(n) ((n) == ROUNDS * (CPUS - 1))

struct torture {
    struct board *board;
    struct hdl_thread threads[CPUS];
    _Atomic bool under_way[CPUS][CPUS]; /* from, to */
    _Atomic unsigned received[CPUS][CPUS];
    _Atomic unsigned finished;
};

struct player {
    struct torture *torture;
    unsigned me;
};

static void take_all(struct torture *torture, unsigned me)
{
    int vector;

    while ((vector = board_take(torture->board, me)) >= 0) {
        unsigned from = ((unsigned)vector - FIRST) / STEP;

        assert_int_equal(vector, FIRST + from * STEP);
        atomic_fetch_add(&torture->received[from][me], 1);
        board_put(torture->board, me, EOI, 0);
        atomic_store(&torture->under_way[from][me], false);
        sem_post(&torture->board->cpus[from].woken); /* it may send again */
    }
}

static bool send_one(struct torture *torture, unsigned me, unsigned to, unsigned *sent)
{
    uint32_t vector = FIRST + me * STEP;

    if (to == me || sent[to] == ROUNDS || atomic_load(&torture->under_way[me][to])) {
        return false;
    }
    atomic_store(&torture->under_way[me][to], true);
    if (sent[to]++ % 2) {
        board_command(torture->board, me, to << 24, 0x4000 | vector);
    } else {
        struct msi_message message = {.address = 0xfee00000 | to << 12, .data = 0x4000 | vector};

        lapic_bus_send_msi(torture->board->bus, message);
    }
    return true;
}

static void play(void *opaque)
{
    struct player *player = opaque;
    struct torture *torture = player->torture;
    unsigned me = player->me, sent[CPUS] = {0}, total = 0;
    bool finished = false;

    board_be_cpu((int)me);
    while (atomic_load(&torture->finished) < CPUS) {
        bool busy = false;

        take_all(torture, me);
        for (unsigned to = 0; to < CPUS; to++) {
            if (send_one(torture, me, to, sent)) {
                busy = true;
                total++;
            }
        }
        if (!finished && ALL_SENT(total)) {
            finished = true;
            atomic_fetch_add(&torture->finished, 1);
            for (unsigned i = 0; i < CPUS; i++) {
                sem_post(&torture->board->cpus[i].woken);
            }
        } else if (!busy) {
            sem_wait(&torture->board->cpus[me].woken);
        }
    }
}

static void test_none_is_lost(void **state)
{
    struct torture torture = {.board = board_create(*state, CPUS)};
    struct player players[CPUS];

    for (unsigned i = 0; i < CPUS; i++) {
        players[i] = (struct player){&torture, i};
        assert_int_equal(hdl_thread_start(&torture.threads[i], "cpu", play, &players[i], NULL), 0);
    }
    for (unsigned i = 0; i < CPUS; i++) {
        hdl_thread_join(&torture.threads[i]);
    }
    for (unsigned to = 0; to < CPUS; to++) {
        take_all(&torture, to); /* what the last ones sent */
        for (unsigned from = 0; from < CPUS; from++) {
            assert_int_equal(torture.received[from][to], from == to ? 0 : ROUNDS);
        }
    }
    board_be_cpu(0);
    board_destroy(torture.board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_none_is_lost, rig_setup, rig_teardown),
    };

    return rig_main(tests, ARRAY_SIZE(tests));
}
