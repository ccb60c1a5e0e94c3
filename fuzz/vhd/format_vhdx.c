// SPDX-License-Identifier: Apache-2.0
#include "format_vhdx.h"

#include <stdlib.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "lib/crc32c.h"
#include "vhdx_format.h"

#define LOG_OFFSET VHDX_MIB /* where vhdx_create puts it */
#define LOG_BYTES VHDX_MIB
#define DISK_BYTES (8 * VHDX_MIB)

/* ---- Making ---- */

static struct vhd_disk *open_disk(struct vhd_testing *t, const char *path)
{
	struct vhd_error error;
	struct vhd_disk *d;

	CHECK(vhd_open(vhd_testing_host(t), path, VHD_OPEN_WRITE, &d, &error) == 0);
	return d;
}

static void write_at(struct vhd_disk *d, uint64_t offset, uint8_t seed)
{
	uint8_t buf[8192];

	memset(buf, seed, sizeof(buf));
	CHECK(block_write(vhd_block(d), offset, buf, sizeof(buf)) == 0);
}

static void fill(struct vhd_testing *t, const char *path, uint8_t seed)
{
	struct vhd_disk *d = open_disk(t, path);

	write_at(d, 0, seed);
	write_at(d, 3 * VHDX_MIB + 4096, seed);
	write_at(d, 6 * VHDX_MIB - 4096, seed);
	CHECK(block_zero(vhd_block(d), 4 * VHDX_MIB, VHDX_MIB, true) == 0);
	CHECK(vhd_close(d) == 0);
}

static void create(struct vhd_testing *t, const char *path, const struct vhd_create *c)
{
	struct vhd_error error;

	CHECK(vhd_create(vhd_testing_host(t), path, c, &error) == 0);
	fill(t, path, 0x11);
}

/* As a power cut leaves it: changes that are only in the log. */
static void crash(struct vhd_testing *t)
{
	struct vhd_disk *d = open_disk(t, HOSTILE_DISK);
	uint64_t bytes;

	for (unsigned i = 1; i < 3; i++) {
		write_at(d, i * VHDX_MIB, 0x33);
		CHECK(block_flush(vhd_block(d)) == 0);
	}
	struct storage_file *f = vhd_testing_file(t, HOSTILE_DISK);

	CHECK(storage_file_get_size(f, &bytes) == 0);
	uint8_t *copy = malloc(bytes);

	CHECK(copy != NULL && storage_file_read(f, 0, copy, bytes) == 0);
	CHECK(vhd_close(d) == 0);
	CHECK(vhd_testing_add(t, HOSTILE_DISK, copy, bytes) == 0);
	free(copy);
}

static void make(struct vhd_testing *t, unsigned kind)
{
	struct vhd_create c = {
		.format = VHD_VHDX_DYNAMIC, .bytes = DISK_BYTES, .block_bytes = VHDX_MIB};

	if (kind == 2) {
		create(t, HOSTILE_PARENT, &c);
		c = (struct vhd_create){.format = VHD_VHDX_DIFFERENCING,
					.block_bytes = VHDX_MIB,
					.parent = HOSTILE_PARENT};
	} else if (kind == 3) {
		c.format = VHD_VHDX_FIXED;
		c.sector_bytes = 4096;
		c.bytes = 6 * VHDX_MIB + 8192;
	}
	create(t, HOSTILE_DISK, &c);
	if (kind == 1) {
		crash(t);
	}
}

/* ---- Damaging ---- */

static const struct hostile_area areas[] = {
	{VHDX_FILE_ID_OFFSET, 16, false},
	{VHDX_HEADER_OFFSET(0), 80, false},
	{VHDX_HEADER_OFFSET(1), 80, false},
	{VHDX_REGIONS_OFFSET(0), 128, false},
	{VHDX_REGIONS_OFFSET(1), 128, false},
	{LOG_OFFSET, 128, false},     /* an entry's header and first descriptors */
	{LOG_OFFSET, 0x10000, false}, /* anything in the log */
	{0x200000, 256, false},	      /* metadata table */
	{0x210000, 64, false},	      /* items */
	{0x220000, 512, false},	      /* parent locator */
	{0x300000, 128, false},	      /* BAT */
	{0x308000, 8, false},	      /* entry of the sector bitmap */
	{0x400000, 0xffff, false},    /* the first block: of a child its sector bitmap */
};

static void sum_at(struct storage_file *f, uint64_t offset, size_t bytes)
{
	uint8_t *p = malloc(bytes);

	CHECK(p != NULL && storage_file_read(f, offset, p, bytes) == 0);
	store_le32(p + 4, 0);
	store_le32(p + 4, crc32c(0, p, bytes));
	CHECK(storage_file_write(f, offset + 4, p + 4, 4) == 0);
	free(p);
}

/* Entries as they say that they are, as far as they do not go beyond the end of the log. */
static void sum_log(struct storage_file *f)
{
	for (uint64_t at = 0; at < 0x10000; at += VHDX_PAGE) {
		struct vhdx_log_header h;

		CHECK(storage_file_read(f, LOG_OFFSET + at, &h, sizeof(h)) == 0);
		if (h.signature == VHDX_LOG_SIGNATURE && h.bytes >= VHDX_PAGE &&
		    h.bytes <= LOG_BYTES - at) {
			sum_at(f, LOG_OFFSET + at, h.bytes);
		}
	}
}

static void sum(struct storage_file *f, uint8_t wrong)
{
	uint64_t bytes;

	CHECK(storage_file_get_size(f, &bytes) == 0);
	for (unsigned i = 0; i < 2; i++) {
		if ((wrong & 1u << i) == 0 && bytes >= VHDX_MIB) {
			sum_at(f, VHDX_HEADER_OFFSET(i), VHDX_PAGE);
		}
		if ((wrong & 4u << i) == 0 && bytes >= VHDX_MIB) {
			sum_at(f, VHDX_REGIONS_OFFSET(i), VHDX_REGIONS_BYTES);
		}
	}
	if ((wrong & 16) == 0 && bytes >= LOG_OFFSET + LOG_BYTES) {
		sum_log(f);
	}
}

const struct hostile_format hostile_vhdx = {
	.make = make, .kinds = 4, .areas = areas, .area_count = ARRAY_LEN(areas), .sum = sum};
