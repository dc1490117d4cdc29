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
    PCI_CAPABILITY_EXPRESS = 0x10,
    PCI_CAPABILITY_MSIX = 0x11,
};

/* PCI Express capability, from its start (PCI Express Base 3.0, 7.8). */
enum pcie_capability {
    PCIE_CAPABILITIES = 0x02,
    PCIE_DEVICE_CAPABILITIES = 0x04,
    PCIE_DEVICE_CONTROL = 0x08,
    PCIE_DEVICE_STATUS = 0x0a,
    PCIE_LINK_CAPABILITIES = 0x0c,
    PCIE_LINK_CONTROL = 0x10,
    PCIE_LINK_STATUS = 0x12,
    PCIE_SLOT_CAPABILITIES = 0x14,
    PCIE_SLOT_CONTROL = 0x18,
    PCIE_SLOT_STATUS = 0x1a,
    PCIE_ROOT_CONTROL = 0x1c,
    PCIE_LINK_CAPABILITIES2 = 0x2c,
    PCIE_LINK_CONTROL2 = 0x30,
    PCIE_CAPABILITY_SIZE = 0x3c,
};

#define PCIE_CAPABILITIES_VERSION 0x0002u
#define PCIE_CAPABILITIES_SLOT    0x0100u
enum pcie_type { PCIE_ENDPOINT = 0, PCIE_ROOT_PORT = 4 };

enum pcie_device_bits {
    PCIE_DEVICE_ROLE_BASED_ERRORS = 1u << 15, /* capabilities */
    PCIE_DEVICE_CONTROL_WRITABLE = 0x790fu | 1u << 4,
    PCIE_DEVICE_CONTROL_DEFAULT = 0x2810u, /* relaxed ordering, no snoop, read requests of 512 bytes */
    PCIE_DEVICE_STATUS_ERRORS = 0xfu,
};

enum pcie_link_bits {
    PCIE_LINK_SPEED_2_5 = 1u, /* GT/s */
    PCIE_LINK_WIDTH_1 = 1u << 4,
    PCIE_LINK_ACTIVE_REPORTING = 1u << 20, /* capabilities */
    PCIE_LINK_PORT_SHIFT = 24,
    PCIE_LINK_CONTROL_ASPM = 3u << 0,
    PCIE_LINK_CONTROL_DISABLE = 1u << 4,
    PCIE_LINK_CONTROL_COMMON_CLOCK = 1u << 6,
    PCIE_LINK_CONTROL_EXTENDED_SYNC = 1u << 7,
    PCIE_LINK_STATUS_ACTIVE = 1u << 13,
    PCIE_LINK2_SPEEDS_2_5 = 1u << 1,
};

enum pcie_slot_bits {
    PCIE_SLOT_HAS_BUTTON = 1u << 0, /* capabilities */
    PCIE_SLOT_HAS_POWER_CONTROLLER = 1u << 1,
    PCIE_SLOT_HAS_ATTENTION_INDICATOR = 1u << 3,
    PCIE_SLOT_HAS_POWER_INDICATOR = 1u << 4,
    PCIE_SLOT_HOTPLUG_SURPRISE = 1u << 5,
    PCIE_SLOT_HOTPLUG = 1u << 6,
    PCIE_SLOT_NUMBER_SHIFT = 19,
    PCIE_SLOT_BUTTON = 1u << 0, /* status, and its interrupt's enable bit in control */
    PCIE_SLOT_PRESENCE_CHANGED = 1u << 3,
    PCIE_SLOT_COMMAND_COMPLETED = 1u << 4,
    PCIE_SLOT_EVENTS = 0x1fu,
    PCIE_SLOT_CONTROL_INTERRUPT = 1u << 5,
    PCIE_SLOT_CONTROL_ATTENTION = 3u << 6,
    PCIE_SLOT_CONTROL_POWER_INDICATOR = 3u << 8,
    PCIE_SLOT_CONTROL_POWER_OFF = 1u << 10,
    PCIE_SLOT_CONTROL_LINK_CHANGED = 1u << 12,
    PCIE_SLOT_STATUS_PRESENT = 1u << 6,
    PCIE_SLOT_STATUS_LINK_CHANGED = 1u << 8,
};
enum pcie_indicator { PCIE_INDICATOR_ON = 1, PCIE_INDICATOR_BLINK = 2, PCIE_INDICATOR_OFF = 3 };

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
