/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The watchdog: if an actor doesn't get on with its steps for too long, it says what everybody is at, every thread's
 * held locks and, where there is a debugger, stacks; and aborts. An actor that waits for a machine that is paused is
 * excused; the one that paused it isn't.
 */
#include <dirent.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "torture.h"

extern char **environ;

#define WATCHDOG_ACTORS (TORTURE_DRIVERS + 2 + TORTURE_STORMS)

static struct actor *watchdog_actor(struct watchdog *watchdog, unsigned n)
{
    if (n < TORTURE_DRIVERS) {
        return &watchdog->torture->drivers[n].actor;
    }
    if (n >= TORTURE_DRIVERS + 2) {
        return &watchdog->torture->storms[n - TORTURE_DRIVERS - 2].actor;
    }
    return n == TORTURE_DRIVERS ? &watchdog->torture->manager.actor : &watchdog->torture->clients.actor;
}

static void watchdog_say_actors(struct watchdog *watchdog)
{
    for (unsigned i = 0; i < WATCHDOG_ACTORS; i++) {
        const struct actor *actor = watchdog_actor(watchdog, i);

        if (actor->name) {
            fprintf(stderr, "  %-10s step %llu: %s%s\n", actor->name, (unsigned long long)atomic_load(&actor->step),
                    atomic_load(&actor->doing), atomic_load(&actor->is_waiting) ? ", waiting at the turnstile" : "");
        }
    }
}

static void watchdog_say_file(const char *task, const char *name)
{
    char path[300], text[200];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/self/task/%s/%s", task, name);
    file = fopen(path, "r");
    if (file) {
        fprintf(stderr, " %s", fgets(text, sizeof(text), file) ? strtok(text, "\n") : "?");
        fclose(file);
    }
}

static void watchdog_say_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;

    while (tasks && (entry = readdir(tasks))) {
        if (entry->d_name[0] != '.') {
            fprintf(stderr, "  thread %s:", entry->d_name);
            watchdog_say_file(entry->d_name, "comm");
            watchdog_say_file(entry->d_name, "wchan");
            watchdog_say_file(entry->d_name, "syscall");
            fputc('\n', stderr);
        }
    }
}

static void watchdog_say_stacks(void)
{
    char pid[16];
    char *arguments[] = {
        (char *)"gdb", (char *)"-batch", (char *)"-p", pid, (char *)"-ex", (char *)"thread apply all bt 16", NULL};
    pid_t child;
    int status;

    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    if (posix_spawnp(&child, "gdb", NULL, NULL, arguments, environ) == 0) {
        waitpid(child, &status, 0);
    }
}

static void watchdog_bark(struct watchdog *watchdog, const struct actor *stuck)
{
    fprintf(stderr, "not ok torture: '%s' has made no progress for %u seconds (seed %llu)\n", stuck->name,
            watchdog->limit_s, (unsigned long long)watchdog->torture->seed);
    watchdog_say_actors(watchdog);
    rank_dump_all(stderr);
    watchdog_say_threads();
    watchdog_say_stacks();
    abort();
}

static void *watchdog_run(void *opaque)
{
    struct watchdog *watchdog = opaque;
    uint64_t steps[WATCHDOG_ACTORS] = {0};
    unsigned still_s[WATCHDOG_ACTORS] = {0};

    pthread_setname_np(pthread_self(), "watchdog");
    for (unsigned tick = 1; !atomic_load(&watchdog->stop); tick++) {
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        for (unsigned i = 0; tick % 10 == 0 && i < WATCHDOG_ACTORS; i++) {
            struct actor *actor = watchdog_actor(watchdog, i);
            uint64_t step = atomic_load(&actor->step);

            still_s[i] = step != steps[i] || step == 0 || atomic_load(&actor->is_waiting) ? 0 : still_s[i] + 1;
            steps[i] = step;
            if (still_s[i] >= watchdog->limit_s) {
                watchdog_bark(watchdog, actor);
            }
        }
    }
    return NULL;
}

void watchdog_start(struct watchdog *watchdog, struct torture *torture, unsigned limit_s)
{
    watchdog->torture = torture;
    watchdog->limit_s = limit_s;
    if (pthread_create(&watchdog->thread, NULL, watchdog_run, watchdog) != 0) {
        abort();
    }
}

void watchdog_stop(struct watchdog *watchdog)
{
    atomic_store(&watchdog->stop, true);
    pthread_join(watchdog->thread, NULL);
}
