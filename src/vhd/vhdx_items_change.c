// SPDX-License-Identifier: Apache-2.0
/* Changes of metadata items: through the log, like all metadata. And the linkage, which is in the header. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vhdx.h"

/* All pages that the change touches. 0, VHDX_WAIT, -errno. */
static int get_pages(struct vhdx *v, const struct vhdx_change *c, struct vhdx_waiter *w)
{
	struct vhdx_page *p;
	int rc = 0;

	for (uint64_t at = align_down(c->offset, VHDX_PAGE); rc == 0 && at < c->offset + c->bytes;
	     at += VHDX_PAGE) {
		rc = vhdx_page_get(v, at, w, &p);
	}
	return rc;
}

static unsigned pages_of(uint64_t offset, uint64_t bytes)
{
	return (unsigned)((align_up(offset + bytes, VHDX_PAGE) - align_down(offset, VHDX_PAGE)) /
			  VHDX_PAGE);
}

static void change_bytes(struct vhdx *v, uint64_t offset, const void *value, size_t bytes)
{
	const uint8_t *from = value;

	while (bytes != 0) {
		struct vhdx_page *p = vhdx_page_peek(v, align_down(offset, VHDX_PAGE));
		size_t in = offset % VHDX_PAGE;
		size_t n = (size_t)min_u64(bytes, VHDX_PAGE - in);

		CHECK(p != NULL);
		vhdx_page_dirty(v, p, 0);
		memcpy(p->data + in, from, n);
		from += n;
		offset += n;
		bytes -= n;
	}
}

int vhdx_change(struct vhdx *v, const struct vhdx_change *changes, unsigned count)
{
	struct vhdx_sync s;
	unsigned pages = 0;
	int rc = 0;

	for (unsigned i = 0; i < count; i++) {
		pages += pages_of(changes[i].offset, changes[i].bytes);
	}
	if (pages > v->commit.page_max) {
		return -EFBIG;
	}
	do {
		struct vhdx_waiter *w = vhdx_sync_begin(&s);

		/* In the end all pages are there, and room, without a wait in between. */
		rc = vhdx_commit_room(v, pages, w) ? 0 : VHDX_WAIT;
		for (unsigned i = 0; rc == 0 && i < count; i++) {
			rc = get_pages(v, &changes[i], w);
		}
	} while (vhdx_sync_again(v, &s, &rc));
	for (unsigned i = 0; rc == 0 && i < count; i++) {
		change_bytes(v, changes[i].offset, changes[i].value, changes[i].bytes);
	}
	return rc;
}

int vhdx_set_disk_bytes(struct vhdx *v, uint64_t bytes)
{
	const struct vhdx_change c = {v->items.item[VHDX_ITEM_DISK_SIZE].offset, &bytes,
				      sizeof(bytes)};

	return vhdx_change(v, &c, 1);
}

/* ---- The locator ---- */

static int read_locator(struct vhdx *v, uint8_t **ret, struct vhd_error *error)
{
	const struct vhdx_extent *x = &v->items.item[VHDX_ITEM_PARENT_LOCATOR];
	uint8_t *item = malloc(x->bytes + 1);
	int rc = item == NULL ? -ENOMEM : 0;

	/* Page by page from the cache: it has what was set and is not in the file yet. */
	for (uint64_t at = 0; rc == 0 && at < x->bytes;) {
		uint64_t offset = x->offset + at;
		size_t n = (size_t)min_u64(x->bytes - at, VHDX_PAGE - offset % VHDX_PAGE);
		struct vhdx_page *p;

		rc = vhdx_page_get_sync(v, align_down(offset, VHDX_PAGE), &p);
		if (rc == 0) {
			memcpy(item + at, p->data + offset % VHDX_PAGE, n);
			at += n;
		}
	}
	if (rc != 0) {
		free(item);
		return vhd_fail_errno(error, rc, v->layer.file->name,
				      "cannot read the parent locator");
	}
	*ret = item;
	return 0;
}

static int no_parent(const struct vhdx *v, struct vhd_error *error)
{
	return vhd_fail(error, VHD_NOT_POSSIBLE, "%s: is not a differencing disk, has no parent",
			v->layer.file->name);
}

int vhdx_locator(struct vhd_layer *l, struct vhd_locator *ret, struct vhd_error *error)
{
	struct vhdx *v = vhdx_from_layer(l);
	uint8_t *item;
	int rc = v->shape.has_parent ? read_locator(v, &item, error) : no_parent(v, error);

	if (rc != 0) {
		return rc;
	}
	const struct vhdx_extent *x = &v->items.item[VHDX_ITEM_PARENT_LOCATOR];
	char where[PATH_MAX + 64];

	snprintf(where, sizeof(where), "%s: metadata item at 0x%" PRIx64, l->file->name, x->offset);
	rc = vhdx_locator_parse(item, x->bytes, where, ret, error);
	free(item);
	return rc;
}

/* The lowest gap between items that takes @bytes. 0: there is none. */
static uint64_t find_gap(const uint8_t *table, const struct vhdx_extent *region, uint64_t bytes,
			 const struct guid *without)
{
	struct vhdx_metadata_header h;
	uint64_t at = VHDX_METADATA_TABLE_BYTES;

	memcpy(&h, table, sizeof(h));
	for (bool moved = true; moved;) {
		moved = false;
		for (unsigned i = 0; i < h.count; i++) {
			struct vhdx_metadata_entry e;

			memcpy(&e, table + sizeof(h) + i * sizeof(e), sizeof(e));
			if (e.bytes != 0 && !guid_equal(&e.guid, without) &&
			    at < e.offset + e.bytes && e.offset < at + bytes) {
				at = align_up((uint64_t)e.offset + e.bytes, 8);
				moved = true;
			}
		}
	}
	return range_within(at, bytes, region->bytes) ? at : 0;
}

/* Puts the item where it has room, and says so in the table; both in one commit. */
static int replace_locator(struct vhdx *v, const uint8_t *table, const uint8_t *item, size_t bytes)
{
	const struct guid *guid = &vhdx_item_kinds[VHDX_ITEM_PARENT_LOCATOR].guid;
	struct vhdx_metadata_header h;
	struct vhdx_metadata_entry e;
	uint64_t at = find_gap(table, &v->layout.metadata, bytes, guid);
	unsigned i = 0;

	memcpy(&h, table, sizeof(h));
	do {
		CHECK(i < h.count);
		memcpy(&e, table + sizeof(h) + i * sizeof(e), sizeof(e));
		i++;
	} while (!guid_equal(&e.guid, guid) || (e.flags & VHDX_ITEM_USER) != 0);
	if (at == 0) {
		return VHD_NOT_POSSIBLE;
	}
	e.offset = (uint32_t)at;
	e.bytes = (uint32_t)bytes;

	const struct vhdx_extent place = {v->layout.metadata.offset + at, bytes};
	const struct vhdx_change changes[] = {
		{place.offset, item, bytes},
		{v->layout.metadata.offset + sizeof(h) + (i - 1) * sizeof(e), &e, sizeof(e)},
	};
	int rc = vhdx_change(v, changes, ARRAY_LEN(changes));

	if (rc == 0) {
		v->items.item[VHDX_ITEM_PARENT_LOCATOR] = place;
		rc = vhdx_commit_sync(v);
	}
	return rc;
}

/* The metadata table as it is now. */
static int read_table(struct vhdx *v, uint8_t *table)
{
	int rc = 0;

	for (uint64_t at = 0; rc == 0 && at < VHDX_METADATA_TABLE_BYTES; at += VHDX_PAGE) {
		struct vhdx_page *p;

		rc = vhdx_page_get_sync(v, v->layout.metadata.offset + at, &p);
		if (rc == 0) {
			memcpy(table + at, p->data, VHDX_PAGE);
		}
	}
	return rc;
}

static int set_locator(struct vhdx *v, const struct vhd_locator *locator, const uint8_t *old,
		       size_t old_bytes)
{
	uint8_t *table = malloc(VHDX_METADATA_TABLE_BYTES), *item = NULL;
	size_t bytes;
	int rc = table == NULL ? -ENOMEM : vhdx_session_start_sync(v, VHDX_CHANGE_FILE);

	rc = rc != 0 ? rc : read_table(v, table);
	rc = rc != 0 ? rc : vhdx_locator_build(locator, old, old_bytes, &item, &bytes);
	rc = rc != 0 ? rc : replace_locator(v, table, item, bytes);
	free(item);
	free(table);
	return rc;
}

int vhdx_set_locator(struct vhd_layer *l, const struct vhd_locator *locator,
		     struct vhd_error *error)
{
	struct vhdx *v = vhdx_from_layer(l);
	uint8_t *old;
	int rc = v->shape.has_parent ? read_locator(v, &old, error) : no_parent(v, error);

	if (rc != 0) {
		return rc;
	}
	rc = set_locator(v, locator, old, v->items.item[VHDX_ITEM_PARENT_LOCATOR].bytes);
	free(old);
	if (rc > 0) {
		return vhd_fail(error, rc,
				"%s: parent locator: what is to be recorded is not UTF-8, or does "
				"not fit into the metadata region of %llu bytes",
				l->file->name, (unsigned long long)v->layout.metadata.bytes);
	}
	return rc == 0 ? 0
		       : vhd_fail_errno(error, rc, l->file->name,
					"cannot write the parent locator");
}

int vhdx_settle_linkage(struct vhd_layer *l, struct vhd_error *error)
{
	int rc = vhdx_session_start_sync(vhdx_from_layer(l), VHDX_CHANGE_DATA);

	return rc == 0 ? 0 : vhd_fail_errno(error, rc, l->file->name, "cannot write the header");
}

int vhdx_new_linkage(struct vhd_layer *l, const struct guid *linkage, struct vhd_error *error)
{
	struct vhdx *v = vhdx_from_layer(l);
	int rc = v->error != 0 ? v->error
			       : vhdx_header_change_sync(v, VHDX_CHANGE_FILE | VHDX_CHANGE_DATA,
							 linkage, NULL);

	return rc == 0 ? 0 : vhd_fail_errno(error, rc, l->file->name, "cannot write the header");
}
