/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-serial-pci: the console device without its ports (virtio 1.2, 5.3): queues, control messages, emergency write.
 * No console size. Bytes are moved by virtio_serial_port.c.
 *
 *   queue 0, 1        port 0, to and from the guest
 *   queue 2, 3        control messages, to and from the guest (with MULTIPORT)
 *   queue 2n+2, 2n+3  port n
 *
 * A message to the guest isn't queued but remembered as a bit of its port, and made when there is a buffer, from what
 * is true then: so memory stays bounded whatever the guest doesn't read. Device lock throughout.
 */
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "hw/virtio/virtio_serial_internal.h"

#define SERIAL_QUEUE_SIZE 128
#define SERIAL_SEGMENTS   8

enum { QUEUE_CONTROL_IN = 2, QUEUE_CONTROL_OUT = 3 };
enum { CONFIG_MAX_PORTS = 4, CONFIG_EMERGENCY = 8, CONFIG_BYTES = 12 };
enum { MESSAGE_PORT = 0, MESSAGE_EVENT = 4, MESSAGE_VALUE = 6, MESSAGE_BYTES = 8 };
#define NAME_BYTES_MAX 64

static struct virtio_serial *serial_of(struct virtio_device *virtio)
{
    return container_of(virtio, struct virtio_serial, proxy.virtio);
}

static bool has_control(const struct virtio_serial *serial)
{
    return virtio_has_feature(&serial->proxy.virtio, VIRTIO_CONSOLE_F_MULTIPORT);
}

struct virtqueue *virtio_serial_queue(struct virtio_serial *serial, unsigned port, bool receive)
{
    unsigned first = port == 0 ? 0 : 2 * port + 2;

    return serial->proxy.virtio.queues[receive ? first : first + 1];
}

/* --- control messages to the guest -------------------------------------------------------------------------------- */

static bool send_message(struct virtio_serial *serial, unsigned port, enum virtio_console_event event, uint16_t value,
                         const char *name)
{
    struct virtqueue_element *element = virtqueue_pop(serial->proxy.virtio.queues[QUEUE_CONTROL_IN]);
    uint8_t message[MESSAGE_BYTES + NAME_BYTES_MAX];
    size_t name_bytes = name ? MIN(strlen(name), (size_t)NAME_BYTES_MAX) : 0;

    if (!element) {
        return false;
    }
    store_le32(&message[MESSAGE_PORT], port);
    store_le16(&message[MESSAGE_EVENT], (uint16_t)event);
    store_le16(&message[MESSAGE_VALUE], value);
    memcpy(&message[MESSAGE_BYTES], name ? name : "", name_bytes);
    virtqueue_push(element, (uint32_t)virtqueue_element_write(element, 0, message, MESSAGE_BYTES + name_bytes));
    return true;
}

static bool send_port_message(struct virtio_serial_port *port, enum virtio_console_event event)
{
    bool is_open_message = event == VIRTIO_CONSOLE_PORT_OPEN;
    const char *name = event == VIRTIO_CONSOLE_PORT_NAME ? port->name : NULL;

    if (!send_message(port->serial, port->number, event, is_open_message ? port->host_open : 1, name)) {
        return false;
    }
    port->pending &= ~(1u << event);
    return true;
}

/* False: no buffer left. */
static bool send_port_pending(struct virtio_serial_port *port)
{
    static const enum virtio_console_event order[] = {VIRTIO_CONSOLE_PORT_ADD, VIRTIO_CONSOLE_CONSOLE_PORT,
                                                      VIRTIO_CONSOLE_PORT_NAME, VIRTIO_CONSOLE_PORT_OPEN};

    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        if ((port->pending & 1u << order[i]) && !send_port_message(port, order[i])) {
            return false;
        }
    }
    return true;
}

static bool send_removals(struct virtio_serial *serial)
{
    for (unsigned number = 0; number < serial->max_ports; number++) {
        if (serial->removed & 1u << number) {
            if (!send_message(serial, number, VIRTIO_CONSOLE_PORT_REMOVE, 1, NULL)) {
                return false;
            }
            serial->removed &= ~(1u << number);
        }
    }
    return true;
}

void virtio_serial_send_pending(struct virtio_serial *serial)
{
    if (!has_control(serial) || !serial->driver_ready) {
        return;
    }
    /* Removals first: a new port may have the number of an old one. */
    if (send_removals(serial)) {
        for (unsigned i = 0; i < serial->max_ports; i++) {
            if (serial->ports[i] && !send_port_pending(serial->ports[i])) {
                break;
            }
        }
    }
    virtqueue_notify(serial->proxy.virtio.queues[QUEUE_CONTROL_IN]);
}

/* --- control messages from the guest ------------------------------------------------------------------------------ */

static void driver_is_ready(struct virtio_serial *serial)
{
    serial->driver_ready = true;
    serial->removed = 0;
    for (unsigned i = 0; i < serial->max_ports; i++) {
        if (serial->ports[i]) {
            serial->ports[i]->pending = 1u << VIRTIO_CONSOLE_PORT_ADD;
        }
    }
}

static void port_is_ready(struct virtio_serial_port *port)
{
    port->pending |= port->is_console ? 1u << VIRTIO_CONSOLE_CONSOLE_PORT : 0;
    port->pending |= port->name && *port->name ? 1u << VIRTIO_CONSOLE_PORT_NAME : 0;
    port->pending |= port->host_open ? 1u << VIRTIO_CONSOLE_PORT_OPEN : 0;
}

static void hear_message(struct virtio_serial *serial, const uint8_t message[MESSAGE_BYTES])
{
    uint32_t number = load_le32(&message[MESSAGE_PORT]);
    uint16_t value = load_le16(&message[MESSAGE_VALUE]);
    struct virtio_serial_port *port = number < serial->max_ports ? serial->ports[number] : NULL;

    switch (load_le16(&message[MESSAGE_EVENT])) {
    case VIRTIO_CONSOLE_DEVICE_READY:
        if (value) {
            driver_is_ready(serial);
        }
        break;
    case VIRTIO_CONSOLE_PORT_READY:
        if (port && value) {
            port_is_ready(port);
        }
        break;
    case VIRTIO_CONSOLE_PORT_OPEN:
        if (port) {
            virtio_serial_port_set_guest_open(port, value);
        }
        break;
    default:
        break;
    }
}

static void hear_control(struct virtio_serial *serial, struct virtqueue *queue)
{
    struct virtqueue_element *element;

    while ((element = virtqueue_pop(queue)) != NULL) {
        uint8_t message[MESSAGE_BYTES];
        size_t len_bytes = virtqueue_element_read(element, 0, message, sizeof(message));

        virtqueue_push(element, 0);
        if (len_bytes == sizeof(message)) {
            hear_message(serial, message);
        }
    }
    virtqueue_notify(queue);
    virtio_serial_send_pending(serial);
}

/* --- class -------------------------------------------------------------------------------------------------------- */

/* The guest writes to a port that isn't there: nobody hears it. */
static void swallow(struct virtqueue *queue)
{
    struct virtqueue_element *element;

    while ((element = virtqueue_pop(queue)) != NULL) {
        virtqueue_push(element, 0);
    }
    virtqueue_notify(queue);
}

static void serial_queue_notify(struct virtio_device *virtio, struct virtqueue *queue)
{
    struct virtio_serial *serial = serial_of(virtio);
    bool from_guest = queue->index & 1;
    struct virtio_serial_port *port;

    if (queue->index == QUEUE_CONTROL_IN) {
        virtio_serial_send_pending(serial);
        return;
    }
    if (queue->index == QUEUE_CONTROL_OUT) {
        hear_control(serial, queue);
        return;
    }
    port = serial->ports[queue->index < QUEUE_CONTROL_IN ? 0 : (queue->index - 2) / 2];
    if (port && from_guest) {
        virtio_serial_port_transmit(port);
    } else if (port) {
        virtio_serial_port_receive(port);
    } else if (from_guest) {
        swallow(queue);
    }
}

static void serial_config_read(struct virtio_device *virtio, void *config)
{
    memset(config, 0, CONFIG_BYTES);
    store_le32((uint8_t *)config + CONFIG_MAX_PORTS, serial_of(virtio)->max_ports);
}

/* 5.3.6.1: a character, before there are queues. */
static void serial_config_write(struct virtio_device *virtio, const void *config, unsigned offset, unsigned len_bytes)
{
    struct virtio_serial *serial = serial_of(virtio);
    struct virtio_serial_port *port = serial->ports[0];

    if (offset == CONFIG_EMERGENCY && serial->emergency_write && port && port->chardev) {
        (void)chardev_write(port->chardev, (const uint8_t *)config + CONFIG_EMERGENCY, 1);
    }
}

static void serial_reset(struct virtio_device *virtio)
{
    struct virtio_serial *serial = serial_of(virtio);

    serial->driver_ready = false;
    serial->removed = 0;
    for (unsigned i = 0; i < serial->max_ports; i++) {
        if (serial->ports[i]) {
            virtio_serial_port_reset(serial->ports[i]);
        }
    }
}

static const struct virtio_class serial_class = {
    .name = "virtio-serial",
    .id = VIRTIO_ID_CONSOLE,
    .features = VIRTIO_CONSOLE_F_MULTIPORT | VIRTIO_CONSOLE_F_EMERG_WRITE,
    .config_size_bytes = CONFIG_BYTES,
    .queue_notify = serial_queue_notify,
    .config_read = serial_config_read,
    .config_write = serial_config_write,
    .reset = serial_reset,
};

/* --- life --------------------------------------------------------------------------------------------------------- */

static int add_queues(struct virtio_serial *serial)
{
    unsigned count = serial->max_ports == 1 ? 2 : 2 * serial->max_ports + 2;

    for (unsigned i = 0; i < count; i++) {
        if (!virtio_queue_add(&serial->proxy.virtio, SERIAL_QUEUE_SIZE, SERIAL_SEGMENTS,
                              sizeof(struct virtqueue_element), NULL)) {
            return -ENOMEM;
        }
    }
    return 0;
}

static int serial_realize(struct device *device, struct error **err)
{
    struct virtio_serial *serial = (struct virtio_serial *)device;
    int result;

    virtio_pci_init(&serial->proxy, &serial_class);
    if (serial->max_ports == 1) {
        serial->proxy.virtio.host_features &= ~VIRTIO_CONSOLE_F_MULTIPORT;
    }
    if (!serial->emergency_write) {
        serial->proxy.virtio.host_features &= ~VIRTIO_CONSOLE_F_EMERG_WRITE;
    }
    if (serial->proxy.vectors == 0) {
        serial->proxy.vectors = 2; /* one for configuration, one for all queues: few of many are in use */
    }
    result = add_queues(serial);
    result = result ? result : virtio_pci_realize(&serial->proxy, VIRTIO_PCI_CLASS_SERIAL, err);
    if (result < 0) {
        virtio_pci_destroy(device);
    }
    return result;
}

static const struct property serial_properties[] = {
    {.name = "max_ports",
     .type = PROPERTY_U32,
     .offset = offsetof(struct virtio_serial, max_ports),
     .default_value = "31",
     .min = 1,
     .max = SERIAL_PORTS_MAX,
     .description = "Ports that can be plugged in"},
    {.name = "emergency-write",
     .type = PROPERTY_BOOL,
     .offset = offsetof(struct virtio_serial, emergency_write),
     .default_value = "on",
     .description = "Offer output before there are queues"},
    VIRTIO_PCI_PROPERTIES(struct virtio_serial, proxy),
    {0},
};

const struct device_type virtio_serial_pci_type = {
    .name = "virtio-serial-pci",
    .alias = "virtio-serial",
    .description = "Virtio console: bus for virtconsole and virtserialport",
    .category = "Input",
    .bus = "PCI",
    .size_bytes = sizeof(struct virtio_serial),
    .properties = serial_properties,
    .user_creatable = true,
    .realize = serial_realize,
    .reset = virtio_pci_reset,
    .is_idle = virtio_pci_is_idle,
    .quiesce = virtio_pci_quiesce,
    .destroy = virtio_pci_destroy,
};
