/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pc-testdev: what flat x86 test kernels poke at. Scratch ports and memory of odd sizes, interrupt lines that the guest
 * raises and lowers, and a port that unmaps a page of guest RAM from this process so that the accelerator must fault it
 * in again. A guest that has it can only disturb itself: nobody creates it but by name.
 */
#include "hw/misc/pc_testdev.h"

#include <string.h>
#include <sys/mman.h>

#include "memory/dma.h"

#define PAGE_BYTES 4096

/* 0xe0 takes 1..4 bytes at once; 0xe8 is the same scratch register, reached a byte at a time. */
static enum access_result scratch_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct pc_testdev *testdev = opaque;

    *value = (uint64_t)testdev->scratch >> offset * 8 & ((UINT64_C(1) << size_bytes * 8) - 1);
    return ACCESS_OK;
}

static enum access_result scratch_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct pc_testdev *testdev = opaque;
    uint64_t mask = ((UINT64_C(1) << size_bytes * 8) - 1) << offset * 8;

    testdev->scratch = (uint32_t)((testdev->scratch & ~mask) | (value << offset * 8 & mask));
    return ACCESS_OK;
}

static enum access_result zero_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    *value = 0;
    return ACCESS_OK;
}

/*
 * value: a guest address. Its page leaves this process's page tables, and the accelerator's; whoever touches it next
 * faults it in again, contents intact, because RAM is a shared file. Others may do so at any moment: access stays
 * legal.
 */
static enum access_result flush_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct pc_testdev *testdev = opaque;
    uint64_t page = value & ~(uint64_t)(PAGE_BYTES - 1);
    struct dma_mapping mapping = {0};

    if (!testdev->isa.device.dma_space ||
        dma_map(testdev->isa.device.dma_space, page, PAGE_BYTES, DMA_FROM_GUEST, &mapping) != ACCESS_OK) {
        return ACCESS_OK;
    }
    if (mapping.len_bytes == PAGE_BYTES) {
        madvise(mapping.host, PAGE_BYTES, MADV_DONTNEED);
    }
    dma_unmap(&mapping, 0);
    return ACCESS_OK;
}

static enum access_result irq_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct pc_testdev *testdev = opaque;
    struct irq_line line = isa_irq(testdev->isa.isa, (unsigned)offset);

    irq_set(&line, value != 0);
    return ACCESS_OK;
}

static enum access_result mmio_read(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t *value)
{
    struct pc_testdev *testdev = opaque;

    *value = 0;
    memcpy(value, testdev->mmio + offset, size_bytes);
    return ACCESS_OK;
}

static enum access_result mmio_write(void *opaque, uint64_t offset, unsigned size_bytes, uint64_t value)
{
    struct pc_testdev *testdev = opaque;

    memcpy(testdev->mmio + offset, &value, size_bytes);
    return ACCESS_OK;
}

static const struct region_ops ioport_ops = {
    .read = scratch_read,
    .write = scratch_write,
    .valid = {.min = 1, .max = 4},
    .impl = {.min = 1, .max = 4},
};

static const struct region_ops ioport_byte_ops = {
    .read = scratch_read,
    .write = scratch_write,
    .valid = {.min = 1, .max = 4},
    .impl = {.min = 1, .max = 1},
};

static const struct region_ops flush_ops = {
    .read = zero_read,
    .write = flush_write,
    .valid = {.min = 4, .max = 4},
    .impl = {.min = 4, .max = 4},
};

static const struct region_ops irq_ops = {
    .read = zero_read,
    .write = irq_write,
    .valid = {.min = 1, .max = 1},
    .impl = {.min = 1, .max = 1},
};

static const struct region_ops iomem_ops = {
    .read = mmio_read,
    .write = mmio_write,
    .valid = {.min = 1, .max = 8},
    .impl = {.min = 1, .max = 8},
};

static int pc_testdev_realize(struct device *device, struct error **err)
{
    struct pc_testdev *testdev = container_of(device, struct pc_testdev, isa.device);
    const struct isa_bus *isa = testdev->isa.isa;

    region_init_io(&testdev->ioport, "pc-testdev-ioport", device, &ioport_ops, testdev, 4, 0, NULL);
    region_init_io(&testdev->flush, "pc-testdev-flush-page", device, &flush_ops, testdev, 4, 0, NULL);
    region_init_io(&testdev->ioport_byte, "pc-testdev-ioport-byte", device, &ioport_byte_ops, testdev, 4, 0, NULL);
    region_init_io(&testdev->irq, "pc-testdev-irq-line", device, &irq_ops, testdev, ISA_IRQ_COUNT, 0, NULL);
    region_init_io(&testdev->iomem, "pc-testdev-iomem", device, &iomem_ops, testdev, PC_TESTDEV_MMIO_BYTES, 0, NULL);
    region_add(isa->map, isa->io_root, 0xe0, &testdev->ioport, 0);
    region_add(isa->map, isa->io_root, 0xe4, &testdev->flush, 0);
    region_add(isa->map, isa->io_root, 0xe8, &testdev->ioport_byte, 0);
    region_add(isa->map, isa->io_root, 0x2000, &testdev->irq, 0);
    region_add(isa->map, isa->mem_root, UINT64_C(0xff000000), &testdev->iomem, 1);
    return 0;
}

static void pc_testdev_quiesce(struct device *device)
{
    struct pc_testdev *testdev = container_of(device, struct pc_testdev, isa.device);

    isa_region_hide(testdev->isa.isa, &testdev->ioport);
    isa_region_hide(testdev->isa.isa, &testdev->flush);
    isa_region_hide(testdev->isa.isa, &testdev->ioport_byte);
    isa_region_hide(testdev->isa.isa, &testdev->irq);
    isa_region_hide(testdev->isa.isa, &testdev->iomem);
    device_quiesced(device);
}

static void pc_testdev_destroy(struct device *device)
{
    struct pc_testdev *testdev = container_of(device, struct pc_testdev, isa.device);

    isa_region_destroy(&testdev->ioport);
    isa_region_destroy(&testdev->flush);
    isa_region_destroy(&testdev->ioport_byte);
    isa_region_destroy(&testdev->irq);
    isa_region_destroy(&testdev->iomem);
}

const struct device_type pc_testdev_device_type = {
    .name = "pc-testdev",
    .description = "what flat x86 test kernels need",
    .category = "Misc",
    .bus = "ISA",
    .size_bytes = sizeof(struct pc_testdev),
    .user_creatable = true,
    .realize = pc_testdev_realize,
    .quiesce = pc_testdev_quiesce,
    .destroy = pc_testdev_destroy,
};
