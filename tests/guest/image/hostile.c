// SPDX-License-Identifier: Apache-2.0
/*
 * A VM that attacks its devices while one of its disks goes on working. On the command line: seed=N sequences=N [racer]; or resets=N: it resets
 * itself so often with reads on their way, and counts on its first disk.
 * The last disk, of SCSI controller 1, holds hostile_pattern() of each 8-byte word's number.
 */
#include "hostile.h"

#define HONEST_LUN 0u
#define HONEST_SECTORS 16384u /* of the disk */
#define READ_SECTORS 16u
#define PATTERN_MULTIPLIER 0x9e3779b97f4a7c15ull
#define PER_CONNECTION 16u
#define COUNTER_LBA 1000u

extern uint32_t boot_info; /* from the loader */

static uint64_t dice;
static struct bus_channel honest;
static struct vmbus_offer_channel targets[4];
static unsigned target_count;

uint64_t roll(uint64_t limit)
{
	dice ^= dice >> 12;
	dice ^= dice << 25;
	dice ^= dice >> 27;
	return (dice * 2685821657736338717ull >> 33) % limit;
}

uint32_t edge(void)
{
	static const uint32_t edges[] = {
		0,	 1,	     2,		 7,	     8,		 15,
		16,	 24,	     0x3f,	 0x40,	     0x48,	 HOSTILE_DATA_PFN,
		0x7ff8,	 0x7fff,     0x8000,	 0xffff,     0x10000,	 0x3fff8,
		0x40000, 0x7fffffff, 0x80000000, 0xfffff000, 0xfffffff8, UINT32_MAX};

	return edges[roll(ARRAY_LEN(edges))];
}

/* ---- The command line ---- */

static bool starts(const char *at, const char *word)
{
	while (*word != 0 && *at == *word) {
		at++;
		word++;
	}
	return *word == 0;
}

static const char *find_word(const char *word)
{
	const char *at = (const char *)(uint64_t)((const uint32_t *)(uint64_t)boot_info)[4];

	while (*at != 0 && !starts(at, word)) {
		at++;
	}
	return *at != 0 ? at : NULL;
}

static uint64_t number(const char *word, uint64_t otherwise)
{
	const char *at = find_word(word);
	uint64_t value = 0;

	if (at == NULL) {
		return otherwise;
	}
	while (*word != 0) {
		word++;
		at++;
	}
	for (; *at >= '0' && *at <= '9'; at++) {
		value = value * 10 + (uint64_t)(*at - '0');
	}
	return value;
}

/* ---- The disk that goes on working ---- */

static bool read_honest(void)
{
	uint32_t lba = (uint32_t)roll(HONEST_SECTORS - READ_SECTORS);
	const uint8_t cdb[10] = {0x28,
				 0,
				 (uint8_t)(lba >> 24),
				 (uint8_t)(lba >> 16),
				 (uint8_t)(lba >> 8),
				 (uint8_t)lba,
				 0,
				 0,
				 READ_SECTORS};
	const uint64_t *word = (const uint64_t *)(HONEST_DATA_PFN * (uint64_t)PAGE_BYTES);
	struct vstor_packet r;

	if (!stor_command(&honest, HONEST_LUN, cdb, sizeof(cdb), VSTOR_DATA_READ, HONEST_DATA_PFN,
			  READ_SECTORS * 512, &r) ||
	    r.srb.srb_status != SRB_STATUS_SUCCESS) {
		return false;
	}
	for (unsigned i = 0; i < READ_SECTORS * 64; i++) {
		if (word[i] != (lba * 64ull + i) * PATTERN_MULTIPLIER) {
			return false;
		}
	}
	return true;
}

/* What answers as the sequences expect: waiting for others takes them all the time. */
static bool is_disk(const struct guid *type)
{
	static const struct guid scsi = VSTOR_SCSI_TYPE, ide = VSTOR_IDE_TYPE;

	return guid_equal(type, &scsi) || guid_equal(type, &ide);
}

/* Connects anew; what may be attacked, and what must go on working. */
static bool connect(void)
{
	static const struct guid scsi = VSTOR_SCSI_TYPE;
	const struct vmbus_offer_channel *spared = NULL;

	if (!bus_connect(VERSION_WIN10_V5_3)) {
		return false;
	}
	target_count = 0;
	for (unsigned i = 0; i < bus_offer_count; i++) {
		const struct vmbus_offer_channel *o = &bus_offers[i];

		if (guid_equal(&o->type, &scsi) && o->instance.bytes[15] == 1) {
			spared = o;
		} else if (is_disk(&o->type) && target_count < ARRAY_LEN(targets)) {
			targets[target_count++] = *o;
		}
	}
	return spared != NULL && target_count != 0 &&
	       bus_open(&honest, spared, HONEST_RING_PFN, 8, 0) &&
	       stor_start(&honest, VSTOR_VERSION_WIN10);
}

/* ---- Memory that the host must not write ---- */

static uint64_t *untouched(void)
{
	return (uint64_t *)(UNTOUCHED_PFN * (uint64_t)PAGE_BYTES);
}

static void fill_untouched(void)
{
	for (uint64_t i = 0; i < UNTOUCHED_PAGES * PAGE_BYTES / 8; i++) {
		untouched()[i] = ~i * PATTERN_MULTIPLIER;
	}
}

static uint64_t count_touched(void)
{
	uint64_t touched = 0;

	for (uint64_t i = 0; i < UNTOUCHED_PAGES * PAGE_BYTES / 8; i++) {
		touched += untouched()[i] != ~i * PATTERN_MULTIPLIER;
	}
	return touched;
}

/* ---- Sequences ---- */

static void start_racer(void)
{
	static struct hv_input_start_virtual_processor in __attribute__((aligned(PAGE_BYTES)));
	static uint64_t stack[512] __attribute__((aligned(16)));
	struct hv_initial_vp_context *c = &in.vp_context;
	const struct hv_x64_segment_register code = {
		.limit = UINT32_MAX, .selector = SEL_CODE, .attributes = 0xa09b};
	const struct hv_x64_segment_register data = {
		.limit = UINT32_MAX, .selector = SEL_DATA, .attributes = 0xc093};

	in.partition_id = UINT64_MAX;
	in.vp_index = 1;
	c->rip = (uint64_t)hostile_racer;
	c->rsp = (uint64_t)&stack[511];
	c->rflags = 2;
	c->cs = code;
	c->ds = c->es = c->ss = c->fs = c->gs = data;
	c->tr = (struct hv_x64_segment_register){.limit = 0x67, .attributes = 0x8b};
	c->ldtr = (struct hv_x64_segment_register){.attributes = 0x82};
	c->gdtr = (struct hv_x64_table_register){.limit = 64 * 8 - 1, .base = (uint64_t)gdt};
	c->efer = rdmsr(0xc0000080);
	c->cr0 = read_cr0();
	c->cr3 = read_cr3();
	c->cr4 = read_cr4();
	c->msr_cr_pat = 0x0007040600070406ull;
	CHECK_EQ(bus_hypercall(HvCallStartVirtualProcessor, (uint64_t)&in, 0), HV_STATUS_SUCCESS);
}

/* Sequence @n: its numbers are its own. False: something that should have gone on working did not. */
static bool sequence(uint64_t seed, uint64_t n)
{
	dice = (seed * 1000003 + n + 1) * PATTERN_MULTIPLIER;
	roll(2);
	if (n % 4 == 3) {
		hostile_messages(honest.offer.relid);
		return connect() && read_honest();
	}
	return hostile_rings(&targets[roll(target_count)]) && read_honest() &&
	       (n % PER_CONNECTION != 0 || connect());
}

/* A command that a unit attention does not stop. */
static bool transfer(struct bus_channel *c, bool write, uint32_t lba)
{
	const uint8_t cdb[10] = {write ? 0x2a : 0x28,
				 0,
				 (uint8_t)(lba >> 24),
				 (uint8_t)(lba >> 16),
				 (uint8_t)(lba >> 8),
				 (uint8_t)lba,
				 0,
				 0,
				 1};
	struct vstor_packet r;

	for (unsigned tries = 0; tries < 4; tries++) {
		if (!stor_command(c, 0, cdb, sizeof(cdb),
				  write ? VSTOR_DATA_WRITE : VSTOR_DATA_READ, HOSTILE_DATA_PFN, 512,
				  &r)) {
			return false;
		}
		if (r.srb.srb_status == SRB_STATUS_SUCCESS) {
			return true;
		}
	}
	return false;
}

/* As many reads as fit, then the reset; nobody takes the answers. */
static void reset_with_reads(struct bus_channel *c)
{
	struct vstor_packet p = {.header = {.operation = VSTOR_OPERATION_EXECUTE_SRB, .flags = 1},
				 .srb = {.cdb_bytes = 10,
					 .direction = VSTOR_DATA_READ,
					 .data_bytes = PAGE_BYTES,
					 .cdb = {0x28, [8] = 8}}};
	const struct {
		struct vmbus_packet_gpa_direct direct;
		struct vmbus_gpa_range range;
		uint64_t pfn;
	} header = {{.range_count = 1}, {.bytes = PAGE_BYTES}, HOSTILE_DATA_PFN + 1};

	while (bus_send(c, VMBUS_PACKET_DATA_USING_GPA_DIRECT, 1, 1, &header, sizeof(header), &p,
			sizeof(p))) {
		p.srb.cdb[5] = (uint8_t)(p.srb.cdb[5] + 8);
	}
	for (;;) {
		outb(0x433, 1);
		__asm__ volatile("cli; hlt");
	}
}

static void count_resets(uint64_t resets)
{
	uint64_t *count = (uint64_t *)(HOSTILE_DATA_PFN * (uint64_t)PAGE_BYTES);
	struct bus_channel c;

	test_begin("a reset with channels open and reads on their way");
	CHECK_EQ(connect(), true);
	CHECK_EQ(bus_open(&c, &targets[0], HOSTILE_RING_PFN, 8, 0), true);
	CHECK_EQ(stor_start(&c, VSTOR_VERSION_WIN10), true);
	CHECK_EQ(transfer(&c, false, COUNTER_LBA), true);
	if (*count < resets) {
		++*count;
		CHECK_EQ(transfer(&c, true, COUNTER_LBA), true);
		reset_with_reads(&c);
	}
	CHECK_EQ(read_honest(), true);
	print("# resets: ");
	print_decimal((unsigned)*count);
	print("\n");
	test_end();
	test_plan();
}

static void power_off(void)
{
	__asm__ volatile("outw %0, %1" : : "a"((uint16_t)0x2000), "Nd"((uint16_t)0x404));
	for (;;) {
		__asm__ volatile("cli; hlt");
	}
}

void guest_main(void)
{
	uint64_t seed = number("seed=", 1), count = number("sequences=", 100), done = 0;

	bus_start();
	dice = 1;
	if (number("resets=", 0) != 0) {
		count_resets(number("resets=", 0));
		power_off();
	}
	fill_untouched();
	test_begin("a channel of its own");
	CHECK_EQ(connect(), true);
	test_end();
	if (find_word("racer") != NULL) {
		test_begin("a second processor that changes the rings");
		start_racer();
		test_end();
	}
	test_begin("hostile sequences, each of which the other disk survives");
	while (done < count && sequence(seed, done)) {
		done++;
	}
	print("# sequences: ");
	print_decimal((unsigned)done);
	print("\n");
	CHECK_EQ(done, count);
	test_end();
	test_begin("the bus works as before");
	CHECK_EQ(connect(), true);
	CHECK_EQ(read_honest(), true);
	CHECK_EQ(bus_unload(), true);
	test_end();
	test_begin("memory that the host was not given is as it was");
	CHECK_EQ(count_touched(), 0);
	test_end();
	test_plan();
	power_off();
}
