// SPDX-License-Identifier: Apache-2.0
/* Spec: ACPI 6.4 chapter 5; values as a Hyper-V child partition sees them. */
#include "firmware/acpi.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "tables.h"

#define TABLE_HEADER_BYTES 36
#define TABLE_LENGTH 4
#define TABLE_CHECKSUM 9
#define OEM_ID "VRTUAL"
#define OEM_TABLE_ID "VIRID   "
#define CREATOR_ID "VIRD"

#define RSDP_BYTES 36
#define RSDP_V1_BYTES 20
#define FADT_BYTES 276
#define FACS_BYTES 64

#define FADT_FLAG_WBINVD BIT32(0)
#define FADT_FLAG_PROC_C1 BIT32(2)
#define FADT_FLAG_SLP_BUTTON                                                                       \
	BIT32(5) /* none of the fixed kind; the power button is one (bit 4 clear) */
#define FADT_FLAG_FIX_RTC BIT32(6)
#define FADT_FLAG_RTC_S4 BIT32(7)
#define FADT_FLAG_TMR_VAL_EXT BIT32(8)
#define FADT_FLAG_RESET_REG BIT32(10)
#define FADT_FLAG_PLATFORM_CLOCK BIT32(15)
#define BOOT_ARCH_LEGACY_DEVICES 0x0001u
#define BOOT_ARCH_NO_VGA 0x0004u

#define PM_BASE 0x400u
#define PM_CONTROL (PM_BASE + 4)
#define PM_TIMER (PM_BASE + 8)
#define PM_GPE0 (PM_BASE + 0xc)
#define PM_RESET (PM_BASE + 0x33)
#define PM_RESET_VALUE 1
#define SCI_IRQ 9
#define LATENCY_NO_C2 101
#define LATENCY_NO_C3 1001
#define CMOS_CENTURY 0x32

#define GAS_IO 1
#define GAS_BYTE 1
#define GAS_WORD 2
#define GAS_DWORD 3

#define MADT_PCAT_COMPAT 1u
#define MADT_LAPIC 0
#define MADT_IOAPIC 1
#define MADT_OVERRIDE 2
#define MADT_LAPIC_NMI 4
#define MADT_X2APIC 9
#define MADT_X2APIC_NMI 10
#define MADT_ENABLED 1u
#define XAPIC_ID_LIMIT 255u
#define MPS_CONFORMS 0x0
#define MPS_LEVEL_HIGH 0xd

#define WAET_RTC_GOOD 1u
#define WAET_PM_TIMER_GOOD 2u

#define SUBTABLES_MAX 4

struct builder {
	uint8_t *buf; /* MEMORY_ACPI_BYTES */
	size_t used;
	size_t table; /* where the open table starts */
	bool full;
	uint64_t base_gpa;
	uint32_t listed[SUBTABLES_MAX]; /* what XSDT and RSDT point to */
	unsigned listed_count;
};

static uint8_t *take(struct builder *b, size_t bytes)
{
	if (!range_within(b->used, bytes, MEMORY_ACPI_BYTES)) {
		b->full = true;
		return NULL;
	}
	uint8_t *p = b->buf + b->used;

	b->used += bytes;
	return p;
}

static void put(struct builder *b, const void *data, size_t bytes)
{
	uint8_t *p = take(b, bytes);

	if (p != NULL) {
		memcpy(p, data, bytes);
	}
}

static void put_u8(struct builder *b, uint8_t v)
{
	put(b, &v, sizeof(v));
}

static void put_u16(struct builder *b, uint16_t v)
{
	put(b, &v, sizeof(v));
}

static void put_u32(struct builder *b, uint32_t v)
{
	put(b, &v, sizeof(v));
}

static void put_u64(struct builder *b, uint64_t v)
{
	put(b, &v, sizeof(v));
}

static uint32_t here(const struct builder *b)
{
	return (uint32_t)(b->base_gpa + b->used);
}

static void table_begin(struct builder *b, const char *signature, uint8_t revision)
{
	uint8_t header[TABLE_HEADER_BYTES] = {0};

	b->used = align_up(b->used, 64);
	b->table = b->used;
	table_tag(header, signature, 4);
	header[8] = revision;
	table_tag(header + 10, OEM_ID, 6);
	table_tag(header + 16, OEM_TABLE_ID, 8);
	store_le32(header + 24, 1);
	table_tag(header + 28, CREATOR_ID, 4);
	store_le32(header + 32, 1);
	put(b, header, sizeof(header));
}

/* Fills in length and checksum; returns the table's GPA. */
static uint32_t table_end(struct builder *b)
{
	if (b->full) {
		return 0;
	}
	uint8_t *t = b->buf + b->table;
	size_t bytes = b->used - b->table;

	store_le32(t + TABLE_LENGTH, (uint32_t)bytes);
	t[TABLE_CHECKSUM] = 0;
	t[TABLE_CHECKSUM] = table_checksum(t, bytes);
	return (uint32_t)(b->base_gpa + b->table);
}

static void list(struct builder *b, uint32_t gpa)
{
	b->listed[b->listed_count++] = gpa;
}

static uint32_t put_facs(struct builder *b)
{
	uint8_t facs[FACS_BYTES] = {0};

	b->used = align_up(b->used, 64);
	uint32_t gpa = here(b);

	table_tag(facs, "FACS", 4);
	store_le32(facs + TABLE_LENGTH, FACS_BYTES);
	facs[32] = 2; /* version */
	put(b, facs, sizeof(facs));
	return gpa;
}

static uint32_t put_dsdt(struct builder *b)
{
	b->used = align_up(b->used, 64);
	uint32_t gpa = here(b);

	put(b, dsdt_aml, dsdt_aml_bytes);
	return gpa;
}

static void gas_io(uint8_t *p, uint8_t bits, uint8_t access, uint64_t port)
{
	p[0] = GAS_IO;
	p[1] = bits;
	p[3] = access;
	store_le64(p + 4, port);
}

static void fadt_registers(uint8_t *f)
{
	store_le32(f + 56, PM_BASE);
	store_le32(f + 64, PM_CONTROL);
	store_le32(f + 76, PM_TIMER);
	store_le32(f + 80, PM_GPE0);
	f[88] = 4; /* PM1_EVT_LEN */
	f[89] = 2; /* PM1_CNT_LEN */
	f[91] = 4; /* PM_TMR_LEN */
	f[92] = 4; /* GPE0_BLK_LEN */
	gas_io(f + 116, 8, GAS_BYTE, PM_RESET);
	f[128] = PM_RESET_VALUE;
	gas_io(f + 148, 32, GAS_WORD, PM_BASE);
	gas_io(f + 172, 16, GAS_WORD, PM_CONTROL);
	gas_io(f + 208, 32, GAS_DWORD, PM_TIMER);
	gas_io(f + 220, 32, GAS_BYTE, PM_GPE0);
}

/* SMI_CMD is 0: the machine is always in ACPI mode. The keyboard controller is not announced. */
static void put_fadt(struct builder *b, uint32_t facs, uint32_t dsdt)
{
	uint8_t f[FADT_BYTES] = {0};

	store_le32(f + 36, facs);
	store_le32(f + 40, dsdt);
	store_le16(f + 46, SCI_IRQ);
	store_le16(f + 96, LATENCY_NO_C2);
	store_le16(f + 98, LATENCY_NO_C3);
	f[108] = CMOS_CENTURY;
	store_le16(f + 109, BOOT_ARCH_LEGACY_DEVICES | BOOT_ARCH_NO_VGA);
	store_le32(f + 112, FADT_FLAG_WBINVD | FADT_FLAG_PROC_C1 | FADT_FLAG_SLP_BUTTON |
				    FADT_FLAG_FIX_RTC | FADT_FLAG_RTC_S4 | FADT_FLAG_TMR_VAL_EXT |
				    FADT_FLAG_RESET_REG | FADT_FLAG_PLATFORM_CLOCK);
	store_le64(f + 140, dsdt);
	fadt_registers(f);
	table_begin(b, "FACP", 6);
	put(b, f + TABLE_HEADER_BYTES, sizeof(f) - TABLE_HEADER_BYTES);
	list(b, table_end(b));
}

static void put_madt_processor(struct builder *b, uint32_t apic_id)
{
	if (apic_id < XAPIC_ID_LIMIT) {
		put_u8(b, MADT_LAPIC);
		put_u8(b, 8);
		put_u8(b, (uint8_t)(apic_id + 1));
		put_u8(b, (uint8_t)apic_id);
		put_u32(b, MADT_ENABLED);
	} else {
		put_u8(b, MADT_X2APIC);
		put_u8(b, 16);
		put_u16(b, 0);
		put_u32(b, apic_id);
		put_u32(b, MADT_ENABLED);
		put_u32(b, apic_id + 1);
	}
}

static void put_madt_override(struct builder *b, uint8_t irq, uint32_t gsi, uint16_t flags)
{
	put_u8(b, MADT_OVERRIDE);
	put_u8(b, 10);
	put_u8(b, 0); /* ISA */
	put_u8(b, irq);
	put_u32(b, gsi);
	put_u16(b, flags);
}

static void put_madt_nmis(struct builder *b, uint32_t processors)
{
	put_u8(b, MADT_LAPIC_NMI);
	put_u8(b, 6);
	put_u8(b, 0xff); /* all processors */
	put_u16(b, MPS_CONFORMS);
	put_u8(b, 1); /* LINT1 */
	if (processors > XAPIC_ID_LIMIT) {
		put_u8(b, MADT_X2APIC_NMI);
		put_u8(b, 12);
		put_u16(b, MPS_CONFORMS);
		put_u32(b, UINT32_MAX);
		put_u8(b, 1);
		put_u8(b, 0);
		put_u16(b, 0);
	}
}

static void put_madt(struct builder *b, uint32_t processors, bool no_legacy)
{
	table_begin(b, "APIC", 4);
	put_u32(b, (uint32_t)MEMORY_LAPIC_GPA);
	put_u32(b, no_legacy ? 0 : MADT_PCAT_COMPAT);
	for (uint32_t i = 0; i < processors; i++) {
		put_madt_processor(b, i);
	}
	put_u8(b, MADT_IOAPIC);
	put_u8(b, 12);
	put_u8(b, processors <= 15 ? (uint8_t)processors : 0);
	put_u8(b, 0);
	put_u32(b, (uint32_t)MEMORY_IOAPIC_GPA);
	put_u32(b, 0);
	if (!no_legacy) {
		put_madt_override(b, 0, 2, MPS_CONFORMS); /* the 8254 */
	}
	put_madt_override(b, SCI_IRQ, SCI_IRQ, MPS_LEVEL_HIGH);
	put_madt_nmis(b, processors);
	list(b, table_end(b));
}

static void put_waet(struct builder *b)
{
	table_begin(b, "WAET", 1);
	put_u32(b, WAET_RTC_GOOD | WAET_PM_TIMER_GOOD);
	list(b, table_end(b));
}

/* AML: Name (\@name, @value) */
static void aml_name_qword(struct builder *b, const char *name, uint64_t value)
{
	put_u8(b, 0x08); /* NameOp */
	put_u8(b, '\\');
	put(b, name, 4);
	put_u8(b, 0x0e); /* QWordPrefix */
	put_u64(b, value);
}

/* What the DSDT declares External. */
static void put_ssdt(struct builder *b, const struct acpi_config *config)
{
	table_begin(b, "SSDT", 2);
	aml_name_qword(b, "MHBA", config->map->mmio_high_gpa);
	aml_name_qword(b, "MHLN", config->map->mmio_high_bytes);
	aml_name_qword(b, "VMBP", config->vmbus);
	list(b, table_end(b));
}

static void put_root(struct builder *b, const char *signature, bool wide, uint32_t *ret_gpa)
{
	table_begin(b, signature, 1);
	for (unsigned i = 0; i < b->listed_count; i++) {
		if (wide) {
			put_u64(b, b->listed[i]);
		} else {
			put_u32(b, b->listed[i]);
		}
	}
	*ret_gpa = table_end(b);
}

static bool write_rsdp(struct gmem *gm, uint32_t rsdt, uint32_t xsdt)
{
	uint8_t r[RSDP_BYTES] = {0};

	table_tag(r, "RSD PTR ", 8);
	table_tag(r + 9, OEM_ID, 6);
	r[15] = 2;
	store_le32(r + 16, rsdt);
	store_le32(r + 20, RSDP_BYTES);
	store_le64(r + 24, xsdt);
	r[8] = table_checksum(r, RSDP_V1_BYTES);
	r[32] = table_checksum(r, RSDP_BYTES);
	return gmem_write_any(gm, MEMORY_RSDP_GPA, r, sizeof(r));
}

int acpi_build(const struct acpi_config *config, struct gmem *gm, uint64_t *ret_rsdp_gpa)
{
	struct builder b = {.base_gpa = config->map->acpi_gpa};
	uint32_t rsdt, xsdt;
	int rc = 0;

	if (config->processors < 1 || config->processors > ACPI_PROCESSORS_MAX) {
		return -EINVAL;
	}
	b.buf = calloc(1, MEMORY_ACPI_BYTES);
	if (b.buf == NULL) {
		return -ENOMEM;
	}
	uint32_t facs = put_facs(&b);
	uint32_t dsdt = put_dsdt(&b);

	put_fadt(&b, facs, dsdt);
	put_madt(&b, config->processors, config->no_legacy);
	put_waet(&b);
	put_ssdt(&b, config);
	put_root(&b, "RSDT", false, &rsdt);
	put_root(&b, "XSDT", true, &xsdt);
	if (b.full) {
		rc = -ENOSPC;
	} else if (!gmem_write_any(gm, b.base_gpa, b.buf, b.used) || !write_rsdp(gm, rsdt, xsdt)) {
		rc = -EFAULT;
	} else {
		*ret_rsdp_gpa = MEMORY_RSDP_GPA;
	}
	free(b.buf);
	return rc;
}
