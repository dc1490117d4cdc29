/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What people are told about functions: their registers, read under their locks. No state. */
#include "hw/pci/pci_internal.h"

static struct pci_identity pci_info_identity(const struct pci_device *pci)
{
    struct pci_identity identity = {
        .vendor = pci_config_get16(pci, PCI_VENDOR),
        .device = pci_config_get16(pci, PCI_DEVICE),
        .class_code = pci_config_get32(pci, PCI_REVISION) >> 8,
        .revision = pci->config[PCI_REVISION],
        .interrupt_pin = pci->config[PCI_INTERRUPT_PIN] != 0,
        .is_bridge = pci->secondary != NULL,
    };

    if (!identity.is_bridge) {
        identity.subsystem_vendor = pci_config_get16(pci, PCI_SUBSYSTEM_VENDOR);
        identity.subsystem = pci_config_get16(pci, PCI_SUBSYSTEM);
    }
    return identity;
}

static struct pci_bar_info pci_info_bar(const struct pci_device *pci, unsigned index)
{
    const struct pci_bar *bar = &pci->bars[index];

    if (bar->kind == PCI_BAR_NONE) {
        return (struct pci_bar_info){0};
    }
    return (struct pci_bar_info){
        .kind = bar->kind,
        .prefetchable = bar->prefetchable,
        .mapped = bar->mapped,
        .address = pci_bar_address(pci, index),
        .size_bytes = bar->region->size_bytes,
    };
}

static struct pci_window pci_info_window(const struct pci_device *pci, enum pci_bridge_window_kind kind)
{
    struct pci_window range;

    return pci_bridge_window_get(pci, kind, &range) ? range : (struct pci_window){.first = 1, .last = 0};
}

void pci_device_get_info(struct pci_device *pci, struct pci_function_info *info)
{
    device_lock(&pci->device);
    *info = (struct pci_function_info){
        .identity = pci_info_identity(pci),
        .interrupt_line = pci->config[PCI_INTERRUPT_LINE],
    };
    for (unsigned i = 0; i < PCI_BAR_COUNT; i++) {
        info->bars[i] = pci_info_bar(pci, i);
    }
    if (pci->secondary) {
        info->bridge = (struct pci_bridge_info){
            .primary = pci->config[PCI_PRIMARY_BUS],
            .secondary = pci->config[PCI_SECONDARY_BUS],
            .subordinate = pci->config[PCI_SUBORDINATE_BUS],
            .io = pci_info_window(pci, PCI_BRIDGE_IO),
            .memory = pci_info_window(pci, PCI_BRIDGE_MEMORY),
            .prefetch_memory = pci_info_window(pci, PCI_BRIDGE_PREFETCH),
        };
    }
    device_unlock(&pci->device);
}

unsigned pci_bus_number(const struct pci_bus *bus)
{
    struct pci_device *pci;
    unsigned number;

    if (!bus->bridge) {
        return 0;
    }
    pci = &bus->bridge->pci;
    device_lock(&pci->device);
    number = pci->config[PCI_SECONDARY_BUS];
    device_unlock(&pci->device);
    return number;
}

const char *pci_class_name(uint32_t class_code)
{
    static const struct {
        uint16_t code; /* base class and subclass */
        const char *name;
    } names[] = {
        {0x0100, "SCSI controller"},     {0x0106, "SATA controller"}, {0x0108, "NVMe controller"},
        {0x0200, "Ethernet controller"}, {0x0300, "VGA controller"},  {0x0403, "Audio device"},
        {0x0500, "RAM controller"},      {0x0600, "Host bridge"},     {0x0601, "ISA bridge"},
        {0x0604, "PCI bridge"},          {0x0700, "Serial port"},     {0x0780, "Serial controller"},
        {0x0c03, "USB controller"},      {0x0c05, "SMBus"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (names[i].code == class_code >> 8) {
            return names[i].name;
        }
    }
    return NULL;
}
