/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wrong passwords from each address: some at once, then one now and then. Of IPv6 the first 64 bits are the address, as a host can have all of the
 * rest. Names are not counted: a stranger could lock their owners out.
 */
#ifndef VMMS_HTTP_ATTEMPTS_H
#define VMMS_HTTP_ATTEMPTS_H

#include <stdint.h>
#include <sys/socket.h>

#define ATTEMPTS_BURST 10u /* at once */
#define ATTEMPTS_ONE_NS (UINT64_C(6) * 1000000000)
#define ATTEMPTS_ADDRESSES 256u /* are remembered: of more, those that were seen last */

struct attempts_address {
	uint8_t family; /* 0: free */
	uint8_t bytes[8];
	uint64_t good_ns; /* from then on it is as if there had been no attempt */
};

struct attempts {
	struct attempts_address addresses[ATTEMPTS_ADDRESSES];
};

/* Begins an attempt from @from. 0: it may be made; otherwise the nanoseconds until one may. */
uint64_t attempts_begin(struct attempts *a, const struct sockaddr_storage *from, uint64_t now_ns);
/* One that was begun was no guess: it does not count. */
void attempts_right(struct attempts *a, const struct sockaddr_storage *from);

#endif
