/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the provider. A channel has at most one request on its way: it asks its component what it wants to send and when, writes that when the
 * ring has room, and gives it the answer, or the reason why there is none. Components hold what they were asked for; channels what is
 * true of all of them: versions, transactions, time limits, what a guest does wrong.
 */
#ifndef IC_SERVICE_H
#define IC_SERVICE_H

#include "protocol.h"
#include "vsp/ic.h"

#define IC_NEVER UINT64_MAX
#define IC_SECOND_NS UINT64_C(1000000000)

#define IC_PACKET_BYTES 16384u /* the largest answer that is read */
#define IC_BATCH 16u	       /* packets of a channel before others have their turn */
#define IC_UNASKED_MAX 256u    /* packets that nobody asked for, since the channel was opened */
#define IC_VERSIONS_MAX 4u

/* What guests do wrong; each kind is counted and told now and then. */
enum ic_violation {
	IC_VIOLATION_PACKET,	/* no answer at all: type, size, headers */
	IC_VIOLATION_UNASKED,	/* an answer to nothing */
	IC_VIOLATION_NEGOTIATE, /* versions that were not offered */
	IC_VIOLATION_BODY,	/* an answer that says nothing, or the impossible */
	IC_VIOLATION_RING,
	IC_VIOLATION_KINDS,
};

struct ic_channel;

/*
 * A component. Functions that are NULL do nothing. Constant.
 */
struct ic_component {
	const char *name;
	struct guid type, instance;
	uint16_t message_type;			     /* enum ic_message_type */
	struct ic_version versions[IC_VERSIONS_MAX]; /* oldest first */
	uint16_t version_count;
	bool old_framework;  /* guests that know 1.0 only may use it */
	size_t answer_bytes; /* least body of an answer that succeeds */
	uint64_t timeout_ns; /* for an answer */

	/* Versions are agreed on. */
	void (*ready)(struct ic_channel *ch);
	/* When it wants to send something; IC_NEVER: nothing. Asked when nothing is on its way. */
	uint64_t (*due_ns)(const struct ic_channel *ch);
	/* Writes the body of what it wants to send; how many bytes (at most IC_BODY_MAX). Called again when the ring had no room. 0: nothing after all. */
	size_t (*build)(struct ic_channel *ch, uint8_t *body);
	/* What was built last is in the ring. */
	void (*sent)(struct ic_channel *ch);
	/* The answer to it: at least answer_bytes when @status is 0. */
	void (*answered)(struct ic_channel *ch, uint32_t status, const uint8_t *body, size_t bytes);
	/* There will be none. With VSP_IC_GONE nothing can be sent any more: drops everything. */
	void (*lost)(struct ic_channel *ch, enum vsp_ic_result why);
	/* The guest's time and ours have parted, or it was restored. */
	void (*jumped)(struct ic_channel *ch);
	/* The component's own part of the saved state; restore is called with the channel as it was. */
	void (*save)(const struct ic_channel *ch, struct state_writer *w);
	bool (*restore)(struct ic_channel *ch, struct state_reader *r);
};

extern const struct ic_component ic_shutdown_component, ic_timesync_component,
	ic_heartbeat_component, ic_kvp_component, ic_vss_component, ic_fcopy_component;

struct ic_channel {
	struct vsp_ic *ic;
	enum vsp_ic_kind kind;
	const struct ic_component *component;
	struct vmbus_device *device; /* NULL: not offered */
	struct vmbus_channel *vmbus; /* NULL: not open */
	enum vsp_ic_state state;
	bool readable; /* the ring may hold packets: no signal comes before it was read to its end */
	bool blocked;  /* a request did not fit: a signal comes when there is room */

	struct ic_version framework, message; /* agreed on */
	bool waiting;			      /* a request is on its way */
	bool orphan; /* it was sent before a restore: nobody wants the answer */
	uint8_t transaction;
	uint64_t limit_ns; /* until when its answer is waited for */
	uint64_t stuck_ns; /* until when room in the ring is waited for; 0: there was some */
	uint64_t packet;   /* VMBus transaction ids */
	unsigned unasked;

	bool signalled; /* atomic: by vmbus, any thread */
	uint64_t violations[IC_VIOLATION_KINDS];
};

/* ---- What components hold ---- */

struct ic_shutdown {
	bool wanted; /* to be sent, or on its way */
	struct vsp_ic_done done;
	struct ic_shutdown_body body;
};

struct ic_timesync {
	bool sync;    /* the guest has not set its clock yet */
	bool written; /* what was built last sets it */
	uint64_t next_ns;
};

struct ic_heartbeat {
	enum vsp_ic_heartbeat contact;
	uint32_t application;
	uint64_t sequence; /* last one sent */
	uint64_t next_ns;
};

#define IC_KVP_JOBS 16u
#define IC_KVP_ITEMS 64u

/* One request of an owner: a message, or all of an enumeration. */
struct ic_kvp_job {
	uint8_t operation; /* enum ic_kvp_operation */
	uint8_t pool;
	struct vsp_ic_done done;
	union {
		struct ic_kvp_value value;
		struct ic_kvp_delete remove;
		struct ic_kvp_ip ip;
	} body;
};

struct ic_kvp {
	struct ic_kvp_job *jobs[IC_KVP_JOBS]; /* a ring */
	unsigned first, count;
	uint64_t refresh_ns; /* when the intrinsic items are read next */
	/* The enumeration that is under way, and what the last one brought. */
	struct vsp_ic_item fresh[IC_KVP_ITEMS], items[IC_KVP_ITEMS];
	unsigned fresh_count, index, item_count;
	/* Answers, for the callback. */
	char value[IC_KVP_VALUE_BYTES / 2 * 3 + 1];
	struct vsp_ic_ip ip;
};

enum ic_vss_step {
	IC_VSS_IDLE,
	IC_VSS_ASKING, /* whether it can at all */
	IC_VSS_FREEZING,
	IC_VSS_FROZEN,
	IC_VSS_THAWING,
};

struct ic_vss {
	enum ic_vss_step step;
	bool expired; /* the guest went on because time ran out, and nobody has heard of that yet */
	uint64_t hold_ns, thaw_at_ns;
	struct vsp_ic_done done;
};

struct ic_fcopy {
	bool active;
	enum ic_fcopy_operation operation; /* to be sent, or on its way */
	enum vsp_ic_result result;	   /* and status: why it is cancelled */
	uint32_t status;
	uint64_t offset;
	uint32_t part; /* bytes of the message that was built last */
	struct vsp_ic_copy copy;
	struct vsp_ic_done done;
	struct ic_fcopy_start start;
};

struct vsp_ic {
	struct vsp_ic_config config;
	struct ic_channel channels[VSP_IC_KINDS];
	struct ic_shutdown shutdown;
	struct ic_timesync timesync;
	struct ic_heartbeat heartbeat;
	struct ic_kvp kvp;
	struct ic_vss vss;
	struct ic_fcopy fcopy;
	uint64_t packet[IC_PACKET_BYTES / 8];
	uint64_t message[(8 + 20 + IC_BODY_MAX + 7) / 8 + 1]; /* what is built */
};

static inline uint64_t ic_now(const struct vsp_ic *ic)
{
	return ic->config.now_ns(ic->config.ctx);
}

/* @ns from now, without overflow. */
static inline uint64_t ic_after(const struct vsp_ic *ic, uint64_t ns)
{
	uint64_t now = ic_now(ic);

	return ns > IC_NEVER - 1 - now ? IC_NEVER - 1 : now + ns;
}

static inline bool ic_version_least(const struct ic_channel *ch, uint16_t major, uint16_t minor)
{
	return ch->message.major > major ||
	       (ch->message.major == major && ch->message.minor >= minor);
}

/* Calls it once, and forgets it first: the callback may ask for the next. */
void ic_finish(struct vsp_ic_done *done, enum vsp_ic_result result, uint32_t status);
/* Something is to be sent: have the poll called. */
void ic_wake(struct vsp_ic *ic);
void ic_changed(const struct ic_channel *ch);

/* ---- channel.c ---- */

extern const struct vmbus_device_ops ic_vmbus_ops;

/* Reads, sends; when it wants to be called again. */
uint64_t ic_channel_serve(struct ic_channel *ch);
/* Ends what the channel had under way: the guest is not there any more. */
void ic_channel_drop(struct ic_channel *ch);
bool ic_channel_ready(const struct ic_channel *ch);
/* The guest broke the protocol, and is not talked to until it opens the channel again. */
void ic_channel_break(struct ic_channel *ch);

/* ---- negotiate.c ---- */

/* Body of NEGOTIATE for @c; how many bytes. */
size_t ic_negotiate_build(const struct ic_component *c, uint8_t *body);
/* The guest's answer: the channel is ready, or incompatible. */
void ic_negotiate_answered(struct ic_channel *ch, const uint8_t *body, size_t bytes);
/* @v is one that we offer for the component. */
bool ic_version_offered(const struct ic_component *c, struct ic_version framework,
			struct ic_version message);

/* ---- report.c ---- */

/* Counts, and tells the 1st, 2nd, 4th, 8th, ... of each kind: bounded without a clock. */
__attribute__((format(printf, 3, 4))) void ic_report(struct ic_channel *ch, enum ic_violation kind,
						     const char *format, ...);

/* ---- kvp_items.c ---- */

/* Adds what an ENUMERATE brought to the fresh items. False: malformed, or no memory. */
bool ic_kvp_add_item(struct ic_kvp *k, const struct ic_kvp_value *v);
/* The fresh items take the place of the old ones. True: they are others. */
bool ic_kvp_take_items(struct ic_kvp *k);
void ic_kvp_drop_fresh(struct ic_kvp *k);
void ic_kvp_drop_items(struct ic_kvp *k);
/* The value in decimal or as text. */
bool ic_kvp_value_text(const struct ic_kvp_value *v, char *ret, size_t size);

/* ---- kvp_ip.c ---- */

bool ic_kvp_ip_build(const char *adapter, const struct vsp_ic_ip *ip, struct ic_kvp_ip *ret);
bool ic_kvp_ip_parse(const struct ic_kvp_ip *body, struct vsp_ic_ip *ret);

#endif
