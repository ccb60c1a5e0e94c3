// SPDX-License-Identifier: Apache-2.0
/* A DVD drive whose media come and go, against any commands. */
#include <errno.h>

#include "session.h"

static struct block_device *make_medium(struct session *s)
{
	const struct block_error_rule rule = {.ops = 1 << IO_READ,
					      .offset = 20480,
					      .bytes = 2048,
					      .count = UINT64_MAX,
					      .error = -EIO};
	struct block_device *b = testing_disk(&s->context, 1 << 20, 2048, true);

	CHECK(block_error_create(b, &rule, 1, &b) == 0);
	CHECK(block_delay_create(b, 1000000, &s->clock.clock, &b) == 0);
	return b;
}

static void change(struct session *s, struct input *in)
{
	uint8_t what = input_u8(in);

	scsi_dvd_set_medium(s->unit, (what & 1) != 0 ? s->block : NULL);
	if ((what & 2) != 0) {
		s->block->info.bytes = (uint64_t)(what >> 2) * 2048;
		block_changed(s->block);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const struct scsi_unit_config config = {0};
	struct input in = {data, bytes};
	struct session *s = calloc(1, sizeof(*s));

	CHECK(s != NULL);
	io_context_init(&s->context, NULL);
	testing_clock_init(&s->clock, 0);
	s->block = make_medium(s);
	CHECK(scsi_dvd_create((input_u8(&in) & 1) != 0 ? s->block : NULL, &s->context, &config,
			      &s->unit) == 0);
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
