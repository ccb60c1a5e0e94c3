// SPDX-License-Identifier: Apache-2.0
#include "pm.h"

#include <string.h>

#include "lib/bits.h"

#define OFFSET_STATUS 0x00
#define OFFSET_ENABLE 0x02
#define OFFSET_CONTROL 0x04
#define OFFSET_TIMER 0x08
#define OFFSET_GPE_STATUS 0x0c
#define OFFSET_GPE_ENABLE 0x0e
#define OFFSET_PROCESSOR 0x10
#define OFFSET_RESET 0x33

#define STATUS_TIMER 0x0001u
#define STATUS_POWER_BUTTON 0x0100u
#define STATUS_KNOWN 0x8731u
#define ENABLE_KNOWN 0x0721u

#define CONTROL_SCI_EN 0x0001u
#define CONTROL_SLP_TYP_SHIFT 10
#define CONTROL_SLP_EN 0x2000u
#define CONTROL_STORED 0x1c02u

static uint64_t timer_ticks(const struct pm *p)
{
	return mul_div_u64(chip_now(&p->link), PM_TIMER_HZ, CHIP_NS_PER_S);
}

static void update_irq(struct pm *p)
{
	bool level =
		(p->status & p->enable & ENABLE_KNOWN) != 0 || (p->gpe_status & p->gpe_enable) != 0;

	if (level != p->irq_level) {
		p->irq_level = level;
		chip_irq(&p->link, p->irq, level);
	}
}

/* TMR_STS is set whenever the highest bit of the timer changes. */
static void catch_up(struct pm *p)
{
	uint64_t carry = timer_ticks(p) >> 31;

	if (carry != p->carry) {
		p->carry = carry;
		p->status |= STATUS_TIMER;
	}
	update_irq(p);
}

static void rearm(struct pm *p)
{
	if (!(p->enable & STATUS_TIMER) || (p->status & STATUS_TIMER)) {
		chip_arm(&p->link, CHIP_NEVER);
		return;
	}
	uint64_t next = mul_div_u64((p->carry + 1) << 31, CHIP_NS_PER_S, PM_TIMER_HZ);

	chip_arm(&p->link, next == UINT64_MAX ? CHIP_NEVER : next + 1);
}

static void pm_timer(void *chip, uint64_t now_ns)
{
	catch_up(chip);
	rearm(chip);
}

/* Byte @offset of the block; @ticks is one reading of the timer for all bytes of an access. */
static uint8_t read_byte(const struct pm *p, unsigned offset, uint64_t ticks)
{
	uint32_t word;

	switch (offset & ~3u) {
	case OFFSET_STATUS:
		word = p->status | (uint32_t)p->enable << 16;
		break;
	case OFFSET_CONTROL:
		word = p->control | CONTROL_SCI_EN;
		break;
	case OFFSET_TIMER:
		word = (uint32_t)ticks;
		break;
	case OFFSET_GPE_STATUS:
		word = p->gpe_status | (uint32_t)p->gpe_enable << 16;
		break;
	case OFFSET_PROCESSOR:
		word = p->processor_control;
		break;
	default:
		word = 0;
		break;
	}
	return (uint8_t)(word >> (8 * (offset & 3)));
}

static uint32_t pm_read(void *chip, uint16_t port, unsigned bytes)
{
	struct pm *p = chip;
	uint64_t ticks = timer_ticks(p);
	uint32_t value = 0;

	catch_up(p);
	for (unsigned i = 0; i < bytes; i++) {
		value |= (uint32_t)read_byte(p, (port + i) & (PM_PORTS - 1), ticks) << (8 * i);
	}
	rearm(p);
	return value;
}

static void put_byte(uint16_t *word, unsigned offset, uint8_t v)
{
	unsigned shift = 8 * (offset & 1);

	*word = (uint16_t)((*word & ~(0xffu << shift)) | (unsigned)v << shift);
}

static void write_byte(struct pm *p, unsigned offset, uint8_t v)
{
	unsigned shift = 8 * (offset & 1);

	switch (offset & ~1u) {
	case OFFSET_STATUS:
		p->status &= (uint16_t) ~((unsigned)v << shift);
		break;
	case OFFSET_ENABLE:
		put_byte(&p->enable, offset, v);
		p->enable &= ENABLE_KNOWN;
		break;
	case OFFSET_CONTROL:
		put_byte(&p->control, offset, v);
		if (shift == 8 && ((unsigned)v << 8 & CONTROL_SLP_EN)) {
			p->event(p->ctx, PM_EVENT_SLEEP,
				 (unsigned)v << 8 >> CONTROL_SLP_TYP_SHIFT & 7);
		}
		p->control &= CONTROL_STORED;
		break;
	case OFFSET_GPE_STATUS:
		p->gpe_status &= (uint16_t) ~((unsigned)v << shift);
		break;
	case OFFSET_GPE_ENABLE:
		put_byte(&p->gpe_enable, offset, v);
		break;
	case OFFSET_PROCESSOR:
	case OFFSET_PROCESSOR + 2:
		p->processor_control &= ~(0xffu << (8 * (offset & 3)));
		p->processor_control |= (uint32_t)v << (8 * (offset & 3));
		break;
	default:
		if (offset == OFFSET_RESET && v == p->reset_value) {
			p->event(p->ctx, PM_EVENT_RESET, 0);
		}
		break;
	}
}

static void pm_write(void *chip, uint16_t port, unsigned bytes, uint32_t data)
{
	struct pm *p = chip;

	catch_up(p);
	for (unsigned i = 0; i < bytes; i++) {
		write_byte(p, (port + i) & (PM_PORTS - 1), (uint8_t)(data >> (8 * i)));
	}
	update_irq(p);
	rearm(p);
}

bool pm_power_button(struct pm *p)
{
	bool heard = (p->enable & STATUS_POWER_BUTTON) != 0;

	p->status |= STATUS_POWER_BUTTON;
	update_irq(p);
	return heard;
}

static void pm_reset(void *chip)
{
	struct pm *p = chip;

	p->status = 0;
	p->enable = 0;
	p->control = 0;
	p->gpe_status = 0;
	p->gpe_enable = 0;
	p->processor_control = 0;
	p->carry = timer_ticks(p) >> 31;
	update_irq(p);
	rearm(p);
}

static void pm_save(const void *chip, struct state_writer *w)
{
	const struct pm *p = chip;

	state_put_u16(w, p->status);
	state_put_u16(w, p->enable);
	state_put_u16(w, p->control);
	state_put_u16(w, p->gpe_status);
	state_put_u16(w, p->gpe_enable);
	state_put_u32(w, p->processor_control);
}

/* The timer itself is guest time and needs no state. */
static bool pm_restore(void *chip, struct state_reader *r)
{
	struct pm *p = chip;

	p->status = state_get_u16(r) & STATUS_KNOWN;
	p->enable = state_get_u16(r) & ENABLE_KNOWN;
	p->control = state_get_u16(r) & CONTROL_STORED;
	p->gpe_status = state_get_u16(r);
	p->gpe_enable = state_get_u16(r);
	p->processor_control = state_get_u32(r);
	p->carry = timer_ticks(p) >> 31;
	p->irq_level =
		(p->status & p->enable & ENABLE_KNOWN) != 0 || (p->gpe_status & p->gpe_enable) != 0;
	rearm(p);
	return !r->bad;
}

const struct chip_ops pm_chip = {
	.tag = STATE_TAG('P', 'M', ' ', ' '),
	.version = 1,
	.reset = pm_reset,
	.save = pm_save,
	.restore = pm_restore,
	.timer = pm_timer,
};

const struct bus_port_ops pm_ports = {pm_read, pm_write};
