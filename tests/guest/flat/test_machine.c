/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A whole machine, built from a configuration, with a Multiboot guest of a few instructions: it ends, resets and powers
 * off, and everything can be taken down again. On the accelerator that $HEDDLE_TEST_ACCEL names: kvm, which is skipped
 * where there is no /dev/kvm, or soft.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/thread.h"
#include "machine/machine.h"

enum { LOAD = 0x200000, HEADER_BYTES = 32 };

static const char *accel_name(void)
{
    const char *name = getenv("HEDDLE_TEST_ACCEL");

    return name && *name ? name : "kvm";
}

struct machine_test {
    char path[40];
    char *accels[1];
    struct config_device device;
    struct machine_config config;
};

/* A flat Multiboot image: the header, then the code. */
static void make_kernel(struct machine_test *test, const uint8_t *code, size_t code_bytes)
{
    uint8_t image[256] = {0};
    int fd;

    assert_true(HEADER_BYTES + code_bytes <= sizeof(image));
    store_le32(image, 0x1BADB002);
    store_le32(image + 4, 1 << 16);
    store_le32(image + 8, -(0x1BADB002u + (1 << 16)));
    store_le32(image + 12, LOAD);
    store_le32(image + 16, LOAD);
    store_le32(image + 28, LOAD + HEADER_BYTES);
    memcpy(image + HEADER_BYTES, code, code_bytes);
    strcpy(test->path, "/tmp/heddle-machine-XXXXXX");
    fd = mkstemp(test->path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, image, sizeof(image)), (ssize_t)sizeof(image));
    close(fd);
}

static int setup(void **state)
{
    struct machine_test *test = calloc(1, sizeof(*test));

    test->accels[0] = (char *)accel_name();
    test->device.type = (char *)"isa-debug-exit";
    test->config = (struct machine_config){
        .accels = test->accels,
        .accel_count = 1,
        .cpus = 2,
        .sockets = 1,
        .cores = 2,
        .threads = 1,
        .ram_bytes = 4 << 20,
        .kernel = test->path,
        .append = (char *)"",
        .devices = &test->device,
        .device_count = 1,
    };
    *state = test;
    return 0;
}

static int teardown(void **state)
{
    struct machine_test *test = *state;

    unlink(test->path);
    free(test);
    return 0;
}

static int run(struct machine_test *test)
{
    struct error *err = NULL;
    struct machine *machine = machine_create(&test->config, &err);
    int status;

    if (!machine) {
        fail_msg("%s", err->message);
    }
    status = machine_run(machine);
    machine_destroy(machine);
    return status;
}

static void test_debug_exit(void **state)
{
    static const uint8_t code[] = {
        0x66, 0xBA, 0x01, 0x05, /* mov dx, 0x501 */
        0xB0, 0x15,             /* mov al, 0x15 */
        0xEE,                   /* out dx, al */
        0xEB, 0xFE,             /* jmp . */
    };

    make_kernel(*state, code, sizeof(code));
    assert_int_equal(run(*state), 0x15 << 1 | 1);
}

static void test_reset_then_power_off(void **state)
{
    static const uint8_t code[] = {
        0xFF, 0x05, 0x00, 0x00, 0x30, 0x00,       /* inc dword [0x300000], which a reset leaves alone */
        0x83, 0x3D, 0x00, 0x00, 0x30, 0x00, 0x03, /* cmp dword [0x300000], 3 */
        0x7D, 0x09,                               /* jge off */
        0x66, 0xBA, 0xF9, 0x0C,                   /* mov dx, 0xcf9 */
        0xB0, 0x06,                               /* mov al, 6 */
        0xEE,                                     /* out dx, al */
        0xEB, 0xFE,                               /* jmp . */
        0x66, 0xBA, 0x04, 0x06,                   /* off: mov dx, PM1a control */
        0x66, 0xB8, 0x00, 0x34,                   /* mov ax, S5 and SLP_EN */
        0x66, 0xEF,                               /* out dx, ax */
        0xEB, 0xFE,                               /* jmp . */
    };

    make_kernel(*state, code, sizeof(code));
    assert_int_equal(run(*state), 0);
}

/* The same, with what the accelerator would have had in the machine. */
static void test_controllers_in_the_machine(void **state)
{
    struct machine_test *test = *state;

    test->config.irqchip = CONFIG_IRQCHIP_SPLIT;
    test_reset_then_power_off(state);
    unlink(test->path);
    test->config.irqchip = CONFIG_IRQCHIP_OFF;
    test_reset_then_power_off(state);
}

/* CPU 1, started twice after power-on and twice after a reset, finds memory types as firmware leaves them. */
static void test_memory_types(void **state)
{
    static const uint8_t code[] = {
        0xBE, 0x8B, 0x00, 0x20, 0x00,                   /* mov esi, other */
        0xBF, 0x00, 0x80, 0x00, 0x00,                   /* mov edi, 0x8000 */
        0xB9, 0x15, 0x00, 0x00, 0x00,                   /* mov ecx, its length */
        0xF3, 0xA4,                                     /* rep movsb */
        0xB3, 0x02,                                     /* mov bl, 2 */
        0x83, 0x25, 0x00, 0x70, 0x00, 0x00, 0x00,       /* again: and dword [0x7000], 0 */
        0xB8, 0x00, 0x03, 0xE0, 0xFE,                   /* mov eax, the interrupt command register */
        0xC7, 0x40, 0x10, 0x00, 0x00, 0x00, 0x01,       /* mov dword [eax + 16], to CPU 1 */
        0xC7, 0x00, 0x00, 0x45, 0x00, 0x00,             /* mov dword [eax], INIT */
        0xC7, 0x00, 0x08, 0x46, 0x00, 0x00,             /* mov dword [eax], start-up at 0x8000 */
        0xF3, 0x90,                                     /* wait: pause */
        0xA1, 0x00, 0x70, 0x00, 0x00,                   /* mov eax, [0x7000] */
        0x85, 0xC0,                                     /* test eax, eax */
        0x79, 0xF5,                                     /* jns wait */
        0x3D, 0x06, 0x08, 0x00, 0x80,                   /* cmp eax, bit 31 and enabled, write-back */
        0x75, 0x1E,                                     /* jne bad */
        0xFE, 0xCB,                                     /* dec bl */
        0x75, 0xCB,                                     /* jnz again */
        0xFF, 0x05, 0x00, 0x00, 0x30, 0x00,             /* inc dword [0x300000], which a reset leaves alone */
        0x83, 0x3D, 0x00, 0x00, 0x30, 0x00, 0x02,       /* cmp dword [0x300000], 2 */
        0xB0, 0x01,                                     /* mov al, 1 */
        0x74, 0x0B,                                     /* je tell */
        0x66, 0xBA, 0xF9, 0x0C, 0xB0, 0x06, 0xEE,       /* out 0xcf9, 6 */
        0xEB, 0xFE,                                     /* jmp . */
        0xB0, 0x02,                                     /* bad: mov al, 2 */
        0x66, 0xBA, 0x01, 0x05, 0xEE,                   /* tell: out 0x501, al */
        0xEB, 0xFE,                                     /* jmp . */
        0x66, 0xB9, 0xFF, 0x02, 0x00, 0x00, 0x0F, 0x32, /* other, 16-bit: mov ecx, IA32_MTRR_DEF_TYPE; rdmsr */
        0x66, 0x0D, 0x00, 0x00, 0x00, 0x80,             /* or eax, bit 31 */
        0x66, 0xA3, 0x00, 0x70,                         /* mov [0x7000], eax */
        0xF4, 0xEB, 0xFE,                               /* hlt; jmp . */
    };
    static const enum config_irqchip irqchips[] = {CONFIG_IRQCHIP_ON, CONFIG_IRQCHIP_OFF};
    struct machine_test *test = *state;

    for (size_t i = 0; i < ARRAY_SIZE(irqchips); i++) {
        test->config.irqchip = irqchips[i];
        make_kernel(test, code, sizeof(code));
        assert_int_equal(run(test), 1 << 1 | 1);
        unlink(test->path);
    }
}

/* A triple fault is a reset; told not to reboot, the machine ends with success. */
static void test_triple_fault_without_reboot(void **state)
{
    static const uint8_t code[] = {0x0F, 0x0B}; /* ud2, with no interrupt table */
    struct machine_test *test = *state;

    test->config.on_reboot = CONFIG_ACTION_EXIT;
    make_kernel(test, code, sizeof(code));
    assert_int_equal(run(test), 0);
}

static void test_bad_device_leaves_nothing(void **state)
{
    static const uint8_t code[] = {0xEB, 0xFE};
    struct machine_test *test = *state;
    struct error *err = NULL;

    make_kernel(test, code, sizeof(code));
    assert_int_equal(options_set(&test->device.options, "iobase", "0x10001"), 0);
    assert_null(machine_create(&test->config, &err));
    assert_non_null(strstr(err->message, "-device isa-debug-exit"));
    error_free(err);
    options_release(&test->device.options);
}

static void add_device(struct config_device *device, const char *type, const char *key, const char *value)
{
    device->type = (char *)type;
    if (key) {
        assert_int_equal(options_set(&device->options, key, value), 0);
    }
}

/* Every kind of backend and of loop is made, used by a device, and taken down again. */
static void test_devices_come_and_go(void **state)
{
    static const uint8_t code[] = {0x66, 0xBA, 0x01, 0x05, 0xB0, 0x00, 0xEE, 0xEB, 0xFE}; /* out 0x501, 0 */
    struct config_object iothread = {.type = (char *)"iothread", .id = (char *)"io0"};
    struct config_node node = {.name = (char *)"disk0"};
    struct config_chardev chardevs[] = {{.id = (char *)"c0", .backend = (char *)"null"},
                                        {.id = (char *)"c1", .backend = (char *)"null"}};
    struct machine_test *test = *state;
    struct config_device devices[8] = {0};

    assert_int_equal(options_set(&node.options, "driver", "null-co"), 0);
    add_device(&devices[0], "virtio-blk-pci", "drive", "disk0");
    assert_int_equal(options_set(&devices[0].options, "iothread", "io0"), 0);
    add_device(&devices[1], "virtio-rng-pci", NULL, NULL);
    add_device(&devices[2], "virtio-serial-pci", NULL, NULL);
    add_device(&devices[3], "virtconsole", "chardev", "c0");
    add_device(&devices[4], "pci-testdev", NULL, NULL);
    add_device(&devices[5], "isa-debug-exit", NULL, NULL);
    add_device(&devices[6], "test-legacy", NULL, NULL);
    add_device(&devices[7], "heddle-teach", NULL, NULL);
    test->config.devices = devices;
    test->config.device_count = ARRAY_SIZE(devices);
    test->config.objects = &iothread;
    test->config.object_count = 1;
    test->config.nodes = &node;
    test->config.node_count = 1;
    test->config.chardevs = chardevs;
    test->config.chardev_count = 2;
    test->config.serials[1] = (char *)"c1";
    make_kernel(test, code, sizeof(code));
    assert_int_equal(run(test), 1);
    for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
        options_release(&devices[i].options);
    }
    options_release(&node.options);
}

/* A port that is on its way out takes no device any more, though its name isn't free yet. */
static void test_no_device_on_a_leaving_port(void **state)
{
    static const uint8_t code[] = {0xEB, 0xFE};
    struct config_device port = {.type = (char *)"pcie-root-port", .id = (char *)"port"};
    struct config_device device = {.type = (char *)"pci-testdev"};
    struct machine_test *test = *state;
    struct machine *machine;

    test->config.devices = &port;
    make_kernel(test, code, sizeof(code));
    machine = machine_create(&test->config, NULL);
    assert_non_null(machine);
    assert_int_equal(options_set(&device.options, "bus", "port"), 0);
    assert_true(device_unplug(machine_device_find(machine, "port")->device));
    assert_non_null(machine_device_find(machine, "port"));
    assert_int_equal(machine_device_add(machine, &device, NULL), -ENOENT);
    machine_destroy(machine);
    options_release(&device.options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_debug_exit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset_then_power_off, setup, teardown),
        cmocka_unit_test_setup_teardown(test_controllers_in_the_machine, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_types, setup, teardown),
        cmocka_unit_test_setup_teardown(test_triple_fault_without_reboot, setup, teardown),
        cmocka_unit_test_setup_teardown(test_devices_come_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_device_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_device_on_a_leaving_port, setup, teardown),
    };
    int failed;

    if (strcmp(accel_name(), "kvm") == 0 && access("/dev/kvm", R_OK | W_OK) != 0) {
        puts("1..0 # SKIP no /dev/kvm");
        return 77;
    }
    hdl_thread_register_main();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return failed;
}
