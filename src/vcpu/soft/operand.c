/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Operands that are read and written: with LOCK as one atomic operation of the host on guest memory (operand.h). No
 * state of its own.
 */
#include "vcpu/soft/operand.h"

#include "vcpu/soft/host_lock.h"

bool soft_host_exchange(void *host, unsigned size_bytes, uint64_t *expected, uint64_t desired)
{
    switch (size_bytes) {
    case 1:
        return soft_host_exchange8(host, expected, desired);
    case 2:
        return soft_host_exchange16(host, expected, desired);
    case 4:
        return soft_host_exchange32(host, expected, desired);
    default:
        return soft_host_exchange64(host, expected, desired);
    }
}

void soft_modify_begin_at(struct soft_cpu *cpu, const struct soft_insn *insn, uint64_t linear, unsigned size_bytes,
                          bool lock, struct soft_modify *modify)
{
    *modify = (struct soft_modify){.linear = linear, .size_bytes = size_bytes};
    if (!lock) {
        soft_probe_write(cpu, linear, size_bytes);
        modify->old = soft_load(cpu, linear, size_bytes);
        return;
    }
    modify->host = soft_reach_modify(cpu, linear, size_bytes);
    if (unlikely(!modify->host)) {
        modify->host = soft_lock_begin(cpu, linear, size_bytes);
    }
    modify->old = modify->host ? soft_host_load(modify->host, size_bytes) : soft_load_slow(cpu, linear, size_bytes);
}

void soft_modify_begin(struct soft_cpu *cpu, const struct soft_insn *insn, unsigned size_bytes,
                       struct soft_modify *modify)
{
    if (insn->is_memory) {
        soft_modify_begin_at(cpu, insn, soft_ea(cpu, insn, size_bytes, SOFT_READ_WRITE), size_bytes, insn->lock,
                             modify);
    } else {
        *modify = (struct soft_modify){.old = soft_reg_read(cpu, insn, insn->rm, size_bytes), .size_bytes = size_bytes};
    }
}

bool soft_modify_end(struct soft_cpu *cpu, const struct soft_insn *insn, struct soft_modify *modify, bool lock,
                     uint64_t value)
{
    if (!insn->is_memory) {
        soft_reg_write(cpu, insn, insn->rm, modify->size_bytes, value);
    } else if (!lock) {
        soft_store(cpu, modify->linear, modify->size_bytes, value);
    } else if (modify->host) {
        return soft_host_exchange(modify->host, modify->size_bytes, &modify->old, value);
    } else {
        soft_store_slow(cpu, modify->linear, modify->size_bytes, value);
        soft_lock_end(cpu);
    }
    return true;
}
