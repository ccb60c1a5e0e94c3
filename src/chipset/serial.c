// SPDX-License-Identifier: Apache-2.0
#include "serial.h"

#include <string.h>

#include "lib/bits.h"

#define IER_RDA 0x01u
#define IER_THRE 0x02u
#define IER_LINE 0x04u
#define IER_MODEM 0x08u
#define IER_MASK 0x0fu

#define IIR_NONE 0x01u
#define IIR_MODEM 0x00u
#define IIR_THRE 0x02u
#define IIR_RDA 0x04u
#define IIR_LINE 0x06u
#define IIR_TIMEOUT 0x0cu
#define IIR_FIFO 0xc0u

#define FCR_ENABLE 0x01u
#define FCR_CLEAR_RX 0x02u
#define FCR_KEPT 0xc9u

#define LCR_DLAB 0x80u

#define MCR_DTR 0x01u
#define MCR_RTS 0x02u
#define MCR_OUT1 0x04u
#define MCR_OUT2 0x08u
#define MCR_LOOP 0x10u
#define MCR_MASK 0x1fu

#define LSR_DR 0x01u
#define LSR_OE 0x02u
#define LSR_ERRORS 0x1eu
#define LSR_THRE 0x20u
#define LSR_TEMT 0x40u

#define MSR_DCTS 0x01u
#define MSR_DDSR 0x02u
#define MSR_TERI 0x04u
#define MSR_DDCD 0x08u
#define MSR_CTS 0x10u
#define MSR_DSR 0x20u
#define MSR_RI 0x40u
#define MSR_DCD 0x80u
#define MSR_DELTAS 0x0fu
#define MSR_LINES 0xf0u

/* One bit takes 1/115200 s with divisor 1; a character has 10 bits and the receiver waits for four of them. */
#define TIMEOUT_NS_PER_DIVISOR (40 * CHIP_NS_PER_S / 115200)

static unsigned rx_capacity(const struct serial *s)
{
	return s->fcr & FCR_ENABLE ? SERIAL_FIFO_BYTES : 1;
}

static unsigned rx_trigger(const struct serial *s)
{
	static const uint8_t levels[4] = {1, 4, 8, 14};

	return s->fcr & FCR_ENABLE ? levels[s->fcr >> 6] : 1;
}

static uint8_t pending(const struct serial *s)
{
	if ((s->ier & IER_LINE) && (s->lsr & LSR_ERRORS)) {
		return IIR_LINE;
	}
	if ((s->ier & IER_RDA) && s->rx_count >= rx_trigger(s)) {
		return IIR_RDA;
	}
	if ((s->ier & IER_RDA) && s->timeout_pending) {
		return IIR_TIMEOUT;
	}
	if ((s->ier & IER_THRE) && s->thre_pending) {
		return IIR_THRE;
	}
	if ((s->ier & IER_MODEM) && (s->msr & MSR_DELTAS)) {
		return IIR_MODEM;
	}
	return IIR_NONE;
}

/* On a PC the interrupt output goes through a gate that OUT2 opens; loopback holds that pin inactive. */
static void update_irq(struct serial *s)
{
	bool level = pending(s) != IIR_NONE && (s->mcr & MCR_OUT2) && !(s->mcr & MCR_LOOP);

	if (level != s->irq_level) {
		s->irq_level = level;
		chip_irq(&s->link, s->irq, level);
	}
}

/* The receive time-out runs while the FIFO holds less than its trigger; every receive and read restarts it. */
static void restart_timeout(struct serial *s)
{
	s->timeout_pending = false;
	s->timeout_ns = CHIP_NEVER;
	if ((s->fcr & FCR_ENABLE) && s->rx_count > 0) {
		uint64_t divisor = s->divisor ? s->divisor : 1;

		s->timeout_ns = chip_now(&s->link) + divisor * TIMEOUT_NS_PER_DIVISOR;
	}
	chip_arm(&s->link, s->timeout_ns);
}

static void serial_timer(void *chip, uint64_t now_ns)
{
	struct serial *s = chip;

	if (s->timeout_ns > now_ns) {
		chip_arm(&s->link, s->timeout_ns);
		return;
	}
	s->timeout_ns = CHIP_NEVER;
	s->timeout_pending = s->rx_count > 0;
	update_irq(s);
}

static void rx_put(struct serial *s, uint8_t byte)
{
	if (s->rx_count >= rx_capacity(s)) {
		/* The FIFO keeps what it has; the single receive register is overwritten. */
		s->lsr |= LSR_OE;
		if (!(s->fcr & FCR_ENABLE)) {
			s->rx[s->rx_head] = byte;
		}
		return;
	}
	s->rx[(s->rx_head + s->rx_count) % SERIAL_FIFO_BYTES] = byte;
	s->rx_count++;
}

static void tell_ready(struct serial *s)
{
	if (s->refused && serial_room(s) > 0) {
		s->refused = false;
		s->ready(s->ctx);
	}
}

static void rx_clear(struct serial *s)
{
	s->rx_head = 0;
	s->rx_count = 0;
	restart_timeout(s);
}

static uint8_t rx_get(struct serial *s)
{
	uint8_t byte = s->rx[s->rx_head];

	if (s->rx_count > 0) {
		s->rx_head = (uint8_t)((s->rx_head + 1) % SERIAL_FIFO_BYTES);
		s->rx_count--;
	}
	restart_timeout(s);
	update_irq(s);
	tell_ready(s);
	return byte;
}

static uint8_t modem_lines(const struct serial *s)
{
	if (!(s->mcr & MCR_LOOP)) {
		return MSR_DCD | MSR_DSR | MSR_CTS;
	}
	return (uint8_t)((s->mcr & MCR_RTS ? MSR_CTS : 0) | (s->mcr & MCR_DTR ? MSR_DSR : 0) |
			 (s->mcr & MCR_OUT1 ? MSR_RI : 0) | (s->mcr & MCR_OUT2 ? MSR_DCD : 0));
}

static void update_modem(struct serial *s)
{
	uint8_t lines = modem_lines(s);
	uint8_t changed = lines ^ s->msr;
	uint8_t deltas = s->msr & MSR_DELTAS;

	deltas |=
		(uint8_t)((changed & MSR_CTS ? MSR_DCTS : 0) | (changed & MSR_DSR ? MSR_DDSR : 0) |
			  (changed & MSR_DCD ? MSR_DDCD : 0));
	if ((changed & MSR_RI) && !(lines & MSR_RI)) {
		deltas |= MSR_TERI;
	}
	s->msr = lines | deltas;
}

static uint8_t read_iir(struct serial *s)
{
	uint8_t source = pending(s);

	if (source == IIR_THRE) {
		s->thre_pending = false;
		update_irq(s);
	}
	return (uint8_t)(source | (s->fcr & FCR_ENABLE ? IIR_FIFO : 0));
}

static uint8_t read_lsr(struct serial *s)
{
	uint8_t v = (uint8_t)(s->lsr | LSR_THRE | LSR_TEMT | (s->rx_count > 0 ? LSR_DR : 0));

	s->lsr = 0;
	update_irq(s);
	return v;
}

static uint8_t read_msr(struct serial *s)
{
	uint8_t v = s->msr;

	s->msr &= MSR_LINES;
	update_irq(s);
	return v;
}

static uint32_t serial_read(void *chip, uint16_t port, unsigned bytes)
{
	struct serial *s = chip;

	switch (port & 7) {
	case 0:
		return s->lcr & LCR_DLAB ? s->divisor & 0xff : rx_get(s);
	case 1:
		return s->lcr & LCR_DLAB ? s->divisor >> 8 : s->ier;
	case 2:
		return read_iir(s);
	case 3:
		return s->lcr;
	case 4:
		return s->mcr;
	case 5:
		return read_lsr(s);
	case 6:
		return read_msr(s);
	default:
		return s->scratch;
	}
}

static void transmit(struct serial *s, uint8_t byte)
{
	if (s->mcr & MCR_LOOP) {
		rx_put(s, byte);
		restart_timeout(s);
	} else {
		s->out(s->ctx, byte);
	}
	s->thre_pending = true;
	update_irq(s);
}

static void write_ier(struct serial *s, uint8_t v)
{
	/* Enabling the interrupt while the holding register is empty raises it at once. */
	if ((v & IER_THRE) && !(s->ier & IER_THRE)) {
		s->thre_pending = true;
	}
	s->ier = v & IER_MASK;
	update_irq(s);
}

static void write_fcr(struct serial *s, uint8_t v)
{
	bool toggled = ((v ^ s->fcr) & FCR_ENABLE) != 0;

	s->fcr = v & FCR_ENABLE ? v & FCR_KEPT : 0;
	if (toggled || (v & FCR_CLEAR_RX)) {
		rx_clear(s);
	}
	update_irq(s);
	tell_ready(s);
}

static void write_mcr(struct serial *s, uint8_t v)
{
	s->mcr = v & MCR_MASK;
	update_modem(s);
	update_irq(s);
	tell_ready(s);
}

static void serial_write(void *chip, uint16_t port, unsigned bytes, uint32_t data)
{
	struct serial *s = chip;
	uint8_t v = (uint8_t)data;

	switch (port & 7) {
	case 0:
		if (s->lcr & LCR_DLAB) {
			s->divisor = (uint16_t)((s->divisor & 0xff00) | v);
		} else {
			transmit(s, v);
		}
		break;
	case 1:
		if (s->lcr & LCR_DLAB) {
			s->divisor = (uint16_t)((s->divisor & 0x00ff) | v << 8);
		} else {
			write_ier(s, v);
		}
		break;
	case 2:
		write_fcr(s, v);
		break;
	case 3:
		s->lcr = v;
		break;
	case 4:
		write_mcr(s, v);
		break;
	case 7:
		s->scratch = v;
		break;
	default: /* LSR and MSR: factory test only */
		break;
	}
}

size_t serial_room(const struct serial *s)
{
	return s->mcr & MCR_LOOP ? 0 : rx_capacity(s) - s->rx_count;
}

size_t serial_in(struct serial *s, const uint8_t *data, size_t bytes)
{
	size_t taken = (size_t)min_u64(bytes, serial_room(s));

	for (size_t i = 0; i < taken; i++) {
		rx_put(s, data[i]);
	}
	if (taken < bytes) {
		s->refused = true;
	}
	if (taken > 0) {
		restart_timeout(s);
		update_irq(s);
	}
	return taken;
}

static void serial_reset(void *chip)
{
	struct serial *s = chip;

	s->ier = 0;
	s->fcr = 0;
	s->lcr = 0;
	s->mcr = 0;
	s->lsr = 0;
	s->msr = modem_lines(s);
	s->scratch = 0;
	s->divisor = 1;
	memset(s->rx, 0, sizeof(s->rx));
	s->rx_head = 0;
	s->rx_count = 0;
	s->thre_pending = false;
	s->timeout_pending = false;
	s->timeout_ns = CHIP_NEVER;
	chip_arm(&s->link, CHIP_NEVER);
	update_irq(s);
	tell_ready(s);
}

static void serial_save(const void *chip, struct state_writer *w)
{
	const struct serial *s = chip;

	state_put_u8(w, s->ier);
	state_put_u8(w, s->fcr);
	state_put_u8(w, s->lcr);
	state_put_u8(w, s->mcr);
	state_put_u8(w, s->lsr);
	state_put_u8(w, s->msr);
	state_put_u8(w, s->scratch);
	state_put_u16(w, s->divisor);
	state_put_u8(w, s->rx_count);
	for (unsigned i = 0; i < SERIAL_FIFO_BYTES; i++) {
		state_put_u8(w, s->rx[(s->rx_head + i) % SERIAL_FIFO_BYTES]);
	}
	state_put_u8(w, s->thre_pending);
	state_put_u8(w, s->timeout_pending);
	state_put_u64(w, chip_time_save(s->timeout_ns, chip_now(&s->link)));
}

static bool serial_restore(void *chip, struct state_reader *r)
{
	struct serial *s = chip;

	s->ier = state_get_u8(r) & IER_MASK;
	s->fcr = state_get_u8(r);
	s->fcr = s->fcr & FCR_ENABLE ? s->fcr & FCR_KEPT : 0;
	s->lcr = state_get_u8(r);
	s->mcr = state_get_u8(r) & MCR_MASK;
	s->lsr = state_get_u8(r) & LSR_ERRORS;
	s->msr = state_get_u8(r);
	s->scratch = state_get_u8(r);
	s->divisor = state_get_u16(r);
	s->rx_head = 0;
	s->rx_count = state_get_u8(r);
	state_get_bytes(r, s->rx, sizeof(s->rx));
	s->thre_pending = state_get_u8(r) != 0;
	s->timeout_pending = state_get_u8(r) != 0;
	s->timeout_ns = chip_time_restore(state_get_u64(r), chip_now(&s->link));
	if (r->bad || s->rx_count > rx_capacity(s)) {
		return false;
	}
	chip_arm(&s->link, s->timeout_ns);
	s->irq_level = pending(s) != IIR_NONE && (s->mcr & MCR_OUT2) && !(s->mcr & MCR_LOOP);
	tell_ready(s);
	return true;
}

const struct chip_ops serial_chip = {
	.tag = STATE_TAG('U', 'A', 'R', 'T'),
	.version = 1,
	.reset = serial_reset,
	.save = serial_save,
	.restore = serial_restore,
	.timer = serial_timer,
};

const struct bus_port_ops serial_ports = {serial_read, serial_write};
