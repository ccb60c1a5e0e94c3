// SPDX-License-Identifier: Apache-2.0
#include "dhcp.h"

#include <string.h>

#include "lib/bits.h"

#define ETHERNET 14u
#define IP 20u
#define UDP 8u
#define BOOTP 236u
#define COOKIE 0x63825363u
#define PAYLOAD (ETHERNET + IP + UDP)
#define OFFER_NS (UINT64_C(60) * 1000000000u)
#define LEASE_NS ((uint64_t)DHCP_LEASE_SECONDS * 1000000000u)

enum dhcp_type { DISCOVER = 1, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM };
enum dhcp_option {
	OPTION_MASK = 1,
	OPTION_ROUTER = 3,
	OPTION_DNS = 6,
	OPTION_BROADCAST = 28,
	OPTION_REQUESTED = 50,
	OPTION_LEASE = 51,
	OPTION_TYPE = 53,
	OPTION_SERVER = 54,
	OPTION_END = 255
};

struct request {
	const struct nat_network *network;
	const uint8_t *frame;
	const uint8_t *bootp;
	uint8_t type;
	uint32_t requested; /* address; 0: none */
	uint32_t server;
	uint32_t client; /* ciaddr */
};

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

/* ---- Leases ---- */

static struct dhcp_lease *find_mac(struct dhcp *d, const uint8_t *mac)
{
	for (size_t i = 0; i < ARRAY_LEN(d->leases); i++) {
		if (d->leases[i].known && !d->leases[i].declined &&
		    memcmp(d->leases[i].mac, mac, 6) == 0) {
			return &d->leases[i];
		}
	}
	return NULL;
}

static uint32_t lease_address(const struct dhcp *d, const struct dhcp_lease *l)
{
	return nat_address(&d->network, DHCP_FIRST + (unsigned)(l - d->leases));
}

static struct dhcp_lease *lease_at(struct dhcp *d, uint32_t address)
{
	uint32_t first = nat_address(&d->network, DHCP_FIRST),
		 last = nat_address(&d->network, DHCP_LAST);

	return address >= first && address <= last ? &d->leases[address - first] : NULL;
}

/* One that nobody has had yet, else the one that ran out first. NULL: all are in use. */
static struct dhcp_lease *find_free(struct dhcp *d, uint64_t now_ns)
{
	struct dhcp_lease *best = NULL;

	for (size_t i = 0; i < ARRAY_LEN(d->leases); i++) {
		struct dhcp_lease *l = &d->leases[i];

		if (!l->known && !l->declined) {
			return l;
		}
		if (l->until_ns <= now_ns && (best == NULL || l->until_ns < best->until_ns)) {
			best = l;
		}
	}
	return best;
}

static struct dhcp_lease *lease_for(struct dhcp *d, const struct request *r, uint64_t now_ns)
{
	const uint8_t *mac = r->frame + 6;
	struct dhcp_lease *l = find_mac(d, mac), *wanted = lease_at(d, r->requested);

	/* After a restart of the switch guests keep what they had. */
	if (l == NULL && wanted != NULL && !wanted->known && !wanted->declined) {
		l = wanted;
	}
	if (l == NULL) {
		l = find_free(d, now_ns);
	}
	if (l != NULL && (!l->known || memcmp(l->mac, mac, 6) != 0 || l->declined)) {
		*l = (struct dhcp_lease){.known = true};
		memcpy(l->mac, mac, 6);
	}
	return l;
}

void dhcp_forget(struct dhcp *d, const uint8_t *mac)
{
	struct dhcp_lease *l = find_mac(d, mac);

	if (l != NULL) {
		l->until_ns = 0;
	}
}

/* ---- Requests ---- */

static void take_option(struct request *r, uint8_t code, const uint8_t *data, uint8_t bytes)
{
	if (code == OPTION_TYPE && bytes == 1) {
		r->type = data[0];
	} else if (code == OPTION_REQUESTED && bytes == 4) {
		r->requested = get32(data);
	} else if (code == OPTION_SERVER && bytes == 4) {
		r->server = get32(data);
	}
}

static void take_options(struct request *r, const uint8_t *at, const uint8_t *end)
{
	while (at < end && *at != OPTION_END) {
		if (*at == 0) {
			at++;
			continue;
		}
		if (end - at < 2 || end - at - 2 < at[1]) {
			return;
		}
		take_option(r, at[0], at + 2, at[1]);
		at += 2 + at[1];
	}
}

/* From a client's port to a server's, unfragmented, to us or to everybody. */
static bool is_for_us(const struct dhcp *d, const uint8_t *f, size_t bytes)
{
	const uint8_t *ip = f + ETHERNET;

	return bytes >= PAYLOAD && get16(f + 12) == 0x0800 && ip[0] == 0x45 && ip[9] == 17 &&
	       (get16(ip + 6) & 0x3fff) == 0 && get16(ip + IP) == 68 && get16(ip + IP + 2) == 67 &&
	       (get32(ip + 16) == 0xffffffff ||
		get32(ip + 16) == nat_address(&d->network, NAT_HOST));
}

static bool parse(struct request *r, const struct nat_network *network, const uint8_t *f,
		  size_t bytes)
{
	size_t udp = get16(f + ETHERNET + IP + 4);
	const uint8_t *b = f + PAYLOAD;

	if (udp < UDP + BOOTP + 4 || udp > bytes - ETHERNET - IP || b[0] != 1 || b[1] != 1 ||
	    b[2] != 6 || get32(b + BOOTP) != COOKIE) {
		return false;
	}
	*r = (struct request){.network = network, .frame = f, .bootp = b, .client = get32(b + 12)};
	take_options(r, b + BOOTP + 4, f + ETHERNET + IP + udp);
	/* Who asks in others' names could take all addresses; the switch vouches for the sender's. */
	return memcmp(b + 28, f + 6, 6) == 0;
}

/* ---- Answers ---- */

static uint32_t sum(const uint8_t *p, size_t bytes, uint32_t s)
{
	for (size_t i = 0; i + 1 < bytes; i += 2) {
		s += get16(p + i);
	}
	if (bytes % 2 != 0) {
		s += (uint32_t)p[bytes - 1] << 8;
	}
	return s;
}

static uint32_t fold(uint32_t s)
{
	s = (s >> 16) + (s & 0xffff);
	s += s >> 16;
	return ~s & 0xffff;
}

static uint8_t *put_option(uint8_t *at, uint8_t code, uint32_t value)
{
	at[0] = code;
	at[1] = 4;
	put32(at + 2, value);
	return at + 6;
}

static size_t put_headers(const struct request *r, uint8_t *reply, uint8_t *end, uint32_t to,
			  bool broadcast)
{
	size_t bytes = (size_t)(end - reply), udp = bytes - ETHERNET - IP;
	uint8_t *ip = reply + ETHERNET;

	memcpy(reply, r->frame + 6, 6);
	if (broadcast) {
		memset(reply, 0xff, 6);
	}
	/* the address that libslirp gives the router */
	memcpy(reply + 6, (const uint8_t[]){0x52, 0x55}, 2);
	put32(reply + 8, nat_address(r->network, NAT_HOST));
	put16(reply + 12, 0x0800);
	ip[0] = 0x45;
	put16(ip + 2, (uint32_t)(IP + udp));
	ip[8] = 64;
	ip[9] = 17;
	put32(ip + 12, nat_address(r->network, NAT_HOST));
	put32(ip + 16, broadcast ? 0xffffffff : to);
	put16(ip + 10, fold(sum(ip, IP, 0)));
	put16(ip + IP, 67);
	put16(ip + IP + 2, 68);
	put16(ip + IP + 4, (uint32_t)udp);
	uint32_t s = fold(sum(ip + IP, udp, sum(ip + 12, 8, 17 + (uint32_t)udp)));

	put16(ip + IP + 6, s == 0 ? 0xffff : s);
	return bytes;
}

/* @address: what the guest gets; 0: none (INFORM, NAK). */
static size_t answer(const struct request *r, uint8_t type, uint32_t address, uint8_t *reply)
{
	uint8_t *b = reply + PAYLOAD, *at = b + BOOTP + 4;
	bool broadcast = type == NAK || (r->client == 0 && (r->bootp[10] & 0x80) != 0);

	memset(reply, 0, DHCP_REPLY_BYTES);
	memcpy(b, r->bootp, 12); /* transaction, flags */
	b[0] = 2;
	b[3] = 0;
	memset(b + 8, 0, 2);
	memcpy(b + 10, r->bootp + 10, 2);
	put32(b + 12, type == NAK ? 0 : r->client);
	put32(b + 16, address);
	memcpy(b + 24, r->bootp + 24, 20); /* relay, hardware address */
	put32(b + BOOTP, COOKIE);
	at[0] = OPTION_TYPE;
	at[1] = 1;
	at[2] = type;
	at = put_option(at + 3, OPTION_SERVER, nat_address(r->network, NAT_HOST));
	if (address != 0) {
		at = put_option(at, OPTION_LEASE, DHCP_LEASE_SECONDS);
	}
	if (type != NAK) {
		at = put_option(at, OPTION_MASK, 0xffffff00);
		at = put_option(at, OPTION_ROUTER, nat_address(r->network, NAT_HOST));
		at = put_option(at, OPTION_DNS, nat_address(r->network, NAT_DNS));
		at = put_option(at, OPTION_BROADCAST, nat_address(r->network, 255));
	}
	*at++ = OPTION_END;
	/* BOOTP packets have at least 300 bytes. */
	if (at < b + 300) {
		at = b + 300;
	}
	return put_headers(r, reply, at, r->client != 0 ? r->client : address, broadcast);
}

static size_t on_request(struct dhcp *d, struct request *r, uint64_t now_ns, uint8_t *reply)
{
	struct dhcp_lease *l;

	if (r->server != 0 && r->server != nat_address(r->network, NAT_HOST)) {
		return 0; /* it chose somebody else */
	}
	if (r->requested == 0) {
		r->requested = r->client;
	}
	l = lease_for(d, r, now_ns);
	if (l == NULL || lease_address(d, l) != r->requested) {
		return answer(r, NAK, 0, reply);
	}
	l->until_ns = now_ns + LEASE_NS;
	return answer(r, ACK, lease_address(d, l), reply);
}

static void on_decline(struct dhcp *d, const struct request *r, uint64_t now_ns)
{
	struct dhcp_lease *l = lease_at(d, r->requested);

	if (l != NULL && l == find_mac(d, r->frame + 6)) {
		*l = (struct dhcp_lease){.declined = true, .until_ns = now_ns + LEASE_NS};
	}
}

bool dhcp_input(struct dhcp *d, const uint8_t *frame, size_t bytes, uint64_t now_ns, uint8_t *reply,
		size_t *ret_bytes)
{
	struct request r;
	struct dhcp_lease *l;

	if (!is_for_us(d, frame, bytes)) {
		return false;
	}
	*ret_bytes = 0;
	if (!parse(&r, &d->network, frame, bytes)) {
		return true;
	}
	if (r.type == DISCOVER && (l = lease_for(d, &r, now_ns)) != NULL) {
		l->until_ns = l->until_ns > now_ns + OFFER_NS ? l->until_ns : now_ns + OFFER_NS;
		*ret_bytes = answer(&r, OFFER, lease_address(d, l), reply);
	} else if (r.type == REQUEST) {
		*ret_bytes = on_request(d, &r, now_ns, reply);
	} else if (r.type == INFORM) {
		*ret_bytes = answer(&r, ACK, 0, reply);
	} else if (r.type == DECLINE) {
		on_decline(d, &r, now_ns);
	} else if (r.type == RELEASE) {
		dhcp_forget(d, r.frame + 6);
	}
	return true;
}
