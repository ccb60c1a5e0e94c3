// SPDX-License-Identifier: Apache-2.0
/* The clock that counts instructions: the host runs this twice and wants the same output, so every number here must be the same again. */
#include "guest.h"

static uint64_t tsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return lo | (uint64_t)hi << 32;
}

void guest_main(void)
{
	uint64_t start = tsc(), end;
	volatile uint64_t x = 1;

	test_begin("time counts instructions");
	for (unsigned i = 0; i < 1000; i++) {
		x = x * 6364136223846793005ull + 1;
	}
	end = tsc();
	print("# loop took ");
	print_hex(end - start);
	print(", finished at ");
	print_hex(end);
	print("\n");
	CHECK_EQ(end - start >= 3000 && end - start < 20000, 1);
	start = tsc();
	__asm__ volatile("nop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop"
			 :
			 :
			 : "memory");
	end = tsc();
	CHECK_EQ(end - start >= 11 && end - start < 20, 1);
	test_end();
}
