// SPDX-License-Identifier: Apache-2.0
/* A thousand hostile guests, each other and the same in every run. hostile_play looks after requests; leaks are the sanitizer's. */
#include "test/test.h"

#include "hostile.h"
#include "lib/bits.h"
#include "vmbus/testing/foul.h"

#define SEQUENCES 1000u
#define SCRIPT_BYTES 2000u

static void test_sequences(struct test *t)
{
	static uint8_t script[SCRIPT_BYTES];
	struct hostile_result sum = {0};
	uint64_t sent[4] = {0};

	for (uint32_t i = 0; i < SEQUENCES; i++) {
		foul_script(i, 4, script, sizeof(script));
		struct hostile_result r = hostile_play(script, sizeof(script));

		sum.steps += r.steps;
		sum.sent += r.sent;
		sum.violations += r.violations;
		sum.asked += r.asked;
		sum.done += r.done;
		sent[i % 4] += r.sent;
	}
	printf("# %u sequences, %u steps, %" PRIu64 " packets, %" PRIu64
	       " protocol violations, %u of %u requests ended\n",
	       SEQUENCES, sum.steps, sum.sent, sum.violations, sum.done, sum.asked);
	EXPECT(t, sum.steps > SEQUENCES * 50);
	EXPECT(t, sum.sent > SEQUENCES * 10);
	EXPECT(t, sum.violations > SEQUENCES);
	EXPECT(t, sum.asked > SEQUENCES);
	EXPECT(t, sum.done > sum.asked / 4);
	for (unsigned i = 0; i < ARRAY_LEN(sent); i++) {
		EXPECT(t, sent[i] > 1000);
	}
}

static void test_same_every_time(struct test *t)
{
	static uint8_t script[SCRIPT_BYTES];

	for (uint32_t i = 0; i < 16; i++) {
		foul_script(i, 4, script, sizeof(script));
		struct hostile_result a = hostile_play(script, sizeof(script));
		struct hostile_result b = hostile_play(script, sizeof(script));

		EXPECT_EQ(t, a.steps, b.steps);
		EXPECT_EQ(t, a.sent, b.sent);
		EXPECT_EQ(t, a.violations, b.violations);
		EXPECT_EQ(t, a.done, b.done);
	}
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_sequences),
		TEST(test_same_every_time),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
