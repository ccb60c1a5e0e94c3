// SPDX-License-Identifier: Apache-2.0
#include "http_attempts.h"

#include <netinet/in.h>
#include <string.h>

/* Each attempt puts this off by one step; what is further off than a burst is too much. */
#define BURST_NS (ATTEMPTS_BURST * ATTEMPTS_ONE_NS)

static void key_of(const struct sockaddr_storage *from, struct attempts_address *ret)
{
	*ret = (struct attempts_address){.family = (uint8_t)from->ss_family};
	if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *six = (const void *)from;

		if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
			ret->family = AF_INET;
			memcpy(ret->bytes, six->sin6_addr.s6_addr + 12, 4);
		} else {
			memcpy(ret->bytes, six->sin6_addr.s6_addr, 8);
		}
	} else if (from->ss_family == AF_INET) {
		memcpy(ret->bytes, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
	}
}

/* NULL: nothing is known of it. */
static struct attempts_address *find(struct attempts *a, const struct attempts_address *key)
{
	for (unsigned i = 0; i < ATTEMPTS_ADDRESSES; i++) {
		struct attempts_address *e = &a->addresses[i];

		if (e->family == key->family &&
		    memcmp(e->bytes, key->bytes, sizeof(e->bytes)) == 0) {
			return e;
		}
	}
	return NULL;
}

/* In place of the one with the least against it. */
static struct attempts_address *add(struct attempts *a, const struct attempts_address *key)
{
	struct attempts_address *least = &a->addresses[0];

	for (unsigned i = 1; i < ATTEMPTS_ADDRESSES; i++) {
		if (a->addresses[i].good_ns < least->good_ns) {
			least = &a->addresses[i];
		}
	}
	*least = *key;
	return least;
}

uint64_t attempts_begin(struct attempts *a, const struct sockaddr_storage *from, uint64_t now_ns)
{
	struct attempts_address key, *e;

	key_of(from, &key);
	e = find(a, &key);
	if (e == NULL) {
		e = add(a, &key);
	}
	if (e->good_ns < now_ns) {
		e->good_ns = now_ns;
	}
	if (e->good_ns + ATTEMPTS_ONE_NS > now_ns + BURST_NS) {
		return e->good_ns + ATTEMPTS_ONE_NS - (now_ns + BURST_NS);
	}
	e->good_ns += ATTEMPTS_ONE_NS;
	return 0;
}

void attempts_right(struct attempts *a, const struct sockaddr_storage *from)
{
	struct attempts_address key, *e;

	key_of(from, &key);
	e = find(a, &key);
	if (e != NULL && e->good_ns >= ATTEMPTS_ONE_NS) {
		e->good_ns -= ATTEMPTS_ONE_NS;
	}
}
