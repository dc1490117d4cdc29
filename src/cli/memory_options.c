/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's memory: -m, -mem-prealloc, and the memory backend that -machine memory-backend= names. heddle's memory is
 * a memfd in any case, so a backend says how large it is and what pages it is made of; it becomes the ram_ fields of
 * the configuration and is no object any more.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/option_string.h"
#include "base/spelling.h"
#include "cli/cli.h"

#define MIB             (UINT64_C(1) << 20)
#define MEMORY_MAX      (UINT64_C(1) << 46)
#define BACKEND_TYPE    "memory-backend-"
#define HUGE_PAGE_MIN   (UINT64_C(64) << 10)
#define PAGE_SIZE_BYTES UINT64_C(4096)

/* --- -m, -mem-prealloc ------------------------------------------------------------------------------------------ */

int cli_parse_memory(struct cli *cli, const char *arg, struct error **err)
{
    static const char *const keys[] = {"size", NULL};
    struct options options = {0};
    uint64_t bytes = cli->config.ram_bytes;
    int ret = option_string_parse(arg, "size", "-m", &options, err);

    if (ret == 0 && (options_get(&options, "slots") || options_get(&options, "maxmem"))) {
        ret = error_set(err, -EINVAL, "-m: 'slots' and 'maxmem' aren't supported: memory can't be added later");
    }
    if (ret == 0) {
        ret = options_check_keys(&options, "-m", keys, err);
    }
    if (ret == 0) {
        ret = options_get_size(&options, "-m", "size", MIB, &bytes, err);
    }
    options_release(&options);
    if (ret < 0) {
        return ret;
    }
    if (bytes < MIB || bytes > MEMORY_MAX) {
        return error_set(err, -EINVAL, "-m: a machine needs at least 1 MiB of memory and at most 64 TiB, not '%s'",
                         arg);
    }
    cli->config.ram_bytes = ALIGN_UP(bytes, PAGE_SIZE_BYTES);
    cli->memory_size_given = true;
    return 0;
}

int cli_parse_mem_prealloc(struct cli *cli, const char *arg, struct error **err)
{
    cli->config.ram_prealloc = true;
    return 0;
}

/* --- memory backends -------------------------------------------------------------------------------------------- */

static bool backend_is(const struct config_object *object)
{
    return strncmp(object->type, BACKEND_TYPE, strlen(BACKEND_TYPE)) == 0;
}

static struct config_object *backend_find(struct cli *cli, struct error **err)
{
    struct machine_config *config = &cli->config;
    struct spelling spelling;
    const char *nearest;

    spelling_begin(&spelling, cli->memory_backend);
    for (size_t i = 0; i < config->object_count; i++) {
        if (!backend_is(&config->objects[i])) {
            continue;
        }
        if (strcmp(config->objects[i].id, cli->memory_backend) == 0) {
            return &config->objects[i];
        }
        spelling_offer(&spelling, config->objects[i].id);
    }
    nearest = spelling_nearest(&spelling);
    error_set(err, -ENOENT, "-machine: there is no memory backend '%s'%s%s%s", cli->memory_backend,
              nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    return NULL;
}

/* Where -m is given as well, both must say the same. */
static int backend_take_size(struct cli *cli, const struct options *options, const char *what, struct error **err)
{
    struct machine_config *config = &cli->config;
    uint64_t bytes = 0;
    int ret = options_get_size(options, what, "size", 1, &bytes, err);

    if (ret < 0) {
        return ret;
    }
    if (!options_get(options, "size")) {
        return error_set(err, -EINVAL, "%s: 'size' is missing", what);
    }
    if (bytes < MIB || bytes > MEMORY_MAX || bytes % PAGE_SIZE_BYTES != 0) {
        return error_set(err, -EINVAL, "%s: 'size' must be 1 MiB to 64 TiB, and whole pages, not '%s'", what,
                         options_get(options, "size"));
    }
    if (cli->memory_size_given && bytes != config->ram_bytes) {
        return error_set(err, -EINVAL, "%s: 'size' is %" PRIu64 " bytes, but -m says %" PRIu64, what, bytes,
                         config->ram_bytes);
    }
    config->ram_bytes = bytes;
    return 0;
}

static int backend_take_pages(struct cli *cli, const struct options *options, const char *what, struct error **err)
{
    struct machine_config *config = &cli->config;
    uint64_t *bytes = &config->ram_huge_page_bytes;
    int ret = options_get_bool(options, what, "hugetlb", &config->ram_huge_pages, err);

    if (ret == 0) {
        ret = options_get_size(options, what, "hugetlbsize", 1, bytes, err);
    }
    if (ret < 0 || !options_get(options, "hugetlbsize")) {
        return ret;
    }
    if (!config->ram_huge_pages) {
        return error_set(err, -EINVAL, "%s: 'hugetlbsize' needs hugetlb=on", what);
    }
    if (*bytes < HUGE_PAGE_MIN || (*bytes & (*bytes - 1)) != 0) {
        return error_set(err, -EINVAL, "%s: 'hugetlbsize' must be a power of 2, such as 2M or 1G, not '%s'", what,
                         options_get(options, "hugetlbsize"));
    }
    if (config->ram_bytes % *bytes != 0) {
        return error_set(err, -EINVAL, "%s: 'size' isn't a multiple of 'hugetlbsize'", what);
    }
    return 0;
}

/* Values that change nothing here, but must be values. */
static int backend_take_harmless(const struct options *options, const char *what, struct error **err)
{
    static const char *const keys[] = {"share", "merge", "dump"};
    bool ignored;
    int ret = 0;

    for (size_t i = 0; ret == 0 && i < ARRAY_SIZE(keys); i++) {
        ret = options_get_bool(options, what, keys[i], &ignored, err);
    }
    return ret;
}

static int backend_take(struct cli *cli, const struct config_object *object, struct error **err)
{
    HDL_AUTO_FREE char *what = NULL;
    bool prealloc = cli->config.ram_prealloc;
    int ret;

    if (asprintf(&what, "-object %s,id=%s", object->type, object->id) < 0) {
        what = NULL;
        return error_set(err, -ENOMEM, "out of memory");
    }
    ret = backend_take_size(cli, &object->options, what, err);
    if (ret == 0) {
        ret = backend_take_pages(cli, &object->options, what, err);
    }
    if (ret == 0) {
        ret = backend_take_harmless(&object->options, what, err);
    }
    if (ret == 0) {
        ret = options_get_bool(&object->options, what, "prealloc", &prealloc, err);
    }
    cli->config.ram_prealloc |= prealloc;
    return ret;
}

int cli_finish_memory(struct cli *cli, struct error **err)
{
    struct machine_config *config = &cli->config;

    if (cli->memory_backend) {
        struct config_object *object = backend_find(cli, err);
        int ret = object ? backend_take(cli, object, err) : -ENOENT;

        if (ret < 0) {
            return ret;
        }
        config_object_remove(config, object);
    }
    for (size_t i = 0; i < config->object_count; i++) {
        if (backend_is(&config->objects[i])) {
            return error_set(err, -EINVAL, "-object %s,id=%s: nothing uses it; -machine memory-backend=%s would",
                             config->objects[i].type, config->objects[i].id, config->objects[i].id);
        }
    }
    return 0;
}
