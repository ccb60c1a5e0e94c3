// SPDX-License-Identifier: Apache-2.0
/* Where frames meet the kernel's and the guests' forms: tags, offloads, DHCP, what may reach NAT. */
#include "edge.h"

#include "dhcp.h"
#include "lib/bits.h"
#include "nat_filter.h"
#include "test/test.h"

static void fill(uint8_t *frame, size_t bytes, bool tagged)
{
	for (size_t i = 0; i < bytes; i++) {
		frame[i] = (uint8_t)i;
	}
	frame[12] = tagged ? 0x81 : 0x88;
	frame[13] = tagged ? 0x00 : 0xb5;
	frame[14] = 0x60;
	frame[15] = 0x0a;
}

/* From bytes with a tag to a frame with the tag beside it, and back to pieces with the tag in the bytes. */
static void test_there_and_back(struct test *t)
{
	static const uint32_t sizes[] = {18, 60, 190, 192, 195, 196, 197, 200, 1518, 9000};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		uint8_t sent[9000], bytes[9000], back[9000 + sizeof(struct net_offload)];
		struct net_offload offload = {NET_OFFLOAD_NEEDS_CSUM, 0, 0, 0, 14, 2};
		struct edge_frame e;
		struct edge_pieces p;
		size_t at = 0;

		fill(sent, sizes[i], true);
		memcpy(bytes, sent, sizes[i]);
		edge_from_bytes(&e, bytes, sizes[i], &offload);
		EXPECT_EQ(t, e.frame.tag, 0x600a);
		EXPECT_EQ(t, e.frame.bytes, sizes[i] - 4);
		EXPECT_EQ(t, e.frame.offload.csum_start, 10);
		EXPECT(t, edge_to_pieces(&e.frame, &p));
		for (unsigned j = 0; j < p.count; j++) {
			memcpy(back + at, p.iov[j].iov_base, p.iov[j].iov_len);
			at += p.iov[j].iov_len;
		}
		EXPECT_EQ(t, at, sizes[i] + sizeof(offload));
		EXPECT_MEM(t, back + sizeof(offload), sent, sizes[i]);
		EXPECT_MEM(t, back, &offload, sizeof(offload));
	}
}

/* The same from a frame in two parts, as a cable has it. */
static void test_untag(struct test *t)
{
	static const uint32_t sizes[] = {18, 60, 191, 192, 193, 195, 196, 197, 1518};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		uint8_t bytes[1518], got[1518];
		uint32_t head = sizes[i] < NET_HEAD_BYTES ? sizes[i] : NET_HEAD_BYTES;
		struct io_vec rest = {bytes + head, sizes[i] - head};
		struct net_frame f = {.head = bytes,
				      .head_bytes = head,
				      .bytes = sizes[i],
				      .rest = &rest,
				      .rest_count = sizes[i] > head,
				      .tag = NET_TAG_NONE};
		struct edge_untagged space;

		fill(bytes, sizes[i], true);
		const struct net_frame *u = edge_untag(&f, &space);

		EXPECT_EQ(t, u->tag, 0x600a);
		EXPECT_EQ(t, u->bytes, sizes[i] - 4);
		EXPECT_EQ(t, u->head_bytes, min_u64(sizes[i] - 4, NET_HEAD_BYTES));
		EXPECT(t, net_frame_check(u) == NULL);
		net_frame_copy(u, 0, got, u->bytes);
		EXPECT_MEM(t, got, bytes, 12);
		EXPECT_MEM(t, got + 12, bytes + 16, sizes[i] - 16);
		fill(bytes, sizes[i], false);
		EXPECT(t, edge_untag(&f, &space) == &f);
	}
}

/* The kernel's length of headers is that of what it had in one piece; ours is that of the headers. */
static void test_large(struct test *t)
{
	uint8_t bytes[3000] = {[12] = 0x08, [14] = 0x45, [23] = 6, [46] = 0x80};
	struct net_offload offload = {NET_OFFLOAD_NEEDS_CSUM, NET_GSO_TCPV4, 1514, 1000, 34, 16};
	struct edge_frame e;

	bytes[16] = (3000 - 14) >> 8;
	bytes[17] = (3000 - 14) & 0xff;
	edge_from_bytes(&e, bytes, sizeof(bytes), &offload);
	EXPECT_EQ(t, e.frame.offload.header_bytes, 14 + 20 + 32);
	EXPECT(t, net_frame_check(&e.frame) == NULL);
}

/* ---- DHCP ---- */

#define REQUEST_BYTES 300u

/* @type from machine @n, asking for 10.0.2.@wanted (0: nothing). */
static size_t make_request(uint8_t *f, uint8_t n, uint8_t type, uint8_t wanted)
{
	uint8_t *b = f + 42, *at = b + 240;

	memset(f, 0, 600);
	memset(f, 0xff, 6);
	memcpy(f + 6, (const uint8_t[]){2, 0, 0, 0, 0, n}, 6);
	f[12] = 0x08;
	f[14] = 0x45;
	f[23] = 17;
	memset(f + 30, 0xff, 4);
	memcpy(f + 34,
	       (const uint8_t[]){0, 68, 0, 67, (REQUEST_BYTES + 8) >> 8,
				 (REQUEST_BYTES + 8) & 0xff},
	       6);
	memcpy(b, (const uint8_t[]){1, 1, 6, 0, 0xaa, 0xbb, 0xcc, n}, 8);
	memcpy(b + 28, f + 6, 6);
	memcpy(b + 236, (const uint8_t[]){0x63, 0x82, 0x53, 0x63, 53, 1, type}, 7);
	at += 3;
	if (wanted != 0) {
		memcpy(at, (const uint8_t[]){50, 4, 10, 0, 2, wanted}, 6);
		at += 6;
	}
	*at = 255;
	return 42 + REQUEST_BYTES;
}

/* Type of the answer (0: none) and the last byte of the address. */
static unsigned ask(struct dhcp *d, uint8_t n, uint8_t type, uint8_t wanted, uint64_t now_s,
		    unsigned *ret_last)
{
	uint8_t f[600], reply[DHCP_REPLY_BYTES];
	size_t bytes = make_request(f, n, type, wanted), got = 0;

	if (!dhcp_input(d, f, bytes, now_s * 1000000000u, reply, &got) || got == 0) {
		return 0;
	}
	*ret_last = reply[42 + 19];
	return reply[42 + 242];
}

static void test_dhcp(struct test *t)
{
	struct dhcp d = {.network = nat_network_of("")};
	unsigned last = 0, count = 0;

	EXPECT_EQ(t, ask(&d, 1, 1, 0, 0, &last), 2);
	EXPECT_EQ(t, last, DHCP_FIRST);
	EXPECT_EQ(t, ask(&d, 1, 3, DHCP_FIRST, 0, &last), 5);
	EXPECT_EQ(t, ask(&d, 2, 3, DHCP_FIRST, 0, &last), 6);
	/* after a restart a guest asks for what it had */
	EXPECT_EQ(t, ask(&d, 3, 3, 77, 0, &last), 5);
	EXPECT_EQ(t, last, 77);
	EXPECT_EQ(t, ask(&d, 1, 1, 0, 100, &last), 2);
	EXPECT_EQ(t, last, DHCP_FIRST);
	/* the address that somebody else has is not given again at once */
	EXPECT_EQ(t, ask(&d, 1, 4, DHCP_FIRST, 100, &last), 0);
	EXPECT_EQ(t, ask(&d, 1, 1, 0, 100, &last), 2);
	EXPECT(t, last != DHCP_FIRST);
	for (unsigned n = 4; n < 256; n++) {
		count += ask(&d, (uint8_t)n, 1, 0, 200, &last) == 2;
	}
	EXPECT_EQ(t, count,
		  DHCP_LAST - DHCP_FIRST + 1 - 2); /* all but the declined and the leased one */
	/* what was only offered comes free, what is leased stays */
	EXPECT_EQ(t, ask(&d, 255, 1, 0, 270, &last), 2);
	EXPECT(t, last != 77);
}

static void test_dhcp_foreign(struct test *t)
{
	struct dhcp d = {.network = nat_network_of("")};
	uint8_t f[600], reply[DHCP_REPLY_BYTES];
	size_t got = 1, bytes = make_request(f, 1, 1, 0);

	for (size_t n = 0; n < bytes; n++) {
		got = 0;
		dhcp_input(&d, f, n, 0, reply, &got);
		EXPECT_EQ(t, got, 0);
	}
	f[42 + 28 + 5] = 9; /* in another's name */
	EXPECT(t, dhcp_input(&d, f, bytes, 0, reply, &got) && got == 0);
	make_request(f, 1, 1, 0);
	f[37] = 68; /* to a client */
	EXPECT(t, !dhcp_input(&d, f, bytes, 0, reply, &got));
	make_request(f, 1, 1, 0);
	memset(f + 42 + 240, 53, bytes - 42 - 240); /* options that run out */
	EXPECT(t, dhcp_input(&d, f, bytes, 0, reply, &got) && got == 0);
}

/* ---- What may go to NAT ---- */

static bool allows_on(const char *network, const char *text, bool four, uint8_t protocol,
		      uint16_t port)
{
	const struct nat_network n = nat_network_of(network);
	uint8_t f[80] = {
		[12] = four ? 0x08 : 0x86, [13] = four ? 0x00 : 0xdd, [14] = four ? 0x45 : 0x60};
	uint8_t *transport = f + 14 + (four ? 20 : 40);
	unsigned a[16];

	if (four) {
		sscanf(text, "%u.%u.%u.%u", &a[0], &a[1], &a[2], &a[3]);
		for (unsigned i = 0; i < 4; i++) {
			f[30 + i] = (uint8_t)a[i];
		}
		f[23] = protocol;
	} else {
		for (unsigned i = 0; i < 16; i++) {
			sscanf(text + 2 * i, "%2x", &a[i]);
			f[38 + i] = (uint8_t)a[i];
		}
		f[20] = protocol;
	}
	transport[2] = (uint8_t)(port >> 8);
	transport[3] = (uint8_t)port;
	return nat_filter_allows(&n, f, sizeof(f));
}

static bool allows(const char *text, bool four, uint8_t protocol, uint16_t port)
{
	return allows_on("", text, four, protocol, port);
}

static void test_filter(struct test *t)
{
	EXPECT(t, allows("192.0.2.1", true, 6, 80));
	EXPECT(t, allows("255.255.255.255", true, 17, 9));
	EXPECT(t, !allows("127.0.0.1", true, 6, 80));
	EXPECT(t, !allows("127.255.255.255", true, 6, 80));
	EXPECT(t, !allows("0.0.0.0", true, 6, 80));
	EXPECT(t, allows("10.0.2.3", true, 17, 53) && allows("10.0.2.3", true, 6, 53));
	EXPECT(t, allows("10.0.2.3", true, 1, 0));
	EXPECT(t, !allows("10.0.2.3", true, 6, 22));
	EXPECT(t, allows("20010db8000000000000000000000001", false, 6, 80));
	EXPECT(t, !allows("00000000000000000000000000000000", false, 6, 80));
	EXPECT(t, !allows("00000000000000000000000000000001", false, 6, 80));
	EXPECT(t, !allows("00000000000000000000ffff7f000001", false, 6, 80));
	EXPECT(t, allows("fec00000000000000000000000000003", false, 17, 53));
	EXPECT(t, !allows("fec00000000000000000000000000003", false, 6, 22));
	/* another network, another name server */
	EXPECT(t, allows_on("172.20.7.0/24", "10.0.2.3", true, 6, 22));
	EXPECT(t, !allows_on("172.20.7.0/24", "172.20.7.3", true, 6, 22));
	EXPECT(t, allows_on("172.20.7.0/24", "172.20.7.3", true, 17, 53));
	EXPECT(t, !allows_on("172.20.7.0/24", "fec0000000ac14070000000000000003", false, 6, 22));
	EXPECT(t, allows_on("172.20.7.0/24", "fec0000000ac14070000000000000003", false, 6, 53));
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_there_and_back), TEST(test_untag),	    TEST(test_large),
		TEST(test_dhcp),	   TEST(test_dhcp_foreign), TEST(test_filter),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
