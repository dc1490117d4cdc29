/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What several vCPUs may see of each other: LOCKed operations, memory order, and code that somebody changes. The guests
 * are in smp_guests.S. Needs an accelerator that runs all instructions.
 */
#include "flat_machine.h"

#include "base/thread.h"
#include "memory/dma.h"

FLAT_GUEST(smp_atomics);
FLAT_GUEST(smp_code_told);
FLAT_GUEST(smp_code_seen);
FLAT_GUEST(smp_code_dma);
FLAT_GUEST(smp_code_own);
FLAT_GUEST(litmus_sb);
FLAT_GUEST(litmus_sb_mfence);
FLAT_GUEST(litmus_sb_xchg);
FLAT_GUEST(litmus_sb_lock);
FLAT_GUEST(litmus_mp);
FLAT_GUEST(litmus_lb);
FLAT_GUEST(litmus_iriw);

/* Places in the guest's memory: see smp_guests.S. */
#define ERRORS     0x6040
#define ITERATIONS 0x6080
#define ARENA      0x20000
#define HISTOGRAM  0x6100
#define FUNCTION   0x1803
#define NOTES      0x6200

static void set_ram32(struct flat_machine *machine, uint32_t address, uint32_t value)
{
    memcpy(machine->block->host + address, &value, sizeof(value));
}

static uint64_t ram64(struct flat_machine *machine, uint32_t address)
{
    uint64_t value;

    memcpy(&value, machine->block->host + address, sizeof(value));
    return value;
}

static void run_smp(struct flat_machine *machine, uint32_t iterations)
{
    set_ram32(machine, ITERATIONS, iterations);
    vm_resume(machine->vm);
    assert_int_equal(flat_wait_done(machine), 1);
    vm_pause(machine->vm);
    if (flat_ram32(machine, ERRORS) != 0) {
        fail_msg("%u errors, the last one %#x where %#x was right", flat_ram32(machine, ERRORS),
                 flat_ram32(machine, ERRORS + 4), flat_ram32(machine, ERRORS + 8));
    }
}

/* --- LOCK --------------------------------------------------------------------------------------------------------- */

static const uint32_t places[] = {0, 0x81, 0x1bd, 0xffe};

/* How often each CPU does it there, per iteration asked for. */
static const uint32_t place_times[] = {63, 63, 1, 1};

/* What each kind of operation leaves behind, done by all CPUs together. */
struct atomic_case {
    const char *name;
    uint32_t counter; /* where the number is, from the operand's address on */
    uint64_t begin, step;
    unsigned size_bytes;
};

static const struct atomic_case atomic_cases[] = {
    {"inc", 0, 0, 1, 4},
    {"dec", 0, 0, -UINT64_C(1), 4},
    {"add", 0, 0, 3, 4},
    {"sub", 0, 0, -UINT64_C(3), 4},
    {"adc", 0, 0, 1, 4},
    {"sbb", 0, 0, -UINT64_C(1), 4},
    {"xadd", 0, 0, 1, 4},
    {"cmpxchg", 0, 0, 1, 4},
    {"cmpxchg8b", 0, 0, 1, 8},
    {"xchg, a spin lock", 0x800, 0, 1, 4},
    {"bts and btr, a spin lock", 0x800, 0, 1, 4},
    {"btc", 0, 0, 0, 0},
    {"or and and", 0, 0, 0, 4},
    {"xor", 0, 0, 0, 0},
    {"not", 0, 0, 0, 4},
    {"neg", 0, 1, 0, 4},
    {"inc of 64 bits", 0, 0xfffffff0, 1, 8},
    {"inc of 16 bits", 0, 0, 1, 2},
    {"inc of 8 bits", 0, 0, 1, 1},
    {"add of 64 bits", 0, 0, 0x40000000, 8},
    {"xadd of 64 bits", 0, 0, -UINT64_C(1), 8},
    {"cmpxchg of 64 bits", 0, 0xfffffff0, 1, 8},
    {"cmpxchg of 8 bits", 0, 0, 1, 1},
};

static void check_atomic(struct flat_machine *machine, unsigned number, unsigned place, uint32_t each)
{
    const struct atomic_case *test = &atomic_cases[number];
    uint64_t total = (uint64_t)each * place_times[place] * machine->cpu_count;
    uint64_t value = ram64(machine, ARENA + number * 0x2000 + places[place] + test->counter);
    /* An odd number of times each: all CPUs' bits are set; an even number in all: as it was. */
    uint64_t expected = test->size_bytes ? test->begin + total * test->step : (1u << machine->cpu_count) - 1;

    if (test->size_bytes < 8) {
        unsigned bits = 8 * (test->size_bytes ? test->size_bytes : 4);

        value &= (UINT64_C(1) << bits) - 1;
        expected &= (UINT64_C(1) << bits) - 1;
    }
    if (value != expected) {
        fail_msg("%s, place %#x: %#lx and not %#lx", test->name, places[place], (unsigned long)value,
                 (unsigned long)expected);
    }
}

static void check_atomics(unsigned cpus, uint32_t each)
{
    struct flat_machine *machine = FLAT_CREATE_SMP(cpus, atomics);

    for (unsigned i = 0; i < ARRAY_SIZE(atomic_cases); i++) {
        for (unsigned place = 0; place < ARRAY_SIZE(places); place++) {
            memcpy(machine->block->host + ARENA + i * 0x2000 + places[place], &atomic_cases[i].begin, 8);
        }
    }
    run_smp(machine, each);
    for (unsigned i = 0; i < ARRAY_SIZE(atomic_cases); i++) {
        for (unsigned place = 0; place < ARRAY_SIZE(places); place++) {
            check_atomic(machine, i, place, each);
        }
    }
    assert_int_equal(ram64(machine, ARENA + 23 * 0x2000), UINT64_C(63) * each * cpus);
    assert_int_equal(ram64(machine, ARENA + 23 * 0x2000 + 8), -UINT64_C(63) * each * cpus);
    flat_destroy(machine);
}

static void test_atomics_2(void **state)
{
    check_atomics(2, 1001);
}

static void test_atomics_4(void **state)
{
    check_atomics(4, 501);
}

/* --- memory order --------------------------------------------------------------------------------------------------
 */

struct litmus {
    const char *name;
    const uint8_t *code, *code_end;
    unsigned cpus;
    unsigned allowed; /* a bit for each number that the bits read make */
};

#define LITMUS(name, cpus, allowed)                                                                                    \
    {                                                                                                                  \
#name, flat_litmus_##name, flat_litmus_##name##_end, (cpus), (allowed)                                         \
    }

static void check_litmus(const struct litmus *litmus, uint32_t rounds)
{
    struct flat_machine *machine = flat_create_smp(litmus->cpus, litmus->code, litmus->code_end);
    char seen[256] = "";
    unsigned sum = 0;

    run_smp(machine, rounds);
    for (unsigned i = 0; i < 16; i++) {
        uint32_t count = flat_ram32(machine, HISTOGRAM + 4 * i);

        sum += count;
        if (count) {
            snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), " %u%u%u%u: %u", i & 1, i >> 1 & 1, i >> 2 & 1,
                     i >> 3, count);
        }
        if (count && !(litmus->allowed >> i & 1)) {
            fail_msg("%s: %u times what can't be (%#x)", litmus->name, count, i);
        }
    }
    assert_int_equal(sum, 256 * rounds);
    print_message("# %s:%s\n", litmus->name, seen);
    flat_destroy(machine);
}

static void test_litmus(void **state)
{
    /* IRIW: not 1, 0 by one and 1, 0 by the other (0101b). */
    static const struct litmus all[] = {LITMUS(sb, 2, 0xf),
                                        LITMUS(sb_mfence, 2, 0xe),
                                        LITMUS(sb_xchg, 2, 0xe),
                                        LITMUS(sb_lock, 2, 0xe),
                                        LITMUS(mp, 2, 0xd),
                                        LITMUS(lb, 2, 0x7),
                                        LITMUS(iriw, 4, 0xffff & ~(1 << 5))};

    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        check_litmus(&all[i], 100);
    }
}

/* --- code that changes ---------------------------------------------------------------------------------------------
 */

static void test_code_by_another_told(void **state)
{
    for (unsigned cpus = 2; cpus <= 4; cpus += 2) {
        struct flat_machine *machine = FLAT_CREATE_SMP(cpus, code_told);

        run_smp(machine, 400 / cpus);
        flat_destroy(machine);
    }
}

static void test_code_by_another_seen(void **state)
{
    for (unsigned cpus = 2; cpus <= 4; cpus += 2) {
        struct flat_machine *machine = FLAT_CREATE_SMP(cpus, code_seen);

        run_smp(machine, 400 / cpus);
        flat_destroy(machine);
    }
}

static void test_code_by_itself(void **state)
{
    struct flat_machine *machine = FLAT_CREATE_SMP(1, code_own);

    run_smp(machine, 1);
    for (uint32_t i = 0; i < 11; i++) {
        assert_int_equal(flat_ram32(machine, NOTES + 4 * i), i + 1);
    }
    flat_destroy(machine);
}

static void test_code_by_a_device(void **state)
{
    struct flat_machine *machine = FLAT_CREATE_SMP(1, code_dma);

    vm_resume(machine->vm);
    for (uint32_t i = 1; i <= 200; i++) {
        assert_int_equal(dma_write(&machine->memory, FUNCTION + 1, &i, sizeof(i)), ACCESS_OK);
        assert_int_equal(flat_wait_done(machine), (uint8_t)i);
    }
    flat_destroy(machine);
}

/* test_smp [PATTERN]: only the tests whose names match. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_code_by_itself),
        cmocka_unit_test(test_code_by_a_device),
        cmocka_unit_test(test_code_by_another_told),
        cmocka_unit_test(test_code_by_another_seen),
        cmocka_unit_test(test_atomics_2),
        cmocka_unit_test(test_atomics_4),
        cmocka_unit_test(test_litmus),
    };
    int failed;

    if (!flat_accel_init() || !flat_accel_is_full_speed()) {
        return 77;
    }
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    hdl_thread_register_main();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return failed ? 1 : 0;
}
