/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 16550A UART: registers, both FIFOs, loopback, modem lines and the five interrupt causes, as the PC16550D data sheet
 * has them. It isn't a model of time: a byte is sent and received as fast as the host takes and gives it. The divisor
 * only sets how long the receive timeout is.
 *
 *     chardev readable ---> receive_work (device lock): pull into the receive FIFO while it has room
 *     guest reads RBR ----> pull again, since there is room now
 *     guest writes THR ---> transmit FIFO -> chardev_write; what doesn't fit stays, and THRE stays clear until
 * `writable`
 *
 * Everything but the front end's three calls runs under the device lock. A guest can fill FIFOs of 16 bytes and make
 * the host write what it likes to the chardev.
 */
#include "hw/char/serial.h"

#include <errno.h>
#include <stddef.h>

#include "base/log.h"

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

#define IER_RECEIVE  0x01
#define IER_TRANSMIT 0x02
#define IER_LINE     0x04
#define IER_MODEM    0x08

#define IIR_NONE     0x01
#define IIR_MODEM    0x00
#define IIR_TRANSMIT 0x02
#define IIR_RECEIVE  0x04
#define IIR_LINE     0x06
#define IIR_TIMEOUT  0x0c
#define IIR_FIFOS    0xc0

#define FCR_ENABLE         0x01
#define FCR_CLEAR_RECEIVE  0x02
#define FCR_CLEAR_TRANSMIT 0x04

#define LCR_DLAB 0x80

#define MCR_DTR  0x01
#define MCR_RTS  0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10

#define LSR_READY      0x01
#define LSR_OVERRUN    0x02
#define LSR_BREAK      0x10
#define LSR_THR_EMPTY  0x20
#define LSR_ALL_SENT   0x40
#define LSR_FIFO_ERROR 0x80
#define LSR_INTERRUPTS (LSR_OVERRUN | LSR_BREAK)

#define MSR_CTS    0x10
#define MSR_DSR    0x20
#define MSR_RI     0x40
#define MSR_DCD    0x80
#define MSR_DELTAS 0x0f

#define BASE_CLOCK_HZ   115200u /* 1.8432 MHz / 16 */
#define BITS_PER_CHAR   10u
#define TIMEOUT_CHARS   4u
#define DEFAULT_DIVISOR 12 /* 9600 baud */

static const uint8_t trigger_levels[4] = {1, 4, 8, 14};

static const struct {
    uint16_t iobase;
    uint8_t irq;
} com_ports[4] = {{0x3f8, 4}, {0x2f8, 3}, {0x3e8, 4}, {0x2e8, 3}};

static void serial_pull(struct serial *serial);

static struct serial *serial_from(struct device *device)
{
    return container_of(device, struct serial, isa.device);
}

/* --- FIFOs ------------------------------------------------------------------------------------------------------ */

static void fifo_push(struct serial_fifo *fifo, uint8_t byte, uint8_t errors)
{
    unsigned at = (fifo->head + fifo->count) % SERIAL_FIFO_BYTES;

    fifo->bytes[at] = byte;
    fifo->errors[at] = errors;
    fifo->count++;
}

static uint8_t fifo_pop(struct serial_fifo *fifo)
{
    uint8_t byte = fifo->bytes[fifo->head];

    fifo->head = (fifo->head + 1) % SERIAL_FIFO_BYTES;
    fifo->count--;
    return byte;
}

static unsigned serial_fifo_limit(const struct serial *serial)
{
    return serial->fcr & FCR_ENABLE ? SERIAL_FIFO_BYTES : 1;
}

static unsigned serial_trigger(const struct serial *serial)
{
    return serial->fcr & FCR_ENABLE ? trigger_levels[serial->fcr >> 6] : 1;
}

/* --- interrupts ------------------------------------------------------------------------------------------------- */

static uint8_t serial_line_status(const struct serial *serial)
{
    uint8_t lsr = serial->lsr;

    if (serial->receive.count > 0) {
        lsr |= LSR_READY | serial->receive.errors[serial->receive.head];
    }
    for (unsigned i = 0; i < serial->receive.count && (serial->fcr & FCR_ENABLE); i++) {
        if (serial->receive.errors[(serial->receive.head + i) % SERIAL_FIFO_BYTES]) {
            lsr |= LSR_FIFO_ERROR;
        }
    }
    return lsr;
}

/* The most urgent cause, as the low four bits of IIR. */
static uint8_t serial_cause(const struct serial *serial)
{
    if ((serial->ier & IER_LINE) && (serial_line_status(serial) & LSR_INTERRUPTS)) {
        return IIR_LINE;
    }
    if ((serial->ier & IER_RECEIVE) && serial->timeout_irq_pending) {
        return IIR_TIMEOUT;
    }
    if ((serial->ier & IER_RECEIVE) && serial->receive.count >= serial_trigger(serial)) {
        return IIR_RECEIVE;
    }
    if ((serial->ier & IER_TRANSMIT) && serial->transmit_irq_pending) {
        return IIR_TRANSMIT;
    }
    if ((serial->ier & IER_MODEM) && (serial->msr & MSR_DELTAS)) {
        return IIR_MODEM;
    }
    return IIR_NONE;
}

static void serial_update_irq(struct serial *serial)
{
    bool level = serial_cause(serial) != IIR_NONE;

    if (level != serial->irq_level) {
        serial->irq_level = level;
        irq_set(&serial->irq, level);
    }
}

/* Bytes below the trigger level that nobody fetches are announced after four character times. */
static void serial_restart_timeout(struct serial *serial)
{
    uint64_t divisor = serial->divisor ? serial->divisor : 1;
    uint64_t wait_ns = TIMEOUT_CHARS * BITS_PER_CHAR * divisor * NS_PER_SEC / BASE_CLOCK_HZ;

    serial->timeout_irq_pending = false;
    if ((serial->fcr & FCR_ENABLE) && serial->receive.count > 0) {
        timer_arm(&serial->timeout_timer, clock_now_ns(serial->isa.isa->clock) + wait_ns);
    } else {
        timer_cancel(&serial->timeout_timer);
    }
}

static void serial_timeout_work(struct device *device, struct device_work *work)
{
    struct serial *serial = serial_from(device);

    if ((serial->fcr & FCR_ENABLE) && serial->receive.count > 0 && !timer_is_armed(&serial->timeout_timer)) {
        serial->timeout_irq_pending = true;
        serial_update_irq(serial);
    }
}

static void serial_timeout(void *opaque)
{
    struct serial *serial = opaque;

    device_submit(&serial->isa.device, &serial->timeout_work);
}

/* --- receiving -------------------------------------------------------------------------------------------------- */

static void serial_receive_byte(struct serial *serial, uint8_t byte, uint8_t errors)
{
    if (serial->receive.count >= serial_fifo_limit(serial)) {
        serial->lsr |= LSR_OVERRUN;
        return;
    }
    fifo_push(&serial->receive, byte, errors);
    serial_restart_timeout(serial);
}

static void serial_pull(struct serial *serial)
{
    uint8_t bytes[SERIAL_FIFO_BYTES];
    unsigned limit = serial_fifo_limit(serial);
    size_t count;

    if (!serial->chardev || (serial->mcr & MCR_LOOP) || serial->receive.count >= limit) {
        return;
    }
    count = chardev_read(serial->chardev, bytes, limit - serial->receive.count);
    for (size_t i = 0; i < count; i++) {
        serial_receive_byte(serial, bytes[i], 0);
    }
}

static uint8_t serial_read_data(struct serial *serial)
{
    uint8_t byte = 0;

    if (serial->receive.count > 0) {
        byte = fifo_pop(&serial->receive);
    }
    serial_pull(serial);
    serial_restart_timeout(serial);
    serial_update_irq(serial);
    return byte;
}

static void serial_receive_work(struct device *device, struct device_work *work)
{
    struct serial *serial = serial_from(device);

    serial_pull(serial);
    serial_update_irq(serial);
}

static void serial_break_work(struct device *device, struct device_work *work)
{
    struct serial *serial = serial_from(device);

    serial_receive_byte(serial, 0, LSR_BREAK);
    serial_update_irq(serial);
}

/* --- sending ---------------------------------------------------------------------------------------------------- */

static void serial_drain(struct serial *serial)
{
    while (serial->transmit.count > 0) {
        uint8_t byte = serial->transmit.bytes[serial->transmit.head];

        if (serial->chardev && chardev_write(serial->chardev, &byte, 1) == 0) {
            return;
        }
        fifo_pop(&serial->transmit);
    }
    serial->lsr |= LSR_THR_EMPTY | LSR_ALL_SENT;
    serial->transmit_irq_pending = true;
}

static void serial_write_data(struct serial *serial, uint8_t byte)
{
    serial->transmit_irq_pending = false;
    serial->lsr &= (uint8_t) ~(LSR_THR_EMPTY | LSR_ALL_SENT);
    serial_update_irq(serial); /* low in between: the interrupt is an edge on an ISA bus */
    if (serial->mcr & MCR_LOOP) {
        serial_receive_byte(serial, byte, 0);
    } else if (serial->transmit.count < serial_fifo_limit(serial)) {
        fifo_push(&serial->transmit, byte, 0);
    }
    serial_drain(serial);
    serial_update_irq(serial);
}

static void serial_transmit_work(struct device *device, struct device_work *work)
{
    struct serial *serial = serial_from(device);

    if (serial->transmit.count > 0) {
        serial_drain(serial);
        serial_update_irq(serial);
    }
}

/* --- the other registers ---------------------------------------------------------------------------------------- */

static void serial_update_modem(struct serial *serial)
{
    uint8_t lines = MSR_CTS | MSR_DSR | MSR_DCD;
    uint8_t changed;

    if (serial->mcr & MCR_LOOP) {
        lines = (uint8_t)((serial->mcr & MCR_DTR ? MSR_DSR : 0) | (serial->mcr & MCR_RTS ? MSR_CTS : 0) |
                          (serial->mcr & MCR_OUT1 ? MSR_RI : 0) | (serial->mcr & MCR_OUT2 ? MSR_DCD : 0));
    }
    changed = (uint8_t)((serial->msr ^ lines) & ~MSR_DELTAS);
    if (lines & MSR_RI) {
        changed &= (uint8_t)~MSR_RI; /* only its trailing edge counts */
    }
    serial->msr = (uint8_t)(lines | (serial->msr & MSR_DELTAS) | changed >> 4);
}

static uint8_t serial_read_iir(struct serial *serial)
{
    uint8_t cause = serial_cause(serial);

    if (cause == IIR_TRANSMIT) {
        serial->transmit_irq_pending = false;
        serial_update_irq(serial);
    }
    return cause | (serial->fcr & FCR_ENABLE ? IIR_FIFOS : 0);
}

static uint8_t serial_read_lsr(struct serial *serial)
{
    uint8_t lsr = serial_line_status(serial);

    serial->lsr &= (uint8_t)~LSR_OVERRUN;
    if (serial->receive.count > 0) {
        serial->receive.errors[serial->receive.head] = 0;
    }
    serial_update_irq(serial);
    return lsr;
}

static void serial_write_ier(struct serial *serial, uint8_t value)
{
    uint8_t enabled = value & (uint8_t)~serial->ier;

    serial->ier = value & 0x0f;
    if ((enabled & IER_TRANSMIT) && (serial->lsr & LSR_THR_EMPTY)) {
        serial->transmit_irq_pending = true;
    }
    serial_update_irq(serial);
}

static void serial_write_fcr(struct serial *serial, uint8_t value)
{
    bool toggled = (value ^ serial->fcr) & FCR_ENABLE;

    if (toggled || (value & FCR_CLEAR_RECEIVE)) {
        serial->receive.count = 0;
    }
    if (toggled || (value & FCR_CLEAR_TRANSMIT)) {
        serial->transmit.count = 0;
        serial_drain(serial);
    }
    serial->fcr = value & FCR_ENABLE ? value & 0xc9 : 0;
    serial_restart_timeout(serial);
    serial_pull(serial);
    serial_update_irq(serial);
}

static void serial_write_mcr(struct serial *serial, uint8_t value)
{
    serial->mcr = value & 0x1f;
    serial_update_modem(serial);
    serial_pull(serial);
    serial_update_irq(serial);
}

static enum access_result serial_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct serial *serial = opaque;
    bool dlab = serial->lcr & LCR_DLAB;

    switch (offset) {
    case REG_DATA:
        *value = dlab ? serial->divisor & 0xff : serial_read_data(serial);
        break;
    case REG_IER:
        *value = dlab ? serial->divisor >> 8 : serial->ier;
        break;
    case REG_IIR_FCR:
        *value = serial_read_iir(serial);
        break;
    case REG_LCR:
        *value = serial->lcr;
        break;
    case REG_MCR:
        *value = serial->mcr;
        break;
    case REG_LSR:
        *value = serial_read_lsr(serial);
        break;
    case REG_MSR:
        *value = serial->msr;
        serial->msr &= (uint8_t)~MSR_DELTAS;
        serial_update_irq(serial);
        break;
    default:
        *value = serial->scr;
        break;
    }
    return ACCESS_OK;
}

static enum access_result serial_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct serial *serial = opaque;
    uint8_t byte = (uint8_t)value;
    bool dlab = serial->lcr & LCR_DLAB;

    switch (offset) {
    case REG_DATA:
        if (dlab) {
            serial->divisor = (uint16_t)((serial->divisor & 0xff00) | byte);
        } else {
            serial_write_data(serial, byte);
        }
        break;
    case REG_IER:
        if (dlab) {
            serial->divisor = (uint16_t)((serial->divisor & 0xff) | byte << 8);
        } else {
            serial_write_ier(serial, byte);
        }
        break;
    case REG_IIR_FCR:
        serial_write_fcr(serial, byte);
        break;
    case REG_LCR:
        serial->lcr = byte;
        break;
    case REG_MCR:
        serial_write_mcr(serial, byte);
        break;
    case REG_SCR:
        serial->scr = byte;
        break;
    default:
        break; /* LSR and MSR are read-only */
    }
    return ACCESS_OK;
}

static const struct region_ops serial_ops = {
    .read = serial_read,
    .write = serial_write,
    .valid = {.min = 1, .max = 4, .unaligned = true},
    .impl = {.min = 1, .max = 1},
};

/* --- front end: loop thread, no lock ---------------------------------------------------------------------------- */

static void serial_chardev_readable(struct chardev_frontend *frontend)
{
    struct serial *serial = container_of(frontend, struct serial, frontend);

    device_submit(&serial->isa.device, &serial->receive_work);
}

static void serial_chardev_writable(struct chardev_frontend *frontend)
{
    struct serial *serial = container_of(frontend, struct serial, frontend);

    device_submit(&serial->isa.device, &serial->transmit_work);
}

static void serial_chardev_event(struct chardev_frontend *frontend, enum chardev_event event)
{
    struct serial *serial = container_of(frontend, struct serial, frontend);

    if (event == CHARDEV_BREAK) {
        device_submit(&serial->isa.device, &serial->break_work);
    }
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static void serial_reset(struct device *device)
{
    struct serial *serial = serial_from(device);

    serial->ier = serial->lcr = serial->scr = serial->fcr = 0;
    serial->mcr = MCR_OUT2;
    serial->divisor = DEFAULT_DIVISOR;
    serial->receive.count = serial->transmit.count = 0;
    serial->lsr = LSR_THR_EMPTY | LSR_ALL_SENT;
    serial->msr = MSR_DCD | MSR_DSR | MSR_CTS;
    serial->transmit_irq_pending = serial->timeout_irq_pending = false;
    timer_cancel(&serial->timeout_timer);
    serial_update_irq(serial);
}

static int serial_find_chardev(struct serial *serial, struct error **err)
{
    if (!serial->chardev && serial->chardev_id) {
        serial->chardev = chardev_table_claim(serial->isa.isa->chardevs, serial->chardev_id, err);
        if (!serial->chardev) {
            return -ENOENT;
        }
    }
    return 0;
}

static int serial_realize(struct device *device, struct error **err)
{
    struct serial *serial = serial_from(device);
    const struct isa_bus *isa = serial->isa.isa;
    int ret = serial_find_chardev(serial, err);

    if (ret != 0) {
        return ret;
    }
    if (serial->iobase == 0) {
        serial->iobase = com_ports[serial->index].iobase;
    }
    if (serial->irq_number == 0) {
        serial->irq_number = com_ports[serial->index].irq;
    }
    serial->irq = isa_irq(isa, serial->irq_number);
    ret = timer_init(&serial->timeout_timer, device->loop, isa->clock, serial_timeout, serial);
    if (ret != 0) {
        return error_set(err, ret, "the event loop watches too many clocks");
    }
    serial->timeout_timer_ready = true;
    device_work_init(&serial->receive_work, device, serial_receive_work);
    device_work_init(&serial->transmit_work, device, serial_transmit_work);
    device_work_init(&serial->break_work, device, serial_break_work);
    device_work_init(&serial->timeout_work, device, serial_timeout_work);
    serial_reset(device);
    serial->frontend = (struct chardev_frontend){
        .readable = serial_chardev_readable, .writable = serial_chardev_writable, .event = serial_chardev_event};
    if (serial->chardev) {
        ret = chardev_attach(serial->chardev, &serial->frontend, err);
        if (ret != 0) {
            timer_destroy(&serial->timeout_timer);
            serial->timeout_timer_ready = false;
            return ret;
        }
    }
    region_init_io(&serial->region, "serial", device, &serial_ops, serial, 8, 0, NULL);
    region_add(isa->map, isa->io_root, serial->iobase, &serial->region, 0);
    return 0;
}

static void serial_quiesce(struct device *device)
{
    struct serial *serial = serial_from(device);

    isa_region_hide(serial->isa.isa, &serial->region);
    if (serial->chardev) {
        chardev_detach(serial->chardev, &serial->frontend);
    }
    timer_cancel(&serial->timeout_timer);
    device_quiesced(device);
}

static void serial_destroy(struct device *device)
{
    struct serial *serial = serial_from(device);

    if (serial->timeout_timer_ready) {
        timer_destroy(&serial->timeout_timer);
    }
    isa_region_destroy(&serial->region);
}

static const struct property serial_properties[] = {
    {.name = "chardev",
     .type = PROPERTY_STRING,
     .offset = offsetof(struct serial, chardev_id),
     .description = "id of the character backend"},
    {.name = "index",
     .type = PROPERTY_U32,
     .offset = offsetof(struct serial, index),
     .default_value = "0",
     .min = 0,
     .max = 3,
     .description = "0..3: COM1..COM4, gives the usual iobase and irq"},
    {.name = "iobase",
     .type = PROPERTY_U32,
     .offset = offsetof(struct serial, iobase),
     .min = 0,
     .max = 0xfff8,
     .description = "first port (0: the usual one)"},
    {.name = "irq",
     .type = PROPERTY_U32,
     .offset = offsetof(struct serial, irq_number),
     .min = 0,
     .max = 15,
     .description = "interrupt (0: the usual one)"},
    {0},
};

const struct device_type serial_device_type = {
    .name = "isa-serial",
    .description = "16550A serial port",
    .category = "Input",
    .bus = "ISA",
    .size_bytes = sizeof(struct serial),
    .properties = serial_properties,
    .user_creatable = true,
    .realize = serial_realize,
    .reset = serial_reset,
    .quiesce = serial_quiesce,
    .destroy = serial_destroy,
};
