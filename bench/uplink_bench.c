// SPDX-License-Identifier: Apache-2.0
/*
 * A machine on a running switch that sends or takes as fast as it goes, for a comparison of what lies behind the switch.
 *
 *	uplink_bench SWITCH in COUNT		takes COUNT frames, or until none came for a second; says "ready" first
 *	uplink_bench SWITCH out BYTES COUNT	sends COUNT frames to 02:00:00:00:00:99
 *
 * Prints how many frames went through. The address is 02:00:00:00:00:02.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "lib/check.h"
#include "vswitchd/client.h"
#include "json/json.h"

#define FRAME_MAX 1514u
#define QUIET_MS 1000

void check_failed(const char *expr, const char *file, int line)
{
	fprintf(stderr, "uplink_bench: %s:%d: check failed: %s\n", file, line, expr);
	abort();
}

struct end {
	struct vswitch_cable cable;
	struct wire_ring to_switch, to_worker;
};

static void plug(struct end *e, const char *name)
{
	json_t *adapter = json_object();
	char error[700];
	uint32_t ring_bytes;
	unsigned queues;

	json_add_text(adapter, "switch", name);
	json_add_text(adapter, "port", "bench");
	json_add_text(adapter, "mac", "02:00:00:00:00:02");
	if (vswitch_client_plug(false, adapter, &e->cable, error, sizeof(error)) != 0) {
		fprintf(stderr, "uplink_bench: %s\n", error);
		exit(1);
	}
	json_decref(adapter);
	size_t bytes = (size_t)lseek(e->cable.memory, 0, SEEK_END);
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, e->cable.memory, 0);

	CHECK(memory != MAP_FAILED && wire_check(memory, bytes, &queues, &ring_bytes));
	wire_ring_init(&e->to_switch, memory, ring_bytes, 0, WIRE_TO_SWITCH, WIRE_PRODUCER);
	wire_ring_init(&e->to_worker, memory, ring_bytes, 0, WIRE_TO_WORKER, WIRE_CONSUMER);
}

static void show(struct end *e, struct wire_ring *r)
{
	const uint64_t one = 1;

	if (wire_show(r)) {
		CHECK(write(e->cable.switch_bell, &one, sizeof(one)) == sizeof(one));
	}
}

/* False: the bell did not ring in time. */
static bool sleep_on(struct end *e, struct wire_ring *r)
{
	struct pollfd p = {.fd = e->cable.worker_bells[0], .events = POLLIN};
	uint64_t rings;
	bool rang = true;

	if (wire_sleep(r)) {
		rang = poll(&p, 1, QUIET_MS) > 0 && read(p.fd, &rings, sizeof(rings)) > 0;
	}
	wire_wake(r);
	return rang;
}

static unsigned long take(struct end *e, unsigned long count)
{
	unsigned long got = 0;
	struct net_frame f;
	bool more = true;

	while (got < count && more) {
		unsigned long before = got;

		while (wire_get(&e->to_worker, &f) == WIRE_OK) {
			got += f.head_bytes >= 14 && f.head[12] == 0x88 && f.head[13] == 0xb5;
			wire_take(&e->to_worker);
		}
		show(e, &e->to_worker);
		more = got != before || sleep_on(e, &e->to_worker);
	}
	return got;
}

static unsigned long give(struct end *e, uint32_t bytes, unsigned long count)
{
	static uint8_t frame[FRAME_MAX] = {2, 0, 0, 0, 0, 0x99, 2, 0, 0, 0, 0, 2, 0x88, 0xb5};
	struct io_vec rest = {frame + NET_HEAD_BYTES, 0};
	struct net_frame f = {.head = frame, .bytes = bytes, .tag = NET_TAG_NONE, .rest = &rest};
	unsigned long sent = 0;

	f.head_bytes = bytes < NET_HEAD_BYTES ? bytes : NET_HEAD_BYTES;
	rest.bytes = bytes - f.head_bytes;
	f.rest_count = rest.bytes > 0;
	while (sent < count) {
		while (sent < count && wire_put(&e->to_switch, &f) == WIRE_OK) {
			sent++;
		}
		show(e, &e->to_switch);
		if (sent < count && !sleep_on(e, &e->to_switch)) {
			break;
		}
	}
	return sent;
}

int main(int argc, char **argv)
{
	struct end e;
	unsigned long n;

	if (argc == 4 && strcmp(argv[2], "in") == 0) {
		plug(&e, argv[1]);
		puts("ready");
		fflush(stdout);
		n = take(&e, strtoul(argv[3], NULL, 10));
	} else if (argc == 5 && strcmp(argv[2], "out") == 0) {
		unsigned long bytes = strtoul(argv[3], NULL, 10);

		plug(&e, argv[1]);
		n = give(&e,
			 bytes < 14	     ? 14
			 : bytes > FRAME_MAX ? FRAME_MAX
					     : (uint32_t)bytes,
			 strtoul(argv[4], NULL, 10));
	} else {
		fprintf(stderr, "usage: uplink_bench SWITCH in COUNT | out BYTES COUNT\n");
		return 2;
	}
	printf("%lu\n", n);
	return 0;
}
