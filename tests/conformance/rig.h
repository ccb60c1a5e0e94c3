/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hypervisor with one child partition on the scripted engine, and short ways to act as the guest and as the parent.
 *
 * Guest actions (rig_rdmsr, rig_call, ..) queue an exit on a VP and dispatch it until the script is done. Parent actions are root
 * hypercalls. rig_fini finalizes and deletes the partition and checks that every deposited page came back.
 */
#ifndef CONFORMANCE_RIG_H
#define CONFORMANCE_RIG_H

#include "abi/hv.h"
#include "fake_engine.h"
#include "hv/hv.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "test/test.h"
#include "x86/arch.h"

#define RIG_VPS_MAX 64u
#define RIG_RAM_PAGES 512u
#define RIG_MESSAGES_MAX 64u
#define RIG_TSC_HZ UINT64_C(3000000000)
#define RIG_TICKS_100NS (RIG_TSC_HZ / 10000000)

/* Guest addresses that the fixture and tests agree on; RAM is [0, 2 MiB). */
#define RIG_HYPERCALL_GPA UINT64_C(0x8000)
#define RIG_INPUT_GPA UINT64_C(0x10000)
#define RIG_OUTPUT_GPA UINT64_C(0x11000)
#define RIG_SIM_GPA(vp) (UINT64_C(0x100000) + (uint64_t)(vp)*0x3000)
#define RIG_SIEF_GPA(vp) (RIG_SIM_GPA(vp) + 0x1000)
#define RIG_ASSIST_GPA(vp) (RIG_SIM_GPA(vp) + 0x2000)

struct rig_wake {
	uint32_t count; /* atomic */
};

struct rig_options {
	uint32_t vps;	     /* 0: one */
	uint64_t privileges; /* 0: RIG_PRIVILEGES_ALL */
	uint64_t tsc_hz;     /* 0: RIG_TSC_HZ */
	bool no_hypercall_page;
	bool start_waiting; /* VPs above 0 stay in wait-for-SIPI */
	bool frozen;	    /* partition time */
	bool apics;	    /* the engine keeps the local APICs */
	bool holds;	    /* the engine can keep VPs out: overlay pages in place */
	bool no_deadlines;  /* and those of the core get no TSC deadline from it */
};

/* Everything that a child may be given. */
#define RIG_PRIVILEGES_ALL                                                                         \
	(HV_PRIVILEGE_AccessVpRunTimeReg | HV_PRIVILEGE_AccessPartitionReferenceCounter |          \
	 HV_PRIVILEGE_AccessSynicRegs | HV_PRIVILEGE_AccessSyntheticTimerRegs |                    \
	 HV_PRIVILEGE_AccessIntrCtrlRegs | HV_PRIVILEGE_AccessHypercallMsrs |                      \
	 HV_PRIVILEGE_AccessVpIndex | HV_PRIVILEGE_AccessResetReg |                                \
	 HV_PRIVILEGE_AccessPartitionReferenceTsc | HV_PRIVILEGE_AccessGuestIdleReg |              \
	 HV_PRIVILEGE_AccessFrequencyRegs | HV_PRIVILEGE_AccessReenlightenmentControls |           \
	 HV_PRIVILEGE_AccessTscInvariantControls | HV_PRIVILEGE_AccessPartitionId |                \
	 HV_PRIVILEGE_PostMessages | HV_PRIVILEGE_SignalEvents | HV_PRIVILEGE_AccessVpRegisters |  \
	 HV_PRIVILEGE_FastHypercallOutput | HV_PRIVILEGE_StartVirtualProcessor)

/* What became of a guest action: 0, an exception vector that was injected instead, or one of these. */
#define RIG_OK 0
#define RIG_INTERCEPT 0x100 /* the parent got a message: r->message */
#define RIG_BLOCKED 0x101   /* the VP sleeps */
#define RIG_SUSPENDED 0x102
#define RIG_LOST 0x103 /* nothing at all happened: never right */

struct rig_chunk {
	struct rig_chunk *next;
	void *pages;
	unsigned count;
};

struct rig {
	struct hv *hv;
	void *hv_memory;
	struct fake_machine machine;
	struct rig_wake root_wake;
	struct rig_chunk *chunks;
	struct rig_options options;
	struct hv_engine_ops engine; /* fake_engine, less what it cannot do by the options */

	uint64_t id;
	struct hv_partition *partition;
	struct fake_vm *vm;
	uint8_t *ram;
	uint32_t vps;
	struct hv_vp *vp[RIG_VPS_MAX];
	struct fake_vp *fake[RIG_VPS_MAX];
	struct rig_wake wake[RIG_VPS_MAX];

	enum hv_dispatch answer; /* of the latest dispatch */
	uint64_t wake_ns;
	struct hv_message message; /* the latest intercept message */
	unsigned messages;	   /* how many so far */
};

/* @options may be NULL. Fails hard (CHECK) when the fixture itself does not work. */
void rig_init(struct rig *r, const struct rig_options *options);
void rig_fini(struct rig *r);
/* One more partition in the same hypervisor shares nothing but the root: created and initialized, with @r's engine. */
uint64_t rig_partition_create(struct rig *r, const struct rig_options *options);
void rig_partition_delete(struct rig *r, uint64_t id);
/* VP of any partition with registers of 64-bit kernel code, started. */
struct hv_vp *rig_vp_create(struct rig *r, uint64_t id, uint32_t index);

/* ---- The parent ---- */

/* A root hypercall; @in is copied to a page. When memory is wanted it is deposited and the call repeated. Result value. */
uint64_t rig_root_full(struct rig *r, uint64_t control, const void *in, size_t in_bytes, void *out,
		       size_t out_bytes);
/* The same without deposits. */
uint64_t rig_root_raw(struct rig *r, uint64_t control, const void *in, size_t in_bytes, void *out,
		      size_t out_bytes);
/* Simple calls: the status. */
uint16_t rig_root(struct rig *r, unsigned code, const void *in, size_t in_bytes, void *out,
		  size_t out_bytes);
void rig_deposit(struct rig *r, uint64_t id, unsigned pages);
uint16_t rig_map(struct rig *r, uint64_t gpa, void *memory, unsigned pages, uint32_t flags);
uint16_t rig_unmap(struct rig *r, uint64_t gpa, unsigned pages);
uint16_t rig_property_set(struct rig *r, uint32_t code, uint64_t value);
uint64_t rig_property_get(struct rig *r, uint32_t code);
uint16_t rig_intercept(struct rig *r, uint32_t type, uint32_t access, uint64_t parameter);
uint16_t rig_reg_set128(struct rig *r, uint32_t vp, uint32_t name, struct hv_u128 value);
uint16_t rig_reg_set(struct rig *r, uint32_t vp, uint32_t name, uint64_t value);
uint64_t rig_reg(struct rig *r, uint32_t vp, uint32_t name);
uint16_t rig_assert(struct rig *r, uint32_t type, uint8_t vector, uint32_t destination,
		    uint64_t flags);
/* A message or event port of the child (@owner) fed by a connection with the same id of the root, and the other way round. */
uint16_t rig_port(struct rig *r, uint64_t owner, uint64_t peer, uint32_t id,
		  const struct hv_port_info *info);
uint16_t rig_connect(struct rig *r, uint64_t sender, uint64_t owner, uint32_t id,
		     uint32_t port_type);
uint16_t rig_root_post(struct rig *r, uint32_t connection, uint32_t type, const void *payload,
		       uint32_t bytes);
uint16_t rig_root_signal(struct rig *r, uint32_t connection, uint16_t flag);
uint16_t rig_post_direct(struct rig *r, uint32_t vp, uint8_t sint, uint32_t type);
uint16_t rig_signal_direct(struct rig *r, uint32_t vp, uint8_t sint, uint16_t flag,
			   uint8_t *ret_newly);

/* ---- The guest ---- */

/* Dispatches @vp until its script is done, it sleeps, or a message comes (r->message). */
int rig_run(struct rig *r, uint32_t vp);
/* Queues @exit, dispatches. */
int rig_exit(struct rig *r, uint32_t vp, const struct hv_exit *exit);
int rig_rdmsr(struct rig *r, uint32_t vp, uint32_t index, uint64_t *ret);
int rig_wrmsr(struct rig *r, uint32_t vp, uint32_t index, uint64_t value);
/* The value of an MSR that must be readable. */
uint64_t rig_msr(struct rig *r, uint32_t vp, uint32_t index);
int rig_halt(struct rig *r, uint32_t vp);
void rig_cpuid(struct rig *r, uint32_t vp, uint32_t leaf, uint32_t subleaf, uint32_t regs[4]);
int rig_port_in(struct rig *r, uint32_t vp, uint16_t port, uint8_t bytes);
int rig_port_out(struct rig *r, uint32_t vp, uint16_t port, uint8_t bytes, uint32_t data);
int rig_read(struct rig *r, uint32_t vp, uint64_t gpa, uint8_t bytes);
int rig_write(struct rig *r, uint32_t vp, uint64_t gpa, uint8_t bytes, uint64_t data);
/* xAPIC page registers by offset. */
uint32_t rig_apic_read(struct rig *r, uint32_t vp, uint32_t offset);
void rig_apic_write(struct rig *r, uint32_t vp, uint32_t offset, uint32_t value);

/* Hypercalls of a 64-bit caller with parameters as registers hold them: 0 or exception; the result value in *@ret. */
int rig_call_raw(struct rig *r, uint32_t vp, uint64_t control, uint64_t p1, uint64_t p2,
		 uint64_t *ret);
/* 32-bit protected mode caller. */
int rig_call32(struct rig *r, uint32_t vp, uint64_t control, uint64_t p1, uint64_t p2,
	       uint64_t *ret);
/* Memory call with @in at RIG_INPUT_GPA, output at RIG_OUTPUT_GPA: the result value. */
uint64_t rig_call(struct rig *r, uint32_t vp, uint64_t control, const void *in, size_t in_bytes);
uint16_t rig_call_status(struct rig *r, uint32_t vp, unsigned code, const void *in,
			 size_t in_bytes);
void rig_mode64(struct rig *r, uint32_t vp);
void rig_mode32(struct rig *r, uint32_t vp);

/* What the guest sees at @gpa (overlays included); within one page. */
void *rig_seen(struct rig *r, uint64_t gpa);
void rig_time(struct rig *r, uint64_t ticks); /* the clock moves on */
void rig_time_100ns(struct rig *r, uint64_t units);
/* Turns the SynIC of @vp on: SCONTROL, SIMP, SIEFP; and SINT @sint with @vector when @sint is not 0. */
void rig_synic(struct rig *r, uint32_t vp, unsigned sint, uint8_t vector);
struct hv_message *rig_slot(struct rig *r, uint32_t vp, unsigned sint);
bool rig_flag(struct rig *r, uint32_t vp, unsigned sint, unsigned flag);
void rig_eoi(struct rig *r, uint32_t vp);
/* Forgets what was injected into @vp; afterwards events count from 0. */
void rig_forget(struct rig *r, uint32_t vp);
/* How often @vector was injected as an interrupt since rig_forget. */
unsigned rig_interrupts(struct rig *r, uint32_t vp, uint8_t vector);
/* Dispatches and answers whether exactly @vector came (as one interrupt); -1: none may come. EOIs it. */
bool rig_took(struct rig *r, uint32_t vp, int vector);

#endif
