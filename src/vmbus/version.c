// SPDX-License-Identifier: Apache-2.0
/*
 * Negotiation. The guest asks for one version after the other, newest first, and takes the first that we support. Asking while connected is
 * an implicit disconnect (a crash kernel, or the system after its boot loader): everything closes first, then it is answered.
 */
#include "bus.h"

#include "lib/bits.h"

static const uint32_t versions[] = {
	VERSION_WS2008,	    VERSION_WIN7,	VERSION_WIN8,	  VERSION_WIN8_1,
	VERSION_WIN10,	    VERSION_WIN10_V4_1, VERSION_WIN10_V5, VERSION_WIN10_V5_1,
	VERSION_WIN10_V5_2, VERSION_WIN10_V5_3,
};

bool version_known(const struct vmbus *bus, uint32_t version)
{
	if (bus->config.version_max != 0 && version > bus->config.version_max) {
		return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		if (versions[i] == version) {
			return true;
		}
	}
	return false;
}

/* Where answers go: before WIN8.1 to VP 0, before WIN10 V5 to SINT 2. */
static void take_target(struct vmbus *bus, const struct vmbus_initiate_contact *m)
{
	bool own_vp = m->version >= VERSION_WIN8_1 && m->target_vp < bus->transport.processors;
	bool own_sint = m->version >= VERSION_WIN10_V5 && m->msg_sint > 0 && m->msg_sint < 16;

	bus->message_vp = own_vp ? m->target_vp : 0;
	bus->message_sint = own_sint ? m->msg_sint : VMBUS_SINT;
}

/* Why the contact is refused, or NULL. */
static const char *refusal(const struct vmbus *bus, const struct vmbus_initiate_contact *m)
{
	if (!version_known(bus, m->version)) {
		return "version not supported";
	}
	if (m->version >= VERSION_WIN8_1 && m->target_vp >= bus->transport.processors) {
		return "no such VP";
	}
	if (m->version >= VERSION_WIN10_V5 && m->msg_sint != VMBUS_SINT) {
		return "not SINT 2";
	}
	if (m->version >= VERSION_WIN10_V5_1 && m->msg_vtl != 0) {
		return "not VTL 0";
	}
	return NULL;
}

static void respond(struct vmbus *bus, bool supported, uint8_t state, uint32_t value)
{
	const struct vmbus_version_response r = {
		.header.type = CHANNELMSG_VERSION_RESPONSE,
		.supported = supported,
		.state = state,
		.version_or_connection = value,
	};

	queue_send(bus, &r, sizeof(r));
}

/* Guests before WIN8 have one page of bits for all channels. */
static bool take_interrupt_page(struct vmbus *bus, uint32_t version, uint64_t gpa)
{
	uint8_t *page;

	if (version >= VERSION_WIN8) {
		return true;
	}
	if (gpa % VMBUS_PAGE_BYTES != 0) {
		return false;
	}
	page = gmem_ptr(bus->transport.gm, gpa, VMBUS_PAGE_BYTES, GMEM_R | GMEM_W);
	if (page == NULL) {
		return false;
	}
	__atomic_store_n(&bus->interrupt_page_gpa, gpa, __ATOMIC_RELAXED);
	__atomic_store_n(&bus->interrupt_page, page, __ATOMIC_RELEASE);
	return true;
}

static bool open_shared_event(struct vmbus *bus, uint32_t version)
{
	struct vmbus_transport *t = &bus->transport;

	if (version >= VERSION_WIN7 || bus->shared_event_open) {
		return true;
	}
	bus->shared_event_open = t->event_open(t->ctx, VMBUS_EVENT_CONNECTION_ID, 1) == 0;
	return bus->shared_event_open;
}

bool version_attach(struct vmbus *bus, uint32_t version, uint64_t interrupt_page_gpa,
		    const uint64_t monitor_gpa[2])
{
	if (take_interrupt_page(bus, version, interrupt_page_gpa) &&
	    open_shared_event(bus, version) && monitor_connect(bus, monitor_gpa)) {
		bus->version = version;
		bus->state = CONNECTION_UP;
		return true;
	}
	__atomic_store_n(&bus->interrupt_page, NULL, __ATOMIC_RELEASE);
	return false;
}

static void connect(struct vmbus *bus, const struct vmbus_initiate_contact *m, uint32_t connection)
{
	bool five = m->version >= VERSION_WIN10_V5;

	if (!version_attach(bus, m->version, m->interrupt_page_gpa, m->monitor_page_gpa)) {
		bus_log(bus,
			"INITIATE_CONTACT version 0x%x: interrupt page 0x%llx, monitor pages "
			"0x%llx and 0x%llx are not usable memory",
			m->version, five ? 0 : (unsigned long long)m->interrupt_page_gpa,
			(unsigned long long)m->monitor_page_gpa[0],
			(unsigned long long)m->monitor_page_gpa[1]);
		respond(bus, true, VMBUS_CONNECTION_UNKNOWN_FAILURE,
			five ? connection : m->version);
		return;
	}
	bus->offers_sent = false;
	respond(bus, true, VMBUS_CONNECTION_OK, five ? connection : m->version);
}

void version_initiate_contact(struct vmbus *bus, const struct vmbus_initiate_contact *m,
			      uint32_t connection)
{
	const char *why;

	if (bus->state != CONNECTION_NONE || !vmbus_quiet(bus)) {
		bus->contact = *m;
		bus->contact_connection = connection;
		bus->contact_due = true;
		bus->unload_due = false;
		unload_begin(bus, false);
		return;
	}
	queue_clear(bus); /* answers to a kernel that is gone, perhaps for a VP that takes none */
	take_target(bus, m);
	why = refusal(bus, m);
	if (why != NULL) {
		/* Not a line worth logging: every guest newer than we are does it. */
		respond(bus, false, VMBUS_CONNECTION_OK, 0);
		return;
	}
	connect(bus, m, connection);
}
