/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Power-on and reset of the board: does what firmware would have done, in every CPU, then has the kernel loaded and the
 * boot processor pointed at it. Configuration thread, while the vCPUs stand still. The guest may have written anywhere
 * before a reset; nothing that it left in memory is read.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "machine/acpi/tables.h"
#include "machine/boot_cpu.h"
#include "machine/pc.h"
#include "machine/pc_layout.h"
#include "vcpu/vcpu.h"

static int pc_write_acpi(struct pc *pc, uint64_t *rsdp_gpa, struct error **err)
{
    const struct machine_config *config = pc->env.config;
    uint32_t *apic_ids HDL_AUTO_FREE = calloc(config->cpus, sizeof(*apic_ids));
    struct acpi_config acpi = {
        .apic_ids = apic_ids,
        .cpu_count = config->cpus,
        .has_hpet = true,
        .window64_start = pc->window64_start,
        .window64_size_bytes = PC_PCI_MMIO64_SIZE,
    };

    if (!apic_ids) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    for (unsigned i = 0; i < config->cpus; i++) {
        apic_ids[i] = cpu_topology_apic_id(&pc->vm->config.topology, i);
    }
    for (unsigned i = 0; i < MACHINE_SERIALS_MAX; i++) {
        acpi.serial_mask |= config->serials[i] ? 1u << i : 0;
    }
    return acpi_tables_write(pc->ram->host + PC_ACPI, &acpi, rsdp_gpa, err);
}

/* All CPUs as firmware leaves them; the boot processor at the kernel's entry, the others waiting to be started. */
static int pc_set_processors(struct pc *pc, const struct boot_entry *entry, struct error **err)
{
    struct cpu_state *state HDL_AUTO_FREE = malloc(sizeof(*state));

    if (!state) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    for (unsigned i = 0; i < pc->env.config->cpus; i++) {
        int ret = vcpu_get_state(pc->vm->vcpus[i], state, err);

        if (ret < 0) {
            return ret;
        }
        boot_cpu_firmware_set(state);
        if (i == 0) {
            boot_cpu_entry_set(state, entry);
        }
        ret = vcpu_set_state(pc->vm->vcpus[i], state, err);
        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}

static enum boot_unpack pc_choose_unpack(const struct pc *pc)
{
    switch (pc->env.config->kernel_payload) {
    case CONFIG_KERNEL_PAYLOAD_ON:
        return BOOT_UNPACK_REQUIRE;
    case CONFIG_KERNEL_PAYLOAD_OFF:
        return BOOT_UNPACK_GUEST;
    case CONFIG_KERNEL_PAYLOAD_AUTO:
        break;
    }
    return vm_is_interpreted(pc->vm) ? BOOT_UNPACK_PREFER : BOOT_UNPACK_GUEST;
}

int pc_boot(struct pc *pc, const struct boot_images *images, struct error **err)
{
    struct boot_ram ram = {.low = pc->ram->host, .low_bytes = pc->low_bytes};
    struct pci_window memory = {PC_PCI_MMIO32, PC_PCI_MMIO32_LAST};
    struct pci_window memory64 = {pc->window64_start, pc->window64_start + PC_PCI_MMIO64_SIZE - 1};
    struct pci_window io = {PC_PORT_PCI_IO, PC_PORT_PCI_IO + PC_PORT_PCI_IO_SIZE - 1};
    struct guest_memory_map map;
    struct boot_entry entry;
    uint64_t rsdp_gpa;
    int ret;

    if (pc->low_bytes < BOOT_RAM_MIN_BYTES) {
        return error_set(err, -ENOSPC, "-m: %" PRIu64 " KiB is too little to boot in, 1 MiB is the least",
                         pc->low_bytes / 1024);
    }
    if (pc->high_bytes > 0) {
        ram.high = pc->ram->host + pc->low_bytes;
        ram.high_base = PC_RAM_HIGH;
        ram.high_bytes = pc->high_bytes;
    }
    ret = pc_write_acpi(pc, &rsdp_gpa, err);
    if (ret < 0) {
        return ret;
    }
    guest_memory_map_build(&map, pc->low_bytes, pc->high_bytes);
    ret = boot_images_load(images, pc_choose_unpack(pc), &ram, &map, rsdp_gpa, &entry, err);
    if (ret < 0) {
        return ret;
    }
    if (pci_bus_assign(&pc->pci.bus, memory, memory64, io) < 0) {
        log_warn("not all PCI devices' memory fits below their windows; the guest has to place it");
    }
    return pc_set_processors(pc, &entry, err);
}

bool pc_is_idle(struct pc *pc)
{
    const struct machine_device *entry;

    for (size_t i = 0; (entry = device_set_nth(&pc->devices, i)); i++) {
        if (!entry->is_leaving && !device_is_idle(entry->device)) {
            return false;
        }
    }
    return true;
}

int pc_reset(struct pc *pc, struct error **err)
{
    const struct machine_device *entry;

    for (size_t i = 0; (entry = device_set_nth(&pc->devices, i)); i++) {
        if (!entry->is_leaving) {
            device_reset(entry->device);
        }
    }
    pci_host_reset(&pc->pci);
    return vm_reset(pc->vm, err);
}
