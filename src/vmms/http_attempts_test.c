// SPDX-License-Identifier: Apache-2.0
#include "http_attempts.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "lib/bits.h"
#include "test/test.h"

#define S UINT64_C(1000000000)
#define NOW (1000 * S)

static struct sockaddr_storage address(const char *text)
{
	struct sockaddr_storage s = {0};
	struct sockaddr_in6 *six = (void *)&s;
	struct sockaddr_in *four = (void *)&s;

	if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
	} else {
		inet_pton(AF_INET, text, &four->sin_addr);
		four->sin_family = AF_INET;
	}
	return s;
}

static unsigned burst(struct attempts *a, const char *from, uint64_t now_ns)
{
	const struct sockaddr_storage s = address(from);
	unsigned n = 0;

	while (n < 1000 && attempts_begin(a, &s, now_ns) == 0) {
		n++;
	}
	return n;
}

static void test_one_address(struct test *t)
{
	struct attempts a = {0};
	const struct sockaddr_storage s = address("192.0.2.1");

	EXPECT_EQ(t, burst(&a, "192.0.2.1", NOW), ATTEMPTS_BURST);
	EXPECT_EQ(t, attempts_begin(&a, &s, NOW), ATTEMPTS_ONE_NS);
	EXPECT_EQ(t, attempts_begin(&a, &s, NOW + ATTEMPTS_ONE_NS - 1), 1);
	EXPECT_EQ(t, burst(&a, "192.0.2.1", NOW + ATTEMPTS_ONE_NS), 1);
	EXPECT_EQ(t, burst(&a, "192.0.2.1", NOW + 3600 * S), ATTEMPTS_BURST);
}

static void test_right_ones_do_not_count(struct test *t)
{
	struct attempts a = {0};
	const struct sockaddr_storage s = address("192.0.2.1"), other = address("192.0.2.2");

	for (unsigned i = 0; i < 100; i++) {
		EXPECT_EQ(t, attempts_begin(&a, &s, NOW), 0);
		attempts_right(&a, &s);
	}
	attempts_right(&a, &other); /* which nothing is known of */
	EXPECT_EQ(t, burst(&a, "192.0.2.1", NOW), ATTEMPTS_BURST);
}

static void test_addresses_apart(struct test *t)
{
	struct attempts a = {0};

	burst(&a, "192.0.2.1", NOW);
	EXPECT_EQ(t, burst(&a, "192.0.2.2", NOW), ATTEMPTS_BURST);
	EXPECT_EQ(t, burst(&a, "::ffff:192.0.2.1", NOW), 0);
	EXPECT_EQ(t, burst(&a, "2001:db8:1:2::1", NOW), ATTEMPTS_BURST);
	EXPECT_EQ(t, burst(&a, "2001:db8:1:2:ffff::9", NOW), 0);
	EXPECT_EQ(t, burst(&a, "2001:db8:1:3::1", NOW), ATTEMPTS_BURST);
}

/* Who tries the most stays known while many others come by once. */
static void test_more_addresses_than_fit(struct test *t)
{
	struct attempts a = {0};
	char text[32];

	burst(&a, "198.51.100.1", NOW);
	for (unsigned i = 0; i < 4 * ATTEMPTS_ADDRESSES; i++) {
		snprintf(text, sizeof(text), "10.0.%u.%u", i / 250, i % 250);
		const struct sockaddr_storage s = address(text);

		EXPECT_EQ(t, attempts_begin(&a, &s, NOW), 0);
	}
	EXPECT_EQ(t, burst(&a, "198.51.100.1", NOW), 0);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_one_address),
		TEST(test_right_ones_do_not_count),
		TEST(test_addresses_apart),
		TEST(test_more_addresses_than_fit),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
