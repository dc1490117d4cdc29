/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The 16550A, as a driver sees it: detection, FIFOs, each interrupt cause, loopback, and a chardev that says "wait". */
#include "rig.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hw/char/serial.h"

#define COM1 0x3f8

struct port {
    struct serial *serial;
    struct chardev *chardev;
};

static struct port port_plug(struct rig *rig)
{
    struct port port = {.chardev = rig_ringbuf(rig, "c0"), .serial = rig_create(rig, &serial_device_type)};

    assert_int_equal(property_set(port.serial, serial_device_type.properties, "chardev", "c0", NULL), 0);
    rig_realize(&port.serial->isa.device);
    return port;
}

static void port_unplug(struct rig *rig, struct port port)
{
    rig_remove(rig, &port.serial->isa.device);
}

static uint8_t iir(struct rig *rig)
{
    return rig_inb(rig, COM1 + 2) & 0x0f;
}

static void test_detection(void **state)
{
    struct rig *rig = *state;
    struct port port = port_plug(rig);

    rig_outb(rig, COM1 + 7, 0x5a);
    assert_int_equal(rig_inb(rig, COM1 + 7), 0x5a);
    rig_outb(rig, COM1 + 1, 0xff);
    assert_int_equal(rig_inb(rig, COM1 + 1), 0x0f);
    rig_outb(rig, COM1 + 1, 0);
    assert_int_equal(rig_inb(rig, COM1 + 5), 0x60);
    assert_int_equal(rig_inb(rig, COM1 + 6) & 0xf0, 0xb0);
    assert_int_equal(rig_inb(rig, COM1 + 2), 0x01);
    rig_outb(rig, COM1 + 2, 0x01);
    assert_int_equal(rig_inb(rig, COM1 + 2), 0xc1); /* a 16550A, not an 8250 */
    rig_outb(rig, COM1 + 3, 0x80);
    rig_outb(rig, COM1, 0x34);
    rig_outb(rig, COM1 + 1, 0x12);
    assert_int_equal(rig_inb(rig, COM1), 0x34);
    assert_int_equal(rig_inb(rig, COM1 + 1), 0x12);
    rig_outb(rig, COM1 + 3, 0x03);
    assert_int_equal(rig_inb(rig, COM1 + 1), 0); /* IER again */
    port_unplug(rig, port);
    assert_int_equal(rig_inb(rig, COM1 + 5), 0xff);
}

static void test_output(void **state)
{
    struct rig *rig = *state;
    struct port port = port_plug(rig);
    char text[8] = "";

    for (const char *c = "hello"; *c; c++) {
        assert_true(rig_inb(rig, COM1 + 5) & 0x20);
        rig_outb(rig, COM1, (uint8_t)*c);
    }
    assert_int_equal(chardev_ringbuf_take(port.chardev, text, sizeof(text)), 5);
    assert_string_equal(text, "hello");
    port_unplug(rig, port);
}

static void test_transmit_interrupt(void **state)
{
    struct rig *rig = *state;
    struct port port = port_plug(rig);

    assert_false(rig->irqs[4].level);
    rig_outb(rig, COM1 + 1, 0x02);
    assert_true(rig->irqs[4].level);
    assert_int_equal(iir(rig), 0x02); /* reading it takes it back */
    assert_false(rig->irqs[4].level);
    assert_int_equal(iir(rig), 0x01);
    rig_outb(rig, COM1, 'x');
    assert_true(rig->irqs[4].level);
    rig_outb(rig, COM1, 'y'); /* a new edge each time, though it was pending already */
    assert_int_equal(rig->irqs[4].rises, 3);
    rig_outb(rig, COM1 + 1, 0);
    assert_false(rig->irqs[4].level);
    port_unplug(rig, port);
}

static void test_receive_without_fifo(void **state)
{
    struct rig *rig = *state;
    struct port port = port_plug(rig);

    rig_outb(rig, COM1 + 1, 0x01);
    chardev_ringbuf_put(port.chardev, "ab", 2);
    assert_true(rig->irqs[4].level);
    assert_int_equal(iir(rig), 0x04);
    assert_int_equal(rig_inb(rig, COM1 + 5) & 0x03, 0x01);
    assert_int_equal(rig_inb(rig, COM1), 'a');
    assert_true(rig->irqs[4].level); /* pulled the next one */
    assert_int_equal(rig_inb(rig, COM1), 'b');
    assert_false(rig->irqs[4].level);
    assert_int_equal(rig_inb(rig, COM1 + 5) & 0x01, 0);
    port_unplug(rig, port);
}

static void test_receive_trigger_and_timeout(void **state)
{
    struct rig *rig = *state;
    struct port port = port_plug(rig);
    uint64_t char_ns = 10 * 12 * NS_PER_SEC / 115200; /* 9600 baud */

    rig_outb(rig, COM1 + 2, 0x81); /* trigger at 8 */
    rig_outb(rig, COM1 + 1, 0x01);
    chardev_ringbuf_put(port.chardev, "1234567", 7);
    assert_false(rig->irqs[4].level);
    rig_advance_ns(rig, 3 * char_ns);
    assert_false(rig->irqs[4].level);
    rig_advance_ns(rig, 2 * char_ns);
    assert_true(rig->irqs[4].level);
    assert_int_equal(iir(rig), 0x0c);
    assert_int_equal(rig_inb(rig, COM1), '1');
    assert_false(rig->irqs[4].level); /* any read ends the timeout */
    chardev_ringbuf_put(port.chardev, "89", 2);
    assert_true(rig->irqs[4].level);
    assert_int_equal(iir(rig), 0x04);
    rig_outb(rig, COM1 + 2, 0x83); /* clears the FIFO */
    assert_false(rig->irqs[4].level);
    assert_int_equal(rig_inb(rig, COM1 + 5) & 0x01, 0);
    rig_advance_ns(rig, 10 * char_ns);
    assert_false(rig->irqs[4].level);
    port_unplug(rig, port);
}

/* More than the FIFO holds isn't lost: the rest waits in the chardev. */
static void test_receive_more_than_fifo(void **state)
{
    struct rig *rig = *state;
    struct port port = port_plug(rig);
    char sent[200];

    rig_outb(rig, COM1 + 2, 0x01);
    for (size_t i = 0; i < sizeof(sent); i++) {
        sent[i] = (char)i;
    }
    chardev_ringbuf_put(port.chardev, sent, sizeof(sent));
    for (size_t i = 0; i < sizeof(sent); i++) {
        assert_true(rig_inb(rig, COM1 + 5) & 0x01);
        assert_int_equal((char)rig_inb(rig, COM1), sent[i]);
    }
    assert_int_equal(rig_inb(rig, COM1 + 5), 0x60);
    port_unplug(rig, port);
}

static void test_loopback(void **state)
{
    struct rig *rig = *state;
    struct port port = port_plug(rig);
    char text[8];

    rig_inb(rig, COM1 + 6);
    rig_outb(rig, COM1 + 4, 0x10 | 0x0a); /* loop, RTS, OUT2: Linux's probe */
    assert_int_equal(rig_inb(rig, COM1 + 6) & 0xf0, 0x90);
    rig_outb(rig, COM1 + 2, 0x01);
    for (unsigned i = 0; i < 17; i++) {
        rig_outb(rig, COM1, i);
    }
    assert_int_equal(rig_inb(rig, COM1 + 5) & 0x03, 0x03); /* the seventeenth found no room */
    assert_int_equal(rig_inb(rig, COM1 + 5) & 0x02, 0);
    for (unsigned i = 0; i < 16; i++) {
        assert_int_equal(rig_inb(rig, COM1), i);
    }
    assert_int_equal(chardev_ringbuf_take(port.chardev, text, sizeof(text)), 0);
    rig_outb(rig, COM1 + 4, 0x10 | 0x0e); /* OUT1 -> RI */
    rig_outb(rig, COM1 + 1, 0x08);
    assert_false(rig->irqs[4].level); /* a rising RI doesn't count */
    rig_outb(rig, COM1 + 4, 0x10 | 0x0a);
    assert_true(rig->irqs[4].level);
    assert_int_equal(iir(rig), 0x00);
    assert_int_equal(rig_inb(rig, COM1 + 6) & 0x0f, 0x04);
    assert_false(rig->irqs[4].level);
    port_unplug(rig, port);
}

static void test_break(void **state)
{
    struct rig *rig = *state;
    struct port port = port_plug(rig);

    rig_outb(rig, COM1 + 2, 0x01);
    rig_outb(rig, COM1 + 1, 0x04);
    port.serial->frontend.event(&port.serial->frontend, CHARDEV_BREAK);
    assert_true(rig->irqs[4].level);
    assert_int_equal(iir(rig), 0x06);
    assert_int_equal(rig_inb(rig, COM1 + 5) & 0x91, 0x91);
    assert_false(rig->irqs[4].level); /* reading LSR clears it */
    assert_int_equal(rig_inb(rig, COM1), 0);
    port_unplug(rig, port);
}

/* A chardev whose reader is slow: a full pipe. THRE stays clear until there is room, and nothing is lost. */
static void test_output_backpressure(void **state)
{
    struct rig *rig = *state;
    struct serial *serial = rig_create(rig, &serial_device_type);
    struct chardev *file = chardev_create(chardev_type_find("file", NULL), "pipe", &rig->env);
    char path[32];
    uint8_t bytes[4096];
    int fds[2];
    uint32_t sent = 0, received = 0;
    ssize_t count;

    assert_int_equal(pipe(fds), 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[1]);
    assert_int_equal(chardev_set_option(file, "path", path, NULL), 0);
    assert_int_equal(chardev_open(file, NULL), 0);
    serial->chardev = file;
    rig_realize(&serial->isa.device);
    rig_outb(rig, COM1 + 2, 0x01);
    rig_outb(rig, COM1 + 1, 0x02);
    while ((rig_inb(rig, COM1 + 5) & 0x20) && sent < 1000000) {
        rig_outb(rig, COM1, sent++ & 0xff);
        if (sent % 512 == 0) {
            rig_settle(rig);
        }
    }
    assert_true(sent < 1000000);
    assert_int_equal(iir(rig), 0x01);
    while (received < sent) {
        count = read(fds[0], bytes, sizeof(bytes));
        assert_true(count > 0);
        for (ssize_t i = 0; i < count; i++) {
            assert_int_equal(bytes[i], received++ & 0xff);
        }
        rig_settle(rig);
    }
    assert_int_equal(received, sent);
    assert_true(rig_inb(rig, COM1 + 5) & 0x20);
    assert_int_equal(iir(rig), 0x02);
    rig_remove(rig, &serial->isa.device);
    chardev_destroy(file);
    close(fds[0]);
    close(fds[1]);
}

static void test_wiring_errors(void **state)
{
    struct rig *rig = *state;
    struct port port = port_plug(rig);
    struct serial *second = rig_create(rig, &serial_device_type);
    struct error *err = NULL;

    assert_int_equal(property_set(second, serial_device_type.properties, "index", "1", NULL), 0);
    assert_int_equal(property_set(second, serial_device_type.properties, "chardev", "c0", NULL), 0);
    assert_int_not_equal(device_realize(&second->isa.device, &err), 0);
    assert_non_null(strstr(err->message, "c0"));
    error_free(err);
    device_put(&second->isa.device);
    port_unplug(rig, port);
}

static void test_reset(void **state)
{
    struct rig *rig = *state;
    struct port port = port_plug(rig);

    rig_outb(rig, COM1 + 1, 0x0f);
    assert_true(rig->irqs[4].level);
    device_reset(&port.serial->isa.device);
    assert_false(rig->irqs[4].level);
    assert_int_equal(rig_inb(rig, COM1 + 1), 0);
    assert_int_equal(rig_inb(rig, COM1 + 5), 0x60);
    port_unplug(rig, port);
}

#define RIG_TEST(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_detection),
        RIG_TEST(test_output),
        RIG_TEST(test_transmit_interrupt),
        RIG_TEST(test_receive_without_fifo),
        RIG_TEST(test_receive_trigger_and_timeout),
        RIG_TEST(test_receive_more_than_fifo),
        RIG_TEST(test_loopback),
        RIG_TEST(test_break),
        RIG_TEST(test_output_backpressure),
        RIG_TEST(test_wiring_errors),
        RIG_TEST(test_reset),
    };

    return rig_main(tests, ARRAY_SIZE(tests));
}
