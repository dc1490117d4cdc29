/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The doubles that soft_fpu_fixture.h tells of. */
#include "soft_fpu_fixture.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "vcpu/soft/exception.h"
#include "vcpu/soft/flags.h"
#include "vcpu/soft/fpu_area.h"
#include "vcpu/soft/mem.h"
#include "vcpu/soft/segment.h"
#include "vcpu/soft/system.h"

struct soft_cpu fixture_cpu;
uint8_t fixture_memory[FIXTURE_MEMORY_BYTES] __attribute__((aligned(4096)));

HDL_NORETURN void soft_raise(struct soft_cpu *c, enum soft_vector vector)
{
    c->fault = (struct soft_fault){.vector = (uint8_t)vector};
    longjmp(c->fault_target, 1);
}

HDL_NORETURN void soft_raise_error(struct soft_cpu *c, enum soft_vector vector, uint32_t error)
{
    soft_raise(c, vector);
}

uint64_t soft_offset(const struct soft_cpu *c, const struct soft_insn *insn)
{
    return c->gpr[insn->base] + (uint64_t)(int64_t)insn->disp;
}

uint64_t soft_linear(struct soft_cpu *c, unsigned segment, uint64_t offset, unsigned size_bytes,
                     enum soft_access access)
{
    return offset;
}

uint64_t soft_ea(struct soft_cpu *c, const struct soft_insn *insn, unsigned size_bytes, enum soft_access access)
{
    return soft_offset(c, insn);
}

uint64_t soft_load_slow(struct soft_cpu *c, uint64_t linear, unsigned size_bytes)
{
    uint64_t value = 0;

    memcpy(&value, (const void *)linear, size_bytes);
    return value;
}

void soft_store_slow(struct soft_cpu *c, uint64_t linear, unsigned size_bytes, uint64_t value)
{
    memcpy((void *)linear, &value, size_bytes);
}

void soft_read_bytes(struct soft_cpu *c, uint64_t linear, void *buffer, unsigned len_bytes)
{
    memcpy(buffer, (const void *)linear, len_bytes);
}

void soft_write_bytes(struct soft_cpu *c, uint64_t linear, const void *buffer, unsigned len_bytes)
{
    memcpy((void *)linear, buffer, len_bytes);
}

void soft_probe_write(struct soft_cpu *c, uint64_t linear, unsigned size_bytes)
{
}

uint32_t soft_arithmetic_flags(const struct soft_cpu *c)
{
    assert_int_equal(c->cc_op, SOFT_CC(CC_FLAGS, 0));
    return (uint32_t)c->cc_src;
}

void fixture_reset(bool in_tlb)
{
    struct soft_cpu *c = &fixture_cpu;
    uint64_t page = (uintptr_t)fixture_memory;

    c->tlb = c->tlb_state.bank[SOFT_TLB_USER];
    c->tlb_tag = 1;
    *soft_tlb_entry(c, page) = (struct soft_tlb_entry){.read = in_tlb ? page + 1 : 0, .write = in_tlb ? page + 1 : 0};
    c->mode = SOFT_MODE_64 | SOFT_MODE_PROTECTED | SOFT_MODE_FLAT;
    c->cr0 = CR0_PE | CR0_NE | CR0_MP | CR0_PG;
    c->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    c->rip = 0x1000;
    memset(c->gpr, 0, sizeof(c->gpr));
    soft_set_arithmetic_flags(c, 0);
    soft_fpu_from_xsave(&c->fpu, NULL, 0);
    c->fpu.xcr0 = XSTATE_ALL;
}

int fixture_execute(const struct soft_insn *insn)
{
    struct soft_cpu *c = &fixture_cpu;
    bool raised;

    c->next_rip = c->rip + insn->length;
    soft_fpu_enter(c);
    raised = setjmp(c->fault_target) != 0;
    if (!raised) {
        insn->def->exec(c, insn);
    }
    soft_fpu_leave(c);
    return raised ? c->fault.vector : FIXTURE_NO_FAULT;
}

static const struct soft_insn_def *fixture_find(const struct soft_insn_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->defs[i].name, name) == 0) {
            return &table->defs[i];
        }
    }
    return NULL;
}

struct soft_insn fixture_insn(const char *name)
{
    const struct soft_insn_def *def = fixture_find(&soft_table_x87, name);

    if (!def) {
        def = fixture_find(&soft_table_sse, name);
    }
    assert_non_null(def);
    return (struct soft_insn){.def = def,
                              .opcode = def->opcode,
                              .modrm = (uint8_t)(def->mod == SOFT_MOD_MEMORY ? CPU_RSI : 0xc0 | (def->rm & 7)),
                              .length = 2,
                              .op_bytes = 4,
                              .addr_bytes = 8,
                              .base = CPU_RSI,
                              .index = SOFT_NO_REG,
                              .segment = CPU_DS,
                              .is_memory = def->mod == SOFT_MOD_MEMORY};
}
