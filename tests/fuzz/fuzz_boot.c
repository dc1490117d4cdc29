/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: any bytes as a kernel. Built with clang's -fsanitize=fuzzer (option `fuzz`). */
#include <stdlib.h>
#include <string.h>

#include "machine/boot/boot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t low_bytes = UINT64_C(2) << 20;
    struct boot_ram ram = {.low = malloc(low_bytes), .low_bytes = low_bytes};
    struct guest_memory_map map;
    struct boot_entry entry;
    struct error *err = NULL;

    if (!ram.low) {
        abort();
    }
    guest_memory_map_build(&map, low_bytes, 0);
    struct boot_request request = {
        .kernel_path = "fuzz", .kernel = data, .kernel_bytes = size, .cmdline = "x", .ram = &ram, .map = &map};
    if ((boot_load(&request, &entry, &err) < 0) != (err != NULL)) {
        abort();
    }
    error_free(err);
    free(ram.low);
    return 0;
}
