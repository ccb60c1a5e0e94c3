/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parent's handle on partitions, memory and processors (Hyper-V: VID). Everything goes through the hypervisor's own root
 * interface: hypercalls with the root partition as caller, VP dispatch, intercept messages. No system calls here.
 *
 * Errors: 0, a negative errno of the host, or a positive HV_STATUS_* (abi/hv.h).
 */
#ifndef VID_VID_H
#define VID_VID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hv/engine.h"

struct hv_message; /* abi/hv.h: 256 bytes */
struct vid_partition;
struct vid_vp;

/* Page memory for the partition's pool (HvCallDepositMemory): 4 KiB pages, zeroed. NULL: none left. */
struct vid_pool {
	void *(*pages_alloc)(void *ctx, size_t pages);
	void (*pages_free)(void *ctx, void *memory, size_t pages);
	void *ctx;
};

struct vid_config {
	const struct hv_engine_ops *engine;
	struct hv_engine_config engine_config; /* .gmem is filled in by the hypervisor */
	struct vid_pool pool;
	uint32_t processors; /* 1..2048 */
	unsigned pa_bits;    /* 36..52 */
	bool start_frozen;   /* time stands still until vid_partition_resume */
	uint64_t privileges; /* HV_PARTITION_PRIVILEGE_MASK; 0: the default set for a child */
	void *root_cookie;   /* handed to hv_host_root_message and hv_host_root_event */
};

int vid_partition_create(const struct vid_config *config, struct vid_partition **ret);
/* All VPs must have left vid_vp_dispatch. Finalize, withdraw memory, delete. */
void vid_partition_destroy(struct vid_partition *p);
struct gmem *vid_partition_gmem(struct vid_partition *p);
uint64_t vid_partition_id(const struct vid_partition *p);

/*
 * HvCallInstallIntercept, for what is not intercepted already (all ports and unmapped memory are): @type enum hv_intercept_type,
 * @access HV_INTERCEPT_ACCESS_MASK_*, @parameter by type. Before the first dispatch.
 */
int vid_intercept(struct vid_partition *p, uint32_t type, uint32_t access, uint64_t parameter);

/* Maps [@gpa, @gpa+@bytes) onto @memory (all 4 KiB aligned), rights GMEM_*. Memory stays the caller's until unmapped or destroyed. */
int vid_map(struct vid_partition *p, uint64_t gpa, void *memory, uint64_t bytes, uint32_t rights);
int vid_unmap(struct vid_partition *p, uint64_t gpa, uint64_t bytes);

/*
 * Which guest pages are written, by whoever: for copying memory while the guest runs (live migration). start: everything mapped counts as
 * written. take: bit i of @bitmap (whole words of 64 pages are set) tells whether page @gpa / 4096 + i was written, mapped, covered by an
 * overlay page or uncovered since it was taken last; what is written after the return is in the next. A page is read after it was taken. When the
 * VPs stand still and devices rest, one more take finds the last. @gpa and @bytes 4 KiB aligned. One thread at a time, none of a VP's.
 */
int vid_writes_start(struct vid_partition *p);
int vid_writes_take(struct vid_partition *p, uint64_t gpa, uint64_t bytes, uint64_t *bitmap);
int vid_writes_stop(struct vid_partition *p);

/* @cookie is handed to hv_host_wake. The VP waits for INIT-SIPI unless @index is 0. */
int vid_vp_create(struct vid_partition *p, uint32_t index, void *cookie, struct vid_vp **ret);
uint32_t vid_vp_index(const struct vid_vp *vp);
int vid_reg_get(struct vid_vp *vp, uint32_t name, struct hv_u128 *ret);
int vid_reg_set(struct vid_vp *vp, uint32_t name, const struct hv_u128 *value);
static inline int vid_reg_set64(struct vid_vp *vp, uint32_t name, uint64_t value)
{
	struct hv_u128 v = {value, 0};
	return vid_reg_set(vp, name, &v);
}

enum vid_state {
	VID_INTERCEPT, /* *ret_message holds the intercept; answer it with one of the vid_finish_* or registers */
	VID_BLOCKED, /* nothing to run before an event (hv_host_wake) or time *ret_wake_ns from now (UINT64_MAX: event only) */
	VID_INTERRUPTED, /* vid_vp_kick: dispatch again when ready */
	VID_SUSPENDED,	 /* explicitly suspended */
};

/* Runs the VP on the calling thread until something is to be done. Does not block. One thread per VP. */
enum vid_state vid_vp_dispatch(struct vid_vp *vp, struct hv_message *ret_message,
			       uint64_t *ret_wake_ns);
/* Makes a dispatch in progress (or the next) return. Any thread. */
void vid_vp_kick(struct vid_vp *vp);

/* Finish an intercepted port/memory/MSR/CPUID access: values[0] = data read (CPUID: eax ebx ecx edx). VP's thread. */
void vid_finish(struct vid_vp *vp, const uint64_t values[4]);
/* The intercepted instruction raises an exception instead. */
void vid_finish_fault(struct vid_vp *vp, uint8_t vector, bool has_error, uint32_t error);

/* Freezes / thaws partition time (reference time, TSC, timers). The caller has stopped dispatching all VPs. */
int vid_partition_freeze(struct vid_partition *p, bool frozen);

/*
 * Message-signalled or IOAPIC interrupt (HvCallAssertVirtualInterrupt). @level: level-triggered (EOI message follows);
 * @logical: destination mode; @type: 0 fixed, 1 lowest priority, 4 NMI, 5 INIT, 6 SIPI, 7 ExtINT. Any thread.
 */
int vid_assert_interrupt(struct vid_partition *p, uint32_t type, uint8_t vector,
			 uint32_t destination, bool logical, bool level);
/*
 * The 8259's INTR line into LINT0/ExtINT of VP 0. When the VP takes it the hypervisor calls @ack (set once at start,
 * on the VP's thread) for the vector (-1: spurious, none). Any thread.
 */
void vid_set_extint(struct vid_partition *p, bool raised);
void vid_set_extint_ack(struct vid_partition *p, int (*ack)(void *ctx), void *ctx);
/* EOI of a level-triggered @vector by any VP, called on the VP's thread (IOAPIC's remote IRR). */
void vid_set_eoi(struct vid_partition *p, void (*eoi)(void *ctx, uint8_t vector), void *ctx);

/*
 * Instead of sleeping @ns when nothing can run: with an engine clock that counts instructions time is moved on and the answer is true;
 * false: time is real, sleep. Any thread.
 */
bool vid_partition_skip(struct vid_partition *p, uint64_t ns);

/*
 * Connections of the guest that lead to the parent (VMBus): what it posts or signals there is announced by hv_host_root_message or
 * hv_host_root_event and taken here. @connection 24 bits. Open: 0, -ENOMEM or a positive HV_STATUS_*. Any thread.
 */
int vid_message_connection_open(struct vid_partition *p, uint32_t connection);
int vid_event_connection_open(struct vid_partition *p, uint32_t connection, uint16_t flags);
void vid_connection_close(struct vid_partition *p, uint32_t connection);
/* False: nothing there. */
bool vid_take_message(struct vid_partition *p, uint32_t *ret_connection, struct hv_message *ret);
bool vid_take_event(struct vid_partition *p, uint32_t *ret_connection, uint16_t *ret_flag);

/*
 * A message to the guest's SINT, after those sent there before. 0; -EAGAIN: too many wait there; HV_STATUS_INVALID_SYNIC_STATE: the
 * guest takes no messages now; another HV_STATUS_*. One thread at a time.
 */
int vid_post_message(struct vid_partition *p, uint32_t vp, uint32_t sint, uint32_t type,
		     const void *payload, size_t bytes);
/* Sets an event flag of the guest's SINT. 0 or HV_STATUS_* as above. Any thread. */
int vid_signal_event(struct vid_partition *p, uint32_t vp, uint32_t sint, uint16_t flag);

/* Whether some local APIC has the vector requested or in service; while time is frozen. */
bool vid_vector_waits(struct vid_partition *p, uint8_t vector);

/* Guest reference time, 100 ns. Any thread. */
uint64_t vid_reference_time_100ns(struct vid_partition *p);

/* Reported as they happen, on a VP's thread. */
struct vid_events {
	/* Guest wrote HV_X64_MSR_CRASH_CTL with notify: parameters P0..P4 and the message text (NUL-terminated) if any. */
	void (*crash)(void *ctx, const uint64_t parameters[5], const char *text);
	/* Guest wrote HV_X64_MSR_RESET. */
	void (*reset)(void *ctx);
	void *ctx;
};
void vid_set_events(struct vid_partition *p, const struct vid_events *events);

struct vid_vp_stats {
	uint64_t exits[16]; /* by enum hv_exit_kind */
	uint64_t own_exits; /* those that the engine answered by itself */
};
/* Since the VP was made, approximate while it runs. [any] */
void vid_vp_stats(struct vid_vp *vp, struct vid_vp_stats *ret);

struct vid_stats {
	uint64_t instructions;
	uint64_t first_user_tsc;  /* engine time of the first instruction at CPL 3; 0: none yet */
	uint64_t exits[16];	  /* by enum hv_exit_kind */
	uint64_t hypercalls[512]; /* by code below 0x200; others in the last */
};
void vid_stats(struct vid_partition *p, struct vid_stats *ret);

/* Whole partition (VPs, APICs, SynIC, timers, time); all VPs stopped. Returns bytes needed. */
size_t vid_save(struct vid_partition *p, void *buf, size_t bytes);
int vid_restore(struct vid_partition *p, const void *buf, size_t bytes);
/* The rate of the APIC timers there. Unless it is HV_APIC_HZ, vid_restore wants a partition with HV_WITHOUT_APICS. */
uint64_t vid_saved_apic_hz(const void *buf, size_t bytes);
/* The guest there may use the APIC's TSC deadline timer, which @p does not have: vid_restore refuses. */
bool vid_deadline_lacks(const struct vid_partition *p, const void *buf, size_t bytes);
/* After vid_restore: the rate of the guest's TSC where the state was saved, if it could not be kept (0: it was); and the present one. */
uint64_t vid_lost_tsc_hz(struct vid_partition *p);
uint64_t vid_tsc_hz(struct vid_partition *p);

#endif
