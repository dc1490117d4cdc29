/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PC as ACPI describes it (ACPI 6.4): PCI host bridge with its windows and interrupt routing, the devices that
 * can't be found by probing, and power-off. What differs from machine to machine is in a small block of parameters
 * that acpi/tables.c writes at PC_ACPI_PARAMS; all else is constant. The C preprocessor runs over it before iasl does.
 */
#include "pc_layout.h"

DefinitionBlock ("", "DSDT", 2, "HEDDLE", "HEDDLEPC", 1)
{
    OperationRegion (PARM, SystemMemory, PC_ACPI_PARAMS, PC_ACPI_PARAMS_SIZE)
    Field (PARM, AnyAcc, NoLock, Preserve)
    {
        W64B, 64,   // the 64-bit PCI window: first address,
        W64L, 64,   // last address,
        W64S, 64,   // size
        SERP, 8,    // bit n: COM(n+1) exists
    }

    Scope (\_GPE)
    {
        Method (_E01, 0, NotSerialized)
        {
            \_SB.PCI0.HPCK ()
        }
    }

    // Power-off: the value for SLP_TYP
    Name (\_S5, Package () { PC_SLEEP_TYPE_S5, PC_SLEEP_TYPE_S5, 0, 0 })

    Scope (\_SB)
    {
        // ---- PCI ----
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A08"))     // PCI Express root, and a PCI root for those that know no other
            Name (_CID, EisaId ("PNP0A03"))
            Name (_UID, 0)
            Name (_SEG, 0)
            Name (_BBN, 0)

            Name (WIND, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 255, 0, 256)
                IO (Decode16, PC_PORT_PCI_CONFIG, PC_PORT_PCI_CONFIG, 1, 8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0, 0x0CF7, 0, 0x0CF8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0,
                        PC_PORT_PCI_LOW, PC_PORT_PCI_LOW_LAST, 0, PC_PORT_PCI_LOW_SIZE)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0,
                        PC_PORT_PCI_HIGH, 0xFFFF, 0, PC_PORT_PCI_HIGH_SIZE)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite, 0,
                             PC_PCI_MMIO32, PC_PCI_MMIO32_LAST, 0, PC_PCI_MMIO32_SIZE)
                QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite, 0,
                             0x0000008000000000, 0x00000087FFFFFFFF, 0, 0x0000000800000000, , , HIGH)
            })

            Method (_CRS, 0, Serialized)
            {
                CreateQWordField (WIND, ^HIGH._MIN, HMIN)
                CreateQWordField (WIND, ^HIGH._MAX, HMAX)
                CreateQWordField (WIND, ^HIGH._LEN, HLEN)
                HMIN = W64B
                HMAX = W64L
                HLEN = W64S
                Return (WIND)
            }

            // The guest may have PCI Express ports' hot-plug and power management events, and the capabilities that
            // those are in (PCI Firmware 3.3, 4.5). Slots of the root bus are this table's own.
            Method (_OSC, 4, NotSerialized)
            {
                CreateDWordField (Arg3, 0, STAT)
                If (Arg0 == ToUUID ("33db4d5b-1ff7-401c-9657-7441c03dd766"))
                {
                    CreateDWordField (Arg3, 8, CTRL)
                    If (Arg1 != 1)
                    {
                        STAT |= 8
                    }
                    If (CTRL & ~0x15)
                    {
                        STAT |= 0x10
                    }
                    CTRL &= 0x15
                }
                Else
                {
                    STAT |= 4
                }
                Return (Arg3)
            }

            // Pin p of slot s goes to input PC_GSI_PCI + (s + p) % PC_GSI_PCI_COUNT; there is no PIC routing to choose. A
            // constant: guests ask for it again with every function that a driver enables.
#define ROUTE(slot, pin) Package () { (slot << 16) | 0xFFFF, pin, 0, PC_GSI_PCI + ((slot + pin) % PC_GSI_PCI_COUNT) },
#define ROUTES(slot) ROUTE (slot, 0) ROUTE (slot, 1) ROUTE (slot, 2) ROUTE (slot, 3)
            Name (_PRT, Package ()
            {
                ROUTES (0) ROUTES (1) ROUTES (2) ROUTES (3) ROUTES (4) ROUTES (5) ROUTES (6) ROUTES (7)
                ROUTES (8) ROUTES (9) ROUTES (10) ROUTES (11) ROUTES (12) ROUTES (13) ROUTES (14) ROUTES (15)
                ROUTES (16) ROUTES (17) ROUTES (18) ROUTES (19) ROUTES (20) ROUTES (21) ROUTES (22) ROUTES (23)
                ROUTES (24) ROUTES (25) ROUTES (26) ROUTES (27) ROUTES (28) ROUTES (29) ROUTES (30) ROUTES (31)
            })

            // ---- Hot-plug of its slots (hw/acpi/pci_hotplug.h) ----
            OperationRegion (HPIO, SystemIO, PC_PORT_PCI_HOTPLUG, 0x1C)
            Field (HPIO, DWordAcc, NoLock, WriteAsZeros)
            {
                HPUP, 32,   // slots into which something came
                HPDN, 32,   // slots whose functions are to go
                HPEJ, 32,   // eject
                    , 32,
                HPBU, 32,   // the bus
                    , 32,
                HPNO, 32,   // what won't be ejected
            }
            Mutex (HPMX, 0)

            Method (HPEX, 1, NotSerialized)
            {
                Acquire (HPMX, 0xFFFF)
                HPBU = 0
                HPEJ = 1 << Arg0
                Release (HPMX)
            }

            // Slot, event, status: only what ends an eject request, and not well (6.3.5.2; 0x83: it goes on)
            Method (HPST, 3, NotSerialized)
            {
                Local0 = Arg2 & 0xFF
                If ((Arg1 & 0xFF) == 3 && Local0 != 0 && Local0 != 0x83)
                {
                    Acquire (HPMX, 0xFFFF)
                    HPBU = 0
                    HPNO = 1 << Arg0
                    Release (HPMX)
                }
            }

#define EACH_SLOT(do) \
    do (S01, 1)  do (S02, 2)  do (S03, 3)  do (S04, 4)  do (S05, 5)  do (S06, 6)  do (S07, 7)  do (S08, 8)  \
    do (S09, 9)  do (S10, 10) do (S11, 11) do (S12, 12) do (S13, 13) do (S14, 14) do (S15, 15) do (S16, 16) \
    do (S17, 17) do (S18, 18) do (S19, 19) do (S20, 20) do (S21, 21) do (S22, 22) do (S23, 23) do (S24, 24) \
    do (S25, 25) do (S26, 26) do (S27, 27) do (S28, 28) do (S29, 29) do (S30, 30) do (S31, 31)
#define SLOT(name, number) \
    Device (name) \
    { \
        Name (_SUN, number) \
        Name (_ADR, number << 16) \
        OperationRegion (PCFG, PCI_Config, 0, 4) \
        Field (PCFG, DWordAcc, NoLock, Preserve) { VEND, 16 } \
        Method (_STA, 0, NotSerialized) { If (VEND == 0xFFFF) { Return (0) } Return (0x0F) } \
        Method (_EJ0, 1, NotSerialized) { HPEX (_SUN) } \
        Method (_OST, 3, NotSerialized) { HPST (_SUN, Arg0, Arg1) } \
    }
#define TELL(name, number) If (Arg0 & 1 << number) { Notify (name, Arg1) }

            EACH_SLOT (SLOT)

            // Slots, notification
            Method (HPTL, 2, NotSerialized)
            {
                EACH_SLOT (TELL)
            }

            Method (HPCK, 0, NotSerialized)
            {
                Acquire (HPMX, 0xFFFF)
                HPBU = 0
                HPTL (HPUP, 1)
                HPTL (HPDN, 3)
                Release (HPMX)
            }
        }

        // ---- What the board keeps for itself ----
        Device (MRES)
        {
            Name (_HID, EisaId ("PNP0C02"))
            Name (_UID, 1)
            Name (_CRS, ResourceTemplate ()
            {
                DWordMemory (ResourceConsumer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite, 0,
                             PC_ECAM, PC_ECAM_LAST, 0, PC_ECAM_SIZE)
                IO (Decode16, PC_PORT_PM, PC_PORT_PM, 1, 0x30)
                IO (Decode16, PC_PORT_PCI_HOTPLUG, PC_PORT_PCI_HOTPLUG, 1, PC_PORT_PCI_HOTPLUG_SIZE)
            })
        }

        Device (HPET)
        {
            Name (_HID, EisaId ("PNP0103"))
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadOnly, PC_HPET, PC_HPET_SIZE)
            })
        }

        // ---- ISA ----
        Device (RTC)
        {
            Name (_HID, EisaId ("PNP0B00"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, PC_PORT_RTC, PC_PORT_RTC, 1, 8)
                IRQNoFlags () { 8 }
            })
        }

        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 1)
            Method (_STA, 0, NotSerialized)
            {
                If (SERP & 1)
                {
                    Return (0x0F)
                }
                Return (0)
            }
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, PC_PORT_SERIAL0, PC_PORT_SERIAL0, 0, 8)
                IRQNoFlags () { 4 }
            })
        }

        Device (COM2)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 2)
            Method (_STA, 0, NotSerialized)
            {
                If (SERP & 2)
                {
                    Return (0x0F)
                }
                Return (0)
            }
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, PC_PORT_SERIAL1, PC_PORT_SERIAL1, 0, 8)
                IRQNoFlags () { 3 }
            })
        }

        Device (COM3)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 3)
            Method (_STA, 0, NotSerialized)
            {
                If (SERP & 4)
                {
                    Return (0x0F)
                }
                Return (0)
            }
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, PC_PORT_SERIAL2, PC_PORT_SERIAL2, 0, 8)
                IRQNoFlags () { 4 }
            })
        }

        Device (COM4)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 4)
            Method (_STA, 0, NotSerialized)
            {
                If (SERP & 8)
                {
                    Return (0x0F)
                }
                Return (0)
            }
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, PC_PORT_SERIAL3, PC_PORT_SERIAL3, 0, 8)
                IRQNoFlags () { 3 }
            })
        }

        // The firmware configuration device, by the name that guests' drivers look for.
        Device (FWCF)
        {
            Name (_HID, "QEMU0002")
            Name (_STA, 0x0B)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, PC_PORT_FW_CFG, PC_PORT_FW_CFG, 1, 0x0C)
            })
        }
    }
}
