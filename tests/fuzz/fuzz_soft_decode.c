/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: the software CPU's decoder over any bytes. The first two bytes of an input choose mode and features, the
 * rest is code.
 *
 * What is checked, besides what sanitizers see: an instruction has 1 to 15 bytes and no more than there are; decoding
 * is the same when more bytes follow, and "more bytes needed" when any fewer are there; registers are ones that exist.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "vcpu/soft/cpu.h"
#include "vcpu/soft/insn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct soft_decoder *fuzz_decoder;

static void fuzz_check(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "fuzz_soft_decode: %s\n", what);
        abort();
    }
}

/* Decodes from memory of just that length, so that a byte too many is seen. */
static enum soft_decode_result fuzz_decode(const uint8_t *bytes, size_t len_bytes, uint32_t mode,
                                           const struct soft_features *features, struct soft_insn *insn)
{
    uint8_t *copy = malloc(MAX(len_bytes, (size_t)1));
    enum soft_decode_result result;

    fuzz_check(copy != NULL, "out of memory");
    memcpy(copy, bytes, len_bytes);
    result = soft_decode(fuzz_decoder, copy, len_bytes, mode, features, insn);
    free(copy);
    return result;
}

static void fuzz_check_insn(const struct soft_insn *insn, size_t len_bytes)
{
    fuzz_check(insn->length >= 1 && insn->length <= SOFT_INSN_BYTES_MAX && insn->length <= len_bytes, "length");
    fuzz_check(insn->def != NULL, "no definition");
    fuzz_check(insn->reg < CPU_GPR_COUNT && insn->rm < CPU_GPR_COUNT, "register");
    fuzz_check(insn->base < CPU_GPR_COUNT || insn->base == SOFT_NO_REG, "base");
    fuzz_check(insn->index < CPU_GPR_COUNT || insn->index == SOFT_NO_REG, "index");
    fuzz_check(insn->scale <= 3 && insn->segment <= CPU_GS, "scale or segment");
    fuzz_check(insn->op_bytes == 1 || insn->op_bytes == 2 || insn->op_bytes == 4 || insn->op_bytes == 8, "size");
    fuzz_check(insn->addr_bytes == 2 || insn->addr_bytes == 4 || insn->addr_bytes == 8, "address size");
}

/* One instruction; its length, or 0. */
static size_t fuzz_one(const uint8_t *bytes, size_t len_bytes, uint32_t mode, const struct soft_features *features)
{
    struct soft_insn insn, again;
    enum soft_decode_result result = fuzz_decode(bytes, len_bytes, mode, features, &insn);

    if (result == SOFT_DECODE_SHORT) {
        fuzz_check(len_bytes < SOFT_INSN_BYTES_MAX, "fifteen bytes are enough to know");
        return 0;
    }
    if (result != SOFT_DECODED) {
        return 1;
    }
    fuzz_check_insn(&insn, len_bytes);
    fuzz_check(fuzz_decode(bytes, insn.length, mode, features, &again) == SOFT_DECODED && again.def == insn.def &&
                   again.imm == insn.imm && again.disp == insn.disp,
               "depends on what follows");
    fuzz_check(fuzz_decode(bytes, insn.length - 1u, mode, features, &again) == SOFT_DECODE_SHORT,
               "not all bytes were needed");
    return insn.length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct soft_features features;
    uint32_t mode;

    if (!fuzz_decoder) {
        fuzz_decoder = soft_decoder_create();
        fuzz_check(fuzz_decoder != NULL, "no decoder");
    }
    if (size < 2) {
        return 0;
    }
    mode = data[0] & (SOFT_MODE_64 | SOFT_MODE_32 | SOFT_MODE_PROTECTED);
    for (unsigned i = 1; i < SOFT_FEATURE_COUNT; i++) {
        features.has[i] = !(data[1] & 1) || (data[1] >> (i % 7 + 1) & 1);
    }
    features.has[SOFT_FEATURE_BASE] = true;
    for (size_t at = 2, length = 1; at < size && length != 0; at += length) {
        length = fuzz_one(data + at, size - at, mode, &features);
    }
    return 0;
}
