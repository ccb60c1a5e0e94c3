// SPDX-License-Identifier: Apache-2.0
/*
 * The switch by itself on one processor: frames go from the rings of workers through a switch into the rings of other workers. The clock
 * (processor time) runs while the switch works (its side of the rings, all checks, learning, forwarding, copies), not while the workers fill and
 * empty their rings.
 *
 *	switch_bench				all of the table
 *	switch_bench PORTS TALKING BYTES SECONDS	one line: PORTS exist, TALKING of them send to each other
 *
 * Each line: ports, talking, bytes per frame, frames per second, nanoseconds per frame.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "vswitch/vswitch.h"
#include "vswitch/wire.h"

#define RING WIRE_RING_BYTES_MIN
#define BATCH 64u /* frames that each worker sends in a round */

struct port {
	struct vswitch_port *port;
	void *memory;
	struct wire_ring from, to;		 /* the switch's side */
	struct wire_ring worker_to, worker_from; /* the worker's */
};

struct bench {
	struct vswitch *s;
	struct port *ports;
	unsigned count, talking;
	uint32_t frame_bytes;
	uint8_t frame[2048];
	uint64_t now_ns;
	uint64_t frames, got;
	uint64_t spent_ns;
};

void check_failed(const char *expr, const char *file, int line)
{
	fprintf(stderr, "switch_bench: %s:%d: check failed: %s\n", file, line, expr);
	abort();
}

/* Of this thread: what others do on the machine does not count. */
static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static bool deliver(void *ctx, const struct net_frame *f)
{
	return wire_put(&((struct port *)ctx)->to, f) == WIRE_OK;
}

static void flush(void *ctx)
{
	wire_show(&((struct port *)ctx)->to);
}

static void mac_of_port(uint8_t *mac, unsigned i)
{
	const uint8_t bytes[NET_MAC_BYTES] = {2, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i};

	memcpy(mac, bytes, sizeof(bytes));
}

static void add_port(struct bench *b, unsigned i)
{
	static const struct vswitch_port_ops ops = {.deliver = deliver, .flush = flush};
	struct vswitch_port_config c = {.role = VSWITCH_VM, .takes = NET_TAKES_ALL};
	struct port *p = &b->ports[i];

	snprintf(c.name, sizeof(c.name), "port%u", i);
	mac_of_port(c.mac, i);
	p->memory = mmap(NULL, wire_bytes(1, RING), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(p->memory != MAP_FAILED);
	wire_format(p->memory, 1, RING);
	wire_ring_init(&p->from, p->memory, RING, 0, WIRE_TO_SWITCH, WIRE_CONSUMER);
	wire_ring_init(&p->to, p->memory, RING, 0, WIRE_TO_WORKER, WIRE_PRODUCER);
	wire_ring_init(&p->worker_to, p->memory, RING, 0, WIRE_TO_SWITCH, WIRE_PRODUCER);
	wire_ring_init(&p->worker_from, p->memory, RING, 0, WIRE_TO_WORKER, WIRE_CONSUMER);
	CHECK(vswitch_port_add(b->s, &c, &ops, p, &p->port) == 0);
}

/* Worker @i sends its batch, each frame to another one. */
static void send_batch(struct bench *b, unsigned i, uint64_t round)
{
	uint32_t head_bytes = (uint32_t)min_u64(b->frame_bytes, NET_HEAD_BYTES);
	const struct io_vec rest = {b->frame + head_bytes, b->frame_bytes - head_bytes};
	const struct net_frame f = {.head = b->frame,
				    .head_bytes = head_bytes,
				    .bytes = b->frame_bytes,
				    .rest = &rest,
				    .rest_count = rest.bytes != 0,
				    .tag = NET_TAG_NONE};

	mac_of_port(b->frame + NET_MAC_BYTES, i);
	for (unsigned n = 0; n < BATCH; n++) {
		unsigned step = (unsigned)((n * 7 + round) % (b->talking - 1)) + 1;

		mac_of_port(b->frame, (i + step) % b->talking);
		CHECK(wire_put(&b->ports[i].worker_to, &f) == WIRE_OK);
	}
	wire_show(&b->ports[i].worker_to);
}

static void receive(struct bench *b, unsigned i)
{
	struct wire_ring *r = &b->ports[i].worker_from;
	struct net_frame f;

	while (wire_get(r, &f) == WIRE_OK) {
		b->got++;
		wire_take(r);
	}
	wire_show(r);
}

/* One port, as the process of the switch serves it. */
static void serve(struct bench *b, struct port *p)
{
	uint64_t when;
	int64_t budget = vswitch_port_budget(p->port, b->now_ns, &when);
	struct net_frame f;

	while (budget > 0 && wire_get(&p->from, &f) == WIRE_OK) {
		vswitch_input(p->port, &f, b->now_ns);
		budget -= vswitch_cost(&f);
		wire_take(&p->from);
		b->frames++;
	}
	wire_show(&p->from);
}

static void run_round(struct bench *b, uint64_t round)
{
	uint64_t want = b->frames + (uint64_t)b->talking * BATCH, started;

	for (unsigned i = 0; i < b->talking; i++) {
		send_batch(b, i, round);
	}
	started = clock_ns();
	b->now_ns = started;
	while (b->frames < want) {
		for (unsigned i = 0; i < b->talking; i++) {
			serve(b, &b->ports[i]);
		}
		vswitch_flush(b->s);
	}
	b->spent_ns += clock_ns() - started;
	for (unsigned i = 0; i < b->talking; i++) {
		receive(b, i);
	}
}

static void run(unsigned ports, unsigned talking, uint32_t bytes, double seconds)
{
	const struct vswitch_config config = {.seed = clock_ns()};
	struct bench b = {.count = ports, .talking = talking, .frame_bytes = bytes};

	CHECK(talking >= 2 && talking <= ports && ports <= VSWITCH_PORTS_MAX &&
	      bytes >= NET_ETHERNET_BYTES && bytes <= sizeof(b.frame));
	b.ports = calloc(ports, sizeof(*b.ports));
	CHECK(b.ports != NULL && vswitch_create(&config, &b.s) == 0);
	for (unsigned i = 0; i < ports; i++) {
		add_port(&b, i);
	}
	/* twice around each ring first: pages are there */
	for (uint64_t round = 0; round < 2 * RING / (BATCH * align_up(bytes + 24, 8)) + 2;
	     round++) {
		run_round(&b, round);
	}
	b.frames = b.got = b.spent_ns = 0;
	for (uint64_t round = 0; (double)b.spent_ns < seconds * 1e9; round++) {
		run_round(&b, round);
	}
	CHECK(b.got == b.frames);
	printf("%5u %5u %5u %12.0f %8.1f\n", ports, talking, bytes,
	       (double)b.frames * 1e9 / (double)b.spent_ns, (double)b.spent_ns / (double)b.frames);
	fflush(stdout);
	vswitch_destroy(b.s);
	for (unsigned i = 0; i < ports; i++) {
		munmap(b.ports[i].memory, wire_bytes(1, RING));
	}
	free(b.ports);
}

int main(int argc, char **argv)
{
	static const unsigned shapes[][2] = {{2, 2}, {64, 64}, {1024, 2}, {1024, 64}, {1024, 1024}};
	static const uint32_t sizes[] = {64, 1500};

	if (argc == 5) {
		run((unsigned)atoi(argv[1]), (unsigned)atoi(argv[2]), (uint32_t)atoi(argv[3]),
		    atof(argv[4]));
		return 0;
	}
	if (argc != 1) {
		fprintf(stderr, "usage: switch_bench [PORTS TALKING BYTES SECONDS]\n");
		return 2;
	}
	printf("ports  talk bytes     frames/s ns/frame\n");
	for (unsigned i = 0; i < ARRAY_LEN(shapes); i++) {
		for (unsigned j = 0; j < ARRAY_LEN(sizes); j++) {
			run(shapes[i][0], shapes[i][1], sizes[j], 0.5);
		}
	}
	return 0;
}
