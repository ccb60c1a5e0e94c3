// SPDX-License-Identifier: Apache-2.0
#include "lib/crc32c.h"

#include "lib/bits.h"
#include "test/test.h"

static void fill_up(uint8_t *p)
{
	for (unsigned i = 0; i < 32; i++) {
		p[i] = (uint8_t)i;
	}
}

/* Spec: RFC 3720 B.4, and the check value of the polynomial. */
static void test_rfc3720(struct test *t)
{
	uint8_t buf[48];

	for (int hw = 0; hw <= (int)crc32c_has_instruction(); hw++) {
		memset(buf, 0, 32);
		EXPECT_EQ(t, crc32c_with(hw, 0, buf, 32), 0x8a9136aa);
		memset(buf, 0xff, 32);
		EXPECT_EQ(t, crc32c_with(hw, 0, buf, 32), 0x62a8ab43);
		fill_up(buf);
		EXPECT_EQ(t, crc32c_with(hw, 0, buf, 32), 0x46dd794e);
		EXPECT_EQ(t, crc32c_with(hw, 0, "123456789", 9), 0xe3069283);
		EXPECT_EQ(t, crc32c_with(hw, 0, buf, 0), 0);
	}
}

/* The definition, bit by bit. */
static uint32_t slow(const uint8_t *p, size_t bytes)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < bytes; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++) {
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
		}
	}
	return ~crc;
}

static void test_all_lengths(struct test *t)
{
	static uint8_t buf[2200];
	uint32_t x = 1;

	for (size_t i = 0; i < sizeof(buf); i++) {
		x = x * 1664525 + 1013904223;
		buf[i] = (uint8_t)(x >> 24);
	}
	for (size_t n = 0; n < sizeof(buf) - 8; n += n < 80 ? 1 : 97) {
		uint32_t want = slow(buf + n % 8, n);

		EXPECT_EQ(t, crc32c_with(false, 0, buf + n % 8, n), want);
		EXPECT_EQ(t, crc32c(0, buf + n % 8, n), want);
		EXPECT_EQ(t, crc32c(crc32c(0, buf + n % 8, n / 3), buf + n % 8 + n / 3, n - n / 3),
			  want);
	}
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_rfc3720), TEST(test_all_lengths)};

	return test_main(cases, ARRAY_LEN(cases));
}
