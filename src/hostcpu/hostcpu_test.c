// SPDX-License-Identifier: Apache-2.0
/* Lists, the kernel's texts, and the arithmetic of shares. */
#include "hostcpu/shares.h"
#include "hostcpu/text.h"
#include "lib/bits.h"
#include "test/test.h"

static struct hostcpu_set set_of(const char *text)
{
	struct hostcpu_set s;

	if (!hostcpu_set_parse(text, strlen(text), &s)) {
		abort();
	}
	return s;
}

/* ---- Sets ---- */

static void test_lists(struct test *t)
{
	static const struct {
		const char *text, *shortest; /* NULL: refused */
		unsigned count;
	} cases[] = {
		{"", "", 0},
		{"\n", "", 0},
		{"0", "0", 1},
		{"0\n", "0", 1},
		{"0-3,8", "0-3,8", 5},
		{"8,0,1,2,3", "0-3,8", 5},
		{"1,1-2", "1-2", 2},
		{"4095", "4095", 1},
		{"0-4095", "0-4095", 4096},
		{"62-65", "62-65", 4},
		{"4096", NULL, 0},
		{"0-4096", NULL, 0},
		{"99999999999999999999", NULL, 0},
		{"3-2", NULL, 0},
		{"1,", NULL, 0},
		{",1", NULL, 0},
		{"1,,2", NULL, 0},
		{"1-", NULL, 0},
		{"-1", NULL, 0},
		{"1 2", NULL, 0},
		{"0-10:2/5", NULL, 0},
		{"1\n\n", NULL, 0},
		{"a", NULL, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		static char text[HOSTCPU_LIST_BYTES];
		struct hostcpu_set s;
		bool ok = hostcpu_set_parse(cases[i].text, strlen(cases[i].text), &s);

		EXPECT_EQ(t, ok, cases[i].shortest != NULL);
		if (ok) {
			hostcpu_set_format(&s, text);
			EXPECT(t, strcmp(text, cases[i].shortest) == 0);
			EXPECT_EQ(t, hostcpu_set_count(&s), cases[i].count);
		}
	}
}

static void test_longest_list(struct test *t)
{
	static char text[HOSTCPU_LIST_BYTES];
	struct hostcpu_set s = {{0}}, again;

	for (unsigned n = 0; n < HOSTCPU_MAX; n += 2) {
		hostcpu_set_add(&s, n);
	}
	hostcpu_set_format(&s, text);
	EXPECT(t, hostcpu_set_parse(text, strlen(text), &again) && hostcpu_set_equals(&s, &again));
}

static void test_sets(struct test *t)
{
	struct hostcpu_set a = set_of("1,3-5,64,4095"), b = set_of("3-4"), c = a;

	EXPECT(t, hostcpu_set_is_within(&b, &a) && !hostcpu_set_is_within(&a, &b));
	EXPECT(t, hostcpu_set_has(&a, 64) && !hostcpu_set_has(&a, 63) &&
			  !hostcpu_set_has(&a, HOSTCPU_MAX));
	EXPECT_EQ(t, hostcpu_set_next(&a, 0), 1);
	EXPECT_EQ(t, hostcpu_set_next(&a, 6), 64);
	EXPECT_EQ(t, hostcpu_set_next(&a, 65), 4095);
	EXPECT_EQ(t, hostcpu_set_next(&b, 5), HOSTCPU_MAX);
	EXPECT_EQ(t, hostcpu_set_next(&a, HOSTCPU_MAX), HOSTCPU_MAX);
	hostcpu_set_intersect(&c, &b);
	EXPECT(t, hostcpu_set_equals(&c, &b));
	hostcpu_set_unite(&c, &a);
	EXPECT(t, hostcpu_set_equals(&c, &a));
}

/* ---- The kernel's texts ---- */

static void test_group_path(struct test *t)
{
	static const struct {
		const char *text, *path; /* NULL: none */
	} cases[] = {
		{"0::/\n", "/"},
		{"0::/system.slice/virid-vmms.service\n", "/system.slice/virid-vmms.service"},
		{"12:cpu,cpuacct:/a\n0::/b", "/b"},
		{"0::/a..b/..c\n", "/a..b/..c"},
		{"12:cpu:/a\n", NULL},
		{"", NULL},
		{"0::\n", NULL},
		{"0::a\n", NULL},
		{"0::/../a\n", NULL},
		{"0::/a/..\n", NULL},
		{"0::/a/../b\n", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char path[HOSTCPU_PATH_BYTES] = "untouched";
		bool ok = hostcpu_cgroup_parse(cases[i].text, strlen(cases[i].text), path);

		EXPECT_EQ(t, ok, cases[i].path != NULL);
		EXPECT(t, strcmp(path, ok ? cases[i].path : "untouched") == 0);
	}
}

static void test_words(struct test *t)
{
	static const char text[] = "cpuset cpu io\n";

	EXPECT(t, hostcpu_has_word(text, strlen(text), "cpu"));
	EXPECT(t, hostcpu_has_word(text, strlen(text), "io"));
	EXPECT(t, !hostcpu_has_word(text, strlen(text), "set"));
	EXPECT(t, !hostcpu_has_word("cpuset\n", 7, "cpu"));
	EXPECT(t, !hostcpu_has_word("", 0, "cpu"));
}

static void test_max(struct test *t)
{
	uint64_t quota = 1, period = 1;

	EXPECT(t, hostcpu_max_parse("max 100000\n", 11, &quota, &period));
	EXPECT(t, quota == UINT64_MAX && period == 100000);
	EXPECT_EQ(t, hostcpu_hundredths(quota, period), UINT64_MAX);
	EXPECT(t, hostcpu_max_parse("150000 100000", 13, &quota, &period));
	EXPECT_EQ(t, hostcpu_hundredths(quota, period), 150);
	EXPECT(t, !hostcpu_max_parse("150000 0", 8, &quota, &period));
	EXPECT(t, !hostcpu_max_parse("150000", 6, &quota, &period));
	EXPECT(t, !hostcpu_max_parse("-1 5", 4, &quota, &period));
	EXPECT(t, !hostcpu_max_parse("maximum 5", 9, &quota, &period));
	EXPECT(t, !hostcpu_max_parse("18446744073709551616 5", 22, &quota, &period));
	EXPECT(t, quota == 150000 && period == 100000);
}

static void test_usage(struct test *t)
{
	static const char full[] = "usage_usec 12\nuser_usec 7\nsystem_usec 5\nnr_periods 4\n"
				   "nr_throttled 3\nthrottled_usec 99\nnr_bursts 0\n";
	struct hostcpu_usage u = {0};

	EXPECT(t, hostcpu_usage_parse(full, strlen(full), &u));
	EXPECT(t, u.usage_us == 12 && u.periods == 4 && u.throttled_periods == 3 &&
			  u.throttled_us == 99);
	EXPECT(t, hostcpu_usage_parse("usage_usec 5", 12, &u) && u.usage_us == 5 && u.periods == 0);
	EXPECT(t, !hostcpu_usage_parse("nr_periods 5", 12, &u) && u.usage_us == 5);
	EXPECT(t, !hostcpu_usage_parse("usage_usec x", 12, &u));
}

/* ---- Shares ---- */

static void test_quota(struct test *t)
{
	static const struct {
		unsigned processors, limit;
		uint64_t quota_us;
	} cases[] = {{1, 100, 0},     {4, 100, 0},  {1, 50, 50000},
		     {4, 50, 200000}, {1, 1, 1000}, {2048, 99, 202752000}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct hostcpu_claim c = {.processors = cases[i].processors,
					  .limit_percent = cases[i].limit};

		EXPECT_EQ(t, hostcpu_quota_us(&c), cases[i].quota_us);
	}
}

struct shares_case {
	const char *host;
	uint64_t hundredths; /* 0: all */
	size_t count;
	struct {
		unsigned processors, weight, reserve;
		const char *set;
	} vms[4];
	unsigned weights[4];
};

static const struct shares_case shares_cases[] = {
	/* By weight alone, whatever else there is. */
	{"0", 0, 2, {{1, 100, 0, ""}, {1, 300, 0, ""}}, {3333, 10000}},
	{"0-3", 0, 2, {{1, 100, 0, ""}, {1, 300, 0, ""}}, {3333, 10000}},
	{"0", 0, 1, {{1, 1, 0, ""}}, {10000}},
	/* Each virtual processor has the weight. */
	{"0", 0, 2, {{1, 100, 0, ""}, {4, 100, 0, ""}}, {2500, 10000}},
	/* 50 of 100 are reserved, the other 50 go 1 : 1: 75 and 25. */
	{"0", 0, 2, {{1, 100, 50, ""}, {1, 100, 0, ""}}, {10000, 3333}},
	/* 80 against a weight that is 100 times as large: 80 + 20/101 and 20 * 100/101. */
	{"0", 0, 2, {{1, 100, 80, ""}, {1, 10000, 0, ""}}, {10000, 2469}},
	/* Half of the host is not ours: all that is left is reserved. */
	{"0", 50, 2, {{1, 100, 50, ""}, {1, 100, 0, ""}}, {10000, 1}},
	/* More reserved than there is: by reserves. */
	{"0", 0, 2, {{2, 100, 80, ""}, {1, 100, 80, ""}}, {10000, 5000}},
	/* Those that never meet do not count for each other. */
	{"0-1", 0, 3, {{1, 100, 0, "0"}, {1, 300, 0, "0"}, {1, 1, 0, "1"}}, {3333, 10000, 10000}},
	/* The reserve is of where they meet: 50 + 25 against 25 on processor 0. */
	{"0-3", 0, 2, {{1, 100, 50, "0"}, {1, 100, 0, "0"}}, {10000, 3333}},
	/* One that may run everywhere connects all. */
	{"0-1", 0, 3, {{1, 100, 0, "0"}, {1, 200, 0, "1"}, {1, 100, 0, ""}}, {5000, 10000, 5000}},
	/* A set that is not there (any more) is everywhere. */
	{"0-1", 0, 2, {{1, 100, 0, "7"}, {1, 100, 0, ""}}, {10000, 10000}},
	/* Too far apart for Linux: the least there is. */
	{"0", 0, 2, {{1, 1, 0, ""}, {2048, 10000, 0, ""}}, {1, 10000}},
};

static void test_shares(struct test *t)
{
	for (size_t i = 0; i < ARRAY_LEN(shares_cases); i++) {
		const struct shares_case *c = &shares_cases[i];
		struct hostcpu_capacity capacity = {.set = set_of(c->host)};
		struct hostcpu_claim claims[4];
		unsigned weights[4];

		capacity.hundredths = c->hundredths != 0
					      ? c->hundredths
					      : hostcpu_set_count(&capacity.set) * (uint64_t)100;
		for (size_t k = 0; k < c->count; k++) {
			claims[k] = (struct hostcpu_claim){.processors = c->vms[k].processors,
							   .weight = c->vms[k].weight,
							   .reserve_percent = c->vms[k].reserve,
							   .limit_percent = 100,
							   .set = set_of(c->vms[k].set)};
		}
		hostcpu_weights(claims, c->count, &capacity, weights);
		for (size_t k = 0; k < c->count; k++) {
			EXPECT_EQ(t, weights[k], c->weights[k]);
		}
	}
}

static struct hostcpu_claim claim(unsigned processors, unsigned reserve, const char *set)
{
	return (struct hostcpu_claim){.processors = processors,
				      .weight = 100,
				      .reserve_percent = reserve,
				      .limit_percent = 100,
				      .set = set_of(set)};
}

static void test_admission(struct test *t)
{
	const struct hostcpu_claim running[] = {claim(2, 100, ""), claim(1, 50, "0"),
						claim(2, 20, "0-1")};
	const struct hostcpu_capacity four = {.set = set_of("0-3"), .hundredths = 400},
				      limited = {.set = set_of("0-3"), .hundredths = 300};
	const struct {
		struct hostcpu_claim c;
		const struct hostcpu_capacity *capacity;
		bool ok;
		uint64_t reserved, available;
	} cases[] = {
		/* 290 of 400 are reserved. */
		{claim(1, 100, ""), &four, true},
		{claim(2, 55, ""), &four, true},
		{claim(2, 56, ""), &four, false, 290, 400},
		{claim(1, 20, ""), &limited, false, 290, 300},
		/* Nothing reserved, nothing refused. */
		{claim(64, 0, "0"), &limited, true},
		/* On processor 0 there are 50 left. */
		{claim(1, 50, "0"), &four, true},
		{claim(1, 51, "0"), &four, false, 50, 100},
		/* More than its own processors have. */
		{claim(4, 30, "2"), &four, false, 0, 100},
		/* Of 0 and 1 there are 110 left, of all as much. */
		{claim(2, 55, "0-1"), &four, true},
		{claim(2, 56, "0-1"), &four, false, 90, 200},
		/* Its own processor is free, but not the two among which it is. */
		{claim(1, 100, "1"), &four, true},
	};
	const struct hostcpu_claim tight[] = {claim(2, 90, "0-1")};
	struct hostcpu_refusal why = {0};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool ok = hostcpu_admits(running, 3, &cases[i].c, cases[i].capacity, &why);

		EXPECT_EQ(t, ok, cases[i].ok);
		if (!ok) {
			EXPECT_EQ(t, why.reserved, cases[i].reserved);
			EXPECT_EQ(t, why.available, cases[i].available);
		}
	}
	const struct hostcpu_claim on_one = claim(1, 30, "1");

	EXPECT(t, !hostcpu_admits(tight, 1, &on_one, &four, &why));
	EXPECT(t, why.reserved == 180 && why.available == 200);
}

static unsigned below(uint64_t *seed, unsigned limit)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)((*seed >> 33) % limit);
}

/* Whatever is asked for: what fits is had, as Linux divides by weight. */
static void test_reserves_hold(struct test *t)
{
	uint64_t seed = 1;

	for (unsigned round = 0; round < 2000; round++) {
		unsigned processors = 1 + below(&seed, 64), count = 1 + below(&seed, 40);
		struct hostcpu_capacity capacity = {.hundredths = (uint64_t)processors * 100};
		struct hostcpu_claim claims[40];
		unsigned weights[40];
		uint64_t sum = 0, left = capacity.hundredths;

		for (unsigned n = 0; n < processors; n++) {
			hostcpu_set_add(&capacity.set, n);
		}
		for (unsigned i = 0; i < count; i++) {
			struct hostcpu_claim *c = &claims[i];

			*c = (struct hostcpu_claim){.processors = 1 + below(&seed, 8),
						    .weight = 1 + below(&seed, 10000),
						    .limit_percent = 100};
			uint64_t most = left / c->processors;

			c->reserve_percent = below(&seed, (most < 100 ? (unsigned)most : 100) + 1);
			left -= hostcpu_reserved(c);
		}
		hostcpu_weights(claims, count, &capacity, weights);
		for (unsigned i = 0; i < count; i++) {
			EXPECT(t, weights[i] >= 1 && weights[i] <= HOSTCPU_WEIGHT_MAX);
			sum += weights[i];
		}
		for (unsigned i = 0; i < count; i++) {
			double got = (double)capacity.hundredths * weights[i] / (double)sum;
			double error = (double)capacity.hundredths * count / 10000;

			EXPECT(t, got + error >= (double)hostcpu_reserved(&claims[i]));
		}
	}
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_lists),      TEST(test_longest_list),	 TEST(test_sets),
		TEST(test_group_path), TEST(test_words),	 TEST(test_max),
		TEST(test_usage),      TEST(test_quota),	 TEST(test_shares),
		TEST(test_admission),  TEST(test_reserves_hold),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
