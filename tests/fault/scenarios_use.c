// SPDX-License-Identifier: Apache-2.0
#include "lib/bits.h"
#include "scenarios.h"

static const struct guest_mix fill = {
	.large_writes = 20, .large_bytes = MIB / 2, .discards = 5, .zeros = 5, .flushes = 2};

void prepare_empty(struct scene *s)
{
	enum vhd_format format = s->scenario->create.format;

	if (!is_differencing(format)) {
		scene_create(s, DISK, format, NULL);
		return;
	}
	scene_create(s, BASE, format == VHD_VHD_DIFFERENCING ? VHD_VHD_DYNAMIC : VHD_VHDX_DYNAMIC,
		     NULL);
	scene_use(s, BASE, &fill, 40);
	scene_create(s, DISK, format, BASE);
}

void prepare_used(struct scene *s)
{
	prepare_empty(s);
	scene_use(s, DISK, &fill, 40);
}

void prepare_chain(struct scene *s)
{
	enum vhd_format format = s->scenario->create.format;

	scene_create(s, BASE, format == VHD_VHD_DIFFERENCING ? VHD_VHD_DYNAMIC : VHD_VHDX_DYNAMIC,
		     NULL);
	scene_use(s, BASE, &fill, 30);
	scene_create(s, MIDDLE, format, BASE);
	scene_use(s, MIDDLE, &fill, 30);
	scene_create(s, DISK, format, MIDDLE);
	scene_use(s, DISK, &fill, 15);
}

static void prepare_raw(struct scene *s)
{
	struct image *image = image_create();

	image_resize(image, s->scenario->create.bytes);
	lab_add(&s->lab, DISK, image);
}

static void use(struct scene *s)
{
	scene_use(s, DISK, &s->scenario->mix, s->scenario->ops);
}

/* Opened, used a little and closed, again and again. */
static void use_often(struct scene *s)
{
	for (unsigned i = 0; i < 12; i++) {
		scene_use(s, DISK, &s->scenario->mix, s->scenario->ops / 12);
	}
}

/* Small writes and a flush after each few: much metadata, so that a VHDX log wraps. */
static const struct guest_mix small_mix = {.fua = 5, .flushes = 40, .discards = 3, .settles = 5};
static const struct guest_mix write_mix = {
	.large_writes = 12, .fua = 10, .flushes = 10, .settles = 5};
static const struct guest_mix trim_mix = {.large_writes = 10,
					  .fua = 10,
					  .flushes = 12,
					  .discards = 20,
					  .zeros = 15,
					  .large_bytes = 2 * MIB,
					  .settles = 5};

#define WRITE(label, type, sector)                                                                 \
	{                                                                                          \
		.name = label "-write", .subject = &subject_vhd, .prepare = prepare_empty,         \
		.act = use, .verify = scene_verify,                                                \
		.create = {.format = type,                                                         \
			   .bytes = 24 * MIB,                                                      \
			   .sector_bytes = sector,                                                 \
			   .block_bytes = BLOCK_##type},                                           \
		.mix = write_mix, .ops = 150                                                       \
	}
#define TRIM(label, type, sector)                                                                  \
	{                                                                                          \
		.name = label "-trim", .subject = &subject_vhd, .prepare = prepare_used,           \
		.act = use, .verify = scene_verify,                                                \
		.create = {.format = type,                                                         \
			   .bytes = 16 * MIB,                                                      \
			   .sector_bytes = sector,                                                 \
			   .block_bytes = BLOCK_##type},                                           \
		.mix = trim_mix, .ops = 150                                                        \
	}
#define CHAIN(label, type)                                                                         \
	{                                                                                          \
		.name = label "-chain-trim", .subject = &subject_vhd, .prepare = prepare_chain,    \
		.act = use, .verify = scene_verify,                                                \
		.create = {.format = type, .bytes = 8 * MIB, .block_bytes = BLOCK_##type},         \
		.mix = trim_mix, .ops = 80                                                         \
	}
#define OFTEN(label, type, sector)                                                                 \
	{                                                                                          \
		.name = label "-open", .subject = &subject_vhd, .prepare = prepare_empty,          \
		.act = use_often, .verify = scene_verify,                                          \
		.create = {.format = type,                                                         \
			   .bytes = 16 * MIB,                                                      \
			   .sector_bytes = sector,                                                 \
			   .block_bytes = BLOCK_##type},                                           \
		.mix = write_mix, .ops = 60                                                        \
	}
#define SMALL(label, type, sector)                                                                 \
	{                                                                                          \
		.name = label "-commit", .subject = &subject_vhd, .prepare = prepare_empty,        \
		.act = use, .verify = scene_verify,                                                \
		.create = {.format = type,                                                         \
			   .bytes = 48 * MIB,                                                      \
			   .sector_bytes = sector,                                                 \
			   .block_bytes = BLOCK_##type},                                           \
		.mix = small_mix, .ops = 1500, .every = 12                                         \
	}
#define BLOCK_VHD_VHD_FIXED 0
#define BLOCK_VHD_VHD_DYNAMIC (512 * 1024)
#define BLOCK_VHD_VHD_DIFFERENCING (512 * 1024)
#define BLOCK_VHD_VHDX_FIXED 0
#define BLOCK_VHD_VHDX_DYNAMIC MIB
#define BLOCK_VHD_VHDX_DIFFERENCING MIB

static const struct scenario scenarios[] = {
	{.name = "raw-write",
	 .subject = &subject_raw,
	 .prepare = prepare_raw,
	 .act = use,
	 .verify = scene_verify,
	 .create = {.bytes = 8 * MIB},
	 .mix = {.large_writes = 12, .fua = 10, .flushes = 10, .discards = 10, .zeros = 10},
	 .ops = 150},
	WRITE("vhdx-dynamic", VHD_VHDX_DYNAMIC, 512),
	WRITE("vhdx-dynamic-4k", VHD_VHDX_DYNAMIC, 4096),
	WRITE("vhdx-fixed", VHD_VHDX_FIXED, 512),
	WRITE("vhdx-differencing", VHD_VHDX_DIFFERENCING, 512),
	WRITE("vhdx-differencing-4k", VHD_VHDX_DIFFERENCING, 4096),
	TRIM("vhdx-dynamic", VHD_VHDX_DYNAMIC, 512),
	TRIM("vhdx-fixed", VHD_VHDX_FIXED, 512),
	TRIM("vhdx-differencing", VHD_VHDX_DIFFERENCING, 512),
	TRIM("vhdx-differencing-4k", VHD_VHDX_DIFFERENCING, 4096),
	CHAIN("vhdx", VHD_VHDX_DIFFERENCING),
	OFTEN("vhdx-dynamic", VHD_VHDX_DYNAMIC, 512),
	OFTEN("vhdx-differencing", VHD_VHDX_DIFFERENCING, 512),
	SMALL("vhdx-dynamic", VHD_VHDX_DYNAMIC, 512),
	SMALL("vhdx-differencing", VHD_VHDX_DIFFERENCING, 512),
	WRITE("vhd-dynamic", VHD_VHD_DYNAMIC, 512),
	WRITE("vhd-fixed", VHD_VHD_FIXED, 512),
	WRITE("vhd-differencing", VHD_VHD_DIFFERENCING, 512),
	TRIM("vhd-dynamic", VHD_VHD_DYNAMIC, 512),
	TRIM("vhd-fixed", VHD_VHD_FIXED, 512),
	TRIM("vhd-differencing", VHD_VHD_DIFFERENCING, 512),
	CHAIN("vhd", VHD_VHD_DIFFERENCING),
	OFTEN("vhd-dynamic", VHD_VHD_DYNAMIC, 512),
	OFTEN("vhd-differencing", VHD_VHD_DIFFERENCING, 512),
};

const struct scenario_list scenarios_use = {scenarios, ARRAY_LEN(scenarios)};
