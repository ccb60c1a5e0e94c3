// SPDX-License-Identifier: Apache-2.0
/*
 * The DSDT of a child partition. What depends on the machine's configuration comes from an SSDT that is written at start
 * (acpi.c): MHBA and MHLN, the MMIO range above RAM; VMBP, whether VMBus is there.
 */
DefinitionBlock ("dsdt.aml", "DSDT", 2, "VRTUAL", "VIRID", 1)
{
    External (\MHBA, IntObj)
    External (\MHLN, IntObj)
    External (\VMBP, IntObj)

    // SLP_TYP values as chipset/board.h has them.
    Name (\_S5, Package (4) { 0, 0, 0, 0 })

    Method (\_PIC, 1)
    {
    }

    Scope (\_SB)
    {
        // Owns the address space from which VMBus devices get their MMIO.
        Device (VMOD)
        {
            Name (_HID, "ACPI0004")
            Name (_UID, 0)
            Name (RBUF, ResourceTemplate ()
            {
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0, 0xF8000000, 0xFEBFFFFF, 0, 0x06C00000)
                QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0, 0x0000001000000000, 0x00000010FFFFFFFF, 0, 0x0000000100000000, , , HIGH)
            })
            Method (_CRS, 0, Serialized)
            {
                CreateQWordField (RBUF, ^HIGH._MIN, HMIN)
                CreateQWordField (RBUF, ^HIGH._MAX, HMAX)
                CreateQWordField (RBUF, ^HIGH._LEN, HLEN)
                HMIN = \MHBA
                HLEN = \MHLN
                HMAX = \MHBA + \MHLN - 1
                Return (RBUF)
            }

            Device (APIC)
            {
                Name (_HID, EisaId ("PNP0003"))
                Name (_CRS, ResourceTemplate ()
                {
                    Memory32Fixed (ReadWrite, 0xFEE00000, 0x00001000)
                    Memory32Fixed (ReadWrite, 0xFEC00000, 0x00001000)
                })
            }

            Device (VMBS)
            {
                Name (_HID, "MSFT1000")
                Name (_CID, "VMBUS")
                Name (_DDN, "VMBUS")
                Name (_UID, 0)
                Name (STAT, 0x0F)
                Method (_STA)
                {
                    If (\VMBP)
                    {
                        Return (STAT)
                    }
                    Return (Zero)
                }
                Method (_DIS)
                {
                    STAT &= 0x0D
                }
                Method (_PS0)
                {
                    STAT |= 0x0F
                }
                Method (_PS3)
                {
                }
                // The interrupt is a message of the hypervisor, but drivers insist that the method exists.
                Name (_CRS, ResourceTemplate ()
                {
                })
            }
        }

        Device (RTC0)
        {
            Name (_HID, EisaId ("PNP0B00"))
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x0070, 0x0070, 0x00, 0x02)
                IRQNoFlags () { 8 }
            })
        }

        Device (UAR1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_DDN, "COM1")
            Name (_UID, 1)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x03F8, 0x03F8, 0x01, 0x08)
                IRQNoFlags () { 4 }
            })
        }

        Device (UAR2)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_DDN, "COM2")
            Name (_UID, 2)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x02F8, 0x02F8, 0x01, 0x08)
                IRQNoFlags () { 3 }
            })
        }
    }
}
