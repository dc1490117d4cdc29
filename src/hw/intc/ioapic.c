/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The I/O APIC in the machine, for accelerators that have the local APICs only. Not the local APICs, and not the 8259s.
 *
 * A pin:
 *                    high, unmasked                      end of interrupt, low
 *   level   WAITING ----------------> SENT (remote IRR) ------------------------> WAITING
 *                                       | end of interrupt, still high: sends again
 *                                       +--------------------------------------> SENT
 *   edge    a rise while unmasked sends; a rise while masked is lost, as the data sheet says.
 *
 * Locks. Devices set pins under their own device lock, so that takes the controller's own lock (rank INTC) and nothing
 * else. Registers belong to the device lock, which orders what the accelerator is told about level-triggered pins: its
 * table is changed with the INTC lock released, because the table has one of the same rank, and before the entry that
 * needs it can send. Messages are sent under the INTC lock, so that a pin's state and its message can't part.
 *
 * A hostile guest can write any entry. A message is data for the accelerator, which checks it; the work of an access is
 * at most one message a pin and one change of the table.
 */
#include "hw/intc/ioapic.h"

#define REG_SELECT 0x00
#define REG_WINDOW 0x10
#define REG_EOI    0x40

#define INDEX_ID          0x00
#define INDEX_VERSION     0x01
#define INDEX_ARBITRATION 0x02
#define INDEX_TABLE       0x10

#define VERSION (0x20u | (IOAPIC_PINS - 1) << 16)

#define ENTRY_VECTOR     UINT64_C(0xff)
#define ENTRY_MODE_SHIFT 8
#define ENTRY_MODE       (UINT64_C(7) << ENTRY_MODE_SHIFT)
#define ENTRY_LOGICAL    (UINT64_C(1) << 11)
#define ENTRY_STATUS     (UINT64_C(1) << 12)
#define ENTRY_REMOTE_IRR (UINT64_C(1) << 14)
#define ENTRY_LEVEL      (UINT64_C(1) << 15)
#define ENTRY_MASKED     (UINT64_C(1) << 16)
#define ENTRY_RESERVED   UINT64_C(0x00fffffffffe0000)
#define ENTRY_DEST_SHIFT 56
#define ENTRY_READ_ONLY  (ENTRY_STATUS | ENTRY_REMOTE_IRR)

#define MODE_FIXED  0
#define MODE_LOWEST 1
#define MODE_EXTINT 7

#define MSI_ADDRESS      UINT64_C(0xfee00000)
#define MSI_ADDRESS_DEST 12
#define MSI_LOGICAL      (UINT64_C(1) << 2)
#define MSI_DATA_ASSERT  (UINT32_C(1) << 14)
#define MSI_DATA_LEVEL   (UINT32_C(1) << 15)

/* --- entries ---------------------------------------------------------------------------------------------------- */

static unsigned entry_mode(uint64_t entry)
{
    return (unsigned)((entry & ENTRY_MODE) >> ENTRY_MODE_SHIFT);
}

/* Only interrupts that a local APIC acknowledges can be level-triggered; others (NMI, SMI, INIT) are always edges. */
static bool entry_is_level(uint64_t entry)
{
    return (entry & ENTRY_LEVEL) && (entry_mode(entry) == MODE_FIXED || entry_mode(entry) == MODE_LOWEST);
}

static struct msi_message entry_message(uint64_t entry)
{
    struct msi_message message = {
        .address = MSI_ADDRESS | entry >> ENTRY_DEST_SHIFT << MSI_ADDRESS_DEST,
        .data = (uint32_t)(entry & (ENTRY_VECTOR | ENTRY_MODE)) | MSI_DATA_ASSERT,
    };

    if (entry & ENTRY_LOGICAL) {
        message.address |= MSI_LOGICAL;
    }
    if (entry_is_level(entry)) {
        message.data |= MSI_DATA_LEVEL;
    }
    return message;
}

/* --- pins ------------------------------------------------------------------------------------------------------- */

static bool pin_is_high_locked(const struct ioapic *ioapic, unsigned pin) HDL_REQUIRES(&ioapic->lock)
{
    return ioapic->levels >> pin & 1;
}

static void pin_send_locked(struct ioapic *ioapic, unsigned pin) HDL_REQUIRES(&ioapic->lock)
{
    struct msi_target *target = ioapic->isa.isa->msi;
    uint64_t *entry = &ioapic->entries[pin];

    /* No 8259 is behind a pin that says so: its vector comes to CPU 0 by another way. */
    if (entry_mode(*entry) == MODE_EXTINT || !target) {
        return;
    }
    if (entry_is_level(*entry)) {
        *entry |= ENTRY_REMOTE_IRR;
    }
    target->ops->send(target, entry_message(*entry));
}

/* A level-triggered pin sends if it is high and what it sent before has been served. */
static void pin_update_level_locked(struct ioapic *ioapic, unsigned pin) HDL_REQUIRES(&ioapic->lock)
{
    uint64_t entry = ioapic->entries[pin];

    if (entry_is_level(entry) && pin_is_high_locked(ioapic, pin) && !(entry & (ENTRY_MASKED | ENTRY_REMOTE_IRR))) {
        pin_send_locked(ioapic, pin);
    }
}

static void pin_set_locked(struct ioapic *ioapic, unsigned pin, bool level) HDL_REQUIRES(&ioapic->lock)
{
    uint32_t bit = UINT32_C(1) << pin;
    bool rises = level && !(ioapic->levels & bit);

    ioapic->levels = level ? ioapic->levels | bit : ioapic->levels & ~bit;
    if (entry_is_level(ioapic->entries[pin])) {
        pin_update_level_locked(ioapic, pin);
    } else if (rises && !(ioapic->entries[pin] & ENTRY_MASKED)) {
        pin_send_locked(ioapic, pin);
    }
}

static void ioapic_set(void *opaque, unsigned pin, bool level)
{
    struct ioapic *ioapic = opaque;

    hdl_mutex_lock(&ioapic->lock);
    pin_set_locked(ioapic, pin, level);
    hdl_mutex_unlock(&ioapic->lock);
}

struct irq_line ioapic_input(struct ioapic *ioapic, unsigned pin)
{
    return (struct irq_line){.set = ioapic_set, .opaque = ioapic, .pin = pin};
}

void ioapic_end_of_interrupt(struct ioapic *ioapic, uint8_t vector)
{
    hdl_mutex_lock(&ioapic->lock);
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        uint64_t *entry = &ioapic->entries[pin];

        if ((*entry & ENTRY_REMOTE_IRR) && (*entry & ENTRY_VECTOR) == vector) {
            *entry &= ~ENTRY_REMOTE_IRR;
            pin_update_level_locked(ioapic, pin);
        }
    }
    hdl_mutex_unlock(&ioapic->lock);
}

/* --- registers: device lock ------------------------------------------------------------------------------------- */

/*
 * Tells the accelerator whose end of interrupt to report. A pin that is masked stays known, as what it sent before may
 * be served later.
 */
static void ioapic_route(struct ioapic *ioapic, unsigned pin, uint64_t entry)
{
    struct msi_target *target = ioapic->isa.isa->msi;
    struct msi_message message = entry_message(entry);
    uint32_t bit = UINT32_C(1) << pin;

    if (!target || !target->ops->pin_set || (entry & ENTRY_MASKED)) {
        return;
    }
    if (entry_is_level(entry)) {
        ioapic->routed |= bit;
        target->ops->pin_set(target, pin, &message);
    } else if (ioapic->routed & bit) {
        ioapic->routed &= ~bit;
        target->ops->pin_set(target, pin, NULL);
    }
}

static uint64_t ioapic_entry(struct ioapic *ioapic, unsigned pin)
{
    uint64_t entry;

    hdl_mutex_lock(&ioapic->lock);
    entry = ioapic->entries[pin];
    hdl_mutex_unlock(&ioapic->lock);
    return entry;
}

static void ioapic_write_entry(struct ioapic *ioapic, unsigned pin, bool high_half, uint32_t value)
{
    /* The device lock keeps all but remote IRR from changing meanwhile. */
    uint64_t entry = ioapic_entry(ioapic, pin);

    entry = high_half ? (uint32_t)entry | (uint64_t)value << 32 : (entry >> 32 << 32) | value;
    entry &= ~(ENTRY_RESERVED | ENTRY_READ_ONLY);
    ioapic_route(ioapic, pin, entry);
    hdl_mutex_lock(&ioapic->lock);
    if (entry_is_level(entry)) { /* an edge has none, so going there and back clears it */
        entry |= ioapic->entries[pin] & ENTRY_REMOTE_IRR;
    }
    ioapic->entries[pin] = entry;
    pin_update_level_locked(ioapic, pin);
    hdl_mutex_unlock(&ioapic->lock);
}

static uint32_t ioapic_read_window(struct ioapic *ioapic)
{
    unsigned index = ioapic->select, pin = (index - INDEX_TABLE) / 2;

    if (index == INDEX_ID || index == INDEX_ARBITRATION) {
        return (uint32_t)ioapic->id << 24;
    }
    if (index == INDEX_VERSION) {
        return VERSION;
    }
    if (index < INDEX_TABLE || pin >= IOAPIC_PINS) {
        return UINT32_MAX;
    }
    return (uint32_t)(ioapic_entry(ioapic, pin) >> (index & 1 ? 32 : 0));
}

static void ioapic_write_window(struct ioapic *ioapic, uint32_t value)
{
    unsigned index = ioapic->select, pin = (index - INDEX_TABLE) / 2;

    if (index == INDEX_ID) {
        ioapic->id = value >> 24 & 0x0f;
    } else if (index >= INDEX_TABLE && pin < IOAPIC_PINS) {
        ioapic_write_entry(ioapic, pin, index & 1, value);
    }
}

static enum access_result ioapic_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct ioapic *ioapic = opaque;

    *value = offset == REG_SELECT ? ioapic->select : offset == REG_WINDOW ? ioapic_read_window(ioapic) : 0;
    return ACCESS_OK;
}

static enum access_result ioapic_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct ioapic *ioapic = opaque;

    if (offset == REG_SELECT) {
        ioapic->select = (uint8_t)value;
    } else if (offset == REG_WINDOW) {
        ioapic_write_window(ioapic, (uint32_t)value);
    } else if (offset == REG_EOI) {
        ioapic_end_of_interrupt(ioapic, (uint8_t)value);
    }
    return ACCESS_OK;
}

/* IOREGSEL may be written as a byte; a narrow write to another register is one with zeros above it. */
static const struct region_ops ioapic_ops = {
    .read = ioapic_read,
    .write = ioapic_write,
    .valid = {.min = 1, .max = 8},
    .impl = {.min = 1, .max = 4},
};

/* --- life ------------------------------------------------------------------------------------------------------- */

static void ioapic_reset(struct device *device)
{
    struct ioapic *ioapic = container_of(device, struct ioapic, isa.device);
    struct msi_target *target = ioapic->isa.isa->msi;

    ioapic->select = 0;
    ioapic->id = 0;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        if (ioapic->routed >> pin & 1) {
            target->ops->pin_set(target, pin, NULL);
        }
    }
    ioapic->routed = 0;
    hdl_mutex_lock(&ioapic->lock);
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        ioapic->entries[pin] = ENTRY_MASKED;
    }
    hdl_mutex_unlock(&ioapic->lock);
}

static int ioapic_realize(struct device *device, struct error **err)
{
    struct ioapic *ioapic = container_of(device, struct ioapic, isa.device);
    const struct isa_bus *isa = ioapic->isa.isa;

    hdl_mutex_init(&ioapic->lock, "ioapic", LOCK_RANK_INTC);
    ioapic_reset(device);
    region_init_io(&ioapic->region, "ioapic", device, &ioapic_ops, ioapic, IOAPIC_BYTES, 0, NULL);
    region_add(isa->map, isa->mem_root, ioapic->base, &ioapic->region, 0);
    return 0;
}

static void ioapic_quiesce(struct device *device)
{
    struct ioapic *ioapic = container_of(device, struct ioapic, isa.device);

    isa_region_hide(ioapic->isa.isa, &ioapic->region);
    device_quiesced(device);
}

static void ioapic_destroy(struct device *device)
{
    struct ioapic *ioapic = container_of(device, struct ioapic, isa.device);

    if (ioapic->region.name) { /* it was realized */
        hdl_mutex_destroy(&ioapic->lock);
    }
    isa_region_destroy(&ioapic->region);
}

const struct device_type ioapic_device_type = {
    .name = "ioapic",
    .description = "I/O APIC",
    .category = "Misc",
    .bus = "ISA",
    .size_bytes = sizeof(struct ioapic),
    .realize = ioapic_realize,
    .reset = ioapic_reset,
    .quiesce = ioapic_quiesce,
    .destroy = ioapic_destroy,
};
