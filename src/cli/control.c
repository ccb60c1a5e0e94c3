// SPDX-License-Identifier: Apache-2.0
/* `virid control`: changes a machine that `virid run --control` runs. Files are opened and locked here, and handed over. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "control.h"
#include "lib/bits.h"
#include "run_disks.h"

#define NAMES_MAX 32u

static const char help_text[] =
	"usage: virid control SOCKET attach FILE[,OPTION...]\n"
	"       virid control SOCKET detach CONTROLLER:LUN\n"
	"       virid control SOCKET insert CONTROLLER:LUN FILE\n"
	"       virid control SOCKET eject CONTROLLER:LUN\n"
	"       virid control SOCKET resize CONTROLLER:LUN SIZE\n"
	"       virid control SOCKET attach-net NUMBER SWITCH[,OPTION...]\n"
	"       virid control SOCKET detach-net NUMBER\n"
	"       virid control SOCKET connect-net NUMBER SWITCH[,OPTION...]\n"
	"       virid control SOCKET disconnect-net NUMBER\n"
	"       virid control SOCKET pause|resume|reset|turn-off|info|stats|console|events\n"
	"       virid control SOCKET shutdown [--force] [--reboot|--hibernate]\n"
	"       virid control SOCKET heartbeat|kvp [--refresh]|freeze [--hold=SECONDS]|thaw\n"
	"       virid control SOCKET kvp-set KEY VALUE|kvp-delete KEY\n"
	"       virid control SOCKET ip NUMBER|set-ip NUMBER [--dhcp] [--addresses=LIST] "
	"[--subnets=LIST] [--gateways=LIST] [--dns=LIST]\n"
	"       virid control SOCKET copy FILE PATH [--overwrite]\n"
	"       virid control SOCKET save FILE\n"
	"       virid control SOCKET checkpoint FILE [PLACE=NEWFILE]...\n"
	"\n"
	"Changes a running machine; SOCKET is what `virid run --control` was given.\n"
	"\n"
	"  attach   adds a disk; options as of `virid run --disk`; lun=N must be among them\n"
	"  detach   takes a disk away when its requests are done\n"
	"  insert   puts an ISO image into a DVD drive, eject takes it out\n"
	"  resize   changes the size of a virtual disk, such as 20G; the guest is told\n"
	"  attach-net, detach-net\n"
	"           adds a network adapter or takes one away; options as of `virid run --net`, "
	"NUMBER "
	"from 0 to 63\n"
	"  connect-net, disconnect-net\n"
	"           moves an adapter to another switch, with the options that are given and the "
	"address that it has,\n"
	"           or pulls its cable\n";

struct request {
	struct packet packet;
	struct launch_disks disks; /* the one that it is about */
	uint64_t bytes;		   /* resize */
};

/* CONTROLLER:LUN, with nothing behind it. */
static bool parse_place(const char *text, uint32_t *ret_controller, uint32_t *ret_lun)
{
	int end = 0;

	if (sscanf(text, "%2" SCNu32 ":%2" SCNu32 "%n", ret_controller, ret_lun, &end) == 2 &&
	    text[end] == '\0' && *ret_controller < LAUNCH_DISK_CONTROLLERS &&
	    *ret_lun < LAUNCH_DISK_LUNS) {
		return true;
	}
	complain("'%s' is not a place; expected CONTROLLER:LUN, from 0:0 to %u:%u", text,
		 LAUNCH_DISK_CONTROLLERS - 1, LAUNCH_DISK_LUNS - 1);
	return false;
}

struct verb {
	const char *name;
	const char *word; /* in the request */
	int operands;
	bool opens;					      /* files, to be handed over */
	int (*net)(const char *socket_path, char **operands); /* not about a disk */
};

static const struct verb verbs[] = {
	{"attach", "attach", 1, true},
	{"detach", "detach", 1, false},
	{"insert", "medium", 2, true},
	{"eject", "medium", 1, false},
	{"resize", "resize", 2, false},
	{"attach-net", NULL, 2, false, control_attach_net},
	{"detach-net", NULL, 1, false, control_detach_net},
	{"connect-net", NULL, 2, false, control_connect_net},
	{"disconnect-net", NULL, 1, false, control_disconnect_net},
};

/* attach: the new disk, as --disk describes it. Where it goes is for the person to say: only the machine knows what is free. */
static bool describe_new(const char *text, struct launch_disks *disks)
{
	struct launch_error error;

	if (!run_disks_add(disks, LAUNCH_DISK_SCSI, "attach", text)) {
		return false;
	}
	if (disks->disks[0].lun == LAUNCH_DISK_AUTO) {
		complain("attach %s: the place is missing; expected ',lun=N' behind the name",
			 text);
		return false;
	}
	if (!launch_disks_place(disks, &error)) {
		complain("%s", error.text);
		return false;
	}
	return true;
}

/* The others name a place, and insert a medium. */
static bool describe_place(const char *verb, const char *place, const char *medium,
			   struct launch_disks *disks)
{
	struct launch_disk d = {.kind = LAUNCH_DISK_DVD, .option = verb, .read_only = true};

	if (!parse_place(place, &d.controller, &d.lun)) {
		return false;
	}
	d.path = strdup(medium);
	if (d.path == NULL) {
		abort();
	}
	disks->disks[disks->count++] = d;
	return true;
}

/* What the command line says; files are not yet open. */
static bool describe(struct request *q, const struct verb *v, char **operands)
{
	bool resize = strcmp(v->name, "resize") == 0, insert = strcmp(v->name, "insert") == 0;

	if (resize && !parse_size(operands[1], false, &q->bytes)) {
		complain("resize: '%s' is not a size; expected a number with K, M, G or T",
			 operands[1]);
		return false;
	}
	return strcmp(v->name, "attach") == 0
		       ? describe_new(operands[0], &q->disks)
		       : describe_place(v->name, operands[0], insert ? operands[1] : "", &q->disks);
}

static bool fill_packet(struct request *q, const struct verb *v, struct launch_error *error)
{
	char number[40];
	char *text;
	bool ok = packet_add_word(&q->packet, v->word, error);

	for (size_t i = 0; ok && launch_disks_option(&q->disks, i, true, &text); i++) {
		ok = packet_add_word(&q->packet, text, error);
		free(text);
	}
	for (size_t i = 0; i < q->disks.file_count && ok; i++) {
		ok = packet_add_fd(&q->packet, q->disks.files[i].fd, error);
	}
	snprintf(number, sizeof(number), "--bytes=%" PRIu64, q->bytes);
	return ok && packet_add_word(&q->packet, number, error);
}

static int carry_out(const char *socket_path, const struct verb *v, char **operands)
{
	struct request *q = calloc(1, sizeof(*q));
	struct launch_error error;
	int status = CLI_FAILED;

	if (q == NULL) {
		complain("control: %s", strerror(ENOMEM));
		return CLI_FAILED;
	}
	if (!describe(q, v, operands)) {
		status = CLI_USAGE;
	} else if ((v->opens && !launch_disks_open(&q->disks, &error)) ||
		   !fill_packet(q, v, &error)) {
		complain("%s", error.text);
	} else {
		status = control_ask(socket_path, v->name, operands[0], &q->packet);
	}
	launch_disks_fini(&q->disks);
	free(q);
	return status;
}

static int refuse_verb(const char *word)
{
	const char *names[ARRAY_LEN(verbs) + NAMES_MAX + 1] = {NULL};
	char meant[CLI_GUESS_BYTES];
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		names[count++] = verbs[i].name;
	}
	for (size_t i = 0; i < NAMES_MAX && control_state_names[i] != NULL; i++) {
		names[count++] = control_state_names[i];
	}
	complain("control: '%s' is not a command, or takes something else%s; virid control --help "
		 "explains it",
		 word, guess(word, names, meant));
	return CLI_USAGE;
}

int control_command(int argc, char **argv)
{
	if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(help_text, stdout);
		fputs(control_state_help, stdout);
		return CLI_OK;
	}
	if (argc < 3) {
		complain("control: expected SOCKET, a command and what it takes; virid control "
			 "--help explains it");
		return CLI_USAGE;
	}
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (strcmp(argv[2], verbs[i].name) == 0 && argc == 3 + verbs[i].operands) {
			return verbs[i].net != NULL ? verbs[i].net(argv[1], argv + 3)
						    : carry_out(argv[1], &verbs[i], argv + 3);
		}
	}
	int status;

	return control_state(argv[1], argc - 2, argv + 2, &status) ? status : refuse_verb(argv[2]);
}
