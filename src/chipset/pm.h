/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI fixed hardware: PM1a event and control, PM timer, GPE0 and the reset register. Spec: ACPI 6.4, 4.8. The system is always
 * in ACPI mode (SCI_EN reads 1). Offsets as in a Hyper-V child partition.
 */
#ifndef CHIPSET_PM_H
#define CHIPSET_PM_H

#include "bus.h"
#include "chip.h"

#define PM_PORTS 0x40
#define PM_TIMER_HZ UINT64_C(3579545)

enum pm_event { PM_EVENT_SLEEP, PM_EVENT_RESET };

struct pm {
	struct chip_link link;
	unsigned irq;
	void *ctx;
	/* @slp_typ: the guest's SLP_TYP for PM_EVENT_SLEEP. */
	void (*event)(void *ctx, enum pm_event what, unsigned slp_typ);
	uint8_t reset_value;

	uint16_t status;
	uint16_t enable;
	uint16_t control;
	uint16_t gpe_status;
	uint16_t gpe_enable;
	uint32_t processor_control;
	uint64_t carry; /* bit 31 of the timer toggled this often when TMR_STS was last looked at */
	bool irq_level;
};

extern const struct chip_ops pm_chip;
extern const struct bus_port_ops pm_ports;

/* False: the guest has not enabled the button. */
bool pm_power_button(struct pm *p);

#endif
