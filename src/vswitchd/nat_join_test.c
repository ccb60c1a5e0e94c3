// SPDX-License-Identifier: Apache-2.0
/* What is joined and then cut again is what was there before. */
#include "nat_join.h"

#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "test/test.h"

#define FRAME 1600u
#define FRAMES 200u

struct store {
	struct test *t;
	unsigned sent; /* frames as they were sent */
	unsigned count;
	uint32_t bytes[FRAMES];
	uint8_t frames[FRAMES][FRAME];
	uint8_t scratch[NET_FRAME_BYTES_MAX];
};

static bool keep(void *ctx, const struct net_frame *f)
{
	struct store *s = ctx;

	if (s->count == FRAMES || f->bytes > FRAME) {
		return false;
	}
	s->bytes[s->count] = f->bytes;
	net_frame_copy(f, 0, s->frames[s->count++], f->bytes);
	return true;
}

static void take(void *ctx, const struct net_frame *f)
{
	struct store *s = ctx;

	EXPECT(s->t, net_frame_check(f) == NULL);
	s->sent++;
	net_frame_fit(f, 0, s->scratch, keep, s);
}

/* ---- Making segments ---- */

struct segment {
	bool ip6;
	uint32_t sequence, payload;
	uint8_t flags, window, options, guest;
};

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t sum(const uint8_t *p, uint32_t bytes, uint32_t s)
{
	for (uint32_t i = 0; i < bytes; i++) {
		s += (uint32_t)p[i] << (i % 2 == 0 ? 8 : 0);
	}
	while (s >> 16 != 0) {
		s = (s >> 16) + (s & 0xffff);
	}
	return s;
}

static uint32_t make(const struct segment *g, uint8_t *f)
{
	uint32_t l4 = g->ip6 ? 54 : 34, headers = l4 + 20 + g->options,
		 bytes = headers + g->payload;
	uint8_t *ip = f + 14, *tcp = f + l4;

	memset(f, 0, bytes);
	f[5] = g->guest;
	put16(f + 12, g->ip6 ? 0x86dd : 0x0800);
	if (g->ip6) {
		ip[0] = 0x60;
		put16(ip + 4, bytes - l4);
		ip[6] = 6;
		ip[8] = 0xfe;
		ip[39] = g->guest;
	} else {
		ip[0] = 0x45;
		put16(ip + 2, bytes - 14);
		ip[8] = 64;
		ip[9] = 6;
		ip[19] = g->guest;
		put16(ip + 10, ~sum(ip, 20, 0) & 0xffff);
	}
	tcp[1] = 80;
	tcp[3] = 99;
	put16(tcp + 4, g->sequence >> 16);
	put16(tcp + 6, g->sequence);
	tcp[12] = (uint8_t)((20 + g->options) / 4 << 4);
	tcp[13] = g->flags;
	tcp[14] = g->window;
	memset(tcp + 20, 1, g->options);
	for (uint32_t i = 0; i < g->payload; i++) {
		f[headers + i] = (uint8_t)((g->sequence + i) * 7);
	}
	uint32_t pseudo = sum(ip + (g->ip6 ? 8 : 12), g->ip6 ? 32 : 8, 6 + bytes - l4);

	put16(tcp + 16, ~sum(tcp, bytes - l4, pseudo) & 0xffff);
	return bytes;
}

/* ---- Tests ---- */

enum { ACK = 0x10, PSH = 8, FIN = 1, SYN = 2 };

struct row {
	const char *name;
	struct segment segments[6];
	unsigned count, sent;
};

static const struct row rows[] = {
	{"in order", {{0, 1, 1460, ACK}, {0, 1461, 1460, ACK}, {0, 2921, 500, ACK}}, 3, 1},
	{"over the end of numbers", {{0, 0xfffffff0, 1000, ACK}, {0, 984, 1000, ACK}}, 2, 1},
	{"IPv6", {{1, 1, 1440, ACK}, {1, 1441, 1440, ACK | PSH}}, 2, 1},
	{"options", {{0, 1, 100, ACK, 1, 12}, {0, 101, 100, ACK, 1, 12}}, 2, 1},
	{"one alone", {{0, 1, 1460, ACK | PSH}}, 1, 1},
	{"a hole", {{0, 1, 1460, ACK}, {0, 1462, 1460, ACK}}, 2, 2},
	{"twice the same", {{0, 1, 1460, ACK}, {0, 1, 1460, ACK}}, 2, 2},
	{"a larger one", {{0, 1, 500, ACK}, {0, 501, 501, ACK}}, 2, 2},
	{"behind a short one", {{0, 1, 500, ACK}, {0, 501, 499, ACK}, {0, 1000, 499, ACK}}, 3, 2},
	{"behind a push", {{0, 1, 500, ACK | PSH}, {0, 501, 500, ACK}}, 2, 2},
	{"another window", {{0, 1, 500, ACK, 1}, {0, 501, 500, ACK, 2}}, 2, 2},
	{"other options", {{0, 1, 500, ACK, 1, 4}, {0, 501, 500, ACK, 1, 8}}, 2, 2},
	{"no payload between", {{0, 1, 500, ACK}, {0, 501, 0, ACK}, {0, 501, 500, ACK}}, 3, 3},
	{"an end", {{0, 1, 500, ACK}, {0, 501, 500, ACK | FIN}}, 2, 2},
	{"a beginning", {{0, 1, 0, SYN | ACK}, {0, 2, 500, ACK}}, 2, 2},
	{"IPv4 and IPv6", {{0, 1, 500, ACK}, {1, 501, 500, ACK}}, 2, 2},
	/* the same place for both, see nat_join_add */
	{"two guests",
	 {{0, 1, 500, ACK, 1, 0, 1}, {0, 501, 500, ACK, 1, 0, 9}, {0, 501, 500, ACK, 1, 0, 1}},
	 3,
	 3},
	{"two guests apart",
	 {{0, 1, 500, ACK, 1, 0, 1}, {0, 1, 500, ACK, 1, 0, 2}, {0, 501, 500, ACK, 1, 0, 1}},
	 3,
	 2},
};

static void check_row(struct test *t, const struct row *row, struct nat_join *j, struct store *s)
{
	uint8_t made[6][FRAME];
	uint32_t bytes[6] = {0};
	bool found;

	memset(j, 0, sizeof(*j));
	*j = (struct nat_join){.send = take, .ctx = s};
	s->sent = s->count = 0;
	for (unsigned i = 0; i < row->count; i++) {
		bytes[i] = make(&row->segments[i], made[i]);
		nat_join_add(j, made[i], bytes[i]);
	}
	nat_join_flush(j);
	nat_join_flush(j);
	EXPECT_EQ(t, s->sent, row->sent);
	EXPECT_EQ(t, s->count, row->count);
	for (unsigned i = 0; i < row->count; i++) {
		found = false;
		for (unsigned k = 0; k < s->count && !found; k++) {
			uint8_t *got = s->frames[k];

			if (!row->segments[i].ip6 && k < s->count) {
				/* cut segments are numbered */
				put16(got + 18, 0);
				put16(got + 24, 0);
				put16(got + 24, ~sum(got + 14, 20, 0) & 0xffff);
			}
			found = s->bytes[k] == bytes[i] && memcmp(got, made[i], bytes[i]) == 0;
		}
		EXPECT(t, found);
	}
}

static void test_rows(struct test *t)
{
	struct nat_join *j = malloc(sizeof(*j));
	struct store *s = calloc(1, sizeof(*s));

	s->t = t;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned before = t->failures;

		check_row(t, &rows[i], j, s);
		if (t->failures != before) {
			printf("# %s\n", rows[i].name);
		}
	}
	free(s);
	free(j);
}

/* As many as IP has a length for, and then anew; in order. */
static void test_many(struct test *t)
{
	struct nat_join *j = calloc(1, sizeof(*j));
	struct store *s = calloc(1, sizeof(*s));
	struct segment g = {.sequence = 1, .payload = 1460, .flags = ACK};
	uint8_t frame[FRAME];

	s->t = t;
	*j = (struct nat_join){.send = take, .ctx = s};
	for (unsigned i = 0; i < 100; i++, g.sequence += g.payload) {
		nat_join_add(j, frame, make(&g, frame));
	}
	EXPECT_EQ(t, s->sent, 2);
	nat_join_flush(j);
	EXPECT_EQ(t, s->sent, 3);
	EXPECT_EQ(t, s->count, 100);
	g.sequence = 1;
	for (unsigned i = 0; i < s->count; i++, g.sequence += g.payload) {
		make(&g, frame);
		EXPECT_MEM(t, s->frames[i] + 38, frame + 38, 1514 - 38);
	}
	free(s);
	free(j);
}

/* What is no such segment passes as it is, at once. */
static void test_others(struct test *t)
{
	struct nat_join *j = calloc(1, sizeof(*j));
	struct store *s = calloc(1, sizeof(*s));
	struct segment g = {.sequence = 1, .payload = 10, .flags = ACK};
	uint8_t frame[FRAME];
	uint32_t bytes = make(&g, frame);

	s->t = t;
	*j = (struct nat_join){.send = take, .ctx = s};
	for (uint32_t n = 14; n < bytes; n++) {
		nat_join_add(j, frame, n);
	}
	for (unsigned at = 12; at < 24; at++) {
		frame[at] ^= 0x41; /* type, version, length, fragment, protocol */
		if (at != 15 && at != 18 && at != 19 && at != 22) {
			unsigned before = s->sent;

			nat_join_add(j, frame, bytes);
			EXPECT_EQ(t, s->sent, before + 1);
		}
		frame[at] ^= 0x41;
	}
	frame[46] = 0x40; /* a header that is too short, one that is too long */
	nat_join_add(j, frame, bytes);
	frame[46] = 0xf0;
	nat_join_add(j, frame, bytes);
	EXPECT_EQ(t, s->sent, s->count);
	EXPECT_EQ(t, s->sent, bytes - 14 + 8 + 2);
	free(s);
	free(j);
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_rows), TEST(test_many),
						 TEST(test_others)};

	return test_main(cases, ARRAY_LEN(cases));
}
