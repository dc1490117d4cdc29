/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test-legacy: counters that are right only if their lock is held. A read adds one in two steps, so that two threads in
 * it at once lose counts, and ThreadSanitizer sees them. It is a test's device; a guest can only count.
 */
#include "hw/misc/test_legacy.h"

static enum access_result counter_next(uint64_t *counter, uint64_t *value)
{
    uint64_t now = *counter;

    *value = (uint32_t)now;
    *counter = now + 1;
    return ACCESS_OK;
}

static enum access_result own_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct test_legacy *test = opaque;

    device_assert_locked(&test->isa.device);
    return counter_next(&test->counter, value);
}

static enum access_result shared_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct test_legacy *test = opaque;

    if (!test->shared_counter) {
        *value = 0;
        return ACCESS_OK;
    }
    device_lock_assert_held(test->isa.isa->legacy_lock);
    return counter_next(test->shared_counter, value);
}

static enum access_result ignore_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    return ACCESS_OK;
}

#define WORD_SIZES .valid = {.min = 4, .max = 4}, .impl = {.min = 4, .max = 4}

static const struct region_ops own_ops = {.read = own_read, .write = ignore_write, WORD_SIZES};
static const struct region_ops shared_ops = {.read = shared_read, .write = ignore_write, WORD_SIZES};

static int test_legacy_realize(struct device *device, struct error **err)
{
    struct test_legacy *test = container_of(device, struct test_legacy, isa.device);
    const struct isa_bus *isa = test->isa.isa;

    region_init_io(&test->region, "test-legacy-own", device, &own_ops, test, 4, 0, NULL);
    region_init_io(&test->legacy_region, "test-legacy-shared", device, &shared_ops, test, 4, REGION_LEGACY,
                   isa->legacy_lock);
    region_add(isa->map, isa->io_root, test->iobase, &test->region, 0);
    region_add(isa->map, isa->io_root, test->iobase + 4, &test->legacy_region, 0);
    return 0;
}

static void test_legacy_quiesce(struct device *device)
{
    struct test_legacy *test = container_of(device, struct test_legacy, isa.device);

    isa_region_hide(test->isa.isa, &test->region);
    isa_region_hide(test->isa.isa, &test->legacy_region);
    device_quiesced(device);
}

static void test_legacy_destroy(struct device *device)
{
    struct test_legacy *test = container_of(device, struct test_legacy, isa.device);

    isa_region_destroy(&test->region);
    isa_region_destroy(&test->legacy_region);
}

static const struct property test_legacy_properties[] = {
    {.name = "iobase",
     .type = PROPERTY_U32,
     .offset = offsetof(struct test_legacy, iobase),
     .default_value = "0x3000",
     .min = 0,
     .max = 0xfff8,
     .description = "first port"},
    {0},
};

const struct device_type test_legacy_device_type = {
    .name = "test-legacy",
    .description = "counters under the legacy lock, for tests",
    .category = "Misc",
    .bus = "ISA",
    .size_bytes = sizeof(struct test_legacy),
    .properties = test_legacy_properties,
    .user_creatable = true,
    .realize = test_legacy_realize,
    .quiesce = test_legacy_quiesce,
    .destroy = test_legacy_destroy,
};
