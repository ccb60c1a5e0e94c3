// SPDX-License-Identifier: Apache-2.0
/* Code that changes under the processor: by itself, by aliases, by a device, on page boundaries. */
#include "guest.h"

typedef uint32_t code_fn(void);

static uint32_t call(const volatile void *code)
{
	uint32_t v;

	__asm__ volatile("call *%1" : "=a"(v) : "r"(code) : "rcx", "rdx", "memory");
	return v;
}

/* mov $value, %eax; ret */
static void put_mov(volatile uint8_t *at, uint32_t value)
{
	at[0] = 0xb8;
	*(volatile uint32_t *)(at + 1) = value;
	at[5] = 0xc3;
}

static void test_rewrite(void)
{
	volatile uint8_t *p = test_map(1, 1, PTE_P | PTE_W);

	test_begin("rewritten code");
	put_mov(p, 1);
	CHECK_EQ(call(p), 1);
	CHECK_EQ(call(p), 1);
	put_mov(p, 2);
	CHECK_EQ(call(p), 2);
	for (uint32_t i = 0; i < 1000; i++) {
		p[1] = (uint8_t)i;
		if (call(p) != (uint8_t)i) {
			CHECK_EQ(call(p), (uint8_t)i);
			break;
		}
	}
	/* Data beside code on the same page. */
	for (uint32_t i = 0; i < 1000; i++) {
		*(volatile uint32_t *)(p + 2048) = i;
	}
	CHECK_EQ(call(p), 1000 - 1 - 768);
	/* Each kind of store. */
	__asm__ volatile("movups (%0), %%xmm0\n\tmovups %%xmm0, (%1)"
			 :
			 : "r"("\xb8\x34\x12\0\0\xc3zzzzzzzzzz"), "r"(p)
			 : "memory");
	CHECK_EQ(call(p), 0x1234);
	__asm__ volatile("lock incl (%0)" : : "r"(p + 1) : "memory");
	CHECK_EQ(call(p), 0x1235);
	__asm__ volatile("lock xaddl %%ecx, (%0)" : : "r"(p + 1), "c"(1) : "memory");
	CHECK_EQ(call(p), 0x1236);
	{
		const void *from = "\x77\x66";
		volatile void *to = p + 1;
		uint64_t n = 2;

		__asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(n) : : "memory");
	}
	CHECK_EQ(call(p), 0x6677);
	__asm__ volatile("movnti %k0, (%1)" : : "r"(0x55ull), "r"(p + 1) : "memory");
	CHECK_EQ(call(p), 0x55);
	__asm__ volatile("cmpxchg8b (%0)"
			 :
			 : "r"(p), "a"(*(volatile uint32_t *)p), "d"(*(volatile uint32_t *)(p + 4)),
			   "b"(0x000066b8), "c"(0xc300)
			 : "memory", "cc");
	CHECK_EQ(call(p), 0x66);
	test_end();
}

static void test_same_block(void)
{
	volatile uint8_t *p = test_map(1, 1, PTE_P | PTE_W);
	/* movb $7, 1f+1(%rip) ; 1: mov $0, %eax ; ret: the store changes the next instruction */
	static const uint8_t code[] = {0xc6, 0x05, 0x01, 0, 0, 0, 0x07, 0xb8, 0, 0, 0, 0, 0xc3};

	test_begin("a store into the next instruction of the same block");
	for (unsigned i = 0; i < sizeof(code); i++) {
		p[i] = code[i];
	}
	CHECK_EQ(call(p), 7);
	p[6] = 9;
	CHECK_EQ(call(p), 9);
	p[8] = 0;
	CHECK_EQ(call(p), 9);
	test_end();
}

static void test_alias(void)
{
	volatile uint8_t *p = test_map(1, 1, PTE_P | PTE_W);
	volatile uint8_t *q = test_map(2, 1, PTE_P | PTE_W);

	test_begin("a store through another address of the page");
	put_mov(p, 1);
	CHECK_EQ(call(p), 1);
	q[1] = 2;
	CHECK_EQ(call(p), 2);
	CHECK_EQ(call(q), 2);
	test_pages[1][1] = 3;
	CHECK_EQ(call(p), 3);
	test_end();
}

static void test_remap(void)
{
	volatile uint8_t *p = test_map(3, 3, PTE_P | PTE_W);

	test_begin("another page under the same address");
	put_mov(test_pages[3], 1);
	put_mov(test_pages[4], 2);
	CHECK_EQ(call(p), 1);
	test_map(3, 4, PTE_P | PTE_W);
	CHECK_EQ(call(p), 2);
	test_map(3, 3, PTE_P | PTE_W);
	CHECK_EQ(call(p), 1);
	/* Chained: a loop that calls through a page that is remapped each time. */
	for (unsigned i = 0; i < 100; i++) {
		test_map(3, 3 + (i & 1), PTE_P | PTE_W);
		if (call(p) != 1 + (i & 1)) {
			CHECK_EQ(call(p), 1 + (i & 1));
			break;
		}
	}
	/* Not executable any more. */
	test_map(3, 3, PTE_P | PTE_W | PTE_NX);
	TRY("call *%0", "r"(p));
	check_page_fault("no-execute after it ran", TEST_VA + 0x3000, 0x11);
	test_end();
}

static void test_across(void)
{
	volatile uint8_t *p = test_map(5, 5, PTE_P | PTE_W);

	test_begin("an instruction across two pages changes in its second half");
	test_map(6, 6, PTE_P | PTE_W);
	put_mov(p + 4094, 0x11223344);
	CHECK_EQ(call(p + 4094), 0x11223344);
	p[4096] = 0x99;
	CHECK_EQ(call(p + 4094), 0x11229944);
	test_map(6, 7, PTE_P | PTE_W);
	test_pages[7][0] = 1;
	test_pages[7][1] = 2;
	test_pages[7][2] = 3;
	test_pages[7][3] = 0xc3;
	CHECK_EQ(call(p + 4094), 0x03020144);
	test_map(6, 7, 0);
	TRY("call *%0", "r"(p + 4094));
	check_page_fault("second half gone", TEST_VA + 0x6000, 0x10);
	test_end();
}

static void test_device(void)
{
	volatile uint8_t *p = test_map(1, 1, PTE_P | PTE_W);

	test_begin("code written by the host");
	put_mov(p, 1);
	CHECK_EQ(call(p), 1);
	outl(PORT_POKE_ADDRESS, (uint32_t)(uint64_t)&test_pages[1][1]);
	outb(PORT_POKE, 77);
	CHECK_EQ(call(p), 77);
	test_end();
}

void guest_main(void)
{
	test_rewrite();
	test_same_block();
	test_alias();
	test_remap();
	test_across();
	if (on_test_host()) {
		test_device();
	}
}
