/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual switch: ports, and the rules by which a frame that enters one leaves others. A switch, its ports and all calls belong to
 * one thread; nothing here blocks, and time comes in as now_ns (monotonic).
 *
 * A frame that enters a port goes through, in this order: form (net_frame_check), storm limits, source (VLAN, spoofing, loops), guards,
 * ACLs, learning, forwarding; and at each port it would leave by: VLAN, private VLAN, ACLs, size, the port's offloads. Every drop has
 * a counter, at the port where it happens.
 *
 * Who gets what: a known address is one port's. An unknown one goes to the uplinks, the host, and VM ports with spoofing on (a VM behind
 * them may have more addresses than the switch knows); the other VM ports have exactly the addresses the switch was told, and
 * never see other unicast. Broadcast goes everywhere. Multicast goes to who joined, while a querier is there that keeps
 * memberships fresh, and everywhere when there is none. Nothing goes from uplink to uplink. The addresses that IEEE 802.1D keeps
 * for the link itself (01-80-C2-00-00-0x) are not forwarded.
 *
 * Spec: IEEE 802.1Q (tags, learning, aging), RFC 4541 (IGMP and MLD snooping), RFC 5517 (private VLANs).
 */
#ifndef VSWITCH_VSWITCH_H
#define VSWITCH_VSWITCH_H

#include "vswitch/frame.h"

struct vswitch;
struct vswitch_port;

#define VSWITCH_NAME_BYTES 64u
#define VSWITCH_PORTS_MAX 4096u
#define VSWITCH_ACLS_MAX 256u
#define VSWITCH_UPLINKS_MAX 8u

enum vswitch_team {
	VSWITCH_TEAM_HASH,    /* each conversation keeps to one uplink that is up */
	VSWITCH_TEAM_STANDBY, /* the first that is up carries all */
};

struct vswitch_config {
	uint32_t macs_max;	/* entries of the address table, 256 to 1 << 20; 0: 16384 */
	uint64_t aging_ns;	/* 0: 300 s */
	enum vswitch_team team; /* when there are several uplinks */
	bool no_snooping;	/* multicast goes everywhere, as broadcast */
	uint64_t seed;		/* random: nobody can choose addresses that collide in the table */
};

/* -EINVAL: a value out of range; -ENOMEM. */
int vswitch_create(const struct vswitch_config *config, struct vswitch **ret);
/* With all ports. NULL: nothing. */
void vswitch_destroy(struct vswitch *s);
/* Aging, queriers, membership timeouts, rate limits. Returns when it wants to be called again (now_ns scale). */
uint64_t vswitch_tick(struct vswitch *s, uint64_t now_ns);

/* ---- Ports ---- */

enum vswitch_role {
	VSWITCH_VM,	/* an adapter of a VM */
	VSWITCH_HOST,	/* the host itself, or its NAT */
	VSWITCH_UPLINK, /* a physical network; several make a team */
};

enum vswitch_vlan_mode {
	/* Untagged outside (or with a priority only), @vid inside; 0: the network without a VLAN. */
	VSWITCH_VLAN_ACCESS,
	/* Tagged with any of @trunk; untagged is @vid, the native VLAN; 0: the network without a VLAN. */
	VSWITCH_VLAN_TRUNK,
	/* Untagged outside, @vid primary, @secondary. On trunks, what isolated and community ports send has the tag of their secondary. */
	VSWITCH_VLAN_PRIVATE,
};

enum vswitch_private {
	VSWITCH_PRIVATE_ISOLATED,
	VSWITCH_PRIVATE_COMMUNITY,
	VSWITCH_PRIVATE_PROMISCUOUS
};

struct vswitch_vlan {
	enum vswitch_vlan_mode mode;
	uint16_t vid;
	/* Private. Belongs to one primary in the whole switch. Promiscuous: none, it sees all that other ports have with its primary, and @trunk. */
	uint16_t secondary;
	enum vswitch_private private;
	uint8_t trunk[NET_VIDS / 8]; /* bit v: VLAN v is carried */
};

/* Copies go to all destinations of the switch, with the tag that the frame has at the port it is copied from. */
#define VSWITCH_MIRROR_IN 0x1u	/* frames that enter the port and are accepted are copied */
#define VSWITCH_MIRROR_OUT 0x2u /* frames that leave it and are taken are copied */
#define VSWITCH_MIRROR_TO                                                                          \
	0x4u /* the port is a destination: it gets copies, with their tags, and nothing else; what it sends is dropped */

enum vswitch_acl_action { VSWITCH_ACL_ALLOW, VSWITCH_ACL_DENY, VSWITCH_ACL_METER };

/*
 * A stateless rule; all that it names must match. In: from the network to the port's owner. Out: from the owner. Where a frame does not
 * show what a rule asks for (its headers are cut off), a DENY matches and an ALLOW does not; later fragments match no rule with ports.
 */
struct vswitch_acl {
	enum vswitch_acl_action action; /* METER counts and goes on to the next rule */
	bool in, out;
	uint32_t
		weight; /* the highest matching rule decides; equal: the first. Nothing matches: allowed */
	uint16_t ethertype; /* 0: any */
	uint8_t protocol;   /* of IP; 0: any */
	bool has_local_mac, has_remote_mac;
	uint8_t local_mac[NET_MAC_BYTES], remote_mac[NET_MAC_BYTES];
	uint8_t family; /* of the addresses: 0 none, 4, 6 */
	uint8_t local_ip[16], remote_ip[16];
	uint8_t local_prefix, remote_prefix;	    /* bits; 0: any */
	uint16_t local_port_first, local_port_last; /* TCP and UDP; both 0: any */
	uint16_t remote_port_first, remote_port_last;
};

struct vswitch_port_config {
	char name[VSWITCH_NAME_BYTES]; /* unique in the switch */
	enum vswitch_role role;
	/* VM: its own address, valid in all its VLANs, unique in the switch. Others: the same when it is not 0. */
	uint8_t mac[NET_MAC_BYTES];
	uint32_t
		mtu; /* largest frame without its Ethernet header, when it is not to be cut; 0: NET_MTU_MAX */
	uint32_t takes; /* NET_TAKES_*; large segments only with CSUM */
	struct vswitch_vlan vlan;
	bool spoofing;	   /* VM: other source addresses than its own may leave it */
	bool dhcp_guard;   /* VM: drops what a DHCP (4 and 6) server sends */
	bool router_guard; /* VM: drops router advertisements and redirects */
	uint32_t mirror;   /* VSWITCH_MIRROR_* */
	uint32_t broadcast_pps, multicast_pps,
		unknown_pps;		/* storm limits on what enters; 0: none */
	uint64_t max_bps;		/* on what enters from the owner; 0: no limit */
	uint32_t weight;		/* 1 to 100: its share when the switch is busy; 0: 1 */
	const struct vswitch_acl *acls; /* copied */
	unsigned acl_count;
};

enum vswitch_drop {
	VSWITCH_DROP_FORM, /* not a well-formed frame */
	VSWITCH_DROP_SIZE, /* larger than the MTU */
	VSWITCH_DROP_STORM,
	VSWITCH_DROP_SPOOF,
	VSWITCH_DROP_VLAN,
	VSWITCH_DROP_GUARD,
	VSWITCH_DROP_ACL,
	VSWITCH_DROP_LOOP, /* an uplink brought back what a port here sent, or what another uplink of the team brings */
	VSWITCH_DROP_RESERVED, /* an address that is never forwarded */
	VSWITCH_DROP_MIRROR,   /* sent by a mirror destination */
	VSWITCH_DROP_LINK,     /* the port is down */
	VSWITCH_DROP_ROOM,     /* its owner did not take it in time */
	VSWITCH_DROPS,
};
/* "form", "size" .. */
const char *vswitch_drop_name(enum vswitch_drop drop);

struct vswitch_stats {
	uint64_t in_frames, in_bytes;	/* that entered and were accepted */
	uint64_t out_frames, out_bytes; /* that its owner took */
	uint64_t in_broadcast, in_multicast, out_broadcast, out_multicast;
	uint64_t drops_in[VSWITCH_DROPS], drops_out[VSWITCH_DROPS];
};

/* Called from within calls of the switch; must not call it. */
struct vswitch_port_ops {
	/* Takes a frame (copies it); it fits config.takes and the port's VLAN mode. False: no room. */
	bool (*deliver)(void *ctx, const struct net_frame *f);
	/* A batch ended in which frames were delivered: tell the owner. */
	void (*flush)(void *ctx);
	/* Link of the switch side changed for this port (no uplink is up any more); may be NULL. */
	void (*link)(void *ctx, bool up);
};

/*
 * -EEXIST: the name is taken; -EADDRINUSE: the MAC is, or the secondary VLAN by another primary; -EINVAL: a VLAN or another value
 * out of range, a VM without an address; -ENOSPC: VSWITCH_PORTS_MAX, VSWITCH_UPLINKS_MAX, half of the address table is static; -ENOMEM.
 */
int vswitch_port_add(struct vswitch *s, const struct vswitch_port_config *config,
		     const struct vswitch_port_ops *ops, void *ctx, struct vswitch_port **ret);
/* Everything learned on it is forgotten. NULL: nothing. */
void vswitch_port_remove(struct vswitch_port *p);
/* New configuration (all of it; name and role stay). Errors as for add; then nothing changed. */
int vswitch_port_configure(struct vswitch_port *p, const struct vswitch_port_config *config);
/* The owner's link; ports begin up. */
void vswitch_port_link(struct vswitch_port *p, bool up);
/* A static address besides the port's own, in VLAN @vid (0: the network without one). -EADDRINUSE, -EINVAL, -ENOSPC. */
int vswitch_port_mac_add(struct vswitch_port *p, const uint8_t *mac, uint16_t vid);
int vswitch_port_mac_remove(struct vswitch_port *p, const uint8_t *mac, uint16_t vid); /* -ENOENT */
const struct vswitch_port_config *vswitch_port_config(const struct vswitch_port *p);
void vswitch_port_stats(const struct vswitch_port *p, struct vswitch_stats *ret);
/* @frames of @bytes in all that its owner took were lost behind it, for want of room. */
void vswitch_port_lost(struct vswitch_port *p, uint64_t frames, uint64_t bytes);
/* Frames and bytes that matched METER rule @acl (index in config.acls) since the rules were configured. */
void vswitch_port_meter(const struct vswitch_port *p, unsigned acl, uint64_t *ret_frames,
			uint64_t *ret_bytes);

/* Address table, for people. Calls @found for each entry. */
#define VSWITCH_VID_ANY 0xffffu
struct vswitch_mac {
	uint8_t mac[NET_MAC_BYTES];
	uint16_t vid;	 /* VSWITCH_VID_ANY: all VLANs of the port */
	bool fixed;	 /* does not age */
	uint64_t age_ns; /* since it was last seen */
	const struct vswitch_port *port;
};
void vswitch_macs(const struct vswitch *s, void (*found)(void *ctx, const struct vswitch_mac *m),
		  void *ctx, uint64_t now_ns);

/* ---- Frames ---- */

/*
 * How many bytes may enter @p in this round: its share (weight) and its rate limit. The owner's ring is left alone beyond that
 * (back-pressure, not loss). A frame counts vswitch_cost. 0: not before *ret_when (which is now: next round).
 */
uint32_t vswitch_port_budget(struct vswitch_port *p, uint64_t now_ns, uint64_t *ret_when);
/* A small frame takes as long as one of this size. */
#define VSWITCH_COST_MIN 256u
static inline uint32_t vswitch_cost(const struct net_frame *f)
{
	return f->bytes > VSWITCH_COST_MIN ? f->bytes : VSWITCH_COST_MIN;
}
/* @f enters @p. */
void vswitch_input(struct vswitch_port *p, const struct net_frame *f, uint64_t now_ns);
/* End of a batch: flushes the ports that got something. */
void vswitch_flush(struct vswitch *s);

#endif
