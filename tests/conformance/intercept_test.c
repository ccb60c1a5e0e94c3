// SPDX-License-Identifier: Apache-2.0
/* Intercepts: installation, the messages that tell the parent, and how it answers. TLFS 13. */
#include "rig.h"

#define READ HV_INTERCEPT_ACCESS_MASK_READ
#define WRITE HV_INTERCEPT_ACCESS_MASK_WRITE
#define EXECUTE HV_INTERCEPT_ACCESS_MASK_EXECUTE
#define HOLE UINT64_C(0xC00000) /* no memory there */

static void check_header(struct test *t, struct rig *r,
			 const struct hv_x64_intercept_message_header *h, unsigned length,
			 unsigned access)
{
	EXPECT_EQ(t, h->vp_index, 0);
	EXPECT_EQ(t, h->instruction_length & 0xF, length);
	EXPECT_EQ(t, h->instruction_length >> 4, 3); /* CR8 */
	EXPECT_EQ(t, h->intercept_access_type, access);
	EXPECT_EQ(t, h->execution_state, HV_EXECUTION_STATE_CR0_PE | HV_EXECUTION_STATE_EFER_LMA);
	EXPECT_MEM(t, &h->cs, fake_reg(r->fake[0], HvX64RegisterCs), sizeof(h->cs));
	EXPECT_EQ(t, h->rip, 0x1000);
	EXPECT_EQ(t, h->rflags, X86_IF | 2);
}

static void init(struct rig *r)
{
	rig_init(r, NULL);
	fake_reg(r->fake[0], HvX64RegisterRip)->lo = 0x1000;
	CHECK(rig_reg_set(r, 0, HvX64RegisterCr8, 3) == HV_STATUS_SUCCESS);
}

static uint64_t rip(struct rig *r)
{
	return fake_reg(r->fake[0], HvX64RegisterRip)->lo;
}

/* ---- Ports ---- */

static void tlfs_13_port_without_intercept(struct test *t)
{
	struct rig r;

	init(&r);
	EXPECT_EQ(t, rig_port_in(&r, 0, 0x60, 1), RIG_OK);
	EXPECT_EQ(t, r.fake[0]->values[0], 0xFF);
	EXPECT_EQ(t, rig_port_in(&r, 0, 0x60, 4), RIG_OK);
	EXPECT_EQ(t, r.fake[0]->values[0], 0xFFFFFFFF);
	EXPECT_EQ(t, rig_port_out(&r, 0, 0x60, 2, 5), RIG_OK);
	EXPECT_EQ(t, r.messages, 0);
	rig_fini(&r);
}

static void tlfs_13_port_message(struct test *t)
{
	const uint64_t answer[4] = {0xABCD};
	struct hv_x64_io_port_intercept_message m;
	struct rig r;

	init(&r);
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeX64IoPort, READ | WRITE, 0x3F8),
		  HV_STATUS_SUCCESS);
	fake_reg(r.fake[0], HvX64RegisterRcx)->lo = 11;
	fake_reg(r.fake[0], HvX64RegisterRsi)->lo = 22;
	fake_reg(r.fake[0], HvX64RegisterRdi)->lo = 33;
	fake_reg(r.fake[0], HvX64RegisterRax)->lo = 44;
	EXPECT_EQ(t, rig_port_out(&r, 0, 0x3F8, 2, 0x4142), RIG_INTERCEPT);
	EXPECT_EQ(t, r.message.type, (uint32_t)HvMessageTypeX64IoPortIntercept);
	EXPECT_EQ(t, r.message.payload_size, sizeof(m));
	memcpy(&m, r.message.payload, sizeof(m));
	check_header(t, &r, &m.header, 1, HV_INTERCEPT_ACCESS_WRITE);
	EXPECT_EQ(t, m.port_number, 0x3F8);
	EXPECT_EQ(t, m.access_info, 2);
	EXPECT_EQ(t, m.rax, 0x4142);
	EXPECT_EQ(t, m.rcx, 11);
	EXPECT_EQ(t, m.rsi, 22);
	EXPECT_EQ(t, m.rdi, 33);
	EXPECT_MEM(t, &m.ds, fake_reg(r.fake[0], HvX64RegisterDs), sizeof(m.ds));
	hv_vp_finish(r.vp[0], answer);
	EXPECT_EQ(t, rip(&r), 0x1001);
	EXPECT_EQ(t, rig_port_in(&r, 0, 0x3F8, 1), RIG_INTERCEPT);
	memcpy(&m, r.message.payload, sizeof(m));
	EXPECT_EQ(t, m.header.intercept_access_type, HV_INTERCEPT_ACCESS_READ);
	EXPECT_EQ(t, m.rax, 44);
	hv_vp_finish(r.vp[0], answer);
	EXPECT_EQ(t, r.fake[0]->values[0], 0xABCD);
	/* String access: flags in the access byte. */
	EXPECT_EQ(
		t,
		rig_exit(&r, 0,
			 &(struct hv_exit){
				 .kind = HV_EXIT_PORT,
				 .port = {.port = 0x3F8, .bytes = 4, .string = true, .rep = true}}),
		RIG_INTERCEPT);
	memcpy(&m, r.message.payload, sizeof(m));
	EXPECT_EQ(t, m.access_info, 4 | HV_IO_PORT_ACCESS_STRING | HV_IO_PORT_ACCESS_REP);
	hv_vp_finish(r.vp[0], answer);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	rig_fini(&r);
}

static void tlfs_13_port_ranges_and_masks(struct test *t)
{
	static const struct {
		uint16_t port;
		bool read;
		bool write;
	} rows[] = {{0x0FFF, false, false}, {0x1000, true, true},   {0x1001, true, false},
		    {0x1002, false, true},  {0x1003, false, false}, {0x7FFF, true, true},
		    {0x8000, true, true},   {0xFFFF, true, true}};
	const uint64_t zero[4] = {0};
	struct rig r;

	init(&r);
	EXPECT_EQ(t,
		  rig_intercept(&r, HvInterceptTypeX64IoPortRange, READ | WRITE,
				UINT64_C(0xFFFF) << 16 | 0x1000),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeX64IoPort, READ, 0x1001), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeX64IoPort, WRITE, 0x1002), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeX64IoPort, 0, 0x1003), HV_STATUS_SUCCESS);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		EXPECT_EQ(t, rig_port_in(&r, 0, rows[i].port, 1),
			  rows[i].read ? RIG_INTERCEPT : RIG_OK);
		hv_vp_finish(r.vp[0], zero);
		EXPECT_EQ(t, rig_port_out(&r, 0, rows[i].port, 1, 0),
			  rows[i].write ? RIG_INTERCEPT : RIG_OK);
		hv_vp_finish(r.vp[0], zero);
	}
	rig_fini(&r);
}

static void tlfs_13_install_errors(struct test *t)
{
	struct rig r;

	init(&r);
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeX64IoPort, 8, 0),
		  HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeX64IoPort, EXECUTE, 0),
		  HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeX64IoPort, READ, 0x10000),
		  HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeX64IoPortRange, READ, 0x00100020),
		  HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeX64IoPortRange, READ, UINT64_C(1) << 40),
		  HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeException, EXECUTE, 32),
		  HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_intercept(&r, 0x77, READ, 0), HV_STATUS_INVALID_PARAMETER);
	EXPECT_EQ(t, rig_intercept(&r, UINT32_MAX, READ, 0), HV_STATUS_INVALID_PARAMETER);
	rig_fini(&r);
}

/* ---- MSRs and CPUID ---- */

static void tlfs_13_msr(struct test *t)
{
	const uint64_t answer[4] = {UINT64_C(0x1122334455667788)};
	struct hv_x64_msr_intercept_message m;
	struct rig r;
	uint64_t value;

	init(&r);
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeX64MsrIndex, READ | WRITE, 0xC0010117),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, 0xC0010117, UINT64_C(0xAAAAAAAABBBBBBBB)), RIG_INTERCEPT);
	EXPECT_EQ(t, r.message.type, (uint32_t)HvMessageTypeMsrIntercept);
	memcpy(&m, r.message.payload, sizeof(m));
	check_header(t, &r, &m.header, 2, HV_INTERCEPT_ACCESS_WRITE);
	EXPECT_EQ(t, m.msr_number, 0xC0010117);
	EXPECT_EQ(t, m.rdx, 0xAAAAAAAA);
	EXPECT_EQ(t, m.rax, 0xBBBBBBBB);
	hv_vp_finish_fault(r.vp[0], X86_EXC_GP, true, 0);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, r.fake[0]->events[0].vector, X86_EXC_GP);
	EXPECT_EQ(t, rip(&r), 0x1000);
	rig_forget(&r, 0);
	EXPECT_EQ(t, rig_rdmsr(&r, 0, 0xC0010117, &value), RIG_INTERCEPT);
	hv_vp_finish(r.vp[0], answer);
	EXPECT_EQ(t, r.fake[0]->values[0], answer[0]);
	EXPECT_EQ(t, rip(&r), 0x1002);
	/* Other unknown ones fault until the general intercept is there; what the hypervisor implements never leaves it. */
	EXPECT_EQ(t, rig_rdmsr(&r, 0, 0xC0010118, &value), X86_EXC_GP);
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeX64Msr, READ, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_rdmsr(&r, 0, 0xC0010118, &value), RIG_INTERCEPT);
	hv_vp_finish(r.vp[0], answer);
	rig_forget(&r, 0);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, 0xC0010118, 0), X86_EXC_GP);
	rig_forget(&r, 0);
	EXPECT_EQ(t, rig_rdmsr(&r, 0, HV_X64_MSR_VP_INDEX, &value), RIG_OK);
	rig_fini(&r);
}

static void tlfs_13_cpuid(struct test *t)
{
	const uint64_t answer[4] = {1, 2, 3, 4};
	struct hv_x64_cpuid_intercept_message m;
	struct hv_exit e = {.kind = HV_EXIT_CPUID, .insn_bytes = 2, .cpuid = {0x80000008, 7}};
	struct rig r;

	init(&r);
	EXPECT_EQ(t, rig_exit(&r, 0, &e), RIG_OK);
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeX64Cpuid, EXECUTE, 0x80000008),
		  HV_STATUS_SUCCESS);
	fake_reg(r.fake[0], HvX64RegisterRip)->lo = 0x1000;
	EXPECT_EQ(t, rig_exit(&r, 0, &e), RIG_INTERCEPT);
	EXPECT_EQ(t, r.message.type, (uint32_t)HvMessageTypeX64CpuidIntercept);
	memcpy(&m, r.message.payload, sizeof(m));
	check_header(t, &r, &m.header, 2, HV_INTERCEPT_ACCESS_EXECUTE);
	EXPECT_EQ(t, m.rax, 0x80000008);
	EXPECT_EQ(t, m.rcx, 7);
	EXPECT_EQ(t, m.default_result_rax, 0x3028); /* what the hypervisor would have said */
	hv_vp_finish(r.vp[0], answer);
	EXPECT_MEM(t, r.fake[0]->values, answer, sizeof(answer));
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeX64Cpuid, 0, 0x80000008), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_exit(&r, 0, &e), RIG_OK);
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeX64GlobalCpuid, EXECUTE, 0),
		  HV_STATUS_SUCCESS);
	e.cpuid.leaf = 1;
	EXPECT_EQ(t, rig_exit(&r, 0, &e), RIG_INTERCEPT);
	hv_vp_finish(r.vp[0], answer);
	rig_fini(&r);
}

/* ---- Memory ---- */

static void tlfs_13_unmapped_memory_without_intercept(struct test *t)
{
	struct rig r;

	init(&r);
	EXPECT_EQ(t, rig_read(&r, 0, HOLE, 8), RIG_OK);
	EXPECT_EQ(t, r.fake[0]->values[0], UINT64_MAX);
	EXPECT_EQ(t, rig_write(&r, 0, HOLE, 4, 1), RIG_OK);
	EXPECT_EQ(t, r.messages, 0);
	rig_fini(&r);
}

static void tlfs_13_unmapped_and_protected_memory(struct test *t)
{
	const uint64_t answer[4] = {0x77};
	struct hv_x64_memory_intercept_message m;
	struct hv_exit fetch = {
		.kind = HV_EXIT_MEMORY,
		.memory = {
			.gpa = HOLE, .gva = HOLE, .access = HV_ACCESS_EXECUTE, .gva_valid = true}};
	struct rig r;

	init(&r);
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeMmio, READ | WRITE | EXECUTE, 0),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_write(&r, 0, HOLE + 0x10, 4, 0xCAFE), RIG_INTERCEPT);
	EXPECT_EQ(t, r.message.type, (uint32_t)HvMessageTypeUnmappedGpa);
	EXPECT_EQ(t, r.message.payload_size, sizeof(m));
	memcpy(&m, r.message.payload, sizeof(m));
	check_header(t, &r, &m.header, 0, HV_INTERCEPT_ACCESS_WRITE);
	EXPECT_EQ(t, m.gpa, HOLE + 0x10);
	EXPECT_EQ(t, m.gva, HOLE + 0x10);
	EXPECT_EQ(t, m.memory_access_info & HV_MEMORY_ACCESS_GVA_VALID, HV_MEMORY_ACCESS_GVA_VALID);
	EXPECT_EQ(t, m.tpr_priority, 3);
	EXPECT_EQ(t, m.access_data, 0xCAFE);
	EXPECT_EQ(t, m.access_bytes, 4);
	hv_vp_finish(r.vp[0], answer);
	/* A page that is there but lacks the right. */
	EXPECT_EQ(t, rig_map(&r, 0x30000, r.ram, 1, HV_MAP_GPA_READABLE), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_write(&r, 0, 0x30008, 8, 5), RIG_INTERCEPT);
	EXPECT_EQ(t, r.message.type, (uint32_t)HvMessageTypeGpaIntercept);
	hv_vp_finish(r.vp[0], answer);
	EXPECT_EQ(t, rig_read(&r, 0, HOLE, 2), RIG_INTERCEPT);
	memcpy(&m, r.message.payload, sizeof(m));
	EXPECT_EQ(t, m.header.intercept_access_type, HV_INTERCEPT_ACCESS_READ);
	EXPECT_EQ(t, m.access_bytes, 2);
	EXPECT_EQ(t, m.access_data, 0);
	hv_vp_finish(r.vp[0], answer);
	EXPECT_EQ(t, r.fake[0]->values[0], 0x77);
	/* An instruction fetch cannot be completed with data: finishing it is #UD. */
	EXPECT_EQ(t, rig_exit(&r, 0, &fetch), RIG_INTERCEPT);
	memcpy(&m, r.message.payload, sizeof(m));
	EXPECT_EQ(t, m.header.intercept_access_type, HV_INTERCEPT_ACCESS_EXECUTE);
	EXPECT_EQ(t, m.access_bytes, 0);
	hv_vp_finish(r.vp[0], answer);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, r.fake[0]->events[0].vector, X86_EXC_UD);
	rig_fini(&r);
}

/* The parent maps the page and lets the VP try again. */
static void tlfs_13_dispatch_without_answer_retries(struct test *t)
{
	struct rig r;

	init(&r);
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeMmio, READ | WRITE | EXECUTE, 0),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_read(&r, 0, HOLE, 4), RIG_INTERCEPT);
	EXPECT_EQ(t, rig_reg(&r, 0, HvRegisterInterceptSuspend), 1);
	/* Registers tell that it was handled: RIP moves on. */
	EXPECT_EQ(t, rig_reg_set(&r, 0, HvX64RegisterRip, 0x1005), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, r.fake[0]->abandons, 1);
	EXPECT_EQ(t, r.fake[0]->retries, 0);
	EXPECT_EQ(t, rig_reg(&r, 0, HvRegisterInterceptSuspend), 0);
	/* Left at the instruction, the guest runs into it again. */
	EXPECT_EQ(t, rig_read(&r, 0, HOLE, 4), RIG_INTERCEPT);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_INTERCEPT);
	EXPECT_EQ(t, r.fake[0]->retries, 1);
	hv_vp_finish(r.vp[0], (uint64_t[4]){0});
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	/* An answer to nothing is ignored. */
	hv_vp_finish(r.vp[0], (uint64_t[4]){0});
	hv_vp_finish_fault(r.vp[0], X86_EXC_GP, true, 0);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, r.fake[0]->event_count, 0);
	rig_fini(&r);
}

/* ---- Exceptions ---- */

static void tlfs_13_exceptions(struct test *t)
{
	const struct hv_exit e = {
		.kind = HV_EXIT_EXCEPTION,
		.exception = {
			.vector = X86_EXC_PF, .has_error = true, .error = 6, .parameter = 0x1234}};
	struct hv_x64_exception_intercept_message m;
	struct rig r;

	init(&r);
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeException, EXECUTE, X86_EXC_PF),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeException, EXECUTE, X86_EXC_UD),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, r.vm->exception_mask, 1u << X86_EXC_PF | 1u << X86_EXC_UD);
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeException, 0, X86_EXC_UD), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, r.vm->exception_mask, 1u << X86_EXC_PF);
	EXPECT_EQ(t, rig_exit(&r, 0, &e), RIG_INTERCEPT);
	EXPECT_EQ(t, r.message.type, (uint32_t)HvMessageTypeExceptionIntercept);
	memcpy(&m, r.message.payload, sizeof(m));
	check_header(t, &r, &m.header, 0, HV_INTERCEPT_ACCESS_EXECUTE);
	EXPECT_EQ(t, m.exception_vector, X86_EXC_PF);
	EXPECT_EQ(t, m.exception_info, HV_EXCEPTION_ERROR_CODE_VALID);
	EXPECT_EQ(t, m.error_code, 6);
	EXPECT_EQ(t, m.exception_parameter, 0x1234);
	/* Finishing delivers it to the guest. */
	hv_vp_finish(r.vp[0], (uint64_t[4]){0});
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, r.fake[0]->event_count, 1);
	EXPECT_EQ(t, r.fake[0]->events[0].vector, X86_EXC_PF);
	EXPECT_EQ(t, r.fake[0]->events[0].error, 6);
	EXPECT_EQ(t, r.fake[0]->events[0].parameter, 0x1234);
	rig_fini(&r);
}

static void tlfs_13_engine_failure_is_told(struct test *t)
{
	struct rig r;

	init(&r);
	EXPECT_EQ(t,
		  rig_exit(&r, 0,
			   &(struct hv_exit){.kind = HV_EXIT_FAILED,
					     .failed.what = "no such instruction"}),
		  RIG_INTERCEPT);
	EXPECT_EQ(t, r.message.type, (uint32_t)HvMessageTypeUnsupportedFeature);
	EXPECT_MEM(t, r.message.payload + sizeof(struct hv_x64_intercept_message_header),
		   "no such instruction", 19);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_BLOCKED);
	rig_fini(&r);
}

/* ---- Hypercalls for the parent ---- */

static void tlfs_13_unknown_hypercalls(struct test *t)
{
	struct hv_x64_hypercall_intercept_message m;
	struct rig r;
	uint64_t result;

	init(&r);
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeHypercall, EXECUTE, 0), HV_STATUS_SUCCESS);
	*fake_reg(r.fake[0], HvX64RegisterXmm0 + 3) = (struct hv_u128){0x33, 0x44};
	EXPECT_EQ(t, rig_call_raw(&r, 0, 0x4321, 0x111, 0x222, &result), RIG_INTERCEPT);
	EXPECT_EQ(t, r.message.type, (uint32_t)HvMessageTypeHypercallIntercept);
	memcpy(&m, r.message.payload, sizeof(m));
	check_header(t, &r, &m.header, 3, HV_INTERCEPT_ACCESS_EXECUTE);
	EXPECT_EQ(t, m.rcx, 0x4321);
	EXPECT_EQ(t, m.rdx, 0x111);
	EXPECT_EQ(t, m.r8, 0x222);
	EXPECT_EQ(t, m.xmm[3][0], 0x33);
	EXPECT_EQ(t, m.xmm[3][1], 0x44);
	EXPECT_EQ(t, rig_reg_set(&r, 0, HvX64RegisterRax, HV_STATUS_NO_DATA), HV_STATUS_SUCCESS);
	hv_vp_finish(r.vp[0], (uint64_t[4]){0});
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, rip(&r), 0x1003);
	EXPECT_EQ(t, fake_reg(r.fake[0], HvX64RegisterRax)->lo, HV_STATUS_NO_DATA);
	/* Known calls stay here. */
	EXPECT_EQ(t, rig_call_status(&r, 0, HvCallGetPartitionId, NULL, 0), HV_STATUS_SUCCESS);
	rig_fini(&r);
}

/* VMBus in the parent: posts to connections that the hypervisor does not know. */
static void tlfs_13_unknown_connections(struct test *t)
{
	struct hv_input_post_message in = {
		.connection_id = 1, .message_type = 1, .payload_size = 4};
	struct hv_port_info info = {.port_type = HvPortTypeMessage, .target_sint = 2};
	struct hv_x64_hypercall_intercept_message m;
	struct rig r;
	uint64_t result;

	init(&r);
	memcpy(r.ram + RIG_INPUT_GPA, &in, sizeof(in));
	EXPECT_EQ(t, rig_call_status(&r, 0, HvCallPostMessage, &in, sizeof(in)),
		  HV_STATUS_INVALID_CONNECTION_ID);
	EXPECT_EQ(t, rig_intercept(&r, HvInterceptTypeUnknownSynicConnection, EXECUTE, 0),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_call_raw(&r, 0, HvCallPostMessage, RIG_INPUT_GPA, 0, &result),
		  RIG_INTERCEPT);
	memcpy(&m, r.message.payload, sizeof(m));
	EXPECT_EQ(t, m.rcx, HvCallPostMessage);
	EXPECT_EQ(t, m.rdx, RIG_INPUT_GPA);
	EXPECT_EQ(t, rig_reg_set(&r, 0, HvX64RegisterRax, HV_STATUS_SUCCESS), HV_STATUS_SUCCESS);
	hv_vp_finish(r.vp[0], (uint64_t[4]){0});
	EXPECT_EQ(t,
		  rig_call_raw(&r, 0, HvCallSignalEvent | HV_HYPERCALL_FAST, 0x10001, 0, &result),
		  RIG_INTERCEPT);
	memcpy(&m, r.message.payload, sizeof(m));
	EXPECT_EQ(t, m.rdx, 0x10001);
	hv_vp_finish(r.vp[0], (uint64_t[4]){0});
	/* Known connections and bad parameters are answered here. */
	EXPECT_EQ(t, rig_port(&r, HV_PARTITION_ID_SELF, r.id, 1, &info), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_connect(&r, r.id, HV_PARTITION_ID_SELF, 1, HvPortTypeMessage),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_call_status(&r, 0, HvCallPostMessage, &in, sizeof(in)), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_call_raw(&r, 0, HvCallPostMessage, RIG_INPUT_GPA + 4, 0, &result), RIG_OK);
	EXPECT_EQ(t, result, HV_STATUS_INVALID_ALIGNMENT);
	rig_fini(&r);
}

/* A kick ends a dispatch between two instructions, also of a halted VP, and is not lost when it comes early. */
static void dispatch_kick(struct test *t)
{
	struct rig r;

	init(&r);
	EXPECT_EQ(t, rig_halt(&r, 0), RIG_BLOCKED);
	hv_vp_kick(r.vp[0]);
	EXPECT_EQ(t, r.wake[0].count, 1);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, r.answer, HV_DISPATCH_INTERRUPTED);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_BLOCKED);
	rig_fini(&r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(tlfs_13_port_without_intercept),
		TEST(tlfs_13_port_message),
		TEST(tlfs_13_port_ranges_and_masks),
		TEST(tlfs_13_install_errors),
		TEST(tlfs_13_msr),
		TEST(tlfs_13_cpuid),
		TEST(tlfs_13_unmapped_memory_without_intercept),
		TEST(tlfs_13_unmapped_and_protected_memory),
		TEST(tlfs_13_dispatch_without_answer_retries),
		TEST(tlfs_13_exceptions),
		TEST(tlfs_13_engine_failure_is_told),
		TEST(tlfs_13_unknown_hypercalls),
		TEST(tlfs_13_unknown_connections),
		TEST(dispatch_kick),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
