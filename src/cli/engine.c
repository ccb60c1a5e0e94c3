// SPDX-License-Identifier: Apache-2.0
/* `virid engine`: what KVM and the software engine do on this host, which of both suits it, and the processors that they give to guests. */
#include <getopt.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "engine.h"
#include "engines/engines.h"
#include "json/json.h"

static const char help_text[] =
	"usage: virid engine probe [--again] [--json] [--device PATH]\n"
	"       virid engine cpus [--json] [--device PATH]\n"
	"\n"
	"probe measures which engine suits this host, and says why: a tiny guest is run on KVM and "
	"on the software engine. What\n"
	"was measured is kept until the kernel, the processor, KVM's parameters or Virid change. "
	"`virid run --engine auto` goes by it.\n"
	"\n"
	"cpus lists the processor models and features that `virid run --cpu` knows, and which of "
	"them each engine has here.\n"
	"\n"
	"  --again        measure, whatever is kept; about half a second\n"
	"  --json         the answer as JSON\n"
	"  --device PATH  KVM's device (default /dev/kvm); what another one does is not kept\n"
	"\n"
	"Exit status: 0 whichever it is.\n";

enum { OPT_AGAIN = 1, OPT_JSON, OPT_DEVICE, OPT_HELP };

static const struct option options[] = {
	{"again", no_argument, NULL, OPT_AGAIN},
	{"json", no_argument, NULL, OPT_JSON},
	{"device", required_argument, NULL, OPT_DEVICE},
	{"help", no_argument, NULL, OPT_HELP},
	{0},
};

struct engine_arguments {
	bool again, json, help;
	const char *device;
};

static bool parse(int argc, char **argv, struct engine_arguments *a)
{
	int opt;

	*a = (struct engine_arguments){.device = ENGINES_KVM_DEVICE};
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
		switch (opt) {
		case OPT_AGAIN:
			a->again = true;
			break;
		case OPT_JSON:
			a->json = true;
			break;
		case OPT_DEVICE:
			a->device = optarg;
			break;
		case OPT_HELP:
			a->help = true;
			return true;
		default: {
			char meant[CLI_GUESS_BYTES];

			complain("'%s' %s%s; virid engine --help explains the options",
				 argv[optind - 1],
				 opt == ':' ? "needs a value" : "is not an option",
				 opt == ':' ? "" : guess_option(argv[optind - 1], options, meant));
			return false;
		}
		}
	}
	if (optind < argc) {
		complain("'%s': virid engine %s takes options only", argv[optind], argv[0]);
		return false;
	}
	return true;
}

static void add_rates(json_t *o, const char *engine, const struct engines_rates *r)
{
	if (r->kernel_ips == 0) {
		json_add(o, engine, json_null());
		return;
	}
	json_t *rates = json_object();

	json_add_number(rates, "kernel_instructions_s", r->kernel_ips);
	json_add_number(rates, "user_instructions_s", r->user_ips);
	json_add_number(rates, "exit_ns", r->exit_ns);
	json_add(o, engine, rates);
}

static void print_json(const struct engines_report *r, const struct engines_choice *c)
{
	json_t *o = json_object();

	json_add_text(o, "engine", engines_name(c->engine));
	json_add_text(o, "reason", c->reason);
	json_add_text(o, "kvm_state", engines_state_name(r->kvm_state));
	json_add_text(o, "kvm_detail", r->detail);
	add_rates(o, "kvm", &r->kvm);
	add_rates(o, "emu", &r->emu);
	json_add_number(o, "measured", r->measured_s);
	json_add_flag(o, "kept", r->kept);
	json_print(o);
	json_decref(o);
}

static void print_rates(const char *engine, const struct engines_rates *r)
{
	if (r->kernel_ips == 0) {
		printf("%-16s not measured\n", engine);
		return;
	}
	printf("%-16s %14.1f %14.1f %14.2f\n", engine, (double)r->kernel_ips / 1e6,
	       (double)r->user_ips / 1e6, (double)r->exit_ns / 1e3);
}

static void print_text(const struct engines_report *r, const struct engines_choice *c)
{
	time_t when = (time_t)r->measured_s;
	char text[32] = "";
	struct tm tm;

	printf("Engine that suits this host: %s\nWhy: %s\n", engines_name(c->engine), c->reason);
	if (r->measured_s == 0) {
		return;
	}
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", localtime_r(&when, &tm));
	printf("\n%-16s %14s %14s %14s\n", "", "KERNEL M/s", "USER M/s", "EXIT us");
	print_rates("kvm", &r->kvm);
	print_rates("emu", &r->emu);
	printf("\n%s %s\n", r->kept ? "Kept since" : "Measured", text);
}

static int probe(int argc, char **argv)
{
	struct engine_arguments a;
	struct engines_report r;
	struct engines_choice c;
	char path[4096];

	if (!parse(argc, argv, &a)) {
		return CLI_USAGE;
	}
	if (a.help) {
		fputs(help_text, stdout);
		return CLI_OK;
	}
	bool keeps =
		strcmp(a.device, ENGINES_KVM_DEVICE) == 0 && engines_cache_path(path, sizeof(path));

	engines_probe(a.device, keeps ? path : NULL, a.again, &r);
	engines_choose(&r, &c);
	if (a.json) {
		print_json(&r, &c);
	} else {
		print_text(&r, &c);
	}
	return CLI_OK;
}

static int cpus(int argc, char **argv)
{
	struct engine_arguments a;

	if (!parse(argc, argv, &a)) {
		return CLI_USAGE;
	}
	if (a.help) {
		fputs(help_text, stdout);
		return CLI_OK;
	}
	if (a.again) {
		complain(
			"--again: virid engine cpus measures nothing; --help explains the options");
		return CLI_USAGE;
	}
	engine_cpus_print(a.device, a.json);
	return CLI_OK;
}

int engine_command(int argc, char **argv)
{
	static const char *const verbs[] = {"probe", "cpus", NULL};
	char meant[CLI_GUESS_BYTES];

	if (argc < 2) {
		fputs(help_text, stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		fputs(help_text, stdout);
		return CLI_OK;
	}
	if (strcmp(argv[1], "probe") == 0) {
		return probe(argc - 1, argv + 1);
	}
	if (strcmp(argv[1], "cpus") == 0) {
		return cpus(argc - 1, argv + 1);
	}
	complain("engine: '%s' is not a command%s; expected probe or cpus", argv[1],
		 guess(argv[1], verbs, meant));
	return CLI_USAGE;
}
