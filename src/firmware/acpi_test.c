// SPDX-License-Identifier: Apache-2.0
/* The tables as a guest finds them: checksums, pointers, contents; and what ACPICA's own tools make of them. */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "firmware/acpi.h"
#include "lib/bits.h"
#include "machine_test.h"
#include "test/test.h"

#define MIB (UINT64_C(1) << 20)
#define TABLES_MAX 8

static struct machine machine;

static uint8_t sum(const uint8_t *p, size_t bytes)
{
	uint8_t s = 0;

	for (size_t i = 0; i < bytes; i++) {
		s = (uint8_t)(s + p[i]);
	}
	return s;
}

static uint8_t *at(uint64_t gpa)
{
	return machine.ram + gpa; /* low RAM */
}

static void build(struct test *t, uint64_t ram_bytes, uint32_t processors, bool vmbus)
{
	const struct acpi_config config = {&machine.map, processors, vmbus, false};
	uint64_t rsdp = 0;

	if (machine.ram != NULL) {
		machine_fini(&machine);
	}
	if (!machine_init(&machine, ram_bytes)) {
		abort();
	}
	EXPECT_EQ(t, acpi_build(&config, &machine.gm, &rsdp), 0);
	EXPECT_EQ(t, rsdp, MEMORY_RSDP_GPA);
}

/* The table with @signature that the XSDT lists; DSDT and FACS by way of the FADT. NULL: none. */
static uint8_t *find(const char *signature)
{
	uint8_t *xsdt = at(load_le64(at(MEMORY_RSDP_GPA) + 24));

	for (size_t i = 36; i < load_le32(xsdt + 4); i += 8) {
		uint8_t *table = at(load_le64(xsdt + i));

		if (memcmp(table, signature, 4) == 0) {
			return table;
		}
		if (memcmp(table, "FACP", 4) == 0 && memcmp(signature, "DSDT", 4) == 0) {
			return at(load_le64(table + 140));
		}
		if (memcmp(table, "FACP", 4) == 0 && memcmp(signature, "FACS", 4) == 0) {
			return at(load_le32(table + 36));
		}
	}
	return NULL;
}

static void test_pointers_and_checksums(struct test *t)
{
	static const char *const signatures[] = {"FACP", "APIC", "WAET", "SSDT", "DSDT"};

	build(t, 64 * MIB, 4, true);
	uint8_t *rsdp = at(MEMORY_RSDP_GPA);

	EXPECT_MEM(t, rsdp, "RSD PTR ", 8);
	EXPECT_MEM(t, rsdp + 9, "VRTUAL", 6);
	EXPECT_EQ(t, sum(rsdp, 20), 0);
	EXPECT_EQ(t, sum(rsdp, 36), 0);
	uint8_t *rsdt = at(load_le32(rsdp + 16));
	uint8_t *xsdt = at(load_le64(rsdp + 24));

	EXPECT_EQ(t, sum(rsdt, load_le32(rsdt + 4)), 0);
	EXPECT_EQ(t, sum(xsdt, load_le32(xsdt + 4)), 0);
	EXPECT_EQ(t, (load_le32(rsdt + 4) - 36) / 4, 4);
	EXPECT_EQ(t, (load_le32(xsdt + 4) - 36) / 8, 4);
	for (size_t i = 0; i < 4; i++) {
		EXPECT_EQ(t, load_le32(rsdt + 36 + 4 * i), load_le64(xsdt + 36 + 8 * i));
	}
	for (size_t i = 0; i < ARRAY_LEN(signatures); i++) {
		uint8_t *table = find(signatures[i]);

		EXPECT(t, table != NULL);
		if (table != NULL) {
			EXPECT_EQ(t, sum(table, load_le32(table + 4)), 0);
			EXPECT_MEM(t, table + 10, "VRTUAL", 6);
			EXPECT(t, (uint64_t)(table - machine.ram) >= machine.map.acpi_gpa);
		}
	}
	EXPECT_EQ(t, (uint64_t)(find("FACS") - machine.ram) % 64, 0);
}

static void test_fadt(struct test *t)
{
	build(t, 64 * MIB, 1, true);
	const uint8_t *f = find("FACP");

	EXPECT_EQ(t, load_le32(f + 4), 276);
	EXPECT_EQ(t, load_le16(f + 46), 9); /* SCI */
	EXPECT_EQ(t, load_le32(f + 48), 0); /* no SMI */
	EXPECT_EQ(t, load_le32(f + 56), 0x400);
	EXPECT_EQ(t, load_le32(f + 64), 0x404);
	EXPECT_EQ(t, load_le32(f + 76), 0x408);
	EXPECT_EQ(t, load_le32(f + 80), 0x40c);
	EXPECT_EQ(t, load_le64(f + 120), 0x433);
	EXPECT_EQ(t, f[128], 1);
	EXPECT(t, !(load_le16(f + 109) & 2));	      /* no 8042 */
	EXPECT(t, load_le32(f + 112) & BIT32(10));    /* reset register */
	EXPECT(t, load_le32(f + 112) & BIT32(8));     /* 32-bit timer */
	EXPECT(t, !(load_le32(f + 112) & BIT32(4)));  /* fixed power button */
	EXPECT(t, !(load_le32(f + 112) & BIT32(20))); /* not hardware-reduced */
	EXPECT_EQ(t, load_le64(f + 152), 0x400);
	EXPECT_EQ(t, f[149], 32);
}

static void count_madt(const uint8_t *m, unsigned counts[16])
{
	for (size_t i = 44; i < load_le32(m + 4); i += m[i + 1]) {
		counts[m[i] & 15]++;
		if (m[i + 1] == 0) {
			break;
		}
	}
}

static void test_madt_by_processors(struct test *t)
{
	static const struct {
		uint32_t processors;
		unsigned lapics;
		unsigned x2apics;
	} cases[] = {{1, 1, 0}, {64, 64, 0}, {255, 255, 0}, {256, 255, 1}, {2048, 255, 1793}};

	for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
		unsigned counts[16] = {0};

		build(t, 64 * MIB, cases[c].processors, true);
		const uint8_t *m = find("APIC");

		count_madt(m, counts);
		EXPECT_EQ(t, load_le32(m + 36), MEMORY_LAPIC_GPA);
		EXPECT_EQ(t, counts[0], cases[c].lapics);
		EXPECT_EQ(t, counts[9], cases[c].x2apics);
		EXPECT_EQ(t, counts[1], 1);
		EXPECT_EQ(t, counts[2], 2);
		EXPECT_EQ(t, counts[4], 1);
	}
}

/* Linux takes the flag for the 8259s' presence, and the override for the 8254's. */
static void test_madt_without_legacy_chips(struct test *t)
{
	struct acpi_config config = {&machine.map, 1, true, false};

	build(t, 64 * MIB, 1, true);
	EXPECT_EQ(t, load_le32(find("APIC") + 40), 1);
	for (unsigned i = 0; i < 2; i++) {
		unsigned counts[16] = {0};
		uint64_t rsdp;

		config.no_legacy = i == 1;
		EXPECT_EQ(t, acpi_build(&config, &machine.gm, &rsdp), 0);
		count_madt(find("APIC"), counts);
		EXPECT_EQ(t, load_le32(find("APIC") + 40), !config.no_legacy);
		EXPECT_EQ(t, counts[2], config.no_legacy ? 1 : 2);
	}
}

static void test_bad_values(struct test *t)
{
	struct acpi_config config = {&machine.map, 0, true, false};
	struct memory_map elsewhere;
	uint64_t rsdp;

	build(t, 8 * MIB, 1, false);
	EXPECT_EQ(t, acpi_build(&config, &machine.gm, &rsdp), -EINVAL);
	config.processors = 2049;
	EXPECT_EQ(t, acpi_build(&config, &machine.gm, &rsdp), -EINVAL);
	memory_map_init(&elsewhere, 64 * MIB);
	config.processors = 1;
	config.map = &elsewhere;
	EXPECT_EQ(t, acpi_build(&config, &machine.gm, &rsdp), -EFAULT);
}

static bool write_table(const char *dir, const char *signature, const char *name)
{
	char path[256];
	const uint8_t *table = find(signature);

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "wb");

	if (f == NULL || table == NULL) {
		return false;
	}
	bool good = fwrite(table, load_le32(table + 4), 1, f) == 1;

	return fclose(f) == 0 && good;
}

static int shell(const char *command, char *output, size_t room)
{
	FILE *f = popen(command, "r");

	if (f == NULL) {
		return -1;
	}
	size_t n = fread(output, 1, room - 1, f);

	output[n] = 0;
	while (fgetc(f) != EOF) {
	}
	int status = pclose(f);

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Disassembles and compiles again; evaluates what a guest evaluates. */
static void test_acpica_tools_agree(struct test *t)
{
	static char output[1 << 16];
	char dir[] = "/tmp/virid-acpi-XXXXXX";
	char command[1024];

	if (shell("command -v iasl && command -v acpiexec", output, sizeof(output)) != 0) {
		SKIP(t, "iasl or acpiexec is not installed");
	}
	if (mkdtemp(dir) == NULL) {
		SKIP(t, "no temporary folder");
	}
	build(t, 5120 * MIB, 2, true);
	EXPECT(t, write_table(dir, "DSDT", "dsdt.dat") && write_table(dir, "SSDT", "ssdt.dat") &&
			  write_table(dir, "FACP", "facp.dat") &&
			  write_table(dir, "APIC", "apic.dat") &&
			  write_table(dir, "WAET", "waet.dat"));
	snprintf(command, sizeof(command),
		 "cd %s && iasl -e ssdt.dat -d dsdt.dat 2>&1 && iasl -d ssdt.dat facp.dat apic.dat "
		 "waet.dat 2>&1 && "
		 "iasl -vw 3150 -vw 6033 -ve -p again dsdt.dsl 2>&1 && iasl -ve facp.dsl apic.dsl "
		 "waet.dsl 2>&1",
		 dir);
	int rc = shell(command, output, sizeof(output));

	EXPECT_EQ(t, rc, 0);
	EXPECT(t, rc == 0 || !puts(output));
	snprintf(command, sizeof(command),
		 "cd %s && acpiexec -b 'evaluate \\_SB.VMOD._CRS; evaluate \\_SB.VMOD.VMBS._STA; "
		 "evaluate \\_SB.VMOD.VMBS._CRS;"
		 "evaluate \\_S5; quit' dsdt.dat ssdt.dat 2>&1",
		 dir);
	rc = shell(command, output, sizeof(output));
	EXPECT_EQ(t, rc, 0);
	EXPECT(t, strstr(output, "AE_") == NULL);
	/* QWord descriptor: minimum of the high gap, 6 GiB with 5 GiB of RAM */
	EXPECT(t, strstr(output, "Evaluation of \\_SB.VMOD._CRS returned") != NULL);
	EXPECT(t, strstr(output, "80 01 00 00 00") != NULL);
	EXPECT(t, strstr(output, "[Integer] = 000000000000000F") != NULL);
	EXPECT(t, t->failures == 0 || !puts(output));
	snprintf(command, sizeof(command), "rm -r %s", dir);
	shell(command, output, sizeof(output));
}

static void test_smbios(struct test *t)
{
	const struct smbios_config config = {"serial-1", {1, 2, 3}, 2, 64 * MIB};
	static char longer[5000];
	struct smbios_config too_long = config;
	unsigned seen = 0, type = 0;

	build(t, 64 * MIB, 1, true);
	EXPECT_EQ(t, smbios_build(&config, &machine.gm), 0);
	const uint8_t *e = at(MEMORY_SMBIOS_GPA);

	EXPECT_MEM(t, e, "_SM_", 4);
	EXPECT_MEM(t, e + 16, "_DMI_", 5);
	EXPECT_EQ(t, sum(e, e[5]), 0);
	EXPECT_EQ(t, sum(e + 16, 15), 0);
	const uint8_t *p = at(load_le32(e + 24));
	const uint8_t *end = p + load_le16(e + 22);

	while (p < end && type != 127) {
		type = p[0];
		if (type == 1) {
			EXPECT_MEM(t, p + p[1], "Microsoft Corporation\0Virtual Machine\0", 38);
			EXPECT_EQ(t, p[8], 1); /* uuid */
		}
		p += p[1];
		while (p[0] != 0 || p[1] != 0) {
			p++;
		}
		p += 2;
		seen++;
	}
	EXPECT_EQ(t, type, 127);
	EXPECT(t, p == end);
	EXPECT_EQ(t, seen, load_le16(e + 28));
	memset(longer, 's', sizeof(longer) - 1);
	too_long.serial = longer;
	EXPECT_EQ(t, smbios_build(&too_long, &machine.gm), -ENOSPC);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_pointers_and_checksums),
		TEST(test_fadt),
		TEST(test_madt_by_processors),
		TEST(test_madt_without_legacy_chips),
		TEST(test_bad_values),
		TEST(test_smbios),
		TEST(test_acpica_tools_agree),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
