// SPDX-License-Identifier: Apache-2.0
#include "pci.h"

#define ADDRESS_BITS 0x80fffffcu /* enable, bus, device, function, register */

static uint32_t address_read(void *chip, uint16_t port, unsigned bytes)
{
	const struct pci_config *p = chip;

	return p->address;
}

static void address_write(void *chip, uint16_t port, unsigned bytes, uint32_t data)
{
	struct pci_config *p = chip;

	p->address = data & ADDRESS_BITS;
}

/* Master abort: all ones. */
static uint32_t data_read(void *chip, uint16_t port, unsigned bytes)
{
	return UINT32_MAX;
}

static void data_write(void *chip, uint16_t port, unsigned bytes, uint32_t data)
{
}

static void pci_reset(void *chip)
{
	struct pci_config *p = chip;

	p->address = 0;
}

static void pci_save(const void *chip, struct state_writer *w)
{
	const struct pci_config *p = chip;

	state_put_u32(w, p->address);
}

static bool pci_restore(void *chip, struct state_reader *r)
{
	struct pci_config *p = chip;

	p->address = state_get_u32(r) & ADDRESS_BITS;
	return !r->bad;
}

const struct chip_ops pci_chip = {
	.tag = STATE_TAG('P', 'C', 'I', ' '),
	.version = 1,
	.reset = pci_reset,
	.save = pci_save,
	.restore = pci_restore,
};

const struct bus_port_ops pci_address_ports = {address_read, address_write};
const struct bus_port_ops pci_data_ports = {data_read, data_write};
