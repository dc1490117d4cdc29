/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI functions and the buses they sit on (PCI Local Bus 3.0; PCI Express Base 3.0 for ECAM). Bridges: pci_bridge.h.
 *
 * Config space is an address space of its own. Its root spans 256 MiB (bus, device, function, register); each function
 * puts a 4 KiB I/O region of its own there, at bdf << 12, or into its bus's part of it. So a config access is
 * dispatched like any other, under the lock of the function that it is for, and no lock belongs to the bus. ECAM is an
 * alias of that root in memory, and CONFIG_DATA a redirect into it (pci_host.h).
 *
 * How a model uses this, in its device_type:
 *   realize   pci_device_init, then BARs and capabilities, last pci_device_expose
 *   reset     pci_device_reset
 *   quiesce   pci_device_hide, ..., device_quiesced
 *   destroy   pci_device_release
 * Its structure starts with a struct pci_device. The machine calls pci_device_attach between creation and realize.
 */
#ifndef HDL_HW_PCI_PCI_H
#define HDL_HW_PCI_PCI_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "device/device.h"
#include "device/irq.h"
#include "hw/pci/pci_regs.h"
#include "memory/address_space.h"

struct pci_device;
struct pci_bus;
struct pci_bridge;
struct pci_hotplug;
struct msix;

/* --- where it sits ---------------------------------------------------------------------------------------------- */

#define PCI_FUNCTION_COUNT 256 /* of one bus: 32 slots of 8 functions */
#define PCI_PIRQ_COUNT     4
#define PCI_PIRQ_FIRST_GSI 16

static inline unsigned pci_devfn(unsigned slot, unsigned function)
{
    return (slot & 31) << 3 | (function & 7);
}
static inline unsigned pci_slot(unsigned devfn)
{
    return devfn >> 3 & 31;
}
static inline unsigned pci_function(unsigned devfn)
{
    return devfn & 7;
}

/* Which of the four PIRQ lines an interrupt pin (0 = INTA# ... 3 = INTD#) of a slot is wired to (PCI 3.0, 2.2.6). */
static inline unsigned pci_pirq(unsigned slot, unsigned pin)
{
    return (slot + pin) % PCI_PIRQ_COUNT;
}
/* The GSI of that line: what the DSDT's _PRT says, pin by pin. Level-triggered, active high inside the machine. */
static inline unsigned pci_pirq_gsi(unsigned slot, unsigned pin)
{
    return PCI_PIRQ_FIRST_GSI + pci_pirq(slot, pin);
}

/* One of a root's interrupt lines: wired-OR of any number of functions' pins. Locks itself. */
struct pci_pirq {
    struct hdl_mutex lock; /* LOCK_RANK_IRQ_LINE: held around the output's set, so edges can't overtake each other */
    struct irq_line output;
    unsigned raised HDL_GUARDED_BY(&lock); /* functions that hold it up */
};

#define PCI_BUS_DEPTH_MAX 16 /* bridges above a bus; regions are rendered no deeper than that allows */

/*
 * A bus: a root, or the secondary bus of a bridge (pci_bridge.h). Everything but functions and pirq is immutable once
 * functions are added. functions: `lock`. pirq: locks itself.
 *
 * A function is in `functions` from realize until it is hidden, by its own loop; its memory, and its lock, are good for
 * longer: until the configuration thread has heard that it is GONE and given up the machine's reference. So a pointer
 * which the configuration thread got stays good while it holds on to that reference. Other threads enter the device's
 * access gate (device_tryget) under `lock`.
 */
struct pci_bus {
    struct memory_map *map;
    struct pci_bus *root;         /* itself, if it is one */
    struct pci_bridge *bridge;    /* that it is behind; NULL: a root */
    struct pci_hotplug *hotplug;  /* who tells the guest what comes and goes (pci_hotplug.h); NULL: nothing does */
    struct region *memory;        /* container in which memory BARs appear, at bus address = offset; all of 2^64 */
    struct region *io;            /* container in which I/O BARs appear: 64 KiB */
    struct region *config;        /* container of functions' registers, at devfn << 12 */
    struct region *config_by_bus; /* container of the buses that it forwards to, at bus number << 20 */
    struct msi_target *msi;       /* NULL: message-signalled interrupts go nowhere */
    unsigned slot_count;          /* 32, or 1: the far end of a PCI Express link */
    bool is_express;              /* its functions are at the far end of a PCI Express link */
    unsigned depth;               /* bridges above it */
    struct hdl_mutex lock;        /* LOCK_RANK_LEAF */
    struct pci_device *functions[PCI_FUNCTION_COUNT] HDL_GUARDED_BY(&lock);
    /* A root only */
    struct region config_root;
    struct region config_absent; /* below all functions: all-ones */
    struct address_space config_space;
    struct pci_pirq pirq[PCI_PIRQ_COUNT];
};

/*
 * A root bus. pirq: the four interrupt lines (copied). The containers must outlive the bus. The machine adds `memory`
 * to system memory with a priority below RAM's, so that a BAR put over RAM hides none. Configuration thread.
 */
void pci_bus_init(struct pci_bus *bus, struct memory_map *map, struct region *memory, struct region *io,
                  const struct irq_line pirq[PCI_PIRQ_COUNT], struct msi_target *msi) HDL_UNSHARED;
/* A root's. All functions are released. Waits for a grace period: no lock held. */
void pci_bus_destroy(struct pci_bus *bus);
/* The function at devfn, or NULL. Configuration thread. */
struct pci_device *pci_bus_function(struct pci_bus *bus, unsigned devfn);

/* Bus addresses that BARs may be given. `last` is inclusive; an empty window has first > last. */
struct pci_window {
    uint64_t first, last;
};
/*
 * Firmware's part, on a root bus: gives each BAR that has no address one, memory BARs from `memory` (below 4 GiB) or,
 * 64-bit ones that don't fit there, from `memory64`, and switches decoding and bus mastering on. Buses behind bridges
 * are numbered depth first, and windows are opened for what is behind them; for what may come as well, if they have
 * hot-plug. A bridge that has a bus number is left alone, with all that is behind it. For guests that are started with
 * no firmware and for flat test kernels. Configuration thread, vCPUs stopped, no lock held. -ENOSPC when a window is
 * full (that BAR stays unassigned, the others are done).
 */
int pci_bus_assign(struct pci_bus *bus, struct pci_window memory, struct pci_window memory64, struct pci_window io);

/* --- a function ------------------------------------------------------------------------------------------------- */

enum pci_bar_kind { PCI_BAR_NONE, PCI_BAR_IO, PCI_BAR_MEM32, PCI_BAR_MEM64 };

/* One base address register. kind, region, prefetchable: set before expose. The rest: device lock. */
struct pci_bar {
    enum pci_bar_kind kind;
    bool prefetchable;
    struct region *region;
    bool mapped;
    uint64_t address; /* where it is mapped */
};

#define PCI_BAR_COUNT        6
#define PCI_BRIDGE_BAR_COUNT 2
#define PCI_CONFIG_SIZE      256 /* what has contents; the rest of a function's 4 KiB reads as zero: no extended ones */

/* What a function is. Vendor, device, revision and class code as in the header (PCI 3.0, 6.2.1). */
struct pci_identity {
    uint16_t vendor, device;
    uint16_t subsystem_vendor, subsystem;
    uint32_t class_code; /* 24 bits: class, subclass, interface */
    uint8_t revision;
    bool interrupt_pin; /* it has INTA# */
    bool is_bridge;     /* type 1 header: no subsystem, two BARs; for pci_bridge_init */
};

/*
 * bus, devfn, intx: set by the configuration thread before expose, immutable then. config, bars, exposed, intx_level,
 * intx_wire, wants_wait: device lock. wmask, w1c, hooks, msix, secondary: set before expose. addr, multifunction:
 * properties. The bus's bridge is referenced from attach to release.
 */
struct pci_device {
    struct device device;
    struct {
        struct pci_device *next;
        bool asked, ejected;
    } hotplug;          /* of the controller that keeps it (pci_hotplug.h), under its device lock */
    int32_t addr;       /* property: devfn, or -1 for any slot */
    bool multifunction; /* property: says so in its header even when it is alone in its slot */
    struct pci_bus *bus;
    struct pci_bus *secondary; /* the bus behind it; NULL: it is no bridge */
    unsigned devfn;
    bool has_devfn;        /* it owns bus->functions[devfn] */
    bool exposed;          /* the guest reaches it: false for ever once it is hidden */
    struct pci_pirq *intx; /* NULL: no pin */
    bool intx_level;       /* what the model asked for */
    bool intx_wire;        /* what the function does to the line: the level, unless disabled */
    struct region config_region;
    uint8_t config[PCI_CONFIG_SIZE];
    uint8_t wmask[PCI_CONFIG_SIZE];        /* bits that the guest may write */
    uint8_t w1c[PCI_CONFIG_SIZE];          /* bits that the guest clears by writing one */
    uint8_t reset_config[PCI_CONFIG_SIZE]; /* what reset restores: the state at expose */
    unsigned next_capability;              /* first free byte for capabilities */
    struct pci_bar bars[PCI_BAR_COUNT];
    struct msix *msix; /* NULL: none */
    /*
     * Hooks, device lock held, either may be NULL. config_write: after the guest wrote len_bytes at offset (the shadow,
     * BARs and MSI-X are up to date). config_read: before the shadow is read, to refresh it.
     */
    void (*config_write)(struct pci_device *pci, unsigned offset, unsigned len_bytes);
    void (*config_read)(struct pci_device *pci, unsigned offset, unsigned len_bytes);
    /*
     * config_write may set wants_wait: then this (NULL: nothing) is called before the guest's instruction ends, on its
     * thread, with no lock. As region_ops.wait.
     */
    void (*config_wait)(struct pci_device *pci);
    bool wants_wait;
};

/* For a model's property table, as QEMU spells them. structure: the model's; pci: path to its pci_device. */
#define PCI_DEVICE_PROPERTIES(structure, pci)                                                                          \
    {.name = "multifunction",                                                                                          \
     .type = PROPERTY_BOOL,                                                                                            \
     .offset = offsetof(structure, pci.multifunction),                                                                 \
     .default_value = "off",                                                                                           \
     .description = "Other functions may share its slot (they may in any case)"},                                      \
    {                                                                                                                  \
        .name = "addr", .type = PROPERTY_PCI_ADDR, .offset = offsetof(structure, pci.addr),                            \
        .description = "Slot and optional function number, example: 06.0 or 06",                                       \
    }

static inline struct pci_device *pci_device_of(struct device *device)
{
    return (struct pci_device *)device;
}

/* The device as a function; NULL if its type isn't one's. */
static inline struct pci_device *pci_device_try(struct device *device)
{
    return device->type->bus && strcmp(device->type->bus, "PCI") == 0 ? pci_device_of(device) : NULL;
}

/* A class's name for people, of a 24-bit class code (PCI Code and ID Assignment Specification); NULL: none here. Pure.
 */
const char *pci_class_name(uint32_t class_code);

/* Says which bus a created, not yet realized, device will sit on; again: another one. Configuration thread. */
void pci_device_attach(struct pci_device *pci, struct pci_bus *bus);
/*
 * From realize: takes the slot that `addr` says, or the lowest free one, and fills in the header. -EBUSY and an error
 * naming the address when it is taken, -ENOSPC when none is free, -EINVAL when there is no bus.
 */
int pci_device_init(struct pci_device *pci, const struct pci_identity *identity, struct error **err);
/*
 * Before expose. region's size must be a power of two, at least 16 (memory) or 4 (I/O) bytes; it stays the model's and
 * is destroyed by it. A MEM64 BAR also takes index + 1.
 */
void pci_bar_register(struct pci_device *pci, unsigned index, enum pci_bar_kind kind, bool prefetchable,
                      struct region *region);
/* Before expose: a new capability of len_bytes, first in the list. Its offset, or -ENOSPC. Bytes start read-only. */
int pci_capability_add(struct pci_device *pci, uint8_t id, unsigned len_bytes);
/* Last in realize: the guest sees the function from now on. */
void pci_device_expose(struct pci_device *pci);
/*
 * From quiesce (or failed realize), no device lock: the guest reaches neither config space nor BARs any more, nor can
 * the function interrupt it, whatever work of it still runs; its slot is free. Idempotent.
 */
void pci_device_hide(struct pci_device *pci);
/* From destroy or failed realize: hides it if that wasn't done, and gives MSI-X back. Idempotent. */
void pci_device_release(struct pci_device *pci);
/* Device lock: header, BARs and MSI-X as at power-on; the interrupt line is low. */
void pci_device_reset(struct pci_device *pci);

/* Whether the guest lets the function master the bus: DMA and message-signalled interrupts. Device lock. */
bool pci_device_is_master(const struct pci_device *pci);
/* Which of the root's four lines its interrupt pin (0 = INTA#) is wired to, through all bridges above. Immutable. */
unsigned pci_device_pirq(const struct pci_device *pci, unsigned pin);
/* The interrupt pin's level, INTx. Device lock. Has no effect on the wire while MSI-X is on or INTx disabled. */
void pci_intx_set(struct pci_device *pci, bool level);

/* Little-endian fields of the shadow. Device lock, or before expose. */
uint16_t pci_config_get16(const struct pci_device *pci, unsigned offset);
uint32_t pci_config_get32(const struct pci_device *pci, unsigned offset);
void pci_config_set16(struct pci_device *pci, unsigned offset, uint16_t value);
void pci_config_set32(struct pci_device *pci, unsigned offset, uint32_t value);

/* --- for people ------------------------------------------------------------------------------------------------- */

/* What a function's registers say. */
struct pci_bar_info {
    enum pci_bar_kind kind;
    bool prefetchable, mapped;
    uint64_t address, size_bytes; /* address 0: none was given */
};

struct pci_bridge_info {
    uint8_t primary, secondary, subordinate;       /* 0: not numbered yet */
    struct pci_window io, memory, prefetch_memory; /* closed: first > last */
};

struct pci_function_info {
    struct pci_identity identity; /* no subsystem if it is a bridge */
    uint8_t interrupt_line;
    struct pci_bar_info bars[PCI_BAR_COUNT];
    struct pci_bridge_info bridge; /* if identity.is_bridge */
};

/* Takes the device's lock. Configuration thread. A bridge's bus is pci->secondary: walk it by pci_bus_function. */
void pci_device_get_info(struct pci_device *pci, struct pci_function_info *info);
/* The number that the guest gave the bus; 0: a root, or none. Takes the bridge's lock. Configuration thread. */
unsigned pci_bus_number(const struct pci_bus *bus);

/* --- MSI-X (PCI 3.0, 6.8.2) ------------------------------------------------------------------------------------- */

#define MSIX_VECTOR_MAX 2048

/*
 * Before expose: a capability with count vectors, whose table (at 0) and pending bits (in the upper half) are BAR
 * `bar`, a MEM32 one that this makes. -EINVAL for a bad count, -ENOSPC, -ENOMEM.
 */
int msix_init(struct pci_device *pci, unsigned bar, unsigned count, struct error **err);
/* Whether the guest has switched MSI-X on (INTx must not be used then). Any thread. */
bool msix_is_enabled(const struct pci_device *pci);
/*
 * Sends the vector's message, or marks it pending while it is masked. Does nothing when MSI-X is off or the vector
 * doesn't exist. Any thread, under a device lock or none; takes MSI-X's own lock (LOCK_RANK_IRQ_LINE).
 */
void msix_notify(struct pci_device *pci, unsigned vector);

#endif
