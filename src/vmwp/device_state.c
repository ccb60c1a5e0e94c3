// SPDX-License-Identifier: Apache-2.0
#include "device_state.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "host/log.h"
#include "ic.h"
#include "lib/bits.h"
#include "lib/state.h"
#include "saving.h"
#include "shape.h"
#include "vmbus/vmbus.h"
#include "worker.h"

#define TAG_TIME STATE_TAG('T', 'I', 'M', 'E')
#define TAG_PARTITION STATE_TAG('V', 'I', 'D', ' ')
#define TAG_BOARD STATE_TAG('B', 'O', 'R', 'D')
#define TAG_BUS STATE_TAG('V', 'B', 'U', 'S')
#define TAG_PAUSED                                                                                 \
	STATE_TAG(                                                                                 \
		'P', 'A', 'U',                                                                     \
		'S') /* it stood still before it was saved, and shall do so again; not in a file: it ran */
#define VERSION 1u
#define FIRST_BYTES ((size_t)512 << 10)

/* ---- Save ---- */

static uint64_t wall_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static size_t room(const struct state_writer *w)
{
	return w->used < w->capacity ? w->capacity - w->used : 0;
}

static void *rest(const struct state_writer *w)
{
	return room(w) != 0 ? w->buf + w->used : NULL;
}

static void save_time(struct worker *w, struct state_writer *out)
{
	state_begin(out, TAG_TIME, VERSION);
	state_put_u64(out, wall_now_ns());
	state_put_u64(out, machine_guest_ns(w));
	state_end(out);
}

static void save_partition(struct worker *w, struct state_writer *out)
{
	state_begin(out, TAG_PARTITION, VERSION);
	out->used += vid_save(w->machine.partition, rest(out), room(out));
	state_end(out);
}

static void save_board(struct worker *w, struct state_writer *out)
{
	pthread_mutex_lock(&w->machine.board_lock);
	state_begin(out, TAG_BOARD, VERSION);
	out->used += board_save(w->machine.board, rest(out), room(out));
	state_end(out);
	pthread_mutex_unlock(&w->machine.board_lock);
}

static void save_bus(struct worker *w, struct state_writer *out)
{
	state_begin(out, TAG_BUS, VERSION);
	vmbus_save(w->machine.bus, out);
	state_end(out);
}

static void save_all(struct worker *w, struct state_writer *out)
{
	shape_save(w, out);
	x86_cpu_save(&w->cpu, out);
	save_time(w, out);
	save_partition(w, out);
	save_board(w, out);
	save_bus(w, out);
	storage_save(w->storage, out);
	net_save(w->net, out);
	ic_save(w, out);
	console_save(w->console, out);
	if (saving_was_paused(w)) {
		state_begin(out, TAG_PAUSED, VERSION);
		state_end(out);
	}
}

int device_state_save(struct worker *w, uint8_t **ret, size_t *ret_bytes)
{
	size_t capacity = FIRST_BYTES;

	for (;;) {
		uint8_t *buf = malloc(capacity);
		struct state_writer out;

		if (buf == NULL) {
			return -ENOMEM;
		}
		state_writer_init(&out, buf, capacity);
		save_all(w, &out);
		if (state_writer_ok(&out)) {
			*ret = buf;
			*ret_bytes = out.used;
			return 0;
		}
		free(buf);
		capacity = out.used; /* what it takes */
	}
}

/* ---- Restore ---- */

__attribute__((format(printf, 2, 3))) static bool refuse(char why[DEVICE_STATE_WHY_BYTES],
							 const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, DEVICE_STATE_WHY_BYTES, fmt, ap);
	va_end(ap);
	return false;
}

/* The first record of that kind. */
static bool find(const struct state_reader *run, uint32_t wanted, struct state_reader *ret)
{
	struct state_reader r = *run;
	uint16_t version;
	uint32_t tag;

	while (state_next(&r, &tag, &version, ret)) {
		if (tag == wanted) {
			return version <= VERSION;
		}
	}
	return false;
}

static bool restore_partition(struct worker *w, struct state_reader *r)
{
	struct vid_partition *p = w->machine.partition;

	if (vid_restore(p, r->buf, r->left) != 0) {
		return false;
	}
	if (vid_lost_tsc_hz(p) != 0) {
		log_line("the guest's time stamp counter ran at %llu kHz where its state was "
			 "saved, and runs at %llu kHz here: a guest "
			 "that takes it for a clock without the reference TSC page sees time pass "
			 "at another speed",
			 (unsigned long long)vid_lost_tsc_hz(p) / 1000,
			 (unsigned long long)vid_tsc_hz(p) / 1000);
	}
	return true;
}

static bool restore_board(struct worker *w, struct state_reader *r)
{
	pthread_mutex_lock(&w->machine.board_lock);
	int result = board_restore(w->machine.board, r->buf, r->left);

	pthread_mutex_unlock(&w->machine.board_lock);
	return result == 0;
}

static bool restore_bus(struct worker *w, struct state_reader *r)
{
	return vmbus_restore(w->machine.bus, r);
}

static bool restore_time(struct worker *w, struct state_reader *r)
{
	uint64_t wall_ns = state_get_u64(r);

	(void)w;
	state_get_u64(r); /* the partition has it; for people who look at the file */
	return !r->bad && wall_ns != 0;
}

static bool restore_singles(struct worker *w, const struct state_reader *run,
			    char why[DEVICE_STATE_WHY_BYTES])
{
	static const struct {
		uint32_t tag;
		const char *name;
		bool (*restore)(struct worker *w, struct state_reader *r);
	} parts[] = {
		/* In this order: chips go by the partition's time, devices by the bus. */
		{TAG_TIME, "time of day", restore_time},
		{TAG_PARTITION, "partition", restore_partition},
		{TAG_BOARD, "motherboard", restore_board},
		{TAG_BUS, "VMBus", restore_bus},
	};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		struct state_reader r;

		if (!find(run, parts[i].tag, &r)) {
			return refuse(why, "it lacks the record of the %s", parts[i].name);
		}
		if (!parts[i].restore(w, &r)) {
			return refuse(why,
				      "the record of the %s is damaged, or not of this machine",
				      parts[i].name);
		}
	}
	return true;
}

uint64_t device_state_apic_hz(const void *data, size_t bytes)
{
	struct state_reader run, partition;

	state_reader_init(&run, data, bytes);
	return find(&run, TAG_PARTITION, &partition)
		       ? vid_saved_apic_hz(partition.buf, partition.left)
		       : HV_APIC_HZ;
}

/* What the host's hypervisor has to have for a guest that goes on, beside its processor. */
static bool partition_fits(const struct worker *w, const struct state_reader *run,
			   char why[DEVICE_STATE_WHY_BYTES])
{
	struct state_reader partition;

	if (!find(run, TAG_PARTITION, &partition) ||
	    !vid_deadline_lacks(w->machine.partition, partition.buf, partition.left)) {
		return true;
	}
	return refuse(why, "its guest may use the TSC deadline timer of its local APICs, which "
			   "this host's KVM keeps from "
			   "APICs that are not its own; expected KVM with its own (without "
			   "apic=core, and states whose "
			   "APIC timers are of today's rate), or --engine emu");
}

bool device_state_restore(struct worker *w, const void *data, size_t bytes,
			  char why[DEVICE_STATE_WHY_BYTES])
{
	struct state_reader run;

	state_reader_init(&run, data, bytes);
	if (!shape_matches(w, &run, why) || !partition_fits(w, &run, why) ||
	    !restore_singles(w, &run, why)) {
		return false;
	}
	if (!storage_restore(w->storage, &run)) {
		return refuse(why,
			      "the record of a disk controller is damaged, or not of this machine");
	}
	if (!net_restore(w->net, &run)) {
		return refuse(why,
			      "the record of a network adapter is damaged, or not of this machine");
	}
	if (!ic_restore(w, &run)) {
		return refuse(why, "the record of the integration components is damaged");
	}
	if (!console_restore(w->console, &run)) {
		return refuse(why, "the record of the console is damaged");
	}
	struct state_reader paused;

	w->stay_paused = find(&run, TAG_PAUSED, &paused);
	return true;
}
