// SPDX-License-Identifier: Apache-2.0
/* Registers, priorities and timer of the local APIC, in xAPIC and x2APIC mode. SDM volume 3, chapter "APIC". */
#include "rig.h"

#define MSR_APIC_BASE 0x1Bu
#define MSR_TSC 0x10u
#define MSR_TSC_DEADLINE 0x6E0u
#define X2APIC(reg) (0x800u + (reg))
#define BASE UINT64_C(0xFEE00000)
#define ENABLE UINT64_C(0x800)
#define X2 UINT64_C(0x400)
#define BSP UINT64_C(0x100)

#define ID 0x20u
#define VERSION 0x30u
#define TPR 0x80u
#define PPR 0xA0u
#define EOI 0xB0u
#define LDR 0xD0u
#define DFR 0xE0u
#define SVR 0xF0u
#define ISR 0x100u
#define TMR 0x180u
#define IRR 0x200u
#define ESR 0x280u
#define ICR_LOW 0x300u
#define ICR_HIGH 0x310u
#define LVT_TIMER 0x320u
#define LVT_LINT0 0x350u
#define LVT_ERROR 0x370u
#define INITIAL 0x380u
#define CURRENT 0x390u
#define DIVIDE 0x3E0u

#define MASKED 0x10000u
#define TIMER_VECTOR 0xECu
#define APIC_TICK (RIG_TSC_HZ / HV_APIC_HZ) /* TSC ticks of one APIC bus tick */

static void init(struct rig *r, uint32_t vps)
{
	rig_init(r, &(struct rig_options){.vps = vps});
	for (uint32_t i = 0; i < vps; i++) {
		rig_apic_write(r, i, SVR, 0x1FF);
	}
}

static void interrupt(struct test *t, struct rig *r, uint8_t vector)
{
	EXPECT_EQ(t, rig_assert(r, HvX64InterruptTypeFixed, vector, 0, 0), HV_STATUS_SUCCESS);
}

static bool bit(struct rig *r, uint32_t base, uint8_t vector)
{
	return (rig_apic_read(r, 0, base + 0x10 * (vector / 32)) >> (vector % 32)) & 1;
}

/* ---- Registers ---- */

static void sdm_apic_reset_values(struct test *t)
{
	static const struct {
		uint32_t offset;
		uint32_t value;
	} rows[] = {
		{ID, 1u << 24},	   {TPR, 0},
		{PPR, 0},	   {LDR, 0},
		{DFR, UINT32_MAX}, {SVR, 0xFF},
		{ESR, 0},	   {ICR_LOW, 0},
		{ICR_HIGH, 0},	   {LVT_TIMER, MASKED},
		{0x330, MASKED},   {0x340, MASKED},
		{0x350, MASKED},   {0x360, MASKED},
		{0x370, MASKED},   {INITIAL, 0},
		{CURRENT, 0},	   {DIVIDE, 0},
	};
	struct rig r;

	rig_init(&r, &(struct rig_options){.vps = 2});
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint32_t got = rig_apic_read(&r, 1, rows[i].offset);

		if (got != rows[i].value) {
			test_fail(t, __FILE__, __LINE__, "offset 0x%x: 0x%x, want 0x%x",
				  rows[i].offset, got, rows[i].value);
		}
	}
	EXPECT_EQ(t, rig_apic_read(&r, 1, VERSION) & 0xFF, 0x14);
	EXPECT_EQ(t, (rig_apic_read(&r, 1, VERSION) >> 16) & 0xFF, 5);
	for (uint32_t offset = ISR; offset < ESR; offset += 0x10) {
		EXPECT_EQ(t, rig_apic_read(&r, 1, offset), 0);
	}
	EXPECT_EQ(t, rig_msr(&r, 1, MSR_APIC_BASE), BASE | ENABLE);
	EXPECT_EQ(t, rig_msr(&r, 0, MSR_APIC_BASE), BASE | ENABLE | BSP);
	rig_fini(&r);
}

static void sdm_apic_writable_bits(struct test *t)
{
	static const struct {
		uint32_t offset;
		uint32_t write;
		uint32_t read;
	} rows[] = {
		{ID, UINT32_MAX, 0},
		{TPR, UINT32_MAX, 0xFF},
		{TPR, 0, 0},
		{LDR, UINT32_MAX, 0xFF000000},
		{DFR, 0, 0x0FFFFFFF},
		{DFR, UINT32_MAX, UINT32_MAX},
		{LVT_TIMER, 0x000300FF, 0x000300FF},
		{LVT_LINT0, UINT32_MAX & ~0x5000u, 0x0001A7FF},
		{LVT_ERROR, UINT32_MAX, 0x000100FF},
		{DIVIDE, UINT32_MAX, 0xB},
		{ICR_HIGH, UINT32_MAX, 0xFF000000},
		{SVR, 0x3FF, 0x3FF},
		{VERSION, 0, 0x00050014},
		{PPR, UINT32_MAX, 0},
		{IRR, UINT32_MAX, 0},
	};
	struct rig r;

	init(&r, 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint32_t got;

		rig_apic_write(&r, 0, rows[i].offset, rows[i].write);
		got = rig_apic_read(&r, 0, rows[i].offset);
		if (got != rows[i].read) {
			test_fail(t, __FILE__, __LINE__,
				  "offset 0x%x: wrote 0x%x, read 0x%x, want 0x%x", rows[i].offset,
				  rows[i].write, got, rows[i].read);
		}
	}
	rig_fini(&r);
}

/* While the APIC is software-disabled its LVT entries are masked and cannot be unmasked. */
static void sdm_apic_software_disable(struct test *t)
{
	struct rig r;

	init(&r, 1);
	rig_apic_write(&r, 0, LVT_TIMER, TIMER_VECTOR);
	interrupt(t, &r, 0x41);
	EXPECT(t, rig_took(&r, 0, 0x41));
	rig_apic_write(&r, 0, SVR, 0xFF);
	EXPECT_EQ(t, rig_apic_read(&r, 0, LVT_TIMER), TIMER_VECTOR | MASKED);
	rig_apic_write(&r, 0, LVT_TIMER, TIMER_VECTOR);
	EXPECT_EQ(t, rig_apic_read(&r, 0, LVT_TIMER), TIMER_VECTOR | MASKED);
	interrupt(t, &r, 0x42);
	EXPECT(t, rig_took(&r, 0, -1));
	rig_apic_write(&r, 0, SVR, 0x1FF);
	EXPECT(t, rig_took(&r, 0, -1)); /* what came meanwhile is lost */
	/* NMIs still come. */
	rig_apic_write(&r, 0, SVR, 0xFF);
	rig_forget(&r, 0);
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeNmi, 0, 0, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, r.fake[0]->event_count, 1);
	rig_fini(&r);
}

static void sdm_apic_error_status(struct test *t)
{
	struct rig r;

	init(&r, 1);
	rig_apic_write(&r, 0, LVT_ERROR, 0xE0);
	rig_apic_write(&r, 0, ICR_LOW, 0x00040005); /* self, vector 5: illegal to send */
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0xE0), 1);
	rig_eoi(&r, 0);
	EXPECT_EQ(t, rig_apic_read(&r, 0, ESR), 0); /* shows only after a write */
	rig_apic_write(&r, 0, ESR, 0);
	EXPECT_EQ(t, rig_apic_read(&r, 0, ESR), 0x20);
	rig_apic_write(&r, 0, ESR, 0);
	EXPECT_EQ(t, rig_apic_read(&r, 0, ESR), 0);
	rig_apic_read(&r, 0, 0x40); /* no such register */
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0xE0), 2);
	rig_apic_write(&r, 0, ESR, 0);
	EXPECT_EQ(t, rig_apic_read(&r, 0, ESR), 0x80);
	rig_fini(&r);
}

/* An illegal vector is the receiver's error, too. */
static void sdm_apic_illegal_vector_received(struct test *t)
{
	struct rig r;

	init(&r, 1);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, MSR_APIC_BASE, BASE | ENABLE | X2 | BSP), RIG_OK);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, X2APIC(0x37), 0xE0), RIG_OK);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, X2APIC(0x3F), 5), RIG_OK);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0xE0), 1);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, X2APIC(0x28), 0), RIG_OK);
	EXPECT_EQ(t, rig_msr(&r, 0, X2APIC(0x28)), 0x40);
	rig_fini(&r);
}

/* Registers are 16 bytes apart and 4 wide; other widths and places do no harm. */
static void sdm_apic_odd_accesses(struct test *t)
{
	struct rig r;

	init(&r, 1);
	rig_apic_write(&r, 0, TPR, 0x77);
	for (uint32_t offset = 0; offset < 0x1000; offset++) {
		for (uint8_t bytes = 1; bytes <= 8; bytes *= 2) {
			if ((offset & 0xFFF) + bytes > 0x1000) {
				continue;
			}
			EXPECT_EQ(t, rig_read(&r, 0, BASE + offset, bytes), RIG_OK);
		}
	}
	EXPECT_EQ(t, rig_read(&r, 0, BASE + TPR, 1), RIG_OK);
	EXPECT_EQ(t, r.fake[0]->values[0], 0x77);
	EXPECT_EQ(t, rig_read(&r, 0, BASE + TPR + 4, 4), RIG_OK);
	EXPECT_EQ(t, r.fake[0]->values[0], 0);
	EXPECT_EQ(t, rig_write(&r, 0, BASE + TPR + 4, 4, 0), RIG_OK);
	EXPECT_EQ(t, rig_apic_read(&r, 0, TPR), 0x77);
	rig_fini(&r);
}

/* ---- The base register ---- */

static void sdm_apic_base_transitions(struct test *t)
{
	static const struct {
		uint64_t from[3]; /* written in order */
		uint64_t to;
		int result;
	} rows[] = {
		{{0}, ENABLE, RIG_OK},
		{{0}, ENABLE | X2, RIG_OK},
		{{0}, X2, X86_EXC_GP},
		{{0}, 0, RIG_OK},
		{{ENABLE | X2}, ENABLE, X86_EXC_GP},
		{{ENABLE | X2}, 0, RIG_OK},
		{{ENABLE | X2}, ENABLE | X2, RIG_OK},
		{{ENABLE | X2, BASE}, ENABLE | X2, X86_EXC_GP},
		{{ENABLE | X2, BASE}, ENABLE, RIG_OK},
		{{0}, ENABLE | 1, X86_EXC_GP},
		{{0}, ENABLE | UINT64_C(1) << 40, X86_EXC_GP},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig r;
		int got;

		init(&r, 2);
		for (unsigned n = 0; n < 3 && rows[i].from[n] != 0; n++) {
			EXPECT_EQ(t, rig_wrmsr(&r, 1, MSR_APIC_BASE, BASE | rows[i].from[n]),
				  RIG_OK);
		}
		got = rig_wrmsr(&r, 1, MSR_APIC_BASE, BASE | rows[i].to);
		if (got != rows[i].result) {
			test_fail(t, __FILE__, __LINE__, "row %zu: %d", i, got);
		}
		rig_fini(&r);
	}
}

static void sdm_apic_base_moves_the_page(struct test *t)
{
	struct rig r;

	init(&r, 1);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, MSR_APIC_BASE, 0xFED00000 | ENABLE | BSP), RIG_OK);
	EXPECT_EQ(t, rig_read(&r, 0, 0xFED00000 + VERSION, 4), RIG_OK);
	EXPECT_EQ(t, r.fake[0]->values[0] & 0xFF, 0x14);
	EXPECT_EQ(t, rig_read(&r, 0, BASE + VERSION, 4), RIG_OK);
	EXPECT_EQ(t, r.fake[0]->values[0], UINT64_MAX); /* nobody there */
	/* The BSP flag is not the guest's. */
	EXPECT_EQ(t, rig_wrmsr(&r, 0, MSR_APIC_BASE, BASE | ENABLE), RIG_OK);
	EXPECT_EQ(t, rig_msr(&r, 0, MSR_APIC_BASE), BASE | ENABLE | BSP);
	rig_fini(&r);
}

/* ---- x2APIC ---- */

static void sdm_x2apic_registers(struct test *t)
{
	static const struct {
		uint32_t reg;
		int read;
		int write; /* of 0 */
	} rows[] = {
		{0x02, RIG_OK, X86_EXC_GP},	{0x03, RIG_OK, X86_EXC_GP},
		{0x08, RIG_OK, RIG_OK},		{0x0A, RIG_OK, X86_EXC_GP},
		{0x0D, RIG_OK, X86_EXC_GP},	{0x0E, X86_EXC_GP, X86_EXC_GP},
		{0x0F, RIG_OK, RIG_OK},		{0x10, RIG_OK, X86_EXC_GP},
		{0x17, RIG_OK, X86_EXC_GP},	{0x18, RIG_OK, X86_EXC_GP},
		{0x27, RIG_OK, X86_EXC_GP},	{0x28, RIG_OK, RIG_OK},
		{0x31, X86_EXC_GP, X86_EXC_GP}, {0x32, RIG_OK, RIG_OK},
		{0x37, RIG_OK, RIG_OK},		{0x38, RIG_OK, RIG_OK},
		{0x39, RIG_OK, X86_EXC_GP},	{0x3E, RIG_OK, RIG_OK},
		{0x00, X86_EXC_GP, X86_EXC_GP}, {0x01, X86_EXC_GP, X86_EXC_GP},
		{0x40, X86_EXC_GP, X86_EXC_GP}, {0xFF, X86_EXC_GP, X86_EXC_GP},
	};
	struct rig r;
	uint64_t value;

	init(&r, 2);
	EXPECT_EQ(t, rig_rdmsr(&r, 1, X2APIC(2), &value),
		  X86_EXC_GP); /* not before the mode is on */
	EXPECT_EQ(t, rig_wrmsr(&r, 1, MSR_APIC_BASE, BASE | ENABLE | X2), RIG_OK);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int got_read, got_write;

		rig_forget(&r, 1);
		got_read = rig_rdmsr(&r, 1, X2APIC(rows[i].reg), &value);
		rig_forget(&r, 1);
		got_write = rig_wrmsr(&r, 1, X2APIC(rows[i].reg), 0);
		if (got_read != rows[i].read || got_write != rows[i].write) {
			test_fail(t, __FILE__, __LINE__, "register 0x%x: read %d write %d",
				  rows[i].reg, got_read, got_write);
		}
	}
	EXPECT_EQ(t, rig_wrmsr(&r, 1, X2APIC(0x0B), 0), RIG_OK);
	EXPECT_EQ(t, rig_wrmsr(&r, 1, X2APIC(0x0B), 1), X86_EXC_GP);
	EXPECT_EQ(t, rig_rdmsr(&r, 1, X2APIC(0x0B), &value), X86_EXC_GP);
	EXPECT_EQ(t, rig_wrmsr(&r, 1, X2APIC(0x3F), 0x100), X86_EXC_GP);
	EXPECT_EQ(t, rig_rdmsr(&r, 1, X2APIC(0x3F), &value), X86_EXC_GP);
	EXPECT_EQ(t, rig_wrmsr(&r, 1, X2APIC(0x08), UINT64_C(1) << 32), X86_EXC_GP);
	rig_fini(&r);
}

static void sdm_x2apic_reserved_bits_of_lvt(struct test *t)
{
	struct rig r;

	init(&r, 1);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, MSR_APIC_BASE, BASE | ENABLE | X2 | BSP), RIG_OK);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, X2APIC(0x32), 0x000700FF), RIG_OK);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, X2APIC(0x32), UINT64_C(1) << 32), X86_EXC_GP);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, X2APIC(0x3E), 0x10), X86_EXC_GP);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, X2APIC(0x0F), 0x400), X86_EXC_GP);
	rig_fini(&r);
}

static void sdm_x2apic_identity_and_self_ipi(struct test *t)
{
	struct rig r;

	init(&r, 20);
	EXPECT_EQ(t, rig_wrmsr(&r, 19, MSR_APIC_BASE, BASE | ENABLE | X2), RIG_OK);
	EXPECT_EQ(t, rig_msr(&r, 19, X2APIC(2)), 19);
	EXPECT_EQ(t, rig_msr(&r, 19, X2APIC(0xD)), 1 << 16 | 1 << 3);
	EXPECT_EQ(t, rig_wrmsr(&r, 19, X2APIC(0x3F), 0x41), RIG_OK);
	rig_run(&r, 19);
	EXPECT_EQ(t, rig_interrupts(&r, 19, 0x41), 1);
	EXPECT_EQ(t, rig_wrmsr(&r, 19, X2APIC(0xB), 0), RIG_OK);
	/* The page is gone in this mode. */
	EXPECT_EQ(t, rig_read(&r, 19, BASE + VERSION, 4), RIG_OK);
	EXPECT_EQ(t, r.fake[19]->values[0], UINT64_MAX);
	rig_fini(&r);
}

/* ---- Priorities ---- */

static void sdm_apic_priorities(struct test *t)
{
	struct rig r;

	init(&r, 1);
	interrupt(t, &r, 0x31);
	interrupt(t, &r, 0x35); /* same class */
	interrupt(t, &r, 0x51);
	EXPECT(t, bit(&r, ISR, 0x51));
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x51), 1);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x35), 0);
	EXPECT_EQ(t, rig_apic_read(&r, 0, PPR), 0x50);
	EXPECT(t, bit(&r, IRR, 0x31) && bit(&r, IRR, 0x35));
	interrupt(t, &r, 0x61); /* nests */
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x61), 1);
	rig_eoi(&r, 0);
	EXPECT(t, !bit(&r, ISR, 0x61) && bit(&r, ISR, 0x51));
	rig_eoi(&r, 0);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x35), 1);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x31), 0); /* its class is in service */
	rig_eoi(&r, 0);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x31), 1);
	rig_eoi(&r, 0);
	EXPECT_EQ(t, rig_apic_read(&r, 0, PPR), 0);
	rig_fini(&r);
}

static void sdm_apic_task_priority(struct test *t)
{
	struct rig r;

	init(&r, 1);
	rig_apic_write(&r, 0, TPR, 0x45);
	EXPECT_EQ(t, rig_apic_read(&r, 0, PPR), 0x45);
	interrupt(t, &r, 0x4F);
	EXPECT(t, rig_took(&r, 0, -1));
	interrupt(t, &r, 0x50);
	EXPECT(t, rig_took(&r, 0, 0x50));
	rig_forget(&r, 0);
	rig_apic_write(&r, 0, TPR, 0x3F);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x4F), 1);
	rig_fini(&r);
}

/* An interrupt that is requested twice before it is taken is one; during service it is kept once more. */
static void sdm_apic_requests_merge(struct test *t)
{
	struct rig r;

	init(&r, 1);
	interrupt(t, &r, 0x41);
	interrupt(t, &r, 0x41);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	interrupt(t, &r, 0x41);
	interrupt(t, &r, 0x41);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x41), 1);
	rig_eoi(&r, 0);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x41), 2);
	rig_eoi(&r, 0);
	EXPECT(t, rig_took(&r, 0, -1));
	rig_eoi(&r, 0); /* nothing in service: no effect */
	EXPECT(t, rig_took(&r, 0, -1));
	rig_fini(&r);
}

static void sdm_apic_level_triggered_eoi(struct test *t)
{
	struct hv_x64_apic_eoi_message m;
	struct rig r;

	init(&r, 1);
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeFixed, 0x41, 0, HV_INTERRUPT_CONTROL_LEVEL),
		  HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT(t, bit(&r, TMR, 0x41));
	EXPECT_EQ(t, r.messages, 0);
	/* The IOAPIC behind the parent has to know. */
	EXPECT_EQ(t, rig_write(&r, 0, BASE + EOI, 4, 0), RIG_INTERCEPT);
	EXPECT_EQ(t, r.message.type, (uint32_t)HvMessageTypeX64ApicEoi);
	memcpy(&m, r.message.payload, sizeof(m));
	EXPECT_EQ(t, m.vp_index, 0);
	EXPECT_EQ(t, m.interrupt_vector, 0x41);
	/* An edge one on the same vector needs no message. */
	interrupt(t, &r, 0x41);
	EXPECT(t, rig_took(&r, 0, 0x41));
	EXPECT_EQ(t, r.messages, 1);
	rig_fini(&r);
}

static void sdm_interrupt_window(struct test *t)
{
	struct rig r;

	init(&r, 1);
	fake_reg(r.fake[0], HvX64RegisterRflags)->lo &= ~(uint64_t)X86_IF;
	interrupt(t, &r, 0x41);
	EXPECT(t, rig_took(&r, 0, -1));
	EXPECT(t, r.fake[0]->how.want_interrupt_window);
	EXPECT(t, bit(&r, IRR, 0x41));
	fake_reg(r.fake[0], HvX64RegisterRflags)->lo |= X86_IF;
	r.fake[0]->shadow = true;
	EXPECT(t, rig_took(&r, 0, -1));
	r.fake[0]->shadow = false;
	EXPECT(t, rig_took(&r, 0, 0x41));
	EXPECT(t, !r.fake[0]->how.want_interrupt_window);
	rig_fini(&r);
}

static void sdm_nmi_window(struct test *t)
{
	struct rig r;

	init(&r, 1);
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeNmi, 0, 0, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, r.fake[0]->event_count, 1);
	EXPECT_EQ(t, r.fake[0]->events[0].kind, FAKE_NMI);
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeNmi, 0, 0, 0), HV_STATUS_SUCCESS);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, r.fake[0]->event_count, 1); /* blocked until IRET */
	EXPECT(t, r.fake[0]->how.want_nmi_window);
	r.fake[0]->nmi_blocked = false;
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, r.fake[0]->event_count, 2);
	rig_fini(&r);
}

/* ---- The 8259 behind LINT0 ---- */

static void sdm_extint(struct test *t)
{
	uint32_t seen;
	struct rig r;

	rig_init(&r, NULL); /* virtual wire mode from reset */
	hv_partition_set_extint(r.partition, true);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_INTERCEPT);
	EXPECT_EQ(t, r.message.type, (uint32_t)HvMessageTypeX64InterruptionDeliverable);
	EXPECT_EQ(t,
		  rig_reg_set(&r, 0, HvRegisterPendingInterruption,
			      HV_PENDING_INTERRUPTION_EXTERNAL(8)),
		  HV_STATUS_SUCCESS);
	hv_partition_set_extint(r.partition, false);
	EXPECT(t, rig_took(&r, 0, 8));
	/* No trace in the APIC: it is the 8259's interrupt. */
	EXPECT_EQ(t, rig_apic_read(&r, 0, ISR), 0);
	/* Masked LINT0: the line is not looked at. */
	rig_apic_write(&r, 0, LVT_LINT0, MASKED | 0x700);
	hv_partition_set_extint(r.partition, true);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	rig_apic_write(&r, 0, SVR, 0x1FF);
	rig_apic_write(&r, 0, LVT_LINT0, 0x700);
	EXPECT_EQ(t, r.message.type, (uint32_t)HvMessageTypeX64InterruptionDeliverable);
	/* There was nothing behind it: the parent drops the line, but only if nobody raised it again. */
	seen = hv_partition_extint(r.partition);
	hv_partition_set_extint(r.partition, true);
	hv_partition_extint_drop(r.partition, seen);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_INTERCEPT);
	hv_partition_extint_drop(r.partition, hv_partition_extint(r.partition));
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	rig_fini(&r);
}

/* With the APIC switched off in its base register the 8259 is wired to the processor, and messages find nobody. */
static void sdm_apic_hardware_disable(struct test *t)
{
	struct rig r;

	init(&r, 1);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, MSR_APIC_BASE, BASE | BSP), RIG_OK);
	interrupt(t, &r, 0x41);
	EXPECT_EQ(t, rig_assert(&r, HvX64InterruptTypeNmi, 0, 0, 0), HV_STATUS_SUCCESS);
	EXPECT(t, rig_took(&r, 0, -1));
	EXPECT_EQ(t, r.fake[0]->event_count, 0);
	EXPECT_EQ(t, rig_read(&r, 0, BASE + VERSION, 4), RIG_OK);
	EXPECT_EQ(t, r.fake[0]->values[0], UINT64_MAX);
	hv_partition_set_extint(r.partition, true);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_INTERCEPT);
	EXPECT_EQ(t, r.message.type, (uint32_t)HvMessageTypeX64InterruptionDeliverable);
	rig_fini(&r);
}

static void sdm_extint_wakes_a_halted_vp(struct test *t)
{
	struct rig r;

	rig_init(&r, NULL);
	EXPECT_EQ(t, rig_halt(&r, 0), RIG_BLOCKED);
	hv_partition_set_extint(r.partition, true);
	EXPECT_EQ(t, r.wake[0].count, 1);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_INTERCEPT);
	hv_partition_extint_drop(r.partition, hv_partition_extint(r.partition));
	EXPECT_EQ(t, rig_run(&r, 0), RIG_BLOCKED); /* a false alarm leaves it halted */
	hv_partition_set_extint(r.partition, true);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_INTERCEPT);
	EXPECT_EQ(t,
		  rig_reg_set(&r, 0, HvRegisterPendingInterruption,
			      HV_PENDING_INTERRUPTION_EXTERNAL(0x30)),
		  HV_STATUS_SUCCESS);
	hv_partition_set_extint(r.partition, false);
	rig_forget(&r, 0);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	EXPECT_EQ(t, rig_interrupts(&r, 0, 0x30), 1);
	rig_fini(&r);
}

/* ---- Timer ---- */

static void sdm_timer_one_shot(struct test *t)
{
	static const struct {
		uint32_t divide;
		uint32_t by;
	} rows[] = {{0x0, 2},  {0x1, 4},  {0x2, 8},   {0x3, 16},
		    {0x8, 32}, {0x9, 64}, {0xA, 128}, {0xB, 1}};
	struct rig r;

	init(&r, 1);
	rig_apic_write(&r, 0, LVT_TIMER, TIMER_VECTOR);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t tick = APIC_TICK * rows[i].by;

		rig_apic_write(&r, 0, DIVIDE, rows[i].divide);
		rig_apic_write(&r, 0, INITIAL, 1000);
		EXPECT_EQ(t, rig_apic_read(&r, 0, CURRENT), 1000);
		rig_time(&r, 400 * tick);
		EXPECT_EQ(t, rig_apic_read(&r, 0, CURRENT), 600);
		rig_time(&r, 600 * tick - 1);
		EXPECT(t, rig_took(&r, 0, -1));
		rig_time(&r, 1);
		EXPECT(t, rig_took(&r, 0, TIMER_VECTOR));
		EXPECT_EQ(t, rig_apic_read(&r, 0, CURRENT), 0);
		rig_time(&r, 5000 * tick);
		EXPECT(t, rig_took(&r, 0, -1));
	}
	rig_fini(&r);
}

static void sdm_timer_periodic(struct test *t)
{
	const uint64_t tick = APIC_TICK;
	struct rig r;

	init(&r, 1);
	rig_apic_write(&r, 0, DIVIDE, 0xB);
	rig_apic_write(&r, 0, LVT_TIMER, TIMER_VECTOR | 0x20000);
	rig_apic_write(&r, 0, INITIAL, 1000);
	for (unsigned i = 0; i < 5; i++) {
		rig_time(&r, 1000 * tick - 1);
		EXPECT(t, rig_took(&r, 0, -1));
		rig_time(&r, 1);
		EXPECT(t, rig_took(&r, 0, TIMER_VECTOR));
	}
	/* Missed ones are one interrupt, and the phase stays. */
	rig_time(&r, 3500 * tick);
	EXPECT(t, rig_took(&r, 0, TIMER_VECTOR));
	EXPECT_EQ(t, rig_apic_read(&r, 0, CURRENT), 500);
	rig_time(&r, 500 * tick);
	EXPECT(t, rig_took(&r, 0, TIMER_VECTOR));
	rig_apic_write(&r, 0, INITIAL, 0);
	rig_time(&r, 5000 * tick);
	EXPECT(t, rig_took(&r, 0, -1));
	rig_fini(&r);
}

static void sdm_timer_masked(struct test *t)
{
	struct rig r;

	init(&r, 1);
	rig_apic_write(&r, 0, DIVIDE, 0xB);
	rig_apic_write(&r, 0, LVT_TIMER, TIMER_VECTOR | MASKED);
	rig_apic_write(&r, 0, INITIAL, 1000);
	rig_time(&r, 500 * APIC_TICK);
	EXPECT_EQ(t, rig_apic_read(&r, 0, CURRENT), 500); /* calibration loops read it masked */
	rig_time(&r, 1000 * APIC_TICK);
	EXPECT(t, rig_took(&r, 0, -1));
	rig_apic_write(&r, 0, LVT_TIMER, TIMER_VECTOR);
	EXPECT(t, rig_took(&r, 0, -1));
	rig_fini(&r);
}

static void sdm_timer_wakes_a_halted_vp(struct test *t)
{
	struct rig r;

	init(&r, 1);
	rig_apic_write(&r, 0, DIVIDE, 0xB);
	rig_apic_write(&r, 0, LVT_TIMER, TIMER_VECTOR);
	rig_apic_write(&r, 0, INITIAL, HV_APIC_HZ / 1000); /* 1 ms */
	EXPECT_EQ(t, rig_halt(&r, 0), RIG_BLOCKED);
	EXPECT(t, r.wake_ns >= 1000000 && r.wake_ns <= 1000010);
	rig_time(&r, HV_APIC_HZ / 1000 * APIC_TICK);
	EXPECT(t, rig_took(&r, 0, TIMER_VECTOR));
	rig_fini(&r);
}

/* The engine's clock is ahead of the guest's: what is further away than it can count does not come at once instead. */
static void sdm_timer_tsc_deadline_far_away(struct test *t)
{
	static const uint64_t far_away[] = {UINT64_MAX, UINT64_MAX - 1,
					    UINT64_MAX - (UINT64_C(1) << 31), UINT64_C(1) << 63};
	struct rig r;

	init(&r, 1);
	rig_apic_write(&r, 0, LVT_TIMER, TIMER_VECTOR | 0x40000);
	for (size_t i = 0; i < ARRAY_LEN(far_away); i++) {
		EXPECT_EQ(t, rig_wrmsr(&r, 0, MSR_TSC_DEADLINE, far_away[i]), RIG_OK);
		EXPECT(t, r.fake[0]->how.deadline_tsc > r.machine.now + (UINT64_C(1) << 62));
		EXPECT(t, rig_took(&r, 0, -1));
		EXPECT_EQ(t, rig_msr(&r, 0, MSR_TSC_DEADLINE), far_away[i]);
	}
	rig_fini(&r);
}

static void sdm_timer_tsc_deadline(struct test *t)
{
	uint64_t tsc;
	struct rig r;

	init(&r, 1);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, MSR_TSC_DEADLINE, 5), RIG_OK);
	EXPECT_EQ(t, rig_msr(&r, 0, MSR_TSC_DEADLINE), 0); /* not in this mode */
	rig_apic_write(&r, 0, LVT_TIMER, TIMER_VECTOR | 0x40000);
	/* Also with a TSC that the guest moved. */
	for (unsigned round = 0; round < 2; round++) {
		tsc = rig_msr(&r, 0, MSR_TSC);
		EXPECT_EQ(t, rig_wrmsr(&r, 0, MSR_TSC_DEADLINE, tsc + 100000), RIG_OK);
		EXPECT_EQ(t, rig_msr(&r, 0, MSR_TSC_DEADLINE), tsc + 100000);
		rig_time(&r, 99999);
		EXPECT(t, rig_took(&r, 0, -1));
		rig_time(&r, 1);
		EXPECT(t, rig_took(&r, 0, TIMER_VECTOR));
		EXPECT_EQ(t, rig_msr(&r, 0, MSR_TSC_DEADLINE), 0);
		EXPECT_EQ(t, rig_wrmsr(&r, 0, MSR_TSC, UINT64_C(1) << 60), RIG_OK);
	}
	/* In the past: at once. Writing 0 disarms. */
	EXPECT_EQ(t, rig_wrmsr(&r, 0, MSR_TSC_DEADLINE, 1), RIG_OK);
	EXPECT_EQ(t, rig_run(&r, 0), RIG_OK);
	rig_eoi(&r, 0);
	tsc = rig_msr(&r, 0, MSR_TSC);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, MSR_TSC_DEADLINE, tsc + 1000), RIG_OK);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, MSR_TSC_DEADLINE, 0), RIG_OK);
	rig_time(&r, 2000);
	EXPECT(t, rig_took(&r, 0, -1));
	/* Leaving the mode disarms too. */
	EXPECT_EQ(t, rig_wrmsr(&r, 0, MSR_TSC_DEADLINE, rig_msr(&r, 0, MSR_TSC) + 1000), RIG_OK);
	rig_apic_write(&r, 0, LVT_TIMER, TIMER_VECTOR);
	rig_time(&r, 2000);
	EXPECT(t, rig_took(&r, 0, -1));
	/* The initial count does nothing in deadline mode. */
	rig_apic_write(&r, 0, LVT_TIMER, TIMER_VECTOR | 0x40000);
	rig_apic_write(&r, 0, INITIAL, 10);
	EXPECT_EQ(t, rig_apic_read(&r, 0, CURRENT), 0);
	rig_time(&r, 1000000);
	EXPECT(t, rig_took(&r, 0, -1));
	rig_fini(&r);
}

/* A deadline that is armed when the guest moves its TSC fires at the deadline in the new TSC. */
static void sdm_timer_tsc_moved_under_a_deadline(struct test *t)
{
	struct rig r;

	init(&r, 1);
	rig_apic_write(&r, 0, LVT_TIMER, TIMER_VECTOR | 0x40000);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, MSR_TSC, 1000), RIG_OK);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, MSR_TSC_DEADLINE, 5000), RIG_OK);
	EXPECT_EQ(t, rig_wrmsr(&r, 0, MSR_TSC, 4000), RIG_OK);
	rig_time(&r, 999);
	EXPECT(t, rig_took(&r, 0, -1));
	rig_time(&r, 1);
	EXPECT(t, rig_took(&r, 0, TIMER_VECTOR));
	rig_fini(&r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(sdm_apic_reset_values),
		TEST(sdm_apic_writable_bits),
		TEST(sdm_apic_software_disable),
		TEST(sdm_apic_error_status),
		TEST(sdm_apic_illegal_vector_received),
		TEST(sdm_apic_odd_accesses),
		TEST(sdm_apic_base_transitions),
		TEST(sdm_apic_base_moves_the_page),
		TEST(sdm_x2apic_registers),
		TEST(sdm_x2apic_reserved_bits_of_lvt),
		TEST(sdm_x2apic_identity_and_self_ipi),
		TEST(sdm_apic_priorities),
		TEST(sdm_apic_task_priority),
		TEST(sdm_apic_requests_merge),
		TEST(sdm_apic_level_triggered_eoi),
		TEST(sdm_interrupt_window),
		TEST(sdm_nmi_window),
		TEST(sdm_extint),
		TEST(sdm_apic_hardware_disable),
		TEST(sdm_extint_wakes_a_halted_vp),
		TEST(sdm_timer_one_shot),
		TEST(sdm_timer_periodic),
		TEST(sdm_timer_masked),
		TEST(sdm_timer_wakes_a_halted_vp),
		TEST(sdm_timer_tsc_deadline),
		TEST(sdm_timer_tsc_deadline_far_away),
		TEST(sdm_timer_tsc_moved_under_a_deadline),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
