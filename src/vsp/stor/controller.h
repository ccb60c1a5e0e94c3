/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the provider: a controller, its channels, and the requests that the guest sent. I/O thread only, except what is marked.
 *
 * A request is taken from the pool before a packet is read, so every packet that is taken can be answered. It goes from the ring to
 * a unit (in the controller's list of commands), and from there to its channel's answers, which leave in order as the ring has
 * room. While answers wait, nothing new is taken from that channel.
 */
#ifndef STOR_CONTROLLER_H
#define STOR_CONTROLLER_H

#include "protocol.h"
#include "vmbus/protocol.h"
#include "vsp/stor.h"

#define STOR_PAGE_BYTES 4096u
/* What a guest can make us hold. */
#define STOR_POOL_FIRST 32u	 /* requests that are there from the start */
#define STOR_POOL_MAX 2048u	 /* and at most, of all channels */
#define STOR_CHANNEL_DEPTH 1024u /* taken and not yet answered, of one channel */
#define STOR_VECS                                                                                  \
	(STOR_MAX_TRANSFER_BYTES / STOR_PAGE_BYTES +                                               \
	 1)				    /* the first page may be begun in its middle */
#define STOR_RANGES_BYTES (STOR_VECS * 16u) /* each page as a range of its own */
#define STOR_RESETS 8u			    /* resets that wait at the same time */
#define STOR_BATCH 64u /* packets taken from one channel before others have their turn */
#define STOR_SUBCHANNELS_MAX 256u

#define STOR_NAME_BYTES 32u

/* How far the guest got with the start of the protocol. The values are saved. */
enum stor_state {
	STOR_BEGIN,
	STOR_VERSION,
	STOR_PROPERTIES,
	STOR_END,
	STOR_READY,
	STOR_STATES,
};

/* What guests do wrong; each kind is counted and told now and then. */
enum stor_violation {
	VIOLATION_PACKET_TYPE,
	VIOLATION_PACKET_SHORT,
	VIOLATION_PACKET_BIG,
	VIOLATION_OPERATION,
	VIOLATION_ORDER,
	VIOLATION_SUBCHANNELS,
	VIOLATION_SRB,
	VIOLATION_DATA_LENGTH,
	VIOLATION_RANGES,
	VIOLATION_MEMORY,
	VIOLATION_RESETS,
	VIOLATION_KINDS,
};

struct stor_slot {
	struct scsi_unit *unit; /* NULL: no such LUN */
	unsigned commands;	/* in the unit, or in the one that leaves */
	bool leaving;		/* taken away, commands are still in it */
	struct scsi_unit *leaver;
	void (*gone)(void *ctx, struct scsi_unit *unit);
	void *gone_ctx;
};

struct stor_request {
	struct scsi_command command;
	struct stor_channel *channel;
	struct stor_request *next;		     /* in the pool, or in the channel's answers */
	struct stor_request *list_next, **list_link; /* in the controller's commands */
	struct stor_slot *slot;
	uint32_t resets; /* bit n: stor->resets[n] waits for it */
	uint64_t transaction;
	bool wanted; /* the guest wants an answer */
	uint8_t answer_bytes;
	struct vstor_packet answer;

	/* Where the data is. The ranges are kept to mark what the unit wrote. */
	uint32_t range_count;
	uint32_t ranges_bytes;
	struct io_vec vec[STOR_VECS];
	uint8_t ranges[STOR_RANGES_BYTES];
};

enum stor_channel_state {
	STOR_CHANNEL_CLOSED,
	STOR_CHANNEL_OPEN,
	STOR_CHANNEL_CLOSING, /* until nothing is outstanding */
};

struct stor_channel {
	struct stor *stor;
	struct vmbus_channel *vmbus;
	uint32_t index;
	enum stor_channel_state state;
	bool readable; /* the ring may hold packets: no signal comes before it was read to its end */
	bool blocked;  /* an answer did not fit: a signal comes when there is room */
	bool broken;   /* the ring is of no use any more */
	unsigned outstanding; /* requests taken and not yet answered */
	struct stor_request *answers, **answers_tail;

	bool signalled; /* atomic: by vmbus, any thread */
	/* The mailbox, under the owner's lock: what the bus thread did. Closing follows opening. */
	struct vmbus_channel *mail_opened;
	bool mail_closing;
};

/* A reset waits for the commands that were there when it came. */
struct stor_reset {
	struct stor_request *request; /* NULL: free */
	unsigned commands;
	struct stor_slot *slot; /* NULL: all */
};

struct stor {
	struct stor_config config;
	char name[STOR_NAME_BYTES];
	struct scsi_initiator initiator;
	struct vmbus_device *device;

	enum stor_state state;
	uint16_t version; /* VSTOR_VERSION_*, from STOR_PROPERTIES on */
	bool rescan_due;  /* the guest shall hear that LUNs came or went */
	bool gone_due;	  /* a slot's leaver is free of commands */

	struct stor_slot slots[STOR_LUNS];
	struct stor_channel *channels;
	uint32_t channel_count;
	uint32_t turn; /* the channel that is served first */
	bool held;     /* takes no packets */

	struct stor_request *pool;
	unsigned pool_free, pool_size, pool_max;
	struct stor_request *commands; /* in units, newest first */
	unsigned command_count;
	struct stor_reset resets[STOR_RESETS];

	/* CREATE_SUB_CHANNELS on its way through the bus. */
	struct stor_request *create_request;

	bool mail;	   /* atomic: look into the mailbox */
	bool mail_created; /* the rest under the owner's lock */
	int mail_create_result;

	uint64_t violations[VIOLATION_KINDS];
	uint64_t packet[VMBUS_PACKET_MAX / 8];
};

/* ---- report.c ---- */

/* Counts, and tells the 1st, 2nd, 4th, 8th, ... of each kind: bounded without a clock. */
__attribute__((format(printf, 3, 4))) void stor_report(struct stor *s, enum stor_violation kind,
						       const char *format, ...);

/* ---- pool.c ---- */

bool stor_pool_create(struct stor *s);
void stor_pool_destroy(struct stor *s);
/* NULL: as many as there may be are in use. When memory ends, there may be no more than there are. */
struct stor_request *stor_pool_take(struct stor *s);
bool stor_pool_empty(const struct stor *s);
void stor_pool_give(struct stor *s, struct stor_request *r);

/* ---- mailbox.c ---- */

extern const struct vmbus_device_ops stor_vmbus_ops;

/* Takes what the bus thread left: channels that open and close, the answer to a request for subchannels. */
void stor_mailbox_take(struct stor *s);
/* Something is in it. [any] */
bool stor_mailbox_full(const struct stor *s);
/* Asks the bus for subchannels; stor_negotiate_created follows. */
void stor_mailbox_create(struct stor *s, uint32_t count);

/* ---- channel.c ---- */

void stor_channel_open(struct stor_channel *ch, struct vmbus_channel *vmbus);
void stor_channel_close(struct stor_channel *ch);
/* Sends answers and takes requests, at most STOR_BATCH. */
void stor_channel_serve(struct stor_channel *ch);
/* Requests may lie in the ring and could be taken. */
bool stor_channel_more(const struct stor_channel *ch);
/* The answer is complete: it leaves when its turn comes. */
void stor_channel_answer(struct stor_request *r);
/* Makes a request from the pool one that owes the guest an answer. */
void stor_channel_owe(struct stor_channel *ch, struct stor_request *r);
/* Forgets what was not sent. */
void stor_channel_drop_answers(struct stor_channel *ch);

/* ---- negotiate.c ---- */

/* The protocol begins anew: the primary channel opened or closed. */
void stor_negotiate_reset(struct stor *s);
/* A packet that is not about I/O: validates, answers (possibly later). @packet has @bytes from the guest, then zeros. */
void stor_negotiate(struct stor_request *r, const struct vstor_packet *packet, size_t bytes);
/* The bus said 0 or -errno to a request for subchannels. */
void stor_negotiate_created(struct stor *s, int result);
bool stor_version_known(uint16_t version);
/* Answers a request that is not about I/O. */
void stor_answer_status(struct stor_request *r, uint32_t nt_status);

/* ---- request.c ---- */

void stor_execute(struct stor_request *r, const struct vmbus_packet *p,
		  const struct vstor_packet *packet);
/* Completes an SRB that no unit has seen. */
void stor_srb_fail(struct stor_request *r, uint8_t srb_status);
/* Completes an SRB with what is in its command: status, sense, transferred. */
void stor_srb_complete(struct stor_request *r);

/* ---- route.c ---- */

/* The LUN that an SRB's address names; STOR_LUNS: none such on this controller. */
unsigned stor_route(const struct stor *s, const struct vstor_srb *srb);
/*
 * Carries out what the target does itself: REPORT LUNS, and everything for LUNs that are not there. The request's command is set up.
 * False: a unit has to do it.
 */
bool stor_route_local(struct stor_request *r, const struct vstor_srb *srb, unsigned lun);

/* ---- reset.c ---- */

void stor_reset(struct stor_request *r, const struct vstor_packet *packet, size_t bytes);
/* A command that resets wait for is done. */
void stor_reset_progress(struct stor *s, uint32_t resets);

#endif
