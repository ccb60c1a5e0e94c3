// SPDX-License-Identifier: Apache-2.0
/* Log replay. Spec: MS-VHDX 2.3.3. What counts is found by vhdx_log_find.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/crc32c.h"
#include "vhdx_log_search.h"

/* Descriptor @i of the entry at page @at. Waits; false: s->error. */
static bool read_desc(struct vhdx_log_search *s, uint32_t at, uint32_t i, struct vhdx_log_desc *ret)
{
	uint64_t in = sizeof(struct vhdx_log_header) + (uint64_t)i * sizeof(*ret);
	const uint8_t *page =
		vhdx_log_page(s, (uint64_t)at * VHDX_PAGE + align_down(in, VHDX_PAGE));

	if (page != NULL) {
		memcpy(ret, page + in % VHDX_PAGE, sizeof(*ret));
	}
	return page != NULL;
}

static int apply_data(struct vhdx_log_search *s, const struct vhdx_log_target *to,
		      const struct vhdx_log_desc *d, uint64_t data_at)
{
	uint8_t *out = aligned_alloc(VHDX_PAGE, VHDX_PAGE);

	if (out == NULL) {
		return -ENOMEM;
	}
	int rc = storage_file_read(s->f, s->log.offset + data_at % s->log.bytes, out, VHDX_PAGE);

	if (rc != 0) {
		free(out);
		return rc;
	}
	store_le64(out, d->leading);
	store_le32(out + VHDX_PAGE - 4, d->trailing);
	return to->data(to->ctx, d->offset, out);
}

static int apply_entry(struct vhdx_log_search *s, const struct vhdx_log_target *to, uint32_t at)
{
	const struct vhdx_log_entry *e = &s->entries[at];
	uint64_t data_at = (uint64_t)at * VHDX_PAGE + vhdx_log_head_bytes(e->descriptors);
	uint64_t data_pages = 0;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < e->descriptors; i++) {
		struct vhdx_log_desc d;

		if (!read_desc(s, at, i, &d)) {
			return s->error;
		}
		if (!vhdx_log_desc_valid(s, &d, e->sequence, &data_pages)) {
			return -ENODATA; /* somebody has changed it since */
		}
		if (d.signature == VHDX_LOG_ZERO_SIGNATURE) {
			rc = to->zero(to->ctx, d.offset, d.leading);
			continue;
		}
		rc = apply_data(s, to, &d, data_at);
		data_at += VHDX_PAGE;
	}
	return rc;
}

static int apply(struct vhdx_log_search *s, const struct vhdx_log_target *to, uint32_t head)
{
	uint32_t i = s->entries[head].tail;
	int rc = apply_entry(s, to, i);

	while (rc == 0 && i != head) {
		i = vhdx_log_successor(s, i);
		rc = apply_entry(s, to, i);
	}
	return rc;
}

static int check_sizes(struct vhdx_log_search *s, uint32_t head, uint64_t file_bytes,
		       struct vhd_error *error)
{
	const struct vhdx_log_entry *e = &s->entries[head];

	if (file_bytes < e->flushed_file_offset) {
		return vhd_fail(error, VHD_TRUNCATED,
				"%s: log entry at 0x%llx: the file had 0x%llx bytes when it was "
				"written and has 0x%llx; its end is missing, get a complete copy",
				s->f->name,
				(unsigned long long)(s->log.offset + (uint64_t)head * VHDX_PAGE),
				(unsigned long long)e->flushed_file_offset,
				(unsigned long long)file_bytes);
	}
	if (e->last_file_offset > VHDX_FILE_MAX) {
		return vhd_fail(error, VHD_CORRUPT,
				"%s: log entry at 0x%llx: last file offset 0x%llx; no disk is that "
				"large",
				s->f->name,
				(unsigned long long)(s->log.offset + (uint64_t)head * VHDX_PAGE),
				(unsigned long long)e->last_file_offset);
	}
	return 0;
}

static int replay(struct vhdx_log_search *s, const struct vhdx_log_target *to,
		  struct vhd_error *error)
{
	uint64_t file_bytes;
	int rc = storage_file_get_size(s->f, &file_bytes);

	if (rc == 0) {
		vhdx_log_find_entries(s);
		rc = s->error;
	}
	if (rc != 0) {
		return vhd_fail_errno(error, rc, s->f->name, "cannot read the log");
	}
	uint32_t head = vhdx_log_find_head(s);

	if (head == VHDX_LOG_NO_ENTRY) {
		char guid[GUID_TEXT_BYTES];

		guid_format(&s->guid, guid);
		return vhd_fail(error, VHD_CORRUPT,
				"%s: log at 0x%llx (0x%llx bytes): the header says that log %s "
				"must be replayed, but found no valid sequence of its entries; run "
				"check",
				s->f->name, (unsigned long long)s->log.offset,
				(unsigned long long)s->log.bytes, guid);
	}
	rc = check_sizes(s, head, file_bytes, error);
	if (rc != 0) {
		return rc;
	}
	/* First the length: zeroes beyond it need no work. */
	rc = to->begin(to->ctx, max_u64(file_bytes, s->entries[head].last_file_offset));
	rc = rc != 0 ? rc : apply(s, to, head);
	return rc == 0 ? 0 : vhd_fail_errno(error, rc, s->f->name, "cannot replay the log");
}

int vhdx_log_apply(struct storage_file *f, const struct vhdx_header *header,
		   const struct vhdx_log_target *to, struct vhd_error *error)
{
	struct vhdx_log_search s = {
		.f = f,
		.log = {header->log_offset, header->log_bytes},
		.guid = header->log,
		.crc_instruction = crc32c_has_instruction(),
		.pages = header->log_bytes / VHDX_PAGE,
		.crc_left = max_u64((uint64_t)header->log_bytes * 16, 256 * VHDX_MIB),
		.steps_left = UINT64_C(1) << 24,
		.chunk_at = UINT64_MAX,
	};
	int rc;

	s.chunk = aligned_alloc(VHDX_PAGE, VHDX_LOG_CHUNK);
	s.entries = calloc(s.pages, sizeof(*s.entries));
	rc = s.chunk != NULL && s.entries != NULL
		     ? replay(&s, to, error)
		     : vhd_fail_errno(error, -ENOMEM, f->name, "cannot read the log");
	free(s.chunk);
	free(s.entries);
	return rc;
}

/* ---- Into the file ---- */

struct into_file {
	struct storage_file *f;
	uint64_t bytes;
};

static int file_begin(void *ctx, uint64_t file_bytes)
{
	struct into_file *t = ctx;
	uint64_t now;
	int rc = storage_file_get_size(t->f, &now);

	t->bytes = file_bytes;
	return rc == 0 && file_bytes > now ? storage_file_set_size(t->f, file_bytes) : rc;
}

static int file_zero(void *ctx, uint64_t offset, uint64_t bytes)
{
	struct into_file *t = ctx;

	if (offset >= t->bytes) {
		return 0;
	}
	bytes = min_u64(bytes, t->bytes - offset);
	return bytes == 0 ? 0 : storage_file_zero(t->f, offset, bytes, true);
}

static int file_data(void *ctx, uint64_t offset, uint8_t *page)
{
	struct into_file *t = ctx;
	int rc = storage_file_write(t->f, offset, page, VHDX_PAGE);

	free(page);
	return rc;
}

int vhdx_log_replay_into(struct storage_file *f, const struct vhdx_header *header,
			 struct vhd_error *error)
{
	struct into_file t = {.f = f};
	const struct vhdx_log_target to = {file_begin, file_zero, file_data, &t};
	int rc = vhdx_log_apply(f, header, &to, error);

	if (rc != 0) {
		return rc;
	}
	rc = storage_file_flush(f);
	return rc == 0 ? 0 : vhd_fail_errno(error, rc, f->name, "cannot write the log out");
}
