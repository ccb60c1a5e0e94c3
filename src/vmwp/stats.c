// SPDX-License-Identifier: Apache-2.0
/* --stats: what a run took, one `stats: name value` line each, so that people and scripts can read
 * it. */
#include <inttypes.h>
#include <stdio.h>

#include "host/memory.h"
#include "lib/bits.h"
#include "worker.h"

static const char *const exit_names[] = {
	"interrupted", "port", "memory",	   "msr",	"cr8",		"cpuid",
	"hypercall",   "halt", "interrupt-window", "exception", "triple-fault", "iret-nmi",
	"failed",
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
