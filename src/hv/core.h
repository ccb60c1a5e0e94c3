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
#include "gmem/gmem.h"
#include "hv/engine.h"
#include "hv/host.h"
#include "hv/hv.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "lib/err.h"
#include "lib/state.h"
#include "x86/arch.h"

struct hv_port;
struct hv_connection;
struct hv_message_buffer;

/* ---- pool.c ---- */

#define POOL_CLASSES 5

struct hv_pool {
	struct hv_lock lock;
	struct pool_free_page *free_pages;
	struct pool_slab *partial[POOL_CLASSES];
	uint64_t pages_free;
	uint64_t pages_total;
};

/* Gives @page to the pool; its content is lost. */
void pool_deposit(struct hv_pool *pool, void *page);
/* Takes an unused page out of the pool; NULL: none. */
void *pool_withdraw(struct hv_pool *pool);
/* Zeroed page or object of at most POOL_OBJECT_MAX bytes; NULL: HV_STATUS_INSUFFICIENT_MEMORY. */
#define POOL_OBJECT_MAX 2016u
void *pool_page_alloc(struct hv_pool *pool);
void pool_page_free(struct hv_pool *pool, void *page);
void *pool_alloc(struct hv_pool *pool, size_t bytes);
void pool_free(struct hv_pool *pool, void *object);

/* ---- time.c ---- */

struct hv_time {
	uint32_t sequence; /* odd while it changes */
	bool frozen;
	uint64_t offset;     /* guest TSC = engine TSC + offset while running */
	uint64_t frozen_tsc; /* guest TSC while frozen */
	uint64_t tsc_hz;
	uint64_t
		lost_hz; /* the rate where the restored state came from, which the engine could not take; 0: none */
	uint64_t scale; /* reference time = (guest TSC * scale >> 64) + reference_offset */
	int64_t reference_offset;
	uint64_t apic_hz; /* ticks of the local APICs' timers in a second */
};

#define REFERENCE_HZ UINT64_C(10000000)

void time_init(struct hv_partition *p, bool frozen);
/* The guest's TSC ran at @hz so far: the engine takes that rate if it can. Time is set anew afterwards (time_set). */
void time_keep_rate(struct hv_partition *p, uint64_t hz);
void time_freeze(struct hv_partition *p, bool frozen);
/* Guest TSC (without a VP's own offset) and reference time now. [any] */
uint64_t time_guest_tsc(const struct hv_partition *p);
uint64_t time_reference(const struct hv_partition *p);
uint64_t time_reference_of(const struct hv_time *time, uint64_t guest_tsc);
/* A guest TSC at which reference time reaches @reference, to within 100 ns; 0: it has; UINT64_MAX: never. */
uint64_t time_tsc_of_reference(const struct hv_partition *p, uint64_t reference);
/* The engine's clock when the guest's TSC is @guest_tsc; what has been is now, and UINT64_MAX: never, or later than that clock can tell. */
uint64_t time_engine_tsc(const struct hv_partition *p, uint64_t guest_tsc);
uint64_t time_frozen(const struct hv_partition *p);
/* Starts again at @guest_tsc and @reference (restore). The partition is frozen. */
void time_set(struct hv_partition *p, uint64_t guest_tsc, uint64_t reference);
/* 100 ns in @ticks of the TSC. */
uint64_t time_100ns(const struct hv_partition *p, uint64_t ticks);

/* ---- overlay.c ---- */

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

/* ---- lapic.c, apic_route.c ---- */

#define LAPIC_BASE_ENABLE UINT64_C(0x800)
#define LAPIC_BASE_X2APIC UINT64_C(0x400)
#define LAPIC_BASE_BSP UINT64_C(0x100)
#define LAPIC_BASE_DEFAULT UINT64_C(0xFEE00000)

enum lapic_lvt {
	LVT_TIMER, /* register 0x32; the others follow in order */
	LVT_THERMAL,
	LVT_PERF,
	LVT_LINT0,
	LVT_LINT1,
	LVT_ERROR,
	LVT_COUNT,
};

struct lapic {
	/* Written by the owner, read by others (routing) as single words. */
	uint64_t base;
	uint32_t tpr;
	uint32_t ldr;
	uint32_t dfr;
	uint32_t svr;
	/* Written by anybody, atomically. */
	uint32_t irr[8];
	uint32_t tmr[8];
	uint32_t esr_pending;
	/* Owner only. */
	uint32_t isr[8];
	uint32_t auto_eoi[8]; /* vectors of AutoEOI SINTs */
	uint32_t esr;
	uint32_t icr_low;
	uint32_t icr_high;
	uint32_t lvt[LVT_COUNT];
	uint32_t divide;
	uint32_t initial_count;
	uint64_t timer_deadline; /* guest TSC with the VP's offset removed; 0: not armed */
	uint64_t tsc_deadline;	 /* as the guest wrote it; 0: not armed */
};

enum lapic_result { LAPIC_OK, LAPIC_FAULT };

void lapic_reset(struct hv_vp *vp, bool init);
/* x2APIC MSR 0x800 + @reg or xAPIC page register at @reg * 16 (@x2apic says which rules). FAULT: #GP. */
enum lapic_result lapic_read(struct hv_vp *vp, unsigned reg, bool x2apic, uint64_t *ret);
enum lapic_result lapic_write(struct hv_vp *vp, unsigned reg, bool x2apic, uint64_t value);
void lapic_mmio_read(struct hv_vp *vp, unsigned offset, unsigned bytes, uint64_t *ret);
void lapic_mmio_write(struct hv_vp *vp, unsigned offset, unsigned bytes, uint64_t value);
enum lapic_result lapic_base_write(struct hv_vp *vp, uint64_t value);
void lapic_tpr_set(struct hv_vp *vp, uint32_t tpr);
void lapic_eoi(struct hv_vp *vp);
enum lapic_result lapic_icr_write(struct hv_vp *vp, uint64_t icr, bool x2apic);
void lapic_tsc_deadline_write(struct hv_vp *vp, uint64_t value);
uint64_t lapic_tsc_deadline_read(struct hv_vp *vp);
/* Requests the vector, edge-triggered. Vectors below 16 only set ESR. [any] */
void lapic_request(struct hv_vp *vp, uint8_t vector);
/* The same in the core, edge or level: for the owner of a VP, or between apic_begin and apic_end. */
void lapic_request_here(struct hv_vp *vp, uint8_t vector, bool level);
/* The registers as they are handed over; activity aside. The owner, while nobody sends. */
void lapic_export(const struct hv_vp *vp, struct hv_engine_apic *ret);
void lapic_import(struct hv_vp *vp, const struct hv_engine_apic *a);
/* Highest requested vector above the processor priority; -1: none. */
int lapic_pending(const struct hv_vp *vp);
/* Any vector requested at all, masked or not. */
bool lapic_any_requested(const struct hv_vp *vp);
/* The vector goes to the processor: IRR to ISR, except AutoEOI. */
void lapic_accept(struct hv_vp *vp, uint8_t vector);
/* Fires the APIC timer if it is due. */
void lapic_timer_poll(struct hv_vp *vp, uint64_t guest_tsc);
/* Guest TSC of the next expiry, UINT64_MAX: none. */
uint64_t lapic_timer_deadline(const struct hv_vp *vp);
/* LINT0 takes 8259 interrupts in this state. */
bool lapic_accepts_extint(const struct hv_vp *vp);
bool lapic_enabled(const struct hv_vp *vp);
bool lapic_x2apic(const struct hv_vp *vp);
uint32_t lapic_id(const struct hv_vp *vp);
bool bitmap256_test(const uint32_t *map, uint8_t n);
int bitmap256_highest(const uint32_t *map);

/* An interrupt on its way: from an ICR, the IOAPIC or an MSI. */
struct apic_message {
	uint32_t type; /* HvX64InterruptType* */
	uint32_t destination;
	uint8_t vector;
	bool logical;
	bool level;
	bool x2apic; /* 32-bit destination rules */
};
/* Delivers to all matching VPs. [any] */
void apic_route(struct hv_partition *p, const struct apic_message *m);
/* In the core, as lapic_request_here. */
void apic_route_here(struct hv_partition *p, const struct apic_message *m);
void apic_deliver(struct hv_vp *target, uint32_t type, uint8_t vector, bool level);

/* ---- apic_home.c: whether the core or the engine has the local APICs ---- */

/* The engine has them. The owner's answer holds as long as it has the VP. */
bool apic_away(const struct hv_vp *vp);
/* Begins and ends what delivers interrupts: in between the APICs stay where they are. True: with the engine. [any] */
bool apic_begin(struct hv_partition *p);
void apic_end(struct hv_partition *p);
/* A VP is about to run, and nobody has it: the engine shall have the APICs if it can. Not while time is frozen. */
void apic_settle(struct hv_partition *p);
bool apic_settled(const struct hv_partition *p);
/* The core gets the APICs back until the next apic_settle; VPs leave the engine for that. */
void apic_gather(struct hv_partition *p);
/* A VP that was made after the others settled. */
void apic_adopt(struct hv_vp *vp);
void apic_tell_assist(struct hv_vp *vp);
void apic_tell_sint(struct hv_vp *vp, unsigned sint, uint64_t old);

/* ---- synic.c, stimer.c, port.c ---- */

struct hv_stimer {
	uint64_t config;
	uint64_t count;
	uint64_t expiry; /* reference time of the next expiration while armed */
	bool armed;
	bool lent;	      /* a timer of the engine's raises the interrupt */
	bool message_pending; /* a message waits for its slot */
	uint64_t message_expiry;
};

struct synic {
	struct hv_lock lock; /* SIM slots, queues, control registers */
	uint64_t scontrol;
	uint64_t sint[HV_SYNIC_SINT_COUNT];
	struct hv_overlay sim;
	struct hv_overlay sief;
	struct hv_message_buffer *queue_head[HV_SYNIC_SINT_COUNT];
	struct hv_message_buffer *queue_tail[HV_SYNIC_SINT_COUNT];
	struct hv_stimer timer[HV_SYNIC_STIMER_COUNT];
};

struct hv_message_buffer {
	struct hv_message_buffer *next;
	struct hv_port *port; /* where the buffer goes back to */
	struct hv_message message;
};

void synic_reset(struct hv_vp *vp);
bool synic_sint_write(struct hv_vp *vp, unsigned sint, uint64_t value);
void synic_scontrol_write(struct hv_vp *vp, uint64_t value);
/* Places the SIM or SIEF page; false: no memory for it. */
bool synic_page_write(struct hv_vp *vp, struct hv_overlay *page, uint64_t value);
/* Looks at all slots again: EOM, or queues changed hands. */
void synic_scan(struct hv_vp *vp);
/* An EOI for @vector: looks at the slots of SINTs with that vector. */
void synic_eoi(struct hv_vp *vp, uint8_t vector);
/* Status of posting to this SINT right now, without posting: SUCCESS or INVALID_SYNIC_STATE. */
uint16_t synic_message_state(struct hv_vp *vp, unsigned sint);
/* Queues @buffer behind the messages of the SINT and delivers what can be. [any] */
void synic_enqueue(struct hv_vp *vp, unsigned sint, struct hv_message_buffer *buffer);
/* Puts @message into the slot if it is free: SUCCESS, OBJECT_IN_USE or INVALID_SYNIC_STATE. [any] */
uint16_t synic_post_direct(struct hv_vp *vp, unsigned sint, const struct hv_message *message);
/* Sets an event flag. *ret_newly: it was clear before. SUCCESS or INVALID_SYNIC_STATE. [any] */
uint16_t synic_signal(struct hv_vp *vp, unsigned sint, unsigned flag, bool *ret_newly);
/* Takes the queued buffers of @port (NULL: of all ports) off the VP and returns them to their ports. */
void synic_purge(struct hv_vp *vp, struct hv_port *port);

bool stimer_config_write(struct hv_vp *vp, unsigned n, uint64_t value);
void stimer_count_write(struct hv_vp *vp, unsigned n, uint64_t value);
uint64_t stimer_config_read(struct hv_vp *vp, unsigned n);
void stimer_poll(struct hv_vp *vp, uint64_t reference);
/* The APIC goes to the engine, and timers with it; or it has come back. */
void stimer_lend_all(struct hv_vp *vp);
void stimer_recall_all(struct hv_vp *vp);
/* Reference time of the next expiration; lazy timers only count when @lazy_too. UINT64_MAX: none. */
uint64_t stimer_next(const struct hv_vp *vp, bool lazy_too);
/* With the SynIC locked: the message of a timer that waits for @sint; false: none. */
bool stimer_take_message(struct hv_vp *vp, unsigned sint, struct hv_message *ret);
bool stimer_has_message(const struct hv_vp *vp, unsigned sint);

#define PORT_BUFFERS 16u

struct hv_port {
	struct hv_port *next;
	struct hv_partition *owner;
	struct hv_lock lock; /* buffers */
	uint32_t id;
	uint64_t connection_partition;
	struct hv_port_info info;
	struct hv_connection *connection;
	struct hv_message_buffer *free_buffers;
	uint32_t *root_flags; /* event port of the root: pending flags */
};

struct hv_connection {
	struct hv_connection *next;
	uint32_t id;
	struct hv_port *port;
	struct hv_partition *partition; /* the sender */
};

void port_buffer_release(struct hv_message_buffer *buffer);
uint16_t port_create(struct hv_partition *owner, const struct hv_input_create_port *in);
uint16_t port_connect(struct hv_partition *sender, struct hv_partition *port_owner,
		      const struct hv_input_connect_port *in);
uint16_t port_delete(struct hv_partition *owner, uint32_t id);
uint16_t port_disconnect(struct hv_partition *sender, uint32_t id);
/* A partition goes away: its ports and connections. hv->lock held. */
void port_remove_all(struct hv_partition *p);
uint16_t port_post_message(struct hv_partition *sender, uint32_t connection_id, uint32_t type,
			   const uint8_t *payload, uint32_t payload_bytes);
uint16_t port_signal_event(struct hv_partition *sender, uint32_t connection_id, uint16_t flag);
/* A saved queued message: {sint, port id, message}. False: torn, or no such port. */
bool port_restore_message(struct hv_vp *vp, struct state_reader *r);
bool port_connection_exists(struct hv_partition *sender, uint32_t connection_id);

/* ---- vpassist.c ---- */

struct vp_assist {
	struct hv_overlay overlay;
	bool armed; /* the page says NoEoiRequired for @vector */
	uint8_t vector;
};
void vp_assist_write(struct hv_vp *vp, uint64_t value, bool *ret_ok);
/* Called when @vector was just accepted: offers the guest to leave out the EOI. */
void vp_assist_arm(struct hv_vp *vp, uint8_t vector);
/* Finds out whether the guest made use of the offer; takes it back when other interrupts wait. */
void vp_assist_sync(struct hv_vp *vp);
/* Takes it back in any case. */
void vp_assist_withdraw(struct hv_vp *vp);

/* ---- VPs: vp.c, regs.c, run.c ---- */

/* Bits of vp->requests. */
#define REQUEST_NMI 0x01u
#define REQUEST_INIT 0x02u
#define REQUEST_SIPI 0x04u
#define REQUEST_KICK 0x08u
#define REQUEST_SIPI_VECTOR_SHIFT 24

struct hv_vp {
	struct hv_partition *partition;
	struct hv_engine_vp *engine;
	uint32_t index;
	void *cookie;

	/* Shared words. */
	uint32_t owned;	  /* 1: a dispatcher or a register access has the VP */
	uint32_t running; /* inside engine run() */
	uint32_t blocked; /* the dispatcher was told to sleep */
	uint32_t requests;
	uint32_t explicit_suspend;
	uint32_t wanted; /* others that want to have the VP: its dispatcher gives way */

	/* Owner only from here on. */
	bool startup_suspend;	    /* waits for INIT-SIPI */
	bool halted;		    /* HLT */
	bool idle;		    /* HV_X64_MSR_GUEST_IDLE */
	bool dead;		    /* triple fault; only INIT helps */
	int16_t extint_vector;	    /* 8259 vector that the parent gave; -1: none */
	bool intercept;		    /* an intercept message waits for its answer */
	struct hv_exit exit;	    /* what it was */
	bool message_ready;	    /* notification to hand to the parent */
	struct hv_message *message; /* in its own page */

	uint64_t tsc_offset;  /* guest wrote IA32_TSC */
	uint64_t tsc_applied; /* offset that the engine knows */
	uint64_t runtime;     /* engine TSC ticks inside run() */

	struct lapic lapic;
	struct synic synic;
	struct vp_assist assist;
	uint8_t *call_input; /* pages for hypercall parameters */
	uint8_t *call_output;
	uint64_t *call_counts; /* page: HV_STATS_CALLS counters */
	uint64_t exits[16];    /* by kind; anybody reads them */
};

/* Of a counter that one thread moves and others read. */
static inline void counter_add(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

static inline bool vp_request_test(const struct hv_vp *vp, uint32_t bits)
{
	return (__atomic_load_n(&vp->requests, __ATOMIC_SEQ_CST) & bits) != 0;
}

uint16_t vp_create(struct hv_partition *p, uint32_t index);
/* The VP is not dispatched by anybody. */
void vp_destroy(struct hv_vp *vp);
/* NULL: no such VP. [any] */
struct hv_vp *vp_find(struct hv_partition *p, uint32_t index);
/* Sets request bits and makes the VP look at them. [any] */
void vp_request(struct hv_vp *vp, uint32_t bits);
/* Work was made for the VP: gets it out of the engine or its dispatcher out of sleep. [any] */
void vp_notify(struct hv_vp *vp);
void vp_acquire(struct hv_vp *vp);
bool vp_try_acquire(struct hv_vp *vp);
void vp_release(struct hv_vp *vp);
/* Gets the VP from its dispatcher. The caller has no other that its dispatcher runs. */
void vp_claim(struct hv_vp *vp);
/* All VPs of the partition; apic_lock is held. */
void vp_claim_all(struct hv_partition *p);
void vp_release_all(struct hv_partition *p);
/* The same for the dispatcher of @owned (NULL: nobody's). False: somebody wants that one, so give way and try again. */
bool vp_claim_for(struct hv_vp *vp, const struct hv_vp *owned);
/* INIT and SIPI as the VP's thread carries them out; the first: those that were requested. */
void vp_take_init_sipi(struct hv_vp *vp);
void vp_do_init(struct hv_vp *vp);
void vp_do_sipi(struct hv_vp *vp, uint8_t vector);
void vp_set_initial_context(struct hv_vp *vp, const struct hv_initial_vp_context *context);
void vp_tsc_apply(struct hv_vp *vp);
/* Waits for a startup message or call. */
bool vp_waits_for_start(const struct hv_vp *vp);
uint64_t vp_runtime_100ns(const struct hv_vp *vp);

/*
 * Registers by name; the caller has the VP. Not @by_parent: the guest's own rights hold. Status: SUCCESS, INVALID_REGISTER_VALUE,
 * INVALID_PARAMETER (unknown name, or not for the guest).
 */
uint16_t vp_register_get(struct hv_vp *vp, uint32_t name, bool by_parent, struct hv_u128 *ret);
uint16_t vp_register_set(struct hv_vp *vp, uint32_t name, bool by_parent,
			 const struct hv_u128 *value);
/* Registers that the engine certainly has. */
uint64_t vp_reg(struct hv_vp *vp, uint32_t name);
void vp_reg_set(struct hv_vp *vp, uint32_t name, uint64_t value);

/* ---- intercept.c ---- */

struct intercepts {
	uint32_t *port_read; /* two pages each: one bit per port */
	uint32_t *port_write;
	uint32_t *port_read_high;
	uint32_t *port_write_high;
	struct intercept_entry *entries; /* MSR and CPUID indexes */
	uint32_t msr_any;		 /* access mask: every MSR that is not implemented */
	uint32_t cpuid_any;
	uint32_t mmio; /* access mask of unmapped GPAs */
	uint32_t exceptions;
	bool hypercall; /* codes that are not implemented */
	bool unknown_connection;
};

uint16_t intercept_install(struct hv_partition *p, const struct hv_input_install_intercept *in);
void intercept_fini(struct hv_partition *p);
bool intercept_port(const struct hv_partition *p, uint16_t port, bool write);
bool intercept_msr(const struct hv_partition *p, uint32_t index, bool write);
bool intercept_cpuid(const struct hv_partition *p, uint32_t leaf);

/* Build the message of an exit in *ret. */
void message_port(struct hv_vp *vp, const struct hv_exit *exit, struct hv_message *ret);
void message_memory(struct hv_vp *vp, const struct hv_exit *exit, struct hv_message *ret);
void message_msr(struct hv_vp *vp, uint32_t index, bool write, uint64_t data,
		 struct hv_message *ret);
void message_cpuid(struct hv_vp *vp, const struct hv_exit *exit, const uint32_t answer[4],
		   struct hv_message *ret);
void message_exception(struct hv_vp *vp, const struct hv_exit *exit, struct hv_message *ret);
void message_simple(struct hv_vp *vp, uint32_t type, struct hv_message *ret);
void message_text(struct hv_vp *vp, uint32_t type, const char *text, struct hv_message *ret);
void message_hypercall(struct hv_vp *vp, struct hv_message *ret);
void message_apic_eoi(struct hv_vp *vp, uint8_t vector, struct hv_message *ret);

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
