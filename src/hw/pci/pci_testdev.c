/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pci-testdev: the device with which flat test kernels measure and check plain, wildcard and data-matched writes, in
 * memory (BAR 0) and ports (BAR 1). The interface is QEMU's docs/specs/pci-testdev.rst:
 *
 *   0  u8   test     written: selects a test and zeroes its count
 *   1  u8   width    of the test's writes, or 0: no such test
 *   4  u32  offset   where to write, in this BAR
 *   8  u32  data     what to write
 *   12 u32  count    how many such writes were seen
 *   16 text name
 *
 * Test 0 is handled here; the writes of tests 1 and 2 signal an eventfd where the accelerator can do that, and are
 * counted by reading it. All under the device lock. A guest can only count.
 */
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "hw/pci/pci.h"
#include "hw/pci/pci_host.h"

#define TESTDEV_TESTS     3
#define TESTDEV_NAME_SIZE 48

enum { TESTDEV_HEADER_SIZE = 16 + TESTDEV_NAME_SIZE, TESTDEV_DATA = 0xfa, TESTDEV_WIDTH = 1 };

struct testdev_bar {
    struct pci_testdev *owner;
    struct region region;
    const char *space;
    unsigned first_write; /* offset of test 0's writes */
    unsigned selected;    /* TESTDEV_TESTS: none */
    uint32_t count;
    int event_fds[TESTDEV_TESTS]; /* -1: test 0, or no eventfd */
};

/* bars: device lock, but for regions and eventfds, which are immutable after realize. */
struct pci_testdev {
    struct pci_device pci;
    struct testdev_bar bars[2];
};

static const char *const testdev_names[TESTDEV_TESTS] = {"no-eventfd", "wildcard-eventfd", "datamatch-eventfd"};

static void testdev_drain(const struct testdev_bar *bar, unsigned test, uint32_t *count)
{
    uint64_t signals = 0;

    if (bar->event_fds[test] >= 0 && read(bar->event_fds[test], &signals, sizeof(signals)) == sizeof(signals)) {
        *count += (uint32_t)signals;
    }
}

static void testdev_put32(uint8_t *bytes, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
}

static void testdev_header_fill(struct testdev_bar *bar, uint8_t header[TESTDEV_HEADER_SIZE])
{
    unsigned test = bar->selected;

    memset(header, 0, TESTDEV_HEADER_SIZE);
    if (test >= TESTDEV_TESTS) {
        return;
    }
    testdev_drain(bar, test, &bar->count);
    header[1] = TESTDEV_WIDTH;
    testdev_put32(&header[4], bar->first_write + test);
    testdev_put32(&header[8], TESTDEV_DATA);
    testdev_put32(&header[12], bar->count);
    snprintf((char *)&header[16], TESTDEV_NAME_SIZE, "%s:%s", bar->space, testdev_names[test]);
}

static enum access_result testdev_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    uint8_t header[TESTDEV_HEADER_SIZE];

    testdev_header_fill(opaque, header);
    *value = 0;
    for (unsigned i = 0; i < size_bytes && offset + i < sizeof(header); i++) {
        *value |= (uint64_t)header[offset + i] << (8 * i);
    }
    return ACCESS_OK;
}

static enum access_result testdev_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct testdev_bar *bar = opaque;
    uint64_t test = offset - bar->first_write;
    uint32_t old = 0;

    if (offset == 0 && size_bytes == 1) {
        bar->selected = value < TESTDEV_TESTS ? (unsigned)value : TESTDEV_TESTS;
        if (bar->selected < TESTDEV_TESTS) {
            testdev_drain(bar, bar->selected, &old);
        }
        bar->count = 0;
    } else if (test < TESTDEV_TESTS && test == bar->selected && size_bytes == TESTDEV_WIDTH &&
               (test < 2 || value == TESTDEV_DATA)) {
        bar->count++;
    }
    return ACCESS_OK;
}

static const struct region_ops testdev_ops = {
    .read = testdev_read,
    .write = testdev_write,
    .valid = {.min = 1, .max = 4, .unaligned = true},
    .impl = {.min = 1, .max = 4},
};

static void testdev_bar_connect(struct testdev_bar *bar, struct memory_map *map)
{
    for (unsigned test = 1; test < TESTDEV_TESTS; test++) {
        bar->event_fds[test] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (bar->event_fds[test] >= 0) {
            region_add_ioeventfd(map, &bar->region, bar->first_write + test, TESTDEV_WIDTH, test == 2, TESTDEV_DATA,
                                 bar->event_fds[test]);
        }
    }
}

static void testdev_bar_disconnect(struct testdev_bar *bar, struct memory_map *map)
{
    for (unsigned test = 1; test < TESTDEV_TESTS; test++) {
        if (bar->event_fds[test] >= 0) {
            region_remove_ioeventfd(map, &bar->region, bar->first_write + test, TESTDEV_WIDTH, test == 2, TESTDEV_DATA,
                                    bar->event_fds[test]);
            close(bar->event_fds[test]);
            bar->event_fds[test] = -1;
        }
    }
}

static void testdev_bar_init(struct pci_testdev *testdev, unsigned index, const char *space, uint64_t size_bytes)
{
    struct testdev_bar *bar = &testdev->bars[index];

    *bar = (struct testdev_bar){
        .owner = testdev,
        .space = space,
        .first_write = (unsigned)size_bytes / 2,
        .selected = TESTDEV_TESTS,
        .event_fds = {-1, -1, -1},
    };
    region_init_io(&bar->region, space, &testdev->pci.device, &testdev_ops, bar, size_bytes, 0, NULL);
    pci_bar_register(&testdev->pci, index, index == 0 ? PCI_BAR_MEM32 : PCI_BAR_IO, false, &bar->region);
    testdev_bar_connect(bar, testdev->pci.bus->map);
}

static int testdev_realize(struct device *device, struct error **err)
{
    static const struct pci_identity identity = {
        .vendor = 0x1b36,
        .device = 0x0005,
        .subsystem_vendor = 0x1af4,
        .subsystem = 0x1100,
        .class_code = 0xff0000,
    };
    struct pci_testdev *testdev = (struct pci_testdev *)device;
    int ret = pci_device_init(&testdev->pci, &identity, err);

    if (ret == 0) {
        testdev_bar_init(testdev, 0, "pci-mem", 4096);
        testdev_bar_init(testdev, 1, "pci-io", 256);
        pci_device_expose(&testdev->pci);
    }
    return ret;
}

static void testdev_reset(struct device *device)
{
    struct pci_testdev *testdev = (struct pci_testdev *)device;

    device_assert_locked(device);
    for (unsigned i = 0; i < ARRAY_SIZE(testdev->bars); i++) {
        testdev->bars[i].selected = TESTDEV_TESTS;
        testdev->bars[i].count = 0;
    }
    pci_device_reset(&testdev->pci);
}

static void testdev_quiesce(struct device *device)
{
    struct pci_testdev *testdev = (struct pci_testdev *)device;

    pci_device_hide(&testdev->pci);
    for (unsigned i = 0; i < ARRAY_SIZE(testdev->bars); i++) {
        testdev_bar_disconnect(&testdev->bars[i], testdev->pci.bus->map);
    }
    device_quiesced(device);
}

static void testdev_destroy(struct device *device)
{
    struct pci_testdev *testdev = (struct pci_testdev *)device;

    pci_device_release(&testdev->pci);
}

static const struct property testdev_properties[] = {PCI_DEVICE_PROPERTIES(struct pci_testdev, pci), {0}};

const struct device_type pci_testdev_type = {
    .name = "pci-testdev",
    .description = "PCI Test Device",
    .category = "Misc",
    .bus = "PCI",
    .size_bytes = sizeof(struct pci_testdev),
    .properties = testdev_properties,
    .user_creatable = true,
    .realize = testdev_realize,
    .reset = testdev_reset,
    .quiesce = testdev_quiesce,
    .destroy = testdev_destroy,
};
