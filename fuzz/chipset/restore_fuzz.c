// SPDX-License-Identifier: Apache-2.0
/* Any bytes as a saved board: restored or refused, and afterwards the board lives on. */
#include <errno.h>
#include <stdlib.h>

#include "chipset/board.h"

struct world {
	uint64_t now_ns;
	uint64_t sum;
};

static uint64_t now_ns(void *ctx)
{
	return ((struct world *)ctx)->now_ns;
}

static uint64_t wall_ns(void *ctx)
{
	return UINT64_C(1795269598500000000) + ((struct world *)ctx)->now_ns;
}

static void rearm(void *ctx, uint64_t deadline_ns)
{
	((struct world *)ctx)->sum += deadline_ns;
}

static void interrupt(void *ctx, uint32_t type, uint8_t vector, uint32_t destination, bool logical,
		      bool level)
{
	((struct world *)ctx)->sum += vector;
}

static void extint(void *ctx, bool raised)
{
	((struct world *)ctx)->sum += raised;
}

static void power(void *ctx, enum board_power what)
{
	((struct world *)ctx)->sum += what;
}

static void serial_out(void *ctx, unsigned port, const uint8_t *data, size_t bytes)
{
	((struct world *)ctx)->sum += data[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct world w = {.now_ns = 1000000000};
	const struct board_config config = {
		.ram_bytes = 512 << 20,
		.processors = 1,
		.ctx = &w,
		.now_ns = now_ns,
		.wall_ns = wall_ns,
		.rearm = rearm,
		.interrupt = interrupt,
		.extint = extint,
		.power = power,
		.serial_out = serial_out,
	};
	struct board *b;
	uint8_t state[4096];

	if (board_create(&config, &b) != 0) {
		abort();
	}
	int r = board_restore(b, data, bytes);

	if (r != 0 && r != -EINVAL) {
		abort();
	}
	for (unsigned i = 0; i < 8; i++) {
		w.now_ns += 300000000;
		board_poll(b);
		for (uint16_t port = 0; port < 0x500; port++) {
			w.sum += board_port_read(b, port, 1);
		}
	}
	size_t saved = board_save(b, state, sizeof(state));

	if (saved > sizeof(state) || board_restore(b, state, saved) != 0) {
		abort();
	}
	board_destroy(b);
	return 0;
}
