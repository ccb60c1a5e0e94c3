/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of LUNs that come and go: two slow disks, and what the guest is told. */
#ifndef STOR_LUN_TEST_H
#define STOR_LUN_TEST_H

#include "test/test.h"

#include <errno.h>

#include "lib/bits.h"
#include "rig.h"

#define DISK_BYTES (UINT64_C(1) << 20)
#define DELAY_NS UINT64_C(1000000)

static inline void settle(struct rig *r, unsigned lun)
{
	const struct rig_srb srb = rig_test_unit_ready(lun);

	for (unsigned i = 0; i < 4 && rig_execute(r, 0, &srb, NULL) != SRB_STATUS_SUCCESS; i++) {
	}
}

static inline struct rig *two_disks(void)
{
	struct rig *r = rig_create(NULL);

	rig_add_disk(r, 0, DISK_BYTES, DELAY_NS);
	rig_add_disk(r, 1, DISK_BYTES, DELAY_NS);
	rig_up(r);
	settle(r, 0);
	settle(r, 1);
	return r;
}

/* Takes all; how many ENUMERATE_BUS came, and how many answers. */
static inline unsigned notices(struct test *t, struct rig *r, unsigned *ret_answers)
{
	struct vstor_packet packet;
	uint64_t transaction;
	uint16_t type;
	size_t bytes;
	unsigned count = 0;

	*ret_answers = 0;
	while ((bytes = rig_receive(r, 0, &transaction, &type, &packet)) != 0) {
		if (type == VMBUS_PACKET_COMPLETION) {
			(*ret_answers)++;
			continue;
		}
		EXPECT_EQ(t, type, VMBUS_PACKET_DATA_INBAND);
		EXPECT_EQ(t, transaction, 0);
		EXPECT_EQ(t, packet.header.operation, VSTOR_OPERATION_ENUMERATE_BUS);
		EXPECT_EQ(t, bytes, r->s->version < VSTOR_VERSION_WIN8 ? 48 : 64);
		count++;
	}
	return count;
}

#endif
