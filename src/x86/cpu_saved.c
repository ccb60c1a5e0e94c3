/* SPDX-License-Identifier: Apache-2.0 */
/* A processor in a saved state: everything that the guest found, so that it goes on with the same one elsewhere. */
#include "lib/bits.h"
#include "x86/cpu.h"

#define VERSION 1u

void x86_cpu_save(const struct x86_cpu *cpu, struct state_writer *w)
{
	state_begin(w, X86_CPU_TAG, VERSION);
	state_put_u8(w, cpu->model);
	for (unsigned i = 0; i < ARRAY_LEN(cpu->vendor); i++) {
		state_put_u32(w, cpu->vendor[i]);
	}
	state_put_u32(w, cpu->signature);
	state_put_bytes(w, cpu->brand, sizeof(cpu->brand));
	for (unsigned i = 0; i < 8; i++) {
		state_put_u32(w, cpu->caches[i / 4][i % 4]);
	}
	state_put_u64(w, cpu->arch_capabilities);
	state_put_u64(w, cpu->xcr0);
	state_put_u32(w, X86_CPU_COMPONENTS);
	for (unsigned i = 0; i < X86_CPU_COMPONENTS; i++) {
		for (unsigned r = 0; r < 3; r++) {
			state_put_u32(w, cpu->component[i][r]);
		}
	}
	state_put_u32(w, X86_CPU_WORDS);
	for (unsigned i = 0; i < X86_CPU_WORDS; i++) {
		state_put_u32(w, cpu->features.word[i]);
	}
	state_end(w);
}

/* Features that a later version knows are missing here, which is for who compares: they cannot be named, so such a state is not read. */
static bool load_features(struct state_reader *r, struct x86_cpu_features *f)
{
	uint32_t words = state_get_u32(r), unknown = 0;

	for (uint32_t i = 0; i < words && !r->bad; i++) {
		uint32_t value = state_get_u32(r);

		if (i < X86_CPU_WORDS) {
			f->word[i] = value;
		} else {
			unknown |= value;
		}
	}
	return unknown == 0;
}

static bool load_components(struct state_reader *r, struct x86_cpu *cpu)
{
	uint32_t count = state_get_u32(r);

	if (count != X86_CPU_COMPONENTS) {
		return false;
	}
	for (unsigned i = 0; i < count; i++) {
		for (unsigned n = 0; n < 3; n++) {
			cpu->component[i][n] = state_get_u32(r);
		}
	}
	return true;
}

/* State components and where they lie: what an engine trusts when it copies them. */
static bool sound(const struct x86_cpu *cpu)
{
	if ((cpu->xcr0 & ~UINT64_C(0x2e7)) || (cpu->xcr0 != 0 && (cpu->xcr0 & 3) != 3)) {
		return false;
	}
	for (unsigned i = 2; i < X86_CPU_COMPONENTS; i++) {
		if ((cpu->xcr0 >> i & 1) &&
		    (cpu->component[i][1] < 576 ||
		     !range_within(cpu->component[i][1], cpu->component[i][0], 4096))) {
			return false;
		}
	}
	return true;
}

bool x86_cpu_load(struct state_reader *r, uint16_t version, struct x86_cpu *ret)
{
	struct x86_cpu cpu = {.model = state_get_u8(r)};

	for (unsigned i = 0; i < ARRAY_LEN(cpu.vendor); i++) {
		cpu.vendor[i] = state_get_u32(r);
	}
	cpu.signature = state_get_u32(r);
	state_get_bytes(r, cpu.brand, sizeof(cpu.brand));
	for (unsigned i = 0; i < 8; i++) {
		cpu.caches[i / 4][i % 4] = state_get_u32(r);
	}
	cpu.arch_capabilities = state_get_u64(r);
	cpu.xcr0 = state_get_u64(r);
	if (!load_components(r, &cpu) || !load_features(r, &cpu.features) || r->bad ||
	    version != VERSION || cpu.model >= X86_CPU_MODELS || !sound(&cpu)) {
		return false;
	}
	*ret = cpu;
	return true;
}

enum x86_cpu_found x86_cpu_find(const struct state_reader *run, struct x86_cpu *ret)
{
	struct state_reader r = *run, payload;
	uint16_t version;
	uint32_t tag;

	while (state_next(&r, &tag, &version, &payload)) {
		if (tag == X86_CPU_TAG) {
			return x86_cpu_load(&payload, version, ret) ? X86_CPU_FOUND
								    : X86_CPU_BROKEN;
		}
	}
	return X86_CPU_ABSENT;
}
