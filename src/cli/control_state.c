// SPDX-License-Identifier: Apache-2.0
/* `virid control`: words about the machine as a whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "control.h"
#include "lib/bits.h"

#define ANSWER_BYTES ((size_t)64 << 10)

const char control_state_help[] =
	"  pause, resume\n"
	"           the guest stands still between two instructions, its clock too, and goes on\n"
	"  save     writes all of the machine to a file, and ends it (exit status 5); `virid run "
	"--restore` goes on from there\n"
	"  checkpoint\n"
	"           the same, but the machine goes on; each disk that keeps what is written gets a "
	"new "
	"file\n"
	"           on top, PLACE=NEWFILE, PLACE as 0:1 or ide0:0; what it wrote until then stays "
	"as it "
	"is\n"
	"  reset, turn-off\n"
	"           as the buttons of a computer; the guest is not asked\n"
	"  shutdown asks the guest to shut down, with --reboot or --hibernate for that; --force "
	"does not ask its users\n"
	"  heartbeat\n"
	"           whether the guest answers, and which integration components it has\n"
	"  kvp      what the guest says of itself: names, versions, addresses; with --refresh as "
	"of now\n"
	"  kvp-set, kvp-delete\n"
	"           gives the guest a value under a key, or takes it away\n"
	"  ip, set-ip\n"
	"           addresses of a network adapter: lists with ';' between, as --addresses= "
	"--subnets= --gateways= --dns=, or --dhcp\n"
	"  copy     puts a file at a path of the guest, and makes its folders; over another file "
	"with --overwrite only\n"
	"  freeze, thaw\n"
	"           the guest writes out its file systems and stops them, for --hold=SECONDS at "
	"most (60), and lets "
	"them go on\n"
	"  info, stats\n"
	"           what it is, and what it has taken: lines of name=value\n"
	"  console  the serial console, beginning with the last of what it has written; Ctrl-] "
	"leaves\n"
	"  events   tells what happens to the machine until it ends\n";

const char *const control_state_names[] = {
	"pause",     "resume", "save",	  "checkpoint", "reset",   "turn-off", "shutdown",
	"heartbeat", "kvp",    "kvp-set", "kvp-delete", "ip",	   "set-ip",   "copy",
	"freeze",    "thaw",   "info",	  "stats",	"console", "events",   NULL,
};

struct state_verb {
	const char *name;
	int operands_min, operands_max;
	int (*run)(const char *socket_path, const char *name, char **operands, int count);
};

static bool fill(struct packet *p, const char *word, char **operands, int count, int fd)
{
	struct launch_error error;
	bool ok = packet_add_word(p, word, &error);

	for (int i = 0; i < count && ok; i++) {
		ok = packet_add_word(p, operands[i], &error);
	}
	ok = ok && (fd < 0 || packet_add_fd(p, fd, &error));
	if (!ok) {
		complain("%s: %s", word, error.text);
	}
	return ok;
}

/* Says what a refusal said, or prints what follows "ok". */
static int judge(const char *name, const char *text)
{
	if (strncmp(text, "ok", 2) != 0 || (text[2] != '\0' && text[2] != '\n')) {
		complain("%s: %s", name, text);
		return CLI_FAILED;
	}
	if (text[2] == '\n') {
		puts(text + 3);
	}
	return CLI_OK;
}

static int ask(const char *socket_path, const char *word, char **operands, int count, int fd)
{
	struct packet *p = calloc(1, sizeof(*p));
	char *text = malloc(ANSWER_BYTES);
	int status = CLI_FAILED;

	if (p == NULL || text == NULL) {
		complain("%s: %s", word, strerror(ENOMEM));
	} else if (fill(p, word, operands, count, fd) &&
		   control_exchange(socket_path, p, text, ANSWER_BYTES)) {
		status = judge(word, text);
	}
	free(text);
	free(p);
	return status;
}

static int plain(const char *socket_path, const char *name, char **operands, int count)
{
	return ask(socket_path, name, operands, count, -1);
}

/* ---- Events ---- */

static int subscribe(const char *socket_path)
{
	struct packet *p = calloc(1, sizeof(*p));
	int fd = p != NULL ? control_connect(socket_path) : -1;
	struct launch_error error;
	char text[200];

	if (fd >= 0 && (!fill(p, "events", NULL, 0, -1) || !packet_send(fd, p, &error) ||
			!control_receive(fd, socket_path, text, sizeof(text)) ||
			judge("events", text) != CLI_OK)) {
		close(fd);
		fd = -1;
	}
	free(p);
	return fd;
}

/* One line for each. */
static int watch(const char *socket_path, const char *name, char **operands, int count)
{
	int fd = subscribe(socket_path);
	char text[4096];
	ssize_t n;

	(void)name;
	(void)operands;
	(void)count;
	if (fd < 0) {
		return CLI_FAILED;
	}
	while ((n = read(fd, text, sizeof(text) - 1)) > 0) {
		text[n] = '\0';
		for (char *c = text; *c != '\0'; c++) {
			*c = *c != '\n' ? *c : c[1] == '\0' ? '\0' : ' ';
		}
		puts(text);
		fflush(stdout);
	}
	close(fd);
	return CLI_OK;
}

/* ---- Files ---- */

/* Written beside, so that an old file of that name stays whole until the new one is. */
static char *begin_file(const char *path, int *ret_fd)
{
	char *part;

	if (asprintf(&part, "%s.part", path) < 0) {
		complain("%s: %s", path, strerror(ENOMEM));
		return NULL;
	}
	*ret_fd = open(part, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (*ret_fd < 0) {
		complain("%s: %s; expected a path where a file can be made", part, strerror(errno));
		free(part);
		return NULL;
	}
	return part;
}

static int end_file(char *part, const char *path, int fd, int status)
{
	close(fd);
	if (status != CLI_OK) {
		unlink(part);
	} else if (rename(part, path) < 0) {
		complain("%s: %s; the state is in %s", path, strerror(errno), part);
		status = CLI_FAILED;
	}
	free(part);
	return status;
}

static int save(const char *socket_path, const char *name, char **operands, int count)
{
	int fd;
	char *part = begin_file(operands[0], &fd);

	(void)count;
	return part == NULL ? CLI_FAILED
			    : end_file(part, operands[0], fd, ask(socket_path, name, NULL, 0, fd));
}

/* The answer comes when the machine runs again, the event when the file is complete. */
static int wait_for_checkpoint(int events, const char *socket_path)
{
	static const char name[] = "checkpoint\nresult=", reason[] = "\ntext=";
	char text[4096];

	while (control_receive(events, socket_path, text, sizeof(text))) {
		if (strncmp(text, name, sizeof(name) - 1) != 0) {
			continue;
		}
		if (strncmp(text + sizeof(name) - 1, "ok\n", 3) == 0) {
			return CLI_OK;
		}
		const char *why = strstr(text, reason);

		complain("checkpoint: %s", why != NULL ? why + sizeof(reason) - 1 : "it failed");
		return CLI_FAILED;
	}
	return CLI_FAILED;
}

/* @fd: of the state; @operands: of the disks. */
static int ask_checkpoint(const char *socket_path, char **operands, int count, int fd)
{
	struct packet *p = calloc(1, sizeof(*p));
	char text[4096];
	int status = CLI_FAILED;

	if (p == NULL) {
		complain("checkpoint: %s", strerror(ENOMEM));
		return status;
	}
	if (fill(p, "checkpoint", NULL, 0, fd) && control_checkpoint_begin(p, operands, count)) {
		if (control_exchange(socket_path, p, text, sizeof(text))) {
			status = judge("checkpoint", text);
		}
		control_checkpoint_end(p, operands, count, status == CLI_OK);
	}
	free(p);
	return status;
}

static int checkpoint(const char *socket_path, const char *name, char **operands, int count)
{
	int fd, events = subscribe(socket_path);
	char *part = events >= 0 ? begin_file(operands[0], &fd) : NULL;
	int status = CLI_FAILED;

	(void)name;
	if (part != NULL) {
		status = ask_checkpoint(socket_path, operands + 1, count - 1, fd);
		if (status == CLI_OK) {
			status = wait_for_checkpoint(events, socket_path);
		}
		status = end_file(part, operands[0], fd, status);
	}
	if (events >= 0) {
		close(events);
	}
	return status;
}

static int console(const char *socket_path, const char *name, char **operands, int count)
{
	int ends[2], status;

	(void)operands;
	(void)count;
	if (!control_console_pair(ends)) {
		return CLI_FAILED;
	}
	status = ask(socket_path, name, NULL, 0, ends[1]);
	close(ends[1]);
	if (status == CLI_OK) {
		control_console_show(ends[0]);
	}
	close(ends[0]);
	return status;
}

/* FILE, PATH in the guest, perhaps --overwrite. */
static int copy(const char *socket_path, const char *name, char **operands, int count)
{
	int fd = open(operands[0], O_RDONLY | O_CLOEXEC);
	int status;

	if (fd < 0) {
		complain("copy %s: %s", operands[0], strerror(errno));
		return CLI_FAILED;
	}
	status = ask(socket_path, name, operands + 1, count - 1, fd);
	close(fd);
	return status;
}

static const struct state_verb verbs[] = {
	{"pause", 0, 0, plain},
	{"resume", 0, 0, plain},
	{"save", 1, 1, save},
	{"reset", 0, 0, plain},
	{"checkpoint", 1, 61, checkpoint},
	{"turn-off", 0, 0, plain},
	{"shutdown", 0, 5, plain},
	{"heartbeat", 0, 0, plain},
	{"kvp", 0, 1, plain},
	{"kvp-set", 2, 2, plain},
	{"kvp-delete", 1, 1, plain},
	{"ip", 1, 1, plain},
	{"set-ip", 2, 6, plain},
	{"copy", 2, 3, copy},
	{"freeze", 0, 1, plain},
	{"thaw", 0, 0, plain},
	{"info", 0, 0, plain},
	{"stats", 0, 0, plain},
	{"console", 0, 0, console},
	{"events", 0, 0, watch},
};

bool control_state(const char *socket_path, int count, char **words, int *ret_status)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		const struct state_verb *v = &verbs[i];

		if (strcmp(words[0], v->name) == 0 && count - 1 >= v->operands_min &&
		    count - 1 <= v->operands_max) {
			*ret_status = v->run(socket_path, v->name, words + 1, count - 1);
			return true;
		}
	}
	return false;
}
