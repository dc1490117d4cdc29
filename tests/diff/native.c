/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See native.h. The child spends its life in one signal handler: a case ends with a signal (INT3, or a fault), whose
 * frame holds all registers; the handler stores them, puts the next case's registers in their place, and returns into
 * that case. The first is entered from an INT3 of the child's own, and behind it the child goes on when all are done.
 *
 *   parent: begin ----> child: INT3 ---> handler: case 0 ---> handler: case 1 ---> ... ---> behind INT3 ---> parent:
 *                                                                                                            finish
 *
 * What a case can do to the child is bounded: it runs in user mode, can't make system calls (the generator has none),
 * jumps forward only, and what it may write are its slot's pages. SIGALRM would be the only other signal; none is sent.
 */
#include "native.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <asm/prctl.h>

#include "base/compiler.h"
#include "random.h"
#include "vcpu/soft/cpu.h"

#define TIMEOUT_SECONDS 20
#define STACK_BYTES     0x10000
/* Of the frame's floating point state: what follows belongs to the kernel. */
#define FX_COPIED_BYTES    416
#define FX_MAGIC_OFFSET    464
#define FX_MAGIC           0x46505853u
#define FX_FEATURES_OFFSET 512

/* Shared by parent and child; the semaphores say whose it is. */
struct native_shared {
    sem_t begin, finished;
    unsigned count;
    bool ready;          /* the child has set itself up */
    _Atomic int running; /* the case that runs, or -1 */
    uint64_t fs_base;
    struct case_state start[SLOT_COUNT], end[SLOT_COUNT];
};

struct native {
    pid_t child;
    struct native_shared *shared;
    uint8_t *backing;
};

/* --- in the child ------------------------------------------------------------------------------------------------- */

/* The child's own; only its handler and main loop use it. */
static struct {
    struct native_shared *shared;
    gregset_t home;
    uint8_t home_fx[FX_COPIED_BYTES];
} child;

/* Where each general register is in a signal frame. */
static const uint8_t child_gregs[CPU_GPR_COUNT] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                                   REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                                   REG_R12, REG_R13, REG_R14, REG_R15};

static void child_store(const ucontext_t *context, struct case_state *state)
{
    const greg_t *gregs = context->uc_mcontext.gregs;

    for (unsigned i = 0; i < CPU_GPR_COUNT; i++) {
        state->gpr[i] = (uint64_t)gregs[child_gregs[i]];
    }
    state->rip = (uint64_t)gregs[REG_RIP];
    state->rflags = (uint64_t)gregs[REG_EFL];
    state->cs = (uint16_t)gregs[REG_CSGSFS];
    state->vector = (uint64_t)gregs[REG_TRAPNO];
    state->error = (uint64_t)gregs[REG_ERR];
    state->cr2 = (uint64_t)gregs[REG_CR2];
    memcpy(state->fx, context->uc_mcontext.fpregs, FX_COPIED_BYTES);
}

/* The frame's floating point state, taken from 512 bytes as FXSAVE stores them. */
static void child_load_fx(ucontext_t *context, const uint8_t *from)
{
    uint8_t *fx = (uint8_t *)context->uc_mcontext.fpregs;
    uint32_t magic;

    memcpy(fx, from, FX_COPIED_BYTES);
    memcpy(&magic, fx + FX_MAGIC_OFFSET, sizeof(magic));
    if (magic == FX_MAGIC) {
        fx[FX_FEATURES_OFFSET] |= 3; /* x87 and SSE are there, not in their initial state */
    }
}

static void child_load(ucontext_t *context, const struct case_state *state)
{
    greg_t *gregs = context->uc_mcontext.gregs;

    for (unsigned i = 0; i < CPU_GPR_COUNT; i++) {
        gregs[child_gregs[i]] = (greg_t)state->gpr[i];
    }
    gregs[REG_RIP] = (greg_t)state->rip;
    gregs[REG_EFL] = (greg_t)state->rflags;
    gregs[REG_CSGSFS] = (gregs[REG_CSGSFS] & ~(greg_t)0xffff) | (greg_t)state->cs;
    child_load_fx(context, state->fx);
}

static void child_handle(int signal, siginfo_t *info, void *opaque)
{
    ucontext_t *context = opaque;
    int running;

    /*
     * A case may have set AC, with which this code's own unaligned accesses would fault; and NT and ID, which the
     * kernel leaves as they are here.
     */
    __asm__ volatile("pushfq; andl $~0x244000, (%%rsp); popfq" ::: "cc", "memory");
    running = atomic_load_explicit(&child.shared->running, memory_order_relaxed);
    if (running < 0) {
        memcpy(child.home, context->uc_mcontext.gregs, sizeof(child.home));
        memcpy(child.home_fx, context->uc_mcontext.fpregs, FX_COPIED_BYTES);
    } else {
        child_store(context, &child.shared->end[running]);
    }
    if (++running < (int)child.shared->count) {
        atomic_store_explicit(&child.shared->running, running, memory_order_relaxed);
        child_load(context, &child.shared->start[running]);
        return;
    }
    memcpy(context->uc_mcontext.gregs, child.home, sizeof(child.home));
    child_load_fx(context, child.home_fx);
    atomic_store_explicit(&child.shared->running, -1, memory_order_relaxed);
}

static bool child_map_slot(int fd, unsigned slot)
{
    static const struct {
        unsigned offset, backing, len_bytes;
        int rights;
    } parts[] = {
        {SLOT_CODE, BACKING_CODE, SLOT_CODE_BYTES, PROT_READ | PROT_EXEC},
        {SLOT_DATA, BACKING_DATA, SLOT_DATA_BYTES, PROT_READ | PROT_WRITE},
        {SLOT_READ_ONLY, BACKING_DATA + SLOT_DATA_BYTES, PAGE_BYTES, PROT_READ},
        {SLOT_STACK, BACKING_STACK, PAGE_BYTES, PROT_READ | PROT_WRITE},
    };

    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        void *address = (void *)(uintptr_t)(SLOT_BASE + slot * SLOT_BYTES + parts[i].offset);

        if (mmap(address, parts[i].len_bytes, parts[i].rights, MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE, fd,
                 (off_t)(slot * SLOT_BACKING_BYTES + parts[i].backing)) != address) {
            return false;
        }
    }
    return true;
}

static bool child_set_up(int fd)
{
    static const int signals[] = {SIGTRAP, SIGSEGV, SIGILL, SIGFPE, SIGBUS};
    struct sigaction action = {.sa_sigaction = child_handle, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    stack_t stack = {.ss_sp = malloc(STACK_BYTES), .ss_size = STACK_BYTES};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!stack.ss_sp || sigaltstack(&stack, NULL) < 0) {
        return false;
    }
    for (unsigned i = 0; i < SLOT_COUNT; i++) {
        if (!child_map_slot(fd, i)) {
            return false;
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        sigaction(signals[i], &action, NULL);
    }
    /* Data segments that 32-bit code can use; then the base of GS, which loading it would change. */
    __asm__ volatile("movl %0, %%ds; movl %0, %%es; movl %1, %%fs" ::"r"(SELECTOR_DATA), "r"(0) : "memory");
    syscall(SYS_arch_prctl, ARCH_SET_FS, child.shared->fs_base);
    return syscall(SYS_arch_prctl, ARCH_SET_GS, CASE_GS_BASE) == 0;
}

static void child_main(int fd)
{
    atomic_store(&child.shared->running, -1);
    syscall(SYS_arch_prctl, ARCH_GET_FS, &child.shared->fs_base);
    child.shared->ready = child_set_up(fd);
    for (;;) {
        sem_post(&child.shared->finished);
        while (sem_wait(&child.shared->begin) < 0) {
        }
        __asm__ volatile("int3" ::: "memory", "cc");
    }
}

/* --- in the parent ------------------------------------------------------------------------------------------------ */

static bool native_wait(struct native *native)
{
    struct timespec deadline;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += TIMEOUT_SECONDS;
    while (sem_timedwait(&native->shared->finished, &deadline) < 0) {
        if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

static bool native_start_child(struct native *native)
{
    int fd = memfd_create("cases", MFD_CLOEXEC);

    if (fd < 0 || ftruncate(fd, SLOT_COUNT * SLOT_BACKING_BYTES) < 0) {
        return false;
    }
    native->backing = mmap(NULL, SLOT_COUNT * SLOT_BACKING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    native->shared =
        mmap(NULL, sizeof(*native->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (native->backing == MAP_FAILED || native->shared == MAP_FAILED) {
        return false;
    }
    memset(native->backing, 0, SLOT_COUNT * SLOT_BACKING_BYTES);
    sem_init(&native->shared->begin, 1, 0);
    sem_init(&native->shared->finished, 1, 0);
    child.shared = native->shared;
    native->child = fork();
    if (native->child == 0) {
        child_main(fd);
    }
    close(fd);
    return native->child > 0 && native_wait(native) && native->shared->ready;
}

struct native *native_create(void)
{
    struct native *native = calloc(1, sizeof(*native));

    if (native && !native_start_child(native)) {
        perror("native: no child");
        return NULL;
    }
    return native;
}

void native_destroy(struct native *native)
{
    kill(native->child, SIGKILL);
    waitpid(native->child, NULL, 0);
    munmap(native->backing, SLOT_COUNT * SLOT_BACKING_BYTES);
    munmap(native->shared, sizeof(*native->shared));
    free(native);
}

uint8_t *native_backing(struct native *native, unsigned slot)
{
    return native->backing + slot * SLOT_BACKING_BYTES;
}

struct case_state *native_start(struct native *native, unsigned slot)
{
    return &native->shared->start[slot];
}

const struct case_state *native_end(struct native *native, unsigned slot)
{
    return &native->shared->end[slot];
}

uint64_t native_fs_base(const struct native *native)
{
    return native->shared->fs_base;
}

int native_running(const struct native *native)
{
    return atomic_load(&native->shared->running);
}

void native_begin(struct native *native, unsigned count)
{
    native->shared->count = count;
    sem_post(&native->shared->begin);
}

bool native_finish(struct native *native)
{
    return native_wait(native);
}
