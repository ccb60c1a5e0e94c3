// SPDX-License-Identifier: Apache-2.0
/* A disk in memory, slow and failing here and there, against any commands. */
#include <errno.h>

#include "session.h"

static struct block_device *make_disk(struct session *s, struct input *in)
{
	static const int errors[] = {-EIO, -ENOSPC, -ENOMEM, -ENODATA, -EROFS, -ECANCELED, -EPERM};
	uint8_t shape = input_u8(in), failing = input_u8(in);
	uint32_t sector_bytes = (shape & 1) != 0 ? 4096 : 512;
	uint64_t bytes = (shape & 2) != 0 ? UINT64_C(1) << 44 : 1 << 20;
	const struct block_error_rule rule = {
		.ops = failing & 0x1f,
		.offset = 8192,
		.bytes = (failing & 0x20) != 0 ? 0 : 65536,
		.after = failing >> 6,
		.count = UINT64_MAX,
		.error = errors[(shape >> 4) % ARRAY_LEN(errors)],
	};
	struct block_device *b = testing_disk(&s->context, bytes, sector_bytes, (shape & 4) != 0);

	CHECK(block_error_create(b, &rule, 1, &b) == 0);
	CHECK(block_delay_create(b, 1000000, &s->clock.clock, &b) == 0);
	b->info.id.bytes[0] = shape & 8;
	return b;
}

/* Grows, shrinks or becomes read-only, with nothing in flight that relies on it. */
static void change(struct session *s, struct input *in)
{
	uint8_t what = input_u8(in);

	session_drain(s);
	if ((what & 0x80) != 0) {
		s->block->info.read_only = (what & 1) != 0;
	} else {
		s->block->info.bytes = (uint64_t)what * 8192;
	}
	block_changed(s->block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const struct scsi_unit_config config = {.max_transfer_bytes = 1 << 20};
	struct input in = {data, bytes};
	struct session *s = calloc(1, sizeof(*s));

	CHECK(s != NULL);
	io_context_init(&s->context, NULL);
	testing_clock_init(&s->clock, 0);
	s->block = make_disk(s, &in);
	CHECK(scsi_disk_create(s->block, &config, &s->unit) == 0);
	while (in.left != 0) {
		uint8_t what = input_u8(&in);

		if (what == 0xff) {
			change(s, &in);
		} else {
			session_step(s, &in, what);
		}
	}
	session_drain(s);
	scsi_unit_destroy(s->unit);
	block_destroy(s->block);
	free(s);
	return 0;
}
