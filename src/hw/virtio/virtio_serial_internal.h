/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the console device and its ports tell each other. All functions: lock of the virtio-serial-pci held. */
#ifndef HDL_HW_VIRTIO_VIRTIO_SERIAL_INTERNAL_H
#define HDL_HW_VIRTIO_VIRTIO_SERIAL_INTERNAL_H

#include "hw/virtio/virtio_pci.h"
#include "hw/virtio/virtio_serial.h"

/* Features and messages of virtio 1.2, 5.3.3 and 5.3.6.2. */
#define VIRTIO_CONSOLE_F_MULTIPORT   (UINT64_C(1) << 1)
#define VIRTIO_CONSOLE_F_EMERG_WRITE (UINT64_C(1) << 2)

enum virtio_console_event {
    VIRTIO_CONSOLE_DEVICE_READY = 0,
    VIRTIO_CONSOLE_PORT_ADD = 1,
    VIRTIO_CONSOLE_PORT_REMOVE = 2,
    VIRTIO_CONSOLE_PORT_READY = 3,
    VIRTIO_CONSOLE_CONSOLE_PORT = 4,
    VIRTIO_CONSOLE_PORT_OPEN = 6,
    VIRTIO_CONSOLE_PORT_NAME = 7,
};

#define SERIAL_PORTS_MAX 31 /* two queues each and two for control: VIRTIO_QUEUE_MAX */

/*
 * max_ports: immutable after realize. The rest: device lock. removed: ports that are gone and whose removal the driver
 * hasn't been told yet, one bit each.
 */
struct virtio_serial {
    struct virtio_pci proxy; /* first */
    uint32_t max_ports;
    bool emergency_write;
    bool driver_ready;
    uint32_t removed;
    struct virtio_serial_port *ports[SERIAL_PORTS_MAX];
};

/*
 * device, properties, serial, chardevs, chardev, frontend, is_plugged, is_console: immutable after realize.
 * host_open_now: the chardev's loop thread, atomically. The rest: lock of `serial`. pending: control messages (1 <<
 * event) that wait for a buffer.
 */
struct virtio_serial_port {
    struct device device; /* first */
    char *chardev_id, *name;
    uint32_t number;
    struct virtio_serial *serial;
    struct chardev_table *chardevs;
    struct chardev *chardev; /* NULL: nothing connected */
    struct chardev_frontend frontend;
    struct device_work receive_work, transmit_work, event_work, leave_work;
    _Atomic bool host_open_now;
    struct bh left;  /* no work of the port is left */
    bool is_plugged; /* realized: holds a reference on `serial` */
    bool is_console;
    bool host_open, guest_open;
    uint32_t pending;
    struct virtqueue_element *sending; /* what the chardev didn't take at once */
    uint64_t sent_bytes;               /* of it */
};

/* virtio_serial.c: sends what is pending, as far as the driver has given buffers. */
void virtio_serial_send_pending(struct virtio_serial *serial);
/* The queue of a port: host to guest (receive), or guest to host. */
struct virtqueue *virtio_serial_queue(struct virtio_serial *serial, unsigned port, bool receive);

/* virtio_serial_port.c: moves bytes, as many as both sides take. */
void virtio_serial_port_receive(struct virtio_serial_port *port);
void virtio_serial_port_transmit(struct virtio_serial_port *port);
/* The driver says that it has opened or closed the port. */
void virtio_serial_port_set_guest_open(struct virtio_serial_port *port, bool open);
/* Forgets the driver, and the element that is being sent. */
void virtio_serial_port_reset(struct virtio_serial_port *port);

#endif
