// SPDX-License-Identifier: Apache-2.0
#include "ioapic.h"

#include "lib/bits.h"

#define RTE_VECTOR 0xffu
#define RTE_TYPE_SHIFT 8
#define RTE_LOGICAL BIT64(11)
#define RTE_STATUS BIT64(12)
#define RTE_REMOTE_IRR BIT64(14)
#define RTE_LEVEL BIT64(15)
#define RTE_MASKED BIT64(16)
#define RTE_DEST_SHIFT 56
#define RTE_READ_ONLY (RTE_STATUS | RTE_REMOTE_IRR)
#define RTE_WRITABLE_LOW 0x1afffu
#define RTE_WRITABLE_HIGH 0xff000000u

#define TYPE_FIXED 0u
#define TYPE_LOWEST 1u

#define REG_SELECT 0x00
#define REG_WINDOW 0x10

#define INDEX_ID 0x00
#define INDEX_VERSION 0x01
#define INDEX_ARBITRATION 0x02
#define INDEX_ENTRY 0x10

static unsigned entry_type(uint64_t entry)
{
	return (unsigned)bits_get(entry, RTE_TYPE_SHIFT, 3);
}

/* Only fixed and lowest-priority interrupts have a remote IRR; the others are edges whatever the entry says. */
static bool is_level(uint64_t entry)
{
	return (entry & RTE_LEVEL) && entry_type(entry) <= TYPE_LOWEST;
}

static void deliver(struct ioapic *a, unsigned pin)
{
	uint64_t entry = a->entry[pin];
	bool level = is_level(entry);

	if (entry & RTE_MASKED || (level && (entry & RTE_REMOTE_IRR))) {
		return;
	}
	if (level) {
		a->entry[pin] |= RTE_REMOTE_IRR;
	}
	a->interrupt(a->ctx, entry_type(entry), (uint8_t)(entry & RTE_VECTOR),
		     (uint32_t)(entry >> RTE_DEST_SHIFT), (entry & RTE_LOGICAL) != 0, level);
}

/* @level means asserted: the polarity bit describes wires that do not exist here. An edge while masked is lost, as on the chip. */
void ioapic_set_pin(struct ioapic *a, unsigned pin, bool level)
{
	if (pin >= IOAPIC_PINS) {
		return;
	}
	uint32_t bit = BIT32(pin);
	bool rising = level && !(a->lines & bit);

	a->lines = level ? a->lines | bit : a->lines & ~bit;
	if (rising) {
		deliver(a, pin);
	}
}

static void deliver_if_asserted(struct ioapic *a, unsigned pin)
{
	if (is_level(a->entry[pin]) && (a->lines & BIT32(pin))) {
		deliver(a, pin);
	}
}

void ioapic_eoi(struct ioapic *a, uint8_t vector)
{
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		uint64_t entry = a->entry[pin];

		if ((entry & RTE_VECTOR) == vector && (entry & RTE_REMOTE_IRR)) {
			a->entry[pin] &= ~RTE_REMOTE_IRR;
			deliver_if_asserted(a, pin);
		}
	}
}

void ioapic_find_ended(struct ioapic *a, bool (*waits)(void *ctx, uint8_t vector), void *ctx)
{
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		uint8_t vector = (uint8_t)(a->entry[pin] & RTE_VECTOR);

		if ((a->entry[pin] & RTE_REMOTE_IRR) && !waits(ctx, vector)) {
			ioapic_eoi(a, vector);
		}
	}
}

static uint32_t read_window(const struct ioapic *a)
{
	switch (a->select) {
	case INDEX_ID:
	case INDEX_ARBITRATION:
		return (uint32_t)a->id << 24;
	case INDEX_VERSION:
		return (IOAPIC_PINS - 1) << 16 | IOAPIC_VERSION;
	default:
		break;
	}
	if (a->select < INDEX_ENTRY || a->select >= INDEX_ENTRY + 2 * IOAPIC_PINS) {
		return 0;
	}
	unsigned index = a->select - INDEX_ENTRY;

	return (uint32_t)(a->entry[index / 2] >> (index & 1 ? 32 : 0));
}

static void write_entry(struct ioapic *a, unsigned pin, bool high, uint32_t data)
{
	uint64_t entry = a->entry[pin];

	if (high) {
		a->entry[pin] = (uint32_t)entry | (uint64_t)(data & RTE_WRITABLE_HIGH) << 32;
		return;
	}
	entry = (entry & (~(uint64_t)UINT32_MAX | RTE_READ_ONLY)) | (data & RTE_WRITABLE_LOW);
	/* Systems clear a stuck remote IRR by switching the entry to edge and back. */
	if (!is_level(entry)) {
		entry &= ~RTE_REMOTE_IRR;
	}
	a->entry[pin] = entry;
	deliver_if_asserted(a, pin);
}

static void write_window(struct ioapic *a, uint32_t data)
{
	if (a->select == INDEX_ID) {
		a->id = (data >> 24) & 0xf;
	} else if (a->select >= INDEX_ENTRY && a->select < INDEX_ENTRY + 2 * IOAPIC_PINS) {
		unsigned index = a->select - INDEX_ENTRY;

		write_entry(a, index / 2, index & 1, data);
	}
}

/* The registers are 32 bits wide and repeat nowhere; a narrower read gets the bytes it names. */
static uint64_t mmio_read(void *chip, uint64_t offset, unsigned bytes)
{
	struct ioapic *a = chip;
	unsigned shift = 8 * (unsigned)(offset & 3);

	switch (offset & ~UINT64_C(3)) {
	case REG_SELECT:
		return (uint32_t)a->select >> shift;
	case REG_WINDOW:
		return read_window(a) >> shift;
	default:
		return 0;
	}
}

static void mmio_write(void *chip, uint64_t offset, unsigned bytes, uint64_t data)
{
	struct ioapic *a = chip;

	if (offset == REG_SELECT) {
		a->select = (uint8_t)data;
	} else if (offset == REG_WINDOW && bytes >= 4) {
		write_window(a, (uint32_t)data);
	}
}

static void ioapic_reset(void *chip)
{
	struct ioapic *a = chip;

	a->id = a->default_id;
	a->select = 0;
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		a->entry[pin] = RTE_MASKED;
	}
}

static void ioapic_save(const void *chip, struct state_writer *w)
{
	const struct ioapic *a = chip;

	state_put_u8(w, a->id);
	state_put_u8(w, a->select);
	state_put_u32(w, a->lines);
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		state_put_u64(w, a->entry[pin]);
	}
}

static bool ioapic_restore(void *chip, struct state_reader *r)
{
	struct ioapic *a = chip;
	const uint64_t known =
		(uint64_t)RTE_WRITABLE_HIGH << 32 | RTE_WRITABLE_LOW | RTE_REMOTE_IRR;

	a->id = state_get_u8(r) & 0xf;
	a->select = state_get_u8(r);
	a->lines = state_get_u32(r);
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		a->entry[pin] = state_get_u64(r);
		if (a->entry[pin] & ~known ||
		    (!is_level(a->entry[pin]) && (a->entry[pin] & RTE_REMOTE_IRR))) {
			return false;
		}
	}
	return !r->bad && a->lines < BIT32(IOAPIC_PINS);
}

const struct chip_ops ioapic_chip = {
	.tag = STATE_TAG('I', 'O', 'A', 'P'),
	.version = 1,
	.reset = ioapic_reset,
	.save = ioapic_save,
	.restore = ioapic_restore,
};

const struct bus_mmio_ops ioapic_mmio = {mmio_read, mmio_write};
