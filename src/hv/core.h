/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects of the hypervisor, shared by the files of this folder and by nobody else.
 *
 * Lock order: partition->apic_lock, hv->lock, vp->synic.lock, partition->lock, port->lock, pool->lock. Time, the local APIC's request bits and everything
 * else that one VP asks of another are atomic words; what belongs to a VP's own thread ("owner") needs no lock.
 */
#ifndef HV_CORE_H
#define HV_CORE_H

#include "abi/hv.h"
#include "apic.h"
#include "gmem/gmem.h"
#include "hv/engine.h"
#include "hv/host.h"
#include "hv/hv.h"
#include "hv_time.h"
#include "intercept.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "lib/err.h"
#include "lib/state.h"
#include "overlay.h"
#include "pool.h"
#include "synic.h"
#include "vp.h"
#include "x86/arch.h"

/* ---- msr.c, cpuid.c, hypercall.c ---- */

enum msr_result {
	MSR_OK,
	MSR_FAULT,   /* #GP */
	MSR_UNKNOWN, /* nobody implements it */
};
enum msr_result msr_read(struct hv_vp *vp, uint32_t index, uint64_t *ret);
enum msr_result msr_write(struct hv_vp *vp, uint32_t index, uint64_t value);
/* The same without regard to the partition's privileges: registers by name. */
enum msr_result msr_read_all(struct hv_vp *vp, uint32_t index, uint64_t *ret);
enum msr_result msr_write_all(struct hv_vp *vp, uint32_t index, uint64_t value);

void cpuid_answer(struct hv_vp *vp, uint32_t leaf, uint32_t subleaf, uint32_t regs[4]);

/* The guest executed the hypercall instruction. False: an intercept message is in vp->message. */
bool hypercall_guest(struct hv_vp *vp);

/* ---- Partitions: partition.c, property.c ---- */

enum partition_state { PARTITION_UNINITIALIZED, PARTITION_ACTIVE, PARTITION_FINALIZED };

#define VP_TABLE_PAGES (HV_MAXIMUM_PROCESSORS / (HV_PAGE_SIZE / sizeof(void *)))
#define VPS_PER_TABLE_PAGE (HV_PAGE_SIZE / sizeof(void *))

/* Values of properties that are only kept. */
struct partition_settings {
	uint64_t cpu_reserve;
	uint64_t cpu_cap;
	uint64_t cpu_weight;
	uint64_t cpu_group;
	uint64_t processors_per_socket;
	uint64_t synthetic_features;
	uint64_t access_tracking;
	uint64_t unimplemented_msr_action;
	uint64_t pa_bits;
};

struct hv_partition {
	struct hv *hv;
	struct hv_partition *next;
	uint64_t id;
	enum partition_state state;
	/* GPA map, overlays, intercepts */
	struct hv_lock lock;
	uint64_t privileges;
	struct hv_pool pool;
	struct gmem gmem;
	struct hv_engine_vm *engine;
	struct hv_time time;
	struct partition_settings settings;
	struct intercepts intercepts;

	struct hv_vp **vp_table[VP_TABLE_PAGES];
	uint32_t vp_count;
	uint32_t vp_limit; /* highest index + 1 */

	uint64_t guest_os_id;
	struct hv_overlay hypercall_page;
	struct hv_overlay reference_tsc;
	uint32_t tsc_sequence;	/* of its contents */
	bool in_place;		/* overlays stand in the guest's pages where they can (overlay.c) */
	bool overlays_in_guest; /* and are there now */
	uint64_t crash[5];
	uint64_t crash_ctl;
	uint64_t reenlightenment;
	uint64_t tsc_emulation;
	uint64_t tsc_invariant;

	struct hv_port *ports;
	struct hv_connection *connections;
	uint32_t extint; /* bit 0: raised; the rest counts changes */

	const struct hv_engine_apic_ops *apic; /* NULL: the core has the local APICs for ever */
	bool has_deadline;		       /* the APICs' timers take a TSC deadline, here */
	bool deadline;			       /* and the guest is told so */
	struct hv_lock apic_lock; /* moving them; which VPs there are; before any VP is taken */
	uint32_t apic_home;	  /* apic_home.c */
	uint32_t apic_senders;
};
_Static_assert(sizeof(struct hv_partition) <= HV_PAGE_SIZE, "a partition is one page");
_Static_assert(sizeof(struct hv_vp) <= HV_PAGE_SIZE, "a VP is one page");

struct hv {
	struct hv_lock lock; /* the list of partitions, VP tables, ports and connections */
	const struct hv_engine_ops *engine;
	struct hv_engine_config engine_config;
	void *root_cookie;
	struct hv_partition *root;
	struct hv_partition *partitions; /* children */
	uint64_t last_id;
	struct hv_lock root_queue_lock;
	struct hv_message_buffer *root_queue_head;
	struct hv_message_buffer *root_queue_tail;
};

/* Caller holds hv->lock or knows that the partition stays. SELF resolves to @self. NULL: none. */
struct hv_partition *partition_find(struct hv *hv, uint64_t id);
uint16_t partition_create(struct hv *hv, const struct hv_input_create_partition *in,
			  uint64_t *ret_id);
uint16_t partition_initialize(struct hv_partition *p);
uint16_t partition_finalize(struct hv_partition *p);
uint16_t partition_delete(struct hv_partition *p);
uint64_t partition_default_privileges(void);
uint16_t property_get(struct hv_partition *p, uint32_t code, uint64_t *ret);
uint16_t property_set(struct hv_partition *p, uint32_t code, uint64_t value);

/* Writes the hypercall page anew, while no VP can be in it. */
void partition_fill_hypercall_page(struct hv_partition *p);

/* Writes the reference TSC page anew with the next sequence number. */
void partition_fill_reference_tsc(struct hv_partition *p);

/* Begins or ends to keep which pages are written (engine.h); everything counts as written at first. */
uint16_t partition_track_writes(struct hv_partition *p, bool on);
/* One bit for each page from @gpn on. One thread at a time, and none of a VP's. */
void partition_written_take(struct hv_partition *p, uint64_t gpn, uint64_t count, uint64_t *bitmap);

/* Every VP lost its host pointers into [@gpn, +@count); returns when none runs under the old map. */
void partition_gpa_changed(struct hv_partition *p, uint64_t gpn, uint64_t count, bool wait);

static inline const struct hv_engine_ops *vp_ops(const struct hv_vp *vp)
{
	return vp->partition->hv->engine;
}

static inline bool partition_may(const struct hv_partition *p, uint64_t privilege)
{
	return (p->privileges & privilege) == privilege;
}

/* All VPs of @p in order: for (uint32_t i = 0; (vp = vp_next(p, &i)) != NULL;) */
struct hv_vp *vp_next(struct hv_partition *p, uint32_t *cursor);

#endif
