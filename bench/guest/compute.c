/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What computing costs in a guest: small programs, each timed by itself, one line each: "compute NAME MILLISECONDS
 * CHECK". Runs as the guest's init (then it powers off), or on the host for comparison; arguments name the programs to
 * run (default: all). The check is a result that must be the same everywhere.
 *
 * "mips" counts the instructions of a loop that is written in assembly, so its line has millions of instructions a
 * second as its check's place.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static uint8_t *area;
#define AREA_BYTES (16u << 20)

/* A fixed pseudo-random sequence. */
static uint64_t mix(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* --- programs ----------------------------------------------------------------------------------------------------- */

static uint64_t crc32_bits(void)
{
    uint32_t crc = UINT32_MAX;

    for (unsigned i = 0; i < 1u << 20; i++) {
        crc ^= (uint8_t)(i * 31);
        for (int k = 0; k < 8; k++) {
            crc = crc >> 1 ^ (UINT32_C(0xedb88320) & -(crc & 1));
        }
    }
    return crc;
}

static __attribute__((noinline)) unsigned fib(unsigned n)
{
    __asm__("" : "+r"(n));
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static uint64_t run_fib(void)
{
    return fib(30);
}

static uint64_t sieve(void)
{
    unsigned count = 0, n = 4000000;

    memset(area, 1, n);
    for (unsigned i = 2; i < n; i++) {
        if (area[i]) {
            count++;
            for (unsigned j = 2 * i; j < n; j += i) {
                area[j] = 0;
            }
        }
    }
    return count;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static uint64_t sort(void)
{
    uint32_t *values = (uint32_t *)area;
    uint64_t state = 1;
    unsigned n = 400000;

    for (unsigned i = 0; i < n; i++) {
        values[i] = (uint32_t)mix(&state);
    }
    qsort(values, n, sizeof(*values), compare);
    return values[n / 2];
}

static uint64_t list_walk(void)
{
    struct cell {
        struct cell *next;
        uint64_t value;
    } *cells = (struct cell *)area, *at = cells;
    unsigned n = 50000;
    uint64_t sum = 0;

    for (unsigned i = 0; i < n; i++) {
        cells[i] = (struct cell){&cells[(i * 7919u + 1) % n], i};
    }
    for (unsigned i = 0; i < 5000000; i++) {
        sum += at->value;
        at = at->next;
    }
    return sum;
}

static uint64_t copy(void)
{
    for (unsigned i = 0; i < 30; i++) {
        memcpy(area + AREA_BYTES / 2, area, AREA_BYTES / 2);
        area[i]++;
    }
    return area[AREA_BYTES / 2 + 5];
}

static uint64_t rep_movsb(void)
{
    for (unsigned i = 0; i < 20000; i++) {
        void *to = area + 65536, *from = area;
        size_t count = 4000;

        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count)::"memory");
    }
    return area[65536 + 100];
}

static uint64_t matrix(void)
{
    enum { N = 200 };
    double *a = (double *)area, *b = a + N * N, *c = b + N * N, trace = 0;

    for (unsigned i = 0; i < N * N; i++) {
        a[i] = i % 7;
        b[i] = i % 5;
    }
    for (unsigned i = 0; i < N; i++) {
        for (unsigned j = 0; j < N; j++) {
            double sum = 0;

            for (unsigned k = 0; k < N; k++) {
                sum += a[i * N + k] * b[k * N + j];
            }
            c[i * N + j] = sum;
        }
    }
    for (unsigned i = 0; i < N; i++) {
        trace += c[i * N + i];
    }
    return (uint64_t)trace;
}

static uint64_t x87(void)
{
    long double sum = 0;

    for (unsigned i = 1; i < 2000000; i++) {
        sum += 1.0L / ((long double)i * i);
    }
    return (uint64_t)(sum * 1e6L);
}

static uint64_t divide(void)
{
    uint64_t sum = 0;

    for (uint64_t i = 1; i < 1500000; i++) {
        uint64_t divisor = i | 1;

        __asm__("" : "+r"(divisor));
        sum += (UINT64_C(1) << 62) / divisor;
    }
    return sum;
}

typedef uint64_t step_fn(uint64_t x);
static uint64_t step_a(uint64_t x)
{
    return x * 3 + 1;
}
static uint64_t step_b(uint64_t x)
{
    return x ^ x >> 7;
}
static uint64_t step_c(uint64_t x)
{
    return x + 12345;
}

static uint64_t indirect_calls(void)
{
    static step_fn *const steps[] = {step_a, step_b, step_c, step_a};
    uint64_t x = 1;

    for (unsigned i = 0; i < 8000000; i++) {
        step_fn *step = steps[i & 3];

        __asm__("" : "+r"(step));
        x = step(x);
    }
    return x;
}

/* mov $imm32, %eax; ret: the immediate is rewritten before each call. */
static uint64_t self_modifying(void)
{
    uint8_t *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned (*fn)(void) = (unsigned (*)(void))code;
    uint64_t sum = 0;

    code[0] = 0xb8;
    code[5] = 0xc3;
    for (uint32_t i = 0; i < 100000; i++) {
        memcpy(code + 1, &i, 4);
        __asm__ volatile("" ::: "memory");
        sum += fn();
    }
    munmap(code, 4096);
    return sum;
}

static uint64_t syscalls(void)
{
    long last = 0;

    for (unsigned i = 0; i < 300000; i++) {
        last = syscall(SYS_getppid);
    }
    return last >= 0;
}

static uint64_t page_faults(void)
{
    uint64_t touched = 0;

    for (unsigned round = 0; round < 10; round++) {
        uint8_t *pages = mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        madvise(pages, AREA_BYTES, MADV_NOHUGEPAGE);
        for (unsigned i = 0; i < AREA_BYTES; i += 4096) {
            pages[i] = 1;
            touched++;
        }
        munmap(pages, AREA_BYTES);
    }
    return touched;
}

static uint64_t forks(void)
{
    uint64_t ended = 0;

    for (unsigned i = 0; i < 200; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            _exit(0);
        }
        ended += waitpid(pid, NULL, 0) == pid;
    }
    return ended;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint64_t shared;

static void *mutex_thread(void *opaque)
{
    for (unsigned i = 0; i < 200000; i++) {
        pthread_mutex_lock(&mutex);
        shared++;
        pthread_mutex_unlock(&mutex);
    }
    return opaque;
}

static uint64_t mutex_2_threads(void)
{
    pthread_t threads[2];

    shared = 0;
    for (unsigned i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, mutex_thread, NULL);
    }
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    return shared;
}

/* --- two CPUs ----------------------------------------------------------------------------------------------------- */

static void *scaling_thread(void *opaque)
{
    *(uint64_t *)opaque = crc32_bits();
    return opaque;
}

/* The same work as two of "crc", at once. */
static uint64_t crc32_2_threads(void)
{
    pthread_t threads[2];
    uint64_t results[2];

    for (unsigned i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, scaling_thread, &results[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    return results[0] == results[1] ? results[0] : 0;
}

/* --- instructions a second ---------------------------------------------------------------------------------------- */

/* Eight instructions a turn, of the commonest kinds: loads, stores, arithmetic, a comparison and a branch. */
static uint64_t mips(double *ms)
{
    uint64_t turns = 10000000, count = turns, sum = 0;
    double begin = now_ms();
    uint64_t *cell = (uint64_t *)area;

    __asm__ volatile("1: mov (%2), %%rax\n\t"
                     "add %0, %%rax\n\t"
                     "mov %%rax, (%2)\n\t"
                     "lea 3(%%rax), %%rdx\n\t"
                     "xor %%rdx, %1\n\t"
                     "shr $3, %%rdx\n\t"
                     "sub $1, %0\n\t"
                     "jne 1b"
                     : "+r"(count), "+r"(sum)
                     : "r"(cell)
                     : "rax", "rdx", "memory");
    *ms = now_ms() - begin;
    return (uint64_t)(turns * 8 / *ms / 1e3);
}

/* --- all of them -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    uint64_t (*run)(void);
} programs[] = {
    {"crc", crc32_bits},
    {"fib", run_fib},
    {"sieve", sieve},
    {"qsort", sort},
    {"list", list_walk},
    {"memcpy", copy},
    {"rep-movsb", rep_movsb},
    {"matmul", matrix},
    {"x87", x87},
    {"div", divide},
    {"indirect", indirect_calls},
    {"smc", self_modifying},
    {"syscall", syscalls},
    {"page-fault", page_faults},
    {"fork", forks},
    {"mutex-2", mutex_2_threads},
    {"crc-2-threads", crc32_2_threads},
};

static int is_wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], name) == 0) {
            return 1;
        }
    }
    return argc < 2;
}

int main(int argc, char **argv)
{
    double begin, ms;
    uint64_t result;

    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("compute begins\n");
    area = mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        if (!is_wanted(programs[i].name, argc, argv)) {
            continue;
        }
        memset(area, 0, AREA_BYTES);
        begin = now_ms();
        result = programs[i].run();
        printf("compute %s %.1f %llu\n", programs[i].name, now_ms() - begin, (unsigned long long)result);
    }
    if (is_wanted("mips", argc, argv)) {
        result = mips(&ms);
        printf("compute mips %.1f %llu\n", ms, (unsigned long long)result);
    }
    printf("compute ends\n");
    if (getpid() == 1) {
        sync();
        reboot(RB_POWER_OFF);
    }
    return 0;
}
