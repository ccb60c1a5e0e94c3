/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that plays foul, by a script of bytes: NVSP messages, RNDIS messages with lengths that lie, completions for what it does not have, ring
 * words and contents, memory that changes or goes; and an owner whose port is full, whose link changes, and who moves the adapter to another
 * process. For the fuzz target and hostile_test.c.
 */
#ifndef NET_HOSTILE_H
#define NET_HOSTILE_H

#include <stddef.h>
#include <stdint.h>

struct hostile_result {
	unsigned steps;
	uint64_t sent;	     /* packets */
	uint64_t violations; /* that the adapter told of */
	uint64_t frames;     /* both ways */
};

/*
 * Plays a script on a new bus, adapter and guest, and takes them down. Stops the program when memory that is not the guest's to give was
 * written, a suballocation was lost, the port got a malformed frame, or the adapter does not come to rest.
 */
struct hostile_result hostile_play(const uint8_t *script, size_t bytes);

#endif
