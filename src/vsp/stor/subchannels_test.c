// SPDX-License-Identifier: Apache-2.0
/* CREATE_SUB_CHANNELS: when, how many, and what comes of them; a log that stays small. */
#include "negotiate_test.h"

static void test_subchannels(struct test *t)
{
	const struct rig_config config = {.subchannels = 3};
	struct rig *r = rig_create(&config);

	EXPECT(t, rig_up(r));
	EXPECT_EQ(t, ask_subchannels(r, 4), STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, ask_subchannels(r, UINT16_MAX), STATUS_INVALID_PARAMETER);
	EXPECT(t, fake_guest_find(r->g, &r->instance, 1) == NULL);
	EXPECT_EQ(t, ask_subchannels(r, 0), STATUS_SUCCESS);
	EXPECT(t, rig_create_subchannels(r, 2));
	EXPECT(t, fake_guest_find(r->g, &r->instance, 3) == NULL);
	EXPECT_EQ(t, ask_subchannels(r, 1), STATUS_INVALID_PARAMETER); /* it has them */

	/* They go with the primary channel, and come again. */
	EXPECT(t, rig_close(r, 2));
	EXPECT(t, rig_close(r, 1));
	EXPECT(t, rig_close(r, 0));
	EXPECT(t, fake_guest_find(r->g, &r->instance, 1) == NULL);
	EXPECT(t, rig_open(r, 0));
	EXPECT(t, rig_start(r, VSTOR_VERSION_WIN10));
	EXPECT(t, rig_create_subchannels(r, 3));
	rig_destroy(r);
}

/* The second request comes before the first is answered. */
static void test_subchannels_twice_at_once(struct test *t)
{
	const struct rig_config config = {.subchannels = 3};
	struct rig *r = rig_create(&config);
	const struct vstor_packet packet = {.header.operation = VSTOR_OPERATION_CREATE_SUB_CHANNELS,
					    .subchannels = 2};
	struct vstor_packet answer;
	uint64_t transaction;
	uint16_t type;

	EXPECT(t, rig_up(r));
	EXPECT(t, fake_guest_send(&r->channels[0], 1, &packet, sizeof(packet)));
	EXPECT(t, fake_guest_send(&r->channels[0], 2, &packet, sizeof(packet)));
	rig_run(r);
	EXPECT_EQ(t, rig_receive(r, 0, &transaction, &type, &answer), 64);
	EXPECT_EQ(t, transaction, 2);
	EXPECT_EQ(t, answer.header.status, STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_receive(r, 0, &transaction, &type, &answer), 64);
	EXPECT_EQ(t, transaction, 1);
	EXPECT_EQ(t, answer.header.status, STATUS_SUCCESS);
	rig_destroy(r);
}

/* The primary channel closes while the bus still thinks about subchannels: the answer is dropped, the close ends. */
static void test_subchannels_and_close(struct test *t)
{
	const struct rig_config config = {.subchannels = 3};
	struct rig *r = rig_create(&config);
	const struct vstor_packet packet = {.header.operation = VSTOR_OPERATION_CREATE_SUB_CHANNELS,
					    .subchannels = 2};

	EXPECT(t, rig_up(r));
	EXPECT(t, fake_guest_send(&r->channels[0], 1, &packet, sizeof(packet)));
	stor_poll(r->s);
	EXPECT(t, r->s->create_request != NULL);
	EXPECT(t, !stor_idle(r->s));
	EXPECT(t, rig_close(r, 0));
	EXPECT(t, r->s->create_request == NULL);
	EXPECT(t, stor_idle(r->s));
	EXPECT(t, vmbus_quiet(r->g->bus));
	EXPECT(t, rig_open(r, 0));
	EXPECT(t, rig_start(r, VSTOR_VERSION_WIN10));
	EXPECT(t, rig_create_subchannels(r, 3));
	rig_destroy(r);
}

/* Windows asks before END; what comes there before END has to wait. */
static void test_subchannels_before_end(struct test *t)
{
	const struct rig_config config = {.subchannels = 1};
	struct rig *r = rig_create(&config);
	struct rig_srb srb = rig_test_unit_ready(5);
	struct vstor_packet answer;
	uint64_t transaction;
	uint16_t type;

	EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
	advance_to(r, STOR_END);
	EXPECT(t, rig_create_subchannels(r, 1));
	EXPECT(t, rig_send(r, 1, 9, &srb));
	rig_run(r);
	EXPECT_EQ(t, rig_receive(r, 1, &transaction, &type, &answer), 0);
	EXPECT_EQ(t, rig_operation(r, 0, VSTOR_OPERATION_END_INITIALIZATION), STATUS_SUCCESS);
	EXPECT_EQ(t, rig_receive(r, 1, &transaction, &type, &answer), 64);
	EXPECT_EQ(t, transaction, 9);
	EXPECT_EQ(t, answer.srb.srb_status, SRB_STATUS_INVALID_LUN);

	/* The start is for the primary channel alone. */
	EXPECT_EQ(t, rig_operation(r, 1, VSTOR_OPERATION_BEGIN_INITIALIZATION),
		  STATUS_INVALID_DEVICE_STATE);
	EXPECT_EQ(t, rig_operation(r, 1, VSTOR_OPERATION_CREATE_SUB_CHANNELS),
		  STATUS_INVALID_DEVICE_STATE);
	rig_destroy(r);
}

/* However often a guest does it, the log stays short. */
static void test_log_is_bounded(struct test *t)
{
	struct rig *r = rig_create(NULL);

	EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
	for (unsigned i = 0; i < 5000; i++) {
		rig_operation(r, 0, VSTOR_OPERATION_END_INITIALIZATION);
	}
	EXPECT_EQ(t, r->owner.logs, 13);
	EXPECT(t, strstr(r->owner.log, "(4096 such packets so far)") != NULL);
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_subchannels),		  TEST(test_subchannels_twice_at_once),
		TEST(test_subchannels_and_close), TEST(test_subchannels_before_end),
		TEST(test_log_is_bounded),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
