// SPDX-License-Identifier: Apache-2.0
/*
 * The hypervisor interface from inside: the same tests, with the same results, on every CPU engine. Prints TAP on the console and turns off. What the
 * specification leaves open is not looked at, nor how long anything takes.
 */
#include "hyperv.h"

#define GUEST_OS_ID (0x8100ull << 48)
#define STACK_BYTES 16384u

struct vp vps[VPS_MAX];
struct vp_pages vp_pages[VPS_MAX];
unsigned vp_count;
uint8_t eoi_of[256];
uint8_t hypercall_page[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static uint8_t inputs[VPS_MAX][PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static uint8_t stacks[VPS_MAX][STACK_BYTES] __attribute__((aligned(16)));

/* ---- Interrupts ---- */

static void end_with_assist(struct vp *vp)
{
	uint32_t *word = (uint32_t *)vp_pages[vp->index].assist;
	bool spared;

	__asm__ volatile("lock btrl $0, %0\n\tsetc %1" : "+m"(*word), "=q"(spared) : : "cc");
	if (spared) {
		vp->spared++;
	} else {
		wrmsr(HV_X64_MSR_EOI, 0);
	}
}

static bool on_trap(struct trap_frame *frame)
{
	struct vp *vp;

	if (frame->vector == 2) {
		this_vp()->nmis++;
		return true;
	}
	if (frame->vector < 32) {
		return false;
	}
	vp = this_vp();
	vp->taken[frame->vector]++;
	switch (eoi_of[frame->vector]) {
	case EOI_APIC:
		apic_write(APIC_EOI, 0);
		break;
	case EOI_MSR:
		wrmsr(HV_X64_MSR_EOI, 0);
		break;
	case EOI_ASSIST:
		end_with_assist(vp);
		break;
	default:
		break;
	}
	return true;
}

void wait_for(uint64_t time_100ns)
{
	uint64_t end = hv_now() + time_100ns;

	while (hv_now() < end) {
		let_in();
		cpu_pause();
	}
}

void try_rdmsr(uint32_t index)
{
	TRY("movl %%edi, %%ecx\n\trdmsr", "D"(index));
}

void try_wrmsr(uint32_t index, uint64_t value)
{
	TRY("movl %%edi, %%ecx\n\tmovl %%esi, %%eax\n\tmovq %%rsi, %%rdx\n\tshrq $32, "
	    "%%rdx\n\twrmsr",
	    "D"(index), "S"(value));
}

/* ---- Hypercalls ---- */

uint64_t hypercall(uint64_t control, uint64_t input, uint64_t output)
{
	register uint64_t r8 __asm__("r8") = output;
	uint64_t result;

	__asm__ volatile("call *%4"
			 : "=a"(result), "+c"(control), "+d"(input), "+r"(r8)
			 : "r"(hypercall_page)
			 : "memory", "cc", "r9", "r10", "r11");
	return result;
}

uint8_t *input_page(void)
{
	return inputs[this_vp()->index];
}

uint64_t hypercall_with(uint64_t control, const void *input, size_t bytes)
{
	memcpy(input_page(), input, bytes);
	return hypercall(control, (uint64_t)input_page(), 0);
}

/* ---- Processors ---- */

void vp_check(struct vp *vp, const char *what, uint64_t got, uint64_t want)
{
	if (got == want) {
		return;
	}
	if (vp->failures++ == 0) {
		vp->what = what;
		vp->got = got;
		vp->want = want;
	}
}

bool work_done(struct vp *vp)
{
	return vp->work == NULL;
}

void give_work(struct vp *vp, void (*work)(struct vp *vp))
{
	__atomic_store_n(&vp->work, work, __ATOMIC_SEQ_CST);
}

void everywhere(void (*work)(struct vp *vp))
{
	for (unsigned i = 1; i < vp_count; i++) {
		give_work(&vps[i], work);
	}
	work(&vps[0]);
	for (unsigned i = 0; i < vp_count; i++) {
		struct vp *vp = &vps[i];

		check_eq("the processor comes to the end of it", WAIT(work_done(vp)), true);
		if (vp->failures != 0) {
			print("# processor ");
			print_decimal(i);
			print("\n");
			check_eq(vp->what, vp->got, vp->want);
		}
		vp->failures = 0;
	}
}

static _Noreturn void processor_main(void)
{
	struct vp *vp = this_vp();

	apic_enable();
	vp->alive = true;
	for (;;) {
		void (*work)(struct vp * vp) = vp->work;

		if (work != NULL) {
			work(vp);
			__atomic_store_n(&vp->work, NULL, __ATOMIC_SEQ_CST);
		}
		let_in();
		cpu_pause();
	}
}

static void context_fill(struct hv_initial_vp_context *c, struct vp *vp)
{
	const struct hv_x64_segment_register code = {
		.limit = UINT32_MAX, .selector = SEL_CODE, .attributes = 0xa09b};
	const struct hv_x64_segment_register data = {
		.limit = UINT32_MAX, .selector = SEL_DATA, .attributes = 0xc093};

	c->rip = (uint64_t)processor_main;
	c->rsp = (uint64_t)(stacks[vp->index] + STACK_BYTES - 8);
	c->rflags = 2;
	c->cs = code;
	c->ds = c->es = c->ss = c->fs = c->gs = data;
	c->gs.base = (uint64_t)vp;
	c->tr = (struct hv_x64_segment_register){.limit = 0x67, .attributes = 0x8b};
	c->ldtr = (struct hv_x64_segment_register){.attributes = 0x82};
	c->gdtr = (struct hv_x64_table_register){.limit = 64 * 8 - 1, .base = (uint64_t)gdt};
	c->idtr = (struct hv_x64_table_register){.limit = 0xfff, .base = (uint64_t)idt};
	c->efer = rdmsr(0xc0000080);
	c->cr0 = read_cr0();
	c->cr3 = read_cr3();
	c->cr4 = read_cr4();
	c->msr_cr_pat = 0x0007040600070406ull;
}

static void start_processors(void)
{
	struct hv_input_start_virtual_processor *in = (void *)input_page();

	test_begin("HvCallStartVirtualProcessor");
	for (unsigned i = 1; i < vp_count; i++) {
		memset(in, 0, sizeof(*in));
		in->partition_id = HV_PARTITION_ID_SELF;
		in->vp_index = i;
		context_fill(&in->vp_context, &vps[i]);
		CHECK_EQ(hypercall(HvCallStartVirtualProcessor, (uint64_t)in, 0),
			 HV_STATUS_SUCCESS);
		CHECK_EQ(WAIT(vps[i].alive), true);
		CHECK_EQ(hypercall(HvCallStartVirtualProcessor, (uint64_t)in, 0),
			 HV_STATUS_INVALID_VP_STATE);
	}
	in->partition_id = HV_PARTITION_ID_SELF;
	in->vp_index = vp_count;
	CHECK_EQ(hypercall(HvCallStartVirtualProcessor, (uint64_t)in, 0),
		 HV_STATUS_INVALID_VP_INDEX);
	test_end();
}

static unsigned count_processors(void)
{
	uint32_t r[4];

	cpuid(0xb, 1, r);
	return r[1] < VPS_MAX ? r[1] : VPS_MAX;
}

void guest_main(void)
{
	vp_count = count_processors();
	for (unsigned i = 0; i < VPS_MAX; i++) {
		vps[i].self = &vps[i];
		vps[i].index = i;
	}
	wrmsr(MSR_GS_BASE, (uint64_t)&vps[0]);
	trap_hook = on_trap;
	hyperv_identity();
	wrmsr(HV_X64_MSR_GUEST_OS_ID, GUEST_OS_ID);
	wrmsr(HV_X64_MSR_HYPERCALL, (uint64_t)hypercall_page | HV_MSR_PAGE_ENABLE);
	hyperv_apic();
	start_processors();
	hyperv_hypercalls();
	hyperv_overlays();
	hyperv_flushes();
	hyperv_time();
	hyperv_synic();
	hyperv_timers();
	hyperv_ipis();
	test_plan();
	__asm__ volatile("outw %0, %1" : : "a"((uint16_t)0x2000), "Nd"((uint16_t)0x404));
	for (;;) {
		__asm__ volatile("cli; hlt");
	}
}
