/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A local APIC's registers (SDM 3, 11.4.1 and 11.12): as a page of memory (xAPIC) and as model-specific registers
 * (x2APIC). Both name the same registers by the same numbers: the page's offset / 16, and the MSR's - 0x800. One table
 * says which of them exist in which way.
 *
 * The page is a lockless region: each CPU sees its own APIC there, which only its own thread touches, so there is
 * nobody to lock out. Whoever isn't a CPU sees nothing.
 *
 * A hostile guest may access anything with any value: a register that doesn't exist is an error that the APIC notes
 * (xAPIC) or #GP (x2APIC), and bits that don't exist are dropped or #GP. An access costs at most one message to each
 * CPU. Moving the page changes the memory map, as moving a PCI BAR does.
 */
#include "hw/intc/lapic_internal.h"

#define MSR_APIC_BASE    0x1bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC       0x800u

#define VERSION (0x14u | (LVT_COUNT - 1) << 16)

enum lapic_reg {
    REG_ID = 0x02,
    REG_VERSION = 0x03,
    REG_TPR = 0x08,
    REG_ARBITRATION = 0x09,
    REG_PPR = 0x0a,
    REG_EOI = 0x0b,
    REG_LDR = 0x0d,
    REG_DFR = 0x0e,
    REG_SVR = 0x0f,
    REG_ISR = 0x10, /* eight each */
    REG_TMR = 0x18,
    REG_IRR = 0x20,
    REG_ESR = 0x28,
    REG_ICR_LOW = 0x30,
    REG_ICR_HIGH = 0x31,
    REG_LVT_TIMER = 0x32, /* in the order of enum lapic_lvt */
    REG_LVT_ERROR = 0x37,
    REG_INITIAL = 0x38,
    REG_CURRENT = 0x39,
    REG_DIVIDE = 0x3e,
    REG_SELF_IPI = 0x3f,
    REG_COUNT = 0x40,
};

/* How a register may be accessed. */
enum {
    X_READ = 1, /* xAPIC */
    X_WRITE = 2,
    X2_READ = 4, /* x2APIC */
    X2_WRITE = 8,
    ALL_READ = X_READ | X2_READ,
    ALL = ALL_READ | X_WRITE | X2_WRITE,
};

/* writable: what may be set. ignored: what an x2APIC write may have set, and has no effect. */
struct lapic_reg_rule {
    uint8_t access;
    uint32_t writable, ignored;
};

#define LVT_STATUS     UINT32_C(0x1000)
#define LVT_REMOTE_IRR UINT32_C(0x4000)
#define LVT_PLAIN      UINT32_C(0x100ff)
#define LVT_WITH_MODE  UINT32_C(0x107ff)
#define LVT_PIN        UINT32_C(0x1a7ff)
#define ICR_WRITABLE   UINT32_C(0x000ccfff)
#define ICR_STATUS     UINT32_C(0x1000)
#define ICR_LOGICAL    UINT32_C(0x800)
#define ICR_ASSERT     UINT32_C(0x4000)
#define ICR_LEVEL      UINT32_C(0x8000)

static const struct lapic_reg_rule rules[REG_COUNT] = {
    [REG_ID] = {ALL_READ, 0, 0},
    [REG_VERSION] = {ALL_READ, 0, 0},
    [REG_TPR] = {ALL, 0xff, 0},
    [REG_ARBITRATION] = {X_READ, 0, 0},
    [REG_PPR] = {ALL_READ, 0, 0},
    [REG_EOI] = {X_WRITE | X2_WRITE, 0, 0},
    [REG_LDR] = {ALL_READ | X_WRITE, 0xff000000, 0},
    [REG_DFR] = {X_READ | X_WRITE, 0xf0000000, 0},
    [REG_SVR] = {ALL, 0x3ff, 0},
    [REG_ISR... REG_IRR + 7] = {ALL_READ, 0, 0},
    [REG_ESR] = {ALL, 0, 0},
    [REG_ICR_LOW] = {ALL, ICR_WRITABLE & ~ICR_STATUS, ICR_STATUS},
    [REG_ICR_HIGH] = {X_READ | X_WRITE, 0xff000000, 0},
    [REG_LVT_TIMER] = {ALL, LVT_PLAIN | LAPIC_TIMER_MODES, LVT_STATUS},
    [REG_LVT_TIMER + LVT_THERMAL] = {ALL, LVT_WITH_MODE, LVT_STATUS},
    [REG_LVT_TIMER + LVT_PERFORMANCE] = {ALL, LVT_WITH_MODE, LVT_STATUS},
    [REG_LVT_TIMER + LVT_LINT0] = {ALL, LVT_PIN, LVT_STATUS | LVT_REMOTE_IRR},
    [REG_LVT_TIMER + LVT_LINT1] = {ALL, LVT_PIN, LVT_STATUS | LVT_REMOTE_IRR},
    [REG_LVT_ERROR] = {ALL, LVT_PLAIN, LVT_STATUS},
    [REG_INITIAL] = {ALL, UINT32_MAX, 0},
    [REG_CURRENT] = {ALL_READ, 0, 0},
    [REG_DIVIDE] = {ALL, LAPIC_DIVIDE_WRITES, 0},
    [REG_SELF_IPI] = {X2_WRITE, 0xff, 0},
};

/* --- reading ---------------------------------------------------------------------------------------------------- */

static uint32_t lapic_read_bits(struct lapic *lapic, unsigned reg)
{
    lapic_poll(lapic);
    if (reg >= REG_IRR) {
        return lapic_load(&lapic->irr[reg - REG_IRR]);
    }
    return reg >= REG_TMR ? lapic_load(&lapic->tmr[reg - REG_TMR]) : lapic->isr[reg - REG_ISR];
}

static uint32_t lapic_read_reg(struct lapic *lapic, unsigned reg)
{
    bool x2apic = lapic_is_x2apic(lapic);

    if (reg >= REG_ISR && reg < REG_IRR + LAPIC_VECTOR_WORDS) {
        return lapic_read_bits(lapic, reg);
    }
    if (reg >= REG_LVT_TIMER && reg <= REG_LVT_ERROR) {
        return lapic_load(&lapic->lvt[reg - REG_LVT_TIMER]);
    }
    switch (reg) {
    case REG_ID:
        return x2apic ? lapic->id : lapic->id << 24;
    case REG_VERSION:
        return VERSION;
    case REG_TPR:
        return lapic->tpr;
    case REG_PPR:
        return atomic_load_explicit(&lapic->priority, memory_order_relaxed);
    case REG_LDR:
        return x2apic ? lapic_logical_id(lapic) : lapic_load(&lapic->ldr);
    case REG_DFR:
        return lapic_load(&lapic->dfr);
    case REG_SVR:
        return lapic_load(&lapic->svr);
    case REG_ESR:
        return lapic->esr;
    case REG_ICR_LOW:
        return lapic->icr_low;
    case REG_ICR_HIGH:
        return lapic->icr_high;
    case REG_INITIAL:
        return lapic->timer.initial;
    case REG_CURRENT:
        return lapic_timer_current(lapic);
    case REG_DIVIDE:
        return lapic->timer.divide;
    default: /* arbitration priority: this bus has none */
        return 0;
    }
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

/* The low half of the command register; the high half is there already. */
static void lapic_command(struct lapic *lapic, uint32_t low)
{
    bool x2apic = lapic_is_x2apic(lapic);
    struct lapic_message message = {
        .source = lapic,
        .shorthand = (enum lapic_shorthand)(low >> 18 & 3),
        .destination = x2apic ? lapic->icr_high : lapic->icr_high >> 24,
        .wide = x2apic,
        .logical = low & ICR_LOGICAL,
        .level = low & ICR_LEVEL,
        .assert_level = low & ICR_ASSERT,
        .mode = (enum lapic_mode)(low >> 8 & 7),
        .vector = (uint8_t)low,
    };

    lapic->icr_low = low;
    if (message.mode <= LAPIC_LOWEST && message.vector < LAPIC_VECTOR_FIRST) {
        lapic_error(lapic, LAPIC_ERROR_SEND_VECTOR);
        return;
    }
    message.level = message.level && message.mode == LAPIC_INIT; /* others are edges, whatever is written */
    lapic_bus_send(lapic->bus, &message);
}

static void lapic_write_lvt(struct lapic *lapic, enum lapic_lvt which, uint32_t value)
{
    if (!(lapic_load(&lapic->svr) & LAPIC_SVR_ENABLED)) {
        value |= LAPIC_LVT_MASKED;
    }
    if (which != LVT_TIMER) {
        lapic_store(&lapic->lvt[which], value);
        lapic_recheck(lapic); /* LINT0 may be open to the 8259s now */
        return;
    }
    if (lapic->bus->tsc_khz == 0) {
        value &= ~LAPIC_TIMER_BY_TSC;
    }
    lapic_timer_write_lvt(lapic, value);
}

/* Disabling by software masks the whole local vector table (SDM 3, 11.4.7.2). */
static void lapic_write_svr(struct lapic *lapic, uint32_t value)
{
    lapic_store(&lapic->svr, value);
    for (unsigned i = 0; i < LVT_COUNT && !(value & LAPIC_SVR_ENABLED); i++) {
        lapic_write_lvt(lapic, i, lapic_load(&lapic->lvt[i]));
    }
}

static void lapic_write_esr(struct lapic *lapic)
{
    lapic->esr = atomic_exchange_explicit(&lapic->errors, 0, memory_order_relaxed);
}

/* value has no bit that isn't writable. */
static void lapic_write_reg(struct lapic *lapic, unsigned reg, uint32_t value)
{
    if (reg >= REG_LVT_TIMER && reg <= REG_LVT_ERROR) {
        lapic_write_lvt(lapic, reg - REG_LVT_TIMER, value);
        return;
    }
    switch (reg) {
    case REG_TPR:
        lapic_write_tpr(lapic, (uint8_t)value);
        break;
    case REG_EOI:
        lapic_end_of_interrupt(lapic);
        break;
    case REG_LDR:
        lapic_store(&lapic->ldr, value);
        break;
    case REG_DFR:
        lapic_store(&lapic->dfr, value | 0x0fffffff);
        break;
    case REG_SVR:
        lapic_write_svr(lapic, value);
        break;
    case REG_ESR:
        lapic_write_esr(lapic);
        break;
    case REG_ICR_LOW:
        lapic_command(lapic, value);
        break;
    case REG_ICR_HIGH:
        lapic->icr_high = value;
        break;
    case REG_INITIAL:
        lapic_timer_write_initial(lapic, value);
        break;
    case REG_DIVIDE:
        lapic_timer_write_divide(lapic, value);
        break;
    case REG_SELF_IPI:
        lapic_command(lapic, value | LAPIC_TO_SELF << 18);
        break;
    default:
        break;
    }
}

/* --- xAPIC: the page -------------------------------------------------------------------------------------------- */

static uint64_t page_address(const struct lapic_page *page)
{
    return atomic_load_explicit(&page->address, memory_order_relaxed);
}

/* The APIC that the calling CPU sees in this page; NULL: none. */
static struct lapic *page_apic(const struct lapic_page *page)
{
    const struct lapic_bus *bus = page->bus;
    int index = bus->cpus->current(bus->cpus_opaque);
    struct lapic *lapic = index < 0 ? NULL : &bus->apics[index];

    if (!lapic || (lapic_base(lapic) & (LAPIC_BASE_ENABLED | LAPIC_BASE_X2APIC)) != LAPIC_BASE_ENABLED) {
        return NULL;
    }
    /* CPUs that moved theirs to the same place share the page of one of them. */
    return (lapic_base(lapic) & LAPIC_BASE_ADDRESS) == page_address(page) ? lapic : NULL;
}

static bool page_allows(uint64_t offset, uint8_t access)
{
    return offset % 16 == 0 && offset / 16 < REG_COUNT && (rules[offset / 16].access & access);
}

static enum access_result page_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct lapic *lapic = page_apic(opaque);

    if (!lapic) {
        return ACCESS_REFUSED;
    }
    if (page_allows(offset, X_READ)) {
        *value = lapic_read_reg(lapic, (unsigned)(offset / 16));
    } else if (!page_allows(offset, X_WRITE)) {
        lapic_error(lapic, LAPIC_ERROR_REGISTER);
    }
    return ACCESS_OK;
}

static enum access_result page_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct lapic *lapic = page_apic(opaque);

    if (!lapic) {
        return ACCESS_REFUSED;
    }
    if (page_allows(offset, X_WRITE)) {
        unsigned reg = (unsigned)(offset / 16);

        lapic_write_reg(lapic, reg, (uint32_t)value & rules[reg].writable);
    } else if (!page_allows(offset, X_READ)) {
        lapic_error(lapic, LAPIC_ERROR_REGISTER);
    }
    return ACCESS_OK;
}

const struct region_ops lapic_region_ops = {
    .read = page_read,
    .write = page_write,
    .valid = {.min = 4, .max = 4},
    .impl = {.min = 4, .max = 4},
};

/* --- x2APIC: model-specific registers --------------------------------------------------------------------------- */

static bool x2apic_read(struct lapic *lapic, unsigned reg, uint64_t *value)
{
    if (!lapic_is_x2apic(lapic) || reg >= REG_COUNT || !(rules[reg].access & X2_READ)) {
        return false;
    }
    *value = lapic_read_reg(lapic, reg);
    if (reg == REG_ICR_LOW) {
        *value |= (uint64_t)lapic->icr_high << 32;
    }
    return true;
}

static bool x2apic_write(struct lapic *lapic, unsigned reg, uint64_t value)
{
    uint32_t low = (uint32_t)value, high = (uint32_t)(value >> 32);

    if (!lapic_is_x2apic(lapic) || reg >= REG_COUNT || !(rules[reg].access & X2_WRITE)) {
        return false;
    }
    if ((low & ~(rules[reg].writable | rules[reg].ignored)) || (high && reg != REG_ICR_LOW)) {
        return false;
    }
    if (reg == REG_ICR_LOW) {
        lapic->icr_high = high;
    }
    lapic_write_reg(lapic, reg, low & rules[reg].writable);
    return true;
}

/* --- IA32_APIC_BASE --------------------------------------------------------------------------------------------- */

void lapic_set_base(struct lapic *lapic, uint64_t base)
{
    const struct isa_bus *isa = lapic->bus->isa.isa;
    uint64_t address = base & LAPIC_BASE_ADDRESS;

    atomic_store_explicit(&lapic->base, base, memory_order_relaxed);
    if (address == atomic_load_explicit(&lapic->moved.address, memory_order_relaxed)) {
        return;
    }
    isa_region_hide(isa, &lapic->moved.region);
    atomic_store_explicit(&lapic->moved.address, address, memory_order_relaxed);
    if (address != LAPIC_BASE) {
        region_add(isa->map, isa->mem_root, address, &lapic->moved.region, 1); /* before RAM */
    }
}

/* SDM 3, 11.12.5: which of disabled, xAPIC and x2APIC may follow which. */
static bool base_may_follow(uint64_t old, uint64_t base)
{
    uint64_t modes = LAPIC_BASE_ENABLED | LAPIC_BASE_X2APIC;

    if (base & ~(LAPIC_BASE_ADDRESS | LAPIC_BASE_BSP | modes)) {
        return false;
    }
    switch (base & modes) {
    case LAPIC_BASE_X2APIC:
        return false;
    case LAPIC_BASE_ENABLED:
        return !(old & LAPIC_BASE_X2APIC);
    case LAPIC_BASE_ENABLED | LAPIC_BASE_X2APIC:
        return old & LAPIC_BASE_ENABLED;
    default:
        return true;
    }
}

static bool lapic_write_base(struct lapic *lapic, uint64_t base)
{
    uint64_t old = lapic_base(lapic);

    if (!base_may_follow(old, base)) {
        return false;
    }
    if ((base & LAPIC_BASE_X2APIC) && !(old & LAPIC_BASE_X2APIC)) {
        lapic->icr_high = 0;
    }
    lapic_set_base(lapic, base);
    if ((old & LAPIC_BASE_ENABLED) && !(base & LAPIC_BASE_ENABLED)) {
        lapic_clear(lapic);
        lapic_recheck(lapic);
    }
    return true;
}

/* --- all three -------------------------------------------------------------------------------------------------- */

bool lapic_msr_read(struct lapic_bus *bus, unsigned index, uint32_t msr, uint64_t *value)
{
    struct lapic *lapic = &bus->apics[index];

    if (msr == MSR_APIC_BASE) {
        *value = lapic_base(lapic);
        return true;
    }
    if (msr == MSR_TSC_DEADLINE && bus->tsc_khz) {
        *value = lapic_timer_read_tsc_deadline(lapic);
        return true;
    }
    return msr >= MSR_X2APIC && x2apic_read(lapic, msr - MSR_X2APIC, value);
}

bool lapic_msr_write(struct lapic_bus *bus, unsigned index, uint32_t msr, uint64_t value)
{
    struct lapic *lapic = &bus->apics[index];

    if (msr == MSR_APIC_BASE) {
        return lapic_write_base(lapic, value);
    }
    if (msr == MSR_TSC_DEADLINE && bus->tsc_khz) {
        lapic_timer_write_tsc_deadline(lapic, value);
        return true;
    }
    return msr >= MSR_X2APIC && x2apic_write(lapic, msr - MSR_X2APIC, value);
}
