/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual motherboard: every emulated chip that a child partition finds at a port or at a fixed GPA, wired together.
 * COM1, COM2 (16550A), two 8259, IOAPIC, 8254, MC146818 with CMOS, ACPI PM block, reset ports, a PCI
 * configuration mechanism with no device behind it, the POST port.
 *
 * Threads: none of these functions is safe against another on the same board; the caller holds one lock around each call and
 * the callbacks are made under it. A callback must not call back into the board. Nothing blocks.
 * Guest input is hostile: every sequence of accesses, of any width and value, is harmless to the host.
 */
#ifndef CHIPSET_BOARD_H
#define CHIPSET_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOARD_SERIAL_PORTS 2
#define BOARD_GSI_COUNT 24
#define BOARD_IOAPIC_GPA UINT64_C(0xfec00000)
#define BOARD_IOAPIC_BYTES 0x1000u
#define BOARD_SCI_GSI 9
#define BOARD_PM_PORT 0x400
#define BOARD_RESET_PORT (BOARD_PM_PORT + 0x33)
#define BOARD_RESET_VALUE 1
/* PM1 control's SLP_TYP values, as the DSDT's \_Sx packages give them. */
#define BOARD_SLP_TYP_S5 0
#define BOARD_SLP_TYP_S4 1

enum board_power {
	BOARD_POWER_OFF,       /* S5 */
	BOARD_POWER_HIBERNATE, /* S4: off, the guest saved itself */
	BOARD_POWER_RESET,     /* reset register, port CF9, port 92, keyboard controller */
};

struct board_config {
	uint64_t ram_bytes;  /* shown in the CMOS */
	uint32_t processors; /* shown in the CMOS; the IOAPIC's id is this, if it fits */
	bool no_legacy; /* without 8259s and 8254: nobody at their ports, and extint is never called */

	void *ctx; /* first argument of every callback */
	/* Guest time in ns: monotonic, stands still while the partition is frozen. */
	uint64_t (*now_ns)(void *ctx);
	/* Host's wall clock, ns since 1970 UTC. */
	uint64_t (*wall_ns)(void *ctx);
	/* The earliest timer changed: call board_poll when now_ns() reaches @deadline_ns (UINT64_MAX: no timer). */
	void (*rearm)(void *ctx, uint64_t deadline_ns);
	/*
	 * IOAPIC to local APICs. @type: 0 fixed, 1 lowest priority, 2 SMI, 4 NMI, 5 INIT, 7 ExtINT; @logical: destination mode;
	 * @level: the EOI must be reported with board_eoi.
	 */
	void (*interrupt)(void *ctx, uint32_t type, uint8_t vector, uint32_t destination,
			  bool logical, bool level);
	/* The master 8259's INTR output changed. */
	void (*extint)(void *ctx, bool raised);
	void (*power)(void *ctx, enum board_power what);
	/* The guest sent bytes on COM(@port + 1). All of them are taken. */
	void (*serial_out)(void *ctx, unsigned port, const uint8_t *data, size_t bytes);
	/* After board_serial_in took less than it was given: there is room again. May be NULL. */
	void (*serial_ready)(void *ctx, unsigned port);
	/* The guest wrote a new POST code to port 80. May be NULL. */
	void (*post_code)(void *ctx, uint8_t code);
};

struct board;

/* @config is copied. -ENOMEM. The board is as after board_reset. */
int board_create(const struct board_config *config, struct board **ret_board);
void board_destroy(struct board *b);
/* Power-on state of every chip, except that CMOS memory, the RTC's time and the other side of the serial lines survive. */
void board_reset(struct board *b);

/* IN / OUT of @bytes 1, 2 or 4 at @port. Nobody there: all ones / nothing. A wider access falls apart into what each chip owns. */
uint32_t board_port_read(struct board *b, uint16_t port, unsigned bytes);
void board_port_write(struct board *b, uint16_t port, unsigned bytes, uint32_t data);
/* Access of 1..8 bytes within a page. False: nobody there (*ret_data is then all ones). */
bool board_mmio_read(struct board *b, uint64_t gpa, unsigned bytes, uint64_t *ret_data);
bool board_mmio_write(struct board *b, uint64_t gpa, unsigned bytes, uint64_t data);

/* The processor acknowledges the 8259s: the vector, or -1 when INTR is not raised any more. */
int board_pic_ack(struct board *b);
/* A local APIC got the EOI of level-triggered @vector. */
void board_eoi(struct board *b, uint8_t vector);
/*
 * The machine stands still: level-triggered interrupts that the board believes to be with a local APIC, and whose vector @waits in none of them, have been
 * ended; the word of it was lost.
 */
void board_find_ended(struct board *b, bool (*waits)(void *ctx, uint8_t vector), void *ctx);

/* Bytes from outside for COM(@port + 1); returns how many the receiver took (0..@bytes). */
size_t board_serial_in(struct board *b, unsigned port, const uint8_t *data, size_t bytes);
size_t board_serial_room(const struct board *b, unsigned port);

/* Runs the timers that are due. Safe to call at any time. */
void board_poll(struct board *b);
/* When the next timer is due; UINT64_MAX: none. */
uint64_t board_deadline_ns(const struct board *b);
/* Presses the ACPI power button (fixed feature): SCI if the guest enabled it. False: it did not. */
bool board_power_button(struct board *b);
/* Drives interrupt line @gsi (0..23; below 16 also the 8259 input of that number). Out of range: ignored. */
void board_set_irq(struct board *b, unsigned gsi, bool level);

/* Tagged records (lib/state.h). Returns the bytes needed, which may be above @bytes (then nothing useful was written). */
size_t board_save(const struct board *b, void *buf, size_t bytes);
/*
 * Onto a board with the same configuration. 0, or -EINVAL when the records are torn or hold an impossible value: the
 * board is then as after board_reset. Time base: timers go on from now_ns() as if no time had passed since the save.
 */
int board_restore(struct board *b, const void *buf, size_t bytes);

#endif
