/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compressed kernels in bzImages: every format around a small kernel, packed here with the same libraries; payloads
 * that lie, are cut off or damaged. Real kernels are test_boot_kernel.c's.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "base/bytes.h"
#include "boot_fixture.h"
#include "machine/boot/payload.h"
#include "machine/pc_layout.h"

enum {
    PAYLOAD_OFFSET = 0x300, /* in the bzImage's code, which begins at CODE_OFFSET */
    CODE_OFFSET = 1024,
    CODE_BYTES = 0x1000,
    PACKED_MAX = CODE_BYTES - PAYLOAD_OFFSET,
    DICTIONARY_BYTES = 64 << 10, /* small, as it is allocated thousands of times */
};

/* Makes *out_bytes of `out` from `in`, without the unpacked size at the end. */
typedef void pack_fn(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t *out_bytes);

static void pack_gzip(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t *out_bytes)
{
    z_stream stream = {.next_in = (uint8_t *)in, .avail_in = in_bytes, .next_out = out, .avail_out = *out_bytes};

    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    *out_bytes = stream.total_out;
    deflateEnd(&stream);
}

/* As Linux's build does it: the filter for x86 code, and a CRC32. */
static void pack_xz(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t *out_bytes)
{
    lzma_options_lzma options;
    lzma_filter filters[] = {{LZMA_FILTER_X86, NULL}, {LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, NULL}};
    size_t at = 0;

    assert_false(lzma_lzma_preset(&options, 6));
    options.dict_size = DICTIONARY_BYTES;
    assert_int_equal(lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, NULL, in, in_bytes, out, &at, *out_bytes),
                     LZMA_OK);
    *out_bytes = at;
}

static void pack_lzma(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t *out_bytes)
{
    lzma_stream stream = LZMA_STREAM_INIT;
    lzma_options_lzma options;

    assert_false(lzma_lzma_preset(&options, 9));
    options.dict_size = DICTIONARY_BYTES;
    assert_int_equal(lzma_alone_encoder(&stream, &options), LZMA_OK);
    stream.next_in = in;
    stream.avail_in = in_bytes;
    stream.next_out = out;
    stream.avail_out = *out_bytes;
    assert_int_equal(lzma_code(&stream, LZMA_FINISH), LZMA_STREAM_END);
    *out_bytes = stream.total_out;
    lzma_end(&stream);
}

/* Two blocks, and the magic number again between them, as joined frames have it. */
static void pack_lz4(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t *out_bytes)
{
    size_t half = in_bytes / 2, at = 0;

    for (int i = 0; i < 2; i++) {
        int room = (int)(*out_bytes - at - 8), packed;

        store_le32(out + at, 0x184C2102);
        packed = LZ4_compress_default((const char *)in + (i ? half : 0), (char *)out + at + 8,
                                      (int)(i ? in_bytes - half : half), room);
        assert_true(packed > 0);
        store_le32(out + at + 4, (uint32_t)packed);
        at += 8 + (size_t)packed;
    }
    *out_bytes = at;
}

static void pack_zstd(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t *out_bytes)
{
    size_t packed = ZSTD_compress(out, *out_bytes, in, in_bytes, 19);

    assert_false(ZSTD_isError(packed));
    *out_bytes = packed;
}

static const struct {
    const char *name;
    pack_fn *pack;
    bool has_checksum, ends_in_size;
} formats[] = {
    {"gzip", pack_gzip, true, true}, {"xz", pack_xz, true, false},      {"lzma", pack_lzma, false, false},
    {"lz4", pack_lz4, false, false}, {"zstd", pack_zstd, false, false},
};

/* One test's own. */
struct payload_test {
    struct boot_fixture fixture;
    uint8_t kernel[0x8000]; /* what is packed: an ELF with PVH entry */
    size_t kernel_bytes;
    uint8_t packed[PACKED_MAX]; /* with its size at the end */
    size_t packed_bytes;
};

static int setup(void **state)
{
    struct payload_test *test = calloc(1, sizeof(*test));

    boot_fixture_init(&test->fixture);
    test->kernel_bytes = boot_fixture_make_pvh(&test->fixture);
    memcpy(test->kernel, test->fixture.image, test->kernel_bytes);
    *state = test;
    return 0;
}

static int teardown(void **state)
{
    struct payload_test *test = *state;

    boot_fixture_destroy(&test->fixture);
    free(test);
    return 0;
}

static void pack(struct payload_test *test, unsigned format)
{
    size_t packed_bytes = PACKED_MAX - 4;

    formats[format].pack(test->kernel, test->kernel_bytes, test->packed, &packed_bytes);
    if (!formats[format].ends_in_size) {
        store_le32(test->packed + packed_bytes, (uint32_t)test->kernel_bytes);
        packed_bytes += 4;
    }
    test->packed_bytes = packed_bytes;
}

/* The fixture's kernel becomes a bzImage around what is packed. */
static void wrap(struct payload_test *test)
{
    uint8_t *image = test->fixture.image;

    test->fixture.request.kernel_bytes = boot_fixture_make_bzimage(&test->fixture);
    memcpy(image + CODE_OFFSET + PAYLOAD_OFFSET, test->packed, test->packed_bytes);
    store_le32(image + 0x248, PAYLOAD_OFFSET);
    store_le32(image + 0x24C, (uint32_t)test->packed_bytes);
}

static int load(struct payload_test *test, enum boot_unpack how, char *message)
{
    test->fixture.request.unpack = how;
    return boot_fixture_load(&test->fixture, message);
}

/* Unpacks a heap copy of exactly that length. */
static int unpack(struct payload_test *test, const uint8_t *packed, size_t packed_bytes, char *message)
{
    uint8_t *exact = malloc(packed_bytes ? packed_bytes : 1), *unpacked = NULL;
    uint64_t unpacked_bytes = 0;
    struct error *err = NULL;
    int ret;

    memcpy(exact, packed, packed_bytes);
    ret = payload_unpack(&test->fixture.request, exact, packed_bytes, &unpacked, &unpacked_bytes, &err);
    assert_true((ret < 0) == (err != NULL));
    assert_true((ret < 0) == (unpacked == NULL));
    if (err) {
        assert_non_null(strstr(err->message, "-kernel 'kernel': "));
        assert_null(strchr(err->message, '\n'));
    }
    if (message) {
        snprintf(message, 256, "%s", err ? err->message : "");
    }
    if (ret == 0) {
        assert_int_equal(unpacked_bytes, load_le32(packed + packed_bytes - 4));
        ret = unpacked_bytes == test->kernel_bytes && memcmp(unpacked, test->kernel, unpacked_bytes) == 0 ? 0 : 1;
    }
    error_free(err);
    free(unpacked);
    free(exact);
    return ret;
}

static void every_format_is_unpacked(void **state)
{
    struct payload_test *test = *state;

    for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
        pack(test, i);
        assert_int_equal(unpack(test, test->packed, test->packed_bytes, NULL), 0);
    }
}

static void an_unpacked_kernel_is_entered_by_pvh(void **state)
{
    struct payload_test *test = *state;
    struct boot_fixture *fixture = &test->fixture;

    fixture->request.cmdline = "console=ttyS0";
    for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
        pack(test, i);
        wrap(test);
        memset(fixture->ram.low, 0xCC, BOOT_FIXTURE_RAM_BYTES);
        assert_int_equal(load(test, i % 2 ? BOOT_UNPACK_PREFER : BOOT_UNPACK_REQUIRE, NULL), 0);
        assert_int_equal(fixture->entry.mode, BOOT_PROTECTED);
        assert_int_equal(fixture->entry.rip, 0x1000100);
        assert_int_equal(fixture->entry.rbx, PC_BOOT_INFO);
        assert_memory_equal(fixture->ram.low + 0x1000000, test->kernel + 0x1000, 0x1000);
        assert_int_equal(fixture->ram.low[0x1002FFF], 0);
        assert_int_equal(fixture->ram.low[0x1003000], 0xCC);
        assert_string_equal((char *)fixture->ram.low + PC_BOOT_CMDLINE, "console=ttyS0");
    }
}

static void the_guest_unpacks_unless_asked_otherwise(void **state)
{
    struct payload_test *test = *state;

    pack(test, 0);
    wrap(test);
    assert_int_equal(load(test, BOOT_UNPACK_GUEST, NULL), 0);
    assert_int_equal(test->fixture.entry.mode, BOOT_LONG);
}

/* The guest does it where that is preferred, and nobody where heddle has to. */
static void assert_guest_unpacks(struct payload_test *test, int code, const char *why)
{
    char message[256];

    assert_int_equal(load(test, BOOT_UNPACK_REQUIRE, message), code);
    assert_non_null(strstr(message, why));
    assert_non_null(strstr(message, "-kernel 'kernel': "));
    assert_int_equal(load(test, BOOT_UNPACK_PREFER, NULL), 0);
    assert_int_equal(test->fixture.entry.mode, BOOT_LONG);
}

static void what_is_not_supported_is_left_to_the_guest(void **state)
{
    struct payload_test *test = *state;

    test->packed_bytes = 64;
    memcpy(test->packed, "BZh91AY&SY", 10);
    wrap(test);
    assert_guest_unpacks(test, -ENOTSUP, "bzip2");
    memcpy(test->packed, "\x89LZO\0\r\n\x1A\n", 9);
    wrap(test);
    assert_guest_unpacks(test, -ENOTSUP, "lzo");
    memset(test->packed, 'x', 64);
    wrap(test);
    assert_guest_unpacks(test, -ENOTSUP, "something unknown");
    test->packed_bytes = 0; /* as programs have it that only look like Linux */
    wrap(test);
    assert_guest_unpacks(test, -ENOTSUP, "no compressed kernel");
}

static void a_kernel_without_pvh_is_left_to_the_guest(void **state)
{
    struct payload_test *test = *state;

    test->kernel[0x220] = 'x'; /* the note's owner */
    pack(test, 1);
    wrap(test);
    assert_guest_unpacks(test, -ENOTSUP, "no PVH entry");
    memset(test->kernel, 0x90, test->kernel_bytes); /* not even an ELF */
    pack(test, 1);
    wrap(test);
    assert_guest_unpacks(test, -ENOTSUP, "no PVH entry");
}

static void little_memory_is_left_to_the_guest(void **state)
{
    struct payload_test *test = *state;

    /* The bzImage may move below 16 MiB; the kernel in it may not. */
    test->fixture.ram.low_bytes = 8 << 20;
    pack(test, 1);
    wrap(test);
    assert_guest_unpacks(test, -ENOSPC, "(-m)");
}

static void long_command_line_is_refused(void **state)
{
    struct payload_test *test = *state;
    char line[2049], message[256];

    memset(line, 'x', sizeof(line));
    line[2048] = 0;
    test->fixture.request.cmdline = line;
    pack(test, 4);
    wrap(test);
    assert_int_equal(load(test, BOOT_UNPACK_PREFER, message), -E2BIG);
    assert_non_null(strstr(message, "-append"));
    line[2047] = 0;
    assert_int_equal(load(test, BOOT_UNPACK_PREFER, NULL), 0);
    assert_int_equal(test->fixture.entry.mode, BOOT_PROTECTED);
}

static void payloads_beyond_the_file_are_refused(void **state)
{
    static const uint32_t places[][2] = {{CODE_BYTES + 1, 1},      {CODE_BYTES, 1}, {PAYLOAD_OFFSET, CODE_BYTES},
                                         {0xFFFFFFFF, 0xFFFFFFFF}, {0, 0xFFFFFFFF}, {0xFFFFFF00, 0x400},
                                         {1, CODE_BYTES}};
    struct payload_test *test = *state;
    char message[256];

    pack(test, 0);
    wrap(test);
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        store_le32(test->fixture.image + 0x248, places[i][0]);
        store_le32(test->fixture.image + 0x24C, places[i][1]);
        assert_int_equal(load(test, BOOT_UNPACK_PREFER, message), -ENOEXEC);
        assert_non_null(strstr(message, "beyond the end of the file"));
    }
}

static void truncated_payloads_are_refused(void **state)
{
    struct payload_test *test = *state;

    for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
        pack(test, i);
        for (size_t len = 0; len < test->packed_bytes; len++) {
            /* The stream with the right size behind it, then simply cut off. */
            uint8_t cut[PACKED_MAX + 4];
            int ret;

            memcpy(cut, test->packed, len);
            store_le32(cut + len, (uint32_t)test->kernel_bytes);
            if (len + 4 < test->packed_bytes) {
                ret = unpack(test, cut, len + 4, NULL);
                assert_true(ret == -ENOEXEC || (ret == -ENOTSUP && len < 4));
            }
            ret = unpack(test, test->packed, len, NULL);
            assert_true(ret == -ENOEXEC || ret == -ENOSPC || (ret == -ENOTSUP && len < 4));
        }
    }
}

static void damaged_payloads_are_survived(void **state)
{
    struct payload_test *test = *state;
    char message[256];

    for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
        unsigned refused = 0;

        pack(test, i);
        for (size_t at = 0; at < test->packed_bytes; at++) {
            for (unsigned bit = 0; bit < 8; bit += 3) {
                int ret;

                test->packed[at] ^= 1 << bit;
                ret = unpack(test, test->packed, test->packed_bytes, NULL);
                test->packed[at] ^= 1 << bit;
                /* With a checksum, wrong contents are found out. */
                assert_true(ret <= 0 || !formats[i].has_checksum);
                refused += ret < 0;
            }
        }
        assert_true(refused > test->packed_bytes);
        test->packed[test->packed_bytes / 2] ^= 0xFF;
        if (formats[i].has_checksum) {
            assert_int_equal(unpack(test, test->packed, test->packed_bytes, message), -ENOEXEC);
            assert_non_null(strstr(message, formats[i].name));
            assert_non_null(strstr(message, "damaged"));
        }
    }
}

static void wrong_sizes_are_refused(void **state)
{
    static const uint32_t damaged[] = {0, 1, 0x1FFF, 0x2001, PAYLOAD_MAX_BYTES + 1, 0xFFFFFFFF};
    struct payload_test *test = *state;
    uint8_t *size;

    for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
        pack(test, i);
        size = test->packed + test->packed_bytes - 4;
        assert_int_equal(load_le32(size), 0x2000);
        for (size_t j = 0; j < ARRAY_SIZE(damaged); j++) {
            store_le32(size, damaged[j]);
            assert_int_equal(unpack(test, test->packed, test->packed_bytes, NULL), -ENOEXEC);
        }
        store_le32(size, BOOT_FIXTURE_RAM_BYTES);
        assert_int_equal(unpack(test, test->packed, test->packed_bytes, NULL), -ENOEXEC);
        store_le32(size, BOOT_FIXTURE_RAM_BYTES + 1);
        assert_int_equal(unpack(test, test->packed, test->packed_bytes, NULL), -ENOSPC);
        store_le32(size, PAYLOAD_MAX_BYTES);
        assert_int_equal(unpack(test, test->packed, test->packed_bytes, NULL), -ENOSPC);
    }
}

static void greedy_dictionaries_are_refused(void **state)
{
    struct payload_test *test = *state;
    char message[256];

    pack(test, 2);
    store_le32(test->packed + 1, 0x80000000); /* lzma's dictionary size; its magic number ends in the zeros */
    assert_int_equal(unpack(test, test->packed, test->packed_bytes, message), -ENOMEM);
    assert_non_null(strstr(message, "too much memory"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_format_is_unpacked),
        TEST(an_unpacked_kernel_is_entered_by_pvh),
        TEST(the_guest_unpacks_unless_asked_otherwise),
        TEST(what_is_not_supported_is_left_to_the_guest),
        TEST(a_kernel_without_pvh_is_left_to_the_guest),
        TEST(little_memory_is_left_to_the_guest),
        TEST(long_command_line_is_refused),
        TEST(payloads_beyond_the_file_are_refused),
        TEST(truncated_payloads_are_refused),
        TEST(damaged_payloads_are_survived),
        TEST(wrong_sizes_are_refused),
        TEST(greedy_dictionaries_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
