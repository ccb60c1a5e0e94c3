// SPDX-License-Identifier: Apache-2.0
/* A saved state of a disk controller in the middle of its work: refused, or taken and good enough to go on with. */
#include "edited.h"
#include "lib/check.h"
#include "rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void be_busy(struct rig *r)
{
	struct rig_srb srb = rig_inquiry(0);

	rig_add_disk(r, 0, 1u << 20, 0);
	rig_add_dvd(r, 3);
	rig_up(r);
	rig_create_subchannels(r, 2);
	/* More answers than a ring holds, which the guest does not look at. */
	for (uint64_t i = 0; i < 40; i++) {
		rig_send(r, (unsigned)(i % 3), i, &srb);
	}
	rig_run(r);
	stor_hold(r->s, true);
	rig_send(r, 0, 41, &srb);
	rig_run(r);
}

static void go_on(struct rig *r)
{
	static uint8_t again[512u << 10];
	struct rig_srb srb = rig_test_unit_ready(0);
	struct state_writer w;

	for (uint64_t i = 0; i < 10; i++) {
		rig_send(r, (unsigned)(i % 3), i, &srb);
	}
	rig_run(r);
	CHECK(stor_idle(r->s));
	state_writer_init(&w, again, sizeof(again));
	stor_save(r->s, &w);
	CHECK(state_writer_ok(&w));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static uint8_t bus[256u << 10], image[512u << 10];
	const struct rig_config config = {.subchannels = 2, .ring_pages = 2};
	struct rig *r = rig_create(&config);
	struct state_reader reader;
	struct state_writer w, own;
	size_t used;
	bool ok;

	be_busy(r);
	state_writer_init(&w, bus, sizeof(bus));
	vmbus_save(r->g->bus, &w);
	state_writer_init(&own, image, sizeof(image));
	stor_save(r->s, &own);
	CHECK(state_writer_ok(&w) && state_writer_ok(&own));
	const uint8_t *state = edited(data, bytes, image, own.used, &used);

	rig_replace(r);
	state_reader_init(&reader, bus, w.used);
	ok = vmbus_restore(r->g->bus, &reader);
	CHECK(ok);
	state_reader_init(&reader, state, used);
	if (stor_restore(r->s, &reader)) {
		go_on(r);
	}
	rig_destroy(r);
	return 0;
}
