/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the bus: its objects and what the parts of the component call of each other. Bus thread only, unless marked.
 *
 * What other threads touch is atomic: slot.channel and slot.users, the channel's live, target and gpadl list, the two lists that they push
 * to (closed, requests), and the pointers to the guest's interrupt page.
 */
#ifndef VMBUS_BUS_H
#define VMBUS_BUS_H

#include "lib/bits.h"
#include "ring.h"
#include "vmbus/protocol.h"
#include "vmbus/vmbus.h"

#define BUS_CONNECTION_BASE 0x2000u /* a channel's event connection is this plus its relid */

/* What a guest can make us hold. */
#define BUS_QUEUE_MAX                                                                              \
	8192u /* outgoing messages: twice the offers and rescinds that can be due, and replies */
#define BUS_CHANNEL_GPADLS_MAX 256u    /* of one channel */
#define BUS_COLLECTING_MAX 256u	       /* GPADLs that wait for bodies */
#define BUS_GPADL_WORDS_MAX (1u << 20) /* 8-byte words of all GPADLs: 4 GiB of guest memory */
#define BUS_GPADL_WORDS_BASE 16u       /* what a GPADL is charged for itself */

#define BUS_TARGET_LEGACY BIT64(63) /* in a channel's target: by the interrupt page and flag 0 */

#define BUS_LOG_WINDOW_NS UINT64_C(10000000000)
#define BUS_LOG_BURST 10u
#define BUS_RETRY_NS                                                                               \
	UINT64_C(1000000) /* until something that does not call back is looked at again */

struct gpadl {
	struct gpadl *
		next; /* in bus->collecting, then in channel->gpadls: atomic there, any thread reads it */
	struct gpadl *retired_next; /* in channel->gpadls_retired */
	struct vmbus_channel *channel;
	uint32_t id;
	uint32_t range_count;
	uint32_t words_wanted, words; /* announced and received so far */
	uint64_t bytes;		      /* of memory, when complete */
	bool ring;		      /* an open or closing channel's ring lies in it */
	bool teardown_pending; /* TORNDOWN is owed when the ring, or the last reader, is done */
	bool dropped;	       /* it goes then without a word */
	uint64_t word[];       /* the ranges as the guest sent them */
};

enum channel_state {
	CHANNEL_CLOSED,
	CHANNEL_OPEN,
	CHANNEL_CLOSING, /* the device was told; until vmbus_channel_closed */
};

/* OPENCHANNEL and OPEN_RESERVED_CHANNEL, checked against nothing yet. */
struct open_request {
	uint32_t open_id, gpadl, downstream_page, vp, sint;
	bool reserved;
	uint8_t user[VMBUS_USER_DATA_BYTES];
};

struct vmbus_channel {
	struct vmbus *bus;
	struct vmbus_device *dev;
	struct vmbus_channel *next; /* dev->channels, by index */
	uint32_t index, relid;
	enum channel_state state;
	bool offered;	/* the guest knows the relid */
	bool revoked;	/* and was told to forget it: until RELID_RELEASED */
	bool released;	/* it did, or never knew */
	int monitor_id; /* -1: none */

	/* While open or closing. */
	struct gpadl *ring_gpadl;
	uint32_t downstream_page;
	uint8_t user[VMBUS_USER_DATA_BYTES];
	bool reserved_open;	 /* by OPEN_RESERVED_CHANNEL */
	bool close_reserved_due; /* CLOSE_RESERVED_RESPONSE is owed, to: */
	uint32_t close_reserved_vp, close_reserved_sint;
	bool reopen; /* to be opened again after the close, as: */
	struct open_request reopen_request;
	struct ring ring; /* the channel's thread */

	/* Atomic. */
	bool live;    /* signals go to the device */
	bool blocked; /* the writer waits for room and the guest will not signal: the bus looks */
	bool close_posted; /* vmbus_channel_closed was called */
	uint64_t target;   /* VP | SINT << 32 | BUS_TARGET_LEGACY; SINT 0: no interrupts */
	void *context;
	struct gpadl *gpadls; /* complete ones */
	uint32_t gpadl_users;
	bool gpadl_retiring;

	struct gpadl *gpadls_retired;	   /* unlinked while a reader may have been in one */
	unsigned gpadl_count;		   /* with those that wait for bodies */
	struct vmbus_channel *closed_next; /* bus->closed */
	struct vmbus_channel *dead_next;   /* bus->dead */

	/* The one request for subchannels that may be under way. */
	struct vmbus_channel *request_next;
	bool request_posted; /* atomic */
	uint32_t request_count;
	void (*request_done)(void *ctx, int result);
	void *request_ctx;
};

struct vmbus_device {
	struct vmbus *bus;
	struct vmbus_device *next;
	const struct vmbus_device_ops *ops;
	void *ctx;
	struct vmbus_offer offer;
	char name[32];
	struct vmbus_channel *channels; /* index 0 first while it is there */
	unsigned channel_count;		/* with those that wait to be freed */
	bool rescinding;
	bool subs_leaving; /* channel 0 closes: then its subchannels are rescinded */
	void (*gone)(void *ctx);
	void *gone_ctx;
};

/* A relid. Signals count themselves in while they use the channel, so that it is not freed under them. */
struct slot {
	struct vmbus_channel *channel; /* atomic */
	uint32_t users;		       /* atomic */
	bool taken;		       /* also while the dead channel waits for users */
};

struct queued {
	struct queued *next;
	uint32_t vp, sint;
	uint32_t bytes;
	uint8_t message[];
};

enum connection_state {
	CONNECTION_NONE,
	CONNECTION_UP,
	CONNECTION_GOING, /* channels close; then what is due is done */
};

struct vmbus {
	struct vmbus_transport transport;
	struct vmbus_config config;
	struct vmbus_device *devices, **devices_end;
	struct slot slots[VMBUS_RELIDS];
	struct vmbus_channel *dead; /* channels out of their slots that a signal may still be in */
	unsigned open_count;	    /* channels open or closing */
	unsigned closing_count;
	unsigned retiring_count; /* channels with gpadls_retired */
	uint32_t blocked_count;	 /* atomic: channels with blocked set */
	uint64_t nudge_ns;	 /* when they are nudged next */
	bool advance_due;	 /* rescind_advance has something to look at */

	enum connection_state state;
	uint32_t version;
	uint32_t message_vp, message_sint; /* where channel messages go */
	bool offers_sent;
	bool shared_event_open; /* VMBUS_EVENT_CONNECTION_ID */
	bool unload_due;	/* when gone: UNLOAD_RESPONSE */
	bool contact_due;	/* when gone: this, which came on that connection */
	struct vmbus_initiate_contact contact;
	uint32_t contact_connection;

	struct queued *queue, **queue_end;
	unsigned queue_count;

	struct gpadl *collecting;
	unsigned collecting_count;
	uint32_t gpadl_words;

	uint64_t interrupt_page_gpa; /* valid while interrupt_page is set */
	uint8_t *interrupt_page;     /* atomic */

	uint64_t monitor_gpa[2];
	struct vmbus_monitor_page *monitor[2];
	struct vmbus_channel *monitor_channel[VMBUS_MONITOR_IDS];
	uint64_t monitor_due_ns, monitor_idle_ns;

	struct vmbus_channel *closed;	/* atomic: pushed by vmbus_channel_closed */
	struct vmbus_channel *requests; /* atomic: pushed by vmbus_request_subchannels */
	bool settling;

	uint64_t log_window_ns; /* atomic */
	uint32_t log_count;	/* atomic */
};

/* ---- log.c: [any] ---- */

__attribute__((format(printf, 2, 3))) void bus_log(struct vmbus *bus, const char *format, ...);

/* ---- queue.c ---- */

/* A channel message for the connected guest (or, _to, for that SINT). Kept in order until the transport takes it. */
void queue_send(struct vmbus *bus, const void *message, size_t bytes);
void queue_send_to(struct vmbus *bus, uint32_t vp, uint32_t sint, const void *message,
		   size_t bytes);
/* Only puts it at the end of the queue. False: the queue is full, or there is no memory. */
bool queue_append(struct vmbus *bus, uint32_t vp, uint32_t sint, const void *message, size_t bytes);
/* True when nothing waits any more. */
bool queue_pump(struct vmbus *bus);
void queue_clear(struct vmbus *bus);

/* ---- bus.c ---- */

/* Finishes what other threads and earlier steps left to do. At the end of every entry on the bus thread. */
void bus_settle(struct vmbus *bus);
struct vmbus_channel *bus_channel(struct vmbus *bus, uint32_t relid); /* NULL: no such relid */

/* ---- version.c, unload.c ---- */

void version_initiate_contact(struct vmbus *bus, const struct vmbus_initiate_contact *m,
			      uint32_t connection);
bool version_known(const struct vmbus *bus, uint32_t version);
/* Connected from here on, with these pages of the guest. False: they are not usable. */
bool version_attach(struct vmbus *bus, uint32_t version, uint64_t interrupt_page_gpa,
		    const uint64_t monitor_gpa[2]);
/* Closes everything (reserved channels stay if @keep_reserved); then the connection is forgotten. */
void unload_begin(struct vmbus *bus, bool keep_reserved);
void unload_message(struct vmbus *bus);
/* Forgets the connection when it is going and nothing closes any more; does what is due then. True: it did. */
bool unload_try_finish(struct vmbus *bus);

/* ---- offer.c, subchannel.c ---- */

struct vmbus_device *offer_device_add(struct vmbus *bus, const struct vmbus_offer *offer,
				      const struct vmbus_device_ops *ops, void *ctx);
void offer_device_free(struct vmbus_device *dev);
struct vmbus_device *offer_device_find(struct vmbus *bus, const struct guid *type,
				       const struct guid *instance);
/* Adds a channel with @relid (0: the lowest free one), known to nobody. -ENOMEM, -ENOSPC, or what event_open says. */
int offer_channel_add(struct vmbus_device *dev, uint32_t index, uint32_t relid,
		      struct vmbus_channel **ret);
/* Takes it out of the bus and frees it, as soon as no signal is in it. It must be closed. */
void offer_channel_remove(struct vmbus_channel *ch);
void offer_send(struct vmbus_channel *ch);
void offer_request_message(struct vmbus *bus);
void offer_relid_released_message(struct vmbus_channel *ch);
void offer_tl_connect_message(struct vmbus *bus, const struct vmbus_tl_connect_request *m);
/* Frees channels that no signal is in any more; true when none is left. */
bool offer_reap(struct vmbus *bus);
/* Carries out a request of the channel's thread. */
void subchannel_serve(struct vmbus_channel *ch);

/* ---- rescind.c ---- */

/* Moves rescinds on, after a close, a release or the end of the connection. */
void rescind_advance(struct vmbus *bus);
/* The device, or its subchannels, go away: RESCIND is on its way to the guest. */
bool rescind_leaving(const struct vmbus_channel *ch);

/* ---- open.c, close.c ---- */

void open_message(struct vmbus *bus, const struct vmbus_open_channel *m);
void open_reserved_message(struct vmbus_channel *ch, const struct vmbus_open_reserved *m);
void open_modify_message(struct vmbus *bus, const struct vmbus_modify_channel *m);
/* Opens a closed channel as asked and answers. */
void open_now(struct vmbus_channel *ch, const struct open_request *r);
void open_result(struct vmbus_channel *ch, const struct open_request *r, uint32_t status);
/* Makes @g the channel's ring. False: it cannot be one. */
bool open_map_ring(struct vmbus_channel *ch, struct gpadl *g, uint32_t downstream_page);
void open_unmap_ring(struct vmbus_channel *ch);
/* The channel is the device's: counted, signals arrive. */
void open_set_open(struct vmbus_channel *ch);

void close_message(struct vmbus_channel *ch);
void close_reserved_message(struct vmbus_channel *ch, const struct vmbus_close_reserved *m);
/* Tells the device to let go of an open channel, subchannels first when it is index 0. Otherwise nothing. */
void close_begin(struct vmbus_channel *ch);
/* The device let go. */
void close_finish(struct vmbus_channel *ch);
/* Opens a closed channel for which an open waits. */
void close_then_reopen(struct vmbus_channel *ch);

/* ---- ring_write.c: [channel] ---- */

/* The guest broke the protocol: nothing more until it opens the channel again. */
void ring_set_broken(struct vmbus_channel *ch);

/* ---- event.c: [any] ---- */

/* The guest put something into the channel's ring or made room. */
void event_to_device(struct vmbus *bus, uint32_t relid);
/* Interrupts the guest for a channel. */
void event_to_guest(struct vmbus_channel *ch);

/* ---- gpadl.c ---- */

void gpadl_header_message(struct vmbus *bus, const struct vmbus_gpadl_header *m, size_t bytes);
void gpadl_body_message(struct vmbus *bus, const struct vmbus_gpadl_body *m, size_t bytes);
void gpadl_teardown_message(struct vmbus *bus, const struct vmbus_gpadl_teardown *m);
/* A complete GPADL that is not being torn down; NULL: none. Bus thread, or a reader. */
struct gpadl *gpadl_find(const struct vmbus_channel *ch, uint32_t id);
/* True when one of that id, of any channel, waits for bodies. */
bool gpadl_collecting(struct vmbus *bus, uint32_t id);
/* The guest forgot the channel's GPADLs. One whose ring is in use goes with the ring. */
void gpadl_drop_all(struct vmbus_channel *ch);
/* The ring let go: the teardown that waited for it is done. */
void gpadl_ring_done(struct gpadl *g);
/* Frees what readers were in, if none is any more; true when nothing is left. */
bool gpadl_reap(struct vmbus_channel *ch);
/* A GPADL that collects its words. NULL: no memory or beyond the limits. */
struct gpadl *gpadl_add(struct vmbus_channel *ch, uint32_t id, uint32_t range_count,
			uint32_t words);
/* All words are there: checks the ranges and publishes it. False: they are wrong, and it is gone. */
bool gpadl_complete(struct gpadl *g);
/* Not being torn down, nor a ring already. */
bool gpadl_free_for_ring(const struct gpadl *g);
/* The page frames of a GPADL that may be a ring (one range of whole pages); NULL: it may not. */
const uint64_t *gpadl_ring_pfns(const struct gpadl *g, uint32_t *ret_count);

/* ---- monitor.c ---- */

/* Takes the pages of INITIATE_CONTACT into use, if any and if configured. False: they are not memory. */
bool monitor_connect(struct vmbus *bus, const uint64_t gpa[2]);
void monitor_disconnect(struct vmbus *bus);
/* A monitor id for a channel that is about to be offered, if it is to have one and there is one. */
void monitor_allocate(struct vmbus_channel *ch);
void monitor_release(struct vmbus_channel *ch);
/* Gives the channel the id that the guest knows. False: it is taken, or there are no pages. */
bool monitor_restore(struct vmbus_channel *ch, uint32_t id);
/* Signals for the bits that the guest set, if it is time; returns when to come again. */
uint64_t monitor_poll(struct vmbus *bus, uint64_t now_ns);

#endif
