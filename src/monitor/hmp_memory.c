/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looking at memory, and calculating. The guest goes on meanwhile: what is shown was there at some moment. Only RAM and
 * ROM are read, since reading a device may do something to it.
 *
 * Registers and address translation are CPU 0's, asked for when an expression names one; it leaves the guest once.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "machine/machine.h"
#include "monitor/guest_walk.h"
#include "monitor/hmp_command.h"
#include "monitor/hmp_expression.h"
#include "vcpu/vcpu.h"

/* Units shown by one command at most. */
#define COUNT_MAX  65536u
#define LINE_BYTES 16u

/* --- formats ---------------------------------------------------------------------------------------------------- */

struct memory_format {
    uint64_t count;
    char letter;         /* x d u o c */
    unsigned unit_bytes; /* 1 2 4 8 */
};

/* "8xb": a count and letters, any of which may be missing. Says what is wrong. */
static bool hmp_parse_format(struct hmp_call *call, struct memory_format *format)
{
    const char *text = call->format ? call->format : "";
    char *end = NULL;

    if (isdigit((unsigned char)*text)) {
        format->count = strtoull(text, &end, 10);
        text = end;
    }
    for (; *text; text++) {
        const char *size = strchr("bhwg", *text);

        if (size) {
            format->unit_bytes = 1u << (size - "bhwg");
        } else if (strchr("xduoc", *text)) {
            format->letter = *text;
        } else {
            fprintf(call->out, "Error: '%c' is no format: one of x d u o c, and a size of b h w g\n", *text);
            return false;
        }
    }
    if (format->letter == 'c' && (!call->format || !strpbrk(call->format, "bhwg"))) {
        format->unit_bytes = 1;
    }
    if (format->count > COUNT_MAX) {
        fprintf(call->out, "Error: %" PRIu64 " is too many at once: at most %u\n", format->count, COUNT_MAX);
        return false;
    }
    return true;
}

/* Widths in which units of a size stand below each other. */
static void hmp_say_value(struct hmp_call *call, const struct memory_format *format, uint64_t value)
{
    static const int decimal_widths[] = {[1] = 3, [2] = 5, [4] = 10, [8] = 20};
    static const int octal_widths[] = {[1] = 3, [2] = 6, [4] = 11, [8] = 22};
    unsigned bits = 8 * format->unit_bytes;

    switch (format->letter) {
    case 'd':
        fprintf(call->out, "%*" PRId64, decimal_widths[format->unit_bytes],
                (int64_t)(value << (64 - bits)) >> (64 - bits));
        break;
    case 'u':
        fprintf(call->out, "%*" PRIu64, decimal_widths[format->unit_bytes], value);
        break;
    case 'o':
        fprintf(call->out, "0%0*" PRIo64, octal_widths[format->unit_bytes], value);
        break;
    case 'c':
        fprintf(call->out, isprint((int)(value & 0x7f)) && value < 0x80 ? "'%c'" : "'\\x%02x'",
                (unsigned)(value & 0xff));
        break;
    default:
        fprintf(call->out, "0x%0*" PRIx64, (int)(2 * format->unit_bytes), value);
        break;
    }
}

/* --- registers -------------------------------------------------------------------------------------------------- */

/* CPU 0's state, got when it is first needed. */
struct hmp_cpu {
    struct machine *machine;
    struct cpu_state *state;
    struct error *err;
};

static const struct cpu_state *hmp_cpu_state(struct hmp_cpu *cpu)
{
    struct pc *pc = machine_pc(cpu->machine);

    if (!cpu->state && pc && !cpu->err) {
        cpu->state = calloc(1, sizeof(*cpu->state));
        if (cpu->state && vcpu_get_state(pc->vm->vcpus[0], cpu->state, &cpu->err) < 0) {
            free(cpu->state);
            cpu->state = NULL;
        }
    }
    return cpu->state;
}

static void hmp_cpu_release(struct hmp_cpu *cpu)
{
    error_free(cpu->err);
    free(cpu->state);
}

static bool hmp_cpu_register(void *opaque, const char *name, uint64_t *value)
{
    static const char gpr_names[CPU_GPR_COUNT][4] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                                     "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    static const struct {
        char name[8];
        size_t offset;
    } others[] = {
        {"rip", offsetof(struct cpu_state, rip)},       {"pc", offsetof(struct cpu_state, rip)},
        {"rflags", offsetof(struct cpu_state, rflags)}, {"eflags", offsetof(struct cpu_state, rflags)},
        {"cr0", offsetof(struct cpu_state, cr0)},       {"cr2", offsetof(struct cpu_state, cr2)},
        {"cr3", offsetof(struct cpu_state, cr3)},       {"cr4", offsetof(struct cpu_state, cr4)},
        {"cr8", offsetof(struct cpu_state, cr8)},       {"efer", offsetof(struct cpu_state, efer)},
    };
    const struct cpu_state *state = hmp_cpu_state(opaque);

    for (unsigned i = 0; state && i < CPU_GPR_COUNT; i++) {
        if (strncmp(name, gpr_names[i], sizeof(gpr_names[i])) == 0) {
            *value = state->gpr[i];
            return true;
        }
    }
    for (size_t i = 0; state && i < ARRAY_SIZE(others); i++) {
        if (strcmp(name, others[i].name) == 0) {
            *value = *(const uint64_t *)((const char *)state + others[i].offset);
            return true;
        }
    }
    return false;
}

/* --- dumps ------------------------------------------------------------------------------------------------------ */

/* As guest_ram_read, at a linear address. */
static bool hmp_read_linear(struct address_space *memory, const struct cpu_state *state, uint64_t address,
                            uint8_t *buffer, uint64_t len_bytes)
{
    while (len_bytes > 0) {
        uint64_t physical, piece;

        if (!guest_walk(memory, state, address, &physical, &piece)) {
            return false;
        }
        piece = MIN(piece, len_bytes);
        if (!guest_ram_read(memory, physical, buffer, piece)) {
            return false;
        }
        address += piece;
        buffer += piece;
        len_bytes -= piece;
    }
    return true;
}

static uint64_t hmp_unit(const uint8_t *bytes, unsigned unit_bytes)
{
    uint64_t value = 0;

    memcpy(&value, bytes, unit_bytes); /* guests and hosts are little-endian */
    return value;
}

/* state: NULL for physical addresses. */
static void hmp_dump(struct hmp_call *call, const struct memory_format *format, uint64_t address,
                     const struct cpu_state *state)
{
    struct address_space *memory = &machine_pc(call->machine)->memory;
    uint64_t left = format->count * format->unit_bytes;
    uint8_t bytes[LINE_BYTES];

    while (left > 0) {
        unsigned len = (unsigned)MIN(left, (uint64_t)LINE_BYTES);

        if (!(state ? hmp_read_linear(memory, state, address, bytes, len)
                    : guest_ram_read(memory, address, bytes, len))) {
            fprintf(call->out, "Cannot access memory at address 0x%" PRIx64 "\n", address);
            return;
        }
        fprintf(call->out, "%016" PRIx64 ":", address);
        for (unsigned i = 0; i < len; i += format->unit_bytes) {
            fputc(' ', call->out);
            hmp_say_value(call, format, hmp_unit(bytes + i, format->unit_bytes));
        }
        fputc('\n', call->out);
        address += len;
        left -= len;
    }
}

static void hmp_examine(struct hmp_call *call, bool is_physical)
{
    struct memory_format format = {.count = 1, .letter = 'x', .unit_bytes = 4};
    struct hmp_cpu cpu = {.machine = call->machine};
    const struct cpu_state *state = NULL;
    struct error *err = NULL;
    uint64_t address;

    if (hmp_parse_format(call, &format) &&
        hmp_expression_parse(call->arguments, hmp_cpu_register, &cpu, &address, &err) == 0) {
        state = is_physical ? NULL : hmp_cpu_state(&cpu);
        if (is_physical || state) {
            hmp_dump(call, &format, address, state);
        }
    }
    if (cpu.err) {
        fprintf(call->out, "Error: %s\n", cpu.err->message);
    }
    hmp_say_error(call, err);
    hmp_cpu_release(&cpu);
}

void hmp_xp(struct hmp_call *call)
{
    hmp_examine(call, true);
}

void hmp_x(struct hmp_call *call)
{
    hmp_examine(call, false);
}

void hmp_print(struct hmp_call *call)
{
    struct memory_format format = {.count = 1, .letter = 'x', .unit_bytes = 8};
    struct hmp_cpu cpu = {.machine = call->machine};
    struct error *err = NULL;
    uint64_t value;

    if (hmp_parse_format(call, &format) &&
        hmp_expression_parse(call->arguments, hmp_cpu_register, &cpu, &value, &err) == 0) {
        switch (format.letter) {
        case 'x':
            fprintf(call->out, "0x%" PRIx64 "\n", value);
            break;
        case 'o':
            fprintf(call->out, "0%" PRIo64 "\n", value);
            break;
        case 'd':
            fprintf(call->out, "%" PRId64 "\n", (int64_t)value);
            break;
        case 'u':
            fprintf(call->out, "%" PRIu64 "\n", value);
            break;
        default:
            hmp_say_value(call, &format, value);
            fputc('\n', call->out);
            break;
        }
    }
    hmp_say_error(call, err);
    hmp_cpu_release(&cpu);
}
