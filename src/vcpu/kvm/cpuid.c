/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUID: what KVM can do, cut down to the chosen model once a VM, and given each vCPU's own ids.
 *
 * Leaves that describe the host's topology, caches' sharing, performance counters and power management are rewritten or
 * emptied, because they would lie about the guest. Layouts: Intel SDM 2, CPUID; AMD APM 3, appendix E; KVM's own
 * leaves: Documentation/virt/kvm/x86/cpuid.rst.
 */
#include <asm/kvm_para.h>
#include <errno.h>
#include <string.h>

#include "vcpu/kvm/kvm_vm.h"

#define LEAF_HYPERVISOR     UINT32_C(0x40000000)
#define LEAF_HYPERVISOR_END UINT32_C(0x4fffffff)
#define ECX1_TSC_DEADLINE   (UINT32_C(1) << 24)
#define ECX1_OSXSAVE        (UINT32_C(1) << 27)
#define ECX1_HYPERVISOR     (UINT32_C(1) << 31)
#define ECX1_X2APIC         (UINT32_C(1) << 21)
#define EDX1_HTT            (UINT32_C(1) << 28)
#define CMP_LEGACY          (UINT32_C(1) << 1)
/* What KVM does only with a local APIC of its own. */
#define KVM_PV_APIC_BITS                                                                                               \
    (1u << KVM_FEATURE_PV_EOI | 1u << KVM_FEATURE_PV_UNHALT | 1u << KVM_FEATURE_PV_SEND_IPI |                          \
     1u << KVM_FEATURE_PV_SCHED_YIELD | 1u << KVM_FEATURE_ASYNC_PF | 1u << KVM_FEATURE_ASYNC_PF_VMEXIT |               \
     1u << KVM_FEATURE_ASYNC_PF_INT | 1u << KVM_FEATURE_MSI_EXT_DEST_ID)

typedef struct kvm_cpuid_entry2 cpuid_entry;

static cpuid_entry *cpuid_find(struct kvm_cpuid2 *cpuid, uint32_t leaf, uint32_t subleaf)
{
    for (uint32_t i = 0; i < cpuid->nent; i++) {
        cpuid_entry *entry = &cpuid->entries[i];

        if (entry->function == leaf && (!(entry->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || entry->index == subleaf)) {
            return entry;
        }
    }
    return NULL;
}

/* Where each feature word stands. NULL if the host has no such leaf. */
static uint32_t *cpuid_word(struct kvm_cpuid2 *cpuid, enum cpu_feature_word word)
{
    static const struct {
        uint32_t leaf, subleaf;
        char reg;
    } places[CPU_WORD_COUNT] = {
        [CPU_WORD_1_EDX] = {1, 0, 'd'},
        [CPU_WORD_1_ECX] = {1, 0, 'c'},
        [CPU_WORD_7_0_EBX] = {7, 0, 'b'},
        [CPU_WORD_7_0_ECX] = {7, 0, 'c'},
        [CPU_WORD_7_0_EDX] = {7, 0, 'd'},
        [CPU_WORD_7_1_EAX] = {7, 1, 'a'},
        [CPU_WORD_D_1_EAX] = {0xd, 1, 'a'},
        [CPU_WORD_80000001_EDX] = {0x80000001, 0, 'd'},
        [CPU_WORD_80000001_ECX] = {0x80000001, 0, 'c'},
        [CPU_WORD_80000007_EDX] = {0x80000007, 0, 'd'},
        [CPU_WORD_80000008_EBX] = {0x80000008, 0, 'b'},
    };
    cpuid_entry *entry = cpuid_find(cpuid, places[word].leaf, places[word].subleaf);

    if (!entry) {
        return NULL;
    }
    switch (places[word].reg) {
    case 'a':
        return &entry->eax;
    case 'b':
        return &entry->ebx;
    case 'c':
        return &entry->ecx;
    default:
        return &entry->edx;
    }
}

/* --- once a VM -------------------------------------------------------------------------------------------------- */

static struct kvm_cpuid2 *cpuid_supported(struct kvm_vm *kvm, struct error **err)
{
    struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + KVM_CPUID_MAX * sizeof(cpuid->entries[0]));
    int ret;

    if (!cpuid) {
        error_set(err, -ENOMEM, "out of memory");
        return NULL;
    }
    cpuid->nent = KVM_CPUID_MAX;
    ret = kvm_ioctl(kvm->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid);
    if (ret < 0) {
        error_set(err, ret, "accelerator 'kvm': can't learn what CPU it offers: %s", strerror(-ret));
        free(cpuid);
        return NULL;
    }
    return cpuid;
}

/* What depends on the VM's interrupt controllers and isn't in KVM's list. */
static void cpuid_adjust_supported(struct kvm_vm *kvm, struct kvm_cpuid2 *cpuid)
{
    uint32_t *ecx = cpuid_word(cpuid, CPU_WORD_1_ECX);
    bool lapic = kvm->common.config.irqchip != VM_IRQCHIP_USER;

    if (!ecx) {
        return;
    }
    *ecx |= ECX1_HYPERVISOR;
    *ecx &= ~ECX1_OSXSAVE; /* follows CR4 */
    if (lapic && kvm_capability(kvm->fd, KVM_CAP_TSC_DEADLINE_TIMER)) {
        *ecx |= ECX1_TSC_DEADLINE;
    } else if (!lapic) {
        *ecx &= ~(ECX1_TSC_DEADLINE | ECX1_X2APIC);
    }
}

static int cpuid_apply_words(struct kvm_cpuid2 *cpuid, const struct cpu_model *model, struct cpu_identity *identity,
                             struct error **err)
{
    uint32_t supported[CPU_WORD_COUNT];
    int ret;

    for (int i = 0; i < CPU_WORD_COUNT; i++) {
        uint32_t *word = cpuid_word(cpuid, i);

        supported[i] = word ? *word : 0;
    }
    ret = cpu_model_resolve(model, supported, identity, err);
    if (ret < 0) {
        return ret;
    }
    for (int i = 0; i < CPU_WORD_COUNT; i++) {
        uint32_t *word = cpuid_word(cpuid, i);

        if (word) {
            *word = identity->words[i];
        }
    }
    return 0;
}

static void cpuid_set_vendor(cpuid_entry *entry, const char *vendor)
{
    if (entry) {
        memcpy(&entry->ebx, vendor, 4);
        memcpy(&entry->edx, vendor + 4, 4);
        memcpy(&entry->ecx, vendor + 8, 4);
    }
}

static void cpuid_apply_names(struct kvm_cpuid2 *cpuid, const struct cpu_identity *identity)
{
    cpuid_entry *entry = cpuid_find(cpuid, 1, 0);

    if (identity->vendor[0]) {
        cpuid_set_vendor(cpuid_find(cpuid, 0, 0), identity->vendor);
        cpuid_set_vendor(cpuid_find(cpuid, 0x80000000, 0), identity->vendor);
    }
    if (identity->signature && entry) {
        entry->eax = identity->signature;
        entry = cpuid_find(cpuid, 0x80000001, 0);
        if (entry) {
            entry->eax = identity->signature;
        }
    }
    for (unsigned i = 0; identity->brand[0] && i < 3; i++) {
        entry = cpuid_find(cpuid, 0x80000002 + i, 0);
        if (entry) {
            memcpy(&entry->eax, identity->brand + 16 * i, 16); /* eax, ebx, ecx, edx follow each other */
        }
    }
}

static void cpuid_empty(struct kvm_cpuid2 *cpuid, uint32_t leaf)
{
    for (uint32_t i = 0; i < cpuid->nent; i++) {
        cpuid_entry *entry = &cpuid->entries[i];

        if (entry->function == leaf) {
            entry->eax = entry->ebx = entry->ecx = entry->edx = 0;
        }
    }
}

static void cpuid_hide_hypervisor(struct kvm_cpuid2 *cpuid)
{
    for (uint32_t i = 0; i < cpuid->nent; i++) {
        cpuid_entry *entry = &cpuid->entries[i];

        if (entry->function >= LEAF_HYPERVISOR && entry->function <= LEAF_HYPERVISOR_END) {
            cpuid->entries[i--] = cpuid->entries[--cpuid->nent];
        }
    }
}

int kvm_cpuid_init(struct kvm_vm *kvm, struct error **err)
{
    const struct vm_config *config = &kvm->common.config;
    struct kvm_cpuid2 *cpuid = cpuid_supported(kvm, err);
    struct cpu_identity identity;
    cpuid_entry *features;
    int ret;

    if (!cpuid) {
        return -ENOTSUP;
    }
    cpuid_adjust_supported(kvm, cpuid);
    ret = cpuid_apply_words(cpuid, &config->cpu, &identity, err);
    if (ret < 0) {
        free(cpuid);
        return ret;
    }
    cpuid_apply_names(cpuid, &identity);
    cpuid_empty(cpuid, 5);          /* MONITOR */
    cpuid_empty(cpuid, 0xa);        /* performance counters */
    cpuid_empty(cpuid, 0x8000000a); /* nested virtualisation */
    if (config->cpu.hide_hypervisor || config->cpu.hide_kvm) {
        cpuid_hide_hypervisor(cpuid);
    }
    features = cpuid_find(cpuid, LEAF_HYPERVISOR + 1, 0);
    if (features && config->irqchip == VM_IRQCHIP_USER) {
        features->eax &= ~KVM_PV_APIC_BITS;
    }
    kvm->cpuid = cpuid;
    return 0;
}

/* --- each vCPU -------------------------------------------------------------------------------------------------- */

/* Leaf 1, and its like on AMD: the initial APIC id and how many ids a socket takes. */
static void cpuid_set_ids(struct kvm_cpuid2 *cpuid, const struct vcpu *vcpu)
{
    const struct cpu_topology *topology = &vcpu->vm->config.topology;
    unsigned socket_cpus = topology->cores * topology->threads;
    unsigned socket_shift = cpu_topology_socket_shift(topology);
    cpuid_entry *entry = cpuid_find(cpuid, 1, 0);

    if (entry) {
        entry->ebx = (vcpu->apic_id & 0xff) << 24 | MIN(1u << socket_shift, 255u) << 16 | (entry->ebx & 0xff00);
        entry->edx = socket_cpus > 1 ? entry->edx | EDX1_HTT : entry->edx & ~EDX1_HTT;
    }
    entry = cpuid_find(cpuid, 0x80000001, 0);
    if (entry) {
        entry->ecx = socket_cpus > 1 ? entry->ecx | CMP_LEGACY : entry->ecx & ~CMP_LEGACY;
    }
    entry = cpuid_find(cpuid, 0x80000008, 0);
    if (entry) {
        entry->ecx = socket_cpus > 1 ? socket_shift << 12 | (socket_cpus - 1) : 0;
    }
    entry = cpuid_find(cpuid, 0x8000001e, 0);
    if (entry) {
        entry->eax = vcpu->apic_id;
        entry->ebx = vcpu->index / topology->threads % topology->cores | (topology->threads - 1) << 8;
        entry->ecx = vcpu->index / socket_cpus;
    }
}

/* How many CPUs share each cache: those of a core, and at the last level those of a socket. */
static void cpuid_set_caches(struct kvm_cpuid2 *cpuid, const struct cpu_topology *topology)
{
    uint32_t core_ids = 1u << cpu_topology_core_shift(topology);
    uint32_t socket_ids = 1u << cpu_topology_socket_shift(topology);

    for (uint32_t i = 0; i < cpuid->nent; i++) {
        cpuid_entry *entry = &cpuid->entries[i];

        if ((entry->function == 4 || entry->function == 0x8000001d) && (entry->eax & 0x1f)) {
            uint32_t level = entry->eax >> 5 & 7;
            uint32_t sharing = level >= 3 ? socket_ids : core_ids;

            entry->eax = (entry->eax & 0x3fff) | (sharing - 1) << 14;
            if (entry->function == 4) {
                entry->eax |= (MIN(socket_ids / core_ids, 64u) - 1) << 26;
            }
        }
    }
}

static void cpuid_drop(struct kvm_cpuid2 *cpuid, uint32_t leaf)
{
    for (uint32_t i = 0; i < cpuid->nent; i++) {
        if (cpuid->entries[i].function == leaf) {
            cpuid->entries[i--] = cpuid->entries[--cpuid->nent];
        }
    }
}

/* Leaves 0xb and 0x1f: threads, then cores, then nothing. */
static void cpuid_set_topology(struct kvm_cpuid2 *cpuid, const struct vcpu *vcpu, uint32_t leaf)
{
    const struct cpu_topology *topology = &vcpu->vm->config.topology;
    const cpuid_entry levels[] = {
        {.index = 0, .eax = cpu_topology_core_shift(topology), .ebx = topology->threads, .ecx = 0 | 1 << 8},
        {.index = 1,
         .eax = cpu_topology_socket_shift(topology),
         .ebx = topology->threads * topology->cores,
         .ecx = 1 | 2 << 8},
        {.index = 2, .ecx = 2},
    };

    cpuid_drop(cpuid, leaf);
    for (size_t i = 0; i < ARRAY_SIZE(levels) && cpuid->nent < KVM_CPUID_MAX; i++) {
        cpuid_entry *entry = &cpuid->entries[cpuid->nent++];

        *entry = levels[i];
        entry->function = leaf;
        entry->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
        entry->edx = vcpu->apic_id;
    }
}

int kvm_cpuid_set(struct kvm_vcpu *vcpu, struct error **err)
{
    struct kvm_vm *kvm = kvm_vm_of(vcpu->common.vm);
    size_t bytes = sizeof(*kvm->cpuid) + KVM_CPUID_MAX * sizeof(kvm->cpuid->entries[0]);
    HDL_AUTO_FREE struct kvm_cpuid2 *cpuid = malloc(bytes);
    cpuid_entry *entry;
    int ret;

    if (!cpuid) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    memcpy(cpuid, kvm->cpuid, bytes);
    cpuid_set_ids(cpuid, &vcpu->common);
    cpuid_set_caches(cpuid, &vcpu->common.vm->config.topology);
    entry = cpuid_find(cpuid, 0, 0);
    if (entry && entry->eax >= 0xb) {
        cpuid_set_topology(cpuid, &vcpu->common, 0xb);
    }
    if (entry && entry->eax >= 0x1f) {
        cpuid_set_topology(cpuid, &vcpu->common, 0x1f);
    }
    entry = cpuid_find(cpuid, 1, 0);
    vcpu->common.signature = entry ? entry->eax : 0;
    ret = kvm_ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid);
    return ret < 0 ? error_set(err, ret, "accelerator 'kvm': can't set vCPU %u's CPUID: %s", vcpu->common.index,
                               strerror(-ret))
                   : 0;
}
