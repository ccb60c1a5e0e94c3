/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VHD format, version 1.0. All numbers are big-endian; GUIDs are 16 bytes in RFC 4122 order and held here as
 * struct guid has them.
 *
 *	fixed:                 data, footer
 *	dynamic, differencing: footer copy at 0, header at footer.data_offset (512), BAT at header.table_offset (1536), locators, blocks,
 *	                       footer in the last 512 bytes
 *
 * A block is a sector bitmap (most significant bit first, padded to 512 bytes) followed by its data. A BAT entry is the 512-byte
 * sector of the bitmap.
 */
#ifndef VHD_VHD_LAYOUT_H
#define VHD_VHD_LAYOUT_H

#include "lib/be.h"
#include "lib/guid.h"

#define VHD_SECTOR_BYTES 512u
#define VHD_FOOTER_BYTES 512u
#define VHD_HEADER_BYTES 1024u
#define VHD_FOOTER_COOKIE "conectix"
#define VHD_HEADER_COOKIE "cxsparse"
#define VHD_VERSION 0x00010000u
#define VHD_FEATURES_RESERVED 0x2u
#define VHD_NO_OFFSET UINT64_MAX
#define VHD_EPOCH_UNIX INT64_C(946684800)     /* 2000-01-01 00:00 UTC */
#define VHD_BYTES_MAX UINT64_C(2190433320960) /* 2040 GiB */
#define VHD_BLOCK_BYTES_DEFAULT 0x200000u
#define VHD_BLOCK_BYTES_MIN 512u
#define VHD_BLOCK_BYTES_MAX 0x80000000u
#define VHD_BAT_UNUSED 0xffffffffu
#define VHD_BAT_SECTOR_ENTRIES (VHD_SECTOR_BYTES / 4)

enum vhd_type {
	VHD_TYPE_FIXED = 2,
	VHD_TYPE_DYNAMIC = 3,
	VHD_TYPE_DIFFERENCING = 4,
};

/* Where fields lie in the footer. */
enum vhd_footer_field {
	VHD_FOOTER_AT_COOKIE = 0,
	VHD_FOOTER_AT_FEATURES = 8,
	VHD_FOOTER_AT_VERSION = 12,
	VHD_FOOTER_AT_DATA_OFFSET = 16,
	VHD_FOOTER_AT_TIMESTAMP = 24,
	VHD_FOOTER_AT_CREATOR = 28,
	VHD_FOOTER_AT_CREATOR_VERSION = 32,
	VHD_FOOTER_AT_CREATOR_OS = 36,
	VHD_FOOTER_AT_ORIGINAL_BYTES = 40,
	VHD_FOOTER_AT_CURRENT_BYTES = 48,
	VHD_FOOTER_AT_GEOMETRY = 56,
	VHD_FOOTER_AT_TYPE = 60,
	VHD_FOOTER_AT_CHECKSUM = 64,
	VHD_FOOTER_AT_ID = 68,
	VHD_FOOTER_AT_SAVED_STATE = 84,
	VHD_FOOTER_AT_RESERVED = 85,
};

/* And in the dynamic header. */
enum vhd_header_field {
	VHD_HEADER_AT_COOKIE = 0,
	VHD_HEADER_AT_DATA_OFFSET = 8,
	VHD_HEADER_AT_TABLE_OFFSET = 16,
	VHD_HEADER_AT_VERSION = 24,
	VHD_HEADER_AT_ENTRIES = 28,
	VHD_HEADER_AT_BLOCK_BYTES = 32,
	VHD_HEADER_AT_CHECKSUM = 36,
	VHD_HEADER_AT_PARENT_ID = 40,
	VHD_HEADER_AT_PARENT_TIMESTAMP = 56,
	VHD_HEADER_AT_PARENT_NAME = 64,
	VHD_HEADER_AT_LOCATORS = 576,
};
#define VHD_PARENT_NAME_BYTES 512u
#define VHD_LOCATORS 8u
#define VHD_LOCATOR_BYTES 24u

/* Platform codes of parent locators. */
#define VHD_LOCATOR_W2RU 0x57327275u /* relative, UTF-16LE, begins with ".\" */
#define VHD_LOCATOR_W2KU 0x57326b75u /* absolute, UTF-16LE */
#define VHD_LOCATOR_MACX 0x4d616358u /* file:// URL, UTF-8 */
#define VHD_LOCATOR_TEXT_MAX 8192u   /* longer ones are ignored */

struct vhd_footer {
	uint32_t features;
	uint32_t version;
	uint64_t data_offset;
	uint32_t timestamp; /* seconds since 2000 */
	uint8_t creator[4];
	uint32_t creator_version;
	uint8_t creator_os[4];
	uint64_t original_bytes;
	uint64_t current_bytes;
	uint32_t geometry; /* cylinders << 16 | heads << 8 | sectors per track */
	uint32_t type;
	struct guid id;
	uint8_t saved_state;
	uint8_t reserved[427]; /* kept as found: others store things here */
};

struct vhd_locator_entry {
	uint32_t code; /* 0: unused */
	uint32_t space;
	uint32_t bytes;
	uint64_t offset;
};

struct vhd_header {
	uint64_t data_offset;
	uint64_t table_offset;
	uint32_t version;
	uint32_t entries;
	uint32_t block_bytes;
	struct guid parent_id;
	uint32_t parent_timestamp;
	uint8_t parent_name[VHD_PARENT_NAME_BYTES]; /* UTF-16BE */
	struct vhd_locator_entry locators[VHD_LOCATORS];
	uint8_t reserved[256];
};

/* The complement of the sum of all bytes, those of the checksum itself (4 at @at) left out. */
uint32_t vhd_checksum(const uint8_t *buf, size_t bytes, size_t at);

/*
 * From bytes. NULL: good; else what is wrong with cookie, checksum or version, as text for a message: "checksum 0x... instead of 0x...".
 * *ret is filled in unless the cookie is wrong. @text holds the answer.
 */
#define VHD_FAULT_BYTES 160
const char *vhd_footer_decode(const uint8_t raw[VHD_FOOTER_BYTES], struct vhd_footer *ret,
			      char text[VHD_FAULT_BYTES]);
const char *vhd_header_decode(const uint8_t raw[VHD_HEADER_BYTES], struct vhd_header *ret,
			      char text[VHD_FAULT_BYTES]);
/* To bytes, with a fresh checksum. */
void vhd_footer_encode(const struct vhd_footer *f, uint8_t ret[VHD_FOOTER_BYTES]);
void vhd_header_encode(const struct vhd_header *h, uint8_t ret[VHD_HEADER_BYTES]);

/* What a decoded footer or header must also be; answers as above. */
const char *vhd_footer_fault(const struct vhd_footer *f, char text[VHD_FAULT_BYTES]);
const char *vhd_header_fault(const struct vhd_header *h, const struct vhd_footer *f,
			     uint64_t file_bytes, char text[VHD_FAULT_BYTES]);

/* The footer's geometry field for a size: the algorithm of the specification's appendix. */
uint32_t vhd_geometry(uint64_t bytes);
/* Bytes that a geometry can address. */
uint64_t vhd_geometry_bytes(uint32_t geometry);

/* Bytes of the bitmap in front of each block. */
static inline uint32_t vhd_bitmap_bytes(uint32_t block_bytes)
{
	return (uint32_t)align_up((block_bytes / VHD_SECTOR_BYTES + 7) / 8, VHD_SECTOR_BYTES);
}

/* Bytes of the table in the file, padded to whole sectors. */
static inline uint64_t vhd_bat_bytes(uint32_t entries)
{
	return align_up((uint64_t)entries * 4, VHD_SECTOR_BYTES);
}

/* BAT entries that a size needs. */
static inline uint64_t vhd_block_count(uint64_t bytes, uint32_t block_bytes)
{
	return bytes / block_bytes + (bytes % block_bytes != 0);
}

/*
 * Bytes reserved for a locator: the field counts sectors by the specification, bytes by what Microsoft's tools write. 0: invalid.
 */
static inline uint64_t vhd_locator_space(uint32_t space)
{
	if (space < VHD_SECTOR_BYTES) {
		return (uint64_t)space * VHD_SECTOR_BYTES;
	}
	return space % VHD_SECTOR_BYTES == 0 ? space : 0;
}

#endif
