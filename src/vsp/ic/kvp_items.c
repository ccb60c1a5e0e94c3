// SPDX-License-Identifier: Apache-2.0
/* Items as guests send them: texts in UTF-16 with a size, numbers by their type. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/utf16.h"
#include "service.h"

#define KEY_TEXT_BYTES (IC_KVP_KEY_BYTES / 2 * 3 + 1)
#define VALUE_TEXT_BYTES (IC_KVP_VALUE_BYTES / 2 * 3 + 1)

/* Guests count the NUL or not; what comes after one is not looked at. Half a unit is none. */
static bool read_text(const uint8_t *text, uint32_t bytes, uint32_t limit, char *ret, size_t size)
{
	return bytes <= limit && bytes % 2 == 0 &&
	       utf16_decode_padded(text, bytes, UTF16_LE, ret, size);
}

bool ic_kvp_value_text(const struct ic_kvp_value *v, char *ret, size_t size)
{
	switch (v->type) {
	case IC_KVP_TYPE_SZ:
		return read_text(v->value, v->value_bytes, sizeof(v->value), ret, size);
	case IC_KVP_TYPE_U32:
		snprintf(ret, size, "%u", load_le32(v->value));
		return true;
	case IC_KVP_TYPE_U64:
		snprintf(ret, size, "%llu", (unsigned long long)load_le64(v->value));
		return true;
	default:
		return false;
	}
}

static void free_items(struct vsp_ic_item *items, unsigned *count)
{
	for (unsigned i = 0; i < *count; i++) {
		free((void *)(uintptr_t)items[i].key); /* the value lies behind it */
	}
	*count = 0;
}

bool ic_kvp_add_item(struct ic_kvp *k, const struct ic_kvp_value *v)
{
	char key[KEY_TEXT_BYTES], value[VALUE_TEXT_BYTES];
	char *both;
	size_t n, m;

	if (!read_text(v->key, v->key_bytes, sizeof(v->key), key, sizeof(key)) || key[0] == '\0' ||
	    !ic_kvp_value_text(v, value, sizeof(value)) || k->fresh_count == IC_KVP_ITEMS) {
		return false;
	}
	n = strlen(key) + 1;
	m = strlen(value) + 1;
	both = malloc(n + m);
	if (both == NULL) {
		return false;
	}
	memcpy(both, key, n);
	memcpy(both + n, value, m);
	k->fresh[k->fresh_count].key = both;
	k->fresh[k->fresh_count].value = both + n;
	k->fresh_count++;
	return true;
}

static bool same_items(const struct ic_kvp *k)
{
	bool same = k->fresh_count == k->item_count;

	for (unsigned i = 0; same && i < k->item_count; i++) {
		same = strcmp(k->fresh[i].key, k->items[i].key) == 0 &&
		       strcmp(k->fresh[i].value, k->items[i].value) == 0;
	}
	return same;
}

bool ic_kvp_take_items(struct ic_kvp *k)
{
	bool changed = !same_items(k);

	free_items(k->items, &k->item_count);
	memcpy(k->items, k->fresh, sizeof(k->items));
	k->item_count = k->fresh_count;
	k->fresh_count = 0;
	return changed;
}

void ic_kvp_drop_fresh(struct ic_kvp *k)
{
	free_items(k->fresh, &k->fresh_count);
}

void ic_kvp_drop_items(struct ic_kvp *k)
{
	free_items(k->items, &k->item_count);
}
