// SPDX-License-Identifier: Apache-2.0
/* The log: what a person sees of a line whose text is a guest's. */
#include "host/log.h"

#include <string.h>

#include "lib/bits.h"
#include "test/test.h"

static void test_control_characters(struct test *t)
{
	char last[64];

	log_line("%s", "a\x1b[2J\x1b]0;title\x07"
		       "b\r\n\tc\x7f");
	log_last(last, sizeof(last));
	EXPECT(t, strcmp(last, "a?[2J?]0;title?b?\n\tc?") == 0);
	log_line("%s", "caf\xc3\xa9");
	log_last(last, sizeof(last));
	EXPECT(t, strcmp(last, "caf\xc3\xa9") == 0);
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_control_characters)};

	return test_main(cases, ARRAY_LEN(cases));
}
