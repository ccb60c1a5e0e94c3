// SPDX-License-Identifier: Apache-2.0
#include "launch/cpu.h"

#include "lib/near.h"
#include "x86/cpu.h"

#define WORD_SHOWN_MAX 64

static const char *near_model(const char *word, size_t length)
{
	struct near_search n = near_begin(word, length);

	for (unsigned i = 0; x86_cpu_model_name(i) != NULL; i++) {
		near_try(&n, x86_cpu_model_name(i));
	}
	return n.best;
}

static const char *near_feature(const char *word, size_t length)
{
	struct near_search n = near_begin(word, length);
	size_t count;
	const struct x86_cpu_name *names = x86_cpu_names(&count);

	for (size_t i = 0; i < count; i++) {
		near_try(&n, names[i].name);
	}
	return n.best;
}

static bool refuse_word(struct launch_error *error, const char *word, size_t length,
			const char *what, const char *meant)
{
	int shown = length < WORD_SHOWN_MAX ? (int)length : WORD_SHOWN_MAX;

	return launch_refuse(error, "'%.*s' is not %s%s%s%s; `virid engine cpus` lists them", shown,
			     word, what, meant != NULL ? ": did you mean '" : "",
			     meant != NULL ? meant : "", meant != NULL ? "'?" : "");
}

bool launch_cpu_valid(const char *text, struct launch_error *error)
{
	struct x86_cpu_wish wish;
	const char *word;
	size_t length;

	switch (x86_cpu_parse(text, &wish, &word, &length)) {
	case X86_CPU_NO_MODEL:
		return refuse_word(error, word, length, "a processor model",
				   near_model(word, length));
	case X86_CPU_NO_FEATURE:
		return refuse_word(error, word, length, "a processor feature",
				   near_feature(word, length));
	case X86_CPU_NO_SIGN:
		return launch_refuse(
			error, "'%.*s': expected + or - and a feature, such as baseline,-aes",
			length < WORD_SHOWN_MAX ? (int)length : WORD_SHOWN_MAX, word);
	case X86_CPU_TOO_LONG:
		return launch_refuse(error, "the text is too long; expected at most %u characters",
				     X86_CPU_TEXT_MAX);
	case X86_CPU_FINE:
	default:
		return true;
	}
}
