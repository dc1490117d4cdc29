/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The board's own interrupt controllers and interval timer: an I/O APIC, a pair of 8259s and an 8254 for
 * -M kernel-irqchip=split; local APICs too for kernel-irqchip=off, and for accelerators that have none; and how
 * interrupts go to all of them. With kernel-irqchip=on everything here is empty: the accelerator has them.
 */
#ifndef HDL_MACHINE_PC_INTC_H
#define HDL_MACHINE_PC_INTC_H

#include "hw/intc/i8259.h"
#include "hw/intc/ioapic.h"
#include "hw/intc/lapic.h"
#include "hw/timer/i8254.h"
#include "vcpu/vm.h"

struct pc;

/* Set on the configuration thread before the first vCPU runs; the board's table of devices has the references. */
struct pc_intc {
    struct msi_target msi;    /* leads to lapics */
    struct lapic_bus *lapics; /* NULL: the accelerator has them */
    struct i8259 *pic;
    struct ioapic *ioapic;
    struct i8254 *pit;
};

/* For vm_config: where the accelerator asks. intc may be filled afterwards, before a vCPU runs. */
struct vm_interrupt_source pc_intc_source(struct pc_intc *intc);
/* Where message-signalled interrupts go. The VM must be there. Lives as long as the board. */
struct msi_target *pc_intc_msi(struct pc *pc);
/*
 * The line of an interrupt number, as isa_bus counts them: to the controllers, which take it under their own locks; to
 * the accelerator if it has them. For numbers below 16 both kinds of controller have an input, but 2.
 */
struct irq_line pc_intc_line(struct pc *pc, unsigned gsi);
/* Creates, wires and realizes those that the accelerator doesn't have. The ISA bus must be there. 0 or an error. */
int pc_intc_add(struct pc *pc, struct error **err);

#endif
