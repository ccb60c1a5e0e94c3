// SPDX-License-Identifier: Apache-2.0
/* Cut frames are put together again and summed up the plain way. */
#include "test/test.h"
#include "testing.h"

enum { FIN = 1, PSH = 8, ACK = 0x10, CWR = 0x80 };

struct reader {
	struct test *t;
	const struct packet *whole;
	unsigned takes;
	unsigned count, stop_at;
	uint32_t done; /* payload bytes */
	uint32_t payload, headers;
	struct packet got;
};

static void check_ip(struct reader *r, const struct packet *g)
{
	const uint8_t *ip = g->bytes + g->l3, *whole = r->whole->bytes + g->l3;

	if (g->family == 4) {
		EXPECT_EQ(r->t, load_be16(ip + 2), g->count - g->l3);
		EXPECT_EQ(r->t, plain_sum(0, ip, g->l4 - g->l3), 0xffff);
		EXPECT_EQ(r->t, load_be16(ip + 4), (uint16_t)(load_be16(whole + 4) + r->count));
	} else {
		EXPECT_EQ(r->t, load_be16(ip + 4), g->count - g->l3 - 40);
	}
}

static void check_l4(struct reader *r, const struct packet *g)
{
	const uint8_t *l4 = g->bytes + g->l4, *whole = r->whole->bytes + g->l4;
	bool last = r->done + (g->count - r->headers) == r->payload;

	if (g->protocol == IP_UDP) {
		EXPECT_EQ(r->t, load_be16(l4 + 4), g->count - g->l4);
		return;
	}
	EXPECT_EQ(r->t, load_be32(l4 + 4), (uint32_t)(load_be32(whole + 4) + r->done));
	EXPECT_EQ(r->t, load_be32(l4 + 8), load_be32(whole + 8));
	EXPECT_EQ(r->t, l4[13],
		  (whole[13] & (last ? 0xff : ~(FIN | PSH) & 0xff) &
		   (r->done == 0 ? 0xff : ~CWR & 0xff)));
}

static void check_sum(struct reader *r, struct packet *g, const struct net_offload *o)
{
	uint8_t *field = g->bytes + g->l4 + packet_checksum_at(g);

	if ((r->takes & NET_TAKES_CSUM) != 0) {
		EXPECT_EQ(r->t, o->flags, NET_OFFLOAD_NEEDS_CSUM);
		EXPECT_EQ(r->t, o->csum_start, g->l4);
		EXPECT_EQ(r->t, o->csum_offset, packet_checksum_at(g));
		/* as its owner would fill it in */
		store_be16(field, (uint16_t)~plain_sum(0, g->bytes + g->l4, g->count - g->l4));
	} else {
		EXPECT_EQ(r->t, o->flags, NET_OFFLOAD_DATA_VALID);
		EXPECT(r->t, load_be16(field) != 0);
	}
	EXPECT_EQ(r->t, plain_l4_sum(g), 0xffff);
}

static bool take(void *ctx, const struct net_frame *f)
{
	struct reader *r = ctx;
	struct packet *g = &r->got;

	if (r->count == r->stop_at) {
		return false;
	}
	EXPECT(r->t, net_frame_check(f) == NULL);
	EXPECT_EQ(r->t, f->tag, 0x2005);
	EXPECT_EQ(r->t, f->offload.gso, NET_GSO_NONE);
	g->count = f->bytes;
	g->l3 = r->whole->l3;
	g->l4 = r->whole->l4;
	g->family = r->whole->family;
	g->protocol = r->whole->protocol;
	net_frame_copy(f, 0, g->bytes, f->bytes);
	EXPECT_MEM(r->t, g->bytes, r->whole->bytes, g->l3);
	EXPECT_MEM(r->t, g->bytes + r->headers, r->whole->bytes + r->headers + r->done,
		   g->count - r->headers);
	check_ip(r, g);
	check_l4(r, g);
	check_sum(r, g, &f->offload);
	r->done += g->count - r->headers;
	r->count++;
	return true;
}

static void build(struct packet *p, unsigned kind, uint32_t payload, bool tagged)
{
	uint8_t protocol = kind == NET_GSO_UDP ? IP_UDP : IP_TCP;
	bool ipv6 = kind == NET_GSO_TCPV6 || (kind == NET_GSO_UDP && payload % 2 != 0);

	packet_ethernet(p, MAC(1), MAC(2), tagged ? 0x8100 : ipv6 ? 0x86dd : 0x0800);
	if (tagged) {
		packet_add16(p, 77);
		packet_add16(p, ipv6 ? 0x86dd : 0x0800);
	}
	if (ipv6) {
		packet_ipv6(p, LINK_LOCAL(1), LINK_LOCAL(2), tagged ? 60 : protocol, 64);
		if (tagged) {
			packet_extension(p, protocol, 0x0104);
		}
	} else {
		packet_ipv4(p, 0x0a000001, 0xc0a80102, protocol);
		store_be16(p->bytes + p->l3 + 4, 0xfffe); /* wraps */
	}
	if (protocol == IP_TCP) {
		packet_tcp(p, 80, 4000, 0xfffffe00, FIN | PSH | ACK | CWR);
	} else {
		packet_udp(p, 5000, 6000);
	}
	packet_fill(p, payload);
	packet_finish(p);
}

static void cut(struct test *t, unsigned kind, uint32_t payload, uint16_t gso_bytes, bool tagged,
		unsigned takes, struct packet *p, uint8_t *scratch)
{
	struct reader *r = calloc(1, sizeof(*r));
	struct net_frame f;

	build(p, kind, payload, tagged);
	packet_offload(p, (uint8_t)kind, gso_bytes);
	f = packet_frame(p, 0x2005);
	EXPECT(t, net_frame_check(&f) == NULL);
	*r = (struct reader){.t = t,
			     .whole = p,
			     .takes = takes,
			     .stop_at = UINT32_MAX,
			     .payload = payload,
			     .headers = p->offload.header_bytes};
	EXPECT_EQ(t, net_frame_fit(&f, takes, scratch, take, r),
		  (payload + gso_bytes - 1) / gso_bytes);
	EXPECT_EQ(t, r->done, payload);
	free(r);
}

static void test_cut(struct test *t)
{
	static const struct {
		uint32_t payload;
		uint16_t gso_bytes;
	} sizes[] = {{1, 1},	   {999, 1000},	 {1000, 1000}, {1001, 1000}, {4001, 1333},
		     {9000, 9000}, {7300, 1460}, {65000, 88},  {65001, 1447}};
	static const uint8_t kinds[] = {NET_GSO_TCPV4, NET_GSO_TCPV6, NET_GSO_UDP};
	struct packet *p = malloc(sizeof(*p));
	uint8_t *scratch = malloc(NET_FRAME_BYTES_MAX);

	for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
		for (unsigned k = 0; k < ARRAY_LEN(kinds); k++) {
			for (unsigned bits = 0; bits < 4; bits++) {
				unsigned before = t->failures;

				cut(t, kinds[k], sizes[i].payload, sizes[i].gso_bytes,
				    (bits & 1) != 0, (bits & 2) != 0 ? NET_TAKES_CSUM : 0, p,
				    scratch);
				if (t->failures != before) {
					printf("# sizes %u kind %u bits %u\n", i, kinds[k], bits);
				}
			}
		}
	}
	free(scratch);
	free(p);
}

static bool same(void *ctx, const struct net_frame *f)
{
	*(const struct net_frame **)ctx = f;
	return true;
}

/* Who takes it gets the frame itself. */
static void test_as_it_is(struct test *t)
{
	static const struct {
		unsigned takes;
		uint8_t kind;
		bool whole;
	} rows[] = {
		{NET_TAKES_CSUM | NET_TAKES_TSO4, NET_GSO_TCPV4, true},
		{NET_TAKES_TSO4, NET_GSO_TCPV4, false},
		{NET_TAKES_ALL & ~NET_TAKES_TSO4, NET_GSO_TCPV4, false},
		{NET_TAKES_CSUM | NET_TAKES_TSO6, NET_GSO_TCPV6, true},
		{NET_TAKES_CSUM | NET_TAKES_TSO4, NET_GSO_TCPV6, false},
		{NET_TAKES_CSUM | NET_TAKES_USO, NET_GSO_UDP, true},
		{NET_TAKES_CSUM | NET_TAKES_TSO4 | NET_TAKES_TSO6, NET_GSO_UDP, false},
	};
	struct packet *p = malloc(sizeof(*p));
	uint8_t *scratch = malloc(NET_FRAME_BYTES_MAX);

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		const struct net_frame *got = NULL;
		struct net_frame f;

		build(p, rows[i].kind, 2000, false);
		packet_offload(p, rows[i].kind, 1000);
		f = packet_frame(p, NET_TAG_NONE);
		EXPECT_EQ(t, net_frame_fit(&f, rows[i].takes, scratch, same, &got),
			  rows[i].whole ? 1 : 2);
		EXPECT_EQ(t, got == &f, rows[i].whole);
	}
	free(scratch);
	free(p);
}

static bool keep(void *ctx, const struct net_frame *f)
{
	struct packet *p = ctx;

	p->count = f->bytes;
	p->offload = f->offload;
	net_frame_copy(f, 0, p->bytes, f->bytes);
	return true;
}

/* A checksum to fill in, for odd and even sizes; one that comes out as 0 is stored as 0xffff. */
static void test_fill(struct test *t)
{
	struct packet *p = malloc(sizeof(*p)), *got = malloc(sizeof(*got));
	uint8_t *scratch = malloc(NET_FRAME_BYTES_MAX);

	for (uint32_t payload = 0; payload < 400; payload += 7) {
		struct net_frame f;

		build(p, payload % 2 != 0 ? NET_GSO_UDP : NET_GSO_TCPV4, payload, payload % 3 == 0);
		if (payload == 77) { /* make it come out as 0 */
			uint8_t *word = p->bytes + p->l4 + 8;

			store_be16(p->bytes + p->l4 + 6, 0);
			store_be16(word, 0);
			store_be16(word, (uint16_t)(0xffff - plain_l4_sum(p)));
		}
		*got = *p;
		packet_offload(p, NET_GSO_NONE, 0);
		f = packet_frame(p, NET_TAG_NONE);
		EXPECT_EQ(t, net_frame_fit(&f, 0, scratch, keep, got), 1);
		EXPECT_EQ(t, got->offload.flags, NET_OFFLOAD_DATA_VALID);
		EXPECT_EQ(t, got->count, p->count);
		EXPECT_EQ(t, plain_l4_sum(got), 0xffff);
		EXPECT_EQ(t, load_be16(got->bytes + got->l4 + packet_checksum_at(got)) == 0xffff,
			  payload == 77);
		EXPECT_EQ(t, net_frame_fit(&f, NET_TAKES_CSUM, scratch, keep, got), 1);
		EXPECT_EQ(t, got->offload.flags, NET_OFFLOAD_NEEDS_CSUM);
	}
	free(scratch);
	free(got);
	free(p);
}

/* A large segment as one packet, for who takes any size. */
static void test_finish(struct test *t)
{
	static const uint8_t kinds[] = {NET_GSO_TCPV4, NET_GSO_TCPV6, NET_GSO_UDP, NET_GSO_NONE};
	static const uint32_t payloads[] = {1, 1500, 40001, 65300, 65500};
	struct packet *p = malloc(sizeof(*p)), *whole = malloc(sizeof(*whole));

	for (unsigned i = 0; i < ARRAY_LEN(kinds) * ARRAY_LEN(payloads) * 2; i++) {
		uint8_t kind = kinds[i % ARRAY_LEN(kinds)];
		uint32_t payload = payloads[i / 2 / ARRAY_LEN(kinds)];
		struct reader r = {.t = t, .whole = whole};

		build(p, kind == NET_GSO_NONE ? NET_GSO_TCPV4 : kind, payload, i % 2 != 0);
		*whole = *p;
		packet_offload(p, kind, 1000);
		if (kind != NET_GSO_NONE) { /* as guests leave it to the adapter */
			store_be16(p->bytes + p->l3 + (p->family == 4 ? 2 : 4), 0);
		}
		bool fits = p->count - p->l3 - (p->family == 6 ? 40 : 0) <= 65535;

		if (kind == NET_GSO_NONE && !fits) {
			continue; /* no such frame */
		}
		EXPECT_EQ(t, net_frame_finish(p->bytes, p->count, &p->offload), fits);
		if (fits) {
			check_ip(&r, p);
			EXPECT_EQ(t, plain_l4_sum(p), 0xffff);
			EXPECT_MEM(t, p->bytes + p->count - payload,
				   whole->bytes + p->count - payload, payload);
		}
	}
	free(whole);
	free(p);
}

/* A receiver that is full ends the work. */
static void test_stop(struct test *t)
{
	struct packet *p = malloc(sizeof(*p));
	struct reader *r = calloc(1, sizeof(*r));
	uint8_t *scratch = malloc(NET_FRAME_BYTES_MAX);
	struct net_frame f;

	build(p, NET_GSO_TCPV4, 10000, false);
	packet_offload(p, NET_GSO_TCPV4, 1000);
	f = packet_frame(p, 0x2005);
	*r = (struct reader){.t = t,
			     .whole = p,
			     .stop_at = 4,
			     .payload = 10000,
			     .headers = p->offload.header_bytes};
	EXPECT_EQ(t, net_frame_fit(&f, 0, scratch, take, r), 4);
	EXPECT_EQ(t, r->done, 4000);
	free(scratch);
	free(r);
	free(p);
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_cut), TEST(test_as_it_is),
						 TEST(test_fill), TEST(test_finish),
						 TEST(test_stop)};

	return test_main(cases, ARRAY_LEN(cases));
}
