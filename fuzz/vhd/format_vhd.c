// SPDX-License-Identifier: Apache-2.0
#include "format_vhd.h"

#include "lib/be.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "vhd_layout.h"

#define BLOCK_BYTES (UINT64_C(64) << 10)
#define DISK_BYTES (UINT64_C(1) << 20)

static void fill(struct vhd_testing *t, const char *path, uint8_t seed)
{
	struct vhd_error error;
	struct vhd_disk *d;
	uint8_t buf[8192];

	CHECK(vhd_open(vhd_testing_host(t), path, VHD_OPEN_WRITE, &d, &error) == 0);
	memset(buf, seed, sizeof(buf));
	CHECK(block_write(vhd_block(d), 0, buf, sizeof(buf)) == 0);
	CHECK(block_write(vhd_block(d), 5 * BLOCK_BYTES - 4096, buf, sizeof(buf)) == 0);
	CHECK(vhd_close(d) == 0);
}

static void make(struct vhd_testing *t, unsigned kind)
{
	struct vhd_create c = {
		.format = VHD_VHD_DYNAMIC, .bytes = DISK_BYTES, .block_bytes = BLOCK_BYTES};
	struct vhd_error error;

	if (kind == 1) {
		CHECK(vhd_create(vhd_testing_host(t), HOSTILE_PARENT, &c, &error) == 0);
		fill(t, HOSTILE_PARENT, 0x22);
		c = (struct vhd_create){.format = VHD_VHD_DIFFERENCING,
					.block_bytes = BLOCK_BYTES,
					.parent = HOSTILE_PARENT};
	} else if (kind == 2) {
		c = (struct vhd_create){.format = VHD_VHD_FIXED, .bytes = DISK_BYTES};
	}
	CHECK(vhd_create(vhd_testing_host(t), HOSTILE_DISK, &c, &error) == 0);
	fill(t, HOSTILE_DISK, 0x11);
}

static const struct hostile_area areas[] = {
	{0, 96, false},	     /* copy of the footer */
	{512, 64, false},    /* dynamic header */
	{576, 704, false},   /* its name of the parent and locators */
	{1536, 128, false},  /* BAT, and what follows it */
	{2048, 8192, false}, /* locators' data, bitmaps */
	{512, 96, true},     /* footer */
	{0, 0xffff, false},
};

static void sum_at(struct storage_file *f, uint64_t offset, size_t bytes, size_t at)
{
	uint8_t p[VHD_HEADER_BYTES];

	CHECK(storage_file_read(f, offset, p, bytes) == 0);
	store_be32(p + at, vhd_checksum(p, bytes, at));
	CHECK(storage_file_write(f, offset + at, p + at, 4) == 0);
}

static void sum(struct storage_file *f, uint8_t wrong)
{
	uint8_t cookie[8];
	uint64_t bytes;

	CHECK(storage_file_get_size(f, &bytes) == 0);
	if (bytes < 2048) {
		return;
	}
	CHECK(storage_file_read(f, 0, cookie, 8) == 0);
	if (memcmp(cookie, "conectix", 8) == 0) {
		if ((wrong & 1) == 0) {
			sum_at(f, 0, VHD_FOOTER_BYTES, VHD_FOOTER_AT_CHECKSUM);
		}
		if ((wrong & 2) == 0) {
			sum_at(f, 512, VHD_HEADER_BYTES, VHD_HEADER_AT_CHECKSUM);
		}
	}
	if ((wrong & 4) == 0) {
		sum_at(f, bytes - VHD_FOOTER_BYTES, VHD_FOOTER_BYTES, VHD_FOOTER_AT_CHECKSUM);
	}
}

const struct hostile_format hostile_vhd = {
	.make = make, .kinds = 3, .areas = areas, .area_count = ARRAY_LEN(areas), .sum = sum};
