/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cache of blocks: building, finding, and losing them (block.h). Private to a vCPU's thread; no locks.
 *
 *   (bytes) --build--> live --bytes change--> stale --cache emptied--> (gone)
 *
 * Memory is one area: micro-operations grow up from its start, what describes them down from its end. When they meet,
 * everything is forgotten and begins anew, so nothing is ever freed by itself and a pointer to a micro-operation is
 * good for as long as the cache's generation.
 *
 * A hostile guest can make blocks of any bytes, as many as it likes: the area is bounded, and an instruction that isn't
 * one becomes a micro-operation that raises.
 */
#include "vcpu/soft/block.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "memory/dispatch.h"
#include "vcpu/soft/code_map.h"
#include "vcpu/soft/exception.h"
#include "vcpu/soft/insn.h"
#include "vcpu/soft/lower.h"
#include "vcpu/soft/mem.h"
#include "vcpu/soft/mmu.h"
#include "vcpu/soft/ops.h"
#include "vcpu/soft/segment.h"

#define CACHE_BYTES   (UINT64_C(64) << 20)
#define BLOCK_BUCKETS 65536u
#define PAGE_BUCKETS  16384u
/* Bounds of one block. */
#define BLOCK_INSNS_MAX 48u
#define BLOCK_OPS_MAX   (BLOCK_INSNS_MAX * SOFT_OPS_PER_INSN + SOFT_OPS_PER_INSN)

/* A block's code in one page; a block that crosses has two. */
struct block_part {
    const uint8_t *host; /* of its first byte there; NULL: no such part */
    uint32_t len_bytes;
    struct soft_block *block;
    struct block_part *next; /* of the same page bucket */
};

struct soft_block {
    uint64_t rip;
    uint32_t mode;
    uint32_t op_count;
    struct soft_op *ops;
    bool stale;
    struct block_part parts[2];
    struct soft_block *next; /* of the same bucket */
};

struct soft_cache {
    const struct soft_decoder *decoder;
    uint8_t *area;
    struct soft_op *ops_end; /* the first free one */
    uint8_t *data_start;     /* the last used byte's */
    uint64_t generation;
    uint64_t changes; /* counts invalidations: a block being built starts over */
    bool must_clear, lasting;
    struct soft_jump_entry jumps[SOFT_JUMP_ENTRIES];
    struct soft_block *blocks[BLOCK_BUCKETS];
    struct block_part *pages[PAGE_BUCKETS];
    /* An instruction that isn't in RAM: made anew each time. */
    struct soft_op scratch_ops[2 * SOFT_OPS_PER_INSN];
    struct soft_insn scratch_insn;
};

/* --- life --------------------------------------------------------------------------------------------------------- */

static void cache_empty(struct soft_cache *cache)
{
    memset(cache->blocks, 0, sizeof(cache->blocks));
    memset(cache->pages, 0, sizeof(cache->pages));
    memset(cache->jumps, 0, sizeof(cache->jumps));
    cache->ops_end = (struct soft_op *)cache->area;
    cache->data_start = cache->area + CACHE_BYTES;
    cache->generation++;
    cache->changes++;
    cache->must_clear = false;
}

struct soft_cache *soft_cache_create(const struct soft_decoder *decoder)
{
    struct soft_cache *cache = calloc(1, sizeof(*cache));

    if (!cache) {
        return NULL;
    }
    cache->decoder = decoder;
    cache->area = mmap(NULL, CACHE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (cache->area == MAP_FAILED) {
        free(cache);
        return NULL;
    }
    cache_empty(cache);
    return cache;
}

void soft_cache_destroy(struct soft_cache *cache)
{
    if (cache) {
        munmap(cache->area, CACHE_BYTES);
        free(cache);
    }
}

struct soft_jump_entry *soft_cache_jumps(struct soft_cache *cache)
{
    return cache->jumps;
}

uint64_t soft_cache_generation(const struct soft_cpu *cpu)
{
    return cpu->cache->generation;
}

bool soft_block_is_lasting(const struct soft_cpu *cpu)
{
    return cpu->cache->lasting;
}

void soft_cache_clear(struct soft_cpu *cpu)
{
    cpu->cache->must_clear = true;
    cpu->cache->changes++;
    /* To ourselves: the chain of blocks that runs now ends before the next one. */
    atomic_fetch_or_explicit(&soft_common(cpu)->requests, VCPU_REQUEST_ACCEL, memory_order_relaxed);
}

/* --- the area ----------------------------------------------------------------------------------------------------- */

static bool cache_has_room(const struct soft_cache *cache)
{
    size_t free_bytes = (size_t)(cache->data_start - (uint8_t *)cache->ops_end);

    return free_bytes >= BLOCK_OPS_MAX * sizeof(struct soft_op) + BLOCK_INSNS_MAX * sizeof(struct soft_insn) +
                             sizeof(struct soft_block);
}

static void *cache_take(struct soft_cache *cache, size_t len_bytes)
{
    cache->data_start -= ALIGN_UP(len_bytes, (size_t)16);
    return cache->data_start;
}

/* --- finding ------------------------------------------------------------------------------------------------------ */

static struct soft_block **block_bucket(struct soft_cache *cache, const uint8_t *host, uint64_t rip, uint32_t mode)
{
    uint64_t hash =
        ((uintptr_t)host ^ (uintptr_t)host >> 16 ^ mode * UINT64_C(0x9e37) ^ rip >> 12) * UINT64_C(0x9e3779b1);

    return &cache->blocks[(hash >> 8) % BLOCK_BUCKETS];
}

static struct block_part **page_bucket(struct soft_cache *cache, const uint8_t *host)
{
    return &cache->pages[((uintptr_t)host >> 12) % PAGE_BUCKETS];
}

static struct soft_block *block_look_up(struct soft_cache *cache, const uint8_t *host, uint64_t rip, uint32_t mode)
{
    struct soft_block **link = block_bucket(cache, host, rip, mode);

    while (*link) {
        struct soft_block *block = *link;

        if (block->stale) {
            *link = block->next;
        } else if (block->parts[0].host == host && block->rip == rip && block->mode == mode) {
            return block;
        } else {
            link = &block->next;
        }
    }
    return NULL;
}

static void block_make_stale(struct soft_block *block)
{
    block->stale = true;
    for (uint32_t i = 0; i < block->op_count; i++) {
        if (block->ops[i].begins) {
            block->ops[i].fn = soft_op_stale;
        }
    }
}

static bool part_overlaps(const struct block_part *part, const uint8_t *host, unsigned len_bytes)
{
    return part->host < host + len_bytes && host < part->host + part->len_bytes;
}

void soft_blocks_invalidate(struct soft_cpu *cpu, const uint8_t *host, unsigned len_bytes)
{
    struct block_part **link = page_bucket(cpu->cache, host);

    cpu->cache->changes++;
    while (*link) {
        struct block_part *part = *link;

        if (!part->block->stale && part_overlaps(part, host, len_bytes)) {
            block_make_stale(part->block);
        }
        if (part->block->stale) {
            *link = part->next;
        } else {
            link = &part->next;
        }
    }
}

/* --- building ----------------------------------------------------------------------------------------------------- */

static uint64_t code_linear(const struct soft_cpu *cpu, uint64_t rip)
{
    return soft_is_64(cpu) ? rip : (uint32_t)(cpu->segment[CPU_CS].base + rip);
}

/* Marks the chunks of a part as code. False: meanwhile others changed something, and what was read may be old. */
static bool build_mark(struct soft_cpu *cpu, const uint8_t *host, unsigned len_bytes)
{
    uint64_t changes = cpu->cache->changes, generation = cpu->code_generation;

    soft_code_mark(cpu, host, len_bytes);
    return changes == cpu->cache->changes && generation == cpu->code_generation;
}

/* A block under construction. */
struct build {
    const uint8_t *host;
    unsigned page_bytes; /* from host to the page's end */
    unsigned marked_bytes;
    struct soft_writer writer;
    struct soft_op *ops;
};

/* Sees to it that the bytes of the next instruction are marked, as far as the page goes. */
static bool build_mark_next(struct soft_cpu *cpu, struct build *build)
{
    unsigned from = build->marked_bytes;
    unsigned to = MIN((unsigned)build->writer.pc + SOFT_INSN_BYTES_MAX, build->page_bytes);

    if (from >= to) {
        return true;
    }
    /* Whole chunks: the mask has no finer grain. */
    to = MIN((unsigned)ALIGN_UP((uintptr_t)build->host + to, (uintptr_t)SOFT_CODE_CHUNK_BYTES) -
                 (unsigned)(uintptr_t)build->host,
             build->page_bytes);
    build->marked_bytes = to;
    return build_mark(cpu, build->host + from, to - from);
}

enum build_step { BUILD_MORE, BUILD_DONE, BUILD_CROSSES, BUILD_AGAIN };

/* One instruction. */
static enum build_step build_insn(struct soft_cpu *cpu, struct build *build, unsigned index)
{
    struct soft_writer *writer = &build->writer;
    unsigned len_bytes = MIN(build->page_bytes - writer->pc, (unsigned)SOFT_INSN_BYTES_MAX);
    uint8_t bytes[SOFT_INSN_BYTES_MAX];
    struct soft_insn insn, *kept;

    if (writer->pc >= build->page_bytes) {
        return BUILD_DONE;
    }
    if (!build_mark_next(cpu, build)) {
        return BUILD_AGAIN;
    }
    soft_copy_out(bytes, build->host + writer->pc, len_bytes);
    switch (soft_decode(cpu->cache->decoder, bytes, len_bytes, cpu->mode, &cpu->features, &insn)) {
    case SOFT_DECODED:
        break;
    case SOFT_DECODE_SHORT:
        return index == 0 ? BUILD_CROSSES : BUILD_DONE;
    case SOFT_DECODE_UNDEFINED:
        soft_lower_raise(writer, VECTOR_UD, false);
        return BUILD_DONE;
    case SOFT_DECODE_TOO_LONG:
        soft_lower_raise(writer, VECTOR_GP, true);
        return BUILD_DONE;
    }
    kept = cache_take(cpu->cache, sizeof(*kept));
    *kept = insn;
    soft_lower(writer, kept);
    return writer->ended || (cpu->mode & SOFT_MODE_ONE) ? BUILD_DONE : BUILD_MORE;
}

static struct soft_block *block_register(struct soft_cpu *cpu, const struct build *build, const uint8_t *second,
                                         unsigned second_bytes)
{
    struct soft_cache *cache = cpu->cache;
    struct soft_block *block = cache_take(cache, sizeof(*block)), **bucket;
    unsigned len_bytes = MAX((unsigned)build->writer.pc, 1u);

    bucket = block_bucket(cache, build->host, build->writer.rip, cpu->mode);
    *block = (struct soft_block){.rip = build->writer.rip,
                                 .mode = cpu->mode,
                                 .op_count = (uint32_t)(build->writer.at - build->ops),
                                 .ops = build->ops,
                                 .next = *bucket};
    *bucket = block;
    block->parts[0] = (struct block_part){.host = build->host, .len_bytes = MIN(len_bytes, build->page_bytes)};
    block->parts[1] = (struct block_part){.host = second, .len_bytes = second_bytes};
    for (unsigned i = 0; i < 2 && block->parts[i].host; i++) {
        struct block_part **page = page_bucket(cache, block->parts[i].host);

        block->parts[i].block = block;
        block->parts[i].next = *page;
        *page = &block->parts[i];
    }
    cache->ops_end = build->writer.at;
    return block;
}

static void build_begin(struct soft_cpu *cpu, const uint8_t *host, uint64_t rip, struct build *build)
{
    struct soft_cache *cache = cpu->cache;

    if (!cache_has_room(cache)) {
        cache_empty(cache);
    }
    *build = (struct build){.host = host,
                            .page_bytes = (unsigned)(SOFT_PAGE_BYTES - (uintptr_t)host % SOFT_PAGE_BYTES),
                            .ops = cache->ops_end,
                            .writer = {.at = cache->ops_end, .mode = cpu->mode, .rip = rip}};
}

/* NULL: the first instruction crosses the page's end. */
static struct soft_block *block_build(struct soft_cpu *cpu, const uint8_t *host, uint64_t rip, bool *again)
{
    enum build_step step = BUILD_MORE;
    struct build build;

    *again = false;
    build_begin(cpu, host, rip, &build);
    for (unsigned i = 0; i < BLOCK_INSNS_MAX && step == BUILD_MORE; i++) {
        step = build_insn(cpu, &build, i);
    }
    if (step == BUILD_CROSSES || step == BUILD_AGAIN) {
        *again = step == BUILD_AGAIN;
        return NULL;
    }
    soft_lower_end(&build.writer);
    return block_register(cpu, &build, NULL, 0);
}

/* --- an instruction that crosses a page --------------------------------------------------------------------------- */

/* Where its second part is. May raise. NULL: not in RAM. */
static const uint8_t *crossing_second(struct soft_cpu *cpu, uint64_t rip, unsigned page_bytes, uint64_t *gpa)
{
    return soft_code_at(cpu, code_linear(cpu, rip + page_bytes), gpa);
}

/* Decodes one instruction from a copy of its bytes. */
static void build_one(struct soft_cpu *cpu, struct build *build, const uint8_t *bytes, size_t len_bytes,
                      struct soft_insn *kept)
{
    switch (soft_decode(cpu->cache->decoder, bytes, len_bytes, cpu->mode, &cpu->features, kept)) {
    case SOFT_DECODED:
        soft_lower(&build->writer, kept);
        break;
    case SOFT_DECODE_UNDEFINED:
        soft_lower_raise(&build->writer, VECTOR_UD, false);
        break;
    default:
        soft_lower_raise(&build->writer, VECTOR_GP, true);
    }
    soft_lower_end(&build->writer);
}

static struct soft_block *crossing_build(struct soft_cpu *cpu, const uint8_t *host, uint64_t rip, const uint8_t *second,
                                         bool *again)
{
    uint8_t bytes[SOFT_INSN_BYTES_MAX];
    struct build build;
    unsigned second_bytes;

    build_begin(cpu, host, rip, &build);
    second_bytes = SOFT_INSN_BYTES_MAX - MIN(build.page_bytes, (unsigned)SOFT_INSN_BYTES_MAX);
    *again = !build_mark(cpu, host, build.page_bytes) || !build_mark(cpu, second, second_bytes);
    if (*again) {
        return NULL;
    }
    soft_copy_out(bytes, host, build.page_bytes);
    soft_copy_out(bytes + build.page_bytes, second, second_bytes);
    build_one(cpu, &build, bytes, sizeof(bytes), cache_take(cpu->cache, sizeof(struct soft_insn)));
    return block_register(cpu, &build, second, second_bytes);
}

/* --- code that isn't in RAM --------------------------------------------------------------------------------------- */

static uint8_t fetch_byte(struct soft_cpu *cpu, uint64_t linear)
{
    struct vcpu *vcpu = soft_common(cpu);
    uint64_t gpa, value;
    const uint8_t *host = soft_code_at(cpu, linear, &gpa);

    if (host) {
        return *host;
    }
    soft_quiet_begin(cpu);
    address_space_read(vcpu->vm->config.memory, &vcpu->memory_cache, gpa, 1, &value);
    soft_quiet_end(cpu);
    return (uint8_t)value;
}

/* The instruction is read byte by byte, and made anew each time: slow, and what a CPU does with a ROM behind a bus. */
static const struct soft_op *uncached_build(struct soft_cpu *cpu, uint64_t rip)
{
    struct soft_cache *cache = cpu->cache;
    struct build build = {.writer = {.at = cache->scratch_ops, .mode = cpu->mode, .rip = rip}};
    uint8_t bytes[SOFT_INSN_BYTES_MAX];
    size_t len_bytes = 0;

    do {
        bytes[len_bytes] = fetch_byte(cpu, code_linear(cpu, rip + len_bytes));
        len_bytes++;
    } while (len_bytes < sizeof(bytes) && soft_decode(cache->decoder, bytes, len_bytes, cpu->mode, &cpu->features,
                                                      &cache->scratch_insn) == SOFT_DECODE_SHORT);
    build_one(cpu, &build, bytes, len_bytes, &cache->scratch_insn);
    return cache->scratch_ops;
}

/* --- the look-up -------------------------------------------------------------------------------------------------- */

/* A block that crosses is good only while its second page is where it was. */
static bool block_still_holds(struct soft_cpu *cpu, const struct soft_block *block, unsigned page_bytes)
{
    uint64_t gpa;

    return !block->parts[1].host || crossing_second(cpu, block->rip, page_bytes, &gpa) == block->parts[1].host;
}

/* One try; NULL: something changed underway. */
static const struct soft_op *block_find_once(struct soft_cpu *cpu, uint64_t rip)
{
    uint64_t gpa;
    const uint8_t *host = soft_code_at(cpu, code_linear(cpu, rip), &gpa);
    unsigned page_bytes = (unsigned)(SOFT_PAGE_BYTES - (uintptr_t)host % SOFT_PAGE_BYTES);
    struct soft_block *block;
    bool again;

    cpu->cache->lasting = false;
    if (!host) {
        return uncached_build(cpu, rip);
    }
    block = block_look_up(cpu->cache, host, rip, cpu->mode);
    if (block && !block_still_holds(cpu, block, page_bytes)) {
        block_make_stale(block);
        block = NULL;
    }
    if (!block) {
        block = block_build(cpu, host, rip, &again);
        if (!block && !again) {
            const uint8_t *second = crossing_second(cpu, rip, page_bytes, &gpa);

            if (!second) {
                return uncached_build(cpu, rip);
            }
            block = crossing_build(cpu, host, rip, second, &again);
        }
        if (!block) {
            return NULL;
        }
    }
    cpu->cache->lasting = !block->parts[1].host && !(cpu->mode & SOFT_MODE_ONE);
    return block->ops;
}

const struct soft_op *soft_block_find(struct soft_cpu *cpu)
{
    uint64_t rip = cpu->rip;
    const struct soft_op *ops;

    if (soft_is_64(cpu) ? !soft_is_canonical(rip) : rip > cpu->segment[CPU_CS].limit) {
        soft_raise_error(cpu, VECTOR_GP, 0);
    }
    do {
        if (cpu->cache->must_clear) {
            cache_empty(cpu->cache);
        }
        ops = block_find_once(cpu, rip);
    } while (!ops);
    cpu->gpr[SOFT_REG_PC] = rip;
    return ops;
}
