// SPDX-License-Identifier: Apache-2.0
/*
 * What a run has taken: for --stats, one `stats: name value` line each; and for who asks over the control socket, `name=value`, and of what there are
 * several `kind.instance name=value name=value...`, so that all disks a machine can have fit into one answer.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "control_connection.h"
#include "host/memory.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "storage/block.h"

static const char *const exit_names[] = {
	"interrupted", "port", "memory",	   "msr",	"cr8",		"cpuid",
	"hypercall",   "halt", "interrupt-window", "exception", "triple-fault", "iret-nmi",
	"failed",      "eoi",
};

/* Of one processor, as it comes together. */
struct line {
	char text[768];
	size_t bytes;
};

void stats_collect(struct worker *w)
{
	struct vid_stats now;

	w->resident_ram = host_ram_resident(w->ram, w->map.ram_bytes);
	if (!w->config.stats) {
		return;
	}
	vid_stats(w->machine.partition, &now);
	w->stats.instructions += now.instructions;
	if (w->first_user_ns == 0 && now.first_user_tsc != 0 && !w->config.count_instructions) {
		w->first_user_ns =
			now.first_user_tsc - w->config.started_ns; /* engine time is host time */
	}
	for (size_t i = 0; i < ARRAY_LEN(now.exits); i++) {
		w->stats.exits[i] += now.exits[i];
	}
	for (size_t i = 0; i < ARRAY_LEN(now.hypercalls); i++) {
		w->stats.hypercalls[i] += now.hypercalls[i];
	}
}

static uint64_t cpu_ns(clockid_t clock)
{
	struct timespec ts = {0};

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

/* " NAME=N" behind what @line has. */
static void add_word(struct line *line, const char *name, const char *kind, uint64_t value)
{
	size_t room = sizeof(line->text) - line->bytes;
	int n = snprintf(line->text + line->bytes, room, " %s%s=%" PRIu64, name, kind, value);

	CHECK(n > 0 && (size_t)n < room);
	line->bytes += (size_t)n;
}

/* Why its processor left the guest, in this boot. */
static void add_exits(struct line *line, struct vid_vp *vp)
{
	struct vid_vp_stats s;
	uint64_t all = 0;

	vid_vp_stats(vp, &s);
	for (size_t i = 0; i < ARRAY_LEN(exit_names); i++) {
		all += s.exits[i];
		add_word(line, "exits_", exit_names[i], s.exits[i]);
	}
	add_word(line, "exits_", "engine", s.own_exits);
	add_word(line, "exits", "", all + s.own_exits);
}

static void tell_processors(struct connection *c)
{
	struct worker *w = c->worker;
	clockid_t clock;

	for (uint32_t i = 0; i < w->config.processors; i++) {
		struct line line = {.bytes = 0};

		if (pthread_getcpuclockid(w->vps[i].thread, &clock) == 0) {
			add_word(&line, "cpu_ns", "", cpu_ns(clock));
			add_exits(&line, w->vps[i].vp);
			control_say(c, "processor.%u%s", i, line.text);
		}
	}
}

static void tell_adapters(struct connection *c)
{
	for (unsigned i = 0; i < NET_ADAPTERS_MAX; i++) {
		struct vsp_net_stats s;

		if (net_stats(c->worker->net, i, &s)) {
			control_say(c,
				    "adapter.%u rx_frames=%" PRIu64 " rx_bytes=%" PRIu64
				    " rx_dropped=%" PRIu64 " tx_frames=%" PRIu64
				    " tx_bytes=%" PRIu64 " tx_dropped=%" PRIu64,
				    i, s.rx_frames, s.rx_bytes, s.rx_dropped, s.tx_frames,
				    s.tx_bytes, s.tx_dropped);
		}
	}
}

static uint64_t now_of(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Under a lock of the disks. */
static void tell_disk(void *ctx, const char *place, const struct block_counters *d)
{
	control_say(ctx,
		    "disk.%s reads=%" PRIu64 " read_bytes=%" PRIu64 " writes=%" PRIu64
		    " write_bytes=%" PRIu64 " flushes=%" PRIu64 " unmaps=%" PRIu64
		    " errors=%" PRIu64 " queue=%" PRIu64 " latency_ns=%" PRIu64
		    " normalized=%" PRIu64,
		    place, now_of(&d->reads), now_of(&d->read_bytes), now_of(&d->writes),
		    now_of(&d->write_bytes), now_of(&d->flushes), now_of(&d->unmaps),
		    now_of(&d->errors), now_of(&d->queue), now_of(&d->latency_ns),
		    now_of(&d->normalized));
}

void stats_tell(struct connection *c)
{
	struct worker *w = c->worker;
	struct vid_stats now;
	uint64_t hypercalls = 0;

	vid_stats(w->machine.partition, &now);
	for (size_t i = 0; i < ARRAY_LEN(now.hypercalls); i++) {
		hypercalls += now.hypercalls[i];
	}
	control_say(c, "uptime_ns=%" PRIu64, machine_guest_ns(w));
	control_say(c, "cpu_ns=%" PRIu64, cpu_ns(CLOCK_PROCESS_CPUTIME_ID));
	control_say(c, "memory_bytes=%" PRIu64, w->map.ram_bytes);
	control_say(c, "resident_bytes=%zu", host_ram_resident(w->ram, w->map.ram_bytes));
	control_say(c, "instructions=%" PRIu64, now.instructions);
	for (size_t i = 0; i < ARRAY_LEN(exit_names); i++) {
		control_say(c, "exits_%s=%" PRIu64, exit_names[i], now.exits[i]);
	}
	control_say(c, "hypercalls=%" PRIu64, hypercalls);
	tell_adapters(c);
	storage_count(w->storage, tell_disk, c);
	tell_processors(c); /* last: of a thousand of them not all fit */
}

static void print_ms(const char *name, uint64_t ns)
{
	fprintf(stderr, "stats: %s %" PRIu64 ".%03" PRIu64 " ms\n", name, ns / 1000000,
		ns / 1000 % 1000);
}

void stats_print(const struct worker *w)
{
	uint64_t peak = host_peak_resident();
	uint64_t first_run = atomic_load(&w->machine.first_run_ns);

	print_ms("wall-time", host_now_ns() - w->config.started_ns);
	if (first_run != 0) {
		print_ms("first-instruction", first_run - w->config.started_ns);
	}
	if (w->first_user_ns != 0) {
		print_ms("first-userspace-instruction", w->first_user_ns);
	}
	fprintf(stderr, "stats: instructions %" PRIu64 "\n", w->stats.instructions);
	for (size_t i = 0; i < ARRAY_LEN(exit_names); i++) {
		fprintf(stderr, "stats: exits.%s %" PRIu64 "\n", exit_names[i], w->stats.exits[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(w->stats.hypercalls); i++) {
		if (w->stats.hypercalls[i] != 0) {
			fprintf(stderr, "stats: hypercalls.0x%04zx%s %" PRIu64 "\n", i,
				i == ARRAY_LEN(w->stats.hypercalls) - 1 ? "-and-above" : "",
				w->stats.hypercalls[i]);
		}
	}
	fprintf(stderr,
		"stats: peak-memory %" PRIu64 " KiB, guest RAM in use %" PRIu64
		" KiB, beyond guest RAM %" PRIu64 " KiB\n",
		peak / 1024, w->resident_ram / 1024,
		(peak > w->resident_ram ? peak - w->resident_ram : 0) / 1024);
}
