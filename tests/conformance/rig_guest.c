// SPDX-License-Identifier: Apache-2.0
/* The fixture's guest side: exits of all kinds and what became of them. */
#include "rig.h"

#define DISPATCHES_MAX 1000u
#define APIC_BASE UINT64_C(0xFEE00000)

static int dispatch_until_done(struct rig *r, uint32_t vp)
{
	for (unsigned i = 0; i < DISPATCHES_MAX; i++) {
		struct hv_message message;

		r->answer = hv_vp_dispatch(r->vp[vp], &message, &r->wake_ns);
		switch (r->answer) {
		case HV_DISPATCH_INTERCEPT:
			r->message = message;
			r->messages++;
			return RIG_INTERCEPT;
		case HV_DISPATCH_BLOCKED:
			return RIG_BLOCKED;
		case HV_DISPATCH_SUSPENDED:
			return RIG_SUSPENDED;
		case HV_DISPATCH_INTERRUPTED:
			if (fake_done(r->fake[vp])) {
				return RIG_OK;
			}
			break;
		}
	}
	return RIG_LOST;
}

int rig_run(struct rig *r, uint32_t vp)
{
	return dispatch_until_done(r, vp);
}

/* An exception that came since @first, else @otherwise. */
static int outcome(const struct fake_vp *f, unsigned first, int otherwise)
{
	for (unsigned i = first; i < f->event_count; i++) {
		if (f->events[i].kind == FAKE_EXCEPTION) {
			return f->events[i].vector;
		}
	}
	return otherwise;
}

int rig_exit(struct rig *r, uint32_t vp, const struct hv_exit *exit)
{
	struct fake_vp *f = r->fake[vp];
	unsigned first = f->event_count;

	fake_push(f, exit);
	return outcome(f, first, dispatch_until_done(r, vp));
}

/* An exit that must be answered by complete() or an exception at once. */
static int instruction(struct rig *r, uint32_t vp, const struct hv_exit *exit)
{
	unsigned before = r->fake[vp]->completions;
	int what = rig_exit(r, vp, exit);

	if ((what == RIG_OK || what == RIG_BLOCKED) && r->fake[vp]->completions != before + 1) {
		return RIG_LOST;
	}
	return what;
}

int rig_rdmsr(struct rig *r, uint32_t vp, uint32_t index, uint64_t *ret)
{
	int what = instruction(
		r, vp, &(struct hv_exit){.kind = HV_EXIT_MSR, .insn_bytes = 2, .msr.index = index});

	*ret = r->fake[vp]->values[0];
	return what;
}

int rig_wrmsr(struct rig *r, uint32_t vp, uint32_t index, uint64_t value)
{
	return instruction(
		r, vp,
		&(struct hv_exit){.kind = HV_EXIT_MSR,
				  .insn_bytes = 2,
				  .msr = {.index = index, .write = true, .data = value}});
}

uint64_t rig_msr(struct rig *r, uint32_t vp, uint32_t index)
{
	uint64_t value = 0;

	CHECK(rig_rdmsr(r, vp, index, &value) == RIG_OK);
	return value;
}

int rig_halt(struct rig *r, uint32_t vp)
{
	return rig_exit(r, vp, &(struct hv_exit){.kind = HV_EXIT_HALT});
}

void rig_cpuid(struct rig *r, uint32_t vp, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	CHECK(instruction(r, vp,
			  &(struct hv_exit){.kind = HV_EXIT_CPUID,
					    .insn_bytes = 2,
					    .cpuid = {.leaf = leaf, .subleaf = subleaf}}) ==
	      RIG_OK);
	for (unsigned i = 0; i < 4; i++) {
		regs[i] = (uint32_t)r->fake[vp]->values[i];
	}
}

int rig_port_in(struct rig *r, uint32_t vp, uint16_t port, uint8_t bytes)
{
	return instruction(r, vp,
			   &(struct hv_exit){.kind = HV_EXIT_PORT,
					     .insn_bytes = 1,
					     .port = {.port = port, .bytes = bytes}});
}

int rig_port_out(struct rig *r, uint32_t vp, uint16_t port, uint8_t bytes, uint32_t data)
{
	return instruction(
		r, vp,
		&(struct hv_exit){
			.kind = HV_EXIT_PORT,
			.insn_bytes = 1,
			.port = {.port = port, .bytes = bytes, .write = true, .data = data}});
}

static struct hv_exit memory_exit(struct rig *r, uint64_t gpa, uint8_t bytes, uint8_t access,
				  uint64_t data)
{
	return (struct hv_exit){
		.kind = HV_EXIT_MEMORY,
		.memory = {.gpa = gpa,
			   .gva = gpa,
			   .bytes = bytes,
			   .access = access,
			   .mapped = gmem_entry_page(gmem_entry(hv_partition_gmem(r->partition),
								gpa >> 12)) != NULL,
			   .gva_valid = true,
			   .data = data},
	};
}

int rig_read(struct rig *r, uint32_t vp, uint64_t gpa, uint8_t bytes)
{
	struct hv_exit e = memory_exit(r, gpa, bytes, HV_ACCESS_READ, 0);

	return instruction(r, vp, &e);
}

int rig_write(struct rig *r, uint32_t vp, uint64_t gpa, uint8_t bytes, uint64_t data)
{
	struct hv_exit e = memory_exit(r, gpa, bytes, HV_ACCESS_WRITE, data);

	return instruction(r, vp, &e);
}

uint32_t rig_apic_read(struct rig *r, uint32_t vp, uint32_t offset)
{
	CHECK(rig_read(r, vp, APIC_BASE + offset, 4) == RIG_OK);
	return (uint32_t)r->fake[vp]->values[0];
}

void rig_apic_write(struct rig *r, uint32_t vp, uint32_t offset, uint32_t value)
{
	int what = rig_write(r, vp, APIC_BASE + offset, 4, value);

	CHECK(what == RIG_OK || what == RIG_INTERCEPT || what == RIG_BLOCKED);
}

/* ---- Hypercalls ---- */

static int do_call(struct rig *r, uint32_t vp)
{
	return rig_exit(r, vp, &(struct hv_exit){.kind = HV_EXIT_HYPERCALL, .insn_bytes = 3});
}

int rig_call_raw(struct rig *r, uint32_t vp, uint64_t control, uint64_t p1, uint64_t p2,
		 uint64_t *ret)
{
	struct fake_vp *f = r->fake[vp];
	int what;

	fake_reg(f, HvX64RegisterRcx)->lo = control;
	fake_reg(f, HvX64RegisterRdx)->lo = p1;
	fake_reg(f, HvX64RegisterR8)->lo = p2;
	fake_reg(f, HvX64RegisterRax)->lo = UINT64_C(0xDEADDEADDEADDEAD);
	what = do_call(r, vp);
	*ret = fake_reg(f, HvX64RegisterRax)->lo;
	return what;
}

static void set_pair(struct fake_vp *f, uint32_t high, uint32_t low, uint64_t value)
{
	fake_reg(f, high)->lo = value >> 32;
	fake_reg(f, low)->lo = value & UINT32_MAX;
}

int rig_call32(struct rig *r, uint32_t vp, uint64_t control, uint64_t p1, uint64_t p2,
	       uint64_t *ret)
{
	struct fake_vp *f = r->fake[vp];
	int what;

	set_pair(f, HvX64RegisterRdx, HvX64RegisterRax, control);
	set_pair(f, HvX64RegisterRbx, HvX64RegisterRcx, p1);
	set_pair(f, HvX64RegisterRdi, HvX64RegisterRsi, p2);
	what = do_call(r, vp);
	*ret = fake_reg(f, HvX64RegisterRdx)->lo << 32 |
	       (fake_reg(f, HvX64RegisterRax)->lo & UINT32_MAX);
	return what;
}

uint64_t rig_call(struct rig *r, uint32_t vp, uint64_t control, const void *in, size_t in_bytes)
{
	uint64_t result = 0;

	if (in != NULL) {
		CHECK(in_bytes <= HV_PAGE_SIZE);
		memcpy(r->ram + RIG_INPUT_GPA, in, in_bytes);
	}
	CHECK(rig_call_raw(r, vp, control, RIG_INPUT_GPA, RIG_OUTPUT_GPA, &result) == RIG_OK);
	return result;
}

uint16_t rig_call_status(struct rig *r, uint32_t vp, unsigned code, const void *in, size_t in_bytes)
{
	return hv_result_status(rig_call(r, vp, hv_hypercall_control(code, 0), in, in_bytes));
}

/* ---- Memory, time, interrupts ---- */

void *rig_seen(struct rig *r, uint64_t gpa)
{
	uint8_t *page =
		gmem_entry_page(gmem_entry(hv_partition_gmem(r->partition), gpa >> HV_PAGE_SHIFT));

	CHECK(page != NULL);
	return page + (gpa & (HV_PAGE_SIZE - 1));
}

void rig_time(struct rig *r, uint64_t ticks)
{
	__atomic_fetch_add(&r->machine.now, ticks, __ATOMIC_SEQ_CST);
}

void rig_time_100ns(struct rig *r, uint64_t units)
{
	rig_time(r, units * RIG_TICKS_100NS);
}

void rig_synic(struct rig *r, uint32_t vp, unsigned sint, uint8_t vector)
{
	CHECK(rig_wrmsr(r, vp, HV_X64_MSR_SIMP, RIG_SIM_GPA(vp) | HV_MSR_PAGE_ENABLE) == RIG_OK);
	CHECK(rig_wrmsr(r, vp, HV_X64_MSR_SIEFP, RIG_SIEF_GPA(vp) | HV_MSR_PAGE_ENABLE) == RIG_OK);
	CHECK(rig_wrmsr(r, vp, HV_X64_MSR_SCONTROL, HV_SCONTROL_ENABLE) == RIG_OK);
	rig_apic_write(r, vp, 0xF0, 0x1FF);
	if (sint != 0) {
		CHECK(rig_wrmsr(r, vp, HV_X64_MSR_SINT0 + sint, vector) == RIG_OK);
	}
}

struct hv_message *rig_slot(struct rig *r, uint32_t vp, unsigned sint)
{
	return (struct hv_message *)rig_seen(r, RIG_SIM_GPA(vp)) + sint;
}

bool rig_flag(struct rig *r, uint32_t vp, unsigned sint, unsigned flag)
{
	const uint8_t *flags = (const uint8_t *)rig_seen(r, RIG_SIEF_GPA(vp)) + sint * 256;

	return (flags[flag / 8] >> (flag % 8)) & 1;
}

void rig_eoi(struct rig *r, uint32_t vp)
{
	int what = rig_wrmsr(r, vp, HV_X64_MSR_EOI, 0);

	CHECK(what == RIG_OK || what == RIG_INTERCEPT || what == RIG_BLOCKED);
}

void rig_forget(struct rig *r, uint32_t vp)
{
	r->fake[vp]->event_count = 0;
}

unsigned rig_interrupts(struct rig *r, uint32_t vp, uint8_t vector)
{
	const struct fake_vp *f = r->fake[vp];
	unsigned count = 0;

	for (unsigned i = 0; i < f->event_count; i++) {
		count += f->events[i].kind == FAKE_INTERRUPT && f->events[i].vector == vector;
	}
	return count;
}

bool rig_took(struct rig *r, uint32_t vp, int vector)
{
	const struct fake_vp *f = r->fake[vp];
	unsigned count = 0, right = 0;

	rig_forget(r, vp);
	rig_run(r, vp);
	for (unsigned i = 0; i < f->event_count; i++) {
		count += f->events[i].kind == FAKE_INTERRUPT;
		right += f->events[i].kind == FAKE_INTERRUPT && f->events[i].vector == vector;
	}
	for (unsigned i = 0; i < count; i++) {
		rig_eoi(r, vp);
	}
	return vector < 0 ? count == 0 : count == 1 && right == 1;
}
