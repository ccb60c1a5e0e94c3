// SPDX-License-Identifier: Apache-2.0
/* Making VHDs. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "vhd_image.h"

#define HEADER_OFFSET 512u
#define TABLE_OFFSET (HEADER_OFFSET + VHD_HEADER_BYTES)
#define FILL_BYTES (1u << 20)

uint32_t vhd_timestamp(const struct vhd_host *host)
{
	int64_t now = host->now_s(host->ctx) - VHD_EPOCH_UNIX;

	return now < 0 ? 0 : (uint32_t)now;
}

void vhd_footer_set_bytes(struct vhd_footer *footer, uint64_t bytes)
{
	footer->current_bytes = bytes;
	footer->geometry = vhd_geometry(bytes);
}

void vhd_footer_init(const struct vhd_host *host, const struct vhd_create *create,
		     struct vhd_footer *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->features = VHD_FEATURES_RESERVED;
	ret->version = VHD_VERSION;
	ret->timestamp = vhd_timestamp(host);
	/* Interop: others take the size from the geometry unless they know the creator as one that means what it says. */
	memcpy(ret->creator, "win ", sizeof(ret->creator));
	ret->creator_version = 0x000a0000;
	memcpy(ret->creator_os, "Wi2k", sizeof(ret->creator_os));
	ret->original_bytes = create->bytes;
	vhd_footer_set_bytes(ret, create->bytes);
	ret->id = create->id;
	ret->data_offset = create->format == VHD_VHD_FIXED ? VHD_NO_OFFSET : HEADER_OFFSET;
	ret->type = create->format == VHD_VHD_FIXED	? VHD_TYPE_FIXED
		    : create->format == VHD_VHD_DYNAMIC ? VHD_TYPE_DYNAMIC
							: VHD_TYPE_DIFFERENCING;
}

int vhd_fill_unused(struct storage_file *f, uint64_t offset, uint64_t end)
{
	size_t bytes = (size_t)min_u64(FILL_BYTES, end - offset);
	uint8_t *fill = malloc(bytes);
	int err = fill == NULL ? -ENOMEM : 0;

	if (err == 0) {
		memset(fill, 0xff, bytes);
	}
	while (err == 0 && offset < end) {
		size_t n = (size_t)min_u64(bytes, end - offset);

		err = storage_file_write(f, offset, fill, n);
		offset += n;
	}
	free(fill);
	return err;
}

static int write_footer(struct storage_file *f, const struct vhd_footer *footer, uint64_t offset)
{
	uint8_t raw[VHD_FOOTER_BYTES];

	vhd_footer_encode(footer, raw);
	return storage_file_write(f, offset, raw, sizeof(raw));
}

/* All blocks must have a place that BAT entries can name. */
static int check_reach(const char *name, const struct vhd_header *h, struct vhd_error *error)
{
	uint64_t stride = align_up((uint64_t)vhd_bitmap_bytes(h->block_bytes) + h->block_bytes,
				   h->block_bytes < VHD_ALIGN_FROM ? VHD_SECTOR_BYTES : VHD_ALIGN);
	uint64_t end = TABLE_OFFSET + vhd_bat_bytes(h->entries) + stride * h->entries;

	if (end / VHD_SECTOR_BYTES < VHD_BAT_UNUSED) {
		return 0;
	}
	return vhd_fail(error, VHD_INVALID_ARGUMENT,
			"%s: %" PRIu32 " blocks of %" PRIu32
			" bytes and their bitmaps do not fit into the 2 TiB that "
			"a VHD can address; take a larger block size",
			name, h->entries, h->block_bytes);
}

static void init_header(const struct vhd_create *create, struct vhd_header *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->data_offset = VHD_NO_OFFSET;
	ret->table_offset = TABLE_OFFSET;
	ret->version = VHD_VERSION;
	ret->block_bytes = (uint32_t)create->block_bytes;
	ret->entries = (uint32_t)vhd_block_count(create->bytes, ret->block_bytes);
}

/* Writes locators from @*at on and moves it behind them. */
static int create_locators(const struct vhd_host *host, struct storage_file *f,
			   const struct vhd_locator *locator, struct vhd_header *h, uint64_t *at,
			   struct vhd_error *error)
{
	struct vhd_locator_texts *t = calloc(1, sizeof(*t));
	int rc;

	if (t == NULL) {
		return vhd_fail_errno(error, -ENOMEM, f->name, "cannot create");
	}
	rc = vhd_locator_encode(host, f->name, locator, h, t, error);
	if (rc == 0) {
		*at = vhd_locator_lay_out(t, *at, h);
		rc = vhd_locator_write(f, t, h);
		rc = rc == 0 ? 0
			     : vhd_fail_errno(error, rc, f->name,
					      "cannot write the parent locators");
	}
	free(t);
	return rc;
}

static int create_image(const struct vhd_host *host, struct storage_file *f,
			const struct vhd_create *create, const struct vhd_locator *locator,
			const struct vhd_footer *footer, struct vhd_error *error)
{
	struct vhd_header h;
	uint8_t raw[VHD_HEADER_BYTES];
	uint64_t table_end, end;
	int rc;

	init_header(create, &h);
	rc = check_reach(f->name, &h, error);
	if (rc != 0) {
		return rc;
	}
	end = table_end = h.table_offset + vhd_bat_bytes(h.entries);
	rc = locator == NULL ? 0 : create_locators(host, f, locator, &h, &end, error);
	if (rc != 0) {
		return rc;
	}
	vhd_header_encode(&h, raw);
	rc = vhd_fill_unused(f, h.table_offset, table_end);
	rc = rc == 0 ? storage_file_write(f, HEADER_OFFSET, raw, sizeof(raw)) : rc;
	rc = rc == 0 ? write_footer(f, footer, 0) : rc;
	rc = rc == 0 ? write_footer(f, footer, end) : rc;
	return rc == 0 ? 0 : vhd_fail_errno(error, rc, f->name, "cannot write it");
}

int vhd_vhd_create(const struct vhd_host *host, struct storage_file *f,
		   const struct vhd_create *create, const struct vhd_locator *locator,
		   struct vhd_error *error)
{
	struct vhd_footer footer;
	int rc;

	vhd_footer_init(host, create, &footer);
	if (create->format == VHD_VHD_FIXED) {
		rc = write_footer(f, &footer, create->bytes);
		rc = rc == 0 ? 0 : vhd_fail_errno(error, rc, f->name, "cannot write it");
	} else {
		rc = create_image(host, f, create, locator, &footer, error);
	}
	if (rc != 0) {
		return rc;
	}
	rc = storage_file_flush(f);
	return rc == 0 ? 0 : vhd_fail_errno(error, rc, f->name, "cannot write it out");
}
