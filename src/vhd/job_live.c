// SPDX-License-Identifier: Apache-2.0
/*
 * Merge in a chain in use. What is copied into the base is what the files above hide it with anyway, so that the guest notices nothing, and a crash
 * leaves the chain as it was; identities as in job_merge.c. Files above that are for reading only change no more, so one pass is enough,
 * and at its end the file above them is connected to the base: one durable change of its locator.
 *
 * When the top itself goes, the guest writes to it meanwhile. A watch knows which regions; they are copied again, in rounds that are
 * done with ever less patience, until so little is left that it can be copied while the guest waits. Then the base becomes the top. From its first
 * write on the old top is out of date, and must not be taken for the disk after a crash: so before that, durably, it loses its parent.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "chain.h"
#include "job_live.h"
#include "lib/bits.h"
#include "lib/check.h"

#define DEPTH_MAX 4096u
#define REGION_BYTES (UINT64_C(64) << 10)
/* So much may be left to be copied while the guest waits. */
#define LAST_BYTES (UINT64_C(2) << 20)
#define ROUNDS_MAX 16u

static struct vhd_live *live_of(struct vhd_job *job)
{
	return container_of(job, struct vhd_live, job);
}

/* ---- Copying ---- */

/* Of the top only what is dirty, and that is clean when it is asked for. */
static int next_dirty(void *ctx, uint64_t offset, struct vhd_copy_piece *ret,
		      struct vhd_error *error)
{
	struct vhd_live *j = ctx;

	if (j->copy.phase == VHD_COPY_SCANNING || offset >= j->stack.bytes) {
		return vhd_stack_next(&j->stack, offset, ret, error);
	}
	if (offset >= j->region_end) {
		uint64_t at = min_u64(vhd_watch_find(&j->watch, offset), j->stack.bytes);

		if (at > offset) {
			*ret = (struct vhd_copy_piece){.kind = VHD_COPY_SKIP, .bytes = at - offset};
			return 0;
		}
		j->region_end = min_u64(vhd_watch_take(&j->watch, offset), j->stack.bytes);
	}
	int r = vhd_stack_next(&j->stack, offset, ret, error);

	if (r == 0) {
		ret->bytes = min_u64(ret->bytes, j->region_end - offset);
	}
	return r;
}

static int begin_copy(struct vhd_live *j, struct vhd_error *error)
{
	struct vhd_copy_source source = vhd_stack_source(&j->stack);

	if (j->depth == 0) {
		source.next = next_dirty;
		source.ctx = j;
	}
	int r = vhd_copy_init(&j->copy, &source, j->base.fresh, false);

	if (r != 0) {
		return vhd_fail_errno(error, r, j->base.fresh->path, "cannot merge");
	}
	j->copying = true;
	vhd_copy_be_gentle(&j->copy);
	return 0;
}

static void copy_again(struct vhd_live *j)
{
	j->region_end = 0;
	vhd_copy_again(&j->copy);
}

static void end_copy(struct vhd_live *j)
{
	if (j->copying) {
		vhd_copy_fini(&j->copy);
		j->copying = false;
	}
}

/* One step; in later rounds several: a guest that writes faster than we copy has to wait a little. */
static int copy_some(struct vhd_live *j, struct vhd_progress *progress, struct vhd_error *error)
{
	int r = 1;

	for (unsigned i = 0; r == 1 && i < 1u << j->round; i++) {
		r = vhd_copy_step(&j->copy, progress, error);
	}
	return r;
}

/* Too much has changed for the guest to wait for. Nobody writes for ever faster than rounds without patience. */
static bool needs_another_round(const struct vhd_live *j)
{
	return j->depth == 0 && j->round < ROUNDS_MAX &&
	       vhd_watch_dirty_bytes(&j->watch) > LAST_BYTES;
}

static void begin_round(struct vhd_live *j)
{
	j->round++;
	copy_again(j);
	j->phase = VHD_LIVE_COPY;
}

static int copy(struct vhd_live *j, struct vhd_progress *progress, struct vhd_error *error)
{
	int r = copy_some(j, progress, error);

	if (r != 0) {
		return r;
	}
	if (needs_another_round(j)) {
		begin_round(j);
	} else {
		j->phase = VHD_LIVE_FLUSH;
	}
	return 1;
}

/* ---- The other phases. 0 or the error. ---- */

static int make_stack(struct vhd_live *j, struct vhd_error *error)
{
	int r = vhd_stack_init(&j->stack, j->count, j->base.fresh->layer);

	for (unsigned i = 0; r == 0 && i < j->count; i++) {
		struct vhd_disk *d = vhd_ancestor(j->top, j->depth + i);

		vhd_stack_put(&j->stack, i, d->layer, d == j->top);
	}
	if (r == 0 && j->depth == 0) {
		r = vhd_watch_start(&j->watch, j->top->layer, REGION_BYTES);
	}
	return r == 0 ? 0 : vhd_fail_errno(error, r, j->top->path, "cannot merge");
}

static int do_swap(struct vhd_live *j, struct vhd_error *error)
{
	vhd_live_swap(j);
	j->phase = VHD_LIVE_ANNOUNCE;
	return make_stack(j, error);
}

static int announce(struct vhd_live *j, struct vhd_error *error)
{
	struct vhd_layer *base = j->base.fresh->layer;
	int r = vhd_live_announce(j, error);

	if (r == 0 && j->stack.bytes > base->block.info.bytes) {
		r = base->ops->resize(base, j->stack.bytes, error);
	}
	r = r == 0 ? begin_copy(j, error) : r;
	j->phase = VHD_LIVE_COPY;
	return r;
}

static int flush_base(struct vhd_live *j, struct vhd_error *error)
{
	int r = block_flush(vhd_block(j->base.fresh));

	return r == 0 ? 0 : vhd_fail_errno(error, r, j->base.fresh->path, "cannot write it out");
}

static int flush(struct vhd_live *j, struct vhd_error *error)
{
	int r = flush_base(j, error);

	if (needs_another_round(j)) {
		begin_round(j); /* it took its time */
	} else {
		j->phase = j->depth == 0 ? VHD_LIVE_PIVOT : VHD_LIVE_RELINK;
	}
	return r;
}

static int shrink_base(struct vhd_live *j, struct vhd_error *error)
{
	struct vhd_layer *base = j->base.fresh->layer;

	return j->stack.bytes < base->block.info.bytes
		       ? base->ops->resize(base, j->stack.bytes, error)
		       : 0;
}

static int relink(struct vhd_live *j, struct vhd_error *error)
{
	end_copy(j);
	int r = shrink_base(j, error);

	r = r == 0 ? vhd_live_relink(j, error) : r;
	if (r == 0) {
		j->phase = VHD_LIVE_JOIN;
	}
	return r;
}

static int join(struct vhd_live *j, struct vhd_error *error)
{
	j->phase = VHD_LIVE_CLOSE;
	return vhd_live_join(j, error);
}

/*
 * When the file could not be written to its end, nobody knows whether it has lost its parent: after a crash it may be the disk, or not. So it must not be
 * written any more either.
 */
static int disown(struct vhd_live *j, struct vhd_error *error)
{
	struct block_device *top = vhd_block(j->top);
	struct vhd_error why = {""};
	int r = vhd_live_disown(j, &why);

	if (r == 0) {
		return 0;
	}
	if (!vhd_block(vhd_live_lowest(j))->info.read_only) {
		return vhd_fail(error, r, "%s", why.text);
	}
	top->info.read_only = true;
	block_changed(top);
	return vhd_fail(error, r,
			"%.300s; the disk is for reading only from now on: start the machine again",
			why.text);
}

static int copy_the_rest(struct vhd_live *j, struct vhd_error *error)
{
	struct vhd_progress progress;
	int r = 0;

	while (r == 0 && j->watch.dirty != 0) {
		copy_again(j);
		do {
			r = vhd_copy_step(&j->copy, &progress, error);
		} while (r == 1);
	}
	return r;
}

static void exchange_top(struct vhd_live *j)
{
	struct vhd_disk *lowest = vhd_live_lowest(j);

	vhd_watch_stop(&j->watch);
	lowest->parent = NULL;
	lowest->layer->parent = NULL;
	j->gone = j->top;
	j->new_top = j->base.fresh;
}

static int pivot(struct vhd_live *j, struct vhd_error *error)
{
	int r = copy_the_rest(j, error);

	r = r == 0 ? flush_base(j, error) : r;
	r = r == 0 ? shrink_base(j, error) : r;
	r = r == 0 ? disown(j, error) : r;
	if (r == 0) {
		exchange_top(j);
		j->phase = VHD_LIVE_CLOSE;
	}
	return r;
}

/* What went will be removed: whether its last bytes reached it is of no interest. */
static void close_gone(struct vhd_live *j)
{
	if (j->gone != NULL) {
		(void)vhd_close(j->gone);
		j->gone = NULL;
		j->lowest.fresh = NULL;
	}
}

static int finish(struct vhd_live *j)
{
	end_copy(j);
	close_gone(j);
	/* Everything is durable; a log that stays in a file is replayed when that is opened. */
	vhd_live_release(j);
	return 0;
}

/* ---- The job ---- */

static const char *phase_name(const struct vhd_live *j)
{
	switch (j->phase) {
	case VHD_LIVE_SWAP:
	case VHD_LIVE_ANNOUNCE:
		return "preparing";
	case VHD_LIVE_COPY:
		return j->copy.phase == VHD_COPY_SCANNING ? "looking for data"
		       : j->round != 0			  ? "copying what has changed"
							  : "copying";
	case VHD_LIVE_FLUSH:
	case VHD_LIVE_RELINK:
	case VHD_LIVE_JOIN:
	case VHD_LIVE_PIVOT:
	case VHD_LIVE_CLOSE:
		break;
	}
	return "finishing";
}

/* 1: more to do, 0: done. */
static int run_phase(struct vhd_live *j, struct vhd_progress *progress, struct vhd_error *error)
{
	int r = 0;

	switch (j->phase) {
	case VHD_LIVE_SWAP:
		r = do_swap(j, error);
		break;
	case VHD_LIVE_ANNOUNCE:
		r = announce(j, error);
		break;
	case VHD_LIVE_COPY:
		return copy(j, progress, error);
	case VHD_LIVE_FLUSH:
		r = flush(j, error);
		break;
	case VHD_LIVE_RELINK:
		r = relink(j, error);
		break;
	case VHD_LIVE_JOIN:
		r = join(j, error);
		break;
	case VHD_LIVE_PIVOT:
		r = pivot(j, error);
		break;
	case VHD_LIVE_CLOSE:
		return finish(j);
	}
	return r == 0 ? 1 : r;
}

static int live_step(struct vhd_job *job, struct vhd_progress *ret_progress,
		     struct vhd_error *error)
{
	struct vhd_live *j = live_of(job);
	struct vhd_progress progress = {.done_bytes = j->copy.done_bytes,
					.total_bytes = j->copy.total_bytes};
	int r = run_phase(j, &progress, error);

	progress.done_bytes = min_u64(progress.done_bytes, progress.total_bytes);
	progress.phase = phase_name(j);
	*ret_progress = progress;
	return r;
}

static void live_destroy(struct vhd_job *job)
{
	struct vhd_live *j = live_of(job);

	end_copy(j);
	vhd_watch_stop(&j->watch);
	close_gone(j);
	vhd_live_release(j);
	vhd_stack_fini(&j->stack);
	free(j);
}

static const struct vhd_job_ops live_ops = {.step = live_step, .destroy = live_destroy};

bool vhd_merge_wants_quiet(struct vhd_job *job)
{
	if (job->ops != &live_ops) {
		return false;
	}
	enum vhd_live_phase phase = live_of(job)->phase;

	return phase == VHD_LIVE_SWAP || phase == VHD_LIVE_JOIN || phase == VHD_LIVE_PIVOT;
}

bool vhd_merge_is_decided(struct vhd_job *job)
{
	return job->ops == &live_ops &&
	       (live_of(job)->phase == VHD_LIVE_JOIN || live_of(job)->phase == VHD_LIVE_CLOSE);
}

struct vhd_disk *vhd_merge_top(struct vhd_job *job)
{
	return job->ops == &live_ops ? live_of(job)->new_top : NULL;
}

/* ---- Beginning ---- */

static bool is_vhdx(const struct vhd_disk *d)
{
	return d->layer->ops == &vhd_format_vhdx;
}

/* What a chain of several formats cannot become. */
static int check_formats(const struct vhd_live *j, struct vhd_error *error)
{
	struct vhd_disk *lowest = vhd_ancestor(j->top, j->depth + j->count - 1);
	struct vhd_disk *base = lowest->parent;

	if (is_vhdx(base) && !is_vhdx(lowest)) {
		return vhd_fail(
			error, VHD_NOT_POSSIBLE,
			"%s: is a VHD on the VHDX %s; a VHD cannot record both identities of "
			"a parent that changes; convert the disk into a new one instead",
			lowest->path, base->path);
	}
	if (j->depth != 0 && base->layer->ops == &vhd_format_raw &&
	    is_vhdx(vhd_ancestor(j->top, j->depth - 1))) {
		return vhd_fail(
			error, VHD_NOT_POSSIBLE,
			"%s: a VHDX cannot stand on the raw disk %s; convert the disk into a "
			"new one instead",
			vhd_ancestor(j->top, j->depth - 1)->path, base->path);
	}
	return 0;
}

static int check_chain(struct vhd_live *j, struct vhd_error *error)
{
	if (j->count == 0 || j->depth > DEPTH_MAX || j->count > DEPTH_MAX ||
	    vhd_ancestor(j->top, j->depth + j->count) == NULL) {
		return vhd_fail(error, VHD_INVALID_ARGUMENT,
				"%s: has no files number %u to %u with another one below them",
				j->top->path, j->depth, j->depth + j->count - 1);
	}
	if (j->host.claim == NULL) {
		return vhd_fail(error, VHD_NOT_POSSIBLE,
				"%s: files of a disk in use cannot be opened for writing here",
				j->top->path);
	}
	if (vhd_block(j->top)->info.read_only) {
		return vhd_fail(error, VHD_NOT_POSSIBLE, "%s: is open for reading only",
				j->top->path);
	}
	for (unsigned i = 0; i <= j->count; i++) {
		struct vhd_disk *d = vhd_ancestor(j->top, j->depth + i);

		vhd_layer_info(d->layer, &j->info);
		if (j->info.saved_state) {
			return vhd_fail(
				error, VHD_NOT_POSSIBLE,
				"%s: belongs to a saved machine, which expects it as it is; "
				"start and shut that down first",
				d->path);
		}
	}
	return check_formats(j, error);
}

int vhd_merge_live(struct vhd_disk *top, unsigned depth, unsigned count,
		   const struct vhd_host *host, struct vhd_job **ret, struct vhd_error *error)
{
	struct vhd_live *j = calloc(1, sizeof(*j));

	if (j == NULL) {
		return vhd_fail_errno(error, -ENOMEM, top->path, "cannot merge");
	}
	*j = (struct vhd_live){
		.job.ops = &live_ops, .host = *host, .top = top, .depth = depth, .count = count};
	int r = check_chain(j, error);

	r = r == 0 ? vhd_live_claim(j, error) : r;
	if (r != 0) {
		live_destroy(&j->job);
		return r;
	}
	*ret = &j->job;
	return 0;
}
