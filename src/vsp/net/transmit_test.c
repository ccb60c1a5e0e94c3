// SPDX-License-Identifier: Apache-2.0
/* Frames from the guest: in send sections, in pages, in both, several together; tags, and ports that are full. */
#include "test/test.h"

#include "lib/check.h"
#include "rig.h"

static struct rig *start(struct test *t, const struct rig_config *config)
{
	struct rig *r = rig_create(config);

	EXPECT(t, rig_up(r, NVSP_PROTOCOL_VERSION_61));
	rig_forget(r);
	return r;
}

static const struct rig_frame *last(const struct rig *r)
{
	CHECK(r->sent_count != 0);
	return &r->sent[r->sent_count - 1];
}

static void fill(uint8_t *buf, uint32_t bytes, uint8_t seed)
{
	for (uint32_t i = 0; i < bytes; i++) {
		buf[i] = (uint8_t)(i * 7 + seed + (i >> 8));
	}
	buf[12] = 0x88; /* no tag, no IP */
	buf[13] = 0xb5;
}

/* ---- Ways ---- */

static void test_ways(struct test *t)
{
	static const uint32_t sizes[] = {14, 60, 191, 192, 193, 1000, 1514};
	struct rig *r = start(t, NULL);
	uint8_t frame[1600];

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		for (unsigned way = RIG_SECTION; way <= RIG_PARTIAL; way++) {
			uint64_t id;

			fill(frame, sizes[i], (uint8_t)(i * 3 + way));
			id = rig_send(r, 0, (enum rig_way)way, frame, sizes[i], NULL, 0);
			EXPECT_EQ(t, rig_status(r, id), NVSP_STAT_SUCCESS);
			EXPECT_EQ(t, last(r)->bytes, sizes[i]);
			EXPECT_EQ(t, last(r)->tag, NET_TAG_NONE);
			EXPECT_EQ(t, last(r)->offload.flags | last(r)->offload.gso, 0);
			EXPECT_MEM(t, last(r)->data, frame, sizes[i]);
		}
	}
	struct vsp_net_stats s;

	vsp_net_get_stats(r->n, &s);
	EXPECT_EQ(t, s.tx_frames, 21);
	EXPECT_EQ(t, s.tx_bytes, 3 * (14 + 60 + 191 + 192 + 193 + 1000 + 1514));
	EXPECT_EQ(t, r->owner.logs, 0);
	EXPECT(t, r->flushes != 0);
	rig_destroy(r);
}

/* The port hears of a frame before the guest hears that it was sent. */
static void test_port_first(struct test *t)
{
	struct rig *r = start(t, NULL);
	const uint32_t *index = &r->channels[0].in.control->write_index;
	uint32_t before = *index;
	uint8_t frame[60];

	fill(frame, sizeof(frame), 1);
	rig_status(r, rig_send(r, 0, RIG_SECTION, frame, sizeof(frame), NULL, 0));
	EXPECT(t, *index != before);
	EXPECT_EQ(t, r->flushed_at, before);
	rig_destroy(r);
}

/* Up to eight messages in a section, the last one's data in pages: as Linux does with xmit_more. */
static void test_several(struct test *t)
{
	struct rig *r = start(t, NULL);
	uint8_t buf[8192], frame[1600];

	for (unsigned count = 1; count <= 8; count++) {
		uint32_t used = 0, before = r->sent_count, head = 0;
		uint64_t id;

		for (unsigned i = 0; i < count; i++) {
			uint32_t n = 60 + i * 77;

			fill(frame, n, (uint8_t)i);
			head = used + RNDIS_PACKET_BYTES;
			n = rig_message(buf + used, frame, n, NULL, 0);
			if (i + 1 < count) { /* padded, and the message knows */
				n = (uint32_t)align_up(n, 8);
				store_le32(buf + used + 4, n);
			}
			used += n;
		}
		id = rig_send_raw(r, 0, count & 1 ? RIG_SECTION : RIG_PARTIAL, 3, buf, used, head);
		rig_run(r);
		EXPECT_EQ(t, rig_status(r, id), NVSP_STAT_SUCCESS);
		EXPECT_EQ(t, r->sent_count, before + count);
		for (unsigned i = 0; i < count; i++) {
			const struct rig_frame *f = &r->sent[before + i];

			fill(frame, 60 + i * 77, (uint8_t)i);
			EXPECT_EQ(t, f->bytes, 60 + i * 77);
			EXPECT_MEM(t, f->data, frame, f->bytes);
		}
	}
	rig_destroy(r);
}

/* Many more than we said. */
static void test_too_many(struct test *t)
{
	struct rig *r = start(t, NULL);
	uint8_t buf[6100], frame[14];
	uint32_t used = 0;
	uint64_t id;

	fill(frame, 14, 0);
	for (unsigned i = 0; i < 100; i++) {
		used += rig_message(buf + used, frame, 14, NULL, 0);
	}
	id = rig_send_raw(r, 0, RIG_SECTION, 0, buf, used, 0);
	rig_run(r);
	EXPECT_EQ(t, rig_status(r, id), NVSP_STAT_INVALID_RNDIS_PKT);
	EXPECT_EQ(t, r->sent_count, NET_MESSAGES_MAX);
	rig_destroy(r);
}

/* What is wrong with one message is the failure of its packet; the others are sent. */
static void test_malformed(struct test *t)
{
	static const struct {
		unsigned word; /* of the message */
		uint32_t value;
	} cases[] = {
		{1, 0},		 {1, 7},	  {1, 8},	   {1, 43}, {1, 100000},
		{1, 0xfffffff8}, {2, 0xffffffff}, {2, 37},	   {3, 61}, {3, 13},
		{3, 0xffffffff}, {7, 0xffffff00}, {8, 0xffffffff}, {8, 61}, {7, 97},
	};
	struct rig *r = start(t, NULL);
	uint8_t frame[60], buf[256];

	fill(frame, 60, 1);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint32_t n = rig_message(buf, frame, 60, NULL, 0);
		uint64_t id;

		store_le32(buf + cases[i].word * 4, cases[i].value);
		id = rig_send_raw(r, 0, RIG_PAGES, 0, buf, n, 0);
		rig_run(r);
		EXPECT_EQ(t, rig_status(r, id), NVSP_STAT_INVALID_RNDIS_PKT);
		EXPECT_EQ(t, r->sent_count, 0);
	}
	/* a good one before a bad one */
	uint32_t n = rig_message(buf, frame, 60, NULL, 0);

	rig_message(buf + n, frame, 60, NULL, 0);
	store_le32(buf + n + 12, 5);
	uint64_t id = rig_send_raw(r, 0, RIG_PAGES, 0, buf, 2 * n, 0);

	rig_run(r);
	EXPECT_EQ(t, rig_status(r, id), NVSP_STAT_INVALID_RNDIS_PKT);
	EXPECT_EQ(t, r->sent_count, 1);
	struct vsp_net_stats s;

	vsp_net_get_stats(r->n, &s);
	EXPECT(t, s.tx_dropped > ARRAY_LEN(cases));
	EXPECT(t, r->owner.logs < 10);
	rig_destroy(r);
}

static void test_bad_memory(struct test *t)
{
	struct rig *r = start(t, NULL);
	uint8_t frame[100], buf[256];
	struct nvsp_message m = {.type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT};
	uint32_t n;

	fill(frame, 100, 9);
	n = rig_message(buf, frame, 100, NULL, 0);
	static const struct nvsp_rndis cases[] = {
		{0, 21, 100},	    {0, 0xfffffffe, 100}, {0, 0x80000000, 100},	   {0, 0, 6145},
		{0, 0, 0xffffffff}, {0, 20, 0},		  {0, NVSP_NO_SECTION, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		m.rndis = cases[i];
		EXPECT_EQ(t, rig_ask(r, &m), sizeof(m));
		EXPECT_EQ(t, m.status, NVSP_STAT_INVALID_RNDIS_PKT);
		m.type = NVSP_MSG1_TYPE_SEND_RNDIS_PKT;
	}
	gmem_unmap(&r->g->gm, r->data_pfns[0]);
	EXPECT_EQ(t, rig_status(r, rig_send(r, 0, RIG_PAGES, frame, 100, NULL, 0)),
		  NVSP_STAT_INVALID_RNDIS_PKT);
	gmem_unmap(&r->g->gm, r->send_pfns[0]);
	uint64_t id = rig_send_raw(r, 0, RIG_SECTION, 0, buf, n, 0);

	rig_run(r);
	EXPECT_EQ(t, rig_status(r, id), NVSP_STAT_INVALID_RNDIS_PKT);
	EXPECT_EQ(t, r->n->violations[VIOLATION_MEMORY], ARRAY_LEN(cases) + 2);
	EXPECT_EQ(t, r->sent_count, 0);
	rig_destroy(r);
}

static void test_sizes(struct test *t)
{
	static const struct {
		uint32_t mtu, bytes;
		bool ok;
	} cases[] = {
		{1500, 13, false},   {1500, 14, true},	 {1500, 1514, true},  {1500, 1522, true},
		{1500, 1523, false}, {9000, 9014, true}, {9000, 9023, false},
	};
	uint8_t frame[9100];

	fill(frame, sizeof(frame), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig *r = rig_create(NULL);
		uint64_t id;

		EXPECT(t, rig_connect(r, VERSION_WIN10_V5_3));
		EXPECT(t, rig_start(r, NVSP_PROTOCOL_VERSION_61, cases[i].mtu));
		id = rig_send(r, 0, RIG_PAGES, frame, cases[i].bytes, NULL, 0);
		EXPECT_EQ(t, rig_status(r, id),
			  cases[i].ok ? NVSP_STAT_SUCCESS : NVSP_STAT_INVALID_RNDIS_PKT);
		EXPECT_EQ(t, r->sent_count, cases[i].ok);
		rig_destroy(r);
	}
}

/* ---- Tags ---- */

static void test_tags(struct test *t)
{
	struct rig *r = start(t, NULL);
	struct rig_ppi ppi = {RNDIS_PPI_8021Q, 5 | 1 << 3 | 0x123 << 4};
	uint8_t frame[300], inner[304];

	fill(frame, 300, 3);
	rig_send(r, 0, RIG_PAGES, frame, 300, &ppi, 1);
	EXPECT_EQ(t, last(r)->tag, 5 << 13 | 1 << 12 | 0x123);
	EXPECT_EQ(t, last(r)->bytes, 300);
	EXPECT_MEM(t, last(r)->data, frame, 300);
	for (uint32_t bytes = 18; bytes <= 304; bytes += 22) { /* the tag in the frame */
		memcpy(inner, frame, 12);
		memcpy(inner + 12, "\x81\x00\x20\x07", 4);
		memcpy(inner + 16, frame + 12, 288);
		rig_send(r, 0, RIG_SECTION, inner, bytes, NULL, 0);
		EXPECT_EQ(t, last(r)->tag, 0x2007);
		EXPECT_EQ(t, last(r)->bytes, bytes - 4);
		EXPECT_MEM(t, last(r)->data, frame, bytes - 4);
	}
	rig_send(r, 0, RIG_PARTIAL, inner, 304, &ppi, 1); /* in both places: the inner one stays */
	EXPECT_EQ(t, last(r)->tag, 5 << 13 | 1 << 12 | 0x123);
	EXPECT_EQ(t, last(r)->bytes, 304);
	EXPECT_MEM(t, last(r)->data, inner, 304);
	rig_destroy(r);
}

/* ---- Information ---- */

/* Information of kinds that we do not know, or that lies. */
static void test_information(struct test *t)
{
	static const struct rig_ppi ppi[] = {{9, 0x12345678}, {1, 1}, {0x80000001, 1}, {77, 0}};
	struct rig *r = start(t, NULL);
	uint8_t frame[60], buf[256];

	fill(frame, 60, 1);
	rig_send(r, 0, RIG_PAGES, frame, 60, ppi, 4);
	EXPECT_EQ(t, r->sent_count, 1);
	for (unsigned i = 0; i < 40; i++) {
		static const uint32_t values[] = {0,  11, 12, 15,	  17,
						  28, 33, 64, 0xffffffff, 0x80000000};
		uint32_t n = rig_message(buf, frame, 60, ppi, 2);
		uint32_t at = RNDIS_PACKET_BYTES + (i & 1) * 16 + (i >> 1 & 1) * 8;
		uint64_t id;

		store_le32(buf + at, values[i / 4]);
		id = rig_send_raw(r, 0, RIG_PAGES, 0, buf, n, 0);
		rig_run(r);
		/* a size of 12 is an entry without a value, and then the rest does not add up */
		bool fine = i >> 1 & 1 ? values[i / 4] <= 16 : false;

		EXPECT_EQ(t, rig_status(r, id),
			  fine ? NVSP_STAT_SUCCESS : NVSP_STAT_INVALID_RNDIS_PKT);
	}
	rig_destroy(r);
}

/* ---- A port that is full ---- */

static void test_back_pressure(struct test *t)
{
	struct rig *r = start(t, NULL);
	uint8_t frame[600], buf[4096];
	uint64_t ids[40];
	unsigned sent = 0;

	r->room = 5;
	for (unsigned i = 0; i < 40; i++) { /* two frames in each packet */
		uint32_t n;

		fill(frame, 600, (uint8_t)(2 * i));
		n = rig_message(buf, frame, 600, NULL, 0);
		fill(frame, 600, (uint8_t)(2 * i + 1));
		n += rig_message(buf + n, frame, 600, NULL, 0);
		ids[i] = rig_send_raw(r, 0, RIG_SECTION, i % 20, buf, n, 0);
		if (i < 20) { /* sections may be used again when their packet is done */
			sent += ids[i] != 0;
		}
		if (i == 19) {
			rig_run(r);
			EXPECT_EQ(t, r->sent_count, 5);
			EXPECT_EQ(t, rig_status(r, ids[1]), NVSP_STAT_SUCCESS);
			EXPECT_EQ(t, rig_status(r, ids[2]), 0); /* half of it is sent */
			r->room = 1;
			rig_run(r);
			EXPECT_EQ(t, rig_status(r, ids[2]), NVSP_STAT_SUCCESS);
			EXPECT_EQ(t, rig_status(r, ids[3]), 0);
			r->room = UINT32_MAX;
			rig_run(r);
		}
	}
	rig_run(r);
	EXPECT_EQ(t, sent, 20);
	EXPECT_EQ(t, r->sent_count, 80);
	for (unsigned i = 0; i < 80; i++) { /* in order, each once */
		fill(frame, 600, (uint8_t)i);
		EXPECT_MEM(t, r->sent[i].data, frame, 600);
		EXPECT_EQ(t, rig_status(r, ids[i / 2]), NVSP_STAT_SUCCESS);
	}
	rig_destroy(r);
}

/* The guest takes no completions: its packets wait in the ring, and nothing is lost. */
static void test_ring_full(struct test *t)
{
	const struct rig_config config = {.ring_pages = 2};
	struct rig *r = start(t, &config);
	uint8_t frame[60];
	unsigned sent = 0;

	fill(frame, 60, 0);
	uint8_t buf[128];
	uint32_t n = rig_message(buf, frame, 60, NULL, 0);

	for (unsigned i = 0; i < 500; i++) {
		if (rig_send_raw(r, 0, RIG_SECTION, i % 20, buf, n, 0) != 0) {
			sent++;
		}
		if (i % 5 == 0) {
			rig_run_host(r);
		}
	}
	EXPECT(t, sent > 60 && sent < 250);
	EXPECT(t, r->n->queues[0].blocked);
	rig_run(r);
	EXPECT_EQ(t, r->completion_count, sent);
	struct vsp_net_stats s;

	vsp_net_get_stats(r->n, &s);
	EXPECT_EQ(t, s.tx_frames, sent);
	rig_destroy(r);
}

static void test_every_queue(struct test *t)
{
	const struct rig_config config = {.queues = RIG_QUEUES};
	struct rig *r = start(t, &config);
	uint8_t frame[100];
	uint32_t control[3] = {RNDIS_MSG_KEEPALIVE, 12, 1};

	EXPECT(t, rig_create_subchannels(r, RIG_QUEUES - 1));
	for (unsigned q = 0; q < RIG_QUEUES; q++) {
		fill(frame, 100, (uint8_t)q);
		rig_send(r, q, (enum rig_way)(q % 3), frame, 100, NULL, 0);
		EXPECT_EQ(t, last(r)->queue, q);
		EXPECT_MEM(t, last(r)->data, frame, 100);
	}
	uint64_t id = rig_send_raw(r, 2, RIG_PAGES, 0, control, sizeof(control), 0);

	rig_run(r);
	EXPECT_EQ(t, rig_status(r, id), NVSP_STAT_INVALID_RNDIS_PKT); /* on queue 0 only */
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_ways),	  TEST(test_port_first), TEST(test_several),
		TEST(test_too_many),	  TEST(test_malformed),	 TEST(test_bad_memory),
		TEST(test_sizes),	  TEST(test_tags),	 TEST(test_information),
		TEST(test_back_pressure), TEST(test_ring_full),	 TEST(test_every_queue),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
