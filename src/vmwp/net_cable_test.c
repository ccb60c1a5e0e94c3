// SPDX-License-Identifier: Apache-2.0
/* The worker's end of a cable: what is taken for one, frames both ways, bells, and what becomes of frames while there is none. */
#include "net_cable.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "test/test.h"

#define QUEUES 2u
#define RING WIRE_RING_BYTES_MIN

/* The switch's end. */
struct far {
	struct net_plug plug;
	void *memory;
	size_t bytes;
	struct wire_ring from_worker[QUEUES], to_worker[QUEUES];
};

static int make_memory(unsigned queues, int seals, void **ret, size_t *ret_bytes)
{
	int fd = memfd_create("cable", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	*ret_bytes = wire_bytes(queues, RING);
	CHECK(fd >= 0 && ftruncate(fd, (off_t)*ret_bytes) == 0);
	*ret = mmap(NULL, *ret_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(*ret != MAP_FAILED);
	wire_format(*ret, queues, RING);
	CHECK(fcntl(fd, F_ADD_SEALS, seals) == 0);
	return fd;
}

static void far_create(struct far *f, unsigned queues, int seals)
{
	memset(f, 0, sizeof(*f));
	f->plug.connection = eventfd(0, EFD_CLOEXEC);
	f->plug.switch_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f->plug.queues = queues;
	for (unsigned i = 0; i < queues; i++) {
		f->plug.worker_bells[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	f->plug.memory = make_memory(queues, seals, &f->memory, &f->bytes);
	for (unsigned i = 0; i < queues && i < QUEUES; i++) {
		wire_ring_init(&f->from_worker[i], f->memory, RING, i, WIRE_TO_SWITCH,
			       WIRE_CONSUMER);
		wire_ring_init(&f->to_worker[i], f->memory, RING, i, WIRE_TO_WORKER, WIRE_PRODUCER);
	}
}

static void far_destroy(struct far *f)
{
	munmap(f->memory, f->bytes);
}

/* How often it was rung since. */
static unsigned rings(int bell)
{
	uint64_t n = 0;

	return read(bell, &n, sizeof(n)) == sizeof(n) ? (unsigned)n : 0;
}

static struct net_frame make_frame(uint8_t *data, uint32_t bytes, uint8_t mark)
{
	memset(data, mark, bytes);
	return (struct net_frame){
		.head = data, .head_bytes = bytes, .bytes = bytes, .tag = NET_TAG_NONE};
}

static bool send(struct net_cable *c, unsigned queue, uint8_t mark)
{
	uint8_t data[100];
	struct net_frame f = make_frame(data, sizeof(data), mark);

	return net_cable_port.send(c, queue, &f);
}

/* ---- What is a cable ---- */

static void test_refused(struct test *t)
{
	struct net_cable c = {0};
	struct far f;

	far_create(&f, QUEUES, 0); /* could be cut short under our feet */
	EXPECT(t, net_cable_plug(&c, &f.plug, QUEUES) < 0);
	net_plug_close(&f.plug);
	far_destroy(&f);

	far_create(&f, QUEUES, F_SEAL_SHRINK);
	EXPECT(t, net_cable_plug(&c, &f.plug, QUEUES + 1) < 0);
	((struct wire_header *)f.memory)->queues = QUEUES + 1; /* more than there is memory for */
	EXPECT(t, net_cable_plug(&c, &f.plug, QUEUES + 1) < 0);
	((struct wire_header *)f.memory)->queues = QUEUES;
	((struct wire_header *)f.memory)->magic++;
	EXPECT(t, net_cable_plug(&c, &f.plug, QUEUES) < 0);
	EXPECT(t, c.memory == NULL);
	EXPECT(t, fcntl(f.plug.connection, F_GETFD) >= 0); /* the caller's still */
	net_plug_close(&f.plug);
	far_destroy(&f);
}

static void test_descriptors(struct test *t)
{
	static const int fds[3 + NET_QUEUES_MAX + 1] = {10, 11, 12, 20, 21, 22,
							23, 24, 25, 26, 27, 28};
	struct net_plug p;

	EXPECT(t, net_plug_take(&p, 2, fds, 5));
	EXPECT_EQ(t, p.connection, 10);
	EXPECT_EQ(t, p.memory, 11);
	EXPECT_EQ(t, p.switch_bell, 12);
	EXPECT_EQ(t, p.worker_bells[1], 21);
	EXPECT_EQ(t, p.queues, 2);
	EXPECT(t, net_plug_take(&p, NET_QUEUES_MAX, fds, 3 + NET_QUEUES_MAX));
	EXPECT(t, !net_plug_take(&p, NET_QUEUES_MAX + 1, fds, 3 + NET_QUEUES_MAX + 1));
	EXPECT(t, !net_plug_take(&p, 2, fds, 4));
	EXPECT(t, !net_plug_take(&p, 2, fds, 6));
	EXPECT(t, !net_plug_take(&p, 0, fds, 3));
}

/* ---- Frames ---- */

static void test_frames(struct test *t)
{
	struct net_cable c = {0};
	struct far f;
	struct net_frame got;
	uint8_t data[1000];

	far_create(&f, QUEUES, F_SEAL_SHRINK);
	EXPECT_EQ(t, net_cable_plug(&c, &f.plug, QUEUES), 0);
	EXPECT(t, send(&c, 1, 7));
	EXPECT_EQ(t, wire_get(&f.from_worker[1], &got), WIRE_EMPTY); /* not before flush */
	net_cable_port.flush(&c, 1);
	EXPECT_EQ(t, wire_get(&f.from_worker[0], &got), WIRE_EMPTY);
	EXPECT_EQ(t, wire_get(&f.from_worker[1], &got), WIRE_OK);
	EXPECT_EQ(t, got.bytes, 100);
	EXPECT_EQ(t, got.head[50], 7);

	got = make_frame(data, sizeof(data), 9);
	got.head_bytes = 192;
	got.rest = &(const struct io_vec){data + 192, sizeof(data) - 192};
	got.rest_count = 1;
	EXPECT_EQ(t, wire_put(&f.to_worker[0], &got), WIRE_OK);
	wire_show(&f.to_worker[0]);
	EXPECT(t, !net_cable_port.receive(&c, 1, &got));
	EXPECT(t, net_cable_port.receive(&c, 0, &got));
	EXPECT(t, net_cable_port.receive(&c, 0, &got)); /* the same one again */
	EXPECT_EQ(t, got.bytes, 1000);
	EXPECT_EQ(t, got.head[100], 9);
	net_cable_port.received(&c, 0);
	EXPECT(t, !net_cable_port.receive(&c, 0, &got));
	net_cable_unplug(&c);
	far_destroy(&f);
}

/* ---- Bells ---- */

static void test_bells(struct test *t)
{
	struct net_cable c = {0};
	struct far f;
	struct net_frame got;

	far_create(&f, QUEUES, F_SEAL_SHRINK);
	EXPECT_EQ(t, net_cable_plug(&c, &f.plug, QUEUES), 0);
	EXPECT(t, send(&c, 0, 1));
	net_cable_port.flush(&c, 0);
	EXPECT_EQ(t, rings(f.plug.switch_bell), 0); /* it is awake */
	EXPECT_EQ(t, wire_get(&f.from_worker[0], &got), WIRE_OK);
	wire_take(&f.from_worker[0]);
	wire_show(&f.from_worker[0]);
	EXPECT(t, wire_sleep(&f.from_worker[0]));
	EXPECT(t, send(&c, 0, 2));
	net_cable_port.flush(&c, 0);
	net_cable_port.flush(&c, 0);
	EXPECT_EQ(t, rings(f.plug.switch_bell), 1);

	EXPECT(t, net_cable_sleep(&c, 0, true));
	got = make_frame((uint8_t[100]){0}, 100, 3);
	EXPECT_EQ(t, wire_put(&f.to_worker[0], &got), WIRE_OK);
	EXPECT(t, wire_show(&f.to_worker[0])); /* wants its bell */
	net_cable_awake(&c, 0);
	EXPECT(t, !net_cable_sleep(&c, 0, true)); /* there is something to do */
	EXPECT(t, net_cable_sleep(&c, 0, false)); /* nothing that the guest has room for */
	net_cable_awake(&c, 0);
	net_cable_unplug(&c);
	far_destroy(&f);
}

/* A full ring holds the sender, who hears when there is room. */
static void test_full(struct test *t)
{
	struct net_cable c = {0};
	struct far f;
	struct net_frame got;
	unsigned sent = 0, taken = 0;

	far_create(&f, QUEUES, F_SEAL_SHRINK);
	EXPECT_EQ(t, net_cable_plug(&c, &f.plug, QUEUES), 0);
	while (send(&c, 0, 1)) {
		sent++;
	}
	EXPECT(t, sent > 1000);
	net_cable_port.flush(&c, 0);
	EXPECT(t, net_cable_sleep(&c, 0, true));
	while (wire_get(&f.from_worker[0], &got) == WIRE_OK) {
		wire_take(&f.from_worker[0]);
		taken++;
	}
	EXPECT_EQ(t, taken, sent);
	EXPECT(t, wire_show(&f.from_worker[0]));
	net_cable_awake(&c, 0);
	EXPECT(t, send(&c, 0, 1));
	net_cable_unplug(&c);
	far_destroy(&f);
}

/* ---- No switch ---- */

static void test_unplugged(struct test *t)
{
	struct net_cable c = {0};
	struct net_rss rss = {.types = NDIS_HASH_IPV4, .table_entries = 2, .table = {1, 0}};
	struct net_frame got;
	struct net_rss seen;
	uint32_t generation = 0;
	unsigned used;
	struct far f;

	EXPECT(t, !send(&c, 0, 1)); /* waits */
	EXPECT(t, !net_cable_port.receive(&c, 0, &got));
	EXPECT(t, net_cable_sleep(&c, 0, true));
	net_cable_port.flush(&c, 0);
	net_cable_port.set_rss(&c, &rss, QUEUES);
	c.dropping = true;
	EXPECT(t, send(&c, 0, 1)); /* is lost */

	far_create(&f, QUEUES, F_SEAL_SHRINK);
	EXPECT_EQ(t, net_cable_plug(&c, &f.plug, QUEUES), 0);
	EXPECT(t, !c.dropping);
	EXPECT(t, wire_get_rss(f.memory, QUEUES, &generation, &seen,
			       &used)); /* what was asked for before */
	EXPECT_EQ(t, used, QUEUES);
	EXPECT_EQ(t, seen.types, NDIS_HASH_IPV4);
	net_cable_unplug(&c);
	EXPECT(t, fcntl(f.plug.memory, F_GETFD) < 0);
	EXPECT(t, c.memory == NULL);
	EXPECT(t, !send(&c, 0, 1));
	far_destroy(&f);
}

/* Nonsense from the switch is no frame, and no more comes. */
static void test_broken(struct test *t)
{
	struct net_cable c = {0};
	struct wire_control *control;
	struct net_frame got;
	struct far f;

	far_create(&f, 1, F_SEAL_SHRINK);
	EXPECT_EQ(t, net_cable_plug(&c, &f.plug, 1), 0);
	control = (void *)((uint8_t *)f.memory + 8192 + WIRE_PAGE_BYTES + RING);
	atomic_store(&control->head, 12345);
	EXPECT(t, !net_cable_port.receive(&c, 0, &got));
	atomic_store(&control->head, 0);
	EXPECT(t, !net_cable_port.receive(&c, 0, &got));
	EXPECT(t, send(&c, 0, 1)); /* the other way is whole */
	net_cable_unplug(&c);
	far_destroy(&f);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_refused), TEST(test_descriptors), TEST(test_frames), TEST(test_bells),
		TEST(test_full),    TEST(test_unplugged),   TEST(test_broken),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
