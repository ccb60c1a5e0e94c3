// SPDX-License-Identifier: Apache-2.0
/* Network adapters of a running machine. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "control.h"
#include "launch/nets.h"
#include "lib/check.h"

static bool parse_number(const char *text, unsigned *ret)
{
	uint64_t number;

	if (!parse_count(text, &number) || number >= LAUNCH_NETS_MAX) {
		complain("'%s' is not an adapter; expected a number from 0 to %u", text,
			 LAUNCH_NETS_MAX - 1);
		return false;
	}
	*ret = (unsigned)number;
	return true;
}

static bool add_word(struct packet *p, const char *word)
{
	struct launch_error error;

	if (!packet_add_word(p, word, &error)) {
		complain("%s", error.text);
		return false;
	}
	return true;
}

static bool add_net(struct launch_nets *nets, const char *arg)
{
	struct launch_error error;

	if (!launch_nets_add(nets, arg, &error)) {
		complain("--net %s: %s", arg, error.text);
		return false;
	}
	return true;
}

/* The machine, and the adapter that is asked about. */
struct machine {
	unsigned queues;
	char name[65];
	bool has_mac;
	char mac[18];
};

/* How the machine's adapters are plugged in; of adapter @number (-1: a new one) its address. */
static bool ask_machine(const char *socket_path, struct packet *p, int number, struct machine *ret)
{
	char text[1024], word[32];

	*p = (struct packet){0};
	*ret = (struct machine){0};
	snprintf(word, sizeof(word), "--number=%d", number);
	if (!add_word(p, "net-info") || (number >= 0 && !add_word(p, word)) ||
	    !control_exchange(socket_path, p, text, sizeof(text))) {
		return false;
	}
	int found =
		sscanf(text, "queues %u of %64[^\n]\nmac %17s", &ret->queues, ret->name, ret->mac);

	if (found < 2) {
		complain("%s", text);
		return false;
	}
	ret->has_mac = found == 3;
	return true;
}

/* Plugs the only one of @nets in, and hands it over with the request @word. */
static int hand_over(const char *socket_path, struct packet *p, struct launch_nets *nets,
		     const struct machine *m, const char *word, const char *name, const char *arg)
{
	int fds[PACKET_DESCRIPTORS_MAX];
	char *text;

	struct launch_error error;

	if (!launch_nets_plug(nets, m->name, m->queues, &error)) {
		complain("--net: %s", error.text);
		return CLI_FAILED;
	}
	CHECK(launch_nets_option(nets, 0, true, &text));
	unsigned count = launch_nets_fds(nets, 0, fds, PACKET_DESCRIPTORS_MAX);

	*p = (struct packet){0};
	memcpy(p->fds, fds, count * sizeof(int));
	p->fd_count = count;
	bool ok = add_word(p, word) && add_word(p, text);

	free(text);
	return ok ? control_ask(socket_path, name, arg, p) : CLI_FAILED;
}

static int attach(const char *socket_path, struct packet *p, unsigned number, const char *arg)
{
	struct launch_nets nets = {0};
	struct machine m;
	int status = CLI_FAILED;

	if (add_net(&nets, arg) && ask_machine(socket_path, p, -1, &m)) {
		nets.nets[0].number = number;
		status = hand_over(socket_path, p, &nets, &m, "net-attach", "attach-net", arg);
	}
	launch_nets_fini(&nets);
	return status;
}

int control_attach_net(const char *socket_path, char **operands)
{
	struct packet *p = calloc(1, sizeof(*p));
	unsigned number;
	int status = CLI_USAGE;

	if (p != NULL && parse_number(operands[0], &number)) {
		status = attach(socket_path, p, number, operands[1]);
	}
	free(p);
	return status;
}

/* The address stays: the guest knows the adapter by it. */
static bool add_mac(char *ret, size_t size, const char *arg, const char *mac)
{
	int n = snprintf(ret, size, "%s,mac=%s", arg, mac);

	if (n < 0 || (size_t)n >= size) {
		complain("connect-net: the options are too long");
		return false;
	}
	return true;
}

static int connect_to(const char *socket_path, struct packet *p, unsigned number, const char *arg)
{
	static char text[32768]; /* too long for the stack */
	struct launch_nets nets = {0};
	struct machine m;
	int status = CLI_FAILED;

	if (!ask_machine(socket_path, p, (int)number, &m)) {
		return CLI_FAILED;
	}
	if (!m.has_mac) {
		complain("connect-net %u: there is no adapter of that number", number);
		return CLI_FAILED;
	}
	if (add_mac(text, sizeof(text), arg, m.mac) && add_net(&nets, text)) {
		nets.nets[0].number = number;
		status = hand_over(socket_path, p, &nets, &m, "net-connect", "connect-net", arg);
	}
	launch_nets_fini(&nets);
	return status;
}

int control_connect_net(const char *socket_path, char **operands)
{
	struct packet *p = calloc(1, sizeof(*p));
	unsigned number;
	int status = CLI_USAGE;

	if (p != NULL && parse_number(operands[0], &number)) {
		if (strcmp(operands[1], LAUNCH_NETS_NONE) == 0) {
			status = control_disconnect_net(socket_path, operands);
		} else {
			status = connect_to(socket_path, p, number, operands[1]);
		}
	}
	free(p);
	return status;
}

/* A request that is a word and an adapter's number. */
static int ask_about(const char *socket_path, const char *word, const char *name,
		     const char *operand)
{
	struct packet *p = calloc(1, sizeof(*p));
	unsigned number;
	int status = CLI_USAGE;
	char text[32];

	if (p != NULL && parse_number(operand, &number)) {
		snprintf(text, sizeof(text), "--number=%u", number);
		(void)(add_word(p, word) && add_word(p, text)); /* an empty packet takes them */
		status = control_ask(socket_path, name, operand, p);
	}
	free(p);
	return status;
}

int control_detach_net(const char *socket_path, char **operands)
{
	return ask_about(socket_path, "net-detach", "detach-net", operands[0]);
}

int control_disconnect_net(const char *socket_path, char **operands)
{
	return ask_about(socket_path, "net-disconnect", "disconnect-net", operands[0]);
}
