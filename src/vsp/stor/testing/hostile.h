/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that plays foul, by a script of bytes: channel messages, ring words and ring contents, storvsp packets, page lists, CDBs; memory that
 * changes or goes while the host works; and an owner who moves disks and processes under it. For the fuzz target and hostile_test.c.
 */
#ifndef STOR_HOSTILE_H
#define STOR_HOSTILE_H

#include <stddef.h>
#include <stdint.h>

struct hostile_result {
	unsigned steps;
	uint64_t sent;	     /* packets */
	uint64_t violations; /* that the controller told of */
};

/*
 * Plays a script on a new bus, controller and guest, and takes them down. Stops the program when memory that is not the guest's to give was
 * written, a request was lost, or the controller does not come to rest.
 */
struct hostile_result hostile_play(const uint8_t *script, size_t bytes);

#endif
