/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IN, OUT, INS, OUTS, and who may use which port (SDM 1, chapter 18).
 *
 * The access itself is an exit like KVM's, but handled in place, outside guest code. A repeated INS or OUTS does a
 * batch of elements within a page and then comes back to itself, so that interrupts get in between.
 */
#include "vcpu/soft/code_map.h"
#include "vcpu/soft/descriptor.h"
#include "vcpu/soft/mem.h"
#include "vcpu/soft/system_insn.h"
#include "vcpu/soft/task.h"

#define PORT_BATCH_ELEMENTS 64

/* Above the IOPL, and in virtual-8086 mode, the TSS has a bit for each port that is refused. */
static void port_check(struct soft_cpu *cpu, uint16_t port, unsigned size_bytes)
{
    const struct cpu_segment *tr = &cpu->segment[CPU_TR];
    uint32_t at, bits;

    if (!(cpu->cr0 & CR0_PE) || (!soft_is_vm86(cpu) && cpu->cpl <= soft_iopl(cpu))) {
        return;
    }
    if (tr->unusable || !(tr->type & SYSTEM_IS_32) || tr->limit < TSS_IO_BASE + 1) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
    at = (uint32_t)soft_load_system(cpu, tr->base + TSS_IO_BASE, 2) + port / 8;
    if (at + 1 > tr->limit) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
    bits = (uint32_t)soft_load_system(cpu, tr->base + at, 2) >> port % 8;
    if (bits & ((1u << size_bytes) - 1)) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
}

static void port_access(struct soft_cpu *cpu, uint16_t port, unsigned size_bytes, uint32_t count, bool is_write,
                        uint8_t *data)
{
    struct vcpu_exit exit = {
        .kind = VCPU_EXIT_PIO,
        .pio = {.port = port, .size_bytes = (uint8_t)size_bytes, .count = count, .is_write = is_write, .data = data}};

    soft_quiet_begin(cpu);
    vcpu_handle_exit(soft_common(cpu), &exit);
    soft_quiet_end(cpu);
    soft_io_breakpoint(cpu, port, size_bytes);
}

/* There are no 64-bit ports. */
static unsigned port_bytes(const struct soft_insn *insn)
{
    return MIN(insn->op_bytes, 4);
}

/* --- IN and OUT --------------------------------------------------------------------------------------------------- */

/* E4..E7 name the port, EC..EF have it in DX. */
static uint16_t port_number(const struct soft_cpu *cpu, const struct soft_insn *insn)
{
    return insn->opcode & 8 ? (uint16_t)cpu->gpr[CPU_RDX] : insn->imm & 0xff;
}

void soft_exec_in(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint16_t port = port_number(cpu, insn);
    unsigned bytes = port_bytes(insn);
    uint32_t value = 0;

    port_check(cpu, port, bytes);
    port_access(cpu, port, bytes, 1, false, (uint8_t *)&value);
    if (bytes == 1) {
        cpu->gpr[CPU_RAX] = (cpu->gpr[CPU_RAX] & ~UINT64_C(0xff)) | (value & 0xff);
    } else {
        soft_set_gpr(cpu, CPU_RAX, bytes, value);
    }
}

void soft_exec_out(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint16_t port = port_number(cpu, insn);
    uint32_t value = (uint32_t)cpu->gpr[CPU_RAX];

    port_check(cpu, port, port_bytes(insn));
    port_access(cpu, port, port_bytes(insn), 1, true, (uint8_t *)&value);
}

/* --- INS and OUTS ------------------------------------------------------------------------------------------------- */

struct port_string {
    unsigned bytes;  /* of an element */
    unsigned index;  /* RSI or RDI */
    uint64_t offset; /* cut to the address size */
    uint64_t left;   /* elements to do, at least 1 */
    uint32_t count;  /* in this batch */
    uint64_t linear; /* of the batch */
};

static uint64_t port_address_cut(const struct soft_insn *insn, uint64_t value)
{
    return insn->addr_bytes == 2 ? (uint16_t)value : insn->addr_bytes == 4 ? (uint32_t)value : value;
}

/* How many elements from linear on lie in its page. */
static uint32_t port_batch(const struct soft_cpu *cpu, const struct port_string *string, uint64_t linear)
{
    uint64_t in_page = (SOFT_PAGE_BYTES - (linear & ~SOFT_PAGE_MASK)) / string->bytes;
    uint64_t count = MIN(string->left, (uint64_t)PORT_BATCH_ELEMENTS);

    count = MIN(count, in_page);
    return cpu->rflags & RFLAGS_DF || count == 0 ? 1 : (uint32_t)count;
}

/* Neither the address size nor the segment ends within the batch. */
static bool port_batch_fits(const struct soft_cpu *cpu, const struct soft_insn *insn, const struct cpu_segment *segment,
                            enum soft_access access, const struct port_string *string)
{
    uint32_t len_bytes = string->count * string->bytes;

    if (string->offset + len_bytes - 1 > port_address_cut(insn, UINT64_MAX)) {
        return false;
    }
    return soft_is_64(cpu) || soft_segment_allows(segment, string->offset, len_bytes, access, soft_is_protected(cpu));
}

/* False: nothing to do. The first element is checked; a batch is cut down to what its segment has room for. */
static bool port_string_begin(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned index, unsigned segment,
                              enum soft_access access, struct port_string *string)
{
    *string = (struct port_string){.bytes = port_bytes(insn), .index = index, .left = 1};
    string->offset = port_address_cut(insn, cpu->gpr[index]);
    if (insn->rep) {
        string->left = port_address_cut(insn, cpu->gpr[CPU_RCX]);
    }
    if (!string->left) {
        return false;
    }
    port_check(cpu, (uint16_t)cpu->gpr[CPU_RDX], string->bytes);
    string->linear = soft_linear(cpu, segment, string->offset, string->bytes, access);
    string->count = port_batch(cpu, string, string->linear);
    if (!port_batch_fits(cpu, insn, &cpu->segment[segment], access, string)) {
        string->count = 1;
    }
    return true;
}

/* A register of which only the address size's bits change. */
static void port_address_set(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned reg, uint64_t value)
{
    soft_set_gpr(cpu, reg, insn->addr_bytes, value);
}

static void port_string_end(struct soft_cpu *cpu, const struct soft_insn *insn, const struct port_string *string)
{
    uint64_t step = (uint64_t)string->count * string->bytes;

    if (cpu->rflags & RFLAGS_DF) {
        step = -step;
    }
    port_address_set(cpu, insn, string->index, string->offset + step);
    if (insn->rep) {
        port_address_set(cpu, insn, CPU_RCX, string->left - string->count);
        if (string->left > string->count) {
            cpu->next_rip = cpu->rip;
        }
    }
}

void soft_exec_ins(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint8_t data[PORT_BATCH_ELEMENTS * 4];
    struct port_string string;

    if (!port_string_begin(cpu, insn, CPU_RDI, CPU_ES, SOFT_WRITE, &string)) {
        return;
    }
    /* What was read from the port can't be put back. */
    soft_probe_write(cpu, string.linear, string.count * string.bytes);
    port_access(cpu, (uint16_t)cpu->gpr[CPU_RDX], string.bytes, string.count, false, data);
    soft_write_bytes(cpu, string.linear, data, string.count * string.bytes);
    port_string_end(cpu, insn, &string);
}

void soft_exec_outs(struct soft_cpu *cpu, const struct soft_insn *insn)
{
    uint8_t data[PORT_BATCH_ELEMENTS * 4];
    struct port_string string;

    if (!port_string_begin(cpu, insn, CPU_RSI, insn->segment, SOFT_READ, &string)) {
        return;
    }
    soft_read_bytes(cpu, string.linear, data, string.count * string.bytes);
    port_access(cpu, (uint16_t)cpu->gpr[CPU_RDX], string.bytes, string.count, true, data);
    port_string_end(cpu, insn, &string);
}
