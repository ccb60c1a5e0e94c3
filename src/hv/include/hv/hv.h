/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hypervisor core as its parent sees it. The parent (root partition) uses hypercalls, VP dispatch and intercept messages; what
 * this header adds to the specification's calls is marked "Decision".
 *
 * Threads: hv_root_hypercall and everything marked [any] may be called from any thread. Functions on a VP belong to the thread that
 * dispatches it, between dispatches. A VP or partition must not be deleted while another thread still uses its handle.
 */
#ifndef HV_HV_H
#define HV_HV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/hv.h"
#include "hv/engine.h"
#include "hv/host.h"

struct hv;
struct hv_partition;
struct hv_vp;

#define HV_ROOT_PARTITION_ID UINT64_C(1)

struct hv_config {
	const struct hv_engine_ops *engine;
	struct hv_engine_config engine_config; /* .gmem is filled in per partition */
	void *root_cookie;		       /* handed to hv_host_root_message */
	void *memory; /* 4 KiB aligned, zeroed: the hypervisor's own memory and the root's pool */
	size_t pages; /* at least HV_MEMORY_PAGES_MIN */
};
#define HV_MEMORY_PAGES_MIN 16u

/* Builds the hypervisor inside config->memory; NULL when that is too small. */
struct hv *hv_init(const struct hv_config *config);
/* All child partitions must have been deleted; config->memory is the caller's again. */
void hv_fini(struct hv *hv);

/*
 * A hypercall with the root as caller. @input and @output are the root's memory, one page each at most, 8-byte aligned (NULL when
 * the call has none; fast calls do not exist here). Rep calls run to the end or to the first error. Returns the
 * hypercall result value: status and reps completed. [any]
 */
uint64_t hv_root_hypercall(struct hv *hv, uint64_t control, const void *input, void *output);

/* Handles of existing objects; NULL: no such thing. [any] */
struct hv_partition *hv_root_partition(struct hv *hv, uint64_t partition_id);
struct hv_vp *hv_root_vp(struct hv_partition *p, uint32_t vp_index);
struct gmem *hv_partition_gmem(struct hv_partition *p);

/* What hv_host_wake is called with for this VP. Set before the first dispatch. */
void hv_vp_set_cookie(struct hv_vp *vp, void *cookie);

enum hv_dispatch {
	HV_DISPATCH_INTERCEPT, /* *ret_message holds an intercept message */
	HV_DISPATCH_BLOCKED, /* nothing to run before hv_host_wake or *ret_wake_ns from now (UINT64_MAX: event only) */
	HV_DISPATCH_INTERRUPTED, /* hv_vp_kick */
	HV_DISPATCH_SUSPENDED,	 /* explicitly suspended, or partition time is frozen */
};

/*
 * Spec: HvCallDispatchVp of the root scheduler. Runs the VP on the calling thread until there is something for the parent to do; never
 * blocks. An intercept that was not answered by hv_vp_finish* when the VP is dispatched again is taken as handled through
 * registers: the instruction is dropped and execution goes on at RIP.
 */
enum hv_dispatch hv_vp_dispatch(struct hv_vp *vp, struct hv_message *ret_message,
				uint64_t *ret_wake_ns);
/* Makes a dispatch in progress, or else the next one, return HV_DISPATCH_INTERRUPTED. [any] */
void hv_vp_kick(struct hv_vp *vp);

/*
 * Decision: the parent finishes an intercepted port, memory, MSR or CPUID access with its data instead of moving RIP itself.
 * @values[0]: data read; CPUID: EAX EBX ECX EDX. After another intercept: nothing.
 */
void hv_vp_finish(struct hv_vp *vp, const uint64_t values[4]);
/* Raises an exception in place of the intercepted instruction. */
void hv_vp_finish_fault(struct hv_vp *vp, uint8_t vector, bool has_error, uint32_t error);

/*
 * Decision: the INTR line of an 8259 into LINT0 of VP 0. While it is raised and the VP could take it, dispatch returns the message
 * HvMessageTypeX64InterruptionDeliverable; the parent acknowledges the 8259 and answers by
 * setting HvRegisterPendingInterruption, or with hv_partition_extint_drop when there was nothing. [any]
 */
void hv_partition_set_extint(struct hv_partition *p, bool raised);
/* The line as of now, with a change counter, for hv_partition_extint_drop. */
uint32_t hv_partition_extint(struct hv_partition *p);
/* Lowers the line unless it changed since @seen. */
void hv_partition_extint_drop(struct hv_partition *p, uint32_t seen);
#define HV_PENDING_INTERRUPTION_EXTERNAL(vector) (UINT64_C(1) | (uint64_t)(vector) << 16)

/*
 * Whether some local APIC has the vector requested or in service. While time is frozen; false means that whoever sent it may send it again, also when its EOI
 * has not been reported: an engine with the local APICs may have been about to.
 */
bool hv_partition_vector_waits(struct hv_partition *p, uint8_t vector);

/* Reference time of the partition in 100 ns. [any] */
uint64_t hv_partition_reference_time(struct hv_partition *p);

/* Messages and events that children sent to ports of the root; false: none left. [any] */
bool hv_root_take_message(struct hv *hv, struct hv_message *ret);
bool hv_root_take_event(struct hv *hv, uint32_t *ret_port_id, uint16_t *ret_flag);

struct hv_vp_stats {
	uint64_t instructions;
	uint64_t exits[16]; /* by enum hv_exit_kind */
	uint64_t own_exits; /* those that the engine answered by itself */
};
/* Since the VP was made. [any, approximate while it runs] */
void hv_vp_stats(struct hv_vp *vp, struct hv_vp_stats *ret);

#define HV_STATS_CALLS 512u
struct hv_stats {
	uint64_t instructions;
	uint64_t exits[16];		     /* by enum hv_exit_kind */
	uint64_t hypercalls[HV_STATS_CALLS]; /* by code; codes above in the last */
};
/* Sums over all VPs of @p into *ret. [any, approximate while VPs run] */
void hv_partition_stats(struct hv_partition *p, struct hv_stats *ret);

/*
 * The parent would let @ns pass because nothing can run. True: the engine's clock counts instructions, so they have
 * passed already; false: time is real, wait. [any]
 */
bool hv_partition_skip(struct hv_partition *p, uint64_t ns);
/* Engine time when a VP of @p first ran at CPL 3; 0: not yet, or the engine does not say. [any] */
uint64_t hv_partition_first_user(struct hv_partition *p);

/* Rate of the guest's TSC; and the one that it had where its state was saved, if it could not be kept (0: it was). */
uint64_t hv_partition_tsc_hz(struct hv_partition *p);
uint64_t hv_partition_lost_tsc_hz(struct hv_partition *p);

/*
 * Everything a guest can see except its memory, as tagged records. All VPs outside dispatch. Returns the bytes needed.
 * Restore expects a partition with the same VPs and memory map, not yet run; false: the data is torn or does not fit, the
 * partition is then unusable.
 */
size_t hv_partition_save(struct hv_partition *p, void *buf, size_t bytes);
bool hv_partition_restore(struct hv_partition *p, const void *buf, size_t bytes);
/*
 * The rate of the APIC timers in a saved partition. Unless it is HV_APIC_HZ, restore wants a partition whose APICs the core keeps (HV_WITHOUT_APICS).
 */
uint64_t hv_saved_apic_hz(const void *buf, size_t bytes);
/*
 * Whether the guest of a saved partition was told (CPUID) that its APIC timers take a TSC deadline; and whether those of @p do. A guest that was told goes on
 * only where they do; one that was not is not told where it goes on, either.
 */
bool hv_saved_deadline(const void *buf, size_t bytes);
bool hv_partition_has_deadline(const struct hv_partition *p);

#endif
