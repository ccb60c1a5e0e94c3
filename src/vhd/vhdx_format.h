/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VHDX on the disk: layouts and the arithmetic that follows from them. Little-endian throughout, as is every host that we run on.
 * Spec: MS-VHDX 2. What is read from a file is hostile until the functions at the end have accepted it.
 */
#ifndef VHD_VHDX_FORMAT_H
#define VHD_VHDX_FORMAT_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bits.h"
#include "lib/guid.h"
#include "vhd/vhd.h"

#define VHDX_KIB UINT64_C(1024)
#define VHDX_MIB UINT64_C(0x100000)
#define VHDX_TIB UINT64_C(0x10000000000)
#define VHDX_PAGE 4096u	   /* the unit of the log and of metadata changes */
#define VHDX_UNIT VHDX_MIB /* regions and blocks lie on multiples of it */
#define VHDX_DISK_MAX (64 * VHDX_TIB)
#define VHDX_BLOCK_MIN VHDX_MIB
#define VHDX_BLOCK_MAX (256 * VHDX_MIB)
/* Decision: no structure lies beyond this: 64 TiB of blocks, bitmaps and tables with room to spare. */
#define VHDX_FILE_MAX (256 * VHDX_TIB)

/* ---- The first MiB ---- */

#define VHDX_FILE_ID_OFFSET UINT64_C(0)
#define VHDX_HEADER_OFFSET(slot) ((1 + (uint64_t)(slot)) * 64 * VHDX_KIB)  /* slot 0, 1 */
#define VHDX_REGIONS_OFFSET(copy) ((3 + (uint64_t)(copy)) * 64 * VHDX_KIB) /* copy 0, 1 */
#define VHDX_REGIONS_BYTES (64 * 1024u)
#define VHDX_LOGGED_FROM VHDX_REGIONS_OFFSET(0) /* the log changes nothing below */

#define VHDX_FILE_SIGNATURE UINT64_C(0x656c696678646876)     /* "vhdxfile" */
#define VHDX_HEADER_SIGNATURE UINT32_C(0x64616568)	     /* "head" */
#define VHDX_REGIONS_SIGNATURE UINT32_C(0x69676572)	     /* "regi" */
#define VHDX_METADATA_SIGNATURE UINT64_C(0x617461646174656d) /* "metadata" */
#define VHDX_LOG_SIGNATURE UINT32_C(0x65676f6c)		     /* "loge" */
#define VHDX_LOG_ZERO_SIGNATURE UINT32_C(0x6f72657a)	     /* "zero" */
#define VHDX_LOG_DESC_SIGNATURE UINT32_C(0x63736564)	     /* "desc" */
#define VHDX_LOG_DATA_SIGNATURE UINT32_C(0x61746164)	     /* "data" */

struct vhdx_file_id {
	uint64_t signature;
	uint16_t creator[256]; /* UTF-16, informational */
};
static_assert(sizeof(struct vhdx_file_id) == 520, "file identifier");

/* CRC-32C over all of its page, with checksum 0. */
struct vhdx_header {
	uint32_t signature;
	uint32_t checksum;
	uint64_t sequence;
	struct guid file_write;
	struct guid data_write; /* what children name */
	struct guid log;	/* zero: the log holds nothing to replay */
	uint16_t log_version;
	uint16_t version;
	uint32_t log_bytes;
	uint64_t log_offset;
};
static_assert(sizeof(struct vhdx_header) == 80, "header");
static_assert(offsetof(struct vhdx_header, log_version) == 64, "header");

struct vhdx_regions_header {
	uint32_t signature;
	uint32_t checksum; /* over VHDX_REGIONS_BYTES, with checksum 0 */
	uint32_t count;
	uint32_t reserved;
};
struct vhdx_region_entry {
	struct guid guid;
	uint64_t offset;
	uint32_t bytes;
	uint32_t flags;
};
static_assert(sizeof(struct vhdx_regions_header) == 16 && sizeof(struct vhdx_region_entry) == 32,
	      "region table");
#define VHDX_REGION_REQUIRED 0x1u
#define VHDX_REGIONS_MAX 2047u

#define VHDX_GUID_BAT                                                                              \
	GUID(0x2dc27766, 0xf623, 0x4200, 0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08)
#define VHDX_GUID_METADATA                                                                         \
	GUID(0x8b7ca206, 0x4790, 0x4b9a, 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e)

/* ---- Log ---- */

struct vhdx_log_header {
	uint32_t signature;
	uint32_t checksum; /* over the whole entry, with checksum 0 */
	uint32_t bytes;	   /* of the entry: multiple of VHDX_PAGE */
	uint32_t tail;	   /* offset in the log of the oldest entry that replay needs */
	uint64_t sequence;
	uint32_t descriptors;
	uint32_t reserved;
	struct guid log;
	uint64_t flushed_file_offset; /* the file was at least this long, durably */
	uint64_t last_file_offset;    /* all structures lie below */
};
/* Both kinds: 32 bytes, right behind the header. */
struct vhdx_log_desc {
	uint32_t signature;
	uint32_t trailing; /* "desc": bytes 4092..4095 of the page */
	uint64_t leading;  /* "desc": bytes 0..7; "zero": length */
	uint64_t offset;   /* in the file */
	uint64_t sequence;
};
struct vhdx_log_data {
	uint32_t signature;
	uint32_t sequence_high;
	uint8_t data[4084]; /* bytes 8..4091 */
	uint32_t sequence_low;
};
static_assert(sizeof(struct vhdx_log_header) == 64 && sizeof(struct vhdx_log_desc) == 32 &&
		      sizeof(struct vhdx_log_data) == VHDX_PAGE,
	      "log");

/* Bytes of an entry's header and descriptors: whole pages. */
static inline uint64_t vhdx_log_head_bytes(uint32_t descriptors)
{
	return align_up(sizeof(struct vhdx_log_header) +
				(uint64_t)descriptors * sizeof(struct vhdx_log_desc),
			VHDX_PAGE);
}

/* ---- Metadata region ---- */

struct vhdx_metadata_header {
	uint64_t signature;
	uint16_t reserved;
	uint16_t count;
	uint32_t reserved2[5];
};
struct vhdx_metadata_entry {
	struct guid guid;
	uint32_t offset; /* from the start of the region; 0 when bytes is 0 */
	uint32_t bytes;
	uint32_t flags;
	uint32_t reserved;
};
static_assert(sizeof(struct vhdx_metadata_header) == 32 && sizeof(struct vhdx_metadata_entry) == 32,
	      "metadata table");
#define VHDX_METADATA_TABLE_BYTES (64 * 1024u)
#define VHDX_METADATA_MAX 2047u
#define VHDX_METADATA_USER_MAX 1024u
#define VHDX_METADATA_SYSTEM_MAX 1023u
#define VHDX_METADATA_ITEM_MAX VHDX_MIB
#define VHDX_METADATA_REGION_MAX (128 * VHDX_MIB)
#define VHDX_ITEM_USER 0x1u
#define VHDX_ITEM_VIRTUAL_DISK 0x2u
#define VHDX_ITEM_REQUIRED 0x4u

/* The items that we know, in the order of vhdx_item_kinds. */
enum vhdx_item {
	VHDX_ITEM_FILE_PARAMETERS,
	VHDX_ITEM_DISK_SIZE,
	VHDX_ITEM_DISK_ID,
	VHDX_ITEM_LOGICAL_SECTOR,
	VHDX_ITEM_PHYSICAL_SECTOR,
	VHDX_ITEM_PARENT_LOCATOR,
	VHDX_ITEM_CHS,
	VHDX_ITEM_INCOMPLETE_FILE,
	VHDX_ITEM_PMEM_LABELS,
	VHDX_ITEM_COUNT,
};
struct vhdx_item_kind {
	struct guid guid;
	uint32_t flags;
	uint32_t bytes; /* exact; 0: any */
	bool mandatory;
	const char *name;
};
extern const struct vhdx_item_kind vhdx_item_kinds[VHDX_ITEM_COUNT];

struct vhdx_file_parameters {
	uint32_t block_bytes;
	uint32_t flags;
};
static_assert(sizeof(struct vhdx_file_parameters) == 8, "file parameters");
#define VHDX_LEAVE_ALLOCATED 0x1u
#define VHDX_HAS_PARENT 0x2u

#define VHDX_GUID_LOCATOR_TYPE                                                                     \
	GUID(0xb04aefb7, 0xd19e, 0x4a81, 0xb7, 0x89, 0x25, 0xb8, 0xe9, 0x44, 0x59, 0x13)
struct vhdx_locator_header {
	struct guid type;
	uint16_t reserved;
	uint16_t count;
};
struct vhdx_locator_entry {
	uint32_t key_offset; /* from the start of the item */
	uint32_t value_offset;
	uint16_t key_bytes;
	uint16_t value_bytes;
};
static_assert(sizeof(struct vhdx_locator_header) == 20 && sizeof(struct vhdx_locator_entry) == 12,
	      "parent locator");
#define VHDX_LOCATOR_KEYS_MAX 256u

/* ---- BAT ---- */

enum vhdx_state {
	VHDX_NOT_PRESENT = 0,
	VHDX_UNDEFINED = 1,
	VHDX_ZERO = 2,
	VHDX_UNMAPPED = 3,
	VHDX_UNMAPPED_OLD = 5,	/* of the 0.95 draft; read as VHDX_UNMAPPED */
	VHDX_FULLY_PRESENT = 6, /* also: a sector bitmap block that is there */
	VHDX_PARTIALLY_PRESENT = 7,
};
#define VHDX_ENTRY_STATE(entry) ((unsigned)((entry)&7))
#define VHDX_ENTRY_OFFSET(entry) ((entry) & ~UINT64_C(0xfffff))
#define VHDX_ENTRY_RESERVED(entry) ((entry)&UINT64_C(0xffff8))
#define VHDX_ENTRIES_PER_PAGE (VHDX_PAGE / 8)
/* A sector bitmap block: one bit for each sector of a chunk, least significant first. */
#define VHDX_BITMAP_BYTES VHDX_MIB
#define VHDX_CHUNK_SECTORS (UINT64_C(1) << 23)

/* The shape of a disk, from its metadata. */
struct vhdx_shape {
	uint64_t disk_bytes;
	struct guid id;
	uint32_t block_bytes;
	uint32_t sector_bytes;
	uint32_t physical_sector_bytes;
	unsigned block_shift;
	unsigned sector_shift;
	unsigned ratio_shift; /* payload blocks for each bitmap block: 1 << ratio_shift */
	bool has_parent;
	bool leave_allocated; /* fixed */
};
/* Fills in the shifts. block_bytes and sector_bytes are valid. */
void vhdx_shape_finish(struct vhdx_shape *s);

/* 1 .. 2^26 */
static inline uint64_t vhdx_blocks(const struct vhdx_shape *s, uint64_t disk_bytes)
{
	return (disk_bytes + s->block_bytes - 1) >> s->block_shift;
}
static inline uint64_t vhdx_chunks(const struct vhdx_shape *s, uint64_t disk_bytes)
{
	return ((vhdx_blocks(s, disk_bytes) - 1) >> s->ratio_shift) + 1;
}
/* Index in the BAT of a payload block. */
static inline uint64_t vhdx_payload_index(const struct vhdx_shape *s, uint64_t block)
{
	return block + (block >> s->ratio_shift);
}
/* Index in the BAT of a chunk's sector bitmap block. */
static inline uint64_t vhdx_bitmap_index(const struct vhdx_shape *s, uint64_t chunk)
{
	return ((chunk + 1) << s->ratio_shift) + chunk;
}
/* Entries that a disk of this size has. */
static inline uint64_t vhdx_bat_entries(const struct vhdx_shape *s, uint64_t disk_bytes)
{
	return s->has_parent ? vhdx_bitmap_index(s, vhdx_chunks(s, disk_bytes) - 1) + 1
			     : vhdx_payload_index(s, vhdx_blocks(s, disk_bytes) - 1) + 1;
}
/* True: the entry with this index belongs to a bitmap block: *ret_number is the chunk; else the payload block. */
static inline bool vhdx_entry_is_bitmap(const struct vhdx_shape *s, uint64_t index,
					uint64_t *ret_number)
{
	uint64_t group = (UINT64_C(1) << s->ratio_shift) + 1;
	uint64_t chunk = index / group, in = index % group;

	*ret_number = in == group - 1 ? chunk : (chunk << s->ratio_shift) + in;
	return in == group - 1;
}

/* ---- Reading structures: shared by open, check and tests ---- */

uint32_t vhdx_checksum(const void *structure, size_t bytes); /* with bytes 4..7 taken as 0 */

/* @page: VHDX_PAGE bytes. False: signature or checksum is wrong. */
bool vhdx_header_decode(const void *page, struct vhdx_header *ret);
/* Fills @page with @h, signature and checksum. */
void vhdx_header_encode(const struct vhdx_header *h, void *page);
/*
 * Which of the two valid headers (NULL: that one is not) counts: 0 or 1; -1: none. Equal sequence numbers count as corrupt unless both
 * are the same (Interop: Disk2vhd writes such files).
 */
int vhdx_header_current(const struct vhdx_header *h0, const struct vhdx_header *h1);

struct vhdx_extent {
	uint64_t offset, bytes;
};
struct vhdx_layout {
	struct vhdx_extent log, bat,
		metadata;      /* whole units, apart from each other and from the first MiB */
	unsigned regions_copy; /* which region table was good */
	bool regions_damaged;  /* the other one was not */
};
/*
 * Checks one copy of the region table. @table: VHDX_REGIONS_BYTES; @ret->log is set already. 0 or an enum vhd_status.
 */
int vhdx_regions_decode(const void *table, unsigned copy, const char *file, struct vhdx_layout *ret,
			struct vhd_error *error);
/* Where the @i-th region of a table that was accepted lies, whatever it is. False: there is none. */
bool vhdx_regions_entry(const void *table, unsigned i, struct vhdx_extent *ret);
/* Makes a table from the offsets of @layout. */
void vhdx_regions_encode(const struct vhdx_layout *layout, void *table);
/* Changes where a region lies in a table that was accepted; keeps what else is in it. False: it has no such region. */
bool vhdx_regions_move(void *table, const struct guid *region, const struct vhdx_extent *to);

struct vhdx_items {
	struct vhdx_extent
		item[VHDX_ITEM_COUNT]; /* offsets in the file; bytes 0: absent (or empty) */
	bool present[VHDX_ITEM_COUNT];
};
/* Checks a metadata table. @table: VHDX_METADATA_TABLE_BYTES. 0 or an enum vhd_status. */
int vhdx_metadata_decode(const void *table, const struct vhdx_extent *region, const char *file,
			 struct vhdx_items *ret, struct vhd_error *error);
/* Reads and checks the values that make the shape. 0, -errno or an enum vhd_status. Waits. */
int vhdx_shape_read(struct storage_file *f, const struct vhdx_items *items, struct vhdx_shape *ret,
		    struct vhd_error *error);
/* The values of @s make a disk: VHD_OK, or VHD_UNSUPPORTED/VHD_CORRUPT with the text. @file for the text. */
int vhdx_shape_check(const struct vhdx_shape *s, const char *file, struct vhd_error *error);

#endif
