// SPDX-License-Identifier: Apache-2.0
/* The fixture: hypervisor, partition, memory and VPs. */
#include "rig.h"

#define HV_PAGES 64u
#define DEPOSIT_PAGES 64u
#define OS_ID UINT64_C(0x8100060100000000)
#define CS64 0xA09B
#define CS32 0xC09B
#define DATA 0xC093

union page {
	uint8_t bytes[HV_PAGE_SIZE];
	uint64_t words[HV_PAGE_SIZE / 8];
} __attribute__((aligned(4096)));

static void *pages_alloc(unsigned count)
{
	void *pages = aligned_alloc(HV_PAGE_SIZE, (size_t)count * HV_PAGE_SIZE);

	CHECK(pages != NULL);
	memset(pages, 0, (size_t)count * HV_PAGE_SIZE);
	return pages;
}

/* ---- Root calls ---- */

uint64_t rig_root_raw(struct rig *r, uint64_t control, const void *in, size_t in_bytes, void *out,
		      size_t out_bytes)
{
	union page input = {0}, output = {0};
	uint64_t result;

	CHECK(in_bytes <= sizeof(input) && out_bytes <= sizeof(output));
	if (in != NULL) {
		memcpy(input.bytes, in, in_bytes);
	}
	result = hv_root_hypercall(r->hv, control, &input, &output);
	if (out != NULL) {
		memcpy(out, output.bytes, out_bytes);
	}
	return result;
}

void rig_deposit(struct rig *r, uint64_t id, unsigned pages)
{
	struct rig_chunk *chunk = calloc(1, sizeof(*chunk));
	union page input = {0};

	CHECK(chunk != NULL && pages <= DEPOSIT_PAGES);
	*chunk = (struct rig_chunk){r->chunks, pages_alloc(pages), pages};
	/* What a parent gives away need not be clean. */
	memset(chunk->pages, 0xFF, (size_t)pages * HV_PAGE_SIZE);
	r->chunks = chunk;
	input.words[0] = id;
	for (unsigned i = 0; i < pages; i++) {
		input.words[1 + i] =
			hv_host_spn((uint8_t *)chunk->pages + (size_t)i * HV_PAGE_SIZE);
	}
	CHECK(hv_root_hypercall(r->hv, hv_hypercall_control(HvCallDepositMemory, pages), &input,
				NULL) == (uint64_t)pages << HV_HYPERCALL_REP_COUNT_SHIFT);
}

uint64_t rig_root_full(struct rig *r, uint64_t control, const void *in, size_t in_bytes, void *out,
		       size_t out_bytes)
{
	uint64_t result = rig_root_raw(r, control, in, in_bytes, out, out_bytes);

	while (hv_result_status(result) == HV_STATUS_INSUFFICIENT_MEMORY) {
		uint64_t id = 0;

		/* All calls with memory of a child's pool name that child first. */
		if (in_bytes >= 8) {
			memcpy(&id, in, 8);
		}
		if ((control & HV_HYPERCALL_CODE) == HvCallCreatePartition) {
			id = HV_PARTITION_ID_SELF;
		}
		rig_deposit(r, id, DEPOSIT_PAGES);
		control &= ~(UINT64_C(0xFFF) << HV_HYPERCALL_REP_START_SHIFT);
		control |= (uint64_t)hv_result_reps(result) << HV_HYPERCALL_REP_START_SHIFT;
		result = rig_root_raw(r, control, in, in_bytes, out, out_bytes);
	}
	return result;
}

uint16_t rig_root(struct rig *r, unsigned code, const void *in, size_t in_bytes, void *out,
		  size_t out_bytes)
{
	return hv_result_status(
		rig_root_full(r, hv_hypercall_control(code, 0), in, in_bytes, out, out_bytes));
}

static uint16_t map_in(struct rig *r, uint64_t id, uint64_t gpa, void *memory, unsigned pages,
		       uint32_t flags)
{
	struct {
		struct hv_input_map_gpa head;
		uint64_t spn[256];
	} in = {.head = {.target_partition_id = id, .map_flags = flags}};

	for (unsigned done = 0; done < pages;) {
		unsigned n = (unsigned)min_u64(ARRAY_LEN(in.spn), pages - done);
		uint16_t status;

		in.head.target_gpa_base = (gpa >> HV_PAGE_SHIFT) + done;
		for (unsigned i = 0; i < n; i++) {
			in.spn[i] =
				hv_host_spn((uint8_t *)memory + (size_t)(done + i) * HV_PAGE_SIZE);
		}
		status = hv_result_status(rig_root_full(r,
							hv_hypercall_control(HvCallMapGpaPages, n),
							&in, sizeof(in.head) + 8 * n, NULL, 0));
		if (status != HV_STATUS_SUCCESS) {
			return status;
		}
		done += n;
	}
	return HV_STATUS_SUCCESS;
}

uint16_t rig_map(struct rig *r, uint64_t gpa, void *memory, unsigned pages, uint32_t flags)
{
	return map_in(r, r->id, gpa, memory, pages, flags);
}

uint16_t rig_unmap(struct rig *r, uint64_t gpa, unsigned pages)
{
	const struct hv_input_map_gpa in = {.target_partition_id = r->id,
					    .target_gpa_base = gpa >> HV_PAGE_SHIFT};

	return hv_result_status(rig_root_full(r, hv_hypercall_control(HvCallUnmapGpaPages, pages),
					      &in, sizeof(in), NULL, 0));
}

static uint16_t property_set(struct rig *r, uint64_t id, uint32_t code, uint64_t value)
{
	const struct hv_input_partition_property in = {
		.partition_id = id, .property_code = code, .value = value};

	return rig_root(r, HvCallSetPartitionProperty, &in, sizeof(in), NULL, 0);
}

uint16_t rig_property_set(struct rig *r, uint32_t code, uint64_t value)
{
	return property_set(r, r->id, code, value);
}

uint64_t rig_property_get(struct rig *r, uint32_t code)
{
	const struct hv_input_partition_property in = {.partition_id = r->id,
						       .property_code = code};
	uint64_t value = 0;

	CHECK(rig_root(r, HvCallGetPartitionProperty, &in, 16, &value, 8) == HV_STATUS_SUCCESS);
	return value;
}

uint16_t rig_intercept(struct rig *r, uint32_t type, uint32_t access, uint64_t parameter)
{
	const struct hv_input_install_intercept in = {.partition_id = r->id,
						      .access_type = access,
						      .intercept_type = type,
						      .parameter = parameter};

	return rig_root(r, HvCallInstallIntercept, &in, sizeof(in), NULL, 0);
}

static uint16_t reg_set_in(struct rig *r, uint64_t id, uint32_t vp, uint32_t name,
			   struct hv_u128 value)
{
	const struct {
		struct hv_input_vp vp;
		struct hv_register_assoc assoc;
	} in = {{.partition_id = id, .vp_index = vp},
		{.name = name, .value = {value.lo, value.hi}}};

	return hv_result_status(rig_root_full(r, hv_hypercall_control(HvCallSetVpRegisters, 1), &in,
					      sizeof(in), NULL, 0));
}

uint16_t rig_reg_set128(struct rig *r, uint32_t vp, uint32_t name, struct hv_u128 value)
{
	return reg_set_in(r, r->id, vp, name, value);
}

uint16_t rig_reg_set(struct rig *r, uint32_t vp, uint32_t name, uint64_t value)
{
	return reg_set_in(r, r->id, vp, name, (struct hv_u128){value, 0});
}

uint64_t rig_reg(struct rig *r, uint32_t vp, uint32_t name)
{
	const struct {
		struct hv_input_vp vp;
		uint32_t name;
	} in = {{.partition_id = r->id, .vp_index = vp}, name};
	struct hv_u128 value = {0, 0};

	CHECK(hv_result_status(rig_root_full(r, hv_hypercall_control(HvCallGetVpRegisters, 1), &in,
					     20, &value, sizeof(value))) == HV_STATUS_SUCCESS);
	return value.lo;
}

uint16_t rig_assert(struct rig *r, uint32_t type, uint8_t vector, uint32_t destination,
		    uint64_t flags)
{
	const struct hv_input_assert_virtual_interrupt in = {
		.partition_id = r->id,
		.control = type | flags,
		.destination_address = destination,
		.requested_vector = vector,
	};

	return rig_root(r, HvCallAssertVirtualInterrupt, &in, sizeof(in), NULL, 0);
}

uint16_t rig_port(struct rig *r, uint64_t owner, uint64_t peer, uint32_t id,
		  const struct hv_port_info *info)
{
	const struct hv_input_create_port in = {.port_partition = owner,
						.port_id = id,
						.connection_partition = peer,
						.port_info = *info};

	return rig_root(r, HvCallCreatePort, &in, sizeof(in), NULL, 0);
}

uint16_t rig_connect(struct rig *r, uint64_t sender, uint64_t owner, uint32_t id,
		     uint32_t port_type)
{
	const struct hv_input_connect_port in = {
		.connection_partition = sender,
		.connection_id = id,
		.port_partition = owner,
		.port_id = id,
		.connection_info = {.port_type = port_type},
	};

	return rig_root(r, HvCallConnectPort, &in, sizeof(in), NULL, 0);
}

uint16_t rig_root_post(struct rig *r, uint32_t connection, uint32_t type, const void *payload,
		       uint32_t bytes)
{
	struct hv_input_post_message in = {
		.connection_id = connection, .message_type = type, .payload_size = bytes};

	memcpy(in.payload, payload, min_u64(bytes, sizeof(in.payload)));
	return rig_root(r, HvCallPostMessage, &in, sizeof(in), NULL, 0);
}

uint16_t rig_root_signal(struct rig *r, uint32_t connection, uint16_t flag)
{
	const struct hv_input_signal_event in = {.connection_id = connection, .flag_number = flag};

	return rig_root(r, HvCallSignalEvent, &in, sizeof(in), NULL, 0);
}

uint16_t rig_post_direct(struct rig *r, uint32_t vp, uint8_t sint, uint32_t type)
{
	const struct hv_message m = {
		.type = type, .payload_size = 8, .payload = {1, 2, 3, 4, 5, 6, 7, 8}};
	struct hv_input_post_message_direct in = {
		.partition_id = r->id, .vp_index = vp, .sint = sint};

	memcpy(in.message, &m, sizeof(m));
	return rig_root(r, HvCallPostMessageDirect, &in, sizeof(in), NULL, 0);
}

uint16_t rig_signal_direct(struct rig *r, uint32_t vp, uint8_t sint, uint16_t flag,
			   uint8_t *ret_newly)
{
	const struct hv_input_signal_event_direct in = {
		.partition_id = r->id, .vp_index = vp, .sint = sint, .flag_number = flag};

	return rig_root(r, HvCallSignalEventDirect, &in, sizeof(in), ret_newly, 1);
}

/* ---- Setting up ---- */

static void set_segment(struct fake_vp *vp, uint32_t name, uint16_t attributes)
{
	const struct hv_x64_segment_register s = {
		.limit = UINT32_MAX, .selector = 8, .attributes = attributes};

	memcpy(fake_reg(vp, name), &s, sizeof(s));
}

static void set_mode(struct fake_vp *vp, bool wide)
{
	fake_reg(vp, HvX64RegisterCr0)->lo = X86_CR0_PE | X86_CR0_PG | X86_CR0_ET;
	fake_reg(vp, HvX64RegisterCr4)->lo = X86_CR4_PAE;
	fake_reg(vp, HvX64RegisterEfer)->lo = wide ? X86_EFER_LME | X86_EFER_LMA : 0;
	fake_reg(vp, HvX64RegisterRflags)->lo = X86_IF | 2;
	set_segment(vp, HvX64RegisterCs, wide ? CS64 : CS32);
	set_segment(vp, HvX64RegisterSs, DATA);
	set_segment(vp, HvX64RegisterDs, DATA);
	set_segment(vp, HvX64RegisterEs, DATA);
}

void rig_mode64(struct rig *r, uint32_t vp)
{
	set_mode(r->fake[vp], true);
}

void rig_mode32(struct rig *r, uint32_t vp)
{
	set_mode(r->fake[vp], false);
}

static struct hv_vp *vp_create(struct rig *r, uint64_t id, uint32_t index, bool start)
{
	const struct hv_input_create_vp in = {.partition_id = id, .vp_index = index};
	struct fake_vm *vm = r->machine.vm;
	struct hv_vp *vp;

	CHECK(rig_root(r, HvCallCreateVp, &in, sizeof(in), NULL, 0) == HV_STATUS_SUCCESS);
	vp = hv_root_vp(hv_root_partition(r->hv, id), index);
	CHECK(vp != NULL && vm->vps[index] != NULL);
	vm->vps[index]->hv_vp = vp;
	set_mode(vm->vps[index], true);
	fake_reg(vm->vps[index], HvX64RegisterRip)->lo = 0x1000;
	if (start) {
		CHECK(reg_set_in(r, id, index, HvRegisterInternalActivityState,
				 (struct hv_u128){0, 0}) == 0);
	}
	CHECK(reg_set_in(r, id, index, HvRegisterExplicitSuspend, (struct hv_u128){0, 0}) == 0);
	return vp;
}

struct hv_vp *rig_vp_create(struct rig *r, uint64_t id, uint32_t index)
{
	return vp_create(r, id, index, true);
}

uint64_t rig_partition_create(struct rig *r, const struct rig_options *options)
{
	const struct hv_input_create_partition in = {0};
	uint64_t id = 0,
		 privileges = options->privileges != 0 ? options->privileges : RIG_PRIVILEGES_ALL;

	CHECK(rig_root(r, HvCallCreatePartition, &in, sizeof(in), &id, 8) == HV_STATUS_SUCCESS);
	CHECK(property_set(r, id, HvPartitionPropertyPrivilegeFlags, privileges) ==
	      HV_STATUS_SUCCESS);
	CHECK(rig_root(r, HvCallInitializePartition, &id, 8, NULL, 0) == HV_STATUS_SUCCESS);
	CHECK(property_set(r, id, HvPartitionPropertyTimeFreeze, options->frozen) ==
	      HV_STATUS_SUCCESS);
	return id;
}

void rig_partition_delete(struct rig *r, uint64_t id)
{
	const uint64_t withdraw[2] = {id, 0};
	uint64_t out[256], result;

	CHECK(rig_root(r, HvCallFinalizePartition, &id, 8, NULL, 0) == HV_STATUS_SUCCESS);
	do {
		result = rig_root_raw(r, hv_hypercall_control(HvCallWithdrawMemory, 256), withdraw,
				      16, out, sizeof(out));
	} while (hv_result_status(result) == HV_STATUS_SUCCESS);
	/* A page that did not come back makes this fail. */
	CHECK(rig_root(r, HvCallDeletePartition, &id, 8, NULL, 0) == HV_STATUS_SUCCESS);
}

static void enable_hypercalls(struct rig *r)
{
	CHECK(rig_wrmsr(r, 0, HV_X64_MSR_GUEST_OS_ID, OS_ID) == RIG_OK);
	CHECK(rig_wrmsr(r, 0, HV_X64_MSR_HYPERCALL, RIG_HYPERCALL_GPA | HV_MSR_PAGE_ENABLE) ==
	      RIG_OK);
}

void rig_init(struct rig *r, const struct rig_options *options)
{
	memset(r, 0, sizeof(*r));
	r->options = options != NULL ? *options : (struct rig_options){0};
	r->vps = r->options.vps != 0 ? r->options.vps : 1;
	CHECK(r->vps <= RIG_VPS_MAX);
	r->machine.hz = r->options.tsc_hz != 0 ? r->options.tsc_hz : RIG_TSC_HZ;
	r->machine.apics = r->options.apics;
	r->machine.no_deadlines = r->options.no_deadlines;
	r->machine.now = UINT64_C(0x123456789); /* engine time does not start with the partition */
	r->hv_memory = pages_alloc(HV_PAGES);
	r->engine = fake_engine;
	r->engine.hold = r->options.holds ? fake_engine.hold : NULL;
	const struct hv_config config = {
		.engine = &r->engine,
		.engine_config = {.vp_max = HV_MAXIMUM_PROCESSORS,
				  .clock = fake_clock,
				  .clock_ctx = &r->machine,
				  .clock_hz = r->machine.hz},
		.root_cookie = &r->root_wake,
		.memory = r->hv_memory,
		.pages = HV_PAGES,
	};

	r->hv = hv_init(&config);
	CHECK(r->hv != NULL);
	r->id = rig_partition_create(r, &r->options);
	r->partition = hv_root_partition(r->hv, r->id);
	r->vm = r->machine.vm;
	r->ram = pages_alloc(RIG_RAM_PAGES);
	CHECK(rig_map(r, 0, r->ram, RIG_RAM_PAGES, 0xF) == HV_STATUS_SUCCESS);
	for (uint32_t i = 0; i < r->vps; i++) {
		r->vp[i] = vp_create(r, r->id, i, !r->options.start_waiting);
		r->fake[i] = r->vm->vps[i];
		hv_vp_set_cookie(r->vp[i], &r->wake[i]);
	}
	/* Off the exact multiples of 100 ns, where reference time is rounded down. */
	rig_time(r, 1);
	if (!r->options.no_hypercall_page && !r->options.frozen) {
		enable_hypercalls(r);
	}
}

void rig_fini(struct rig *r)
{
	if (r->id != 0) {
		rig_partition_delete(r, r->id);
	}
	CHECK(r->machine.vms == 0 && r->machine.vps == 0);
	hv_fini(r->hv);
	for (struct rig_chunk *c = r->chunks, *next; c != NULL; c = next) {
		next = c->next;
		free(c->pages);
		free(c);
	}
	free(r->ram);
	free(r->hv_memory);
}
