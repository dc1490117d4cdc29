/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Properties from text. One function a type parses; all of them leave the object untouched on failure. What comes in
 * was typed by an operator, not by a guest.
 */
#include "device/property.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/options.h"
#include "base/spelling.h"

static const char *const type_names[] = {
    [PROPERTY_BOOL] = "bool",
    [PROPERTY_U8] = "uint8",
    [PROPERTY_U16] = "uint16",
    [PROPERTY_U32] = "uint32",
    [PROPERTY_U64] = "uint64",
    [PROPERTY_SIZE] = "size",
    [PROPERTY_STRING] = "str",
    [PROPERTY_ON_OFF_AUTO] = "OnOffAuto",
    [PROPERTY_PCI_ADDR] = "PCI address",
};

const char *property_type_name(enum property_type type)
{
    return type_names[type];
}

/* "slot[.function]", both hexadecimal (PCI 3.0: 32 slots of 8 functions). */
static int parse_pci_addr(const char *text, int32_t *devfn)
{
    char *end;
    unsigned long slot;
    unsigned long function = 0;

    if (!isxdigit((unsigned char)text[0])) {
        return -EINVAL;
    }
    slot = strtoul(text, &end, 16);
    if (*end == '.' && isxdigit((unsigned char)end[1])) {
        function = strtoul(end + 1, &end, 16);
    }
    if (*end != '\0' || slot > 31 || function > 7) {
        return -EINVAL;
    }
    *devfn = (int32_t)(slot << 3 | function);
    return 0;
}

static uint64_t property_max(const struct property *property)
{
    if (property->max != 0) {
        return property->max;
    }
    switch (property->type) {
    case PROPERTY_U8:
        return UINT8_MAX;
    case PROPERTY_U16:
        return UINT16_MAX;
    case PROPERTY_U32:
        return UINT32_MAX;
    default:
        return UINT64_MAX;
    }
}

static int set_integer(void *field, const struct property *property, const char *text, struct error **err)
{
    uint64_t value = 0;
    int ret = property->type == PROPERTY_SIZE ? parse_size(text, 1, &value) : parse_uint(text, &value);

    if (ret != 0) {
        return error_set(err, -EINVAL, "property '%s' takes a %s, not '%s'", property->name,
                         property->type == PROPERTY_SIZE ? "size such as 64k or 1M" : "number", text);
    }
    if (value < property->min || value > property_max(property)) {
        return error_set(err, -ERANGE, "property '%s' is %s, but must be in %llu..%llu", property->name, text,
                         (unsigned long long)property->min, (unsigned long long)property_max(property));
    }
    switch (property->type) {
    case PROPERTY_U8:
        *(uint8_t *)field = (uint8_t)value;
        break;
    case PROPERTY_U16:
        *(uint16_t *)field = (uint16_t)value;
        break;
    case PROPERTY_U32:
        *(uint32_t *)field = (uint32_t)value;
        break;
    default:
        *(uint64_t *)field = value;
    }
    return 0;
}

static int set_on_off_auto(void *field, const struct property *property, const char *text, struct error **err)
{
    bool on = false;
    bool is_auto = strcmp(text, "auto") == 0;

    if (!is_auto && parse_bool(text, &on) != 0) {
        return error_set(err, -EINVAL, "property '%s' takes on, off or auto, not '%s'", property->name, text);
    }
    *(enum on_off_auto *)field = is_auto ? OPT_AUTO : on ? OPT_ON : OPT_OFF;
    return 0;
}

static int set_string(void *field, const char *text)
{
    char *copy = strdup(text);

    if (!copy) {
        return -ENOMEM;
    }
    free(*(char **)field);
    *(char **)field = copy;
    return 0;
}

static int property_parse(void *object, const struct property *property, const char *text, struct error **err)
{
    void *field = (char *)object + property->offset;

    switch (property->type) {
    case PROPERTY_BOOL:
        return parse_bool(text, field) == 0
                   ? 0
                   : error_set(err, -EINVAL, "property '%s' takes on or off, not '%s'", property->name, text);
    case PROPERTY_STRING:
        return set_string(field, text);
    case PROPERTY_ON_OFF_AUTO:
        return set_on_off_auto(field, property, text, err);
    case PROPERTY_PCI_ADDR:
        return parse_pci_addr(text, field) == 0
                   ? 0
                   : error_set(err, -EINVAL, "property '%s' takes slot[.function] in hexadecimal, not '%s'",
                               property->name, text);
    default:
        return set_integer(field, property, text, err);
    }
}

void property_set_defaults(void *object, const struct property *table)
{
    for (const struct property *property = table; property->name; property++) {
        if (property->default_value) {
            int ret = property_parse(object, property, property->default_value, NULL);

            assert(ret == 0);
            (void)ret;
        } else if (property->type == PROPERTY_PCI_ADDR) {
            *(int32_t *)((char *)object + property->offset) = -1;
        }
    }
}

int property_set(void *object, const struct property *table, const char *name, const char *value, struct error **err)
{
    struct spelling spelling;

    spelling_begin(&spelling, name);
    for (const struct property *property = table; property->name; property++) {
        if (strcmp(property->name, name) == 0) {
            return property_parse(object, property, value, err);
        }
        spelling_offer(&spelling, property->name);
    }
    if (spelling_nearest(&spelling)) {
        return error_set(err, -ENOENT, "there is no property '%s'; did you mean '%s'?", name,
                         spelling_nearest(&spelling));
    }
    return error_set(err, -ENOENT, "there is no property '%s'", name);
}

static uint64_t get_integer(const void *field, enum property_type type)
{
    switch (type) {
    case PROPERTY_U8:
        return *(const uint8_t *)field;
    case PROPERTY_U16:
        return *(const uint16_t *)field;
    case PROPERTY_U32:
        return *(const uint32_t *)field;
    default:
        return *(const uint64_t *)field;
    }
}

char *property_get(const void *object, const struct property *property)
{
    static const char *const on_off_auto[] = {[OPT_AUTO] = "auto", [OPT_ON] = "on", [OPT_OFF] = "off"};
    const void *field = (const char *)object + property->offset;
    char text[24];
    int32_t devfn;

    switch (property->type) {
    case PROPERTY_BOOL:
        return strdup(*(const bool *)field ? "on" : "off");
    case PROPERTY_STRING:
        return strdup(*(char *const *)field ? *(char *const *)field : "");
    case PROPERTY_ON_OFF_AUTO:
        return strdup(on_off_auto[*(const enum on_off_auto *)field]);
    case PROPERTY_PCI_ADDR:
        devfn = *(const int32_t *)field;
        snprintf(text, sizeof(text), "%02x.%x", (unsigned)devfn >> 3 & 31, (unsigned)devfn & 7);
        return strdup(devfn < 0 ? "" : text);
    default:
        snprintf(text, sizeof(text), "%llu", (unsigned long long)get_integer(field, property->type));
        return strdup(text);
    }
}

void property_release(void *object, const struct property *table)
{
    for (const struct property *property = table; property->name; property++) {
        if (property->type == PROPERTY_STRING) {
            char **field = (char **)((char *)object + property->offset);

            free(*field);
            *field = NULL;
        }
    }
}
