// SPDX-License-Identifier: Apache-2.0
#include "test/test.h"

#include <errno.h>

#include "lib/bits.h"
#include "rig.h"

static const struct ic_version three = {3, 0};

/* What reaches the guest, for each way of going down. */
static void test_requests(struct test *t)
{
	static const struct {
		struct vsp_ic_shutdown how;
		uint32_t flags;
	} cases[] = {
		{{.what = VSP_IC_POWER_OFF}, 0},
		{{.what = VSP_IC_POWER_OFF, .force = true, .reason = 0x80070015}, 1},
		{{.what = VSP_IC_POWER_RESTART, .timeout_seconds = 300}, 2},
		{{.what = VSP_IC_POWER_RESTART, .force = true}, 3},
		{{.what = VSP_IC_POWER_HIBERNATE}, 4},
		{{.what = VSP_IC_POWER_HIBERNATE, .force = true}, 5},
	};
	struct rig *r = rig_create(NULL);

	EXPECT(t, rig_up(r, VSP_IC_SHUTDOWN));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig_answer a;
		struct rig_message m;

		EXPECT_EQ(t, vsp_ic_shutdown(r->ic, &cases[i].how, rig_done(&a)), 0);
		rig_run(r);
		EXPECT(t, rig_take(r, VSP_IC_SHUTDOWN, &m));
		EXPECT_EQ(t, m.header.type, IC_MESSAGE_SHUTDOWN);
		EXPECT_EQ(t, m.header.message.major, 3);
		EXPECT_EQ(t, m.header.message.minor, 2);
		EXPECT_EQ(t, m.bytes, 2060); /* Linux wants all of it */
		EXPECT_EQ(t, m.shutdown.flags, cases[i].flags);
		EXPECT_EQ(t, m.shutdown.reason, cases[i].how.reason);
		EXPECT_EQ(t, m.shutdown.timeout_seconds, cases[i].how.timeout_seconds);
		EXPECT(t, rig_answer(r, VSP_IC_SHUTDOWN, &m, i % 2 != 0 ? IC_STATUS_FAIL : 0));
		EXPECT_EQ(t, a.count, 1);
		EXPECT_EQ(t, a.result, i % 2 != 0 ? VSP_IC_REFUSED : VSP_IC_DONE);
		EXPECT_EQ(t, a.status, i % 2 != 0 ? IC_STATUS_FAIL : 0);
	}
	EXPECT_EQ(t, r->owner.logs, 0);
	rig_destroy(r);
}

/* Which version knows which way. */
static void test_versions(struct test *t)
{
	static const struct {
		struct ic_version version;
		int results[3];
	} cases[] = {
		{{1, 0}, {0, -ENOTSUP, -ENOTSUP}},
		{{3, 0}, {0, -ENOTSUP, -ENOTSUP}},
		{{3, 1}, {0, 0, -ENOTSUP}},
		{{3, 2}, {0, 0, 0}},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (unsigned what = 0; what < 3; what++) {
			struct rig *r = rig_create(NULL);
			const struct vsp_ic_shutdown how = {.what = (enum vsp_ic_power)what};
			struct rig_answer a;

			EXPECT(t, rig_connect(r, VERSION_WIN10));
			EXPECT_EQ(t, vsp_ic_shutdown(r->ic, &how, rig_done(&a)), -ENODEV);
			EXPECT(t, rig_open(r, VSP_IC_SHUTDOWN));
			EXPECT_EQ(t, vsp_ic_shutdown(r->ic, &how, rig_done(&a)), -ENODEV);
			EXPECT(t, rig_negotiate(r, VSP_IC_SHUTDOWN, three, cases[i].version));
			EXPECT_EQ(t, vsp_ic_shutdown(r->ic, &how, rig_done(&a)),
				  cases[i].results[what]);
			rig_destroy(r);
		}
	}
}

static void test_text(struct test *t)
{
	static char long_text[1100];
	const struct {
		const char *text;
		const char *start; /* in UTF-16 */
		size_t bytes;
	} cases[] = {
		{"Ab", "A\0b\0\0\0", 6},
		{"\xc3\xa4", "\xe4\0\0\0", 4},
		{"\xff", "\0\0", 2},
		{long_text, "\0\0", 2},
	};
	struct rig *r = rig_create(NULL);

	memset(long_text, 'x', sizeof(long_text) - 1);
	EXPECT(t, rig_up(r, VSP_IC_SHUTDOWN));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct vsp_ic_shutdown how = {.text = cases[i].text};
		struct rig_answer a;
		struct rig_message m;

		EXPECT_EQ(t, vsp_ic_shutdown(r->ic, &how, rig_done(&a)), 0);
		rig_run(r);
		EXPECT(t, rig_take(r, VSP_IC_SHUTDOWN, &m));
		EXPECT_MEM(t, m.shutdown.text, cases[i].start, cases[i].bytes);
		EXPECT(t, rig_answer(r, VSP_IC_SHUTDOWN, &m, 0));
	}
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_requests),
		TEST(test_versions),
		TEST(test_text),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
