// SPDX-License-Identifier: Apache-2.0
/* Check of a VHDX: file identifier, headers, and the order of everything else. */
#include "check_vhdx.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"

struct header_slot {
	struct vhdx_header header;
	uint32_t signature;
	bool good;
};

static int read_slot(struct vhd_checker *c, unsigned slot, struct header_slot *ret)
{
	uint8_t page[VHDX_PAGE];
	int r = vhd_check_read(c, VHDX_HEADER_OFFSET(slot), page, sizeof(page));

	if (r == 0) {
		ret->signature = load_le32(page);
		ret->good = vhdx_header_decode(page, &ret->header);
	}
	return r;
}

static int has_identifier(struct vhd_checker *c, bool *ret)
{
	uint64_t signature;
	int r = vhd_check_read(c, VHDX_FILE_ID_OFFSET, &signature, sizeof(signature));

	*ret = r == 0 && signature == VHDX_FILE_SIGNATURE;
	return r;
}

int vhd_check_is_vhdx(struct vhd_checker *c)
{
	struct header_slot slots[2];
	bool identifier;
	int r = has_identifier(c, &identifier);

	r = r == 0 ? read_slot(c, 0, &slots[0]) : r;
	r = r == 0 ? read_slot(c, 1, &slots[1]) : r;
	return r != 0 ? r : identifier || slots[0].good || slots[1].good;
}

/* "vhdxfile" is a constant: a file with a good header can have nothing else there. */
static int check_identifier(struct vhd_checker *c)
{
	const uint64_t signature = VHDX_FILE_SIGNATURE;
	bool repair = c->check->repair, good;
	int r = has_identifier(c, &good);

	if (r != 0 || good) {
		return r;
	}
	r = repair ? vhd_check_write(c, VHDX_FILE_ID_OFFSET, &signature, sizeof(signature),
				     "file identifier")
		   : 0;
	if (r == 0) {
		vhd_finding(c, VHD_FINDING_ERROR, VHDX_FILE_ID_OFFSET,
			    repair ? VHD_REPAIRED : VHD_REPAIRABLE,
			    "file identifier: no \"vhdxfile\"; the headers are those of a VHDX, "
			    "repair writes it");
	}
	return r;
}

/* ---- Headers ---- */

int vhdx_walk_write_header(struct vhdx_walk *w, const struct vhdx_header *h)
{
	uint8_t page[VHDX_PAGE];
	struct vhdx_header next = *h;

	next.sequence = w->header.sequence + 1;
	vhdx_header_encode(&next, page);
	int r = vhd_check_write(w->c, VHDX_HEADER_OFFSET(1 - w->slot), page, sizeof(page),
				"header");

	if (r == 0) {
		w->header = next;
		w->slot = 1 - w->slot;
	}
	return r;
}

/* As after a crash while it was written: the other one is what counts. */
static int check_damaged_slot(struct vhdx_walk *w, const struct header_slot *bad)
{
	unsigned slot = 1 - w->slot;
	bool repair = w->c->check->repair;
	int r = repair ? vhdx_walk_write_header(w, &w->header) : 0;

	if (r == 0) {
		vhd_finding(w->c, VHD_FINDING_WARNING, VHDX_HEADER_OFFSET(slot),
			    repair ? VHD_REPAIRED : VHD_REPAIRABLE,
			    "header %u: %s; header %u is good, repair writes it anew from that",
			    slot + 1,
			    bad->signature != VHDX_HEADER_SIGNATURE ? "no signature \"head\""
								    : "wrong checksum",
			    2 - slot);
	}
	return r;
}

/* 1: w->header is the current one. */
static int choose_header(struct vhdx_walk *w)
{
	struct header_slot slots[2];
	int r = read_slot(w->c, 0, &slots[0]);

	r = r == 0 ? read_slot(w->c, 1, &slots[1]) : r;
	if (r != 0) {
		return r;
	}
	int current = vhdx_header_current(slots[0].good ? &slots[0].header : NULL,
					  slots[1].good ? &slots[1].header : NULL);

	if (current < 0) {
		vhd_finding(
			w->c, VHD_FINDING_ERROR, VHDX_HEADER_OFFSET(0), VHD_NOT_REPAIRABLE, "%s",
			slots[0].good ? "headers: both have the same sequence number, but differ; "
					"which one counts cannot be told"
				      : "headers: neither has a signature \"head\" with a right "
					"checksum; without one nothing else can be found");
		return 0;
	}
	w->slot = (unsigned)current;
	w->header = slots[current].header;
	if (!slots[1 - current].good) {
		r = check_damaged_slot(w, &slots[1 - current]);
	}
	return r == 0 ? 1 : r;
}

/* 1: the header's values can be used. */
static int check_header_values(struct vhdx_walk *w)
{
	const struct vhdx_header *h = &w->header;
	uint64_t at = VHDX_HEADER_OFFSET(w->slot);
	bool pending = !guid_is_zero(&h->log);

	if (h->version != 1 || (pending && h->log_version != 0)) {
		vhd_finding(w->c, VHD_FINDING_ERROR, at, VHD_NOT_REPAIRABLE,
			    "header %u: version %u with log version %u; expected 1 and 0: the file "
			    "needs newer software",
			    w->slot + 1, h->version, h->log_version);
		return 0;
	}
	if (h->log_bytes % VHDX_UNIT != 0 || h->log_offset % VHDX_UNIT != 0 ||
	    (h->log_bytes != 0 && h->log_offset < VHDX_UNIT) || h->log_offset > VHDX_FILE_MAX ||
	    (pending && h->log_bytes == 0)) {
		vhd_finding(w->c, VHD_FINDING_ERROR, at, VHD_NOT_REPAIRABLE,
			    "header %u: log of 0x%" PRIx32 " bytes at 0x%" PRIx64
			    "; expected whole MiB, from 1 MiB on",
			    w->slot + 1, h->log_bytes, h->log_offset);
		return 0;
	}
	w->log_at = (struct vhdx_extent){h->log_offset, h->log_bytes};
	if (!range_within(h->log_offset, h->log_bytes, w->c->file_bytes)) {
		vhd_finding(w->c, VHD_FINDING_ERROR, at, VHD_NOT_REPAIRABLE,
			    "header %u: the log ends at 0x%" PRIx64 ", but the file at 0x%" PRIx64,
			    w->slot + 1, h->log_offset + h->log_bytes, w->c->file_bytes);
		return pending ? 0 : 1;
	}
	return 1;
}

/* ---- The rest ---- */

void vhdx_walk_page(const struct vhdx_walk_change *change, uint8_t page[VHDX_PAGE])
{
	memcpy(page, &change->leading, 8);
	memcpy(page + 8, change->data + 8, VHDX_PAGE - 12);
	memcpy(page + VHDX_PAGE - 4, &change->trailing, 4);
}

static void patch(const struct vhdx_walk_change *change, uint64_t offset, uint8_t *buf,
		  size_t bytes)
{
	uint8_t page[VHDX_PAGE];
	uint64_t start = max_u64(offset, change->offset),
		 end = min_u64(offset + bytes, change->offset + change->bytes);

	if (start >= end) {
		return;
	}
	if (change->data == NULL) {
		memset(buf + (start - offset), 0, end - start);
		return;
	}
	vhdx_walk_page(change, page);
	memcpy(buf + (start - offset), page + (start - change->offset), end - start);
}

int vhdx_walk_read(struct vhdx_walk *w, uint64_t offset, void *buf, size_t bytes)
{
	int r = vhd_check_read(w->c, offset, buf, bytes);

	for (size_t i = 0; r == 0 && i < w->change_count; i++) {
		patch(&w->changes[i], offset, buf, bytes);
	}
	return r;
}

static int walk(struct vhdx_walk *w)
{
	int r = check_identifier(w->c);

	r = r == 0 ? choose_header(w) : r;
	r = r == 1 ? check_header_values(w) : r;
	r = r == 1 ? vhdx_walk_log(w) : r;
	r = r == 1 ? vhdx_walk_regions(w) : r;
	r = r == 1 ? vhdx_walk_metadata(w) : r;
	return r == 1 ? vhdx_walk_bat(w) : r;
}

int vhd_check_vhdx(struct vhd_checker *c)
{
	struct vhdx_walk *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		return vhd_fail_errno(c->error, -ENOMEM, c->path, "cannot check");
	}
	w->c = c;
	w->file_bytes = c->file_bytes;
	int r = walk(w);

	free(w->log);
	free(w->changes);
	free(w);
	return r == 1 ? 0 : r;
}
