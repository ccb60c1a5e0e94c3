// SPDX-License-Identifier: Apache-2.0
/* A connection from INITIATE_CONTACT to UNLOAD: versions, contacts, reset. */
#include "bus_test.h"

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
	};

	return test_main(cases, ARRAY_LEN(cases));
}
