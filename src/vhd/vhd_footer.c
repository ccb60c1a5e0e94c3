// SPDX-License-Identifier: Apache-2.0
/* The footer and the dynamic header of a VHD: bytes, checksums, what they must hold. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vhd_layout.h"

uint32_t vhd_checksum(const uint8_t *buf, size_t bytes, size_t at)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < bytes; i++) {
		sum += i >= at && i < at + 4 ? 0 : buf[i];
	}
	return ~sum;
}

/* GUIDs are stored most significant byte first. */
static struct guid load_guid(const uint8_t *p)
{
	struct guid g;

	memcpy(g.bytes, p, sizeof(g.bytes));
	return guid_swap(&g);
}

static void store_guid(uint8_t *p, const struct guid *g)
{
	struct guid swapped = guid_swap(g);

	memcpy(p, swapped.bytes, sizeof(swapped.bytes));
}

/* The three fields that footer and header share in kind. */
static const char *common_fault(const uint8_t *raw, size_t bytes, size_t checksum_at,
				uint32_t version, char text[VHD_FAULT_BYTES])
{
	uint32_t found = load_be32(raw + checksum_at);
	uint32_t wanted = vhd_checksum(raw, bytes, checksum_at);

	if (found != wanted) {
		snprintf(text, VHD_FAULT_BYTES, "checksum 0x%08" PRIx32 " instead of 0x%08" PRIx32,
			 found, wanted);
		return text;
	}
	if (version >> 16 != VHD_VERSION >> 16) {
		snprintf(text, VHD_FAULT_BYTES, "version 0x%08" PRIx32 " instead of 0x%08x",
			 version, VHD_VERSION);
		return text;
	}
	return NULL;
}

static const char *cookie_fault(const uint8_t *raw, const char *cookie, char text[VHD_FAULT_BYTES])
{
	if (memcmp(raw, cookie, 8) == 0) {
		return NULL;
	}
	snprintf(text, VHD_FAULT_BYTES, "no \"%s\" there", cookie);
	return text;
}

const char *vhd_footer_decode(const uint8_t raw[VHD_FOOTER_BYTES], struct vhd_footer *ret,
			      char text[VHD_FAULT_BYTES])
{
	const char *fault = cookie_fault(raw, VHD_FOOTER_COOKIE, text);

	if (fault != NULL) {
		return fault;
	}
	ret->features = load_be32(raw + VHD_FOOTER_AT_FEATURES);
	ret->version = load_be32(raw + VHD_FOOTER_AT_VERSION);
	ret->data_offset = load_be64(raw + VHD_FOOTER_AT_DATA_OFFSET);
	ret->timestamp = load_be32(raw + VHD_FOOTER_AT_TIMESTAMP);
	memcpy(ret->creator, raw + VHD_FOOTER_AT_CREATOR, sizeof(ret->creator));
	ret->creator_version = load_be32(raw + VHD_FOOTER_AT_CREATOR_VERSION);
	memcpy(ret->creator_os, raw + VHD_FOOTER_AT_CREATOR_OS, sizeof(ret->creator_os));
	ret->original_bytes = load_be64(raw + VHD_FOOTER_AT_ORIGINAL_BYTES);
	ret->current_bytes = load_be64(raw + VHD_FOOTER_AT_CURRENT_BYTES);
	ret->geometry = load_be32(raw + VHD_FOOTER_AT_GEOMETRY);
	ret->type = load_be32(raw + VHD_FOOTER_AT_TYPE);
	ret->id = load_guid(raw + VHD_FOOTER_AT_ID);
	ret->saved_state = raw[VHD_FOOTER_AT_SAVED_STATE];
	memcpy(ret->reserved, raw + VHD_FOOTER_AT_RESERVED, sizeof(ret->reserved));
	return common_fault(raw, VHD_FOOTER_BYTES, VHD_FOOTER_AT_CHECKSUM, ret->version, text);
}

void vhd_footer_encode(const struct vhd_footer *f, uint8_t ret[VHD_FOOTER_BYTES])
{
	memcpy(ret, VHD_FOOTER_COOKIE, 8);
	store_be32(ret + VHD_FOOTER_AT_FEATURES, f->features);
	store_be32(ret + VHD_FOOTER_AT_VERSION, f->version);
	store_be64(ret + VHD_FOOTER_AT_DATA_OFFSET, f->data_offset);
	store_be32(ret + VHD_FOOTER_AT_TIMESTAMP, f->timestamp);
	memcpy(ret + VHD_FOOTER_AT_CREATOR, f->creator, sizeof(f->creator));
	store_be32(ret + VHD_FOOTER_AT_CREATOR_VERSION, f->creator_version);
	memcpy(ret + VHD_FOOTER_AT_CREATOR_OS, f->creator_os, sizeof(f->creator_os));
	store_be64(ret + VHD_FOOTER_AT_ORIGINAL_BYTES, f->original_bytes);
	store_be64(ret + VHD_FOOTER_AT_CURRENT_BYTES, f->current_bytes);
	store_be32(ret + VHD_FOOTER_AT_GEOMETRY, f->geometry);
	store_be32(ret + VHD_FOOTER_AT_TYPE, f->type);
	store_guid(ret + VHD_FOOTER_AT_ID, &f->id);
	ret[VHD_FOOTER_AT_SAVED_STATE] = f->saved_state;
	memcpy(ret + VHD_FOOTER_AT_RESERVED, f->reserved, sizeof(f->reserved));
	store_be32(ret + VHD_FOOTER_AT_CHECKSUM,
		   vhd_checksum(ret, VHD_FOOTER_BYTES, VHD_FOOTER_AT_CHECKSUM));
}

static void locator_decode(const uint8_t *raw, struct vhd_locator_entry *ret)
{
	ret->code = load_be32(raw);
	ret->space = load_be32(raw + 4);
	ret->bytes = load_be32(raw + 8);
	ret->offset = load_be64(raw + 16);
}

static void locator_encode(const struct vhd_locator_entry *e, uint8_t *ret)
{
	store_be32(ret, e->code);
	store_be32(ret + 4, e->space);
	store_be32(ret + 8, e->bytes);
	store_be32(ret + 12, 0);
	store_be64(ret + 16, e->offset);
}

const char *vhd_header_decode(const uint8_t raw[VHD_HEADER_BYTES], struct vhd_header *ret,
			      char text[VHD_FAULT_BYTES])
{
	const char *fault = cookie_fault(raw, VHD_HEADER_COOKIE, text);

	if (fault != NULL) {
		return fault;
	}
	ret->data_offset = load_be64(raw + VHD_HEADER_AT_DATA_OFFSET);
	ret->table_offset = load_be64(raw + VHD_HEADER_AT_TABLE_OFFSET);
	ret->version = load_be32(raw + VHD_HEADER_AT_VERSION);
	ret->entries = load_be32(raw + VHD_HEADER_AT_ENTRIES);
	ret->block_bytes = load_be32(raw + VHD_HEADER_AT_BLOCK_BYTES);
	ret->parent_id = load_guid(raw + VHD_HEADER_AT_PARENT_ID);
	ret->parent_timestamp = load_be32(raw + VHD_HEADER_AT_PARENT_TIMESTAMP);
	memcpy(ret->parent_name, raw + VHD_HEADER_AT_PARENT_NAME, sizeof(ret->parent_name));
	for (size_t i = 0; i < VHD_LOCATORS; i++) {
		locator_decode(raw + VHD_HEADER_AT_LOCATORS + i * VHD_LOCATOR_BYTES,
			       &ret->locators[i]);
	}
	memcpy(ret->reserved, raw + VHD_HEADER_BYTES - sizeof(ret->reserved),
	       sizeof(ret->reserved));
	return common_fault(raw, VHD_HEADER_BYTES, VHD_HEADER_AT_CHECKSUM, ret->version, text);
}

void vhd_header_encode(const struct vhd_header *h, uint8_t ret[VHD_HEADER_BYTES])
{
	memset(ret, 0, VHD_HEADER_BYTES);
	memcpy(ret, VHD_HEADER_COOKIE, 8);
	store_be64(ret + VHD_HEADER_AT_DATA_OFFSET, h->data_offset);
	store_be64(ret + VHD_HEADER_AT_TABLE_OFFSET, h->table_offset);
	store_be32(ret + VHD_HEADER_AT_VERSION, h->version);
	store_be32(ret + VHD_HEADER_AT_ENTRIES, h->entries);
	store_be32(ret + VHD_HEADER_AT_BLOCK_BYTES, h->block_bytes);
	store_guid(ret + VHD_HEADER_AT_PARENT_ID, &h->parent_id);
	store_be32(ret + VHD_HEADER_AT_PARENT_TIMESTAMP, h->parent_timestamp);
	memcpy(ret + VHD_HEADER_AT_PARENT_NAME, h->parent_name, sizeof(h->parent_name));
	for (size_t i = 0; i < VHD_LOCATORS; i++) {
		locator_encode(&h->locators[i],
			       ret + VHD_HEADER_AT_LOCATORS + i * VHD_LOCATOR_BYTES);
	}
	memcpy(ret + VHD_HEADER_BYTES - sizeof(h->reserved), h->reserved, sizeof(h->reserved));
	store_be32(ret + VHD_HEADER_AT_CHECKSUM,
		   vhd_checksum(ret, VHD_HEADER_BYTES, VHD_HEADER_AT_CHECKSUM));
}

const char *vhd_footer_fault(const struct vhd_footer *f, char text[VHD_FAULT_BYTES])
{
	if (f->type < VHD_TYPE_FIXED || f->type > VHD_TYPE_DIFFERENCING) {
		snprintf(text, VHD_FAULT_BYTES,
			 "disk type %" PRIu32
			 " instead of 2 (fixed), 3 (dynamic) or 4 (differencing)",
			 f->type);
		return text;
	}
	if (f->current_bytes == 0 || f->current_bytes % VHD_SECTOR_BYTES != 0) {
		snprintf(text, VHD_FAULT_BYTES, "size %" PRIu64 " instead of a multiple of 512",
			 f->current_bytes);
		return text;
	}
	/* Raw data has no limit of its own: a fixed disk of any size is what it is. */
	if (f->type != VHD_TYPE_FIXED && f->current_bytes > VHD_BYTES_MAX) {
		snprintf(text, VHD_FAULT_BYTES,
			 "size %" PRIu64 ", above the format's limit of %" PRIu64, f->current_bytes,
			 VHD_BYTES_MAX);
		return text;
	}
	return NULL;
}

static const char *block_fault(const struct vhd_header *h, const struct vhd_footer *f,
			       char text[VHD_FAULT_BYTES])
{
	uint64_t blocks;

	if (h->block_bytes < VHD_BLOCK_BYTES_MIN || (h->block_bytes & (h->block_bytes - 1)) != 0) {
		snprintf(text, VHD_FAULT_BYTES,
			 "block size %" PRIu32 " instead of a power of two from 512 up",
			 h->block_bytes);
		return text;
	}
	blocks = vhd_block_count(f->current_bytes, h->block_bytes);
	if (h->entries < blocks) {
		snprintf(text, VHD_FAULT_BYTES,
			 "%" PRIu32 " table entries, but the disk's size needs %" PRIu64,
			 h->entries, blocks);
		return text;
	}
	return NULL;
}

const char *vhd_header_fault(const struct vhd_header *h, const struct vhd_footer *f,
			     uint64_t file_bytes, char text[VHD_FAULT_BYTES])
{
	const char *fault = block_fault(h, f, text);

	if (fault != NULL) {
		return fault;
	}
	if (h->table_offset % VHD_SECTOR_BYTES != 0 || h->table_offset < VHD_FOOTER_BYTES ||
	    !range_within(h->table_offset, vhd_bat_bytes(h->entries), file_bytes)) {
		snprintf(text, VHD_FAULT_BYTES,
			 "table at %" PRIu64 " with %" PRIu32 " entries, in a file of %" PRIu64
			 " bytes",
			 h->table_offset, h->entries, file_bytes);
		return text;
	}
	return NULL;
}

static uint32_t geometry(uint32_t cylinders_heads, uint32_t heads, uint32_t track_sectors)
{
	return cylinders_heads / heads << 16 | heads << 8 | track_sectors;
}

uint32_t vhd_geometry(uint64_t bytes)
{
	uint32_t sectors = (uint32_t)min_u64(bytes / VHD_SECTOR_BYTES, 65535u * 16 * 255);
	uint32_t heads, cth;

	if (sectors >= 65535u * 16 * 63) {
		return geometry(sectors / 255, 16, 255);
	}
	cth = sectors / 17;
	heads = (cth + 1023) / 1024;
	heads = heads < 4 ? 4 : heads;
	if (cth < heads * 1024 && heads <= 16) {
		return geometry(cth, heads, 17);
	}
	cth = sectors / 31;
	if (cth < 16 * 1024) {
		return geometry(cth, 16, 31);
	}
	return geometry(sectors / 63, 16, 63);
}

uint64_t vhd_geometry_bytes(uint32_t field)
{
	return (uint64_t)(field >> 16) * (field >> 8 & 0xff) * (field & 0xff) * VHD_SECTOR_BYTES;
}
