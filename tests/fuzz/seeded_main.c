/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a fuzz target without libFuzzer: on the files named, or on `-n COUNT` inputs made from a fixed seed, so that
 * the ordinary test run covers the target too, the same way each time.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t seeded_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void seeded_run(unsigned long count)
{
    uint64_t state = UINT64_C(0x9e3779b97f4a7c15);
    uint8_t input[1024];

    for (unsigned long i = 0; i < count; i++) {
        size_t size = seeded_next(&state) % sizeof(input);

        for (size_t j = 0; j < size; j++) {
            input[j] = (uint8_t)(seeded_next(&state) >> 32);
        }
        LLVMFuzzerTestOneInput(input, size);
    }
}

static int seeded_file(const char *path)
{
    static uint8_t input[1 << 20];
    FILE *file = fopen(path, "rb");
    size_t size;

    if (!file) {
        perror(path);
        return 1;
    }
    size = fread(input, 1, sizeof(input), file);
    fclose(file);
    LLVMFuzzerTestOneInput(input, size);
    return 0;
}

int main(int argc, char **argv)
{
    int failures = 0;

    if (argc == 3 && strcmp(argv[1], "-n") == 0) {
        seeded_run(strtoul(argv[2], NULL, 10));
        return 0;
    }
    for (int i = 1; i < argc; i++) {
        failures += seeded_file(argv[i]);
    }
    return failures != 0;
}
