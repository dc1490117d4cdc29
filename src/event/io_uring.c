/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asynchronous system calls by io_uring(7). The ring belongs to the loop thread; its descriptor is in the loop's epoll
 * set, so completions wake the loop like any other input. Requests of one round wait in a list and go to the kernel
 * together at its end; no more are under way than the completion ring holds, so it can't overflow.
 *
 * The kernel's side of the rings and of the buffers is invisible to ThreadSanitizer. What it needs to know is said in
 * RING_SUBMITTED, RING_COMPLETED and RING_CLOSE below, and nowhere else: the kernel acts after submission and before
 * completion; and the ring's descriptor is closed, by a system call that liburing makes by itself. (The sanitizer would
 * take the number's next owner, on another thread, for this one.)
 *
 * Guests choose buffers and offsets, which their devices have checked; the kernel checks them again.
 */
#include "event/loop_internal.h"

#include <errno.h>
#include <liburing.h>
#include <unistd.h>

#include "base/rcu.h" /* HDL_TSAN and the sanitizer's hooks */

#ifdef HDL_TSAN
#define RING_SUBMITTED(request) __tsan_release(request)
#define RING_COMPLETED(request) __tsan_acquire(request)
#define RING_CLOSE(uring)       (close((uring)->ring_fd), (uring)->ring_fd = -1)
#else
#define RING_SUBMITTED(request) ((void)(request))
#define RING_COMPLETED(request) ((void)(request))
#define RING_CLOSE(uring)       ((void)(uring))
#endif

/* Loop thread only. */
struct io_ring {
    struct io_uring uring;
    struct io_request *waiting; /* not yet in the submission ring; linked by loop_private[0] */
    struct io_request **waiting_tail;
    unsigned in_flight; /* in the submission ring or in the kernel */
    unsigned in_flight_max;
};

static bool io_ring_probe(struct io_uring *uring)
{
    static const int needed[] = {IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_FALLOCATE};
    struct io_uring_probe *probe = io_uring_get_probe_ring(uring);
    bool complete = probe != NULL;

    for (unsigned i = 0; complete && i < ARRAY_SIZE(needed); i++) {
        complete = io_uring_opcode_supported(probe, needed[i]);
    }
    io_uring_free_probe(probe);
    return complete;
}

struct io_ring *io_ring_create(void)
{
    struct io_ring *ring = calloc(1, sizeof(*ring));

    if (!ring) {
        return NULL;
    }
    if (io_uring_queue_init(LOOP_RING_ENTRIES, &ring->uring, 0) < 0) {
        free(ring);
        return NULL;
    }
    if (!io_ring_probe(&ring->uring)) {
        io_ring_destroy(ring);
        return NULL;
    }
    ring->waiting_tail = &ring->waiting;
    ring->in_flight_max = *ring->uring.cq.kring_entries;
    return ring;
}

void io_ring_destroy(struct io_ring *ring)
{
    if (ring) {
        RING_CLOSE(&ring->uring);
        io_uring_queue_exit(&ring->uring);
        free(ring);
    }
}

int io_ring_fd(const struct io_ring *ring)
{
    return ring->uring.ring_fd;
}

void io_ring_queue(struct io_ring *ring, struct io_request *request)
{
    *io_request_next(request) = NULL;
    *ring->waiting_tail = request;
    ring->waiting_tail = io_request_next(request);
}

static void io_ring_prepare(struct io_uring_sqe *sqe, struct io_request *request)
{
    switch ((enum io_op)request->op) {
    case IO_OP_READV:
        io_uring_prep_readv(sqe, request->fd, request->iov, (unsigned)request->iov_count, request->offset);
        break;
    case IO_OP_WRITEV:
        io_uring_prep_writev(sqe, request->fd, request->iov, (unsigned)request->iov_count, request->offset);
        break;
    case IO_OP_FDATASYNC:
        io_uring_prep_fsync(sqe, request->fd, IORING_FSYNC_DATASYNC);
        break;
    case IO_OP_FALLOCATE:
        io_uring_prep_rw(IORING_OP_FALLOCATE, sqe, request->fd, (void *)(uintptr_t)request->len_bytes,
                         (unsigned)request->mode, request->offset);
        break;
    }
    io_uring_sqe_set_data(sqe, request);
}

/* Moves waiting requests into the submission ring as far as both rings have room. */
static void io_ring_fill(struct io_ring *ring)
{
    while (ring->waiting && ring->in_flight < ring->in_flight_max) {
        struct io_request *request = ring->waiting;
        struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

        if (!sqe) {
            return;
        }
        ring->waiting = *io_request_next(request);
        if (!ring->waiting) {
            ring->waiting_tail = &ring->waiting;
        }
        io_ring_prepare(sqe, request);
        RING_SUBMITTED(request);
        ring->in_flight++;
    }
}

bool io_ring_submit(struct io_ring *ring)
{
    io_ring_fill(ring);
    while (io_uring_sq_ready(&ring->uring) > 0) {
        if (io_uring_submit(&ring->uring) < 0) {
            break; /* the kernel is short of memory: again later */
        }
        io_ring_fill(ring);
    }
    return io_uring_sq_ready(&ring->uring) == 0 || ring->in_flight > io_uring_sq_ready(&ring->uring);
}

bool io_ring_has_completions(const struct io_ring *ring)
{
    return io_uring_cq_ready(&ring->uring) > 0;
}

bool io_ring_reap(struct io_ring *ring, const bool *paused)
{
    unsigned left = io_uring_cq_ready(&ring->uring);
    struct io_uring_cqe *cqe;
    bool ran = false;

    while (left-- > 0 && !*paused && io_uring_peek_cqe(&ring->uring, &cqe) == 0) {
        struct io_request *request = io_uring_cqe_get_data(cqe);
        int result = cqe->res;

        io_uring_cqe_seen(&ring->uring, cqe);
        ring->in_flight--;
        RING_COMPLETED(request);
        if (result == -EINTR) {
            io_ring_queue(ring, request);
        } else {
            request->done(request, result);
        }
        ran = true;
    }
    return ran;
}
