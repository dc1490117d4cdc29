/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host bridge's ports (PCI Local Bus 3.0, 3.2.2.3.2) and its function. No state but two atomic bytes and words; a
 * guest whose processors race on CONFIG_ADDRESS reads the wrong register, as on hardware.
 */
#include "hw/pci/pci_host.h"

#define CONFIG_ADDRESS_ENABLE UINT32_C(0x80000000)

/* A write of 04 or more with this bit set resets the machine; the register reads back what was written. */
enum { RESET_CONTROL_OFFSET = 1, RESET_CONTROL_CPU = 4 };

/* Any number of threads: one atomic access each. */
static enum access_result pci_address_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct pci_host *host = opaque;

    if (size_bytes == 4) {
        *value = atomic_load_explicit(&host->latch, memory_order_relaxed);
        return ACCESS_OK;
    }
    if (size_bytes == 1 && offset == RESET_CONTROL_OFFSET) {
        *value = atomic_load_explicit(&host->reset_value, memory_order_relaxed);
        return ACCESS_OK;
    }
    return ACCESS_REFUSED;
}

static enum access_result pci_address_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct pci_host *host = opaque;

    if (size_bytes == 4) {
        /* A guest that writes CONFIG_ADDRESS on one processor and CONFIG_DATA on another orders them itself. */
        atomic_store_explicit(&host->latch, (uint32_t)value, memory_order_relaxed);
        return ACCESS_OK;
    }
    if (size_bytes == 1 && offset == RESET_CONTROL_OFFSET) {
        atomic_store_explicit(&host->reset_value, (uint8_t)(value & ~(uint64_t)RESET_CONTROL_CPU),
                              memory_order_relaxed);
        if (host->reset_control.write) {
            host->reset_control.write(host->reset_control.opaque, (uint8_t)value);
        }
        return ACCESS_OK;
    }
    return ACCESS_REFUSED;
}

static const struct region_ops pci_address_ops = {
    .read = pci_address_read,
    .write = pci_address_write,
    .valid = {.min = 1, .max = 4},
    .impl = {.min = 1, .max = 4},
};

static bool pci_data_redirect(void *opaque, uint64_t offset, struct address_space **space, uint64_t *address)
{
    struct pci_host *host = opaque;
    uint32_t latch = atomic_load_explicit(&host->latch, memory_order_relaxed);

    if (!(latch & CONFIG_ADDRESS_ENABLE)) {
        return false;
    }
    *space = &host->bus.config_space;
    *address = (uint64_t)(latch >> 8 & 0xffff) << 12 | (latch & 0xfc) | (offset & 3);
    return true;
}

void pci_host_init(struct pci_host *host, struct memory_map *map, struct region *memory, struct region *io,
                   const struct irq_line pirq[PCI_PIRQ_COUNT], struct msi_target *msi,
                   struct pci_reset_control reset_control)
{
    pci_bus_init(&host->bus, map, memory, io, pirq, msi);
    atomic_init(&host->latch, 0);
    atomic_init(&host->reset_value, 0);
    host->reset_control = reset_control;
    region_init_io(&host->address_port, "pci-config-address", NULL, &pci_address_ops, host, 4, REGION_LOCKLESS, NULL);
    region_init_redirect(&host->data_port, "pci-config-data", pci_data_redirect, host, 4);
    region_init_alias(&host->ecam, "pci-ecam", &host->bus.config_root, 0, PCI_ECAM_SIZE);
}

void pci_host_destroy(struct pci_host *host)
{
    region_destroy(&host->ecam);
    region_destroy(&host->data_port);
    region_destroy(&host->address_port);
    pci_bus_destroy(&host->bus);
}

void pci_host_reset(struct pci_host *host)
{
    atomic_store_explicit(&host->latch, 0, memory_order_relaxed);
    atomic_store_explicit(&host->reset_value, 0, memory_order_relaxed);
}

/* --- function 00:00.0 ------------------------------------------------------------------------------------------- */

/* Red Hat's identity for a host bridge that is nothing but standard: no driver takes it for a chipset. */
static const struct pci_identity pci_host_bridge_identity = {
    .vendor = 0x1b36,
    .device = 0x0008,
    .subsystem_vendor = 0x1af4,
    .subsystem = 0x1100,
    .class_code = 0x060000,
};

static int pci_host_bridge_realize(struct device *device, struct error **err)
{
    struct pci_device *pci = pci_device_of(device);
    int ret;

    pci->addr = (int32_t)pci_devfn(0, 0);
    ret = pci_device_init(pci, &pci_host_bridge_identity, err);
    if (ret == 0) {
        pci_device_expose(pci);
    }
    return ret;
}

static void pci_host_bridge_reset(struct device *device)
{
    device_assert_locked(device);
    pci_device_reset(pci_device_of(device));
}

static void pci_host_bridge_quiesce(struct device *device)
{
    pci_device_hide(pci_device_of(device));
    device_quiesced(device);
}

static void pci_host_bridge_destroy(struct device *device)
{
    pci_device_release(pci_device_of(device));
}

const struct device_type pci_host_bridge_type = {
    .name = "pci-host-bridge",
    .description = "PCI host bridge",
    .category = "Bridge",
    .size_bytes = sizeof(struct pci_device),
    .realize = pci_host_bridge_realize,
    .reset = pci_host_bridge_reset,
    .quiesce = pci_host_bridge_quiesce,
    .destroy = pci_host_bridge_destroy,
};
