/* SPDX-License-Identifier: Apache-2.0 */
/* Results as TAP on port E9, and the test host's ports. For 32- and 64-bit images. */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *to, const void *from, size_t bytes);
void *memset(void *to, int c, size_t bytes);

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Ports of the test host. */
#define PORT_TEST_HOST_CHAR 0xe9
#ifndef PORT_CHAR /* a serial port in guests for a whole machine */
#define PORT_CHAR PORT_TEST_HOST_CHAR
#endif
#define PORT_EXIT 0xf4
#define PORT_INTERRUPT 0xe0 /* byte: vector to be injected when possible */
#define PORT_NMI 0xe1
#define PORT_START_AP 0xe2	  /* byte: index */
#define PORT_POKE_ADDRESS 0xe4	  /* dword: GPA */
#define PORT_POKE 0xe5		  /* byte written there by the host, as a device would */
#define PORT_EXPECT_SHUTDOWN 0xe6 /* byte: 1, a triple fault is the end that is wanted */
#define PORT_KVM 0xea		  /* 1: KVM runs the guest */
#define PORT_HOST 0xe7	      /* 56h: the test host; 57h: on an emulated processor; else another */
#define MMIO_BASE 0xfeb00000u /* 4 KiB of storage that is not memory */

/* ---- results ---- */
void test_begin(const char *name);
void test_end(void);
/* A failing check prints what it got. */
void check_eq(const char *what, uint64_t got, uint64_t want);
#define CHECK_EQ(got, want) check_eq(#got, (uint64_t)(got), (uint64_t)(want))
void print(const char *text);
void print_hex(uint64_t value);
void print_decimal(unsigned v);
/* The TAP plan; guest_exit prints it too. */
void test_plan(void);
_Noreturn void guest_exit(void);
bool on_test_host(void);
/* KVM runs the guest, which does some things in its own way. */
bool on_kvm(void);
/* KVM runs the guest on a processor that is QEMU's. */
bool on_emulated_host(void);
/* A test that says why it cannot be here. */
void test_skip(const char *name, const char *why);

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}
static inline uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
/* By itself, without a host, a guest would meet the timer's interrupts wherever it has them on. */
static inline void mask_8259(void)
{
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
}
static inline void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

#endif
