// SPDX-License-Identifier: Apache-2.0
/* The motherboard's wires to the world: clocks, interrupts, power, serial ports. */
#include <time.h>

#include "machine.h"

#define NS_PER_REFERENCE 100
#define NS_PER_S UINT64_C(1000000000)
#define COUNTED_EPOCH_S 1767225600 /* 2026-01-01 */

uint64_t machine_guest_ns(struct worker *w)
{
	return vid_reference_time_100ns(w->machine.partition) * NS_PER_REFERENCE;
}

static uint64_t board_now_ns(void *ctx)
{
	return machine_guest_ns(ctx);
}

/* Counted instructions give the same run every time: the calendar starts on a fixed day then. */
uint64_t machine_wall_ns(struct worker *w)
{
	struct timespec ts = {.tv_sec = COUNTED_EPOCH_S};

	if (w->config.count_instructions) {
		return (uint64_t)ts.tv_sec * NS_PER_S + machine_guest_ns(w);
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint64_t board_wall_ns(void *ctx)
{
	return machine_wall_ns(ctx);
}

static void board_rearm(void *ctx, uint64_t deadline_ns)
{
	struct worker *w = ctx;

	if (atomic_exchange(&w->machine.board_deadline_ns, deadline_ns) != deadline_ns) {
		loop_wake(w->loop);
	}
}

static void board_interrupt(void *ctx, uint32_t type, uint8_t vector, uint32_t destination,
			    bool logical, bool level)
{
	struct worker *w = ctx;

	vid_assert_interrupt(w->machine.partition, type, vector, destination, logical, level);
}

static void board_extint(void *ctx, bool raised)
{
	struct worker *w = ctx;

	vid_set_extint(w->machine.partition, raised);
}

static void board_power(void *ctx, enum board_power what)
{
	worker_end_round(ctx, what == BOARD_POWER_RESET ? END_RESET : END_POWER_OFF);
}

static void board_serial_out(void *ctx, unsigned port, const uint8_t *data, size_t bytes)
{
	struct worker *w = ctx;

	if (port == 0) {
		console_write(w->console, data, bytes);
	}
}

static void board_serial_ready(void *ctx, unsigned port)
{
	struct worker *w = ctx;

	if (port == 0) {
		console_ready(w->console);
	}
}

int motherboard_create(struct worker *w)
{
	const struct board_config config = {
		.ram_bytes = w->map.ram_bytes,
		.processors = w->config.processors,
		.no_legacy = w->config.no_legacy,
		.ctx = w,
		.now_ns = board_now_ns,
		.wall_ns = board_wall_ns,
		.rearm = board_rearm,
		.interrupt = board_interrupt,
		.extint = board_extint,
		.power = board_power,
		.serial_out = board_serial_out,
		.serial_ready = board_serial_ready,
	};

	atomic_store(&w->machine.board_deadline_ns, UINT64_MAX);
	pthread_mutex_lock(&w->machine.board_lock);
	int r = board_create(&config, &w->machine.board);

	console_ready(w->console); /* input may be waiting already */
	pthread_mutex_unlock(&w->machine.board_lock);
	return r;
}

/* Called by the hypervisor on a VP's thread. */
int motherboard_extint_ack(void *ctx)
{
	struct worker *w = ctx;

	pthread_mutex_lock(&w->machine.board_lock);
	int vector = board_pic_ack(w->machine.board);

	pthread_mutex_unlock(&w->machine.board_lock);
	return vector;
}

static bool waits(void *ctx, uint8_t vector)
{
	return vid_vector_waits(ctx, vector);
}

void motherboard_find_ended(struct worker *w)
{
	pthread_mutex_lock(&w->machine.board_lock);
	board_find_ended(w->machine.board, waits, w->machine.partition);
	pthread_mutex_unlock(&w->machine.board_lock);
}

void motherboard_level_eoi(void *ctx, uint8_t vector)
{
	struct worker *w = ctx;

	pthread_mutex_lock(&w->machine.board_lock);
	board_eoi(w->machine.board, vector);
	pthread_mutex_unlock(&w->machine.board_lock);
}
