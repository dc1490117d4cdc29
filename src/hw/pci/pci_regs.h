/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of PCI config registers and bits (PCI Local Bus 3.0, chapter 6). Linux's <linux/pci_regs.h> isn't included. */
#ifndef HDL_HW_PCI_PCI_REGS_H
#define HDL_HW_PCI_PCI_REGS_H

enum pci_config_offset {
    PCI_VENDOR = 0x00,
    PCI_DEVICE = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION = 0x08,
    PCI_CLASS = 0x09, /* interface, subclass, class */
    PCI_CACHE_LINE = 0x0c,
    PCI_LATENCY = 0x0d,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_PRIMARY_BUS = 0x18, /* from here on, a bridge's header (PCI-to-PCI Bridge 1.2, 3.2) */
    PCI_SECONDARY_BUS = 0x19,
    PCI_SUBORDINATE_BUS = 0x1a,
    PCI_IO_BASE = 0x1c,
    PCI_IO_LIMIT = 0x1d,
    PCI_SECONDARY_STATUS = 0x1e,
    PCI_MEMORY_BASE = 0x20,
    PCI_MEMORY_LIMIT = 0x22,
    PCI_PREFETCH_BASE = 0x24,
    PCI_PREFETCH_LIMIT = 0x26,
    PCI_PREFETCH_BASE_HIGH = 0x28,
    PCI_PREFETCH_LIMIT_HIGH = 0x2c,
    PCI_SUBSYSTEM_VENDOR = 0x2c,
    PCI_SUBSYSTEM = 0x2e,
    PCI_CAPABILITIES = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_INTERRUPT_PIN = 0x3d,
    PCI_BRIDGE_CONTROL = 0x3e,
    PCI_HEADER_END = 0x40,
};

enum pci_command {
    PCI_COMMAND_IO = 1u << 0,
    PCI_COMMAND_MEMORY = 1u << 1,
    PCI_COMMAND_MASTER = 1u << 2,
    PCI_COMMAND_SERR = 1u << 8,
    PCI_COMMAND_INTX_DISABLE = 1u << 10,
};

enum pci_status {
    PCI_STATUS_INTERRUPT = 1u << 3,
    PCI_STATUS_CAPABILITIES = 1u << 4,
};

#define PCI_HEADER_BRIDGE        0x01u
#define PCI_HEADER_MULTIFUNCTION 0x80u

enum pci_bridge_control {
    PCI_BRIDGE_CONTROL_PARITY = 1u << 0,
    PCI_BRIDGE_CONTROL_SERR = 1u << 1,
    PCI_BRIDGE_CONTROL_BUS_RESET = 1u << 6,
};

#define PCI_PREFETCH_64BIT 0x1u

enum pci_bar_bits {
    PCI_BAR_IO_SPACE = 1u << 0,
    PCI_BAR_64BIT = 2u << 1,
    PCI_BAR_PREFETCH = 1u << 3,
};

enum pci_capability_id {
    PCI_CAPABILITY_VENDOR = 0x09,
    PCI_CAPABILITY_MSIX = 0x11,
};

/* MSI-X capability, from its start. */
enum msix_capability {
    MSIX_CONTROL = 2,
    MSIX_TABLE = 4,
    MSIX_PBA = 8,
    MSIX_CAPABILITY_SIZE = 12,
};
#define MSIX_CONTROL_ENABLE        0x8000u
#define MSIX_CONTROL_FUNCTION_MASK 0x4000u

#endif
