/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of device types. Whatever isn't in it doesn't exist for -device; the board makes its own parts by name. */
#include "machine/device_types.h"

#include <string.h>

#include "hw/acpi/pci_hotplug.h"
#include "hw/acpi/pm.h"
#include "hw/char/debugcon.h"
#include "hw/char/serial.h"
#include "hw/misc/fw_cfg.h"
#include "hw/misc/i8042.h"
#include "hw/misc/isa_debug_exit.h"
#include "hw/misc/pc_testdev.h"
#include "hw/misc/teach.h"
#include "hw/misc/test_legacy.h"
#include "hw/pci/pci_host.h"
#include "hw/pci/pcie_port.h"
#include "hw/timer/hpet.h"
#include "hw/timer/pmtimer.h"
#include "hw/timer/rtc.h"
#include "hw/virtio/virtio_blk.h"
#include "hw/virtio/virtio_rng.h"
#include "hw/virtio/virtio_serial.h"

const struct device_type *const device_types[] = {
    &virtio_blk_pci_type,
    &virtio_rng_pci_type,
    &virtio_serial_pci_type,
    &virtconsole_type,
    &virtserialport_type,
    &serial_device_type,
    &debugcon_device_type,
    &isa_debug_exit_device_type,
    &pc_testdev_device_type,
    &pcie_root_port_type,
    &pci_testdev_type,
    &teach_device_type,
    &test_legacy_device_type,
    /* soldered to the board */
    &pci_host_bridge_type,
    &rtc_device_type,
    &hpet_device_type,
    &i8042_device_type,
    &acpi_pm_device_type,
    &acpi_pci_hotplug_type,
    &pmtimer_device_type,
    &fw_cfg_device_type,
    NULL,
};

bool device_type_has_non_transitional(const struct device_type *type)
{
    size_t len = strlen(type->name);

    return strncmp(type->name, "virtio-", 7) == 0 && strcmp(type->name + len - 4, "-pci") == 0;
}

static bool device_type_is_named(const struct device_type *type, const char *name)
{
    size_t len = strlen(type->name);

    return strcmp(type->name, name) == 0 || (type->alias && strcmp(type->alias, name) == 0) ||
           (strncmp(type->name, name, len) == 0 && strcmp(name + len, DEVICE_NON_TRANSITIONAL) == 0 &&
            device_type_has_non_transitional(type));
}

const struct device_type *device_type_find(const char *name)
{
    for (size_t i = 0; device_types[i]; i++) {
        const struct device_type *type = device_types[i];

        if (device_type_is_named(type, name)) {
            return type;
        }
    }
    return NULL;
}
