// SPDX-License-Identifier: Apache-2.0
/* `virid engine cpus`: the processor models and features, and what each engine has of them on this host. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "engine.h"
#include "engines/cpus.h"

#define TEXT_BYTES 2048u

/* NULL: that engine is not there. */
struct offers {
	struct x86_cpu_offer kvm, emu;
	bool has_kvm;
};

static const struct x86_cpu_offer *offer_of(const struct offers *o, enum engines_engine e)
{
	return e == ENGINES_EMU ? &o->emu : o->has_kvm ? &o->kvm : NULL;
}

/* What @model lacks on an engine, as names with commas between them. */
static void lacking(unsigned model, const struct x86_cpu_offer *offer, char ret[TEXT_BYTES])
{
	const struct x86_cpu_wish wish = {.model = (uint8_t)model};
	struct x86_cpu_features missing;
	struct x86_cpu cpu;

	x86_cpu_resolve(&wish, offer, &cpu, &missing);
	x86_cpu_features_text(&missing, "", ret, TEXT_BYTES);
}

/* Rows of one name stand for it together: the first of them is shown. */
static bool is_first(const struct x86_cpu_name *names, size_t i)
{
	for (size_t n = 0; n < i; n++) {
		if (strcmp(names[n].name, names[i].name) == 0) {
			return false;
		}
	}
	return true;
}

static bool has(const struct x86_cpu_features *f, const struct x86_cpu_name *names, size_t count,
		const char *name)
{
	for (size_t n = 0; n < count; n++) {
		if (strcmp(names[n].name, name) == 0 &&
		    x86_cpu_has(f, names[n].word, names[n].bit)) {
			return true;
		}
	}
	return false;
}

/* ---- Text ---- */

static void print_models(const struct offers *o)
{
	char text[TEXT_BYTES];

	for (unsigned m = 0; x86_cpu_model_name(m) != NULL; m++) {
		printf("%-12s %s\n", x86_cpu_model_name(m),
		       x86_cpu_model_summary((enum x86_cpu_model)m));
		for (unsigned e = ENGINES_EMU; e <= ENGINES_KVM; e++) {
			const struct x86_cpu_offer *offer = offer_of(o, (enum engines_engine)e);

			if (offer == NULL) {
				continue;
			}
			lacking(m, offer, text);
			printf("%-12s   %s%s: %s%s\n", "", engines_name((enum engines_engine)e),
			       offer->usual == m ? " (usual there)" : "",
			       text[0] != '\0' ? "lacks " : "all of it", text);
		}
	}
}

static void print_features(const struct offers *o)
{
	size_t count;
	const struct x86_cpu_name *names = x86_cpu_names(&count);
	struct x86_cpu baseline;

	x86_cpu_make(X86_CPU_BASELINE, &baseline);
	printf("\n%-22s %-9s %-5s %s\n", "FEATURE", "BASELINE", "EMU", o->has_kvm ? "KVM" : "");
	for (size_t i = 0; i < count; i++) {
		const char *name = names[i].name;

		if (is_first(names, i)) {
			printf("%-22s %-9s %-5s %s\n", name,
			       has(&baseline.features, names, count, name) ? "yes" : "-",
			       has(&o->emu.features, names, count, name) ? "yes" : "-",
			       !o->has_kvm				   ? ""
			       : has(&o->kvm.features, names, count, name) ? "yes"
									   : "-");
		}
	}
}

/* ---- JSON: names, which need no escapes, and our own sentences ---- */

static void print_list(const char *key, const char *commas, const char *end)
{
	printf("\"%s\": [", key);
	for (const char *at = commas; *at != '\0';) {
		size_t n = strcspn(at, ",");

		printf("%s\"%.*s\"", at == commas ? "" : ", ", (int)n, at);
		at += n + (at[n] == ',');
	}
	printf("]%s", end);
}

static void print_json_engine(const struct x86_cpu_offer *offer, const char *name, const char *end)
{
	char text[TEXT_BYTES];

	printf("    \"%s\": {\n      \"usual\": \"%s\",\n      \"lacks\": {", name,
	       x86_cpu_model_name(offer->usual));
	for (unsigned m = 0; x86_cpu_model_name(m) != NULL; m++) {
		lacking(m, offer, text);
		print_list(x86_cpu_model_name(m), text,
			   x86_cpu_model_name(m + 1) != NULL ? ", " : "},\n      ");
	}
	x86_cpu_features_text(&offer->features, "", text, sizeof(text));
	print_list("features", text, "\n    }");
	fputs(end, stdout);
}

static void print_json(const struct offers *o)
{
	size_t count;
	const struct x86_cpu_name *names = x86_cpu_names(&count);
	bool any = false;

	puts("{\n  \"models\": {");
	for (unsigned m = 0; x86_cpu_model_name(m) != NULL; m++) {
		printf("    \"%s\": \"%s\"%s\n", x86_cpu_model_name(m),
		       x86_cpu_model_summary((enum x86_cpu_model)m),
		       x86_cpu_model_name(m + 1) != NULL ? "," : "");
	}
	fputs("  },\n  \"features\": [", stdout);
	for (size_t i = 0; i < count; i++) {
		if (is_first(names, i)) {
			printf("%s\"%s\"", any ? ", " : "", names[i].name);
			any = true;
		}
	}
	puts("],\n  \"engines\": {");
	print_json_engine(&o->emu, "emu", o->has_kvm ? ",\n" : "\n");
	if (o->has_kvm) {
		print_json_engine(&o->kvm, "kvm", "\n");
	}
	puts("  }\n}");
}

void engine_cpus_print(const char *device, bool json)
{
	struct offers o;

	engines_cpu_offer(ENGINES_EMU, device, &o.emu);
	o.has_kvm = engines_cpu_offer(ENGINES_KVM, device, &o.kvm);
	if (json) {
		print_json(&o);
	} else {
		print_models(&o);
		print_features(&o);
	}
}
