/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to the local APIC's files. Everything but lapic_accept, lapic_error and lapic_bus_send: own thread. */
#ifndef HDL_HW_INTC_LAPIC_INTERNAL_H
#define HDL_HW_INTC_LAPIC_INTERNAL_H

#include "hw/intc/lapic.h"

/* IA32_APIC_BASE */
#define LAPIC_BASE_BSP     UINT64_C(0x100)
#define LAPIC_BASE_X2APIC  UINT64_C(0x400)
#define LAPIC_BASE_ENABLED UINT64_C(0x800)
#define LAPIC_BASE_ADDRESS UINT64_C(0x000ffffffffff000)

#define LAPIC_SVR_ENABLED   (UINT32_C(1) << 8)
#define LAPIC_LVT_MASKED    (UINT32_C(1) << 16)
#define LAPIC_VECTOR_FIRST  16u /* lower ones are illegal */
#define LAPIC_TIMER_MODES   UINT32_C(0x60000)
#define LAPIC_TIMER_PERIOD  UINT32_C(0x20000)
#define LAPIC_TIMER_BY_TSC  UINT32_C(0x40000)
#define LAPIC_DIVIDE_WRITES UINT32_C(0xb)

/* Delivery modes, in messages and in the local vector table. */
enum lapic_mode {
    LAPIC_FIXED = 0,
    LAPIC_LOWEST = 1,
    LAPIC_SMI = 2,
    LAPIC_NMI = 4,
    LAPIC_INIT = 5,
    LAPIC_SIPI = 6,
    LAPIC_EXTINT = 7,
};

/* Bits of lapic->events. */
#define LAPIC_EVENT_TIMER UINT32_C(1) /* an armed time has come */
#define LAPIC_EVENT_ERROR UINT32_C(2) /* an error is to be told */

/* Error register */
#define LAPIC_ERROR_SEND_VECTOR    UINT32_C(0x20)
#define LAPIC_ERROR_RECEIVE_VECTOR UINT32_C(0x40)
#define LAPIC_ERROR_REGISTER       UINT32_C(0x80)

enum lapic_shorthand { LAPIC_TO_DESTINATION, LAPIC_TO_SELF, LAPIC_TO_ALL, LAPIC_TO_OTHERS };

/* An interrupt on its way. source: NULL for those that no CPU sent. wide: the destination has 32 bits. */
struct lapic_message {
    const struct lapic *source;
    enum lapic_shorthand shorthand;
    uint32_t destination;
    bool wide, logical, level, assert_level;
    enum lapic_mode mode;
    uint8_t vector;
};

static inline uint32_t lapic_load(const _Atomic uint32_t *reg)
{
    return atomic_load_explicit(reg, memory_order_relaxed);
}

static inline void lapic_store(_Atomic uint32_t *reg, uint32_t value)
{
    atomic_store_explicit(reg, value, memory_order_relaxed);
}

static inline uint64_t lapic_base(const struct lapic *lapic)
{
    return atomic_load_explicit(&lapic->base, memory_order_relaxed);
}

static inline bool lapic_is_x2apic(const struct lapic *lapic)
{
    return lapic_base(lapic) & LAPIC_BASE_X2APIC;
}

/* --- lapic.c ----------------------------------------------------------------------------------------------------- */

/* An interrupt request: any thread, lock-free. */
void lapic_accept(struct lapic *lapic, uint8_t vector, bool level);
/* Notes an error, and tells it by the error LVT: any thread, lock-free. */
void lapic_error(struct lapic *lapic, uint32_t bits);
/* An entry of the local vector table fires, unless it is masked. */
void lapic_fire_lvt(struct lapic *lapic, enum lapic_lvt which);
/* What other threads have left is taken in. */
void lapic_poll(struct lapic *lapic);
void lapic_end_of_interrupt(struct lapic *lapic);
void lapic_write_tpr(struct lapic *lapic, uint8_t tpr);
/* The CPU asks again if there is something to ask for: after a change that may let an interrupt through. */
void lapic_recheck(struct lapic *lapic);
/* All but id and base. */
void lapic_clear(struct lapic *lapic);

/* --- lapic_bus.c ------------------------------------------------------------------------------------------------- */

/* Any thread, lock-free. */
void lapic_bus_send(struct lapic_bus *bus, const struct lapic_message *message);
/* The logical destination register, which x2APIC derives from the id (SDM 3, 11.12.10.2). */
uint32_t lapic_logical_id(const struct lapic *lapic);

/* --- lapic_regs.c ------------------------------------------------------------------------------------------------ */

extern const struct region_ops lapic_region_ops; /* opaque: a struct lapic_page */
/* Stores IA32_APIC_BASE and puts the page where it says. Takes the memory map's lock if the page moves. */
void lapic_set_base(struct lapic *lapic, uint64_t base);

/* --- lapic_timer.c ----------------------------------------------------------------------------------------------- */

/* The bus's loop thread. 0 or a negative errno. */
int lapic_timer_init(struct lapic *lapic);
void lapic_timer_destroy(struct lapic *lapic);
void lapic_timer_reset(struct lapic *lapic);
/* What has expired fires; then the timer is armed for what comes next. */
void lapic_timer_update(struct lapic *lapic);
void lapic_timer_write_lvt(struct lapic *lapic, uint32_t value);
void lapic_timer_write_initial(struct lapic *lapic, uint32_t value);
void lapic_timer_write_divide(struct lapic *lapic, uint32_t value);
uint32_t lapic_timer_current(struct lapic *lapic);
uint64_t lapic_timer_read_tsc_deadline(struct lapic *lapic);
void lapic_timer_write_tsc_deadline(struct lapic *lapic, uint64_t value);

#endif
