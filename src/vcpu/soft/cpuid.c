/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUID's leaves (Intel SDM 2, CPUID; AMD APM 3, appendix E; KVM's in Linux's Documentation/virt/kvm/x86/cpuid.rst).
 *
 * Feature words are the model's (feature.c); ids and sharing come from the VM's topology, sizes from what the software
 * CPU has. Caches are told of as a real one's would be, because guests size and place things by them.
 */
#include <string.h>

#include "vcpu/soft/mmu.h"
#include "vcpu/soft/soft_vm.h"
#include "vcpu/soft/system.h"

#define MAX_LEAF            0x15
#define MAX_EXTENDED_LEAF   UINT32_C(0x8000001e)
#define HYPERVISOR_LEAF     UINT32_C(0x40000000)
#define HYPERVISOR_MAX_LEAF UINT32_C(0x40000010)
#define LINEAR_BITS         48
#define BUS_KHZ             1000000 /* the local APIC's timer counts nanoseconds */
#define LINE_BYTES          64

/* KVM's features: no delay is needed behind port accesses; the clock's second registers; all CPUs' clocks agree. */
#define KVM_FEATURES (UINT32_C(1) << 1 | UINT32_C(1) << 3 | UINT32_C(1) << 24)

enum { EAX, EBX, ECX, EDX };

struct cpuid_cache {
    uint8_t kind, level; /* 1: data, 2: instructions, 3: both */
    uint8_t ways;
    uint32_t sets;
};
static const struct cpuid_cache cpuid_caches[] = {
    {1, 1, 8, 64},     /* 32 KiB */
    {2, 1, 8, 64},     /* 32 KiB */
    {3, 2, 8, 1024},   /* 512 KiB */
    {3, 3, 16, 16384}, /* 16 MiB */
};

static const struct cpu_topology *cpuid_topology(struct soft_cpu *cpu)
{
    return &soft_common(cpu)->vm->config.topology;
}

static unsigned cpuid_socket_cpus(struct soft_cpu *cpu)
{
    return cpuid_topology(cpu)->cores * cpuid_topology(cpu)->threads;
}

/* --- who it is ---------------------------------------------------------------------------------------------------- */

static void cpuid_vendor(struct soft_cpu *cpu, uint32_t max_leaf, uint32_t r[4])
{
    const char *vendor = cpu->features.identity.vendor;

    r[EAX] = max_leaf;
    memcpy(&r[EBX], vendor, 4);
    memcpy(&r[EDX], vendor + 4, 4);
    memcpy(&r[ECX], vendor + 8, 4);
}

/* The APIC bit follows the APIC's own switch. */
static bool cpuid_apic_is_on(struct soft_cpu *cpu)
{
    uint64_t base;

    return soft_msr_read(cpu, 0x1b, &base) && (base & 0x800);
}

static void cpuid_features(struct soft_cpu *cpu, uint32_t r[4])
{
    const uint32_t *words = cpu->features.identity.words;
    unsigned socket_ids = 1u << cpu_topology_socket_shift(cpuid_topology(cpu));

    r[EAX] = cpu->features.identity.signature;
    r[EBX] = (soft_common(cpu)->apic_id & 0xff) << 24 | MIN(socket_ids, 255u) << 16 | LINE_BYTES / 8 << 8;
    r[ECX] = words[CPU_WORD_1_ECX];
    r[EDX] = words[CPU_WORD_1_EDX];
    if (cpu->cr4 & CR4_OSXSAVE) {
        r[ECX] |= UINT32_C(1) << 27;
    }
    if (cpuid_socket_cpus(cpu) > 1) {
        r[EDX] |= UINT32_C(1) << 28;
    }
    if ((r[EDX] & UINT32_C(1) << 9) && !cpuid_apic_is_on(cpu)) {
        r[EDX] &= ~(UINT32_C(1) << 9);
    }
}

static void cpuid_brand(struct soft_cpu *cpu, unsigned part, uint32_t r[4])
{
    memcpy(r, cpu->features.identity.brand + 16 * part, 16);
}

/* --- topology and caches ------------------------------------------------------------------------------------------ */

/* Leaf 4, and AMD's 0x8000001d, which counts sharing alike but doesn't have cores. */
static void cpuid_cache(struct soft_cpu *cpu, uint32_t subleaf, bool with_cores, uint32_t r[4])
{
    uint32_t core_ids = 1u << cpu_topology_core_shift(cpuid_topology(cpu));
    uint32_t socket_ids = 1u << cpu_topology_socket_shift(cpuid_topology(cpu));
    const struct cpuid_cache *cache;

    if (subleaf >= ARRAY_SIZE(cpuid_caches)) {
        return;
    }
    cache = &cpuid_caches[subleaf];
    r[EAX] = cache->kind | cache->level << 5 | 1 << 8; /* self-initialising */
    r[EAX] |= ((cache->level >= 3 ? socket_ids : core_ids) - 1) << 14;
    if (with_cores) {
        r[EAX] |= (MIN(socket_ids / core_ids, 64u) - 1) << 26;
    }
    r[EBX] = (LINE_BYTES - 1) | (uint32_t)(cache->ways - 1) << 22;
    r[ECX] = cache->sets - 1;
}

static uint32_t cpuid_cache_kib(unsigned index)
{
    return cpuid_caches[index].sets * cpuid_caches[index].ways * LINE_BYTES / 1024;
}

/* AMD's leaves 0x80000005 and 0x80000006. TLB sizes: as many entries as the encoding's usual. */
static void cpuid_amd_l1(uint32_t r[4])
{
    uint32_t l1 = cpuid_cache_kib(0) << 24 | (uint32_t)cpuid_caches[0].ways << 16 | 1 << 8 | LINE_BYTES;

    r[EAX] = r[EBX] = UINT32_C(0xff40ff40);
    r[ECX] = r[EDX] = l1;
}

static void cpuid_amd_l2(uint32_t r[4])
{
    r[EAX] = 0;
    r[EBX] = UINT32_C(0x42004200);
    r[ECX] = cpuid_cache_kib(2) << 16 | 6 << 12 | 1 << 8 | LINE_BYTES;                 /* 8 ways */
    r[EDX] = cpuid_cache_kib(3) / 512 << 18 | UINT32_C(8) << 12 | 1 << 8 | LINE_BYTES; /* 16 ways */
}

/* Leaf 0xb: threads, then cores, then nothing. */
static void cpuid_levels(struct soft_cpu *cpu, uint32_t subleaf, uint32_t r[4])
{
    const struct cpu_topology *topology = cpuid_topology(cpu);

    r[ECX] = subleaf & 0xff;
    r[EDX] = soft_common(cpu)->apic_id;
    if (subleaf == 0) {
        r[EAX] = cpu_topology_core_shift(topology);
        r[EBX] = topology->threads;
        r[ECX] |= 1 << 8;
    } else if (subleaf == 1) {
        r[EAX] = cpu_topology_socket_shift(topology);
        r[EBX] = cpuid_socket_cpus(cpu);
        r[ECX] |= 2 << 8;
    }
}

static void cpuid_amd_ids(struct soft_cpu *cpu, uint32_t r[4])
{
    const struct cpu_topology *topology = cpuid_topology(cpu);
    unsigned index = soft_common(cpu)->index;

    r[EAX] = soft_common(cpu)->apic_id;
    r[EBX] = index / topology->threads % topology->cores | (topology->threads - 1) << 8;
    r[ECX] = index / cpuid_socket_cpus(cpu);
}

static void cpuid_amd_sizes(struct soft_cpu *cpu, uint32_t r[4])
{
    unsigned socket_cpus = cpuid_socket_cpus(cpu);

    r[EAX] = LINEAR_BITS << 8 | SOFT_PHYSICAL_BITS;
    r[EBX] = cpu->features.identity.words[CPU_WORD_80000008_EBX];
    if (socket_cpus > 1) {
        r[ECX] = cpu_topology_socket_shift(cpuid_topology(cpu)) << 12 | (socket_cpus - 1);
    }
}

static void cpuid_amd_features(struct soft_cpu *cpu, uint32_t r[4])
{
    const uint32_t *words = cpu->features.identity.words;
    /* AMD repeats leaf 1's bits, but for those that this leaf has another meaning for. */
    const uint32_t repeated = UINT32_C(0x0183f3ff);

    r[EAX] = cpu->features.identity.signature;
    r[ECX] = words[CPU_WORD_80000001_ECX];
    r[EDX] = words[CPU_WORD_80000001_EDX];
    if (cpu->features.is_amd) {
        r[EDX] |= words[CPU_WORD_1_EDX] & repeated;
    }
    if (cpuid_socket_cpus(cpu) > 1) {
        r[ECX] |= 1 << 1; /* the cores of a socket are counted by leaf 1 */
    }
}

/* --- the rest ----------------------------------------------------------------------------------------------------- */

static void cpuid_structured(struct soft_cpu *cpu, uint32_t subleaf, uint32_t r[4])
{
    const uint32_t *words = cpu->features.identity.words;

    if (subleaf == 0) {
        r[EAX] = words[CPU_WORD_7_1_EAX] ? 1 : 0;
        r[EBX] = words[CPU_WORD_7_0_EBX];
        r[ECX] = words[CPU_WORD_7_0_ECX];
        r[EDX] = words[CPU_WORD_7_0_EDX];
    } else if (subleaf == 1) {
        r[EAX] = words[CPU_WORD_7_1_EAX];
    }
}

/* x87 and SSE only: the legacy region and the header (SDM 1, 13.4). */
static void cpuid_xsave(struct soft_cpu *cpu, uint32_t subleaf, uint32_t r[4])
{
    if (!cpu->features.has[SOFT_FEATURE_XSAVE]) {
        return;
    }
    if (subleaf == 0) {
        r[EAX] = 3;
        r[EBX] = r[ECX] = 512 + 64;
    } else if (subleaf == 1) {
        r[EAX] = cpu->features.identity.words[CPU_WORD_D_1_EAX];
    }
}

/* The counter as a ratio to a crystal that beats as fast as the local APIC's timer. */
static void cpuid_tsc(struct soft_cpu *cpu, uint32_t r[4])
{
    r[EAX] = BUS_KHZ;
    r[EBX] = (uint32_t)soft_vm_of_cpu(cpu)->tsc_khz;
    r[ECX] = BUS_KHZ * UINT32_C(1000);
}

static void cpuid_hypervisor(struct soft_cpu *cpu, uint32_t leaf, uint32_t r[4])
{
    switch (leaf) {
    case HYPERVISOR_LEAF:
        r[EAX] = HYPERVISOR_MAX_LEAF;
        memcpy(&r[EBX], "KVMK", 4);
        memcpy(&r[ECX], "VMKV", 4);
        memcpy(&r[EDX], "M\0\0", 4);
        break;
    case HYPERVISOR_LEAF + 1:
        r[EAX] = KVM_FEATURES;
        break;
    case HYPERVISOR_MAX_LEAF:
        r[EAX] = (uint32_t)soft_vm_of_cpu(cpu)->tsc_khz;
        r[EBX] = BUS_KHZ;
        break;
    }
}

static void cpuid_basic(struct soft_cpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
    switch (leaf) {
    case 0:
        cpuid_vendor(cpu, MAX_LEAF, r);
        break;
    case 1:
        cpuid_features(cpu, r);
        break;
    case 2:
        r[EAX] = cpu->features.is_amd ? 0 : 0xff01; /* "see leaf 4" */
        break;
    case 4:
        cpuid_cache(cpu, subleaf, true, r);
        break;
    case 6:
        r[EAX] = 4; /* the local APIC's timer never stops */
        break;
    case 7:
        cpuid_structured(cpu, subleaf, r);
        break;
    case 0xb:
        cpuid_levels(cpu, subleaf, r);
        break;
    case 0xd:
        cpuid_xsave(cpu, subleaf, r);
        break;
    case 0x15:
        cpuid_tsc(cpu, r);
        break;
    }
}

static void cpuid_extended(struct soft_cpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t r[4])
{
    switch (leaf) {
    case 0x80000000:
        cpuid_vendor(cpu, MAX_EXTENDED_LEAF, r);
        break;
    case 0x80000001:
        cpuid_amd_features(cpu, r);
        break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
        cpuid_brand(cpu, leaf - 0x80000002, r);
        break;
    case 0x80000005:
        cpuid_amd_l1(r);
        break;
    case 0x80000006:
        cpuid_amd_l2(r);
        break;
    case 0x80000007:
        r[EDX] = cpu->features.identity.words[CPU_WORD_80000007_EDX];
        break;
    case 0x80000008:
        cpuid_amd_sizes(cpu, r);
        break;
    case 0x8000001d:
        cpuid_cache(cpu, subleaf, false, r);
        break;
    case 0x8000001e:
        cpuid_amd_ids(cpu, r);
        break;
    }
}

void soft_cpuid(struct soft_cpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t registers[4])
{
    memset(registers, 0, 4 * sizeof(registers[0]));
    if (leaf >= 0x80000000) {
        cpuid_extended(cpu, leaf, subleaf, registers);
    } else if (leaf < HYPERVISOR_LEAF) {
        cpuid_basic(cpu, leaf, subleaf, registers);
    } else if (cpu->features.has_kvm) {
        cpuid_hypervisor(cpu, leaf, registers);
    }
}
