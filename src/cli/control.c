// SPDX-License-Identifier: Apache-2.0
/* `virid control`: changes the disks of a machine that `virid run --control` runs. Files are opened and locked here, and handed over. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli.h"
#include "lib/bits.h"
#include "run_disks.h"

#define PACKET_BYTES ((size_t)64 << 10)
#define DESCRIPTORS_MAX 64u
#define LISTEN_BACKLOG 8

static const char help_text[] =
	"usage: virid control SOCKET attach FILE[,OPTION...]\n"
	"       virid control SOCKET detach CONTROLLER:LUN\n"
	"       virid control SOCKET insert CONTROLLER:LUN FILE\n"
	"       virid control SOCKET eject CONTROLLER:LUN\n"
	"       virid control SOCKET resize CONTROLLER:LUN SIZE\n"
	"\n"
	"Changes the disks of a running machine; SOCKET is what `virid run --control` was given.\n"
	"\n"
	"  attach   adds a disk; options as of `virid run --disk`; lun=N must be among them\n"
	"  detach   takes a disk away when its requests are done\n"
	"  insert   puts an ISO image into a DVD drive, eject takes it out\n"
	"  resize   changes the size of a virtual disk, such as 20G; the guest is told\n";

static bool fill_address(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret->sun_path)) {
		complain("%s: the path of a socket has at most %zu characters", path,
			 sizeof(ret->sun_path) - 1);
		return false;
	}
	strcpy(ret->sun_path, path);
	return true;
}

int control_listen(const char *path)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	if (fd < 0 || !fill_address(path, &address)) {
		return -1;
	}
	mode_t before = umask(0177);
	int r = bind(fd, (struct sockaddr *)&address, sizeof(address));

	umask(before);
	if (r < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
		complain("--control %s: %s; expected a path where a socket can be made", path,
			 strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0 || !fill_address(path, &address)) {
		return -1;
	}
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		complain("%s: %s; expected the socket of a running machine (virid run --control)",
			 path, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

struct packet {
	char text[PACKET_BYTES];
	size_t bytes;
};

struct request {
	struct packet packet;
	struct run_disks disks; /* the one that it is about */
	uint64_t bytes;		/* resize */
};

static bool add_word(struct packet *p, const char *word)
{
	size_t n = strlen(word) + 1;

	if (n > sizeof(p->text) - p->bytes) {
		complain("the request is too long");
		return false;
	}
	memcpy(p->text + p->bytes, word, n);
	p->bytes += n;
	return true;
}

static bool send_packet(int fd, const struct packet *p, const struct run_disks *disks)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * DESCRIPTORS_MAX)];
		struct cmsghdr align;
	} ancillary;
	struct iovec iov = {(void *)(uintptr_t)p->text, p->bytes};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	int fds[DESCRIPTORS_MAX];

	if (disks->file_count > DESCRIPTORS_MAX) {
		complain("the chain has %zu files; expected at most %u", disks->file_count,
			 DESCRIPTORS_MAX);
		return false;
	}
	if (disks->file_count > 0) {
		size_t bytes = disks->file_count * sizeof(int);

		memset(&ancillary, 0, sizeof(ancillary));
		m.msg_control = &ancillary;
		m.msg_controllen = CMSG_SPACE(bytes);
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);

		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(bytes);
		for (size_t i = 0; i < disks->file_count; i++) {
			fds[i] = disks->files[i].fd;
		}
		memcpy(CMSG_DATA(h), fds, bytes);
	}
	if (sendmsg(fd, &m, MSG_NOSIGNAL) < 0) {
		complain("sending the request: %s", strerror(errno));
		return false;
	}
	return true;
}

/* @name and @operand say what was asked, for what the machine answers. */
static int ask(const char *socket_path, const char *name, const char *operand,
	       const struct request *q)
{
	char text[1024];
	int fd = connect_to(socket_path);

	if (fd < 0) {
		return CLI_FAILED;
	}
	ssize_t n =
		send_packet(fd, &q->packet, &q->disks) ? recv(fd, text, sizeof(text) - 1, 0) : -1;

	close(fd);
	if (n <= 0) {
		complain("%s: the machine ended without an answer", socket_path);
		return CLI_FAILED;
	}
	text[n] = '\0';
	if (strcmp(text, "ok") == 0) {
		return CLI_OK;
	}
	complain("%s %s: %s", name, operand, text);
	return CLI_FAILED;
}

/* CONTROLLER:LUN, with nothing behind it. */
static bool parse_place(const char *text, uint32_t *ret_controller, uint32_t *ret_lun)
{
	int end = 0;

	if (sscanf(text, "%2" SCNu32 ":%2" SCNu32 "%n", ret_controller, ret_lun, &end) == 2 &&
	    text[end] == '\0' && *ret_controller < RUN_DISK_CONTROLLERS &&
	    *ret_lun < RUN_DISK_LUNS) {
		return true;
	}
	complain("'%s' is not a place; expected CONTROLLER:LUN, from 0:0 to %u:%u", text,
		 RUN_DISK_CONTROLLERS - 1, RUN_DISK_LUNS - 1);
	return false;
}

struct verb {
	const char *name;
	const char *word; /* in the request */
	int operands;
	bool opens; /* files, to be handed over */
};

static const struct verb verbs[] = {
	{"attach", "attach", 1, true},	{"detach", "detach", 1, false},
	{"insert", "medium", 2, true},	{"eject", "medium", 1, false},
	{"resize", "resize", 2, false},
};

/* attach: the new disk, as --disk describes it. Where it goes is for the person to say: only the machine knows what is free. */
static bool describe_new(const char *text, struct run_disks *disks)
{
	if (!run_disks_add(disks, RUN_DISK_SCSI, text)) {
		return false;
	}
	if (disks->disks[0].lun == RUN_DISK_AUTO) {
		complain("attach %s: the place is missing; expected ',lun=N' behind the name",
			 text);
		return false;
	}
	return run_disks_place(disks);
}

/* The others name a place, and insert a medium. */
static bool describe_place(const char *place, const char *medium, struct run_disks *disks)
{
	struct run_disk d = {.kind = RUN_DISK_DVD, .option = disks->option, .read_only = true};

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
	q->disks.option = v->name;
	return strcmp(v->name, "attach") == 0
		       ? describe_new(operands[0], &q->disks)
		       : describe_place(operands[0], insert ? operands[1] : "", &q->disks);
}

static bool fill_packet(struct request *q, const struct verb *v)
{
	char number[40];
	char *text;
	bool ok = add_word(&q->packet, v->word);

	for (size_t i = 0; ok && run_disks_option(&q->disks, i, true, &text); i++) {
		ok = add_word(&q->packet, text);
		free(text);
	}
	snprintf(number, sizeof(number), "--bytes=%" PRIu64, q->bytes);
	return ok && add_word(&q->packet, number);
}

static int carry_out(const char *socket_path, const struct verb *v, char **operands)
{
	struct request *q = calloc(1, sizeof(*q));
	int status = CLI_FAILED;

	if (q == NULL) {
		complain("control: %s", strerror(ENOMEM));
		return CLI_FAILED;
	}
	if (!describe(q, v, operands)) {
		status = CLI_USAGE;
	} else if ((!v->opens || run_disks_open(&q->disks)) && fill_packet(q, v)) {
		status = ask(socket_path, v->name, operands[0], q);
	}
	run_disks_fini(&q->disks);
	free(q);
	return status;
}

static int refuse_verb(const char *word)
{
	const char *names[ARRAY_LEN(verbs) + 1] = {NULL};
	char meant[CLI_GUESS_BYTES];

	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		names[i] = verbs[i].name;
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
		return CLI_OK;
	}
	if (argc < 3) {
		complain("control: expected SOCKET, a command and what it takes; virid control "
			 "--help explains it");
		return CLI_USAGE;
	}
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (strcmp(argv[2], verbs[i].name) == 0 && argc == 3 + verbs[i].operands) {
			return carry_out(argv[1], &verbs[i], argv + 3);
		}
	}
	return refuse_verb(argv[2]);
}
