// SPDX-License-Identifier: Apache-2.0
/* NVSP: every version, buffers, order, subchannels, closing and opening again. */
#include "test/test.h"

#include "rig.h"

static const uint32_t versions[] = {
	NVSP_PROTOCOL_VERSION_1, NVSP_PROTOCOL_VERSION_2, NVSP_PROTOCOL_VERSION_4,
	NVSP_PROTOCOL_VERSION_5, NVSP_PROTOCOL_VERSION_6, NVSP_PROTOCOL_VERSION_61,
};

static void test_every_version(struct test *t)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		struct rig *r = rig_create(NULL);

		EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
		EXPECT(t, rig_start(r, versions[i], 1500));
		EXPECT_EQ(t, r->n->settings.version, versions[i]);
		EXPECT_EQ(t, rig_set_filter(r, 0xd), RNDIS_STATUS_SUCCESS);
		EXPECT_EQ(t, r->owner.logs, 0);
		EXPECT(t, rig_close(r, 0));
		EXPECT_EQ(t, r->n->settings.version, 0);
		EXPECT_EQ(t, r->n->pool.count, 0);
		rig_destroy(r);
	}
}

struct offer {
	uint32_t min, max, status, version;
};

static void test_versions_chosen(struct test *t)
{
	static const struct offer cases[] = {
		{2, 0x60001, NVSP_STAT_SUCCESS, 0x60001},
		{2, UINT32_MAX, NVSP_STAT_SUCCESS, 0x60001},
		{0, 0x5ffff, NVSP_STAT_SUCCESS, 0x50000},
		{0x30001, 0x30003, NVSP_STAT_SUCCESS, 0x30002},
		{0x60002, 0x70000, NVSP_STAT_PROTOCOL_TOO_NEW, 0},
		{0, 1, NVSP_STAT_PROTOCOL_TOO_OLD, 0},
		{0x30003, 0x30004, NVSP_STAT_PROTOCOL_UNSUPPORTED, 0},
		{0x50000, 2, NVSP_STAT_PROTOCOL_UNSUPPORTED, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig *r = rig_create(NULL);

		EXPECT(t, rig_connect(r, VERSION_WIN10));
		EXPECT_EQ(t, rig_init(r, cases[i].min, cases[i].max), cases[i].status);
		EXPECT_EQ(t, r->n->settings.version, cases[i].version);
		if (cases[i].version == 0) { /* the guest may try again */
			EXPECT_EQ(t, rig_init(r, 2, 2), NVSP_STAT_SUCCESS);
		} else {
			EXPECT_EQ(t, rig_init(r, 2, 2), NVSP_STAT_FAIL);
			EXPECT_EQ(t, r->n->settings.version, cases[i].version);
		}
		rig_destroy(r);
	}
}

/* Everything that wants an answer gets one, whatever is wrong with it. */
static void test_out_of_order(struct test *t)
{
	static const uint32_t types[] = {
		NVSP_MSG1_TYPE_SEND_NDIS_VER,	 NVSP_MSG1_TYPE_SEND_RECV_BUF,
		NVSP_MSG1_TYPE_REVOKE_RECV_BUF,	 NVSP_MSG1_TYPE_SEND_SEND_BUF,
		NVSP_MSG1_TYPE_REVOKE_SEND_BUF,	 NVSP_MSG1_TYPE_SEND_RNDIS_PKT,
		NVSP_MSG2_TYPE_SEND_NDIS_CONFIG, NVSP_MSG4_TYPE_SWITCH_DATA_PATH,
		NVSP_MSG5_TYPE_SUBCHANNEL,	 NVSP_MSG6_TYPE_PD_API,
	};
	struct rig *r = rig_create(NULL);

	EXPECT(t, rig_connect(r, VERSION_WIN10));
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct nvsp_message m = {.type = types[i]};

		EXPECT(t, rig_ask(r, &m) != SIZE_MAX);
		EXPECT_EQ(t, r->n->violations[VIOLATION_ORDER], i + 1);
	}
	EXPECT_EQ(t, rig_init(r, 2, 2), NVSP_STAT_SUCCESS);
	for (size_t i = 6; i < ARRAY_LEN(types); i++) { /* those are of newer versions */
		struct nvsp_message m = {.type = types[i]};

		EXPECT(t, rig_ask(r, &m) != SIZE_MAX);
		EXPECT_EQ(t, r->n->violations[VIOLATION_ORDER], i + 5);
	}
	for (uint32_t type = 0; type < 200; type++) { /* unknown, and too short */
		uint64_t id = 0x900000 + type;

		EXPECT(t, fake_guest_send(&r->channels[0], id, &type, sizeof(type)));
		rig_run(r);
		EXPECT_EQ(t, r->completions[r->completion_count - 1].transaction, id);
	}
	EXPECT(t, r->n->violations[VIOLATION_NVSP] > 150);
	EXPECT(t, r->owner.logs < 30);
	rig_destroy(r);
}

static void test_buffers(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct nvsp_receive_complete c;
	struct nvsp_message revoke = {.type = NVSP_MSG1_TYPE_REVOKE_RECV_BUF,
				      .revoke.id = RIG_RECEIVE_ID};
	uint32_t relid;

	EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
	relid = r->channels[0].offer.relid;
	EXPECT_EQ(t, rig_init(r, 0x60001, 0x60001), NVSP_STAT_SUCCESS);
	EXPECT_EQ(t, rig_receive_buffer(r, &c), NVSP_STAT_FAIL); /* no such GPADL */
	EXPECT_EQ(t, rig_send_buffer(r), NVSP_STAT_FAIL);
	EXPECT_EQ(t, fake_guest_gpadl(r->g, relid, RIG_RECEIVE_GPADL, 1727, 0, r->receive_pfns), 0);
	EXPECT_EQ(t, rig_receive_buffer(r, &c), NVSP_STAT_FAIL); /* too small for one */
	EXPECT(t, fake_guest_teardown(r->g, relid, RIG_RECEIVE_GPADL));
	EXPECT_EQ(t,
		  fake_guest_gpadl(r->g, relid, RIG_RECEIVE_GPADL, 64 * 4096, 0, r->receive_pfns),
		  0);
	EXPECT_EQ(t, rig_receive_buffer(r, &c), NVSP_STAT_SUCCESS);
	EXPECT_EQ(t, c.sections, 1);
	EXPECT_EQ(t, c.offset, 0);
	EXPECT_EQ(t, c.suballoc_bytes, 1728);
	EXPECT_EQ(t, c.suballocs, 64 * 4096 / 1728);
	EXPECT_EQ(t, c.end_offset, c.suballocs * 1728);
	EXPECT_EQ(t, rig_receive_buffer(r, &c), NVSP_STAT_FAIL); /* there is one */
	revoke.revoke.id = 1;
	EXPECT(t, rig_tell(r, &revoke)); /* not that one */
	EXPECT(t, r->n->settings.receive);
	revoke.revoke.id = RIG_RECEIVE_ID;
	EXPECT_EQ(t, rig_ask(r, &revoke), 0);
	EXPECT(t, !r->n->settings.receive && r->n->pool.count == 0);
	EXPECT_EQ(t, rig_receive_buffer(r, &c), NVSP_STAT_SUCCESS);

	EXPECT_EQ(t, fake_guest_gpadl(r->g, relid, RIG_SEND_GPADL, 32 * 4096, 0, r->send_pfns), 0);
	EXPECT_EQ(t, rig_send_buffer(r), NVSP_STAT_SUCCESS);
	EXPECT_EQ(t, r->n->settings.sections, 32 * 4096 / 6144);
	EXPECT_EQ(t, rig_send_buffer(r), NVSP_STAT_FAIL);
	revoke = (struct nvsp_message){.type = NVSP_MSG1_TYPE_REVOKE_SEND_BUF};
	EXPECT(t, rig_tell(r, &revoke));
	EXPECT(t, !r->n->settings.send && r->n->settings.receive);
	EXPECT_EQ(t, rig_send_buffer(r), NVSP_STAT_SUCCESS);
	rig_destroy(r);
}

struct mtu_case {
	uint32_t mtu, mtu_max; /* of the adapter */
	uint32_t asked, frame; /* OID_GEN_MAXIMUM_FRAME_SIZE then */
	uint32_t suballoc_bytes;
};

static void test_mtu(struct test *t)
{
	static const struct mtu_case cases[] = {
		{0, 0, 1500, 1500, 1728},  {0, 0, 9000, 9000, 9152},	{0, 0, 65521, 9216, 9408},
		{0, 0, 0, 68, 1728},	   {0, 1400, 1500, 1400, 1728}, {9000, 0, 1500, 1500, 1728},
		{68, 0, 1280, 1280, 1728},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct mtu_case *c = &cases[i];
		const struct rig_config config = {.mtu = c->mtu, .mtu_max = c->mtu_max};
		struct rig *r = rig_create(&config);
		uint32_t value, bytes;

		EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
		EXPECT(t, rig_start(r, NVSP_PROTOCOL_VERSION_61, c->asked));
		EXPECT_EQ(t, rig_query(r, OID_GEN_MAXIMUM_FRAME_SIZE, NULL, 0, &value, 4, &bytes),
			  0);
		EXPECT_EQ(t, bytes, 4);
		EXPECT_EQ(t, value, c->frame);
		EXPECT_EQ(t, r->n->settings.suballoc_bytes, c->suballoc_bytes);
		rig_destroy(r);
	}
}

/* A change of MTU as Linux does it: HALT, revoke, close; and everything anew with other numbers. */
static void test_reopen(struct test *t)
{
	struct rig *r = rig_create(NULL);
	const uint32_t halt[3] = {RNDIS_MSG_HALT, 12, 1};
	struct nvsp_message revoke = {.type = NVSP_MSG1_TYPE_REVOKE_RECV_BUF,
				      .revoke.id = RIG_RECEIVE_ID};
	uint8_t answer[8];

	EXPECT(t, rig_up(r, NVSP_PROTOCOL_VERSION_61));
	for (unsigned round = 0; round < 10; round++) {
		uint32_t relid = r->channels[0].offer.relid;

		EXPECT_EQ(t, rig_set_filter(r, 0), 0);
		EXPECT_EQ(t, rig_control(r, halt, sizeof(halt), answer, 0), 0);
		EXPECT(t, !r->n->settings.rndis);
		revoke.type = NVSP_MSG1_TYPE_REVOKE_RECV_BUF;
		revoke.revoke.id = RIG_RECEIVE_ID;
		EXPECT(t, rig_tell(r, &revoke));
		revoke.type = NVSP_MSG1_TYPE_REVOKE_SEND_BUF;
		revoke.revoke.id = 0;
		EXPECT(t, rig_tell(r, &revoke));
		EXPECT(t, rig_close(r, 0));
		EXPECT(t, fake_guest_teardown(r->g, relid, RIG_RECEIVE_GPADL));
		EXPECT(t, fake_guest_teardown(r->g, relid, RIG_SEND_GPADL));
		EXPECT(t, rig_open(r, 0));
		EXPECT(t, rig_start(r, versions[round % 6], 1400 + round * 700));
		EXPECT_EQ(t, r->n->settings.mtu, round % 6 == 0 ? 1500 : 1400 + round * 700);
		EXPECT_EQ(t, r->n->settings.filter, 0);
		EXPECT_EQ(t, rig_set_filter(r, 0xd), 0);
	}
	EXPECT_EQ(t, r->owner.logs, 0);
	rig_destroy(r);
}

static void test_data_path(struct test *t)
{
	struct rig *r = rig_create(NULL);
	struct nvsp_message m = {.type = NVSP_MSG4_TYPE_SWITCH_DATA_PATH, .raw = {1}};

	EXPECT(t, rig_up(r, NVSP_PROTOCOL_VERSION_61));
	EXPECT_EQ(t, rig_ask(r, &m), 0); /* a completion without payload is what Linux wants */
	m = (struct nvsp_message){.type = NVSP_MSG6_TYPE_PD_API, .pd_api.operation = 1};
	EXPECT_EQ(t, rig_ask(r, &m), sizeof(m));
	EXPECT_EQ(t, m.pd_api.operation, 1);
	EXPECT(t, m.pd_api.status != NVSP_STAT_SUCCESS);
	EXPECT_EQ(t, r->owner.logs, 0);
	rig_destroy(r);
}

static void test_subchannels(struct test *t)
{
	const struct rig_config config = {.queues = RIG_QUEUES};
	struct rig *r = rig_create(&config);
	struct nvsp_message m = {.type = NVSP_MSG5_TYPE_SUBCHANNEL,
				 .subchannel = {NVSP_SUBCHANNEL_ALLOCATE, 100}};

	EXPECT(t, rig_up(r, NVSP_PROTOCOL_VERSION_61));
	EXPECT_EQ(t, rig_ask(r, &m), sizeof(m));
	EXPECT_EQ(t, m.subchannel.operation, NVSP_STAT_SUCCESS);
	EXPECT_EQ(t, m.subchannel.count, RIG_QUEUES - 1); /* what there is, not what was asked */
	for (unsigned i = 1; i < RIG_QUEUES; i++) {
		EXPECT_EQ(t, r->tables, 0);
		EXPECT(t, fake_guest_find(r->g, &r->instance, i) != NULL);
		EXPECT(t, rig_open(r, i));
		rig_run(r);
	}
	EXPECT_EQ(t, r->tables, 1);
	for (uint32_t i = 0; i < NVSP_TABLE_ENTRIES; i++) {
		EXPECT_EQ(t, r->table[i], i % RIG_QUEUES);
	}
	m = (struct nvsp_message){.type = NVSP_MSG5_TYPE_SUBCHANNEL,
				  .subchannel = {NVSP_SUBCHANNEL_ALLOCATE, 1}};
	EXPECT_EQ(t, rig_ask(r, &m), sizeof(m)); /* once only */
	EXPECT_EQ(t, m.subchannel.operation, NVSP_STAT_FAIL);
	EXPECT_EQ(t, m.subchannel.count, 0);
	for (unsigned i = RIG_QUEUES; i-- > 0;) {
		EXPECT(t, rig_close(r, i));
	}
	EXPECT_EQ(t, r->n->settings.subchannels, 0);
	rig_destroy(r);
}

struct few {
	uint32_t version, vmbus, queues, operation, asked, status, granted;
};

static void test_subchannels_refused(struct test *t)
{
	static const struct few cases[] = {
		{NVSP_PROTOCOL_VERSION_61, VERSION_WIN10, 1, 1, 3, NVSP_STAT_SUCCESS, 0},
		{NVSP_PROTOCOL_VERSION_61, VERSION_WIN10, 4, 1, 0, NVSP_STAT_SUCCESS, 0},
		{NVSP_PROTOCOL_VERSION_61, VERSION_WIN10, 4, 1, 2, NVSP_STAT_SUCCESS, 2},
		{NVSP_PROTOCOL_VERSION_61, VERSION_WIN10, 4, 2, 2, NVSP_STAT_FAIL, 0},
		{NVSP_PROTOCOL_VERSION_61, VERSION_WIN7, 4, 1, 2, NVSP_STAT_FAIL, 0},
		{NVSP_PROTOCOL_VERSION_4, VERSION_WIN10, 4, 1, 2, NVSP_STAT_FAIL, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct few *c = &cases[i];
		const struct rig_config config = {.queues = c->queues};
		struct rig *r = rig_create(&config);
		struct nvsp_message m = {.type = NVSP_MSG5_TYPE_SUBCHANNEL,
					 .subchannel = {c->operation, c->asked}};

		EXPECT(t, rig_connect(r, c->vmbus));
		EXPECT(t, rig_start(r, c->version, 1500));
		EXPECT_EQ(t, rig_ask(r, &m), sizeof(m));
		EXPECT_EQ(t, m.type, NVSP_MSG5_TYPE_SUBCHANNEL);
		EXPECT_EQ(t, m.subchannel.operation, c->status);
		EXPECT_EQ(t, m.subchannel.count, c->granted);
		EXPECT(t, (fake_guest_find(r->g, &r->instance, c->granted + 1) == NULL));
		rig_destroy(r);
	}
}

static void count_gone(void *ctx)
{
	((struct rig *)ctx)->gone++;
}

/* The guest lets go as Linux does: closes, tears down, releases. */
static void test_remove(struct test *t)
{
	const struct rig_config config = {.queues = 2};
	struct rig *r = rig_create(&config);

	EXPECT(t, rig_up(r, NVSP_PROTOCOL_VERSION_61));
	EXPECT(t, rig_create_subchannels(r, 1));
	r->room = 0; /* a packet is under way */
	rig_send(r, 0, RIG_PAGES, (uint8_t[60]){0}, 60, NULL, 0);
	EXPECT_EQ(t, r->n->queues[0].work, NET_SENDING);
	vsp_net_remove(r->n, count_gone, r);
	rig_run_host(r);
	r->open[0] = r->open[1] = false;
	EXPECT(t, fake_guest_take(r->g, CHANNELMSG_RESCIND_CHANNELOFFER, NULL));
	fake_guest_release(r->g, r->channels[1].offer.relid);
	EXPECT_EQ(t, r->gone, 0);
	fake_guest_release(r->g, r->channels[0].offer.relid);
	rig_run_host(r);
	EXPECT_EQ(t, r->gone, 1);
	EXPECT_EQ(t, net_queue_state(&r->n->queues[0]), NET_QUEUE_CLOSED);
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_every_version),
		TEST(test_versions_chosen),
		TEST(test_out_of_order),
		TEST(test_buffers),
		TEST(test_mtu),
		TEST(test_reopen),
		TEST(test_data_path),
		TEST(test_subchannels),
		TEST(test_subchannels_refused),
		TEST(test_remove),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
