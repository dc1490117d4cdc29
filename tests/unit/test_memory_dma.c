/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RAM blocks, copies and mappings: bounds, and who keeps memory for how long. */
#include <fcntl.h>
#include <sys/mman.h>

#include "memory_fixture.h"

#define RAM_BYTES 8192

struct dma_test {
    struct memory_fixture fixture;
    struct ram_block *block;
    struct region ram, rom, io;
};

static enum access_result io_read(void *opaque, uint64_t offset, unsigned size, uint64_t *value)
{
    *value = 0xa5;
    return ACCESS_OK;
}

static enum access_result io_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    return ACCESS_OK;
}

static const struct region_ops io_ops = {.read = io_read, .write = io_write, .valid = {.max = 1}, .impl = {.max = 1}};

/* RAM at 0 and 0x10000 (ROM), a device of bytes at 0x2000: RAM and the device are neighbours. */
static void dma_setup(struct dma_test *test)
{
    memory_fixture_init(&test->fixture);
    test->block = ram_block_create("ram", RAM_BYTES, 0, NULL);
    assert_non_null(test->block);
    region_init_ram(&test->ram, "ram", test->block, 0, RAM_BYTES, false);
    region_init_ram(&test->rom, "rom", test->block, 4096, 4096, true);
    region_init_io(&test->io, "io", NULL, &io_ops, test, 16, REGION_LOCKLESS, NULL);
    region_add(&test->fixture.map, &test->fixture.root, 0, &test->ram, 0);
    region_add(&test->fixture.map, &test->fixture.root, 0x10000, &test->rom, 0);
    region_add(&test->fixture.map, &test->fixture.root, RAM_BYTES, &test->io, 0);
}

static void dma_teardown(struct dma_test *test)
{
    region_remove(&test->fixture.map, &test->ram);
    region_remove(&test->fixture.map, &test->rom);
    region_remove(&test->fixture.map, &test->io);
    region_destroy(&test->ram);
    region_destroy(&test->rom);
    region_destroy(&test->io);
    ram_block_put(test->block);
    memory_fixture_destroy(&test->fixture);
}

static void test_copies(void **state)
{
    struct dma_test test;
    uint8_t pattern[300], back[300];

    dma_setup(&test);
    for (unsigned i = 0; i < sizeof(pattern); i++) {
        pattern[i] = (uint8_t)(i * 7 + 1);
    }
    /* Every alignment and the lengths around a word. */
    for (unsigned at = 0; at < 9; at++) {
        for (unsigned len = 0; len <= sizeof(pattern); len += len < 20 ? 1 : 31) {
            memset(test.block->host, 0, 512);
            assert_int_equal(dma_write(&test.fixture.space, at, pattern, len), ACCESS_OK);
            assert_memory_equal(&test.block->host[at], pattern, len);
            assert_int_equal(test.block->host[at + len], 0);
            memset(back, 0, sizeof(back));
            assert_int_equal(dma_read(&test.fixture.space, at, back, len), ACCESS_OK);
            assert_memory_equal(back, pattern, len);
        }
    }
    dma_teardown(&test);
}

static void test_copies_across_and_beyond(void **state)
{
    struct dma_test test;
    uint8_t buffer[64];

    dma_setup(&test);
    memset(&test.block->host[RAM_BYTES - 4], 0x11, 4);
    /* 4 bytes of RAM, 16 of the device, then nothing. */
    memset(buffer, 0, sizeof(buffer));
    assert_int_equal(dma_read(&test.fixture.space, RAM_BYTES - 4, buffer, 40), ACCESS_UNASSIGNED);
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(buffer[i], i < 4 ? 0x11 : i < 20 ? 0xa5 : 0xff);
    }
    assert_int_equal(buffer[40], 0);
    assert_int_equal(dma_read(&test.fixture.space, UINT64_MAX - 3, buffer, 8), ACCESS_REFUSED);
    assert_int_equal(dma_write(&test.fixture.space, 2, buffer, UINT64_MAX), ACCESS_REFUSED);
    assert_int_equal(dma_write(&test.fixture.space, 0x10000, buffer, 8), ACCESS_REFUSED);
    assert_int_equal(dma_write(&test.fixture.space, 0x20000, buffer, 8), ACCESS_UNASSIGNED);
    assert_int_equal(dma_read(&test.fixture.space, 0x20000, buffer, 0), ACCESS_OK);
    dma_teardown(&test);
}

static void test_map_bounds(void **state)
{
    struct dma_mapping mapping = {.len_bytes = 77};
    struct dma_test test;
    struct address_space *space = &test.fixture.space;

    dma_setup(&test);
    assert_int_equal(dma_map(space, 0, 0, DMA_TO_GUEST, &mapping), ACCESS_UNASSIGNED);
    assert_int_equal(dma_map(space, 0x100, UINT64_MAX, DMA_TO_GUEST, &mapping), ACCESS_UNASSIGNED);
    assert_int_equal(dma_map(space, 0x20000, 1, DMA_TO_GUEST, &mapping), ACCESS_UNASSIGNED);
    assert_int_equal(dma_map(space, RAM_BYTES, 1, DMA_FROM_GUEST, &mapping), ACCESS_REFUSED);
    assert_int_equal(dma_map(space, 0x10000, 1, DMA_TO_GUEST, &mapping), ACCESS_REFUSED);
    assert_int_equal(mapping.len_bytes, 77);
    assert_null(mapping.host);

    assert_int_equal(dma_map(space, 0x10010, 64, DMA_FROM_GUEST, &mapping), ACCESS_OK);
    assert_ptr_equal(mapping.host, test.block->host + 4096 + 0x10);
    assert_int_equal(mapping.block_offset, 4096 + 0x10);
    dma_unmap(&mapping, 0);
    assert_null(mapping.host);
    dma_unmap(&mapping, 0); /* nothing happens */

    /* As much as is there. */
    assert_int_equal(dma_map(space, RAM_BYTES - 100, UINT64_C(1) << 40, DMA_TO_GUEST, &mapping), ACCESS_OK);
    assert_int_equal(mapping.len_bytes, 100);
    dma_unmap(&mapping, 100);
    dma_teardown(&test);
}

static bool is_mapped(const void *host)
{
    return msync((void *)host, 4096, MS_ASYNC) == 0;
}

/* Removing the region hides it at once; the memory goes with the last mapping, and no earlier. */
static void test_mapping_outlives_the_region(void **state)
{
    struct dma_mapping first = {0}, second = {0};
    struct memory_fixture fixture;
    struct ram_block *block;
    struct region ram;
    uint8_t *host;
    int fd;

    memory_fixture_init(&fixture);
    block = ram_block_create("hot", 4096, 0, NULL);
    fd = block->fd;
    host = block->host;
    region_init_ram(&ram, "hot", block, 0, 4096, false);
    region_add(&fixture.map, &fixture.root, 0x1000, &ram, 0);
    ram_block_put(block); /* the region has its own */
    assert_int_equal(dma_map(&fixture.space, 0x1000, 4096, DMA_TO_GUEST, &first), ACCESS_OK);
    assert_int_equal(dma_map(&fixture.space, 0x1800, 8, DMA_FROM_GUEST, &second), ACCESS_OK);

    region_remove(&fixture.map, &ram);
    hdl_rcu_synchronize();
    region_destroy(&ram);
    hdl_rcu_barrier();
    assert_int_equal(dma_write(&fixture.space, 0x1000, "x", 1), ACCESS_UNASSIGNED);
    assert_true(is_mapped(host));
    memset(first.host, 0x5a, first.len_bytes);
    assert_int_equal(*(uint8_t *)second.host, 0x5a);

    dma_unmap(&first, 4096);
    assert_true(is_mapped(host));
    assert_true(fcntl(fd, F_GETFD) >= 0);
    dma_unmap(&second, 0);
    assert_false(is_mapped(host));
    assert_true(fcntl(fd, F_GETFD) < 0 && errno == EBADF);
    memory_fixture_destroy(&fixture);
}

static void check_block_error(const char *name, uint64_t size, unsigned flags, const char *words)
{
    struct error *err = NULL;

    assert_null(ram_block_create(name, size, flags, &err));
    assert_non_null(err);
    assert_non_null(strstr(err->message, name));
    assert_non_null(strstr(err->message, words));
    error_free(err);
}

static void test_ram_blocks(void **state)
{
    struct ram_block *block = ram_block_create("big", UINT64_C(4) << 20, RAM_PREALLOC | RAM_THP, NULL);
    unsigned char present;
    int ends[2];

    assert_non_null(block);
    assert_int_equal((uintptr_t)block->host % (2 << 20), 0);
    for (unsigned i = 0; i < 4096; i++) {
        assert_int_equal(block->host[i * 1024], 0);
    }
    assert_int_equal(mincore(block->host + (4 << 20) - 4096, 4096, &present), 0);
    assert_true(present & 1);
    /* Nothing accessible before and behind it: the kernel itself can't read there. */
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], block->host, 1), 1);
    assert_true(write(ends[1], block->host - 1, 1) < 0 && errno == EFAULT);
    assert_true(write(ends[1], block->host + block->size_bytes, 1) < 0 && errno == EFAULT);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(block->page_bytes, 4096);
    ram_block_put(ram_block_get(block));
    ram_block_put(block);
    ram_block_put(NULL);

    check_block_error("empty", 0, 0, "multiple of 4096");
    check_block_error("odd", 4097, 0, "multiple of 4096");
    check_block_error("huge", UINT64_MAX & ~UINT64_C(4095), 0, "up to 2^52");
    check_block_error("small", 4096, RAM_HUGE_PAGES, "multiple of 2097152");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copies),     cmocka_unit_test(test_copies_across_and_beyond),
        cmocka_unit_test(test_map_bounds), cmocka_unit_test(test_mapping_outlives_the_region),
        cmocka_unit_test(test_ram_blocks),
    };
    int failed;

    hdl_thread_register_main();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    hdl_thread_unregister_main();
    return failed;
}
