// SPDX-License-Identifier: Apache-2.0
/* The program virid-vmms. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api.h"
#include "engines/engines.h"
#include "front.h"
#include "host/log.h"
#include "lib/check.h"
#include "lib/text.h"
#include "notify.h"
#include "paths.h"
#include "policy.h"
#include "routes.h"
#include "service.h"
#include "shut_down.h"
#include "store.h"
#include "vm.h"
#include "vm_yield.h"
#include "vmms.h"

enum { FAILED = 1, USAGE = 2 };

struct program {
	char state[PATH_MAX], runtime[PATH_MAX], socket[PATH_MAX];
	char pam[PATH_MAX]; /* empty: the system's */
	char kvm[PATH_MAX]; /* KVM's device */
	bool shut_down;	    /* ask the one that serves */
	bool help;
	struct vmms *vmms;
	struct api *api;
	struct http *http;
	int signal_fd;
	struct notify *notify;
	char error[1200];
};

static const char help_text[] =
	"usage: virid-vmms [OPTIONS]\n"
	"\n"
	"Serves the virtual machines of a folder. Without options that of the system (as root) or "
	"of this user; "
	"systemd starts it so.\n"
	"\n"
	"  --state DIR      where machines are kept (default /var/lib/virid, or "
	"~/.local/state/virid)\n"
	"  --runtime DIR    where running machines are found again, gone after a restart of the "
	"host\n"
	"                   (default /run/virid, or $XDG_RUNTIME_DIR/virid)\n"
	"  --socket PATH    where clients connect (default virid.sock in the runtime folder)\n"
	"  --pam DIR        PAM's description of the service 'virid' is there, not in /etc/pam.d\n"
	"  --kvm-device PATH\n"
	"                   KVM's device (default /dev/kvm)\n"
	"  --shut-down      asks the service of that folder to do with each machine what its "
	"automatic_stop says and to\n"
	"                   end, and waits for that: for when the host goes down\n"
	"\n"
	"SIGTERM ends the service; machines run on, and are found again when it is started. SIGPWR "
	"is "
	"--shut-down; SIGHUP looks for\n"
	"folders that were copied in by hand.\n";

void check_failed(const char *expr, const char *file, int line)
{
	log_line("%s:%d: check failed: %s (a bug in Virid: please report it)", file, line, expr);
	abort();
}

/* ---- Options ---- */

static bool set_path(struct program *p, const char *option, const char *value, char *ret)
{
	if (value[0] == '\0' || !text_copy(ret, PATH_MAX, value)) {
		snprintf(p->error, sizeof(p->error), "--%s: expected a path", option);
		return false;
	}
	return true;
}

static bool parse(struct program *p, int argc, char **argv)
{
	static const struct option options[] = {{"state", required_argument, NULL, 's'},
						{"runtime", required_argument, NULL, 'r'},
						{"socket", required_argument, NULL, 'k'},
						{"pam", required_argument, NULL, 'p'},
						{"foreground", no_argument, NULL, 'f'},
						{"shut-down", no_argument, NULL, 'd'},
						{"kvm-device", required_argument, NULL, 'K'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 's':
			if (!set_path(p, "state", optarg, p->state)) {
				return false;
			}
			break;
		case 'r':
			if (!set_path(p, "runtime", optarg, p->runtime)) {
				return false;
			}
			break;
		case 'k':
			if (!set_path(p, "socket", optarg, p->socket)) {
				return false;
			}
			break;
		case 'p':
			if (!set_path(p, "pam", optarg, p->pam)) {
				return false;
			}
			break;
		case 'K':
			if (!set_path(p, "kvm-device", optarg, p->kvm)) {
				return false;
			}
			break;
		case 'f': /* it always is */
			break;
		case 'd':
			p->shut_down = true;
			break;
		case 'h':
			p->help = true;
			return true;
		default:
			snprintf(p->error, sizeof(p->error), "--help lists the options");
			return false;
		}
	}
	if (optind < argc) {
		snprintf(p->error, sizeof(p->error),
			 "'%.200s': takes options only; --help lists them", argv[optind]);
		return false;
	}
	return true;
}

/* A state folder of one's own has its runtime folder in it, unless that is said too: two services do not meet. */
static bool settle_paths(struct program *p)
{
	int n = 0;

	if (p->runtime[0] == '\0' && p->state[0] != '\0') {
		n = snprintf(p->runtime, sizeof(p->runtime), "%.*s/runtime", PATH_MAX - 16,
			     p->state);
	} else if (p->runtime[0] == '\0' &&
		   !paths_runtime(p->runtime, sizeof(p->runtime), p->error, sizeof(p->error))) {
		return false;
	}
	if (p->state[0] == '\0' &&
	    !paths_state(p->state, sizeof(p->state), p->error, sizeof(p->error))) {
		return false;
	}
	if (p->socket[0] == '\0') {
		n = snprintf(p->socket, sizeof(p->socket), "%.*s/virid.sock", PATH_MAX - 16,
			     p->runtime);
	}
	return n >= 0;
}

/* ---- Signals ---- */

static void on_idle(void *ctx)
{
	struct program *p = ctx;

	loop_quit(p->vmms->loop);
}

static void on_signal(void *ctx)
{
	struct program *p = ctx;
	struct signalfd_siginfo info;

	if (read(p->signal_fd, &info, sizeof(info)) != sizeof(info)) {
		return;
	}
	if (info.ssi_signo == SIGHUP) {
		store_rescan(p->vmms);
		return;
	}
	notify_status(p->notify, "STOPPING=1");
	if (info.ssi_signo == SIGPWR && !p->vmms->stopping) {
		log_line("the host goes down: stopping all machines");
		policy_stop_all(p->vmms, on_idle, p);
	} else if (info.ssi_signo != SIGPWR) {
		loop_quit(p->vmms->loop);
	}
}

static bool watch_signals(struct program *p)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGPWR);
	/* Before any thread is made, so that all of them leave signals to the loop. */
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (p->signal_fd < 0) {
		snprintf(p->error, sizeof(p->error), "signals: %s", strerror(errno));
	}
	return p->signal_fd >= 0;
}

/* ---- Life ---- */

/* Descriptors of disks, adapters and processes of many machines. */
static void raise_limits(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static bool open_api(struct program *p)
{
	static const struct api_hooks hooks = {.each_vm = vm_each, .yield = vm_yield};
	char roles[VM_PATH_BYTES], audit[VM_PATH_BYTES];

	snprintf(roles, sizeof(roles), "%s/roles.json", p->vmms->state);
	snprintf(audit, sizeof(audit), "%s/audit.log", p->vmms->state);
	const struct api_config config = {
		.roles_path = roles, .audit_path = audit, .tasks = p->vmms->tasks};
	int r = api_create(p->vmms, p->vmms->loop, &hooks, &config, vmms_routes, &p->api, p->error,
			   sizeof(p->error));

	if (r < 0) {
		return false;
	}
	p->vmms->audit = api_audit(p->api);
	return true;
}

/* Sockets that systemd made, or one of our own; and TLS, when the host's settings say so. */
static bool listen_all(struct program *p)
{
	struct front_config config = {.settings = json_object_get(store_host(p->vmms), "api"),
				      .tasks = p->vmms->tasks,
				      .pam_folder = p->pam[0] == '\0' ? NULL : p->pam,
				      .path = p->socket};
	int count = notify_sockets(&config.first_fd);

	config.fd_count = (unsigned)count;
	return front_open(p->api, &config, &p->http, p->error, sizeof(p->error)) == 0;
}

static bool open_all(struct program *p)
{
	const struct service_config config = {.state = p->state,
					      .runtime = p->runtime,
					      .kvm_device = p->kvm[0] == '\0' ? ENGINES_KVM_DEVICE
									      : p->kvm};

	if (!watch_signals(p) || !service_open(&config, &p->vmms, p->error, sizeof(p->error))) {
		return false;
	}
	if (loop_add(p->vmms->loop, p->signal_fd, on_signal, p) < 0 || !open_api(p)) {
		return false;
	}
	service_begin(p->vmms);
	return listen_all(p);
}

static int serve(struct program *p)
{
	int status = FAILED;

	raise_limits();
	umask(0077);
	/* Threads come and go with their work; arenas of their own would stay. */
	mallopt(M_ARENA_MAX, 2);
	if (open_all(p)) {
		p->notify = notify_begin(p->vmms->loop);
		log_line("%zu machines in %s", p->vmms->vm_count, p->vmms->state);
		status = loop_run(p->vmms->loop) < 0 ? FAILED : 0;
	}
	if (p->error[0] != '\0') {
		log_line("%s", p->error);
	}
	notify_end(p->notify);
	if (p->vmms != NULL) {
		service_stop_tasks(p->vmms);
		http_destroy(p->http);
		p->vmms->audit = NULL;
		api_destroy(p->api);
		loop_remove(p->vmms->loop, p->signal_fd);
		service_close(p->vmms);
	}
	return status;
}

int main(int argc, char **argv)
{
	static struct program p; /* too large for the stack */
	int status = USAGE;

	log_init("virid-vmms", NULL);
	if (!parse(&p, argc, argv) || !settle_paths(&p)) {
		log_line("%s", p.error);
	} else if (p.help) {
		fputs(help_text, stdout);
		status = 0;
	} else if (p.shut_down) {
		status = shut_down(p.state, p.error, sizeof(p.error)) ? 0 : FAILED;
		if (status != 0) {
			log_line("%s", p.error);
		}
	} else {
		status = serve(&p);
	}
	return status;
}
