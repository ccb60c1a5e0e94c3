// SPDX-License-Identifier: Apache-2.0
#include "cli.h"
#include "lib/bits.h"
#include "test/test.h"

static void test_sizes(struct test *t)
{
	static const struct {
		const char *text;
		bool ok;
		uint64_t bytes;
	} rows[] = {
		{"512M", true, UINT64_C(512) << 20},
		{"2G", true, UINT64_C(2) << 30},
		{"2GiB", true, UINT64_C(2) << 30},
		{"1t", true, UINT64_C(1) << 40},
		{"64", true, UINT64_C(64) << 20},
		{"8KB", true, 8192},
		{"0", true, 0},
		{"", false, 0},
		{"M", false, 0},
		{"-1", false, 0},
		{"1X", false, 0},
		{"1MM", false, 0},
		{"99999999999999999999", false, 0},
		{"99999999999T", false, 0},
		{"1 M", false, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t bytes = 77;
		bool ok = parse_size(rows[i].text, true, &bytes);

		EXPECT_EQ(t, ok, rows[i].ok);
		EXPECT_EQ(t, bytes, ok ? rows[i].bytes : 77);
	}
	uint64_t bytes;

	EXPECT(t, parse_size("64", false, &bytes));
	EXPECT_EQ(t, bytes, 64);
}

static void test_durations(struct test *t)
{
	static const struct {
		const char *text;
		bool ok;
		uint64_t ns;
	} rows[] = {
		{"30", true, 30000000000u},
		{"0.5", true, 500000000},
		{"250ms", true, 250000000},
		{"2m", true, 120000000000u},
		{"1h", true, 3600000000000u},
		{"-1", false, 0},
		{"x", false, 0},
		{"1d", false, 0},
		{"1e30", false, 0},
		{"nan", false, 0},
		{"", false, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t ns = 77;
		bool ok = parse_duration_ns(rows[i].text, &ns);

		EXPECT_EQ(t, ok, rows[i].ok);
		EXPECT_EQ(t, ns, ok ? rows[i].ns : 77);
	}
}

static void test_counts(struct test *t)
{
	uint64_t n = 77;

	EXPECT(t, parse_count("4", &n));
	EXPECT_EQ(t, n, 4);
	EXPECT(t, !parse_count("4x", &n));
	EXPECT(t, !parse_count("", &n));
	EXPECT(t, !parse_count("+4", &n));
	EXPECT(t, !parse_count("99999999999999999999", &n));
	EXPECT_EQ(t, n, 4);
}

static void test_guesses(struct test *t)
{
	static const char *const choices[] = {"convert", "create", "check", "compact", "ro", NULL};
	static const struct {
		const char *word, *meant;
	} rows[] = {
		{"covnert", "convert"},
		{"creat", "create"},
		{"comp", "compact"},
		{"chekc", "check"},
		{"cheque", ""},
		{"r0", "ro"},
		{"rw2", ""},
		{"c", ""},
		{"", ""},
		{"a very long word that is longer than all that is known", ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[CLI_GUESS_BYTES], want[CLI_GUESS_BYTES] = "";

		if (rows[i].meant[0] != '\0') {
			snprintf(want, sizeof(want), ": did you mean '%s'?", rows[i].meant);
		}
		EXPECT(t, strcmp(guess(rows[i].word, choices, text), want) == 0);
	}
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_sizes), TEST(test_durations),
						 TEST(test_counts), TEST(test_guesses)};

	return test_main(cases, ARRAY_LEN(cases));
}
