/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that the hypervisor core asks of the ground it stands on (a worker process, or the bare machine). libhv needs these symbols,
 * memcpy/memmove/memset/memcmp and check_failed, and no others; a test looks at the archive.
 */
#ifndef HV_HOST_H
#define HV_HOST_H

#include <stdbool.h>
#include <stdint.h>

/* A lock of one word, 0 when free. Short critical sections only; never held across engine run or an intercept. */
struct hv_lock {
	uint32_t word;
};
void hv_host_lock(struct hv_lock *lock);
void hv_host_unlock(struct hv_lock *lock);

/* Pause while waiting for another VP (spin, then give the processor away). @round counts from 0. */
void hv_host_relax(unsigned round);

/* The memory of system page @spn of the root partition; NULL if there is none. Hosted: the page number of a pointer. */
void *hv_host_page(uint64_t spn);
uint64_t hv_host_spn(const void *page);

/*
 * Somebody made work for a VP that its dispatcher may be sleeping on: wake it. @cookie is what the parent gave at HvCallCreateVp
 * (hv_root_vp_cookie). Any thread; may be spurious.
 */
void hv_host_wake(void *cookie);

/* A message was queued for the root partition (port of the parent): @cookie of the root. Any thread. */
void hv_host_root_message(void *cookie);
/* An event flag of one of the root's ports was set. Any thread, without locks held: hv_root_take_event may be called from within. */
void hv_host_root_event(void *cookie);

#endif
