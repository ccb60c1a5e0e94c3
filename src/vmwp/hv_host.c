// SPDX-License-Identifier: Apache-2.0
/* What the hypervisor core asks of the ground it stands on, in a Linux process. */
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bus.h"
#include "hv/host.h"
#include "lib/check.h"
#include "vp_thread.h"

#define SPINS_BEFORE_SLEEP 100
#define SPINS_BEFORE_YIELD 32

enum { LOCK_FREE, LOCK_HELD, LOCK_CONTENDED };

static void futex(uint32_t *word, int op, uint32_t value)
{
	syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

void hv_host_lock(struct hv_lock *lock)
{
	for (unsigned i = 0; i < SPINS_BEFORE_SLEEP; i++) {
		uint32_t expected = LOCK_FREE;

		if (__atomic_compare_exchange_n(&lock->word, &expected, LOCK_HELD, false,
						__ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
			return;
		}
		__builtin_ia32_pause();
	}
	while (__atomic_exchange_n(&lock->word, LOCK_CONTENDED, __ATOMIC_ACQUIRE) != LOCK_FREE) {
		futex(&lock->word, FUTEX_WAIT, LOCK_CONTENDED);
	}
}

void hv_host_unlock(struct hv_lock *lock)
{
	if (__atomic_exchange_n(&lock->word, LOCK_FREE, __ATOMIC_RELEASE) == LOCK_CONTENDED) {
		futex(&lock->word, FUTEX_WAKE, 1);
	}
}

void hv_host_relax(unsigned round)
{
	if (round < SPINS_BEFORE_YIELD) {
		__builtin_ia32_pause();
	} else {
		sched_yield();
	}
}

/* The root partition's "physical memory" is this process: a system page is a page of its address
 * space. */
void *hv_host_page(uint64_t spn)
{
	return (void *)(uintptr_t)(spn << 12);
}

uint64_t hv_host_spn(const void *page)
{
	return (uintptr_t)page >> 12;
}

void hv_host_wake(void *cookie)
{
	if (cookie != NULL) {
		vp_thread_wake(cookie);
	}
}

void hv_host_root_message(void *cookie)
{
	bus_message_waits(cookie);
}

void hv_host_root_event(void *cookie)
{
	bus_events_wait(cookie);
}

void check_failed(const char *expr, const char *file, int line)
{
	fprintf(stderr, "virid-vmwp: %s:%d: check failed: %s (a bug in Virid: please report it)\n",
		file, line, expr);
	abort();
}
