// SPDX-License-Identifier: Apache-2.0
/*
 * Making a disk. The file identifier comes last, behind a flush: before it is there the file is no disk, from then on it is a whole one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhdx.h"

#define LOG_BYTES VHDX_MIB
#define METADATA_BYTES VHDX_MIB
#define ITEMS_AT VHDX_METADATA_TABLE_BYTES
#define LOCATOR_AT (128 * 1024u)
/* Up to this much of the BAT gets its space at once, so that no change of it can meet a full file system. */
#define BAT_RESERVED_MAX (8 * VHDX_MIB)
#define CHUNK (1024 * 1024u)

struct creation {
	const struct vhd_host *host;
	struct storage_file *f;
	struct vhdx_shape shape;
	struct vhdx_layout layout;
	uint64_t data_at;
	const struct vhd_locator *locator;
	uint8_t *buffer; /* CHUNK */
};

static struct guid random_guid(const struct vhd_host *host)
{
	uint8_t random[16];

	host->random(host->ctx, random, sizeof(random));
	return guid_from_random(random);
}

static void plan(struct creation *n)
{
	uint64_t bat_bytes = vhdx_bat_entries(&n->shape, n->shape.disk_bytes) * 8;

	n->layout.log = (struct vhdx_extent){VHDX_MIB, LOG_BYTES};
	n->layout.metadata = (struct vhdx_extent){2 * VHDX_MIB, METADATA_BYTES};
	n->layout.bat = (struct vhdx_extent){3 * VHDX_MIB, align_up(bat_bytes, VHDX_UNIT)};
	n->data_at = n->layout.bat.offset + n->layout.bat.bytes;
}

static int make_space(const struct creation *n)
{
	uint64_t blocks =
		n->shape.leave_allocated ? vhdx_blocks(&n->shape, n->shape.disk_bytes) : 0;
	int rc = storage_file_set_size(n->f, n->data_at + (blocks << n->shape.block_shift));

	rc = rc != 0 ? rc
		     : storage_file_zero(n->f, n->layout.log.offset, n->layout.log.bytes, false);
	if (rc == 0 && n->layout.bat.bytes <= BAT_RESERVED_MAX) {
		rc = storage_file_zero(n->f, n->layout.bat.offset, n->layout.bat.bytes, false);
	}
	return rc;
}

static int write_headers(const struct creation *n)
{
	struct vhdx_header h = {
		.file_write = random_guid(n->host),
		.data_write = random_guid(n->host),
		.version = 1,
		.log_bytes = (uint32_t)n->layout.log.bytes,
		.log_offset = n->layout.log.offset,
	};
	int rc = 0;

	for (unsigned slot = 0; rc == 0 && slot < 2; slot++) {
		h.sequence = slot;
		vhdx_header_encode(&h, n->buffer);
		rc = storage_file_write(n->f, VHDX_HEADER_OFFSET(slot), n->buffer, VHDX_PAGE);
	}
	return rc;
}

static int write_regions(const struct creation *n)
{
	int rc = 0;

	vhdx_regions_encode(&n->layout, n->buffer);
	for (unsigned copy = 0; rc == 0 && copy < 2; copy++) {
		rc = storage_file_write(n->f, VHDX_REGIONS_OFFSET(copy), n->buffer,
					VHDX_REGIONS_BYTES);
	}
	return rc;
}

/* ---- Metadata ---- */

/* nonnull: GCC's sanitizers otherwise warn of the case that it is NULL. */
__attribute__((nonnull)) static void add_item(uint8_t *region, enum vhdx_item item, uint32_t offset,
					      const void *value, uint32_t bytes)
{
	struct vhdx_metadata_header h;
	struct vhdx_metadata_entry e = {
		.guid = vhdx_item_kinds[item].guid,
		.offset = offset,
		.bytes = bytes,
		.flags = vhdx_item_kinds[item].flags,
	};

	memcpy(&h, region, sizeof(h));
	h.signature = VHDX_METADATA_SIGNATURE;
	memcpy(region + sizeof(h) + h.count * sizeof(e), &e, sizeof(e));
	h.count++;
	memcpy(region, &h, sizeof(h));
	memcpy(region + offset, value, bytes);
}

static void add_values(const struct creation *n)
{
	const struct vhdx_shape *s = &n->shape;
	const struct vhdx_file_parameters p = {
		.block_bytes = s->block_bytes,
		.flags = (s->leave_allocated ? VHDX_LEAVE_ALLOCATED : 0) |
			 (s->has_parent ? VHDX_HAS_PARENT : 0),
	};

	add_item(n->buffer, VHDX_ITEM_FILE_PARAMETERS, ITEMS_AT, &p, sizeof(p));
	add_item(n->buffer, VHDX_ITEM_DISK_SIZE, ITEMS_AT + 8, &s->disk_bytes, 8);
	add_item(n->buffer, VHDX_ITEM_DISK_ID, ITEMS_AT + 16, &s->id, 16);
	add_item(n->buffer, VHDX_ITEM_LOGICAL_SECTOR, ITEMS_AT + 32, &s->sector_bytes, 4);
	add_item(n->buffer, VHDX_ITEM_PHYSICAL_SECTOR, ITEMS_AT + 36, &s->physical_sector_bytes, 4);
}

static int write_metadata(const struct creation *n)
{
	memset(n->buffer, 0, CHUNK);
	add_values(n);
	if (n->shape.has_parent) {
		uint8_t *item;
		size_t bytes;
		int rc = vhdx_locator_build(n->locator, NULL, 0, &item, &bytes);

		if (rc != 0) {
			return rc;
		}
		add_item(n->buffer, VHDX_ITEM_PARENT_LOCATOR, LOCATOR_AT, item, (uint32_t)bytes);
		free(item);
	}
	return storage_file_write(n->f, n->layout.metadata.offset, n->buffer,
				  LOCATOR_AT + VHDX_LOCATOR_ITEM_MAX);
}

/* Of a fixed disk: block after block. Of others the file is zeros already. */
static int write_bat(const struct creation *n)
{
	uint64_t entries = vhdx_bat_entries(&n->shape, n->shape.disk_bytes);
	int rc = 0;

	for (uint64_t at = 0; rc == 0 && n->shape.leave_allocated && at < entries;
	     at += CHUNK / 8) {
		uint64_t count = min_u64(CHUNK / 8, entries - at), block;

		for (uint64_t i = 0; i < count; i++) {
			bool bitmap = vhdx_entry_is_bitmap(&n->shape, at + i, &block);
			uint64_t offset = n->data_at + (block << n->shape.block_shift);

			store_le64(n->buffer + i * 8, bitmap ? 0 : offset | VHDX_FULLY_PRESENT);
		}
		rc = storage_file_write(n->f, n->layout.bat.offset + at * 8, n->buffer, count * 8);
	}
	return rc;
}

static int write_file_id(const struct creation *n)
{
	static const char creator[] = "Virid";
	struct vhdx_file_id id = {.signature = VHDX_FILE_SIGNATURE};

	for (unsigned i = 0; i < sizeof(creator); i++) {
		id.creator[i] = (uint8_t)creator[i];
	}
	memset(n->buffer, 0, VHDX_PAGE);
	memcpy(n->buffer, &id, sizeof(id));
	return storage_file_write(n->f, VHDX_FILE_ID_OFFSET, n->buffer, VHDX_PAGE);
}

static int write_all(const struct creation *n)
{
	int rc = make_space(n);

	rc = rc != 0 ? rc : write_headers(n);
	rc = rc != 0 ? rc : write_regions(n);
	rc = rc != 0 ? rc : write_metadata(n);
	rc = rc != 0 ? rc : write_bat(n);
	rc = rc != 0 ? rc : storage_file_flush(n->f);
	rc = rc != 0 ? rc : write_file_id(n);
	return rc != 0 ? rc : storage_file_flush(n->f);
}

int vhdx_create(const struct vhd_host *host, struct storage_file *f,
		const struct vhd_create *create, const struct vhd_locator *locator,
		struct vhd_error *error)
{
	struct creation n = {
		.host = host,
		.f = f,
		.shape = {.disk_bytes = create->bytes,
			  .id = create->id,
			  .block_bytes = (uint32_t)create->block_bytes,
			  .sector_bytes = create->sector_bytes,
			  .physical_sector_bytes = create->physical_sector_bytes,
			  .has_parent = create->format == VHD_VHDX_DIFFERENCING,
			  .leave_allocated = create->format == VHD_VHDX_FIXED},
		.locator = locator,
	};
	int rc = vhdx_shape_check(&n.shape, f->name, error);

	if (rc != 0) {
		return rc;
	}
	n.buffer = aligned_alloc(VHDX_PAGE, CHUNK);
	if (n.buffer == NULL) {
		return vhd_fail_errno(error, -ENOMEM, f->name, "cannot create");
	}
	vhdx_shape_finish(&n.shape);
	plan(&n);
	rc = write_all(&n);
	free(n.buffer);
	if (rc > 0) {
		return vhd_fail(
			error, rc,
			"%s: what is to be recorded about the parent is not UTF-8 or longer "
			"than %u bytes",
			f->name, VHDX_LOCATOR_ITEM_MAX);
	}
	return rc == 0 ? 0 : vhd_fail_errno(error, rc, f->name, "cannot write the new disk");
}
