/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The software CPU's doubles and lay-out: soft_system_fixture.h. */
#include "soft_system_fixture.h"

#include "memory/dma.h"
#include "vcpu/soft/code_map.h"
#include "vcpu/soft/event.h"
#include "vcpu/soft/exec.h"
#include "vcpu/soft/flags.h"
#include "vcpu/soft/mmu.h"

struct fixture fix;

/* --- memory ------------------------------------------------------------------------------------------------------- */

uint64_t peek(uint64_t linear, unsigned size_bytes)
{
    uint64_t value = 0;

    assert_true(linear + size_bytes <= MEMORY_BYTES);
    memcpy(&value, fix.memory + linear, size_bytes);
    return value;
}

void poke(uint64_t linear, unsigned size_bytes, uint64_t value)
{
    assert_true(linear + size_bytes <= MEMORY_BYTES);
    memcpy(fix.memory + linear, &value, size_bytes);
}

static void access_check(struct soft_cpu *cpu, uint64_t linear, unsigned len_bytes, uint32_t error)
{
    bool missing = linear + len_bytes > MISSING && linear < MISSING + SOFT_PAGE_BYTES;

    if (missing || linear + len_bytes > MEMORY_BYTES) {
        soft_raise_page_fault(cpu, linear, error | (cpu->cpl == 3 ? PF_USER : 0));
    }
}

uint64_t soft_load_slow(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes)
{
    access_check(cpu, linear, size_bytes, 0);
    return peek(linear, size_bytes);
}

void soft_store_slow(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes, uint64_t value)
{
    access_check(cpu, linear, size_bytes, PF_WRITE);
    poke(linear, size_bytes, value);
}

void soft_read_bytes(struct soft_cpu *cpu, uint64_t linear, void *buffer, unsigned len_bytes)
{
    access_check(cpu, linear, len_bytes, 0);
    memcpy(buffer, fix.memory + linear, len_bytes);
}

void soft_write_bytes(struct soft_cpu *cpu, uint64_t linear, const void *buffer, unsigned len_bytes)
{
    access_check(cpu, linear, len_bytes, PF_WRITE);
    memcpy(fix.memory + linear, buffer, len_bytes);
}

void soft_probe_write(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes)
{
    access_check(cpu, linear, size_bytes, PF_WRITE);
}

void soft_probe_read(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes)
{
    access_check(cpu, linear, size_bytes, 0);
}

uint64_t soft_load_system(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes)
{
    return soft_load_slow(cpu, linear, size_bytes);
}

void soft_store_system(struct soft_cpu *cpu, uint64_t linear, unsigned size_bytes, uint64_t value)
{
    fix.system_stores++;
    soft_store_slow(cpu, linear, size_bytes, value);
}

void soft_or_system32(struct soft_cpu *cpu, uint64_t linear, uint32_t set, uint32_t clear)
{
    access_check(cpu, linear, 4, PF_WRITE);
    poke(linear, 4, (peek(linear, 4) & ~(uint64_t)clear) | set);
}

/* --- the MMU ------------------------------------------------------------------------------------------------------ */

void soft_tlb_flush_all(struct soft_cpu *cpu)
{
    fix.flushes_all++;
}

void soft_tlb_flush_local(struct soft_cpu *cpu)
{
}

void soft_tlb_load_cr3(struct soft_cpu *cpu, bool keep)
{
    fix.flushes_local += !keep;
}

void soft_tlb_flush_page(struct soft_cpu *cpu, uint64_t linear)
{
}

void soft_tlb_invpcid(struct soft_cpu *cpu, unsigned type, uint16_t pcid, uint64_t linear)
{
}

/* No entry ever matches, so every access comes to the functions above. */
void soft_tlb_select(struct soft_cpu *cpu)
{
    cpu->tlb = cpu->tlb_state.bank[0];
    cpu->tlb_tag = 1;
}

bool soft_load_pdptes(struct soft_cpu *cpu, uint64_t cr3)
{
    return !fix.pdptes_bad;
}

/* --- flags: always computed --------------------------------------------------------------------------------------- */

uint32_t soft_arithmetic_flags(const struct soft_cpu *cpu)
{
    assert_int_equal(cpu->cc_op, SOFT_CC(CC_FLAGS, 0));
    return (uint32_t)cpu->cc_src;
}

void soft_set_rflags(struct soft_cpu *cpu, uint64_t value, uint64_t mask)
{
    uint64_t arithmetic = soft_arithmetic_flags(cpu);

    arithmetic = (arithmetic & ~mask) | (value & mask);
    soft_set_arithmetic_flags(cpu, (uint32_t)arithmetic & RFLAGS_ARITHMETIC);
    mask &= ~(uint64_t)RFLAGS_ARITHMETIC;
    cpu->rflags = (cpu->rflags & ~mask) | (value & mask);
}

/* --- x87, code, exits --------------------------------------------------------------------------------------------- */

void soft_fpu_reset(struct soft_fpu *fpu)
{
    memset(fpu, 0, sizeof(*fpu));
    fpu->fcw = 0x40;
}

void soft_fpu_to_xsave(const struct soft_fpu *fpu, uint8_t *area, uint32_t *len_bytes)
{
    memcpy(area, &fpu->fcw, 2);
    *len_bytes = 576;
}

void soft_fpu_from_xsave(struct soft_fpu *fpu, const uint8_t *area, uint32_t len_bytes)
{
    memcpy(&fpu->fcw, area, 2);
}

void soft_quiet_begin(struct soft_cpu *cpu)
{
}

void soft_quiet_end(struct soft_cpu *cpu)
{
}

/* The table names it, and with it would come all that the integer instructions need. */
void soft_exec_nop(struct soft_cpu *cpu, const struct soft_insn *insn)
{
}

/* The linker sends calls of vcpu_handle_exit and dma_* from the library here. */
void __wrap_vcpu_handle_exit(struct vcpu *vcpu, const struct vcpu_exit *exit);
void __wrap_vcpu_handle_exit(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    unsigned len_bytes = exit->pio.count * exit->pio.size_bytes;

    assert_int_equal(exit->kind, VCPU_EXIT_PIO);
    assert_true(len_bytes <= sizeof(fix.pio_data));
    fix.pio = *exit;
    fix.pio_exits++;
    for (unsigned i = 0; i < len_bytes && !exit->pio.is_write; i++) {
        exit->pio.data[i] = fix.pio_next++;
    }
    memcpy(fix.pio_data, exit->pio.data, len_bytes);
}

enum access_result __wrap_dma_read(struct address_space *space, uint64_t address, void *buffer, uint64_t len_bytes);
enum access_result __wrap_dma_read(struct address_space *space, uint64_t address, void *buffer, uint64_t len_bytes)
{
    memcpy(buffer, fix.memory + address, len_bytes);
    return ACCESS_OK;
}

enum access_result __wrap_dma_write(struct address_space *space, uint64_t address, const void *buffer,
                                    uint64_t len_bytes);
enum access_result __wrap_dma_write(struct address_space *space, uint64_t address, const void *buffer,
                                    uint64_t len_bytes)
{
    memcpy(fix.memory + address, buffer, len_bytes);
    return ACCESS_OK;
}

/* --- the interrupt source ----------------------------------------------------------------------------------------- */

static bool source_msr_read(void *opaque, unsigned vcpu_index, uint32_t msr, uint64_t *value)
{
    *value = msr == 0x1b ? fix.apic_base : fix.deadline;
    return msr == 0x1b || msr == 0x6e0;
}

static bool source_msr_write(void *opaque, unsigned vcpu_index, uint32_t msr, uint64_t value)
{
    *(msr == 0x1b ? &fix.apic_base : &fix.deadline) = value;
    fix.deadline_writes += msr == 0x6e0;
    return msr == 0x1b || msr == 0x6e0;
}

static uint8_t source_get_tpr(void *opaque, unsigned vcpu_index)
{
    return fix.tpr;
}

static void source_set_tpr(void *opaque, unsigned vcpu_index, uint8_t tpr)
{
    fix.tpr = tpr;
}

/* --- lay-out ------------------------------------------------------------------------------------------------------ */

uint64_t descriptor(uint32_t base, uint32_t limit, unsigned access, unsigned flags)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)access << 40 |
           (uint64_t)(limit >> 16 & 0xf) << 48 | (uint64_t)flags << 52 | (uint64_t)(base >> 24) << 56;
}

static void put_descriptors(void)
{
    static const struct {
        uint16_t selector;
        uint8_t access, flags;
    } flat[] = {{SEL_CODE0, 0x9a, 0xc},     {SEL_DATA0, 0x92, 0xc},       {SEL_CODE3, 0xfa, 0xc},
                {SEL_DATA3, 0xf2, 0xc},     {SEL_CODE64_0, 0x9a, 0xa},    {SEL_DATA64_3, 0xf2, 0xc},
                {SEL_CODE64_3, 0xfa, 0xa},  {SEL_CONFORMING, 0x9e, 0xc},  {SEL_ABSENT, 0x12, 0xc},
                {SEL_READ_ONLY, 0x90, 0xc}, {SEL_CODE1, 0xba, 0xc},       {SEL_DATA1, 0xb2, 0xc},
                {SEL_CODE16, 0x9a, 0x8},    {SEL_EXECUTE_ONLY, 0x98, 0xc}};

    for (size_t i = 0; i < ARRAY_SIZE(flat); i++) {
        poke(GDT + flat[i].selector, 8, descriptor(0, 0xfffff, flat[i].access, flat[i].flags));
    }
    poke(GDT + SEL_TSS, 8, descriptor(TSS, 0xfff, 0x89, 0));
    poke(GDT + SEL_LDT, 8, descriptor(LDT, 0x1f, 0x82, 0));
    poke(GDT + SEL_DOWN, 8, descriptor(0, 0xfff, 0x96, 0x4));
    poke(GDT + SEL_SMALL, 8, descriptor(0x100, 0xfff, 0x92, 0x4));
    poke(GDT + SEL_TSS_OTHER, 8, descriptor(TSS_OTHER, 0x67, 0x89, 0));
    poke(GDT + SEL_TASK_GATE, 8, (uint64_t)SEL_TSS_OTHER << 16 | UINT64_C(0x850000000000));
    poke(LDT + 8, 8, descriptor(0x7000, 0xfffff, 0xf2, 0xc));
}

static void put_gate_at(uint64_t at, uint16_t selector, uint64_t offset, unsigned access, unsigned count)
{
    poke(at, 8,
         (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)count << 32 | (uint64_t)access << 40 |
             (offset >> 16 & 0xffff) << 48);
    if (CPU->efer & EFER_LMA) {
        poke(at + 8, 8, offset >> 32);
    }
}

void put_gate(unsigned vector, uint16_t selector, uint64_t offset, unsigned type, unsigned dpl, unsigned ist)
{
    put_gate_at(IDT + vector * (CPU->efer & EFER_LMA ? 16 : 8), selector, offset, 0x80 | dpl << 5 | type, ist);
}

void put_call_gate(uint16_t selector, uint64_t offset, unsigned dpl, unsigned count)
{
    put_gate_at(GDT + SEL_GATE, selector, offset, 0x80 | dpl << 5 | SYSTEM_CALL_GATE, count);
}

static void fixture_features(const char *text)
{
    struct cpu_model model;

    assert_int_equal(cpu_model_parse(&model, text, NULL), 0);
    assert_int_equal(soft_features_init(&CPU->features, &model, NULL), 0);
}

void fixture_reset(const char *model)
{
    struct vm_config *config = &fix.vm.common.config;

    memset(&fix, 0, sizeof(fix));
    config->topology = (struct cpu_topology){.sockets = 1, .cores = 2, .threads = 2};
    config->interrupts = (struct vm_interrupt_source){.msr_read = source_msr_read,
                                                      .msr_write = source_msr_write,
                                                      .get_tpr = source_get_tpr,
                                                      .set_tpr = source_set_tpr};
    fix.apic_base = UINT64_C(0xfee00900);
    fix.vm.tsc_khz = 2500000;
    soft_clock_init(&fix.vm.clock);
    fix.vcpu.common.vm = &fix.vm.common;
    fixture_features(model);
    soft_cpu_reset(CPU, true);
    CPU->exit = &fix.exit;
    put_descriptors();
}

static void fixture_tables(void)
{
    CPU->gdt = (struct cpu_table){.base = GDT, .limit = GDT_LIMIT};
    CPU->idt = (struct cpu_table){.base = IDT, .limit = 0xfff};
    CPU->segment[CPU_TR] = (struct cpu_segment){
        .selector = SEL_TSS, .base = TSS, .limit = 0xfff, .type = SYSTEM_TSS_BUSY, .present = true};
    CPU->segment[CPU_LDTR] =
        (struct cpu_segment){.selector = SEL_LDT, .base = LDT, .limit = 0x1f, .type = SYSTEM_LDT, .present = true};
    poke(GDT + SEL_TSS + 5, 1, 0x8b);
    CPU->rip = CODE;
    CPU->next_rip = CODE + 2;
}

static void fixture_levels(uint16_t code, uint16_t data, bool is_64, uint8_t cpl)
{
    static const uint8_t all[] = {CPU_ES, CPU_SS, CPU_DS, CPU_FS, CPU_GS};

    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        CPU->segment[all[i]] = cpu_segment_flat_data(data | cpl);
        CPU->segment[all[i]].dpl = cpl;
    }
    CPU->segment[CPU_CS] = cpu_segment_flat_code(code | cpl, is_64 ? CPU_FLAT_64 : CPU_FLAT_32);
    CPU->segment[CPU_CS].dpl = cpl;
    CPU->gpr[CPU_RSP] = cpl == 3 ? STACK3 - 0x100 : STACK0 - 0x100;
    CPU->cpl = cpl;
    soft_update_mode(CPU);
}

void fixture_real(void)
{
    fixture_reset("max");
    CPU->idt = (struct cpu_table){.base = IDT, .limit = 0x3ff};
    CPU->segment[CPU_CS].selector = 0x1000;
    CPU->segment[CPU_CS].base = 0x10000;
    CPU->rip = 0x20;
    CPU->next_rip = 0x22;
    CPU->gpr[CPU_RSP] = 0x8000;
    soft_update_mode(CPU);
}

void fixture_protected(uint8_t cpl)
{
    fixture_reset("max");
    CPU->cr0 |= CR0_PE;
    fixture_tables();
    poke(TSS + 4, 4, STACK0);
    poke(TSS + 8, 4, SEL_DATA0);
    poke(TSS + 12, 4, STACK1);
    poke(TSS + 16, 4, SEL_DATA1 | 1);
    poke(TSS + 0x66, 2, 0x100);
    fixture_levels(cpl == 3 ? SEL_CODE3 : SEL_CODE0, cpl == 3 ? SEL_DATA3 : SEL_DATA0, false, cpl);
}

void fixture_long(uint8_t cpl)
{
    fixture_reset("max");
    CPU->cr4 = CR4_PAE;
    CPU->efer = EFER_LME | EFER_LMA | EFER_SCE;
    CPU->cr0 |= CR0_PE | CR0_PG;
    fixture_tables();
    poke(TSS + 4, 8, STACK0);
    poke(TSS + 0x24, 8, IST1);
    fixture_levels(cpl == 3 ? SEL_CODE64_3 : SEL_CODE64_0, cpl == 3 ? SEL_DATA64_3 : SEL_DATA0, true, cpl);
}

void fixture_vm86(unsigned iopl)
{
    fixture_protected(3);
    CPU->rflags |= RFLAGS_VM | iopl << 12;
    for (unsigned i = 0; i <= CPU_GS; i++) {
        soft_load_segment_real(CPU, i, (uint16_t)(0x100 * (i + 1)));
        CPU->segment[i].limit = 0xffff;
    }
    CPU->gpr[CPU_RSP] = 0x8000;
    CPU->rip = 0x20;
    CPU->next_rip = 0x22;
    soft_update_mode(CPU);
}

/* --- running ------------------------------------------------------------------------------------------------------ */

struct fixture_registers fixture_registers(void)
{
    struct fixture_registers now;

    memset(&now, 0, sizeof(now));
    memcpy(now.gpr, CPU->gpr, sizeof(now.gpr));
    now.rip = CPU->rip;
    now.rflags = soft_rflags(CPU);
    now.cr[0] = CPU->cr0;
    now.cr[1] = CPU->cr3;
    now.cr[2] = CPU->cr4;
    now.efer = CPU->efer;
    now.cpl = CPU->cpl;
    for (unsigned i = 0; i < CPU_SEGMENT_COUNT; i++) {
        now.selector[i] = CPU->segment[i].selector;
        now.base[i] = CPU->segment[i].base;
    }
    return now;
}

void fixture_exec(soft_exec_fn *fn, const struct soft_insn *insn)
{
    CPU->next_rip = CPU->rip + 2;
    fn(CPU, insn);
}

bool fixture_deliver(void)
{
    _setjmp(CPU->fault_target);
    return soft_deliver_fault(CPU);
}
