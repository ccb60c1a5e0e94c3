// SPDX-License-Identifier: Apache-2.0
/* Check of a VHDX: the parent locator, a table of keys and values in UTF-16. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "check_vhdx.h"
#include "lib/bits.h"

#define LINKAGE_UNITS 38u /* {guid} */

struct locator_walk {
	struct vhdx_walk *w;
	const uint8_t *item;
	size_t bytes;
	uint64_t at;
	unsigned count;
};

static struct vhdx_locator_entry entry_at(const struct locator_walk *l, unsigned i)
{
	struct vhdx_locator_entry e;

	memcpy(&e, l->item + sizeof(struct vhdx_locator_header) + i * sizeof(e), sizeof(e));
	return e;
}

static bool is_within(const struct locator_walk *l, uint32_t offset, uint16_t bytes)
{
	size_t head =
		sizeof(struct vhdx_locator_header) + l->count * sizeof(struct vhdx_locator_entry);

	return bytes != 0 && bytes % 2 == 0 && offset >= head &&
	       range_within(offset, bytes, l->bytes);
}

/* The entry can be read. */
static bool is_whole(const struct locator_walk *l, const struct vhdx_locator_entry *e)
{
	return is_within(l, e->key_offset, e->key_bytes) &&
	       is_within(l, e->value_offset, e->value_bytes);
}

static bool key_is(const struct locator_walk *l, const struct vhdx_locator_entry *e,
		   const char *name)
{
	size_t n = strlen(name);

	if (e->key_bytes != 2 * n) {
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		if (load_le16(l->item + e->key_offset + 2 * i) != (uint8_t)name[i]) {
			return false;
		}
	}
	return true;
}

/* The value as a GUID in braces. */
static bool is_linkage(const struct locator_walk *l, const struct vhdx_locator_entry *e)
{
	char text[LINKAGE_UNITS + 1];
	struct guid g;

	if (e->value_bytes != 2 * LINKAGE_UNITS) {
		return false;
	}
	for (unsigned i = 0; i < LINKAGE_UNITS; i++) {
		uint16_t unit = load_le16(l->item + e->value_offset + 2 * i);

		text[i] = unit < 0x80 ? (char)unit : '?';
	}
	text[LINKAGE_UNITS] = '\0';
	return guid_parse(text, &g);
}

__attribute__((format(printf, 2, 3))) static void wrong(struct locator_walk *l, const char *fmt,
							...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	vhd_finding(l->w->c, VHD_FINDING_ERROR, l->at, VHD_NOT_REPAIRABLE,
		    "parent locator: %s; reconnect the disk to write it anew", text);
}

static bool check_header(struct locator_walk *l)
{
	static const struct guid type = VHDX_GUID_LOCATOR_TYPE;
	struct vhdx_locator_header h;
	char guid[GUID_TEXT_BYTES];

	if (l->bytes < sizeof(h)) {
		wrong(l, "only %zu bytes", l->bytes);
		return false;
	}
	memcpy(&h, l->item, sizeof(h));
	guid_format(&h.type, guid);
	if (!guid_equal(&h.type, &type)) {
		wrong(l, "of the unknown type %s", guid);
		return false;
	}
	if (h.count == 0 || h.count > VHDX_LOCATOR_KEYS_MAX ||
	    sizeof(h) + h.count * sizeof(struct vhdx_locator_entry) > l->bytes) {
		wrong(l, "%u entries in %zu bytes", h.count, l->bytes);
		return false;
	}
	l->count = h.count;
	return true;
}

static bool is_repeated(const struct locator_walk *l, unsigned i)
{
	struct vhdx_locator_entry e = entry_at(l, i);

	for (unsigned k = 0; k < i; k++) {
		struct vhdx_locator_entry other = entry_at(l, k);

		if (is_whole(l, &other) && other.key_bytes == e.key_bytes &&
		    memcmp(l->item + other.key_offset, l->item + e.key_offset, e.key_bytes) == 0) {
			return true;
		}
	}
	return false;
}

static void check_entries(struct locator_walk *l)
{
	bool linkage = false, path = false;

	for (unsigned i = 0; i < l->count; i++) {
		struct vhdx_locator_entry e = entry_at(l, i);

		if (!is_whole(l, &e)) {
			wrong(l,
			      "entry %u: key of %u bytes at 0x%" PRIx32
			      ", value of %u at 0x%" PRIx32
			      "; expected UTF-16 within the %zu bytes",
			      i, e.key_bytes, e.key_offset, e.value_bytes, e.value_offset,
			      l->bytes);
			continue;
		}
		if (is_repeated(l, i)) {
			wrong(l, "entry %u: its key is there already", i);
		}
		bool names_linkage = key_is(l, &e, "parent_linkage");

		if ((names_linkage || key_is(l, &e, "parent_linkage2")) && !is_linkage(l, &e)) {
			wrong(l, "entry %u: the identity of the parent is no GUID in braces", i);
		}
		linkage = linkage || names_linkage;
		path = path || key_is(l, &e, "relative_path") || key_is(l, &e, "volume_path") ||
		       key_is(l, &e, "absolute_win32_path");
	}
	if (!linkage) {
		wrong(l, "no \"parent_linkage\": which disk the parent is cannot be told");
	}
	if (!path) {
		wrong(l, "no \"relative_path\", \"volume_path\" or \"absolute_win32_path\": where "
			 "the parent is cannot be told");
	}
}

void vhdx_walk_locator(struct vhdx_walk *w, const uint8_t *item, size_t bytes, uint64_t at)
{
	struct locator_walk l = {.w = w, .item = item, .bytes = bytes, .at = at};

	if (check_header(&l)) {
		check_entries(&l);
	}
}
