// SPDX-License-Identifier: Apache-2.0
/* Eight hundred hostile guests, each other and the same in every run. hostile_play looks after memory and suballocations. */
#include "test/test.h"

#include "hostile.h"
#include "lib/bits.h"
#include "vmbus/testing/foul.h"

#define SEQUENCES 800u
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
		sum.frames += r.frames;
		theme[i % 8].frames += r.frames;
	}
	printf("# %u sequences, %u steps, %" PRIu64 " packets, %" PRIu64
	       " protocol violations, %" PRIu64 " frames\n",
	       SEQUENCES, sum.steps, sum.sent, sum.violations, sum.frames);
	EXPECT(t, sum.steps > SEQUENCES * 50);
	EXPECT(t, sum.sent > SEQUENCES * 20);
	EXPECT(t, sum.violations > SEQUENCES);
	for (unsigned i = 0; i < 8; i++) {
		printf("# theme %u: %" PRIu64 " frames\n", i, theme[i].frames);
		EXPECT(t, theme[i].frames > 100);
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
		EXPECT_EQ(t, a.frames, b.frames);
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
