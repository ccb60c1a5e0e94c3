// SPDX-License-Identifier: Apache-2.0
/* What a person or a client writes as a processor. What is granted describes itself as a wish that is granted again, and is the same processor. */
#include <stdlib.h>
#include <string.h>

#include "emu/emu.h"
#include "launch/cpu.h"
#include "lib/check.h"
#include "x86/cpu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_granted(const struct x86_cpu_wish *wish, const struct x86_cpu_offer *offer)
{
	char text[X86_CPU_DESCRIPTION_BYTES];
	struct x86_cpu_features missing;
	struct x86_cpu cpu, again;
	struct x86_cpu_wish same;
	const char *word;
	size_t length;

	if (!x86_cpu_resolve(wish, offer, &cpu, &missing)) {
		return;
	}
	CHECK(x86_cpu_granted(wish, &cpu) && x86_cpu_fits(&cpu, offer, &missing));
	x86_cpu_describe(&cpu, text);
	if (cpu.model == X86_CPU_HOST || strlen(text) > X86_CPU_TEXT_MAX) {
		return;
	}
	CHECK(x86_cpu_parse(text, &same, &word, &length) == X86_CPU_FINE);
	CHECK(x86_cpu_granted(&same, &cpu) && x86_cpu_resolve(&same, offer, &again, &missing));
	CHECK(x86_cpu_same(&again, &cpu));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct launch_error error = {.text = ""};
	struct x86_cpu_offer offer;
	struct x86_cpu_wish wish;
	const char *word = text;
	size_t length = 0;

	CHECK(text != NULL);
	if (size != 0) {
		memcpy(text, data, size);
	}
	text[size] = '\0';
	emu_cpu_offer(true, &offer);
	bool fine = x86_cpu_parse(text, &wish, &word, &length) == X86_CPU_FINE;

	CHECK(fine == launch_cpu_valid(text, &error));
	CHECK(fine == (error.text[0] == '\0'));
	CHECK(word >= text && word + length <= text + strlen(text));
	if (fine) {
		check_granted(&wish, &offer);
	}
	free(text);
	return 0;
}
