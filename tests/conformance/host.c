// SPDX-License-Identifier: Apache-2.0
/* hv/host.h for tests: spin locks, "system pages" that are pages of this process, and counters of wake-ups. */
#include "hv/host.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/check.h"
#include "rig.h"

#define SPINS 64u

void hv_host_lock(struct hv_lock *lock)
{
	unsigned round = 0;
	uint32_t expected = 0;

	while (!__atomic_compare_exchange_n(&lock->word, &expected, 1, false, __ATOMIC_ACQUIRE,
					    __ATOMIC_RELAXED)) {
		expected = 0;
		hv_host_relax(round++);
	}
}

void hv_host_unlock(struct hv_lock *lock)
{
	CHECK(__atomic_exchange_n(&lock->word, 0, __ATOMIC_RELEASE) == 1);
}

void hv_host_relax(unsigned round)
{
	if (round < SPINS) {
		__builtin_ia32_pause();
	} else {
		sched_yield();
	}
}

void *hv_host_page(uint64_t spn)
{
	/* Page 0 and the non-canonical half are no memory of the root. */
	if (spn == 0 || spn >> 35 != 0) {
		return NULL;
	}
	return (void *)(uintptr_t)(spn << 12);
}

uint64_t hv_host_spn(const void *page)
{
	return (uintptr_t)page >> 12;
}

void hv_host_wake(void *cookie)
{
	struct rig_wake *wake = cookie;

	if (wake != NULL) {
		__atomic_fetch_add(&wake->count, 1, __ATOMIC_SEQ_CST);
	}
}

void hv_host_root_message(void *cookie)
{
	hv_host_wake(cookie);
}

void hv_host_root_event(void *cookie)
{
	hv_host_wake(cookie);
}
