/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An Ethernet frame on its way through the host: what the synthetic adapter, the switch and the host's own interfaces hand to each
 * other. A frame is lent for the time of a call; who keeps it copies it.
 *
 * The bytes are those on the wire without preamble and FCS, and without an outer 802.1Q tag: that one travels beside them (tag). They come in
 * two parts. The head is a private, stable copy of the beginning, long enough for every header that anybody looks at; the rest may be
 * memory that a guest or another process still writes to: copy it, never decide by it.
 *
 * Work left to whoever puts the frame on a real wire (a checksum to fill in, a large segment to cut) is described as Linux's struct
 * virtio_net_hdr does, so it can go to a TAP or a packet socket as it is. Offsets count from the first byte of the frame (without the
 * outer tag).
 */
#ifndef VSWITCH_FRAME_H
#define VSWITCH_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/iovec.h"

#define NET_MAC_BYTES 6u
#define NET_ETHERNET_BYTES 14u
/* Ethernet, an inner tag, IPv4 with options or IPv6 with some extension headers, TCP with options. */
#define NET_HEAD_BYTES 192u
/* Largest frame: a large segment of 64 KiB with its headers. */
#define NET_FRAME_BYTES_MAX (65536u + 64u)
#define NET_MTU_MAX 9216u /* of a frame that is not to be cut */

#define NET_TAG_NONE                                                                               \
	0xffffffffu /* else: the 802.1Q TCI (priority, DEI, VLAN id), host byte order */
#define NET_TAG_VID(tag) ((tag)&0xfffu)
#define NET_VIDS 4096u /* 0 and 4095 are no VLANs */

#define NET_OFFLOAD_NEEDS_CSUM                                                                     \
	0x1u /* the one's complement sum from csum_start is to be stored at csum_start + csum_offset */
#define NET_OFFLOAD_DATA_VALID 0x2u /* the checksums were verified */

/* Numbers of virtio_net_hdr. */
enum net_gso { NET_GSO_NONE = 0, NET_GSO_TCPV4 = 1, NET_GSO_TCPV6 = 4, NET_GSO_UDP = 5 };
#define NET_GSO_ECN 0x80u

/* Layout of struct virtio_net_hdr (10 bytes), host byte order. */
struct net_offload {
	uint8_t flags;	       /* NET_OFFLOAD_* */
	uint8_t gso;	       /* enum net_gso, with NET_GSO_ECN */
	uint16_t header_bytes; /* gso: all headers up to the payload */
	uint16_t gso_bytes;    /* gso: payload of each segment */
	uint16_t csum_start;
	uint16_t csum_offset;
};
_Static_assert(sizeof(struct net_offload) == 10, "virtio_net_hdr");

struct net_frame {
	const uint8_t *head;	   /* stable */
	uint32_t head_bytes;	   /* exactly the smaller of bytes and NET_HEAD_BYTES */
	uint32_t bytes;		   /* all of the frame */
	const struct io_vec *rest; /* bytes - head_bytes, in pieces */
	unsigned rest_count;
	uint32_t tag; /* NET_TAG_NONE, or the outer tag */
	struct net_offload offload;
};

/* What a receiver can do by itself; frames are made fit for it before they are delivered. */
#define NET_TAKES_CSUM 0x1u /* NET_OFFLOAD_NEEDS_CSUM */
#define NET_TAKES_TSO4 0x2u
#define NET_TAKES_TSO6 0x4u
#define NET_TAKES_USO 0x8u
#define NET_TAKES_ALL 0xfu

/* Copies @bytes at @offset of @f to @buf; both within the frame. */
void net_frame_copy(const struct net_frame *f, uint32_t offset, void *buf, uint32_t bytes);
/*
 * Is @f well-formed: 14 to NET_FRAME_BYTES_MAX bytes, head and rest add up, offload within the frame and matching the headers that the head
 * shows (checksum: the protocol's own, or behind it; gso: TCP or UDP over the right IP, complete headers in the head, a segment size
 * above 0)? A switch checks what comes from other processes and guests with it. NULL, or what is wrong, in words for a counter or a log.
 */
const char *net_frame_check(const struct net_frame *f);
/* Large segments that would become more than this many frames are refused: one frame must not be made into work for thousands. */
#define NET_SEGMENTS_MAX 2048u
/*
 * net_offload.header_bytes as the headers in @head show it, for those who get it from somewhere that fills it in otherwise (a TAP,
 * a guest); 0: they are not those of @gso (with or without NET_GSO_ECN).
 */
uint16_t net_gso_header_bytes(const uint8_t *head, uint32_t head_bytes, uint8_t gso);

/* ---- segment.c ---- */

/*
 * Makes @f, which passed net_frame_check, fit for a receiver that takes @takes (NET_TAKES_*; large segments only together with
 * CSUM): gives it on as it is, with its checksum filled in, or cut into segments. @out gets each result, lent for the call; false
 * from it ends the work. @scratch: memory for one segment, NET_FRAME_BYTES_MAX. Returns the number of frames that @out took.
 */
unsigned net_frame_fit(const struct net_frame *f, unsigned takes, uint8_t *scratch,
		       bool (*out)(void *ctx, const struct net_frame *f), void *ctx);

/*
 * Makes the frame of @bytes at @data, whose offloads @o passed net_frame_check, a single packet as it would be on a wire without an MTU: lengths and
 * checksums filled in. For a receiver that takes TCP segments of any size, but no offloads. False: IP has no number for such a length.
 */
bool net_frame_finish(uint8_t *data, uint32_t bytes, const struct net_offload *o);

/* ---- rss.c ---- */

#define NET_RSS_KEY_BYTES 40u
#define NET_RSS_TABLE_MAX 128u

/* Receive side scaling as NDIS has it: a Toeplitz hash over addresses and ports chooses an entry of the table. */
struct net_rss {
	uint32_t types; /* NDIS_HASH_*: which headers count; 0: everything goes to queue 0 */
	uint32_t table_entries; /* a power of two, at most NET_RSS_TABLE_MAX */
	uint8_t key[NET_RSS_KEY_BYTES];
	uint16_t table[NET_RSS_TABLE_MAX]; /* queue numbers */
};
#define NDIS_HASH_IPV4 0x100u
#define NDIS_HASH_TCP_IPV4 0x200u
#define NDIS_HASH_IPV6 0x400u
#define NDIS_HASH_IPV6_EX 0x800u
#define NDIS_HASH_TCP_IPV6 0x1000u
#define NDIS_HASH_TCP_IPV6_EX 0x2000u
#define NDIS_HASH_UDP_IPV4 0x4000u
#define NDIS_HASH_UDP_IPV6 0x8000u

/* The hash (Spec: NDIS, "RSS Hashing Types", with Microsoft's published test vectors); 0 with *ret_type 0: no type applies. */
uint32_t net_rss_hash(const struct net_rss *rss, const struct net_frame *f, uint32_t *ret_type);
/* The queue for @f, below @queues. */
unsigned net_rss_queue(const struct net_rss *rss, const struct net_frame *f, unsigned queues);

#endif
