/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that plays foul with the integration components, by a script of bytes: answers with any header and body, ring words and ring
 * contents, channels that come and go; and an owner who asks for everything and moves to another process. For the fuzz target and
 * hostile_test.c.
 */
#ifndef IC_HOSTILE_H
#define IC_HOSTILE_H

#include <stddef.h>
#include <stdint.h>

struct hostile_result {
	unsigned steps;
	uint64_t sent;	     /* packets */
	uint64_t violations; /* that were told of */
	unsigned asked,
		done; /* by the owner; requests that came to an end while the play went on */
};

/* Plays a script on a new guest and takes it down. Stops the program when a request of the owner's ends twice or never. */
struct hostile_result hostile_play(const uint8_t *script, size_t bytes);

#endif
