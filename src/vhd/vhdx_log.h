/* SPDX-License-Identifier: Apache-2.0 */
/* Log replay: into the file, or into a view of it. */
#ifndef VHD_VHDX_LOG_H
#define VHD_VHDX_LOG_H

#include "vhdx_format.h"

/* An entry that was found to be whole. */
struct vhdx_log_entry {
	uint32_t bytes;
	uint32_t tail; /* page number in the log */
	uint32_t descriptors;
	uint64_t sequence;
	uint64_t flushed_file_offset;
	uint64_t last_file_offset;
};

/* Where a replay goes to. Each returns 0 or -errno. */
struct vhdx_log_target {
	/* First: how long the file is to be. */
	int (*begin)(void *ctx, uint64_t file_bytes);
	/* In order. Whole pages outside the log, from VHDX_LOGGED_FROM on; zeros may go beyond the end, where nothing is to be done. */
	int (*zero)(void *ctx, uint64_t offset, uint64_t bytes);
	/* @page: VHDX_PAGE bytes from aligned_alloc; taken over, also on failure. */
	int (*data)(void *ctx, uint64_t offset, uint8_t *page);
	void *ctx;
};

/*
 * Replays the log that @header names. Nothing is changed unless the log is whole. 0, -errno, VHD_CORRUPT, VHD_TRUNCATED. Waits.
 */
int vhdx_log_apply(struct storage_file *f, const struct vhdx_header *header,
		   const struct vhdx_log_target *to, struct vhd_error *error);
/* Into the file, flushed. The header still names the log afterwards. */
int vhdx_log_replay_into(struct storage_file *f, const struct vhdx_header *header,
			 struct vhd_error *error);
/*
 * For files that cannot be written: *@f is replaced by one that shows the file as it would be (and owns the old one). On failure *@f stays.
 */
int vhdx_log_replay_view(struct storage_file **f, const struct vhdx_header *header,
			 struct vhd_error *error);

#endif
