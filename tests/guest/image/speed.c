// SPDX-License-Identifier: Apache-2.0
/* Not a test: how long the engine takes for common kinds of work, in nanoseconds per step. Run by hand: guest_host guest-speed. */
#include "guest.h"

static uint64_t now_ns(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc"
			 : "=a"(lo), "=d"(hi)
			 :
			 : "memory"); /* the test host's clock: 1 GHz */
	return lo | (uint64_t)hi << 32;
}

static void print_number(uint64_t v)
{
	char buf[24];
	unsigned at = sizeof(buf);

	buf[--at] = 0;
	do {
		buf[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	for (unsigned i = at; i > 12; i--) {
		print(" ");
	}
	print(buf + at);
}

static uint8_t area[2 << 20] __attribute__((aligned(4096)));

static uint64_t work_integer(uint64_t steps)
{
	uint64_t x = 88172645463325252ull;

	for (uint64_t i = 0; i < steps; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	return x;
}

static uint64_t work_branches(uint64_t steps)
{
	uint64_t n = 27, sum = 0;

	for (uint64_t i = 0; i < steps; i++) {
		if (n & 1) {
			n = 3 * n + 1;
		} else {
			n >>= 1;
		}
		if (n <= 1) {
			n = (i & 0xffff) | 27;
		}
		sum += n;
	}
	return sum;
}

static __attribute__((noinline)) uint64_t fib(uint64_t n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static uint64_t work_calls(uint64_t steps)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < steps; i += 21891) {
		sum += fib(20); /* 21891 calls */
	}
	return sum;
}

static uint64_t work_memory(uint64_t steps)
{
	volatile uint64_t *p = (volatile uint64_t *)(void *)area;
	uint64_t sum = 0;

	for (uint64_t i = 0; i < steps; i++) {
		p[i & 0x3fff] = i;
		sum += p[(i * 7) & 0x3fff];
	}
	return sum;
}

static uint64_t work_pages(uint64_t steps)
{
	volatile uint8_t *p =
		(volatile uint8_t *)0x1000000; /* 32 MiB of other pages: more than the TLB holds */
	uint64_t sum = 0;

	for (uint64_t i = 0; i < steps; i++) {
		sum += p[(i & 8191) * 4096];
	}
	return sum;
}

static uint64_t work_copy(uint64_t steps)
{
	for (uint64_t i = 0; i < steps; i += 4096) {
		memcpy(area, area + 65536, 4096);
	}
	return area[5];
}

static uint64_t work_atomic(uint64_t steps)
{
	uint64_t v = 0;

	for (uint64_t i = 0; i < steps; i++) {
		__asm__ volatile("lock incq %0" : "+m"(v) : : "cc");
	}
	return v;
}

static bool just_return(struct trap_frame *frame)
{
	(void)frame;
	return true;
}

static uint64_t work_traps(uint64_t steps)
{
	trap_hook = just_return;
	for (uint64_t i = 0; i < steps; i++) {
		__asm__ volatile("int $0x80" : : : "memory");
	}
	trap_hook = NULL;
	return 0;
}

static uint64_t work_exits(uint64_t steps)
{
	for (uint64_t i = 0; i < steps; i++) {
		outb(0x80, 0);
	}
	return 0;
}

static uint64_t work_flush(uint64_t steps)
{
	uint64_t cr3 = read_cr3(), sum = 0;

	for (uint64_t i = 0; i < steps; i++) {
		write_cr3(cr3);
		sum += area[(i & 7) * 4096];
	}
	return sum;
}

static uint64_t work_sse(uint64_t steps)
{
	for (uint64_t i = 0; i < steps; i++) {
		__asm__ volatile("movups (%0), %%xmm0\n\tpaddd %%xmm0, %%xmm1\n\tpxor %%xmm1, "
				 "%%xmm0\n\tmovups %%xmm0, 16(%0)"
				 :
				 : "r"(area)
				 : "memory");
	}
	return 0;
}

static volatile uint64_t sink;

void guest_main(void)
{
	static const struct {
		const char *name;
		uint64_t (*work)(uint64_t steps);
		uint64_t steps;
	} rows[] = {
		{"xorshift step", work_integer, 20000000},
		{"branchy step", work_branches, 10000000},
		{"call and return", work_calls, 3000000},
		{"store and load", work_memory, 10000000},
		{"load, new page", work_pages, 1000000},
		{"byte of rep movsb", work_copy, 1u << 28},
		{"lock inc", work_atomic, 3000000},
		{"int and iret", work_traps, 300000},
		{"port exit", work_exits, 300000},
		{"CR3 load and miss", work_flush, 100000},
		{"four SSE moves", work_sse, 3000000},
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t start = now_ns(), took;

		sink = rows[i].work(rows[i].steps);
		took = now_ns() - start;
		print_number(took * 1000 / rows[i].steps);
		print(" ps per ");
		print(rows[i].name);
		print("\n");
	}
	test_begin("speed");
	test_end();
}
