/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `virtio-serial-pci` (virtio 1.2, 5.3: the console device) and what is plugged into it: `virtconsole` (hvc0, ...) and
 * `virtserialport` (/dev/vport0p1, ...). virtio_serial.c and virtio_serial_port.c say what they model.
 *
 * A port is a device of its own on the bus "virtio-serial-bus". Wiring, between device_create and device_realize of the
 * port: virtio_serial_port_wire. Ports may be unplugged before their virtio-serial-pci or after
 * it; it isn't destroyed before they are.
 */
#ifndef HDL_HW_VIRTIO_VIRTIO_SERIAL_H
#define HDL_HW_VIRTIO_VIRTIO_SERIAL_H

#include "chardev/chardev.h"
#include "device/device.h"

extern const struct device_type virtio_serial_pci_type;
extern const struct device_type virtconsole_type;
extern const struct device_type virtserialport_type;

/*
 * serial: a realized virtio-serial-pci, on which the port takes a reference when it is realized. chardevs: where
 * chardev= is looked up; may be NULL. Configuration thread.
 */
void virtio_serial_port_wire(struct device *port, struct device *serial, struct chardev_table *chardevs);

/* The virtio-serial-pci that the port was wired to. Configuration thread. */
struct device *virtio_serial_port_bus(struct device *port);

#endif
