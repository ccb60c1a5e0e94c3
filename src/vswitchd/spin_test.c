// SPDX-License-Identifier: Apache-2.0
#include "spin.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/bits.h"
#include "test/test.h"

#define MS UINT64_C(1000000)

/* Looks on for as long as it likes, on a host of two processors whose load @text says. */
static struct spin with_load(struct test *t, const char *text)
{
	struct spin s = {.max_ns = 50000, .ns = 50000, .processors = 2};

	s.load_fd = memfd_create("loadavg", MFD_CLOEXEC);
	EXPECT(t, write(s.load_fd, text, strlen(text)) == (ssize_t)strlen(text));
	return s;
}

static void change_load(struct test *t, const struct spin *s, const char *text)
{
	EXPECT(t, ftruncate(s->load_fd, 0) == 0);
	EXPECT(t, pwrite(s->load_fd, text, strlen(text), 0) == (ssize_t)strlen(text));
}

static void test_reads_load(struct test *t)
{
	unsigned n = 77;

	EXPECT(t, spin_runnable("0.00 12.01 0.05 3/512 9041\n", &n));
	EXPECT_EQ(t, n, 3);
	EXPECT(t, !spin_runnable("", &n));
	EXPECT(t, !spin_runnable("0.00 0.01 0.05", &n));
	EXPECT(t, !spin_runnable("0.00 0.01 0.05 many/512", &n));
	EXPECT_EQ(t, n, 3);
}

static void test_not_while_others_wait(struct test *t)
{
	struct spin s = with_load(t, "0.00 0.00 0.00 3/100 1\n");

	EXPECT_EQ(t, spin_time(&s, 10 * MS), 0);
	change_load(t, &s, "0.00 0.00 0.00 2/100 1\n");
	EXPECT_EQ(t, spin_time(&s, 11 * MS), 0); /* not asked so soon again */
	EXPECT_EQ(t, spin_time(&s, 12 * MS), 50000);
	change_load(t, &s, "0.00 0.00 0.00 30/100 1\n");
	EXPECT_EQ(t, spin_time(&s, 13 * MS), 50000);
	EXPECT_EQ(t, spin_time(&s, 14 * MS), 0);
	spin_fini(&s);
}

static void test_unknown_load(struct test *t)
{
	struct spin s = with_load(t, "nonsense"),
		    none = {.max_ns = 50000, .ns = 3000, .load_fd = -1};

	EXPECT_EQ(t, spin_time(&s, 10 * MS), 50000);
	EXPECT_EQ(t, spin_time(&none, 10 * MS), 3000);
	spin_fini(&s);
}

static void test_as_long_as_it_pays(struct test *t)
{
	struct spin s = {.max_ns = 50000, .ns = 25000, .load_fd = -1};

	for (int i = 0; i < 100; i++) {
		spin_was_vain(&s);
	}
	EXPECT(t, s.ns > 0 && s.ns <= 2000);
	uint64_t least = s.ns;

	spin_was_short(&s, 50000); /* so long had been in vain, too */
	EXPECT_EQ(t, s.ns, least);
	for (int i = 0; i < 100; i++) {
		spin_was_short(&s, 49999);
	}
	EXPECT_EQ(t, s.ns, 50000);
}

static void test_never(struct test *t)
{
	struct spin s = {.load_fd = -1};

	spin_was_short(&s, 0);
	spin_was_vain(&s);
	EXPECT_EQ(t, spin_time(&s, MS), 0);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_reads_load),	 TEST(test_not_while_others_wait),
		TEST(test_unknown_load), TEST(test_as_long_as_it_pays),
		TEST(test_never),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
