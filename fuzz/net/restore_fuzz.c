// SPDX-License-Identifier: Apache-2.0
/* A saved state of the adapter, for channels that are open: refused, or taken and good enough to go on with. */
#include "lib/check.h"
#include "rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void go_on(struct rig *r)
{
	static const uint8_t frame[NET_HEAD_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	static uint8_t again[256u << 10];
	struct state_writer w;

	for (unsigned q = 0; q < 3; q++) {
		rig_offer(r, q, frame, sizeof(frame), NET_TAG_NONE, NULL);
	}
	vsp_net_link(r->n, false);
	for (uint64_t id = 1; id < 40; id++) {
		rig_complete(r, (unsigned)id % 3, id);
	}
	rig_run_host(r);
	state_writer_init(&w, again, sizeof(again));
	vsp_net_save(r->n, &w);
	CHECK(state_writer_ok(&w));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const struct rig_config config = {.queues = 3, .guest = {.pages = 300}};
	struct rig *r = rig_create(&config);
	struct state_reader reader;
	struct state_writer w;
	uint8_t bus[32u << 10];
	bool ok;

	rig_up(r, NVSP_PROTOCOL_VERSION_61);
	rig_create_subchannels(r, 2);
	state_writer_init(&w, bus, sizeof(bus));
	vmbus_save(r->g->bus, &w);
	CHECK(state_writer_ok(&w));
	rig_replace(r);
	state_reader_init(&reader, bus, w.used);
	ok = vmbus_restore(r->g->bus, &reader);
	CHECK(ok);
	state_reader_init(&reader, data, bytes);
	if (vsp_net_restore(r->n, &reader)) {
		go_on(r);
	}
	rig_destroy(r);
	return 0;
}
