// SPDX-License-Identifier: Apache-2.0
/* What is true of all components: transactions, time limits, full rings, guests that answer wrongly or not at all. Shown with shutdown. */
#include "test/test.h"

#include <errno.h>

#include "lib/bits.h"
#include "rig.h"

#define HEAD_BYTES (sizeof(struct vmbus_pipe_header) + sizeof(struct ic_header))

static const struct vsp_ic_shutdown off;

static struct rig *rig_ready(struct test *t, const struct rig_config *config)
{
	struct rig *r = rig_create(config);

	EXPECT(t, rig_up(r, VSP_IC_SHUTDOWN));
	return r;
}

/* Nobody answers: the request ends, and the next one is not mistaken for it. */
static void test_timeout(struct test *t)
{
	struct rig *r = rig_ready(t, NULL);
	struct rig_answer a, b;
	struct rig_message first, second;

	EXPECT_EQ(t, vsp_ic_shutdown(r->ic, &off, rig_done(&a)), 0);
	EXPECT_EQ(t, vsp_ic_shutdown(r->ic, &off, rig_done(&b)), -EBUSY);
	rig_run(r);
	EXPECT(t, rig_take(r, VSP_IC_SHUTDOWN, &first));
	rig_pass(r, 29 * RIG_S);
	EXPECT_EQ(t, a.count, 0);
	rig_pass(r, RIG_S);
	EXPECT_EQ(t, a.count, 1);
	EXPECT_EQ(t, a.result, VSP_IC_TIMEOUT);
	EXPECT_EQ(t, vsp_ic_shutdown(r->ic, &off, rig_done(&b)), 0);
	rig_run(r);
	EXPECT(t, rig_take(r, VSP_IC_SHUTDOWN, &second));
	EXPECT(t, second.header.transaction != first.header.transaction);
	EXPECT(t, rig_answer(r, VSP_IC_SHUTDOWN, &first, 0));
	EXPECT_EQ(t, b.count, 0);
	EXPECT(t, rig_answer(r, VSP_IC_SHUTDOWN, &second, 0));
	EXPECT_EQ(t, b.count, 1);
	EXPECT_EQ(t, a.count, 1);
	EXPECT_EQ(t, r->owner.logs, 0); /* late is not wrong */
	rig_destroy(r);
}

static void test_closed(struct test *t)
{
	struct rig *r = rig_ready(t, NULL);
	struct rig_answer a;

	EXPECT_EQ(t, vsp_ic_shutdown(r->ic, &off, rig_done(&a)), 0);
	EXPECT_EQ(t, a.count, 0);
	EXPECT(t, rig_close(r, VSP_IC_SHUTDOWN));
	EXPECT_EQ(t, a.count, 1);
	EXPECT_EQ(t, a.result, VSP_IC_GONE);
	EXPECT_EQ(t, vsp_ic_shutdown(r->ic, &off, rig_done(&a)), -ENODEV);
	EXPECT(t, rig_up(r, VSP_IC_SHUTDOWN));
	EXPECT_EQ(t, vsp_ic_shutdown(r->ic, &off, rig_done(&a)), 0);
	rig_destroy(r);
	EXPECT_EQ(t, a.count, 1);
	EXPECT_EQ(t, a.result, VSP_IC_GONE);
}

/* A guest that does not read: what fits goes out and runs out of time, and so does what does not fit. */
static void test_full_ring(struct test *t)
{
	struct rig *r = rig_ready(t, NULL);
	struct rig_answer a;
	struct rig_message m;
	unsigned taken = 0;

	for (unsigned i = 0; i < 10; i++) {
		EXPECT_EQ(t, vsp_ic_shutdown(r->ic, &off, rig_done(&a)), 0);
		rig_run(r);
		EXPECT_EQ(t, a.count, 0);
		rig_pass(r, 30 * RIG_S);
		EXPECT_EQ(t, a.count, 1);
		EXPECT_EQ(t, a.result, VSP_IC_TIMEOUT);
	}
	EXPECT_EQ(t, vsp_ic_shutdown(r->ic, &off, rig_done(&a)), 0);
	rig_run(r);
	while (rig_take(r, VSP_IC_SHUTDOWN, &m)) {
		taken++;
	}
	EXPECT_EQ(t, taken, 5 + 1); /* 12 KiB hold five; then there was room for the last */
	EXPECT_EQ(t, a.count, 0);
	rig_pass(r, 30 * RIG_S);
	EXPECT_EQ(t, a.count, 1);
	rig_destroy(r);
}

/* A ring into which no request can ever go. */
static void test_small_ring(struct test *t)
{
	const struct rig_config config = {.ring_pages = 2};
	struct rig *r = rig_create(&config);
	const struct guid instance = {{0}};
	struct vsp_ic_ip ip = {.ipv4 = true};
	struct rig_answer a;

	EXPECT(t, rig_up(r, VSP_IC_KVP));
	EXPECT_EQ(t, vsp_ic_kvp_set_ip(r->ic, &instance, &ip, rig_done(&a)), 0);
	struct rig_message m;

	EXPECT(t, rig_take(r, VSP_IC_KVP, &m));
	EXPECT(t, rig_answer(r, VSP_IC_KVP, &m, IC_STATUS_NO_MORE));
	EXPECT_EQ(t, a.count, 1);
	EXPECT_EQ(t, a.result, VSP_IC_GONE);
	EXPECT_EQ(t, rig_state(r, VSP_IC_KVP), VSP_IC_BROKEN);
	rig_destroy(r);
}

struct wrong {
	const char *what;
	size_t at, bytes; /* of the packet */
	uint64_t value;
	size_t size; /* of the packet; 0: as it should be */
	unsigned logs;
};

/* Each field of the headers, spoiled: no answer, and no harm. */
static void test_wrong_answers(struct test *t)
{
	static const struct wrong wrongs[] = {
		{"pipe type", 0, 4, 2, 0, 1},
		{"pipe size 0", 4, 4, 0, 0, 1},
		{"pipe size small", 4, 4, 19, 0, 1},
		{"pipe size large", 4, 4, 2081, 0, 1},
		{"pipe size huge", 4, 4, 0xffffffff, 0, 1},
		{"message type of another", 12, 2, IC_MESSAGE_KVP, 0, 1},
		{"negotiation again", 12, 2, IC_MESSAGE_NEGOTIATE, 0, 1},
		{"a request", 25, 1, IC_FLAG_TRANSACTION | IC_FLAG_REQUEST, 0, 1},
		{"an older transaction", 24, 1, 0, 0, 0},
		{"a transaction to come", 24, 1, 99, 0, 0},
		{"empty", 0, 0, 0, 8, 1},
		{"half a header", 0, 0, 0, 24, 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(wrongs); i++) {
		const struct wrong *w = &wrongs[i];
		struct rig *r = rig_ready(t, NULL);
		uint8_t packet[HEAD_BYTES + sizeof(struct ic_shutdown_body) + 8] = {0};
		struct rig_answer a;
		struct rig_message m;

		EXPECT_EQ(t, vsp_ic_shutdown(r->ic, &off, rig_done(&a)), 0);
		rig_run(r);
		EXPECT(t, rig_take(r, VSP_IC_SHUTDOWN, &m));
		m.header.flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;
		memcpy(packet, &m.pipe, sizeof(m.pipe));
		memcpy(packet + sizeof(m.pipe), &m.header, sizeof(m.header));
		memcpy(packet + w->at, &w->value, w->bytes);
		EXPECT(t, rig_send(r, VSP_IC_SHUTDOWN, packet,
				   w->size != 0 ? w->size : HEAD_BYTES + m.bytes));
		EXPECT_EQ(t, a.count, 0);
		EXPECT_EQ(t, r->owner.logs, w->logs);
		EXPECT_EQ(t, rig_state(r, VSP_IC_SHUTDOWN), VSP_IC_READY);
		EXPECT(t, rig_answer(r, VSP_IC_SHUTDOWN, &m, 0)); /* the right one */
		EXPECT_EQ(t, a.count, 1);
		EXPECT_EQ(t, a.result, VSP_IC_DONE);
		rig_destroy(r);
	}
}

/* Completions and other packets are none of ours. */
static void test_wrong_packets(struct test *t)
{
	struct rig *r = rig_ready(t, NULL);
	uint8_t big[9000] = {0};

	EXPECT(t, fake_guest_write(&r->channels[VSP_IC_SHUTDOWN], VMBUS_PACKET_COMPLETION, false, 7,
				   NULL, 0, big, 100));
	rig_run(r);
	EXPECT_EQ(t, r->owner.logs, 1);
	EXPECT(t, rig_send(r, VSP_IC_SHUTDOWN, big, sizeof(big)));
	EXPECT_EQ(t, r->owner.logs, 2);
	EXPECT_EQ(t, rig_state(r, VSP_IC_SHUTDOWN), VSP_IC_READY);
	rig_destroy(r);
}

/* A guest that never stops talking is not listened to any longer, until it begins anew. */
static void test_flood(struct test *t)
{
	struct rig *r = rig_ready(t, NULL);
	const struct vmbus_pipe_header pipe = {VMBUS_PIPE_DATA, sizeof(struct ic_header)};
	const struct ic_header h = {.type = IC_MESSAGE_SHUTDOWN, .flags = IC_FLAG_RESPONSE};
	struct rig_answer a;
	uint8_t packet[HEAD_BYTES];
	unsigned sent = 0;

	EXPECT_EQ(t, vsp_ic_shutdown(r->ic, &off, rig_done(&a)), 0);
	rig_run(r);
	memcpy(packet, &pipe, sizeof(pipe));
	memcpy(packet + sizeof(pipe), &h, sizeof(h));
	while (sent < 1000 && rig_send(r, VSP_IC_SHUTDOWN, packet, sizeof(packet))) {
		sent++;
	}
	EXPECT(t, sent > IC_UNASKED_MAX);
	EXPECT(t, sent < 1000); /* the ring is full, and stays so */
	EXPECT_EQ(t, rig_state(r, VSP_IC_SHUTDOWN), VSP_IC_BROKEN);
	EXPECT_EQ(t, a.result, VSP_IC_GONE);
	EXPECT(t, r->owner.logs >= 1 && r->owner.logs < 12);
	EXPECT(t, rig_close(r, VSP_IC_SHUTDOWN));
	EXPECT(t, rig_up(r, VSP_IC_SHUTDOWN));
	rig_destroy(r);
}

/* A ring that breaks VMBus's own rules. */
static void test_broken_ring(struct test *t)
{
	struct rig *r = rig_ready(t, NULL);
	struct fake_guest_channel *ch = &r->channels[VSP_IC_SHUTDOWN];
	struct rig_answer a;

	EXPECT_EQ(t, vsp_ic_shutdown(r->ic, &off, rig_done(&a)), 0);
	rig_run(r);
	__atomic_store_n(&ch->out.control->write_index, 0x12345678, __ATOMIC_SEQ_CST);
	fake_guest_signal(ch);
	rig_run(r);
	EXPECT_EQ(t, rig_state(r, VSP_IC_SHUTDOWN), VSP_IC_BROKEN);
	EXPECT_EQ(t, a.result, VSP_IC_GONE);
	EXPECT_EQ(t, a.count, 1);
	EXPECT_EQ(t, rig_state(r, VSP_IC_KVP), VSP_IC_CLOSED);
	rig_destroy(r);
}

/* The machine starts again: everything is as at first. */
static void test_bus_reset(struct test *t)
{
	struct rig *r = rig_ready(t, NULL);
	struct rig_answer a;

	EXPECT_EQ(t, vsp_ic_shutdown(r->ic, &off, rig_done(&a)), 0);
	vmbus_reset(r->g->bus);
	rig_run(r);
	EXPECT_EQ(t, a.result, VSP_IC_GONE);
	EXPECT(t, vmbus_quiet(r->g->bus));
	EXPECT_EQ(t, rig_state(r, VSP_IC_SHUTDOWN), VSP_IC_CLOSED);
	rig_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_timeout),    TEST(test_closed),	 TEST(test_full_ring),
		TEST(test_small_ring), TEST(test_wrong_answers), TEST(test_wrong_packets),
		TEST(test_flood),      TEST(test_broken_ring),	 TEST(test_bus_reset),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
