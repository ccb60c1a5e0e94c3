/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of channels: one that was offered. */
#ifndef VMBUS_OPEN_TEST_H
#define VMBUS_OPEN_TEST_H

#include "lib/bits.h"
#include "test/test.h"
#include "vmbus/testing/guest.h"

struct world {
	struct fake_guest *g;
	struct fake_device d;
	struct fake_guest_offer offer;
	struct fake_guest_channel ch;
};

static inline void start(struct test *t, struct world *w, uint32_t version)
{
	struct guid instance = fake_device_instance(1);

	*w = (struct world){.g = fake_guest_create(NULL)};
	EXPECT_EQ(t, fake_device_offer(w->g, &w->d, 1, 0), 0);
	EXPECT_EQ(t, fake_guest_connect(w->g, version), 1);
	EXPECT(t, fake_guest_request_offers(w->g));
	w->offer = *fake_guest_find(w->g, &instance, 0);
}

static inline void end(struct world *w)
{
	fake_guest_abandon(&w->ch);
	fake_guest_destroy(w->g);
}

static inline uint32_t open_result(struct world *w)
{
	struct fake_guest_message r;

	return fake_guest_take(w->g, CHANNELMSG_OPENCHANNEL_RESULT, &r) ? r.open_result.status
									: UINT32_MAX;
}

static inline void post_close(struct world *w)
{
	fake_guest_post_close(&w->ch);
}

#endif
