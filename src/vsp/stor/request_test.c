// SPDX-License-Identifier: Apache-2.0
/* SRBs with data: sizes, alignments, page lists, errors, and what guests do wrong. */
#include "test/test.h"

#include <errno.h>

#include "lib/be.h"
#include "lib/bits.h"
#include "rig.h"

#define DISK_BYTES (UINT64_C(8) << 20)

static struct rig *disk_rig(void)
{
	struct rig *r = rig_create(NULL);

	rig_add_disk(r, 0, DISK_BYTES, 0);
	rig_up(r);
	/* The first command of a new initiator hears of the power on. */
	const struct rig_srb srb = rig_test_unit_ready(0);

	for (unsigned i = 0; i < 4 && rig_execute(r, 0, &srb, NULL) != SRB_STATUS_SUCCESS; i++) {
	}
	return r;
}

static void pattern(uint8_t *data, size_t bytes, uint32_t seed)
{
	for (size_t i = 0; i < bytes; i++) {
		seed = seed * 1664525 + 1013904223;
		data[i] = (uint8_t)(seed >> 24);
	}
}

/* Written, read back elsewhere, nothing beside it touched. */
static void test_sizes_and_alignments(struct test *t)
{
	static const uint32_t sectors[] = {1, 2, 7, 8, 9, 63, 64, 128, 255, 1024, 2040, 2048};
	static const uint32_t offsets[] = {0, 512, 3584, 1, 4095, 7};
	static uint8_t data[STOR_MAX_TRANSFER_BYTES], back[STOR_MAX_TRANSFER_BYTES + 2 * 4096];
	struct rig *r = disk_rig();

	for (size_t i = 0; i < ARRAY_LEN(sectors); i++) {
		for (size_t j = 0; j < ARRAY_LEN(offsets); j++) {
			uint32_t bytes = sectors[i] * 512, at = offsets[j];
			struct rig_srb srb = rig_write(0, (uint32_t)(i * 13 + j), sectors[i]);
			struct vstor_packet answer;

			srb.offset = at;
			pattern(data, bytes, (uint32_t)(i * 100 + j));
			rig_data_fill(r, 0x11);
			rig_data_in(r, at, data, bytes);
			EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_SUCCESS);
			EXPECT_EQ(t, answer.srb.data_bytes, bytes);

			srb = rig_read(0, (uint32_t)(i * 13 + j), sectors[i]);
			srb.offset = at;
			rig_data_fill(r, 0xee);
			EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_SUCCESS);
			EXPECT_EQ(t, answer.srb.data_bytes, bytes);
			EXPECT_EQ(t, answer.srb.scsi_status, SCSI_GOOD);
			EXPECT_EQ(t, answer.header.status, STATUS_SUCCESS);
			rig_data_out(r, 0, back, at + bytes + 64);
			EXPECT_MEM(t, back + at, data, bytes);
			for (uint32_t k = 0; k < at; k++) {
				EXPECT_EQ(t, back[k], 0xee);
			}
			EXPECT_EQ(t, back[at + bytes], 0xee);
			EXPECT_EQ(t, back[at + bytes + 63], 0xee);
		}
	}
	EXPECT_EQ(t, r->owner.logs, 0);
	rig_destroy(r);
}

/* A GPA-direct packet as the test likes it. */
struct raw {
	struct vmbus_packet_gpa_direct direct;
	uint8_t ranges[16 * 600];
	size_t bytes;
};

static void raw_range(struct raw *w, uint32_t bytes, uint32_t offset, const uint64_t *pfns,
		      unsigned count)
{
	const struct vmbus_gpa_range range = {bytes, offset};

	memcpy(w->ranges + w->bytes, &range, sizeof(range));
	memcpy(w->ranges + w->bytes + sizeof(range), pfns, count * 8);
	w->bytes += sizeof(range) + count * 8;
	w->direct.range_count++;
}

static uint8_t raw_execute(struct rig *r, const struct raw *w, const struct rig_srb *srb,
			   struct vstor_packet *ret)
{
	struct vstor_packet packet;
	uint64_t transaction;
	uint16_t type;

	rig_packet(srb, &packet);
	if (!fake_guest_write(&r->channels[0], VMBUS_PACKET_DATA_USING_GPA_DIRECT, true, 3,
			      &w->direct, sizeof(w->direct) + w->bytes, &packet, sizeof(packet))) {
		return 0;
	}
	rig_run(r);
	while (rig_receive(r, 0, &transaction, &type, ret) != 0) {
		if (transaction == 3) {
			return ret->srb.srb_status;
		}
	}
	return 0;
}

/* One range for each page, as page-buffer packets have it; ranges longer than the data; the same page twice. */
static void test_range_forms(struct test *t)
{
	static uint8_t data[16 * 4096], back[16 * 4096];
	struct rig *r = disk_rig();
	struct rig_srb srb = rig_write(0, 100, 64);
	struct vstor_packet answer;
	struct raw w = {.bytes = 0};

	pattern(data, sizeof(data), 9);
	rig_data_in(r, 0, data, sizeof(data));
	for (unsigned i = 0; i < 8; i++) {
		raw_range(&w, 4096, 0, &r->data_pfns[i], 1);
	}
	EXPECT_EQ(t, raw_execute(r, &w, &srb, &answer), SRB_STATUS_SUCCESS);

	srb = rig_read(0, 100, 64);
	w = (struct raw){.bytes = 0};
	for (unsigned i = 0; i < 64; i++) { /* backwards and in sectors */
		raw_range(&w, 512, (63 - i) % 8 * 512, &r->data_pfns[20 + (63 - i) / 8], 1);
	}
	EXPECT_EQ(t, raw_execute(r, &w, &srb, &answer), SRB_STATUS_SUCCESS);
	rig_data_out(r, 20 * 4096, back, 64 * 512);
	for (unsigned i = 0; i < 64; i++) {
		EXPECT_MEM(t, back + (63 - i) * 512, data + i * 512, 512);
	}

	w = (struct raw){.bytes = 0};
	raw_range(&w, 200 * 4096, 0, r->data_pfns, 200);
	EXPECT_EQ(t, raw_execute(r, &w, &srb, &answer), SRB_STATUS_SUCCESS);
	EXPECT_EQ(t, answer.srb.data_bytes, 64 * 512);

	const uint64_t same[8] = {r->data_pfns[3], r->data_pfns[3], r->data_pfns[3],
				  r->data_pfns[3], r->data_pfns[3], r->data_pfns[3],
				  r->data_pfns[3], r->data_pfns[3]};

	w = (struct raw){.bytes = 0};
	raw_range(&w, 8 * 4096, 0, same, 8);
	EXPECT_EQ(t, raw_execute(r, &w, &srb, &answer), SRB_STATUS_SUCCESS);
	rig_data_out(r, 3 * 4096, back, 4096);
	EXPECT_MEM(t, back, data + 7 * 4096, 4096);
	EXPECT_EQ(t, r->owner.logs, 0);
	rig_destroy(r);
}

static void expect_bad(struct test *t, struct rig *r, const struct raw *w, struct rig_srb srb,
		       enum stor_violation kind)
{
	uint64_t before = r->s->violations[kind];
	struct vstor_packet answer;

	EXPECT_EQ(t, raw_execute(r, w, &srb, &answer), SRB_STATUS_INVALID_REQUEST);
	EXPECT_EQ(t, answer.srb.data_bytes, 0);
	EXPECT_EQ(t, answer.header.status, STATUS_IO_DEVICE_ERROR);
	EXPECT_EQ(t, r->s->violations[kind], before + 1);
}

static void test_bad_memory(struct test *t)
{
	struct rig *r = disk_rig();
	const uint64_t beyond = r->g->pages + 5, far = UINT64_MAX, hole = r->data_pfns[1];
	struct raw w = {.bytes = 0};

	EXPECT_EQ(t, gmem_unmap(&r->g->gm, hole), 0);
	raw_range(&w, 4096, 0, &hole, 1);
	expect_bad(t, r, &w, rig_read(0, 0, 8), VIOLATION_MEMORY);
	expect_bad(t, r, &w, rig_write(0, 0, 8), VIOLATION_MEMORY);
	w = (struct raw){.bytes = 0};
	raw_range(&w, 4096, 0, &beyond, 1);
	expect_bad(t, r, &w, rig_read(0, 0, 8), VIOLATION_MEMORY);
	w = (struct raw){.bytes = 0};
	raw_range(&w, 4096, 0, &far, 1);
	expect_bad(t, r, &w, rig_read(0, 0, 8), VIOLATION_MEMORY);

	/* A good page first: nothing is written there. */
	const uint64_t mixed[2] = {r->data_pfns[0], hole};

	rig_data_fill(r, 0x42);
	w = (struct raw){.bytes = 0};
	raw_range(&w, 8192, 0, mixed, 2);
	expect_bad(t, r, &w, rig_read(0, 0, 16), VIOLATION_MEMORY);
	EXPECT_EQ(t, *(uint8_t *)fake_guest_page(r->g, mixed[0]), 0x42);

	/* Read-only pages can be written to the disk, not from it. */
	const uint64_t readable = r->data_pfns[2];
	struct rig_srb srb = rig_write(0, 0, 8);
	struct vstor_packet answer;

	EXPECT_EQ(t, gmem_protect(&r->g->gm, readable, GMEM_R | GMEM_X), 0);
	w = (struct raw){.bytes = 0};
	raw_range(&w, 4096, 0, &readable, 1);
	EXPECT_EQ(t, raw_execute(r, &w, &srb, &answer), SRB_STATUS_SUCCESS);
	expect_bad(t, r, &w, rig_read(0, 0, 8), VIOLATION_MEMORY);
	EXPECT_EQ(t, gmem_protect(&r->g->gm, readable, GMEM_X), 0);
	expect_bad(t, r, &w, rig_write(0, 0, 8), VIOLATION_MEMORY);
	rig_destroy(r);
}

static void test_bad_ranges(struct test *t)
{
	struct rig *r = disk_rig();
	struct raw w = {.bytes = 0};

	/* Too short, and none. */
	raw_range(&w, 4095, 0, r->data_pfns, 1);
	expect_bad(t, r, &w, rig_read(0, 0, 8), VIOLATION_MEMORY);
	w = (struct raw){.bytes = 0};
	expect_bad(t, r, &w, rig_read(0, 0, 8), VIOLATION_MEMORY);

	/* More pieces than a page list of the largest transfer has. */
	w = (struct raw){.bytes = 0};
	for (unsigned i = 0; i < 520; i++) {
		raw_range(&w, 512, (i & 1) * 1024, &r->data_pfns[i % 256], 1);
	}
	expect_bad(t, r, &w, rig_write(0, 0, 520), VIOLATION_MEMORY);
	expect_bad(t, r, &w, rig_read(0, 0, 520), VIOLATION_RANGES);

	/* More than the largest transfer. */
	struct rig_srb srb = rig_read(0, 0, 2049);

	w = (struct raw){.bytes = 0};
	raw_range(&w, 2049 * 512, 0, r->data_pfns, 257);
	expect_bad(t, r, &w, srb, VIOLATION_DATA_LENGTH);
	srb.bytes = UINT32_MAX;
	expect_bad(t, r, &w, srb, VIOLATION_DATA_LENGTH);
	rig_destroy(r);
}

/* The page list claims more pages than the packet has: the channel is of no use any more, the VM lives on. */
static void test_broken_range(struct test *t)
{
	struct rig *r = disk_rig();
	struct vstor_packet answer;
	struct raw w = {.bytes = 0};
	struct rig_srb srb = rig_read(0, 0, 8);

	raw_range(&w, UINT32_MAX, 4095, r->data_pfns, 3);
	EXPECT_EQ(t, raw_execute(r, &w, &srb, &answer), 0);
	EXPECT(t, r->s->channels[0].broken);
	EXPECT_EQ(t, rig_execute(r, 0, &srb, NULL), 0);
	EXPECT(t, stor_idle(r->s));
	EXPECT(t, rig_close(r, 0));
	EXPECT(t, rig_open(r, 0));
	EXPECT(t, rig_start(r, VSTOR_VERSION_WIN10));
	EXPECT_EQ(t, rig_execute(r, 0, &srb, NULL), SRB_STATUS_SUCCESS);
	rig_destroy(r);
}

static void test_bad_srbs(struct test *t)
{
	struct rig *r = disk_rig();
	struct rig_srb srb = rig_test_unit_ready(0);
	struct vstor_packet packet, answer;

	srb.cdb_bytes = 17;
	EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_INVALID_REQUEST);
	rig_packet(&srb, &packet);
	packet.srb.cdb_bytes = 0;
	EXPECT_EQ(t, rig_ask(r, 0, &packet, sizeof(packet)), STATUS_IO_DEVICE_ERROR);
	EXPECT_EQ(t, packet.srb.srb_status, SRB_STATUS_INVALID_REQUEST);
	srb = rig_test_unit_ready(0);
	srb.direction = 3;
	EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_INVALID_REQUEST);
	EXPECT_EQ(t, r->s->violations[VIOLATION_SRB], 3);

	/* Data without pages. */
	srb = rig_read(0, 0, 1);
	rig_packet(&srb, &packet);
	EXPECT_EQ(t, rig_ask(r, 0, &packet, sizeof(packet)), STATUS_IO_DEVICE_ERROR);
	EXPECT_EQ(t, packet.srb.srb_status, SRB_STATUS_INVALID_REQUEST);
	EXPECT_EQ(t, r->s->violations[VIOLATION_RANGES], 1);

	/* Pages without data. */
	struct raw w = {.bytes = 0};

	raw_range(&w, 4096, 0, r->data_pfns, 1);
	srb = rig_test_unit_ready(0);
	EXPECT_EQ(t, raw_execute(r, &w, &srb, &answer), SRB_STATUS_SUCCESS);
	rig_destroy(r);
}

/* Packets of other types get no answer and do no harm. */
static void test_packet_types(struct test *t)
{
	struct rig *r = disk_rig();
	struct rig_srb srb = rig_test_unit_ready(0);
	struct vstor_packet packet, answer;
	const uint64_t header[2] = {0};
	uint64_t transaction;
	uint16_t type;

	rig_packet(&srb, &packet);
	for (uint16_t i = 0; i < 20; i++) {
		if (i == VMBUS_PACKET_DATA_INBAND || i == VMBUS_PACKET_DATA_USING_GPA_DIRECT) {
			continue;
		}
		EXPECT(t, fake_guest_write(&r->channels[0], i, true, 1, header, sizeof(header),
					   &packet, sizeof(packet)));
		rig_run(r);
		EXPECT_EQ(t, rig_receive(r, 0, &transaction, &type, &answer), 0);
	}
	EXPECT_EQ(t, r->s->violations[VIOLATION_PACKET_TYPE], 18);
	EXPECT_EQ(t, rig_execute(r, 0, &srb, NULL), SRB_STATUS_SUCCESS);
	rig_destroy(r);
}

/* A command that fails brings its sense; one that fails on the medium too. */
static void test_sense(struct test *t)
{
	const struct block_error_rule rules[] = {
		{.ops = 1u << IO_READ,
		 .offset = 512 * 100,
		 .bytes = 512,
		 .count = UINT64_MAX,
		 .error = -EIO},
		{.ops = 1u << IO_WRITE,
		 .offset = 512 * 200,
		 .bytes = 512,
		 .count = 1,
		 .error = -ENOSPC},
	};
	struct rig *r = rig_create(NULL);
	struct block_device *errors;
	struct vstor_packet answer;
	struct rig_srb srb = rig_test_unit_ready(0);

	EXPECT_EQ(t,
		  block_error_create(testing_disk(&r->io, DISK_BYTES, 512, false), rules,
				     ARRAY_LEN(rules), &errors),
		  0);
	rig_add_block(r, 0, errors, 0);
	EXPECT(t, rig_up(r));
	for (unsigned i = 0; i < 4 && rig_execute(r, 0, &srb, NULL) != SRB_STATUS_SUCCESS; i++) {
	}
	srb = rig_read(0, 96, 8);
	EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer),
		  SRB_STATUS_ERROR | SRB_STATUS_AUTOSENSE_VALID);
	EXPECT_EQ(t, answer.srb.scsi_status, SCSI_CHECK_CONDITION);
	EXPECT_EQ(t, answer.srb.sense[0] & 0x7f, 0x70);
	EXPECT_EQ(t, answer.srb.sense[2] & 0xf, 0x03); /* MEDIUM ERROR */
	EXPECT_EQ(t, answer.srb.sense_bytes, VSTOR_SENSE_BYTES);
	EXPECT_EQ(t, answer.header.status, STATUS_IO_DEVICE_ERROR);

	srb = rig_write(0, 200, 1);
	EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer) & SRB_STATUS_AUTOSENSE_VALID,
		  SRB_STATUS_AUTOSENSE_VALID);
	EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_SUCCESS);

	/* Beyond the end: ILLEGAL REQUEST, LBA OUT OF RANGE. */
	srb = rig_read(0, (uint32_t)(DISK_BYTES / 512), 1);
	EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer),
		  SRB_STATUS_ERROR | SRB_STATUS_AUTOSENSE_VALID);
	EXPECT_EQ(t, answer.srb.sense[2] & 0xf, 0x05);
	EXPECT_EQ(t, answer.srb.sense[12], 0x21);

	/* No such command. */
	srb = rig_test_unit_ready(0);
	srb.cdb[0] = 0xff;
	EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer),
		  SRB_STATUS_ERROR | SRB_STATUS_AUTOSENSE_VALID);
	EXPECT_EQ(t, answer.srb.sense[12], 0x20);
	rig_destroy(r);
}

/* Less data than the buffer holds: the transfer says how much. */
static void test_short_transfer(struct test *t)
{
	struct rig *r = disk_rig();
	struct rig_srb srb = rig_inquiry(0);
	struct vstor_packet answer;
	uint8_t data[512];

	srb.bytes = 512;
	rig_data_fill(r, 0xee);
	EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_SUCCESS);
	EXPECT_EQ(t, answer.srb.data_bytes, 36);
	rig_data_out(r, 0, data, sizeof(data));
	EXPECT_EQ(t, data[0], 0);
	EXPECT_MEM(t, data + 8, "Msft    Virtual Disk    ", 24);
	EXPECT_EQ(t, data[36], 0xee);
	rig_destroy(r);
}

/* What the host wrote into guest memory is in the dirty log; nothing else is. */
static void test_dirty_log(struct test *t)
{
	struct rig *r = disk_rig();
	uint64_t bitmap[64];
	struct rig_srb srb = rig_write(0, 0, 24);

	srb.offset = 2 * 4096;
	gmem_dirty_take(&r->g->gm, 0, sizeof(bitmap) * 8, bitmap);
	EXPECT_EQ(t, rig_execute(r, 0, &srb, NULL), SRB_STATUS_SUCCESS);
	gmem_dirty_take(&r->g->gm, 0, sizeof(bitmap) * 8, bitmap);
	for (unsigned i = 0; i < RIG_DATA_PAGES; i++) {
		EXPECT(t, !(bitmap[r->data_pfns[i] / 64] & BIT64(r->data_pfns[i] % 64)));
	}
	srb = rig_read(0, 0, 24);
	srb.offset = 2 * 4096;
	EXPECT_EQ(t, rig_execute(r, 0, &srb, NULL), SRB_STATUS_SUCCESS);
	gmem_dirty_take(&r->g->gm, 0, sizeof(bitmap) * 8, bitmap);
	for (unsigned i = 0; i < RIG_DATA_PAGES; i++) {
		EXPECT_EQ(t, (bitmap[r->data_pfns[i] / 64] >> r->data_pfns[i] % 64) & 1,
			  i >= 2 && i < 5);
	}
	srb = rig_inquiry(9); /* answered by the target itself */
	EXPECT_EQ(t, rig_execute(r, 0, &srb, NULL), SRB_STATUS_SUCCESS);
	gmem_dirty_take(&r->g->gm, 0, sizeof(bitmap) * 8, bitmap);
	EXPECT((t), bitmap[r->data_pfns[0] / 64] & BIT64(r->data_pfns[0] % 64));
	EXPECT((t), !(bitmap[r->data_pfns[1] / 64] & BIT64(r->data_pfns[1] % 64)));
	rig_destroy(r);
}

/* Old guests send 48 bytes and take no more. */
static void test_old_versions(struct test *t)
{
	static const uint16_t versions[] = {VSTOR_VERSION_WIN6, VSTOR_VERSION_WIN7,
					    VSTOR_VERSION_WIN8};

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		bool old = versions[i] < VSTOR_VERSION_WIN8;
		struct rig *r = rig_create(NULL);
		struct rig_srb srb = rig_test_unit_ready(0);
		struct vstor_packet packet, answer;
		uint64_t transaction;
		uint16_t type;

		rig_add_disk(r, 0, DISK_BYTES, 0);
		EXPECT(t, rig_connect(r, VERSION_WIN8));
		EXPECT(t, rig_start(r, versions[i]));
		rig_packet(&srb, &packet);
		EXPECT(t, fake_guest_send(&r->channels[0], 8, &packet, 48));
		rig_run(r);
		EXPECT_EQ(t, rig_receive(r, 0, &transaction, &type, &answer), 48);
		if (old) {
			EXPECT(t, answer.srb.srb_status != SRB_STATUS_INVALID_REQUEST);
			EXPECT_EQ(t, answer.srb.bytes, VSTOR_SRB_BYTES_WIN7);
		} else {
			EXPECT_EQ(t, answer.srb.srb_status, SRB_STATUS_INVALID_REQUEST);
		}
		EXPECT_EQ(t, r->owner.logs, !old);
		rig_destroy(r);
	}
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_sizes_and_alignments), TEST(test_range_forms),
		TEST(test_bad_memory),		 TEST(test_bad_ranges),
		TEST(test_broken_range),	 TEST(test_bad_srbs),
		TEST(test_packet_types),	 TEST(test_sense),
		TEST(test_short_transfer),	 TEST(test_dirty_log),
		TEST(test_old_versions),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
