// SPDX-License-Identifier: Apache-2.0
/* Messages that are wrong, come too early, or that nobody takes. */
#include "bus_test.h"

/* ---- Bad messages: none does anything but write a line, or get the answer that the guest waits for ---- */

struct bad {
	const char *what;
	uint32_t type, words[5];
	size_t bytes;
	uint32_t answer; /* type, 0: none */
};

static const struct bad bad_messages[] = {
	{"no header", CHANNELMSG_REQUESTOFFERS, {0}, 4, 0},
	{"invalid", CHANNELMSG_INVALID, {0}, 8, 0},
	{"offer from the guest", CHANNELMSG_OFFERCHANNEL, {0}, 196, 0},
	{"rescind from the guest", CHANNELMSG_RESCIND_CHANNELOFFER, {1}, 12, 0},
	{"unload response from the guest", CHANNELMSG_UNLOAD_RESPONSE, {0}, 8, 0},
	{"version 6 message", 25, {0}, 40, 0},
	{"pause", 27, {0}, 8, 0},
	{"no such type", UINT32_MAX, {0}, 240, 0},
	{"offers twice", CHANNELMSG_REQUESTOFFERS, {0}, 8, 0},
	{"short open", CHANNELMSG_OPENCHANNEL, {1}, 147, 0},
	{"open of nothing", CHANNELMSG_OPENCHANNEL, {77, 5}, 148, CHANNELMSG_OPENCHANNEL_RESULT},
	{"open, relid 0", CHANNELMSG_OPENCHANNEL, {0, 5}, 148, CHANNELMSG_OPENCHANNEL_RESULT},
	{"open, huge relid",
	 CHANNELMSG_OPENCHANNEL,
	 {UINT32_MAX, 5},
	 148,
	 CHANNELMSG_OPENCHANNEL_RESULT},
	{"open, relid 2048", CHANNELMSG_OPENCHANNEL, {2048, 5}, 148, CHANNELMSG_OPENCHANNEL_RESULT},
	{"open without GPADL",
	 CHANNELMSG_OPENCHANNEL,
	 {1, 5, 9},
	 148,
	 CHANNELMSG_OPENCHANNEL_RESULT},
	{"short close", CHANNELMSG_CLOSECHANNEL, {1}, 11, 0},
	{"close of nothing", CHANNELMSG_CLOSECHANNEL, {99}, 12, 0},
	{"close of a closed one", CHANNELMSG_CLOSECHANNEL, {1}, 12, 0},
	{"short GPADL", CHANNELMSG_GPADL_HEADER, {1}, 19, 0},
	{"GPADL of nothing",
	 CHANNELMSG_GPADL_HEADER,
	 {99, 1, 0x10010},
	 36,
	 CHANNELMSG_GPADL_CREATED},
	{"GPADL without ranges", CHANNELMSG_GPADL_HEADER, {1, 1, 16}, 36, CHANNELMSG_GPADL_CREATED},
	{"GPADL without bytes",
	 CHANNELMSG_GPADL_HEADER,
	 {1, 1, 0x10000},
	 36,
	 CHANNELMSG_GPADL_CREATED},
	{"GPADL, odd length",
	 CHANNELMSG_GPADL_HEADER,
	 {1, 1, 0x10014},
	 36,
	 CHANNELMSG_GPADL_CREATED},
	{"GPADL, more ranges than bytes",
	 CHANNELMSG_GPADL_HEADER,
	 {1, 1, 0x20010},
	 36,
	 CHANNELMSG_GPADL_CREATED},
	{"GPADL, empty range",
	 CHANNELMSG_GPADL_HEADER,
	 {1, 1, 0x10010, 0, 0},
	 36,
	 CHANNELMSG_GPADL_CREATED},
	{"GPADL, offset beyond the page",
	 CHANNELMSG_GPADL_HEADER,
	 {1, 1, 0x10010, 8, 4096},
	 36,
	 CHANNELMSG_GPADL_CREATED},
	{"GPADL, frames missing",
	 CHANNELMSG_GPADL_HEADER,
	 {1, 1, 0x10010, 8192, 0},
	 36,
	 CHANNELMSG_GPADL_CREATED},
	{"GPADL, huge range",
	 CHANNELMSG_GPADL_HEADER,
	 {1, 1, 0x10010, UINT32_MAX, 4095},
	 36,
	 CHANNELMSG_GPADL_CREATED},
	{"short body", CHANNELMSG_GPADL_BODY, {0}, 15, 0},
	{"body of nothing", CHANNELMSG_GPADL_BODY, {0, 9}, 24, 0},
	{"teardown of nothing", CHANNELMSG_GPADL_TEARDOWN, {1, 9}, 16, CHANNELMSG_GPADL_TORNDOWN},
	{"teardown, no channel", CHANNELMSG_GPADL_TEARDOWN, {88, 9}, 16, CHANNELMSG_GPADL_TORNDOWN},
	{"release of nothing", CHANNELMSG_RELID_RELEASED, {99}, 12, 0},
	{"short contact", CHANNELMSG_INITIATE_CONTACT, {VERSION_WIN10}, 39, 0},
	{"reserved open of nothing", CHANNELMSG_OPEN_RESERVED_CHANNEL, {99}, 28, 0},
	{"reserved open without GPADL", CHANNELMSG_OPEN_RESERVED_CHANNEL, {1, 0, 2, 9, 2}, 28, 0},
	{"reserved close of nothing", CHANNELMSG_CLOSE_RESERVED_CHANNEL, {99, 0, 2}, 20, 0},
	{"reserved close of a closed one",
	 CHANNELMSG_CLOSE_RESERVED_CHANNEL,
	 {1, 0, 2},
	 20,
	 CHANNELMSG_CLOSE_RESERVED_RESPONSE},
	{"reserved close, answer nowhere", CHANNELMSG_CLOSE_RESERVED_CHANNEL, {1, 99, 2}, 20, 0},
	{"reserved close, no SINT", CHANNELMSG_CLOSE_RESERVED_CHANNEL, {1, 0, 16}, 20, 0},
	{"modify of a closed one",
	 CHANNELMSG_MODIFYCHANNEL,
	 {1, 0},
	 16,
	 CHANNELMSG_MODIFYCHANNEL_RESPONSE},
	{"modify of nothing",
	 CHANNELMSG_MODIFYCHANNEL,
	 {99, 0},
	 16,
	 CHANNELMSG_MODIFYCHANNEL_RESPONSE},
};

static uint32_t answer_status(const struct fake_guest_message *m)
{
	switch (m->header.type) {
	case CHANNELMSG_OPENCHANNEL_RESULT:
		return m->open_result.status;
	case CHANNELMSG_GPADL_CREATED:
		return m->created.status;
	case CHANNELMSG_MODIFYCHANNEL_RESPONSE:
		return m->modify.status;
	default:
		return UINT32_MAX;
	}
}

static void post_bad(struct test *t, struct fake_guest *g, const struct bad *b)
{
	union {
		struct vmbus_message_header header;
		uint32_t words[60];
	} m = {.header.type = b->type};
	struct fake_guest_message r = {0};
	unsigned lines = g->log_lines;

	memcpy(&m.words[2], b->words, sizeof(b->words));
	g->now_ns += 20000000000; /* a fresh allowance of lines */
	fake_guest_post(g, &m, b->bytes);
	EXPECT_EQ(t, g->inbox_count, b->answer != 0);
	if (b->answer != 0) {
		EXPECT(t, fake_guest_take(g, b->answer, &r));
		EXPECT(t, answer_status(&r) != 0);
	}
	if (b->answer != CHANNELMSG_CLOSE_RESERVED_RESPONSE &&
	    b->type != CHANNELMSG_CLOSE_RESERVED_CHANNEL) {
		EXPECT_EQ(t, g->log_lines, lines + 1);
	}
	fake_guest_forget_inbox(g);
}

static void test_bad_messages(struct test *t)
{
	struct fake_device d;
	struct fake_guest *g = start(t, &d, VERSION_WIN10_V5_3);
	struct fake_guest_channel ch;

	for (size_t i = 0; i < ARRAY_LEN(bad_messages); i++) {
		unsigned before = t->failures;

		post_bad(t, g, &bad_messages[i]);
		if (t->failures != before) {
			printf("# %s\n", bad_messages[i].what);
		}
	}
	vmbus_message(g->bus, 1, NULL, 0);
	open_first(t, g, &ch); /* all is well */
	ping(t, &d, &ch);
	fake_guest_abandon(&ch);
	fake_guest_destroy(g);
}

/* The same before a connection: nothing is answered. */
static void test_not_connected(struct test *t)
{
	struct fake_guest *g = fake_guest_create(NULL);

	for (uint32_t type = 0; type < 40; type++) {
		const uint32_t m[60] = {type, 0, 1, 1, 1};

		if (type != CHANNELMSG_INITIATE_CONTACT && type != CHANNELMSG_UNLOAD) {
			fake_guest_post(g, m, sizeof(m));
			EXPECT_EQ(t, g->inbox_count, 0);
		}
	}
	fake_guest_destroy(g);
}

/* A version does not understand what came later. */
static void test_too_new_messages(struct test *t)
{
	static const struct {
		uint32_t version, type, answer;
	} cases[] = {
		{VERSION_WIN8_1, CHANNELMSG_OPEN_RESERVED_CHANNEL, 0},
		{VERSION_WIN8_1, CHANNELMSG_TL_CONNECT_REQUEST, 0},
		{VERSION_WIN10, CHANNELMSG_TL_CONNECT_REQUEST, 0}, /* there is no answer yet */
		{VERSION_WIN10_V4_1, CHANNELMSG_TL_CONNECT_REQUEST, CHANNELMSG_TL_CONNECT_RESULT},
		{VERSION_WIN10_V5_3, CHANNELMSG_TL_CONNECT_REQUEST, CHANNELMSG_TL_CONNECT_RESULT},
		{VERSION_WIN10, CHANNELMSG_MODIFYCHANNEL, 0},
		{VERSION_WIN10_V5_2, CHANNELMSG_MODIFYCHANNEL, 0},
		{VERSION_WIN10_V5_3, CHANNELMSG_MODIFYCHANNEL, CHANNELMSG_MODIFYCHANNEL_RESPONSE},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fake_device d;
		struct fake_guest *g = start(t, &d, cases[i].version);
		const uint32_t m[14] = {cases[i].type, 0, 0x11111111, 0x22222222, 3, 4, 5, 6, 7, 8};
		struct fake_guest_message r;

		fake_guest_post(g, m, sizeof(m));
		EXPECT_EQ(t, g->inbox_count, cases[i].answer != 0);
		if (cases[i].answer == CHANNELMSG_TL_CONNECT_RESULT) {
			EXPECT(t, fake_guest_take(g, cases[i].answer, &r));
			EXPECT_EQ(t, r.bytes, 44);
			EXPECT_MEM(t, r.raw + 8, m + 2, 32);
			EXPECT_EQ(t, r.tl_connect.status, 0xc0000236);
		}
		fake_guest_destroy(g);
	}
}

/* ---- Messages that wait ---- */

static void test_deaf_guest(struct test *t)
{
	struct fake_guest *g = fake_guest_create(NULL);
	struct fake_device d[8] = {0};
	const struct vmbus_message_header offers = {.type = CHANNELMSG_REQUESTOFFERS};

	for (uint8_t i = 0; i < 8; i++) {
		EXPECT_EQ(t, fake_device_offer(g, &d[i], i, 0), 0);
	}
	EXPECT_EQ(t, fake_guest_connect(g, VERSION_WIN10_V5_3), 1);
	EXPECT_EQ(t, g->poll_at_ns, UINT64_MAX);
	g->deaf = true;
	fake_guest_post(g, &offers, sizeof(offers));
	EXPECT_EQ(t, g->inbox_count, 0);
	EXPECT(t, g->poll_at_ns <= g->now_ns + 10000000); /* wants to try again soon */
	g->deaf = false;
	fake_guest_run(g);
	EXPECT_EQ(t, g->poll_at_ns, UINT64_MAX);
	EXPECT_EQ(t, g->inbox_count, 9);
	for (unsigned i = 0; i < 8; i++) { /* in the order of the devices */
		EXPECT_EQ(t, g->inbox[i].offer.instance.bytes[0], i);
	}
	EXPECT_EQ(t, g->inbox[8].header.type, CHANNELMSG_ALLOFFERS_DELIVERED);
	fake_guest_destroy(g);
}

/* Answers to a connection that is gone go with it. */
static void test_queue_ends_with_connection(struct test *t)
{
	struct fake_device d;
	struct fake_guest *g = start(t, &d, VERSION_WIN10_V5_3);
	const struct vmbus_gpadl_teardown teardown = {.header.type = CHANNELMSG_GPADL_TEARDOWN,
						      .relid = 1};

	g->deaf = true;
	fake_guest_post(g, &teardown, sizeof(teardown));
	EXPECT_EQ(t, (uint32_t)fake_guest_connect(g, VERSION_WIN10_V5_3), UINT32_MAX);
	g->deaf = false;
	fake_guest_run(g);
	EXPECT_EQ(t, g->inbox_count, 1);
	EXPECT(t, fake_guest_take(g, CHANNELMSG_VERSION_RESPONSE, NULL));
	fake_guest_destroy(g);
}

static void test_limits(struct test *t)
{
	struct fake_device d;
	struct fake_guest *g = start(t, &d, VERSION_WIN10_V5_3);
	const struct vmbus_gpadl_teardown teardown = {.header.type = CHANNELMSG_GPADL_TEARDOWN,
						      .relid = 1};
	unsigned lines = g->log_lines;

	g->deaf = true;
	for (unsigned i = 0; i < 100000; i++) {
		vmbus_message(g->bus, 4, &teardown, sizeof(teardown));
	}
	EXPECT_EQ(t, g->log_lines - lines, 10); /* in ten seconds */
	g->now_ns += 11000000000;
	vmbus_message(g->bus, 4, &teardown, sizeof(teardown));
	EXPECT(t, g->log_lines - lines >= 12 && g->log_lines - lines <= 14); /* one says how many */
	g->deaf = false;
	fake_guest_run(g);
	EXPECT_EQ(t, g->inbox_count, 8192);
	fake_guest_forget_inbox(g);
	EXPECT(t, fake_guest_unload(g));
	fake_guest_destroy(g);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_bad_messages),
		TEST(test_not_connected),
		TEST(test_too_new_messages),
		TEST(test_deaf_guest),
		TEST(test_queue_ends_with_connection),
		TEST(test_limits),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
