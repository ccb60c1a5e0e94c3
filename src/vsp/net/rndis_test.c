// SPDX-License-Identifier: Apache-2.0
/* RNDIS control messages and indications, lengths that lie, and guests that ask and do not listen. */
#include "test/test.h"

#include "rig.h"

static struct rig *start(struct test *t, const struct rig_config *config, uint32_t version)
{
	struct rig *r = rig_create(config);

	EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
	EXPECT(t, rig_start(r, version, 1500));
	return r;
}

/* ---- Control messages ---- */

static void test_init(struct test *t)
{
	struct rig *r = start(t, NULL, NVSP_PROTOCOL_VERSION_61);
	const uint32_t init[6] = {RNDIS_MSG_INIT, 24, 77, 1, 0, 0x4000};
	const uint32_t wrong[6] = {RNDIS_MSG_INIT, 24, 78, 2, 0, 0x4000};
	uint32_t a[13];

	EXPECT_EQ(t, rig_control(r, init, sizeof(init), a, sizeof(a)), sizeof(a));
	EXPECT_EQ(t, a[0], 0x80000002);
	EXPECT_EQ(t, a[1], 52);
	EXPECT_EQ(t, a[2], 77);
	EXPECT_EQ(t, a[3], 0);
	EXPECT_EQ(t, a[4], 1); /* version 1.0 */
	EXPECT_EQ(t, a[5], 0);
	EXPECT_EQ(t, a[6], 1); /* connectionless */
	EXPECT_EQ(t, a[7], 0); /* 802.3 */
	EXPECT_EQ(t, a[8], 8);
	EXPECT(t, a[9] >= 0x10000);
	EXPECT_EQ(t, a[10], 3);
	EXPECT_EQ(t, a[11] | a[12], 0);
	EXPECT_EQ(t, rig_control(r, wrong, sizeof(wrong), a, sizeof(a)), sizeof(a));
	EXPECT_EQ(t, a[3], RNDIS_STATUS_NOT_SUPPORTED);
	rig_destroy(r);
}

static void test_reset_and_keepalive(struct test *t)
{
	struct rig *r = start(t, NULL, NVSP_PROTOCOL_VERSION_61);
	const uint32_t reset[3] = {RNDIS_MSG_RESET, 12, 0};
	const uint32_t alive[3] = {RNDIS_MSG_KEEPALIVE, 12, 0x1234};
	uint32_t a[4];

	EXPECT_EQ(t, rig_control(r, reset, sizeof(reset), a, sizeof(a)), 16);
	EXPECT_EQ(t, a[0], 0x80000006);
	EXPECT_EQ(t, a[2], 0);
	EXPECT_EQ(t, rig_control(r, alive, sizeof(alive), a, sizeof(a)), 16);
	EXPECT_EQ(t, a[0], 0x80000008);
	EXPECT_EQ(t, a[2], 0x1234);
	EXPECT_EQ(t, a[3], 0);
	rig_destroy(r);
}

/* Lengths and offsets that lie. */
static void test_lies(struct test *t)
{
	struct rig *r = start(t, NULL, NVSP_PROTOCOL_VERSION_61);
	static const struct {
		uint32_t type, bytes, sent, in_bytes, offset, status;
	} cases[] = {
		{RNDIS_MSG_SET, 32, 32, 4, 20, 0},
		{RNDIS_MSG_SET, 32, 32, 5, 20, RNDIS_STATUS_INVALID_DATA},
		{RNDIS_MSG_SET, 32, 32, 4, 21, RNDIS_STATUS_INVALID_DATA},
		{RNDIS_MSG_SET, 32, 32, 4, 0xffffffff, RNDIS_STATUS_INVALID_DATA},
		{RNDIS_MSG_SET, 32, 32, 0xffffffff, 20, RNDIS_STATUS_INVALID_DATA},
		{RNDIS_MSG_SET, 32, 32, 3, 20, RNDIS_STATUS_INVALID_LENGTH},
		{RNDIS_MSG_SET, 32, 32, 0, 0, RNDIS_STATUS_INVALID_LENGTH},
		{RNDIS_MSG_QUERY, 32, 32, 0xfffffff0, 0x20, RNDIS_STATUS_INVALID_DATA},
		{RNDIS_MSG_QUERY, 32, 32, 4, 24, RNDIS_STATUS_INVALID_DATA},
		{RNDIS_MSG_QUERY, 27, 32, 0, 0, UINT32_MAX}, /* no answer at all */
		{RNDIS_MSG_SET, 27, 32, 0, 0, UINT32_MAX},
		{RNDIS_MSG_SET, 33, 32, 4, 20, UINT32_MAX},
		{RNDIS_MSG_SET, 0, 32, 4, 20, UINT32_MAX},
		{RNDIS_MSG_SET, 0xffffffff, 32, 4, 20, UINT32_MAX},
		{RNDIS_MSG_INDICATE, 32, 32, 4, 20, UINT32_MAX},
		{0x80000004, 32, 32, 4, 20, UINT32_MAX},
		{99, 32, 32, 4, 20, UINT32_MAX},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint32_t m[8] = {cases[i].type,
				 cases[i].bytes,
				 1000 + (uint32_t)i,
				 OID_GEN_CURRENT_PACKET_FILTER,
				 cases[i].in_bytes,
				 cases[i].offset,
				 0,
				 1};
		uint32_t a[8] = {0};
		bool answered = rig_control(r, m, cases[i].sent, a, sizeof(a)) != 0;
		unsigned last = r->completion_count - 1;

		EXPECT_EQ(t, answered, cases[i].status != UINT32_MAX);
		EXPECT_EQ(t, r->completions[last].message.status,
			  answered ? NVSP_STAT_SUCCESS : NVSP_STAT_INVALID_RNDIS_PKT);
		if (answered) {
			EXPECT_EQ(t, a[3], cases[i].status);
		}
	}
	rig_destroy(r);
}

static void test_before_init(struct test *t)
{
	struct rig *r = rig_create(NULL);
	const uint32_t halt[3] = {RNDIS_MSG_HALT, 12, 1};
	uint32_t a[4];

	EXPECT(t, rig_up(r, NVSP_PROTOCOL_VERSION_61));
	EXPECT_EQ(t, rig_control(r, halt, sizeof(halt), a, sizeof(a)), 0);
	EXPECT_EQ(t, rig_set_filter(r, 1), UINT32_MAX);
	EXPECT_EQ(t, r->n->violations[VIOLATION_CONTROL], 1);
	EXPECT_EQ(t, rig_status(r, rig_send(r, 0, RIG_PAGES, (uint8_t[60]){0}, 60, NULL, 0)),
		  NVSP_STAT_INVALID_RNDIS_PKT);
	rig_destroy(r);
}

/* A guest that asks and does not listen is refused after a while, and served again when it does. */
static void test_too_many(struct test *t)
{
	struct rig *r = start(t, NULL, NVSP_PROTOCOL_VERSION_61);
	uint32_t keepalive[3] = {RNDIS_MSG_KEEPALIVE, 12, 0}, a[4];
	uint32_t total = r->n->pool.count, refused = 0;

	r->keep = true;
	for (uint32_t i = 0; i < total + 40; i++) {
		keepalive[2] = 0x5000 + i;
		refused += rig_control(r, keepalive, sizeof(keepalive), a, sizeof(a)) == 0;
	}
	EXPECT_EQ(t, refused, 40);
	EXPECT_EQ(t, r->n->reply_count, NET_REPLIES);
	EXPECT_EQ(t, r->n->pool.free_count, 0);
	EXPECT_EQ(t, r->n->violations[VIOLATION_CONTROL], 40 - NET_REPLIES);
	for (uint32_t i = 1; i <= total; i++) {
		EXPECT(t, rig_complete(r, 0, i));
		rig_run_host(r);
	}
	r->keep = false;
	rig_run(r);
	EXPECT_EQ(t, r->n->reply_count, 0);
	keepalive[2] = 0x9999;
	EXPECT_EQ(t, rig_control(r, keepalive, sizeof(keepalive), a, sizeof(a)), 16);
	rig_destroy(r);
}

/* ---- Indications ---- */

static const struct rig_message *indication(const struct rig *r, unsigned n)
{
	for (unsigned i = 0; i < r->message_count; i++) {
		if (load_le32(r->messages[i].data) == RNDIS_MSG_INDICATE && n-- == 0) {
			return &r->messages[i];
		}
	}
	return NULL;
}

static void test_link_changes(struct test *t)
{
	struct rig *r = rig_create(NULL);
	const struct rig_message *m;

	vsp_net_link(r->n, false);
	EXPECT(t, rig_up(r, NVSP_PROTOCOL_VERSION_61));
	EXPECT(t, indication(r, 0) == NULL); /* it asked itself */
	vsp_net_link(r->n, true);
	rig_run(r);
	m = indication(r, 0);
	EXPECT(t, m != NULL);
	EXPECT_EQ(t, m->kind, NVSP_CHANNEL_CONTROL);
	EXPECT_EQ(t, m->bytes, 20);
	EXPECT_EQ(t, load_le32(m->data + 4), 20);
	EXPECT_EQ(t, load_le32(m->data + 8), RNDIS_STATUS_MEDIA_CONNECT);
	vsp_net_link(r->n, true); /* nothing new */
	rig_run(r);
	EXPECT(t, indication(r, 1) == NULL);
	vsp_net_speed(r->n, UINT64_C(25000000000));
	rig_run(r);
	m = indication(r, 1);
	EXPECT(t, m != NULL);
	EXPECT_EQ(t, m->bytes, 24);
	EXPECT_EQ(t, load_le32(m->data + 8), RNDIS_STATUS_LINK_SPEED_CHANGE);
	EXPECT_EQ(t, load_le32(m->data + 12), 4);
	EXPECT_EQ(t, load_le32(m->data + 16), 12);
	EXPECT_EQ(t, load_le32(m->data + 20), 250000000);
	vsp_net_link(r->n, false);
	rig_run(r);
	m = indication(r, 2);
	EXPECT(t, m != NULL);
	EXPECT_EQ(t, load_le32(m->data + 8), RNDIS_STATUS_MEDIA_DISCONNECT);
	EXPECT_EQ(t, r->owner.logs, 0);
	rig_destroy(r);
}

/* Another network: said while there is a link; one that comes back says enough. */
static void test_network_changes(struct test *t)
{
	struct rig *r = rig_create(NULL);
	const struct rig_message *m;

	vsp_net_changed(r->n); /* before there is a guest */
	EXPECT(t, rig_up(r, NVSP_PROTOCOL_VERSION_61));
	rig_run(r);
	unsigned before = indication(r, 0) != NULL;

	vsp_net_changed(r->n);
	rig_run(r);
	m = indication(r, before);
	EXPECT(t, m != NULL);
	EXPECT_EQ(t, m->bytes, 20);
	EXPECT_EQ(t, load_le32(m->data + 8), RNDIS_STATUS_NETWORK_CHANGE);
	vsp_net_link(r->n, false);
	rig_run(r);
	EXPECT(t, indication(r, before + 1) != NULL);
	vsp_net_changed(r->n);
	rig_run(r);
	EXPECT(t, indication(r, before + 2) == NULL);
	vsp_net_link(r->n, true);
	rig_run(r);
	m = indication(r, before + 2);
	EXPECT(t, m != NULL);
	EXPECT_EQ(t, load_le32(m->data + 8), RNDIS_STATUS_MEDIA_CONNECT);
	EXPECT(t, indication(r, before + 3) == NULL);
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_init),
		TEST(test_reset_and_keepalive),
		TEST(test_lies),
		TEST(test_before_init),
		TEST(test_too_many),
		TEST(test_link_changes),
		TEST(test_network_changes),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
