// SPDX-License-Identifier: Apache-2.0
#include "chipset/board.h"

#include <errno.h>
#include <stdlib.h>

#include "bus.h"
#include "i8042.h"
#include "ioapic.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "pci.h"
#include "pic.h"
#include "pit.h"
#include "pm.h"
#include "post.h"
#include "reset.h"
#include "rtc.h"
#include "serial.h"

_Static_assert(BOARD_GSI_COUNT == IOAPIC_PINS, "one pin per GSI");

#define STATE_BOARD STATE_TAG('B', 'R', 'D', ' ')
#define STATE_VERSION 1
#define CASCADE_LINE 2u
#define PIN_8259 0 /* where the INTR output of the 8259s arrives */

enum {
	SLOT_COM1,
	SLOT_COM2,
	SLOT_PIC,
	SLOT_IOAPIC,
	SLOT_PIT,
	SLOT_RTC,
	SLOT_PM,
	SLOT_RESET,
	SLOT_I8042,
	SLOT_PCI,
	SLOT_POST,
	SLOT_COUNT,
};

struct slot {
	const struct chip_ops *ops; /* NULL: the board lacks this chip */
	void *chip;
	uint64_t deadline_ns;
};

struct serial_end {
	struct board *board;
	unsigned port;
};

struct board {
	struct board_config config;
	struct chip_services services;
	struct bus bus;
	struct slot slots[SLOT_COUNT];
	uint64_t armed_ns; /* what the owner was told last */
	struct serial_end serial_end[BOARD_SERIAL_PORTS];

	struct serial com[BOARD_SERIAL_PORTS];
	struct pic pic;
	struct ioapic ioapic;
	struct pit pit;
	struct rtc rtc;
	struct pm pm;
	struct reset_ports reset;
	struct i8042 i8042;
	struct pci_config pci;
	struct post post;
};

static uint64_t service_now(void *ctx)
{
	const struct board *b = ctx;

	return b->config.now_ns(b->config.ctx);
}

uint64_t board_deadline_ns(const struct board *b)
{
	uint64_t earliest = CHIP_NEVER;

	for (unsigned i = 0; i < SLOT_COUNT; i++) {
		earliest = min_u64(earliest, b->slots[i].deadline_ns);
	}
	return earliest;
}

static void service_arm(void *ctx, unsigned slot, uint64_t deadline_ns)
{
	struct board *b = ctx;

	b->slots[slot].deadline_ns = deadline_ns;
	uint64_t earliest = board_deadline_ns(b);

	if (earliest != b->armed_ns) {
		b->armed_ns = earliest;
		b->config.rearm(b->config.ctx, earliest);
	}
}

/* ISA interrupt 0 arrives at pin 2, as the MADT says; the cascade's own line is connected to nothing. */
static void service_set_irq(void *ctx, unsigned line, bool level)
{
	struct board *b = ctx;

	if (line == CASCADE_LINE) {
		return;
	}
	if (!b->config.no_legacy) {
		pic_set_irq(&b->pic, line, level);
	}
	ioapic_set_pin(&b->ioapic, line == PIT_IRQ ? CASCADE_LINE : line, level);
}

static void pic_output(void *ctx, bool raised)
{
	struct board *b = ctx;

	ioapic_set_pin(&b->ioapic, PIN_8259, raised);
	b->config.extint(b->config.ctx, raised);
}

static void serial_byte(void *ctx, uint8_t byte)
{
	const struct serial_end *e = ctx;

	e->board->config.serial_out(e->board->config.ctx, e->port, &byte, 1);
}

static void serial_has_room(void *ctx)
{
	const struct serial_end *e = ctx;

	if (e->board->config.serial_ready != NULL) {
		e->board->config.serial_ready(e->board->config.ctx, e->port);
	}
}

static void reset_request(void *ctx)
{
	struct board *b = ctx;

	b->config.power(b->config.ctx, BOARD_POWER_RESET);
}

static void pm_event(void *ctx, enum pm_event what, unsigned slp_typ)
{
	struct board *b = ctx;

	if (what == PM_EVENT_RESET) {
		b->config.power(b->config.ctx, BOARD_POWER_RESET);
	} else if (slp_typ == BOARD_SLP_TYP_S5) {
		b->config.power(b->config.ctx, BOARD_POWER_OFF);
	} else if (slp_typ == BOARD_SLP_TYP_S4) {
		b->config.power(b->config.ctx, BOARD_POWER_HIBERNATE);
	}
}

static struct chip_link plug(struct board *b, unsigned slot, const struct chip_ops *ops, void *chip)
{
	b->slots[slot] = (struct slot){ops, chip, CHIP_NEVER};
	return (struct chip_link){&b->services, slot};
}

static void plug_serial(struct board *b, unsigned port, unsigned slot, uint16_t io, unsigned irq)
{
	struct serial *s = &b->com[port];

	b->serial_end[port] = (struct serial_end){b, port};
	s->link = plug(b, slot, &serial_chip, s);
	s->irq = irq;
	s->ctx = &b->serial_end[port];
	s->out = serial_byte;
	s->ready = serial_has_room;
	bus_add_ports(&b->bus, io, SERIAL_PORTS, BUS_WIDTH_1, &serial_ports, s);
}

static void plug_pic(struct board *b)
{
	b->pic.link = plug(b, SLOT_PIC, &pic_chip, &b->pic);
	b->pic.ctx = b;
	b->pic.output = pic_output;
	bus_add_ports(&b->bus, 0x20, 2, BUS_WIDTH_1, &pic_ports, &b->pic);
	bus_add_ports(&b->bus, 0xa0, 2, BUS_WIDTH_1, &pic_ports, &b->pic);
	bus_add_ports(&b->bus, 0x4d0, 2, BUS_WIDTH_1, &pic_elcr_ports, &b->pic);
}

static void plug_ioapic(struct board *b)
{
	b->ioapic.link = plug(b, SLOT_IOAPIC, &ioapic_chip, &b->ioapic);
	b->ioapic.ctx = b->config.ctx;
	b->ioapic.interrupt = b->config.interrupt;
	b->ioapic.default_id = b->config.processors <= 15 ? (uint8_t)b->config.processors : 0;
	bus_add_mmio(&b->bus, BOARD_IOAPIC_GPA, BOARD_IOAPIC_BYTES, &ioapic_mmio, &b->ioapic);
}

static void plug_pit(struct board *b)
{
	b->pit.link = plug(b, SLOT_PIT, &pit_chip, &b->pit);
	bus_add_ports(&b->bus, 0x40, 4, BUS_WIDTH_1, &pit_ports, &b->pit);
	bus_add_ports(&b->bus, 0x61, 1, BUS_WIDTH_1, &pit_port61, &b->pit);
}

static void plug_rtc(struct board *b)
{
	b->rtc.link = plug(b, SLOT_RTC, &rtc_chip, &b->rtc);
	b->rtc.ctx = b->config.ctx;
	b->rtc.wall_ns = b->config.wall_ns;
	b->rtc.ram_bytes = b->config.ram_bytes;
	b->rtc.processors = b->config.processors;
	bus_add_ports(&b->bus, 0x70, 2, BUS_WIDTH_1, &rtc_ports, &b->rtc);
	bus_add_ports(&b->bus, 0x72, 2, BUS_WIDTH_1, &rtc_bank_ports, &b->rtc);
}

static void plug_power(struct board *b)
{
	b->pm.link = plug(b, SLOT_PM, &pm_chip, &b->pm);
	b->pm.irq = BOARD_SCI_GSI;
	b->pm.ctx = b;
	b->pm.event = pm_event;
	b->pm.reset_value = BOARD_RESET_VALUE;
	bus_add_ports(&b->bus, BOARD_PM_PORT, PM_PORTS, BUS_WIDTH_1 | BUS_WIDTH_2 | BUS_WIDTH_4,
		      &pm_ports, &b->pm);

	b->reset.link = plug(b, SLOT_RESET, &reset_chip, &b->reset);
	b->reset.ctx = b;
	b->reset.reset = reset_request;
	bus_add_ports(&b->bus, 0xcf9, 1, BUS_WIDTH_1, &reset_cf9_ports, &b->reset);
	bus_add_ports(&b->bus, 0x92, 1, BUS_WIDTH_1, &reset_port92_ports, &b->reset);

	b->i8042.link = plug(b, SLOT_I8042, &i8042_chip, &b->i8042);
	b->i8042.ctx = b;
	b->i8042.reset = reset_request;
	bus_add_ports(&b->bus, 0x60, 1, BUS_WIDTH_1, &i8042_ports, &b->i8042);
	bus_add_ports(&b->bus, 0x64, 1, BUS_WIDTH_1, &i8042_ports, &b->i8042);
}

static void plug_rest(struct board *b)
{
	b->pci.link = plug(b, SLOT_PCI, &pci_chip, &b->pci);
	bus_add_ports(&b->bus, 0xcf8, 4, BUS_WIDTH_4, &pci_address_ports, &b->pci);
	bus_add_ports(&b->bus, 0xcfc, 4, BUS_WIDTH_1 | BUS_WIDTH_2 | BUS_WIDTH_4, &pci_data_ports,
		      &b->pci);

	b->post.link = plug(b, SLOT_POST, &post_chip, &b->post);
	b->post.ctx = b->config.ctx;
	b->post.code = b->config.post_code;
	bus_add_ports(&b->bus, 0x80, 1, BUS_WIDTH_1, &post_ports, &b->post);
}

int board_create(const struct board_config *config, struct board **ret_board)
{
	CHECK(config->processors > 0);
	struct board *b = calloc(1, sizeof(*b));

	if (b == NULL) {
		return -ENOMEM;
	}
	b->config = *config;
	b->services = (struct chip_services){b, service_now, service_arm, service_set_irq};
	b->armed_ns = CHIP_NEVER;
	for (unsigned i = 0; i < SLOT_COUNT; i++) {
		b->slots[i].deadline_ns = CHIP_NEVER;
	}
	plug_serial(b, 0, SLOT_COM1, 0x3f8, 4);
	plug_serial(b, 1, SLOT_COM2, 0x2f8, 3);
	if (!config->no_legacy) {
		plug_pic(b);
		plug_pit(b);
	}
	plug_ioapic(b);
	plug_rtc(b);
	plug_power(b);
	plug_rest(b);
	rtc_init_cmos(&b->rtc);
	board_reset(b);
	*ret_board = b;
	return 0;
}

void board_destroy(struct board *b)
{
	free(b);
}

void board_reset(struct board *b)
{
	for (unsigned i = 0; i < SLOT_COUNT; i++) {
		if (b->slots[i].ops != NULL) {
			b->slots[i].ops->reset(b->slots[i].chip);
		}
	}
}

uint32_t board_port_read(struct board *b, uint16_t port, unsigned bytes)
{
	return bus_port_read(&b->bus, port, bytes);
}

void board_port_write(struct board *b, uint16_t port, unsigned bytes, uint32_t data)
{
	bus_port_write(&b->bus, port, bytes, data);
}

bool board_mmio_read(struct board *b, uint64_t gpa, unsigned bytes, uint64_t *ret_data)
{
	return bus_mmio_read(&b->bus, gpa, bytes, ret_data);
}

bool board_mmio_write(struct board *b, uint64_t gpa, unsigned bytes, uint64_t data)
{
	return bus_mmio_write(&b->bus, gpa, bytes, data);
}

int board_pic_ack(struct board *b)
{
	return b->config.no_legacy ? -1 : pic_ack(&b->pic);
}

void board_eoi(struct board *b, uint8_t vector)
{
	ioapic_eoi(&b->ioapic, vector);
}

void board_find_ended(struct board *b, bool (*waits)(void *ctx, uint8_t vector), void *ctx)
{
	ioapic_find_ended(&b->ioapic, waits, ctx);
}

size_t board_serial_in(struct board *b, unsigned port, const uint8_t *data, size_t bytes)
{
	CHECK(port < BOARD_SERIAL_PORTS);
	return serial_in(&b->com[port], data, bytes);
}

size_t board_serial_room(const struct board *b, unsigned port)
{
	CHECK(port < BOARD_SERIAL_PORTS);
	return serial_room(&b->com[port]);
}

void board_poll(struct board *b)
{
	uint64_t now_ns = service_now(b);

	for (unsigned i = 0; i < SLOT_COUNT; i++) {
		struct slot *s = &b->slots[i];

		if (s->deadline_ns <= now_ns && s->ops->timer != NULL) {
			service_arm(b, i, CHIP_NEVER);
			s->ops->timer(s->chip, now_ns);
		}
	}
}

bool board_power_button(struct board *b)
{
	return pm_power_button(&b->pm);
}

void board_set_irq(struct board *b, unsigned gsi, bool level)
{
	service_set_irq(b, gsi, level);
}

/* Each record's payload starts with the slot: two chips of one kind share a tag. */
size_t board_save(const struct board *b, void *buf, size_t bytes)
{
	struct state_writer w;

	state_writer_init(&w, buf, bytes);
	state_begin(&w, STATE_BOARD, STATE_VERSION);
	for (unsigned i = 0; i < SLOT_COUNT; i++) {
		const struct slot *s = &b->slots[i];

		if (s->ops == NULL) {
			continue;
		}
		state_begin(&w, s->ops->tag, s->ops->version);
		state_put_u8(&w, (uint8_t)i);
		s->ops->save(s->chip, &w);
		state_end(&w);
	}
	state_end(&w);
	return w.used;
}

static uint32_t chips(const struct board *b)
{
	uint32_t found = 0;

	for (unsigned i = 0; i < SLOT_COUNT; i++) {
		found |= b->slots[i].ops != NULL ? BIT32(i) : 0;
	}
	return found;
}

static bool restore_chips(struct board *b, struct state_reader *records)
{
	struct state_reader payload;
	uint32_t seen = 0;
	uint32_t tag;
	uint16_t version;

	while (state_next(records, &tag, &version, &payload)) {
		unsigned i = state_get_u8(&payload);

		if (i >= SLOT_COUNT || b->slots[i].ops == NULL || b->slots[i].ops->tag != tag) {
			continue; /* a chip that this board does not have */
		}
		if (version > b->slots[i].ops->version || (seen & BIT32(i)) ||
		    !b->slots[i].ops->restore(b->slots[i].chip, &payload)) {
			return false;
		}
		seen |= BIT32(i);
	}
	return !records->bad && seen == chips(b);
}

int board_restore(struct board *b, const void *buf, size_t bytes)
{
	struct state_reader r;
	struct state_reader records;
	uint32_t tag;
	uint16_t version;

	/* Restoring drives lines: what the chips held before must not answer. */
	board_reset(b);
	state_reader_init(&r, buf, bytes);
	if (state_next(&r, &tag, &version, &records) && tag == STATE_BOARD &&
	    version <= STATE_VERSION && restore_chips(b, &records)) {
		b->config.extint(b->config.ctx, b->pic.raised);
		return 0;
	}
	/* What the torn records said about the lines means nothing; the chips' reset finds them all low. */
	b->pic.chip[0].lines = 0;
	b->pic.chip[1].lines = 0;
	b->ioapic.lines = 0;
	board_reset(b);
	return -EINVAL;
}
