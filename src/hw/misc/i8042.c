/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * i8042 keyboard controller without a keyboard or a mouse. Every command is answered at once; whatever is sent to a
 * device that isn't there comes back as a time-out (0xfe with the status's time-out bit), and the test of the mouse
 * port says that it is broken, so a driver gives up in microseconds rather than seconds.
 *
 * A guest can reset itself, and keep a byte or two here.
 */
#include "hw/misc/i8042.h"

#define STATUS_OUTPUT_FULL 0x01
#define STATUS_SYSTEM      0x04
#define STATUS_COMMAND     0x08
#define STATUS_UNLOCKED    0x10
#define STATUS_MOUSE       0x20
#define STATUS_TIMEOUT     0x40

#define MODE_KEYBOARD_IRQ      0x01
#define MODE_SYSTEM            0x04
#define MODE_KEYBOARD_DISABLED 0x10
#define MODE_MOUSE_DISABLED    0x20

#define OUTPUT_NOT_RESET 0x01
#define OUTPUT_A20       0x02

#define PORT92_RESET 0x01
#define PORT92_A20   0x02

#define REPLY_TIMEOUT   0xfe
#define TEST_OK         0x55
#define MOUSE_TEST_FAIL 0x01 /* clock line stuck low */

/* Commands to port 0x64. */
enum {
    CMD_READ_MODE = 0x20,
    CMD_WRITE_MODE = 0x60,
    CMD_MOUSE_DISABLE = 0xa7,
    CMD_MOUSE_ENABLE = 0xa8,
    CMD_MOUSE_TEST = 0xa9,
    CMD_SELF_TEST = 0xaa,
    CMD_KEYBOARD_TEST = 0xab,
    CMD_KEYBOARD_DISABLE = 0xad,
    CMD_KEYBOARD_ENABLE = 0xae,
    CMD_READ_INPUT_PORT = 0xc0,
    CMD_READ_OUTPUT_PORT = 0xd0,
    CMD_WRITE_OUTPUT_PORT = 0xd1,
    CMD_LOOP_KEYBOARD = 0xd2,
    CMD_LOOP_MOUSE = 0xd3,
    CMD_WRITE_MOUSE = 0xd4,
    CMD_A20_OFF = 0xdd,
    CMD_A20_ON = 0xdf,
    CMD_PULSE_FIRST = 0xf0, /* low four bits: which output lines are pulsed low; 0 is the reset line */
};

static void i8042_reply(struct i8042 *i8042, uint8_t byte, uint8_t status)
{
    i8042->output = byte;
    i8042->status &= (uint8_t) ~(STATUS_MOUSE | STATUS_TIMEOUT);
    i8042->status |= STATUS_OUTPUT_FULL | status;
    if ((i8042->command_byte & MODE_KEYBOARD_IRQ) && !(status & STATUS_MOUSE)) {
        irq_lower(&i8042->keyboard_irq); /* an edge for each byte */
        irq_raise(&i8042->keyboard_irq);
    }
}

static void i8042_set_output_port(struct i8042 *i8042, uint8_t value)
{
    i8042->output_port = value | OUTPUT_NOT_RESET;
    i8042->port92 = (uint8_t)((i8042->port92 & ~PORT92_A20) | (value & OUTPUT_A20 ? PORT92_A20 : 0));
    if (!(value & OUTPUT_NOT_RESET)) {
        machine_request_reset(i8042->isa.isa->requests);
    }
}

static void i8042_command(struct i8042 *i8042, uint8_t command)
{
    i8042->status |= STATUS_COMMAND;
    i8042->pending_command = 0;
    if (command >= CMD_PULSE_FIRST) {
        if (!(command & OUTPUT_NOT_RESET)) {
            machine_request_reset(i8042->isa.isa->requests);
        }
        return;
    }
    switch (command) {
    case CMD_READ_MODE:
        i8042_reply(i8042, i8042->command_byte, 0);
        break;
    case CMD_WRITE_MODE:
    case CMD_WRITE_OUTPUT_PORT:
    case CMD_LOOP_KEYBOARD:
    case CMD_LOOP_MOUSE:
    case CMD_WRITE_MOUSE:
        i8042->pending_command = command;
        break;
    case CMD_MOUSE_DISABLE:
        i8042->command_byte |= MODE_MOUSE_DISABLED;
        break;
    case CMD_MOUSE_ENABLE:
        i8042->command_byte &= (uint8_t)~MODE_MOUSE_DISABLED;
        break;
    case CMD_MOUSE_TEST:
        i8042_reply(i8042, MOUSE_TEST_FAIL, 0);
        break;
    case CMD_SELF_TEST:
        i8042->status |= STATUS_SYSTEM;
        i8042_reply(i8042, TEST_OK, 0);
        break;
    case CMD_KEYBOARD_TEST:
        i8042_reply(i8042, 0, 0);
        break;
    case CMD_KEYBOARD_DISABLE:
        i8042->command_byte |= MODE_KEYBOARD_DISABLED;
        break;
    case CMD_KEYBOARD_ENABLE:
        i8042->command_byte &= (uint8_t)~MODE_KEYBOARD_DISABLED;
        break;
    case CMD_READ_INPUT_PORT:
        i8042_reply(i8042, 0x80, 0); /* keyboard not locked */
        break;
    case CMD_READ_OUTPUT_PORT:
        i8042_reply(i8042, i8042->output_port, 0);
        break;
    case CMD_A20_OFF:
        i8042_set_output_port(i8042, i8042->output_port & (uint8_t)~OUTPUT_A20);
        break;
    case CMD_A20_ON:
        i8042_set_output_port(i8042, i8042->output_port | OUTPUT_A20);
        break;
    default:
        break;
    }
}

static void i8042_data(struct i8042 *i8042, uint8_t byte)
{
    uint8_t command = i8042->pending_command;

    i8042->pending_command = 0;
    i8042->status &= (uint8_t)~STATUS_COMMAND;
    switch (command) {
    case CMD_WRITE_MODE:
        i8042->command_byte = byte;
        i8042->status = (uint8_t)((i8042->status & ~STATUS_SYSTEM) | (byte & MODE_SYSTEM ? STATUS_SYSTEM : 0));
        break;
    case CMD_WRITE_OUTPUT_PORT:
        i8042_set_output_port(i8042, byte);
        break;
    case CMD_LOOP_KEYBOARD:
        i8042_reply(i8042, byte, 0);
        break;
    default:
        /* For the keyboard, or by way of the mouse port: nobody there. */
        i8042_reply(i8042, REPLY_TIMEOUT, STATUS_TIMEOUT | (command == CMD_WRITE_MOUSE ? STATUS_MOUSE : 0));
        break;
    }
}

static enum access_result i8042_data_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct i8042 *i8042 = opaque;

    *value = i8042->output;
    i8042->status &= (uint8_t) ~(STATUS_OUTPUT_FULL | STATUS_MOUSE | STATUS_TIMEOUT);
    irq_lower(&i8042->keyboard_irq);
    return ACCESS_OK;
}

static enum access_result i8042_data_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    i8042_data(opaque, (uint8_t)value);
    return ACCESS_OK;
}

static enum access_result i8042_status_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct i8042 *i8042 = opaque;

    *value = i8042->status;
    return ACCESS_OK;
}

static enum access_result i8042_command_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    i8042_command(opaque, (uint8_t)value);
    return ACCESS_OK;
}

static enum access_result port92_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct i8042 *i8042 = opaque;

    *value = i8042->port92;
    return ACCESS_OK;
}

static enum access_result port92_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct i8042 *i8042 = opaque;
    bool rising = !(i8042->port92 & PORT92_RESET) && (value & PORT92_RESET);

    i8042->port92 = (uint8_t)value;
    i8042->output_port = (uint8_t)((i8042->output_port & ~OUTPUT_A20) | (value & PORT92_A20 ? OUTPUT_A20 : 0));
    if (rising) {
        machine_request_reset(i8042->isa.isa->requests);
    }
    return ACCESS_OK;
}

#define BYTE_SIZES .valid = {.min = 1, .max = 1}, .impl = {.min = 1, .max = 1}

static const struct region_ops data_ops = {.read = i8042_data_read, .write = i8042_data_write, BYTE_SIZES};
static const struct region_ops command_ops = {.read = i8042_status_read, .write = i8042_command_write, BYTE_SIZES};
static const struct region_ops port92_ops = {.read = port92_read, .write = port92_write, BYTE_SIZES};

static void i8042_reset(struct device *device)
{
    struct i8042 *i8042 = container_of(device, struct i8042, isa.device);

    i8042->command_byte = MODE_KEYBOARD_DISABLED | MODE_MOUSE_DISABLED;
    i8042->output_port = OUTPUT_NOT_RESET | OUTPUT_A20;
    i8042->port92 = PORT92_A20;
    i8042->status = STATUS_UNLOCKED;
    i8042->output = 0;
    i8042->pending_command = 0;
    irq_lower(&i8042->keyboard_irq);
}

static int i8042_realize(struct device *device, struct error **err)
{
    struct i8042 *i8042 = container_of(device, struct i8042, isa.device);
    const struct isa_bus *isa = i8042->isa.isa;

    i8042->keyboard_irq = isa_irq(isa, 1);
    i8042_reset(device);
    region_init_io(&i8042->data_region, "i8042-data", device, &data_ops, i8042, 1, 0, NULL);
    region_init_io(&i8042->command_region, "i8042-command", device, &command_ops, i8042, 1, 0, NULL);
    region_init_io(&i8042->port92_region, "port92", device, &port92_ops, i8042, 1, 0, NULL);
    region_add(isa->map, isa->io_root, 0x60, &i8042->data_region, 0);
    region_add(isa->map, isa->io_root, 0x64, &i8042->command_region, 0);
    region_add(isa->map, isa->io_root, 0x92, &i8042->port92_region, 0);
    return 0;
}

static void i8042_quiesce(struct device *device)
{
    struct i8042 *i8042 = container_of(device, struct i8042, isa.device);

    isa_region_hide(i8042->isa.isa, &i8042->data_region);
    isa_region_hide(i8042->isa.isa, &i8042->command_region);
    isa_region_hide(i8042->isa.isa, &i8042->port92_region);
    device_quiesced(device);
}

static void i8042_destroy(struct device *device)
{
    struct i8042 *i8042 = container_of(device, struct i8042, isa.device);

    isa_region_destroy(&i8042->data_region);
    isa_region_destroy(&i8042->command_region);
    isa_region_destroy(&i8042->port92_region);
}

const struct device_type i8042_device_type = {
    .name = "i8042",
    .description = "keyboard controller with nothing plugged in",
    .category = "Input",
    .bus = "ISA",
    .size_bytes = sizeof(struct i8042),
    .realize = i8042_realize,
    .reset = i8042_reset,
    .quiesce = i8042_quiesce,
    .destroy = i8042_destroy,
};
