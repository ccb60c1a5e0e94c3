// SPDX-License-Identifier: Apache-2.0
/*
 * What the guest posts: one table says how long each message is and who takes it. Requests that have an answer always get one, so that no
 * guest waits for ever; the others are dropped with a line in the log when they make no sense.
 */
#include <string.h>

#include "bus.h"
#include "lib/bits.h"

union message {
	struct vmbus_message_header header;
	struct vmbus_relid_message relid;
	struct vmbus_initiate_contact contact;
	struct vmbus_open_channel open;
	struct vmbus_open_reserved open_reserved;
	struct vmbus_close_reserved close_reserved;
	struct vmbus_gpadl_header gpadl_header;
	struct vmbus_gpadl_body gpadl_body;
	struct vmbus_gpadl_teardown teardown;
	struct vmbus_tl_connect_request tl_connect;
	struct vmbus_modify_channel modify;
	uint8_t bytes[VMBUS_MESSAGE_MAX_BYTES];
	uint64_t align;
};

static void on_request_offers(struct vmbus *bus, const union message *m, size_t bytes)
{
	offer_request_message(bus);
}

static void on_open(struct vmbus *bus, const union message *m, size_t bytes)
{
	open_message(bus, &m->open);
}

static void on_gpadl_header(struct vmbus *bus, const union message *m, size_t bytes)
{
	gpadl_header_message(bus, &m->gpadl_header, bytes);
}

static void on_gpadl_body(struct vmbus *bus, const union message *m, size_t bytes)
{
	gpadl_body_message(bus, &m->gpadl_body, bytes);
}

static void on_gpadl_teardown(struct vmbus *bus, const union message *m, size_t bytes)
{
	gpadl_teardown_message(bus, &m->teardown);
}

static void on_modify(struct vmbus *bus, const union message *m, size_t bytes)
{
	open_modify_message(bus, &m->modify);
}

static void on_tl_connect(struct vmbus *bus, const union message *m, size_t bytes)
{
	offer_tl_connect_message(bus, &m->tl_connect);
}

/* The channel that a message without an answer is about. */
static struct vmbus_channel *named_channel(struct vmbus *bus, const union message *m)
{
	struct vmbus_channel *ch = bus_channel(bus, m->relid.relid);

	if (ch == NULL || !ch->offered) {
		bus_log(bus, "message type %u for relid %u, which was not offered: ignored",
			m->header.type, m->relid.relid);
		return NULL;
	}
	return ch;
}

static void on_close(struct vmbus *bus, const union message *m, size_t bytes)
{
	struct vmbus_channel *ch = named_channel(bus, m);

	if (ch != NULL) {
		close_message(ch);
	}
}

static void on_relid_released(struct vmbus *bus, const union message *m, size_t bytes)
{
	struct vmbus_channel *ch = named_channel(bus, m);

	if (ch != NULL) {
		offer_relid_released_message(ch);
	}
}

static void on_open_reserved(struct vmbus *bus, const union message *m, size_t bytes)
{
	struct vmbus_channel *ch = named_channel(bus, m);

	if (ch != NULL) {
		open_reserved_message(ch, &m->open_reserved);
	}
}

/* Also after UNLOAD: the channel outlives the connection. */
static void on_close_reserved(struct vmbus *bus, const union message *m, size_t bytes)
{
	struct vmbus_channel *ch = bus_channel(bus, m->close_reserved.relid);

	if (ch != NULL) {
		close_reserved_message(ch, &m->close_reserved);
	} else {
		bus_log(bus, "CLOSE_RESERVED_CHANNEL of relid %u, which does not exist: ignored",
			m->close_reserved.relid);
	}
}

static void on_unload(struct vmbus *bus, const union message *m, size_t bytes)
{
	unload_message(bus);
}

struct handler {
	uint32_t version; /* since; 0: needs no connection */
	size_t bytes_min;
	void (*fn)(struct vmbus *bus, const union message *m, size_t bytes);
};

static const struct handler handlers[CHANNELMSG_COUNT] = {
	[CHANNELMSG_REQUESTOFFERS] = {VERSION_WS2008, 8, on_request_offers},
	[CHANNELMSG_OPENCHANNEL] = {VERSION_WS2008, sizeof(struct vmbus_open_channel), on_open},
	[CHANNELMSG_CLOSECHANNEL] = {VERSION_WS2008, sizeof(struct vmbus_relid_message), on_close},
	[CHANNELMSG_GPADL_HEADER] = {VERSION_WS2008, sizeof(struct vmbus_gpadl_header),
				     on_gpadl_header},
	[CHANNELMSG_GPADL_BODY] = {VERSION_WS2008, sizeof(struct vmbus_gpadl_body), on_gpadl_body},
	[CHANNELMSG_GPADL_TEARDOWN] = {VERSION_WS2008, sizeof(struct vmbus_gpadl_teardown),
				       on_gpadl_teardown},
	[CHANNELMSG_RELID_RELEASED] = {VERSION_WS2008, sizeof(struct vmbus_relid_message),
				       on_relid_released},
	[CHANNELMSG_UNLOAD] = {0, 8, on_unload},
	[CHANNELMSG_OPEN_RESERVED_CHANNEL] = {VERSION_WIN10, sizeof(struct vmbus_open_reserved),
					      on_open_reserved},
	[CHANNELMSG_CLOSE_RESERVED_CHANNEL] = {0, sizeof(struct vmbus_close_reserved),
					       on_close_reserved},
	[CHANNELMSG_TL_CONNECT_REQUEST] = {VERSION_WIN10, sizeof(struct vmbus_tl_connect_request),
					   on_tl_connect},
	[CHANNELMSG_MODIFYCHANNEL] = {VERSION_WIN10_V4_1, sizeof(struct vmbus_modify_channel),
				      on_modify},
};

/* Why @m cannot be handled, or NULL. */
static const char *refuse(const struct vmbus *bus, uint32_t type, size_t bytes)
{
	if (type >= CHANNELMSG_COUNT || handlers[type].fn == NULL) {
		return "no such request";
	}
	if (bytes < handlers[type].bytes_min) {
		return "too short";
	}
	if (handlers[type].version != 0 && bus->state != CONNECTION_UP) {
		return "not connected";
	}
	return handlers[type].version > bus->version ? "not in this version" : NULL;
}

static void handle(struct vmbus *bus, uint32_t connection, const union message *m, size_t bytes)
{
	uint32_t type = m->header.type;
	const char *why;

	if (type == CHANNELMSG_INITIATE_CONTACT && bytes >= sizeof(m->contact)) {
		version_initiate_contact(bus, &m->contact, connection);
		return;
	}
	why = refuse(bus, type, bytes);
	if (why != NULL) {
		bus_log(bus, "message type %u of %zu bytes, version 0x%x: %s; ignored", type, bytes,
			bus->version, why);
		return;
	}
	handlers[type].fn(bus, m, bytes);
}

void vmbus_message(struct vmbus *bus, uint32_t connection, const void *message, size_t bytes)
{
	union message m = {.bytes = {0}};

	if (bytes < sizeof(m.header) || bytes > sizeof(m.bytes)) {
		bus_log(bus, "message of %zu bytes, expected %zu to %zu: ignored", bytes,
			sizeof(m.header), sizeof(m.bytes));
		return;
	}
	memcpy(m.bytes, message, bytes);
	handle(bus, connection, &m, bytes);
	bus_settle(bus);
}
