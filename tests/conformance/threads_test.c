// SPDX-License-Identifier: Apache-2.0
/*
 * The same core under real threads: four VPs dispatch at once while they send each other IPIs, flush each other, and the parent
 * posts messages, signals events and moves time. Meant for ThreadSanitizer as much as for the counts that it checks.
 */
#include <pthread.h>
#include <unistd.h>

#include "rig.h"

#define VPS 4u
#define ROUNDS 1000u
#define SINT 2u
#define VECTOR 0x61u
#define IPI_VECTOR 0x41u
#define TIMER_VECTOR 0x51u
#define TIMER_SINT 3u
#define TIMER_SINT_VECTOR 0x52u

struct vp_thread {
	struct rig *r;
	uint32_t vp;
	unsigned actions; /* atomic */
	unsigned interrupts[256];
	unsigned messages;
	uint32_t last_tag;
	bool out_of_order;
	unsigned flags;
	uint32_t stop; /* atomic */
};

static uint32_t message_count(const struct vp_thread *th)
{
	return __atomic_load_n(&th->messages, __ATOMIC_SEQ_CST);
}

static void queue_write(struct fake_vp *f, uint32_t index, uint64_t value)
{
	fake_push(f, &(struct hv_exit){.kind = HV_EXIT_MSR,
				       .insn_bytes = 2,
				       .msr = {.index = index, .write = true, .data = value}});
}

/* The guest's interrupt handler: empties the slot and the flags. */
static void handle_sint(struct vp_thread *th, struct fake_vp *f)
{
	struct hv_message *slot = rig_slot(th->r, th->vp, SINT);
	uint32_t *flags = (uint32_t *)rig_seen(th->r, RIG_SIEF_GPA(th->vp)) + SINT * 64;

	while (__atomic_load_n(&slot->type, __ATOMIC_SEQ_CST) != HvMessageTypeNone) {
		uint32_t tag = load_le32(slot->payload);

		th->out_of_order |= tag != th->last_tag + 1;
		th->last_tag = tag;
		__atomic_fetch_add(&th->messages, 1, __ATOMIC_SEQ_CST);
		__atomic_store_n(&slot->type, HvMessageTypeNone, __ATOMIC_SEQ_CST);
		if (!(__atomic_load_n(&slot->flags, __ATOMIC_SEQ_CST) & HV_MESSAGE_FLAG_PENDING)) {
			break;
		}
		queue_write(f, HV_X64_MSR_EOM, 0);
		break;
	}
	for (unsigned i = 0; i < 64; i++) {
		th->flags += (unsigned)__builtin_popcount(
			__atomic_exchange_n(&flags[i], 0, __ATOMIC_SEQ_CST));
	}
}

/* Takes what was injected: counts, handles, and queues the EOI. */
static void take_events(struct vp_thread *th, struct fake_vp *f)
{
	for (unsigned i = 0; i < f->event_count; i++) {
		CHECK(f->events[i].kind == FAKE_INTERRUPT);
		th->interrupts[f->events[i].vector]++;
		if (f->events[i].vector == VECTOR) {
			handle_sint(th, f);
		} else if (f->events[i].vector == TIMER_SINT_VECTOR) {
			__atomic_store_n(&rig_slot(th->r, th->vp, TIMER_SINT)->type,
					 HvMessageTypeNone, __ATOMIC_SEQ_CST);
			queue_write(f, HV_X64_MSR_EOM, 0);
		}
		queue_write(f, HV_X64_MSR_EOI, 0);
	}
	f->event_count = 0;
}

static void queue_call(struct fake_vp *f, uint64_t control, uint64_t p1, uint64_t p2, uint64_t p3)
{
	fake_reg(f, HvX64RegisterRcx)->lo = control | HV_HYPERCALL_FAST;
	fake_reg(f, HvX64RegisterRdx)->lo = p1;
	fake_reg(f, HvX64RegisterR8)->lo = p2;
	fake_reg(f, HvX64RegisterXmm0)->lo = p3;
	fake_push(f, &(struct hv_exit){.kind = HV_EXIT_HYPERCALL, .insn_bytes = 3});
}

/* One thing that an operating system does to its other processors. */
static void queue_action(struct vp_thread *th, struct fake_vp *f)
{
	unsigned n = __atomic_fetch_add(&th->actions, 1, __ATOMIC_RELAXED);
	uint32_t other = (th->vp + 1 + n % (VPS - 1)) % VPS;

	switch (n % 10) {
	case 0:
		queue_call(f, HvCallSendSyntheticClusterIpi, IPI_VECTOR, BIT64(other), 0);
		break;
	case 1:
		queue_call(f, HvCallFlushVirtualAddressSpace, 0, HV_FLUSH_ALL_PROCESSORS, 0);
		break;
	case 2:
		queue_write(f, HV_X64_MSR_ICR, (uint64_t)other << 56 | IPI_VECTOR);
		break;
	case 3:
		queue_write(f, HV_X64_MSR_STIMER0_COUNT, 1);
		break;
	case 4:
		fake_push(f, &(struct hv_exit){.kind = HV_EXIT_MSR,
					       .insn_bytes = 2,
					       .msr = {.index = HV_X64_MSR_TIME_REF_COUNT}});
		break;
	case 5:
		queue_write(f, HV_X64_MSR_STIMER1_COUNT, 1);
		break;
	case 6:
		queue_write(f, HV_X64_MSR_VP_ASSIST_PAGE, RIG_ASSIST_GPA(th->vp) | (n / 10 & 1));
		break;
	case 7:
		queue_write(f, HV_X64_MSR_SINT0 + SINT, VECTOR);
		break;
	case 8:
		/* As a processor that goes offline and comes back. */
		queue_write(f, HV_X64_MSR_SIEFP, RIG_SIEF_GPA(th->vp));
		queue_write(f, HV_X64_MSR_SIMP, RIG_SIM_GPA(th->vp));
		queue_write(f, HV_X64_MSR_SIMP, RIG_SIM_GPA(th->vp) | HV_MSR_PAGE_ENABLE);
		queue_write(f, HV_X64_MSR_SIEFP, RIG_SIEF_GPA(th->vp) | HV_MSR_PAGE_ENABLE);
		break;
	default:
		fake_push(f, &(struct hv_exit){.kind = HV_EXIT_HALT});
		break;
	}
}

static void *vp_main(void *arg)
{
	struct vp_thread *th = arg;
	struct fake_vp *f = th->r->fake[th->vp];

	for (unsigned idle = 0; !__atomic_load_n(&th->stop, __ATOMIC_SEQ_CST);) {
		struct hv_message message;
		enum hv_dispatch answer;
		uint64_t ns;

		if (__atomic_load_n(&th->actions, __ATOMIC_RELAXED) < ROUNDS && fake_done(f)) {
			queue_action(th, f);
		}
		answer = hv_vp_dispatch(th->r->vp[th->vp], &message, &ns);
		CHECK(answer == HV_DISPATCH_INTERRUPTED || answer == HV_DISPATCH_BLOCKED);
		take_events(th, f);
		/* HLT may have come before the EOI of an interrupt: then only the parent can end it. */
		if (answer == HV_DISPATCH_BLOCKED) {
			hv_host_relax(idle++);
			if (idle % 64 == 0) {
				rig_reg_set(th->r, th->vp, HvRegisterInternalActivityState, 0);
			}
		}
	}
	return NULL;
}

struct parent {
	struct rig *r;
	uint32_t posted[VPS];
	uint32_t signalled;
	uint32_t stop; /* atomic */
};

/* A running VP refuses; one between two dispatches answers. */
static void look_at_registers(struct rig *r, uint32_t vp)
{
	const struct {
		struct hv_input_vp vp;
		uint32_t name;
	} in = {{.partition_id = r->id, .vp_index = vp}, HvX64RegisterRip};
	struct hv_u128 value;
	uint64_t result =
		rig_root_raw(r, hv_hypercall_control(HvCallGetVpRegisters, 1), &in, 20, &value, 16);

	CHECK(result == UINT64_C(1) << 32 || result == HV_STATUS_INVALID_VP_STATE);
}

static void *parent_main(void *arg)
{
	struct parent *p = arg;

	for (unsigned n = 0; !__atomic_load_n(&p->stop, __ATOMIC_SEQ_CST); n++) {
		uint32_t vp = n % VPS, tag = p->posted[vp] + 1;
		uint16_t status;

		if (rig_root_post(p->r, 10 + vp, 1, &tag, sizeof(tag)) == HV_STATUS_SUCCESS) {
			p->posted[vp] = tag;
		}
		status = rig_signal_direct(p->r, vp, SINT, (uint16_t)(n % 2048), &(uint8_t){0});
		CHECK(status == HV_STATUS_SUCCESS || status == HV_STATUS_INVALID_SYNIC_STATE);
		CHECK(rig_assert(p->r, HvX64InterruptTypeFixed, IPI_VECTOR, vp, 0) ==
		      HV_STATUS_SUCCESS);
		look_at_registers(p->r, vp);
		rig_time_100ns(p->r, 10);
		p->signalled++;
	}
	return NULL;
}

static void set_up(struct test *t, struct rig *r)
{
	rig_init(r, &(struct rig_options){.vps = VPS});
	for (uint32_t i = 0; i < VPS; i++) {
		const struct hv_port_info info = {
			.port_type = HvPortTypeMessage, .target_sint = SINT, .target_vp = i};

		rig_synic(r, i, SINT, VECTOR);
		EXPECT_EQ(t,
			  rig_wrmsr(r, i, HV_X64_MSR_STIMER0_CONFIG,
				    HV_STIMER_DIRECT_MODE | HV_STIMER_AUTO_ENABLE |
					    TIMER_VECTOR << 4),
			  RIG_OK);
		EXPECT_EQ(t, rig_wrmsr(r, i, HV_X64_MSR_SINT0 + TIMER_SINT, TIMER_SINT_VECTOR),
			  RIG_OK);
		EXPECT_EQ(t,
			  rig_wrmsr(r, i, HV_X64_MSR_STIMER1_CONFIG,
				    HV_STIMER_AUTO_ENABLE | TIMER_SINT << 16),
			  RIG_OK);
		EXPECT_EQ(t, rig_port(r, r->id, HV_PARTITION_ID_SELF, 10 + i, &info),
			  HV_STATUS_SUCCESS);
		EXPECT_EQ(t, rig_connect(r, HV_PARTITION_ID_SELF, r->id, 10 + i, HvPortTypeMessage),
			  HV_STATUS_SUCCESS);
		rig_forget(r, i);
	}
}

static bool all_acted(const struct vp_thread *threads)
{
	for (uint32_t i = 0; i < VPS; i++) {
		if (__atomic_load_n(&threads[i].actions, __ATOMIC_RELAXED) < ROUNDS) {
			return false;
		}
	}
	return true;
}

/* Waits until every posted message has arrived; false: some are lost. */
static bool drained(const struct parent *p, const struct vp_thread *threads)
{
	for (unsigned patience = 0; patience < 30000; patience++) {
		bool all = true;

		for (uint32_t i = 0; i < VPS; i++) {
			all = all && message_count(&threads[i]) == p->posted[i];
		}
		if (all) {
			return true;
		}
		usleep(1000);
	}
	return false;
}

static void four_vps_and_a_parent(struct test *t)
{
	struct vp_thread threads[VPS] = {0};
	pthread_t ids[VPS], parent_id;
	struct rig r;
	struct parent parent = {.r = &r};

	set_up(t, &r);
	for (uint32_t i = 0; i < VPS; i++) {
		threads[i].r = &r;
		threads[i].vp = i;
		CHECK(pthread_create(&ids[i], NULL, vp_main, &threads[i]) == 0);
	}
	CHECK(pthread_create(&parent_id, NULL, parent_main, &parent) == 0);
	while (!all_acted(threads)) {
		usleep(1000);
	}
	__atomic_store_n(&parent.stop, 1, __ATOMIC_SEQ_CST);
	pthread_join(parent_id, NULL);
	EXPECT(t, drained(&parent, threads));
	for (uint32_t i = 0; i < VPS; i++) {
		__atomic_store_n(&threads[i].stop, 1, __ATOMIC_SEQ_CST);
		hv_vp_kick(r.vp[i]);
	}
	for (uint32_t i = 0; i < VPS; i++) {
		pthread_join(ids[i], NULL);
		EXPECT_EQ(t, threads[i].messages, parent.posted[i]);
		EXPECT(t, !threads[i].out_of_order);
		EXPECT(t, threads[i].messages > 0);
		EXPECT(t, threads[i].interrupts[VECTOR] > 0);
		EXPECT(t, threads[i].interrupts[IPI_VECTOR] > 0);
		EXPECT(t, threads[i].interrupts[TIMER_VECTOR] > 0);
		EXPECT(t, threads[i].interrupts[TIMER_SINT_VECTOR] > 0);
		EXPECT(t, threads[i].flags > 0);
		EXPECT(t, r.fake[i]->flush_all_count > 0);
	}
	rig_fini(&r);
}

/* ---- A VP that comes while APICs move ---- */

#define PATIENCE_NS 50000000 /* only without a lock it comes at all in this time */

struct newcomer {
	struct rig *r;
	pthread_t thread;
	bool joined;
	uint16_t status;
};

static void *create_main(void *arg)
{
	struct newcomer *n = arg;
	const struct hv_input_create_vp in = {.partition_id = n->r->id, .vp_index = 1};

	n->status = rig_root(n->r, HvCallCreateVp, &in, sizeof(in), NULL, 0);
	return NULL;
}

/* The mover has begun with the first VP. */
static void come(void *ctx)
{
	struct newcomer *n = ctx;
	struct timespec until;

	CHECK(pthread_create(&n->thread, NULL, create_main, n) == 0);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += PATIENCE_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	n->joined = pthread_timedjoin_np(n->thread, NULL, &until) == 0;
}

/* All APICs come back together: that of a VP which is not there at the beginning is none of them. The engine checks that it has each one that it gives. */
static void a_vp_comes_while_apics_move(struct test *t)
{
	struct rig r;
	struct newcomer n = {.r = &r};

	rig_init(&r, &(struct rig_options){.apics = true});
	rig_run(&r, 0);
	rig_deposit(&r, r.id, 64);
	/* A timer, as its deadline is looked up in the clock. */
	r.fake[0]->apic.lvt[0] = 0x30;
	r.fake[0]->apic.initial_count = r.fake[0]->apic.current_count = 1000;
	r.machine.look = come;
	r.machine.look_ctx = &n;
	r.machine.look_in = 1;
	EXPECT_EQ(t, rig_property_set(&r, HvPartitionPropertyTimeFreeze, 1), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, r.machine.look_in, 0);
	if (!n.joined) {
		pthread_join(n.thread, NULL);
	}
	EXPECT_EQ(t, n.status, HV_STATUS_SUCCESS);
	EXPECT(t, !r.fake[0]->has_apic && !r.vm->vps[1]->has_apic);
	rig_fini(&r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(four_vps_and_a_parent),
		TEST(a_vp_comes_while_apics_move),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
