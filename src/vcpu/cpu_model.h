/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which CPU a guest sees: -cpu MODEL[,+feature][,-feature][,feature=on|off], and how CPUs sit in sockets. */
#ifndef HDL_VCPU_CPU_MODEL_H
#define HDL_VCPU_CPU_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* The registers of CPUID that carry feature flags. */
enum cpu_feature_word {
    CPU_WORD_1_EDX,
    CPU_WORD_1_ECX,
    CPU_WORD_7_0_EBX,
    CPU_WORD_7_0_ECX,
    CPU_WORD_7_0_EDX,
    CPU_WORD_7_1_EAX,
    CPU_WORD_D_1_EAX,
    CPU_WORD_80000001_EDX,
    CPU_WORD_80000001_ECX,
    CPU_WORD_80000007_EDX,
    CPU_WORD_80000008_EBX,
    CPU_WORD_COUNT
};

struct cpu_model_definition;

/* Parsed -cpu. Immutable afterwards. A plain value: copies are fine, nothing is owned. */
struct cpu_model {
    const struct cpu_model_definition *definition; /* NULL: everything that the accelerator can do (host, max) */
    const char *name;                              /* static */
    uint32_t plus[CPU_WORD_COUNT];                 /* asked for: an error if the accelerator can't */
    uint32_t minus[CPU_WORD_COUNT];
    bool hide_hypervisor; /* -hypervisor or hypervisor=off: no hypervisor leaves either */
    bool hide_kvm;        /* kvm=off */
};

/* Pure. A model by name ("host", "max", "qemu64", ...). -EINVAL and an error that names the nearest one. */
int cpu_model_init(struct cpu_model *model, const char *name, struct error **err);
/* Pure. One feature, as "+name" (on) and "-name" (off) set it. -EINVAL and an error that names the nearest feature. */
int cpu_model_set_feature(struct cpu_model *model, const char *name, bool on, struct error **err);
/* Pure. All at once, as typed after -cpu: MODEL[,+feature][,-feature][,feature=on|off]... */
int cpu_model_parse(struct cpu_model *model, const char *text, struct error **err);
/* Calls fn for each model ("-cpu help"), then for each feature name. */
void cpu_model_list(void (*fn)(const char *name, const char *description, void *opaque), void *opaque);
void cpu_feature_list(void (*fn)(const char *name, void *opaque), void *opaque);

/* What an accelerator makes of a model. All words are masks of CPUID bits. */
struct cpu_identity {
    uint32_t words[CPU_WORD_COUNT];
    char vendor[13];              /* empty: the host's */
    uint32_t signature;           /* CPUID.1:EAX; 0: the host's */
    char brand[49];               /* empty: the host's */
    uint32_t max_leaf, max_xleaf; /* 0: the host's */
};
/*
 * supported: what the accelerator can do. Fills *identity; -ENOTSUP and an error that names a `+feature` which isn't in
 * supported. Flags of a named model that are missing are left out with one warning that lists them. Pure otherwise.
 */
int cpu_model_resolve(const struct cpu_model *model, const uint32_t supported[CPU_WORD_COUNT],
                      struct cpu_identity *identity, struct error **err);

/* -smp: the number of CPUs is the product. Each at least 1. */
struct cpu_topology {
    unsigned sockets, cores, threads; /* cores a socket, threads a core */
};
static inline unsigned cpu_topology_count(const struct cpu_topology *topology)
{
    return topology->sockets * topology->cores * topology->threads;
}
/* The local APIC's id of CPU `index` (0-based): each level takes a whole number of bits (SDM 3, 9.9). Pure. */
uint32_t cpu_topology_apic_id(const struct cpu_topology *topology, unsigned index);
/* Bits of an APIC id below the core number, and below the socket number. */
unsigned cpu_topology_core_shift(const struct cpu_topology *topology);
unsigned cpu_topology_socket_shift(const struct cpu_topology *topology);

#endif
