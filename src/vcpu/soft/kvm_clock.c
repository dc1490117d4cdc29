/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KVM's paravirtual clock, as Linux's Documentation/virt/kvm/x86/msr.rst describes it: the guest computes nanoseconds
 * from its time-stamp counter by numbers that stand in its memory.
 *
 * Time zero is the VM's counter's zero, and the counter stops with the VM; so each CPU's numbers hold for ever, and are
 * written only when the guest asks for them or moves its counter. All CPUs agree (the "stable" flag).
 */
#include <time.h>

#include "memory/dma.h"
#include "vcpu/soft/clock.h"
#include "vcpu/soft/soft_vm.h"

#define CLOCK_ENABLED UINT64_C(1)
#define CLOCK_STABLE  1

/* In guest memory. version is odd while the rest is being written. */
struct kvm_clock_system {
    uint32_t version, pad0;
    uint64_t tsc_timestamp, system_time;
    uint32_t tsc_to_system_mul;
    int8_t tsc_shift;
    uint8_t flags, pad[2];
};
_Static_assert(sizeof(struct kvm_clock_system) == 32, "KVM's layout");

struct kvm_clock_wall {
    uint32_t version, sec, nsec;
};
_Static_assert(sizeof(struct kvm_clock_wall) == 12, "KVM's layout");

void soft_kvm_clock_scale(uint64_t tsc_khz, uint32_t *multiplier, int8_t *shift)
{
    uint64_t hz = tsc_khz * 1000;
    /* Nanoseconds a tick, as a 64.64 fraction; then its leading 32 bits. */
    unsigned __int128 ratio = ((unsigned __int128)1000000000 << 64) / hz;
    int exponent = 0;

    while (ratio >> 64) {
        ratio >>= 1;
        exponent++;
    }
    while (!(ratio >> 63)) {
        ratio <<= 1;
        exponent--;
    }
    *multiplier = (uint32_t)(ratio >> 32);
    *shift = (int8_t)exponent;
}

uint64_t soft_kvm_clock_ns(uint64_t ticks, uint32_t multiplier, int8_t shift)
{
    ticks = shift < 0 ? ticks >> -shift : ticks << shift;
    return (uint64_t)((unsigned __int128)ticks * multiplier >> 32);
}

/* The version protocol: odd, then the whole with the odd version, then even. x86 keeps stores in order. */
static void clock_store(struct soft_cpu *cpu, uint64_t gpa, void *record, uint32_t *version, uint64_t len_bytes)
{
    struct address_space *memory = soft_common(cpu)->vm->config.memory;

    if (dma_read(memory, gpa, version, sizeof(*version)) != ACCESS_OK) {
        return;
    }
    *version |= 1;
    dma_write(memory, gpa, version, sizeof(*version));
    dma_write(memory, gpa, record, len_bytes);
    *version += 1;
    dma_write(memory, gpa, version, sizeof(*version));
}

void soft_kvm_clock_publish(struct soft_cpu *cpu)
{
    uint64_t msr = cpu->msr.kvm_system_time;
    struct kvm_clock_system record = {.tsc_timestamp = cpu->msr.tsc_adjust, .flags = CLOCK_STABLE};

    if (msr & CLOCK_ENABLED) {
        soft_kvm_clock_scale(soft_vm_of_cpu(cpu)->tsc_khz, &record.tsc_to_system_mul, &record.tsc_shift);
        clock_store(cpu, msr & ~CLOCK_ENABLED, &record, &record.version, sizeof(record));
    }
}

void soft_kvm_wall_clock_publish(struct soft_cpu *cpu)
{
    struct kvm_clock_wall record = {0};
    struct timespec now;
    uint32_t multiplier;
    int8_t shift;
    uint64_t start_ns;

    soft_kvm_clock_scale(soft_vm_of_cpu(cpu)->tsc_khz, &multiplier, &shift);
    clock_gettime(CLOCK_REALTIME, &now);
    start_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    start_ns -= soft_kvm_clock_ns(soft_clock_read(cpu), multiplier, shift);
    record.sec = (uint32_t)(start_ns / 1000000000);
    record.nsec = (uint32_t)(start_ns % 1000000000);
    clock_store(cpu, cpu->msr.kvm_wall_clock, &record, &record.version, sizeof(record));
}
