// SPDX-License-Identifier: Apache-2.0
#include "reset.h"

#define CF9_RESET_CPU 0x04u
#define CF9_KEPT 0x0au
#define PORT92_FAST_RESET 0x01u
#define PORT92_A20 0x02u

static uint32_t cf9_read(void *chip, uint16_t port, unsigned bytes)
{
	const struct reset_ports *r = chip;

	return r->cf9;
}

/* The reset happens when RST_CPU goes from 0 to 1; the bit never stays. */
static void cf9_write(void *chip, uint16_t port, unsigned bytes, uint32_t data)
{
	struct reset_ports *r = chip;

	r->cf9 = data & CF9_KEPT;
	if (data & CF9_RESET_CPU) {
		r->reset(r->ctx);
	}
}

static uint32_t port92_read(void *chip, uint16_t port, unsigned bytes)
{
	const struct reset_ports *r = chip;

	return r->port92;
}

static void port92_write(void *chip, uint16_t port, unsigned bytes, uint32_t data)
{
	struct reset_ports *r = chip;
	bool rises = (data & PORT92_FAST_RESET) && !(r->port92 & PORT92_FAST_RESET);

	r->port92 = (uint8_t)data;
	if (rises) {
		r->reset(r->ctx);
	}
}

static void reset_reset(void *chip)
{
	struct reset_ports *r = chip;

	r->cf9 = 0;
	r->port92 = PORT92_A20;
}

static void reset_save(const void *chip, struct state_writer *w)
{
	const struct reset_ports *r = chip;

	state_put_u8(w, r->cf9);
	state_put_u8(w, r->port92);
}

static bool reset_restore(void *chip, struct state_reader *reader)
{
	struct reset_ports *r = chip;

	r->cf9 = state_get_u8(reader) & CF9_KEPT;
	r->port92 = state_get_u8(reader);
	return !reader->bad;
}

const struct chip_ops reset_chip = {
	.tag = STATE_TAG('R', 'S', 'T', ' '),
	.version = 1,
	.reset = reset_reset,
	.save = reset_save,
	.restore = reset_restore,
};

const struct bus_port_ops reset_cf9_ports = {cf9_read, cf9_write};
const struct bus_port_ops reset_port92_ports = {port92_read, port92_write};
