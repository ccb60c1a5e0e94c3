// SPDX-License-Identifier: Apache-2.0
/* Sizes, identities and JSON, as `virid disk` shows them. */
#include <inttypes.h>
#include <string.h>

#include "disk.h"
#include "lib/bits.h"
#include "lib/check.h"

const char *disk_size_text(uint64_t bytes, char text[32])
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned unit = 0;

	while (unit + 1 < ARRAY_LEN(units) && bytes >> (10 * (unit + 1)) != 0) {
		unit++;
	}
	if (bytes == align_down(bytes, BIT64(10 * unit))) {
		snprintf(text, 32, "%" PRIu64 " %s", bytes >> (10 * unit), units[unit]);
	} else {
		snprintf(text, 32, "%.1f %s", (double)bytes / (double)BIT64(10 * unit),
			 units[unit]);
	}
	return text;
}

const char *disk_size_both(uint64_t bytes, char text[64])
{
	char size[32];

	disk_size_text(bytes, size);
	if (bytes < 1024) {
		snprintf(text, 64, "%s", size);
	} else {
		snprintf(text, 64, "%s (%" PRIu64 " bytes)", size, bytes);
	}
	return text;
}

const char *disk_guid_text(const struct guid *g, char text[GUID_TEXT_BYTES])
{
	guid_format(g, text);
	return text;
}

static void add(struct json_object *o, const char *key, struct json_object *value)
{
	CHECK(value != NULL && json_object_object_add(o, key, value) == 0);
}

/* File names may hold any bytes; what is not UTF-8 becomes U+FFFD, so that the output is JSON. */
static size_t sequence_bytes(const unsigned char *p)
{
	if (p[0] < 0x80) {
		return 1;
	}
	size_t n = p[0] >= 0xc2 && p[0] < 0xe0	 ? 2
		   : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
		   : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
						 : 0;

	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			return 0;
		}
	}
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90)) {
		return 0;
	}
	return n;
}

void disk_json_text(struct json_object *o, const char *key, const char *value)
{
	static const char replacement[] = "\xef\xbf\xbd";
	char *clean = malloc(3 * strlen(value) + 1);
	size_t used = 0;

	CHECK(clean != NULL);
	while (*value != '\0') {
		size_t n = sequence_bytes((const unsigned char *)value);

		memcpy(clean + used, n != 0 ? value : replacement, n != 0 ? n : 3);
		used += n != 0 ? n : 3;
		value += n != 0 ? n : 1;
	}
	clean[used] = '\0';
	add(o, key, json_object_new_string(clean));
	free(clean);
}

void disk_json_number(struct json_object *o, const char *key, uint64_t value)
{
	add(o, key, json_object_new_uint64(value));
}

void disk_json_bool(struct json_object *o, const char *key, bool value)
{
	add(o, key, json_object_new_boolean(value));
}

void disk_json_guid(struct json_object *o, const char *key, const struct guid *g)
{
	char text[GUID_TEXT_BYTES];

	disk_json_text(o, key, disk_guid_text(g, text));
}

void disk_json_print(struct json_object *o)
{
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
						       JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}

struct json_object *disk_json_info(const struct vhd_info *info)
{
	struct json_object *o = json_object_new_object();

	CHECK(o != NULL);
	disk_json_text(o, "file", info->path);
	disk_json_text(o, "format", vhd_format_name(info->format));
	disk_json_number(o, "size", info->bytes);
	disk_json_number(o, "sector-size", info->sector_bytes);
	disk_json_number(o, "physical-sector-size", info->physical_sector_bytes);
	disk_json_number(o, "block-size", info->block_bytes);
	disk_json_number(o, "file-size", info->file_bytes);
	disk_json_number(o, "allocated", info->allocated_bytes);
	disk_json_number(o, "minimum-size", info->minimum_bytes);
	if (!guid_is_zero(&info->id)) {
		disk_json_guid(o, "id", &info->id);
	}
	if (!guid_is_zero(&info->linkage)) {
		disk_json_guid(o, "linkage", &info->linkage);
	}
	if (info->has_parent) {
		disk_json_text(o, "parent", info->parent_path);
		disk_json_guid(o, "parent-linkage", &info->parent_linkage);
	}
	if (info->creator[0] != '\0') {
		disk_json_text(o, "creator", info->creator);
	}
	disk_json_bool(o, "saved-state", info->saved_state);
	disk_json_bool(o, "log-replayed", info->log_was_replayed);
	return o;
}
