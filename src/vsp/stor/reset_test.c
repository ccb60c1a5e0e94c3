// SPDX-License-Identifier: Apache-2.0
/* Resets, in a quiet controller and under way of commands. */
#include "lun_test.h"

/* ---- Resets ---- */

static void send_reset(struct test *t, struct rig *r, uint64_t transaction, uint32_t operation,
		       uint8_t lun)
{
	const struct vstor_packet packet = {.header = {.operation = operation, .flags = 1},
					    .srb.lun = lun};

	EXPECT(t, fake_guest_send(&r->channels[0], transaction, &packet, sizeof(packet)));
	rig_run(r);
}

/* The transactions of answers in their order, as characters. */
static const char *answer_order(struct rig *r, char *text)
{
	struct vstor_packet packet;
	uint64_t transaction;
	uint16_t type;
	unsigned n = 0;

	while (rig_receive(r, 0, &transaction, &type, &packet) != 0) {
		text[n++] = (char)transaction;
	}
	text[n] = 0;
	return text;
}

static void test_reset_idle(struct test *t)
{
	static const uint32_t operations[] = {VSTOR_OPERATION_RESET_BUS,
					      VSTOR_OPERATION_RESET_ADAPTER,
					      VSTOR_OPERATION_RESET_LUN};

	for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
		struct rig *r = two_disks();
		struct rig_srb srb = rig_test_unit_ready(1);
		struct vstor_packet answer;

		EXPECT_EQ(t, rig_operation(r, 0, operations[i]), STATUS_SUCCESS);
		/* LUN 1 was reset by the first two: POWER ON, RESET, OR BUS DEVICE RESET */
		EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer) & SRB_STATUS_AUTOSENSE_VALID,
			  i < 2 ? SRB_STATUS_AUTOSENSE_VALID : 0);
		EXPECT_EQ(t, answer.srb.sense[12], i < 2 ? 0x29 : 0);
		srb = rig_test_unit_ready(0);
		rig_execute(r, 0, &srb, &answer);
		EXPECT_EQ(t, answer.srb.sense[12], 0x29);
		EXPECT_EQ(t, r->owner.logs, 0);
		rig_destroy(r);
	}
}

static void test_reset_in_flight(struct test *t)
{
	struct rig *r = two_disks();
	char order[32];

	for (unsigned i = 0; i < 4; i++) {
		struct rig_srb srb = rig_read(i & 1, i, 8);

		EXPECT(t, rig_send(r, 0, 'a' + i, &srb));
		rig_pass(r, DELAY_NS / 8);
	}
	send_reset(t, r, 'B', VSTOR_OPERATION_RESET_BUS, 0);
	send_reset(t, r, 'L', VSTOR_OPERATION_RESET_LUN, 0);
	send_reset(t, r, 'X', VSTOR_OPERATION_RESET_LUN, 40); /* absent: at once */

	struct rig_srb srb = rig_read(0, 0, 8); /* later ones are not waited for */

	EXPECT(t, rig_send(r, 0, 'z', &srb));
	rig_pass(r, DELAY_NS / 8);
	EXPECT(t, strcmp(answer_order(r, order), "X") == 0);
	EXPECT(t, !stor_idle(r->s));
	for (unsigned i = 0; i < 32; i++) {
		rig_pass(r, DELAY_NS / 8);
	}
	EXPECT(t, strcmp(answer_order(r, order), "abcLdBz") == 0);
	EXPECT(t, stor_idle(r->s));
	rig_destroy(r);
}

/* A command that would go on for long is cut short by a reset, and by the removal of its LUN. */
static void test_long_command(struct test *t)
{
	static const struct rig_srb verify[] = {
		{.lun = 0,
		 .cdb = {0x8f, [12] = 8},
		 .direction = VSTOR_DATA_READ}, /* VERIFY(16): 1 MiB */
		{.lun = 1, .cdb = {0x8f, [12] = 8}, .direction = VSTOR_DATA_READ},
	};
	struct rig *r = two_disks();
	char order[32];

	EXPECT(t, rig_send(r, 0, 'a', &verify[0]));
	EXPECT(t, rig_send(r, 0, 'b', &verify[1]));
	rig_run(r);
	send_reset(t, r, 'R', VSTOR_OPERATION_RESET_LUN, 0);
	rig_pass(r, DELAY_NS);
	EXPECT(t, strcmp(answer_order(r, order), "aR") == 0);
	rig_detach(r, 1);
	rig_pass(r, DELAY_NS);
	EXPECT_EQ(t, r->gone, 1);
	EXPECT(t, stor_idle(r->s));
	rig_free_disk(r, 1);
	rig_destroy(r);
}

/* Many resets at once: as many as there are places wait, others are told to come again. */
static void test_many_resets(struct test *t)
{
	struct rig *r = two_disks();
	struct rig_srb srb = rig_read(0, 0, 8);
	struct vstor_packet answer;
	uint64_t transaction;
	uint16_t type;
	unsigned ok = 0, busy = 0;

	EXPECT(t, rig_send(r, 0, 1, &srb));
	rig_run(r);
	for (unsigned i = 0; i < STOR_RESETS + 5; i++) {
		send_reset(t, r, 100 + i, VSTOR_OPERATION_RESET_ADAPTER, 0);
	}
	rig_pass(r, DELAY_NS);
	while (rig_receive(r, 0, &transaction, &type, &answer) != 0) {
		ok += transaction >= 100 && answer.header.status == STATUS_SUCCESS;
		busy += transaction >= 100 && answer.header.status == STATUS_DEVICE_BUSY;
	}
	EXPECT_EQ(t, ok, STOR_RESETS);
	EXPECT_EQ(t, busy, 5);
	EXPECT_EQ(t, rig_operation(r, 0, VSTOR_OPERATION_RESET_BUS), STATUS_SUCCESS);
	rig_destroy(r);
}

/* A reset, a removal and a close, all waiting for the same commands. */
static void test_reset_remove_close(struct test *t)
{
	struct rig *r = two_disks();

	for (unsigned i = 0; i < 6; i++) {
		struct rig_srb srb = rig_read(i & 1, i, 8);

		EXPECT(t, rig_send(r, 0, i + 1, &srb));
	}
	rig_run(r);
	send_reset(t, r, 50, VSTOR_OPERATION_RESET_BUS, 0);
	rig_detach(r, 0);
	EXPECT(t, !rig_close(r, 0));
	EXPECT_EQ(t, r->gone, 0);
	rig_pass(r, DELAY_NS);
	EXPECT_EQ(t, r->gone, 1);
	EXPECT(t, stor_idle(r->s));
	EXPECT(t, vmbus_quiet(r->g->bus));
	EXPECT_EQ(t, r->s->pool_size, r->s->pool_free);
	rig_free_disk(r, 0);
	fake_guest_abandon(&r->channels[0]);
	EXPECT(t, rig_open(r, 0));
	EXPECT(t, rig_start(r, VSTOR_VERSION_WIN10));
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_reset_idle),	TEST(test_reset_in_flight),    TEST(test_long_command),
		TEST(test_many_resets), TEST(test_reset_remove_close),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
