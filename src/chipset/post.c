// SPDX-License-Identifier: Apache-2.0
#include "post.h"

#include <stddef.h>

static uint32_t post_read(void *chip, uint16_t port, unsigned bytes)
{
	const struct post *p = chip;

	return p->last;
}

/* The callback hears changes only: a guest that delays with this port is not news. */
static void post_write(void *chip, uint16_t port, unsigned bytes, uint32_t data)
{
	struct post *p = chip;
	uint8_t code = (uint8_t)data;

	if (code != p->last && p->code != NULL) {
		p->code(p->ctx, code);
	}
	p->last = code;
}

static void post_reset(void *chip)
{
	struct post *p = chip;

	p->last = 0;
}

static void post_save(const void *chip, struct state_writer *w)
{
	const struct post *p = chip;

	state_put_u8(w, p->last);
}

static bool post_restore(void *chip, struct state_reader *r)
{
	struct post *p = chip;

	p->last = state_get_u8(r);
	return !r->bad;
}

const struct chip_ops post_chip = {
	.tag = STATE_TAG('P', 'O', 'S', 'T'),
	.version = 1,
	.reset = post_reset,
	.save = post_save,
	.restore = post_restore,
};

const struct bus_port_ops post_ports = {post_read, post_write};
