// SPDX-License-Identifier: Apache-2.0
/*
 * IGMP (RFC 1112, 2236, 3376) and MLD (RFC 2710, 3810) messages. A message may be longer than the frame's head, so it is copied out once
 * and only the copy is looked at. What does not check out is forwarded as any multicast and not learned from (RFC 4541, 2.1.1).
 */
#include "checksum.h"
#include "switch.h"

enum {
	IGMP_QUERY = 0x11,
	IGMP_REPORT_1 = 0x12,
	IGMP_REPORT_2 = 0x16,
	IGMP_LEAVE = 0x17,
	IGMP_REPORT_3 = 0x22,
	IGMP_ROUTER = 0x30, /* RFC 4286 */
};
enum {
	MLD_QUERY = 130,
	MLD_REPORT_1 = 131,
	MLD_DONE = 132,
	MLD_REPORT_2 = 143,
	MLD_ROUTER = 151,
};
enum { PIM_HELLO = 0x20 }; /* version 2, type 0 */

#define IGMP_BYTES 8u
#define MLD_BYTES 8u

/* Records of IGMPv3 and MLDv2 reports. */
enum {
	MODE_IS_INCLUDE = 1,
	MODE_IS_EXCLUDE,
	CHANGE_TO_INCLUDE,
	CHANGE_TO_EXCLUDE,
	ALLOW_NEW_SOURCES,
	BLOCK_OLD_SOURCES
};

/* ---- Which message it is ---- */

/* The IP payload as the IP header gives its size. False: that does not fit. */
static bool copy_payload(struct transit *t, uint32_t ip_bytes, struct snoop_message *ret)
{
	const struct net_headers *h = transit_headers(t);
	uint32_t end = h->l3 + ip_bytes;

	if (end < h->l4 || end > t->f->bytes || end > sizeof(t->s->control)) {
		return false;
	}
	ret->bytes = t->s->control;
	ret->count = end - h->l4;
	net_frame_copy(t->f, h->l4, t->s->control, ret->count);
	return true;
}

static enum snoop_what igmp_what(uint8_t type)
{
	switch (type) {
	case IGMP_QUERY:
		return SNOOP_QUERY;
	case IGMP_REPORT_1:
	case IGMP_REPORT_2:
	case IGMP_LEAVE:
	case IGMP_REPORT_3:
		return SNOOP_REPORT;
	case IGMP_ROUTER:
		return SNOOP_ROUTER;
	default:
		return SNOOP_DATA;
	}
}

static enum snoop_what mld_what(uint8_t type)
{
	switch (type) {
	case MLD_QUERY:
		return SNOOP_QUERY;
	case MLD_REPORT_1:
	case MLD_DONE:
	case MLD_REPORT_2:
		return SNOOP_REPORT;
	case MLD_ROUTER:
		return SNOOP_ROUTER;
	default:
		return SNOOP_DATA;
	}
}

static void read_igmp(struct transit *t, const uint8_t *ip, struct snoop_message *ret)
{
	ret->what = SNOOP_BAD;
	if (!copy_payload(t, load_be16(ip + 2), ret) || ret->count < IGMP_BYTES ||
	    net_sum_fold(net_sum(0, ret->bytes, ret->count)) != 0xffff) {
		return;
	}
	ret->from_nobody = load_be32(ip + 12) == 0;
	ret->what = igmp_what(ret->bytes[0]);
}

static void read_mld(struct transit *t, const uint8_t *ip, struct snoop_message *ret)
{
	const struct net_headers *h = transit_headers(t);
	bool nobody = (load_be64(ip + 8) | load_be64(ip + 16)) == 0;
	bool link_local = ip[8] == 0xfe && (ip[9] & 0xc0) == 0x80;

	if (h->l4 >= t->f->head_bytes || mld_what(t->f->head[h->l4]) == SNOOP_DATA) {
		ret->what = SNOOP_DATA; /* another ICMPv6 message */
		return;
	}
	ret->what = SNOOP_BAD;
	if (ip[7] != 1 || (!nobody && !link_local) ||
	    !copy_payload(t, IPV6_HEADER_BYTES + load_be16(ip + 4), ret) ||
	    ret->count < MLD_BYTES ||
	    net_sum_fold(net_sum(net_sum_pseudo(h, t->f->head, ret->count), ret->bytes,
				 ret->count)) != 0xffff) {
		return;
	}
	ret->from_nobody = nobody;
	ret->what = mld_what(ret->bytes[0]);
}

void snoop_read(struct transit *t, struct snoop_message *ret)
{
	const struct net_headers *h = transit_headers(t);
	const uint8_t *ip = t->f->head + h->l3;

	*ret = (struct snoop_message){.what = SNOOP_DATA};
	if (!h->complete || h->fragment) {
		return;
	}
	if (h->family == 4 && h->protocol == IP_IGMP) {
		read_igmp(t, ip, ret);
	} else if (h->family == 6 && h->protocol == IP_ICMPV6) {
		read_mld(t, ip, ret);
	} else if (h->protocol == IP_PIM && h->l4 < t->f->head_bytes &&
		   t->f->head[h->l4] == PIM_HELLO) {
		ret->what = SNOOP_ROUTER;
	}
}

/* ---- What a report says ---- */

/* Does the record join or leave the group as a whole? Sources are not followed: who wants any of them gets all. */
static bool record_changes(uint8_t type, uint16_t sources, bool *ret_join)
{
	switch (type) {
	case MODE_IS_EXCLUDE:
	case CHANGE_TO_EXCLUDE:
	case ALLOW_NEW_SOURCES:
		*ret_join = true;
		return true;
	case MODE_IS_INCLUDE:
	case CHANGE_TO_INCLUDE:
		*ret_join = sources != 0;
		return true;
	default:
		return false;
	}
}

static void each_record(const struct snoop_message *m, uint32_t address_bytes, struct transit *t,
			void (*change)(struct transit *t, const uint8_t *address, bool join))
{
	uint32_t records = load_be16(m->bytes + 6), at = 8;

	for (uint32_t i = 0; i < records; i++) {
		const uint8_t *record = m->bytes + at;
		bool join;

		if (at + 4 + address_bytes > m->count) {
			return;
		}
		uint16_t sources = load_be16(record + 2);

		at += 4 + address_bytes * (1u + sources) + 4u * record[1];
		if (at > m->count) {
			return;
		}
		if (record_changes(record[0], sources, &join)) {
			change(t, record + 4, join);
		}
	}
}

void snoop_each(const struct snoop_message *m, uint8_t family, struct transit *t,
		void (*change)(struct transit *t, const uint8_t *address, bool join))
{
	uint8_t type = m->bytes[0];

	if (family == 4) {
		if (type == IGMP_REPORT_3) {
			each_record(m, 4, t, change);
		} else {
			change(t, m->bytes + 4, type != IGMP_LEAVE);
		}
	} else if (type == MLD_REPORT_2) {
		each_record(m, 16, t, change);
	} else if (m->count >= MLD_BYTES + 16) {
		change(t, m->bytes + 8, type == MLD_REPORT_1);
	}
}
