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

void disk_json_guid(json_t *o, const char *key, const struct guid *g)
{
	char text[GUID_TEXT_BYTES];

	json_add_text(o, key, disk_guid_text(g, text));
}

void disk_json_print(json_t *o)
{
	json_print(o);
	json_decref(o);
}

json_t *disk_json_info(const struct vhd_info *info)
{
	json_t *o = json_object();

	json_add_text(o, "file", info->path);
	json_add_text(o, "format", vhd_format_name(info->format));
	json_add_number(o, "size", info->bytes);
	json_add_number(o, "sector-size", info->sector_bytes);
	json_add_number(o, "physical-sector-size", info->physical_sector_bytes);
	json_add_number(o, "block-size", info->block_bytes);
	json_add_number(o, "file-size", info->file_bytes);
	json_add_number(o, "allocated", info->allocated_bytes);
	json_add_number(o, "minimum-size", info->minimum_bytes);
	if (!guid_is_zero(&info->id)) {
		disk_json_guid(o, "id", &info->id);
	}
	if (!guid_is_zero(&info->linkage)) {
		disk_json_guid(o, "linkage", &info->linkage);
	}
	if (info->has_parent) {
		json_add_text(o, "parent", info->parent_path);
		disk_json_guid(o, "parent-linkage", &info->parent_linkage);
	}
	if (info->creator[0] != '\0') {
		json_add_text(o, "creator", info->creator);
	}
	json_add_flag(o, "saved-state", info->saved_state);
	json_add_flag(o, "log-replayed", info->log_was_replayed);
	return o;
}
