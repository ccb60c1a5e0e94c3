// SPDX-License-Identifier: Apache-2.0
/*
 * Log replay. Spec: MS-VHDX 2.3.2, 2.3.3. Everything in the log is foreign: an entry counts only when its checksum and each part of it
 * fit. The log is looked at page by page, so that its size does not matter.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "lib/crc32c.h"
#include "vhdx_log.h"

#define CHUNK (256 * 1024u)
#define NO_ENTRY UINT32_MAX

struct search {
	struct storage_file *f;
	struct vhdx_extent log;
	struct guid guid;
	bool crc_instruction;
	uint32_t pages;
	/* A hostile log must not keep us forever: bytes that may still be summed up, entries that may still be walked over. */
	uint64_t crc_left, steps_left;
	struct vhdx_log_entry *entries; /* by page number; bytes 0: none begins here */
	uint8_t *chunk;			/* a piece of the log that was read last */
	uint64_t chunk_at;		/* offset in the log; UINT64_MAX: none */
	int error;
};

/* The page of the log at @at (wraps). NULL: s->error. */
static const uint8_t *log_page(struct search *s, uint64_t at)
{
	at %= s->log.bytes;
	if (s->chunk_at == UINT64_MAX || at - s->chunk_at >= CHUNK) {
		uint64_t from = align_down(at, CHUNK);

		/* A log is whole MiB. */
		s->error = storage_file_read(s->f, s->log.offset + from, s->chunk, CHUNK);
		if (s->error != 0) {
			return NULL;
		}
		s->chunk_at = from;
	}
	return s->chunk + (at - s->chunk_at);
}

static bool header_plausible(const struct search *s, const struct vhdx_log_header *h)
{
	/* An entry of nothing but zero descriptors has the least bytes for its descriptors, one of data descriptors the most. */
	uint64_t head = vhdx_log_head_bytes(h->descriptors);

	return h->signature == VHDX_LOG_SIGNATURE && guid_equal(&h->log, &s->guid) &&
	       h->bytes % VHDX_PAGE == 0 && h->bytes >= head && h->bytes <= s->log.bytes &&
	       h->bytes - head <= (uint64_t)h->descriptors * VHDX_PAGE &&
	       h->tail % VHDX_PAGE == 0 && h->tail < s->log.bytes && h->sequence != 0;
}

/* Also counts the pages behind the descriptors. */
static bool desc_valid(const struct search *s, const struct vhdx_log_desc *d, uint64_t sequence,
		       uint64_t *data_pages)
{
	uint64_t bytes = VHDX_PAGE;

	if (d->sequence != sequence || d->offset % VHDX_PAGE != 0 || d->offset < VHDX_LOGGED_FROM ||
	    d->offset >= VHDX_FILE_MAX) {
		return false;
	}
	if (d->signature == VHDX_LOG_ZERO_SIGNATURE) {
		bytes = d->leading;
		if (bytes % VHDX_PAGE != 0 || bytes > VHDX_FILE_MAX) {
			return false;
		}
	} else if (d->signature == VHDX_LOG_DESC_SIGNATURE) {
		++*data_pages;
	} else {
		return false;
	}
	return d->offset + bytes <= s->log.offset || d->offset >= s->log.offset + s->log.bytes;
}

static bool data_valid(const uint8_t *page, uint64_t sequence)
{
	const struct vhdx_log_data *d = (const void *)page;

	return d->signature == VHDX_LOG_DATA_SIGNATURE &&
	       d->sequence_high == (uint32_t)(sequence >> 32) &&
	       d->sequence_low == (uint32_t)sequence;
}

/* Descriptors in page @index of the entry. */
static bool descs_valid(const struct search *s, const uint8_t *page, uint64_t index,
			const struct vhdx_log_header *h, uint64_t *data_pages)
{
	const struct vhdx_log_desc *d = (const void *)page;
	/* The header takes the room of the first two. */
	uint64_t first = index * (VHDX_PAGE / sizeof(*d));

	for (uint64_t i = index == 0 ? 2 : 0; i < VHDX_PAGE / sizeof(*d); i++) {
		if (first + i - 2 >= h->descriptors) {
			return true;
		}
		if (!desc_valid(s, &d[i], h->sequence, data_pages)) {
			return false;
		}
	}
	return true;
}

static uint32_t add_checksum(const struct search *s, uint32_t crc, const uint8_t *page, bool first)
{
	const uint32_t zero = 0;

	if (first) {
		crc = crc32c_with(s->crc_instruction, crc, page, 4);
		crc = crc32c_with(s->crc_instruction, crc, &zero, 4);
		return crc32c_with(s->crc_instruction, crc, page + 8, VHDX_PAGE - 8);
	}
	return crc32c_with(s->crc_instruction, crc, page, VHDX_PAGE);
}

/* Everything in the entry at @at, whose header is plausible, fits together. */
static bool entry_valid(struct search *s, uint64_t at, const struct vhdx_log_header *h)
{
	uint64_t head = vhdx_log_head_bytes(h->descriptors), data_pages = 0;
	uint32_t crc = 0;

	if (h->bytes > s->crc_left) {
		return false;
	}
	s->crc_left -= h->bytes;
	for (uint64_t in = 0; in < h->bytes; in += VHDX_PAGE) {
		const uint8_t *page = log_page(s, at + in);

		if (page == NULL) {
			return false;
		}
		crc = add_checksum(s, crc, page, in == 0);
		if (in < head ? !descs_valid(s, page, in / VHDX_PAGE, h, &data_pages)
			      : !data_valid(page, h->sequence)) {
			return false;
		}
	}
	return crc == h->checksum && h->bytes == head + data_pages * VHDX_PAGE;
}

static void find_entries(struct search *s)
{
	for (uint32_t i = 0; i < s->pages && s->error == 0; i++) {
		const uint8_t *page = log_page(s, (uint64_t)i * VHDX_PAGE);
		struct vhdx_log_header h;

		if (page == NULL) {
			return;
		}
		memcpy(&h, page, sizeof(h));
		if (header_plausible(s, &h) && entry_valid(s, (uint64_t)i * VHDX_PAGE, &h)) {
			s->entries[i] = (struct vhdx_log_entry){
				.bytes = h.bytes,
				.tail = h.tail / VHDX_PAGE,
				.sequence = h.sequence,
				.descriptors = h.descriptors,
				.flushed_file_offset = h.flushed_file_offset,
				.last_file_offset = h.last_file_offset,
			};
		}
	}
}

/* The entry that follows the one at page @i in its sequence, or NO_ENTRY. */
static uint32_t successor(const struct search *s, uint32_t i)
{
	uint32_t next = (uint32_t)((i + (uint64_t)s->entries[i].bytes / VHDX_PAGE) % s->pages);

	return s->entries[next].bytes != 0 &&
			       s->entries[next].sequence == s->entries[i].sequence + 1
		       ? next
		       : NO_ENTRY;
}

/* True: from the tail of the entry at page @head the entries follow one another up to it, and fit into the log. */
static bool closes_sequence(struct search *s, uint32_t head)
{
	const struct vhdx_log_entry *h = &s->entries[head];
	uint64_t bytes = 0;
	uint32_t i = h->tail;

	while (i != NO_ENTRY && s->entries[i].bytes != 0 && s->entries[i].sequence <= h->sequence &&
	       s->steps_left != 0) {
		s->steps_left--;
		bytes += s->entries[i].bytes;
		if (i == head) {
			return bytes <= s->log.bytes;
		}
		i = successor(s, i);
	}
	return false;
}

/*
 * The last entry of the active sequence: of all entries that end a sequence, the one with the greatest sequence number; a sequence is what lies
 * between an entry's tail and itself without a gap.
 */
static uint32_t find_head(struct search *s)
{
	uint32_t best = NO_ENTRY;

	for (uint32_t i = 0; i < s->pages; i++) {
		const struct vhdx_log_entry *e = &s->entries[i];

		/* Each step of closes_sequence goes up in sequence numbers, so this ends; only candidates are walked. */
		if (e->bytes != 0 && successor(s, i) == NO_ENTRY &&
		    (best == NO_ENTRY || e->sequence > s->entries[best].sequence) &&
		    closes_sequence(s, i)) {
			best = i;
		}
	}
	return best;
}

/* ---- Application ---- */

/* Descriptor @i of the entry at page @at. Waits; false: s->error. */
static bool read_desc(struct search *s, uint32_t at, uint32_t i, struct vhdx_log_desc *ret)
{
	uint64_t in = sizeof(struct vhdx_log_header) + (uint64_t)i * sizeof(*ret);
	const uint8_t *page = log_page(s, (uint64_t)at * VHDX_PAGE + align_down(in, VHDX_PAGE));

	if (page != NULL) {
		memcpy(ret, page + in % VHDX_PAGE, sizeof(*ret));
	}
	return page != NULL;
}

static int apply_data(struct search *s, const struct vhdx_log_target *to,
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

static int apply_entry(struct search *s, const struct vhdx_log_target *to, uint32_t at)
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
		if (!desc_valid(s, &d, e->sequence, &data_pages)) {
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

static int apply(struct search *s, const struct vhdx_log_target *to, uint32_t head)
{
	uint32_t i = s->entries[head].tail;
	int rc = apply_entry(s, to, i);

	while (rc == 0 && i != head) {
		i = successor(s, i);
		rc = apply_entry(s, to, i);
	}
	return rc;
}

static int check_sizes(struct search *s, uint32_t head, uint64_t file_bytes,
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

static int replay(struct search *s, const struct vhdx_log_target *to, struct vhd_error *error)
{
	uint64_t file_bytes;
	int rc = storage_file_get_size(s->f, &file_bytes);

	if (rc == 0) {
		find_entries(s);
		rc = s->error;
	}
	if (rc != 0) {
		return vhd_fail_errno(error, rc, s->f->name, "cannot read the log");
	}
	uint32_t head = find_head(s);

	if (head == NO_ENTRY) {
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
	struct search s = {
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

	s.chunk = aligned_alloc(VHDX_PAGE, CHUNK);
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
