/* SPDX-License-Identifier: Apache-2.0 */
/* PCI configuration mechanism #1 with nothing on the bus: the address latches, the data reads as "no device". */
#ifndef CHIPSET_PCI_H
#define CHIPSET_PCI_H

#include "bus.h"
#include "chip.h"

struct pci_config {
	struct chip_link link;
	uint32_t address;
};

extern const struct chip_ops pci_chip;
extern const struct bus_port_ops pci_address_ports; /* CF8, doubleword accesses only */
extern const struct bus_port_ops pci_data_ports;    /* CFC-CFF */

#endif
