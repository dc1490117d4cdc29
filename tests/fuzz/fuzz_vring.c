/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: a driver that does anything to a virtqueue. The input is a program for it: bytes into ring memory,
 * descriptors that are nearly right, notifications, completions, resets, register accesses.
 *
 * What is checked, besides what sanitizers see: an element is what its iovecs say and lies in RAM; every element that
 * was popped is completed; and after all of it, a reset brings back a device that works.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/thread.h"
#include "virtio_driver.h"
#include "virtio_echo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_QUEUE_SIZE 16
#define FUZZ_ARENA      UINT64_C(0x10000) /* where the driver allocates rings; wide enough for tables */
#define FUZZ_TABLE      UINT64_C(0x10800)
#define FUZZ_BUFFER     UINT64_C(0x8000)

struct fuzz {
    struct pci_machine machine;
    struct virtio_echo *echo;
    struct virtio_driver driver;
    struct driver_queue *queue;
    const uint8_t *data;
    size_t left;
};

static void fuzz_check(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "fuzz_vring: %s\n", what);
        abort();
    }
}

static uint64_t fuzz_take(struct fuzz *fuzz, unsigned len_bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < len_bytes && fuzz->left > 0; i++, fuzz->left--) {
        value |= (uint64_t)*fuzz->data++ << (8 * i);
    }
    return value;
}

static uint64_t fuzz_gpa(struct fuzz *fuzz)
{
    static const uint64_t places[] = {
        FUZZ_BUFFER,       FUZZ_TABLE, FUZZ_ARENA,       MACHINE_RAM_BYTES - 4, MACHINE_RAM_BYTES,
        MACHINE_PCI_FIRST, UINT64_MAX, MACHINE_HIGH_RAM, MACHINE_ECAM,          0,
    };
    unsigned choice = (unsigned)fuzz_take(fuzz, 1);

    return choice < 0xf0 ? places[choice % ARRAY_SIZE(places)] + 16 * fuzz_take(fuzz, 1) : fuzz_take(fuzz, 8);
}

static uint32_t fuzz_len(struct fuzz *fuzz)
{
    unsigned choice = (unsigned)fuzz_take(fuzz, 1);

    return choice < 0xc0 ? choice : choice < 0xe0 ? 16 * (choice - 0xbf) : (uint32_t)fuzz_take(fuzz, 4);
}

/* The element is consistent, and every byte of it is RAM of the guest's. */
static void fuzz_check_element(const struct fuzz *fuzz, const struct virtqueue_element *element)
{
    uint64_t sums[2] = {0, 0};

    fuzz_check(element->out_count + element->in_count <= VIRTQUEUE_SEGMENTS_MAX, "too many segments");
    fuzz_check(element->out_count + element->in_count > 0, "an empty element");
    for (unsigned i = 0; i < element->out_count + element->in_count; i++) {
        const struct iovec *iov = i < element->out_count ? &element->out[i] : &element->in[i - element->out_count];
        uint64_t low = (uint64_t)((uint8_t *)iov->iov_base - fuzz->machine.ram->host);
        uint64_t high = (uint64_t)((uint8_t *)iov->iov_base - fuzz->machine.high->host);

        fuzz_check(iov->iov_len > 0, "an empty segment");
        fuzz_check((low < MACHINE_RAM_BYTES && iov->iov_len <= MACHINE_RAM_BYTES - low) ||
                       (high < MACHINE_HIGH_BYTES && iov->iov_len <= MACHINE_HIGH_BYTES - high),
                   "a segment outside RAM");
        sums[i >= element->out_count] += iov->iov_len;
    }
    fuzz_check(sums[0] == element->out_bytes && sums[1] == element->in_bytes, "lengths don't add up");
}

static void fuzz_check_held(const struct fuzz *fuzz)
{
    for (unsigned i = 0; i < fuzz->echo->held_count; i++) {
        fuzz_check_element(fuzz, fuzz->echo->held[i]);
    }
    fuzz_check(fuzz->echo->held_count == fuzz->echo->proxy.virtio.in_flight, "elements in flight are miscounted");
}

static void fuzz_release(struct fuzz *fuzz, bool backwards)
{
    fuzz_check_held(fuzz);
    device_lock(&fuzz->echo->proxy.pci.device);
    virtio_echo_release(fuzz->echo, backwards);
    device_unlock(&fuzz->echo->proxy.pci.device);
}

/* From whatever state to a running device with fresh rings. */
static void fuzz_start(struct fuzz *fuzz, uint64_t features)
{
    fuzz->machine.next_gpa = FUZZ_ARENA;
    machine_config_write(&fuzz->machine, fuzz->driver.devfn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    virtio_driver_reset(&fuzz->driver);
    fuzz_release(fuzz, false);
    fuzz_check(virtio_driver_status(&fuzz->driver) == 0, "a reset doesn't end");
    fuzz_check(fuzz->echo->proxy.virtio.in_flight == 0, "an element is lost");
    virtio_driver_start(&fuzz->driver, features, 1, FUZZ_QUEUE_SIZE);
    fuzz->queue = &fuzz->driver.queues[0];
}

static void fuzz_desc(struct fuzz *fuzz)
{
    unsigned index = (unsigned)fuzz_take(fuzz, 1) % FUZZ_QUEUE_SIZE;
    uint64_t gpa = fuzz_gpa(fuzz);
    uint32_t len_bytes = fuzz_len(fuzz);
    unsigned flags = (unsigned)fuzz_take(fuzz, 1);

    /* Packed: bits 3 and 4 stand for AVAIL and USED. */
    flags = (flags & 7) | (flags & 8) << 4 | (flags & 16) << 11;
    driver_desc_set(fuzz->queue, index, gpa, len_bytes, (uint16_t)flags,
                    (uint16_t)(fuzz_take(fuzz, 1) % (FUZZ_QUEUE_SIZE + 1)));
}

static void fuzz_table_desc(struct fuzz *fuzz)
{
    unsigned index = (unsigned)fuzz_take(fuzz, 1);
    struct vring_desc *table = machine_host(&fuzz->machine, FUZZ_TABLE);

    table[index].address = fuzz_gpa(fuzz);
    table[index].len_bytes = fuzz_len(fuzz);
    table[index].flags = (uint16_t)(fuzz_take(fuzz, 1) & 7);
    table[index].next = (uint16_t)fuzz_take(fuzz, 1);
}

static void fuzz_bytes(struct fuzz *fuzz)
{
    uint64_t offset = fuzz_take(fuzz, 2) % 0x1000;
    unsigned count = 1 + (unsigned)fuzz_take(fuzz, 1) % 32;
    uint8_t *host = machine_host(&fuzz->machine, FUZZ_ARENA + offset);

    for (unsigned i = 0; i < count; i++) {
        host[i] = (uint8_t)fuzz_take(fuzz, 1);
    }
}

static void fuzz_register(struct fuzz *fuzz)
{
    uint64_t gpa = fuzz->driver.common + fuzz_take(fuzz, 2) % 0x4000;
    unsigned size = 1u << (fuzz_take(fuzz, 1) & 3);

    machine_write(&fuzz->machine, gpa, size, fuzz_take(fuzz, size));
    (void)machine_read(&fuzz->machine, gpa, size);
}

static void fuzz_good_chain(struct fuzz *fuzz)
{
    struct driver_buffer pair[2] = {{FUZZ_BUFFER, 1 + (uint32_t)fuzz_take(fuzz, 1), false},
                                    {FUZZ_BUFFER + 512, 1 + (uint32_t)fuzz_take(fuzz, 1), true}};

    (void)driver_queue_add(fuzz->queue, pair, 2, false);
}

static void fuzz_step(struct fuzz *fuzz, uint64_t features)
{
    unsigned op = (unsigned)fuzz_take(fuzz, 1);

    switch (op % 12) {
    case 0:
        fuzz_bytes(fuzz);
        break;
    case 1:
    case 2:
        fuzz_desc(fuzz);
        break;
    case 3:
        fuzz_table_desc(fuzz);
        break;
    case 4:
        if (!fuzz->queue->packed) {
            driver_avail_raw(fuzz->queue, (uint16_t)(fuzz_take(fuzz, 1) % (FUZZ_QUEUE_SIZE + 1)));
        }
        break;
    case 5:
    case 6:
        machine_write(&fuzz->machine, fuzz->queue->notify_gpa, 2, 0);
        fuzz_check_held(fuzz);
        break;
    case 7:
        fuzz_release(fuzz, op & 0x80);
        break;
    case 8:
        fuzz_register(fuzz);
        break;
    case 9:
        fuzz_good_chain(fuzz);
        break;
    case 10:
        fuzz->echo->hold = op & 0x80;
        break;
    default:
        fuzz_start(fuzz, features);
        break;
    }
}

static void fuzz_expect_works(struct fuzz *fuzz, uint64_t features)
{
    struct driver_buffer pair[2] = {{FUZZ_BUFFER, 32, false}, {FUZZ_BUFFER + 512, 32, true}};
    uint32_t len_bytes;
    uint16_t id;

    fuzz->echo->hold = false;
    fuzz_start(fuzz, features);
    fuzz_check(driver_queue_add(fuzz->queue, pair, 2, false) >= 0, "no room in a new ring");
    (void)driver_queue_kick(fuzz->queue, false);
    fuzz_check(driver_queue_get(fuzz->queue, &id, &len_bytes) && len_bytes == 32, "no answer after a reset");
}

static struct fuzz *fuzz_create(void)
{
    struct fuzz *fuzz = calloc(1, sizeof(*fuzz));

    hdl_thread_register_main();
    pci_machine_init(&fuzz->machine, false);
    fuzz->echo = (struct virtio_echo *)pci_machine_add(&fuzz->machine, &virtio_echo_type, NULL);
    pci_machine_assign(&fuzz->machine);
    virtio_driver_open(&fuzz->driver, &fuzz->machine, fuzz->echo->proxy.pci.devfn);
    return fuzz;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz *fuzz; /* one machine for all inputs: each begins with a reset */
    uint64_t features;

    if (!fuzz) {
        fuzz = fuzz_create();
    }
    fuzz->data = data;
    fuzz->left = size;
    features = fuzz_take(fuzz, 1);
    features = (features & 1 ? VIRTIO_F_RING_PACKED : 0) | (features & 2 ? VIRTIO_F_EVENT_IDX : 0) |
               (features & 4 ? 0 : VIRTIO_F_INDIRECT_DESC);
    fuzz->echo->hold = true;
    fuzz_start(fuzz, features);
    while (fuzz->left > 0) {
        fuzz_step(fuzz, features);
    }
    fuzz_expect_works(fuzz, features);
    return 0;
}
