/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asynchronous system calls of an event loop: the public functions, and the way to make them where the kernel refuses
 * io_uring, which is a worker a call. The caller can't tell the two apart but by speed.
 *
 * Requests are the caller's memory; nothing is allocated here, whatever a guest asks for. In a paused loop the workers'
 * answers come in as bottom halves do, but done() isn't called until it is resumed.
 */
#include "event/loop_internal.h"

#include <errno.h>
#include <fcntl.h>

_Static_assert(sizeof(struct worker_job) <= sizeof(((struct io_request *)0)->loop_private),
               "a request's private words hold its job");

static struct io_request *io_request_of_job(struct worker_job *job)
{
    return container_of((void *)job, struct io_request, loop_private);
}

static int io_request_perform(const struct io_request *request)
{
    ssize_t ret = -1;

    do {
        switch ((enum io_op)request->op) {
        case IO_OP_READV:
            ret = preadv(request->fd, request->iov, request->iov_count, (off_t)request->offset);
            break;
        case IO_OP_WRITEV:
            ret = pwritev(request->fd, request->iov, request->iov_count, (off_t)request->offset);
            break;
        case IO_OP_FDATASYNC:
            ret = fdatasync(request->fd);
            break;
        case IO_OP_FALLOCATE:
            ret = fallocate(request->fd, request->mode, (off_t)request->offset, (off_t)request->len_bytes);
            break;
        }
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : (int)ret;
}

static void io_request_run(struct worker_job *job)
{
    struct io_request *request = io_request_of_job(job);

    request->result = io_request_perform(request);
}

static void io_request_job_done(struct worker_job *job)
{
    struct event_loop *loop = job->completion.loop;
    struct io_request *request = io_request_of_job(job);

    if (!loop->paused) {
        request->done(request, request->result);
        return;
    }
    *io_request_next(request) = NULL;
    *loop->io_finished_tail = request;
    loop->io_finished_tail = io_request_next(request);
}

bool loop_io_finished_run(struct event_loop *loop)
{
    bool ran = false;

    while (loop->io_finished && !loop->paused) {
        struct io_request *request = loop->io_finished;

        loop->io_finished = *io_request_next(request);
        if (!loop->io_finished) {
            loop->io_finished_tail = &loop->io_finished;
        }
        request->done(request, request->result);
        ran = true;
    }
    return ran;
}

static void io_request_begin(struct event_loop *loop, struct io_request *request, enum io_op op, int fd)
{
    request->op = (int)op;
    request->fd = fd;
    if (loop->ring) {
        io_ring_queue(loop->ring, request);
    } else {
        struct worker_job *job = (struct worker_job *)request->loop_private;

        job->run = io_request_run;
        job->done = io_request_job_done;
        worker_submit(loop->io_pool, loop, job);
    }
}

void event_loop_readv(struct event_loop *loop, struct io_request *request, int fd, const struct iovec *iov,
                      int iov_count, uint64_t offset)
{
    request->iov = iov;
    request->iov_count = iov_count;
    request->offset = offset;
    io_request_begin(loop, request, IO_OP_READV, fd);
}

void event_loop_writev(struct event_loop *loop, struct io_request *request, int fd, const struct iovec *iov,
                       int iov_count, uint64_t offset)
{
    request->iov = iov;
    request->iov_count = iov_count;
    request->offset = offset;
    io_request_begin(loop, request, IO_OP_WRITEV, fd);
}

void event_loop_fdatasync(struct event_loop *loop, struct io_request *request, int fd)
{
    io_request_begin(loop, request, IO_OP_FDATASYNC, fd);
}

void event_loop_fallocate(struct event_loop *loop, struct io_request *request, int fd, int mode, uint64_t offset,
                          uint64_t len_bytes)
{
    request->mode = mode;
    request->offset = offset;
    request->len_bytes = len_bytes;
    io_request_begin(loop, request, IO_OP_FALLOCATE, fd);
}

const char *event_loop_io_backend(const struct event_loop *loop)
{
    return loop->ring ? "io_uring" : "threads";
}
