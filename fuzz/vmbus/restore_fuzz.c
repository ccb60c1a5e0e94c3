// SPDX-License-Identifier: Apache-2.0
/* Any bytes as a saved bus: restored or refused, and afterwards the bus lives on. What was restored can be saved and restored again. */
#include <stdlib.h>

#include "lib/bits.h"
#include "test/input.h"
#include "vmbus/testing/guest.h"

#define DEVICES 3u
#define STATE_MAX (1u << 20)

struct world {
	struct fake_guest *g;
	struct fake_device d[DEVICES];
};

static void require(bool ok)
{
	if (!ok) {
		abort();
	}
}

static void offer_all(struct world *w)
{
	memset(w->d, 0, sizeof(w->d));
	for (unsigned i = 0; i < DEVICES; i++) {
		require(fake_device_offer(w->g, &w->d[i], (uint8_t)(i + 1), 0) == 0);
	}
}

static void use_channels(struct world *w)
{
	static uint64_t buf[1024];
	const struct io_vec v = {buf, 700};
	struct vmbus_packet p;

	for (unsigned i = 0; i < DEVICES; i++) {
		for (unsigned index = 0; index < ARRAY_LEN(w->d[i].channels); index++) {
			struct vmbus_channel *ch = w->d[i].channels[index];

			if (ch != NULL) {
				vmbus_ring_read(ch, buf, sizeof(buf), &p);
				vmbus_ring_write(ch, VMBUS_PACKET_DATA_INBAND, false, 1, &v, 1);
				vmbus_ring_flush(ch);
				vmbus_gpadl_read(ch, 400, 4000, buf, 300);
			}
		}
	}
	for (uint32_t relid = 0; relid < 64; relid++) {
		vmbus_event(w->g->bus, 0x2000 + relid, 0);
	}
	vmbus_event(w->g->bus, VMBUS_EVENT_CONNECTION_ID, 0);
	w->g->now_ns += 10000000000;
	fake_guest_run(w->g);
}

/* Saves into @buf, and restores into another bus. */
static void again(struct world *w, uint8_t *buf)
{
	const struct vmbus_config config = {.monitor = true};
	struct state_writer sw;
	struct state_reader sr;

	state_writer_init(&sw, buf, STATE_MAX);
	vmbus_save(w->g->bus, &sw);
	require(state_writer_ok(&sw));
	vmbus_destroy(w->g->bus);
	fake_guest_new_bus(w->g, &config);
	offer_all(w);
	state_reader_init(&sr, buf, sw.used);
	require(vmbus_restore(w->g->bus, &sr));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const struct fake_guest_config config = {.pages = 128, .bus = {.monitor = true}};
	struct world w = {.g = fake_guest_create(&config)};
	uint8_t *buf = malloc(STATE_MAX);
	struct state_reader r;

	require(buf != NULL);
	offer_all(&w);
	state_reader_init(&r, data, bytes);
	if (vmbus_restore(w.g->bus, &r)) {
		again(&w, buf);
		use_channels(&w);
		again(&w, buf);
		use_channels(&w);
	} else {
		require(vmbus_quiet(w.g->bus) && vmbus_version(w.g->bus) == 0);
	}
	w.g->next_page = 64;
	fake_guest_forget_inbox(w.g);
	require(fake_guest_connect(w.g, VERSION_WIN10_V5_3) == 1);
	require(fake_guest_request_offers(w.g));
	require(w.g->offer_count == DEVICES);
	require(fake_guest_unload(w.g) && vmbus_quiet(w.g->bus));
	fake_guest_destroy(w.g);
	free(buf);
	return 0;
}
