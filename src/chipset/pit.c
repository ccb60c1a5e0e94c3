// SPDX-License-Identifier: Apache-2.0
#include "pit.h"

#include <string.h>

#include "lib/bits.h"

#define CONTROL_READ_BACK 3u
#define CONTROL_LATCH 0u
#define READ_BACK_NO_COUNT 0x20u
#define READ_BACK_NO_STATUS 0x10u

#define PORT61_GATE2 0x01u
#define PORT61_SPEAKER 0x02u
#define PORT61_REFRESH 0x10u
#define PORT61_OUT2 0x20u
/* Channel 1 on a PC toggles the refresh bit every 18 ticks. */
#define REFRESH_NS UINT64_C(15085)

/* A guest that asks for more interrupts than this would only keep the host busy. */
#define PERIOD_MIN_NS UINT64_C(50000)

static uint64_t ns_to_ticks(uint64_t ns)
{
	return mul_div_u64(ns, PIT_HZ, CHIP_NS_PER_S);
}

/* First ns at which @ticks have passed. */
static uint64_t ticks_to_ns(uint64_t ticks)
{
	uint64_t ns = mul_div_u64(ticks, CHIP_NS_PER_S, PIT_HZ);

	return ns == UINT64_MAX ? ns : ns + 1;
}

static bool is_periodic(const struct pit_channel *c)
{
	return c->mode == 2 || c->mode == 3;
}

static bool waits_for_trigger(const struct pit_channel *c)
{
	return c->mode == 1 || c->mode == 5;
}

/* Ticks since counting began. */
static uint64_t elapsed(const struct pit_channel *c, uint64_t now_ns)
{
	uint64_t ns = c->running && now_ns > c->start_ns ? now_ns - c->start_ns : 0;

	return c->ticks + ns_to_ticks(ns);
}

/* A new count in modes 2 and 3 starts with the next period. */
static void take_over(struct pit_channel *c, uint64_t now_ns)
{
	uint64_t ticks = elapsed(c, now_ns);

	if (c->next_count == 0 || ticks < c->count) {
		return;
	}
	uint64_t old = c->count;

	c->count = c->next_count;
	c->next_count = 0;
	c->ticks = (ticks - old) % c->count;
	c->start_ns = now_ns;
}

static bool counting(const struct pit_channel *c)
{
	return c->loaded && (!waits_for_trigger(c) || c->triggered);
}

static bool output(const struct pit_channel *c, uint64_t now_ns)
{
	uint64_t ticks = elapsed(c, now_ns);

	if (!counting(c)) {
		return c->mode != 0;
	}
	switch (c->mode) {
	case 0:
	case 1:
		return ticks >= c->count;
	case 2:
		return !c->gate || ticks % c->count != c->count - 1;
	case 3:
		return !c->gate || ticks % c->count < (c->count + 1) / 2;
	default:
		return ticks != c->count;
	}
}

static uint16_t to_bcd(uint32_t v)
{
	return (uint16_t)(v / 1000 % 10 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10);
}

static uint32_t from_bcd(uint16_t v)
{
	return (v >> 12) * 1000u + (v >> 8 & 15) * 100u + (v >> 4 & 15) * 10u + (v & 15);
}

static uint16_t current_count(const struct pit_channel *c, uint64_t now_ns)
{
	uint64_t ticks = counting(c) ? elapsed(c, now_ns) : 0;
	uint64_t modulus = c->bcd ? 10000 : 65536;
	uint64_t half = (c->count + 1) / 2;
	uint64_t value;

	switch (c->mode) {
	case 2:
		value = c->count - ticks % c->count;
		break;
	case 3: /* counts down by two, twice per period */
		value = (c->count & ~1u) - 2 * (ticks % c->count % half);
		break;
	default:
		value = (c->count + modulus - ticks % modulus) % modulus;
		break;
	}
	value %= modulus;
	return c->bcd ? to_bcd((uint32_t)value) : (uint16_t)value;
}

/* Channel 0's OUT drives IRQ 0. In modes 2 and 3 the line only dips at the period's end: the low phase itself means nothing. */
static void set_out0(struct pit *p, bool level)
{
	if (p->out0 != level) {
		p->out0 = level;
		chip_irq(&p->link, PIT_IRQ, level);
	}
}

static void arm_event(struct pit *p, uint64_t now_ns)
{
	const struct pit_channel *c = &p->channel[0];

	if (p->event_tick == CHIP_NEVER || !c->running) {
		chip_arm(&p->link, CHIP_NEVER);
		return;
	}
	uint64_t left = p->event_tick > c->ticks ? p->event_tick - c->ticks : 0;

	chip_arm(&p->link, max_u64(c->start_ns + ticks_to_ns(left),
				   is_periodic(c) ? now_ns + PERIOD_MIN_NS : 0));
}

/* When OUT of channel 0 rises next. */
static void plan_event(struct pit *p, uint64_t now_ns)
{
	const struct pit_channel *c = &p->channel[0];
	uint64_t ticks = elapsed(c, now_ns);

	p->event_tick = CHIP_NEVER;
	if (counting(c)) {
		if (is_periodic(c)) {
			p->event_tick = (ticks / c->count + 1) * c->count;
		} else {
			uint64_t at = c->count + (c->mode >= 4 ? 1 : 0);

			p->event_tick = at > ticks ? at : CHIP_NEVER;
		}
	}
	arm_event(p, now_ns);
}

static void pit_timer(void *chip, uint64_t now_ns)
{
	struct pit *p = chip;
	struct pit_channel *c = &p->channel[0];

	if (p->event_tick == CHIP_NEVER) {
		return;
	}
	if (elapsed(c, now_ns) < p->event_tick) {
		arm_event(p, now_ns);
		return;
	}
	take_over(c, now_ns);
	if (c->mode != 0) {
		set_out0(p, false);
	}
	set_out0(p, true);
	plan_event(p, now_ns);
}

static void start(struct pit_channel *c, uint64_t now_ns)
{
	c->ticks = 0;
	c->start_ns = now_ns;
	c->running = waits_for_trigger(c) || c->gate;
}

static void write_count(struct pit *p, unsigned n, uint16_t raw)
{
	struct pit_channel *c = &p->channel[n];
	uint64_t now_ns = chip_now(&p->link);
	uint32_t count = c->bcd ? from_bcd(raw) : raw;

	if (count == 0) {
		count = c->bcd ? 10000 : 65536;
	}
	/* 1 is illegal in modes 2 and 3; the chip's answer is not defined, ours is the nearest legal one. */
	if (is_periodic(c) && count == 1) {
		count = 2;
	}
	if (is_periodic(c) && c->loaded) {
		take_over(c, now_ns);
		c->next_count = count;
		return;
	}
	c->count = count;
	c->loaded = true;
	/* One-shots with a hardware trigger go on with the old count until the next gate edge. */
	if (!waits_for_trigger(c)) {
		start(c, now_ns);
	}
	if (n == 0) {
		set_out0(p, output(c, now_ns));
		plan_event(p, now_ns);
	}
}

static void write_counter(struct pit *p, unsigned n, uint8_t v)
{
	struct pit_channel *c = &p->channel[n];

	switch (c->access) {
	case 1:
		write_count(p, n, v);
		break;
	case 2:
		write_count(p, n, (uint16_t)(v << 8));
		break;
	default:
		if (c->write_high) {
			c->write_high = false;
			write_count(p, n, (uint16_t)(v << 8 | c->write_low));
		} else {
			c->write_high = true;
			c->write_low = v;
		}
		break;
	}
}

static void latch_count(struct pit_channel *c, uint64_t now_ns)
{
	if (c->latched == 0) {
		take_over(c, now_ns);
		c->latch = current_count(c, now_ns);
		c->latched = c->access == 3 ? 2 : 1;
	}
}

static void latch_status(struct pit_channel *c, uint64_t now_ns)
{
	if (!c->status_latched) {
		bool null_count = !c->loaded || c->next_count != 0;

		c->status_latched = true;
		c->status = (uint8_t)(output(c, now_ns) << 7 | null_count << 6 | c->access << 4 |
				      c->mode << 1 | c->bcd);
	}
}

static void read_back(struct pit *p, uint8_t v)
{
	uint64_t now_ns = chip_now(&p->link);

	for (unsigned n = 0; n < PIT_CHANNELS; n++) {
		if (!(v & (2u << n))) {
			continue;
		}
		if (!(v & READ_BACK_NO_COUNT)) {
			latch_count(&p->channel[n], now_ns);
		}
		if (!(v & READ_BACK_NO_STATUS)) {
			latch_status(&p->channel[n], now_ns);
		}
	}
}

static void write_control(struct pit *p, uint8_t v)
{
	unsigned n = v >> 6;
	unsigned access = v >> 4 & 3;

	if (n == CONTROL_READ_BACK) {
		read_back(p, v);
		return;
	}
	struct pit_channel *c = &p->channel[n];

	if (access == CONTROL_LATCH) {
		latch_count(c, chip_now(&p->link));
		return;
	}
	c->access = (uint8_t)access;
	c->mode = v >> 1 & 7;
	if (c->mode > 5) {
		c->mode -= 4; /* 6 and 7 are 2 and 3 */
	}
	c->bcd = v & 1;
	c->loaded = false;
	c->triggered = false;
	c->running = false;
	c->ticks = 0;
	c->count = c->bcd ? 10000 : 65536;
	c->next_count = 0;
	c->write_high = false;
	c->read_high = false;
	c->latched = 0;
	c->status_latched = false;
	if (n == 0) {
		p->event_tick = CHIP_NEVER;
		chip_arm(&p->link, CHIP_NEVER);
		set_out0(p, c->mode != 0);
	}
}

static uint8_t read_counter(struct pit *p, unsigned n)
{
	struct pit_channel *c = &p->channel[n];
	uint16_t value;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	if (c->latched == 2) {
		c->latched = 1;
		return (uint8_t)c->latch;
	}
	if (c->latched == 1) {
		c->latched = 0;
		return (uint8_t)(c->access == 1 ? c->latch : c->latch >> 8);
	}
	take_over(c, chip_now(&p->link));
	value = current_count(c, chip_now(&p->link));
	if (c->access == 3) {
		c->read_high = !c->read_high;
		return (uint8_t)(c->read_high ? value : value >> 8);
	}
	return (uint8_t)(c->access == 1 ? value : value >> 8);
}

static uint32_t pit_read(void *chip, uint16_t port, unsigned bytes)
{
	/* The control word cannot be read. */
	return (port & 3) == 3 ? 0xff : read_counter(chip, port & 3);
}

static void pit_write(void *chip, uint16_t port, unsigned bytes, uint32_t data)
{
	if ((port & 3) == 3) {
		write_control(chip, (uint8_t)data);
	} else {
		write_counter(chip, port & 3, (uint8_t)data);
	}
}

/* Only channel 2's gate is wired to something; the others are tied high. */
static void set_gate(struct pit_channel *c, bool gate, uint64_t now_ns)
{
	bool rising = gate && !c->gate;
	bool falling = !gate && c->gate;

	take_over(c, now_ns);
	c->gate = gate;
	if (!c->loaded) {
		return;
	}
	if (rising && (waits_for_trigger(c) || is_periodic(c))) {
		c->triggered = true;
		start(c, now_ns);
	} else if (rising) {
		c->start_ns = now_ns;
		c->running = true;
	} else if (falling && !waits_for_trigger(c)) {
		c->ticks = elapsed(c, now_ns);
		c->running = false;
	}
}

static uint32_t port61_read(void *chip, uint16_t port, unsigned bytes)
{
	struct pit *p = chip;
	uint64_t now_ns = chip_now(&p->link);

	take_over(&p->channel[2], now_ns);
	return p->speaker | (now_ns / REFRESH_NS & 1 ? PORT61_REFRESH : 0) |
	       (output(&p->channel[2], now_ns) ? PORT61_OUT2 : 0);
}

static void port61_write(void *chip, uint16_t port, unsigned bytes, uint32_t data)
{
	struct pit *p = chip;

	p->speaker = data & (PORT61_GATE2 | PORT61_SPEAKER);
	set_gate(&p->channel[2], data & PORT61_GATE2, chip_now(&p->link));
}

static void pit_reset(void *chip)
{
	struct pit *p = chip;

	memset(p->channel, 0, sizeof(p->channel));
	for (unsigned n = 0; n < PIT_CHANNELS; n++) {
		p->channel[n].access = 3;
		p->channel[n].count = 65536;
		p->channel[n].gate = n != 2;
	}
	p->speaker = 0;
	p->event_tick = CHIP_NEVER;
	chip_arm(&p->link, CHIP_NEVER);
	set_out0(p, false);
}

static void pit_save(const void *chip, struct state_writer *w)
{
	const struct pit *p = chip;
	uint64_t now_ns = chip_now(&p->link);

	for (unsigned n = 0; n < PIT_CHANNELS; n++) {
		const struct pit_channel *c = &p->channel[n];

		state_put_u8(w, c->mode);
		state_put_u8(w, c->access);
		state_put_u16(w,
			      (uint16_t)(c->bcd | c->gate << 1 | c->loaded << 2 |
					 c->triggered << 3 | c->running << 4 | c->write_high << 5 |
					 c->read_high << 6 | c->status_latched << 7));
		state_put_u32(w, c->count);
		state_put_u32(w, c->next_count);
		state_put_u64(w, c->ticks);
		state_put_u64(w, now_ns > c->start_ns ? now_ns - c->start_ns : 0);
		state_put_u8(w, c->write_low);
		state_put_u8(w, c->latched);
		state_put_u16(w, c->latch);
		state_put_u8(w, c->status);
	}
	state_put_u8(w, p->speaker);
	state_put_u64(w, p->event_tick);
	state_put_u8(w, p->out0);
}

static bool restore_channel(struct pit_channel *c, struct state_reader *r, uint64_t now_ns)
{
	c->mode = state_get_u8(r);
	c->access = state_get_u8(r);
	uint16_t flags = state_get_u16(r);

	c->bcd = flags & BIT32(0);
	c->gate = flags & BIT32(1);
	c->loaded = flags & BIT32(2);
	c->triggered = flags & BIT32(3);
	c->running = flags & BIT32(4);
	c->write_high = flags & BIT32(5);
	c->read_high = flags & BIT32(6);
	c->status_latched = flags & BIT32(7);
	c->count = state_get_u32(r);
	c->next_count = state_get_u32(r);
	c->ticks = state_get_u64(r);
	uint64_t ago_ns = state_get_u64(r);

	c->write_low = state_get_u8(r);
	c->latched = state_get_u8(r);
	c->latch = state_get_u16(r);
	c->status = state_get_u8(r);
	/* A clock younger than the saved one keeps the ticks but not the moment. */
	c->start_ns = now_ns;
	if (c->running) {
		c->ticks += ns_to_ticks(ago_ns);
	}
	return !r->bad && c->mode <= 5 && c->access >= 1 && c->access <= 3 && c->count >= 1 &&
	       c->count <= 65536 && c->next_count <= 65536 && c->latched <= 2 &&
	       c->ticks < UINT64_MAX / 4 && ago_ns < UINT64_MAX / 4;
}

static bool pit_restore(void *chip, struct state_reader *r)
{
	struct pit *p = chip;
	uint64_t now_ns = chip_now(&p->link);

	for (unsigned n = 0; n < PIT_CHANNELS; n++) {
		if (!restore_channel(&p->channel[n], r, now_ns)) {
			return false;
		}
	}
	p->speaker = state_get_u8(r) & (PORT61_GATE2 | PORT61_SPEAKER);
	p->event_tick = state_get_u64(r);
	p->out0 = state_get_u8(r) != 0;
	if (r->bad || !p->channel[0].gate || !p->channel[1].gate) {
		return false;
	}
	arm_event(p, now_ns);
	return true;
}

const struct chip_ops pit_chip = {
	.tag = STATE_TAG('P', 'I', 'T', ' '),
	.version = 1,
	.reset = pit_reset,
	.save = pit_save,
	.restore = pit_restore,
	.timer = pit_timer,
};

const struct bus_port_ops pit_ports = {pit_read, pit_write};
const struct bus_port_ops pit_port61 = {port61_read, port61_write};
