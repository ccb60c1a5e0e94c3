// SPDX-License-Identifier: Apache-2.0
#include "disk_tree.h"

#include "lib/check.h"

/* How many files lie right above @file; *ret_one is one of them. */
static size_t children(const struct disk_tree_file *files, size_t count, size_t file,
		       size_t *ret_one)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		if (!files[i].gone && files[i].parent == file) {
			*ret_one = i;
			n++;
		}
	}
	return n;
}

static bool find_removal(const struct disk_tree_file *files, size_t count,
			 struct disk_tree_step *ret)
{
	size_t above;

	for (size_t i = 0; i < count; i++) {
		if (!files[i].gone && files[i].made && !files[i].used &&
		    children(files, count, i, &above) == 0) {
			*ret = (struct disk_tree_step){.kind = DISK_TREE_REMOVE, .file = i};
			return true;
		}
	}
	return false;
}

/* Is @file unused with a single file above it? That goes into it. */
static bool wants_merge(const struct disk_tree_file *files, size_t count, size_t file,
			size_t *ret_above)
{
	return !files[file].gone && !files[file].used &&
	       children(files, count, file, ret_above) == 1 && files[*ret_above].made;
}

/* The lowest such file, and everything above it that would be merged on, so that data moves once. */
static bool find_merge(const struct disk_tree_file *files, size_t count, struct disk_tree_step *ret)
{
	size_t above, next;

	for (size_t i = 0; i < count; i++) {
		if (!wants_merge(files, count, i, &above) ||
		    (files[i].parent != DISK_TREE_NONE &&
		     wants_merge(files, count, files[i].parent, &next))) {
			continue;
		}
		*ret = (struct disk_tree_step){
			.kind = DISK_TREE_MERGE, .file = i, .last = above, .count = 1};
		while (wants_merge(files, count, ret->last, &next)) {
			ret->last = next;
			ret->count++;
		}
		return true;
	}
	return false;
}

bool disk_tree_next(const struct disk_tree_file *files, size_t count, struct disk_tree_step *ret)
{
	return find_removal(files, count, ret) || find_merge(files, count, ret);
}

void disk_tree_done(struct disk_tree_file *files, size_t count, const struct disk_tree_step *step)
{
	if (step->kind == DISK_TREE_REMOVE) {
		files[step->file].gone = true;
		return;
	}
	files[step->file].used = files[step->last].used;
	for (size_t at = step->last; at != step->file; at = files[at].parent) {
		CHECK(at != DISK_TREE_NONE);
		files[at].gone = true;
		files[at].used = false;
	}
	for (size_t i = 0; i < count; i++) {
		if (!files[i].gone && files[i].parent == step->last) {
			files[i].parent = step->file;
		}
	}
}
