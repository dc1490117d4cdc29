/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one vCPU does where an instruction can't go on: vectors, error codes, CR2 and the address that is gone back to.
 * The guest is in cpu_guests.S, with what is expected of each try; here are the tables that it runs on.
 */
#include "flat_machine.h"

#include "base/bytes.h"
#include "base/thread.h"

FLAT_GUEST(cpu_faults);
FLAT_GUEST(modes);
FLAT_GUEST(debug);
extern const uint8_t flat_cpu_stubs[];
extern const uint16_t flat_debug_stops[]; /* where the guest "debug" stops, in order */

/* Places in the guest's memory, as in cpu_guests.S. */
#define PML4   0x10000
#define PDPT   0x11000
#define PD     0x12000
#define PT     0x13000 /* of the first 2 MiB, one to one */
#define PT_2M  0x14000 /* of the next */
#define PT_6M  0x15000 /* of 6 and of 8 MiB */
#define GDT    0x20000
#define IDT    0x21000
#define TSS    0x22000
#define TSS_IO 0x68
#define STACK1 0x28000 /* of every vector */
#define FRAMES 0x30000 /* what the pages from 2 MiB on show */
#define LOG    0x40000
#define LOG_AT 0x6030
#define CODE   0x60000
#define NONE   0xfe
#define NOTES  0x6000 /* of mode_guests.S */
#define STOPS  0x6100

/* A page table entry's bits. */
#define P  UINT64_C(1)
#define W  UINT64_C(2)
#define U  UINT64_C(4)
#define PS UINT64_C(0x80)
#define NX (UINT64_C(1) << 63)

struct expectation {
    uint32_t text, vector, error, unused;
    uint64_t cr2, rip;
};

/* What the guest writes for each try. */
struct entry {
    struct expectation expected;
    uint32_t vector, error;
    uint64_t cr2, rip, cs, rflags, rsp, ss;
    uint8_t unused[128 - 88];
};

static void set_ram64(struct flat_machine *machine, uint32_t address, uint64_t value)
{
    store_le64(machine->block->host + address, value);
}

/* Pages 0x200... as the guest's tries name them, the code at 0x260 once more for the user, and a user's stack at 0x218.
 */
static void make_pages(struct flat_machine *machine)
{
    static const uint64_t rights[] = {
        P | W, P, P | W | U, P | U, 0, P | W | U | NX, P | W | NX, P | W | U | UINT64_C(1) << 51};

    set_ram64(machine, PML4, PDPT | P | W | U);
    set_ram64(machine, PDPT, PD | P | W | U);
    set_ram64(machine, PD, PT | P | W | U);
    set_ram64(machine, PD + 8, PT_2M | P | W | U);
    set_ram64(machine, PD + 3 * 8, PT_6M | P | W);
    set_ram64(machine, PD + 4 * 8, PT_6M | P | U);
    set_ram64(machine, PD + 5 * 8, 0x2000 | P | W | PS); /* a large page with a reserved bit */
    for (uint32_t i = 0; i < 512; i++) {
        set_ram64(machine, PT + 8 * i, i << 12 | P | W);
    }
    for (uint32_t i = 0; i < ARRAY_SIZE(rights); i++) {
        set_ram64(machine, PT_2M + 8 * i, (FRAMES + (i << 12)) | rights[i]);
    }
    set_ram64(machine, PT_2M + 8 * 0xd, (FRAMES + 0x8000) | P | W);
    set_ram64(machine, PT_2M + 8 * 0xe, (FRAMES + 0x9000) | P | W | NX);
    set_ram64(machine, PT_2M + 8 * 0x18, (FRAMES + 0xa000) | P | W | U);
    for (uint32_t i = 0x60; i < 0xa0; i++) {
        set_ram64(machine, PT_2M + 8 * i, i << 12 | P | U);
    }
    set_ram64(machine, PT_6M, (FRAMES + 0xb000) | P | W | U);
    machine->block->host[FRAMES + 0x8fff] = 0x48; /* REX.W, which wants more */
}

/* Code and data segments by selector; limit and base don't count, the upper half does. */
static void make_segments(struct flat_machine *machine)
{
    static const struct {
        uint16_t selector;
        uint64_t descriptor;
    } segments[] = {
        {0x08, 0x00af9b000000ffff}, /* code */
        {0x10, 0x00cf93000000ffff}, /* data */
        {0x18, 0x00cf9b000000ffff}, /* 32-bit code */
        {0x20, 0x00affb000000ffff}, /* the user's code */
        {0x28, 0x00cff3000000ffff}, /* the user's data */
        {0x38, 0x00008b0000000000 | (uint64_t)TSS << 16 | (TSS_IO + 0x2000)},
        {0x58, 0x00af1b000000ffff},                              /* not present: code, */
        {0x60, 0x00cf13000000ffff},                              /* data */
        {0x68, 0x00cf99000000ffff},                              /* execute-only */
        {0x70, 0x00cf91000000ffff},                              /* read-only */
        {0x88, 0x0000090000000000 | (uint64_t)TSS << 16 | 0x67}, /* a task that isn't present */
        {0x98, 0x00ef9b000000ffff},                              /* both 64-bit and 32-bit */
        {0xa0, 0x00cf73000000ffff},                              /* the user's data, not present */
    };

    for (size_t i = 0; i < ARRAY_SIZE(segments); i++) {
        set_ram64(machine, GDT + segments[i].selector, segments[i].descriptor);
    }
}

static void make_gate(struct flat_machine *machine, uint8_t vector, uint16_t selector, unsigned type)
{
    uint64_t target = CODE + (uint64_t)(flat_cpu_stubs - flat_cpu_faults) + 16u * vector;
    uint64_t stack = 1;

    set_ram64(machine, IDT + 16u * vector,
              (target & 0xffff) | (uint64_t)selector << 16 | stack << 32 | (uint64_t)type << 40 |
                  (target >> 16 & 0xffff) << 48);
    set_ram64(machine, IDT + 16u * vector + 8, 0);
}

static void make_gates(struct flat_machine *machine)
{
    enum { INTERRUPT = 0x8e, FOR_USER = 0xee, NOT_PRESENT = 0x0e, TASK = 0x85 };

    for (unsigned i = 0; i < 256; i++) {
        make_gate(machine, (uint8_t)i, 8, i == 3 || i == NONE ? FOR_USER : INTERRUPT);
    }
    make_gate(machine, 0x90, 8, NOT_PRESENT);
    make_gate(machine, 0x91, 8, TASK);
    make_gate(machine, 0x92, 0, INTERRUPT);
    make_gate(machine, 0x93, 0x10, INTERRUPT);
    make_gate(machine, 0x94, 0x58, INTERRUPT);
    make_gate(machine, 0x95, 0x18, INTERRUPT);
    make_gate(machine, 0x96, 0xff8, INTERRUPT);
}

static void make_task(struct flat_machine *machine)
{
    uint8_t *tss = machine->block->host + TSS;

    store_le64(tss + 4, STACK1);
    store_le64(tss + 0x24, STACK1);
    store_le16(tss + 0x66, TSS_IO);
    memset(tss + TSS_IO, 0xff, 0x2001);
    tss[TSS_IO + 0x530 / 8] = 0xfc;
}

static struct flat_machine *create_cpu_machine(void)
{
    struct flat_machine *machine = FLAT_CREATE(VM_IRQCHIP_USER, 1, spin);
    struct cpu_state state;

    memcpy(machine->block->host + CODE, flat_cpu_faults, (size_t)(flat_cpu_faults_end - flat_cpu_faults));
    make_pages(machine);
    make_segments(machine);
    make_gates(machine);
    make_task(machine);
    set_ram64(machine, LOG_AT, LOG);
    cpu_state_reset(&state, true);
    for (int i = 0; i <= CPU_GS; i++) {
        state.segment[i] = cpu_segment_flat_data(0x10);
    }
    state.segment[CPU_CS] = cpu_segment_flat_code(8, CPU_FLAT_64);
    state.segment[CPU_TR].selector = 0x38;
    state.segment[CPU_TR].base = TSS;
    state.segment[CPU_TR].limit = TSS_IO + 0x2000;
    state.segment[CPU_LDTR].unusable = true;
    state.gdt = (struct cpu_table){.base = GDT, .limit = 0xa7};
    state.idt = (struct cpu_table){.base = IDT, .limit = 0xfff};
    state.cr0 = 0x80010033;
    state.cr3 = PML4;
    state.cr4 = 0x620;
    state.efer = 0xd00;
    state.rip = CODE;
    state.gpr[CPU_RSP] = FLAT_STACK;
    assert_int_equal(vcpu_set_state(machine->cpus[0], &state, NULL), 0);
    return machine;
}

static bool check_entry(struct flat_machine *machine, const struct entry *entry)
{
    const struct expectation *expected = &entry->expected;
    const char *text = (const char *)machine->block->host + expected->text;
    uint64_t cs = strncmp(text, "user:", 5) == 0 ? 0x23 : 8;

    if (entry->vector == expected->vector && entry->error == expected->error && entry->cr2 == expected->cr2 &&
        entry->cs == cs && (entry->rip == expected->rip || expected->vector == NONE)) {
        return true;
    }
    print_message(
        "# %s: vector %#x, error %#x, CR2 %#lx, CS %#lx, RIP %+ld; expected vector %#x, error %#x, CR2 %#lx\n", text,
        entry->vector, entry->error, (unsigned long)entry->cr2, (unsigned long)entry->cs,
        (long)(entry->rip - expected->rip), expected->vector, expected->error, (unsigned long)expected->cr2);
    return false;
}

static void test_faults(void **state)
{
    struct flat_machine *machine = create_cpu_machine();
    const struct entry *entries = (const struct entry *)(machine->block->host + LOG);
    unsigned count, wrong = 0;

    vm_resume(machine->vm);
    assert_int_equal(flat_wait_done(machine), 1);
    vm_pause(machine->vm);
    count = (flat_ram32(machine, LOG_AT) - LOG) / sizeof(struct entry);
    for (unsigned i = 0; i < count; i++) {
        wrong += !check_entry(machine, &entries[i]);
    }
    print_message("# %u tries\n", count);
    assert_true(count > 150);
    assert_int_equal(wrong, 0);
    flat_destroy(machine);
}

static void test_modes(void **state)
{
    struct flat_machine *machine = FLAT_CREATE(VM_IRQCHIP_USER, 1, modes);

    flat_start_long(machine, 0); /* for its page tables */
    flat_start_real(machine, 0);
    vm_resume(machine->vm);
    assert_int_equal(flat_wait_done(machine), 1);
    for (uint32_t i = 0; i < 12; i++) {
        assert_int_equal(flat_ram32(machine, NOTES + 4 * i), i);
    }
    flat_destroy(machine);
}

/* DR6 and IP of each stop; that of INT3 has a 3 instead. */
static void test_debug(void **state)
{
    static const uint16_t dr6[] = {0x4ff0, 0x4ff0, 0x4ff0, 0x4ff0, 0x4ff0, 0x4ff0,
                                   0x0ff1, 0x0ff2, 0x0ff2, 0x2ff0, 3,      0x0ff0};
    struct flat_machine *machine = FLAT_CREATE(VM_IRQCHIP_USER, 1, debug);

    vm_resume(machine->vm);
    assert_int_equal(flat_wait_done(machine), 1);
    for (uint32_t i = 0; i < ARRAY_SIZE(dr6); i++) {
        uint32_t stop = flat_ram32(machine, STOPS + 4 * i);

        if (stop != (dr6[i] | (uint32_t)flat_debug_stops[i] << 16)) {
            fail_msg("stop %u: at %#x with %#x, not at %#x with %#x", i, stop >> 16, stop & 0xffff, flat_debug_stops[i],
                     dr6[i]);
        }
    }
    assert_int_equal(flat_ram32(machine, STOPS + 4 * ARRAY_SIZE(dr6)), 0);
    flat_destroy(machine);
}

/* test_cpu [PATTERN]: only the tests whose names match. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_faults), cmocka_unit_test(test_modes),
                                       cmocka_unit_test(test_debug)};
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
