// SPDX-License-Identifier: Apache-2.0
/*
 * Check of a VHDX: the log. When the header names one, changes of metadata wait there that may not be in their places: everything after this is
 * looked at as if they were made; repair makes them.
 *
 * Spec: MS-VHDX 2.3. An entry is good by itself (checksum, signatures, sequence numbers throughout); a sequence is entries one behind the other with
 * numbers that go up by one, whose last one's tail is the first that matters; the sequence with the highest number counts.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "check_vhdx.h"
#include "lib/bits.h"
#include "lib/crc32c.h"

/* Writers use 1 MiB. Much larger ones are read, but not without limit. */
#define LOG_BYTES_MAX (UINT32_C(64) << 20)
/* Checksums are computed over at most so many times the log: entries of a real log do not overlap. */
#define CHECKSUM_TIMES 16u

struct entry {
	bool good;
	bool followed; /* the next one in the log continues it */
	struct vhdx_log_header header;
};

struct log_walk {
	struct vhdx_walk *w;
	uint32_t pages;
	uint64_t checksum_left;
	struct entry *entries; /* by the page where they begin */
};

static const uint8_t *page_at(const struct log_walk *l, uint64_t page)
{
	return l->w->log + page % l->pages * VHDX_PAGE;
}

static uint32_t entry_pages(const struct vhdx_log_header *h)
{
	return h->bytes / VHDX_PAGE;
}

/* ---- One entry ---- */

static bool head_fits(const struct log_walk *l, const struct vhdx_log_header *h)
{
	uint32_t bytes = l->pages * VHDX_PAGE;

	return h->signature == VHDX_LOG_SIGNATURE && guid_equal(&h->log, &l->w->header.log) &&
	       h->sequence != 0 && h->bytes != 0 && h->bytes % VHDX_PAGE == 0 &&
	       h->bytes <= bytes && h->tail % VHDX_PAGE == 0 && h->tail < bytes &&
	       vhdx_log_head_bytes(h->descriptors) <= h->bytes;
}

static bool checksum_fits(struct log_walk *l, uint32_t start, const struct vhdx_log_header *h)
{
	struct vhdx_log_header zeroed = *h;

	if (l->checksum_left < h->bytes) {
		return false;
	}
	l->checksum_left -= h->bytes;
	zeroed.checksum = 0;
	uint32_t crc = crc32c(0, &zeroed, sizeof(zeroed));

	crc = crc32c(crc, page_at(l, start) + sizeof(zeroed), VHDX_PAGE - sizeof(zeroed));
	for (uint32_t i = 1; i < entry_pages(h); i++) {
		crc = crc32c(crc, page_at(l, (uint64_t)start + i), VHDX_PAGE);
	}
	return crc == h->checksum;
}

static struct vhdx_log_desc desc_at(const struct log_walk *l, uint32_t start, uint32_t index)
{
	uint64_t at =
		sizeof(struct vhdx_log_header) + (uint64_t)index * sizeof(struct vhdx_log_desc);
	struct vhdx_log_desc d;

	memcpy(&d, page_at(l, start + at / VHDX_PAGE) + at % VHDX_PAGE, sizeof(d));
	return d;
}

static bool data_fits(const uint8_t *page, uint64_t sequence)
{
	struct vhdx_log_data d;

	memcpy(&d, page, sizeof(d));
	return d.signature == VHDX_LOG_DATA_SIGNATURE &&
	       ((uint64_t)d.sequence_high << 32 | d.sequence_low) == sequence;
}

/* Where a change goes: whole pages, not below the region tables, not into the log. */
static bool target_fits(const struct log_walk *l, const struct vhdx_log_desc *d, uint64_t bytes)
{
	const struct vhdx_extent *log = &l->w->log_at;

	return d->offset % VHDX_PAGE == 0 && d->offset >= VHDX_LOGGED_FROM &&
	       bytes % VHDX_PAGE == 0 && range_within(d->offset, bytes, VHDX_FILE_MAX) &&
	       (d->offset + bytes <= log->offset || d->offset >= log->offset + log->bytes);
}

static bool contents_fit(const struct log_walk *l, uint32_t start, const struct vhdx_log_header *h)
{
	uint64_t data = vhdx_log_head_bytes(h->descriptors) / VHDX_PAGE;

	for (uint32_t i = 0; i < h->descriptors; i++) {
		struct vhdx_log_desc d = desc_at(l, start, i);
		bool zero = d.signature == VHDX_LOG_ZERO_SIGNATURE;

		if ((!zero && d.signature != VHDX_LOG_DESC_SIGNATURE) ||
		    d.sequence != h->sequence ||
		    !target_fits(l, &d, zero ? d.leading : VHDX_PAGE)) {
			return false;
		}
		if (zero) {
			continue;
		}
		if (data >= entry_pages(h) || !data_fits(page_at(l, start + data), h->sequence)) {
			return false;
		}
		data++;
	}
	return data == entry_pages(h);
}

static void find_entries(struct log_walk *l)
{
	for (uint32_t i = 0; i < l->pages; i++) {
		struct entry *e = &l->entries[i];

		memcpy(&e->header, page_at(l, i), sizeof(e->header));
		e->good = head_fits(l, &e->header) && contents_fit(l, i, &e->header) &&
			  checksum_fits(l, i, &e->header);
	}
	for (uint32_t i = 0; i < l->pages; i++) {
		struct entry *e = &l->entries[i];
		const struct entry *next =
			&l->entries[e->good ? (i + entry_pages(&e->header)) % l->pages : 0];

		e->followed =
			e->good && next->good && next->header.sequence == e->header.sequence + 1;
	}
}

/* ---- Sequences ---- */

/* From @start one entry leads to the next up to @last, in no more than the whole log. */
static bool leads_to(const struct log_walk *l, uint32_t start, uint32_t last)
{
	uint64_t pages = 0;
	uint32_t at = start;

	while (at != last) {
		const struct entry *e = &l->entries[at];

		pages += entry_pages(&e->header);
		if (!e->followed || pages > l->pages) {
			return false;
		}
		at = (at + entry_pages(&e->header)) % l->pages;
	}
	return pages + entry_pages(&l->entries[last].header) <= l->pages;
}

/* The last entry of the sequence that counts; false: there is none. */
static bool find_last(const struct log_walk *l, uint32_t *ret)
{
	bool found = false;

	for (uint32_t i = 0; i < l->pages; i++) {
		const struct entry *e = &l->entries[i];

		if (!e->good || e->followed ||
		    (found && e->header.sequence <= l->entries[*ret].header.sequence)) {
			continue;
		}
		uint32_t tail = e->header.tail / VHDX_PAGE;

		if (l->entries[tail].good && leads_to(l, tail, i)) {
			*ret = i;
			found = true;
		}
	}
	return found;
}

/* ---- Changes ---- */

static int take_changes(struct log_walk *l, uint32_t start)
{
	struct vhdx_walk *w = l->w;
	const struct vhdx_log_header *h = &l->entries[start].header;
	uint64_t data = vhdx_log_head_bytes(h->descriptors) / VHDX_PAGE;
	struct vhdx_walk_change *grown;

	if (h->descriptors == 0) {
		return 0;
	}
	grown = realloc(w->changes, (w->change_count + h->descriptors) * sizeof(*grown));
	if (grown == NULL) {
		return vhd_fail_errno(w->c->error, -ENOMEM, w->c->path, "cannot follow its log");
	}
	w->changes = grown;
	for (uint32_t i = 0; i < h->descriptors; i++) {
		struct vhdx_log_desc d = desc_at(l, start, i);
		bool zero = d.signature == VHDX_LOG_ZERO_SIGNATURE;

		w->changes[w->change_count++] = (struct vhdx_walk_change){
			.offset = d.offset,
			.bytes = zero ? d.leading : VHDX_PAGE,
			.data = zero ? NULL : page_at(l, start + data),
			.trailing = d.trailing,
			.leading = d.leading,
		};
		data += !zero;
	}
	return 0;
}

static int take_sequence(struct log_walk *l, uint32_t last)
{
	uint32_t at = l->entries[last].header.tail / VHDX_PAGE;

	for (;;) {
		int r = take_changes(l, at);

		if (r != 0 || at == last) {
			return r;
		}
		at = (at + entry_pages(&l->entries[at].header)) % l->pages;
	}
}

/* ---- Repair ---- */

static int write_change(struct vhdx_walk *w, const struct vhdx_walk_change *change)
{
	uint8_t page[VHDX_PAGE];
	struct storage_file *f = w->c->file;

	if (change->data == NULL) {
		uint64_t end = min_u64(change->offset + change->bytes, w->file_bytes);

		return end > change->offset
			       ? storage_file_zero(f, change->offset, end - change->offset, false)
			       : 0;
	}
	vhdx_walk_page(change, page);
	return storage_file_write(f, change->offset, page, sizeof(page));
}

/* The file has its final length first, so that zeros beyond the end are not written at all. */
static int write_changes(struct vhdx_walk *w)
{
	struct storage_file *f = w->c->file;
	int r = w->file_bytes > w->c->file_bytes ? storage_file_set_size(f, w->file_bytes) : 0;

	for (size_t i = 0; r == 0 && i < w->change_count; i++) {
		r = write_change(w, &w->changes[i]);
	}
	r = r == 0 ? storage_file_flush(f) : r;
	return r == 0 ? 0
		      : vhd_fail_errno(w->c->error, r, w->c->path,
				       "cannot make the changes of its log");
}

/* Twice: neither header may name the log afterwards. */
static int forget_log(struct vhdx_walk *w)
{
	struct vhdx_header h = w->header;
	uint8_t random[16];

	w->c->host->random(w->c->host->ctx, random, sizeof(random));
	h.file_write = guid_from_random(random);
	memset(&h.log, 0, sizeof(h.log));
	int r = vhdx_walk_write_header(w, &h);

	return r == 0 ? vhdx_walk_write_header(w, &w->header) : r;
}

static int replay(struct vhdx_walk *w)
{
	int r = write_changes(w);

	r = r == 0 ? forget_log(w) : r;
	if (r == 0) {
		w->change_count = 0;
		w->c->file_bytes = w->file_bytes;
	}
	return r;
}

/* ---- All of it ---- */

static int follow(struct log_walk *l)
{
	struct vhdx_walk *w = l->w;
	char guid[GUID_TEXT_BYTES];
	uint32_t last = 0;

	find_entries(l);
	guid_format(&w->header.log, guid);
	if (!find_last(l, &last)) {
		vhd_finding(w->c, VHD_FINDING_ERROR, w->log_at.offset, VHD_NOT_REPAIRABLE,
			    "log: header %u names the log %s, but the log holds no whole sequence "
			    "of it; changes of metadata may be lost",
			    w->slot + 1, guid);
		return 1;
	}
	const struct vhdx_log_header *h = &l->entries[last].header;

	if (w->c->file_bytes < h->flushed_file_offset) {
		vhd_finding(w->c, VHD_FINDING_ERROR, w->c->file_bytes, VHD_NOT_REPAIRABLE,
			    "log: the file has 0x%" PRIx64 " bytes, but had 0x%" PRIx64
			    " when the log was written: it was cut off",
			    w->c->file_bytes, h->flushed_file_offset);
		return 1;
	}
	if (h->last_file_offset <= VHDX_FILE_MAX) {
		w->file_bytes = max_u64(w->c->file_bytes, h->last_file_offset);
	}
	uint64_t at = w->log_at.offset + (uint64_t)last * VHDX_PAGE, sequence = h->sequence;
	int r = take_sequence(l, last);
	size_t changes = w->change_count;
	bool repair = w->c->check->repair;

	r = r == 0 && repair ? replay(w) : r;
	if (r != 0) {
		return r;
	}
	vhd_finding(
		w->c, VHD_FINDING_WARNING, at, repair ? VHD_REPAIRED : VHD_REPAIRABLE,
		"log: %zu changes of metadata up to entry %" PRIu64
		" wait to be made, as after a crash; repair makes them, so does opening the disk "
		"for writing",
		changes, sequence);
	return 1;
}

static int read_log(struct vhdx_walk *w)
{
	w->log = malloc(w->log_at.bytes);
	if (w->log == NULL) {
		return vhd_fail_errno(w->c->error, -ENOMEM, w->c->path, "cannot read its log");
	}
	return vhd_check_read(w->c, w->log_at.offset, w->log, w->log_at.bytes);
}

int vhdx_walk_log(struct vhdx_walk *w)
{
	struct log_walk l = {.w = w};

	if (guid_is_zero(&w->header.log)) {
		return 1;
	}
	if (w->log_at.bytes > LOG_BYTES_MAX) {
		vhd_finding(w->c, VHD_FINDING_ERROR, w->log_at.offset, VHD_NOT_REPAIRABLE,
			    "log: 0x%" PRIx64 " bytes; no more than 0x%" PRIx32 " are followed",
			    w->log_at.bytes, LOG_BYTES_MAX);
		return 0;
	}
	int r = read_log(w);

	if (r != 0) {
		return r;
	}
	l.pages = (uint32_t)(w->log_at.bytes / VHDX_PAGE);
	l.checksum_left = w->log_at.bytes * CHECKSUM_TIMES;
	l.entries = calloc(l.pages, sizeof(*l.entries));
	r = l.entries != NULL
		    ? follow(&l)
		    : vhd_fail_errno(w->c->error, -ENOMEM, w->c->path, "cannot follow its log");
	free(l.entries);
	return r;
}
