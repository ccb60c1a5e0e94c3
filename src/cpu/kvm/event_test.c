// SPDX-License-Identifier: Apache-2.0
/* Events on their way in: interrupts and their windows, NMIs, exceptions, the task priority; and a VP's state carried from one engine to the other. */
#include "test_kvm.h"

#include "emu/emu.h"
#include "hv/engine_state.h"
#include "hv/saved_registers.h"

#define VECTOR 0x30u

static uint64_t handler(unsigned vector)
{
	return HANDLER + 16 * vector;
}

static uint64_t stacked(struct test_machine *m, unsigned word)
{
	return load_le64(m->ram + machine_get(m, 0, HvX64RegisterRsp) + 8 * word);
}

static void test_interrupt_window(struct test *t)
{
	MACHINE(t, m, 0x90, /* nop */
		0xFB,	    /* sti */
		0x90, 0xEB, 0xFE);
	const struct hv_run how = {.deadline_tsc = NO_DEADLINE, .want_interrupt_window = true};

	machine_code(&m, handler(VECTOR), "\xF4", 1);
	EXPECT(t, !m.ops->can_interrupt(m.vps[0]));
	do {
		m.ops->run(m.vps[0], &how, &m.exit);
	} while (m.exit.kind == HV_EXIT_INTERRUPTED);
	EXPECT_EQ(t, m.exit.kind, HV_EXIT_INTERRUPT_WINDOW);
	EXPECT(t, machine_get(&m, 0, HvX64RegisterRip) >= CODE + 3);
	EXPECT(t, m.ops->can_interrupt(m.vps[0]));
	m.ops->inject_interrupt(m.vps[0], VECTOR);
	EXPECT(t, !m.ops->can_interrupt(m.vps[0]));
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRip), handler(VECTOR) + 1);
	EXPECT_EQ(t, stacked(&m, 0), CODE + 3);
	EXPECT(t, !m.ops->can_interrupt(m.vps[0])); /* the gate has cleared IF */
	machine_fini(&m);
}

static void test_wake_from_halt(struct test *t)
{
	MACHINE(t, m, 0xFB, 0xF4, 0xE6, 0x10); /* sti; hlt; out 0x10, al */
	const uint8_t iretq[] = {0x48, 0xCF};

	machine_code(&m, handler(VECTOR), iretq, sizeof(iretq));
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
	EXPECT(t, m.ops->can_interrupt(m.vps[0]));
	m.ops->inject_interrupt(m.vps[0], VECTOR);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_PORT);
	EXPECT_EQ(t, m.exit.port.port, 0x10);
	machine_fini(&m);
}

/* An interrupt that comes with the answer to an exit hits the instruction behind it. */
static void test_interrupt_after_port(struct test *t)
{
	MACHINE(t, m, 0xFB, 0x90, 0xE4, 0x10, 0x90, 0xF4); /* sti; nop; in al, 0x10; nop; hlt */

	machine_code(&m, handler(VECTOR), "\xF4", 1);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_PORT);
	EXPECT(t, !m.ops->can_interrupt(m.vps[0])); /* it has not retired */
	machine_answer(&m, 0, 0x5A);
	EXPECT(t, m.ops->can_interrupt(m.vps[0]));
	m.ops->inject_interrupt(m.vps[0], VECTOR);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
	EXPECT_EQ(t, stacked(&m, 0), CODE + 4);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRax) & 0xFF, 0x5A);
	machine_fini(&m);
}

/* The second one waits for the first one's IRET. */
static void test_nmi(struct test *t)
{
	MACHINE(t, m, 0x90, 0xE4, 0x10, 0x90, 0xF4);
	static const uint8_t count[] = {0x48, 0xFF, 0x03, /* inc qword [rbx] */
					0xE4, 0x11,	  /* in al, 0x11 */
					0x48, 0xCF};	  /* iretq */

	machine_code(&m, handler(X86_EXC_NMI), count, sizeof(count));
	machine_set(&m, 0, HvX64RegisterRbx, DATA);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_PORT);
	machine_answer(&m, 0, 0);
	EXPECT(t, m.ops->can_nmi(m.vps[0]));
	m.ops->inject_nmi(m.vps[0]);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_PORT);
	EXPECT_EQ(t, m.exit.port.port, 0x11);
	EXPECT_EQ(t, load_le64(m.ram + DATA), 1);
	machine_answer(&m, 0, 0);
	EXPECT(t, m.ops->can_nmi(m.vps[0]));
	m.ops->inject_nmi(m.vps[0]);
	EXPECT(t, !m.ops->can_nmi(m.vps[0]));
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_PORT);
	EXPECT_EQ(t, load_le64(m.ram + DATA), 2);
	machine_answer(&m, 0, 0);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRip), CODE + 5);
	machine_fini(&m);
}

static void test_exceptions(struct test *t)
{
	static const struct {
		uint8_t vector;
		bool has_error;
		uint32_t error;
		uint64_t parameter;
	} rows[] = {{X86_EXC_PF, true, 0x6, 0xDEAD000},
		    {X86_EXC_GP, true, 0x38, 0},
		    {X86_EXC_UD, false, 0, 0},
		    {X86_EXC_DE, false, 0, 0},
		    {X86_EXC_AC, true, 0, 0}};
	MACHINE(t, m, 0x90, 0xEB, 0xFD);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		machine_code(&m, handler(rows[i].vector), "\xF4", 1);
		machine_set(&m, 0, HvX64RegisterRip, CODE);
		machine_set(&m, 0, HvX64RegisterRsp, STACK);
		m.ops->inject_exception(m.vps[0], rows[i].vector, rows[i].has_error, rows[i].error,
					rows[i].parameter);
		machine_set(&m, 0, HvX64RegisterRdx,
			    i); /* what is set afterwards does not drop it */
		EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
		EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRip), handler(rows[i].vector) + 1);
		EXPECT_EQ(t, stacked(&m, rows[i].has_error), CODE);
		if (rows[i].has_error) {
			EXPECT_EQ(t, stacked(&m, 0), rows[i].error);
		}
		if (rows[i].vector == X86_EXC_PF) {
			EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterCr2), rows[i].parameter);
		}
	}
	machine_fini(&m);
}

static void test_priority(struct test *t)
{
	MACHINE(t, m, 0x44, 0x0F, 0x20, 0xC1, /* mov rcx, cr8 */
		0x44, 0x0F, 0x22, 0xC0,	      /* mov cr8, rax: up */
		0xE6, 0x10,		      /* out 0x10, al */
		0x44, 0x0F, 0x22, 0xC3,	      /* mov cr8, rbx: down */
		0xF4);
	const struct hv_run how = {.deadline_tsc = NO_DEADLINE};

	machine_set(&m, 0, HvX64RegisterRax, 9);
	machine_set(&m, 0, HvX64RegisterRbx, 2);
	m.ops->set_cr8(m.vps[0], 5);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_PORT);
	EXPECT_EQ(t, machine_get(&m, 0, HvX64RegisterRcx), 5);
	EXPECT_EQ(t, m.ops->get_cr8(m.vps[0]), 9);
	machine_answer(&m, 0, 0);
	m.ops->run(m.vps[0], &how, &m.exit);
	EXPECT_EQ(t, m.exit.kind, HV_EXIT_INTERRUPTED);
	EXPECT_EQ(t, m.ops->get_cr8(m.vps[0]), 2);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
	machine_fini(&m);
}

/* ---- From one engine to the other ---- */

static void carry_register(struct test *t, struct test_machine *from, struct test_machine *to,
			   uint32_t name)
{
	struct hv_u128 v, present;

	if (!from->ops->reg_get(from->vps[0], name, &v)) {
		EXPECT(t, !to->ops->reg_get(to->vps[0], name, &present));
	} else if (!to->ops->reg_set(to->vps[0], name, &v)) {
		EXPECT(t, to->ops->reg_get(to->vps[0], name, &present));
		EXPECT_EQ(t, present.lo, v.lo);
	}
}

static void carry(struct test *t, struct test_machine *from, struct test_machine *to)
{
	uint8_t state[4096];
	size_t bytes;

	memcpy(to->ram, from->ram, RAM_PAGES * 4096);
	for (size_t i = 0; i < ARRAY_LEN(hv_saved_registers); i++) {
		for (uint32_t name = hv_saved_registers[i].first;
		     name <= hv_saved_registers[i].last; name++) {
			carry_register(t, from, to, name);
		}
	}
	bytes = from->ops->save(from->vps[0], state, sizeof(state));
	EXPECT(t, bytes <= sizeof(state));
	EXPECT(t, to->ops->restore(to->vps[0], state, bytes));
}

static bool both(struct test *t, struct test_machine *kvm, struct test_machine *emu)
{
	if (machine_init(kvm, &kvm_engine_ops, device) && machine_init(emu, &emu_engine_ops, -1)) {
		return true;
	}
	test_fail(t, __FILE__, __LINE__, "no machines");
	return false;
}

/* Sums on the x87 and in SSE registers, with a port access in every round. */
static const uint8_t sums[] = {0xD9, 0xE8,	       /* fld1 */
			       0xD8, 0xC1,	       /* 10: fadd st0, st1 */
			       0xD9, 0xC0,	       /* fld st0 */
			       0xDD, 0xD9,	       /* fstp st1 */
			       0xF2, 0x0F, 0x58, 0xC1, /* addsd xmm0, xmm1 */
			       0x66, 0x0F, 0xEF, 0xD0, /* pxor xmm2, xmm0 */
			       0x48, 0x0F, 0xAF, 0xC1, /* imul rax, rcx */
			       0x48, 0xFF, 0xC0,       /* inc rax */
			       0xE6, 0x10,	       /* out 0x10, al */
			       0x48, 0xFF, 0xC9,       /* dec rcx */
			       0x75, 0xE4,	       /* jnz 10 */
			       0xF4};

static void prepare(struct test_machine *m)
{
	machine_code(m, CODE, sums, sizeof(sums));
	machine_set(m, 0, HvX64RegisterRcx, 12);
	machine_set(m, 0, HvX64RegisterRdx, 0); /* RESET leaves the model there */
	machine_set(m, 0, HvX64RegisterRax, 1);
	machine_set128(m, 0, HvX64RegisterXmm0 + 1, UINT64_C(0x3FF8000000000000), 7);
	machine_set(m, 0, HvX64RegisterFpControlStatus, 0x37F);
}

static void test_carry(struct test *t)
{
	struct test_machine kvm, emu, alone, *at = &kvm;
	struct hv_u128 want, got;
	unsigned rounds = 0;

	if (no_device != NULL) {
		SKIP(t, no_device);
	}
	if (!both(t, &kvm, &emu) || !machine_init(&alone, &emu_engine_ops, -1)) {
		return;
	}
	prepare(&kvm);
	prepare(&alone);
	while (machine_run(&alone, 0) == HV_EXIT_PORT) {
		machine_answer(&alone, 0, 0);
	}
	while (machine_run(at, 0) == HV_EXIT_PORT && ++rounds < 100) {
		struct test_machine *other = at == &kvm ? &emu : &kvm;

		machine_answer(at, 0, 0);
		carry(t, at, other);
		at = other;
	}
	EXPECT_EQ(t, rounds, 12);
	EXPECT_EQ(t, at->exit.kind, HV_EXIT_HALT);
	for (uint32_t name = HvX64RegisterRax; name <= HvX64RegisterRflags; name++) {
		EXPECT_EQ(t, machine_get(at, 0, name), machine_get(&alone, 0, name));
	}
	for (uint32_t name = HvX64RegisterXmm0; name <= HvX64RegisterFpMmx7; name++) {
		EXPECT(t, at->ops->reg_get(at->vps[0], name, &got));
		EXPECT(t, alone.ops->reg_get(alone.vps[0], name, &want));
		EXPECT(t, got.lo == want.lo && got.hi == want.hi);
	}
	machine_fini(&kvm);
	machine_fini(&emu);
	machine_fini(&alone);
}

/* What is on its way in is delivered by the other engine. */
static void carry_event(struct test *t, bool to_kvm, unsigned vector)
{
	struct test_machine kvm, emu, *from, *to;

	if (!both(t, &kvm, &emu)) {
		return;
	}
	from = to_kvm ? &emu : &kvm;
	to = to_kvm ? &kvm : &emu;
	machine_code(from, CODE, "\xFB\x90\xE4\x10\x90\xF4",
		     6); /* sti; nop; in al, 0x10; nop; hlt */
	machine_code(from, handler(vector), "\xF4", 1);
	EXPECT_EQ(t, machine_run(from, 0), HV_EXIT_PORT);
	machine_answer(from, 0, 0);
	if (vector == X86_EXC_GP) {
		from->ops->inject_exception(from->vps[0], X86_EXC_GP, true, 0x18, 0);
	} else if (vector == X86_EXC_NMI) {
		from->ops->inject_nmi(from->vps[0]);
	} else {
		EXPECT(t, from->ops->can_interrupt(from->vps[0]));
		from->ops->inject_interrupt(from->vps[0], (uint8_t)vector);
	}
	carry(t, from, to);
	EXPECT_EQ(t, machine_run(to, 0), HV_EXIT_HALT);
	EXPECT_EQ(t, machine_get(to, 0, HvX64RegisterRip), handler(vector) + 1);
	EXPECT_EQ(t, stacked(to, vector == X86_EXC_GP), CODE + 4);
	EXPECT(t, vector != X86_EXC_NMI || to_kvm || !to->ops->can_nmi(to->vps[0]));
	machine_fini(&kvm);
	machine_fini(&emu);
}

static void test_carry_events(struct test *t)
{
	static const unsigned vectors[] = {X86_EXC_GP, X86_EXC_NMI, VECTOR};

	if (no_device != NULL) {
		SKIP(t, no_device);
	}
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		carry_event(t, false, vectors[i]);
		carry_event(t, true, vectors[i]);
	}
}

/* What a record holds; NULL: there is none. */
static const uint8_t *record(const uint8_t *state, size_t bytes, uint32_t wanted)
{
	struct state_reader r, payload;
	uint16_t version;
	uint32_t tag;

	state_reader_init(&r, state, bytes);
	while (state_next(&r, &tag, &version, &payload)) {
		if (tag == wanted) {
			return payload.buf;
		}
	}
	return NULL;
}

/* An NMI behind something else that is on its way in is told of apart; one that is alone is that something. */
static void test_nmi_behind(struct test *t)
{
	MACHINE(t, m, 0x90, 0xE4, 0x10, 0x90, 0xF4);
	uint8_t state[8192];

	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_PORT);
	machine_answer(&m, 0, 0);
	m.ops->inject_nmi(m.vps[0]);
	size_t bytes = m.ops->save(m.vps[0], state, sizeof(state));

	EXPECT(t, bytes <= sizeof(state) && record(state, bytes, HV_ENGINE_STATE_NMI) == NULL);
	m.ops->inject_exception(m.vps[0], X86_EXC_GP, true, 0x18, 0);
	bytes = m.ops->save(m.vps[0], state, sizeof(state));
	EXPECT(t, bytes <= sizeof(state) && record(state, bytes, HV_ENGINE_STATE_NMI) != NULL);
	machine_fini(&m);
}

/* An event that no processor raises is refused with the state, and not by KVM when the VP shall run. */
static void test_impossible_event(struct test *t)
{
	static const uint8_t vectors[] = {X86_EXC_NMI, 32, 255};
	MACHINE(t, m, 0xF4);
	uint8_t state[8192];

	m.ops->inject_exception(m.vps[0], X86_EXC_GP, true, 0x18, 0);
	size_t bytes = m.ops->save(m.vps[0], state, sizeof(state));
	const uint8_t *event = record(state, bytes, HV_ENGINE_STATE_EVENTS);

	EXPECT(t, event != NULL && event[1] == X86_EXC_GP);
	for (size_t i = 0; event != NULL && i < ARRAY_LEN(vectors); i++) {
		state[event + 1 - state] = vectors[i];
		EXPECT(t, !m.ops->restore(m.vps[0], state, bytes));
	}
	machine_fini(&m);
}

/* A VP that has made a hypercall goes on at what follows it in the page of another engine. */
static void test_hypercall_return(struct test *t)
{
	uint8_t ours[8], theirs[8];

	EXPECT_EQ(t, kvm_engine_ops.hypercall_insn(NULL, ours),
		  emu_engine_ops.hypercall_insn(NULL, theirs));
}

static void test_torn_state(struct test *t)
{
	MACHINE(t, m, 0xF4);
	uint8_t state[4096];
	size_t bytes = m.ops->save(m.vps[0], state, sizeof(state));

	/* Cut within a record; between two of them it is whole again, with less in it. */
	for (size_t n = 1; n < bytes; n++) {
		size_t fpu = 12 + load_le32(state + 8);

		EXPECT(t, n == fpu || !m.ops->restore(m.vps[0], state, n));
	}
	EXPECT(t, m.ops->restore(m.vps[0], state, bytes));
	machine_long_mode(&m, 0);
	EXPECT_EQ(t, machine_run(&m, 0), HV_EXIT_HALT);
	machine_fini(&m);
}

/* Some KVMs emulate what a kernel does, and only a part of that: nothing about events can be learned there. */
static const char *unfit(void)
{
	struct test_machine m;
	bool fit = machine_init(&m, &kvm_engine_ops, device);

	if (fit) {
		machine_code(&m, CODE, "\xD9\xE8\xF4", 3); /* fld1; hlt */
		fit = machine_run(&m, 0) == HV_EXIT_HALT;
	}
	machine_fini(&m);
	return fit ? NULL : "this KVM does not know all instructions of a kernel";
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_interrupt_window),
						 TEST(test_wake_from_halt),
						 TEST(test_interrupt_after_port),
						 TEST(test_nmi),
						 TEST(test_exceptions),
						 TEST(test_priority),
						 TEST(test_carry),
						 TEST(test_carry_events),
						 TEST(test_nmi_behind),
						 TEST(test_impossible_event),
						 TEST(test_hypercall_return),
						 TEST(test_torn_state)};

	open_device();
	if (no_device == NULL) {
		no_device = unfit();
	}
	return test_main(cases, ARRAY_LEN(cases));
}
