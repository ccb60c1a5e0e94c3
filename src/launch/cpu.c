// SPDX-License-Identifier: Apache-2.0
#include "launch/cpu.h"

#include "lib/near.h"
#include "saved/saved.h"
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
		return launch_refuse(error,
				     "'%.*s': expected + or - and a feature, such as baseline,-aes",
				     length < WORD_SHOWN_MAX ? (int)length : WORD_SHOWN_MAX, word);
	case X86_CPU_TOO_LONG:
		return launch_refuse(error, "the text is too long; expected at most %u characters",
				     X86_CPU_TEXT_MAX);
	case X86_CPU_FINE:
	default:
		return true;
	}
}

/* True also for a state from before there were models; false for one that cannot be read, which the worker will say. */
static bool is_sequential(int state_fd)
{
	struct saved_error error;
	struct saved_file *file;
	struct state_reader run;
	enum x86_cpu_found found;
	struct x86_cpu cpu;
	size_t bytes;

	if (saved_open(state_fd, &file, &error) != 0) {
		return false;
	}
	const void *records = saved_devices(file, &bytes);

	state_reader_init(&run, records, bytes);
	found = x86_cpu_find(&run, &cpu);
	saved_close(file);
	return found == X86_CPU_ABSENT ||
	       (found == X86_CPU_FOUND && cpu.model == X86_CPU_SEQUENTIAL);
}

const char *launch_cpu_emu_reason(const char *text, int state_fd)
{
	struct x86_cpu_wish wish;
	const char *word;
	size_t length;

	if (x86_cpu_parse(text, &wish, &word, &length) == X86_CPU_FINE &&
	    wish.model == X86_CPU_SEQUENTIAL) {
		return "the processor model sequential is for the software engine";
	}
	if (state_fd >= 0 && is_sequential(state_fd)) {
		return "the machine was saved with the processor model sequential, which is for "
		       "the software engine";
	}
	return NULL;
}
