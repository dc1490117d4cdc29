/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The VM's clock (clock.h), and how fast the host's time-stamp counter is.
 *
 * Hosts without such a counter use nanoseconds.
 */
#include "vcpu/soft/clock.h"

#include <time.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "vcpu/soft/soft_vm.h"
#include "vcpu/soft/system.h"

static uint64_t clock_monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t clock_host(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return clock_monotonic_ns();
#endif
}

/* --- life and motion ---------------------------------------------------------------------------------------------- */

HDL_UNSHARED void soft_clock_init(struct soft_clock *clock)
{
    hdl_mutex_init(&clock->lock, "soft clock", LOCK_RANK_LEAF);
    clock->running = 0;
    clock->stopped_at = clock_host();
    atomic_init(&clock->offset, -clock->stopped_at);
}

void soft_clock_exit(struct soft_clock *clock)
{
    hdl_mutex_destroy(&clock->lock);
}

void soft_clock_resumed(struct soft_cpu *cpu)
{
    struct soft_clock *clock = &soft_vm_of_cpu(cpu)->clock;

    if (cpu->clock_runs) {
        return;
    }
    cpu->clock_runs = true;
    hdl_mutex_lock(&clock->lock);
    if (clock->running++ == 0) {
        uint64_t stood = clock_host() - clock->stopped_at;

        atomic_fetch_sub_explicit(&clock->offset, stood, memory_order_relaxed);
    }
    hdl_mutex_unlock(&clock->lock);
}

void soft_clock_stopped(struct soft_cpu *cpu)
{
    struct soft_clock *clock = &soft_vm_of_cpu(cpu)->clock;

    if (!cpu->clock_runs) {
        return;
    }
    cpu->clock_runs = false;
    hdl_mutex_lock(&clock->lock);
    if (--clock->running == 0) {
        clock->stopped_at = clock_host();
    }
    hdl_mutex_unlock(&clock->lock);
}

uint64_t soft_clock_read(struct soft_cpu *cpu)
{
    struct soft_clock *clock = &soft_vm_of_cpu(cpu)->clock;
    uint64_t host;

    if (likely(cpu->clock_runs)) {
        return clock_host() + atomic_load_explicit(&clock->offset, memory_order_relaxed);
    }
    hdl_mutex_lock(&clock->lock);
    host = clock->running ? clock_host() : clock->stopped_at;
    host += atomic_load_explicit(&clock->offset, memory_order_relaxed);
    hdl_mutex_unlock(&clock->lock);
    return host;
}

void soft_clock_set(struct soft_cpu *cpu, uint64_t value)
{
    struct soft_clock *clock = &soft_vm_of_cpu(cpu)->clock;

    hdl_mutex_lock(&clock->lock);
    if (!clock->running) {
        atomic_store_explicit(&clock->offset, value - clock->stopped_at, memory_order_relaxed);
    }
    hdl_mutex_unlock(&clock->lock);
}

uint64_t soft_tsc(struct soft_cpu *cpu)
{
    return soft_clock_read(cpu) + cpu->msr.tsc_adjust;
}

/* --- frequency ---------------------------------------------------------------------------------------------------- */

#define MEASURE_NS 20000000

/* Intel's leaf 0x15, or the timing leaf that hypervisors have. 0: the host doesn't say. */
static uint64_t tsc_khz_announced(void)
{
#if defined(__x86_64__)
    uint32_t eax, ebx, ecx, edx;

    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx >> 31)) {
        __cpuid(0x40000000, eax, ebx, ecx, edx);
        if (eax >= 0x40000010 && eax < 0x40000100) {
            __cpuid(0x40000010, eax, ebx, ecx, edx);
            if (eax) {
                return eax;
            }
        }
    }
    if (__get_cpuid_count(0x15, 0, &eax, &ebx, &ecx, &edx) && eax && ebx && ecx) {
        return (uint64_t)ecx * ebx / eax / 1000;
    }
#endif
    return 0;
}

/* Both clocks at one moment: the tightest of a few tries. */
static void clocks_sample(uint64_t *host, uint64_t *ns)
{
    uint64_t best = UINT64_MAX;

    for (int i = 0; i < 16; i++) {
        uint64_t before = clock_host();
        uint64_t now_ns = clock_monotonic_ns();
        uint64_t after = clock_host();

        if (after - before < best) {
            best = after - before;
            *host = before + best / 2;
            *ns = now_ns;
        }
    }
}

uint64_t soft_tsc_khz_measure(void)
{
    uint64_t host[2] = {0}, ns[2] = {0};
    uint64_t khz = tsc_khz_announced();

    if (khz) {
        return khz;
    }
    clocks_sample(&host[0], &ns[0]);
    while (clock_monotonic_ns() - ns[0] < MEASURE_NS) {
        hdl_cpu_relax();
    }
    clocks_sample(&host[1], &ns[1]);
    khz = (host[1] - host[0]) * 1000000 / (ns[1] - ns[0]);
    return khz ? khz : 1;
}
