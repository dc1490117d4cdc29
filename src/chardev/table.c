/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All chardevs of a machine, by id, and who gets which. Configuration thread only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chardev/chardev_internal.h"

struct table_entry {
    struct chardev *chardev;
    struct chardev_mux *mux; /* NULL: one device uses it alone */
    struct table_entry *next;
};

struct chardev_table {
    struct table_entry *first;
    struct table_entry **last;
};

struct chardev_table *chardev_table_create(void)
{
    struct chardev_table *table = calloc(1, sizeof(*table));

    if (table) {
        table->last = &table->first;
    }
    return table;
}

static void table_entry_free(struct table_entry *entry)
{
    if (entry->mux) {
        chardev_mux_destroy(entry->mux);
    } else {
        chardev_destroy(entry->chardev);
    }
    free(entry);
}

void chardev_table_destroy(struct chardev_table *table)
{
    struct table_entry *entry = table ? table->first : NULL;

    while (entry) {
        struct table_entry *next = entry->next;

        table_entry_free(entry);
        entry = next;
    }
    free(table);
}

static struct table_entry *table_find(const struct chardev_table *table, const char *id)
{
    for (struct table_entry *entry = table->first; entry; entry = entry->next) {
        if (strcmp(entry->chardev->id, id) == 0) {
            return entry;
        }
    }
    return NULL;
}

struct chardev *chardev_table_find(const struct chardev_table *table, const char *id)
{
    const struct table_entry *entry = table_find(table, id);

    return entry ? entry->chardev : NULL;
}

int chardev_table_add(struct chardev_table *table, struct chardev *chardev, struct error **err)
{
    struct table_entry *entry = NULL;
    int ret;

    if (table_find(table, chardev->id)) {
        ret = error_set(err, -EEXIST, "there are two chardevs with id '%s'", chardev->id);
        goto fail;
    }
    entry = calloc(1, sizeof(*entry));
    if (!entry) {
        ret = error_set(err, -ENOMEM, "no memory for chardev '%s'", chardev->id);
        goto fail;
    }
    entry->chardev = chardev;
    if (chardev->mux) {
        entry->mux = chardev_mux_create(chardev, &chardev->env, err);
        if (!entry->mux) {
            ret = -ENOMEM;
            goto fail;
        }
    }
    *table->last = entry;
    table->last = &entry->next;
    return 0;

fail:
    free(entry);
    chardev_destroy(chardev);
    return ret;
}

static bool table_entry_is_used(const struct table_entry *entry)
{
    return entry->mux ? chardev_mux_is_used(entry->mux) : chardev_has_frontend(entry->chardev);
}

bool chardev_table_is_used(const struct chardev_table *table, const char *id)
{
    const struct table_entry *entry = table_find(table, id);

    return entry && table_entry_is_used(entry);
}

int chardev_table_remove(struct chardev_table *table, const char *id, struct error **err)
{
    struct table_entry **link = &table->first;
    struct table_entry *entry;

    while (*link && strcmp((*link)->chardev->id, id) != 0) {
        link = &(*link)->next;
    }
    entry = *link;
    if (!entry) {
        return error_set(err, -ENOENT, "Chardev '%s' not found", id);
    }
    if (table_entry_is_used(entry)) {
        return error_set(err, -EBUSY, "Chardev '%s' is busy", id);
    }
    *link = entry->next;
    if (table->last == &entry->next) {
        table->last = link;
    }
    table_entry_free(entry);
    return 0;
}

struct chardev *chardev_table_claim(struct chardev_table *table, const char *id, struct error **err)
{
    struct table_entry *entry = table ? table_find(table, id) : NULL;

    if (!entry) {
        error_set(err, -ENOENT, "there is no chardev with id '%s'", id);
        return NULL;
    }
    if (entry->mux) {
        return chardev_mux_add_port(entry->mux, id, err);
    }
    if (chardev_has_frontend(entry->chardev)) {
        error_set(err, -EBUSY, "chardev '%s' is used by another device (mux=on lets several share it)", id);
        return NULL;
    }
    return entry->chardev;
}

void chardev_table_foreach(struct chardev_table *table, void (*fn)(struct chardev *chardev, void *opaque), void *opaque)
{
    for (struct table_entry *entry = table->first; entry; entry = entry->next) {
        fn(entry->chardev, opaque);
    }
}
