/* SPDX-License-Identifier: Apache-2.0 */
/* Inside src/vid: the handle on a partition and the way to make a hypercall for it. */
#ifndef VID_PARTITION_H
#define VID_PARTITION_H

#include "abi/hv.h"
#include "hv/hv.h"
#include "vid/vid.h"

/* A call's input or output: one page, aligned as the core asks. */
union call_page {
	uint8_t bytes[HV_PAGE_SIZE];
	uint64_t words[HV_PAGE_SIZE / 8];
} __attribute__((aligned(4096)));

struct chunk {
	struct chunk *next;
	void *pages;
	size_t count;
};

struct vid_vp {
	struct vid_partition *partition;
	struct hv_vp *vp;
	uint32_t index;
	uint16_t message_sints; /* those that have a port for messages */
};

struct vid_partition {
	struct vid_config config;
	struct hv *hv;
	struct hv_partition *handle;
	uint64_t id;
	bool initialized;
	void *hv_memory;
	struct hv_lock chunks_lock; /* any thread may find the pool empty */
	struct chunk *chunks;
	struct vid_vp **vps;
	int (*extint_ack)(void *ctx);
	void *extint_ctx;
	void (*eoi)(void *ctx, uint8_t vector);
	void *eoi_ctx;
	struct vid_events events;
};

/*
 * A root hypercall that is repeated after a deposit while the hypervisor has too little memory. @count: reps of a rep call, done from
 * the first; memory may run out of the child's pool or of the root's own.
 */
int vid_call(struct vid_partition *p, uint16_t code, uint16_t count, const void *in, void *out);

/* Of a hypercall's result. */
static inline uint16_t vid_status(uint64_t result)
{
	return (uint16_t)result;
}

int vid_set_property(struct vid_partition *p, uint32_t code, uint64_t value);

/* The port behind vid_post_message to @sint of @vp, which exists; again: 0. */
int vid_guest_port_open(struct vid_partition *p, uint32_t vp, uint32_t sint);

#endif
