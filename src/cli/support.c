/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Growing lists and owned texts for the parsers, and freeing it all. No state of its own. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

void *cli_append(void *items, size_t *count, size_t element_bytes)
{
    char *grown = reallocarray(items, *count + 1, element_bytes);

    if (grown) {
        memset(grown + *count * element_bytes, 0, element_bytes);
        ++*count;
    }
    return grown;
}

int cli_set_string(char **slot, const char *text, struct error **err)
{
    char *copy = strdup(text);

    if (!copy) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    free(*slot);
    *slot = copy;
    return 0;
}

int string_list_add(struct string_list *list, const char *text, struct error **err)
{
    char **items = cli_append(list->items, &list->count, sizeof(*items));

    if (!items) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    list->items = items;
    return cli_set_string(&items[list->count - 1], text, err);
}

int cli_check_id(const char *what, const char *id, struct error **err)
{
    return option_id_is_valid(id)
               ? 0
               : error_set(err, -EINVAL,
                           "%s: '%s' can't be an id; it is a letter, then letters, digits, '-', '.' and '_'", what, id);
}

bool cli_asks_for_help(const char *text)
{
    return strcmp(text, "help") == 0 || strcmp(text, "?") == 0;
}

static void strings_free(char **items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(items[i]);
    }
    free(items);
}

void config_object_release(struct config_object *object)
{
    free(object->type);
    free(object->id);
    options_release(&object->options);
}

void config_object_remove(struct machine_config *config, struct config_object *object)
{
    size_t index = (size_t)(object - config->objects);

    config_object_release(object);
    config->object_count--;
    memmove(object, object + 1, (config->object_count - index) * sizeof(*object));
}

int cli_read_file(const char *path, size_t max_bytes, uint8_t **bytes, size_t *len_bytes, struct error **err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    uint8_t *buffer = fd >= 0 ? malloc(max_bytes + 2) : NULL; /* one more, to see that there is more */
    size_t used = 0;
    ssize_t got = 1;
    int ret = 0;

    while (buffer && got > 0 && used <= max_bytes) {
        got = read(fd, buffer + used, max_bytes + 1 - used);
        used += got > 0 ? (size_t)got : 0;
    }
    if (fd < 0 || !buffer || got < 0) {
        ret = error_set(err, -errno, "can't read '%s': %s", path, strerror(errno));
    } else if (used > max_bytes) {
        ret = error_set(err, -EFBIG, "'%s' is larger than %zu bytes", path, max_bytes);
    }
    if (fd >= 0) {
        close(fd);
    }
    if (ret < 0) {
        free(buffer);
        return ret;
    }
    buffer[used] = 0;
    *bytes = buffer;
    *len_bytes = used;
    return 0;
}

static void config_release_lists(struct machine_config *config)
{
    for (size_t i = 0; i < config->device_count; i++) {
        free(config->devices[i].type);
        free(config->devices[i].id);
        options_release(&config->devices[i].options);
    }
    for (size_t i = 0; i < config->node_count; i++) {
        free(config->nodes[i].name);
        options_release(&config->nodes[i].options);
    }
    for (size_t i = 0; i < config->chardev_count; i++) {
        free(config->chardevs[i].id);
        free(config->chardevs[i].backend);
        options_release(&config->chardevs[i].options);
    }
    for (size_t i = 0; i < config->object_count; i++) {
        config_object_release(&config->objects[i]);
    }
    for (size_t i = 0; i < config->monitor_count; i++) {
        free(config->monitors[i].id);
        free(config->monitors[i].chardev);
    }
    for (size_t i = 0; i < config->secret_count; i++) {
        free(config->secrets[i].id);
        free(config->secrets[i].bytes);
    }
    for (size_t i = 0; i < config->fw_cfg_count; i++) {
        free(config->fw_cfgs[i].name);
        free(config->fw_cfgs[i].bytes);
    }
    for (size_t i = 0; i < config->global_count; i++) {
        free(config->globals[i].driver);
        free(config->globals[i].property);
        free(config->globals[i].value);
    }
    for (size_t i = 0; i < config->fd_count; i++) {
        free(config->fds[i].opaque);
    }
    free(config->secrets);
    free(config->fw_cfgs);
    free(config->globals);
    free(config->fds);
    free(config->devices);
    free(config->nodes);
    free(config->chardevs);
    free(config->objects);
    free(config->monitors);
}

void cli_release(struct cli *cli)
{
    struct machine_config *config = &cli->config;

    config_release_lists(config);
    strings_free(config->accels, config->accel_count);
    free(config->name);
    free(config->machine_type);
    free(config->cpu);
    free(config->kernel);
    free(config->initrd);
    free(config->append);
    for (unsigned i = 0; i < MACHINE_SERIALS_MAX; i++) {
        free(config->serials[i]);
    }
    strings_free(cli->trace_patterns.items, cli->trace_patterns.count);
    strings_free(cli->serials.items, cli->serials.count);
    free(cli->memory_backend);
    free(cli->pidfile);
    free(cli->log_path);
    memset(cli, 0, sizeof(*cli));
}
