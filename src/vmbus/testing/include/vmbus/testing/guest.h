/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests and fuzz targets: a guest on memory of the test process, and the transport between it and a bus. It speaks the protocol as Linux's
 * drivers/hv does: messages, GPADLs in header and bodies, rings with Linux's rules for masks, signals and pending sizes.
 *
 * The bus thread is the one that calls fake_guest_run and everything that sends messages (they run the bus until their answer is there).
 * Ring functions of a channel, and interrupts, may be used by another thread.
 */
#ifndef VMBUS_TESTING_GUEST_H
#define VMBUS_TESTING_GUEST_H

#include "vmbus/protocol.h"
#include "vmbus/vmbus.h"

#define FAKE_GUEST_VPS 4u
#define FAKE_GUEST_INBOX 8192u /* messages that it holds before it takes no more */
#define FAKE_GUEST_CONNECTIONS 0x3000u

struct fake_guest_config {
	uint32_t pages; /* of memory; 0: 4096 (16 MiB) */
	bool scattered; /* fake_guest_alloc gives pages in an order of its own */
	struct vmbus_config bus;
};

struct fake_guest_message {
	uint32_t vp, sint;
	size_t bytes;
	union {
		struct vmbus_message_header header;
		struct vmbus_offer_channel offer;
		struct vmbus_relid_message relid;
		struct vmbus_open_result open_result;
		struct vmbus_gpadl_created created;
		struct vmbus_gpadl_torndown torndown;
		struct vmbus_version_response version;
		struct vmbus_tl_connect_result tl_connect;
		struct vmbus_modify_channel_response modify;
		uint8_t raw[VMBUS_MESSAGE_MAX_BYTES];
	};
};

struct fake_guest_offer {
	struct vmbus_offer_channel message;
	bool rescinded;
};

struct fake_guest {
	struct gmem gm;
	uint8_t *memory;
	uint32_t pages, next_page;
	bool scattered;
	uint32_t next_gpadl;
	struct vmbus *bus;

	uint64_t now_ns;     /* atomic: the clock, moved by the test */
	uint64_t poll_at_ns; /* what vmbus_poll said last */
	bool woken;	     /* atomic */
	bool deaf;	     /* post takes nothing */
	unsigned log_lines;  /* atomic */
	bool log_show;	     /* print them */

	uint32_t version, message_connection;
	uint64_t interrupt_page_gpa, monitor_gpa[2];

	struct fake_guest_message *inbox; /* posted and not taken yet, in order */
	unsigned inbox_count, inbox_capacity;
	struct fake_guest_offer *offers; /* all that came and were not released */
	unsigned offer_count, offer_capacity;
	bool connections[FAKE_GUEST_CONNECTIONS]; /* that the host lets us signal */
	unsigned event_open_fails;		  /* n: the n-th call from now fails */

	uint32_t events[FAKE_GUEST_VPS][VMBUS_RELIDS]; /* atomic: interrupts by event flag */
};

/* NULL config: all defaults. Stops the test program when there is no memory. */
struct fake_guest *fake_guest_create(const struct fake_guest_config *config);
/* With its bus. Without, when the test took g->bus away (NULL). */
void fake_guest_destroy(struct fake_guest *g);
/* A bus on the same guest: after g->bus was destroyed, to restore into. */
struct vmbus *fake_guest_new_bus(struct fake_guest *g, const struct vmbus_config *config);

/* Guest memory. Pages are never given back. */
void fake_guest_alloc(struct fake_guest *g, uint32_t count, uint64_t *pfns);
void *fake_guest_page(struct fake_guest *g, uint64_t pfn);

/* Lets the bus work until it has nothing to do at once. */
void fake_guest_run(struct fake_guest *g);
/* Posts a message as the guest (connection: what was negotiated), and runs. */
void fake_guest_post(struct fake_guest *g, const void *message, size_t bytes);
/* Takes the first message of @type out of the inbox; false: there is none. @ret may be NULL. */
bool fake_guest_take(struct fake_guest *g, uint32_t type, struct fake_guest_message *ret);
void fake_guest_forget_inbox(struct fake_guest *g);

/* INITIATE_CONTACT with everything a guest of @version sends; returns `supported` of the answer. -1: no answer came. */
int fake_guest_connect(struct fake_guest *g, uint32_t version);
/* REQUESTOFFERS until ALLOFFERS_DELIVERED; the offers are in g->offers. */
bool fake_guest_request_offers(struct fake_guest *g);
/* Both: it is connected, and the offers are there. */
bool fake_guest_arrive(struct fake_guest *g, uint32_t version);
/* The offer of a device (first 16 bytes: instance) and subchannel index; NULL: none, or rescinded. */
struct fake_guest_offer *fake_guest_find(struct fake_guest *g, const struct guid *instance,
					 uint32_t index);
void fake_guest_release(struct fake_guest *g, uint32_t relid);
bool fake_guest_unload(struct fake_guest *g);

/* A GPADL over @bytes from @offset of the pages. Returns the status of GPADL_CREATED; UINT32_MAX: no answer. */
uint32_t fake_guest_gpadl(struct fake_guest *g, uint32_t relid, uint32_t id, uint32_t bytes,
			  uint32_t offset, const uint64_t *pfns);
/* True when TORNDOWN came. */
bool fake_guest_teardown(struct fake_guest *g, uint32_t relid, uint32_t id);

/* ---- Channels ---- */

struct fake_guest_ring {
	struct vmbus_ring_control *control;
	uint8_t **pages;
	uint32_t size, private_read;
};

struct fake_guest_channel {
	struct fake_guest *g;
	struct vmbus_offer_channel offer;
	uint32_t gpadl, vp;
	uint64_t *pfns;
	uint32_t page_count, out_pages;
	struct fake_guest_ring out; /* to the host */
	struct fake_guest_ring in;  /* from the host */
	uint64_t signals;	    /* sent to the host */
};

/*
 * Ring pages (control pages included) of the two rings, GPADL, OPENCHANNEL with target @vp. Returns the status; UINT32_MAX: no answer (then
 * the ring still exists, and fake_guest_abandon frees it).
 */
uint32_t fake_guest_open(struct fake_guest *g, const struct fake_guest_offer *offer,
			 uint32_t out_pages, uint32_t in_pages, uint32_t vp,
			 struct fake_guest_channel *ret);
/* The same in steps: memory and GPADL only; then the message. */
uint32_t fake_guest_prepare(struct fake_guest *g, const struct fake_guest_offer *offer,
			    uint32_t out_pages, uint32_t in_pages, struct fake_guest_channel *ret);
void fake_guest_post_open(struct fake_guest_channel *ch, uint32_t vp);
/* Channel @index of the device, with rings of @pages each and its interrupts on a VP of its own. False: no offer of it, or not opened. */
bool fake_guest_open_index(struct fake_guest *g, const struct guid *instance, uint32_t index,
			   uint32_t pages, struct fake_guest_channel *ret);
/* CLOSECHANNEL and GPADL_TEARDOWN. True: TORNDOWN came; the ring's memory is not used any more. */
bool fake_guest_close(struct fake_guest_channel *ch);
/* The same in steps: the messages; then, when the host has let go, the answer. */
void fake_guest_begin_close(struct fake_guest_channel *ch);
bool fake_guest_end_close(struct fake_guest_channel *ch);
void fake_guest_post_close(struct fake_guest_channel *ch);
/* Frees our side without a word. */
void fake_guest_abandon(struct fake_guest_channel *ch);

/* Signals the host for the channel, the way its version and offer say. */
void fake_guest_signal(struct fake_guest_channel *ch);
/*
 * hv_ringbuffer_write: a packet with @header (a multiple of 8 bytes, after the descriptor) and payload; false: no room. Signals as Linux does.
 */
bool fake_guest_write(struct fake_guest_channel *ch, uint16_t type, bool wants_completion,
		      uint64_t transaction, const void *header, size_t header_bytes,
		      const void *payload, size_t bytes);
/* An in-band packet. */
bool fake_guest_send(struct fake_guest_channel *ch, uint64_t transaction, const void *payload,
		     size_t bytes);
/* A GPA-direct packet with one range over @pfns, as vmbus_sendpacket_mpb_desc. Asks for completion. */
bool fake_guest_send_gpa(struct fake_guest_channel *ch, uint64_t transaction, uint32_t range_bytes,
			 uint32_t offset, const uint64_t *pfns, const void *payload, size_t bytes);
/* Sets or clears (0) the pending send size of our ring. */
void fake_guest_set_pending(struct fake_guest_channel *ch, uint32_t bytes);
/*
 * Takes the next packet into @buf: descriptor and all. 0: there is none. The read index moves and the host is signalled as in
 * hv_pkt_iter_close.
 */
size_t fake_guest_read(struct fake_guest_channel *ch, void *buf, size_t capacity);
/* Its payload. */
const void *fake_guest_payload(const void *packet, size_t *ret_bytes);
/* hv_begin_read and hv_end_read: the latter true when the ring is empty and interrupts are on again. */
void fake_guest_begin_read(struct fake_guest_channel *ch);
bool fake_guest_end_read(struct fake_guest_channel *ch);
/* Takes the interrupts that came for the channel: their number. */
uint32_t fake_guest_interrupts(struct fake_guest_channel *ch);

/* ---- A device that does nothing by itself ---- */

struct fake_device {
	struct vmbus_device *dev;
	uint32_t open_status;		    /* what open answers */
	bool slow_close;		    /* close is answered by fake_device_closed only */
	struct vmbus_channel *channels[64]; /* open ones, by index */
	bool closing[64];
	uint8_t user[VMBUS_USER_DATA_BYTES];
	unsigned opens, closes, gone;
	uint32_t signals; /* atomic */
	uint32_t target_vp;
	char order[64]; /* indices of closes, as characters */
};

/* Offers it; instance byte 0 is @number. 0 or what vmbus_device_offer said. */
int fake_device_offer(struct fake_guest *g, struct fake_device *d, uint8_t number, uint16_t flags);
struct guid fake_device_instance(uint8_t number);
void fake_device_closed(struct fake_device *d, uint32_t index);
void fake_device_rescind(struct fake_device *d);

#endif
