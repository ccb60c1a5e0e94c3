/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the provider: an adapter and its queues. A queue is one VMBus channel with the frames of one port queue; everything of it belongs to
 * the thread that serves it, except what is marked.
 *
 * Queue 0 carries the protocol: it alone changes the adapter's settings. The other queues work by a copy of them (queue->s) that they renew when
 * the generation has moved; where the guest must be told only after all have done so, net_settled says when.
 *
 * A packet that was taken from the ring is finished (answered, if the guest wants that) before the next one is taken; meanwhile it lies in
 * queue->packet, so it can wait for a port, for the bus or for room in the ring, and be saved.
 */
#ifndef NET_ADAPTER_H
#define NET_ADAPTER_H

#include "lib/bits.h"
#include "protocol.h"
#include "vmbus/protocol.h"
#include "vsp/net.h"

#define NET_NAME_BYTES 32u
#define NET_MULTICAST_MAX 32u
#define NET_MTU_MIN 68u
#define NET_MTU_DEFAULT 1500u

/* What a guest can make us hold. */
#define NET_PACKET_BYTES (16u << 10) /* largest packet in a ring */
#define NET_VECS 128u		     /* pieces of guest memory in a packet */
#define NET_REPLIES 16u		     /* RNDIS answers and indications that wait for room */
#define NET_REPLY_BYTES 1024u
#define NET_REQUEST_BYTES 1024u /* largest RNDIS control message that is looked at */

/* Of the guest's buffers. */
#define NET_SEND_SECTION_BYTES 6144u
#define NET_SUBALLOC_BYTES_MIN 1728u /* as Hyper-V's, for a guest with an MTU of 1500 */
#define NET_SUBALLOC_NONE UINT32_MAX
#define NET_CACHE 64u	      /* suballocations that a queue keeps for itself */
#define NET_RESERVE 8u	      /* suballocations that only control messages get */
#define NET_RANGES 64u	      /* of one transfer-page packet; guests before NDIS 6 take no more */
#define NET_HEADER_BYTES 112u /* RNDIS header and information before a frame, at most */

#define NET_BATCH 64u /* packets, and frames, in one turn of a queue */
#define NET_RNDIS_MAX_PACKETS 8u
#define NET_MESSAGES_MAX 64u /* of one packet, whatever we told the guest: one turn is short */
#define NET_RNDIS_ALIGNMENT_SHIFT 3u
#define NET_LSO_MAX_BYTES 62780u /* as Hyper-V offers */

/* What guests do wrong; each kind is counted and told now and then. */
enum net_violation {
	VIOLATION_PACKET,     /* type or size of a packet in the ring */
	VIOLATION_ORDER,      /* a message at the wrong time */
	VIOLATION_NVSP,	      /* a message with impossible contents */
	VIOLATION_COMPLETION, /* for a packet that the guest does not own */
	VIOLATION_MEMORY,     /* sections and pages that are not there */
	VIOLATION_RNDIS,      /* lengths and offsets that lie */
	VIOLATION_FRAME,      /* too short, too long, offloads that do not match */
	VIOLATION_CONTROL,    /* RNDIS control message */
	VIOLATION_KINDS,
};

/* What all queues decide by. Written by queue 0 under the owner's lock. */
struct net_settings {
	struct vmbus_channel *primary; /* whose GPADLs the buffers are */
	uint32_t version;	       /* NVSP_PROTOCOL_VERSION_*; 0: none yet */
	uint64_t capabilities;	       /* NVSP_CAPABILITY_* of the guest */
	uint32_t ndis;		       /* NDIS version, major << 16 | minor */
	uint32_t mtu;
	bool rndis; /* initialized */

	bool receive; /* there is a receive buffer */
	uint32_t receive_gpadl;
	uint16_t receive_id;
	uint32_t suballoc_bytes, suballocs;
	bool send; /* there is a send buffer */
	uint32_t send_gpadl;
	uint16_t send_id;
	uint32_t sections;

	uint32_t filter; /* NDIS_PACKET_TYPE_* */
	uint32_t lookahead;
	uint8_t mac[NET_MAC_BYTES];
	uint32_t multicasts;
	uint8_t multicast[NET_MULTICAST_MAX][NET_MAC_BYTES];

	struct ndis_offload_parameters offload; /* what the guest set; nothing is 0 */
	bool rss;
	struct net_rss rss_parameters;
	uint32_t subchannels; /* granted */
};

enum net_queue_state {
	NET_QUEUE_CLOSED,
	NET_QUEUE_OPEN,
	NET_QUEUE_CLOSING, /* queue 0: until the others are closed */
};

/* What is to be done yet for the packet in queue->packet. The values are saved. */
enum net_work {
	NET_IDLE,     /* there is none */
	NET_SENDING,  /* frames for the port, from queue->at on */
	NET_SETTLING, /* a buffer is revoked: until all queues have let go of it */
	NET_CREATING, /* the bus makes subchannels */
	NET_ANSWERING,
	NET_WORKS,
};

struct net_counters { /* atomic: written by the queue's thread, read by any */
	uint64_t rx_frames, rx_bytes, rx_dropped;
	uint64_t tx_frames, tx_bytes, tx_dropped;
};

/* Pieces of guest memory, one after the other. */
struct net_view {
	struct io_vec vec[NET_VECS];
	unsigned count;
	size_t bytes;
};

struct net_queue {
	struct vsp_net *net;
	struct vmbus_channel *vmbus;
	uint64_t seen; /* generation of @s; atomic: queue 0 looks at the others */
	unsigned index;
	uint32_t state; /* enum net_queue_state; atomic likewise */
	bool readable; /* the ring may hold packets: no signal comes before it was read to its end */
	bool blocked;  /* a packet did not fit: a signal comes when there is room */
	bool broken;   /* the ring is of no use any more */
	bool more;     /* frames are left after this turn's share */
	bool waits;    /* for the guest: there is no room for what the port has */
	bool port_used; /* frames were sent or received: port->flush is due */
	bool failed;	/* a message of the packet in work was malformed */
	bool signalled; /* atomic: by vmbus, any thread */
	struct net_settings s;

	/* The packet in work. */
	struct vmbus_packet p; /* into @packet */
	enum net_work work;
	uint32_t at; /* NET_SENDING: the next RNDIS message */
	uint32_t answer_bytes;
	struct nvsp_message answer;

	/* The frame that the port has lent for this turn. */
	uint32_t held_bytes;
	struct net_frame frame;
	/* Of a frame that was cut, what the guest has of it already; and its beginning, by which it is known again in the next turn. */
	unsigned pieces;
	uint8_t held_head[64];

	uint32_t lent; /* packets that the guest has */
	bool sealed;   /* the ring takes nothing more */
	bool left;     /* atomic, for any thread: and nothing is in it */

	uint32_t cache_count;
	uint32_t cache[NET_CACHE]; /* free suballocations */
	/* The packet that is being filled. */
	uint32_t range_count, range_first, range_last;
	struct vmbus_xfer_range ranges[NET_RANGES];
	uint16_t packet_id; /* of the next frame in several ranges */

	/* The mailbox, under the owner's lock. Closing follows opening. */
	bool mail_closing;
	bool mail; /* atomic: look into it */
	struct vmbus_channel *mail_opened;

	struct net_counters counters;

	uint64_t packet[NET_PACKET_BYTES / 8];
	struct net_view view;		      /* of the packet, while frames are taken from it */
	struct io_vec rest[NET_VECS];	      /* of the frame that is sent */
	uint8_t head[NET_HEAD_BYTES + 4];     /* its own beginning, with a tag that is taken out */
	uint8_t scratch[NET_FRAME_BYTES_MAX]; /* net_frame_fit */
};

struct net_reply {
	uint64_t generation; /* sent when all queues have seen it */
	uint32_t bytes;
	uint8_t message[NET_REPLY_BYTES];
};

/*
 * The suballocations of the receive buffer. Those that a packet in the guest's hands uses are chained by @next from the first one; its number + 1
 * is the packet's transaction.
 */
struct net_pool {
	uint32_t count;
	/* Under the owner's lock. */
	uint32_t free_count;
	uint64_t waiting; /* bit i: queue i wants some and is to be woken */
	uint32_t *free;

	uint32_t *next; /* each of the queue that has it */
	uint8_t *owner; /* atomic: queue + 1 of the first of a packet that the guest has; else 0 */
};

struct vsp_net {
	struct vsp_net_config config;
	char name[NET_NAME_BYTES];
	struct vmbus_device *device;
	struct net_queue *queues;
	struct net_pool pool;

	struct net_settings settings; /* under the owner's lock: queue 0 writes, the others copy */
	uint64_t generation;	      /* atomic */

	bool link_up; /* atomic, as is */
	bool leaving;
	uint64_t link_bps;
	bool network_changed;
	bool link_told; /* what the guest knows */
	uint64_t link_bps_told;

	/* Queue 0. */
	struct net_reply replies[NET_REPLIES];
	unsigned reply_first, reply_count;
	bool table_due; /* the indirection table, when all subchannels are open */
	bool creating;	/* the bus was asked for subchannels and has not answered */
	uint32_t creating_count;
	uint8_t request[NET_REQUEST_BYTES];

	bool mail_created; /* under the owner's lock */
	int mail_create_result;

	uint64_t violations[VIOLATION_KINDS]; /* atomic */
};

/* ---- report.c ---- */

/* Counts, and tells the 1st, 2nd, 4th, 8th, ... of each kind: bounded without a clock. */
__attribute__((format(printf, 3, 4))) void net_report(struct vsp_net *n, enum net_violation kind,
						      const char *format, ...);
/* Only the thread that owns a counter adds to it; others read. */
void net_count(uint64_t *counter, uint64_t add);

/* ---- net.c ---- */

/* What the guest shall think of the link. */
bool net_link_up(const struct vsp_net *n);

/* ---- leave.c ---- */

bool net_leaving(const struct vsp_net *n);
/* At the end of a turn of an open queue. */
void net_leave_serve(struct net_queue *q);

/* ---- mailbox.c ---- */

extern const struct vmbus_device_ops net_vmbus_ops;

void net_lock(struct vsp_net *n);
void net_unlock(struct vsp_net *n);
void net_wake(struct vsp_net *n, unsigned queue);
/* Takes what the bus thread left for @q: an open, a close, (queue 0) the answer to a request for subchannels. */
void net_mailbox_take(struct net_queue *q);
/* Asks the bus for subchannels; net_subchannels_created follows. Queue 0. */
void net_mailbox_create(struct vsp_net *n, uint32_t count);

/* ---- settings.c ---- */

/* Queue 0 changes the settings between these two; the other queues then have to see it. */
struct net_settings *net_settings_change(struct vsp_net *n);
void net_settings_changed(struct vsp_net *n);
/* Renews @q's copy. */
void net_settings_renew(struct net_queue *q);
/* All queues that are open have seen @generation. Queue 0. */
bool net_settled(const struct vsp_net *n, uint64_t generation);
/* As after creation; the MAC address stays. */
void net_settings_reset(struct vsp_net *n);

/* ---- queue.c ---- */

void net_queue_open(struct net_queue *q, struct vmbus_channel *vmbus);
void net_queue_close(struct net_queue *q);
/* Gives the channel back if it is closing and may go. */
void net_queue_finish_close(struct net_queue *q);
enum net_queue_state net_queue_state(const struct net_queue *q);
/* Takes packets from the guest, at most NET_BATCH. */
void net_queue_serve(struct net_queue *q);
/* Packets may be there that could be taken now. */
bool net_queue_more(const struct net_queue *q);
/* The packet in work is done: its answer is @type and what the caller put into q->answer; @bytes of it, 0: a completion without payload. */
void net_queue_answer(struct net_queue *q, uint32_t type, uint32_t bytes);
/* What a write to the ring said. True: it is written. */
bool net_queue_written(struct net_queue *q, enum vmbus_ring_status status);

/* ---- nvsp.c ---- */

/* A packet that carries an NVSP message: acts, and sets q->work. */
void net_nvsp(struct net_queue *q);
bool net_nvsp_version_known(uint32_t version);

/* ---- buffer.c ---- */

void net_buffer_receive(struct net_queue *q, const struct nvsp_message *m);
void net_buffer_send(struct net_queue *q, const struct nvsp_message *m);
void net_buffer_revoke(struct net_queue *q, const struct nvsp_message *m);
/* Goes on with NET_SETTLING. */
void net_buffer_settle(struct net_queue *q);

/* ---- subchannel.c ---- */

void net_subchannels(struct net_queue *q, const struct nvsp_message *m);
void net_subchannels_refuse(struct net_queue *q);
/* The bus said 0 or -errno. */
void net_subchannels_created(struct vsp_net *n, int result);
/* Writes the indirection table if it is due. Queue 0. */
void net_subchannels_serve(struct net_queue *q);

/* ---- pool.c ---- */

/* For @count suballocations; false: no memory. There is none yet. */
bool net_pool_create(struct vsp_net *n, uint32_t count);
/* No queue uses it any more. */
void net_pool_destroy(struct vsp_net *n);
/* Takes @count for frames; false: there are not so many, and none is taken. */
bool net_pool_take(struct net_queue *q, uint32_t count, uint32_t *ret);
/* One of those for control messages too. NET_SUBALLOC_NONE: none. */
uint32_t net_pool_take_reserved(struct net_queue *q);
void net_pool_give(struct net_queue *q, uint32_t suballoc);
/* The chain from @first is the guest's now. */
void net_pool_lend(struct net_queue *q, uint32_t first);
/* The guest gives back what @transaction stands for. False: that is not its own. */
bool net_pool_complete(struct net_queue *q, uint64_t transaction);
/* Everything of @q is free again: its channel closed. */
void net_pool_reclaim(struct net_queue *q);

/* ---- rndis.c ---- */

/* A control message of @bytes in n->request. False: it could not be answered now (too many answers wait) or is malformed. */
bool net_rndis_control(struct vsp_net *n, uint32_t bytes);
/* Adds an answer or indication that is sent when its time comes. False: too many. */
bool net_rndis_reply(struct vsp_net *n, const void *message, uint32_t bytes);
/* Sends what waits, and tells of changes of the link. Queue 0. */
void net_rndis_serve(struct net_queue *q);

/* ---- oid.c ---- */

struct net_out {
	uint8_t *buf;
	uint32_t capacity, bytes; /* bytes above capacity: it did not fit */
};
void net_out_bytes(struct net_out *o, const void *data, size_t bytes);
void net_out_u32(struct net_out *o, uint32_t v);

/* Information of @bytes from the guest at @in. An RNDIS status; the result of a query goes to @out. */
uint32_t net_oid_query(struct vsp_net *n, uint32_t oid, const uint8_t *in, uint32_t bytes,
		       struct net_out *out);
uint32_t net_oid_set(struct vsp_net *n, uint32_t oid, const uint8_t *in, uint32_t bytes);

/* One OID: what it takes, and who answers. In oid_*.c. */
struct net_oid {
	uint32_t oid;
	uint32_t set_bytes; /* a set has at least so many */
	uint32_t (*query)(struct vsp_net *n, const struct net_oid *oid, const uint8_t *in,
			  uint32_t bytes, struct net_out *out);
	uint32_t (*set)(struct vsp_net *n, const struct net_oid *oid, const uint8_t *in,
			uint32_t bytes);
	uint32_t value; /* of a query that always gives the same */
};

/* ---- oid_general.c, oid_address.c, oid_offload.c, oid_rss.c ---- */

typedef uint32_t net_oid_query_fn(struct vsp_net *n, const struct net_oid *oid, const uint8_t *in,
				  uint32_t bytes, struct net_out *out);
typedef uint32_t net_oid_set_fn(struct vsp_net *n, const struct net_oid *oid, const uint8_t *in,
				uint32_t bytes);
net_oid_query_fn net_query_value, net_query_mtu, net_query_total, net_query_speed,
	net_query_max_speed, net_query_link_state, net_query_connect, net_query_moderation,
	net_query_space, net_query_vendor, net_query_name, net_query_filter, net_query_lookahead,
	net_query_counter, net_query_statistics, net_query_driver_version;
net_oid_set_fn net_set_nothing, net_set_filter, net_set_lookahead;
net_oid_query_fn net_query_permanent_mac, net_query_mac, net_query_multicast;
net_oid_set_fn net_set_mac, net_set_multicast, net_add_multicast, net_delete_multicast,
	net_set_config_parameter;
net_oid_query_fn net_query_offload, net_query_offload_now, net_query_encapsulation;
net_oid_set_fn net_set_offload, net_set_encapsulation;
net_oid_query_fn net_query_rss_capabilities, net_query_rss;
net_oid_set_fn net_set_rss;
/* Tells the port how frames are spread. Queue 0. */
void net_rss_apply(struct vsp_net *n);
/* Offloads that the guest wants for what it receives. */
bool net_offload_rsc(const struct net_settings *s, bool ip6);

/* ---- transmit.c ---- */

enum net_transmit {
	NET_TRANSMIT_DONE,
	NET_TRANSMIT_MALFORMED,
	NET_TRANSMIT_HELD, /* the port has no room */
};
/* The RNDIS messages of the packet in work, from q->at on. */
enum net_transmit net_transmit(struct net_queue *q, const struct nvsp_rndis *m);

/* ---- view.c ---- */

/* Copies from @offset; both within the view. */
void net_view_copy(const struct net_view *v, size_t offset, void *buf, size_t bytes);
/* The part of @v as vectors; their number, at most NET_VECS. */
unsigned net_view_slice(const struct net_view *v, size_t offset, size_t bytes, struct io_vec *ret);

/* ---- offload.c ---- */

/* What a guest asks for with a frame. */
struct net_request {
	bool has_tag, has_checksum, has_lso;
	uint32_t tag; /* TCI */
	uint32_t checksum;
	uint32_t lso;
};
/* Makes a frame of what the guest sent: head @head (its own copy, which is filled in), offloads @r. NULL, or what is wrong. */
const char *net_offload_apply(struct net_frame *f, uint8_t *head, const struct net_request *r,
			      uint32_t takes);

/* RNDIS_RX_CHECKSUM_*_OK of @f, whose TCP or UDP checksum is right; the IP header's is looked at. */
uint32_t net_offload_verified(const struct net_frame *f);

/* ---- part.c ---- */

/* Of a frame: all of it, or (@split) one of several parts with RNDIS_PACKET_ID_* @packet_id_flags. */
struct net_part {
	uint32_t offset, bytes;
	bool split;
	uint32_t packet_id_flags;
};
/*
 * Writes a part of @f, the frame in hand or a piece of it, to @suballoc; the head lies in the first part. False: the buffer's pages are not there.
 */
bool net_part_write(struct net_queue *q, const struct net_frame *f, const struct net_part *part,
		    uint32_t suballoc, uint32_t *ret_bytes);

/* ---- receive.c, filter.c ---- */

/* Frames from the port to the guest, at most NET_BATCH. */
void net_receive_serve(struct net_queue *q);
/* Forgets the frame in hand and the packet that is being filled. */
void net_receive_drop(struct net_queue *q);
/* Does the guest want @f? */
bool net_filter(const struct net_settings *s, const uint8_t *permanent, const struct net_frame *f);

#endif
