/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Puts the board together: what is at which address is said here and in pc_layout.h, what is wired to which interrupt
 * is said here. Configuration thread only. Devices guard themselves against the guest; the board has no handler of its
 * own.
 */
#include "machine/pc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hw/misc/i8042.h"
#include "hw/pci/pcie_port.h"
#include "hw/timer/pmtimer.h"
#include "machine/pc_fw_cfg.h"
#include "machine/pc_layout.h"
#include "vcpu/vcpu.h"

#define PC_CPU_DEFAULT "host"

/* PCI memory lies below RAM and everything on the board. */
enum { PRIORITY_PCI = -1, PRIORITY_RAM = 0 };

/* --- memory and ports ------------------------------------------------------------------------------------------- */

static int pc_init_ram(struct pc *pc, struct error **err)
{
    const struct machine_config *config = pc->env.config;
    unsigned flags = config->ram_huge_pages ? ram_huge_pages(config->ram_huge_page_bytes) : (unsigned)RAM_THP;

    flags |= config->ram_prealloc ? RAM_PREALLOC : 0;
    pc->ram = ram_block_create("pc.ram", config->ram_bytes, flags, err);
    if (!pc->ram) {
        return -ENOMEM;
    }
    pc->low_bytes = MIN(config->ram_bytes, (uint64_t)PC_RAM_LOW_MAX);
    pc->high_bytes = config->ram_bytes - pc->low_bytes;
    region_init_ram(&pc->ram_low, "ram-below-4g", pc->ram, 0, pc->low_bytes, false);
    region_add(&pc->map, &pc->memory_root, 0, &pc->ram_low, PRIORITY_RAM);
    if (pc->high_bytes > 0) {
        region_init_ram(&pc->ram_high, "ram-above-4g", pc->ram, pc->low_bytes, pc->high_bytes, false);
        region_add(&pc->map, &pc->memory_root, PC_RAM_HIGH, &pc->ram_high, PRIORITY_RAM);
    }
    pc->window64_start = ALIGN_UP(PC_RAM_HIGH + pc->high_bytes, (uint64_t)PC_PCI_MMIO64_SIZE);
    return 0;
}

static void pc_init_spaces(struct pc *pc)
{
    memory_map_init(&pc->map);
    region_init_container(&pc->memory_root, "memory", 0);
    region_init_container(&pc->io_root, "io", 0x10000);
    region_init_container(&pc->pci_memory, "pci-memory", 0);
    region_add(&pc->map, &pc->memory_root, 0, &pc->pci_memory, PRIORITY_PCI);
    address_space_init(&pc->memory, &pc->map, &pc->memory_root, "memory");
    address_space_init(&pc->io, &pc->map, &pc->io_root, "io");
}

static void pc_destroy_spaces(struct pc *pc)
{
    address_space_destroy(&pc->io);
    address_space_destroy(&pc->memory);
    if (pc->high_bytes > 0) {
        region_remove(&pc->map, &pc->ram_high);
        region_destroy(&pc->ram_high);
    }
    if (pc->ram) {
        region_remove(&pc->map, &pc->ram_low);
        region_destroy(&pc->ram_low);
    }
    region_remove(&pc->map, &pc->pci_memory);
    region_destroy(&pc->pci_memory);
    region_destroy(&pc->io_root);
    region_destroy(&pc->memory_root);
    ram_block_put(pc->ram);
    memory_map_destroy(&pc->map);
}

/* --- processors ------------------------------------------------------------------------------------------------- */

static int pc_init_vm(struct pc *pc, struct error **err)
{
    static const enum vm_irqchip irqchips[] = {[CONFIG_IRQCHIP_ON] = VM_IRQCHIP_KERNEL,
                                               [CONFIG_IRQCHIP_SPLIT] = VM_IRQCHIP_SPLIT,
                                               [CONFIG_IRQCHIP_OFF] = VM_IRQCHIP_USER};
    const struct machine_config *config = pc->env.config;
    struct vm_config vm_config = {
        .memory = &pc->memory,
        .io = &pc->io,
        .topology = {.sockets = config->sockets, .cores = config->cores, .threads = config->threads},
        .irqchip = irqchips[config->irqchip],
        .pit = true,
        .loop = pc->env.loop,
        .event = pc->env.vm_event,
        .event_opaque = pc->env.vm_event_opaque,
        .coalescing = pc->env.coalescing,
        .coalescing_opaque = pc->env.coalescing_opaque,
        .interrupts = pc_intc_source(&pc->intc),
    };
    int ret;

    ret = cpu_model_parse(&vm_config.cpu, config->cpu ? config->cpu : PC_CPU_DEFAULT, err);
    if (ret < 0) {
        return ret;
    }
    pc->vm = vm_create((const char *const *)config->accels, config->accel_count, &vm_config, err);
    if (!pc->vm) {
        return -ENODEV;
    }
    for (unsigned i = 0; i < config->cpus; i++) {
        if (!vcpu_create(pc->vm, i, err)) {
            return -EIO;
        }
    }
    return 0;
}

/* --- buses ------------------------------------------------------------------------------------------------------ */

static void pc_init_isa(struct pc *pc)
{
    pc->isa = (struct isa_bus){
        .map = &pc->map,
        .io_root = &pc->io_root,
        .mem_root = &pc->memory_root,
        .clock = pc->env.guest_clock,
        .msi = pc_intc_msi(pc),
        .legacy_lock = &pc->legacy_lock,
        .requests = pc->env.requests,
        .chardevs = pc->env.chardevs,
    };
    for (unsigned gsi = 0; gsi < ISA_IRQ_COUNT; gsi++) {
        pc->isa.irqs[gsi] = pc_intc_line(pc, gsi);
    }
}

static int pc_init_pci(struct pc *pc, struct error **err)
{
    struct irq_line pirq[PCI_PIRQ_COUNT];
    struct device *bridge;

    for (unsigned i = 0; i < PCI_PIRQ_COUNT; i++) {
        pirq[i] = pc_intc_line(pc, PC_GSI_PCI + i);
    }
    pci_host_init(&pc->pci, &pc->map, &pc->pci_memory, &pc->io_root, pirq, pc_intc_msi(pc), pc->env.reset_control);
    pc->has_pci = true;
    region_add(&pc->map, &pc->io_root, PCI_HOST_PORT, &pc->pci.address_port, 0);
    region_add(&pc->map, &pc->io_root, PCI_HOST_DATA_PORT, &pc->pci.data_port, 0);
    region_add(&pc->map, &pc->memory_root, PC_ECAM, &pc->pci.ecam, 0);
    bridge = device_create(&pci_host_bridge_type, NULL, pc->env.device_loop, NULL, NULL);
    if (!bridge) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    pci_device_attach(pci_device_of(bridge), &pc->pci.bus);
    return pc_add_device(pc, bridge, err);
}

static void pc_destroy_pci(struct pc *pc)
{
    if (pc->has_pci) {
        region_remove(&pc->map, &pc->pci.ecam);
        region_remove(&pc->map, &pc->pci.data_port);
        region_remove(&pc->map, &pc->pci.address_port);
        pci_host_destroy(&pc->pci);
    }
}

/* --- devices ---------------------------------------------------------------------------------------------------- */

struct pci_bus *pc_find_pci_bus(struct pc *pc, const char *name, struct error **err)
{
    const struct machine_device *entry;
    struct pci_bus *bus;

    if (!name || strcmp(name, "pcie.0") == 0 || strcmp(name, "pci.0") == 0) {
        return &pc->pci.bus;
    }
    entry = device_set_find(&pc->devices, name);
    /* A port that is leaving takes its bus with it, on its own loop. */
    bus = entry && device_is_realized(entry->device) ? pcie_port_bus(entry->device) : NULL;
    if (!bus) {
        error_set(err, -ENOENT, "Bus '%s' not found", name);
    }
    return bus;
}

int pc_add_user_device(struct pc *pc, const struct machine_device *entry, struct error **err)
{
    struct device *device = entry->device;
    struct pci_device *pci = pci_device_try(device);
    const char *bus = device->type->bus;

    if (pci && !pci->bus) {
        pci_device_attach(pci, &pc->pci.bus);
    } else if (bus && strcmp(bus, "ISA") == 0) {
        isa_device_from(device)->isa = &pc->isa;
    }
    device->idle = pc->env.device_idle;
    device->idle_opaque = pc->env.device_idle_opaque;
    return device_set_add(&pc->devices, entry, err);
}

int pc_add_device(struct pc *pc, struct device *device, struct error **err)
{
    struct machine_device entry = {.device = device};

    return pc_add_user_device(pc, &entry, err);
}

static struct device *pc_create_device(struct pc *pc, const struct device_type *type, struct error **err)
{
    struct device *device = device_create(type, NULL, pc->env.device_loop, &pc->memory, NULL);

    if (!device) {
        error_set(err, -ENOMEM, "out of memory");
    }
    return device;
}

static int pc_add_pm(struct pc *pc, struct error **err)
{
    struct device *pm = pc_create_device(pc, &acpi_pm_device_type, err);
    struct device *timer;
    int ret;

    if (!pm) {
        return -ENOMEM;
    }
    pc->pm = (struct acpi_pm *)pm;
    pc->pm->base = PC_PORT_PM;
    pc->pm->gpe_base = PC_PORT_GPE0;
    ret = pc_add_device(pc, pm, err);
    if (ret < 0) {
        return ret;
    }
    timer = pc_create_device(pc, &pmtimer_device_type, err);
    if (!timer) {
        return -ENOMEM;
    }
    ((struct pmtimer *)timer)->port = PC_PORT_PM_TIMER;
    return pc_add_device(pc, timer, err);
}

static int pc_add_hotplug(struct pc *pc, struct error **err)
{
    struct device *device = pc_create_device(pc, &acpi_pci_hotplug_type, err);
    int ret;

    if (!device) {
        return -ENOMEM;
    }
    pc->hotplug = (struct acpi_pci_hotplug *)device;
    pc->hotplug->base = PC_PORT_PCI_HOTPLUG;
    pc->hotplug->pm = pc->pm;
    pc->hotplug->hotplug.listener = pc->env.hotplug_listener;
    ret = pc_add_device(pc, device, err);
    if (ret == 0) {
        pc->pci.bus.hotplug = &pc->hotplug->hotplug;
    }
    return ret;
}

static int64_t pc_rtc_seconds(const struct machine_config *config)
{
    if (config->rtc_base == CONFIG_RTC_DATE) {
        return config->rtc_date;
    }
    return rtc_host_seconds(config->rtc_base == CONFIG_RTC_LOCALTIME);
}

static int pc_add_rtc(struct pc *pc, struct error **err)
{
    struct device *device = pc_create_device(pc, &rtc_device_type, err);
    int ret;

    if (!device) {
        return -ENOMEM;
    }
    pc->rtc = (struct rtc *)device;
    pc->rtc->start_seconds = pc_rtc_seconds(pc->env.config);
    pc->rtc->clock = pc->env.config->rtc_host_clock ? pc->env.host_clock : NULL;
    ret = pc_add_device(pc, device, err);
    if (ret == 0) {
        rtc_set_memory(pc->rtc, pc->low_bytes, pc->high_bytes, pc->env.config->cpus);
    }
    return ret;
}

/* HPET legacy replacement takes interrupts 0 and 8 from PIT and RTC. The accelerator's own PIT is silent then. */
static void pc_hpet_legacy_changed(void *opaque, bool legacy)
{
    struct pc *pc = opaque;

    rtc_mask_irq(pc->rtc, legacy);
    if (pc->intc.pit) {
        i8254_mask_irq(pc->intc.pit, legacy);
    }
}

static int pc_add_hpet(struct pc *pc, struct error **err)
{
    struct device *device = pc_create_device(pc, &hpet_device_type, err);
    struct hpet *hpet = (struct hpet *)device;

    if (!device) {
        return -ENOMEM;
    }
    hpet->base = PC_HPET;
    hpet->legacy_changed = pc_hpet_legacy_changed;
    hpet->legacy_changed_opaque = pc;
    return pc_add_device(pc, device, err);
}

static int pc_add_fw_cfg(struct pc *pc, struct error **err)
{
    struct device *device = pc_create_device(pc, &fw_cfg_device_type, err);
    struct guest_memory_map map;
    int ret;

    if (!device) {
        return -ENOMEM;
    }
    guest_memory_map_build(&map, pc->low_bytes, pc->high_bytes);
    ret = pc_fw_cfg_fill((struct fw_cfg *)device, pc->env.config, &map, err);
    if (ret < 0) {
        device_put(device);
        return ret;
    }
    return pc_add_device(pc, device, err);
}

static int pc_add_i8042(struct pc *pc, struct error **err)
{
    struct device *device = pc_create_device(pc, &i8042_device_type, err);

    return device ? pc_add_device(pc, device, err) : -ENOMEM;
}

/* What every board has, in this order. */
static int pc_init_devices(struct pc *pc, struct error **err)
{
    int (*const add[])(struct pc *, struct error **) = {pc_intc_add,    pc_add_rtc,   pc_add_hpet,  pc_add_pm,
                                                        pc_add_hotplug, pc_add_i8042, pc_add_fw_cfg};

    for (size_t i = 0; i < ARRAY_SIZE(add); i++) {
        int ret = add[i](pc, err);

        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}

/* --- life ------------------------------------------------------------------------------------------------------- */

int pc_init(struct pc *pc, const struct pc_env *env, struct error **err)
{
    int ret;

    *pc = (struct pc){.env = *env};
    device_set_init(&pc->devices, env->loop, &env->device_listener);
    device_lock_init(&pc->legacy_lock, "legacy", NULL);
    pc_init_spaces(pc);
    ret = pc_init_ram(pc, err);
    if (ret == 0) {
        ret = pc_init_vm(pc, err);
    }
    if (ret == 0) {
        pc_init_isa(pc);
        ret = pc_init_pci(pc, err);
    }
    if (ret == 0) {
        ret = pc_init_devices(pc, err);
    }
    if (ret < 0) {
        pc_destroy(pc);
    }
    return ret;
}

static bool pc_device_is_pci(struct device *device)
{
    return pci_device_try(device);
}

/* Those plugged into a bus that another device makes leave before it does. */
static bool pc_device_is_leaf(struct device *device)
{
    const struct pci_device *pci = pci_device_try(device);
    const char *bus = device->type->bus;

    return pci ? pci->bus->bridge != NULL : bus && strcmp(bus, "ISA") != 0;
}

/* Whoever tells the guest about slots hears of each function's end, and so leaves after it. */
void pc_destroy(struct pc *pc)
{
    device_set_remove(&pc->devices, pc_device_is_leaf);
    device_set_remove(&pc->devices, pc_device_is_pci);
    device_set_remove(&pc->devices, NULL);
    if (pc->vm) {
        vm_destroy(pc->vm);
    }
    pc_destroy_pci(pc);
    pc_destroy_spaces(pc);
    device_lock_destroy(&pc->legacy_lock);
    device_set_destroy(&pc->devices);
}
