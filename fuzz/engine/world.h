/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any guest on any engine. An input chooses a mode, overwrites parts of a small working environment (page tables, descriptor tables, task state,
 * code, data) and the registers, and the rest of it is the code that runs. Exits are answered with numbers drawn from the input.
 *
 *	byte 0  mode   byte 1  features   bytes 2..9  seed   byte 10  number of patches
 *	patch: offset (3 bytes), length (1), bytes     then: code
 */
#ifndef FUZZ_ENGINE_WORLD_H
#define FUZZ_ENGINE_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gmem/gmem.h"
#include "hv/engine.h"

#define WORLD_MEMORY_BYTES 0x40000u
#define WORLD_EXITS 200u

struct world {
	const struct hv_engine_ops *ops;
	struct gmem gmem;
	struct hv_engine_vm *vm;
	struct hv_engine_vp *vp;
	struct hv_engine_vp *other; /* state is restored into it */
	uint8_t *memory;
	uint64_t random;
	const char *failed; /* the engine gave up: its words */
	unsigned exits;	    /* of world_run since world_load, without one that failed */
};

/* @device_fd: the system's hypervisor, or -1: the engine counts instructions. Fails hard. */
struct world *world_create(const struct hv_engine_ops *ops, int device_fd);
void world_destroy(struct world *w);
/* Memory and registers as the input says; the VP begins anew. */
void world_load(struct world *w, const uint8_t *data, size_t bytes);
/* The input begins in protected mode, but not in long mode. */
bool world_is_legacy(const uint8_t *data, size_t bytes);
/* A number drawn from the input. */
uint64_t world_draw(struct world *w);
/* Everything is answered somehow. False: the run is over. */
bool world_answer(struct world *w, const struct hv_exit *e);
/* Runs to @end of the engine's time, WORLD_EXITS exits, or the guest's end. */
void world_run(struct world *w, uint64_t end);
/* True: saved state restores into another processor and saves to the same bytes there (else they are printed). Damaged state does no harm. */
bool world_check_state(struct world *w);

#endif
