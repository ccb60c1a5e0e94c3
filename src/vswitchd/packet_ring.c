// SPDX-License-Identifier: Apache-2.0
#include "packet_ring.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define SLOT_BYTES 2048u
#define SLOTS 4096u
#define BLOCK_BYTES (128u << 10)
#define RING_BYTES ((size_t)SLOT_BYTES * SLOTS)

/* ---- From the network ---- */

static struct tpacket2_hdr *slot(const struct packet_ring *r)
{
	return (void *)(r->memory + (size_t)r->next * SLOT_BYTES);
}

int packet_ring_open(struct packet_ring *r, int fd)
{
	const int version = TPACKET_V2, copy = 1;
	const struct tpacket_req request = {.tp_block_size = BLOCK_BYTES,
					    .tp_block_nr = RING_BYTES / BLOCK_BYTES,
					    .tp_frame_size = SLOT_BYTES,
					    .tp_frame_nr = SLOTS};
	void *memory;

	*r = (struct packet_ring){.fd = fd};
	if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_COPY_THRESH, &copy, sizeof(copy)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) < 0) {
		return -errno;
	}
	memory = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		return -errno;
	}
	r->memory = memory;
	return 0;
}

void packet_ring_close(struct packet_ring *r)
{
	if (r->memory != NULL) {
		munmap(r->memory, RING_BYTES);
		r->memory = NULL;
	}
}

/* Only 802.1Q tags mean something here. */
static uint32_t tag_of(uint32_t status, uint16_t tci, uint16_t type)
{
	bool service = (status & TP_STATUS_VLAN_TPID_VALID) != 0 && type != ETH_P_8021Q;

	return (status & TP_STATUS_VLAN_VALID) != 0 && !service ? tci : NET_TAG_NONE;
}

static uint32_t tag_beside(struct msghdr *m)
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h != NULL; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level == SOL_PACKET && h->cmsg_type == PACKET_AUXDATA) {
			struct tpacket_auxdata a;

			memcpy(&a, CMSG_DATA(h), sizeof(a));
			return tag_of(a.tp_status, a.tp_vlan_tci, a.tp_vlan_tpid);
		}
	}
	return NET_TAG_NONE;
}

/* One that no slot has room for. */
static enum packet_status get_large(struct packet_ring *r, uint8_t *space, size_t size,
				    struct packet_frame *ret)
{
	union {
		char space[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
		struct cmsghdr align;
	} ancillary;
	struct iovec iov[2] = {{&ret->offload, sizeof(ret->offload)}, {space, size}};
	struct msghdr m = {.msg_iov = iov,
			   .msg_iovlen = 2,
			   .msg_control = &ancillary,
			   .msg_controllen = sizeof(ancillary)};
	ssize_t n = recvmsg(r->fd, &m, MSG_DONTWAIT);

	if (n < 0 && errno == ENETDOWN) {
		n = recvmsg(r->fd, &m, MSG_DONTWAIT); /* that was told instead of it, once */
	}
	if (n < (ssize_t)(sizeof(ret->offload) + NET_ETHERNET_BYTES) ||
	    (m.msg_flags & MSG_TRUNC) != 0) {
		return PACKET_BAD;
	}
	ret->data = space;
	ret->bytes = (uint32_t)((size_t)n - sizeof(ret->offload));
	ret->tag = tag_beside(&m);
	return PACKET_FRAME;
}

enum packet_status packet_ring_get(struct packet_ring *r, uint8_t *space, size_t size,
				   struct packet_frame *ret)
{
	const struct tpacket2_hdr *h = slot(r);
	uint32_t status = __atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE);

	if ((status & TP_STATUS_USER) == 0) {
		return PACKET_NONE;
	}
	if ((status & TP_STATUS_COPY) != 0) {
		return get_large(r, space, size, ret);
	}
	if (h->tp_snaplen < h->tp_len || h->tp_snaplen < NET_ETHERNET_BYTES) {
		return PACKET_BAD;
	}
	ret->data = (uint8_t *)slot(r) + h->tp_mac;
	ret->bytes = h->tp_snaplen;
	ret->tag = tag_of(status, h->tp_vlan_tci, h->tp_vlan_tpid);
	memcpy(&ret->offload, ret->data - sizeof(ret->offload), sizeof(ret->offload));
	return PACKET_FRAME;
}

void packet_ring_take(struct packet_ring *r)
{
	__atomic_store_n(&slot(r)->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	r->next = (r->next + 1) % SLOTS;
}

/* ---- To the network ---- */

#define BATCH_FRAMES 64u
#define BATCH_BYTES (256u << 10)

struct packet_batch {
	int fd;
	unsigned count;
	size_t used;
	unsigned lost;
	uint64_t lost_bytes;
	struct mmsghdr messages[BATCH_FRAMES];
	struct iovec iov[BATCH_FRAMES];
	uint32_t frame_bytes[BATCH_FRAMES];
	uint8_t bytes[BATCH_BYTES];
};

struct packet_batch *packet_batch_create(int fd)
{
	struct packet_batch *b = calloc(1, sizeof(*b));

	if (b != NULL) {
		b->fd = fd;
		for (unsigned i = 0; i < BATCH_FRAMES; i++) {
			b->messages[i].msg_hdr =
				(struct msghdr){.msg_iov = &b->iov[i], .msg_iovlen = 1};
		}
	}
	return b;
}

void packet_batch_destroy(struct packet_batch *b)
{
	free(b);
}

void packet_batch_send(struct packet_batch *b)
{
	unsigned done = 0;
	bool told = false; /* that the interface was down: once, when it may be up again */

	while (done < b->count) {
		int n = sendmmsg(b->fd, b->messages + done, b->count - done,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			done += (unsigned)n;
			continue;
		}
		if (n < 0 && errno == ENETDOWN && !told) {
			told = true;
			continue;
		}
		/* This one cannot go: it is too large for the interface, or there is no room. */
		b->lost++;
		b->lost_bytes += b->frame_bytes[done];
		done++;
	}
	b->count = 0;
	b->used = 0;
}

bool packet_batch_add(struct packet_batch *b, const struct net_frame *f)
{
	size_t bytes = sizeof(struct net_offload) + f->bytes + EDGE_TAG_BYTES;
	struct edge_pieces pieces;

	if (!edge_to_pieces(f, &pieces) || bytes > BATCH_BYTES) {
		return false;
	}
	if (b->count == BATCH_FRAMES || BATCH_BYTES - b->used < bytes) {
		packet_batch_send(b);
	}
	uint8_t *at = b->bytes + b->used;

	b->iov[b->count].iov_base = at;
	for (unsigned i = 0; i < pieces.count; i++) {
		memcpy(at, pieces.iov[i].iov_base, pieces.iov[i].iov_len);
		at += pieces.iov[i].iov_len;
	}
	b->iov[b->count].iov_len = (size_t)(at - (uint8_t *)b->iov[b->count].iov_base);
	b->frame_bytes[b->count++] = f->bytes;
	b->used = (size_t)(at - b->bytes);
	return true;
}

unsigned packet_batch_lost(struct packet_batch *b, uint64_t *ret_bytes)
{
	unsigned lost = b->lost;

	*ret_bytes = b->lost_bytes;
	b->lost = 0;
	b->lost_bytes = 0;
	return lost;
}
