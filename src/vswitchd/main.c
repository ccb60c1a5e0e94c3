// SPDX-License-Identifier: Apache-2.0
/*
 * The program virid-vswitch: opens what it needs with the rights of who starts it, gives the rights up, and serves. `virid` starts it by itself; by
 * hand it stays in the foreground.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "daemon.h"
#include "host/log.h"
#include "host/sandbox.h"
#include "lib/check.h"
#include "lib/text.h"
#include "paths.h"
#include "seal.h"
#include "json/json.h"

#define IDLE_SECONDS 30
#define BACKLOG 128

struct start {
	int ready_fd; /* who waits for us; -1: nobody */
	unsigned long idle_seconds;
	char socket_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char config_path[PATH_MAX];
	char error[1000];
};

static const char help_text[] =
	"usage: virid-vswitch [--idle SECONDS]\n"
	"\n"
	"Holds the virtual switches of this user. `virid` starts it when it is needed; see "
	"virid-switch(1).\n"
	"\n"
	"  --idle SECONDS   ends that long after the last adapter is unplugged, when no switch has "
	"an interface (default 30; 0: never)\n";

void check_failed(const char *expr, const char *file, int line)
{
	log_line("%s:%d: check failed: %s (a bug in Virid: please report it)", file, line, expr);
	abort();
}

static void say_ready(struct start *s, const char *text)
{
	if (s->ready_fd >= 0) {
		ssize_t n = write(s->ready_fd, text, strlen(text));

		(void)n; /* who waited is gone */
		close(s->ready_fd);
		s->ready_fd = -1;
	}
}

static int give_up(struct start *s)
{
	if (s->ready_fd < 0) {
		log_line("%s", s->error);
	}
	say_ready(s, s->error);
	return 1;
}

/* ---- The socket ---- */

/* Held until we end, however we end. False with an empty error: another process has it. */
static bool take_lock(struct start *s)
{
	char path[sizeof(s->socket_path) + 8];

	snprintf(path, sizeof(path), "%s.lock", s->socket_path);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
		return true;
	}
	if (errno != EWOULDBLOCK) {
		snprintf(s->error, sizeof(s->error), "%s: %s; expected a place for the socket",
			 path, strerror(errno));
	}
	return false;
}

static bool open_socket(struct start *s, struct daemon *d)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	text_copy(address.sun_path, sizeof(address.sun_path), s->socket_path);
	d->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(s->socket_path); /* of one that was killed: we have the lock */
	mode_t before = umask(0177);
	bool ok = d->listen_fd >= 0 &&
		  bind(d->listen_fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		  listen(d->listen_fd, BACKLOG) == 0;

	umask(before);
	if (!ok) {
		snprintf(s->error, sizeof(s->error), "%s: %s; expected a place for a socket",
			 s->socket_path, strerror(errno));
	}
	return ok;
}

/* In the background messages go to a file beside the socket. */
static void open_log(const struct start *s)
{
	char path[sizeof(s->socket_path) + 8];

	snprintf(path, sizeof(path), "%s.log", s->socket_path);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0) {
		dup2(fd, STDERR_FILENO);
		close(fd);
	}
}

/* ---- What the loop waits for ---- */

static void on_link(void *ctx, uint32_t events)
{
	struct daemon *d = ctx;
	char text[8192];

	/* What changed does not matter: each interface is looked at. */
	while (recv(d->link_fd, text, sizeof(text), MSG_DONTWAIT) >= 0 || errno == ENOBUFS) {
		d->links_changed = true;
	}
}

static void on_signal(void *ctx, uint32_t events)
{
	((struct daemon *)ctx)->quit = true;
}

static int watch_links(struct daemon *d)
{
	const struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};

	d->link_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (d->link_fd < 0 ||
	    bind(d->link_fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		return -errno;
	}
	d->link_source = (struct source){on_link, d};
	return daemon_add_source(d, d->link_fd, &d->link_source);
}

static int watch_signals(struct daemon *d)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	d->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (d->signal_fd < 0) {
		return -errno;
	}
	d->signal_source = (struct source){on_signal, d};
	return daemon_add_source(d, d->signal_fd, &d->signal_source);
}

static void on_alarm(int signal_number)
{
	(void)signal_number; /* that it came is enough */
}

/* Once a second: whatever blocks against all intentions is interrupted, and seen (cable.c). */
static int set_alarm(void)
{
	const struct sigaction action = {.sa_handler = on_alarm}; /* without SA_RESTART */
	const struct itimerval every = {{.tv_sec = 1}, {.tv_sec = 1}};

	return sigaction(SIGALRM, &action, NULL) < 0 || setitimer(ITIMER_REAL, &every, NULL) < 0
		       ? -errno
		       : 0;
}

/* ---- The process ---- */

/* A descriptor or more for each port and each connection through NAT. */
static void raise_limits(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static bool kernel_is(unsigned major, unsigned minor)
{
	struct utsname u;
	unsigned a, b;

	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &a, &b) == 2 &&
	       (a > major || (a == major && b >= minor));
}

static bool prepare(struct start *s, struct daemon *d)
{
	int r = daemon_init(d);

	d->idle_ns = s->idle_seconds * UINT64_C(1000000000);
	spin_init(&d->spin);
	d->has_uso = kernel_is(6, 2);
	d->has_seal_key = seal_key(d->seal_key);
	if (r < 0 || (r = watch_signals(d)) < 0 || (r = set_alarm()) < 0 ||
	    (r = watch_links(d)) < 0) {
		snprintf(s->error, sizeof(s->error), "starting: %s", strerror(-r));
		return false;
	}
	return true;
}

static bool enter_sandbox(struct start *s)
{
	const char *what = "current folder";
	int r = chdir("/") < 0 ? -errno : sandbox_drop_privileges(0, &what);

	if (r == 0) {
		what = "system call filter";
		r = filter_enter();
	}
	if (r < 0) {
		snprintf(s->error, sizeof(s->error), "giving up privileges: %s: %s", what,
			 strerror(-r));
	}
	return r == 0;
}

static int serve(struct start *s)
{
	struct daemon d;
	int r;

	raise_limits();
	json_start();
	if (!paths_socket(true, s->socket_path, sizeof(s->socket_path), s->error,
			  sizeof(s->error)) ||
	    !config_path(s->config_path, sizeof(s->config_path), s->error, sizeof(s->error))) {
		return give_up(s);
	}
	if (!take_lock(s)) {
		if (s->error[0] != '\0') {
			return give_up(s);
		}
		if (s->ready_fd < 0) {
			log_line("%s: another switch process of this user serves there",
				 s->socket_path);
		}
		say_ready(s, "ok");
		return 0;
	}
	if (s->ready_fd >= 0) {
		open_log(s);
	}
	if (!prepare(s, &d) || !switches_open(&d, s->config_path, s->error, sizeof(s->error)) ||
	    !open_socket(s, &d) || !enter_sandbox(s)) {
		return give_up(s);
	}
	r = control_start(&d);
	say_ready(s, "ok");
	r = r == 0 ? daemon_run(&d) : r;
	daemon_fini(&d);
	if (r < 0) {
		log_line("%s", strerror(-r));
	}
	return r < 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"ready-fd", required_argument, NULL, 'r'},
						{"idle", required_argument, NULL, 'i'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	struct start s = {.ready_fd = -1, .idle_seconds = IDLE_SECONDS};
	char *end = NULL;
	int opt;

	log_init("virid-vswitch", NULL);
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'r':
			s.ready_fd = (int)strtol(optarg, &end, 10);
			fcntl(s.ready_fd, F_SETFD, FD_CLOEXEC);
			break;
		case 'i':
			s.idle_seconds = strtoul(optarg, &end, 10);
			break;
		case 'h':
			fputs(help_text, stdout);
			return 0;
		default:
			return 2;
		}
		if (end == NULL || *end != '\0' || end == optarg || s.idle_seconds > 1000000) {
			log_line("'%s': expected a number", optarg);
			return 2;
		}
	}
	if (optind < argc) {
		log_line("'%s': takes options only; --help lists them", argv[optind]);
		return 2;
	}
	return serve(&s);
}
