// SPDX-License-Identifier: Apache-2.0
/* The N-th allocation fails, for every N: nothing leaks or changes, and a multicast listener that cannot be noted gets everything. */
#include <errno.h>

#include "test/test.h"
#include "testing.h"

void *__real_calloc(size_t n, size_t bytes);
void *__real_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_malloc(size_t bytes);

/* What the linker wraps has no other way to know. */
static struct {
	bool armed;
	unsigned left; /* allocations until one fails */
	bool failed;
} memory;

static void arm(unsigned n)
{
	memory.armed = true;
	memory.left = n;
	memory.failed = false;
}

static bool fails(void)
{
	if (!memory.armed || memory.left-- != 0) {
		return false;
	}
	memory.armed = false;
	memory.failed = true;
	return true;
}

void *__wrap_calloc(size_t n, size_t bytes)
{
	return fails() ? NULL : __real_calloc(n, bytes);
}

void *__wrap_malloc(size_t bytes)
{
	return fails() ? NULL : __real_malloc(bytes);
}

static void test_create(struct test *t)
{
	static const struct vswitch_config config = {.seed = 3};
	unsigned n = 0;
	int rc;

	do {
		struct vswitch *s = NULL;

		arm(n++);
		rc = vswitch_create(&config, &s);
		EXPECT_EQ(t, rc, memory.failed ? (uint64_t)-ENOMEM : 0);
		EXPECT_EQ(t, s != NULL, rc == 0);
		vswitch_destroy(s);
	} while (rc != 0);
	memory.armed = false;
	EXPECT(t, n > 3);
}

static void test_ports(struct test *t)
{
	static const struct vswitch_acl acl = {.action = VSWITCH_ACL_DENY, .in = true};
	struct lab *lab = lab_create(NULL);
	struct vswitch_port_config c = lab_config(2, VSWITCH_VM);
	unsigned n = 0;
	int rc;

	lab_fill(lab, 1, 1, VSWITCH_VM);
	c.acls = &acl;
	c.acl_count = 1;
	do {
		arm(n++);
		rc = lab_add(lab, 2, &c);
		EXPECT_EQ(t, rc, memory.failed ? (uint64_t)-ENOMEM : 0);
	} while (rc != 0);
	memory.armed = false;
	EXPECT(t, n > 4);
	c.acl_count = 0;
	EXPECT_EQ(t, vswitch_port_configure(lab->ports[2].port, &c), 0);
	EXPECT_EQ(t, lab_unicast(lab, 1, MAC(2), MAC(1)), P(2));
	c.acl_count = 1;
	n = 0;
	do { /* the old rules hold until the new ones do */
		EXPECT_EQ(t, lab_unicast(lab, 1, MAC(2), MAC(1)), P(2));
		arm(n++);
		rc = vswitch_port_configure(lab->ports[2].port, &c);
		memory.armed = false;
	} while (rc == -ENOMEM);
	EXPECT_EQ(t, rc, 0);
	EXPECT_EQ(t, lab_unicast(lab, 1, MAC(2), MAC(1)), 0);
	lab_destroy(lab);
}

static uint32_t igmp(struct lab *lab, unsigned from, uint8_t type, uint32_t to, uint32_t group)
{
	const uint8_t mac[] = {1,	   0, 0x5e, (uint8_t)(to >> 16 & 0x7f), (uint8_t)(to >> 8),
			       (uint8_t)to};

	packet_ethernet(&lab->packet, mac, MAC(from), 0x0800);
	packet_ipv4(&lab->packet, 0x0a000000 + from, to, type != 0 ? IP_IGMP : IP_UDP);
	packet_add32(&lab->packet, (uint32_t)type << 24);
	packet_add32(&lab->packet, group);
	packet_finish(&lab->packet);
	return lab_send(lab, from);
}

static void test_memberships(struct test *t)
{
	for (unsigned n = 0; n < 3; n++) {
		struct lab *lab = lab_create(NULL);

		lab_fill(lab, 1, 4, VSWITCH_VM);
		igmp(lab, 4, 0x11, 0xe0000001, 0);
		lab->now_ns += UINT64_C(10000000000);
		arm(n);
		igmp(lab, 2, 0x16, 0xe1020304, 0xe1020304);
		memory.armed = false;
		EXPECT_EQ(t, memory.failed, n < 2);
		EXPECT_EQ(t, igmp(lab, 1, 0, 0xe1020304, 0), P(2) | P(4));
		EXPECT_EQ(t, igmp(lab, 1, 0, 0xe1020305, 0), P(4) | (n < 2 ? P(2) : 0));
		lab_destroy(lab);
	}
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_create), TEST(test_ports),
						 TEST(test_memberships)};

	return test_main(cases, ARRAY_LEN(cases));
}
