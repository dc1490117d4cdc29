/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where things are in the PC's address spaces. Read by the C compiler, also for acpi/dsdt.asl, so that there is one
 * truth: plain numbers only.
 *
 *   0                  RAM; the lowest 192 KiB hold the boot structures, which the guest may reuse
 *   0x0009FC00         EBDA, reserved
 *   0x000E0000         ACPI tables, reserved
 *   0x00100000         RAM, at most up to 3 GiB
 *   0xC0000000         PCI memory window, 32-bit
 *   0xE0000000         PCI configuration (ECAM), 256 buses
 *   0xFEC00000         I/O APIC, HPET, local APIC, the accelerator's own pages
 *   0x100000000        RAM beyond the first 3 GiB
 *   above that RAM     PCI memory window, 64-bit
 */
#ifndef HDL_MACHINE_PC_LAYOUT_H
#define HDL_MACHINE_PC_LAYOUT_H

/* RAM */
#define PC_RAM_LOW_MAX  0xC0000000
#define PC_RAM_HIGH     0x100000000
#define PC_EBDA         0x0009FC00
#define PC_EBDA_END     0x000A0000
#define PC_ACPI         0x000E0000
#define PC_ACPI_END     0x00100000
#define PC_RAM_EXTENDED 0x00100000

/* Boot structures, all below PC_BOOT_END and in the RAM that the guest gets to use once it has read them. */
#define PC_BOOT_GDT     0x00000500
#define PC_BOOT_INFO    0x00006000
#define PC_BOOT_PARAMS  0x00007000
#define PC_BOOT_TABLES  0x00009000
#define PC_BOOT_STACK   0x00010000
#define PC_BOOT_MEMMAP  0x00010000
#define PC_BOOT_MODULES 0x00018000
#define PC_BOOT_CMDLINE 0x00020000
#define PC_BOOT_END     0x00030000

/* Memory-mapped I/O */
#define PC_PCI_MMIO32      0xC0000000
#define PC_PCI_MMIO32_SIZE 0x20000000
#define PC_PCI_MMIO32_LAST 0xDFFFFFFF
#define PC_ECAM            0xE0000000
#define PC_ECAM_SIZE       0x10000000
#define PC_ECAM_LAST       0xEFFFFFFF
#define PC_IOAPIC          0xFEC00000
#define PC_HPET            0xFED00000
#define PC_HPET_SIZE       0x00000400
#define PC_LAPIC           0xFEE00000
/* Pages that KVM keeps for itself on some processors (identity map, then three of task state). */
#define PC_ACCEL      0xFEFFC000
#define PC_ACCEL_SIZE 0x00004000
/* The 64-bit PCI window starts at the next multiple of its size beyond RAM. */
#define PC_PCI_MMIO64_SIZE 0x800000000

/* I/O ports */
#define PC_PORT_I8042            0x0060
#define PC_PORT_RTC              0x0070
#define PC_PORT_DEBUGCON         0x0402
#define PC_PORT_SERIAL0          0x03F8
#define PC_PORT_SERIAL1          0x02F8
#define PC_PORT_SERIAL2          0x03E8
#define PC_PORT_SERIAL3          0x02E8
#define PC_PORT_FW_CFG           0x0510
#define PC_PORT_PM               0x0600
#define PC_PORT_PM_TIMER         0x0608
#define PC_PORT_GPE0             0x0620
#define PC_PORT_PCI_CONFIG       0x0CF8
#define PC_PORT_RESET            0x0CF9
#define PC_PORT_PCI_LOW          0x0D00
#define PC_PORT_PCI_LOW_LAST     0xADFF
#define PC_PORT_PCI_LOW_SIZE     0xA100
#define PC_PORT_PCI_HOTPLUG      0xAE00
#define PC_PORT_PCI_HOTPLUG_SIZE 0x0020
#define PC_PORT_PCI_HIGH         0xAE20
#define PC_PORT_PCI_HIGH_SIZE    0x51E0
/* What devices are given at power-on */
#define PC_PORT_PCI_IO      0xB000
#define PC_PORT_PCI_IO_SIZE 0x5000

/* Global system interrupts */
#define PC_GSI_SERIAL_EVEN 3
#define PC_GSI_SERIAL_ODD  4
#define PC_GSI_RTC         8
#define PC_GSI_SCI         9
#define PC_GSI_PCI         16
#define PC_GSI_PCI_COUNT   4

/* Values that ACPI tables and devices agree on */
#define PC_SLEEP_TYPE_S5    5
#define PC_RESET_VALUE      0x06
#define PC_HPET_ID          0x8086A201
#define PC_ACPI_PARAMS      0x000FFF00
#define PC_ACPI_PARAMS_SIZE 0x00000020

#endif
