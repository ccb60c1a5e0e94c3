// SPDX-License-Identifier: Apache-2.0
/* The processor in a saved state. What is taken writes the same record again, and answers every leaf. */
#include <string.h>

#include "emu/emu.h"
#include "lib/check.h"
#include "x86/cpuid.h"

#define RECORD_BYTES 1024u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_taken(const struct x86_cpu *cpu)
{
	char text[X86_CPU_DESCRIPTION_BYTES];
	struct x86_cpu_features missing;
	uint8_t record[RECORD_BYTES];
	struct x86_cpu_offer offer;
	struct state_writer w;
	struct state_reader r;
	struct x86_cpu again;
	uint32_t regs[4];

	emu_cpu_offer(true, &offer);
	x86_cpu_describe(cpu, text);
	CHECK(memchr(text, '\0', sizeof(text)) != NULL);
	if (x86_cpu_fits(cpu, &offer, &missing)) {
		CHECK((cpu->xcr0 & ~UINT64_C(3)) == 0);
	}
	for (uint32_t leaf = 0; leaf < 0x22; leaf++) {
		x86_cpuid(cpu, 46, leaf, leaf & 15, regs);
		x86_cpuid(cpu, 46, 0x80000000 + leaf, 0, regs);
	}
	state_writer_init(&w, record, sizeof(record));
	x86_cpu_save(cpu, &w);
	CHECK(state_writer_ok(&w));
	state_reader_init(&r, record, w.used);
	CHECK(x86_cpu_find(&r, &again) == X86_CPU_FOUND);
	CHECK(x86_cpu_same(&again, cpu));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct state_reader r;
	struct x86_cpu cpu;

	state_reader_init(&r, data, size);
	if (x86_cpu_find(&r, &cpu) == X86_CPU_FOUND) {
		check_taken(&cpu);
	}
	return 0;
}
