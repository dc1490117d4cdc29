/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Wires between devices, the board's own interrupt controllers and the CPUs. There is no state here, and no lock: a
 * line goes to the 8259s first and to the I/O APIC then, each under its own lock, one after the other. Changes of one
 * line don't overtake each other, as each line has one driver, which changes it under its own lock (a device's, or a
 * wired OR's). Messages go to the local APICs with no lock at all.
 */
#include "machine/pc_intc.h"

#include <errno.h>

#include "machine/pc.h"
#include "machine/pc_layout.h"
#include "vcpu/vcpu.h"

/* --- from the accelerator: vCPU threads, no lock held ------------------------------------------------------------ */

/* Without local APICs here only ExtINT is asked for: the 8259s' INTR is wired to CPU 0 alone. */
static bool intc_pending(void *opaque, unsigned vcpu_index)
{
    const struct pc_intc *intc = opaque;

    if (intc->lapics) {
        return lapic_is_pending(intc->lapics, vcpu_index);
    }
    return vcpu_index == 0 && i8259_is_pending(intc->pic);
}

static int intc_acknowledge(void *opaque, unsigned vcpu_index)
{
    const struct pc_intc *intc = opaque;

    return intc->lapics ? lapic_acknowledge(intc->lapics, vcpu_index) : i8259_acknowledge(intc->pic);
}

static void intc_end_of_interrupt(void *opaque, uint8_t vector)
{
    const struct pc_intc *intc = opaque;

    ioapic_end_of_interrupt(intc->ioapic, vector);
}

static bool intc_msr_read(void *opaque, unsigned vcpu_index, uint32_t msr, uint64_t *value)
{
    return lapic_msr_read(((struct pc_intc *)opaque)->lapics, vcpu_index, msr, value);
}

static bool intc_msr_write(void *opaque, unsigned vcpu_index, uint32_t msr, uint64_t value)
{
    return lapic_msr_write(((struct pc_intc *)opaque)->lapics, vcpu_index, msr, value);
}

static uint8_t intc_get_tpr(void *opaque, unsigned vcpu_index)
{
    return lapic_get_tpr(((struct pc_intc *)opaque)->lapics, vcpu_index);
}

static void intc_set_tpr(void *opaque, unsigned vcpu_index, uint8_t tpr)
{
    lapic_set_tpr(((struct pc_intc *)opaque)->lapics, vcpu_index, tpr);
}

static void intc_init_signal(void *opaque, unsigned vcpu_index)
{
    lapic_init_signal(((struct pc_intc *)opaque)->lapics, vcpu_index);
}

struct vm_interrupt_source pc_intc_source(struct pc_intc *intc)
{
    return (struct vm_interrupt_source){.pending = intc_pending,
                                        .acknowledge = intc_acknowledge,
                                        .end_of_interrupt = intc_end_of_interrupt,
                                        .msr_read = intc_msr_read,
                                        .msr_write = intc_msr_write,
                                        .get_tpr = intc_get_tpr,
                                        .set_tpr = intc_set_tpr,
                                        .init = intc_init_signal,
                                        .opaque = intc};
}

/* --- from the local APICs: any thread, lockless ------------------------------------------------------------------ */

static struct vcpu *intc_vcpu(void *opaque, unsigned index)
{
    return ((const struct pc *)opaque)->vm->vcpus[index];
}

static uint32_t intc_cpu_apic_id(void *opaque, unsigned index)
{
    return intc_vcpu(opaque, index)->apic_id;
}

static void intc_cpu_interrupt(void *opaque, unsigned index)
{
    vcpu_interrupt(intc_vcpu(opaque, index));
}

static void intc_cpu_nmi(void *opaque, unsigned index)
{
    vcpu_nmi(intc_vcpu(opaque, index));
}

static void intc_cpu_init(void *opaque, unsigned index)
{
    vcpu_init_signal(intc_vcpu(opaque, index));
}

static void intc_cpu_sipi(void *opaque, unsigned index, uint8_t vector)
{
    vcpu_sipi(intc_vcpu(opaque, index), vector);
}

static uint64_t intc_cpu_tsc(void *opaque, unsigned index)
{
    return vcpu_tsc(intc_vcpu(opaque, index));
}

static int intc_cpu_current(void *opaque)
{
    const struct vcpu *vcpu = vcpu_current();

    return vcpu ? (int)vcpu->index : -1;
}

static const struct lapic_cpu_ops intc_cpu_ops = {
    .apic_id = intc_cpu_apic_id,
    .interrupt = intc_cpu_interrupt,
    .nmi = intc_cpu_nmi,
    .init = intc_cpu_init,
    .sipi = intc_cpu_sipi,
    .tsc = intc_cpu_tsc,
    .current = intc_cpu_current,
};

/* --- messages: any thread, under device locks, lockless ---------------------------------------------------------- */

static int intc_msi_send(struct msi_target *target, struct msi_message message)
{
    return lapic_bus_send_msi(container_of(target, struct pc_intc, msi)->lapics, message);
}

/* No routes: who would use one sends the message itself. */
static const struct msi_target_ops intc_msi_ops = {.send = intc_msi_send};

struct msi_target *pc_intc_msi(struct pc *pc)
{
    if (vm_irqchip(pc->vm) != VM_IRQCHIP_USER) {
        return vm_msi_target(pc->vm);
    }
    pc->intc.msi.ops = &intc_msi_ops;
    return &pc->intc.msi;
}

/* --- lines: any thread, under device locks ----------------------------------------------------------------------- */

static void intc_set_intr(void *opaque, unsigned pin, bool level)
{
    const struct pc *pc = opaque;

    if (level && pc->intc.lapics) {
        lapic_bus_lint0_rise(pc->intc.lapics);
    } else if (level) {
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
    if (vm_irqchip(pc->vm) == VM_IRQCHIP_KERNEL) {
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
    struct device *device = device_create(type, NULL, pc->env.device_loop, NULL, NULL);

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

static int intc_add_lapics(struct pc *pc, struct error **err)
{
    struct device *device = intc_create(pc, &lapic_bus_device_type, err);
    struct lapic_bus *lapics = (struct lapic_bus *)device;

    if (!device) {
        return -ENOMEM;
    }
    lapics->cpus = &intc_cpu_ops;
    lapics->cpus_opaque = pc;
    lapics->count = pc->vm->vcpu_max;
    lapics->tsc_khz = vm_tells_tsc(pc->vm) ? vm_tsc_khz(pc->vm) : 0;
    lapics->pic = pc->intc.pic;
    lapics->ioapic = pc->intc.ioapic;
    pc->intc.lapics = lapics;
    return pc_add_device(pc, device, err);
}

int pc_intc_add(struct pc *pc, struct error **err)
{
    int ret;

    if (vm_irqchip(pc->vm) == VM_IRQCHIP_KERNEL) {
        return 0;
    }
    ret = intc_add_pic(pc, err);
    if (ret == 0) {
        ret = intc_add_ioapic(pc, err);
    }
    if (ret == 0 && vm_irqchip(pc->vm) == VM_IRQCHIP_USER) {
        ret = intc_add_lapics(pc, err);
    }
    return ret == 0 ? intc_add_pit(pc, err) : ret;
}
