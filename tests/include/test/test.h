/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests: a table of named functions, one TAP line each. A test that fails prints where and what, and goes on with the next one.
 *
 *	static void test_add(struct test *t) { EXPECT_EQ(t, 1 + 1, 2); }
 *	int main(void) { static const struct test_case cases[] = { TEST(test_add) }; return test_main(cases, ARRAY_LEN(cases)); }
 */
#ifndef TEST_TEST_H
#define TEST_TEST_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test {
	const char *name;
	unsigned failures;
	const char *skipped; /* reason */
};

struct test_case {
	const char *name;
	void (*fn)(struct test *t);
};

#define TEST(f)                                                                                    \
	{                                                                                          \
#f, f                                                                              \
	}

/* Value context for tables: set before checks, printed with failures. */
#define EXPECT(t, cond) ((cond) ? (void)0 : test_fail(t, __FILE__, __LINE__, "%s", #cond))
#define EXPECT_EQ(t, got, want)                                                                    \
	do {                                                                                       \
		uint64_t got_ = (uint64_t)(got), want_ = (uint64_t)(want);                         \
		if (got_ != want_) {                                                               \
			test_fail(t, __FILE__, __LINE__, "%s: got 0x%" PRIx64 ", want 0x%" PRIx64, \
				  #got, got_, want_);                                              \
		}                                                                                  \
	} while (0)
#define EXPECT_MEM(t, got, want, bytes)                                                            \
	(memcmp(got, want, bytes) == 0 ? (void)0                                                   \
				       : test_fail(t, __FILE__, __LINE__, "%s differs", #got))
#define SKIP(t, why)                                                                               \
	do {                                                                                       \
		(t)->skipped = why;                                                                \
		return;                                                                            \
	} while (0)

__attribute__((format(printf, 4, 5))) static inline void test_fail(struct test *t, const char *file,
								   int line, const char *fmt, ...)
{
	__builtin_va_list ap;

	__builtin_va_start(ap, fmt);
	printf("# %s:%d: ", file, line);
	vprintf(fmt, ap);
	printf("\n");
	__builtin_va_end(ap);
	t->failures++;
}

static inline int test_main(const struct test_case *cases, size_t count)
{
	unsigned failed = 0;

	printf("1..%zu\n", count);
	for (size_t i = 0; i < count; i++) {
		struct test t = {.name = cases[i].name};

		cases[i].fn(&t);
		if (t.skipped != NULL) {
			printf("ok %zu - %s # SKIP %s\n", i + 1, t.name, t.skipped);
		} else {
			printf("%sok %zu - %s\n", t.failures ? "not " : "", i + 1, t.name);
		}
		fflush(stdout);
		failed += t.failures != 0;
	}
	return failed != 0;
}

#endif
