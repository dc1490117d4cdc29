/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtio-serial-pci and its ports, driven by the test: control messages, bytes both ways, a slow host, resets. */
#include "virtio_driver.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/thread.h"
#include "chardev/ringbuf.h"
#include "hw/virtio/virtio_serial_internal.h"

#define FEATURES   (VIRTIO_CONSOLE_F_MULTIPORT | VIRTIO_CONSOLE_F_EMERG_WRITE)
#define QUEUE_SIZE 32
#define BUFFER     256

enum { CONTROL_IN = 2, CONTROL_OUT = 3 };

/* One thread polls the loop and plays the driver. */
struct serial_test {
    struct pci_machine machine;
    struct clock clock;
    struct chardev_env env;
    struct chardev_table *chardevs;
    struct device *serial;
    struct device *ports[3];
    struct virtio_driver driver;
    uint64_t gpa_of[DRIVER_QUEUES][QUEUE_SIZE]; /* of the buffer behind a chain's id */
};

static void set(struct device *device, const char *name, const char *value)
{
    assert_int_equal(property_set(device, device->type->properties, name, value, NULL), 0);
}

static struct chardev *add_chardev(struct serial_test *t, const char *backend, const char *id, const char *path)
{
    struct chardev *chardev = chardev_create(chardev_type_find(backend, NULL), id, &t->env);

    assert_non_null(chardev);
    if (path) {
        assert_int_equal(chardev_set_option(chardev, "path", path, NULL), 0);
    }
    assert_int_equal(chardev_open(chardev, NULL), 0);
    assert_int_equal(chardev_table_add(t->chardevs, chardev, NULL), 0);
    return chardev;
}

static void serial_open(struct serial_test *t)
{
    memset(t, 0, sizeof(*t));
    pci_machine_init(&t->machine, true);
    clock_init_host(&t->clock);
    t->env = (struct chardev_env){.loop = t->machine.loop, .clock = &t->clock};
    t->chardevs = chardev_table_create();
    t->serial = device_create(&virtio_serial_pci_type, "serial", t->machine.loop, &t->machine.memory, NULL);
    set(t->serial, "max_ports", "3");
    set(t->serial, "vectors", "9");
    set(t->serial, "packed", "on");
    pci_device_attach(pci_device_of(t->serial), &t->machine.host.bus);
    assert_int_equal(device_realize(t->serial, NULL), 0);
    pci_machine_assign(&t->machine);
    virtio_driver_open(&t->driver, &t->machine, pci_device_of(t->serial)->devfn);
}

static int try_port(struct serial_test *t, const struct device_type *type, const char *chardev, const char *nr,
                    struct device **out, struct error **err)
{
    struct device *port = device_create(type, "port", t->machine.loop, NULL, NULL);
    int result;

    virtio_serial_port_wire(port, t->serial, t->chardevs);
    if (chardev) {
        set(port, "chardev", chardev);
    }
    if (nr) {
        set(port, "nr", nr);
    }
    set(port, "name", "org.heddle.test");
    result = device_realize(port, err);
    if (result < 0) {
        device_put(port);
        pci_machine_poll(&t->machine);
    } else {
        *out = port;
    }
    return result;
}

static void add_port(struct serial_test *t, unsigned n, const struct device_type *type, const char *chardev)
{
    assert_int_equal(try_port(t, type, chardev, NULL, &t->ports[n], NULL), 0);
}

static void serial_close(struct serial_test *t)
{
    for (unsigned i = 0; i < 3; i++) {
        if (t->ports[i]) {
            pci_machine_remove(&t->machine, t->ports[i]);
        }
    }
    pci_machine_remove(&t->machine, t->serial);
    chardev_table_destroy(t->chardevs);
    pci_machine_destroy(&t->machine);
    clock_destroy(&t->clock);
}

/* --- the driver's side ----------------------------------------------------------------------------------------------
 */

static void give_buffer(struct serial_test *t, unsigned index)
{
    struct driver_buffer buffer = {machine_alloc(&t->machine, BUFFER, 1), BUFFER, true};
    int id = driver_queue_add(&t->driver.queues[index], &buffer, 1, false);

    assert_true(id >= 0);
    t->gpa_of[index][id] = buffer.gpa;
    driver_queue_kick(&t->driver.queues[index], true);
    pci_machine_poll(&t->machine);
}

/* What the device put into a queue's next buffer; -1: nothing. */
static int take(struct serial_test *t, unsigned index, void *bytes)
{
    uint32_t len_bytes;
    uint16_t id;

    pci_machine_poll(&t->machine);
    if (!driver_queue_get(&t->driver.queues[index], &id, &len_bytes)) {
        return -1;
    }
    memcpy(bytes, machine_host(&t->machine, t->gpa_of[index][id]), len_bytes);
    return (int)len_bytes;
}

static void put(struct serial_test *t, unsigned index, const void *bytes, uint32_t len_bytes)
{
    struct driver_buffer buffer = {machine_alloc(&t->machine, len_bytes, 1), len_bytes, false};

    memcpy(machine_host(&t->machine, buffer.gpa), bytes, len_bytes);
    assert_true(driver_queue_add(&t->driver.queues[index], &buffer, 1, false) >= 0);
    driver_queue_kick(&t->driver.queues[index], true);
    pci_machine_poll(&t->machine);
}

static void tell(struct serial_test *t, uint32_t port, uint16_t event, uint16_t value)
{
    struct {
        uint32_t port;
        uint16_t event, value;
    } message = {port, event, value};
    uint32_t len_bytes;
    uint16_t id;

    put(t, CONTROL_OUT, &message, sizeof(message));
    assert_true(driver_queue_get(&t->driver.queues[CONTROL_OUT], &id, &len_bytes));
}

static void assert_told(struct serial_test *t, uint32_t port, uint16_t event, uint16_t value, const char *name)
{
    uint8_t bytes[BUFFER + 1] = {0};
    uint32_t head[2];
    int len_bytes = take(t, CONTROL_IN, bytes);

    assert_int_equal(len_bytes, 8 + strlen(name));
    memcpy(head, bytes, sizeof(head));
    assert_int_equal(head[0], port);
    assert_int_equal(head[1] & 0xffff, event);
    assert_int_equal(head[1] >> 16, value);
    assert_string_equal((char *)bytes + 8, name);
}

static void assert_told_nothing(struct serial_test *t)
{
    uint8_t bytes[BUFFER];

    assert_int_equal(take(t, CONTROL_IN, bytes), -1);
}

static void start(struct serial_test *t, uint64_t features)
{
    virtio_driver_start(&t->driver, features, 8, QUEUE_SIZE);
    for (unsigned i = 0; i < 16; i++) {
        give_buffer(t, CONTROL_IN);
    }
}

/* --- tests -----------------------------------------------------------------------------------------------------------
 */

static void run_handshake(uint64_t ring)
{
    struct serial_test t;

    serial_open(&t);
    add_chardev(&t, "ringbuf", "c0", NULL);
    add_chardev(&t, "ringbuf", "c1", NULL);
    add_port(&t, 0, &virtconsole_type, "c0");
    add_port(&t, 1, &virtserialport_type, "c1");
    start(&t, FEATURES | ring);
    assert_told_nothing(&t);
    tell(&t, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    assert_told(&t, 0, VIRTIO_CONSOLE_PORT_ADD, 1, "");
    assert_told(&t, 1, VIRTIO_CONSOLE_PORT_ADD, 1, "");
    tell(&t, 0, VIRTIO_CONSOLE_PORT_READY, 1);
    assert_told(&t, 0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, "");
    assert_told(&t, 0, VIRTIO_CONSOLE_PORT_NAME, 1, "org.heddle.test");
    assert_told(&t, 0, VIRTIO_CONSOLE_PORT_OPEN, 1, "");
    tell(&t, 1, VIRTIO_CONSOLE_PORT_READY, 1);
    assert_told(&t, 1, VIRTIO_CONSOLE_PORT_NAME, 1, "org.heddle.test");
    assert_told(&t, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, "");
    assert_told_nothing(&t);
    pci_machine_remove(&t.machine, t.ports[1]);
    t.ports[1] = NULL;
    assert_told(&t, 1, VIRTIO_CONSOLE_PORT_REMOVE, 1, "");
    serial_close(&t);
}

/* Each port's two queues and the control queues: none of their notifications needs an exit. */
static void test_every_queue_has_an_ioeventfd(void **state)
{
    struct serial_test t;

    serial_open(&t);
    assert_int_equal(pci_machine_ioeventfds(&t.machine), virtio_pci_of(t.serial)->virtio.queue_count);
    assert_int_equal(pci_machine_ioeventfds(&t.machine), 8);
    serial_close(&t);
}

static void test_handshake(void **state)
{
    run_handshake(0);
    run_handshake(VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX);
}

/* Messages wait as bits: nothing is lost, however late the buffers come. */
static void test_messages_wait_for_buffers(void **state)
{
    struct serial_test t;

    serial_open(&t);
    add_port(&t, 0, &virtconsole_type, NULL);
    virtio_driver_start(&t.driver, FEATURES, 8, QUEUE_SIZE);
    tell(&t, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    tell(&t, 0, VIRTIO_CONSOLE_PORT_READY, 1);
    for (unsigned i = 0; i < 100; i++) {
        tell(&t, 0, VIRTIO_CONSOLE_PORT_READY, 1);
    }
    give_buffer(&t, CONTROL_IN);
    give_buffer(&t, CONTROL_IN);
    assert_told(&t, 0, VIRTIO_CONSOLE_PORT_ADD, 1, "");
    assert_told(&t, 0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, "");
    give_buffer(&t, CONTROL_IN);
    give_buffer(&t, CONTROL_IN);
    assert_told(&t, 0, VIRTIO_CONSOLE_PORT_NAME, 1, "org.heddle.test");
    assert_told(&t, 0, VIRTIO_CONSOLE_PORT_OPEN, 1, "");
    serial_close(&t);
}

static void assert_heard(struct chardev *chardev, const char *text)
{
    char bytes[BUFFER + 1] = {0};

    chardev_ringbuf_take(chardev, bytes, BUFFER);
    assert_string_equal(bytes, text);
}

static void test_bytes_both_ways(void **state)
{
    struct serial_test t;
    struct chardev *chardev;
    char bytes[BUFFER + 1] = {0};

    serial_open(&t);
    chardev = add_chardev(&t, "ringbuf", "c1", NULL);
    add_port(&t, 0, &virtserialport_type, "c1");
    start(&t, FEATURES);
    put(&t, 5, "to the host", 11);
    assert_heard(chardev, "to the host");
    give_buffer(&t, 4);
    chardev_ringbuf_put(chardev, "early", 5);
    assert_int_equal(take(&t, 4, bytes), -1); /* the guest hasn't opened the port */
    tell(&t, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    assert_int_equal(take(&t, 4, bytes), 5);
    assert_string_equal(bytes, "early");
    chardev_ringbuf_put(chardev, "late", 4); /* no buffer */
    pci_machine_poll(&t.machine);
    give_buffer(&t, 4);
    assert_int_equal(take(&t, 4, bytes), 4);
    assert_string_equal(bytes, "latey");
    serial_close(&t);
}

/* A driver of old: one port, no control messages, open from the start. */
static void test_without_multiport(void **state)
{
    struct serial_test t;
    struct chardev *chardev;
    char bytes[BUFFER + 1] = {0};

    serial_open(&t);
    chardev = add_chardev(&t, "ringbuf", "c0", NULL);
    add_port(&t, 0, &virtconsole_type, "c0");
    virtio_driver_start(&t.driver, 0, 2, QUEUE_SIZE);
    give_buffer(&t, 0);
    chardev_ringbuf_put(chardev, "hello", 5);
    assert_int_equal(take(&t, 0, bytes), 5);
    put(&t, 1, "world", 5);
    assert_heard(chardev, "world");
    serial_close(&t);
}

/* The host takes less than is sent at once: nothing is lost or doubled. */
static void test_slow_host(void **state)
{
    const uint32_t len_bytes = 1 << 20;
    struct serial_test t;
    char path[] = "/var/tmp/heddle-serial-XXXXXX";
    uint8_t *sent = malloc(len_bytes), *found = malloc(len_bytes);
    int fd = mkstemp(path);

    for (uint32_t i = 0; i < len_bytes; i++) {
        sent[i] = (uint8_t)(i * 31 + (i >> 11));
    }
    serial_open(&t);
    add_chardev(&t, "file", "c0", path);
    add_port(&t, 0, &virtconsole_type, "c0");
    start(&t, FEATURES);
    put(&t, 1, sent, len_bytes);
    put(&t, 1, "end", 3);
    assert_int_equal(pread(fd, found, len_bytes, 0), len_bytes);
    assert_memory_equal(found, sent, len_bytes);
    assert_int_equal(pread(fd, found, 10, len_bytes), 3);
    serial_close(&t);
    close(fd);
    unlink(path);
    free(sent);
    free(found);
}

/* A reset drops what the host hasn't taken, and is over at once. */
static void test_reset_with_a_slow_host(void **state)
{
    struct serial_test t;
    char path[] = "/var/tmp/heddle-serial-XXXXXX";
    struct driver_buffer buffer;

    close(mkstemp(path));
    serial_open(&t);
    add_chardev(&t, "file", "c0", path);
    add_port(&t, 0, &virtconsole_type, "c0");
    start(&t, FEATURES);
    buffer = (struct driver_buffer){machine_alloc(&t.machine, 1 << 20, 1), 1 << 20, false};
    driver_queue_add(&t.driver.queues[1], &buffer, 1, false);
    driver_queue_kick(&t.driver.queues[1], true);
    virtio_driver_reset(&t.driver);
    assert_int_equal(virtio_driver_status(&t.driver), 0);
    pci_machine_poll(&t.machine);
    start(&t, FEATURES);
    put(&t, 1, "x", 1);
    serial_close(&t);
    unlink(path);
}

static void test_hostile_messages(void **state)
{
    struct serial_test t;
    struct chardev *chardev;
    uint32_t len_bytes;
    uint16_t id;

    serial_open(&t);
    chardev = add_chardev(&t, "ringbuf", "c1", NULL);
    add_port(&t, 0, &virtserialport_type, "c1");
    start(&t, FEATURES);
    tell(&t, UINT32_MAX, VIRTIO_CONSOLE_PORT_OPEN, 1);
    tell(&t, 3, VIRTIO_CONSOLE_PORT_READY, 1);
    tell(&t, 2, VIRTIO_CONSOLE_PORT_READY, 1);
    tell(&t, 1, 0xffff, 0xffff);
    put(&t, CONTROL_OUT, "short", 5);
    assert_true(driver_queue_get(&t.driver.queues[CONTROL_OUT], &id, &len_bytes));
    put(&t, 7, "nobody is there", 15);
    assert_true(driver_queue_get(&t.driver.queues[7], &id, &len_bytes));
    assert_told_nothing(&t);
    assert_int_equal(virtio_driver_status(&t.driver) & VIRTIO_STATUS_NEEDS_RESET, 0);
    put(&t, 5, "alive", 5);
    assert_heard(chardev, "alive");
    serial_close(&t);
}

static void test_emergency_write(void **state)
{
    struct serial_test t;
    struct chardev *chardev;

    serial_open(&t);
    chardev = add_chardev(&t, "ringbuf", "c0", NULL);
    add_port(&t, 0, &virtconsole_type, "c0");
    machine_write(&t.machine, t.driver.config + 8, 4, 'p');
    machine_write(&t.machine, t.driver.config + 8, 4, '!');
    assert_heard(chardev, "p!");
    serial_close(&t);
}

static void assert_refused(struct serial_test *t, const struct device_type *type, const char *chardev, const char *nr,
                           const char *part)
{
    struct error *err = NULL;
    struct device *port;

    assert_true(try_port(t, type, chardev, nr, &port, &err) < 0);
    if (!strstr(err->message, part)) {
        print_message("'%s' lacks '%s'\n", err->message, part);
        fail();
    }
    error_free(err);
}

static void test_bad_properties(void **state)
{
    struct serial_test t;

    serial_open(&t);
    add_chardev(&t, "ringbuf", "c0", NULL);
    add_port(&t, 0, &virtconsole_type, "c0");
    assert_refused(&t, &virtconsole_type, NULL, "0", "taken by device 'port'");
    assert_refused(&t, &virtserialport_type, NULL, "0", "virtconsole");
    assert_refused(&t, &virtserialport_type, NULL, "3", "max_ports=3");
    assert_refused(&t, &virtserialport_type, "nowhere", NULL, "nowhere");
    assert_refused(&t, &virtserialport_type, "c0", NULL, "c0");
    add_port(&t, 1, &virtserialport_type, NULL);
    add_port(&t, 2, &virtconsole_type, NULL);
    assert_refused(&t, &virtserialport_type, NULL, NULL, "all 3 ports");
    serial_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_queue_has_an_ioeventfd),
        cmocka_unit_test(test_handshake),
        cmocka_unit_test(test_messages_wait_for_buffers),
        cmocka_unit_test(test_bytes_both_ways),
        cmocka_unit_test(test_without_multiport),
        cmocka_unit_test(test_slow_host),
        cmocka_unit_test(test_reset_with_a_slow_host),
        cmocka_unit_test(test_hostile_messages),
        cmocka_unit_test(test_emergency_write),
        cmocka_unit_test(test_bad_properties),
    };
    int failed;

    hdl_thread_register_main();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return failed;
}
