// SPDX-License-Identifier: Apache-2.0
/* What drivers find when they look for disks: LUNs that are there, and many that are not. */
#include "test/test.h"

#include <errno.h>

#include "lib/be.h"
#include "lib/bits.h"
#include "rig.h"

static void settle(struct rig *r, unsigned lun)
{
	const struct rig_srb srb = rig_test_unit_ready(lun);

	for (unsigned i = 0; i < 4 && rig_execute(r, 0, &srb, NULL) != SRB_STATUS_SUCCESS; i++) {
	}
}

/* scsi_scan_host of Linux 6.1: returns how many devices it would add, and names the LUNs of target 0. */
static unsigned linux_scan(struct test *t, struct rig *r, uint64_t *ret_luns)
{
	unsigned found = 0;
	uint8_t data[4096];

	*ret_luns = 0;
	for (uint8_t path = 0; path < 8; path++) {
		for (uint8_t target = 0; target < 2; target++) {
			struct rig_srb srb = rig_inquiry(0);
			struct vstor_packet answer;

			srb.path = path;
			srb.target = target;
			rig_data_fill(r, 0); /* storvsc takes any INQUIRY for successful */
			rig_execute(r, 0, &srb, &answer);
			EXPECT_EQ(t, answer.srb.data_bytes, 36); /* else it asks three times */
			rig_data_out(r, 0, data, 36);
			EXPECT(t, (data[2] & 7) >= 3); /* else it looks at every LUN */
			if (data[0] >> 5 != 3) {
				found++;
				*ret_luns |= 1;
			} else {
				EXPECT_EQ(t, data[4] + 5, 36); /* else it asks for more */
			}
			srb = rig_report_luns();
			srb.path = path;
			srb.target = target;
			EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_SUCCESS);
			rig_data_out(r, 0, data, sizeof(data));
			for (uint32_t at = 8; at < 8 + load_be32(data); at += 8) {
				unsigned lun = load_be16(data + at);

				if (lun == 0) {
					continue;
				}
				srb = rig_inquiry(lun);
				srb.path = path;
				srb.target = target;
				EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_SUCCESS);
				rig_data_out(r, 0, data + 2048, 36);
				if (data[2048] >> 5 != 3) {
					found++;
					*ret_luns |= BIT64(lun);
				}
			}
		}
	}
	return found;
}

static void test_scan(struct test *t)
{
	static const uint64_t sets[] = {0,    1,      2,	 BIT64(63), 0x8000000000000001,
					0xff, 0xa5a5, UINT64_MAX};

	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		struct rig *r = rig_create(NULL);
		uint64_t luns;

		for (unsigned lun = 0; lun < STOR_LUNS; lun++) {
			if (sets[i] & BIT64(lun)) {
				rig_add_disk(r, lun, 1 << 20, 0);
			}
		}
		EXPECT(t, rig_up(r));
		EXPECT_EQ(t, linux_scan(t, r, &luns), (unsigned)__builtin_popcountll(sets[i]));
		EXPECT_EQ(t, luns, sets[i]);
		EXPECT_EQ(t, r->owner.logs, 0);
		rig_destroy(r);
	}
}

/* Anything but INQUIRY and REPORT LUNS says that there is no such LUN: Linux then removes it. */
static void test_absent(struct test *t)
{
	static const uint8_t opcodes[] = {0x00, 0x03, 0x08, 0x1a, 0x25,
					  0x28, 0x2a, 0x35, 0x5a, 0x9e};
	static const struct {
		uint8_t path, target, lun;
	} where[] = {{0, 0, 1}, {0, 0, 63}, {0, 0, 64}, {0, 0, 255},
		     {0, 1, 0}, {1, 0, 0},  {7, 1, 0},	{255, 255, 255}};
	struct rig *r = rig_create(NULL);

	rig_add_disk(r, 0, 1 << 20, 0);
	EXPECT(t, rig_up(r));
	for (size_t i = 0; i < ARRAY_LEN(where); i++) {
		for (size_t j = 0; j < ARRAY_LEN(opcodes); j++) {
			struct rig_srb srb = {.path = where[i].path,
					      .target = where[i].target,
					      .lun = where[i].lun,
					      .cdb = {opcodes[j]},
					      .direction = VSTOR_DATA_READ,
					      .bytes = 512};
			struct vstor_packet answer;

			EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_INVALID_LUN);
			EXPECT_EQ(t, answer.header.status, STATUS_DEVICE_DOES_NOT_EXIST);
			EXPECT_EQ(t, answer.srb.data_bytes, 0);
			EXPECT_EQ(t, answer.srb.lun, where[i].lun);
		}
	}
	EXPECT_EQ(t, r->owner.logs, 0);
	rig_destroy(r);
}

static void test_absent_inquiry(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct rig_srb srb = rig_inquiry(3);
	struct vstor_packet answer;
	uint8_t data[64];

	EXPECT(t, rig_up(r));
	rig_data_fill(r, 0xee);
	EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_SUCCESS);
	rig_data_out(r, 0, data, 37);
	EXPECT_EQ(t, data[0], 0x7f);
	EXPECT_EQ(t, data[8], 0);
	EXPECT_EQ(t, data[36], 0xee);

	srb.cdb[4] = 5; /* what it may allocate counts */
	rig_data_fill(r, 0xee);
	EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_SUCCESS);
	EXPECT_EQ(t, answer.srb.data_bytes, 5);
	rig_data_out(r, 0, data, 6);
	EXPECT_EQ(t, data[4], 31);
	EXPECT_EQ(t, data[5], 0xee);

	srb = rig_inquiry(3);
	srb.bytes = 10; /* and so does the buffer */
	srb.offset = 4090;
	EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_SUCCESS);
	EXPECT_EQ(t, answer.srb.data_bytes, 10);
	rig_data_out(r, 4090, data, 10);
	EXPECT_EQ(t, data[0], 0x7f);
	EXPECT_EQ(t, data[4], 31);

	srb = rig_inquiry(0); /* LUN 0 names the target */
	EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_SUCCESS);
	rig_data_out(r, 0, data, 36);
	EXPECT_EQ(t, data[0], 0x7f);
	EXPECT_MEM(t, data + 8, "Msft    Virtual Disk    1.0 ", 28);

	srb.cdb[1] = 1; /* VPD */
	EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer),
		  SRB_STATUS_ERROR | SRB_STATUS_AUTOSENSE_VALID);
	EXPECT_EQ(t, answer.srb.sense[2] & 0xf, 5);
	EXPECT_EQ(t, answer.srb.sense[12], 0x24);

	srb = rig_inquiry(0); /* a buffer to the device: nothing is written */
	srb.direction = VSTOR_DATA_WRITE;
	rig_data_fill(r, 0xee);
	EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_SUCCESS);
	EXPECT_EQ(t, answer.srb.data_bytes, 0);
	rig_data_out(r, 0, data, 1);
	EXPECT_EQ(t, data[0], 0xee);
	srb.bytes = 0;
	EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_SUCCESS);
	EXPECT_EQ(t, answer.srb.data_bytes, 0);
	rig_destroy(r);
}

static void test_report_luns(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct rig_srb srb = rig_report_luns();
	struct vstor_packet answer;
	uint8_t data[64];
	static const uint8_t want[32] = {[3] = 24, [9] = 0, [17] = 5, [25] = 63};

	rig_add_disk(r, 0, 1 << 20, 0);
	rig_add_disk(r, 5, 1 << 20, 0);
	rig_add_disk(r, 63, 1 << 20, 0);
	EXPECT(t, rig_up(r));
	settle(r, 0);
	rig_data_fill(r, 0xee);
	EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_SUCCESS);
	EXPECT_EQ(t, answer.srb.data_bytes, 32);
	rig_data_out(r, 0, data, 33);
	EXPECT_MEM(t, data, want, 32);
	EXPECT_EQ(t, data[32], 0xee);

	srb.lun = 44; /* also through a LUN that is not there */
	EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_SUCCESS);
	EXPECT_EQ(t, answer.srb.data_bytes, 32);

	srb = rig_report_luns();
	srb.cdb[8] = 0;
	srb.cdb[9] = 16; /* the list is cut, its length is not */
	EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_SUCCESS);
	EXPECT_EQ(t, answer.srb.data_bytes, 16);
	rig_data_out(r, 0, data, 16);
	EXPECT_MEM(t, data, want, 16);
	srb.cdb[9] = 15;
	EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer),
		  SRB_STATUS_ERROR | SRB_STATUS_AUTOSENSE_VALID);

	static const struct {
		uint8_t select;
		uint32_t bytes; /* 0: refused */
	} selects[] = {{0, 32}, {1, 8}, {2, 32}, {3, 0}, {0xff, 0}};

	for (size_t i = 0; i < ARRAY_LEN(selects); i++) {
		srb = rig_report_luns();
		srb.cdb[2] = selects[i].select;
		EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer),
			  selects[i].bytes != 0 ? SRB_STATUS_SUCCESS
						: SRB_STATUS_ERROR | SRB_STATUS_AUTOSENSE_VALID);
		EXPECT_EQ(t, answer.srb.data_bytes, selects[i].bytes);
	}
	rig_destroy(r);
}

/* The drive is the target, the path is not looked at. */
static void test_ide(struct test *t)
{
	for (uint8_t drive = 0; drive < 2; drive++) {
		const struct rig_config config = {.ide = true, .ide_path = 1, .ide_target = drive};
		struct rig *r = rig_create(&config);
		struct vstor_packet answer;

		EXPECT_EQ(t, stor_attach(r->s, 1, (struct scsi_unit *)(void *)r), -EINVAL);
		rig_add_disk(r, 0, 1 << 20, 0);
		EXPECT(t, rig_up(r));
		EXPECT_EQ(t, r->s->channel_count, 1);
		for (uint8_t path = 0; path < 3; path++) {
			struct rig_srb srb = rig_test_unit_ready(0);

			srb.path = path;
			srb.target = drive;
			EXPECT(t, rig_execute(r, 0, &srb, &answer) != SRB_STATUS_INVALID_LUN);
			srb.target = !drive;
			EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_INVALID_LUN);
			srb.target = drive;
			srb.lun = 1;
			EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_INVALID_LUN);
		}
		rig_destroy(r);
	}
}

static void test_statuses(struct test *t)
{
	static const struct {
		uint8_t srb;
		uint32_t nt;
	} rows[] = {{0x01, 0},		{0x81, 0},	    {0x02, 0xc0000120}, {0x04, 0xc0000185},
		    {0x84, 0xc0000185}, {0x05, 0x80000011}, {0x06, 0xc0000185}, {0x08, 0xc00000c0},
		    {0x09, 0xc00000b5}, {0x0a, 0xc000009d}, {0x0b, 0xc00000b5}, {0x0e, 0xc0000185},
		    {0x11, 0xc00000c0}, {0x12, 0x80000005}, {0x15, 0xc0000010}, {0x16, 0xc0000001},
		    {0x20, 0xc00000c0}, {0x21, 0xc00000c0}, {0x22, 0xc0000010}, {0x30, 0xc0000185}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		EXPECT_EQ(t, vstor_nt_status(rows[i].srb), rows[i].nt);
	}
	EXPECT_EQ(t, vstor_srb_status(SCSI_GOOD), SRB_STATUS_SUCCESS);
	EXPECT_EQ(t, vstor_srb_status(SCSI_CHECK_CONDITION), SRB_STATUS_ERROR);
	EXPECT_EQ(t, vstor_srb_status(SCSI_BUSY), SRB_STATUS_BUSY);
	EXPECT_EQ(t, vstor_srb_status(SCSI_RESERVATION_CONFLICT), SRB_STATUS_ERROR);
	EXPECT_EQ(t, vstor_srb_status(SCSI_TASK_ABORTED), SRB_STATUS_ABORTED);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_scan),	TEST(test_absent), TEST(test_absent_inquiry),
		TEST(test_report_luns), TEST(test_ide),	   TEST(test_statuses),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
