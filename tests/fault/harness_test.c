// SPDX-License-Identifier: Apache-2.0
/* The harness itself: a right format passes, each wrong one is caught. */
#include "lib/bits.h"
#include "mini_format.h"
#include "scene.h"
#include "test/test.h"

static void prepare(struct scene *s)
{
	if (mini_create(&s->lab.host, DISK) != 0) {
		scene_fail(s, DISK, "cannot create");
	}
	scene_use(s, DISK, &s->scenario->mix, 20);
}

static void act(struct scene *s)
{
	scene_use(s, DISK, &s->scenario->mix, s->scenario->ops);
}

static struct scene_result run_mini(enum mini_defect defect, uint64_t seed)
{
	struct subject subject = mini_right;
	const struct scenario scenario = {
		.name = "mini",
		.subject = &subject,
		.prepare = prepare,
		.act = act,
		.verify = scene_verify,
		.create = {.bytes = MINI_BYTES},
		.mix = {.large_writes = 10,
			.large_bytes = 65536,
			.fua = 10,
			.flushes = 15,
			.discards = 5,
			.zeros = 5},
		.ops = 150,
	};
	const struct scene_options options = {.seed = seed,
					      .variants = 4,
					      .every = 1,
					      .max_failures = UINT32_MAX,
					      .quiet = defect != MINI_RIGHT};
	struct scene_result result;

	subject.flags = defect;
	scene_run(&scenario, &options, &result);
	return result;
}

static void right_format_passes(struct test *t)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct scene_result result = run_mini(MINI_RIGHT, seed);

		EXPECT_EQ(t, result.failures, 0);
		EXPECT(t, result.cuts > 500);
	}
}

static void wrong_formats_are_caught(struct test *t)
{
	static const enum mini_defect defects[] = {MINI_FLUSHES_NOTHING, MINI_TABLE_WITHOUT_DATA,
						   MINI_ONE_TABLE, MINI_FORGETS_FUA,
						   MINI_NO_CHECKSUM};

	for (size_t i = 0; i < ARRAY_LEN(defects); i++) {
		struct scene_result result = run_mini(defects[i], 1);

		printf("# defect %d: %llu of %llu cuts fail\n", (int)defects[i],
		       (unsigned long long)result.failures, (unsigned long long)result.cuts);
		EXPECT(t, result.failures > 0);
	}
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(right_format_passes),
		TEST(wrong_formats_are_caught),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
