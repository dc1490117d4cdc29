/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See soft_fixture.h. The thread that calls is the vCPU's. */
#include "soft_fixture.h"

#include "vcpu/soft/insn.h"

_Thread_local struct stale_log stale_log;
/* Within soft_try. */
static _Thread_local bool trying;

/* --- what memory calls -------------------------------------------------------------------------------------------- */

HDL_NORETURN void __wrap_soft_raise_error(struct soft_cpu *cpu, enum soft_vector vector, uint32_t error);
HDL_NORETURN void __wrap_soft_raise_page_fault(struct soft_cpu *cpu, uint64_t linear, uint32_t error);
void __wrap_soft_blocks_invalidate(struct soft_cpu *cpu, const uint8_t *host, unsigned len_bytes);
void __wrap_soft_cache_clear(struct soft_cpu *cpu);

void __wrap_soft_raise_error(struct soft_cpu *cpu, enum soft_vector vector, uint32_t error)
{
    if (!trying) {
        fail_msg("exception %u, error %#x, CR2 %#" PRIx64, vector, error, cpu->cr2);
    }
    cpu->fault = (struct soft_fault){.vector = vector, .has_error = true, .error = error};
    longjmp(cpu->fault_target, 1);
}

void __wrap_soft_raise_page_fault(struct soft_cpu *cpu, uint64_t linear, uint32_t error)
{
    cpu->cr2 = linear;
    __wrap_soft_raise_error(cpu, VECTOR_PF, error);
}

void __wrap_soft_blocks_invalidate(struct soft_cpu *cpu, const uint8_t *host, unsigned len_bytes)
{
    if (stale_log.count < STALE_MAX) {
        stale_log.host[stale_log.count] = host;
        stale_log.len_bytes[stale_log.count] = len_bytes;
    }
    stale_log.count++;
}

void __wrap_soft_cache_clear(struct soft_cpu *cpu)
{
    stale_log.cleared++;
}

/* --- the device --------------------------------------------------------------------------------------------------- */

static void io_note(struct soft_machine *machine, const struct io_access *access)
{
    if (machine->io_count < IO_LOG_MAX) {
        machine->io_log[machine->io_count] = *access;
    }
    machine->io_count++;
}

static enum access_result io_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct soft_machine *machine = opaque;

    memcpy(value, &machine->io_bytes[offset], size_bytes);
    io_note(machine, &(struct io_access){.offset = offset, .value = *value, .size_bytes = size_bytes});
    return ACCESS_OK;
}

static enum access_result io_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    io_note(opaque, &(struct io_access){.offset = offset, .value = value, .size_bytes = size_bytes, .is_write = true});
    return ACCESS_OK;
}

static const struct region_ops io_ops = {.read = io_read, .write = io_write, .valid = {.max = 8}, .impl = {.max = 8}};

/* --- the machine -------------------------------------------------------------------------------------------------- */

static void machine_add_memory(struct soft_machine *machine)
{
    struct memory_map *map = &machine->fixture.map;
    struct region *root = &machine->fixture.root;

    machine->low = ram_block_create("low", LOW_BYTES, 0, NULL);
    machine->high = ram_block_create("high", HIGH_BYTES, 0, NULL);
    assert_non_null(machine->low);
    assert_non_null(machine->high);
    region_init_ram(&machine->low_region, "low", machine->low, 0, LOW_BYTES, false);
    region_init_ram(&machine->rom_region, "rom", machine->low, ROM_OFFSET, ROM_BYTES, true);
    region_init_ram(&machine->high_region, "high", machine->high, 0, HIGH_BYTES, false);
    region_init_io(&machine->io_region, "io", NULL, &io_ops, machine, IO_BYTES, REGION_LOCKLESS, NULL);
    region_add(map, root, 0, &machine->low_region, 0);
    region_add(map, root, ROM_GPA, &machine->rom_region, 0);
    region_add(map, root, IO_GPA, &machine->io_region, 0);
    region_add(map, root, HIGH_GPA, &machine->high_region, 0);
}

void soft_machine_init(struct soft_machine *machine, unsigned vcpus)
{
    memset(machine, 0, sizeof(*machine));
    memory_fixture_init(&machine->fixture);
    machine_add_memory(machine);
    machine->next_table = UINT64_C(1) << 20;
    machine->vm.common.config.memory = &machine->fixture.space;
    machine->vm.common.vcpu_max = vcpus;
    machine->vm.common.vcpus = machine->vcpus;
    machine->vm.decoder = soft_decoder_create();
    assert_non_null(machine->vm.decoder);
    assert_int_equal(soft_memory_init(&machine->vm, NULL), 0);
    for (unsigned i = 0; i < vcpus; i++) {
        struct soft_vcpu *vcpu = calloc(1, sizeof(*vcpu));

        assert_non_null(vcpu);
        vcpu->common.vm = &machine->vm.common;
        vcpu->common.index = i;
        machine->vcpus[i] = &vcpu->common;
    }
    memset(&stale_log, 0, sizeof(stale_log));
}

void soft_machine_destroy(struct soft_machine *machine)
{
    struct memory_map *map = &machine->fixture.map;

    for (unsigned i = 0; i < machine->vm.common.vcpu_max; i++) {
        free(soft_vcpu_of(machine->vcpus[i]));
    }
    soft_memory_exit(&machine->vm);
    soft_decoder_destroy(machine->vm.decoder);
    region_remove(map, &machine->low_region);
    region_remove(map, &machine->rom_region);
    region_remove(map, &machine->io_region);
    if (machine->high_region.parent) {
        region_remove(map, &machine->high_region);
    }
    region_destroy(&machine->low_region);
    region_destroy(&machine->rom_region);
    region_destroy(&machine->io_region);
    region_destroy(&machine->high_region);
    ram_block_put(machine->low);
    ram_block_put(machine->high);
    memory_fixture_destroy(&machine->fixture);
}

struct soft_cpu *soft_machine_start(struct soft_machine *machine, unsigned index)
{
    struct soft_cpu *cpu = &soft_vcpu_of(machine->vcpus[index])->cpu;

    cpu->features.identity.words[CPU_WORD_80000001_EDX] = UINT32_C(1) << 26; /* pages of 1 GiB */
    cpu->features.has[SOFT_FEATURE_BASE] = true;
    soft_memory_attach(cpu);
    soft_guest_enter(cpu);
    cpu->cr3 = soft_new_table(machine);
    soft_set_control(cpu, CR0_PE | CR0_PG | CR0_WP, CR4_PAE, EFER_LME | EFER_LMA | EFER_NXE);
    soft_set_privilege(cpu, 0, false);
    return cpu;
}

void soft_machine_end(struct soft_cpu *cpu)
{
    soft_guest_leave(cpu);
    soft_memory_detach(cpu);
}

void soft_set_control(struct soft_cpu *cpu, uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    cpu->cr0 = cr0;
    cpu->cr4 = cr4;
    cpu->efer = efer;
    cpu->mode = efer & EFER_LMA ? SOFT_MODE_64 | SOFT_MODE_PROTECTED : SOFT_MODE_32 | SOFT_MODE_PROTECTED;
    soft_tlb_select(cpu);
}

void soft_set_privilege(struct soft_cpu *cpu, uint8_t cpl, bool ac)
{
    cpu->cpl = cpl;
    cpu->rflags = ac ? RFLAGS_AC : 0;
    soft_tlb_select(cpu);
}

/* --- page tables -------------------------------------------------------------------------------------------------- */

uint64_t soft_new_table(struct soft_machine *machine)
{
    uint64_t table = machine->next_table;

    assert_true(table + SOFT_PAGE_BYTES <= ROM_OFFSET);
    memset(machine->low->host + table, 0, SOFT_PAGE_BYTES);
    machine->next_table += SOFT_PAGE_BYTES;
    return table;
}

uint64_t *soft_entry64(struct soft_machine *machine, uint64_t table, unsigned index)
{
    return (uint64_t *)(machine->low->host + table) + index;
}

uint32_t *soft_entry32(struct soft_machine *machine, uint64_t table, unsigned index)
{
    return (uint32_t *)(machine->low->host + table) + index;
}

uint64_t *soft_map_entry(struct soft_machine *machine, struct soft_cpu *cpu, uint64_t linear, unsigned shift)
{
    uint64_t table = cpu->cr3 & UINT64_C(0xfffffff000);

    for (unsigned at = 39;; at -= 9) {
        uint64_t *entry = soft_entry64(machine, table, linear >> at & 511);

        if (at == shift) {
            return entry;
        }
        if (!(*entry & P)) {
            *entry = soft_new_table(machine) | P | W | U;
        }
        table = *entry & UINT64_C(0xfffffff000);
    }
}

/* --- calls that may raise ----------------------------------------------------------------------------------------- */

static void use_memory(struct soft_cpu *cpu, enum soft_use use, uint64_t linear, unsigned size_bytes, uint64_t value)
{
    uint8_t bytes[SOFT_PAGE_BYTES] = {0};
    uint64_t gpa;

    switch (use) {
    case TRY_LOAD:
        soft_load(cpu, linear, size_bytes);
        break;
    case TRY_STORE:
        soft_store(cpu, linear, size_bytes, value);
        break;
    case TRY_FETCH:
        soft_code_at(cpu, linear, &gpa);
        break;
    case TRY_LOAD_SYSTEM:
        soft_load_system(cpu, linear, size_bytes);
        break;
    case TRY_STORE_SYSTEM:
        soft_store_system(cpu, linear, size_bytes, value);
        break;
    case TRY_READ_BYTES:
        soft_read_bytes(cpu, linear, bytes, size_bytes);
        break;
    case TRY_WRITE_BYTES:
        soft_write_bytes(cpu, linear, bytes, size_bytes);
        break;
    case TRY_PROBE_READ:
        soft_probe_read(cpu, linear, size_bytes);
        break;
    case TRY_PROBE_WRITE:
        soft_probe_write(cpu, linear, size_bytes);
        break;
    case TRY_LOCK:
        if (!soft_lock_begin(cpu, linear, size_bytes)) {
            soft_lock_end(cpu);
        }
        break;
    }
}

unsigned soft_try(struct soft_cpu *cpu, enum soft_use use, uint64_t linear, unsigned size_bytes, uint64_t value)
{
    cpu->fault = (struct soft_fault){.vector = NO_FAULT};
    trying = true;
    if (_setjmp(cpu->fault_target) == 0) {
        use_memory(cpu, use, linear, size_bytes, value);
    }
    trying = false;
    return cpu->fault.vector;
}

void assert_page_fault(struct soft_cpu *cpu, enum soft_use use, uint64_t linear, unsigned size_bytes, uint64_t cr2,
                       uint32_t error)
{
    assert_int_equal(soft_try(cpu, use, linear, size_bytes, UINT64_MAX), VECTOR_PF);
    assert_int_equal(cpu->fault.error, error);
    assert_int_equal(cpu->cr2, cr2);
}
