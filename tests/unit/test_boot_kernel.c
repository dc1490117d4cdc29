/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_boot_kernel NAME: unpacks one of Debian's kernels that scripts/guest-assets puts into build/guest (or
 * $HEDDLE_GUEST_DIR), and loads it by PVH. Prints sizes and times, which it doesn't judge. Skipped if it isn't there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/bytes.h"
#include "machine/boot/boot.h"
#include "machine/boot/payload.h"
#include "machine/boot/pvh.h"

enum { SKIPPED = 77, RAM_BYTES = 256 << 20 };

static double seconds_since(const struct timespec *start)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

/* The status to end with, and why. */
static int conclude(int status, struct error *err)
{
    printf("%s\n", err->message);
    error_free(err);
    return status;
}

static int unpack(const struct boot_request *request)
{
    const uint8_t *image = request->kernel;
    const uint8_t *payload = image + (image[0x1F1] + 1) * 512 + load_le32(image + 0x248);
    uint64_t payload_bytes = load_le32(image + 0x24C), kernel_bytes = 0;
    uint8_t *kernel HDL_AUTO_FREE = NULL;
    struct error *err = NULL;
    struct timespec start;

    clock_gettime(CLOCK_MONOTONIC, &start);
    if (payload_unpack(request, payload, payload_bytes, &kernel, &kernel_bytes, &err) < 0) {
        return conclude(EXIT_FAILURE, err);
    }
    printf("%s: %" PRIu64 " bytes (magic %02x %02x %02x %02x) unpacked to %" PRIu64 " in %.3f s\n",
           request->kernel_path, payload_bytes, payload[0], payload[1], payload[2], payload[3], kernel_bytes,
           seconds_since(&start));
    if (pvh_loader.probe(kernel, kernel_bytes) != BOOT_MINE) {
        printf("it has no PVH entry point\n");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

static int load(const struct boot_request *request)
{
    struct boot_entry entry;
    struct error *err = NULL;
    struct timespec start;

    clock_gettime(CLOCK_MONOTONIC, &start);
    if (boot_load(request, &entry, &err) < 0) {
        return conclude(EXIT_FAILURE, err);
    }
    printf("%s: unpacked and loaded in %.3f s, entry at 0x%" PRIx64 "\n", request->kernel_path, seconds_since(&start),
           entry.rip);
    return entry.mode == BOOT_PROTECTED ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    const char *folder = getenv("HEDDLE_GUEST_DIR");
    uint8_t *image HDL_AUTO_FREE = NULL, *low HDL_AUTO_FREE = malloc(RAM_BYTES);
    struct boot_ram ram = {.low = low, .low_bytes = RAM_BYTES};
    struct boot_request request = {.cmdline = "", .ram = &ram, .unpack = BOOT_UNPACK_REQUIRE};
    struct guest_memory_map map;
    struct error *err = NULL;
    struct boot_file file;
    char path[4096];
    int status;

    if (argc != 2) {
        fprintf(stderr, "usage: test_boot_kernel cloud|amd64\n");
        return EXIT_FAILURE;
    }
    snprintf(path, sizeof(path), "%s/kernel-%s/vmlinuz", folder ? folder : GUEST_DIR, argv[1]);
    if (boot_file_open(&file, "-kernel", path, &err) < 0) {
        return conclude(SKIPPED, err);
    }
    image = malloc(file.size_bytes);
    if (!image || !low || boot_file_read(&file, 0, image, file.size_bytes, &err) < 0) {
        boot_file_close(&file);
        return EXIT_FAILURE;
    }
    guest_memory_map_build(&map, RAM_BYTES, 0);
    request.kernel_path = argv[1];
    request.kernel = image;
    request.kernel_bytes = file.size_bytes;
    request.map = &map;
    status = unpack(&request);
    if (status == EXIT_SUCCESS) {
        status = load(&request);
    }
    boot_file_close(&file);
    return status;
}
