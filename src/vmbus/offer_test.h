/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of offers: a device that was offered to a connected guest. */
#ifndef VMBUS_OFFER_TEST_H
#define VMBUS_OFFER_TEST_H

#include "lib/bits.h"
#include "test/test.h"
#include "vmbus/testing/guest.h"

#define CONNECTION_BASE 0x2000u

static inline struct fake_guest *start(struct test *t, struct fake_device *d, uint32_t version)
{
	struct fake_guest *g = fake_guest_create(NULL);

	*d = (struct fake_device){0};
	EXPECT_EQ(t, fake_device_offer(g, d, 1, 0), 0);
	EXPECT_EQ(t, fake_guest_connect(g, version), 1);
	EXPECT(t, fake_guest_request_offers(g));
	return g;
}

static inline struct fake_guest_offer *find(struct fake_guest *g, uint8_t number, uint32_t index)
{
	struct guid instance = fake_device_instance(number);

	return fake_guest_find(g, &instance, index);
}

static inline bool take_rescind(struct fake_guest *g, uint32_t relid)
{
	struct fake_guest_message r;

	return fake_guest_take(g, CHANNELMSG_RESCIND_CHANNELOFFER, &r) && r.relid.relid == relid;
}

#endif
