/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: any bytes as a kernel, which is then loaded as it is; and any bytes as what a sound bzImage carries
 * compressed, after a first byte that chooses the format's magic number. Built with clang's -fsanitize=fuzzer (option
 * `fuzz`), and into the seeded run of the unit tests.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "machine/boot/boot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    LOW_BYTES = 2 << 20,
    CODE_OFFSET = 1024,
    PAYLOAD_OFFSET = 0x280, /* in the code: behind its 64-bit entry */
    PAYLOAD_MAX = 1 << 16,
    MAGIC_BYTES = 6,
};

static void fuzz_load(const uint8_t *kernel, size_t kernel_bytes, enum boot_unpack unpack)
{
    struct boot_ram ram = {.low = malloc(LOW_BYTES), .low_bytes = LOW_BYTES};
    struct boot_request request = {
        .kernel_path = "fuzz", .kernel = kernel, .kernel_bytes = kernel_bytes, .unpack = unpack, .cmdline = "x"};
    struct guest_memory_map map;
    struct boot_entry entry;
    struct error *err = NULL;

    if (!ram.low) {
        abort();
    }
    guest_memory_map_build(&map, LOW_BYTES, 0);
    request.ram = &ram;
    request.map = &map;
    if ((boot_load(&request, &entry, &err) < 0) != (err != NULL)) {
        abort();
    }
    error_free(err);
    free(ram.low);
}

/* A bzImage around a magic number and the bytes. */
static void fuzz_payload(unsigned format, const uint8_t *data, size_t size)
{
    static const uint8_t magics[][MAGIC_BYTES] = {{0x1F, 0x8B, 8, 0, 0, 0},
                                                  {0xFD, '7', 'z', 'X', 'Z', 0},
                                                  {0x5D, 0, 0, 0, 0, 0},
                                                  {0x02, 0x21, 0x4C, 0x18, 0, 0},
                                                  {0x28, 0xB5, 0x2F, 0xFD, 0, 0}};
    static const uint8_t magic_bytes[] = {3, 6, 3, 4, 4};
    size_t magic = magic_bytes[format % 5], payload_bytes = magic + size;
    size_t image_bytes = CODE_OFFSET + PAYLOAD_OFFSET + payload_bytes;
    uint8_t *image;

    if (size > PAYLOAD_MAX) {
        return;
    }
    image = calloc(1, image_bytes);
    if (!image) {
        abort();
    }
    image[0x1F1] = 1; /* sectors of setup code */
    store_le16(image + 0x1FE, 0xAA55);
    image[0x201] = 0x6A; /* the length of the header */
    store_le32(image + 0x202, 0x53726448);
    store_le16(image + 0x206, 0x020F);
    image[0x211] = 1; /* loaded high */
    store_le32(image + 0x22C, 0x7FFFFFFF);
    store_le32(image + 0x230, 0x1000);
    image[0x234] = 1;             /* relocatable */
    store_le16(image + 0x236, 1); /* 64-bit entry */
    store_le32(image + 0x238, 255);
    store_le32(image + 0x248, PAYLOAD_OFFSET);
    store_le32(image + 0x24C, (uint32_t)payload_bytes);
    memcpy(image + CODE_OFFSET + PAYLOAD_OFFSET, magics[format % 5], magic);
    if (size > 0) {
        memcpy(image + CODE_OFFSET + PAYLOAD_OFFSET + magic, data, size);
    }
    /* The unpacked size: one that fits into memory half of the time. */
    store_le32(image + image_bytes - 4, load_le32(image + image_bytes - 4) & (2 * LOW_BYTES - 1));
    fuzz_load(image, image_bytes, format & 0x80 ? BOOT_UNPACK_REQUIRE : BOOT_UNPACK_PREFER);
    free(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Reaches what BOOT_UNPACK_GUEST does, too: most payloads are no good. */
    fuzz_load(data, size, BOOT_UNPACK_PREFER);
    if (size > 0) {
        fuzz_payload(data[0], data + 1, size - 1);
    }
    return 0;
}
