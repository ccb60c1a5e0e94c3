// SPDX-License-Identifier: Apache-2.0
#include "lib/utf16.h"

#include "lib/bits.h"
#include "test/test.h"

struct pair {
	const char *utf8;
	uint8_t be[16];
	size_t bytes;
};

static const struct pair pairs[] = {
	{"", {0}, 0},
	{"A\\", {0x00, 0x41, 0x00, 0x5c}, 4},
	{"\x7f\xc2\x80", {0x00, 0x7f, 0x00, 0x80}, 4},
	{"\xdf\xbf\xe0\xa0\x80", {0x07, 0xff, 0x08, 0x00}, 4},
	{"\xed\x9f\xbf\xee\x80\x80", {0xd7, 0xff, 0xe0, 0x00}, 4},
	{"\xef\xbf\xbf\xf0\x90\x80\x80", {0xff, 0xff, 0xd8, 0x00, 0xdc, 0x00}, 6},
	{"\xf0\x9f\x98\x80", {0xd8, 0x3d, 0xde, 0x00}, 4},
	{"\xf4\x8f\xbf\xbf", {0xdb, 0xff, 0xdf, 0xff}, 4},
};

static void swap(const uint8_t *from, uint8_t *to, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		to[i] = from[i ^ 1];
	}
}

static void test_both_ways(struct test *t)
{
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		const struct pair *p = &pairs[i];
		uint8_t le[16], units[16];
		size_t bytes = 99;
		char text[32];

		swap(p->be, le, p->bytes);
		EXPECT(t, utf16_encode(p->utf8, UTF16_BE, units, sizeof(units), &bytes));
		EXPECT_EQ(t, bytes, p->bytes);
		EXPECT_MEM(t, units, p->be, p->bytes);
		EXPECT(t, utf16_encode(p->utf8, UTF16_LE, units, sizeof(units), &bytes));
		EXPECT_MEM(t, units, le, p->bytes);
		EXPECT(t, utf16_decode(p->be, p->bytes, UTF16_BE, text, sizeof(text)));
		EXPECT(t, strcmp(text, p->utf8) == 0);
		EXPECT(t, utf16_decode(le, p->bytes, UTF16_LE, text, strlen(p->utf8) + 1));
		EXPECT(t, strcmp(text, p->utf8) == 0);
		EXPECT(t, p->bytes == 0 ||
				  !utf16_decode(p->be, p->bytes, UTF16_BE, text, strlen(p->utf8)));
	}
}

static void test_bad_utf8(struct test *t)
{
	static const char *const bad[] = {
		"\x80",		"\xc0\x80",	    "\xc1\xbf",		"\xc3",
		"\xc3\x28",	"\xe0\x9f\xbf",	    "\xe2\x82",		"\xed\xa0\x80",
		"\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
		"\xff",		"a\xf0\x9f\x98",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		size_t bytes = 99;

		EXPECT(t, !utf16_encode(bad[i], UTF16_LE, NULL, 0, &bytes));
		EXPECT_EQ(t, bytes, 99);
	}
}

static void test_bad_utf16(struct test *t)
{
	static const struct {
		uint8_t be[4];
		size_t bytes;
	} bad[] = {
		{{0x00, 0x41, 0x00}, 3},       {{0xd8, 0x00}, 2}, {{0xdc, 0x00, 0x00, 0x41}, 4},
		{{0xd8, 0x00, 0x00, 0x41}, 4}, {{0x00, 0x00}, 2}, {{0xd8, 0x00, 0xd8, 0x00}, 4},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char text[8] = "before";

		EXPECT(t, !utf16_decode(bad[i].be, bad[i].bytes, UTF16_BE, text, sizeof(text)));
		EXPECT(t, text[0] == '\0');
	}
}

static void test_capacity(struct test *t)
{
	uint8_t units[4] = {1, 2, 3, 4};
	size_t bytes = 0;

	EXPECT(t, utf16_encode("abc", UTF16_LE, units, 3, &bytes));
	EXPECT_EQ(t, bytes, 6);
	EXPECT(t, units[0] == 'a' && units[2] == 3);
}

static void test_padded(struct test *t)
{
	const uint8_t be[8] = {0, 'x', 0, 'y', 0, 0, 0xd8, 0};
	char text[8];

	EXPECT(t, utf16_decode_padded(be, sizeof(be), UTF16_BE, text, sizeof(text)));
	EXPECT(t, strcmp(text, "xy") == 0);
	EXPECT(t,
	       utf16_decode_padded(be, 4, UTF16_BE, text, sizeof(text)) && strcmp(text, "xy") == 0);
	EXPECT(t, utf16_decode_padded(be + 4, 2, UTF16_BE, text, sizeof(text)) && text[0] == '\0');
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_both_ways), TEST(test_bad_utf8),
						 TEST(test_bad_utf16), TEST(test_capacity),
						 TEST(test_padded)};

	return test_main(cases, ARRAY_LEN(cases));
}
