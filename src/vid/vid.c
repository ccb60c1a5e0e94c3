// SPDX-License-Identifier: Apache-2.0
/*
 * The parent's handle on one partition. A hosted hypervisor has one child; its own memory, the root's pool and the child's pool are all
 * chunks of the caller's pages, deposited whenever a call answers HV_STATUS_INSUFFICIENT_MEMORY.
 */
#include "partition.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"

#define HV_MEMORY_PAGES 16u
#define DEPOSIT_PAGES 16u
#define NONE_WAITING (-1)

_Static_assert(DEPOSIT_PAGES <= (HV_PAGE_SIZE - 8) / 8, "a deposit is one call");

static uint16_t status_of(uint64_t result)
{
	return (uint16_t)result;
}

/* ---- Memory for the hypervisor ---- */

static int deposit(struct vid_partition *p, uint64_t partition_id)
{
	union call_page *in;
	struct chunk *chunk = calloc(1, sizeof(*chunk));
	uint64_t result;

	if (chunk == NULL) {
		return -ENOMEM;
	}
	in = aligned_alloc(sizeof(*in), sizeof(*in));
	chunk->count = DEPOSIT_PAGES;
	chunk->pages = p->config.pool.pages_alloc(p->config.pool.ctx, chunk->count);
	if (in == NULL || chunk->pages == NULL) {
		free(in);
		if (chunk->pages != NULL) {
			p->config.pool.pages_free(p->config.pool.ctx, chunk->pages, chunk->count);
		}
		free(chunk);
		return -ENOMEM;
	}
	in->words[0] = partition_id;
	for (size_t i = 0; i < chunk->count; i++) {
		in->words[1 + i] = hv_host_spn((uint8_t *)chunk->pages + i * HV_PAGE_SIZE);
	}
	hv_host_lock(&p->chunks_lock);
	chunk->next = p->chunks;
	p->chunks = chunk;
	hv_host_unlock(&p->chunks_lock);
	result = hv_root_hypercall(p->hv, hv_hypercall_control(HvCallDepositMemory, DEPOSIT_PAGES),
				   in, NULL);
	free(in);
	return status_of(result);
}

int vid_call(struct vid_partition *p, uint16_t code, uint16_t count, const void *in, void *out)
{
	uint64_t control = hv_hypercall_control(code, count);

	for (;;) {
		uint64_t result = hv_root_hypercall(p->hv, control, in, out);
		uint64_t done =
			bits_get(result, HV_HYPERCALL_REP_COUNT_SHIFT, HV_HYPERCALL_REP_BITS);
		uint16_t status = status_of(result);

		if (status != HV_STATUS_INSUFFICIENT_MEMORY) {
			return status;
		}
		int r = deposit(p, p->id != 0 && code != HvCallCreatePartition
					   ? p->id
					   : HV_PARTITION_ID_SELF);

		if (r != 0) {
			return r;
		}
		if (count != 0) {
			control = hv_hypercall_control(code, count) |
				  done << HV_HYPERCALL_REP_START_SHIFT;
		}
	}
}

/* ---- Life ---- */

static int set_property(struct vid_partition *p, uint32_t code, uint64_t value)
{
	const struct hv_input_partition_property in = {
		.partition_id = p->id,
		.property_code = code,
		.value = value,
	};

	return vid_call(p, HvCallSetPartitionProperty, 0, &in, NULL);
}

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
	int r = set_property(p, HvPartitionPropertyPhysicalAddressWidth, p->config.pa_bits);

	if (r == 0 && p->config.privileges != 0) {
		r = set_property(p, HvPartitionPropertyPrivilegeFlags, p->config.privileges);
	}
	if (r == 0) {
		r = simple_call(p, HvCallInitializePartition);
		p->initialized = r == 0;
	}
	if (r == 0) {
		r = set_property(p, HvPartitionPropertyTimeFreeze, p->config.start_frozen);
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
		       status_of(hv_root_hypercall(
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

/* ---- Memory of the guest ---- */

static uint32_t map_flags(uint32_t rights)
{
	uint32_t flags = 0;

	flags |= (rights & GMEM_R) != 0 ? HV_MAP_GPA_READABLE : 0;
	flags |= (rights & GMEM_W) != 0 ? HV_MAP_GPA_WRITABLE : 0;
	flags |= (rights & GMEM_X) != 0 ? HV_MAP_GPA_KERNEL_EXECUTABLE | HV_MAP_GPA_USER_EXECUTABLE
					: 0;
	return flags;
}

int vid_map(struct vid_partition *p, uint64_t gpa, void *memory, uint64_t bytes, uint32_t rights)
{
	const size_t header = sizeof(struct hv_input_map_gpa);
	const uint16_t at_once = (HV_PAGE_SIZE - sizeof(struct hv_input_map_gpa)) / 8;
	union call_page *in = aligned_alloc(sizeof(*in), sizeof(*in));
	uint64_t pages = bytes / HV_PAGE_SIZE, spn = hv_host_spn(memory);
	int r = 0;

	if (in == NULL) {
		return -ENOMEM;
	}
	for (uint64_t done = 0; done < pages && r == 0;) {
		uint16_t n = (uint16_t)min_u64(at_once, pages - done);
		const struct hv_input_map_gpa map = {
			.target_partition_id = p->id,
			.target_gpa_base = gpa / HV_PAGE_SIZE + done,
			.map_flags = map_flags(rights),
		};

		memcpy(in->bytes, &map, header);
		for (uint16_t i = 0; i < n; i++) {
			in->words[header / 8 + i] = spn + done + i;
		}
		r = vid_call(p, HvCallMapGpaPages, n, in, NULL);
		done += n;
	}
	free(in);
	return r;
}

int vid_unmap(struct vid_partition *p, uint64_t gpa, uint64_t bytes)
{
	const uint64_t rep_max = (UINT64_C(1) << HV_HYPERCALL_REP_BITS) - 1;
	uint64_t pages = bytes / HV_PAGE_SIZE;
	int r = 0;

	for (uint64_t done = 0; done < pages && r == 0;) {
		uint64_t n = min_u64(rep_max, pages - done);
		const struct hv_input_map_gpa in = {
			.target_partition_id = p->id,
			.target_gpa_base = gpa / HV_PAGE_SIZE + done,
		};

		r = vid_call(p, HvCallUnmapGpaPages, (uint16_t)n, &in, NULL);
		done += n;
	}
	return r;
}

/* ---- Which pages are written ---- */

int vid_writes_start(struct vid_partition *p)
{
	return set_property(p, HvPartitionPropertyGpaPageAccessTracking, 1);
}

int vid_writes_stop(struct vid_partition *p)
{
	return set_property(p, HvPartitionPropertyGpaPageAccessTracking, 0);
}

static void states_to_bits(const uint8_t *states, uint64_t count, uint64_t *bitmap)
{
	for (uint64_t n = 0; n < count; n++) {
		if (n % 64 == 0) {
			bitmap[n / 64] = 0;
		}
		if (states[n] & HV_GPA_PAGE_STATE_DIRTY) {
			bitmap[n / 64] |= UINT64_C(1) << (n % 64);
		}
	}
}

int vid_writes_take(struct vid_partition *p, uint64_t gpa, uint64_t bytes, uint64_t *bitmap)
{
	const uint64_t at_once = BIT64(HV_HYPERCALL_REP_BITS) - 64; /* whole words of the bitmap */
	union call_page *states = aligned_alloc(sizeof(*states), sizeof(*states));
	uint64_t pages = bytes / HV_PAGE_SIZE;
	int r = states != NULL ? 0 : -ENOMEM;

	for (uint64_t done = 0; done < pages && r == 0; done += at_once) {
		uint64_t n = min_u64(at_once, pages - done);
		const struct hv_input_get_gpa_pages_access_state in = {
			.partition_id = p->id,
			.flags = HV_GPA_PAGE_CLEAR_DIRTY,
			.gpa_page = gpa / HV_PAGE_SIZE + done,
		};

		r = vid_call(p, HvCallGetGpaPagesAccessState, (uint16_t)n, &in, states);
		if (r == 0) {
			states_to_bits(states->bytes, n, bitmap + done / 64);
		}
	}
	free(states);
	return r;
}

/* ---- VPs ---- */

int vid_vp_create(struct vid_partition *p, uint32_t index, void *cookie, struct vid_vp **ret)
{
	const struct hv_input_create_vp in = {.partition_id = p->id, .vp_index = index};

	if (index >= p->config.processors) {
		return HV_STATUS_INVALID_VP_INDEX;
	}
	struct vid_vp *vp = calloc(1, sizeof(*vp));

	if (vp == NULL) {
		return -ENOMEM;
	}
	int r = vid_call(p, HvCallCreateVp, 0, &in, NULL);

	if (r != 0) {
		free(vp);
		return r;
	}
	*vp = (struct vid_vp){.partition = p, .vp = hv_root_vp(p->handle, index), .index = index};
	CHECK(vp->vp != NULL);
	hv_vp_set_cookie(vp->vp, cookie);
	p->vps[index] = vp;
	*ret = vp;
	/* Spec: a new VP is explicitly suspended; it starts when its parent clears the register. */
	return vid_reg_set64(vp, HvRegisterExplicitSuspend, 0);
}

uint32_t vid_vp_index(const struct vid_vp *vp)
{
	return vp->index;
}

struct get_registers {
	struct hv_input_vp vp;
	uint32_t name;
	uint32_t padding;
};

struct set_registers {
	struct hv_input_vp vp;
	struct hv_register_assoc assoc;
};

int vid_reg_get(struct vid_vp *vp, uint32_t name, struct hv_u128 *ret)
{
	const struct get_registers in = {
		.vp = {.partition_id = vp->partition->id, .vp_index = vp->index},
		.name = name,
	};

	return vid_call(vp->partition, HvCallGetVpRegisters, 1, &in, ret);
}

int vid_reg_set(struct vid_vp *vp, uint32_t name, const struct hv_u128 *value)
{
	const struct set_registers in = {
		.vp = {.partition_id = vp->partition->id, .vp_index = vp->index},
		.assoc = {.name = name, .value = {value->lo, value->hi}},
	};

	return vid_call(vp->partition, HvCallSetVpRegisters, 1, &in, NULL);
}

/* ---- Running ---- */

/* The 8259s are asked for their vector only now that the VP can take it. */
static void acknowledge_extint(struct vid_vp *vp)
{
	struct vid_partition *p = vp->partition;
	uint32_t seen = hv_partition_extint(p->handle);
	int vector = p->extint_ack != NULL ? p->extint_ack(p->extint_ctx) : NONE_WAITING;

	if (vector == NONE_WAITING) {
		hv_partition_extint_drop(p->handle, seen);
		return;
	}
	vid_reg_set64(vp, HvRegisterPendingInterruption,
		      HV_PENDING_INTERRUPTION_EXTERNAL((uint64_t)vector));
}

static void report_crash(struct vid_vp *vp, uint64_t control)
{
	struct vid_partition *p = vp->partition;
	char text[HV_PAGE_SIZE + 1] = "";
	uint64_t parameters[5];

	for (uint32_t i = 0; i < ARRAY_LEN(parameters); i++) {
		struct hv_u128 value = {0};

		vid_reg_get(vp, HvRegisterGuestCrashP0 + i, &value);
		parameters[i] = value.lo;
	}
	/* Spec: with the message bit P3 is the text's GPA and P4 its length. */
	if ((control & HV_CRASH_CTL_MESSAGE) && parameters[4] <= HV_PAGE_SIZE &&
	    gmem_read_any(vid_partition_gmem(p), parameters[3], text, (size_t)parameters[4])) {
		text[parameters[4]] = '\0';
	} else {
		text[0] = '\0';
	}
	if (p->events.crash != NULL) {
		p->events.crash(p->events.ctx, parameters, text);
	}
}

/* True when the message was for this layer. */
static bool take_notification(struct vid_vp *vp, const struct hv_message *message)
{
	struct vid_partition *p = vp->partition;
	struct hv_x64_msr_intercept_message msr;
	struct hv_x64_apic_eoi_message eoi;

	switch (message->type) {
	case (uint32_t)HvMessageTypeX64InterruptionDeliverable:
		acknowledge_extint(vp);
		return true;
	case (uint32_t)HvMessageTypeX64ApicEoi:
		memcpy(&eoi, message->payload, sizeof(eoi));
		if (p->eoi != NULL) {
			p->eoi(p->eoi_ctx, (uint8_t)eoi.interrupt_vector);
		}
		return true;
	case (uint32_t)HvMessageTypeMsrIntercept:
		memcpy(&msr, message->payload, sizeof(msr));
		if (msr.msr_number == HV_X64_MSR_CRASH_CTL) {
			report_crash(vp, msr.rdx << 32 | (uint32_t)msr.rax);
			return true;
		}
		if (msr.msr_number == HV_X64_MSR_RESET) {
			if (p->events.reset != NULL) {
				p->events.reset(p->events.ctx);
			}
			return true;
		}
		return false;
	default:
		return false;
	}
}

enum vid_state vid_vp_dispatch(struct vid_vp *vp, struct hv_message *ret_message,
			       uint64_t *ret_wake_ns)
{
	switch (hv_vp_dispatch(vp->vp, ret_message, ret_wake_ns)) {
	case HV_DISPATCH_INTERCEPT:
		return take_notification(vp, ret_message) ? VID_INTERRUPTED : VID_INTERCEPT;
	case HV_DISPATCH_BLOCKED:
		return VID_BLOCKED;
	case HV_DISPATCH_SUSPENDED:
		return VID_SUSPENDED;
	case HV_DISPATCH_INTERRUPTED:
		break;
	}
	return VID_INTERRUPTED;
}

void vid_vp_kick(struct vid_vp *vp)
{
	hv_vp_kick(vp->vp);
}

void vid_finish(struct vid_vp *vp, const uint64_t values[4])
{
	hv_vp_finish(vp->vp, values);
}

void vid_finish_fault(struct vid_vp *vp, uint8_t vector, bool has_error, uint32_t error)
{
	hv_vp_finish_fault(vp->vp, vector, has_error, error);
}

int vid_partition_freeze(struct vid_partition *p, bool frozen)
{
	return set_property(p, HvPartitionPropertyTimeFreeze, frozen);
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
