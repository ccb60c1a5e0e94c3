// SPDX-License-Identifier: Apache-2.0
#include "guest.h"

struct trap trap;
uint64_t trap_resume, trap_resume_rsp, trap_resume_rbp;
bool (*trap_hook)(struct trap_frame *frame);
struct idt_entry idt[256] __attribute__((aligned(16)));
struct tss64 tss __attribute__((aligned(16)));
uint64_t user_rax, user_rcx, user_rdx, user_rsi, user_rdi;
volatile uint64_t test_pd[512] __attribute__((aligned(4096)));
volatile uint64_t test_pt[512] __attribute__((aligned(4096)));
uint8_t test_pages[TEST_PAGES][4096] __attribute__((aligned(4096)));

void guest_start(unsigned index);
void trap_handler(struct trap_frame *frame);

void trap_clear(void)
{
	trap.count = 0;
	trap.frame.vector = 256;
	trap.frame.error = 0;
}

void trap_handler(struct trap_frame *frame)
{
	if (trap_hook != NULL && trap_hook(frame)) {
		return;
	}
	trap.frame = *frame;
	trap.count++;
	trap.cr2 = read_cr2();
	__asm__ volatile("movq %%dr6, %0" : "=r"(trap.dr6));
	if (trap_resume == 0) {
		print("Bail out! unexpected trap ");
		print_hex(frame->vector);
		print(" error ");
		print_hex(frame->error);
		print(" rip ");
		print_hex(frame->rip);
		print(" cr2 ");
		print_hex(trap.cr2);
		print("\n");
		outb(PORT_EXIT, 1);
		for (;;) {
			__asm__ volatile("cli; hlt");
		}
	}
	frame->rip = trap_resume;
	frame->rsp = trap_resume_rsp;
	frame->rbp = trap_resume_rbp != 0 ? trap_resume_rbp : frame->rbp;
	trap_resume_rbp = 0;
	frame->cs = SEL_CODE;
	frame->ss = SEL_DATA;
	frame->rflags = 2;
	trap_resume = 0;
}

void check_trap(const char *what, uint64_t vector, uint64_t error)
{
	check_eq(what, trap.frame.vector, vector);
	if (vector != 256 && trap.frame.vector == vector) {
		check_eq(what, trap.frame.error, error);
	}
}

void check_page_fault(const char *what, uint64_t address, uint64_t error)
{
	check_trap(what, 14, error);
	if (trap.frame.vector == 14) {
		check_eq(what, trap.cr2, address);
	}
}

void gdt_set(unsigned selector, uint64_t descriptor)
{
	gdt[selector / 8] = descriptor;
}

uint8_t *test_map(unsigned n, unsigned page, uint64_t flags)
{
	uint8_t *va = (uint8_t *)(TEST_VA + n * 4096ull);

	test_pt[n] = flags == 0 ? 0 : ((uint64_t)test_pages[page] | flags);
	invlpg(va);
	return va;
}

void copy_code(void *to, const void *from, const void *end)
{
	memcpy(to, from, (size_t)((const uint8_t *)end - (const uint8_t *)from));
}

static void idt_init(void)
{
	for (unsigned v = 0; v < 256; v++) {
		uint64_t at = (uint64_t)trap_stubs + 16 * v;

		idt[v] = (struct idt_entry){.offset0 = (uint16_t)at,
					    .selector = SEL_CODE,
					    .type = v == 3 || v == 4 ? 0xee : 0x8e,
					    .offset1 = (uint16_t)(at >> 16),
					    .offset2 = (uint32_t)(at >> 32)};
	}
}

static void tables_load(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = {sizeof(idt) - 1, (uint64_t)idt};

	__asm__ volatile("lidt %0" : : "m"(pointer));
}

static void tss_init(void)
{
	uint64_t base = (uint64_t)&tss;

	/* The stacks of processors 6 and 7, which tests never start. */
	tss.rsp[0] = (uint64_t)stack_top - 7 * 16384;
	tss.ist[0] = (uint64_t)stack_top - 6 * 16384;
	tss.iomap = sizeof(tss);
	gdt_set(SEL_TSS, (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56 | 0x890000000000ull |
				 (sizeof(tss) - 1));
	gdt_set(SEL_TSS + 8, base >> 32);
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS));
}

__attribute__((weak)) void guest_ap_main(unsigned index)
{
	(void)index;
}

void guest_start(unsigned index)
{
	tables_load();
	if (index != 0) {
		guest_ap_main(index);
		return;
	}
	mask_8259();
	idt_init();
	tss_init();
	boot_pdpt[TEST_VA >> 30] = (uint64_t)test_pd | 7;
	test_pd[0] = (uint64_t)test_pt | 7;
	guest_main();
	guest_exit();
}
