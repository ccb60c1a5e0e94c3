// SPDX-License-Identifier: Apache-2.0
/* Storm limits, and the budget: rate limits and shares. */
#include "test/test.h"
#include "testing.h"

#define SECOND UINT64_C(1000000000)

enum { VM1 = 1, VM2, HOST };

static void configure(struct lab *lab, const struct vswitch_port_config *c)
{
	CHECK(vswitch_port_configure(lab->ports[VM1].port, c) == 0);
}

/* Frames to @to within a second that pass, of @count. */
static unsigned passing(struct lab *lab, const uint8_t *to, unsigned count)
{
	unsigned passed = 0;

	for (unsigned i = 0; i < count; i++) {
		lab->now_ns += SECOND / count;
		passed += lab_unicast(lab, VM1, to, MAC(VM1)) != 0;
	}
	return passed;
}

static void test_storm(struct test *t)
{
	static const uint8_t many[] = {1, 0, 0, 0, 0, 9};
	struct lab *lab = lab_create(NULL);
	struct vswitch_port_config c = lab_config(VM1, VSWITCH_VM);
	unsigned n;

	lab_fill(lab, VM1, VM2, VSWITCH_VM);
	lab_fill(lab, HOST, HOST, VSWITCH_HOST);
	EXPECT_EQ(t, passing(lab, MAC_ALL, 5000), 5000);
	c.broadcast_pps = 100;
	configure(lab, &c);
	n = passing(lab, MAC_ALL, 5000);
	EXPECT(t, n >= 100 && n <= 112);
	EXPECT_EQ(t, lab_drops_in(lab, VM1, VSWITCH_DROP_STORM), 5000 - n);
	EXPECT_EQ(t, passing(lab, many, 1000), 1000);
	EXPECT_EQ(t, passing(lab, MAC(VM2), 1000), 1000);
	EXPECT_EQ(t, passing(lab, MAC(50), 1000), 1000);
	n = passing(lab, MAC_ALL, 90); /* below the limit nothing is lost */
	EXPECT_EQ(t, n, 90);
	c.multicast_pps = 10;
	c.unknown_pps = 1;
	configure(lab, &c);
	n = passing(lab, many, 1000);
	EXPECT(t, n >= 10 && n <= 12);
	n = passing(lab, MAC(50), 1000);
	EXPECT(t, n >= 1 && n <= 2);
	EXPECT_EQ(t, passing(lab, MAC(VM2), 1000), 1000);
	lab_destroy(lab);
}

/* As the owner's ring is served: frames of @bytes while there is budget. What entered within @ns. */
static uint64_t serve(struct lab *lab, unsigned port, uint32_t bytes, uint64_t ns)
{
	uint64_t end = lab->now_ns + ns, entered = 0;

	packet_plain(&lab->packet, MAC(VM2), MAC(port), bytes);
	while (lab->now_ns < end) {
		uint64_t when = 0;
		int64_t budget = vswitch_port_budget(lab->ports[port].port, lab->now_ns, &when);

		if (budget == 0 && when > lab->now_ns) {
			lab->now_ns = when;
			continue;
		}
		while (budget > 0) {
			struct net_frame f = packet_frame(&lab->packet, NET_TAG_NONE);

			vswitch_input(lab->ports[port].port, &f, lab->now_ns);
			budget -= vswitch_cost(&f);
			entered += bytes;
		}
		lab->now_ns += 1000;
	}
	return entered;
}

static void test_rate(struct test *t)
{
	static const uint64_t rates[] = {64000, 1000000, 100000000, UINT64_C(10000000000)};
	static const uint32_t sizes[] = {64, 1514, 9014};

	for (unsigned i = 0; i < ARRAY_LEN(rates); i++) {
		for (unsigned j = 0; j < ARRAY_LEN(sizes); j++) {
			struct lab *lab = lab_create(NULL);
			struct vswitch_port_config c = lab_config(VM1, VSWITCH_VM);
			uint64_t ns = rates[i] > 1000000000 ? SECOND / 50 : 2 * SECOND;
			uint64_t want = mul_div_u64(rates[i], ns, 8 * SECOND), got;

			lab_fill(lab, VM1, VM2, VSWITCH_VM);
			c.max_bps = rates[i];
			configure(lab, &c);
			got = serve(lab, VM1, sizes[j], ns);
			/* and at most the burst of 10 ms and a frame more */
			if (got < want - want / 20 ||
			    got > want + mul_div_u64(rates[i], 1, 800) + 2 * sizes[j]) {
				test_fail(t, __FILE__, __LINE__,
					  "%" PRIu64 " bit/s, frames of %u: %" PRIu64
					  " bytes, want %" PRIu64,
					  rates[i], sizes[j], got, want);
			}
			lab_destroy(lab);
		}
	}
}

/* Who is served in rounds with others gets its weight's share, whatever the sizes of the frames. */
static void test_shares(struct test *t)
{
	struct lab *lab = lab_create(NULL);
	struct vswitch_port_config c = lab_config(VM1, VSWITCH_VM);
	uint64_t entered[2] = {0}, when;
	static const uint32_t sizes[2] = {1514, 9000};

	lab_fill(lab, VM1, VM2, VSWITCH_VM);
	c.weight = 3;
	configure(lab, &c);
	for (unsigned round = 0; round < 1000; round++) {
		for (unsigned i = 0; i < 2; i++) {
			int64_t budget =
				vswitch_port_budget(lab->ports[VM1 + i].port, lab->now_ns, &when);

			EXPECT_EQ(t, when, lab->now_ns);
			packet_plain(&lab->packet, MAC(9), MAC(VM1 + i), sizes[i]);
			while (budget > 0) {
				struct net_frame f = packet_frame(&lab->packet, NET_TAG_NONE);

				vswitch_input(lab->ports[VM1 + i].port, &f, lab->now_ns);
				budget -= vswitch_cost(&f);
				entered[i] += f.bytes;
			}
		}
	}
	EXPECT(t,
	       entered[0] > 3 * entered[1] * 99 / 100 && entered[0] < 3 * entered[1] * 101 / 100);
	lab_destroy(lab);
}

/* Large segments are paid for in the rounds that follow; silence earns nothing. */
static void test_debt(struct test *t)
{
	struct lab *lab = lab_create(NULL);
	uint64_t when;
	uint32_t first;

	lab_fill(lab, VM1, VM2, VSWITCH_VM);
	first = vswitch_port_budget(lab->ports[VM1].port, 0, &when);
	for (unsigned i = 0; i < 50; i++) {
		EXPECT_EQ(t, vswitch_port_budget(lab->ports[VM1].port, 0, &when), first);
	}
	packet_plain(&lab->packet, MAC(VM2), MAC(VM1), NET_FRAME_BYTES_MAX);
	EXPECT(t, first < NET_FRAME_BYTES_MAX / 2);
	struct net_frame f = packet_frame(&lab->packet, NET_TAG_NONE);

	vswitch_input(lab->ports[VM1].port, &f, 0);
	EXPECT_EQ(t, vswitch_port_budget(lab->ports[VM1].port, 0, &when), 0);
	EXPECT_EQ(t, when, 0);
	EXPECT(t, vswitch_port_budget(lab->ports[VM1].port, 0, &when) != 0);
	lab_destroy(lab);
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_storm), TEST(test_rate),
						 TEST(test_shares), TEST(test_debt)};

	return test_main(cases, ARRAY_LEN(cases));
}
