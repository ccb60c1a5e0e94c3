// SPDX-License-Identifier: Apache-2.0
/* The parent locator. Spec: MS-VHDX 2.6.2.6. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/utf16.h"
#include "vhdx.h"

#define LINKAGE_KEY "parent_linkage"
#define LINKAGE2_KEY "parent_linkage2"
#define RELATIVE_KEY "relative_path"
#define VOLUME_KEY "volume_path"
#define ABSOLUTE_KEY "absolute_win32_path"
#define OWN_KEYS 5u

/* One key and its value, in the item. */
struct pair {
	const uint8_t *key, *value;
	uint16_t key_bytes, value_bytes;
};

/* Which of the @count entries it is makes no difference: each must lie in the item. */
static bool pair_at(const uint8_t *item, size_t bytes, unsigned i, struct pair *ret)
{
	struct vhdx_locator_entry e;
	size_t at = sizeof(struct vhdx_locator_header) + i * sizeof(e);

	if (!range_within(at, sizeof(e), bytes)) {
		return false;
	}
	memcpy(&e, item + at, sizeof(e));
	if (e.key_bytes == 0 || e.key_bytes % 2 != 0 || e.value_bytes % 2 != 0 ||
	    !range_within(e.key_offset, e.key_bytes, bytes) ||
	    !range_within(e.value_offset, e.value_bytes, bytes)) {
		return false;
	}
	*ret = (struct pair){item + e.key_offset, item + e.value_offset, e.key_bytes,
			     e.value_bytes};
	return true;
}

static bool key_is(const struct pair *p, const char *key)
{
	uint8_t utf16[64];
	size_t bytes;

	return utf16_encode(key, UTF16_LE, utf16, sizeof(utf16), &bytes) && bytes == p->key_bytes &&
	       memcmp(utf16, p->key, bytes) == 0;
}

/* The number of entries; -1: it is no locator. */
static int pair_count(const uint8_t *item, size_t bytes)
{
	static const struct guid type = VHDX_GUID_LOCATOR_TYPE;
	struct vhdx_locator_header h;

	if (bytes < sizeof(h)) {
		return -1;
	}
	memcpy(&h, item, sizeof(h));
	return guid_equal(&h.type, &type) && h.count <= VHDX_LOCATOR_KEYS_MAX ? h.count : -1;
}

/* ---- Reading ---- */

static bool take_guid(const struct pair *p, struct guid *ret)
{
	char text[64];

	return utf16_decode(p->value, p->value_bytes, UTF16_LE, text, sizeof(text)) &&
	       guid_parse(text, ret);
}

static bool take_pair(const struct pair *p, struct vhd_locator *l)
{
	const struct {
		const char *key;
		char *to;
	} paths[] = {
		{RELATIVE_KEY, l->relative}, {VOLUME_KEY, l->volume}, {ABSOLUTE_KEY, l->absolute}};

	if (key_is(p, LINKAGE_KEY)) {
		return take_guid(p, &l->linkage);
	}
	if (key_is(p, LINKAGE2_KEY)) {
		return take_guid(p, &l->linkage2);
	}
	for (unsigned i = 0; i < ARRAY_LEN(paths); i++) {
		if (key_is(p, paths[i].key)) {
			/* One that cannot be a path is as good as none. */
			(void)utf16_decode(p->value, p->value_bytes, UTF16_LE, paths[i].to,
					   sizeof(l->relative));
		}
	}
	return true;
}

int vhdx_locator_parse(const uint8_t *item, size_t bytes, const char *file, struct vhd_locator *ret,
		       struct vhd_error *error)
{
	int count = pair_count(item, bytes);

	memset(ret, 0, sizeof(*ret));
	if (count < 0) {
		return vhd_fail(error, VHD_UNSUPPORTED,
				"%s: parent locator: found another type or more keys than "
				"expected: that for VHDX and at most %u; the file needs newer "
				"software",
				file, VHDX_LOCATOR_KEYS_MAX);
	}
	for (unsigned i = 0; i < (unsigned)count; i++) {
		struct pair p;

		if (!pair_at(item, bytes, i, &p) || !take_pair(&p, ret)) {
			return vhd_fail(error, VHD_CORRUPT,
					"%s: parent locator: key %u of %d lies outside the %zu "
					"bytes of the item, or its GUID is none; reconnect the "
					"disk",
					file, i, count, bytes);
		}
	}
	if (guid_is_zero(&ret->linkage) && guid_is_zero(&ret->linkage2)) {
		return vhd_fail(
			error, VHD_CORRUPT,
			"%s: parent locator: has no \"" LINKAGE_KEY "\"; reconnect the disk", file);
	}
	return 0;
}

/* ---- Writing ---- */

struct builder {
	uint8_t *item;
	size_t bytes, capacity;
	unsigned count;
};

static bool known_key(const struct pair *p)
{
	return key_is(p, LINKAGE_KEY) || key_is(p, LINKAGE2_KEY) || key_is(p, RELATIVE_KEY) ||
	       key_is(p, VOLUME_KEY) || key_is(p, ABSOLUTE_KEY);
}

static bool add_bytes(struct builder *b, const uint8_t *p, size_t bytes, uint32_t *ret_offset)
{
	if (bytes > b->capacity - b->bytes) {
		return false;
	}
	*ret_offset = (uint32_t)b->bytes;
	memcpy(b->item + b->bytes, p, bytes);
	b->bytes += bytes;
	return true;
}

static bool add_pair(struct builder *b, const struct pair *p)
{
	struct vhdx_locator_entry e = {.key_bytes = p->key_bytes, .value_bytes = p->value_bytes};

	if (b->count == VHDX_LOCATOR_KEYS_MAX ||
	    !add_bytes(b, p->key, p->key_bytes, &e.key_offset) ||
	    !add_bytes(b, p->value, p->value_bytes, &e.value_offset)) {
		return false;
	}
	memcpy(b->item + sizeof(struct vhdx_locator_header) + b->count * sizeof(e), &e, sizeof(e));
	b->count++;
	return true;
}

static bool add_text(struct builder *b, const char *key, const char *value)
{
	uint8_t key16[64], value16[8192];
	size_t key_bytes, value_bytes;

	if (value[0] == '\0') {
		return true;
	}
	if (!utf16_encode(key, UTF16_LE, key16, sizeof(key16), &key_bytes) ||
	    !utf16_encode(value, UTF16_LE, value16, sizeof(value16), &value_bytes) ||
	    value_bytes > sizeof(value16)) {
		return false;
	}
	return add_pair(b,
			&(struct pair){key16, value16, (uint16_t)key_bytes, (uint16_t)value_bytes});
}

static bool add_guid(struct builder *b, const char *key, const struct guid *g)
{
	char plain[GUID_TEXT_BYTES], text[GUID_TEXT_BYTES + 2];

	if (guid_is_zero(g)) {
		return true;
	}
	guid_format(g, plain);
	snprintf(text, sizeof(text), "{%s}", plain);
	return add_text(b, key, text);
}

static bool add_all(struct builder *b, const struct vhd_locator *l, const uint8_t *old,
		    size_t old_bytes)
{
	int count = old != NULL ? pair_count(old, old_bytes) : 0;
	bool ok = add_guid(b, LINKAGE_KEY, &l->linkage) &&
		  add_guid(b, LINKAGE2_KEY, &l->linkage2) &&
		  add_text(b, RELATIVE_KEY, l->relative) && add_text(b, VOLUME_KEY, l->volume) &&
		  add_text(b, ABSOLUTE_KEY, l->absolute);

	/* Keys of others stay. */
	for (int i = 0; ok && i < count; i++) {
		struct pair p;

		ok = !pair_at(old, old_bytes, (unsigned)i, &p) || known_key(&p) || add_pair(b, &p);
	}
	return ok;
}

int vhdx_locator_build(const struct vhd_locator *locator, const uint8_t *old, size_t old_bytes,
		       uint8_t **ret, size_t *ret_bytes)
{
	/* Ours, and at most all of the old ones. */
	int old_count = old != NULL ? pair_count(old, old_bytes) : 0;
	unsigned most = OWN_KEYS + (unsigned)(old_count > 0 ? old_count : 0);
	const size_t head =
		sizeof(struct vhdx_locator_header) + most * sizeof(struct vhdx_locator_entry);
	struct vhdx_locator_header h = {.type = VHDX_GUID_LOCATOR_TYPE};
	struct builder b = {.capacity = VHDX_LOCATOR_ITEM_MAX, .bytes = head};

	b.item = calloc(1, b.capacity);
	if (b.item == NULL) {
		return -ENOMEM;
	}
	if (!add_all(&b, locator, old, old_bytes)) {
		free(b.item);
		return VHD_INVALID_ARGUMENT;
	}
	h.count = (uint16_t)b.count;
	memcpy(b.item, &h, sizeof(h));
	*ret = b.item;
	*ret_bytes = b.bytes;
	return 0;
}
