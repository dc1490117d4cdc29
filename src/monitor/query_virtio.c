/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How far a guest's driver has come with a virtio device (virtio 1.2, 2.1). The names are those of Linux's header. */
#include "hw/virtio/virtio_pci.h"
#include "machine/device_types.h"
#include "monitor/commands.h"
#include "monitor/json_make.h"
#include "monitor/monitor_internal.h"

static const struct {
    uint8_t bit;
    const char *name;
} status_names[] = {
    {VIRTIO_STATUS_ACKNOWLEDGE, "VIRTIO_CONFIG_S_ACKNOWLEDGE"},
    {VIRTIO_STATUS_DRIVER, "VIRTIO_CONFIG_S_DRIVER"},
    {VIRTIO_STATUS_DRIVER_OK, "VIRTIO_CONFIG_S_DRIVER_OK"},
    {VIRTIO_STATUS_FEATURES_OK, "VIRTIO_CONFIG_S_FEATURES_OK"},
    {VIRTIO_STATUS_NEEDS_RESET, "VIRTIO_CONFIG_S_NEEDS_RESET"},
    {VIRTIO_STATUS_FAILED, "VIRTIO_CONFIG_S_FAILED"},
};

int qmp_run_query_virtio_status(struct qmp_call *call)
{
    const char *path = qmp_call_string(call, "path");
    const struct machine_device *entry = machine_device_find(call->monitor->machine, path);
    struct json_object *statuses;
    uint8_t status;

    if (!entry || !device_is_realized(entry->device) || !device_type_has_non_transitional(entry->device->type)) {
        return qmp_call_not_found(call, "Path %s is not a VirtIODevice", path);
    }
    device_lock(entry->device);
    status = virtio_pci_of(entry->device)->virtio.status;
    device_unlock(entry->device);
    call->result = json_object_new_object();
    json_put_string(call->result, "name", entry->device->type->name);
    statuses = json_put_array(json_put_object(call->result, "status"), "statuses");
    for (size_t i = 0; i < ARRAY_SIZE(status_names); i++) {
        if (status & status_names[i].bit) {
            json_object_array_add(statuses, json_object_new_string(status_names[i].name));
        }
    }
    return 0;
}
