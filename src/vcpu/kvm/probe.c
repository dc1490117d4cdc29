/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is there hardware behind /dev/kvm? A device that opens proves nothing: KVM also exists in forms that interpret a
 * guest's kernel-mode code in its instruction emulator, which was made for MMIO and real mode. That emulator doesn't
 * know most of SSE and x87 and runs a million instructions a second; no operating system gets far in it.
 *
 * So a guest of a few instructions is asked: in 64-bit kernel mode with paging, compute something with SSE2 and x87,
 * and write the result to a port. Hardware does (every CPU with VT-x or SVM runs this mode natively); an emulator ends
 * in an emulation failure. No list of vendors, modules or capabilities could say it as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "vcpu/kvm/kvm_vm.h"

#define PROBE_BYTES  0x10000
#define PROBE_PML4   0x1000
#define PROBE_PDPT   0x2000
#define PROBE_PD     0x3000
#define PROBE_CODE   0x4000
#define PROBE_PORT   0xf4
#define PROBE_ANSWER 42

#define PTE_TABLE UINT64_C(0x03) /* present, writable */
#define PTE_LARGE UINT64_C(0x83) /* and 2 MiB */

#define CR0_PROBE  UINT64_C(0x80000033) /* PG, NE, ET, MP, PE */
#define CR4_PROBE  UINT64_C(0x620)      /* PAE, OSFXSR, OSXMMEXCPT */
#define EFER_PROBE UINT64_C(0x500)      /* LME, LMA */

/* 21 doubled with SSE2, then through the x87's square root of its square. */
static const uint8_t probe_code[] = {
    0xb8, 21,         0,    0,    0, /* mov     $21, %eax        */
    0x66, 0x0f,       0x6e, 0xc0,    /* movd    %eax, %xmm0      */
    0x66, 0x0f,       0xd4, 0xc0,    /* paddq   %xmm0, %xmm0     */
    0x66, 0x0f,       0x7e, 0xc0,    /* movd    %xmm0, %eax      */
    0xbb, 0,          0x50, 0,    0, /* mov     $0x5000, %ebx    */
    0x89, 0x03,                      /* mov     %eax, (%rbx)     */
    0xdb, 0x03,                      /* fildl   (%rbx)           */
    0xdc, 0xc8,                      /* fmul    %st, %st(0)      */
    0xd9, 0xfa,                      /* fsqrt                    */
    0xdb, 0x1b,                      /* fistpl  (%rbx)           */
    0x8b, 0x03,                      /* mov     (%rbx), %eax     */
    0xe6, PROBE_PORT,                /* out     %al, $PROBE_PORT */
    0xf4,                            /* hlt                      */
};

struct probe {
    int kvm_fd, vm_fd, vcpu_fd;
    uint8_t *memory;
    struct kvm_run *run;
    size_t run_bytes;
};

static void probe_close(struct probe *probe)
{
    if (probe->run) {
        munmap(probe->run, probe->run_bytes);
    }
    if (probe->memory) {
        munmap(probe->memory, PROBE_BYTES);
    }
    hdl_cleanup_fd(&probe->vcpu_fd);
    hdl_cleanup_fd(&probe->vm_fd);
    hdl_cleanup_fd(&probe->kvm_fd);
}

static void probe_fill_memory(uint8_t *memory)
{
    const uint64_t pml4 = PROBE_PDPT | PTE_TABLE;
    const uint64_t pdpt = PROBE_PD | PTE_TABLE;
    const uint64_t pd = PTE_LARGE;

    memcpy(memory + PROBE_PML4, &pml4, sizeof(pml4));
    memcpy(memory + PROBE_PDPT, &pdpt, sizeof(pdpt));
    memcpy(memory + PROBE_PD, &pd, sizeof(pd));
    memcpy(memory + PROBE_CODE, probe_code, sizeof(probe_code));
}

static int probe_create(struct probe *probe)
{
    struct kvm_userspace_memory_region slot = {.memory_size = PROBE_BYTES};
    int ret;

    probe->vm_fd = kvm_ioctl_value(probe->kvm_fd, KVM_CREATE_VM, 0);
    if (probe->vm_fd < 0) {
        return probe->vm_fd;
    }
    kvm_ioctl_value(probe->vm_fd, KVM_SET_TSS_ADDR, VM_RESERVED_START + 0x1000);
    probe->memory = mmap(NULL, PROBE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (probe->memory == MAP_FAILED) {
        probe->memory = NULL;
        return -ENOMEM;
    }
    probe_fill_memory(probe->memory);
    slot.userspace_addr = (uintptr_t)probe->memory;
    ret = kvm_ioctl(probe->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot);
    if (ret < 0) {
        return ret;
    }
    probe->vcpu_fd = kvm_ioctl_value(probe->vm_fd, KVM_CREATE_VCPU, 0);
    if (probe->vcpu_fd < 0) {
        return probe->vcpu_fd;
    }
    probe->run_bytes = kvm_ioctl_value(probe->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    probe->run = mmap(NULL, probe->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, probe->vcpu_fd, 0);
    if (probe->run == MAP_FAILED) {
        probe->run = NULL;
        return -ENOMEM;
    }
    return 0;
}

/* The guest sees all that KVM can do. */
static int probe_set_cpuid(struct probe *probe)
{
    HDL_AUTO_FREE struct kvm_cpuid2 *cpuid =
        calloc(1, sizeof(*cpuid) + KVM_CPUID_MAX * sizeof(struct kvm_cpuid_entry2));
    int ret;

    if (!cpuid) {
        return -ENOMEM;
    }
    cpuid->nent = KVM_CPUID_MAX;
    ret = kvm_ioctl(probe->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid);
    return ret < 0 ? ret : kvm_ioctl(probe->vcpu_fd, KVM_SET_CPUID2, cpuid);
}

static int probe_set_registers(struct probe *probe)
{
    struct kvm_segment data = {.limit = 0xffffffff, .selector = 16, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1};
    struct kvm_segment code = {.limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1};
    struct kvm_regs regs = {.rip = PROBE_CODE, .rsp = PROBE_BYTES, .rflags = 2};
    struct kvm_sregs sregs;
    int ret = kvm_ioctl(probe->vcpu_fd, KVM_GET_SREGS, &sregs);

    if (ret < 0) {
        return ret;
    }
    sregs.cs = code;
    sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
    sregs.cr0 = CR0_PROBE;
    sregs.cr3 = PROBE_PML4;
    sregs.cr4 = CR4_PROBE;
    sregs.efer = EFER_PROBE;
    ret = kvm_ioctl(probe->vcpu_fd, KVM_SET_SREGS, &sregs);
    return ret < 0 ? ret : kvm_ioctl(probe->vcpu_fd, KVM_SET_REGS, &regs);
}

/* Whether the guest computed the answer. */
static bool probe_run(struct probe *probe)
{
    int ret;

    do {
        ret = kvm_ioctl_value(probe->vcpu_fd, KVM_RUN, 0);
    } while (ret == -EINTR || ret == -EAGAIN);
    return ret == 0 && probe->run->exit_reason == KVM_EXIT_IO && probe->run->io.port == PROBE_PORT &&
           *((uint8_t *)probe->run + probe->run->io.data_offset) == PROBE_ANSWER;
}

void kvm_probe(struct accel_probe *result)
{
    struct probe probe = {.vm_fd = -1, .vcpu_fd = -1};
    int ret;

    memset(result, 0, sizeof(*result));
    probe.kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (probe.kvm_fd < 0) {
        snprintf(result->summary, sizeof(result->summary), "kvm: can't open /dev/kvm: %s", strerror(errno));
        return;
    }
    ret = probe_create(&probe);
    if (ret == 0) {
        ret = probe_set_cpuid(&probe);
    }
    if (ret == 0) {
        ret = probe_set_registers(&probe);
    }
    result->usable = ret == 0;
    result->full_speed = ret == 0 && probe_run(&probe);
    if (ret < 0) {
        snprintf(result->summary, sizeof(result->summary), "kvm: can't create a guest: %s", strerror(-ret));
    } else if (result->full_speed) {
        snprintf(result->summary, sizeof(result->summary), "kvm: hardware-assisted");
    } else {
        snprintf(result->summary, sizeof(result->summary),
                 "kvm: /dev/kvm has no hardware behind it (it can't run SSE2 and x87 instructions in kernel mode)");
    }
    probe_close(&probe);
}
