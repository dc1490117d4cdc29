/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What driver and device of a virtio disk agree on: numbers of virtio 1.2, 5.2. All fields are little-endian. */
#ifndef HDL_HW_VIRTIO_VIRTIO_BLK_REGS_H
#define HDL_HW_VIRTIO_VIRTIO_BLK_REGS_H

#include <stdint.h>

/* Feature bits (5.2.3), as masks. */
#define VIRTIO_BLK_F_SEG_MAX      (UINT64_C(1) << 2)
#define VIRTIO_BLK_F_RO           (UINT64_C(1) << 5)
#define VIRTIO_BLK_F_BLK_SIZE     (UINT64_C(1) << 6)
#define VIRTIO_BLK_F_FLUSH        (UINT64_C(1) << 9)
#define VIRTIO_BLK_F_TOPOLOGY     (UINT64_C(1) << 10)
#define VIRTIO_BLK_F_CONFIG_WCE   (UINT64_C(1) << 11)
#define VIRTIO_BLK_F_MQ           (UINT64_C(1) << 12)
#define VIRTIO_BLK_F_DISCARD      (UINT64_C(1) << 13)
#define VIRTIO_BLK_F_WRITE_ZEROES (UINT64_C(1) << 14)

/* Offsets in the config space (5.2.4). */
enum virtio_blk_config {
    VIRTIO_BLK_CONFIG_CAPACITY = 0, /* u64, sectors of 512 bytes */
    VIRTIO_BLK_CONFIG_SEG_MAX = 12,
    VIRTIO_BLK_CONFIG_BLK_SIZE = 20,
    VIRTIO_BLK_CONFIG_PHYSICAL_BLOCK_EXP = 24, /* u8 */
    VIRTIO_BLK_CONFIG_ALIGNMENT_OFFSET = 25,   /* u8 */
    VIRTIO_BLK_CONFIG_MIN_IO_SIZE = 26,        /* u16, logical blocks */
    VIRTIO_BLK_CONFIG_OPT_IO_SIZE = 28,        /* logical blocks */
    VIRTIO_BLK_CONFIG_WRITEBACK = 32,          /* u8 */
    VIRTIO_BLK_CONFIG_NUM_QUEUES = 34,         /* u16 */
    VIRTIO_BLK_CONFIG_MAX_DISCARD_SECTORS = 36,
    VIRTIO_BLK_CONFIG_MAX_DISCARD_SEG = 40,
    VIRTIO_BLK_CONFIG_DISCARD_SECTOR_ALIGNMENT = 44,
    VIRTIO_BLK_CONFIG_MAX_WRITE_ZEROES_SECTORS = 48,
    VIRTIO_BLK_CONFIG_MAX_WRITE_ZEROES_SEG = 52,
    VIRTIO_BLK_CONFIG_WRITE_ZEROES_MAY_UNMAP = 56, /* u8 */
    VIRTIO_BLK_CONFIG_BYTES = 60,
};

/* Requests (5.2.6): header, data, status byte. */
enum virtio_blk_type {
    VIRTIO_BLK_T_IN = 0,
    VIRTIO_BLK_T_OUT = 1,
    VIRTIO_BLK_T_FLUSH = 4,
    VIRTIO_BLK_T_GET_ID = 8,
    VIRTIO_BLK_T_DISCARD = 11,
    VIRTIO_BLK_T_WRITE_ZEROES = 13,
};

enum virtio_blk_status { VIRTIO_BLK_S_OK = 0, VIRTIO_BLK_S_IOERR = 1, VIRTIO_BLK_S_UNSUPP = 2 };

#define VIRTIO_BLK_ID_BYTES 20

/* Offsets in the header and in a discard or write-zeroes range. */
enum {
    VIRTIO_BLK_HEADER_TYPE = 0,   /* u32 */
    VIRTIO_BLK_HEADER_SECTOR = 8, /* u64 */
    VIRTIO_BLK_HEADER_BYTES = 16,
    VIRTIO_BLK_RANGE_SECTOR = 0,      /* u64 */
    VIRTIO_BLK_RANGE_NUM_SECTORS = 8, /* u32 */
    VIRTIO_BLK_RANGE_FLAGS = 12,      /* u32 */
    VIRTIO_BLK_RANGE_BYTES = 16,
    VIRTIO_BLK_RANGE_FLAG_UNMAP = 1,
};

#endif
