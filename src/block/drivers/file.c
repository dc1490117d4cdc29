/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * driver=file and driver=host_device: a regular file or a block device of the host, by the loop's asynchronous system
 * calls. The bottom of every path through the graph that ends on this machine.
 *
 *   filename=   its path
 *   aio=        threads, native or io_uring: understood, but the loop decides by itself
 *   locking=    auto (default): lock where the file system can; on: or fail; off
 *
 * A transfer goes on after a short count until it is whole or fails; with cache.direct=on it goes through an aligned
 * bounce buffer if the caller's pieces aren't aligned, a chunk at a time:
 *
 *   start ---> system call ---> done: all moved? ---> complete
 *                  ^                     | no
 *                  +---------------------+
 *
 * Zeroes are written by the first way that the file system knows: punch a hole (if the storage may be given back), zero
 * a range, write them. What it doesn't know is remembered. The loop thread owns it all after open. Offsets and lengths
 * were checked against the size that the file had at open: if it shrinks behind our back, reads fail with -EIO.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "block/driver.h"
#include "block/drivers/file_lock.h"

#define WINDOW_PIECES 16
#define BOUNCE_BYTES  (UINT64_C(1) << 20)
#define ZERO_BYTES    (UINT64_C(64) << 10)
#define ALIGNMENT_MAX 4096u

struct file {
    int fd;
    bool is_block_device;
    uint32_t memory_alignment;            /* of buffers; 1 without cache.direct=on */
    void *zeroes;                         /* ZERO_BYTES of them, aligned; read-only */
    bool cannot_punch, cannot_zero_range; /* loop thread; learnt */
};

enum zero_way { ZERO_PUNCH, ZERO_RANGE, ZERO_WRITE };

struct file_request {
    struct io_request io;
    struct block_request *parent;
    struct file *file;
    uint64_t moved_bytes;
    void *bounce; /* owned; NULL: not needed */
    enum zero_way way;
    struct iovec window[WINDOW_PIECES];
};

static void finish(struct file_request *state, int result)
{
    free(state->bounce);
    block_complete(state->parent, result);
}

static struct file_request *begin(struct block_node *node, struct block_request *request,
                                  void (*done)(struct io_request *io, int result))
{
    struct file_request *state = request->state;

    state->parent = request;
    state->file = node->state;
    state->moved_bytes = 0;
    state->bounce = NULL;
    memset(&state->io, 0, sizeof(state->io));
    state->io.done = done;
    return state;
}

/* --- read and write ----------------------------------------------------------------------------------------------- */

enum copy_direction { COPY_FROM_PIECES, COPY_TO_PIECES };

/* Copies between a flat buffer and the request's pieces, from byte `at` of the latter. */
static void copy_pieces(const struct block_request *request, uint64_t at, void *flat, uint64_t len_bytes,
                        enum copy_direction direction)
{
    uint8_t *buffer = flat;

    for (int i = 0; i < request->iov_count && len_bytes > 0; i++) {
        uint64_t piece_bytes = request->iov[i].iov_len;
        uint64_t count = at < piece_bytes ? MIN(piece_bytes - at, len_bytes) : 0;
        uint8_t *piece = (uint8_t *)request->iov[i].iov_base + (count ? at : 0);

        if (count && direction == COPY_TO_PIECES) {
            memcpy(piece, buffer, count);
        } else if (count) {
            memcpy(buffer, piece, count);
        }
        at = count ? 0 : at - piece_bytes;
        buffer += count;
        len_bytes -= count;
    }
}

/* Fills the window with the pieces from byte moved_bytes on, as many as fit. */
static int window_pieces(struct file_request *state)
{
    const struct block_request *request = state->parent;
    uint64_t skip = state->moved_bytes;
    int count = 0;

    for (int i = 0; i < request->iov_count && count < WINDOW_PIECES; i++) {
        const struct iovec *piece = &request->iov[i];

        if (skip >= piece->iov_len) {
            skip -= piece->iov_len;
            continue;
        }
        state->window[count].iov_base = (uint8_t *)piece->iov_base + skip;
        state->window[count].iov_len = piece->iov_len - skip;
        skip = 0;
        count++;
    }
    return count;
}

static int window_bounce(struct file_request *state)
{
    const struct block_request *request = state->parent;
    uint64_t chunk_bytes = MIN(request->len_bytes - state->moved_bytes, BOUNCE_BYTES);

    if (request->op == BLOCK_WRITE) {
        copy_pieces(request, state->moved_bytes, state->bounce, chunk_bytes, COPY_FROM_PIECES);
    }
    state->window[0] = (struct iovec){state->bounce, chunk_bytes};
    return 1;
}

static void transfer_step(struct file_request *state)
{
    const struct block_request *request = state->parent;
    struct event_loop *loop = request->node->loop;
    const struct iovec *iov = state->window;
    uint64_t offset = request->offset + state->moved_bytes;
    int count;

    if (state->bounce) {
        count = window_bounce(state);
    } else if (state->moved_bytes > 0) {
        count = window_pieces(state);
    } else {
        iov = request->iov;
        count = request->iov_count;
    }
    if (request->op == BLOCK_READ) {
        event_loop_readv(loop, &state->io, state->file->fd, iov, count, offset);
    } else {
        event_loop_writev(loop, &state->io, state->file->fd, iov, count, offset);
    }
}

static void transfer_done(struct io_request *io, int result)
{
    struct file_request *state = container_of(io, struct file_request, io);
    const struct block_request *request = state->parent;

    if (result == -EINTR) {
        transfer_step(state);
        return;
    }
    if (result <= 0) {
        finish(state, result < 0 ? result : -EIO); /* nothing moved: the file has become shorter */
        return;
    }
    if (state->bounce && request->op == BLOCK_READ) {
        copy_pieces(request, state->moved_bytes, state->bounce, (uint64_t)result, COPY_TO_PIECES);
    }
    state->moved_bytes += (uint64_t)result;
    if (state->moved_bytes >= request->len_bytes) {
        finish(state, 0);
    } else {
        transfer_step(state);
    }
}

static bool is_aligned(const struct block_request *request, uint32_t alignment)
{
    uintptr_t bits = 0;

    for (int i = 0; i < request->iov_count; i++) {
        bits |= (uintptr_t)request->iov[i].iov_base | request->iov[i].iov_len;
    }
    return (bits & (alignment - 1)) == 0;
}

static void file_transfer(struct block_node *node, struct block_request *request)
{
    struct file_request *state = begin(node, request, transfer_done);
    uint32_t alignment = state->file->memory_alignment;

    if (alignment > 1 && !is_aligned(request, alignment) &&
        posix_memalign(&state->bounce, alignment, MIN(request->len_bytes, BOUNCE_BYTES)) != 0) {
        block_complete_later(request, -ENOMEM);
        return;
    }
    transfer_step(state);
}

/* --- flush, discard, zeroes ----------------------------------------------------------------------------------------
 */

static void plain_done(struct io_request *io, int result)
{
    finish(container_of(io, struct file_request, io), result);
}

static void file_flush(struct block_node *node, struct block_request *request)
{
    struct file_request *state = begin(node, request, plain_done);

    event_loop_fdatasync(node->loop, &state->io, state->file->fd);
}

/* The file system can't do this at all, or not here: another way may do. */
static bool is_unsupported(int result)
{
    return result == -EOPNOTSUPP || result == -ENOSYS || result == -ENOTTY || result == -ENODEV;
}

static void discard_done(struct io_request *io, int result)
{
    struct file_request *state = container_of(io, struct file_request, io);

    if (is_unsupported(result)) {
        state->file->cannot_punch = true;
        result = 0; /* a discard is advice */
    }
    finish(state, result == -EINVAL ? 0 : result);
}

static void file_discard(struct block_node *node, struct block_request *request)
{
    struct file_request *state = begin(node, request, discard_done);

    if (state->file->cannot_punch) {
        block_complete_later(request, 0);
        return;
    }
    event_loop_fallocate(node->loop, &state->io, state->file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                         request->offset, request->len_bytes);
}

static void zero_step(struct file_request *state);

static void zero_done(struct io_request *io, int result)
{
    struct file_request *state = container_of(io, struct file_request, io);
    struct file *file = state->file;

    if (state->way == ZERO_WRITE) {
        if (result == 0 || (result < 0 && result != -EINTR)) {
            finish(state, result < 0 ? result : -EIO);
            return;
        }
        state->moved_bytes += result > 0 ? (uint64_t)result : 0;
        if (state->moved_bytes < state->parent->len_bytes) {
            zero_step(state);
            return;
        }
        finish(state, 0);
        return;
    }
    if (is_unsupported(result) || result == -EINVAL) {
        file->cannot_punch |= state->way == ZERO_PUNCH && result != -EINVAL;
        file->cannot_zero_range |= state->way == ZERO_RANGE && result != -EINVAL;
        state->way++;
        zero_step(state);
        return;
    }
    finish(state, result);
}

static void zero_write(struct file_request *state)
{
    const struct block_request *request = state->parent;
    uint64_t left_bytes = request->len_bytes - state->moved_bytes;
    int count = 0;

    for (; count < WINDOW_PIECES && left_bytes > 0; count++) {
        uint64_t piece_bytes = MIN(left_bytes, ZERO_BYTES);

        state->window[count] = (struct iovec){state->file->zeroes, piece_bytes};
        left_bytes -= piece_bytes;
    }
    event_loop_writev(request->node->loop, &state->io, state->file->fd, state->window, count,
                      request->offset + state->moved_bytes);
}

static void zero_step(struct file_request *state)
{
    const struct block_request *request = state->parent;
    struct file *file = state->file;

    if (state->way == ZERO_PUNCH && (file->cannot_punch || !(request->flags & BLOCK_MAY_UNMAP))) {
        state->way = ZERO_RANGE;
    }
    if (state->way == ZERO_RANGE && file->cannot_zero_range) {
        state->way = ZERO_WRITE;
    }
    if (state->way == ZERO_WRITE) {
        zero_write(state);
        return;
    }
    event_loop_fallocate(request->node->loop, &state->io, file->fd,
                         (state->way == ZERO_PUNCH ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE) | FALLOC_FL_KEEP_SIZE,
                         request->offset, request->len_bytes);
}

static void file_write_zeroes(struct block_node *node, struct block_request *request)
{
    struct file_request *state = begin(node, request, zero_done);

    state->way = ZERO_PUNCH;
    zero_step(state);
}

/* --- open ----------------------------------------------------------------------------------------------------------
 */

/*
 * The super-user may write what is marked read-only; whoever marked it so meant it, so that is an error for all.
 */
static int check_kind(struct block_node *node, const char *path, const struct stat *status, struct error **err)
{
    struct file *file = node->state;

    if (S_ISDIR(status->st_mode)) {
        return error_set(err, -EISDIR, "'%s' is a directory, not a disk image", path);
    }
    if (!S_ISREG(status->st_mode) && !S_ISBLK(status->st_mode)) {
        return error_set(err, -EINVAL, "'%s' is neither a regular file nor a block device", path);
    }
    if (!node->info.is_read_only && S_ISREG(status->st_mode) && (status->st_mode & 0222) == 0) {
        if (!node->auto_read_only) {
            return error_set(err, -EACCES, "'%s' is read-only (mode %04o); add read-only=on to use it so", path,
                             status->st_mode & 07777);
        }
        node->info.is_read_only = true;
    }
    file->is_block_device = S_ISBLK(status->st_mode);
    return 0;
}

static int report_open_failure(struct block_node *node, const char *path, int code, struct error **err)
{
    if (!node->info.is_read_only && (code == EACCES || code == EROFS || code == EPERM)) {
        return error_set(err, -code, "could not open '%s' for writing: %s; add read-only=on to only read it", path,
                         strerror(code));
    }
    if (node->direct && code == EINVAL) {
        return error_set(err, -code, "could not open '%s': its file system doesn't support cache.direct=on", path);
    }
    return error_set(err, -code, "could not open '%s': %s", path, strerror(code));
}

static int open_fd(struct block_node *node, const char *path, struct error **err)
{
    struct file *file = node->state;
    int flags = O_CLOEXEC | O_NOCTTY | (node->direct ? O_DIRECT : 0);
    struct stat status;
    int result;

    /* Looked at first: opening a FIFO or a device may block or do things. */
    if (stat(path, &status) < 0) {
        return error_set(err, -errno, "could not open '%s': %s", path, strerror(errno));
    }
    result = check_kind(node, path, &status, err);
    if (result < 0) {
        return result;
    }
    file->fd = open(path, flags | O_NONBLOCK | (node->info.is_read_only ? O_RDONLY : O_RDWR));
    if (file->fd < 0 && node->auto_read_only && (errno == EACCES || errno == EROFS || errno == EPERM)) {
        node->info.is_read_only = true;
        file->fd = open(path, flags | O_NONBLOCK | O_RDONLY);
    }
    if (file->fd < 0) {
        return report_open_failure(node, path, errno, err);
    }
    if (fstat(file->fd, &status) < 0) {
        return error_set(err, -errno, "could not open '%s': %s", path, strerror(errno));
    }
    return check_kind(node, path, &status, err);
}

static int lock_fd(struct block_node *node, const char *path, const struct options *options, struct error **err)
{
    static const char *const words[] = {"auto", "on", "off", NULL};
    struct file *file = node->state;
    unsigned locking = 0;
    int result = options_get_choice(options, block_node_what(node), "locking", words, &locking, err);

    if (result < 0 || locking == 2) {
        return result;
    }
    result = file_lock(file->fd, path, !node->info.is_read_only, err);
    if (result == -ENOTSUP) {
        return locking == 0 ? 0
                            : error_set(err, result, "'%s': its file system has no locks; add file.locking=off", path);
    }
    return result;
}

static int read_size(struct block_node *node, const char *path, struct error **err)
{
    struct file *file = node->state;
    off_t size = lseek(file->fd, 0, SEEK_END);

    if (size < 0) {
        return error_set(err, -errno, "could not find out the size of '%s': %s", path, strerror(errno));
    }
    node->info.size_bytes = (uint64_t)size;
    return 0;
}

static bool can_read_aligned(int fd, uint8_t *buffer, uint32_t offset, uint32_t len_bytes)
{
    return pread(fd, buffer + offset, len_bytes, 0) >= 0;
}

/* cache.direct=on: what the host wants requests and buffers aligned to, found out by trying. */
static int probe_alignment(struct block_node *node, const char *path, struct error **err)
{
    struct file *file = node->state;
    HDL_AUTO_FREE void *buffer = NULL;
    uint32_t alignment = BLOCK_SECTOR_BYTES;

    if (posix_memalign(&buffer, ALIGNMENT_MAX, 2 * ALIGNMENT_MAX) != 0) {
        return -ENOMEM;
    }
    while (alignment <= ALIGNMENT_MAX && !can_read_aligned(file->fd, buffer, 0, alignment)) {
        alignment *= 2;
    }
    if (alignment > ALIGNMENT_MAX) {
        return error_set(err, -EINVAL, "'%s' can't be read with cache.direct=on", path);
    }
    node->info.limits.request_alignment = alignment;
    file->memory_alignment = can_read_aligned(file->fd, buffer, alignment, alignment) ? alignment : ALIGNMENT_MAX;
    return 0;
}

static int read_limits(struct block_node *node, const char *path, struct error **err)
{
    struct file *file = node->state;
    unsigned physical_bytes = 0;

    file->memory_alignment = 1;
    if (file->is_block_device && ioctl(file->fd, BLKPBSZGET, &physical_bytes) == 0) {
        node->info.limits.physical_bytes = physical_bytes;
    }
    return node->direct ? probe_alignment(node, path, err) : 0;
}

static void file_close(struct block_node *node)
{
    struct file *file = node->state;

    if (file->zeroes) {
        munmap(file->zeroes, ZERO_BYTES);
    }
    if (file->fd >= 0) {
        close(file->fd);
    }
}

static int file_open(struct block_node *node, const struct options *options, struct error **err)
{
    static const char *const aio_words[] = {"threads", "native", "io_uring", NULL};
    struct file *file = node->state;
    const char *path = options_get(options, "filename");
    unsigned aio;
    int result;

    file->fd = -1;
    if (!path) {
        return error_set(err, -EINVAL, "%s: driver '%s' needs 'filename'", block_node_what(node), node->driver->name);
    }
    result = options_get_choice(options, block_node_what(node), "aio", aio_words, &aio, err);
    result = result ? result : open_fd(node, path, err);
    result = result ? result : lock_fd(node, path, options, err);
    result = result ? result : read_size(node, path, err);
    result = result ? result : read_limits(node, path, err);
    if (result == 0) {
        file->zeroes = mmap(NULL, ZERO_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (file->zeroes == MAP_FAILED) {
            file->zeroes = NULL;
            result = -ENOMEM;
        }
    }
    if (result < 0) {
        file_close(node);
    }
    return result;
}

static const char *const file_keys[] = {"filename", "aio", "locking", NULL};

#define FILE_DRIVER(name_, description_)                                                                               \
    {                                                                                                                  \
        .name = name_, .description = description_, .node_bytes = sizeof(struct file),                                 \
        .request_bytes = sizeof(struct file_request), .keys = file_keys, .open = file_open, .close = file_close,       \
        .start = {                                                                                                     \
            [BLOCK_READ] = file_transfer,                                                                              \
            [BLOCK_WRITE] = file_transfer,                                                                             \
            [BLOCK_FLUSH] = file_flush,                                                                                \
            [BLOCK_DISCARD] = file_discard,                                                                            \
            [BLOCK_WRITE_ZEROES] = file_write_zeroes,                                                                  \
        },                                                                                                             \
    }

const struct block_driver block_driver_file = FILE_DRIVER("file", "file of the host");
const struct block_driver block_driver_host_device = FILE_DRIVER("host_device", "block device of the host");
