// SPDX-License-Identifier: Apache-2.0
/* A connection from INITIATE_CONTACT to UNLOAD: versions, bad messages, reset, and messages that nobody takes. */
#include "test/test.h"

#include "lib/bits.h"
#include "vmbus/testing/guest.h"

static const uint32_t all_versions[] = {
	VERSION_WS2008,	    VERSION_WIN7,	VERSION_WIN8,	  VERSION_WIN8_1,
	VERSION_WIN10,	    VERSION_WIN10_V4_1, VERSION_WIN10_V5, VERSION_WIN10_V5_1,
	VERSION_WIN10_V5_2, VERSION_WIN10_V5_3,
};

/* Offers device 1 and connects. */
static struct fake_guest *start(struct test *t, struct fake_device *d, uint32_t version)
{
	struct fake_guest *g = fake_guest_create(NULL);

	*d = (struct fake_device){0};
	EXPECT_EQ(t, fake_device_offer(g, d, 1, VMBUS_OFFER_ENUMERATE), 0);
	EXPECT_EQ(t, fake_guest_connect(g, version), 1);
	EXPECT(t, fake_guest_request_offers(g));
	return g;
}

static void open_first(struct test *t, struct fake_guest *g, struct fake_guest_channel *ret)
{
	struct guid instance = fake_device_instance(1);
	struct fake_guest_offer *offer = fake_guest_find(g, &instance, 0);

	EXPECT(t, offer != NULL);
	EXPECT_EQ(t, fake_guest_open(g, offer, 4, 3, 0, ret), 0);
}

/* A request and its answer over the rings. */
static void ping(struct test *t, struct fake_device *d, struct fake_guest_channel *ch)
{
	static char pong[] = "hello, guest";
	const struct io_vec v = {pong, sizeof(pong)};
	uint32_t signals = d->signals;
	struct vmbus_packet p;
	uint64_t buf[64];
	size_t bytes;

	EXPECT(t, fake_guest_send(ch, 0x1234, "hello, host", 12));
	EXPECT_EQ(t, d->signals, signals + 1);
	EXPECT_EQ(t, vmbus_ring_read(d->channels[0], buf, sizeof(buf), &p), VMBUS_RING_OK);
	EXPECT_EQ(t, p.type, VMBUS_PACKET_DATA_INBAND);
	EXPECT_EQ(t, p.transaction, 0x1234);
	EXPECT(t, p.wants_completion);
	EXPECT_EQ(t, p.bytes, 16);
	EXPECT_MEM(t, p.data, "hello, host", 12);
	EXPECT_EQ(t, vmbus_ring_read(d->channels[0], buf, sizeof(buf), &p), VMBUS_RING_EMPTY);

	EXPECT_EQ(t,
		  vmbus_ring_write(d->channels[0], VMBUS_PACKET_COMPLETION, false, 0x1234, &v, 1),
		  VMBUS_RING_OK);
	EXPECT_EQ(t, fake_guest_interrupts(ch), 0);
	vmbus_ring_flush(d->channels[0]);
	EXPECT_EQ(t, fake_guest_interrupts(ch), 1);
	EXPECT(t, fake_guest_read(ch, buf, sizeof(buf)) != 0);
	EXPECT_MEM(t, fake_guest_payload(buf, &bytes), pong, sizeof(pong));
	EXPECT_EQ(t, bytes, 16);
}

static void test_every_version(struct test *t)
{
	for (size_t i = 0; i < ARRAY_LEN(all_versions); i++) {
		struct fake_device d;
		struct fake_guest *g = start(t, &d, all_versions[i]);
		struct fake_guest_channel ch;

		EXPECT_EQ(t, vmbus_version(g->bus), all_versions[i]);
		open_first(t, g, &ch);
		EXPECT_EQ(t, d.user[1], 0xaa);
		ping(t, &d, &ch);
		EXPECT(t, !vmbus_quiet(g->bus));
		EXPECT(t, fake_guest_close(&ch));
		EXPECT(t, vmbus_quiet(g->bus));
		EXPECT(t, fake_guest_unload(g));
		EXPECT_EQ(t, vmbus_version(g->bus), 0);
		EXPECT_EQ(t, g->log_lines, 0);
		fake_guest_destroy(g);
	}
}

static void test_versions_refused(struct test *t)
{
	static const uint32_t wrong[] = {0,	     0x0000000c, 0x00010000, 0x00020003,
					 0x00030001, 0x00050004, 0x00060000, UINT32_MAX};
	const struct fake_guest_config config = {.bus = {.version_max = VERSION_WIN8_1}};
	struct fake_guest *g = fake_guest_create(NULL);

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		EXPECT_EQ(t, fake_guest_connect(g, wrong[i]), 0);
		EXPECT_EQ(t, vmbus_version(g->bus), 0);
	}
	fake_guest_destroy(g);
	g = fake_guest_create(&config);
	for (size_t i = 0; i < ARRAY_LEN(all_versions); i++) {
		EXPECT_EQ(t, fake_guest_connect(g, all_versions[i]),
			  all_versions[i] <= VERSION_WIN8_1);
	}
	fake_guest_destroy(g);
}

struct contact {
	uint32_t version, vp;
	uint8_t sint, vtl;
	uint64_t monitor[2];
	bool supported;
	uint8_t state;
	uint32_t answer_vp, answer_sint;
};

static void test_contacts(struct test *t)
{
	static const struct contact cases[] = {
		{VERSION_WIN8_1, 2, 0, 0, {0, 0}, true, 0, 2, 2},
		{VERSION_WIN8, 2, 0, 0, {0, 0}, true, 0, 0, 2},	   /* always VP 0 */
		{VERSION_WIN8_1, 4, 0, 0, {0, 0}, false, 0, 0, 2}, /* no such VP */
		{VERSION_WIN10_V5, 1, 2, 0, {0, 0}, true, 0, 1, 2},
		{VERSION_WIN10_V5, 1, 5, 0, {0, 0}, false, 0, 1, 5}, /* another SINT: told there */
		{VERSION_WIN10_V5, 1, 0, 0, {0, 0}, false, 0, 1, 2},
		{VERSION_WIN10_V5, 1, 16, 0, {0, 0}, false, 0, 1, 2},
		{VERSION_WIN10_V5, 1, 2, 1, {0, 0}, true, 0, 1, 2}, /* VTL not looked at yet */
		{VERSION_WIN10_V5_1, 1, 2, 1, {0, 0}, false, 0, 1, 2},
		{VERSION_WIN10_V5_3, 1, 2, 0, {0x1000, 0}, true, 2, 1, 2},
		{VERSION_WIN10_V5_3, 1, 2, 0, {0, 0x1000}, true, 2, 1, 2},
		{VERSION_WIN10_V5_3, 1, 2, 0, {0x1000, 0x2000}, true, 0, 1, 2},
		{0x00060000, 3, 2, 0, {0, 0}, false, 0, 3, 2},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct contact *c = &cases[i];
		struct fake_guest *g = fake_guest_create(NULL);
		struct vmbus_initiate_contact m = {
			.header.type = CHANNELMSG_INITIATE_CONTACT,
			.version = c->version,
			.target_vp = c->vp,
			.monitor_page_gpa = {c->monitor[0], c->monitor[1]},
		};
		bool five = c->version >= VERSION_WIN10_V5;
		struct fake_guest_message r;

		if (five) {
			m.msg_sint = c->sint;
			m.msg_vtl = c->vtl;
		}
		vmbus_message(g->bus, five ? 4 : 1, &m, sizeof(m));
		EXPECT(t, fake_guest_take(g, CHANNELMSG_VERSION_RESPONSE, &r));
		EXPECT_EQ(t, r.bytes, 16);
		EXPECT_EQ(t, r.version.supported, c->supported);
		EXPECT_EQ(t, r.version.state, c->state);
		EXPECT_EQ(t, r.vp, c->answer_vp);
		EXPECT_EQ(t, r.sint, c->answer_sint);
		if (c->supported) {
			EXPECT_EQ(t, r.version.version_or_connection, five ? 4 : c->version);
		}
		EXPECT_EQ(t, vmbus_version(g->bus), c->supported && c->state == 0 ? c->version : 0);
		if (t->failures != 0) {
			printf("# case %zu\n", i);
			t->failures = 1;
		}
		fake_guest_destroy(g);
	}
}

static void test_legacy_page_must_be_memory(struct test *t)
{
	static const uint64_t bad[] = {0x10, UINT64_C(1) << 36, UINT64_MAX - 0xfff};
	struct fake_guest *g = fake_guest_create(NULL);

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct vmbus_initiate_contact m = {
			.header.type = CHANNELMSG_INITIATE_CONTACT,
			.version = VERSION_WIN7,
			.interrupt_page_gpa = bad[i],
		};
		struct fake_guest_message r;

		fake_guest_post(g, &m, sizeof(m));
		EXPECT(t, fake_guest_take(g, CHANNELMSG_VERSION_RESPONSE, &r));
		EXPECT_EQ(t, r.version.state, VMBUS_CONNECTION_UNKNOWN_FAILURE);
		EXPECT_EQ(t, vmbus_version(g->bus), 0);
	}
	EXPECT_EQ(t, fake_guest_connect(g, VERSION_WIN7), 1);
	fake_guest_destroy(g);
}

/* The crash kernel, or the system after its boot loader: nothing is left of the first connection when the second is answered. */
static void test_contact_again(struct test *t)
{
	struct fake_device d;
	struct fake_guest *g = start(t, &d, VERSION_WIN10_V5_3);
	struct fake_guest_channel ch, again;

	open_first(t, g, &ch);
	d.slow_close = true;
	EXPECT_EQ(t, (uint32_t)fake_guest_connect(g, VERSION_WIN10), UINT32_MAX); /* waits */
	EXPECT_EQ(t, d.closes, 1);
	EXPECT_EQ(t, vmbus_version(g->bus), 0);
	EXPECT_EQ(t, (uint32_t)fake_guest_connect(g, VERSION_WIN8),
		  UINT32_MAX); /* the newest counts */
	fake_device_closed(&d, 0);
	fake_guest_run(g);
	EXPECT(t, fake_guest_take(g, CHANNELMSG_VERSION_RESPONSE, NULL));
	EXPECT(t, !fake_guest_take(g, CHANNELMSG_VERSION_RESPONSE, NULL));
	EXPECT(t, !fake_guest_take(g, CHANNELMSG_RESCIND_CHANNELOFFER, NULL));
	EXPECT_EQ(t, vmbus_version(g->bus), VERSION_WIN8);
	g->version = VERSION_WIN8;
	d.slow_close = false;
	EXPECT(t, fake_guest_request_offers(g));
	open_first(t, g, &again);
	ping(t, &d, &again);
	fake_guest_abandon(&ch);
	fake_guest_abandon(&again);
	fake_guest_destroy(g);
}

static void test_unload_waits(struct test *t)
{
	struct fake_device d;
	struct fake_guest *g = start(t, &d, VERSION_WIN10_V5_3);
	const struct vmbus_relid_message close = {.header.type = CHANNELMSG_CLOSECHANNEL,
						  .relid = 1};
	struct fake_guest_channel ch;

	open_first(t, g, &ch);
	d.slow_close = true;
	fake_guest_post(g, &close, sizeof(close)); /* the close is pending already */
	EXPECT(t, !fake_guest_unload(g));
	EXPECT_EQ(t, d.closes, 1);
	fake_device_closed(&d, 0);
	fake_guest_run(g);
	EXPECT(t, fake_guest_take(g, CHANNELMSG_UNLOAD_RESPONSE, NULL));
	EXPECT_EQ(t, g->inbox_count, 0);
	EXPECT(t, fake_guest_unload(g)); /* nothing is connected, but it waits too */
	fake_guest_abandon(&ch);
	fake_guest_destroy(g);
}

static void test_contact_replaces_unload(struct test *t)
{
	struct fake_device d;
	struct fake_guest *g = start(t, &d, VERSION_WIN10_V5_3);
	struct fake_guest_channel ch;

	open_first(t, g, &ch);
	d.slow_close = true;
	EXPECT(t, !fake_guest_unload(g));
	EXPECT_EQ(t, (uint32_t)fake_guest_connect(g, VERSION_WIN10_V5_3), UINT32_MAX);
	fake_device_closed(&d, 0);
	fake_guest_run(g);
	EXPECT(t, !fake_guest_take(g, CHANNELMSG_UNLOAD_RESPONSE, NULL));
	EXPECT(t, fake_guest_take(g, CHANNELMSG_VERSION_RESPONSE, NULL));
	fake_guest_abandon(&ch);
	fake_guest_destroy(g);
}

static void test_reset(struct test *t)
{
	struct fake_device d;
	struct fake_guest *g = start(t, &d, VERSION_WIN10_V5_3);
	struct fake_guest_channel ch;

	open_first(t, g, &ch);
	d.slow_close = true;
	vmbus_reset(g->bus);
	EXPECT_EQ(t, d.closes, 1);
	EXPECT(t, !vmbus_quiet(g->bus));
	vmbus_reset(g->bus); /* once more meanwhile */
	EXPECT_EQ(t, d.closes, 1);
	fake_device_closed(&d, 0);
	fake_guest_run(g);
	EXPECT(t, vmbus_quiet(g->bus));
	EXPECT_EQ(t, g->inbox_count, 0); /* silently */
	fake_guest_abandon(&ch);
	d.slow_close = false;
	EXPECT_EQ(t, fake_guest_connect(g, VERSION_WIN10_V5_3), 1);
	EXPECT(t, fake_guest_request_offers(g));
	open_first(t, g, &ch);
	ping(t, &d, &ch);
	fake_guest_abandon(&ch);
	fake_guest_destroy(g);
}

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
		TEST(test_every_version),
		TEST(test_versions_refused),
		TEST(test_contacts),
		TEST(test_legacy_page_must_be_memory),
		TEST(test_contact_again),
		TEST(test_unload_waits),
		TEST(test_contact_replaces_unload),
		TEST(test_reset),
		TEST(test_bad_messages),
		TEST(test_not_connected),
		TEST(test_too_new_messages),
		TEST(test_deaf_guest),
		TEST(test_queue_ends_with_connection),
		TEST(test_limits),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
