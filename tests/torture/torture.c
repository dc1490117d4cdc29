/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * torture [--seed N] [--seconds N] [--only ACTS] [--verbose]: see torture.h. Prints its seed first, then a line a
 * check. A report of a sanitizer, of the lock rank checker or of the watchdog ends it at once.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/rcu.h"
#include "monitor/monitor.h"
#include "torture.h"
#include "vcpu/vcpu.h"

#if defined(__SANITIZE_ADDRESS__) || defined(HDL_TSAN)
#define WATCHDOG_SECONDS 60
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHDOG_SECONDS 60
#endif
#endif
#ifndef WATCHDOG_SECONDS
#define WATCHDOG_SECONDS 20
#endif

static void torture_fail(const char *what)
{
    fprintf(stderr, "torture: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

/* --- what the machine is made from -------------------------------------------------------------------------------- */

/*
 * A flat Multiboot image: the header, then the code of both CPUs. CPU 0 copies CPU 1's to where it starts and sends it
 * there; then it goes round for ever, with interrupts off: the PM timer, the clock, the HPET, any place of the PCI
 * window, any port. CPU 1 reads any port. A reset finds all of it as it was.
 */
static void torture_make_kernel(struct torture *torture)
{
    enum { LOAD = 0x200000, HEADER_BYTES = 32, CPU1_OFFSET = 0xC0 };
    static const uint8_t cpu0[] = {
        0xFC,                                                              /* cld */
        0xBE, CPU1_OFFSET, 0x00, 0x20, 0x00,                               /* mov esi, CPU 1's code */
        0xBF, 0x00,        0x80, 0x00, 0x00,                               /* mov edi, 0x8000 */
        0xB9, 0x20,        0x00, 0x00, 0x00,                               /* mov ecx, 32 */
        0xF3, 0xA4,                                                        /* rep movsb */
        0xC7, 0x05,        0x10, 0x03, 0xE0, 0xFE, 0x00, 0x00, 0x00, 0x01, /* mov [0xfee00310], 1 << 24 */
        0xC7, 0x05,        0x00, 0x03, 0xE0, 0xFE, 0x00, 0x45, 0x00, 0x00, /* mov [0xfee00300], INIT */
        0xC7, 0x05,        0x00, 0x03, 0xE0, 0xFE, 0x08, 0x46, 0x00, 0x00, /* mov [0xfee00300], start at 8 << 12 */
        0x66, 0xBA,        0x08, 0x06,                                     /* again: mov dx, 0x608 (the PM timer) */
        0xED,                                                              /* in eax, dx */
        0xA3, 0x00,        0x00, 0x30, 0x00,                               /* mov [0x300000], eax */
        0xE4, 0x71,                                                        /* in al, 0x71 (the clock) */
        0xA1, 0xF0,        0x00, 0xD0, 0xFE,       /* mov eax, [0xfed000f0] (the HPET's counter) */
        0x69, 0xF6,        0x6D, 0x4E, 0xC6, 0x41, /* imul esi, esi, 1103515245 */
        0x81, 0xC6,        0x39, 0x30, 0x00, 0x00, /* add esi, 12345 */
        0x89, 0xF2,                                /* mov edx, esi */
        0xC1, 0xEA,        0x10,                   /* shr edx, 16 */
        0xED,                                      /* in eax, dx */
        0x89, 0xF3,                                /* mov ebx, esi */
        0x81, 0xE3,        0xFC, 0xFF, 0xFF, 0x00, /* and ebx, 0xfffffc */
        0x81, 0xCB,        0x00, 0x00, 0x00, 0xC0, /* or ebx, 0xc0000000 */
        0x8B, 0x03,                                /* mov eax, [ebx] */
        0xB9, 0x40,        0x00, 0x00, 0x00,       /* mov ecx, 64 */
        0xFF, 0x05,        0x00, 0x10, 0x30, 0x00, /* wait: inc dword [0x301000] */
        0xE2, 0xF8,                                /* loop wait */
        0xEB, 0xBE,                                /* jmp again */
    };
    static const uint8_t cpu1[] = {
        0x69, 0xF6, 0x55, 0x62, /* again: imul si, si, 25173 */
        0x81, 0xC6, 0x19, 0x36, /* add si, 13849 */
        0x89, 0xF2,             /* mov dx, si */
        0xEC,                   /* in al, dx */
        0xEB, 0xF3,             /* jmp again */
    };
    uint8_t image[256] = {0};
    FILE *file = fopen(torture->kernel, "w");

    store_le32(image, 0x1BADB002);
    store_le32(image + 4, 1 << 16);
    store_le32(image + 8, -(0x1BADB002u + (1 << 16)));
    store_le32(image + 12, LOAD);
    store_le32(image + 16, LOAD);
    store_le32(image + 28, LOAD + HEADER_BYTES);
    memcpy(image + HEADER_BYTES, cpu0, sizeof(cpu0));
    memcpy(image + CPU1_OFFSET, cpu1, sizeof(cpu1));
    if (!file || fwrite(image, sizeof(image), 1, file) != 1 || fclose(file) != 0) {
        torture_fail(torture->kernel);
    }
}

static void torture_make_files(struct torture *torture)
{
    snprintf(torture->folder, sizeof(torture->folder), "/tmp/heddle-torture-XXXXXX");
    if (!mkdtemp(torture->folder)) {
        torture_fail(torture->folder);
    }
    snprintf(torture->kernel, sizeof(torture->kernel), "%s/kernel", torture->folder);
    snprintf(torture->disk, sizeof(torture->disk), "%s/disk", torture->folder);
    torture_make_kernel(torture);
    if (fclose(fopen(torture->disk, "w")) != 0 || truncate(torture->disk, 1 << 20) < 0) {
        torture_fail(torture->disk);
    }
}

static void torture_remove_files(struct torture *torture)
{
    DIR *folder = opendir(torture->folder);
    struct dirent *entry;

    while (folder && (entry = readdir(folder))) {
        unlinkat(dirfd(folder), entry->d_name, 0);
    }
    closedir(folder);
    rmdir(torture->folder);
}

/* A monitor for each storm. */
static void torture_make_monitors(struct torture *torture)
{
    static const char *const names[TORTURE_STORMS] = {"storm0", "storm1"};

    for (unsigned i = 0; i < TORTURE_STORMS; i++) {
        struct config_chardev *chardev = &torture->chardevs[i];
        struct storm *storm = &torture->storms[i];

        storm->torture = torture;
        actor_init(&storm->actor, names[i], torture->seed, TORTURE_DRIVERS + 2 + i);
        snprintf(storm->path, sizeof(storm->path), "%s/%s", torture->folder, names[i]);
        chardev->id = (char *)names[i];
        chardev->backend = (char *)"socket";
        options_set(&chardev->options, "path", storm->path);
        options_set(&chardev->options, "server", "on");
        options_set(&chardev->options, "wait", "off");
        torture->monitors[i] = (struct config_monitor){.chardev = (char *)names[i], .control = true};
    }
}

static void torture_destroy_machine(struct torture *torture)
{
    monitor_destroy(torture->monitor);
    machine_destroy(torture->machine);
}

static void torture_create_machine(struct torture *torture)
{
    static char *accels[] = {(char *)"soft"};
    struct error *err = NULL;

    torture->config = (struct machine_config){
        .machine_type = (char *)"pc",
        .accels = accels,
        .accel_count = 1,
        .cpus = 2,
        .sockets = 1,
        .cores = 2,
        .threads = 1,
        .ram_bytes = TORTURE_RAM_BYTES,
        .kernel = torture->kernel,
        .append = (char *)"",
        .on_shutdown = CONFIG_ACTION_PAUSE,
        .on_panic = CONFIG_ACTION_PAUSE,
        .chardevs = torture->chardevs,
        .chardev_count = TORTURE_STORMS,
        .monitors = torture->monitors,
        .monitor_count = TORTURE_STORMS,
    };
    turnstile_init(torture);
    torture->machine = machine_create(&torture->config, &err);
    torture->monitor = torture->machine ? monitor_create(torture->machine, &err) : NULL;
    if (!torture->monitor) {
        fprintf(stderr, "torture: %s\n", err->message);
        exit(EXIT_FAILURE);
    }
}

/* --- the run --------------------------------------------------------------------------------------------------------
 */

static void torture_start_thread(struct hdl_thread *thread, const char *name, void (*run)(void *), void *opaque)
{
    if (hdl_thread_start(thread, name, run, opaque, NULL) < 0) {
        torture_fail(name);
    }
}

/* Power-off by the guest pauses; a debug exit ends the run of a machine that is then run again. */
static void torture_run(struct torture *torture)
{
    static const char *const names[TORTURE_DRIVERS] = {"driver0", "driver1", "driver2", "driver3"};

    for (unsigned i = 0; i < TORTURE_DRIVERS; i++) {
        struct driver *driver = &torture->drivers[i];

        driver->torture = torture;
        driver->index = i;
        actor_init(&driver->actor, names[i], torture->seed, i);
        torture_start_thread(&driver->thread, names[i], driver_run, driver);
    }
    torture->clients.torture = torture;
    actor_init(&torture->clients.actor, "clients", torture->seed, TORTURE_DRIVERS + 1);
    torture_start_thread(&torture->clients.thread, "clients", clients_run, &torture->clients);
    for (unsigned i = 0; i < TORTURE_STORMS; i++) {
        torture_start_thread(&torture->storms[i].thread, torture->storms[i].actor.name, storm_run, &torture->storms[i]);
    }
    machine_ask_reset(torture->machine); /* which gives the first devices' BARs addresses */
    manager_start(&torture->manager);
    while (!torture->manager.is_ended) {
        (void)machine_run(torture->machine);
    }
    atomic_store(&torture->over, true);
    turnstile_wake_all();
    for (unsigned i = 0; i < TORTURE_DRIVERS; i++) {
        hdl_thread_join(&torture->drivers[i].thread);
    }
    hdl_thread_join(&torture->clients.thread);
    for (unsigned i = 0; i < TORTURE_STORMS; i++) {
        hdl_thread_join(&torture->storms[i].thread);
    }
}

/* --- checks ---------------------------------------------------------------------------------------------------------
 */

static bool torture_check(bool ok, const char *what)
{
    printf("%s torture: %s\n", ok ? "ok" : "not ok", what);
    fflush(stdout);
    return ok;
}

static unsigned count_entries(const char *path)
{
    DIR *folder = opendir(path);
    unsigned count = 0;

    while (folder && readdir(folder)) {
        count++;
    }
    if (folder) {
        closedir(folder);
    }
    return count;
}

/* Threads that have been joined leave /proc a little later. */
static bool count_is_back(const char *path, unsigned before)
{
    unsigned now = 0;

    for (unsigned i = 0; i < 200; i++) {
        now = count_entries(path);
        if (now <= before) {
            return true;
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    fprintf(stderr, "torture: %s: %u entries before, %u now\n", path, before, now);
    return false;
}

static bool torture_reached_all(struct torture *torture)
{
    const struct device_type *missing = reached_missing(&torture->reached);

    for (unsigned i = 0; i < TORTURE_TYPES_MAX && atomic_load(&torture->reached.types[i]); i++) {
        printf("  %-24s %10llu\n", atomic_load(&torture->reached.types[i])->name,
               (unsigned long long)atomic_load(&torture->reached.counts[i]));
    }
    if (missing) {
        fprintf(stderr, "torture: '%s' was never reached\n", missing->name);
    }
    return !missing;
}

/* Whether a CPU has found a port at all. It stands still now. */
static bool torture_cpu_ran(const struct torture *torture, unsigned cpu)
{
    return machine_pc(torture->machine)->vm->vcpus[cpu]->io_cache.generation != 0;
}

static void torture_say_numbers(struct torture *torture)
{
    const struct memory_map *map = &machine_pc(torture->machine)->map;

    printf("  %llu accesses, %llu answered; unassigned %llu, refused %llu, re-entrant %llu\n",
           (unsigned long long)atomic_load(&torture->accesses), (unsigned long long)atomic_load(&torture->answered),
           (unsigned long long)atomic_load(&map->unassigned_accesses),
           (unsigned long long)atomic_load(&map->refused_accesses),
           (unsigned long long)atomic_load(&map->reentrant_accesses));
    printf("  %llu devices added, %llu not, %llu deleted, %llu refused; %llu bytes from chardevs\n",
           (unsigned long long)torture->manager.added, (unsigned long long)torture->manager.adds_failed,
           (unsigned long long)torture->manager.deleted, (unsigned long long)torture->manager.refused,
           (unsigned long long)torture->manager.bytes_out);
    for (unsigned i = 0; i < TORTURE_DRIVERS; i++) {
        printf("  %s: %llu steps\n", torture->drivers[i].actor.name,
               (unsigned long long)atomic_load(&torture->drivers[i].actor.step));
    }
    for (unsigned i = 0; i < TORTURE_STORMS; i++) {
        const struct storm *storm = &torture->storms[i];

        printf("  %s: %llu steps, %llu answers, %llu of %llu additions done\n", storm->actor.name,
               (unsigned long long)atomic_load(&storm->actor.step), (unsigned long long)storm->answers,
               (unsigned long long)storm->adds_done, (unsigned long long)storm->adds_sent);
    }
    printf("  manager: %llu steps\n", (unsigned long long)atomic_load(&torture->manager.actor.step));
}

/* A storm that hung up doesn't know what became of its last additions. */
static bool torture_storms_add_up(const struct torture *torture)
{
    uint64_t done = 0, unknown = 0;

    for (unsigned i = 0; i < TORTURE_STORMS; i++) {
        done += torture->storms[i].adds_done;
        unknown += torture->storms[i].adds_sent - torture->storms[i].adds_answered;
    }
    return torture->manager.storms_deleted >= done && torture->manager.storms_deleted <= done + unknown;
}

static bool torture_check_all(struct torture *torture)
{
    bool ok = torture_check(unplug_everything(&torture->manager), "every device can be taken away");

    torture_say_numbers(torture);
    ok &= torture_check(torture->manager.added == torture->manager.deleted && torture_storms_add_up(torture),
                        "each device that came was said to be gone");
    ok &= torture_check(torture_reached_all(torture), "every type of device was reached");
    ok &= torture_check(torture_cpu_ran(torture, 0) && torture_cpu_ran(torture, 1), "the guest's CPUs ran");
    ok &= torture_check(atomic_load(&torture->answered) > atomic_load(&torture->accesses) / 10,
                        "a good part of all accesses was answered");
    return ok;
}

/* A machine's life, between two counts of what the process has. The first time all that stays is made: RCU's thread. */
static bool torture_life(struct torture *torture)
{
    unsigned fds = count_entries("/proc/self/fd");
    unsigned tasks = count_entries("/proc/self/task");
    bool ok;

    torture_create_machine(torture);
    if (!manager_init(&torture->manager, torture) || !plug_first_devices(&torture->manager)) {
        exit(EXIT_FAILURE);
    }
    torture_run(torture);
    ok = torture_check_all(torture);
    manager_stop(&torture->manager);
    torture_destroy_machine(torture);
    manager_destroy(&torture->manager);
    hdl_rcu_barrier();
    ok &= torture_check(count_is_back("/proc/self/fd", fds), "no descriptor is left");
    ok &= torture_check(count_is_back("/proc/self/task", tasks), "no thread is left");
    return ok;
}

/* --- options --------------------------------------------------------------------------------------------------------
 */

static uint64_t parse_number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 0);

    if (*end || end == text) {
        fprintf(stderr, "torture: '%s' is no number\n", text);
        exit(EXIT_FAILURE);
    }
    return value;
}

static void torture_usage(void)
{
    fprintf(stderr, "usage: torture [--seed N] [--seconds N] [--only ACT,...] [--verbose]\n");
    exit(EXIT_FAILURE);
}

static void torture_parse(struct torture *torture, int argc, char **argv)
{
    torture->seconds = 10;
    if (getrandom(&torture->seed, sizeof(torture->seed), 0) < 0) {
        torture_fail("getrandom");
    }
    torture->seed %= 1000000000;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";

        if (strcmp(argv[i], "--verbose") == 0) {
            torture->verbose = true;
            continue;
        }
        if (strcmp(argv[i], "--seed") == 0) {
            torture->seed = parse_number(value);
        } else if (strcmp(argv[i], "--seconds") == 0) {
            torture->seconds = (unsigned)parse_number(value);
        } else if (strcmp(argv[i], "--only") == 0) {
            torture->only = value;
        } else {
            torture_usage();
        }
        i++;
    }
}

int main(int argc, char **argv)
{
    static struct torture torture;
    bool ok;

    torture_parse(&torture, argc, argv);
    printf("torture: seed %llu, %u seconds\n", (unsigned long long)torture.seed, torture.seconds);
    fflush(stdout);
    hdl_thread_register_main();
    torture_make_files(&torture);
    torture_make_monitors(&torture);
    watchdog_start(&torture.watchdog, &torture, WATCHDOG_SECONDS);
    torture_create_machine(&torture);
    torture_destroy_machine(&torture);
    hdl_rcu_barrier();
    ok = torture_life(&torture);
    watchdog_stop(&torture.watchdog);
    torture_remove_files(&torture);
    for (unsigned i = 0; i < TORTURE_STORMS; i++) {
        options_release(&torture.chardevs[i].options);
    }
    hdl_thread_unregister_main();
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
