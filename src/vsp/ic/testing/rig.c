// SPDX-License-Identifier: Apache-2.0
#include "rig.h"

#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"

#define RUNS_MAX 10000u
#define HEAD_BYTES (sizeof(struct vmbus_pipe_header) + sizeof(struct ic_header))

/* ---- The owner of the components ---- */

static uint64_t now_ns(void *ctx)
{
	return ((struct rig *)ctx)->now_ns;
}

static uint64_t utc_100ns(void *ctx)
{
	return ((struct rig *)ctx)->utc_100ns;
}

static uint64_t reference_100ns(void *ctx)
{
	return ((struct rig *)ctx)->reference_100ns;
}

static void changed(void *ctx, enum vsp_ic_kind kind)
{
	((struct rig *)ctx)->changes[kind]++;
}

struct rig *rig_create(const struct rig_config *config)
{
	static const struct rig_config none;
	struct rig *r = calloc(1, sizeof(*r));
	int err;

	CHECK(r != NULL);
	r->config = config != NULL ? *config : none;
	r->g = fake_guest_create(&r->config.guest);
	r->owner.g = r->g;
	r->now_ns = 5 * RIG_S;
	r->utc_100ns = RIG_UTC;
	r->reference_100ns = 1000;
	r->ic_config = (struct vsp_ic_config){
		.components = r->config.components != 0 ? r->config.components : VSP_IC_ALL,
		.now_ns = now_ns,
		.utc_100ns = utc_100ns,
		.reference_100ns = reference_100ns,
		.wake = fake_owner_wake,
		.log = fake_owner_log,
		.changed = changed,
		.ctx = r,
	};
	err = vsp_ic_create(r->g->bus, &r->ic_config, &r->ic);
	CHECK(err == 0);
	return r;
}

void rig_destroy(struct rig *r)
{
	vmbus_destroy(r->g->bus);
	r->g->bus = NULL;
	vsp_ic_destroy(r->ic);
	for (unsigned i = 0; i < VSP_IC_KINDS; i++) {
		if (r->channels[i].pfns != NULL) {
			fake_guest_abandon(&r->channels[i]);
		}
	}
	fake_guest_destroy(r->g);
	free(r);
}

/* ---- Time ---- */

void rig_run(struct rig *r)
{
	unsigned i = 0, quiet = 0;

	for (; i < RUNS_MAX && quiet < 3; i++) {
		unsigned wakes = r->owner.wakes;
		uint64_t next;

		fake_guest_run(r->g);
		next = vsp_ic_poll(r->ic);
		quiet = next <= r->now_ns || wakes != r->owner.wakes ? 0 : quiet + 1;
	}
	CHECK(quiet == 3);
}

void rig_pass(struct rig *r, uint64_t ns)
{
	r->now_ns += ns;
	r->utc_100ns += ns / 100;
	r->reference_100ns += ns / 100;
	rig_run(r);
}

/* ---- Saved state ---- */

size_t rig_save(struct rig *r, void *buf, size_t capacity)
{
	struct state_writer w;

	state_writer_init(&w, buf, capacity);
	vmbus_save(r->g->bus, &w);
	vsp_ic_save(r->ic, &w);
	return w.used;
}

void rig_replace(struct rig *r)
{
	int err;

	vmbus_destroy(r->g->bus);
	vsp_ic_destroy(r->ic);
	fake_guest_new_bus(r->g, &r->config.guest.bus);
	err = vsp_ic_create(r->g->bus, &r->ic_config, &r->ic);
	CHECK(err == 0);
}

bool rig_restore(struct rig *r, const void *buf, size_t bytes)
{
	struct state_reader reader;

	state_reader_init(&reader, buf, bytes);
	return vmbus_restore(r->g->bus, &reader) && vsp_ic_restore(r->ic, &reader);
}

/* ---- Channels ---- */

static const struct ic_component *component_of(enum vsp_ic_kind kind)
{
	static const struct ic_component *const all[VSP_IC_KINDS] = {
		&ic_shutdown_component, &ic_timesync_component, &ic_heartbeat_component,
		&ic_kvp_component,	&ic_vss_component,	&ic_fcopy_component,
	};

	return all[kind];
}

bool rig_connect(struct rig *r, uint32_t vmbus_version)
{
	return fake_guest_arrive(r->g, vmbus_version);
}

const struct fake_guest_offer *rig_offer(struct rig *r, enum vsp_ic_kind kind)
{
	return fake_guest_find(r->g, &component_of(kind)->instance, 0);
}

bool rig_open(struct rig *r, enum vsp_ic_kind kind)
{
	const struct fake_guest_offer *offer = rig_offer(r, kind);
	uint32_t pages = r->config.ring_pages != 0 ? r->config.ring_pages : RIG_RING_PAGES;

	if (offer == NULL ||
	    fake_guest_open(r->g, offer, pages, pages, 0, &r->channels[kind]) != 0) {
		return false;
	}
	r->open[kind] = true;
	rig_run(r);
	return true;
}

bool rig_close(struct rig *r, enum vsp_ic_kind kind)
{
	r->open[kind] = false;
	return fake_guest_close(&r->channels[kind]);
}

/* ---- Messages ---- */

bool rig_take(struct rig *r, enum vsp_ic_kind kind, struct rig_message *ret)
{
	uint64_t buf[IC_PACKET_BYTES / 8];
	struct vmbus_packet_descriptor d;
	const uint8_t *payload;
	size_t bytes;

	if (fake_guest_read(&r->channels[kind], buf, sizeof(buf)) == 0) {
		return false;
	}
	memcpy(&d, buf, sizeof(d));
	payload = fake_guest_payload(buf, &bytes);
	CHECK(d.type == VMBUS_PACKET_DATA_INBAND && bytes >= HEAD_BYTES &&
	      bytes <= HEAD_BYTES + sizeof(ret->body));
	memset(ret, 0, sizeof(*ret));
	ret->transaction = d.transaction;
	memcpy(&ret->pipe, payload, sizeof(ret->pipe));
	memcpy(&ret->header, payload + sizeof(ret->pipe), sizeof(ret->header));
	CHECK(ret->pipe.type == VMBUS_PIPE_DATA);
	CHECK(ret->pipe.bytes + sizeof(ret->pipe) <= bytes);
	ret->bytes = ret->pipe.bytes - sizeof(ret->header);
	CHECK(ret->header.bytes == ret->bytes);
	memcpy(ret->body, payload + HEAD_BYTES, ret->bytes);
	rig_run(r);
	return true;
}

bool rig_send(struct rig *r, enum vsp_ic_kind kind, const void *packet, size_t bytes)
{
	bool sent = fake_guest_send(&r->channels[kind], 0, packet, bytes);

	rig_run(r);
	return sent;
}

bool rig_answer(struct rig *r, enum vsp_ic_kind kind, const struct rig_message *m, uint32_t status)
{
	uint8_t packet[HEAD_BYTES + sizeof(m->body)];
	struct ic_header h = m->header;
	bool sent;

	h.status = status;
	h.flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;
	memcpy(packet, &m->pipe, sizeof(m->pipe));
	memcpy(packet + sizeof(m->pipe), &h, sizeof(h));
	memcpy(packet + HEAD_BYTES, m->body, m->bytes);
	sent = fake_guest_send(&r->channels[kind], m->transaction, packet, HEAD_BYTES + m->bytes);
	rig_run(r);
	return sent;
}

bool rig_negotiate(struct rig *r, enum vsp_ic_kind kind, struct ic_version framework,
		   struct ic_version message)
{
	const struct ic_version picked[2] = {framework, message};
	struct rig_message m;

	if (!rig_take(r, kind, &m) || m.header.type != IC_MESSAGE_NEGOTIATE) {
		return false;
	}
	m.header.bytes = 16;
	m.negotiate.framework_count = 1;
	m.negotiate.message_count = 1;
	memcpy(m.body + sizeof(m.negotiate), picked, sizeof(picked));
	return rig_answer(r, kind, &m, 0);
}

struct ic_version rig_newest(enum vsp_ic_kind kind)
{
	const struct ic_component *c = component_of(kind);

	return c->versions[c->version_count - 1];
}

bool rig_up(struct rig *r, enum vsp_ic_kind kind)
{
	const struct ic_version framework = {3, 0};

	if (vmbus_version(r->g->bus) == 0 && !rig_connect(r, VERSION_WIN10_V5_3)) {
		return false;
	}
	return rig_open(r, kind) && rig_negotiate(r, kind, framework, rig_newest(kind)) &&
	       rig_state(r, kind) == VSP_IC_READY;
}

enum vsp_ic_state rig_state(const struct rig *r, enum vsp_ic_kind kind)
{
	struct vsp_ic_status s;

	vsp_ic_get_status(r->ic, kind, &s);
	return s.state;
}

static void answer_done(void *ctx, enum vsp_ic_result result, uint32_t status)
{
	struct rig_answer *a = ctx;

	a->count++;
	a->result = result;
	a->status = status;
}

struct vsp_ic_done rig_done(struct rig_answer *a)
{
	const struct vsp_ic_done done = {.fn = answer_done, .ctx = a};

	*a = (struct rig_answer){0};
	return done;
}
