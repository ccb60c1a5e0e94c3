// SPDX-License-Identifier: Apache-2.0
/* Results and the C library functions that the compiler calls; 32- and 64-bit. */
#include "report.h"

static struct {
	const char *name;
	unsigned number, failures, failed_tests;
} tests;

void *memcpy(void *to, const void *from, size_t bytes)
{
	void *ret = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
	return ret;
}

void *memset(void *to, int c, size_t bytes)
{
	void *ret = to;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(c) : "memory");
	return ret;
}

void print(const char *text)
{
	while (*text != 0) {
		/* On a serial port: until it takes one more. */
		while (PORT_CHAR != PORT_TEST_HOST_CHAR && (inb(PORT_CHAR + 5) & 0x20) == 0) {
		}
		outb(PORT_CHAR, (uint8_t)*text++);
	}
}

void print_decimal(unsigned v)
{
	char buf[12];
	unsigned at = sizeof(buf);

	buf[--at] = 0;
	do {
		buf[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	print(buf + at);
}

void print_hex(uint64_t value)
{
	char buf[19] = "0x";

	for (unsigned i = 0; i < 16; i++) {
		buf[2 + i] = "0123456789abcdef"[(value >> (60 - 4 * i)) & 15];
	}
	print(buf);
}

void test_begin(const char *name)
{
	tests.name = name;
	tests.failures = 0;
}

void test_skip(const char *name, const char *why)
{
	print("ok ");
	print_decimal(++tests.number);
	print(" - ");
	print(name);
	print(" # SKIP ");
	print(why);
	print("\n");
}

void test_end(void)
{
	print(tests.failures != 0 ? "not ok " : "ok ");
	print_decimal(++tests.number);
	print(" - ");
	print(tests.name);
	print("\n");
	tests.failed_tests += tests.failures != 0;
}

void check_eq(const char *what, uint64_t got, uint64_t want)
{
	if (got == want) {
		return;
	}
	tests.failures++;
	print("# ");
	print(tests.name);
	print(": ");
	print(what);
	print(": got ");
	print_hex(got);
	print(", want ");
	print_hex(want);
	print("\n");
}

void test_plan(void)
{
	print("1..");
	print_decimal(tests.number);
	print("\n");
}

_Noreturn void guest_exit(void)
{
	test_plan();
	outb(PORT_EXIT, tests.failed_tests != 0);
	for (;;) {
		__asm__ volatile("cli; hlt");
	}
}

bool on_test_host(void)
{
	return inb(PORT_HOST) == 0x56;
}

bool on_kvm(void)
{
	return inb(PORT_KVM) == 1;
}

bool on_emulated_host(void)
{
	return inb(PORT_HOST) == 0x57;
}
