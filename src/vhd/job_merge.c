// SPDX-License-Identifier: Apache-2.0
/*
 * Merge: what the files above an ancestor have, into the ancestor.
 *
 * A crash must leave a chain that opens and shows what it showed. Copying is harmless by itself: what reaches the ancestor is what the
 * files above hide it with anyway. The identity is not: changed data means a new DataWriteGuid of a VHDX, and the child of it names
 * the old one. So first the child names both (parent_linkage as it is, parent_linkage2 the new one), durably; then the ancestor takes the
 * new one, durably; then the data. A VHD's identity never changes.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "job_copy.h"
#include "job_stack.h"
#include "lib/bits.h"
#include "lib/check.h"

#define MERGE_DEPTH_MAX 1024u

/* One file above the ancestor, by itself. */
struct upper {
	char *path;
	struct vhd_disk *disk; /* NULL: not open */
};

struct merge_job {
	struct vhd_job job;
	struct vhd_host host;
	unsigned depth;
	struct upper *upper; /* [depth], the top first */
	char *ancestor_path;
	struct vhd_disk *ancestor;
	bool ancestor_raw;
	struct vhd_stack stack;
	struct vhd_copy copy;
	bool copying;
	struct vhd_info info; /* scratch: too large for the stack */
	struct vhd_locator locator;
};

static bool is_vhdx(enum vhd_format f)
{
	return f == VHD_VHDX_FIXED || f == VHD_VHDX_DYNAMIC || f == VHD_VHDX_DIFFERENCING;
}

/* ---- The job ---- */

static int close_ancestor(struct merge_job *j)
{
	struct vhd_disk *d = j->ancestor;

	j->ancestor = NULL;
	return d != NULL ? vhd_close(d) : 0;
}

static int finish(struct merge_job *j, struct vhd_error *error)
{
	struct vhd_layer *l = j->ancestor->layer;

	vhd_copy_fini(&j->copy);
	j->copying = false;
	int r = block_flush(vhd_block(j->ancestor));

	if (r != 0) {
		return vhd_fail_errno(error, r, j->ancestor_path, "cannot write it out");
	}
	if (j->stack.bytes < vhd_block(j->ancestor)->info.bytes) {
		r = l->ops->resize(l, j->stack.bytes, error);
		if (r != 0) {
			return r;
		}
	}
	r = close_ancestor(j);
	return r == 0 ? 0
		      : vhd_fail_errno(error, r < 0 ? r : -EIO, j->ancestor_path,
				       "cannot write it out");
}

static int merge_step(struct vhd_job *job, struct vhd_progress *ret_progress,
		      struct vhd_error *error)
{
	struct merge_job *j = container_of(job, struct merge_job, job);
	int r = vhd_copy_step(&j->copy, ret_progress, error);

	return r == 0 ? finish(j, error) : r;
}

static void merge_destroy(struct vhd_job *job)
{
	struct merge_job *j = container_of(job, struct merge_job, job);

	if (j->copying) {
		vhd_copy_fini(&j->copy);
	}
	(void)close_ancestor(j);
	for (unsigned i = 0; j->upper != NULL && i < j->depth; i++) {
		if (j->upper[i].disk != NULL) {
			vhd_close(j->upper[i].disk);
		}
		free(j->upper[i].path);
	}
	free(j->upper);
	vhd_stack_fini(&j->stack);
	free(j->ancestor_path);
	free(j);
}

static const struct vhd_job_ops merge_ops = {.step = merge_step, .destroy = merge_destroy};

/* ---- Beginning ---- */

static int fail_memory(const char *path, struct vhd_error *error)
{
	return vhd_fail_errno(error, -ENOMEM, path, "cannot merge");
}

/* The files of the chain, and whether they can be merged. @top: the whole chain, open for reading. */
static int take_chain(struct merge_job *j, struct vhd_disk *top, struct vhd_error *error)
{
	struct vhd_disk *ancestor = vhd_ancestor(top, j->depth);

	if (j->depth == 0 || j->depth > MERGE_DEPTH_MAX || ancestor == NULL) {
		return vhd_fail(error, VHD_INVALID_ARGUMENT,
				"%s: has no ancestor number %u to merge into", top->path, j->depth);
	}
	j->upper = calloc(j->depth, sizeof(*j->upper));
	j->ancestor_path = strdup(ancestor->path);
	if (j->upper == NULL || j->ancestor_path == NULL) {
		return fail_memory(top->path, error);
	}
	for (unsigned i = 0; i < j->depth; i++) {
		struct vhd_disk *d = vhd_ancestor(top, i);

		j->upper[i].path = strdup(d->path);
		if (j->upper[i].path == NULL) {
			return fail_memory(top->path, error);
		}
	}
	j->ancestor_raw = ancestor->layer->ops == &vhd_format_raw;
	return 0;
}

static int check_chain(struct merge_job *j, struct vhd_disk *top, struct vhd_error *error)
{
	struct vhd_info *info = &j->info;
	bool vhd_above = false;

	for (unsigned i = 0; i <= j->depth; i++) {
		vhd_layer_info(vhd_ancestor(top, i)->layer, info);
		if (info->saved_state) {
			return vhd_fail(
				error, VHD_NOT_POSSIBLE,
				"%s: belongs to a saved machine, which expects it as it is; start "
				"and shut that down first",
				vhd_ancestor(top, i)->path);
		}
		if (i == j->depth && vhd_above && is_vhdx(info->format)) {
			return vhd_fail(
				error, VHD_NOT_POSSIBLE,
				"%s: is a VHD on the VHDX %s; a VHD cannot record both identities "
				"of a parent that changes; merge into a new disk instead",
				j->upper[i - 1].path, j->ancestor_path);
		}
		vhd_above = !is_vhdx(info->format);
	}
	return 0;
}

/* Looks at the chain as a whole, then closes it: its files are opened one by one afterwards, each with the access that it needs. */
static int inspect_chain(struct merge_job *j, const char *child, struct vhd_error *error)
{
	struct vhd_disk *top;
	int r = vhd_open(&j->host, child, 0, &top, error);

	if (r != 0) {
		return r;
	}
	r = take_chain(j, top, error);
	r = r == 0 ? check_chain(j, top, error) : r;
	vhd_close(top);
	return r;
}

static int open_ancestor(struct merge_job *j, struct vhd_error *error)
{
	uint32_t flags = VHD_OPEN_WRITE | (j->ancestor_raw ? VHD_OPEN_RAW : 0);
	int r = vhd_open(&j->host, j->ancestor_path, flags, &j->ancestor, error);

	if (r == 0) {
		vhd_layer_info(j->ancestor->layer, &j->info);
	}
	return r;
}

/* Makes the child of the ancestor name @linkage too. Closing makes it durable. */
static int announce_linkage(struct merge_job *j, const struct guid *linkage,
			    struct vhd_error *error)
{
	const char *path = j->upper[j->depth - 1].path;
	struct vhd_locator *locator = &j->locator;
	struct vhd_disk *child;
	int r = vhd_open(&j->host, path, VHD_OPEN_WRITE | VHD_OPEN_NO_PARENT, &child, error);

	if (r != 0) {
		return r;
	}
	r = child->layer->ops->locator(child->layer, locator, error);
	if (r == 0) {
		/* The present one may be what an interrupted merge had announced. */
		locator->linkage = j->info.linkage;
		locator->linkage2 = *linkage;
		r = child->layer->ops->set_locator(child->layer, locator, error);
	}
	int closed = vhd_close(child);

	return r != 0 || closed == 0 ? r
				     : vhd_fail_errno(error, closed < 0 ? closed : -EIO, path,
						      "cannot write it out");
}

/* j->info: the ancestor's. */
static int change_linkage(struct merge_job *j, struct vhd_error *error)
{
	uint8_t random[16];

	if (!is_vhdx(j->info.format)) {
		return 0;
	}
	j->host.random(j->host.ctx, random, sizeof(random));
	struct guid linkage = guid_from_random(random);
	int r = announce_linkage(j, &linkage, error);

	return r != 0 ? r
		      : j->ancestor->layer->ops->new_linkage(j->ancestor->layer, &linkage, error);
}

static int open_uppers(struct merge_job *j, struct vhd_error *error)
{
	for (unsigned i = 0; i < j->depth; i++) {
		int r = vhd_open(&j->host, j->upper[i].path, VHD_OPEN_NO_PARENT, &j->upper[i].disk,
				 error);

		if (r != 0) {
			return r;
		}
	}
	return 0;
}

static int make_stack(struct merge_job *j, struct vhd_error *error)
{
	int r = vhd_stack_init(&j->stack, j->depth, j->ancestor->layer);

	if (r != 0) {
		return fail_memory(j->ancestor_path, error);
	}
	for (unsigned i = 0; i < j->depth; i++) {
		vhd_stack_put(&j->stack, i, j->upper[i].disk->layer, false);
	}
	return 0;
}

static int grow_ancestor(struct merge_job *j, struct vhd_error *error)
{
	struct vhd_layer *l = j->ancestor->layer;

	return j->stack.bytes > l->block.info.bytes ? l->ops->resize(l, j->stack.bytes, error) : 0;
}

static int start(struct merge_job *j, const char *child, struct vhd_error *error)
{
	int r = inspect_chain(j, child, error);

	r = r == 0 ? open_ancestor(j, error) : r;
	r = r == 0 ? change_linkage(j, error) : r;
	r = r == 0 ? open_uppers(j, error) : r;
	r = r == 0 ? make_stack(j, error) : r;
	r = r == 0 ? grow_ancestor(j, error) : r;
	if (r != 0) {
		return r;
	}
	const struct vhd_copy_source source = vhd_stack_source(&j->stack);

	r = vhd_copy_init(&j->copy, &source, j->ancestor, false);
	j->copying = r == 0;
	return r == 0 ? 0 : fail_memory(j->ancestor_path, error);
}

int vhd_merge(const struct vhd_host *host, const char *child, unsigned depth, struct vhd_job **ret,
	      struct vhd_error *error)
{
	struct merge_job *j = calloc(1, sizeof(*j));

	if (j == NULL) {
		return vhd_fail_errno(error, -ENOMEM, child, "cannot merge");
	}
	*j = (struct merge_job){.job.ops = &merge_ops, .host = *host, .depth = depth};
	int r = start(j, child, error);

	if (r != 0) {
		merge_destroy(&j->job);
		return r;
	}
	*ret = &j->job;
	return 0;
}
