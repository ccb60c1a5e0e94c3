// SPDX-License-Identifier: Apache-2.0
/* Many requests on many channels: order, back-pressure, limits, and closing while they are in flight. */
#include "test/test.h"

#include "lib/bits.h"
#include "rig.h"

#define DISK_BYTES (UINT64_C(4) << 20)
#define DELAY_NS UINT64_C(1000000)

/* Commands before this are answered, so that the power-on attention is out of the way. */
static struct rig *slow_rig(const struct rig_config *config)
{
	struct rig *r = rig_create(config);
	const struct rig_srb srb = rig_test_unit_ready(0);

	rig_add_disk(r, 0, DISK_BYTES, DELAY_NS);
	rig_up(r);
	for (unsigned i = 0; i < 4 && rig_execute(r, 0, &srb, NULL) != SRB_STATUS_SUCCESS; i++) {
	}
	return r;
}

static unsigned receive_all(struct rig *r, unsigned channel, uint64_t *ret_last)
{
	struct vstor_packet answer;
	uint64_t transaction;
	uint16_t type;
	unsigned count = 0;

	while (rig_receive(r, channel, &transaction, &type, &answer) != 0) {
		*ret_last = transaction;
		count++;
	}
	return count;
}

static void test_signals(struct test *t)
{
	struct rig *r = slow_rig(NULL);
	struct rig_srb srb = rig_read(0, 0, 8);
	uint64_t last = 0;

	/* One signal starts the reader; while it reads, none is needed, and one interrupt tells of the whole batch. */
	fake_guest_interrupts(&r->channels[0]);
	uint64_t signals = r->channels[0].signals;

	for (unsigned i = 0; i < 32; i++) {
		EXPECT(t, rig_send(r, 0, 100 + i, &srb));
	}
	EXPECT_EQ(t, r->channels[0].signals, signals + 1);
	rig_run(r);
	EXPECT_EQ(t, r->s->command_count, 32);
	EXPECT_EQ(t, receive_all(r, 0, &last), 0);
	rig_pass(r, DELAY_NS);
	EXPECT_EQ(t, fake_guest_interrupts(&r->channels[0]), 1);
	EXPECT_EQ(t, receive_all(r, 0, &last), 32);
	EXPECT_EQ(t, last, 131);
	EXPECT_EQ(t, r->s->pool_size, r->s->pool_free);
	rig_destroy(r);
}

static void test_wakes(struct test *t)
{
	struct rig *r = slow_rig(NULL);
	unsigned wakes = r->owner.wakes;

	for (unsigned i = 0; i < 10; i++) {
		fake_guest_signal(&r->channels[0]);
	}
	EXPECT_EQ(t, r->owner.wakes, wakes + 1);
	stor_poll(r->s);
	fake_guest_signal(&r->channels[0]);
	EXPECT_EQ(t, r->owner.wakes, wakes + 2);
	rig_destroy(r);
}

/* An answer comes on the channel of its request, and each channel gets its turn. */
static void test_channels(struct test *t)
{
	const struct rig_config config = {.subchannels = 4};
	struct rig *r = slow_rig(&config);
	uint64_t last = 0;

	EXPECT(t, rig_create_subchannels(r, 4));
	for (unsigned ch = 0; ch < RIG_CHANNELS; ch++) {
		for (unsigned i = 0; i < 100; i++) {
			struct rig_srb srb = rig_read(0, ch * 100 + i, 1);

			EXPECT(t, rig_send(r, ch, ch * 1000 + i, &srb));
		}
	}
	EXPECT(t, stor_poll(r->s));
	for (unsigned ch = 0; ch < RIG_CHANNELS; ch++) {
		EXPECT_EQ(t, r->s->channels[ch].outstanding, STOR_BATCH);
	}
	rig_run(r);
	rig_pass(r, DELAY_NS);
	for (unsigned ch = 0; ch < RIG_CHANNELS; ch++) {
		EXPECT_EQ(t, receive_all(r, ch, &last), 100);
		EXPECT_EQ(t, last / 1000, ch);
	}
	EXPECT_EQ(t, r->owner.logs, 0);
	rig_destroy(r);
}

/* No room for answers: they wait in order, nothing new is taken, nothing is lost. */
static void test_ring_full(struct test *t)
{
	const struct rig_config config = {.ring_pages = 2};
	struct rig *r = slow_rig(&config);
	struct rig_srb srb = rig_test_unit_ready(63); /* answered at once */
	uint64_t next = 0, sent = 0, transaction;
	struct vstor_packet answer;
	uint16_t type;

	while (sent < 1000) {
		while (sent < 1000 && rig_send(r, 0, sent, &srb)) {
			sent++;
		}
		rig_run(r);
		EXPECT(t, stor_idle(r->s));
		if (r->s->channels[0].blocked) {
			EXPECT(t, r->s->channels[0].outstanding <= STOR_BATCH);
			EXPECT(t, !stor_channel_more(&r->s->channels[0]));
		}
		/* The guest takes a few; the host hears of it when it waits for room. */
		for (unsigned i = 0; i < 7; i++) {
			if (rig_receive(r, 0, &transaction, &type, &answer) == 0) {
				break;
			}
			EXPECT_EQ(t, transaction, next);
			next++;
		}
	}
	for (unsigned i = 0; i < 1000 && next < 1000; i++) {
		rig_run(r);
		while (rig_receive(r, 0, &transaction, &type, &answer) != 0) {
			EXPECT_EQ(t, transaction, next);
			next++;
		}
	}
	EXPECT_EQ(t, next, 1000);
	EXPECT_EQ(t, r->owner.logs, 0);
	EXPECT_EQ(t, r->s->channels[0].outstanding, 0);
	rig_destroy(r);
}

/* A guest that never takes answers holds up its own channel only. */
static void test_ring_full_elsewhere(struct test *t)
{
	const struct rig_config config = {.ring_pages = 2, .subchannels = 1};
	struct rig *r = slow_rig(&config);
	struct rig_srb srb = rig_test_unit_ready(63);

	EXPECT(t, rig_create_subchannels(r, 1));
	for (unsigned i = 0; i < 1000; i++) {
		while (rig_send(r, 1, i, &srb)) {
		}
		rig_run(r);
	}
	EXPECT(t, r->s->channels[1].blocked);
	srb = rig_read(0, 0, 1);
	EXPECT(t, rig_send(r, 0, 5, &srb));
	rig_run(r);
	rig_pass(r, DELAY_NS);

	uint64_t last = 0;

	EXPECT_EQ(t, receive_all(r, 0, &last), 1);
	EXPECT_EQ(t, last, 5);
	EXPECT(t, rig_close(r, 1));
	EXPECT_EQ(t, r->s->pool_size, r->s->pool_free);
	rig_destroy(r);
}

/* So many in flight and no more, on a channel and in all. */
static void test_depth(struct test *t)
{
	const struct rig_config config = {.subchannels = 4, .ring_pages = 65};
	struct rig *r = slow_rig(&config);
	struct rig_srb srb = rig_read(0, 0, 1);
	unsigned answers = 0;
	uint64_t last = 0;

	EXPECT(t, rig_create_subchannels(r, 4));
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned ch = 0; ch < RIG_CHANNELS; ch++) {
			for (unsigned i = 0; i < 1000 && rig_send(r, ch, i + 1, &srb); i++) {
				answers++;
			}
		}
		rig_run(r);
		for (unsigned ch = 0; ch < RIG_CHANNELS; ch++) {
			EXPECT(t, r->s->channels[ch].outstanding <= STOR_CHANNEL_DEPTH);
		}
		EXPECT(t, r->s->command_count <= STOR_POOL_MAX);
	}
	EXPECT_EQ(t, r->s->command_count, STOR_POOL_MAX);
	EXPECT_EQ(t, r->s->pool_size, STOR_POOL_MAX);
	for (unsigned i = 0; i < 100; i++) {
		rig_pass(r, DELAY_NS);
		for (unsigned ch = 0; ch < RIG_CHANNELS; ch++) {
			answers -= receive_all(r, ch, &last);
		}
	}
	EXPECT_EQ(t, answers, 0);
	EXPECT_EQ(t, r->s->pool_free, STOR_POOL_MAX);
	EXPECT_EQ(t, r->owner.logs, 0);
	rig_destroy(r);
}

static void test_channel_depth(struct test *t)
{
	const struct rig_config config = {.ring_pages = 129};
	struct rig *r = slow_rig(&config);
	struct rig_srb srb = rig_read(0, 0, 1);
	unsigned sent = 0;
	uint64_t last = 0;

	for (unsigned round = 0; round < 4; round++) {
		while (rig_send(r, 0, sent + 1, &srb)) {
			sent++;
		}
		rig_run(r);
	}
	EXPECT(t, sent > STOR_CHANNEL_DEPTH);
	EXPECT_EQ(t, r->s->command_count, STOR_CHANNEL_DEPTH);
	rig_pass(r, DELAY_NS);
	rig_pass(r, DELAY_NS);
	EXPECT(t, receive_all(r, 0, &last) > STOR_CHANNEL_DEPTH);
	rig_destroy(r);
}

/* The ring stays the guest's until what is in flight is done; the answers are dropped. */
static void test_close_in_flight(struct test *t)
{
	const struct rig_config config = {.subchannels = 1};
	struct rig *r = slow_rig(&config);
	struct rig_srb srb = rig_read(0, 0, 8);

	EXPECT(t, rig_create_subchannels(r, 1));
	for (unsigned i = 0; i < 20; i++) {
		EXPECT(t, rig_send(r, i & 1, i + 1, &srb));
	}
	rig_run(r);
	EXPECT_EQ(t, r->s->command_count, 20);
	EXPECT(t, rig_send(r, 1, 99, &srb)); /* not taken any more */
	EXPECT(t, !rig_close(r, 1));
	EXPECT(t, !rig_close(r, 0));
	EXPECT_EQ(t, r->s->command_count, 20);
	EXPECT(t, !vmbus_quiet(r->g->bus));
	rig_pass(r, DELAY_NS);
	EXPECT_EQ(t, r->s->command_count, 0);
	EXPECT(t, stor_idle(r->s));
	EXPECT(t, vmbus_quiet(r->g->bus));
	EXPECT(t, fake_guest_take(r->g, CHANNELMSG_GPADL_TORNDOWN, NULL));
	EXPECT(t, fake_guest_take(r->g, CHANNELMSG_GPADL_TORNDOWN, NULL));
	EXPECT_EQ(t, r->channels[0].in.control->write_index,
		  r->channels[0].in.private_read); /* no answers came */
	fake_guest_abandon(&r->channels[0]);
	fake_guest_abandon(&r->channels[1]);
	EXPECT(t, rig_open(r, 0));
	EXPECT(t, rig_start(r, VSTOR_VERSION_WIN10));
	EXPECT(t, rig_create_subchannels(r, 1));
	EXPECT_EQ(t, r->owner.logs, 0);
	rig_destroy(r);
}

/* A command that would go on for long does not hold up the end of its channel. */
static void test_close_in_long_command(struct test *t)
{
	struct rig *r = slow_rig(NULL);
	const struct rig_srb srb = {.cdb = {0x8f, [12] = 8},
				    .direction = VSTOR_DATA_READ}; /* VERIFY(16): 1 MiB */

	EXPECT(t, rig_send(r, 0, 1, &srb));
	rig_run(r);
	EXPECT(t, !rig_close(r, 0));
	EXPECT_EQ(t, r->s->command_count, 1);
	rig_pass(r, DELAY_NS); /* one part of eight */
	EXPECT_EQ(t, r->s->command_count, 0);
	EXPECT(t, vmbus_quiet(r->g->bus));
	fake_guest_abandon(&r->channels[0]);
	rig_destroy(r);
}

/* UNLOAD and a reset of the partition close everything. */
static void test_unload(struct test *t)
{
	const struct rig_config config = {.subchannels = 2};

	for (unsigned reset = 0; reset < 2; reset++) {
		struct rig *r = slow_rig(&config);
		const struct vmbus_message_header unload = {.type = CHANNELMSG_UNLOAD};
		struct rig_srb srb = rig_read(0, 0, 8);

		EXPECT(t, rig_create_subchannels(r, 2));
		for (unsigned i = 0; i < 30; i++) {
			EXPECT(t, rig_send(r, i % 3, i + 1, &srb));
		}
		rig_run(r);
		if (reset) {
			vmbus_reset(r->g->bus);
		} else {
			fake_guest_post(r->g, &unload, sizeof(unload));
		}
		rig_run(r);
		EXPECT(t, !fake_guest_take(r->g, CHANNELMSG_UNLOAD_RESPONSE, NULL));
		rig_pass(r, DELAY_NS);
		EXPECT(t, vmbus_quiet(r->g->bus));
		EXPECT_EQ(t, fake_guest_take(r->g, CHANNELMSG_UNLOAD_RESPONSE, NULL), !reset);
		EXPECT(t, stor_idle(r->s));
		EXPECT_EQ(t, r->s->pool_size, r->s->pool_free);
		for (unsigned i = 0; i < 3; i++) {
			fake_guest_abandon(&r->channels[i]);
		}
		EXPECT(t, rig_up(r));
		rig_destroy(r);
	}
}

/* A signal of the channel before does not keep the next one from being woken. */
static void test_late_signal(struct test *t)
{
	struct rig *r = slow_rig(NULL);
	struct rig_srb srb = rig_test_unit_ready(9);

	EXPECT(t, rig_close(r, 0));
	__atomic_store_n(&r->s->channels[0].signalled, true, __ATOMIC_SEQ_CST);
	EXPECT(t, rig_open(r, 0));
	EXPECT(t, rig_start(r, VSTOR_VERSION_WIN10));
	EXPECT_EQ(t, rig_execute(r, 0, &srb, NULL), SRB_STATUS_INVALID_LUN);
	rig_destroy(r);
}

/* Nonsense in the ring stops the channel, and only it. */
static void test_broken_ring(struct test *t)
{
	const struct rig_config config = {.subchannels = 1};
	struct rig *r = slow_rig(&config);
	struct rig_srb srb = rig_read(0, 0, 8);

	EXPECT(t, rig_create_subchannels(r, 1));
	for (unsigned i = 0; i < 10; i++) {
		EXPECT(t, rig_send(r, 1, i + 1, &srb));
	}
	rig_run(r);
	r->channels[1].out.control->write_index = 3;
	fake_guest_signal(&r->channels[1]);
	rig_pass(r, DELAY_NS);
	EXPECT(t, r->s->channels[1].broken);
	EXPECT_EQ(t, r->s->channels[1].outstanding, 0);
	EXPECT(t, stor_idle(r->s));
	srb = rig_test_unit_ready(0);
	EXPECT_EQ(t, rig_execute(r, 0, &srb, NULL), SRB_STATUS_SUCCESS);

	/* The other direction. */
	r->channels[0].in.control->read_index = 0x7ffffff8;
	for (unsigned i = 0; i < 3000 && !r->s->channels[0].broken; i++) {
		rig_send(r, 0, i, &srb);
		rig_run(r);
	}
	EXPECT(t, r->s->channels[0].broken);
	EXPECT(t, stor_idle(r->s));
	EXPECT_EQ(t, r->s->pool_size, r->s->pool_free);
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_signals),
		TEST(test_wakes),
		TEST(test_channels),
		TEST(test_ring_full),
		TEST(test_ring_full_elsewhere),
		TEST(test_depth),
		TEST(test_channel_depth),
		TEST(test_close_in_flight),
		TEST(test_close_in_long_command),
		TEST(test_unload),
		TEST(test_late_signal),
		TEST(test_broken_ring),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
