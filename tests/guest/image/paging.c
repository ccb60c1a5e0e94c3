// SPDX-License-Identifier: Apache-2.0
/* 4-level paging: accessed and dirty bits, large and global pages, SMEP, SMAP, PCID, INVLPG, cached translations. */
#include "guest.h"

#define VA ((uint64_t)TEST_VA)
#define CR4_PGE 0x80ull
#define CR4_PCIDE 0x20000ull
#define CR4_SMEP 0x100000ull
#define CR4_SMAP 0x200000ull

static bool has(uint32_t leaf, unsigned reg, unsigned bit)
{
	uint32_t r[4];

	cpuid(leaf, 0, r);
	return (r[reg] >> bit & 1) != 0;
}

static void test_accessed_dirty(void)
{
	uint8_t *p;
	uint64_t v = 0;

	test_begin("accessed and dirty bits");
	p = test_map(1, 1, PTE_P | PTE_W);
	CHECK_EQ(test_pt[1] & (PTE_A | PTE_D), 0);
	(void)*(volatile uint8_t *)p;
	CHECK_EQ(test_pt[1] & (PTE_A | PTE_D), PTE_A);
	*(volatile uint8_t *)p = 1;
	CHECK_EQ(test_pt[1] & (PTE_A | PTE_D), PTE_A | PTE_D);
	/* A read leaves a translation behind; the first write must still set D. */
	test_pt[1] &= ~(PTE_A | PTE_D);
	invlpg(p);
	(void)*(volatile uint8_t *)(p + 8);
	(void)*(volatile uint8_t *)(p + 16);
	CHECK_EQ(test_pt[1] & (PTE_A | PTE_D), PTE_A);
	__asm__ volatile("lock incq (%0)" : : "r"(p) : "memory");
	CHECK_EQ(test_pt[1] & (PTE_A | PTE_D), PTE_A | PTE_D);
	/* A compare-exchange that fails writes nothing new, but is a write. */
	test_pt[1] &= ~(PTE_A | PTE_D);
	invlpg(p);
	__asm__ volatile("lock cmpxchgq %1, (%0)" : : "r"(p), "r"(v), "a"(0x1234567ull) : "memory");
	CHECK_EQ(test_pt[1] & (PTE_A | PTE_D), PTE_A | PTE_D);
	/* Execution sets A. */
	test_pages[1][0] = 0xc3;
	test_pt[1] &= ~(PTE_A | PTE_D);
	invlpg(p);
	((void (*)(void))(void *)p)();
	CHECK_EQ(test_pt[1] & (PTE_A | PTE_D), PTE_A);
	/* Upper levels. */
	test_pd[0] &= ~PTE_A;
	boot_pdpt[VA >> 30] &= ~PTE_A;
	boot_pml4[0] &= ~PTE_A;
	write_cr3(read_cr3());
	(void)*(volatile uint8_t *)p;
	CHECK_EQ(test_pd[0] & (PTE_A | PTE_D), PTE_A);
	CHECK_EQ(boot_pdpt[VA >> 30] & (PTE_A | PTE_D), PTE_A);
	CHECK_EQ(boot_pml4[0] & (PTE_A | PTE_D), PTE_A);
	/* A fault sets neither D nor, at the leaf, anything. */
	test_map(2, 2, PTE_P);
	TRY("movb %%al, (%0)", "r"(VA + 0x2000));
	check_page_fault("write of read-only", VA + 0x2000, 3);
	CHECK_EQ(test_pt[2] & PTE_D, 0);
	test_end();
}

static void test_large(void)
{
	volatile uint64_t *p = (volatile uint64_t *)(VA + 0x200000);

	test_begin("large pages");
	test_pages[3][0] = 0;
	test_pd[1] = ((uint64_t)test_pages & ~0x1fffffull) | PTE_P | PTE_W | PTE_PS;
	(void)p[0];
	CHECK_EQ(test_pd[1] & (PTE_A | PTE_D), PTE_A);
	p[((uint64_t)test_pages[3] & 0x1fffff) / 8] = 0x123456789abcdefull;
	CHECK_EQ(test_pd[1] & (PTE_A | PTE_D), PTE_A | PTE_D);
	CHECK_EQ(*(uint64_t *)test_pages[3], 0x123456789abcdefull);
	test_pd[1] = 0;
	invlpg(p + 5000); /* any address of a large page flushes all of it */
	TRY("movb (%0), %%cl", "r"((uint64_t)(VA + 0x200000)));
	check_page_fault("large page gone", VA + 0x200000, 0);
	if (has(0x80000001, 3, 26)) {
		boot_pdpt[6] = PTE_P | PTE_W | PTE_PS;
		p = (volatile uint64_t *)(6ull << 30);
		p[(uint64_t)test_pages[3] / 8] = 77;
		CHECK_EQ(*(uint64_t *)test_pages[3], 77);
		CHECK_EQ(boot_pdpt[6] & (PTE_A | PTE_D), PTE_A | PTE_D);
		boot_pdpt[6] = PTE_P | PTE_W | PTE_PS | 0x2000;
		write_cr3(read_cr3());
		TRY("movb (%0), %%cl", "r"(6ull << 30));
		if (on_test_host()) {
			check_page_fault("reserved bit of a 1 GiB page", 6ull << 30, 9);
		}
		boot_pdpt[6] = 0;
		write_cr3(read_cr3());
	}
	boot_pml4[2] = PTE_P | PTE_W | PTE_PS; /* no such thing */
	TRY("movb (%0), %%cl", "r"(2ull << 39));
	if (on_test_host()) {
		check_page_fault("page size bit in a PML4 entry", 2ull << 39, 9);
	}
	boot_pml4[2] = 0;
	test_end();
}

static void test_cached(void)
{
	volatile uint8_t *p = test_map(4, 4, PTE_P | PTE_W | PTE_G);

	test_begin("global pages, flushes");
	test_pages[4][0] = 4;
	test_pages[5][0] = 5;
	CHECK_EQ(p[0], 4);
	test_pt[4] = (uint64_t)test_pages[5] | PTE_P | PTE_W;
	invlpg(p);
	CHECK_EQ(p[0], 5);
	test_pt[4] = (uint64_t)test_pages[4] | PTE_P | PTE_W;
	write_cr3(read_cr3());
	CHECK_EQ(p[0], 4);
	write_cr4(read_cr4() | CR4_PGE);
	/* Not global: a new CR3 drops it. Global: toggling PGE drops it. */
	(void)p[0];
	test_pt[4] = (uint64_t)test_pages[5] | PTE_P | PTE_W | PTE_G;
	write_cr3(read_cr3());
	CHECK_EQ(p[0], 5);
	test_pt[4] = (uint64_t)test_pages[4] | PTE_P | PTE_W | PTE_G;
	write_cr4(read_cr4() & ~CR4_PGE);
	CHECK_EQ(p[0], 4);
	write_cr4(read_cr4() | CR4_PGE);
	(void)p[0];
	test_pt[4] = (uint64_t)test_pages[5] | PTE_P | PTE_W | PTE_G;
	invlpg(p);
	CHECK_EQ(p[0], 5);
	/* More rights need no flush: a fault looks again. */
	test_map(6, 6, PTE_P);
	p = (volatile uint8_t *)(VA + 0x6000);
	(void)p[0];
	test_pt[6] |= PTE_W;
	TRY("movb %%al, (%0)", "r"(VA + 0x6000));
	if (on_test_host()) { /* architecture: at most one spurious fault; here none */
		check_trap("write after W was added", 256, 0);
	}
	test_end();
}

static void test_smep_smap(void)
{
	uint8_t *p = test_map(8, 8, PTE_P | PTE_W | PTE_U);

	test_begin("SMEP and SMAP");
	test_pages[8][0] = 0xc3;
	boot_pml4[0] |= PTE_U;
	if (has(7, 1, 7)) {
		TRY("call *%0", "r"(p));
		check_trap("user page run without SMEP", 256, 0);
		write_cr4(read_cr4() | CR4_SMEP);
		TRY("call *%0", "r"(p));
		check_page_fault("user page run under SMEP", (uint64_t)p, 0x11);
		TRY("movb (%0), %%cl", "r"(p));
		check_trap("user page read under SMEP", 256, 0);
		write_cr4(read_cr4() & ~CR4_SMEP);
	}
	if (has(7, 1, 20)) {
		write_cr4(read_cr4() | CR4_SMAP);
		TRY("movb (%0), %%cl", "r"(p));
		check_page_fault("user page read under SMAP", (uint64_t)p, 1);
		TRY("movb %%cl, 5(%0)", "r"(p));
		check_page_fault("user page written under SMAP", (uint64_t)p + 5, 3);
		TRY("stac\n\tmovb %%cl, 5(%0)\n\tclac", "r"(p));
		check_trap("user page written with AC", 256, 0);
		TRY("stac\n\tclac\n\tmovb 5(%0), %%cl", "r"(p));
		check_page_fault("user page read after CLAC", (uint64_t)p + 5, 1);
		TRY("pushfq\n\torl $0x40000, (%%rsp)\n\tpopfq\n\tmovb (%0), %%cl\n\tclac", "r"(p));
		check_trap("AC through POPF", 256, 0);
		write_cr4(read_cr4() & ~CR4_SMAP);
	} else {
		TRY("stac");
		check_trap("STAC without SMAP", 6, 0);
	}
	TRY("movb (%0), %%cl", "r"(p));
	check_trap("user page read without SMAP", 256, 0);
	test_end();
}

static void test_pcid(void)
{
	volatile uint8_t *p = test_map(4, 4, PTE_P | PTE_W);
	uint64_t cr3 = read_cr3();

	test_begin("PCID");
	if (!has(1, 2, 17)) {
		test_end();
		return;
	}
	write_cr4(read_cr4() | CR4_PCIDE);
	CHECK_EQ(p[0], 4);
	write_cr3(cr3 | 1);
	CHECK_EQ(read_cr3(), cr3 | 1);
	CHECK_EQ(p[0], 4);
	test_pt[4] = (uint64_t)test_pages[5] | PTE_P | PTE_W;
	invlpg(p);
	CHECK_EQ(p[0], 5);
	write_cr3(cr3); /* bit 63 clear: this PCID is flushed */
	CHECK_EQ(p[0], 5);
	write_cr3(cr3 | 2 | 1ull << 63);
	CHECK_EQ(read_cr3(), cr3 | 2);
	TRY("movq %%cr4, %%rcx\n\tbtrq $17, %%rcx\n\tmovq %%rcx, %%cr4");
	check_trap("PCIDE may be cleared at any time", 256, 0);
	write_cr3(cr3 | 8);
	TRY("movq %%cr4, %%rcx\n\tbtsq $17, %%rcx\n\tmovq %%rcx, %%cr4");
	if (on_test_host()) {
		check_trap("PCIDE with a low bit set in CR3", 13, 0);
	}
	write_cr3(cr3);
	write_cr4(read_cr4() & ~CR4_PCIDE);
	if (has(7, 1, 10)) {
		struct {
			uint64_t pcid, address;
		} d = {0, (uint64_t)p};

		for (uint64_t type = 0; type < 4; type++) {
			test_pt[4] = (uint64_t)test_pages[4 + (type & 1)] | PTE_P | PTE_W;
			__asm__ volatile("invpcid %0, %1" : : "m"(d), "r"(type) : "memory");
			CHECK_EQ(p[0], 4 + (type & 1));
		}
		TRY("movl $4, %%ecx\n\tinvpcid %0, %%rcx", "m"(d));
		check_trap("invpcid of an unknown type", 13, 0);
	}
	test_end();
}

static void test_split(void)
{
	uint8_t *p = test_map(10, 10, PTE_P | PTE_W);
	uint64_t v;

	test_begin("accesses across pages that are not neighbours");
	test_map(11, 20, PTE_P | PTE_W);
	memset(test_pages[10], 0, 4096);
	memset(test_pages[20], 0, 4096);
	*(volatile uint64_t *)(p + 4093) = 0x8877665544332211ull;
	CHECK_EQ(test_pages[10][4095], 0x33);
	CHECK_EQ(test_pages[20][0], 0x44);
	CHECK_EQ(test_pages[20][4], 0x88);
	v = *(volatile uint64_t *)(p + 4093);
	CHECK_EQ(v, 0x8877665544332211ull);
	__asm__ volatile("lock addq $1, 4093(%0)" : : "r"(p) : "memory");
	CHECK_EQ(test_pages[10][4093], 0x12);
	/* Code across the two: mov $0x11223344, %eax; ret */
	memset(test_pages[10] + 4094, 0xb8, 1);
	test_pages[10][4095] = 0x44;
	test_pages[20][0] = 0x33;
	test_pages[20][1] = 0x22;
	test_pages[20][2] = 0x11;
	test_pages[20][3] = 0xc3;
	CHECK_EQ(((uint32_t(*)(void))(void *)(p + 4094))(), 0x11223344);
	test_map(11, 21, PTE_P | PTE_W);
	memcpy(test_pages[21], test_pages[20], 16);
	test_pages[21][1] = 0x55;
	CHECK_EQ(((uint32_t(*)(void))(void *)(p + 4094))(), 0x11553344);
	test_end();
}

static void test_mmio(void)
{
	volatile uint64_t *q = (volatile uint64_t *)(uint64_t)MMIO_BASE;
	volatile uint32_t *d = (volatile uint32_t *)(uint64_t)MMIO_BASE;
	uint64_t buf[4] = {1, 2, 3, 4};
	void *to = (void *)(uint64_t)(MMIO_BASE + 64), *from = buf;
	uint64_t count = 4;

	test_begin("memory-mapped registers");
	q[0] = 0x1122334455667788ull;
	CHECK_EQ(q[0], 0x1122334455667788ull);
	CHECK_EQ(d[1], 0x11223344);
	d[1] += 1;
	CHECK_EQ(d[1], 0x11223345);
	__asm__ volatile("lock orl $0x80000000, (%0)" : : "r"(d) : "memory");
	CHECK_EQ(d[0], 0xd5667788);
	__asm__ volatile("xchgl %k0, (%1)" : "+r"(count) : "r"(d) : "memory");
	CHECK_EQ(count, 0xd5667788);
	CHECK_EQ(d[0], 4);
	count = 4;
	__asm__ volatile("rep movsq" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
	CHECK_EQ(count, 0);
	CHECK_EQ(q[8], 1);
	CHECK_EQ(q[11], 4);
	/* From MMIO onto the stack and back, byte by byte. */
	CHECK_EQ(*(volatile uint8_t *)(uint64_t)(MMIO_BASE + 88), 4);
	__asm__ volatile("pushq (%1)\n\tpopq %0" : "=r"(count) : "r"(q + 9) : "memory");
	CHECK_EQ(count, 2);
	__asm__ volatile("movdqu (%1), %%xmm0\n\tmovdqu %%xmm0, (%0)"
			 :
			 : "r"(buf), "r"(q + 8)
			 : "memory");
	CHECK_EQ(buf[0], 1);
	CHECK_EQ(buf[1], 2);
	test_end();
}

void guest_main(void)
{
	test_accessed_dirty();
	test_large();
	test_cached();
	test_smep_smap();
	test_pcid();
	test_split();
	if (on_test_host()) {
		test_mmio();
	}
}
