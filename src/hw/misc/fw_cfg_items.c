/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fw_cfg's items: the table that the machine fills before the guest runs. Nothing here is reached by a guest, whose
 * selectors come in through fw_cfg_find and are brought into range there.
 */
#include "hw/misc/fw_cfg.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SELECTOR_WRITE 0x4000 /* QEMU's docs: ignored */
#define SELECTOR_ARCH  0x8000

#define ID_TRADITIONAL 1u
#define ID_DMA         2u

/* As the directory shows a file: 64 bytes, big-endian. */
struct directory_entry {
    uint32_t size_be;
    uint16_t select_be;
    uint16_t reserved;
    char name[FW_CFG_NAME_BYTES];
};

struct fw_cfg_item *fw_cfg_find(struct fw_cfg *fw_cfg, uint16_t selector)
{
    unsigned key = selector & (uint16_t) ~(SELECTOR_WRITE | SELECTOR_ARCH);

    if (selector & SELECTOR_ARCH) {
        return key < ARRAY_SIZE(fw_cfg->arch) ? &fw_cfg->arch[key] : NULL;
    }
    return key < ARRAY_SIZE(fw_cfg->generic) ? &fw_cfg->generic[key] : NULL;
}

static void item_set(struct fw_cfg_item *item, const uint8_t *bytes, uint8_t *owned, uint32_t len_bytes)
{
    free(item->owned);
    *item = (struct fw_cfg_item){.bytes = bytes, .owned = owned, .len_bytes = len_bytes};
}

static int item_copy(struct fw_cfg_item *item, const void *bytes, uint32_t len_bytes)
{
    uint8_t *copy = malloc(len_bytes ? len_bytes : 1);

    if (!copy) {
        return -ENOMEM;
    }
    if (len_bytes > 0) {
        memcpy(copy, bytes, len_bytes);
    }
    item_set(item, copy, copy, len_bytes);
    return 0;
}

/* A key that the machine may set by number. */
static struct fw_cfg_item *numbered_item(struct fw_cfg *fw_cfg, uint16_t key)
{
    bool made_here = key == FW_CFG_SIGNATURE || key == FW_CFG_ID || key == FW_CFG_FILE_DIR;
    unsigned number = key & (uint16_t)~SELECTOR_ARCH;

    return made_here || number >= FW_CFG_FILE_FIRST ? NULL : fw_cfg_find(fw_cfg, key);
}

int fw_cfg_add_bytes(struct fw_cfg *fw_cfg, uint16_t key, const void *bytes, uint32_t len_bytes)
{
    struct fw_cfg_item *item = numbered_item(fw_cfg, key);

    return item ? item_copy(item, bytes, len_bytes) : -EINVAL;
}

int fw_cfg_add_borrowed(struct fw_cfg *fw_cfg, uint16_t key, const void *bytes, uint32_t len_bytes)
{
    struct fw_cfg_item *item = numbered_item(fw_cfg, key);

    if (!item) {
        return -EINVAL;
    }
    item_set(item, bytes, NULL, len_bytes);
    return 0;
}

int fw_cfg_add_u16(struct fw_cfg *fw_cfg, uint16_t key, uint16_t value)
{
    value = htole16(value);
    return fw_cfg_add_bytes(fw_cfg, key, &value, sizeof(value));
}

int fw_cfg_add_u32(struct fw_cfg *fw_cfg, uint16_t key, uint32_t value)
{
    value = htole32(value);
    return fw_cfg_add_bytes(fw_cfg, key, &value, sizeof(value));
}

int fw_cfg_add_u64(struct fw_cfg *fw_cfg, uint16_t key, uint64_t value)
{
    value = htole64(value);
    return fw_cfg_add_bytes(fw_cfg, key, &value, sizeof(value));
}

int fw_cfg_add_string(struct fw_cfg *fw_cfg, uint16_t key, const char *text)
{
    return fw_cfg_add_bytes(fw_cfg, key, text, (uint32_t)strlen(text) + 1);
}

int fw_cfg_add_file(struct fw_cfg *fw_cfg, const char *name, const void *bytes, uint32_t len_bytes, bool writable,
                    struct error **err)
{
    struct fw_cfg_item *item = &fw_cfg->generic[FW_CFG_FILE_FIRST + fw_cfg->file_count];
    size_t name_len = strlen(name);

    if (name_len == 0 || name_len >= FW_CFG_NAME_BYTES) {
        return error_set(err, -EINVAL, "fw_cfg file name '%s' must have 1..%d characters", name, FW_CFG_NAME_BYTES - 1);
    }
    for (unsigned i = 0; i < fw_cfg->file_count; i++) {
        if (strcmp(fw_cfg->file_names[i], name) == 0) {
            return error_set(err, -EINVAL, "there are two fw_cfg files '%s'", name);
        }
    }
    if (fw_cfg->file_count == FW_CFG_MAX_FILES) {
        return error_set(err, -ENOSPC, "there are more than %d fw_cfg files", FW_CFG_MAX_FILES);
    }
    if (item_copy(item, bytes, len_bytes) != 0) {
        return error_set(err, -ENOMEM, "no memory for fw_cfg file '%s'", name);
    }
    item->writable = writable;
    memcpy(fw_cfg->file_names[fw_cfg->file_count], name, name_len + 1);
    fw_cfg->file_count++;
    return 0;
}

static int add_directory(struct fw_cfg *fw_cfg)
{
    size_t len_bytes = sizeof(uint32_t) + fw_cfg->file_count * sizeof(struct directory_entry);
    uint8_t *directory = calloc(1, len_bytes);
    uint32_t count_be = htobe32(fw_cfg->file_count);

    if (!directory) {
        return -ENOMEM;
    }
    memcpy(directory, &count_be, sizeof(count_be));
    for (unsigned i = 0; i < fw_cfg->file_count; i++) {
        struct directory_entry entry = {
            .size_be = htobe32(fw_cfg->generic[FW_CFG_FILE_FIRST + i].len_bytes),
            .select_be = htobe16((uint16_t)(FW_CFG_FILE_FIRST + i)),
        };

        memcpy(entry.name, fw_cfg->file_names[i], sizeof(entry.name));
        memcpy(directory + sizeof(count_be) + i * sizeof(entry), &entry, sizeof(entry));
    }
    item_set(&fw_cfg->generic[FW_CFG_FILE_DIR], directory, directory, (uint32_t)len_bytes);
    return 0;
}

int fw_cfg_add_standard(struct fw_cfg *fw_cfg)
{
    uint32_t id = htole32(ID_TRADITIONAL | (fw_cfg->isa.device.dma_space ? ID_DMA : 0));
    int ret = item_copy(&fw_cfg->generic[FW_CFG_SIGNATURE], "QEMU", 4);

    if (ret == 0) {
        ret = item_copy(&fw_cfg->generic[FW_CFG_ID], &id, sizeof(id));
    }
    return ret == 0 ? add_directory(fw_cfg) : ret;
}

void fw_cfg_free_items(struct fw_cfg *fw_cfg)
{
    for (unsigned i = 0; i < ARRAY_SIZE(fw_cfg->generic); i++) {
        item_set(&fw_cfg->generic[i], NULL, NULL, 0);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(fw_cfg->arch); i++) {
        item_set(&fw_cfg->arch[i], NULL, NULL, 0);
    }
}
