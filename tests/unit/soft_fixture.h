/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of the software CPU's memory share: a machine of some vCPUs with no code to run, whose accesses are
 * called directly.
 *
 *   0         RAM, 16 MiB
 *   16 MiB    ROM: the last 64 KiB of that block
 *   32 MiB    a device that remembers accesses, 64 KiB
 *   5 GiB     RAM of its own block, 1 MiB
 *
 * The test stands between memory and what it calls (the linker's --wrap): exceptions come back to soft_try, blocks that
 * are to go stale are written down.
 */
#ifndef HDL_TESTS_SOFT_FIXTURE_H
#define HDL_TESTS_SOFT_FIXTURE_H

#include "memory_fixture.h"

#include "vcpu/soft/block.h"
#include "vcpu/soft/code_map.h"
#include "vcpu/soft/exception.h"
#include "vcpu/soft/mem.h"
#include "vcpu/soft/memory.h"
#include "vcpu/soft/mmu.h"

#define SOFT_VCPUS_MAX 4

#define LOW_BYTES  (UINT64_C(16) << 20)
#define ROM_GPA    (UINT64_C(16) << 20)
#define ROM_BYTES  UINT64_C(0x10000)
#define ROM_OFFSET (LOW_BYTES - ROM_BYTES)
#define IO_GPA     (UINT64_C(32) << 20)
#define IO_BYTES   UINT64_C(0x10000)
#define HIGH_GPA   (UINT64_C(5) << 30)
#define HIGH_BYTES (UINT64_C(1) << 20)
#define HOLE_GPA   (UINT64_C(64) << 20)
#define IO_LOG_MAX 16

/* Bits of a page table's entry. */
#define P  UINT64_C(0x1)
#define W  UINT64_C(0x2)
#define U  UINT64_C(0x4)
#define A  UINT64_C(0x20)
#define D  UINT64_C(0x40)
#define PS UINT64_C(0x80)
#define G  UINT64_C(0x100)
#define NX (UINT64_C(1) << 63)

struct io_access {
    uint64_t offset, value;
    unsigned size_bytes;
    bool is_write;
};

struct soft_machine {
    struct memory_fixture fixture;
    struct ram_block *low, *high;
    struct region low_region, rom_region, io_region, high_region;
    struct io_access io_log[IO_LOG_MAX];
    unsigned io_count;
    uint8_t io_bytes[IO_BYTES]; /* what it reads as */
    struct soft_vm vm;
    struct vcpu *vcpus[SOFT_VCPUS_MAX];
    uint64_t next_table; /* where the next page table goes */
};

/* What soft_blocks_invalidate and soft_cache_clear were called for; a thread's own vCPU's. */
#define STALE_MAX 64
struct stale_log {
    const uint8_t *host[STALE_MAX];
    unsigned len_bytes[STALE_MAX];
    unsigned count, cleared;
};
extern _Thread_local struct stale_log stale_log;

void soft_machine_init(struct soft_machine *machine, unsigned vcpus);
/* The vCPUs are outside. */
void soft_machine_destroy(struct soft_machine *machine);

/* vCPU index, attached, in the guest, in 64-bit mode with empty page tables, CPL 0, WP and NXE on. */
struct soft_cpu *soft_machine_start(struct soft_machine *machine, unsigned index);
void soft_machine_end(struct soft_cpu *cpu);

/* Sets control bits and lets the TLB know. */
void soft_set_control(struct soft_cpu *cpu, uint64_t cr0, uint64_t cr4, uint64_t efer);
void soft_set_privilege(struct soft_cpu *cpu, uint8_t cpl, bool ac);

/* A zeroed page of low RAM. */
uint64_t soft_new_table(struct soft_machine *machine);
uint64_t *soft_entry64(struct soft_machine *machine, uint64_t table, unsigned index);
uint32_t *soft_entry32(struct soft_machine *machine, uint64_t table, unsigned index);
/*
 * 4-level paging: the entry of `linear` at a level (39, 30, 21, 12), with the tables on the way (present, writable,
 * user) made where they lack.
 */
uint64_t *soft_map_entry(struct soft_machine *machine, struct soft_cpu *cpu, uint64_t linear, unsigned shift);

/* --- calls that may raise ----------------------------------------------------------------------------------------- */

#define NO_FAULT 255

enum soft_use {
    TRY_LOAD,
    TRY_STORE,
    TRY_FETCH,
    TRY_LOAD_SYSTEM,
    TRY_STORE_SYSTEM,
    TRY_READ_BYTES,
    TRY_WRITE_BYTES, /* zeros */
    TRY_PROBE_READ,
    TRY_PROBE_WRITE,
    TRY_LOCK, /* the world goes on at once */
};

/*
 * Makes an access. The vector that it raised (cpu->fault, cpu->cr2 say more), or NO_FAULT. value: what is stored.
 * Faults of accesses that aren't made by this function fail the test.
 */
unsigned soft_try(struct soft_cpu *cpu, enum soft_use use, uint64_t linear, unsigned size_bytes, uint64_t value);

/* An access that ends in a page fault, with an address and an error code. */
void assert_page_fault(struct soft_cpu *cpu, enum soft_use use, uint64_t linear, unsigned size_bytes, uint64_t cr2,
                       uint32_t error);

#endif
