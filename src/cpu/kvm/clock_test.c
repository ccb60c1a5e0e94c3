// SPDX-License-Identifier: Apache-2.0
/* The rate of the guest's time stamp counter: taken over by engines that can, refused whole by those that cannot. */
#include "test_kvm.h"

#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "emu/emu.h"

#define EMU_HZ UINT64_C(1000000000) /* what machine_init says of its clock */

static bool can_scale(const struct test_machine *m)
{
	return m->ops == &emu_engine_ops ||
	       ioctl(device, KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL) > 0;
}

/* The engine's clock against the host's, over some time: ticks a second. Whatever interrupts this, the bounds hold. */
static bool ticks_at(struct test_machine *m, uint64_t host_hz, uint64_t hz)
{
	uint64_t before = __builtin_ia32_rdtsc(), engine = m->ops->tsc(m->vm);
	uint64_t begin = __builtin_ia32_rdtsc(), end;

	while (__builtin_ia32_rdtsc() - begin < host_hz / 50) {
	}
	end = __builtin_ia32_rdtsc();
	engine = m->ops->tsc(m->vm) - engine;
	return engine + 2 >= mul_div_u64(end - begin, hz, host_hz) &&
	       engine <= mul_div_u64(__builtin_ia32_rdtsc() - before, hz, host_hz) + 2;
}

/* What the guest reads lies between what the engine says before and after. */
static bool guest_agrees(struct test_machine *m)
{
	uint64_t before, after, seen;

	machine_set(m, 0, HvX64RegisterRip, CODE);
	before = m->ops->tsc(m->vm);
	if (machine_run(m, 0) != HV_EXIT_HALT) {
		return false;
	}
	after = m->ops->tsc(m->vm);
	seen = machine_get(m, 0, HvX64RegisterRdx) << 32 | machine_get(m, 0, HvX64RegisterRax);
	return seen >= before && seen <= after;
}

static void rates(struct test *t, const struct hv_engine_ops *ops)
{
	static const uint8_t code[] = {0x0F, 0x31, 0xF4}; /* rdtsc; hlt */
	static const uint64_t per_1000[] = {437, 2300, 999, 1000};
	struct test_machine m;
	uint64_t own, host_hz;

	if (!machine_init(&m, ops, device)) {
		test_fail(t, __FILE__, __LINE__, "no machine");
		return;
	}
	machine_code(&m, CODE, code, sizeof(code));
	own = ops->tsc_hz(m.vm);
	host_hz = ops == &emu_engine_ops ? EMU_HZ : own;
	for (size_t i = 0; i < ARRAY_LEN(per_1000); i++) {
		uint64_t hz = own / 1000 * per_1000[i];
		bool taken = ops->set_tsc_hz(m.vm, hz);

		EXPECT_EQ(t, taken, can_scale(&m) || per_1000[i] == 1000);
		EXPECT(t, hv_engine_same_rate(ops->tsc_hz(m.vm), taken ? hz : own));
		EXPECT(t, ticks_at(&m, host_hz, ops->tsc_hz(m.vm)));
		ops->set_tsc_offset(m.vps[0], 0);
		EXPECT(t, guest_agrees(&m));
	}
	machine_fini(&m);
}

static void test_emu(struct test *t)
{
	rates(t, &emu_engine_ops);
}

static void test_kvm(struct test *t)
{
	if (no_device != NULL) {
		SKIP(t, no_device);
	}
	rates(t, &kvm_engine_ops);
}

/* A state's rate that is this host's but for a hair is no other rate. */
static void test_tolerance(struct test *t)
{
	const uint64_t hz = 2000000000;

	EXPECT(t, hv_engine_same_rate(hz, hz));
	EXPECT(t, hv_engine_same_rate(hz + 500000, hz) && hv_engine_same_rate(hz - 500000, hz));
	EXPECT(t, !hv_engine_same_rate(hz + 500001, hz) && !hv_engine_same_rate(hz - 500001, hz));
	EXPECT(t, !hv_engine_same_rate(0, hz) && !hv_engine_same_rate(hz, 0));
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_emu), TEST(test_kvm),
						 TEST(test_tolerance)};

	open_device();
	return test_main(cases, ARRAY_LEN(cases));
}
