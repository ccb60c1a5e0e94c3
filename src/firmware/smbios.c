// SPDX-License-Identifier: Apache-2.0
/* Spec: DMTF DSP0134 (SMBIOS 2.8). Guests recognize Hyper-V by the system's manufacturer and product. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "firmware/acpi.h"
#include "lib/bits.h"
#include "tables.h"

#define ENTRY_BYTES 31
#define ENTRY_INTERMEDIATE 16
#define TABLES_GPA (MEMORY_SMBIOS_GPA + 0x20)
#define TABLES_BYTES 4096
#define STRINGS_MAX 6

#define MANUFACTURER "Microsoft Corporation"
#define PRODUCT "Virtual Machine"
#define BIOS_VENDOR "Virid"
#define BIOS_VERSION "Virid 1.0"
/* Linux trusts PCI configuration mechanism #1 on an empty bus only if the date says that the machine is not from the 1990s. */
#define BIOS_DATE "06/01/2026"
#define SYSTEM_VERSION "7.0"

struct tables {
	uint8_t buf[TABLES_BYTES];
	size_t used;
	uint16_t count;
	size_t largest;
	bool full;
};

/* Appends one structure: @body is the formatted area after the header, strings are numbered from 1 and end at NULL. */
static void add(struct tables *t, uint8_t type, uint16_t handle, const uint8_t *body,
		size_t body_bytes, const char *const strings[STRINGS_MAX])
{
	size_t start = t->used;
	size_t bytes = 4 + body_bytes + 1;

	for (unsigned i = 0; i < STRINGS_MAX && strings[i] != NULL; i++) {
		bytes += strlen(strings[i]) + 1;
	}
	bytes += strings[0] == NULL;
	if (!range_within(start, bytes, TABLES_BYTES)) {
		t->full = true;
		return;
	}
	uint8_t *p = t->buf + start;

	p[0] = type;
	p[1] = (uint8_t)(4 + body_bytes);
	store_le16(p + 2, handle);
	memcpy(p + 4, body, body_bytes);
	p += 4 + body_bytes;
	for (unsigned i = 0; i < STRINGS_MAX && strings[i] != NULL; i++) {
		size_t n = strlen(strings[i]) + 1;

		memcpy(p, strings[i], n);
		p += n;
	}
	t->used += bytes;
	t->count++;
	t->largest = max_u64(t->largest, bytes);
}

static void add_bios(struct tables *t)
{
	static const char *const strings[STRINGS_MAX] = {BIOS_VENDOR, BIOS_VERSION, BIOS_DATE};
	uint8_t b[20] = {1, 2, 0, 0, 3};

	store_le16(b + 2, 0xf000);   /* segment */
	store_le64(b + 6, BIT64(3)); /* characteristics are not supported */
	b[15] = 0x14;		     /* extension 2: virtual machine, targeted content */
	b[16] = 1;
	b[18] = 0xff;
	b[19] = 0xff;
	add(t, 0, 0, b, sizeof(b), strings);
}

static void add_system(struct tables *t, const struct smbios_config *config, const char *serial)
{
	const char *const strings[STRINGS_MAX] = {MANUFACTURER, PRODUCT, SYSTEM_VERSION, serial};
	uint8_t b[23] = {1, 2, 3, 4};

	memcpy(b + 4, config->uuid, 16);
	b[20] = 6; /* power switch */
	add(t, 1, 1, b, sizeof(b), strings);
}

static void add_board(struct tables *t, const char *serial)
{
	const char *const strings[STRINGS_MAX] = {MANUFACTURER, PRODUCT, SYSTEM_VERSION, serial};
	uint8_t b[11] = {1, 2, 3, 4, 0, 0x01};

	store_le16(b + 7, 3); /* chassis */
	b[9] = 0x0a;	      /* motherboard */
	add(t, 2, 2, b, sizeof(b), strings);
}

static void add_chassis(struct tables *t, const char *serial)
{
	const char *const strings[STRINGS_MAX] = {MANUFACTURER, SYSTEM_VERSION, serial};
	uint8_t b[18] = {1, 3, 2, 3, 0, 3, 3, 3, 2}; /* desktop, states safe */

	add(t, 3, 3, b, sizeof(b), strings);
}

static void add_processor(struct tables *t, const struct smbios_config *config)
{
	static const char *const strings[STRINGS_MAX] = {"None", MANUFACTURER};
	uint8_t b[38] = {1, 3, 2, 2}; /* central processor, unknown family */
	uint8_t cores = config->processors < 255 ? (uint8_t)config->processors : 0xff;

	b[20] = 0x41;		    /* populated, enabled */
	b[21] = 6;		    /* no upgrade */
	store_le16(b + 22, 0xffff); /* caches not described */
	store_le16(b + 24, 0xffff);
	store_le16(b + 26, 0xffff);
	b[31] = cores;
	b[32] = cores;
	b[33] = cores;
	store_le16(b + 34, 0x0004); /* 64-bit */
	store_le16(b + 36, 2);
	add(t, 4, 4, b, sizeof(b), strings);
}

static void add_memory(struct tables *t, uint64_t ram_bytes)
{
	static const char *const none[STRINGS_MAX] = {NULL};
	static const char *const module[STRINGS_MAX] = {"M0001", "None", MANUFACTURER};
	uint64_t mib = ram_bytes >> 20;
	uint8_t array[19] = {1, 3, 3}; /* on board, system memory, no error correction */
	uint8_t device[36] = {0};
	uint8_t mapped[27] = {0};

	store_le32(array + 3, 0x80000000);
	store_le16(array + 7, 0xfffe);
	store_le16(array + 9, 1);
	store_le64(array + 11, ram_bytes);
	add(t, 16, 16, array, sizeof(array), none);

	store_le16(device, 16);
	store_le16(device + 2, 0xfffe);
	store_le16(device + 4, 0xffff);
	store_le16(device + 6, 0xffff);
	store_le16(device + 8, mib < 0x7fff ? (uint16_t)mib : 0x7fff);
	device[10] = 2; /* unknown form factor */
	device[12] = 1;
	device[13] = 2;
	device[14] = 2; /* unknown type */
	store_le16(device + 15, 0x0004);
	device[19] = 3;
	store_le32(device + 24, mib < 0x7fff ? 0 : (uint32_t)mib);
	add(t, 17, 17, device, sizeof(device), module);

	store_le32(mapped, UINT32_MAX);
	store_le32(mapped + 4, UINT32_MAX);
	store_le16(mapped + 8, 16);
	mapped[10] = 1;
	store_le64(mapped + 19, ram_bytes - 1);
	add(t, 19, 19, mapped, sizeof(mapped), none);
}

static void add_end(struct tables *t)
{
	static const char *const none[STRINGS_MAX] = {NULL};
	const uint8_t boot[7] = {0};

	add(t, 32, 32, boot, sizeof(boot), none);
	add(t, 127, 127, boot, 0, none);
}

static bool write_entry(const struct tables *t, struct gmem *gm)
{
	uint8_t e[ENTRY_BYTES] = {0};

	table_tag(e, "_SM_", 4);
	e[5] = ENTRY_BYTES;
	e[6] = 2;
	e[7] = 8;
	store_le16(e + 8, (uint16_t)t->largest);
	table_tag(e + ENTRY_INTERMEDIATE, "_DMI_", 5);
	store_le16(e + 22, (uint16_t)t->used);
	store_le32(e + 24, TABLES_GPA);
	store_le16(e + 28, t->count);
	e[30] = 0x28;
	e[21] = table_checksum(e + ENTRY_INTERMEDIATE, ENTRY_BYTES - ENTRY_INTERMEDIATE);
	e[4] = table_checksum(e, ENTRY_BYTES);
	return gmem_write_any(gm, MEMORY_SMBIOS_GPA, e, sizeof(e));
}

int smbios_build(const struct smbios_config *config, struct gmem *gm)
{
	struct tables t = {.used = 0};
	const char *serial =
		config->serial != NULL && config->serial[0] != 0 ? config->serial : "None";

	add_bios(&t);
	add_system(&t, config, serial);
	add_board(&t, serial);
	add_chassis(&t, serial);
	add_processor(&t, config);
	add_memory(&t, config->ram_bytes);
	add_end(&t);
	if (t.full) {
		return -ENOSPC;
	}
	return gmem_write_any(gm, TABLES_GPA, t.buf, t.used) && write_entry(&t, gm) ? 0 : -EFAULT;
}
