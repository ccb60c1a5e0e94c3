/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM and its VPs as the engine keeps them. Files: engine.c life, ops.c the table of operations, memory.c slots, run.c the way into the
 * guest and out, exit.c what exits mean and how they are finished, state.c the cached registers, regs.c and fpu.c registers by name, msr.c,
 * cpuid.c, apic.c and irq.c local APICs in KVM, stimer.c timers there, event.c injection, saved.c saved state, walk.c page walks, dirty.c which pages were written.
 */
#ifndef KVM_VM_H
#define KVM_VM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "hv/engine.h"
#include "x86/arch.h"
#include "x86/msrs.h"

/* ---- Memory slots (memory.c) ---- */

/* Pages that are contiguous for the guest and for us, with the same rights. */
struct kvm_piece {
	uint64_t gpn;
	uint64_t count;
	uintptr_t host;
	bool writable;
	uint32_t id; /* KVM's number of the slot */
};

/* How KVM tells which pages VPs wrote (dirty.c). */
struct kvm_dirty {
	bool ring;	    /* by a ring of each VP; else by a bitmap of each slot */
	bool manual;	    /* bitmaps: looked at and taken back in two steps */
	bool initially_set; /* bitmaps: a new one has all bits set */
	bool on;
	uint64_t drained; /* entries of rings that were read and are not KVM's again */
};

struct kvm_memory {
	pthread_mutex_t
		lock; /* changes of the map, KVM's dirty log; held while VPs are kept out; recursive */
	_Atomic uint32_t closed;  /* VPs stay out of the guest: how many want it */
	struct kvm_piece *pieces; /* by gpn */
	size_t count;
	uint32_t *free_ids; /* slot numbers that are not in use, from the end */
	size_t free_count;
	bool live; /* a VP ran: KVM knows the pieces, and changes are made at once */
	struct kvm_dirty dirty;
};

/* The guest's TSC is (the host's * ratio >> bits) + offset; bits 0: not scaled (clock.c). */
struct kvm_scale {
	uint64_t ratio;
	unsigned bits;
};

/* ---- Local APICs (apic.c) ---- */

/* Level-triggered messages that KVM tells the EOIs of: more than an IOAPIC has pins. */
#define KVM_LEVEL_ROUTES 64u

struct kvm_apic {
	bool here;	      /* in KVM */
	pthread_mutex_t lock; /* what follows */
	struct hv_engine_message level[KVM_LEVEL_ROUTES];
	unsigned level_count;
	unsigned level_next;
};

/* ---- Timers (stimer.c) ---- */

/* KVM's clock was @ns when the engine's was @tsc. */
struct kvm_clock_pair {
	uint64_t tsc;
	uint64_t ns;
	bool steady; /* it counts ticks of the host's TSC */
};

/* ---- A VM ---- */

struct kvm_vp;

struct kvm_vm {
	struct hv_engine_config config;
	struct gmem *gmem;
	int fd;
	size_t run_bytes;
	uint64_t tsc_hz; /* of the guest's TSC; the host's, unless scaled */
	uint32_t host_khz;
	struct kvm_scale scale;
	bool sync_regs; /* general registers come and go with struct kvm_run */
	bool deadline_exits;
	struct kvm_memory memory;
	struct kvm_apic apic;
	struct x86_cpu cpu; /* what the guest finds */
	_Atomic(const char *)
		failed; /* static text: KVM refused something that the VM cannot go on without */
	pthread_mutex_t vps_lock;
	_Atomic(struct kvm_vp *) *vps;
	_Atomic uint32_t vp_top;
};

/* ---- A VP ---- */

/* Parts of the state that are fetched and written back as a whole; bits of kvm_vp.valid and .dirty. */
#define PART_REGS 0x01u
#define PART_SREGS 0x02u
#define PART_DEBUG 0x04u
#define PART_FPU 0x08u
#define PART_XCR0 0x10u
#define PART_EVENTS 0x20u

/* What KVM still has to be told about the instruction that exited. */
enum kvm_pending {
	PENDING_NOTHING,
	PENDING_PORT,
	PENDING_MEMORY,
	PENDING_MSR,
	PENDING_HYPERCALL,
	PENDING_EXCEPTION, /* nothing is under way in KVM */
};

struct kvm_vp {
	struct kvm_vm *vm;
	uint32_t index;
	int fd;
	struct kvm_run *run;
	struct kvm_dirty_gfn *ring; /* NULL: pages that were written are not told that way */
	uint32_t ring_next;	    /* memory.lock */

	/* Shared words. */
	_Atomic uint32_t inside; /* in, or on the way into, KVM_RUN */
	_Atomic uint32_t kicked;
	_Atomic uint32_t flush; /* translations are to be dropped before guest code runs again */
	_Atomic pid_t tid;	/* of the thread that runs it */
	_Atomic uint64_t own_exits; /* from the guest, that the core never hears of */

	/* The owner's from here on. */
	bool started; /* CPUID and clock are set */
	uint32_t valid;
	uint32_t dirty;
	struct kvm_sregs sregs;
	struct kvm_debugregs debug;
	uint64_t xcr0;
	struct kvm_vcpu_events events;
	struct x86_msrs msr; /* those that KVM does not keep */

	enum kvm_pending pending;
	unsigned element; /* of a string instruction's elements in this exit */
	bool unsettled;	  /* KVM finishes the instruction at the next KVM_RUN */
	bool stored; /* .exit came while an instruction was finished: the next run() gives it */
	struct hv_exit exit;
	bool nmi_changed; /* whether one waits, in .events: KVM does not know yet */
	bool injected;	  /* an event is on its way: no other before the next run */
	uint8_t cr8;
	bool synic; /* KVM has one, which ends interrupts of AutoEOI SINTs and has timers */
	struct kvm_clock_pair reference; /* KVM's reference time (stimer.c) */
	uint64_t assist;		 /* HV_X64_MSR_VP_ASSIST_PAGE, as the core says */
	bool assist_changed;		 /* KVM does not know yet */
	uint64_t verified_rip;		 /* of the hypercall page, found there once */

	timer_t timer;
	pid_t timer_tid; /* 0: no timer yet */
	uint64_t armed_tsc;
	unsigned armed_fires;
	struct kvm_xsave fpu; /* last, as its type has an open end; nothing is put there */
};

/* Where the general registers are cached: in the page shared with KVM. */
static inline struct kvm_regs *kvm_vp_regs(struct kvm_vp *vp)
{
	return &vp->run->s.regs.regs;
}

/* The core's handles are these structs. */
static inline struct kvm_vm *kvm_vm_of(struct hv_engine_vm *vm)
{
	return (struct kvm_vm *)(void *)vm;
}

static inline struct kvm_vp *kvm_vp_of(struct hv_engine_vp *vp)
{
	return (struct kvm_vp *)(void *)vp;
}

/* ---- engine.c ---- */

/* A VM of KVM's; -errno. */
int kvm_vm_open_fd(int device_fd);
int kvm_vm_create(const struct hv_engine_config *config, struct hv_engine_vm **ret_vm);
void kvm_vm_destroy(struct hv_engine_vm *handle);
int kvm_vp_create(struct hv_engine_vm *vm_handle, uint32_t index, struct hv_engine_vp **ret_vp);
void kvm_vp_destroy(struct hv_engine_vp *handle);
void kvm_vp_reset(struct hv_engine_vp *handle, bool init);

/* ---- memory.c ---- */

int kvm_memory_init(struct kvm_vm *vm);
void kvm_memory_fini(struct kvm_vm *vm);
/* The first VP is about to run: tells KVM of everything that is mapped. */
void kvm_memory_go_live(struct kvm_vm *vm);
/* The GPA map changed; returns when no VP runs under the old one. [any] */
void kvm_memory_changed(struct kvm_vm *vm, uint64_t gpn, uint64_t count);
/* hv_engine_ops.hold. */
void kvm_memory_hold(struct kvm_vm *vm, bool on);
/* Tells KVM of a piece, or that it is gone. memory.lock held; -errno. */
int kvm_memory_set_region(struct kvm_vm *vm, const struct kvm_piece *p, bool remove);
/* The VM cannot go on: @what is static text. [any] */
void kvm_memory_fail(struct kvm_vm *vm, const char *what);

/* ---- dirty.c ---- */

/* Before the first VP and the first slot. */
void kvm_dirty_init(struct kvm_vm *vm);
int kvm_dirty_vp_open(struct kvm_vp *vp);
void kvm_dirty_vp_close(struct kvm_vp *vp);
/* The VP left the guest because its ring is full. */
void kvm_dirty_ring_full(struct kvm_vp *vp);
/* For memory.c, memory.lock held: before slots go (no VP in the guest), for each slot that goes, and for each that was made. */
void kvm_dirty_rings_collect(struct kvm_vm *vm);
void kvm_dirty_slot_gone(struct kvm_vm *vm, const struct kvm_piece *p);
void kvm_dirty_slot_made(struct kvm_vm *vm, const struct kvm_piece *p);
/* The engine's operations. */
int kvm_dirty_start(struct kvm_vm *vm);
void kvm_dirty_take(struct kvm_vm *vm, uint64_t gpn, uint64_t count, uint64_t *bitmap);
void kvm_dirty_stop(struct kvm_vm *vm);

/* ---- run.c ---- */

void kvm_vp_run(struct kvm_vp *vp, const struct hv_run *how, struct hv_exit *ret_exit);
/* Lets KVM finish the instruction at hand without running another. An exit that comes of it is stored. */
void kvm_vp_settle(struct kvm_vp *vp);
/* Gets the VP out of KVM_RUN if it is there. [any] */
void kvm_vp_poke(struct kvm_vp *vp);
/* Enters KVM with @immediate (finish, do not run) or for real; 0 an exit is there, else -errno. */
int kvm_vp_enter(struct kvm_vp *vp, bool immediate);
/* Whoever changes the map: VPs leave the guest and stay out until opened. memory.lock held. */
void kvm_vm_close(struct kvm_vm *vm);
void kvm_vm_open(struct kvm_vm *vm);
/* All VPs in order, from *@cursor = 0 on; NULL: no more. vps_lock held. */
struct kvm_vp *kvm_vm_next_vp(struct kvm_vm *vm, uint32_t *cursor);
int kvm_signal_install(void);
void kvm_vp_timer_fini(struct kvm_vp *vp);

/* What must be true before the first instruction. NULL, or static text. */
const char *kvm_vp_start(struct kvm_vp *vp);

/* ---- apic.c ---- */

extern const struct hv_engine_apic_ops kvm_apic_ops;
/* Before the first VP: whether KVM keeps the APICs is known afterwards. */
int kvm_apic_init(struct kvm_vm *vm);
void kvm_apic_fini(struct kvm_vm *vm);
bool kvm_apic_has_msr(const struct kvm_vm *vm, uint32_t index);
/* What was put off until memory is there. */
void kvm_apic_before_run(struct kvm_vp *vp);
/* A HLT ends. */
void kvm_apic_wake(struct kvm_vp *vp);

/* The VP has a SynIC in KVM from now on. False: refused. */
bool kvm_apic_synic(struct kvm_vp *vp);

/* ---- stimer.c: of hv_engine_apic_ops ---- */

bool kvm_stimer_set(struct hv_engine_vp *handle, unsigned n, uint8_t vector, uint64_t deadline_tsc);
bool kvm_stimer_end(struct hv_engine_vp *handle, unsigned n);

/* ---- irq.c: of hv_engine_apic_ops ---- */

void kvm_irq_message(struct hv_engine_vm *handle, const struct hv_engine_message *m);
void kvm_irq_request(struct hv_engine_vp *handle, uint8_t vector);

/* ---- clock.c ---- */

int kvm_clock_init(struct kvm_vm *vm);
/* The guest's TSC without a VP's offset. [any] */
uint64_t kvm_clock(const struct kvm_vm *vm);
/* What it was when the host's TSC was @host_tsc. */
uint64_t kvm_clock_at(const struct kvm_vm *vm, uint64_t host_tsc);
void kvm_clock_set_offset(struct kvm_vp *vp, uint64_t offset);
struct kvm_scale kvm_scale_of(uint64_t guest_khz, uint64_t host_khz, unsigned bits);
/* hv_engine_ops.set_tsc_hz. */
bool kvm_clock_set_rate(struct kvm_vm *vm, uint64_t hz);
/* A new VP: rate and offset. */
bool kvm_clock_vp_init(struct kvm_vp *vp);

/* ---- exit.c ---- */

/* An exit without more to say, and one that ends the VM: @what is static text. True: there is one. */
static inline bool kvm_exit_plain(struct hv_exit *ret, enum hv_exit_kind kind)
{
	*ret = (struct hv_exit){.kind = kind};
	return true;
}

static inline bool kvm_exit_failed(struct hv_exit *ret, const char *what)
{
	*ret = (struct hv_exit){.kind = HV_EXIT_FAILED, .failed.what = what};
	return true;
}

/* Translates what KVM_RUN left. False: it was dealt with here, run again. */
bool kvm_exit_translate(struct kvm_vp *vp, struct hv_exit *ret);
void kvm_exit_complete(struct kvm_vp *vp, const uint64_t values[4]);
/* The pending instruction is as if it had not been executed. */
void kvm_exit_drop(struct kvm_vp *vp);

/* ---- state.c ---- */

/* Makes the part valid in the cache; settles first. */
void kvm_state_fetch(struct kvm_vp *vp, uint32_t part);
/* The part is about to be changed in the cache: fetched, and marked for writing. */
void kvm_state_change(struct kvm_vp *vp, uint32_t part);
/* Writes what was changed. False: KVM refuses it; *ret_what is static text. */
bool kvm_state_flush(struct kvm_vp *vp, const char **ret_what);
/* The same, and nothing of it is left for the way into the guest: what KVM is asked to do next happens after it. */
bool kvm_state_flush_now(struct kvm_vp *vp, const char **ret_what);
/* Gives KVM control registers and segments that are not the cached ones. Below 0: it refuses them. */
int kvm_state_put_sregs(struct kvm_vp *vp, const struct kvm_sregs *wanted);
/* KVM may have changed everything that was not fetched since. */
void kvm_state_invalidate(struct kvm_vp *vp);
void kvm_state_reset(struct kvm_vp *vp, bool init);

/* ---- regs.c, fpu.c, walk.c ---- */

bool kvm_reg_get(struct kvm_vp *vp, uint32_t name, struct hv_u128 *ret_value);
bool kvm_reg_set(struct kvm_vp *vp, uint32_t name, const struct hv_u128 *value);
void kvm_fpu_reset(struct kvm_vp *vp);
bool kvm_fpu_reg_get(struct kvm_vp *vp, uint32_t name, struct hv_u128 *ret_value);
bool kvm_fpu_reg_set(struct kvm_vp *vp, uint32_t name, const struct hv_u128 *value);
bool kvm_walk(struct kvm_vp *vp, uint64_t gva, unsigned access, bool user, uint64_t *ret_gpa,
	      uint32_t *ret_error);

/* ---- msr.c ---- */

/* KVM's own, and those that are kept here. FOREIGN: the hypervisor core's. */
enum x86_msrs_result kvm_msr_read(struct kvm_vp *vp, uint32_t index, uint64_t *ret_value);
enum x86_msrs_result kvm_msr_write(struct kvm_vp *vp, uint32_t index, uint64_t value);
/* KVM carries it out without asking (its faults included). */
bool kvm_msr_in_kernel(const struct kvm_vm *vm, uint32_t index, bool write);
/* After kvm_cpuid_init and kvm_apic_init, on which it depends. */
int kvm_msr_set_filter(struct kvm_vm *vm);
/* As KVM has it, without looking whose it is. False: KVM refuses. */
bool kvm_msr_kernel_get(struct kvm_vp *vp, uint32_t index, uint64_t *ret);
bool kvm_msr_kernel_set(struct kvm_vp *vp, uint32_t index, uint64_t value);
/* The kernel's struct kvm_msrs ends with an array; this is it with one entry. */
struct kvm_one_msr {
	__u32 count;
	__u32 pad;
	struct kvm_msr_entry entry;
};
_Static_assert(offsetof(struct kvm_one_msr, entry) == sizeof(struct kvm_msrs), "KVM_GET_MSRS");
void kvm_msr_reset(struct kvm_vp *vp, bool init);

/* ---- cpuid.c ---- */

int kvm_cpuid_init(struct kvm_vm *vm);
void kvm_cpuid_get(const struct kvm_vm *vm, uint32_t leaf, uint32_t subleaf, uint32_t regs[4]);
/* Gives KVM the hypervisor core's answers for this VP. False: refused. */
bool kvm_cpuid_apply(struct kvm_vp *vp);

/*
 * The hypercall page's instruction: OUT imm8, EAX, made as long as VMCALL. The port is the number of the instruction RET: states of a time when there was no prefix
 * may go on at what is its last byte now.
 */
#define HYPERCALL_PORT 0xC3u
#define HYPERCALL_BYTES 3u
unsigned kvm_hypercall_insn(uint8_t bytes[8]);

/* ---- event.c ---- */

void kvm_event_exception(struct kvm_vp *vp, uint8_t vector, bool has_error, uint32_t error,
			 uint64_t parameter);
bool kvm_event_can_interrupt(struct kvm_vp *vp);
bool kvm_event_can_nmi(struct kvm_vp *vp);
void kvm_event_interrupt(struct kvm_vp *vp, uint8_t vector);
void kvm_event_nmi(struct kvm_vp *vp);

/* ---- saved.c ---- */

size_t kvm_saved_write(struct kvm_vp *vp, void *buf, size_t bytes);
bool kvm_saved_read(struct kvm_vp *vp, const void *buf, size_t bytes);

#endif
