// SPDX-License-Identifier: Apache-2.0
#include "lib/bits.h"
#include "lib/state.h"
#include "test/test.h"

#define TAG_OUTER STATE_TAG('O', 'U', 'T', 'R')
#define TAG_INNER STATE_TAG('I', 'N', 'N', 'R')

static void put_sample(struct state_writer *w)
{
	state_begin(w, TAG_OUTER, 3);
	state_put_u8(w, 0x12);
	state_put_u64(w, 0x1122334455667788);
	state_begin(w, TAG_INNER, 1);
	state_put_u16(w, 0xbeef);
	state_end(w);
	state_end(w);
	state_begin(w, TAG_INNER, 2);
	state_put_u32(w, 7);
	state_end(w);
}

static void test_round_trip(struct test *t)
{
	uint8_t buf[128];
	struct state_writer w;
	struct state_reader r, outer, inner;
	uint32_t tag;
	uint16_t version;

	state_writer_init(&w, buf, sizeof(buf));
	put_sample(&w);
	EXPECT(t, state_writer_ok(&w));
	state_reader_init(&r, buf, w.used);
	EXPECT(t, state_next(&r, &tag, &version, &outer));
	EXPECT_EQ(t, tag, TAG_OUTER);
	EXPECT_EQ(t, version, 3);
	EXPECT_EQ(t, state_get_u8(&outer), 0x12);
	EXPECT_EQ(t, state_get_u64(&outer), 0x1122334455667788);
	EXPECT(t, state_next(&outer, &tag, &version, &inner));
	EXPECT_EQ(t, state_get_u16(&inner), 0xbeef);
	EXPECT_EQ(t, state_get_u32(&inner), 0);
	EXPECT(t, inner.bad);
	EXPECT(t, state_next(&r, &tag, &version, &outer));
	EXPECT_EQ(t, state_get_u32(&outer), 7);
	EXPECT(t, !state_next(&r, &tag, &version, &outer));
	EXPECT(t, !r.bad);
}

static void test_size_pass(struct test *t)
{
	uint8_t buf[128];
	struct state_writer counting, writing;

	state_writer_init(&counting, NULL, 0);
	put_sample(&counting);
	EXPECT(t, !state_writer_ok(&counting));
	state_writer_init(&writing, buf, counting.used);
	put_sample(&writing);
	EXPECT(t, state_writer_ok(&writing));
	EXPECT_EQ(t, writing.used, counting.used);
}

/* Every cut and every flipped length is noticed or read as less; nothing outside the buffer is
 * touched (ASan watches). */
static void test_torn(struct test *t)
{
	uint8_t buf[128];
	struct state_writer w;

	state_writer_init(&w, buf, sizeof(buf));
	put_sample(&w);
	for (size_t cut = 0; cut < w.used; cut++) {
		uint8_t *copy = malloc(cut + 1);
		struct state_reader r, payload;
		uint32_t tag;
		uint16_t version;
		unsigned records = 0;

		memcpy(copy, buf, cut);
		state_reader_init(&r, copy, cut);
		while (state_next(&r, &tag, &version, &payload)) {
			records++;
		}
		EXPECT(t, records < 2);
		EXPECT_EQ(t, r.bad, cut != 0 && cut != 12 + 9 + 14);
		free(copy);
	}
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_round_trip), TEST(test_size_pass),
						 TEST(test_torn)};

	return test_main(cases, ARRAY_LEN(cases));
}
