// SPDX-License-Identifier: Apache-2.0
#include "i8042.h"

#define STATUS_OUTPUT_FULL 0x01u
#define STATUS_SYSTEM 0x04u
#define STATUS_COMMAND 0x08u
#define STATUS_UNLOCKED 0x10u

#define CONFIG_IRQ 0x01u
#define CONFIG_RESET 0x74u /* translated, both ports disabled, system flag */
#define CONFIG_KEYBOARD_OFF 0x10u
#define CONFIG_MOUSE_OFF 0x20u

#define OUTPUT_NO_RESET 0x01u
#define OUTPUT_A20 0x02u

static void update_irq(struct i8042 *k)
{
	bool level = k->output_full && (k->config & CONFIG_IRQ);

	if (level != k->irq_level) {
		k->irq_level = level;
		chip_irq(&k->link, I8042_IRQ, level);
	}
}

static void answer(struct i8042 *k, uint8_t v)
{
	k->output = v;
	k->output_full = true;
}

static void write_output_port(struct i8042 *k, uint8_t v)
{
	k->output_port = v | OUTPUT_NO_RESET;
	if (!(v & OUTPUT_NO_RESET)) {
		k->reset(k->ctx);
	}
}

static void command(struct i8042 *k, uint8_t v)
{
	k->pending = 0;
	switch (v) {
	case 0x20:
		answer(k, k->config);
		break;
	case 0x60: /* write command byte */
	case 0xd1: /* write output port */
	case 0xd2: /* write keyboard output buffer */
	case 0xd3: /* write mouse output buffer */
	case 0xd4: /* write to mouse */
		k->pending = v;
		break;
	case 0xa7:
		k->config |= CONFIG_MOUSE_OFF;
		break;
	case 0xa8:
		k->config &= (uint8_t)~CONFIG_MOUSE_OFF;
		break;
	case 0xaa: /* self test */
		answer(k, 0x55);
		break;
	case 0xa9: /* interface tests */
	case 0xab:
		answer(k, 0x00);
		break;
	case 0xad:
		k->config |= CONFIG_KEYBOARD_OFF;
		break;
	case 0xae:
		k->config &= (uint8_t)~CONFIG_KEYBOARD_OFF;
		break;
	case 0xc0: /* read input port */
		answer(k, 0x80);
		break;
	case 0xd0:
		answer(k, k->output_port);
		break;
	default:
		/* F0..FF pulse the output port's low bits that are 0; bit 0 is the processor's reset. */
		if (v >= 0xf0 && !(v & 0x01)) {
			k->reset(k->ctx);
		}
		break;
	}
}

static void data_byte(struct i8042 *k, uint8_t v)
{
	switch (k->pending) {
	case 0x60:
		k->config = v;
		break;
	case 0xd1:
		write_output_port(k, v);
		break;
	case 0xd2:
	case 0xd3:
		answer(k, v);
		break;
	default: /* to a device that is not there */
		break;
	}
	k->pending = 0;
}

static uint32_t i8042_read(void *chip, uint16_t port, unsigned bytes)
{
	struct i8042 *k = chip;

	if (port & 4) {
		return STATUS_UNLOCKED | STATUS_SYSTEM | (k->last_command ? STATUS_COMMAND : 0) |
		       (k->output_full ? STATUS_OUTPUT_FULL : 0);
	}
	k->output_full = false;
	update_irq(k);
	return k->output;
}

static void i8042_write(void *chip, uint16_t port, unsigned bytes, uint32_t data)
{
	struct i8042 *k = chip;

	k->last_command = (port & 4) != 0;
	if (port & 4) {
		command(k, (uint8_t)data);
	} else {
		data_byte(k, (uint8_t)data);
	}
	update_irq(k);
}

static void i8042_reset(void *chip)
{
	struct i8042 *k = chip;

	k->config = CONFIG_RESET;
	k->output_port = OUTPUT_NO_RESET | OUTPUT_A20;
	k->pending = 0;
	k->output = 0;
	k->output_full = false;
	k->last_command = false;
	update_irq(k);
}

static void i8042_save(const void *chip, struct state_writer *w)
{
	const struct i8042 *k = chip;

	state_put_u8(w, k->config);
	state_put_u8(w, k->output_port);
	state_put_u8(w, k->pending);
	state_put_u8(w, k->output);
	state_put_u8(w, k->output_full);
	state_put_u8(w, k->last_command);
}

static bool i8042_restore(void *chip, struct state_reader *r)
{
	struct i8042 *k = chip;

	k->config = state_get_u8(r);
	k->output_port = state_get_u8(r);
	k->pending = state_get_u8(r);
	k->output = state_get_u8(r);
	k->output_full = state_get_u8(r) != 0;
	k->last_command = state_get_u8(r) != 0;
	k->irq_level = k->output_full && (k->config & CONFIG_IRQ);
	return !r->bad;
}

const struct chip_ops i8042_chip = {
	.tag = STATE_TAG('8', '0', '4', '2'),
	.version = 1,
	.reset = i8042_reset,
	.save = i8042_save,
	.restore = i8042_restore,
};

const struct bus_port_ops i8042_ports = {i8042_read, i8042_write};
