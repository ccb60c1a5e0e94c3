/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/bits.h"
#include "x86/cpu.h"
#include "x86/msr.h"

/* GenuineIntel */
#define INTEL                                                                                      \
	{                                                                                          \
		0x756e6547, 0x49656e69, 0x6c65746e                                                 \
	}

struct model {
	const char *name;
	const char *summary;
	const char *brand;
	uint32_t signature;
	uint64_t arch_capabilities;
	struct x86_cpu_features features;
};

/* As numbers, for everybody knows them so; the names are in cpu_names.c. */
static const struct model models[] = {
	[X86_CPU_SEQUENTIAL] =
		{
			.name = "sequential",
			.summary = "does not speculate: guests run without mitigations; for the "
				   "software engine",
			.brand = "Virid software processor",
			/*
			 * Family 6, model 36h, stepping 1: an in-order Intel core. Decision: operating systems know that such a core does
			 * not speculate and run without any of the mitigations, and none of their model-specific workarounds applies to it.
			 */
			.signature = 0x00030661,
			.arch_capabilities = X86_ARCH_CAPABILITIES_SEQUENTIAL,
			.features = {{
				[X86_CPU_1_EDX] = 0x0f8bf9ff,
				[X86_CPU_1_ECX] = 0x46da2203,
				[X86_CPU_6_EAX] = 0x00000004,
				[X86_CPU_7_EBX] = 0x201c0789,
				[X86_CPU_7_ECX] = 0x00400004,
				/* No IBRS, STIBP, SSBD: systems that find the controls report what they leave off as vulnerable. */
				[X86_CPU_7_EDX] = 0x20000410,
				[X86_CPU_D_1_EAX] = 0x00000001,
				[X86_CPU_81_EDX] = 0x2c100800,
				[X86_CPU_81_ECX] = 0x00000121,
			}},
		},
	[X86_CPU_BASELINE] =
		{
			.name = "baseline",
			.summary = "the same on both engines and on hosts from about 2015 on; "
				   "guests use all mitigations",
			.brand = "Virid baseline processor",
			/* Family 6, model FFh: one that no list of immune processors has, and that never was. */
			.signature = 0x000f06f0,
			.arch_capabilities = X86_ARCH_CAPABILITIES_BASELINE,
			.features = {{
				[X86_CPU_1_EDX] = 0x0f8bf9ff,
				[X86_CPU_1_ECX] = 0x46da2203,
				[X86_CPU_6_EAX] = 0x00000004,
				/* No SHA, RDPID, FSRM: hosts of those years lack them. */
				[X86_CPU_7_EBX] = 0x001c0789,
				[X86_CPU_7_ECX] = 0x00000004,
				[X86_CPU_7_EDX] = 0xac000400,
				[X86_CPU_D_1_EAX] = 0x00000001,
				[X86_CPU_81_EDX] = 0x2c100800,
				[X86_CPU_81_ECX] = 0x00000121,
			}},
		},
	[X86_CPU_HOST] =
		{
			.name = "host",
			.summary = "all that the engine offers on this host; such a guest may not "
				   "run elsewhere",
		},
};

const char *x86_cpu_model_name(unsigned model)
{
	return model < X86_CPU_MODELS ? models[model].name : NULL;
}

const char *x86_cpu_model_summary(enum x86_cpu_model model)
{
	return models[model].summary;
}

/* ---- What follows from the features ---- */

/* The feature that stands for a need. */
static bool met(const struct x86_cpu_features *f, unsigned needs)
{
	switch ((enum x86_cpu_need)needs) {
	case X86_CPU_NEEDS_XSAVE:
		return x86_cpu_has(f, X86_CPU_1_ECX, 26);
	case X86_CPU_NEEDS_AVX:
		return x86_cpu_has(f, X86_CPU_1_ECX, 28);
	case X86_CPU_NEEDS_AVX512F:
		return x86_cpu_has(f, X86_CPU_7_EBX, 16);
	case X86_CPU_NEEDS_NOTHING:
	default:
		return true;
	}
}

/* Features without what they need go, in the order of the needs. */
static void close_features(struct x86_cpu_features *f)
{
	size_t count;
	const struct x86_cpu_name *names = x86_cpu_names(&count);

	for (unsigned need = X86_CPU_NEEDS_XSAVE; need <= X86_CPU_NEEDS_AVX512F; need++) {
		for (size_t i = 0; i < count; i++) {
			if (names[i].needs == need && !met(f, need)) {
				f->word[names[i].word] &= ~BIT32(names[i].bit);
			}
		}
	}
}

/* State components: x87 and SSE, AVX, the three of AVX-512, PKRU. */
static uint64_t components(const struct x86_cpu_features *f)
{
	if (!met(f, X86_CPU_NEEDS_XSAVE)) {
		return 0;
	}
	return UINT64_C(0x3) | (met(f, X86_CPU_NEEDS_AVX) ? UINT64_C(0x4) : 0) |
	       (met(f, X86_CPU_NEEDS_AVX512F) ? UINT64_C(0xe0) : 0) |
	       (x86_cpu_has(f, X86_CPU_7_ECX, 3) ? UINT64_C(0x200) : 0);
}

static void finish(struct x86_cpu *cpu, const struct x86_cpu *host)
{
	close_features(&cpu->features);
	cpu->xcr0 = components(&cpu->features);
	for (unsigned i = 2; i < X86_CPU_COMPONENTS; i++) {
		for (unsigned r = 0; r < 3; r++) {
			cpu->component[i][r] =
				host != NULL && (cpu->xcr0 >> i & 1) ? host->component[i][r] : 0;
		}
	}
}

void x86_cpu_make(enum x86_cpu_model model, struct x86_cpu *ret)
{
	const struct model *m = &models[model];
	size_t i = 0;

	*ret = (struct x86_cpu){.model = (uint8_t)model,
				.vendor = INTEL,
				.signature = m->signature,
				.features = m->features,
				/* L2: 256 KiB, 4 ways, 64-byte lines. */
				.caches = {{0}, {0, 0, 256u << 16 | 4u << 12 | 64u, 0}},
				.arch_capabilities = m->arch_capabilities};
	for (; i < sizeof(ret->brand) - 1 && m->brand[i] != '\0'; i++) {
		ret->brand[i] = m->brand[i];
	}
	finish(ret, NULL);
}

bool x86_cpu_same(const struct x86_cpu *a, const struct x86_cpu *b)
{
	return a->model == b->model && a->signature == b->signature && a->xcr0 == b->xcr0 &&
	       a->arch_capabilities == b->arch_capabilities &&
	       __builtin_memcmp(a->vendor, b->vendor, sizeof(a->vendor)) == 0 &&
	       __builtin_memcmp(a->brand, b->brand, sizeof(a->brand)) == 0 &&
	       __builtin_memcmp(a->caches, b->caches, sizeof(a->caches)) == 0 &&
	       __builtin_memcmp(&a->features, &b->features, sizeof(a->features)) == 0 &&
	       __builtin_memcmp(a->component, b->component, sizeof(a->component)) == 0;
}

/* ---- Wishes ---- */

static size_t word_length(const char *s)
{
	size_t n = 0;

	while (s[n] != '\0' && s[n] != ',') {
		n++;
	}
	return n;
}

static bool equal(const char *name, const char *word, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (name[i] == '\0' || name[i] != word[i]) {
			return false;
		}
	}
	return name[length] == '\0';
}

/* Moves the feature from one list to the other. False: there is none of that name. */
static bool take(const char *word, size_t length, struct x86_cpu_features *to,
		 struct x86_cpu_features *from)
{
	size_t count;
	const struct x86_cpu_name *names = x86_cpu_names(&count);
	bool found = false;

	for (size_t i = 0; i < count; i++) {
		if (equal(names[i].name, word, length)) {
			to->word[names[i].word] |= BIT32(names[i].bit);
			from->word[names[i].word] &= ~BIT32(names[i].bit);
			found = true;
		}
	}
	return found;
}

static uint8_t model_of(const char *word, size_t length)
{
	uint8_t m = 0;

	while (m < X86_CPU_MODELS && !equal(models[m].name, word, length)) {
		m++;
	}
	return m;
}

/* *@at is after a comma, and moves on to the next. */
static enum x86_cpu_fault parse_feature(struct x86_cpu_wish *w, const char **at)
{
	bool add = **at == '+';

	if (!add && **at != '-') {
		return X86_CPU_NO_SIGN;
	}
	(*at)++;
	size_t length = word_length(*at);

	if (!take(*at, length, add ? &w->add : &w->drop, add ? &w->drop : &w->add)) {
		return X86_CPU_NO_FEATURE;
	}
	*at += length;
	return X86_CPU_FINE;
}

static bool too_long(const char *text)
{
	size_t n = 0;

	while (n <= X86_CPU_TEXT_MAX && text[n] != '\0') {
		n++;
	}
	return n > X86_CPU_TEXT_MAX;
}

enum x86_cpu_fault x86_cpu_parse(const char *text, struct x86_cpu_wish *ret, const char **ret_word,
				 size_t *ret_length)
{
	struct x86_cpu_wish w = {.model = X86_CPU_USUAL};
	enum x86_cpu_fault fault = X86_CPU_FINE;
	const char *at = text;

	if (too_long(text)) {
		fault = X86_CPU_TOO_LONG;
	} else if (*text != '\0') {
		w.model = model_of(at, word_length(at));
		if (w.model == X86_CPU_MODELS) {
			fault = X86_CPU_NO_MODEL;
		} else {
			at += word_length(at);
		}
	}
	while (fault == X86_CPU_FINE && *at == ',') {
		at++;
		fault = parse_feature(&w, &at);
	}
	if (fault == X86_CPU_FINE) {
		*ret = w;
	} else {
		*ret_word = at;
		*ret_length = fault == X86_CPU_TOO_LONG ? 0 : word_length(at);
	}
	return fault;
}

/* Names of which no row at all is offered; of the others, the rows that are. */
static void add_offered(const struct x86_cpu_features *add, const struct x86_cpu_features *offered,
			struct x86_cpu_features *to)
{
	size_t count;
	const struct x86_cpu_name *names = x86_cpu_names(&count);

	for (size_t i = 0; i < count; i++) {
		bool any = false;

		if (!x86_cpu_has(add, names[i].word, names[i].bit)) {
			continue;
		}
		for (size_t j = 0; j < count; j++) {
			any = any ||
			      (equal(names[j].name, names[i].name, word_length(names[i].name)) &&
			       x86_cpu_has(offered, names[j].word, names[j].bit));
		}
		if (!any || x86_cpu_has(offered, names[i].word, names[i].bit)) {
			to->word[names[i].word] |= BIT32(names[i].bit);
		}
	}
}

bool x86_cpu_resolve(const struct x86_cpu_wish *wish, const struct x86_cpu_offer *offer,
		     struct x86_cpu *ret, struct x86_cpu_features *ret_missing)
{
	enum x86_cpu_model model =
		wish->model == X86_CPU_USUAL ? offer->usual : (enum x86_cpu_model)wish->model;
	bool missing;

	if (model == X86_CPU_HOST) {
		*ret = offer->host;
	} else {
		x86_cpu_make(model, ret);
	}
	add_offered(&wish->add, &offer->features, &ret->features);
	x86_cpu_features_beyond(&ret->features, &wish->drop, &ret->features);
	close_features(&ret->features);
	missing = x86_cpu_features_beyond(&ret->features, &offer->features, ret_missing);
	x86_cpu_features_beyond(&ret->features, ret_missing, &ret->features);
	finish(ret, &offer->host);
	return !missing || wish->model == X86_CPU_USUAL;
}

bool x86_cpu_fits(const struct x86_cpu *cpu, const struct x86_cpu_offer *offer,
		  struct x86_cpu_features *ret_missing)
{
	if (x86_cpu_features_beyond(&cpu->features, &offer->features, ret_missing)) {
		return false;
	}
	if (cpu->xcr0 != components(&cpu->features)) {
		return false;
	}
	for (unsigned i = 2; i < X86_CPU_COMPONENTS; i++) {
		for (unsigned r = 0; (cpu->xcr0 >> i & 1) && r < 2; r++) {
			if (cpu->component[i][r] != offer->host.component[i][r]) {
				return false;
			}
		}
	}
	return true;
}

bool x86_cpu_granted(const struct x86_cpu_wish *wish, const struct x86_cpu *cpu)
{
	struct x86_cpu named;

	if (wish->model == X86_CPU_USUAL) {
		return true;
	}
	if (wish->model != cpu->model) {
		return false;
	}
	for (unsigned i = 0; i < X86_CPU_WORDS; i++) {
		if (cpu->features.word[i] & wish->drop.word[i]) {
			return false;
		}
	}
	if (wish->model == X86_CPU_HOST) {
		return true;
	}
	x86_cpu_make((enum x86_cpu_model)wish->model, &named);
	add_offered(&wish->add, &cpu->features, &named.features);
	x86_cpu_features_beyond(&named.features, &wish->drop, &named.features);
	close_features(&named.features);
	return __builtin_memcmp(&named.features, &cpu->features, sizeof(named.features)) == 0;
}

void x86_cpu_describe(const struct x86_cpu *cpu, char ret[X86_CPU_DESCRIPTION_BYTES])
{
	const char *name = x86_cpu_model_name(cpu->model);
	struct x86_cpu_features diff;
	struct x86_cpu named;
	size_t used = 0;

	for (; name[used] != '\0'; used++) {
		ret[used] = name[used];
	}
	ret[used] = '\0';
	if (cpu->model == X86_CPU_HOST) {
		return;
	}
	x86_cpu_make((enum x86_cpu_model)cpu->model, &named);
	for (unsigned sign = 0; sign < 2; sign++) {
		bool any =
			sign == 0 ? x86_cpu_features_beyond(&named.features, &cpu->features, &diff)
				  : x86_cpu_features_beyond(&cpu->features, &named.features, &diff);

		if (any && used + 2 < X86_CPU_DESCRIPTION_BYTES) {
			ret[used++] = ',';
			x86_cpu_features_text(&diff, sign == 0 ? "-" : "+", ret + used,
					      X86_CPU_DESCRIPTION_BYTES - used);
		}
		while (ret[used] != '\0') {
			used++;
		}
	}
}
