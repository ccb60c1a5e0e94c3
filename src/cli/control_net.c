// SPDX-License-Identifier: Apache-2.0
/* Network adapters of a running machine. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "control.h"
#include "run_nets.h"

static bool parse_number(const char *text, unsigned *ret)
{
	uint64_t number;

	if (!parse_count(text, &number) || number >= RUN_NETS_MAX) {
		complain("'%s' is not an adapter; expected a number from 0 to %u", text,
			 RUN_NETS_MAX - 1);
		return false;
	}
	*ret = (unsigned)number;
	return true;
}

/* How the machine's adapters are plugged in: its queues and its name. */
static bool ask_machine(const char *socket_path, struct packet *p, unsigned *ret_queues,
			char ret_name[64])
{
	char text[1024];

	*p = (struct packet){0};
	if (!packet_add_word(p, "net-info") ||
	    !control_exchange(socket_path, p, text, sizeof(text))) {
		return false;
	}
	if (sscanf(text, "queues %u of %63[^\n]", ret_queues, ret_name) != 2) {
		complain("%s", text);
		return false;
	}
	return true;
}

static int attach(const char *socket_path, struct packet *p, unsigned number, const char *arg)
{
	int fds[PACKET_DESCRIPTORS_MAX], status = CLI_FAILED;
	struct run_nets nets = {0};
	char name[64], *text;
	unsigned queues;

	if (run_nets_add(&nets, arg) && ask_machine(socket_path, p, &queues, name)) {
		nets.nets[0].number = number;
		if (run_nets_plug(&nets, name, queues) && run_nets_option(&nets, 0, true, &text)) {
			unsigned count = run_nets_fds(&nets, 0, fds, PACKET_DESCRIPTORS_MAX);

			*p = (struct packet){0};
			bool ok = packet_add_word(p, "net-attach") && packet_add_word(p, text);

			for (unsigned i = 0; i < count && ok; i++) {
				ok = packet_add_fd(p, fds[i]);
			}
			free(text);
			status = ok ? control_ask(socket_path, "attach-net", arg, p) : CLI_FAILED;
		}
	}
	run_nets_fini(&nets);
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

int control_detach_net(const char *socket_path, char **operands)
{
	struct packet *p = calloc(1, sizeof(*p));
	unsigned number;
	int status = CLI_USAGE;
	char text[32];

	if (p != NULL && parse_number(operands[0], &number)) {
		snprintf(text, sizeof(text), "--number=%u", number);
		packet_add_word(p, "net-detach");
		packet_add_word(p, text);
		status = control_ask(socket_path, "detach-net", operands[0], p);
	}
	free(p);
	return status;
}
