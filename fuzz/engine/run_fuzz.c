// SPDX-License-Identifier: Apache-2.0
/*
 * Any guest (world.h) on the software engine. Besides not crashing: a bounded number of instructions ends, and saved state restores to the
 * same saved state.
 */
#include <stdio.h>
#include <stdlib.h>

#include "emu/emu.h"
#include "lib/check.h"
#include "world.h"

#define INSTRUCTIONS 3000u
#define INPUTS_A_VM 256u /* creating a VM costs more than a run: one serves many inputs */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void run(struct world *w)
{
	uint64_t end = w->ops->tsc(w->vm) + INSTRUCTIONS;

	world_run(w, end);
	if (w->failed != NULL) {
		fprintf(stderr, "the engine gave up: %s\n", w->failed);
		abort();
	}
	/* One long instruction may run past the end, but not for ever. */
	CHECK(w->ops->tsc(w->vm) < end + 100000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct world *world;
	static unsigned used;

	if (world == NULL) {
		world = world_create(&emu_engine_ops, -1);
	}
	world_load(world, data, bytes);
	run(world);
	if ((world_draw(world) & 15) == 0) {
		CHECK(world_check_state(world));
	}
	if (++used % INPUTS_A_VM == 0) {
		world_destroy(world);
		world = NULL;
	}
	return 0;
}
