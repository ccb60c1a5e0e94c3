/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processor models: what a guest's processor is and can do, whoever runs it. A wish is what a person writes (`--cpu`), an offer is what an engine can do on
 * this host, and a struct x86_cpu is what came of both: that one the guest finds, it is saved with the guest, and it does not change while the guest lives.
 * Pure functions; any thread. Decision: docs/design/0010-processor-models.md.
 */
#ifndef X86_CPU_H
#define X86_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/state.h"

enum x86_cpu_model {
	X86_CPU_SEQUENTIAL, /* does not speculate: systems leave their mitigations out */
	X86_CPU_BASELINE,   /* the same on every engine and host; systems mitigate all they know */
	X86_CPU_HOST,	    /* all that the engine offers on this host */
	X86_CPU_MODELS,
	X86_CPU_USUAL = X86_CPU_MODELS, /* of a wish: the engine's, without what the host lacks */
};

/* Registers of CPUID that consist of features. */
enum x86_cpu_word {
	X86_CPU_1_EDX,
	X86_CPU_1_ECX,
	X86_CPU_6_EAX,
	X86_CPU_7_EBX,
	X86_CPU_7_ECX,
	X86_CPU_7_EDX,
	X86_CPU_7_1_EAX,
	X86_CPU_D_1_EAX,
	X86_CPU_81_EDX, /* leaf 80000001h */
	X86_CPU_81_ECX,
	X86_CPU_88_EBX, /* leaf 80000008h */
	X86_CPU_A1_EAX, /* leaf 80000021h */
	X86_CPU_WORDS,
};

struct x86_cpu_features {
	uint32_t word[X86_CPU_WORDS];
};

#define X86_CPU_COMPONENTS 10u /* of XSAVE: all below PKRU's end */

struct x86_cpu {
	uint8_t model;	    /* enum x86_cpu_model */
	uint32_t vendor[3]; /* EBX, EDX, ECX of leaf 0 */
	uint32_t signature; /* EAX of leaf 1 */
	char brand[48];
	uint32_t caches[2][4]; /* leaves 80000005h and 80000006h */
	struct x86_cpu_features features;
	uint64_t arch_capabilities;
	uint64_t xcr0;				   /* what XCR0 can enable */
	uint32_t component[X86_CPU_COMPONENTS][3]; /* EAX EBX ECX of leaf Dh: bytes, offset */
};

/* What an engine can do on this host. */
struct x86_cpu_offer {
	struct x86_cpu host;		  /* model host */
	struct x86_cpu_features features; /* all that it can give to any model */
	enum x86_cpu_model usual;	  /* when nobody wishes for one */
};

/* ---- Features by name ---- */

/* A name may stand in several rows, and several names for one bit: dropping one drops all of its bits. */
struct x86_cpu_name {
	const char *name; /* Linux's, /proc/cpuinfo */
	uint8_t word;	  /* enum x86_cpu_word */
	uint8_t bit;
	uint8_t needs; /* enum x86_cpu_need */
};

/* Without the one, the other is nothing. */
enum x86_cpu_need {
	X86_CPU_NEEDS_NOTHING,
	X86_CPU_NEEDS_XSAVE,
	X86_CPU_NEEDS_AVX,
	X86_CPU_NEEDS_AVX512F,
};

/* All features that there are, in no order; no other bit is ever offered. */
const struct x86_cpu_name *x86_cpu_names(size_t *ret_count);

static inline bool x86_cpu_has(const struct x86_cpu_features *f, enum x86_cpu_word word,
			       unsigned bit)
{
	return f->word[word] >> bit & 1;
}

/* Bits of @a that are not in @b; true when there are any. */
bool x86_cpu_features_beyond(const struct x86_cpu_features *a, const struct x86_cpu_features *b,
			     struct x86_cpu_features *ret);
/* Names of the features, each once, with @before each ("," after the first): "-erms,-fsrm". As many as fit. */
void x86_cpu_features_text(const struct x86_cpu_features *f, const char *before, char *ret,
			   size_t bytes);

/* ---- Models ---- */

/* NULL: not one. "sequential", "baseline", "host". */
const char *x86_cpu_model_name(unsigned model);
/* One line for people. */
const char *x86_cpu_model_summary(enum x86_cpu_model model);
/* A model with all of its features, whoever could run it; not X86_CPU_HOST. */
void x86_cpu_make(enum x86_cpu_model model, struct x86_cpu *ret);

/* The guest cannot tell one from the other. */
bool x86_cpu_same(const struct x86_cpu *a, const struct x86_cpu *b);

/* ---- Wishes ---- */

#define X86_CPU_TEXT_MAX 512u

struct x86_cpu_wish {
	uint8_t model; /* enum x86_cpu_model; X86_CPU_USUAL for an empty text */
	struct x86_cpu_features add, drop;
};

enum x86_cpu_fault {
	X86_CPU_FINE,
	X86_CPU_NO_MODEL,   /* not the name of one */
	X86_CPU_NO_SIGN,    /* neither + nor - */
	X86_CPU_NO_FEATURE, /* not the name of one */
	X86_CPU_TOO_LONG,
};

/*
 * MODEL[,-FEATURE...][,+FEATURE...]; of two words about the same feature the last counts. @text is foreign. With a fault, *ret_word (in @text) and
 * *ret_length are what is wrong, sign apart.
 */
enum x86_cpu_fault x86_cpu_parse(const char *text, struct x86_cpu_wish *ret, const char **ret_word,
				 size_t *ret_length);

/*
 * The processor that @wish asks for, made of what is offered. False: some of that is not offered, and *ret_missing says what; *ret is then what is left of
 * it. X86_CPU_USUAL goes without, and is true always; *ret_missing says what it goes without.
 */
bool x86_cpu_resolve(const struct x86_cpu_wish *wish, const struct x86_cpu_offer *offer,
		     struct x86_cpu *ret, struct x86_cpu_features *ret_missing);
/* @cpu, saved elsewhere, can go on here. False: *ret_missing says what is not offered; with nothing in it, the layout of XSAVE is another. */
bool x86_cpu_fits(const struct x86_cpu *cpu, const struct x86_cpu_offer *offer,
		  struct x86_cpu_features *ret_missing);
/* @wish may have been the one of which @cpu came. */
bool x86_cpu_granted(const struct x86_cpu_wish *wish, const struct x86_cpu *cpu);

/* As the wish that makes this processor of its model: "baseline,-erms". */
#define X86_CPU_DESCRIPTION_BYTES 1024u
void x86_cpu_describe(const struct x86_cpu *cpu, char ret[X86_CPU_DESCRIPTION_BYTES]);

/* ---- Saved ---- */

#define X86_CPU_TAG STATE_TAG('C', 'P', 'U', ' ')
/* A whole record. */
void x86_cpu_save(const struct x86_cpu *cpu, struct state_writer *w);
/* The record's payload. False: torn, or of a newer version. */
bool x86_cpu_load(struct state_reader *r, uint16_t version, struct x86_cpu *ret);

enum x86_cpu_found {
	X86_CPU_FOUND,
	X86_CPU_ABSENT, /* a state from before there were models: X86_CPU_SEQUENTIAL, as far as its engine had it */
	X86_CPU_BROKEN, /* torn, or of a newer version */
};
/* The first record of its kind in a run of records. */
enum x86_cpu_found x86_cpu_find(const struct state_reader *run, struct x86_cpu *ret);

#endif
