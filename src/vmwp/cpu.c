// SPDX-License-Identifier: Apache-2.0
/* The guest's processor: the one that is asked for, made of what the engine offers on this host; or the one that a saved state was made with. */
#include "x86/cpu.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "emu/emu.h"
#include "host/log.h"
#include "kvm/kvm.h"
#include "restore.h"
#include "worker.h"

#define NAMES_BYTES 1024u

static const char *whose(const struct worker *w)
{
	return w->config.kvm_fd >= 0 ? "this host's KVM" : "the software engine on this host";
}

static bool ask_engine(const struct worker *w, struct x86_cpu_offer *ret)
{
	int r = 0;

	if (w->config.kvm_fd >= 0) {
		r = kvm_cpu_offer(w->config.kvm_fd, ret);
	} else {
		emu_cpu_offer(w->config.count_instructions, ret);
	}
	if (r != 0) {
		log_line("KVM does not tell what its processors can: %s", strerror(-r));
	}
	return r == 0;
}

/* A guest that knows its processor as one that does not speculate protects nobody in it from speculation. */
static void warn_sequential(const struct worker *w)
{
	if (w->config.kvm_fd >= 0 && w->cpu.model == X86_CPU_SEQUENTIAL) {
		log_line("processor model sequential on KVM: the guest leaves out mitigations "
			 "that keep its own processes apart; the host and other guests are not "
			 "concerned");
	}
}

/* ---- A machine that starts anew ---- */

static bool make(struct worker *w, const struct x86_cpu_wish *wish,
		 const struct x86_cpu_offer *offer)
{
	struct x86_cpu_features missing, none = {{0}};
	char names[NAMES_BYTES], less[NAMES_BYTES];

	if (!x86_cpu_resolve(wish, offer, &w->cpu, &missing)) {
		x86_cpu_features_text(&missing, "", names, sizeof(names));
		x86_cpu_features_text(&missing, "-", less, sizeof(less));
		log_line("--cpu %s: %s lacks %s; expected %s,%s, which goes without", w->config.cpu,
			 whose(w), names, w->config.cpu, less);
		return false;
	}
	if (x86_cpu_features_beyond(&missing, &none, &missing)) {
		x86_cpu_features_text(&missing, "", names, sizeof(names));
		log_line("processor model %s, but without %s, which %s lacks",
			 x86_cpu_model_name(w->cpu.model), names, whose(w));
	}
	return true;
}

/* ---- One that goes on ---- */

__attribute__((format(printf, 2, 3))) static bool refuse(const struct worker *w, const char *fmt,
							 ...)
{
	char why[NAMES_BYTES + 200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	log_line("saved state %s: %s", w->config.state_path, why);
	return false;
}

/* As it was when such states were written. */
static bool take_old(struct worker *w, const struct x86_cpu_wish *wish,
		     const struct x86_cpu_offer *offer)
{
	const struct x86_cpu_wish sequential = {.model = X86_CPU_SEQUENTIAL};
	struct x86_cpu_features missing;

	if (wish->model != X86_CPU_USUAL && wish->model != X86_CPU_SEQUENTIAL) {
		return refuse(w,
			      "it is of a version that knew the processor model sequential only, "
			      "and the machine has %s",
			      w->config.cpu);
	}
	x86_cpu_resolve(&sequential, offer, &w->cpu, &missing);
	return true;
}

static bool take_saved(struct worker *w, const struct x86_cpu_wish *wish,
		       const struct x86_cpu_offer *offer)
{
	char text[X86_CPU_DESCRIPTION_BYTES];
	struct x86_cpu_features missing;

	x86_cpu_describe(&w->cpu, text);
	if (!x86_cpu_granted(wish, &w->cpu)) {
		return refuse(
			w, "it was saved with the processor %s; expected --cpu with that, or none",
			text);
	}
	if (x86_cpu_fits(&w->cpu, offer, &missing)) {
		return true;
	}
	x86_cpu_features_text(&missing, "", text, sizeof(text));
	if (text[0] != '\0') {
		return refuse(w, "its guest's processor has %s, which %s lacks", text, whose(w));
	}
	return refuse(w, "its guest's processor and %s keep the state of AVX in different places",
		      whose(w));
}

static bool go_on(struct worker *w, const struct x86_cpu_wish *wish,
		  const struct x86_cpu_offer *offer)
{
	struct state_reader run;
	size_t bytes;
	const void *records = restore_records(w, &bytes);

	state_reader_init(&run, records, bytes);
	switch (x86_cpu_find(&run, &w->cpu)) {
	case X86_CPU_FOUND:
		return take_saved(w, wish, offer);
	case X86_CPU_ABSENT:
		return take_old(w, wish, offer);
	case X86_CPU_BROKEN:
	default:
		return refuse(w, "the record of the processor is damaged, or of a newer version");
	}
}

bool cpu_choose(struct worker *w)
{
	struct x86_cpu_offer offer;
	struct x86_cpu_wish wish;
	const char *word;
	size_t bytes;

	if (x86_cpu_parse(w->config.cpu, &wish, &word, &bytes) != X86_CPU_FINE) {
		log_line("--cpu %s: not a processor model", w->config.cpu);
		return false;
	}
	if (!ask_engine(w, &offer)) {
		return false;
	}
	if (restore_records(w, &bytes) == NULL ? !make(w, &wish, &offer)
					       : !go_on(w, &wish, &offer)) {
		return false;
	}
	warn_sequential(w);
	return true;
}
