// SPDX-License-Identifier: Apache-2.0
/* The fake guest's memory, its end of the transport, and the messages it sends. */
#include "vmbus/testing/guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "test/guest_ram.h"

#define DEFAULT_PAGES 4096u

/* ---- Memory ---- */

static void make_memory(struct fake_guest *g, uint32_t pages)
{
	g->pages = pages;
	g->next_page = 1; /* page 0 means "none" in many messages */
	g->memory = test_pages_alloc(pages);
	CHECK(g->memory != NULL);
	int err = test_space_init(&g->gm, 40);

	CHECK(err == 0);
	err = test_ram_map(&g->gm, g->memory, 0, pages);
	CHECK(err == 0);
}

void fake_guest_alloc(struct fake_guest *g, uint32_t count, uint64_t *pfns)
{
	CHECK(count < g->pages - g->next_page);
	for (uint32_t i = 0; i < count; i++) {
		/* Scattered: two neighbours change places with the next two. */
		uint32_t at = g->scattered && (i | 3) < count ? i ^ 2 : i;

		pfns[i] = g->next_page + at;
	}
	g->next_page += count;
}

void *fake_guest_page(struct fake_guest *g, uint64_t pfn)
{
	CHECK(pfn < g->pages);
	return g->memory + pfn * GMEM_PAGE_BYTES;
}

/* ---- Transport ---- */

/* Room for one more of @bytes each. */
static void *grow(void *array, unsigned count, unsigned *capacity, size_t bytes)
{
	if (count == *capacity) {
		*capacity = *capacity != 0 ? *capacity * 2 : 16;
		array = realloc(array, *capacity * bytes);
		CHECK(array != NULL);
	}
	return array;
}

static void note_offer(struct fake_guest *g, const struct fake_guest_message *m)
{
	if (m->header.type == CHANNELMSG_OFFERCHANNEL) {
		g->offers = grow(g->offers, g->offer_count, &g->offer_capacity, sizeof(*g->offers));
		g->offers[g->offer_count++] = (struct fake_guest_offer){.message = m->offer};
	}
	for (unsigned i = 0; i < g->offer_count; i++) {
		if (m->header.type == CHANNELMSG_RESCIND_CHANNELOFFER &&
		    g->offers[i].message.relid == m->relid.relid) {
			g->offers[i].rescinded = true;
		}
	}
}

static bool post(void *ctx, uint32_t vp, uint32_t sint, const void *message, size_t bytes)
{
	struct fake_guest *g = ctx;
	struct fake_guest_message *m;

	CHECK(bytes >= sizeof(struct vmbus_message_header) && bytes <= VMBUS_MESSAGE_MAX_BYTES);
	CHECK(vp < FAKE_GUEST_VPS && sint > 0 && sint < 16);
	if (g->deaf || g->inbox_count == FAKE_GUEST_INBOX) {
		return false;
	}
	g->inbox = grow(g->inbox, g->inbox_count, &g->inbox_capacity, sizeof(*g->inbox));
	m = &g->inbox[g->inbox_count++];
	*m = (struct fake_guest_message){.vp = vp, .sint = sint, .bytes = bytes};
	memcpy(m->raw, message, bytes);
	note_offer(g, m);
	return true;
}

static void signal_guest(void *ctx, uint32_t vp, uint32_t sint, uint16_t flag)
{
	struct fake_guest *g = ctx;

	CHECK(vp < FAKE_GUEST_VPS && sint > 0 && sint < 16 && flag < VMBUS_RELIDS);
	__atomic_fetch_add(&g->events[vp][flag], 1, __ATOMIC_SEQ_CST);
}

static int event_open(void *ctx, uint32_t connection, uint16_t flags)
{
	struct fake_guest *g = ctx;

	CHECK(connection < ARRAY_LEN(g->connections) && !g->connections[connection] && flags == 1);
	if (g->event_open_fails != 0 && --g->event_open_fails == 0) {
		return 0x0b; /* HV_STATUS_INSUFFICIENT_MEMORY */
	}
	g->connections[connection] = true;
	return 0;
}

static void event_close(void *ctx, uint32_t connection)
{
	struct fake_guest *g = ctx;

	CHECK(g->connections[connection]);
	g->connections[connection] = false;
}

static void wake(void *ctx)
{
	__atomic_store_n(&((struct fake_guest *)ctx)->woken, true, __ATOMIC_SEQ_CST);
}

static void log_line(void *ctx, const char *line)
{
	struct fake_guest *g = ctx;

	__atomic_fetch_add(&g->log_lines, 1, __ATOMIC_SEQ_CST);
	if (g->log_show) {
		printf("# %s\n", line);
	}
}

static uint64_t now_ns(void *ctx)
{
	return __atomic_load_n(&((struct fake_guest *)ctx)->now_ns, __ATOMIC_SEQ_CST);
}

/* ---- Life ---- */

struct vmbus *fake_guest_new_bus(struct fake_guest *g, const struct vmbus_config *config)
{
	const struct vmbus_transport transport = {
		.ctx = g,
		.gm = &g->gm,
		.processors = FAKE_GUEST_VPS,
		.post = post,
		.signal = signal_guest,
		.event_open = event_open,
		.event_close = event_close,
		.wake = wake,
		.log = log_line,
		.now_ns = now_ns,
	};
	int err = vmbus_create(&transport, config, &g->bus);

	CHECK(err == 0);
	return g->bus;
}

struct fake_guest *fake_guest_create(const struct fake_guest_config *config)
{
	const struct fake_guest_config none = {0};
	struct fake_guest *g = calloc(1, sizeof(*g));

	CHECK(g != NULL);
	config = config != NULL ? config : &none;
	g->scattered = config->scattered;
	g->next_gpadl = 0xe1e10;
	g->message_connection = VMBUS_MESSAGE_CONNECTION_ID;
	g->now_ns = UINT64_C(1000000000000);
	g->log_show = getenv("FAKE_GUEST_LOG") != NULL;
	make_memory(g, config->pages != 0 ? config->pages : DEFAULT_PAGES);
	fake_guest_new_bus(g, &config->bus);
	return g;
}

void fake_guest_destroy(struct fake_guest *g)
{
	if (g->bus != NULL) {
		vmbus_destroy(g->bus);
		for (size_t i = 0; i < ARRAY_LEN(g->connections); i++) {
			CHECK(!g->connections[i]);
		}
	}
	gmem_fini(&g->gm);
	free(g->memory);
	free(g->inbox);
	free(g->offers);
	free(g);
}

void fake_guest_run(struct fake_guest *g)
{
	do {
		__atomic_store_n(&g->woken, false, __ATOMIC_SEQ_CST);
		g->poll_at_ns = vmbus_poll(g->bus);
	} while (__atomic_load_n(&g->woken, __ATOMIC_SEQ_CST));
}

/* ---- Messages ---- */

void fake_guest_post(struct fake_guest *g, const void *message, size_t bytes)
{
	vmbus_message(g->bus, g->message_connection, message, bytes);
	fake_guest_run(g);
}

bool fake_guest_take(struct fake_guest *g, uint32_t type, struct fake_guest_message *ret)
{
	for (unsigned i = 0; i < g->inbox_count; i++) {
		if (g->inbox[i].header.type == type) {
			if (ret != NULL) {
				*ret = g->inbox[i];
			}
			g->inbox_count--;
			memmove(&g->inbox[i], &g->inbox[i + 1],
				(g->inbox_count - i) * sizeof(g->inbox[0]));
			return true;
		}
	}
	return false;
}

void fake_guest_forget_inbox(struct fake_guest *g)
{
	g->inbox_count = 0;
}

int fake_guest_connect(struct fake_guest *g, uint32_t version)
{
	struct vmbus_initiate_contact m = {.header.type = CHANNELMSG_INITIATE_CONTACT,
					   .version = version};
	struct fake_guest_message r;
	uint64_t pfns[3];

	if (g->interrupt_page_gpa == 0) {
		fake_guest_alloc(g, 3, pfns);
		g->interrupt_page_gpa = pfns[0] << GMEM_PAGE_SHIFT;
		g->monitor_gpa[0] = pfns[1] << GMEM_PAGE_SHIFT;
		g->monitor_gpa[1] = pfns[2] << GMEM_PAGE_SHIFT;
	}
	memcpy(m.monitor_page_gpa, g->monitor_gpa, sizeof(m.monitor_page_gpa));
	if (version >= VERSION_WIN10_V5) {
		m.msg_sint = VMBUS_SINT;
		g->message_connection = VMBUS_MESSAGE_CONNECTION_ID_4;
	} else {
		m.interrupt_page_gpa = g->interrupt_page_gpa;
		g->message_connection = VMBUS_MESSAGE_CONNECTION_ID;
	}
	g->offer_count = 0;
	fake_guest_post(g, &m, sizeof(m));
	if (!fake_guest_take(g, CHANNELMSG_VERSION_RESPONSE, &r)) {
		return -1;
	}
	if (r.version.supported && r.version.state == VMBUS_CONNECTION_OK) {
		g->version = version;
		if (version >= VERSION_WIN10_V5) {
			g->message_connection = r.version.version_or_connection;
		}
	}
	return r.version.supported;
}

bool fake_guest_request_offers(struct fake_guest *g)
{
	const struct vmbus_message_header m = {.type = CHANNELMSG_REQUESTOFFERS};

	fake_guest_post(g, &m, sizeof(m));
	while (fake_guest_take(g, CHANNELMSG_OFFERCHANNEL, NULL)) {
	}
	return fake_guest_take(g, CHANNELMSG_ALLOFFERS_DELIVERED, NULL);
}

bool fake_guest_arrive(struct fake_guest *g, uint32_t version)
{
	return fake_guest_connect(g, version) == 1 && fake_guest_request_offers(g);
}

struct fake_guest_offer *fake_guest_find(struct fake_guest *g, const struct guid *instance,
					 uint32_t index)
{
	for (unsigned i = 0; i < g->offer_count; i++) {
		struct fake_guest_offer *o = &g->offers[i];

		if (guid_equal(&o->message.instance, instance) &&
		    o->message.subchannel_index == index && !o->rescinded) {
			return o;
		}
	}
	return NULL;
}

void fake_guest_release(struct fake_guest *g, uint32_t relid)
{
	const struct vmbus_relid_message m = {.header.type = CHANNELMSG_RELID_RELEASED,
					      .relid = relid};

	for (unsigned i = 0; i < g->offer_count; i++) {
		if (g->offers[i].message.relid == relid) {
			g->offers[i] = g->offers[--g->offer_count];
			break;
		}
	}
	fake_guest_post(g, &m, sizeof(m));
}

bool fake_guest_unload(struct fake_guest *g)
{
	const struct vmbus_message_header m = {.type = CHANNELMSG_UNLOAD};

	g->offer_count = 0;
	fake_guest_post(g, &m, sizeof(m));
	return fake_guest_take(g, CHANNELMSG_UNLOAD_RESPONSE, NULL);
}

/* ---- GPADLs ---- */

#define HEADER_PFNS ((VMBUS_MESSAGE_MAX_BYTES - 28) / 8)
#define BODY_PFNS ((VMBUS_MESSAGE_MAX_BYTES - 16) / 8)

static void post_bodies(struct fake_guest *g, uint32_t id, const uint64_t *pfns, uint32_t left)
{
	uint8_t buf[VMBUS_MESSAGE_MAX_BYTES];

	while (left != 0) {
		uint32_t n = left < BODY_PFNS ? left : BODY_PFNS;
		const struct vmbus_gpadl_body body = {.header.type = CHANNELMSG_GPADL_BODY,
						      .gpadl = id};

		memcpy(buf, &body, sizeof(body));
		memcpy(buf + sizeof(body), pfns, n * 8);
		fake_guest_post(g, buf, sizeof(body) + n * 8);
		pfns += n;
		left -= n;
	}
}

uint32_t fake_guest_gpadl(struct fake_guest *g, uint32_t relid, uint32_t id, uint32_t bytes,
			  uint32_t offset, const uint64_t *pfns)
{
	uint32_t pages = (offset + bytes + GMEM_PAGE_BYTES - 1) / GMEM_PAGE_BYTES;
	uint32_t n = pages < HEADER_PFNS ? pages : HEADER_PFNS;
	const struct vmbus_gpadl_header h = {.header.type = CHANNELMSG_GPADL_HEADER,
					     .relid = relid,
					     .gpadl = id,
					     .range_bytes = (uint16_t)(8 + pages * 8),
					     .range_count = 1};
	const struct vmbus_gpa_range range = {bytes, offset};
	struct fake_guest_message r;
	uint8_t buf[VMBUS_MESSAGE_MAX_BYTES];

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), &range, sizeof(range));
	memcpy(buf + sizeof(h) + sizeof(range), pfns, n * 8);
	fake_guest_post(g, buf, sizeof(h) + sizeof(range) + n * 8);
	post_bodies(g, id, pfns + n, pages - n);
	if (!fake_guest_take(g, CHANNELMSG_GPADL_CREATED, &r)) {
		return UINT32_MAX;
	}
	CHECK(r.created.relid == relid && r.created.gpadl == id);
	return r.created.status;
}

bool fake_guest_teardown(struct fake_guest *g, uint32_t relid, uint32_t id)
{
	const struct vmbus_gpadl_teardown m = {
		.header.type = CHANNELMSG_GPADL_TEARDOWN, .relid = relid, .gpadl = id};
	struct fake_guest_message r;

	fake_guest_post(g, &m, sizeof(m));
	return fake_guest_take(g, CHANNELMSG_GPADL_TORNDOWN, &r) && r.torndown.gpadl == id;
}
