// SPDX-License-Identifier: Apache-2.0
/* The parent's handle on one partition, of which a hosted hypervisor has one: its life, interrupts and time, what it tells of itself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "partition.h"

#define HV_MEMORY_PAGES 16u

/* ---- Life ---- */

int vid_intercept(struct vid_partition *p, uint32_t type, uint32_t access, uint64_t parameter)
{
	const struct hv_input_install_intercept in = {
		.partition_id = p->id,
		.access_type = access,
		.intercept_type = type,
		.parameter = parameter,
	};

	return vid_call(p, HvCallInstallIntercept, 0, &in, NULL);
}

static int simple_call(struct vid_partition *p, uint16_t code)
{
	const uint64_t in = p->id;

	return vid_call(p, code, 0, &in, NULL);
}

static int configure(struct vid_partition *p)
{
	const uint32_t read_write = HV_INTERCEPT_ACCESS_MASK_READ | HV_INTERCEPT_ACCESS_MASK_WRITE;
	int r = vid_set_property(p, HvPartitionPropertyPhysicalAddressWidth, p->config.pa_bits);

	if (r == 0 && p->config.privileges != 0) {
		r = vid_set_property(p, HvPartitionPropertyPrivilegeFlags, p->config.privileges);
	}
	if (r == 0) {
		r = simple_call(p, HvCallInitializePartition);
		p->initialized = r == 0;
	}
	if (r == 0) {
		r = vid_set_property(p, HvPartitionPropertyTimeFreeze, p->config.start_frozen);
	}
	if (r == 0) {
		r = vid_intercept(p, HvInterceptTypeX64IoPortRange, read_write,
				  UINT64_C(0xffff) << 16);
	}
	if (r == 0) {
		r = vid_intercept(p, HvInterceptTypeMmio,
				  read_write | HV_INTERCEPT_ACCESS_MASK_EXECUTE, 0);
	}
	return r;
}

int vid_partition_create(const struct vid_config *config, struct vid_partition **ret)
{
	struct vid_partition *p = calloc(1, sizeof(*p));
	const struct hv_input_create_partition in = {0};
	int r = -ENOMEM;

	if (p == NULL) {
		return r;
	}
	p->config = *config;
	p->vps = calloc(config->processors, sizeof(struct vid_vp *));
	p->hv_memory = config->pool.pages_alloc(config->pool.ctx, HV_MEMORY_PAGES);
	if (p->vps == NULL || p->hv_memory == NULL) {
		goto fail;
	}
	const struct hv_config hv_config = {
		.engine = config->engine,
		.engine_config = config->engine_config,
		.root_cookie = config->root_cookie,
		.memory = p->hv_memory,
		.pages = HV_MEMORY_PAGES,
	};

	p->hv = hv_init(&hv_config);
	if (p->hv == NULL) {
		goto fail;
	}
	r = vid_call(p, HvCallCreatePartition, 0, &in, &p->id);
	if (r == 0) {
		p->handle = hv_root_partition(p->hv, p->id);
		CHECK(p->handle != NULL);
		r = configure(p);
	}
	if (r != 0) {
		goto fail;
	}
	*ret = p;
	return 0;
fail:
	vid_partition_destroy(p);
	return r;
}

void vid_partition_destroy(struct vid_partition *p)
{
	if (p == NULL) {
		return;
	}
	if (p->id != 0) {
		if (p->initialized) {
			CHECK(simple_call(p, HvCallFinalizePartition) == HV_STATUS_SUCCESS);
		}
		union call_page *out = aligned_alloc(sizeof(*out), sizeof(*out));
		uint64_t in[2] = {p->id, 0};
		const uint16_t at_once = HV_PAGE_SIZE / 8;

		/* The pool has to be empty before a partition can be deleted. */
		while (out != NULL &&
		       vid_status(hv_root_hypercall(
			       p->hv, hv_hypercall_control(HvCallWithdrawMemory, at_once), in,
			       out)) == HV_STATUS_SUCCESS) {
		}
		free(out);
		simple_call(p, HvCallDeletePartition);
	}
	if (p->hv != NULL) {
		hv_fini(p->hv);
	}
	for (struct chunk *c = p->chunks, *next; c != NULL; c = next) {
		next = c->next;
		p->config.pool.pages_free(p->config.pool.ctx, c->pages, c->count);
		free(c);
	}
	if (p->hv_memory != NULL) {
		p->config.pool.pages_free(p->config.pool.ctx, p->hv_memory, HV_MEMORY_PAGES);
	}
	for (uint32_t i = 0; p->vps != NULL && i < p->config.processors; i++) {
		free(p->vps[i]);
	}
	free(p->vps);
	free(p);
}

struct gmem *vid_partition_gmem(struct vid_partition *p)
{
	return hv_partition_gmem(p->handle);
}

uint64_t vid_partition_id(const struct vid_partition *p)
{
	return p->id;
}

/* ---- Interrupts and time ---- */

int vid_assert_interrupt(struct vid_partition *p, uint32_t type, uint8_t vector,
			 uint32_t destination, bool logical, bool level)
{
	const struct hv_input_assert_virtual_interrupt in = {
		.partition_id = p->id,
		.control = type | (level ? HV_INTERRUPT_CONTROL_LEVEL : 0) |
			   (logical ? HV_INTERRUPT_CONTROL_LOGICAL : 0),
		.destination_address = destination,
		.requested_vector = vector,
	};

	return vid_call(p, HvCallAssertVirtualInterrupt, 0, &in, NULL);
}

int vid_partition_freeze(struct vid_partition *p, bool frozen)
{
	return vid_set_property(p, HvPartitionPropertyTimeFreeze, frozen);
}

void vid_set_extint(struct vid_partition *p, bool raised)
{
	hv_partition_set_extint(p->handle, raised);
}

void vid_set_extint_ack(struct vid_partition *p, int (*ack)(void *ctx), void *ctx)
{
	p->extint_ack = ack;
	p->extint_ctx = ctx;
}

void vid_set_eoi(struct vid_partition *p, void (*eoi)(void *ctx, uint8_t vector), void *ctx)
{
	p->eoi = eoi;
	p->eoi_ctx = ctx;
}

void vid_set_events(struct vid_partition *p, const struct vid_events *events)
{
	p->events = *events;
}

bool vid_vector_waits(struct vid_partition *p, uint8_t vector)
{
	return hv_partition_vector_waits(p->handle, vector);
}

uint64_t vid_reference_time_100ns(struct vid_partition *p)
{
	return hv_partition_reference_time(p->handle);
}

bool vid_partition_skip(struct vid_partition *p, uint64_t ns)
{
	return hv_partition_skip(p->handle, ns);
}

/* ---- Looking in ---- */

void vid_vp_stats(struct vid_vp *vp, struct vid_vp_stats *ret)
{
	struct hv_vp_stats stats;

	hv_vp_stats(vp->vp, &stats);
	_Static_assert(sizeof(ret->exits) == sizeof(stats.exits), "exit kinds");
	memcpy(ret->exits, stats.exits, sizeof(ret->exits));
	ret->own_exits = stats.own_exits;
}

void vid_stats(struct vid_partition *p, struct vid_stats *ret)
{
	struct hv_stats stats;

	hv_partition_stats(p->handle, &stats);
	memset(ret, 0, sizeof(*ret));
	ret->instructions = stats.instructions;
	ret->first_user_tsc = hv_partition_first_user(p->handle);
	_Static_assert(sizeof(ret->exits) == sizeof(stats.exits), "exit kinds");
	_Static_assert(sizeof(ret->hypercalls) == sizeof(stats.hypercalls), "hypercall codes");
	memcpy(ret->exits, stats.exits, sizeof(ret->exits));
	memcpy(ret->hypercalls, stats.hypercalls, sizeof(ret->hypercalls));
}

uint64_t vid_saved_apic_hz(const void *buf, size_t bytes)
{
	return hv_saved_apic_hz(buf, bytes);
}

bool vid_deadline_lacks(const struct vid_partition *p, const void *buf, size_t bytes)
{
	return hv_saved_deadline(buf, bytes) && !hv_partition_has_deadline(p->handle);
}

uint64_t vid_lost_tsc_hz(struct vid_partition *p)
{
	return hv_partition_lost_tsc_hz(p->handle);
}

uint64_t vid_tsc_hz(struct vid_partition *p)
{
	return hv_partition_tsc_hz(p->handle);
}
