// SPDX-License-Identifier: Apache-2.0
/*
 * Twelve hundred hostile guests, each other and the same in every run; and one that changes its memory from another thread while the host
 * reads it. hostile_play looks after memory and requests; leaks are the sanitizer's.
 */
#include "test/test.h"

#include <pthread.h>

#include "hostile.h"
#include "lib/bits.h"
#include "rig.h"
#include "vmbus/testing/foul.h"

#define SEQUENCES 1200u
#define SCRIPT_BYTES 2500u

static void test_sequences(struct test *t)
{
	static uint8_t script[SCRIPT_BYTES];
	struct hostile_result sum = {0}, theme[8] = {{0}};

	for (uint32_t i = 0; i < SEQUENCES; i++) {
		foul_script(i, 8, script, sizeof(script));
		struct hostile_result r = hostile_play(script, sizeof(script));

		sum.steps += r.steps;
		sum.sent += r.sent;
		sum.violations += r.violations;
		theme[i % 8].sent += r.sent;
	}
	printf("# %u sequences, %u steps, %" PRIu64 " packets, %" PRIu64 " protocol violations\n",
	       SEQUENCES, sum.steps, sum.sent, sum.violations);
	EXPECT(t, sum.steps > SEQUENCES * 50);
	EXPECT(t, sum.sent > SEQUENCES * 20);
	EXPECT(t, sum.violations > SEQUENCES);
	for (unsigned i = 0; i < 8; i++) {
		EXPECT(t, theme[i].sent > 500);
	}
}

static void test_same_every_time(struct test *t)
{
	static uint8_t script[SCRIPT_BYTES];

	for (uint32_t i = 0; i < 16; i++) {
		foul_script(i, 8, script, sizeof(script));
		struct hostile_result a = hostile_play(script, sizeof(script));
		struct hostile_result b = hostile_play(script, sizeof(script));

		EXPECT_EQ(t, a.steps, b.steps);
		EXPECT_EQ(t, a.sent, b.sent);
		EXPECT_EQ(t, a.violations, b.violations);
	}
}

/* ---- Memory that changes under the reader ---- */

struct scribbler {
	struct rig *r;
	bool stop; /* atomic */
};

static void scribble(struct fake_guest_ring *ring, uint64_t v)
{
	uint32_t at = (uint32_t)(v >> 8) % ring->size;

	__atomic_store_n(&ring->pages[at / 4096][at % 4096], (uint8_t)v, __ATOMIC_RELAXED);
}

static void *scribbler_main(void *arg)
{
	struct scribbler *s = arg;
	uint64_t state = 88172645463325252u;

	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
		for (unsigned i = 0; i < 64; i++) {
			uint64_t v = foul_random(&state);

			scribble(v & 1 ? &s->r->channels[v >> 60 & 1].out
				       : &s->r->channels[v >> 60 & 1].in,
				 v >> 1);
		}
	}
	return NULL;
}

static void one_round(struct test *t, unsigned round)
{
	const struct rig_config config = {
		.subchannels = 1, .ring_pages = 3, .guest = {.pages = 600}};
	struct rig *r = rig_create(&config);
	struct scribbler s = {.r = r};
	pthread_t thread;

	rig_add_disk(r, 0, 1 << 20, 0);
	EXPECT(t, rig_up(r));
	EXPECT(t, rig_create_subchannels(r, 1));
	EXPECT_EQ(t, pthread_create(&thread, NULL, scribbler_main, &s), 0);
	for (unsigned i = 0; i < 200; i++) {
		struct rig_srb srb = rig_read(0, i + round, 1 + i % 40);
		unsigned ch = i & 1;

		if (!rig_send(r, ch, i + 1, &srb)) {
			uint32_t write = r->channels[ch].in.control->write_index;

			r->channels[ch].in.private_read = write;
			r->channels[ch].in.control->read_index = write;
			fake_guest_signal(&r->channels[ch]);
		}
		rig_run(r);
	}
	__atomic_store_n(&s.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	EXPECT_EQ(t, r->s->command_count, 0);
	vmbus_reset(r->g->bus);
	rig_run(r);
	EXPECT(t, stor_idle(r->s));
	rig_destroy(r);
}

static void test_changing_memory(struct test *t)
{
	for (unsigned round = 0; round < 40; round++) {
		one_round(t, round);
	}
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_sequences),
		TEST(test_same_every_time),
		TEST(test_changing_memory),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
