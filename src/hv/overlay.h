/* SPDX-License-Identifier: Apache-2.0 */
/* overlay.c: pages that MSRs place over the guest's memory, or in it. */
#ifndef HV_OVERLAY_H
#define HV_OVERLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gmem/gmem.h"
#include "hv/host.h"

struct hv_partition;

/* An overlay page placed by an MSR: bit 0 enable, [63:12] page number. */
struct hv_overlay {
	struct gmem_overlay gmem;
	uint64_t msr;
	void *own; /* from the pool, lives as long as the owner */
	uint32_t rights;
	bool shown;
	void *guest; /* the guest's page that it stands in; NULL: it is @own that the guest sees */
	struct hv_lock lock; /* innermost; what follows */
	bool in_guest;	     /* its contents are in @guest, and what lies beneath in @own */
};

/* Moves the overlay as @msr says; false: no memory for it, nothing changed. Takes the partition's lock. */
bool overlay_set(struct hv_partition *p, struct hv_overlay *o, uint64_t msr);
/* Its contents, which stay where they are until overlay_end. No lock is taken between both. [any] */
void *overlay_begin(struct hv_overlay *o);
void overlay_end(struct hv_overlay *o);
/* Marks the page as written for the dirty log. */
void overlay_touch(struct hv_partition *p, struct hv_overlay *o, size_t offset, size_t bytes);
/* The parent is about to change what lies beneath @gpn: no overlay stands in it any more. The partition's lock is held. */
void overlay_ground(struct hv_partition *p, uint64_t gpn);
/* Overlays stand in their places, unless time is frozen. Takes all VPs; the caller has none. */
void overlays_settle(struct hv_partition *p);
bool overlays_settled(const struct hv_partition *p);
/* A VP may run: it sees them. */
bool overlays_seen(const struct hv_partition *p);
/* The guest's memory is what lies beneath until the next overlays_settle. apic_lock is held. */
void overlays_gather(struct hv_partition *p);

#endif
