// SPDX-License-Identifier: Apache-2.0
/* Flushes of other processors' translations by hypercall: when a call returns, none of its targets sees the old page any more. Spec: TLFS 4. */
#include "hyperv.h"

#define ROUNDS 60u
#define WATCHED 50u /* page of the test area */

static volatile uint64_t *const watched = (volatile uint64_t *)(TEST_VA + WATCHED * PAGE_BYTES);
static volatile uint64_t turn, answers, stop, wrong;

/* Inputs are words: address space, flags, then a mask of processors, or a set: format, valid banks, banks; then what is flushed. */

static void add(volatile uint64_t *p)
{
	__asm__ volatile("lock incq %0" : "+m"(*p) : : "cc");
}

/* Keeps the translation in use; after each turn it must be the new one. */
static void watch(struct vp *vp)
{
	uint64_t seen = 0; /* who begins late has not answered the first turn either */

	(void)vp;
	while (!stop) {
		uint64_t now = turn;

		if (now != seen) {
			if (watched[0] != 100 + (now & 1)) {
				add(&wrong);
			}
			seen = now;
			add(&answers);
		}
		(void)watched[0];
	}
}

/* The two pages take turns; @flush makes the others see it. */
static void take_turns(const char *name, uint64_t flags, uint64_t (*flush)(void))
{
	test_begin(name);
	*(uint64_t *)test_pages[20] = 100;
	*(uint64_t *)test_pages[21] = 101;
	test_map(WATCHED, 20, flags);
	turn = answers = stop = wrong = 0;
	for (unsigned i = 1; i < vp_count; i++) {
		give_work(&vps[i], watch);
	}
	for (uint64_t i = 1; i <= ROUNDS; i++) {
		test_pt[WATCHED] = (uint64_t)test_pages[20 + (i & 1)] | flags;
		CHECK_EQ(hv_result_status(flush()), HV_STATUS_SUCCESS);
		check_eq("its own translation", watched[0], 100 + (i & 1));
		turn = i;
		CHECK_EQ(WAIT(answers == i * (vp_count - 1)), true);
	}
	stop = 1;
	for (unsigned i = 1; i < vp_count; i++) {
		CHECK_EQ(WAIT(work_done(&vps[i])), true);
	}
	check_eq("old translations that were used", wrong, 0);
	test_end();
}

static uint64_t space(void)
{
	const uint64_t words[3] = {read_cr3(), 0, ~0ull};

	return hypercall_with(HvCallFlushVirtualAddressSpace, words, sizeof(words));
}

static uint64_t every_space(void)
{
	const uint64_t words[3] = {0, HV_FLUSH_ALL_PROCESSORS | HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES,
				   0};

	return hypercall_with(HvCallFlushVirtualAddressSpace, words, sizeof(words));
}

static uint64_t not_global(void)
{
	const uint64_t words[3] = {read_cr3(),
				   HV_FLUSH_ALL_PROCESSORS | HV_FLUSH_NON_GLOBAL_MAPPINGS_ONLY, 0};

	return hypercall_with(HvCallFlushVirtualAddressSpace, words, sizeof(words));
}

static uint64_t list(void)
{
	const uint64_t words[5] = {read_cr3(), HV_FLUSH_ALL_PROCESSORS, 0, (uint64_t)watched,
				   TEST_VA};

	return hypercall_with(hv_hypercall_control(HvCallFlushVirtualAddressList, 2), words,
			      sizeof(words));
}

/* All processors in one sparse bank. */
static uint64_t space_sparse(void)
{
	const uint64_t words[5] = {read_cr3(), 0, HV_GENERIC_SET_SPARSE_4K, 1,
				   (1ull << vp_count) - 1};

	return hypercall_with(HvCallFlushVirtualAddressSpaceEx | 1ull << HV_HYPERCALL_VARHEAD_SHIFT,
			      words, sizeof(words));
}

static uint64_t space_all(void)
{
	const uint64_t words[4] = {read_cr3(), 0, HV_GENERIC_SET_ALL, 0};

	return hypercall_with(HvCallFlushVirtualAddressSpaceEx, words, sizeof(words));
}

static uint64_t list_sparse(void)
{
	const uint64_t words[6] = {
		read_cr3(),	  0, HV_GENERIC_SET_SPARSE_4K, 1, (1ull << vp_count) - 1,
		(uint64_t)watched};

	return hypercall_with(hv_hypercall_control(HvCallFlushVirtualAddressListEx, 1) |
				      1ull << HV_HYPERCALL_VARHEAD_SHIFT,
			      words, sizeof(words));
}

/* An element of a whole range of pages. */
static uint64_t list_range(void)
{
	const uint64_t words[4] = {read_cr3(), HV_FLUSH_ALL_PROCESSORS, 0, TEST_VA | 100};

	return hypercall_with(hv_hypercall_control(HvCallFlushVirtualAddressList, 1), words,
			      sizeof(words));
}

static void test_refused(void)
{
	const uint64_t bad_flags[3] = {0, 0x10, ~0ull}, nobody[3] = {0, 0, 0};
	const uint64_t bad_format[5] = {0, 0, 7, 1, 1}, banks[5] = {0, 0, 0, 3, 1};

	test_begin("flushes that make no sense");
	CHECK_EQ(hypercall_with(HvCallFlushVirtualAddressSpace, bad_flags, 24),
		 HV_STATUS_INVALID_PARAMETER);
	CHECK_EQ(hypercall_with(HvCallFlushVirtualAddressSpace, nobody, 24),
		 HV_STATUS_INVALID_PARAMETER);
	CHECK_EQ(hypercall_with(HvCallFlushVirtualAddressSpaceEx |
					1ull << HV_HYPERCALL_VARHEAD_SHIFT,
				bad_format, 40),
		 HV_STATUS_INVALID_PARAMETER);
	check_eq("more banks than given",
		 hypercall_with(HvCallFlushVirtualAddressSpaceEx |
					1ull << HV_HYPERCALL_VARHEAD_SHIFT,
				banks, 40),
		 HV_STATUS_INVALID_HYPERCALL_INPUT);
	test_end();
}

void hyperv_flushes(void)
{
	static const uint64_t plain = PTE_P | PTE_W, global = PTE_P | PTE_W | PTE_G;
	uint64_t cr4 = read_cr4();

	test_refused();
	take_turns("flush of a space, by mask", plain, space);
	take_turns("flush without global pages", plain, not_global);
	take_turns("flush of a list", plain, list);
	take_turns("flush of a range", plain, list_range);
	take_turns("flush of a space, sparse set", plain, space_sparse);
	take_turns("flush of a space, all processors", plain, space_all);
	take_turns("flush of a list, sparse set", plain, list_sparse);
	write_cr4(cr4 | 0x80); /* PGE, here; the others have what they had */
	take_turns("flush of every space, global pages too", global, every_space);
	write_cr4(cr4);
}
