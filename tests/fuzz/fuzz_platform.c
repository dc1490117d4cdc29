/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: any bytes as what a hostile guest does to the platform's devices. Each step is a few bytes: an access of
 * any size to a port or register near one that exists, time going by, or keys being typed. The board is built once and
 * every device is reset between inputs. Built with clang's -fsanitize=fuzzer (option `fuzz`).
 */
#include "../device/rig.h"

#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "hw/char/debugcon.h"
#include "hw/char/serial.h"
#include "hw/misc/fw_cfg.h"
#include "hw/misc/i8042.h"
#include "hw/misc/pc_testdev.h"
#include "hw/timer/hpet.h"
#include "hw/timer/pmtimer.h"
#include "hw/timer/rtc.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct device_type *const types[] = {
    &serial_device_type,     &debugcon_device_type, &fw_cfg_device_type,  &i8042_device_type,
    &pc_testdev_device_type, &hpet_device_type,     &pmtimer_device_type, &rtc_device_type,
};

static const uint64_t places[] = {
    0x3f8, 0xe9, 0x510, 0x514, 0x60, 0x64, 0x92, 0xe0, 0x70, HPET_BASE, 0xff000000, 8, HPET_BASE + 0x100};

static struct rig *rig;
static struct device *devices[ARRAY_SIZE(types)];
static struct chardev *chardev;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    void *state;

    hdl_thread_register_main();
    rig_setup(&state);
    rig = state;
    chardev = rig_ringbuf(rig, "c0");
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        devices[i] = rig_create(rig, types[i]);
    }
    ((struct serial *)devices[0])->chardev = chardev;
    ((struct pmtimer *)devices[6])->port = 8;
    ((struct rtc *)devices[7])->start_seconds = 1150560081;
    property_set(devices[5], hpet_device_type.properties, "msi", "on", NULL);
    fw_cfg_add_file((struct fw_cfg *)devices[2], "etc/e820", "0123456789", 10, true, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        rig_realize(devices[i]);
    }
    return 0;
}

/* Step: what, where, offset, then up to 8 bytes of value; returns how many bytes it took. */
static size_t step(const uint8_t *data, size_t size)
{
    unsigned what = data[0] & 7;
    unsigned len = 1u << (data[0] >> 3 & 3);
    uint64_t address = places[data[1] % ARRAY_SIZE(places)] + data[2];
    uint64_t value = 0;
    size_t took = MIN(size - 3, (size_t)len);

    memcpy(&value, data + 3, took);
    switch (what) {
    case 0:
    case 1:
        rig_out(rig, (uint16_t)address, len, value);
        break;
    case 2:
        rig_in(rig, (uint16_t)address, len);
        return 3;
    case 3:
        rig_mmio_write(rig, address, len, value);
        break;
    case 4:
        rig_mmio_read(rig, address, len);
        return 3;
    case 5:
        rig_advance_ns(rig, value & 0xffffffff);
        break;
    case 6:
        chardev_ringbuf_put(chardev, data + 3, took);
        break;
    default:
        dma_write(&rig->mem, address & 0xffff, data + 3, took);
        break;
    }
    return 3 + took;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t done = 0;

    while (size - done > 3) {
        done += step(data + done, size - done);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(devices); i++) {
        device_reset(devices[i]);
    }
    rig_settle(rig);
    return 0;
}
