// SPDX-License-Identifier: Apache-2.0
/*
 * One partition under arbitrary actions of its guest and of its parent: hypercalls in all forms, MSRs, the local APIC's page, ports, HLT,
 * interrupts, time, registers by name, garbage root hypercalls, save and restore.
 *
 * The parent is trusted with memory, as everywhere: the pages that it names are its own, and it gives each to one pool only. That is what
 * hv_host_page stands for here; everything else in its calls is garbage.
 */
#include <stdlib.h>
#include <string.h>

#include "abi/hv.h"
#include "engine.h"
#include "hv/host.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "test/input.h"
#include "x86/arch.h"

#define HV_PAGES 32u
#define RAM_PAGES 16u
#define POOL_PAGES 512u
#define VPS 3u
#define STEPS_MAX 400u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static uint8_t hv_memory[HV_PAGES][HV_PAGE_SIZE] __attribute__((aligned(4096)));
static uint8_t ram[RAM_PAGES][HV_PAGE_SIZE] __attribute__((aligned(4096)));
static uint8_t pool[POOL_PAGES][HV_PAGE_SIZE] __attribute__((aligned(4096)));
static bool pool_given[POOL_PAGES];
static const uint32_t vp_indexes[VPS] = {0, 1, 70};

/* ---- The host: system pages 1.. are RAM, 0x100.. the pool, each given once until it comes back ---- */

void hv_host_lock(struct hv_lock *lock)
{
	CHECK(lock->word == 0); /* one thread: a lock that is taken twice would hang */
	lock->word = 1;
}

void hv_host_unlock(struct hv_lock *lock)
{
	CHECK(lock->word == 1);
	lock->word = 0;
}

void hv_host_relax(unsigned round)
{
	CHECK(round < 1000);
}

void *hv_host_page(uint64_t spn)
{
	if (spn >= 1 && spn <= RAM_PAGES) {
		return ram[spn - 1];
	}
	if (spn >= 0x100 && spn < 0x100 + POOL_PAGES && !pool_given[spn - 0x100]) {
		pool_given[spn - 0x100] = true;
		return pool[spn - 0x100];
	}
	return NULL;
}

uint64_t hv_host_spn(const void *page)
{
	uint64_t n = (uint64_t)((const uint8_t *)page - &pool[0][0]) / HV_PAGE_SIZE;

	/* RAM may have been deposited, too: garbage, but the parent's own. */
	if (n >= POOL_PAGES) {
		return 1 + (uint64_t)((const uint8_t *)page - &ram[0][0]) / HV_PAGE_SIZE;
	}
	pool_given[n] = false;
	return 0x100 + n;
}

void hv_host_wake(void *cookie)
{
}

void hv_host_root_message(void *cookie)
{
}

void hv_host_root_event(void *cookie)
{
}

/* ---- Set-up ---- */

static struct fuzz_world world;

static uint16_t root(struct hv *hv, unsigned code, unsigned reps, const void *in, void *out)
{
	return hv_result_status(hv_root_hypercall(hv, hv_hypercall_control(code, reps), in, out));
}

static void deposit(struct hv *hv, uint64_t id, unsigned pages)
{
	uint64_t in[512] = {id};
	unsigned n = 0;

	for (unsigned i = 0; i < POOL_PAGES && n < pages; i++) {
		if (!pool_given[i]) {
			in[1 + n++] = 0x100 + i;
		}
	}
	root(hv, HvCallDepositMemory, n, in, NULL);
}

static void set_mode(struct hv_engine_vp *vp, uint8_t mode)
{
	struct hv_x64_segment_register s = {
		.limit = UINT32_MAX, .selector = 8, .attributes = 0xA09B};
	uint64_t words[2];

	fuzz_reg_set(vp, HvX64RegisterCr0, mode & 1 ? 0 : X86_CR0_PE | X86_CR0_PG, 0);
	fuzz_reg_set(vp, HvX64RegisterEfer, mode & 2 ? 0 : X86_EFER_LMA | X86_EFER_LME, 0);
	fuzz_reg_set(vp, HvX64RegisterRflags, (mode & 4 ? 0 : X86_IF) | (mode & 8 ? X86_VM : 0) | 2,
		     0);
	memcpy(words, &s, sizeof(words));
	fuzz_reg_set(vp, HvX64RegisterCs, words[0], words[1]);
	s.attributes = mode & 16 ? 0xC0F3 : 0xC093;
	memcpy(words, &s, sizeof(words));
	fuzz_reg_set(vp, HvX64RegisterSs, words[0], words[1]);
}

static void set_register(struct hv *hv, uint64_t id, uint32_t vp, uint32_t name, uint64_t value)
{
	struct {
		struct hv_input_vp vp;
		struct hv_register_assoc assoc;
	} in = {{.partition_id = id, .vp_index = vp}, {.name = name, .value = {value, 0}}};

	root(hv, HvCallSetVpRegisters, 1, &in, NULL);
}

static uint64_t set_up(struct hv *hv, uint8_t options)
{
	struct hv_input_create_partition create = {0};
	struct {
		struct hv_input_map_gpa head;
		uint64_t spn[RAM_PAGES];
	} map = {.head = {.map_flags = 0xF}};
	uint64_t id = 0;

	root(hv, HvCallCreatePartition, 0, &create, &id);
	deposit(hv, id, 300);
	root(hv, HvCallInitializePartition, 0, &id, NULL);
	map.head.target_partition_id = id;
	for (unsigned i = 0; i < RAM_PAGES; i++) {
		map.spn[i] = 1 + i;
	}
	root(hv, HvCallMapGpaPages, RAM_PAGES, &map, NULL);
	for (unsigned i = 0; i < VPS; i++) {
		struct hv_input_create_vp vp = {.partition_id = id, .vp_index = vp_indexes[i]};

		root(hv, HvCallCreateVp, 0, &vp, NULL);
		set_mode(world.newest, 0);
		set_register(hv, id, vp_indexes[i], HvRegisterExplicitSuspend, 0);
		if (options & 1) {
			set_register(hv, id, vp_indexes[i], HvRegisterInternalActivityState, 0);
		}
		if (options & 2) {
			set_register(hv, id, vp_indexes[i], HvX64RegisterApicBase, 0xFEE00C00);
		}
	}
	if (options & 4) {
		set_register(hv, id, 0, HvRegisterGuestOsId, 1);
		set_register(hv, id, 0, HvX64RegisterHypercall, 0x1001);
	}
	return id;
}

/* ---- What the guest does ---- */

static void guest_msr(struct input *in, struct hv_exit *exit)
{
	uint8_t kind = input_u8(in);
	uint16_t index;

	input_take(in, &index, sizeof(index));
	exit->kind = HV_EXIT_MSR;
	exit->msr.write = kind & 1;
	exit->msr.index = kind & 2   ? 0x800u + (index & 0xFF)
			  : kind & 4 ? index
				     : 0x40000000u + (index & 0x1FF);
	exit->msr.data = exit->msr.write ? input_u64(in) : 0;
}

static void guest_apic(struct input *in, struct hv_exit *exit)
{
	uint16_t offset;

	input_take(in, &offset, sizeof(offset));
	exit->kind = HV_EXIT_MEMORY;
	exit->memory.gpa = 0xFEE00000u + (offset & 0xFFF);
	exit->memory.access = (offset >> 12) % 3;
	exit->memory.bytes = (uint8_t)(1u << (offset >> 14));
	exit->memory.data = input_u32(in);
	exit->memory.mapped = offset & 0x1000;
}

static void guest_hypercall(struct input *in, struct hv_exit *exit, struct hv_engine_vp *vp)
{
	uint8_t kind = input_u8(in);
	uint64_t control = input_u64(in), a = input_u64(in), b = input_u64(in);

	exit->kind = HV_EXIT_HYPERCALL;
	exit->insn_bytes = 3;
	/* Half of them with addresses in RAM. */
	if (kind & 1) {
		a = (a % (RAM_PAGES * HV_PAGE_SIZE)) & ~UINT64_C(7);
		b = (b % (RAM_PAGES * HV_PAGE_SIZE)) & ~UINT64_C(7);
		input_take(in, &ram[a / HV_PAGE_SIZE][a % HV_PAGE_SIZE],
			   (size_t)min_u64(input_u8(in), HV_PAGE_SIZE - a % HV_PAGE_SIZE));
	}
	if (kind & 2) {
		for (uint32_t i = 0; i < 6; i++) {
			uint64_t lo = input_u64(in);

			fuzz_reg_set(vp, HvX64RegisterXmm0 + i, lo, input_u64(in));
		}
	}
	fuzz_reg_set(vp, HvX64RegisterRcx, kind & 4 ? b : control, 0);
	fuzz_reg_set(vp, HvX64RegisterRdx, kind & 4 ? control >> 32 : a, 0);
	fuzz_reg_set(vp, HvX64RegisterR8, b, 0);
	fuzz_reg_set(vp, HvX64RegisterRax, control, 0);
	fuzz_reg_set(vp, HvX64RegisterRbx, a >> 32, 0);
	fuzz_reg_set(vp, HvX64RegisterRdi, b >> 32, 0);
	fuzz_reg_set(vp, HvX64RegisterRsi, b, 0);
}

static void guest_other(struct input *in, struct hv_exit *exit)
{
	uint8_t kind = input_u8(in);

	exit->insn_bytes = 2;
	switch (kind % 7) {
	case 0:
		exit->kind = HV_EXIT_PORT;
		exit->port.port = kind;
		exit->port.bytes = 1 << (kind & 1);
		exit->port.write = kind & 2;
		break;
	case 1:
		exit->kind = HV_EXIT_CPUID;
		exit->cpuid.leaf = input_u32(in);
		exit->cpuid.subleaf = kind & 3;
		break;
	case 2:
		exit->kind = HV_EXIT_CR8;
		exit->cr8.write = kind & 8;
		exit->cr8.data = input_u8(in);
		break;
	case 3:
		exit->kind = HV_EXIT_EXCEPTION;
		exit->exception.vector = kind & 31;
		break;
	case 4:
		exit->kind = HV_EXIT_TRIPLE_FAULT;
		break;
	case 5:
		exit->kind = HV_EXIT_FAILED;
		exit->failed.what = "fuzz";
		break;
	default:
		exit->kind = HV_EXIT_MEMORY;
		exit->memory.gpa = input_u64(in);
		exit->memory.bytes = 8;
		exit->memory.access = kind % 3;
		break;
	}
}

static void dispatch(struct input *in, struct hv_vp *vp, uint8_t answer)
{
	uint64_t values[4] = {0, 1, 2, 3}, wake_ns;
	struct hv_message message;

	world.running = vp;
	world.runs = 0;
	if (hv_vp_dispatch(vp, &message, &wake_ns) != HV_DISPATCH_INTERCEPT) {
		return;
	}
	CHECK(message.payload_size <= HV_MESSAGE_PAYLOAD_BYTE_COUNT);
	if (answer & 1) {
		hv_vp_finish(vp, values);
	} else if (answer & 2) {
		hv_vp_finish_fault(vp, X86_EXC_GP, true, 0);
	}
}

static void guest_step(struct input *in, struct hv_partition *p, uint8_t op)
{
	uint32_t index = vp_indexes[(op >> 3) % VPS];
	struct hv_vp *vp = hv_root_vp(p, index);
	struct hv_engine_vp *engine = world.vp[index];

	if (vp == NULL || engine == NULL) {
		return;
	}
	memset(&world.exit, 0, sizeof(world.exit));
	world.queued = true;
	switch (op & 7) {
	case 0:
	case 1:
		guest_msr(in, &world.exit);
		break;
	case 2:
	case 3:
		guest_hypercall(in, &world.exit, engine);
		break;
	case 4:
		guest_apic(in, &world.exit);
		break;
	case 5:
		world.exit.kind = HV_EXIT_HALT;
		break;
	case 6:
		guest_other(in, &world.exit);
		break;
	default:
		world.queued = false;
		set_mode(engine, input_u8(in));
		break;
	}
	dispatch(in, vp, op >> 5);
	world.queued = false;
}

/* ---- What the parent does ---- */

static void root_call(struct input *in, struct hv *hv)
{
	static uint64_t output[HV_PAGE_SIZE / 8], page[HV_PAGE_SIZE / 8];
	uint64_t control = input_u64(in);
	uint8_t bytes = input_u8(in);

	memset(page, 0, sizeof(page));
	input_take(in, page, bytes);
	hv_root_hypercall(hv, control, page, output);
}

static void parent_restore(struct input *in, struct hv *hv, struct hv_partition *p, bool own)
{
	static uint8_t image[1 << 18];
	size_t bytes = hv_partition_save(p, image, sizeof(image));

	CHECK(bytes <= sizeof(image) && hv_partition_save(p, NULL, 0) == bytes);
	if (own) {
		/* One damaged place in a good image. */
		uint32_t at = input_u32(in);

		image[at % bytes] ^= input_u8(in);
	} else {
		bytes = (size_t)min_u64(in->left, sizeof(image));
		input_take(in, image, bytes);
	}
	hv_partition_restore(p, image, bytes);
}

static void parent_step(struct input *in, struct hv *hv, uint64_t id, uint8_t op)
{
	struct hv_partition *p = hv_root_partition(hv, id);
	struct hv_message message;
	struct hv_stats stats;
	uint32_t port;
	uint16_t flag;

	switch (op & 7) {
	case 0:
	case 1:
		root_call(in, hv);
		break;
	case 2:
		world.now += input_u64(in) >> 16;
		break;
	case 3: {
		uint32_t name = input_u32(in);

		set_register(hv, id, vp_indexes[(op >> 3) % VPS], name, input_u64(in));
		break;
	}
	case 4:
		hv_partition_set_extint(p, op & 8);
		break;
	case 5:
		hv_root_take_message(hv, &message);
		hv_root_take_event(hv, &port, &flag);
		break;
	case 6:
		parent_restore(in, hv, p, op & 8);
		break;
	default:
		hv_partition_stats(p, &stats);
		break;
	}
}

static void usable(struct hv *hv, uint64_t id, uint8_t op, struct input *in)
{
	struct hv_partition *p = hv_root_partition(hv, id);
	struct hv_input_partition_property clock = {id, HvPartitionPropertyProcessorClockFrequency,
						    0, 0};
	uint64_t hz = 0;

	/* The parent may have torn it down. */
	root(hv, HvCallGetPartitionProperty, 0, &clock, &hz);
	if (p == NULL || hz == 0) {
		return;
	}
	if (op & 0x80) {
		parent_step(in, hv, id, op);
	} else {
		guest_step(in, p, op);
	}
}

/* Everything that is left, so that the pools can be looked at by the sanitizers. */
static void tear_down(struct hv *hv)
{
	uint64_t in[2] = {HV_PARTITION_ID_SELF, 0}, id = 0, out[2];

	for (;;) {
		in[1] = 0;
		root(hv, HvCallGetNextChildPartition, 0, in, &id);
		if (id == 0) {
			break;
		}
		root(hv, HvCallFinalizePartition, 0, &id, NULL);
		in[0] = id;
		while (root(hv, HvCallWithdrawMemory, 1, in, out) == HV_STATUS_SUCCESS) {
		}
		CHECK(root(hv, HvCallDeletePartition, 0, &id, NULL) == HV_STATUS_SUCCESS);
		in[0] = HV_PARTITION_ID_SELF;
	}
	hv_fini(hv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct hv_config config = {
		.engine = &fuzz_engine,
		.engine_config = {.clock_ctx = &world, .vp_max = 128},
		.memory = hv_memory,
		.pages = HV_PAGES,
	};
	struct input in = {data, bytes};
	struct hv *hv;
	uint64_t id;

	memset(hv_memory, 0, sizeof(hv_memory));
	memset(ram, 0, sizeof(ram));
	memset(pool_given, 0, sizeof(pool_given));
	memset(&world, 0, sizeof(world));
	hv = hv_init(&config);
	id = set_up(hv, input_u8(&in));
	for (unsigned i = 0; i < STEPS_MAX && in.left != 0; i++) {
		usable(hv, id, input_u8(&in), &in);
	}
	tear_down(hv);
	return 0;
}
