/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "info locks": how each device's lock is used, and lock-stats, which has it counted. There is no other lock that a
 * guest's access takes, so this is where a CPU that waits is found. Reading the counts stops nobody.
 */
#include <inttypes.h>
#include <string.h>

#include "device/lock_stats.h"
#include "machine/machine.h"
#include "monitor/hmp_command.h"

static void info_lock_time(struct hmp_call *call, const char *what, const struct lock_stats_time *time)
{
    if (time->ns > 0) {
        fprintf(call->out, "  longest %s: %" PRIu64 ".%03u us at %s", what, time->ns / 1000,
                (unsigned)(time->ns % 1000), time->where ? time->where : "?");
        if (time->subject[0]) {
            fprintf(call->out, " (%s)", time->subject);
        }
    }
}

static void info_lock(struct hmp_call *call, const struct device *device, const struct lock_stats *stats)
{
    fprintf(call->out, "%s: taken %" PRIu64 ", waited for %" PRIu64 ", work handed over %" PRIu64 "%s\n", device->id,
            stats->acquisitions, stats->contended, stats->works, stats->enabled ? "" : " (not counting)");
    if (stats->hold.ns > 0) {
        info_lock_time(call, "hold", &stats->hold);
        fprintf(call->out, ", %" PRIu64 " works in it\n", stats->hold_works);
    }
    if (stats->wait.ns > 0) {
        info_lock_time(call, "wait", &stats->wait);
        fprintf(call->out, ", for %s\n", stats->wait_for ? stats->wait_for : "?");
    }
    if (stats->holder) {
        fprintf(call->out, "  held now at %s\n", stats->holder);
    }
}

void info_locks(struct hmp_call *call)
{
    const struct machine_device *entry;
    bool any = false;

    for (size_t i = 0; (entry = machine_device_nth(call->machine, i)); i++) {
        struct lock_stats stats;

        if (entry->is_leaving) {
            continue;
        }
        device_lock_stats_read(entry->device->lock, &stats);
        if (stats.enabled || stats.acquisitions > 0) {
            any = true;
            info_lock(call, entry->device, &stats);
        }
    }
    if (!any) {
        fprintf(call->out, "No lock is counted; 'lock-stats on' counts those of all devices\n");
    }
}

void hmp_lock_stats(struct hmp_call *call)
{
    const char *value = hmp_next_word(&call->arguments);
    bool on = value && strcmp(value, "on") == 0;
    const struct machine_device *entry;
    int ret = 0;

    if (!value || (!on && strcmp(value, "off") != 0)) {
        fprintf(call->out, "Error: lock-stats takes 'on' or 'off'\n");
        return;
    }
    if (hmp_has_excess(call)) {
        return;
    }
    for (size_t i = 0; (entry = machine_device_nth(call->machine, i)); i++) {
        if (entry->is_leaving) {
            continue;
        }
        if (on) {
            ret = ret < 0 ? ret : device_lock_stats_enable(entry->device->lock);
        } else {
            device_lock_stats_disable(entry->device->lock);
        }
    }
    if (ret < 0) {
        fprintf(call->out, "Error: out of memory\n");
    }
}
