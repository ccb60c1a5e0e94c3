/* SPDX-License-Identifier: Apache-2.0 */
/* This host's KVM for tests, and test machines on it. One source file of a program includes it. */
#ifndef KVM_TEST_KVM_H
#define KVM_TEST_KVM_H

#include "kvm/kvm.h"
#include "test_machine.h"

static int device = -1;
static const char *no_device; /* why there are no machines */

static inline void open_device(void)
{
	device = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	no_device = device < 0 ? "/dev/kvm cannot be opened" : kvm_engine_lacks(device);
}

/* Begins every test: machine @m, which the condition @starts sets up, and the code for it; or a reason why there is none. */
#define MACHINE_THAT(t, m, starts, ...)                                                            \
	static const uint8_t code_[] = {__VA_ARGS__};                                              \
	struct test_machine m;                                                                     \
	if (no_device != NULL) {                                                                   \
		SKIP(t, no_device);                                                                \
	}                                                                                          \
	if (!(starts)) {                                                                           \
		test_fail(t, __FILE__, __LINE__, "no machine");                                    \
		return;                                                                            \
	}                                                                                          \
	machine_code(&m, CODE, code_, sizeof(code_))

#define MACHINE(t, m, ...)                                                                         \
	MACHINE_THAT(t, m, machine_init(&m, &kvm_engine_ops, device), __VA_ARGS__)

#endif
