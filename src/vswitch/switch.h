/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the switch: its parts, and what they ask of each other. */
#ifndef VSWITCH_SWITCH_H
#define VSWITCH_SWITCH_H

#include "headers.h"
#include "lib/be.h"
#include "vswitch/vswitch.h"

#define SECOND_NS UINT64_C(1000000000)

/* ---- Address table (mac.c) ---- */

#define MAC_NONE UINT32_MAX

/* Which of a port's two lists an entry is on. */
enum mac_kind { MAC_LEARNED, MAC_FIXED, MAC_KINDS };

struct mac_entry {
	uint64_t key; /* mac_key */
	uint64_t seen_ns;
	struct vswitch_port *port; /* NULL: free */
	uint32_t next;		   /* of the bucket, or free */
	uint32_t newer, older;	   /* of the port's list */
	enum mac_kind kind;
};

struct mac_table {
	uint32_t *buckets;
	struct mac_entry *entries;
	uint32_t mask; /* of buckets */
	uint32_t max, used, fixed;
	uint32_t free;
	uint64_t seed, aging_ns;
};

struct mac_list {
	uint32_t newest, oldest, count;
};

/* ---- Multicast (snoop.c) ---- */

#define SNOOP_BUCKETS 1024u
#define SNOOP_FAMILIES 2u /* IGMP, MLD */

struct snoop_member {
	struct snoop_member *next;
	struct vswitch_port *port; /* NULL: the uplinks */
	uint64_t until_ns;
};

struct snoop_key {
	uint16_t fid;
	uint8_t family; /* 4, 6 */
	uint8_t zero;	/* no hole: keys are compared as bytes */
	uint8_t address[16];
};

struct snoop_group {
	struct snoop_group *next; /* of the bucket */
	struct snoop_key key;
	struct snoop_member *members;
};

struct snoop_querier {
	uint64_t since_ns, until_ns;
};

struct snoop {
	struct snoop_group *buckets[SNOOP_BUCKETS];
	struct snoop_querier (*queriers)[SNOOP_FAMILIES]; /* [NET_VIDS] */
	unsigned groups, members;
	uint64_t swept_ns;
};

/* ---- Ports and the switch ---- */

/* A limit on a rate: the time up to which what came is paid for. */
struct rate {
	uint64_t paid_ns;
};

struct port_acls {
	struct vswitch_acl *rules; /* as configured */
	uint16_t *
		order; /* of the rules: highest weight first, those of equal weight as configured */
	uint64_t (*meters)[2]; /* of each rule: frames, bytes */
	unsigned count;
	bool in, out; /* is there any rule of this way? */
};

struct vswitch_port {
	/* each frame */
	struct vswitch *s;
	uint64_t own_mac; /* as mac_of; 0: none */
	const struct vswitch_port_ops *ops;
	void *ctx;
	enum vswitch_role role;
	uint32_t takes, mtu;
	uint16_t vid; /* inside, of what comes untagged */
	bool trunk;   /* tags are allowed */
	bool up, dirty, spoofing, guarded;
	uint32_t mirror;
	struct port_acls acls;
	struct vswitch_stats stats;
	int64_t deficit;
	struct rate bandwidth;
	/* now and then */
	struct rate storm_broadcast, storm_multicast, storm_unknown;
	struct mac_list macs[MAC_KINDS];
	unsigned place;			    /* in s->ports */
	uint64_t marked;		    /* s->mark: has got this frame */
	uint64_t router_ns[SNOOP_FAMILIES]; /* a multicast router is there until then */
	uint64_t everything_ns; /* its memberships did not fit: gets all multicast until then */
	unsigned memberships;
	uint8_t carries[NET_VIDS / 8]; /* bit v: frames of VLAN v leave by it */
	struct vswitch_port_config config;
};

/* What a frame for many ports is compared with, close together. */
struct place {
	struct vswitch_port *port;
	uint16_t
		only_vid; /* the only VLAN that leaves by the port; VSWITCH_VID_ANY: several, see port->carries */
	uint16_t role;
};

struct vswitch {
	struct vswitch_config config;
	struct place ports[VSWITCH_PORTS_MAX];
	unsigned port_count;
	/* Host and VM ports that get what is for unknown addresses. */
	struct vswitch_port *curious[VSWITCH_PORTS_MAX];
	unsigned curious_count;
	struct vswitch_port *mirrors[VSWITCH_PORTS_MAX];
	unsigned mirror_count;
	/* Ports with a multicast router behind them; uplinks are one. */
	struct vswitch_port *routers[VSWITCH_PORTS_MAX];
	unsigned router_count;
	uint64_t team_router_ns[SNOOP_FAMILIES];
	struct vswitch_port *dirty[VSWITCH_PORTS_MAX]; /* to be flushed */
	unsigned dirty_count;
	struct vswitch_port *uplinks[VSWITCH_UPLINKS_MAX];
	unsigned uplink_count;
	struct vswitch_port *active[VSWITCH_UPLINKS_MAX]; /* uplinks that are up */
	unsigned active_count;
	bool was_up;		    /* team_is_up, as the ports know it */
	uint16_t primary[NET_VIDS]; /* of a secondary VLAN; 0: it is none */
	struct mac_table macs;
	struct snoop snoop;
	uint64_t mark;
	uint8_t scratch[NET_FRAME_BYTES_MAX]; /* net_frame_fit */
	uint8_t control[NET_FRAME_BYTES_MAX]; /* snoop.c: a whole message */
};

/* A frame on its way through the switch. */
struct transit {
	struct vswitch *s;
	struct vswitch_port *from;
	const struct net_frame *f;
	uint64_t now_ns;
	uint64_t source, destination; /* mac_of */
	uint16_t vid;		      /* inside */
	uint16_t fid;		      /* VLAN in which addresses are learned: the primary */
	bool parsed;
	struct net_headers headers; /* transit_headers */
	struct mac_entry *known;    /* of the source, learned; NULL: not yet */
};

/* Parsed when somebody asks: most frames need it not. */
const struct net_headers *transit_headers(struct transit *t);

/* The six bytes at @p (eight are readable) as a number. */
static inline uint64_t mac_of(const uint8_t *p)
{
	return load_le64(p) & UINT64_C(0xffffffffffff);
}

static inline bool mac_is_multicast(uint64_t mac)
{
	return (mac & 1) != 0;
}
#define MAC_BROADCAST UINT64_C(0xffffffffffff)

/* ---- mac.c ---- */

int mac_table_init(struct mac_table *t, const struct vswitch_config *config);
void mac_table_fini(struct mac_table *t);
/* @vid: VSWITCH_VID_ANY for addresses that hold in all VLANs of their port. NULL: not there, or too old. */
struct mac_entry *mac_find(const struct mac_table *t, uint64_t mac, uint16_t vid);
bool mac_is_old(const struct mac_table *t, const struct mac_entry *e, uint64_t now_ns);
/* -EADDRINUSE: fixed at another port; -ENOSPC. It may be there already. */
int mac_fix(struct vswitch_port *p, uint64_t mac, uint16_t vid);
int mac_unfix(struct vswitch_port *p, uint64_t mac, uint16_t vid); /* -ENOENT */
/* @t->source lives at @t->from; @t->known is its entry or NULL. */
void mac_learn(struct transit *t);
void mac_forget(struct vswitch_port *p, enum mac_kind kind);
/* Forgets what is too old. */
void mac_age(struct vswitch *s, uint64_t now_ns);

/* ---- vlan.c ---- */

/* 0, -EINVAL, -EADDRINUSE: @vlan as configuration of @p (NULL: a new port). */
int vlan_check(const struct vswitch *s, const struct vswitch_port *p,
	       const struct vswitch_vlan *vlan);
/* Ports were added, removed or configured, one of them private perhaps. */
void vlan_update(struct vswitch *s, struct vswitch_port *changed, bool private_changed);
/* Sets t->vid and t->fid. False: it may not enter. */
bool vlan_enter(struct transit *t);
/* Does @p have a part in the VLAN of @t, or in its private VLAN, even if frames of this kind may not leave by it? */
bool vlan_shares(const struct transit *t, const struct vswitch_port *p);
static inline bool vlan_carries(const struct vswitch_port *p, uint16_t vid)
{
	return (p->carries[vid / 8] >> (vid % 8) & 1) != 0;
}
/* The tag outside of @p. False: it may not leave. */
bool vlan_leave(const struct transit *t, const struct vswitch_port *p, uint32_t *ret_tag);

/* ---- guard.c, acl.c, storm.c, budget.c ---- */

/* Does a guard of the port stop it? */
bool guard_stops(struct transit *t);

int acl_compile(const struct vswitch_port_config *config,
		struct port_acls *ret); /* -EINVAL, -ENOMEM */
void acl_free(struct port_acls *acls);
/* @p: where it enters (@out) or would leave. */
bool acl_allows(struct transit *t, struct vswitch_port *p, bool out);

/* Room for one more of @per_second (0: no limit)? */
bool storm_allows(struct rate *r, uint32_t per_second, uint64_t now_ns);

void budget_charge(struct vswitch_port *p, const struct net_frame *f, uint64_t now_ns);

/* ---- team.c ---- */

/* Uplinks came, went, or changed their link: tells all ports when the switch as a whole goes up or down. */
void team_update(struct vswitch *s);
bool team_is_up(const struct vswitch *s);
/* The uplink for the frame; NULL: none is up. */
struct vswitch_port *team_choose(struct transit *t);
/* May the frame that an uplink brings in be taken from this one? */
bool team_accepts(const struct transit *t);

/* ---- forward.c, mirror.c ---- */

void forward(struct transit *t);
/* To all ports that carry the VLAN. */
void forward_flood(struct transit *t);
/* To @p, if it may leave there; once per frame. NULL: to the uplinks. */
void forward_to(struct transit *t, struct vswitch_port *p);
/* Delivers @f, fit for @p. The number of frames its owner took. */
unsigned forward_deliver(struct vswitch_port *p, const struct net_frame *f);
bool forward_fits(const struct vswitch_port *p, const struct net_frame *f);

void mirror_copy(struct vswitch *s, const struct net_frame *f);

/* ---- snoop.c ---- */

void snoop_forget(struct vswitch_port *p);
void snoop_age(struct vswitch *s, uint64_t now_ns);
/* A multicast frame: learns from it and forwards it. */
void snoop_forward(struct transit *t);

/* ---- snoop_group.c ---- */

int snoop_init(struct snoop *n); /* -ENOMEM */
void snoop_fini(struct snoop *n);
/* NULL: nobody is in it. */
struct snoop_group *snoop_group_find(struct snoop *n, const struct snoop_key *key);
/* @p (NULL: the uplinks) as a member of @g. NULL: it is none. */
struct snoop_member *snoop_group_member(struct snoop_group *g, const struct vswitch_port *p);
/* Makes @p a member, with until_ns to be set. NULL: there is no room. */
struct snoop_member *snoop_group_join(struct snoop *n, const struct snoop_key *key,
				      struct vswitch_port *p);
void snoop_group_leave(struct snoop *n, const struct snoop_key *key, const struct vswitch_port *p);
void snoop_group_forget_port(struct snoop *n, const struct vswitch_port *p);
void snoop_group_forget_old(struct snoop *n, uint64_t now_ns);

/* ---- snoop_read.c ---- */

enum snoop_what { SNOOP_DATA, SNOOP_QUERY, SNOOP_REPORT, SNOOP_ROUTER, SNOOP_BAD };

struct snoop_message {
	enum snoop_what what;
	bool from_nobody;     /* query: no source address */
	const uint8_t *bytes; /* report: from the type on */
	uint32_t count;
};

/* What a multicast IP frame is; copies messages to @s->control. */
void snoop_read(struct transit *t, struct snoop_message *ret);
/* Calls @change for each group that the report joins or leaves. */
void snoop_each(const struct snoop_message *m, uint8_t family, struct transit *t,
		void (*change)(struct transit *t, const uint8_t *address, bool join));

#endif
