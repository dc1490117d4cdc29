/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Wires between devices, the board's own interrupt controllers and CPU 0. There is no state here, and no lock: a line
 * goes to the 8259s first and to the I/O APIC then, each under its own lock, one after the other. Changes of one line
 * don't overtake each other, as each line has one driver, which changes it under its own lock (a device's, or a wired
 * OR's).
 */
#include "machine/pc_intc.h"

#include <errno.h>

#include "machine/pc.h"
#include "machine/pc_layout.h"
#include "vcpu/vcpu.h"

/* --- from the accelerator: vCPU threads, no lock held ------------------------------------------------------------ */

/* ExtINT: the 8259s' INTR is wired to CPU 0 alone. */
static bool intc_pending(void *opaque, unsigned vcpu_index)
{
    const struct pc_intc *intc = opaque;

    return vcpu_index == 0 && i8259_is_pending(intc->pic);
}

static int intc_acknowledge(void *opaque, unsigned vcpu_index)
{
    const struct pc_intc *intc = opaque;

    return i8259_acknowledge(intc->pic);
}

static void intc_end_of_interrupt(void *opaque, uint8_t vector)
{
    const struct pc_intc *intc = opaque;

    ioapic_end_of_interrupt(intc->ioapic, vector);
}

struct vm_interrupt_source pc_intc_source(struct pc_intc *intc)
{
    return (struct vm_interrupt_source){.pending = intc_pending,
                                        .acknowledge = intc_acknowledge,
                                        .end_of_interrupt = intc_end_of_interrupt,
                                        .opaque = intc};
}

/* --- lines: any thread, under device locks ----------------------------------------------------------------------- */

static void intc_set_intr(void *opaque, unsigned pin, bool level)
{
    const struct pc *pc = opaque;

    if (level) {
        vcpu_interrupt(pc->vm->vcpus[0]);
    }
}

/* Interrupt 0 is the I/O APIC's pin 2. */
static void intc_set_line(void *opaque, unsigned gsi, bool level)
{
    const struct pc_intc *intc = opaque;
    struct irq_line wire = ioapic_input(intc->ioapic, gsi == 0 ? 2 : gsi);

    if (gsi < I8259_PINS) {
        struct irq_line legacy = i8259_input(intc->pic, gsi);

        irq_set(&legacy, level);
    }
    irq_set(&wire, level);
}

struct irq_line pc_intc_line(struct pc *pc, unsigned gsi)
{
    if (pc->env.config->irqchip != CONFIG_IRQCHIP_SPLIT) {
        return vm_irq_line(pc->vm, gsi);
    }
    if (gsi == 2) {
        return (struct irq_line){0};
    }
    return (struct irq_line){.set = intc_set_line, .opaque = &pc->intc, .pin = gsi};
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static struct device *intc_create(struct pc *pc, const struct device_type *type, struct error **err)
{
    struct device *device = device_create(type, NULL, pc->env.loop, NULL, NULL);

    if (!device) {
        error_set(err, -ENOMEM, "out of memory");
    }
    return device;
}

static int intc_add_pic(struct pc *pc, struct error **err)
{
    struct device *device = intc_create(pc, &i8259_device_type, err);

    if (!device) {
        return -ENOMEM;
    }
    pc->intc.pic = (struct i8259 *)device;
    pc->intc.pic->output = (struct irq_line){.set = intc_set_intr, .opaque = pc};
    return pc_add_device(pc, device, err);
}

static int intc_add_ioapic(struct pc *pc, struct error **err)
{
    struct device *device = intc_create(pc, &ioapic_device_type, err);

    if (!device) {
        return -ENOMEM;
    }
    pc->intc.ioapic = (struct ioapic *)device;
    pc->intc.ioapic->base = PC_IOAPIC;
    return pc_add_device(pc, device, err);
}

static int intc_add_pit(struct pc *pc, struct error **err)
{
    struct device *device = intc_create(pc, &i8254_device_type, err);

    if (!device) {
        return -ENOMEM;
    }
    pc->intc.pit = (struct i8254 *)device;
    return pc_add_device(pc, device, err);
}

int pc_intc_add(struct pc *pc, struct error **err)
{
    int ret;

    if (pc->env.config->irqchip != CONFIG_IRQCHIP_SPLIT) {
        return 0;
    }
    ret = intc_add_pic(pc, err);
    if (ret == 0) {
        ret = intc_add_ioapic(pc, err);
    }
    return ret == 0 ? intc_add_pit(pc, err) : ret;
}
