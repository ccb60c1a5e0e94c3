// SPDX-License-Identifier: Apache-2.0
/* Check of a VHD: both footers, the header, parent locators. */
#include "check_vhd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"

/* One of the two places where the footer is. */
struct place {
	uint64_t offset;
	uint8_t raw[VHD_FOOTER_BYTES];
	struct vhd_footer footer;
	bool good;
	char fault[VHD_FAULT_BYTES];
};

/* Interop: before Virtual PC 2004 the footer at the end had 511 bytes. */
static uint64_t tail_offset(uint64_t file_bytes)
{
	if (file_bytes < VHD_FOOTER_BYTES) {
		return 0;
	}
	return file_bytes % VHD_SECTOR_BYTES == VHD_SECTOR_BYTES - 1
		       ? align_down(file_bytes, VHD_SECTOR_BYTES)
		       : file_bytes - VHD_FOOTER_BYTES;
}

static int read_place(struct vhd_checker *c, struct place *p)
{
	uint64_t there = p->offset < c->file_bytes
				 ? min_u64(c->file_bytes - p->offset, VHD_FOOTER_BYTES)
				 : 0;
	const char *fault;

	memset(p->raw, 0, sizeof(p->raw));
	int r = vhd_check_read(c, p->offset, p->raw, there);

	if (r != 0) {
		return r;
	}
	fault = vhd_footer_decode(p->raw, &p->footer, p->fault);
	if (fault == NULL) {
		fault = vhd_footer_fault(&p->footer, p->fault);
	}
	p->good = fault == NULL;
	return 0;
}

static bool has_cookie(const struct place *p)
{
	return memcmp(p->raw, VHD_FOOTER_COOKIE, 8) == 0;
}

static int read_places(struct vhd_checker *c, struct place *tail, struct place *copy)
{
	tail->offset = tail_offset(c->file_bytes);
	copy->offset = 0;
	int r = read_place(c, tail);

	return r == 0 ? read_place(c, copy) : r;
}

int vhd_check_is_vhd(struct vhd_checker *c)
{
	struct place tail, copy;
	int r = read_places(c, &tail, &copy);

	return r != 0 ? r : has_cookie(&tail) || has_cookie(&copy);
}

static int write_footer(struct vhd_checker *c, const struct vhd_footer *f, uint64_t offset)
{
	uint8_t raw[VHD_FOOTER_BYTES];

	vhd_footer_encode(f, raw);
	return vhd_check_write(c, offset, raw, sizeof(raw), "footer");
}

/* ---- Fixed ---- */

static void check_fixed(struct vhd_checker *c, const struct place *tail)
{
	if (tail->footer.current_bytes > tail->offset) {
		vhd_finding(c, VHD_FINDING_ERROR, tail->offset, VHD_NOT_REPAIRABLE,
			    "footer: the disk has %" PRIu64 " bytes, but only %" PRIu64
			    " lie before the footer; the rest is lost",
			    tail->footer.current_bytes, tail->offset);
	}
	c->result->blocks_checked = 1;
}

/* ---- The copy at 0 ---- */

static int check_copy(struct vhd_checker *c, const struct place *tail, const struct place *copy)
{
	bool repair = c->check->repair;

	if (copy->good && memcmp(tail->raw, copy->raw, VHD_FOOTER_BYTES - 1) == 0) {
		return 0;
	}
	int r = repair ? write_footer(c, &tail->footer, 0) : 0;

	if (r != 0) {
		return r;
	}
	vhd_finding(c, VHD_FINDING_WARNING, 0, repair ? VHD_REPAIRED : VHD_REPAIRABLE,
		    "copy of the footer: %s; the footer at 0x%" PRIx64 " is good, repair copies it",
		    copy->good ? "differs from the footer" : copy->fault, tail->offset);
	return 0;
}

/*
 * The footer at the end is gone, as after a crash while the file grew, or cut off. Where it belongs is known: behind everything else, if all blocks
 * are there.
 */
static int check_tail(struct vhd_walk *w, const struct place *tail)
{
	struct vhd_checker *c = w->c;
	bool repair = c->check->repair;

	if (tail->good) {
		return 0;
	}
	if (w->damaged || w->used_end > c->file_bytes) {
		vhd_finding(c, VHD_FINDING_ERROR, tail->offset, VHD_NOT_REPAIRABLE,
			    "footer at the end: %s; the copy at 0 is good, but as the table is "
			    "damaged it is not certain where the footer belongs",
			    tail->fault);
		return 0;
	}
	uint64_t at = align_up(max_u64(c->file_bytes, w->used_end), VHD_SECTOR_BYTES);
	int r = repair ? write_footer(c, &w->footer, at) : 0;

	if (r != 0) {
		return r;
	}
	vhd_finding(c, VHD_FINDING_WARNING, tail->offset, repair ? VHD_REPAIRED : VHD_REPAIRABLE,
		    "footer at the end: %s; the copy at 0 is good, repair writes it to the end of "
		    "the file at 0x%" PRIx64,
		    tail->fault, at);
	return 0;
}

/* ---- Header ---- */

const struct vhd_walk_structure *vhd_walk_overlap(const struct vhd_walk *w, uint64_t offset,
						  uint64_t bytes, size_t except)
{
	for (size_t i = 0; i < w->structure_count; i++) {
		const struct vhd_walk_structure *s = &w->structures[i];

		if (i != except && offset < s->offset + s->bytes && s->offset < offset + bytes) {
			return s;
		}
	}
	return NULL;
}

/* Notes a structure; @bytes is not 0 and the end does not overflow. */
static void add_structure(struct vhd_walk *w, uint64_t offset, uint64_t bytes, const char *name)
{
	const struct vhd_walk_structure *other = vhd_walk_overlap(w, offset, bytes, SIZE_MAX);

	if (other != NULL) {
		vhd_finding(w->c, VHD_FINDING_ERROR, offset, VHD_NOT_REPAIRABLE,
			    "%s: its %" PRIu64 " bytes overlap the %s at 0x%" PRIx64, name, bytes,
			    other->name, other->offset);
	}
	w->structures[w->structure_count++] = (struct vhd_walk_structure){offset, bytes, name};
	w->used_end = max_u64(w->used_end, offset + bytes);
}

static void check_locator(struct vhd_walk *w, const struct vhd_locator_entry *e)
{
	uint64_t space = vhd_locator_space(e->space);

	if (space == 0 || e->bytes == 0 || e->bytes > space ||
	    !range_within(e->offset, space, w->end)) {
		vhd_finding(w->c, VHD_FINDING_ERROR, e->offset, VHD_NOT_REPAIRABLE,
			    "parent locator 0x%08" PRIx32 ": %" PRIu32
			    " bytes in a space of %" PRIu32 " at 0x%" PRIx64
			    "; expected them before 0x%" PRIx64
			    "; reconnect the disk to write them anew",
			    e->code, e->bytes, e->space, e->offset, w->end);
		return;
	}
	add_structure(w, e->offset, space, "parent locator");
}

static void check_locators(struct vhd_walk *w)
{
	bool named = w->header.parent_name[0] != 0 || w->header.parent_name[1] != 0;

	for (size_t i = 0; i < VHD_LOCATORS; i++) {
		if (w->header.locators[i].code != 0) {
			check_locator(w, &w->header.locators[i]);
			named = true;
		}
	}
	if (!named) {
		vhd_finding(w->c, VHD_FINDING_ERROR,
			    w->footer.data_offset + VHD_HEADER_AT_PARENT_NAME, VHD_NOT_REPAIRABLE,
			    "header: a differencing disk, but no name of its parent; reconnect it");
	}
}

/* 1: go on with the blocks. */
static int check_header(struct vhd_walk *w)
{
	struct vhd_checker *c = w->c;
	uint8_t raw[VHD_HEADER_BYTES];
	char text[VHD_FAULT_BYTES];
	uint64_t at = w->footer.data_offset;

	if (!range_within(at, sizeof(raw), c->file_bytes) || at % VHD_SECTOR_BYTES != 0 ||
	    at < VHD_FOOTER_BYTES) {
		vhd_finding(c, VHD_FINDING_ERROR, VHD_FOOTER_AT_DATA_OFFSET, VHD_NOT_REPAIRABLE,
			    "footer: places the header at 0x%" PRIx64 " of a file of 0x%" PRIx64
			    " bytes; expected 0x200",
			    at, c->file_bytes);
		return 0;
	}
	int r = vhd_check_read(c, at, raw, sizeof(raw));

	if (r != 0) {
		return r;
	}
	const char *fault = vhd_header_decode(raw, &w->header, text);

	if (fault == NULL) {
		fault = vhd_header_fault(&w->header, &w->footer, w->end, text);
	}
	if (fault != NULL) {
		vhd_finding(c, VHD_FINDING_ERROR, at, VHD_NOT_REPAIRABLE,
			    "header: %s; there is no second copy of it", fault);
		return 0;
	}
	return 1;
}

static void note_structures(struct vhd_walk *w)
{
	const struct vhd_header *h = &w->header;

	add_structure(w, 0, VHD_FOOTER_BYTES, "copy of the footer");
	add_structure(w, w->footer.data_offset, VHD_HEADER_BYTES, "header");
	add_structure(w, h->table_offset, vhd_bat_bytes(h->entries), "block allocation table");
	if (w->footer.type == VHD_TYPE_DIFFERENCING) {
		check_locators(w);
	}
	w->blocks = vhd_block_count(w->footer.current_bytes, h->block_bytes);
	w->stride = (uint64_t)h->block_bytes + vhd_bitmap_bytes(h->block_bytes);
}

static int check_dynamic(struct vhd_checker *c, struct place *tail, struct place *copy)
{
	struct vhd_walk *w = calloc(1, sizeof(*w));
	int r;

	if (w == NULL) {
		return vhd_fail_errno(c->error, -ENOMEM, c->path, "cannot check");
	}
	w->c = c;
	w->footer = tail->good ? tail->footer : copy->footer;
	w->end = tail->good ? tail->offset : c->file_bytes;
	r = tail->good ? check_copy(c, tail, copy) : 0;
	r = r == 0 ? check_header(w) : r;
	if (r == 1) {
		note_structures(w);
		r = vhd_walk_bat(w);
		r = r == 0 ? check_tail(w, tail) : r;
	}
	free(w);
	return r;
}

int vhd_check_vhd(struct vhd_checker *c)
{
	struct place tail, copy;
	int r = read_places(c, &tail, &copy);

	if (r != 0) {
		return r;
	}
	if (tail.good && tail.footer.type == VHD_TYPE_FIXED) {
		check_fixed(c, &tail);
		return 0;
	}
	/* At 0 of a fixed disk is the guest's data, not a copy. */
	if (!tail.good && (!copy.good || copy.footer.type == VHD_TYPE_FIXED)) {
		vhd_finding(c, VHD_FINDING_ERROR, tail.offset, VHD_NOT_REPAIRABLE,
			    "footer at the end: %s; and at 0: %s; without either nothing of the "
			    "file is certain (if it was a fixed disk, convert "
			    "--raw reads its data)",
			    tail.fault, copy.good ? "no copy" : copy.fault);
		return 0;
	}
	return check_dynamic(c, &tail, &copy);
}
