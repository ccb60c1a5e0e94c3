/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests and fuzz targets: an adapter on a real bus, a port that is the test's, and a guest that talks to the adapter as Linux's netvsc does.
 * All of it on one thread, unless the test drives parts of it by itself.
 */
#ifndef NET_RIG_H
#define NET_RIG_H

#include "adapter.h"
#include "vmbus/testing/owner.h"

#define RIG_QUEUES 5u
#define RIG_RING_PAGES 9u
#define RIG_RECEIVE_PAGES 64u
#define RIG_SEND_PAGES 32u
#define RIG_DATA_PAGES 40u
#define RIG_RECEIVE_GPADL 0x7001u
#define RIG_SEND_GPADL 0x7002u
#define RIG_RECEIVE_ID 0xcafeu
#define RIG_FRAMES 256u
#define RIG_MESSAGES 512u
#define RIG_MAC ((const uint8_t[]){0x00, 0x15, 0x5d, 1, 2, 3})

struct rig_config {
	uint32_t queues;	/* 0: 1 */
	uint32_t ring_pages;	/* 0: RIG_RING_PAGES */
	uint32_t receive_pages; /* 0: RIG_RECEIVE_PAGES */
	uint32_t mtu, mtu_max;
	bool takes_nothing;
	struct fake_guest_config guest;
};

/* A frame in the port, with its bytes. */
struct rig_frame {
	unsigned queue;
	uint32_t bytes, tag;
	struct net_offload offload;
	uint8_t *data;
};

/* An RNDIS message that the guest got. */
struct rig_message {
	unsigned channel;
	uint32_t kind; /* NVSP_CHANNEL_* */
	uint64_t transaction;
	unsigned index, of; /* which range of its packet */
	uint32_t bytes;
	uint8_t *data;
};

struct rig_completion {
	unsigned channel;
	uint64_t transaction;
	size_t bytes;
	struct nvsp_message message;
};

struct rig {
	struct fake_owner owner; /* first */
	struct rig_config config;
	struct vsp_net_config net_config;
	struct fake_guest *g;
	struct vsp_net *n;
	struct guid instance;
	struct fake_guest_channel channels[RIG_QUEUES];
	bool open[RIG_QUEUES];
	uint64_t receive_pfns[2048], send_pfns[RIG_SEND_PAGES], data_pfns[RIG_DATA_PAGES];
	uint32_t receive_pages;
	uint32_t request; /* the last RNDIS request id */
	uint64_t transaction;

	/* The guest. */
	bool keep; /* packets are not completed by themselves */
	struct rig_message messages[RIG_MESSAGES];
	unsigned message_count;
	struct rig_completion completions[RIG_MESSAGES];
	unsigned completion_count;
	uint32_t table[NVSP_TABLE_ENTRIES];
	unsigned tables; /* indirection tables that came */

	/* The port. */
	struct rig_frame sent[RIG_FRAMES]; /* by the guest */
	unsigned sent_count;
	unsigned room;					  /* frames that the port takes yet */
	struct rig_frame waiting[RIG_QUEUES][RIG_FRAMES]; /* for the guest */
	unsigned waiting_first[RIG_QUEUES], waiting_count[RIG_QUEUES];
	struct io_vec rest[RIG_QUEUES][3];
	unsigned received, flushes;
	uint32_t
		flushed_at; /* the write index of the queue's ring that the guest saw at the last flush */
	struct net_rss rss;
	unsigned rss_queues;
	uint8_t mac[NET_MAC_BYTES];
	bool mac_refused;

	unsigned gone;
	unsigned woken[VSP_NET_QUEUES_MAX]; /* by queue */
};

/* Guest, bus, adapter; not connected. */
struct rig *rig_create(const struct rig_config *config);
void rig_destroy(struct rig *r);
/* Bus, adapter and guest work until none has anything to do. */
void rig_run(struct rig *r);
/* Without the guest, which leaves its rings as they are. */
void rig_run_host(struct rig *r);
/* The guest takes everything out of the ring of @channel. */
void rig_take(struct rig *r, unsigned channel);
/* It gives back what came with @transaction. False: the ring is full. */
bool rig_complete(struct rig *r, unsigned channel, uint64_t transaction);
void rig_forget(struct rig *r);

bool rig_connect(struct rig *r, uint32_t vmbus_version);
bool rig_open(struct rig *r, unsigned index);
bool rig_close(struct rig *r, unsigned index);

/* Bus and adapter saved; another process begins in the same guest. */
size_t rig_save(struct rig *r, void *buf, size_t capacity);
void rig_replace(struct rig *r);
bool rig_restore(struct rig *r, const void *buf, size_t bytes);

/* An NVSP message of 40 bytes; then it holds the answer. The size of that; SIZE_MAX: there was none. */
size_t rig_ask(struct rig *r, struct nvsp_message *m);
/* One that nobody answers. */
bool rig_tell(struct rig *r, const struct nvsp_message *m);
/* INIT alone: the status. */
uint32_t rig_init(struct rig *r, uint32_t min, uint32_t max);
/* NDIS configuration with @mtu (without header) and everything that Linux says. */
void rig_ndis_config(struct rig *r, uint32_t mtu, uint64_t capabilities);
uint32_t rig_receive_buffer(struct rig *r, struct nvsp_receive_complete *ret);
uint32_t rig_send_buffer(struct rig *r);
/* All of it as Linux does it, RNDIS INIT included; no filter yet. */
bool rig_start(struct rig *r, uint32_t version, uint32_t mtu);
/* Connects with the newest bus, starts with @version and sets Linux's filter. */
bool rig_up(struct rig *r, uint32_t version);
bool rig_create_subchannels(struct rig *r, uint32_t count);

/* A control message by pages; the answer with that request id (or type) in @ret. Its size; 0: none. */
uint32_t rig_control(struct rig *r, const void *message, uint32_t bytes, void *ret,
		     uint32_t capacity);
/* The RNDIS status; UINT32_MAX: no answer. */
uint32_t rig_query(struct rig *r, uint32_t oid, const void *in, uint32_t in_bytes, void *out,
		   uint32_t capacity, uint32_t *ret_bytes);
uint32_t rig_set(struct rig *r, uint32_t oid, const void *in, uint32_t bytes);
uint32_t rig_set_filter(struct rig *r, uint32_t filter);

/* Frames from the guest. */
enum rig_way { RIG_SECTION, RIG_PAGES, RIG_PARTIAL };
struct rig_ppi {
	uint32_t type, value;
};
/* Puts an RNDIS message together in @buf; its size. */
uint32_t rig_message(uint8_t *buf, const void *frame, uint32_t bytes, const struct rig_ppi *ppi,
		     unsigned ppis);
/* Messages of @bytes in all go in one packet; @head of them in the section if that is the way. The transaction; 0: no room. */
uint64_t rig_send_raw(struct rig *r, unsigned channel, enum rig_way way, unsigned section,
		      const void *messages, uint32_t bytes, uint32_t head);
uint64_t rig_send(struct rig *r, unsigned channel, enum rig_way way, const void *frame,
		  uint32_t bytes, const struct rig_ppi *ppi, unsigned ppis);
/* The status of the completion of @transaction; 0: it did not come. */
uint32_t rig_status(const struct rig *r, uint64_t transaction);

/* Frames for the guest: put into the port. */
void rig_offer(struct rig *r, unsigned queue, const void *data, uint32_t bytes, uint32_t tag,
	       const struct net_offload *offload);
/* The data of an RNDIS packet that came, and a piece of its information. */
const uint8_t *rig_data(const struct rig_message *m, uint32_t *ret_bytes);
bool rig_information(const struct rig_message *m, uint32_t type, uint32_t *ret_value);
/* The n-th data message. NULL: not so many. */
const struct rig_message *rig_frame_message(const struct rig *r, unsigned n);

#endif
