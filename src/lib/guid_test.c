// SPDX-License-Identifier: Apache-2.0
#include "lib/guid.h"

#include <string.h>

#include "test/test.h"

static const char text[] = "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f";

static void test_order(struct test *t)
{
	const struct guid g =
		GUID(0xba6163d9, 0x04a1, 0x4d29, 0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f);
	const uint8_t bytes[16] = {0xd9, 0x63, 0x61, 0xba, 0xa1, 0x04, 0x29, 0x4d,
				   0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f};
	struct guid parsed, swapped;
	char out[GUID_TEXT_BYTES];

	EXPECT(t, memcmp(g.bytes, bytes, 16) == 0);
	guid_format(&g, out);
	EXPECT(t, strcmp(out, text) == 0);
	EXPECT(t, guid_parse(text, &parsed) && guid_equal(&parsed, &g));
	EXPECT(t, guid_parse("{BA6163D9-04A1-4D29-B605-72E2FFB1DC7F}", &parsed) &&
			  guid_equal(&parsed, &g));
	swapped = guid_swap(&g);
	EXPECT(t, swapped.bytes[0] == 0xba && swapped.bytes[7] == 0x29);
	swapped = guid_swap(&swapped);
	EXPECT(t, guid_equal(&swapped, &g));
}

static void test_refused(struct test *t)
{
	static const char *const bad[] = {
		"",
		"{",
		"ba6163d9-04a1-4d29-b605-72e2ffb1dc7",
		"ba6163d9-04a1-4d29-b605-72e2ffb1dc7f0",
		"ba6163d9004a1-4d29-b605-72e2ffb1dc7f",
		"{ba6163d9-04a1-4d29-b605-72e2ffb1dc7f",
		"ga6163d9-04a1-4d29-b605-72e2ffb1dc7f",
	};
	struct guid g = {{1}};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		EXPECT(t, !guid_parse(bad[i], &g) && g.bytes[0] == 1);
	}
}

static void test_random(struct test *t)
{
	uint8_t ones[16];
	struct guid g;

	memset(ones, 0xff, sizeof(ones));
	g = guid_from_random(ones);
	EXPECT(t, g.bytes[7] == 0x4f && g.bytes[8] == 0xbf);
	EXPECT(t, !guid_is_zero(&g));
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_order), TEST(test_refused),
						 TEST(test_random)};

	return test_main(cases, sizeof(cases) / sizeof(cases[0]));
}
