// SPDX-License-Identifier: Apache-2.0
/*
 * Every call that takes memory, with too little of it by one page, two pages, ..: the answer is INSUFFICIENT_MEMORY, nothing is half done,
 * and nothing leaks (rig_partition_delete checks). The same for an engine that cannot create what it is asked for. TLFS 4 (pools).
 */
#include "rig.h"

#define PAGES_MAX 64u

struct attempt {
	struct rig *r;
	uint64_t id;
};

/* One root call on the partition; its result value. */
typedef uint64_t (*call_fn)(struct attempt *a);

static uint64_t create_vp(struct attempt *a)
{
	const struct hv_input_create_vp in = {.partition_id = a->id, .vp_index = 1000};

	return rig_root_raw(a->r, HvCallCreateVp, &in, sizeof(in), NULL, 0);
}

static uint64_t map_far_page(struct attempt *a)
{
	const uint64_t in[4] = {a->id, 0x8000000, 0xF, hv_host_spn(a->r->ram)};

	return rig_root_raw(a->r, hv_hypercall_control(HvCallMapGpaPages, 1), in, sizeof(in), NULL,
			    0);
}

static uint64_t intercept_port(struct attempt *a)
{
	const struct hv_input_install_intercept in = {a->id, 1, HvInterceptTypeX64IoPort, 0x60};

	return rig_root_raw(a->r, HvCallInstallIntercept, &in, sizeof(in), NULL, 0);
}

static uint64_t intercept_msr(struct attempt *a)
{
	const struct hv_input_install_intercept in = {a->id, 1, HvInterceptTypeX64MsrIndex,
						      0xC0010000};

	return rig_root_raw(a->r, HvCallInstallIntercept, &in, sizeof(in), NULL, 0);
}

static uint64_t create_message_port(struct attempt *a)
{
	const struct hv_input_create_port in = {
		.port_partition = a->id,
		.port_id = 7,
		.connection_partition = a->r->id,
		.port_info = {.port_type = HvPortTypeMessage,
			      .target_sint = 2,
			      .target_vp = HV_ANY_VP},
	};

	return rig_root_raw(a->r, HvCallCreatePort, &in, sizeof(in), NULL, 0);
}

static uint64_t connect_port(struct attempt *a)
{
	const struct hv_input_connect_port in = {
		.connection_partition = a->id,
		.connection_id = 9,
		.port_partition = a->r->id,
		.port_id = 9,
		.connection_info = {.port_type = HvPortTypeMessage},
	};

	return rig_root_raw(a->r, HvCallConnectPort, &in, sizeof(in), NULL, 0);
}

static void drain(struct rig *r, uint64_t id)
{
	const uint64_t in[2] = {id, 0};
	uint64_t out[1];

	while (hv_result_status(rig_root_raw(r, hv_hypercall_control(HvCallWithdrawMemory, 1), in,
					     16, out, 8)) == HV_STATUS_SUCCESS) {
	}
}

static uint64_t pages_in_use(struct rig *r, uint64_t id)
{
	const uint64_t in[2] = {id, 0};
	uint64_t out[2] = {0, 0};

	CHECK(rig_root(r, HvCallGetMemoryBalance, in, 16, out, 16) == HV_STATUS_SUCCESS);
	return out[1];
}

static void tlfs_4_every_call_short_of_memory(struct test *t)
{
	static const struct {
		const char *name;
		call_fn call;
		uint64_t done;
	} calls[] = {
		{"create VP", create_vp, 0},
		{"map", map_far_page, UINT64_C(1) << 32},
		{"intercept port", intercept_port, 0},
		{"intercept MSR", intercept_msr, 0},
		{"create port", create_message_port, 0},
		{"connect port", connect_port, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		const struct hv_port_info info = {.port_type = HvPortTypeMessage, .target_sint = 2};
		struct attempt a = {0};
		uint64_t result = HV_STATUS_INSUFFICIENT_MEMORY;
		unsigned refused = 0;
		struct rig r;

		rig_init(&r, NULL);
		a = (struct attempt){&r, rig_partition_create(&r, &(struct rig_options){0})};
		CHECK(rig_port(&r, r.id, a.id, 9, &info) == HV_STATUS_SUCCESS);
		drain(&r, a.id);
		while (result == HV_STATUS_INSUFFICIENT_MEMORY && refused < PAGES_MAX) {
			result = calls[i].call(&a);
			if (result == HV_STATUS_INSUFFICIENT_MEMORY) {
				refused++;
				rig_deposit(&r, a.id, 1);
			}
		}
		if (result != calls[i].done || refused == 0) {
			test_fail(t, __FILE__, __LINE__, "%s: 0x%" PRIx64 " after %u refusals",
				  calls[i].name, result, refused);
		}
		/* A repeated call says what it says when memory was never short: nothing was left behind half-made. */
		EXPECT(t, calls[i].call(&a) != HV_STATUS_INSUFFICIENT_MEMORY);
		rig_partition_delete(&r, a.id);
		rig_fini(&r);
	}
}

/* A refused call keeps what it took for later use at most once: trying again and again does not eat the pool. */
static void tlfs_4_refused_calls_do_not_leak(struct test *t)
{
	struct rig r;
	struct attempt a;
	uint64_t before;

	rig_init(&r, NULL);
	a = (struct attempt){&r, rig_partition_create(&r, &(struct rig_options){0})};
	drain(&r, a.id);
	rig_deposit(&r, a.id, 5);
	EXPECT_EQ(t, create_vp(&a), HV_STATUS_INSUFFICIENT_MEMORY);
	before = pages_in_use(&r, a.id);
	for (unsigned i = 0; i < 20; i++) {
		EXPECT_EQ(t, create_vp(&a), HV_STATUS_INSUFFICIENT_MEMORY);
	}
	EXPECT_EQ(t, pages_in_use(&r, a.id), before);
	rig_partition_delete(&r, a.id);
	rig_fini(&r);
}

static void engine_cannot_create(struct test *t)
{
	const struct hv_input_create_partition create = {0};
	struct hv_input_create_vp vp = {.vp_index = 1};
	struct rig r;
	uint64_t id, in_use;

	rig_init(&r, NULL);
	EXPECT_EQ(t, rig_root(&r, HvCallCreatePartition, &create, sizeof(create), &id, 8),
		  HV_STATUS_SUCCESS);
	r.machine.fail_create = true;
	EXPECT_EQ(t, rig_root(&r, HvCallInitializePartition, &id, 8, NULL, 0),
		  HV_STATUS_NO_RESOURCES);
	EXPECT_EQ(t, pages_in_use(&r, id), 0);
	vp.partition_id = r.id;
	in_use = pages_in_use(&r, r.id);
	EXPECT_EQ(t, rig_root(&r, HvCallCreateVp, &vp, sizeof(vp), NULL, 0),
		  HV_STATUS_NO_RESOURCES);
	EXPECT_EQ(t, pages_in_use(&r, r.id), in_use);
	EXPECT(t, hv_root_vp(r.partition, 1) == NULL);
	r.machine.fail_create = false;
	EXPECT_EQ(t, rig_root(&r, HvCallCreateVp, &vp, sizeof(vp), NULL, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_root(&r, HvCallInitializePartition, &id, 8, NULL, 0), HV_STATUS_SUCCESS);
	rig_partition_delete(&r, id);
	rig_fini(&r);
}

static void hypervisor_wants_enough_memory(struct test *t)
{
	struct rig r;
	struct hv_config config = {.engine = &fake_engine, .pages = HV_MEMORY_PAGES_MIN - 1};

	rig_init(&r, NULL);
	config.memory = r.ram;
	EXPECT(t, hv_init(&config) == NULL);
	rig_fini(&r);
}

/* ---- Objects in use ---- */

struct busy {
	struct rig *r;
	uint16_t finalize, delete_vp, translate;
};

static void from_within_run(struct fake_vp *vp, void *ctx)
{
	struct busy *b = ctx;
	const struct hv_input_vp in = {.partition_id = b->r->id, .vp_index = vp->index};
	const struct hv_input_translate_gva gva = {
		.partition_id = b->r->id, .vp_index = vp->index, .control_flags = 1};
	struct hv_output_translate_gva out;

	b->finalize = rig_root(b->r, HvCallFinalizePartition, &b->r->id, 8, NULL, 0);
	b->delete_vp = rig_root(b->r, HvCallDeleteVp, &in, sizeof(in), NULL, 0);
	b->translate =
		rig_root(b->r, HvCallTranslateVirtualAddress, &gva, sizeof(gva), &out, sizeof(out));
}

static void tlfs_7_a_dispatched_vp_cannot_be_taken_away(struct test *t)
{
	struct rig r;
	struct busy b = {.r = &r};

	rig_init(&r, &(struct rig_options){.vps = 3});
	fake_push_code(r.fake[1], from_within_run, &b);
	EXPECT_EQ(t, rig_run(&r, 1), RIG_OK);
	EXPECT_EQ(t, b.finalize, HV_STATUS_OPERATION_DENIED);
	EXPECT_EQ(t, b.delete_vp, HV_STATUS_INVALID_VP_STATE);
	EXPECT_EQ(t, b.translate, HV_STATUS_INVALID_VP_STATE);
	/* The refusal let go of the others. */
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, rig_run(&r, 2), RIG_OK);
	rig_fini(&r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(tlfs_4_every_call_short_of_memory),
		TEST(tlfs_4_refused_calls_do_not_leak),
		TEST(engine_cannot_create),
		TEST(hypervisor_wants_enough_memory),
		TEST(tlfs_7_a_dispatched_vp_cannot_be_taken_away),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
