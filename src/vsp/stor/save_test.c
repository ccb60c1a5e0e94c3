// SPDX-License-Identifier: Apache-2.0
/* Saved state: a controller goes on in another process, whatever the guest was doing; a state that cannot be is refused. */
#include "test/test.h"

#include "lib/bits.h"
#include "rig.h"

#define DISK_BYTES (UINT64_C(1) << 20)
#define STATE_BYTES (1u << 20)

static uint8_t state[STATE_BYTES];

static void replant(struct test *t, struct rig *r)
{
	size_t bytes;

	EXPECT(t, stor_idle(r->s));
	bytes = rig_save(r, state, sizeof(state));
	EXPECT(t, bytes < sizeof(state));
	EXPECT_EQ(t, rig_save(r, NULL, 0), bytes);
	rig_replace(r);
	EXPECT(t, rig_restore(r, state, bytes));
	rig_run(r);
}

/* The start of the protocol, interrupted after each step. */
static void test_each_step(struct test *t)
{
	static const uint32_t operations[] = {
		VSTOR_OPERATION_BEGIN_INITIALIZATION, VSTOR_OPERATION_QUERY_PROTOCOL_VERSION,
		VSTOR_OPERATION_QUERY_PROPERTIES, VSTOR_OPERATION_END_INITIALIZATION};

	for (size_t cut = 0; cut <= ARRAY_LEN(operations); cut++) {
		struct rig *r = rig_create(NULL);

		rig_add_disk(r, 0, DISK_BYTES, 0);
		EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
		for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
			struct vstor_packet packet = {
				.header.operation = operations[i],
				.version.version =
					operations[i] == VSTOR_OPERATION_QUERY_PROTOCOL_VERSION
						? VSTOR_VERSION_WIN8
						: 0,
			};

			if (i == cut) {
				replant(t, r);
			}
			EXPECT_EQ(t, rig_ask(r, 0, &packet, sizeof(packet)), STATUS_SUCCESS);
		}
		if (cut == ARRAY_LEN(operations)) {
			replant(t, r);
		}
		EXPECT_EQ(t, r->s->state, STOR_READY);
		EXPECT_EQ(t, r->s->version, VSTOR_VERSION_WIN8);

		struct rig_srb srb = rig_test_unit_ready(0);

		EXPECT(t, rig_execute(r, 0, &srb, NULL) != 0);
		EXPECT_EQ(t, r->owner.logs, 0);
		rig_destroy(r);
	}
}

/* Not open, not even connected. */
static void test_closed(struct test *t)
{
	struct rig *r = rig_create(NULL);

	replant(t, r);
	EXPECT(t, rig_up(r));
	EXPECT(t, rig_close(r, 0));
	replant(t, r);
	EXPECT(t, rig_open(r, 0));
	EXPECT(t, rig_start(r, VSTOR_VERSION_WIN10));
	rig_destroy(r);
}

static void test_subchannels(struct test *t)
{
	const struct rig_config config = {.subchannels = 4};
	struct rig *r = rig_create(&config);

	rig_add_disk(r, 0, DISK_BYTES, 0);
	EXPECT(t, rig_up(r));
	EXPECT(t, rig_create_subchannels(r, 4));
	replant(t, r);
	for (unsigned i = 0; i < RIG_CHANNELS; i++) {
		struct rig_srb srb = rig_inquiry(0);

		EXPECT_EQ(t, rig_execute(r, i, &srb, NULL), SRB_STATUS_SUCCESS);
	}
	for (unsigned i = RIG_CHANNELS; i-- > 0;) {
		EXPECT(t, rig_close(r, i));
	}
	rig_destroy(r);
}

static void test_ide(struct test *t)
{
	const struct rig_config config = {.ide = true, .ide_path = 1, .ide_target = 1};
	struct rig *r = rig_create(&config);
	struct rig_srb srb = rig_write(0, 7, 1);
	struct vstor_packet answer;
	uint8_t data[512], back[512];

	rig_add_disk(r, 0, DISK_BYTES, 0);
	EXPECT(t, rig_up(r));
	memset(data, 0x5a, sizeof(data));
	rig_data_in(r, 0, data, sizeof(data));
	srb.path = srb.target = 1;
	EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_SUCCESS);
	replant(t, r);
	srb = rig_read(0, 7, 1);
	srb.path = srb.target = 1;
	rig_data_fill(r, 0);
	EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_SUCCESS);
	rig_data_out(r, 0, back, sizeof(back));
	EXPECT_MEM(t, back, data, sizeof(data));
	EXPECT(t, rig_close(r, 0));
	rig_destroy(r);
}

/* Commands in units are waited for; their answers, on all channels, come after the restore if the guest did not look before. */
static void test_in_flight(struct test *t)
{
	const struct rig_config config = {.subchannels = 2};
	struct rig *r = rig_create(&config);
	struct vstor_packet answer;
	uint64_t transaction;
	uint16_t type;

	rig_add_disk(r, 0, DISK_BYTES, 1000000);
	EXPECT(t, rig_up(r));
	EXPECT(t, rig_create_subchannels(r, 2));
	for (unsigned i = 0; i < 30; i++) {
		struct rig_srb srb = i % 2 != 0 ? rig_read(0, i, 8) : rig_write(0, 8 * i, 4);

		srb.offset = i * 4096;
		EXPECT(t, rig_send(r, i % 3, i, &srb));
	}
	rig_run(r);
	EXPECT(t, !stor_idle(r->s));
	rig_pass(r, 1000000);
	replant(t, r);
	for (unsigned i = 0; i < 30; i++) {
		EXPECT(t, rig_receive(r, i % 3, &transaction, &type, &answer) != 0);
		EXPECT_EQ(t, transaction, i);
		EXPECT_EQ(t, answer.srb.srb_status, SRB_STATUS_SUCCESS);
	}
	rig_destroy(r);
}

/* Requests that were not taken, answers that did not fit, a notice that was not sent: nothing is lost. */
static void test_waiting(struct test *t)
{
	const struct rig_config config = {.ring_pages = 2};
	struct rig *r = rig_create(&config);
	struct rig_srb srb = rig_test_unit_ready(63);
	struct vstor_packet answer;
	uint64_t transaction, sent = 0, next = 0;
	uint16_t type;
	unsigned notices = 0;

	EXPECT(t, rig_up(r));
	while (sent < 500) {
		uint64_t before = sent;

		while (sent < 500 && rig_send(r, 0, sent, &srb)) {
			sent++;
		}
		rig_run(r);
		if (sent == before || sent == 500) {
			if (r->disks[3].unit == NULL) {
				rig_add_disk(r, 3, DISK_BYTES, 0);
			}
			replant(t, r);
			for (unsigned i = 0; i < 9; i++) {
				if (rig_receive(r, 0, &transaction, &type, &answer) == 0) {
					break;
				}
				if (type == VMBUS_PACKET_DATA_INBAND) {
					notices++;
					continue;
				}
				EXPECT_EQ(t, transaction, next);
				EXPECT_EQ(t, answer.srb.srb_status, SRB_STATUS_INVALID_LUN);
				next++;
			}
		}
	}
	for (unsigned i = 0; i < 500 && next < 500; i++) {
		rig_run(r);
		while (rig_receive(r, 0, &transaction, &type, &answer) != 0) {
			notices += type == VMBUS_PACKET_DATA_INBAND;
			next += type == VMBUS_PACKET_COMPLETION;
		}
	}
	EXPECT_EQ(t, next, 500);
	EXPECT(t, notices >= 1);
	rig_destroy(r);
}

/* What units remember comes along: RESERVE(6) of this guest, and data. */
static void test_units(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct rig_srb srb = rig_test_unit_ready(5);
	struct vstor_packet answer;
	uint8_t data[512], back[512];

	rig_add_disk(r, 0, DISK_BYTES, 0);
	rig_add_disk(r, 5, DISK_BYTES, 0);
	rig_add_dvd(r, 6);
	EXPECT(t, rig_up(r));
	for (unsigned i = 0; i < 4 && rig_execute(r, 0, &srb, NULL) != SRB_STATUS_SUCCESS; i++) {
	}
	memset(data, 0x5a, sizeof(data));
	rig_data_in(r, 0, data, sizeof(data));
	srb = rig_write(5, 7, 1);
	EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_SUCCESS);
	replant(t, r);
	srb = rig_read(5, 7, 1); /* no attention: the unit knows the guest */
	rig_data_fill(r, 0);
	EXPECT_EQ(t, rig_execute(r, 0, &srb, &answer), SRB_STATUS_SUCCESS);
	rig_data_out(r, 0, back, sizeof(back));
	EXPECT_MEM(t, back, data, sizeof(data));
	rig_destroy(r);
}

/* Every prefix of a state, and every byte of it changed: refused or taken, never harmful. */
static void test_damaged(struct test *t)
{
	const struct rig_config config = {.subchannels = 1, .ring_pages = 2};
	struct rig *r = rig_create(&config);
	struct rig_srb srb = rig_test_unit_ready(63);
	size_t bytes, stor_bytes;
	struct state_writer w;
	struct state_reader reader;

	rig_add_disk(r, 0, DISK_BYTES, 0);
	EXPECT(t, rig_up(r));
	EXPECT(t, rig_create_subchannels(r, 1));
	for (unsigned i = 0; i < 200; i++) {
		rig_send(r, 1, i, &srb);
		rig_run(r);
	}
	EXPECT(t, r->s->channels[1].answers != NULL);
	bytes = rig_save(r, state, sizeof(state));
	state_writer_init(&w, NULL, 0);
	stor_save(r->s, &w);
	stor_bytes = w.used;

	unsigned refused = 0;

	for (size_t i = 0; i < 2 * stor_bytes; i++) {
		bool prefix = i < stor_bytes;
		size_t at = bytes - stor_bytes + i % stor_bytes;
		uint8_t was = state[at];

		rig_replace(r);
		state_reader_init(&reader, state, bytes);
		EXPECT(t, vmbus_restore(r->g->bus, &reader));
		if (prefix) {
			state_reader_init(&reader, state + bytes - stor_bytes, i);
			EXPECT(t, !stor_restore(r->s, &reader));
		} else {
			state[at] ^= (uint8_t)(1u << i % 8);
			refused += !stor_restore(r->s, &reader);
			state[at] = was;
		}
		rig_run(r);
	}
	EXPECT(t, refused > 10);

	/* The disk is not there any more; the channel was not open. */
	rig_replace(r);
	state_reader_init(&reader, state, bytes);
	EXPECT(t, vmbus_restore(r->g->bus, &reader));
	rig_detach(r, 0);
	rig_run(r);
	EXPECT(t, !stor_restore(r->s, &reader));
	rig_replace(r);
	state_reader_init(&reader, state + bytes - stor_bytes, stor_bytes);
	EXPECT(t, !stor_restore(r->s, &reader));
	rig_destroy(r);
}

/* What lies in the rings stays there while the controller is held, and is taken by the one that goes on. */
static void test_held(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct rig_srb srb = rig_inquiry(0);
	struct vstor_packet answer;
	uint64_t transaction;
	uint16_t type;

	rig_add_disk(r, 0, DISK_BYTES, 0);
	EXPECT(t, rig_up(r));
	stor_hold(r->s, true);
	for (unsigned i = 0; i < 5; i++) {
		EXPECT(t, rig_send(r, 0, i, &srb));
	}
	rig_run(r);
	EXPECT(t, stor_idle(r->s));
	EXPECT_EQ(t, rig_receive(r, 0, &transaction, &type, &answer), 0);
	replant(t, r); /* the new one is not held */
	for (unsigned i = 0; i < 5; i++) {
		EXPECT(t, rig_receive(r, 0, &transaction, &type, &answer) != 0);
		EXPECT_EQ(t, transaction, i);
	}
	stor_hold(r->s, true);
	EXPECT(t, rig_send(r, 0, 6, &srb));
	rig_run(r);
	EXPECT_EQ(t, rig_receive(r, 0, &transaction, &type, &answer), 0);
	stor_hold(r->s, false);
	rig_run(r);
	EXPECT(t, rig_receive(r, 0, &transaction, &type, &answer) != 0);
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_each_step), TEST(test_closed),    TEST(test_subchannels),
		TEST(test_ide),	      TEST(test_in_flight), TEST(test_waiting),
		TEST(test_units),     TEST(test_damaged),   TEST(test_held),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
