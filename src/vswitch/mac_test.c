// SPDX-License-Identifier: Apache-2.0
#include "test/test.h"
#include "testing.h"

enum { VM1 = 1, VM2, LOOSE, HOST, UPLINK };

#define SECOND UINT64_C(1000000000)

static struct lab *make(uint32_t macs_max)
{
	const struct vswitch_config config = {.macs_max = macs_max, .seed = 12345};
	struct lab *lab = lab_create(&config);
	struct vswitch_port_config c = lab_config(LOOSE, VSWITCH_VM);

	lab_fill(lab, VM1, VM2, VSWITCH_VM);
	c.spoofing = true;
	CHECK(lab_add(lab, LOOSE, &c) == 0);
	lab_fill(lab, HOST, HOST, VSWITCH_HOST);
	lab_fill(lab, UPLINK, UPLINK, VSWITCH_UPLINK);
	return lab;
}

struct count {
	const struct vswitch_port *port; /* NULL: all */
	unsigned learned, fixed;
	uint64_t oldest_ns;
};

static void found(void *ctx, const struct vswitch_mac *m)
{
	struct count *c = ctx;

	if (c->port == NULL || c->port == m->port) {
		c->learned += !m->fixed;
		c->fixed += m->fixed;
		c->oldest_ns = max_u64(c->oldest_ns, m->age_ns);
		CHECK(m->mac[0] == 2 && m->vid == (m->fixed ? VSWITCH_VID_ANY : 0));
	}
}

static unsigned learned(const struct lab *lab, unsigned port)
{
	struct count c = {.port = lab->ports[port].port};

	vswitch_macs(lab->s, found, &c, lab->now_ns);
	return c.learned;
}

static void test_aging(struct test *t)
{
	struct lab *lab = make(0);
	struct count c = {0};

	lab_unicast(lab, HOST, MAC(VM1), MAC(50));
	lab_unicast(lab, UPLINK, MAC(VM1), MAC(51));
	lab->now_ns += 200 * SECOND;
	lab_unicast(lab, HOST, MAC(VM1), MAC(50));
	lab->now_ns += 100 * SECOND;
	vswitch_macs(lab->s, found, &c, lab->now_ns);
	EXPECT_EQ(t, c.learned, 2);
	EXPECT_EQ(t, c.fixed, 3);
	EXPECT_EQ(t, c.oldest_ns, 300 * SECOND);
	lab->now_ns += 1;
	/* even before anybody cleans up */
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(51), MAC(VM1)), P(LOOSE) | P(HOST) | P(UPLINK));
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(50), MAC(VM1)), P(HOST));
	EXPECT_EQ(t, learned(lab, UPLINK), 0);
	EXPECT_EQ(t, vswitch_tick(lab->s, lab->now_ns), lab->now_ns + SECOND);
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(50), MAC(VM1)), P(HOST));
	lab->now_ns += 1000 * SECOND;
	vswitch_tick(lab->s, lab->now_ns);
	EXPECT_EQ(t, learned(lab, HOST), 0);
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(VM2), MAC(VM1)), P(VM2)); /* own ones stay */
	lab_destroy(lab);
}

static void test_moving(struct test *t)
{
	struct lab *lab = make(0);

	lab_unicast(lab, HOST, MAC(VM1), MAC(50));
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(50), MAC(VM1)), P(HOST));
	lab_unicast(lab, LOOSE, MAC(VM1), MAC(50));
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(50), MAC(VM1)), P(LOOSE));
	EXPECT_EQ(t, learned(lab, HOST), 0);
	/* to an uplink only when it was not heard for a while: else it is a frame that came back */
	EXPECT_EQ(t, lab_unicast(lab, UPLINK, MAC(VM1), MAC(50)), 0);
	EXPECT_EQ(t, lab_drops_in(lab, UPLINK, VSWITCH_DROP_LOOP), 1);
	lab->now_ns += 5 * SECOND;
	EXPECT_EQ(t, lab_unicast(lab, UPLINK, MAC(VM1), MAC(50)), P(VM1));
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(50), MAC(VM1)), P(UPLINK));
	/* a VM's own address never moves */
	lab->now_ns += 500 * SECOND;
	EXPECT_EQ(t, lab_unicast(lab, UPLINK, MAC(VM1), MAC(VM2)), 0);
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(VM2), MAC(VM1)), P(VM2));
	/* what went down is forgotten */
	lab_unicast(lab, HOST, MAC(VM1), MAC(60));
	EXPECT_EQ(t, learned(lab, HOST), 1);
	vswitch_port_link(lab->ports[HOST].port, false);
	EXPECT_EQ(t, learned(lab, HOST), 0);
	lab_destroy(lab);
}

/* A port that floods addresses fills its share and then only pushes out its own. */
static void test_flood(struct test *t)
{
	struct lab *lab = make(1024);

	for (unsigned i = 0; i < 100; i++) {
		lab_unicast(lab, HOST, MAC(VM1), MAC(1000 + i));
	}
	for (unsigned i = 0; i < 20000; i++) {
		lab_unicast(lab, LOOSE, MAC(VM1), MAC(2000 + i));
	}
	EXPECT_EQ(t, learned(lab, LOOSE), 256);
	EXPECT_EQ(t, learned(lab, HOST), 100);
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(2000 + 19999), MAC(VM1)), P(LOOSE));
	EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(2000), MAC(VM1)), P(LOOSE) | P(HOST) | P(UPLINK));
	/* an uplink may have all that is free, and gives way to those with less than their share */
	for (unsigned i = 0; i < 20000; i++) {
		lab_unicast(lab, UPLINK, MAC(VM1), MAC(30000 + i));
	}
	EXPECT_EQ(t, learned(lab, HOST), 100);
	EXPECT_EQ(t, learned(lab, LOOSE), 256);
	EXPECT_EQ(t, learned(lab, UPLINK), 1024 - 3 - 356);
	for (unsigned i = 0; i < 1000; i++) {
		lab_unicast(lab, HOST, MAC(VM1), MAC(1000 + i));
	}
	EXPECT_EQ(t, learned(lab, HOST), 1024 / 6);
	EXPECT_EQ(t, learned(lab, LOOSE), 256);
	/* static ones always find room */
	for (unsigned i = 0; i < 500; i++) {
		EXPECT_EQ(t, vswitch_port_mac_add(lab->ports[VM1].port, MAC(60000 + i), 0), 0);
	}
	EXPECT_EQ(t, lab_unicast(lab, VM2, MAC(60499), MAC(VM2)), P(VM1));
	lab_destroy(lab);
}

/* Against a plain list: any order of frames, aging, and ports that go down. */
static void test_model(struct test *t)
{
	struct lab *lab = make(0);
	uint8_t where[64] = {0};
	uint64_t seen[64] = {0}, random = 5;

	for (unsigned i = 0; i < 30000 && t->failures == 0; i++) {
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
		unsigned n = (unsigned)(random >> 33) % 64, what = (unsigned)(random >> 45) % 64;

		if (what < 30) {
			unsigned port = what % 2 != 0 ? HOST : LOOSE;

			lab_unicast(lab, port, MAC(VM1), MAC(100 + n));
			if (where[n] != port || lab->now_ns - seen[n] >= SECOND) {
				seen[n] = lab->now_ns;
			}
			where[n] = (uint8_t)port;
		} else if (what < 61) {
			bool known = where[n] != 0 && lab->now_ns - seen[n] <= 300 * SECOND;

			EXPECT_EQ(t, lab_unicast(lab, VM1, MAC(100 + n), MAC(VM1)),
				  known ? P(where[n]) : P(LOOSE) | P(HOST) | P(UPLINK));
		} else if (what < 62) {
			vswitch_port_link(lab->ports[HOST].port, false);
			vswitch_port_link(lab->ports[HOST].port, true);
			for (unsigned j = 0; j < 64; j++) {
				where[j] = where[j] == HOST ? 0 : where[j];
			}
		} else {
			lab->now_ns += (random >> 20) % (8 * SECOND);
			vswitch_tick(lab->s, lab->now_ns);
		}
	}
	lab_destroy(lab);
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_aging), TEST(test_moving),
						 TEST(test_flood), TEST(test_model)};

	return test_main(cases, ARRAY_LEN(cases));
}
