/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options that describe the machine as a whole. Some that QEMU knows are accepted with exactly those values that say
 * what heddle does anyway; any other value is an error, so that nobody gets less than was asked for without being told.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/option_string.h"
#include "base/spelling.h"
#include "cli/cli.h"
#include "machine/machine_types.h"
#include "vcpu/cpu_model.h"

static const char *const accel_names[] = {"kvm", "soft", NULL};

/* A key that is taken only with values that change nothing. values: separated by "|". */
struct harmless {
    const char *key;
    const char *values;
};

static bool harmless_allows(const struct harmless *harmless, const char *value)
{
    size_t len = strlen(value);
    const char *word = harmless->values;

    while (*word) {
        size_t word_len = strcspn(word, "|");

        if (word_len == len && strncmp(word, value, len) == 0) {
            return true;
        }
        word += word_len + (word[word_len] == '|');
    }
    return false;
}

/* Takes the harmless keys out of the list. */
static int harmless_take(struct options *options, const char *what, const struct harmless *table, struct error **err)
{
    for (; table->key; table++) {
        HDL_AUTO_FREE char *value = options_take(options, table->key);

        if (value && !harmless_allows(table, value)) {
            return error_set(err, -EINVAL, "%s: '%s=%s' isn't supported; valid: %s", what, table->key, value,
                             table->values);
        }
    }
    return 0;
}

/* --- -machine, -accel ------------------------------------------------------------------------------------------- */

static int unknown_word(const char *what, const char *word, const char *const *words, struct error **err)
{
    const char *nearest = spelling_nearest_in(word, words);

    return error_set(err, -EINVAL, "there is no %s '%s'; did you mean '%s'?", what, word, nearest ? nearest : words[0]);
}

static bool word_is_in(const char *word, const char *const *words)
{
    for (; *words; words++) {
        if (strcmp(*words, word) == 0) {
            return true;
        }
    }
    return false;
}

static int accel_add(struct cli *cli, const char *name, struct error **err)
{
    struct machine_config *config = &cli->config;
    char **slot;

    if (strcmp(name, "tcg") == 0) { /* what scripts written for QEMU call theirs */
        name = "soft";
    }
    if (!word_is_in(name, accel_names)) {
        return unknown_word("accelerator", name, accel_names, err);
    }
    slot = cli_append(config->accels, &config->accel_count, sizeof(*slot));
    if (!slot) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    config->accels = slot;
    return cli_set_string(&config->accels[config->accel_count - 1], name, err);
}

/* "kvm:tcg": in order of preference. Names that don't exist are skipped as long as another one does. */
static int accel_add_list(struct cli *cli, const char *list, struct error **err)
{
    HDL_AUTO_FREE char *copy = strdup(list);
    char *rest = copy;
    char *name;
    bool found = false;

    if (!copy) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    while ((name = strsep(&rest, ":"))) {
        if (word_is_in(name, accel_names) || strcmp(name, "tcg") == 0) {
            int ret = accel_add(cli, name, err);

            if (ret < 0) {
                return ret;
            }
            found = true;
        }
    }
    return found ? 0 : unknown_word("accelerator", list, accel_names, err);
}

static int irqchip_take(struct cli *cli, struct options *options, const char *what, struct error **err)
{
    static const char *const words[] = {"on", "split", "off", NULL};
    HDL_AUTO_FREE char *old_spelling = options_take(options, "kernel_irqchip");
    unsigned choice = cli->config.irqchip;
    int ret = old_spelling ? options_set(options, "kernel-irqchip", old_spelling) : 0;

    if (ret == 0) {
        ret = options_get_choice(options, what, "kernel-irqchip", words, &choice, err);
    }
    if (ret == 0) {
        cli->config.irqchip = (enum config_irqchip)choice;
        free(options_take(options, "kernel-irqchip"));
    }
    return ret;
}

static int kernel_payload_take(struct cli *cli, struct options *options, struct error **err)
{
    static const char *const words[] = {"auto", "on", "off", NULL};
    unsigned choice = cli->config.kernel_payload;
    int ret = options_get_choice(options, "-machine", "kernel-payload", words, &choice, err);

    if (ret == 0) {
        cli->config.kernel_payload = (enum config_kernel_payload)choice;
        free(options_take(options, "kernel-payload"));
    }
    return ret;
}

/* A machine of the table; also "pc", and any version of q35, which are all the one there is. NULL and an error. */
static const struct machine_type *machine_type_named(const char *name, struct error **err)
{
    const struct machine_type *type = machine_type_find(name);
    struct spelling spelling;

    if (!type && (strcmp(name, "pc") == 0 || strncmp(name, "pc-q35-", 7) == 0)) {
        type = machine_type_default();
    }
    if (!type) {
        spelling_begin(&spelling, name);
        for (const struct machine_type *known = machine_types; known->name; known++) {
            spelling_offer(&spelling, known->name);
            if (known->alias) {
                spelling_offer(&spelling, known->alias);
            }
        }
        error_set(err, -EINVAL, "there is no machine '%s'; did you mean '%s'?", name, spelling_nearest(&spelling));
    }
    return type;
}

static int machine_type_take(struct cli *cli, struct options *options, struct error **err)
{
    HDL_AUTO_FREE char *name = options_take(options, "type");
    const struct machine_type *type;

    if (!name) {
        return 0;
    }
    type = machine_type_named(name, err);
    if (!type) {
        return -EINVAL;
    }
    cli->config.machine_none = type->is_none;
    return cli_set_string(&cli->config.machine_type, type->name, err);
}

/* Keys that ask for less than there is, of which heddle can do some. */
static int machine_take_less(struct cli *cli, struct options *options, struct error **err)
{
    bool dump = true;
    bool hpet = true;
    int ret = options_get_bool(options, "-machine", "dump-guest-core", &dump, err);

    if (ret == 0) {
        ret = options_get_bool(options, "-machine", "hpet", &hpet, err);
    }
    if (ret < 0) {
        return ret;
    }
    if (options_get(options, "pflash0") || options_get(options, "pflash1")) {
        return error_set(err, -EINVAL, "-machine: there is no firmware yet, so no 'pflash0' or 'pflash1'");
    }
    if (options_get(options, "dump-guest-core")) {
        cli->dump_no_guest = !dump;
    }
    if (!hpet) {
        log_warn("-machine hpet=off: the machine has an HPET all the same");
    }
    free(options_take(options, "dump-guest-core"));
    free(options_take(options, "hpet"));
    return 0;
}

static int machine_take(struct cli *cli, struct options *options, struct error **err)
{
    static const char *const keys[] = {"type", "accel", "kernel-irqchip", "kernel-payload", "memory-backend", NULL};
    static const struct harmless harmless[] = {
        {"usb", "off"},          {"vmport", "off|auto"}, {"smm", "off|auto"}, {"acpi", "on|auto"}, {"graphics", "off"},
        {"mem-merge", "on|off"}, {"nvdimm", "off"},      {"hmat", "off"},     {"sata", "off"},     {"smbus", "off"},
        {"i8042", "on"},         {"pit", "on"},          {"pic", "on|auto"},  {"rtc", "on|auto"},  {"pcie", "on|auto"},
        {"isa-serial", "on"},    {NULL, NULL},
    };
    HDL_AUTO_FREE char *accel = options_take(options, "accel");
    HDL_AUTO_FREE char *memory = options_take(options, "memory-backend");
    int ret = machine_type_take(cli, options, err);

    if (ret == 0 && memory) {
        ret = cli_set_string(&cli->memory_backend, memory, err);
    }
    if (ret == 0 && accel) {
        ret = accel_add_list(cli, accel, err);
    }
    if (ret == 0) {
        ret = irqchip_take(cli, options, "-machine", err);
    }
    if (ret == 0) {
        ret = kernel_payload_take(cli, options, err);
    }
    if (ret == 0) {
        ret = machine_take_less(cli, options, err);
    }
    if (ret == 0) {
        ret = harmless_take(options, "-machine", harmless, err);
    }
    return ret < 0 ? ret : options_check_keys(options, "-machine", keys, err);
}

int cli_parse_machine(struct cli *cli, const char *arg, struct error **err)
{
    struct options options = {0};
    int ret = option_string_parse(arg, "type", "-machine", &options, err);

    if (ret == 0 && (cli_asks_for_help(arg) || options_get(&options, "help") || options_get(&options, "?"))) {
        help_machines();
        ret = CLI_DONE;
    } else if (ret == 0) {
        ret = machine_take(cli, &options, err);
    }
    options_release(&options);
    return ret;
}

int cli_parse_accel(struct cli *cli, const char *arg, struct error **err)
{
    static const char *const keys[] = {"accel", "kernel-irqchip", NULL};
    static const struct harmless harmless[] = {{"thread", "multi"}, {NULL, NULL}};
    struct options options = {0};
    HDL_AUTO_FREE char *name = NULL;
    int ret;

    if (cli_asks_for_help(arg)) {
        help_accels();
        return CLI_DONE;
    }
    ret = option_string_parse(arg, "accel", "-accel", &options, err);
    name = ret == 0 ? options_take(&options, "accel") : NULL;
    if (ret == 0) {
        ret = accel_add_list(cli, name ? name : "", err);
    }
    if (ret == 0) {
        ret = irqchip_take(cli, &options, "-accel", err);
    }
    if (ret == 0) {
        ret = harmless_take(&options, "-accel", harmless, err);
    }
    if (ret == 0) {
        ret = options_check_keys(&options, "-accel", keys, err);
    }
    options_release(&options);
    return ret;
}

int cli_default_accel(struct cli *cli, struct error **err)
{
    return accel_add_list(cli, "kvm:soft", err);
}

int cli_parse_enable_kvm(struct cli *cli, const char *arg, struct error **err)
{
    return accel_add(cli, "kvm", err);
}

/* --- CPUs ------------------------------------------------------------------------------------------------------- */

int cli_parse_cpu(struct cli *cli, const char *arg, struct error **err)
{
    struct cpu_model model;
    int ret;

    if (cli_asks_for_help(arg)) {
        help_cpus();
        return CLI_DONE;
    }
    ret = cpu_model_parse(&model, arg, err);
    if (ret < 0) {
        error_prefix(err, "-cpu");
        return ret;
    }
    return cli_set_string(&cli->config.cpu, arg, err);
}

/* Missing numbers follow from the others; cores are filled up first. All that were given are at least 1. */
static int smp_complete(uint64_t *cpus, uint64_t *sockets, uint64_t *cores, uint64_t *threads, struct error **err)
{
    uint64_t threads_or_1 = *threads ? *threads : 1;
    uint64_t sockets_or_1 = *sockets ? *sockets : 1;

    if (*cpus == 0) {
        *cpus = sockets_or_1 * (*cores ? *cores : 1) * threads_or_1;
    }
    if (*cores == 0) {
        *cores = MAX(*cpus / (sockets_or_1 * threads_or_1), UINT64_C(1));
    }
    if (*sockets == 0) {
        *sockets = MAX(*cpus / (*cores * threads_or_1), UINT64_C(1));
    }
    if (*threads == 0) {
        *threads = MAX(*cpus / (*cores * *sockets), UINT64_C(1));
    }
    if (*sockets * *cores * *threads != *cpus) {
        return error_set(err, -EINVAL, "-smp: %u sockets of %u cores of %u threads aren't %u CPUs", (unsigned)*sockets,
                         (unsigned)*cores, (unsigned)*threads, (unsigned)*cpus);
    }
    if (*cpus > MACHINE_CPUS_MAX) {
        return error_set(err, -EINVAL, "-smp: %u CPUs are too many; at most %d", (unsigned)*cpus, MACHINE_CPUS_MAX);
    }
    return 0;
}

static int smp_take(struct cli *cli, const struct options *options, struct error **err)
{
    static const char *const keys[] = {"cpus", "sockets", "cores", "threads", "dies", "clusters", "maxcpus", NULL};
    uint64_t numbers[7] = {0};
    int ret = options_check_keys(options, "-smp", keys, err);

    for (unsigned i = 0; ret == 0 && keys[i]; i++) {
        ret = options_get_uint(options, "-smp", keys[i], 1, MACHINE_CPUS_MAX, &numbers[i], err);
    }
    if (ret == 0 && (numbers[4] > 1 || numbers[5] > 1)) {
        ret = error_set(err, -EINVAL, "-smp: more than one die or cluster isn't supported");
    }
    if (ret == 0) {
        ret = smp_complete(&numbers[0], &numbers[1], &numbers[2], &numbers[3], err);
    }
    if (ret == 0 && numbers[6] != 0 && numbers[6] != numbers[0]) {
        ret = error_set(err, -EINVAL, "-smp: 'maxcpus' must be the number of CPUs: they can't be added later");
    }
    if (ret == 0) {
        cli->config.cpus = (unsigned)numbers[0];
        cli->config.sockets = (unsigned)numbers[1];
        cli->config.cores = (unsigned)numbers[2];
        cli->config.threads = (unsigned)numbers[3];
    }
    return ret;
}

int cli_parse_smp(struct cli *cli, const char *arg, struct error **err)
{
    struct options options = {0};
    int ret = option_string_parse(arg, "cpus", "-smp", &options, err);

    if (ret == 0) {
        ret = smp_take(cli, &options, err);
    }
    options_release(&options);
    return ret;
}

/* --- the rest --------------------------------------------------------------------------------------------------- */

/* "2026-07-17T16:01:21" or "2026-07-17", in UTC. */
static int rtc_date_parse(const char *text, time_t *date)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

    if (!end) {
        tm = (struct tm){0};
        end = strptime(text, "%Y-%m-%d", &tm);
    }
    if (!end || *end != '\0') {
        return -EINVAL;
    }
    *date = timegm(&tm);
    return 0;
}

static int rtc_take(struct cli *cli, struct options *options, struct error **err)
{
    static const char *const keys[] = {"base", "clock", NULL};
    static const struct harmless harmless[] = {{"driftfix", "none|slew"}, {NULL, NULL}};
    static const char *const clocks[] = {"host", "vm", NULL};
    const char *base = options_get(options, "base");
    struct machine_config *config = &cli->config;
    unsigned clock = 0;
    bool slew = options_get(options, "driftfix") && strcmp(options_get(options, "driftfix"), "slew") == 0;
    int ret = harmless_take(options, "-rtc", harmless, err);

    if (ret == 0) {
        ret = options_check_keys(options, "-rtc", keys, err);
    }
    if (ret == 0) {
        ret = options_get_choice(options, "-rtc", "clock", clocks, &clock, err);
    }
    if (ret < 0) {
        return ret;
    }
    if (slew) {
        log_warn("-rtc driftfix=slew: the clock's interrupts that a guest misses aren't made up for");
    }
    config->rtc_host_clock = clock == 0;
    if (!base || strcmp(base, "utc") == 0) {
        config->rtc_base = CONFIG_RTC_UTC;
    } else if (strcmp(base, "localtime") == 0) {
        config->rtc_base = CONFIG_RTC_LOCALTIME;
    } else if (rtc_date_parse(base, &config->rtc_date) == 0) {
        config->rtc_base = CONFIG_RTC_DATE;
    } else {
        return error_set(err, -EINVAL,
                         "-rtc: 'base' can't be '%s'; valid are: utc, localtime, a date such as "
                         "2026-07-17T16:01:21",
                         base);
    }
    return 0;
}

int cli_parse_rtc(struct cli *cli, const char *arg, struct error **err)
{
    struct options options = {0};
    int ret = option_string_parse(arg, NULL, "-rtc", &options, err);

    if (ret == 0) {
        ret = rtc_take(cli, &options, err);
    }
    options_release(&options);
    return ret;
}

int cli_parse_name(struct cli *cli, const char *arg, struct error **err)
{
    static const char *const keys[] = {"guest", "debug-threads", "process", NULL};
    struct options options = {0};
    int ret = option_string_parse(arg, "guest", "-name", &options, err);

    if (ret == 0) {
        ret = options_check_keys(&options, "-name", keys, err);
    }
    if (ret == 0) {
        ret = options_get_bool(&options, "-name", "debug-threads", &cli->config.name_debug_threads, err);
    }
    if (ret == 0 && options_get(&options, "guest")) {
        ret = cli_set_string(&cli->config.name, options_get(&options, "guest"), err);
    }
    options_release(&options);
    return ret;
}

static int hex_digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* 8-4-4-4-12 hexadecimal digits (RFC 9562, 4). */
int cli_parse_uuid(struct cli *cli, const char *arg, struct error **err)
{
    uint8_t bytes[16] = {0};
    unsigned digits = 0;
    bool good = strlen(arg) == 36;

    for (unsigned i = 0; good && i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        int digit = hex_digit(arg[i]);

        good = dash ? arg[i] == '-' : digit >= 0;
        if (good && !dash) {
            bytes[digits / 2] = (uint8_t)(bytes[digits / 2] << 4 | digit);
            digits++;
        }
    }
    if (!good) {
        return error_set(err, -EINVAL, "-uuid: '%s' isn't of the form 550e8400-e29b-41d4-a716-446655440000", arg);
    }
    memcpy(cli->config.uuid, bytes, sizeof(bytes));
    cli->config.has_uuid = true;
    return 0;
}

static int boot_take(const struct options *options, struct error **err)
{
    static const char *const keys[] = {"order", "once", "menu", "strict", "reboot-timeout", NULL};
    static const char *const orders[] = {"order", "once"};
    bool menu = false;
    bool strict;
    uint64_t timeout_ms;
    const char *timeout = options_get(options, "reboot-timeout");
    int ret = options_check_keys(options, "-boot", keys, err);

    if (ret == 0) {
        ret = options_get_bool(options, "-boot", "menu", &menu, err);
    }
    if (ret == 0) {
        ret = options_get_bool(options, "-boot", "strict", &strict, err);
    }
    if (ret == 0 && timeout && strcmp(timeout, "-1") != 0) {
        ret = options_get_uint(options, "-boot", "reboot-timeout", 0, 65535, &timeout_ms, err);
    }
    if (ret == 0 && menu) {
        ret = error_set(err, -EINVAL, "-boot: there is no firmware yet that could show a menu; valid: menu=off");
    }
    for (size_t i = 0; ret == 0 && i < ARRAY_SIZE(orders); i++) {
        const char *letters = options_get(options, orders[i]);

        if (letters && letters[strspn(letters, "abcdefghijklmnop")] != '\0') {
            ret = error_set(err, -EINVAL, "-boot: '%s' takes letters from a to p, not '%s'", orders[i], letters);
        }
    }
    return ret;
}

/* The kernel is booted directly, so there is no order to choose; scripts say it all the same. */
int cli_parse_boot(struct cli *cli, const char *arg, struct error **err)
{
    struct options options = {0};
    int ret = option_string_parse(arg, "order", "-boot", &options, err);

    if (ret == 0) {
        ret = boot_take(&options, err);
    }
    options_release(&options);
    return ret;
}

static int action_take(struct cli *cli, const struct options *options, struct error **err)
{
    static const char *const keys[] = {"reboot", "shutdown", "panic", "watchdog", NULL};
    static const char *const reboot[] = {"reset", "shutdown", NULL};
    static const char *const shutdown[] = {"poweroff", "pause", NULL};
    static const char *const panic[] = {"shutdown", "exit-failure", "pause", "none", NULL};
    unsigned choices[3] = {cli->config.on_reboot == CONFIG_ACTION_EXIT, cli->config.on_shutdown == CONFIG_ACTION_PAUSE,
                           cli->config.on_panic == CONFIG_ACTION_PAUSE ? 2 : 0};
    int ret = options_check_keys(options, "-action", keys, err);

    if (ret == 0) {
        ret = options_get_choice(options, "-action", "reboot", reboot, &choices[0], err);
    }
    if (ret == 0) {
        ret = options_get_choice(options, "-action", "shutdown", shutdown, &choices[1], err);
    }
    if (ret == 0) {
        ret = options_get_choice(options, "-action", "panic", panic, &choices[2], err);
    }
    if (ret == 0) {
        cli->config.on_reboot = choices[0] == 1 ? CONFIG_ACTION_EXIT : CONFIG_ACTION_DEFAULT;
        cli->config.on_shutdown = choices[1] == 1 ? CONFIG_ACTION_PAUSE : CONFIG_ACTION_DEFAULT;
        cli->config.on_panic = choices[2] == 2 ? CONFIG_ACTION_PAUSE : CONFIG_ACTION_DEFAULT;
    }
    return ret;
}

int cli_parse_action(struct cli *cli, const char *arg, struct error **err)
{
    struct options options = {0};
    int ret = option_string_parse(arg, NULL, "-action", &options, err);

    if (ret == 0) {
        ret = action_take(cli, &options, err);
    }
    options_release(&options);
    return ret;
}
