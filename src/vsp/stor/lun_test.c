// SPDX-License-Identifier: Apache-2.0
/* LUNs that come and go on a running controller, and resets. */
#include "lun_test.h"

static void test_attach_errors(struct test *t)
{
	struct rig *r = two_disks();

	EXPECT_EQ(t, stor_attach(r->s, 0, r->disks[1].unit), -EBUSY);
	EXPECT_EQ(t, stor_attach(r->s, STOR_LUNS, r->disks[1].unit), -EINVAL);
	EXPECT_EQ(t, stor_attach(r->s, UINT32_MAX, r->disks[1].unit), -EINVAL);
	rig_destroy(r);
}

static void test_hot_add(struct test *t)
{
	struct rig *r = two_disks();
	unsigned answers;

	rig_add_disk(r, 7, DISK_BYTES, 0);
	rig_add_disk(r, 8, DISK_BYTES, 0);
	rig_run(r);
	EXPECT_EQ(t, notices(t, r, &answers), 1); /* one tells of both */
	settle(r, 7);

	struct rig_srb srb = rig_read(7, 0, 8);

	EXPECT_EQ(t, rig_execute(r, 0, &srb, NULL), SRB_STATUS_SUCCESS);
	EXPECT_EQ(t, notices(t, r, &answers), 0);
	rig_destroy(r);
}

/* Before the guest is ready it is told nothing: it looks for itself afterwards. */
static void test_add_before_ready(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct vstor_packet packet = {
		.header.operation = VSTOR_OPERATION_QUERY_PROTOCOL_VERSION,
		.version.version = VSTOR_VERSION_WIN10,
	};
	unsigned answers;

	rig_add_disk(r, 0, DISK_BYTES, 0);
	EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
	rig_add_disk(r, 1, DISK_BYTES, 0);
	rig_run(r);
	EXPECT_EQ(t, rig_operation(r, 0, VSTOR_OPERATION_BEGIN_INITIALIZATION), 0);
	rig_add_disk(r, 2, DISK_BYTES, 0);
	EXPECT_EQ(t, rig_ask(r, 0, &packet, sizeof(packet)), 0);
	EXPECT_EQ(t, rig_operation(r, 0, VSTOR_OPERATION_QUERY_PROPERTIES), 0);
	rig_detach(r, 2);
	EXPECT_EQ(t, rig_operation(r, 0, VSTOR_OPERATION_END_INITIALIZATION), 0);
	rig_run(r);
	EXPECT_EQ(t, notices(t, r, &answers), 0);
	rig_add_disk(r, 3, DISK_BYTES, 0);
	rig_run(r);
	EXPECT_EQ(t, notices(t, r, &answers), 1);
	rig_destroy(r);
}

static void test_versions_of_notices(struct test *t)
{
	static const uint16_t versions[] = {VSTOR_VERSION_WIN6, VSTOR_VERSION_WIN7,
					    VSTOR_VERSION_WIN8, VSTOR_VERSION_WIN8_1,
					    VSTOR_VERSION_WIN10};

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		struct rig *r = rig_create(NULL);
		unsigned answers;

		EXPECT(t, rig_connect(r, VERSION_WIN8));
		EXPECT(t, rig_start(r, versions[i]));
		rig_add_disk(r, 0, DISK_BYTES, 0);
		rig_run(r);
		EXPECT_EQ(t, notices(t, r, &answers), versions[i] != VSTOR_VERSION_WIN6);
		rig_destroy(r);
	}
}

static void test_hot_remove(struct test *t)
{
	struct rig *r = two_disks();
	struct rig_srb srb = rig_test_unit_ready(1);
	struct scsi_unit *unit = r->disks[1].unit;
	unsigned answers;

	rig_detach(r, 1);
	EXPECT_EQ(t, r->gone, 0); /* never from within */
	EXPECT_EQ(t, stor_attach(r->s, 1, unit), -EBUSY);
	rig_run(r);
	EXPECT_EQ(t, r->gone, 1);
	EXPECT(t, r->gone_unit == unit);
	EXPECT_EQ(t, notices(t, r, &answers), 1);
	EXPECT_EQ(t, rig_execute(r, 0, &srb, NULL), SRB_STATUS_INVALID_LUN);
	rig_free_disk(r, 1);
	rig_add_disk(r, 1, DISK_BYTES, 0);
	settle(r, 1);
	EXPECT_EQ(t, rig_execute(r, 0, &srb, NULL), SRB_STATUS_SUCCESS);
	rig_destroy(r);
}

/* What is in flight is done first. */
static void test_hot_remove_in_flight(struct test *t)
{
	struct rig *r = two_disks();
	unsigned answers;

	for (unsigned i = 0; i < 10; i++) {
		struct rig_srb srb = rig_read(i & 1, i, 8);

		EXPECT(t, rig_send(r, 0, i + 1, &srb));
	}
	rig_run(r);
	rig_detach(r, 1);
	rig_run(r);
	EXPECT_EQ(t, r->gone, 0);
	EXPECT(t, !stor_idle(r->s));
	EXPECT_EQ(t, notices(t, r, &answers), 1);
	EXPECT_EQ(t, answers, 0);

	struct rig_srb srb = rig_test_unit_ready(1);

	EXPECT_EQ(t, rig_execute(r, 0, &srb, NULL), SRB_STATUS_INVALID_LUN);
	rig_pass(r, DELAY_NS);
	EXPECT_EQ(t, r->gone, 1);
	EXPECT_EQ(t, notices(t, r, &answers), 0);
	EXPECT_EQ(t, answers, 10);
	EXPECT(t, stor_idle(r->s));
	rig_free_disk(r, 1);
	rig_destroy(r);
}

static void test_rescan(struct test *t)
{
	struct rig *r = two_disks();
	unsigned answers;

	stor_rescan(r->s);
	rig_run(r);
	EXPECT_EQ(t, notices(t, r, &answers), 1);
	EXPECT_EQ(t, answers, 0);
	EXPECT_EQ(t, r->gone, 0);
	rig_destroy(r);
}

/* The notice waits for room behind the answers. */
static void test_notice_waits(struct test *t)
{
	const struct rig_config config = {.ring_pages = 2};
	struct rig *r = rig_create(&config);
	struct rig_srb srb = rig_test_unit_ready(9);
	unsigned answers, got, count = 0;

	EXPECT(t, rig_up(r));
	for (unsigned i = 0; i < 200; i++) {
		rig_send(r, 0, i, &srb);
		rig_run(r);
	}
	EXPECT(t, r->s->channels[0].blocked);
	rig_add_disk(r, 0, DISK_BYTES, 0);
	rig_run(r);
	EXPECT(t, r->s->rescan_due);
	for (unsigned i = 0; i < 100; i++) {
		got = notices(t, r, &answers);
		count += got;
		rig_run(r);
	}
	EXPECT_EQ(t, count, 1);
	EXPECT(t, !r->s->rescan_due);
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_attach_errors),    TEST(test_hot_add),
		TEST(test_add_before_ready), TEST(test_versions_of_notices),
		TEST(test_hot_remove),	     TEST(test_hot_remove_in_flight),
		TEST(test_rescan),	     TEST(test_notice_waits),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
