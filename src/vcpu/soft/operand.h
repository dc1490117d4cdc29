/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Operands of an instruction, for exec functions: registers of any size, and what modrm.rm names. The vCPU's thread;
 * memory accesses may raise.
 */
#ifndef HDL_VCPU_SOFT_OPERAND_H
#define HDL_VCPU_SOFT_OPERAND_H

#include "vcpu/soft/insn.h"
#include "vcpu/soft/mem.h"
#include "vcpu/soft/segment.h"

static inline uint64_t soft_mask(unsigned size_bytes)
{
    return size_bytes == 8 ? UINT64_MAX : (UINT64_C(1) << (8 * size_bytes)) - 1;
}

/* 0..3 for 1, 2, 4, 8 bytes. */
static inline unsigned soft_log2(unsigned size_bytes)
{
    return (unsigned)__builtin_ctz(size_bytes);
}

static inline int64_t soft_sign_extend(uint64_t value, unsigned size_bytes)
{
    unsigned unused = 64 - 8 * size_bytes;

    return (int64_t)(value << unused) >> unused;
}

/* Offset of a register from the soft_cpu: without REX, byte registers 4..7 are AH, CH, DH and BH (SDM 1, 3.4.1.1). */
static inline uint8_t soft_reg_offset(unsigned reg, unsigned size_bytes, uint8_t rex)
{
    return size_bytes == 1 && !rex && reg >= 4 && reg < 8 ? (uint8_t)(8 * (reg - 4) + 1) : (uint8_t)(8 * reg);
}

static inline uint64_t soft_reg_read_at(const struct soft_cpu *cpu, uint8_t offset, unsigned size_bytes)
{
    const char *at = (const char *)cpu + offset;

    switch (size_bytes) {
    case 1:
        return *(const uint8_t *)at;
    case 2:
        return *(const uint16_t *)at;
    case 4:
        return *(const uint32_t *)at;
    default:
        return *(const uint64_t *)at;
    }
}

/* A 32-bit write clears the upper half, smaller ones leave it (SDM 1, 3.4.1.1). */
static inline void soft_reg_write_at(struct soft_cpu *cpu, uint8_t offset, unsigned size_bytes, uint64_t value)
{
    char *at = (char *)cpu + offset;

    switch (size_bytes) {
    case 1:
        *(uint8_t *)at = (uint8_t)value;
        break;
    case 2:
        *(uint16_t *)at = (uint16_t)value;
        break;
    case 4:
        *(uint64_t *)at = (uint32_t)value;
        break;
    default:
        *(uint64_t *)at = value;
    }
}

static inline uint64_t soft_reg_read(const struct soft_cpu *cpu, const struct soft_insn *insn, unsigned reg,
                                     unsigned size_bytes)
{
    return soft_reg_read_at(cpu, soft_reg_offset(reg, size_bytes, insn->rex), size_bytes);
}

static inline void soft_reg_write(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned reg, unsigned size_bytes,
                                  uint64_t value)
{
    soft_reg_write_at(cpu, soft_reg_offset(reg, size_bytes, insn->rex), size_bytes, value);
}

static inline uint64_t soft_rm_read(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned size_bytes)
{
    if (insn->is_memory) {
        return soft_load(cpu, soft_ea(cpu, insn, size_bytes, SOFT_READ), size_bytes);
    }
    return soft_reg_read(cpu, insn, insn->rm, size_bytes);
}

static inline void soft_rm_write(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned size_bytes,
                                 uint64_t value)
{
    if (insn->is_memory) {
        soft_store(cpu, soft_ea(cpu, insn, size_bytes, SOFT_WRITE), size_bytes, value);
    } else {
        soft_reg_write(cpu, insn, insn->rm, size_bytes, value);
    }
}

/*
 * A read and a write of what modrm.rm names, with nothing stored in between: soft_modify_begin gives the old value, and
 * raises whatever the write could; soft_modify_end stores the new one. Under LOCK the store succeeds only if the value
 * is still the old one: false, and *old is what it is now: compute again. Without LOCK it is always true.
 */
struct soft_modify {
    uint64_t old;
    uint64_t linear; /* of memory */
    void *host;      /* under LOCK: where one host instruction can do it */
    unsigned size_bytes;
};

void soft_modify_begin(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned size_bytes,
                       struct soft_modify *modify);
/* The same for memory at a linear address that was checked for SOFT_READ_WRITE (BTS with a register's bit offset). */
void soft_modify_begin_at(struct soft_cpu *cpu, const struct soft_insn *insn, uint64_t linear, unsigned size_bytes,
                          bool lock, struct soft_modify *modify);
bool soft_modify_end(struct soft_cpu *cpu, const struct soft_insn *insn, struct soft_modify *modify, bool lock,
                     uint64_t value);

/* Compare and exchange on the host: false, and *expected is what is there. Any alignment. */
bool soft_host_exchange(void *host, unsigned size_bytes, uint64_t *expected, uint64_t desired);

#endif
