// SPDX-License-Identifier: Apache-2.0
/* The owner of the adapter, its port, and channels. */
#include "rig.h"

#include <stdlib.h>
#include <string.h>

#include "lib/check.h"

/* ---- The owner ---- */

static void wake(void *ctx, unsigned queue)
{
	struct rig *r = ctx;

	CHECK(r->owner.locks == 0 && queue < r->net_config.queues_max);
	r->owner.wakes++;
	r->woken[queue]++;
}

/* ---- The port ---- */

static struct rig_frame copy_frame(unsigned queue, const struct net_frame *f)
{
	struct rig_frame copy = {.queue = queue,
				 .bytes = f->bytes,
				 .tag = f->tag,
				 .offload = f->offload,
				 .data = malloc(f->bytes)};

	CHECK(copy.data != NULL);
	net_frame_copy(f, 0, copy.data, f->bytes);
	return copy;
}

static bool port_send(void *ctx, unsigned queue, const struct net_frame *f)
{
	struct rig *r = ctx;

	CHECK(net_frame_check(f) == NULL);
	if (r->room == 0) {
		return false;
	}
	r->room--;
	if (r->sent_count == RIG_FRAMES) {
		free(r->sent[0].data);
		memmove(r->sent, r->sent + 1, sizeof(r->sent) - sizeof(r->sent[0]));
		r->sent_count--;
	}
	r->sent[r->sent_count++] = copy_frame(queue, f);
	return true;
}

/* The frame in three parts, as it may come out of a cable. */
static bool port_receive(void *ctx, unsigned queue, struct net_frame *ret)
{
	struct rig *r = ctx;
	const struct rig_frame *f = &r->waiting[queue][r->waiting_first[queue]];
	struct io_vec *rest = r->rest[queue];
	uint32_t head, left;

	if (r->waiting_count[queue] == 0) {
		return false;
	}
	head = (uint32_t)min_u64(f->bytes, NET_HEAD_BYTES);
	left = f->bytes - head;
	rest[0] = (struct io_vec){f->data + head, left / 2};
	rest[1] = (struct io_vec){f->data + head + left / 2, 0};
	rest[2] = (struct io_vec){f->data + head + left / 2, left - left / 2};
	*ret = (struct net_frame){.head = f->data,
				  .head_bytes = head,
				  .bytes = f->bytes,
				  .rest = rest,
				  .rest_count = left != 0 ? 3 : 0,
				  .tag = f->tag,
				  .offload = f->offload};
	return true;
}

static void port_received(void *ctx, unsigned queue)
{
	struct rig *r = ctx;

	CHECK(r->waiting_count[queue] != 0);
	free(r->waiting[queue][r->waiting_first[queue]].data);
	r->waiting_first[queue] = (r->waiting_first[queue] + 1) % RIG_FRAMES;
	r->waiting_count[queue]--;
	r->received++;
}

static void port_flush(void *ctx, unsigned queue)
{
	struct rig *r = ctx;

	r->flushes++;
	if (r->open[queue]) {
		r->flushed_at = r->channels[queue].in.control->write_index;
	}
}

static void port_set_rss(void *ctx, const struct net_rss *rss, unsigned queues)
{
	struct rig *r = ctx;

	r->rss = *rss;
	r->rss_queues = queues;
}

static bool port_set_mac(void *ctx, const uint8_t *mac)
{
	struct rig *r = ctx;

	if (!r->mac_refused) {
		memcpy(r->mac, mac, NET_MAC_BYTES);
	}
	return !r->mac_refused;
}

static const struct vsp_net_port_ops port_ops = {
	.send = port_send,
	.receive = port_receive,
	.received = port_received,
	.flush = port_flush,
	.set_rss = port_set_rss,
	.set_mac = port_set_mac,
};

void rig_offer(struct rig *r, unsigned queue, const void *data, uint32_t bytes, uint32_t tag,
	       const struct net_offload *offload)
{
	unsigned at = (r->waiting_first[queue] + r->waiting_count[queue]) % RIG_FRAMES;
	struct rig_frame *f = &r->waiting[queue][at];

	CHECK(r->waiting_count[queue]++ < RIG_FRAMES);
	*f = (struct rig_frame){.queue = queue, .bytes = bytes, .tag = tag, .data = malloc(bytes)};
	CHECK(f->data != NULL);
	memcpy(f->data, data, bytes);
	if (offload != NULL) {
		f->offload = *offload;
	}
}

/* ---- Life ---- */

struct rig *rig_create(const struct rig_config *config)
{
	struct rig *r = calloc(1, sizeof(*r));
	int err;

	CHECK(r != NULL);
	if (config != NULL) {
		r->config = *config;
	}
	r->instance = (struct guid)GUID(0x99887766, 0x5544, 0x3322, 1, 2, 3, 4, 5, 6, 7, 8);
	r->g = fake_guest_create(&r->config.guest);
	r->owner.g = r->g;
	r->room = UINT32_MAX;
	r->transaction = 0x1000;
	r->net_config = (struct vsp_net_config){
		.instance = r->instance,
		.mtu = r->config.mtu,
		.mtu_max = r->config.mtu_max,
		.queues_max = r->config.queues != 0 ? r->config.queues : 1,
		.takes = r->config.takes_nothing ? 0 : NET_TAKES_ALL,
		.name = "net0",
		.port = &port_ops,
		.port_ctx = r,
		.lock = r,
		.lock_ops = {fake_owner_lock, fake_owner_unlock},
		.wake = wake,
		.log = fake_owner_log,
		.ctx = r,
	};
	memcpy(r->net_config.mac, RIG_MAC, NET_MAC_BYTES);
	err = vsp_net_create(r->g->bus, &r->net_config, &r->n);
	CHECK(err == 0);
	r->receive_pages =
		r->config.receive_pages != 0 ? r->config.receive_pages : RIG_RECEIVE_PAGES;
	CHECK(r->receive_pages <= ARRAY_LEN(r->receive_pfns));
	fake_guest_alloc(r->g, RIG_DATA_PAGES, r->data_pfns);
	fake_guest_alloc(r->g, r->receive_pages, r->receive_pfns);
	fake_guest_alloc(r->g, RIG_SEND_PAGES, r->send_pfns);
	return r;
}

void rig_forget(struct rig *r)
{
	for (unsigned i = 0; i < r->message_count; i++) {
		free(r->messages[i].data);
	}
	for (unsigned i = 0; i < r->sent_count; i++) {
		free(r->sent[i].data);
	}
	r->message_count = 0;
	r->completion_count = 0;
	r->sent_count = 0;
}

void rig_destroy(struct rig *r)
{
	vmbus_destroy(r->g->bus);
	r->g->bus = NULL;
	vsp_net_destroy(r->n);
	for (unsigned i = 0; i < RIG_QUEUES; i++) {
		if (r->channels[i].pfns != NULL) {
			fake_guest_abandon(&r->channels[i]);
		}
		while (r->waiting_count[i] != 0) {
			port_received(r, i);
		}
	}
	fake_guest_destroy(r->g);
	rig_forget(r);
	free(r);
}

/* At rest when several turns brought nothing. */
void rig_run_host(struct rig *r)
{
	unsigned quiet = 0;

	for (unsigned i = 0; i < 100000 && quiet < 3; i++) {
		unsigned wakes = r->owner.wakes;
		bool busy = false;

		fake_guest_run(r->g);
		for (unsigned q = 0; q < r->net_config.queues_max; q++) {
			busy |= vsp_net_poll(r->n, q);
		}
		quiet = busy || wakes != r->owner.wakes ? 0 : quiet + 1;
	}
	CHECK(quiet == 3);
}

void rig_run(struct rig *r)
{
	unsigned before;

	do {
		before = r->message_count + r->completion_count + r->tables;
		rig_run_host(r);
		for (unsigned i = 0; i < RIG_QUEUES; i++) {
			if (r->open[i]) {
				rig_take(r, i);
			}
		}
		rig_run_host(r);
	} while (before != r->message_count + r->completion_count + r->tables);
}

/* ---- Saved state ---- */

size_t rig_save(struct rig *r, void *buf, size_t capacity)
{
	struct state_writer w;

	state_writer_init(&w, buf, capacity);
	vmbus_save(r->g->bus, &w);
	vsp_net_save(r->n, &w);
	return w.used;
}

void rig_replace(struct rig *r)
{
	int err;

	vmbus_destroy(r->g->bus);
	vsp_net_destroy(r->n);
	fake_guest_new_bus(r->g, &r->config.guest.bus);
	err = vsp_net_create(r->g->bus, &r->net_config, &r->n);
	CHECK(err == 0);
}

bool rig_restore(struct rig *r, const void *buf, size_t bytes)
{
	struct state_reader reader;

	state_reader_init(&reader, buf, bytes);
	return vmbus_restore(r->g->bus, &reader) && vsp_net_restore(r->n, &reader);
}

/* ---- Channels ---- */

bool rig_open(struct rig *r, unsigned index)
{
	uint32_t pages = r->config.ring_pages != 0 ? r->config.ring_pages : RIG_RING_PAGES;

	if (!fake_guest_open_index(r->g, &r->instance, index, pages, &r->channels[index])) {
		return false;
	}
	r->open[index] = true;
	rig_run_host(r);
	return true;
}

/* The bus answers the teardown when our side let go. */
bool rig_close(struct rig *r, unsigned index)
{
	r->open[index] = false;
	fake_guest_begin_close(&r->channels[index]);
	rig_run_host(r);
	return fake_guest_end_close(&r->channels[index]);
}

bool rig_connect(struct rig *r, uint32_t vmbus_version)
{
	return fake_guest_arrive(r->g, vmbus_version) && rig_open(r, 0);
}
