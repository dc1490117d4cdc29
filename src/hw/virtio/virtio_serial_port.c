/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ports of a virtio-serial-pci: a chardev on one side, two queues on the other (virtio 1.2, 5.3.6).
 *
 *   chardev --- readable ---> receive work ---> read straight into the guest's buffers
 *   chardev <-- as much as it takes --- transmit <--- the guest's buffers; the rest waits for `writable`
 *
 * Bytes for a guest that hasn't opened the port stay in the chardev. A port has no state outside the lock of its
 * virtio-serial-pci, to which all its work is submitted; the chardev's loop thread only submits.
 *
 *   realize: chardev attached, then in the table        quiesce: chardev detached, then (last work) out of the table
 */
#include <errno.h>
#include <string.h>

#include "hw/virtio/virtio_serial_internal.h"

#define PORT_ANY UINT32_MAX

static struct virtio_serial_port *port_of(struct device *device)
{
    return (struct virtio_serial_port *)device;
}

static struct device *lock_owner(struct virtio_serial_port *port)
{
    return &port->serial->proxy.pci.device;
}

/* --- bytes -------------------------------------------------------------------------------------------------------- */

/* Without MULTIPORT there is one port, and it is always open. */
static bool guest_listens(const struct virtio_serial_port *port)
{
    if (!virtio_has_feature(&port->serial->proxy.virtio, VIRTIO_CONSOLE_F_MULTIPORT)) {
        return port->number == 0;
    }
    return port->guest_open;
}

static uint32_t read_into(struct chardev *chardev, const struct virtqueue_element *element)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < element->in_count; i++) {
        size_t count = chardev_read(chardev, element->in[i].iov_base, element->in[i].iov_len);

        total += count;
        if (count < element->in[i].iov_len) {
            break;
        }
    }
    return (uint32_t)MIN(total, (uint64_t)UINT32_MAX);
}

void virtio_serial_port_receive(struct virtio_serial_port *port)
{
    struct virtqueue *queue = virtio_serial_queue(port->serial, port->number, true);
    struct virtqueue_element *element;

    if (!port->chardev || !guest_listens(port)) {
        return;
    }
    while (chardev_is_readable(port->chardev) && (element = virtqueue_pop(queue)) != NULL) {
        virtqueue_push(element, read_into(port->chardev, element));
    }
    virtqueue_notify(queue);
}

/* Goes on with port->sending. False: the chardev is full. */
static bool send_rest(struct virtio_serial_port *port)
{
    const struct virtqueue_element *element = port->sending;
    uint64_t skip = port->sent_bytes;

    for (unsigned i = 0; port->chardev && i < element->out_count; i++) {
        size_t piece_bytes = element->out[i].iov_len, count;

        if (skip >= piece_bytes) {
            skip -= piece_bytes;
            continue;
        }
        count = chardev_write(port->chardev, (uint8_t *)element->out[i].iov_base + skip, piece_bytes - skip);
        port->sent_bytes += count;
        if (count < piece_bytes - skip) {
            return false;
        }
        skip = 0;
    }
    return true;
}

void virtio_serial_port_transmit(struct virtio_serial_port *port)
{
    struct virtqueue *queue = virtio_serial_queue(port->serial, port->number, false);

    for (;;) {
        if (!port->sending) {
            port->sending = virtqueue_pop(queue);
            port->sent_bytes = 0;
        }
        if (!port->sending || !send_rest(port)) {
            break;
        }
        virtqueue_push(port->sending, 0);
        port->sending = NULL;
    }
    virtqueue_notify(queue);
}

void virtio_serial_port_set_guest_open(struct virtio_serial_port *port, bool open)
{
    port->guest_open = open;
    virtio_serial_port_receive(port);
}

void virtio_serial_port_reset(struct virtio_serial_port *port)
{
    port->guest_open = false;
    port->pending = 0;
    if (port->sending) {
        virtqueue_drop(port->sending);
        port->sending = NULL;
    }
}

/* --- work --------------------------------------------------------------------------------------------------------- */

static void receive_work(struct device *device, struct device_work *work)
{
    virtio_serial_port_receive(container_of(work, struct virtio_serial_port, receive_work));
}

static void transmit_work(struct device *device, struct device_work *work)
{
    virtio_serial_port_transmit(container_of(work, struct virtio_serial_port, transmit_work));
}

/* A console is always there; a port is open while somebody is on the other side of the chardev. */
static void event_work(struct device *device, struct device_work *work)
{
    struct virtio_serial_port *port = container_of(work, struct virtio_serial_port, event_work);
    bool open = port->is_console || atomic_load_explicit(&port->host_open_now, memory_order_acquire);

    if (open != port->host_open) {
        port->host_open = open;
        port->pending |= 1u << VIRTIO_CONSOLE_PORT_OPEN;
        virtio_serial_send_pending(port->serial);
    }
}

static void leave(struct virtio_serial_port *port)
{
    struct virtio_serial *serial = port->serial;

    virtio_serial_port_reset(port);
    serial->ports[port->number] = NULL;
    serial->removed |= 1u << port->number;
    virtio_serial_send_pending(serial);
    bh_schedule(&port->left);
}

/* Loop thread, without the lock that `leave` was called with. */
static void on_left(void *opaque)
{
    device_quiesced(opaque);
}

/* The last work of the port: what was submitted before has run. */
static void leave_work(struct device *device, struct device_work *work)
{
    leave(container_of(work, struct virtio_serial_port, leave_work));
}

/* --- the chardev's loop thread, no lock held ---------------------------------------------------------------------- */

static void on_readable(struct chardev_frontend *frontend)
{
    struct virtio_serial_port *port = container_of(frontend, struct virtio_serial_port, frontend);

    (void)device_submit(lock_owner(port), &port->receive_work);
}

static void on_writable(struct chardev_frontend *frontend)
{
    struct virtio_serial_port *port = container_of(frontend, struct virtio_serial_port, frontend);

    (void)device_submit(lock_owner(port), &port->transmit_work);
}

static void on_event(struct chardev_frontend *frontend, enum chardev_event event)
{
    struct virtio_serial_port *port = container_of(frontend, struct virtio_serial_port, frontend);

    if (event == CHARDEV_BREAK || event == CHARDEV_FOCUSED) {
        return;
    }
    atomic_store_explicit(&port->host_open_now, event == CHARDEV_OPENED, memory_order_release);
    (void)device_submit(lock_owner(port), &port->event_work);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static void works_init(struct virtio_serial_port *port)
{
    device_work_init(&port->receive_work, lock_owner(port), receive_work);
    device_work_init(&port->transmit_work, lock_owner(port), transmit_work);
    device_work_init(&port->event_work, lock_owner(port), event_work);
    device_work_init(&port->leave_work, lock_owner(port), leave_work);
    port->frontend = (struct chardev_frontend){.readable = on_readable, .writable = on_writable, .event = on_event};
}

/* The number that nr= says, or the first free one; 0 is for consoles. Ports come and go on the configuration thread. */
static int choose_number(struct virtio_serial_port *port, struct error **err)
{
    struct virtio_serial *serial = port->serial;
    const char *id = port->device.id;
    uint32_t number = port->number;

    if (number != PORT_ANY && number >= serial->max_ports) {
        return error_set(err, -EINVAL, "device '%s': nr=%u must be less than the bus's max_ports=%u", id, number,
                         serial->max_ports);
    }
    if (number == 0 && !port->is_console) {
        return error_set(err, -EINVAL, "device '%s': nr=0 is for virtconsole; use 1 or more", id);
    }
    for (uint32_t i = port->is_console ? 0 : 1; number == PORT_ANY && i < serial->max_ports; i++) {
        number = serial->ports[i] ? PORT_ANY : i;
    }
    if (number == PORT_ANY) {
        return error_set(err, -ENOSPC, "device '%s': all %u ports of its bus are taken; give the bus more max_ports",
                         id, serial->max_ports);
    }
    if (serial->ports[number]) {
        return error_set(err, -EBUSY, "device '%s': nr=%u is taken by device '%s'", id, number,
                         serial->ports[number]->device.id);
    }
    port->number = number;
    return 0;
}

static int connect_chardev(struct virtio_serial_port *port, struct error **err)
{
    struct chardev *chardev;
    int result;

    if (!port->chardev_id || !*port->chardev_id) {
        return 0;
    }
    if (!port->chardevs) {
        return error_set(err, -ENOENT, "device '%s': there is no chardev '%s'", port->device.id, port->chardev_id);
    }
    chardev = chardev_table_claim(port->chardevs, port->chardev_id, err);
    if (!chardev) {
        return -ENOENT;
    }
    port->chardev = chardev;
    result = chardev_attach(chardev, &port->frontend, err);
    if (result < 0) {
        port->chardev = NULL;
    }
    return result;
}

static int port_realize(struct device *device, struct error **err)
{
    struct virtio_serial_port *port = port_of(device);
    int result;

    if (!port->serial) {
        return error_set(err, -ENODEV, "device '%s': there is no virtio-serial-pci to plug it into", device->id);
    }
    port->is_console = device->type == &virtconsole_type;
    port->host_open = port->is_console;
    works_init(port);
    device_lock(lock_owner(port));
    result = choose_number(port, err);
    device_unlock(lock_owner(port));
    result = result ? result : connect_chardev(port, err);
    if (result < 0) {
        return result;
    }
    bh_init(&port->left, device->loop, on_left, device);
    port->is_plugged = true;
    device_get(lock_owner(port));
    device_lock(lock_owner(port));
    port->serial->ports[port->number] = port;
    port->pending |= 1u << VIRTIO_CONSOLE_PORT_ADD;
    virtio_serial_send_pending(port->serial);
    device_unlock(lock_owner(port));
    return 0;
}

static void port_quiesce(struct device *device)
{
    struct virtio_serial_port *port = port_of(device);

    if (port->chardev) {
        chardev_detach(port->chardev, &port->frontend);
    }
    if (device_submit(lock_owner(port), &port->leave_work) < 0) {
        /* The bus has gone first; nothing runs there any more. */
        device_quiesced(device);
    }
}

static void port_destroy(struct device *device)
{
    struct virtio_serial_port *port = port_of(device);

    if (port->is_plugged) {
        bh_destroy(&port->left);
        device_put(lock_owner(port));
    }
}

void virtio_serial_port_wire(struct device *port, struct device *serial, struct chardev_table *chardevs)
{
    port_of(port)->serial = (struct virtio_serial *)serial;
    port_of(port)->chardevs = chardevs;
}

struct device *virtio_serial_port_bus(struct device *port)
{
    return lock_owner(port_of(port));
}

static const struct property port_properties[] = {
    {.name = "chardev",
     .type = PROPERTY_STRING,
     .offset = offsetof(struct virtio_serial_port, chardev_id),
     .description = "Character backend on the host's side"},
    {.name = "name",
     .type = PROPERTY_STRING,
     .offset = offsetof(struct virtio_serial_port, name),
     .description = "Name that the guest sees"},
    {.name = "nr",
     .type = PROPERTY_U32,
     .offset = offsetof(struct virtio_serial_port, number),
     .default_value = "0xffffffff",
     .description = "Number of the port (default: the first free one)"},
    {0},
};

const struct device_type virtconsole_type = {
    .name = "virtconsole",
    .description = "Virtio console port (hvc)",
    .category = "Input",
    .bus = "virtio-serial-bus",
    .size_bytes = sizeof(struct virtio_serial_port),
    .properties = port_properties,
    .user_creatable = true,
    .realize = port_realize,
    .quiesce = port_quiesce,
    .destroy = port_destroy,
};

const struct device_type virtserialport_type = {
    .name = "virtserialport",
    .description = "Virtio serial port (vport)",
    .category = "Input",
    .bus = "virtio-serial-bus",
    .size_bytes = sizeof(struct virtio_serial_port),
    .properties = port_properties,
    .user_creatable = true,
    .realize = port_realize,
    .quiesce = port_quiesce,
    .destroy = port_destroy,
};
