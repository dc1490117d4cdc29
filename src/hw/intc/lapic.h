/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Local APICs (Intel SDM 3, chapter 11), one a CPU, and what connects them: `apic`. xAPIC and x2APIC, with a timer that
 * also knows the TSC deadline. For CPUs whose accelerator has no interrupt controllers.
 *
 * Wiring: isa.isa, cpus, cpus_opaque, count, tsc_khz, pic and ioapic before realize. The CPUs outlive the device: its
 * timers wake them until it has been quiesced.
 *
 * "Own thread" below is that of the CPU that the APIC belongs to; while the CPUs stand still it is also the thread that
 * made them. No function here blocks.
 */
#ifndef HDL_HW_INTC_LAPIC_H
#define HDL_HW_INTC_LAPIC_H

#include "event/event_loop.h"
#include "hw/intc/i8259.h"
#include "hw/intc/ioapic.h"
#include "hw/isa.h"

#define LAPIC_BASE  UINT64_C(0xfee00000)
#define LAPIC_BYTES 0x1000

#define LAPIC_VECTOR_WORDS 8 /* of 32 bits each */

enum lapic_lvt { LVT_TIMER, LVT_THERMAL, LVT_PERFORMANCE, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };

/* What the APICs do to CPUs. index: 0..count-1; 0 is the bootstrap processor. */
struct lapic_cpu_ops {
    uint32_t (*apic_id)(void *opaque, unsigned index); /* at realize */
    /* The CPU is to ask lapic_is_pending, asleep or not. This and the next three: any thread, never block. */
    void (*interrupt)(void *opaque, unsigned index);
    void (*nmi)(void *opaque, unsigned index);
    void (*init)(void *opaque, unsigned index);
    void (*sipi)(void *opaque, unsigned index, uint8_t vector);
    uint64_t (*tsc)(void *opaque, unsigned index); /* own thread; not called if tsc_khz is 0 */
    int (*current)(void *opaque);                  /* the CPU that the calling thread is; -1: none */
};

struct lapic_bus;

/* Where registers appear: the default page, and one for each CPU that moved its APIC. Immutable, but for the address.
 */
struct lapic_page {
    struct lapic_bus *bus;
    _Atomic uint64_t address; /* written by the own thread of the CPU that moved it there */
    struct region region;
};

/* Own thread, but for the timer, whose armed time its loop reads under a lock of its own. */
struct lapic_timer {
    struct timer timer;
    uint32_t initial; /* the register */
    uint32_t divide;  /* as written */
    bool counting;
    uint64_t deadline_ns;  /* when the count reaches zero */
    uint64_t tsc_deadline; /* 0: not armed */
};

/*
 * Other threads deliver without any lock. bus, index, id: immutable. irr, tmr, events, errors: any thread. base, svr,
 * ldr, dfr, lvt, priority: written by the own thread, read by those who look for a destination, who may see the value
 * before a change as well as that after it. The rest: own thread.
 */
struct lapic {
    struct lapic_bus *bus;
    unsigned index;
    uint32_t id;
    _Atomic uint32_t irr[LAPIC_VECTOR_WORDS];
    _Atomic uint32_t tmr[LAPIC_VECTOR_WORDS];
    _Atomic uint32_t events; /* LAPIC_EVENT_* of lapic_internal.h: for the own thread to look at */
    _Atomic uint32_t errors; /* for the next write of the error register */
    _Atomic uint64_t base HDL_CACHE_ALIGNED;
    _Atomic uint32_t svr, ldr, dfr;
    _Atomic uint32_t lvt[LVT_COUNT];
    _Atomic uint8_t priority; /* PPR */
    uint32_t isr[LAPIC_VECTOR_WORDS];
    uint8_t tpr;
    uint32_t esr, icr_low, icr_high;
    struct lapic_timer timer;
    struct lapic_page moved;
};

/* Immutable after realize, but for arbiter. */
struct lapic_bus {
    struct isa_device isa; /* first */
    const struct lapic_cpu_ops *cpus;
    void *cpus_opaque;
    unsigned count;
    uint64_t tsc_khz;      /* 0: there is no TSC deadline */
    struct i8259 *pic;     /* whose INTR is LINT0 of CPU 0; or NULL */
    struct ioapic *ioapic; /* that hears of ends of level-triggered interrupts; or NULL */
    struct lapic *apics;
    struct lapic_page page;
    _Atomic uint32_t arbiter; /* any thread: who is asked first when priorities are equal */
};

extern const struct device_type lapic_bus_device_type;

/* --- messages, from any thread, lock-free ------------------------------------------------------------------------ */

/* A message-signalled interrupt (SDM 3, 11.11), from a device or an I/O APIC. 0, or -EINVAL: not an interrupt's. */
int lapic_bus_send_msi(struct lapic_bus *bus, struct msi_message message);
/* INTR has risen: CPU 0's LINT0. Any thread, under the 8259s' lock. */
void lapic_bus_lint0_rise(struct lapic_bus *bus);
/* A pulse on every CPU's LINT1: an NMI for those who want one. */
void lapic_bus_lint1_pulse(struct lapic_bus *bus);

/* --- what a CPU asks its APIC: own thread, no lock held; may take the 8259s' or the I/O APIC's ------------------- */

/* Whether there is an interrupt that the processor priority lets through, the 8259s' included. */
bool lapic_is_pending(struct lapic_bus *bus, unsigned index);
/* Its vector, now in service; or -1 if there is none any more. */
int lapic_acknowledge(struct lapic_bus *bus, unsigned index);
uint8_t lapic_get_tpr(struct lapic_bus *bus, unsigned index);
void lapic_set_tpr(struct lapic_bus *bus, unsigned index, uint8_t tpr);
/* IA32_APIC_BASE, IA32_TSC_DEADLINE and x2APIC registers (SDM 3, 11.12). False: #GP, nothing is changed. */
bool lapic_msr_read(struct lapic_bus *bus, unsigned index, uint32_t msr, uint64_t *value);
bool lapic_msr_write(struct lapic_bus *bus, unsigned index, uint32_t msr, uint64_t value);
/* The state after INIT (SDM 3, 11.4.7.3): as at power-on, but id and IA32_APIC_BASE. */
void lapic_init_signal(struct lapic_bus *bus, unsigned index);

#endif
