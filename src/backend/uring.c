// SPDX-License-Identifier: Apache-2.0
/*
 * The io_uring engine. One io_uring_enter per poll submits, waits and collects. A wake-up from another thread is a read of an eventfd
 * inside the same ring, so that there is one place to sleep.
 *
 * The ring is made on one thread and may be handed to another (between requests), so it is not bound to a thread (SINGLE_ISSUER); completions
 * are run when the owner enters the kernel (COOP_TASKRUN), without interrupting it.
 */
#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine.h"
#include "lib/bits.h"
#include "lib/check.h"

#define REAP_AT_ONCE 64u
#define SPARE_ENTRIES 8u /* the read of the eventfd, and cancelling a former owner's */
#define NSEC_PER_SEC UINT64_C(1000000000)

struct uring {
	struct io_uring ring;
	int wake_fd;
	/* backend_wake and the poller agree without a system call unless the poller sleeps. */
	atomic_bool woken, sleeping;
	/*
	 * The read of wake_fd completes on the thread that submitted it, so each owner of the ring has its own and cancels that of the
	 * owner before; the two slots tell them apart.
	 */
	pthread_t owner;
	unsigned wake_slot;
	bool wake_armed;
	uint64_t wake_value[2];
};

static struct uring *uring_of(struct backend *b)
{
	return b->engine_state;
}

/* The best that this kernel knows; each attempt asks for less. */
static int setup_ring(struct io_uring *ring, unsigned entries)
{
	static const unsigned flags[] = {
		IORING_SETUP_CLAMP | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
			IORING_SETUP_SUBMIT_ALL,
		IORING_SETUP_CLAMP,
	};
	int r = -EINVAL;

	for (size_t i = 0; i < ARRAY_LEN(flags) && r == -EINVAL; i++) {
		struct io_uring_params params = {.flags = flags[i]};

		r = io_uring_queue_init_params(entries, ring, &params);
		if (r == 0 && ((params.features & IORING_FEAT_NODROP) == 0 ||
			       (params.features & IORING_FEAT_EXT_ARG) == 0)) {
			io_uring_queue_exit(
				ring); /* before 5.11: may lose completions, no timeouts */
			r = -ENOSYS;
		}
	}
	return r;
}

static bool has_operations(struct io_uring *ring)
{
	static const int needed[] = {IORING_OP_READ,	    IORING_OP_READV, IORING_OP_WRITE,
				     IORING_OP_WRITEV,	    IORING_OP_FSYNC, IORING_OP_FALLOCATE,
				     IORING_OP_ASYNC_CANCEL};
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	bool all = probe != NULL;

	for (size_t i = 0; all && i < ARRAY_LEN(needed); i++) {
		all = io_uring_opcode_supported(probe, needed[i]) != 0;
	}
	io_uring_free_probe(probe);
	return all;
}

static int uring_create(struct backend *b)
{
	struct uring *u = calloc(1, sizeof(*u));
	int r;

	if (u == NULL) {
		return -ENOMEM;
	}
	u->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (u->wake_fd < 0) {
		r = -errno;
		goto no_eventfd;
	}
	r = setup_ring(&u->ring, b->depth + SPARE_ENTRIES);
	if (r < 0) {
		goto no_ring;
	}
	if (!has_operations(&u->ring)) {
		r = -ENOSYS;
		goto no_operations;
	}
	u->owner = pthread_self();
	b->engine_state = u;
	return 0;
no_operations:
	io_uring_queue_exit(&u->ring);
no_ring:
	close(u->wake_fd);
no_eventfd:
	free(u);
	return r;
}

static void uring_destroy(struct backend *b)
{
	struct uring *u = uring_of(b);

	io_uring_queue_exit(&u->ring);
	close(u->wake_fd);
	free(u);
}

static void uring_wake(struct backend *b)
{
	struct uring *u = uring_of(b);
	uint64_t one = 1;

	atomic_store(&u->woken, true);
	if (atomic_exchange(&u->sleeping, false)) {
		ssize_t n = write(u->wake_fd, &one, sizeof(one));

		CHECK(n == sizeof(one));
	}
}

static struct io_uring_sqe *next_sqe(struct uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	CHECK(sqe != NULL); /* one for each operation, and SPARE_ENTRIES */
	return sqe;
}

/* Single buffers take the shorter way in the kernel. */
static void prep_transfer(struct io_uring_sqe *sqe, int fd, const struct op_call *call)
{
	const struct iovec *v = call->vec;
	bool single = call->vec_count == 1;

	if (call->kind == OP_CALL_READ && single) {
		io_uring_prep_read(sqe, fd, v->iov_base, (unsigned)v->iov_len, call->offset);
	} else if (call->kind == OP_CALL_READ) {
		io_uring_prep_readv(sqe, fd, v, call->vec_count, call->offset);
	} else if (single) {
		io_uring_prep_write(sqe, fd, v->iov_base, (unsigned)v->iov_len, call->offset);
	} else {
		io_uring_prep_writev(sqe, fd, v, call->vec_count, call->offset);
	}
	sqe->rw_flags = call->flags;
}

static void issue(struct uring *u, struct op *op)
{
	struct io_uring_sqe *sqe = next_sqe(u);
	int fd = op->file->fd;

	switch (op->call.kind) {
	case OP_CALL_READ:
	case OP_CALL_WRITE:
		prep_transfer(sqe, fd, &op->call);
		break;
	case OP_CALL_SYNC:
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
		break;
	case OP_CALL_FALLOCATE:
		io_uring_prep_fallocate(sqe, fd, op->call.flags, (off_t)op->call.offset,
					(off_t)op->call.bytes);
		break;
	}
	io_uring_sqe_set_data(sqe, op);
}

static void change_owner(struct uring *u)
{
	u->owner = pthread_self();
	if (u->wake_armed) {
		struct io_uring_sqe *sqe = next_sqe(u);

		io_uring_prep_cancel(sqe, &u->wake_value[u->wake_slot], 0);
		io_uring_sqe_set_data(sqe, NULL);
		u->wake_slot ^= 1;
		u->wake_armed = false;
	}
}

static void arm_wake(struct uring *u)
{
	if (!pthread_equal(u->owner, pthread_self())) {
		change_owner(u);
	}
	if (!u->wake_armed) {
		struct io_uring_sqe *sqe = next_sqe(u);
		uint64_t *value = &u->wake_value[u->wake_slot];

		io_uring_prep_read(sqe, u->wake_fd, value, sizeof(*value), 0);
		io_uring_sqe_set_data(sqe, value);
		u->wake_armed = true;
	}
}

/* The data is the operation, the value that a read of wake_fd goes to, or nothing (a cancellation). */
static void handle_cqe(struct backend *b, const struct io_uring_cqe *cqe)
{
	struct uring *u = uring_of(b);
	void *data = io_uring_cqe_get_data(cqe);

	if (data == &u->wake_value[u->wake_slot]) {
		u->wake_armed = false;
	}
	if (data == NULL || data == &u->wake_value[0] || data == &u->wake_value[1]) {
		return;
	}
	struct op *op = data;

	if (op_step(op, cqe->res)) {
		issue(u, op);
	} else {
		backend_end_op(b, op);
	}
}

static void reap(struct backend *b)
{
	struct uring *u = uring_of(b);
	struct io_uring_cqe *cqes[REAP_AT_ONCE];
	unsigned n;

	while ((n = io_uring_peek_batch_cqe(&u->ring, cqes, REAP_AT_ONCE)) != 0) {
		for (unsigned i = 0; i < n; i++) {
			struct io_uring_cqe cqe = *cqes[i];

			handle_cqe(b, &cqe);
		}
		io_uring_cq_advance(&u->ring, n);
	}
}

static void submit_and_sleep(struct uring *u, uint64_t timeout_ns)
{
	struct __kernel_timespec ts = {.tv_sec = (int64_t)(timeout_ns / NSEC_PER_SEC),
				       .tv_nsec = (long long)(timeout_ns % NSEC_PER_SEC)};
	struct io_uring_cqe *cqe;

	io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, timeout_ns == UINT64_MAX ? NULL : &ts,
					 NULL);
}

static void uring_poll(struct backend *b, bool block, uint64_t timeout_ns)
{
	struct uring *u = uring_of(b);
	struct op *op;

	while ((op = backend_next_op(b)) != NULL) {
		issue(u, op);
	}
	if (block) {
		arm_wake(u);
		atomic_store(&u->sleeping, true);
	}
	if (block && !atomic_load(&u->woken)) {
		submit_and_sleep(u, timeout_ns);
	} else if (io_uring_sq_ready(&u->ring) != 0) {
		io_uring_submit(&u->ring);
	}
	if (block) {
		atomic_store(&u->sleeping, false);
		atomic_store(&u->woken, false);
	}
	reap(b);
}

const struct engine engine_uring = {
	.create = uring_create,
	.destroy = uring_destroy,
	.poll = uring_poll,
	.wake = uring_wake,
};
