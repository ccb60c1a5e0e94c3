// SPDX-License-Identifier: Apache-2.0
/*
 * What of a log counts. Spec: MS-VHDX 2.3.2, 2.3.3. Everything in it is foreign: an entry counts only when its checksum and each part of it
 * fit. The log is looked at page by page, so that its size does not matter.
 */
#include <errno.h>
#include <string.h>

#include "lib/crc32c.h"
#include "vhdx_log_search.h"

const uint8_t *vhdx_log_page(struct vhdx_log_search *s, uint64_t at)
{
	at %= s->log.bytes;
	if (s->chunk_at == UINT64_MAX || at - s->chunk_at >= VHDX_LOG_CHUNK) {
		uint64_t from = align_down(at, VHDX_LOG_CHUNK);

		/* A log is whole MiB. */
		s->error = storage_file_read(s->f, s->log.offset + from, s->chunk, VHDX_LOG_CHUNK);
		if (s->error != 0) {
			return NULL;
		}
		s->chunk_at = from;
	}
	return s->chunk + (at - s->chunk_at);
}

static bool header_plausible(const struct vhdx_log_search *s, const struct vhdx_log_header *h)
{
	/* An entry of nothing but zero descriptors has the least bytes for its descriptors, one of data descriptors the most. */
	uint64_t head = vhdx_log_head_bytes(h->descriptors);

	return h->signature == VHDX_LOG_SIGNATURE && guid_equal(&h->log, &s->guid) &&
	       h->bytes % VHDX_PAGE == 0 && h->bytes >= head && h->bytes <= s->log.bytes &&
	       h->bytes - head <= (uint64_t)h->descriptors * VHDX_PAGE &&
	       h->tail % VHDX_PAGE == 0 && h->tail < s->log.bytes && h->sequence != 0;
}

bool vhdx_log_desc_valid(const struct vhdx_log_search *s, const struct vhdx_log_desc *d,
			 uint64_t sequence, uint64_t *data_pages)
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
static bool descs_valid(const struct vhdx_log_search *s, const uint8_t *page, uint64_t index,
			const struct vhdx_log_header *h, uint64_t *data_pages)
{
	const struct vhdx_log_desc *d = (const void *)page;
	/* The header takes the room of the first two. */
	uint64_t first = index * (VHDX_PAGE / sizeof(*d));

	for (uint64_t i = index == 0 ? 2 : 0; i < VHDX_PAGE / sizeof(*d); i++) {
		if (first + i - 2 >= h->descriptors) {
			return true;
		}
		if (!vhdx_log_desc_valid(s, &d[i], h->sequence, data_pages)) {
			return false;
		}
	}
	return true;
}

static uint32_t add_checksum(const struct vhdx_log_search *s, uint32_t crc, const uint8_t *page,
			     bool first)
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
static bool entry_valid(struct vhdx_log_search *s, uint64_t at, const struct vhdx_log_header *h)
{
	uint64_t head = vhdx_log_head_bytes(h->descriptors), data_pages = 0;
	uint32_t crc = 0;

	if (h->bytes > s->crc_left) {
		return false;
	}
	s->crc_left -= h->bytes;
	for (uint64_t in = 0; in < h->bytes; in += VHDX_PAGE) {
		const uint8_t *page = vhdx_log_page(s, at + in);

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

void vhdx_log_find_entries(struct vhdx_log_search *s)
{
	for (uint32_t i = 0; i < s->pages && s->error == 0; i++) {
		const uint8_t *page = vhdx_log_page(s, (uint64_t)i * VHDX_PAGE);
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

uint32_t vhdx_log_successor(const struct vhdx_log_search *s, uint32_t i)
{
	uint32_t next = (uint32_t)((i + (uint64_t)s->entries[i].bytes / VHDX_PAGE) % s->pages);

	return s->entries[next].bytes != 0 &&
			       s->entries[next].sequence == s->entries[i].sequence + 1
		       ? next
		       : VHDX_LOG_NO_ENTRY;
}

/* True: from the tail of the entry at page @head the entries follow one another up to it, and fit into the log. */
static bool closes_sequence(struct vhdx_log_search *s, uint32_t head)
{
	const struct vhdx_log_entry *h = &s->entries[head];
	uint64_t bytes = 0;
	uint32_t i = h->tail;

	while (i != VHDX_LOG_NO_ENTRY && s->entries[i].bytes != 0 &&
	       s->entries[i].sequence <= h->sequence && s->steps_left != 0) {
		s->steps_left--;
		bytes += s->entries[i].bytes;
		if (i == head) {
			return bytes <= s->log.bytes;
		}
		i = vhdx_log_successor(s, i);
	}
	return false;
}

uint32_t vhdx_log_find_head(struct vhdx_log_search *s)
{
	uint32_t best = VHDX_LOG_NO_ENTRY;

	for (uint32_t i = 0; i < s->pages; i++) {
		const struct vhdx_log_entry *e = &s->entries[i];

		/* Each step of closes_sequence goes up in sequence numbers, so this ends; only candidates are walked. */
		if (e->bytes != 0 && vhdx_log_successor(s, i) == VHDX_LOG_NO_ENTRY &&
		    (best == VHDX_LOG_NO_ENTRY || e->sequence > s->entries[best].sequence) &&
		    closes_sequence(s, i)) {
			best = i;
		}
	}
	return best;
}
