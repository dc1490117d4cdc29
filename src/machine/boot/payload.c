/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unpacks compressed kernels, by a table of formats (Linux, Documentation/arch/x86/boot.rst: payload_offset; the magic
 * numbers are lib/decompress.c's). Knows neither bzImages, which linux_bzimage.c reads, nor what is inside. No state.
 *
 * The payload is hostile. One buffer is allocated, of the size that the payload claims, once that is known to be no
 * more than the guest's memory and PAYLOAD_MAX_BYTES; the libraries write there and nowhere else, and what comes out
 * has to be of exactly that size. A dictionary, which xz and lzma allocate as the stream asks, is bounded too.
 */
#include "machine/boot/payload.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <lz4.h>
#include <lzma.h>
#include <zstd.h>
#define ZLIB_CONST /* its next_in points to const */
#include <zlib.h>

#include "base/bytes.h"

enum {
    PAYLOAD_SIZE_BYTES = 4, /* the unpacked size at the end */
    PAYLOAD_MAGIC_MAX = 4,
    GZIP_WINDOW_BITS = 15 + 16, /* zlib's way to say: the largest window, and a gzip header */
    LZ4_MAGIC = 0x184C2102,
    LZ4_BLOCK_MAX_BYTES = 8 << 20, /* what a block of the legacy frame unpacks to at most */
};
/* Linux's build lets xz and lzma use dictionaries of 32 to 128 MiB. */
#define LZMA_MEMORY_MAX_BYTES (UINT64_C(256) << 20)

/*
 * A format. unpack: 0 and the number of bytes written in *out_bytes, which was the room at `out`; -ENOEXEC if the
 * stream is damaged or unpacks to more; -ENOMEM. NULL: known by name only.
 */
struct payload_format {
    const char *name;
    uint8_t magic[PAYLOAD_MAGIC_MAX];
    unsigned magic_bytes;
    bool ends_in_size; /* the stream's own last bytes are the unpacked size; otherwise those follow it */
    int (*unpack)(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t *out_bytes);
};

/* RFC 1952. */
static int payload_unpack_gzip(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t *out_bytes)
{
    z_stream stream = {
        .next_in = in, .avail_in = (unsigned)in_bytes, .next_out = out, .avail_out = (unsigned)*out_bytes};
    int ret;

    if (inflateInit2(&stream, GZIP_WINDOW_BITS) != Z_OK) {
        return -ENOMEM;
    }
    ret = inflate(&stream, Z_FINISH);
    *out_bytes = stream.total_out;
    inflateEnd(&stream);
    return ret == Z_STREAM_END ? 0 : ret == Z_MEM_ERROR ? -ENOMEM : -ENOEXEC;
}

/* Takes the decoder, initialised with that result, through the whole stream and ends it. */
static int payload_run_lzma(lzma_stream *stream, lzma_ret ret, const uint8_t *in, size_t in_bytes, uint8_t *out,
                            size_t *out_bytes)
{
    stream->next_in = in;
    stream->avail_in = in_bytes;
    stream->next_out = out;
    stream->avail_out = *out_bytes;
    if (ret == LZMA_OK) {
        ret = lzma_code(stream, LZMA_FINISH);
    }
    *out_bytes = stream->total_out;
    lzma_end(stream);
    return ret == LZMA_STREAM_END ? 0 : ret == LZMA_MEM_ERROR || ret == LZMA_MEMLIMIT_ERROR ? -ENOMEM : -ENOEXEC;
}

/* The .xz file format, 1.1.0; Linux's kernels come with its filter for x86 code. */
static int payload_unpack_xz(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t *out_bytes)
{
    lzma_stream stream = LZMA_STREAM_INIT;
    lzma_ret ret = lzma_stream_decoder(&stream, LZMA_MEMORY_MAX_BYTES, 0);

    return payload_run_lzma(&stream, ret, in, in_bytes, out, out_bytes);
}

/* The .lzma file format of LZMA Utils. */
static int payload_unpack_lzma(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t *out_bytes)
{
    lzma_stream stream = LZMA_STREAM_INIT;
    lzma_ret ret = lzma_alone_decoder(&stream, LZMA_MEMORY_MAX_BYTES);

    return payload_run_lzma(&stream, ret, in, in_bytes, out, out_bytes);
}

/* LZ4's legacy frame: a magic number, then blocks, each after its size; joined frames repeat the magic number. */
static int payload_unpack_lz4(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t *out_bytes)
{
    size_t at = 0, done = 0;

    while (at < in_bytes) {
        size_t room = MIN(*out_bytes - done, (size_t)LZ4_BLOCK_MAX_BYTES);
        uint32_t block_bytes;
        int got;

        if (in_bytes - at < sizeof(block_bytes)) {
            return -ENOEXEC;
        }
        block_bytes = load_le32(in + at);
        at += sizeof(block_bytes);
        if (block_bytes == LZ4_MAGIC) {
            continue;
        }
        if (block_bytes > in_bytes - at || block_bytes > (uint32_t)LZ4_COMPRESSBOUND(LZ4_BLOCK_MAX_BYTES)) {
            return -ENOEXEC;
        }
        got = LZ4_decompress_safe((const char *)in + at, (char *)out + done, (int)block_bytes, (int)room);
        if (got < 0) {
            return -ENOEXEC;
        }
        at += block_bytes;
        done += (size_t)got;
    }
    *out_bytes = done;
    return 0;
}

/* RFC 8878, one frame. The window is the output itself. */
static int payload_unpack_zstd(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t *out_bytes)
{
    size_t frame_bytes = ZSTD_findFrameCompressedSize(in, in_bytes), got;

    if (ZSTD_isError(frame_bytes) || frame_bytes != in_bytes) {
        return -ENOEXEC;
    }
    got = ZSTD_decompress(out, *out_bytes, in, in_bytes);
    if (ZSTD_isError(got)) {
        return -ENOEXEC;
    }
    *out_bytes = got;
    return 0;
}

static const struct payload_format payload_formats[] = {
    {"gzip", {0x1F, 0x8B}, 2, true, payload_unpack_gzip},
    {"xz", {0xFD, '7', 'z', 'X'}, 4, false, payload_unpack_xz},
    {"lzma", {0x5D, 0, 0}, 3, false, payload_unpack_lzma},
    {"lz4", {0x02, 0x21, 0x4C, 0x18}, 4, false, payload_unpack_lz4},
    {"zstd", {0x28, 0xB5, 0x2F, 0xFD}, 4, false, payload_unpack_zstd},
    {"bzip2", {'B', 'Z', 'h'}, 3, false, NULL},
    {"lzo", {0x89, 'L', 'Z', 'O'}, 4, false, NULL},
};

static const struct payload_format *payload_find_format(const uint8_t *payload, uint64_t len_bytes)
{
    for (size_t i = 0; i < ARRAY_SIZE(payload_formats); i++) {
        const struct payload_format *format = &payload_formats[i];

        if (len_bytes >= format->magic_bytes && memcmp(payload, format->magic, format->magic_bytes) == 0) {
            return format;
        }
    }
    return NULL;
}

static int payload_damaged(const struct boot_request *request, const struct payload_format *format, struct error **err)
{
    return boot_error(request, err, -ENOEXEC, "the compressed kernel (%s) in it is damaged", format->name);
}

/* The size that the payload claims, checked: it is going to be allocated. */
static int payload_read_size(const struct boot_request *request, const struct payload_format *format,
                             const uint8_t *payload, uint64_t len_bytes, size_t *size_bytes, struct error **err)
{
    uint64_t claimed;

    if (len_bytes < PAYLOAD_MAGIC_MAX + PAYLOAD_SIZE_BYTES) {
        return payload_damaged(request, format, err);
    }
    claimed = load_le32(payload + len_bytes - PAYLOAD_SIZE_BYTES);
    if (claimed == 0 || claimed > PAYLOAD_MAX_BYTES) {
        return payload_damaged(request, format, err);
    }
    if (claimed > request->ram->low_bytes) {
        return boot_error(request, err, -ENOSPC,
                          "the kernel unpacks to %" PRIu64 " MiB, which doesn't fit into guest memory (-m)",
                          (claimed >> 20) + 1);
    }
    *size_bytes = claimed;
    return 0;
}

int payload_unpack(const struct boot_request *request, const uint8_t *payload, uint64_t len_bytes, uint8_t **unpacked,
                   uint64_t *unpacked_bytes, struct error **err)
{
    const struct payload_format *format = payload_find_format(payload, len_bytes);
    size_t size_bytes = 0, got_bytes;
    uint8_t *buffer HDL_AUTO_FREE = NULL;
    int ret;

    if (!format || !format->unpack) {
        return boot_error(request, err, -ENOTSUP,
                          "the kernel in it is compressed with %s, not with gzip, xz, lzma, lz4 or zstd",
                          format ? format->name : "something unknown");
    }
    ret = payload_read_size(request, format, payload, len_bytes, &size_bytes, err);
    if (ret < 0) {
        return ret;
    }
    buffer = malloc(size_bytes);
    if (!buffer) {
        return boot_error(request, err, -ENOMEM, "out of memory");
    }
    got_bytes = size_bytes;
    ret = format->unpack(payload, len_bytes - (format->ends_in_size ? 0 : PAYLOAD_SIZE_BYTES), buffer, &got_bytes);
    if (ret == -ENOMEM) {
        return boot_error(request, err, -ENOMEM, "the compressed kernel (%s) in it takes too much memory to unpack",
                          format->name);
    }
    if (ret < 0 || got_bytes != size_bytes) {
        return payload_damaged(request, format, err);
    }
    *unpacked = buffer;
    *unpacked_bytes = size_bytes;
    buffer = NULL;
    return 0;
}
