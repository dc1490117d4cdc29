/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fw_cfg as firmware reads it, by port and by DMA, and as a hostile guest would. */
#include "rig.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/rcu.h"
#include "hw/misc/fw_cfg.h"

#define SELECT 0x510
#define DATA   0x511
#define DMA    0x514

#define DESCRIPTOR 0x1000
#define BUFFER     0x2000
#define BIG_BYTES  (700u << 10)
#define LONG_BASE  (UINT64_C(1) << 32)
#define LONG_BYTES (32u << 20)

#define DMA_ERROR  1u
#define DMA_READ   2u
#define DMA_SKIP   4u
#define DMA_SELECT 8u
#define DMA_WRITE  16u

static uint8_t big[BIG_BYTES];

static struct fw_cfg *fw_cfg_plug(struct rig *rig)
{
    struct fw_cfg *fw_cfg = rig_create(rig, &fw_cfg_device_type);

    for (size_t i = 0; i < sizeof(big); i++) {
        big[i] = (uint8_t)(i * 7 + i / 256);
    }
    assert_int_equal(fw_cfg_add_u16(fw_cfg, FW_CFG_NB_CPUS, 3), 0);
    assert_int_equal(fw_cfg_add_u64(fw_cfg, FW_CFG_RAM_SIZE, RIG_RAM_BYTES), 0);
    assert_int_equal(fw_cfg_add_string(fw_cfg, FW_CFG_CMDLINE_DATA, "quiet"), 0);
    assert_int_equal(fw_cfg_add_borrowed(fw_cfg, FW_CFG_KERNEL_DATA, big, sizeof(big)), 0);
    assert_int_equal(fw_cfg_add_file(fw_cfg, "etc/e820", "0123456789", 10, false, NULL), 0);
    assert_int_equal(fw_cfg_add_file(fw_cfg, "opt/heddle/rw", "abcdefgh", 8, true, NULL), 0);
    rig_realize(&fw_cfg->isa.device);
    return fw_cfg;
}

static void read_item(struct rig *rig, uint16_t key, void *bytes, size_t len_bytes)
{
    rig_out(rig, SELECT, 2, key);
    for (size_t i = 0; i < len_bytes; i++) {
        ((uint8_t *)bytes)[i] = rig_inb(rig, DATA);
    }
}

static void test_ports(void **state)
{
    struct rig *rig = *state;
    struct fw_cfg *fw_cfg = fw_cfg_plug(rig);
    uint8_t bytes[16];
    uint32_t id;

    read_item(rig, FW_CFG_SIGNATURE, bytes, 8);
    assert_memory_equal(bytes, "QEMU\0\0\0\0", 8); /* zeros past the end */
    read_item(rig, FW_CFG_ID, &id, 4);
    assert_int_equal(id, 3);
    read_item(rig, FW_CFG_NB_CPUS, bytes, 2);
    assert_memory_equal(bytes, "\3", 2);
    read_item(rig, FW_CFG_CMDLINE_DATA, bytes, 6);
    assert_string_equal((char *)bytes, "quiet");
    read_item(rig, 0x4000 | FW_CFG_CMDLINE_DATA, bytes, 1); /* the write bit changes nothing */
    assert_int_equal(bytes[0], 'q');
    rig_outb(rig, DATA, 'x'); /* nor do writes */
    read_item(rig, FW_CFG_CMDLINE_DATA, bytes, 2);
    assert_memory_equal(bytes, "qu", 2);
    read_item(rig, 0xbfff, bytes, 2); /* no such item */
    assert_memory_equal(bytes, "\0", 2);
    assert_int_equal(be32toh((uint32_t)rig_in(rig, DMA, 4)), 0x51454d55);
    assert_int_equal(be32toh((uint32_t)rig_in(rig, DMA + 4, 4)), 0x20434647);
    rig_remove(rig, &fw_cfg->isa.device);
}

static void test_directory(void **state)
{
    struct rig *rig = *state;
    struct fw_cfg *fw_cfg = fw_cfg_plug(rig);
    struct {
        uint32_t count;
        struct {
            uint32_t size;
            uint16_t select, reserved;
            char name[56];
        } file[2];
    } directory;
    uint8_t bytes[10];

    read_item(rig, FW_CFG_FILE_DIR, &directory, sizeof(directory));
    assert_int_equal(be32toh(directory.count), 2);
    assert_string_equal(directory.file[0].name, "etc/e820");
    assert_int_equal(be32toh(directory.file[0].size), 10);
    read_item(rig, be16toh(directory.file[0].select), bytes, 10);
    assert_memory_equal(bytes, "0123456789", 10);
    assert_string_equal(directory.file[1].name, "opt/heddle/rw");
    rig_remove(rig, &fw_cfg->isa.device);
}

static void test_adding(void **state)
{
    struct rig *rig = *state;
    struct fw_cfg *fw_cfg = rig_create(rig, &fw_cfg_device_type);
    struct error *err = NULL;
    char name[80];

    assert_int_equal(fw_cfg_add_u16(fw_cfg, FW_CFG_SIGNATURE, 1), -EINVAL);
    assert_int_equal(fw_cfg_add_u16(fw_cfg, FW_CFG_FILE_FIRST, 1), -EINVAL);
    assert_int_equal(fw_cfg_add_u16(fw_cfg, 0x9000, 1), -EINVAL);
    assert_int_equal(fw_cfg_add_u16(fw_cfg, FW_CFG_IRQ0_OVERRIDE, 1), 0);
    assert_int_equal(fw_cfg_add_u16(fw_cfg, FW_CFG_IRQ0_OVERRIDE, 2), 0); /* replaces */
    memset(name, 'n', 56);
    name[56] = '\0';
    assert_int_equal(fw_cfg_add_file(fw_cfg, name, "", 0, false, &err), -EINVAL);
    error_free(err);
    name[55] = '\0';
    assert_int_equal(fw_cfg_add_file(fw_cfg, name, "", 0, false, NULL), 0);
    assert_int_equal(fw_cfg_add_file(fw_cfg, name, "", 0, false, NULL), -EINVAL);
    for (unsigned i = 1; i < FW_CFG_MAX_FILES; i++) {
        snprintf(name, sizeof(name), "opt/%u", i);
        assert_int_equal(fw_cfg_add_file(fw_cfg, name, name, 4, false, NULL), 0);
    }
    assert_int_equal(fw_cfg_add_file(fw_cfg, "opt/more", "", 0, false, NULL), -ENOSPC);
    device_put(&fw_cfg->isa.device); /* never realized */
    rig_settle(rig);
}

static void put_descriptor(struct rig *rig, uint64_t at, uint32_t control, uint32_t length, uint64_t address)
{
    uint32_t control_be = htobe32(control), length_be = htobe32(length);
    uint64_t address_be = htobe64(address);

    dma_write(&rig->mem, at, &control_be, 4);
    dma_write(&rig->mem, at + 4, &length_be, 4);
    dma_write(&rig->mem, at + 8, &address_be, 8);
}

static uint32_t get_control(struct rig *rig, uint64_t at)
{
    uint32_t control_be = 0;

    dma_read(&rig->mem, at, &control_be, 4);
    return be32toh(control_be);
}

static uint32_t dma(struct rig *rig, uint32_t control, uint32_t length, uint64_t address)
{
    put_descriptor(rig, DESCRIPTOR, control, length, address);
    rig_out(rig, DMA + 4, 4, htobe32(DESCRIPTOR));
    rig_settle(rig);
    return get_control(rig, DESCRIPTOR);
}

static void test_dma_read(void **state)
{
    struct rig *rig = *state;
    struct fw_cfg *fw_cfg = fw_cfg_plug(rig);
    uint32_t select = (uint32_t)FW_CFG_KERNEL_DATA << 16 | DMA_SELECT;
    uint64_t descriptor_be = htobe64(DESCRIPTOR);

    memset(rig->ram->host + BUFFER, 0xee, BIG_BYTES + 16);
    assert_int_equal(dma(rig, select | DMA_READ, BIG_BYTES, BUFFER), 0);
    assert_memory_equal(rig->ram->host + BUFFER, big, BIG_BYTES);
    assert_int_equal(rig->ram->host[BUFFER + BIG_BYTES], 0xee);
    assert_int_equal(dma(rig, DMA_READ, 8, BUFFER), 0); /* it goes on, past the end */
    assert_memory_equal(rig->ram->host + BUFFER, "\0\0\0\0\0\0\0", 8);
    assert_int_equal(dma(rig, select | DMA_SKIP, 100, 0), 0);
    put_descriptor(rig, DESCRIPTOR, DMA_READ, 4, BUFFER);
    rig_out(rig, DMA, 8, descriptor_be); /* one 64-bit write does as well */
    assert_int_equal(get_control(rig, DESCRIPTOR), 0);
    assert_memory_equal(rig->ram->host + BUFFER, big + 100, 4);
    assert_int_equal(rig_inb(rig, DATA), big[104]); /* one offset for both ways */
    rig_remove(rig, &fw_cfg->isa.device);
}

static void test_dma_write(void **state)
{
    struct rig *rig = *state;
    struct fw_cfg *fw_cfg = fw_cfg_plug(rig);
    uint32_t writable = (uint32_t)(FW_CFG_FILE_FIRST + 1) << 16 | DMA_SELECT;
    uint32_t read_only = (uint32_t)FW_CFG_FILE_FIRST << 16 | DMA_SELECT;
    uint8_t bytes[8];

    memcpy(rig->ram->host + BUFFER, "XYZ-------", 10);
    assert_int_equal(dma(rig, writable | DMA_WRITE, 3, BUFFER), 0);
    read_item(rig, FW_CFG_FILE_FIRST + 1, bytes, 8);
    assert_memory_equal(bytes, "XYZdefgh", 8);
    assert_int_equal(dma(rig, writable | DMA_WRITE, 9, BUFFER), DMA_ERROR); /* would resize it: nothing is written */
    read_item(rig, FW_CFG_FILE_FIRST + 1, bytes, 8);
    assert_memory_equal(bytes, "XYZdefgh", 8);
    assert_int_equal(dma(rig, read_only | DMA_WRITE, 1, BUFFER), DMA_ERROR);
    assert_int_equal(dma(rig, 0x7777u << 16 | DMA_SELECT | DMA_WRITE, 1, BUFFER), DMA_ERROR);
    rig_remove(rig, &fw_cfg->isa.device);
}

static void test_dma_hostile(void **state)
{
    struct rig *rig = *state;
    struct fw_cfg *fw_cfg = fw_cfg_plug(rig);
    uint32_t select = (uint32_t)FW_CFG_KERNEL_DATA << 16 | DMA_SELECT;
    uint8_t byte;

    assert_int_equal(dma(rig, select | DMA_READ, 16, RIG_RAM_BYTES - 8), DMA_ERROR); /* off the end of RAM */
    assert_int_equal(dma(rig, select | DMA_READ, 16, UINT64_MAX - 7), DMA_ERROR);    /* wraps */
    assert_int_equal(dma(rig, select | DMA_READ, UINT32_MAX, BUFFER), DMA_ERROR);    /* 4 GiB into 1 MiB */
    assert_int_equal(dma(rig, select | DMA_READ, 0, UINT64_MAX), 0);                 /* nothing at all */
    assert_int_equal(dma(rig, DMA_SKIP, UINT32_MAX, 0), 0);                          /* the offset saturates */
    assert_int_equal(dma(rig, DMA_SKIP, UINT32_MAX, 0), 0);
    assert_int_equal(dma(rig, select | DMA_SKIP, 2, 0), 0);
    assert_int_equal(dma(rig, DMA_SKIP, UINT32_MAX, 0), 0);
    assert_int_not_equal(big[1], 0);
    assert_int_equal(rig_inb(rig, DATA), 0); /* past the end, not back at byte 1 */
    read_item(rig, FW_CFG_SIGNATURE, &byte, 1);
    assert_int_equal(byte, 'Q');
    assert_int_equal(dma(rig, select | DMA_READ, 64, DESCRIPTOR - 32), 0); /* over its own descriptor: copied once */
    assert_int_equal(dma(rig, 0, 100, 0), 0);
    rig_out(rig, DMA, 4, htobe32(0xffffffff)); /* a descriptor where nothing is */
    rig_out(rig, DMA + 4, 4, htobe32(0xfffffff0));
    rig_settle(rig);
    assert_int_equal(dma(rig, select | DMA_READ, 4, BUFFER), 0); /* still works */
    assert_memory_equal(rig->ram->host + BUFFER, big, 4);
    rig_remove(rig, &fw_cfg->isa.device);
}

/*
 * A transfer longer than a vCPU should do at one go is left to the loop; meanwhile another request is refused, and a
 * reset ends it.
 */
static void test_dma_long(void **state)
{
    struct rig *rig = *state;
    struct fw_cfg *fw_cfg = fw_cfg_plug(rig);
    uint32_t select = (uint32_t)FW_CFG_KERNEL_DATA << 16 | DMA_SELECT;
    struct ram_block *ram = ram_block_create("big", LONG_BYTES, 0, NULL);
    struct region region;

    region_init_ram(&region, "big", ram, 0, LONG_BYTES, false);
    region_add(&rig->map, &rig->mem_root, LONG_BASE, &region, 0);
    memset(ram->host, 0xee, LONG_BYTES);
    put_descriptor(rig, DESCRIPTOR, select | DMA_READ, LONG_BYTES, LONG_BASE);
    rig_out(rig, DMA + 4, 4, htobe32(DESCRIPTOR));
    assert_int_equal(get_control(rig, DESCRIPTOR), select | DMA_READ); /* still at it */
    put_descriptor(rig, DESCRIPTOR + 64, DMA_READ, 1, BUFFER);
    rig_out(rig, DMA + 4, 4, htobe32(DESCRIPTOR + 64));
    assert_int_equal(get_control(rig, DESCRIPTOR + 64), DMA_ERROR);
    rig_settle(rig);
    assert_int_equal(get_control(rig, DESCRIPTOR), 0);
    assert_memory_equal(ram->host, big, BIG_BYTES);
    assert_int_equal(ram->host[LONG_BYTES - 1], 0);

    memset(ram->host, 0xee, LONG_BYTES);
    put_descriptor(rig, DESCRIPTOR, select | DMA_READ, LONG_BYTES, LONG_BASE);
    rig_out(rig, DMA + 4, 4, htobe32(DESCRIPTOR));
    device_reset(&fw_cfg->isa.device);
    rig_settle(rig);
    assert_int_equal(ram->host[LONG_BYTES - 1], 0xee);
    assert_int_equal(dma(rig, select | DMA_READ, 4, BUFFER), 0);
    region_remove(&rig->map, &region);
    hdl_rcu_barrier();
    region_destroy(&region);
    ram_block_put(ram);
    rig_remove(rig, &fw_cfg->isa.device);
}

#define RIG_TEST(fn) cmocka_unit_test_setup_teardown(fn, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_ports),     RIG_TEST(test_directory),   RIG_TEST(test_adding),   RIG_TEST(test_dma_read),
        RIG_TEST(test_dma_write), RIG_TEST(test_dma_hostile), RIG_TEST(test_dma_long),
    };

    return rig_main(tests, ARRAY_SIZE(tests));
}
