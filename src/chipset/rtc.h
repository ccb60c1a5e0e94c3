/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MC146818A real-time clock with 128 bytes of CMOS memory and a second bank of 128. Spec: Motorola MC146818A data sheet.
 * The time is the host's wall clock plus what the guest's settings made the difference.
 */
#ifndef CHIPSET_RTC_H
#define CHIPSET_RTC_H

#include "bus.h"
#include "chip.h"

#define RTC_IRQ 8
#define RTC_BYTES 128

struct rtc {
	struct chip_link link;
	void *ctx;
	uint64_t (*wall_ns)(void *ctx);
	uint64_t ram_bytes;
	uint32_t processors;

	uint8_t index;
	uint8_t bank_index;
	uint8_t ram
		[RTC_BYTES]; /* includes registers A to D and, while the clock is set, the time */
	uint8_t bank[RTC_BYTES];
	int64_t offset_ns;  /* guest's time minus wall clock */
	uint64_t second;    /* guest's Unix time of the last update seen */
	uint64_t period_ns; /* guest time of the last periodic event seen */
	bool irq_level;
};

extern const struct chip_ops rtc_chip;
extern const struct bus_port_ops rtc_ports;	 /* 70-71 */
extern const struct bus_port_ops rtc_bank_ports; /* 72-73 */

/* Fills the CMOS memory as firmware would. Once, after creation: CMOS survives resets. */
void rtc_init_cmos(struct rtc *t);

#endif
