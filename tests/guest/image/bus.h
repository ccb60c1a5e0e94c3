/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMBus and storvsp from inside a VM, by the rules: for guests that run in the whole worker. Addresses are guest physical ones, one
 * processor calls, nothing interrupts: everything is looked at again and again, for at most BUS_PATIENCE.
 */
#ifndef GUEST_BUS_H
#define GUEST_BUS_H

#include "abi/hv.h"
#include "protocol.h"
#include "vmbus/protocol.h"

#include "guest.h"

#define PAGE_BYTES 4096u
#define BUS_PATIENCE                                                                               \
	300000000u /* 30 s in units of 100 ns: then the host is taken to be silent for ever */
#define BUS_OFFERS_MAX 256u

union bus_message {
	struct vmbus_message_header header;
	struct vmbus_version_response version;
	struct vmbus_offer_channel offer;
	struct vmbus_relid_message relid;
	struct vmbus_open_result opened;
	struct vmbus_gpadl_created created;
	struct vmbus_gpadl_torndown torndown;
	uint8_t bytes[HV_MESSAGE_PAYLOAD_BYTE_COUNT];
};

/* What was offered and not rescinded. */
extern struct vmbus_offer_channel bus_offers[BUS_OFFERS_MAX];
extern unsigned bus_offer_count;

/* An open channel: two rings of the same size, one after the other. */
struct bus_channel {
	struct vmbus_offer_channel offer;
	uint32_t gpadl;
	uint64_t pfn;	/* of the ring to the host */
	uint32_t pages; /* of each ring, with its control page */
	uint32_t write, read;
};

void bus_start(void);
uint64_t bus_now(void); /* 100 ns */
uint64_t bus_hypercall(uint64_t control, uint64_t input, uint64_t output);
/* Status of HvPostMessage; tries again while the host has no buffers. */
uint64_t bus_post_raw(uint32_t connection, uint32_t type, const void *message, size_t bytes);
uint64_t bus_signal(uint32_t connection, uint16_t flag);
/* To where the version says. */
void bus_post(const void *message, size_t bytes);
/* The next message; false: none there. Offers and rescinds are noted. */
bool bus_take(union bus_message *ret);
/* Takes messages up to one of that type about @id (relid, or GPADL; any for types without). */
bool bus_wait(uint32_t type, uint32_t id, union bus_message *ret);

/* A new connection, whatever was before; then all offers. False: the host does not answer as it should. */
bool bus_connect(uint32_t version);
bool bus_unload(void);
const struct vmbus_offer_channel *bus_find(const struct guid *type, const struct guid *instance,
					   unsigned index);

/* Rings of @pages each from @pfn on. False: refused, or no answer. */
bool bus_open(struct bus_channel *c, const struct vmbus_offer_channel *offer, uint64_t pfn,
	      uint32_t pages, uint32_t vp);
/* Close and teardown; true when the host has let go. */
bool bus_close(struct bus_channel *c);

struct vmbus_ring_control *bus_ring(const struct bus_channel *c, bool to_host);
/* Bytes at @at of a ring's data, round its end; returns where it ended. */
uint32_t bus_ring_put(const struct bus_channel *c, uint32_t at, const void *data, size_t bytes);
/* A packet; false: no room for it. */
bool bus_send(struct bus_channel *c, uint16_t type, uint16_t flags, uint64_t transaction,
	      const void *header, size_t header_bytes, const void *payload, size_t bytes);
/* A packet is there. */
bool bus_pending(const struct bus_channel *c);
/* A list of @pages pages (at most 26) from @pfn on for the host. False: refused, or no answer. */
bool bus_gpadl(uint32_t relid, uint64_t pfn, uint32_t pages, uint32_t *ret_gpadl);
/* The next packet's payload, of which at most @bytes are kept; what it lacks is 0. False: none came. */
bool bus_receive_some(struct bus_channel *c, uint64_t *ret_transaction, void *payload,
		      size_t bytes);
/* The next packet's payload, @bytes of it; false: none came. */
bool bus_receive(struct bus_channel *c, uint64_t *ret_transaction, void *payload, size_t bytes);

/* ---- storvsp ---- */

/* The start of the protocol. */
bool stor_start(struct bus_channel *c, uint16_t version);
/* An SRB for LUN @lun on the pages from @pfn on; the answer. */
bool stor_command(struct bus_channel *c, uint8_t lun, const uint8_t *cdb, uint8_t cdb_bytes,
		  uint8_t direction, uint64_t pfn, uint32_t bytes, struct vstor_packet *ret);

#endif
