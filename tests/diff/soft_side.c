/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See soft_side.h. The monitor asks for a batch by writing to a port: that write waits, on the vCPU's thread, until
 * there is one. Between finish and begin the guest thus stands still, and its memory is the test's.
 */
#include "soft_side.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rcu.h"
#include "device/device.h"
#include "event/event_loop.h"
#include "memory/address_space.h"
#include "monitor.h"
#include "vcpu/soft/cpu.h"
#include "vcpu/vcpu.h"
#include "vcpu/vm.h"

#define TIMEOUT_SECONDS 60

extern const uint8_t monitor_begin[], monitor_end[], monitor_vectors[];

/* quit: any thread. The rest: the main thread. */
struct soft_side {
    struct event_loop *loop;
    struct memory_map map;
    struct region memory_root, io_root, ram, port;
    struct address_space memory, io;
    struct ram_block *block;
    struct device *device; /* the port's owner */
    sem_t begin, finished;
    _Atomic bool quit;
    struct vm *vm;
    struct vcpu *cpu;
};

static const struct device_type soft_side_device = {.name = "diff-port", .size_bytes = sizeof(struct device)};

/* --- the port ----------------------------------------------------------------------------------------------------- */

static enum access_result port_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct soft_side *side = opaque;

    if (!atomic_load(&side->quit)) {
        sem_post(&side->finished);
        while (sem_wait(&side->begin) < 0) {
        }
    }
    return ACCESS_OK;
}

static const struct region_ops port_ops = {.write = port_write};

static void side_event(void *opaque, const struct vm_event *event)
{
    fprintf(stderr, "soft: %s\n%s", event->what, event->report ? event->report : "");
    exit(1);
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

static uint64_t *side_words(struct soft_side *side, uint64_t gpa)
{
    return (uint64_t *)(side->block->host + gpa);
}

enum { PTE_PRESENT = 1, PTE_WRITE = 2, PTE_USER = 4, PTE_LARGE = 0x80 };
#define PTE_NO_EXECUTE UINT64_C(0x8000000000000000)

/* A slot's pages, by the first of the two tables that map all slots one after the other. */
static void side_map_slot(struct soft_side *side, uint64_t *ptes, unsigned slot)
{
    static const struct {
        unsigned offset, backing, pages;
        uint64_t rights;
    } parts[] = {
        {SLOT_CODE, BACKING_CODE, 2, PTE_PRESENT | PTE_USER},
        {SLOT_DATA, BACKING_DATA, 2, PTE_PRESENT | PTE_USER | PTE_WRITE | PTE_NO_EXECUTE},
        {SLOT_READ_ONLY, BACKING_DATA + SLOT_DATA_BYTES, 1, PTE_PRESENT | PTE_USER | PTE_NO_EXECUTE},
        {SLOT_STACK, BACKING_STACK, 1, PTE_PRESENT | PTE_USER | PTE_WRITE | PTE_NO_EXECUTE},
    };

    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        for (unsigned page = 0; page < parts[i].pages; page++) {
            ptes[slot * (SLOT_BYTES / PAGE_BYTES) + parts[i].offset / PAGE_BYTES + page] =
                (MONITOR_SLOTS + slot * SLOT_BACKING_BYTES + parts[i].backing + page * PAGE_BYTES) | parts[i].rights;
        }
    }
}

/* The slots for the user, and all RAM at MONITOR_LINEAR. */
static void side_build_tables(struct soft_side *side)
{
    enum { ALL = PTE_PRESENT | PTE_WRITE | PTE_USER };
    uint64_t *pml4 = side_words(side, MONITOR_TABLES);
    uint64_t pdpt = MONITOR_TABLES + 0x1000, pd = pdpt + 0x1000, pt = pd + 0x1000;
    uint64_t high_pdpt = pt + 0x2000, high_pd = high_pdpt + 0x1000;

    pml4[0] = pdpt | ALL;
    side_words(side, pdpt)[0] = pd | ALL;
    for (unsigned i = 0; i < 2; i++) {
        side_words(side, pd)[(SLOT_BASE >> 21) + i] = (pt + i * PAGE_BYTES) | ALL;
    }
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
        side_map_slot(side, side_words(side, pt), slot);
    }
    pml4[511] = high_pdpt | PTE_PRESENT | PTE_WRITE;
    side_words(side, high_pdpt)[510] = high_pd | PTE_PRESENT | PTE_WRITE;
    for (unsigned i = 0; i < 2; i++) {
        side_words(side, high_pd)[i] = (uint64_t)i << 21 | PTE_PRESENT | PTE_WRITE | PTE_LARGE;
    }
}

/* SDM 3, 3.4.5 and 6.14.1. All of the user's segments are Linux's. */
static void side_build_descriptors(struct soft_side *side)
{
    uint64_t *gdt = side_words(side, MONITOR_GDT), *idt = side_words(side, MONITOR_IDT);
    uint64_t tss = MONITOR_LINEAR + MONITOR_TSS;

    gdt[MONITOR_CS / 8] = UINT64_C(0x00af9b000000ffff);
    gdt[MONITOR_SS / 8] = UINT64_C(0x00cf93000000ffff);
    gdt[SELECTOR_USER32 / 8] = UINT64_C(0x00cffb000000ffff);
    gdt[SELECTOR_DATA / 8] = UINT64_C(0x00cff3000000ffff);
    gdt[SELECTOR_USER64 / 8] = UINT64_C(0x00affb000000ffff);
    gdt[MONITOR_TR / 8] = UINT64_C(0x00008b0000000067) | (tss & 0xffffff) << 16 | (tss >> 24 & 0xff) << 56;
    gdt[MONITOR_TR / 8 + 1] = tss >> 32;
    for (unsigned i = 0; i < 32; i++) {
        uint64_t handler = MONITOR_LINEAR + MONITOR_CODE + (uint64_t)(monitor_vectors - monitor_begin) + 16 * i;
        uint64_t dpl = i == VECTOR_BP || i == VECTOR_OF ? 3 : 0;

        idt[2 * i] = (handler & 0xffff) | MONITOR_CS << 16 | (UINT64_C(0x8e00) | dpl << 13) << 32 |
                     (handler >> 16 & 0xffff) << 48;
        idt[2 * i + 1] = handler >> 32;
    }
    /* RSP0 is at 4 in the TSS, which is thus in the halves of two words; its I/O map lies past its limit. */
    side_words(side, MONITOR_TSS)[0] = (MONITOR_LINEAR + MONITOR_STACK) << 32;
    side_words(side, MONITOR_TSS)[1] = (MONITOR_LINEAR + MONITOR_STACK) >> 32;
    side_words(side, MONITOR_TSS)[12] = UINT64_C(0x68) << 48;
}

static void side_build_memory(struct soft_side *side)
{
    memory_map_init(&side->map);
    region_init_container(&side->memory_root, "memory", 0);
    region_init_container(&side->io_root, "io", 0x10000);
    address_space_init(&side->memory, &side->map, &side->memory_root, "memory");
    address_space_init(&side->io, &side->map, &side->io_root, "io");
    region_init_ram(&side->ram, "ram", side->block, 0, MONITOR_RAM_BYTES, false);
    region_init_io(&side->port, "port", side->device, &port_ops, side, 1, 0, NULL);
    region_add(&side->map, &side->memory_root, 0, &side->ram, 0);
    region_add(&side->map, &side->io_root, MONITOR_PORT, &side->port, 0);
    memset(side->block->host, 0, MONITOR_RAM_BYTES);
    memcpy(side->block->host + MONITOR_CODE, monitor_begin, (size_t)(monitor_end - monitor_begin));
    side_build_tables(side);
    side_build_descriptors(side);
}

/* --- the vCPU ----------------------------------------------------------------------------------------------------- */

static bool side_pending(void *opaque, unsigned vcpu_index)
{
    return false;
}

static int side_acknowledge(void *opaque, unsigned vcpu_index)
{
    return -1;
}

static int side_build_vm(struct soft_side *side, struct error **err)
{
    static const char *const names[] = {"soft"};
    struct vm_config config = {
        .memory = &side->memory,
        .io = &side->io,
        .topology = {1, 1, 1},
        .irqchip = VM_IRQCHIP_USER,
        .loop = side->loop,
        .event = side_event,
        .event_opaque = side,
        .interrupts = {.pending = side_pending, .acknowledge = side_acknowledge, .opaque = side}};
    int ret = cpu_model_init(&config.cpu, "max", err);

    if (ret < 0) {
        return ret;
    }
    side->vm = vm_create(names, 1, &config, err);
    side->cpu = side->vm ? vcpu_create(side->vm, 0, err) : NULL;
    return side->cpu ? 0 : -EIO;
}

static struct cpu_segment side_null_segment(uint64_t base)
{
    return (struct cpu_segment){.base = base, .unusable = true};
}

/* As Linux has a 64-bit CPU. */
static int side_set_state(struct soft_side *side, uint64_t fs_base, struct error **err)
{
    struct cpu_state state;

    cpu_state_reset(&state, true);
    state.segment[CPU_CS] = cpu_segment_flat_code(MONITOR_CS, CPU_FLAT_64);
    state.segment[CPU_SS] = cpu_segment_flat_data(MONITOR_SS);
    state.segment[CPU_DS] = state.segment[CPU_ES] = cpu_segment_flat_data(SELECTOR_DATA);
    state.segment[CPU_DS].dpl = state.segment[CPU_ES].dpl = 3;
    state.segment[CPU_FS] = side_null_segment(fs_base);
    state.segment[CPU_GS] = side_null_segment(CASE_GS_BASE);
    state.segment[CPU_TR] = cpu_segment_tss();
    state.segment[CPU_TR].selector = MONITOR_TR;
    state.segment[CPU_TR].base = MONITOR_LINEAR + MONITOR_TSS;
    state.segment[CPU_TR].limit = 0x67;
    state.gdt = (struct cpu_table){MONITOR_LINEAR + MONITOR_GDT, 0x4f};
    state.idt = (struct cpu_table){MONITOR_LINEAR + MONITOR_IDT, 0xfff};
    state.cr0 = CR0_PG | CR0_AM | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE;
    state.cr3 = MONITOR_TABLES;
    state.cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    state.efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
    state.rip = MONITOR_LINEAR + MONITOR_CODE;
    state.gpr[CPU_RSP] = MONITOR_LINEAR + MONITOR_STACK;
    state.rflags = RFLAGS_FIXED;
    state.activity = CPU_RUNNABLE;
    return vcpu_set_state(side->cpu, &state, err);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static bool side_wait(struct soft_side *side)
{
    struct timespec deadline;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += TIMEOUT_SECONDS;
    while (sem_timedwait(&side->finished, &deadline) < 0) {
        if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

struct soft_side *soft_side_create(uint64_t fs_base)
{
    struct soft_side *side = calloc(1, sizeof(*side));
    struct error *err = NULL;

    if (!side) {
        return NULL;
    }
    sem_init(&side->begin, 0, 0);
    sem_init(&side->finished, 0, 0);
    side->loop = event_loop_create("diff", &err);
    side->block = side->loop ? ram_block_create("ram", MONITOR_RAM_BYTES, 0, &err) : NULL;
    side->device = side->block ? device_create(&soft_side_device, "port", side->loop, &side->memory, NULL) : NULL;
    if (!side->device || device_realize(side->device, &err) < 0) {
        fprintf(stderr, "soft: %s\n", err ? err->message : "out of memory");
        return NULL;
    }
    side_build_memory(side);
    if (side_build_vm(side, &err) < 0 || side_set_state(side, fs_base, &err) < 0) {
        fprintf(stderr, "soft: %s\n", err ? err->message : "out of memory");
        return NULL;
    }
    vm_resume(side->vm);
    return side_wait(side) ? side : NULL;
}

void soft_side_destroy(struct soft_side *side)
{
    atomic_store(&side->quit, true);
    sem_post(&side->begin);
    vm_pause(side->vm);
    vm_destroy(side->vm);
    region_remove(&side->map, &side->port);
    region_remove(&side->map, &side->ram);
    device_unplug(side->device);
    do {
        hdl_rcu_barrier(); /* leaving takes grace periods */
    } while (event_loop_poll(side->loop, false));
    region_destroy(&side->port);
    region_destroy(&side->ram);
    device_put(side->device);
    while (event_loop_poll(side->loop, false)) {
    }
    address_space_destroy(&side->io);
    address_space_destroy(&side->memory);
    region_destroy(&side->io_root);
    region_destroy(&side->memory_root);
    memory_map_destroy(&side->map);
    ram_block_put(side->block);
    hdl_rcu_barrier();
    event_loop_destroy(side->loop);
    free(side);
}

/* --- cases -------------------------------------------------------------------------------------------------------- */

uint8_t *soft_side_backing(struct soft_side *side, unsigned slot)
{
    return side->block->host + MONITOR_SLOTS + slot * SLOT_BACKING_BYTES;
}

void soft_side_load(struct soft_side *side, const struct case_program *program)
{
    uint8_t *at = side->block->host + MONITOR_CASES + program->slot * MONITOR_CASE_BYTES;
    uint32_t head[2] = {BACKING_CODE + program->code_offset, program->code_bytes / 8};

    memcpy(at, head, sizeof(head));
    memcpy(at + MONITOR_CASE_CODE, program->code, program->code_bytes);
    memcpy(side->block->host + MONITOR_START + program->slot * MONITOR_STATE_BYTES, &program->start,
           sizeof(program->start));
}

const struct case_state *soft_side_end(struct soft_side *side, unsigned slot)
{
    return (const struct case_state *)(side->block->host + MONITOR_END + slot * MONITOR_STATE_BYTES);
}

void soft_side_begin(struct soft_side *side, unsigned count)
{
    *side_words(side, MONITOR_COUNT) = count;
    sem_post(&side->begin);
}

bool soft_side_finish(struct soft_side *side)
{
    return side_wait(side);
}
