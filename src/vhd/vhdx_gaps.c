// SPDX-License-Identifier: Apache-2.0
/*
 * Space that nothing in the file uses, left over from earlier opens or by others: found by marking everything that is used, and then sent
 * on the way of freed space, since nobody knows what is in it.
 */
#include <errno.h>
#include <stdlib.h>

#include "vhdx.h"

struct finder {
	struct vhdx *v;
	struct vhdx_used_map *used;
	struct vhdx_contradiction *found;
	/* A partially present block whose chunk's bitmap has not come yet: it follows the blocks. */
	struct vhdx_contradiction partial;
	uint64_t partial_chunk;
};

static void mark(struct vhdx_used_map *m, uint64_t offset, uint64_t bytes)
{
	uint64_t end = min_u64((offset + bytes + VHDX_UNIT - 1) / VHDX_UNIT, m->units);

	for (uint64_t i = offset / VHDX_UNIT; i < end; i++) {
		m->bits[i / 64] |= BIT64(i % 64);
	}
}

static bool any_marked(const struct vhdx_used_map *m, uint64_t offset, uint64_t bytes)
{
	for (uint64_t i = offset / VHDX_UNIT; i < (offset + bytes) / VHDX_UNIT; i++) {
		if (i < m->units && (m->bits[i / 64] & BIT64(i % 64)) != 0) {
			return true;
		}
	}
	return false;
}

void vhdx_used_mark(struct vhdx *v, uint64_t offset, uint64_t bytes)
{
	if (v->space.used != NULL) {
		mark(v->space.used, offset, bytes);
	}
}

static int contradict(struct finder *f, const struct vhdx_contradiction *c)
{
	*f->found = *c;
	return -ENODATA;
}

/* Partially present blocks need the bitmap of their chunk. */
static int note_bitmap(struct finder *f, uint64_t index, uint64_t entry, bool bitmap,
		       const struct vhdx_place *place)
{
	uint64_t number, chunk;

	(void)vhdx_entry_is_bitmap(&f->v->shape, index, &number);
	chunk = bitmap ? number : number >> f->v->shape.ratio_shift;
	if (f->partial.what != VHDX_NO_CONTRADICTION && f->partial_chunk != chunk) {
		return contradict(f, &f->partial);
	}
	if (bitmap) {
		f->partial.what = VHDX_NO_CONTRADICTION;
	} else if (place->state == VHDX_PARTIALLY_PRESENT) {
		f->partial = (struct vhdx_contradiction){VHDX_HAS_NO_BITMAP, index, entry};
		f->partial_chunk = chunk;
	}
	return 0;
}

static int mark_entry(void *ctx, uint64_t index, uint64_t entry)
{
	struct finder *f = ctx;
	struct vhdx *v = f->v;
	struct vhdx_place place;
	uint64_t number;
	bool bitmap = vhdx_entry_is_bitmap(&v->shape, index, &number);
	uint64_t bytes = bitmap ? VHDX_BITMAP_BYTES : v->shape.block_bytes;

	/* Nobody looks at bitmaps of disks without a parent, nor at blocks behind the end; what they name may be anybody's. */
	if (bitmap ? !v->shape.has_parent : number >= vhdx_blocks(&v->shape, v->shape.disk_bytes)) {
		v->space.suspect |= VHDX_ENTRY_OFFSET(entry) != 0;
		return 0;
	}
	if (vhdx_entry_decode(v, entry, bitmap, &place) != 0) {
		return contradict(f, &(struct vhdx_contradiction){VHDX_IMPOSSIBLE, index, entry});
	}
	if (place.offset == 0) {
		return 0;
	}
	if (f->used->check_overlap && any_marked(f->used, place.offset, bytes)) {
		return contradict(f, &(struct vhdx_contradiction){VHDX_OVERLAPS, index, entry});
	}
	mark(f->used, place.offset, bytes);
	return note_bitmap(f, index, entry, bitmap, &place);
}

static int mark_regions(struct vhdx *v, struct vhdx_used_map *m)
{
	uint8_t *table = malloc(VHDX_REGIONS_BYTES);
	struct vhdx_extent x;
	int rc = table == NULL ? -ENOMEM
			       : storage_file_read(v->layer.file,
						   VHDX_REGIONS_OFFSET(v->layout.regions_copy),
						   table, VHDX_REGIONS_BYTES);

	/* Also those that we do not know. */
	for (unsigned i = 0; rc == 0 && vhdx_regions_entry(table, i, &x); i++) {
		mark(m, x.offset, x.bytes);
	}
	free(table);
	mark(m, 0, VHDX_UNIT);
	mark(m, v->layout.log.offset, v->layout.log.bytes);
	mark(m, v->layout.bat.offset, v->layout.bat.bytes);
	mark(m, v->layout.metadata.offset, v->layout.metadata.bytes);
	return rc;
}

/* What is on its way to be clean, or is, is no gap. */
static void mark_known_free(const struct vhdx *v, struct vhdx_used_map *m)
{
	const struct vhdx_space *s = &v->space;

	for (const struct vhdx_freed *f = s->freed; f != NULL; f = f->next) {
		mark(m, f->x.offset, f->x.bytes);
	}
	for (const struct vhdx_freed *f = s->punched; f != NULL; f = f->next) {
		mark(m, f->x.offset, f->x.bytes);
	}
	for (uint64_t i = 0; i < m->units && i / 64 < s->clean_words; i++) {
		if ((s->clean[i / 64] & BIT64(i % 64)) != 0) {
			mark(m, i * VHDX_UNIT, VHDX_UNIT);
		}
	}
}

/* Everything unmarked, run by run. */
static void free_gaps(struct vhdx *v, const struct vhdx_used_map *m, bool metadata)
{
	for (uint64_t i = 0, n; i < m->units; i += n) {
		for (n = 0; i + n < m->units && (m->bits[(i + n) / 64] & BIT64((i + n) % 64)) == 0;
		     n++) {
		}
		if (n != 0) {
			vhdx_space_free(v, i * VHDX_UNIT, n * VHDX_UNIT, metadata);
		} else {
			n = 1;
		}
	}
}

static int find(struct vhdx *v, struct vhdx_used_map *m, struct vhdx_contradiction *ret)
{
	struct finder f = {.v = v, .used = m, .found = ret};
	int rc = mark_regions(v, m);

	rc = rc != 0 ? rc : vhdx_scan(v, mark_entry, &f);
	return rc == 0 && f.partial.what != VHDX_NO_CONTRADICTION ? contradict(&f, &f.partial) : rc;
}

int vhdx_gaps_find(struct vhdx *v, bool opening, struct vhdx_contradiction *ret)
{
	/* Nothing else moves while a disk is opened; later, a block may be seen in its old and in its new place. */
	struct vhdx_used_map m = {.units = v->space.end / VHDX_UNIT, .check_overlap = opening};
	int rc;

	ret->what = VHDX_NO_CONTRADICTION;
	m.bits = calloc(m.units / 64 + 1, sizeof(*m.bits));
	if (m.bits == NULL) {
		return -ENOMEM;
	}
	while (v->space.punching != 0) {
		vhdx_turn(v);
	}
	mark_known_free(v, &m);
	/* What comes and goes from here on is marked, too. */
	v->space.used = &m;
	rc = find(v, &m, ret);
	v->space.used = NULL;
	if (rc == 0 && !v->space.suspect) {
		/* A log of this open may have copies of what was once there. */
		free_gaps(v, &m, !opening);
	} else if (rc == -ENODATA) {
		v->space.suspect = true;
		rc = 0;
	}
	free(m.bits);
	return rc;
}
