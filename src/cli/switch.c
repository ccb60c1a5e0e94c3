// SPDX-License-Identifier: Apache-2.0
/* `virid switch`: what is asked for, and who does it. */
#include "switch.h"

#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "vswitchd/client.h"
#include "vswitchd/config.h"

static const char help_text[] =
	"usage: virid switch list [--json]\n"
	"       virid switch show NAME [--json]\n"
	"       virid switch create NAME --type private|internal|external|nat [--interface IF]... "
	"[--team hash|standby]\n"
	"                                [--address ADDRESS/BITS] [--aging SECONDS] "
	"[--no-snooping]\n"
	"       virid switch remove NAME\n"
	"       virid switch port NAME PORT OPTION...\n"
	"       virid switch mirror NAME FROM TO [--in | --out | --off]\n"
	"       virid switch stats NAME [PORT] [--json]\n"
	"       virid switch macs NAME [--json]\n"
	"\n"
	"Manages the virtual switches of this user, which `virid run --net NAME` plugs machines "
	"into. The switch 'default'\n"
	"is always there: it gives addresses and lets machines reach the networks of this host.\n"
	"\n"
	"  create    makes a switch: private (machines only), internal (machines and this host), "
	"external (the network\n"
	"            behind host interfaces) or nat (as default, with a network of its own)\n"
	"  remove    takes a switch away that nobody is plugged into\n"
	"  port      changes a port while it is in use; options as of `virid run --net`: vlan=, "
	"trunk=, native=, private=,\n"
	"            spoofing, dhcp-guard, router-guard, mirror=, max=, weight=, broadcast=, "
	"multicast=, unknown=, mtu=, link=,\n"
	"            static=, acl=\n"
	"  mirror    copies the frames of one port to another\n"
	"  stats     frames, bytes and drops of each port\n"
	"  macs      which addresses are where\n"
	"\n"
	"  --interface IF   internal: name of the host's end (default virid-NAME); external: an "
	"uplink, up to 8 times\n"
	"  --team TEAM      several uplinks: hash shares them among conversations, standby uses "
	"the first that has a link\n"
	"  --address A/N    internal: address of the host's end, such as 10.0.0.1/24; nat: its "
	"network, such as 10.0.3.0/24\n"
	"  --aging SECONDS  how long a learned address is remembered (default 300)\n"
	"  --no-snooping    multicast goes to everybody, whoever joined its group\n"
	"  --in, --out      mirror only what enters the port from its machine, or what leaves to "
	"it; --off ends it\n"
	"  --json           the answer as JSON\n"
	"\n"
	"The manual is virid-switch(1).\n";

struct switch_command {
	const char *name;
	int operands_min, operands_max;
	const char *expected;
	int (*run)(const struct switch_arguments *a);
};

static const struct switch_command commands[] = {
	{"list", 0, 0, "nothing but options", switch_list_command},
	{"show", 1, 1, "a switch's NAME", switch_show_command},
	{"create", 1, 1, "a switch's NAME", switch_create_command},
	{"remove", 1, 1, "a switch's NAME", switch_remove_command},
	{"port", 3, SWITCH_OPERANDS_MAX, "NAME, PORT and OPTIONs such as vlan=10",
	 switch_port_command},
	{"mirror", 3, 3, "NAME and the ports FROM and TO", switch_mirror_command},
	{"stats", 1, 2, "NAME and perhaps PORT", switch_stats_command},
	{"macs", 1, 1, "a switch's NAME", switch_macs_command},
};

enum {
	OPT_TYPE = 256, /* 1 is an operand */
	OPT_INTERFACE,
	OPT_TEAM,
	OPT_ADDRESS,
	OPT_AGING,
	OPT_NO_SNOOPING,
	OPT_IN,
	OPT_OUT,
	OPT_OFF,
	OPT_JSON,
	OPT_HELP
};

static const struct option options[] = {
	{"type", required_argument, NULL, OPT_TYPE},
	{"interface", required_argument, NULL, OPT_INTERFACE},
	{"team", required_argument, NULL, OPT_TEAM},
	{"address", required_argument, NULL, OPT_ADDRESS},
	{"aging", required_argument, NULL, OPT_AGING},
	{"no-snooping", no_argument, NULL, OPT_NO_SNOOPING},
	{"in", no_argument, NULL, OPT_IN},
	{"out", no_argument, NULL, OPT_OUT},
	{"off", no_argument, NULL, OPT_OFF},
	{"json", no_argument, NULL, OPT_JSON},
	{"help", no_argument, NULL, OPT_HELP},
	{0},
};

json_t *switch_ask(json_t *request)
{
	char error[1200];
	json_t *answer = NULL;

	if (vswitch_client_ask(false, request, NULL, 0, &answer, error, sizeof(error)) < 0) {
		complain("%s", error);
	}
	return answer;
}

const char *switch_text(const json_t *o, const char *key)
{
	const char *text = "";

	json_text(o, key, &text);
	return text;
}

uint64_t switch_number(const json_t *o, const char *key)
{
	uint64_t n = 0;

	json_number(o, key, &n);
	return n;
}

static bool set_option(struct switch_arguments *a, int opt, const char *arg)
{
	switch (opt) {
	case OPT_TYPE:
		a->type = arg;
		return true;
	case OPT_INTERFACE:
		if (a->interface_count == VSWITCH_UPLINKS_MAX) {
			complain("switch: more than %u interfaces", VSWITCH_UPLINKS_MAX);
			return false;
		}
		a->interfaces[a->interface_count++] = arg;
		return true;
	case OPT_TEAM:
		a->team = arg;
		return true;
	case OPT_ADDRESS:
		a->address = arg;
		return true;
	case OPT_AGING:
		a->aging = arg;
		return true;
	case OPT_NO_SNOOPING:
		a->no_snooping = true;
		return true;
	case OPT_IN:
		a->in = true;
		return true;
	case OPT_OUT:
		a->out = true;
		return true;
	case OPT_OFF:
		a->off = true;
		return true;
	case OPT_JSON:
		a->json = true;
		return true;
	default:
		return false;
	}
}

/* Options may stand anywhere among the operands. */
static bool parse(int argc, char **argv, struct switch_arguments *a, bool *ret_help)
{
	int opt;

	opterr = 0;
	optind = 1;
	while ((opt = getopt_long(argc, argv, "-:", options, NULL)) != -1) {
		if (opt == OPT_HELP) {
			*ret_help = true;
			return true;
		}
		if (optarg != NULL && !json_is_utf8(optarg)) {
			complain("switch: '%s' is not UTF-8; expected names and values in UTF-8",
				 optarg);
			return false;
		}
		if (opt == 1) {
			if (a->count == SWITCH_OPERANDS_MAX) {
				complain("switch: too many words");
				return false;
			}
			a->operands[a->count++] = optarg;
			continue;
		}
		if (opt == ':' || opt == '?') {
			complain("switch: '%s' %s; virid switch --help explains it",
				 argv[optind - 1],
				 opt == ':' ? "needs a value" : "is not an option");
			return false;
		}
		if (!set_option(a, opt, optarg)) {
			return false;
		}
	}
	return true;
}

static bool belongs(const struct switch_command *c, const struct switch_arguments *a)
{
	bool create = c->run == switch_create_command, mirror = c->run == switch_mirror_command;

	if (!create && (a->type != NULL || a->team != NULL || a->address != NULL ||
			a->interface_count > 0 || a->aging != NULL || a->no_snooping)) {
		complain("switch %s: --type, --interface, --team, --address, --aging and "
			 "--no-snooping are for create",
			 c->name);
		return false;
	}
	if (!mirror && (a->in || a->out || a->off)) {
		complain("switch %s: --in, --out and --off are for mirror", c->name);
		return false;
	}
	return true;
}

int switch_command(int argc, char **argv)
{
	struct switch_arguments a = {0};
	bool help = false;

	if (argc < 2) {
		fputs(help_text, stderr);
		return CLI_USAGE;
	}
	if (!parse(argc - 1, argv + 1, &a, &help)) {
		return CLI_USAGE;
	}
	if (help || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		fputs(help_text, stdout);
		return CLI_OK;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct switch_command *c = &commands[i];

		if (strcmp(argv[1], c->name) != 0) {
			continue;
		}
		if (a.count < c->operands_min || a.count > c->operands_max) {
			complain("switch %s: expected %s; virid switch --help explains it", c->name,
				 c->expected);
			return CLI_USAGE;
		}
		return belongs(c, &a) ? c->run(&a) : CLI_USAGE;
	}
	complain("switch: '%s' is not a command; virid switch --help lists them", argv[1]);
	return CLI_USAGE;
}
